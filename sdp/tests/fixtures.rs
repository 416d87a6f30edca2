//! Real descriptions of both browsers: printed back byte for byte, and understood.

use std::fs;
use std::path::{Path, PathBuf};

use sdp::{Attribute, Candidate, Direction, Line, Session, Setup, Transport};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sdp")
}

fn fixtures() -> Vec<(String, String)> {
    let mut all = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sdp"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect::<Vec<_>>();
    all.sort();
    assert_eq!(all.len(), 148);
    all
}

fn fixture(name: &str) -> Session {
    Session::parse(&fs::read_to_string(directory().join(name)).unwrap()).unwrap()
}

#[test]
fn every_fixture_is_printed_back_byte_for_byte() {
    for (name, text) in fixtures() {
        let session = Session::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(session.to_string(), text, "{name}");
        assert_eq!(session.raw_lines().count(), text.lines().count(), "{name}");
        assert_eq!(session.lines().count(), text.lines().count(), "{name}");
    }
}

/// With bare line feeds, and with the last one missing.
#[test]
fn line_endings_are_kept() {
    for (name, text) in fixtures() {
        for variant in [
            text.replace("\r\n", "\n"),
            text.trim_end().to_owned(),
            text.replacen("\r\n", "\n", 7),
        ] {
            let session = Session::parse(&variant).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(session.to_string(), variant, "{name}");
        }
    }
}

/// Every line is known, and its typed form writes what was read. Only where a browser writes something that means the
/// same otherwise does the text change.
#[test]
fn every_line_is_typed_and_prints_as_it_was() {
    for (name, text) in fixtures() {
        let session = Session::parse(&text).unwrap();
        for (raw, line) in session.raw_lines().zip(session.lines()) {
            assert!(
                !matches!(line, Line::Unknown { .. } | Line::Attribute(Attribute::Other { .. })),
                "{name}: {raw} is not known"
            );
            let canonical = raw
                .replace("msid-semantic: ", "msid-semantic:")
                .replace(" UDP ", " udp ")
                .replace(" TCP ", " tcp ");
            assert_eq!(line.to_string(), canonical, "{name}");
            assert_eq!(Line::parse(&line.to_string()).unwrap(), line, "{name}");
        }
    }
}

/// The same lines, taken apart and put together by the builder.
#[test]
fn a_description_is_rebuilt_from_its_typed_lines() {
    for (name, text) in fixtures() {
        let session = Session::parse(&text).unwrap();
        let mut builder = sdp::Builder::new();
        for line in session.lines() {
            builder.line(&line);
        }
        let rebuilt = builder.finish().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(rebuilt.lines().eq(session.lines()), "{name}");
    }
}

#[test]
fn trickled_candidates_are_understood() {
    let text = fs::read_to_string(directory().join("candidates.txt")).unwrap();
    let mut seen = 0;
    let mut hidden = 0;
    for line in text.lines() {
        let Some((_, rest)) = line.split_once("\"candidate\": \"") else {
            continue;
        };
        let candidate = rest.split_once('"').unwrap().0;
        if candidate.is_empty() {
            continue;
        }
        let parsed = Candidate::parse(candidate).unwrap_or_else(|error| panic!("{candidate}: {error}"));
        let canonical = candidate.replace(" UDP ", " udp ").replace(" TCP ", " tcp ");
        assert_eq!(format!("candidate:{parsed}"), canonical);
        assert_eq!(parsed.transport == Transport::Tcp, parsed.tcp_type.is_some());
        hidden += usize::from(parsed.address.is_mdns());
        seen += 1;
    }
    assert!(seen > 50 && hidden > 0, "{seen} candidates, {hidden} of them names");
}

