// Runs in the page before everything else. The page's time goes on by itself, and faster at a test's word: `pass` runs the
// page's timers that are due by then, each at its time. The time of media and of the network stays what it is.
const real = {
  now: performance.now.bind(performance),
  setTimeout: setTimeout.bind(globalThis),
  clearTimeout: clearTimeout.bind(globalThis),
  setInterval: setInterval.bind(globalThis),
};

const clock = {
  /** Lets so many milliseconds pass; resolves when all that came of it has come to its end, too. */
  async pass(ms) {
    const until = this.now() + ms;
    await this.rest();
    for (;;) {
      const [id, timer] = [...this.timers].reduce((first, each) => (first[1].due <= each[1].due ? first : each), [0, { due: Infinity }]);
      if (timer.due > until) break;
      this.ahead += Math.max(0, timer.due - this.now());
      try {
        this.fire(id);
      } catch (error) {
        reportError(error);
      }
      await this.rest();
    }
    this.ahead += Math.max(0, until - this.now());
    for (const id of this.timers.keys()) this.arm(id);
  },
  /** Resolves when nothing is under way any more that the page has asked its peer connection for, or the fake server. */
  async rest() {
    do {
      await Promise.all([...this.underWay].map(({ ended }) => ended));
      await new Promise(resolve => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = resolve;
        port2.postMessage(0);
      });
    } while (this.underWay.size > 0);
  },

  ahead: 0,
  timers: new Map(), // by id: { due, every, run, handle }
  lastId: 0,
  underWay: new Set(), // { ended, end, asked }
  now() { return real.now() + this.ahead; },
  start(run, ms, every = null) {
    this.timers.set(++this.lastId, { due: this.now() + ms, every, run });
    this.arm(this.lastId);
    return this.lastId;
  },
  stop(id) {
    real.clearTimeout(this.timers.get(id)?.handle);
    this.timers.delete(id);
  },
  arm(id) {
    const timer = this.timers.get(id);
    real.clearTimeout(timer.handle);
    timer.handle = real.setTimeout(() => this.fire(id), Math.max(0, timer.due - this.now()));
  },
  fire(id) {
    const timer = this.timers.get(id);
    if (timer.every === null) {
      this.stop(id);
    } else {
      timer.due = Math.max(timer.due + timer.every, this.now());
      this.arm(id);
    }
    timer.run();
  },
  /** Nothing rests before this promise is settled. `asked`: of a peer connection, which forgets it when it is closed. */
  follow(promise, asked = true) {
    const each = { asked };
    each.ended = new Promise(resolve => {
      each.end = () => {
        this.underWay.delete(each);
        resolve();
      };
    });
    this.underWay.add(each);
    return promise.finally(each.end);
  },
  /** A peer connection was closed. */
  forget() {
    for (const each of [...this.underWay].filter(({ asked }) => asked)) each.end();
  },
  /** A timer of the fake server: in real time. */
  later(run, ms) {
    this.follow(new Promise(resolve => real.setTimeout(resolve, ms)), false).then(run);
  },
};

performance.now = () => clock.now();
globalThis.setTimeout = (run, ms = 0, ...rest) => clock.start(() => run(...rest), ms);
globalThis.setInterval = (run, ms = 0, ...rest) => clock.start(() => run(...rest), ms, Math.max(1, ms));
globalThis.clearTimeout = globalThis.clearInterval = id => clock.stop(id);
for (const [owner, names] of [
  [RTCPeerConnection, ['getStats', 'setLocalDescription', 'setRemoteDescription']],
  [RTCRtpSender, ['setParameters', 'replaceTrack']],
]) {
  for (const name of names) {
    const native = owner.prototype[name];
    owner.prototype[name] = function (...given) { return clock.follow(native.apply(this, given)); };
  }
}
const { close } = RTCPeerConnection.prototype;
RTCPeerConnection.prototype.close = function () {
  close.call(this);
  clock.forget();
};
