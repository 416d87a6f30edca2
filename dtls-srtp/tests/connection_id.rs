//! Connections whose records carry connection IDs (RFC 9146, RFC 9147 §9): agreement in every combination, bad networks, records
//! that are for somebody else. How peers that move are followed is in `address_change.rs`.

mod pair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::message::{RecordHeader, UnifiedHeader};
use dtls_srtp::{Config, ConnectionId, ConnectionIds, ContentType, Counters, Event, Overhead, Role, Version, fake};
use pair::{End, Network, Pair, Side};
use wire::Reader;

const VERSIONS: [Version; 2] = [Version::DTLS_1_2, Version::DTLS_1_3];
const ID_LEN: usize = 8;

fn fake(number: u64, version: Version, connection_ids: Option<ConnectionIds>) -> Config {
    Config {
        versions: vec![version],
        connection_ids,
        ..Config::new(Arc::new(fake::FakeCrypto::new()), fake::certificate(number))
    }
}

fn random() -> Option<ConnectionIds> {
    ConnectionIds::random(b"", ID_LEN)
}

/// What an end may want.
fn wishes() -> [Option<ConnectionIds>; 4] {
    let prefixed = ConnectionIds::random(b"worker 3, ", 8);
    [None, Some(ConnectionIds::none()), ConnectionIds::fixed(b"*"), prefixed]
}

fn connected(version: Version, client: Option<ConnectionIds>, server: Option<ConnectionIds>) -> Pair {
    let mut pair = Pair::new(fake(1, version, client), fake(2, version, server), Network::CLEAN, 1);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    pair.assert_connected();
    pair
}

fn ours(end: &End) -> Vec<ConnectionId> {
    end.dtls.connection_ids().cloned().collect()
}

/// The records of a datagram: whether each is protected, and its connection ID.
fn records(datagram: &[u8], id_len: usize) -> Vec<(bool, Vec<u8>)> {
    let mut r = Reader::new(datagram);
    let mut found = Vec::new();
    while let Some(first) = r.peek_u8() {
        let (protected, id, len) = if UnifiedHeader::begins(first) {
            let (header, id) = UnifiedHeader::read_with_id(&mut r, id_len).unwrap();
            (true, id, header.length.unwrap())
        } else {
            let (header, id) = RecordHeader::read_with_id(&mut r, id_len).unwrap();
            assert_eq!(header.content_type == ContentType::TLS12_CID, !id.is_empty());
            (header.epoch > 0, id, header.length)
        };
        found.push((protected, id.to_vec()));
        r.skip(usize::from(len)).unwrap();
    }
    found
}

/// Each end gets what it wants when both have connection IDs at all, in protected records and in no others; and as soon as
/// one has none, records are what they were.
#[test]
fn every_combination_of_wishes() {
    for version in VERSIONS {
        for (client, server) in wishes().iter().flat_map(|c| wishes().map(|s| (c.clone(), s))) {
            let what = format!("{version} {client:?} {server:?}");
            let mut pair = connected(version, client.clone(), server.clone());
            pair.assert_talking();
            pair.client.dtls.update_keys();
            pair.assert_talking();
            let agreed = client.is_some() && server.is_some();
            for (side, wish) in [(Side::Client, client), (Side::Server, server)] {
                let len = wish.filter(|_| agreed).map_or(0, |ids| ids.id_len());
                let peers = pair.end(side.other()).dtls.peer_connection_id().clone();
                let end = pair.end(side);
                assert_eq!(peers.len(), len, "{what}");
                assert_eq!(
                    ours(end),
                    [&peers]
                        .into_iter()
                        .filter(|id| !id.is_empty())
                        .cloned()
                        .collect::<Vec<_>>()
                );
                let told = end
                    .events
                    .iter()
                    .filter(|event| **event == Event::ConnectionIds)
                    .count();
                assert_eq!((told > 0, end.dtls.newer_records() > 0), (len > 0, len > 0), "{what}");
                assert_eq!(*end.dtls.counters(), Counters::default(), "{what}");
                let mut protected_records = 0;
                for (_, _, datagram) in pair.log.iter().filter(|(_, from, _)| *from == side.other()) {
                    for (protected, id) in records(datagram, len) {
                        assert_eq!(id, if protected { peers.as_bytes() } else { &[] }, "{what}");
                        protected_records += u32::from(protected);
                    }
                }
                assert!(protected_records >= 2, "{what}");
            }
        }
    }
}

/// A client that offers both versions may meet a server of either.
#[test]
fn a_client_of_both_versions() {
    for version in VERSIONS {
        let client = Config {
            versions: VERSIONS.to_vec(),
            ..fake(1, version, random())
        };
        let mut pair = Pair::new(client, fake(2, version, random()), Network::CLEAN, 1);
        pair.settle();
        pair.assert_connected();
        pair.assert_talking();
        for side in [Side::Client, Side::Server] {
            assert_eq!(pair.end(side).dtls.peer_connection_id().len(), ID_LEN);
        }
    }
}

