//! What participants say to each other past the server: the chat, and hands.

use std::time::Duration;

use browser_test::{Kind, Viewport};
use serde_json::{Value, json};

use crate::{Scene, people};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];
const OPEN: &str = "hyaline.room.talk === 'open' && fake.lines.files";
/// What the chat shows: [who, text, text, …] for each turn.
const TURNS: &str = "[...document.querySelectorAll('.turn')].map(turn =>
    [turn.querySelector('.who'), ...turn.querySelectorAll('.text')].map(({ textContent }) => textContent))";

fn in_room(kind: Kind, others: &[&str]) -> Scene {
    let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(others));
    scene.wait(OPEN);
    scene
}

/// Somebody says something. Ids are 32 hexadecimal digits.
fn say(scene: &Scene, name: &str, id: u32, text: &str) {
    let message = json!({ "type": "chat", "id": format!("{id:032x}"), "text": text, "at": 0 });
    scene.get(&format!("fake.tell({name:?}, {message})"));
}

fn turns(scene: &Scene) -> Value {
    scene.get(TURNS)
}

#[test]
fn both_channels_are_there_with_the_first_answer() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        let channels = scene.get(
            "Object.values(fake.lines).map(({ label, protocol, ordered, maxRetransmits, maxPacketLifeTime }) =>
                [label, protocol, ordered, maxRetransmits, maxPacketLifeTime]).sort()",
        );
        assert_eq!(
            channels,
            json!([
                ["files", "hyaline", true, null, null],
                ["room", "hyaline", true, null, null]
            ]),
            "{kind}"
        );
        scene.wait("fake.heard.length > 0");
        // Everybody is told, and asked, what there is.
        assert_eq!(
            scene.get("fake.heard[0]"),
            json!({ "to": [], "type": "state", "hand": false, "files": [], "reply": true }),
            "{kind}"
        );
        assert_eq!(scene.get("fake.sent('offer').length"), json!(1), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn what_is_said_goes_both_ways_and_stands_together() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob", "Cleo"]);
        scene.page.press("c").unwrap();
        scene.wait("document.activeElement.id === 'text' && !document.querySelector('#chat').hidden");
        for key in ["t", "e", "a", "?"] {
            scene.page.press(key).unwrap();
        }
        // The key that opened it was not typed, and those that are typed are no shortcuts.
        assert_eq!(
            scene.get("document.querySelector('#text').value"),
            json!("tea?"),
            "{kind}"
        );
        scene.page.press("Enter").unwrap();
        scene.wait("fake.said('chat').length === 1");
        let said = scene.get("fake.said('chat')[0]");
        assert_eq!((&said["to"], &said["text"]), (&json!([]), &json!("tea?")), "{kind}");
        assert_eq!(said["id"].as_str().unwrap().len(), 32);
        assert!(said["at"].as_u64().unwrap() > 1_700_000_000_000);
        say(&scene, "Bob", 1, "With milk.");
        say(&scene, "Bob", 2, "And\nsugar.");
        scene
            .get("fake.tell('Cleo', { type: 'chat', id: '3'.padStart(32, '0'), text: 'None for me.', private: true })");
        say(&scene, "Bob", 4, "I see.");
        scene.wait("document.querySelectorAll('.text').length === 5");
        assert_eq!(
            turns(&scene),
            json!([
                ["You", "tea?"],
                ["Bob", "With milk.", "And\nsugar."],
                ["Cleo (to you alone)", "None for me."],
                ["Bob", "I see."]
            ]),
            "{kind}"
        );
        // What is said much later stands alone, and has its own time.
        let dates = "(at => { Date.now = () => at; })(Date.now() + 400_000)";
        scene.get(&format!("void {dates}"));
        say(&scene, "Bob", 5, "Still there?");
        scene.wait("document.querySelectorAll('.turn').length === 5");
        assert_eq!(
            scene.get("document.querySelectorAll('.turn time:not(:empty)').length"),
            json!(5)
        );
        // Escape closes it, and the focus is where it was opened.
        scene.page.press("Escape").unwrap();
        scene.wait("document.querySelector('#chat').hidden && document.activeElement.id === 'chat-button'");
        scene.assert_quiet();
    }
}

