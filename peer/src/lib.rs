//! PeerConnection without I/O: ICE, DTLS, SRTP, RTP and SDP composed
