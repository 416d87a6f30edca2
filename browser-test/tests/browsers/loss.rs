use std::time::Duration;

use browser_test::Kind;

use crate::SOON;
use crate::arena::{Arena, Guest};

/// Loses so many of a hundred datagrams on each link, both ways.
fn lose(arena: &Arena, links: &[(&browser_test::Namespace, &str)], percent: u8) {
    for (network, link) in links {
        network.lose_arriving_udp(link, percent).unwrap();
        arena.network.lose_arriving_udp(link, percent).unwrap();
    }
}

/// Measures from now on how far apart the pictures of `other` are that the page shows; see [`worst_gap`].
fn watch_pictures(guest: &Guest, other: &str) {
    guest.get(&format!(
        "(() => {{
            const video = document.querySelector('video[data-participant={other:?}]');
            const seen = globalThis.pictures = {{ count: 0, worst: 0, last: performance.now() }};
            const look = now => {{
                seen.count++;
                seen.worst = Math.max(seen.worst, now - seen.last);
                seen.last = now;
                video.requestVideoFrameCallback(look);
            }};
            video.requestVideoFrameCallback(look);
            return 1;
        }})()"
    ));
}

/// How many pictures were shown since [`watch_pictures`], and the largest time between two of them, in milliseconds, that after the
/// last included.
fn worst_gap(guest: &Guest) -> (f64, f64) {
    let seen = guest.get("[pictures.count, Math.max(pictures.worst, performance.now() - pictures.last)]");
    (seen[0].as_f64().unwrap(), seen[1].as_f64().unwrap())
}

/// Lets so much time pass inside the page: what happens meanwhile is the subject.
fn pass(guest: &Guest, time: Duration) {
    let until = guest.get("performance.now()").as_f64().unwrap() + time.as_secs_f64() * 1e3;
    guest.wait(&format!("performance.now() > {until}"), time * 2 + SOON);
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
