use super::*;
use std::time::Duration;

const OWN: &str = "192.0.2.7";
const OWN_IPV6: &str = "fe80::7";
const NEIGHBOUR: &str = "192.0.2.9:5353";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn config() -> Config {
    Config {
        ipv4: Some(address("192.0.2.7:5353")),
        subnets: vec![Subnet {
            address: ip(OWN),
            prefix: 24,
        }],
        ..Config::default()
    }
}

fn engine(run: u64) -> Mdns {
    Mdns::new(config(), Seed::from_run(run))
}

fn poll(mdns: &mut Mdns, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
    let mut out = [0; MIN_OUT];
    let transmit = mdns.poll_transmit(now, &mut out)?;
    Some((transmit.path.remote, out[..transmit.len].to_vec()))
}

fn poll_all(mdns: &mut Mdns, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
    std::iter::from_fn(|| poll(mdns, now)).collect()
}

fn group() -> SocketAddr {
    SocketAddr::from((GROUP_IPV4, PORT))
}

fn from(remote: &str) -> Path {
    Path::udp(group(), address(remote))
}

/// A query for one type, written by hand as RFC 1035 §4.1 says.
fn query(name: LocalName, kind: u16, unicast: bool) -> Vec<u8> {
    let mut bytes = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x24".to_vec();
    bytes.extend(name.to_string().strip_suffix(".local").unwrap().bytes());
    bytes.extend(b"\x05local\0");
    bytes.extend(kind.to_be_bytes());
    bytes.extend([if unicast { 0x80 } else { 0 }, 1]);
    bytes
}

/// A response with addresses, as Chromium sends it: authoritative, cache-flush, 120 s.
fn response(name: LocalName, addresses: &[IpAddr], ttl: u32) -> Vec<u8> {
    let mut bytes = b"\0\0\x84\0\0\0\0".to_vec();
    bytes.push(u8::try_from(addresses.len()).unwrap());
    bytes.extend(b"\0\0\0\0");
    for address in addresses {
        bytes.push(36);
        bytes.extend(name.to_string().strip_suffix(".local").unwrap().bytes());
        bytes.extend(b"\x05local\0");
        let (kind, data) = match address {
            IpAddr::V4(address) => (1_u8, address.octets().to_vec()),
            IpAddr::V6(address) => (28, address.octets().to_vec()),
        };
        bytes.extend([0, kind, 0x80, 1]);
        bytes.extend(ttl.to_be_bytes());
        bytes.extend([0, u8::try_from(data.len()).unwrap()]);
        bytes.extend(data);
    }
    bytes
}

fn name() -> LocalName {
    "1f4712db-ea17-4bcf-a596-105139dfd8bf.local".parse().unwrap()
}

/// An engine with a name whose announcements are over, a minute ago.
fn registered() -> (Mdns, LocalName, Instant) {
    let (mut mdns, mut now) = (engine(1), Instant::now());
    let name = mdns.register(now, Scope(1), ip(OWN)).unwrap();
    now += secs(1);
    mdns.handle_timeout(now);
    assert_eq!(poll_all(&mut mdns, now).len(), 2);
    (mdns, name, now + secs(60))
}

#[test]
fn a_name_is_announced_twice_and_given_up_once() {
    let (mut mdns, now) = (engine(1), Instant::now());
    let name = mdns.register(now, Scope(1), ip(OWN)).unwrap();
    let announcement = response(name, &[ip(OWN)], 120);
    assert_eq!(poll_all(&mut mdns, now), [(group(), announcement.clone())]);
    assert_eq!(mdns.poll_timeout(), Some(now + secs(1)));
    mdns.handle_timeout(now + ms(999));
    assert_eq!(poll(&mut mdns, now), None);
    mdns.handle_timeout(now + secs(1));
    assert_eq!(poll_all(&mut mdns, now), [(group(), announcement)]);
    assert_eq!(mdns.poll_timeout(), None);
    // The same address has the same name.
    assert_eq!(mdns.register(now, Scope(1), ip(OWN)), Ok(name));
    assert_ne!(mdns.register(now, Scope(1), ip("192.0.2.8")), Ok(name));
    poll_all(&mut mdns, now);
    mdns.unregister(&name);
    assert_eq!(poll_all(&mut mdns, now), [(group(), response(name, &[ip(OWN)], 0))]);
    assert_eq!(mdns.address(&name), None);
    mdns.unregister(&name);
    assert_eq!(poll(&mut mdns, now), None);
}

