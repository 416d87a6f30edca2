//! Writes pictures of every state of the web page, light and dark, on a laptop and on a phone (upright and across), to
//! a folder: for looking at the page after a change, and for the README. The other people are played inside the page.
//!
//! It fails if a notice or an end of the call that the page's script knows was in no picture.
//!
//! `cargo run -p hyaline-browser-test --example pictures -- FOLDER [STATE]`

mod codes;
mod notices;
#[path = "../../tests/page/site.rs"]
mod site;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::error::Error;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use browser_test::{Browser, Kind, Namespace, Options, Page, Viewport};
use serde_json::{Value, json};

use notices::notices;
use site::{Site, fake_server};

/// A state of the page: its name, its address, who is there, what to do, and what to wait for.
struct State {
    name: &'static str,
    path: &'static str,
    scenario: Value,
    script: Cow<'static, str>,
    ready: &'static str,
}

/// One's own microphone is off, and the hand raised.
const SILENT: &str =
    "['#call [data-device=microphone]', '#hand'].forEach(button => document.querySelector(button).click())";
/// One's own camera gives no pictures any more.
const STOPPED: &str =
    "(Object.defineProperty(hyaline.devices.camera, 'muted', { value: true }), fake.clock.pass(2_000))";
/// As on phones, which share no screens.
const NO_SCREEN: &str =
    "(share => { if (share) share.hidden ||= share.ariaPressed !== 'true'; })(document.querySelector('#share'))";
const ENDED: &str = "!document.querySelector('#end').hidden";
const PLAYING: &str = "document.querySelectorAll('#tiles .tile.pictured:not(#own)').length > 0";

