use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::thread;

use browser_test::{Browser, Kind, Namespace, Options, Page};

/// Browsers that nobody uses just now: to start Firefox takes as long as to look at the page. With one test at a time
/// there is one of each kind at most.
static KEPT: Mutex<Vec<Set>> = Mutex::new(Vec::new());

/// A browser in a network of its own.
struct Set {
    kind: Kind,
    browser: Browser,
    network: Namespace,
}

/// Where a scene is played.
pub(crate) struct Stage {
    set: Option<Set>, // until it is dropped
    keep: bool,
}

impl Stage {
    /// A browser with the usual options, which is kept for the next test.
    pub(crate) fn kept(kind: Kind) -> Self {
        let set = take(kind).unwrap_or_else(|| Set::new(kind, &Options::default()));
        Self {
            set: Some(set),
            keep: true,
        }
    }

    /// A browser with options of its own, in place of the kept one: two at a time are enough for this machine.
    pub(crate) fn new(kind: Kind, options: &Options<'_>) -> Self {
        drop(take(kind));
        let set = Set::new(kind, options);
        Self {
            set: Some(set),
            keep: false,
        }
    }

    pub(crate) fn network(&self) -> &Namespace {
        &self.set().network
    }

    pub(crate) fn open(&self, url: &str, preload: &str) -> Page {
        let page = self.set().browser.open_with(url, preload);
        page.unwrap_or_else(|error| panic!("{error}"))
    }

    fn set(&self) -> &Set {
        self.set.as_ref().expect("is there until it is dropped")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What a failed test leaves behind is for nobody else.
        if self.keep && !thread::panicking() {
            kept().extend(self.set.take());
        }
    }
}

impl Set {
    fn new(kind: Kind, options: &Options<'_>) -> Self {
        let network = Namespace::with_address(Ipv4Addr::new(10, 66, 0, 2)).unwrap();
        let options = Options {
            namespace: Some(&network),
            ..options.clone()
        };
        let browser = Browser::launch(kind, &options).unwrap_or_else(|error| panic!("{error}"));
        Self { kind, browser, network }
    }
}

fn take(kind: Kind) -> Option<Set> {
    let mut kept = kept();
    let index = kept.iter().position(|set| set.kind == kind)?;
    Some(kept.swap_remove(index))
}

fn kept() -> std::sync::MutexGuard<'static, Vec<Set>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}
