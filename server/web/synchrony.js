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
/** Pictures that are so much later or earlier than they were, in ms, tell that a clock has leapt, or of another way: then all is learned anew. */
const LEAPT_MS = 100;
/** Two estimates of when sound is played are so close when they say the same, in ms. One that is off is not followed. */
const SAME_MS = 30;
/** Sound that means to wait so much longer than at the last look, in ms, will do so within as many looks. */
const LEAP_MS = 20;
const LEAP_LOOKS = 6;
/** Who is silent for so many looks after taking a section has nothing of its sound to wait for. */
const SILENT_LOOKS = 4;
/** Browsers change how long pictures wait by as much at most, in ms per second. */
const PACE_MS = 100;

/**
 * Has pictures wait as long as the sound that belongs to them (`jitterBufferTarget`), and as much beside as keeps the two apart at loudspeaker and
 * screen. Why, and by which rules: docs/signalling.md, "From the server".
 */
export class Synchrony {
  #sounds = new Map(); // by track: its sums at the last look, when what was played was made, how late, and how long it meant to wait
  #pictures = new Map(); // by receiver: see `Picture`
  #device = 0; // what keeps sound and picture apart whoever it is, in ms

  /** A picture's receiver, before it carries anything, or when there is no sound that belongs to it. */
  begin(receiver) {
    if (this.#pictures.get(receiver)?.source === null) return;
    this.#pictures.set(receiver, new Picture(receiver, null));
    receiver.jitterBufferTarget = LEAST_MS;
  }

  /** A receiver carries pictures of this source (a key) now, and there is sound of it. */
  carries(receiver, source) {
    if (this.#pictures.get(receiver)?.source !== source) this.#pictures.set(receiver, new Picture(receiver, source));
  }

  /** Reads a report (RTCStatsReport), about twice a second. `pairs`: [{ sound, picture }], both RTCRtpReceivers. */
  heed(report, pairs) {
    const entries = new Map();
    for (const entry of report.values()) {
      if (entry.type === 'inbound-rtp') entries.set(entry.trackIdentifier, entry);
    }
    const earlier = this.#sounds;
    this.#sounds = new Map();
    const shares = [];
    for (const { sound, picture: receiver } of pairs) {
      const entry = entries.get(sound.track.id);
      const picture = this.#pictures.get(receiver);
      if (!entry?.jitterBufferEmittedCount || !picture) continue;
      const before = earlier.get(sound.track.id) ?? NOTHING;
      const now = sums(entry);
      const from = before.played <= now.played ? before : NOTHING; // Sums that have become less are others.
      const played = (now.played - from.played) / SAMPLES_PER_SECOND;
      if (played < ENOUGH) {
        // It adds up until it is enough.
        this.#sounds.set(sound.track.id, before);
        picture.hearNothing(this.#device);
        continue;
      }
      this.#sounds.set(sound.track.id, now);
      const per = sum => 1_000 * (now[sum] - from[sum]) / (now.played - from.played);
      const wait = per('waited');
      now.goal = per('needed');
      now.leap = before.leap ? before.leap - 1 : now.goal > before.goal + LEAP_MS ? LEAP_LOOKS : 0;
      const seen = entries.get(receiver.track.id);
      now.made = { sound: entry.estimatedPlayoutTimestamp, picture: seen?.estimatedPlayoutTimestamp, pictures: seen?.framesDecoded };
      // Sound takes seconds until it waits as long as it means to: half way is the least wrong meanwhile.
      const ahead = now.leap && now.goal > wait ? (now.goal - wait) / 2 : 0;
      picture.pass(played);
      // The browser's estimates run on when nothing new is shown.
      const moves = ['sound', 'picture', 'pictures'].every(what => now.made[what] > before.made?.[what]);
      const late = moves && { sound: age(entry) - per('added'), picture: age(seen) - picture.expected };
      now.heard = late ? { late: late.sound, wait, source: picture.source } : before.heard;
      const counts = late && picture.look(late.sound - wait - late.picture, late.picture);
      // While nothing is shown, or the browser has no estimates, there is nothing to see; but for somebody else.
      now.doubted = late ? counts && !agrees(now.heard, before.heard) : before.doubted && before.heard.source === picture.source;
      if (picture.knows) shares.push(picture.apart);
      // What was beside counts no more where sound has leapt: the next look says where to.
      if (now.doubted && !(late && before.doubted)) continue;
      picture.follow(ahead + (counts && !now.doubted ? late.sound - picture.late : wait + (picture.apart ?? this.#device)));
    }
    if (shares.length > 0) this.#device = middle(shares);
  }
}

/** How long the pictures of one source wait. */
class Picture {
  looks = []; // what keeps them and their sound apart when both wait alike, and how late they are but for waiting, in ms
  expected; // how long they wait if the browser did what it was told to, in ms
  #strange = 0; // looks in a row that told of something else
  #silent = 0; // looks since the source came, as long as it was silent

  constructor(receiver, source) {
    this.receiver = receiver;
    this.source = source;
    this.expected = receiver.jitterBufferTarget ?? LEAST_MS;
  }

  get knows() { return this.looks.length >= LEAST_LOOKS; }
  get apart() { return this.knows ? middle(this.looks.map(({ apart }) => apart)) : undefined; }
  get late() { return middle(this.looks.map(({ late }) => late)); }

  /** Seconds pass. */
  pass(seconds) {
    const most = PACE_MS * seconds;
    this.expected += Math.max(-most, Math.min(most, this.receiver.jitterBufferTarget - this.expected));
  }

  /** Whether it can be taken for what it seems. */
  look(apart, late) {
    const strange = Math.abs(apart) >= APART_MS || (this.knows && Math.abs(late - this.late) > LEAPT_MS);
    this.#strange = strange ? this.#strange + 1 : 0;
    if (!this.#strange) this.looks = [...this.looks, { apart, late }].slice(-LOOKS);
    else if (this.#strange >= LEAST_LOOKS) this.looks = [];
    return !this.#strange;
  }

  hearNothing(device) {
    if (this.#silent !== null && (this.#silent += 1) === SILENT_LOOKS) this.#wait(LEAST_MS + device);
  }

  follow(wait) {
    this.#silent = null;
    this.#wait(wait);
  }

  #wait(ms) {
    if (this.source === null) return;
    const target = Math.round(Math.min(MOST_MS, Math.max(LEAST_MS, ms)));
    if (Math.abs(target - this.receiver.jitterBufferTarget) >= STEP_MS) this.receiver.jitterBufferTarget = target;
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

/** How long ago what is played now was made, in ms: by two clocks, which are the same for sound and picture of one person. */
const age = ({ timestamp, estimatedPlayoutTimestamp }) => timestamp - estimatedPlayoutTimestamp;

/** Whether sound is as late as it was, or later by as much as it waits for longer; of somebody new there is nothing to compare. */
const agrees = (now, before) => before?.source !== now.source
  || [0, now.wait - before.wait].some(change => Math.abs(now.late - before.late - change) <= SAME_MS);

/** The one that as many are below as above, so that one that is far off changes nothing. */
const middle = values => [...values].sort((one, other) => one - other)[(values.length - 1) >> 1];

/** Opus is decoded at 48 kHz in all browsers (RFC 7587 §4.1). */
const SAMPLES_PER_SECOND = 48_000;
