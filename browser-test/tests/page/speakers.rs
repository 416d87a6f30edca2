use std::time::Duration;

use browser_test::{Kind, Viewport};
use serde_json::json;

use crate::{Scene, people};

const JOINED: &str = "document.body.dataset.path === 'connected'";
const SPEAKING: &str =
    "[...document.querySelectorAll('#tiles .speaking')].map(tile => tile.getAttribute('aria-label') ?? 'own')";
const LARGE: &str = "document.querySelector('#tiles .large')?.getAttribute('aria-label')";

fn three(kind: Kind) -> Scene {
    let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob", "Cleo", "Dan"]));
    scene.wait(JOINED);
    scene.wait("document.querySelectorAll('#tiles .tile.pictured:not(#own)').length === 3");
    scene
}

#[test]
fn the_server_says_who_speaks() {
    for kind in [Kind::Chromium, Kind::Firefox] {
        let scene = three(kind);
        scene.page.press("g").unwrap();
        // All hum, but the server hears Cleo and us.
        scene.get("fake.send({ type: 'speakers', dominant: '2', speaking: ['2', 'me'] })");
        scene.wait(&format!("{SPEAKING}.join() === 'Cleo,own'"));
        scene.wait(&format!("{LARGE} === 'Cleo'"));
        // Who leads may not speak just now, and a newcomer is nobody who was heard.
        scene.get("fake.send({ type: 'speakers', dominant: '3', speaking: [] })");
        scene.get("void fake.arrive({ name: 'Eve' })");
        scene.wait(&format!("{LARGE} === 'Dan' && {SPEAKING}.length === 0"));
        // We do not see ourselves large: who was so stays.
        scene.get("fake.send({ type: 'speakers', dominant: 'me', speaking: ['me'] })");
        scene.wait(&format!("{SPEAKING}.join() === 'own'"));
        scene.pass(Duration::from_secs(5));
        assert_eq!(scene.get(SPEAKING), json!(["own"]), "{kind}");
        assert_eq!(scene.get(LARGE), json!("Dan"), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn the_server_is_told_what_is_looked_at() {
    for kind in [Kind::Chromium, Kind::Firefox] {
        let scene = three(kind);
        let last = "fake.sent('view').at(-1)";
        // What a tile's picture measures on the screen.
        let sizes = "[...document.querySelectorAll('#tiles .tile:not(#own)')].map(tile =>
            [tile.clientWidth, tile.clientHeight].map(length => Math.round(length * devicePixelRatio)))";
        scene.wait(&format!(
            "JSON.stringify({last}.pictures.map(({{ width, height }}) => [width, height])) === JSON.stringify({sizes})"
        ));
        assert_eq!(
            scene.get(&format!(
                "[{last}.tiles, {last}.pinned, {last}.pictures.map(({{ participant, source }}) => [participant, source])]"
            )),
            json!([3, [], [["1", "1-camera"], ["2", "2-camera"], ["3", "3-camera"]]]),
            "{kind}"
        );
        // Cleo is pinned: her picture is large, the others small.
        scene.get("document.querySelectorAll('#tiles .pin')[1].click()");
        scene.wait(&format!("{last}.pinned.join() === '2'"));
        let widths = scene.get(&format!("{last}.pictures.map(({{ width }}) => width)"));
        let widths: Vec<u64> = serde_json::from_value(widths).unwrap();
        assert!(widths[1] > 2 * widths[0], "{kind}: {widths:?}");
        // A tab in the background shows nothing.
        scene.get(
            "void (Object.defineProperty(document, 'hidden', { value: true, configurable: true }),
                document.dispatchEvent(new Event('visibilitychange')))",
        );
        scene.wait(&format!(
            "{last}.pictures.every(({{ width, height }}) => width === 0 && height === 0)"
        ));
        scene.assert_quiet();
    }
}

/// A window that is dragged larger, and one that is not touched.
#[test]
fn the_view_is_told_seldom_and_once() {
    let scene = three(Kind::Chromium);
    scene.get(
        "void (() => {
            globalThis.times = [];
            const send = fake.socket.send.bind(fake.socket);
            fake.socket.send = text => {
                if (JSON.parse(text).type === 'view') times.push(performance.now());
                send(text);
            };
        })()",
    );
    let wide = |width| Viewport {
        width,
        ..Viewport::DESKTOP
    };
    for step in 0..30 {
        scene.page.set_viewport(wide(900 + step * 10)).unwrap();
    }
    scene.show_in(wide(1_200));
    scene.pass(Duration::from_secs(10));
    assert_ne!(scene.get("times.length"), json!(0));
    // Timers may come early by what they are rounded to.
    assert_eq!(
        scene.get("times.filter((time, index) => index > 0 && time - times[index - 1] < 195)"),
        json!([])
    );
    assert_eq!(
        scene.get("fake.sent('view').filter((view, index, all) => index > 0 && JSON.stringify(view) === JSON.stringify(all[index - 1]))"),
        json!([])
    );
    // The last one is what is shown now.
    assert_eq!(
        scene.get("fake.sent('view').at(-1).pictures[0].width"),
        scene.get("Math.round(document.querySelector('#tiles .tile').clientWidth * devicePixelRatio)")
    );
}

/// Pictures cost a phone more than they show.
#[test]
fn a_phone_wants_fewer_pictures() {
    let names: Vec<String> = (0..30).map(|number| format!("Guest {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &people(&names));
    scene.wait("fake.sent('view').at(-1).tiles === 30");
    scene.page.set_viewport(Viewport::PHONE).unwrap();
    scene.wait("fake.sent('view').at(-1).tiles === 16");
}
