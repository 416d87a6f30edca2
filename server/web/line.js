/** No reply to a ping for so long: nobody is there any more. */
const PATIENCE_MS = 10_000;
const PING_MS = 15_000;
/** A network that swallows everything lets a dial neither succeed nor fail, for a minute and more. */
const DIAL_MS = 4_000;

/**
 * One WebSocket, for JSON messages in both directions. `onopen`, `onmessage` and `onclosed` are for who owns it now, and can be
 * taken over; it is closed when nobody answers any more, too.
 */
export class Line {
  onopen = () => {};
  onmessage = () => {};
  onclosed = () => {};

  #socket = null;
  #closed = false;
  #dialing = 0;
  #ping = 0;
  #pong = 0;

  constructor(url) {
    try {
      this.#socket = new WebSocket(url);
    } catch {
      setTimeout(() => this.#lose());
      return;
    }
    this.#dialing = setTimeout(() => this.#lose(), DIAL_MS);
    this.#socket.onopen = () => {
      clearTimeout(this.#dialing);
      this.#ping = setInterval(() => this.probe(PATIENCE_MS), PING_MS);
      this.onopen();
    };
    this.#socket.onmessage = ({ data }) => {
      clearTimeout(this.#pong);
      const message = JSON.parse(data);
      if (message.type !== 'pong' && !this.#closed) this.onmessage(message);
    };
    this.#socket.onclose = () => this.#lose();
  }

  /** What is said while nobody listens is lost. */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Is anybody there? If nothing comes within that time, nobody is. */
  probe(patience) {
    this.send({ type: 'ping' });
    clearTimeout(this.#pong);
    // A socket without a network takes minutes to close.
    this.#pong = setTimeout(() => this.#lose(), patience);
  }

  /** Hangs up. */
  close() {
    this.#closed = true;
    clearTimeout(this.#dialing);
    clearInterval(this.#ping);
    clearTimeout(this.#pong);
    if (this.#socket) this.#socket.onclose = null;
    this.#socket?.close();
  }

  #lose() {
    if (this.#closed) return;
    this.close();
    this.onclosed();
  }
}
