//! What travels in checks and their answers, in virtual time.

use super::controlling::{address, host};
use super::*;
use crate::rider::{Attachments, Rider};
use stun::{Authenticated, Builder, Class, Key, Message, Method, TransactionId, Value};

const OURS: &str = "198.51.100.7:5000";
const SERVER: &str = "192.0.2.1:3478";

/// Attaches as many bytes as it is told to, and remembers what came.
#[derive(Default)]
struct Luggage {
    bytes: usize,
    attached: Vec<(Class, bool)>,
    delivered: Vec<(Class, Option<usize>)>,
}

impl Rider for Luggage {
    fn attach(&mut self, class: Class, attachments: &mut Attachments<'_, '_>) {
        let fits = attachments.room().is_some_and(|room| room >= self.bytes);
        let pushed = attachments.push(&Value::MetaDtlsInStun(&vec![0xab; self.bytes]));
        assert_eq!(pushed, fits);
        self.attached.push((class, pushed));
    }

    fn deliver(&mut self, message: &Authenticated<'_>) {
        let message = message.message();
        let datagram = message.meta_dtls_in_stun().unwrap();
        self.delivered.push((message.class(), datagram.map(<[u8]>::len)));
    }
}

struct Call {
    ours: Agent,
    lite: Agent,
    now: Instant,
}

impl Call {
    fn new() -> Self {
        let now = Instant::now();
        let config = Config::full(Role::Controlling);
        let mut ours = Agent::new(config, Seed::from_run(1), now);
        let mut lite = Agent::new(Config::default(), Seed::from_run(2), now);
        ours.add_local_candidate(host(OURS, 65535));
        lite.add_local_candidate(host(SERVER, 65535));
        lite.set_remote_credentials(now, ours.local_credentials().clone());
        ours.set_remote_credentials(now, lite.local_credentials().clone());
        ours.add_remote_candidate(host(SERVER, 65535));
        Self { ours, lite, now }
    }

    fn to_lite(&self) -> Path {
        Path::udp(address(SERVER), address(OURS))
    }

    fn to_us(&self) -> Path {
        Path::udp(address(OURS), address(SERVER))
    }

    /// The next check.
    fn check(&mut self, luggage: &mut Luggage, room: usize) -> Vec<u8> {
        let mut out = vec![0; room];
        let sent = self.ours.poll_transmit_with(self.now, &mut out, luggage).unwrap();
        out.truncate(sent.len);
        out
    }

    /// Lets time pass; what goes to the server is answered, what goes elsewhere is lost. The lengths of the checks that went
    /// elsewhere.
    fn run(&mut self, time: Duration, luggage: &mut Luggage) -> Vec<usize> {
        let (end, mut lost) = (self.now + time, Vec::new());
        loop {
            let mut out = [0; 1200];
            while let Some(sent) = self.ours.poll_transmit_with(self.now, &mut out, luggage) {
                let datagram = &out[..sent.len];
                if sent.path == self.to_us() {
                    let answer = self.answer(&mut Luggage::default(), datagram);
                    self.ours.handle_datagram_with(self.now, &sent.path, &answer, luggage);
                } else if Message::parse(datagram).unwrap().class() == Class::Request {
                    lost.push(sent.len);
                }
            }
            let Some(due) = self.ours.poll_timeout().filter(|due| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            self.ours.handle_timeout(self.now);
        }
        self.now = end;
        lost
    }

    /// What the server answers.
    fn answer(&mut self, luggage: &mut Luggage, check: &[u8]) -> Vec<u8> {
        self.lite
            .handle_datagram_with(self.now, &self.to_lite(), check, luggage);
        let mut out = vec![0; 1200];
        let sent = self.lite.poll_transmit_with(self.now, &mut out, luggage).unwrap();
        out.truncate(sent.len);
        out
    }
}

#[test]
fn attributes_travel_both_ways() {
    let mut call = Call::new();
    let (mut ours, mut theirs) = (Luggage::default(), Luggage::default());
    (ours.bytes, theirs.bytes) = (900, 901);
    let check = call.check(&mut ours, 1200);
    let answer = call.answer(&mut theirs, &check);
    assert_eq!(ours.attached, [(Class::Request, true)]);
    assert_eq!(theirs.delivered, [(Class::Request, Some(900))]);
    assert_eq!(theirs.attached, [(Class::SuccessResponse, true)]);
    call.ours
        .handle_datagram_with(call.now, &call.to_us(), &answer, &mut ours);
    assert_eq!(ours.delivered, [(Class::SuccessResponse, Some(901))]);
    assert_eq!(call.ours.selected(), Some(call.to_us()));
    // A check that comes again brings its attributes again, and is answered with others.
    call.answer(&mut theirs, &check);
    assert_eq!(theirs.delivered.len(), 2);
    assert_eq!(*call.ours.counters(), Counters::default());
    assert_eq!(*call.lite.counters(), Counters::default());
}

#[test]
fn only_what_is_authentic_is_delivered() {
    let mut call = Call::new();
    let (mut ours, mut theirs) = (Luggage::default(), Luggage::default());
    (ours.bytes, theirs.bytes) = (20, 20);
    let check = call.check(&mut ours, 1200);
    for at in (0..check.len()).step_by(7) {
        let mut forged = check.clone();
        forged[at] ^= 1;
        call.lite
            .handle_datagram_with(call.now, &call.to_lite(), &forged, &mut theirs);
    }
    assert_eq!(theirs.delivered, []);
    let answer = call.answer(&mut theirs, &check);
    for at in (0..answer.len()).step_by(7) {
        let mut forged = answer.clone();
        forged[at] ^= 1;
        call.ours
            .handle_datagram_with(call.now, &call.to_us(), &forged, &mut ours);
    }
    // Nor what somebody repeats from elsewhere, and what came back another way.
    let elsewhere = Path::udp(address(SERVER), address("203.0.113.66:6"));
    call.lite
        .handle_datagram_with(call.now, &elsewhere, &check, &mut theirs);
    assert_eq!(theirs.delivered.len(), 1);
    call.ours.handle_datagram_with(
        call.now,
        &Path::udp(address(OURS), elsewhere.remote),
        &answer,
        &mut ours,
    );
    assert_eq!(ours.delivered, []);
}

#[test]
fn error_responses_take_nothing_along() {
    let mut call = Call::new();
    let mut theirs = Luggage::default();
    let lite = call.lite.local_credentials().clone();
    let mut out = [0; 200];
    let mut check = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId([1; 12])).unwrap();
    let username = format!("{}:us", lite.ufrag);
    check.push(&Value::Username(&username)).unwrap();
    // A lite agent is always controlled: this is answered with 487.
    check.push(&Value::IceControlled(1)).unwrap();
    check.push(&Value::MetaDtlsInStun(b"")).unwrap();
    check.integrity(&Key::short_term(&lite.pwd)).unwrap();
    check.fingerprint().unwrap();
    let check = check.finish().to_vec();
    call.answer(&mut theirs, &check);
    assert_eq!((theirs.attached, theirs.delivered), (vec![], vec![]));
}

