//! What it costs the engine to relay: a hundred allocations with a channel each, and datagrams of 1200 bytes both ways
//! in bursts. Meant for instruction counts, see `docs/performance.md`.
//!
//! ```text
//! cargo build --release -p hyaline-turn --example relaying
//! valgrind --tool=callgrind target/release/examples/relaying ROUNDS BURST
//! ```

#[allow(dead_code, reason = "shared with the tests of the rules")]
#[path = "../tests/server/house.rs"]
mod house;

use std::net::SocketAddr;
use std::time::Duration;

use house::{House, address, channel_data, udp};
use turn::{Outgoing, RelayId, ServerSink};
use wire::{Ecn, Path};

const FLOWS: u16 = 100;
const PAYLOAD: usize = 1200;
/// Leaves a flow well below its rate, also in bursts of 64.
const ROUND: Duration = Duration::from_millis(25);

/// A send slab, used from the beginning again when it is full.
struct Slab {
    bytes: Vec<u8>,
    used: usize,
    packets: usize,
}

impl Slab {
    fn push(&mut self, packet: Outgoing<'_>) {
        if self.bytes.len() - self.used < packet.len() {
            self.used = 0;
        }
        if let Some(len) = packet.write(&mut self.bytes[self.used..]) {
            self.used += len;
            self.packets += 1;
        }
    }
}

impl ServerSink for Slab {
    fn to_client(&mut self, _: &Path, packet: Outgoing<'_>) {
        self.push(packet);
    }

    fn to_peer(&mut self, _: RelayId, _: SocketAddr, packet: Outgoing<'_>) {
        self.push(packet);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (rounds, burst): (usize, usize) = (number(100), number(8));

    let mut house = House::new();
    let peer = "203.0.113.5:7";
    let flows: Vec<_> = (1..=FLOWS)
        .map(|n| {
            // Strangers of one network are answered ten times a second.
            house.pass(1);
            let (mut client, relayed) = house.allocated(udp(n));
            house.bind(&mut client, 0x4000, peer);
            (client.path, house.relay_at(relayed))
        })
        .collect();
    let mut slab = Slab {
        bytes: vec![0; 1 << 20],
        used: 0,
        packets: 0,
    };
    let (payload, message) = ([7; PAYLOAD], channel_data(0x4000, &[7; PAYLOAD]));
    let peer = address(peer);
    for _ in 0..rounds {
        house.now += ROUND;
        let (now, server) = (house.now, &mut house.server);
        for (path, relay) in &flows {
            for _ in 0..burst {
                server.handle_datagram(now, path, Ecn::NotEct, &message, &mut slab);
            }
            for _ in 0..burst {
                server.handle_relayed(now, *relay, peer, Ecn::NotEct, &payload, &mut slab);
            }
        }
    }
    assert_eq!(slab.packets, rounds * burst * 2 * usize::from(FLOWS), "all is relayed");
    println!("{} packets", slab.packets);
}
