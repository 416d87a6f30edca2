//! Sessions that somebody has changed, hellos that break the rules, and tickets that no server should give.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::{Reader, Seed, Writer};

use super::{KeptSessions, ReceivedTicket, SavedSession, TicketIssuer};
use crate::crypto::{Digest, HashAlgorithm};
use crate::dtls::{Dtls, Role};
use crate::event::{CloseReason, Event};
use crate::extension::{Extensions, write_extension};
use crate::handshake::{Fragment, HandshakeHeader};
use crate::hello::ClientHello;
use crate::record::{RecordHeader, split_record};
use crate::registry::{ContentType, ExtensionType, HandshakeType, NamedGroup, Version};
use crate::v13::tests::pair::{self, Pair};
use crate::v13::{NewSessionTicket, OfferedPsk, OfferedPsks};
use crate::{Config, fake};

const HOUR: Duration = Duration::from_secs(3600);

/// Both ends resume. Their hellos are short.
fn config(number: u64) -> Config {
    let issuer = TicketIssuer::new(HOUR, Seed::from_run(9), Instant::now());
    Config {
        groups: vec![NamedGroup::X25519],
        keep_sessions: true,
        tickets: Some(Arc::new(issuer)),
        ..pair::config(number)
    }
}

/// A connection, and the session that it leaves.
fn first() -> (Pair, SavedSession) {
    let mut pair = Pair::connected_as(config);
    let session = pair.client.take_session().unwrap();
    (pair, session)
}

/// A pair whose client offers this session.
fn resuming(session: SavedSession, now: Instant) -> Pair {
    let mut client = Dtls::resume(Arc::new(config(1)), session, Seed::from_run(3), now);
    let mut server = Dtls::new(Arc::new(config(2)), Role::Server, Seed::from_run(4), now);
    client.set_remote_fingerprints(vec![fake::certificate(2).fingerprint()]);
    server.set_remote_fingerprints(vec![fake::certificate(1).fingerprint()]);
    Pair { now, client, server }
}

fn closed(dtls: &mut Dtls) -> Option<CloseReason> {
    std::iter::from_fn(|| dtls.poll_event()).find_map(|event| match event {
        Event::Closed { reason } => Some(reason),
        _ => None,
    })
}

#[test]
fn a_changed_session() {
    let resumes = |change: fn(&mut ReceivedTicket)| {
        let (pair, mut session) = first();
        change(&mut session.received);
        let mut pair = resuming(session, pair.now);
        pair.exchange();
        (pair.server.is_resumed(), closed(&mut pair.server), pair)
    };
    let (resumed, reason, pair) = resumes(|_| ());
    assert!(resumed && reason.is_none() && pair.client.is_resumed());
    // A ticket that is not known: in full.
    for change in [
        (|ticket: &mut ReceivedTicket| ticket.ticket[0] ^= 1) as fn(&mut ReceivedTicket),
        |ticket| ticket.ticket[1] ^= 1,
        |ticket| ticket.ticket[40] ^= 1,
        |ticket| ticket.ticket.truncate(20),
        |ticket| ticket.ticket.truncate(1),
        |ticket| ticket.ticket.push(0),
        |ticket| ticket.ticket = vec![7; SavedSession::MAX_TICKET],
        // Its age is beyond the lifetime that the server has told.
        |ticket| ticket.age_add = ticket.age_add.wrapping_add(3_700_000),
    ] {
        let (resumed, reason, pair) = resumes(change);
        assert!(!resumed && reason.is_none());
        assert!(pair.client.is_connected() && pair.server.is_connected() && !pair.client.is_resumed());
    }
    // Another age within the lifetime: clocks may differ.
    let (resumed, ..) = resumes(|ticket| ticket.age_add = ticket.age_add.wrapping_add(3_000_000));
    assert!(resumed);
    // Another key: the binder tells.
    let (_, reason, mut pair) = resumes(|ticket| ticket.psk = Digest::new(&[7; 32]));
    assert_eq!(reason, Some(CloseReason::BadBinder));
    assert!(matches!(closed(&mut pair.client), Some(CloseReason::Alert(_))));
}

