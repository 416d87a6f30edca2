import { preferCodecs } from './codecs.js';

/** What a client can send, in the order of its sections. */
const KINDS = ['microphone', 'camera', 'screen', 'screen-audio'];
const isScreen = kind => kind.startsWith('screen');
const medium = kind => (kind === 'microphone' || kind === 'screen-audio' ? 'audio' : 'video');

/**
 * The camera in three sizes, smallest first: each viewer gets the one that fits their tile and their link. The rates are what a
 * talking head in 720p takes; a smaller camera has smaller layers.
 */
const LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];

/**
 * The media sections in which this client sends. Sections are never removed: one whose screen is shared no longer is inactive,
 * and carries the next screen.
 */
export class Own {
  #pc;
  #devices;
  #sections = new Map(); // by kind: transceivers
  #wishes = new Map(); // by mid: what is looked at of it, { active, rids }
  #setting = Promise.resolve(); // one setParameters at a time

  constructor(pc, devices) {
    this.#pc = pc;
    this.#devices = devices;
    // Sections for both are there from the start, with or without a device: switching one on later is no negotiation.
    for (const kind of ['microphone', 'camera']) this.#add(kind);
  }

  /** The name of the section for a kind of source, or null. */
  mid(kind) {
    return this.#sections.get(kind)?.mid ?? null;
  }

  /** Whether a transceiver is one of these. */
  has(transceiver) {
    return [...this.#sections.values()].includes(transceiver);
  }

  /** All that is sent, as the server wants to know it; sections have names once they are offered. */
  get sources() {
    return [...this.#sections]
      .filter(([, transceiver]) => transceiver.direction === 'sendonly')
      .map(([kind, { mid }]) => ({ mid, kind, muted: !isScreen(kind) && !this.#devices.on[kind] }));
  }

  /** Puts what there is now into the sections; resolves to whether that takes an offer. */
  async attach() {
    let changed = false;
    for (const kind of KINDS) {
      const track = this.#devices.track(kind);
      if (track && !this.#sections.has(kind)) {
        this.#add(kind);
        changed = true;
      }
      const transceiver = this.#sections.get(kind);
      if (!transceiver) continue;
      const direction = isScreen(kind) && !track ? 'inactive' : 'sendonly';
      if (transceiver.direction !== direction) {
        transceiver.direction = direction;
        changed = true;
      }
      if (transceiver.sender.track !== track) await transceiver.sender.replaceTrack(track).catch(() => {});
    }
    return changed;
  }

  /** What others look at: nobody at a section that is not `active`, and only at these layers of it (at all, if there are none). */
  wish(mid, active, rids) {
    this.#wishes.set(mid, { active, rids });
    this.settle();
  }

  /** Makes the encodings what was negotiated and is wished. Has to be called after each answer, too. */
  settle() {
    for (const [kind, transceiver] of this.#sections) {
      // A voice that nobody hears has to be heard by the server all the same, which chooses whom to hear.
      if (medium(kind) === 'audio') continue;
      // A browser that cannot change encodings sends them all.
      this.#setting = this.#setting.then(() => this.#settle(kind, transceiver)).catch(() => {});
    }
  }

  async #settle(kind, transceiver) {
    const answer = this.#pc.currentRemoteDescription;
    if (!answer || !transceiver.mid || transceiver.direction !== 'sendonly') return;
    const parameters = transceiver.sender.getParameters();
    const encodings = parameters.encodings ?? [];
    const before = JSON.stringify(encodings);
    const { active, rids } = this.#wishes.get(transceiver.mid) ?? { active: true, rids: [] };
    const layered = takesLayers(answer.sdp, transceiver.mid);
    encodings.forEach((encoding, index) => {
      encoding.active = active && (layered ? rids.length === 0 || !encoding.rid || rids.includes(encoding.rid) : index === 0);
      // Without simulcast the first layer is all that is sent, and has to be the whole picture.
      if (layered || kind !== 'camera' || !encoding.rid) return;
      encoding.scaleResolutionDownBy = 1;
      encoding.maxBitrate = LAYERS.at(-1).maxBitrate;
    });
    if (JSON.stringify(encodings) !== before) await transceiver.sender.setParameters(parameters);
  }

  #add(kind) {
    const transceiver = this.#transceiver(kind);
    preferCodecs(transceiver);
    this.#sections.set(kind, transceiver);
  }

  #transceiver(kind) {
    if (kind === 'camera') {
      try {
        // A copy: browsers may write into it, and older ones leave it aside.
        const sendEncodings = LAYERS.map(layer => ({ ...layer }));
        return this.#pc.addTransceiver('video', { direction: 'sendonly', sendEncodings });
      } catch {
        // One size, then.
      }
    }
    return this.#pc.addTransceiver(medium(kind), { direction: 'sendonly' });
  }
}

/** Whether an answer takes several layers in a section (RFC 8853 §5.1). */
function takesLayers(sdp, mid) {
  const section = sdp.split(/^m=/m).find(section => section.split(/\r?\n/).includes(`a=mid:${mid}`));
  return /^a=simulcast:.*\brecv /m.test(section ?? '');
}
