const CHUNK = 1 << 16;
/** So much is on its way to one receiver at most. */
const WINDOW = 1 << 20;
/** Every so many parts of a file go to whoever has waited longest: who is far behind, or always asks for it once more, holds up nobody. */
const FAIR = 4;
/** Who goes back behind what he said he has does so once in this time. */
const BACK_MS = 1_000;

/**
 * Sends our files to whoever asks. Everybody has a cursor in each file; those whose cursors are at the same place get the same
 * message, which the server multiplies. Who is slow falls behind, gets copies of his own, and holds up nobody.
 */
export class Sending {
  #channel;
  #handlers;
  #files = new Map(); // by id: { file, receivers, steps }, whose turn it is first
  #pumping = false;
  #count = 0; // of what was sent

  /** `handlers`: `unreadable(id, receivers)`, once, when a file cannot be read any more, which was removed then. */
  constructor(channel, handlers) {
    this.#channel = channel;
    this.#handlers = handlers;
  }

  /** A file (anything with `size` and `slice`) that may be asked for. */
  add(id, file) {
    this.#files.set(id, { file, receivers: new Map(), steps: 0 });
  }

  remove(id) {
    this.#files.delete(id);
  }

  /** Who gets a file just now, by what they have of it. */
  receivers(id) {
    return new Map([...this.#files.get(id)?.receivers ?? []].map(([receiver, { acknowledged }]) => [receiver, acknowledged]));
  }

  /** Somebody wants a file from there on, `again` also what is on its way already; returns whether there is such a file. */
  get(id, receiver, offset, again) {
    const shared = this.#files.get(id);
    if (!shared || offset > shared.file.size) return false;
    const to = shared.receivers.get(receiver);
    if (!to) {
      // `sent` is the furthest that ever was, `served` tells when that was last, `back` when he last went back.
      shared.receivers.set(receiver, { cursor: offset, acknowledged: offset, sent: offset, served: this.#count, back: -Infinity });
    } else if (!again && offset >= to.acknowledged && offset < to.cursor) {
      to.acknowledged = offset;
    } else {
      const now = performance.now();
      if (offset < to.acknowledged) {
        if (now < to.back + BACK_MS) return true;
        to.back = now;
      }
      to.cursor = to.acknowledged = offset;
      to.sent = Math.max(to.sent, offset);
    }
    this.pump();
    return true;
  }

  /** Somebody has a file up to there; returns whether that can be. */
  got(id, receiver, offset) {
    const to = this.#files.get(id)?.receivers.get(receiver);
    if (!to || offset > to.sent || offset < to.acknowledged) return false;
    to.acknowledged = offset;
    to.cursor = Math.max(to.cursor, offset); // what was about to be sent again has come
    this.pump();
    return true;
  }

  /** Somebody does not want a file any more, or has all of it. */
  stop(id, receiver) {
    this.#files.get(id)?.receivers.delete(receiver);
  }

  /** Somebody has left. */
  left(receiver) {
    for (const { receivers } of this.#files.values()) receivers.delete(receiver);
  }

  /** The channel was closed: what was on its way may be lost. (Who has it leaves it aside.) */
  again() {
    for (const { receivers } of this.#files.values()) {
      for (const to of receivers.values()) to.cursor = to.acknowledged;
    }
  }

  /** Sends as long as there is room. */
  async pump() {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let id; this.#channel.free && (id = this.#next()) !== null;) if (!await this.#step(id)) break;
    this.#pumping = false;
  }

  /** Files take turns. */
  #next() {
    for (const [id, shared] of this.#files) {
      if (this.#waiting(shared).length === 0) continue;
      this.#files.delete(id);
      this.#files.set(id, shared);
      return id;
    }
    return null;
  }

  #waiting({ file, receivers }) {
    return [...receivers].filter(([, { cursor, acknowledged }]) => cursor < file.size && cursor - acknowledged < WINDOW);
  }

  /** Sends the next part of a file; false when nothing can be sent now. */
  async #step(id) {
    const shared = this.#files.get(id);
    const waiting = this.#waiting(shared).map(([, to]) => to);
    const isFirst = ++shared.steps % FAIR === 0 ? (one, other) => one.served < other.served : (one, other) => one.cursor < other.cursor;
    const offset = waiting.reduce((first, to) => (isFirst(to, first) ? to : first)).cursor;
    // Ends at a multiple of its length, so that whoever has begun anywhere can meet the others.
    const end = Math.min(offset - (offset % CHUNK) + CHUNK, shared.file.size);
    let bytes;
    try {
      bytes = await shared.file.slice(offset, end).arrayBuffer();
    } catch {
      if (this.#files.get(id) !== shared) return true;
      this.#files.delete(id);
      this.#handlers.unreadable(id, [...shared.receivers.keys()]);
      return true;
    }
    if (this.#files.get(id) !== shared) return true;
    // Somebody may have gone meanwhile, or come to this place.
    const group = this.#waiting(shared).filter(([, { cursor }]) => cursor === offset);
    if (group.length === 0) return true;
    const sent = this.#channel.send(chunk(id, offset, bytes), group.map(([receiver]) => receiver));
    if (!sent) return false;
    this.#count++;
    for (const [, to] of group) Object.assign(to, { cursor: end, sent: Math.max(to.sent, end), served: this.#count });
    return true;
  }
}

/** The length of what stands before the bytes of a file. */
const HEAD = 24;

function chunk(id, offset, bytes) {
  const whole = new Uint8Array(HEAD + bytes.byteLength);
  for (let index = 0; index < 16; index++) whole[index] = parseInt(id.slice(2 * index, 2 * index + 2), 16);
  new DataView(whole.buffer).setBigUint64(16, BigInt(offset));
  whole.set(new Uint8Array(bytes), HEAD);
  return whole;
}

/** What a message on the line `files` is: { id, offset, bytes }, or null. */
export function readChunk(body) {
  if (body.length <= HEAD) return null;
  const id = [...body.subarray(0, 16)].map(byte => byte.toString(16).padStart(2, '0')).join('');
  const offset = Number(new DataView(body.buffer, body.byteOffset).getBigUint64(16));
  return Number.isSafeInteger(offset) ? { id, offset, bytes: body.subarray(HEAD) } : null;
}
