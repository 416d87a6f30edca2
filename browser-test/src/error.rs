use std::fmt;
use std::time::Duration;

use crate::Kind;

/// Why a browser, a page or a network did not do what a test asked of it. Each is a sentence for the person who runs
/// the test.
#[derive(Debug)]
pub enum Error {
    /// The browser is not installed.
    Missing(Kind),
    /// The browser started but never said where it listens; its last words follow.
    Silent {
        /// Which browser.
        kind: Kind,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// The browser closed the connection or died; its last words follow.
    Gone {
        /// What was being asked of it.
        during: String,
        /// The reason, and the end of what it wrote to stderr.
        reason: String,
    },
    /// The browser refused a command.
    Refused {
        /// The protocol's method.
        method: String,
        /// The browser's words.
        message: String,
    },
    /// Script threw.
    Script {
        /// The expression.
        expression: String,
        /// The exception with its stack.
        exception: String,
    },
    /// A condition did not become true in time.
    Deadline {
        /// What was waited for.
        condition: String,
        /// For how long.
        waited: Duration,
        /// What the condition gave last, and what the page had written to its console.
        state: String,
    },
    /// A network namespace could not be made or entered.
    Network(netns::Error),
    /// The browser said that it listens at an address that does not begin with `ws://`.
    Address(String),
    /// A file or process could not be handled.
    Io(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(kind) => write!(
                f,
                "{kind} is not installed: run `apt-get install --no-install-recommends {}` (or `cargo xtask test`, which does), \
                 or name its program in {}",
                kind.package(),
                kind.variable(),
            ),
            Self::Silent { kind, stderr } => {
                write!(
                    f,
                    "{kind} started but did not say within 60 s where it listens; it wrote:\n{stderr}"
                )
            }
            Self::Gone { during, reason } => write!(f, "the browser went away during {during}: {reason}"),
            Self::Refused { method, message } => write!(f, "the browser refused {method}: {message}"),
            Self::Script { expression, exception } => write!(f, "script threw: {exception}\nin: {expression}"),
            Self::Deadline {
                condition,
                waited,
                state,
            } => {
                write!(f, "not true after {} ms: {condition}\n{state}", waited.as_millis())
            }
            Self::Network(error) => error.fmt(f),
            Self::Address(address) => write!(
                f,
                "the browser says that it listens at `{address}`, which is no ws:// address: use a version that has one"
            ),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<netns::Error> for Error {
    fn from(error: netns::Error) -> Self {
        match error {
            netns::Error::Io(error) => Self::Io(error),
            error @ netns::Error::Network(_) => Self::Network(error),
        }
    }
}
