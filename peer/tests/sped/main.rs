//! DTLS in connectivity checks (SPED), in virtual time: two of our own peers, 100 ms of round trip apart.

mod endings;
mod media;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::Version;
use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::Collected;
use peer::{Config, Direction, Event, Kind, Peer, SpedState, State};
use stun::{AttributeType, Builder, Class, CrcList, Key, Message, Method, TransactionId, Value};
use wire::{Path, Seed};

const ADDRESSES: [&str; 2] = ["198.51.100.7:5000", "192.0.2.1:3478"];
const DELAY: Duration = Duration::from_millis(50);
const RTT: Duration = Duration::from_millis(100);
const CALLER: usize = 0;
const ANSWERER: usize = 1;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One end of a call.
struct End {
    peer: Peer,
    sink: Collected,
    /// When there were keys.
    secured: Option<Duration>,
    /// When it was connected.
    connected: Option<Duration>,
    /// What is on its way here.
    coming: VecDeque<(Instant, Path, Vec<u8>)>,
    /// Bare datagrams of DTLS that it sent, and checks and answers with DTLS in them.
    plain: usize,
    ridden: usize,
    /// Checks and answers of it that speak of SPED.
    speaking: usize,
    /// When it sent its first check, and its first packet of sound.
    first_check: Option<Duration>,
    first_media: Option<Duration>,
}

impl End {
    fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut counters = BTreeMap::new();
        self.peer.each_counter(&mut |name, value| {
            if value > 0 {
                counters.insert(name, value);
            }
        });
        counters
    }
}

type Fault = Box<dyn FnMut(usize, &mut Vec<u8>) -> bool>;

struct Call {
    ends: [End; 2],
    now: Instant,
    start: Instant,
    /// Whether a datagram gets through; it may be changed.
    passes: Fault,
    /// Whether each end sends sound once it is connected.
    speaks: bool,
}

/// What the two ends are.
#[derive(Debug, Clone, Copy)]
struct Setting {
    sped: [bool; 2],
    lite: bool,
    /// The most bytes of a datagram of DTLS.
    max_datagram: usize,
    version: Version,
}

const WITH: Setting = Setting {
    sped: [true; 2],
    lite: false,
    max_datagram: 1200,
    version: Version::DTLS_1_2,
};

fn config(end: usize, setting: Setting) -> Config {
    let mut dtls = dtls_srtp::Config::new(Arc::new(FakeCrypto::new()), fake::certificate(end as u64));
    dtls.max_datagram = setting.max_datagram;
    dtls.versions = vec![setting.version];
    let dtls = Arc::new(dtls);
    let mut config = if setting.lite && end == ANSWERER {
        Config::new(dtls)
    } else {
        Config::full(dtls)
    };
    config.sped = setting.sped[end];
    config
}

impl Call {
    fn new(setting: Setting, run: u64) -> Self {
        Self::between([CALLER, ANSWERER].map(|end| config(end, setting)), run)
    }

    fn between(configs: [Config; 2], run: u64) -> Self {
        let now = Instant::now();
        let configs = configs.map(Arc::new);
        let end = |end: usize| {
            let mut peer = Peer::new(configs[end].clone(), Seed::from_run(2 * run + end as u64), now);
            peer.add_local_candidate(ADDRESSES[end].parse().unwrap());
            End {
                peer,
                sink: Collected::default(),
                secured: None,
                connected: None,
                coming: VecDeque::new(),
                plain: 0,
                ridden: 0,
                speaking: 0,
                first_check: None,
                first_media: None,
            }
        };
        let mut call = Self {
            ends: [end(CALLER), end(ANSWERER)],
            now,
            start: now,
            passes: Box::new(|_, _| true),
            speaks: false,
        };
        call.ends[CALLER]
            .peer
            .add_section(Kind::Audio, Direction::SendRecv)
            .unwrap();
        call
    }

    /// Offer and answer, which take no time.
    fn negotiate(&mut self) -> [String; 2] {
        let offer = self.ends[CALLER].peer.offer().unwrap();
        let answer = self.ends[ANSWERER].peer.accept_offer(self.now, &offer).unwrap();
        self.ends[CALLER].peer.accept_answer(self.now, &answer).unwrap();
        [offer, answer]
    }