fn states() -> Vec<State> {
    let people =
        |names: &[&str]| json!({ "people": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() });
    let state = |name, path, scenario, script: &'static str, ready| State {
        name,
        path,
        scenario,
        script: script.into(),
        ready,
    };
    vec![
        state("choose", "/", json!({}), "0", "document.querySelector('#room').value"),
        state(
            "lobby",
            "/r/calm-harbour?name=Ada",
            json!({}),
            "0",
            "hyaline.devices.camera",
        ),
        state(
            "alone",
            "/r/calm-harbour?name=Ada&join=1",
            json!({}),
            "0",
            "document.body.dataset.path === 'connected'",
        ),
        state(
            "two",
            "/r/calm-harbour?name=Ada&join=1",
            people(&["Grace Hopper"]),
            "0",
            PLAYING,
        ),
        state(
            "four",
            "/r/calm-harbour?name=Ada&join=1",
            json!({ "people": [{ "name": "Grace Hopper" }, { "name": "Emmy Noether" }, { "name": "Hedy Lamarr", "camera": false, "microphone": false }] }),
            "0",
            "document.querySelectorAll('#tiles .tile.pictured:not(#own)').length > 1",
        ),
        crowd("five", 5, "0"),
        crowd("sixteen", 16, "0"),
        crowd("forty-nine", 49, "0"),
        crowd("speaker", 5, "document.querySelector('#view').click()"),
        crowd("speaker-of-sixteen", 16, "document.querySelector('#view').click()"),
        crowd("speaker-of-forty-nine", 49, "document.querySelector('#view').click()"),
        state(
            "frozen",
            "/r/calm-harbour?name=Ada&join=1",
            people(&["Grace Hopper", "Emmy Noether"]),
            "fake.freeze(true).then(() => fake.clock.pass(5_000))",
            PLAYING,
        ),
        state(
            "names",
            "/r/calm-harbour?name=%3Cimg%20src%3Dx%3E&join=1",
            people(&[
                "<img src=x onerror=alert(1)>",
                "\u{5d0}\u{5d1}\u{5d2} \u{627}\u{644}\u{639}\u{631}\u{628}\u{64a}\u{629} 7",
                "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
            ]),
            "0",
            PLAYING,
        ),
        in_call("settings", "document.querySelector('#settings-button').click()"),
        in_call("keys", "document.querySelector('#show-keys').click()"),
        in_call(
            "figures",
            "(document.querySelector('#figures').click(), new Promise(done => setTimeout(done, 2_500)))",
        ),
        in_call(
            "screen",
            "(fake.present('Emmy Noether'), new Promise(done => setTimeout(done, 1_500)))",
        ),
        in_call(
            "sharing",
            "(document.querySelector('#share').click(), new Promise(done => setTimeout(done, 1_000)))",
        ),
        crowd(
            "screen-of-eight",
            8,
            "(fake.send({ type: 'need', audio: 8, video: 8 }), fake.clock.rest().then(() => fake.present('Emmy Noether')), \
              new Promise(done => { \
                const look = () => (document.querySelector('.tile.screen.pictured') ? done() : setTimeout(look, 100)); \
                look(); }))",
        ),
        in_call(
            "hands",
            "(fake.tell('Grace Hopper', { type: 'hand', raised: true }), document.querySelector('#hand').click())",
        ),
        in_call("chat-empty", "document.querySelector('#chat-button').click()"),
        in_call("chat", talking("0")),
        in_call(
            "chat-closed",
            talking(
                "document.querySelector('#close-chat').click(), \
            fake.tell('Grace Hopper', { type: 'chat', id: 'e'.repeat(32), text: 'I found the slides of last week, too; they are where they always were.' })",
            ),
        ),
        in_call(
            "chat-interrupted",
            talking("hyaline.room.talk = 'closed', hyaline.room.dispatchEvent(new CustomEvent('talk'))"),
        ),
        in_call("files", talking(FILES)),
        in_call("files-ended", talking(FILES_ENDED)),
        in_call("drop", "void (document.querySelector('#drop-veil').hidden = false)"),
        state(
            "no-talk",
            "/r/calm-harbour?name=Ada&join=1",
            json!({ "people": [{ "name": "Grace Hopper" }], "noData": true }),
            "document.querySelector('#chat-button').click()",
            "hyaline.room?.talk === 'unavailable'",
        ),
        in_call("silent", SILENT),
        state(
            "silent-of-two",
            "/r/calm-harbour?name=Ada&join=1",
            people(&["Grace Hopper"]),
            SILENT,
            PLAYING,
        ),
        in_call("stopped", STOPPED),
        state(
            "stopped-of-two",
            "/r/calm-harbour?name=Ada&join=1",
            people(&["Grace Hopper"]),
            STOPPED,
            PLAYING,
        ),
        in_call("interrupted", "(fake.noWebSocket = true, fake.cut())"),
        in_call(
            "server-lost",
            "(fake.unreachable = true, fake.drop(), new Promise(done => { \
                const look = () => (hyaline.room.state === 'returning' ? done() : setTimeout(look, 100)); \
                look(); }))",
        ),
        in_call(
            "audio-only",
            "(fake.send({ type: 'link', state: 'audio-only', trouble: 'loss', loss: 0.3 }), \
              fake.slots.filter(({ kind }) => kind === 'video').forEach(({ mid }) => fake.send({ type: 'layer', mid, rid: null, paused: 'loss' })))",
        ),
        in_call(
            "audio-only-late",
            "(fake.send({ type: 'link', state: 'audio-only', trouble: 'late', loss: 0 }), \
              fake.slots.filter(({ kind }) => kind === 'video').forEach(({ mid }) => fake.send({ type: 'layer', mid, rid: null, paused: 'late' })))",
        ),
        in_call(
            "other-tab",
            "new Promise(done => { \
                const other = new BroadcastChannel('hyaline-calm-harbour'); \
                other.postMessage('there'); \
                setTimeout(done, 300); })",
        ),
        in_call(
            "kicked",
            "fake.send({ type: 'bye', reason: 'kicked', message: 'Somebody who runs this room removed you from it.' })",
        ),
        in_call(
            "room-closed",
            "fake.send({ type: 'bye', reason: 'room-closed', message: 'Somebody who runs this server closed the room.' })",
        ),
        in_call(
            "replaced",
            "fake.send({ type: 'bye', reason: 'replaced', message: 'The call goes on in another window.' })",
        ),
        state(
            "trouble",
            "/r/calm-harbour?name=Ada&join=1",
            people(&["Grace Hopper", "Emmy Noether"]),
            "(fake.send({ type: 'connection', participant: '1', state: 'disconnected' }), \
              fake.send({ type: 'undecodable', participant: '2', source: '2-camera' }), \
              fake.send({ type: 'error', code: 'x', message: 'The connection is interrupted. Waiting for it to come back…' }))",
            PLAYING,
        ),
        in_call("left", "document.querySelector('#leave-call').click()"),
        in_call(
            "full-by-now",
            "fake.send({ type: 'bye', reason: 'full', message: 'The room is full: 4 people are in it. Try again when somebody has left.' })",
        ),
        state(
            "full",
            "/r/calm-harbour?name=Ada&join=1",
            json!({ "refuse": { "code": "full", "message": "The room is full: 4 people are in it. Try again when somebody has left." } }),
            "0",
            ENDED,
        ),
        state(
            "end",
            "/r/calm-harbour?name=Ada&join=1",
            json!({ "noWebSocket": true, "plain": { "status": 426, "code": "websocket-only", "host": "proxied.example" } }),
            "0",
            ENDED,
        ),
        state(
            "echo",
            "/echo?start=1",
            json!({}),
            "0",
            "document.querySelector('[data-check=picture]').dataset.state === 'good' && document.querySelector('#figures').textContent.includes('bit/s')",
        ),
    ]
}

