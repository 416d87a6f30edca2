//! A headless participant of rooms, made of Hyaline's own engines in the offering role.
//!
//! - [`Guest`]: joins a room, plays files in a loop, receives and checks everything; one thread each, in real time.
//! - [`Media`]: what it plays: VP8 in IVF, Opus in Ogg.
//! - [`Report`], [`SlotReport`]: what it has received; [`Strange`]: two pictures in it that cannot follow each other.
//! - [`Room`], [`Access`]: where a room is, and how it is reached.

mod access;
mod connections;
mod guest;
mod ice_servers;
mod inbox;
mod interfaces;
mod ivf;
mod media;
mod messages;
mod pace;
mod pictures;
mod relay_stream;
mod relay_streams;
mod report;
mod returning;
mod room;
mod signalling;
mod slot;
mod sockets;
mod track;
mod trust;
mod voices;

pub use access::{Access, RelayOver};
pub use guest::{Guest, JoinError};
pub use ivf::{IvfError, read_ivf};
pub use media::{Media, MediaError};
pub use pictures::Strange;
pub use report::{Report, SlotReport};
pub use room::{Room, RoomError};
