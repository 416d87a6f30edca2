use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use dtls_srtp::{Dtls, Fingerprint, Role};
use rtp::twcc::Recorder;
use sdp::{Attribute, Builder, List, MediaLine, SdpFragment, Session, Setup};
use wire::{Protocol, Seed};

use super::{Peer, random};
use crate::answer::Local;
use crate::names::{Names, RemoteCandidate};
use crate::negotiation::{Plan, RemoteTransport};
use crate::offer::{Offer, SPED};
use crate::remb::Remb;
use crate::{Event, Extension, FragmentError, OfferError, State};

/// Signalling.
impl Peer {
    /// Takes an offer and gives the answer.
    ///
    /// # Errors
    /// [`OfferError`], a sentence with line and rule. Nothing has changed then.
    pub fn accept_offer(&mut self, now: Instant, offer: &str) -> Result<String, OfferError> {
        if self.state == State::Closed {
            return Err(OfferError::new(None, "the peer is closed; make a new one"));
        }
        if !self.answers && !self.wishes.is_empty() {
            return Err(OfferError::new(None, "this peer offers and does not answer"));
        }
        let session = Session::parse(offer).map_err(|error| OfferError::new(Some(error.line), error.rule.as_str()))?;
        let offer = Offer::new(&session);
        let plan = Plan::new(
            &self.config,
            &self.sections,
            &self.senders,
            &self.receivers,
            &offer,
            None,
        )?;
        let transport = plan.transport()?;
        if self.dtls.as_ref().is_some_and(Dtls::is_connected)
            && self.srtp.is_none()
            && let Some(section) = plan.first_media()
        {
            let rule = "the DTLS association has no SRTP profile (RFC 5764 §4.1.1), so it carries no media: make a new peer \
                connection";
            return Err(OfferError::new(Some(section.line), rule));
        }
        let accepted = transport
            .as_ref()
            .map(|transport| self.accept_transport(&offer, transport))
            .transpose()?;
        let fingerprint = self.config.dtls.certificate.fingerprint().to_string();
        let fingerprint = sdp::Fingerprint::parse(&fingerprint)
            .map_err(|rule| OfferError::new(None, format!("our certificate has no fingerprint for SDP: {rule}")))?;

        // From here on nothing fails.
        self.sections = plan.apply(&self.sections, &mut self.senders, &mut self.receivers, &mut self.rng);
        self.tagged = plan.bundle.as_ref().map(|bundle| bundle.tagged);
        if !self.answers {
            self.answers = true;
            // RFC 8445 §6.1.1: who offers controls.
            self.ice.set_role(ice::Role::Controlled);
        }
        if let (Some(transport), Some(accepted)) = (&transport, accepted) {
            self.ice.set_peer_lite(offer.session.ice_lite);
            self.ice.set_peer_pacing(offer.session.pacing);
            self.follow_renomination(transport);
            self.follow_sped(transport);
            self.connect(now, transport, accepted);
        }
        self.follow_sections(now);
        self.version += 1;
        let answer = self.answer(&plan, fingerprint)?;
        self.push_event(Event::Negotiated);
        self.update(now);
        Ok(answer)
    }

