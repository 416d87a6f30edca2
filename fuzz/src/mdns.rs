use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ice::mdns::{Config, Event, GROUP_IPV4, GROUP_IPV6, LocalName, MIN_OUT, Mdns, PORT, Scope, Subnet};
use wire::{Path, Reader, Seed};

/// Few, so that budgets are met.
const MAX_QUERIES: usize = 4;

/// mDNS on a link with whatever may come: each name that is resolved has one event, two engines understand each other,
/// every message that is written is taken, and what is pending is bounded and ends.
///
/// The input is any number of steps: operation, argument, length, that many bytes.
pub fn mdns(data: &[u8]) {
    let mut r = Reader::new(data);
    let mut link = Link::new();
    while let (Ok(operation), Ok(argument)) = (r.u8(), r.u8()) {
        let len = usize::from(r.u8().unwrap_or_default()).min(r.remaining());
        let bytes = r.take(len).unwrap_or_default();
        link.step(operation, argument, bytes);
    }
    link.end();
}

fn address(n: u8) -> IpAddr {
    match n & 1 {
        0 => IpAddr::from([192, 0, 2, n]),
        _ => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(n)]),
    }
}

/// Two engines that hear each other.
struct Link {
    engines: [Mdns; 2],
    now: Instant,
    names: Vec<LocalName>,
    /// Names that are being resolved, by the second engine.
    wanted: Vec<LocalName>,
}

impl Link {
    fn new() -> Self {
        let engine = |n: u8| {
            let config = Config {
                ipv4: Some(SocketAddr::new(address(2 + 2 * n), PORT)),
                ipv6: Some(SocketAddr::new(address(3 + 2 * n), PORT)),
                subnets: vec![Subnet {
                    address: address(2),
                    prefix: 24,
                }],
                max_names: 4,
                max_queries: MAX_QUERIES,
                max_outgoing: 8,
                ..Config::default()
            };
            Mdns::new(config, Seed::from_run(u64::from(n)))
        };
        Self {
            engines: [engine(0), engine(1)],
            now: Instant::now(),
            names: Vec::new(),
            wanted: Vec::new(),
        }
    }

    fn name(&self, argument: u8) -> Option<LocalName> {
        self.names.get(usize::from(argument) % self.names.len().max(1)).copied()
    }

    fn step(&mut self, operation: u8, argument: u8, bytes: &[u8]) {
        match operation % 8 {
            0 => {
                if let Ok(name) = self.engines[0].register(self.now, Scope(u64::from(argument & 1)), address(argument))
                {
                    assert_eq!(self.engines[0].address(&name), Some(address(argument)));
                    assert_eq!(name.to_string().parse(), Ok(name));
                    self.names.push(name);
                }
            }
            1 => {
                if let Some(name) = self.name(argument) {
                    self.engines[0].unregister(&name);
                    assert_eq!(self.engines[0].address(&name), None);
                }
            }
            2 => {
                if let Some(name) = self.name(argument)
                    && self.engines[1].resolve(self.now, name).is_ok()
                {
                    self.wanted.push(name);
                }
            }
            3 => self.exchange(None),
            4 => self.pass(u64::from(argument)),
            5 => self.noise(argument, bytes),
            6 => self.exchange(Some((argument, bytes))),
            _ => {
                if let Some(name) = self.name(argument) {
                    self.engines[1].cancel(&name);
                    self.wanted.retain(|wanted| *wanted != name);
                }
            }
        }
        self.events();
    }

    /// Carries all messages to the other engine, some with a byte changed.
    fn exchange(&mut self, change: Option<(u8, &[u8])>) {
        for turn in 0..8 {
            for from in [turn & 1, 1 - (turn & 1)] {
                let [mut out, mut sent] = [[0; MIN_OUT], [0; MIN_OUT]];
                let mut messages = 0;
                while let Some(transmit) = self.engines[from].poll_transmit(self.now, &mut out) {
                    messages += 1;
                    assert!(messages <= 8);
                    let malformed = self.engines[1 - from].counters().mdns_malformed;
                    sent[..transmit.len].copy_from_slice(&out[..transmit.len]);
                    if let Some((at, bytes)) = change {
                        sent[usize::from(at) % transmit.len] ^= bytes.first().copied().unwrap_or(1);
                    }
                    let path = Path::udp(transmit.path.remote, transmit.path.local);
                    self.engines[1 - from].handle_datagram(self.now, &path, &sent[..transmit.len]);
                    let whole = change.is_none();
                    assert!(!whole || self.engines[1 - from].counters().mdns_malformed == malformed);
                }
            }
        }
    }

    fn noise(&mut self, argument: u8, bytes: &[u8]) {
        let remote = SocketAddr::new(address(argument | 2), if argument & 0x80 == 0 { PORT } else { 40_000 });
        let group = if remote.is_ipv4() {
            IpAddr::from(GROUP_IPV4)
        } else {
            IpAddr::from(GROUP_IPV6)
        };
        let path = Path::udp(SocketAddr::new(group, PORT), remote);
        // Whole, and behind the header of a response or a query.
        let mut message = bytes.to_vec();
        if argument & 0x40 != 0 {
            let flags = if argument & 0x20 == 0 { 0x84 } else { 0 };
            message = vec![0, 0, flags, 0, 0, argument & 3, 0, argument >> 2 & 3, 0, 0, 0, 1];
            message.extend(bytes);
        }
        for engine in &mut self.engines {
            engine.handle_datagram(self.now, &path, &message);
        }
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        for engine in &mut self.engines {
            let mut now = self.now;
            while let Some(deadline) = engine.poll_timeout().filter(|deadline| *deadline <= end) {
                now = now.max(deadline);
                engine.handle_timeout(now);
                engine.handle_timeout(now);
                assert!(
                    engine.poll_timeout().is_none_or(|next| next > now),
                    "a timer does not end"
                );
            }
        }
        self.now = end;
    }

    /// Whatever came before: everybody has heard, and nothing is pending.
    fn end(&mut self) {
        self.pass(20);
        self.events();
        assert_eq!(self.wanted, []);
        for engine in &mut self.engines {
            assert_eq!(engine.poll_timeout(), None);
            let mut out = [0; MIN_OUT];
            for turn in 0.. {
                assert!(turn <= 8, "what is pending is bounded");
                if engine.poll_transmit(self.now, &mut out).is_none() {
                    break;
                }
            }
        }
    }

    /// Each name that was asked for has one event, or none yet.
    fn events(&mut self) {
        assert_eq!(self.engines[0].poll_event(), None);
        let mut events = 0;
        while let Some(event) = self.engines[1].poll_event() {
            events += 1;
            assert!(events <= MAX_QUERIES);
            let (Event::Resolved(name, _) | Event::Unresolved(name, _)) = event;
            assert!(self.wanted.contains(&name), "{name} was not asked for");
            self.wanted.retain(|wanted| *wanted != name);
        }
    }
}
