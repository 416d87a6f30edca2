use crate::house::{Client, House, OFFERED, REALM, Reply, UDP, UNIX, address, signed, tcp, udp};
use std::time::Duration;
use stun::{
    AttributeType, Builder, Class, Key, Method, PasswordAlgorithm, PasswordAlgorithms, PasswordParameters,
    SecurityFeatures, TransactionId, Value,
};
use turn::{PeerPolicy, Server, ServerConfig, ServerConfigError, timed_password};
use wire::{Path, Seed};

fn plain(method: Method, values: &[Value<'_>]) -> Vec<u8> {
    signed(&Client::new(udp(1)), method, values, TransactionId([5; 12]))
}

fn sent(house: &mut House, path: Path, bytes: &[u8]) -> Option<Reply> {
    house.out.to_client.clear();
    house.send(path, bytes);
    house.answer(path)
}

#[test]
fn a_binding_request_is_told_where_it_came_from() {
    let mut house = House::new();
    for path in [
        udp(4711),
        Path::udp(address("[2001:db8::1]:3478"), address("[2001:db8:5::1]:99")),
    ] {
        let request = plain(Method::BINDING, &[]);
        let reply = sent(&mut house, path, &request).unwrap();
        assert_eq!(reply.message().xor_mapped_address(), Ok(Some(path.remote)));
        assert_eq!(reply.message().attributes().count(), 1);
        assert!(reply.0.len() <= 3 * request.len());
        // With FINGERPRINT as the request has it.
        let mut out = [0; 64];
        let mut b = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId([6; 12])).unwrap();
        b.fingerprint().unwrap();
        let request = b.finish();
        let reply = sent(&mut house, path, request).unwrap();
        reply.message().verify_fingerprint().unwrap();
        request[27] ^= 1;
        let request = request.to_vec();
        assert!(sent(&mut house, path, &request).is_none());
    }
    assert_eq!(house.count("turn_bindings"), 4);
    assert_eq!(house.raised(), [("turn_malformed", 2)]);
    assert_eq!(house.server.remembered(), 0);
}

#[test]
fn a_binding_request_with_unknown_attributes_lists_them() {
    let mut house = House::new();
    for count in [1, 2, 3, 8, 200] {
        let unknown: Vec<_> = (0..count)
            .map(|n| Value::Other(AttributeType(0x7000 + n), &[]))
            .collect();
        let request = plain(Method::BINDING, &unknown);
        let reply = sent(&mut house, udp(1), &request).unwrap();
        assert_eq!(reply.code(), Some(420));
        let Value::UnknownAttributes(list) = reply.values()[1] else {
            panic!()
        };
        assert_eq!(list.iter().count(), usize::from(count).min(8));
        assert!(
            reply.0.len() <= 3 * request.len(),
            "{} for {}",
            reply.0.len(),
            request.len()
        );
    }
    assert_eq!(house.raised(), [("turn_unknown_attributes", 5)]);
}

#[test]
fn noise_is_counted_and_not_answered() {
    let mut house = House::new();
    let noise: [&[u8]; 5] = [b"", b"GET / HTTP/1.1", &[0, 1, 0, 0], &[0x40], &[0x40, 0, 0, 9, 1]];
    for bytes in noise {
        assert!(sent(&mut house, udp(1), bytes).is_none());
    }
    assert_eq!(house.raised(), [("turn_malformed", 5)]);
    let mut out = [0; 64];
    for (class, method) in [
        (Class::SuccessResponse, Method::BINDING),
        (Class::Request, Method(0x80)),
        (Class::Request, Method::SEND),
        (Class::Indication, Method::DATA),
    ] {
        let message = Builder::new(&mut out, class, method, TransactionId([1; 12]))
            .unwrap()
            .finish();
        assert!(sent(&mut house, udp(1), message).is_none());
    }
    assert_eq!(house.raised(), [("turn_malformed", 5), ("turn_unexpected_messages", 4)]);
    // A keepalive is nothing to count (RFC 8489 §12.1).
    let message = Builder::new(&mut out, Class::Indication, Method::BINDING, TransactionId([1; 12]));
    assert!(sent(&mut house, udp(1), message.unwrap().finish()).is_none());
    assert_eq!(house.raised(), [("turn_malformed", 5), ("turn_unexpected_messages", 4)]);
}

