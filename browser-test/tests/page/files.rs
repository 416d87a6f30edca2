//! Files that are shared in a room, with others that the test plays.

use std::time::Duration;

use browser_test::Kind;
use serde_json::{Value, json};

use crate::{Scene, people};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];
const PART: u32 = 65_536;

/// What is saved is kept in `saved`: [name, length, type, whether each byte is the lowest one of its place].
const CATCH: &str = "(() => {
    globalThis.saved = [];
    globalThis.fileOf = id => [...hyaline.room.files].find(each => each.id === id);
    const blobs = new Map(), { createObjectURL } = URL;
    URL.createObjectURL = blob => {
        const url = createObjectURL(blob);
        blobs.set(url, blob);
        return url;
    };
    HTMLAnchorElement.prototype.click = function () {
        const { download, href } = this, blob = blobs.get(href);
        blob.arrayBuffer().then(buffer => new Uint8Array(buffer)).then(
            bytes => saved.push([download, blob.size, blob.type, bytes.every((byte, index) => byte === (index & 255))]),
            error => saved.push(String(error)));
    };
})()";

fn in_room(kind: Kind, others: &[&str]) -> Scene {
    let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(others));
    scene.wait("hyaline.room.talk === 'open' && fake.lines.files");
    scene.get(CATCH);
    scene
}

fn id(digit: char) -> String {
    String::from(digit).repeat(32)
}

fn offer(scene: &Scene, name: &str, digit: char, file: &str, size: u32) {
    let message = json!({ "type": "file", "id": id(digit), "name": file, "size": size, "mime": "text/html" });
    scene.get(&format!("fake.tell({name:?}, {message})"));
    scene.wait(&format!(
        "[...hyaline.room.files].some(({{ id, owner }}) => id === {:?} && owner === fake.id({name:?}))",
        id(digit)
    ));
}

/// Somebody sends parts of 64 KiB of a file.
fn parts(scene: &Scene, name: &str, digit: char, which: std::ops::Range<u32>, size: u32) {
    for part in which {
        let offset = part * PART;
        let length = PART.min(size - offset);
        scene.get(&format!("fake.part({name:?}, {:?}, {offset}, {length})", id(digit)));
    }
}

/// The state of a file, in words.
fn state(digit: char) -> String {
    format!(
        "[...document.querySelectorAll('.file')].find(file => file.querySelector('.file-name').textContent === fileOf({:?}).name).querySelector('.file-state').textContent",
        id(digit)
    )
}

fn click(scene: &Scene, button: &str) {
    scene
        .page
        .click(&format!(".file-buttons button[aria-label^={button:?}]"))
        .unwrap();
}

fn open_chat(scene: &Scene) {
    scene.page.press("c").unwrap();
    scene.wait("!document.querySelector('#chat').hidden");
}

