#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::foundation::Foundations;
use std::net::{IpAddr, SocketAddr};
use wire::Protocol;

/// The type of a candidate (RFC 8445 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of an interface.
    Host,
    /// An address that a STUN server saw.
    ServerReflexive,
    /// An address that a check came from.
    PeerReflexive,
    /// An address on a TURN server.
    Relayed,
}

/// The direction of a TCP candidate (RFC 6544 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpType {
    /// Opens connections.
    Active,
    /// Accepts connections.
    Passive,
    /// Both at once.
    SimultaneousOpen,
}

/// A transport address that may be used, with what the peer needs to know of it (RFC 8839 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The same for candidates that are likely to fare alike (RFC 8445 §5.1.1.3): 1 to 32 characters. Left empty, it is
    /// computed by [`Agent::add_local_candidate`](crate::Agent::add_local_candidate) or
    /// [`Agent::add_relayed_candidate`](crate::Agent::add_relayed_candidate).
    pub foundation: String,
    /// 1 is RTP (or everything, with RFC 5761), 2 is RTCP.
    pub component: u16,
    /// The transport.
    pub protocol: Protocol,
    /// 1 to 2^31 - 1, more is better (RFC 8445 §5.1.2.1).
    pub priority: u32,
    /// The address.
    pub address: SocketAddr,
    /// The type.
    pub kind: CandidateKind,
    /// The direction, for TCP.
    pub tcp_type: Option<TcpType>,
    /// The base of a reflexive candidate, or the mapped address of a relayed one.
    pub related: Option<SocketAddr>,
}

impl Candidate {
    /// A host candidate of component 1, passive when it is TCP. `local_preference` tells it from its siblings: 65535
    /// when it is alone (RFC 8445 §5.1.2.1), and at most 8191 counts with TCP (RFC 6544 §4.2). The foundation is left
    /// empty.
    pub fn host(address: SocketAddr, protocol: Protocol, local_preference: u16) -> Self {
        match protocol {
            Protocol::Udp => Self::new(CandidateKind::Host, address, priority(HOST_UDP, local_preference)),
            Protocol::Tcp => Self::tcp(address, TcpType::Passive, local_preference),
        }
    }

    /// A host candidate that opens TCP connections from an address. Its port is 9, which says nothing (RFC 6544 §4.5).
    pub fn tcp_active(address: IpAddr, local_preference: u16) -> Self {
        Self::tcp(SocketAddr::new(address, DISCARD), TcpType::Active, local_preference)
    }

    /// A UDP candidate that a STUN server saw; `base` is the host candidate's address that it belongs to.
    pub fn server_reflexive(mapped: SocketAddr, base: SocketAddr, local_preference: u16) -> Self {
        Self {
            related: Some(base),
            ..Self::new(
                CandidateKind::ServerReflexive,
                mapped,
                priority(SERVER_REFLEXIVE, local_preference),
            )
        }
    }

    /// A UDP address on a TURN server; `mapped` is ours as the server sees it (RFC 8839 §5.1). Datagrams of paths whose
    /// local address is `relayed` are to be sent through the server. It is for
    /// [`Agent::add_relayed_candidate`](crate::Agent::add_relayed_candidate).
    pub fn relayed(relayed: SocketAddr, mapped: SocketAddr, local_preference: u16) -> Self {
        Self {
            related: Some(mapped),
            ..Self::new(CandidateKind::Relayed, relayed, priority(RELAYED, local_preference))
        }
    }

    const fn new(kind: CandidateKind, address: SocketAddr, priority: u32) -> Self {
        Self {
            foundation: String::new(),
            component: COMPONENT,
            protocol: Protocol::Udp,
            priority,
            address,
            kind,
            tcp_type: None,
            related: None,
        }
    }

    fn tcp(address: SocketAddr, tcp_type: TcpType, local_preference: u16) -> Self {
        // The direction preference times 2^13 (RFC 6544 §4.2).
        let direction = match tcp_type {
            TcpType::Active => 6,
            TcpType::Passive => 4,
            TcpType::SimultaneousOpen => 2,
        };
        let local_preference = (direction << 13) | local_preference.min(8191);
        Self {
            protocol: Protocol::Tcp,
            tcp_type: Some(tcp_type),
            ..Self::new(CandidateKind::Host, address, priority(HOST_TCP, local_preference))
        }
    }

    /// Where the agent sends from when it uses the candidate (RFC 8445 §4).
    pub const fn base(&self) -> SocketAddr {
        match (self.kind, self.related) {
            (CandidateKind::ServerReflexive | CandidateKind::PeerReflexive, Some(base)) => base,
            _ => self.address,
        }
    }

    /// The local preference in its priority (RFC 8445 §5.1.2.1).
    pub const fn local_preference(&self) -> u16 {
        let [_, high, low, _] = self.priority.to_be_bytes();
        u16::from_be_bytes([high, low])
    }
}

/// What a candidate of such a priority would have as a peer-reflexive one (RFC 8445 §7.1.1).
pub(crate) const fn peer_reflexive_priority(priority: u32, protocol: Protocol) -> u32 {
    let type_preference: u32 = match protocol {
        Protocol::Udp => 110,
        // Below host candidates of TCP as 110 is below those of UDP; Chromium has the same.
        Protocol::Tcp => 80,
    };
    (type_preference << 24) | (priority & 0x00ff_ffff)
}

