//! What each chunk of set-up and shutdown does, by the state.

use std::time::Instant;

use super::admission::count;
use super::cookie::{Cookie, Ties, micros};
use super::init::{self, UnusableInit};
use super::output::error;
use super::{Peer, Setup, State, Step, Timer, draw_local, draw_ties};
use crate::cause::{Cause, Causes};
use crate::chunk::{Abort, Chunk, Init};
use crate::list::List;
use crate::parameter::Parameter;
use crate::registry::ParameterType;
use crate::writer::padding;
use crate::{CloseReason, Counters};

/// Bytes of what the peer says about its ABORT that are kept.
const TEXT_LEN: usize = 128;

impl Setup {
    /// Takes a chunk of an admitted packet: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK, ABORT, SHUTDOWN, SHUTDOWN ACK, SHUTDOWN
    /// COMPLETE, ERROR. Others lead to nothing.
    pub(crate) fn handle(&mut self, now: Instant, chunk: &Chunk<'_>, counters: &mut Counters) -> Step {
        match chunk {
            Chunk::Init(init) => self.handle_init(now, init, counters),
            Chunk::InitAck(init) => self.handle_init_ack(now, init, counters),
            Chunk::CookieEcho(cookie) => self.handle_cookie_echo(now, cookie, counters),
            Chunk::CookieAck if self.state == State::CookieEchoed => {
                self.open(None);
                Step::Established
            }
            // Both have set up at once.
            Chunk::CookieAck if self.has_crossed(State::CookieEchoed) => Step::Continue,
            // RFC 9260 §5.2.5.
            Chunk::CookieAck => out_of_turn(Step::Continue, counters),
            Chunk::Abort(abort) => self.handle_abort(abort, counters),
            Chunk::Shutdown { cumulative_tsn_ack } => self.handle_shutdown(now, *cumulative_tsn_ack, counters),
            Chunk::ShutdownAck => self.handle_shutdown_ack(counters),
            Chunk::ShutdownComplete { reflected } => self.handle_shutdown_complete(*reflected, counters),
            Chunk::Error(causes) => self.handle_error(now, causes),
            _ => Step::Continue,
        }
    }

    /// RFC 9260 §5.1 B, §5.2.1, §5.2.2.
    fn handle_init(&mut self, now: Instant, init: &Init<'_>, counters: &mut Counters) -> Step {
        if self.packet_tag != 0 {
            // RFC 9260 §8.5.1 A; bundled, too (§5.1).
            count(&mut counters.sctp_unexpected_chunks);
            return Step::Stop;
        }
        let offer = match init::read(&self.config, init) {
            Ok(offer) => offer,
            Err(fault) => {
                count(&mut counters.sctp_bad_inits);
                if fault != UnusableInit::NoTag {
                    self.refuse(init.initiate_tag, fault.cause(), counters);
                }
                return Step::Stop;
            }
        };
        let (local, ties) = match self.state {
            // The same as in our INIT, whether that was sent or is to be.
            State::Closed | State::CookieWait => (self.local, Ties::NONE),
            State::CookieEchoed => (self.local, self.ties),
            State::Established | State::ShutdownPending | State::ShutdownSent | State::ShutdownReceived => {
                (draw_local(&mut self.rng, self.local.tag), self.ties)
            }
            State::ShutdownAckSent => {
                // RFC 9260 §9.2.
                self.due = true;
                return out_of_turn(Step::Stop, counters);
            }
            State::Ended => {
                // RFC 9260 §8.4 rule 3.
                count(&mut counters.sctp_out_of_the_blue);
                self.refuse(init.initiate_tag, Cause::OutOfResource, counters);
                return Step::Stop;
            }
        };
        let cookie = self.cookies.make(&Cookie {
            created: self.cookies.time(now),
            local,
            peer: offer.peer,
            ties,
        });
        let mut more = vec![Parameter::StateCookie(&cookie)];
        more.extend(
            offer
                .unrecognized
                .iter()
                .map(|raw| Parameter::Unrecognized(raw.bytes())),
        );
        let config = self.config.clone();
        init::with_ours(&config, local, &more, |ours| {
            self.answer(init.initiate_tag, &Chunk::InitAck(ours), counters);
        });
        Step::Stop
    }