#[test]
fn a_pair_may_be_checked_again_at_the_usual_pace() {
    let mut call = Call::new();
    let mut ours = Luggage::default();
    // Nothing waits for an answer yet.
    call.ours.check_again(call.now);
    let first = call.check(&mut ours, 1200);
    let start = call.now;
    let mut sent = vec![(Duration::ZERO, first)];
    for _ in 0..10 {
        call.ours.check_again(call.now);
        let Some(due) = call
            .ours
            .poll_timeout()
            .filter(|due| *due < start + Duration::from_millis(500))
        else {
            break;
        };
        assert_eq!(call.ours.poll_transmit(call.now, &mut [0; MIN_OUT]), None);
        call.now = due;
        call.ours.handle_timeout(due);
        let check = call.check(&mut ours, 1200);
        sent.push((due - start, check));
    }
    let times: Vec<u128> = sent.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 50, 100, 150, 200, 250, 300]);
    let mut ids: Vec<_> = sent
        .iter()
        .map(|(_, check)| Message::parse(check).unwrap().transaction_id().0)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 7);
    // Each may be answered, the first one too, and no other is sent then.
    let answer = call.answer(&mut Luggage::default(), &sent[0].1);
    call.ours.handle_datagram(call.now, &call.to_us(), &answer);
    assert_eq!(call.ours.selected(), Some(call.to_us()));
    call.ours.check_again(call.now);
    let nomination = call.check(&mut ours, 1200);
    assert!(Message::parse(&nomination).unwrap().use_candidate());
    assert_eq!(call.ours.poll_transmit(call.now, &mut [0; MIN_OUT]), None);
    assert_eq!(*call.ours.counters(), Counters::default());
}

/// A check of the peer's to the full agent, from where the server is.
fn check_of_the_peer(call: &Call, number: u8) -> Vec<u8> {
    let ours = call.ours.local_credentials();
    let mut out = [0; 200];
    let id = TransactionId([number; 12]);
    let mut check = Builder::new(&mut out, Class::Request, Method::BINDING, id).unwrap();
    let username = format!("{}:them", ours.ufrag);
    check.push(&Value::Username(&username)).unwrap();
    check.push(&Value::IceControlled(1)).unwrap();
    check.push(&Value::Priority(1)).unwrap();
    check.push(&Value::MetaDtlsInStun(b"")).unwrap();
    check.integrity(&Key::short_term(&ours.pwd)).unwrap();
    check.fingerprint().unwrap();
    check.finish().to_vec()
}

