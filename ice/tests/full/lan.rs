//! Two hosts with two interfaces each, on links without faults but those that a test makes.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ice::{Candidate, Config, Event, Role, State};
use netsim::{HostId, Link, LinkId, RouterId, Sim, TraceEvent, Way};
use stun::{Class, Message};
use wire::{Path, Protocol};

use crate::shell::address;
use crate::world::{World, back};

const LEFT: [&str; 2] = ["203.0.113.10:5000", "203.0.113.11:5000"];
const RIGHT: [&str; 2] = ["203.0.113.20:5000", "203.0.113.21:5000"];

struct Lan {
    world: World,
    hosts: [HostId; 2],
    router: RouterId,
    /// Of the left host, and of the right one.
    links: [[LinkId; 2]; 2],
}

impl Lan {
    fn new(change: impl Fn(&mut Config)) -> Self {
        Self::with_delay(5, change)
    }

    fn with_delay(ms: u64, change: impl Fn(&mut Config)) -> Self {
        let mut sim = Sim::new(1);
        let router = sim.add_router("lan");
        let hosts = [sim.add_host("left"), sim.add_host("right")];
        let links = [0, 1].map(|end| {
            [LEFT, RIGHT][end].map(|text| {
                let link = Link::with_delay(Duration::from_millis(ms));
                sim.attach(hosts[end], router, &[address(text).ip()], link)
            })
        });
        let config = |role| {
            let mut config = Config::full(role);
            change(&mut config);
            config
        };
        let configs = [config(Role::Controlling), config(Role::Controlled)];
        let mut world = World::new(sim, hosts, configs);
        for end in [0, 1] {
            for (nth, text) in [LEFT, RIGHT][end].into_iter().enumerate() {
                world.bind(end, address(text), 65_535 - nth as u16);
            }
            world.agent_mut(end).end_of_local_candidates();
        }
        Self {
            world,
            hosts,
            router,
            links,
        }
    }

    fn connected(change: impl Fn(&mut Config)) -> Self {
        Self::new(change).connect()
    }

    fn connect(self) -> Self {
        let mut lan = self;
        lan.world.signal();
        assert!(lan.world.run_until(Duration::from_secs(1), World::have_concluded));
        lan.world.run(Duration::from_secs(1));
        assert_eq!(lan.world.agent(0).selected(), Some(path(0, 0)));
        lan
    }

    /// Sends so many datagrams each way, one every 20 ms, and gives how many have come to each end.
    fn stream(&mut self, datagrams: usize) -> [usize; 2] {
        let ends = self.world.ends;
        for end in ends {
            self.world.sim.get_mut(end).got.clear();
        }
        for _ in 0..datagrams {
            for end in ends {
                self.world.sim.get_mut(end).to_send += 1;
            }
            self.world.run(Duration::from_millis(20));
        }
        // What is under way arrives.
        self.world.run(Duration::from_millis(20));
        ends.map(|end| self.world.sim.get(end).got.len())
    }

    /// No datagram passes a link of the left host any more.
    fn cut(&mut self, nth: usize) {
        self.world.sim.set_link_up(self.links[0][nth], false);
    }

    fn told(&self, end: usize, event: &Event) -> bool {
        self.world.sim.get(self.world.ends[end]).events.contains(event)
    }

    /// Counts from now on the requests that the left end sends on a path.
    fn count_requests(&mut self, path: Path) -> Rc<Cell<usize>> {
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        self.world.sim.observe(move |event: &TraceEvent<'_>| {
            let packet = event.packet;
            let there = event.to_string().contains(" sent:")
                && packet.source == path.local
                && packet.destination == path.remote;
            let request = || Message::parse(packet.payload).is_ok_and(|message| message.class() == Class::Request);
            counted.set(counted.get() + usize::from(there && request()));
        });
        count
    }
}

fn path(left: usize, right: usize) -> Path {
    Path::udp(address(LEFT[left]), address(RIGHT[right]))
}

