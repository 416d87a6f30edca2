import { Chat, UNAVAILABLE } from './chat.js';
import { offerChoices, recallChoices } from './choices.js';
import { takeDrops } from './drop.js';
import { Devices, Room } from './hyaline.js';
import { listenToKeys } from './keys.js';
import { Meter } from './measure.js';
import { recall, remember } from './memory.js';
import { News } from './news.js';
import { notice, withdraw, withdrawAll } from './notices.js';
import { showFigures } from './panel.js';
import { sweep } from './stores.js';
import { Tabs } from './tabs.js';
import { Tiles, paintAvatar } from './tiles.js';

const find = selector => document.querySelector(selector);
const all = selector => [...document.querySelectorAll(selector)];

const parameters = new URLSearchParams(location.search);
const roomName = decodeURIComponent(location.pathname.split('/').filter(Boolean).at(-1) ?? '');
const devices = new Devices();
const tiles = new Tiles(find('#tiles'), find('#tile'));
const chat = new Chat();
/** How often the browser's figures are read. */
const MEASURE_MS = 1_000;
let meter = new Meter();
let room = null;
let news;
/** Which devices to open again for who comes back. */
let devicesBefore;

// Parts of the page: lobby, call, end

function show(part) {
  document.body.dataset.state = part;
  for (const id of ['lobby', 'call', 'end']) find(`#${id}`).hidden = id !== part;
}

const END_TITLES = {
  kicked: 'You were removed from the room',
  'room-closed': 'The room was closed',
  replaced: 'The call goes on elsewhere',
  full: 'The room is full',
};

function showEnd(problem) {
  show('end');
  find('#end-title').textContent = problem ? END_TITLES[problem.code] ?? 'The call has ended' : 'You left';
  find('#end-reason').textContent = problem ? problem.message : 'You can come back at any time.';
  find('#again').focus();
}

// Own devices

const DEVICE_KEYS = { microphone: 'M', camera: 'V' };

devices.addEventListener('change', () => {
  for (const button of all('[data-device]')) {
    const what = button.dataset.device;
    const on = devices.on[what];
    // Its name stays, so that its state is said once.
    button.setAttribute('aria-pressed', String(on));
    button.title = `Switch the ${what} ${on ? 'off' : 'on'} (${DEVICE_KEYS[what]})`;
    button.classList.toggle('off', !on);
    button.querySelector('use').setAttribute('href', `#${what}${on ? '' : '-off'}`);
    if (on) withdrawDevice(what);
  }
  for (const video of all('[data-preview]')) {
    const track = devices.camera;
    if (video.srcObject?.getVideoTracks()[0] !== (track ?? undefined)) video.srcObject = track && new MediaStream([track]);
    video.closest('.tile').classList.toggle('pictured', !!track);
  }
  find('#own').classList.toggle('silent', !devices.on.microphone);
  const shares = !!devices.screen;
  find('#share').setAttribute('aria-pressed', String(shares));
  find('#share').title = shares ? 'Stop sharing the screen (S)' : 'Share the screen (S)';
  tiles.share(devices.screen);
});

devices.addEventListener('problem', ({ detail }) => {
  if (document.body.dataset.state === 'lobby') {
    const hint = find('#device-hint');
    // Both devices fail for the same reason on an insecure page: once is enough.
    if (!hint.textContent.includes(detail.message)) hint.textContent = `${hint.textContent} ${detail.message}`.trim();
    hint.dataset.code = detail.code;
  } else {
    notice(detail.code, detail.message);
  }
});

function withdrawDevice(what) {
  for (const end of ['denied', 'missing', 'busy', 'failed']) withdraw(`${what}-${end}`);
}

const toggle = what => devices.set(what, !devices.on[what]);
for (const button of all('[data-device]')) button.addEventListener('click', () => toggle(button.dataset.device));

const toggleShare = () => (devices.screen ? devices.unshare() : devices.share());
find('#share').hidden = !devices.canShare;
find('#share').addEventListener('click', toggleShare);

const inCall = () => document.body.dataset.state === 'call';
listenToKeys([
  { key: 'm', name: 'Microphone on or off', run: () => document.body.dataset.state !== 'end' && toggle('microphone') },
  { key: 'v', name: 'Camera on or off', run: () => document.body.dataset.state !== 'end' && toggle('camera') },
  { key: 's', name: 'Share the screen, or stop', run: () => inCall() && devices.canShare && toggleShare() },
  { key: 'h', name: 'Raise or lower your hand', run: () => inCall() && toggleHand() },
  { key: 'c', name: 'Chat and files', run: () => inCall() && chat.toggle() },
  { key: 'g', name: 'One size for all, or the speaker large', run: () => inCall() && toggleView() },
  { key: 'i', name: 'Figures of the call', run: () => inCall() && togglePanel() },
]);

