//! A call between two Chromium 156 with SPED, replayed through the engine.

use std::sync::Arc;
use std::time::Instant;

use dtls_srtp::{Certificate, Dtls, RingCrypto, Role};
use ice::{Attachments, Rider};
use peer::{Sped, SpedState};
use stun::{Builder, Class, Key, Message, Method, TransactionId};
use wire::Seed;

const PCAP: &[u8] = include_bytes!("../../fixtures/pcap/chromium-chromium-sped-snap.pcap");
const OFFER: &str = include_str!("../../fixtures/pcap/chromium-chromium-sped-snap-offer.sdp");
const ANSWER: &str = include_str!("../../fixtures/pcap/chromium-chromium-sped-snap-answer.sdp");

/// The port of who offered, which is the DTLS server, and of who answered.
const SERVER: u16 = 56_029;
const CLIENT: u16 = 56_327;

/// The UDP datagrams between the two ports of a pcap file of Ethernet frames with IPv4, by sender.
fn datagrams() -> Vec<(u16, &'static [u8])> {
    let mut datagrams = Vec::new();
    let mut rest = &PCAP[24..];
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let ip = &rest[16 + 14..16 + len];
        rest = &rest[16 + len..];
        if ip[0] >> 4 != 4 {
            continue;
        }
        let udp = &ip[4 * usize::from(ip[0] & 0x0f)..];
        let [from, to] = [0, 2].map(|at| u16::from_be_bytes([udp[at], udp[at + 1]]));
        if [[SERVER, CLIENT], [CLIENT, SERVER]].contains(&[from, to]) {
            datagrams.push((from, &udp[8..]));
        }
    }
    datagrams
}

fn key(description: &str) -> Key {
    let pwd = description.lines().find_map(|line| line.strip_prefix("a=ice-pwd:"));
    Key::short_term(pwd.unwrap())
}

fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram[0], 20..=63)
}

/// What the engine would acknowledge now.
fn acknowledgements(sped: &mut Sped) -> Option<Vec<u32>> {
    let mut out = [0; 200];
    let mut builder = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId([0; 12])).unwrap();
    sped.attach(Class::Request, &mut Attachments::new(&mut builder));
    let message = builder.finish();
    let list = Message::parse(message).unwrap().meta_dtls_in_stun_acknowledgement();
    list.unwrap().map(|list| list.iter().collect())
}

/// One of the two as an engine of ours in its place: it hears what the other sent, and is told what its own browser sent.
struct Place {
    port: u16,
    sped: Sped,
    /// What DTLS got.
    received: Vec<Vec<u8>>,
}

impl Place {
    fn new(port: u16) -> Self {
        Self {
            port,
            sped: Sped::new(Seed::from_run(u64::from(port))),
            received: Vec::new(),
        }
    }

    /// Takes the next datagram of the call; whether it spoke of SPED.
    fn follow(&mut self, from: u16, datagram: &'static [u8], keys: &[(u16, Key); 2]) -> bool {
        let Ok(message) = Message::parse(datagram) else {
            if from != self.port
                && is_dtls(datagram)
                && let Some(arrival) = self.sped.note_plain(datagram)
            {
                self.received.push(datagram.to_vec());
                self.sped.note_taken(arrival);
            }
            return false;
        };
        // A request has the password of who gets it, an answer that of who gives it.
        let owner = if message.class() == Class::Request {
            SERVER ^ CLIENT ^ from
        } else {
            from
        };
        let key = &keys.iter().find(|(port, _)| *port == owner).unwrap().1;
        let proven = message.verify_integrity(key).unwrap();
        let list = message.meta_dtls_in_stun_acknowledgement().unwrap();
        if from != self.port {
            self.sped.deliver(&proven);
            while let Some(datagram) = self.sped.poll_received() {
                self.received.push(datagram.to_vec());
            }
        } else if let Some(list) = list {
            // What Chromium acknowledges in this place, we do.
            assert_eq!(acknowledgements(&mut self.sped), Some(list.iter().collect()));
        }
        list.is_some()
    }
}

/// The handshake messages in the clear, each put together from its fragments.
fn messages(datagrams: &[Vec<u8>]) -> Vec<(u8, Vec<u8>)> {
    let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
    for datagram in datagrams {
        let mut rest = &datagram[..];
        while rest.len() > 13 && rest[0] == 22 && rest[3..5] == [0, 0] {
            let len = usize::from(u16::from_be_bytes([rest[11], rest[12]]));
            let fragment = &rest[13..13 + len];
            rest = &rest[13 + len..];
            let number = |at: usize| {
                fragment[at..at + 3]
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
            };
            let (sequence, offset) = (usize::from(fragment[5]), number(6));
            if messages.len() <= sequence {
                messages.push((fragment[0], vec![0; number(1)]));
            }
            messages[sequence].1[offset..offset + number(9)].copy_from_slice(&fragment[12..]);
        }
    }
    messages
}

