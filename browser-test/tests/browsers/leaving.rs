use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use browser_test::{Browser, Kind, Namespace, Options};
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
        let begin = Instant::now();
        ada.page.click("#leave-call").unwrap();
        bob.wait(GONE, SOON);
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(1), "{kind}: gone after {took:?}");
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
    let (here, there) = (Ipv4Addr::new(10, 55, 1, 1), Ipv4Addr::new(10, 55, 1, 2));
    for kind in BOTH {
        let network = Namespace::new().unwrap();
        let far = Namespace::new().unwrap();
        network.join(here, &far, there, "j0").unwrap();
        let arena = Arena::with(network, |options| {
            options.http = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            options.open = true;
            options.announce = vec![IpAddr::V4(here)];
        });
        let bob = arena.join(Kind::Chromium, "Bob");
        let origin = format!("http://{here}:{}", arena.server.http_addr().port());
        let options = Options {
            secure_origin: Some(origin.clone()),
            ..Options::within(&far)
        };
        let browser = Browser::launch(kind, &options).unwrap_or_else(|error| panic!("{error}"));
        let page = browser.open(&format!("{origin}/r/tea?name=Ada&join=1")).unwrap();
        let ada = Guest {
            name: "Ada".into(),
            page,
            browser,
        };
        ada.wait("document.body.dataset.path === 'connected'", SOON);
        bob.wait_to_see_and_hear("Ada");

        far.swallow_udp().unwrap();
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
