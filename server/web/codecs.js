/**
 * Leaves out what a conference never uses (G.722, telephone events, RED, old H.264 profiles), which is two thirds of an
 * offer. The order is the browser's own; the server picks.
 */
export function preferCodecs(transceiver) {
  const kind = transceiver.receiver.track.kind;
  const useful = ({ mimeType, sdpFmtpLine = '' }) => {
    switch (mimeType.toLowerCase()) {
      case 'audio/opus':
      case 'video/vp8':
      case 'video/rtx':
        return true;
      case 'video/vp9':
        return !/profile-id=[1-9]/.test(sdpFmtpLine);
      case 'video/av1':
        return !/profile=[1-9]/.test(sdpFmtpLine);
      case 'video/h264': // baseline and constrained baseline, non-interleaved
        return /packetization-mode=1/.test(sdpFmtpLine) && /profile-level-id=42/i.test(sdpFmtpLine);
      default:
        return false;
    }
  };
  const capabilities = transceiver.direction === 'sendonly' ? RTCRtpSender.getCapabilities(kind) : RTCRtpReceiver.getCapabilities(kind);
  const codecs = capabilities?.codecs.filter(useful) ?? [];
  try {
    if (codecs.length > 0) transceiver.setCodecPreferences(codecs);
  } catch {
    // A browser that refuses the list offers everything, which also works.
  }
}
