use super::allocation::LastRoutes;
use super::config::Family;
use super::sink::ServerSink;
use super::timers::Timer;
use super::{Asked, Server};
use stun::{ErrorCode, Value};

impl Server {
    /// RFC 8656 §8.2.
    pub(super) fn refresh(&mut self, asked: &Asked<'_>, sink: &mut impl ServerSink) -> Result<(), ErrorCode> {
        let index = self.owned(asked)?;
        let relays = self.allocations.get(index).map(|allocation| allocation.relays);
        let relays = relays.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let only = match asked.attributes.family.map(Family::from_wire) {
            None => None,
            Some(Ok(family)) if relays.get(family).is_some() => Some(family),
            Some(_) => return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH),
        };
        let ends = asked.attributes.lifetime == Some(0);
        let lifetime = self.lifetime(asked.attributes.lifetime);
        for family in Family::ALL {
            if only.is_some_and(|only| only != family) {
                continue;
            }
            if ends {
                self.remove_family(index, family);
            } else if let Some(relay) = *relays.get(family) {
                self.extend(relay, asked.now + lifetime);
            }
        }
        let seconds = if ends { 0 } else { lifetime.as_secs() };
        asked.accept(&[Value::Lifetime(u32::try_from(seconds).unwrap_or(u32::MAX))], sink);
        Ok(())
    }

    /// Ends an allocation with everything in it.
    pub(super) fn remove(&mut self, index: u32) {
        for family in Family::ALL {
            self.remove_family(index, family);
        }
    }

    /// Ends what an allocation has of one family (RFC 8656 §8.1), and the allocation when nothing is left.
    pub(super) fn remove_family(&mut self, index: u32, family: Family) {
        let Some(allocation) = self.allocations.get_mut(index) else {
            return;
        };
        let timers = &mut self.timers;
        allocation.permissions.retain(|peer, expires| {
            let stays = Family::of(*peer) != family;
            if !stays {
                timers.cancel(*expires, Timer::Permission(index, *peer));
            }
            stays
        });
        allocation.channels.retain(|number, channel| {
            let stays = Family::of(channel.peer.ip()) != family;
            if !stays {
                timers.cancel(channel.expires, Timer::Channel(index, *number));
            }
            stays
        });
        allocation.channel_of.retain(|peer, _| Family::of(peer.ip()) != family);
        allocation.last_routes = LastRoutes::default();
        let relay = allocation.relays.get_mut(family).take();
        let beside = allocation.beside.filter(|_| !allocation.live);
        let connections = allocation.connections.clone();
        for connection in connections {
            if self
                .connections
                .get(&connection)
                .is_some_and(|it| Family::of(it.peer.ip()) == family)
            {
                self.disconnect(connection);
            }
        }
        for relay in relay.into_iter().chain(beside) {
            self.close_relay(relay);
        }
        self.remove_if_empty(index);
    }

    fn remove_if_empty(&mut self, index: u32) {
        let empty = |allocation: &super::Allocation| allocation.relays.v4.is_none() && allocation.relays.v6.is_none();
        if !self.allocations.get(index).is_some_and(empty) {
            return;
        }
        if let Some(allocation) = self.allocations.remove(index) {
            self.by_path.remove(&allocation.path);
            self.quotas
                .change(&allocation.proof.account.quota, |used| used.allocations -= 1);
        }
    }
}
