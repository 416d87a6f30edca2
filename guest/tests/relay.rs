//! Two guests whose media goes by the TURN server of the real server, over the loopback interface.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest::{Access, Guest, Media, RelayOver, Report, Room};
use hyaline_server::{Options, Server, Tls, TurnOptions};

fn start(users: &[(&str, &str)], tls: Option<Tls>) -> Server {
    let users = users
        .iter()
        .map(|(name, password)| ((*name).into(), (*password).into()));
    let options = Options {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        workers: NonZeroUsize::MIN,
        announce: vec![Ipv4Addr::LOCALHOST.into()],
        turn: TurnOptions {
            host: Some("localhost".to_owned()),
            port: 0,
            tls_port: 0,
            users: users.collect(),
            allow_loopback: true,
            ..TurnOptions::default()
        },
        tls,
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

fn room(server: &Server) -> Room {
    format!("{}r/tea", server.url()).parse().unwrap()
}

fn over(relay: RelayOver) -> Access {
    Access {
        relay: Some(relay),
        ..Access::default()
    }
}

/// Two guests by a relay, until each has seen the other for a second.
fn meet(room: &Room, access: &Access) {
    let media = Arc::new(Media::built_in());
    let join = |name| Guest::join_by(room, name, Arc::clone(&media), access).unwrap();
    let guests = ["Ada", "Bob"].map(join);
    wait_for("each sees the other", &guests, sees);
    for guest in guests {
        let report = guest.leave();
        assert!(report.connected && report.relayed, "{report}");
        assert_eq!(report.complaints(), Vec::<String>::new(), "{report}");
    }
}

#[test]
fn by_a_relay_two_see_each_other() {
    let server = start(&[("ann", "secret")], None);
    let room = room(&server);
    for relay in [RelayOver::Any, RelayOver::Udp, RelayOver::Tcp] {
        meet(&room, &over(relay));
    }
    // Who may choose needs none.
    let guest = Guest::join(&room, "Eve", Arc::new(Media::built_in())).unwrap();
    wait_for("it is connected", std::slice::from_ref(&guest), |report| {
        report.connected
    });
    assert!(!guest.leave().relayed);
    server.shutdown();
}

/// A certificate for `localhost` in a folder of its own, which is removed at the end.
struct Certificate(PathBuf);

impl Certificate {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("hyaline-guest-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("cert.pem")
    }

    fn tls(&self) -> Tls {
        Tls::Files {
            certificate: self.file(),
            key: self.0.join("key.pem"),
        }
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn over_tls_two_see_each_other() {
    let certificate = Certificate::new("tls");
    let server = start(&[("ann", "secret")], Some(certificate.tls()));
    let room = room(&server);
    let mut access = over(RelayOver::Tls);
    access.ca = Some(certificate.file());
    meet(&room, &access);
    // Nobody else is trusted.
    access.ca = Some(Certificate::new("other").file());
    let refused = Guest::join_by(&room, "Eve", Arc::new(Media::built_in()), &access).unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    server.shutdown();
}

#[test]
fn a_room_without_relay_is_told_of() {
    let server = start(&[], None);
    for (relay, words) in [
        (RelayOver::Any, "no TURN server;"),
        (RelayOver::Tls, "no TURN server over TLS;"),
    ] {
        let media = Arc::new(Media::built_in());
        let guest = Guest::join_by(&room(&server), "Ada", media, &over(relay)).unwrap();
        wait_for("it complains", std::slice::from_ref(&guest), |report| {
            report.faults.iter().any(|fault| fault.contains(words))
        });
        assert!(!guest.leave().connected);
    }
    server.shutdown();
}
