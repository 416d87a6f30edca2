//! DTLS in connectivity checks (SPED) with Chromium, which has it behind a field trial, 100 ms of round trip away.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use browser_test::{Browser, Kind, Options};
use dtls_srtp::{Certificate, RingCrypto, Role, Version};
use peer::SpedState;

use crate::SOON;
use crate::arena::Arena;
use crate::direct::{Call, Caller, DIRECT, FirstMedia, Told, meet_as};

/// In each direction.
const DELAY: Duration = Duration::from_millis(50);
const TRIAL: &str = "--force-fieldtrials=WebRTC-IceHandshakeDtls/Enabled/";
/// Ours is DTLS client or server, and offers or answers.
const CALLS: [(Role, bool); 4] = [
    (Role::Client, true),
    (Role::Client, false),
    (Role::Server, true),
    (Role::Server, false),
];
/// A browser that does not get to run for a while makes round trips that the protocol does not need: the fewest of so
/// many calls are what it needs.
const ATTEMPTS: usize = 4;

/// Chromium and who calls it.
struct Ends {
    arena: Arena,
    browser: Browser,
    /// Whether Chromium has SPED, and whether ours has it.
    theirs: bool,
    ours: bool,
}

impl Ends {
    fn new(theirs: bool, ours: bool) -> Self {
        let arena = Arena::new();
        let options = Options {
            flags: theirs.then(|| TRIAL.to_owned()).into_iter().collect(),
            ..Options::within(&arena.network)
        };
        let browser = Browser::launch(Kind::Chromium, &options).unwrap_or_else(|error| panic!("{error}"));
        Self {
            arena,
            browser,
            theirs,
            ours,
        }
    }

    /// One call with ours in this role: when its first sound left, and what came of SPED.
    fn call(&self, role: Role, ours_offers: bool) -> (FirstMedia, Option<SpedState>) {
        let page = self.browser.open_with(&self.arena.url("/healthz"), DIRECT).unwrap();
        let caller = Caller::far(&self.arena, DELAY, |config| {
            config.sped = self.ours;
            config.dtls = Arc::new(dtls_srtp::Config {
                versions: vec![Version::DTLS_1_3, Version::DTLS_1_2],
                ..dtls_srtp::Config::new(Arc::new(RingCrypto::new()), Certificate::generate().unwrap())
            });
            None
        });
        let called = Cell::new(None);
        meet_as(role, caller, &page, Kind::Chromium, Told::Both, ours_offers, |call| {
            let options = call.run("direct.pc.localDescription.sdp.match(/a=ice-options:.*/)[0].trim()");
            // An answer has what the offer had.
            let speaks = self.theirs && (self.ours || !ours_offers);
            assert_eq!(options.as_str().unwrap().contains("sped"), speaks, "{options}");
            called.set(Some(self.judge(call)));
        });
        let (first, state) = called.take().unwrap();
        println!(
            "SPED of Chromium: {}, of ours: {}; ours is {role:?} and offers: {ours_offers}: {} round trips, {:?}, {state:?}",
            self.theirs, self.ours, first.round_trips, first.time
        );
        (first, state)
    }

    /// Both hear each other: waits until nothing rides any more, which is with one of the next checks.
    fn judge(&self, call: &Call<'_>) -> (FirstMedia, Option<SpedState>) {
        let start = Instant::now();
        let is_over = |state| matches!(state, None | Some(SpedState::Complete | SpedState::Off));
        while !is_over(call.ours().peer.sped_state()) && start.elapsed() < SOON {
            std::thread::sleep(DELAY);
        }
        let ours = call.ours();
        assert_eq!(ours.secured().unwrap().version, "DTLS 1.3");
        let mut faults = BTreeMap::new();
        ours.peer.each_counter(&mut |name, value| {
            if value > 0 && name.starts_with("sped_") {
                faults.insert(name, value);
            }
        });
        assert_eq!(faults, BTreeMap::new());
        (ours.first_media().unwrap(), ours.peer.sped_state())
    }
}

/// The keys are there, and sound leaves, one round trip after our first check where ours is DTLS client, and two where it
/// is server.
#[test]
fn chromium_takes_part_in_it() {
    let ends = Ends::new(true, true);
    for (role, ours_offers) in CALLS {
        let most = if role == Role::Client { 1 } else { 2 };
        let mut needed = (0..ATTEMPTS).map(|_| {
            let (first, state) = ends.call(role, ours_offers);
            assert_eq!(state, Some(SpedState::Complete), "{role:?}, {ours_offers}");
            first.round_trips
        });
        assert!(
            needed.any(|round_trips| round_trips <= most),
            "{role:?}, {ours_offers}: never within {most} round trips"
        );
    }
}

/// Whoever of the two has it alone, the call comes about without.
#[test]
fn without_the_other_it_is_left_out() {
    for (theirs, ours) in [(false, true), (true, false)] {
        let ends = Ends::new(theirs, ours);
        for (role, ours_offers) in CALLS {
            let (first, state) = ends.call(role, ours_offers);
            assert_eq!(state, None, "{role:?}, {ours_offers}");
            // A check, the hello behind its answer, the handshake.
            assert!(first.round_trips >= 2, "{role:?}, {ours_offers}: {first:?}");
        }
    }
}
