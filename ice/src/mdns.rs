//! mDNS names in candidates (draft-ietf-mmusic-mdns-ice-candidates, RFC 6762), without I/O.
//!
//! - [`Mdns`]: registers names for our own addresses and answers for them; resolves the names of the peer.
//! - [`LocalName`]: a name as it stands in a candidate.
//! - [`Config`], [`Scope`], [`Event`], [`Counters`].

mod config;
mod counters;
mod message;
mod name;
mod resolver;
mod responder;

#[cfg(test)]
mod tests;

pub use config::{Config, Scope, Subnet};
pub use counters::Counters;
pub use name::{LocalName, NotLocalName};
pub use resolver::Unresolved;

use message::{Answer, Message, Name, Question, Record, RecordType};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use resolver::Resolver;
use responder::Responder;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Instant;
use wire::{Path, Seed, Transmit};

/// The port of mDNS (RFC 6762 §3).
pub const PORT: u16 = 5353;
/// The group of IPv4 (RFC 6762 §3).
pub const GROUP_IPV4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// The group of IPv6 on the link (RFC 6762 §3).
pub const GROUP_IPV6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// Bytes that [`Mdns::poll_transmit`] needs.
pub const MIN_OUT: usize = 256;

/// Most questions of one message that are answered, and most records of one that count.
const MAX_PARTS: usize = 16;

/// What was asked has come about, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A name of the peer has this address; [`Mdns::remote`] makes a candidate's of it.
    Resolved(LocalName, IpAddr),
    /// A name of the peer cannot be used: its candidate is to be ignored.
    Unresolved(LocalName, Unresolved),
}

/// The budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl std::fmt::Display for TooMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("there are as many mDNS names as there may be")
    }
}

impl std::error::Error for TooMany {}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Query { id: u16, name: LocalName, kind: RecordType },
    Answer(Answer),
}

/// mDNS on one link.
///
/// The caller has a socket for each family with the port 5353 that has joined the group, sends with TTL 255 (RFC 6762
/// §11), and says where datagrams came from. Where that port is taken, sockets with other ports will do to resolve (RFC
/// 6762 §5.1), but then nobody hears our names.
#[derive(Debug)]
pub struct Mdns {
    config: Config,
    rng: StdRng,
    responder: Responder,
    resolver: Resolver,
    outgoing: VecDeque<(Path, Output)>,
    events: VecDeque<Event>,
    counters: Counters,
}

/// Getters.
impl Mdns {
    /// An engine for one link.
    pub fn new(config: Config, seed: Seed) -> Self {
        Self {
            responder: Responder::new(config.max_names, config.max_names_per_scope),
            resolver: Resolver::new(&config),
            rng: StdRng::from_seed(seed.0),
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            config,
        }
    }

    /// The address that is registered under a name.
    pub fn address(&self, name: &LocalName) -> Option<IpAddr> {
        self.responder.address(name)
    }

    /// A resolved address with the port of its candidate. A link-local one is of our link, and cannot be sent to
    /// without its scope, which no name and no record has.
    pub fn remote(&self, address: IpAddr, port: u16) -> SocketAddr {
        match address {
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                SocketAddr::V6(SocketAddrV6::new(address, port, 0, self.config.scope_id()))
            }
            _ => SocketAddr::new(address, port),
        }
    }

    /// What was dropped or refused so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Inputs.
impl Mdns {
    /// Takes a datagram. `path.local` is the address of our socket, or the group; `path.remote` who sent it.
    pub fn handle_datagram(&mut self, now: Instant, path: &Path, datagram: &[u8]) {
        // RFC 6762 §11: what comes from elsewhere may be an attack from far away.
        if !self.config.is_on_link(&path.remote.ip()) {
            count(&mut self.counters.mdns_off_link);
            return;
        }
        let message = match Message::parse(datagram) {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(_) => return count(&mut self.counters.mdns_malformed),
        };
        let (mut questions, mut records): (Vec<Question>, Vec<(bool, Record<'_>)>) = (Vec::new(), Vec::new());
        let read = message.read(
            |question| {
                if matches!(question.name, Name::Local(_)) && question.internet && questions.len() < MAX_PARTS {
                    questions.push(question);
                }
            },
            |answer, record| {
                if matches!(record.name, Name::Local(_)) && record.internet && records.len() < MAX_PARTS {
                    records.push((answer, record));
                }
            },
        );
        if read.is_err() {
            return count(&mut self.counters.mdns_malformed);
        }
        if message.response {
            self.handle_response(now, path, message.id, &records);
        } else {
            self.handle_query(now, path, message.id, &questions, &records);
        }
    }

    /// Does what is due. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(answer) = self.responder.announce(now) {
            self.multicast(Output::Answer(answer));
        }
        while let Some((answer, ipv4)) = self.responder.answer_again(now) {
            self.send_to(self.config.group(ipv4), Output::Answer(answer));
        }
        while let Some(name) = self.resolver.next_query(now) {
            self.ask(name);
        }
        while let Some(name) = self.resolver.next_timeout(now) {
            self.events.push_back(Event::Unresolved(name, Unresolved::NoAnswer));
        }
    }
}

