// The participants' tiles, and how they share the window.

import { grid, spotlight } from './layout.js';
import { trouble } from './measure.js';

/** How often the speakers' levels are looked at, and from which level on somebody speaks. */
const LEVEL_MS = 200;
const SPEAKING = 0.02;
/** Who is heard in as many looks in a row takes the large tile: a cough does not. */
const LOOKS = 3;
/** Of how many people pictures are wanted: a phone does well to decode fewer, and shows them small. */
const MANY = 49;
const FEW = 16;
/** Why a picture is not sent to us, by the `layer` message's word. */
const PAUSED = {
  loss: 'Picture paused: your connection loses too much',
  late: 'Picture paused: your connection or this device is seconds behind',
  hidden: 'Picture paused',
};
/** What is said on our own tiles of a picture that others see stand still. */
const STOPPED = { camera: 'Camera stopped: switch it off and on', screen: 'Screen stopped: share it again' };
/** A picture is never said to be longer than this, which the server would refuse. */
const LONGEST = 16_384;
const SMALL = matchMedia('(max-width: 760px), (max-height: 480px)');

/**
 * One tile per participant in a list element, one more for each screen that is shown, and the person's own, with which the list
 * ends: in the corner of the other one while there are two, among the others otherwise.
 *
 * In the grid all have one size; in the speaker view one is large: the pinned one, or a screen, or who spoke last.
 *
 * Events: `blocked` (the browser wants a click before it plays sound), `view` (the view, the pin or the sizes may have changed).
 */
export class Tiles extends EventTarget {
  #list;
  #own;
  #template;
  #ownScreen = null; // a tile, while we share
  #tiles = new Map(); // by participant: { camera, screen }
  #chosen = null; // 'grid' or 'speaker', once the person has chosen
  #pinned = null; // a tile
  #speaker = null; // a tile
  #large = null; // a tile
  #heard = new Map(); // by tile: in how many looks in a row
  #sink = '';

