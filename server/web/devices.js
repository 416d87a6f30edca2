import { deviceProblem, screenProblem } from './reasons.js';

const CONSTRAINTS = {
  microphone: { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } },
  camera: { video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } } },
};

/** Of a screen also what can be heard, where the browser offers that; this page itself would be a picture in a picture. */
const SCREEN = {
  video: { frameRate: { ideal: 30, max: 30 } },
  audio: true,
  selfBrowserSurface: 'exclude',
  surfaceSwitching: 'include',
  systemAudio: 'include',
};

/**
 * The person's own microphone and camera, and the screen they share. A microphone that is off stays open and sends silence, so that it is on again at
 * once; a camera that is off is closed, so that its light goes out.
 *
 * Events: `change` (a track came or went, or was muted), `problem` (`detail` is a Problem).
 */
export class Devices extends EventTarget {
  /** The open microphone and camera: MediaStreamTrack or null. */
  microphone = null;
  camera = null;
  /** The screen that is shared and its sound: MediaStreamTrack or null. */
  screen = null;
  screenAudio = null;
  /** What is on as the person wants it. */
  on = { microphone: false, camera: false };

  /** Raised by `close`: a person may take minutes to allow a device, and by then nobody may want it any more. */
  #generation = 0;

  /** Opens what it is asked for; what fails is reported as a `problem` and is off. Resolves when that is settled. */
  async open({ microphone = true, camera = true } = {}) {
    const generation = this.#generation;
    const wanted = ['microphone', 'camera'].filter(what => ({ microphone, camera })[what]);
    if (wanted.length === 2 && await this.#acquireBoth()) return;
    for (const what of wanted) {
      if (generation === this.#generation) await this.#acquire(what);
    }
  }

  /** Switches the microphone or the camera on or off. */
  async set(what, on) {
    if (on === this.on[what]) return;
    if (!on) {
      this.on[what] = false;
      if (what === 'microphone') this.microphone.enabled = false;
      else this.#release(what);
    } else if (this[what]) {
      this.on[what] = true;
      this[what].enabled = true;
    } else {
      return this.#acquire(what);
    }
    this.#changed();
  }

  /** Whether this browser can share a screen at all: phones cannot. */
  get canShare() {
    return !!navigator.mediaDevices?.getDisplayMedia;
  }

  /** What there is of a kind of source (`microphone`, `camera`, `screen`, `screen-audio`): a track or null. */
  track(kind) {
    return kind === 'screen-audio' ? this.screenAudio : this[kind];
  }

  /** Asks the person for a screen to share; has to be called from inside a click. */
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

  /** Shares the screen no longer. */
  unshare() {
    if (!this.screen && !this.screenAudio) return;
    this.#stopSharing();
    this.#changed();
  }

  #stopSharing() {
    for (const what of ['screen', 'screenAudio']) this.#release(what);
  }

  /** Closes everything, also what is still being asked for. */
  close() {
    this.#generation++;
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
      await this.#ask({ ...CONSTRAINTS.microphone, ...CONSTRAINTS.camera });
      return true;
    } catch {
      // One of them may work alone: the single requests tell which, and why the other does not.
      return false;
    }
  }

  async #acquire(what) {
    const generation = this.#generation;
    try {
      await this.#ask(CONSTRAINTS[what]);
    } catch (error) {
      if (generation !== this.#generation) return;
      this.dispatchEvent(new CustomEvent('problem', { detail: deviceProblem(what, error) }));
      this.#changed();
    }
  }

  /** Asks the person, and takes what they give unless everything was closed meanwhile. */
  async #ask(constraints) {
    const generation = this.#generation;
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
    this[what] = track;
    this.on[what] = true;
    // Speech and moving people, in case the browser asks itself what to save first.
    if (what === 'camera' && 'contentHint' in track) track.contentHint = 'motion';
    track.addEventListener('ended', () => {
      if (this[what] !== track) return;
      this[what] = null;
      this.on[what] = false;
      this.dispatchEvent(new CustomEvent('problem', { detail: deviceProblem(what, { name: 'NotFoundError' }) }));
      this.#changed();
    });
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
