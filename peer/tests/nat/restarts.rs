//! Gathering is done anew when ICE restarts (RFC 8445 §9).

use super::*;

impl World {
    /// The TURN server comes back without any memory.
    fn restart_server(&mut self) {
        let (seed, now) = (self.sim.next_seed(), self.sim.now());
        let listener = SERVER.parse().unwrap();
        *self.sim.get_mut(self.turn) = TurnServer::new(listener, seed, now);
    }

    fn restart(&mut self) {
        let now = self.sim.now();
        self.end_mut(LEFT).peer.restart_ice(now).unwrap();
    }

    fn ufrag(&self, end: usize) -> String {
        self.end(end).peer.local_ufrags().next().unwrap().to_owned()
    }

    /// How often an end was told that its candidates are all.
    fn gathered(&self, end: usize) -> usize {
        let events = self.end(end).events.iter();
        events.filter(|event| **event == Event::GatheringComplete).count()
    }

    /// Relayed candidates that were trickled in the session of now.
    fn relays_told(&self, end: usize) -> usize {
        let ufrag = format!(" ufrag {}", self.ufrag(end));
        let told = self.told(end);
        told.lines()
            .filter(|line| line.contains(" typ relay") && line.ends_with(&ufrag))
            .count()
    }
}

#[test]
fn relays_that_live_are_told_again_once_they_are_proven() {
    let mut world = call([Access::ApdmApdf; 2], [vec![turn()], vec![turn()]]);
    world.run(Duration::from_millis(300));
    world.negotiate();
    world.connect();
    assert_eq!((world.gathered(LEFT), world.gathered(RIGHT)), (1, 1));
    world.restart();
    let [offer, answer] = world.negotiate();
    for text in [&offer, &answer] {
        assert!(
            !text.contains("typ relay") && !text.contains("a=end-of-candidates"),
            "{text}"
        );
        assert!(text.contains("typ srflx"), "{text}");
    }
    world.run(Duration::from_secs(1));
    for end in [LEFT, RIGHT] {
        assert_eq!((world.relays_told(end), world.gathered(end)), (1, 2), "{end}");
    }
    // The same ones.
    let now = world.sim.now();
    assert_eq!(world.sim.get(world.turn).allocations(now), 2);
    let [offer, _] = world.negotiate();
    assert!(offer.contains("typ relay") && offer.contains("a=end-of-candidates"));
}

#[test]
fn relays_that_a_server_has_lost_come_back_with_a_restart() {
    let mut world = call([Access::ApdmApdf; 2], [vec![turn()], vec![turn()]]);
    world.run(Duration::from_millis(300));
    world.negotiate();
    world.connect();
    world.talk(Duration::from_secs(2));
    world.restart_server();
    world.run(Duration::from_secs(8));
    assert_eq!(world.end(LEFT).peer.state(), State::Disconnected);
    world.restart();
    world.negotiate();
    world.run(Duration::from_secs(3));
    let heard = world.end(LEFT).sink.rtp.len();
    world.talk(Duration::from_secs(2));
    assert!(world.end(LEFT).sink.rtp.len() > heard + 90);
    for end in [LEFT, RIGHT] {
        assert_eq!(world.end(end).peer.state(), State::Connected);
        assert_eq!((world.relays_told(end), world.gathered(end)), (1, 2), "{end}");
        assert_eq!(world.end(end).counters().get("relay_blocked"), None);
    }
    let now = world.sim.now();
    assert_eq!(world.sim.get(world.turn).allocations(now), 2);
}

