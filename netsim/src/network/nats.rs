//! NATs: the translation of IPv4.

use std::net::SocketAddr;

use super::{Network, What};
use crate::drops::DropReason;
use crate::link::nanos;
use crate::nat::{Hairpin, UnsolicitedSyn};
use crate::node::{Kind, NatNode, Route};
use crate::packet::{IcmpError, TcpFlags, TcpHeader, Transport};
use crate::trace::Action;

impl Network {
    pub(super) fn nat(&mut self, node: u32) -> Option<&mut NatNode> {
        match &mut self.nodes[node as usize].kind {
            Kind::Nat(nat) => Some(nat),
            _ => None,
        }
    }

    pub(super) fn nat_outbound(&mut self, node: u32, packet: u32) {
        let it = self.packets.get(packet);
        let (source, destination, transport, fragments) = (it.source, it.destination, it.transport, it.fragments);
        let now = self.now;
        let Some(nat) = self.nat(node) else { return };
        let hairpins = nat.table.pool.contains(&destination.ip());
        if !hairpins && self.route(node, false, destination.ip()) != Route::Across {
            return self.forward(node, false, packet);
        }
        let Some(nat) = self.nat(node) else { return };
        if fragments > 1 && !nat.config.fragments {
            return self.drop_at(node, DropReason::Fragment, packet);
        }
        let tcp = match transport {
            Transport::Icmp(icmp) => return self.nat_icmp_outbound(node, icmp, packet),
            Transport::Tcp(tcp) => Some(tcp.flags),
            Transport::Udp => None,
        };
        if !hairpins && !nat.config.allow.permits(tcp.is_some(), destination.port()) {
            return self.drop_at(node, DropReason::FirewallOutbound, packet);
        }
        if hairpins && nat.config.hairpin == Hairpin::None {
            return self.drop_at(node, DropReason::NatNoHairpin, packet);
        }
        let external = match nat.table.outbound(now, tcp, source, destination) {
            Ok(external) => external,
            Err(reason) => return self.drop_at(node, reason, packet),
        };
        if hairpins {
            return self.hairpin(node, external, tcp, packet);
        }
        self.translate_source(node, external, packet);
        self.forward(node, true, packet);
    }

    fn hairpin(&mut self, node: u32, external: SocketAddr, tcp: Option<TcpFlags>, packet: u32) {
        let (now, destination) = (self.now, self.packets.get(packet).destination);
        let Some(nat) = self.nat(node) else { return };
        let hairpin = nat.config.hairpin;
        // The filter sees what the peer has sent to: the external source.
        match nat.table.inbound(now, tcp, external, destination) {
            Ok(internal) => {
                if hairpin == Hairpin::ExternalSource {
                    self.translate_source(node, external, packet);
                }
                self.translate_destination(node, internal, packet);
                self.forward(node, false, packet);
            }
            Err(reason) => self.drop_at(node, reason, packet),
        }
    }

    pub(super) fn nat_inbound(&mut self, node: u32, packet: u32) {
        let it = self.packets.get(packet);
        let (source, destination, transport, fragments) = (it.source, it.destination, it.transport, it.fragments);
        let now = self.now;
        let Some(nat) = self.nat(node) else { return };
        if !nat.table.pool.contains(&destination.ip()) {
            // Just passing: its outside has more than one link.
            return self.forward(node, true, packet);
        }
        if fragments > 1 && !nat.config.fragments {
            return self.drop_at(node, DropReason::Fragment, packet);
        }
        let tcp = match transport {
            Transport::Icmp(icmp) => return self.nat_icmp_inbound(node, icmp, packet),
            Transport::Tcp(tcp) => Some(tcp.flags),
            Transport::Udp => None,
        };
        match nat.table.inbound(now, tcp, source, destination) {
            Ok(internal) => {
                self.translate_destination(node, internal, packet);
                self.forward(node, false, packet);
            }
            Err(reason) => self.refuse_inbound(node, reason, packet),
        }
    }

    /// RFC 5382 §4.3.
    fn refuse_inbound(&mut self, node: u32, reason: DropReason, packet: u32) {
        let it = self.packets.get(packet);
        let (source, destination) = (it.source, it.destination);
        let syn = match it.transport {
            Transport::Tcp(tcp) if tcp.flags == TcpFlags::SYN => Some(tcp),
            _ => None,
        };
        let unsolicited = self.nat(node).map(|nat| nat.config.unsolicited_syn);
        match (syn, unsolicited) {
            (Some(syn), Some(UnsolicitedSyn::Reset)) => {
                let reset = TcpHeader {
                    seq: 0,
                    ack: syn.seq + 1,
                    flags: TcpFlags {
                        ack: true,
                        ..TcpFlags::RST
                    },
                    window: 0,
                    mss: 0,
                };
                let answer = self.packets.create(destination, source, Transport::Tcp(reset));
                self.counters.sent += 1;
                self.trace_node(node, Action::Sent, answer);
                self.drop_at(node, reason, packet);
                self.forward(node, true, answer);
            }
            (Some(_), Some(UnsolicitedSyn::Unreachable(after))) => {
                self.schedule(self.now + nanos(after), What::Unsolicited { node, packet, reason });
            }
            _ => self.drop_at(node, reason, packet),
        }
    }

    pub(super) fn unsolicited(&mut self, node: u32, packet: u32, reason: DropReason) {
        let it = self.packets.get(packet);
        let (source, destination, now) = (it.source, it.destination, self.now);
        let opened = self
            .nat(node)
            .is_some_and(|nat| nat.table.behind(now, true, destination, source).is_some());
        if !opened {
            self.complain(node, IcmpError::PortUnreachable, packet);
        }
        self.drop_at(node, reason, packet);
    }

    fn translate_source(&mut self, node: u32, to: SocketAddr, packet: u32) {
        let from = std::mem::replace(&mut self.packets.get_mut(packet).source, to);
        self.trace_node(node, Action::Translated { from, to }, packet);
    }

    fn translate_destination(&mut self, node: u32, to: SocketAddr, packet: u32) {
        let from = std::mem::replace(&mut self.packets.get_mut(packet).destination, to);
        self.trace_node(node, Action::Translated { from, to }, packet);
    }
}
