use browser_test::{Kind, Viewport};
use serde_json::json;

use crate::{Scene, nobody};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];
const JOINED: &str = "document.body.dataset.path === 'connected'";

/// Two devices of each kind, named so, of which getUserMedia says what it was asked for in `asked`.
const DEVICES: &str = "void (() => {
    const media = navigator.mediaDevices;
    globalThis.there = ['one', 'two'];
    media.enumerateDevices = async () => ['audioinput', 'videoinput', 'audiooutput'].flatMap(kind =>
        there.map(deviceId => ({ kind, deviceId, label: `${kind} ${deviceId}` })));
    globalThis.asked = [];
    const real = media.getUserMedia.bind(media);
    media.getUserMedia = async constraints => {
        asked.push(['audio', 'video'].map(kind => constraints[kind]?.deviceId?.ideal ?? (constraints[kind] ? '' : null)));
        const named = kind => constraints[kind] && { ...constraints[kind], deviceId: undefined };
        return real({ audio: named('audio'), video: named('video') });
    };
    media.dispatchEvent(new Event('devicechange'));
})()";

fn choose(scene: &Scene, place: &str, what: &str, id: &str) {
    scene.get(&format!(
        "void (list => {{ list.value = '{id}'; list.dispatchEvent(new Event('change')); }})(document.querySelector('{place} [data-choice={what}]'))"
    ));
}

/// Who clicks as soon as the page is there clicks when the devices come.
#[test]
fn the_button_to_join_stands_still_while_the_devices_come() {
    let shown =
        "[...document.querySelectorAll('#lobby [data-choice]')].filter(list => !list.closest('label').hidden).length";
    let place = "(({ x, y }) => [x, y])(document.querySelector('#join .primary').getBoundingClientRect())";
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada", &nobody());
        // High enough for all: bars to scroll take some of the width.
        let phone = Viewport {
            height: 1_000,
            ..Viewport::PHONE
        };
        for viewport in [Viewport::DESKTOP, phone] {
            scene.show_in(viewport);
            scene.get("void (navigator.mediaDevices.enumerateDevices = async () => [], navigator.mediaDevices.dispatchEvent(new Event('devicechange')))");
            scene.wait(&format!("{shown} === 0"));
            let before = scene.get(place);
            scene.get(DEVICES);
            scene.get("void hyaline.devices.dispatchEvent(new CustomEvent('problem', { detail: { code: 'camera-busy', message: 'Another program has the camera.' } }))");
            scene.wait(&format!("{shown} === 3"));
            assert_eq!(scene.get(place), before, "{kind} {viewport:?}");
        }
    }
}

/// The other device comes as the person wants it by then, not as the former one was.
#[test]
fn a_device_is_switched_off_while_it_is_changed() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada", &nobody());
        scene.wait("hyaline.devices.camera && hyaline.devices.microphone");
        scene.get("void fake.holdDevices()");
        for what in ["microphone", "camera"] {
            let button = format!("#lobby [data-device={what}]");
            scene.get("void (fake.given.length = 0)");
            scene.get(&format!("void hyaline.devices.choose('{what}', 'another')"));
            scene.wait("fake.asked.length === 1");
            scene.page.click(&button).unwrap();
            let state = format!("[hyaline.devices.on.{what}, document.querySelector('{button}').ariaPressed]");
            assert_eq!(scene.get(&state), json!([false, "false"]), "{kind} {what}");
            scene.get("void fake.allow()");
            scene.wait("fake.given.length === 1");
            // Speech is silent, and the camera's light is out.
            scene.wait("fake.given[0].kind === 'audio' ? hyaline.devices.microphone === fake.given[0] && !fake.given[0].enabled : !hyaline.devices.camera && fake.given[0].readyState === 'ended'");
            assert_eq!(scene.get(&state), json!([false, "false"]), "{kind} {what}");
        }
        // Off and on again is on.
        scene.get("void (fake.given.length = 0, hyaline.devices.choose('microphone', ''))");
        scene.wait("fake.asked.length === 1");
        scene.page.click("#lobby [data-device=microphone]").unwrap();
        scene.get("void fake.allow()");
        scene.wait("fake.given.length === 1 && hyaline.devices.microphone?.enabled && hyaline.devices.on.microphone");
        scene.assert_quiet();
    }
}

