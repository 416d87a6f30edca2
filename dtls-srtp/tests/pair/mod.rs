//! Two engines and the network between them, in virtual time.
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

use dtls_srtp::{Certificate, Config, Crypto, Dtls, Event, Role, SavedSession, SrtpProfile, Version, fake};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wire::Seed;

/// What the network does to datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    pub delay: Duration,
    /// Added at random, so that datagrams overtake each other.
    pub jitter: Duration,
    pub loss_percent: u32,
    pub duplication_percent: u32,
}

impl Network {
    pub const CLEAN: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
        loss_percent: 0,
        duplication_percent: 0,
    };
    pub const BAD: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(60),
        loss_percent: 25,
        duplication_percent: 20,
    };
}

/// An engine and what came out of it.
#[derive(Debug)]
pub struct End {
    pub dtls: Dtls,
    pub events: Vec<Event>,
    pub received: Vec<Vec<u8>>,
}

impl End {
    pub fn new(config: Arc<Config>, role: Role, run: u64, now: Instant) -> Self {
        Self {
            dtls: Dtls::new(config, role, Seed::from_run(run), now),
            events: Vec::new(),
            received: Vec::new(),
        }
    }

    /// A client that offers a session.
    pub fn resuming(config: Arc<Config>, session: SavedSession, run: u64, now: Instant) -> Self {
        Self {
            dtls: Dtls::resume(config, session, Seed::from_run(run), now),
            events: Vec::new(),
            received: Vec::new(),
        }
    }

    pub fn handle(&mut self, now: Instant, datagram: &[u8]) {
        let received = &mut self.received;
        self.dtls
            .handle_datagram(now, &mut datagram.to_vec(), &mut |data| received.push(data.to_vec()));
        self.events.extend(std::iter::from_fn(|| self.dtls.poll_event()));
    }

    pub fn timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        self.events.extend(std::iter::from_fn(|| self.dtls.poll_event()));
    }

    /// All datagrams that wait.
    pub fn transmits(&mut self, now: Instant) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| {
            let mut out = vec![0; 1500];
            let len = self.dtls.poll_transmit(now, &mut out)?;
            out.truncate(len);
            Some(out)
        })
        .collect()
    }

    pub fn seal(&mut self, data: &[u8]) -> Vec<u8> {
        let overhead = self.dtls.overhead();
        let mut out = vec![0; overhead.total() + data.len()];
        out[overhead.head..][..data.len()].copy_from_slice(data);
        let len = self.dtls.seal(&mut out, data.len()).unwrap();
        out.truncate(len);
        out
    }

    pub fn exported(&self) -> Option<[u8; 60]> {
        let mut out = [0; 60];
        self.dtls.export(b"EXTRACTOR-dtls_srtp", None, &mut out).ok()?;
        Some(out)
    }
}

/// Which end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Changes a datagram as it is sent: its number, who sent it, its bytes.
pub type Tamper = Box<dyn FnMut(u64, Side, &mut Vec<u8>)>;

/// A client, a server, and what is on its way between them.
pub struct Pair {
    pub start: Instant,
    pub now: Instant,
    pub client: End,
    pub server: End,
    pub network: Network,
    /// Every datagram that was sent: when (milliseconds), by whom, what.
    pub log: Vec<(u128, Side, Vec<u8>)>,
    on_the_way: BTreeMap<(Instant, u64), (Side, Vec<u8>)>,
    sent: u64,
    rng: StdRng,
    pub tamper: Tamper,
}

/// The same for DTLS 1.2 alone.
pub fn of_12(config: Config) -> Config {
    Config {
        versions: vec![Version::DTLS_1_2],
        ..config
    }
}

/// For DTLS 1.2 alone.
pub fn config(crypto: impl Crypto + 'static, certificate: Certificate) -> Config {
    of_12(Config::new(Arc::new(crypto), certificate))
}

/// For DTLS 1.3 alone.
pub fn config_13(crypto: impl Crypto + 'static, certificate: Certificate) -> Config {
    Config {
        versions: vec![Version::DTLS_1_3],
        ..Config::new(Arc::new(crypto), certificate)
    }
}

/// For both versions, which is the default.
pub fn config_both(crypto: impl Crypto + 'static, certificate: Certificate) -> Config {
    Config::new(Arc::new(crypto), certificate)
}

pub fn fake_config(number: u64) -> Config {
    config(fake::FakeCrypto::new(), fake::certificate(number))
}

impl Pair {
    /// A pair in which each knows the other's fingerprint.
    pub fn new(client: Config, server: Config, network: Network, run: u64) -> Self {
        let mut pair = Self::strangers(client, server, network, run);
        pair.introduce();
        pair
    }

    /// A pair in which nobody knows a fingerprint.
    pub fn strangers(client: Config, server: Config, network: Network, run: u64) -> Self {
        Self::strangers_at(Instant::now(), client, server, network, run)
    }

    /// A pair at that time, in which each knows the other's fingerprint, and the client offers a session.
    pub fn resuming(
        now: Instant,
        client: Config,
        session: SavedSession,
        server: Config,
        network: Network,
        run: u64,
    ) -> Self {
        let mut pair = Self::strangers_resuming(now, client, session, server, network, run);
        pair.introduce();
        pair
    }

    /// The same, but nobody knows a fingerprint.
    pub fn strangers_resuming(
        now: Instant,
        client: Config,
        session: SavedSession,
        server: Config,
        network: Network,
        run: u64,
    ) -> Self {
        let mut pair = Self::strangers_at(now, client.clone(), server, network, run);
        pair.client = End::resuming(Arc::new(client), session, 2 * run, now);
        pair
    }

