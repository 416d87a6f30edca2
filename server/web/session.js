import { preferCodecs } from './codecs.js';
import { Line } from './line.js';
import { Own } from './own.js';
import { Problem, connectionProblem, unreachable } from './reasons.js';
import { Synchrony } from './synchrony.js';

/** Slots are added in steps, so that people who come one by one do not cost one negotiation each. */
const STEP = 4;
/** No answer to an offer for so long: the server is gone. */
const PATIENCE_MS = 10_000;
/** When media stops, whoever answers on the line does so within this time. */
const PROBE_MS = 2_000;
/** How long to wait before the line is opened again, once more and once more, and for how long in all. */
const REDIAL_MS = [0, 300, 1_000, 2_000, 4_000];
const RESUME_MS = 30_000;
/** Between two attempts to find another path. */
const RESTART_MS = 8_000;
/** How often it is looked at how long sound waits. */
const SYNCHRONY_MS = 500;
/** An offer that failed is made anew after a pause, as often as this in a row. */
const OFFERS = 3;
const OFFER_PAUSE_MS = 2_000;

/**
 * Firefox takes the group of what is played in synchrony from the streams that it knew before a description, so that new sections
 * have one only with the description after theirs. (The end of the first handshake counts as one.) No feature tells.
 */
const GROUPS_LATE = /\bFirefox\//.test(navigator.userAgent);

/** An exchange that was under way when the line broke; it is made again. */
const INTERRUPTED = new Error('The line was interrupted.');

/**
 * One RTCPeerConnection, and the line to the server: from `join` to the end of media. The line may break meanwhile: then it is
 * opened again, and the session resumed. Who wants to come back after the end makes a new one.
 *
 * The client always offers and the server always answers, one offer at a time.
 */
export class Session {
  #line = null;
  #pc = null;
  #url;
  #devices;
  #handlers;
  #ended = false;
  #joined = false;
  #begun = false; // the first offer
  #token = null; // for `resume`
  #lost = null; // while the line is lost: { at, dials, back, found }, `back` being a promise that `found` resolves

  #negotiating = false;
  #negotiateAgain = false;
  #lastOffer = 0;
  #failures = 0; // offers that failed, one after the other
  #answer = null; // { id, resolve, reject } of the offer under way
  #heldCandidates = null; // candidates found before their offer was sent

  #own = null;
  #needed = { audio: STEP, video: STEP };
  #synchrony = new Synchrony();
  #timers = { path: 0, dial: 0, synchrony: 0 };

