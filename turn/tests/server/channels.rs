use crate::house::{Client, House, UDP, address, channel_data, send_indication, udp};
use stun::{AttributeType, Method, Value};

fn number(number: u16) -> Value<'static> {
    Value::ChannelNumber(number)
}

fn peer(text: &str) -> Value<'static> {
    Value::XorPeerAddress(address(text))
}

#[test]
fn channels_follow_their_rules() {
    let mut house = House::new();
    let (mut client, _) = house.allocated(udp(1));
    let a = peer("203.0.113.5:1");
    for wrong in [
        &[number(0x4000)][..],
        &[a],
        &[number(0x3fff), a],
        &[number(0x8000), a],
        &[],
    ] {
        assert_eq!(house.refused(&mut client, Method::CHANNEL_BIND, wrong), 400);
    }
    house.granted(&mut client, Method::CHANNEL_BIND, &[number(0x4000), a]);
    // The same again is a refresh; another address or another number is not.
    house.granted(&mut client, Method::CHANNEL_BIND, &[number(0x4000), a]);
    assert_eq!(
        house.refused(&mut client, Method::CHANNEL_BIND, &[number(0x4001), a]),
        400
    );
    assert_eq!(
        house.refused(
            &mut client,
            Method::CHANNEL_BIND,
            &[number(0x4000), peer("203.0.113.5:2")]
        ),
        400
    );
    house.granted(
        &mut client,
        Method::CHANNEL_BIND,
        &[number(0x7fff), peer("203.0.113.5:2")],
    );
    // As clients of RFC 5766 choose it.
    assert_eq!(house.client_sends(client.path, &channel_data(0x7fff, b"x")).len(), 1);
    assert_eq!(
        house.refused(
            &mut client,
            Method::CHANNEL_BIND,
            &[number(0x4002), peer("[2001:db8::9]:1")]
        ),
        443
    );
    assert_eq!(
        house.refused(&mut client, Method::CHANNEL_BIND, &[number(0x4002), peer("10.0.0.1:1")]),
        403
    );
    assert_eq!(
        house.raised(),
        [
            ("turn_bad_requests", 7),
            ("turn_forbidden_peers", 1),
            ("turn_family_mismatches", 1)
        ]
    );
    let mut nobody = Client::new(udp(2));
    assert_eq!(
        house.refused(&mut nobody, Method::CHANNEL_BIND, &[number(0x4000), a]),
        437
    );
}

#[test]
fn a_channel_lasts_ten_minutes_and_its_permission_five() {
    let mut house = House::new();
    let (mut client, relayed) = house.allocated(udp(1));
    house.bind(&mut client, 0x4000, "203.0.113.5:7");
    let message = channel_data(0x4000, b"to the peer");
    house.pass(299);
    assert_eq!(house.client_sends(client.path, &message).len(), 1);
    assert_eq!(house.peer_sends(relayed, "203.0.113.5:7", b"x").len(), 1);
    house.pass(1);
    assert_eq!(house.client_sends(client.path, &message).len(), 0);
    assert_eq!(house.peer_sends(relayed, "203.0.113.5:7", b"x").len(), 0);
    assert_eq!(
        house.raised(),
        [("turn_unpermitted_sends", 1), ("turn_unpermitted_receives", 1)]
    );
    house.permit(&mut client, "203.0.113.5:7");
    assert_eq!(house.client_sends(client.path, &message).len(), 1);
    house.granted(&mut client, Method::REFRESH, &[]);
    house.pass(299);
    assert_eq!(house.client_sends(client.path, &message).len(), 1);
    house.permit(&mut client, "203.0.113.5:7");
    house.pass(1);
    // The channel is gone: data comes as an indication now, and its number is free (RFC 8656 §12).
    assert_eq!(house.client_sends(client.path, &message).len(), 0);
    assert_eq!(house.count("turn_unbound_channels"), 1);
    assert_eq!(house.peer_sends(relayed, "203.0.113.5:7", b"x")[0].1[..2], [0x00, 0x17]);
    house.bind(&mut client, 0x4000, "203.0.113.6:7");
    house.bind(&mut client, 0x4001, "203.0.113.5:7");
}

#[test]
fn what_has_ended_is_gone_even_before_the_timer_was_served() {
    let mut house = House::new();
    let (mut client, relayed) = house.allocated(udp(1));
    house.bind(&mut client, 0x4000, "203.0.113.5:7");
    house.granted(&mut client, Method::REFRESH, &[Value::Lifetime(3600)]);
    house.now += std::time::Duration::from_secs(300);
    assert_eq!(house.client_sends(client.path, &channel_data(0x4000, b"x")).len(), 0);
    assert_eq!(house.peer_sends(relayed, "203.0.113.5:7", b"x").len(), 0);
    house.now += std::time::Duration::from_secs(299);
    house.permit(&mut client, "203.0.113.5:7");
    assert_eq!(house.client_sends(client.path, &channel_data(0x4000, b"x")).len(), 1);
    house.now += std::time::Duration::from_secs(1);
    assert_eq!(house.client_sends(client.path, &channel_data(0x4000, b"x")).len(), 0);
    assert_eq!(house.count("turn_unbound_channels"), 1);
    house.bind(&mut client, 0x4000, "203.0.113.6:7");
}

