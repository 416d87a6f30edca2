import { deviceProblem } from './reasons.js';

const CONSTRAINTS = {
  microphone: { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } },
  camera: { video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } } },
};

/**
 * The person's own microphone and camera. A microphone that is off stays open and sends silence, so that it is on again at
 * once; a camera that is off is closed, so that its light goes out.
 *
 * Events: `change` (a track came or went, or was muted), `problem` (`detail` is a Problem).
 */
export class Devices extends EventTarget {
  /** The open microphone and camera: MediaStreamTrack or null. */
  microphone = null;
  camera = null;
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

  /** Closes everything, also what is still being asked for. */
  close() {
    this.#generation++;
    for (const what of ['microphone', 'camera']) {
      this.on[what] = false;
      this.#release(what);
    }
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
