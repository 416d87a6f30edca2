// Sound and picture of one person, together.

/** How long pictures wait at least, in ms: sound does as long on the best of links. */
const LEAST_MS = 50;
/** Sound that waits for longer is on a link where nobody would have pictures wait too. */
const MOST_MS = 500;
/** A wait is left as it is for less than that: each change makes pictures run slower or faster for a moment. */
const STEP_MS = 10;
/** Less sound than this, in seconds, says nothing of how long it waits. */
const ENOUGH = 0.2;
/** So many looks in a row tell what else keeps the two apart, not fewer than the least; as much as this, in ms: more is of two people. */
const LOOKS = 5;
const LEAST_LOOKS = 3;
const APART_MS = 400;
/** Sound that means to wait so much longer than at the last look, in ms, will do so within as many looks. */
const LEAP_MS = 20;
const LEAP_LOOKS = 6;

/**
 * Has pictures wait as long as the sound that belongs to them (`jitterBufferTarget`).
 *
 * Left alone a browser shows pictures as soon as they are there, while sound waits for 40 to 100 ms, or as long as its arrival
 * is unsteady. It has pictures wait for sound only by and by, for half a minute, and anew whenever somebody else comes.
 *
 * What follows the wait of sound is quick. It is not all: sound goes through a device beside, and pictures wait for less than
 * they are told to for some seconds after they began to come later, or for more after they came earlier. That is seen in the
 * times that the browser estimates both to be played at.
 */
export class Synchrony {
  #earlier = new Map(); // by the track of the sound: its sums, when what was played was made, and how long it meant to wait
  #beside = new Map(); // by the picture's receiver: { source, looks }

  /** A picture's receiver, before anything is known of sound that belongs to it, or when none does. */
  begin(receiver) {
    receiver.jitterBufferTarget = LEAST_MS;
    this.#beside.delete(receiver);
  }

  /** A receiver carries pictures of this source (a key) now, which come on another way than those of the one before. */
  carries(receiver, source) {
    if (this.#beside.get(receiver)?.source !== source) this.#beside.set(receiver, { source, looks: [] });
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
      const before = earlier.get(sound.track.id) ?? NOTHING;
      const now = sums(entry);
      const from = before.played <= now.played ? before : NOTHING; // Sums that have become less are others.
      const played = now.played - from.played;
      if (played < ENOUGH * SAMPLES_PER_SECOND) {
        // It adds up until it is enough.
        this.#earlier.set(sound.track.id, before);
        continue;
      }
      this.#earlier.set(sound.track.id, now);
      const per = sum => 1_000 * (now[sum] - from[sum]) / played;
      const wait = per('waited');
      const beside = this.#beside.get(picture) ?? { looks: [] };
      this.#beside.set(picture, beside);
      now.goal = per('needed');
      now.leap = now.goal > before.goal + LEAP_MS ? LEAP_LOOKS : Math.max(0, (before.leap ?? 0) - 1);
      const seen = entries.get(picture.track.id);
      now.made = { sound: entry.estimatedPlayoutTimestamp, picture: seen?.estimatedPlayoutTimestamp, pictures: seen?.framesDecoded };
      // The browser's estimates run on when nothing new is shown.
      if (['sound', 'picture', 'pictures'].every(what => now.made[what] > before.made?.[what])) {
        const more = now.made.picture - now.made.sound - (wait + per('added') - picture.jitterBufferTarget);
        beside.looks = Math.abs(more) < APART_MS ? [...beside.looks, more].slice(-LOOKS) : beside.looks.slice(1);
      }
      // Sound takes seconds until it waits as long as it means to: half way is the least wrong meanwhile.
      const soon = now.leap && now.goal > wait ? (wait + now.goal) / 2 : wait;
      const target = Math.round(Math.min(MOST_MS, Math.max(LEAST_MS, soon + middle(beside.looks))));
      if (Math.abs(target - picture.jitterBufferTarget) >= STEP_MS) picture.jitterBufferTarget = target;
    }
  }
}

const NOTHING = { waited: 0, added: 0, needed: 0, played: 0 };

/**
 * Over all samples that were played: seconds that they waited for their own sake; that the browser had them wait for late
 * pictures (were these to wait for it in turn, neither would come to an end); that they should have waited; and their number.
 */
const sums = ({ jitterBufferDelay: all, jitterBufferTargetDelay: target, jitterBufferMinimumDelay: least, jitterBufferEmittedCount: played }) => {
  const added = Math.max(0, target - least || 0);
  return { waited: all - added, added, needed: least ?? 0, played };
};

/** The one that as many are below as above, so that one that is far off changes nothing. */
const middle = values => (values.length < LEAST_LOOKS ? 0 : [...values].sort((one, other) => one - other)[(values.length - 1) >> 1]);

/** Opus is decoded at 48 kHz in all browsers (RFC 7587 §4.1). */
const SAMPLES_PER_SECOND = 48_000;
