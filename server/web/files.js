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
  /** All that were seen, by id. */
  all = new Map();

  #handlers;
  #sending;
  #receiving;
  #owners = new Map(); // by file: who offers it, the one whom we ask first
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
    this.#handlers = handlers;
    this.#sending = new Sending(channel, { unreadable: (id, receivers) => this.#unreadable(this.all.get(id), receivers) });
    this.#receiving = new Receiving({
      tell: (message, receiver) => this.#handlers.tell(message, [receiver]),
      came: (id, bytes) => {
        this.#watch(this.all.get(id));
        this.#moved(this.all.get(id), bytes);
      },
      done: (id, blob) => this.#end(this.all.get(id), 'done', { blob, done: this.all.get(id).size }),
      failed: (id, problem) => this.#end(this.all.get(id), 'failed', { problem, done: 0 }),
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
    return [...this.all.values()].filter(({ own, state }) => own && state === 'offered').map(describe);
  }

  /** Offers a file to everybody. */
  offer(file) {
    if (this.offered.length >= MOST_FILES) {
      throw new Problem('too-many-files', `You share ${MOST_FILES} files already. Stop sharing some of them, or pack several into one.`);
    }
    const shared = new SharedFile({ id: randomId(), name: fileName(file.name), size: file.size, mime: file.type }, true, '');
    this.all.set(shared.id, shared);
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
        this.#gone(this.all.get(message.id), sender);
        return;
      case 'lost': {
        const shared = this.all.get(message.id);
        if (shared && shared.owner === sender && this.#receiving.has(shared.id)) {
          this.#receiving.discard(shared.id);
          this.#end(shared, 'failed', {
            problem: new Problem('file-lost', `${shared.ownerName} cannot read ${shared.name} any more. Ask for it to be shared again.`),
          });
        }
        return;
      }
      case 'get':
        if (this.#sending.get(message.id, sender, message.offset, message.again)) this.#served(this.all.get(message.id));
        else this.#handlers.tell({ type: 'lost', id: message.id }, [sender]);
        return;
      case 'got': {
        const shared = this.all.get(message.id);
        if (!shared?.own) return;
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
        if (this.all.get(message.id)?.own) this.#served(this.all.get(message.id));
        return;
    }
  }

  /** Somebody has left, or we have. */
  left(participant) {
    this.#sending.left(participant);
    for (const shared of this.all.values()) if (shared.own && shared.receiving > 0) this.#served(shared);
    for (const shared of this.#offersOf(participant)) this.#leave(shared, participant);
  }

  // What we want

  /** Gets a file, or goes on with it; into this place (see stores.js), where it is not begun. */
  fetch(shared, place) {
    if (this.#closed || shared.own || ['waiting', 'coming', 'gone'].includes(shared.state)) {
      place?.discard();
      return;
    }
    if (this.#receiving.has(shared.id)) place?.discard();
    else this.#receiving.begin(shared, place);
    if (shared.owner !== null) this.#queue.push(shared);
    this.#set(shared, shared.owner === null ? 'absent' : 'waiting', { problem: null, blob: null, done: this.#receiving.length(shared.id) });
    this.#next();
  }

  /** Whether a place has been found for a file, and some of it may be here. */
  isBegun(shared) {
    return this.#receiving.has(shared.id);
  }

  /** Wants no more of it for now. */
  pause(shared) {
    if (!['waiting', 'coming', 'absent'].includes(shared.state)) return;
    this.#rest(shared);
    this.#end(shared, 'paused');
  }

  /** Does not want it after all. */
  cancel(shared) {
    if (!this.#receiving.has(shared.id)) return;
    this.#rest(shared);
    this.#receiving.discard(shared.id);
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
    for (const shared of this.all.values()) {
      this.#receiving.discard(shared.id);
      this.#sending.remove(shared.id);
    }
  }

  #offersOf(participant) {
    return [...this.#owners].filter(([, owners]) => owners.has(participant)).map(([shared]) => shared);
  }

  #offered(sender, file) {
    const name = this.#handlers.name(sender);
    let shared = this.all.get(file.id);
    if (!shared) {
      if (this.#offersOf(sender).length >= MOST_FILES || !this.#makeRoom()) return;
      shared = new SharedFile(file, false, name);
      this.all.set(shared.id, shared);
      this.#owners.set(shared, new Set());
    } else if (shared.own || shared.name !== file.name || shared.size !== file.size || shared.ownerName !== name) {
      return; // somebody else's, by the same id
    }
    // Who comes back by another id may be here before the former one is gone.
    this.#owners.get(shared).add(sender);
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
    const old = [...this.all.values()].find(({ own, state }) => !own && (state === 'gone' || state === 'left'));
    if (!old) return false;
    this.all.delete(old.id);
    return this.#owners.delete(old);
  }

  /** Somebody offers it no longer. */
  #gone(shared, sender) {
    if (!this.#owners.get(shared)?.has(sender)) return;
    if (shared.owner !== sender || this.#owners.get(shared).size > 1) {
      this.#leave(shared, sender);
      return;
    }
    this.#owners.get(shared).delete(sender);
    shared.owner = null;
    if (shared.state === 'done') return;
    if (shared.state === 'failed') {
      this.#handlers.file(shared); // it cannot be had once more
      return;
    }
    this.#rest(shared);
    this.#receiving.discard(shared.id);
    this.#end(shared, 'gone', { done: 0 });
  }

  /** Somebody who offers it is not there any more. */
  #leave(shared, participant) {
    const owners = this.#owners.get(shared);
    owners.delete(participant);
    if (shared.owner !== participant) return;
    [shared.owner = null] = owners;
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
    this.#receiving.rest(shared.id);
    this.#unwatch(shared);
    this.#rates.delete(shared);
    shared.speed = 0;
  }

  #next() {
    for (const shared of this.#queue.splice(0, Math.max(0, AT_ONCE - this.#busy.size))) {
      this.#watch(shared);
      this.#set(shared, 'coming');
      this.#receiving.ask(shared.id, shared.owner);
    }
  }

  /** A file begins to come, or more of it came. */
  #watch(shared) {
    this.#unwatch(shared);
    this.#busy.set(shared, setTimeout(() => {
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
    for (const shared of this.all.values()) {
      if (shared.state === 'coming' && this.#receiving.has(shared.id)) this.#receiving.ask(shared.id, shared.owner);
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
    if (!shared.own) shared.done = this.#receiving.length(shared.id);
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
