//! Full agents against each other, over a simulated network in virtual time; `lab`: over the NATs of Linux in real
//! time.

mod dual_stack;
mod lab;
mod lan;
mod matrix;
mod mesh;
mod nat;
mod relay;
mod shell;
mod tcp;
mod world;