#[test]
fn a_stream_that_was_closed_is_opened_again_with_a_restart() {
    let mut world = call(
        [Access::UdpBlocked, Access::ApdmApdf],
        [vec![turn_over_tcp()], vec![stun()]],
    );
    world.negotiate();
    world.connect();
    world.talk(Duration::from_secs(1));
    for closed in 0..3 {
        let opened = |world: &World| {
            let streams = world.end(LEFT).events.iter().filter_map(|event| match event {
                Event::OpenRelayStream(stream) => Some(stream.id),
                _ => None,
            });
            streams.collect::<Vec<_>>()
        };
        assert_eq!(opened(&world), (0..=closed).map(RelayStreamId).collect::<Vec<_>>());
        let now = world.sim.now();
        world.end_mut(LEFT).peer.relay_stream_closed(now, RelayStreamId(closed));
        world.run(Duration::from_secs(1));
        assert_eq!(world.end(LEFT).peer.state(), State::Disconnected);
        world.restart();
        world.negotiate();
        // What is told late of the stream before does not concern the new one.
        let now = world.sim.now();
        world.end_mut(LEFT).peer.relay_stream_closed(now, RelayStreamId(closed));
        world.run(Duration::from_secs(2));
        assert_eq!(world.end(LEFT).peer.state(), State::Connected, "{closed}");
        assert!(world.is_relayed(LEFT));
    }
    let failed = |event: &&Event| matches!(event, Event::RelayFailed { .. });
    assert_eq!(world.end(LEFT).events.iter().filter(failed).count(), 3);
}

/// Half trickle (RFC 8838 §16).
#[test]
fn who_waits_for_the_end_of_gathering_has_all_in_the_offer() {
    let mut world = call([Access::ApdmApdf; 2], [vec![turn()], vec![turn()]]);
    for session in 1..=3 {
        while world.gathered(LEFT) < session {
            world.run(Duration::from_millis(10));
            assert!(world.sim.elapsed() < Duration::from_secs(30));
        }
        // Nothing is trickled to the other end.
        world.read[LEFT] = world.end(LEFT).events.len();
        let [offer, _] = world.negotiate();
        assert!(
            offer.contains("typ relay") && offer.contains("typ srflx") && offer.contains("a=end-of-candidates"),
            "{offer}"
        );
        world.read[LEFT] = world.end(LEFT).events.len();
        world.connect();
        world.run(Duration::from_secs(4));
        assert_eq!(world.gathered(LEFT), session);
        world.restart();
    }
}

#[test]
fn a_relay_that_does_not_answer_is_not_told_and_not_waited_for_without_end() {
    let mut world = call([Access::Open; 2], [vec![turn()], Vec::new()]);
    world.run(Duration::from_millis(300));
    world.negotiate();
    world.connect();
    let turn = world.turn;
    world.sim.sockets(turn).close_udp(SERVER.parse().unwrap());
    world.restart();
    world.negotiate();
    world.run(Duration::from_secs(3));
    assert_eq!((world.relays_told(LEFT), world.gathered(LEFT)), (0, 1));
    // The server is near: RFC 8489 §6.2.1 gives up after 79 RTOs of 100 ms.
    world.run(Duration::from_secs(7));
    assert_eq!((world.relays_told(LEFT), world.gathered(LEFT)), (0, 2));
    let [offer, _] = world.negotiate();
    assert!(!offer.contains("typ relay") && offer.contains("a=end-of-candidates"));
    // It was a passing trouble: the next refresh succeeds.
    world.sim.sockets(turn).bind_udp(SERVER.parse().unwrap()).unwrap();
    world.run(Duration::from_secs(400));
    assert_eq!(world.relays_told(LEFT), 1);
}

#[test]
fn a_server_that_refuses_us_is_not_asked_again() {
    let mut world = call([Access::Open; 2], [vec![server("turn", "not it")], Vec::new()]);
    world.run(Duration::from_millis(300));
    world.negotiate();
    world.connect();
    world.restart();
    world.negotiate();
    world.run(Duration::from_secs(5));
    let failed = |event: &&Event| matches!(event, Event::RelayFailed { .. });
    assert_eq!(world.end(LEFT).events.iter().filter(failed).count(), 1);
    assert_eq!(world.gathered(LEFT), 2);
}
