//! What those are told who carry datagrams in something else, and again until they have come.

mod pair;

use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use pair::{End, Network, Pair, config_13};

/// A record in the clear, of epoch 0, or what looks like a protected one.
fn record(content_type: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
    let head = [content_type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1, 0];
    [&head[..], &[body.len() as u8], body].concat()
}

const HANDSHAKE: u8 = 22;
const CHANGE_CIPHER_SPEC: u8 = 20;

fn pair_13() -> Pair {
    let config = |number| config_13(FakeCrypto::new(), fake::certificate(number));
    Pair::new(config(1), config(2), Network::CLEAN, 1)
}

/// Whether the datagram is taken.
fn takes(end: &mut End, now: Instant, datagram: &[u8]) -> bool {
    let before = end.dtls.taken_datagrams();
    end.handle(now, datagram);
    end.dtls.taken_datagrams() > before
}

/// It raises no counter, and yet says nothing, or nothing that is proven.
#[test]
fn what_tells_nothing_is_not_taken() {
    for mut pair in [Pair::fake(Network::CLEAN, 1), pair_13()] {
        let now = pair.now;
        // A ChangeCipherSpec means nothing, and a record of the epoch to come waits for its keys.
        assert!(!takes(&mut pair.server, now, &record(CHANGE_CIPHER_SPEC, 0, &[1])));
        assert!(!takes(&mut pair.server, now, &record(HANDSHAKE, 1, &[0; 40])));
        assert!(!takes(&mut pair.server, now, &[]));
        assert!(!takes(&mut pair.server, now, &record(HANDSHAKE, 0, &[1, 2, 3])));
        // Nor does a fragment of a hello in which there is nothing.
        let empty = [&[1, 0, 0, 100, 0, 0][..], &[0; 6]].concat();
        assert!(!takes(&mut pair.server, now, &record(HANDSHAKE, 0, &empty)));
        let hello = pair.client.transmits(now);
        for datagram in &hello {
            assert!(takes(&mut pair.server, now, datagram));
        }
        // What was taken and answered before tells nothing new.
        assert!(!takes(&mut pair.server, now, &hello[0]));
    }
}

/// A forged record that waits for its keys has no say about the datagram that brings them.
#[test]
fn what_brings_the_keys_is_taken_though_a_forged_record_waits_for_them() {
    let mut pair = pair_13();
    let now = pair.now;
    for datagram in pair.client.transmits(now) {
        assert!(takes(&mut pair.server, now, &datagram));
    }
    let flight = pair.server.transmits(now);
    // Epoch 2, a sequence number of two bytes, a length.
    let forged = [&[0x2e, 0, 9, 0, 40][..], &[7; 40]].concat();
    assert!(!takes(&mut pair.client, now, &forged));
    assert!(pair.client.dtls.held_bytes() > 0);
    for datagram in &flight {
        assert!(takes(&mut pair.client, now, datagram));
    }
    assert_eq!(pair.client.dtls.counters().unauthenticated_records, 1);
    // Behind it the same is refused.
    assert!(!takes(&mut pair.client, now, &forged));
    pair.settle();
    pair.assert_connected();
}

#[test]
fn protected_records_are_taken_once_they_are_proven() {
    let mut pair = Pair::fake(Network::CLEAN, 1);
    let now = pair.now;
    for datagram in pair.client.transmits(now) {
        assert!(takes(&mut pair.server, now, &datagram));
    }
    for datagram in pair.server.transmits(now) {
        assert!(takes(&mut pair.client, now, &datagram));
    }
    // The certificate of the client, and behind it its Finished.
    let answer = pair.client.transmits(now);
    let mut forged = answer.last().unwrap().clone();
    *forged.last_mut().unwrap() ^= 1;
    for datagram in &answer[..answer.len() - 1] {
        assert!(takes(&mut pair.server, now, datagram));
    }
    assert!(!takes(&mut pair.server, now, &forged));
    assert!(takes(&mut pair.server, now, answer.last().unwrap()));
    assert!(pair.server.dtls.is_connected());
}

/// The peer repeats its flight while ours waits to be sent: ours is a new one all the same.
#[test]
fn a_flight_that_has_not_left_is_not_repeated() {
    let mut pair = Pair::fake(Network::CLEAN, 1);
    let later = pair.now + Duration::from_secs(1);
    let (client, server) = (&mut pair.client, &mut pair.server);
    assert!(!client.dtls.repeats_flight());
    for hello in client.transmits(pair.now) {
        server.handle(pair.now, &hello);
    }
    for flight in server.transmits(pair.now) {
        client.handle(pair.now, &flight);
    }
    server.timeout(later);
    assert!(server.dtls.repeats_flight());
    let again = server.transmits(later);
    assert!(!again.is_empty() && !server.dtls.repeats_flight());
    for flight in again {
        client.handle(later, &flight);
    }
    assert!(!client.dtls.repeats_flight());
    assert_eq!(client.dtls.counters().retransmitted_flights, 0);
    assert!(client.dtls.counters().repeated_fragments > 0);
    assert!(!client.transmits(later).is_empty());
    client.timeout(later + Duration::from_secs(1));
    assert!(client.dtls.repeats_flight());
    assert_eq!(client.dtls.counters().retransmitted_flights, 1);
}
