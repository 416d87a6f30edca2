use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use netsim::{
    Action, Bitrate, Direction, DropReason, EndpointId, Link, LinkId, Loss, Place, Queue, Sim, TraceEvent, Transport,
    Verdict, Way,
};
use wire::Path;

use crate::probe::{Probe, addr, ms, secs};

const A: &str = "10.0.0.1:1000";
const B: &str = "10.0.0.2:2000";

/// Two hosts with one link between them.
fn two(direction: Direction) -> (Sim, EndpointId<Probe>, EndpointId<Probe>) {
    let (sim, left, right, _) = linked(direction);
    (sim, left, right)
}

fn linked(direction: Direction) -> (Sim, EndpointId<Probe>, EndpointId<Probe>, LinkId) {
    let mut sim = Sim::new(3);
    let (a, b) = (sim.add_host("a"), sim.add_host("b"));
    let link = sim.attach(a, b, &[addr(A).ip()], Link::symmetric(direction));
    sim.add_address(b, link, addr(B).ip());
    let left = Probe::add(&mut sim, a, "left");
    let right = Probe::add(&mut sim, b, "right");
    (sim, left, right, link)
}

fn path(local: &str, remote: &str) -> Path {
    let (local, remote): (SocketAddr, SocketAddr) = (addr(local), addr(remote));
    Path {
        local,
        remote,
        protocol: wire::Protocol::Tcp,
    }
}

/// Opens a connection, sends `bytes` over it, closes both ends.
fn transfer(direction: Direction, bytes: usize) -> (Sim, EndpointId<Probe>, EndpointId<Probe>) {
    let (mut sim, left, right) = two(direction);
    sim.sockets(right).listen_tcp(addr(B)).unwrap();
    sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    let data: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
    let mut sent = 0;
    while sent < bytes {
        sent += sim.sockets(left).write(&path(A, B), &data[sent..]);
        assert!(sim.run_until(secs(60), |sim| !sim.get(left).tcp.is_empty()).unwrap());
        if sent < bytes {
            sim.run_for(ms(10)).unwrap();
        }
    }
    sim.sockets(left).finish(&path(A, B));
    sim.run_until(secs(600), |sim| sim.get(right).tcp_names().contains(&"Finished"))
        .unwrap();
    sim.sockets(right).finish(&path(B, A));
    assert!(sim.run_until_idle(secs(600)).unwrap());
    assert!(
        sim.get(right).stream == data,
        "{} of {bytes}",
        sim.get(right).stream.len()
    );
    (sim, left, right)
}

#[test]
fn a_connection_opens_carries_and_closes() {
    let (sim, left, right) = transfer(Direction::with_delay(ms(20)), 100_000);
    assert_eq!(sim.get(left).tcp_names(), ["Connected", "Finished", "Closed"]);
    assert_eq!(sim.get(right).tcp_names(), ["Accepted", "Finished", "Closed"]);
    assert_eq!(sim.get(left).tcp[0].at, ms(40));
    assert_eq!(sim.counters().dropped(), 0, "{:?}", sim.counters());
}

#[test]
fn losses_cost_time_and_nothing_else() {
    let direction = Direction {
        loss: Loss::Random(0.1),
        ..Direction::with_delay(ms(20))
    };
    let (sim, left, right) = transfer(direction, 1_000_000);
    assert_eq!(sim.get(left).tcp_names().last(), Some(&"Closed"));
    assert!(sim.counters().dropped_for(DropReason::Loss) > 50);
    assert_eq!(sim.get(right).tcp_names(), ["Accepted", "Finished", "Closed"]);
}

