use std::time::{Duration, Instant};

use browser_test::Kind;
use serde_json::json;

use crate::arena::{Arena, Guest};
use crate::{BOTH, SOON};

const GONE: &str = "!document.querySelector('video[data-participant=Ada]')";

#[test]
fn who_leaves_is_gone_within_a_second() {
    for kind in BOTH {
        let arena = Arena::new();
        let ada = arena.join(kind, "Ada");
        let bob = arena.join(Kind::Chromium, "Bob");
        bob.wait_to_see_and_hear("Ada");
        // By the pages' own clocks, which are one: a driver may take a second to press a button.
        ada.get(
            "void document.addEventListener('click', () => { globalThis.left ??= Date.now(); }, { capture: true })",
        );
        bob.get(&format!(
            "void new MutationObserver(() => {{ if ({GONE}) globalThis.gone ??= Date.now(); }})
                .observe(document.body, {{ childList: true, subtree: true }})"
        ));
        ada.page.click("#leave-call").unwrap();
        bob.wait("Boolean(globalThis.gone)", SOON);
        let at = |guest: &Guest, name: &str| guest.get(&format!("globalThis.{name}")).as_f64().unwrap();
        let took = at(&bob, "gone") - at(&ada, "left");
        println!("{kind}: gone after {took} ms");
        assert!((0.0..1000.0).contains(&took), "{kind}: gone after {took} ms");
    }
}

#[test]
fn whose_browser_dies_is_gone_within_fifteen_seconds() {
    for kind in BOTH {
        let arena = Arena::new();
        let ada = arena.join(kind, "Ada");
        let bob = arena.join(Kind::Chromium, "Bob");
        bob.wait_to_see_and_hear("Ada");
        let begin = Instant::now();
        ada.browser.kill();
        bob.wait(GONE, SOON);
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(15), "{kind}: gone after {took:?}");
    }
}

/// Media does not pass any more, the WebSocket does: as when a firewall learns a new rule.
#[test]
fn whose_media_is_swallowed_is_gone_within_fifteen_seconds() {
    for kind in BOTH {
        let (arena, far) = Arena::with_neighbour();
        let bob = arena.join(Kind::Chromium, "Bob");
        let ada = arena.join_from(&far, kind, "Ada", "");
        bob.wait_to_see_and_hear("Ada");

        far.swallow_udp().unwrap();
        // Or media would go on by TCP.
        far.swallow_tcp(arena.server.media_addrs()[0][0].port()).unwrap();
        let begin = Instant::now();
        bob.wait(GONE, SOON);
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(15), "{kind}: gone after {took:?}");
        // Ada was told by the WebSocket, which still works, or sees for herself that nothing comes.
        ada.wait(
            "document.body.dataset.path !== 'connected' || hyaline.room.state === 'left'",
            SOON,
        );
        assert_eq!(bob.get("hyaline.room.state"), json!("joined"));
    }
}

/// No word of goodbye and no closed connection, neither of media nor of the WebSocket: as when a machine loses its
/// power.
#[test]
fn whose_machine_vanishes_is_gone_within_fifteen_seconds() {
    for kind in BOTH {
        let (arena, far) = Arena::with_neighbour();
        let bob = arena.join(Kind::Chromium, "Bob");
        let _ada = arena.join_from(&far, kind, "Ada", "");
        bob.wait_to_see_and_hear("Ada");
        far.vanish().unwrap();
        let begin = Instant::now();
        bob.wait(GONE, SOON);
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(15), "{kind}: gone after {took:?}");
        assert_eq!(bob.get("hyaline.room.state"), json!("joined"));
    }
}

#[test]
fn a_server_that_stops_says_goodbye_to_everybody() {
    let arena = Arena::new();
    let guests = [("Ada", Kind::Chromium), ("Bob", Kind::Firefox)].map(|(name, kind)| arena.join(kind, name));
    guests[0].wait_to_see_and_hear("Bob");
    guests[1].wait_to_see_and_hear("Ada");
    let Arena {
        server,
        network: _network,
    } = arena;
    let begin = Instant::now();
    server.shutdown();
    for guest in &guests {
        guest.wait(
            "hyaline.room.state === 'returning' && document.querySelector('[data-code=shutdown]')?.textContent === 'The server is stopping.'",
            SOON,
        );
        assert_eq!(guest.others(), json!([]));
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "known after {took:?}");
}