#[test]
fn a_stranger_is_asked_for_a_password_in_128_bytes() {
    // The longest realm.
    let mut house = House::with(|config| config.realm = "r".repeat(32));
    let reply = sent(&mut house, udp(1), &plain(Method::ALLOCATE, &[UDP])).unwrap();
    assert_eq!((reply.code(), reply.0.len()), (Some(401), 128));
    let message = reply.message();
    assert_eq!(message.realm(), Ok(Some("r".repeat(32).as_str())));
    let nonce = message.nonce().unwrap().unwrap();
    let features = SecurityFeatures::from_nonce(nonce).unwrap();
    assert!(features.password_algorithms && features.username_anonymity);
    assert!(
        reply
            .values()
            .contains(&Value::PasswordAlgorithms(PasswordAlgorithms::new(&OFFERED)))
    );
    assert_eq!(house.count("turn_unauthenticated"), 1);
    assert_eq!(house.server.remembered(), 0);
}

#[test]
fn all_forms_of_credentials_are_accepted() {
    for (sha256, anonymous) in [(false, false), (true, false), (true, true), (false, true)] {
        let mut house = House::new();
        let mut client = Client {
            sha256,
            anonymous,
            ..Client::new(udp(1))
        };
        house.granted(&mut client, Method::ALLOCATE, &[UDP]);
        house.granted(&mut client, Method::REFRESH, &[]);
        assert_eq!(house.server.allocations(house.now).next().unwrap().user, "ann");
        assert_eq!(house.raised(), []);
    }
}

#[test]
fn wrong_passwords_and_unknown_users_are_refused() {
    let mut house = House::new();
    for (name, password, anonymous) in [
        ("ann", "secret of bob", false),
        ("nobody", "secret of ann", false),
        ("nobody", "secret of ann", true),
        ("1800000000:ann", "x", false),
    ] {
        let mut client = Client {
            name: name.into(),
            password: password.into(),
            anonymous,
            ..Client::new(udp(1))
        };
        assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP]), 401);
    }
    assert_eq!(house.raised(), [("turn_bad_credentials", 4)]);
    assert_eq!(house.server.remembered(), 0);
}

#[test]
fn a_wrong_password_changes_nothing_in_an_allocation() {
    let mut house = House::new();
    let (client, _) = house.allocated(udp(1));
    let mut forger = Client {
        password: "guess".into(),
        ..client
    };
    assert_eq!(house.refused(&mut forger, Method::REFRESH, &[Value::Lifetime(0)]), 401);
    assert_eq!(house.server.allocations(house.now).count(), 1);
}

#[test]
fn a_nonce_ends_and_the_client_gets_another() {
    let mut house = House::with(|config| config.nonce_lifetime = Duration::from_secs(100));
    let (mut client, _) = house.allocated(udp(1));
    house.pass(100);
    house.granted(&mut client, Method::REFRESH, &[]);
    house.pass(1);
    let reply = house.ask_once(&client, Method::REFRESH, &[]).unwrap();
    assert_eq!(reply.code(), Some(438));
    assert!(reply.0.len() <= 128 && reply.message().realm() == Ok(Some(REALM)));
    assert!(
        reply
            .values()
            .contains(&Value::PasswordAlgorithms(PasswordAlgorithms::new(&OFFERED)))
    );
    house.granted(&mut client, Method::REFRESH, &[]);
    // Of another part of the net it is none of ours.
    let elsewhere = Path::udp(client.path.local, address("203.0.113.5:1"));
    let moved = Client {
        path: elsewhere,
        ..client
    };
    assert_eq!(
        house.ask_once(&moved, Method::ALLOCATE, &[UDP]).unwrap().code(),
        Some(438)
    );
    assert_eq!(house.count("turn_stale_nonces"), 3);
}

