/** Between two messages about the same thing: a window that is dragged larger changes sixty times per second. */
const PAUSE_MS = 200;
/** A server that was too busy to heed it is told again after this long. */
const REFUSED_MS = 2_000;

/** Tells what is shown, when it has changed and not too often. */
export class View {
  #send;
  #wanted = null;
  #told = '';
  #timer = 0;
  #at = -PAUSE_MS;

  /** `send(view)` returns whether it could. */
  constructor(send) {
    this.#send = send;
  }

  /** What is shown from now on. */
  show(view) {
    this.#wanted = JSON.stringify(view);
    this.#timer ||= setTimeout(() => this.#tell(), Math.max(0, this.#at + PAUSE_MS - performance.now()));
  }

  /** Somebody else listens now, who knows nothing. */
  again() {
    this.#told = '';
    if (this.#wanted) this.show(JSON.parse(this.#wanted));
  }

  /** It was not heeded. */
  refused() {
    setTimeout(() => this.again(), REFUSED_MS);
  }

  #tell() {
    this.#timer = 0;
    // What was changed and changed back is no news.
    if (this.#wanted === this.#told) return;
    this.#at = performance.now();
    if (this.#send(JSON.parse(this.#wanted)) !== false) this.#told = this.#wanted;
  }
}
