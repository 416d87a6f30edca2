// The other participants' tiles, and how they share the window.

const GAP = 12;
/** A tile is never narrower or wider than this (width by height); its video, which mostly is as wide as the widest, is cut. */
const NARROWEST = 1 / 2;
const WIDEST = 16 / 9;
/** How often the speakers' levels are looked at, and from which level on somebody speaks. */
const LEVEL_MS = 200;
const SPEAKING = 0.02;

/**
 * One tile per participant in a list element, and the person's own, which the list ends with: in the corner of the other one
 * while there are two, among the others otherwise. `blocked` is told when the browser wants a click before it plays sound.
 */
export class Tiles {
  #list;
  #own;
  #template;
  #blocked;
  #tiles = new Map(); // by participant

  constructor(list, template, blocked) {
    this.#list = list;
    this.#own = list.lastElementChild;
    this.#template = template;
    this.#blocked = blocked;
    // In the next frame: laying out from inside the observer can change what it observes, which browsers report as an error.
    new ResizeObserver(() => requestAnimationFrame(() => this.#lay())).observe(list);
    setInterval(() => this.#showSpeakers(), LEVEL_MS);
  }

  /** Shows a new participant. */
  add(participant) {
    const tile = this.#template.content.firstElementChild.cloneNode(true);
    const video = tile.querySelector('video');
    video.dataset.participant = participant.name;
    video.srcObject = participant.stream;
    for (const event of ['loadeddata', 'resize', 'emptied']) video.addEventListener(event, () => this.update(participant));
    this.#tiles.set(participant, tile);
    this.#own.before(tile);
    paintAvatar(tile, participant.name);
    this.update(participant);
    this.#lay();
  }

  /** Shows what has changed about a participant. */
  update(participant) {
    const tile = this.#tiles.get(participant);
    if (!tile) return;
    const video = tile.querySelector('video');
    const lost = participant.connection === 'disconnected' || participant.connection === 'failed';
    video.dataset.participant = participant.name;
    video.setAttribute('aria-label', `Camera of ${participant.name}`);
    tile.querySelector('.name').textContent = participant.name;
    tile.classList.toggle('silent', !participant.sends('microphone'));
    tile.classList.toggle('pictured', participant.sends('camera') && !participant.cannotBeSeen && video.videoWidth > 0);
    tile.classList.toggle('lost', lost);
    tile.querySelector('.veil').textContent = lost
      ? 'Connection lost, waiting…'
      : participant.cannotBeSeen
        ? `This browser cannot show ${participant.name}’s picture. You hear them all the same.`
        : '';
    tile.setAttribute('aria-label', describe(participant, lost));
    if (video.paused && participant.stream.getTracks().length > 0) this.#play(video);
  }

  /** Removes a participant. */
  remove(participant) {
    const tile = this.#tiles.get(participant);
    if (!tile) return;
    tile.querySelector('video').srcObject = null;
    tile.remove();
    this.#tiles.delete(participant);
    this.#lay();
  }

  /** Plays everything with sound, from inside a click. */
  hear() {
    for (const tile of this.#tiles.values()) {
      const video = tile.querySelector('video');
      video.muted = false;
      this.#play(video);
    }
  }

  async #play(video) {
    try {
      await video.play();
    } catch (error) {
      // AbortError: the stream changed meanwhile; its next event plays it.
      if (error.name !== 'NotAllowedError' || video.muted) return;
      // The picture may play before a click, the sound may not.
      video.muted = true;
      this.#blocked();
      video.play().catch(() => {});
    }
  }

  #showSpeakers() {
    for (const [participant, tile] of this.#tiles) {
      tile.classList.toggle('speaking', participant.sends('microphone') && participant.audioLevel > SPEAKING);
    }
  }

  /** Chooses the number of columns that shows the most. */
  #lay() {
    const inCorner = this.#tiles.size === 1;
    this.#own.classList.toggle('corner', inCorner);
    const count = inCorner ? 1 : this.#tiles.size + 1;
    const { clientWidth: width, clientHeight: height } = this.#list;
    if (width === 0) return;
    let best = { worth: 0 };
    for (let columns = 1; columns <= count; columns++) {
      const rows = Math.ceil(count / columns);
      let w = (width - GAP * (columns - 1)) / columns;
      let h = (height - GAP * (rows - 1)) / rows;
      w = Math.min(w, h * WIDEST);
      h = Math.min(h, w / NARROWEST);
      // A tile that cuts much of its picture is worth less than its size.
      const worth = w * h * Math.sqrt(w / h / WIDEST);
      if (worth > best.worth) best = { worth, w, h };
    }
    this.#list.style.setProperty('--tile-width', `${Math.floor(best.w)}px`);
    this.#list.style.setProperty('--tile-height', `${Math.floor(best.h)}px`);
  }
}

function describe(participant, lost) {
  const notes = [];
  if (lost) notes.push('connection lost');
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
