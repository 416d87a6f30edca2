//! A seeded network in virtual time: links, NATs, and a harness for engines without I/O.
//!
//! - [`Sim`]: the topology, the endpoints that run on its hosts, and the clock. A run is reproduced by its number.
//! - [`Endpoint`]: what runs on a host, in the shape of every engine of Hyaline; [`Sockets`] and [`Event`]: the rest of
//!   its world.
//! - [`Link`], [`Direction`]: rate, queue, delay, jitter, loss, duplication, reordering, ECN marks, MTU.
//! - [`Nat`], [`Firewall`]: RFC 4787, RFC 5382 and RFC 6092, with their misbehaviour.
//! - [`Observer`], [`TraceEvent`], [`TraceHash`], [`PcapNg`]: what happened to each packet at each hop.
//! - [`shapes`]: two peers behind NATs and a server in the open.

mod bitrate;
mod drops;
mod ended;
mod endpoint;
mod filter;
mod firewall;
mod hasher;
mod link;
mod nat;
mod network;
mod node;
mod packet;
mod pcapng;
mod route;
pub mod shapes;
mod sim;
mod sockets;
mod streams;
mod stuck;
mod table;
mod tcp;
mod trace;

pub use bitrate::Bitrate;
pub use drops::{Counters, DropReason};
pub use endpoint::{ConnectError, Endpoint, Event, TcpEvent};
pub use firewall::{Allow, Firewall, Ports};
pub use link::{Direction, Limit, Link, Loss, Marking, Queue, Reorder, Verdict};
pub use nat::{Dependence, Hairpin, Nat, Pooling, PortAssignment, Refresh, UnsolicitedSyn};
pub use node::{FirewallId, HostId, LinkId, NatId, RouterId, Side};
pub use packet::{Icmp, IcmpError, PacketView, TcpFlags, TcpHeader, Transport};
pub use pcapng::PcapNg;
pub use sim::{EndpointId, MAX_TRANSMIT, ObserverId, Sim, Way};
pub use sockets::{SocketCounters, SocketError, Sockets};
pub use stuck::{Spin, Stuck};
pub use trace::{Action, Observer, Place, TraceEvent, TraceHash};
