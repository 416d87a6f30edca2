//! Two hosts behind NATs punch a hole, in a simulated network: `hole_punching [LEFT] [RIGHT]`, such as `eim/apdf
//! apdm/apdf`.
//!
//! Each asks a server in the open for its external address, learns that of the other (as signalling would tell it), and
//! sends there. Whether they meet depends on the kinds of NAT alone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netsim::shapes::{Access, PairConfig, pair};
use netsim::{Endpoint, TraceEvent};
use wire::{Ecn, Path, Transmit};

/// Tells everybody the address that it sees.
#[derive(Default)]
struct Server {
    asked: Option<Path>,
}

impl Endpoint for Server {
    fn handle_datagram(&mut self, _: Instant, path: &Path, _: Ecn, _: &mut [u8]) {
        self.asked = Some(*path);
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, _: Instant, out: &mut [u8]) -> Option<Transmit> {
        let path = self.asked.take()?;
        let text = path.remote.to_string();
        out[..text.len()].copy_from_slice(text.as_bytes());
        Some(Transmit::one(path, text.len()))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// Asks the server, then tries to reach its peer, five times.
struct Puncher {
    local: SocketAddr,
    server: SocketAddr,
    external: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    heard: bool,
    tries: u32,
    next: Option<Instant>,
}

impl Endpoint for Puncher {
    fn handle_datagram(&mut self, _: Instant, path: &Path, _: Ecn, data: &mut [u8]) {
        if path.remote == self.server {
            self.external = std::str::from_utf8(data).ok().and_then(|text| text.parse().ok());
        } else {
            // A peer behind a symmetric NAT comes from another port than the server saw: answer there.
            self.peer = Some(path.remote);
            self.heard = true;
        }
    }

    fn handle_timeout(&mut self, _: Instant) {
        self.next = None;
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        if self.next.is_some() || self.tries == 5 {
            return None;
        }
        let remote = match (self.external, self.peer) {
            (None, _) => self.server,
            (Some(_), Some(peer)) => peer,
            (Some(_), None) => return None,
        };
        self.tries += u32::from(remote != self.server);
        self.next = Some(now + Duration::from_millis(200));
        out[..5].copy_from_slice(b"punch");
        Some(Transmit::one(Path::udp(self.local, remote), 5))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let left: Access = arguments.next().as_deref().unwrap_or("eim/apdf").parse()?;
    let right: Access = arguments.next().as_deref().unwrap_or("eim/adf").parse()?;
    println!("{left} on the left, {right} on the right");

    let mut net = pair(1, PairConfig::new(left, right));
    let sim = &mut net.sim;
    sim.observe(|event: &TraceEvent<'_>| println!("{event}"));
    let server = SocketAddr::new(net.server_addresses[0], 3478);
    let listener = sim.add_endpoint(net.server, "server", Server::default());
    sim.sockets(listener).bind_udp(server)?;
    let mut punchers = Vec::new();
    for peer in [&net.left, &net.right] {
        let local = SocketAddr::new(peer.addresses[0], 5000);
        let puncher = Puncher {
            local,
            server,
            external: None,
            peer: None,
            heard: false,
            tries: 0,
            next: None,
        };
        let id = sim.add_endpoint(peer.host, "puncher", puncher);
        sim.sockets(id).bind_udp(local)?;
        punchers.push(id);
    }
    let (left, right) = (punchers[0], punchers[1]);

    let second = Duration::from_secs(1);
    if !sim.run_until(second, |sim| {
        sim.get(left).external.is_some() && sim.get(right).external.is_some()
    })? {
        println!("failure: the server was not reached");
        return Ok(());
    }
    sim.get_mut(left).peer = sim.get(right).external;
    sim.get_mut(right).peer = sim.get(left).external;
    println!("--- each is told where the other is");
    let met = sim.run_until(2 * second, |sim| sim.get(left).heard && sim.get(right).heard)?;
    println!(
        "{}",
        if met {
            "success: both heard each other"
        } else {
            "failure: this needs a relay"
        }
    );
    Ok(())
}