/// Files in every state while they may still come.
const FILES: &str = "(async () => {
    hyaline.room.offerFile(new File(['x'.repeat(400_000)], 'holiday.jpg'));
    await until(() => fake.said('file').length === 1);
    fake.tell('Grace Hopper', { type: 'get', id: fake.said('file')[0].id, offset: 0 });
    fake.tell('Emmy Noether', { type: 'get', id: fake.said('file')[0].id, offset: 0 });
    await until(() => fake.heard.filter(({ bytes }) => bytes).length >= 7);
    fake.tell('Emmy Noether', { type: 'got', id: fake.said('file')[0].id, offset: 400_000 });
    fake.tell('Grace Hopper', { type: 'got', id: fake.said('file')[0].id, offset: 131_072 });
    for (const [digit, name, size] of [['a', 'minutes of the meeting of last Thursday (final, corrected).pdf', 1_200_000], ['b', 'symmetries.tar.gz', 700_000], ['c', 'notes.txt', 812]])
        fake.tell('Emmy Noether', { type: 'file', id: digit.repeat(32), name, size, mime: '' });
    await until(() => document.querySelectorAll('.file').length === 4);
    document.querySelectorAll('.file-buttons [aria-label^=Download]')[0].click();
    document.querySelectorAll('.file-buttons [aria-label^=Download]')[1].click();
    await until(() => fake.said('get').length === 2);
    for (const digit of ['a', 'b']) for (let part = 0; part < 5; part++) fake.part('Emmy Noether', digit.repeat(32), part * 65_536, 65_536);
    await until(() => [...hyaline.room.files].find(({ id }) => id === 'b'.repeat(32)).done === 327_680);
    document.querySelector('.file-buttons [aria-label^=\"Pause: symm\"]').click();
    await fake.clock.pass(300);
})()";
/// And when nothing more comes of them.
const FILES_ENDED: &str = "(async () => {
    HTMLAnchorElement.prototype.click = () => {};
    for (const digit of 'abcdef') fake.tell('Emmy Noether', { type: 'file', id: digit.repeat(32), name: `${digit}.bin`, size: 65_536, mime: '' });
    await until(() => document.querySelectorAll('.file').length === 6);
    for (const digit of 'abc') document.querySelector(`.file-buttons [aria-label=\"Download: ${digit}.bin\"]`).click();
    await until(() => fake.said('get').length === 3);
    fake.part('Emmy Noether', 'a'.repeat(32), 0, 65_536);
    fake.tell('Emmy Noether', { type: 'lost', id: 'b'.repeat(32) });
    fake.tell('Emmy Noether', { type: 'file-gone', id: 'd'.repeat(32) });
    await until(() => [...hyaline.room.files].find(({ id }) => id === 'a'.repeat(32)).state === 'done');
    fake.depart('Emmy Noether');
    await until(() => [...hyaline.room.files].find(({ id }) => id === 'c'.repeat(32)).state === 'absent');
})()";

