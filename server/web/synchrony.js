// Sound and picture of one person, together.

/** How long pictures wait at least, in ms: sound does as long on the best of links. */
const LEAST_MS = 50;
/** Sound that waits for longer is on a link where nobody would have pictures wait too. */
const MOST_MS = 500;
/** A wait is left as it is for less than that: each change makes pictures run slower or faster for a moment. */
const STEP_MS = 10;
/** Less sound than this, in seconds, says nothing of how long it waits. */
const ENOUGH = 0.2;

/**
 * Has pictures wait as long as the sound that belongs to them (`jitterBufferTarget`).
 *
 * Left alone a browser shows pictures as soon as they are there, while sound waits for 40 to 100 ms, or as long as its arrival
 * is unsteady. It has pictures wait for sound only by and by, for half a minute, and anew whenever somebody else comes.
 */
export class Synchrony {
  #earlier = new Map(); // by the track of the sound: { waited, played }

  /** A picture's receiver, before anything is known. */
  begin(receiver) {
    receiver.jitterBufferTarget = LEAST_MS;
  }

  /** Reads a report (RTCStatsReport), about one per second. `pairs`: [{ sound, picture }], both RTCRtpReceivers. */
  heed(report, pairs) {
    const sounds = new Map();
    for (const entry of report.values()) {
      if (entry.type === 'inbound-rtp' && entry.kind === 'audio') sounds.set(entry.trackIdentifier, entry);
    }
    const earlier = this.#earlier;
    this.#earlier = new Map();
    for (const { sound, picture } of pairs) {
      const entry = sounds.get(sound.track.id);
      if (!entry?.jitterBufferEmittedCount) continue;
      // Sums over all samples that were played: seconds waited, and how many they are.
      const now = { waited: entry.jitterBufferDelay - added(entry), played: entry.jitterBufferEmittedCount };
      let before = earlier.get(sound.track.id);
      // Sums that have become less are others.
      if (!before || before.played > now.played) before = { waited: 0, played: 0 };
      const played = now.played - before.played;
      if (played < ENOUGH * SAMPLES_PER_SECOND) {
        // It adds up until it is enough.
        this.#earlier.set(sound.track.id, before);
        continue;
      }
      this.#earlier.set(sound.track.id, now);
      const wait = Math.round(Math.min(MOST_MS, Math.max(LEAST_MS, 1_000 * (now.waited - before.waited) / played)));
      if (Math.abs(wait - picture.jitterBufferTarget) >= STEP_MS) picture.jitterBufferTarget = wait;
    }
  }
}

/** What the browser has sound wait for late pictures: were these to wait for it in turn, neither would come to an end. */
const added = ({ jitterBufferTargetDelay: target, jitterBufferMinimumDelay: least }) => Math.max(0, target - least || 0);

/** Opus is decoded at 48 kHz in all browsers (RFC 7587 §4.1). */
const SAMPLES_PER_SECOND = 48_000;
