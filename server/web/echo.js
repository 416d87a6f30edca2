import { Devices } from './devices.js';
import { figures } from './figures.js';
import { Problem, connectionProblem } from './reasons.js';

const find = selector => document.querySelector(selector);

/** The offer is sent complete; a network that answers nothing must not hold it up for ever. */
const GATHERING_MS = 3_000;
const CONNECT_MS = 15_000;
const FIGURES_MS = 1_000;
/** On a path that is there, pictures come back within a second. */
const RETURN_MS = 10_000;

let test = null;

/** Sets one line of the list: `wait`, `busy`, `good` or `bad`, with a sentence. */
function check(name, state, sentence) {
  const line = find(`[data-check=${name}]`);
  line.dataset.state = state;
  line.querySelector('use').setAttribute('href', `#${state}`);
  const hint = line.querySelector('.hint');
  // What is said already is not said again.
  if (hint.textContent !== sentence) hint.textContent = sentence;
}

/**
 * One run, from the camera to the end: every step says on its line what it found. It may be stopped at any time, also while
 * it waits for something, which then comes to nobody.
 */
class Test {
  #devices = new Devices();
  #pc = null;
  #resource = null;
  #timer = 0;
  #over = false;
  #earlier = null;
  #connectedAt = 0;

  async run() {
    await this.#openDevices();
    if (this.#over) return;
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.#pc = pc;
    const returned = new MediaStream();
    find('#returned').srcObject = returned;
    pc.ontrack = ({ track }) => returned.addTrack(track);
    for (const [kind, track] of [['audio', this.#devices.microphone], ['video', this.#devices.camera]]) {
      pc.addTransceiver(track ?? kind, { direction: 'sendrecv' });
    }
    await this.#exchange(pc);
    if (this.#over) return;
    await this.#connect(pc);
    if (this.#over) return;
    this.#timer = setInterval(() => this.#measure(), FIGURES_MS);
    await this.#measure();
  }

  stop() {
    this.#over = true;
    clearInterval(this.#timer);
    this.#pc?.close();
    this.#devices.close();
    this.#sayGoodbye();
    find('#sent').closest('.tile').classList.remove('pictured');
    find('#returned').closest('.tile').classList.remove('pictured');
  }

  /** What is not said goodbye to is forgotten by the server a little later. */
  #sayGoodbye() {
    if (this.#resource) fetch(this.#resource, { method: 'DELETE', keepalive: true }).catch(() => {});
    this.#resource = null;
  }

  async #openDevices() {
    check('devices', 'busy', 'Asking for your camera and microphone…');
    const problems = [];
    this.#devices.addEventListener('problem', ({ detail }) => problems.push(detail.message));
    await this.#devices.open();
    if (this.#over) return;
    const { camera, microphone } = this.#devices;
    if (camera) {
      find('#sent').srcObject = new MediaStream([camera]);
      find('#sent').closest('.tile').classList.add('pictured');
    }
    const names = [camera, microphone].filter(Boolean).map(track => track.label || track.kind);
    if (problems.length > 0) check('devices', 'bad', [...new Set(problems)].join(' '));
    else check('devices', 'good', `${names.join(' and ')}.`);
  }

  async #exchange(pc) {
    check('server', 'busy', 'Sending the server an offer…');
    await pc.setLocalDescription();
    await gathered(pc);
    if (this.#over) return;
    let response;
    try {
      response = await fetch('/v1/echo', {
        method: 'POST',
        headers: { 'content-type': 'application/sdp' },
        body: pc.localDescription.sdp,
      });
    } catch {
      throw fail('server', new Problem('server-unreachable', `The server at ${location.host} does not answer. Check that it is running.`));
    }
    if (!response.ok) {
      // RFC 9457: a problem's `detail` is a sentence.
      const { detail = response.statusText } = await response.json().catch(() => ({}));
      throw fail('server', new Problem('refused', `The server refused the offer (${response.status}): ${detail}`));
    }
    const resource = response.headers.get('location');
    this.#resource = resource && new URL(resource, location.href).href;
    if (this.#over) this.#sayGoodbye();
    const body = await response.text();
    if (this.#over) return;
    await pc.setRemoteDescription({ type: 'answer', sdp: body });
    if (this.#over) return;
    check('server', 'good', 'It answered the offer.');
  }

  async #connect(pc) {
    check('connection', 'busy', 'Looking for a path…');
    const began = performance.now();
    const state = await new Promise(resolve => {
      const settle = () => { if (['connected', 'failed', 'closed'].includes(pc.connectionState)) resolve(pc.connectionState); };
      pc.addEventListener('connectionstatechange', settle);
      setTimeout(() => resolve(pc.connectionState), CONNECT_MS);
      settle();
    });
    if (this.#over) return;
    if (state !== 'connected') {
      const problem = await connectionProblem(pc);
      if (this.#over) return;
      throw fail('connection', problem);
    }
    this.#connectedAt = performance.now();
    check('connection', 'good', `Connected and encrypted after ${Math.round(performance.now() - began)} ms.`);
    pc.addEventListener('connectionstatechange', async () => {
      const problem = pc.connectionState === 'connected' ? null : await connectionProblem(pc);
      if (this.#over) return;
      if (problem) check('connection', 'bad', problem.message);
      else check('connection', 'good', 'Connected again.');
    });
    check('picture', 'busy', 'Waiting for the first picture…');
  }

  async #measure() {
    if (this.#over) return;
    const now = figures(await this.#pc.getStats(), this.#earlier);
    if (this.#over) return;
    this.#earlier = now;
    const list = find('#figures');
    list.hidden = false;
    list.replaceChildren(...now.lines.map(({ name, value, note }) => {
      const entry = document.createElement('div');
      const term = entry.appendChild(document.createElement('dt'));
      const figure = entry.appendChild(document.createElement('dd'));
      term.textContent = name;
      figure.textContent = value;
      if (note) figure.appendChild(document.createElement('small')).textContent = note;
      return entry;
    }));
    find('#returned').closest('.tile').classList.toggle('pictured', now.framesDecoded > 0);
    const { camera, microphone } = this.#devices;
    const sent = [camera && 'your picture', microphone && 'your sound'].filter(Boolean);
    const missing = [
      camera && now.framesDecoded === 0 && 'your picture',
      microphone && now.audioPackets === 0 && 'your sound',
    ].filter(Boolean);
    if (sent.length === 0) {
      check('picture', 'bad', 'Neither a camera nor a microphone is open, so nothing can come back.');
    } else if (missing.length === 0) {
      check('picture', 'good', `${sentence(sent)} came back.`);
    } else if (performance.now() > this.#connectedAt + RETURN_MS) {
      check('picture', 'bad', `${sentence(missing)} did not come back within ${RETURN_MS / 1000} s, although the connection is there. Test again; if it stays so, try another network.`);
    }
    find('#listen').hidden = !microphone || now.audioPackets === 0;
  }
}

/** The beginning of a sentence: these, joined by "and". */
function sentence(things) {
  const text = things.join(' and ');
  return text[0].toUpperCase() + text.slice(1);
}

/** Marks a line as failed and hands the problem on. */
function fail(name, problem) {
  check(name, 'bad', problem.message);
  return problem;
}

function gathered(pc) {
  return new Promise(resolve => {
    const settle = () => { if (pc.iceGatheringState === 'complete') resolve(); };
    pc.addEventListener('icegatheringstatechange', settle);
    setTimeout(resolve, GATHERING_MS);
    settle();
  });
}

async function start() {
  for (const name of ['devices', 'server', 'connection', 'picture']) check(name, 'wait', 'Not tested yet.');
  find('#start').textContent = 'Stop';
  test = new Test();
  const running = test;
  try {
    await running.run();
  } catch (problem) {
    if (running !== test) return;
    if (!(problem instanceof Problem)) fail('server', new Problem('failed', `The test could not go on (${problem.message}).`));
    stop();
  }
}

function stop() {
  test?.stop();
  test = null;
  find('#start').textContent = 'Start the test';
  find('#listen').hidden = true;
  listen(false);
  for (const line of document.querySelectorAll('[data-check][data-state=busy]')) check(line.dataset.check, 'wait', 'Stopped.');
}

/** The person hears what comes back, or not. */
function listen(on) {
  const returned = find('#returned');
  returned.muted = !on;
  if (on) returned.play().catch(() => {});
  find('#listen').textContent = on ? 'Stop hearing myself' : 'Hear myself (use headphones)';
}

find('#start').addEventListener('click', () => (test ? stop() : start()));
find('#listen').addEventListener('click', () => listen(find('#returned').muted));
addEventListener('pagehide', () => stop());

if (new URLSearchParams(location.search).get('start') === '1') start();
