use super::bucket::Bucket;
use super::config::{Family, PerFamily};
use super::connection::ConnectionId;
use super::quota::Quota;
use super::request::Proof;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stun::{ErrorCode, TransactionId};
use wire::Path;

/// How long a permission lasts (RFC 8656 §9).
pub(super) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel lasts (RFC 8656 §12).
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// How long a port is reserved (RFC 8656 §7.2).
pub(super) const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// One of the driver's relay sockets or listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl RelayId {
    /// A small number that no other open relay has, for tables and tokens. Closed ones' are used again.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// What is relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// Which port is wanted (RFC 8656 §18.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PortWish {
    Any,
    Even,
    /// An even one, and the next one reserved.
    Pair,
}

/// A relayed transport address.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) generation: u32,
    /// Whose it is, or for whose request it was reserved.
    pub(super) owner: Owner,
    pub(super) family: Family,
    pub(super) transport: Transport,
    /// Where it is bound.
    pub(super) address: SocketAddr,
    /// What clients are told.
    pub(super) external: SocketAddr,
    pub(super) bound: bool,
    pub(super) expires: Instant,
    /// Of whose quota it is a part.
    pub(super) quota: Quota,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Allocation(u32),
    /// To be reserved once this allocation is made.
    Beside(u32),
    /// Reserved.
    Token([u8; 8]),
}

/// A relay that is kept for whoever shows a token (RFC 8656 §7.2).
#[derive(Debug)]
pub(super) struct Reservation {
    pub(super) relay: RelayId,
    /// Of whose quota it is a part.
    pub(super) quota: Quota,
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) peer: SocketAddr,
    /// The peer is a relay of this server, and data goes there as long as it is.
    pub(super) to_relay: bool,
    pub(super) expires: Instant,
}

/// A channel as the last datagram in a direction found it, with its peer's permission: the next one of a burst needs no
/// look-up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) number: u16,
    pub(super) peer: SocketAddr,
    /// As that of the [`Channel`].
    pub(super) to_relay: bool,
    /// When the channel or the permission ends, what is first. Both may be refreshed, and are looked at again then.
    until: Instant,
}

impl Route {
    /// Whether data may go this way now.
    pub(super) fn is_permitted(&self, now: Instant) -> bool {
        self.until > now
    }
}

/// The last one in either direction. Each ends by itself; what is bound, or ends before its time, is looked at again.
#[derive(Debug, Default)]
pub(super) struct LastRoutes {
    sent: Option<Route>,
    received: Option<Route>,
}

/// An allocation (RFC 8656 §3.2), from the request on: not yet [`live`](Self::live) while its sockets are being bound.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) path: Path,
    /// Of the request that made it.
    pub(super) transaction_id: TransactionId,
    /// Whose it is, and what was shown for it.
    pub(super) proof: Proof,
    /// Whether its request had FINGERPRINT.
    pub(super) fingerprint: bool,
    pub(super) transport: Transport,
    pub(super) wish: PortWish,
    pub(super) live: bool,
    /// Ports that could not be bound.
    pub(super) failures: usize,
    pub(super) relays: PerFamily<Option<RelayId>>,
    /// The port that is reserved once this is made.
    pub(super) beside: Option<RelayId>,
    /// What the reserved port was given away under.
    pub(super) token: Option<[u8; 8]>,
    /// The family of two that could not be had (RFC 8656 §18.12).
    pub(super) refused: Option<(Family, ErrorCode)>,
    pub(super) lifetime: Duration,
    /// When each ends.
    pub(super) permissions: HashMap<IpAddr, Instant>,
    pub(super) channels: HashMap<u16, Channel>,
    pub(super) channel_of: HashMap<SocketAddr, u16>,
    pub(super) last_routes: LastRoutes,
    pub(super) connections: Vec<ConnectionId>,
    pub(super) sending: Bucket,
    pub(super) receiving: Bucket,
    /// ICMP errors.
    pub(super) icmp: Bucket,
    /// How many connections of peers are still taken now.
    pub(super) accepts: Bucket,
    /// 401, 438 and 400 without a password's proof.
    pub(super) refusals: Bucket,
    pub(super) created: Instant,
    pub(super) usage: Usage,
}

/// What has gone through an allocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Datagrams to peers.
    pub sent_packets: u64,
    /// Bytes of data to peers, those of TCP (RFC 6062) too.
    pub sent_bytes: u64,
    /// Datagrams to the client.
    pub received_packets: u64,
    /// Bytes of data to the client, those of TCP too.
    pub received_bytes: u64,
    /// Datagrams beyond the rate, either way.
    pub limited_packets: u64,
}

/// One allocation, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocationStats<'a> {
    /// The client's 5-tuple.
    pub path: Path,
    /// The username.
    pub user: &'a str,
    /// Whether it relays TCP (RFC 6062).
    pub tcp: bool,
    /// How long it exists.
    pub age: Duration,
    /// Permissions that it holds.
    pub permissions: usize,
    /// Channels that it holds.
    pub channels: usize,
    /// Peers' TCP connections that it holds.
    pub connections: usize,
    /// What has gone through.
    pub usage: Usage,
}

impl Allocation {
    /// Whether data may go to and come from an address now. Only addresses are compared (RFC 8656 §9).
    pub(super) fn is_permitted(&self, now: Instant, peer: IpAddr) -> bool {
        self.permissions.get(&peer).is_some_and(|&expires| expires > now)
    }

    /// The way of a channel that is bound now.
    pub(super) fn route(&mut self, now: Instant, number: u16) -> Option<Route> {
        let same = |route: &Route| route.number == number && route.is_permitted(now);
        if let Some(route) = self.last_routes.sent.filter(same) {
            return Some(route);
        }
        let route = self.find_route(now, number)?;
        self.last_routes.sent = Some(route);
        Some(route)
    }

    /// The way of the channel that leads to a peer now.
    pub(super) fn route_from(&mut self, now: Instant, peer: SocketAddr) -> Option<Route> {
        let same = |route: &Route| route.peer == peer && route.is_permitted(now);
        if let Some(route) = self.last_routes.received.filter(same) {
            return Some(route);
        }
        let route = self.find_route(now, *self.channel_of.get(&peer)?)?;
        self.last_routes.received = Some(route);
        Some(route)
    }

    fn find_route(&self, now: Instant, number: u16) -> Option<Route> {
        let channel = self.channels.get(&number).filter(|channel| channel.expires > now)?;
        let permitted = self.permissions.get(&channel.peer.ip());
        Some(Route {
            number,
            peer: channel.peer,
            to_relay: channel.to_relay,
            until: permitted.map_or(now, |&until| until.min(channel.expires)),
        })
    }

    pub(super) fn stats(&self, now: Instant) -> AllocationStats<'_> {
        AllocationStats {
            path: self.path,
            user: &self.proof.account.name,
            tcp: self.transport == Transport::Tcp,
            age: now.saturating_duration_since(self.created),
            permissions: self.permissions.len(),
            channels: self.channels.len(),
            connections: self.connections.len(),
            usage: self.usage,
        }
    }
}