    /// RFC 9260 §5.1 C, §3.3.3.
    fn handle_init_ack(&mut self, now: Instant, init: &Init<'_>, counters: &mut Counters) -> Step {
        if self.has_crossed(State::CookieWait) {
            return Step::Stop;
        }
        if self.state != State::CookieWait {
            // RFC 9260 §5.2.3.
            return out_of_turn(Step::Stop, counters);
        }
        let offer = match init::read(&self.config, init) {
            Ok(offer) => offer,
            Err(fault) => {
                count(&mut counters.sctp_bad_inits);
                match fault {
                    // No state changes for this one.
                    UnusableInit::SmallWindow => {
                        self.refuse(init.initiate_tag, fault.cause(), counters);
                        return Step::Stop;
                    }
                    UnusableInit::NoTag => self.abort_with(self.packet_tag, true, fault.cause()),
                    _ => self.abort_with(init.initiate_tag, false, fault.cause()),
                }
                self.end();
                return Step::Closed(CloseReason::ProtocolViolation(fault.rule()));
            }
        };
        let Some(cookie) = offer.cookie else {
            count(&mut counters.sctp_bad_inits);
            let missing = [ParameterType::STATE_COOKIE];
            let cause = Cause::MissingMandatoryParameter(List::new(&missing));
            self.abort_with(init.initiate_tag, false, cause);
            self.end();
            return Step::Closed(CloseReason::ProtocolViolation("an INIT ACK has a State Cookie"));
        };
        self.peer = Some(offer.peer);
        if cookie.len() > self.longest_cookie() {
            let reason = CloseReason::TooMuch("a State Cookie comes back in one packet");
            self.close(&reason);
            return Step::Closed(reason);
        }
        self.peer_cookie.clear();
        self.peer_cookie.extend_from_slice(cookie);
        self.report.clear();
        for raw in &offer.unrecognized {
            // Each is padded, but for the last one.
            let filled = self.report.len().saturating_add(padding(self.report.len()));
            self.report.resize(filled, 0);
            self.report.extend_from_slice(raw.bytes());
        }
        self.state = State::CookieEchoed;
        self.due = true;
        self.start_t1(now);
        Step::Stop
    }

    /// RFC 9260 §5.1.5, §5.2.4.
    fn handle_cookie_echo(&mut self, now: Instant, bytes: &[u8], counters: &mut Counters) -> Step {
        let cookie = self
            .cookies
            .open(bytes)
            .filter(|cookie| cookie.local.tag == self.packet_tag);
        let Some(cookie) = cookie else {
            count(&mut counters.sctp_forged_cookies);
            return Step::Stop;
        };
        let local_matches = cookie.local.tag == self.local.tag;
        let peer_matches = self.peer.is_some_and(|peer| peer.tag == cookie.peer.tag);
        let age = self.cookies.time(now).saturating_sub(cookie.created);
        let staleness = age.saturating_sub(micros(self.config.cookie_life));
        if staleness > 0 && !(local_matches && peer_matches) {
            count(&mut counters.sctp_stale_cookies);
            let causes = [Cause::StaleCookie(u32::try_from(staleness).unwrap_or(u32::MAX))];
            self.answer(cookie.peer.tag, &error(&causes), counters);
            return Step::Stop;
        }
        let is_up = !matches!(self.state, State::Closed | State::CookieWait | State::CookieEchoed);
        match (local_matches, peer_matches) {
            // D, and the peer has missed the COOKIE ACK.
            (true, true) if is_up => {
                self.cookie_ack_due = true;
                Step::Continue
            }
            // The first one of all, B or D.
            (true, _) if !is_up => {
                self.crossed = Some(self.state);
                self.open(Some(cookie.peer));
                self.cookie_ack_due = true;
                Step::Established
            }
            // B while we are up: the peer has answered an INIT ACK of before with another tag. It knows nothing of what
            // was sent since, so that this is A with our old tag.
            (true, _) => self.restart(&cookie),
            // A.
            (false, false) if is_up && cookie.ties == self.ties => self.restart(&cookie),
            // C, and those that are not in table 12.
            (false, _) => out_of_turn(Step::Stop, counters),
        }
    }

    /// RFC 9260 §5.2.4 A.
    fn restart(&mut self, cookie: &Cookie) -> Step {
        if self.state == State::ShutdownAckSent {
            self.due = true;
            self.refusal_due = true;
            return Step::Stop;
        }
        self.local = cookie.local;
        self.ties = draw_ties(&mut self.rng);
        self.open(Some(cookie.peer));
        self.cookie_ack_due = true;
        Step::Restarted
    }

