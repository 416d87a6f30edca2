// What any page can do with nothing but RTCPeerConnection and fetch.
globalThis.bare = {
  /** Camera and microphone of this browser. */
  media: () => navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 1280, height: 720 } }),

  /** One complete offer, one answer: the connection, and where the server keeps the session. */
  async exchange(pc, url) {
    await pc.setLocalDescription();
    while (pc.iceGatheringState !== 'complete') await new Promise(done => pc.addEventListener('icegatheringstatechange', done, { once: true }));
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: pc.localDescription.sdp });
    const sdp = await response.text();
    if (response.status !== 201) throw new Error(`${response.status}: ${sdp}`);
    await pc.setRemoteDescription({ type: 'answer', sdp });
    this.pc = pc;
    this.location = new URL(response.headers.get('location'), response.url).href;
    this.headers = Object.fromEntries(response.headers);
    return sdp;
  },

  async publish(url) {
    const pc = new RTCPeerConnection();
    const stream = await this.media();
    for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
    return this.exchange(pc, url);
  },

  async play(url) {
    const pc = new RTCPeerConnection();
    const video = document.documentElement.appendChild(document.createElement('video'));
    video.autoplay = true;
    video.srcObject = new MediaStream();
    for (const kind of ['audio', 'video']) video.srcObject.addTrack(pc.addTransceiver(kind, { direction: 'recvonly' }).receiver.track);
    return this.exchange(pc, url);
  },

  async echo(url) {
    const pc = new RTCPeerConnection();
    const stream = await this.media();
    const video = document.documentElement.appendChild(document.createElement('video'));
    video.autoplay = true;
    video.srcObject = new MediaStream();
    pc.ontrack = ({ track }) => video.srcObject.addTrack(track);
    for (const track of stream.getTracks()) pc.addTrack(track, stream);
    return this.exchange(pc, url);
  },

  async received(kind) {
    const stats = [...(await this.pc.getStats()).values()];
    return stats.find(entry => entry.type === 'inbound-rtp' && entry.kind === kind);
  },

  async end() {
    const response = await fetch(this.location, { method: 'DELETE' });
    return response.status;
  },
};
