//! Two guests that nothing of UDP reaches, over TCP connections to the real server.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest::{Access, Guest, Media, Report, Room};
use hyaline_server::{Options, Server};

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

#[test]
fn without_udp_two_see_each_other() {
    let options = Options {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        workers: NonZeroUsize::MIN,
        announce: vec![Ipv4Addr::LOCALHOST.into()],
        ..Options::default()
    };
    let server = Server::start(&options).unwrap_or_else(|error| panic!("{error}"));
    let room: Room = format!("{}r/tea", server.url()).parse().unwrap();
    let media = Arc::new(Media::built_in());
    let without = Access {
        no_udp: true,
        ..Access::default()
    };
    let join = |name, access| Guest::join_by(&room, name, Arc::clone(&media), access).unwrap();
    let guests = ["Ada", "Bob"].map(|name| join(name, &without));
    wait_for("each sees the other", &guests, |report| {
        let mut slots = report.slots.iter();
        slots.any(|slot| slot.video && slot.participant.is_some() && slot.frames > 30)
    });
    // Who may choose takes UDP.
    let chooses = join("Eve", &Access::default());
    wait_for("it is connected over UDP", std::slice::from_ref(&chooses), |report| {
        report.connected && !report.over_tcp
    });
    for guest in guests {
        let report = guest.leave();
        assert!(report.connected && report.over_tcp && !report.relayed, "{report}");
        assert!(report.to_string().contains("connected over TCP"), "{report}");
        assert_eq!(report.complaints(), Vec::<String>::new(), "{report}");
    }
    server.shutdown();
}
