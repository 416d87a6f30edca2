//! Addresses of ours that come and go while a call goes on.

use super::*;

const OLD: &str = "203.0.113.2:5000";
const NEW: &str = "203.0.113.12:5000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl World {
    /// The left end gets another interface, which it tells its peer connection of.
    fn add_interface(&mut self) {
        let [host, _] = self.hosts;
        let link = netsim::Link::with_delay(Duration::from_millis(5));
        self.sim.attach(host, self.internet, &[address(NEW).ip()], link);
        let left = self.ends[LEFT];
        self.sim.sockets(left).bind_udp(address(NEW)).unwrap();
        self.end_mut(LEFT).peer.add_local_candidate(address(NEW));
    }

    /// The first interface of the left end is gone.
    fn remove_interface(&mut self) {
        let link = self.link;
        self.sim.set_link_up(link, false);
        let now = self.sim.now();
        self.end_mut(LEFT).peer.remove_local_candidate(now, address(OLD));
        self.end_mut(LEFT).paths.clear();
    }

    /// How many packets an end hears while both speak for so long.
    fn heard_within(&mut self, end: usize, time: Duration) -> usize {
        let before = self.end(end).sink.rtp.len();
        self.talk(time);
        self.end(end).sink.rtp.len() - before
    }
}

fn open_call(servers: Vec<IceServer>) -> World {
    let mut world = call([Access::Open; 2], [servers.clone(), servers]);
    world.negotiate();
    world.connect();
    world.talk(Duration::from_secs(2));
    let path = world.end(LEFT).peer.selected_path().unwrap();
    assert_eq!(path.local, address(OLD));
    world
}

#[test]
fn media_goes_on_when_the_address_in_use_is_gone() {
    let mut world = open_call(Vec::new());
    world.add_interface();
    world.talk(Duration::from_secs(1));
    assert!(
        world.told(LEFT).contains("203.0.113.12 5000 typ host"),
        "it is trickled"
    );
    world.remove_interface();
    for end in [LEFT, RIGHT] {
        assert!(world.heard_within(end, Duration::from_secs(2)) >= 80, "{end}");
    }
    let path = world.end(LEFT).peer.selected_path().unwrap();
    assert_eq!(path.local, address(NEW));
    assert!(world.end(LEFT).paths.iter().all(|path| path.local == address(NEW)));
    assert_eq!(world.restarts_needed(), [0, 0]);
    assert_eq!(world.end(LEFT).peer.state(), State::Connected);
    let now = world.sim.now();
    world.end_mut(LEFT).peer.restart_ice(now).unwrap();
    let [offer, _] = world.negotiate();
    assert!(
        offer.contains("203.0.113.12 5000") && !offer.contains("203.0.113.2 5000"),
        "{offer}"
    );
}

#[test]
fn media_moves_to_a_better_interface_that_appears() {
    // The old one is a mobile network, the new one as good as it gets.
    for (old, moves) in [(1, true), (Peer::MOST_PREFERRED, false)] {
        let configs = [config(1, Vec::new()), config(2, Vec::new())];
        let mut world = World::on_interfaces([Access::Open; 2], configs, [old, Peer::MOST_PREFERRED]);
        world.negotiate_signalling(true);
        world.connect();
        world.talk(Duration::from_secs(2));
        assert_eq!(world.end(LEFT).peer.selected_path().unwrap().local, address(OLD));
        world.add_interface();
        assert!(world.heard_within(RIGHT, Duration::from_secs(2)) >= 98);
        let local = world.end(LEFT).peer.selected_path().unwrap().local;
        let remote = world.end(RIGHT).peer.selected_path().unwrap().remote;
        let expected = address(if moves { NEW } else { OLD });
        assert_eq!((local, remote), (expected, expected));
    }
}

