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
mod tiles;

use std::net::Ipv4Addr;
use std::time::Duration;

use browser_test::{Browser, Kind, Namespace, Options, Page};
use serde_json::{Value, json};

use site::Site;

/// Everything here happens within a second or two; a machine under load is slower.
const SOON: Duration = Duration::from_secs(20);

/// A browser with the page in it, and the fake server in the page.
struct Scene {
    page: Page,
    _browser: Browser,
    _namespace: Namespace,
}

impl Scene {
    fn open(kind: Kind, path: &str, scenario: &Value) -> Self {
        Self::open_with(kind, path, scenario, &|_| Options::default())
    }

    fn open_with(kind: Kind, path: &str, scenario: &Value, options: &dyn Fn(&str) -> Options<'static>) -> Self {
        let namespace = Namespace::with_address(Ipv4Addr::new(10, 66, 0, 2)).unwrap();
        let site = Site::serve(&namespace, "127.0.0.1");
        let options = options(&site.origin);
        let browser = Browser::launch(
            kind,
            &Options {
                namespace: Some(&namespace),
                ..options
            },
        )
        .unwrap();
        let page = browser
            .open_with(&format!("{}{path}", site.origin), &fake_server(scenario))
            .unwrap();
        Self {
            page,
            _browser: browser,
            _namespace: namespace,
        }
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

fn fake_server(scenario: &Value) -> String {
    // Window-wide names of a preload script would meet the page's own.
    format!(
        "(() => {{ const scenario = {scenario};\n{}\n}})();",
        include_str!("fake_server.js")
    )
}

fn nobody() -> Value {
    json!({ "people": [] })
}

fn people(names: &[&str]) -> Value {
    json!({ "people": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() })
}
