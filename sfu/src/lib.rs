//! Rooms, sources, slots and subscriptions: an SFU without I/O.
//!
//! One [`Sfu`] is one worker's part of a server. Datagrams go in, runs of datagrams come out; what a packet needs on
//! the way is one copy into its source's ring, one into the send buffer for each subscriber, and no allocation.

mod assign;
mod choice;
mod commands;
mod config;
mod counters;
mod deadlines;
mod demand;
mod echo;
mod event;
mod extensions;
mod flow;
mod history;
mod ingress;
mod key_frames;
mod layer;
mod layers;
mod lines;
mod link;
mod numbering;
mod participant;
mod payload;
mod policy;
mod ring;
mod room;
mod router;
mod sfu;
mod slab;
mod slot;
mod source;
mod speech;
mod timeline;

pub use commands::{CommandError, JoinError};
pub use config::Config;
pub use counters::Counters;
pub use event::{
    Connection, Event, Gone, ParticipantView, Paused, Picture, SlotView, SourceKind, SourceLabel, SourceView, Trouble,
    View,
};
pub use participant::{ParticipantId, Role};
pub use sfu::Sfu;
