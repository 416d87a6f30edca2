/** Before a channel that was closed is opened again: at once, and then ever more patiently. */
const REOPEN_MS = [0, 1_000, 2_000, 5_000, 10_000];
/** One that was open for so long was a good one. */
const GOOD_MS = 10_000;
/** No more than about this is left waiting in the browser. */
const FULL = 1 << 20;
/** No id of a participant is longer. */
const LONGEST_ID = 32;
const LINE_FEED = 10;

/**
 * A line of the room: a data channel that is opened again when it is closed, and over each new peer connection. What is sent on it goes to
 * everybody else, or to some, and what comes tells who sent it: both in a first line (docs/client.md).
 */
export class Channel {
  onopen = () => {};
  onclosed = () => {};
  onmessage = () => {};
  /** There is room again. */
  onfree = () => {};

  #label;
  #options;
  #pc = null;
  #channel = null;
  #openedAt = 0;
  #attempt = 0;
  #timer = 0;

  /** `options`: those of RTCDataChannelInit that differ from ordered and reliable. */
  constructor(label, options = {}) {
    this.#label = label;
    this.#options = options;
  }

  /** Whether something can be sent. */
  get open() { return this.#channel?.readyState === 'open'; }

  /** Whether it can be sent without much waiting in the browser. */
  get free() { return this.open && this.#channel.bufferedAmount < FULL; }

  /** Opens it over this peer connection, now and whenever it is closed; throws where there are no data channels. */
  begin(pc) {
    this.#pc = pc;
    this.#attempt = 0;
    this.#dial();
  }

  /** Closes it. */
  end() {
    clearTimeout(this.#timer);
    const [channel, was] = [this.#channel, this.open];
    this.#pc = this.#channel = null;
    channel?.close();
    if (was) this.onclosed();
  }

  /** Sends a text or bytes to these participants, or to everybody else; returns whether it could. */
  send(body, receivers = []) {
    if (!this.open) return false;
    const header = `${receivers.join(' ')}\n`;
    try {
      this.#channel.send(typeof body === 'string' ? header + body : join(header, body));
      return true;
    } catch {
      return false; // too much waits, or it was just closed
    }
  }

  #dial() {
    const channel = this.#pc.createDataChannel(this.#label, { protocol: 'hyaline', ...this.#options });
    this.#channel = channel;
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = FULL / 2;
    channel.onopen = () => {
      this.#openedAt = performance.now();
      if (this.#channel === channel) this.onopen();
    };
    channel.onmessage = ({ data }) => { if (this.#channel === channel) this.#take(data); };
    channel.onbufferedamountlow = () => { if (this.#channel === channel) this.onfree(); };
    channel.onclose = () => { if (this.#channel === channel) this.#lost(); };
  }

  #lost() {
    if (this.#openedAt && performance.now() > this.#openedAt + GOOD_MS) this.#attempt = 0;
    this.#openedAt = 0;
    this.#channel = null;
    const pause = REOPEN_MS[Math.min(this.#attempt++, REOPEN_MS.length - 1)];
    this.#timer = setTimeout(() => {
      try {
        this.#dial();
      } catch {
        // A peer connection that is closed opens no channels; the next one will.
      }
    }, pause);
    this.onclosed();
  }

  #take(data) {
    if (typeof data === 'string') {
      const end = data.indexOf('\n');
      if (end > 0 && end <= LONGEST_ID) this.onmessage(data.slice(0, end), data.slice(end + 1));
      return;
    }
    const bytes = new Uint8Array(data);
    const end = bytes.indexOf(LINE_FEED);
    if (end > 0 && end <= LONGEST_ID) this.onmessage(String.fromCharCode(...bytes.subarray(0, end)), bytes.subarray(end + 1));
  }
}

function join(header, body) {
  const whole = new Uint8Array(header.length + body.length);
  whole.set(new TextEncoder().encode(header));
  whole.set(body, header.length);
  return whole;
}
