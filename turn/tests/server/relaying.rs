use crate::house::{Client, House, UDP, address, channel_data, send_indication, tcp, udp};
use std::time::Duration;
use stun::{AttributeType, Builder, Class, Message, Method, TransactionId, Value};
use turn::{ChannelData, IcmpError};
use wire::Ecn;

#[test]
fn data_goes_both_ways_as_indications() {
    let mut house = House::new();
    let (mut client, relayed) = house.allocated(udp(1));
    house.permit(&mut client, "203.0.113.5:0");
    for len in 0..9 {
        let data = &b"relayed!"[..len];
        let sent = house.client_sends(client.path, &send_indication("203.0.113.5:7", data, &[]));
        let [sent] = &sent[..] else { panic!() };
        assert_eq!(
            (sent.relay, sent.peer),
            (house.relay_at(relayed), address("203.0.113.5:7"))
        );
        assert_eq!((&sent.data[..], sent.dont_fragment), (data, false));
        let came = house.peer_sends(relayed, "203.0.113.5:7", data);
        let [(path, bytes, _)] = &came[..] else { panic!() };
        assert_eq!(*path, client.path);
        let message = Message::parse(bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        assert_eq!(message.xor_peer_address(), Ok(Some(address("203.0.113.5:7"))));
        assert_eq!(message.data(), Ok(Some(data)));
        assert_eq!(message.attributes().count(), 2);
    }
    assert_eq!(house.raised(), []);
    let usage = house.server.allocations(house.now).next().unwrap().usage;
    assert_eq!((usage.sent_packets, usage.sent_bytes), (9, 36));
    assert_eq!((usage.received_packets, usage.received_bytes), (9, 36));
    let traffic = house.server.traffic().iter().filter(|(_, value)| *value > 0);
    assert_eq!(
        traffic.collect::<Vec<_>>(),
        [
            ("turn_allocations", 1),
            ("turn_sent_packets", 9),
            ("turn_sent_bytes", 36),
            ("turn_received_packets", 9),
            ("turn_received_bytes", 36),
        ]
    );
}

#[test]
fn transaction_ids_of_indications_differ() {
    let mut house = House::new();
    let (mut client, relayed) = house.allocated(udp(1));
    house.permit(&mut client, "203.0.113.5:0");
    let mut id = || house.peer_sends(relayed, "203.0.113.5:7", b"x")[0].1[8..20].to_vec();
    assert_ne!(id(), id());
}

#[test]
fn data_goes_both_ways_in_channels() {
    let mut house = House::new();
    for path in [udp(1), tcp(2)] {
        let (mut client, relayed) = house.allocated(path);
        house.bind(&mut client, 0x4abc, "203.0.113.5:7");
        for len in 0..9 {
            let data = &b"relayed!"[..len];
            let mut message = channel_data(0x4abc, data);
            message.resize(4 + len.next_multiple_of(4), 0xee);
            let sent = house.client_sends(client.path, &message);
            assert_eq!(
                (&sent[0].data[..], sent[0].peer, sent.len()),
                (data, address("203.0.113.5:7"), 1)
            );
            let came = house.peer_sends(relayed, "203.0.113.5:7", data);
            let mut expected = channel_data(0x4abc, data);
            if path == tcp(2) {
                // RFC 8656 §12.5: padded in a stream.
                expected.resize(4 + len.next_multiple_of(4), 0);
            }
            assert_eq!(came, [(path, expected, Ecn::NotEct)]);
        }
        // Another port of the peer has no channel.
        let came = house.peer_sends(relayed, "203.0.113.5:8", b"x");
        assert!(!ChannelData::is(&came[0].1));
    }
    assert_eq!(house.raised(), []);
}

#[test]
fn marks_go_through_and_df_as_asked() {
    let mut house = House::new();
    for (path, expected) in [(udp(1), Ecn::Ce), (tcp(2), Ecn::NotEct)] {
        let (mut client, relayed) = house.allocated(path);
        house.bind(&mut client, 0x4000, "203.0.113.5:7");
        house.permit(&mut client, "203.0.113.6:7");
        house.out.to_peer.clear();
        house.send_marked(path, &channel_data(0x4000, b"x"), Ecn::Ce);
        house.send_marked(
            path,
            &send_indication("203.0.113.6:7", b"x", &[Value::DontFragment]),
            Ecn::Ce,
        );
        let sent: Vec<_> = house
            .out
            .to_peer
            .iter()
            .map(|sent| (sent.ecn, sent.dont_fragment))
            .collect();
        assert_eq!(sent, [(expected, false), (expected, true)]);
        house.out.to_client.clear();
        let (now, relay) = (house.now, house.relay_at(relayed));
        for peer in ["203.0.113.5:7", "203.0.113.6:7"] {
            house
                .server
                .handle_relayed(now, relay, address(peer), Ecn::Ce, b"x", &mut house.out);
        }
        assert!(house.out.to_client.iter().all(|(_, _, ecn)| *ecn == expected));
        house.out.to_client.clear();
    }
}

#[test]
fn what_must_not_be_relayed_is_dropped_and_counted() {
    let mut house = House::with(|config| config.listeners = vec![address("0.0.0.0:3478")]);
    let (mut client, relayed) = house.allocated(udp(1));
    let sends = |house: &mut House, bytes: &[u8]| house.client_sends(udp(1), bytes).len();
    assert_eq!(sends(&mut house, &send_indication("203.0.113.5:7", b"x", &[])), 0);
    assert_eq!(house.raised(), [("turn_unpermitted_sends", 1)]);
    house.permit(&mut client, "203.0.113.5:0");
    house.permit(&mut client, "192.0.2.1:0");
    // Its own port, even where the address may be a peer (RFC 8656 §21.1.7); port 0; a private address; another family.
    for peer in [
        "192.0.2.1:3478",
        "203.0.113.5:0",
        "10.0.0.1:5",
        "127.0.0.1:3478",
        "[2001:db8::9]:5",
    ] {
        assert_eq!(sends(&mut house, &send_indication(peer, b"x", &[])), 0, "{peer}");
    }
    assert_eq!(house.count("turn_forbidden_sends"), 5);
    let own = [
        Value::ChannelNumber(0x4000),
        Value::XorPeerAddress(address("192.0.2.1:3478")),
    ];
    assert_eq!(house.refused(&mut client, Method::CHANNEL_BIND, &own), 403);
    assert_eq!(house.peer_sends(relayed, "192.0.2.1:3478", b"x").len(), 0);
    assert_eq!(house.peer_sends(relayed, "203.0.113.9:1", b"x").len(), 0);
    assert_eq!(house.count("turn_unpermitted_receives"), 2);
    // Indications that lack what they need, or have what is not understood.
    let mut out = [0; 64];
    let mut b = Builder::new(&mut out, Class::Indication, Method::SEND, TransactionId([1; 12])).unwrap();
    b.push(&Value::Data(b"x")).unwrap();
    assert_eq!(sends(&mut house, b.finish()), 0);
    let strange = Value::Other(AttributeType(0x7abc), b"x");
    assert_eq!(
        sends(&mut house, &send_indication("203.0.113.5:7", b"x", &[strange])),
        0
    );
    assert_eq!(house.count("turn_bad_indications"), 2);
    assert_eq!(sends(&mut house, &channel_data(0x4000, b"x")), 0);
    assert_eq!(house.count("turn_unbound_channels"), 1);
    // Without an allocation.
    assert_eq!(house.client_sends(udp(2), &channel_data(0x4000, b"x")).len(), 0);
    assert_eq!(
        house
            .client_sends(udp(2), &send_indication("203.0.113.5:7", b"x", &[]))
            .len(),
        0
    );
    assert_eq!(house.count("turn_no_allocation"), 2);
    // Too long for an indication, not too long for a channel.
    assert_eq!(house.peer_sends(relayed, "203.0.113.5:7", &[0; 65_535]).len(), 0);
    assert_eq!(house.count("turn_too_long_receives"), 1);
    house.bind(&mut client, 0x4000, "203.0.113.5:7");
    assert_eq!(house.peer_sends(relayed, "203.0.113.5:7", &[0; 65_535]).len(), 1);
    // At a socket that was closed meanwhile.
    let relay = house.relay_at(relayed);
    house.granted(&mut client, Method::REFRESH, &[Value::Lifetime(0)]);
    let now = house.now;
    house
        .server
        .handle_relayed(now, relay, address("203.0.113.5:7"), Ecn::NotEct, b"x", &mut house.out);
    assert_eq!(house.count("turn_unowned_receives"), 1);
    // Its number may be another's by now.
    let (mut other, _) = house.allocated(udp(7));
    house.permit(&mut other, "203.0.113.5:7");
    house.out.to_client.clear();
    house
        .server
        .handle_relayed(now, relay, address("203.0.113.5:7"), Ecn::NotEct, b"x", &mut house.out);
    assert!(house.out.to_client.is_empty() && house.count("turn_unowned_receives") == 2);
}

#[test]
fn df_is_not_understood_where_it_cannot_be_set() {
    let mut house = House::with(|config| config.dont_fragment = false);
    let (mut client, _) = house.allocated(udp(1));
    house.permit(&mut client, "203.0.113.5:0");
    assert_eq!(
        house
            .client_sends(udp(1), &send_indication("203.0.113.5:7", b"x", &[Value::DontFragment]))
            .len(),
        0
    );
    assert_eq!(house.raised(), [("turn_bad_indications", 1)]);
}

#[test]
fn own_media_ports_are_peers_and_nothing_beside_them() {
    let mut house = House::with(|config| config.peers.own = vec![address("10.0.0.5:4000")]);
    let (mut client, relayed) = house.allocated(udp(1));
    house.permit(&mut client, "10.0.0.5:1");
    assert_eq!(
        house
            .client_sends(udp(1), &send_indication("10.0.0.5:4000", b"x", &[]))
            .len(),
        1
    );
    assert_eq!(house.peer_sends(relayed, "10.0.0.5:4000", b"x").len(), 1);
    assert_eq!(
        house
            .client_sends(udp(1), &send_indication("10.0.0.5:22", b"x", &[]))
            .len(),
        0
    );
    assert_eq!(house.peer_sends(relayed, "10.0.0.5:22", b"x").len(), 0);
    let ssh = [
        Value::ChannelNumber(0x4000),
        Value::XorPeerAddress(address("10.0.0.5:22")),
    ];
    assert_eq!(house.refused(&mut client, Method::CHANNEL_BIND, &ssh), 403);
    house.bind(&mut client, 0x4000, "10.0.0.5:4000");
}

#[test]
fn other_services_of_the_machine_are_no_peers() {
    let may = |house: &mut House, to: &str| {
        let (mut client, _) = house.allocated(udp(1));
        house.permit(&mut client, to);
        let sent = house.client_sends(udp(1), &send_indication(to, b"x", &[])).len();
        house.server.handle_disconnected(&udp(1));
        house.drive();
        sent == 1
    };
    for (to, expected) in [
        ("192.0.2.1:6379", false),
        ("192.0.2.1:49151", false),
        ("192.0.2.1:49152", false),
        ("192.0.2.1:4000", true),
        ("192.0.2.2:6379", true),
    ] {
        let mut house = House::with(|config| config.peers.own = vec![address("192.0.2.1:4000")]);
        assert_eq!(may(&mut house, to), expected, "{to}");
    }
    // Private addresses are of others; and addresses that no socket of ours is bound to are the machine's as well.
    let mut house = House::with(|config| config.peers.allow_private = true);
    assert!(!may(&mut house, "192.0.2.1:6379") && may(&mut house, "10.0.0.7:6379"));
    house
        .server
        .set_addresses(["192.0.2.2", "10.0.0.7", "127.0.0.1"].map(|ip| ip.parse().unwrap()));
    assert!(!may(&mut house, "192.0.2.2:6379") && !may(&mut house, "10.0.0.7:6379"));
}

#[test]
fn relays_of_the_server_are_peers_as_long_as_they_are_there() {
    let mut house = House::new();
    let (mut first, first_relayed) = house.allocated(udp(1));
    let (mut second, relayed) = house.allocated(udp(2));
    house.permit(&mut second, "192.0.2.1:0");
    let to = relayed.to_string();
    house.permit(&mut first, &to);
    house.bind(&mut first, 0x4000, &to);
    let sends = |house: &mut House, port: u16| {
        let to = format!("192.0.2.1:{port}");
        let sent = house.client_sends(udp(1), &send_indication(&to, b"x", &[]));
        sent.len()
    };
    let channel = channel_data(0x4000, b"x");
    let from = first_relayed.to_string();
    assert_eq!(sends(&mut house, relayed.port()), 1);
    assert_eq!(house.client_sends(udp(1), &channel).len(), 1);
    assert_eq!(house.peer_sends(relayed, &from, b"x").len(), 1);
    assert_eq!(house.peer_sends(first_relayed, &to, b"x").len(), 1);
    // Beside it another service may be, and where it was another one may come.
    assert_eq!(sends(&mut house, relayed.port() ^ 1), 0);
    house.granted(&mut second, Method::REFRESH, &[Value::Lifetime(0)]);
    assert_eq!(sends(&mut house, relayed.port()), 0);
    assert_eq!(house.client_sends(udp(1), &channel).len(), 0);
    assert_eq!(house.peer_sends(first_relayed, &to, b"x").len(), 0);
    let again = [Value::ChannelNumber(0x4000), Value::XorPeerAddress(relayed)];
    assert_eq!(house.refused(&mut first, Method::CHANNEL_BIND, &again), 403);
    assert_eq!(house.count("turn_forbidden_sends"), 3);
    // A relay of TCP is none of UDP.
    let mut third = Client::new(tcp(3));
    let listening = house
        .granted(&mut third, Method::ALLOCATE, &[crate::house::TCP])
        .relayed()[0];
    assert_eq!(sends(&mut house, listening.port()), 0);
}

#[test]
fn each_way_has_its_rate() {
    let mut house = House::with(|config| {
        config.limits.bytes_per_second = 10_000;
        config.limits.burst_bytes = 5000;
    });
    let (mut client, relayed) = house.allocated(udp(1));
    house.bind(&mut client, 0x4000, "203.0.113.5:7");
    let message = channel_data(0x4000, &[0; 1000]);
    let sent = |house: &mut House| {
        (0..20)
            .filter(|_| !house.client_sends(udp(1), &message).is_empty())
            .count()
    };
    let came = |house: &mut House| {
        (0..20)
            .filter(|_| !house.peer_sends(relayed, "203.0.113.5:7", &[0; 1000]).is_empty())
            .count()
    };
    assert_eq!((sent(&mut house), came(&mut house)), (5, 5));
    house.now += Duration::from_millis(300);
    assert_eq!((sent(&mut house), came(&mut house)), (3, 3));
    assert_eq!(
        house.raised(),
        [("turn_limited_sends", 32), ("turn_limited_receives", 32)]
    );
    let usage = house.server.allocations(house.now).next().unwrap().usage;
    assert_eq!(
        (usage.sent_packets, usage.received_packets, usage.limited_packets),
        (8, 8, 64)
    );
    // Another allocation has its own.
    let (mut other, _) = house.allocated(udp(2));
    house.bind(&mut other, 0x4000, "203.0.113.5:7");
    assert_eq!(house.client_sends(udp(2), &message).len(), 1);
}

#[test]
fn icmp_errors_are_told_to_clients() {
    let mut house = House::new();
    let mut client = Client::new(udp(1));
    let both = Value::AdditionalAddressFamily(stun::AddressFamily::IPV6);
    let relayed = house.granted(&mut client, Method::ALLOCATE, &[UDP, both]).relayed();
    house.permit(&mut client, "203.0.113.5:0");
    house.permit(&mut client, "[2001:db8:5::1]:0");
    let told = |house: &mut House, peer: &str, kind: u8, code: u8| {
        let relay = house.relay_at(relayed[usize::from(address(peer).is_ipv6())]);
        let icmp = IcmpError { kind, code, mtu: 1280 };
        let now = house.now;
        house.out.to_client.clear();
        house
            .server
            .handle_icmp(now, relay, address(peer), icmp, &mut house.out);
        let reply = house.answer(client.path)?;
        assert_eq!(
            (reply.message().class(), reply.message().method()),
            (Class::Indication, Method::DATA)
        );
        assert_eq!(reply.message().xor_peer_address(), Ok(Some(address(peer))));
        let Value::Icmp { kind: k, code: c, data } = reply.values()[1] else {
            panic!()
        };
        assert_eq!((k, c), (kind, u16::from(code)));
        Some(data)
    };
    assert_eq!(told(&mut house, "203.0.113.5:7", 3, 4), Some(1280));
    assert_eq!(told(&mut house, "203.0.113.5:0", 3, 3), Some(0));
    assert_eq!(told(&mut house, "203.0.113.5:7", 11, 0), Some(0));
    assert_eq!(told(&mut house, "[2001:db8:5::1]:7", 2, 0), Some(1280));
    assert_eq!(told(&mut house, "[2001:db8:5::1]:7", 1, 4), Some(0));
    assert_eq!(told(&mut house, "[2001:db8:5::1]:7", 3, 0), Some(0));
    assert_eq!(house.raised(), []);
    for (peer, kind) in [("203.0.113.5:7", 8), ("[2001:db8:5::1]:7", 11), ("203.0.113.6:7", 3)] {
        assert_eq!(told(&mut house, peer, kind, 0), None);
    }
    assert_eq!(house.raised(), [("turn_ignored_icmp", 3)]);
    assert_eq!(house.server.traffic().turn_told_icmp, 6);
}

#[test]
fn clients_are_told_few_icmp_errors() {
    let mut house = House::new();
    let relays = [udp(1), tcp(2)].map(|path| {
        let (mut client, relayed) = house.allocated(path);
        house.permit(&mut client, "203.0.113.5:0");
        house.relay_at(relayed)
    });
    let unreachable = IcmpError {
        kind: 3,
        code: 3,
        mtu: 0,
    };
    house.out.to_client.clear();
    let start = house.now;
    let mut told = |relay, now| {
        let before = house.server.traffic().turn_told_icmp;
        for _ in 0..100 {
            let peer = address("203.0.113.5:7");
            house.server.handle_icmp(now, relay, peer, unreachable, &mut house.out);
        }
        house.server.traffic().turn_told_icmp - before
    };
    // Each has its own.
    assert_eq!(relays.map(|relay| told(relay, start)), [20, 20]);
    assert_eq!(told(relays[0], start + Duration::from_secs(1)), 10);
    // What a client is not told for long does not come all at once.
    assert_eq!(told(relays[0], start + Duration::from_secs(60)), 20);
    assert_eq!(house.out.to_client.len(), 70);
    assert_eq!(house.raised(), [("turn_limited_icmp", 400 - 70)]);
}