#[test]
fn segments_fit_the_link_of_the_peer_without_a_word_of_icmp() {
    let mut sim = Sim::new(3);
    let (a, b) = (sim.add_host("a"), sim.add_host("b"));
    let router = sim.add_router("router");
    sim.set_sends_icmp(router, false);
    sim.attach(a, router, &[addr(A).ip()], Link::default());
    let narrow = Direction {
        mtu: 576,
        ..Direction::default()
    };
    sim.attach(b, router, &[addr(B).ip()], Link::symmetric(narrow));
    let left = Probe::add(&mut sim, a, "left");
    let right = Probe::add(&mut sim, b, "right");
    sim.sockets(right).listen_tcp(addr(B)).unwrap();
    let there = sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    sim.run_for(ms(1)).unwrap();
    let largest = Rc::new(Cell::new(0));
    let noted = largest.clone();
    sim.observe(move |event: &TraceEvent<'_>| noted.set(noted.get().max(event.packet.size())));
    sim.sockets(left).write(&there, &[1; 10_000]);
    sim.sockets(right).write(&path(B, A), &[2; 10_000]);
    sim.run_for(ms(1)).unwrap();
    assert_eq!(
        (sim.get(right).stream.len(), sim.get(left).stream.len()),
        (10_000, 10_000)
    );
    assert_eq!((largest.get(), sim.counters().dropped()), (576, 0));
}

#[test]
fn the_rate_is_used_and_kept() {
    let rate = Bitrate::from_mbps(10);
    let direction = Direction {
        rate: Some(rate),
        queue: Queue::one_bdp(rate, ms(40)),
        ..Direction::with_delay(ms(20))
    };
    let (sim, _, right) = transfer(direction, 5_000_000);
    let took = sim.get(right).tcp[1].at;
    // NewReno mends one loss per round trip, and slow start ends with a few dozen.
    assert!(
        took > rate.time_for(5_000_000) && took < rate.time_for(7_500_000),
        "{took:?}"
    );
}

/// Notes the flags of all segments that `node` sends.
fn flags_of(sim: &mut Sim, node: &'static str) -> Rc<RefCell<Vec<String>>> {
    let flags = Rc::new(RefCell::new(Vec::new()));
    let noted = flags.clone();
    sim.observe(move |event: &TraceEvent<'_>| {
        if let (Action::Sent, Transport::Tcp(tcp)) = (event.action, event.packet.transport)
            && event.place == Place::Node(node)
        {
            noted.borrow_mut().push(tcp.flags.to_string());
        }
    });
    flags
}

#[test]
fn what_was_reset_has_no_answer_but_rst() {
    let (mut sim, left, right) = two(Direction::with_delay(ms(20)));
    sim.sockets(right).listen_tcp(addr(B)).unwrap();
    let there = sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    sim.run_for(secs(1)).unwrap();
    let flags = flags_of(&mut sim, "a");
    sim.sockets(right).finish(&path(B, A));
    sim.sockets(left).reset(&there);
    sim.run_for(secs(1)).unwrap();
    assert_eq!(
        *flags.borrow(),
        ["R.", "R"],
        "its own, and one for the FIN that crossed it"
    );
}

#[test]
fn who_has_lost_its_connection_ends_that_of_the_peer_by_opening_another() {
    let (mut sim, left, right, link) = linked(Direction::with_delay(ms(20)));
    sim.sockets(right).listen_tcp(addr(B)).unwrap();
    let there = sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    sim.run_for(secs(1)).unwrap();
    sim.set_link_up(link, false);
    sim.sockets(left).reset(&there);
    sim.run_for(secs(1)).unwrap();
    assert_eq!(sim.get(right).tcp_names(), ["Accepted"], "the RST got lost");
    sim.set_link_up(link, true);
    let flags = flags_of(&mut sim, "a");
    sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    sim.run_for(secs(2)).unwrap();
    assert_eq!(*flags.borrow(), ["S", "R", "S", "."]);
    assert_eq!(sim.get(right).tcp_names(), ["Accepted", "Reset", "Accepted"]);
    assert_eq!(sim.get(left).tcp_names(), ["Connected", "Connected"]);
}

#[test]
fn late_fins_are_acknowledged_for_four_minutes() {
    let (mut sim, left, right, link) = linked(Direction::with_delay(ms(500)));
    sim.sockets(right).listen_tcp(addr(B)).unwrap();
    let there = sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    sim.run_for(secs(2)).unwrap();
    sim.sockets(left).finish(&there);
    sim.run_for(secs(2)).unwrap();
    // The last acknowledgement never arrives. The FIN comes again after 1, 3, 7, 15, 31, 63, 123, 183 and 243 s.
    sim.set_hook(link, Way::Forward, |_, _| Verdict::Drop);
    sim.sockets(right).finish(&path(B, A));
    sim.run_for(secs(1)).unwrap();
    assert_eq!(sim.get(left).tcp_names().last(), Some(&"Closed"));
    let flags = flags_of(&mut sim, "a");
    sim.run_for(secs(250)).unwrap();
    assert_eq!(*flags.borrow(), [".", ".", ".", ".", ".", ".", ".", ".", "R"]);
}