#[test]
fn what_comes_while_the_chat_is_closed_is_told_and_counted() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        let button = "document.querySelector('#chat-button')";
        say(&scene, "Bob", 1, "Hello!");
        scene.wait("document.querySelector('[data-code=chat]')?.firstChild.textContent === 'Bob: Hello!'");
        say(&scene, "Bob", 2, &"long ".repeat(60));
        scene.wait("document.querySelector('#unread').textContent === '2'");
        assert_eq!(
            scene.get(&format!(
                "[{button}.ariaLabel, document.querySelector('[data-code=chat]').firstChild.textContent.length]"
            )),
            json!(["Chat, 2 new", "Bob: ".len() + 121]),
            "{kind}"
        );
        // Shift and Enter, and an input method, send nothing.
        scene.page.click("[data-code=chat] button").unwrap();
        scene.wait("document.activeElement.id === 'text'");
        scene.get(
            "void ['shiftKey', 'isComposing'].forEach(what =>
                document.querySelector('#text').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', [what]: true, bubbles: true })))",
        );
        scene.page.press("x").unwrap();
        assert_eq!(
            scene.get(&format!(
                "[{button}.ariaLabel, {button}.ariaExpanded, document.querySelector('#unread').hidden, !!document.querySelector('[data-code=chat]')]"
            )),
            json!(["Chat", "true", true, false]),
            "{kind}"
        );
        say(&scene, "Bob", 3, "You are here.");
        scene.wait("document.querySelectorAll('.text').length === 3");
        assert_eq!(
            scene.get("[document.querySelector('#unread').hidden, !!document.querySelector('[data-code=chat]'), fake.said('chat').length]"),
            json!([true, false, 0]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

/// Everything that comes may be from somebody hostile: it is shown as text, or not at all.
#[test]
fn hostile_words_are_shown_as_they_are_and_hostile_messages_not_at_all() {
    for kind in BOTH {
        let name = "<b onclick=harm()>Bob</b>";
        let scene = in_room(kind, &[name]);
        let id = |digit: &str| digit.repeat(32);
        for wrong in [
            json!("no JSON"),
            json!("{"),
            json!("null"),
            json!("[]"),
            json!("7"),
            json!({}),
            json!({ "type": 7 }),
            json!({ "type": "toString" }),
            json!({ "type": "__proto__" }),
            json!({ "type": "tomorrow", "text": "x" }),
            json!({ "type": "chat", "id": id("1"), "text": 7 }),
            json!({ "type": "chat", "id": id("1"), "text": "x".repeat(4_001) }),
            json!({ "type": "chat", "id": id("1"), "text": " \n" }),
            json!({ "type": "chat", "id": id("1") }),
            json!({ "type": "chat", "id": 1, "text": "x" }),
            json!({ "type": "chat", "id": "<img>", "text": "x" }),
            json!({ "type": "chat", "id": id("x"), "text": "x" }),
            json!({ "type": "hand", "raised": "yes" }),
            json!({ "type": "state", "hand": 1, "files": [] }),
            json!({ "type": "state", "hand": true, "files": null }),
            json!({ "type": "state", "hand": true }),
            json!({ "type": "file", "id": id("2"), "name": 1, "size": 1 }),
            json!({ "type": "file", "id": id("2"), "name": "x", "size": -1 }),
            json!({ "type": "file", "id": id("2"), "name": "x", "size": 1.5 }),
            json!({ "type": "file", "id": id("2"), "name": "x", "size": 1e300 }),
            json!({ "type": "file", "id": "2", "name": "x", "size": 1 }),
            json!({ "type": "file", "id": [id("2")], "name": "x", "size": 1 }),
            json!({ "type": "got", "id": id("2"), "offset": 1 }),
            json!({ "type": "stop", "id": id("2") }),
            json!({ "type": "lost", "id": id("2") }),
            json!({ "type": "file-gone", "id": id("2") }),
        ] {
            scene.get(&format!("fake.tell({name:?}, {wrong})"));
        }
        // Bytes where there are none, without a first line, and with one that is too long; and a text where bytes belong.
        scene.get(
            "(fake.lines.room.send(new Uint8Array([49, 10, 123])), fake.lines.room.send('x'), fake.lines.room.send(''),
              fake.lines.room.send('1'.repeat(100) + '\\n{}'), fake.lines.room.send('\\n{}'), fake.lines.files.send('1\\nx'),
              fake.lines.files.send(new Uint8Array([49, 10])), fake.lines.files.send(new Uint8Array(70_000)))",
        );
        let text = "<img src=x onerror=\"globalThis.harmed = true\"> javascript:alert(1) \u{202e}gpj\u{0}\u{7}\u{1b}";
        say(&scene, name, 1, text);
        // Once, although it is said twice.
        say(&scene, name, 1, "again");
        let links = "See (https://example.org/a?b=<c>&d='e), HTTP://user:x@example.org! data:text/html,x https:// http://[ ftp://x.example";
        say(&scene, name, 2, links);
        scene.wait("document.querySelectorAll('.text').length === 2");
        let shown = text.replace(['\u{0}', '\u{7}', '\u{1b}'], "");
        assert_eq!(turns(&scene), json!([[name, shown, links]]), "{kind}");
        assert_eq!(
            scene.get("[...document.querySelectorAll('#log a')].map(({ href, textContent, rel, target }) => [href, textContent, rel, target])"),
            json!([
                ["https://example.org/a?b=", "https://example.org/a?b=", "noopener noreferrer", "_blank"],
                ["http://user:x@example.org/", "HTTP://user:x@example.org", "noopener noreferrer", "_blank"]
            ]),
            "{kind}"
        );
        assert_eq!(
            scene.get("[document.querySelectorAll('#log img, #log b:not(.who), .file').length, globalThis.harmed ?? null, hyaline.room.files.size, [...hyaline.room.participants.values()][0].hand]"),
            json!([0, null, 0, false]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

/// What takes a time that grows with the square of its length would take many seconds here.
#[test]
fn a_name_that_is_long_beyond_reason_takes_no_time() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    let outcome = scene.get(
        "(async () => {
            const { fileName, understood } = await import('/assets/words.js');
            const name = 'a' + '.'.repeat(100_000) + 'a';
            const file = name => understood(JSON.stringify({ type: 'file', id: '1'.repeat(32), name, size: 1, mime: '' }));
            const own = new File(['x'], name);
            return [file(name), file('a'.repeat(1_000)).name.length, fileName(own.name), hyaline.room.offerFile(own).name];
        })()",
    );
    assert_eq!(outcome, json!([null, 200, "a", "a"]));
    scene.assert_quiet();
}

/// The server tells of people over another connection, which may be slower.
#[test]
fn who_speaks_before_the_server_has_told_of_them_is_heard_then() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    scene
        .get("void (fake.lines.room.send(`7\\n${JSON.stringify({ type: 'chat', id: '7'.repeat(32), text: 'Hi.' })}`))");
    scene.get(
        "void fake.lines.room.send(`7\\n${JSON.stringify({ type: 'state', hand: true, files: [], reply: true })}`)",
    );
    say(&scene, "Bob", 1, "Who is there?");
    scene.wait("document.querySelectorAll('.text').length === 1");
    scene.get("fake.send({ type: 'participant-joined', participant: '7', name: 'Gil' })");
    scene.wait("document.querySelectorAll('.text').length === 2 && hyaline.room.participants.get('7').hand");
    assert_eq!(turns(&scene), json!([["Bob", "Who is there?"], ["Gil", "Hi."]]));
    scene.wait("fake.said('state').some(({ to, reply }) => to.join() === '7' && reply === false)");
    // Not for ever, and not however long it is.
    let early = |text: &str| {
        scene.get(&format!(
            "void fake.lines.room.send('8\\n' + JSON.stringify({{ type: 'chat', id: randomHex(), text: 'Late.', pad: {text} }}))"
        ));
    };
    scene.get("void (globalThis.randomHex = () => crypto.randomUUID().replaceAll('-', ''))");
    early("''");
    say(&scene, "Bob", 2, "Now.");
    scene.wait("document.querySelectorAll('.text').length === 3");
    scene.pass(Duration::from_secs(31));
    early("'x'.repeat(160_000)");
    say(&scene, "Bob", 3, "And now.");
    scene.wait("document.querySelectorAll('.text').length === 4");
    scene.get("fake.send({ type: 'participant-joined', participant: '8', name: 'Hal' })");
    scene.wait("hyaline.room.participants.has('8')");
    assert_eq!(scene.get("document.querySelectorAll('.text').length"), json!(4));
    scene.assert_quiet();
}

#[test]
fn hands_are_seen_and_said() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        let tile = "document.querySelector('#tiles .tile')";
        scene.get("fake.tell('Bob', { type: 'hand', raised: true })");
        scene.wait(&format!("{tile}.getAttribute('aria-label') === 'Bob, hand raised'"));
        assert_eq!(
            scene.get(&format!(
                "[getComputedStyle({tile}.querySelector('.hand')).display, document.querySelector('#notices [data-code=hand-1]').textContent]"
            )),
            json!(["block", "Bob raises a hand."])
        );
        scene.get("fake.tell('Bob', { type: 'hand', raised: false })");
        scene.wait(&format!(
            "{tile}.getAttribute('aria-label') === 'Bob' && !document.querySelector('[data-code=hand-1]')"
        ));
        let own = "[document.querySelector('#hand').ariaPressed, document.querySelector('#own').classList.contains('raised')]";
        scene.page.press("h").unwrap();
        scene.wait("fake.said('hand').at(-1)?.raised");
        assert_eq!(scene.get(own), json!(["true", true]), "{kind}");
        scene.page.click("#hand").unwrap();
        scene.wait("fake.said('hand').at(-1).raised === false");
        assert_eq!(scene.get(own), json!(["false", false]), "{kind}");
        assert_eq!(scene.get("fake.sent('hand').length"), json!(0), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn who_comes_and_who_comes_back_knows_the_hands() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        scene.page.press("h").unwrap();
        scene.wait("fake.said('hand').length === 1");
        // Somebody new asks, and is told alone; and whoever asks again at once is told a little later.
        scene.get("void fake.arrive({ name: 'Cleo' })");
        scene.wait("hyaline.room.participants.size === 2");
        scene.get("void (fake.heard.length = 0)");
        let asks = json!({ "type": "state", "hand": true, "files": [], "reply": true });
        scene.get(&format!("fake.tell('Cleo', {asks})"));
        scene.wait("fake.heard.length === 1 && hyaline.room.participants.get(fake.id('Cleo')).hand");
        let answer = json!({ "to": ["2"], "type": "state", "hand": true, "files": [], "reply": false });
        assert_eq!(scene.get("fake.heard[0]"), answer, "{kind}");
        // A hand that was up before is shown, and no news.
        assert_eq!(
            scene.get("[...document.querySelectorAll('.tile.raised')].map(tile => tile.querySelector('.label').textContent.trim())"),
            json!(["Cleo", "Ada (you)"]),
            "{kind}"
        );
        assert_eq!(scene.get("document.querySelector('[data-code=hand-2]')"), json!(null));
        scene.get(&format!("(fake.tell('Cleo', {asks}), fake.tell('Cleo', {asks}))"));
        say(&scene, "Cleo", 1, "Twice.");
        scene.wait("document.querySelectorAll('.text').length === 1");
        scene.pass(Duration::from_secs(2));
        say(&scene, "Cleo", 2, "And now?");
        scene.wait("document.querySelectorAll('.text').length === 2 && fake.said('state').length >= 2");
        scene.rest();
        assert_eq!(scene.get("fake.said('state').length"), json!(2), "{kind}");
        // We ourselves are away, and come back to a room that knows nothing of us.
        scene.get("void (fake.heard.length = 0, fake.drop())");
        scene.wait("fake.sent('join').length === 2");
        scene.wait("hyaline.room.talk === 'open' && fake.said('state').length > 0");
        assert_eq!(
            scene.get("fake.said('state')[0]"),
            json!({ "to": [], "type": "state", "hand": true, "files": [], "reply": true }),
            "{kind}"
        );
        assert_eq!(scene.get("document.querySelector('#hand').ariaPressed"), json!("true"));
        assert_eq!(
            scene.get("[...hyaline.room.participants.values()].map(({ hand }) => hand)"),
            json!([false, false])
        );
        scene.get("fake.tell('Bob', { type: 'state', hand: true, files: [], reply: false })");
        scene.wait("hyaline.room.participants.get('1').hand");
        scene.assert_quiet();
    }
}