#[test]
fn the_hellos_of_chromium_are_put_together() {
    let keys = [(SERVER, key(OFFER)), (CLIENT, key(ANSWER))];
    let mut places = [Place::new(SERVER), Place::new(CLIENT)];
    let mut spoke = 0;
    for (from, datagram) in datagrams() {
        for place in &mut places {
            spoke += usize::from(place.follow(from, datagram, &keys));
        }
    }
    // Two checks with their answers, each seen by both.
    assert_eq!(spoke, 8);
    let [server, client] = &places;
    // One half of each came in a check, the other by itself.
    let lengths = |place: &Place| place.received.iter().take(2).map(Vec::len).collect::<Vec<_>>();
    assert_eq!((lengths(server), lengths(client)), (vec![900, 563], vec![900, 841]));
    let hello = messages(&server.received[..2]);
    assert_eq!(
        hello.iter().map(|(kind, body)| (*kind, body.len())).collect::<Vec<_>>(),
        [(1, 1413)]
    );
    let answer = messages(&client.received[..2]);
    assert_eq!(answer[0].0, 2);
    // Their versions, and nothing in them that was not there.
    assert!(hello[0].1.starts_with(&[0xfe, 0xfd]) && answer[0].1.starts_with(&[0xfe, 0xfd]));
    for place in &places {
        assert!(place.sped.counters().iter().all(|(name, count)| {
            // We have sent nothing in their places: what is acknowledged is theirs.
            count == 0 || name == "sped_unknown_acknowledgements"
        }));
        assert!(place.sped.held_bytes() <= Sped::MAX_HELD);
        // Chromium stops once its handshake is over; to us, whose is not, that means that it takes no part any more.
        assert_eq!(place.sped.state(), SpedState::Off);
    }
}

/// Our flight in place of Chromium's client: what its server acknowledges is gone.
#[test]
fn the_acknowledgements_of_chromium_are_understood() {
    let key = key(OFFER);
    let all = datagrams();
    let check = Message::parse(all[0].1).unwrap();
    let mut sped = Sped::new(Seed::from_run(1));
    sped.begin_flight();
    sped.push(check.meta_dtls_in_stun().unwrap().unwrap());
    sped.push(all[2].1);
    let mut left = vec![sped.unacknowledged()];
    for (from, datagram) in &all[1..6] {
        let Ok(message) = Message::parse(datagram) else {
            continue;
        };
        if *from != SERVER {
            continue;
        }
        // Its answer first, then its own check, which has the other password.
        let key = if message.class() == Class::Request {
            self::key(ANSWER)
        } else {
            key.clone()
        };
        sped.deliver(&message.verify_integrity(&key).unwrap());
        left.push(sped.unacknowledged());
    }
    assert_eq!(left, [2, 1, 0]);
    assert_eq!(sped.state(), SpedState::Confirmed);
    assert!(sped.counters().iter().all(|(_, count)| count == 0));
    assert_eq!(sped.poll_received().unwrap().len(), 900);
}

/// The ClientHello that came so is one that our server answers.
#[test]
fn the_hello_of_chromium_is_answered() {
    let now = Instant::now();
    let crypto = Arc::new(RingCrypto::default());
    let config = dtls_srtp::Config::new(crypto, Certificate::generate().unwrap());
    let mut dtls = Dtls::new(Arc::new(config), Role::Server, Seed::from_run(1), now);
    let mut sped = Sped::new(Seed::from_run(2));
    let all = datagrams();
    let check = Message::parse(all[0].1).unwrap();
    sped.deliver(&check.verify_integrity(&key(OFFER)).unwrap());
    let mut out = [0; 1200];
    let mut first = sped.poll_received().unwrap();
    dtls.handle_datagram(now, &mut first, &mut |_| {});
    assert_eq!(dtls.poll_transmit(now, &mut out), None);
    assert!(sped.note_plain(all[2].1).is_some());
    dtls.handle_datagram(now, &mut all[2].1.to_vec(), &mut |_| {});
    dtls.poll_transmit(now, &mut out).unwrap();
    // A ServerHello.
    assert_eq!((out[0], out[13]), (22, 2));
    assert!(dtls.counters().iter().all(|(_, count)| count == 0));
}
