use super::server::indication;
use super::*;
use crate::{FrameError, MAX_FRAME};
use proptest::prelude::*;
use stun::{AttributeType, Message, Value};

fn received(pair: &mut Pair, datagram: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
    let mut datagram = datagram.to_vec();
    let received = pair.client.handle_datagram(pair.now, &mut datagram)?;
    Some((received.peer, received.data.to_vec()))
}

fn data(peer: SocketAddr, data: &[u8]) -> Vec<u8> {
    indication(Method::DATA, &[Value::XorPeerAddress(peer), Value::Data(data)])
}

#[test]
fn data_comes_in_indications_and_channels() {
    let mut pair = Pair::bound(config(), peer(1));
    pair.client.permit(pair.now, peer(2)).unwrap();
    pair.run();
    assert_eq!(
        received(&mut pair, &data(peer(2), b"hello")),
        Some((peer(2), b"hello".to_vec()))
    );
    assert_eq!(received(&mut pair, &data(peer(2), b"")), Some((peer(2), vec![])));
    assert_eq!(
        received(&mut pair, b"\x40\x00\x00\x02hi\0\0"),
        Some((peer(1), b"hi".to_vec()))
    );
    assert_eq!(received(&mut pair, b"\x40\x00\x00\x00"), Some((peer(1), vec![])));
    pair.assert_clean();
}

#[test]
fn data_may_come_before_the_answer() {
    let mut pair = Pair::allocated(config());
    pair.client.bind(pair.now, peer(1)).unwrap();
    pair.client.permit(pair.now, peer(2)).unwrap();
    pair.poll_all();
    assert!(received(&mut pair, b"\x40\x00\x00\x02hi").is_some());
    assert!(received(&mut pair, &data(peer(2), b"x")).is_some());
    pair.assert_clean();
}

#[test]
fn data_without_a_permission_is_not_taken() {
    let mut pair = Pair::bound(config(), peer(1));
    assert_eq!(received(&mut pair, &data(peer(2), b"x")), None);
    pair.client.forget(pair.now, &peer(1));
    assert_eq!(received(&mut pair, &data(peer(1), b"x")), None);
    assert_eq!(received(&mut pair, b"\x40\x00\x00\x00"), None);
    assert_eq!(received(&mut pair, b"\x40\x01\x00\x00"), None);
    let counters = pair.client.counters();
    assert_eq!((counters.turn_unwanted_data, counters.turn_unknown_channels), (2, 2));
}

#[test]
fn a_peer_that_comes_back_is_heard_on_its_old_channel() {
    for asks in [false, true] {
        let mut pair = Pair::bound(config(), peer(1));
        pair.client.forget(pair.now, &peer(1));
        assert_eq!(received(&mut pair, b"\x40\x00\x00\x02hi"), None);
        // Without a channel, but the server has not forgotten that of before.
        if asks {
            pair.client.permit(pair.now, peer(1)).unwrap();
        } else {
            pair.deliver(peer(1), b"x");
        }
        assert!(received(&mut pair, b"\x40\x00\x00\x02hi").is_some());
        assert!(!pair.client.is_bound(&peer(1)));
        assert_eq!(pair.server.count(Method::CHANNEL_BIND), 1);
    }
}

#[test]
fn indications_that_lack_something_are_counted() {
    let mut pair = Pair::bound(config(), peer(1));
    for values in [
        &[Value::Data(b"x")][..],
        &[Value::XorPeerAddress(peer(1))],
        &[Value::XorPeerAddress(peer(1)), Value::Other(AttributeType::ICMP, b"x")],
    ] {
        assert_eq!(received(&mut pair, &indication(Method::DATA, values)), None);
    }
    assert_eq!(pair.client.counters().turn_malformed, 3);
    let unknown = Value::Other(AttributeType(0x7ff0), b"");
    let message = indication(
        Method::DATA,
        &[unknown, Value::XorPeerAddress(peer(1)), Value::Data(b"x")],
    );
    assert_eq!(received(&mut pair, &message), None);
    assert_eq!(pair.client.counters().turn_unknown_attributes, 1);
    assert_eq!(received(&mut pair, &indication(Method::SEND, &[])), None);
    assert_eq!(pair.client.counters().turn_unexpected_methods, 1);
}

