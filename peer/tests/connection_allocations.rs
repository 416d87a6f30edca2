//! Once a call is warm, what goes by a TCP connection allocates nothing.

use std::alloc::System;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use ice::Deframer;
use peer::{Config, Connection, ConnectionId, Direction, Event, Kind, Peer, Sink, State, StreamInfo};
use rtp::{Packet, RtpOut};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wire::{Path, Protocol, Seed, Transmit};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ID: ConnectionId = ConnectionId(0);
const TICK: Duration = Duration::from_millis(10);

/// Counts and keeps nothing.
#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    fn rtp(&mut self, _: &StreamInfo<'_>, _: Packet<&mut [u8]>) {
        self.0 += 1;
    }
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

/// Writes a packet into `out`.
fn write(peer: &mut Peer, now: Instant, sequence: u64, out: &mut [u8]) -> usize {
    let section = &peer.sections()[0];
    let header = RtpOut {
        payload_type: section.formats()[0].payload_type,
        sequence_number: sequence,
        timestamp: sequence as u32 * 960,
        ..RtpOut::default()
    };
    let sender = section.sender().unwrap();
    peer.write_rtp(now, sender, &header, &[&[7; 900]], out).unwrap()
}

/// Us, and a server to which there is one connection.
struct World {
    now: Instant,
    ours: Peer,
    server: Peer,
    deframer: Deframer,
    /// Ours.
    path: Path,
    heard: [Count; 2],
    allocated: usize,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let local: SocketAddr = "198.51.100.7:40000".parse().unwrap();
        let remote = "192.0.2.1:443".parse().unwrap();
        let mut ours = config(1);
        ours.ice.mode = ice::Mode::Full;
        let mut ours = Peer::new(Arc::new(ours), Seed::from_run(1), now);
        ours.add_active_tcp_candidate(local.ip());
        ours.add_section(Kind::Audio, Direction::SendRecv).unwrap();
        let mut server = Peer::new(Arc::new(config(2)), Seed::from_run(2), now);
        server.add_tcp_candidate(remote);
        let offer = ours.offer().unwrap();
        let answer = server.accept_offer(now, &offer).unwrap();
        ours.accept_answer(now, &answer).unwrap();
        Self {
            now,
            ours,
            server,
            deframer: Deframer::new(1500),
            path: Path {
                protocol: Protocol::Tcp,
                ..Path::udp(local, remote)
            },
            heard: Default::default(),
            allocated: 0,
        }
    }

    fn reach_server(&mut self, bytes: &mut [u8]) {
        let back = Path {
            local: self.path.remote,
            remote: self.path.local,
            ..self.path
        };
        let (server, sink, now) = (&mut self.server, &mut self.heard[1], self.now);
        let each = |frame: &mut [u8]| server.handle_datagram(now, &back, frame, sink);
        self.deframer.push(bytes, each).unwrap();
    }

    /// In two pieces: what is cut is put together where there is room.
    fn reach_us(&mut self, datagram: &[u8]) {
        let mut stream = Vec::new();
        assert!(ice::write_frame(datagram, &mut stream));
        let (ours, sink, now) = (&mut self.ours, &mut self.heard[0], self.now);
        let half = stream.len() / 2;
        counted(&mut self.allocated, || {
            for piece in stream.chunks_mut(half) {
                ours.handle_connection(now, ID, piece, sink);
            }
        });
    }

    fn pass(&mut self) {
        let mut out = [0; Peer::MIN_OUT];
        loop {
            let (ours, now) = (&mut self.ours, self.now);
            if let Some(Transmit { path, len, .. }) = counted(&mut self.allocated, || ours.poll_transmit(now, &mut out))
            {
                assert_eq!(path, self.path);
                self.reach_server(&mut out[..len]);
            } else if let Some(event) = ours.poll_event() {
                if let Event::OpenConnection(Connection { id, .. }) = event {
                    assert_eq!(id, ID);
                    ours.connection_opened(now, id, self.path.local);
                }
            } else if let Some(transmit) = self.server.poll_transmit(now, &mut out) {
                self.reach_us(&out[..transmit.len]);
            } else {
                return;
            }
        }
    }
}

#[test]
fn ten_seconds_of_a_warm_connection_allocate_nothing() {
    let mut world = World::new();
    let mut out = [0; Peer::MIN_OUT];
    for tick in 0..1200 {
        world.now += TICK;
        let (ours, now) = (&mut world.ours, world.now);
        counted(&mut world.allocated, || ours.handle_timeout(now));
        world.server.handle_timeout(now);
        world.pass();
        if tick == 200 {
            // It is warm, and what went before does not count.
            world.allocated = 0;
            world.heard = Default::default();
        }
        if tick < 100 {
            continue;
        }
        assert_eq!(world.ours.state(), State::Connected);
        let ours = &mut world.ours;
        let transmit = counted(&mut world.allocated, || {
            let len = write(ours, now, tick, &mut out);
            ours.send_written(now, len, &mut out).unwrap()
        });
        world.reach_server(&mut out[..transmit.len]);
        let len = write(&mut world.server, now, tick, &mut out);
        world.reach_us(&out[..len]);
    }
    assert_eq!(world.heard.map(|heard| heard.0), [1000, 1000]);
    assert_eq!(world.allocated, 0);
}
