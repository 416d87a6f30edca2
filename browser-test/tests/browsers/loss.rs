use std::time::Duration;

use browser_test::Kind;

use crate::arena::Arena;
use crate::pictures::{pass, watch_pictures, worst_gap};

/// Loses so many of a hundred datagrams on each link, both ways.
fn lose(arena: &Arena, links: &[(&browser_test::Namespace, &str)], percent: u8) {
    for (network, link) in links {
        network.lose_arriving_udp(link, percent).unwrap();
        arena.network.lose_arriving_udp(link, percent).unwrap();
    }
}

/// What the publisher loses is asked for by the server, what the viewer loses by the viewer; neither sees more than a moment of it.
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
}
