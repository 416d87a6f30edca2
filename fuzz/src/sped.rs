use std::collections::VecDeque;

use ice::{Attachments, Rider};
use peer::{Sped, SpedState};
use stun::{AttributeType, Builder, Class, CrcList, Key, Message, Method, TransactionId, Value};
use wire::{Reader, Seed};

/// DTLS in connectivity checks under everything that may happen to it. Two honest engines talk over a network that loses,
/// doubles, delays and reorders: what one gets is what the other sent, nothing twice in a row of sixteen, nothing is
/// acknowledged that did not come, and no fault is counted. A third one gets attributes of any kind and number from a
/// peer that has the password: what it holds is bounded, what it says is well-formed.
///
/// The input is any number of steps: operation, argument, length, that many bytes.
pub fn sped(data: &[u8]) {
    let mut r = Reader::new(data);
    let mut talk = Talk::new();
    for _ in 0..MAX_STEPS {
        let (Ok(operation), Ok(argument), Ok(len)) = (r.u8(), r.u8(), r.u8()) else {
            break;
        };
        let Ok(bytes) = r.take(usize::from(len).min(r.remaining())) else {
            break;
        };
        talk.step(operation, argument, bytes);
        talk.assert_consistent();
    }
    talk.make_peace();
}

/// Later steps are like those before.
const MAX_STEPS: usize = 500;
/// Most messages on their way; the oldest is lost when there are more.
const MAX_FLYING: usize = 16;
/// As many datagrams as an engine knows again: before so many others nothing is taken twice.
const KNOWN: usize = 16;
/// Who gets anything.
const VICTIM: usize = 2;

fn key() -> Key {
    Key::short_term("passwordpasswordpassword")
}

/// A message with these attributes and integrity; attributes that do not fit are left out.
fn message(class: Class, write: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
    let mut out = vec![0; 8000];
    let mut builder = Builder::new(&mut out, class, Method::BINDING, TransactionId([7; 12])).expect("room");
    write(&mut builder);
    builder.integrity(&key()).expect("room");
    builder.finish().to_vec()
}

struct Talk {
    engines: [Sped; 3],
    /// All that each has sent, and where its last flight begins.
    sent: [Vec<Vec<u8>>; 3],
    flight: [usize; 3],
    /// What DTLS got of each, in order.
    came: [Vec<Vec<u8>>; 3],
    /// On their way to either honest one: messages, and datagrams by themselves.
    flying: [VecDeque<Vec<u8>>; 2],
}

impl Talk {
    fn new() -> Self {
        Self {
            engines: [1, 2, 3].map(|run| Sped::new(Seed::from_run(run))),
            sent: Default::default(),
            flight: [0; 3],
            came: Default::default(),
            flying: Default::default(),
        }
    }

    fn step(&mut self, operation: u8, argument: u8, bytes: &[u8]) {
        let end = usize::from(argument & 1);
        let of_three = usize::from(argument) % 3;
        match operation % 8 {
            0 => self.send(end, argument & 2 != 0),
            1 => self.send_plain(end),
            2 => self.arrive(end, usize::from(argument >> 2), argument & 2 != 0),
            3 => self.push_flight(of_three, bytes),
            4 => self.engines[of_three].note_path(bytes.first().is_some_and(|byte| byte & 1 == 1)),
            5 => self.forge(argument, bytes),
            6 if argument & 0xf0 == 0xf0 => self.engines[VICTIM].complete(argument & 1 == 1),
            6 => self.take(VICTIM),
            _ => drop(self.flying[end].pop_front()),
        }
    }

    /// A check or an answer of an honest one.
    fn send(&mut self, from: usize, answer: bool) {
        let sent = self.say(from, answer);
        self.fly(1 - from, sent);
    }

    fn say(&mut self, from: usize, answer: bool) -> Vec<u8> {
        let class = if answer { Class::SuccessResponse } else { Class::Request };
        let mut out = [0; 1200];
        let mut builder = Builder::new(&mut out, class, Method::BINDING, TransactionId([7; 12])).expect("room");
        // One of three messages goes another way than the rest.
        let is_aside = self.sent[from].len() % 3 == 2;
        self.engines[from].attach(class, &mut Attachments::new(&mut builder).aside(is_aside));
        // Room is left for what comes behind.
        builder.integrity_sha256(&key(), 32).expect("room");
        builder.fingerprint().expect("room");
        let sent = builder.finish().to_vec();
        let message = Message::parse(&sent).expect("a message");
        let list = message.meta_dtls_in_stun_acknowledgement().expect("well-formed");
        let datagram = message.meta_dtls_in_stun().expect("well-formed");
        assert_eq!(list.is_some(), self.engines[from].is_active());
        assert!(list.is_some() || datagram.is_none());
        // What rides is of the last flight.
        let flight = &self.sent[from][self.flight[from]..];
        let rides = datagram.filter(|datagram| !datagram.is_empty());
        assert!(rides.is_none_or(|rides| flight.iter().any(|sent| sent == rides)));
        sent
    }

    fn send_plain(&mut self, from: usize) {
        let mut out = [0; 1500];
        if let Some(len) = self.engines[from].poll_plain(&mut out) {
            assert!(self.sent[from].iter().any(|sent| *sent == out[..len]));
            self.fly(1 - from, out[..len].to_vec());
        }
    }

    fn fly(&mut self, to: usize, bytes: Vec<u8>) {
        let flying = &mut self.flying[to];
        if flying.len() >= MAX_FLYING {
            flying.pop_front();
        }
        flying.push_back(bytes);
    }