/// Commands.
impl Mdns {
    /// The name for an address of ours, for its candidate: within a scope always the same. A new one is announced,
    /// without probing since nobody else has it (draft §3.1.1).
    ///
    /// # Errors
    /// When there are too many.
    pub fn register(&mut self, now: Instant, scope: Scope, address: IpAddr) -> Result<LocalName, TooMany> {
        let name = self.responder.register(now, scope, address, &mut self.rng)?;
        self.handle_timeout(now);
        Ok(name)
    }

    /// Gives a name up, and says so (RFC 6762 §10.1).
    pub fn unregister(&mut self, name: &LocalName) {
        if let Some(goodbye) = self.responder.unregister(name) {
            self.multicast(Output::Answer(goodbye));
        }
    }

    /// Gives up all names of a scope: when it ends, so that what comes after it cannot be told to be the same host.
    pub fn end(&mut self, scope: Scope) {
        while let Some(name) = self.responder.name_in(scope) {
            self.unregister(&name);
        }
    }

    /// Has a name of the peer resolved; one event tells.
    ///
    /// # Errors
    /// When there are too many.
    pub fn resolve(&mut self, now: Instant, name: LocalName) -> Result<(), TooMany> {
        if let Some(address) = self.address(&name).or_else(|| self.resolver.known(now, &name)) {
            if self.events.len() >= self.config.max_queries {
                return Err(TooMany);
            }
            self.events.push_back(Event::Resolved(name, address));
            return Ok(());
        }
        self.resolver.begin(now, name, self.events.len())?;
        self.handle_timeout(now);
        Ok(())
    }

    /// Does not want a name resolved any more.
    pub fn cancel(&mut self, name: &LocalName) {
        self.resolver.end(name);
        self.events.retain(|event| match event {
            Event::Resolved(known, _) | Event::Unresolved(known, _) => known != name,
        });
    }
}

/// Outputs.
impl Mdns {
    /// Writes the next message. `out` has at least [`MIN_OUT`] bytes.
    pub fn poll_transmit(&mut self, _now: Instant, out: &mut [u8]) -> Option<Transmit> {
        debug_assert!(out.len() >= MIN_OUT, "out has at least MIN_OUT bytes");
        let (path, output) = self.outgoing.front()?;
        let len = match output {
            Output::Query { id, name, kind } => message::write_query(out, *id, *name, *kind),
            Output::Answer(answer) => answer.write(out),
        };
        let transmit = Transmit::one(*path, len.ok()?);
        self.outgoing.pop_front();
        Some(transmit)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (announce, resolve) = (self.responder.next_deadline(), self.resolver.next_deadline());
        announce.into_iter().chain(resolve).min()
    }

