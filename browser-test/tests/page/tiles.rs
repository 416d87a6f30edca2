use std::time::Duration;

use browser_test::{Kind, Viewport};
use serde_json::json;

use crate::{Scene, people};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];
const JOINED: &str = "document.body.dataset.path === 'connected'";

/// A phone held across.
const ACROSS: Viewport = Viewport {
    width: 844,
    height: 390,
    ..Viewport::PHONE
};

/// A room with so many tiles in all. Most have no picture, which takes no less space.
fn crowd(kind: Kind, tiles: usize) -> Scene {
    let names: Vec<String> = (1..tiles).map(|number| format!("Guest {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&names));
    scene.wait(JOINED);
    scene.wait(&format!("document.querySelectorAll('#tiles .tile').length === {tiles}"));
    scene
}

/// How many tiles reach out of the list or lie over another, which part of the list they cover, and the largest one's
/// share of that. The person's own tile lies in the corner of the other one while there are two.
const LAYOUT: &str = "(() => {
    const list = document.querySelector('#tiles').getBoundingClientRect();
    const boxes = [...document.querySelectorAll('#tiles .tile:not(.corner)')].map(tile => tile.getBoundingClientRect());
    const area = box => box.width * box.height;
    const outside = boxes.filter(box =>
        box.left < list.left - 1 || box.right > list.right + 1 || box.top < list.top - 1 || box.bottom > list.bottom + 1);
    const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
    const overlapping = boxes.filter((a, index) => boxes.slice(0, index).some(b => !apart(a, b)));
    const covered = boxes.reduce((sum, box) => sum + area(box), 0);
    return {
        wrong: outside.length + overlapping.length,
        covered: covered / area(list),
        largest: Math.max(...boxes.map(area)) / covered,
        window: area(list) / (innerWidth * innerHeight),
    };
})()";

#[test]
fn the_tiles_fill_every_window() {
    for tiles in [1, 2, 5, 16, 49] {
        let scene = crowd(Kind::Chromium, tiles);
        for (name, viewport) in [
            ("laptop", Viewport::DESKTOP),
            ("phone", Viewport::PHONE),
            ("phone across", ACROSS),
        ] {
            scene.show_in(viewport);
            let grid = scene.get(LAYOUT);
            let label = format!("{tiles} on a {name}: {grid}");
            assert_eq!(grid["wrong"], json!(0), "{label}");
            assert!(grid["covered"].as_f64().unwrap() > 0.7, "{label}");
            assert!(grid["window"].as_f64().unwrap() > 0.7, "{label}");

            scene.page.click("#view").unwrap();
            scene.wait("document.querySelector('#view').ariaPressed === 'true'");
            let speaker = scene.get(LAYOUT);
            let label = format!("{tiles} on a {name}, speaker view: {speaker}");
            assert_eq!(speaker["wrong"], json!(0), "{label}");
            assert!(speaker["covered"].as_f64().unwrap() > 0.55, "{label}");
            assert!(speaker["largest"].as_f64().unwrap() > 0.5, "{label}");
            scene.page.click("#view").unwrap();
        }
        scene.assert_quiet();
    }
}

