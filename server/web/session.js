import { preferCodecs } from './codecs.js';
import { Own } from './own.js';
import { Problem, connectionProblem, unreachable } from './reasons.js';

/** Slots are added in steps, so that people who come one by one do not cost one negotiation each. */
const STEP = 4;
/** No answer to an offer, or no reply to a ping, for so long: the server is gone. */
const PATIENCE_MS = 10_000;
const PING_MS = 15_000;
/** Between two attempts to find another path. */
const RESTART_MS = 8_000;
/** An offer that failed is made anew after a pause, as often as this in a row. */
const OFFERS = 3;
const OFFER_PAUSE_MS = 2_000;

/**
 * One WebSocket and one RTCPeerConnection: from `join` to the end of either. Nothing of it survives; who wants to come back
 * makes a new one.
 *
 * The client always offers and the server always answers, one offer at a time.
 */
export class Session {
  #socket;
  #pc = null;
  #url;
  #devices;
  #handlers;
  #ended = false;
  #joined = false;

  #negotiating = false;
  #negotiateAgain = false;
  #lastOffer = 0;
  #failures = 0; // offers that failed, one after the other
  #answer = null; // { id, resolve, reject } of the offer under way
  #heldCandidates = null; // candidates found before their offer was sent

  #own = null;
  #needed = { audio: STEP, video: STEP };
  #timers = { ping: 0, pong: 0, path: 0 };

  /**
   * `handlers`: `message(message)` for what concerns the room, `negotiated()` after each exchange, `path(state)` when media
   * starts or stops to flow, `problem(problem)`, `end(problem)` once at the end (null after `leave`).
   */
  constructor(url, name, devices, handlers) {
    this.#url = url;
    this.#devices = devices;
    this.#handlers = handlers;
    try {
      this.#socket = new WebSocket(url);
    } catch {
      this.#unreachable();
      return;
    }
    this.#socket.onopen = () => {
      this.#send({ type: 'join', name });
      this.#timers.ping = setInterval(() => this.#ping(), PING_MS);
    };
    this.#socket.onmessage = event => this.#receive(JSON.parse(event.data));
    this.#socket.onclose = () => {
      if (this.#joined) this.#end(new Problem('server-lost', 'The connection to the server was lost.'));
      else this.#unreachable();
    };
    devices.addEventListener('change', this.#devicesChanged);
  }

