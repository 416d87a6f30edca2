//! The full agent in the controlling role against a lite one, in virtual time.

mod consent;
mod renomination;
mod restart;

use super::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use stun::{Builder, Class, ErrorCode, Key, Message, Method, TransactionId, Value};
use wire::Protocol;

const OURS: &str = "198.51.100.7:5000";
const SERVER: [&str; 2] = ["192.0.2.1:3478", "192.0.2.2:3478"];

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn host(text: &str, preference: u16) -> Candidate {
    Candidate::host(address(text), Protocol::Udp, preference)
}

pub(super) fn raised(agent: &Agent) -> BTreeMap<&'static str, u64> {
    agent.counters().iter().filter(|(_, value)| *value > 0).collect()
}

/// A controlling agent and the lite one that it calls. What goes to an address in `dead` is lost.
struct Call {
    ours: Agent,
    lite: Agent,
    now: Instant,
    dead: Vec<SocketAddr>,
    /// The checks that were sent: when, where, which transaction, and whether they nominate.
    checks: Vec<(Instant, SocketAddr, TransactionId, bool)>,
    /// For whom each of them was.
    usernames: Vec<String>,
    start: Instant,
}

impl Call {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let now = Instant::now();
        let config = Config {
            mode: Mode::Full,
            ..config
        };
        let mut call = Self {
            ours: Agent::new(config, Seed::from_run(1), now),
            lite: Agent::new(Config::default(), Seed::from_run(2), now),
            now,
            dead: Vec::new(),
            checks: Vec::new(),
            usernames: Vec::new(),
            start: now,
        };
        call.ours.add_local_candidate(host(OURS, 65535));
        for (nth, server) in SERVER.into_iter().enumerate() {
            call.lite.add_local_candidate(host(server, 65535 - nth as u16));
        }
        call
    }

    fn exchange_credentials(&mut self) {
        let theirs = self.lite.local_credentials().clone();
        self.lite
            .set_remote_credentials(self.now, self.ours.local_credentials().clone());
        self.ours.set_remote_credentials(self.now, theirs);
        for candidate in self.lite.local_candidates().to_vec() {
            self.ours.add_remote_candidate(candidate);
        }
    }

    /// Both send what they have to.
    fn exchange(&mut self) {
        let mut out = [0; MIN_OUT];
        loop {
            let mut quiet = true;
            while let Some(transmit) = self.ours.poll_transmit(self.now, &mut out) {
                quiet = false;
                let message = Message::parse(&out[..transmit.len]).unwrap();
                let remote = transmit.path.remote;
                self.checks
                    .push((self.now, remote, message.transaction_id(), message.use_candidate()));
                let username = message.username().unwrap().unwrap_or_default();
                self.usernames.push(username.to_owned());
                if !self.dead.contains(&remote) {
                    let back = Path::udp(remote, transmit.path.local);
                    self.lite.handle_datagram(self.now, &back, &out[..transmit.len]);
                }
            }
            while let Some(transmit) = self.lite.poll_transmit(self.now, &mut out) {
                quiet = false;
                let back = Path::udp(transmit.path.remote, transmit.path.local);
                self.ours.handle_datagram(self.now, &back, &out[..transmit.len]);
            }
            if quiet {
                return;
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        loop {
            self.exchange();
            let next = [self.ours.poll_timeout(), self.lite.poll_timeout()];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
                break;
            };
            assert!(next >= self.now, "a deadline in the past");
            wakes = if next > self.now { 0 } else { wakes + 1 };
            assert!(wakes < 100, "a deadline that does not pass");
            self.now = next;
            self.ours.handle_timeout(self.now);
            self.lite.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn path(&self, server: usize) -> Path {
        Path::udp(address(OURS), address(SERVER[server]))
    }

    fn connected() -> Self {
        let mut call = Self::new();
        call.exchange_credentials();
        call.run(Duration::from_millis(1));
        assert_eq!(call.ours.selected(), Some(call.path(0)));
        call
    }

    fn counters(&self) -> BTreeMap<&'static str, u64> {
        raised(&self.ours)
    }

    /// The check that is sent next.
    fn next_check(&mut self) -> (Path, Vec<u8>) {
        let mut out = [0; MIN_OUT];
        let transmit = self.ours.poll_transmit(self.now, &mut out).unwrap();
        (transmit.path, out[..transmit.len].to_vec())
    }

    /// An answer of the server's to a check.
    fn answer(&self, check: &[u8], pwd: &str, error: Option<ErrorCode>) -> Vec<u8> {
        let id = Message::parse(check).unwrap().transaction_id();
        let mut out = [0; MIN_OUT];
        let class = if error.is_some() {
            Class::ErrorResponse
        } else {
            Class::SuccessResponse
        };
        let mut builder = Builder::new(&mut out, class, Method::BINDING, id).unwrap();
        match error {
            Some(code) => builder.error_code(code).unwrap(),
            None => builder.push(&Value::XorMappedAddress(address(OURS))).unwrap(),
        }
        builder.integrity(&Key::short_term(pwd)).unwrap();
        builder.fingerprint().unwrap();
        builder.finish().to_vec()
    }
}

#[test]
fn the_best_pair_is_checked_nominated_and_used_by_both() {
    let mut call = Call::new();
    assert_eq!(call.ours.poll_timeout(), None);
    call.exchange_credentials();
    assert_eq!(call.ours.state(), State::Checking);
    call.run(Duration::from_millis(1));
    assert_eq!(call.ours.state(), State::Connected);
    assert_eq!(call.ours.selected(), Some(call.path(0)));
    assert_eq!(call.lite.selected(), Some(Path::udp(address(SERVER[0]), address(OURS))));
    assert_eq!(
        call.checks.iter().map(|check| (check.1, check.3)).collect::<Vec<_>>(),
        [(address(SERVER[0]), false), (address(SERVER[0]), true)]
    );
    assert!(call.lite.pairs().all(|pair| pair.nominated && pair.selected));
    assert_eq!(call.ours.rtt(), Some(Duration::ZERO));
    // Once one is nominated the others are left alone.
    call.run(Duration::from_secs(3));
    assert_eq!(call.checks.len(), 2);
    assert!(call.counters().is_empty(), "{:?}", call.counters());
    let lite = raised(&call.lite);
    assert!(lite.is_empty(), "{lite:?}");
}

#[test]
fn a_check_says_who_controls_and_whom_it_is_for() {
    let mut call = Call::new();
    call.exchange_credentials();
    let (path, check) = call.next_check();
    assert_eq!(path, call.path(0));
    let message = Message::parse(&check).unwrap();
    let theirs = call.lite.local_credentials();
    let username = format!("{}:{}", theirs.ufrag, call.ours.local_credentials().ufrag);
    assert_eq!(message.username().unwrap(), Some(username.as_str()));
    assert!(message.ice_controlling().unwrap().is_some() && message.ice_controlled().unwrap().is_none());
    assert_eq!(message.priority().unwrap(), Some((110 << 24) | (65535 << 8) | 255));
    assert!(!message.use_candidate());
    assert!(message.verify_integrity(&Key::short_term(&theirs.pwd)).is_ok());
    assert!(message.verify_fingerprint().is_ok());
}

#[test]
fn a_check_to_the_longest_ufrag_fills_the_least_room() {
    for (ufrag, longest) in [("u".repeat(256), MIN_OUT), ("u".repeat(72), 172)] {
        let mut call = Call::new();
        call.ours.set_renomination(true);
        let theirs = Credentials::new(&ufrag, &"p".repeat(256)).unwrap();
        call.ours.set_remote_credentials(call.now, theirs.clone());
        call.ours.add_remote_candidate(host(SERVER[0], 65535));
        let (path, check) = call.next_check();
        let message = Message::parse(&check).unwrap();
        let username = format!("{ufrag}:{}", call.ours.local_credentials().ufrag);
        assert_eq!(message.username().unwrap(), Some(username.as_str()));
        let answer = call.answer(&check, &theirs.pwd, None);
        call.ours.handle_datagram(call.now, &path, &answer);
        let (_, nomination) = call.next_check();
        assert!(Message::parse(&nomination).unwrap().use_candidate());
        assert_eq!(nomination.len(), longest);
    }
}

#[test]
fn a_check_that_cannot_be_written_is_not_due_for_ever() {
    let mut call = Call::new();
    call.exchange_credentials();
    // Not by `Credentials::new`, which refuses them.
    let theirs = Credentials {
        ufrag: "u".repeat(600),
        pwd: "p".repeat(24),
    };
    call.ours.restart(call.now);
    call.ours.set_remote_credentials(call.now, theirs);
    call.ours.add_remote_candidate(host(SERVER[0], 65535));
    let mut wakes = 0;
    assert_eq!(call.ours.poll_transmit(call.now, &mut [0; MIN_OUT]), None);
    while let Some(next) = call.ours.poll_timeout() {
        call.now = next;
        call.ours.handle_timeout(call.now);
        assert_eq!(call.ours.poll_transmit(call.now, &mut [0; MIN_OUT]), None);
        assert!(
            call.ours.poll_timeout().is_none_or(|next| next > call.now),
            "a deadline in the past"
        );
        wakes += 1;
        assert!(wakes < 20);
    }
    assert_eq!(call.ours.state(), State::Failed);
}

#[test]
fn pairs_are_tried_in_turn_and_each_check_is_repeated() {
    let mut call = Call::new();
    call.dead = SERVER.map(address).to_vec();
    call.exchange_credentials();
    call.run(Duration::from_millis(39_549));
    let sent_to = |server: usize| -> Vec<u128> {
        let checks = call.checks.iter().filter(|check| check.1 == address(SERVER[server]));
        checks.map(|check| (check.0 - call.start).as_millis()).collect()
    };
    // RFC 8489 §6.2.1: seven times, and 16 * RTO for the last one.
    assert_eq!(sent_to(0), [0, 500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(sent_to(1), [50, 550, 1550, 3550, 7550, 15550, 31550]);
    let ids: std::collections::BTreeSet<_> = call.checks.iter().map(|check| check.2.0).collect();
    assert_eq!(ids.len(), 2, "a repeated check keeps its transaction");
    // The patience of RFC 8863 was over at 39.5 s, but the second pair was still open.
    assert_eq!(call.ours.state(), State::Checking);
    call.run(Duration::from_millis(1));
    assert_eq!(call.ours.state(), State::Failed);
    assert_eq!(call.ours.poll_timeout(), None);
}

#[test]
fn nothing_to_check_is_no_failure_before_the_patience_is_over() {
    let mut call = Call::new();
    let theirs = call.lite.local_credentials().clone();
    call.ours.set_remote_credentials(call.now, theirs);
    call.ours.end_of_remote_candidates();
    call.run(Duration::from_millis(39_499));
    // RFC 8863 §4: a check of the peer's may come yet.
    assert_eq!(call.ours.state(), State::Checking);
    call.run(Duration::from_millis(1));
    assert_eq!(call.ours.state(), State::Failed);
}

#[test]
fn patience_begins_anew_with_new_credentials() {
    let mut call = Call::new();
    call.dead = SERVER.map(address).to_vec();
    call.exchange_credentials();
    call.run(Duration::from_millis(39_550));
    assert_eq!(call.ours.state(), State::Failed);
    call.lite.restart(call.now);
    call.exchange_credentials();
    let pwd = call.lite.local_credentials().pwd.clone();
    for _ in SERVER {
        let (path, check) = call.next_check();
        let refused = call.answer(&check, &pwd, Some(ErrorCode::BAD_REQUEST));
        call.ours.handle_datagram(call.now, &path, &refused);
        call.now += Duration::from_millis(50);
    }
    assert_eq!(call.ours.state(), State::Checking);
    call.run(Duration::from_millis(39_399));
    assert_eq!(call.ours.state(), State::Checking);
    call.run(Duration::from_millis(1));
    assert_eq!(call.ours.state(), State::Failed);
}

#[test]
fn a_worse_pair_is_nominated_when_the_best_does_not_answer() {
    let mut call = Call::new();
    call.dead.push(address(SERVER[0]));
    call.exchange_credentials();
    call.run(Duration::from_millis(99));
    // It may be used before.
    assert_eq!(call.ours.selected(), Some(call.path(1)));
    assert!(call.checks.iter().all(|check| !check.3));
    call.run(Duration::from_millis(1));
    let last = call.checks.last().unwrap();
    assert_eq!((last.1, last.3), (address(SERVER[1]), true));
    assert!(call.ours.pairs().all(|pair| pair.nominated));
}

#[test]
fn a_peer_without_a_word_is_disconnected_and_gone() {
    let mut call = Call::connected();
    call.dead = SERVER.map(address).to_vec();
    call.run(Duration::from_secs(8));
    assert_eq!(call.ours.state(), State::Disconnected);
    call.run(Duration::from_secs(7));
    assert_eq!(call.ours.state(), State::Failed);
}

#[test]
fn answers_that_are_wrong_are_counted_and_change_nothing() {
    let t = |fault: &dyn Fn(&mut Call, Path, Vec<u8>), name: &'static str| {
        let mut call = Call::new();
        call.exchange_credentials();
        let (path, check) = call.next_check();
        fault(&mut call, path, check);
        assert_eq!(call.counters(), BTreeMap::from([(name, 1)]));
        assert_eq!(call.ours.selected(), None);
        assert_eq!(call.ours.state(), State::Checking);
    };
    let pwd = |call: &Call| call.lite.local_credentials().pwd.clone();
    t(
        &|call, path, check| {
            let answer = call.answer(&check, "not the password of the server", None);
            call.ours.handle_datagram(call.now, &path, &answer);
        },
        "ice_wrong_integrity",
    );
    t(
        &|call, path, check| {
            let mut other = check;
            other[10] ^= 1;
            let answer = call.answer(&other, &pwd(call), None);
            call.ours.handle_datagram(call.now, &path, &answer);
        },
        "ice_unexpected_responses",
    );
    t(
        &|call, path, check| {
            let mut answer = call.answer(&check, &pwd(call), None);
            *answer.last_mut().unwrap() ^= 1;
            call.ours.handle_datagram(call.now, &path, &answer);
        },
        "ice_bad_fingerprint",
    );
    t(
        &|call, path, check| {
            let answer = call.answer(&check, &pwd(call), None);
            let elsewhere = Path::udp(path.local, address("203.0.113.1:1"));
            call.ours.handle_datagram(call.now, &elsewhere, &answer);
        },
        "ice_asymmetric_responses",
    );
    t(
        &|call, path, check| {
            let answer = call.answer(&check, &pwd(call), Some(ErrorCode::BAD_REQUEST));
            call.ours.handle_datagram(call.now, &path, &answer);
        },
        "ice_refused_checks",
    );
    t(
        &|call, path, check| {
            let answer = call.answer(&check, &pwd(call), Some(ErrorCode::ROLE_CONFLICT));
            call.ours.handle_datagram(call.now, &path, &answer);
        },
        "ice_role_conflicts",
    );
}

const CONTROLLED: Value<'_> = Value::IceControlled(1);

/// A check of the peer's that claims a role.
fn check_from_peer(agent: &Agent, role: Value<'_>, id: u8) -> Vec<u8> {
    let credentials = agent.local_credentials();
    let mut out = [0; MIN_OUT];
    let mut builder = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId([id; 12])).unwrap();
    builder
        .push(&Value::Username(&format!("{}:them", credentials.ufrag)))
        .unwrap();
    builder.push(&role).unwrap();
    builder.push(&Value::Priority(1000)).unwrap();
    builder.integrity(&Key::short_term(&credentials.pwd)).unwrap();
    builder.fingerprint().unwrap();
    builder.finish().to_vec()
}

#[test]
fn a_check_of_the_peer_is_answered_and_tried_the_other_way() {
    let mut call = Call::new();
    call.dead = SERVER.map(address).to_vec();
    call.exchange_credentials();
    call.run(Duration::from_millis(60));
    // From behind a NAT: no candidate says so.
    let path = Path::udp(address(OURS), address("203.0.113.5:7000"));
    let check = check_from_peer(&call.ours, CONTROLLED, 1);
    call.ours.handle_datagram(call.now, &path, &check);
    assert!(
        !call.ours.is_validated(&path),
        "that it reaches us does not say that we reach it"
    );
    let (to, answer) = call.next_check();
    assert_eq!(to, path);
    assert_eq!(Message::parse(&answer).unwrap().class(), Class::SuccessResponse);
    // Checks keep their distance (RFC 8445 §14.1), this one too: those of before went at 0 and 50 ms.
    call.now = call.start + Duration::from_millis(99);
    assert_eq!(call.ours.poll_transmit(call.now, &mut [0; MIN_OUT]), None);
    call.now += Duration::from_millis(1);
    let (to, own) = call.next_check();
    assert_eq!(to, path);
    let answer = call.answer(&own, &call.lite.local_credentials().pwd.clone(), None);
    call.ours.handle_datagram(call.now, &path, &answer);
    assert_eq!(call.ours.selected(), Some(path));
    assert!(call.counters().is_empty(), "{:?}", call.counters());
}

/// The peer may have its answer before we have ours, and sends: RFC 8445 §12.2.
#[test]
fn what_comes_where_the_peer_was_heard_may_be_its() {
    let mut call = Call::new();
    let path = Path::udp(address(OURS), address("203.0.113.5:7000"));
    call.dead = SERVER.map(address).to_vec();
    call.dead.push(path.remote);
    call.exchange_credentials();
    let may_receive = |call: &Call| call.ours.may_receive(call.now, &path);
    // Neither somebody else's check nor one that is refused says anything.
    let check = check_from_peer(&call.ours, CONTROLLED, 1);
    let mut forged = check.clone();
    forged[30] ^= 1;
    call.ours.handle_datagram(call.now, &path, &forged);
    let conflicting = check_from_peer(&call.ours, Value::IceControlling(0), 2);
    call.ours.handle_datagram(call.now, &path, &conflicting);
    assert!(!may_receive(&call));
    call.run(Duration::from_millis(1));
    let faults = call.counters();
    call.ours.handle_datagram(call.now, &path, &check);
    assert!(may_receive(&call));
    assert!(!call.ours.is_validated(&path));
    // It is no fault of the peer's, nor is it more than a word: nothing but answers and checks goes there.
    for activity in [Activity::Handshake, Activity::Dtls, Activity::Srtp, Activity::Srtcp] {
        call.ours.note_activity(call.now, &path, activity);
    }
    assert_eq!(call.counters(), faults);
    assert_eq!((call.ours.state(), call.ours.selected()), (State::Checking, None));
    // One that is repeated is no new word, and the word is good for as long as consent is.
    call.run(Duration::from_secs(29));
    call.ours.handle_datagram(call.now, &path, &check);
    assert!(may_receive(&call));
    call.run(Duration::from_secs(1));
    assert!(!may_receive(&call));
    call.ours.note_activity(call.now, &path, Activity::Srtp);
    assert_eq!(call.counters()["ice_unvalidated_activity"], 1);
}

#[test]
fn a_word_of_the_peer_counts_no_longer_than_its_session() {
    let mut call = Call::new();
    call.dead.push(address(SERVER[1]));
    call.exchange_credentials();
    let path = call.path(1);
    let [first, late] = [1, 2].map(|id| check_from_peer(&call.ours, CONTROLLED, id));
    call.ours.handle_datagram(call.now, &path, &first);
    assert!(call.ours.may_receive(call.now, &path));
    call.run(Duration::from_millis(200));
    assert_eq!(call.ours.selected(), Some(call.path(0)));
    call.ours.restart(call.now);
    assert!(!call.ours.may_receive(call.now, &path));
    // The path in use carries on until the new session has one; nothing is learned under the old credentials.
    assert!(call.ours.may_receive(call.now, &call.path(0)));
    call.ours.handle_datagram(call.now, &path, &late);
    assert_eq!(call.next_check().0, path, "it is answered");
    assert!(!call.ours.may_receive(call.now, &path));
    let new = check_from_peer(&call.ours, CONTROLLED, 3);
    call.ours.handle_datagram(call.now, &path, &new);
    assert!(call.ours.may_receive(call.now, &path));
}

#[test]
fn a_check_of_the_peer_on_a_pair_under_way_makes_a_new_one() {
    let mut call = Call::new();
    call.dead = SERVER.map(address).to_vec();
    call.exchange_credentials();
    let (path, first) = call.next_check();
    call.run(Duration::from_millis(100));
    let sent = call.checks.len();
    // As often as the peer likes, but not for ever.
    for id in 1..=20 {
        let check = check_from_peer(&call.ours, CONTROLLED, id);
        call.ours.handle_datagram(call.now, &path, &check);
        call.run(Duration::from_millis(50));
    }
    let again: Vec<_> = call.checks[sent..]
        .iter()
        .filter(|check| check.1 == path.remote)
        .collect();
    // Beside them the answers went there.
    let ids: std::collections::BTreeSet<_> = again.iter().map(|check| check.2.0).collect();
    let own = ids.iter().filter(|id| !(1..=20).any(|answered| **id == [answered; 12]));
    assert_eq!(own.count(), 7);
    // The first one is not sent again but may be answered, later than the others were sent.
    let id = Message::parse(&first).unwrap().transaction_id();
    call.run(Duration::from_secs(2));
    assert!(call.checks.iter().all(|check| check.2 != id));
    let answer = call.answer(&first, &call.lite.local_credentials().pwd.clone(), None);
    call.ours.handle_datagram(call.now, &path, &answer);
    assert_eq!(call.ours.selected(), Some(path));
    assert!(call.counters().is_empty(), "{:?}", call.counters());
}

#[test]
fn the_pair_on_which_the_peer_asks_is_tried_before_better_ones() {
    let mut call = Call::new();
    call.dead = SERVER.map(address).to_vec();
    call.exchange_credentials();
    let check = check_from_peer(&call.ours, CONTROLLED, 1);
    let path = call.path(1);
    call.ours.handle_datagram(call.now, &path, &check);
    // The answer goes first.
    assert_eq!(call.next_check().0, path);
    assert_eq!(call.next_check().0, path);
    call.run(Duration::from_millis(60));
    assert_eq!(call.checks[0].1, address(SERVER[0]));
}

#[test]
fn no_check_is_sent_again_on_another_pair_than_the_nominated_one() {
    let mut call = Call::new();
    call.dead.push(address(SERVER[0]));
    call.exchange_credentials();
    call.run(Duration::from_millis(200));
    assert!(call.ours.pairs().all(|pair| pair.nominated));
    call.checks.clear();
    call.run(Duration::from_secs(20));
    assert!(call.checks.iter().all(|check| check.1 == address(SERVER[1])));
    assert!(call.checks.len() >= 3);
}

/// A call whose nominated pair was asked for consent and refused it, so that only its nomination protects it.
fn refused() -> Call {
    let mut call = Call::connected();
    call.dead = SERVER.map(address).to_vec();
    call.run(Duration::from_secs(6));
    let id = call.checks.last().unwrap().2;
    let mut asked = [0; MIN_OUT];
    let builder = Builder::new(&mut asked, Class::Request, Method::BINDING, id).unwrap();
    let asked = builder.finish().to_vec();
    let pwd = call.lite.local_credentials().pwd.clone();
    let refusal = call.answer(&asked, &pwd, Some(ErrorCode::BAD_REQUEST));
    call.ours.handle_datagram(call.now, &call.path(0), &refusal);
    assert_eq!(call.counters(), BTreeMap::from([("ice_refused_checks", 1)]));
    call.dead.clear();
    call.checks.clear();
    call
}

/// Asserts that consent is asked for on the nominated pair, and given.
fn assert_goes_on(mut call: Call) {
    let path = call.path(0);
    call.run(Duration::from_secs(40));
    let asked = call.checks.iter().filter(|check| check.1 == path.remote);
    assert!(asked.count() >= 6);
    assert_eq!(
        (call.ours.state(), call.ours.selected()),
        (State::Connected, Some(path))
    );
}

/// Candidates of the peer's that are better than all that it has, more than there is room for pairs.
fn better_candidates() -> impl Iterator<Item = Candidate> {
    (1..=40).map(|n| {
        let mut better = host(&format!("192.0.2.77:{n}"), 65535);
        better.priority += 1 << 24;
        better
    })
}

#[test]
fn the_nominated_pair_is_asked_for_consent_whoever_calls() {
    let mut call = refused();
    let server = call.path(0).remote.ip();
    for n in 1..=40 {
        let elsewhere = Path::udp(address(OURS), SocketAddr::new(server, 7000 + u16::from(n)));
        let check = check_from_peer(&call.ours, CONTROLLED, n);
        call.ours.handle_datagram(call.now, &elsewhere, &check);
    }
    assert_eq!(
        call.counters(),
        BTreeMap::from([("ice_refused_checks", 1), ("ice_pairs_evicted", 10)])
    );
    assert_goes_on(call);
}

#[test]
fn the_nominated_pair_does_not_give_way_to_better_candidates() {
    let mut call = refused();
    better_candidates().for_each(|better| call.ours.add_remote_candidate(better));
    assert_eq!(call.counters()["ice_pairs_evicted"], 10);
    assert_goes_on(call);
}

#[test]
fn a_pair_that_works_does_not_give_way_to_better_candidates() {
    let mut call = Call::new();
    call.exchange_credentials();
    let (path, check) = call.next_check();
    let answer = call.answer(&check, &call.lite.local_credentials().pwd.clone(), None);
    call.ours.handle_datagram(call.now, &path, &answer);
    for better in better_candidates() {
        call.dead.push(better.address);
        call.ours.add_remote_candidate(better);
    }
    assert_eq!(call.counters(), BTreeMap::from([("ice_pairs_evicted", 10)]));
    call.run(Duration::from_millis(999));
    assert!(!call.ours.pairs().any(|pair| pair.nominated));
    call.run(Duration::from_millis(1));
    assert!(call.ours.pairs().any(|pair| pair.path == path && pair.nominated));
}

#[test]
fn a_peer_that_would_control_is_told_so() {
    // RFC 8445 §7.3.1.1: whose tiebreaker is larger; a lite peer never controls (§6.1.1).
    for (tiebreaker, lite) in [(0, false), (0, true), (u64::MAX, true)] {
        let mut call = Call::new();
        call.exchange_credentials();
        call.ours.set_peer_lite(lite);
        let check = check_from_peer(&call.ours, Value::IceControlling(tiebreaker), 1);
        call.ours.handle_datagram(call.now, &call.path(0), &check);
        let (_, answer) = call.next_check();
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.error_code().unwrap().unwrap().code, ErrorCode::ROLE_CONFLICT);
        assert_eq!(call.counters(), BTreeMap::from([("ice_role_conflicts", 1)]));
        assert_eq!(call.ours.role(), Role::Controlling);
    }
}

