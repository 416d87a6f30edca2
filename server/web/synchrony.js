// Sound and picture of one person, together.

/** How long pictures wait at least, in ms: sound does as long on the best of links. */
const LEAST_MS = 50;
/** Sound that waits for longer is on a link where nobody would have pictures wait too. */
const MOST_MS = 500;
/** A wait is left as it is for less than that: each change makes pictures run slower or faster for a moment. */
const STEP_MS = 10;
/** Less sound than this, in seconds, says nothing of how long it waits. */
const ENOUGH = 0.2;
/** So many looks in a row tell what else keeps the two apart, which is as much as this, in ms: more is of two people. */
const LOOKS = 5;
const APART_MS = 150;

/**
 * Has pictures wait as long as the sound that belongs to them (`jitterBufferTarget`).
 *
 * Left alone a browser shows pictures as soon as they are there, while sound waits for 40 to 100 ms, or as long as its arrival
 * is unsteady. It has pictures wait for sound only by and by, for half a minute, and anew whenever somebody else comes.
 *
 * What follows the wait of sound is quick. It is not all: sound goes through a device beside, and pictures wait for less than
 * they are told to for some seconds after they began to come later. That is seen in the times that the browser estimates both to
 * be played at.
 */
export class Synchrony {
  #earlier = new Map(); // by the track of the sound: its sums, when what was played was made, what was beside

  /** A picture's receiver, before anything is known. */
  begin(receiver) {
    receiver.jitterBufferTarget = LEAST_MS;
  }

  /** Reads a report (RTCStatsReport), about twice a second. `pairs`: [{ sound, picture }], both RTCRtpReceivers. */
  heed(report, pairs) {
    const entries = new Map();
    for (const entry of report.values()) {
      if (entry.type === 'inbound-rtp') entries.set(entry.trackIdentifier, entry);
    }
    const earlier = this.#earlier;
    this.#earlier = new Map();
    for (const { sound, picture } of pairs) {
      const entry = entries.get(sound.track.id);
      if (!entry?.jitterBufferEmittedCount) continue;
      const before = earlier.get(sound.track.id) ?? { ...NOTHING, beside: [] };
      const now = { ...sums(entry), beside: before.beside };
      const from = before.played <= now.played ? before : NOTHING; // Sums that have become less are others.
      const played = now.played - from.played;
      if (played < ENOUGH * SAMPLES_PER_SECOND) {
        // It adds up until it is enough.
        this.#earlier.set(sound.track.id, before);
        continue;
      }
      this.#earlier.set(sound.track.id, now);
      const [wait, goal] = ['waited', 'needed'].map(sum => 1_000 * (now[sum] - from[sum]) / played);
      now.made = { sound: entry.estimatedPlayoutTimestamp, picture: entries.get(picture.track.id)?.estimatedPlayoutTimestamp };
      if (now.made.sound > before.made?.sound && now.made.picture > before.made.picture) {
        const beside = now.made.picture - now.made.sound - (wait - picture.jitterBufferTarget);
        if (Math.abs(beside) < APART_MS) now.beside = [...before.beside, beside].slice(-LOOKS);
      }
      // Sound takes seconds until it waits as long as it means to: half way is the least wrong meanwhile.
      const soon = goal > wait ? (wait + goal) / 2 : wait;
      const target = Math.round(Math.min(MOST_MS, Math.max(LEAST_MS, soon + Math.max(0, middle(now.beside)))));
      if (Math.abs(target - picture.jitterBufferTarget) >= STEP_MS) picture.jitterBufferTarget = target;
    }
  }
}

const NOTHING = { waited: 0, needed: 0, played: 0 };

/** Over all samples that were played: seconds that they waited, those that they should have for their own sake, and their number. */
const sums = entry => ({
  waited: entry.jitterBufferDelay - added(entry),
  needed: entry.jitterBufferMinimumDelay ?? 0,
  played: entry.jitterBufferEmittedCount,
});

/** The one that as many are below as above: one that is far off changes nothing. */
const middle = values => [...values].sort((one, other) => one - other)[values.length >> 1] ?? 0;

/** What the browser has sound wait for late pictures: were these to wait for it in turn, neither would come to an end. */
const added = ({ jitterBufferTargetDelay: target, jitterBufferMinimumDelay: least }) => Math.max(0, target - least || 0);

/** Opus is decoded at 48 kHz in all browsers (RFC 7587 §4.1). */
const SAMPLES_PER_SECOND = 48_000;