#[test]
fn a_channel_that_is_closed_is_opened_again() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        scene.page.press("h").unwrap();
        scene.get("void hyaline.room.say('before')");
        scene.wait("fake.said('chat').length === 1");
        scene.get(
            "void hyaline.room.addEventListener('talk', ({ detail }) => {
                if (detail === 'closed') hyaline.room.say('meanwhile');
            }, { once: true })",
        );
        scene.get("void (fake.heard.length = 0, fake.lines.room.close())");
        scene.wait("hyaline.room.talk === 'open' && fake.said('chat').length === 2");
        // What we are is told first; what may have been lost is said once more, by the same id.
        assert_eq!(
            scene.get("fake.heard.map(({ type, hand, reply, text }) => [type, hand ?? text, reply ?? null])"),
            json!([
                ["state", true, true],
                ["chat", "before", null],
                ["chat", "meanwhile", null]
            ]),
            "{kind}"
        );
        assert_eq!(
            scene.get("document.querySelectorAll('.text').length"),
            json!(2),
            "{kind}"
        );
        assert_eq!(
            scene.get("fake.opened.filter(label => label === 'room').length"),
            json!(2)
        );
        // What is long past is not.
        scene.pass(Duration::from_secs(121));
        scene.get("void (fake.heard.length = 0, fake.lines.room.close())");
        scene.wait("fake.opened.filter(label => label === 'room').length === 3 && fake.heard.length > 0");
        scene.get("void hyaline.room.say('later')");
        scene.wait("fake.said('chat').length > 0");
        assert_eq!(
            scene.get("fake.said('chat').map(({ text }) => text)"),
            json!(["later"]),
            "{kind}"
        );
        // Nothing was negotiated for it.
        assert_eq!(scene.get("fake.sent('offer').length"), json!(1), "{kind}");
        scene.assert_quiet();
    }
}