  /**
   * `handlers`: `message(message)` for what concerns the room, `begin(pc)` before the first offer, when a channel can be opened in it,
   * `negotiated()` after each exchange, `path(state)` when media
   * starts or stops to flow, `line(there)` when the line is lost or back, `problem(problem)`, `end(problem, line)` once at the
   * end (null after `leave` without a reason), with a line if that is still good for another session. `line` is such a one.
   */
  constructor(url, name, devices, handlers, line = null) {
    this.#url = url;
    this.#devices = devices;
    this.#handlers = handlers;
    const join = { type: 'join', name };
    if (line) {
      this.#take(line);
      line.send(join);
    } else {
      this.#dial(join);
    }
    devices.addEventListener('change', this.#devicesChanged);
    addEventListener('online', this.#networkChanged);
  }

  /** The peer connection, for its figures. */
  get pc() { return this.#pc; }

  /** The transceiver of a media section, if it is one of the slots. */
  slot(mid) {
    return this.#slots().find(transceiver => transceiver.mid === mid) ?? null;
  }

  /** These receivers carry one source now (a key), a screen, say: its pictures wait for no sound when it has none. */
  arranged(source, receivers) {
    const pictures = receivers.filter(({ track }) => track.kind === 'video');
    for (const picture of pictures) {
      if (pictures.length < receivers.length) this.#synchrony.carries(picture, source);
      else this.#synchrony.begin(picture);
    }
  }

  /** Sends what is not about media sections. */
  tell(message) {
    if (!this.#ended) this.#send(message);
  }

  /** Says goodbye, for this reason if there is one. */
  leave(problem = null) {
    this.#send({ type: 'leave' });
    this.#end(problem);
  }

  // The line

  #take(line) {
    this.#line = line;
    line.onmessage = message => this.#receive(message);
    line.onclosed = () => this.#lineLost();
  }

  #dial(first) {
    if (this.#ended) return;
    this.#take(new Line(this.#url));
    this.#line.onopen = () => this.#send(first);
  }

  #lineLost() {
    if (!this.#joined) {
      // There was no connection to the server at all.
      unreachable(this.#url).then(problem => this.#end(problem));
      return;
    }
    const now = performance.now();
    if (!this.#lost) {
      this.#lost = { at: now, dials: 0 };
      this.#lost.back = new Promise(resolve => { this.#lost.found = resolve; });
      this.#heldCandidates ??= [];
      this.#answer?.reject(INTERRUPTED);
      this.#handlers.line(false);
    }
    const gone = ['failed', 'closed'].includes(this.#pc.connectionState) || now > this.#lost.at + RESUME_MS;
    if (gone || this.#token === null) {
      this.#end(new Problem('server-lost', 'The connection to the server was lost.'));
      return;
    }
    const pause = REDIAL_MS[Math.min(this.#lost.dials++, REDIAL_MS.length - 1)];
    this.#timers.dial = setTimeout(() => this.#redial(), pause);
  }

  #redial() {
    this.#dial({ type: 'resume', session: this.#token });
  }

  #resumed(message) {
    const { found } = this.#lost ?? {};
    this.#lost = null;
    this.#handlers.message(message);
    this.#handlers.line(true);
    // What was said meanwhile was not heard. An exchange under way says it all again, and sends what is held itself.
    if (!this.#negotiating) this.#releaseCandidates();
    this.#tellMuted();
    found?.();
    if (this.#pc.connectionState === 'disconnected' || this.#pc.connectionState === 'failed') this.#findPath();
  }

  // The server's messages

  #receive(message) {
    switch (message.type) {
      case 'joined':
        this.#joined = true;
        this.#token = message.session ?? null;
        this.#handlers.message(message);
        this.#open(message.iceServers ?? []);
        return;
      case 'resumed':
        this.#token = message.session ?? null;
        this.#resumed(message);
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
      case 'error': {
        const problem = new Problem(message.code, message.message);
        if (!this.#joined) this.#end(problem);
        else if (message.re === 'resume') this.#notResumed(problem);
        else if (message.re === 'view' && message.code === 'busy') this.#handlers.message(message);
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

  #notResumed(problem) {
    const line = this.#line;
    if (problem.code === 'unknown-session') {
      // It was given up, or the server is a new one: we join anew, on the same line.
      this.#line = null;
      this.#end(problem, line);
    } else {
      line.close();
      this.#lineLost();
    }
  }

  #send(message) {
    this.#line?.send(message);
  }

  // Negotiation

  #open(iceServers) {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers });
    this.#pc = pc;
    pc.onicecandidate = ({ candidate }) => this.#trickle(candidate);
    pc.onconnectionstatechange = () => this.#watchPath();
    this.#own = new Own(pc, this.#devices);
    this.#timers.synchrony = setInterval(() => this.#keepTogether(), SYNCHRONY_MS);
    this.#negotiate();
  }

  async #negotiate() {
    if (this.#negotiating) {
      this.#negotiateAgain = true;
      return;
    }
    this.#negotiating = true;
    do {
      try {
        await this.#exchange();
        this.#failures = 0;
      } catch (error) {
        if (error === INTERRUPTED) this.#negotiateAgain = true;
        else await this.#failed(error);
      }
    } while (this.#negotiateAgain && !this.#ended);
    this.#negotiating = false;
  }

  async #exchange() {
    const pc = this.#pc;
    await this.#lost?.back;
    if (this.#ended) return;
    await this.#own.attach();
    // This offer has whatever was wanted until now.
    this.#negotiateAgain = false;
    const regroup = this.#addSlots() && GROUPS_LATE && pc.currentRemoteDescription !== null;
    if (!this.#begun) {
      // After the sections of media: the bundle goes by the first one, which has to be one that every server takes.
      this.#begun = true;
      this.#handlers.begin(pc);
    }
    this.#heldCandidates ??= [];
    await pc.setLocalDescription();
    if (this.#lost) throw INTERRUPTED;
    const id = ++this.#lastOffer;
    const answer = new Promise((resolve, reject) => { this.#answer = { id, resolve, reject }; });
    // Sections have names only now; the server learns what ours are before it sees them in the offer.
    this.#send({ type: 'sources', sources: this.#own.sources });
    this.#send({ type: 'offer', id, sdp: pc.localDescription.sdp });
    this.#releaseCandidates();
    const patience = setTimeout(
      () => this.#answer?.reject(new Problem('no-answer', 'The server did not answer the offer in time.')), PATIENCE_MS);
    try {
      const sdp = await answer;
      await pc.setRemoteDescription({ type: 'answer', sdp });
      if (regroup) {
        await pc.setLocalDescription();
        await pc.setRemoteDescription({ type: 'answer', sdp });
      }
    } finally {
      clearTimeout(patience);
      this.#answer = null;
    }
    if (this.#ended) return;
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

  #releaseCandidates() {
    const held = this.#heldCandidates ?? [];
    this.#heldCandidates = null;
    for (const candidate of held) this.#send(candidate);
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

  /**
   * Audio slot n and video slot n are a pair: the server gives them one msid, and always the same participant. True when some
   * were added.
   */
  #addSlots() {
    const steps = Math.ceil(Math.max(0, this.#missingSlots()) / STEP);
    for (let pair = 0; pair < steps * STEP; pair++) {
      for (const kind of ['audio', 'video']) {
        if (this.#slots(kind).length < roundUp(this.#needed[kind])) {
          const transceiver = this.#pc.addTransceiver(kind, { direction: 'recvonly' });
          preferCodecs(transceiver);
          if (kind === 'video') this.#synchrony.begin(transceiver.receiver);
        }
      }
    }
    return steps > 0;
  }

  async #keepTogether() {
    const [sounds, pictures] = ['audio', 'video'].map(kind => this.#slots(kind));
    const report = await this.#pc.getStats().catch(() => null);
    if (!report) return;
    const pairs = pictures.map((picture, n) => ({ sound: sounds[n]?.receiver, picture: picture.receiver }));
    this.#synchrony.heed(report, pairs.filter(({ sound }) => sound));
  }

  // Own sources

  #devicesChanged = async () => {
    if (!this.#pc) return;
    const changed = await this.#own.attach();
    if (this.#ended) return;
    if (changed) this.#negotiate();
    this.#tellMuted();
  };

  #tellMuted() {
    for (const kind of ['microphone', 'camera']) {
      const mid = this.#own.mid(kind);
      if (mid !== null) this.#send({ type: 'mute', mid, muted: !this.#devices.on[kind] });
    }
  }

  // The media path

  #watchPath() {
    const state = this.#pc.connectionState;
    if (state === 'connected') clearTimeout(this.#timers.path);
    // At once: after the last answer Chromium takes up to 8 s to say so and Firefox 13 s, and the server waits for 14 s.
    else if (state === 'disconnected') {
      // What took the path may have taken the line, too, which would notice it much later.
      if (!this.#lost) this.#line?.probe(PROBE_MS);
      this.#findPath();
    }
    else if (state === 'failed') this.#findPathAgain();
    this.#handlers.path(state);
  }

  /**
   * The machine has a network again, or another one. Sockets of the former address may never say that they are dead, and Chromium
   * waits for 7 s until it takes the path for lost.
   */
  #networkChanged = () => {
    if (!this.#pc || this.#ended) return;
    if (this.#lost) {
      // A dial under way may be one over the former network.
      clearTimeout(this.#timers.dial);
      this.#line.close();
      this.#lost.dials = 0;
      this.#redial();
    } else {
      this.#line?.probe(PROBE_MS);
    }
    this.#pc.restartIce();
    this.#negotiate();
  };

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

  #end(problem, line) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timers.path);
    clearTimeout(this.#timers.dial);
    clearInterval(this.#timers.synchrony);
    this.#lost?.found();
    this.#devices.removeEventListener('change', this.#devicesChanged);
    removeEventListener('online', this.#networkChanged);
    this.#answer?.reject(new Problem('ended', 'The session has ended.'));
    if (this.#pc) {
      this.#pc.onconnectionstatechange = null;
      this.#pc.onicecandidate = null;
      this.#pc.close();
    }
    this.#line?.close();
    this.#handlers.end(problem, line);
  }
}

const roundUp = count => Math.ceil(count / STEP) * STEP;