#[test]
fn each_datagram_takes_its_own_way_whatever_the_one_before_took() {
    let mut house = House::new();
    let (mut client, relayed) = house.allocated(udp(1));
    let ways = [
        (0x4000, "203.0.113.5:7"),
        (0x4001, "203.0.113.5:8"),
        (0x4002, "203.0.113.6:7"),
    ];
    for (number, peer) in ways {
        house.bind(&mut client, number, peer);
    }
    for way in [0, 0, 1, 1, 0, 2, 0, 2, 1] {
        let (number, peer) = ways[way];
        let sent = house.client_sends(client.path, &channel_data(number, b"x"));
        assert_eq!((sent.len(), sent[0].peer), (1, address(peer)));
        let came = house.peer_sends(relayed, ways[2 - way].1, b"x");
        assert_eq!(came[0].1, channel_data(ways[2 - way].0, b"x"));
        // What has no channel changes nothing.
        assert_eq!(house.client_sends(client.path, &channel_data(0x4003, b"x")).len(), 0);
        assert!(!turn::ChannelData::is(
            &house.peer_sends(relayed, "203.0.113.6:9", b"x")[0].1
        ));
    }
    assert_eq!(house.raised(), [("turn_unbound_channels", 9)]);
}

#[test]
fn a_way_ends_with_its_channel_or_its_permission_and_not_before() {
    let mut house = House::new();
    let (mut client, relayed) = house.allocated(udp(1));
    house.granted(&mut client, Method::REFRESH, &[Value::Lifetime(3600)]);
    house.bind(&mut client, 0x4000, "203.0.113.5:7");
    let both = |house: &mut House| {
        let sent = house.client_sends(udp(1), &channel_data(0x4000, b"x"));
        let came = house.peer_sends(relayed, "203.0.113.5:7", b"x");
        (
            sent.len(),
            came.iter().filter(|came| turn::ChannelData::is(&came.1)).count(),
        )
    };
    // Time alone ends a way: nobody serves the timer. It is used up to the end, so that it is known from before.
    let later = |house: &mut House, seconds| {
        assert_eq!(both(house), (1, 1));
        house.now += std::time::Duration::from_secs(seconds);
        both(house)
    };
    assert_eq!(later(&mut house, 300), (0, 0));
    house.permit(&mut client, "203.0.113.5:7");
    assert_eq!(later(&mut house, 299), (1, 1));
    house.permit(&mut client, "203.0.113.5:7");
    // The permission goes on, the channel does not.
    assert_eq!(later(&mut house, 1), (0, 0));
    house.bind(&mut client, 0x4000, "203.0.113.5:7");
    // What is refreshed goes on beyond the end that was known.
    assert_eq!(later(&mut house, 299), (1, 1));
    house.bind(&mut client, 0x4000, "203.0.113.5:7");
    assert_eq!(later(&mut house, 299), (1, 1));
}

#[test]
fn a_way_ends_with_its_family() {
    let mut house = House::new();
    let mut client = Client::new(udp(1));
    let both = [UDP, Value::AdditionalAddressFamily(stun::AddressFamily::IPV6)];
    house.granted(&mut client, Method::ALLOCATE, &both);
    house.bind(&mut client, 0x4000, "[2001:db8:5::1]:7");
    assert_eq!(house.client_sends(client.path, &channel_data(0x4000, b"x")).len(), 1);
    let end = [
        Value::RequestedAddressFamily(stun::AddressFamily::IPV6),
        Value::Lifetime(0),
    ];
    house.granted(&mut client, Method::REFRESH, &end);
    assert_eq!(house.client_sends(client.path, &channel_data(0x4000, b"x")).len(), 0);
    assert_eq!(house.raised(), [("turn_unbound_channels", 1)]);
}

#[test]
fn a_way_that_is_found_to_lead_to_a_relay_ends_with_it() {
    let mut house = House::with(|config| {
        config.ipv4 = Some(turn::RelayAddress {
            bind: "0.0.0.0".parse().unwrap(),
            external: "192.0.2.1".parse().unwrap(),
        });
    });
    let (mut client, _) = house.allocated(udp(1));
    let (mut other, relayed) = house.allocated(udp(2));
    let there = format!("203.0.113.77:{}", relayed.port());
    let message = channel_data(0x4000, b"x");
    house.bind(&mut client, 0x4000, &there);
    assert_eq!(house.client_sends(client.path, &message).len(), 1);
    // It is an address of the machine from now on, of which the next ChannelBind request takes notice.
    house.server.set_addresses(["203.0.113.77".parse().unwrap()]);
    house.bind(&mut client, 0x4000, &there);
    assert_eq!(house.client_sends(client.path, &message).len(), 1);
    house.granted(&mut other, Method::REFRESH, &[Value::Lifetime(0)]);
    assert_eq!(house.client_sends(client.path, &message).len(), 0);
    assert_eq!(house.raised(), [("turn_forbidden_sends", 1)]);
}

