#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::candidate::{Candidate, CandidateKind};
use std::net::IpAddr;
use wire::Protocol;

/// The foundations of our candidates (RFC 8445 §5.1.1.3): the same for the same type, base address, server and
/// transport, also towards the server.
#[derive(Debug, Default)]
pub(crate) struct Foundations {
    known: Vec<(Origin, String)>,
}

/// What a foundation stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    kind: CandidateKind,
    base: IpAddr,
    protocol: Protocol,
    /// What it was obtained from.
    server: Option<Server>,
}

/// A STUN or TURN server, as the agent reaches it. What is relayed over UDP may fare otherwise than what goes over TCP
/// on its first leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) ip: IpAddr,
    pub(crate) protocol: Protocol,
}

impl Foundations {
    /// Most that are remembered: more than an agent has candidates.
    const LIMIT: usize = 128;

    /// Fills in an empty foundation.
    pub(crate) fn assign(&mut self, candidate: &mut Candidate, server: Option<Server>) {
        let origin = Origin {
            kind: candidate.kind,
            base: candidate.base().ip(),
            protocol: candidate.protocol,
            server,
        };
        if !candidate.foundation.is_empty() {
            self.remember(origin, candidate.foundation.clone());
            return;
        }
        let known = self.known.iter().find(|(known, _)| *known == origin);
        candidate.foundation = match known {
            Some((_, foundation)) => foundation.clone(),
            None => {
                let foundation = self.next();
                self.remember(origin, foundation.clone());
                foundation
            }
        };
    }

    /// The least number that is not taken.
    fn next(&self) -> String {
        (1_usize..)
            .map(|number| number.to_string())
            .find(|number| self.known.iter().all(|(_, taken)| taken != number))
            .unwrap_or_default()
    }

    fn remember(&mut self, origin: Origin, foundation: String) {
        if self
            .known
            .iter()
            .any(|(known, taken)| *known == origin && *taken == foundation)
        {
            return;
        }
        if self.known.len() >= Self::LIMIT {
            self.known.remove(0);
        }
        self.known.push((origin, foundation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn foundations_tell_type_base_server_and_transport_apart() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let by = |n: u8, protocol| {
            let ip = IpAddr::from([203, 0, 113, n]);
            Some(Server { ip, protocol })
        };
        let server = |n| by(n, Protocol::Udp);
        let host = Candidate::host(at("192.0.2.1:1"), Protocol::Udp, 1);
        let reflexive = |base: &str| Candidate::server_reflexive(at("198.51.100.1:9"), at(base), 1);
        let mut foundations = Foundations::default();
        let mut of = |mut candidate: Candidate, server| {
            foundations.assign(&mut candidate, server);
            candidate.foundation
        };
        assert_eq!(of(host.clone(), None), "1");
        assert_eq!(of(Candidate::host(at("192.0.2.1:2"), Protocol::Udp, 1), None), "1");
        assert_eq!(of(reflexive("192.0.2.1:1"), server(1)), "2");
        assert_eq!(of(reflexive("192.0.2.1:2"), server(1)), "2");
        // RFC 8445 §5.1.1.3: "obtained using the same STUN or TURN server".
        assert_eq!(of(reflexive("192.0.2.1:1"), server(2)), "3");
        assert_eq!(of(reflexive("192.0.2.9:1"), server(1)), "4");
        assert_eq!(of(Candidate::host(at("192.0.2.1:1"), Protocol::Tcp, 1), None), "5");
        let given = Candidate {
            foundation: "6".to_owned(),
            ..reflexive("192.0.2.7:1")
        };
        assert_eq!(of(given, server(1)), "6");
        assert_eq!(of(reflexive("192.0.2.8:1"), server(1)), "7", "a given one is taken");
        // The base of a relayed candidate is the candidate itself.
        let relayed = |address: &str| Candidate::relayed(at(address), at("198.51.100.1:9"), 1);
        assert_eq!(of(relayed("203.0.113.1:1"), server(1)), "8");
        assert_eq!(of(relayed("203.0.113.1:2"), server(1)), "8");
        assert_eq!(of(relayed("203.0.113.1:3"), server(2)), "9");
        assert_eq!(of(relayed("203.0.113.2:1"), server(1)), "10");
        assert_eq!(of(relayed("203.0.113.1:4"), by(1, Protocol::Tcp)), "11");
    }

    #[test]
    fn they_are_bounded() {
        let mut foundations = Foundations::default();
        for n in 0..300_u16 {
            let address = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 1));
            foundations.assign(&mut Candidate::host(address, Protocol::Udp, 1), None);
        }
        assert_eq!(foundations.known.len(), Foundations::LIMIT);
    }
}
