use std::net::{Ipv4Addr, SocketAddr};

use browser_test::{Browser, Kind, Namespace, Options};
use hyaline_server::Tls;
use serde_json::json;

use crate::BOTH;
use crate::arena::{Arena, Guest};

fn call(first: Kind, second: Kind) {
    let arena = Arena::new();
    let ada = arena.join(first, "Ada");
    let bob = arena.join(second, "Bob");
    ada.wait_to_see_and_hear("Bob");
    bob.wait_to_see_and_hear("Ada");
    assert_eq!((ada.others(), bob.others()), (json!(["Bob"]), json!(["Ada"])));
    ada.assert_quiet();
    bob.assert_quiet();
}

#[test]
fn chromium_and_chromium() {
    call(Kind::Chromium, Kind::Chromium);
}

#[test]
fn firefox_and_firefox() {
    call(Kind::Firefox, Kind::Firefox);
}

#[test]
fn chromium_and_firefox() {
    call(Kind::Chromium, Kind::Firefox);
}

#[test]
fn a_room_of_four() {
    let arena = Arena::new();
    let guests = [
        ("Ada", Kind::Chromium),
        ("Bob", Kind::Firefox),
        ("Cleo", Kind::Chromium),
        ("Dan", Kind::Chromium),
    ]
    .map(|(name, kind)| arena.join(kind, name));
    for guest in &guests {
        for other in guests.iter().filter(|other| other.name != guest.name) {
            guest.wait_to_see_and_hear(&other.name);
        }
    }
}

#[test]
fn rooms_do_not_see_each_other() {
    let arena = Arena::new();
    let ada = arena.join(Kind::Chromium, "Ada");
    // In a browser of her own: behind her tab Ada's would be hidden, and get no pictures.
    let eve = arena.launch(Kind::Chromium);
    let page = eve.open(&arena.url("/r/coffee?name=Eve&join=1")).unwrap();
    page.wait_for("document.body.dataset.path === 'connected'", crate::SOON)
        .unwrap();
    let bob = arena.join(Kind::Chromium, "Bob");
    ada.wait_to_see_and_hear("Bob");
    assert_eq!(bob.others(), json!(["Ada"]));
    assert_eq!(page.evaluate(crate::arena::OTHERS).unwrap(), json!([]));
}

#[test]
fn muting_reaches_the_others() {
    let arena = Arena::new();
    let ada = arena.join(Kind::Chromium, "Ada");
    let bob = arena.join(Kind::Firefox, "Bob");
    bob.wait_to_see_and_hear("Ada");
    let label = "document.querySelector('video[data-participant=Ada]').closest('li').getAttribute('aria-label')";
    ada.page.press("m").unwrap();
    bob.wait(&format!("{label} === 'Ada, microphone off'"), crate::SOON);
    ada.page.press("v").unwrap();
    bob.wait(&format!("{label} === 'Ada, microphone off, camera off'"), crate::SOON);
    ada.page.press("m").unwrap();
    ada.page.press("v").unwrap();
    bob.wait(&format!("{label} === 'Ada'"), crate::SOON);
    bob.wait_to_see_and_hear("Ada");
}

/// Notes when the page has a connection.
const CONNECTED: &str = "new MutationObserver(() => {
    if (document.body?.dataset.path === 'connected' && hyaline.room.state === 'joined') globalThis.connected ??= Date.now();
}).observe(document, { attributes: true, subtree: true, attributeFilter: ['data-path'] });";

#[test]
fn a_reloaded_page_is_back_within_two_seconds() {
    for kind in BOTH {
        let arena = Arena::new();
        let ada = Guest::join(arena.launch(kind), &arena.url(""), "Ada", CONNECTED);
        let bob = arena.join(Kind::Chromium, "Bob");
        bob.wait_to_see_and_hear("Ada");
        // By the page's own clock, from its end to the connection of the one after it: drivers take their time.
        ada.get("void addEventListener('pagehide', () => sessionStorage.setItem('left', Date.now()))");
        ada.page.reload().unwrap();
        ada.wait(
            "document.readyState === 'complete' && sessionStorage.getItem('left') && Boolean(globalThis.connected)",
            crate::SOON,
        );
        let took = ada.get("connected - sessionStorage.getItem('left')").as_f64().unwrap();
        println!("{kind}: back after {took} ms");
        assert!((0.0..2000.0).contains(&took), "{kind}: back after {took} ms");
        ada.wait_to_see_and_hear("Bob");
        bob.wait_to_see_and_hear("Ada");
        assert_eq!(bob.others(), json!(["Ada"]), "{kind}: only once");
    }
}

/// As on a machine that others reach: every address, `--open --tls-self-signed`.
#[test]
fn over_tls_with_a_certificate_that_the_person_accepts() {
    let address = Ipv4Addr::new(10, 55, 0, 2);
    let arena = Arena::with(Namespace::with_address(address).unwrap(), |options| {
        options.http = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        options.open = true;
        options.tls = Some(Tls::SelfSigned);
    });
    let origin = format!("https://{address}:{}", arena.server.http_addr().port());
    let guests = [("Ada", Kind::Chromium), ("Bob", Kind::Firefox)].map(|(name, kind)| {
        let options = Options {
            // The driver's Firefox accepts any certificate.
            flags: vec!["--ignore-certificate-errors".into()],
            ..Options::within(&arena.network)
        };
        let browser = Browser::launch(kind, &options).unwrap_or_else(|error| panic!("{error}"));
        Guest::join(browser, &origin, name, "")
    });
    guests[0].wait_to_see_and_hear("Bob");
    guests[1].wait_to_see_and_hear("Ada");
    for guest in &guests {
        assert_eq!(guest.get("isSecureContext"), json!(true), "{}", guest.name);
        guest.assert_quiet();
    }
}
