use browser_test::{Browser, Kind, Page};
use serde_json::json;

use crate::arena::Arena;
use crate::{BOTH, SOON};

/// A page of the server's origin without any of our script.
fn bare(arena: &Arena, browser: &Browser) -> Page {
    browser
        .open_with(&arena.url("/healthz"), include_str!("bare.js"))
        .unwrap()
}

fn wait(page: &Page, condition: &str) {
    page.wait_for(condition, SOON).unwrap_or_else(|error| panic!("{error}"));
}

fn run(page: &Page, expression: &str) -> serde_json::Value {
    page.evaluate(expression).unwrap_or_else(|error| panic!("{error}"))
}

/// Pictures are decoded and sound is heard, and both go on.
fn wait_to_see_and_hear(page: &Page) {
    wait(page, "(await bare.received('video'))?.framesDecoded > 20");
    wait(page, "(await bare.received('audio'))?.totalAudioEnergy > 0.001");
    let frames = run(page, "bare.received('video')")["framesDecoded"].as_u64().unwrap();
    wait(
        page,
        &format!("(await bare.received('video')).framesDecoded > {}", frames + 20),
    );
}

fn publish_and_play(publisher: Kind, viewer: Kind) {
    let arena = Arena::new();
    let (publishing, viewing) = (arena.launch(publisher), arena.launch(viewer));
    let stage = bare(&arena, &publishing);
    run(&stage, "bare.publish('/whip/stage')");
    wait(&stage, "bare.pc.connectionState === 'connected'");
    let seat = bare(&arena, &viewing);
    run(&seat, "bare.play('/whep/stage')");
    wait_to_see_and_hear(&seat);
    assert!(run(&stage, "bare.headers.etag").is_string(), "RFC 9725 §4.3.1.1");

    // A guest of the room sees the publisher too.
    let page = viewing.open(&arena.url("/r/stage?name=Ada&join=1")).unwrap();
    page.wait_for(
        "document.querySelector('video[data-participant]')?.videoWidth > 0",
        SOON,
    )
    .unwrap_or_else(|error| panic!("{error}"));

    assert_eq!(run(&seat, "bare.end()"), json!(200));
    assert_eq!(run(&stage, "bare.end()"), json!(200));
    page.wait_for("!document.querySelector('video[data-participant]')", SOON)
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn chromium_publishes_and_firefox_plays() {
    publish_and_play(Kind::Chromium, Kind::Firefox);
}

#[test]
fn firefox_publishes_and_chromium_plays() {
    publish_and_play(Kind::Firefox, Kind::Chromium);
}

#[test]
fn who_plays_before_anybody_publishes_sees_the_first_publisher() {
    for kind in BOTH {
        let arena = Arena::new();
        let browser = arena.launch(kind);
        let seat = bare(&arena, &browser);
        run(&seat, "bare.play('/whep/stage')");
        wait(&seat, "bare.pc.connectionState === 'connected'");
        let stage = bare(&arena, &browser);
        run(&stage, "bare.publish('/whip/stage')");
        wait_to_see_and_hear(&seat);
    }
}

#[test]
fn the_echo_sends_everything_back() {
    for kind in BOTH {
        let arena = Arena::new();
        let browser = arena.launch(kind);
        let page = bare(&arena, &browser);
        run(&page, "bare.echo('/v1/echo')");
        wait_to_see_and_hear(&page);
        // And the page that is made for it.
        let page = browser.open(&arena.url("/echo?start=1")).unwrap();
        wait(
            &page,
            "[...document.querySelectorAll('[data-check]')].every(line => line.dataset.state === 'good')",
        );
        wait(
            &page,
            "document.querySelector('#figures').textContent.includes('bit/s')",
        );
    }
}