#[test]
fn icmp_errors_are_told() {
    let mut pair = Pair::bound(
        Config {
            max_events: 4,
            ..config()
        },
        peer(1),
    );
    pair.events.clear();
    let icmp = Value::Icmp {
        kind: 3,
        code: 4,
        data: 1200,
    };
    let message = indication(Method::DATA, &[Value::XorPeerAddress(peer(1)), icmp]);
    for _ in 0..3 {
        assert_eq!(received(&mut pair, &message), None);
    }
    let unknown = indication(Method::DATA, &[Value::XorPeerAddress(peer(2)), icmp]);
    assert_eq!(received(&mut pair, &unknown), None);
    pair.collect();
    let told = Event::Icmp {
        peer: peer(1),
        kind: 3,
        code: 4,
        data: 1200,
    };
    assert_eq!(pair.events, [told.clone(), told]);
    // They leave room for what the server says.
    for _ in 0..9 {
        assert_eq!(received(&mut pair, &message), None);
    }
    pair.client.permit(pair.now, peer(2)).unwrap();
    pair.run();
    assert_eq!(pair.events.last(), Some(&Event::Permitted(peer(2).ip())));
    let counters = pair.client.counters();
    assert_eq!((counters.turn_events_dropped, counters.turn_unwanted_data), (1 + 7, 1));
}

#[test]
fn a_send_indication_has_address_and_data_and_padding() {
    for (peer, head) in [(peer(1), 36), (address("[2001:db8::9]:5"), 48)] {
        let mut pair = Pair::allocated(Config {
            families: Families::Both,
            ..config()
        });
        pair.deliver(peer, b"first");
        for len in 0..9 {
            let payload = vec![0xaa; len];
            let bytes = pair.send(peer, &payload).unwrap().unwrap();
            let room = pair.client.room(&peer).unwrap();
            assert_eq!((room.head(), bytes.len()), (head, head + len + room.tail(len)));
            let message = Message::parse(&bytes).unwrap();
            assert_eq!(message.xor_peer_address(), Ok(Some(peer)));
            assert_eq!(message.data(), Ok(Some(&payload[..])));
            assert_eq!(message.attributes().count(), 2);
        }
        // Each has an id of its own.
        let (a, b) = (pair.send(peer, b"x").unwrap(), pair.send(peer, b"x").unwrap());
        assert_ne!(a, b);
    }
}

#[test]
fn channel_data_is_padded_on_streams_only() {
    for (transport, tail) in [(Transport::Udp, 0), (Transport::Stream, 3)] {
        let mut pair = Pair::bound(Config { transport, ..config() }, peer(1));
        let room = pair.client.room(&peer(1)).unwrap();
        assert_eq!((room.head(), room.tail(5), room.tail(8)), (4, tail, 0));
        let mut out = [0xee; 100];
        let transmit = pair
            .client
            .send(pair.now, peer(1), b"hello", &mut out)
            .unwrap()
            .unwrap();
        assert_eq!(transmit.len, 9 + tail);
        assert_eq!(&out[..9 + tail], &b"\x40\x00\x00\x05hello\0\0\0"[..9 + tail]);
        assert_eq!(transmit.path, pair.client.path());
    }
}

#[test]
fn what_is_sealed_in_place_is_what_is_sent() {
    let mut pair = Pair::bound(config(), peer(1));
    pair.deliver(peer(2), b"first");
    for peer in [peer(1), peer(2)] {
        let room = pair.client.room(&peer).unwrap();
        let mut out = [0xee; 200];
        out[room.head()..room.head() + 5].copy_from_slice(b"hello");
        let transmit = pair.client.seal(pair.now, peer, room, 5, &mut out).unwrap().unwrap();
        assert_eq!(pair.server.handle(&out[..transmit.len]), None);
        let relayed = pair.server.relayed.last().unwrap();
        assert_eq!((relayed.peer, &relayed.data[..]), (peer, &b"hello"[..]));
    }
    // The first data to a peer waits here as well.
    let room = pair.client.room(&peer(3)).unwrap();
    let mut out = [0; 200];
    out[room.head()..room.head() + 5].copy_from_slice(b"third");
    assert_eq!(pair.client.seal(pair.now, peer(3), room, 5, &mut out), Ok(None));
    pair.run();
    assert_eq!(pair.server.relayed.last().unwrap().data, b"third");
    pair.assert_clean();
}

