use std::time::Instant;

use dtls_srtp::Dtls;
use sdp::{Session, Setup};

use super::Peer;
use crate::negotiation::{Plan, add_sender};
use crate::offer::Offer;
use crate::offer_text::OfferText;
use crate::wish::Wish;
use crate::{AnswerError, Direction, Event, Kind, Section, SectionError, State};

/// Signalling in the offering role, for peers whose ICE agent is a full one ([`ice::Mode::Full`]) and that took no
/// offer.
impl Peer {
    /// Wants a section, from the next offer on, and gives its index. Its mid is the index as text. A section that sends
    /// gets its SSRCs now. Of data channels there is one section, whose direction does not matter.
    ///
    /// # Errors
    /// [`SectionError`]; nothing has changed then.
    pub fn add_section(&mut self, kind: Kind, direction: Direction) -> Result<usize, SectionError> {
        self.may_offer()?;
        let index = self.wishes.len();
        if kind == Kind::Application {
            let is_there = self.wishes.iter().any(|wish| wish.kind == kind && !wish.stopped);
            if is_there || !self.config.application {
                return Err(SectionError::Unusable);
            }
            if index >= self.config.max_sections {
                return Err(SectionError::Full);
            }
            self.ensure_data();
            self.wishes.push(Wish::new(
                &self.config,
                index.to_string(),
                kind,
                Direction::SendRecv,
                None,
            ));
            return Ok(index);
        }
        if direction == Direction::Inactive {
            return Err(SectionError::Unusable);
        }
        let mut wish = Wish::new(&self.config, index.to_string(), kind, direction, None);
        let Some(first) = wish.formats.first() else {
            return Err(SectionError::NoCodec);
        };
        let clock_rate = first.codec.clock_rate();
        let rtx = wish.formats.iter().any(|format| format.rtx.is_some());
        // What is never sent in needs no SSRC: an answer narrows the direction, and nothing widens it.
        let ssrcs = if direction.sends() { 1 + usize::from(rtx) } else { 0 };
        if index >= self.config.max_sections || self.senders.vacancies() < ssrcs {
            return Err(SectionError::Full);
        }
        if direction.sends() {
            let sender = add_sender(
                index,
                kind,
                clock_rate,
                rtx,
                &|_| false,
                &mut self.senders,
                &mut self.rng,
            );
            wish.sender = Some(sender);
            if let Some(srtp) = &mut self.srtp {
                self.senders.attach(&mut srtp.sealer);
            }
        }
        self.wishes.push(wish);
        Ok(index)
    }

    /// Restarts ICE with the next offer (RFC 8445 §9): after the network has changed, or when the state is
    /// [`State::Disconnected`] or [`State::Failed`]. Nothing changes before that, so that the answer to an offer that
    /// is open now still fits. Wanted again while an offer that restarts is open, the next one restarts again: the peer
    /// may have taken the former, and have failed since without its answer having come here.
    ///
    /// Servers are asked anew at once: relays that were lost come back, those that live are kept. Who does not trickle
    /// waits for [`Event::GatheringComplete`], which comes again, before [`offer`](Self::offer).
    ///
    /// # Errors
    /// [`SectionError`] when this peer cannot offer.
    pub fn restart_ice(&mut self, now: Instant) -> Result<(), SectionError> {
        self.may_offer()?;
        // Before the first answer there is nothing to restart.
        if self.ice.remote_credentials().is_some() {
            self.restart_wanted = Some(now);
            self.ice.gather_again(now);
            self.gather_again(now);
            self.update(now);
        }
        Ok(())
    }

    /// An offer of all sections. It may be made again until its answer is there; the newest one counts. It has the
    /// candidates that are known by now: for a peer that does not trickle, call it after [`Event::GatheringComplete`]
    /// (half trickle, RFC 8838 §16).
    ///
    /// # Errors
    /// [`SectionError`] when there is nothing to offer.
    pub fn offer(&mut self) -> Result<String, SectionError> {
        self.may_offer()?;
        if self.wishes.is_empty() {
            return Err(SectionError::Empty);
        }
        let fingerprint = self.config.dtls.certificate.fingerprint().to_string();
        let fingerprint = sdp::Fingerprint::parse(&fingerprint).map_err(|_| SectionError::Unusable)?;
        if let Some(now) = self.restart_wanted.take() {
            self.ice.restart(now);
            self.early_candidates.clear();
            self.restarting = true;
            self.update(now);
        }
        let local = self.ice.local_credentials();
        let init = self.local_init();
        let candidates: Vec<sdp::Candidate<'_>> = self.local_candidates().collect();
        let text = OfferText {
            session_id: self.session_id,
            version: self.version + 1,
            ufrag: &local.ufrag,
            pwd: &local.pwd,
            sped: self.sped.is_some(),
            pacing: self.pacing(),
            fingerprint,
            candidates: &candidates,
            gathered: self.has_gathered(),
            cname: self.outbox.cname(),
            senders: &self.senders,
            nack: self.config.nack,
            sctp: &self.config.sctp,
            sctp_init: init.as_deref(),
        };
        let offer = text.write(&self.wishes);
        debug_assert!(offer.is_ok(), "an offer that we write parses: {offer:?}");
        let offer = offer.map_err(|_| SectionError::Unusable)?.to_string();
        self.version += 1;
        self.offered = Some(self.wishes.len());
        Ok(offer)
    }