#[test]
fn without_another_pair_a_restart_is_asked_for_and_a_new_address_will_do() {
    let mut world = open_call(Vec::new());
    world.remove_interface();
    world.run(Duration::from_secs(1));
    assert_eq!(world.restarts_needed(), [1, 0]);
    assert_eq!(world.end(LEFT).peer.state(), State::Disconnected);
    assert!(world.end(LEFT).paths.is_empty(), "{:?}", world.end(LEFT).paths);
    world.add_interface();
    world.run(Duration::from_secs(1));
    assert_eq!(world.end(LEFT).peer.state(), State::Connected);
    assert!(world.heard_within(RIGHT, Duration::from_secs(1)) >= 45);
    let preference = |nth: usize| {
        let told = world.told(LEFT);
        let priority = told.lines().nth(nth).and_then(|line| line.split(' ').nth(3));
        priority.unwrap().parse::<u32>().unwrap()
    };
    assert!(preference(1) < preference(0), "the former may still be known");
}

#[test]
fn what_was_allocated_from_an_address_goes_with_it() {
    for server in [turn(), turn_over_tcp()] {
        let mut world = open_call(vec![server]);
        let relayed = |offer: &str| offer.matches(" typ relay").count();
        world.add_interface();
        world.run(Duration::from_secs(1));
        let offer = world.end_mut(LEFT).peer.offer().unwrap();
        let over_udp = relayed(&offer) == 2;
        world.remove_interface();
        world.run(Duration::from_secs(1));
        let offer = world.end_mut(LEFT).peer.offer().unwrap();
        assert_eq!(relayed(&offer), usize::from(over_udp));
        assert!(world.end(LEFT).paths.iter().all(|path| path.local == address(NEW)));
        let closed = |event: &Event| matches!(event, Event::CloseRelayStream(_));
        assert_eq!(world.end(LEFT).events.iter().any(closed), !over_udp);
        let failed = |event: &Event| matches!(event, Event::RelayFailed { .. });
        assert!(
            !world.end(LEFT).events.iter().any(failed),
            "{:?}",
            world.end(LEFT).events
        );
        assert_eq!(world.end(LEFT).peer.state(), State::Connected);
    }
}

#[test]
fn gathering_goes_on_with_a_new_address() {
    let mut world = open_call(vec![turn()]);
    let gathered = |world: &World| {
        let events = world.end(LEFT).events.iter();
        events.filter(|event| **event == Event::GatheringComplete).count()
    };
    assert_eq!(gathered(&world), 1);
    world.add_interface();
    let offer = world.end_mut(LEFT).peer.offer().unwrap();
    assert!(!offer.contains("a=end-of-candidates"));
    world.run(Duration::from_secs(1));
    assert_eq!(gathered(&world), 2);
    let offer = world.end_mut(LEFT).peer.offer().unwrap();
    assert!(offer.contains("a=end-of-candidates"));
}

#[test]
fn addresses_of_ipv6_come_first_whatever_the_order() {
    let mut peer = Peer::new(
        Arc::new(config(1, Vec::new())),
        wire::Seed::from_run(1),
        std::time::Instant::now(),
    );
    peer.add_section(Kind::Audio, Direction::SendRecv).unwrap();
    let order = [
        "192.0.2.1:1",
        "[2001:db8::1]:1",
        "192.0.2.2:1",
        "[2001:db8::2]:1",
        "192.0.2.1:1",
    ];
    for text in order {
        peer.add_local_candidate(address(text));
    }
    let offer = peer.offer().unwrap();
    let mut candidates: Vec<(u32, &str)> = offer
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.strip_prefix("a=candidate:")?.split(' ').collect();
            Some((words[3].parse().unwrap(), words[4]))
        })
        .collect();
    candidates.sort_unstable();
    assert!(
        candidates.windows(2).all(|two| two[0].0 < two[1].0),
        "each has a priority of its own"
    );
    let addresses: Vec<&str> = candidates.iter().rev().map(|candidate| candidate.1).collect();
    // RFC 8421 §4: intermingled, among interfaces of one kind.
    assert_eq!(addresses, ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"]);
}
