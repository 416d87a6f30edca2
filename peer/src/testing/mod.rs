//! What tests of this crate and of those above it need: a strict reader of answers, and a client that offers.
//!
//! Behind the feature `testing`. Nothing here is for production.

mod answer_rules;

pub use answer_rules::check_answer;