#[test]
fn scopes_have_names_of_their_own() {
    let (mut mdns, now) = (engine(1), Instant::now());
    let one = mdns.register(now, Scope(1), ip(OWN)).unwrap();
    let other = mdns.register(now, Scope(2), ip(OWN)).unwrap();
    let third = mdns.register(now, Scope(1), ip("192.0.2.8")).unwrap();
    assert!(one != other && one != third);
    assert_eq!(mdns.register(now, Scope(2), ip(OWN)), Ok(other));
    assert_eq!(
        (mdns.address(&one), mdns.address(&other)),
        (Some(ip(OWN)), Some(ip(OWN)))
    );
    poll_all(&mut mdns, now);
    mdns.end(Scope(1));
    let mut goodbyes: Vec<_> = poll_all(&mut mdns, now)
        .into_iter()
        .map(|(_, message)| message)
        .collect();
    goodbyes.sort();
    let mut expected = [response(one, &[ip(OWN)], 0), response(third, &[ip("192.0.2.8")], 0)];
    expected.sort();
    assert_eq!(goodbyes, expected);
    assert_eq!((mdns.address(&one), mdns.address(&other)), (None, Some(ip(OWN))));
    // A page that comes later is not recognized.
    assert_ne!(mdns.register(now, Scope(1), ip(OWN)), Ok(one));
}

#[test]
fn queries_are_answered_to_all_unless_it_was_just_done() {
    let (mut mdns, name, now) = registered();
    mdns.handle_datagram(now, &from(NEIGHBOUR), &query(name, 1, false));
    let answer = response(name, &[ip(OWN)], 120);
    assert_eq!(poll_all(&mut mdns, now), [(group(), answer.clone())]);
    // RFC 6762 §6: once in a second.
    mdns.handle_datagram(now + ms(999), &from(NEIGHBOUR), &query(name, 255, false));
    assert_eq!(poll(&mut mdns, now), None);
    mdns.handle_datagram(now + secs(1), &from(NEIGHBOUR), &query(name, 255, false));
    assert_eq!(poll_all(&mut mdns, now), [(group(), answer.clone())]);
    // RFC 6762 §5.4: by unicast where it is asked for, if all have heard it recently.
    mdns.handle_datagram(now + secs(30), &from(NEIGHBOUR), &query(name, 1, true));
    assert_eq!(poll_all(&mut mdns, now), [(address(NEIGHBOUR), answer.clone())]);
    mdns.handle_datagram(now + secs(31), &from(NEIGHBOUR), &query(name, 1, true));
    assert_eq!(poll_all(&mut mdns, now), [(group(), answer)]);
    assert_eq!(*mdns.counters(), Counters::default());
}

#[test]
fn who_asks_too_soon_is_answered_when_the_second_is_over() {
    let (mut mdns, start) = (engine(1), Instant::now());
    let name = mdns.register(start, Scope(1), ip(OWN)).unwrap();
    let answer = response(name, &[ip(OWN)], 120);
    assert_eq!(poll_all(&mut mdns, start).len(), 1);
    // Who asks may not have heard the announcement.
    mdns.handle_datagram(start + ms(300), &from(NEIGHBOUR), &query(name, 1, false));
    assert_eq!(poll_all(&mut mdns, start), [(group(), answer.clone())]);
    mdns.handle_timeout(start + secs(1));
    assert_eq!(poll_all(&mut mdns, start).len(), 1, "the second announcement");
    assert_eq!(mdns.poll_timeout(), None);
    // Nor the answer to another. Two that ask have one.
    for after in [ms(1001), ms(1200)] {
        mdns.handle_datagram(start + after, &from(NEIGHBOUR), &query(name, 1, false));
        assert_eq!(poll(&mut mdns, start), None);
        assert_eq!(mdns.poll_timeout(), Some(start + ms(1300)));
    }
    mdns.handle_timeout(start + ms(1299));
    assert_eq!(poll(&mut mdns, start), None);
    mdns.handle_timeout(start + ms(1300));
    assert_eq!(poll_all(&mut mdns, start), [(group(), answer)]);
    assert_eq!(mdns.poll_timeout(), None);
    // Likewise a denial; not that of a name that was given up meanwhile.
    for after in [2000, 2001] {
        mdns.handle_datagram(start + ms(after), &from(NEIGHBOUR), &query(name, 28, false));
    }
    assert_eq!(poll_all(&mut mdns, start).len(), 1);
    assert_eq!(mdns.poll_timeout(), Some(start + ms(3000)));
    mdns.handle_timeout(start + ms(3000));
    assert_eq!(poll_all(&mut mdns, start).len(), 1);
    mdns.handle_datagram(start + ms(3001), &from(NEIGHBOUR), &query(name, 28, false));
    mdns.unregister(&name);
    assert_eq!((poll_all(&mut mdns, start).len(), mdns.poll_timeout()), (1, None));
}

