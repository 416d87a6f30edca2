use rand::Rng;
use rand::rngs::StdRng;
use rtp::Ssrc;
use sdp::{Direction, Fingerprint, Setup};

use crate::agreement::{Agreement, ExtensionTable, Feedback};
use crate::bundle::{Bundle, Member};
use crate::offer::{Offer, OfferedSection};
use crate::receiver::Receivers;
use crate::section::{KeyFrameRequest, RemoteData, Section, Stream};
use crate::sender::{Sender, Senders};
use crate::wish::Wish;
use crate::{Config, Extension, ExtensionIds, Kind, OfferError, SenderId};

/// What an offer leads to, before anything has changed.
#[derive(Debug)]
pub(crate) struct Plan<'o> {
    pub(crate) offer: &'o Offer<'o>,
    /// Our one transport; `None` when every section is rejected.
    pub(crate) bundle: Option<Bundle>,
    /// For each section what we agree to, or why it is rejected.
    pub(crate) agreements: Vec<Result<Agreement<'o>, &'static str>>,
}

/// What the offer says of the transport that we take.
#[derive(Debug, Clone)]
pub(crate) struct RemoteTransport<'o> {
    pub(crate) ufrag: &'o str,
    pub(crate) pwd: &'o str,
    pub(crate) fingerprints: &'o [Fingerprint<'o>],
    pub(crate) setup: Setup,
    pub(crate) section: &'o OfferedSection<'o>,
}

impl<'o> Plan<'o> {
    /// What to make of an offer, `sections` being what was agreed to before; or of an answer to an offer of ours,
    /// `wishes` being what was in it.
    ///
    /// # Errors
    /// When the offer as a whole breaks a rule.
    pub(crate) fn new(
        config: &Config,
        sections: &[Section],
        senders: &Senders,
        receivers: &Receivers,
        offer: &'o Offer<'o>,
        wishes: Option<&[Wish]>,
    ) -> Result<Self, OfferError> {
        let offered = &offer.sections;
        if offered.len() < sections.len() {
            let rule = "an offer has at least as many m-sections as the one before (RFC 3264 §8)";
            return Err(OfferError::new(None, rule));
        }
        if let Some(surplus) = offered.get(config.max_sections) {
            let rule = format!("at most {} m-sections are accepted", config.max_sections);
            return Err(OfferError::new(Some(surplus.line), rule));
        }
        let mut ids = ExtensionTable::new();
        let mut room = Room {
            ssrcs: senders.vacancies(),
            streams: receivers.vacancies(config.max_ssrcs),
        };
        let agreement = |(index, section): (usize, &'o OfferedSection<'o>)| {
            let wish = wishes.and_then(|wishes| wishes.get(index));
            let agreed = agree(config, section, wish, &mut ids)?;
            let before = sections.get(index).filter(|before| goes_on(before, section));
            room.take(&agreed, before, senders)
                .then_some(agreed)
                .ok_or("there are as many streams as are allowed")
        };
        let mut agreements: Vec<_> = offered.iter().enumerate().map(agreement).collect();
        let is_data = |section: &OfferedSection<'_>| section.kind == Some(Kind::Application);
        let data = offered.iter().zip(&mut agreements);
        let data = data.filter(|(section, agreement)| is_data(section) && agreement.is_ok());
        for (_, surplus) in data.skip(1) {
            *surplus = Err("one data section is for all channels");
        }
        let members: Vec<Member<'_>> = offered
            .iter()
            .zip(&agreements)
            .map(|(section, agreement)| Member {
                mid: section.level.mid,
                acceptable: agreement.is_ok(),
                zero_port: section.media.port == 0,
            })
            .collect();
        let bundle = Bundle::select(&members, offer.groups.iter().map(|group| group.iter().copied()));
        for (index, agreement) in agreements.iter_mut().enumerate() {
            if agreement.is_ok() && !bundle.as_ref().is_some_and(|bundle| bundle.contains(index)) {
                *agreement = Err("it is not in the BUNDLE group, and there is one transport only");
            }
        }
        // Transport-wide feedback is about all that comes by the transport: nobody is told a bit rate beside it.
        let mut agreed = agreements.iter_mut().flatten();
        if agreed.any(|agreed| agreed.extensions.get(Extension::TransportCc).is_some()) {
            let feedback = agreements.iter_mut().flatten().flat_map(|agreed| &mut agreed.feedback);
            feedback.for_each(|feedback| feedback.remb = false);
        }
        Ok(Self {
            offer,
            bundle,
            agreements,
        })
    }

