//! Connection IDs by themselves, what becomes of them after the handshake (RFC 9147 §9), and of peers that do not keep to the
//! rules.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use wire::Writer;

use super::agreed::AgreedIds;
use super::{ConnectionId, ConnectionIds, carries_id, peek_connection_id};
use crate::config::Config;
use crate::counters::Counters;
use crate::dtls::{Dtls, Role};
use crate::event::{CloseReason, Event};
use crate::registry::{AlertDescription, HandshakeType, Version};
use crate::v13::tests::pair::{Pair, config};
use crate::v13::{NewConnectionId, RequestConnectionId};

fn id(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).unwrap()
}

fn eight() -> ConnectionIds {
    ConnectionIds::random(&[], 8).unwrap()
}

/// A connection in which the client wants these, and the server those.
fn connected(client: Option<ConnectionIds>, server: Option<ConnectionIds>) -> Pair {
    Pair::connected_as(|number| Config {
        connection_ids: if number == 1 { client.clone() } else { server.clone() },
        ..config(number)
    })
}

fn new_ids(ids: &[&[u8]], immediate: bool) -> Vec<u8> {
    let mut out = [0; 8000];
    let mut w = Writer::new(&mut out);
    NewConnectionId::write_ids(&mut w, ids.iter().copied(), immediate).unwrap();
    w.into_written().to_vec()
}

/// The end of this role says something that it would not say of itself; the other one hears it.
fn say(pair: &mut Pair, role: Role, message_type: HandshakeType, body: &[u8]) {
    let dtls = match role {
        Role::Client => &mut pair.client,
        Role::Server => &mut pair.server,
    };
    dtls.association.say_unrecorded(message_type, body.to_vec());
    dtls.association.send_flight();
    pair.exchange();
}

fn reason(dtls: &mut Dtls) -> Option<CloseReason> {
    std::iter::from_fn(|| dtls.poll_event()).find_map(|event| match event {
        Event::Closed { reason } => Some(reason),
        _ => None,
    })
}