    /// Takes a trickled candidate of the section with the given mid: the text of `RTCIceCandidate.candidate`, empty at
    /// the end of candidates. What is of no use (another component, a name that nobody resolves) is left
    /// aside. One that comes before
    /// the first description, or before the answer to an offer that restarts ICE, waits for it.
    ///
    /// # Errors
    /// When the text is no candidate.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        mid: Option<&str>,
        candidate: &str,
    ) -> Result<(), FragmentError> {
        // All sections share one transport; candidates may even come for a section before its offer is there.
        let _ = mid;
        if candidate.is_empty() {
            return Ok(());
        }
        let candidate = sdp::Candidate::parse(candidate).map_err(|rule| FragmentError::new(None, rule.as_str()))?;
        self.add_candidate(now, &candidate, None);
        self.follow_names(now);
        self.follow_relays(now);
        Ok(())
    }

    /// Takes an SDP fragment (RFC 8840 §9) as a WHIP client sends it: candidates give `None`, new credentials are an
    /// ICE restart (RFC 9725 §4.3.3) and give the fragment to answer with.
    ///
    /// In the offering role ICE is restarted by offers alone: a fragment with other credentials than the present ones
    /// is discarded and counted (RFC 8840 §4.4), or waits while the answer with the present ones is due.
    ///
    /// # Errors
    /// When the fragment is malformed, or before the first offer.
    pub fn handle_fragment(&mut self, now: Instant, fragment: &str) -> Result<Option<String>, FragmentError> {
        let fragment =
            SdpFragment::parse(fragment).map_err(|error| FragmentError::new(Some(error.line), error.rule.as_str()))?;
        let present = self.ice.remote_credentials();
        if self.state == State::Closed || present.is_none() && self.offered.is_none() {
            return Err(FragmentError::new(None, "there is no session to which they belong"));
        }
        // On either level, though RFC 8840 §9 has them above the first m-line when they are common.
        let level = |own: Option<&str>, of: fn(&sdp::Media<'_>) -> Option<String>| {
            own.map(str::to_owned)
                .or_else(|| fragment.media().find_map(|media| of(&media)))
        };
        let ufrag = level(fragment.ice_ufrag(), |media| media.ice_ufrag().map(str::to_owned));
        let pwd = level(fragment.ice_pwd(), |media| media.ice_pwd().map(str::to_owned));
        let changed = match (&ufrag, &pwd) {
            (Some(ufrag), Some(pwd)) => {
                let credentials = ice::Credentials::new(ufrag, pwd);
                let credentials = credentials.map_err(|error| FragmentError::new(None, error.to_string()))?;
                Some(credentials)
                    .filter(|credentials| present.is_none_or(|present| present.is_restarted_by(credentials)))
            }
            (Some(ufrag), None) if present.is_some_and(|present| *ufrag != present.ufrag) => {
                return Err(FragmentError::new(
                    None,
                    "new credentials need a=ice-pwd too (RFC 8839 §5.4)",
                ));
            }
            _ => None,
        };
        let answers = self.answers;
        match &changed {
            Some(credentials) if answers => {
                self.ice.restart(now);
                self.gather_again(now);
                self.ice.set_remote_credentials(now, credentials.clone());
            }
            Some(_) if !self.awaits_description() => {
                self.counters.stale_candidates += 1;
                return Ok(None);
            }
            _ => {}
        }
        for candidate in fragment.media().flat_map(|media| media.candidates()) {
            self.add_candidate(now, &candidate, ufrag.as_deref());
        }
        self.update(now);
        changed.filter(|_| answers).map(|_| self.fragment()).transpose()
    }

    /// Our credentials and candidates, for a peer that restarted ICE.
    fn fragment(&self) -> Result<String, FragmentError> {
        let local = self.ice.local_credentials();
        let mut builder = Builder::new();
        if self.config.ice.mode == ice::Mode::Lite {
            builder.attribute(Attribute::IceLite);
        }
        let mut options = vec!["trickle", "ice2"];
        options.extend(SPED.into_iter().filter(|_| self.sped.is_some()));
        builder.attribute(Attribute::IceOptions(List::from(&options[..])));
        builder
            .attribute(Attribute::IceUfrag(&local.ufrag))
            .attribute(Attribute::IcePwd(&local.pwd));
        if let Some(section) = self.tagged.and_then(|tagged| self.sections.get(tagged)) {
            builder.media(&MediaLine {
                kind: section.kind.as_str(),
                port: 9,
                port_count: None,
                // A pseudo m-line: only the mid counts (RFC 8840 §9.2).
                protocol: "RTP/AVP",
                formats: List::from(&["0"]),
            });
            if !section.mid.is_empty() {
                builder.attribute(Attribute::Mid(&section.mid));
            }
            for candidate in self.local_candidates() {
                builder.attribute(Attribute::Candidate(candidate));
            }
            if self.has_gathered() {
                builder.attribute(Attribute::EndOfCandidates);
            }
        }
        let fragment = builder.finish_fragment();
        fragment
            .map(|fragment| fragment.to_string())
            .map_err(|error| FragmentError::new(None, error.rule.as_str()))
    }

    /// Checks that the offered transport is the one that we have, or one that we can have.
    pub(super) fn accept_transport(
        &self,
        offer: &Offer<'_>,
        transport: &RemoteTransport<'_>,
    ) -> Result<Accepted, OfferError> {
        let line = Some(transport.section.line);
        if offer.session.ice_lite && self.config.ice.mode == ice::Mode::Lite {
            let rule = "both ends are ICE-lite: nobody would send checks (RFC 8445 §2.5)";
            return Err(OfferError::new(None, rule));
        }
        let credentials = ice::Credentials::new(transport.ufrag, transport.pwd)
            .map_err(|error| OfferError::new(line, error.to_string()))?;
        let known = |fingerprint: &sdp::Fingerprint<'_>| fingerprint.to_string().parse::<Fingerprint>().ok();
        let fingerprints: Vec<Fingerprint> = transport.fingerprints.iter().filter_map(known).collect();
        if fingerprints.is_empty() {
            return Err(OfferError::new(
                line,
                "no a=fingerprint has a hash function that is known here; use sha-256",
            ));
        }
        let role = match (transport.setup, &self.identity) {
            (_, Some((before, _))) if *before != fingerprints => {
                let rule =
                    "another certificate needs another DTLS association (RFC 8842 §3.1): make a new peer connection";
                return Err(OfferError::new(line, rule));
            }
            (Setup::ActPass, Some((_, role))) => *role,
            (Setup::Active, Some((_, Role::Server))) | (Setup::ActPass | Setup::Active, None) => Role::Server,
            (Setup::Passive, Some((_, Role::Client)) | None) => Role::Client,
            _ => {
                let rule = "the DTLS roles stay as they are: offer a=setup:actpass (RFC 8842 §5.5)";
                return Err(OfferError::new(line, rule));
            }
        };
        Ok(Accepted {
            credentials,
            fingerprints,
            role,
        })
    }

    pub(super) fn connect(&mut self, now: Instant, transport: &RemoteTransport<'_>, accepted: Accepted) {
        let Accepted {
            credentials,
            fingerprints,
            role,
        } = accepted;
        let before = self.ice.remote_credentials();
        let restarted = before.is_some_and(|before| before.is_restarted_by(&credentials));
        if restarted && self.answers {
            // RFC 8839 §4.4.1.1.1. DTLS and SRTP live on. Who offers has restarted before.
            self.ice.restart(now);
            self.gather_again(now);
        }
        self.ice.set_remote_credentials(now, credentials);
        for candidate in &transport.section.level.candidates {
            self.add_candidate(now, candidate, None);
        }
        for (session, candidate) in std::mem::take(&mut self.early_candidates) {
            self.place_candidate(now, session.as_deref(), candidate);
        }
        if self.dtls.is_none() {
            let seed = Seed(random(&mut self.rng));
            let mut dtls = Dtls::new(self.config.dtls.clone(), role, seed, now);
            // Whatever else the configuration is used for (RFC 8827 §6.5).
            dtls.require_fingerprint();
            dtls.set_remote_fingerprints(fingerprints.clone());
            self.dtls = Some(dtls);
            self.identity = Some((fingerprints, role));
            self.state = State::Connecting;
            // Its checks may have been faster than its answer.
            self.take_ridden(now, &mut |_| {});
        }
    }

    /// Sets up what depends on all sections together.
    pub(super) fn follow_sections(&mut self, now: Instant) {
        self.follow_data_section(now);
        if let Some(srtp) = &mut self.srtp {
            self.senders.attach(&mut srtp.sealer);
        }
        let mut live = self
            .sections
            .iter()
            .filter(|section| section.rejected.is_none() && !section.formats.is_empty());
        if let Some(dtls) = &mut self.dtls
            && live.clone().next().is_some()
        {
            // Without keys for SRTP the call would look connected and carry nothing.
            dtls.require_srtp();
        }
        // One RTCP session for all sections: what one of them cannot take, none gets.
        self.outbox.reduced_size = live.clone().count() > 0 && live.clone().all(|section| section.reduced_size);
        let mut numbered = live
            .clone()
            .filter(|section| section.extensions.get(Extension::TransportCc).is_some());
        let transport_cc = numbered.clone().any(|section| section.direction.receives());
        // Who answers sends none, and asked for nothing.
        self.sends_transport_numbers = !self.answers && numbered.any(|section| section.direction.sends());
        if transport_cc && self.feedback.is_none() {
            self.feedback = Some(Recorder::new(now));
        }
        let remb = !transport_cc && live.any(|section| section.remb);
        if !remb {
            self.remb = None;
        } else if self.remb.is_none() {
            self.remb = Some(Remb::new(self.config.remb_bits_per_second));
        }
    }

    fn answer(&self, plan: &Plan<'_>, fingerprint: sdp::Fingerprint<'_>) -> Result<String, OfferError> {
        let local = self.ice.local_credentials();
        let init = self.answered_init();
        let candidates: Vec<sdp::Candidate<'_>> = self.local_candidates().collect();
        let local = Local {
            session_id: self.session_id,
            version: self.version,
            ufrag: &local.ufrag,
            pwd: &local.pwd,
            fingerprint,
            setup: match self.identity {
                Some((_, Role::Client)) => Setup::Active,
                _ => Setup::Passive,
            },
            candidates: &candidates,
            gathered: self.has_gathered(),
            lite: self.config.ice.mode == ice::Mode::Lite,
            sctp: &self.config.sctp,
            sctp_init: init.as_deref(),
            renomination: self.config.ice.mode == ice::Mode::Full
                && plan
                    .transport()
                    .is_ok_and(|transport| transport.is_some_and(|t| t.section.level.renomination)),
            sped: match plan.transport() {
                Ok(Some(transport)) if self.sped.is_some() => transport.section.level.sped,
                _ => Default::default(),
            },
            pacing: self.pacing(),
            cname: self.outbox.cname(),
            senders: &self.senders,
        };
        let answer = local.answer(plan, &self.sections);
        debug_assert!(answer.is_ok(), "an answer that we write parses: {answer:?}");
        answer
            .map(|answer| answer.to_string())
            .map_err(|error| OfferError::new(None, error.rule.as_str()))
    }

    pub(super) fn local_candidates(&self) -> impl Iterator<Item = sdp::Candidate<'_>> {
        let ours = self.ice.local_candidates().iter();
        ours.filter(|candidate| self.may_tell(candidate))
            .filter_map(|candidate| written(candidate, self.names.as_deref()))
    }

    /// What descriptions say in `a=ice-pacing`: whole milliseconds, and none of a lite agent (RFC 8839 §4.3.1).
    pub(super) fn pacing(&self) -> Option<sdp::Milliseconds> {
        let least = |pacing: Duration| u64::try_from(pacing.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        self.ice
            .pacing()
            .map(|pacing| sdp::Milliseconds(Duration::from_millis(least(pacing))))
    }

    /// Whether descriptions tell all candidates that there will be.
    pub(super) fn has_gathered(&self) -> bool {
        let ice = &self.config.ice;
        let asks = self.relaying.is_some() || ice.mode == ice::Mode::Full && !ice.stun_servers.is_empty();
        !asks || self.is_gathered()
    }

    /// Another pair may be nominated where both ends signal that they follow it; what we write says so in full mode.
    pub(super) fn follow_renomination(&mut self, transport: &RemoteTransport<'_>) {
        self.ice.set_renomination(transport.section.level.renomination);
    }

    /// DTLS rides in checks where both ends signal that; what was agreed to with the first description stays.
    pub(super) fn follow_sped(&mut self, transport: &RemoteTransport<'_>) {
        if self.dtls.is_none() && transport.section.level.sped == [false; SPED.len()] {
            self.sped = None;
        }
    }

    /// Takes a candidate of the session that it names, else of `session`, that of what it came with.
    fn add_candidate(&mut self, now: Instant, candidate: &sdp::Candidate<'_>, session: Option<&str>) {
        let session = candidate.extension("ufrag").or(session);
        let Some(candidate) = convert(candidate).filter(|candidate| candidate.name.is_none() || self.names.is_some())
        else {
            return;
        };
        if !self.awaits_description() {
            return self.place_candidate(now, session, candidate);
        }
        if session.is_some_and(|session| session.len() > ice::Credentials::MAX_LEN) {
            self.counters.stale_candidates += 1;
            return;
        }
        let early = (session.map(str::to_owned), candidate);
        if self.early_candidates.contains(&early) {
            return;
        }
        if self.early_candidates.len() < self.config.ice.max_remote_candidates {
            self.early_candidates.push(early);
        } else {
            self.counters.early_candidates_overflow += 1;
        }
    }

    fn place_candidate(&mut self, now: Instant, session: Option<&str>, candidate: RemoteCandidate) {
        // A candidate that names its session is of use for that one only (RFC 8838 §9).
        let present = self.ice.remote_credentials().map(|remote| remote.ufrag.as_str());
        if session.is_some() && session != present {
            self.counters.stale_candidates += 1;
        } else {
            self.take_candidate(now, candidate);
        }
    }

    /// Whether the credentials of the peer's that count are still to come: with the first description, or with the
    /// answer to an offer that restarts ICE.
    fn awaits_description(&self) -> bool {
        self.restarting || self.ice.remote_credentials().is_none()
    }
}

