//! Ours.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dtls_srtp::{Certificate, RingCrypto};
use sfu::{Config, Role, Sfu};
use wire::{Ecn, Path, Seed};

use super::{SUBSCRIBERS, Sent};

pub(super) struct Server {
    sfu: Sfu,
    address: SocketAddr,
    out: Vec<u8>,
}

impl Server {
    pub(super) fn new() -> Self {
        let certificate = Certificate::generate().expect("a certificate");
        let dtls = dtls_srtp::Config::new(Arc::new(RingCrypto::new()), certificate);
        let address = SocketAddr::from(([192, 0, 2, 1], 3478));
        let mut config = Config::new(Arc::new(peer::Config::new(Arc::new(dtls))), vec![address]);
        config.room_capacity = SUBSCRIBERS + 1;
        Self {
            sfu: Sfu::new(Arc::new(config), Seed::from_run(1), Instant::now()),
            address,
            out: vec![0; 65_536],
        }
    }
}

impl super::Server for Server {
    fn join(&mut self, now: Instant, _: SocketAddr, publishes: bool, offer: &str) -> String {
        let (name, role) = if publishes {
            ("ann", Role::Publisher)
        } else {
            ("viewer", Role::Viewer { source: None })
        };
        let id = self.sfu.join(now, "room", name, role).expect("room");
        self.sfu.offer(now, id, offer).expect("an answer")
    }

    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, data: &mut [u8], _: &mut Sent) {
        let path = Path::udp(self.address, from);
        self.sfu.handle_datagram(now, path, Ecn::NotEct, data);
    }

    fn flush(&mut self, now: Instant, sent: &mut Sent) {
        if self.sfu.poll_timeout().is_some_and(|due| due <= now) {
            self.sfu.handle_timeout(now);
        }
        while let Some(transmit) = self.sfu.poll_transmit(now, &mut self.out) {
            let size = transmit.segment.map_or(transmit.len, |size| usize::from(size.get()));
            for datagram in self.out[..transmit.len].chunks(size) {
                sent.datagram(transmit.path.remote, datagram);
            }
        }
        while self.sfu.poll_event().is_some() {}
    }
}