#[test]
fn a_tile_is_pinned_by_the_keyboard() {
    for kind in BOTH {
        let scene = crowd(kind, 4);
        let pinned = "[...document.querySelectorAll('#tiles .tile')].map(tile => [
            tile.classList.contains('large'), tile.querySelector('.pin').getAttribute('aria-pressed') === 'true'])";
        scene.get("document.querySelectorAll('#tiles .pin')[0].focus()");
        scene.page.press("Tab").unwrap();
        assert_eq!(
            scene.get("document.activeElement.getAttribute('aria-label')"),
            json!("Show Guest 2 large"),
            "{kind}"
        );
        scene.page.press("Enter").unwrap();
        scene.wait("document.querySelector('#tiles .large')");
        let (neither, both) = (json!([false, false]), json!([true, true]));
        assert_eq!(scene.get(pinned), json!([neither, both, neither, neither]), "{kind}");
        assert_eq!(scene.get("document.querySelector('#view').ariaPressed"), json!("true"));
        // Who speaks does not take the place of the pinned one. (In Firefox the fake server's hum is not heard before a
        // click.)
        if kind == Kind::Chromium {
            scene.wait("document.querySelector('#tiles .tile:first-child.speaking')");
        }
        assert_eq!(scene.get(pinned), json!([neither, both, neither, neither]), "{kind}");
        // The grid has nothing large, and so nothing pinned.
        scene.page.press("g").unwrap();
        assert_eq!(scene.get(pinned), json!([neither, neither, neither, neither]), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn who_speaks_is_large() {
    let scene = crowd(Kind::Chromium, 4);
    scene.wait("document.querySelectorAll('#tiles .tile.speaking').length === 3");
    scene.page.press("g").unwrap();
    // The second one alone goes on.
    for quiet in [1, 3] {
        scene.get(&format!(
            "fake.send({{ type: 'sources', participant: '{quiet}', sources: [
                {{ source: '{quiet}-microphone', kind: 'microphone', muted: true }}, {{ source: '{quiet}-camera', kind: 'camera', muted: false }}] }})"
        ));
    }
    scene.wait("document.querySelector('#tiles .large')?.getAttribute('aria-label') === 'Guest 2'");
    scene.assert_quiet();
}

#[test]
fn a_frozen_picture_is_called_so() {
    for kind in BOTH {
        let scene = crowd(kind, 2);
        let sign = "document.querySelector('#tiles .tile .sign').textContent";
        scene.wait("document.querySelector('#tiles .tile.pictured:not(#own)')");
        scene.wait(&format!("{sign} === ''"));
        scene.get("fake.freeze(true)");
        scene.wait(&format!("{sign}.startsWith('Picture frozen')"));
        scene.get("fake.freeze(false)");
        scene.wait(&format!("{sign} === ''"));
        // A camera that is off is not frozen.
        scene.get("fake.freeze(true)");
        scene.wait(&format!("{sign}.startsWith('Picture frozen')"));
        scene.get(
            "fake.send({ type: 'sources', participant: '1', sources: [
                { source: '1-microphone', kind: 'microphone', muted: false }, { source: '1-camera', kind: 'camera', muted: true }] })",
        );
        scene.wait("!document.querySelector('#tiles .tile.pictured:not(#own)')");
        scene.pass(Duration::from_secs(10));
        assert_eq!(scene.get(sign), json!(""), "{kind}");
        scene.assert_quiet();
    }
}

/// Others see it on the tile; who sends it would not notice.
#[test]
fn ones_own_picture_that_stands_still_is_called_so() {
    let mute = |what: &str, muted: bool| {
        format!("void Object.defineProperty(hyaline.devices.{what}, 'muted', {{ value: {muted}, configurable: true }})")
    };
    for kind in BOTH {
        let scene = crowd(kind, 2);
        let sign = "document.querySelector('#own .sign').textContent";
        scene.pass(Duration::from_secs(3));
        assert_eq!(scene.get(sign), json!(""), "{kind}");
        scene.get(&mute("camera", true));
        scene.pass(Duration::from_secs(1));
        assert_eq!(scene.get(sign), json!("Camera stopped: switch it off and on"), "{kind}");
        scene.get(&mute("camera", false));
        scene.pass(Duration::from_secs(1));
        assert_eq!(scene.get(sign), json!(""), "{kind}");

        scene.page.press("s").unwrap();
        let sign = "document.querySelector('.own-screen .sign').textContent";
        scene.wait(&format!("{sign} === ''"));
        scene.get(&mute("screen", true));
        scene.pass(Duration::from_secs(1));
        assert_eq!(scene.get(sign), json!("Screen stopped: share it again"), "{kind}");
        scene.assert_quiet();
    }
}