/// Something that happens while the chat is open, and something was said.
fn talking(then: &str) -> String {
    format!(
        "(async () => {{
            const until = async condition => {{ while (!condition()) await fake.clock.rest(); }};
            await until(() => hyaline.room.talk === 'open' && fake.lines.files);
            document.querySelector('#chat-button').click();
            const say = (name, digit, text, more) => fake.tell(name, {{ type: 'chat', id: digit.repeat(32), text, ...more }});
            say('Grace Hopper', '1', 'Good morning! Is everybody here?');
            say('Grace Hopper', '2', 'The agenda is at https://example.org/agenda?week=48, and it is short.');
            await until(() => document.querySelectorAll('.text').length === 2);
            hyaline.room.say('Good morning. I have read it, and I have one question about the second point.');
            say('Emmy Noether', '3', 'So do I.');
            say('Emmy Noether', '4', 'Shall we go first?', {{ private: true }});
            await until(() => document.querySelectorAll('.text').length === 5);
            await ({then});
        }})()"
    )
}

/// Something that happens among three.
fn in_call(name: &'static str, script: impl Into<Cow<'static, str>>) -> State {
    State {
        name,
        path: "/r/calm-harbour?name=Ada&join=1",
        scenario: json!({ "people": [{ "name": "Grace Hopper" }, { "name": "Emmy Noether" }] }),
        script: script.into(),
        ready: "document.querySelectorAll('#tiles .tile.pictured:not(#own)').length > 1",
    }
}

/// A room with so many tiles.
fn crowd(name: &'static str, tiles: usize, script: &'static str) -> State {
    let names = [
        "Grace Hopper",
        "Emmy Noether",
        "Hedy Lamarr",
        "Katherine Johnson",
        "Mary Jackson",
        "Sophie Germain",
    ];
    let people = (1..tiles).map(|index| {
        let name = names[index % names.len()];
        let name = if index < names.len() {
            name.to_owned()
        } else {
            format!("{name} {}", index / names.len() + 1)
        };
        json!({ "name": name, "microphone": index % 3 != 0 })
    });
    State {
        name,
        path: "/r/calm-harbour?name=Ada&join=1",
        scenario: json!({ "people": people.collect::<Vec<_>>() }),
        script: script.into(),
        ready: "document.querySelectorAll('#tiles .tile.pictured:not(#own)').length > 3",
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder for the pictures")?);
    let only = std::env::args().nth(2);
    std::fs::create_dir_all(&folder)?;
    let namespace = Namespace::with_address(Ipv4Addr::new(10, 66, 0, 2))?;
    let site = Site::serve(&namespace, "127.0.0.1");
    let browser = Browser::launch(Kind::Chromium, &Options::within(&namespace))?;
    let mut seen = BTreeSet::new();
    for state in states().into_iter().chain(notices()) {
        if only.as_ref().is_some_and(|only| only != state.name) {
            continue;
        }
        let mut scenario = state.scenario.clone();
        scenario["drawnCamera"] = json!(true);
        let page = browser.open_with(&format!("{}{}", site.origin, state.path), &fake_server(&scenario))?;
        seen.extend(picture(&page, &state, &folder)?);
        page.close()?;
    }
    browser.close()?;
    let missing: Vec<_> = codes::known()?
        .into_iter()
        .filter(|code| !codes::is_seen(code, &seen))
        .collect();
    if only.is_none() && !missing.is_empty() {
        return Err(format!(
            "no picture shows {}: add a state in which it is said",
            missing.join(", ")
        )
        .into());
    }
    Ok(())
}

/// Takes the pictures of a state, and says what was told in one of them.
fn picture(page: &Page, state: &State, folder: &Path) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut seen = BTreeSet::new();
    page.wait_for(state.ready, Duration::from_secs(20))?;
    page.evaluate(&state.script)?;
    let across = Viewport {
        width: 844,
        height: 390,
        ..Viewport::PHONE
    };
    for (device, viewport) in [
        ("laptop", Viewport::DESKTOP),
        ("phone", Viewport::PHONE),
        ("across", across),
    ] {
        if device != "laptop" {
            page.evaluate(NO_SCREEN)?;
        }
        for (colours, viewport) in [("light", viewport), ("dark", viewport.dark())] {
            page.set_viewport(viewport)?;
            // Transitions of a quarter of a second, and a picture of the new size.
            page.evaluate("new Promise(done => setTimeout(done, 400))")?;
            let file = folder.join(format!("{}-{device}-{colours}.png", state.name));
            page.screenshot(&file)?;
            seen.extend(codes::shown(page)?);
            println!("{}", file.display());
        }
    }
    for line in page.take_console()? {
        println!("{}: console {}: {}", state.name, line.level, line.text);
    }
    Ok(seen)
}