#[test]
fn a_file_of_ours_is_offered_and_sent_to_whoever_asks() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob", "Cleo"]);
        open_chat(&scene);
        scene.get(
            "void hyaline.room.offerFile(globalThis.mine = new File([Uint8Array.from({ length: 200_000 }, (_, index) => index & 255)], '../tea\\u202e.txt', { type: 'text/plain' }))",
        );
        scene.wait("fake.said('file').length === 1");
        let offered = scene.get("fake.said('file')[0]");
        let id = offered["id"].as_str().unwrap();
        assert_eq!(
            offered,
            json!({ "to": [], "type": "file", "id": id, "name": "_tea.txt", "size": 200_000, "mime": "text/plain" }),
            "{kind}"
        );
        let shown = "(entry => [entry.querySelector('.file-title').textContent, entry.querySelector('.file-state').textContent])(document.querySelector('.own-turn .file'))";
        assert_eq!(
            scene.get(shown),
            json!([
                "_tea.txt 200 kB",
                "Everybody here can get it, for as long as you are here."
            ]),
            "{kind}"
        );
        for (name, offset) in [("Bob", 0), ("Cleo", 150_000)] {
            scene.get(&format!(
                "fake.tell({name:?}, {{ type: 'get', id: {id:?}, offset: {offset} }})"
            ));
        }
        scene.wait("(done => done('1') && done('2'))(who => fake.heard.some(({ to, bytes }) => bytes && to.includes(who) && bytes.length === 24 + 200_000 - 3 * 65_536))");
        // Each has every byte, in order, and exactly once.
        let whole = scene.get(
            "['1', '2'].map(who => {
                let at = who === '1' ? 0 : 150_000;
                const fits = fake.heard.filter(({ to, bytes }) => bytes && to.includes(who)).every(({ bytes }) => {
                    const offset = (bytes[21] << 16) | (bytes[22] << 8) | bytes[23];
                    const right = offset === at && bytes.slice(24).every((byte, index) => byte === ((at + index) & 255));
                    at += bytes.length - 24;
                    return right;
                });
                return [fits, at];
            })",
        );
        assert_eq!(whole, json!([[true, 200_000], [true, 200_000]]), "{kind}");
        scene.wait(&format!("{shown}[1].startsWith('2 people get it')"));
        scene.get(&format!(
            "fake.tell('Bob', {{ type: 'got', id: {id:?}, offset: 200000 }})"
        ));
        scene.wait(&format!("{shown}[1].startsWith('1 person has it · 1 person gets it')"));
        scene.get("void fake.depart('Cleo')");
        scene.wait(&format!("{shown}[1] === '1 person has it'"));
        // Newcomers are told of it, and it is offered no longer.
        scene.get("fake.tell('Bob', { type: 'state', hand: false, files: [], reply: true })");
        scene.wait("fake.said('state').at(-1).to.join() === '1'");
        assert_eq!(
            scene.get("fake.said('state').at(-1).files"),
            json!([{ "id": id, "name": "_tea.txt", "size": 200_000, "mime": "text/plain" }]),
            "{kind}"
        );
        click(&scene, "Stop sharing");
        scene.wait("fake.said('file-gone').length === 1");
        scene.get(&format!("fake.tell('Bob', {{ type: 'get', id: {id:?}, offset: 0 }})"));
        scene.wait("fake.said('lost').at(-1)?.to.join() === '1'");
        assert_eq!(
            scene.get(&format!("{shown}[1]")),
            json!("You share it no longer."),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn a_file_of_ours_that_cannot_be_read_is_told_to_all() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    scene.get(
        "void (mine => {
            mine.slice = () => ({ arrayBuffer: async () => { throw new DOMException('No.', 'NotReadableError'); } });
            hyaline.room.offerFile(mine);
        })(new File(['x'], 'tea.txt'))",
    );
    scene.wait("fake.said('file').length === 1");
    scene.get("fake.tell('Bob', { type: 'get', id: fake.said('file')[0].id, offset: 0 })");
    scene.wait("fake.said('lost').length === 1 && fake.said('file-gone').length === 1");
    scene.wait(
        "document.querySelector('[data-code=file-unreadable]')?.textContent === 'tea.txt cannot be read any more: it was moved, or has changed. Share it again.'",
    );
    scene.assert_quiet();
}

