use std::time::Duration;

use browser_test::Kind;
use serde_json::json;

use crate::{Scene, nobody, people};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];
const JOINED: &str = "document.body.dataset.path === 'connected'";
const INTERRUPTED: &str = "document.querySelector('[data-code=interrupted]')?.textContent";

/// Frames of Bob's picture so far.
const FRAMES: &str = "(async () => {
    const [track] = document.querySelector('video[data-participant=Bob]').srcObject.getVideoTracks();
    const stats = [...(await hyaline.room.getStats()).values()];
    return stats.find(entry => entry.trackIdentifier === track.id)?.framesDecoded ?? 0;
})()";

fn with_bob(kind: Kind) -> Scene {
    let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob"]));
    scene.wait(JOINED);
    scene.wait(&format!("(frames => frames > 5)(await {FRAMES})"));
    scene.get(
        "void (globalThis.states = [], hyaline.room.addEventListener('state', ({ detail }) => states.push(detail)))",
    );
    scene
}

#[test]
fn a_cut_websocket_is_resumed_while_media_goes_on() {
    for kind in BOTH {
        let scene = with_bob(kind);
        scene.get("void (fake.noWebSocket = true, fake.cut())");
        scene.wait(&format!(
            "{INTERRUPTED} === 'The connection for messages was interrupted; sound and picture go on.'"
        ));
        // Meanwhile: pictures move, and things happen on both ends.
        let frames = scene.get(FRAMES).as_u64().unwrap();
        scene.wait(&format!("(frames => frames > {frames} + 10)(await {FRAMES})"));
        scene.page.press("m").unwrap();
        scene.get("void (fake.socket = null, fake.arrive({ name: 'Cleo' }))");
        scene.get("void (fake.received.length = 0, fake.noWebSocket = false)");
        scene.wait("hyaline.room.participants.size === 2");
        scene.wait(&format!("{INTERRUPTED} === undefined"));
        assert_eq!(
            scene.get("fake.received.find(({ type }) => type !== 'view')"),
            json!({ "type": "resume", "session": "session-1" })
        );
        scene.wait("fake.sent('mute')[0].muted && fake.sent('view').length > 0");
        // Nobody left, nothing was negotiated, and the next time it is the new session that is resumed.
        assert_eq!(
            scene.get("[states, fake.sent('offer').length, fake.sent('join').length]"),
            json!([[], 0, 0]),
            "{kind}"
        );
        scene.get("void fake.cut()");
        scene.wait("fake.sent('resume').at(-1).session === 'session-2' && fake.sessions === 3");
        scene.assert_quiet();
    }
}

/// A network that swallows everything lets a dial neither succeed nor fail, for a minute and more.
#[test]
fn a_dial_that_nobody_answers_is_given_up() {
    let scene = with_bob(Kind::Chromium);
    scene.get("void (fake.silent = true, fake.cut())");
    scene.wait("fake.swallowed > 0 && !(fake.silent = false)");
    scene.pass(Duration::from_secs(5));
    scene.wait("fake.sessions === 2 && !hyaline.room.interrupted");
    assert_eq!(scene.get("[states, fake.sockets - fake.swallowed]"), json!([[], 2]));
    scene.assert_quiet();
}

