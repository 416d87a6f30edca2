use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use browser_test::{Browser, Kind, Namespace, Options, Relay};
use serde_json::json;

use crate::arena::{Arena, Guest};
use crate::{BOTH, SOON};

/// The server has two addresses, and the one it prefers is 30 ms further away, so that checks of both pairs cross and
/// the browsers move from one to the other in the middle of the handshake: Firefox nominates both, Chromium moves its
/// nomination.
#[test]
fn two_addresses_of_which_the_preferred_one_is_further_away() {
    let direct = Ipv4Addr::new(10, 55, 1, 1);
    let relayed = Ipv4Addr::new(10, 55, 2, 1);
    let behind = Ipv4Addr::new(10, 55, 3, 1);
    let (home, middle, far) = (
        Namespace::new().unwrap(),
        Namespace::new().unwrap(),
        Namespace::new().unwrap(),
    );
    home.join(direct, &far, Ipv4Addr::new(10, 55, 1, 2), "direct").unwrap();
    middle
        .join(relayed, &far, Ipv4Addr::new(10, 55, 2, 2), "relayed")
        .unwrap();
    home.join(behind, &middle, Ipv4Addr::new(10, 55, 3, 2), "behind")
        .unwrap();
    // A browser may use either of its addresses towards either of the server's: answers find back to both.
    middle
        .ip(&["route", "add", "10.55.1.0/24", "via", "10.55.2.2"])
        .unwrap();
    home.ip(&["route", "add", "10.55.2.0/24", "via", "10.55.1.2"]).unwrap();
    let arena = Arena::with(home, |options| {
        options.http = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        options.open = true;
        options.announce = vec![IpAddr::V4(relayed), IpAddr::V4(direct)];
    });
    assert_eq!(arena.media_ips(), [IpAddr::V4(relayed), IpAddr::V4(direct)]);
    let port = arena.media_port();
    let relay = Relay::start(
        &middle,
        (relayed, port).into(),
        (behind, port).into(),
        Duration::from_millis(30),
    )
    .unwrap();

    let origin = format!("http://{direct}:{}", arena.server.http_addr().port());
    let guests = BOTH.map(|kind| {
        let options = Options {
            secure_origin: Some(origin.clone()),
            ..Options::within(&far)
        };
        let browser = Browser::launch(kind, &options).unwrap_or_else(|error| panic!("{error}"));
        let name = kind.to_string();
        // Every state that the connection goes through, from the beginning.
        let watch = "globalThis.states = [];
            const Real = RTCPeerConnection;
            globalThis.RTCPeerConnection = class extends Real {
                constructor(...configuration) {
                    super(...configuration);
                    this.addEventListener('connectionstatechange', () => states.push(this.connectionState));
                }
            };";
        Guest::join(browser, &origin, &name, watch)
    });
    let ports = guests.each_ref().map(Guest::media_ports);
    let see_each_other = || {
        guests[0].wait_to_see_and_hear(&guests[1].name);
        guests[1].wait_to_see_and_hear(&guests[0].name);
    };
    see_each_other();
    // A minute of staying is the test's subject: it passes inside the page.
    let minute = Duration::from_secs(60);
    let until = guests[0].get("performance.now()").as_f64().unwrap() + minute.as_secs_f64() * 1e3;
    guests[0].wait(&format!("performance.now() > {until}"), minute * 2);
    see_each_other();
    for guest in &guests {
        let states = guest.get("states");
        assert!(
            !states.to_string().contains("disconnected") && !states.to_string().contains("failed"),
            "{}: {states}",
            guest.name
        );
    }
    let senders = relay.senders();
    for (guest, ports) in guests.iter().zip(ports) {
        assert!(
            senders.iter().any(|sender| ports.contains(&sender.port())),
            "{} tried the preferred address: {ports:?} in {senders:?}",
            guest.name
        );
    }
}

/// Nothing arrives at the page until it notices, which takes Firefox up to 13 s. (The server goes on hearing it: else
/// it might give it up in that time.) The page looks for a path by an ICE restart, and nobody leaves the room. The
/// server takes no media by TCP: when a check by TCP happens to be answered first, Chromium keeps that path as a spare
/// and needs no restart.
#[test]
fn a_path_that_is_lost_for_some_seconds_is_found_again() {
    // The ICE credentials of every offer, from the beginning.
    let watch = "globalThis.credentials = [];
        const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (text) {
            const { type, sdp } = JSON.parse(text);
            if (type === 'offer') credentials.push(/^a=ice-ufrag:(.*)$/m.exec(sdp)[1]);
            return send.call(this, text);
        };";
    for kind in BOTH {
        let (arena, far) = Arena::with_neighbour_and(|options| options.tcp = false);
        let bob = arena.join(Kind::Chromium, "Bob");
        let ada = arena.join_from(&far, kind, "Ada", watch);
        ada.wait_to_see_and_hear("Bob");
        bob.wait_to_see_and_hear("Ada");
        let id = ada.get("hyaline.room.id");
        assert_eq!(ada.get("new Set(credentials).size"), json!(1), "{kind}");

        far.swallow_arriving_udp().unwrap();
        // What it does stays to be seen; its state `disconnected` passes within milliseconds, as it restarts at once.
        ada.wait("new Set(credentials).size > 1", SOON);
        far.let_through().unwrap();
        ada.wait("document.body.dataset.path === 'connected'", SOON);
        ada.wait_to_see_and_hear("Bob");
        bob.wait_to_see_and_hear("Ada");
        assert_eq!(ada.get("hyaline.room.id"), id, "{kind}: Ada has never left");
        assert_eq!(bob.others(), json!(["Ada"]), "{kind}");
    }
}

/// The network of both browsers lets no UDP through, in either direction: all that they see and hear goes by TCP.
#[test]
fn who_has_no_udp_is_reached_by_tcp() {
    let (arena, far) = Arena::with_neighbour();
    far.swallow_udp().unwrap();
    let guests = BOTH.map(|kind| arena.join_from(&far, kind, &kind.to_string(), ""));
    for (guest, other) in [(&guests[0], &guests[1]), (&guests[1], &guests[0])] {
        guest.wait_to_see_and_hear(&other.name);
    }
    let metrics = arena.metrics();
    assert!(metrics["hyaline_tcp_connections_accepted_total"] >= 2.0, "{metrics:?}");
    assert!(metrics["hyaline_tcp_received_frames_total"] > 0.0, "{metrics:?}");
    assert!(metrics["hyaline_tcp_sent_frames_total"] > 0.0, "{metrics:?}");
    assert_eq!(metrics["hyaline_udp_received_datagrams_total"], 0.0);
    assert_eq!(metrics["hyaline_tcp_bad_length_total"], 0.0);
}
