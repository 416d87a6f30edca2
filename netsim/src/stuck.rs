use std::fmt;
use std::time::Duration;

/// The run cannot go on: something happens again and again, and time stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The endpoint that spins; for [`Spin::Network`] the one that was last at work.
    pub endpoint: String,
    /// When, since the start of the run.
    pub at: Duration,
    /// What it does.
    pub spin: Spin,
}

/// What an endpoint does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spin {
    /// After `handle_timeout`, `poll_timeout` still says a time that is not later than now.
    Timeout,
    /// `poll_transmit` never says `None`.
    Transmit,
    /// Endpoints answer each other over links without delay.
    Network,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, at, spin } = self;
        match spin {
            Spin::Timeout => write!(
                f,
                "{endpoint} spins at {at:?}: after handle_timeout its poll_timeout still names a time that is not later; \
                 a timer that has fired has to be cleared or set anew"
            ),
            Spin::Transmit => write!(
                f,
                "{endpoint} spins at {at:?}: its poll_transmit has written {MAX_TRANSMITS} times at one moment; it has to end with None"
            ),
            Spin::Network => write!(
                f,
                "time stands still at {at:?}, {endpoint} was last at work: endpoints answer each other over links without delay; \
                 give the links a delay"
            ),
        }
    }
}

impl std::error::Error for Stuck {}

/// How often a timer may be due again at one moment.
pub(crate) const MAX_TIMEOUTS: u32 = 100;
/// How often an endpoint may transmit at one moment.
pub(crate) const MAX_TRANSMITS: u32 = 100_000;
/// How many events may happen at one moment.
pub(crate) const MAX_EVENTS: u32 = 10_000_000;
