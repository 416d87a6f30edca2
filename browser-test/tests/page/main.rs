//! The web page against a server that is played inside the page, so that every state can be had at will: what it sends,
//! what it shows, and what it says when something fails. (The page against the real server is in `tests/browsers`.)
//!
//! No test sleeps: the page's time passes at a test's word (`clock.js`).
// Long tables in `json!`.
#![recursion_limit = "256"]

mod access;
mod client;
mod echo;
mod failures;
mod files;
mod panel;
mod receiving;
mod resume;
mod room;
mod sending;
mod settings;
mod share;
mod simulcast;
mod site;
mod speakers;
mod stage;
mod talk;
mod tiles;

use std::time::Duration;

use browser_test::{Kind, Options, Page, Viewport};
use serde_json::{Value, json};

use site::{Site, fake_server};
use stage::Stage;

/// Everything here happens within a second or two; a machine under load is slower.
const SOON: Duration = Duration::from_secs(20);

/// A browser with the page in it, and the fake server in the page.
struct Scene {
    page: Page,
    _stage: Stage,
}

impl Scene {
    /// In a browser that other tests have used, and will. The origin is new, and with it all that a browser keeps for a
    /// page.
    fn open(kind: Kind, path: &str, scenario: &Value) -> Self {
        Self::open_at("127.0.0.1", Stage::kept(kind), path, scenario)
    }

    /// In a browser that is started for it.
    fn open_with(kind: Kind, path: &str, scenario: &Value, options: &Options<'_>) -> Self {
        Self::open_at("127.0.0.1", Stage::new(kind, options), path, scenario)
    }

    fn open_at(host: &str, stage: Stage, path: &str, scenario: &Value) -> Self {
        let site = Site::serve(stage.network(), host);
        let page = stage.open(&format!("{}{path}", site.origin), &fake_server(scenario));
        Self { page, _stage: stage }
    }

    fn wait(&self, condition: &str) -> Value {
        self.page
            .wait_for(condition, SOON)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn get(&self, expression: &str) -> Value {
        self.page.evaluate(expression).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Shows it in such a window, and waits until the layout has followed: what is asked for in a frame that has the
    /// new size is done in the next one.
    fn show_in(&self, viewport: Viewport) {
        self.page.set_viewport(viewport).unwrap();
        let Viewport { width, height, .. } = viewport;
        self.wait(&format!("innerWidth === {width} && innerHeight === {height}"));
        self.get(
            "(async () => { for (let frame = 0; frame < 3; frame++) await new Promise(done => requestAnimationFrame(done)); })()",
        );
    }

    /// Lets time pass in the page, at once, with all that happens by then.
    fn pass(&self, time: Duration) {
        self.get(&format!("fake.clock.pass({})", time.as_millis()));
    }

    /// Waits until what was begun has come to its end: the fake server has answered, and the page has done what that
    /// asks for.
    fn rest(&self) {
        self.get("fake.clock.rest()");
    }

    /// Nothing on the console that a person would call an error.
    fn assert_quiet(&self) {
        let loud: Vec<_> = self.page.take_console().unwrap();
        let loud: Vec<_> = loud
            .iter()
            .filter(|line| matches!(line.level.as_str(), "error" | "exception"))
            .collect();
        assert!(loud.is_empty(), "{loud:?}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // The browser is for the next test. If it is gone, that says so.
        let _ = self.page.close();
    }
}

fn nobody() -> Value {
    json!({ "people": [] })
}

fn people(names: &[&str]) -> Value {
    json!({ "people": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() })
}