/// Who cannot come back at once keeps what there is.
#[test]
fn without_a_line_no_call_is_given_up_for_its_data_channels() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        scene.get("void fake.abort()");
        scene.wait("hyaline.room.talk === 'closed'");
        scene.get("void (fake.noWebSocket = true, fake.cut())");
        scene.wait("hyaline.room.interrupted");
        scene.pass(Duration::from_secs(25));
        assert_eq!(
            scene.get("[hyaline.room.state, document.body.dataset.path, fake.sent('join').length]"),
            json!(["joined", "connected", 1]),
            "{kind}"
        );
        scene.get("void (fake.noWebSocket = false)");
        scene.pass(Duration::from_secs(4));
        scene.wait("!hyaline.room.interrupted");
        scene.pass(Duration::from_secs(20));
        scene.wait(&format!("fake.sent('join').length === 2 && {OPEN}"));
        scene.assert_quiet();
    }
}

/// To join anew helps nobody whose network lets none through.
#[test]
fn where_data_channels_never_open_there_is_a_call_without() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        scene.get(
            "(() => {
                const { createDataChannel } = RTCPeerConnection.prototype;
                RTCPeerConnection.prototype.createDataChannel = function (...given) {
                    createDataChannel.apply(this, given);
                    return { readyState: 'connecting', close() {} };
                };
                fake.abort();
            })()",
        );
        scene.wait("hyaline.room.talk === 'closed'");
        scene.pass(Duration::from_secs(20));
        scene.wait("fake.sent('join').length === 2 && document.body.dataset.path === 'connected'");
        scene.pass(Duration::from_secs(900));
        assert_eq!(
            scene.get("[hyaline.room.state, hyaline.room.talk, fake.sent('join').length]"),
            json!(["joined", "closed", 2]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

/// Sound and picture go on, and who comes back for the chat alone does so ever more rarely.
#[test]
fn when_data_channels_end_for_good_the_room_is_joined_anew() {
    for kind in BOTH {
        let scene = in_room(kind, &["Bob"]);
        let count = || scene.get("fake.sent('join').length");
        let pass = |seconds| scene.pass(Duration::from_secs(seconds));
        let back = |times: u32| {
            scene.wait(&format!(
                "fake.sent('join').length === {times} && {OPEN} && document.body.dataset.path === 'connected'"
            ));
        };
        let abort = || {
            scene.get("void fake.abort()");
            scene.wait("hyaline.room.talk === 'closed'");
        };
        let told = "document.querySelector('[data-code=data-lost]')?.textContent === 'Chat and files were cut off. The room is joined anew for them.'";
        abort();
        scene.get("void (fake.heard.length = 0, hyaline.room.say('meanwhile'))");
        pass(18);
        assert_eq!(
            scene.get("[hyaline.room.state, fake.sent('leave').length]"),
            json!(["joined", 0]),
            "{kind}"
        );
        pass(2);
        back(2);
        scene.wait(&format!("{told} && fake.said('chat').length === 1"));
        // The others see no ghost beside us.
        assert_eq!(scene.get("fake.sent('leave').length"), json!(1), "{kind}");
        // It has time to open after the path is back.
        abort();
        pass(50);
        scene.get("void fake.caller.onconnectionstatechange()");
        pass(58);
        assert_eq!(count(), json!(2), "{kind}");
        pass(2);
        back(3);
        abort();
        pass(298);
        assert_eq!(count(), json!(3), "{kind}");
        pass(2);
        back(4);
        // That was enough.
        abort();
        pass(700);
        assert_eq!(
            scene.get("[hyaline.room.state, hyaline.room.talk]"),
            json!(["joined", "closed"]),
            "{kind}"
        );
        assert_eq!(count(), json!(4), "{kind}");
        // Long after that it is the first time again; what ends the call is not taken for it.
        scene.get("void fake.drop()");
        back(5);
        abort();
        scene.get("fake.send({ type: 'bye', reason: 'kicked', message: 'Somebody decided it.' })");
        scene.wait("!document.querySelector('#end').hidden");
        pass(30);
        assert_eq!(scene.get("hyaline.room.state"), json!("left"), "{kind}");
        assert_eq!(count(), json!(5), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn whose_channel_was_opened_again_hears_what_they_may_have_missed() {
    let scene = in_room(Kind::Chromium, &["Bob", "Cleo"]);
    let asks = json!({ "type": "state", "hand": false, "files": [], "reply": true });
    let chats = "fake.said('chat').map(({ to, text }) => [to.join(), text])";
    scene.get("void hyaline.room.say('before Bob was here')");
    scene.wait("fake.said('chat').length === 1");
    scene.get(&format!("fake.tell('Bob', {asks})"));
    scene.wait("fake.said('state').some(({ to }) => to.join() === '1')");
    scene.get(
        "void (hyaline.room.say('to all'), hyaline.room.say('to Bob', ['1']), hyaline.room.say('to Cleo', ['2']))",
    );
    scene.wait("fake.said('chat').length === 4");
    scene.pass(Duration::from_secs(2));
    scene.get("void (fake.heard.length = 0)");
    scene.get(&format!("fake.tell('Bob', {asks})"));
    scene.wait("fake.said('chat').length >= 2");
    scene.rest();
    assert_eq!(scene.get(chats), json!([["1", "to all"], ["1", "to Bob"]]));
    // What is long past is not said again.
    scene.pass(Duration::from_secs(121));
    scene.get("void (fake.heard.length = 0)");
    scene.get(&format!("fake.tell('Bob', {asks})"));
    scene.wait("fake.said('state').length === 1");
    scene.rest();
    assert_eq!(scene.get(chats), json!([]));
    scene.assert_quiet();
}

#[test]
fn what_cannot_wait_any_more_is_refused_and_stays_where_it_was_written() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    scene.page.press("c").unwrap();
    scene.wait("document.activeElement.id === 'text'");
    scene.get("void hyaline.room.say('sent')");
    scene.get(
        "void hyaline.room.addEventListener('talk', () => {
            for (let n = 0; n < 50; n++) hyaline.room.say(`${n}`);
            document.querySelector('#text').value = 'too much';
            document.querySelector('#say').requestSubmit();
        }, { once: true })",
    );
    scene.get("void (fake.heard.length = 0, fake.lines.room.close())");
    scene.wait("document.querySelector('[data-code=too-much-unsent]')?.textContent === 'Too much waits to be sent already. Say it when you are connected again.'");
    assert_eq!(scene.get("document.querySelector('#text').value"), json!("too much"));
    scene.wait("hyaline.room.talk === 'open' && fake.said('chat').length === 50");
    assert_eq!(
        scene.get("fake.said('chat').every(({ text }, n) => text === `${n}`)"),
        json!(true)
    );
    scene.assert_quiet();
}

#[test]
fn files_that_are_gone_do_not_pile_up() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    scene.get(
        "void Array.from({ length: 505 }, (_, n) => {
            const id = String(n).padStart(32, '0');
            fake.tell('Bob', { type: 'file', id, name: `${n}.txt`, size: 1, mime: '' });
            if (n !== 1) fake.tell('Bob', { type: 'file-gone', id });
        })",
    );
    say(&scene, "Bob", 1, "That was all.");
    scene.wait("document.querySelectorAll('.text').length === 1");
    // 504 are gone; that which is not stays.
    assert_eq!(
        scene.get("[...document.querySelectorAll('.file-name')].map(({ textContent }) => textContent).slice(0, 3).concat(document.querySelectorAll('.file').length)"),
        json!(["1.txt", "5.txt", "6.txt", 501])
    );
    // What happens to one whose entry is gone brings no entry back.
    scene.get("void fake.depart('Bob')");
    scene.wait("hyaline.room.participants.size === 0");
    assert_eq!(scene.get("document.querySelectorAll('.file').length"), json!(501));
    scene.assert_quiet();
}

