//! Our engine, one of another stack, and the network between them, in virtual time.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test binary uses a part"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{Certificate, CipherSuite, CloseReason, Config, Event, NamedGroup, Role, SrtpProfile, Version};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::certificates::Files;
use crate::pair::{End, Network};

/// An engine of another stack. All that it returns about the connection is of the time of the last call.
pub trait Foreign {
    fn handle(&mut self, now: Instant, datagram: &[u8]);
    fn timeout(&mut self, now: Instant);
    /// All datagrams that wait.
    fn transmits(&mut self, now: Instant) -> Vec<Vec<u8>>;
    /// When it wants to be told the time; asked for after its datagrams.
    fn poll_timeout(&mut self, now: Instant) -> Option<Instant>;
    /// What went wrong.
    fn failure(&self) -> Option<&str>;
    fn is_connected(&self) -> bool;
    fn peer_certificate(&self) -> Option<Vec<u8>>;
    /// The keying material of its profile (RFC 5764 §4.2).
    fn srtp_keys(&self) -> Option<(SrtpProfile, Vec<u8>)>;
    fn say(&mut self, data: &[u8]);
    /// The last message that it received.
    fn heard(&self) -> Option<&[u8]>;
    fn close(&mut self);
    /// Whether the peer said goodbye.
    fn was_left(&self) -> bool;
}

pub const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Us,
    Them,
}

pub struct Meeting<T> {
    start: Instant,
    pub now: Instant,
    pub ours: End,
    pub theirs: T,
    certificate: Certificate,
    pub network: Network,
    on_the_way: BTreeMap<(Instant, u64), (To, Vec<u8>)>,
    sent: u64,
    rng: StdRng,
}

impl<T: Foreign> Meeting<T> {
    /// `make` gives the other one, who has our opposite role and shows `certificate`.
    pub fn new(
        config: Config,
        role: Role,
        certificate: Files,
        network: Network,
        run: u64,
        make: impl FnOnce(Instant) -> T,
    ) -> Self {
        let now = Instant::now();
        let ours = End::new(Arc::new(config), role, run, now);
        Self::between(now, ours, make(now), certificate, network, run)
    }

    /// The same for ends that are there already, at that time.
    pub fn between(now: Instant, mut ours: End, theirs: T, certificate: Files, network: Network, run: u64) -> Self {
        ours.dtls.set_remote_fingerprints(vec![certificate.fingerprint()]);
        Self {
            start: now,
            now,
            certificate: ours.dtls.config().certificate.clone(),
            ours,
            theirs,
            network,
            on_the_way: BTreeMap::new(),
            sent: 0,
            rng: StdRng::seed_from_u64(run),
        }
    }

    fn send(&mut self, to: To, datagram: &[u8]) {
        let copies = 1 + u32::from(self.rng.random_range(0..100) < self.network.duplication_percent);
        for _ in 0..copies {
            if self.rng.random_range(0..100) < self.network.loss_percent {
                continue;
            }
            self.sent += 1;
            let jitter = self.network.jitter.as_micros() as u64;
            let delay = self.network.delay + Duration::from_micros(self.rng.random_range(0..=jitter));
            // Without jitter datagrams stay in order.
            let rank = if jitter == 0 { self.sent } else { self.rng.random() };
            self.on_the_way
                .insert((self.now + delay, rank), (to, datagram.to_vec()));
        }
    }

    fn flush(&mut self) {
        for datagram in self.ours.transmits(self.now) {
            self.send(To::Them, &datagram);
        }
        for datagram in self.theirs.transmits(self.now) {
            self.send(To::Us, &datagram);
        }
    }

    /// Moves to the next thing that happens until then; `false` when there is none.
    fn step_until(&mut self, limit: Instant) -> bool {
        self.flush();
        let arrival = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
        let timers = [self.ours.dtls.poll_timeout(), self.theirs.poll_timeout(self.now)];
        let Some(next) = timers.into_iter().flatten().chain(arrival).min() else {
            return false;
        };
        if next > limit {
            return false;
        }
        self.now = self.now.max(next);
        if arrival.is_some_and(|at| at <= self.now) {
            match self.on_the_way.pop_first() {
                Some((_, (To::Us, datagram))) => self.ours.handle(self.now, &datagram),
                Some((_, (To::Them, datagram))) => self.theirs.handle(self.now, &datagram),
                None => {}
            }
        } else {
            self.ours.timeout(self.now);
            self.theirs.timeout(self.now);
        }
        self.flush();
        true
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step_until(until) {}
        self.now = until;
    }

