//! Two guests whose media goes by the TURN server of the real server, over the loopback interface.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest::{Guest, Media, Report, Room};
use hyaline_server::{Options, Server, TurnOptions};

fn start(users: &[(&str, &str)]) -> Server {
    let users = users
        .iter()
        .map(|(name, password)| ((*name).into(), (*password).into()));
    let options = Options {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        workers: NonZeroUsize::MIN,
        announce: vec![Ipv4Addr::LOCALHOST.into()],
        turn: TurnOptions {
            port: 0,
            users: users.collect(),
            allow_loopback: true,
            ..TurnOptions::default()
        },
        ..Options::default()
    };
    Server::start(&options).unwrap_or_else(|error| panic!("{error}"))
}

fn wait_for(what: &str, guests: &[Guest], mut condition: impl FnMut(&Report) -> bool) {
    let start = Instant::now();
    while !guests.iter().all(|guest| condition(&guest.report())) {
        let faults: Vec<_> = guests.iter().map(|guest| guest.report().faults).collect();
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}; {faults:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn sees(report: &Report) -> bool {
    let mut slots = report.slots.iter();
    slots.any(|slot| slot.video && slot.participant.is_some() && slot.frames > 30)
}

#[test]
fn by_a_relay_two_see_each_other() {
    let server = start(&[("ann", "secret")]);
    let room: Room = format!("http://{}/r/tea", server.http_addr()).parse().unwrap();
    let media = Arc::new(Media::built_in());
    let guests = ["Ada", "Bob"].map(|name| Guest::join_relayed(&room, name, Arc::clone(&media)).unwrap());
    wait_for("each sees the other", &guests, sees);
    for guest in guests {
        let report = guest.leave();
        assert!(report.connected && report.relayed, "{report}");
        assert_eq!(report.complaints(), Vec::<String>::new(), "{report}");
    }
    // Who may choose needs none.
    let guest = Guest::join(&room, "Eve", media).unwrap();
    wait_for("it is connected", std::slice::from_ref(&guest), |report| {
        report.connected
    });
    assert!(!guest.leave().relayed);
    server.shutdown();
}

#[test]
fn a_room_without_relay_is_told_of() {
    let server = start(&[]);
    let room: Room = format!("http://{}/r/tea", server.http_addr()).parse().unwrap();
    let guest = Guest::join_relayed(&room, "Ada", Arc::new(Media::built_in())).unwrap();
    wait_for("it complains", std::slice::from_ref(&guest), |report| {
        report.faults.iter().any(|fault| fault.contains("no TURN server"))
    });
    assert!(!guest.leave().connected);
    server.shutdown();
}
