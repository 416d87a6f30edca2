use browser_test::{Devices, Kind, Options};
use serde_json::json;

use crate::{Scene, nobody};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];

#[test]
fn a_refused_join_shows_the_servers_words() {
    let refusal = json!({ "refuse": { "code": "room-full", "message": "The room is full: 4 people are in it. Try again when somebody has left." } });
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &refusal);
        scene.wait("!document.querySelector('#end').hidden");
        assert_eq!(
            scene.get("document.querySelector('#end-reason').textContent"),
            refusal["refuse"]["message"],
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &json!({ "unreachable": true }));
        scene.wait("!document.querySelector('#end').hidden");
        let reason = scene.get("document.querySelector('#end-reason').textContent");
        let host = scene.get("location.host");
        assert!(
            reason
                .as_str()
                .unwrap()
                .contains(&format!("The server at {} does not answer", host.as_str().unwrap())),
            "{reason}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn a_goodbye_of_the_server_is_shown_and_final() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait("document.body.dataset.path === 'connected'");
        scene.get("fake.send({ type: 'bye', reason: 'timeout', message: 'Nothing was heard from you for 15 s.' })");
        scene.wait("document.querySelector('#end-reason').textContent === 'Nothing was heard from you for 15 s.'");
        scene.get("new Promise(done => setTimeout(done, 500))");
        assert_eq!(
            scene.get("fake.sockets"),
            json!(1),
            "{kind}: it does not come back by itself"
        );
        scene.assert_quiet();
    }
}

#[test]
fn an_error_in_the_call_is_a_notice() {
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &nobody());
    scene.wait("document.body.dataset.path === 'connected'");
    scene.get("fake.send({ type: 'error', code: 'bad-source', message: 'There is no section 99.', re: 'mute' })");
    scene.wait("document.querySelector('[data-code=bad-source]')?.textContent === 'There is no section 99.'");
    scene.assert_quiet();
}

#[test]
fn without_devices_one_can_still_join_and_is_told_why() {
    for kind in BOTH {
        for (devices, words) in [
            (Devices::Denied, "may not use the camera"),
            (Devices::None, "The camera was not found"),
        ] {
            let options = move |_: &str| Options {
                devices,
                ..Options::default()
            };
            let scene = Scene::open_with(kind, "/r/kitchen", &nobody(), &options);
            scene.wait(&format!(
                "document.querySelector('#device-hint').textContent.includes({words:?})"
            ));
            scene.get("void (document.querySelector('#name').value = 'Ada')");
            scene.page.click("#join .primary").unwrap();
            scene.wait("document.body.dataset.path === 'connected'");
            let muted = scene.get("fake.sent('sources')[0].sources.map(source => source.muted)");
            assert_eq!(muted, json!([true, true]), "{kind} {devices:?}");
            // Asking again in the call fails again, and says so.
            scene.page.click("#call [data-device=camera]").unwrap();
            scene.wait(&format!(
                "document.querySelector('#notices').textContent.includes({words:?})"
            ));
            scene.assert_quiet();
        }
    }
}

#[test]
fn an_insecure_page_says_that_it_is_one() {
    use std::net::Ipv4Addr;

    use browser_test::{Browser, Namespace};

    use crate::fake_server;
    use crate::site::Site;

    let namespace = Namespace::with_address(Ipv4Addr::new(10, 66, 0, 2)).unwrap();
    let site = Site::serve(&namespace, "10.66.0.2");
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser
            .open_with(&format!("{}/r/kitchen", site.origin), &fake_server(&nobody()))
            .unwrap();
        let hint = "document.querySelector('#device-hint').textContent";
        page.wait_for(&format!("{hint}.includes('only on secure pages')"), crate::SOON)
            .unwrap();
        browser.close().unwrap();
    }
}
