//! Keys are changed before they wear out (RFC 9147 §4.5.3), which takes millions of records: these tests skip them. And
//! they are changed when somebody wishes so, even early.

use std::sync::Arc;

use wire::Seed;

use super::pair::{Pair, config};
use crate::dtls::{Dtls, Role};
use crate::event::{CloseReason, Event};
use crate::fake;
use crate::reassembly::{Reassembler, ReassemblyLimits};
use crate::v13::KeyUpdate;

impl Pair {
    /// The client's first keys have so many records left.
    fn wear(&mut self, left: u64) {
        let peer = &mut self.server.association.records;
        self.client.association.records.wear(peer, 3, left);
        assert_eq!(self.client.association.records.left(3), left);
    }

    /// The client says something; the lower bits of the epoch that it does so in.
    fn say(&mut self) -> u8 {
        let overhead = self.client.overhead();
        let mut out = vec![0; overhead.total() + 1];
        let len = self.client.seal(&mut out, 1).unwrap();
        let epoch_bits = out[0] & 3;
        let mut heard = 0;
        self.server
            .handle_datagram(self.now, &mut out[..len], &mut |_| heard += 1);
        assert_eq!(heard, 1);
        epoch_bits
    }
}

#[test]
fn keys_change_in_time_and_once() {
    let mut pair = Pair::connected();
    pair.wear(Dtls::UPDATE_WITH_LEFT + 2);
    for _ in 0..2 {
        assert_eq!(pair.say(), 3);
        pair.exchange();
    }
    // This one begins the change; until it is acknowledged, the old keys go on.
    assert_eq!([pair.say(), pair.say()], [3, 3]);
    for _ in 0..3 {
        pair.exchange();
        assert_eq!(pair.say(), 0);
    }
}

/// RFC 9147 §5.2: what had the numbers of old messages would be taken for these.
#[test]
fn with_the_last_numbers_of_messages_nothing_more_changes() {
    let mut pair = Pair::connected();
    let last = u16::MAX - 5;
    pair.client.association.skip_message_numbers(last);
    let limits = ReassemblyLimits::of(&config(1));
    pair.server.reassembler = Reassembler::starting_at(last, limits);
    for _ in 0..3 {
        pair.client.update_keys();
        pair.exchange();
        assert_eq!(pair.say(), 0);
    }
    assert!(pair.client.is_connected() && pair.server.is_connected());
    assert_eq!(pair.client.poll_timeout(), None);
}

/// A record that the client could have sent, but for its tag.
fn forgery(pair: &mut Pair) -> Vec<u8> {
    let overhead = pair.client.overhead();
    let mut out = vec![0; overhead.total() + 1];
    let len = pair.client.seal(&mut out, 1).unwrap();
    out.truncate(len);
    out[len - 1] ^= 1;
    out
}

/// Lets the server hear a forged record so many times.
fn forge(pair: &mut Pair, forgery: &[u8], times: u64) {
    for _ in 0..times {
        pair.server
            .handle_datagram(pair.now, &mut forgery.to_vec(), &mut |_| ());
    }
}

/// RFC 9147 §4.5.3.
#[test]
fn keys_change_before_too_many_records_were_forged() {
    let mut pair = Pair::connected();
    pair.server.association.records.bear_forgeries(100);
    for epoch in 3..10 {
        // Somebody keeps a record of each epoch.
        let forgery = forgery(&mut pair);
        forge(&mut pair, &forgery, 50);
        assert_eq!(pair.server.poll_transmit(pair.now, &mut [0; 1200]), None);
        // The next one has both ends change their keys, once.
        forge(&mut pair, &forgery, 50);
        pair.exchange();
        let epochs = [&pair.client, &pair.server].map(|end| end.association.write_epoch);
        assert_eq!(epochs, [epoch + 1; 2]);
        // The old keys are used up, and gone.
        forge(&mut pair, &forgery, 1);
        assert!(!pair.server.association.records.can_open(epoch));
        forge(&mut pair, &forgery, 1000);
        assert_eq!(pair.say(), (epoch + 1) as u8 & 3);
    }
    assert!(pair.server.is_connected() && pair.client.is_connected());
}

#[test]
fn too_many_forgeries_end_a_connection_whose_peer_changes_no_keys() {
    let mut pair = Pair::connected();
    pair.server.association.records.bear_forgeries(100);
    let forgery = forgery(&mut pair);
    forge(&mut pair, &forgery, 100);
    assert!(pair.server.is_connected());
    // The wish for new keys is still under way.
    forge(&mut pair, &forgery, 1);
    let events: Vec<_> = std::iter::from_fn(|| pair.server.poll_event()).collect();
    let reason = CloseReason::TooManyForgeries;
    assert_eq!(events.last(), Some(&Event::Closed { reason }));
    assert_eq!(pair.server.counters().unauthenticated_records, 101);
}

