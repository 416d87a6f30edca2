//! Whatever clients, peers and the clock do, in whatever order: nothing is relayed without a permission, what has ended
//! is gone, and what is remembered is bounded.

use crate::house::{Client, House, TCP, UDP, address, channel_data, send_indication, tcp, udp};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use stun::{Method, Value};
use turn::ServerAction;
use wire::Path;

#[derive(Debug, Clone)]
enum Step {
    Allocate { who: u8, pair: bool, both: bool, tcp: bool },
    Token { who: u8 },
    Refresh { who: u8, lifetime: u16 },
    Permit { who: u8, peers: Vec<u8> },
    Bind { who: u8, channel: u8, peer: u8 },
    Send { who: u8, peer: u8 },
    Channel { who: u8, channel: u8 },
    Receive { who: u8, peer: u8 },
    Connect { who: u8, peer: u8, open: bool },
    Hangup { who: u8 },
    Fail { binds: u8 },
    Noise { who: u8, bytes: Vec<u8> },
    Pass { seconds: u16, served: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..4_u8;
    prop_oneof![
        3 => (who.clone(), any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(who, pair, both, tcp)| Step::Allocate { who, pair, both, tcp }),
        1 => who.clone().prop_map(|who| Step::Token { who }),
        2 => (who.clone(), 0..4000_u16).prop_map(|(who, lifetime)| Step::Refresh { who, lifetime: lifetime.saturating_sub(500) }),
        3 => (who.clone(), prop::collection::vec(0..6_u8, 0..4)).prop_map(|(who, peers)| Step::Permit { who, peers }),
        3 => (who.clone(), 0..4_u8, 0..6_u8).prop_map(|(who, channel, peer)| Step::Bind { who, channel, peer }),
        4 => (who.clone(), 0..6_u8).prop_map(|(who, peer)| Step::Send { who, peer }),
        4 => (who.clone(), 0..4_u8).prop_map(|(who, channel)| Step::Channel { who, channel }),
        4 => (who.clone(), 0..6_u8).prop_map(|(who, peer)| Step::Receive { who, peer }),
        1 => (who.clone(), 0..6_u8, any::<bool>()).prop_map(|(who, peer, open)| Step::Connect { who, peer, open }),
        1 => who.clone().prop_map(|who| Step::Hangup { who }),
        1 => (0..20_u8).prop_map(|binds| Step::Fail { binds }),
        1 => (who, prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(who, bytes)| Step::Noise { who, bytes }),
        3 => (0..400_u16, any::<bool>()).prop_map(|(seconds, served)| Step::Pass { seconds, served }),
    ]
}

/// Four of them can be peers.
const PEERS: [&str; 6] = [
    "203.0.113.5:1",
    "203.0.113.5:2",
    "203.0.113.6:1",
    "[2001:db8:5::1]:1",
    "10.0.0.1:1",
    "192.0.2.1:3478",
];

fn path(who: u8) -> Path {
    if who < 2 {
        udp(u16::from(who))
    } else {
        tcp(u16::from(who))
    }
}

/// What the server has granted, as a client would know it.
#[derive(Default)]
struct Known {
    permissions: BTreeMap<(Path, IpAddr), Instant>,
    channels: BTreeMap<(Path, u16), Instant>,
}

impl Known {
    fn permits(&self, now: Instant, path: Path, peer: IpAddr) -> bool {
        self.permissions
            .get(&(path, peer))
            .is_some_and(|expires| *expires > now)
    }
}

fn run(steps: &[Step]) {
    let mut house = House::with(|config| {
        config.limits.permissions = 3;
        config.limits.channels = 2;
        config.limits.connections = 2;
        config.limits.reservations = 2;
        config.limits.allocations_per_user = 3;
    });
    let mut known = Known::default();
    let mut clients: Vec<Client> = (0..4).map(|who| Client::new(path(who))).collect();
    let mut token = [0; 8];
    for step in steps {
        house.out.to_client.clear();
        match step {
            Step::Allocate { who, pair, both, tcp } => {
                let mut values = vec![if *tcp { TCP } else { UDP }];
                if *pair {
                    values.push(Value::EvenPort { reserve_next: true });
                }
                if *both {
                    values.push(Value::AdditionalAddressFamily(stun::AddressFamily::IPV6));
                }
                let reply = house.ask(&mut clients[usize::from(*who)], Method::ALLOCATE, &values);
                token = reply.token().unwrap_or(token);
            }
            Step::Token { who } => {
                let values = [UDP, Value::ReservationToken(token)];
                house.ask(&mut clients[usize::from(*who)], Method::ALLOCATE, &values);
            }
            Step::Refresh { who, lifetime } => {
                let values = [Value::Lifetime(u32::from(*lifetime))];
                let reply = house.ask(&mut clients[usize::from(*who)], Method::REFRESH, &values);
                if *lifetime == 0 && reply.code().is_none() {
                    assert!(!house.server.is_in_use(&path(*who)));
                }
            }
            Step::Permit { who, peers } => {
                let peers: Vec<_> = peers.iter().map(|peer| address(PEERS[usize::from(*peer)])).collect();
                let values: Vec<_> = peers.iter().map(|peer| Value::XorPeerAddress(*peer)).collect();
                let reply = house.ask(&mut clients[usize::from(*who)], Method::CREATE_PERMISSION, &values);
                if reply.code().is_none() {
                    for peer in peers {
                        known
                            .permissions
                            .insert((path(*who), peer.ip()), house.now + Duration::from_secs(300));
                    }
                }
            }
            Step::Bind { who, channel, peer } => {
                let (number, peer) = (0x4000 + u16::from(*channel), address(PEERS[usize::from(*peer)]));
                let values = [Value::ChannelNumber(number), Value::XorPeerAddress(peer)];
                let reply = house.ask(&mut clients[usize::from(*who)], Method::CHANNEL_BIND, &values);
                if reply.code().is_none() {
                    known
                        .permissions
                        .insert((path(*who), peer.ip()), house.now + Duration::from_secs(300));
                    known
                        .channels
                        .insert((path(*who), number), house.now + Duration::from_secs(600));
                }
            }
            Step::Send { who, peer } => {
                let sent = house.client_sends(path(*who), &send_indication(PEERS[usize::from(*peer)], b"data", &[]));
                for sent in sent {
                    assert!(known.permits(house.now, path(*who), sent.peer.ip()));
                    assert!(*peer < 4 && house.relays.contains_key(&sent.relay));
                }
            }
            Step::Channel { who, channel } => {
                let number = 0x4000 + u16::from(*channel);
                for sent in house.client_sends(path(*who), &channel_data(number, b"data")) {
                    assert!(known.permits(house.now, path(*who), sent.peer.ip()));
                    assert!(known.channels[&(path(*who), number)] > house.now);
                    assert!(house.relays.contains_key(&sent.relay));
                }
            }
            Step::Receive { who, peer } => {
                let relays: Vec<_> = house.relays.values().copied().collect();
                let Some(relayed) = relays.get(usize::from(*who)) else {
                    continue;
                };
                let peer = PEERS[usize::from(*peer)];
                for (path, bytes, _) in house.peer_sends(*relayed, peer, b"data") {
                    assert!(known.permits(house.now, path, address(peer).ip()));
                    if turn::ChannelData::is(&bytes) {
                        let number = u16::from_be_bytes([bytes[0], bytes[1]]);
                        assert!(known.channels[&(path, number)] > house.now);
                    }
                }
            }
            Step::Connect { who, peer, open } => {
                let client = clients[usize::from(*who)].clone();
                let before = house.actions.len();
                house.ask_once(
                    &client,
                    Method::CONNECT,
                    &[Value::XorPeerAddress(address(PEERS[usize::from(*peer)]))],
                );
                if let Some(ServerAction::Connect { connection, .. }) = house.actions.get(before).copied() {
                    house.out.to_client.clear();
                    house
                        .server
                        .handle_connected(house.now, connection, *open, &mut house.out);
                    assert_eq!(house.answer(client.path).unwrap().code(), (!open).then_some(447));
                    house.drive();
                }
            }
            Step::Hangup { who } => {
                house.server.handle_disconnected(&path(*who));
                house.drive();
                assert!(!house.server.is_in_use(&path(*who)));
            }
            Step::Fail { binds } => house.failing = usize::from(*binds),
            Step::Noise { who, bytes } => {
                let before = house.server.remembered();
                house.send(path(*who), bytes);
                assert_eq!(house.server.remembered(), before);
            }
            Step::Pass { seconds, served } => {
                if *served {
                    house.pass(u64::from(*seconds));
                } else {
                    house.now += Duration::from_secs(u64::from(*seconds));
                }
            }
        }
        // What belonged to an allocation ends with it, and is not another one's on the same 5-tuple.
        known.permissions.retain(|(path, _), _| house.server.is_in_use(path));
        known.channels.retain(|(path, _), _| house.server.is_in_use(path));
        let allocations: Vec<_> = house.server.allocations(house.now).collect();
        assert!(allocations.len() <= 3);
        for it in allocations {
            assert!(it.permissions <= 3 && it.channels <= 2 && it.connections <= 2);
            assert!(house.server.is_in_use(&it.path));
        }
        assert!(house.relays.len() <= 2 * 3 + 2);
        assert!(house.server.remembered() < 100);
    }
    // In the end everything is over.
    house.pass(3600);
    assert_eq!((house.server.remembered(), house.relays.len()), (0, 0));
    assert_eq!(house.server.poll_timeout(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_keeps_the_promises(steps in prop::collection::vec(step(), 0..60)) {
        run(&steps);
    }
}
