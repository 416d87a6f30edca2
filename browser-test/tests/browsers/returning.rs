use std::time::{Duration, Instant};

use browser_test::Kind;
use serde_json::json;

use crate::arena::Arena;
use crate::pictures::{pass, watch_pictures, worst_gap};
use crate::{BOTH, SOON};

/// Only what is said about the call is cut off; sound and picture go on as if nothing had happened, in both directions.
#[test]
fn a_websocket_that_is_cut_is_resumed() {
    for kind in BOTH {
        let (arena, far) = Arena::with_neighbour();
        let bob = arena.join(Kind::Chromium, "Bob");
        let ada = arena.join_from(
            &far,
            kind,
            "Ada",
            "globalThis.sockets = [];
            const Real = WebSocket;
            globalThis.WebSocket = class extends Real {
                constructor(...address) { super(...address); sockets.push(this); }
            };",
        );
        ada.wait_to_see_and_hear("Bob");
        bob.wait_to_see_and_hear("Ada");
        let id = ada.get("hyaline.room.id");
        watch_pictures(&ada, "Bob");
        watch_pictures(&bob, "Ada");
        let begin = Instant::now();
        let port = arena.server.http_addr().port();
        // Bob's connection is one within the server's network: it is cut as well.
        arena.network.break_tcp(port).unwrap();
        ada.wait("sockets.length > 1 && sockets.at(-1).readyState === 1", SOON);
        ada.wait("hyaline.room.state === 'joined'", SOON);
        bob.wait("hyaline.room.state === 'joined'", SOON);
        // It is heard again: what one says of oneself reaches the others.
        ada.page.press("m").unwrap();
        let label = "document.querySelector('video[data-participant=Ada]').closest('li').getAttribute('aria-label')";
        bob.wait(&format!("{label} === 'Ada, microphone off'"), SOON);
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(10), "{kind}: resumed after {took:?}");
        pass(&bob, Duration::from_secs(2));
        for guest in [&ada, &bob] {
            let (count, worst) = worst_gap(guest);
            println!(
                "{kind}: {}: {count} pictures, the largest gap {worst:.0} ms",
                guest.name
            );
            assert!(worst < 500.0, "{kind}: {}: no picture for {worst} ms", guest.name);
        }
        assert_eq!(ada.get("hyaline.room.id"), id, "{kind}: Ada has never left");
        assert_eq!(arena.metrics()["hyaline_sessions_resumed_total"], 2.0, "{kind}");
        assert_eq!((ada.others(), bob.others()), (json!(["Bob"]), json!(["Ada"])));
    }
}

#[test]
fn everybody_is_back_when_the_server_is() {
    let arena = Arena::new();
    let guests = [("Ada", Kind::Chromium), ("Bob", Kind::Firefox)].map(|(name, kind)| arena.join(kind, name));
    guests[0].wait_to_see_and_hear("Bob");
    guests[1].wait_to_see_and_hear("Ada");
    let Arena { server, network } = arena;
    let http = server.http_addr();
    server.shutdown();
    for guest in &guests {
        guest.wait("hyaline.room.state === 'returning'", SOON);
    }
    let begin = Instant::now();
    let arena = Arena::with(network, |options| options.http = http);
    for guest in &guests {
        guest.wait(
            "hyaline.room.state === 'joined' && document.body.dataset.path === 'connected'",
            SOON,
        );
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "back after {took:?}");
    guests[0].wait_to_see_and_hear("Bob");
    guests[1].wait_to_see_and_hear("Ada");
    drop(arena);
}

/// The machine gets another address, as when it goes from one network to another: no socket of before works any more.
#[test]
fn a_viewer_whose_address_changes_sees_again_within_five_seconds() {
    for kind in BOTH {
        let (arena, far) = Arena::with_neighbour();
        let bob = arena.join(Kind::Chromium, "Bob");
        let ada = arena.join_from(&far, kind, "Ada", "");
        ada.wait_to_see_and_hear("Bob");
        bob.wait_to_see_and_hear("Ada");
        let id = ada.get("hyaline.room.id");
        watch_pictures(&ada, "Bob");
        watch_pictures(&bob, "Ada");
        far.ip(&["addr", "del", "10.55.1.2/24", "dev", "j0"]).unwrap();
        far.ip(&["addr", "add", "10.55.1.3/24", "dev", "j0"]).unwrap();
        pass(&ada, Duration::from_secs(8));
        for guest in [&ada, &bob] {
            let (count, worst) = worst_gap(guest);
            println!(
                "{kind}: {}: {count} pictures, the largest gap {worst:.0} ms",
                guest.name
            );
            assert!(worst < 5000.0, "{kind}: {}: no picture for {worst} ms", guest.name);
        }
        ada.wait_to_see_and_hear("Bob");
        bob.wait_to_see_and_hear("Ada");
        assert_eq!(ada.get("hyaline.room.id"), id, "{kind}: Ada has never left");
    }
}
