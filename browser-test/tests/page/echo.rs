use std::time::Duration;

use browser_test::{Devices, Kind, Options};
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

/// The person presses Stop before answering the browser's question.
#[test]
fn stop_during_the_question_opens_nothing() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/echo?start=1", &json!({ "holdDevices": true }));
        scene.wait("fake.asked.length === 1");
        scene.page.click("#start").unwrap();
        scene.get("fake.allow()");
        scene.wait("fake.given.length === 2 && fake.given.every(track => track.readyState === 'ended')");
        assert_eq!(
            scene.get("[document.querySelector('#sent').srcObject, fake.received.length, document.querySelector('#start').textContent]"),
            json!([null, 0, "Start the test"]),
            "{kind}"
        );
        assert_eq!(
            scene.get("[...document.querySelectorAll('[data-check]')].map(line => line.dataset.state)"),
            json!(["wait", "wait", "wait", "wait"]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn stop_while_the_server_answers_ends_its_session_too() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/echo?start=1", &json!({ "holdEcho": true }));
        scene.wait("!!fake.answerEcho");
        scene.page.click("#start").unwrap();
        scene.get("fake.answerEcho()");
        scene.wait("fake.received.at(-1).type === 'echo-end'");
        assert_eq!(
            scene.get("document.querySelector('[data-check=server]').dataset.state"),
            json!("wait"),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn hearing_oneself_ends_with_the_test() {
    let scene = Scene::open(Kind::Chromium, "/echo?start=1", &nobody());
    let muted = "document.querySelector('#returned').muted";
    scene.wait("!document.querySelector('#listen').hidden");
    scene.page.click("#listen").unwrap();
    scene.wait(&format!("!{muted}"));
    scene.page.click("#start").unwrap();
    scene.page.click("#start").unwrap();
    scene.wait("!document.querySelector('#listen').hidden");
    assert_eq!(
        scene.get(&format!("[{muted}, document.querySelector('#listen').textContent]")),
        json!([true, "Hear myself (use headphones)"])
    );
}

#[test]
fn what_does_not_come_back_is_bad() {
    let state =
        |name: &str, state: &str| format!("document.querySelector('[data-check={name}]').dataset.state === '{state}'");
    for kind in BOTH {
        let scene = Scene::open(kind, "/echo?start=1", &json!({ "mute": true }));
        scene.wait(&state("connection", "good"));
        scene.pass(Duration::from_secs(12));
        scene.wait(&state("picture", "bad"));
        let words = scene.get("document.querySelector('[data-check=picture] .hint').textContent");
        assert!(
            words
                .as_str()
                .unwrap()
                .starts_with("Your picture and your sound did not come back"),
            "{kind}: {words}"
        );

        drop(scene);

        let none = Options {
            devices: Devices::None,
            ..Options::default()
        };
        let scene = Scene::open_with(kind, "/echo?start=1", &nobody(), &none);
        scene.wait(&state("connection", "good"));
        scene.pass(Duration::from_secs(12));
        scene.wait(&state("picture", "bad"));
        assert_eq!(
            scene.get("document.querySelector('[data-check=picture] .hint').textContent"),
            json!("Neither a camera nor a microphone is open, so nothing can come back."),
            "{kind}"
        );
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
