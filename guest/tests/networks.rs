//! A guest whose addresses change, in a room of the real server in another network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest::{Access, Guest, Media, Report, Room};
use hyaline_server::{Options, Server};
use netns::Namespace;

/// The ends of two links between the server's network and the guest's.
const HERE: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 56, 0, 1), Ipv4Addr::new(10, 56, 1, 1)];
const THERE: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 56, 0, 2), Ipv4Addr::new(10, 56, 1, 2)];
const LINKS: [&str; 2] = ["j0", "j1"];

/// A server, and a network that has two links to its own. (Fields are dropped in this order.)
struct Arena {
    server: Server,
    here: Namespace,
    there: Namespace,
}

impl Arena {
    fn new() -> Self {
        let (here, there) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        for ((link, ours), theirs) in LINKS.into_iter().zip(HERE).zip(THERE) {
            here.join(ours, &there, theirs, link).unwrap();
        }
        // Where the first link is gone its other end is behind the second one.
        there
            .ip(&["route", "add", "default", "via", &HERE[1].to_string()])
            .unwrap();
        let options = Options {
            http: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            open: true,
            workers: NonZeroUsize::MIN,
            ..Options::default()
        };
        let server = here
            .run(|| Server::start(&options))
            .unwrap()
            .unwrap_or_else(|error| panic!("{error}"));
        Self { server, here, there }
    }

    fn join(&self, from: &Namespace, name: &str, interfaces: &[&str]) -> Guest {
        let url = format!("http://{}:{}/r/tea", HERE[0], self.server.http_addr().port());
        let room: Room = url.parse().unwrap();
        let access = Access {
            interfaces: interfaces.iter().map(|name| (*name).to_owned()).collect(),
            ..Access::default()
        };
        let join = || Guest::join_by(&room, name, Arc::new(Media::built_in()), &access);
        from.run(join).unwrap().unwrap()
    }

    /// Two who see each other: one in the other network, and one in the server's.
    fn call(&self, interfaces: &[&str]) -> [Guest; 2] {
        let guests = [
            self.join(&self.there, "Ada", interfaces),
            self.join(&self.here, "Bob", &[]),
        ];
        wait_for("each sees the other", &guests, |guests| all_see_more(guests, [0, 0]));
        guests
    }
}

fn wait_for(what: &str, guests: &[Guest; 2], mut condition: impl FnMut(&[Guest; 2]) -> bool) -> Duration {
    let start = Instant::now();
    while !condition(guests) {
        let reports = guests.each_ref().map(Guest::report);
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}; {}{}",
            reports[0],
            reports[1]
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

/// How many pictures came.
fn pictures(report: &Report) -> u64 {
    let pictures = report.slots.iter().filter(|slot| slot.video);
    pictures.map(|slot| slot.frames).sum()
}

/// Whether each has seen about two seconds of pictures beyond these.
fn all_see_more(guests: &[Guest; 2], before: [u64; 2]) -> bool {
    let mut both = guests.iter().zip(before);
    both.all(|(guest, before)| pictures(&guest.report()) > before + 30)
}

fn leaves_from(guest: &Guest, address: Ipv4Addr) -> bool {
    guest.report().local.map(|local| local.ip()) == Some(IpAddr::V4(address))
}

/// What came goes on in both directions once media leaves from there.
fn goes_on_from(guests: &[Guest; 2], address: Ipv4Addr) {
    let moved = wait_for("media moves", guests, |guests| leaves_from(&guests[0], address));
    let before = guests.each_ref().map(|guest| pictures(&guest.report()));
    let seen = wait_for("media goes on", guests, |guests| all_see_more(guests, before));
    println!("media leaves from {address} after {moved:?}, and two seconds of pictures are there {seen:?} later");
}

fn leave(guests: [Guest; 2]) -> [Report; 2] {
    let reports = guests.map(Guest::leave);
    for report in &reports {
        assert!(report.connected && !report.relayed && !report.over_tcp, "{report}");
        assert_eq!(report.faults, Vec::<String>::new(), "{report}");
    }
    reports
}

#[test]
fn media_goes_on_when_an_address_goes_and_another_comes() {
    let arena = Arena::new();
    // The WebSocket keeps the first link.
    let guests = arena.call(&["j1"]);
    wait_for("media takes the second link", &guests, |guests| {
        leaves_from(&guests[0], THERE[1])
    });
    let next = Ipv4Addr::new(10, 56, 1, 3);
    arena.there.ip(&["addr", "del", "10.56.1.2/24", "dev", "j1"]).unwrap();
    arena.there.ip(&["addr", "add", "10.56.1.3/24", "dev", "j1"]).unwrap();
    goes_on_from(&guests, next);
    // Another one beside it changes nothing, until it is what is left.
    arena.there.ip(&["addr", "add", "10.56.1.4/32", "dev", "j1"]).unwrap();
    let before = guests.each_ref().map(|guest| pictures(&guest.report()));
    wait_for("media goes on", &guests, |guests| all_see_more(guests, before));
    assert!(leaves_from(&guests[0], next));
    assert_eq!(leave(guests)[0].returns, 0);
}

#[test]
fn the_websocket_comes_back_when_its_address_is_gone() {
    let arena = Arena::new();
    let guests = arena.call(&[]);
    let first = "media takes the link of the WebSocket";
    wait_for(first, &guests, |guests| leaves_from(&guests[0], THERE[0]));
    let participant = guests[0].report().participant;
    arena.there.ip(&["addr", "del", "10.56.0.2/24", "dev", "j0"]).unwrap();
    goes_on_from(&guests, THERE[1]);
    wait_for("it is back", &guests, |guests| guests[0].report().returns > 0);
    let [report, _] = leave(guests);
    assert_eq!((report.participant, report.returns), (participant, 1));
}
