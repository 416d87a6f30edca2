use std::collections::{BTreeMap, BTreeSet};

use sdp::{Direction, Extmap, Media, RidDirection, Session, Setup};

/// Checks that an answer is one that a strict offerer takes: the rules of RFC 3264 §6, RFC 9143 §7.3, RFC 8285 §7,
/// RFC 4588 §8, RFC 8853 §5.3.2, RFC 8830 and RFC 9429 §5.3, as far as they can be seen in the two texts.
///
/// `before` is the answer that preceded it in the same session, if any.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_answer(offer: &str, answer: &str, before: Option<&str>) -> Result<(), String> {
    let offer = Session::parse(offer).map_err(|error| format!("the offer does not parse: {error}"))?;
    let answer = Session::parse(answer).map_err(|error| format!("the answer does not parse: {error}"))?;
    let before = before
        .map(Session::parse)
        .transpose()
        .map_err(|error| error.to_string())?;
    ensure(answer.ice_lite(), "a=ice-lite is missing")?;
    origin(&answer, before.as_ref())?;
    ensure(
        offer.media().len() == answer.media().len(),
        "as many sections as in the offer (RFC 3264 §6)",
    )?;
    for (offered, answered) in offer.media().zip(answer.media()) {
        let index = answered.index();
        section(&offer, offered, answered).map_err(|rule| format!("section {index}: {rule}"))?;
    }
    bundle(&offer, &answer)?;
    transport(&answer)?;
    streams(&offer, &answer, before.as_ref())
}

fn ensure(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}

fn live<'a>(session: &'a Session) -> impl Iterator<Item = Media<'a>> {
    session.media().filter(|media| media.port() != 0)
}

fn origin(answer: &Session, before: Option<&Session>) -> Result<(), String> {
    let own = answer.origin().ok_or("o= is missing")?;
    let Some(before) = before else { return Ok(()) };
    let old = before.origin().ok_or("o= is missing")?;
    ensure(own.session_id == old.session_id, "the session id stays (RFC 3264 §8)")?;
    ensure(
        own.session_version == old.session_version + 1,
        "the version goes up by one (RFC 3264 §8)",
    )
}

fn section(offer: &Session, offered: Media<'_>, answered: Media<'_>) -> Result<(), String> {
    ensure(offered.kind() == answered.kind(), "the media type stays")?;
    ensure(
        offered.protocol() == answered.protocol(),
        "the protocol stays (RFC 9429 §5.3.1)",
    )?;
    ensure(offered.mid() == answered.mid(), "the mid stays (RFC 5888 §9.1)")?;
    ensure(!answered.bundle_only(), "no a=bundle-only in answers (RFC 9143 §6)")?;
    if answered.port() == 0 {
        return ensure(
            answered.direction() == Direction::Inactive,
            "what is rejected is inactive",
        );
    }
    let stopped = offered.port() == 0 && !offered.bundle_only();
    ensure(!stopped, "a section with port 0 is rejected (RFC 3264 §8.2)")?;
    if answered.kind() == "application" {
        return ensure(answered.sctp_port().is_some(), "a=sctp-port is missing");
    }
    let allowed = offered.direction().reversed();
    ensure(
        answered.direction().intersect(allowed) == answered.direction(),
        "the direction was not offered (RFC 3264 §6.1)",
    )?;
    ensure(
        answered.rtcp_mux() && offered.rtcp_mux(),
        "RTCP is multiplexed at both ends",
    )?;
    ensure(
        !answered.rtcp_rsize() || offered.rtcp_rsize(),
        "a=rtcp-rsize was not offered",
    )?;
    ensure(
        answered.rtcp_xrs().next().is_none() || offered.rtcp_xrs().next().is_some(),
        "a=rtcp-xr was not offered",
    )?;
    ensure(
        !answered.extmap_allow_mixed() || offered.extmap_allow_mixed(),
        "allow-mixed was not offered",
    )?;
    formats(offered, answered)?;
    extensions(offered, answered)?;
    simulcast(offered, answered)?;
    ensure(offer.media().len() > answered.index(), "the section exists")
}

