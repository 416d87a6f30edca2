// Runs in the page before everything else and plays the server: a WebSocket that speaks the signalling protocol, and a
// peer connection in the same page that answers offers, draws moving pictures and hums. What the page sent is in
// `fake.received`. `scenario` is put before this text: { refuse, unreachable, noWebSocket, plain, offers, holdDevices,
// holdEcho, mute, drawnCamera, screenSound, refuseScreen, simulcast, noData, lacksChannels, people: [{ name, microphone, camera }] }. `clock` and
// `real` are those of clock.js.
const fake = globalThis.fake = {
  clock,
  received: [],
  sockets: 0,
  socket: null,
  people: [],
  slots: [],
  overlapping: 0,
  nextId: 1,

  /** Somebody joins, and gets a pair of slots if there is one. */
  arrive({ name, microphone = true, camera = true }) {
    const person = { participant: String(this.nextId++), name, sources: [] };
    if (microphone !== null) person.sources.push({ source: `${person.participant}-microphone`, kind: 'microphone', muted: !microphone });
    if (camera !== null) person.sources.push({ source: `${person.participant}-camera`, kind: 'camera', muted: !camera });
    this.people.push(person);
    this.send({ type: 'participant-joined', participant: person.participant, name });
    this.send({ type: 'sources', participant: person.participant, sources: person.sources });
    this.send({ type: 'connection', participant: person.participant, state: 'connected' });
    this.tellSlots();
    return person;
  },
  depart(name) {
    const person = this.people.find(each => each.name === name);
    this.people.splice(this.people.indexOf(person), 1);
    this.send({ type: 'participant-left', participant: person.participant, reason: 'left' });
    this.tellSlots();
  },
  /** Somebody shares a screen, with its sound, or stops doing so. */
  present(name, on = true) {
    const person = this.people.find(each => each.name === name);
    person.sources = person.sources.filter(({ kind }) => !kind.startsWith('screen'));
    for (const kind of on ? ['screen', 'screen-audio'] : []) person.sources.push({ source: `${person.participant}-${kind}`, kind, muted: false });
    this.send({ type: 'sources', participant: person.participant, sources: person.sources });
    this.tellSlots();
  },
  /** The server's address, as the page sees it, is gone or back. */
  unreachable: scenario.unreachable ?? false,
  /** It answers, but a WebSocket does not open. */
  noWebSocket: scenario.noWebSocket ?? false,
  /** A WebSocket neither opens nor fails; and how many have met that. */
  silent: false,
  swallowed: 0,
  /** What is wrong with a join: { code, message }. */
  refuse: scenario.refuse,
  /** What a plain request for the WebSocket's address gets: { status, code, detail }. */
  plain: scenario.plain ?? { status: 426, code: 'websocket-only', detail: 'This address is for WebSocket connections only.' },
  /**
   * What becomes of the next offers, in this order, before others are answered: an error { code, message }, 'silence'
   * (it was taken, and its answer is lost), or 'stale' (an error about an offer before it comes first).
   */
  offers: scenario.offers ?? [],
  /** With which `bye` a join is answered after a moment. */
  bye: null,
  /** The tracks that the page got, and the person who has been asked for them and not answered yet. */
  given: [],
  asked: [],
  allow() { for (const give of this.asked.splice(0)) give(); },
  /** From now on the person takes time: getUserMedia waits for `allow()`. */
  holdDevices() {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async constraints => {
      await new Promise(resolve => this.asked.push(resolve));
      const stream = await real(constraints);
      this.given.push(...stream.getTracks());
      return stream;
    };
  },
  /** The server is gone without a word, and media with it. */
  drop() {
    this.kept = null;
    this.socket.break();
  },
  /** The WebSocket breaks, and media goes on. */
  cut() {
    const { socket } = this;
    this.kept = { session: socket.session, peer: socket.peer };
    socket.peer = null;
    socket.break();
  },
  /** What can be resumed. */
  kept: null,
  sessions: 0,
  send(message) { this.socket?.deliver(message); },
  /** No picture is sent any more, or again. (For a track that is gone Firefox would go on with black ones.) */
  async freeze(frozen) {
    for (const { sender, receiver } of this.socket.peer.getTransceivers()) {
      if (receiver.track.kind !== 'video' || !sender.track) continue;
      const parameters = sender.getParameters();
      for (const encoding of parameters.encodings) encoding.active = !frozen;
      await sender.setParameters(parameters);
    }
  },
  sent(type) { return this.received.filter(message => message.type === type); },

  /** The page's ends of the lines of the room, by their labels: the newest open channels. */
  lines: {},
  opened: [], // the labels of all that were opened
  /** What the page said on the line `room`: { to: [id], ...message }, and on `files`: { to, bytes }. */
  heard: [],
  said(type) { return this.heard.filter(message => message.type === type); },
  id(name) { return this.people.find(each => each.name === name).participant; },
  /** Somebody says something on the line `room`: an object, or a text that may be anything. */
  tell(name, message) {
    this.lines.room.send(`${this.id(name)}\n${typeof message === 'string' ? message : JSON.stringify(message)}`);
  },
  /** Somebody sends part of a file, of which each byte is the lowest one of its place. */
  part(name, id, offset, length) {
    const body = [...id.match(/../g).map(byte => parseInt(byte, 16)), 0, 0, 0, 0, ...[24, 16, 8, 0].map(shift => (offset >> shift) & 255)];
    for (let index = 0; index < length; index++) body.push((offset + index) & 255);
    this.lines.files.send(Uint8Array.from([...new TextEncoder().encode(`${this.id(name)}\n`), ...body]));
  },
  /** Data channels end for good while media goes on, as when the server aborts what carries them: no script can have that done. */
  abort() {
    this.caller.createDataChannel = () => ({ readyState: 'connecting', close() {} });
    for (const line of Object.values(this.lines)) line.close();
  },
  /** The page's peer connection that opened data channels last. */
  caller: null,
  line(channel) {
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => {
      const text = typeof data === 'string' ? data : String.fromCharCode(...new Uint8Array(data).subarray(0, 1_000));
      const end = text.indexOf('\n');
      const to = text.slice(0, end).split(' ').filter(Boolean);
      this.heard.push(typeof data === 'string' ? { to, ...JSON.parse(text.slice(end + 1)) } : { to, bytes: [...new Uint8Array(data).subarray(end + 1)] });
    };
    const open = () => {
      this.lines[channel.label] = channel;
      this.opened.push(channel.label);
    };
    if (channel.readyState === 'open') open();
    else channel.onopen = open;
  },

  /** Person n has slots n of both kinds; a person who moves up moves to other sections. Screens have the slots after them. */
  tellSlots() {
    const slots = ['audio', 'video'].flatMap(kind => {
      const [own, screen] = kind === 'audio' ? ['microphone', 'screen-audio'] : ['camera', 'screen'];
      const carried = [own, screen].flatMap(wanted => this.people.map(person => {
        const source = person.sources.find(each => each.kind === wanted);
        return source && { participant: person.participant, name: person.name, source: source.source, muted: source.muted };
      }).filter((each, index) => each || wanted === own));
      const mids = this.slots.filter(slot => slot.kind === kind).map(slot => slot.mid);
      const nobody = { participant: null, name: null, source: null, muted: false };
      return mids.map((mid, index) => ({ mid, kind, ...(carried[index] ?? nobody) }));
    });
    this.send({ type: 'slots', slots });
  },
};

