//! TCP at hosts: connections, and what the network does for them.

use std::net::SocketAddr;

use rand::RngExt;

use crate::drops::DropReason;
use crate::ended::Numbers;
use crate::network::{Network, News, What};
use crate::packet::{IcmpError, TCP_HEADER, TcpFlags, TcpHeader, Transport, ip_header};
use crate::tcp::{Connection, Out};

impl Network {
    pub(crate) fn connection(&self, node: u32, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
        let host = self.nodes[node as usize].host()?;
        host.connections.get(&(local, remote)).copied()
    }

    /// Begins to connect. The caller has made sure that there is no such connection.
    pub(crate) fn tcp_connect(&mut self, owner: (u32, u32), local: SocketAddr, remote: SocketAddr) {
        let index = self.tcp_create(owner, local, remote);
        self.tcp_do(index, Connection::open);
    }

    fn tcp_create(&mut self, owner: (u32, u32), local: SocketAddr, remote: SocketAddr) -> u32 {
        let node = &self.nodes[owner.0 as usize];
        let mtu = node
            .port_of(&local.ip())
            .map_or(1500, |port| self.pipes[port.pipe as usize].config.mtu);
        let headers = (ip_header(&local.ip()) + TCP_HEADER) as u16;
        let mss = mtu.saturating_sub(headers).max(1);
        let index = self.free_connections.pop().unwrap_or_else(|| {
            self.connections.push(None);
            (self.connections.len() - 1) as u32
        });
        if let Some(host) = self.nodes[owner.0 as usize].host_mut() {
            let first = host.rng.random();
            let connection = Connection::new(owner, local, remote, first, mss, host.send_buffer);
            self.connections[index as usize] = Some(connection);
            host.connections.insert((local, remote), index);
            host.ended.remove((local, remote));
        }
        index
    }

    /// Does something with a connection, and then what the connection wants.
    pub(crate) fn tcp_do<T: Default>(
        &mut self,
        index: u32,
        what: impl FnOnce(&mut Connection, u64, &mut Vec<Out>) -> T,
    ) -> T {
        let mut out = std::mem::take(&mut self.scratch);
        let now = self.now;
        let result = match self.connections.get_mut(index as usize).and_then(Option::as_mut) {
            Some(connection) => what(connection, now, &mut out),
            None => T::default(),
        };
        for item in out.drain(..) {
            self.tcp_out(index, item);
        }
        self.scratch = out;
        self.tcp_rearm(index);
        result
    }

    fn tcp_out(&mut self, index: u32, item: Out) {
        let Some(connection) = &self.connections[index as usize] else {
            return;
        };
        let (node, endpoint) = (connection.node, connection.endpoint);
        let (local, remote) = (connection.local, connection.remote);
        let Out::Segment(header, len) = item else {
            return self.call(endpoint, local, remote, News::Tcp(item));
        };
        let packet = self.packets.create(local, remote, Transport::Tcp(header));
        if let Some(connection) = &self.connections[index as usize] {
            connection.bytes(header.seq, len, &mut self.packets.get_mut(packet).payload);
        }
        self.host_sends(node, packet);
    }

    fn tcp_rearm(&mut self, index: u32) {
        let Some(connection) = &mut self.connections[index as usize] else {
            return;
        };
        if connection.is_gone() {
            let key = (connection.local, connection.remote);
            let numbers = connection.numbers();
            let host = self.nodes[connection.node as usize].host_mut();
            if let Some(host) = host {
                host.connections.remove(&key);
                if let Some(numbers) = numbers {
                    host.ended.insert(self.now, key, numbers);
                }
            }
            self.connections[index as usize] = None;
            self.free_connections.push(index);
        } else if let Some(timer) = connection.timer.filter(|&timer| timer < connection.armed) {
            connection.armed = timer;
            self.schedule(timer, What::Tcp(index));
        }
    }

    pub(crate) fn tcp_timeout(&mut self, index: u32) {
        let now = self.now;
        // The slot may have a new connection by now, which is then woken in vain.
        if let Some(connection) = self.connections[index as usize].as_mut() {
            if connection.armed > now {
                return;
            }
            connection.armed = u64::MAX;
        }
        self.tcp_do(index, Connection::handle_timeout);
    }

