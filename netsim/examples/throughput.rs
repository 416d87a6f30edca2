//! How many packets per second of real time: 100 Mbit/s through a router, both links with drop-tail queues of one BDP.

use std::time::{Duration, Instant};

use netsim::{Bitrate, Direction, Endpoint, Link, Queue, Sim};
use wire::{Ecn, Path, Transmit};

/// Sends a datagram of 1200 bytes each 100 µs, a little less than the rate; counts what comes.
struct Pacer {
    path: Option<Path>,
    next: Instant,
    due: bool,
    came: u64,
}

impl Endpoint for Pacer {
    fn handle_datagram(&mut self, _: Instant, _: &Path, _: Ecn, _: &mut [u8]) {
        self.came += 1;
    }

    fn handle_timeout(&mut self, now: Instant) {
        if now >= self.next {
            self.due = true;
            self.next += Duration::from_micros(100);
        }
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut [u8]) -> Option<Transmit> {
        let path = self.path?;
        std::mem::take(&mut self.due).then(|| {
            out[..1200].fill(1);
            Transmit::one(path, 1200)
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.path.map(|_| self.next)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sim = Sim::new(1);
    let rate = Bitrate::from_mbps(100);
    let router = sim.add_router("router");
    let direction = Direction {
        rate: Some(rate),
        queue: Queue::one_bdp(rate, Duration::from_millis(40)),
        ..Direction::with_delay(Duration::from_millis(10))
    };
    let start = sim.now();
    let pacer = |path| Pacer {
        path,
        next: start,
        due: false,
        came: 0,
    };
    let (local, remote) = ("10.0.0.1:1000".parse()?, "10.0.0.2:2000".parse()?);
    let mut ends = Vec::new();
    for (name, address, path) in [("a", local, Some(Path::udp(local, remote))), ("b", remote, None)] {
        let host = sim.add_host(name);
        sim.attach(host, router, &[address.ip()], Link::symmetric(direction.clone()));
        let id = sim.add_endpoint(host, name, pacer(path));
        sim.sockets(id).bind_udp(address)?;
        ends.push(id);
    }
    let begin = Instant::now();
    sim.run_for(Duration::from_secs(100))?;
    let took = begin.elapsed();
    let came = sim.get(ends[1]).came;
    println!(
        "{came} packets in {took:?}: {:.0} per second",
        came as f64 / took.as_secs_f64()
    );
    Ok(())
}
