// The client of a Hyaline room, for editors and TypeScript. See docs/client.md.

/** Something went wrong: `message` is a sentence for people, `code` is for programs. */
export class Problem extends Error {
  constructor(code: string, message: string);
  code: string;
}

export type Kind = 'microphone' | 'camera' | 'screen' | 'screen-audio';

/** The person's own devices. Events: `change`, `problem` (CustomEvent<Problem>). */
export class Devices extends EventTarget {
  microphone: MediaStreamTrack | null;
  camera: MediaStreamTrack | null;
  screen: MediaStreamTrack | null;
  screenAudio: MediaStreamTrack | null;
  on: { microphone: boolean; camera: boolean };
  chosen: { microphone: string; camera: string; speaker: string };
  readonly canShare: boolean;
  open(wanted?: { microphone?: boolean; camera?: boolean }): Promise<void>;
  set(what: 'microphone' | 'camera', on: boolean): Promise<void>;
  choose(what: 'microphone' | 'camera' | 'speaker', id: string): Promise<void>;
  list(what: 'microphone' | 'camera' | 'speaker'): Promise<{ id: string; label: string }[]>;
  track(kind: Kind): MediaStreamTrack | null;
  share(): Promise<void>;
  unshare(): void;
  close(): void;
}

export interface Source {
  source: string;
  kind: Kind;
  muted: boolean;
}

/** Somebody else in the room. Their streams are the same objects for as long as they are there. */
export class Participant {
  constructor(id: string, name: string, sources: Source[]);
  id: string;
  name: string;
  sources: Source[];
  undecodable: Set<string>;
  connection: string;
  hand: boolean;
  layers: Partial<Record<Kind, { rid: string | null; paused: null | 'loss' | 'late' | 'hidden' }>>;
  speaking: boolean | null;
  stream: MediaStream;
  sound: MediaStream;
  screen: MediaStream;
  screenSound: MediaStream;
  readonly cannotBeSeen: boolean;
  readonly undecodableKinds: Set<Kind>;
  readonly audioLevel: number;
  kindOf(source: string): Kind | undefined;
  sends(kind: Kind): boolean;
  /** For Room. */
  hold(group: 'camera' | 'screen', slots: { receiver: RTCRtpReceiver; source: string; muted: boolean }[]): boolean;
}

/** A file that somebody in the room offers. It stays the same object, also when its owner goes and comes back. */
export class SharedFile {
  constructor(file: { id: string; name: string; size: number; mime: string }, own: boolean, ownerName: string);
  /** As its owner says: somebody else may offer another file by the same id. */
  id: string;
  /** Made fit for saving: no parts of a path, no control characters. */
  name: string;
  /** In bytes. */
  size: number;
  /** What its owner says of its type. */
  mime: string;
  own: boolean;
  /** The id of the participant who offers it; null for our own, and while nobody does. */
  owner: string | null;
  ownerName: string;
  /**
   * `offered`; `waiting` until one of three others is done, or stands still for 30 s; `coming`; `paused`; `absent`: it goes on when its owner is back; `done`;
   * `failed`: see `problem`; `gone`: offered no longer; `left`: its owner has left before we wanted it.
   */
  state: 'offered' | 'waiting' | 'coming' | 'paused' | 'absent' | 'done' | 'failed' | 'gone' | 'left';
  /** How many bytes are here. Of our own: how many each of those who get it has, on average. */
  done: number;
  /** In bytes per second. */
  speed: number;
  /** Of our own: how many people get it just now, and how many have it. */
  receiving: number;
  holders: number;
  problem: Problem | null;
  /** The file, when it is done; null where it was written to the place that the person chose. */
  blob: Blob | null;
}

/** What somebody said. */
export interface Chat {
  id: string;
  /** Null is ourselves. */
  from: Participant | null;
  name: string;
  text: string;
  /** Whether it was for some alone. */
  private: boolean;
}

/** What is shown, in device pixels; 0 is not seen. */
export interface View {
  tiles?: number;
  pinned?: string[];
  pictures?: { participant: string; source: string; width: number; height: number }[];
}

/** The events of a room, each with its `detail`. */
export interface RoomEvents {
  /** The state has changed. */
  state: Room['state'];
  /** Somebody came. */
  participant: Participant;
  /** Somebody's sources, tracks or connection changed, or we learned that their hand is up already. */
  update: Participant;
  /** Somebody went. */
  left: Participant;
  /** Others speak now; who leads is `dominant`. */
  speakers: string | null;
  /** Somebody raised or lowered a hand; null is ourselves. */
  hand: Participant | null;
  /** Whether participants can tell each other something has changed. */
  talk: Room['talk'];
  /** Somebody said something, we too. */
  chat: Chat;
  /** A file is offered, or something of it but its progress has changed. */
  file: SharedFile;
  /** More of a file came, or went; four times a second at most. */
  progress: SharedFile;
  /** The state of our own media path. */
  path: RTCPeerConnectionState;
  /** `interrupted` when the connection for messages is lost while media goes on, `open` when it is back. */
  signalling: 'interrupted' | 'open';
  /** What our link carries; `late` is one over which, or a machine on which, what is sent is seconds old. */
  link: { state: 'good' | 'audio-only'; trouble: null | 'loss' | 'late'; loss: number };
  /** Something does not work. */
  problem: Problem;
  /** The end; null after `leave`. */
  end: Problem | null;
}

export class Room extends EventTarget {
  constructor(url: string | URL, options: { name: string; devices: Devices });
  state: 'new' | 'joining' | 'joined' | 'returning' | 'left';
  id: string | null;
  name: string;
  participants: Map<string, Participant>;
  dominant: string | null;
  speaking: boolean | null;
  hand: boolean;
  /** Whether participants can tell each other something: `unavailable` where the browser or the server has no data channels. */
  talk: 'closed' | 'open' | 'unavailable';
  readonly files: Set<SharedFile>;
  readonly interrupted: boolean;
  join(): Promise<void>;
  leave(): void;
  show(view: View): void;
  raiseHand(raised: boolean): void;
  /** Throws a Problem when 50 sayings wait to be sent already. */
  say(text: string, to?: string[]): void;
  offerFile(file: File): SharedFile;
  withdrawFile(file: SharedFile): void;
  /** Throws a Problem when the file is too large for a browser that cannot write it to disk. */
  fetchFile(file: SharedFile): Promise<void>;
  pauseFile(file: SharedFile): void;
  cancelFile(file: SharedFile): void;
  getStats(): Promise<RTCStatsReport | null>;
  addEventListener<K extends keyof RoomEvents>(type: K, listener: (event: CustomEvent<RoomEvents[K]>) => void, options?: boolean | AddEventListenerOptions): void;
}