    pub(crate) fn tcp_receives(&mut self, node: u32, header: TcpHeader, packet: u32) {
        let it = self.packets.get(packet);
        let (remote, local) = (it.source, it.destination);
        let known = self.connection(node, local, remote);
        let Some(index) = known.or_else(|| self.tcp_accept(node, local, remote, &header)) else {
            return self.tcp_stray(node, header, packet);
        };
        self.delivered(node, packet);
        let payload = std::mem::take(&mut self.packets.get_mut(packet).payload);
        if known.is_some() {
            self.tcp_do(index, |connection, now, out| {
                connection.handle_segment(now, &header, &payload, out);
            });
        } else {
            self.tcp_do(index, |connection, now, out| connection.accept(now, &header, out));
        }
        self.packets.get_mut(packet).payload = payload;
        self.packets.release(packet);
    }

    /// A connection for a SYN to somebody who listens.
    fn tcp_accept(&mut self, node: u32, local: SocketAddr, remote: SocketAddr, header: &TcpHeader) -> Option<u32> {
        if header.flags != TcpFlags::SYN {
            return None;
        }
        let host = self.nodes[node as usize].host()?;
        let any = SocketAddr::new(unspecified(&local), local.port());
        let endpoint = *host.listeners.get(&local).or_else(|| host.listeners.get(&any))?;
        Some(self.tcp_create((node, endpoint), local, remote))
    }

    /// A segment that belongs to nothing.
    fn tcp_stray(&mut self, node: u32, header: TcpHeader, packet: u32) {
        let it = self.packets.get(packet);
        let (remote, local) = (it.source, it.destination);
        let end = header.seq + it.payload.len() as u64 + u64::from(header.flags.syn) + u64::from(header.flags.fin);
        let ended = self.nodes[node as usize]
            .host()
            .and_then(|host| host.ended.get(self.now, (local, remote)));
        self.drop_at(node, DropReason::TcpStray, packet);
        if header.flags.rst {
            return;
        }
        let answer = match ended {
            // The last ACK got lost.
            Some(Numbers { seq, ack }) if header.flags.fin => TcpHeader {
                seq,
                ack,
                flags: TcpFlags::ACK,
                window: 0,
                mss: 0,
            },
            // What answers an ACK is no news to a peer that has closed, too.
            Some(Numbers { ack, .. }) if end <= ack && !header.flags.syn => return,
            _ if header.flags.ack => TcpHeader {
                seq: header.ack,
                ack: 0,
                flags: TcpFlags::RST,
                window: 0,
                mss: 0,
            },
            _ => TcpHeader {
                seq: 0,
                ack: end,
                flags: TcpFlags {
                    ack: true,
                    ..TcpFlags::RST
                },
                window: 0,
                mss: 0,
            },
        };
        let packet = self.packets.create(local, remote, Transport::Tcp(answer));
        self.host_sends(node, packet);
    }

    /// An endpoint is gone: its ports are closed, its connections reset.
    pub(crate) fn close_all(&mut self, node: u32, endpoint: u32) {
        if let Some(host) = self.nodes[node as usize].host_mut() {
            host.udp.retain(|_, socket| socket.endpoint != endpoint);
            host.listeners.retain(|_, owner| *owner != endpoint);
        }
        for index in 0..self.connections.len() as u32 {
            let connection = self.connections[index as usize].as_ref();
            if connection.is_some_and(|connection| connection.endpoint == endpoint) {
                self.tcp_do(index, |connection, _, out| connection.reset(out));
            }
        }
    }

    pub(crate) fn tcp_error(&mut self, node: u32, local: SocketAddr, remote: SocketAddr, error: IcmpError) {
        let Some(index) = self.connection(node, local, remote) else {
            return;
        };
        if let IcmpError::TooBig { mtu } = error {
            let mss = usize::from(mtu).saturating_sub(ip_header(&local.ip()) + TCP_HEADER);
            return self.tcp_do(index, |connection, now, out| connection.lower_mss(now, mss, out));
        }
        let endpoint = self.connections[index as usize]
            .as_ref()
            .map(|connection| connection.endpoint);
        let fatal = self.tcp_do(index, |connection, _, _| connection.unreachable());
        if let Some(endpoint) = endpoint.filter(|_| fatal) {
            self.call(endpoint, local, remote, News::Unreachable(error));
        }
    }
}

pub(crate) fn unspecified(like: &SocketAddr) -> std::net::IpAddr {
    match like {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
