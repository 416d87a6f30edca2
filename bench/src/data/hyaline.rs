//! Our own: an [`Association`] whose packets are laid straight into the records that [`Dtls`] seals, and read where they
//! are opened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dtls_srtp::{Certificate, CipherSuite, Dtls, Overhead, RingCrypto, Role, Version};
use sctp::dcep::Reliability;
use sctp::{Association, Config, Message, Ppid, Sink};
use wire::Seed;

use super::end::{DATAGRAM, End, Inbox};

pub(super) struct Hyaline {
    dtls: Dtls,
    association: Association,
    overhead: Overhead,
    inbox: Arrived,
}

#[derive(Default)]
struct Arrived(Inbox);

impl Sink for Arrived {
    fn message(&mut self, _: u16, _: Ppid, _: bool, payload: &[u8]) {
        self.0.take(payload);
    }

    fn part(&mut self, _: u16, _: Ppid, _: bool, _: &[u8], _: bool, _: bool) {
        unreachable!("not asked for");
    }

    fn cut(&mut self, _: u16, _: bool) {
        unreachable!("not asked for");
    }
}

impl Hyaline {
    pub(super) fn pair(version: Version, config: &Config, now: Instant) -> [Self; 2] {
        let crypto = Arc::new(RingCrypto::new());
        let suites = vec![
            CipherSuite::TLS_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ];
        let certificates = [(); 2].map(|()| Certificate::generate().expect("a certificate"));
        let mut fingerprints = certificates.each_ref().map(Certificate::fingerprint);
        fingerprints.reverse();
        let mut roles = [Role::Client, Role::Server].into_iter().zip(fingerprints).zip(1..);
        let mut ends = certificates.map(|certificate| {
            let ((role, fingerprint), run) = roles.next().expect("two");
            let dtls_config = Arc::new(dtls_srtp::Config {
                versions: vec![version],
                cipher_suites: suites.clone(),
                ..dtls_srtp::Config::new(crypto.clone(), certificate)
            });
            let mut dtls = Dtls::new(dtls_config, role, Seed::from_run(run), now);
            dtls.set_remote_fingerprints(vec![fingerprint]);
            Self {
                dtls,
                association: Association::new(config, Seed::from_run(run + 10), now),
                overhead: Overhead::MAX,
                inbox: Arrived::default(),
            }
        });
        ends[0].association.connect(now);
        ends
    }

    /// What the most of a packet is that such a record can carry.
    pub(super) fn config() -> Config {
        Config {
            base_packet: (DATAGRAM - Overhead::MAX.head - 16) / 4 * 4,
            zero_checksum: false,
            ..Config::default()
        }
    }

    /// The same for so many bytes on their way.
    pub(super) fn for_flight(bytes: usize) -> Config {
        let window = u32::try_from(4 * bytes).unwrap_or(u32::MAX);
        Config {
            send_buffer: 2 * bytes,
            receive_window: window.max(1 << 20),
            // Longer than the round trip, which is not known when the first packet is sent.
            initial_rto: Duration::from_secs(10),
            ..Self::config()
        }
    }
}

impl End for Hyaline {
    fn is_open(&self) -> bool {
        self.association.is_open()
    }

    fn held(&mut self) -> usize {
        self.association.stats().held
    }

    fn send(&mut self, now: Instant, payload: Bytes) {
        let message = Message {
            stream: 1,
            ppid: Ppid::BINARY,
            unordered: false,
            reliability: Reliability::Reliable,
            payload,
        };
        self.association.send(now, message).expect("room");
    }

    fn poll(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if !self.dtls.is_connected() {
            return self.dtls.poll_transmit(now, out);
        }
        let Overhead { head, tail } = self.overhead;
        let room = out.len() - tail;
        let Some(len) = self.association.poll_transmit(now, &mut out[head..room]) else {
            return self.dtls.poll_transmit(now, out);
        };
        Some(self.dtls.seal(out, len).expect("a record"))
    }

    fn handle(&mut self, now: Instant, datagram: &mut [u8]) {
        let (association, inbox) = (&mut self.association, &mut self.inbox);
        self.dtls.handle_datagram(now, datagram, &mut |packet| {
            association.handle_packet(now, packet, inbox)
        });
    }

    fn settle(&mut self, _: Instant) {
        while self.dtls.poll_event().is_some() {}
        while self.association.poll_event().is_some() {}
        if self.dtls.is_connected() {
            self.overhead = self.dtls.overhead();
        }
    }

    fn due(&mut self) -> Option<Instant> {
        let timers = [self.dtls.poll_timeout(), self.association.poll_timeout()];
        timers.into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        self.association.handle_timeout(now);
    }

    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox.0
    }
}
