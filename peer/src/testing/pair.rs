use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use wire::{Path, Seed};

use super::{Client, Collected, check_answer};
use crate::{Config, Event, Peer};

/// A [`Client`] and a [`Peer`] with a link of constant delay between them, in virtual time.
#[derive(Debug)]
pub struct Pair {
    /// The offering side.
    pub client: Client,
    /// The answering side.
    pub peer: Peer,
    /// What the peer handed to its sink.
    pub sink: Collected,
    /// Events of the peer, in order.
    pub events: Vec<Event>,
    /// The present.
    pub now: Instant,
    /// The way one way.
    pub delay: Duration,
    /// While true nothing arrives at the peer.
    pub blackhole: bool,
    /// Whether a packet of RTP to the peer is lost, by its number.
    pub lose: fn(u64) -> bool,
    /// How many packets of RTP the client has sent.
    pub sent: u64,
    /// How much longer than the delay a datagram to the peer takes.
    pub detour: fn(&[u8]) -> Duration,
    start: Instant,
    to_peer: VecDeque<(Instant, Path, Vec<u8>)>,
    to_client: VecDeque<(Instant, Vec<u8>)>,
    last_answer: Option<String>,
}

impl Pair {
    /// A pair with the default configuration and fake cryptography.
    pub fn new(run: u64) -> Self {
        Self::with_config(run, Self::config())
    }

    /// The configuration of [`new`](Self::new).
    pub fn config() -> Config {
        Config::new(Arc::new(dtls_srtp::Config::new(
            Arc::new(FakeCrypto::new()),
            fake::certificate(1),
        )))
    }

    /// A pair with this configuration.
    ///
    /// # Panics
    /// Never.
    pub fn with_config(run: u64, config: Config) -> Self {
        let now = Instant::now();
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(run), now);
        peer.add_local_candidate("192.0.2.1:3478".parse().expect("an address"));
        peer.add_local_candidate("192.0.2.9:3478".parse().expect("an address"));
        Self {
            client: Client::new(run, "198.51.100.7:5000".parse().expect("an address")),
            peer,
            sink: Collected::default(),
            events: Vec::new(),
            now,
            delay: Duration::from_millis(10),
            blackhole: false,
            lose: |_| false,
            sent: 0,
            detour: |_| Duration::ZERO,
            start: now,
            to_peer: VecDeque::new(),
            to_client: VecDeque::new(),
            last_answer: None,
        }
    }

    /// One exchange of offer and answer; the answer is held to all rules.
    ///
    /// # Panics
    /// When the offer is refused or the answer breaks a rule.
    pub fn negotiate(&mut self) -> String {
        let offer = self.client.offer();
        let answer = self
            .peer
            .accept_offer(self.now, &offer)
            .unwrap_or_else(|error| panic!("{error}\n{offer}"));
        if let Err(rule) = check_answer(&offer, &answer, self.last_answer.as_deref()) {
            panic!("{rule}\n{offer}\n{answer}");
        }
        self.client.accept(self.now, &answer);
        self.last_answer = Some(answer.clone());
        answer
    }

    /// Negotiates and runs until media can flow.
    ///
    /// # Panics
    /// When that takes longer than two seconds.
    pub fn connect(&mut self) {
        self.negotiate();
        for _ in 0..200 {
            self.run(Duration::from_millis(10));
            if self.client.is_secured() && self.peer.state() == crate::State::Connected {
                return;
            }
        }
        panic!("not connected within two seconds: {:?}", self.events);
    }

    /// Lets the time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let deadlines = [
                self.peer.poll_timeout(),
                self.client.poll_timeout(),
                self.to_peer.front().map(|(at, ..)| *at),
                self.to_client.front().map(|(at, ..)| *at),
            ];
            let next = deadlines.into_iter().flatten().min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            // A deadline that stays in the past would be a busy loop.
            self.now = next.max(self.now);
            self.deliver();
            self.peer.handle_timeout(self.now);
            self.client.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// Polls both ends until they have nothing to say.
    pub fn exchange(&mut self) {
        let mut out = [0; Peer::MIN_OUT];
        while let Some(transmit) = self.peer.poll_transmit(self.now, &mut out) {
            assert!(transmit.len <= 1200, "a datagram of {} bytes", transmit.len);
            if transmit.path.remote == self.client.address {
                self.to_client
                    .push_back((self.now + self.delay, out[..transmit.len].to_vec()));
            }
        }
        while let Some(datagram) = self.client.poll_transmit(self.now) {
            let is_media = matches!(datagram.first(), Some(128..=191)) && !rtp::is_rtcp(&datagram);
            self.sent += u64::from(is_media);
            if is_media && (self.lose)(self.sent) {
                continue;
            }
            let local = self.client.server().expect("an answer");
            let at = self.now + self.delay + (self.detour)(&datagram);
            let behind = self.to_peer.iter().filter(|(other, ..)| *other <= at).count();
            self.to_peer
                .insert(behind, (at, Path::udp(local, self.client.address), datagram));
        }
        while let Some(event) = self.peer.poll_event() {
            self.events.push(event);
        }
    }

    fn deliver(&mut self) {
        while self.to_peer.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, path, mut datagram) = self.to_peer.pop_front().expect("it was there");
            if !self.blackhole {
                self.peer
                    .handle_datagram(self.now, &path, &mut datagram, &mut self.sink);
            }
        }
        while self.to_client.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, mut datagram) = self.to_client.pop_front().expect("it was there");
            self.client.handle_datagram(self.now, &mut datagram);
        }
    }

    /// Hands a datagram to the peer at once, from the client's address.
    ///
    /// # Panics
    /// Before there was an answer.
    pub fn inject(&mut self, datagram: &[u8]) {
        let path = self.path();
        self.peer
            .handle_datagram(self.now, &path, &mut datagram.to_vec(), &mut self.sink);
    }

    /// Writes a packet of the peer's and delivers it to the client at once.
    ///
    /// # Panics
    /// When it is blocked.
    pub fn deliver_to_client(&mut self, write: impl FnOnce(&mut Peer, Instant, &mut [u8]) -> usize) {
        let mut out = [0; Peer::MIN_OUT];
        let len = write(&mut self.peer, self.now, &mut out);
        self.client.handle_datagram(self.now, &mut out[..len]);
    }

    /// The path from the client to the peer.
    ///
    /// # Panics
    /// Before there was an answer.
    pub fn path(&self) -> Path {
        Path::udp(self.client.server().expect("an answer"), self.client.address)
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// All counters of the peer that are not zero.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut counters = BTreeMap::new();
        self.peer.each_counter(&mut |name, value| {
            if value != 0 {
                counters.insert(name, value);
            }
        });
        counters
    }
}