/// Somebody floods the server in the name of a client's part of the net, until it says nothing more there.
fn silence(house: &mut House, path: Path) {
    let silenced = house.count("turn_refusals_silenced");
    for _ in 0..1000 {
        house.send(path, &plain(Method::ALLOCATE, &[UDP]));
    }
    assert!(house.count("turn_refusals_silenced") > silenced + 900);
}

#[test]
fn a_flood_in_the_name_of_a_clients_network_does_not_end_its_allocation() {
    let mut house = House::with(|config| config.nonce_lifetime = Duration::from_secs(100));
    let (mut client, _) = house.allocated(udp(1));
    house.pass(101);
    silence(&mut house, udp(2));
    house.granted(&mut client, Method::REFRESH, &[]);
    // In the name of the client itself it is told ten times, and then once a second.
    client.nonce = "obMatJos2gAAA0123456789abcdefghi".into();
    let forged = signed(&client, Method::REFRESH, &[], TransactionId([9; 12]));
    let told = |house: &mut House| (0..100).filter(|_| sent(house, udp(1), &forged).is_some()).count();
    house.pass(60);
    assert_eq!(told(&mut house), 10);
    house.pass(2);
    assert_eq!(told(&mut house), 2);
}

#[test]
fn who_has_a_connection_is_always_answered() {
    let mut house = House::new();
    silence(&mut house, udp(1));
    let silenced = house.count("turn_refusals_silenced");
    for _ in 0..1000 {
        let reply = sent(&mut house, tcp(1), &plain(Method::ALLOCATE, &[UDP])).unwrap();
        assert_eq!(reply.code(), Some(401));
    }
    house.granted(&mut Client::new(tcp(2)), Method::ALLOCATE, &[UDP]);
    assert_eq!(house.count("turn_refusals_silenced"), silenced);
}

#[test]
fn algorithms_cannot_be_bid_down() {
    let mut house = House::new();
    let (mut client, _) = house.allocated(udp(1));
    // Somebody on the way takes the features out of the nonce: it is then none of ours (RFC 8489 §9.2.1).
    let honest = client.nonce.clone();
    client.nonce = honest.replace("obMatJos2w", "obMatJos2A");
    assert_ne!(client.nonce, honest);
    assert_eq!(house.ask_once(&client, Method::REFRESH, &[]).unwrap().code(), Some(438));
    client.nonce = honest;
    // ... or out of the list that was offered (RFC 8489 §9.2.4).
    let key = Key::long_term_md5("ann", REALM, "secret of ann");
    let md5 = [PasswordParameters::plain(PasswordAlgorithm::MD5)];
    let other = PasswordParameters::plain(PasswordAlgorithm(7));
    let lists = PasswordAlgorithms::new(&md5);
    let whole = PasswordAlgorithms::new(&OFFERED);
    for values in [
        vec![Value::PasswordAlgorithms(lists), Value::PasswordAlgorithm(md5[0])],
        vec![Value::PasswordAlgorithms(whole)],
        vec![Value::PasswordAlgorithm(md5[0])],
        vec![Value::PasswordAlgorithms(whole), Value::PasswordAlgorithm(other)],
    ] {
        let mut out = [0; 512];
        let id = house.id();
        let mut b = Builder::new(&mut out, Class::Request, Method::REFRESH, id).unwrap();
        b.push(&Value::Username("ann")).unwrap();
        b.push(&Value::Realm(REALM)).unwrap();
        b.push(&Value::Nonce(&client.nonce)).unwrap();
        for value in &values {
            b.push(value).unwrap();
        }
        b.integrity(&key).unwrap();
        let reply = sent(&mut house, client.path, b.finish()).unwrap();
        assert_eq!(reply.code(), Some(400));
        assert_eq!(reply.message().nonce(), Ok(None));
    }
    assert_eq!(house.count("turn_bad_requests"), 4);
}