fn formats(offered: Media<'_>, answered: Media<'_>) -> Result<(), String> {
    let types: BTreeSet<u8> = offered.payload_types().collect();
    let own: BTreeSet<u8> = answered.payload_types().collect();
    ensure(
        !own.is_empty() && own.len() == answered.payload_types().count(),
        "payload types are listed once",
    )?;
    ensure(own.is_subset(&types), "payload types were offered (RFC 3264 §6.1)")?;
    for pt in &own {
        let (theirs, ours) = (offered.rtpmap(*pt), answered.rtpmap(*pt));
        let (theirs, ours) = (
            theirs.ok_or("no a=rtpmap in the offer")?,
            ours.ok_or("no a=rtpmap in the answer")?,
        );
        ensure(
            ours.is(theirs.encoding) && ours.clock_rate == theirs.clock_rate,
            "the encoding stays",
        )?;
        ensure(ours.channels() == theirs.channels(), "the channels stay")?;
        for banned in ["red", "ulpfec", "flexfec-03", "CN", "telephone-event"] {
            ensure(!ours.is(banned), "formats on which nobody acts")?;
        }
        let parameter = |media: Media<'_>, name| {
            media
                .fmtp(*pt)
                .and_then(|fmtp| fmtp.parameters.get(name).map(str::to_owned))
        };
        // Each format has its own; to any other the name means nothing.
        let bound = [
            ("VP9", "profile-id"),
            ("H264", "packetization-mode"),
            ("AV1", "profile"),
        ];
        for (_, name) in bound.into_iter().filter(|(encoding, _)| ours.is(encoding)) {
            ensure(
                parameter(offered, name) == parameter(answered, name),
                "format parameters that must be equal",
            )?;
        }
        if ours.is("rtx") {
            // A number, however many zeros the offer writes before it.
            let apt = |media: Media<'_>| media.fmtp(*pt).and_then(|fmtp| fmtp.parameters.number("apt"));
            let repaired = apt(answered).ok_or("rtx has an apt (RFC 4588 §8.1)")?;
            ensure(apt(offered) == Some(repaired), "rtx repairs what was offered")?;
            ensure(
                own.iter().any(|pt| u64::from(*pt) == repaired),
                "rtx repairs a format of the answer",
            )?;
            ensure(
                answered.rtcp_fbs_of(*pt).next().is_none(),
                "no feedback about retransmissions",
            )?;
        }
    }
    for fmtp in answered.fmtps() {
        ensure(
            fmtp.payload_type().is_some_and(|pt| own.contains(&pt)),
            "a=fmtp of a listed type",
        )?;
    }
    for feedback in answered.rtcp_fbs() {
        let pt = feedback.payload_type.ok_or("no wildcards in answers")?;
        // Chromium refuses a description with feedback for a format that is not listed.
        ensure(own.contains(&pt), "a=rtcp-fb of a listed type")?;
        let known = offered
            .rtcp_fbs_of(pt)
            .any(|other| other.is(feedback.id, feedback.parameter));
        ensure(known, "a=rtcp-fb was offered (RFC 4585 §4.2)")?;
        let received = matches!(feedback.id, "transport-cc" | "goog-remb");
        ensure(
            !received || answered.direction().receives(),
            "bandwidth feedback only where we receive",
        )?;
        let nack = feedback.is("nack", "") && answered.kind() == "audio";
        ensure(!nack || !answered.direction().sends(), "of sound nothing is sent again")?;
    }
    Ok(())
}

