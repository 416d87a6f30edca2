use std::net::SocketAddr;
use std::time::Duration;

use ice::{Agent, Candidate, Config, Event, GatheringState, State};
use netsim::{EndpointId, HostId, Sim};
use wire::{Path, Protocol};

use crate::shell::Shell;

/// Two agents and the signalling between them.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) ends: [EndpointId<Shell>; 2],
    /// How long signalling takes.
    pub(crate) signalling: Duration,
    /// What is on its way: when it is there, to whom.
    letters: Vec<(Duration, usize, Letter)>,
    /// How many events of each were read.
    read: [usize; 2],
}

#[derive(Clone)]
enum Letter {
    Credentials(ice::Credentials),
    Candidate(Candidate),
    End,
}

/// How often signalling is looked after.
const STEP: Duration = Duration::from_millis(10);

impl World {
    /// Both ends on their hosts, without an address.
    pub(crate) fn new(mut sim: Sim, hosts: [HostId; 2], configs: [Config; 2]) -> Self {
        // Who is configured for it signals it, too.
        let renomination = configs.iter().all(|config| config.renomination);
        let [a, b] = configs;
        let ends = [(hosts[0], a), (hosts[1], b)].map(|(host, config)| {
            let mut agent = Agent::new(config, sim.next_seed(), sim.now());
            agent.set_renomination(renomination);
            let shell = Shell::new(agent, sim.now());
            sim.add_endpoint(host, "agent", shell)
        });
        Self {
            sim,
            ends,
            signalling: Duration::ZERO,
            letters: Vec::new(),
            read: [0; 2],
        }
    }

    /// Binds a UDP socket and makes a host candidate of it.
    pub(crate) fn bind(&mut self, end: usize, address: SocketAddr, preference: u16) {
        let local = self.sim.sockets(self.ends[end]).bind_udp(address).unwrap();
        let candidate = Candidate::host(local, Protocol::Udp, preference);
        self.agent_mut(end).add_local_candidate(candidate);
    }

    pub(crate) fn agent(&self, end: usize) -> &Agent {
        &self.sim.get(self.ends[end]).agent
    }

    pub(crate) fn agent_mut(&mut self, end: usize) -> &mut Agent {
        let end = self.ends[end];
        &mut self.sim.get_mut(end).agent
    }

    /// Both tell their credentials; candidates follow as they come.
    pub(crate) fn signal(&mut self) {
        for end in [0, 1] {
            let credentials = self.agent(end).local_credentials().clone();
            self.send(1 - end, Letter::Credentials(credentials));
        }
    }

    /// After a restart of both: all candidates are told again.
    pub(crate) fn signal_again(&mut self) {
        self.signal();
        for end in [0, 1] {
            for candidate in self.agent(end).local_candidates().to_vec() {
                self.send(1 - end, Letter::Candidate(candidate));
            }
        }
    }

    fn send(&mut self, to: usize, letter: Letter) {
        self.letters.push((self.sim.elapsed() + self.signalling, to, letter));
    }

    /// Delivers what is due.
    pub(crate) fn post(&mut self) {
        for end in [0, 1] {
            let events = self.sim.get(self.ends[end]).events[self.read[end]..].to_vec();
            self.read[end] += events.len();
            for event in events {
                match event {
                    Event::CandidateGathered(candidate) => self.send(1 - end, Letter::Candidate(candidate)),
                    Event::GatheringChanged(GatheringState::Complete) => self.send(1 - end, Letter::End),
                    _ => {}
                }
            }
        }
        let now = (self.sim.now(), self.sim.elapsed());
        let (due, later) = self.letters.drain(..).partition(|(at, ..)| *at <= now.1);
        self.letters = later;
        let due: Vec<(Duration, usize, Letter)> = due;
        for (_, to, letter) in due {
            let agent = self.agent_mut(to);
            match letter {
                Letter::Credentials(credentials) => agent.set_remote_credentials(now.0, credentials),
                Letter::Candidate(candidate) => agent.add_remote_candidate(candidate),
                Letter::End => agent.end_of_remote_candidates(),
            }
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// `false` when the time is over before it is so.
    pub(crate) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.sim.elapsed() + limit;
        while self.sim.elapsed() < end {
            self.post();
            if done(self) {
                return true;
            }
            self.sim.run_for(STEP).unwrap();
        }
        done(self)
    }

    pub(crate) fn are_connected(&self) -> bool {
        [0, 1].iter().all(|end| self.agent(*end).state() == State::Connected)
    }

    /// Whether the path in use was nominated on both sides.
    pub(crate) fn have_concluded(&self) -> bool {
        let nominated = |end: usize| self.agent(end).pairs().any(|pair| pair.selected && pair.nominated);
        self.are_connected() && nominated(0) && nominated(1)
    }

    /// Sends a few datagrams each way on the selected paths, and gives the path on which each end gets what the other
    /// sends.
    pub(crate) fn talk(&mut self) -> [Option<Path>; 2] {
        for end in self.ends {
            let shell = self.sim.get_mut(end);
            shell.got.clear();
            shell.to_send = 20;
        }
        self.run(Duration::from_millis(900));
        self.ends.map(|end| {
            let got = &self.sim.get(end).got;
            assert!(got.iter().all(|path| *path == got[0]), "all come one way: {got:?}");
            got.first().copied()
        })
    }

    /// Asserts that what each end sends on its selected path comes on the selected path of the other.
    pub(crate) fn assert_same_pair(&mut self) {
        let got = self.talk();
        let selected = [0, 1].map(|end| self.agent(end).selected());
        assert!(selected[0].is_some() && selected[1].is_some());
        assert_eq!(got, selected);
    }
}

/// The path as the other end sees it, when no NAT is in between.
pub(crate) fn back(path: Path) -> Path {
    Path {
        local: path.remote,
        remote: path.local,
        ..path
    }
}
