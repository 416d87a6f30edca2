use std::time::Duration;

use crate::firewall::{Allow, Firewall};

/// On what of a destination something depends (RFC 4787 §4.1 and §5, RFC 5382 §4.1 and §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dependence {
    /// On nothing: Endpoint-Independent.
    EndpointIndependent,
    /// On the remote address: Address-Dependent.
    Address,
    /// On the remote address and port: Address and Port-Dependent.
    AddressAndPort,
}

/// A NAT in the terms of RFC 4787 (UDP) and RFC 5382 (TCP), for IPv4. IPv6 passes it untranslated, through
/// [`firewall6`](Self::firewall6).
///
/// The default is what the RFCs recommend for the sake of applications: mapping and filtering are endpoint-independent,
/// the port is preserved where it can be, it hairpins with the external source address.
#[derive(Debug, Clone)]
pub struct Nat {
    /// What a mapping holds for.
    pub mapping: Dependence,
    /// Who may send to a mapping.
    pub filtering: Dependence,
    /// Which external port a mapping gets.
    pub ports: PortAssignment,
    /// An even port stays even and an odd one odd (RFC 4787 §4.2.2).
    pub port_parity: bool,
    /// What becomes of packets from inside to an external address of the NAT.
    pub hairpin: Hairpin,
    /// Which of several external addresses a mapping gets.
    pub pooling: Pooling,
    /// Which direction keeps mappings of UDP alive.
    pub refresh: Refresh,
    /// After how long without such a packet a mapping of UDP is gone. RFC 4787 §4.3 wants at least 2 minutes; many NATs
    /// have 30 s.
    pub udp_timeout: Duration,
    /// After how long without any segment an open TCP connection is forgotten. RFC 5382 §5 wants at least 2 h 4 min.
    pub tcp_established_timeout: Duration,
    /// The same for one that is being opened or closed; at least 4 min.
    pub tcp_transitory_timeout: Duration,
    /// What an unsolicited SYN from outside gets.
    pub unsolicited_syn: UnsolicitedSyn,
    /// How many mappings there may be. When all are in use, a packet that needs another is dropped.
    pub max_mappings: usize,
    /// How many remote endpoints a mapping remembers. A packet to one more replaces the one that was silent longest.
    pub max_peers: usize,
    /// Whether ICMP errors are translated and let through (RFC 5508).
    pub icmp: bool,
    /// Whether fragments are taken.
    pub fragments: bool,
    /// What may go out at all; what may not is dropped silently.
    pub allow: Allow,
    /// The filter for IPv6.
    pub firewall6: Firewall,
}

impl Default for Nat {
    fn default() -> Self {
        Self::new(Dependence::EndpointIndependent, Dependence::EndpointIndependent)
    }
}

impl Nat {
    /// A NAT with that mapping and filtering, and otherwise as the RFCs recommend; but with random ports where a
    /// mapping depends on the destination, so that ports cannot be guessed.
    pub fn new(mapping: Dependence, filtering: Dependence) -> Self {
        Self {
            mapping,
            filtering,
            ports: match mapping {
                Dependence::EndpointIndependent => PortAssignment::Preserve,
                _ => PortAssignment::Random,
            },
            port_parity: false,
            hairpin: Hairpin::ExternalSource,
            pooling: Pooling::Paired,
            refresh: Refresh::Outbound,
            udp_timeout: Duration::from_secs(300),
            tcp_established_timeout: Duration::from_secs(2 * 3600 + 4 * 60),
            tcp_transitory_timeout: Duration::from_secs(240),
            unsolicited_syn: UnsolicitedSyn::Drop,
            max_mappings: 65_536,
            max_peers: 1024,
            icmp: true,
            fragments: true,
            allow: Allow::default(),
            firewall6: Firewall::default(),
        }
    }
}

/// Which external port a mapping gets (RFC 4787 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortAssignment {
    /// The internal one, or another one of the same range (below 1024, or not) when that is taken.
    Preserve,
    /// The internal one, even when it is taken: "port overloading", which the RFC forbids and which tells internal
    /// hosts apart only by whom they sent to.
    Overload,
    /// One after the other.
    Sequential,
    /// Any.
    Random,
}

/// What becomes of packets from inside to an external address of the NAT (RFC 4787 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hairpin {
    /// They are dropped.
    None,
    /// They come back in, with the sender's external address as source, as the RFC wants it.
    ExternalSource,
    /// They come back in, with the sender's internal address as source.
    InternalSource,
}

/// Which of several external addresses a mapping gets (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The same for all mappings of an internal address.
    Paired,
    /// Any, for each mapping anew.
    Arbitrary,
}

/// Which packets keep a mapping of UDP alive (RFC 4787 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Those from inside.
    Outbound,
    /// Those from outside.
    Inbound,
    /// All.
    Both,
}

/// What a SYN from outside gets that no mapping or no filter lets in (RFC 5382 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsolicitedSyn {
    /// Nothing.
    Drop,
    /// RST, at once. The RFC forbids it, because it kills simultaneous open.
    Reset,
    /// An ICMP port unreachable after that time (6 s in the RFC), unless a SYN to the same remote went out in between.
    Unreachable(Duration),
}