/// With RTCP multiplexing there is one component.
const COMPONENT: u16 = 1;
/// The port of active TCP candidates (RFC 6544 §4.5).
const DISCARD: u16 = 9;
/// Type preferences of server-reflexive and relayed candidates (RFC 8445 §5.1.2.2).
const SERVER_REFLEXIVE: u8 = 100;
const RELAYED: u8 = 0;
/// Type preference of UDP host candidates (RFC 8445 §5.1.2.2).
const HOST_UDP: u8 = 126;
/// Type preference of TCP host candidates: below all of UDP but relayed ones, as RFC 6544 §4.2 advises for RTP.
const HOST_TCP: u8 = 90;

/// RFC 8445 §5.1.2.1.
const fn priority(type_preference: u8, local_preference: u16) -> u32 {
    ((type_preference as u32) << 24) | ((local_preference as u32) << 8) | 256_u32.saturating_sub(COMPONENT as u32)
}

/// The host candidates of a machine, in the order of their priority. Within a family the order given is kept; the
/// families are intermingled, IPv6 with a head start, as RFC 8421 §4 says; UDP comes before TCP. Doubles are left out.
pub fn host_candidates(addresses: impl IntoIterator<Item = (SocketAddr, Protocol)>) -> Vec<Candidate> {
    ranked([addresses.into_iter().collect()])
}

/// The host candidates of classes of addresses, the preferred class first: all of it come before those of the next,
/// whatever their family, and the families are intermingled within each.
pub(crate) fn ranked(classes: impl IntoIterator<Item = Vec<(SocketAddr, Protocol)>>) -> Vec<Candidate> {
    let (mut udp, mut tcp) = (Vec::new(), Vec::new());
    for class in classes {
        for (list, protocol) in [(&mut udp, Protocol::Udp), (&mut tcp, Protocol::Tcp)] {
            let mut fresh: Vec<SocketAddr> = Vec::new();
            for (address, _) in class.iter().filter(|(_, of)| *of == protocol) {
                if !list.contains(address) && !fresh.contains(address) {
                    fresh.push(*address);
                }
            }
            list.append(&mut intermingle(&fresh));
        }
    }
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut foundations = Foundations::default();
    for (list, protocol, highest) in [(udp, Protocol::Udp, u16::MAX), (tcp, Protocol::Tcp, 8191)] {
        for (address, below) in list.into_iter().zip(0..highest) {
            let mut candidate = Candidate::host(address, protocol, highest.saturating_sub(below));
            foundations.assign(&mut candidate, None);
            candidates.push(candidate);
        }
    }
    candidates
}

/// Puts `Hi = (N4 + N6) / N4` IPv6 addresses before each IPv4 address (RFC 8421 §4).
fn intermingle(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_v4 = |address: &&SocketAddr| matches!(address.ip(), IpAddr::V4(_));
    let mut v4 = addresses.iter().filter(is_v4).peekable();
    let mut v6 = addresses.iter().filter(|address| !is_v4(address)).peekable();
    let head_start = addresses.len().checked_div(v4.clone().count()).unwrap_or(usize::MAX);
    let mut mixed = Vec::with_capacity(addresses.len());
    while v4.peek().is_some() || v6.peek().is_some() {
        mixed.extend(v6.by_ref().take(head_start));
        mixed.extend(v4.next());
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 4000))
    }

    fn v6(n: u16) -> SocketAddr {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 4000))
    }

    fn udp(addresses: &[SocketAddr]) -> Vec<Candidate> {
        host_candidates(addresses.iter().map(|&address| (address, Protocol::Udp)))
    }

    #[test]
    fn a_single_address_has_the_usual_priority() {
        let candidates = udp(&[v4(1)]);
        // What RFC 8445 §15.1 computes for a host candidate of component 1.
        assert_eq!(candidates[0].priority, 2_130_706_431);
        assert_eq!(candidates[0].foundation, "1");
        let tcp = Candidate::host(v4(1), Protocol::Tcp, u16::MAX);
        // What Chromium gives a passive host candidate has the same type preference.
        assert_eq!(tcp.priority >> 24, 1_518_280_447 >> 24);
        assert_eq!((tcp.priority >> 8) & 0xffff, (4 << 13) + 8191);
    }

    #[test]
    fn families_are_intermingled_with_a_head_start_for_ipv6() {
        // RFC 8421 §4: "two IPv4 addresses and six IPv6 addresses [...] an IPv4 address after four IPv6 addresses".
        let addresses = [v4(1), v4(2), v6(1), v6(2), v6(3), v6(4), v6(5), v6(6)];
        let candidates = udp(&addresses);
        let order: Vec<_> = candidates.iter().map(|candidate| candidate.address).collect();
        assert_eq!(order, [v6(1), v6(2), v6(3), v6(4), v4(1), v6(5), v6(6), v4(2)]);
        assert!(candidates.is_sorted_by(|a, b| a.priority > b.priority));
        assert_eq!(udp(&[v6(1), v6(2)]).len(), 2);
        assert_eq!(udp(&[]).len(), 0);
    }

    #[test]
    fn foundations_follow_address_and_protocol() {
        let other_port = SocketAddr::new(v4(1).ip(), 4001);
        let candidates = host_candidates([
            (v4(1), Protocol::Udp),
            (other_port, Protocol::Udp),
            (v4(1), Protocol::Udp),
            (v4(2), Protocol::Udp),
            (v4(1), Protocol::Tcp),
        ]);
        let foundations: Vec<_> = candidates.iter().map(|c| (c.address, c.foundation.as_str())).collect();
        assert_eq!(
            foundations,
            [(v4(1), "1"), (other_port, "1"), (v4(2), "2"), (v4(1), "3")]
        );
    }
}