/// A transport that was looked at and found good.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) credentials: ice::Credentials,
    fingerprints: Vec<Fingerprint>,
    role: Role,
}

/// A candidate of ours as SDP writes it; `None` when it is not to be told.
pub(super) fn written<'a>(candidate: &'a ice::Candidate, names: Option<&'a Names>) -> Option<sdp::Candidate<'a>> {
    let ip = candidate.address.ip();
    let address = names.map_or(Some(sdp::Address::Ip(ip)), |names| names.told(candidate))?;
    let host = sdp::Candidate::host(&candidate.foundation, candidate.priority, candidate.address);
    let kind = match candidate.kind {
        ice::CandidateKind::Host => sdp::CandidateKind::Host,
        ice::CandidateKind::ServerReflexive => sdp::CandidateKind::ServerReflexive,
        ice::CandidateKind::PeerReflexive => sdp::CandidateKind::PeerReflexive,
        ice::CandidateKind::Relayed => sdp::CandidateKind::Relayed,
    };
    // RFC 8839 §5.1: what stands there when the address behind the candidate is nobody's business.
    let nowhere: IpAddr = if candidate.address.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let tcp = candidate.protocol == Protocol::Tcp;
    Some(sdp::Candidate {
        address,
        transport: if tcp { sdp::Transport::Tcp } else { sdp::Transport::Udp },
        kind,
        related: (kind != sdp::CandidateKind::Host).then_some((sdp::Address::Ip(nowhere), 9)),
        tcp_type: candidate.tcp_type.map(|tcp_type| match tcp_type {
            ice::TcpType::Active => sdp::TcpType::Active,
            ice::TcpType::Passive => sdp::TcpType::Passive,
            ice::TcpType::SimultaneousOpen => sdp::TcpType::SimultaneousOpen,
        }),
        ..host
    })
}

