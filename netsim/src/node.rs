use std::net::{IpAddr, SocketAddr};

use rand::rngs::StdRng;

use crate::ended::Ended;
use crate::filter::Filter;
use crate::hasher::Map;
use crate::nat::Nat;
use crate::table::Table;

/// A host: it has addresses, and endpoints run on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostId(pub(crate) u32);

/// A router: it forwards between all its links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouterId(pub(crate) u32);

/// A NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NatId(pub(crate) u32);

/// A firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FirewallId(pub(crate) u32);

/// A link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub(crate) usize);

/// A side of a node to which a link can be attached: of a host or router its only one, of a NAT or firewall
/// `inside()` or `outside()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Side {
    pub(crate) node: u32,
    pub(crate) outside: bool,
}

impl From<HostId> for Side {
    fn from(HostId(node): HostId) -> Self {
        Self { node, outside: false }
    }
}

impl From<RouterId> for Side {
    fn from(RouterId(node): RouterId) -> Self {
        Self { node, outside: false }
    }
}

macro_rules! two_sides {
    ($id:ident) => {
        impl $id {
            /// The protected side. It may have any number of links, and forwards between them freely.
            pub const fn inside(self) -> Side {
                Side {
                    node: self.0,
                    outside: false,
                }
            }

            /// The side of the internet.
            pub const fn outside(self) -> Side {
                Side {
                    node: self.0,
                    outside: true,
                }
            }
        }
    };
}

two_sides!(NatId);
two_sides!(FirewallId);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) ports: Vec<Port>,
    /// Whether it tells senders of errors.
    pub(crate) sends_icmp: bool,
    /// Which way to go, worked out when it is first asked for: by side and destination.
    pub(crate) routes: Map<(bool, IpAddr), Route>,
}

/// Where a link is attached.
#[derive(Debug)]
pub(crate) struct Port {
    /// The direction of the link that leads away.
    pub(crate) pipe: u32,
    pub(crate) outside: bool,
    /// Of a host.
    pub(crate) addresses: Vec<IpAddr>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Host(Box<Host>),
    Router,
    Nat(Box<NatNode>),
    Firewall(Box<Filter>),
}

#[derive(Debug)]
pub(crate) struct NatNode {
    pub(crate) config: Nat,
    pub(crate) table: Table,
    pub(crate) filter6: Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Over that direction of a link.
    Out(u32),
    /// Through this NAT itself, to its other side.
    Across,
    None,
}

/// The sockets of a host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) udp: Map<SocketAddr, UdpSocket>,
    pub(crate) listeners: Map<SocketAddr, u32>,
    pub(crate) connections: Map<(SocketAddr, SocketAddr), u32>,
    /// Connections that have ended well, for as long as segments of theirs may come late.
    pub(crate) ended: Ended,
    pub(crate) next_port: u16,
    pub(crate) send_buffer: usize,
    pub(crate) rng: StdRng,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct UdpSocket {
    pub(crate) endpoint: u32,
    pub(crate) may_fragment: bool,
}

impl Host {
    pub(crate) fn new(rng: StdRng) -> Self {
        Self {
            udp: Map::default(),
            listeners: Map::default(),
            connections: Map::default(),
            ended: Ended::default(),
            next_port: FIRST_EPHEMERAL,
            send_buffer: 128 * 1024,
            rng,
        }
    }
}

/// The dynamic ports of RFC 6335 §6.
pub(crate) const FIRST_EPHEMERAL: u16 = 49_152;

impl Node {
    pub(crate) fn host(&self) -> Option<&Host> {
        match &self.kind {
            Kind::Host(host) => Some(host),
            _ => None,
        }
    }

    pub(crate) fn host_mut(&mut self) -> Option<&mut Host> {
        match &mut self.kind {
            Kind::Host(host) => Some(host),
            _ => None,
        }
    }

    /// The port that has `address`.
    pub(crate) fn port_of(&self, address: &IpAddr) -> Option<&Port> {
        self.ports.iter().find(|port| port.addresses.contains(address))
    }
}