    /// Any that is on its way comes, and perhaps comes again later.
    fn arrive(&mut self, to: usize, at: usize, again: bool) {
        let flying = &mut self.flying[to];
        if flying.is_empty() {
            return;
        }
        let at = at % flying.len();
        let Some(bytes) = (if again {
            flying.get(at).cloned()
        } else {
            flying.remove(at)
        }) else {
            return;
        };
        self.hear(to, &bytes);
        self.take(to);
    }

    fn hear(&mut self, to: usize, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            if let Some(arrival) = self.engines[to].note_plain(bytes) {
                self.came[to].push(bytes.to_vec());
                self.engines[to].note_taken(arrival);
            }
            return;
        };
        let proven = message.verify_integrity(&key()).expect("authentic");
        self.engines[to].deliver(&proven);
    }

    /// DTLS takes what has come.
    fn take(&mut self, of: usize) {
        while let Some(datagram) = self.engines[of].poll_received() {
            assert!(matches!(datagram.first(), Some(20..=63)));
            assert!(datagram.len() <= Sped::MAX_RECEIVED_DATAGRAM);
            self.came[of].push(datagram.into_vec());
        }
    }

    /// A flight whose datagrams are as long as the bytes say, each different from all others.
    fn push_flight(&mut self, from: usize, bytes: &[u8]) {
        // Once it is off, whoever has flights sends them without it.
        if !self.engines[from].is_active() {
            return;
        }
        self.flight[from] = self.sent[from].len();
        if bytes.first().is_some_and(|byte| byte & 1 == 1) {
            self.engines[from].repeat_flight();
        } else {
            self.engines[from].begin_flight();
        }
        let most = if from == VICTIM { 40 } else { 8 };
        for len in bytes.iter().take(most) {
            let number = u32::try_from(self.sent[from].len()).expect("few");
            let mut datagram = vec![22; usize::from(*len) * 3 + 1];
            datagram.extend(number.to_be_bytes());
            datagram.push(from as u8);
            self.engines[from].push(&datagram);
            self.sent[from].push(datagram);
        }
    }

    /// The victim gets attributes that are made of the bytes, as many as there are.
    fn forge(&mut self, argument: u8, bytes: &[u8]) {
        let class = if argument & 1 == 0 {
            Class::Request
        } else {
            Class::SuccessResponse
        };
        let forged = message(class, |builder| {
            let mut r = Reader::new(bytes);
            while let (Ok(kind), Ok(len)) = (r.u8(), r.u8()) {
                let value = r.take(usize::from(len).min(r.remaining())).unwrap_or_default();
                // Lengths that a byte does not reach.
                let long = value.repeat(usize::from(argument >> 1 & 7) + 1);
                let acknowledgement = AttributeType::META_DTLS_IN_STUN_ACKNOWLEDGEMENT;
                let pushed = match kind % 4 {
                    0 => builder.push(&Value::MetaDtlsInStun(&long)),
                    1 => builder.push(&Value::Other(acknowledgement, value)),
                    2 => {
                        let flight = &self.sent[VICTIM];
                        let at = usize::from(len) % flight.len().max(1);
                        let crcs: Vec<u32> = flight
                            .iter()
                            .skip(at)
                            .take(4)
                            .map(|sent| crc32fast::hash(sent))
                            .collect();
                        builder.push(&Value::MetaDtlsInStunAcknowledgement(CrcList::new(&crcs)))
                    }
                    _ => builder.push(&Value::Other(AttributeType(0xc072), &long)),
                };
                if pushed.is_err() {
                    break;
                }
            }
        });
        self.hear(VICTIM, &forged);
        self.say(VICTIM, argument & 1 == 0);
    }

    fn assert_consistent(&self) {
        for engine in &self.engines {
            assert!(engine.held_bytes() <= Sped::MAX_HELD);
            assert!(engine.unacknowledged() <= 17);
        }
        for end in 0..2 {
            // An acknowledgement may come when what it is for is forgotten.
            let forgets = self.sent[end].len() > Sped::MAX_SENT;
            let mut faults = self.engines[end].counters().iter();
            assert!(faults.all(|(name, count)| count == 0 || (forgets && name == "sped_unknown_acknowledgements")));
            assert_ne!(self.engines[end].state(), SpedState::Off);
            let sent = &self.sent[1 - end];
            assert!(self.came[end].iter().all(|came| sent.contains(came)));
            let missing = |sent: &&Vec<u8>| !self.came[end].contains(sent);
            let missing = sent[self.flight[1 - end]..].iter().filter(missing).count();
            assert!(missing <= self.engines[1 - end].unacknowledged());
        }
        for came in &self.came {
            let recent = &came[came.len().saturating_sub(KNOWN)..];
            assert!((1..recent.len()).all(|at| !recent[..at].contains(&recent[at])));
        }
    }

    /// Everything gets through: both last flights are there, and it ends when both are done.
    fn make_peace(&mut self) {
        self.flying = Default::default();
        for turn in 0..48 {
            let sent = self.say(turn % 2, turn % 4 > 1);
            self.hear(1 - turn % 2, &sent);
            self.take(1 - turn % 2);
            self.assert_consistent();
        }
        assert!(self.engines[..2].iter().all(|engine| engine.unacknowledged() == 0));
        self.engines[0].complete(true);
        self.engines[1].complete(false);
        for turn in 0..4 {
            let sent = self.say(turn % 2, turn % 2 == 1);
            self.hear(1 - turn % 2, &sent);
        }
        let ended = |engine: &Sped| engine.state() == SpedState::Complete;
        assert!(self.engines[..2].iter().all(ended));
    }
}
