//! What is said after a handshake of DTLS 1.3: new keys (RFC 9147 §8), connection IDs (RFC 9147 §9), tickets.

use std::time::Instant;

use wire::Reader;

use crate::dtls::{Dtls, Role, State};
use crate::event::CloseReason;
use crate::handshake::Fragment;
use crate::negotiation::malformed;
use crate::reassembly::Message;
use crate::receive::Origin;
use crate::registry::HandshakeType;
use crate::session::Secrets;
use crate::v13::{
    self, FIRST_APPLICATION_EPOCH, KeyUpdate, NewConnectionId, NewSessionTicket, RequestConnectionId, received_ticket,
};

impl Dtls {
    // The peer's messages

    /// Handshake messages after a handshake of DTLS 1.3: parts of the handshake again, new tickets, new keys. Each record
    /// is acknowledged (RFC 9147 §7).
    pub(crate) fn handle_post_handshake(&mut self, now: Instant, origin: Origin, body: &[u8]) {
        let mut r = Reader::new(body);
        let mut taken = true;
        loop {
            let Ok(fragment) = Fragment::read(&mut r) else {
                self.counters.malformed_fragments += 1;
                return;
            };
            let message_seq = u32::from(fragment.header.message_seq);
            let is_new = message_seq >= self.reassembler.next_seq();
            if is_new && origin.epoch < FIRST_APPLICATION_EPOCH {
                self.counters.misprotected_messages += 1;
                taken = false;
            } else if message_seq > self.reassembler.next_seq() {
                // Not before its turn: what is acknowledged takes effect for the peer at once.
                taken = false;
            } else {
                taken &= self.handle_fragment(now, origin.epoch, &fragment);
                // Before the next fragment: it may be the next message, of the same flight (RFC 9147 §5.5).
                if let Err(reason) = self.take_post_handshakes(origin.epoch) {
                    self.end(reason);
                    return;
                }
            }
            if r.is_empty() {
                break;
            }
        }
        // The server's flight, once more, is answered by ours, as long as that is not acknowledged.
        let answered =
            self.role == Role::Client && origin.epoch < FIRST_APPLICATION_EPOCH && !self.association.flight.is_empty();
        if taken && !answered {
            self.association.received.note(origin.number);
            self.association.received.due = true;
        }
    }

    fn take_post_handshakes(&mut self, epoch: u16) -> Result<(), CloseReason> {
        while let Some(message) = self.reassembler.take() {
            self.take_post_handshake(epoch, &message)?;
        }
        Ok(())
    }

    fn take_post_handshake(&mut self, epoch: u16, message: &Message) -> Result<(), CloseReason> {
        match message.message_type {
            HandshakeType::NEW_SESSION_TICKET if self.role == Role::Client => self.take_ticket(message),
            HandshakeType::KEY_UPDATE => {
                let update = KeyUpdate::parse(&message.body).map_err(malformed(message.message_type))?;
                let (State::Unproven(session) | State::Connected(session, _)) = &mut self.state else {
                    return Ok(());
                };
                let Secrets::V13(secrets) = &mut session.secrets else {
                    return Ok(());
                };
                // RFC 9147 §8: an update comes with the latest keys, since the one before was acknowledged. So keys do not
                // pile up.
                if epoch != self.association.records.highest_opening_epoch() {
                    return Err(CloseReason::UnexpectedMessage(message.message_type));
                }
                let epoch = epoch.checked_add(1).ok_or(CloseReason::Internal)?;
                let keys = secrets.next_opening(epoch).map_err(|_| CloseReason::Internal)?;
                self.association.records.install_opening(epoch, keys);
                if update.requested {
                    self.want_update(KeyUpdate { requested: false });
                }
                Ok(())
            }
            // RFC 9147 §9: not when the peer has to send without ids, or we have to.
            HandshakeType::REQUEST_CONNECTION_ID if self.association.ids.may_be_requested() => {
                let request = RequestConnectionId::parse(&message.body).map_err(malformed(message.message_type))?;
                self.association.ids.owe(request.count);
                self.say_next();
                Ok(())
            }
            HandshakeType::NEW_CONNECTION_ID if !self.association.records.peer_id().is_empty() => {
                let new = NewConnectionId::parse(&message.body).map_err(malformed(message.message_type))?;
                self.association.take_new_ids(&new)?;
                self.say_next();
                Ok(())
            }
            message_type => Err(CloseReason::UnexpectedMessage(message_type)),
        }
    }

    /// Takes a ticket, and keeps it where that is wanted.
    fn take_ticket(&mut self, message: &Message) -> Result<(), CloseReason> {
        let (State::Unproven(session) | State::Connected(session, _)) = &self.state else {
            return Ok(());
        };
        let Some(resumable) = session.secrets.resumable() else {
            return Ok(());
        };
        let ticket = NewSessionTicket::parse(&message.body).map_err(malformed(message.message_type))?;
        if let Some(ticket) = received_ticket(&self.association, resumable, &ticket) {
            self.sessions.keep(ticket);
        }
        Ok(())
    }

    // Ours

