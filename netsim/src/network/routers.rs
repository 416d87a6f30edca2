//! Routers and firewalls, and the way of a packet through any node.

use std::net::IpAddr;

use super::Network;
use crate::drops::DropReason;
use crate::node::{Kind, Route};
use crate::packet::IcmpError;
use crate::route;

impl Network {
    pub(super) fn transit(&mut self, node: u32, outside: bool, packet: u32) {
        let it = self.packets.get(packet);
        match &self.nodes[node as usize].kind {
            Kind::Nat(_) if it.is_ipv4() && outside => self.nat_inbound(node, packet),
            Kind::Nat(_) if it.is_ipv4() => self.nat_outbound(node, packet),
            Kind::Nat(_) | Kind::Firewall(_) => self.filter(node, outside, packet),
            Kind::Router | Kind::Host(_) => self.forward(node, false, packet),
        }
    }

    pub(super) fn route(&mut self, node: u32, outside: bool, destination: IpAddr) -> Route {
        if let Some(&route) = self.nodes[node as usize].routes.get(&(outside, destination)) {
            return route;
        }
        let route = route::find(&self.nodes, &self.pipes, (node, outside), destination);
        self.nodes[node as usize].routes.insert((outside, destination), route);
        route
    }

    /// On towards its destination, within the realm of that side.
    pub(super) fn forward(&mut self, node: u32, outside: bool, packet: u32) {
        match self.route(node, outside, self.packets.get(packet).destination.ip()) {
            Route::Out(pipe) => self.meet(pipe, packet),
            Route::Across | Route::None => {
                self.complain(node, IcmpError::HostUnreachable, packet);
                self.drop_at(node, DropReason::NoRoute, packet);
            }
        }
    }

    /// A firewall, or a NAT for IPv6.
    fn filter(&mut self, node: u32, outside: bool, packet: u32) {
        let Route::Out(pipe) = self.route(node, false, self.packets.get(packet).destination.ip()) else {
            return self.forward(node, false, packet);
        };
        let ports = &self.nodes[node as usize].ports;
        let leaves_outside = ports.iter().any(|port| port.pipe == pipe && port.outside);
        if outside != leaves_outside {
            let it = self.packets.get(packet);
            let (source, destination, transport, fragments) = (it.source, it.destination, it.transport, it.fragments);
            let now = self.now;
            let filter = match &mut self.nodes[node as usize].kind {
                Kind::Firewall(filter) => filter,
                Kind::Nat(nat) => &mut nat.filter6,
                Kind::Host(_) | Kind::Router => return self.meet(pipe, packet),
            };
            if let Err(reason) = filter.check(now, outside, source, destination, &transport, fragments) {
                return self.drop_at(node, reason, packet);
            }
        }
        self.meet(pipe, packet);
    }
}