#[test]
fn integrity_without_the_rest_is_a_bad_request() {
    let mut house = House::new();
    let (client, _) = house.allocated(udp(1));
    let (name, realm, nonce) = (Value::Username("ann"), Value::Realm(REALM), Value::Nonce(&client.nonce));
    for values in [[name, realm], [name, nonce], [realm, nonce]] {
        let mut out = [0; 512];
        let mut b = Builder::new(&mut out, Class::Request, Method::REFRESH, TransactionId([9; 12])).unwrap();
        values.iter().for_each(|value| b.push(value).unwrap());
        b.integrity(&client.key()).unwrap();
        let reply = sent(&mut house, client.path, b.finish()).unwrap();
        assert_eq!((reply.code(), reply.0.len()), (Some(400), 40));
    }
    assert_eq!(house.raised(), [("turn_bad_requests", 3)]);
}

#[test]
fn credentials_with_a_time_hold_until_then() {
    let mut house = House::with(|config| {
        config.users.clear();
        config.secrets = vec!["old".into(), "new".into()];
    });
    let name = format!("{}:ann", UNIX.as_secs() + 100);
    for (n, secret) in [(1, "old"), (2, "new")] {
        for sha256 in [false, true] {
            let mut client = Client {
                name: name.clone(),
                password: timed_password(secret, &name),
                sha256,
                ..Client::new(udp(2 * n + u16::from(sha256)))
            };
            house.granted(&mut client, Method::ALLOCATE, &[UDP]);
        }
    }
    let mut client = Client {
        name: name.clone(),
        password: timed_password("older", &name),
        ..Client::new(udp(9))
    };
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP]), 401);
    client.password = timed_password("new", &name);
    let mut late = client.clone();
    late.path = udp(10);
    house.granted(&mut client, Method::ALLOCATE, &[UDP]);
    // There can be no USERHASH of a name that the server has not seen.
    assert_eq!(
        SecurityFeatures::from_nonce(&client.nonce).map(|features| features.username_anonymity),
        Some(false)
    );
    house.pass(100);
    assert_eq!(house.refused(&mut late, Method::ALLOCATE, &[UDP]), 401);
    // An allocation that was made in time goes on.
    house.granted(&mut client, Method::REFRESH, &[]);
    // The clock was set back.
    house.server.set_unix_time(house.now, UNIX);
    house.granted(&mut late, Method::ALLOCATE, &[UDP]);
}

#[test]
fn refusals_are_few_to_each_part_of_the_net() {
    let mut house = House::new();
    let (mut client, _) = house.allocated(udp(1));
    let request = plain(Method::ALLOCATE, &[UDP]);
    let ask = |house: &mut House, ip: &str, times: usize| {
        let path = Path::udp(address("192.0.2.1:3478"), address(&format!("{ip}:5")));
        (0..times).filter(|_| sent(house, path, &request).is_some()).count()
    };
    assert_eq!(ask(&mut house, "203.0.113.1", 1000), 50);
    assert_eq!(ask(&mut house, "203.0.113.200", 1000), 0);
    assert_eq!(ask(&mut house, "203.0.114.1", 1000), 50);
    house.pass(2);
    assert_eq!(ask(&mut house, "203.0.113.1", 1000), 20);
    assert_eq!(house.count("turn_refusals_silenced"), 950 + 1000 + 950 + 980);
    // Who has an allocation is not harmed, not even among those who are silenced.
    assert!(ask(&mut house, "198.51.100.77", 1000) < 1000);
    house.granted(&mut client, Method::REFRESH, &[]);
    house.granted(
        &mut client,
        Method::CREATE_PERMISSION,
        &[Value::XorPeerAddress(address("203.0.113.9:1"))],
    );
}