#[test]
fn devices_are_chosen_and_remembered() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada", &nobody());
        scene.wait("hyaline.devices.camera && hyaline.devices.microphone");
        scene.get(DEVICES);
        let shown = "[...document.querySelectorAll('#lobby [data-choices] label:not([hidden]) select')].map(list => [list.dataset.choice, list.options.length])";
        scene.wait(&format!(
            "JSON.stringify({shown}) === '[[\"camera\",3],[\"microphone\",3],[\"speaker\",3]]'"
        ));
        choose(&scene, "#lobby", "camera", "two");
        scene.wait("JSON.stringify(asked) === '[[null,\"two\"]]' && hyaline.devices.on.camera");
        // A microphone that is off stays off.
        scene.page.click("#lobby [data-device=microphone]").unwrap();
        choose(&scene, "#lobby", "microphone", "two");
        scene.wait("asked.length === 2 && hyaline.devices.microphone");
        assert_eq!(
            scene.get("[asked[1], hyaline.devices.on.microphone, hyaline.devices.microphone.enabled]"),
            json!([["two", null], false, false]),
            "{kind}"
        );
        choose(&scene, "#lobby", "speaker", "two");
        scene.wait("JSON.parse(localStorage.getItem('hyaline-devices')).speaker === 'two'");
        // One is no choice.
        scene.get("void (there = ['one'], navigator.mediaDevices.dispatchEvent(new Event('devicechange')))");
        scene.wait(&format!("{shown}.length === 0"));

        // The next visit asks for them at once, and does without if they are not there.
        scene.page.reload().unwrap();
        scene.wait("globalThis.hyaline?.devices.camera");
        assert_eq!(
            scene.get("hyaline.devices.chosen"),
            json!({ "microphone": "two", "camera": "two", "speaker": "two" }),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn settings_are_there_during_a_call() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        scene.get(DEVICES);
        scene.page.click("#settings-button").unwrap();
        scene.wait("document.querySelector('#settings').open");
        // The microphone, which beeps now and then, is heard. (Firefox starts no AudioContext here.)
        if kind == Kind::Chromium {
            scene.wait("document.querySelector('#settings meter').value > 0.2");
        }
        choose(&scene, "#settings", "camera", "two");
        scene.wait("asked.length === 1 && hyaline.devices.on.camera");
        // Others get the new one without an offer.
        assert_eq!(scene.get("fake.sent('offer').length"), json!(1), "{kind}");
        // Keys are for the dialog.
        scene.page.press("m").unwrap();
        scene.page.press("Escape").unwrap();
        scene.wait("!document.querySelector('#settings').open");
        assert_eq!(scene.get("hyaline.devices.on.microphone"), json!(true), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn a_device_that_is_taken_away_is_replaced() {
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &nobody());
    scene.wait(JOINED);
    scene.get("void (globalThis.before = hyaline.devices.camera).dispatchEvent(new Event('ended'))");
    scene.wait("hyaline.devices.on.camera && hyaline.devices.camera !== before");
    scene.wait("document.querySelector('[data-code=camera-changed]')?.textContent.includes('Another one is used now')");
    // There is no other.
    scene.get(
        "void (navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('None.', 'NotFoundError'); })",
    );
    scene.get("void hyaline.devices.camera.dispatchEvent(new Event('ended'))");
    scene.wait("document.querySelector('[data-code=camera-missing]')");
    assert_eq!(scene.get("hyaline.devices.on.camera"), json!(false));
    scene.assert_quiet();
}

#[test]
fn the_shortcuts_are_listed_and_can_be_switched_off() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        scene.page.press("?").unwrap();
        scene.wait("document.querySelector('#keys').open");
        let listed = scene.get("[...document.querySelectorAll('#keys kbd')].map(key => key.textContent).join('')");
        assert!(listed.as_str().unwrap().starts_with("MVSHCG"), "{kind}: {listed}");
        scene.page.click("#keys-enabled").unwrap();
        scene.page.press("Escape").unwrap();
        scene.wait("!document.querySelector('#keys').open");
        scene.get(
            "void (globalThis.pressed = [], document.addEventListener('keydown', ({ key }) => pressed.push(key)))",
        );
        scene.page.press("v").unwrap();
        scene.page.press("?").unwrap();
        // The page, which has listened for longer, knows by then.
        scene.wait("pressed.join('') === 'v?'");
        assert_eq!(
            scene.get("[hyaline.devices.on.camera, document.querySelector('#keys').open, localStorage.getItem('hyaline-keys')]"),
            json!([true, false, "false"]),
            "{kind}"
        );
        // Without keys, too, one gets to them.
        scene.page.click("#settings-button").unwrap();
        scene.page.click("#show-keys").unwrap();
        scene.page.click("#keys-enabled").unwrap();
        scene.page.press("Escape").unwrap();
        scene.page.press("Escape").unwrap();
        scene.wait("!document.querySelector('dialog[open]')");
        scene.page.press("v").unwrap();
        scene.wait("!hyaline.devices.on.camera");
        scene.assert_quiet();
    }
}

#[test]
fn who_is_in_another_tab_can_leave_there() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada", &nobody());
        scene.wait("hyaline.devices.camera");
        // The other tab, as this one hears it.
        scene.get(
            "void (() => {
                globalThis.heard = [];
                globalThis.other = new BroadcastChannel('hyaline-kitchen');
                other.onmessage = ({ data }) => { heard.push(data); if (data === 'came') other.postMessage('there'); };
            })()",
        );
        scene.page.click("#join .primary").unwrap();
        scene.wait("document.querySelector('[data-code=tabs]')?.textContent.includes('in another tab, too.')");
        scene.page.click("[data-code=tabs] button").unwrap();
        scene.wait("heard.join() === 'came,leave'");
        scene.get("other.postMessage('went')");
        scene.wait("!document.querySelector('[data-code=tabs]')");
        // This one is the other's other.
        scene.get("other.postMessage('came')");
        scene.wait("heard.at(-1) === 'there'");
        scene.get("other.postMessage('leave')");
        scene.wait("!document.querySelector('#end').hidden && heard.at(-1) === 'went'");
        scene.assert_quiet();
    }
}