const RealWebSocket = globalThis.WebSocket;
globalThis.WebSocket = class FakeWebSocket {
  static CONNECTING = 0; static OPEN = 1; static CLOSING = 2; static CLOSED = 3;
  readyState = 0;
  peer = null;
  #answering = false;
  constructor(url) {
    this.url = url;
    fake.sockets++;
    clock.later(() => {
      if (this.readyState !== 0) return;
      if (fake.silent) return void fake.swallowed++;
      if (fake.unreachable || fake.noWebSocket) return this.break();
      fake.socket = this;
      this.readyState = 1;
      this.onopen?.({});
    }, 5);
  }
  send(text) {
    const message = JSON.parse(text);
    fake.received.push(message);
    clock.follow(this.#handle(message));
  }
  close() {
    this.readyState = 3;
    this.peer?.close();
    if (fake.socket === this) fake.socket = null;
  }
  break() {
    this.close();
    this.onclose?.({});
  }
  deliver(message) {
    clock.later(() => { if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(message) }); }, 0);
  }
  async #handle(message) {
    switch (message.type) {
      case 'join': {
        if (fake.refuse) return this.deliver({ type: 'error', re: 'join', ...fake.refuse });
        const everybody = fake.people.map(({ participant, name, sources }) => ({ participant, name, sources }));
        this.session = `session-${++fake.sessions}`;
        this.deliver({ type: 'joined', participant: 'me', name: message.name, room: 'test', participants: everybody, session: this.session, iceServers: [] });
        for (const { participant } of everybody) this.deliver({ type: 'connection', participant, state: 'connected' });
        if (fake.bye) this.deliver({ type: 'bye', ...fake.bye });
        return;
      }
      case 'resume': {
        if (fake.kept?.session !== message.session) {
          return this.deliver({ type: 'error', re: 'resume', code: 'unknown-session', message: 'There is no such session.' });
        }
        this.peer = fake.kept.peer;
        this.session = `session-${++fake.sessions}`;
        const participants = fake.people.map(({ participant, name, sources }) => ({ participant, name, sources }));
        this.deliver({ type: 'resumed', participant: 'me', name: 'Ada', room: 'test', participants, session: this.session, iceServers: [] });
        fake.tellSlots();
        return;
      }
      case 'offer': {
        if (this.#answering) fake.overlapping++;
        const fate = fake.offers.shift();
        if (fate?.code) return this.deliver({ type: 'error', re: 'offer', id: message.id, ...fate });
        if (fate === 'stale') this.deliver({ type: 'error', re: 'offer', id: message.id - 1, code: 'busy', message: 'Too late.' });
        this.#answering = true;
        const sdp = await this.#answer(message.sdp).catch(error => {
          // Who asked has left in the middle, which closed the peer connection.
          if (this.readyState === 1) throw error;
        });
        this.#answering = false;
        if (fate === 'silence' || this.readyState !== 1) return;
        this.deliver({ type: 'answer', id: message.id, sdp });
        fake.tellSlots();
        return;
      }
      case 'candidate':
        if (message.candidate) await this.peer?.addIceCandidate({ candidate: message.candidate, sdpMid: message.sdpMid }).catch(() => {});
        return;
      case 'ping':
        return this.deliver({ type: 'pong' });
    }
  }
  async #answer(sdp) {
    if (!this.peer) {
      this.peer = new RTCPeerConnection();
      this.peer.ondatachannel = ({ channel }) => fake.line(channel);
    }
    const { peer } = this;
    await peer.setRemoteDescription({ type: 'offer', sdp });
    fake.slots = [];
    const sections = sdp.split(/^m=/m).slice(1).filter(section => !section.startsWith('application'));
    for (const [index, transceiver] of peer.getTransceivers().entries()) {
      const wanted = sections[index].includes('a=recvonly');
      if (!wanted) continue;
      fake.slots.push({ mid: transceiver.mid, kind: transceiver.receiver.track.kind });
      transceiver.direction = 'sendonly';
      if (!transceiver.sender.track) {
        const track = transceiver.receiver.track.kind === 'audio' ? hum() : drawing(fake.slots.length);
        await transceiver.sender.replaceTrack(track);
      }
    }
    await peer.setLocalDescription();
    while (peer.iceGatheringState !== 'complete') await new Promise(done => peer.addEventListener('icegatheringstatechange', done, { once: true }));
    const answer = scenario.noData ? withoutData(peer.localDescription.sdp) : peer.localDescription.sdp;
    return scenario.simulcast ? this.#takeLayers(sdp, answer) : answer;
  }
  /** No browser receives simulcast, but one can say that it does. */
  #takeLayers(offer, answer) {
    const offered = offer.split(/^(?=m=)/m);
    return answer.split(/^(?=m=)/m).map((section, index) => {
      const rids = [...offered[index].matchAll(/^a=rid:(\S+) send/gm)].map(([, rid]) => rid);
      if (rids.length === 0) return section;
      const extension = offered[index].match(/^a=extmap:.*rtp-stream-id\r\n/m)?.[0].replace('/sendonly', '') ?? '';
      const known = /^a=extmap:.*:rtp-stream-id\r\n/m.test(section);
      return `${section}${known ? '' : extension}${rids.map(rid => `a=rid:${rid} recv\r\n`).join('')}a=simulcast:recv ${rids.join(';')}\r\n`;
    }).join('');
  }
};

