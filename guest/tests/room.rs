//! Twelve guests in one room of the real server, in this process, in real time.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest::{Guest, Media, Report, Room};
use hyaline_server::{Options, Server};

const PEOPLE: usize = 12;
/// How many are heard at once (`docs/sfu.md`).
const TOP_K: usize = 3;
const JOINS: usize = 20;

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

/// How many others somebody sees move.
fn seen(report: &Report) -> usize {
    let moving = report.slots.iter().filter(|slot| slot.video && slot.frames > 0);
    moving.filter(|slot| slot.participant.is_some()).count()
}

#[test]
fn a_room_of_twelve() {
    let options = Options {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        workers: NonZeroUsize::MIN,
        ..Options::default()
    };
    let server = Server::start(&options).unwrap_or_else(|error| panic!("{error}"));
    let room: Room = format!("http://{}/r/tea", server.http_addr()).parse().unwrap();
    let media = Arc::new(Media::built_in());
    let join = |name: &str| Guest::join(&room, name, Arc::clone(&media)).unwrap();

    let guests: Vec<Guest> = (0..PEOPLE).map(|n| join(&format!("guest {n}"))).collect();
    wait_for("everybody sees everybody", || {
        guests.iter().all(|guest| seen(&guest.report()) == PEOPLE - 1)
    });

    // Five speak; nobody hears more than three, and everybody hears somebody.
    for guest in &guests[..5] {
        guest.speak(true);
    }
    wait_for("those who speak are heard", || {
        guests[5..].iter().all(|guest| guest.report().heard.len() == TOP_K)
    });
    wait_for("a second of three voices is over", || {
        guests[5..].iter().all(|guest| guest.report().most_heard >= TOP_K)
    });
    wait_for("it is told that they speak", || {
        guests.iter().all(|guest| !guest.report().speaking.is_empty())
    });
    for guest in &guests[..5] {
        guest.speak(false);
    }
    // Somebody else takes the floor: everybody hears him.
    let speaker = &guests[PEOPLE - 1];
    wait_for("the silence after them", || {
        guests.iter().all(|guest| guest.report().speaking.is_empty())
    });
    speaker.speak(true);
    let name = speaker.report().name;
    let took = wait_for("a new speaker is heard by all", || {
        guests[..PEOPLE - 1]
            .iter()
            .all(|guest| guest.report().heard.contains(&name))
    });
    println!("a new speaker is heard by all after {took:?}");
    assert!(took < Duration::from_millis(300), "{took:?}");
    speaker.speak(false);

    // Twenty join one after the other, and leave again.
    let mut times = Vec::new();
    for number in 0..JOINS {
        let guest = join(&format!("late {number}"));
        wait_for("the pictures of all who were there", || {
            let report = guest.report();
            report.pictures.len() == PEOPLE && report.pictures.iter().all(|(_, time)| time.is_some())
        });
        let report = guest.leave();
        times.extend(report.pictures.iter().filter_map(|(_, time)| *time));
        assert_eq!(report.complaints(), Vec::<String>::new());
    }
    times.sort_unstable();
    let p95 = times[times.len() * 95 / 100];
    println!(
        "from join to the first picture: median {:?}, 95 % {p95:?}",
        times[times.len() / 2]
    );
    assert!(p95 < Duration::from_secs(2), "{p95:?}");

    let reports: Vec<Report> = guests.into_iter().map(Guest::leave).collect();
    for report in &reports {
        assert!(report.connected, "{report}");
        assert!(report.most_heard <= TOP_K, "{report}");
        assert_eq!(report.complaints(), Vec::<String>::new(), "{report}");
        // On a busy machine an answer may take longer than a handshake waits: what is sent again may come when the keys of
        // the handshake are gone (DTLS 1.3).
        let handshake = ["repeated_fragments", "retransmitted_flights", "stale_epoch_records"];
        let drops: Vec<_> = report
            .counters
            .iter()
            .filter(|(name, _)| !handshake.contains(name))
            .collect();
        assert!(drops.is_empty(), "{report}{drops:?}");
    }
    server.shutdown();
}
