// The client of a Hyaline room. No dependencies; docs/client.md has an example, docs/signalling.md the protocol.

import { Files } from './files.js';
import { Participant } from './participant.js';
import { Problem } from './reasons.js';
import { Session } from './session.js';
import { placeFor } from './stores.js';
import { Talk } from './talk.js';
import { View } from './view.js';
import { LONGEST_TEXT, randomId } from './words.js';

export { Devices } from './devices.js';
export { SharedFile } from './files.js';
export { Participant } from './participant.js';
export { Problem } from './reasons.js';

/** How long to wait before trying to reach a lost server again: soon at first, then ever more patiently. */
const RETRY_MS = [300, 1_000, 2_000, 4_000, 8_000];
/**
 * Endings after which trying again by itself may help. The others are decisions of a person or of the server.
 *
 * The server may be away for as long as it likes.
 */
const AWAY = new Set(['server-lost', 'data-lost', 'unknown-session', 'server-unreachable', 'offline', 'shutdown']);
/**
 * It does not let us in: a server that starts or is overrun, or a room that is full because our former place in it is
 * kept: for 14 s after the last of our media, or 30 s if there was none.
 */
const NOT_YET = new Set(['full', 'busy', 'stopped', 'rate-limited', 'websocket-blocked']);
const NOT_YET_MS = 45_000;
/** It lets us in, but there is no media, or none any more. */
const NO_MEDIA = new Set(['silent', 'failed', 'busy', 'no-answer']);
/** Before each new try: until it fails too, the others see somebody who does not come in. */
const NO_MEDIA_MS = [5_000, 15_000, 30_000];
/**
 * Data channels that were open may end for good while media goes on, and not every browser says so. When none has opened for so long the
 * room is joined anew, as often as this in a row: without chat and files it is still a call.
 */
const DEAF_MS = [20_000, 60_000, 300_000];
const IN_A_ROW_MS = 600_000;

/** A room as this participant sees it. What is public is told in hyaline.d.ts. */
export class Room extends EventTarget {
  state = 'new';
  id = null;
  name;
  participants = new Map();
  dominant = null;
  speaking = null;
  hand = false;
  talk = 'closed';