#[test]
fn ids_differ_from_connection_to_connection() {
    let ids: Vec<_> = (0..20)
        .flat_map(|run| {
            let version = VERSIONS[run as usize % 2];
            let mut pair = Pair::new(
                fake(1, version, random()),
                fake(2, version, random()),
                Network::CLEAN,
                run,
            );
            pair.settle();
            [ours(&pair.client), ours(&pair.server)].concat()
        })
        .collect();
    assert_eq!(ids.len(), 40);
    assert!((1..40).all(|at| !ids[..at].contains(&ids[at])));
}

#[test]
fn overheads_count_the_id() {
    for version in VERSIONS {
        let now = Instant::now();
        for (ids, more) in [(None, 0), (random(), ConnectionId::MAX_LEN)] {
            let end = End::new(Arc::new(fake(1, version, ids)), Role::Client, 1, now);
            let expected = (Overhead::MAX.head + more, Overhead::MAX.tail);
            assert_eq!((end.dtls.overhead().head, end.dtls.overhead().tail), expected);
        }
        let pair = connected(version, random(), ConnectionIds::fixed(b"12345"));
        let [without, with_type] = if version == Version::DTLS_1_2 {
            [(21, 16), (21, 17)]
        } else {
            [(5, 17), (5, 17)]
        };
        for (end, id_len) in [(&pair.client, 5), (&pair.server, ID_LEN)] {
            let overhead = end.dtls.overhead();
            assert_eq!((overhead.head, overhead.tail), (with_type.0 + id_len, with_type.1));
        }
        let pair = connected(version, random(), None);
        let overhead = pair.client.dtls.overhead();
        assert_eq!((overhead.head, overhead.tail), without);
    }
}

// Networks

#[test]
fn handshakes_over_bad_networks() {
    for version in VERSIONS {
        for (client, server) in [
            (random(), random()),
            (Some(ConnectionIds::none()), random()),
            (random(), None),
        ] {
            for seed in 0..30 {
                let size = if seed % 3 == 0 { 256 } else { 1200 };
                let sized = |config: Config| Config {
                    max_datagram: size,
                    cookie: seed % 2 == 0,
                    ..config
                };
                let client = sized(fake(1, version, client.clone()));
                let server = sized(fake(2, version, server.clone()));
                let mut pair = Pair::new(client, server, Network::BAD, seed);
                pair.settle();
                pair.assert_connected();
                pair.assert_talking();
                assert!(pair.log.iter().all(|(_, _, datagram)| datagram.len() <= size));
                for end in [&pair.client, &pair.server] {
                    assert_eq!(end.dtls.counters().misidentified_records, 0);
                }
            }
        }
    }
}

/// Hands a datagram over. Only one that has an id itself is newer than those before, not one that makes others open.
fn hear(end: &mut End, now: Instant, datagram: &[u8]) {
    let before = end.dtls.newer_records();
    end.handle(now, datagram);
    let has_id = records(datagram, ID_LEN).iter().any(|(_, id)| !id.is_empty());
    assert!(has_id || end.dtls.newer_records() == before);
}

/// All datagrams of a flight in the wrong order: records come before what gives their keys, and before it is known whether
/// they carry ids.
#[test]
fn flights_from_their_end() {
    for version in VERSIONS {
        for (client, server) in [(random(), random()), (random(), None), (None, random())] {
            let mut now = Instant::now();
            let small = |config: Config| {
                Arc::new(Config {
                    max_datagram: 256,
                    ..config
                })
            };
            let mut client = End::new(small(fake(1, version, client)), Role::Client, 1, now);
            let mut server = End::new(small(fake(2, version, server)), Role::Server, 2, now);
            client
                .dtls
                .set_remote_fingerprints(vec![fake::certificate(2).fingerprint()]);
            server
                .dtls
                .set_remote_fingerprints(vec![fake::certificate(1).fingerprint()]);
            for _ in 0..10 {
                for datagram in client.transmits(now).iter().rev() {
                    hear(&mut server, now, datagram);
                }
                for datagram in server.transmits(now).iter().rev() {
                    hear(&mut client, now, datagram);
                }
                now += Duration::from_millis(100);
                client.timeout(now);
                server.timeout(now);
            }
            assert!(client.dtls.is_connected() && server.dtls.is_connected());
            for end in [&client, &server] {
                assert_eq!(end.dtls.counters().misidentified_records, 0);
            }
        }
    }
}