#[test]
fn a_session_is_not_offered_beyond_its_time() {
    for (later, offered) in [(3598, true), (3601, false)] {
        let (pair, session) = first();
        let now = pair.now + Duration::from_secs(later);
        assert_eq!(session.remaining(now) > Duration::ZERO, offered);
        let mut pair = resuming(session, now);
        assert_eq!(pair.client.association.offers_psk, offered);
        pair.exchange();
        assert_eq!((pair.client.is_connected(), pair.client.is_resumed()), (true, offered));
    }
    // No longer than a week, whatever the server says.
    let (pair, mut session) = first();
    session.received.lifetime = Duration::from_secs(u32::MAX.into());
    assert_eq!(session.remaining(pair.now), super::MAX_LIFETIME);
    assert_eq!(session.remaining(pair.now + super::MAX_LIFETIME), Duration::ZERO);
}

// Hellos

type Named = Vec<(ExtensionType, Vec<u8>)>;

/// The body of the client's hello.
fn hello(client: &mut Dtls, now: Instant) -> Vec<u8> {
    let mut out = [0; 1200];
    let len = client.poll_transmit(now, &mut out).unwrap();
    assert_eq!(client.poll_transmit(now, &mut [0; 1200]), None);
    let (_, body, _) = split_record(&mut out[..len]).unwrap();
    let fragment = Fragment::read(&mut Reader::new(body)).unwrap();
    assert!(fragment.header.is_last() && fragment.header.fragment_offset == 0);
    fragment.body.to_vec()
}

/// The hello with other extensions.
fn with_extensions(body: &[u8], change: impl FnOnce(&mut Named)) -> Vec<u8> {
    let hello = ClientHello::parse(body).unwrap();
    let mut named: Named = hello
        .extensions
        .iter()
        .map(|(name, mut data)| (name, data.all().to_vec()))
        .collect();
    change(&mut named);
    let mut out = [0; 9000];
    let mut w = Writer::new(&mut out);
    hello.write_head(&mut w).unwrap();
    let block = w.reserve(2).unwrap();
    for (name, data) in &named {
        write_extension(&mut w, *name, |w| w.put(data)).unwrap();
    }
    w.fill_length(block).unwrap();
    w.into_written().to_vec()
}

/// What a server does about a client's hello with other extensions: why it ends, and whether it has taken the session.
fn answered(change: impl FnOnce(&mut Named)) -> (Option<CloseReason>, bool) {
    let (pair, session) = first();
    let mut pair = resuming(session, pair.now);
    let body = with_extensions(&hello(&mut pair.client, pair.now), change);
    let mut datagram = [0; 9000];
    let mut w = Writer::new(&mut datagram);
    let header = RecordHeader {
        content_type: ContentType::HANDSHAKE,
        version: Version::DTLS_1_2,
        epoch: 0,
        sequence: 0,
        length: (HandshakeHeader::LEN + body.len()) as u16,
    };
    header.write(&mut w).unwrap();
    HandshakeHeader::whole(HandshakeType::CLIENT_HELLO, 0, body.len() as u32)
        .write(&mut w)
        .unwrap();
    w.put(&body).unwrap();
    pair.server
        .handle_datagram(pair.now, w.into_written(), &mut |_| panic!("there is no data"));
    let taken = pair.server.peer_certificate().is_some();
    (closed(&mut pair.server), taken)
}

fn data(named: &mut Named, wanted: ExtensionType) -> &mut Vec<u8> {
    let found = named.iter_mut().find(|(name, _)| *name == wanted);
    &mut found.unwrap().1
}