    /// The transport that the offer describes in the tagged section.
    ///
    /// # Errors
    /// When something is missing there that a transport needs.
    pub(crate) fn transport(&self) -> Result<Option<RemoteTransport<'o>>, OfferError> {
        let Some(bundle) = &self.bundle else { return Ok(None) };
        let section = &self.offer.sections[bundle.tagged];
        let missing = |what: &str| OfferError::new(Some(section.line), what);
        let level = &section.level;
        let ufrag = level
            .ufrag
            .ok_or_else(|| missing("the section needs a=ice-ufrag (RFC 8839 §5.4)"))?;
        let pwd = level
            .pwd
            .ok_or_else(|| missing("the section needs a=ice-pwd (RFC 8839 §5.4)"))?;
        if level.fingerprints.is_empty() {
            return Err(missing("the section needs a=fingerprint (RFC 8122 §5)"));
        }
        // RFC 8842 §5.1: without the attribute, actpass is not implied; active is the default of RFC 4145 §4 for an
        // offer.
        let setup = level.setup.unwrap_or(Setup::Active);
        if setup == Setup::HoldConn {
            return Err(missing("a=setup:holdconn is not for DTLS-SRTP (RFC 5763 §5)"));
        }
        Ok(Some(RemoteTransport {
            ufrag,
            pwd,
            fingerprints: &level.fingerprints,
            setup,
            section,
        }))
    }

    /// The first section of audio or video that we agree to.
    pub(crate) fn first_media(&self) -> Option<&'o OfferedSection<'o>> {
        let mut sections = self.offer.sections.iter().zip(&self.agreements);
        sections
            .find(|(_, agreement)| agreement.as_ref().is_ok_and(|agreed| !agreed.formats.is_empty()))
            .map(|(section, _)| section)
    }

    /// Turns the plan into sections, with the streams and senders that are new and without those that are gone.
    pub(crate) fn apply(
        &self,
        before: &[Section],
        senders: &mut Senders,
        receivers: &mut Receivers,
        rng: &mut StdRng,
    ) -> Vec<Section> {
        let offered = || self.offer.sections.iter().zip(&self.agreements);
        // First those that go, so that what comes finds their places in the pairing.
        for (before, (offered, agreement)) in before.iter().zip(offered()) {
            if let Some(gone) = before
                .sender
                .filter(|_| agreement.is_err() || !goes_on(before, offered))
            {
                senders.stop(gone);
            }
        }
        let mut sections: Vec<Section> = Vec::with_capacity(self.offer.sections.len());
        for (index, (offered, agreement)) in offered().enumerate() {
            let before = before.get(index).filter(|before| goes_on(before, offered));
            let section = match agreement {
                Ok(agreed) => self.section(index, agreed, before, senders, receivers, rng),
                Err(reason) => rejected(offered, reason),
            };
            if let Some(id) = section.sender {
                senders.configure(id, &section);
            }
            sections.push(section);
        }
        receivers.configure(&sections);
        for (offered, section) in self.offer.sections.iter().zip(&sections) {
            announce(offered, section, receivers);
        }
        sections
    }

    /// An accepted section, `before` being what it was before if it goes on.
    fn section(
        &self,
        index: usize,
        agreed: &Agreement<'_>,
        before: Option<&Section>,
        senders: &mut Senders,
        receivers: &mut Receivers,
        rng: &mut StdRng,
    ) -> Section {
        let offered = &self.offer.sections[index];
        let mut sender = before.and_then(|before| before.sender);
        match sender {
            Some(id) if lacks_rtx(agreed, senders.get(id)) => {
                senders.add_rtx(id, draw_ssrc(&|ssrc| self.offer.announces(ssrc), senders, rng, None));
            }
            None if agreed.sends_media() => {
                let kind = offered.kind.unwrap_or(Kind::Video);
                let first = agreed.formats.first();
                let clock_rate = first.map_or(90_000, |format| format.codec.clock_rate());
                let theirs = |ssrc| self.offer.announces(ssrc);
                sender = Some(add_sender(
                    index,
                    kind,
                    clock_rate,
                    retransmits(agreed),
                    &theirs,
                    senders,
                    rng,
                ));
            }
            _ => {}
        }
        let any = |has: fn(&Feedback) -> bool| agreed.feedback.iter().any(has);
        Section {
            mid: offered.level.mid.unwrap_or_default().to_owned(),
            kind: offered.kind.unwrap_or(Kind::Application),
            rejected: None,
            direction: agreed.direction,
            formats: agreed.formats.clone(),
            extensions: agreed.extensions,
            allow_mixed: offered.level.allow_mixed,
            streams: streams(agreed, before.map_or(&[], |before| &before.streams), receivers),
            sender,
            key_frames: match (any(|feedback| feedback.pli), any(|feedback| feedback.fir)) {
                (true, _) => Some(KeyFrameRequest::Pli),
                (false, true) => Some(KeyFrameRequest::Fir),
                (false, false) => None,
            },
            asks_again: agreed.asks_again,
            reduced_size: offered.level.rtcp_rsize,
            remb: any(|feedback| feedback.remb),
            data: (offered.kind == Some(Kind::Application)).then(|| RemoteData::of(&offered.level)),
        }
    }
}

