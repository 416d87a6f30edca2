use crate::role::Role;
use std::net::SocketAddr;
use std::time::Duration;

/// How an agent takes part (RFC 8445 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// On a public address: host candidates only, answers checks, sends none, is always controlled.
    #[default]
    Lite,
    /// Gathers, checks pairs of candidates, nominates one or follows the peer's nomination, and asks for consent.
    Full,
}

/// What an agent is told at construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The mode.
    pub mode: Mode,
    /// The role to begin with, of a full agent: who offers controls (RFC 8445 §6.1.1).
    pub role: Role,
    /// How long the peer may be silent until the state is `Disconnected`. Chromium checks every 2.7 s, Firefox every
    /// 4.0 to 6.4 s.
    pub disconnected_after: Duration,
    /// How long the peer may be silent until the state is `Failed` and nothing is sent any more. Consent ends after
    /// [`consent_expires_after`](Self::consent_expires_after) in any case.
    pub failed_after: Duration,
    /// How long a first check is waited for by a lite agent, counted from the peer's credentials or from a restart of
    /// what is not connected.
    pub connect_timeout: Duration,
    /// How long a full agent tries at least before it has failed, counted likewise (the PAC timer of RFC 8863 §4): 39.5
    /// s is the longest that a check takes.
    pub patience: Duration,
    /// How long a single pair may be silent until it is forgotten, and how long a full agent's consent lasts: RFC 7675
    /// §5.1 lets it expire after 30 s.
    pub consent_expires_after: Duration,
    /// How long a full agent's requests on the path in use may be unanswered until the state is `Disconnected`, even if
    /// media comes.
    pub unanswered_after: Duration,
    /// How long the previous credentials and pairs are kept once a pair of the new ones is nominated: what is in flight
    /// still arrives: three seconds, as in RFC 8445 §8.3.1, which is about candidates.
    pub retire_after: Duration,
    /// The time between transactions that a full agent begins, of gathering and of checks (Ta, RFC 8445 §14.2): 50 ms;
    /// at least 5 ms, which only a network of one's own should see. Any other than the default is to be told the peer
    /// ([`Agent::pacing`](crate::Agent::pacing)); the larger of both counts
    /// ([`Agent::set_peer_pacing`](crate::Agent::set_peer_pacing)).
    pub check_interval: Duration,
    /// STUN servers that are asked for server-reflexive candidates: all of them, each by every host candidate of its
    /// family. Whoever fills this from elsewhere sets the limit.
    pub stun_servers: Vec<SocketAddr>,
    /// Whether host candidates are told as names of mDNS: then a server-reflexive candidate is told even where it has
    /// the address of its base, which nobody knows else (draft-ietf-mmusic-mdns-ice-candidates, Server-Reflexive
    /// Candidates).
    pub concealed_hosts: bool,
    /// How long an answer of a STUN server is waited for: 5 s. It is asked again after 0.5, 1.5 and 3.5 s, then every 2
    /// s. Where a fifth of these exchanges is lost, 5 s leave one client of 600 without a mapping.
    pub gathering_timeout: Duration,
    /// How often the mapping of a server-reflexive candidate is refreshed until ICE is connected.
    pub mapping_refresh: Duration,
    /// How often pairs that work and are not used are checked, so that they can take over. `None` leaves them alone:
    /// they end after [`consent_expires_after`](Self::consent_expires_after).
    pub warm_interval: Option<Duration>,
    /// How many pairs are kept so, the best ones.
    pub warm_pairs: usize,
    /// Whether another pair may be nominated after the first one even where `renomination` was not signalled
    /// ([`Agent::set_renomination`](crate::Agent::set_renomination)). RFC 8445 §8.1.1 forbids it; it is for peers that
    /// are known to follow USE-CANDIDATE, and tells them nothing else.
    pub renomination: bool,
    /// Most pairs that are remembered; at least 1. The least useful one gives way.
    pub max_pairs: usize,
    /// Most responses that wait to be sent; at least 1.
    pub max_pending_responses: usize,
    /// Most candidates of the peer that are remembered.
    pub max_remote_candidates: usize,
    /// Most candidates of our own, reflexive ones included.
    pub max_local_candidates: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Lite,
            role: Role::Controlling,
            disconnected_after: Duration::from_secs(7),
            failed_after: Duration::from_secs(14),
            connect_timeout: Duration::from_secs(30),
            patience: Duration::from_millis(39_500),
            consent_expires_after: Duration::from_secs(30),
            unanswered_after: Duration::from_millis(2500),
            retire_after: Duration::from_secs(3),
            check_interval: Duration::from_millis(50),
            stun_servers: Vec::new(),
            concealed_hosts: false,
            gathering_timeout: Duration::from_secs(5),
            mapping_refresh: Duration::from_secs(15),
            warm_interval: Some(Duration::from_secs(10)),
            warm_pairs: 2,
            renomination: false,
            max_pairs: 32,
            max_pending_responses: 64,
            max_remote_candidates: 64,
            max_local_candidates: 64,
        }
    }
}

impl Config {
    /// A full agent that fails only when consent has ended (RFC 7675 §5.1), with 100 pairs (RFC 8445 §6.1.2.5).
    pub fn full(role: Role) -> Self {
        let base = Self::default();
        Self {
            mode: Mode::Full,
            role,
            failed_after: base.consent_expires_after,
            max_pairs: 100,
            ..base
        }
    }
}
