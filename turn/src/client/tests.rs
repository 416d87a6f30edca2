mod allocating;
mod connections;
mod data;
mod lossy;
mod permissions;
mod refreshing;
pub(crate) mod server;
mod trust;

use super::*;
use server::{PASSWORD, Server, USER, address};
use std::num::NonZeroU16;
use stun::Method;

const SERVER: &str = "192.0.2.1:3478";
const LOCAL: &str = "198.51.100.1:5000";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn config() -> Config {
    Config {
        credentials: Credentials::new(USER, PASSWORD),
        ..Config::default()
    }
}

/// A client and a server without a network between them, in virtual time.
struct Pair {
    client: Client,
    server: Server,
    now: Instant,
    events: Vec<Event>,
}

impl Pair {
    fn new(config: Config) -> Self {
        let now = Instant::now();
        Self {
            client: Client::new(config, address(SERVER), address(LOCAL), Seed::from_run(1), now),
            server: Server::default(),
            now,
            events: Vec::new(),
        }
    }

    /// An allocation that is there already.
    fn allocated(config: Config) -> Self {
        let mut pair = Self::new(config);
        pair.run();
        assert_eq!(pair.client.state(), State::Allocated);
        pair.events.clear();
        pair.server.seen.clear();
        pair
    }

    /// What the client sends now.
    fn poll(&mut self) -> Option<Vec<u8>> {
        let mut out = [0; MIN_OUT];
        let transmit = self.client.poll_transmit(self.now, &mut out)?;
        assert_eq!(transmit.path, self.client.path());
        Some(out[..transmit.len].to_vec())
    }

    fn poll_all(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.poll()).collect()
    }

    /// Gives the client a datagram that holds no data.
    fn give(&mut self, datagram: &[u8]) {
        assert_eq!(self.client.handle_datagram(self.now, &mut datagram.to_vec()), None);
    }

    /// Carries messages back and forth until nobody has any.
    fn run(&mut self) {
        while let Some(message) = self.poll() {
            if let Some(answer) = self.server.handle(&message) {
                self.give(&answer);
            }
        }
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
        }
    }

    /// Lets time pass, answering whatever comes up.
    fn pass(&mut self, time: Duration) {
        self.pass_with(time, Self::run);
    }

    /// Lets time pass without a server.
    fn pass_unanswered(&mut self, time: Duration) -> Vec<(Duration, Vec<u8>)> {
        let (start, mut sent) = (self.now, Vec::new());
        self.pass_with(time, |pair| {
            let at = pair.now - start;
            sent.extend(pair.poll_all().into_iter().map(|message| (at, message)));
        });
        self.collect();
        sent
    }

    fn pass_with(&mut self, time: Duration, mut step: impl FnMut(&mut Self)) {
        let end = self.now + time;
        step(self);
        while let Some(deadline) = self.client.poll_timeout().filter(|&deadline| deadline <= end) {
            assert!(deadline >= self.now || self.client.next_timer().is_some());
            self.now = self.now.max(deadline);
            self.client.handle_timeout(self.now);
            step(self);
        }
        self.now = end;
    }

    /// Sends data and gives what goes out at once.
    fn send(&mut self, peer: SocketAddr, data: &[u8]) -> Result<Option<Vec<u8>>, SendError> {
        let mut out = [0; 1500];
        let transmit = self.client.send(self.now, peer, data, &mut out)?;
        Ok(transmit.map(|transmit| out[..transmit.len].to_vec()))
    }

    /// Sends data through to the server.
    fn deliver(&mut self, peer: SocketAddr, data: &[u8]) {
        if let Some(message) = self.send(peer, data).unwrap() {
            assert_eq!(self.server.handle(&message), None);
        }
        self.run();
    }

    /// A peer with a bound channel.
    fn bound(config: Config, peer: SocketAddr) -> Self {
        let mut pair = Self::allocated(config);
        pair.client.bind(pair.now, peer).unwrap();
        pair.run();
        assert!(pair.client.is_bound(&peer));
        pair
    }

    fn assert_closed(&mut self, reason: CloseReason) {
        self.collect();
        assert_eq!(self.events.last(), Some(&Event::Closed(reason)));
        assert_eq!(self.client.state(), State::Closed);
        assert_eq!((self.client.poll_timeout(), self.poll()), (None, None));
    }

    fn assert_clean(&self) {
        assert_eq!(*self.client.counters(), ClientCounters::default());
    }
}

fn method_of(message: &[u8]) -> Option<Method> {
    stun::Message::parse(message).ok().map(|message| message.method())
}

fn peer(n: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, n], 9000 + u16::from(n)))
}

fn run_of(size: u16) -> NonZeroU16 {
    NonZeroU16::new(size).unwrap()
}
