use std::collections::VecDeque;
use std::net::IpAddr;

use crate::link::Pipe;
use crate::node::{Kind, Node, Route};

/// A node as routing sees it. A NAT is two for IPv4: its sides belong to different realms, where addresses may repeat.
type Vertex = (u32, bool);

/// The way from a side of a node to `destination`: the fewest links to whoever has the address in the same realm, and
/// else to the nearest NAT that leads out of the realm.
pub(crate) fn find(nodes: &[Node], pipes: &[Pipe], from: Vertex, destination: IpAddr) -> Route {
    let start = vertex(nodes, from.0, from.1, destination);
    let mut exit = if leads_out(nodes, start, destination) {
        Route::Across
    } else {
        Route::None
    };
    let mut seen = vec![start];
    let mut queue = VecDeque::from([(start, None)]);
    while let Some((at, first)) = queue.pop_front() {
        for port in &nodes[at.0 as usize].ports {
            if vertex(nodes, at.0, port.outside, destination) != at {
                continue;
            }
            let pipe = &pipes[port.pipe as usize];
            let first = first.unwrap_or(port.pipe);
            let there = &nodes[pipe.to as usize];
            let end = &there.ports[pipe.to_port as usize];
            let next = vertex(nodes, pipe.to, end.outside, destination);
            let has_it = match &there.kind {
                Kind::Host(_) => end.addresses.contains(&destination),
                Kind::Nat(nat) => end.outside && nat.table.pool.contains(&destination),
                Kind::Router | Kind::Firewall(_) => false,
            };
            if has_it {
                return Route::Out(first);
            }
            if seen.contains(&next) {
                continue;
            }
            seen.push(next);
            if exit == Route::None && leads_out(nodes, next, destination) {
                exit = Route::Out(first);
            }
            // Hosts do not forward.
            if !matches!(there.kind, Kind::Host(_)) {
                queue.push_back((next, Some(first)));
            }
        }
    }
    exit
}

fn vertex(nodes: &[Node], node: u32, outside: bool, destination: IpAddr) -> Vertex {
    let split = matches!(nodes[node as usize].kind, Kind::Nat(_)) && destination.is_ipv4();
    (node, outside && split)
}

fn leads_out(nodes: &[Node], (node, outside): Vertex, destination: IpAddr) -> bool {
    let nat = matches!(nodes[node as usize].kind, Kind::Nat(_));
    nat && !outside && destination.is_ipv4()
}