#[test]
fn who_gives_everything_back_makes_no_more_requests() {
    let mut house = House::with(|config| {
        config.limits.requests_per_second = 10;
        config.limits.requests_burst = 5;
    });
    let mut client = Client::new(udp(1));
    let mut ask = |method, values: &[Value<'_>]| {
        client.nonce.is_empty().then(|| house.ask(&mut client, method, values));
        house.ask_once(&client, method, values).is_some()
    };
    // The first time it asks twice.
    let answered = (0..20).take_while(|n| match n % 2 {
        0 => ask(Method::ALLOCATE, &[UDP]),
        _ => ask(Method::REFRESH, &[Value::Lifetime(0)]),
    });
    assert_eq!(answered.count(), 4);
    assert_eq!(house.count("turn_limited_requests"), 1);
}

#[test]
fn a_user_makes_so_many_requests() {
    let mut house = House::with(|config| {
        config.limits.requests_per_second = 10;
        config.limits.requests_burst = 5;
    });
    let (client, _) = house.allocated(udp(1));
    // It has made one.
    let count = |house: &mut House, client: &Client| {
        let answered = (0..20).filter(|_| house.ask_once(client, Method::REFRESH, &[]).is_some());
        answered.count()
    };
    assert_eq!(count(&mut house, &client), 4);
    assert_eq!(house.raised(), [("turn_limited_requests", 16)]);
    // From wherever it has come to in the same network.
    let again = Client {
        path: udp(2),
        ..client.clone()
    };
    assert_eq!(house.ask_once(&again, Method::ALLOCATE, &[UDP]).map(|_| ()), None);
    let mut bob = Client {
        name: "bob".into(),
        password: "secret of bob".into(),
        ..Client::new(udp(3))
    };
    house.granted(&mut bob, Method::ALLOCATE, &[UDP]);
    // Who forges requests in its name takes nothing from it.
    house.now += Duration::from_millis(250);
    let forger = Client {
        password: "x".into(),
        ..client.clone()
    };
    for _ in 0..20 {
        house.ask_once(&forger, Method::REFRESH, &[]);
    }
    assert_eq!(count(&mut house, &client), 2);
}

#[test]
fn what_cannot_work_is_said_in_a_sentence() {
    let made = |change: &dyn Fn(&mut ServerConfig)| {
        let mut config = crate::house::config();
        change(&mut config);
        Server::new(config, Seed::from_run(1), std::time::Instant::now(), UNIX).map(|_| ())
    };
    assert_eq!(made(&|_| ()), Ok(()));
    assert_eq!(
        made(&|c| c.realm = "r".repeat(33)),
        Err(ServerConfigError::Realm { refusal: 132 })
    );
    assert!(matches!(
        made(&|c| c.realm.clear()),
        Err(ServerConfigError::Realm { .. })
    ));
    assert_eq!(made(&|c| c.users.clear()), Err(ServerConfigError::NoUsers));
    assert_eq!(
        made(&|c| c.users[0].0 = "u".repeat(509)),
        Err(ServerConfigError::Username { len: 509 })
    );
    assert_eq!(
        made(&|c| c.secrets = vec!["a".into(); 3]),
        Err(ServerConfigError::Secrets)
    );
    assert_eq!(
        made(&|c| c.secrets = vec![String::new()]),
        Err(ServerConfigError::Secrets)
    );
    assert_eq!(
        made(&|c| c.ports = 1000..=2000),
        Err(ServerConfigError::Ports(1000..=2000))
    );
    let none = |c: &mut ServerConfig| (c.ipv4, c.ipv6) = (None, None);
    assert_eq!(made(&none), Err(ServerConfigError::RelayAddress));
    assert_eq!(made(&|c| c.ipv4 = c.ipv6), Err(ServerConfigError::RelayAddress));
    assert_eq!(
        made(&|c| c.max_lifetime = Duration::from_secs(1)),
        Err(ServerConfigError::Lifetimes)
    );
    let text = ServerConfigError::Realm { refusal: 132 }.to_string();
    assert!(
        text.starts_with("choose a realm of 1 to 32 bytes for TURN: ") && text.contains("132 bytes"),
        "{text}"
    );
    assert_eq!(PeerPolicy::default(), crate::house::config().peers);
    let shown = format!("{:?}", crate::house::config());
    assert!(!shown.contains("secret of ann"), "{shown}");
}
