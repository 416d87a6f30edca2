#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::TooMany;
use super::config::Scope;
use super::message::Answer;
use super::name::LocalName;
use crate::timer::after;
use rand::Rng;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// RFC 6762 §10: 120 s for records that have a host's name.
pub(super) const TTL: u32 = 120;
/// RFC 6762 §6.7: at most 10 s for queriers that hear no goodbye.
pub(super) const LEGACY_TTL: u32 = 10;
/// RFC 6762 §8.3: two announcements, a second apart.
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCEMENT_INTERVAL: Duration = Duration::from_secs(1);
/// RFC 6762 §6: a record is multicast once in a second. Here announcements do not count: who has just been told a name
/// by signalling did not hear them, and would wait for a second.
const MULTICAST_INTERVAL: Duration = Duration::from_secs(1);
/// RFC 6762 §5.4: a quarter of the TTL. What was not multicast for so long is, though unicast was asked for.
const RECENTLY: Duration = Duration::from_secs(30);

/// A name of ours.
#[derive(Debug)]
struct Registered {
    name: LocalName,
    scope: Scope,
    address: IpAddr,
    announcements_left: u8,
    announce_at: Instant,
    /// When it was last announced.
    announced: Option<Instant>,
    /// Of its address, over IPv4 and over IPv6.
    answers: [Answered; 2],
    /// The same of its NSEC, which is another record.
    denials: [Answered; 2],
}

/// When a record was last multicast in answer to somebody, and when it is to be again: for who asked too soon after.
#[derive(Debug, Clone, Copy, Default)]
struct Answered {
    last: Option<Instant>,
    again: Option<Instant>,
}

impl Answered {
    const fn now(now: Instant) -> Self {
        Self {
            last: Some(now),
            again: None,
        }
    }
}

/// Our names.
#[derive(Debug)]
pub(super) struct Responder {
    names: Vec<Registered>,
    limit: usize,
    limit_per_scope: usize,
}

impl Responder {
    pub(super) const fn new(limit: usize, limit_per_scope: usize) -> Self {
        Self {
            names: Vec::new(),
            limit,
            limit_per_scope,
        }
    }

    pub(super) fn address(&self, name: &LocalName) -> Option<IpAddr> {
        self.names
            .iter()
            .find(|known| known.name == *name)
            .map(|known| known.address)
    }

    /// The name of an address in a scope, new or known.
    pub(super) fn register(
        &mut self,
        now: Instant,
        scope: Scope,
        address: IpAddr,
        rng: &mut impl Rng,
    ) -> Result<LocalName, TooMany> {
        let same = |known: &&Registered| known.scope == scope && known.address == address;
        if let Some(known) = self.names.iter().find(same) {
            return Ok(known.name);
        }
        let in_scope = self.names.iter().filter(|known| known.scope == scope).count();
        if self.names.len() >= self.limit || in_scope >= self.limit_per_scope {
            return Err(TooMany);
        }
        let name = LocalName::random(rng);
        self.names.push(Registered {
            name,
            scope,
            address,
            announcements_left: ANNOUNCEMENTS,
            announce_at: now,
            announced: None,
            answers: [Answered::default(); 2],
            denials: [Answered::default(); 2],
        });
        Ok(name)
    }

    /// Forgets a name; the goodbye for it.
    pub(super) fn unregister(&mut self, name: &LocalName) -> Option<Answer> {
        let at = self.names.iter().position(|known| known.name == *name)?;
        let known = self.names.swap_remove(at);
        Some(Answer {
            ttl: 0,
            ..known.answer()
        })
    }

    /// A name of a scope.
    pub(super) fn name_in(&self, scope: Scope) -> Option<LocalName> {
        let known = self.names.iter().find(|known| known.scope == scope);
        known.map(|known| known.name)
    }

    /// The next announcement that is due.
    pub(super) fn announce(&mut self, now: Instant) -> Option<Answer> {
        let due = |known: &&mut Registered| known.announcements_left > 0 && known.announce_at <= now;
        let known = self.names.iter_mut().find(due)?;
        known.announcements_left = known.announcements_left.saturating_sub(1);
        known.announce_at = after(now, ANNOUNCEMENT_INTERVAL);
        known.announced = Some(now);
        Some(known.answer())
    }

    /// The next answer that had to wait, once it is due; whether it goes over IPv4.
    pub(super) fn answer_again(&mut self, now: Instant) -> Option<(Answer, bool)> {
        for known in &mut self.names {
            let answer = known.answer();
            for (negative, times) in [(false, &mut known.answers), (true, &mut known.denials)] {
                for (times, ipv4) in times.iter_mut().zip([true, false]) {
                    if times.again.is_some_and(|again| again <= now) {
                        *times = Answered::now(now);
                        return Some((Answer { negative, ..answer }, ipv4));
                    }
                }
            }
        }
        None
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let announced = self.names.iter().filter(|known| known.announcements_left > 0);
        let announced = announced.map(|known| known.announce_at);
        let times = self.names.iter().flat_map(|known| [known.answers, known.denials]);
        announced.chain(times.flatten().filter_map(|times| times.again)).min()
    }

    /// Whether a name was multicast recently, so that unicast will do.
    pub(super) fn was_multicast(&self, now: Instant, name: &LocalName, ipv4: bool) -> bool {
        let Some(known) = self.names.iter().find(|known| known.name == *name) else {
            return false;
        };
        let [over_ipv4, over_ipv6] = known.answers;
        let answered = if ipv4 { over_ipv4 } else { over_ipv6 };
        let last = known.announced.max(answered.last);
        last.is_some_and(|last| now < after(last, RECENTLY))
    }

    /// Whether a name, or its NSEC, may be multicast now; it then counts as such. Where it may not yet, it will be
    /// ([`answer_again`](Self::answer_again)): who asks may have come after the last time.
    pub(super) fn may_multicast(&mut self, now: Instant, name: &LocalName, negative: bool, ipv4: bool) -> bool {
        let Some(known) = self.names.iter_mut().find(|known| known.name == *name) else {
            return false;
        };
        let [over_ipv4, over_ipv6] = if negative {
            &mut known.denials
        } else {
            &mut known.answers
        };
        let times = if ipv4 { over_ipv4 } else { over_ipv6 };
        let over = times.last.map(|last| after(last, MULTICAST_INTERVAL));
        times.again = over.filter(|over| now < *over);
        let may = times.again.is_none();
        if may {
            *times = Answered::now(now);
        }
        may
    }
}

impl Registered {
    const fn answer(&self) -> Answer {
        Answer {
            name: self.name,
            address: self.address,
            ttl: TTL,
            negative: false,
            legacy: None,
        }
    }
}
