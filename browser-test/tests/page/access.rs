//! What a checker of accessibility looks at (WCAG 2.1 AA), in every part of the page, in light and in dark colours.

use browser_test::{Kind, Viewport};
use serde_json::{Value, json};

use crate::{Scene, people};

/// Lists what is wrong in what is shown now.
const CHECK: &str = r"(() => {
    const wrong = [];
    const name = element => {
        const words = [element.getAttribute('aria-label')];
        for (const id of (element.getAttribute('aria-labelledby') ?? '').split(' ')) words.push(document.getElementById(id)?.textContent);
        for (const label of element.labels ?? []) words.push(label.textContent);
        words.push(element.textContent, element.title);
        return words.map(text => text?.trim()).find(text => text);
    };
    const text = element => element.outerHTML.slice(0, 120);
    const modal = document.querySelector('dialog[open]');
    const shown = [...(modal ?? document.body).querySelectorAll('*')].filter(element => element.checkVisibility());

    for (const element of shown.filter(each => each.matches('button, a[href], input, select, textarea, meter, progress, video, section, aside, dialog, ul, [role]:not([role=status])')))
        if (!name(element)) wrong.push(['no name', text(element)]);
    for (const element of shown.filter(each => each.matches('[data-device], #share, #hand, #view, .pin')))
        if (!['true', 'false'].includes(element.getAttribute('aria-pressed'))) wrong.push(['no state', text(element)]);

    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    for (const id of ids) if (ids.filter(each => each === id).length > 1) wrong.push(['id is there twice', id]);
    if (document.querySelector('#notices')?.getAttribute('aria-live') !== 'polite') wrong.push(['no live region']);
    if (document.documentElement.lang !== 'en' || !document.title) wrong.push(['no language or title']);

    // Colours are numbers in what getComputedStyle gives.
    const colour = text => {
        const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
        return { r, g, b, a };
    };
    const over = (top, below) => ({
        r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a), b: top.b * top.a + below.b * (1 - top.a), a: 1,
    });
    const luminance = ({ r, g, b }) => {
        const [x, y, z] = [r, g, b].map(part => part / 255).map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const contrast = (a, b) => {
        const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
        return (high + 0.05) / (low + 0.05);
    };
    const ground = element => {
        const { backgroundColor, backgroundImage } = getComputedStyle(element);
        if (element.matches('.avatar')) return backgroundImage.match(/rgba?\([^)]*\)/g).map(colour);
        const own = colour(backgroundColor);
        // A tile may show anything; a page ends at its body.
        const below = own.a === 1 ? [own] : element.matches('.tile')
            ? [{ r: 0, g: 0, b: 0 }, { r: 255, g: 255, b: 255 }]
            : element.parentElement ? ground(element.parentElement) : [colour('255 255 255')];
        return below.map(each => over(own, each));
    };
    for (const element of shown) {
        const says = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
        const style = getComputedStyle(element);
        if (!says || element.closest('svg, option') || style.opacity === '0' || style.visibility === 'hidden') continue;
        // Large: 24 px, or 18.66 px and bold.
        const size = parseFloat(style.fontSize);
        const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
        const least_found = Math.min(...ground(element).map(each => contrast(over(colour(style.color), each), each)));
        if (least_found < least) wrong.push(['contrast', Math.round(least_found * 100) / 100, text(element)]);
    }
    return wrong;
})()";

fn check(scene: &Scene, part: &str) {
    for viewport in COLOURS {
        paint(scene, viewport);
        assert_eq!(scene.get(CHECK), json!([]), "{part}, {viewport:?}");
    }
}

const COLOURS: [Viewport; 2] = [Viewport::DESKTOP, Viewport::DESKTOP.dark()];

/// Shows the page in these colours, after the transitions between them.
fn paint(scene: &Scene, viewport: Viewport) {
    scene.page.set_viewport(viewport).unwrap();
    scene.wait(&format!(
        "matchMedia('(prefers-color-scheme: dark)').matches === {} && document.getAnimations().length === 0",
        viewport.dark
    ));
}

