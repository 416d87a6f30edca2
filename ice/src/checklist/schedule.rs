#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::Checklist;
use super::pair::{Connection, Pair, PairId, State};
use super::request::{Purpose, Request};
use crate::candidate::peer_reflexive_priority;
use crate::pacer::Pacer;
use crate::rider::Rider;
use std::time::Instant;
use wire::Path;

/// Which check is sent when (RFC 8445 §6.1.4.2).
impl Checklist {
    /// Writes the next check that is due, and tells where it goes and how long it is.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        pacer: &mut Pacer,
        rider: &mut dyn Rider,
        out: &mut [u8],
    ) -> Option<(Path, usize)> {
        if let Some(asked) = self.ask_previous(now, out) {
            return Some(asked);
        }
        self.remote.as_ref()?;
        loop {
            self.give_up(now);
            let request = match self.resend(now) {
                Some(again) => again,
                None => self.start(now, pacer)?,
            };
            let pair = self.pair(request.pair)?;
            let priority = peer_reflexive_priority(pair.local_priority, pair.path.protocol);
            let path = pair.path;
            let written = self.write(self.remote.as_ref()?, &request, priority, rider, out);
            // One that cannot be written, as the peer's credentials break RFC 8839 §5.4, is as good as lost: left as it
            // is, it would be due for ever.
            self.sent(now, request);
            if let Ok(len) = written {
                self.forget_wish();
                return Some((path, len));
            }
        }
    }

    /// A new check. Nominations and requests for consent are few and have times of their own: they are not paced, but
    /// what is paced comes after them.
    fn start(&mut self, now: Instant, pacer: &mut Pacer) -> Option<Request> {
        if let Some(id) = self.nominee(now) {
            self.cancel(id);
            pacer.spend(now);
            return Some(self.begin(now, id, Purpose::Nominate));
        }
        if let Some(id) = self.ask_due(now) {
            pacer.spend(now);
            self.ask(now, id);
            return Some(self.begin(now, id, Purpose::Consent));
        }
        while pacer.is_ready(now) {
            let id = self.next_probe()?;
            pacer.spend(now);
            let pair = self.pair_mut(id)?;
            pair.state = State::InProgress;
            pair.first_sent.get_or_insert(now);
            if pair.connection == Connection::Needed {
                self.open_connection(id);
                continue;
            }
            return Some(self.begin(now, id, Purpose::Probe));
        }
        None
    }

    /// The pair that is checked next: a triggered one, else the best that waits; in between, or after them, one that a
    /// rider wishes to have checked again.
    fn next_probe(&mut self) -> Option<PairId> {
        while let Some(id) = self.triggered.pop_front() {
            if self.pair(id).is_some_and(|pair| pair.state == State::Waiting) {
                return Some(id);
            }
        }
        if let Some(id) = self.take_wish(true) {
            return Some(id);
        }
        if self.ordinary().is_none() {
            self.unfreeze();
        }
        let ordinary = self.ordinary().map(|pair| pair.id);
        ordinary.or_else(|| self.take_wish(false))
    }

    fn ordinary(&self) -> Option<&Pair> {
        self.pairs.iter().find(|pair| self.is_ordinary(pair))
    }

    /// Whether it is checked of itself, without a check of the peer's. Once a pair is nominated only those are that
    /// could take its place (RFC 8445 §8.1.2).
    pub(super) fn is_ordinary(&self, pair: &Pair) -> bool {
        pair.state == State::Waiting && self.may_replace_nominated(pair)
    }

    /// When something is due: a check, or the end of consent.
    pub(crate) fn due(&self, now: Instant, pacer: &Pacer) -> Option<Instant> {
        let previous = self.previous_due();
        if self.remote.is_none() {
            return previous;
        }
        let probe = !self.triggered.is_empty()
            || self.ordinary().is_some()
            || self.has_wish()
            || self.pairs.iter().any(|pair| self.thaws(pair));
        let times = [
            probe.then(|| pacer.due(now)),
            self.nomination_due(),
            self.consent_due(),
            self.request_due(),
            previous,
        ];
        times.into_iter().flatten().min()
    }
}
