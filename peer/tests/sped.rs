//! DTLS in connectivity checks (SPED), in virtual time: two of our own peers, 100 ms of round trip apart.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::Collected;
use peer::{Config, Direction, Event, Kind, Peer, SpedState, State};
use stun::{Class, Message};
use wire::{Path, Seed};

const ADDRESSES: [&str; 2] = ["198.51.100.7:5000", "192.0.2.1:3478"];
const DELAY: Duration = Duration::from_millis(50);
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
}

/// What the two ends are.
#[derive(Debug, Clone, Copy)]
struct Setting {
    sped: [bool; 2],
    lite: bool,
    /// The most bytes of a datagram of DTLS.
    max_datagram: usize,
}

const WITH: Setting = Setting {
    sped: [true; 2],
    lite: false,
    max_datagram: 1200,
};

fn config(end: usize, setting: Setting) -> Config {
    let mut dtls = dtls_srtp::Config::new(Arc::new(FakeCrypto::new()), fake::certificate(end as u64));
    dtls.max_datagram = setting.max_datagram;
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
        let now = Instant::now();
        let end = |end: usize| {
            let config = Arc::new(config(end, setting));
            let mut peer = Peer::new(config, Seed::from_run(2 * run + end as u64), now);
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
            }
        };
        let mut call = Self {
            ends: [end(CALLER), end(ANSWERER)],
            now,
            start: now,
            passes: Box::new(|_, _| true),
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
                self.ends[from].note(&datagram);
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
    fn note(&mut self, datagram: &[u8]) {
        match Message::parse(datagram) {
            Ok(message) => {
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

#[test]
fn figures() {
    for lite in [false, true] {
        for sped in [[false; 2], [true; 2], [true, false], [false, true]] {
            let call = Call::made(Setting { sped, lite, ..WITH });
            println!(
                "lite {lite} sped {sped:?}: secured {:?} connected {:?} plain {:?} ridden {:?} {:?}",
                call.secured(),
                call.connected(),
                call.ends.each_ref().map(|end| end.plain),
                call.ends.each_ref().map(|end| end.ridden),
                call.states(),
            );
            for end in &call.ends {
                println!("   {:?}", end.counters());
            }
        }
    }
}