#[test]
fn a_file_comes_part_by_part_and_is_saved() {
    const SIZE: u32 = 600_000;
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        offer(&scene, "Bob", 'b', "CON/..\\notes\u{202e}\u{0}lmth.exe", SIZE);
        scene.wait("document.querySelector('[data-code=chat]')?.textContent.startsWith('Bob shares CON_.._noteslmth.exe (600 kB).')");
        open_chat(&scene);
        click(&scene, "Download");
        scene.wait("fake.said('get').length === 1");
        let get = json!({ "to": ["1"], "type": "get", "id": id('b'), "offset": 0, "again": true });
        assert_eq!(scene.get("fake.said('get')[0]"), get, "{kind}");
        parts(&scene, "Bob", 'b', 0..4, SIZE);
        scene.wait("fake.said('got').length === 1");
        // Progress is told now and then.
        scene.pass(Duration::from_millis(300));
        scene.wait(&format!("{}.startsWith('43 % · ')", state('b')));
        assert_eq!(
            scene.get("(bar => [bar.hidden, bar.position.toFixed(2)])(document.querySelector('.file progress'))"),
            json!([false, "0.44"]),
            "{kind}"
        );
        parts(&scene, "Bob", 'b', 4..10, SIZE);
        scene.wait("saved.length === 1");
        // No browser takes it for a page of ours, whatever it is.
        let expected = json!(["CON_.._noteslmth.exe", SIZE, "application/octet-stream", true]);
        assert_eq!(scene.get("saved[0]"), expected, "{kind}");
        assert_eq!(
            scene.get("fake.said('got').map(({ to, offset }) => [to.join(), offset])"),
            json!([["1", 4 * PART], ["1", 8 * PART], ["1", SIZE]]),
            "{kind}"
        );
        assert_eq!(scene.get(&state('b')), json!("It is here."), "{kind}");
        click(&scene, "Save");
        scene.wait("saved.length === 2");
        // An empty one takes nothing, but its owner is told.
        offer(&scene, "Bob", 'e', "nothing.txt", 0);
        click(&scene, "Download: nothing");
        scene.wait("saved.length === 3");
        assert_eq!(scene.get("saved[2].slice(0, 2)"), json!(["nothing.txt", 0]), "{kind}");
        scene.wait("fake.said('got').at(-1).offset === 0");
        assert_eq!(scene.get("fake.said('get').length"), json!(1), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn without_a_place_on_disk_files_go_into_memory() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        scene.get("void (StorageManager.prototype.getDirectory = async () => { throw new DOMException('No.', 'SecurityError'); })");
        offer(&scene, "Bob", 'b', "tea.bin", 100_000);
        open_chat(&scene);
        click(&scene, "Download");
        scene.wait("fake.said('get').length === 1");
        parts(&scene, "Bob", 'b', 0..2, 100_000);
        scene.wait("saved.length === 1");
        assert_eq!(
            scene.get("saved[0]"),
            json!(["tea.bin", 100_000, "application/octet-stream", true]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

/// A page that was closed, or has crashed, cannot do it itself.
#[test]
fn what_pages_that_are_gone_have_left_on_disk_is_removed() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada", &people(&[]));
        let names = "(async () => {
            const names = [];
            for await (const name of (await navigator.storage.getDirectory()).keys()) names.push(name);
            return names.sort();
        })()";
        scene.wait(&format!("(await {names}).length === 0"));
        scene.get(
            "(async () => {
                const root = await navigator.storage.getDirectory();
                const hold = name => new Promise(held => navigator.locks.request(name, () => new Promise(held)));
                // The page itself may look just now.
                const release = await hold('hyaline-gone');
                await hold('hyaline-there');
                for (const name of ['hyaline-gone', 'hyaline-there', 'another']) {
                    const folder = await root.getDirectoryHandle(name, { create: true });
                    await folder.getFileHandle('1', { create: true });
                }
                release();
                await navigator.locks.request('hyaline-gone', () => {});
                await (await import('/assets/stores.js')).sweep();
            })()",
        );
        scene.wait(&format!("(await {names}).join() === 'another,hyaline-there'"));
        // The page is gone, and its lock with it.
        scene.page.reload().unwrap();
        scene.wait(&format!("(await {names}).join() === 'another'"));
        scene.get(
            "(async () => {
                StorageManager.prototype.getDirectory = async () => { throw new DOMException('No.', 'SecurityError'); };
                await (await import('/assets/stores.js')).sweep();
                delete StorageManager.prototype.getDirectory;
                await (await import('/assets/stores.js')).sweep();
            })()",
        );
        scene.assert_quiet();
    }
}

#[test]
fn a_file_that_is_too_large_for_memory_is_refused() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    scene.get("void (StorageManager.prototype.getDirectory = async () => { throw new DOMException('No.', 'SecurityError'); }, globalThis.showSaveFilePicker = null)");
    offer(&scene, "Bob", 'b', "tea.bin", (1 << 30) + 1);
    open_chat(&scene);
    click(&scene, "Download");
    scene.wait("document.querySelector('[data-code=file-memory]')?.textContent.startsWith('tea.bin is too large for the memory of this browser')");
    assert_eq!(scene.get("fileOf('b'.repeat(32)).state"), json!("offered"));
    scene.assert_quiet();
}

/// A place may be found when all is over: the person was asked for it.
#[test]
fn after_the_call_nothing_is_fetched_or_told() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    scene.get(
        "void (globalThis.calls = [], globalThis.showSaveFilePicker = () => new Promise(resolve => {
            globalThis.choose = () => resolve({ createWritable: async () => ({ abort: async () => { calls.push('aborted'); } }) });
        }))",
    );
    offer(&scene, "Bob", 'b', "film.bin", 40_000_000);
    open_chat(&scene);
    click(&scene, "Download");
    scene.wait("!!globalThis.choose");
    scene.get(
        "void (room => {
            room.leave();
            for (const type of ['file', 'progress']) room.addEventListener(type, () => calls.push(type));
            choose();
        })(hyaline.room)",
    );
    scene.wait("calls.length > 0");
    scene.rest();
    assert_eq!(scene.get("calls"), json!(["aborted"]));
    scene.assert_quiet();
}

