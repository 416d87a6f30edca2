//! Topologies that many scenarios need.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use crate::firewall::Allow;
use crate::link::Link;
use crate::nat::{Dependence, Nat};
use crate::node::{HostId, LinkId, NatId, RouterId};
use crate::sim::Sim;

/// How a peer is connected to the internet, in the terms of RFC 4787: mapping, then filtering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Without a NAT, with a public address.
    Open,
    /// Endpoint-independent mapping, endpoint-independent filtering ("full cone").
    EimEif,
    /// Endpoint-independent mapping, address-dependent filtering ("restricted cone").
    EimAdf,
    /// Endpoint-independent mapping, address and port-dependent filtering ("port restricted cone").
    EimApdf,
    /// Address-dependent mapping, address and port-dependent filtering.
    AdmApdf,
    /// Address and port-dependent mapping, address and port-dependent filtering ("symmetric").
    ApdmApdf,
    /// EIM/APDF behind another EIM/EIF of the provider.
    DoubleNat,
    /// EIM/EIF that lets no UDP out.
    UdpBlocked,
}

impl Access {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::EimEif,
        Self::EimAdf,
        Self::EimApdf,
        Self::AdmApdf,
        Self::ApdmApdf,
        Self::DoubleNat,
        Self::UdpBlocked,
    ];

    /// The name, as [`FromStr`] reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::EimEif => "eim/eif",
            Self::EimAdf => "eim/adf",
            Self::EimApdf => "eim/apdf",
            Self::AdmApdf => "adm/apdf",
            Self::ApdmApdf => "apdm/apdf",
            Self::DoubleNat => "double",
            Self::UdpBlocked => "udp-blocked",
        }
    }

    /// The NAT next to the peer.
    fn nat(self) -> Option<Nat> {
        use Dependence::{Address, AddressAndPort, EndpointIndependent};
        match self {
            Self::Open => None,
            Self::EimEif => Some(Nat::new(EndpointIndependent, EndpointIndependent)),
            Self::EimAdf => Some(Nat::new(EndpointIndependent, Address)),
            Self::EimApdf | Self::DoubleNat => Some(Nat::new(EndpointIndependent, AddressAndPort)),
            Self::AdmApdf => Some(Nat::new(Address, AddressAndPort)),
            Self::ApdmApdf => Some(Nat::new(AddressAndPort, AddressAndPort)),
            Self::UdpBlocked => Some(Nat {
                allow: Allow::tcp_only(),
                ..Nat::default()
            }),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of [`Access`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownAccess(String);

impl fmt::Display for UnknownAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Access::ALL.iter().map(|access| access.name()).collect();
        write!(f, "`{}` is no kind of access: take one of {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownAccess {}

impl FromStr for Access {
    type Err = UnknownAccess;

    fn from_str(name: &str) -> Result<Self, UnknownAccess> {
        let found = Self::ALL.into_iter().find(|access| access.name() == name);
        found.ok_or_else(|| UnknownAccess(name.to_owned()))
    }
}

/// How [`pair`] is made.
#[derive(Debug, Clone)]
pub struct PairConfig {
    /// How the peer on the left is connected.
    pub left: Access,
    /// How the one on the right is.
    pub right: Access,
    /// Between a peer and its NAT.
    pub lan: Link,
    /// Between a NAT (or an open peer) and the internet; forward leads to the internet. Of two NATs it is the
    /// provider's, and the link between the two is perfect.
    pub access: Link,
    /// Between the server and the internet; forward leads to the internet.
    pub server: Link,
    /// Whether everybody has an IPv6 address, too, behind a firewall where there is a NAT.
    pub ipv6: bool,
}

impl PairConfig {
    /// 1 ms in the house, 10 ms from there to the internet, 5 ms from the server, no limits, no losses, no IPv6.
    pub fn new(left: Access, right: Access) -> Self {
        Self {
            left,
            right,
            lan: Link::with_delay(Duration::from_millis(1)),
            access: Link::with_delay(Duration::from_millis(10)),
            server: Link::with_delay(Duration::from_millis(5)),
            ipv6: false,
        }
    }
}

/// Two peers and a server in the open.
#[derive(Debug)]
pub struct Pair {
    /// The simulation that all of this is in.
    pub sim: Sim,
    /// The peer on the left.
    pub left: Peer,
    /// The one on the right.
    pub right: Peer,
    /// The server: in the open, with two addresses of each family it has (as RFC 5780 wants them).
    pub server: HostId,
    /// The server's addresses: 198.51.100.1 and .2, with IPv6 also 2001:db8:0:5::1 and ::2.
    pub server_addresses: Vec<IpAddr>,
    /// The server's link.
    pub server_link: LinkId,
    /// What everybody is connected to.
    pub internet: RouterId,
}

/// A peer and what lies between it and the internet.
#[derive(Debug)]
pub struct Peer {
    /// The host, named `left` or `right`.
    pub host: HostId,
    /// Its addresses: 192.168.1.2 on both sides, or in the open 203.0.113.2 or .3; with IPv6 one of each family.
    pub addresses: Vec<IpAddr>,
    /// The link at the host; forward leads away from it.
    pub lan: LinkId,
    /// The link at the internet; forward leads to it. In the open the same as `lan`.
    pub access: LinkId,
    /// The NAT next to the host.
    pub nat: Option<NatId>,
    /// The one of the provider.
    pub provider_nat: Option<NatId>,
}

/// Two peers, each connected as `config` says, and a server in the open.
pub fn pair(run: u64, config: PairConfig) -> Pair {
    let mut sim = Sim::new(run);
    let internet = sim.add_router("internet");
    let server = sim.add_host("server");
    let mut server_addresses: Vec<IpAddr> = vec![[198, 51, 100, 1].into(), [198, 51, 100, 2].into()];
    if config.ipv6 {
        server_addresses.extend([v6(5, 1), v6(5, 2)]);
    }
    let server_link = sim.attach(server, internet, &server_addresses, config.server.clone());
    let left = peer(&mut sim, internet, &config, 0);
    let right = peer(&mut sim, internet, &config, 1);
    Pair {
        sim,
        left,
        right,
        server,
        server_addresses,
        server_link,
        internet,
    }
}

fn peer(sim: &mut Sim, internet: RouterId, config: &PairConfig, side: u8) -> Peer {
    let (name, access) = [("left", config.left), ("right", config.right)][usize::from(side)];
    let host = sim.add_host(name);
    let public = Ipv4Addr::new(203, 0, 113, 2 + side).into();
    let mut addresses = vec![if access == Access::Open {
        public
    } else {
        [192, 168, 1, 2].into()
    }];
    if config.ipv6 {
        addresses.push(v6(1 + u16::from(side), 2));
    }
    let Some(nat) = access.nat() else {
        let link = sim.attach(host, internet, &addresses, config.access.clone());
        return Peer {
            host,
            addresses,
            lan: link,
            access: link,
            nat: None,
            provider_nat: None,
        };
    };
    let (provider_nat, external) = if access == Access::DoubleNat {
        let provider = sim.add_nat(&format!("{name}-provider"), Nat::default(), &[public]);
        (Some(provider), [100, 64, 0, 2 + side].into())
    } else {
        (None, public)
    };
    let nat = sim.add_nat(&format!("{name}-nat"), nat, &[external]);
    let lan = sim.attach(host, nat.inside(), &addresses, config.lan.clone());
    let outermost = if let Some(provider) = provider_nat {
        sim.link(nat.outside(), provider.inside(), Link::default());
        provider.outside()
    } else {
        nat.outside()
    };
    let access = sim.link(outermost, internet, config.access.clone());
    Peer {
        host,
        addresses,
        lan,
        access,
        nat: Some(nat),
        provider_nat,
    }
}

fn v6(net: u16, host: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host).into()
}
