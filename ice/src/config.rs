use std::time::Duration;

/// How an agent takes part (RFC 8445 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// On a public address: host candidates only, answers checks, sends none, is always controlled.
    #[default]
    Lite,
    /// The side that offers, against a peer that is lite or waits for our checks: checks all pairs of host candidates,
    /// nominates one, and asks for consent on it. Always controlling; gathers nothing.
    Controlling,
}

/// What an agent is told at construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The mode.
    pub mode: Mode,
    /// How long the peer may be silent until the state is `Disconnected`. Chromium checks every 2.7 s, Firefox every 4.0 to
    /// 6.4 s.
    pub disconnected_after: Duration,
    /// How long the peer may be silent until the state is `Failed` and nothing is sent any more.
    pub failed_after: Duration,
    /// How long a first check is waited for, counted from the peer's credentials or from a restart of what is not connected.
    pub connect_timeout: Duration,
    /// How long a single pair may be silent until it is forgotten: RFC 7675 §5.1 lets consent expire after 30 s.
    pub consent_expires_after: Duration,
    /// How long the previous credentials and pairs are kept once a pair of the new ones is nominated: what is in flight
    /// still arrives: three seconds, as in RFC 8445 §8.3.1, which is about candidates.
    pub retire_after: Duration,
    /// Most pairs that are remembered; at least 1. The least useful one gives way.
    pub max_pairs: usize,
    /// Most responses that wait to be sent; at least 1.
    pub max_pending_responses: usize,
    /// Most candidates of the peer that are remembered.
    pub max_remote_candidates: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Lite,
            disconnected_after: Duration::from_secs(7),
            failed_after: Duration::from_secs(14),
            connect_timeout: Duration::from_secs(30),
            consent_expires_after: Duration::from_secs(30),
            retire_after: Duration::from_secs(3),
            max_pairs: 32,
            max_pending_responses: 64,
            max_remote_candidates: 64,
        }
    }
}