#[test]
fn other_families_are_denied_and_other_things_not_answered() {
    let (mut mdns, name, now) = registered();
    // NSEC: nothing but A.
    mdns.handle_datagram(now, &from(NEIGHBOUR), &query(name, 28, true));
    let (to, denial) = poll(&mut mdns, now).unwrap();
    assert_eq!(to, address(NEIGHBOUR));
    assert!(
        denial.ends_with(b"\x05local\0\0\x2f\x80\x01\0\0\0\x78\0\x05\xc0\x0c\0\x01\x40"),
        "{denial:x?}"
    );
    for (name, kind) in [(name, 16), (self::name(), 1)] {
        mdns.handle_datagram(now, &from(NEIGHBOUR), &query(name, kind, true));
        assert_eq!(poll(&mut mdns, now), None);
    }
    // Another class.
    let mut chaos = query(name, 1, true);
    *chaos.last_mut().unwrap() = 3;
    mdns.handle_datagram(now, &from(NEIGHBOUR), &chaos);
    assert_eq!(poll(&mut mdns, now), None);
}

#[test]
fn a_denial_to_all_is_made_once_in_a_second() {
    let (mut mdns, name, now) = registered();
    let mut asked = |after, kind| {
        let now = now + after;
        mdns.handle_datagram(now, &from(NEIGHBOUR), &query(name, kind, false));
        poll_all(&mut mdns, now).len()
    };
    assert_eq!(
        [ms(0), ms(1), ms(999), ms(1000)].map(|after| asked(after, 28)),
        [1, 0, 0, 1]
    );
    // The address is another record.
    assert_eq!((asked(ms(1001), 1), asked(ms(1002), 1)), (1, 0));
}

#[test]
fn what_the_querier_knows_is_not_said_again() {
    let (mut mdns, name, now) = registered();
    for (ttl, own, answered) in [(60, OWN, false), (59, OWN, true), (120, "192.0.2.8", true)] {
        let mut message = query(name, 1, true);
        message[7] = 1;
        message.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0");
        message.push(ttl);
        message.extend(b"\0\x04");
        let IpAddr::V4(own) = ip(own) else { panic!() };
        message.extend(own.octets());
        mdns.handle_datagram(now, &from(NEIGHBOUR), &message);
        assert_eq!(poll(&mut mdns, now).is_some(), answered, "{ttl}");
    }
}

#[test]
fn queriers_that_are_no_mdns_are_answered_as_by_dns() {
    let (mut mdns, name, now) = registered();
    let mut message = query(name, 1, false);
    message[..2].copy_from_slice(b"\xab\xcd");
    mdns.handle_datagram(now, &from("192.0.2.9:40000"), &message);
    let (to, answer) = poll(&mut mdns, now).unwrap();
    assert_eq!(to, address("192.0.2.9:40000"));
    assert_eq!(answer[..12], *b"\xab\xcd\x84\0\0\x01\0\x01\0\0\0\0");
    assert!(answer.ends_with(b"\xc0\x0c\0\x01\0\x01\0\0\0\x0a\0\x04\xc0\0\x02\x07"));
    // They know no NSEC either.
    mdns.handle_datagram(now, &from("192.0.2.9:40000"), &query(name, 28, false));
    assert_eq!(poll(&mut mdns, now), None);
}

#[test]
fn a_name_of_the_peer_is_resolved() {
    let (mut mdns, now) = (engine(2), Instant::now());
    mdns.resolve(now, name()).unwrap();
    // Chromium answers neither a message of two questions nor one with QU.
    let asked = [1, 28].map(|kind| (group(), query(name(), kind, false)));
    assert_eq!(poll_all(&mut mdns, now), asked);
    mdns.handle_datagram(now, &from(NEIGHBOUR), &response(name(), &[ip("192.0.2.9")], 120));
    assert_eq!(mdns.poll_event(), Some(Event::Resolved(name(), ip("192.0.2.9"))));
    assert_eq!((mdns.poll_timeout(), mdns.poll_event()), (None, None));
    // The next candidate with the same name costs no query, as long as the answer holds.
    mdns.resolve(now + ms(119_999), name()).unwrap();
    assert_eq!(mdns.poll_event(), Some(Event::Resolved(name(), ip("192.0.2.9"))));
    mdns.resolve(now + secs(120), name()).unwrap();
    assert!(poll(&mut mdns, now).is_some());
    assert_eq!(*mdns.counters(), Counters::default());
}

