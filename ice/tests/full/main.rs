//! Full agents against each other, over a simulated network in virtual time.

mod dual_stack;
mod lan;
mod matrix;
mod mesh;
mod nat;
mod relay;
mod shell;
mod tcp;
mod world;