/// A large file is written where the person says, as it comes.
#[test]
fn a_large_file_is_saved_where_the_person_says() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    scene.get(
        "void (globalThis.written = [], globalThis.showSaveFilePicker = async ({ suggestedName }) => {
            if (globalThis.refuses) throw new DOMException('No.', 'AbortError');
            return { createWritable: async () => ({
                write: async bytes => { written.push(bytes.length); },
                close: async () => { written.push(suggestedName); },
                abort: async () => { written.push('aborted'); },
            }) };
        })",
    );
    offer(&scene, "Bob", 'b', "film.bin", 40_000_000);
    open_chat(&scene);
    // Who wants no place wants no file.
    scene.get("void (globalThis.refuses = true)");
    click(&scene, "Download");
    scene.rest();
    assert_eq!(scene.get("fileOf('b'.repeat(32)).state"), json!("offered"));
    scene.get("void (globalThis.refuses = false)");
    click(&scene, "Download");
    scene.wait("fake.said('get').length === 1");
    parts(&scene, "Bob", 'b', 0..2, 40_000_000);
    scene.wait("written.length === 2");
    click(&scene, "Cancel");
    scene.wait("written.at(-1) === 'aborted' && fake.said('stop').length === 1");
    assert_eq!(scene.get("fileOf('b'.repeat(32)).state"), json!("offered"));
    scene.assert_quiet();
}

#[test]
fn parts_that_nobody_asked_for_are_left_aside() {
    const SIZE: u32 = 150_000;
    for kind in BOTH {
        let scene = in_room(kind, &["Bob", "Mallory"]);
        offer(&scene, "Bob", 'b', "tea.bin", SIZE);
        // Before it was asked for.
        parts(&scene, "Bob", 'b', 0..1, SIZE);
        open_chat(&scene);
        click(&scene, "Download");
        scene.wait("fake.said('get').length === 1");
        parts(&scene, "Mallory", 'b', 0..1, SIZE);
        parts(&scene, "Bob", 'c', 0..1, SIZE);
        for (offset, length) in [(SIZE, 1), (0, SIZE + 1), (0, 0), (u32::MAX, 10)] {
            scene.get(&format!("fake.part('Bob', {:?}, {offset}, {length})", id('b')));
        }
        parts(&scene, "Bob", 'b', 0..1, SIZE);
        // Once more, and from before.
        parts(&scene, "Bob", 'b', 0..1, SIZE);
        scene.get(&format!("fake.part('Bob', {:?}, 100, 10)", id('b')));
        // A stranger cannot have it taken for gone, lost, or another's.
        for message in [
            json!({ "type": "file-gone", "id": id('b') }),
            json!({ "type": "lost", "id": id('b') }),
            json!({ "type": "state", "hand": false, "files": [], "reply": false }),
            json!({ "type": "file", "id": id('b'), "name": "tea.bin", "size": SIZE, "mime": "" }),
        ] {
            scene.get(&format!("fake.tell('Mallory', {message})"));
        }
        scene.get("fake.tell('Mallory', { type: 'hand', raised: true })");
        scene.wait("hyaline.room.participants.get('2').hand");
        parts(&scene, "Bob", 'b', 1..3, SIZE);
        scene.wait("saved.length === 1");
        assert_eq!(
            scene.get("saved[0]"),
            json!(["tea.bin", SIZE, "application/octet-stream", true]),
            "{kind}"
        );
        assert_eq!(scene.get("fake.said('get').length"), json!(1), "{kind}");
        scene.assert_quiet();
    }
}

