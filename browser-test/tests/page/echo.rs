use browser_test::Kind;
use serde_json::json;

use crate::{Scene, nobody};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];

#[test]
fn the_echo_test_goes_through_all_its_steps() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/echo?start=1", &nobody());
        scene.wait("[...document.querySelectorAll('[data-check]')].every(line => line.dataset.state === 'good')");
        let offer = scene.get("fake.sent('echo')[0]");
        assert_eq!(offer["contentType"], "application/sdp");
        assert!(
            offer["sdp"].as_str().unwrap().contains("a=candidate:"),
            "{kind}: the offer is complete"
        );
        scene.wait("document.querySelector('#figures').textContent.includes('bit/s')");
        let names = scene.wait("(names => names.includes('Round trip') && names)([...document.querySelectorAll('dt')].map(term => term.textContent))");
        for name in ["Picture sent", "Picture come back", "Lost on the way", "Path"] {
            assert!(names.as_array().unwrap().contains(&json!(name)), "{kind}: {names}");
        }
        scene.page.click("#start").unwrap();
        scene.wait("fake.received.at(-1).type === 'echo-end'");
        scene.assert_quiet();
    }
}

#[test]
fn a_refused_offer_is_explained_on_its_line() {
    let refusal = json!({ "refuse": { "message": "line 7: a=fingerprint is missing" } });
    for kind in BOTH {
        let scene = Scene::open(kind, "/echo?start=1", &refusal);
        scene.wait("document.querySelector('[data-check=server]').dataset.state === 'bad'");
        let words = scene.get("document.querySelector('[data-check=server] .hint').textContent");
        assert!(
            words.as_str().unwrap().contains("line 7: a=fingerprint is missing"),
            "{kind}: {words}"
        );
        assert_eq!(
            scene.get("document.querySelector('#start').textContent"),
            json!("Start the test")
        );
    }
}