fn extensions(offered: Media<'_>, answered: Media<'_>) -> Result<(), String> {
    const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    let mut ids = BTreeSet::new();
    for extmap in answered.extmaps() {
        ensure(ids.insert(extmap.id), "an extension id is used once (RFC 8285 §6)")?;
        let same = |other: &Extmap<'_>| other.id == extmap.id && other.uri == extmap.uri;
        let theirs = offered
            .extmaps()
            .find(same)
            .ok_or("extension ids are those of the offer (RFC 8285 §7)")?;
        ensure(
            extmap.direction == theirs.direction.map(Direction::reversed),
            "the extension's direction is mirrored",
        )?;
        ensure(
            extmap.id <= 14 || answered.extmap_allow_mixed(),
            "ids above 14 need allow-mixed",
        )?;
        if extmap.uri == TRANSPORT_CC {
            let feedback = answered.rtcp_fbs().any(|feedback| feedback.id == "transport-cc");
            ensure(feedback, "transport-wide numbers come with their feedback")?;
        }
    }
    Ok(())
}

fn simulcast(offered: Media<'_>, answered: Media<'_>) -> Result<(), String> {
    let Some(simulcast) = answered.simulcast() else {
        return ensure(answered.rids().next().is_none(), "no rid without simulcast");
    };
    ensure(simulcast.send.is_none(), "we never send simulcast")?;
    let recv = simulcast.recv.ok_or("layers are received")?;
    let theirs = offered
        .simulcast()
        .and_then(|simulcast| simulcast.send)
        .ok_or("simulcast was offered (RFC 8853 §5.3.2)")?;
    let offered_ids: Vec<&str> = theirs
        .streams()
        .flat_map(|stream| stream.alternatives())
        .map(|rid| rid.id)
        .collect();
    for rid in recv.streams().flat_map(|stream| stream.alternatives()) {
        ensure(offered_ids.contains(&rid.id), "the layer was offered")?;
        let line = answered
            .rids()
            .find(|line| line.id == rid.id)
            .ok_or("the layer has its a=rid")?;
        ensure(line.direction == RidDirection::Recv, "the layer is received")?;
    }
    ensure(
        answered.rids().count() == recv.streams().count(),
        "each a=rid is a layer",
    )
}

fn bundle(offer: &Session, answer: &Session) -> Result<(), String> {
    let live: Vec<Media<'_>> = live(answer).collect();
    let groups: Vec<Vec<&str>> = answer.bundles().map(|group| group.mids.iter().collect()).collect();
    ensure(groups.len() <= 1, "one group, since there is one transport")?;
    let Some(group) = groups.first() else {
        return ensure(live.len() <= 1, "several sections share a transport only in a group");
    };
    ensure(!group.is_empty(), "a group has members")?;
    let mids: BTreeSet<Option<&str>> = live.iter().map(Media::mid).collect();
    let members: BTreeSet<Option<&str>> = group.iter().map(|mid| Some(*mid)).collect();
    ensure(
        mids == members && members.len() == group.len(),
        "the group lists each accepted section once (RFC 9143 §7.3)",
    )?;
    let offered = offer
        .bundles()
        .find(|theirs| group.iter().all(|mid| theirs.mids.iter().any(|other| other == *mid)));
    let offered = offered.ok_or("the group is a subset of one offered group (RFC 9143 §7.3)")?;
    // The tag is the first one offered that is accepted and has a port (RFC 9143 §7.3.1).
    let with_port = |mid: &&str| offer.media_by_mid(mid).is_some_and(|media| media.port() != 0);
    let tag = offered
        .mids
        .iter()
        .filter(|mid| members.contains(&Some(*mid)))
        .find(with_port);
    ensure(
        tag == group.first().copied(),
        "the tagged section is the offerer's (RFC 9143 §7.3.1)",
    )?;
    let tagged = tag
        .and_then(|tag| answer.media_by_mid(tag))
        .ok_or("the tagged section exists")?;
    for media in live {
        let own = media.index() == tagged.index();
        ensure(
            own || media.candidates().next().is_none(),
            "candidates only in the tagged section (RFC 8859)",
        )?;
    }
    Ok(())
}

