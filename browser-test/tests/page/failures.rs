use std::time::Duration;

use browser_test::{Devices, Kind, Options};
use serde_json::json;

use crate::stage::Stage;
use crate::{Scene, nobody, people};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];
const JOINED: &str = "document.body.dataset.path === 'connected'";
const ENDED: &str = "!document.querySelector('#end').hidden";
const REASON: &str = "document.querySelector('#end-reason').textContent";

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
        scene.get("fake.send({ type: 'bye', reason: 'slow-reader', message: 'Your connection is too slow.' })");
        scene.wait("document.querySelector('#end-reason').textContent === 'Your connection is too slow.'");
        // It does not come back by itself.
        assert_eq!(
            scene.get("[hyaline.room.state, fake.sockets]"),
            json!(["left", 1]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn a_websocket_that_does_not_open_is_explained() {
    for (plain, words) in [
        (
            json!({ "status": 426, "code": "websocket-only" }),
            "a WebSocket to it does not open",
        ),
        (
            json!({ "status": 426, "code": "websocket-only", "host": "proxied.example" }),
            "since it is asked as proxied.example. Whoever runs it can start it with --allow-origin http://127.0.0.1",
        ),
        (
            json!({ "status": 429, "code": "rate-limited", "detail": "There were too many requests: wait a few seconds." }),
            "refused the connection (429): There were too many requests: wait a few seconds.",
        ),
    ] {
        let scenario = json!({ "noWebSocket": true, "plain": plain });
        let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &scenario);
        scene.wait(ENDED);
        let reason = scene.get(REASON);
        assert!(reason.as_str().unwrap().contains(words), "{reason}");
    }
}

#[test]
fn who_is_offline_is_told_only_that() {
    let offline = "Object.defineProperty(navigator, 'onLine', { get: () => false })";
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada", &nobody());
    scene.get(&format!("void {offline}"));
    scene.get("void (fake.unreachable = true)");
    scene.page.click("#join .primary").unwrap();
    scene.wait(ENDED);
    assert_eq!(
        scene.get(REASON),
        json!("This device is offline: connect it to a network.")
    );
}

/// A network that is away for longer than the server waits for media, while the WebSocket survives it.
#[test]
fn who_was_given_up_comes_back() {
    for kind in BOTH {
        for reason in ["silent", "failed"] {
            let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob"]));
            scene.wait(JOINED);
            scene.get(&format!(
                "fake.send({{ type: 'bye', reason: {reason:?}, message: 'Nothing was heard from you.' }})"
            ));
            scene.wait("hyaline.room.state === 'returning'");
            scene.pass(Duration::from_secs(5));
            scene.wait("fake.sent('join').length === 2 && hyaline.room.state === 'joined'");
            scene.wait(JOINED);
            scene.assert_quiet();
        }
    }
}

#[test]
fn who_is_given_up_again_and_again_is_told_so() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        scene.get("void (fake.bye = { reason: 'failed', message: 'The media connection failed.' })");
        // The pauses are of many seconds, and grow.
        scene.get("void (fake.pauses = [])");
        scene.get(
            "void (real => {
                setTimeout = (f, ms, ...rest) => {
                    if (![5_000, 15_000, 30_000].includes(ms)) return real(f, ms, ...rest);
                    fake.pauses.push(ms);
                    return real(f, 0, ...rest);
                };
            })(setTimeout)",
        );
        scene.get("fake.send({ type: 'bye', ...fake.bye })");
        scene.wait(ENDED);
        assert_eq!(
            scene.get(&format!("[{REASON}, fake.sent('join').length, fake.pauses]")),
            json!(["The media connection failed.", 4, [5000, 15000, 30000]]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

/// The room holds a place for who has lost the network until it has heard nothing for long enough, and may be full by
/// that.
#[test]
fn a_room_that_is_full_of_ones_own_ghost_is_waited_for() {
    for kind in BOTH {
        for code in ["full", "busy", "stopped", "rate-limited"] {
            let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob"]));
            scene.wait(JOINED);
            scene.get(&format!(
                "void (fake.refuse = {{ code: {code:?}, message: 'The room is full.' }}, fake.drop())"
            ));
            scene.pass(Duration::from_secs(5));
            scene.wait("fake.sent('join').length >= 3 && hyaline.room.state === 'returning'");
            assert_eq!(scene.get("document.querySelector('#alone').hidden"), json!(true));
            scene.get("void (fake.refuse = null)");
            scene.pass(Duration::from_secs(8));
            scene.wait(&format!("hyaline.room.state === 'joined' && {JOINED}"));
        }
    }
}

#[test]
fn a_room_that_stays_full_is_not_waited_for_for_ever() {
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &nobody());
    scene.wait(JOINED);
    scene.get("void (fake.refuse = { code: 'full', message: 'The room is full.' }, fake.drop())");
    scene.wait("fake.sent('join').length >= 3 && hyaline.room.state === 'returning'");
    scene.get("void (now => { performance.now = () => now() + 50_000; })(performance.now.bind(performance))");
    scene.wait(ENDED);
    assert_eq!(scene.get(REASON), json!("The room is full."));
}

#[test]
fn an_offer_that_fails_is_made_anew() {
    let busy = json!({ "code": "busy", "message": "Try again in a few seconds." });
    for kind in BOTH {
        for (fate, offers) in [(busy.clone(), 2), (json!("silence"), 2), (json!("stale"), 1)] {
            let scenario = json!({ "people": [{ "name": "Bob" }], "offers": [fate] });
            let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &scenario);
            scene.wait("fake.sent('offer').length > 0");
            scene.pass(Duration::from_secs(12));
            scene.wait(JOINED);
            assert_eq!(scene.get("fake.sent('offer').length"), json!(offers), "{kind} {fate}");
            assert_eq!(scene.get("fake.sockets"), json!(1), "{kind} {fate}");
            // The sections are the same, whatever the server may know of them.
            let mids = "(sdp => [...sdp.matchAll(/^a=mid:(.*)$/gm)].map(([, mid]) => mid).join())";
            assert_eq!(
                scene.get(&format!(
                    "{mids}(fake.sent('offer')[0].sdp) === {mids}(fake.sent('offer').at(-1).sdp)"
                )),
                json!(true),
                "{kind} {fate}"
            );
            scene.assert_quiet();
        }
    }
}