/// However much comes at once, and whether the log follows it is the person's choice.
#[test]
fn the_end_of_the_log_is_shown_until_the_person_looks_back() {
    for kind in BOTH {
        let scene = in_room(kind, &["P0", "P1", "P2", "P3", "P4", "P5"]);
        scene.page.press("c").unwrap();
        scene.wait("document.activeElement.id === 'text'");
        scene.get(
            "void (globalThis.heights = 0, (height => Object.defineProperty(document.querySelector('#log'), 'scrollHeight', {
                get() { heights++; return height.get.call(this); },
            }))(Object.getOwnPropertyDescriptor(Element.prototype, 'scrollHeight')))",
        );
        let share = |from: u32, to: u32| {
            scene.get(&format!(
                "void Array.from({{ length: {to} - {from} }}, (_, n) => String(n + {from})).forEach(n =>
                    fake.tell(`P${{Math.floor(n / 100)}}`, {{ type: 'file', id: n.padStart(32, '0'), name: `${{n}}.txt`, size: 1, mime: '' }}))"
            ));
            scene.wait(&format!("document.querySelectorAll('.file').length === {to}"));
        };
        let frames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))";
        let from_end = format!(
            "(async () => (await {frames}, (log => log.scrollHeight - log.clientHeight - log.scrollTop)(document.querySelector('#log'))))()"
        );
        share(0, 500);
        assert!(scene.get(&from_end).as_f64().unwrap().abs() < 2.0, "{kind}");
        // In one task, which has no more than one frame behind it.
        scene.get("void (heights = 0, Array.from({ length: 100 }, (_, n) => hyaline.room.say(`${n}`)))");
        assert!(scene.get(&from_end).as_f64().unwrap().abs() < 2.0, "{kind}");
        let asked = scene.get("heights").as_u64().unwrap();
        assert!(asked < 10, "{kind}: {asked}");
        // Who looks back stays there, and is told that there is more.
        scene.get("void (document.querySelector('#log').scrollTop = 100)");
        scene.get(frames);
        share(500, 520);
        assert_eq!(
            scene.get("[document.querySelector('#log').scrollTop, document.querySelector('#latest').hidden]"),
            json!([100, false]),
            "{kind}"
        );
        scene.page.click("#latest").unwrap();
        assert!(scene.get(&from_end).as_f64().unwrap().abs() < 2.0, "{kind}");
        share(520, 530);
        assert!(scene.get(&from_end).as_f64().unwrap().abs() < 2.0, "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn without_data_channels_the_room_works_and_says_what_does_not() {
    let button = "document.querySelector('#chat-button')";
    let silent = "[document.querySelector('#chat-button'), document.querySelector('#hand')].map(({ ariaDisabled, title }) => [ariaDisabled, title])";
    let reason = "Chat, files and raised hands do not work here: this browser or the server has no data channels.";
    for kind in BOTH {
        // The server rejects the section, or the browser has none.
        for lacks in ["server", "browser"] {
            let scenario = json!({ "people": [{ "name": "Bob" }], "noData": lacks == "server", "lacksChannels": lacks == "browser" });
            let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &scenario);
            scene.wait("document.body.dataset.path === 'connected' && hyaline.room.talk === 'unavailable'");
            scene.wait("document.querySelector('#tiles .pictured:not(#own)')");
            assert_eq!(
                scene.get(silent),
                json!([["true", reason], ["true", reason]]),
                "{kind} {lacks}"
            );
            for key in ["h", "c"] {
                scene.page.press(key).unwrap();
                scene.wait(&format!(
                    "document.querySelector('[data-code=talk-unavailable]')?.textContent === {reason:?}"
                ));
                scene.pass(Duration::from_secs(9));
            }
            scene.get(&format!("void ({button}.click(), hyaline.room.say('x'))"));
            assert_eq!(
                scene.get("[hyaline.room.hand, document.querySelector('#chat').hidden, document.querySelectorAll('.text').length]"),
                json!([false, true, 0]),
                "{kind} {lacks}"
            );
            // More people are met as ever.
            scene.get("fake.send({ type: 'need', audio: 5, video: 5 })");
            scene.wait("fake.slots.length === 16");
            assert_eq!(
                scene.get("[hyaline.room.state, hyaline.room.talk]"),
                json!(["joined", "unavailable"])
            );
            scene.assert_quiet();
        }
    }
}