fn transport(answer: &Session) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for media in live(answer) {
        let ufrag = media.ice_ufrag().ok_or("a=ice-ufrag is missing")?;
        let pwd = media.ice_pwd().ok_or("a=ice-pwd is missing")?;
        let fingerprints: Vec<String> = media
            .fingerprints()
            .map(|fingerprint| fingerprint.to_string())
            .collect();
        ensure(!fingerprints.is_empty(), "a=fingerprint is missing")?;
        let setup = media.setup().ok_or("a=setup is missing")?;
        ensure(
            matches!(setup, Setup::Active | Setup::Passive),
            "an answer is active or passive (RFC 5763 §5)",
        )?;
        seen.insert((ufrag, pwd, fingerprints, setup.as_str()));
    }
    ensure(seen.len() <= 1, "one transport, so one of each")
}

fn streams(offer: &Session, answer: &Session, before: Option<&Session>) -> Result<(), String> {
    let theirs: BTreeSet<u32> = offer
        .media()
        .flat_map(|media| media.ssrcs().map(|ssrc| ssrc.ssrc))
        .collect();
    let mut ssrcs = BTreeSet::new();
    let mut cnames = BTreeSet::new();
    let mut tracks = BTreeSet::new();
    let mut by_stream: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for media in live(answer).filter(|media| media.kind() != "application") {
        let own: BTreeSet<u32> = media.ssrcs().map(|ssrc| ssrc.ssrc).collect();
        if !media.direction().sends() {
            ensure(
                own.is_empty() && media.msid().is_none(),
                "no a=msid and a=ssrc where nothing is sent",
            )?;
            continue;
        }
        let msid = media.msid().ok_or("a=msid is missing")?;
        ensure(media.msids().count() == 1, "a slot is in one stream")?;
        ensure(
            msid.track.is_some_and(|track| tracks.insert(track)),
            "each track has its own id",
        )?;
        by_stream.entry(msid.stream).or_default().push(media.kind());
        for ssrc in &own {
            ensure(
                ssrcs.insert(*ssrc) && !theirs.contains(ssrc),
                "an SSRC is used once in the session",
            )?;
        }
        cnames.extend(media.ssrcs().filter_map(|ssrc| ssrc.cname()));
        let rtx = media.rtpmaps().any(|map| map.is("rtx"));
        let pairs: Vec<(u32, u32)> = media
            .ssrc_groups()
            .filter_map(|group| group.retransmission_pair())
            .collect();
        match pairs.as_slice() {
            [] => ensure(!rtx && own.len() == 1, "one SSRC without retransmission")?,
            [(a, b)] => ensure(
                rtx && own == BTreeSet::from([*a, *b]),
                "an FID pair with retransmission",
            )?,
            _ => return Err("one FID group".into()),
        }
        let old = before
            .and_then(|before| before.media_at(media.index()))
            // A section that has become one of another kind (RFC 3264 §8.3.3) has another sender.
            .filter(|old| old.mid() == media.mid() && old.kind() == media.kind());
        if let Some(old) = old.filter(|old| old.port() != 0 && old.direction().sends()) {
            let old: BTreeSet<u32> = old.ssrcs().map(|ssrc| ssrc.ssrc).collect();
            // That of retransmissions may come and go with their format.
            let fixed = old.is_subset(&own) || own.is_subset(&old);
            ensure(fixed, "a sender's SSRCs are fixed")?;
        }
    }
    ensure(cnames.len() <= 1, "one cname (RFC 8834 §4.9)")?;
    for kinds in by_stream.values() {
        let count = |kind| kinds.iter().filter(|other| **other == kind).count();
        ensure(
            count("audio") <= 1 && count("video") <= 1,
            "a stream has one audio and one video track at most",
        )?;
    }
    let Some(before) = before else { return Ok(()) };
    // An SSRC of a section that went on under another mid is never seen again.
    for old in live(before) {
        let goes_on = answer
            .media_at(old.index())
            .is_some_and(|media| media.mid() == old.mid());
        let reused = old.ssrcs().any(|ssrc| ssrcs.contains(&ssrc.ssrc));
        ensure(goes_on || !reused, "an SSRC is never used again under one key")?;
    }
    Ok(())
}