/// (Firefox lets nobody play it: an event that a page sends to a track arrives nowhere.)
#[test]
fn a_camera_that_was_taken_away_is_missed_on_its_tile() {
    let scene = crowd(Kind::Chromium, 2);
    let sign = "document.querySelector('#own .sign').textContent";
    // One that is switched off is not.
    scene.pass(Duration::from_secs(1));
    scene.page.press("v").unwrap();
    scene.wait("!hyaline.devices.on.camera");
    scene.pass(Duration::from_secs(3));
    assert_eq!(scene.get(sign), json!(""));
    scene.page.press("v").unwrap();
    scene.wait("hyaline.devices.on.camera");
    scene.pass(Duration::from_secs(1));
    scene.get(
        "void (globalThis.ask = navigator.mediaDevices.getUserMedia,
               navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('None.', 'NotFoundError'); },
               hyaline.devices.camera.dispatchEvent(new Event('ended')))",
    );
    scene.wait("!hyaline.devices.on.camera");
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.get(sign), json!("Your camera was taken away"));
    // It is back, and switched off by the person.
    scene.get("void (navigator.mediaDevices.getUserMedia = ask)");
    scene.page.press("v").unwrap();
    scene.wait("hyaline.devices.on.camera");
    scene.pass(Duration::from_secs(1));
    scene.page.press("v").unwrap();
    scene.wait("!hyaline.devices.on.camera");
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.get(sign), json!(""));
    scene.assert_quiet();
}

/// The server has limits, and may be too busy to heed what is said.
#[test]
fn what_is_seen_is_said_until_it_is_heeded() {
    let scene = crowd(Kind::Chromium, 2);
    scene.wait("fake.sent('view').at(-1)?.pictures.length === 1");
    scene.get(
        "void (Object.defineProperty(globalThis, 'devicePixelRatio', { value: 1_000 }),
               document.dispatchEvent(new Event('visibilitychange')))",
    );
    scene.wait("(({ width, height }) => width === 16_384 && height === 16_384)(fake.sent('view').at(-1).pictures[0])");
    scene.get("void (fake.received.length = 0)");
    scene.get("fake.send({ type: 'error', code: 'busy', re: 'view', message: 'Try again in a few seconds.' })");
    scene.wait("fake.sent('view').at(-1)?.pictures[0].width === 16_384");
    assert_eq!(scene.get("document.querySelectorAll('.notice').length"), json!(0));
    scene.assert_quiet();
}

/// The figures themselves, as browsers give them.
#[test]
fn loss_and_rates_are_read_from_the_figures() {
    let scene = crowd(Kind::Chromium, 1);
    let words = scene.get(
        "(async () => {
            const { Meter, trouble } = await import('/assets/measure.js');
            const meter = new Meter();
            const report = (bytes, received, lost, frames) => new Map([['a', { id: 'a', type: 'inbound-rtp', kind: 'video',
                trackIdentifier: 't', bytesReceived: bytes, packetsReceived: received, packetsLost: lost, framesDecoded: frames,
                frameWidth: 640, frameHeight: 360 }]]);
            const words = [];
            const step = (second, ...figures) => {
                meter.read(report(...figures), 1_000 + second * 1_000);
                const track = meter.tracks.get('t');
                words.push([track.bitrate, trouble(track, undefined, true)]);
            };
            step(0, 0, 0, 0, 1);
            step(1, 125_000, 100, 4, 25);
            step(2, 250_000, 190, 14, 50); // 14 of 204
            step(3, 250_000, 190, 14, 50);
            step(4, 250_000, 190, 14, 50);
            step(10, 250_000, 1_190, 14, 60);
            step(11, 250_000, 1_290, 13, 70); // one came after all
            return words;
        })()",
    );
    assert_eq!(
        words,
        json!([
            [0, ""],
            [1_000_000, ""],
            [1_000_000, "Weak link: 7 % is lost"],
            [0, "Weak link: 7 % is lost"],
            [0, "Picture frozen: nothing new came for 2 s"],
            [0, ""],
            [0, ""]
        ])
    );
}