fn ours(dtls: &Dtls) -> Vec<ConnectionId> {
    dtls.connection_ids().cloned().collect()
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

/// RFC 9147 §9: nobody may speak of ids that were not agreed on.
#[test]
fn messages_about_ids_that_nobody_wants_end_the_connection() {
    let (request, new) = (HandshakeType::REQUEST_CONNECTION_ID, HandshakeType::NEW_CONNECTION_ID);
    let cases = [
        // Nothing is agreed on.
        (None, None, request, vec![1]),
        (None, None, new, new_ids(&[b"id"], false)),
        (Some(eight()), None, request, vec![1]),
        (None, Some(eight()), new, new_ids(&[b"id"], false)),
        // The server sends without an id.
        (Some(ConnectionIds::none()), Some(eight()), request, vec![1]),
        // The server wants none.
        (
            Some(eight()),
            Some(ConnectionIds::none()),
            new,
            new_ids(&[b"id"], false),
        ),
    ];
    for (client, server, message_type, body) in cases {
        let mut pair = connected(client, server);
        say(&mut pair, Role::Server, message_type, &body);
        let expected = CloseReason::UnexpectedMessage(message_type);
        assert_eq!(reason(&mut pair.client), Some(expected));
        let told = CloseReason::Alert(AlertDescription::UNEXPECTED_MESSAGE);
        assert_eq!(reason(&mut pair.server), Some(told));
    }
}

/// A message with its body, and whether the connection ended for the right reason.
type Refusal = (HandshakeType, Vec<u8>, fn(CloseReason) -> bool);

#[test]
fn messages_that_cannot_be_taken_end_the_connection() {
    let illegal = |reason| matches!(reason, CloseReason::IllegalParameter(_));
    let malformed = |reason| matches!(reason, CloseReason::Malformed { .. });
    let (request, new) = (HandshakeType::REQUEST_CONNECTION_ID, HandshakeType::NEW_CONNECTION_ID);
    let cases: [Refusal; 5] = [
        (new, new_ids(&[], true), illegal),
        (new, new_ids(&[b""], true), illegal),
        (new, vec![0, 0, 2], malformed),
        (new, vec![0, 2, 2, 7, 0], malformed),
        (request, vec![], malformed),
    ];
    for (message_type, body, expected) in cases {
        let mut pair = connected(Some(eight()), Some(eight()));
        say(&mut pair, Role::Server, message_type, &body);
        let reason = reason(&mut pair.client).unwrap();
        assert!(expected(reason), "{reason:?}");
    }
}

/// RFC 9147 §9: in the peer's order; what is too much is forgotten.
#[test]
fn spare_ids_are_kept_as_far_as_there_is_room() {
    let mut pair = connected(Some(eight()), Some(eight()));
    let first = pair.client.peer_connection_id().clone();
    let many: Vec<Vec<u8>> = (0..20).map(|n| vec![n; usize::from(n)]).collect();
    // One that is in use, an empty one, and one that comes twice.
    let mut list = vec![first.as_bytes(), &many[1]];
    list.extend(many.iter().map(Vec::as_slice));
    let new = HandshakeType::NEW_CONNECTION_ID;
    say(&mut pair, Role::Server, new, &new_ids(&list, false));
    assert_eq!(*pair.client.peer_connection_id(), first);
    for expected in &many[1..=AgreedIds::MAX_SPARES] {
        assert!(pair.client.change_connection_id());
        assert_eq!(pair.client.peer_connection_id().as_bytes(), expected);
    }
    assert!(!pair.client.change_connection_id());
    assert_eq!(pair.client.peer_connection_id().as_bytes(), many[8]);
    assert_eq!(*pair.client.counters(), Counters::default());
}

/// The peer's id may be as long as it likes: the head of our records grows by it.
#[test]
fn an_id_that_is_immediate_is_used_at_once_and_spare_ones_from_before_are_not() {
    let mut pair = connected(Some(eight()), Some(eight()));
    let new = HandshakeType::NEW_CONNECTION_ID;
    let without = pair.client.overhead().head - 8;
    say(&mut pair, Role::Server, new, &new_ids(&[b"spare"], false));
    say(
        &mut pair,
        Role::Server,
        new,
        &new_ids(&[b"", &[7; 255], b"another"], true),
    );
    assert_eq!(*pair.client.peer_connection_id(), id(&[7; 255]));
    assert_eq!(pair.client.overhead().head, without + 255);
    let mut out = vec![0; pair.client.overhead().total() + 1];
    let len = pair.client.seal(&mut out, 1).unwrap();
    assert_eq!((len, out[0] & 0x10, &out[1..256]), (out.len(), 0x10, &[7; 255][..]));
    assert!(pair.client.change_connection_id());
    assert_eq!(*pair.client.peer_connection_id(), id(b"another"));
    assert!(!pair.client.change_connection_id());
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
        connection_ids: Some(if number == 1 { long.clone() } else { eight() }),
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

#[test]
fn requests_are_answered_as_far_as_there_is_room() {
    let mut pair = connected(Some(eight()), Some(eight()));
    let first = ours(&pair.server);
    assert_eq!(first.len(), 1);
    assert_eq!(*pair.client.peer_connection_id(), first[0]);
    while pair.server.poll_event().is_some() {}
    pair.client.request_connection_ids(3);
    pair.exchange();
    assert_eq!(ours(&pair.server).len(), 4);
    assert_eq!(
        std::iter::from_fn(|| pair.server.poll_event()).collect::<Vec<_>>(),
        [Event::ConnectionIds]
    );
    pair.client.request_connection_ids(255);
    pair.exchange();
    assert_eq!(ours(&pair.server).len(), AgreedIds::MAX_WITH_SPARES);
    // There is no more, and that is said, too.
    pair.client.request_connection_ids(1);
    pair.exchange();
    let all = ours(&pair.server);
    assert_eq!((all.len(), &all[..1]), (AgreedIds::MAX_WITH_SPARES, &first[..]));
    for next in &all[1..] {
        assert!(pair.client.change_connection_id());
        assert_eq!(pair.client.peer_connection_id(), next);
    }
    assert!(!pair.client.change_connection_id());

    // The last one is in use now, which the server sees by the request. It keeps that and the one before.
    pair.client.request_connection_ids(255);
    pair.exchange();
    let later = ours(&pair.server);
    assert_eq!((later.len(), &later[..2]), (AgreedIds::MAX_WITH_SPARES, &all[5..]));
    assert!(pair.client.change_connection_id());
    assert_eq!(*pair.client.peer_connection_id(), later[2]);
    assert_eq!(*pair.server.counters(), Counters::default());
}

#[test]
fn ids_can_be_renewed_any_number_of_times() {
    let mut pair = connected(Some(eight()), Some(eight()));
    let mut seen = ours(&pair.server);
    for spare in [0, 255] {
        pair.client.request_connection_ids(spare);
        pair.exchange();
        for _ in 0..20 {
            pair.server.renew_connection_id();
            pair.exchange();
            let now = pair.client.peer_connection_id().clone();
            assert!(!seen.contains(&now) && ours(&pair.server).contains(&now));
            assert!(ours(&pair.server).len() <= AgreedIds::MAX_OURS);
            seen.push(now);
            // The server sees it in use.
            pair.client.update_keys();
            pair.exchange();
        }
    }
    assert_eq!(*pair.server.counters(), Counters::default());
}

/// A new id takes none away that the peer may have begun to use.
#[test]
fn what_is_on_its_way_with_a_spare_id_survives_a_renewal() {
    let mut pair = connected(Some(eight()), Some(eight()));
    pair.client.request_connection_ids(255);
    pair.exchange();
    while pair.client.change_connection_id() {}
    let mut late = vec![0; pair.client.overhead().total() + 1];
    pair.client.seal(&mut late, 1).unwrap();
    let spare = pair.client.peer_connection_id().clone();
    pair.server.renew_connection_id();
    pair.exchange();
    assert_ne!(*pair.client.peer_connection_id(), spare);
    let mut heard = 0;
    pair.server.handle_datagram(pair.now, &mut late, &mut |_| heard += 1);
    assert_eq!((heard, ours(&pair.server).len()), (1, AgreedIds::MAX_OURS));
}

/// Who has one id cannot give another one; who has none is not asked.
#[test]
fn a_fixed_id_stays() {
    let mut pair = connected(ConnectionIds::fixed(b"client"), Some(ConnectionIds::none()));
    pair.server.request_connection_ids(3);
    pair.client.request_connection_ids(3);
    pair.client.renew_connection_id();
    pair.server.renew_connection_id();
    pair.exchange();
    assert_eq!(ours(&pair.client), [id(b"client")]);
    assert_eq!(*pair.server.peer_connection_id(), id(b"client"));
    assert!(pair.client.peer_connection_id().is_empty() && ours(&pair.server).is_empty());
    assert!(!pair.server.change_connection_id() && !pair.client.change_connection_id());
    assert!(pair.client.is_connected() && pair.server.is_connected());
}

/// RFC 9147 §9: no second request before the first one is answered, by another message than its acknowledgement.
#[test]
fn one_request_at_a_time() {
    let mut pair = connected(Some(eight()), Some(eight()));
    pair.client.request_connection_ids(1);
    let mut out = [0; 1200];
    let len = pair.client.poll_transmit(pair.now, &mut out).unwrap();
    pair.server.handle_datagram(pair.now, &mut out[..len], &mut |_| ());
    // The answer and the acknowledgement leave in two datagrams, of which the first is late.
    let mut late = vec![0; 1200];
    let len = pair.server.poll_transmit(pair.now, &mut late).unwrap();
    late.truncate(len);
    let len = pair.server.poll_transmit(pair.now, &mut out).unwrap();
    pair.client.handle_datagram(pair.now, &mut out[..len], &mut |_| ());
    assert!(!pair.client.awaits_acknowledgement());
    pair.client.request_connection_ids(1);
    assert_eq!(pair.client.poll_transmit(pair.now, &mut out), None);
    pair.client.handle_datagram(pair.now, &mut late, &mut |_| ());
    pair.exchange();
    assert_eq!(ours(&pair.server).len(), 3);
}

/// What waits behind a change of keys is said after it, and the other way round.
#[test]
fn ids_and_keys_change_side_by_side() {
    let mut pair = connected(Some(eight()), Some(eight()));
    for _ in 0..3 {
        pair.client.update_keys();
        pair.client.request_connection_ids(1);
        pair.client.renew_connection_id();
        pair.server.renew_connection_id();
        pair.server.update_keys();
        pair.server.request_connection_ids(1);
        pair.exchange();
    }
    assert!(pair.client.association.write_epoch >= 6 && pair.server.association.write_epoch >= 6);
    for (end, other) in [(&pair.client, &pair.server), (&pair.server, &pair.client)] {
        assert!(ours(end).contains(other.peer_connection_id()));
        assert_ne!(ours(end).first(), Some(other.peer_connection_id()));
        assert!(!end.awaits_acknowledgement());
        assert_eq!(*end.counters(), Counters::default());
    }
}

/// A peer that never acknowledges is gone, whatever else it says.
#[test]
fn a_message_that_is_never_acknowledged_ends_the_connection() {
    let mut pair = connected(Some(eight()), Some(eight()));
    pair.client.request_connection_ids(1);
    let mut out = [0; 1200];
    for _ in 0..100 {
        while pair.client.poll_transmit(pair.now, &mut out).is_some() {}
        let Some(at) = pair.client.poll_timeout() else {
            break;
        };
        pair.now = at;
        pair.client.handle_timeout(at);
    }
    assert_eq!(reason(&mut pair.client), Some(CloseReason::Timeout));
    assert!(ours(&pair.client).is_empty());
}

#[derive(Debug, Clone)]
enum Operation {
    Owe(u8),
    Renew,
    /// The peer's newest record has the one of ours that stands there.
    Use(usize),
    Say,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        any::<u8>().prop_map(Operation::Owe),
        Just(Operation::Renew),
        (0_usize..AgreedIds::MAX_OURS).prop_map(Operation::Use),
        Just(Operation::Say),
    ]
}

proptest! {
    /// Never more than the bound, never one twice, and never is the one in use forgotten, nor the one used before it when
    /// that came before it.
    #[test]
    fn our_ids_stay_within_bounds(operations in proptest::collection::vec(operation(), 0..80), random_bytes in 1usize..4) {
        let config = ConnectionIds::random(b"p", random_bytes).unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        let mut ids = AgreedIds::default();
        ids.offer(config.make(&mut rng));
        ids.settle(true);
        let mut in_use = ids.own();
        for operation in operations {
            match operation {
                Operation::Owe(count) => ids.owe(count),
                Operation::Renew => ids.renew(),
                Operation::Use(at) => {
                    let used = ids.ours().nth(at).cloned();
                    if let Some(used) = used {
                        ids.used(used.as_bytes());
                        in_use = used;
                    }
                }
                Operation::Say => {
                    let before: Vec<_> = ids.ours().cloned().collect();
                    let message = ids.next_message(Some(&config), &mut rng);
                    if let Some((message_type, body)) = message {
                        prop_assert_eq!(message_type, HandshakeType::NEW_CONNECTION_ID);
                        let new = NewConnectionId::parse(&body).unwrap();
                        prop_assert!(new.iter().all(|id| !ids.refuses(id)));
                        prop_assert!(new.iter().all(|new| !before.iter().any(|id| id.as_bytes() == new)));
                        prop_assert!(!new.immediate || new.iter().count() == 1);
                    }
                }
            }
            let ours: Vec<_> = ids.ours().collect();
            prop_assert!(ours.len() <= AgreedIds::MAX_OURS);
            prop_assert!((1..ours.len()).all(|at| !ours[..at].contains(&ours[at])));
            prop_assert!(!ids.refuses(in_use.as_bytes()));
            prop_assert!(ids.refuses(b"") && ids.refuses(b"other"));
        }
    }

    #[test]
    fn any_message_of_the_peers_is_taken_or_refused(
        lists in proptest::collection::vec((proptest::collection::vec(proptest::collection::vec(0u8..3, 0..4), 0..12), any::<bool>()), 0..8),
    ) {
        let mut ids = AgreedIds::default();
        let mut current = id(b"current");
        for (list, immediate) in lists {
            let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
            let body = new_ids(&list, immediate);
            match ids.take_new(&NewConnectionId::parse(&body).unwrap(), &current) {
                Ok(Some(next)) => {
                    prop_assert!(immediate && !next.is_empty());
                    current = next;
                }
                Ok(None) => prop_assert!(!immediate),
                Err(()) => prop_assert!(immediate && list.iter().all(|id| id.is_empty())),
            }
        }
        let spares: Vec<_> = std::iter::from_fn(|| ids.next_spare()).collect();
        prop_assert!(spares.len() <= AgreedIds::MAX_SPARES);
        prop_assert!(spares.iter().all(|spare| !spare.is_empty() && *spare != current));
    }
}

#[test]
fn a_request_says_how_many() {
    let mut ids = AgreedIds::default();
    ids.want(7);
    let (message_type, body) = ids.next_message(None, &mut StdRng::seed_from_u64(1)).unwrap();
    assert_eq!(message_type, HandshakeType::REQUEST_CONNECTION_ID);
    assert_eq!(RequestConnectionId::parse(&body), Ok(RequestConnectionId { count: 7 }));
}