/// Who repeats a check, or forges its source, does not have three times as much sent there.
#[test]
fn what_rides_to_an_unproven_address_is_bounded() {
    for (bytes, rides) in [(0, false), (160, false), (250, true), (900, true)] {
        let mut call = Call::new();
        let (mut ours, mut theirs) = (Luggage::default(), Luggage::default());
        (ours.bytes, theirs.bytes) = (bytes, 900);
        let check = call.check(&mut ours, 1200);
        // The same once more is an address that is proven no better.
        for _ in 0..3 {
            let answer = call.answer(&mut theirs, &check);
            assert!(answer.len() <= 3 * check.len(), "{} for {}", answer.len(), check.len());
            assert_eq!(theirs.attached.pop(), Some((Class::SuccessResponse, rides)), "{bytes}");
        }
    }
}

/// An answer to a check of ours, which nobody can give who does not get it, shows that the peer is there.
#[test]
fn to_a_proven_address_goes_what_there_is() {
    let mut call = Call::new();
    let mut ours = Luggage {
        bytes: 900,
        ..Luggage::default()
    };
    let first = call.check(&mut ours, 1200);
    for proven in [false, true] {
        if proven {
            let answer = call.answer(&mut Luggage::default(), &first);
            call.ours
                .handle_datagram_with(call.now, &call.to_us(), &answer, &mut ours);
        }
        let check = check_of_the_peer(&call, u8::from(proven));
        call.ours
            .handle_datagram_with(call.now, &call.to_us(), &check, &mut ours);
        call.check(&mut ours, 1200);
        assert_eq!(ours.attached.pop(), Some((Class::SuccessResponse, proven)));
    }
}

/// Who has our password may have us check an address that is somebody else's, over and over: what rides does not make much
/// more of that.
#[test]
fn seven_checks_without_an_answer_are_laden_and_no_more() {
    let mut call = Call::new();
    let mut ours = Luggage {
        bytes: 900,
        ..Luggage::default()
    };
    call.run(Duration::from_secs(1), &mut ours);
    assert_eq!(call.ours.selected(), Some(call.to_us()));
    let elsewhere = Path::udp(address(OURS), address("203.0.113.66:6"));
    let mut checks = Vec::new();
    // The pair fails now and then, and is tried anew with the next check of the peer's.
    for number in 0..100 {
        let check = check_of_the_peer(&call, number);
        call.ours
            .handle_datagram_with(call.now, &elsewhere, &check, &mut Luggage::default());
        checks.extend(call.run(Duration::from_secs(2), &mut ours));
    }
    let laden = checks.iter().filter(|len| **len > 900).count();
    assert_eq!(laden, 7, "of {}", checks.len());
    assert!(checks[..7].iter().all(|len| *len > 900));
    assert!(checks.len() > 21, "{}", checks.len());
    // Words about what came still have room.
    assert!(checks[7..].iter().all(|len| *len < 200));
    ours.bytes = 20;
    let check = check_of_the_peer(&call, 100);
    call.ours
        .handle_datagram_with(call.now, &elsewhere, &check, &mut Luggage::default());
    let light = call.run(Duration::from_secs(60), &mut ours);
    assert!(!light.is_empty());
    assert!(light.iter().all(|len| *len == checks[7] + 24), "{light:?}");
}

/// An answer shows that somebody is there.
#[test]
fn an_answer_has_checks_laden_again() {
    let mut call = Call::new();
    let mut ours = Luggage {
        bytes: 900,
        ..Luggage::default()
    };
    let start = call.now;
    let mut checks = Vec::new();
    while checks.len() < 9 {
        call.ours.check_again(call.now);
        if let Some(due) = call.ours.poll_timeout() {
            call.now = call.now.max(due);
            call.ours.handle_timeout(call.now);
        }
        let mut out = vec![0; 1200];
        if let Some(sent) = call.ours.poll_transmit_with(call.now, &mut out, &mut ours) {
            out.truncate(sent.len);
            checks.push(out);
        }
        assert!(call.now - start < Duration::from_secs(60));
    }
    let laden: Vec<bool> = checks.iter().map(|check| check.len() > 900).collect();
    assert_eq!(laden, [[true; 7].as_slice(), &[false; 2]].concat());
    let answer = call.answer(&mut Luggage::default(), checks.last().unwrap());
    call.ours
        .handle_datagram_with(call.now, &call.to_us(), &answer, &mut ours);
    assert!(call.check(&mut ours, 1200).len() > 900);
}

#[test]
fn what_does_not_fit_leaves_the_check_whole() {
    for room in [MIN_OUT, MIN_OUT + 1, 500, 1200] {
        for bytes in [0, 1, 2, 3, 4, 200, 399, 400, 1039, 1040, 1200, 70_000] {
            let mut call = Call::new();
            let (mut ours, mut theirs) = (Luggage::default(), Luggage::default());
            ours.bytes = bytes;
            let check = call.check(&mut ours, room);
            call.answer(&mut theirs, &check);
            let [(_, pushed)] = ours.attached[..] else {
                panic!("asked once")
            };
            assert_eq!(theirs.delivered, [(Class::Request, pushed.then_some(bytes))]);
            assert!(check.len() <= room);
        }
    }
}