// Files

takeDrops(find('#call'), find('#drop-veil'), {
  ready: inCall,
  take: files => chat.share(files),
  refuse: reason => notice('folder', reason),
});

// Choice of devices

recallChoices(devices);
for (const place of all('[data-choices]')) offerChoices(place, devices, id => { tiles.sink = id; });
if (devices.chosen.speaker) tiles.sink = devices.chosen.speaker;
find('#settings-button').addEventListener('click', () => find('#settings').showModal());
// What is said while a dialog is open is said in it: the rest of the page is out of reach.
const placeNotices = () => (all('dialog[open]').at(-1) ?? document.body).prepend(find('#notices'));
for (const dialog of all('dialog')) {
  new MutationObserver(placeNotices).observe(dialog, { attributeFilter: ['open'] });
  // A click beside it closes it.
  dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close(); });
}

// The same room in another tab

const tabs = new Tabs(roomName);
tabs.addEventListener('other', ({ detail }) => {
  if (!detail) withdraw('tabs');
  else notice('tabs', 'You are in this room in another tab, too.', 0, { label: 'Leave there', run: () => tabs.leaveThere() });
});
tabs.addEventListener('leave', () => room?.leave());

// Grid and speaker view

const toggleView = () => { tiles.view = tiles.view === 'grid' ? 'speaker' : 'grid'; };
find('#view').addEventListener('click', toggleView);
tiles.addEventListener('view', () => {
  const large = tiles.view === 'speaker';
  find('#view').setAttribute('aria-pressed', String(large));
  find('#view').title = large ? 'Show everybody in one size (G)' : 'Show the speaker large (G)';
  find('#view use').setAttribute('href', large ? '#view-grid' : '#view-speaker');
  look();
});
// The server sends what is looked at, as large as it is looked at.
const look = () => room?.show(tiles.seen);
document.addEventListener('visibilitychange', look);
tiles.addEventListener('blocked', () => {
  const run = () => {
    withdraw('hear');
    tiles.hear();
  };
  notice('hear', 'The browser plays no sound yet.', 0, { label: 'Tap to hear the others', run });
});

/** Reads the figures of the call once. */
async function measure() {
  const report = document.body.dataset.state === 'call' ? await room.getStats().catch(() => null) : null;
  if (!report) {
    meter = new Meter();
    return;
  }
  meter.read(report);
  tiles.measure(meter.tracks);
  if (!find('#panel').hidden) showFigures(find('#panel'), meter, tiles.figures(meter.tracks));
}

function togglePanel() {
  const panel = find('#panel');
  panel.hidden = !panel.hidden;
  find('#figures').setAttribute('aria-expanded', String(!panel.hidden));
  measure();
}
find('#figures').addEventListener('click', togglePanel);
setInterval(measure, MEASURE_MS);

// The call

async function join(name) {
  if (room && room.state !== 'left') return;
  showOwnName(name);
  tiles.begin();
  room = new Room(`/v1/rooms/${encodeURIComponent(roomName)}/ws`, { name, devices });
  room.addEventListener('participant', ({ detail }) => {
    tiles.add(detail);
    count();
  });
  room.addEventListener('update', ({ detail }) => {
    tiles.update(detail);
    if (!detail.hand) withdraw(`hand-${detail.id}`);
    look();
  });
  room.addEventListener('speakers', ({ detail }) => {
    tiles.speakers(room.participants.get(detail));
    find('#own').classList.toggle('speaking', room.speaking && devices.on.microphone);
  });
  room.addEventListener('left', ({ detail }) => {
    tiles.remove(detail);
    count();
  });
  room.addEventListener('hand', ({ detail }) => {
    if (!detail) {
      showOwnHand();
      return;
    }
    tiles.update(detail);
    if (detail.hand) notice(`hand-${detail.id}`, `${detail.name} raises a hand.`);
    else withdraw(`hand-${detail.id}`);
  });
  room.addEventListener('talk', showOwnHand);
  room.addEventListener('link', ({ detail }) => {
    if (detail.trouble === 'late') notice('link', 'Your connection or this device is seconds behind: sound only until it keeps up.', 0);
    else if (detail.state === 'audio-only') notice('link', 'Your connection loses too much: sound only for now. The picture is tried again in some seconds.', 0);
    else withdraw('link');
  });
  chat.begin(room);
  room.addEventListener('signalling', showSignalling);
  room.addEventListener('problem', ({ detail }) => notice(detail.code, detail.message));
  room.addEventListener('path', ({ detail }) => {
    document.body.dataset.path = detail;
    if (detail === 'connected') {
      for (const code of ['path', 'udp-blocked', 'connection-lost', 'no-network', 'loopback-only', 'no-server-address']) withdraw(code);
    } else if (detail === 'disconnected') {
      notice('path', 'The connection is interrupted. Waiting for it to come back…', 0);
    }
  });
  room.addEventListener('state', ({ detail }) => {
    showSignalling();
    if (detail === 'joined') tabs.inside = true;
    if (detail === 'returning') {
      withdraw('path'); // which says less
      notice('returning', 'The server is being looked for; you will be back in the room as soon as it answers.', 0);
    } else withdraw('returning');
    count();
  });
  room.addEventListener('end', ({ detail }) => {
    withdrawAll();
    for (const dialog of all('dialog[open]')) dialog.close();
    chat.toggle(false);
    tabs.inside = false;
    devicesBefore = { ...devices.on };
    devices.close();
    showEnd(detail);
  });
  news = new News();
  document.title = `${roomName} · Hyaline`;
  showOwnHand();
  show('call');
  count();
  await room.join().then(() => showOwnName(room.name), () => {}); // the end was shown
}

