//! Once a call is warm, what goes by a TURN server allocates nothing, over UDP and over a stream.

use std::alloc::System;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use peer::{
    Config, Direction, Event, IceServer, IceTransportPolicy, Kind, Peer, RelayStreamId, Sink, State, StreamInfo,
};
use rtp::{Packet, RtpOut};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use turn::{Outgoing, RelayAddress, RelayId, Server, ServerAction, ServerConfig, ServerSink};
use wire::{Ecn, Path, Protocol, Seed};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const OURS: &str = "203.0.113.2:5000";
const THEIRS: &str = "203.0.113.3:5000";
const SERVER: &str = "198.51.100.1:3478";
const TICK: Duration = Duration::from_millis(10);

/// Counts and keeps nothing.
#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    fn rtp(&mut self, _: &StreamInfo<'_>, _: Packet<&mut [u8]>) {
        self.0 += 1;
    }
}

/// What the TURN server has sent.
#[derive(Default)]
struct Sent {
    to_client: VecDeque<Vec<u8>>,
    to_peer: VecDeque<Vec<u8>>,
}

fn written(packet: &Outgoing<'_>) -> Vec<u8> {
    let mut bytes = vec![0; packet.len()];
    packet.write(&mut bytes).unwrap();
    bytes
}

impl ServerSink for Sent {
    fn to_client(&mut self, _: &Path, packet: Outgoing<'_>) {
        self.to_client.push_back(written(&packet));
    }