    /// How long a handshake may take.
    pub const PATIENCE: Duration = Duration::from_secs(300);

    /// Runs until both are connected.
    pub fn connect(&mut self) {
        let limit = self.start + Self::PATIENCE;
        while !(self.ours.dtls.is_connected() && self.theirs.is_connected()) {
            let goes_on = !self.ours.dtls.is_closed() && self.theirs.failure().is_none() && self.step_until(limit);
            assert!(
                goes_on,
                "{:?}: {:?}, ours: {:?}",
                self.now - self.start,
                self.theirs.failure(),
                self.ours
            );
        }
        assert_eq!(self.theirs.peer_certificate().as_deref(), Some(self.certificate.der()));
    }

    pub fn connected(&self) -> Agreement {
        match self.ours.events[..] {
            // Tickets may have come since, if they are kept.
            [
                Event::Connected {
                    version,
                    suite,
                    group,
                    profile,
                },
                ref since @ ..,
            ] if since.iter().all(|event| *event == Event::Session) => Agreement {
                version,
                suite,
                group,
                profile,
            },
            ref other => panic!("{other:?}"),
        }
    }

    /// Both have the same profile and the same keys for SRTP.
    fn compare_keys(&mut self) {
        let (profile, theirs) = self.theirs.srtp_keys().unwrap();
        assert_eq!(self.connected().profile, Some(profile));
        let mut ours = vec![0; profile.keying_material_len()];
        self.ours.dtls.export(b"EXTRACTOR-dtls_srtp", None, &mut ours).unwrap();
        assert_eq!(ours, theirs);
        assert_eq!(self.ours.dtls.take_srtp_keys().unwrap().profile, profile);
    }

    /// A message each way, past whatever the network does.
    pub fn talk(&mut self, round: usize) {
        self.network = Network::CLEAN;
        self.run_for(Duration::from_secs(2));
        let message = format!("from us, {round}").into_bytes();
        let datagram = self.ours.seal(&message);
        self.send(To::Them, &datagram);
        self.run_for(Duration::from_millis(100));
        assert_eq!(self.theirs.heard(), Some(&message[..]));
        let message = format!("from them, {round}").into_bytes();
        self.theirs.say(&message);
        self.run_for(Duration::from_millis(100));
        assert_eq!(self.ours.received.last(), Some(&message));
    }

    /// Connects, compares keys, and sends a message each way.
    pub fn converse(&mut self) -> Agreement {
        self.connect();
        self.compare_keys();
        self.talk(0);
        self.connected()
    }

    /// The same on a network that loses nothing, where nothing of theirs may look strange to us either.
    pub fn converse_cleanly(&mut self) -> Agreement {
        let agreement = self.converse();
        self.assert_clean();
        agreement
    }

    pub fn assert_clean(&self) {
        let counted: Vec<_> = self.ours.dtls.counters().iter().filter(|(_, n)| *n > 0).collect();
        assert!(counted.is_empty(), "{counted:?}");
    }

    /// Our goodbye is heard.
    pub fn leave(&mut self) {
        self.ours.dtls.close();
        self.run_for(Duration::from_secs(1));
        assert!(self.theirs.was_left());
    }

    /// Their goodbye is heard.
    pub fn be_left(&mut self) {
        self.theirs.close();
        self.run_for(Duration::from_secs(1));
        let reason = CloseReason::Peer;
        assert_eq!(self.ours.events.last(), Some(&Event::Closed { reason }));
    }
}

/// What a handshake has settled, as we see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    pub version: Version,
    pub suite: CipherSuite,
    pub group: NamedGroup,
    pub profile: Option<SrtpProfile>,
}
