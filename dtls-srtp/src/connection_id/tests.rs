//! Connection IDs by themselves, and those of any length.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{ConnectionId, ConnectionIds, carries_id, peek_connection_id};
use crate::config::Config;
use crate::registry::Version;
use crate::v13::tests::pair::{Pair, config};

fn id(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).unwrap()
}

#[test]
fn lengths_have_bounds() {
    assert_eq!(ConnectionId::new(&[7; 255]).unwrap().len(), 255);
    assert_eq!(ConnectionId::new(&[7; 256]), None);
    assert!(ConnectionId::new(&[]).unwrap().is_empty());
    assert_eq!(ConnectionIds::fixed(&[7; 20]).unwrap().id_len(), 20);
    assert_eq!(ConnectionIds::random(&[7; 12], 8).unwrap().id_len(), 20);
    assert_eq!(ConnectionIds::none().id_len(), 0);
    for (prefix, random) in [(&[7; 21][..], 0), (&[7; 13], 8), (&[], 21), (&[7], usize::MAX)] {
        assert_eq!(ConnectionIds::random(prefix, random), None);
    }
    assert_eq!(
        format!("{:?}", ConnectionId::new(&[1, 0xab])),
        "Some(ConnectionId(01ab))"
    );
}

#[test]
fn ids_begin_with_their_prefix_and_differ() {
    let ids = ConnectionIds::random(b"worker 3", 8).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let made: BTreeSet<_> = (0..1000).map(|_| ids.make(&mut rng)).collect();
    assert_eq!(made.len(), 1000);
    assert!(
        made.iter()
            .all(|id| id.len() == 16 && id.as_bytes().starts_with(b"worker 3"))
    );
    assert_eq!(ConnectionIds::fixed(b"one").unwrap().make(&mut rng).as_bytes(), b"one");
    assert!(ConnectionIds::none().make(&mut rng).is_empty());
}

#[test]
fn maps_are_asked_with_bytes() {
    let mut connections = HashMap::new();
    connections.insert(ConnectionId::new(b"id").unwrap(), 1);
    assert_eq!(connections.get(&b"id"[..]), Some(&1));
    assert_eq!(connections.get(&b"di"[..]), None);
}

#[test]
fn datagrams_that_are_too_short_have_no_id() {
    let datagram = [25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 1, 2, 3];
    assert_eq!(peek_connection_id(&datagram, 3), Some(&[1, 2, 3][..]));
    for (len, id_len) in [(14, 4), (13, 3), (11, 1), (1, 1), (0, 1), (14, 0), (14, usize::MAX)] {
        assert_eq!(
            peek_connection_id(datagram.get(..len).unwrap(), id_len),
            None,
            "{len} {id_len}"
        );
    }
    assert_eq!(peek_connection_id(&[0x30, 9], 1), Some(&[9][..]));
    assert_eq!(peek_connection_id(&[0x30], 1), None);
}

proptest! {
    #[test]
    fn an_id_lies_in_its_datagram(datagram in proptest::collection::vec(any::<u8>(), 0..40), len in 0usize..30) {
        if let Some(id) = peek_connection_id(&datagram, len) {
            prop_assert_eq!(id.len(), len);
            prop_assert!(datagram.windows(len).any(|window| window == id));
            prop_assert!(datagram.first().is_some_and(|&first| carries_id(first)));
        }
    }
}

/// RFC 9146 §3 has us send ids of any length; the handshake's datagrams leave room for them.
#[test]
fn the_peers_id_may_be_long() {
    let long = ConnectionIds {
        prefix: id(&[7; 255]),
        random_bytes: 0,
    };
    let mut pair = Pair::of(|number| Config {
        versions: vec![Version::DTLS_1_2],
        max_datagram: 512,
        connection_ids: Some(if number == 1 {
            long.clone()
        } else {
            ConnectionIds::random(&[], 8).unwrap()
        }),
        ..config(number)
    });
    pair.exchange();
    assert!(pair.client.is_connected() && pair.server.is_connected());
    assert_eq!(*pair.server.peer_connection_id(), id(&[7; 255]));
    let overheads = (pair.server.overhead().head, pair.client.overhead().head);
    assert_eq!(overheads, (21 + 255, 21 + 8));
    let mut out = vec![0; pair.server.overhead().total() + 1];
    let len = pair.server.seal(&mut out, 1).unwrap();
    let mut heard = 0;
    pair.client
        .handle_datagram(pair.now, &mut out[..len], &mut |_| heard += 1);
    assert_eq!(heard, 1);
}