/// Ids and keys change while the network loses and reorders what says so.
#[test]
fn ids_change_over_bad_networks() {
    for seed in 0..30 {
        let config = |number| fake(number, Version::DTLS_1_3, random());
        let mut pair = Pair::new(config(1), config(2), Network::BAD, seed);
        pair.settle();
        for _ in 0..4 {
            for side in [Side::Client, Side::Server] {
                let dtls = &mut pair.end(side).dtls;
                dtls.request_connection_ids(3);
                dtls.change_connection_id();
                dtls.renew_connection_id();
                dtls.update_keys();
            }
            pair.run_for(Duration::from_secs(5));
        }
        pair.assert_connected();
        pair.assert_talking();
        for side in [Side::Client, Side::Server] {
            let peers = pair.end(side.other()).dtls.peer_connection_id().clone();
            let ours = ours(pair.end(side));
            assert!(
                ours.contains(&peers) && (5..=8).contains(&ours.len()),
                "seed {seed}: {ours:?}"
            );
        }
    }
}

/// What the peer said long ago takes nothing from the patience with what is said now.
#[test]
fn each_message_has_the_patience_of_a_handshake() {
    let patience = fake(1, Version::DTLS_1_3, None).handshake_timeout;
    let mut pair = connected(Version::DTLS_1_3, random(), random());
    pair.client.dtls.renew_connection_id();
    pair.run_for(patience - Duration::from_millis(50));
    pair.network.loss_percent = 100;
    pair.server.dtls.update_keys();
    pair.run_for(patience - Duration::from_secs(1));
    assert!(pair.server.dtls.is_connected(), "{:?}", pair.server.events);
    pair.network.loss_percent = 0;
    pair.assert_talking();
    pair.network.loss_percent = 100;
    pair.server.dtls.update_keys();
    pair.run_for(patience);
    assert!(!pair.server.dtls.is_connected());
}

// Records for somebody else

/// Where the id stands.
fn id_offset(version: Version) -> usize {
    if version == Version::DTLS_1_2 { 11 } else { 1 }
}

/// The same record without its id.
fn without_id(version: Version, datagram: &[u8]) -> Vec<u8> {
    let mut without = datagram.to_vec();
    let start = id_offset(version);
    without.drain(start..start + ID_LEN);
    if version == Version::DTLS_1_2 {
        without[0] = ContentType::APPLICATION_DATA.0;
    } else {
        without[0] &= !0x10;
    }
    without
}

/// The same record with an id.
fn with_id(version: Version, datagram: &[u8], id: &[u8]) -> Vec<u8> {
    let mut with = datagram.to_vec();
    let start = id_offset(version);
    with.splice(start..start, id.iter().copied());
    if version == Version::DTLS_1_2 {
        with[0] = ContentType::TLS12_CID.0;
    } else {
        with[0] |= 0x10;
    }
    with
}

/// Delivers a datagram to the server: what came out, and by how much `newer_records` has risen.
fn deliver(pair: &mut Pair, datagram: &[u8]) -> (Vec<Vec<u8>>, u64) {
    let (now, before) = (pair.now, pair.server.dtls.newer_records());
    pair.server.received.clear();
    pair.server.handle(now, datagram);
    (pair.server.received.clone(), pair.server.dtls.newer_records() - before)
}

fn counters(change: impl FnOnce(&mut Counters)) -> Counters {
    let mut counters = Counters::default();
    change(&mut counters);
    counters
}

const NOTHING: (Vec<Vec<u8>>, u64) = (Vec::new(), 0);

/// RFC 9146 §3, RFC 9147 §4.
#[test]
fn records_with_another_id_or_none_are_dropped() {
    for version in VERSIONS {
        let mut pair = connected(version, Some(ConnectionIds::none()), random());
        let good = pair.client.seal(b"data");
        let start = id_offset(version);
        for at in start..start + ID_LEN {
            let mut other = good.clone();
            other[at] ^= 1;
            assert_eq!(deliver(&mut pair, &other), NOTHING);
        }
        assert_eq!(*pair.server.dtls.counters(), counters(|c| c.misidentified_records = 8));
        assert_eq!(deliver(&mut pair, &without_id(version, &good)), NOTHING);
        assert_eq!(*pair.server.dtls.counters(), counters(|c| c.misidentified_records = 9));
        // None of that keeps the true one out.
        assert_eq!(deliver(&mut pair, &good), (vec![b"data".to_vec()], 1));
        assert_eq!(deliver(&mut pair, &good), NOTHING);
        let expected = counters(|c| {
            c.misidentified_records = 9;
            c.replayed_records = 1;
        });
        assert_eq!(*pair.server.dtls.counters(), expected);
        // The client has no id, so it takes none.
        let data = pair.server.seal(b"data");
        let now = pair.now;
        pair.client.handle(now, &with_id(version, &data, b"12345678"));
        assert_eq!(*pair.client.dtls.counters(), counters(|c| c.misidentified_records = 1));
        pair.client.handle(now, &data);
        assert_eq!(pair.client.received, [b"data"]);
        assert_eq!(pair.client.dtls.newer_records(), 0);
        pair.assert_talking();
    }
}