    /// What happened since.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

impl Mdns {
    /// RFC 6762 §6.
    fn handle_query(
        &mut self,
        now: Instant,
        path: &Path,
        id: u16,
        questions: &[Question],
        known: &[(bool, Record<'_>)],
    ) {
        // A querier that is no mDNS (RFC 6762 §6.7).
        let legacy = path.remote.port() != PORT;
        let mut answered: Vec<(LocalName, bool)> = Vec::new();
        for question in questions {
            let Name::Local(name) = question.name else { continue };
            let Some(address) = self.responder.address(&name) else {
                continue;
            };
            let exact = question.kind == RecordType::of(&address) || question.kind == RecordType::ANY;
            let other_family = matches!(question.kind, RecordType::A | RecordType::AAAA);
            if (!exact && (legacy || !other_family)) || answered.contains(&(name, exact)) {
                continue;
            }
            answered.push((name, exact));
            // Known-answer suppression (RFC 6762 §7.1).
            let told = |(answer, record): &(bool, Record<'_>)| {
                *answer
                    && record.name == question.name
                    && record.address() == Some(address)
                    && record.ttl >= responder::TTL / 2
            };
            if exact && !legacy && known.iter().any(told) {
                continue;
            }
            let answer = Answer {
                name,
                address,
                ttl: if legacy { responder::LEGACY_TTL } else { responder::TTL },
                negative: !exact,
                legacy: legacy.then_some((id, question.kind)),
            };
            let ipv4 = path.remote.is_ipv4();
            if legacy || (question.unicast && (!exact || self.responder.was_multicast(now, &name, ipv4))) {
                self.send_to(path.remote, Output::Answer(answer));
            } else if self.responder.may_multicast(now, &name, !exact, ipv4) {
                self.send_to(self.config.group(ipv4), Output::Answer(answer));
            }
        }
    }

    fn handle_response(&mut self, now: Instant, path: &Path, id: u16, records: &[(bool, Record<'_>)]) {
        // RFC 6762 §6: only port 5353 answers.
        if path.remote.port() != PORT {
            return count(&mut self.counters.mdns_wrong_port);
        }
        for (at, (_, record)) in records.iter().enumerate() {
            let (Name::Local(name), Some(address)) = (record.name, record.address()) else {
                continue;
            };
            if record.ttl == 0 {
                continue;
            }
            if self.responder.address(&name).is_some_and(|own| own != address) {
                count(&mut self.counters.mdns_conflicts);
                continue;
            }
            let id = self.config.is_one_shot(path.remote.is_ipv4()).then_some(id);
            if !self.resolver.awaits(&name, id) {
                continue;
            }
            let others = records.get(at..).unwrap_or_default().iter().map(|(_, other)| other);
            let mut others = others.filter(|other| other.name == record.name && other.ttl > 0);
            let ambiguous = others.any(|other| other.address().is_some_and(|other| other != address));
            self.resolver.end(&name);
            let event = if ambiguous {
                count(&mut self.counters.mdns_ambiguous);
                Event::Unresolved(name, Unresolved::SeveralAddresses)
            } else if !is_usable(&address) {
                count(&mut self.counters.mdns_unusable_addresses);
                Event::Unresolved(name, Unresolved::UnusableAddress)
            } else {
                self.resolver.remember(now, name, address, record.ttl);
                Event::Resolved(name, address)
            };
            self.events.push_back(event);
        }
    }

    /// Asks over each family for addresses of both, in a message each: Chromium (156) has no answer to two questions at
    /// once, nor to one with QU.
    fn ask(&mut self, name: LocalName) {
        let [high, low, ..] = self.rng.next_u32().to_be_bytes();
        let id = u16::from_be_bytes([high, low]);
        self.resolver.asked(&name, id);
        for ipv4 in [true, false] {
            let id = if self.config.is_one_shot(ipv4) { id } else { 0 };
            for kind in [RecordType::A, RecordType::AAAA] {
                self.send_to(self.config.group(ipv4), Output::Query { id, name, kind });
            }
        }
    }

    fn multicast(&mut self, output: Output) {
        for ipv4 in [true, false] {
            self.send_to(self.config.group(ipv4), output);
        }
    }

    /// Queues a message, if there is a socket of that family.
    fn send_to(&mut self, remote: SocketAddr, output: Output) {
        let local = if remote.is_ipv4() {
            self.config.ipv4
        } else {
            self.config.ipv6
        };
        let Some(local) = local else { return };
        if self.outgoing.len() >= self.config.max_outgoing {
            return count(&mut self.counters.mdns_messages_dropped);
        }
        self.outgoing.push_back((Path::udp(local, remote), output));
    }
}

impl Config {
    /// The group of a family, on our link.
    fn group(&self, ipv4: bool) -> SocketAddr {
        if ipv4 {
            return SocketAddr::from((GROUP_IPV4, PORT));
        }
        SocketAddr::V6(SocketAddrV6::new(GROUP_IPV6, PORT, 0, self.scope_id()))
    }

    /// Of our link.
    const fn scope_id(&self) -> u32 {
        match self.ipv6 {
            Some(SocketAddr::V6(local)) => local.scope_id(),
            _ => 0,
        }
    }
}

/// Whether a candidate may have such an address.
fn is_usable(address: &IpAddr) -> bool {
    let broadcast = *address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || broadcast)
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
