// Why something failed, in sentences that say what to do.

/** Something went wrong. `message` is a sentence for people; `code` is for programs and never changes. */
export class Problem extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'Problem';
    this.code = code;
  }
}

const DEVICES = { microphone: 'the microphone', camera: 'the camera' };

/** Why a microphone or camera (`what`) did not open: from getUserMedia's error, or from the lack of getUserMedia. */
export function deviceProblem(what, error) {
  const device = DEVICES[what];
  const Device = device[0].toUpperCase() + device.slice(1);
  if (!globalThis.isSecureContext || !navigator.mediaDevices) {
    return new Problem('insecure-context',
      `Browsers allow ${device} only on secure pages. Open this page by https, or on the server's own machine as http://localhost. You can still watch and listen.`);
  }
  switch (error?.name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return new Problem(`${what}-denied`,
        `This page may not use ${device}. Allow it in the browser's address bar, then switch it on here.`);
    case 'NotFoundError':
      return new Problem(`${what}-missing`, `${Device} was not found. Connect one, then switch it on here.`);
    case 'NotReadableError':
    case 'AbortError':
      return new Problem(`${what}-busy`,
        `${Device} cannot be opened. Another program may be using it: close that one, then switch it on here.`);
    default:
      return new Problem(`${what}-failed`, `${Device} cannot be used (${error?.name ?? 'unknown'}: ${error?.message ?? 'no reason given'}).`);
  }
}

/** Why no screen was shared, or null if the person simply did not want to. */
export function screenProblem(error) {
  // A person who closes the browser's question and one who forbade it are told apart by nothing but the words of some browsers.
  if (error?.name === 'NotAllowedError' && !/system/i.test(error.message)) return null;
  if (error?.name === 'NotAllowedError') {
    return new Problem('screen-denied', 'The system does not let this browser record the screen. Allow it in the system’s settings for privacy, then share again.');
  }
  return new Problem('screen-failed', `The screen cannot be shared (${error?.name ?? 'unknown'}: ${error?.message ?? 'no reason given'}).`);
}

/** How long a server may take to say why it opens no WebSocket. */
const ANSWER_MS = 4_000;

/** Why a WebSocket did not open. Browsers tell a page nothing about that, so the same address is asked without one. */
export async function unreachable(url) {
  if (navigator.onLine === false) {
    return new Problem('offline', 'This device is offline: connect it to a network.');
  }
  const { host } = new URL(url);
  const answer = await Promise.race([
    fetch(url.replace(/^ws/, 'http')).catch(() => null),
    new Promise(resolve => setTimeout(resolve, ANSWER_MS, null)),
  ]);
  if (!answer) {
    return new Problem('server-unreachable',
      `The server at ${host} does not answer. Check that it is running and that this device can reach it.`);
  }
  // RFC 9457: a problem's `detail` is a sentence.
  const { code = 'server-unreachable', detail = answer.statusText, host: arrived } = await answer.json().catch(() => ({}));
  if (answer.status === 426) { // what it wants is a WebSocket, which is what it was asked for
    if (arrived && arrived !== host && host === location.host) {
      // A proxy asks it for another host than the page has, so that it takes the page for a stranger's.
      return new Problem('foreign-origin',
        `The server takes this page for one of another site, since it is asked as ${arrived}. Whoever runs it can start it with --allow-origin ${location.origin}, or let the proxy in front of it pass on the Host header.`);
    }
    return new Problem('websocket-blocked',
      `The server at ${host} answers, but a WebSocket to it does not open. Something on the way (a proxy, an extension) may not let it pass; try another network.`);
  }
  return new Problem(code, `The server at ${host} refused the connection (${answer.status}): ${detail}`);
}

/** Why no media path came about (or the one there was is lost): the most likely reason that the connection's figures show. */
export async function connectionProblem(pc) {
  const stats = [...(await pc.getStats()).values()];
  const of = type => stats.filter(entry => entry.type === type);
  const local = of('local-candidate');
  const remote = of('remote-candidate');
  const pairs = of('candidate-pair');
  const transport = of('transport')[0];
  const places = [...new Set(remote.map(candidate => place(candidate)))].join(', ');
  const answered = pairs.some(pair => pair.responsesReceived > 0);

  if (transport?.dtlsState === 'failed') {
    return new Problem('encryption-failed',
      'The server was reached, but no encryption could be agreed with it. Something on the way may be changing the data; try another network.');
  }
  if (answered) {
    return new Problem('connection-lost',
      'The path to the server was there and is silent now. It is tried again; if that does not help, check this device’s network.');
  }
  if (local.length === 0) {
    return new Problem('no-network', 'The browser found no network that it may use for calls. Check this device’s network, and extensions that block WebRTC.');
  }
  if (remote.length === 0) {
    return new Problem('no-server-address', 'The server named no address for media. Start it with --announce and an address that this device can reach.');
  }
  if (remote.every(candidate => isLoopback(candidate.address ?? candidate.ip))) {
    return new Problem('loopback-only',
      'The server named only its own loopback address, which Firefox (and any other machine) cannot use. Start it with --announce and the machine’s address.');
  }
  return new Problem('udp-blocked',
    `Media does not get through to the server (${places}). A firewall probably blocks UDP, or the address is not right for this network: the server's --announce sets it.`);
}

function place(candidate) {
  const address = candidate.address ?? candidate.ip ?? 'a hidden address';
  return `${(candidate.protocol ?? 'udp').toUpperCase()} ${address.includes(':') ? `[${address}]` : address}:${candidate.port}`;
}

function isLoopback(address) {
  return !!address && (address === '::1' || address.startsWith('127.'));
}
