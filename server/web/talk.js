import { Channel } from './channel.js';
import { understood } from './words.js';

/** What was said within this time before a channel was closed is said again: it may be lost. (Whoever has it knows it by its id.) */
const AGAIN_MS = 120_000;
/** So many sayings are kept for that and until they can be sent, and so many ids of others' are known again. */
const KEPT = 50;
const KNOWN = 1_000;
/** So many messages are kept of people of whom the server has not told yet. */
const EARLY = 100;
const LONGEST_EARLY = 150_000;
const EARLY_MS = 30_000;
/** Who asks what we are is answered once in this time. */
const REPLY_MS = 1_000;

/** What participants tell each other, past the server, which passes it on: over two data channels (docs/client.md). */
export class Talk {
  /** `closed` (for now), `open`, or `unavailable`: the browser or the server has no data channels. */
  state = 'closed';
  /** The channel of files' bytes. */
  files = new Channel('files', { priority: 'low' });

  #line = new Channel('room');
  #handlers;
  #said = []; // [{ message, receivers, at }], `at` being null before it was sent
  #known = new Set(); // ids of what others said
  #early = []; // [sender, text, at]
  #forgetting = 0;
  #replies = new Map(); // by participant: { since, at, timer }, `since` the first one

  /**
   * `handlers`: `knows(participant)`, `own()` what we are ({ hand, files }), `heard(sender, message)`, `open()` when the others were told
   * what we are, `state(state)`.
   */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#line.onmessage = (sender, body) => { if (typeof body === 'string') this.#take(sender, body); };
    this.#line.onopen = () => this.#opened();
    this.#line.onclosed = () => this.#become('closed');
  }

  /** Begins over a peer connection, before its first offer. */
  begin(pc) {
    try {
      this.#line.begin(pc);
      this.files.begin(pc);
      this.#become('closed');
    } catch {
      this.#stop();
    }
  }

  /** A description was agreed on: the server may have rejected the section of data. */
  settle(pc) {
    if (pc.sctp === null && this.state !== 'unavailable') this.#stop();
  }

  /** The peer connection is gone. */
  end() {
    this.#line.end();
    this.files.end();
    for (const { timer } of this.#replies.values()) clearTimeout(timer);
    this.#replies.clear();
    this.#early = [];
    clearTimeout(this.#forgetting);
    if (this.state === 'open') this.#become('closed');
  }

  /** Tells somebody, or everybody; what is told while the channel is closed is lost. */
  tell(message, receivers = []) {
    return this.#line.send(JSON.stringify(message), receivers);
  }

  /** As `tell`, and it is sent later, or again, where it may have been lost. False when too much waits already: it was not said. */
  say(message, receivers = []) {
    if (this.#said.filter(({ at }) => at === null).length >= KEPT) return false;
    const said = { message, receivers, at: null };
    this.#said.push(said);
    if (this.#said.length > KEPT) this.#said.splice(this.#said.findIndex(({ at }) => at !== null), 1);
    this.#utter(said);
    return true;
  }

  /** The server tells of somebody: what they said already is heard now. */
  met(participant) {
    const lately = performance.now() - EARLY_MS;
    const early = this.#early.filter(([sender, , at]) => sender === participant && at > lately);
    this.#early = this.#early.filter(([sender]) => sender !== participant);
    for (const [sender, text] of early) this.#take(sender, text);
  }

  /** Somebody is not there any more. */
  left(participant) {
    clearTimeout(this.#replies.get(participant)?.timer);
    this.#replies.delete(participant);
  }

  #stop() {
    this.#line.end();
    this.files.end();
    this.#become('unavailable');
  }

  #utter(said) {
    if (said.at === null && this.tell(said.message, said.receivers)) said.at = performance.now();
  }

  #opened() {
    this.#tellState(true);
    const lately = performance.now() - AGAIN_MS;
    for (const said of this.#said) {
      if (said.at !== null && said.at < lately) continue;
      said.at = null;
      this.#utter(said);
    }
    this.#become('open');
    this.#handlers.open();
  }

  #tellState(reply, receivers = []) {
    this.tell({ type: 'state', ...this.#handlers.own(), reply }, receivers);
  }

  #take(sender, text) {
    if (!this.#handlers.knows(sender)) {
      if (text.length > LONGEST_EARLY) return;
      this.#early.push([sender, text, performance.now()]);
      if (this.#early.length > EARLY) this.#early.shift();
      clearTimeout(this.#forgetting);
      this.#forgetting = setTimeout(() => { this.#early = []; }, EARLY_MS);
      return;
    }
    const message = understood(text);
    if (!message || (message.type === 'chat' && !this.#isNew(message.id))) return;
    this.#handlers.heard(sender, message);
    if (message.type === 'state' && message.reply) this.#reply(sender);
  }

  #isNew(id) {
    if (this.#known.has(id)) return false;
    this.#known.add(id);
    if (this.#known.size > KNOWN) this.#known.delete(this.#known.values().next().value);
    return true;
  }

  #reply(sender) {
    const now = performance.now();
    const last = this.#replies.get(sender);
    if (last?.timer) return;
    if (!last) {
      this.#replies.set(sender, { since: now, at: now, timer: 0 });
      this.#tellState(false, [sender]);
      return;
    }
    const answer = () => {
      Object.assign(last, { at: performance.now(), timer: 0 });
      this.#tellState(false, [sender]);
      this.#repeat(sender, last.since);
    };
    if (now >= last.at + REPLY_MS) answer();
    else last.timer = setTimeout(answer, last.at + REPLY_MS - now);
  }

  /** Somebody's channel was opened again: what was said meanwhile, or shortly before, may be lost. Nothing from before they came. */
  #repeat(participant, since) {
    const from = Math.max(since, performance.now() - AGAIN_MS);
    for (const { message, receivers, at } of this.#said) {
      if (at !== null && at >= from && (receivers.length === 0 || receivers.includes(participant))) this.tell(message, [participant]);
    }
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#handlers.state(state);
  }
}