/// Whether an offered section is the one that was there before. A new mid in an old place is a new section (RFC 9429
/// §5.2.2: recycled).
fn goes_on(before: &Section, offered: &OfferedSection<'_>) -> bool {
    let mid = offered.level.mid.unwrap_or_default();
    before.rejected.is_none() && before.mid == mid && Some(before.kind) == offered.kind
}

fn rejected(offered: &OfferedSection<'_>, reason: &'static str) -> Section {
    Section {
        mid: offered.level.mid.unwrap_or_default().to_owned(),
        kind: offered.kind.unwrap_or(Kind::Application),
        rejected: Some(reason),
        direction: Direction::Inactive,
        formats: Vec::new(),
        extensions: ExtensionIds::default(),
        allow_mixed: false,
        streams: Vec::new(),
        sender: None,
        key_frames: None,
        asks_again: false,
        reduced_size: false,
        remb: false,
        data: None,
    }
}

/// What we agree to in a section, but for its transport.
fn agree<'o>(
    config: &Config,
    offered: &OfferedSection<'o>,
    wish: Option<&Wish>,
    ids: &mut ExtensionTable,
) -> Result<Agreement<'o>, &'static str> {
    if offered.is_stopped() {
        return Err("the peer stopped it");
    }
    if wish.is_some_and(|wish| wish.stopped) {
        return Err("it was offered as stopped");
    }
    match offered.kind {
        None => Err("only audio, video and data sections are known"),
        Some(Kind::Application) if !config.application => Err("data channels are not agreed to"),
        Some(Kind::Application) => Agreement::of_application(offered),
        Some(_) => Agreement::of_media(config, offered, wish, ids),
    }
}

/// How many SSRCs of ours and streams of the peer's there still may be.
#[derive(Debug)]
struct Room {
    ssrcs: usize,
    streams: usize,
}

impl Room {
    /// Takes what a section needs; false when there is not as much.
    fn take(&mut self, agreed: &Agreement<'_>, before: Option<&Section>, senders: &Senders) -> bool {
        let sender = before.and_then(|before| before.sender);
        let ssrcs = match sender {
            _ if !agreed.sends_media() => 0,
            None => 1 + usize::from(retransmits(agreed)),
            Some(id) => usize::from(lacks_rtx(agreed, senders.get(id))),
        };
        let known = |rid: &Option<&str>| {
            before.is_some_and(|before| before.streams.iter().any(|stream| stream.rid.as_deref() == *rid))
        };
        let streams = if agreed.receives_media() {
            rids(agreed).filter(|rid| !known(rid)).count()
        } else {
            0
        };
        let fits = ssrcs <= self.ssrcs && streams <= self.streams;
        if fits {
            self.ssrcs -= ssrcs;
            self.streams -= streams;
        }
        fits
    }
}