#[test]
fn permissions_are_all_or_none() {
    let mut house = House::with(|config| config.limits.permissions = 3);
    let (mut client, relayed) = house.allocated(udp(1));
    let [a, b, c, d] = ["203.0.113.1:1", "203.0.113.2:1", "203.0.113.3:1", "203.0.113.4:1"].map(peer);
    let permissions = |house: &House| house.server.allocations(house.now).next().unwrap().permissions;
    assert_eq!(house.refused(&mut client, Method::CREATE_PERMISSION, &[]), 400);
    assert_eq!(
        house.refused(&mut client, Method::CREATE_PERMISSION, &[a, peer("127.0.0.1:1")]),
        403
    );
    assert_eq!(
        house.refused(&mut client, Method::CREATE_PERMISSION, &[a, peer("[2001:db8::9]:1")]),
        443
    );
    let broken = Value::Other(AttributeType::XOR_PEER_ADDRESS, &[0, 9, 0, 0]);
    assert_eq!(house.refused(&mut client, Method::CREATE_PERMISSION, &[a, broken]), 400);
    assert_eq!(
        house.refused(&mut client, Method::CREATE_PERMISSION, &[a, b, c, d]),
        508
    );
    assert_eq!(permissions(&house), 0);
    house.granted(&mut client, Method::CREATE_PERMISSION, &[a, b, a]);
    assert_eq!(house.refused(&mut client, Method::CREATE_PERMISSION, &[c, d]), 508);
    assert_eq!(permissions(&house), 2);
    // One address named twice is one.
    house.granted(&mut client, Method::CREATE_PERMISSION, &[c, c]);
    assert_eq!(permissions(&house), 3);
    house.granted(&mut client, Method::CREATE_PERMISSION, &[a, b, c]);
    assert_eq!(
        house.refused(&mut client, Method::CHANNEL_BIND, &[number(0x4000), d]),
        508
    );
    house.granted(&mut client, Method::CHANNEL_BIND, &[number(0x4000), c]);
    // Ports are not compared (RFC 8656 §9), addresses are.
    assert_eq!(house.peer_sends(relayed, "203.0.113.1:999", b"x").len(), 1);
    assert_eq!(house.peer_sends(relayed, "203.0.113.4:1", b"x").len(), 0);
    // Data keeps no permission alive.
    for _ in 0..10 {
        house.pass(30);
        house.client_sends(client.path, &send_indication("203.0.113.1:1", b"x", &[]));
    }
    assert_eq!(permissions(&house), 0);
    assert_eq!(house.peer_sends(relayed, "203.0.113.1:1", b"x").len(), 0);
    assert_eq!(
        house.raised(),
        [
            ("turn_bad_requests", 2),
            ("turn_forbidden_peers", 1),
            ("turn_family_mismatches", 1),
            ("turn_insufficient_capacity", 3),
            ("turn_unpermitted_sends", 1),
            ("turn_unpermitted_receives", 2),
        ]
    );
}

#[test]
fn channels_have_a_limit() {
    let mut house = House::with(|config| config.limits.channels = 2);
    let (mut client, _) = house.allocated(udp(1));
    house.bind(&mut client, 0x4000, "203.0.113.5:1");
    house.bind(&mut client, 0x4001, "203.0.113.5:2");
    let third = [number(0x4002), peer("203.0.113.5:3")];
    assert_eq!(house.refused(&mut client, Method::CHANNEL_BIND, &third), 508);
    house.bind(&mut client, 0x4001, "203.0.113.5:2");
}

#[test]
fn an_unknown_attribute_is_told_to_whom_is_known() {
    let mut house = House::new();
    let (mut client, _) = house.allocated(udp(1));
    let strange = Value::Other(AttributeType(0x7abc), b"x");
    let reply = house.ask(
        &mut client,
        Method::CREATE_PERMISSION,
        &[peer("203.0.113.5:1"), strange],
    );
    assert_eq!(reply.code(), Some(420));
    let optional = Value::Other(AttributeType(0xfabc), b"x");
    house.granted(
        &mut client,
        Method::CREATE_PERMISSION,
        &[peer("203.0.113.5:1"), optional],
    );
    let wide = Value::Other(AttributeType::LIFETIME, b"12345678");
    assert_eq!(house.refused(&mut client, Method::REFRESH, &[wide]), 400);
    client.path = udp(2);
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP, strange]), 420);
}
