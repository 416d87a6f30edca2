//! How a peer ends.

use std::time::{Duration, Instant};

use super::Peer;
use crate::timers::Timers;
use crate::{CloseReason, Event, State, Timer};

/// Commands.
impl Peer {
    /// Says goodbye: BYE for everything that was sent, then close_notify. They are still to be polled. What waits on data
    /// channels is lost: [`close_gracefully`](Self::close_gracefully) waits for it.
    pub fn close(&mut self, now: Instant) {
        let _ = now;
        if self.state == State::Closed {
            return;
        }
        if self.srtp.is_some() {
            self.outbox.say_goodbye(self.senders.used_ssrcs());
        }
        if let Some(dtls) = &mut self.dtls {
            dtls.close();
        }
        self.end(CloseReason::Local);
    }

    /// Closes when all that both ends have accepted on data channels is acknowledged: SCTP is shut down (RFC 9260 §9.2), and
    /// then all is as with [`close`](Self::close). That is done after `limit` at the latest, or when the other end has not sent
    /// all within five times [`max_rto`](crate::SctpConfig::max_rto) since SHUTDOWN (RFC 9260 §9.2; 50 s by default), and at once where
    /// nothing waits and there is no SCTP. Until then media goes on and messages come; nothing is sent on channels any more but
    /// what was accepted, and a message in parts that has not ended is given up.
    ///
    /// The other end is told [`Event::DataClosed`] with [`DataCloseReason::Shutdown`](crate::DataCloseReason::Shutdown), then
    /// [`Event::Closed`]. Called again, it sets another limit.
    pub fn close_gracefully(&mut self, now: Instant, limit: Duration) {
        if self.state == State::Closed {
            return;
        }
        if !self.finish_data(now) {
            return self.close(now);
        }
        // Without a time that can be told it is as long as the peer lives.
        self.timers.set(Timer::Close, now.checked_add(limit));
    }

    pub(super) fn end(&mut self, reason: CloseReason) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.timers = Timers::default();
            (self.early, self.unanswered) = Default::default();
            self.outbox.finish();
            if let Some(names) = &mut self.names {
                names.close();
            }
            self.events.push_back(Event::Closed { reason });
        }
    }
}
