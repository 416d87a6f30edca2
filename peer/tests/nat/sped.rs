use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dtls_srtp::Version;
use netsim::shapes::Access;
use peer::{Event, SpedState};

use super::{LEFT, RIGHT, SERVER, World, config, turn};

/// How long it takes from the answer until both are connected, in ms, and whether a relay is in between.
fn time(access: [Access; 2], version: Version, sped: bool, relay_only: bool) -> (u128, bool) {
    let configs = [1, 2].map(|certificate| {
        let mut config = config(certificate, vec![turn()]);
        Arc::make_mut(&mut config.dtls).versions = vec![version];
        config.sped = sped;
        if relay_only {
            config.ice_transport_policy = peer::IceTransportPolicy::Relay;
        }
        config
    });
    let mut world = World::new(access, configs);
    world.run(Duration::from_millis(300));
    let [_, answer] = world.negotiate();
    assert_eq!(answer.contains(" sped googspedv1"), sped);
    let start = world.sim.elapsed();
    world.connect();
    let time = (world.sim.elapsed() - start).as_millis();
    let relay: SocketAddr = SERVER.parse().unwrap();
    let relayed = [LEFT, RIGHT].iter().any(|end| {
        let path = world.end(*end).peer.selected_path().unwrap();
        [path.local, path.remote]
            .iter()
            .any(|address| address.ip() == relay.ip())
    });
    world.talk(Duration::from_secs(10));
    world.stop();
    world.assert_heard();
    for end in [LEFT, RIGHT] {
        let end = world.end(end);
        let faults: Vec<_> = end
            .counters()
            .into_iter()
            .filter(|(name, _)| name.starts_with("sped") || *name == "unvalidated_path")
            .collect();
        assert_eq!(faults, []);
        assert_eq!(end.peer.sped_state(), sped.then_some(SpedState::Complete));
        let secured = |event: &&Event| matches!(event, Event::Secured(_));
        assert_eq!(end.events.iter().filter(secured).count(), 1);
    }
    (time, relayed)
}

/// Whatever lies between them, and by relays too, where a check with a flight in it is wrapped once more.
#[test]
fn dtls_in_checks_passes_nats_and_relays() {
    for (access, relay_only) in [
        ([Access::Open; 2], false),
        ([Access::EimEif; 2], false),
        ([Access::EimApdf, Access::Open], false),
        ([Access::ApdmApdf; 2], false),
        ([Access::Open; 2], true),
    ] {
        for version in [Version::DTLS_1_2, Version::DTLS_1_3] {
            let (with, relayed) = time(access, version, true, relay_only);
            let (without, _) = time(access, version, false, relay_only);
            println!("{access:?} {version} relayed {relayed}: {with} ms with, {without} ms without");
            // The ClientHello of DTLS 1.3 takes two checks: on a short path the second can cost what a round trip saves.
            let most = if relayed { without - 1 } else { without };
            assert!(with <= most, "{access:?} {version} {relay_only}: {with} {without}");
            assert!(relayed || !relay_only);
        }
    }
}
