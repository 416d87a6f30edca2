//! The network, measured from its ends.

mod basics;
mod link;
mod nat;
mod probe;
mod tcp;
