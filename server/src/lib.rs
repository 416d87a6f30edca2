//! The mio event loop, signalling over HTTP and WebSocket, the web page, and the `hyaline` binary.
//!
//! - [`Server`]: all of it, started with [`Options`] and stopped again; what the binary does, for use inside a program
//!   or a test.
//! - [`Engine`]: what a worker thread drives. [`Server::start`] takes `sfu::Sfu`; [`Server::start_with`] takes any.
//! - [`ClientMessage`], [`ServerMessage`]: the protocol over the WebSocket, described in `docs/signalling.md`.
//! - [`RoomName`], [`DisplayName`]: names, checked; [`Secret`]: what is not printed.
//! - [`PAGE_POLICY`]: what the page may do, for who serves it in another way.
//! - [`run`]: the command line.

mod addresses;
mod app;
mod cli;
mod connections;
mod counters;
mod descriptors;
mod engine;
mod http;
mod key_log;
mod listener;
mod names;
mod networks;
mod options;
mod placement;
mod protocol;
mod rate;
mod roll;
mod secret;
mod server;
mod tcp;
mod tls;
mod turn;
mod worker;

pub use addresses::{NoAddress, local_addresses};
pub use cli::run;
pub use counters::Counters;
pub use engine::{
    Engine, Handshake, Join, Kind, Other, ParticipantId, Picture, Reason, Refusal, RefusalKind, SourceInfo, SourceKind,
    View,
};
pub use http::PAGE_POLICY;
pub use key_log::KeyLogError;
pub use names::{DisplayName, MAX_NAME, NameError, RoomName};
pub use options::{DtlsVersion, Options, OptionsError, VideoCodec};
pub use protocol::{
    ClientMessage, ConnectionState, IceServer, LinkState, OfferId, Paused, PerMille, ServerMessage, Slot, Source,
    Trouble, Unreadable, Welcome,
};
pub use secret::Secret;
pub use server::{Server, StartError, StopListener, Stopped, WorkerSetup};
pub use tls::{Tls, TlsError};
pub use turn::TurnOptions;
