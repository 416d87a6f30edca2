/** Somebody else in the room. */
export class Participant {
  /** The server's id for them. */
  id;
  /** Their name, as they gave it. */
  name;
  /** What they send: [{ source, kind, muted }]. */
  sources;
  /** Sources that this browser cannot decode. */
  undecodable = new Set();
  /** Their connection to the server, as it last said: `connecting`, `connected`, `disconnected` or `failed`. */
  connection = 'connecting';
  /** Whether their hand is raised. */
  hand = false;
  /** What the server sends us of their pictures, by kind of source: { rid, paused }, as the `layer` message has it. */
  layers = {};
  /** Whether they speak, as the server last said; null while it has not said so of anybody. */
  speaking = null;
  /** Their voice and camera; this and the other streams are always the same objects, so that elements can keep them. */
  stream = new MediaStream();
  /** Their voice alone, for an element of its own. */
  sound = new MediaStream();
  /** The screen that they share, with its sound; empty while they do not. */
  screen = new MediaStream();
  /** The sound of their screen alone. */
  screenSound = new MediaStream();

  #receivers = [];

  constructor(id, name, sources) {
    this.id = id;
    this.name = name ?? '';
    this.sources = sources;
  }

  /** What a source of theirs is (`microphone`, `camera`, ...), if it is known. */
  kindOf(name) {
    return this.sources.find(({ source }) => source === name)?.kind;
  }

  /** Whether a source of this kind (`microphone`, `camera`, ...) is there and on. */
  sends(kind) {
    return this.sources.some(source => source.kind === kind && !source.muted);
  }

  /** Whether this browser gets their camera but cannot decode it. */
  get cannotBeSeen() {
    return this.undecodableKinds.has('camera');
  }

  /** The kinds of their sources that this browser cannot decode. */
  get undecodableKinds() {
    return new Set([...this.undecodable].map(source => this.kindOf(source)));
  }

  /** How loud they are just now, 0 to 1. */
  get audioLevel() {
    const levels = this.#receivers
      .filter(receiver => receiver.track.kind === 'audio')
      .map(receiver => receiver.getSynchronizationSources()[0]?.audioLevel ?? 0);
    return Math.max(0, ...levels);
  }

  /**
   * Takes exactly these slots' tracks into the streams of the person (`camera`) or of their screen (`screen`); returns whether
   * that changed anything.
   */
  hold(group, slots) {
    const receivers = slots.map(({ receiver }) => receiver);
    if (group === 'camera') this.#receivers = receivers;
    const wanted = receivers.map(receiver => receiver.track);
    const [whole, sound] = group === 'camera' ? [this.stream, this.sound] : [this.screen, this.screenSound];
    take(sound, wanted.filter(track => track.kind === 'audio'));
    return take(whole, wanted);
  }
}

/** Makes a stream have exactly these tracks; returns whether it had others. */
function take(stream, wanted) {
  const had = stream.getTracks();
  const gone = had.filter(track => !wanted.includes(track));
  const come = wanted.filter(track => !had.includes(track));
  for (const track of gone) stream.removeTrack(track);
  for (const track of come) stream.addTrack(track);
  return gone.length + come.length > 0;
}
