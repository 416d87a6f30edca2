//! What comes by itself beside what comes in checks, and how it ends.

use super::*;

fn path(end: usize, remote: &str) -> Path {
    Path::udp(ADDRESSES[end].parse().unwrap(), remote.parse().unwrap())
}

fn handle(call: &mut Call, end: usize, path: &Path, datagram: &[u8]) {
    let end = &mut call.ends[end];
    end.peer
        .handle_datagram(call.now, path, &mut datagram.to_vec(), &mut end.sink);
}

/// What the next answer of the answerer acknowledges.
fn acknowledged(call: &mut Call) -> Vec<u32> {
    let mut out = [0; Peer::MIN_OUT];
    loop {
        let transmit = call.ends[ANSWERER].peer.poll_transmit(call.now, &mut out).unwrap();
        let message = Message::parse(&out[..transmit.len]).unwrap();
        if message.class() == Class::SuccessResponse {
            let list = message.meta_dtls_in_stun_acknowledgement().unwrap().unwrap();
            return list.iter().collect();
        }
    }
}

/// A handshake record of nothing known.
const RECORD: [u8; 16] = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 1, 2, 3];

/// What a check has brought already is nothing new to DTLS, and yet tells on which path the peer sends.
#[test]
fn a_datagram_that_a_check_had_brought_chooses_the_path() {
    let mut call = Call::new(Setting { lite: true, ..WITH }, 1);
    let [_, answer] = call.negotiate();
    let paths = [ADDRESSES[CALLER], "203.0.113.9:9"].map(|remote| path(ANSWERER, remote));
    for (number, of) in paths.iter().enumerate() {
        let values = [Value::MetaDtlsInStun(&RECORD)];
        lie_to(&mut call, ANSWERER, *of, &answer, number as u32, &values);
    }
    for of in [paths[0], paths[1], paths[0], paths[1]] {
        handle(&mut call, ANSWERER, &of, &RECORD);
        assert_eq!(call.ends[ANSWERER].peer.selected_path(), Some(of));
    }
    let counters = call.ends[ANSWERER].counters();
    assert_eq!(counters, BTreeMap::from([("malformed_fragments", 1)]));
}

/// Anybody can write datagrams that look like DTLS: what the engine refuses is not acknowledged.
#[test]
fn what_dtls_refuses_is_not_acknowledged() {
    let mut call = Call::new(Setting { lite: true, ..WITH }, 1);
    let [_, answer] = call.negotiate();
    let of = path(ANSWERER, ADDRESSES[CALLER]);
    let nothing = [Value::MetaDtlsInStun(&[])];
    // A ChangeCipherSpec tells nothing, and what waits for its keys is not proven: neither raises a counter.
    let change_cipher_spec = [20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1];
    let early = [&[22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 40][..], &[0; 40]].concat();
    for (number, datagram) in [&change_cipher_spec[..], &early, &RECORD].into_iter().enumerate() {
        lie(&mut call, &answer, 10 + number as u32, &nothing);
        handle(&mut call, ANSWERER, &of, datagram);
        assert_eq!(acknowledged(&mut call), [], "{number}");
    }
    let counters = call.ends[ANSWERER].counters();
    assert_eq!(counters, BTreeMap::from([("malformed_fragments", 1)]));
    // The hello of the caller is taken.
    let mut out = [0; Peer::MIN_OUT];
    let transmit = call.ends[CALLER].peer.poll_transmit(call.now, &mut out).unwrap();
    let hello = Message::parse(&out[..transmit.len]).unwrap();
    let hello = hello.meta_dtls_in_stun().unwrap().unwrap();
    lie(&mut call, &answer, 2, &nothing);
    handle(&mut call, ANSWERER, &of, hello);
    assert_eq!(acknowledged(&mut call), [crc32fast::hash(hello)]);
}

/// A peer that leaves the empty attribute out, as Chromium 156 does, ends nothing before our last flight was laid into a
/// check: it may have acknowledged all that was before.
#[test]
fn it_is_not_over_before_the_last_flight_was_sent() {
    let version = Version::DTLS_1_3;
    let mut call = Call::new(Setting { version, ..WITH }, 1);
    let [offer, _] = call.negotiate();
    let of = path(CALLER, ADDRESSES[ANSWERER]);
    let mut lies = 0;
    while lies == 0 {
        assert!(call.now - call.start < ms(1000));
        // What is sent at this moment leaves; what comes at the next is not followed by a poll at once.
        call.exchange();
        let due = call.ends.iter().filter_map(|end| Some(end.coming.front()?.0));
        let timers = call.ends.iter().filter_map(|end| end.peer.poll_timeout());
        call.now = due.chain(timers).min().unwrap().max(call.now);
        for end in [CALLER, ANSWERER] {
            while call.ends[end].coming.front().is_some_and(|coming| coming.0 <= call.now) {
                let (_, path, datagram) = call.ends[end].coming.pop_front().unwrap();
                handle(&mut call, end, &path, &datagram);
                if call.ends[CALLER].peer.sped_state() == Some(SpedState::Pending) && lies == 0 {
                    let nothing_more = Value::MetaDtlsInStunAcknowledgement(CrcList::new(&[]));
                    lie_to(&mut call, CALLER, of, &offer, 1, &[nothing_more]);
                    assert_eq!(call.ends[CALLER].peer.sped_state(), Some(SpedState::Pending));
                    lies += 1;
                }
            }
            call.ends[end].peer.handle_timeout(call.now);
        }
    }
    call.run(Duration::from_secs(20));
    assert_eq!(call.states(), [Some(SpedState::Complete); 2]);
    // The answer to what was forged had the flight in it, and is one to nothing that was asked: it came again.
    assert!(call.ends.iter().all(|end| end.peer.state() == State::Connected));
}