    /// Starts a change of keys before the present ones have sealed too much (RFC 9147 §4.5.3). The mark may be passed by
    /// a record that is not application data, so every one behind it counts, as long as no change is under way.
    pub(crate) fn update_keys_in_time(&mut self) {
        if let State::Connected(session, _) = &self.state
            && let Secrets::V13(secrets) = &session.secrets
            && !secrets.updating
            && self.association.records.left(session.epoch) <= Self::UPDATE_WITH_LEFT
        {
            self.want_update(KeyUpdate { requested: true });
        }
    }

    /// Asks the peer for new keys before too many records were forged for the present ones (RFC 9147 §4.5.3).
    pub(crate) fn replace_forged_keys(&mut self) {
        if matches!(self.state, State::Unproven(_) | State::Connected(..))
            && self.association.records.should_ask_for_next()
        {
            self.want_update(KeyUpdate { requested: true });
        }
    }

    /// With so many records left, keys are changed: at the highest rates some minutes before they are used up.
    pub(crate) const UPDATE_WITH_LEFT: u64 = 1 << 23;

    /// Says that our keys change, as soon as nothing of ours waits for an acknowledgement and the peer is proven.
    pub(crate) fn want_update(&mut self, update: KeyUpdate) {
        if let Some(secrets) = self.secrets_13() {
            let requested = update.requested || secrets.wanted.is_some_and(|wanted| wanted.requested);
            secrets.wanted = Some(KeyUpdate { requested });
            self.say_next();
        }
    }

    /// Says the next thing that waits, if nothing of ours waits for an acknowledgement and the peer is proven. One message is on
    /// its way at a time, of tickets all. Behind [tickets that are left](Self::leave_tickets) it is said with them: the peer takes
    /// messages in their order.
    pub(crate) fn say_next(&mut self) {
        let State::Connected(session, _) = &mut self.state else {
            return;
        };
        let Secrets::V13(secrets) = &mut session.secrets else {
            return;
        };
        if secrets.updating || !(self.association.flight.is_empty() || secrets.tickets_left) {
            return;
        }
        if !self.association.has_message_numbers() {
            return;
        }
        let update = secrets.wanted.take().filter(|_| session.epoch < u16::MAX);
        secrets.updating = update.is_some();
        let update = update.map(|update| (HandshakeType::KEY_UPDATE, vec![u8::from(update.requested)]));
        let next = update.or_else(|| self.association.next_about_ids());
        let mut messages: Vec<_> = next.into_iter().collect();
        if let (true, false, Some(resumable)) = (messages.is_empty(), secrets.tickets_left, &mut secrets.resumable) {
            messages = self.association.new_tickets(resumable);
            secrets.giving_tickets = !messages.is_empty();
        }
        if !messages.is_empty() {
            secrets.tickets_left = false;
            // A message of the peer's may have started the clock, which was for that.
            self.association.timer.stop();
            self.association.timer.begin_flight();
            for (message_type, body) in messages {
                self.association.say_unrecorded(message_type, body);
            }
            self.association.send_flight();
        }
    }

    /// Whether our tickets wait for their acknowledgement, without which the connection is as good.
    pub(crate) const fn is_giving_tickets(&self) -> bool {
        match &self.state {
            State::Connected(session, _) => matches!(&session.secrets, Secrets::V13(secrets) if secrets.giving_tickets),
            _ => false,
        }
    }

    /// Our tickets were not acknowledged in time, which is no loss: they are sent no more for their own sake. What waited for
    /// that has its turn.
    pub(crate) fn leave_tickets(&mut self) {
        if let Some(secrets) = self.secrets_13() {
            secrets.tickets_left = true;
            self.say_next();
        }
    }

    /// Whether a message of ours waits for its acknowledgement: without that neither keys nor ids come into use (RFC 9147 §8,
    /// §9).
    pub(crate) fn awaits_acknowledgement(&self) -> bool {
        match &self.state {
            State::Connected(session, _) => {
                let updating = matches!(&session.secrets, Secrets::V13(secrets) if secrets.updating);
                updating || self.association.ids.is_saying()
            }
            _ => false,
        }
    }

    const fn secrets_13(&mut self) -> Option<&mut v13::Secrets> {
        match &mut self.state {
            State::Connected(session, _) | State::Unproven(session) => match &mut session.secrets {
                Secrets::V13(secrets) => Some(secrets),
                Secrets::V12(_) => None,
            },
            State::Handshaking(_) | State::Closed(_) => None,
        }
    }

    /// All that we have sent is acknowledged: keys that were announced come into use (RFC 9147 §8), and what waits is said.
    pub(crate) fn flight_acknowledged(&mut self) {
        self.association.flight.clear();
        self.association.timer.stop_retransmitting();
        let State::Connected(session, _) = &mut self.state else {
            return;
        };
        self.association.timer.stop();
        let Secrets::V13(secrets) = &mut session.secrets else {
            return;
        };
        (secrets.giving_tickets, secrets.tickets_left) = (false, false);
        if std::mem::take(&mut secrets.updating) {
            let epoch = session.epoch.saturating_add(1);
            let Ok(keys) = secrets.next_sealing(epoch) else {
                return self.end(CloseReason::Internal);
            };
            self.association.records.install_sealing(epoch, keys);
            self.association.records.retire_sealing(epoch);
            session.epoch = epoch;
            self.association.write_epoch = epoch;
        }
        self.association.ids.said();
        self.say_next();
    }
}