/** An answer as of a server that has no data channels. */
function withoutData(answer) {
  const mid = answer.split(/^(?=m=)/m).find(section => section.startsWith('m=application'))?.match(/^a=mid:(\S+)/m)[1];
  return answer
    .replace(/^m=application \d+/m, 'm=application 0')
    .replace(/^a=group:BUNDLE.*$/m, group => group.split(' ').filter(each => each.trim() !== mid).join(' ').trim());
}

/** A moving picture: a person in front of a wall with drifting light. */
function drawing(seed) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [640, 360];
  const context = canvas.getContext('2d');
  const wall = (seed * 83 + 170) % 360;
  const skin = ['#e8b894', '#8d5a3b', '#f0cdb0', '#b97f57', '#5f3a26'][seed % 5];
  const shape = (colour, ...ellipses) => {
    context.fillStyle = colour;
    for (const [x, y, rx, ry, turn] of ellipses) {
      context.beginPath();
      context.ellipse(x, y, rx, ry, turn ?? 0, 0, 7);
      context.fill();
    }
  };
  let frame = seed * 40;
  real.setInterval(() => {
    frame++;
    const sway = Math.sin(frame / 25) * 12;
    const light = context.createLinearGradient(0, 0, 640, 360);
    light.addColorStop(0, `hsl(${wall} 28% ${76 + 5 * Math.sin(frame / 40)}%)`);
    light.addColorStop(1, `hsl(${wall + 30} 26% 46%)`);
    context.fillStyle = light;
    context.fillRect(0, 0, 640, 360);
    shape(`hsl(${wall + 20} 22% 20%)`, [320 + sway, 158, 82, 92], [320 + sway, 215, 88, 70]);
    shape(`hsl(${wall + 140} 32% 34%)`, [320 + sway / 3, 420, 180, 150]);
    shape(skin, [320 + sway / 2, 268, 34, 50], [320 + sway, 182, 62, 80, sway / 150]);
    shape(`hsl(${wall + 20} 22% 20%)`, [318 + sway, 112, 66, 34, -0.1], [296 + sway * 1.2, 178, 6, 7], [344 + sway * 1.2, 178, 6, 7]);
    shape('#9c4a44', [320 + sway * 1.2, 224, 18, 4 + 3 * Math.abs(Math.sin(frame / 4))]);
  }, 50);
  return canvas.captureStream(20).getVideoTracks()[0];
}

