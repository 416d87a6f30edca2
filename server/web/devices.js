import { Problem, deviceProblem, screenProblem } from './reasons.js';

const CONSTRAINTS = {
  microphone: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  camera: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } },
};
/** What browsers call these. */
const BROWSERS_KINDS = { microphone: 'audioinput', camera: 'videoinput', speaker: 'audiooutput' };

/** Of a screen also what can be heard, where the browser offers that; this page itself would be a picture in a picture. */
const SCREEN = {
  video: { frameRate: { ideal: 30, max: 30 } },
  audio: true,
  selfBrowserSurface: 'exclude',
  surfaceSwitching: 'include',
  systemAudio: 'include',
};

/** The person's own microphone, camera and screen. What is public is told in hyaline.d.ts. */
export class Devices extends EventTarget {
  microphone = null;
  camera = null;
  screen = null;
  screenAudio = null;
  on = { microphone: false, camera: false };
  chosen = { microphone: '', camera: '', speaker: '' };

  /** Raised by `close`: a person may take minutes to allow a device, and by then nobody may want it any more. */
  #generation = 0;
  /** Which devices are being changed for others: they are on or off as `on` says by the time the other one comes. */
  #replaced = new Set();

  async open({ microphone = true, camera = true } = {}) {
    const generation = this.#generation;
    const wanted = ['microphone', 'camera'].filter(what => ({ microphone, camera })[what]);
    if (wanted.length === 2 && await this.#acquireBoth()) return;
    for (const what of wanted) {
      if (generation === this.#generation) await this.#acquire(what);
    }
  }

  async set(what, on) {
    if (on === this.on[what]) return;
    if (!on) {
      this.on[what] = false;
      if (what === 'camera') this.#release(what);
      else if (this.microphone) this.microphone.enabled = false;
    } else if (this[what] || this.#replaced.has(what)) {
      this.on[what] = true;
      if (this[what]) this[what].enabled = true;
    } else {
      return this.#acquire(what);
    }
    this.#changed();
  }

  get canShare() {
    return !!navigator.mediaDevices?.getDisplayMedia;
  }

  track(kind) {
    return kind === 'screen-audio' ? this.screenAudio : this[kind];
  }

  async share() {
    const generation = this.#generation;
    let stream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia(SCREEN);
    } catch (error) {
      const problem = screenProblem(error);
      if (problem) this.dispatchEvent(new CustomEvent('problem', { detail: problem }));
      return;
    }
    if (generation !== this.#generation) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.#stopSharing();
    [this.screen = null] = stream.getVideoTracks();
    [this.screenAudio = null] = stream.getAudioTracks();
    // Letters want to be sharp rather than to move.
    if (this.screen && 'contentHint' in this.screen) this.screen.contentHint = 'detail';
    // The browser's own button for it.
    const { screen } = this;
    screen?.addEventListener('ended', () => { if (this.screen === screen) this.unshare(); });
    this.#changed();
  }

  unshare() {
    if (!this.screen && !this.screenAudio) return;
    this.#stopSharing();
    this.#changed();
  }

  #stopSharing() {
    for (const what of ['screen', 'screenAudio']) this.#release(what);
  }

  async list(what) {
    const all = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [];
    return all
      .filter(({ kind, deviceId }) => kind === BROWSERS_KINDS[what] && deviceId)
      .map(({ deviceId: id, label }) => ({ id, label }));
  }

  async choose(what, id) {
    this.chosen[what] = id;
    if (!this[what]) return;
    // First, since phones have one camera at a time.
    this.#release(what);
    await this.#replace(what);
    // The person may have chosen again while they were asked.
    if (this.chosen[what] !== id) await this.choose(what, this.chosen[what]);
  }

  close() {
    this.#generation++;
    this.#replaced.clear();
    for (const what of ['microphone', 'camera']) {
      this.on[what] = false;
      this.#release(what);
    }
    this.#stopSharing();
    this.#changed();
  }

  /** One question to the person instead of two. */
  async #acquireBoth() {
    try {
      await this.#ask(['microphone', 'camera']);
      return true;
    } catch {
      // One of them may work alone: the single requests tell which, and why the other does not.
      return false;
    }
  }

  /** Opens another one; whether it is on is up to the person until it comes. */
  async #replace(what) {
    const generation = this.#generation;
    this.#replaced.add(what);
    await this.#acquire(what);
    if (generation === this.#generation) this.#replaced.delete(what);
  }

  async #acquire(what) {
    const generation = this.#generation;
    try {
      await this.#ask([what]);
    } catch (error) {
      if (generation !== this.#generation) return;
      this.on[what] &&= !!this[what];
      this.dispatchEvent(new CustomEvent('problem', { detail: deviceProblem(what, error) }));
      this.#changed();
    }
  }

  /** Asks the person, and takes what they give unless everything was closed meanwhile. */
  async #ask(kinds) {
    const generation = this.#generation;
    const constraints = Object.fromEntries(kinds.map(what => [
      what === 'microphone' ? 'audio' : 'video',
      // A device that was taken away is no reason for none at all.
      { ...CONSTRAINTS[what], ...(this.chosen[what] && { deviceId: { ideal: this.chosen[what] } }) },
    ]));
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    for (const track of stream.getTracks()) {
      if (generation === this.#generation) this.#take(track);
      else track.stop();
    }
    if (generation === this.#generation) this.#changed();
  }

  #take(track) {
    const what = track.kind === 'audio' ? 'microphone' : 'camera';
    this.#release(what);
    this.on[what] ||= !this.#replaced.has(what);
    if (what === 'camera' && !this.on.camera) {
      // It was switched off meanwhile.
      track.stop();
      return;
    }
    this[what] = track;
    track.enabled = this.on[what];
    // Speech and moving people, in case the browser asks itself what to save first.
    if (what === 'camera' && 'contentHint' in track) track.contentHint = 'motion';
    track.addEventListener('ended', () => {
      if (this[what] === track) this.#unplugged(what);
    });
  }

  /** It was taken away while it was open: another one, if there is any. */
  async #unplugged(what) {
    this[what] = null;
    await this.#replace(what);
    if (!this[what]) return;
    const problem = new Problem(`${what}-changed`, `The ${what} was taken away. Another one is used now: ${this[what].label || 'the system’s own'}.`);
    this.dispatchEvent(new CustomEvent('problem', { detail: problem }));
  }

  #release(what) {
    const track = this[what];
    this[what] = null;
    track?.stop();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