#[test]
fn the_best_pair_is_used_within_a_few_round_trips() {
    let mut lan = Lan::new(|_| {});
    lan.world.signal();
    // The first check, the nomination, and what a step takes.
    assert!(lan.world.run_until(Duration::from_millis(60), World::have_concluded));
    assert_eq!(lan.world.agent(0).selected(), Some(path(0, 0)));
    lan.world.assert_same_pair();
    assert_eq!(lan.world.agent(0).rtt(), Some(Duration::from_millis(20)));
}

#[test]
fn a_pair_that_works_is_kept_warm_and_takes_over() {
    // So far away that all pairs are checked before one is nominated.
    let mut lan = Lan::with_delay(50, |config| config.renomination = true).connect();
    let spare: Vec<Path> = lan
        .world
        .agent(0)
        .pairs()
        .map(|pair| pair.path)
        .filter(|spare| *spare != path(0, 0))
        .collect();
    let spare = spare
        .into_iter()
        .find(|spare| spare.local == address(LEFT[1]))
        .expect("a pair that can take over");
    let asked = lan.count_requests(spare);
    lan.world.run(Duration::from_secs(100));
    assert!((8..=13).contains(&asked.get()), "{}", asked.get());
    lan.cut(0);
    let moved = lan.world.run_until(Duration::from_secs(9), |world| {
        world.agent(0).selected() == Some(spare)
            && world.agent(1).selected() == Some(back(spare))
            && world.have_concluded()
    });
    assert!(moved);
    lan.world.assert_same_pair();
    assert!(!lan.told(0, &Event::NeedsRestart));
    // It never failed, and the one that was lost is forgotten.
    lan.world.run(Duration::from_secs(40));
    assert!(lan.world.have_concluded());
    assert!(!lan.world.agent(0).is_validated(&path(0, 0)));
}

#[test]
fn without_renomination_a_restart_is_asked_for_and_media_goes_on() {
    let mut lan = Lan::connected(|_| {});
    lan.cut(0);
    let moved = lan.world.run_until(Duration::from_secs(9), |world| {
        [0, 1].iter().all(|end| {
            world
                .agent(*end)
                .selected()
                .is_some_and(|path| path != self::path(0, 0) && path != back(self::path(0, 0)))
        })
    });
    assert!(moved);
    lan.world.run(Duration::from_secs(1));
    assert!(lan.told(0, &Event::NeedsRestart));
    assert!(!lan.told(1, &Event::NeedsRestart), "the other end cannot nominate");
    assert!(lan.world.are_connected());
    let now = lan.world.sim.now();
    for end in [0, 1] {
        lan.world.agent_mut(end).restart(now);
    }
    lan.world.signal_again();
    lan.world.assert_same_pair();
    // All that is left of the old session is gone 3 s after the nomination.
    lan.world.run(Duration::from_secs(4));
    assert_eq!([0, 1].map(|end| lan.world.agent(end).local_ufrags().count()), [1, 1]);
    assert!(lan.world.have_concluded());
    lan.world.assert_same_pair();
}

