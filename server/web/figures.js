// What getStats says, in words that need no manual.

/**
 * Reads a report. `earlier` is what the last call returned, for rates. Returns `lines` ({ name, value, note }) for people and
 * a few plain numbers.
 */
export function figures(report, earlier) {
  const stats = [...report.values()];
  const one = (type, kind) => stats.find(entry => entry.type === type && (!kind || entry.kind === kind)) ?? {};
  const byId = id => report.get(id) ?? {};
  const sent = one('outbound-rtp', 'video');
  const back = one('inbound-rtp', 'video');
  const sound = one('inbound-rtp', 'audio');
  const transport = one('transport');
  // Firefox has no transport entry to name the pair in use.
  const pair = transport.selectedCandidatePairId
    ? byId(transport.selectedCandidatePairId)
    : stats.find(entry => entry.type === 'candidate-pair' && entry.selected) ?? {};
  const now = {
    at: sent.timestamp ?? back.timestamp ?? 0,
    bytesSent: sent.bytesSent ?? 0,
    bytesBack: back.bytesReceived ?? 0,
    framesDecoded: back.framesDecoded ?? 0,
    audioPackets: sound.packetsReceived ?? 0,
    roundTrip: pair.currentRoundTripTime,
  };
  const seconds = earlier ? (now.at - earlier.at) / 1000 : 0;
  const rate = field => (seconds > 0 ? bitrate((now[field] - earlier[field]) * 8 / seconds) : '…');
  const codec = byId(sent.codecId).mimeType?.split('/')[1];
  const lost = (back.packetsLost ?? 0) + (sound.packetsLost ?? 0);
  const received = (back.packetsReceived ?? 0) + (sound.packetsReceived ?? 0);

  now.lines = [
    now.roundTrip !== undefined && { name: 'Round trip', value: milliseconds(now.roundTrip), note: feeling(now.roundTrip) },
    { name: 'Picture sent', value: rate('bytesSent'), note: picture(sent, codec) },
    { name: 'Picture come back', value: rate('bytesBack'), note: picture(back, byId(back.codecId).mimeType?.split('/')[1]) },
    received + lost > 0 && { name: 'Lost on the way', value: `${(100 * lost / (received + lost)).toFixed(1)} %`, note: `${lost} of ${received + lost} packets` },
    back.jitter !== undefined && { name: 'Unevenness (jitter)', value: milliseconds(Math.max(back.jitter, sound.jitter ?? 0)), note: 'how much packets arrive early or late' },
    pair.availableOutgoingBitrate && { name: 'Room for sending', value: bitrate(pair.availableOutgoingBitrate), note: 'the browser’s own estimate' },
    pair.localCandidateId && { name: 'Path', value: path(byId(pair.remoteCandidateId)), note: `from ${place(byId(pair.localCandidateId))}` },
    transport.dtlsCipher && { name: 'Encryption', value: version(transport.tlsVersion), note: [transport.dtlsCipher, transport.srtpCipher].filter(Boolean).join(', ') },
  ].filter(Boolean);
  return now;
}

export const bitrate = bits => (bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.max(0, Math.round(bits / 1e3))} kbit/s`);
export const milliseconds = seconds => (seconds < 0.01 ? `${(seconds * 1000).toFixed(1)} ms` : `${Math.round(seconds * 1000)} ms`);

function feeling(roundTrip) {
  if (roundTrip < 0.05) return 'feels like the same room';
  if (roundTrip < 0.15) return 'good for talking';
  if (roundTrip < 0.3) return 'a noticeable delay';
  return 'long: people will talk at the same time';
}

function picture({ frameWidth, frameHeight, framesPerSecond }, codec) {
  if (!frameWidth) return 'no picture yet';
  const fps = framesPerSecond === undefined ? '' : `, ${Math.round(framesPerSecond)} per second`;
  return `${frameWidth} × ${frameHeight}${fps}${codec ? `, ${codec}` : ''}`;
}

const path = candidate => `${(candidate.protocol ?? 'udp').toUpperCase()} to ${place(candidate)}`;

function place({ address, ip, port }) {
  const host = address ?? ip ?? 'a hidden address';
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** `FEFD` is DTLS 1.2 (RFC 6347), `FEFC` is DTLS 1.3 (RFC 9147). */
function version(tlsVersion) {
  return { FEFD: 'DTLS 1.2', FEFC: 'DTLS 1.3', FEFF: 'DTLS 1.0' }[tlsVersion] ?? 'DTLS';
}