  #url;
  #devices;
  #session = null;
  #view = new View(view => this.state === 'joined' && this.#session.tell({ type: 'view', ...view }));
  #slots = [];
  #layers = new Map(); // by mid: { rid, paused }
  #link = 'good';
  #interrupted = false;
  #path = 'new';
  #attempt = 0; // since media last flowed
  #withoutMedia = 0; // likewise
  #lostAt = 0;
  #deaf = { times: 0, at: -Infinity, timer: 0 }; // when we last joined anew for the data channels
  #wereOpen = false; // in this session
  #retry = 0;
  #settleJoin = null;
  #talk = new Talk({
    knows: id => this.participants.has(id),
    own: () => ({ hand: this.hand, files: this.#files.offered }),
    heard: (sender, message) => this.#hear(this.participants.get(sender), message),
    open: () => this.#files.askAgain(),
    state: state => {
      this.talk = state;
      this.#wereOpen ||= state === 'open';
      this.#listen();
      this.#emit('talk', state);
    },
  });
  #files = new Files(this.#talk.files, {
    tell: (message, receivers) => this.#talk.tell(message, receivers),
    name: id => this.participants.get(id)?.name ?? '',
    file: file => this.#emit('file', file),
    progress: file => this.#emit('progress', file),
  });

  constructor(url, { name, devices }) {
    super();
    const address = new URL(url, location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    this.#url = address.href;
    this.name = name;
    this.#devices = devices;
  }

  join() {
    this.#become('joining');
    return new Promise((resolve, reject) => {
      this.#settleJoin = { resolve, reject };
      this.#start();
    });
  }

  leave() {
    clearTimeout(this.#retry);
    if (this.#session) this.#session.leave();
    else this.#ended(null);
  }

  get interrupted() { return this.#interrupted; }

  async getStats() {
    return this.#session?.pc?.getStats() ?? null;
  }

  show(view) {
    this.#view.show(view);
  }

  raiseHand(raised) {
    if (raised === this.hand) return;
    this.hand = raised;
    this.#talk.tell({ type: 'hand', raised });
    this.#emit('hand', null);
  }

  say(text, to = []) {
    const said = { type: 'chat', id: randomId(), text: String(text).trim().slice(0, LONGEST_TEXT), at: Date.now() };
    if (!said.text || this.talk === 'unavailable') return;
    if (to.length > 0) said.private = true;
    if (!this.#talk.say(said, to)) {
      throw new Problem('too-much-unsent', 'Too much waits to be sent already. Say it when you are connected again.');
    }
    this.#emit('chat', { id: said.id, from: null, name: this.name, text: said.text, private: to.length > 0 });
  }

  get files() { return this.#files.all; }

  offerFile(file) {
    return this.#files.offer(file);
  }

  withdrawFile(file) {
    this.#files.withdraw(file);
  }

  async fetchFile(file) {
    const place = this.#files.isBegun(file) ? null : await placeFor(file);
    if (place || this.#files.isBegun(file)) this.#files.fetch(file, place);
  }

  pauseFile(file) {
    this.#files.pause(file);
  }

  cancelFile(file) {
    this.#files.cancel(file);
  }

  #start(line) {
    this.#session = new Session(this.#url, this.name, this.#devices, {
      message: message => this.#receive(message),
      begin: pc => this.#talk.begin(pc),
      negotiated: () => {
        this.#talk.settle(this.#session.pc);
        this.#arrange();
      },
      path: state => {
        if (state === 'connected') this.#attempt = this.#withoutMedia = 0;
        this.#path = state;
        this.#listen();
        this.#emit('path', state);
        this.#settle();
      },
      line: there => {
        this.#interrupted = !there;
        this.#listen();
        this.#settle();
        this.#emit('signalling', there ? 'open' : 'interrupted');
      },
      problem: problem => this.#emit('problem', problem),
      end: (problem, line) => this.#ended(problem, line),
    }, line);
  }

  /** Without messages and without media we are not in the room, whatever comes of it. */
  #settle() {
    if (this.state === 'joined' && this.#interrupted && this.#path !== 'connected') this.#become('returning');
    else if (this.state === 'returning' && this.#session && !this.#interrupted && this.id !== null) this.#become('joined');
  }

  /** Media flows, and so do messages: soon data channels should be open, too. */
  #listen() {
    const deaf = this.#deaf;
    clearTimeout(deaf.timer);
    if (this.#path !== 'connected' || this.#interrupted || this.talk !== 'closed' || !this.#wereOpen) return;
    if (performance.now() > deaf.at + IN_A_ROW_MS) deaf.times = 0;
    if (deaf.times === DEAF_MS.length) return;
    deaf.timer = setTimeout(() => {
      Object.assign(deaf, { times: deaf.times + 1, at: performance.now() });
      this.#session.leave(new Problem('data-lost', 'Chat and files were cut off. The room is joined anew for them.'));
    }, DEAF_MS[deaf.times]);
  }

  #receive(message) {
    switch (message.type) {
      case 'joined':
      case 'resumed': {
        this.id = message.participant;
        this.name = message.name ?? this.name;
        const there = new Set(message.participants.map(({ participant }) => participant));
        for (const id of [...this.participants.keys()]) if (!there.has(id)) this.#part(id);
        if (message.type === 'resumed') this.#forget();
        for (const each of message.participants) this.#meet(each.participant, each.name, each.sources);
        if (this.state !== 'joined') this.#become('joined');
        this.#view.again();
        this.#settleJoin?.resolve();
        this.#settleJoin = null;
        break;
      }
      case 'participant-joined':
        this.#meet(message.participant, message.name, message.sources);
        break;
      case 'participant-left':
        this.#part(message.participant);
        break;
      case 'sources': {
        const participant = this.participants.get(message.participant);
        if (!participant) break;
        participant.sources = message.sources;
        // It may be known only now what a slot carries.
        this.#arrange();
        this.#emit('update', participant);
        break;
      }
      case 'slots': {
        const before = new Map(this.#slots.map(slot => [slot.mid, slot]));
        this.#slots = message.slots;
        // What is known of a section is about what it carried.
        for (const { mid, participant, source } of this.#slots) {
          const had = before.get(mid);
          if (had?.participant !== participant || had?.source !== source) this.#layers.delete(mid);
        }
        this.#arrange();
        break;
      }
      case 'layer': {
        this.#layers.set(message.mid, { rid: message.rid, paused: message.paused });
        this.#arrange();
        const slot = this.#slots.find(({ mid }) => mid === message.mid);
        const participant = this.participants.get(slot?.participant);
        if (participant) this.#emit('update', participant);
        break;
      }
      case 'error': // about the view
        this.#view.refused();
        break;
      case 'link':
        this.#link = message.state;
        this.#emit('link', { state: message.state, trouble: message.trouble, loss: message.loss });
        break;
      case 'speakers':
        this.dominant = message.dominant;
        this.speaking = message.speaking.includes(this.id);
        for (const participant of this.participants.values()) participant.speaking = message.speaking.includes(participant.id);
        this.#emit('speakers', this.dominant);
        break;
      case 'undecodable': {
        const participant = this.participants.get(message.participant);
        if (!participant) break;
        participant.undecodable.add(message.source);
        this.#emit('update', participant);
        break;
      }
      case 'connection': {
        const participant = this.participants.get(message.participant);
        if (!participant) break;
        participant.connection = message.state;
        this.#emit('update', participant);
        break;
      }
    }
  }

  /** One of the others says something, past the server. */
  #hear(participant, message) {
    switch (message.type) {
      case 'state':
        // As it was when they came, or we did: nobody raises it now.
        if (participant.hand !== message.hand) {
          participant.hand = message.hand;
          this.#emit('update', participant);
        }
        this.#files.heard(participant.id, message);
        return;
      case 'hand':
        if (participant.hand === message.raised) return;
        participant.hand = message.raised;
        this.#emit('hand', participant);
        return;
      case 'chat':
        this.#emit('chat', { id: message.id, from: participant, name: participant.name, text: message.text, private: message.private });
        return;
      default:
        this.#files.heard(participant.id, message);
    }
  }

  /**
   * What was over while the line was cut is not told, and what still is so is told again after `resumed`. Participants are updated
   * as they are met again.
   */
  #forget() {
    this.#layers.clear();
    for (const participant of this.participants.values()) {
      participant.connection = 'connected';
      participant.undecodable.clear();
    }
    this.#arrange();
    this.#linkIsGood();
  }

  #linkIsGood() {
    if (this.#link === 'good') return;
    this.#link = 'good';
    this.#emit('link', { state: 'good', trouble: null, loss: 0 });
  }

  #meet(id, name, sources) {
    if (id === this.id) return;
    let participant = this.participants.get(id);
    if (participant) {
      Object.assign(participant, { name: name ?? participant.name, sources: sources ?? participant.sources });
      this.#emit('update', participant);
      return participant;
    }
    participant = new Participant(id, name, sources ?? []);
    if (this.speaking !== null) participant.speaking = false;
    this.participants.set(id, participant);
    this.#emit('participant', participant);
    this.#talk.met(id);
    return participant;
  }

  #part(id) {
    const participant = this.participants.get(id);
    if (!participant) return;
    this.participants.delete(id);
    participant.hold('camera', []);
    participant.hold('screen', []);
    this.#talk.left(id);
    this.#files.left(id);
    this.#emit('left', participant);
  }

  /** Puts each slot's track into the stream of the participant whom the slot carries now. */
  #arrange() {
    const held = new Map();
    for (const participant of this.participants.values()) participant.layers = {};
    for (const { mid, participant: id, name, source, muted } of this.#slots) {
      const transceiver = id === null || id === undefined ? null : this.#session?.slot(mid);
      if (!transceiver) continue;
      // Somebody who is only heard of by a slot (a publisher without a WebSocket) is a participant too.
      if (!this.participants.has(id)) this.#meet(id, name);
      // A shared screen is not the person: it does not belong into the stream of their voice and camera.
      const kind = this.participants.get(id)?.kindOf(source);
      const group = kind?.startsWith('screen') ? 'screen' : 'camera';
      if (kind && this.#layers.has(mid)) this.participants.get(id).layers[kind] = this.#layers.get(mid);
      if (!held.has(id)) held.set(id, { camera: [], screen: [] });
      held.get(id)[group].push({ receiver: transceiver.receiver, source, muted });
    }
    for (const [id, groups] of held) {
      for (const group of ['camera', 'screen']) this.#session?.arranged(`${group} of ${id}`, groups[group].map(({ receiver }) => receiver));
    }
    for (const participant of this.participants.values()) {
      const { camera, screen } = held.get(participant.id) ?? { camera: [], screen: [] };
      const changed = [participant.hold('camera', camera), participant.hold('screen', screen)];
      if (changed.includes(true)) this.#emit('update', participant);
    }
  }

  #ended(problem, line) {
    this.#session = null;
    this.#talk.end();
    this.#slots = [];
    this.#layers.clear();
    this.#interrupted = false;
    this.#path = 'new';
    this.#wereOpen = false;
    this.#listen();
    this.#linkIsGood();
    const spoke = this.speaking;
    this.dominant = this.speaking = null;
    if (spoke) this.#emit('speakers', null);
    for (const id of [...this.participants.keys()]) this.#part(id);
    const wasIn = this.state === 'joined';
    // What does not let us in has so long from when it last was there.
    if (wasIn || AWAY.has(problem?.code)) this.#lostAt = performance.now();
    if (problem && this.#mayComeBack(problem.code)) {
      // The room that is full may be so because of us.
      if (problem.code !== 'full' && !line) this.#emit('problem', problem);
      this.#become('returning');
      if (line) {
        this.#start(line);
        return;
      }
      const pause = NO_MEDIA.has(problem.code) && wasIn
        ? NO_MEDIA_MS[this.#withoutMedia - 1]
        : RETRY_MS[Math.min(this.#attempt++, RETRY_MS.length - 1)];
      this.#retry = setTimeout(() => this.#start(), pause);
      return;
    }
    if (this.state === 'left') return;
    this.#files.close();
    this.#become('left');
    this.#settleJoin?.reject(problem);
    this.#settleJoin = null;
    this.#emit('end', problem);
  }

  #mayComeBack(code) {
    switch (this.state) {
      case 'joined':
        return AWAY.has(code) || (NO_MEDIA.has(code) && ++this.#withoutMedia <= NO_MEDIA_MS.length);
      case 'returning':
        return AWAY.has(code) || (NOT_YET.has(code) && performance.now() < this.#lostAt + NOT_YET_MS);
      default:
        return false;
    }
  }

  #become(state) {
    this.state = state;
    this.#emit('state', state);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
