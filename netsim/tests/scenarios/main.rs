//! The network, measured from its ends.

mod basics;
mod nat;
mod probe;
mod tcp;
