//! Full agents against each other, over a simulated network in virtual time.

mod lan;
mod mesh;
mod nat;
mod shell;
mod tcp;
mod world;
