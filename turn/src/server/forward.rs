use super::Server;
use super::allocation::{Allocation, Owner, RelayId, Route, Transport};
use super::config::Family;
use super::request::Attributes;
use super::sink::{Outgoing, ServerSink};
use crate::channel_data::{ChannelData, ChannelNumber};
use rand::Rng;
use std::net::SocketAddr;
use std::time::Instant;
use stun::{AttributeType, Builder, Class, Message, Method, TransactionId, Value};
use wire::{Ecn, Path, Protocol};

/// Header, XOR-PEER-ADDRESS with an IPv6 address, and the header of DATA.
const MAX_INDICATION_HEAD: usize = 20 + 24 + 4;

/// How many ICMP errors a client is told, per second and at once: who sends to nobody has as many of them as
/// datagrams, and one says it all.
pub(super) const ICMP_PER_SECOND: u64 = 10;
pub(super) const ICMP_BURST: u64 = 20;

/// An ICMP error as the driver was told of it (RFC 8656 §11.5, §18.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The next hop's MTU where the type and code say so.
    pub mtu: u32,
}

impl Server {
    /// A datagram from a peer at a relay socket (RFC 8656 §11.3). `ecn` is how the network had marked it.
    pub fn handle_relayed(
        &mut self,
        now: Instant,
        relay: RelayId,
        peer: SocketAddr,
        ecn: Ecn,
        data: &[u8],
        sink: &mut impl ServerSink,
    ) {
        let Some(index) = self.owner(relay) else {
            self.counters.turn_unowned_receives += 1;
            return;
        };
        let Some(allocation) = self.allocations.get_mut(index) else {
            return;
        };
        let local = allocation.path.local.ip();
        let route = allocation.route_from(now, peer);
        let allowed = match route {
            // A channel's peer was looked at when it was bound.
            Some(route) => route.is_permitted(now) && self.leads_on(&route),
            None => allocation.is_permitted(now, peer.ip()) && self.permits(Transport::Udp, peer, local),
        };
        let Some(allocation) = self.allocations.get_mut(index).filter(|_| allowed) else {
            self.counters.turn_unpermitted_receives += 1;
            return;
        };
        let channel = route.and_then(|route| ChannelNumber::new(route.number));
        let stream = allocation.path.protocol == Protocol::Tcp;
        let mut head = [0; MAX_INDICATION_HEAD];
        let head = match channel {
            Some(channel) => ChannelData::header(channel, data.len()).and_then(|header| {
                let head = head.first_chunk_mut()?;
                *head = header;
                Some(&head[..])
            }),
            None => indication_head(&mut head, &mut self.rng, peer, data.len()),
        };
        let Some(head) = head else {
            self.counters.turn_too_long_receives += 1;
            return;
        };
        if !allocation.receiving.take(now, &self.rate, data.len()) {
            allocation.usage.limited_packets += 1;
            self.counters.turn_limited_receives += 1;
            return;
        }
        allocation.usage.received_packets += 1;
        allocation.usage.received_bytes += data.len() as u64;
        self.traffic.turn_received_packets += 1;
        self.traffic.turn_received_bytes += data.len() as u64;
        let padding = if channel.is_none() || stream {
            ChannelData::padding(data.len())
        } else {
            0
        };
        let ecn = if stream { Ecn::NotEct } else { ecn };
        let packet = Outgoing {
            head,
            data,
            padding,
            ecn,
            dont_fragment: false,
        };
        sink.to_client(&allocation.path, packet);
    }

    /// An ICMP error about a datagram that a relay socket had sent to `peer` (RFC 8656 §11.5); port 0 when the driver
    /// does not know it.
    pub fn handle_icmp(
        &mut self,
        now: Instant,
        relay: RelayId,
        peer: SocketAddr,
        icmp: IcmpError,
        sink: &mut impl ServerSink,
    ) {
        let index = self.owner(relay);
        let allocation = index.and_then(|index| self.allocations.get_mut(index));
        let (wanted, has_mtu) = match peer {
            SocketAddr::V4(_) => (matches!(icmp.kind, 3 | 11), (icmp.kind, icmp.code) == (3, 4)),
            SocketAddr::V6(_) => (matches!(icmp.kind, 1..=3), icmp.kind == 2),
        };
        let permitted = |allocation: &&mut Allocation| wanted && allocation.is_permitted(now, peer.ip());
        let Some(allocation) = allocation.filter(permitted) else {
            self.counters.turn_ignored_icmp += 1;
            return;
        };
        if !allocation.icmp.take(now, &self.icmp_rate, 1) {
            self.counters.turn_limited_icmp += 1;
            return;
        }
        let mut out = [0; 64];
        let values = [
            Value::XorPeerAddress(peer),
            Value::Icmp {
                kind: icmp.kind,
                code: u16::from(icmp.code),
                data: if has_mtu { icmp.mtu } else { 0 },
            },
        ];
        let id = transaction_id(&mut self.rng);
        let to = super::answer::To {
            method: Method::DATA,
            transaction_id: id,
        };
        if let Ok(message) = super::answer::write(&mut out, Class::Indication, to, &values, None, false) {
            self.traffic.turn_told_icmp += 1;
            sink.to_client(&allocation.path, Outgoing::message(message));
        }
    }

