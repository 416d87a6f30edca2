//! The network, measured from its ends.

mod basics;
mod link;
mod nat;
mod pcapng;
mod probe;
mod spin;
mod tcp;
mod topology;
