import { Problem } from './reasons.js';
import { Receiving } from './receiving.js';
import { Sending, readChunk } from './sending.js';
import { MOST_FILES, fileName, randomId } from './words.js';

/** So many files come at once; the rest waits. One of which nothing came for so long holds up nobody. */
const AT_ONCE = 3;
const STUCK_MS = 30_000;
/** More than this many entries are not kept; those that are gone make room. */
const MOST_SEEN = 2_000;
/** How often progress is told, and over which time speed is measured. */
const PROGRESS_MS = 250;
const SPEED_MS = 3_000;

/** A file that somebody offers to the others. Its fields are told in hyaline.d.ts. */
export class SharedFile {
  owner = null;
  state = 'offered';
  done = 0;
  speed = 0;
  receiving = 0;
  holders = 0;
  problem = null;
  blob = null;

  constructor({ id, name, size, mime }, own, ownerName) {
    Object.assign(this, { id, name, size, mime, own, ownerName });
  }
}

/** The files that are shared in a room, our own and those of others. */
export class Files {
  /** All that were seen. Anybody can offer one by an id that was another's: what they offer is another file. */
  all = new Set();

  #channel;
  #handlers;
  #sending;
  #receiving;
  #own = new Map(); // ours, by id
  #offers = new Map(); // by participant: what they offer, by id
  #holders = new Map(); // by our own files: who has it
  #queue = []; // files that wait until others are done
  #busy = new Map(); // files that hold them up, each with the timer after which it does so no longer
  #rates = new Map(); // by file: [[time, bytes since the one before]]
  #timer = 0;
  #closed = false;

