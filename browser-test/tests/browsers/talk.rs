//! What people in a room say to each other past the server, which passes it on: the chat, hands, and files.

use std::time::{Duration, Instant};

use browser_test::{Kind, Namespace};
use serde_json::json;

use crate::arena::{Arena, Guest};
use crate::{BOTH, SOON};

/// A file takes its time, and so does finding the way back.
const PATIENCE: Duration = Duration::from_secs(90);
const MEGABYTE: u32 = 1 << 20;

fn join(arena: &Arena, kind: Kind, name: &str) -> Guest {
    let guest = Guest::join(arena.launch(kind), &arena.url(""), name, include_str!("talk.js"));
    guest.wait("hyaline.room.talk === 'open'", SOON);
    guest
}

fn join_from(arena: &Arena, neighbour: &Namespace, kind: Kind, name: &str) -> Guest {
    let guest = arena.join_from(neighbour, kind, name, include_str!("talk.js"));
    guest.wait("hyaline.room.talk === 'open'", SOON);
    guest
}

fn hand(name: &str) -> String {
    format!("[...hyaline.room.participants.values()].find(({{ name }}) => name === {name:?})?.hand")
}

fn say(guest: &Guest, text: &str) {
    guest.page.press("c").unwrap();
    guest.wait("document.activeElement.id === 'text'", SOON);
    guest.get(&format!("void (document.querySelector('#text').value = {text:?})"));
    guest.page.press("Enter").unwrap();
    guest.page.press("Escape").unwrap();
}

/// Gets a file as a person does: by its button.
fn fetch(guest: &Guest, name: &str) {
    guest.wait(&format!("talk.file({name:?})"), SOON);
    if guest.get("document.querySelector('#chat').hidden") == json!(true) {
        guest.page.press("c").unwrap();
    }
    guest.page.click(&format!("[aria-label=\"Download: {name}\"]")).unwrap();
}

#[test]
fn people_talk_and_raise_their_hands() {
    for (first, second) in [
        (Kind::Chromium, Kind::Firefox),
        (Kind::Firefox, Kind::Chromium),
        (Kind::Firefox, Kind::Firefox),
    ] {
        let arena = Arena::new();
        let ada = join(&arena, first, "Ada");
        let bob = join(&arena, second, "Bob");
        ada.wait(&format!("{} === false", hand("Bob")), SOON);
        bob.wait(&format!("{} === false", hand("Ada")), SOON);
        say(&ada, "Good morning, Bob.");
        bob.wait("talk.turns().length === 1", SOON);
        say(&bob, "Good morning. 🙋");
        ada.wait("talk.turns().length === 2", SOON);
        ada.page.press("h").unwrap();
        bob.wait(&hand("Ada"), SOON);
        // Somebody who comes later knows the hand, and not what was said before.
        let cleo = join(&arena, Kind::Chromium, "Cleo");
        cleo.wait(&format!("{} && {} === false", hand("Ada"), hand("Bob")), SOON);
        say(&cleo, "What did I miss?");
        for guest in [&ada, &bob] {
            guest.wait("talk.turns().length === 3", SOON);
        }
        // For one alone: the other one hears what is said after it, and not that.
        bob.get("hyaline.room.say('Nothing.', [[...hyaline.room.participants.values()].find(({ name }) => name === 'Cleo').id])");
        cleo.wait("talk.turns().length === 2", SOON);
        bob.get("hyaline.room.say('Have some tea.')");
        for guest in [&ada, &cleo] {
            guest.wait("talk.turns().at(-1).at(-1) === 'Have some tea.'", SOON);
        }
        assert_eq!(
            ada.get("talk.turns()"),
            json!([
                ["You", "Good morning, Bob."],
                ["Bob", "Good morning. 🙋"],
                ["Cleo", "What did I miss?"],
                ["Bob", "Have some tea."]
            ])
        );
        assert_eq!(
            cleo.get("talk.turns()"),
            json!([
                ["You", "What did I miss?"],
                ["Bob (to you alone)", "Nothing."],
                ["Bob", "Have some tea."]
            ])
        );
        // The hand goes down for all, and who reloads asks anew.
        ada.page.press("h").unwrap();
        for guest in [&bob, &cleo] {
            guest.wait(&format!("{} === false", hand("Ada")), SOON);
        }
        cleo.page.press("h").unwrap();
        bob.wait(&hand("Cleo"), SOON);
        ada.page.reload().unwrap();
        ada.wait(
            &format!(
                "document.readyState === 'complete' && {} && {} === false",
                hand("Cleo"),
                hand("Bob")
            ),
            PATIENCE,
        );
        for guest in [&ada, &bob, &cleo] {
            guest.assert_quiet();
        }
    }
}

#[test]
fn one_file_goes_to_two_at_once() {
    for kind in BOTH {
        let arena = Arena::new();
        let ada = join(&arena, kind, "Ada");
        let others = [join(&arena, Kind::Chromium, "Bob"), join(&arena, Kind::Firefox, "Cleo")];
        let hash = ada.get(&format!("talk.offer('tea.bin', {}, {MEGABYTE})", 5 * MEGABYTE + 12_345));
        for guest in &others {
            fetch(guest, "tea.bin");
        }
        // Both are under way before the whole can be sent.
        ada.wait("talk.file('tea.bin').receiving === 2", SOON);
        ada.get("talk.gate()");
        for guest in &others {
            let came = guest.wait("talk.come('tea.bin')", PATIENCE);
            assert_eq!(came, hash, "{kind}: {}", guest.name);
            guest.wait("talk.saved.join() === 'tea.bin'", SOON);
        }
        ada.wait(
            "(file => file.holders === 2 && file.receiving === 0)(talk.file('tea.bin'))",
            SOON,
        );
        for guest in others.iter().chain([&ada]) {
            guest.assert_quiet();
        }
    }
}