#[test]
fn chromium_says_things_in_its_sections() {
    let session = fixture("chromium156-av-dc-offer.sdp");
    assert_eq!(session.origin().unwrap().session_version, 2);
    assert_eq!(
        session.bundles().next().unwrap().mids.iter().collect::<Vec<_>>(),
        ["0", "1", "2"]
    );
    assert!(session.extmap_allow_mixed());
    let video = session.media_by_mid("1").unwrap();
    assert_eq!(
        (video.kind(), video.port(), video.direction()),
        ("video", 54159, Direction::SendRecv)
    );
    assert_eq!(video.setup(), Some(Setup::ActPass));
    assert_eq!(video.ice_ufrag(), Some("A7ws"));
    assert_eq!(video.ice_options().collect::<Vec<_>>(), ["trickle"]);
    assert_eq!(video.fingerprints().next().unwrap().bytes().count(), 32);
    assert_eq!(video.candidates().count(), 4);
    assert!(video.rtcp_mux() && video.rtcp_rsize() && video.extmap_allow_mixed() && !video.is_rejected());
    assert_eq!(video.rtpmap(96).unwrap().encoding, "VP8");
    assert_eq!(video.fmtp(97).unwrap().parameters.number("apt"), Some(96));
    assert_eq!(video.rtcp_fbs_of(96).count(), 5);
    assert_eq!(video.extmaps().map(|extmap| extmap.id).max(), Some(14));
    assert_eq!(
        video.ssrc_groups().next().unwrap().retransmission_pair(),
        Some((2_605_334_688, 1_923_640_237))
    );
    assert_eq!(video.ssrcs().filter_map(|ssrc| ssrc.cname()).count(), 2);
    let data = session.media_at(2).unwrap();
    assert_eq!((data.sctp_port(), data.max_message_size()), (Some(5000), Some(262_144)));
    assert_eq!(data.formats().first(), Some("webrtc-datachannel"));
}

#[test]
fn firefox_says_them_for_the_session() {
    let session = fixture("firefox153-av-dc-offer.sdp");
    let audio = session.media_by_mid("0").unwrap();
    assert_eq!(audio.fingerprints().count(), 1);
    assert_eq!(audio.ice_options().collect::<Vec<_>>(), ["trickle"]);
    assert_eq!(audio.extmaps().nth(1).unwrap().direction, Some(Direction::RecvOnly));
    // a=fmtp stands before a=rtpmap.
    assert_eq!(audio.fmtp(109).unwrap().parameters.get("stereo"), Some("1"));
    assert_eq!(audio.rtpmap(109).unwrap().channels(), 2);
    assert_eq!(
        audio.candidates().filter(|candidate| candidate.component == 2).count(),
        4
    );
    assert!(audio.end_of_candidates());
    assert_eq!(audio.msid().unwrap().stream, "{14d996e2-7d89-4198-ba3b-17cf68b8d713}");
}

#[test]
fn port_zero_means_two_things() {
    let mut rejected = 0;
    let mut bundled = 0;
    for (_, text) in fixtures() {
        let session = Session::parse(&text).unwrap();
        for media in session.media().filter(|media| media.port() == 0) {
            assert_ne!(media.is_rejected(), media.bundle_only());
            rejected += usize::from(media.is_rejected());
            bundled += usize::from(media.bundle_only());
        }
    }
    assert!(
        rejected > 0 && bundled > 0,
        "{rejected} rejected, {bundled} bundle-only"
    );
}

#[test]
fn simulcast_with_payload_types_and_pause() {
    let session = fixture("crafted-sfu-recv-simulcast-pt-paused-offer.sdp");
    assert!(session.ice_lite());
    let video = session.media_at(0).unwrap();
    let recv = video.simulcast().unwrap().recv.unwrap();
    let rids = recv
        .streams()
        .flat_map(|stream| stream.alternatives())
        .map(|rid| (rid.id, rid.paused))
        .collect::<Vec<_>>();
    assert_eq!(rids, [("a", false), ("b", true)]);
    let b = video.rids().nth(1).unwrap();
    assert_eq!(b.payload_types().collect::<Vec<_>>(), [96]);
    assert_eq!(b.restrictions.number("max-width"), Some(320));
}
