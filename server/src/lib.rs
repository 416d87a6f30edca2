//! The mio event loop, signalling over HTTP and WebSocket, the web page and the hyaline binary