#[test]
fn every_part_of_the_page_passes() {
    let scene = Scene::open(
        Kind::Chromium,
        "/r/kitchen?name=Ada",
        &json!({ "people": [{ "name": "Bob" }, { "name": "Cleo", "camera": false, "microphone": false }] }),
    );
    scene.wait("hyaline.devices.camera");
    scene.get("void (document.querySelector('#device-hint').textContent = 'The camera was not found.')");
    check(&scene, "lobby");
    scene.page.click("#join .primary").unwrap();
    scene.wait("document.querySelector('#tiles .pictured:not(#own)') && hyaline.room.talk === 'open'");
    check(&scene, "call");
    scene.get(
        "(fake.tell('Bob', { type: 'hand', raised: true }),
          fake.send({ type: 'layer', mid: fake.slots.find(({ kind }) => kind === 'video').mid, rid: null, paused: 'loss' }),
          fake.send({ type: 'connection', participant: '2', state: 'disconnected' }),
          fake.send({ type: 'link', state: 'audio-only', trouble: 'loss', loss: 0.3 }))",
    );
    scene.page.press("i").unwrap();
    scene.wait("document.querySelector('[data-table=received]').rows.length === 2 && document.querySelector('[data-code=link]')");
    check(&scene, "figures, notices and signs");
    scene.page.press("i").unwrap();
    scene.get(
        "(fake.tell('Bob', { type: 'chat', id: 'b'.repeat(32), text: 'It is at https://example.org.' }),
          fake.tell('Bob', { type: 'file', id: 'f'.repeat(32), name: 'tea.pdf', size: 1e6, mime: '' }))",
    );
    scene.wait("document.querySelector('#unread').textContent === '2'");
    check(&scene, "news of the chat");
    scene.page.press("c").unwrap();
    scene.get("void (hyaline.room.say('Thank you.'), hyaline.room.offerFile(new File(['x'], 'cup.png')))");
    scene.page.click(".file-buttons button").unwrap();
    scene.wait("document.querySelector('.file[data-state=coming]')");
    scene.get("fake.tell('Cleo', { type: 'chat', id: 'c'.repeat(32), text: 'And this one, to you.', private: true })");
    scene.wait("document.querySelectorAll('.text').length === 3");
    check(&scene, "chat");
    scene.page.press("Escape").unwrap();
    scene.page.click("#settings-button").unwrap();
    check(&scene, "settings");
    scene.page.click("#show-keys").unwrap();
    check(&scene, "keys");
    scene.page.press("Escape").unwrap();
    scene.page.press("Escape").unwrap();
    scene.page.click("#leave-call").unwrap();
    scene.wait("!document.querySelector('#end').hidden");
    check(&scene, "end");
    for path in ["/", "/echo"] {
        let scene = Scene::open(Kind::Chromium, path, &people(&[]));
        for viewport in COLOURS {
            paint(&scene, viewport);
            let wrong: Vec<Value> = serde_json::from_value(scene.get(CHECK)).unwrap();
            // There is nothing to be announced on the way.
            let wrong: Vec<_> = wrong
                .into_iter()
                .filter(|each| *each != json!(["no live region"]))
                .collect();
            assert!(wrong.is_empty(), "{path}: {wrong:?}");
        }
    }
}

/// Who comes and goes within a moment is said in one sentence.
#[test]
fn who_comes_and_goes_is_announced() {
    let scene = Scene::open(
        Kind::Chromium,
        "/r/kitchen?name=Ada&join=1",
        &people(&["Bob", "Cleo", "Dan"]),
    );
    let news = "document.querySelector('#news').textContent";
    scene.wait(&format!("{news} === 'Bob, Cleo, Dan joined. '"));
    scene.get(
        "void (fake.depart('Bob'), fake.arrive({ name: 'Eve' }), fake.arrive({ name: 'Fay' }), fake.depart('Fay'))",
    );
    scene.wait(&format!("{news} === 'Eve joined. Bob left.'"));
    scene.get("void ['Gil', 'Hal', 'Ian', 'Joy'].forEach(name => fake.arrive({ name }))");
    scene.wait(&format!("{news} === '4 people joined. '"));
    scene.assert_quiet();
}

#[test]
fn the_focus_follows_into_the_call_and_out_of_it() {
    for kind in [Kind::Chromium, Kind::Firefox] {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada", &people(&["Bob"]));
        scene.wait("globalThis.hyaline?.devices.camera");
        let microphone = "document.activeElement === document.querySelector('#call [data-device=microphone]')";
        scene.page.click("#join .primary").unwrap();
        scene.wait(microphone);
        scene.page.click("#leave-call").unwrap();
        scene.wait("document.activeElement?.id === 'again'");
        let said = "['#end', '#again'].map(part => document.querySelector(part).ariaDescribedByElements?.[0].id ?? document.querySelector(part).getAttribute('aria-describedby'))";
        assert_eq!(scene.get(said), json!(["end-reason", "end-reason"]), "{kind}");
        scene.page.click("#again").unwrap();
        scene.wait(microphone);
        scene.assert_quiet();
    }
}

/// A modal dialog makes all else inert.
#[test]
fn notices_are_within_reach_of_a_dialog() {
    for kind in [Kind::Chromium, Kind::Firefox] {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob"]));
        scene.wait("document.body.dataset.path === 'connected'");
        let place = "document.querySelector('#notices').parentElement";
        scene.page.click("#settings-button").unwrap();
        scene.wait(&format!("{place}.id === 'settings'"));
        scene.page.click("#show-keys").unwrap();
        scene.wait(&format!("{place}.id === 'keys'"));
        scene.page.press("Escape").unwrap();
        scene.wait(&format!("{place}.id === 'settings'"));
        scene.page.press("Escape").unwrap();
        scene.wait(&format!("{place} === document.body"));
        scene.assert_quiet();
    }
}

/// The Tab key goes through the controls as they stand in the document, and one sees where it is.
#[test]
fn the_focus_goes_in_order_and_is_seen() {
    for kind in [Kind::Chromium, Kind::Firefox] {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob", "Cleo"]));
        scene.wait("document.body.dataset.path === 'connected'");
        scene.get("document.querySelector('#call .home').focus()");
        let mut places = vec![0];
        for _ in 0..11 {
            scene.page.press("Tab").unwrap();
            let seen = scene.get(
                "(element => {
                    const { outlineStyle, outlineWidth, opacity } = getComputedStyle(element);
                    const all = [...document.querySelectorAll('#call *')];
                    return [all.indexOf(element), outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2, element.className];
                })(document.activeElement)",
            );
            assert_eq!(seen[1], json!(true), "{kind}: the focus on {seen} is not seen");
            places.push(seen[0].as_i64().unwrap());
        }
        assert!(places.is_sorted_by(|a, b| a < b), "{kind}: {places:?}");
    }
}