/// Ids are known to all. Whoever is quick can tell a newcomer of a file by another's id before its owner does.
#[test]
fn a_false_offer_hides_no_true_one() {
    const SIZE: u32 = 2 * PART;
    for kind in BOTH {
        let scene = in_room(kind, &["Mallory", "Bob"]);
        open_chat(&scene);
        offer(&scene, "Mallory", 'b', "milk.bin", SIZE + 1);
        click(&scene, "Download: milk");
        scene.wait("fake.said('get').length === 1");
        offer(&scene, "Bob", 'b', "tea.bin", SIZE);
        click(&scene, "Download: tea");
        scene.wait("fake.said('get').length === 2");
        assert_eq!(
            scene.get("fake.said('get').map(({ to, offset }) => [to.join(), offset])"),
            json!([["1", 0], ["2", 0]]),
            "{kind}"
        );
        let done = || scene.get("[...hyaline.room.files].map(({ name, done, state }) => [name, done, state])");
        // Each has its own bytes: what Mallory sends goes into her file alone.
        parts(&scene, "Mallory", 'b', 0..1, SIZE + 1);
        scene.wait(&format!("fileOf({:?}).done === {PART}", id('b')));
        assert_eq!(
            done(),
            json!([["milk.bin", PART, "coming"], ["tea.bin", 0, "coming"]]),
            "{kind}"
        );
        parts(&scene, "Bob", 'b', 0..1, SIZE);
        // Nor are her words about it believed of his.
        for message in [
            json!({ "type": "lost", "id": id('b') }),
            json!({ "type": "file-gone", "id": id('b') }),
        ] {
            scene.get(&format!("fake.tell('Mallory', {message})"));
        }
        scene.wait(&format!(
            "fileOf({:?}).state === 'failed' && fileOf({:?}).owner === null",
            id('b'),
            id('b')
        ));
        parts(&scene, "Bob", 'b', 1..2, SIZE);
        scene.wait("saved.length === 1");
        assert_eq!(
            scene.get("saved[0]"),
            json!(["tea.bin", SIZE, "application/octet-stream", true]),
            "{kind}"
        );
        // What he offers by it last is what he has; one by an id of ours is no file of ours.
        offer(&scene, "Bob", 'b', "coffee.bin", SIZE);
        scene.get("void hyaline.room.offerFile(new File(['x'], 'mine.txt'))");
        scene.wait("fake.said('file').length === 1");
        scene.get("fake.tell('Bob', { ...fake.said('file')[0], name: 'theirs.txt' })");
        scene.wait("[...hyaline.room.files].some(({ name }) => name === 'theirs.txt')");
        assert_eq!(
            scene.get("[...hyaline.room.files].map(({ name, own, owner }) => [name, own, owner])"),
            json!([
                ["milk.bin", false, null],
                ["tea.bin", false, null],
                ["coffee.bin", false, "2"],
                ["mine.txt", true, null],
                ["theirs.txt", false, "2"]
            ]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn what_is_missing_is_asked_for_again() {
    const SIZE: u32 = 5 * PART;
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        offer(&scene, "Bob", 'b', "tea.bin", SIZE);
        open_chat(&scene);
        click(&scene, "Download");
        scene.wait("fake.said('get').length === 1");
        parts(&scene, "Bob", 'b', 0..1, SIZE);
        // A gap: it is asked for once, whatever else is on its way.
        parts(&scene, "Bob", 'b', 2..5, SIZE);
        scene.wait("fake.said('get').length === 2");
        parts(&scene, "Bob", 'b', 1..2, SIZE);
        scene.wait(&format!("fileOf('b'.repeat(32)).done === {}", 2 * PART));
        // Silence.
        scene.pass(Duration::from_secs(4));
        scene.rest();
        assert_eq!(scene.get("fake.said('get').length"), json!(2), "{kind}");
        scene.pass(Duration::from_secs(2));
        scene.wait("fake.said('get').length === 3");
        scene.wait(&format!("{} === '40 % · waiting for Bob'", state('b')));
        // The channel is closed, and opened again.
        scene.get("void fake.lines.files.close()");
        scene.wait("fake.opened.filter(label => label === 'files').length === 2 && fake.said('get').length === 4");
        // What is silent may be on its way still; what was on a channel that is closed is not.
        let asked = scene.get("fake.said('get').map(({ offset, again }) => [offset, again])");
        let expected = json!([[0, true], [PART, true], [2 * PART, false], [2 * PART, true]]);
        assert_eq!(asked, expected, "{kind}");
        parts(&scene, "Bob", 'b', 2..5, SIZE);
        scene.wait("saved.length === 1");
        assert_eq!(scene.get("saved[0][3]"), json!(true), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn it_goes_on_when_the_owner_is_back_by_another_id() {
    const SIZE: u32 = 3 * PART;
    for kind in BOTH {
        let scene = in_room(kind, &["Bob", "Mallory"]);
        offer(&scene, "Bob", 'b', "tea.bin", SIZE);
        offer(&scene, "Bob", 'd', "other.bin", SIZE);
        open_chat(&scene);
        click(&scene, "Download: tea");
        scene.wait("fake.said('get').length === 1");
        parts(&scene, "Bob", 'b', 0..1, SIZE);
        scene.wait(&format!("fileOf('b'.repeat(32)).done === {PART}"));
        scene.get("void fake.depart('Bob')");
        scene.wait(&format!("{} === 'Waits at 33 % for Bob to come back.'", state('b')));
        assert_eq!(
            scene.get(&state('d')),
            json!("Bob has left, and the file with them."),
            "{kind}"
        );
        // Others cannot take his place, nor can he offer another file by the same id.
        let file = |size: u32| json!({ "type": "file", "id": id('b'), "name": "tea.bin", "size": size, "mime": "" });
        scene.get(&format!("fake.tell('Mallory', {})", file(SIZE)));
        scene.get("void fake.arrive({ name: 'Bob' })");
        scene.wait("hyaline.room.participants.size === 2");
        scene.get(&format!("fake.tell('Bob', {})", file(SIZE + 1)));
        scene.get(&format!(
            "fake.tell('Bob', {{ type: 'state', hand: false, reply: true, files: [{}] }})",
            file(SIZE)
        ));
        scene.wait("fake.said('get').length === 2");
        assert_eq!(
            scene.get("fake.said('get')[1]"),
            json!({ "to": ["3"], "type": "get", "id": id('b'), "offset": PART, "again": true }),
            "{kind}"
        );
        parts(&scene, "Bob", 'b', 1..3, SIZE);
        scene.wait("saved.length === 1");
        assert_eq!(scene.get("saved[0][3]"), json!(true), "{kind}");
        scene.assert_quiet();
    }
}

/// Whose connection broke may be back before the server has given up the one before.
#[test]
fn an_owner_who_is_there_twice_is_asked_where_he_stays() {
    const SIZE: u32 = 3 * PART;
    let scene = in_room(Kind::Chromium, &["Bob"]);
    offer(&scene, "Bob", 'b', "tea.bin", SIZE);
    open_chat(&scene);
    click(&scene, "Download");
    scene.wait("fake.said('get').length === 1");
    parts(&scene, "Bob", 'b', 0..1, SIZE);
    scene.wait(&format!("fileOf('b'.repeat(32)).done === {PART}"));
    scene.get("void fake.arrive({ name: 'Bob' })");
    scene.wait("hyaline.room.participants.size === 2");
    let file = json!({ "type": "file", "id": id('b'), "name": "tea.bin", "size": SIZE, "mime": "" });
    scene.get(&format!("void fake.lines.room.send('2\\n' + JSON.stringify({file}))"));
    scene.get("void fake.depart('Bob')"); // the first of the two
    scene.wait("fake.said('get').length === 2");
    assert_eq!(
        scene.get("fake.said('get')[1]"),
        json!({ "to": ["2"], "type": "get", "id": id('b'), "offset": PART, "again": true })
    );
    scene.assert_quiet();
}

#[test]
fn it_goes_on_when_we_are_back() {
    const SIZE: u32 = 3 * PART;
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        offer(&scene, "Bob", 'b', "tea.bin", SIZE);
        open_chat(&scene);
        click(&scene, "Download");
        scene.wait("fake.said('get').length === 1");
        parts(&scene, "Bob", 'b', 0..1, SIZE);
        scene.get("void hyaline.room.offerFile(new File(['mine'], 'mine.txt'))");
        scene.wait(&format!("fileOf('b'.repeat(32)).done === {PART}"));
        scene.get("void (fake.heard.length = 0, fake.drop())");
        scene.wait("fake.sent('join').length === 2 && hyaline.room.talk === 'open' && fake.said('state').length > 0");
        assert_eq!(
            scene.get("fake.said('state')[0].files.map(({ name }) => name)"),
            json!(["mine.txt"]),
            "{kind}"
        );
        let file = json!({ "id": id('b'), "name": "tea.bin", "size": SIZE, "mime": "" });
        scene.get(&format!(
            "fake.tell('Bob', {{ type: 'state', hand: false, files: [{file}], reply: false }})"
        ));
        scene.wait("fake.said('get').length === 1");
        assert_eq!(scene.get("fake.said('get')[0].offset"), json!(PART), "{kind}");
        scene.wait("fake.lines.files.readyState === 'open'");
        parts(&scene, "Bob", 'b', 1..3, SIZE);
        scene.wait("saved.length === 1");
        assert_eq!(scene.get("saved[0][3]"), json!(true), "{kind}");
        assert_eq!(
            scene.get("document.querySelectorAll('.file').length"),
            json!(2),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn three_come_at_once_and_each_can_be_paused_and_given_up() {
    const SIZE: u32 = 2 * PART;
    // On a slow machine it is asked again because nothing comes, too.
    const ASKED: &str = "fake.said('get').filter(get => get.again)";
    let scene = in_room(Kind::Chromium, &["Bob"]);
    open_chat(&scene);
    for digit in ['1', '2', '3', '4'] {
        offer(&scene, "Bob", digit, &format!("{digit}.bin"), SIZE);
        click(&scene, &format!("Download: {digit}"));
        // Places on disk are not found in the order in which they were asked for.
        scene.wait(&format!("fileOf({:?}).state !== 'offered'", id(digit)));
    }
    scene.wait(&format!(
        "{} === 'Begins when another one is done or stands still.'",
        state('4')
    ));
    scene.wait(&format!("{ASKED}.length === 3"));
    parts(&scene, "Bob", '1', 0..1, SIZE);
    scene.wait(&format!("fileOf('1'.repeat(32)).done === {PART}"));
    click(&scene, "Pause: 1");
    scene.wait(&format!("fake.said('stop').length === 1 && {ASKED}.length === 4"));
    assert_eq!(scene.get(&state('1')), json!("Paused at 50 %."));
    // What was on its way is left aside while it is paused.
    parts(&scene, "Bob", '1', 1..2, SIZE);
    click(&scene, "Cancel: 2");
    scene.wait("fake.said('stop').length === 2");
    assert_eq!(scene.get("fileOf('2'.repeat(32)).state"), json!("offered"));
    // The focus stays with the buttons.
    scene.get("document.querySelector('.file-buttons button[aria-label^=\"Resume: 1\"]').focus()");
    scene.page.press("Enter").unwrap();
    scene.wait(&format!(
        "{ASKED}.length === 5 && document.activeElement.ariaLabel === 'Pause: 1.bin'"
    ));
    assert_eq!(scene.get(&format!("{ASKED}[4].offset")), json!(PART));
    parts(&scene, "Bob", '1', 1..2, SIZE);
    scene.wait("saved.length === 1");
    // Withdrawn, and lost.
    scene.get(&format!("fake.tell('Bob', {{ type: 'file-gone', id: {:?} }})", id('3')));
    scene.wait(&format!("{} === 'Bob shares it no longer.'", state('3')));
    scene.get(&format!("fake.tell('Bob', {{ type: 'lost', id: {:?} }})", id('4')));
    scene.wait(&format!(
        "{} === 'Bob cannot read 4.bin any more. Ask for it to be shared again.'",
        state('4')
    ));
    scene.assert_quiet();
}

/// Whoever offers files and never sends them could keep us from all others.
#[test]
fn what_stands_still_holds_up_nobody() {
    const SIZE: u32 = 4 * PART;
    let scene = in_room(Kind::Chromium, &["Bob", "Mallory"]);
    open_chat(&scene);
    for (digit, owner) in [
        ('1', "Mallory"),
        ('2', "Mallory"),
        ('3', "Bob"),
        ('4', "Bob"),
        ('5', "Bob"),
    ] {
        offer(&scene, owner, digit, &format!("{digit}.bin"), SIZE);
        click(&scene, &format!("Download: {digit}"));
        scene.wait(&format!("fileOf({:?}).state !== 'offered'", id(digit)));
    }
    let states = || scene.get("['3', '4', '5'].map(digit => fileOf(digit.repeat(32)).state).join()");
    let comes = |digit: char, part: u32| {
        parts(
            &scene,
            if digit < '3' { "Mallory" } else { "Bob" },
            digit,
            part..part + 1,
            SIZE,
        );
        scene.wait(&format!("fileOf({:?}).done === {}", id(digit), (part + 1) * PART));
    };
    scene.pass(Duration::from_secs(20));
    comes('3', 0);
    assert_eq!(states(), json!("coming,waiting,waiting"));
    // 30 s after they were asked for, two are not counted any more.
    scene.pass(Duration::from_secs(11));
    assert_eq!(states(), json!("coming,coming,coming"));
    comes('3', 1);
    comes('4', 0);
    // They come all the same, and count again when they do.
    comes('1', 0);
    comes('2', 0);
    offer(&scene, "Bob", '6', "6.bin", SIZE);
    click(&scene, "Download: 6");
    scene.wait(&format!("fileOf({:?}).state === 'waiting'", id('6')));
    comes('4', 1);
    parts(&scene, "Bob", '4', 2..4, SIZE);
    scene.wait("saved.length === 1");
    // Four are left: 1, 2, 3 and 5.
    assert_eq!(scene.get("fileOf('6'.repeat(32)).state"), json!("waiting"));
    parts(&scene, "Bob", '3', 2..4, SIZE);
    click(&scene, "Cancel: 5");
    scene.wait(&format!("fileOf({:?}).state === 'coming'", id('6')));
    scene.assert_quiet();
}

#[test]
fn a_disk_that_is_full_is_told() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    scene.get(
        "void (FileSystemWritableFileStream.prototype.write = async () => { throw new DOMException('Full.', 'QuotaExceededError'); })",
    );
    offer(&scene, "Bob", 'b', "tea.bin", 100_000);
    open_chat(&scene);
    click(&scene, "Download");
    scene.wait("fake.said('get').length === 1");
    parts(&scene, "Bob", 'b', 0..2, 100_000);
    let sentence = "There is not enough space for tea.bin. Free some on this device, then download it again.";
    scene.wait(&format!(
        "document.querySelector('[data-code=file-space]')?.textContent === {sentence:?} && {} === {sentence:?}",
        state('b')
    ));
    scene.wait("fake.said('stop').length === 1");
    scene.get("void (FileSystemWritableFileStream.prototype.write = async () => {})");
    click(&scene, "Download again");
    scene.wait("fake.said('get').length === 2");
    assert_eq!(scene.get("fake.said('get')[1].offset"), json!(0));
    // What failed cannot be had again when it is offered no longer.
    scene.get(&format!("fake.tell('Bob', {{ type: 'lost', id: {:?} }})", id('b')));
    scene.wait("document.querySelector('.file-buttons button')?.textContent === 'Download again'");
    scene.get(&format!("fake.tell('Bob', {{ type: 'file-gone', id: {:?} }})", id('b')));
    scene.wait("!document.querySelector('.file-buttons button')");
    scene.assert_quiet();
}

/// As a person holds files above the call, drops them, or pastes them.
#[test]
fn files_are_dropped_and_pasted() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        scene.get(
            "void (globalThis.carried = new DataTransfer(), carried.items.add(new File(['x'], 'drop.txt')),
                globalThis.drag = (type, transfer = carried) => {
                    const event = new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true });
                    document.querySelector('#tiles').dispatchEvent(event);
                    return event.defaultPrevented;
                })",
        );
        let veil = "!document.querySelector('#drop-veil').hidden";
        // Beside the call it is not taken, and the browser does not go to it either.
        let beside = "['dragover', 'drop'].map(type => {
            const event = new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true });
            document.body.dispatchEvent(event);
            return event.defaultPrevented;
        })";
        assert_eq!(scene.get(beside), json!([true, true]), "{kind}");
        assert_eq!(scene.get(veil), json!(false), "{kind}");
        // Text that is dragged is not for us.
        scene.get("void (globalThis.words = new DataTransfer(), words.setData('text/plain', 'x'))");
        assert_eq!(
            scene.get("[drag('dragenter', words), drag('dragover', words), drag('drop', words)]"),
            json!([false, false, false])
        );
        assert_eq!(
            scene.get(&format!("[drag('dragenter'), drag('dragover'), {veil}]")),
            json!([true, true, true]),
            "{kind}"
        );
        assert_eq!(
            scene.get(&format!("(drag('dragleave'), {veil})")),
            json!(false),
            "{kind}"
        );
        // Whose end nobody tells.
        scene.get("drag('dragover')");
        scene.pass(Duration::from_secs(2));
        assert_eq!(scene.get(veil), json!(false), "{kind}");
        assert_eq!(
            scene.get(&format!("[drag('dragenter'), drag('drop'), {veil}]")),
            json!([true, true, false]),
            "{kind}"
        );
        scene.wait("fake.said('file').length === 1 && !document.querySelector('#chat').hidden");
        scene.get(
            "void (globalThis.paste = text => {
                const pasted = new DataTransfer();
                pasted.items.add(new File(['x'], 'drop.txt'));
                if (text) pasted.setData('text/plain', text);
                const event = new Event('paste', { bubbles: true, cancelable: true });
                Object.defineProperty(event, 'clipboardData', { value: pasted }); // which not every browser's constructor takes
                document.querySelector('#text').dispatchEvent(event);
                return event.defaultPrevented;
            })",
        );
        // Words that have a picture with them are words.
        assert_eq!(scene.get("[paste('words'), paste()]"), json!([false, true]), "{kind}");
        scene.wait("fake.said('file').length === 2");
        let names: Value = scene.get("fake.said('file').map(({ name, size }) => [name, size])");
        assert_eq!(names, json!([["drop.txt", 1], ["drop.txt", 1]]), "{kind}");
        // A hundred are enough.
        scene.get("void (globalThis.many = Array.from({ length: 99 }, (_, n) => new File([''], `${n}.txt`)))");
        scene.get("void (many.forEach(file => carried.items.add(file)), drag('drop'))");
        scene.wait("document.querySelector('[data-code=too-many-files]')?.textContent.startsWith('You share 100 files already.')");
        scene.wait("fake.said('file').length === 100");
        scene.assert_quiet();
    }
}