#[test]
fn what_was_wanted_during_a_failed_offer_is_not_forgotten() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        scene.get("void fake.offers.push({ code: 'offer-refused', message: 'Line 7.' })");
        scene.get("fake.send({ type: 'need', audio: 5, video: 5 })");
        scene.get("fake.send({ type: 'need', audio: 9, video: 9 })");
        scene.wait("document.querySelector('[data-code=offer-refused]')?.textContent === 'Line 7.'");
        scene.pass(Duration::from_secs(2));
        scene.wait("fake.slots.length === 24");
        assert_eq!(scene.get("fake.overlapping"), json!(0), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn offers_that_are_always_refused_end_the_call() {
    let refusal = json!({ "code": "offer-refused", "message": "The offer cannot be accepted: line 7." });
    for kind in BOTH {
        let scenario = json!({ "offers": [refusal, refusal, refusal] });
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &scenario);
        scene.wait("fake.sent('offer').length > 0");
        scene.pass(Duration::from_secs(4));
        scene.wait(ENDED);
        assert_eq!(
            scene.get(&format!("[{REASON}, fake.sent('offer').length, fake.sockets]")),
            json!(["The offer cannot be accepted: line 7.", 3, 1]),
            "{kind}"
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
            let options = Options {
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
    for kind in BOTH {
        let scene = Scene::open_at("10.66.0.2", Stage::kept(kind), "/r/kitchen", &nobody());
        let hint = "document.querySelector('#device-hint').textContent";
        scene.wait(&format!("{hint}.includes('only on secure pages')"));
    }
}
