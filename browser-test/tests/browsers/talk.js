// Runs in the page before everything else: files that can be told apart, and what is saved. (Window-wide, for the test.)
globalThis.talk = {
  /** The SHA-256 of a Blob, as hexadecimal digits. */
  async hash(blob) {
    const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
    return [...new Uint8Array(digest)].map(byte => byte.toString(16).padStart(2, '0')).join('');
  },

  /** Offers a file of random bytes, which cannot be read from `until` on before `gate()`; resolves to its hash. */
  async offer(name, length, until = Infinity) {
    const parts = [];
    for (let left = length; left > 0; left -= 65_536) parts.push(crypto.getRandomValues(new Uint8Array(Math.min(left, 65_536))));
    const file = new File(parts, name);
    const opened = new Promise(resolve => { this.gate = resolve; });
    file.slice = (from, to) => ({
      arrayBuffer: async () => {
        if (from >= until) await opened;
        return Blob.prototype.slice.call(file, from, to).arrayBuffer();
      },
    });
    hyaline.room.offerFile(file);
    return this.hash(file);
  },

  /** The file of this name, if it was offered. */
  file(name) {
    return [...hyaline.room.files].find(file => file.name === name);
  },

  /** What has come of it: its state, and the hash when it is here. */
  async come(name) {
    const { state, blob } = this.file(name) ?? {};
    return state === 'done' && this.hash(blob);
  },

  /** What the chat shows: [who, text, text, …] for each turn. */
  turns() {
    return [...document.querySelectorAll('.turn')].map(turn =>
      [turn.querySelector('.who'), ...turn.querySelectorAll('.text')].map(({ textContent }) => textContent));
  },

  saved: [],

  /** The data channels of the page that were opened last, by label. */
  channels: {},

  /** Says something that nobody understands to all others, as fast as this end takes it. */
  async flood(length) {
    const channel = this.channels.room;
    for (let left = length; left > 0; left -= 50_000) {
      while (channel.bufferedAmount > 1 << 20) await new Promise(resolve => setTimeout(resolve, 10));
      channel.send(`\n${'-'.repeat(50_000)}`);
    }
  },
};

const { createDataChannel } = RTCPeerConnection.prototype;
RTCPeerConnection.prototype.createDataChannel = function (label, init) {
  return talk.channels[label] = createDataChannel.call(this, label, init);
};

// What is saved goes nowhere.
HTMLAnchorElement.prototype.click = function () { talk.saved.push(this.download); };

/**
 * With `talk.cut` the next exchange takes data channels from the server alone, which aborts what carries them; the browser is told that
 * nothing has changed.
 */
globalThis.WebSocket = class extends WebSocket {
  #section = '';

  constructor(...given) {
    super(...given);
    this.addEventListener('message', event => {
      const message = JSON.parse(event.data);
      if (message.type !== 'answer') return;
      const section = dataSection(message.sdp);
      const mid = section.match(/^a=mid:(\S+)/m)[1];
      if (section.startsWith('m=application 9')) {
        this.#section = section;
        return;
      }
      event.stopImmediatePropagation();
      const sdp = message.sdp.replace(section, this.#section).replace(/^a=group:BUNDLE.*$/m, group => `${group.trim()} ${mid}`);
      this.onmessage({ data: JSON.stringify({ ...message, sdp }) });
    });
  }

  send(text) {
    const message = JSON.parse(text);
    if (message.type === 'offer' && talk.cut) {
      talk.cut = false;
      const section = dataSection(message.sdp);
      const mid = section.match(/^a=mid:(\S+)/m)[1];
      message.sdp = message.sdp
        .replace(section, section.replace(/^m=application \d+/, 'm=application 0'))
        .replace(/^a=group:BUNDLE.*$/m, group => group.trim().split(' ').filter(each => each !== mid).join(' '));
    }
    super.send(JSON.stringify(message));
  }
};

function dataSection(sdp) {
  return sdp.split(/^(?=m=)/m).find(section => section.startsWith('m=application'));
}