    fn to_peer(&mut self, _: RelayId, peer: SocketAddr, packet: Outgoing<'_>) {
        assert_eq!(peer, address(THEIRS));
        self.to_peer.push_back(written(&packet));
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn config(certificate: u64) -> Config {
    let crypto = Arc::new(FakeCrypto::new());
    Config::new(Arc::new(dtls_srtp::Config::new(crypto, fake::certificate(certificate))))
}

/// Does something of ours, and counts.
fn counted<T>(allocated: &mut usize, work: impl FnOnce() -> T) -> T {
    let region = Region::new(ALLOCATOR);
    let value = work();
    let change = region.change();
    *allocated += change.allocations + change.reallocations;
    value
}

/// Us behind a TURN server, and somebody at a public address.
struct World {
    now: Instant,
    ours: Peer,
    theirs: Peer,
    server: Server,
    sent: Sent,
    /// Our path to the server.
    path: Path,
    stream: Option<RelayStreamId>,
    relay: Option<(RelayId, SocketAddr)>,
    heard: [Count; 2],
    spoken: u64,
    channel_data: u64,
    allocated: usize,
}

impl World {
    fn new(uri: &str, protocol: Protocol) -> Self {
        let now = Instant::now();
        let mut ours = config(1);
        ours.ice = ice::Config::full(ice::Role::Controlling);
        ours.ice_servers = vec![IceServer::new(uri, &[], Some(("ann", "secret"))).unwrap()];
        ours.ice_transport_policy = IceTransportPolicy::Relay;
        let mut ours = Peer::new(Arc::new(ours), Seed::from_run(1), now);
        ours.add_local_candidate(address(OURS));
        ours.end_of_local_candidates(now);
        ours.add_section(Kind::Audio, Direction::SendRecv).unwrap();
        let mut theirs = Peer::new(Arc::new(config(2)), Seed::from_run(2), now);
        theirs.add_local_candidate(address(THEIRS));
        let server = ServerConfig {
            users: vec![("ann".to_owned(), "secret".to_owned())],
            ipv4: Some(RelayAddress::new(address(SERVER).ip())),
            listeners: vec![address(SERVER)],
            ..ServerConfig::default()
        };
        Self {
            now,
            ours,
            theirs,
            server: Server::new(server, Seed::from_run(3), now, Duration::from_secs(1_700_000_000)).unwrap(),
            sent: Sent::default(),
            path: Path {
                local: address(OURS),
                remote: address(SERVER),
                protocol,
            },
            stream: None,
            relay: None,
            heard: Default::default(),
            spoken: 0,
            channel_data: 0,
            allocated: 0,
        }
    }

    fn serve(&mut self, path: &Path, bytes: &[u8]) {
        assert_eq!(*path, self.path);
        let path = Path {
            local: path.remote,
            remote: path.local,
            ..*path
        };
        self.server
            .handle_datagram(self.now, &path, Ecn::NotEct, bytes, &mut self.sent);
        while let Some(action) = self.server.poll_action() {
            let ServerAction::Bind { relay, address } = action else {
                panic!("nobody asks for {action:?}");
            };
            self.relay = Some((relay, address));
            self.server.handle_bound(self.now, relay, true, &mut self.sent);
        }
    }

    /// Passes on what there is, until there is nothing any more.
    fn pass(&mut self) {
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        loop {
            let (ours, now) = (&mut self.ours, self.now);
            if let Some(transmit) = counted(&mut self.allocated, || ours.poll_transmit(now, &mut out)) {
                self.serve(&transmit.path, &out[..transmit.len]);
            } else if let Some(event) = counted(&mut self.allocated, || ours.poll_event()) {
                if let Event::OpenRelayStream(stream) = event {
                    self.stream = Some(stream.id);
                    self.ours.relay_stream_opened(now, stream.id, address(OURS));
                }
            } else if let Some(mut bytes) = self.sent.to_client.pop_front() {
                let (path, sink) = (&self.path, &mut self.heard[0]);
                match self.stream {
                    Some(stream) => {
                        let used = counted(&mut self.allocated, || {
                            ours.handle_relay_stream(now, stream, &mut bytes, sink)
                        });
                        assert_eq!(used, bytes.len());
                    }
                    None => counted(&mut self.allocated, || {
                        ours.handle_datagram(now, path, &mut bytes, sink);
                    }),
                }
            } else if let Some(mut bytes) = self.sent.to_peer.pop_front() {
                let (_, relayed) = self.relay.unwrap();
                let path = Path::udp(address(THEIRS), relayed);
                self.theirs.handle_datagram(now, &path, &mut bytes, &mut self.heard[1]);
            } else if let Some(transmit) = self.theirs.poll_transmit(now, &mut out) {
                self.reach_relay(&out[..transmit.len]);
            } else {
                return;
            }
        }
    }

    fn reach_relay(&mut self, bytes: &[u8]) {
        let (relay, _) = self.relay.unwrap();
        self.server
            .handle_relayed(self.now, relay, address(THEIRS), Ecn::NotEct, bytes, &mut self.sent);
    }

    fn tick(&mut self) {
        self.now += TICK;
        let (ours, now) = (&mut self.ours, self.now);
        counted(&mut self.allocated, || ours.handle_timeout(now));
        self.theirs.handle_timeout(now);
        self.server.handle_timeout(now, &mut self.sent);
        while self.theirs.poll_event().is_some() {}
        self.pass();
    }

    fn is_connected(&self) -> bool {
        [&self.ours, &self.theirs]
            .iter()
            .all(|peer| peer.state() == State::Connected)
    }

    fn connect(&mut self) {
        self.pass();
        let offer = self.ours.offer().unwrap();
        let answer = self.theirs.accept_offer(self.now, &offer).unwrap();
        self.ours.accept_answer(self.now, &answer).unwrap();
        for _ in 0..500 {
            self.tick();
            if self.is_connected() {
                return;
            }
        }
        panic!("{:?} {:?}", self.ours, self.theirs);
    }

    /// Both say something.
    fn speak(&mut self) {
        let (now, mut out) = (self.now, [0; Peer::MIN_OUT_RELAYED]);
        let header = |peer: &Peer, number: u64| RtpOut {
            payload_type: peer.sections()[0].formats()[0].payload_type,
            sequence_number: number,
            timestamp: number as u32 * 960,
            ..RtpOut::default()
        };
        self.spoken += 1;
        let payload = [[7; 160].as_slice()];
        let sender = self.theirs.sections()[0].sender().unwrap();
        let theirs = header(&self.theirs, self.spoken);
        let len = self.theirs.write_rtp(now, sender, &theirs, &payload, &mut out).unwrap();
        self.reach_relay(&out[..len]);
        let header = header(&self.ours, self.spoken);
        let ours = &mut self.ours;
        let transmit = counted(&mut self.allocated, || {
            let sender = ours.sections()[0].sender().unwrap();
            let len = ours.write_rtp(now, sender, &header, &payload, &mut out).unwrap();
            ours.send_written(now, len, &mut out).unwrap()
        });
        // RFC 8656 §12.
        self.channel_data += u64::from(matches!(out[0], 0x40..=0x4f));
        self.serve(&transmit.path, &out[..transmit.len]);
    }
}

#[test]
fn ten_seconds_of_a_warm_call_by_a_relay_allocate_nothing() {
    for (query, protocol) in [("", Protocol::Udp), ("?transport=tcp", Protocol::Tcp)] {
        let mut world = World::new(&format!("turn:{SERVER}{query}"), protocol);
        world.connect();
        assert!(world.allocated > 0, "the counter counts");
        for tick in 0..1200 {
            // The first two seconds warm up.
            if tick == 200 {
                world.allocated = 0;
                world.channel_data = 0;
            }
            if tick % 2 == 0 {
                world.speak();
            }
            world.tick();
        }
        assert_eq!(world.allocated, 0, "{protocol:?}");
        assert_eq!(world.channel_data, 500);
        assert_eq!([world.heard[0].0, world.heard[1].0], [600, 600]);
        let mut dropped = Vec::new();
        world.ours.each_counter(&mut |name, value| {
            if value > 0 {
                dropped.push((name, value));
            }
        });
        assert!(dropped.is_empty(), "{dropped:?}");
    }
}