  constructor(list, template) {
    super();
    this.#list = list;
    this.#template = template;
    this.#own = new Tile(list.lastElementChild, null, 'camera');
    this.#preparePin(this.#own, 'yourself');
    // In the next frame: laying out from inside the observer can change what it observes, which browsers report as an error.
    new ResizeObserver(() => requestAnimationFrame(() => this.#lay())).observe(list);
    setInterval(() => this.#showSpeakers(), LEVEL_MS);
  }

  /** `grid` or `speaker`: what the person chose, or else what suits: a screen wants to be large. */
  get view() { return this.#chosen ?? (this.#pinned || this.#screens().length > 0 ? 'speaker' : 'grid'); }

  set view(view) {
    this.#chosen = view;
    if (view === 'grid') this.#pinned = null;
    this.#lay();
  }

  /** The loudspeaker that everybody is heard from, by its id; empty for the system's. */
  set sink(id) {
    this.#sink = id;
    for (const tile of this.#others()) setSink(tile.audio, id);
  }

  /** A call begins: what became of the camera in the one before is no news. */
  begin() { this.#own.gone = false; }

  /** Shows our own screen (a track), or no longer (null). */
  share(track) {
    const had = this.#ownScreen?.video.srcObject.getVideoTracks()[0] ?? null;
    if (had === track) return;
    if (this.#ownScreen) this.#discard(this.#ownScreen);
    this.#ownScreen = track && new Tile(this.#template.content.firstElementChild.cloneNode(true), null, 'screen');
    if (track) {
      const { element, video } = this.#ownScreen;
      element.classList.add('screen', 'pictured', 'own-screen');
      element.setAttribute('aria-label', 'Your screen, shared with the others');
      video.setAttribute('aria-label', 'Your screen');
      video.srcObject = new MediaStream([track]);
      say(element.querySelector('.name'), 'Your screen');
      this.#preparePin(this.#ownScreen, 'your screen');
      this.#own.element.before(element);
    }
    this.#lay();
  }

  /** Shows a new participant. */
  add(participant) {
    const tile = this.#make(participant, 'camera');
    this.#tiles.set(participant, { camera: tile, screen: null });
    this.#own.element.before(tile.element);
    paintAvatar(tile.element, participant.name);
    this.update(participant);
    this.#lay();
  }

  /** Shows what has changed about a participant. */
  update(participant) {
    const own = this.#tiles.get(participant);
    if (!own) return;
    const shares = participant.sends('screen') && participant.screen.getTracks().length > 0;
    if (shares && !own.screen) {
      own.screen = this.#make(participant, 'screen');
      this.#list.prepend(own.screen.element);
      this.#lay();
    } else if (!shares && own.screen) {
      this.#discard(own.screen);
      own.screen = null;
      this.#lay();
    }
    for (const tile of [own.camera, own.screen]) if (tile) this.#show(tile);
  }

  /** Shows who speaks, by what is known of it now: `dominant` is the participant who leads, if it is one of the others. */
  speakers(dominant) {
    this.#showSpeakers();
    const tile = this.#tiles.get(dominant)?.camera;
    if (!tile || tile === this.#speaker) return;
    this.#speaker = tile;
    if (this.view === 'speaker') this.#lay();
  }

  /**
   * What of it is seen, for Room.show: the pictures of who is in a tile that is too small to be one, or of a page that is in the
   * background, are seen by nobody.
   */
  get seen() {
    const others = this.#others();
    const pictures = others.flatMap(({ element, participant, kind }) => {
      const source = participant.sources.find(source => source.kind === kind)?.source;
      const scale = document.hidden ? 0 : devicePixelRatio;
      const [width, height] = [element.clientWidth, element.clientHeight].map(length => Math.min(LONGEST, Math.round(length * scale)));
      return source === undefined ? [] : [{ participant: participant.id, source, width, height }];
    });
    const pinned = this.#pinned?.participant ? [this.#pinned.participant.id] : [];
    const tiles = Math.min(Math.max(1, this.#tiles.size), SMALL.matches ? FEW : MANY);
    return { tiles, pinned, pictures };
  }

  /** Removes a participant. */
  remove(participant) {
    const own = this.#tiles.get(participant);
    if (!own) return;
    this.#tiles.delete(participant);
    for (const tile of [own.camera, own.screen]) if (tile) this.#discard(tile);
    this.#lay();
  }

  /** Plays everything with sound, from inside a click. */
  hear() {
    for (const { audio } of this.#others()) if (audio.srcObject) this.#play(audio);
  }

  /** Says on each tile what is wrong with what comes: `tracks` as Meter has them. */
  measure(tracks, now = performance.now()) {
    for (const tile of this.#others()) {
      const [picture] = tile.video.srcObject?.getVideoTracks() ?? [];
      const [sound] = tile.audio.srcObject?.getAudioTracks() ?? [];
      // A screen that nobody touches sends nothing; what has a veil says it there.
      const moves = tile.kind === 'camera' && tile.participant.sends('camera') && !tile.element.querySelector('.veil').textContent;
      const paused = PAUSED[tile.participant.layers[tile.kind]?.paused];
      const figures = tracks.get(picture?.id);
      // A slot may have stood still for long before it came to this tile, or was not to move.
      if (paused || !moves || tile.measured !== picture?.id) Object.assign(tile, { measured: picture?.id, since: now });
      const seen = figures && { ...figures, still: Math.min(figures.still, now - tile.since) };
      say(tile.element.querySelector('.sign'), paused ?? trouble(seen, tracks.get(sound?.id), moves));
    }
    for (const tile of this.#mine()) {
      const [track] = tile.video.srcObject?.getVideoTracks() ?? [];
      if (track && track !== tile.track) {
        Object.assign(tile, { track, gone: false });
        track.addEventListener('ended', () => { tile.gone ||= tile.track === track; });
      }
      // Browsers mute what gets no pictures: a camera that another program has taken, a window that is minimized.
      say(tile.element.querySelector('.sign'), track?.muted ? STOPPED[tile.kind] : tile.gone && !track ? 'Your camera was taken away' : '');
    }
  }

  /** Whose figures there are: [{ name, screen, picture, sound, layer }], with figures as in `measure`. */
  figures(tracks) {
    return this.#others().map(({ participant, kind, video, audio }) => {
      const of = element => tracks.get(element.srcObject?.getTracks().find(track => track.kind === element.localName)?.id);
      const screen = kind === 'screen';
      return { name: screen ? `${participant.name}’s screen` : participant.name, screen, picture: of(video), sound: of(audio), layer: participant.layers[kind]?.rid };
    });
  }

  #make(participant, kind) {
    const tile = new Tile(this.#template.content.firstElementChild.cloneNode(true), participant, kind);
    tile.element.classList.toggle('screen', kind === 'screen');
    for (const event of ['loadeddata', 'resize', 'emptied']) tile.video.addEventListener(event, () => this.update(participant));
    if (this.#sink) setSink(tile.audio, this.#sink);
    this.#preparePin(tile);
    return tile;
  }

  #discard(tile) {
    tile.video.srcObject = tile.audio.srcObject = null;
    tile.element.remove();
    this.#heard.delete(tile);
    if (this.#pinned === tile) this.#pinned = null;
    if (this.#speaker === tile) this.#speaker = null;
  }

  #preparePin(tile, name) {
    const button = tile.element.querySelector('.pin');
    if (name) button.setAttribute('aria-label', `Show ${name} large`);
    button.addEventListener('click', () => {
      this.#pinned = this.#pinned === tile ? null : tile;
      if (this.#pinned) this.#chosen = 'speaker';
      this.#lay();
    });
  }

  #show(tile) {
    const { element, video, audio, participant } = tile;
    const screen = tile.kind === 'screen';
    const lost = participant.connection === 'disconnected' || participant.connection === 'failed';
    const name = screen ? `${participant.name}’s screen` : participant.name;
    video.dataset[screen ? 'screen' : 'participant'] = participant.name;
    video.setAttribute('aria-label', `${screen ? 'Screen' : 'Camera'} of ${participant.name}`);
    say(element.querySelector('.name'), name);
    element.querySelector('.pin').setAttribute('aria-label', `Show ${name} large`);
    const sign = element.querySelector('.sign');
    const paused = PAUSED[participant.layers[tile.kind]?.paused] ?? '';
    if (paused || Object.values(PAUSED).includes(sign.textContent)) say(sign, paused);
    element.classList.toggle('raised', !screen && participant.hand);
    element.classList.toggle('silent', !screen && !participant.sends('microphone'));
    const visible = screen ? !participant.undecodableKinds.has('screen') : participant.sends('camera') && !participant.cannotBeSeen;
    element.classList.toggle('pictured', visible && video.videoWidth > 0);
    element.classList.toggle('lost', lost);
    say(element.querySelector('.veil'), lost
      ? 'Connection lost, waiting…'
      : screen && !visible
        ? `This browser cannot show ${name}.`
        : !screen && participant.cannotBeSeen
          ? `This browser cannot show ${participant.name}’s picture. You hear them all the same.`
          : '');
    element.setAttribute('aria-label', screen ? name : describe(participant, lost));
    // Not before there is something to play: an element that waits for it keeps the page from being loaded.
    const [whole, sound] = screen ? [participant.screen, participant.screenSound] : [participant.stream, participant.sound];
    if (whole.getTracks().length > 0) video.srcObject ??= whole;
    if (sound.getTracks().length > 0) audio.srcObject ??= sound;
    if (video.paused && video.srcObject) video.play().catch(() => {}); // its next event plays it
    if (audio.paused && audio.srcObject) this.#play(audio);
  }

  async #play(audio) {
    try {
      await audio.play();
    } catch (error) {
      // AbortError: the stream changed meanwhile; the next change plays it.
      if (error.name === 'NotAllowedError') this.dispatchEvent(new Event('blocked'));
    }
  }

  #mine() {
    return this.#ownScreen ? [this.#own, this.#ownScreen] : [this.#own];
  }

  #others() {
    return [...this.#tiles.values()].flatMap(({ camera, screen }) => (screen ? [camera, screen] : [camera]));
  }

  #screens() {
    return this.#others().filter(tile => tile.kind === 'screen');
  }

  /** What the server says of somebody stands; the rest is measured. */
  #showSpeakers() {
    let speaker = null;
    let measured = false;
    for (const { camera } of this.#tiles.values()) {
      const { participant } = camera;
      const told = participant.speaking !== null;
      measured ||= !told;
      const speaks = participant.sends('microphone') && (told ? participant.speaking : participant.audioLevel > SPEAKING);
      camera.element.classList.toggle('speaking', speaks);
      const looks = speaks ? (this.#heard.get(camera) ?? 0) + 1 : 0;
      this.#heard.set(camera, looks);
      if (looks >= LOOKS && (!speaker || looks > this.#heard.get(speaker))) speaker = camera;
    }
    // Who speaks keeps the large tile for as long as that lasts.
    if (!measured || !speaker || this.#heard.get(this.#speaker) > 0 || speaker === this.#speaker) return;
    this.#speaker = speaker;
    if (this.view === 'speaker') this.#lay();
  }

  #lay() {
    const others = this.#others();
    const inCorner = others.length === 1 && !this.#ownScreen && this.#pinned !== this.#own;
    const spot = this.view === 'speaker';
    this.#large = spot ? this.#pinned ?? this.#screens().at(-1) ?? this.#speaker ?? others[0] ?? this.#own : null;
    const elements = [...this.#list.children].filter(element => !inCorner || element !== this.#own.element);
    if (this.#large) elements.sort((a, b) => (b === this.#large.element) - (a === this.#large.element)); // which is stable
    const { clientWidth: width, clientHeight: height } = this.#list;
    const boxes = spot
      ? spotlight(elements.length, width, height, this.#large.kind === 'screen')
      : grid(elements.length, width, height);
    this.#own.element.classList.toggle('corner', inCorner);
    place(this.#own.element);
    elements.forEach((element, index) => {
      place(element, boxes[index]);
      element.classList.toggle('large', element === this.#large?.element);
    });
    for (const tile of [...others, ...this.#mine()]) {
      tile.element.querySelector('.pin').setAttribute('aria-pressed', String(tile === this.#pinned));
    }
    this.dispatchEvent(new Event('view'));
  }
}

class Tile {
  constructor(element, participant, kind) {
    Object.assign(this, { element, participant, kind, video: element.querySelector('video'), audio: element.querySelector('audio') });
  }
}

function place({ style }, { x, y, width, height } = {}) {
  const lengths = { left: x, top: y, width, height };
  for (const side in lengths) style[side] = lengths[side] === undefined ? '' : `${lengths[side]}px`;
}

/** What is said already is not said again. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A loudspeaker that is gone is no reason for silence: the element stays with the one it had. */
function setSink(audio, id) {
  audio.setSinkId?.(id).catch(() => {});
}

function describe(participant, lost) {
  const notes = [];
  if (lost) notes.push('connection lost');
  if (participant.hand) notes.push('hand raised');
  if (!participant.sends('microphone')) notes.push('microphone off');
  if (!participant.sends('camera')) notes.push('camera off');
  return [participant.name, ...notes].join(', ');
}

/** The first letters of a name on a colour that belongs to it. */
export function paintAvatar(tile, name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)].map(word => [...word][0]) : [...(words[0] ?? '')].slice(0, 1);
  tile.querySelector('.avatar span').textContent = letters.join('').toUpperCase();
  let hue = 0;
  for (const letter of name) hue = (hue * 31 + letter.codePointAt(0)) % 360;
  tile.style.setProperty('--hue', hue);
}