/// On a phone the chat covers all else, and what is beneath is out of reach; nothing is wider than the window.
#[test]
fn the_chat_fits_a_small_phone() {
    let scene = in_room(Kind::Chromium, &["Bob"]);
    scene.show_in(Viewport {
        width: 360,
        height: 640,
        ..Viewport::PHONE
    });
    let outside =
        "[...document.querySelectorAll('#call *')].filter(element => element.checkVisibility()).filter(element => {
        const { left, right, width } = element.getBoundingClientRect();
        return width > 0 && (left < -0.5 || right > 360.5) && !element.closest('.unseen, svg');
    }).map(element => element.outerHTML.slice(0, 80))";
    assert_eq!(scene.get(outside), json!([]));
    scene.page.click("#chat-button").unwrap();
    let file = json!({ "type": "file", "id": "f".repeat(32), "name": "W".repeat(100), "size": 5_000_000, "mime": "" });
    scene.get(&format!("fake.tell('Bob', {file})"));
    say(&scene, "Bob", 1, &"W".repeat(300));
    scene.wait("document.querySelectorAll('.text, .file').length === 2");
    assert_eq!(scene.get(outside), json!([]));
    // Fingers are broad.
    assert_eq!(
        scene.get(
            "[...document.querySelectorAll('#chat button, #text')].filter(element => element.checkVisibility()).filter(element => {
                const { width, height } = element.getBoundingClientRect();
                return width < 44 || height < 44;
            }).map(element => element.outerHTML.slice(0, 80))"
        ),
        json!([])
    );
    let beneath =
        "document.elementFromPoint(180, 20).closest('#chat') !== null && document.querySelector('#tiles').inert";
    assert_eq!(scene.get(beneath), json!(true));
    scene.page.press("Escape").unwrap();
    assert_eq!(scene.get(beneath), json!(false));
    scene.assert_quiet();
}
