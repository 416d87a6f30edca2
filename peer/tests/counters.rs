//! Every named counter of the peer is raised by exactly its cause, and by nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use peer::testing::Pair;
use peer::{
    Config, ConnectionId, Counters, Direction, Event, IceServer, IceTransportPolicy, Kind, Mdns, Peer, RelayStreamId,
};
use rtp::ntp::NtpTime;
use rtp::rtcp::{Fir, FirEntry, Pli, Remb, Xr, XrBlock};
use rtp::{PayloadType, RtpOut, Ssrc};
use stun::{Builder, Class, Key, Method, TransactionId, Value};
use wire::Path;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pair_with(config: Config) -> Pair {
    let mut pair = Pair::with_config(40, config);
    pair.client.add(Kind::Audio, Direction::SendOnly);
    pair.client.add(Kind::Video, Direction::SendOnly);
    pair.client.add(Kind::Audio, Direction::RecvOnly);
    pair.client.add(Kind::Video, Direction::RecvOnly);
    pair
}

fn connected() -> Pair {
    let mut pair = pair_with(Pair::config());
    pair.connect();
    pair
}

/// An offering peer with these servers.
fn full(servers: &[&str]) -> Config {
    let mut config = Pair::config();
    config.ice = ice::Config::full(ice::Role::Controlling);
    let server = |uri: &&str| IceServer::new(uri, &[], Some(("ann", "secret"))).unwrap();
    config.ice_servers = servers.iter().map(server).collect();
    config
}

const NAMES: [&str; 2] = [
    "1f4712db-ea17-4bcf-a596-105139dfd8bf.local",
    "2f4712db-ea17-4bcf-a596-105139dfd8bf.local",
];

/// An answering peer with a link for mDNS, to which these names were told.
fn link(names: &[&str], max_remote_candidates: usize) -> Pair {
    let mut config = full(&[]);
    config.ice.max_remote_candidates = max_remote_candidates;
    config.mdns = Some(Mdns {
        link: ice::mdns::Config::default(),
        conceal: false,
    });
    let mut pair = pair_with(config);
    let offer = pair.client.offer();
    pair.peer.accept_offer(pair.now, &offer).unwrap();
    for name in names {
        let text = format!("candidate:1 1 udp 1 {name} 5000 typ host");
        pair.peer.add_remote_candidate(pair.now, None, &text).unwrap();
    }
    pair
}

/// An answering peer that may open one connection, to which so many passive candidates were told.
fn passive(candidates: u16) -> Pair {
    let mut config = full(&[]);
    config.max_connections = 1;
    let mut pair = pair_with(config);
    pair.peer.add_active_tcp_candidate("192.0.2.1".parse().unwrap());
    let offer = pair.client.offer();
    pair.peer.accept_offer(pair.now, &offer).unwrap();
    for port in 1..=candidates {
        let text = format!("candidate:{port} 1 tcp 1 198.51.100.7 {port} typ host tcptype passive");
        pair.peer.add_remote_candidate(pair.now, None, &text).unwrap();
    }
    pair.run(Duration::from_secs(1));
    assert!(
        pair.events
            .iter()
            .any(|event| matches!(event, Event::OpenConnection(_)))
    );
    pair
}

/// Gives an offering peer a check with the right password, on a path from `local`.
fn check(pair: &mut Pair, local: &str) {
    pair.peer.add_section(Kind::Audio, Direction::SendOnly).unwrap();
    let offer = pair.peer.offer().unwrap();
    let value = |name: &str| offer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let mut out = [0; 200];
    let mut check = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId([1; 12])).unwrap();
    let username = format!("{}:them", value("a=ice-ufrag:"));
    check.push(&Value::Username(&username)).unwrap();
    check.push(&Value::IceControlled(1)).unwrap();
    check.push(&Value::Priority(1)).unwrap();
    check.integrity(&Key::short_term(value("a=ice-pwd:"))).unwrap();
    check.fingerprint().unwrap();
    let mut check = check.finish().to_vec();
    let path = Path::udp(local.parse().unwrap(), "198.51.100.7:5000".parse().unwrap());
    pair.peer.handle_datagram(pair.now, &path, &mut check, &mut pair.sink);
}