function showOwnName(name) {
  paintAvatar(find('#own'), name);
  find('[data-own-name]').textContent = `${name} (you)`;
}

/** Without media there is more to say, and it is said elsewhere. */
function showSignalling() {
  if (room.interrupted && room.state === 'joined') notice('interrupted', 'The connection for messages was interrupted; sound and picture go on.', 0);
  else withdraw('interrupted');
}

function showOwnHand() {
  const button = find('#hand');
  button.setAttribute('aria-pressed', String(room.hand));
  const silent = room.talk === 'unavailable';
  button.setAttribute('aria-disabled', String(silent));
  button.title = silent ? UNAVAILABLE : room.hand ? 'Lower your hand (H)' : 'Raise your hand (H)';
  find('#own').classList.toggle('raised', room.hand);
}

function toggleHand() {
  if (room.talk === 'unavailable') notice('talk-unavailable', UNAVAILABLE);
  else room.raiseHand(!room.hand);
}

function count() {
  news.tell(find('#news'), room);
  const others = room.participants.size;
  // Who is not in does not know who is.
  find('#alone').hidden = others > 0 || room.state !== 'joined';
  find('#count').textContent = others > 0 ? `${others + 1} people` : '';
}

/** The button that was clicked is gone, and the focus with it. */
function focusCall() {
  find('#call [data-device=microphone]').focus();
}

find('#join').addEventListener('submit', event => {
  event.preventDefault();
  const name = find('#name').value.trim();
  if (!name) return;
  remember('name', name);
  join(name);
  focusCall();
});

find('#hand').addEventListener('click', toggleHand);
find('#leave-call').addEventListener('click', () => room.leave());

find('#again').addEventListener('click', async () => {
  show('lobby');
  find('#device-hint').textContent = '';
  await devices.open(devicesBefore);
  join(find('#name').value.trim() || room?.name || 'Guest');
  focusCall();
});

for (const button of all('[data-invite]')) {
  button.addEventListener('click', async () => {
    const link = new URL(location.pathname, location.href).href;
    try {
      await navigator.clipboard.writeText(link);
      notice('invite', 'The link is copied. Send it to whom you want to meet.', 4_000);
    } catch {
      // The clipboard is for secure pages with permission only; the person can copy it from here.
      notice('invite', `The link to this room: ${link}`, 15_000);
    }
  });
}

// Closing the tab and reloading are leaving too: the others see it at once.
addEventListener('pagehide', () => {
  tabs.inside = false;
  room?.leave();
});
// A page taken back from the browser's cache has left: start anew.
addEventListener('pageshow', event => { if (event.persisted) location.reload(); });

// Start

for (const element of all('[data-room]')) element.textContent = roomName;
find('#name').value = parameters.get('name') ?? recall('name') ?? '';
paintAvatar(find('#preview'), find('#name').value);
find('#name').addEventListener('input', () => paintAvatar(find('#preview'), find('#name').value));
if (!find('#name').value) find('#name').focus();
// For programs that want to look inside, and for the curious.
globalThis.hyaline = { get room() { return room; }, devices };

devices.dispatchEvent(new Event('change'));
// When there is nothing better to do; Safari does not tell.
(globalThis.requestIdleCallback ?? setTimeout)(sweep);
await devices.open();
if (parameters.get('join') === '1') join(find('#name').value.trim() || 'Guest');
