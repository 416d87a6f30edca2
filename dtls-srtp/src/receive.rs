//! What a connection does with the peer's datagrams.

use std::time::Instant;

use wire::{Full, Reader, Writer};

use crate::alert::{Alert, AlertLevel};
use crate::connection_id::{ConnectionIds, carries_id};
use crate::dtls::{Dtls, Handshake, Role, State};
use crate::early::{EarlyEpoch, EarlyItem};
use crate::event::CloseReason;
use crate::flight::Acknowledgement;
use crate::handshake::Fragment;
use crate::offer::{Accepted, Answer, accept};
use crate::reassembly::{Message, Pushed};
use crate::record::{Parts, RecordHeader, split_record_with_id};
use crate::records::Opened;
use crate::registry::{AlertDescription, ContentType, HandshakeType};
use crate::session::Secrets;
use crate::v13::{Ack, FIRST_APPLICATION_EPOCH, HANDSHAKE_EPOCH, RecordNumber, UnifiedHeader, split_unified};

/// A record whose epoch is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) epoch: u16,
    pub(crate) number: RecordNumber,
}

/// What of a datagram is left behind a record that is not for us: nothing when it is another connection's (RFC 9147 §4).
const fn behind_misidentified<'a>(id: &[u8], rest: &'a mut [u8]) -> &'a mut [u8] {
    if id.is_empty() { rest } else { &mut [] }
}