#[test]
fn room_that_has_changed_is_noticed() {
    let mut pair = Pair::allocated(config());
    pair.deliver(peer(1), b"x");
    let room = pair.client.room(&peer(1)).unwrap();
    pair.client.bind(pair.now, peer(1)).unwrap();
    pair.run();
    let mut out = [0; 200];
    assert_eq!(
        pair.client.seal(pair.now, peer(1), room, 5, &mut out),
        Err(SendError::RoomChanged)
    );
    let room = pair.client.room(&peer(1)).unwrap();
    assert!(pair.client.seal(pair.now, peer(1), room, 5, &mut out).is_ok());
    assert_eq!(
        pair.client.seal(pair.now, peer(1), room, 5, &mut [0; 8]),
        Err(SendError::Full)
    );
}

#[test]
fn runs_stay_runs() {
    let mut pair = Pair::bound(config(), peer(1));
    pair.deliver(peer(2), b"first");
    pair.server.relayed.clear();
    for (peer, message) in [(peer(1), 104), (peer(2), 136)] {
        let payload: Vec<u8> = (0..250).collect();
        let mut out = [0; 1000];
        let transmit = pair
            .client
            .send_run(pair.now, peer, &payload, run_of(100), &mut out)
            .unwrap()
            .unwrap();
        assert_eq!((transmit.segment, transmit.datagrams()), (Some(run_of(message)), 3));
        for datagram in out[..transmit.len].chunks(usize::from(message)) {
            pair.server.handle(datagram);
        }
        let relayed: Vec<_> = pair.server.relayed.drain(..).flat_map(|relayed| relayed.data).collect();
        assert_eq!(relayed, payload);
        // One datagram is no run.
        let transmit = pair
            .client
            .send_run(pair.now, peer, &payload[..100], run_of(100), &mut out)
            .unwrap();
        assert_eq!(transmit.unwrap().segment, None);
        let short = pair
            .client
            .send_run(pair.now, peer, &payload, run_of(100), &mut out[..200]);
        assert_eq!(short, Err(SendError::Full));
    }
    // A run that waits comes out datagram by datagram.
    let mut out = [0; 1000];
    assert_eq!(
        pair.client
            .send_run(pair.now, peer(3), &[7; 250], run_of(100), &mut out),
        Ok(None)
    );
    pair.run();
    assert_eq!(
        pair.server.relayed.iter().map(|r| r.data.len()).collect::<Vec<_>>(),
        [100, 100, 50]
    );
    pair.assert_clean();
}

#[test]
fn on_a_stream_there_are_no_runs() {
    let mut pair = Pair::bound(
        Config {
            transport: Transport::Stream,
            ..config()
        },
        peer(1),
    );
    let mut out = [0; 1000];
    let transmit = pair
        .client
        .send_run(pair.now, peer(1), &[7; 250], run_of(99), &mut out)
        .unwrap()
        .unwrap();
    assert_eq!((transmit.segment, transmit.len), (None, 104 + 104 + 56));
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut pair = Pair::bound(config(), peer(1));
    pair.deliver(peer(2), b"x");
    let mut out = vec![0; 70_000];
    let mut send = |peer, len| {
        pair.client
            .send(pair.now, peer, &vec![0; len], &mut out)
            .map(|sent| sent.unwrap().len)
    };
    assert_eq!(send(peer(1), 65_535), Ok(65_539));
    assert_eq!(send(peer(1), 65_536), Err(SendError::TooLong));
    assert_eq!(send(peer(2), 65_516), Ok(65_552));
    assert_eq!(send(peer(2), 65_517), Err(SendError::TooLong));
    let now = pair.now;
    assert_eq!(
        pair.client.send(now, peer(1), b"hello", &mut [0; 8]),
        Err(SendError::Full)
    );
    assert_eq!(
        pair.client.send(now, peer(2), b"hello", &mut [0; 43]),
        Err(SendError::Full)
    );
}

