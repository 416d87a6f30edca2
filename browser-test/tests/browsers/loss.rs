use std::time::{Duration, Instant};

use browser_test::Kind;

use crate::arena::Arena;
use crate::pictures::{pass, watch_pictures, worst_gap};
use crate::{BOTH, SOON};

/// Loses so many of a hundred datagrams on each link, both ways.
fn lose(arena: &Arena, links: &[(&browser_test::Namespace, &str)], percent: u8) {
    for (network, link) in links {
        network.lose_arriving_udp(link, percent).unwrap();
        arena.network.lose_arriving_udp(link, percent).unwrap();
    }
}

/// What the publisher loses is asked for by the server, what the viewer loses by the viewer; neither sees more than a
/// moment of it.
#[test]
fn five_percent_on_both_links_are_repaired() {
    let (arena, [first, second]) = Arena::with_two_neighbours();
    let ada = arena.join_from(&first, Kind::Chromium, "Ada", "");
    let bob = arena.join_from(&second, Kind::Firefox, "Bob", "");
    ada.wait_to_see_and_hear("Bob");
    bob.wait_to_see_and_hear("Ada");
    lose(&arena, &[(&first, "j0"), (&second, "j1")], 5);
    watch_pictures(&ada, "Bob");
    watch_pictures(&bob, "Ada");
    pass(&bob, Duration::from_secs(60));
    for guest in [&ada, &bob] {
        let (count, worst) = worst_gap(guest);
        let who = format!("{} ({})", guest.name, guest.browser.kind());
        println!("{who}: {count} pictures, the largest gap {worst:.0} ms");
        assert!(count > 300.0, "{who}: {count} pictures in a minute");
        assert!(worst < 1000.0, "{who}: no picture for {worst} ms");
    }
    // It was lossy, and the server had its part in the repair.
    let repaired = arena.metrics()["hyaline_repair_packets_repaired_total"];
    assert!(repaired > 10.0, "{repaired} packets came again to the server");
}

/// Sound goes on, the person is told why there is no picture, and it comes back by itself.
#[test]
fn a_viewer_who_loses_too_much_gets_sound_alone_for_a_while() {
    for viewer in BOTH {
        let (arena, far) = Arena::with_neighbour();
        let ada = arena.join(Kind::Chromium, "Ada");
        let bob = arena.join_from(&far, viewer, "Bob", "");
        bob.wait_to_see_and_hear("Ada");
        ada.wait_to_see_and_hear("Bob");
        lose(&arena, &[(&far, "j0")], 20);
        bob.wait("document.querySelector('[data-code=link]')?.checkVisibility()", SOON);
        bob.wait_to_hear("Ada");
        lose(&arena, &[(&far, "j0")], 0);
        let begin = Instant::now();
        watch_pictures(&bob, "Ada");
        bob.wait("pictures.count > 5", SOON);
        let took = begin.elapsed();
        println!("{viewer}: the picture is back after {took:?}");
        assert!(
            took < Duration::from_secs(15),
            "{viewer}: the picture is back after {took:?}"
        );
        bob.wait("!document.querySelector('[data-code=link]')", SOON);
        bob.wait_to_see_and_hear("Ada");
    }
}
