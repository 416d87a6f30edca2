//! What the peer sends: which TSNs have come and when that is acknowledged ([`Acks`]), and how messages become whole
//! again ([`Reassembly`]).

mod acks;
mod reassembly;
#[cfg(test)]
mod tests;

pub(crate) use acks::{Acks, Arrival};
pub(crate) use reassembly::{Reassembly, Taken};

use crate::registry::Ppid;

/// Takes the messages of the peer, in the order in which they are due. What is lent is the packet itself where it can be.
pub trait Sink {
    /// A whole message.
    fn message(&mut self, stream: u16, ppid: Ppid, unordered: bool, payload: &[u8]);

    /// A part of a message that is longer than [`Config::receive_parts`](crate::Config::receive_parts). On one stream there
    /// is one such message at a time of those that are ordered and one of those that are not; whole messages may come in between.
    fn part(&mut self, stream: u16, ppid: Ppid, unordered: bool, payload: &[u8], first: bool, last: bool);

    /// The message that came in parts is never completed: the peer has given it up (RFC 3758 §3.6), or reset the stream.
    fn cut(&mut self, stream: u16, unordered: bool);

    /// The peer has begun anew: what comes from now on, also in the same packet, has nothing to do with what came before.
    fn restarted(&mut self) {}
}