/// Whether retransmission is agreed to for a sender that has no SSRC for it yet.
fn lacks_rtx(agreed: &Agreement<'_>, sender: Option<&Sender>) -> bool {
    agreed.sends_media() && retransmits(agreed) && sender.is_some_and(|sender| sender.rtx.is_none())
}

/// The rids of a section's streams: one of `None` without simulcast.
fn rids<'a>(agreed: &'a Agreement<'_>) -> impl Iterator<Item = Option<&'a str>> {
    let plain = agreed.layers.is_empty().then_some(None);
    agreed.layers.iter().map(|layer| Some(layer.0)).chain(plain)
}

/// The streams of a section. Those that go on keep their numbers; a section that is on hold keeps its streams.
fn streams(agreed: &Agreement<'_>, kept: &[Stream], receivers: &mut Receivers) -> Vec<Stream> {
    if !agreed.receives_media() {
        return kept.to_vec();
    }
    let stream = |rid: Option<&str>| {
        let known = kept.iter().find(|stream| stream.rid.as_deref() == rid).cloned();
        known.unwrap_or_else(|| Stream {
            id: receivers.add_stream(),
            rid: rid.map(str::to_owned),
        })
    };
    rids(agreed).map(stream).collect()
}

fn retransmits(agreed: &Agreement<'_>) -> bool {
    agreed.formats.iter().any(|format| format.rtx.is_some())
}

/// An SSRC that neither end uses, and that is not `other`; `theirs` tells those of the peer.
fn draw_ssrc(theirs: &dyn Fn(u32) -> bool, senders: &Senders, rng: &mut StdRng, other: Option<Ssrc>) -> Ssrc {
    loop {
        let ssrc = rng.next_u32();
        let ours = || senders.by_ssrc(Ssrc(ssrc)).is_some();
        if ssrc != 0 && Some(Ssrc(ssrc)) != other && !ours() && !theirs(ssrc) {
            return Ssrc(ssrc);
        }
    }
}

/// Draws SSRCs that neither end uses, and takes the lowest free place in the pairing of audio and video.
pub(crate) fn add_sender(
    section: usize,
    kind: Kind,
    clock_rate: u32,
    rtx: bool,
    theirs: &dyn Fn(u32) -> bool,
    senders: &mut Senders,
    rng: &mut StdRng,
) -> SenderId {
    let pair = (0..)
        .find(|pair| !senders.iter().any(|other| other.kind == kind && other.pair == *pair))
        .unwrap_or(0);
    let ssrc = draw_ssrc(theirs, senders, rng, None);
    let rtx = rtx.then(|| draw_ssrc(theirs, senders, rng, Some(ssrc)));
    let id = senders.next_id();
    let first_sequence = u64::from(rng.next_u32() & 0x7fff);
    let rtx_sequence = u64::from(rng.next_u32() & 0x7fff);
    senders.add(
        Sender {
            id,
            section,
            kind,
            pair,
            ssrc,
            rtx,
            first_sequence,
        },
        clock_rate,
        rtx_sequence,
    );
    id
}

/// Binds the SSRCs that a section announces. With simulcast nothing says which layer they are: the rid extension does.
fn announce(offered: &OfferedSection<'_>, section: &Section, receivers: &mut Receivers) {
    let [Stream { id, rid: None }] = section.streams() else {
        return;
    };
    let Some(clock_rate) = section.formats.first().map(|format| format.codec.clock_rate()) else {
        return;
    };
    if let Some((media, rtx)) = offered.first_ssrcs() {
        receivers.announce(Ssrc(media), *id, false, clock_rate);
        if let Some(rtx) = rtx {
            receivers.announce(Ssrc(rtx), *id, true, clock_rate);
        }
    }
}
