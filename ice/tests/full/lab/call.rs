//! Two agents in their namespaces, with the signalling between them and a stream of datagrams each way.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ice::{Agent, Candidate, Config, Event, GatheringState, Role, State};
use netns::Namespace;
use netsim::{Endpoint, TcpEvent};
use wire::{Path, Protocol, Seed};

use super::host::{Host, wait};
use super::net::{Access, Internet, Site};
use crate::shell::Shell;

/// As often as sound is sent.
const PTIME: Duration = Duration::from_millis(20);
/// Of the address that a site has; others may be better or worse.
const PREFERENCE: u16 = 0x8000;

pub(crate) struct Call {
    pub(crate) ends: [Host<Shell>; 2],
    /// How many events of each were read.
    read: [usize; 2],
    next_datagram: Instant,
    /// How many datagrams each end has sent.
    sent: [usize; 2],
    /// How many each end has got, when the last one came, and the longest time between two.
    got: [usize; 2],
    last: [Instant; 2],
    pub(crate) gap: [Duration; 2],
}

impl Call {
    /// With one port at each site, and a TURN server over UDP, or TCP where UDP is blocked. Calls of one lab have
    /// numbers of their own.
    pub(crate) fn new(internet: &Internet, sites: [&Site; 2], number: u16) -> Self {
        let now = Instant::now();
        let mut call = Self {
            ends: [Role::Controlling, Role::Controlled].map(|role| {
                let config = Config {
                    stun_servers: vec![internet.server],
                    ..Config::full(role)
                };
                let seed = Seed::from_run(2 * u64::from(number) + u64::from(role == Role::Controlled));
                let mut agent = Agent::new(config, seed, now);
                agent.set_renomination(true);
                Host::new(Shell::new(agent, now))
            }),
            read: [0; 2],
            next_datagram: now,
            sent: [0; 2],
            got: [0; 2],
            last: [now; 2],
            gap: [Duration::ZERO; 2],
        };
        for (end, site) in sites.into_iter().enumerate() {
            call.add_address(end, &site.client, site.address, 5000 + number, PREFERENCE);
            call.allocate(end, site, internet.server, 6000 + number);
        }
        call.signal();
        call
    }

    pub(crate) fn add_address(
        &mut self,
        end: usize,
        client: &Namespace,
        address: Ipv4Addr,
        port: u16,
        preference: u16,
    ) {
        let local: SocketAddr = (address, port).into();
        let host = &mut self.ends[end];
        host.io.bind_udp(client, local);
        let candidate = Candidate::host(local, Protocol::Udp, preference);
        host.endpoint.agent.add_local_candidate(candidate);
    }

    /// As a program does when it is told that an interface is gone. TURN is left to find out by itself.
    pub(crate) fn remove_address(&mut self, end: usize, address: Ipv4Addr) {
        let candidates = self.agent(end).local_candidates();
        let gone = candidates.iter().map(Candidate::base).find(|base| base.ip() == address);
        let gone = gone.unwrap();
        self.agent_mut(end)
            .remove_local_candidate(Instant::now(), gone, Protocol::Udp);
        self.ends[end].io.close_udp(gone);
    }

    fn allocate(&mut self, end: usize, site: &Site, server: SocketAddr, port: u16) {
        let now = Instant::now();
        let seed = Seed::from_run(u64::from(port) * 2 + end as u64);
        let host = &mut self.ends[end];
        if site.access == Access::UdpBlocked {
            let turn = &mut host.endpoint.turn;
            turn.allocate_over_tcp(site.address.into(), server, seed);
            let (_, server) = turn.connection_to_open().unwrap();
            let path = host.io.connect_tcp(&site.client, server);
            let event = TcpEvent::Connected;
            host.endpoint.handle_event(now, netsim::Event::Tcp { path, event });
        } else {
            let local = (site.address, port).into();
            host.io.bind_udp(&site.client, local);
            host.endpoint.turn.allocate(now, local, server, seed);
        }
    }

    pub(crate) fn agent(&self, end: usize) -> &Agent {
        &self.ends[end].endpoint.agent
    }

    pub(crate) fn agent_mut(&mut self, end: usize) -> &mut Agent {
        &mut self.ends[end].endpoint.agent
    }