/// A packet with a MID, and where given a RID.
fn packet(pair: &mut Pair, ssrc: u32, payload_type: u8, mid: &[u8], rid: Option<&[u8]>) -> Vec<u8> {
    let mut extensions: Vec<(u8, &[u8])> = vec![(4, mid)];
    extensions.extend(rid.map(|rid| (10, rid)));
    let header = RtpOut {
        payload_type: PayloadType(payload_type),
        sequence_number: 1,
        ssrc: Ssrc(ssrc),
        extensions: &extensions,
        ..RtpOut::default()
    };
    pair.client.seal_rtp(&header, b"payload")
}

/// Before the keys, with a path that is validated.
fn waiting_for_keys() -> Pair {
    let mut pair = pair_with(Pair::config());
    pair.client.setup = "passive";
    // What the DTLS server has to say never arrives.
    pair.detour = |datagram| {
        if matches!(datagram.first(), Some(20..=63)) {
            ms(100_000)
        } else {
            ms(0)
        }
    };
    pair.negotiate();
    pair.run(ms(50));
    pair
}

const EARLY: [u8; 40] = [0x80; 40];

type Case = (&'static str, fn() -> Pair);

const CASES: &[Case] = &[
    ("unknown_protocol", || {
        let mut pair = connected();
        pair.inject(&[0xff, 1, 2, 3]);
        pair
    }),
    ("unvalidated_path", || {
        let mut pair = connected();
        let path = Path {
            remote: "203.0.113.9:9".parse().unwrap(),
            ..pair.path()
        };
        let mut datagram = packet(&mut pair, 5, 111, b"0", None);
        pair.peer
            .handle_datagram(pair.now, &path, &mut datagram, &mut pair.sink);
        pair
    }),
    ("before_offer", || {
        let mut pair = pair_with(Pair::config());
        let path = Path::udp("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
        pair.peer
            .handle_datagram(pair.now, &path, &mut [22, 254, 253, 0], &mut pair.sink);
        pair
    }),
    ("after_close", || {
        let mut pair = connected();
        pair.peer.close(pair.now);
        pair.inject(&[22, 254, 253, 0]);
        pair
    }),
    ("early_media_overflow", || {
        let mut pair = waiting_for_keys();
        (0..33).for_each(|_| pair.inject(&EARLY));
        pair
    }),
    ("early_media_expired", || {
        let mut pair = waiting_for_keys();
        pair.inject(&EARLY);
        pair.run(ms(201));
        pair
    }),
    ("malformed_rtp", || {
        let mut pair = connected();
        // The padding bit, and a count of zero.
        let mut bytes = vec![0xa0, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5];
        bytes.extend_from_slice(&[1, 2, 3, 0]);
        let datagram = pair.client.seal_packet(Ssrc(5), 1, 12, bytes);
        pair.inject(&datagram);
        pair
    }),
    ("unbound_ssrc", || {
        let mut pair = pair_with(Pair::config());
        pair.client.add(Kind::Video, Direction::SendOnly);
        pair.connect();
        let header = RtpOut {
            payload_type: PayloadType(96),
            ssrc: Ssrc(5),
            ..RtpOut::default()
        };
        let datagram = pair.client.seal_rtp(&header, b"x");
        pair.inject(&datagram);
        pair
    }),
    ("unknown_mid", || {
        let mut pair = connected();
        let datagram = packet(&mut pair, 5, 96, b"nobody", None);
        pair.inject(&datagram);
        pair
    }),
    ("unknown_rid", || {
        let mut pair = Pair::new(41);
        pair.client.add_simulcast(&["q", "h"]);
        pair.connect();
        let datagram = packet(&mut pair, 5, 96, b"0", Some(b"z"));
        pair.inject(&datagram);
        pair
    }),
    ("unknown_payload_type", || {
        let mut pair = connected();
        let datagram = packet(&mut pair, 5, 63, b"0", None);
        pair.inject(&datagram);
        pair
    }),
    ("superseded_ssrc", || {
        let mut pair = connected();
        for ssrc in [5, 6] {
            let datagram = packet(&mut pair, ssrc, 111, b"0", None);
            pair.inject(&datagram);
        }
        let header = RtpOut {
            payload_type: PayloadType(111),
            sequence_number: 2,
            ssrc: Ssrc(5),
            ..RtpOut::default()
        };
        let datagram = pair.client.seal_rtp(&header, b"x");
        pair.inject(&datagram);
        pair
    }),
    ("ssrc_table_full", || {
        // Three SSRCs are announced, three more fit.
        let mut pair = pair_with(Config {
            max_ssrcs: 6,
            ..Pair::config()
        });
        pair.connect();
        for ssrc in 5..9 {
            let datagram = packet(&mut pair, ssrc, 111, b"0", None);
            pair.inject(&datagram);
        }
        pair
    }),
    ("not_receiving", || {
        let mut pair = connected();
        let datagram = packet(&mut pair, 5, 111, b"2", None);
        pair.inject(&datagram);
        pair
    }),
    ("ssrc_collision", || {
        let mut pair = connected();
        let ours = pair.peer.sections()[2]
            .sender()
            .and_then(|id| pair.peer.sender(id))
            .unwrap()
            .ssrc();
        let datagram = packet(&mut pair, ours.0, 111, b"0", None);
        pair.inject(&datagram);
        pair
    }),
    ("malformed_rtcp", || {
        let mut pair = connected();
        // A length that reaches beyond the end.
        let datagram = pair.client.seal_rtcp(|w| w.put(&[0x80, 201, 0, 9, 0, 0, 0, 5]));
        pair.inject(&datagram);
        pair
    }),
    ("ignored_rtcp", || {
        let mut pair = connected();
        let datagram = pair.client.seal_rtcp(|w| Remb::write(w, Ssrc(5), 1_000_000, []));
        pair.inject(&datagram);
        let datagram = pair.client.seal_rtcp(|w| {
            Pli {
                sender: Ssrc(5),
                media: Ssrc(6),
            }
            .write(w)
        });
        pair.inject(&datagram);
        pair
    }),
    ("repeated_feedback", || {
        let mut pair = connected();
        let ssrc = pair.peer.sections()[3]
            .sender()
            .and_then(|id| pair.peer.sender(id))
            .unwrap()
            .ssrc();
        for _ in 0..2 {
            let entries = [FirEntry {
                ssrc,
                sequence_number: 1,
            }];
            let datagram = pair.client.seal_rtcp(|w| Fir::write(w, Ssrc(5), Ssrc(0), entries));
            pair.inject(&datagram);
        }
        pair
    }),
    ("unexpected_application_data", || {
        let mut pair = connected();
        let datagram = pair.client.seal_application(b"sctp");
        pair.inject(&datagram);
        pair
    }),
    ("feedback_overflow", || {
        let mut pair = connected();
        for ssrc in 0..9 {
            let block = || XrBlock::ReceiverReferenceTime(NtpTime(1));
            let datagram = pair.client.seal_rtcp(|w| Xr::write(w, Ssrc(ssrc), [block()]));
            pair.inject(&datagram);
        }
        pair
    }),
    ("stale_candidates", || {
        let mut pair = connected();
        let text = |ufrag: &str| format!("candidate:1 1 udp 1 198.51.100.7 5000 typ host generation 0 ufrag {ufrag}");
        let own = pair.client.credentials().0;
        assert_eq!(pair.peer.add_remote_candidate(pair.now, Some("0"), &text(&own)), Ok(()));
        assert_eq!(
            pair.peer.add_remote_candidate(pair.now, Some("0"), &text("other")),
            Ok(())
        );
        // Of no use, but no fault: an mDNS name, RTCP's component, the end.
        for text in [
            "candidate:1 1 udp 1 x.local 5000 typ host",
            "candidate:1 2 udp 1 192.0.2.3 5 typ host",
            "",
        ] {
            assert_eq!(pair.peer.add_remote_candidate(pair.now, None, text), Ok(()));
        }
        assert!(
            pair.peer
                .add_remote_candidate(pair.now, None, "candidate:nonsense")
                .is_err()
        );
        pair
    }),
    ("early_candidates_overflow", || {
        let mut pair = Pair::new(1);
        let mut trickle = |text: &str| assert_eq!(pair.peer.add_remote_candidate(pair.now, None, text), Ok(()));
        for port in 1..=65 {
            trickle(&format!("candidate:1 1 udp 1 198.51.100.7 {port} typ host ufrag next"));
        }
        pair
    }),
    ("unresolved_names", || {
        let mut pair = link(&[NAMES[0]], 64);
        pair.run(Duration::from_secs(6));
        pair
    }),
    ("names_overflow", || link(&NAMES, 1)),
    ("connections_refused", || passive(2)),
    ("connections_malformed", || {
        let mut pair = passive(1);
        let local = "192.0.2.1:40000".parse().unwrap();
        pair.peer.connection_opened(pair.now, ConnectionId(0), local);
        pair.peer
            .handle_connection(pair.now, ConnectionId(0), &mut [0xff; 2], &mut pair.sink);
        pair
    }),
    ("relays_failed", || {
        let mut pair = Pair::with_config(1, full(&["turn:192.0.2.9?transport=tcp"]));
        pair.peer.relay_stream_closed(pair.now, RelayStreamId(0));
        pair
    }),
    ("relays_dropped", || {
        Pair::with_config(1, full(&["turn:192.0.2.9?transport=tcp"; 9]))
    }),
    ("relay_blocked", || {
        let mut pair = Pair::with_config(1, full(&["turn:192.0.2.9?transport=tcp"]));
        // As when an allocation ends under a path: from there nothing can be sent.
        check(&mut pair, "192.0.2.77:7");
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        assert_eq!(pair.peer.poll_transmit(pair.now, &mut out), None);
        pair
    }),
    ("not_relayed", || {
        let mut config = full(&[]);
        config.ice_transport_policy = IceTransportPolicy::Relay;
        let mut pair = Pair::with_config(1, config);
        check(&mut pair, "192.0.2.1:3478");
        pair
    }),
    ("lost_events", || {
        let mut pair = connected();
        for _ in 0..65 {
            let offer = pair.client.offer();
            pair.peer.accept_offer(pair.now, &offer).unwrap();
        }
        pair
    }),
];

#[test]
fn each_counter_has_its_cause() {
    for (name, cause) in CASES {
        let pair = cause();
        let raised: Vec<_> = pair
            .peer
            .counters()
            .iter()
            .filter(|(_, value)| *value != 0)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(raised, [*name]);
    }
    let known: BTreeSet<&str> = Counters::default().iter().map(|(name, _)| name).collect();
    let tested: BTreeSet<&str> = CASES.iter().map(|(name, _)| *name).collect();
    assert_eq!(known, tested);
}

#[test]
fn replayed_and_forged_packets_raise_those_of_srtp() {
    let mut pair = connected();
    let rtp = packet(&mut pair, 5, 111, b"0", None);
    let rtcp = pair
        .client
        .seal_rtcp(|w| rtp::rtcp::ReceiverReport::write(w, Ssrc(5), [], &[]));
    for datagram in [&rtp, &rtp, &rtcp, &rtcp] {
        pair.inject(datagram);
    }
    assert_eq!(pair.sink.rtp.len(), 1);
    assert_eq!(
        pair.counters().into_iter().collect::<Vec<_>>(),
        [("replayed_srtcp", 1), ("replayed_srtp", 1)]
    );

    let mut pair = connected();
    let mut rtp = packet(&mut pair, 5, 111, b"0", None);
    *rtp.last_mut().unwrap() ^= 1;
    pair.inject(&rtp);
    assert_eq!(
        pair.counters().into_iter().collect::<Vec<_>>(),
        [("srtp_auth_failed", 1)]
    );
}

#[test]
fn all_engines_together_name_each_counter_once() {
    let mut names = BTreeSet::new();
    connected()
        .peer
        .each_counter(&mut |name, _| assert!(names.insert(name), "{name} is there twice"));
    assert!(names.len() > 50);
}