#[test]
fn a_peer_with_the_larger_tiebreaker_controls() {
    let mut call = Call::new();
    call.exchange_credentials();
    let check = check_from_peer(&call.ours, Value::IceControlling(u64::MAX), 1);
    call.ours.handle_datagram(call.now, &call.path(0), &check);
    let (_, answer) = call.next_check();
    assert_eq!(Message::parse(&answer).unwrap().class(), Class::SuccessResponse);
    assert_eq!(call.counters(), BTreeMap::from([("ice_role_switches", 1)]));
    assert_eq!(call.ours.role(), Role::Controlled);
    let (_, check) = call.next_check();
    assert!(Message::parse(&check).unwrap().ice_controlled().unwrap().is_some());
}

#[test]
fn a_check_that_somebody_repeats_changes_no_role() {
    let mut call = Call::new();
    call.exchange_credentials();
    let check = check_from_peer(&call.ours, Value::IceControlling(u64::MAX), 1);
    call.ours.handle_datagram(call.now, &call.path(0), &check);
    call.ours.set_role(Role::Controlling);
    for path in [call.path(1), call.path(0)] {
        call.ours.handle_datagram(call.now, &path, &check);
        assert_eq!(call.ours.role(), Role::Controlling);
    }
    assert_eq!(
        call.counters(),
        BTreeMap::from([("ice_role_switches", 1), ("ice_replayed_checks", 1)])
    );
}