#[test]
fn a_restart_keeps_the_path_until_there_is_another() {
    let mut lan = Lan::connected(|_| {});
    let now = lan.world.sim.now();
    for end in [0, 1] {
        lan.world.agent_mut(end).restart(now);
    }
    lan.world.run(Duration::from_secs(20));
    assert!(
        lan.world.are_connected(),
        "consent is asked for under the old credentials"
    );
    lan.world.assert_same_pair();
    lan.world.signal_again();
    assert!(lan.world.run_until(Duration::from_secs(1), World::have_concluded));
    lan.world.run(Duration::from_secs(5));
    lan.world.assert_same_pair();
    assert_eq!([0, 1].map(|end| lan.world.agent(end).local_ufrags().count()), [1, 1]);
    for end in [0, 1] {
        let bad: Vec<_> = lan
            .world
            .agent(end)
            .counters()
            .iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}

#[test]
fn a_restart_in_mid_call_loses_no_datagram() {
    let mut lan = Lan::connected(|_| {});
    assert_eq!(lan.stream(50), [50, 50]);
    // The left end changes its mind before it has an answer.
    for end in [0, 1, 0] {
        let now = lan.world.sim.now();
        lan.world.agent_mut(end).restart(now);
        assert_eq!(lan.stream(20), [20, 20]);
    }
    lan.world.signalling = Duration::from_millis(100);
    lan.world.signal_again();
    // Until the old credentials are gone, 3 s after the nomination, and beyond.
    assert_eq!(lan.stream(250), [250, 250]);
    assert!(lan.world.have_concluded());
    assert_eq!([0, 1].map(|end| lan.world.agent(end).local_ufrags().count()), [1, 1]);
}

#[test]
fn a_new_interface_disturbs_nothing_and_outlives_the_old_ones() {
    let mut lan = Lan::connected(|config| config.renomination = true);
    let new: SocketAddr = address("203.0.113.12:5000");
    let (host, router) = (lan.hosts[0], lan.router);
    let link = Link::with_delay(Duration::from_millis(5));
    lan.world.sim.attach(host, router, &[new.ip()], link);
    lan.world.bind(0, new, 60_000);
    assert_eq!(lan.stream(100), [100, 100]);
    assert_eq!(lan.world.agent(0).selected(), Some(path(0, 0)), "it is worse");
    for nth in [0, 1] {
        lan.cut(nth);
        let now = lan.world.sim.now();
        let gone = address(LEFT[nth]);
        lan.world.agent_mut(0).remove_local_candidate(now, gone, Protocol::Udp);
    }
    // What the peer sends before it believes that the old path is dead is lost; what it is sent only waits. The first
    // check from the new address has the peer ask on the old one, at once and three times more, every 200 ms.
    let [left, right] = lan.stream(250);
    assert_eq!(right, 250);
    let gap = (250 - left) * 20;
    assert!(gap <= 700, "nothing came for {gap} ms");
    assert_eq!(lan.world.agent(0).selected().map(|path| path.local), Some(new));
    assert!(lan.world.have_concluded());
    assert_eq!(lan.stream(50), [50, 50]);
}

#[test]
fn candidates_that_come_late_are_paired_then() {
    let mut lan = Lan::new(|_| {});
    // Nothing passes but by an interface that comes up after 20 s (RFC 8838 §11).
    lan.cut(0);
    lan.cut(1);
    lan.world.signal();
    lan.world.run(Duration::from_secs(20));
    assert!(
        lan.world
            .sim
            .get(lan.world.ends[0])
            .events
            .contains(&Event::StateChanged(State::Checking))
    );
    let late: SocketAddr = address("203.0.113.12:5000");
    let link = Link::with_delay(Duration::from_millis(5));
    let (host, router) = (lan.hosts[0], lan.router);
    lan.world.sim.attach(host, router, &[late.ip()], link);
    lan.world.bind(0, late, 60_000);
    assert!(lan.world.run_until(Duration::from_secs(1), World::have_concluded));
    assert_eq!(lan.world.agent(0).selected().map(|path| path.local), Some(late));
    lan.world.assert_same_pair();
}

#[test]
fn an_interface_that_is_gone_takes_its_pairs_with_it() {
    let mut lan = Lan::connected(|config| config.renomination = true);
    let now = lan.world.sim.now();
    lan.cut(0);
    lan.world
        .agent_mut(0)
        .remove_local_candidate(now, address(LEFT[0]), Protocol::Udp);
    lan.world.run(Duration::from_millis(100));
    let selected = lan.world.agent(0).selected().expect("another pair worked");
    assert_eq!(selected.local, address(LEFT[1]));
    // The other end follows the number, though the path of higher priority was nominated, too.
    assert_eq!(lan.world.agent(1).selected(), Some(back(selected)));
    assert!(lan.world.have_concluded());
    assert!(
        lan.world
            .agent(0)
            .local_candidates()
            .iter()
            .all(|candidate| candidate.address != address(LEFT[0]))
    );
}

#[test]
fn no_restart_is_asked_for_while_a_pair_may_yet_work() {
    for stays in [true, false] {
        let mut lan = Lan::connected(|config| config.renomination = true);
        let late: SocketAddr = address("203.0.113.12:5000");
        let link = Link::with_delay(Duration::from_millis(5));
        let (host, router) = (lan.hosts[0], lan.router);
        lan.world.sim.attach(host, router, &[late.ip()], link);
        lan.world.sim.sockets(lan.world.ends[0]).bind_udp(late).unwrap();
        // Worse than the one in use, so that it is not checked.
        lan.world
            .agent_mut(0)
            .add_local_candidate(Candidate::host(late, Protocol::Udp, 1));
        lan.world.run(Duration::from_millis(500));
        let now = lan.world.sim.now();
        let gone = [LEFT[0], LEFT[1], "203.0.113.12:5000"];
        for gone in &gone[..if stays { 2 } else { 3 }] {
            let agent = lan.world.agent_mut(0);
            agent.remove_local_candidate(now, address(gone), Protocol::Udp);
        }
        lan.world.run(Duration::from_secs(1));
        assert_eq!(lan.told(0, &Event::NeedsRestart), !stays);
        let selected = lan.world.agent(0).selected();
        assert_eq!(selected.map(|path| path.local), stays.then_some(late));
    }
}

#[test]
fn the_last_interface_may_be_replaced_by_another() {
    for replaced in [true, false] {
        let mut lan = Lan::connected(|config| config.renomination = true);
        let now = lan.world.sim.now();
        for nth in [0, 1] {
            lan.cut(nth);
            lan.world
                .agent_mut(0)
                .remove_local_candidate(now, address(LEFT[nth]), Protocol::Udp);
        }
        lan.world.run(Duration::from_secs(10));
        assert_eq!(
            (lan.world.agent(0).state(), lan.world.agent(0).selected()),
            (State::Disconnected, None)
        );
        assert!(lan.told(0, &Event::NeedsRestart));
        if replaced {
            let other: SocketAddr = address("203.0.113.12:5000");
            let link = Link::with_delay(Duration::from_millis(5));
            let (host, router) = (lan.hosts[0], lan.router);
            lan.world.sim.attach(host, router, &[other.ip()], link);
            let local = lan.world.sim.sockets(lan.world.ends[0]).bind_udp(other).unwrap();
            lan.world
                .agent_mut(0)
                .add_local_candidate(Candidate::host(local, Protocol::Udp, 65_535));
            assert!(lan.world.run_until(Duration::from_secs(1), World::have_concluded));
            lan.world.assert_same_pair();
        } else {
            // Silence ends the session: nothing can show any more that the peer is there.
            lan.world.run(Duration::from_secs(22));
            assert_eq!([0, 1].map(|end| lan.world.agent(end).state()), [State::Failed; 2]);
        }
    }
}

#[test]
fn a_path_that_works_one_way_only_is_told() {
    let mut lan = Lan::connected(|config| config.warm_interval = None);
    // What we send is lost, what the peer sends comes: its media does not hide that.
    for link in lan.links[0] {
        lan.world.sim.set_hook(link, Way::Forward, |_, _| netsim::Verdict::Drop);
    }
    for _ in 0..10 {
        let right = lan.world.ends[1];
        lan.world.sim.get_mut(right).to_send = 1;
        lan.world.run(Duration::from_secs(1));
    }
    assert!(!lan.world.sim.get(lan.world.ends[0]).got.is_empty());
    assert_eq!(lan.world.agent(0).state(), State::Disconnected);
    assert!(lan.world.agent(0).selected().is_some());
}