/// Both of them have lost everything but their pages.
#[test]
fn a_file_goes_on_when_the_server_is_back() {
    for kind in BOTH {
        let arena = Arena::new();
        let ada = join(&arena, kind, "Ada");
        let bob = join(&arena, Kind::Chromium, "Bob");
        let hash = ada.get(&format!("talk.offer('tea.bin', {}, {})", 5 * MEGABYTE, 2 * MEGABYTE));
        fetch(&bob, "tea.bin");
        bob.wait(&format!("talk.file('tea.bin').done === {}", 2 * MEGABYTE), SOON);
        let Arena { server, network } = arena;
        let http = server.http_addr();
        server.shutdown();
        for guest in [&ada, &bob] {
            guest.wait("hyaline.room.state === 'returning'", SOON);
        }
        assert_eq!(bob.get("talk.file('tea.bin').state"), json!("absent"), "{kind}");
        let arena = Arena::with(network, |options| options.http = http);
        bob.wait("talk.file('tea.bin').state === 'coming'", PATIENCE);
        assert_eq!(bob.get("talk.file('tea.bin').done"), json!(2 * MEGABYTE), "{kind}");
        ada.get("talk.gate()");
        assert_eq!(bob.wait("talk.come('tea.bin')", PATIENCE), hash, "{kind}");
        drop(arena);
    }
}

/// The receiver's machine is without a network for so long that the server gives it up; or gets another address.
#[test]
fn a_file_goes_on_when_the_receivers_network_is_back() {
    for (kind, gone) in [(Kind::Chromium, true), (Kind::Firefox, false), (Kind::Chromium, false)] {
        let (arena, far) = Arena::with_neighbour();
        let ada = join(&arena, Kind::Chromium, "Ada");
        let bob = join_from(&arena, &far, kind, "Bob");
        let hash = ada.get(&format!("talk.offer('tea.bin', {}, {})", 5 * MEGABYTE, 2 * MEGABYTE));
        fetch(&bob, "tea.bin");
        bob.wait(&format!("talk.file('tea.bin').done === {}", 2 * MEGABYTE), SOON);
        let id = bob.get("hyaline.room.id");
        if gone {
            far.ip(&["link", "set", "j0", "down"]).unwrap();
            ada.get("talk.gate()");
            ada.wait("hyaline.room.participants.size === 0", PATIENCE);
            far.ip(&["link", "set", "j0", "up"]).unwrap();
            bob.wait(
                &format!("hyaline.room.state === 'joined' && hyaline.room.id !== {id}"),
                PATIENCE,
            );
        } else {
            far.ip(&["addr", "del", "10.55.1.2/24", "dev", "j0"]).unwrap();
            far.ip(&["addr", "add", "10.55.1.3/24", "dev", "j0"]).unwrap();
            ada.get("talk.gate()");
        }
        assert_eq!(bob.wait("talk.come('tea.bin')", PATIENCE), hash, "{kind}");
        // Firefox takes its DTLS for failed when it sends data while it has no address, and joins anew.
        if kind == Kind::Chromium {
            assert_eq!(bob.get("hyaline.room.id") == id, !gone, "{kind}");
        }
    }
}

/// Its data channels are gone for good, and sound and picture are not. Chromium is the one that does not tell.
#[test]
fn whose_channels_alone_are_aborted_comes_back() {
    let arena = Arena::new();
    let ada = join(&arena, Kind::Chromium, "Ada");
    let bob = join(&arena, Kind::Chromium, "Bob");
    bob.wait(&format!("{} === false", hand("Ada")), SOON);
    let before = ada.get("hyaline.room.id");
    ada.get("void (talk.cut = true, dispatchEvent(new Event('online')))");
    ada.wait("hyaline.room.talk === 'closed'", SOON);
    ada.wait(
        &format!("hyaline.room.talk === 'open' && hyaline.room.id !== {before}"),
        PATIENCE,
    );
    say(&ada, "Here I am again.");
    bob.wait("talk.turns().length === 1", SOON);
    assert_eq!(bob.get("hyaline.room.participants.size"), json!(1));
}

/// What must not get lost does not wait for ever either: the server closes the channel of who is too slow for it, and nobody else
/// notices. It is opened again when it can be, and what was said meanwhile is heard.
#[test]
fn who_is_too_slow_for_the_chat_catches_up() {
    let (arena, far) = Arena::with_neighbour();
    let ada = join(&arena, Kind::Chromium, "Ada");
    let cleo = join(&arena, Kind::Chromium, "Cleo");
    let bob = join_from(&arena, &far, Kind::Firefox, "Bob");
    bob.wait(&format!("{} === false", hand("Ada")), SOON);
    far.limit_arriving_udp("j0", 100).unwrap();
    ada.get(&format!("talk.flood({})", 8 * MEGABYTE));
    let closed = || arena.metrics()["hyaline_slow_channels_closed_total"];
    let start = Instant::now();
    while closed() == 0.0 {
        assert!(start.elapsed() < SOON, "the channel is not closed");
    }
    say(&ada, "Are you there, Bob?");
    cleo.wait("talk.turns().length === 1", SOON);
    assert_eq!(bob.get("talk.turns().length"), json!(0));
    far.limit_arriving_udp("j0", 0).unwrap();
    bob.wait("talk.turns().length === 1", PATIENCE);
    say(&bob, "Here I am.");
    for guest in [&ada, &cleo] {
        guest.wait("talk.turns().length === 2", SOON);
    }
    assert_eq!(closed(), 1.0);
}