    /// Each is told the other's credentials and the candidates that are known; others follow as they come.
    pub(crate) fn signal(&mut self) {
        for end in [0, 1] {
            let credentials = self.agent(end).local_credentials().clone();
            let candidates = self.agent(end).local_candidates().to_vec();
            let other = self.agent_mut(1 - end);
            other.set_remote_credentials(Instant::now(), credentials);
            for candidate in candidates {
                other.add_remote_candidate(candidate);
            }
        }
    }

    /// Delivers what the agents have to tell each other.
    fn post(&mut self) {
        for end in [0, 1] {
            let events = self.ends[end].endpoint.events[self.read[end]..].to_vec();
            self.read[end] += events.len();
            for event in events {
                let other = self.agent_mut(1 - end);
                match event {
                    Event::CandidateGathered(candidate) => other.add_remote_candidate(candidate),
                    Event::GatheringChanged(GatheringState::Complete) => other.end_of_remote_candidates(),
                    _ => {}
                }
            }
        }
    }

    fn count(&mut self) {
        let now = Instant::now();
        for end in [0, 1] {
            let shell = &mut self.ends[end].endpoint;
            let new = shell.got.len();
            shell.got.clear();
            if new > 0 {
                if self.got[end] > 0 {
                    self.gap[end] = self.gap[end].max(now - self.last[end]);
                }
                self.got[end] += new;
                self.last[end] = now;
            }
        }
    }

    fn step(&mut self) {
        self.ends.iter_mut().for_each(Host::receive);
        self.count();
        self.post();
        let now = Instant::now();
        if self.next_datagram <= now {
            self.next_datagram = now + PTIME;
            for end in &mut self.ends {
                end.endpoint.to_send = 1;
            }
        }
        for (end, sent) in self.ends.iter_mut().zip(&mut self.sent) {
            let before = end.endpoint.to_send;
            end.send();
            *sent += before - end.endpoint.to_send;
        }
        self.post();
        wait(self.ends.iter(), std::iter::empty(), self.next_datagram);
    }

    /// Goes on while something is done to the network.
    pub(crate) fn during<T: Send>(&mut self, change: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let change = scope.spawn(change);
            while !change.is_finished() {
                self.step();
            }
            change.join().unwrap()
        })
    }

    /// `false` when the time is over before it is so.
    pub(crate) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if done(self) {
                return true;
            }
            self.step();
        }
        done(self)
    }

    /// Whether the path in use was nominated on both sides.
    pub(crate) fn has_concluded(&self) -> bool {
        [0, 1].iter().all(|end| {
            let agent = self.agent(*end);
            agent.state() == State::Connected && agent.pairs().any(|pair| pair.selected && pair.nominated)
        })
    }

    /// Whether what an end sends goes by a relay, if both agree on that.
    pub(crate) fn is_relayed(&self, internet: &Internet) -> Option<bool> {
        let by_relay = |path: Path| {
            [path.local, path.remote]
                .iter()
                .any(|end| end.ip() == internet.server.ip())
        };
        let [left, right] = [0, 1].map(|end| self.agent(end).selected().map(by_relay));
        left.filter(|_| left == right)
    }

    /// Whether so many more datagrams come each way within the time.
    pub(crate) fn flows(&mut self, datagrams: usize, limit: Duration) -> bool {
        let want = self.got.map(|got| got + datagrams);
        self.run_until(limit, |call| call.got.iter().zip(want).all(|(got, want)| *got >= want))
    }

    /// Forgets what was sent and got so far.
    pub(crate) fn measure(&mut self) {
        self.rest();
        self.sent = [0; 2];
        self.got = [0; 2];
        self.gap = [Duration::ZERO; 2];
    }

    /// How many of the datagrams that each end has sent were lost.
    pub(crate) fn lost(&mut self) -> [usize; 2] {
        self.rest();
        [0, 1].map(|end| self.sent[end] - self.got[1 - end])
    }

    /// Sends none until all have come, or for a second.
    fn rest(&mut self) {
        let time = Duration::from_secs(1);
        self.next_datagram = Instant::now() + time;
        self.run_until(time, |call| call.sent == [call.got[1], call.got[0]]);
        self.next_datagram = Instant::now();
    }
}