  /**
   * `handlers`: `tell(message, receivers)`, `name(participant)`, `file(file)` when one is new or its state is another, `progress(file)`.
   */
  constructor(channel, handlers) {
    this.#channel = channel;
    this.#handlers = handlers;
    this.#sending = new Sending(channel, { unreadable: (id, receivers) => this.#unreadable(this.#own.get(id), receivers) });
    this.#receiving = new Receiving({
      tell: (message, receiver) => this.#handlers.tell(message, [receiver]),
      came: (shared, bytes) => {
        this.#watch(shared);
        this.#moved(shared, bytes);
      },
      done: (shared, blob) => this.#end(shared, 'done', { blob, done: shared.size }),
      failed: (shared, problem) => this.#end(shared, 'failed', { problem, done: 0 }),
    });
    channel.onmessage = (sender, body) => {
      const part = typeof body === 'string' ? null : readChunk(body);
      if (part) this.#receiving.take(sender, part);
    };
    channel.onfree = () => this.#sending.pump();
    channel.onclosed = () => this.#sending.again();
    channel.onopen = () => {
      this.#sending.pump();
      this.askAgain();
    };
  }

  // Our own

  /** What we offer, as the others are told. */
  get offered() {
    return [...this.#own.values()].filter(({ state }) => state === 'offered').map(describe);
  }

  /** Offers a file to everybody. */
  offer(file) {
    if (this.offered.length >= MOST_FILES) {
      throw new Problem('too-many-files', `You share ${MOST_FILES} files already. Stop sharing some of them, or pack several into one.`);
    }
    const shared = new SharedFile({ id: randomId(), name: fileName(file.name), size: file.size, mime: file.type }, true, '');
    this.all.add(shared);
    this.#own.set(shared.id, shared);
    this.#holders.set(shared, new Set());
    this.#sending.add(shared.id, file);
    this.#handlers.tell({ type: 'file', ...describe(shared) });
    this.#handlers.file(shared);
    return shared;
  }

  /** Offers it no longer. */
  withdraw(shared) {
    if (!shared.own || shared.state !== 'offered') return;
    this.#sending.remove(shared.id);
    this.#handlers.tell({ type: 'file-gone', id: shared.id });
    this.#set(shared, 'gone', { receiving: 0, speed: 0 });
  }

  #unreadable(shared, receivers) {
    const problem = new Problem('file-unreadable', `${shared.name} cannot be read any more: it was moved, or has changed. Share it again.`);
    if (receivers.length > 0) this.#handlers.tell({ type: 'lost', id: shared.id }, receivers);
    this.#handlers.tell({ type: 'file-gone', id: shared.id });
    this.#set(shared, 'failed', { problem, receiving: 0, speed: 0 });
  }

  // What others say

  /** A message about files from one of the others. */
  heard(sender, message) {
    switch (message.type) {
      case 'state': {
        const ids = new Set(message.files.map(({ id }) => id));
        for (const shared of this.#offersOf(sender)) if (!ids.has(shared.id)) this.#gone(shared, sender);
        for (const file of message.files) this.#offered(sender, file);
        return;
      }
      case 'file':
        this.#offered(sender, message);
        return;
      case 'file-gone':
        this.#gone(this.#offers.get(sender)?.get(message.id), sender);
        return;
      case 'lost': {
        const shared = this.#offers.get(sender)?.get(message.id);
        if (shared?.owner === sender && this.#receiving.has(shared)) {
          this.#receiving.discard(shared);
          this.#end(shared, 'failed', {
            problem: new Problem('file-lost', `${shared.ownerName} cannot read ${shared.name} any more. Ask for it to be shared again.`),
          });
        }
        return;
      }
      case 'get':
        if (this.#sending.get(message.id, sender, message.offset, message.again)) this.#served(this.#own.get(message.id));
        else this.#handlers.tell({ type: 'lost', id: message.id }, [sender]);
        return;
      case 'got': {
        const shared = this.#own.get(message.id);
        if (!shared) return;
        const before = this.#sending.receivers(message.id).get(sender);
        // Nothing of an empty file has to be asked for.
        const isNews = this.#sending.got(message.id, sender, message.offset) || (shared.size === 0 && message.offset === 0);
        if (!isNews) return;
        if (message.offset === shared.size) {
          this.#sending.stop(message.id, sender);
          this.#holders.get(shared).add(sender);
        }
        this.#moved(shared, message.offset - (before ?? 0));
        this.#served(shared);
        return;
      }
      case 'stop':
        this.#sending.stop(message.id, sender);
        if (this.#own.has(message.id)) this.#served(this.#own.get(message.id));
        return;
    }
  }

  /** Somebody has left, or we have. */
  left(participant) {
    this.#sending.left(participant);
    for (const shared of this.#own.values()) if (shared.receiving > 0) this.#served(shared);
    for (const shared of this.#offersOf(participant)) this.#leave(shared, participant);
    this.#offers.delete(participant);
    this.#offers.delete(participant);
  }

  // What we want

  /** Gets a file, or goes on with it; into this place (see stores.js), where it is not begun. */
  fetch(shared, place) {
    if (this.#closed || shared.own || ['waiting', 'coming', 'gone'].includes(shared.state)) {
      place?.discard();
      return;
    }
    if (this.#receiving.has(shared)) place?.discard();
    else this.#receiving.begin(shared, place);
    if (shared.owner !== null) this.#queue.push(shared);
    this.#set(shared, shared.owner === null ? 'absent' : 'waiting', { problem: null, blob: null, done: this.#receiving.length(shared) });
    this.#next();
  }

  /** Whether a place has been found for a file, and some of it may be here. */
  isBegun(shared) {
    return this.#receiving.has(shared);
  }

  /** Wants no more of it for now. */
  pause(shared) {
    if (!['waiting', 'coming', 'absent'].includes(shared.state)) return;
    this.#rest(shared);
    this.#end(shared, 'paused');
  }

  /** Does not want it after all. */
  cancel(shared) {
    if (!this.#receiving.has(shared)) return;
    this.#rest(shared);
    this.#receiving.discard(shared);
    this.#end(shared, shared.owner === null ? 'left' : 'offered', { done: 0 });
  }

  /** Gives up everything, and tells nothing any more. */
  close() {
    this.#closed = true;
    this.#handlers = { ...this.#handlers, tell() {}, file() {}, progress() {} };
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#rates.clear();
    this.#queue = [];
    for (const shared of this.#busy.keys()) this.#unwatch(shared);
    for (const shared of this.all) this.#receiving.discard(shared);
    for (const id of this.#own.keys()) this.#sending.remove(id);
  }

  #offersOf(participant) {
    return [...this.#offers.get(participant)?.values() ?? []];
  }

  /** Somebody who offers a file. (Who comes back by another id may be here before the former one is gone.) */
  #offerer(shared) {
    return [...this.#offers].find(([, offers]) => offers.get(shared.id) === shared)?.[0] ?? null;
  }

  #offered(sender, file) {
    const ownerName = this.#handlers.name(sender);
    const isSame = each => !each.own && each.id === file.id && each.name === file.name && each.size === file.size && each.ownerName === ownerName;
    const former = this.#offers.get(sender)?.get(file.id);
    if (former && former.name === file.name && former.size === file.size) return;
    this.#gone(former, sender);
    if (this.#offersOf(sender).length >= MOST_FILES) return;
    let shared = [...this.all].find(isSame);
    if (!shared) {
      if (!this.#makeRoom()) return;
      shared = new SharedFile(file, false, ownerName);
      this.all.add(shared);
    }
    if (!this.#offers.has(sender)) this.#offers.set(sender, new Map());
    this.#offers.get(sender).set(file.id, shared);
    if (shared.owner !== null) return;
    shared.owner = sender;
    if (shared.state === 'absent') {
      this.#queue.push(shared);
      this.#set(shared, 'waiting');
      this.#next();
    } else if (shared.state === 'left' || shared.state === 'gone') {
      this.#set(shared, 'offered');
    } else {
      this.#handlers.file(shared);
    }
  }

  #makeRoom() {
    if (this.all.size < MOST_SEEN) return true;
    const old = [...this.all].find(({ own, state }) => !own && (state === 'gone' || state === 'left'));
    return this.all.delete(old);
  }

  /** Somebody offers it no longer. */
  #gone(shared, sender) {
    if (!shared) return;
    this.#offers.get(sender).delete(shared.id);
    if (shared.owner !== sender || this.#offerer(shared) !== null) {
      this.#leave(shared, sender);
      return;
    }
    shared.owner = null;
    if (shared.state === 'done') return;
    if (shared.state === 'failed') {
      this.#handlers.file(shared); // it cannot be had once more
      return;
    }
    this.#rest(shared);
    this.#receiving.discard(shared);
    this.#end(shared, 'gone', { done: 0 });
  }

  /** Somebody who offers it is not there any more. */
  #leave(shared, participant) {
    this.#offers.get(participant).delete(shared.id);
    if (shared.owner !== participant) return;
    shared.owner = this.#offerer(shared);
    const wanted = ['waiting', 'coming'].includes(shared.state);
    if (wanted) this.#rest(shared, false);
    if (shared.owner !== null && wanted) {
      this.#queue.push(shared);
      this.#set(shared, 'waiting');
    } else if (shared.owner === null) {
      // It goes on by itself when the same file is offered again.
      this.#set(shared, wanted ? 'absent' : shared.state === 'offered' ? 'left' : shared.state);
    }
    this.#next();
  }

  #rest(shared, tell = true) {
    this.#queue = this.#queue.filter(each => each !== shared);
    if (tell && shared.state === 'coming' && shared.owner !== null) this.#handlers.tell({ type: 'stop', id: shared.id }, [shared.owner]);
    this.#receiving.rest(shared);
    this.#unwatch(shared);
    this.#rates.delete(shared);
    shared.speed = 0;
  }

  #next() {
    for (const shared of this.#queue.splice(0, Math.max(0, AT_ONCE - this.#busy.size))) {
      this.#watch(shared);
      this.#set(shared, 'coming');
      this.#receiving.ask(shared, shared.owner);
    }
  }

  /** A file begins to come, or more of it came. */
  #watch(shared) {
    this.#unwatch(shared);
    this.#busy.set(shared, setTimeout(() => {
      if (!this.#channel.open) {
        this.#watch(shared); // nothing can come
        return;
      }
      this.#busy.delete(shared);
      this.#next();
    }, STUCK_MS));
  }

  #unwatch(shared) {
    clearTimeout(this.#busy.get(shared));
    this.#busy.delete(shared);
  }

  /** What was on its way may be lost. */
  askAgain() {
    for (const shared of this.all) {
      if (shared.state === 'coming' && this.#receiving.has(shared)) this.#receiving.ask(shared, shared.owner);
    }
  }

  #end(shared, state, changes = {}) {
    this.#queue = this.#queue.filter(each => each !== shared);
    this.#unwatch(shared);
    this.#rates.delete(shared);
    this.#set(shared, state, { speed: 0, ...changes });
    this.#next();
  }

  /** Others get one of ours, or have it. */
  #served(shared) {
    const receiving = this.#sending.receivers(shared.id);
    const sum = [...receiving.values()].reduce((sum, length) => sum + length, 0);
    const changes = {
      receiving: receiving.size,
      holders: this.#holders.get(shared).size,
      done: receiving.size > 0 ? sum / receiving.size : 0,
    };
    const isNews = shared.receiving !== changes.receiving || shared.holders !== changes.holders;
    Object.assign(shared, changes);
    if (isNews) this.#handlers.file(shared);
  }

  #set(shared, state, changes = {}) {
    Object.assign(shared, changes, { state });
    this.#handlers.file(shared);
  }

  /** So many bytes more came, or are with others. */
  #moved(shared, bytes) {
    if (!shared.own) shared.done = this.#receiving.length(shared);
    if (!this.#rates.has(shared)) this.#rates.set(shared, [[performance.now(), 0]]);
    this.#rates.get(shared).push([performance.now(), bytes]);
    this.#timer ||= setTimeout(() => this.#progress(), PROGRESS_MS);
  }

  #progress() {
    const now = performance.now();
    this.#timer = 0;
    for (const [shared, rates] of this.#rates) {
      while (rates.length > 1 && rates[0][0] < now - SPEED_MS) rates.shift();
      const sum = rates.slice(1).reduce((sum, [, bytes]) => sum + bytes, 0);
      shared.speed = sum / Math.max(now - rates[0][0], PROGRESS_MS) * 1_000;
      if (now > rates.at(-1)[0] + SPEED_MS) {
        // Nothing moves.
        shared.speed = 0;
        this.#rates.delete(shared);
      }
      this.#handlers.progress(shared);
    }
    if (this.#rates.size > 0) this.#timer = setTimeout(() => this.#progress(), PROGRESS_MS);
  }
}

const describe = ({ id, name, size, mime }) => ({ id, name, size, mime });
