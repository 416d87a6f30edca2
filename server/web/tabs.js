/**
 * The same room in other tabs of this browser. Events: `other` (`detail`: whether another tab is in it, for the tab that came later),
 * `leave` (another tab asks this one to leave).
 */
export class Tabs extends EventTarget {
  #channel = null;
  #inside = false;

  constructor(room) {
    super();
    if (!('BroadcastChannel' in globalThis)) return;
    this.#channel = new BroadcastChannel(`hyaline-${room}`);
    this.#channel.onmessage = ({ data }) => {
      if (!this.#inside) return;
      if (data === 'came') this.#say('there');
      else if (data === 'there' || data === 'went') this.dispatchEvent(new CustomEvent('other', { detail: data === 'there' }));
      else if (data === 'leave') this.dispatchEvent(new Event('leave'));
    };
  }

  /** This tab comes into the room, or goes. */
  set inside(inside) {
    if (inside === this.#inside) return;
    this.#inside = inside;
    this.#say(inside ? 'came' : 'went');
  }

  /** Asks the others to leave. */
  leaveThere() {
    this.#say('leave');
  }

  #say(word) {
    this.#channel?.postMessage(word);
  }
}
