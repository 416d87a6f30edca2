use std::time::Duration;

use crate::nat::Dependence;

/// A stateful filter without translation, for both families: what RFC 6092 describes for IPv6. Everything that is
/// allowed may go out, and only answers come in.
#[derive(Debug, Clone)]
pub struct Firewall {
    /// Who may answer (RFC 6092 REC-11 recommends endpoint-independent).
    pub filtering: Dependence,
    /// After how long without a packet from inside answers of UDP are refused. At least 2 min in RFC 6092 REC-14.
    pub udp_timeout: Duration,
    /// After how long without any segment an open TCP connection is forgotten; at least 2 h 4 min (REC-35).
    pub tcp_established_timeout: Duration,
    /// The same for one that is being opened or closed; at least 4 min.
    pub tcp_transitory_timeout: Duration,
    /// How many internal endpoints it remembers.
    pub max_states: usize,
    /// Whether ICMP errors about known flows are let in.
    pub icmp: bool,
    /// Whether fragments are taken.
    pub fragments: bool,
    /// What may go out at all; what may not is dropped silently.
    pub allow: Allow,
}

impl Default for Firewall {
    fn default() -> Self {
        Self {
            filtering: Dependence::EndpointIndependent,
            udp_timeout: Duration::from_secs(300),
            tcp_established_timeout: Duration::from_secs(2 * 3600 + 4 * 60),
            tcp_transitory_timeout: Duration::from_secs(240),
            max_states: 65_536,
            icmp: true,
            fragments: true,
            allow: Allow::default(),
        }
    }
}

/// What may go out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allow {
    /// UDP to these remote ports.
    pub udp: Ports,
    /// TCP connections to these remote ports.
    pub tcp: Ports,
}

impl Allow {
    /// No UDP, any TCP.
    pub const fn tcp_only() -> Self {
        Self {
            udp: Ports::None,
            tcp: Ports::All,
        }
    }

    pub(crate) fn permits(&self, tcp: bool, port: u16) -> bool {
        if tcp {
            self.tcp.contains(port)
        } else {
            self.udp.contains(port)
        }
    }
}

/// A set of ports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Ports {
    /// All of them.
    #[default]
    All,
    /// None.
    None,
    /// Only these.
    Only(Vec<u16>),
}

impl Ports {
    /// Whether `port` is one of them.
    pub fn contains(&self, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(ports) => ports.contains(&port),
        }
    }
}