#[test]
fn queries_are_repeated_and_given_up() {
    let (mut mdns, start) = (engine(2), Instant::now());
    mdns.resolve(start, name()).unwrap();
    mdns.resolve(start, name()).unwrap();
    let (mut now, mut asked) = (start, Vec::new());
    loop {
        for (_, message) in poll_all(&mut mdns, now) {
            asked.push(((now - start).as_millis(), message));
        }
        let Some(deadline) = mdns.poll_timeout() else { break };
        now = deadline;
        mdns.handle_timeout(now);
    }
    let both = |at| [1, 28].map(|kind| (at, query(name(), kind, false)));
    assert_eq!(asked, [both(0), both(1000), both(3000)].concat());
    assert_eq!(now, start + secs(5));
    assert_eq!(mdns.poll_event(), Some(Event::Unresolved(name(), Unresolved::NoAnswer)));
    assert_eq!(mdns.poll_event(), None);
}

#[test]
fn answers_that_are_no_good() {
    let now = Instant::now();
    let outcome = |answer: &[u8], remote: &str| {
        let mut mdns = engine(2);
        mdns.resolve(now, name()).unwrap();
        mdns.handle_datagram(now, &from(remote), answer);
        (mdns.poll_event(), *mdns.counters())
    };
    let (a, b) = (ip("192.0.2.9"), ip("192.0.2.10"));
    let good = response(name(), &[a], 120);
    let unresolved = |why| Some(Event::Unresolved(name(), why));

    let (event, counters) = outcome(&response(name(), &[a, b], 120), NEIGHBOUR);
    assert_eq!(
        (event, counters.mdns_ambiguous),
        (unresolved(Unresolved::SeveralAddresses), 1)
    );
    // The same twice is no more than one.
    let (event, _) = outcome(&response(name(), &[a, a], 120), NEIGHBOUR);
    assert_eq!(event, Some(Event::Resolved(name(), a)));
    for unusable in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "ff02::1"] {
        let (event, counters) = outcome(&response(name(), &[ip(unusable)], 120), NEIGHBOUR);
        assert_eq!(
            (event, counters.mdns_unusable_addresses),
            (unresolved(Unresolved::UnusableAddress), 1)
        );
    }
    // A goodbye.
    assert_eq!(
        outcome(&response(name(), &[a], 0), NEIGHBOUR),
        (None, Counters::default())
    );
    // From elsewhere, from another port, cut off.
    let (event, counters) = outcome(&good, "198.51.100.1:5353");
    assert_eq!((event, counters.mdns_off_link), (None, 1));
    let (event, counters) = outcome(&good, "192.0.2.9:5354");
    assert_eq!((event, counters.mdns_wrong_port), (None, 1));
    let (event, counters) = outcome(&good[..good.len() - 1], NEIGHBOUR);
    assert_eq!((event, counters.mdns_malformed), (None, 1));
    // Link-local sources are on the link.
    assert_eq!(outcome(&good, "169.254.1.1:5353").0, Some(Event::Resolved(name(), a)));
    assert_eq!(outcome(&good, "[fe80::1]:5353").0, Some(Event::Resolved(name(), a)));
}

#[test]
fn names_that_nobody_asked_for_are_not_kept() {
    let (mut mdns, now) = (engine(2), Instant::now());
    mdns.handle_datagram(now, &from(NEIGHBOUR), &response(name(), &[ip("192.0.2.9")], 120));
    assert_eq!(mdns.poll_event(), None);
    mdns.resolve(now, name()).unwrap();
    assert!(poll(&mut mdns, now).is_some());
    // Nor those that are not wanted any more.
    mdns.cancel(&name());
    mdns.handle_datagram(now, &from(NEIGHBOUR), &response(name(), &[ip("192.0.2.9")], 120));
    assert_eq!((mdns.poll_event(), mdns.poll_timeout()), (None, None));
}