/// A candidate of SDP as ICE knows it; `None` when it is of no use: RTCP's component (Firefox offers it beside
/// rtcp-mux), a name that is not of mDNS, an unknown transport or type.
fn convert(candidate: &sdp::Candidate<'_>) -> Option<RemoteCandidate> {
    let protocol = match candidate.transport {
        sdp::Transport::Udp => Protocol::Udp,
        sdp::Transport::Tcp => Protocol::Tcp,
        sdp::Transport::Other(_) => return None,
    };
    let kind = match candidate.kind {
        sdp::CandidateKind::Host => ice::CandidateKind::Host,
        sdp::CandidateKind::ServerReflexive => ice::CandidateKind::ServerReflexive,
        sdp::CandidateKind::PeerReflexive => ice::CandidateKind::PeerReflexive,
        sdp::CandidateKind::Relayed => ice::CandidateKind::Relayed,
        sdp::CandidateKind::Other(_) => return None,
    };
    let tcp_type = candidate.tcp_type.map(|tcp_type| match tcp_type {
        sdp::TcpType::Active => ice::TcpType::Active,
        sdp::TcpType::Passive => ice::TcpType::Passive,
        sdp::TcpType::SimultaneousOpen => ice::TcpType::SimultaneousOpen,
    });
    let (address, name) = match candidate.address {
        sdp::Address::Ip(ip) => (ip, None),
        sdp::Address::Name(name) => (Ipv4Addr::UNSPECIFIED.into(), Some(name.parse().ok()?)),
    };
    let candidate = ice::Candidate {
        foundation: candidate.foundation.to_owned(),
        component: Some(candidate.component).filter(|component| *component == 1)?,
        protocol,
        priority: candidate.priority,
        address: SocketAddr::new(address, candidate.port),
        kind,
        tcp_type,
        related: None,
    };
    Some(RemoteCandidate { candidate, name })
}