/// Puts other keys in the place of those that are offered.
fn offer(named: &mut Named, change: impl FnOnce(OfferedPsk<'_>) -> Vec<(Vec<u8>, Vec<u8>)>) {
    let data = data(named, ExtensionType::PRE_SHARED_KEY);
    let mut block = [0; 9000];
    let mut w = Writer::new(&mut block);
    let mark = w.reserve(2).unwrap();
    write_extension(&mut w, ExtensionType::PRE_SHARED_KEY, |w| w.put(data)).unwrap();
    w.fill_length(mark).unwrap();
    let extensions = Extensions::read(&mut Reader::new(w.written())).unwrap();
    let key = extensions.offered_psks().unwrap().unwrap().iter().next().unwrap();
    let keys = change(key);
    let keys = keys.iter().map(|(identity, binder)| OfferedPsk {
        identity,
        obfuscated_age: key.obfuscated_age,
        binder,
    });
    let mut out = [0; 9000];
    let mut w = Writer::new(&mut out);
    OfferedPsks::write(&mut w, keys).unwrap();
    *data = w.into_written().to_vec();
}

#[test]
fn hellos_that_break_the_rules() {
    const PSK: ExtensionType = ExtensionType::PRE_SHARED_KEY;
    const MODES: ExtensionType = ExtensionType::PSK_KEY_EXCHANGE_MODES;
    assert_eq!(answered(|_| ()), (None, true));
    // Not the last one.
    let (reason, taken) = answered(|named| {
        let psk = named.pop().unwrap();
        named.insert(3, psk);
    });
    assert!(matches!(reason, Some(CloseReason::IllegalParameter(_))) && !taken);
    // Modes are missing, or not ours.
    let without = |named: &mut Named, gone| named.retain(|(name, _)| *name != gone);
    assert_eq!(
        answered(|named| without(named, MODES)),
        (Some(CloseReason::MissingExtension), false)
    );
    assert_eq!(answered(|named| *data(named, MODES) = vec![1, 0]), (None, false));
    let (reason, _) = answered(|named| *data(named, MODES) = vec![0]);
    assert!(matches!(reason, Some(CloseReason::Malformed { .. })));
    let (reason, _) = answered(|named| {
        data(named, PSK).pop();
    });
    assert!(matches!(reason, Some(CloseReason::Malformed { .. })));
    // Other modes beside ours: what changes the hello the binder tells.
    assert_eq!(
        answered(|named| *data(named, MODES) = vec![2, 0, 1]),
        (Some(CloseReason::BadBinder), false)
    );
    // Who resumes needs no signatures. Who does not does.
    assert_eq!(
        answered(|named| without(named, ExtensionType::SIGNATURE_ALGORITHMS)),
        (Some(CloseReason::BadBinder), false)
    );
    let unknown = |named: &mut Named| {
        without(named, ExtensionType::SIGNATURE_ALGORITHMS);
        offer(named, |_| vec![(vec![7; 100], vec![7; 32])]);
    };
    assert_eq!(answered(unknown), (Some(CloseReason::MissingExtension), false));
    // A key exchange goes with it always.
    assert_eq!(
        answered(|named| without(named, ExtensionType::KEY_SHARE)),
        (Some(CloseReason::MissingExtension), false)
    );
}

#[test]
fn offers_of_many_keys() {
    let at = |place: usize| {
        answered(|named| {
            offer(named, |key| {
                let strange = (vec![7; 60], vec![7; 32]);
                let mut keys = vec![strange; 12];
                keys[place] = (key.identity.to_vec(), key.binder.to_vec());
                keys
            });
        })
    };
    // The first one that is ours counts, and its binder alone, which is for another hello now. Of many not all are tried.
    for place in 0..4 {
        assert_eq!(at(place), (Some(CloseReason::BadBinder), false));
    }
    for place in 4..12 {
        assert_eq!(at(place), (None, false));
    }
    // Binders of other lengths.
    for len in [32, 33, 48, 255] {
        let (reason, _) = answered(|named| offer(named, |key| vec![(key.identity.to_vec(), vec![7; len])]));
        assert_eq!(reason, Some(CloseReason::BadBinder), "{len}");
    }
}

// Tickets

fn ticket(lifetime: u32, ticket: &[u8]) -> Vec<u8> {
    let mut out = [0; 9000];
    let mut w = Writer::new(&mut out);
    let message = NewSessionTicket {
        lifetime,
        age_add: 5,
        nonce: &[],
        ticket,
        extensions: Extensions::default(),
    };
    message.write(&mut w).unwrap();
    w.into_written().to_vec()
}

/// A client that was given these beside the server's own ticket.
fn given(keeps: bool, bodies: &[Vec<u8>]) -> Dtls {
    let mut pair = Pair::connected_as(|number| Config {
        keep_sessions: keeps,
        ..config(number)
    });
    pair.client.take_session();
    for body in bodies {
        let association = &mut pair.server.association;
        association.flight.clear();
        association.say_unrecorded(HandshakeType::NEW_SESSION_TICKET, body.clone());
        association.send_flight();
        pair.exchange();
        // All of it was acknowledged.
        assert!(pair.client.is_closed() || pair.server.association.flight.is_empty());
    }
    pair.client
}

#[test]
fn tickets_that_are_not_kept() {
    let count = |bodies: &[Vec<u8>]| {
        let mut client = given(true, bodies);
        assert!(client.is_connected());
        std::iter::from_fn(|| client.take_session()).count()
    };
    let good = ticket(60, b"ticket");
    assert_eq!(count(std::slice::from_ref(&good)), 1);
    assert_eq!(count(&[ticket(0, b"ticket")]), 0);
    assert_eq!(count(&[ticket(60, &[7; SavedSession::MAX_TICKET])]), 1);
    assert_eq!(count(&[ticket(60, &[7; SavedSession::MAX_TICKET + 1])]), 0);
    assert_eq!(count(&vec![good; 40]), 4);
}

#[test]
fn a_malformed_ticket_ends_the_connection_of_those_who_want_it() {
    let mut client = given(true, &[vec![1, 2, 3]]);
    assert!(matches!(closed(&mut client), Some(CloseReason::Malformed { .. })));
    let mut client = given(false, &[vec![1, 2, 3]]);
    assert!(client.is_connected() && client.take_session().is_none());
}

/// RFC 9147 §5.5, as BoringSSL sends them.
#[test]
fn tickets_in_one_record() {
    let mut pair = Pair::connected_as(config);
    pair.client.take_session();
    let next_seq = u16::try_from(pair.client.reassembler.next_seq()).unwrap();
    let association = &mut pair.server.association;
    let mut out = [0; 1200];
    let head = association.records.overhead(association.write_epoch).unwrap().head;
    let mut w = Writer::new(&mut out[head..]);
    for more in 0..3 {
        let body = ticket(60, &[more]);
        let length = u32::try_from(body.len()).unwrap();
        let message_seq = next_seq + u16::from(more);
        let header = HandshakeHeader::whole(HandshakeType::NEW_SESSION_TICKET, message_seq, length);
        header.write(&mut w).unwrap();
        w.put(&body).unwrap();
    }
    let len = w.into_written().len();
    let epoch = association.write_epoch;
    let sealed = association
        .records
        .seal(epoch, ContentType::HANDSHAKE, &mut out, len)
        .unwrap();
    pair.client
        .handle_datagram(pair.now, &mut out[..sealed.len], &mut |_| ());
    assert_eq!(std::iter::from_fn(|| pair.client.take_session()).count(), 3);
    // They are acknowledged together.
    let mut out = [0; 1200];
    assert!(pair.client.poll_transmit(pair.now, &mut out).is_some());
    assert!(pair.client.poll_transmit(pair.now, &mut out).is_none());
}

#[test]
fn the_latest_tickets_are_kept() {
    let mut kept = KeptSessions::default();
    assert!(!kept.take_news());
    let received = |number| ReceivedTicket {
        ticket: vec![number],
        psk: Digest::new(&[]),
        hash: HashAlgorithm::Sha256,
        age_add: 0,
        lifetime: HOUR,
        received: Instant::now(),
    };
    for number in 0..9 {
        kept.keep(received(number));
    }
    assert!(kept.take_news() && !kept.take_news());
    let left: Vec<_> = std::iter::from_fn(|| kept.take())
        .map(|ticket| ticket.ticket[0])
        .collect();
    assert_eq!(left, [5, 6, 7, 8]);
    // What was taken before it was told of is no news.
    kept.keep(received(9));
    assert!(kept.take().is_some() && !kept.take_news());
}