    /// RFC 9260 §9.1, §3.3.7.
    fn handle_abort(&mut self, abort: &Abort<'_>, counters: &mut Counters) -> Step {
        if !self.tag_is_right(abort.reflected) {
            count(&mut counters.sctp_wrong_tag);
            return Step::Stop;
        }
        let mut first = None;
        for cause in abort.causes {
            let Ok(cause) = cause else {
                count(&mut counters.sctp_malformed);
                return Step::Stop;
            };
            first = first.or(Some(cause));
        }
        let text = match first {
            Some(Cause::UserInitiatedAbort(text) | Cause::ProtocolViolation(text)) => text,
            _ => &[],
        };
        self.end();
        Step::Closed(CloseReason::AbortedByPeer {
            cause: first.map(|cause| cause.code()),
            text: readable(text),
        })
    }

    /// RFC 9260 §9.2.
    fn handle_shutdown(&mut self, now: Instant, cumulative_tsn_ack: u32, counters: &mut Counters) -> Step {
        match self.state {
            State::Established | State::ShutdownPending | State::ShutdownReceived => {
                self.state = State::ShutdownReceived;
                Step::PeerShutsDown { cumulative_tsn_ack }
            }
            State::ShutdownSent => {
                self.state = State::ShutdownAckSent;
                self.due = true;
                self.timer = Timer::start(now, self.rto);
                Step::Continue
            }
            State::ShutdownAckSent => {
                self.due = true;
                Step::Continue
            }
            State::Closed | State::CookieWait | State::CookieEchoed | State::Ended => {
                out_of_turn(Step::Continue, counters)
            }
        }
    }

    /// RFC 9260 §9.2, §8.5.1 C and E.
    fn handle_shutdown_ack(&mut self, counters: &mut Counters) -> Step {
        match (self.state, self.peer) {
            (State::ShutdownSent | State::ShutdownAckSent, Some(Peer { tag, .. })) => {
                self.set_reply(tag, &Chunk::ShutdownComplete { reflected: false });
                self.end();
                Step::Closed(CloseReason::Shutdown)
            }
            (State::CookieWait | State::CookieEchoed, _) => {
                count(&mut counters.sctp_out_of_the_blue);
                self.complete_foreign_shutdown(counters);
                Step::Stop
            }
            _ => out_of_turn(Step::Continue, counters),
        }
    }

    /// RFC 9260 §9.2, §8.5.1 C.
    fn handle_shutdown_complete(&mut self, reflected: bool, counters: &mut Counters) -> Step {
        if !self.tag_is_right(reflected) {
            count(&mut counters.sctp_wrong_tag);
            return Step::Stop;
        }
        if self.state != State::ShutdownAckSent {
            return out_of_turn(Step::Stop, counters);
        }
        self.end();
        Step::Closed(CloseReason::Shutdown)
    }

    /// RFC 9260 §5.2.6, the first of its ways.
    fn handle_error(&mut self, now: Instant, causes: &Causes<'_>) -> Step {
        let is_stale = causes
            .iter()
            .flatten()
            .any(|cause| matches!(cause, Cause::StaleCookie(_)));
        if !is_stale || self.state != State::CookieEchoed {
            return Step::Continue;
        }
        // A peer whose cookies are all stale is none.
        self.stale_cookies = self.stale_cookies.saturating_add(1);
        if self.stale_cookies > self.config.max_retransmissions {
            self.end();
            return Step::Closed(CloseReason::NoAnswer);
        }
        self.send_init(now);
        Step::Stop
    }

    /// Answers an INIT or INIT ACK by ABORT, without any change.
    fn refuse(&mut self, initiate_tag: u32, cause: Cause<'_>, counters: &mut Counters) {
        let causes = [cause];
        let abort = Abort {
            reflected: false,
            causes: Causes::new(&causes),
        };
        self.answer(initiate_tag, &Chunk::Abort(abort), counters);
    }
}

impl Setup {
    /// Whether this is what our own set-up still had to get, in the state in which that of the peer's has overtaken it.
    fn has_crossed(&mut self, in_state: State) -> bool {
        self.crossed.take_if(|state| *state == in_state).is_some()
    }
}

fn out_of_turn(step: Step, counters: &mut Counters) -> Step {
    count(&mut counters.sctp_out_of_turn);
    step
}

/// The beginning of a text of the peer's.
fn readable(text: &[u8]) -> String {
    let beginning = text.get(..TEXT_LEN).unwrap_or(text);
    let mut text = String::from_utf8_lossy(beginning).into_owned();
    while text.len() > TEXT_LEN {
        text.pop();
    }
    text
}