/// A handshake cannot do without its keys, nor change them.
#[test]
fn too_many_forgeries_end_a_handshake() {
    let mut pair = Pair::new();
    let mut out = [0; 1200];
    while let Some(len) = pair.client.poll_transmit(pair.now, &mut out) {
        pair.server.handle_datagram(pair.now, &mut out[..len], &mut |_| ());
    }
    pair.server.association.records.bear_forgeries(100);
    // Epoch 2, 16 bits of number, a length, and nothing that opens.
    let forgery = [&[0x2e, 0, 0, 0, 20][..], &[9; 20]].concat();
    forge(&mut pair, &forgery, 100);
    assert!(!pair.server.is_closed());
    forge(&mut pair, &forgery, 1);
    assert!(pair.server.is_closed());
}

/// Those of a finished handshake are of no use any more but to acknowledge its last flight again.
#[test]
fn forgeries_for_the_keys_of_the_handshake_end_no_connection() {
    let mut pair = Pair::connected();
    pair.server.association.records.bear_forgeries(100);
    let forgery = [&[0x2e, 0, 0, 0, 20][..], &[9; 20]].concat();
    forge(&mut pair, &forgery, 1000);
    assert_eq!(pair.say(), 3);
    assert_eq!(pair.server.counters().unauthenticated_records, 101);
}

/// Not only data spends numbers.
#[test]
fn keys_change_when_an_acknowledgement_passes_the_mark() {
    let mut pair = Pair::connected();
    pair.wear(Dtls::UPDATE_WITH_LEFT);
    pair.server.want_update(KeyUpdate { requested: false });
    pair.exchange();
    assert_eq!(pair.client.association.records.left(3), Dtls::UPDATE_WITH_LEFT - 1);
    assert_eq!(pair.say(), 3);
    for _ in 0..3 {
        pair.exchange();
        assert_eq!(pair.say(), 0);
    }
}

/// RFC 9147 §7: what an end says is acknowledged, whatever epoch the other one has come to by itself.
#[test]
fn one_end_may_change_its_keys_alone() {
    let mut pair = Pair::connected();
    for epoch in 3..10 {
        pair.client.want_update(KeyUpdate { requested: false });
        pair.exchange();
        let epochs = [&pair.client, &pair.server].map(|end| end.association.write_epoch);
        assert_eq!(epochs, [epoch + 1, 3]);
        assert_eq!(pair.say(), (epoch + 1) as u8 & 3);
    }
}

/// The wish waits for the acknowledgement of the client's last flight. That may never come, while data shows that the
/// server has it.
#[test]
fn a_change_that_waited_for_a_lost_acknowledgement_comes() {
    let mut pair = Pair::new();
    let not_an_acknowledgement = |datagram: &[u8]| datagram[0] & 0xe3 != 0x23;
    pair.exchange_if(not_an_acknowledgement);
    assert!(pair.client.is_connected() && pair.server.is_connected());
    pair.client.update_keys();
    assert_eq!(pair.client.poll_transmit(pair.now, &mut [0; 1200]), None);
    let mut out = [0; 100];
    let len = pair.server.seal(&mut out, 1).unwrap();
    pair.client.handle_datagram(pair.now, &mut out[..len], &mut |_| ());

    pair.now += pair.client.config().handshake_timeout;
    pair.client.handle_timeout(pair.now);
    pair.exchange();
    assert!(!pair.client.is_closed());
    assert_eq!(pair.say(), 0);
}

/// RFC 8446 §4.6.3: who is asked for new keys changes them. A side that does not know yet whom it talks to does so once it
/// does.
#[test]
fn a_request_before_the_fingerprints_is_answered_after() {
    let mut pair = Pair::new();
    pair.client = Dtls::new(Arc::new(config(1)), Role::Client, Seed::from_run(1), pair.now);
    pair.exchange();
    assert!(!pair.client.is_connected() && pair.server.is_connected());
    pair.server.update_keys();
    // A wish of its own comes too early.
    pair.client.update_keys();
    pair.exchange();
    assert_eq!(pair.client.association.write_epoch, 3);
    pair.client
        .set_remote_fingerprints(vec![fake::certificate(2).fingerprint()]);
    pair.exchange();
    assert_eq!(
        (pair.client.association.write_epoch, pair.server.association.write_epoch),
        (4, 4)
    );
    assert_eq!(pair.say(), 0);
}