#[test]
fn one_shot_queries_know_their_answers_by_the_id() {
    let now = Instant::now();
    let mut mdns = Mdns::new(
        Config {
            ipv4: Some(address("192.0.2.7:40000")),
            ..config()
        },
        Seed::from_run(2),
    );
    mdns.resolve(now, name()).unwrap();
    let [(_, asked), (_, again)] = &poll_all(&mut mdns, now)[..] else {
        panic!()
    };
    assert_ne!(asked[..2], [0, 0]);
    assert_eq!(asked[..2], again[..2]);
    let path = Path::udp(address("192.0.2.7:40000"), address(NEIGHBOUR));
    let mut answer = response(name(), &[ip("192.0.2.9")], 10);
    mdns.handle_datagram(now, &path, &answer);
    assert_eq!(mdns.poll_event(), None);
    answer[..2].copy_from_slice(&asked[..2]);
    mdns.handle_datagram(now, &path, &answer);
    assert_eq!(mdns.poll_event(), Some(Event::Resolved(name(), ip("192.0.2.9"))));
}

#[test]
fn one_family_may_have_the_port_and_the_other_not() {
    let now = Instant::now();
    let config = Config {
        ipv6: Some(address("[fe80::7]:40000")),
        ..config()
    };
    let queries = |mdns: &mut Mdns| {
        mdns.resolve(now, name()).unwrap();
        let [(_, ipv4), _, (_, ipv6), _] = &poll_all(mdns, now)[..] else {
            panic!()
        };
        (ipv4.clone(), ipv6.clone())
    };
    let mut mdns = Mdns::new(config.clone(), Seed::from_run(2));
    let (ipv4, ipv6) = queries(&mut mdns);
    assert!(ipv4.starts_with(&[0, 0]) && !ipv6.starts_with(&[0, 0]));
    let mut answer = response(name(), &[ip("192.0.2.9")], 120);
    let resolved = Some(Event::Resolved(name(), ip("192.0.2.9")));
    // Over IPv6 it has to have the id, over IPv4 it has none.
    let path = Path::udp(address("[fe80::7]:40000"), address("[fe80::9]:5353"));
    mdns.handle_datagram(now, &path, &answer);
    assert_eq!(mdns.poll_event(), None);
    mdns.handle_datagram(now, &from(NEIGHBOUR), &answer);
    assert_eq!(mdns.poll_event(), resolved);

    let mut mdns = Mdns::new(config, Seed::from_run(3));
    let (_, ipv6) = queries(&mut mdns);
    answer[..2].copy_from_slice(&ipv6[..2]);
    mdns.handle_datagram(now, &path, &answer);
    assert_eq!(mdns.poll_event(), resolved);
}

#[test]
fn both_families_are_used_where_there_are_sockets() {
    let now = Instant::now();
    let ipv6 = SocketAddr::V6(SocketAddrV6::new(OWN_IPV6.parse().unwrap(), PORT, 0, 3));
    let mut mdns = Mdns::new(
        Config {
            ipv6: Some(ipv6),
            ..config()
        },
        Seed::from_run(2),
    );
    let group_ipv6 = SocketAddr::V6(SocketAddrV6::new(GROUP_IPV6, PORT, 0, 3));
    mdns.resolve(now, name()).unwrap();
    let to: Vec<_> = poll_all(&mut mdns, now).into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [group(), group(), group_ipv6, group_ipv6]);
    // Link-local addresses are of the same link.
    let remote = SocketAddr::V6(SocketAddrV6::new("fe80::9".parse().unwrap(), 9, 0, 3));
    assert_eq!(mdns.remote(ip("fe80::9"), 9), remote);
    for other in ["2001:db8::9", "192.0.2.9"] {
        assert_eq!(mdns.remote(ip(other), 9), SocketAddr::new(ip(other), 9));
    }
    // The answer goes the way that the query came.
    let name = mdns.register(now, Scope(1), ip(OWN_IPV6)).unwrap();
    assert_eq!(poll_all(&mut mdns, now).len(), 2);
    let path = Path::udp(group_ipv6, address("[fe80::9]:5353"));
    mdns.handle_datagram(now + secs(60), &path, &query(name, 28, false));
    let to: Vec<_> = poll_all(&mut mdns, now).into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [group_ipv6]);
}