    /// Takes the answer to the last offer.
    ///
    /// # Errors
    /// [`AnswerError`], a sentence with line and rule. Nothing has changed then, and the offer is still open.
    pub fn accept_answer(&mut self, now: Instant, answer: &str) -> Result<(), AnswerError> {
        if self.state == State::Closed {
            return Err(AnswerError::new(None, "the peer is closed; make a new one"));
        }
        let offered = self
            .offered
            .ok_or_else(|| AnswerError::new(None, "there is no offer that waits for an answer"))?;
        let session =
            Session::parse(answer).map_err(|error| AnswerError::new(Some(error.line), error.rule.as_str()))?;
        let answer = Offer::new(&session);
        let wishes = self.wishes.get(..offered).unwrap_or_default();
        belongs_together(wishes, &answer)?;
        let mut before = self.sections.clone();
        before.extend(wishes.iter().skip(before.len()).map(Section::wished));
        let plan = Plan::new(
            &self.config,
            &before,
            &self.senders,
            &self.receivers,
            &answer,
            Some(wishes),
        )?;
        let transport = plan.transport()?;
        if self.dtls.as_ref().is_some_and(Dtls::is_connected) && self.srtp.is_none() && plan.first_media().is_some() {
            let rule = "the DTLS association has no SRTP profile (RFC 5764 §4.1.1), so it carries no media";
            return Err(AnswerError::new(None, rule));
        }
        let accepted = match &transport {
            Some(transport) => {
                let line = Some(transport.section.line);
                if !matches!(transport.section.level.setup, Some(Setup::Active | Setup::Passive)) {
                    let rule = "an answer says a=setup:active or a=setup:passive (RFC 8842 §5.3)";
                    return Err(AnswerError::new(line, rule));
                }
                let accepted = self.accept_transport(&answer, transport)?;
                let known = self.ice.remote_credentials();
                let changed = known.is_some_and(|known| known.is_restarted_by(&accepted.credentials));
                if known.is_some() && changed != self.restarting {
                    let rule =
                        "the ICE credentials change when, and only when, the offer restarts ICE (RFC 8839 §4.4.2)";
                    return Err(AnswerError::new(line, rule));
                }
                Some(accepted)
            }
            None => None,
        };

        // From here on nothing fails.
        self.sections = plan.apply(&before, &mut self.senders, &mut self.receivers, &mut self.rng);
        self.tagged = plan.bundle.as_ref().map(|bundle| bundle.tagged);
        if let (Some(transport), Some(accepted)) = (&transport, accepted) {
            self.restarting = false;
            self.ice.set_peer_lite(answer.session.ice_lite);
            self.ice.set_peer_pacing(answer.session.pacing);
            self.follow_renomination(transport);
            self.follow_sped(transport);
            self.connect(now, transport, accepted);
        }
        for (wish, section) in self.wishes.iter_mut().zip(&self.sections) {
            wish.stopped |= section.rejected.is_some();
        }
        self.follow_sections(now);
        self.offered = None;
        self.unanswered.release();
        self.push_event(Event::Negotiated);
        self.update(now);
        Ok(())
    }

    fn may_offer(&self) -> Result<(), SectionError> {
        if self.state == State::Closed {
            Err(SectionError::Closed)
        } else if self.answers {
            Err(SectionError::Answering)
        } else {
            Ok(())
        }
    }
}

/// Whether an answer has the sections of the offer (RFC 3264 §6, RFC 5888 §9.1).
fn belongs_together(wishes: &[Wish], answer: &Offer<'_>) -> Result<(), AnswerError> {
    if answer.sections.len() != wishes.len() {
        let rule = format!(
            "an answer has as many m-sections as the offer, which has {} (RFC 3264 §6)",
            wishes.len()
        );
        return Err(AnswerError::new(None, rule));
    }
    for (wish, section) in wishes.iter().zip(&answer.sections) {
        if section.kind != Some(wish.kind) || section.level.mid.is_some_and(|mid| mid != wish.mid) {
            let rule = "the m-sections are those of the offer, in its order (RFC 3264 §6)";
            return Err(AnswerError::new(Some(section.line), rule));
        }
        if section.level.mid.is_none() && section.media.port != 0 {
            let rule = "a section keeps the a=mid of the offer (RFC 5888 §9.1)";
            return Err(AnswerError::new(Some(section.line), rule));
        }
    }
    Ok(())
}
