use std::path::PathBuf;
use std::time::Duration;

use peer::{IceServer, IceTransportPolicy};

/// How a guest reaches a room, and by which of its servers media may go.
#[derive(Debug, Clone)]
pub struct Access {
    /// All media goes by the room's TURN servers, of these alone; `None` takes every way that there is.
    pub relay: Option<RelayOver>,
    /// A PEM file with the certificates that TLS servers are trusted by, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Nothing goes over UDP, as where a firewall lets nothing of it through.
    pub no_udp: bool,
    /// Media leaves from the addresses of these interfaces alone, by name; without any, from all. Streams to TURN
    /// servers leave as the system has them leave.
    pub interfaces: Vec<String>,
    /// How long it may take until the room's WebSocket is open.
    pub join_timeout: Duration,
}

impl Default for Access {
    /// Every way from every interface, the system's certificates, 10 s.
    fn default() -> Self {
        Self {
            relay: None,
            ca: None,
            no_udp: false,
            interfaces: Vec::new(),
            join_timeout: Duration::from_secs(10),
        }
    }
}

/// Over what the TURN servers are reached by which all media goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum RelayOver {
    /// Whatever they are reached over.
    #[default]
    Any,
    /// UDP.
    Udp,
    /// TCP without TLS.
    Tcp,
    /// TLS (`turns:`).
    Tls,
}

impl Access {
    pub(crate) const fn policy(&self) -> IceTransportPolicy {
        match self.relay {
            None => IceTransportPolicy::All,
            Some(_) => IceTransportPolicy::Relay,
        }
    }

    /// Why media can leave from nowhere; `refusal` is why there is no socket at an address that there is.
    pub(crate) fn without_address(&self, refusal: Option<&str>) -> String {
        let refusal = refusal.map(|refusal| format!(" ({refusal})")).unwrap_or_default();
        match &self.interfaces[..] {
            [] => format!(
                "no network interface has an address that the server could answer to{refusal}; connect this machine \
                 to a network"
            ),
            names => format!(
                "none of these interfaces has an address that the server could answer to: {}{refusal}; name another \
                 one with --interface",
                names.join(", ")
            ),
        }
    }

    /// Whether this server is of use.
    pub(crate) fn takes(&self, server: &IceServer) -> bool {
        if self.no_udp && server.is_over_udp() {
            return false;
        }
        let scheme = server.uri().scheme();
        let Some(over) = self.relay else { return true };
        scheme.is_turn()
            && match over {
                RelayOver::Any => true,
                RelayOver::Udp => server.is_over_udp(),
                RelayOver::Tcp => !server.is_over_udp() && !scheme.is_secure(),
                RelayOver::Tls => scheme.is_secure(),
            }
    }
}

impl RelayOver {
    /// The kind of server, behind "TURN server".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Udp => " over UDP",
            Self::Tcp => " over TCP",
            Self::Tls => " over TLS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_relays_takes_those_of_a_kind() {
        let uris = [
            "stun:192.0.2.1",
            "turn:192.0.2.1",
            "turn:192.0.2.1?transport=tcp",
            "turns:192.0.2.1",
        ];
        for (no_udp, relay, taken) in [
            (false, None, [true; 4]),
            (false, Some(RelayOver::Any), [false, true, true, true]),
            (false, Some(RelayOver::Udp), [false, true, false, false]),
            (false, Some(RelayOver::Tcp), [false, false, true, false]),
            (false, Some(RelayOver::Tls), [false, false, false, true]),
            (true, None, [false, false, true, true]),
            (true, Some(RelayOver::Any), [false, false, true, true]),
            (true, Some(RelayOver::Udp), [false; 4]),
        ] {
            let access = Access {
                relay,
                no_udp,
                ..Access::default()
            };
            let server = |uri| IceServer::new(uri, &[], Some(("ann", "secret"))).unwrap();
            assert_eq!(uris.map(|uri| access.takes(&server(uri))), taken, "{relay:?}");
            assert_eq!(access.policy() == IceTransportPolicy::Relay, relay.is_some());
        }
    }

    #[test]
    fn what_the_system_says_about_addresses_is_told() {
        let mut access = Access::default();
        for interfaces in [Vec::new(), vec!["eth7".to_owned()]] {
            access.interfaces = interfaces;
            assert!(!access.without_address(None).contains('('));
            let refused = access.without_address(Some("192.0.2.1: no"));
            assert!(refused.contains(" (192.0.2.1: no); "), "{refused}");
        }
    }
}