#[test]
fn records_with_an_id_that_nobody_agreed_on_are_dropped() {
    for version in VERSIONS {
        for (client, server) in [(None, None), (random(), None), (None, random())] {
            let mut pair = connected(version, client, server);
            let data = pair.client.seal(b"data");
            let with = with_id(version, &data, b"12345678");
            // Where it ends is not known, so what follows is lost.
            assert_eq!(deliver(&mut pair, &[&with[..], &data].concat()), NOTHING);
            assert_eq!(*pair.server.dtls.counters(), counters(|c| c.misidentified_records = 1));
            assert_eq!(deliver(&mut pair, &data), (vec![b"data".to_vec()], 0));
            pair.assert_talking();
        }
    }
}

/// RFC 9147 §4: the rest of a datagram belongs to the connection of its first records.
#[test]
fn what_follows_a_record_for_somebody_else_is_dropped() {
    for version in VERSIONS {
        let mut pair = connected(version, Some(ConnectionIds::none()), random());
        let [first, second, third, fourth] = [&b"1"[..], b"2", b"3", b"4"].map(|data| pair.client.seal(data));
        let mut other = second.clone();
        other[id_offset(version)] ^= 1;
        let datagram = [&first[..], &other, &third].concat();
        assert_eq!(deliver(&mut pair, &datagram), (vec![b"1".to_vec()], 1));
        assert_eq!(*pair.server.dtls.counters(), counters(|c| c.misidentified_records = 1));
        // One that says nothing of where it belongs is dropped alone.
        let datagram = [&without_id(version, &second)[..], &third, &fourth].concat();
        assert_eq!(deliver(&mut pair, &datagram), (vec![b"3".to_vec(), b"4".to_vec()], 2));
        assert_eq!(*pair.server.dtls.counters(), counters(|c| c.misidentified_records = 2));
        // Late, but genuine.
        assert_eq!(deliver(&mut pair, &second), (vec![b"2".to_vec()], 0));
    }
}

/// The id is authentic: one of the same connection does not do in the place of another.
#[test]
fn another_id_of_the_same_connection_does_not_open() {
    let mut pair = connected(Version::DTLS_1_3, Some(ConnectionIds::none()), random());
    pair.client.dtls.request_connection_ids(2);
    pair.run_for(Duration::from_secs(1));
    let ids = ours(&pair.server);
    assert_eq!(ids.len(), 3);
    let good = pair.client.seal(b"data");
    for other in &ids[1..] {
        let mut changed = good.clone();
        changed[1..=ID_LEN].copy_from_slice(other.as_bytes());
        assert_eq!(deliver(&mut pair, &changed), NOTHING);
    }
    assert_eq!(
        *pair.server.dtls.counters(),
        counters(|c| c.unauthenticated_records = 2)
    );
    // Both of them are good for what is sealed with them, and what was sealed before is still taken.
    assert!(pair.client.dtls.change_connection_id());
    let later = pair.client.seal(b"later");
    assert_eq!(later[1..=ID_LEN], *ids[1].as_bytes());
    assert_eq!(deliver(&mut pair, &later), (vec![b"later".to_vec()], 1));
    assert_eq!(deliver(&mut pair, &good), (vec![b"data".to_vec()], 0));
}

/// What is in the clear has no id, and no say in where the peer is.
#[test]
fn records_in_the_clear_are_none_of_the_peers() {
    for version in VERSIONS {
        let mut pair = connected(version, random(), random());
        let hello = pair.log[0].2.clone();
        assert_eq!(deliver(&mut pair, &hello), NOTHING);
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40];
        assert_eq!(deliver(&mut pair, &alert), NOTHING);
        pair.assert_talking();
    }
}

/// Epochs count before sequence numbers (RFC 9146 §6).
#[test]
fn records_of_an_earlier_epoch_are_not_newer() {
    let mut pair = connected(Version::DTLS_1_3, Some(ConnectionIds::none()), random());
    let late: Vec<_> = (0..20).map(|_| pair.client.seal(b"late")).collect();
    pair.client.dtls.update_keys();
    pair.run_for(Duration::from_secs(1));
    let new = pair.client.seal(b"new");
    assert_ne!(new[0] & 3, late[0][0] & 3);
    assert_eq!(deliver(&mut pair, &new), (vec![b"new".to_vec()], 1));
    for late in late {
        assert_eq!(deliver(&mut pair, &late), (vec![b"late".to_vec()], 0));
    }
}
