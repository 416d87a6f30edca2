use super::allocation::{CHANNEL_LIFETIME, Channel, PERMISSION_LIFETIME};
use super::config::Family;
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
        if !self.permits(peer, asked.path.local.ip()) {
            return Err(ErrorCode::FORBIDDEN);
        }
        if !room {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        self.permit(asked.now, index, peer.ip());
        self.bind(asked.now, index, number, peer);
        asked.accept(&[], sink);
        Ok(())
    }

    /// Whether a transport address may be a peer.
    pub(super) fn permits(&self, peer: SocketAddr, local: IpAddr) -> bool {
        match self.machine.judge(peer, local) {
            Peer::Allowed => true,
            Peer::Own => self.config.ports.contains(&peer.port()),
            Peer::Forbidden => false,
        }
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

    fn bind(&mut self, now: Instant, index: u32, number: u16, peer: SocketAddr) {
        let Some(allocation) = self.allocations.get_mut(index) else {
            return;
        };
        let expires = now + CHANNEL_LIFETIME;
        let timer = Timer::Channel(index, number);
        if let Some(before) = allocation.channels.insert(number, Channel { peer, expires }) {
            self.timers.cancel(before.expires, timer);
        }
        allocation.channel_of.insert(peer, number);
        self.timers.arm(expires, timer);
    }
}