#[test]
fn a_check_that_meets_a_role_conflict_is_repeated_in_the_other_role() {
    let mut call = Call::new();
    call.exchange_credentials();
    let pwd = call.lite.local_credentials().pwd.clone();
    let (path, check) = call.next_check();
    let first = Message::parse(&check).unwrap().ice_controlling().unwrap().unwrap();
    let conflict = call.answer(&check, &pwd, Some(ErrorCode::ROLE_CONFLICT));
    call.ours.handle_datagram(call.now, &path, &conflict);
    assert_eq!(call.ours.role(), Role::Controlled);
    call.now += Duration::from_millis(50);
    let (to, again) = call.next_check();
    assert_eq!(to, path, "it comes before all others");
    let again = Message::parse(&again).unwrap();
    // RFC 8445 §7.2.5.1: "the agent MUST change the tiebreaker value".
    assert_ne!(again.ice_controlled().unwrap(), Some(first));
    assert!(again.ice_controlled().unwrap().is_some() && again.ice_controlling().unwrap().is_none());
    assert_eq!(call.counters(), BTreeMap::from([("ice_role_conflicts", 1)]));
}

#[test]
fn a_lite_peer_that_claims_our_role_is_not_called_again_on_that_pair() {
    let mut call = Call::new();
    call.ours.set_peer_lite(true);
    call.exchange_credentials();
    let pwd = call.lite.local_credentials().pwd.clone();
    let (path, check) = call.next_check();
    let conflict = call.answer(&check, &pwd, Some(ErrorCode::ROLE_CONFLICT));
    call.ours.handle_datagram(call.now, &path, &conflict);
    call.dead = SERVER.map(address).to_vec();
    call.run(Duration::from_secs(10));
    assert_eq!(call.ours.role(), Role::Controlling);
    assert!(call.checks.iter().all(|check| check.1 != path.remote) && call.checks.len() == 5);
}