#[test]
fn two_engines_understand_each_other() {
    let (mut ours, own, now) = registered();
    let mut theirs = engine(9);
    theirs.resolve(now, own).unwrap();
    for (_, asked) in poll_all(&mut theirs, now) {
        ours.handle_datagram(now, &from(NEIGHBOUR), &asked);
    }
    let answers = poll_all(&mut ours, now);
    // The address for A, and that there is no AAAA.
    assert_eq!(answers.len(), 2);
    for (_, answer) in answers {
        theirs.handle_datagram(now, &from("192.0.2.7:5353"), &answer);
    }
    assert_eq!(theirs.poll_event(), Some(Event::Resolved(own, ip(OWN))));
    // Our own names we know.
    ours.resolve(now, own).unwrap();
    assert_eq!(ours.poll_event(), Some(Event::Resolved(own, ip(OWN))));
    assert_eq!(
        (*ours.counters(), *theirs.counters()),
        (Counters::default(), Counters::default())
    );
}

#[test]
fn a_record_under_our_name_is_noticed() {
    let (mut mdns, name, now) = registered();
    // Our own announcement, which the kernel gives us back.
    mdns.handle_datagram(now, &from("192.0.2.7:5353"), &response(name, &[ip(OWN)], 120));
    assert_eq!(mdns.counters().mdns_conflicts, 0);
    mdns.handle_datagram(now, &from(NEIGHBOUR), &response(name, &[ip("192.0.2.9")], 120));
    assert_eq!(mdns.counters().mdns_conflicts, 1);
    assert_eq!(mdns.address(&name), Some(ip(OWN)));
}

#[test]
fn everything_has_a_budget() {
    let now = Instant::now();
    let mut mdns = Mdns::new(
        Config {
            max_names: 1,
            max_queries: 2,
            max_outgoing: 5,
            ..config()
        },
        Seed::from_run(2),
    );
    let own = mdns.register(now, Scope(1), ip(OWN)).unwrap();
    assert_eq!(mdns.register(now, Scope(1), ip("192.0.2.8")), Err(TooMany));
    let mut rng = StdRng::from_seed([1; 32]);
    let names = [(); 3].map(|()| LocalName::random(&mut rng));
    mdns.resolve(now, names[0]).unwrap();
    mdns.resolve(now, names[1]).unwrap();
    assert_eq!(mdns.resolve(now, names[2]), Err(TooMany));
    // Events that are not polled count as well.
    for name in &names[..2] {
        mdns.handle_datagram(now, &from(NEIGHBOUR), &response(*name, &[ip("192.0.2.9")], 120));
    }
    assert_eq!(mdns.resolve(now, names[2]), Err(TooMany));
    assert_eq!(mdns.resolve(now, own), Err(TooMany));
    // An announcement and two queries for each of two names wait.
    mdns.unregister(&own);
    assert_eq!(
        (mdns.counters().mdns_messages_dropped, poll_all(&mut mdns, now).len()),
        (1, 5)
    );
    mdns.poll_event().unwrap();
    assert_eq!(mdns.resolve(now, names[2]), Ok(()));
}

#[test]
fn a_scope_leaves_names_to_others() {
    let now = Instant::now();
    let limits = Config {
        max_names: 3,
        max_names_per_scope: 2,
        ..config()
    };
    let mut mdns = Mdns::new(limits, Seed::from_run(2));
    let first = mdns.register(now, Scope(1), ip(OWN)).unwrap();
    mdns.register(now, Scope(1), ip("192.0.2.8")).unwrap();
    assert_eq!(mdns.register(now, Scope(1), ip("192.0.2.9")), Err(TooMany));
    assert_eq!(mdns.register(now, Scope(1), ip(OWN)), Ok(first));
    mdns.register(now, Scope(2), ip(OWN)).unwrap();
    assert_eq!(mdns.register(now, Scope(3), ip(OWN)), Err(TooMany));
    mdns.unregister(&first);
    mdns.register(now, Scope(1), ip("192.0.2.9")).unwrap();
}

#[test]
fn a_crowd_of_questions_has_one_answer() {
    let (mut mdns, name, now) = registered();
    let mut message = query(name, 1, true);
    message[4..6].copy_from_slice(&100_u16.to_be_bytes());
    for _ in 0..99 {
        message.extend(b"\xc0\x0c\0\x01\x80\x01");
    }
    mdns.handle_datagram(now, &from("192.0.2.9:40000"), &message);
    assert_eq!(poll_all(&mut mdns, now).len(), 1);
}
