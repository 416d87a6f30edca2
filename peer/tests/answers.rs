//! Answers to the browsers' own offers, held to the rules of the RFCs.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::{Pair, check_answer};
use peer::{Codec, Config, Direction, Extension, H264Profile, Peer, State};
use proptest::prelude::*;
use sdp::Session;
use wire::Seed;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> String {
    let path = root().join("../fixtures/sdp").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn offers() -> Vec<String> {
    let names = fs::read_dir(root().join("../fixtures/sdp")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_offer = |name: &String| name.contains("-offer") && name.ends_with(".sdp") && !name.contains("-answer");
    let mut names: Vec<String> = names.filter(is_offer).collect();
    names.sort();
    names
}

fn config() -> Config {
    Config::new(Arc::new(dtls_srtp::Config::new(
        Arc::new(FakeCrypto::new()),
        fake::certificate(1),
    )))
}

fn peer(config: Config, run: u64) -> Peer {
    let mut peer = Peer::new(Arc::new(config), Seed::from_run(run), Instant::now());
    peer.add_local_candidate("192.0.2.1:3478".parse().unwrap());
    peer.add_local_candidate("[2001:db8::1]:3478".parse().unwrap());
    peer
}

fn answer(config: Config, offer: &str) -> String {
    let answer = peer(config, 1)
        .accept_offer(Instant::now(), offer)
        .unwrap_or_else(|error| panic!("{error}\n{offer}"));
    check_answer(offer, &answer, None).unwrap_or_else(|rule| panic!("{rule}\n{answer}"));
    answer
}

#[test]
fn every_offer_of_both_browsers_gets_a_valid_answer() {
    let configs: [fn() -> Config; 6] = [
        config,
        || Config {
            application: true,
            ..config()
        },
        || Config {
            send: false,
            simulcast: false,
            ..config()
        },
        || Config {
            receive: false,
            rtx: false,
            ..config()
        },
        || Config {
            video_codecs: Codec::by_name("av1").unwrap().to_vec(),
            ..config()
        },
        || Config {
            max_ssrcs: 5,
            ..config()
        },
    ];
    let offers = offers();
    assert!(offers.len() > 60, "the fixtures are there");
    for name in offers {
        // An offer that is ICE-lite too is for a full agent.
        let offer = fixture(&name).replace("a=ice-lite\r\n", "");
        for config in configs {
            let answer = peer(config(), 1)
                .accept_offer(Instant::now(), &offer)
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            check_answer(&offer, &answer, None).unwrap_or_else(|rule| panic!("{name}: {rule}\n{answer}"));
        }
    }
}

#[test]
fn sessions_are_renegotiated() {
    let steps = [
        "reneg-1-audio",
        "reneg-2-addvideo",
        "reneg-3-adddc",
        "reneg-4-addvideo2",
        "reneg-5-removetrack",
        "reneg-8-recycle",
        "reneg-9-icerestart",
    ];
    for browser in ["chromium156", "firefox153"] {
        let mut peer = peer(config(), 2);
        let mut before: Option<String> = None;
        let mut ufrag = String::new();
        for step in steps {
            let offer = fixture(&format!("{browser}-{step}-offer.sdp"));
            let answer = peer
                .accept_offer(Instant::now(), &offer)
                .unwrap_or_else(|e| panic!("{browser} {step}: {e}"));
            check_answer(&offer, &answer, before.as_deref()).unwrap_or_else(|rule| panic!("{browser} {step}: {rule}"));
            let session = Session::parse(&answer).unwrap();
            let present = session.media().find_map(|media| media.ice_ufrag()).unwrap().to_owned();
            assert_eq!(
                present != ufrag,
                ufrag.is_empty() || step.ends_with("icerestart"),
                "{browser} {step}"
            );
            ufrag = present;
            before = Some(answer);
        }
        // What was video 1 is video 4 now, in its old place and with an SSRC of its own.
        assert_eq!(peer.sections()[1].mid(), "4");
        assert_eq!(peer.sections()[2].rejected(), Some("data channels are not agreed to"));
    }
}

#[test]
fn slots_form_pairs_and_keep_them() {
    for browser in ["chromium156", "firefox153"] {
        let offer = fixture(&format!("{browser}-slots4x4-offer.sdp"));
        let mut peer = peer(config(), 3);
        let first = peer.accept_offer(Instant::now(), &offer).unwrap();
        check_answer(&offer, &first, None).unwrap();
        let session = Session::parse(&first).unwrap();
        let stream = |index: usize| {
            session
                .media_at(index)
                .unwrap()
                .msid()
                .map(|msid| msid.stream.to_owned())
        };
        assert_eq!(
            (stream(0), stream(1)),
            (None, None),
            "what the client sends is in no stream of ours"
        );
        for slot in 0..4 {
            assert_eq!(stream(2 + slot), Some(format!("s{slot}")));
            assert_eq!(stream(2 + slot), stream(6 + slot), "audio slot n and video slot n");
        }
        let more = fixture(&format!("{browser}-slots4x4-reoffer-one-more.sdp"));
        let second = peer.accept_offer(Instant::now(), &more).unwrap();
        check_answer(&more, &second, Some(&first)).unwrap();
        assert_eq!(peer.sections().len(), 11);
        assert!(peer.sections()[10].sender().is_some());
        assert_eq!(peer.state(), State::Connecting);
    }
}

#[test]
fn what_rtx_repairs_is_a_number() {
    let offer = fixture("chromium156-sendonly-av-offer.sdp");
    for (apt, formats) in [
        ("apt=0096", &[96, 97][..]),
        (" ; apt=96", &[96, 97]),
        ("apt=+96", &[96]),
        ("apt = 96", &[96, 97]),
        ("apt=", &[96]),
        ("apt;apt=96", &[96]),
        ("apt=352", &[96]),
    ] {
        let offer = offer.replace("a=fmtp:97 apt=96", &format!("a=fmtp:97 {apt}"));
        let answer = answer(
            Config {
                video_codecs: vec![Codec::Vp8],
                ..config()
            },
            &offer,
        );
        let session = Session::parse(&answer).unwrap();
        let answered: Vec<u8> = session.media_at(1).unwrap().payload_types().collect();
        assert_eq!(answered, formats, "{apt}");
    }
}

/// What both browsers get for their common offers, to be read by people. `UPDATE_GOLDEN=1` writes them anew.
#[test]
fn answers_are_as_they_were() {
    for name in [
        "chromium156-av-dc",
        "firefox153-av-dc",
        "chromium156-simulcast3-vp8",
        "firefox153-simulcast3-vp8",
    ] {
        let answer = answer(config(), &fixture(&format!("{name}-offer.sdp")));
        let path = root().join("tests/golden").join(format!("{name}-answer.sdp"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &answer).unwrap();
        }
        assert_eq!(answer, fs::read_to_string(&path).unwrap(), "{}", path.display());
    }
}

#[test]
fn formats_follow_our_order_and_their_numbers() {
    let offer = fixture("chromium156-sendonly-av-offer.sdp");
    let formats = |codecs: &[Codec]| {
        let answer = answer(
            Config {
                video_codecs: codecs.to_vec(),
                ..config()
            },
            &offer,
        );
        let session = Session::parse(&answer).unwrap();
        session.media_at(1).unwrap().payload_types().collect::<Vec<u8>>()
    };
    assert_eq!(formats(&[Codec::Vp8]), [96, 97]);
    assert_eq!(formats(&Codec::H264), [108, 109, 102, 103, 116, 117]);
    assert_eq!(
        formats(&[Codec::Av1 { profile: 0 }, Codec::Vp9 { profile: 2 }, Codec::Vp8]),
        [45, 46, 100, 101, 96, 97]
    );
    let mode_0 = Codec::H264 {
        profile: H264Profile::Main,
        packetization_mode: 0,
    };
    assert_eq!(formats(&[mode_0]), [39, 40]);
    // Nothing in common: rejected, and the rest goes on.
    let answer = answer(
        Config {
            video_codecs: vec![Codec::Av1 { profile: 2 }],
            ..config()
        },
        &offer,
    );
    let session = Session::parse(&answer).unwrap();
    assert_eq!(session.media_at(1).unwrap().port(), 0);
    assert_eq!(session.bundles().next().unwrap().to_string(), "BUNDLE 0");
}

/// A section of a browser's offer, by index.
fn section(text: &str, index: usize) -> String {
    text.split("m=")
        .nth(index + 1)
        .map(|section| format!("m={section}"))
        .unwrap()
}

#[test]
fn a_rejected_tag_is_followed_by_the_next() {
    // The audio section, which is tagged, has no codec that we know.
    let offer = fixture("chromium156-av-offer.sdp").replace("opus/48000/2", "opusx/48000/2");
    let rejected = answer(config(), &offer);
    let session = Session::parse(&rejected).unwrap();
    assert_eq!(session.media_at(0).unwrap().port(), 0);
    assert_eq!(session.bundles().next().unwrap().to_string(), "BUNDLE 1");
    assert!(session.media_at(1).unwrap().candidates().count() == 2);
    // Firefox's second section has port zero and cannot take its place (RFC 9143 §7.3.1).
    let offer = fixture("firefox153-slots4x4-offer.sdp");
    let first = section(&offer, 0);
    let answer = answer(
        config(),
        &offer.replace(&first, &first.replace("opus/48000/2", "opusx/48000/2")),
    );
    let session = Session::parse(&answer).unwrap();
    assert!(session.media().all(|media| media.port() == 0));
    assert_eq!(session.bundles().count(), 0);
}

#[test]
fn retransmission_may_be_agreed_to_later() {
    let offer = fixture("chromium156-recvonly-av-offer.sdp");
    let without = offer.replace(" rtx/90000", " rtx/91000");
    let mut peer = peer(config(), 1);
    let mut answers = Vec::new();
    for offer in [&without, &offer, &without, &offer] {
        let answer = peer.accept_offer(Instant::now(), offer).unwrap();
        check_answer(offer, &answer, answers.last().map(String::as_str)).unwrap();
        answers.push(answer);
    }
    let ssrcs = |answer: &str| {
        answer
            .lines()
            .filter(|line| line.starts_with("a=ssrc"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(ssrcs(&answers[1]).len(), ssrcs(&answers[0]).len() + 2);
    assert_eq!(
        (ssrcs(&answers[1]), ssrcs(&answers[0])),
        (ssrcs(&answers[3]), ssrcs(&answers[2]))
    );
}

#[test]
fn the_budget_of_streams_is_kept() {
    let offer = fixture("chromium156-slots4x4-offer.sdp");
    let mut peer = peer(
        Config {
            max_ssrcs: 6,
            ..config()
        },
        1,
    );
    let answer = peer.accept_offer(Instant::now(), &offer).unwrap();
    check_answer(&offer, &answer, None).unwrap();
    let rejected = |peer: &Peer| {
        peer.sections()
            .iter()
            .filter_map(peer::Section::rejected)
            .collect::<Vec<_>>()
    };
    assert_eq!(rejected(&peer), ["there are as many streams as are allowed"; 3]);
    let again = peer.accept_offer(Instant::now(), &offer).unwrap();
    check_answer(&offer, &again, Some(&answer)).unwrap();
    assert_eq!(rejected(&peer).len(), 3, "those that are there stay");
}

#[test]
fn what_is_not_bundled_is_rejected() {
    let offer = fixture("chromium156-av-offer.sdp").replace("a=group:BUNDLE 0 1\r\n", "");
    let answer = answer(config(), &offer);
    let ports: Vec<u16> = Session::parse(&answer)
        .unwrap()
        .media()
        .map(|media| media.port())
        .collect();
    assert_eq!(ports, [9, 0]);
}

#[test]
fn another_formats_parameters_mean_nothing() {
    let offer = fixture("chromium156-av-offer.sdp")
        .replace(
            "a=rtpmap:96 VP8/90000\r\n",
            "a=rtpmap:96 VP8/90000\r\na=fmtp:96 profile-id=2\r\n",
        )
        .replace("a=fmtp:97 apt=96\r\n", "a=fmtp:97 apt=96;packetization-mode=2\r\n");
    assert!(
        offer.contains("profile-id=2\r\n") && offer.contains("mode=2\r\n"),
        "{offer}"
    );
    let answer = answer(config(), &offer);
    assert!(answer.contains("a=rtpmap:96 VP8/90000\r\n"), "{answer}");
    assert!(!answer.contains("a=fmtp:96"), "{answer}");
    assert!(answer.contains("a=fmtp:97 apt=96\r\n"), "{answer}");
}

#[test]
fn a_section_without_multiplexed_rtcp_is_rejected() {
    let offer = fixture("chromium156-av-offer.sdp").replacen("a=rtcp-mux\r\n", "", 1);
    let mut peer = peer(config(), 1);
    let answer = peer.accept_offer(Instant::now(), &offer).unwrap();
    check_answer(&offer, &answer, None).unwrap();
    assert_eq!(
        peer.sections()[0].rejected(),
        Some("RTP and RTCP must share a port (a=rtcp-mux)")
    );
    assert_eq!(peer.sections()[1].rejected(), None);
}

#[test]
fn extensions_and_feedback_are_only_those_that_are_acted_on() {
    let offer = fixture("chromium156-simulcast3-vp8-offer.sdp");
    let mut peer = peer(config(), 1);
    let answer = peer.accept_offer(Instant::now(), &offer).unwrap();
    let video = peer
        .sections()
        .iter()
        .find(|section| section.kind() == peer::Kind::Video)
        .unwrap();
    let known: Vec<(Extension, u8)> = video.extensions().iter().collect();
    let expected = [
        (Extension::Mid, 4),
        (Extension::Rid, 10),
        (Extension::RepairedRid, 11),
        (Extension::TransportCc, 3),
        (Extension::VideoOrientation, 13),
        (Extension::PlayoutDelay, 5),
        (Extension::DependencyDescriptor, 12),
    ];
    assert_eq!(known, expected);
    assert_eq!(video.direction(), Direction::RecvOnly);
    assert!(answer.contains("a=rtcp-fb:96 transport-cc") && !answer.contains("goog-remb"));
    assert!(answer.contains("a=rtcp-fb:96 nack\r\n"), "what is missing is asked for");
    let deaf = Config {
        nack: false,
        ..config()
    };
    assert!(!self::answer(deaf, &offer).contains("a=rtcp-fb:96 nack\r\n"));
    // Where we only send there is nothing to estimate, and NACKs are answered.
    let answer = self::answer(config(), &fixture("chromium156-recvonly-av-offer.sdp"));
    assert!(!answer.contains("transport-cc") && !answer.contains("goog-remb"));
    assert!(answer.contains("a=rtcp-fb:96 nack\r\n") && answer.contains("a=rtcp-xr:rcvr-rtt=all"));
}

#[test]
fn no_bit_rate_is_told_beside_transport_wide_feedback() {
    let offer = fixture("chromium156-av-offer.sdp");
    // Only the audio section has the numbers now: they speak for the whole transport.
    let line = format!("a=extmap:3 {}\r\n", Extension::TransportCc.uri());
    let last = offer.rfind(&line).unwrap();
    let offer = format!("{}{}", &offer[..last], &offer[last + line.len()..]);
    assert!(offer.contains(&line));
    let answer = answer(config(), &offer);
    assert!(answer.contains("transport-cc") && !answer.contains("goog-remb"));
    // Without them anywhere it is.
    let answer = self::answer(config(), &offer.replace(&line, ""));
    assert!(answer.contains("goog-remb") && !answer.contains("transport-cc"));
}

#[test]
fn extension_ids_above_14_need_allow_mixed() {
    let mixed = fixture("chromium156-av-offer.sdp").replace("a=extmap:4 ", "a=extmap:20 ");
    assert!(answer(config(), &mixed).contains("a=extmap:20 urn:ietf:params:rtp-hdrext:sdes:mid"));
    let plain = mixed.replace("a=extmap-allow-mixed\r\n", "");
    let answer = answer(config(), &plain);
    assert!(!answer.contains("sdes:mid") && !answer.contains("allow-mixed"));
}

#[test]
fn an_extension_id_means_one_thing_in_a_bundle() {
    let offer = fixture("chromium156-av-offer.sdp");
    let video = section(&offer, 1);
    let other = video.replace(
        "a=extmap:13 urn:3gpp:video-orientation",
        "a=extmap:1 urn:3gpp:video-orientation",
    );
    assert_ne!(video, other);
    let answer = answer(config(), &offer.replace(&video, &other));
    assert!(answer.contains("a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level"));
    assert!(!answer.contains("video-orientation"));
}

#[test]
fn simulcast_is_a_matter_of_configuration() {
    let offer = fixture("chromium156-simulcast3-vp8-offer.sdp");
    let plain = answer(
        Config {
            simulcast: false,
            ..config()
        },
        &offer,
    );
    assert!(!plain.contains("simulcast") && !plain.contains("a=rid") && !plain.contains("rtp-stream-id"));
    // Restrictions are answered as far as their formats are agreed to, alternatives by the first one.
    let restricted = offer
        .replace("a=rid:q send", "a=rid:q send pt=96,98;max-width=320")
        .replace("a=rid:h send", "a=rid:h send pt=98")
        .replace("send q;h;f", "send ~q;h;f,q");
    let answer = answer(config(), &restricted);
    assert!(answer.contains("a=rid:q recv pt=96;max-width=320\r\n"), "{answer}");
    assert!(answer.contains("a=simulcast:recv q;f\r\n") && !answer.contains("a=rid:h"));
}

#[test]
fn data_sections_wait_for_their_day() {
    let offer = fixture("firefox153-dc-offer.sdp");
    let mut peer = peer(config(), 1);
    let rejected = peer.accept_offer(Instant::now(), &offer).unwrap();
    check_answer(&offer, &rejected, None).unwrap();
    assert!(rejected.contains("m=application 0 ") && !rejected.contains("BUNDLE"));
    assert_eq!(peer.state(), State::New);
    let accepted = answer(
        Config {
            application: true,
            ..config()
        },
        &offer,
    );
    assert!(
        accepted.contains("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n")
            && accepted.contains("a=sctp-port:5000")
    );
}

#[test]
fn refusals_are_sentences_with_line_and_rule() {
    let offer = fixture("chromium156-av-offer.sdp");
    let refusal = |offer: &str| peer(config(), 1).accept_offer(Instant::now(), offer).unwrap_err();
    let cases = [
        (offer.replace("a=mid:1", "a=mid:0"), "another section has this mid"),
        (offer.replace("a=ice-ufrag:", "a=x-ufrag:"), "needs a=ice-ufrag"),
        (offer.replace("a=ice-pwd:", "a=x-pwd:"), "needs a=ice-pwd"),
        (
            offer.replace("a=fingerprint:", "a=x-fingerprint:"),
            "needs a=fingerprint",
        ),
        (
            offer.replace("a=fingerprint:sha-256 ", "a=fingerprint:sha-999 "),
            "hash function",
        ),
        (offer.replace("a=setup:actpass", "a=setup:holdconn"), "holdconn"),
        (offer.replace("a=setup:actpass", "a=setup:both"), "a=setup is active"),
        (
            offer.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"),
            "both ends are ICE-lite",
        ),
        (offer.replace("v=0", "v=1"), "v=0"),
    ];
    for (offer, expected) in cases {
        let error = refusal(&offer);
        let text = error.to_string();
        assert!(
            text.starts_with("the offer cannot be accepted: ") && text.contains(expected),
            "{text}"
        );
        if let Some(line) = error.line() {
            assert!(
                text.contains(&format!("line {line}: ")) && line <= offer.lines().count(),
                "{text}"
            );
        } else {
            assert!(expected.contains("ICE-lite"), "{text}");
        }
    }
    let m_line = offer.lines().position(|line| line.starts_with("m=audio")).unwrap() + 1;
    assert_eq!(
        refusal(&offer.replace("a=setup:actpass", "a=setup:holdconn")).line(),
        Some(m_line)
    );

    let small = Config {
        max_sections: 1,
        ..config()
    };
    let error = peer(small, 1).accept_offer(Instant::now(), &offer).unwrap_err();
    assert!(error.to_string().contains("at most 1 m-sections"), "{error}");
    let mut shrinking = peer(config(), 1);
    shrinking.accept_offer(Instant::now(), &offer).unwrap();
    let end = offer.find("m=video").unwrap();
    let error = shrinking.accept_offer(Instant::now(), &offer[..end]).unwrap_err();
    assert!(error.to_string().contains("RFC 3264 §8"), "{error}");
}

#[test]
fn a_refused_offer_changes_nothing() {
    let offer = fixture("chromium156-av-offer.sdp");
    let mut peer = peer(config(), 1);
    let first = peer.accept_offer(Instant::now(), &offer).unwrap();
    let bad = offer
        .replace("a=setup:actpass", "a=setup:passive")
        .replace("sendrecv", "inactive");
    assert!(peer.accept_offer(Instant::now(), &bad).is_err());
    let second = peer.accept_offer(Instant::now(), &offer).unwrap();
    check_answer(&offer, &second, Some(&first)).unwrap();
    let body = |answer: &str| answer.split_once("s=-").unwrap().1.to_owned();
    assert_eq!(body(&first), body(&second));
}

/// The reader of answers is strict: each of these changes breaks a rule.
#[test]
fn the_rules_have_teeth() {
    let offer = fixture("chromium156-slots4x4-offer.sdp");
    let mut peer = peer(config(), 1);
    let answer = peer.accept_offer(Instant::now(), &offer).unwrap();
    let next = peer.accept_offer(Instant::now(), &offer).unwrap();
    check_answer(&offer, &next, Some(&answer)).unwrap();
    let ssrc = peer.sender(peer.sections()[2].sender().unwrap()).unwrap().ssrc().0;
    let changes: Vec<(String, String)> = [
        ("a=ice-lite\r\n", ""),
        ("BUNDLE 0 1", "BUNDLE 1 0"),
        ("BUNDLE 0 1", "BUNDLE 0"),
        ("a=mid:3", "a=mid:33"),
        ("a=recvonly", "a=sendrecv"),
        ("a=rtcp-mux\r\n", ""),
        ("a=extmap:4 ", "a=extmap:9 "),
        ("a=setup:passive", "a=setup:actpass"),
        ("a=rtcp-fb:96 ccm fir", "a=rtcp-fb:96 ack rpsi"),
        ("a=rtcp-fb:111 transport-cc\r\n", ""),
        ("opus/48000/2", "opus/48000"),
        ("a=msid:s1 ", "a=msid:s0 "),
        ("apt=96", "apt=108"),
        ("UDP/TLS/RTP/SAVPF 111", "UDP/TLS/RTP/SAVPF 63"),
        ("UDP/TLS/RTP/SAVPF 96 97", "UDP/TLS/RTP/SAVPF 97 96 97"),
        ("m=audio 9 ", "m=audio 0 "),
        ("a=ssrc-group:FID ", "a=ssrc-group:SIM "),
        ("a=fingerprint:sha-256 ", "a=x-fingerprint:sha-256 "),
    ]
    .iter()
    .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
    .chain([(format!("a=ssrc:{ssrc} "), format!("a=ssrc:{} ", ssrc ^ 1))])
    .collect();
    for (from, to) in changes {
        let broken = next.replacen(&from, &to, 1);
        assert_ne!(broken, next, "{from}");
        assert!(
            check_answer(&offer, &broken, Some(&answer)).is_err(),
            "{from} -> {to} passes"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Offers with lines taken away, doubled and moved get a valid answer or a refusal, also in a row.
    #[test]
    fn damaged_offers_get_valid_answers_or_refusals(
        run: u64,
        which in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8), 0..6)), 1..4),
    ) {
        let names = offers();
        let mut peer = peer(config(), run);
        let mut before: Option<String> = None;
        for (name, damages) in which {
            let offer = fixture(&names[name.index(names.len())]).replace("a=ice-lite\r\n", "");
            let mut lines: Vec<&str> = offer.split_inclusive("\r\n").collect();
            for (at, how) in damages {
                let at = at.index(lines.len());
                match how {
                    0 => drop(lines.remove(at)),
                    1 => lines.insert(at, lines[at]),
                    2 if at > 4 => lines.swap(at, at - 1),
                    _ => lines.truncate(at.max(6)),
                }
            }
            let offer = lines.concat();
            if let Ok(answer) = peer.accept_offer(Instant::now(), &offer) {
                // Another browser's offer in the same session has other sections; the sessions' rules hold anyway.
                if let Err(rule) = check_answer(&offer, &answer, before.as_deref()) {
                    panic!("{rule}\n{offer}\n{answer}");
                }
                before = Some(answer);
            }
        }
    }
}

/// An offer of the length that is accepted, in which everything that could be asked for again and again is there
/// thousands of times: answering it takes a time of the order of reading it, for a worker that answers does not forward
/// meanwhile.
#[test]
fn hostile_offers_are_answered_as_fast_as_they_are_read() {
    const LENGTH: usize = 250_000;
    let head = |groups: &str, formats: &str| {
        let fingerprint = ["12"; 32].join(":");
        format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:abcd\r\n\
             a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\na=fingerprint:sha-256 {fingerprint}\r\n\
             a=group:BUNDLE 0{groups}\r\nm=video 9 UDP/TLS/RTP/SAVPF 96{formats}\r\nc=IN IP4 0.0.0.0\r\n\
             a=mid:0\r\na=rtcp-mux\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n"
        )
    };
    let fill = |mut offer: String, length: usize, line: &dyn Fn(usize) -> String| {
        let lines = (length - offer.len()) / line(99_999).len();
        offer.extend((0..lines).map(line));
        offer
    };
    let rid = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=simulcast:send b";
    let section =
        |n| format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{n}\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n");
    let sections: String = (1..250).map(section).collect();
    let formats = head("", &" 9".repeat(60_000)) + "a=rtpmap:9 H264/90000\r\n";
    let layers = head("", "") + rid + &";b".repeat(50_000) + "\r\n";
    let sources = fill(head("", ""), LENGTH / 2, &|n| format!("a=ssrc:{n} a\r\n"));
    let offers = [
        ("parameters", fill(formats, LENGTH, &|_| "a=fmtp:1 x\r\n".into())),
        ("layers", fill(layers, LENGTH, &|n| format!("a=rid:a{n} send\r\n"))),
        (
            "sources",
            fill(sources, LENGTH, &|n| format!("a=ssrc-group:FID {n} {}\r\n", n + 1)),
        ),
        ("members", head(&" x".repeat(80_000), "") + &sections),
    ];
    for (name, offer) in offers {
        let time = |work: &dyn Fn()| {
            let start = Instant::now();
            work();
            start.elapsed()
        };
        // The best of many in turns: what disturbs the machine disturbs both, and never all of them.
        let (mut read, mut answer) = (Duration::MAX, Duration::MAX);
        for _ in 0..12 {
            read = read.min(time(&|| drop(Session::parse(&offer).unwrap())));
            answer = answer.min(time(&|| {
                drop(Pair::new(1).peer.accept_offer(Instant::now(), &offer).unwrap());
            }));
        }
        assert!(answer < read * 20, "{name}: read in {read:?}, answered in {answer:?}");
    }
}
