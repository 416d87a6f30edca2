use core::fmt;
use std::string::String;

use crate::registry::CauseCode;

/// Why an association has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Both sides had said all, after a SHUTDOWN.
    Shutdown,
    /// We aborted it because we were asked to.
    Aborted,
    /// The peer aborted it.
    AbortedByPeer {
        /// The first error cause, if there was one.
        cause: Option<CauseCode>,
        /// What the cause says in words, at most 128 bytes, or nothing.
        text: String,
    },
    /// The peer did not answer the set-up.
    NoAnswer,
    /// The peer acknowledged nothing for too long.
    Unreachable,
    /// The peer answered, but had no room for what waits, for too long.
    Stalled,
    /// The peer broke a rule that leaves no way on; the sentence names it.
    ProtocolViolation(&'static str),
    /// The peer exceeded a budget of ours; the sentence names it.
    TooMuch(&'static str),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("shut down: both sides had said all"),
            Self::Aborted => f.write_str("aborted by us"),
            Self::AbortedByPeer { cause, text } => {
                f.write_str("aborted by the peer")?;
                if let Some(cause) = cause {
                    write!(f, ": {cause}")?;
                }
                if text.is_empty() {
                    Ok(())
                } else {
                    write!(f, " ({text})")
                }
            }
            Self::NoAnswer => f.write_str("the peer did not answer the set-up"),
            Self::Unreachable => f.write_str("the peer acknowledged nothing for too long"),
            Self::Stalled => f.write_str("the peer had no room for messages for too long"),
            Self::ProtocolViolation(rule) => write!(f, "the peer broke a rule: {rule}"),
            Self::TooMuch(budget) => write!(f, "the peer exceeded a budget: {budget}"),
        }
    }
}
