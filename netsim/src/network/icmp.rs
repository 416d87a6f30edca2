//! ICMP errors: who tells whom, and their way through NATs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Network;
use crate::drops::DropReason;
use crate::node::{Kind, Route};
use crate::packet::{Icmp, IcmpError, Transport};
use crate::trace::Action;

impl Network {
    /// Tells the sender of a packet what went wrong with it at `node`.
    pub(crate) fn complain(&mut self, node: u32, error: IcmpError, about: u32) {
        let it = self.packets.get(about);
        let (source, destination) = (it.source, it.destination);
        let about_tcp = match it.transport {
            // No errors about errors (RFC 1122 §3.2.2).
            Transport::Icmp(_) => return,
            Transport::Tcp(tcp) if tcp.flags.rst => return,
            Transport::Tcp(_) => true,
            Transport::Udp => false,
        };
        let own = self.nodes[node as usize].port_of(&source.ip()).is_some();
        if own {
            return self.host_error(node, about_tcp, source, destination, error);
        }
        if !self.nodes[node as usize].sends_icmp {
            return;
        }
        let icmp = Icmp {
            error,
            about_tcp,
            about_source: source,
            about_destination: destination,
        };
        let from = match self.nodes[node as usize].kind {
            Kind::Host(_) => destination.ip(),
            _ => router_address(&source.ip()),
        };
        let from = SocketAddr::new(from, 0);
        let to = SocketAddr::new(source.ip(), 0);
        let packet = self.packets.create(from, to, Transport::Icmp(icmp));
        self.counters.sent += 1;
        self.trace_node(node, Action::Sent, packet);
        self.emit_error(node, icmp, packet);
    }

    fn emit_error(&mut self, node: u32, icmp: Icmp, packet: u32) {
        let to = self.packets.get(packet).destination.ip();
        match &self.nodes[node as usize].kind {
            Kind::Host(_) => {
                let from = self.packets.get(packet).source.ip();
                self.leave_host(node, from, packet);
            }
            Kind::Nat(nat) if to.is_ipv4() => {
                if nat.table.pool.contains(&to) {
                    // It has been translated before the error arose.
                    self.nat_icmp_inbound(node, icmp, packet);
                } else if self.route(node, false, to) == Route::Across {
                    self.forward(node, true, packet);
                } else {
                    self.forward(node, false, packet);
                }
            }
            _ => self.forward(node, false, packet),
        }
    }

    /// RFC 5508 §4.1: an error from inside about a packet that came in.
    pub(super) fn nat_icmp_outbound(&mut self, node: u32, icmp: Icmp, packet: u32) {
        let now = self.now;
        let Some(nat) = self.nat(node) else { return };
        let external = nat
            .table
            .external_of(now, icmp.about_tcp, icmp.about_destination, icmp.about_source);
        let Some(external) = external.filter(|_| nat.config.icmp) else {
            return self.drop_at(node, DropReason::Icmp, packet);
        };
        let about = Icmp {
            about_destination: external,
            ..icmp
        };
        let it = self.packets.get_mut(packet);
        it.transport = Transport::Icmp(about);
        it.source = SocketAddr::new(external.ip(), 0);
        let action = Action::Translated {
            from: icmp.about_destination,
            to: external,
        };
        self.trace_node(node, action, packet);
        self.forward(node, true, packet);
    }

    /// RFC 5508 §4.2: an error from outside about a packet that went out. It never ends a mapping (REQ-10).
    pub(super) fn nat_icmp_inbound(&mut self, node: u32, icmp: Icmp, packet: u32) {
        let now = self.now;
        let Some(nat) = self.nat(node) else { return };
        let internal = nat
            .table
            .behind(now, icmp.about_tcp, icmp.about_source, icmp.about_destination);
        let Some(internal) = internal.filter(|_| nat.config.icmp) else {
            return self.drop_at(node, DropReason::Icmp, packet);
        };
        let about = Icmp {
            about_source: internal,
            ..icmp
        };
        let it = self.packets.get_mut(packet);
        it.transport = Transport::Icmp(about);
        it.destination = SocketAddr::new(internal.ip(), 0);
        let action = Action::Translated {
            from: icmp.about_source,
            to: internal,
        };
        self.trace_node(node, action, packet);
        self.forward(node, false, packet);
    }
}

/// Whom errors of a router come from: the dummy address of RFC 7600 §4.8, and one of the block for documentation.
fn router_address(family: &IpAddr) -> IpAddr {
    match family {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 0, 8).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 8).into(),
    }
}