  /** The peer connection, for its figures. */
  get pc() { return this.#pc; }

  /** The transceiver of a media section, if it is one of the slots. */
  slot(mid) {
    return this.#slots().find(transceiver => transceiver.mid === mid) ?? null;
  }

  /** Sends what is not about media sections. */
  tell(message) {
    if (!this.#ended) this.#send(message);
  }

  /** Says goodbye. */
  leave() {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send({ type: 'leave' });
    this.#end(null);
  }

  // The server's messages

  #receive(message) {
    switch (message.type) {
      case 'joined':
        this.#joined = true;
        this.#handlers.message(message);
        this.#open(message.iceServers ?? []);
        return;
      case 'answer':
        if (this.#answer?.id === message.id) this.#answer.resolve(message.sdp);
        return;
      case 'need':
        this.#needed.audio = Math.max(this.#needed.audio, message.audio);
        this.#needed.video = Math.max(this.#needed.video, message.video);
        if (this.#pc && this.#missingSlots() > 0) this.#negotiate();
        return;
      case 'send':
        this.#own?.wish(message.mid, message.active, message.rids ?? []);
        return;
      case 'pong':
        clearTimeout(this.#timers.pong);
        return;
      case 'error': {
        const problem = new Problem(message.code, message.message);
        if (!this.#joined) this.#end(problem);
        else if (message.re !== 'offer') this.#handlers.problem(problem);
        // What is said about an offer that was given up concerns nobody; a message that could not be read has no id.
        else if (this.#answer && (message.id ?? this.#answer.id) === this.#answer.id) this.#answer.reject(problem);
        return;
      }
      case 'bye':
        this.#end(new Problem(message.reason, message.message));
        return;
      default:
        this.#handlers.message(message);
    }
  }

  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #ping() {
    this.#send({ type: 'ping' });
    clearTimeout(this.#timers.pong);
    this.#timers.pong = setTimeout(() => this.#socket.close(), PATIENCE_MS);
  }

  // Negotiation

  #open(iceServers) {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers });
    this.#pc = pc;
    pc.onicecandidate = ({ candidate }) => this.#trickle(candidate);
    pc.onconnectionstatechange = () => this.#watchPath();
    this.#own = new Own(pc, this.#devices);
    this.#negotiate();
  }

  async #negotiate() {
    if (this.#negotiating) {
      this.#negotiateAgain = true;
      return;
    }
    this.#negotiating = true;
    do {
      this.#negotiateAgain = false;
      try {
        await this.#exchange();
        this.#failures = 0;
      } catch (error) {
        await this.#failed(error);
      }
    } while (this.#negotiateAgain && !this.#ended);
    this.#negotiating = false;
  }

  async #exchange() {
    const pc = this.#pc;
    await this.#own.attach();
    this.#addSlots();
    this.#heldCandidates ??= [];
    await pc.setLocalDescription();
    const id = ++this.#lastOffer;
    const answer = new Promise((resolve, reject) => { this.#answer = { id, resolve, reject }; });
    // Sections have names only now; the server learns what ours are before it sees them in the offer.
    this.#send({ type: 'sources', sources: this.#own.sources });
    this.#send({ type: 'offer', id, sdp: pc.localDescription.sdp });
    const held = this.#heldCandidates;
    this.#heldCandidates = null;
    for (const candidate of held) this.#send(candidate);
    const patience = setTimeout(
      () => this.#answer?.reject(new Problem('no-answer', 'The server did not answer the offer in time.')), PATIENCE_MS);
    try {
      const sdp = await answer;
      await pc.setRemoteDescription({ type: 'answer', sdp });
    } finally {
      clearTimeout(patience);
      this.#answer = null;
    }
    this.#own.settle();
    this.#handlers.negotiated();
  }

  /**
   * An exchange failed. The next one puts a new offer in the place of the unanswered one, with the same sections: a rollback
   * would give them other names than the server may know by now.
   */
  async #failed(error) {
    if (this.#ended) return;
    const problem = error instanceof Problem
      ? error
      : new Problem('negotiation-failed', `The browser and the server could not agree on the call (${error.message}).`);
    if (++this.#failures >= OFFERS) {
      this.#end(problem);
      return;
    }
    this.#handlers.problem(problem);
    this.#negotiateAgain = true;
    await new Promise(resolve => setTimeout(resolve, OFFER_PAUSE_MS));
  }

  #trickle(candidate) {
    // RFC 8838 §14: the end of candidates is a candidate without content.
    const message = {
      type: 'candidate',
      candidate: candidate?.candidate ?? '',
      sdpMid: candidate?.sdpMid ?? this.#own.mid('microphone'),
      sdpMLineIndex: candidate?.sdpMLineIndex ?? 0,
      usernameFragment: candidate?.usernameFragment ?? null,
    };
    if (this.#heldCandidates) this.#heldCandidates.push(message);
    else this.#send(message);
  }

  // Slots

  #slots(kind) {
    const transceivers = this.#pc?.getTransceivers() ?? [];
    return transceivers.filter(each => !this.#own.has(each) && (!kind || each.receiver.track.kind === kind));
  }

  #missingSlots() {
    const { audio, video } = this.#needed;
    return Math.max(audio - this.#slots('audio').length, video - this.#slots('video').length);
  }

  /** Audio slot n and video slot n are a pair: the server gives them one msid, and always the same participant. */
  #addSlots() {
    const steps = Math.ceil(Math.max(0, this.#missingSlots()) / STEP);
    for (let pair = 0; pair < steps * STEP; pair++) {
      for (const kind of ['audio', 'video']) {
        if (this.#slots(kind).length < roundUp(this.#needed[kind])) {
          preferCodecs(this.#pc.addTransceiver(kind, { direction: 'recvonly' }));
        }
      }
    }
  }

  // Own sources

  #devicesChanged = async () => {
    if (!this.#pc) return;
    const changed = await this.#own.attach();
    if (this.#ended) return;
    if (changed) this.#negotiate();
    for (const kind of ['microphone', 'camera']) {
      const mid = this.#own.mid(kind);
      if (mid !== null) this.#send({ type: 'mute', mid, muted: !this.#devices.on[kind] });
    }
  };

  // The media path

  #watchPath() {
    const state = this.#pc.connectionState;
    if (state === 'connected') clearTimeout(this.#timers.path);
    // At once: after the last answer Chromium takes up to 8 s to say so and Firefox 13 s, and the server waits for 14 s.
    else if (state === 'disconnected') this.#findPath();
    else if (state === 'failed') this.#findPathAgain();
    this.#handlers.path(state);
  }

  /** An ICE restart; again and again until the path is back or the server gives us up, which ends the session. */
  #findPath() {
    if (this.#ended || this.#pc.connectionState === 'connected') return;
    clearTimeout(this.#timers.path);
    this.#timers.path = setTimeout(() => this.#findPathAgain(), RESTART_MS);
    this.#pc.restartIce();
    this.#negotiate();
  }

  /** By now there is something to tell the person. */
  async #findPathAgain() {
    this.#findPath();
    const problem = await connectionProblem(this.#pc);
    if (!this.#ended && this.#pc.connectionState !== 'connected') this.#handlers.problem(problem);
  }

  /** There was no connection to the server at all. */
  async #unreachable() {
    const problem = await unreachable(this.#url);
    this.#end(problem);
  }

  #end(problem) {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#timers.ping);
    clearTimeout(this.#timers.pong);
    clearTimeout(this.#timers.path);
    this.#devices.removeEventListener('change', this.#devicesChanged);
    this.#answer?.reject(new Problem('ended', 'The session has ended.'));
    if (this.#pc) {
      this.#pc.onconnectionstatechange = null;
      this.#pc.onicecandidate = null;
      this.#pc.close();
    }
    if (this.#socket) {
      this.#socket.onclose = null;
      this.#socket.onmessage = null;
      this.#socket.close();
    }
    this.#handlers.end(problem);
  }
}

const roundUp = count => Math.ceil(count / STEP) * STEP;
