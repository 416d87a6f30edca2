//! The web page against a server that is played inside the page, so that every state can be had at will: what it sends, what it
//! shows, and what it says when something fails. (The page against the real server is in `tests/browsers`.)

mod access;
mod client;
mod echo;
mod failures;
mod panel;
mod resume;
mod room;
mod settings;
mod share;
mod simulcast;
mod site;
mod speakers;
mod stage;
mod tiles;

use std::time::Duration;

use browser_test::{Kind, Options, Page};
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
    /// In a browser that other tests have used, and will. The origin is new, and with it all that a browser keeps for a page.
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
