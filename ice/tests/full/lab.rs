//! The agents of the simulated network, behind the NATs of Linux: real sockets in network namespaces, in real time.

mod call;
mod host;
mod net;

use std::time::{Duration, Instant};

use call::Call;
use net::{Access, Internet, Site};

/// `d`irect or `r`elayed; the left end has the row, the columns are in the order of the rows. A mapping that depends on
/// the destination meets a filter that asks for the port by a relay only (RFC 5128 §3.3).
const TABLE: [&str; 5] = [
    "ddddr", // open
    "dddrr", // cone
    "ddddr", // full cone
    "drdrr", // symmetric
    "rrrrr", // UDP blocked
];

/// For what takes milliseconds where nothing is wrong and nobody else wants the CPU.
const LIMIT: Duration = Duration::from_secs(20);

fn meet(internet: &Internet, sites: [&Site; 2], number: u16, relayed: bool) -> Result<Duration, String> {
    let begin = Instant::now();
    let mut call = Call::new(internet, sites, number);
    let done = |call: &Call| call.has_concluded() && call.is_relayed(internet) == Some(relayed);
    let name = format!("{:?} and {:?}", sites[0].access, sites[1].access);
    if !call.run_until(LIMIT, done) {
        let selected = [0, 1].map(|end| call.agent(end).selected());
        return Err(format!("{name}: {selected:?}, relayed was to be {relayed}"));
    }
    let took = begin.elapsed();
    if !call.flows(50, LIMIT) {
        return Err(format!("{name}: nothing flows"));
    }
    if !done(&call) {
        return Err(format!("{name}: another pair took over"));
    }
    Ok(took)
}

#[test]
fn agents_meet_through_the_nats_of_linux() {
    let internet = Internet::new();
    let sites = [1, 11].map(|first| {
        let numbered = Access::ALL.into_iter().zip(first..);
        numbered
            .map(|(access, number)| internet.site(access, number))
            .collect::<Vec<_>>()
    });
    let failures: Vec<String> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (row, left) in sites[0].iter().enumerate() {
            for (column, right) in sites[1].iter().enumerate() {
                let (internet, number) = (&internet, (row * 5 + column) as u16);
                let relayed = TABLE[row].as_bytes()[column] == b'r';
                threads.push(scope.spawn(move || {
                    let met = meet(internet, [left, right], number, relayed);
                    let took = met.as_ref().map_or(0, Duration::as_millis);
                    println!(
                        "{:?} and {:?}: {took} ms, relayed: {relayed}",
                        left.access, right.access
                    );
                    met
                }));
            }
        }
        let met = threads.into_iter().map(|thread| thread.join().unwrap());
        met.filter_map(Result::err).collect()
    });
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Two ends behind these, connected, with datagrams on their way.
fn connected(internet: &Internet, left: Access, right: Access) -> (Call, [Site; 2]) {
    let sites = [internet.site(left, 1), internet.site(right, 2)];
    let mut call = Call::new(internet, [&sites[0], &sites[1]], 0);
    assert!(call.run_until(LIMIT, |call| call.has_concluded()
        && call.is_relayed(internet) == Some(false)));
    assert!(call.flows(50, LIMIT));
    call.measure();
    (call, sites)
}

#[test]
fn a_restart_in_mid_call_goes_unnoticed() {
    let internet = Internet::new();
    let (mut call, _sites) = connected(&internet, Access::Cone, Access::FullCone);
    // The left end changes its mind before it has an answer.
    for end in [0, 1, 0] {
        call.agent_mut(end).restart(Instant::now());
        assert!(call.flows(25, LIMIT));
    }
    call.signal();
    let over =
        |call: &Call| call.has_concluded() && [0, 1].iter().all(|end| call.agent(*end).local_ufrags().count() == 1);
    assert!(call.run_until(LIMIT, over), "the old credentials stay");
    assert!(call.flows(50, LIMIT));
    let (gap, lost) = (call.gap, call.lost());
    println!("longest time between two datagrams: {gap:?}, lost: {lost:?}");
    assert_eq!(lost, [0, 0]);
}

#[test]
fn an_address_that_vanishes_takes_no_call_with_it() {
    let internet = Internet::new();
    let (mut call, [left, _right]) = connected(&internet, Access::Open, Access::Cone);
    let other = internet.join(&left.client, 3);
    call.add_address(0, &left.client, other, 5100, 1000);
    let known = |call: &Call| {
        let candidates = call.agent(1).remote_candidates();
        candidates.iter().any(|candidate| candidate.address.ip() == other)
    };
    assert!(call.run_until(LIMIT, known));
    // It is worse: not even checked before the first one is gone (RFC 8445 §8.1.2).
    assert!(call.flows(50, LIMIT));
    assert_eq!(call.agent(0).selected().unwrap().local.ip(), left.address);
    call.measure();
    call.during(|| left.client.ip(&["link", "set", "wan1", "down"]).unwrap());
    call.remove_address(0, left.address);
    let in_use = call.agent(0).selected();
    assert!(in_use.is_none_or(|path| path.local.ip() != left.address), "{in_use:?}");
    // Far less than consent lasts (RFC 7675 §5.1: 30 s).
    let moved = |call: &Call| {
        let selected = call.agent(0).selected().zip(call.agent(1).selected());
        call.has_concluded()
            && selected.is_some_and(|(left, right)| left.local.ip() == other && right.remote.ip() == other)
    };
    assert!(
        call.run_until(Duration::from_secs(10), moved),
        "both take the other address"
    );
    assert!(call.flows(50, LIMIT));
    let (gap, lost) = (call.gap, call.lost());
    println!("longest time between two datagrams: {gap:?}, lost: {lost:?}");
}

#[test]
fn a_better_interface_that_appears_is_used_and_outlived() {
    let internet = Internet::new();
    let sites = [internet.site(Access::Cone, 1), internet.site(Access::Open, 2)];
    let mut call = Call::new(&internet, [&sites[0], &sites[1]], 0);
    assert!(call.run_until(LIMIT, Call::has_concluded));
    assert!(call.flows(50, LIMIT));
    call.measure();
    let other = call.during(|| internet.join(&sites[0].client, 3));
    call.add_address(0, &sites[0].client, other, 5100, u16::MAX);
    let on_other =
        |call: &Call| call.has_concluded() && call.agent(1).selected().is_some_and(|path| path.remote.ip() == other);
    assert!(call.run_until(LIMIT, on_other), "both take the new address");
    assert!(call.flows(50, LIMIT));
    call.during(|| sites[0].client.ip(&["link", "set", "lan", "down"]).unwrap());
    call.remove_address(0, sites[0].address);
    assert!(call.flows(50, LIMIT), "the old interface is not needed");
    assert!(on_other(&call));
    let (gap, lost) = (call.gap, call.lost());
    println!("longest time between two datagrams: {gap:?}, lost: {lost:?}");
    assert_eq!(lost, [0, 0]);
}