impl Dtls {
    /// Takes a datagram of the peer's. Application data is lent to `sink`, decrypted in place, message by message.
    ///
    /// Data that came before the connection was established is kept within a budget and lent at the first call after;
    /// an empty datagram fetches it when the fingerprints, or the word of who decides, came last.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8], sink: &mut dyn FnMut(&mut [u8])) {
        self.association.now = now;
        self.handle_early(now, sink);
        if let State::Closed(reason) = self.state {
            // After our own goodbye the peer's answer is on its way, and what it sent before it knew.
            if reason != CloseReason::Local && !datagram.is_empty() {
                self.counters.datagrams_after_close += 1;
            }
            return;
        }
        if self.cookie_exchange.is_some() {
            self.handle_stranger(now, datagram);
            return;
        }
        let watch = self.watch();
        let mut rest = datagram;
        while !rest.is_empty() && !self.is_closed() {
            let Some(tail) = self.handle_record(now, rest, sink) else {
                self.counters.malformed_records += 1;
                break;
            };
            rest = tail;
        }
        self.judge(watch);
        self.handle_early(now, sink);
    }

    // Records

    /// Takes the first record of a datagram and returns what follows; `None` when it cannot be found.
    fn handle_record<'a>(
        &mut self,
        now: Instant,
        datagram: &'a mut [u8],
        sink: &mut dyn FnMut(&mut [u8]),
    ) -> Option<&'a mut [u8]> {
        let first = *datagram.first()?;
        let id_len = self.association.ids.own_len();
        if carries_id(first) && id_len == 0 {
            // Where it ends is not known.
            self.counters.misidentified_records += 1;
            return Some(&mut []);
        }
        if UnifiedHeader::begins(first) {
            let (record, rest) = split_unified(datagram, id_len).ok()?;
            if self.is_misidentified(record.id) {
                return Some(behind_misidentified(record.id, rest));
            }
            self.handle_unified(now, record, sink);
            return Some(rest);
        }
        let (record, rest) = split_record_with_id(datagram, id_len).ok()?;
        let Parts { header, id, body } = record;
        let origin = Origin {
            epoch: header.epoch,
            number: RecordNumber {
                epoch: u64::from(header.epoch),
                sequence: header.sequence,
            },
        };
        if header.epoch == 0 {
            self.handle_unprotected(now, origin, header.content_type, body);
        } else if self.is_misidentified(id) {
            return Some(behind_misidentified(id, rest));
        } else if self.is_early(header.epoch) {
            let epoch = EarlyEpoch::Whole(header.epoch);
            self.keep_record(epoch, body, |w| header.write_with_id(w, id));
        } else {
            let opened = self.association.records.open(Parts { header, id, body });
            self.handle_opened(now, id, opened, sink);
        }
        Some(rest)
    }

    /// Whether a protected record with this connection ID, or with an empty one for none, is not for us; counts it.
    fn is_misidentified(&mut self, id: &[u8]) -> bool {
        let refused = self.association.ids.refuses(id);
        self.counters.misidentified_records += u64::from(refused);
        refused
    }

    /// Keeps a record whose keys are not there yet.
    fn keep_record(&mut self, epoch: EarlyEpoch, body: &[u8], head: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) {
        let mut room = [0; RecordHeader::LEN + ConnectionIds::MAX_LEN];
        let mut w = Writer::new(&mut room);
        if head(&mut w).is_ok() {
            let record = [w.written(), body].concat();
            self.keep(EarlyItem::Record(epoch, record));
        }
    }

    fn handle_unified(&mut self, now: Instant, record: Parts<'_, UnifiedHeader>, sink: &mut dyn FnMut(&mut [u8])) {
        let Parts { header, id, .. } = record;
        let awaited =
            |state: &State| matches!(state, State::Handshaking(handshake) if handshake.awaits_bits(header.epoch_bits));
        if self.association.records.can_open_bits(header.epoch_bits) {
            let opened = self.association.records.open_unified(record);
            self.handle_opened(now, id, opened, sink);
        } else if awaited(&self.state) {
            let epoch = EarlyEpoch::Bits(header.epoch_bits);
            self.keep_record(epoch, record.body, |w| header.write_with_id(w, id));
            // The message that gives the keys is late or lost: an acknowledgement tells the peer (RFC 9147 §7.1).
            self.association.timer.acknowledge_later(now);
        } else {
            self.counters.stale_epoch_records += 1;
        }
    }

    fn handle_opened(&mut self, now: Instant, id: &[u8], opened: Opened<'_>, sink: &mut dyn FnMut(&mut [u8])) {
        match opened {
            Opened::Content {
                content_type,
                epoch,
                number,
                content,
            } => {
                self.authentic_records += 1;
                self.heard |= epoch >= FIRST_APPLICATION_EPOCH;
                self.note_newest(id, number);
                self.handle_protected(now, Origin { epoch, number }, content_type, content, sink);
            }
            Opened::TooLong => {
                self.authentic_records += 1;
                self.counters.overlong_records += 1;
            }
            Opened::Replayed => self.counters.replayed_records += 1,
            Opened::NotAuthentic => {
                self.counters.unauthenticated_records += 1;
                self.replace_forged_keys();
            }
            Opened::TooManyForgeries(epoch) => {
                self.counters.unauthenticated_records += 1;
                // Once new keys are there the old ones may go (RFC 9147 §4.5.3); a handshake needs all of its own.
                if matches!(self.state, State::Handshaking(_)) || !self.association.records.retire_opening(epoch) {
                    self.end(CloseReason::TooManyForgeries);
                }
            }
            Opened::NoKeys => self.counters.stale_epoch_records += 1,
        }
    }

    /// An authentic record had this number, and this connection ID.
    fn note_newest(&mut self, id: &[u8], number: RecordNumber) {
        if self.newest.is_none_or(|newest| number > newest) {
            self.newest = Some(number);
            if !id.is_empty() {
                self.association.ids.used(id);
                self.newer_records += 1;
            }
        }
    }

    /// Whether a protected record of DTLS 1.2 has to wait for its keys, because the network reordered it.
    fn is_early(&self, epoch: u16) -> bool {
        let State::Handshaking(handshake) = &self.state else {
            return false;
        };
        let next = self.association.records.highest_opening_epoch().saturating_add(1);
        epoch == next && next <= handshake.highest_epoch()
    }

    fn keep(&mut self, item: EarlyItem) {
        if !self.early.keep(item) {
            self.counters.early_records_dropped += 1;
        }
    }

    /// Takes up what was kept and need not wait any more.
    fn handle_early(&mut self, now: Instant, sink: &mut dyn FnMut(&mut [u8])) {
        while !self.early.is_empty() && !self.is_closed() {
            let connected = self.is_connected();
            let records = &self.association.records;
            let ready = |item: &EarlyItem| match item {
                EarlyItem::Record(EarlyEpoch::Whole(epoch), _) => records.can_open(*epoch),
                EarlyItem::Record(EarlyEpoch::Bits(bits), _) => records.can_open_bits(*bits),
                EarlyItem::Data(_) => connected,
            };
            match self.early.take(ready) {
                None => return,
                Some(EarlyItem::Data(mut data)) => sink(&mut data),
                Some(EarlyItem::Record(_, mut record)) => {
                    // The datagram of the moment has not brought it.
                    let newer_records = self.newer_records;
                    self.handle_record(now, &mut record, sink);
                    self.newer_records = newer_records;
                }
            }
        }
    }

    fn handle_unprotected(&mut self, now: Instant, origin: Origin, content_type: ContentType, body: &[u8]) {
        let handshaking = matches!(self.state, State::Handshaking(_));
        match content_type {
            ContentType::HANDSHAKE if handshaking => self.handle_fragments(now, origin, body),
            ContentType::ALERT if matches!(&self.state, State::Handshaking(handshake) if handshake.takes_plain_alerts(self.authentic_records)) =>
            {
                self.handle_alert(body);
            }
            ContentType::ALERT => self.counters.unprotected_alerts += 1,
            ContentType::APPLICATION_DATA => self.counters.unprotected_application_data += 1,
            // Nobody waits for a ChangeCipherSpec: the epoch in the header of the next record says the same, and
            // cannot be lost or reordered on its own.
            ContentType::CHANGE_CIPHER_SPEC if body == [1] => {}
            ContentType::CHANGE_CIPHER_SPEC => self.counters.malformed_change_cipher_specs += 1,
            ContentType::HANDSHAKE => self.counters.stale_epoch_records += 1,
            ContentType::ACK => {
                // Anybody can write this, so it acknowledges nothing; that something is missing may be true.
                self.counters.unprotected_acks += 1;
                let expected = matches!(&self.state, State::Handshaking(handshake) if handshake.may_be_13());
                if expected
                    && Ack::parse(body).is_ok()
                    && self.has_not_crossed(now)
                    && self.association.flight.may_be_hastened()
                {
                    self.repeat_flight();
                }
            }
            _ => self.counters.unknown_content_types += 1,
        }
    }

    fn handle_protected(
        &mut self,
        now: Instant,
        origin: Origin,
        content_type: ContentType,
        content: &mut [u8],
        sink: &mut dyn FnMut(&mut [u8]),
    ) {
        let is_13 = self.is_13();
        match content_type {
            ContentType::APPLICATION_DATA if is_13 && origin.epoch < FIRST_APPLICATION_EPOCH => {
                self.counters.unknown_content_types += 1;
            }
            ContentType::APPLICATION_DATA if self.is_connected() => sink(content),
            ContentType::APPLICATION_DATA => self.keep(EarlyItem::Data(content.to_vec())),
            ContentType::ALERT => self.handle_alert(content),
            ContentType::HANDSHAKE if matches!(self.state, State::Handshaking(_)) => {
                self.handle_fragments(now, origin, content);
            }
            ContentType::HANDSHAKE if is_13 => self.handle_post_handshake(now, origin, content),
            ContentType::HANDSHAKE => self.handle_late_handshake(now, content),
            ContentType::ACK if is_13 => self.handle_acknowledgement(now, content),
            ContentType::CHANGE_CIPHER_SPEC => self.counters.malformed_change_cipher_specs += 1,
            _ => self.counters.unknown_content_types += 1,
        }
    }

    fn handle_alert(&mut self, body: &[u8]) {
        let parsed = if self.is_13() {
            Alert::parse_13(body)
        } else {
            Alert::parse(body)
        };
        match parsed {
            None => self.counters.malformed_alerts += 1,
            Some(alert) if alert.description == AlertDescription::CLOSE_NOTIFY => self.end(CloseReason::Peer),
            Some(Alert {
                level: AlertLevel::Fatal,
                description,
            }) => self.end(CloseReason::Alert(description)),
            Some(Alert {
                level: AlertLevel::Warning,
                ..
            }) => self.counters.warning_alerts += 1,
        }
    }

    fn handle_acknowledgement(&mut self, now: Instant, body: &[u8]) {
        let Ok(ack) = Ack::parse(body) else {
            self.counters.malformed_acks += 1;
            return;
        };
        let nothing = ack.iter().next().is_none();
        match self.association.flight.acknowledge(ack.iter()) {
            Acknowledgement::Known if nothing => self.repeat_unless_crossed(now),
            Acknowledgement::Known => {}
            Acknowledgement::Part => self.repeat_unless_crossed(now),
            // What answers the flight is still to come.
            Acknowledgement::Complete if matches!(self.state, State::Handshaking(_)) => {
                self.association.timer.stop_retransmitting();
            }
            Acknowledgement::Complete => self.flight_acknowledged(),
        }
    }

    // Handshake messages

    fn handle_fragments(&mut self, now: Instant, origin: Origin, body: &[u8]) {
        let mut r = Reader::new(body);
        let mut taken = true;
        // RFC 5246 §6.2.1: no empty fragments of handshake, so an empty record is malformed too.
        loop {
            let Ok(fragment) = Fragment::read(&mut r) else {
                self.counters.malformed_fragments += 1;
                return;
            };
            taken &= self.handle_fragment(now, origin.epoch, &fragment);
            if r.is_empty() {
                break;
            }
        }
        // RFC 9147 §7: a record is acknowledged when all of it was taken. A client's hellos are answered or repeated.
        if taken && (self.role == Role::Client || origin.epoch > 0) {
            self.association.received.note(origin.number);
        }
        self.handle_messages();
        let offered = matches!(self.state, State::Handshaking(Handshake::Offer(_)));
        let waiting = self.is_13() || (offered && self.early.has_13());
        if waiting && matches!(self.state, State::Handshaking(_)) && !self.association.received.is_empty() {
            self.association.timer.acknowledge_later(now);
        }
    }

    /// Takes a fragment; whether it, or a copy of it, is kept or was used.
    pub(crate) fn handle_fragment(&mut self, now: Instant, epoch: u16, fragment: &Fragment<'_>) -> bool {
        if self.is_misprotected(epoch, fragment) {
            self.counters.misprotected_messages += 1;
            return false;
        }
        let pushed = self.reassembler.push(fragment);
        let brings = !fragment.body.is_empty() || fragment.header.length == 0;
        let is_here = matches!(pushed, Pushed::Kept | Pushed::KeptInstead | Pushed::Repeated);
        self.taken_fragments = self.taken_fragments.saturating_add(u64::from(is_here && brings));
        match pushed {
            Pushed::Kept => self.association.start_clock(now),
            Pushed::KeptInstead => {
                self.counters.fragments_beyond_budget += 1;
                self.association.start_clock(now);
            }
            Pushed::Repeated => self.counters.repeated_fragments += 1,
            Pushed::Stale => {
                self.counters.repeated_fragments += 1;
                self.handle_repeated(now, fragment);
            }
            Pushed::Inconsistent => {
                self.counters.inconsistent_fragments += 1;
                return false;
            }
            Pushed::TooLong => {
                self.counters.oversized_messages += 1;
                return false;
            }
            Pushed::NoRoom => {
                self.counters.fragments_beyond_budget += 1;
                return false;
            }
        }
        true
    }

    /// Whether a fragment of the handshake came with protection where none is due, or without where it is: a forged one
    /// in the clear must not take the place of the real one.
    fn is_misprotected(&self, epoch: u16, fragment: &Fragment<'_>) -> bool {
        let finished = fragment.header.message_type == HandshakeType::FINISHED;
        let in_the_clear = epoch == 0;
        let is_new = u32::from(fragment.header.message_seq) >= self.reassembler.next_seq();
        match &self.state {
            State::Handshaking(Handshake::Offer(_) | Handshake::Listening) => !in_the_clear || finished,
            // In DTLS 1.2 Finished is the only protected message until the handshake is over.
            State::Handshaking(Handshake::Client12(_) | Handshake::Server12(_)) => finished == in_the_clear,
            State::Handshaking(Handshake::Server13(server)) if server.awaits_hello() => !in_the_clear,
            // In DTLS 1.3 all that follows a ServerHello is protected with the keys of the handshake; what came before it may
            // be repeated. A KeyUpdate that has overtaken the Finished comes again.
            State::Handshaking(_) => is_new && epoch != HANDSHAKE_EPOCH,
            _ => in_the_clear && is_new,
        }
    }

    /// The end of the peer's last flight came again: it has not seen ours (RFC 6347 §4.2.4). Ours is sent again, unless
    /// it left so recently that the two may have crossed.
    fn handle_repeated(&mut self, now: Instant, fragment: &Fragment<'_>) {
        let ends_flight =
            fragment.header.is_last() && u32::from(fragment.header.message_seq) + 1 == self.reassembler.next_seq();
        let quiet = self.association.timer.interval() / 2;
        if ends_flight
            && self
                .flight_sent_at
                .is_some_and(|at| now.saturating_duration_since(at) >= quiet)
        {
            self.repeat_flight();
        }
    }

    /// Something of our flight is missing over there: it is sent again, unless it left so recently that this news must
    /// be older.
    fn repeat_unless_crossed(&mut self, now: Instant) {
        if self.has_not_crossed(now) {
            self.repeat_flight();
        }
    }

    fn has_not_crossed(&self, now: Instant) -> bool {
        let quiet = self.association.timer.interval() / 4;
        self.flight_sent_at
            .is_some_and(|at| now.saturating_duration_since(at) >= quiet)
    }

    /// Sends our flight again; one that is still to leave is on its way already.
    pub(crate) fn repeat_flight(&mut self) {
        if !self.association.flight.has_left() {
            return;
        }
        self.association.flight.send();
        if self.association.flight.is_pending() {
            self.counters.retransmitted_flights += 1;
        }
    }

    /// The clock has run out while the rest of the peer's flight is awaited: the acknowledgement of its beginning may be
    /// lost.
    pub(crate) fn acknowledge_again(&mut self, now: Instant) {
        if self.is_13() && matches!(self.state, State::Handshaking(_)) && self.association.flight.is_empty() {
            self.association.received.due = !self.association.received.is_empty();
            self.association.timer.flight_sent(now);
        }
    }

    /// Takes the messages that are whole, in their order.
    pub(crate) fn handle_messages(&mut self) {
        while let Some(message) = self.reassembler.take() {
            self.handle_message(&message);
            if self.is_13() && !matches!(self.state, State::Handshaking(_)) {
                // Whatever else came with the keys of the handshake does not belong to it.
                self.reassembler.clear();
            }
        }
    }

    fn handle_message(&mut self, message: &Message) {
        let State::Handshaking(handshake) = &mut self.state else {
            self.counters.unexpected_messages += 1;
            return;
        };
        let association = &mut self.association;
        let began = |next: Handshake| (next, None);
        let progress = match std::mem::replace(handshake, Handshake::Over) {
            Handshake::Offer(mut offer) => offer.handle(association, message).map(|answer| match answer {
                Answer::Again => began(Handshake::Offer(offer)),
                Answer::V12(client) => began(Handshake::Client12(client)),
                Answer::V13(client) => began(Handshake::Client13(client)),
            }),
            Handshake::Listening => accept(association, message).map(|accepted| match accepted {
                Accepted::V12(server) => began(Handshake::Server12(server)),
                Accepted::V13(server) => began(Handshake::Server13(server)),
            }),
            Handshake::Client12(mut client) => {
                let session = client.handle(association, message);
                session.map(|session| (Handshake::Client12(client), session))
            }
            Handshake::Server12(mut server) => {
                let session = server.handle(association, message);
                session.map(|session| (Handshake::Server12(server), session))
            }
            Handshake::Client13(mut client) => {
                let session = client.handle(association, message);
                session.map(|session| (Handshake::Client13(client), session))
            }
            Handshake::Server13(mut server) => {
                let session = server.handle(association, message);
                session.map(|session| (Handshake::Server13(server), session))
            }
            Handshake::Over => Ok(began(Handshake::Over)),
        };
        match progress {
            Ok((next, None)) => {
                *handshake = next;
                match handshake {
                    Handshake::Client12(_) | Handshake::Server12(_) => {
                        self.early.settle(false);
                        self.association.timer.do_not_acknowledge();
                    }
                    Handshake::Client13(_) | Handshake::Server13(_) => {
                        self.early.settle(true);
                        self.reassembler.keep_all();
                    }
                    _ => {}
                }
                // All that came in the clear is used up: what lies there beyond the hellos was forged.
                if [HandshakeType::CLIENT_HELLO, HandshakeType::SERVER_HELLO].contains(&message.message_type)
                    && handshake.is_13()
                {
                    self.reassembler.clear();
                }
            }
            // When they became required after the hellos.
            Ok((_, Some(session))) if self.association.requires_srtp && session.srtp.is_none() => {
                self.end(CloseReason::NoCommonSrtpProfile);
            }
            Ok((_, Some(session))) => {
                let awaits_acknowledgement = matches!(session.secrets, Secrets::V13(_)) && self.role == Role::Client;
                self.complete(session);
                self.association.transcript.clear();
                if !awaits_acknowledgement {
                    self.association.timer.stop_retransmitting();
                    if self.role == Role::Client {
                        // The peer has answered our last flight.
                        self.association.flight.clear();
                    }
                }
                self.connect_if_proven();
            }
            Err(reason) => self.end(reason),
        }
    }

    /// Handshake messages after a handshake of DTLS 1.2: the peer's last flight again, or an attempt to renegotiate.
    fn handle_late_handshake(&mut self, now: Instant, body: &[u8]) {
        let Ok(fragment) = Fragment::read(&mut Reader::new(body)) else {
            self.counters.malformed_fragments += 1;
            return;
        };
        match fragment.header.message_type {
            HandshakeType::HELLO_REQUEST | HandshakeType::CLIENT_HELLO => {
                self.counters.renegotiations_refused += 1;
                self.alert = Some(Alert {
                    level: AlertLevel::Warning,
                    description: AlertDescription::NO_RENEGOTIATION,
                });
            }
            HandshakeType::FINISHED if u32::from(fragment.header.message_seq) < self.reassembler.next_seq() => {
                self.counters.repeated_fragments += 1;
                self.handle_repeated(now, &fragment);
            }
            _ => self.counters.unexpected_messages += 1,
        }
    }
}
