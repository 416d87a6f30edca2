// The client of a Hyaline room, for editors and TypeScript. See docs/client.md.

/** Something went wrong: `message` is a sentence for people, `code` is for programs. */
export class Problem extends Error {
  constructor(code: string, message: string);
  code: string;
}

export type Kind = 'microphone' | 'camera' | 'screen' | 'screen-audio';

/**
 * The person's own microphone and camera, and the screen they share. A microphone that is off stays open and sends silence, so that it is on again at
 * once; a camera that is off is closed, so that its light goes out.
 *
 * Events: `change` (a track came or went, or was muted), `problem` (CustomEvent<Problem>).
 */
export class Devices extends EventTarget {
  /** The open microphone and camera: MediaStreamTrack or null. */
  microphone: MediaStreamTrack | null;
  camera: MediaStreamTrack | null;
  /** The screen that is shared and its sound: MediaStreamTrack or null. */
  screen: MediaStreamTrack | null;
  screenAudio: MediaStreamTrack | null;
  /** What is on as the person wants it. */
  on: { microphone: boolean; camera: boolean };
  /** Which devices the person chose, by their deviceId; empty for the system's choice. Set them with `choose`, or before `open`. */
  chosen: { microphone: string; camera: string; speaker: string };
  /** Whether this browser can share a screen at all: phones cannot. */
  readonly canShare: boolean;
  /** Opens what it is asked for; what fails is reported as a `problem` and is off. Resolves when that is settled. */
  open(wanted?: { microphone?: boolean; camera?: boolean }): Promise<void>;
  /** Switches the microphone or the camera on or off. */
  set(what: 'microphone' | 'camera', on: boolean): Promise<void>;
  /** Uses this device from now on; one that is open is changed at once. */
  choose(what: 'microphone' | 'camera' | 'speaker', id: string): Promise<void>;
  /** The devices of a kind (`microphone`, `camera`, `speaker`) that there are: [{ id, label }]; without labels until one is open. */
  list(what: 'microphone' | 'camera' | 'speaker'): Promise<{ id: string; label: string }[]>;
  /** What there is of a kind of source (`microphone`, `camera`, `screen`, `screen-audio`): a track or null. */
  track(kind: Kind): MediaStreamTrack | null;
  /** Asks the person for a screen to share; has to be called from inside a click. */
  share(): Promise<void>;
  /** Shares the screen no longer. */
  unshare(): void;
  /** Closes everything, also what is still being asked for. */
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

/** A room as this participant sees it. It comes back by itself when the server was away for a while. */
export class Room extends EventTarget {
  constructor(url: string | URL, options: { name: string; devices: Devices });
  /** `new`, `joining`, `joined`, `returning` (the server, its media too, was lost and is being looked for) or `left`. */
  state: 'new' | 'joining' | 'joined' | 'returning' | 'left';
  /** Our own id and name, as the server gave them. */
  id: string | null;
  name: string;
  /** The others, by their ids, in the order in which they came. */
  participants: Map<string, Participant>;
  /** Who leads the conversation: a participant's id, which may be our own, or null. */
  dominant: string | null;
  /** Whether we ourselves are heard to speak, as the server last said; null while it has not said so of anybody. */
  speaking: boolean | null;
  /** Whether our own hand is raised. */
  hand: boolean;
  /** Whether participants can tell each other something: `closed` (for now), `open`, or `unavailable`: the browser or the server has no data channels. */
  talk: 'closed' | 'open' | 'unavailable';
  /** The files that were offered, our own too, in the order in which they were. */
  readonly files: Set<SharedFile>;
  /** Whether the connection for messages is lost just now; media may go on meanwhile. */
  readonly interrupted: boolean;
  /** Joins. Resolves when the server has let us in, rejects with a Problem. */
  join(): Promise<void>;
  /** Leaves; the others see it at once. */
  leave(): void;
  /**
   * Says what is shown: { tiles, pinned: [id], pictures: [{ participant, source, width, height }] }, with sizes in device pixels,
   * 0 for a picture that nobody sees. Call it as often as you like: it is told when it has changed, at most every 200 ms.
   */
  show(view: View): void;
  /** Raises our hand or lowers it. */
  raiseHand(raised: boolean): void;
  /**
   * Says something to everybody, or to some participants (their ids) alone. Nothing comes of an empty text, and one of more than 4,000
   * characters is cut. What is said while the channel is closed is sent as soon as it is open; throws a Problem when 50 wait for that.
   */
  say(text: string, to?: string[]): void;
  /** Offers a file to everybody; they get it from us, for as long as we are here. Throws a Problem when there are too many. */
  offerFile(file: File): SharedFile;
  /** Offers one of ours no longer. */
  withdrawFile(file: SharedFile): void;
  /**
   * Gets somebody's file, or goes on with it. In a click: the person may be asked where to save it. Throws a Problem when it is too large for a browser
   * that cannot write it to disk.
   */
  fetchFile(file: SharedFile): Promise<void>;
  /** Wants no more of it for now; `fetchFile` goes on where it was. */
  pauseFile(file: SharedFile): void;
  /** Does not want it after all. */
  cancelFile(file: SharedFile): void;
  /** The browser's figures of the call (RTCStatsReport), or null outside of one. */
  getStats(): Promise<RTCStatsReport | null>;
  addEventListener<K extends keyof RoomEvents>(type: K, listener: (event: CustomEvent<RoomEvents[K]>) => void, options?: boolean | AddEventListenerOptions): void;
}
