import { Problem } from './reasons.js';

/** What is written is told whenever it is so much more. */
const TOLD = 1 << 18;
/** Without anything new for so long it is asked for again, and then ever more patiently. */
const SILENCE_MS = 5_000;
const LONGEST_SILENCE_MS = 120_000;
/** So much may wait to be written: who sends more than may be on the way is not heard. */
const UNWRITTEN = 4 << 20;
const UNWRITTEN_PARTS = 128;

/** Takes files that come in parts, in order. */
export class Receiving {
  #handlers;
  #transfers = new Map(); // by the file

  /**
   * `handlers`: `tell(message, receiver)`, `came(file, bytes)`, `done(file, blob)` and `failed(file, problem)` once, when a file is there or
   * cannot be written.
   */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** How much of a file is here. */
  length(file) {
    return this.#transfers.get(file)?.expected ?? 0;
  }

  has(file) {
    return this.#transfers.has(file);
  }

  /** A file ({ id, name, size }) will come, and go into this place (see stores.js). */
  begin(file, place) {
    this.#transfers.set(file, {
      file, size: file.size, place, owner: null, expected: 0, written: 0, pending: 0, told: 0, writing: Promise.resolve(),
      asked: -1, gap: false, pause: SILENCE_MS, timer: 0, // `gap`: parts came that could not be taken
    });
  }

  /** Asks this participant for all that is missing. */
  ask(file, owner) {
    const transfer = this.#transfers.get(file);
    if (!transfer) return;
    transfer.owner = owner;
    transfer.pause = SILENCE_MS;
    // What is here but not written yet ends it when it is.
    if (transfer.expected < transfer.size) this.#get(transfer, true);
    else if (transfer.written === transfer.size) this.#finish(transfer);
  }

  /** Wants nothing for now; what is here is kept. */
  rest(file) {
    const transfer = this.#transfers.get(file);
    if (!transfer) return;
    clearTimeout(transfer.timer);
    transfer.owner = null;
  }

  /** Forgets a file, and what is here of it. */
  discard(file) {
    const transfer = this.#transfers.get(file);
    if (!transfer) return;
    this.rest(file);
    this.#transfers.delete(file);
    transfer.writing.catch(() => {}).then(() => transfer.place.discard());
  }

  /** A part came. Ids are known to all: others may have files by the same one. */
  take(sender, { id, offset, bytes }) {
    const transfer = [...this.#transfers.values()].find(({ file, owner }) => owner === sender && file.id === id);
    if (!transfer) return;
    // Whatever comes holds up the rest of what is on its way.
    for (const each of this.#transfers.values()) if (each.owner !== null) this.#wait(each);
    const { expected, size } = transfer;
    if (offset < expected || offset + bytes.length > size) return;
    const isTooMuch = expected + bytes.length > transfer.written + UNWRITTEN || transfer.pending >= UNWRITTEN_PARTS;
    if (offset > expected || isTooMuch) {
      // What is behind the gap comes again, too; it is asked for once.
      transfer.gap = true;
      if (transfer.asked !== expected) this.#get(transfer, true);
      return;
    }
    transfer.expected += bytes.length;
    transfer.gap = false;
    transfer.pause = SILENCE_MS;
    this.#wait(transfer);
    this.#handlers.came(transfer.file, bytes.length);
    this.#write(transfer, bytes);
  }

  async #write(transfer, bytes) {
    transfer.pending++;
    transfer.writing = transfer.writing.then(() => transfer.place.write(bytes));
    try {
      await transfer.writing;
    } catch (error) {
      this.#fail(transfer, error);
      return;
    }
    transfer.pending--;
    transfer.written += bytes.length;
    if (!this.#isHere(transfer)) return;
    if (transfer.written === transfer.size) this.#finish(transfer);
    else if (transfer.written >= transfer.told + TOLD) this.#got(transfer);
  }

  async #finish(transfer) {
    if (!this.#isHere(transfer)) return;
    this.#transfers.delete(transfer.file);
    clearTimeout(transfer.timer);
    try {
      const blob = await transfer.place.finish();
      this.#got(transfer);
      this.#handlers.done(transfer.file, blob);
    } catch (error) {
      this.#transfers.set(transfer.file, transfer);
      this.#fail(transfer, error);
    }
  }

  #fail(transfer, error) {
    if (!this.#isHere(transfer)) return;
    const { file } = transfer;
    if (transfer.owner !== null) this.#handlers.tell({ type: 'stop', id: file.id }, transfer.owner);
    this.rest(file);
    this.#transfers.delete(file);
    transfer.place.discard();
    this.#handlers.failed(file, error.name === 'QuotaExceededError'
      ? new Problem('file-space', `There is not enough space for ${file.name}. Free some on this device, then download it again.`)
      : new Problem('file-unwritable', `${file.name} cannot be written (${error.name}: ${error.message}). Download it again, to another place.`));
  }

  #isHere(transfer) {
    return this.#transfers.get(transfer.file) === transfer;
  }

  /** Asks for what is missing; `again` when it cannot be on its way any more. */
  #get(transfer, again) {
    transfer.asked = transfer.expected;
    this.#handlers.tell({ type: 'get', id: transfer.file.id, offset: transfer.expected, again }, transfer.owner);
    this.#wait(transfer);
  }

  #got(transfer) {
    transfer.told = transfer.written;
    if (transfer.owner !== null) this.#handlers.tell({ type: 'got', id: transfer.file.id, offset: transfer.written }, transfer.owner);
  }

  #wait(transfer) {
    clearTimeout(transfer.timer);
    transfer.timer = setTimeout(() => {
      if (transfer.expected === transfer.size) return;
      // Its owner waits for our disk: to ask would have more sent than that takes.
      if (transfer.pending > 0) {
        this.#wait(transfer);
        return;
      }
      // Nothing at all for so long: it may be lost after all.
      const isLost = transfer.gap || transfer.pause > 2 * SILENCE_MS;
      transfer.pause = Math.min(2 * transfer.pause, LONGEST_SILENCE_MS);
      this.#get(transfer, isLost);
    }, transfer.pause);
  }
}
