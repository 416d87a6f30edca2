//! Timelines of Chromium 156 and Firefox 153, replayed in virtual time.

use super::*;
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use stun::{Message, is_stun};
use wire::Protocol;

struct Replay {
    agent: Agent,
    t0: Instant,
    log: Vec<Json>,
    protocol: Protocol,
    /// When each event came, in ms.
    events: Vec<(u64, Event)>,
    /// Responses by transaction.
    responses: HashMap<Vec<u8>, Vec<u8>>,
    checks: usize,
}

impl Replay {
    fn new(capture: &str) -> Self {
        let file = format!(
            "{}/../fixtures/stun/captures/{capture}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let json: Json = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let t0 = Instant::now();
        let mut agent = Agent::new(Config::default(), Seed::from_run(1), t0);
        agent
            .generations
            .set_newest(Credentials::new("Sfu1", "sfupasswordsfupassword12").unwrap());
        agent.set_remote_credentials(t0, Credentials::new("peer", &"p".repeat(22)).unwrap());
        assert_eq!(agent.poll_event(), Some(Event::StateChanged(State::Checking)));
        Self {
            agent,
            t0,
            log: json["log"].as_array().unwrap().clone(),
            protocol: if capture.ends_with("-tcp") {
                Protocol::Tcp
            } else {
                Protocol::Udp
            },
            events: Vec::new(),
            responses: HashMap::new(),
            checks: 0,
        }
    }

    fn path(&self, remote: &str) -> Path {
        Path {
            local: "192.0.2.2:4000".parse().unwrap(),
            remote: remote.parse::<SocketAddr>().unwrap(),
            protocol: self.protocol,
        }
    }

    fn drain(&mut self, ms: u64) {
        while let Some(event) = self.agent.poll_event() {
            self.events.push((ms, event));
        }
    }

    /// Lets the time pass, with every timer fired when it is due.
    fn advance(&mut self, ms: u64) {
        let now = self.t0 + Duration::from_millis(ms);
        while let Some(deadline) = self.agent.poll_timeout().filter(|deadline| *deadline <= now) {
            self.agent.handle_timeout(deadline);
            self.drain(u64::try_from((deadline - self.t0).as_millis()).unwrap());
        }
        self.agent.handle_timeout(now);
        self.drain(ms);
    }

    /// Plays the log and gives the time of its last datagram in ms.
    fn run(&mut self) -> u64 {
        let mut remote = String::new();
        let mut last = 0;
        for entry in std::mem::take(&mut self.log) {
            if let Some(from) = entry["src"].as_str().or_else(|| entry["accept"].as_str()) {
                from.clone_into(&mut remote);
            }
            let Some(hex) = entry["hex"].as_str() else { continue };
            let datagram: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            last = entry["ms"].as_f64().unwrap() as u64;
            self.advance(last);
            let (now, path) = (self.t0 + Duration::from_millis(last), self.path(&remote));
            if is_stun(&datagram) {
                self.check(now, &path, &datagram, entry["reply"].as_str());
            } else {
                assert!(self.agent.is_validated(&path));
                self.agent.note_activity(now, &path, Activity::Handshake);
            }
            self.drain(last);
        }
        last
    }

    fn check(&mut self, now: Instant, path: &Path, datagram: &[u8], recorded: Option<&str>) {
        self.checks += 1;
        self.agent.handle_datagram(now, path, datagram);
        let mut out = [0; MIN_OUT];
        let transmit = self.agent.poll_transmit(now, &mut out).unwrap();
        assert_eq!(transmit.path, *path);
        let response = &out[..transmit.len];
        // What the browser accepted then is what we answer, byte for byte.
        if let Some(recorded) = recorded {
            let hex: String = response.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, recorded);
        }
        // Retransmitted requests (Firefox) get the same response again.
        let id = Message::parse(datagram).unwrap().transaction_id();
        let before = self.responses.insert(id.0.to_vec(), response.to_vec());
        assert!(before.is_none_or(|before| before == response));
        assert_eq!(self.agent.poll_transmit(now, &mut out), None);
    }