    /// RFC 8656 §12.6.
    pub(super) fn forward_channel_data(
        &mut self,
        now: Instant,
        path: &Path,
        ecn: Ecn,
        data: &[u8],
        sink: &mut impl ServerSink,
    ) {
        let Ok(message) = ChannelData::parse(data) else {
            self.counters.turn_malformed += 1;
            return;
        };
        let Some(index) = self.live(path) else { return };
        let Some(allocation) = self.allocations.get_mut(index) else {
            return;
        };
        let Some(route) = allocation.route(now, message.channel.get()) else {
            self.counters.turn_unbound_channels += 1;
            return;
        };
        if !self.leads_on(&route) {
            self.counters.turn_forbidden_sends += 1;
            return;
        }
        let permitted = route.is_permitted(now);
        self.forward(now, index, route.peer, permitted, plain(message.data, path, ecn), sink);
    }

    /// RFC 8656 §11.2.
    pub(super) fn forward_indication(
        &mut self,
        now: Instant,
        path: &Path,
        ecn: Ecn,
        message: &Message<'_>,
        sink: &mut impl ServerSink,
    ) {
        let attributes = Attributes::read(message, self.config.dont_fragment);
        let (Some(peer), Some(data), false, true) = (
            attributes.peer,
            attributes.data,
            attributes.broken,
            attributes.unknown.is_empty(),
        ) else {
            self.counters.turn_bad_indications += 1;
            return;
        };
        let Some(index) = self.live(path) else { return };
        if !self.permits(Transport::Udp, peer, path.local.ip()) {
            self.counters.turn_forbidden_sends += 1;
            return;
        }
        let packet = Outgoing {
            dont_fragment: attributes.dont_fragment,
            ..plain(data, path, ecn)
        };
        let allocation = self.allocations.get(index);
        let permitted = allocation.is_some_and(|allocation| allocation.is_permitted(now, peer.ip()));
        self.forward(now, index, peer, permitted, packet, sink);
    }

    /// Whether a channel's peer, if it is one of our relays, is there still.
    fn leads_on(&self, route: &Route) -> bool {
        !route.to_relay || self.is_relay(Transport::Udp, route.peer)
    }

    /// The allocation whose data a message on `path` is.
    fn live(&mut self, path: &Path) -> Option<u32> {
        let udp = |&index: &u32| {
            let allocation = self.allocations.get(index);
            allocation.is_some_and(|it| it.live && it.transport == Transport::Udp && it.path == *path)
        };
        // Data comes in bursts: who has sent the last message has often sent this one, too.
        let index = Some(self.latest).filter(udp);
        let index = index.or_else(|| self.by_path.get(path).copied().filter(udp));
        match index {
            Some(index) => self.latest = index,
            None => self.counters.turn_no_allocation += 1,
        }
        index
    }

    fn forward(
        &mut self,
        now: Instant,
        index: u32,
        peer: SocketAddr,
        permitted: bool,
        packet: Outgoing<'_>,
        sink: &mut impl ServerSink,
    ) {
        let len = packet.data.len();
        let Some(allocation) = self.allocations.get_mut(index) else {
            return;
        };
        let Some(relay) = *allocation.relays.get(Family::of(peer.ip())) else {
            self.counters.turn_forbidden_sends += 1;
            return;
        };
        if !permitted {
            self.counters.turn_unpermitted_sends += 1;
            return;
        }
        if !allocation.sending.take(now, &self.rate, len) {
            allocation.usage.limited_packets += 1;
            self.counters.turn_limited_sends += 1;
            return;
        }
        allocation.usage.sent_packets += 1;
        allocation.usage.sent_bytes += len as u64;
        self.traffic.turn_sent_packets += 1;
        self.traffic.turn_sent_bytes += len as u64;
        sink.to_peer(relay, peer, packet);
    }

    /// The live allocation that a relay belongs to.
    pub(super) fn owner(&self, relay: RelayId) -> Option<u32> {
        match self.relay(relay)?.owner {
            Owner::Allocation(index) => self.allocations.get(index).filter(|it| it.live).map(|_| index),
            Owner::Beside(_) | Owner::Token(_) => None,
        }
    }
}

/// Data to a peer, marked as it came, after a stream not at all (RFC 8656 §14, §15).
fn plain<'a>(data: &'a [u8], path: &Path, ecn: Ecn) -> Outgoing<'a> {
    let ecn = if path.protocol == Protocol::Tcp {
        Ecn::NotEct
    } else {
        ecn
    };
    Outgoing {
        ecn,
        ..Outgoing::message(data)
    }
}

/// A Data indication up to its data (RFC 8656 §11.3); `None` when it would be too long for STUN.
fn indication_head<'a>(
    out: &'a mut [u8; MAX_INDICATION_HEAD],
    rng: &mut impl Rng,
    peer: SocketAddr,
    len: usize,
) -> Option<&'a [u8]> {
    let mut builder = Builder::new(out, Class::Indication, Method::DATA, transaction_id(rng)).ok()?;
    builder.push(&Value::XorPeerAddress(peer)).ok()?;
    let at = builder.finish().len();
    let [k0, k1] = AttributeType::DATA.0.to_be_bytes();
    let [l0, l1] = u16::try_from(len).ok()?.to_be_bytes();
    *out.get_mut(at..)?.first_chunk_mut()? = [k0, k1, l0, l1];
    let total = (at + 4 - stun::HEADER_LEN).checked_add(len.next_multiple_of(4))?;
    *out.get_mut(2..)?.first_chunk_mut()? = u16::try_from(total).ok()?.to_be_bytes();
    out.get(..at + 4)
}

fn transaction_id(rng: &mut impl Rng) -> TransactionId {
    let mut id = [0; 12];
    rng.fill_bytes(&mut id);
    TransactionId(id)
}