#[test]
fn a_network_that_comes_back_is_used_at_once() {
    for kind in BOTH {
        let scene = with_bob(kind);
        // The pause before the next dial never ends.
        scene.get(
            "void (real => { setTimeout = (f, ms, ...rest) => (ms === 300 ? 0 : real(f, ms, ...rest)); })(setTimeout)",
        );
        scene.get("void (fake.noWebSocket = true, fake.cut())");
        scene.wait("fake.sockets === 2");
        scene.wait(&format!("{INTERRUPTED} !== undefined"));
        scene.get("void (fake.noWebSocket = false, dispatchEvent(new Event('online')))");
        scene.wait("fake.sessions === 2 && !hyaline.room.interrupted");
        assert_eq!(scene.get("[states, fake.sockets]"), json!([[], 3]), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn an_offer_without_an_answer_is_made_again() {
    for kind in BOTH {
        let scene = with_bob(kind);
        scene.get("void fake.offers.push('silence')");
        scene.get("fake.send({ type: 'need', audio: 5, video: 5 })");
        scene.wait("fake.sent('offer').length === 2 && fake.offers.length === 0");
        // What the silent server did with it has to be done.
        scene.rest();
        scene.get("void fake.cut()");
        scene.wait("fake.sent('offer').length === 3 && fake.slots.length === 16");
        let ids = scene.get("fake.sent('offer').map(({ id }) => id)");
        assert_eq!(ids, json!([1, 2, 3]), "{kind}");
        scene.get("fake.send({ type: 'need', audio: 9, video: 9 })");
        scene.wait("fake.slots.length === 24");
        assert_eq!(
            scene.get("document.querySelectorAll('.notice').length"),
            json!(0),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn a_session_that_nobody_knows_is_joined_anew_on_the_same_line() {
    for kind in BOTH {
        let scene = with_bob(kind);
        scene.get("void (fake.received.length = 0, fake.cut(), fake.kept.session = 'another')");
        scene.wait("fake.sent('join').length === 1 && hyaline.room.state === 'joined'");
        scene.wait(&format!("(frames => frames > 5)(await {FRAMES})"));
        assert_eq!(
            scene.get("[fake.received.slice(0, 2).map(({ type }) => type), fake.sockets]"),
            json!([["resume", "join"], 2]),
            "{kind}"
        );
        assert_eq!(
            scene.get("document.querySelectorAll('.notice').length"),
            json!(0),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn a_decision_of_others_is_final_and_said_so() {
    for (reason, title) in [
        ("kicked", "You were removed from the room"),
        ("room-closed", "The room was closed"),
        ("replaced", "The call goes on elsewhere"),
        ("full", "The room is full"),
    ] {
        let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        scene.get(&format!(
            "fake.send({{ type: 'bye', reason: {reason:?}, message: 'Somebody decided it.' }})"
        ));
        scene.wait("!document.querySelector('#end').hidden");
        assert_eq!(
            scene.get("['title', 'reason'].map(part => document.querySelector(`#end-${part}`).textContent)"),
            json!([title, "Somebody decided it."])
        );
        // It does not come back by itself.
        scene.pass(Duration::from_secs(60));
        assert_eq!(
            scene.get("[hyaline.room.state, fake.sockets]"),
            json!(["left", 1]),
            "{reason}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn a_link_that_loses_too_much_is_told() {
    let scene = with_bob(Kind::Chromium);
    let notice = "document.querySelector('[data-code=link]')?.textContent";
    let sign = "document.querySelector('#tiles .sign').textContent";
    // Nothing more comes, for certain.
    scene.get("fake.freeze(true)");
    scene.wait(&format!("{sign}.startsWith('Picture frozen')"));
    scene.get("fake.send({ type: 'link', state: 'audio-only', trouble: 'loss', loss: 0.2 })");
    scene.get("void (globalThis.mid = fake.slots.find(({ kind }) => kind === 'video').mid)");
    scene.get("fake.send({ type: 'layer', mid, rid: null, paused: 'loss' })");
    scene.wait(&format!(
        "{notice} === 'Your connection loses too much: sound only for now. The picture is tried again in some seconds.'"
    ));
    scene.wait(&format!("{sign} === 'Picture paused: your connection loses too much'"));
    // The figures, which come each second, do not call it frozen.
    scene.pass(Duration::from_secs(300));
    assert_eq!(scene.get(sign), json!("Picture paused: your connection loses too much"));
    // Nor is what stands still after that taken for frozen since before.
    scene.get("fake.send({ type: 'layer', mid, rid: 'h', paused: null })");
    let frozen = scene.wait(&format!(
        "{sign}.match(/^Picture frozen: nothing new came for (\\d+) s$/)?.[1]"
    ));
    assert!(frozen.as_str().unwrap().parse::<u32>().unwrap() < 60, "{frozen}");
    scene.get("fake.freeze(false)");
    scene.get("fake.send({ type: 'link', state: 'good', trouble: null, loss: 0 })");
    scene.wait(&format!("{notice} === undefined && {sign} === ''"));
    // It was about what the section carried.
    scene.get("fake.send({ type: 'layer', mid, rid: null, paused: 'loss' })");
    scene.wait(&format!("{sign} !== ''"));
    scene.get("void fake.depart('Bob')");
    scene.get("void fake.arrive({ name: 'Cleo' })");
    scene.wait(&format!(
        "document.querySelector('video[data-participant=Cleo]') && {sign} === ''"
    ));
    scene.assert_quiet();
}

#[test]
fn being_seconds_behind_is_told() {
    let scene = with_bob(Kind::Chromium);
    let notice = "document.querySelector('[data-code=link]')?.textContent";
    let sign = "document.querySelector('#tiles .sign').textContent";
    scene.get("void (globalThis.mid = fake.slots.find(({ kind }) => kind === 'video').mid)");
    scene.get("fake.send({ type: 'link', state: 'audio-only', trouble: 'late', loss: 0 })");
    scene.get("fake.send({ type: 'layer', mid, rid: null, paused: 'late' })");
    scene.wait(&format!(
        "{notice} === 'Your connection or this device is seconds behind: sound only until it keeps up.'"
    ));
    scene.wait(&format!(
        "{sign} === 'Picture paused: your connection or this device is seconds behind'"
    ));
    scene.get("fake.send({ type: 'layer', mid, rid: 'h', paused: null })");
    scene.get("fake.send({ type: 'link', state: 'good', trouble: null, loss: 0 })");
    scene.wait(&format!("{notice} === undefined && {sign} === ''"));
    scene.assert_quiet();
}

/// What is over is not told to who was away.
#[test]
fn what_ended_while_the_line_was_cut_is_shown_no_longer() {
    for kind in BOTH {
        let scene = with_bob(kind);
        let shown = "['[data-code=link]', '#tiles .sign', '#tiles .veil'].map(part => document.querySelector(part)?.textContent ?? '')";
        scene.get(
            "(fake.send({ type: 'link', state: 'audio-only', trouble: 'loss', loss: 0.2 }),
              fake.send({ type: 'layer', mid: fake.slots.find(({ kind }) => kind === 'video').mid, rid: null, paused: 'loss' }),
              fake.send({ type: 'undecodable', participant: '1', source: '1-camera' }),
              fake.send({ type: 'connection', participant: '1', state: 'disconnected' }))",
        );
        scene.wait(&format!("{shown}.every(text => text)"));
        scene.get("void (fake.noWebSocket = true, fake.cut())");
        scene.wait(&format!("{INTERRUPTED} !== undefined"));
        scene.get("void (fake.noWebSocket = false)");
        scene.wait(&format!("{INTERRUPTED} === undefined && {shown}.every(text => !text)"));
        assert_eq!(
            scene.get(
                "(bob => [bob.connection, bob.undecodable.size, bob.layers])([...hyaline.room.participants.values()][0])"
            ),
            json!(["connected", 0, {}]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn who_joins_anew_has_a_new_link() {
    let scene = with_bob(Kind::Chromium);
    let shown = "[!!document.querySelector('[data-code=link]'), document.querySelector('#own').classList.contains('speaking')].join()";
    scene.get(
        "(fake.send({ type: 'link', state: 'audio-only', trouble: 'loss', loss: 0.2 }),
          fake.send({ type: 'speakers', dominant: 'me', speaking: ['me'] }))",
    );
    scene.wait(&format!("{shown} === 'true,true'"));
    scene.get("void fake.drop()");
    scene.wait(&format!(
        "fake.sent('join').length === 2 && hyaline.room.state === 'joined' && {shown} === 'false,false'"
    ));
    scene.assert_quiet();
}