    /// After the last datagram only a silent peer is left.
    fn assert_goes_away(&mut self, last_check: u64) {
        self.events.clear();
        self.advance(last_check + 60_000);
        let path = self.events.iter().find_map(|(_, event)| match event {
            Event::PathRemoved(path) => Some(*path),
            _ => None,
        });
        assert_eq!(
            self.events,
            [
                (last_check + 7_000, Event::StateChanged(State::Disconnected)),
                (last_check + 14_000, Event::PathRemoved(path.unwrap())),
                (last_check + 14_000, Event::StateChanged(State::Failed)),
            ]
        );
        assert_eq!((self.agent.selected(), self.agent.poll_timeout()), (None, None));
        assert_eq!(*self.agent.counters(), Counters::default());
    }
}

/// A call with one path: connected with the first check, and never otherwise until the peer is silent.
fn one_path(capture: &str, checks: usize) {
    let mut replay = Replay::new(capture);
    let log = replay.log.clone();
    let path = replay.path(log[0]["src"].as_str().unwrap());
    let last = replay.run();
    assert_eq!(replay.checks, checks);
    let at = replay.events[0].0;
    assert_eq!(
        replay.events,
        [
            (at, Event::PathValidated(path)),
            (at, Event::SelectedPath(path)),
            (at, Event::StateChanged(State::Connected)),
        ]
    );
    assert_eq!(replay.agent.selected(), Some(path));
    // ClientHellos prove nothing, nor do retransmissions, so the last new check counts.
    let mut ids = HashSet::new();
    let last_check = log
        .iter()
        .filter(|entry| {
            let check = entry["hex"].as_str().filter(|hex| hex.starts_with("0001"));
            check.is_some_and(|hex| ids.insert(hex[16..40].to_owned()))
        })
        .map(|entry| entry["ms"].as_f64().unwrap() as u64)
        .max();
    assert!(last >= last_check.unwrap());
    replay.assert_goes_away(last_check.unwrap());
}

#[test]
fn chromium_with_a_lite_server() {
    one_path("chromium-lite", 20);
}

#[test]
fn firefox_with_a_lite_server() {
    one_path("firefox-lite", 10);
}

#[test]
fn chromium_whose_answers_are_lost_goes_on_checking_for_15_s() {
    one_path("chromium-stop", 244);
}

#[test]
fn firefox_whose_answers_are_lost_goes_on_checking_for_20_s() {
    one_path("firefox-stop", 8);
}

#[test]
fn chromium_that_never_hears_us_sends_240_checks() {
    one_path("chromium-drop", 240);
}

#[test]
fn firefox_that_never_hears_us_retransmits_one_check() {
    let mut replay = Replay::new("firefox-drop");
    replay.run();
    assert_eq!((replay.checks, replay.responses.len()), (7, 1));
    one_path("firefox-drop", 7);
}

#[test]
fn late_answers() {
    one_path("chromium-delay", 7);
    one_path("firefox-delay", 3);
}

#[test]
fn browsers_that_take_us_for_a_full_agent() {
    one_path("chromium-full", 6);
    one_path("firefox-full", 2);
}

#[test]
fn checks_over_tcp() {
    for capture in ["chromium-tcp", "firefox-tcp"] {
        let mut replay = Replay::new(capture);
        replay.run();
        assert_eq!(replay.agent.selected().unwrap().protocol, Protocol::Tcp);
        assert_eq!(*replay.agent.counters(), Counters::default());
    }
}

#[test]
fn a_plain_check_on_another_path_does_not_move_chromium() {
    let mut replay = Replay::new("chromium-lo4flag");
    let (used, tried) = (replay.path("192.0.2.2:47773"), replay.path("127.0.0.1:59938"));
    replay.run();
    assert_eq!(replay.agent.selected(), Some(used));
    assert!(replay.agent.is_validated(&tried));
    let selections = replay
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::SelectedPath(_)));
    assert_eq!(selections.count(), 1);
    let nominated: Vec<_> = replay
        .agent
        .pairs()
        .map(|pair| (pair.path, pair.nominated, pair.selected))
        .collect();
    assert_eq!(nominated, [(used, true, true), (tried, false, false)]);
}
