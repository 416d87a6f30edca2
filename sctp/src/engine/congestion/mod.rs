//! How much may be under way, and how evenly it is sent.

mod cubic;
mod pacer;
mod slow_start;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use pacer::Pacer;
pub(crate) use window::{Acked, Window};
