use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ice::{Config, Role, State};
use netsim::{Direction, Link, LinkId, Loss, PacketView, Reorder, Sim, Verdict, Way};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::world::{World, back};

/// Hosts with some addresses each, each on a link of its own, and which of the paths between them are dead.
#[derive(Debug, Clone)]
struct Mesh {
    run: u64,
    links: [Vec<Quality>; 2],
    dead: BTreeSet<(usize, usize)>,
    roles: [Role; 2],
    signalling: Duration,
    renomination: bool,
}

#[derive(Debug, Clone, Copy)]
struct Quality {
    delay: Duration,
    jitter: Duration,
    loss: f64,
    duplicate: f64,
    reorder: f64,
}

impl Quality {
    fn link(self) -> Link {
        Link::symmetric(Direction {
            delay: self.delay,
            jitter: self.jitter,
            loss: Loss::Random(self.loss),
            duplicate: self.duplicate,
            reorder: Some(Reorder {
                probability: self.reorder,
                min: Duration::from_millis(1),
                max: Duration::from_millis(300),
            }),
            ..Direction::default()
        })
    }
}

fn address(end: usize, nth: usize) -> SocketAddr {
    (IpAddr::from([203, 0, 113, (10 * (end + 1) + nth) as u8]), 5000).into()
}

impl Mesh {
    fn build(&self) -> (World, Vec<LinkId>) {
        let mut sim = Sim::new(self.run);
        let internet = sim.add_router("internet");
        let hosts = [sim.add_host("left"), sim.add_host("right")];
        let mut all = Vec::new();
        for (end, links) in self.links.iter().enumerate() {
            for (nth, quality) in links.iter().enumerate() {
                let link = sim.attach(hosts[end], internet, &[address(end, nth).ip()], quality.link());
                let dead = self.dead.clone();
                let hook = move |_, packet: &PacketView<'_>| {
                    let one = |other: usize| {
                        let pair = if end == 0 { (nth, other) } else { (other, nth) };
                        dead.contains(&pair) && packet.destination.ip() == address(1 - end, other).ip()
                    };
                    if (0..3).any(one) { Verdict::Drop } else { Verdict::Pass }
                };
                sim.set_hook(link, Way::Forward, hook);
                all.push(link);
            }
        }
        let config = |role| Config {
            renomination: self.renomination,
            ..Config::full(role)
        };
        let mut world = World::new(sim, hosts, self.roles.map(config));
        world.signalling = self.signalling;
        for (end, links) in self.links.iter().enumerate() {
            for nth in 0..links.len() {
                world.bind(end, address(end, nth), 65_535 - nth as u16);
            }
            world.agent_mut(end).end_of_local_candidates();
        }
        (world, all)
    }

    fn has_path(&self) -> bool {
        let pairs = (0..self.links[0].len()).flat_map(|a| (0..self.links[1].len()).map(move |b| (a, b)));
        pairs.into_iter().any(|pair| !self.dead.contains(&pair))
    }
}

fn quality() -> impl Strategy<Value = Quality> {
    (0_u64..200, 0_u64..50, 0.0..0.1, 0.0..0.2, 0.0..0.2).prop_map(|(delay, jitter, loss, duplicate, reorder)| {
        Quality {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            loss,
            duplicate,
            reorder,
        }
    })
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Controlling), Just(Role::Controlled)]
}

fn mesh() -> impl Strategy<Value = Mesh> {
    let links = || proptest::collection::vec(quality(), 1..4);
    let dead = proptest::collection::btree_set((0_usize..3, 0_usize..3), 0..8);
    (
        any::<u64>(),
        [links(), links()],
        dead,
        [role(), role()],
        0_u64..1000,
        any::<bool>(),
    )
        .prop_map(|(run, links, dead, roles, signalling, renomination)| Mesh {
            run,
            links,
            dead,
            roles,
            signalling: Duration::from_millis(signalling),
            renomination,
        })
}

proptest! {
    // The same cases in each run: what chance makes of links that lose packets is no fault that a change has brought.
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::with_cases(96) })]

    /// Whatever the roles that they begin with, and whatever the network does to datagrams: if there is a path, both
    /// are connected, agree on one, and one controls.
    #[test]
    fn two_agents_agree_on_a_path_if_there_is_one(mesh in mesh()) {
        let (mut world, links) = mesh.build();
        world.signal();
        let concluded = world.run_until(Duration::from_secs(42), World::have_concluded);
        prop_assert_eq!(concluded, mesh.has_path());
        if !concluded {
            world.run(Duration::from_secs(80));
            prop_assert_eq!([0, 1].map(|end| world.agent(end).state()), [State::Failed; 2]);
            prop_assert_eq!([0, 1].map(|end| world.agent(end).poll_timeout()), [None; 2]);
            return Ok(());
        }
        let roles = [0, 1].map(|end| world.agent(end).role());
        prop_assert_eq!(roles[0], roles[1].other());
        world.run(Duration::from_secs(10));
        // While answers get lost one end may doubt the path before the other.
        for (link, way) in links.into_iter().flat_map(|link| [(link, Way::Forward), (link, Way::Backward)]) {
            world.sim.direction_mut(link, way).loss = Loss::None;
        }
        world.run(Duration::from_secs(15));
        let [a, b] = [0, 1].map(|end| world.agent(end).selected());
        prop_assert_eq!(a.map(back), b);
        prop_assert!(world.have_concluded());
        for end in [0, 1] {
            let bad = |(name, count): &(&str, u64)| *count > 0 && !name.contains("role");
            let bad: Vec<_> = world.agent(end).counters().iter().filter(bad).collect();
            prop_assert!(bad.is_empty(), "{:?}", bad);
        }
    }
}
