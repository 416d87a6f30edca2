// What the browser's figures say of each track that comes, second by second.

/** A picture that should move and has not done so for this long is frozen. */
const FROZEN_MS = 2_000;
/** Loss is looked at over this long: one lost packet of one second says nothing. */
const LOSS_MS = 5_000;

/**
 * Turns reports of one call (RTCStatsReport, about one per second) into rates. `tracks` has an entry for each track that comes, by
 * its id: { kind, width, height, framesPerSecond, bitrate, loss, still }. `still` is for how long no frame was decoded, in
 * milliseconds. `own` has one for each encoding that is sent: { kind, mid, rid, width, height, framesPerSecond, bitrate }. `up` and `down` are all of what is sent and received, in bits per second; `roundTrip` is in seconds.
 */
export class Meter {
  tracks = new Map();
  own = [];
  up = 0;
  down = 0;
  sent = 0; // sections that send something
  roundTrip;

  #earlier = new Map(); // by the entry's id
  #at = 0;

  read(report, now = performance.now()) {
    const entries = [...report.values()];
    const seconds = (now - this.#at) / 1_000;
    const rates = this.#at > 0 && seconds > 0;
    const earlier = this.#earlier;
    this.#earlier = new Map();
    this.#at = now;
    this.tracks = new Map();
    this.own = [];
    this.up = this.down = this.sent = 0;
    for (const entry of entries) {
      if (entry.type !== 'inbound-rtp' && entry.type !== 'outbound-rtp') continue;
      const inbound = entry.type === 'inbound-rtp';
      const bytes = (inbound ? entry.bytesReceived : entry.bytesSent) ?? 0;
      const before = earlier.get(entry.id);
      const known = { bytes, frames: entry.framesDecoded ?? 0, movedAt: now, history: [] };
      this.#earlier.set(entry.id, known);
      const bitrate = rates && before ? Math.max(0, bytes - before.bytes) * 8 / seconds : 0;
      if (!inbound) {
        this.up += bitrate;
        if (bitrate > 0) this.sent++;
        const { kind, mid, rid = '', frameWidth: width = 0, frameHeight: height = 0, framesPerSecond = 0 } = entry;
        this.own.push({ kind, mid, rid, width, height, framesPerSecond, bitrate });
        continue;
      }
      this.down += bitrate;
      if (before && before.frames === known.frames) known.movedAt = before.movedAt;
      known.history = (before?.history ?? []).filter(each => each.at > now - LOSS_MS);
      known.history.push({ at: now, received: entry.packetsReceived ?? 0, lost: entry.packetsLost ?? 0 });
      this.tracks.set(entry.trackIdentifier, {
        kind: entry.kind,
        width: entry.frameWidth ?? 0,
        height: entry.frameHeight ?? 0,
        framesPerSecond: entry.framesPerSecond ?? (rates && before ? (known.frames - before.frames) / seconds : 0),
        bitrate,
        loss: loss(known.history),
        still: now - known.movedAt,
      });
    }
    const transport = entries.find(entry => entry.type === 'transport');
    // Firefox has no transport entry to name the pair in use.
    const pair = (transport?.selectedCandidatePairId && report.get(transport.selectedCandidatePairId))
      || entries.find(entry => entry.type === 'candidate-pair' && entry.selected);
    this.roundTrip = pair?.currentRoundTripTime;
  }
}

function loss(history) {
  const [first, last] = [history[0], history.at(-1)];
  // A late packet that comes after all is taken off again, so that it may go down.
  const lost = Math.max(0, last.lost - first.lost);
  const all = lost + Math.max(0, last.received - first.received);
  return all > 0 ? lost / all : 0;
}

/**
 * What is wrong with what comes of somebody, in a few words, or an empty text. `moves`: whether a picture is expected that always
 * moves.
 */
export function trouble(picture, sound, moves) {
  if (moves && picture && picture.still >= FROZEN_MS) {
    const seconds = Math.floor(picture.still / 1_000);
    return picture.width ? `Picture frozen: nothing new came for ${seconds} s` : 'Waiting for the picture…';
  }
  const worst = Math.max(picture?.loss ?? 0, sound?.loss ?? 0);
  return worst > 0.05 ? `Weak link: ${Math.round(100 * worst)} % is lost` : '';
}
