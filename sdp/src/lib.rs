//! SDP and the WebRTC attributes (RFC 8866, RFC 9429): lossless parser and printer
