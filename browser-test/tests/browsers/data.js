// Data channels to the echo, with nothing but RTCPeerConnection and fetch.
globalThis.data = {
  async connect(url) {
    const pc = new RTCPeerConnection();
    this.pc = pc;
    this.first = pc.createDataChannel('first');
    await pc.setLocalDescription();
    while (pc.iceGatheringState !== 'complete') await new Promise(done => pc.addEventListener('icegatheringstatechange', done, { once: true }));
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: pc.localDescription.sdp });
    const sdp = await response.text();
    if (response.status !== 201) throw new Error(`${response.status}: ${sdp}`);
    await pc.setRemoteDescription({ type: 'answer', sdp });
    await this.opened(this.first);
    return sdp;
  },

  opened(channel) {
    channel.binaryType = 'arraybuffer';
    if (channel.readyState === 'open') return undefined;
    return new Promise((done, fail) => {
      channel.addEventListener('open', done, { once: true });
      channel.addEventListener('close', () => fail(new Error(`${channel.label} was closed`)), { once: true });
    });
  },

  open(label, options) {
    const channel = this.pc.createDataChannel(label, options);
    return Promise.resolve(this.opened(channel)).then(() => channel);
  },

  /** A message of that many bytes that is like no other. */
  bytes(length, salt) {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8) * 17 + salt) & 0xff;
    return bytes;
  },

  same(left, right) {
    if (left.length !== right.length) return false;
    for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return false;
    return true;
  },

  /** The same where messages may get lost: sent again until it is back. */
  async echoOfMany(channel, message) {
    const wanted = typeof message === 'string' ? message : message.length;
    for (let tries = 0; tries < 20; tries++) {
      const back = new Promise(done => {
        const timer = setTimeout(() => finish(false), 1000);
        const finish = came => { clearTimeout(timer); channel.removeEventListener('message', hear); done(came); };
        const hear = ({ data }) => {
          // What comes late of a message before is another one.
          if (typeof data === 'string' ? data === wanted : data.byteLength === wanted && this.same(new Uint8Array(data), message)) finish(true);
        };
        channel.addEventListener('message', hear);
      });
      channel.send(message);
      if (await back) return '';
    }
    return 'nothing';
  },

  /** Sends a message and waits until it is back; what came instead if it is not the same. */
  async echo(channel, message) {
    if (channel.maxRetransmits !== null || channel.maxPacketLifeTime !== null) return this.echoOfMany(channel, message);
    const back = new Promise(done => channel.addEventListener('message', event => done(event.data), { once: true }));
    channel.send(message);
    const came = await back;
    if (typeof message === 'string') return came === message ? '' : `${typeof came} of ${came.length}`;
    if (typeof came === 'string') return `a text of ${came.length}`;
    return this.same(new Uint8Array(came), message) ? '' : `${came.byteLength} bytes of ${message.length}`;
  },

  /** Messages of all these sizes, as text and as bytes; what was wrong. */
  async echoAll(channel, sizes) {
    const wrong = [];
    for (const size of sizes) {
      for (const message of ['ü'.repeat(size / 2) + 'x'.repeat(size % 2), this.bytes(size, size)]) {
        const what = await this.echo(channel, message);
        if (what) wrong.push(`${channel.label}, ${size}: ${what}`);
      }
    }
    return wrong;
  },

  /** The kinds of channel there are. */
  kinds: {
    'ordered': {},
    'unordered': { ordered: false },
    'retransmitted': { maxRetransmits: 3 },
    'retransmitted unordered': { ordered: false, maxRetransmits: 0 },
    'for a time': { maxPacketLifeTime: 3000 },
    'for a time unordered': { ordered: false, maxPacketLifeTime: 500, protocol: 'x-test' },
  },

  /** Opens one of each kind that the other end knows of by itself. */
  agree(pc) {
    this.agreed = Object.values(this.kinds).map((options, id) => pc.createDataChannel(`agreed ${id}`, { ...options, negotiated: true, id }));
  },

  async echoAgreed(sizes) {
    const wrong = [];
    for (const channel of this.agreed) {
      await this.opened(channel);
      wrong.push(...await this.echoAll(channel, sizes));
    }
    return wrong;
  },

  async echoKinds(sizes) {
    const wrong = [];
    for (const [label, options] of Object.entries(this.kinds)) wrong.push(...await this.echoAll(await this.open(label, options), sizes));
    return wrong;
  },

  /** A file as messages of that size, there and back; what was wrong, and how fast it went. */
  async file(total, size) {
    const channel = await this.open('file');
    channel.bufferedAmountLowThreshold = 1 << 20;
    let [sent, came, wrong] = [0, 0, 0];
    const begin = performance.now();
    const all = new Promise(done => {
      channel.onmessage = ({ data }) => {
        const expected = this.bytes(data.byteLength, (came / size) & 0xff);
        if (!this.same(new Uint8Array(data), expected)) wrong += 1;
        came += data.byteLength;
        if (came >= total) done();
      };
    });
    while (sent < total) {
      if (channel.bufferedAmount > 4 << 20) await new Promise(done => channel.addEventListener('bufferedamountlow', done, { once: true }));
      const bytes = this.bytes(Math.min(size, total - sent), (sent / size) & 0xff);
      channel.send(bytes);
      sent += bytes.length;
    }
    await all;
    channel.close();
    return { wrong, came, seconds: (performance.now() - begin) / 1000 };
  },

  /** Opens and closes so many channels at once, with a message on each. */
  async many(count) {
    const wrong = [];
    await Promise.all(Array.from({ length: count }, async (_, at) => {
      const channel = await this.open(`c${at}`);
      const what = await this.echo(channel, `${at}`);
      if (what) wrong.push(`${at}: ${what}`);
      const closed = new Promise(done => channel.addEventListener('close', done, { once: true }));
      channel.close();
      await closed;
    }));
    return wrong;
  },
};
