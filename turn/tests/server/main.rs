//! The server's rules, one by one, in virtual time.

mod allocations;
mod authentication;
mod channels;
mod house;
mod model;
mod relaying;
mod tcp;
