//! Signalling from outside: HTTP, WebSocket and UDP against a server whose engine writes down what it is told.

mod admin;
mod client;
mod fake;
mod media;
mod page;
mod room;
mod session;
mod whip;
