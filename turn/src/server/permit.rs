use super::allocation::{CHANNEL_LIFETIME, Channel, LastRoutes, PERMISSION_LIFETIME, Transport};
use super::config::{Family, RelayAddress};
use super::machine::Peer;
use super::request::peers;
use super::sink::ServerSink;
use super::timers::Timer;
use super::{Asked, Server};
use crate::channel_data::ChannelNumber;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use stun::ErrorCode;

impl Server {
    /// RFC 8656 §10.2: all of them or none.
    pub(super) fn create_permission(&mut self, asked: &Asked<'_>, sink: &mut impl ServerSink) -> Result<(), ErrorCode> {
        let index = self.owned(asked)?;
        asked.attributes.peer.ok_or(ErrorCode::BAD_REQUEST)?;
        let limit = self.config.limits.permissions;
        let mut new: Vec<IpAddr> = Vec::new();
        for (count, peer) in peers(asked.message).enumerate() {
            self.check_family(index, peer.ip())?;
            if !self.machine.permits_ip(peer.ip()) {
                return Err(ErrorCode::FORBIDDEN);
            }
            let allocation = self.allocations.get(index).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
            if !allocation.permissions.contains_key(&peer.ip()) && !new.contains(&peer.ip()) {
                new.push(peer.ip());
            }
            if count >= limit || allocation.permissions.len() + new.len() > limit {
                return Err(ErrorCode::INSUFFICIENT_CAPACITY);
            }
        }
        for peer in peers(asked.message) {
            self.permit(asked.now, index, peer.ip());
        }
        asked.accept(&[], sink);
        Ok(())
    }

    /// RFC 8656 §12.2.
    pub(super) fn bind_channel(&mut self, asked: &Asked<'_>, sink: &mut impl ServerSink) -> Result<(), ErrorCode> {
        let index = self.owned(asked)?;
        let number = asked.attributes.channel.and_then(ChannelNumber::new);
        let number = number.ok_or(ErrorCode::BAD_REQUEST)?.get();
        let peer = asked.attributes.peer.ok_or(ErrorCode::BAD_REQUEST)?;
        let allocation = self.allocations.get(index).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let bound = allocation.channels.get(&number);
        let other = allocation.channel_of.get(&peer).is_some_and(|&other| other != number);
        if other || bound.is_some_and(|channel| channel.peer != peer) {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let limits = &self.config.limits;
        let room = (bound.is_some() || allocation.channels.len() < limits.channels)
            && (allocation.permissions.contains_key(&peer.ip()) || allocation.permissions.len() < limits.permissions);
        self.check_family(index, peer.ip())?;
        let judged = self.machine.judge(peer, asked.path.local.ip());
        if !self.allows(judged, Transport::Udp, peer) {
            return Err(ErrorCode::FORBIDDEN);
        }
        if !room {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        self.permit(asked.now, index, peer.ip());
        self.bind(asked.now, index, number, peer, judged == Peer::Own);
        asked.accept(&[], sink);
        Ok(())
    }

    /// Whether a transport address may be a peer.
    pub(super) fn permits(&self, transport: Transport, peer: SocketAddr, local: IpAddr) -> bool {
        self.allows(self.machine.judge(peer, local), transport, peer)
    }

    fn allows(&self, judged: Peer, transport: Transport, peer: SocketAddr) -> bool {
        match judged {
            Peer::Allowed => true,
            Peer::Own => self.is_relay(transport, peer),
            Peer::Forbidden => false,
        }
    }

    /// Whether a relay is at a transport address of this machine now. Another service may be where there was one.
    pub(super) fn is_relay(&self, transport: Transport, peer: SocketAddr) -> bool {
        let (ip, family) = (peer.ip(), Family::of(peer.ip()));
        let at = |relay: RelayAddress| relay.bind.is_unspecified() || ip == relay.bind || ip == relay.external;
        self.config.relay_address(family).is_some_and(at) && self.bound.contains(&(transport, family, peer.port()))
    }

    pub(super) fn check_family(&self, index: u32, peer: IpAddr) -> Result<(), ErrorCode> {
        let relays = self.allocations.get(index).map(|allocation| allocation.relays);
        match relays.and_then(|relays| *relays.get(Family::of(peer))) {
            Some(_) => Ok(()),
            None => Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH),
        }
    }

    fn permit(&mut self, now: Instant, index: u32, peer: IpAddr) {
        let Some(allocation) = self.allocations.get_mut(index) else {
            return;
        };
        let expires = now + PERMISSION_LIFETIME;
        let timer = Timer::Permission(index, peer);
        if let Some(before) = allocation.permissions.insert(peer, expires) {
            self.timers.cancel(before, timer);
        }
        self.timers.arm(expires, timer);
    }

    fn bind(&mut self, now: Instant, index: u32, number: u16, peer: SocketAddr, to_relay: bool) {
        let Some(allocation) = self.allocations.get_mut(index) else {
            return;
        };
        let expires = now + CHANNEL_LIFETIME;
        let timer = Timer::Channel(index, number);
        let channel = Channel {
            peer,
            to_relay,
            expires,
        };
        if let Some(before) = allocation.channels.insert(number, channel) {
            self.timers.cancel(before.expires, timer);
        }
        allocation.channel_of.insert(peer, number);
        allocation.last_routes = LastRoutes::default();
        self.timers.arm(expires, timer);
    }
}
