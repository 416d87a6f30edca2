//! Data channels with browsers.

use std::time::Duration;

use browser_test::{Browser, Kind, Page};
use serde_json::{Value, json};

use crate::BOTH;
use crate::arena::Arena;

/// A file takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A page that is connected to the echo.
fn echo(arena: &Arena, browser: &Browser) -> Page {
    let page = browser
        .open_with(&arena.url("/healthz"), include_str!("data.js"))
        .unwrap();
    let answer = run(&page, "data.connect('/v1/echo')");
    assert!(answer.as_str().unwrap().contains("m=application 9"), "{answer}");
    page
}

fn run(page: &Page, expression: &str) -> Value {
    page.evaluate_within(expression, PATIENCE)
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn messages_of_every_kind_and_size_come_back() {
    for kind in BOTH {
        let arena = Arena::new();
        let browser = arena.launch(kind);
        let page = echo(&arena, &browser);
        assert_eq!(
            run(&page, "data.echoKinds([0, 1, 2, 1000, 1200, 16384, 65536, 262144])"),
            json!([]),
            "{kind:?}"
        );
        if kind == Kind::Firefox {
            assert_eq!(run(&page, "data.echoAll(data.first, [4194304])"), json!([]));
        }
    }
}

#[test]
fn a_file_comes_back() {
    let megabytes = 200;
    for kind in BOTH {
        let arena = Arena::new();
        let browser = arena.launch(kind);
        let page = echo(&arena, &browser);
        let result = run(&page, &format!("data.file({megabytes} << 20, 65536)"));
        println!("{kind:?}: {megabytes} MB there and back in {} s", result["seconds"]);
        assert_eq!(
            (&result["wrong"], &result["came"]),
            (&json!(0), &json!(megabytes << 20))
        );
    }
}

#[test]
fn channels_are_closed_and_their_numbers_used_again() {
    for kind in BOTH {
        let arena = Arena::new();
        let browser = arena.launch(kind);
        let page = echo(&arena, &browser);
        assert_eq!(run(&page, "data.many(100)"), json!([]), "{kind:?}");
        // All numbers are free again.
        assert_eq!(run(&page, "data.many(1000)"), json!([]), "{kind:?}");
    }
}