#[test]
fn pairs_are_bounded_and_the_best_stay() {
    let mut call = Call::with(Config {
        max_pairs: 4,
        ..Config::default()
    });
    call.exchange_credentials();
    for n in 0..10 {
        call.ours
            .add_remote_candidate(host(&format!("192.0.2.100:{}", 1000 + n), 100 + n));
    }
    assert_eq!(call.counters(), BTreeMap::from([("ice_pairs_evicted", 8)]));
    call.dead = call
        .ours
        .remote_candidates()
        .iter()
        .map(|candidate| candidate.address)
        .collect();
    call.run(Duration::from_millis(499));
    let tried: Vec<u16> = call.checks.iter().map(|check| check.1.port()).collect();
    assert_eq!(tried[..4], [3478, 3478, 1009, 1008]);
}

#[test]
fn families_and_loopback_are_not_mixed() {
    let mut call = Call::new();
    call.ours
        .set_remote_credentials(call.now, call.lite.local_credentials().clone());
    for text in ["[2001:db8::1]:1", "127.0.0.1:1"] {
        call.ours.add_remote_candidate(host(text, 1));
    }
    call.ours
        .add_remote_candidate(Candidate::host(address("192.0.2.1:9"), Protocol::Tcp, 1));
    call.run(Duration::from_secs(1));
    assert!(call.checks.is_empty());
    call.ours.add_local_candidate(host("127.0.0.1:5000", 1));
    call.run(Duration::from_millis(100));
    // A probe and the nomination.
    assert!(call.checks.iter().all(|check| check.1 == address("127.0.0.1:1")));
    assert_eq!(call.checks.len(), 2);
}
