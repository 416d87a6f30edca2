use std::net::IpAddr;
use std::time::Instant;

use ice::mdns::{self, Event, LocalName, Scope};
use ice::{Candidate, CandidateKind, Credentials};
use sdp::Address;
use wire::{Path, Seed, Transmit};

/// mDNS on the link of a peer in full mode (draft-ietf-mmusic-mdns-ice-candidates): candidates of the peer's that have
/// a name in place of an address are resolved.
#[derive(Debug, Clone)]
pub struct Mdns {
    /// The sockets on the link, which are the caller's, and what is of that link.
    pub link: mdns::Config,
    /// Whether the host addresses of ours are told as names, too, which then are answered for. It takes sockets with
    /// the port 5353: with others nobody resolves them.
    pub conceal: bool,
}

/// A candidate of the peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteCandidate {
    /// Of its address there is only the port where it has a name.
    pub(crate) candidate: Candidate,
    pub(crate) name: Option<LocalName>,
}

/// The names of both ends.
#[derive(Debug)]
pub(crate) struct Names {
    mdns: mdns::Mdns,
    conceals: bool,
    /// Our addresses and the names under which they are told.
    own: Vec<(IpAddr, LocalName, String)>,
    /// The peer's candidates whose names have no address yet.
    waiting: Vec<(LocalName, Candidate)>,
    /// To which both belong.
    session: Option<Credentials>,
    /// When something was last heard or done.
    now: Instant,
}

/// A peer has one page, and its names end with it.
const SCOPE: Scope = Scope(0);

impl Names {
    pub(crate) fn new(config: &Mdns, seed: Seed, now: Instant) -> Self {
        Self {
            mdns: mdns::Mdns::new(config.link.clone(), seed),
            conceals: config.conceal,
            own: Vec::new(),
            waiting: Vec::new(),
            session: None,
            now,
        }
    }

    /// Whether an address of ours is nobody's business. Loopback tells nothing.
    const fn is_private(&self, address: &IpAddr) -> bool {
        self.conceals && !address.is_loopback()
    }

    /// Gives an address of ours its name; `false` when there are too many, and it is not told at all.
    pub(crate) fn conceal(&mut self, address: IpAddr) -> bool {
        if !self.is_private(&address) || self.own.iter().any(|(own, ..)| *own == address) {
            return true;
        }
        let name = self.mdns.register(self.now, SCOPE, address);
        if let Ok(name) = name {
            self.own.push((address, name, name.to_string()));
        }
        name.is_ok()
    }

    /// What a candidate of ours has in place of its address; `None` when it is not to be told.
    pub(crate) fn told(&self, candidate: &Candidate) -> Option<Address<'_>> {
        let address = candidate.address.ip();
        if candidate.kind != CandidateKind::Host || !self.is_private(&address) {
            return Some(Address::Ip(address));
        }
        let name = self.own.iter().find(|(own, ..)| *own == address);
        name.map(|(.., name)| Address::Name(name))
    }

    /// Gives up the names of addresses that are ours no more.
    pub(crate) fn keep(&mut self, used: impl Fn(&IpAddr) -> bool) {
        let mdns = &mut self.mdns;
        self.own.retain(|(address, name, _)| {
            let kept = used(address);
            if !kept {
                mdns.unregister(name);
            }
            kept
        });
    }

    /// Follows the peer's ICE session: what belongs to another one is void. Gives how many candidates that are.
    pub(crate) fn follow_session(&mut self, now: Instant, session: Option<&Credentials>) -> usize {
        self.now = now;
        if self.session.as_ref() == session {
            return 0;
        }
        self.session = session.cloned();
        self.forget_waiting()
    }

    fn forget_waiting(&mut self) -> usize {
        let void = std::mem::take(&mut self.waiting);
        void.iter().for_each(|(name, _)| self.mdns.cancel(name));
        void.len()
    }

    /// Has the name of a candidate resolved. `false` when more than `most` would wait.
    pub(crate) fn resolve(&mut self, now: Instant, name: LocalName, candidate: Candidate, most: usize) -> bool {
        let waiting = (name, candidate);
        if self.waiting.contains(&waiting) {
            return true;
        }
        let has_room = self.waiting.len() < most && self.mdns.resolve(now, name).is_ok();
        if has_room {
            self.waiting.push(waiting);
        }
        has_room
    }

    /// The next name that is settled, with its candidates, which have no address if it has none.
    pub(crate) fn poll(&mut self) -> Option<(bool, Vec<Candidate>)> {
        let (name, address) = match self.mdns.poll_event()? {
            Event::Resolved(name, address) => (name, Some(address)),
            Event::Unresolved(name, _) => (name, None),
        };
        let mut candidates = Vec::new();
        self.waiting.retain(|(waiting, candidate)| {
            if *waiting == name {
                candidates.push(candidate.clone());
            }
            *waiting != name
        });
        if let Some(ip) = address {
            for candidate in &mut candidates {
                candidate.address = self.mdns.remote(ip, candidate.address.port());
            }
        }
        Some((address.is_some(), candidates))
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, path: &Path, datagram: &[u8]) {
        self.mdns.handle_datagram(now, path, datagram);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.mdns.handle_timeout(now);
    }

    pub(crate) fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        self.mdns.poll_transmit(now, out)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.mdns.poll_timeout()
    }

    pub(crate) const fn counters(&self) -> &mdns::Counters {
        self.mdns.counters()
    }

    /// Says goodbye for our names; nothing more is asked.
    pub(crate) fn close(&mut self) {
        self.own.clear();
        self.mdns.end(SCOPE);
        self.forget_waiting();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn the_name_of_an_address_that_is_gone_is_given_up() {
        let now = Instant::now();
        let config = Mdns {
            link: mdns::Config {
                ipv4: Some(SocketAddr::from(([192, 0, 2, 1], mdns::PORT))),
                ..mdns::Config::default()
            },
            conceal: true,
        };
        let mut names = Names::new(&config, Seed::from_run(1), now);
        let hosts = [1, 2].map(|host| IpAddr::from([192, 0, 2, host]));
        assert!(hosts.into_iter().all(|host| names.conceal(host)));
        let mut out = [0; mdns::MIN_OUT];
        let mut said = |names: &mut Names| std::iter::from_fn(|| names.poll_transmit(now, &mut out)).count();
        assert_eq!(said(&mut names), 2);
        names.keep(|_| true);
        assert_eq!(said(&mut names), 0);
        names.keep(|address| *address == hosts[1]);
        assert_eq!(said(&mut names), 1);
        let told = hosts.map(|host| {
            let host = SocketAddr::new(host, 9);
            let candidate = Candidate::host(host, wire::Protocol::Udp, 1);
            names.told(&candidate).is_some()
        });
        assert_eq!(told, [false, true]);
    }
}