#[test]
fn nobody_listens() {
    let (mut sim, left, _) = two(Direction::with_delay(ms(20)));
    sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    assert!(sim.run_until_idle(secs(200)).unwrap());
    assert_eq!(sim.get(left).tcp_names(), ["Failed(Refused)"]);
    assert_eq!(sim.elapsed(), ms(1000), "the timer of the SYN is the last that happens");
}

#[test]
fn a_full_buffer_says_when_it_has_room() {
    let (mut sim, left, right) = two(Direction::with_delay(ms(20)));
    sim.sockets(right).listen_tcp(addr(B)).unwrap();
    sim.sockets(left).set_send_buffer(10_000);
    let path = sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    assert_eq!(sim.sockets(left).write(&path, &[1; 25_000]), 10_000);
    assert_eq!(sim.sockets(left).write(&path, &[1; 1]), 0);
    sim.get_mut(left)
        .outgoing
        .push_back((path, vec![2; 10], wire::Ecn::NotEct));
    assert!(sim.run_until_idle(secs(10)).unwrap());
    assert_eq!(
        sim.socket_counters(left).tcp_full,
        1,
        "a transmit that does not fit is dropped whole"
    );
    assert_eq!(sim.get(left).tcp_names(), ["Connected", "Writable"]);
    assert_eq!(sim.sockets(left).room(&path), 10_000);
    assert_eq!(sim.get(right).stream, [1; 10_000]);
}

#[test]
fn who_does_not_read_makes_the_peer_wait() {
    let (mut sim, left, right) = two(Direction::with_delay(ms(1)));
    sim.sockets(right).listen_tcp(addr(B)).unwrap();
    sim.sockets(left).set_send_buffer(4 << 20);
    let path = sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    sim.run_for(ms(10)).unwrap();
    let back = Path {
        local: path.remote,
        remote: path.local,
        ..path
    };
    sim.sockets(right).set_reading(&back, false);
    assert_eq!(sim.sockets(left).write(&path, &vec![7; 3 << 20]), 3 << 20);
    sim.run_for(secs(20)).unwrap();
    assert!(sim.get(right).stream.is_empty());
    // What the peer holds is acknowledged: 1 MiB, but for the last segment that did not fit.
    let waits = (4 << 20) - sim.sockets(left).room(&path);
    assert!((2 << 20..(2 << 20) + 2000).contains(&waits), "{waits}");
    sim.sockets(right).set_reading(&back, true);
    assert!(
        sim.run_until(secs(100), |sim| sim.get(right).stream.len() == 3 << 20)
            .unwrap()
    );
}

#[test]
fn a_write_that_was_cut_is_told_of_room() {
    let (mut sim, left, right) = two(Direction::with_delay(ms(20)));
    sim.sockets(right).listen_tcp(addr(B)).unwrap();
    sim.sockets(left).set_send_buffer(1000);
    let path = sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    assert_eq!(sim.sockets(left).write(&path, &[1; 1001]), 1000);
    assert!(sim.run_until_idle(secs(10)).unwrap());
    assert_eq!(sim.get(left).tcp_names(), ["Connected", "Writable"]);
}

#[test]
fn both_ends_open_at_once_and_one_resets() {
    let (mut sim, left, right) = two(Direction::with_delay(ms(20)));
    let there = sim.sockets(left).connect_tcp(addr(A), addr(B)).unwrap();
    sim.sockets(right).connect_tcp(addr(B), addr(A)).unwrap();
    sim.sockets(left).write(&there, b"data");
    sim.run_for(secs(1)).unwrap();
    assert_eq!(sim.get(left).tcp_names(), ["Connected"]);
    assert_eq!(sim.get(right).tcp_names(), ["Connected"]);
    assert_eq!(sim.get(right).stream, b"data");
    sim.sockets(left).reset(&there);
    sim.run_for(secs(1)).unwrap();
    assert_eq!(sim.get(right).tcp_names(), ["Connected", "Reset"]);
}