// What the person chose to share: a screen, with sound if `scenario.screenSound`. `fake.shared` are the streams.
fake.shared = [];
fake.refusedScreens = 0;
if (navigator.mediaDevices) {
  navigator.mediaDevices.getDisplayMedia = async () => {
    if (scenario.refuseScreen) {
      fake.refusedScreens++;
      throw new DOMException(scenario.refuseScreen, 'NotAllowedError');
    }
    const stream = new MediaStream([drawing(3), ...(scenario.screenSound ? [hum()] : [])]);
    fake.shared.push(stream);
    return stream;
  };
}

if (scenario.drawnCamera) {
  navigator.mediaDevices.getUserMedia = async () => new MediaStream([hum(), drawing(0)]);
}

let audio;
/** A quiet tone. */
function hum() {
  audio ??= new AudioContext();
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  const out = audio.createMediaStreamDestination();
  volume.gain.value = 0.2;
  tone.connect(volume).connect(out);
  tone.start();
  return out.stream.getAudioTracks()[0];
}

// The echo: a peer that sends back what it gets. With `holdEcho` it answers after `fake.answerEcho()`; with `mute` it
// sends nothing.
const realFetch = globalThis.fetch;
globalThis.fetch = async (address, options = {}) => {
  const path = new URL(address, location.href).pathname;
  if (path === '/v1/echo/1' && options.method === 'DELETE') {
    fake.received.push({ type: 'echo-end' });
    return new Response(null, { status: 200 });
  }
  if (path.startsWith('/v1/') && fake.unreachable) throw new TypeError('Failed to fetch');
  if (path.endsWith('/ws')) {
    const { status, ...problem } = fake.plain;
    return Response.json(problem, { status });
  }
  if (path !== '/v1/echo') return realFetch(address, options);
  if (scenario.refuse) return Response.json({ detail: scenario.refuse.message }, { status: 400 });
  fake.received.push({ type: 'echo', contentType: options.headers['content-type'], sdp: options.body });
  if (scenario.holdEcho) await new Promise(resolve => { fake.answerEcho = resolve; });
  const peer = fake.echo = new RTCPeerConnection();
  await peer.setRemoteDescription({ type: 'offer', sdp: options.body });
  for (const transceiver of peer.getTransceivers()) {
    if (scenario.mute) continue;
    transceiver.direction = 'sendrecv';
    await transceiver.sender.replaceTrack(transceiver.receiver.track);
  }
  await peer.setLocalDescription();
  while (peer.iceGatheringState !== 'complete') await new Promise(done => peer.addEventListener('icegatheringstatechange', done, { once: true }));
  return new Response(peer.localDescription.sdp, { status: 201, headers: { 'content-type': 'application/sdp', location: '/v1/echo/1' } });
};

// Firefox runs this in an empty page first, which has no devices.
if (scenario.holdDevices && navigator.mediaDevices) fake.holdDevices();

for (const person of scenario.people ?? []) {
  fake.people.push({ participant: String(fake.nextId), name: person.name, sources: [
    { source: `${fake.nextId}-microphone`, kind: 'microphone', muted: person.microphone === false },
    { source: `${fake.nextId++}-camera`, kind: 'camera', muted: person.camera === false },
  ] });
}

const { createDataChannel } = RTCPeerConnection.prototype;
RTCPeerConnection.prototype.createDataChannel = function (...given) {
  fake.caller = this;
  return createDataChannel.apply(this, given);
};
if (scenario.lacksChannels) delete RTCPeerConnection.prototype.createDataChannel;