#[test]
fn waiting_data_has_a_budget() {
    let mut pair = Pair::allocated(Config {
        max_waiting_bytes: 400,
        ..config()
    });
    for _ in 0..3 {
        assert_eq!(pair.send(peer(1), &[1; 100]), Ok(None));
    }
    assert_eq!(pair.client.counters().turn_waiting_data_dropped, 1);
    pair.run();
    assert_eq!(pair.server.relayed.len(), 2);
    assert_eq!(pair.send(peer(2), b"x"), Ok(None));
    pair.client.forget(pair.now, &peer(2));
    assert_eq!(pair.client.counters().turn_waiting_data_dropped, 2);
    assert_eq!(pair.poll(), None);
}

#[test]
fn data_that_poll_transmit_has_no_room_for_does_not_wait() {
    let mut pair = Pair::allocated(Config {
        families: Families::Ipv6,
        ..config()
    });
    let peer = address("[2001:db8::9]:5");
    assert_eq!(pair.send(peer, &[1; 1998]), Ok(None));
    assert_eq!(pair.client.counters().turn_waiting_data_dropped, 1);
    assert_eq!(pair.send(peer, &[1; 1997]), Ok(None));
    pair.run();
    assert_eq!(pair.server.relayed.len(), 1);
}

#[test]
fn nothing_is_sent_without_an_allocation() {
    let mut pair = Pair::new(config());
    assert_eq!(pair.send(peer(1), b"x"), Err(SendError::NotAllocated));
    assert_eq!(pair.client.permit(pair.now, peer(1)), Err(SendError::NotAllocated));
    assert_eq!(pair.client.bind(pair.now, peer(1)), Err(SendError::NotAllocated));
    assert_eq!(pair.client.room(&peer(1)), Err(SendError::NotAllocated));
    assert_eq!(received(&mut pair, &data(peer(1), b"x")), None);
    assert_eq!(pair.client.counters().turn_unwanted_data, 1);
    assert!(pair.client.open(ConnectionId(1), address(LOCAL)).is_none());
}

#[test]
fn a_stream_that_is_not_turn_ends_it() {
    let mut pair = Pair::new(Config {
        transport: Transport::Stream,
        ..config()
    });
    let mut bytes = b"\x16\x03\x01\x00\x05hello".to_vec();
    let result = pair.client.handle_stream(pair.now, &mut bytes, |_| panic!());
    assert_eq!(result, Err(FrameError { first: 0x16 }));
    pair.assert_closed(CloseReason::BadFraming);
}

proptest! {
    /// However a stream is cut, the same comes out of it.
    #[test]
    fn a_stream_may_come_in_any_pieces(cuts in prop::collection::vec(1_usize..40, 1..60)) {
        let mut pair = Pair::bound(Config { transport: Transport::Stream, ..config() }, peer(1));
        let mut stream = Vec::new();
        for n in 0..10_u8 {
            stream.extend(data(peer(1), &vec![n; usize::from(n)]));
            stream.extend([0x40, 0, 0, n]);
            stream.extend(vec![n; usize::from(n)]);
            stream.resize(stream.len().next_multiple_of(4), 0);
        }
        let (mut buffer, mut seen, mut at) = (Vec::new(), Vec::new(), 0);
        for cut in cuts.into_iter().chain([MAX_FRAME]) {
            let end = (at + cut).min(stream.len());
            buffer.extend(&stream[at..end]);
            at = end;
            let used = pair.client.handle_stream(pair.now, &mut buffer, |received| seen.push(received.data.to_vec()));
            buffer.drain(..used.unwrap());
        }
        prop_assert!(buffer.is_empty());
        let expected: Vec<_> = (0..10_u8).flat_map(|n| [vec![n; usize::from(n)], vec![n; usize::from(n)]]).collect();
        prop_assert_eq!(seen, expected);
        pair.assert_clean();
    }

    #[test]
    fn no_datagram_breaks_it(mut bytes in prop::collection::vec(any::<u8>(), 0..100), first: u8) {
        let mut pair = Pair::bound(config(), peer(1));
        if let Some(byte) = bytes.first_mut() {
            *byte = first & 0x43;
        }
        if let Some(received) = pair.client.handle_datagram(pair.now, &mut bytes) {
            prop_assert_eq!(received.peer, peer(1));
        }
    }
}