    fn exchange(&mut self) {
        let mut out = [0; Peer::MIN_OUT];
        for from in [CALLER, ANSWERER] {
            while let Some(transmit) = self.ends[from].peer.poll_transmit(self.now, &mut out) {
                let mut datagram = out[..transmit.len].to_vec();
                assert!(datagram.len() <= 1200);
                self.ends[from].note(self.now - self.start, &datagram);
                if (self.passes)(from, &mut datagram) {
                    let path = Path::udp(transmit.path.remote, transmit.path.local);
                    self.ends[1 - from].coming.push_back((self.now + DELAY, path, datagram));
                }
            }
            let end = &mut self.ends[from];
            while let Some(event) = end.peer.poll_event() {
                match event {
                    Event::Secured(_) => end.secured = Some(self.now - self.start),
                    Event::Connected => end.connected = end.connected.or(Some(self.now - self.start)),
                    _ => {}
                }
            }
            if self.speaks {
                self.speak(from);
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        loop {
            self.exchange();
            let deadlines = self
                .ends
                .iter()
                .flat_map(|end| [end.peer.poll_timeout(), end.coming.front().map(|coming| coming.0)]);
            let Some(next) = deadlines.flatten().min().filter(|next| *next <= end) else {
                break;
            };
            wakes = if next > self.now { 0 } else { wakes + 1 };
            assert!(wakes < 100, "a deadline that does not pass");
            self.now = next.max(self.now);
            for side in &mut self.ends {
                while side.coming.front().is_some_and(|coming| coming.0 <= self.now) {
                    let (_, path, mut data) = side.coming.pop_front().unwrap();
                    side.peer.handle_datagram(self.now, &path, &mut data, &mut side.sink);
                }
                side.peer.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    /// A call that has run for a while.
    fn made(setting: Setting) -> Self {
        let mut call = Self::new(setting, 1);
        call.negotiate();
        call.run(ms(1000));
        call
    }

    fn secured(&self) -> [u64; 2] {
        self.ends
            .each_ref()
            .map(|end| u64::try_from(end.secured.expect("keys").as_millis()).unwrap())
    }

    fn connected(&self) -> [u64; 2] {
        self.ends
            .each_ref()
            .map(|end| u64::try_from(end.connected.expect("connected").as_millis()).unwrap())
    }

    fn states(&self) -> [Option<SpedState>; 2] {
        self.ends.each_ref().map(|end| end.peer.sped_state())
    }
}

impl End {
    fn note(&mut self, now: Duration, datagram: &[u8]) {
        match Message::parse(datagram) {
            Ok(message) => {
                if message.class() == Class::Request {
                    self.first_check.get_or_insert(now);
                }
                let dtls = message.meta_dtls_in_stun().unwrap();
                self.ridden += usize::from(dtls.is_some_and(|dtls| !dtls.is_empty()));
                let speaks = message.meta_dtls_in_stun_acknowledgement().unwrap().is_some();
                assert!(speaks || dtls.is_none());
                assert!(!speaks || message.class() != Class::ErrorResponse);
                self.speaking += usize::from(speaks);
            }
            Err(_) => self.plain += usize::from(matches!(datagram.first(), Some(20..=63))),
        }
    }
}

const NO_COUNTERS: BTreeMap<&str, u64> = BTreeMap::new();

fn assert_clean(call: &Call) {
    for end in &call.ends {
        assert_eq!(end.counters(), NO_COUNTERS);
    }
}

/// The DTLS client has its keys after three round trips without, after two with; the server half a round trip sooner.
#[test]
fn a_round_trip_is_saved() {
    for lite in [false, true] {
        let with = Call::made(Setting { lite, ..WITH });
        let without = Call::made(Setting {
            lite,
            sped: [false; 2],
            ..WITH
        });
        assert_eq!((without.secured(), without.connected()), ([300, 250], [300, 250]));
        assert_eq!((with.secured(), with.connected()), ([200, 150], [200, 150]));
        assert_clean(&with);
        assert_clean(&without);
        assert_eq!(without.ends.each_ref().map(|end| end.speaking), [0, 0]);
        assert!(with.ends.iter().all(|end| end.ridden > 0));
        assert_eq!(with.states(), [Some(SpedState::Pending); 2]);
    }
}

/// DTLS 1.3 needs a round trip less. Its ClientHello takes two datagrams, of which one check has one: the next check goes
/// 50 ms later.
#[test]
fn so_does_dtls_1_3() {
    let times = |lite, sped| {
        let version = Version::DTLS_1_3;
        let mut call = Call::made(Setting {
            lite,
            sped: [sped; 2],
            version,
            ..WITH
        });
        let secured = call.secured();
        call.run(Duration::from_secs(20));
        assert_eq!(call.states(), [sped.then_some(SpedState::Complete); 2]);
        assert_clean(&call);
        secured
    };
    assert_eq!([times(false, true), times(true, true)], [[150, 200]; 2]);
    assert_eq!([times(false, false), times(true, false)], [[200, 250]; 2]);
}

#[test]
fn the_first_check_has_the_client_hello() {
    let mut call = Call::new(WITH, 1);
    call.negotiate();
    let mut out = [0; Peer::MIN_OUT];
    let caller = &mut call.ends[CALLER].peer;
    let transmit = caller.poll_transmit(call.now, &mut out).unwrap();
    let check = Message::parse(&out[..transmit.len]).unwrap();
    assert_eq!(
        check
            .meta_dtls_in_stun_acknowledgement()
            .unwrap()
            .unwrap()
            .iter()
            .count(),
        0
    );
    let hello = check.meta_dtls_in_stun().unwrap().unwrap();
    // A handshake record of epoch 0, and in it a ClientHello.
    assert_eq!((hello[0], hello[13]), (22, 1));
    assert_eq!(caller.sped_state(), Some(SpedState::Tentative));
}

#[test]
fn it_ends_when_both_have_what_they_need() {
    for lite in [false, true] {
        let mut call = Call::made(Setting { lite, ..WITH });
        call.run(Duration::from_secs(30));
        assert_eq!(call.states(), [Some(SpedState::Complete); 2]);
        let speaking = call.ends.each_ref().map(|end| end.speaking);
        call.run(Duration::from_secs(60));
        assert_eq!(call.ends.each_ref().map(|end| end.speaking), speaking);
        assert!(call.ends.iter().all(|end| end.peer.state() == State::Connected));
        assert_clean(&call);
    }
}

#[test]
fn who_does_not_signal_it_is_called_as_before() {
    for lite in [false, true] {
        for sped in [[true, false], [false, true]] {
            let mut call = Call::new(Setting { sped, lite, ..WITH }, 1);
            let [offer, answer] = call.negotiate();
            assert_eq!(offer.contains(" sped googspedv1"), sped[CALLER]);
            assert!(!answer.contains("sped"));
            call.run(ms(1000));
            assert_eq!(call.states(), [None; 2]);
            assert_eq!((call.secured(), call.connected()), ([300, 250], [300, 250]));
            assert_eq!(call.ends.each_ref().map(|end| end.speaking), [0, 0]);
            assert_clean(&call);
        }
    }
}

#[test]
fn the_options_are_told_again_and_in_fragments() {
    let mut call = Call::new(WITH, 1);
    for _ in 0..2 {
        for text in call.negotiate() {
            let options = text.lines().find(|line| line.starts_with("a=ice-options:")).unwrap();
            assert!(options.ends_with(" sped googspedv1"), "{options}");
        }
        call.run(ms(1000));
    }
    // Of what was offered one option is enough.
    let mut call = Call::new(WITH, 1);
    let offer = call.ends[CALLER].peer.offer().unwrap().replace(" googspedv1", "");
    let answer = call.ends[ANSWERER].peer.accept_offer(call.now, &offer).unwrap();
    let options = answer.lines().find(|line| line.starts_with("a=ice-options:")).unwrap();
    assert!(options.ends_with(" sped"), "{options}");
    assert_eq!(call.ends[ANSWERER].peer.sped_state(), Some(SpedState::Tentative));
}

/// Signalled, but the checks say otherwise: a server behind another one that rewrites no description.
#[test]
fn silence_is_answered_with_plain_dtls() {
    for lite in [false, true] {
        let mut call = Call::new(
            Setting {
                lite,
                sped: [true, false],
                ..WITH
            },
            1,
        );
        let offer = call.ends[CALLER].peer.offer().unwrap();
        let answer = call.ends[ANSWERER].peer.accept_offer(call.now, &offer).unwrap();
        let answer = answer.replacen("a=ice-options:trickle", "a=ice-options:sped trickle", 1);
        call.ends[CALLER].peer.accept_answer(call.now, &answer).unwrap();
        call.run(ms(1000));
        // As soon as without it: the hello leaves with the first answer.
        assert_eq!((call.secured(), call.connected()), ([300, 250], [300, 250]));
        assert_eq!(call.states(), [Some(SpedState::Off), None]);
        let caller = &call.ends[CALLER];
        assert!(caller.ridden > 0 && caller.plain > 0);
        let speaking = caller.speaking;
        call.run(Duration::from_secs(20));
        assert_eq!(call.ends[CALLER].speaking, speaking);
        assert_clean(&call);
    }
}

#[test]
fn an_answer_that_is_slower_than_the_checks_loses_nothing() {
    let mut call = Call::new(WITH, 1);
    let offer = call.ends[CALLER].peer.offer().unwrap();
    // The answerer begins the handshake.
    let offer = offer.replace("a=setup:actpass", "a=setup:passive");
    let answer = call.ends[ANSWERER].peer.accept_offer(call.now, &offer).unwrap();
    assert!(answer.contains("a=setup:active"));
    call.run(ms(75));
    // Its hello is here, and has been acknowledged.
    assert_eq!(call.ends[CALLER].peer.sped_state(), Some(SpedState::Confirmed));
    call.ends[CALLER].peer.accept_answer(call.now, &answer).unwrap();
    call.run(ms(1000));
    let [caller, answerer] = call.secured();
    assert!(caller <= 225 && answerer <= 275, "{caller} {answerer}");
    assert_clean(&call);
}

#[test]
fn flights_of_many_datagrams_are_put_together() {
    for lite in [false, true] {
        let call = Call::made(Setting {
            lite,
            max_datagram: 256,
            ..WITH
        });
        let [client, server] = call.secured();
        assert!(client <= 300 && server <= 250, "{client} {server}");
        // No datagram is given to DTLS twice, whichever ways it took.
        assert_clean(&call);
    }
}

#[test]
fn real_cryptography_works_too() {
    for (version, times) in [(Version::DTLS_1_2, [200, 150]), (Version::DTLS_1_3, [150, 200])] {
        let config = || {
            let certificate = dtls_srtp::Certificate::generate().unwrap();
            let mut dtls = dtls_srtp::Config::new(Arc::new(dtls_srtp::RingCrypto::default()), certificate);
            dtls.versions = vec![version];
            let mut config = Config::full(Arc::new(dtls));
            config.sped = true;
            config
        };
        let mut call = Call::between([config(), config()], 1);
        call.negotiate();
        call.run(ms(1000));
        assert_eq!(call.secured(), times);
        assert_clean(&call);
    }
}

/// Whoever polls late, and after any number of inputs, is connected all the same.
#[test]
fn the_order_of_polls_does_not_matter() {
    for lite in [false, true] {
        for tick in [1, 7, 30, 90] {
            let setting = Setting {
                lite,
                max_datagram: 300,
                ..WITH
            };
            let mut call = Call::new(setting, tick);
            call.negotiate();
            let mut state = tick;
            for _ in 0..20_000 / tick {
                call.now += ms(tick);
                let now = call.now;
                for side in &mut call.ends {
                    let due = side.coming.iter().take_while(|coming| coming.0 <= now).count();
                    for (_, path, mut data) in side.coming.drain(..due) {
                        side.peer.handle_datagram(now, &path, &mut data, &mut side.sink);
                        if random(&mut state).is_multiple_of(3) {
                            side.peer.handle_timeout(now);
                        }
                    }
                    side.peer.handle_timeout(now);
                }
                if random(&mut state).is_multiple_of(2) {
                    call.exchange();
                }
            }
            assert!(call.ends.iter().all(|end| end.peer.state() == State::Connected));
            assert_eq!(call.states(), [Some(SpedState::Complete); 2], "{lite} {tick}");
        }
    }
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// When the later of the two was connected, in ms, sorted, of 100 calls that lose a quarter of what is sent.
fn lossy(sped: [bool; 2], max_datagram: usize) -> Vec<u64> {
    let mut times: Vec<u64> = (0..100)
        .map(|seed| {
            let lite = seed % 2 == 0;
            let mut call = Call::new(
                Setting {
                    sped,
                    lite,
                    max_datagram,
                    ..WITH
                },
                seed,
            );
            let mut state = seed;
            call.passes = Box::new(move |_, _| !random(&mut state).is_multiple_of(4));
            call.negotiate();
            call.run(Duration::from_secs(30));
            assert!(call.ends.iter().all(|end| end.connected.is_some()), "seed {seed}");
            let counters = call.ends.iter().flat_map(End::counters);
            let faults: Vec<_> = counters.filter(|(name, _)| name.starts_with("sped")).collect();
            assert_eq!(faults, [], "seed {seed}");
            call.connected().into_iter().max().unwrap()
        })
        .collect();
    times.sort_unstable();
    times
}

#[test]
fn loss_delays_and_does_not_prevent() {
    for max_datagram in [1200, 300] {
        let [with, without] = [[true; 2], [false; 2]].map(|sped| lossy(sped, max_datagram));
        let figures = |times: &[u64]| (times.iter().sum::<u64>() / 100, times[50]);
        let (with, without) = (figures(&with), figures(&without));
        println!("datagrams of {max_datagram}: mean and median {with:?} ms with, {without:?} ms without");
        assert!(with.0 < without.0 && with.1 < without.1);
    }
}

/// Where many pairs are open ICE waits longer until it sends a check again, and so does DTLS, whose flight is in it.
#[test]
fn dtls_sends_again_no_sooner_than_ice() {
    for (others, rto) in [(0, 500), (9, 500), (14, 750), (19, 1000)] {
        let mut call = Call::new(WITH, 1);
        call.negotiate();
        for nth in 0..others {
            let candidate = format!("candidate:x{nth} 1 udp 1000 203.0.113.{nth} 5000 typ host");
            let caller = &mut call.ends[CALLER].peer;
            caller.add_remote_candidate(call.now, None, &candidate).unwrap();
        }
        call.passes = Box::new(|_, _| false);
        call.run(ms(rto - 1));
        let repeated = |call: &Call| call.ends[CALLER].counters().get("retransmitted_flights").copied();
        assert_eq!(repeated(&call), None, "{others}");
        call.run(ms(2));
        assert_eq!(repeated(&call), Some(1), "{others}");
    }
}

#[test]
fn a_replayed_check_is_no_news_to_dtls() {
    let mut call = Call::new(WITH, 1);
    let kept = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let keep = kept.clone();
    call.passes = Box::new(move |from, datagram| {
        if from == CALLER && datagram[0] < 4 {
            keep.borrow_mut().push(datagram.clone());
        }
        true
    });
    call.negotiate();
    call.run(ms(40));
    let first = kept.borrow().clone();
    call.run(ms(80));
    let path = Path::udp(ADDRESSES[ANSWERER].parse().unwrap(), ADDRESSES[CALLER].parse().unwrap());
    for _ in 0..20 {
        for mut datagram in first.clone() {
            let end = &mut call.ends[ANSWERER];
            end.peer.handle_datagram(call.now, &path, &mut datagram, &mut end.sink);
        }
    }
    call.run(ms(1000));
    assert_eq!(call.secured(), [200, 150]);
    let counters = call.ends[ANSWERER].counters();
    assert_eq!(counters.get("repeated_fragments"), None, "{counters:?}");
    assert_eq!(counters.get("retransmitted_flights"), None, "{counters:?}");
}

/// Gives the answerer a check of somebody who has the right password.
fn lie(call: &mut Call, answer: &str, number: u32, values: &[Value<'_>]) {
    let path = Path::udp(ADDRESSES[ANSWERER].parse().unwrap(), ADDRESSES[CALLER].parse().unwrap());
    lie_to(call, ANSWERER, path, answer, number, values);
}

/// The same for either end, with its description, on any path.
fn lie_to(call: &mut Call, end: usize, path: Path, description: &str, number: u32, values: &[Value<'_>]) {
    let value = |name: &str| description.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let mut out = vec![0; 8000];
    let mut id = [9; 12];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let mut check = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId(id)).unwrap();
    let username = format!("{}:them", value("a=ice-ufrag:"));
    check.push(&Value::Username(&username)).unwrap();
    let role = [Value::IceControlled(0), Value::IceControlling(u64::MAX)];
    check.push(&role[end]).unwrap();
    check.push(&Value::Priority(1)).unwrap();
    for value in values {
        check.push(value).unwrap();
    }
    check.integrity(&Key::short_term(value("a=ice-pwd:"))).unwrap();
    check.fingerprint().unwrap();
    let mut check = check.finish().to_vec();
    let end = &mut call.ends[end];
    end.peer.handle_datagram(call.now, &path, &mut check, &mut end.sink);
}

/// Acknowledgements of what was never sent, attributes that are too long or are no DTLS, floods: each is counted, and the
/// call comes about all the same.
#[test]
fn lies_are_counted_and_change_nothing() {
    for lite in [false, true] {
        let mut call = Call::new(Setting { lite, ..WITH }, 1);
        let [_, answer] = call.negotiate();
        let mut long = vec![22; 1501];
        let noise = vec![0xff; 100];
        for number in 0..500_u32 {
            long[1] = number as u8;
            let lies = [number, !number];
            let acknowledgement = Value::MetaDtlsInStunAcknowledgement(CrcList::new(&lies));
            let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 20];
            record.extend([number as u8; 20]);
            let datagram = Value::MetaDtlsInStun(match number % 3 {
                0 => &long,
                1 => &noise,
                _ => &record,
            });
            let broken = Value::Other(AttributeType::META_DTLS_IN_STUN_ACKNOWLEDGEMENT, &[1; 20]);
            lie(&mut call, &answer, 2 * number, &[acknowledgement, datagram, datagram]);
            lie(&mut call, &answer, 2 * number + 1, &[broken, datagram]);
        }
        call.run(ms(1000));
        assert_eq!(call.secured(), [200, 150]);
        let counters = call.ends[ANSWERER].counters();
        assert_eq!(counters["sped_unknown_acknowledgements"], 1000);
        assert_eq!(counters["sped_malformed_acknowledgements"], 500);
        assert_eq!(counters["sped_oversized"], 334);
        assert_eq!(counters["sped_not_dtls"], 334);
        assert_eq!(counters["sped_repeated_attributes"], 500);
        // DTLS judged the rest, each record once for as long as it is remembered.
        assert!(counters["malformed_fragments"] > 100, "{counters:?}");
    }
}

/// On every path the acknowledgements are wrong: nothing of ours is ever acknowledged, and all of it arrives.
#[test]
fn wrong_acknowledgements_cost_bytes_and_no_time() {
    let mut call = Call::new(WITH, 1);
    let texts = call.negotiate();
    let keys = texts.map(|text| {
        let pwd = text.lines().find_map(|line| line.strip_prefix("a=ice-pwd:"));
        Key::short_term(pwd.unwrap())
    });
    call.passes = Box::new(move |from, datagram| {
        let Ok(message) = Message::parse(datagram) else {
            return true;
        };
        // A request has the password of who gets it, an answer that of who gives it.
        let is_request = message.class() == Class::Request;
        let key = &keys[if is_request { 1 - from } else { from }];
        let mut out = [0; 1200];
        let id = message.transaction_id();
        let mut builder = Builder::new(&mut out, message.class(), message.method(), id).unwrap();
        for attribute in message.attributes() {
            match attribute.decode().unwrap() {
                Value::MetaDtlsInStunAcknowledgement(list) => {
                    let wrong: Vec<u32> = list.iter().map(|crc| crc ^ 1).collect();
                    let wrong = Value::MetaDtlsInStunAcknowledgement(CrcList::new(&wrong));
                    builder.push(&wrong).unwrap();
                }
                Value::MessageIntegrity(_) => builder.integrity(key).unwrap(),
                Value::Fingerprint(_) => builder.fingerprint().unwrap(),
                value => builder.push(&value).unwrap(),
            }
        }
        *datagram = builder.finish().to_vec();
        true
    });
    call.run(ms(1000));
    assert_eq!(call.secured(), [200, 150]);
    for end in &call.ends {
        assert!(end.counters()["sped_unknown_acknowledgements"] > 0);
    }
    call.run(Duration::from_secs(60));
    assert!(call.ends.iter().all(|end| end.peer.state() == State::Connected));
}