    fn strangers_at(now: Instant, client: Config, server: Config, network: Network, run: u64) -> Self {
        Self {
            start: now,
            now,
            client: End::new(Arc::new(client), Role::Client, 2 * run, now),
            server: End::new(Arc::new(server), Role::Server, 2 * run + 1, now),
            network,
            log: Vec::new(),
            on_the_way: BTreeMap::new(),
            sent: 0,
            rng: StdRng::seed_from_u64(run),
            tamper: Box::new(|_, _, _| ()),
        }
    }

    /// A pair on fake crypto.
    pub fn fake(network: Network, run: u64) -> Self {
        let mut pair = Self::strangers(fake_config(1), fake_config(2), network, run);
        pair.client
            .dtls
            .set_remote_fingerprints(vec![fake::certificate(2).fingerprint()]);
        pair.server
            .dtls
            .set_remote_fingerprints(vec![fake::certificate(1).fingerprint()]);
        pair
    }

    /// Tells each the other's fingerprint. The certificates are those of the engines' own configurations.
    pub fn introduce_as(&mut self, client: &Certificate, server: &Certificate) {
        self.client.dtls.set_remote_fingerprints(vec![server.fingerprint()]);
        self.server.dtls.set_remote_fingerprints(vec![client.fingerprint()]);
        self.client
            .events
            .extend(std::iter::from_fn(|| self.client.dtls.poll_event()));
        self.server
            .events
            .extend(std::iter::from_fn(|| self.server.dtls.poll_event()));
    }

    fn introduce(&mut self) {
        let client = self.client.dtls.config().certificate.clone();
        let server = self.server.dtls.config().certificate.clone();
        self.introduce_as(&client, &server);
    }

    pub fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Puts a datagram on its way to the other side.
    pub fn send(&mut self, from: Side, mut datagram: Vec<u8>) {
        self.log
            .push(((self.now - self.start).as_millis(), from, datagram.clone()));
        (self.tamper)(self.sent, from, &mut datagram);
        self.sent += 1;
        let copies = 1 + u32::from(self.rng.random_range(0..100) < self.network.duplication_percent);
        for _ in 0..copies {
            if self.rng.random_range(0..100) < self.network.loss_percent {
                continue;
            }
            let jitter = self.network.jitter.as_micros() as u64;
            let delay = self.network.delay + Duration::from_micros(self.rng.random_range(0..=jitter));
            self.on_the_way
                .insert((self.now + delay, self.rng.random()), (from.other(), datagram.clone()));
        }
    }

    fn flush(&mut self) {
        for side in [Side::Client, Side::Server] {
            let now = self.now;
            for datagram in self.end(side).transmits(now) {
                self.send(side, datagram);
            }
        }
    }

    /// Moves to the next thing that happens; `false` when nothing ever will.
    pub fn step(&mut self) -> bool {
        self.step_until(self.now + Duration::from_secs(3600))
    }

    /// Moves to the next thing that happens until then.
    fn step_until(&mut self, limit: Instant) -> bool {
        self.flush();
        let arrival = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
        let timers = [self.client.dtls.poll_timeout(), self.server.dtls.poll_timeout()];
        let Some(next) = timers.into_iter().flatten().chain(arrival).min() else {
            return false;
        };
        if next > limit {
            return false;
        }
        self.now = self.now.max(next);
        let now = self.now;
        if arrival.is_some_and(|at| at <= now) {
            if let Some((_, (to, datagram))) = self.on_the_way.pop_first() {
                self.end(to).handle(now, &datagram);
            }
        } else {
            self.client.timeout(now);
            self.server.timeout(now);
        }
        self.flush();
        true
    }

    /// Runs until both are connected, or closed, or nothing happens any more; at most a virtual minute.
    pub fn settle(&mut self) {
        let settled = |end: &End| end.dtls.is_connected() || end.dtls.is_closed();
        while !(settled(&self.client) && settled(&self.server)) {
            if self.now - self.start > Duration::from_secs(60) || !self.step() {
                return;
            }
        }
    }

    /// Runs for so long, whatever happens.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step_until(until) {}
        self.now = until;
    }

    pub fn assert_connected(&self) {
        assert!(self.client.dtls.is_connected(), "client: {:?}", self.client);
        assert!(self.server.dtls.is_connected(), "server: {:?}", self.server);
        assert_eq!(self.client.exported(), self.server.exported());
    }

    /// Takes the keys for SRTP out of both ends: what one seals with, the other opens with. They are given once.
    pub fn take_srtp_keys(&mut self) -> Option<SrtpProfile> {
        let keys = (self.client.dtls.take_srtp_keys(), self.server.dtls.take_srtp_keys());
        assert!(self.client.dtls.take_srtp_keys().is_none() && self.server.dtls.take_srtp_keys().is_none());
        match keys {
            (Some(client), Some(server)) => {
                assert_eq!(
                    (client.profile, &client.local, &client.remote),
                    (server.profile, &server.remote, &server.local)
                );
                assert_ne!(client.local, client.remote);
                Some(client.profile)
            }
            (client, server) => {
                assert!(client.is_none() && server.is_none());
                None
            }
        }
    }

    /// Sends a message each way and sees it arrive, past whatever the network does.
    pub fn assert_talking(&mut self) {
        self.network = Network::CLEAN;
        self.run_for(Duration::from_secs(2));
        for side in [Side::Client, Side::Server] {
            let message = format!("from {side:?}").into_bytes();
            let datagram = self.end(side).seal(&message);
            self.send(side, datagram);
            self.run_for(Duration::from_millis(100));
            assert_eq!(self.end(side.other()).received.last(), Some(&message));
        }
    }
}
