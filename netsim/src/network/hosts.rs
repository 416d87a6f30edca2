//! Hosts: what they send, and what comes to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Network, News, Upcall, What};
use crate::drops::DropReason;
use crate::node::UdpSocket;
use crate::packet::{IcmpError, Transport};
use crate::trace::Action;

impl Network {
    /// A host sends a packet that has been filled.
    pub(crate) fn host_sends(&mut self, node: u32, packet: u32) {
        self.counters.sent += 1;
        self.trace_node(node, Action::Sent, packet);
        let from = self.packets.get(packet).source.ip();
        self.leave_host(node, from, packet);
    }

    /// A packet that its own host does not let out.
    pub(crate) fn refuse(&mut self, node: u32, packet: u32) {
        self.counters.sent += 1;
        self.trace_node(node, Action::Sent, packet);
        self.drop_at(node, DropReason::NotBound, packet);
    }

    pub(super) fn leave_host(&mut self, node: u32, from: IpAddr, packet: u32) {
        let to = self.packets.get(packet).destination.ip();
        let this = &self.nodes[node as usize];
        let Some(port) = this.port_of(&from) else {
            return self.drop_at(node, DropReason::NoAddress, packet);
        };
        let pipe = port.pipe;
        if this.port_of(&to).is_some() {
            return self.schedule(self.now, What::Loops { node, packet });
        }
        self.meet(pipe, packet);
    }

    /// A packet comes to a host, over that port or, without one, from itself.
    pub(super) fn host_receives(&mut self, node: u32, port: Option<u32>, packet: u32) {
        let it = self.packets.get(packet);
        let (source, destination, transport) = (it.source, it.destination, it.transport);
        let this = &self.nodes[node as usize];
        let mine = match port {
            Some(port) => this.ports[port as usize].addresses.contains(&destination.ip()),
            None => this.port_of(&destination.ip()).is_some(),
        };
        if !mine {
            return self.drop_at(node, DropReason::NoAddress, packet);
        }
        match transport {
            Transport::Udp => match self.udp_socket(node, destination) {
                Some(socket) => {
                    let news = News::Datagram(packet);
                    self.call(socket.endpoint, destination, source, news);
                }
                None => {
                    self.complain(node, IcmpError::PortUnreachable, packet);
                    self.drop_at(node, DropReason::NoSocket, packet);
                }
            },
            Transport::Icmp(icmp) => {
                self.delivered(node, packet);
                self.packets.release(packet);
                self.host_error(
                    node,
                    icmp.about_tcp,
                    icmp.about_source,
                    icmp.about_destination,
                    icmp.error,
                );
            }
            Transport::Tcp(header) => self.tcp_receives(node, header, packet),
        }
    }

    pub(crate) fn udp_socket(&self, node: u32, local: SocketAddr) -> Option<UdpSocket> {
        let host = self.nodes[node as usize].host()?;
        let any: IpAddr = if local.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let exact = host.udp.get(&local);
        exact
            .or_else(|| host.udp.get(&SocketAddr::new(any, local.port())))
            .copied()
    }

    pub(super) fn host_error(&mut self, node: u32, tcp: bool, local: SocketAddr, remote: SocketAddr, error: IcmpError) {
        if tcp {
            self.tcp_error(node, local, remote, error);
        } else if let Some(socket) = self.udp_socket(node, local) {
            self.call(socket.endpoint, local, remote, News::Error(error));
        }
    }

    pub(crate) fn call(&mut self, endpoint: u32, local: SocketAddr, remote: SocketAddr, news: News) {
        self.upcalls.push(Upcall {
            endpoint,
            local,
            remote,
            news,
        });
    }
}
