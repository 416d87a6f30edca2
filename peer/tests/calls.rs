//! Whole calls in virtual time.

use std::sync::Arc;
use std::time::Duration;

use dtls_srtp::fake::{self, FakeCrypto};
use dtls_srtp::{Authentication, ClientCertificate, Version};
use peer::testing::{Client, Pair, check_answer};
use peer::{Blocked, CloseReason, Config, Direction, Event, Extension, Kind, Peer, SenderId, State, StreamId};
use rtp::ntp::NtpTime;
use rtp::rtcp::{
    Bye, Compound, Fir, FirEntry, Nack, Packet, Pli, ReceiverReport, Sdes, SenderInfo, SenderReport, Status, Xr,
    XrBlock,
};
use rtp::{PayloadType, RtpOut, Ssrc};
use wire::Seed;

const NO_COUNTERS: [(&str, u64); 0] = [];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A client with microphone, camera and a slot of each kind.
fn room(run: u64) -> Pair {
    room_with(run, Pair::config())
}

/// The same, in which DTLS speaks this version.
fn room_of(run: u64, version: Version) -> Pair {
    let mut config = Pair::config();
    Arc::make_mut(&mut config.dtls).versions = vec![version];
    room_with(run, config)
}

fn room_with(run: u64, config: Config) -> Pair {
    let mut pair = Pair::with_config(run, config);
    pair.client.add(Kind::Audio, Direction::SendOnly);
    pair.client.add(Kind::Video, Direction::SendOnly);
    pair.client.add(Kind::Audio, Direction::RecvOnly);
    pair.client.add(Kind::Video, Direction::RecvOnly);
    pair
}

fn connected(run: u64) -> Pair {
    let mut pair = room(run);
    pair.connect();
    pair
}

const MIC: usize = 0;
const CAMERA: usize = 1;
const AUDIO_SLOT: usize = 2;
const VIDEO_SLOT: usize = 3;

fn sender(pair: &Pair, section: usize) -> SenderId {
    pair.peer.sections()[section].sender().expect("a sender")
}

fn stream(pair: &Pair, section: usize) -> StreamId {
    pair.peer.sections()[section].streams()[0].id
}

fn vp8(sequence_number: u64, timestamp: u32) -> RtpOut<'static> {
    RtpOut {
        payload_type: PayloadType(96),
        sequence_number,
        timestamp,
        ..RtpOut::default()
    }
}

/// Writes a packet of the video slot and delivers it.
fn send(pair: &mut Pair, sequence: u64, timestamp: u32, payload: &[u8]) {
    let sender = sender(pair, VIDEO_SLOT);
    pair.deliver_to_client(|peer, now, out| {
        peer.write_rtp(now, sender, &vp8(sequence, timestamp), &[payload], out)
            .expect("not blocked")
    });
}

/// The RTCP packets that the client received, one line each, as [`Packet`] prints them.
fn rtcp_lines(pair: &Pair) -> Vec<String> {
    let compounds = pair
        .client
        .rtcp
        .iter()
        .map(|bytes| Compound::parse(bytes).expect("valid RTCP"));
    compounds
        .flat_map(|compound| {
            compound
                .packets()
                .map(|p| p.expect("valid").to_string())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// What the peer itself counted, without the engines inside.
fn expect_own(pair: &Pair, expected: &[(&'static str, u64)]) {
    assert_eq!(
        pair.peer
            .counters()
            .iter()
            .filter(|(_, value)| *value != 0)
            .collect::<Vec<_>>(),
        expected
    );
}

fn expect_counters(pair: &Pair, expected: &[(&'static str, u64)]) {
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_clean_call_raises_no_counter() {
    let mut pair = room(1);
    pair.connect();
    assert!(pair.elapsed() < ms(200), "{:?}", pair.elapsed());
    for tick in 0..500 {
        pair.client.send_media(MIC, tick * 960, b"opus");
        pair.client.send_media(CAMERA, tick * 1800, b"a picture");
        send(&mut pair, u64::from(tick) + 1, tick * 1800, b"another picture");
        pair.run(ms(20));
    }
    assert_eq!(pair.sink.rtp.len(), 1000);
    assert_eq!(pair.client.rtp.len(), 500);
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
    let secured = |event: &&Event| matches!(event, Event::Secured(_));
    assert_eq!(pair.events.iter().filter(secured).count(), 1);
    assert_eq!(pair.events.first(), Some(&Event::Negotiated));
    assert_eq!(pair.events.last(), Some(&Event::Connected));
    assert_eq!(pair.peer.state(), State::Connected);
    let Some(Event::Secured(secured)) = pair.events.iter().find(secured) else {
        panic!("not secured")
    };
    assert_eq!((secured.version, secured.group), ("DTLS 1.3", "X25519MLKEM768"));
    assert_eq!(secured.srtp_profile, "SRTP_AEAD_AES_128_GCM");
}

#[test]
fn packets_are_handed_over_with_what_is_known_of_them() {
    let mut pair = connected(2);
    pair.client.send_media(MIC, 1, b"opus");
    pair.client.send_media(CAMERA, 2, b"vp8");
    // One is missing, and then comes as a retransmission; the first comes again as a probe.
    pair.client.media[CAMERA].sequence[0].0 += 1;
    pair.client.send_media(CAMERA, 4, b"vp8");
    pair.client.send_layer(CAMERA, 0, true, 3, b"\x03\xe9vp8");
    pair.client.send_layer(CAMERA, 0, true, 2, b"\x03\xe8vp8");
    pair.run(ms(20));
    let [audio, video, _, rtx] = &pair.sink.rtp[..] else {
        panic!("four packets")
    };
    assert_eq!(
        (audio.kind, audio.codec, audio.mid.as_str()),
        (Kind::Audio, peer::Codec::Opus, "0")
    );
    assert_eq!(
        (video.kind, video.codec, video.mid.as_str()),
        (Kind::Video, peer::Codec::Vp8, "1")
    );
    assert_eq!((audio.sequence, video.sequence, rtx.sequence), (1000, 1000, 1001));
    assert_ne!(audio.stream, video.stream);
    assert_eq!((video.stream, video.repair), (rtx.stream, false));
    assert!(rtx.repair && rtx.codec == peer::Codec::Vp8);
    assert_eq!(rtx.payload(), b"vp8");
    let packet = rtp::Packet::parse(&rtx.bytes[..]).unwrap();
    let ssrc = pair.client.media[CAMERA].ssrcs[0].0;
    assert_eq!((packet.payload_type(), packet.ssrc()), (PayloadType(96), ssrc));
    assert_eq!((packet.sequence_number(), packet.timestamp()), (1001, 3));
    assert_eq!(audio.section, MIC);
}

#[test]
fn what_is_sent_arrives_and_is_reported() {
    let mut pair = connected(3);
    let id = sender(&pair, VIDEO_SLOT);
    let (ssrc, rtx) = (
        pair.peer.sender(id).unwrap().ssrc(),
        pair.peer.sender(id).unwrap().rtx_ssrc().unwrap(),
    );
    // The clock says: 90 000 ticks are one second before the report.
    pair.peer.set_sender_clock(id, pair.now, 5000);
    pair.run(Duration::from_secs(1));
    pair.deliver_to_client(|peer, now, out| {
        let extensions: &[(u8, &[u8])] = &[(4, b"3")];
        let header = RtpOut {
            extensions,
            marker: true,
            padding: 3,
            ..vp8(4464, 7)
        };
        peer.write_rtp(now, id, &header, &[b"one ", b"payload"], out).unwrap()
    });
    let got = pair.client.rtp.last().unwrap();
    assert_eq!((got.ssrc, got.packet().payload()), (ssrc, &b"one payload"[..]));
    assert_eq!((got.packet().padding_len(), got.packet().marker()), (3, true));
    assert_eq!(got.packet().sequence_number(), 4464);
    assert_eq!(got.packet().extension(4), Some(&b"3"[..]));

    // The first report follows at once.
    pair.run(ms(11));
    let report = rtcp_lines(&pair)
        .into_iter()
        .find(|line| line.starts_with("SR"))
        .expect("a sender report");
    assert!(report.contains(&format!("SR {ssrc}")), "{report}");
    assert!(report.contains("ts=95000 packets=1 octets=11"), "{report}");
    let name = format!("SDES {{{ssrc} CNAME=\"{}\"}}", pair.peer.cname());
    assert!(rtcp_lines(&pair).contains(&name), "{:?}", rtcp_lines(&pair));
    // Retransmission: another SSRC and number, the original number before the payload.
    pair.deliver_to_client(|peer, now, out| {
        peer.write_rtx(now, id, &vp8(4464, 7), &[b"one ", b"payload"], out)
            .unwrap()
    });
    let got = pair.client.rtp.last().unwrap().packet();
    assert_eq!(
        (got.ssrc(), got.payload_type(), got.timestamp()),
        (rtx, PayloadType(97), 7)
    );
    assert_eq!(got.payload(), b"\x11\x70one payload");
    // On request a report comes at once too.
    pair.client.rtcp.clear();
    pair.peer.send_report_now(pair.now, id);
    pair.run(ms(11));
    assert!(
        rtcp_lines(&pair)
            .iter()
            .any(|line| line.starts_with(&format!("SR {ssrc}")))
    );
    let statistics = pair.peer.sender_statistics(id).unwrap();
    assert_eq!(
        (
            statistics.packets,
            statistics.payload_bytes,
            statistics.retransmitted_packets
        ),
        (1, 11, 1)
    );
}

#[test]
fn writing_is_blocked_with_a_reason() {
    let mut pair = room(4);
    pair.negotiate();
    let (id, now) = (sender(&pair, VIDEO_SLOT), pair.now);
    let mut out = [0; 1500];
    assert_eq!(
        pair.peer.write_rtp(now, id, &vp8(1, 1), &[b"x"], &mut out),
        Err(Blocked::NotConnected)
    );
    pair.connect();
    let now = pair.now;
    let audio = sender(&pair, AUDIO_SLOT);
    let peer = &mut pair.peer;
    assert_eq!(
        peer.write_rtp(now, SenderId(99), &vp8(1, 1), &[b"x"], &mut out),
        Err(Blocked::NotSending)
    );
    assert_eq!(
        peer.write_rtp(now, id, &vp8(1, 1), &[b"x"], &mut out),
        Ok(12 + 1 + peer.srtp_overhead())
    );
    assert_eq!(
        peer.write_rtp(now, id, &vp8(1, 1), &[b"y"], &mut out),
        Err(Blocked::IndexReused)
    );
    assert_eq!(
        peer.write_rtp(now, id, &vp8(1 << 48, 1), &[b"y"], &mut out),
        Err(Blocked::BadHeader)
    );
    let size = 12 + 1200 + peer.srtp_overhead();
    assert_eq!(
        peer.write_rtp(now, id, &vp8(2, 1), &[&[0; 1200]], &mut out),
        Err(Blocked::TooLarge { size })
    );
    // No more room would help, however little there is.
    for len in [Peer::MIN_OUT, 100] {
        let refused = peer.write_rtp(now, id, &vp8(2, 1), &[&[0; 1600]], &mut out[..len]);
        assert_eq!(refused, Err(Blocked::TooLarge { size: size + 400 }));
    }
    assert!(matches!(
        peer.write_rtp(now, id, &vp8(2, 1), &[b"x"], &mut out[..20]),
        Err(Blocked::NoRoom { .. })
    ));
    assert_eq!(
        peer.write_rtx(now, audio, &vp8(2, 1), &[b"x"], &mut out),
        Err(Blocked::NoRetransmission)
    );
    let unknown = RtpOut {
        payload_type: PayloadType(111),
        ..vp8(2, 1)
    };
    assert_eq!(
        peer.write_rtx(now, id, &unknown, &[b"x"], &mut out),
        Err(Blocked::NoRetransmission)
    );
    assert_eq!(peer.sender_statistics(id).unwrap().packets, 1);
    expect_counters(&pair, &[("srtp_index_reuse", 1)]);
}

/// Whether this is the last flight of a handshake: in DTLS 1.2 the server's, which begins with ChangeCipherSpec; in DTLS
/// 1.3 the client's, which fills datagrams of epoch 2 alone.
fn is_last_flight(datagram: &[u8]) -> bool {
    datagram
        .first()
        .is_some_and(|first| *first == 20 || first & 0xe3 == 0x22)
}

/// Calls in which the peer gets its keys last: the client's last flight makes a detour, its media overtakes it.
fn late_keys(detour: fn(&[u8]) -> Duration) -> impl Iterator<Item = Pair> {
    [(Version::DTLS_1_2, "passive"), (Version::DTLS_1_3, "active")]
        .into_iter()
        .map(move |(version, setup)| {
            let mut pair = room_of(5, version);
            pair.client.setup = setup;
            pair.detour = detour;
            let answer = pair.negotiate();
            assert_eq!(answer.contains("a=setup:active"), setup == "passive");
            while !pair.client.is_secured() {
                pair.run(ms(1));
            }
            pair
        })
}

#[test]
fn media_before_the_keys_waits_for_them() {
    for mut pair in late_keys(|datagram| ms(if is_last_flight(datagram) { 100 } else { 0 })) {
        for _ in 0..40 {
            pair.client.send_media(MIC, 1, b"early");
        }
        let arrival = pair.now + pair.delay;
        pair.run(ms(50));
        assert_eq!((pair.peer.state(), pair.sink.rtp.len()), (State::Connecting, 0));
        pair.run(ms(100));
        assert_eq!((pair.peer.state(), pair.sink.rtp.len()), (State::Connected, 32));
        assert_eq!(pair.sink.rtp[31].sequence, 1031);
        assert!(pair.sink.rtp.iter().all(|early| early.arrival == arrival));
        expect_own(&pair, &[("early_media_overflow", 8)]);
    }
}

#[test]
fn media_long_before_the_keys_is_dropped() {
    for mut pair in late_keys(|datagram| ms(if is_last_flight(datagram) { 400 } else { 0 })) {
        pair.client.send_media(MIC, 1, b"too early");
        pair.run(ms(100));
        pair.client.send_media(MIC, 1, b"too early too");
        pair.run(ms(150));
        expect_own(&pair, &[("early_media_expired", 1)]);
        pair.run(ms(500));
        assert_eq!(pair.sink.rtp.len(), 0);
        expect_own(&pair, &[("early_media_expired", 2)]);
    }
}

#[test]
fn the_role_stays_whatever_later_offers_say() {
    let mut pair = connected(6);
    pair.client.setup = "active";
    assert!(pair.negotiate().contains("a=setup:passive"));
    pair.client.setup = "passive";
    let offer = pair.client.offer();
    let error = pair.peer.accept_offer(pair.now, &offer).unwrap_err().to_string();
    assert!(
        error.contains("the DTLS roles stay") && error.contains("line 7:"),
        "{error}"
    );
}

#[test]
fn an_ice_restart_keeps_media_and_keys() {
    let mut pair = connected(7);
    let ufrag = pair.peer.local_ufrags().next().unwrap().to_owned();
    pair.client.restart_ice();
    let answer = pair.negotiate();
    assert!(!answer.contains(&format!("a=ice-ufrag:{ufrag}")));
    // Both generations are answered until the new one is nominated.
    assert_eq!(pair.peer.local_ufrags().count(), 2);
    assert!(pair.peer.local_ufrags().any(|known| known == ufrag));
    // The old path works on before any new check.
    send(&mut pair, 1, 1, b"during the restart");
    pair.client.address = "203.0.113.5:6000".parse().unwrap();
    pair.run(ms(500));
    assert_eq!(pair.peer.selected_path().unwrap().remote, pair.client.address);
    pair.client.send_media(CAMERA, 1, b"after");
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.peer.local_ufrags().count(), 1);
    assert_eq!((pair.sink.rtp.len(), pair.client.rtp.len()), (1, 1));
    assert_eq!(pair.peer.state(), State::Connected);
    assert_eq!(
        pair.events
            .iter()
            .filter(|event| matches!(event, Event::Secured(_)))
            .count(),
        1
    );
    assert!(!pair.events.contains(&Event::Disconnected));
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn fragments_trickle_and_restart() {
    let mut pair = connected(8);
    let (ufrag, pwd) = pair.client.credentials();
    let trickle = format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2130706431 198.51.100.7 5000 typ host\r\na=end-of-candidates\r\n"
    );
    assert_eq!(pair.peer.handle_fragment(pair.now, &trickle), Ok(None));
    pair.client.restart_ice();
    let (ufrag, pwd) = pair.client.credentials();
    let error = pair
        .peer
        .handle_fragment(pair.now, &format!("a=ice-ufrag:{ufrag}\r\n"))
        .unwrap_err();
    assert!(error.to_string().contains("a=ice-pwd"), "{error}");
    let restart = format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n");
    let answer = pair
        .peer
        .handle_fragment(pair.now, &restart)
        .unwrap()
        .expect("a fragment");
    let fragment = sdp::SdpFragment::parse(&answer).unwrap();
    assert!(fragment.ice_lite());
    let media = fragment.media().next().unwrap();
    assert_eq!((media.mid(), media.candidates().count()), (Some("0"), 2));
    let remote = (
        media.ice_ufrag().unwrap().to_owned(),
        media.ice_pwd().unwrap().to_owned(),
    );
    pair.client.take_credentials(pair.now, remote);
    pair.run(Duration::from_secs(5));
    assert_eq!(
        (pair.peer.state(), pair.peer.local_ufrags().count()),
        (State::Connected, 1)
    );
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);

    let mut early = Pair::new(8);
    let error = early.peer.handle_fragment(early.now, &restart).unwrap_err();
    assert!(error.to_string().contains("no session"), "{error}");
    let error = pair.peer.handle_fragment(pair.now, "a=ice-ufrag:x\r\n").unwrap_err();
    assert_eq!(error.line(), Some(1));
}

#[test]
fn a_silent_peer_is_disconnected_then_failed() {
    let mut pair = connected(9);
    pair.client.silent = true;
    pair.run(Duration::from_secs(8));
    assert_eq!(
        (pair.peer.state(), pair.events.last()),
        (State::Disconnected, Some(&Event::Disconnected))
    );
    // It comes back: media alone is enough.
    pair.client.send_media(MIC, 1, b"here I am");
    pair.run(ms(20));
    assert_eq!(
        (pair.peer.state(), pair.events.last()),
        (State::Connected, Some(&Event::Connected))
    );
    send(&mut pair, 1, 1, b"x");
    pair.run(Duration::from_secs(15));
    assert_eq!(
        (pair.peer.state(), pair.events.last()),
        (State::Failed, Some(&Event::Failed))
    );
    let (id, mut out) = (sender(&pair, VIDEO_SLOT), [0; 1500]);
    assert_eq!(
        pair.peer.write_rtp(pair.now, id, &vp8(2, 1), &[b"x"], &mut out),
        Err(Blocked::NotConnected)
    );
    assert_eq!(pair.peer.selected_path(), None);
    pair.peer.send_report_now(pair.now, id);
    pair.client.rtcp.clear();
    pair.run(Duration::from_secs(5));
    assert_eq!(rtcp_lines(&pair), Vec::<String>::new());
    // Only a restart brings it back, with the same keys.
    pair.client.silent = false;
    pair.client.restart_ice();
    pair.negotiate();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.peer.state(), State::Connected);
    send(&mut pair, 2, 2, b"again");
    assert_eq!(pair.client.rtp.len(), 2);
}

#[test]
fn a_wrong_fingerprint_ends_the_call() {
    for version in [Version::DTLS_1_2, Version::DTLS_1_3] {
        let mut pair = room_of(10, version);
        pair.client.forge_fingerprint(&fake::certificate(77));
        pair.negotiate();
        pair.run(Duration::from_secs(1));
        let Some(Event::Closed {
            reason: CloseReason::Dtls(why),
        }) = pair.events.last()
        else {
            panic!("{:?}", pair.events)
        };
        assert!(why.contains("fingerprint"), "{why}");
        assert!(
            !pair
                .events
                .iter()
                .any(|event| matches!(event, Event::Secured(_) | Event::Connected))
        );
        // A client of DTLS 1.3 is done before the server has seen its certificate.
        assert_eq!(pair.client.is_secured(), version == Version::DTLS_1_3);
        let closed = |event: &dtls_srtp::Event| matches!(event, dtls_srtp::Event::Closed { .. });
        assert!(
            pair.client.dtls_events.iter().any(closed),
            "the client is told by an alert"
        );
        assert_eq!((pair.peer.state(), pair.peer.poll_timeout()), (State::Closed, None));
        let error = pair.peer.accept_offer(pair.now, &pair.client.offer()).unwrap_err();
        assert!(error.to_string().contains("closed"));
    }
}

/// Both ends of a call are known by their certificates, whatever else the configuration is used for (RFC 8827 §6.5).
#[test]
fn certificates_are_shown_whatever_the_configuration_says() {
    for version in [Version::DTLS_1_2, Version::DTLS_1_3] {
        let mut config = Pair::config();
        let dtls = Arc::make_mut(&mut config.dtls);
        dtls.versions = vec![version];
        dtls.authentication = Authentication::Unauthenticated;
        dtls.client_certificate = ClientCertificate::Optional;
        room_with(41, config).connect();
    }
}

/// A pair of which the two ends share no SRTP profile, with a section of this kind.
fn without_profile(run: u64, kind: Kind, setup: &'static str) -> Pair {
    let config = Config {
        application: true,
        ..Pair::config()
    };
    let mut pair = Pair::with_config(run, config);
    let dtls = dtls_srtp::Config {
        srtp_profiles: Vec::new(),
        ..dtls_srtp::Config::new(Arc::new(FakeCrypto::new()), fake::certificate(1000 + run))
    };
    pair.client = Client::with_dtls(run, pair.client.address, dtls);
    pair.client.setup = setup;
    pair.client.add(kind, Direction::SendRecv);
    pair
}

/// The call would look connected and nobody would hear a thing.
#[test]
fn media_without_a_common_srtp_profile_ends_the_call() {
    let reason = CloseReason::Dtls(dtls_srtp::CloseReason::NoCommonSrtpProfile.to_string());
    for setup in ["actpass", "active", "passive"] {
        let mut pair = without_profile(1, Kind::Audio, setup);
        pair.negotiate();
        pair.run(ms(1_000));
        assert_eq!(pair.peer.state(), State::Closed, "{setup}");
        assert!(!pair.events.contains(&Event::Connected));
        assert_eq!(pair.events.last(), Some(&Event::Closed { reason: reason.clone() }));
        // The other end was told.
        let told = dtls_srtp::CloseReason::Alert(dtls_srtp::AlertDescription::HANDSHAKE_FAILURE);
        assert_eq!(
            pair.client.dtls_events.last(),
            Some(&dtls_srtp::Event::Closed { reason: told })
        );
    }
}

#[test]
fn data_alone_needs_no_srtp_profile_until_media_comes() {
    // Media in a later offer, when the association is there: it can never carry any.
    let mut pair = without_profile(1, Kind::Application, "actpass");
    pair.negotiate();
    pair.run(ms(1_000));
    assert_eq!(pair.peer.state(), State::Connected);
    pair.client.add(Kind::Audio, Direction::SendRecv);
    let refused = pair.peer.accept_offer(pair.now, &pair.client.offer()).unwrap_err();
    assert!(refused.to_string().contains("RFC 5764 §4.1.1"), "{refused}");
    pair.run(ms(1_000));
    assert_eq!(pair.peer.state(), State::Connected);
    assert_eq!(pair.peer.sections().len(), 1);

    // And during the handshake.
    let mut pair = without_profile(1, Kind::Application, "actpass");
    pair.negotiate();
    pair.run(ms(20));
    assert_eq!(pair.peer.state(), State::Connecting);
    pair.client.add(Kind::Audio, Direction::SendRecv);
    pair.negotiate();
    pair.run(ms(1_000));
    let reason = CloseReason::Dtls(dtls_srtp::CloseReason::NoCommonSrtpProfile.to_string());
    assert_eq!(pair.events.last(), Some(&Event::Closed { reason }));
}

#[test]
fn another_certificate_in_a_later_offer_is_refused() {
    let mut pair = connected(11);
    pair.client.forge_fingerprint(&fake::certificate(77));
    let offer = pair.client.offer();
    let error = pair.peer.accept_offer(pair.now, &offer).unwrap_err().to_string();
    assert!(error.contains("make a new peer connection"), "{error}");
    assert_eq!(pair.peer.state(), State::Connected);
}

#[test]
fn feedback_tells_every_arrival_soon() {
    let mut pair = connected(12);
    pair.run(Duration::from_secs(1));
    pair.client.rtcp.clear();
    let start = pair.now;
    pair.client.send_media(MIC, 0, b"a");
    pair.client.send_layer(CAMERA, 0, true, 0, b"");
    // The way there and back, and nothing more: the first packets are told of at once.
    pair.run(ms(21));
    assert_eq!(feedback(&pair), [vec![1, 2]]);
    let mut times = Vec::new();
    let mut seen = 1;
    for tick in 0..1000_u32 {
        pair.client
            .send_media(if tick % 2 == 0 { MIC } else { CAMERA }, tick, b"b");
        pair.run(ms(5));
        let count = feedback(&pair).len();
        if count != seen {
            times.push(pair.now - start);
            seen = count;
        }
    }
    pair.run(ms(200));
    let all: Vec<u16> = feedback(&pair).concat();
    assert_eq!(all, (1..=1002).collect::<Vec<u16>>(), "each packet of all SSRCs once");
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(
        gaps.clone().all(|gap| gap >= ms(45) && gap <= ms(105)),
        "{:?}",
        gaps.collect::<Vec<_>>()
    );
}

/// The numbers that each transport-wide feedback says have arrived.
fn feedback(pair: &Pair) -> Vec<Vec<u16>> {
    let mut all = Vec::new();
    for bytes in &pair.client.rtcp {
        for packet in Compound::parse(bytes).unwrap().packets() {
            if let Packet::TransportFeedback(feedback) = packet.unwrap() {
                let base = feedback.header.base_sequence;
                let received = feedback
                    .statuses()
                    .enumerate()
                    .filter(|(_, status)| *status != Status::NotReceived);
                all.push(received.map(|(nth, _)| base.wrapping_add(nth as u16)).collect());
            }
        }
    }
    all
}

#[test]
fn peers_without_transport_wide_feedback_get_a_bit_rate() {
    let mut pair = room(13);
    pair.client.transport_cc = false;
    let answer = pair.negotiate();
    assert!(answer.contains("goog-remb") && !answer.contains("transport-cc"));
    pair.connect();
    for tick in 0..150 {
        pair.client.send_media(CAMERA, tick, &[0; 1000]);
        pair.run(ms(20));
    }
    let remb: Vec<String> = rtcp_lines(&pair)
        .into_iter()
        .filter(|line| line.starts_with("REMB"))
        .collect();
    assert!((2..=3).contains(&remb.len()), "{remb:?}");
    assert!(
        remb[0].contains(" 1000000 bit/s"),
        "400 kbit/s are no reason for more: {remb:?}"
    );
    // It names what it is about.
    let camera = pair.client.media[CAMERA].ssrcs[0].0;
    assert!(remb[0].contains(&camera.to_string()), "{remb:?}");
    assert!(feedback(&pair).is_empty());
}

#[test]
fn reports_tell_what_arrived_and_only_of_what_is_bound() {
    let mut pair = connected(14);
    for tick in 0..100_u32 {
        if tick % 4 == 3 {
            // Lost on the way.
            pair.client.media[CAMERA].sequence[0].0 += 1;
        } else {
            pair.client.send_media(CAMERA, tick * 900, b"x");
        }
        pair.run(ms(10));
    }
    pair.run(Duration::from_secs(2));
    let ssrc = pair.client.media[CAMERA].ssrcs[0].0;
    let lines = rtcp_lines(&pair);
    let blocks: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains(&format!("{{{ssrc} lost=")))
        .collect();
    assert!(!blocks.is_empty(), "{lines:?}");
    let own = Compound::parse(&pair.client.rtcp[0])
        .unwrap()
        .packets()
        .next()
        .unwrap()
        .unwrap();
    assert!(!matches!(own, Packet::TransportFeedback(_)) || pair.client.modern);
    assert!(blocks.last().unwrap().contains("total=24"), "{blocks:?}");
    assert!(
        blocks.iter().any(|line| line.contains("lost=6")),
        "about a quarter of 256: {blocks:?}"
    );
    // Nobody else is reported on: not the microphone, which was silent, nor the announced retransmissions.
    let others = lines
        .iter()
        .filter(|line| line.contains("lost=") && !line.contains(&ssrc.to_string()));
    assert_eq!(others.count(), 0);
    let statistics = pair.peer.stream_statistics(stream(&pair, CAMERA), false).unwrap();
    assert_eq!((statistics.received(), statistics.lost()), (75, 24));
}

#[test]
fn a_new_sender_is_reported_on_twice_as_often_for_five_seconds() {
    let mut pair = connected(30);
    pair.run(Duration::from_secs(10));
    let id = sender(&pair, VIDEO_SLOT);
    let ssrc = pair.peer.sender(id).unwrap().ssrc();
    pair.client.rtcp.clear();
    let mut longest = [Duration::ZERO; 2];
    let (start, mut last, mut counts) = (pair.now, pair.now, [0; 2]);
    for sequence in 0..2000 {
        send(&mut pair, sequence, 3000 * sequence as u32, b"x");
        pair.run(ms(10));
        let lines = rtcp_lines(&pair);
        pair.client.rtcp.clear();
        if lines.iter().any(|line| line.starts_with(&format!("SR {ssrc}"))) {
            let later = usize::from(pair.now - start > Duration::from_secs(6));
            longest[later] = longest[later].max(pair.now - last);
            counts[later] += 1;
            last = pair.now;
        }
    }
    // Whoever looks once a second sees a new one each time.
    assert!(longest[0] < ms(800), "{longest:?}");
    assert!((9..=21).contains(&counts[0]), "{counts:?}");
    assert!(longest[1] > ms(800), "{longest:?}");
    assert!((10..=20).contains(&counts[1]), "{counts:?}");
}

#[test]
fn reports_may_be_left_out() {
    let mut pair = Pair::with_config(
        29,
        Config {
            report_interval: Duration::MAX,
            ..Pair::config()
        },
    );
    pair.client.add(Kind::Audio, Direction::SendOnly);
    pair.connect();
    pair.client.send_media(0, 1, b"x");
    pair.run(ms(5000));
    assert_eq!(pair.sink.rtp.len(), 1);
    let lines = rtcp_lines(&pair);
    assert!(lines.iter().all(|line| !line.contains("lost=")), "{lines:?}");
}

#[test]
fn the_round_trip_is_measured_both_ways() {
    let mut pair = connected(15);
    let id = sender(&pair, VIDEO_SLOT);
    send(&mut pair, 1, 1, b"x");
    pair.run(ms(11));
    let report = pair
        .client
        .rtcp
        .iter()
        .find_map(|bytes| match Compound::parse(bytes).unwrap().packets().next() {
            Some(Ok(Packet::SenderReport(report))) => Some(report.info),
            _ => None,
        });
    let info = report.expect("a sender report");
    // The client holds it for 50 ms; 10 ms lie before and 10 ms behind.
    pair.run(ms(49));
    let block = rtp::rtcp::ReportBlock {
        ssrc: info.ssrc,
        fraction_lost: 64,
        cumulative_lost: 3,
        highest_sequence: 1,
        jitter: 900,
        last_sr: info.ntp.middle(),
        delay_since_last_sr: rtp::ntp::duration_to_short(ms(50)),
    };
    let own = Ssrc(4242);
    assert!(!pair.peer.is_reported(id));
    pair.client.send_rtcp(|w| {
        ReceiverReport::write(w, own, [block], &[])?;
        Xr::write(w, own, [XrBlock::ReceiverReferenceTime(NtpTime(0x1234_5678_9abc_def0))])
    });
    pair.run(ms(20));
    let rtt = pair.peer.rtt().expect("a round trip");
    assert!(rtt >= ms(18) && rtt <= ms(22), "{rtt:?}");
    let statistics = *pair.peer.sender_statistics(id).unwrap();
    assert_eq!(
        (statistics.packets_lost, statistics.fraction_lost, statistics.jitter),
        (3, 64, ms(10))
    );
    assert!(pair.peer.is_reported(id));
    assert_eq!(pair.sink.round_trips, [(id, rtt)]);
    // Another one that answers the same report of ours proves nothing new of the way there.
    let again = rtp::rtcp::ReportBlock {
        delay_since_last_sr: rtp::ntp::duration_to_short(ms(70)),
        ..block
    };
    pair.client.send_rtcp(|w| ReceiverReport::write(w, own, [again], &[]));
    pair.run(ms(20));
    assert_eq!(pair.sink.round_trips, [(id, rtt)]);
    let later = rtp::rtcp::ReportBlock {
        last_sr: info.ntp.middle() + 1,
        ..again
    };
    pair.client.send_rtcp(|w| ReceiverReport::write(w, own, [later], &[]));
    pair.run(ms(20));
    assert_eq!(pair.sink.round_trips.len(), 2);
    // The reference time is answered with the next report.
    pair.run(Duration::from_secs(2));
    let lines = rtcp_lines(&pair);
    let answer = lines
        .iter()
        .find(|line| line.contains("DLRR"))
        .unwrap_or_else(|| panic!("{lines:?}"));
    assert!(answer.contains("lrr=56789abc"), "{answer}");
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn feedback_of_the_peer_reaches_the_sink() {
    let mut pair = connected(16);
    let id = sender(&pair, VIDEO_SLOT);
    let ssrc = pair.peer.sender(id).unwrap().ssrc();
    for sequence in 65_530..65_540 {
        send(&mut pair, sequence, 1, b"x");
    }
    let own = Ssrc(4242);
    let fir = |number| {
        [FirEntry {
            ssrc,
            sequence_number: number,
        }]
    };
    pair.client
        .send_rtcp(|w| Nack::write(w, own, ssrc, [65_533, 65_535, 0, 2]));
    pair.client.send_rtcp(|w| {
        Pli {
            sender: own,
            media: ssrc,
        }
        .write(w)
    });
    for number in [7, 7, 8] {
        pair.client.send_rtcp(|w| Fir::write(w, own, Ssrc(0), fir(number)));
    }
    pair.run(ms(20));
    assert_eq!(pair.sink.nacks, [(id, vec![65_533, 65_535, 65_536, 65_538])]);
    assert_eq!(pair.sink.key_frame_requests, [id, id, id]);
    expect_counters(&pair, &[("repeated_feedback", 1)]);
}

#[test]
fn sender_reports_and_goodbyes_of_the_peer_reach_the_sink() {
    let mut pair = connected(17);
    let camera = pair.client.media[CAMERA].ssrcs[0].0;
    pair.client.send_media(CAMERA, 1, b"x");
    let info = SenderInfo {
        ssrc: camera,
        ntp: NtpTime(0xdead_beef_0000_0001),
        rtp_timestamp: 99,
        packet_count: 1,
        octet_count: 1,
    };
    pair.client.send_rtcp(|w| {
        SenderReport::write(w, &info, [], &[])?;
        Sdes::write_cname(w, camera, b"c")?;
        Bye::write(w, [camera, Ssrc(77)], None)
    });
    pair.run(ms(20));
    let stream = stream(&pair, CAMERA);
    assert_eq!(pair.sink.sender_reports, [(stream, 0xdead_beef_0000_0001, 99)]);
    assert_eq!(pair.sink.byes, [stream]);
    // The report blocks say when the report came.
    pair.client.send_media(CAMERA, 1, b"x");
    pair.run(Duration::from_secs(2));
    assert!(
        rtcp_lines(&pair).iter().any(|line| line.contains("lsr=beef0000")),
        "{:?}",
        rtcp_lines(&pair)
    );
}

#[test]
fn a_key_frame_is_asked_for_once() {
    let mut pair = connected(18);
    let stream = stream(&pair, CAMERA);
    pair.client.send_media(CAMERA, 1, b"x");
    pair.run(ms(20));
    pair.client.rtcp.clear();
    pair.peer.request_key_frame(pair.now, stream);
    pair.peer.request_key_frame(pair.now, stream);
    pair.peer.request_key_frame(pair.now, StreamId(99));
    pair.run(ms(11));
    let ssrc = pair.client.media[CAMERA].ssrcs[0].0;
    let requests: Vec<String> = rtcp_lines(&pair)
        .into_iter()
        .filter(|line| line.starts_with("PLI"))
        .collect();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].contains(&ssrc.to_string()), "{requests:?}");
}

#[test]
fn only_fir_is_used_where_only_fir_was_offered() {
    let mut pair = room(19);
    let offer = pair.client.offer().replace("nack pli", "nack sli");
    let answer = pair.peer.accept_offer(pair.now, &offer).unwrap();
    assert_eq!(check_answer(&offer, &answer, None), Ok(()));
    pair.client.accept(pair.now, &answer);
    pair.run(ms(300));
    let stream = stream(&pair, CAMERA);
    pair.client.send_media(CAMERA, 1, b"x");
    pair.run(ms(20));
    for _ in 0..2 {
        pair.peer.request_key_frame(pair.now, stream);
        pair.run(ms(20));
    }
    let requests: Vec<String> = rtcp_lines(&pair)
        .into_iter()
        .filter(|line| line.starts_with("FIR"))
        .collect();
    assert!(
        requests[0].ends_with("#1") && requests[1].ends_with("#2"),
        "{requests:?}"
    );
}

#[test]
fn closing_says_goodbye() {
    let mut pair = connected(20);
    send(&mut pair, 1, 1, b"x");
    pair.run(ms(50));
    pair.client.rtcp.clear();
    pair.peer.close(pair.now);
    pair.peer.close(pair.now);
    assert_eq!(pair.peer.state(), State::Closed);
    pair.run(ms(50));
    let ssrc = pair.peer.sender(sender(&pair, VIDEO_SLOT)).unwrap().ssrc();
    let bye = rtcp_lines(&pair)
        .into_iter()
        .find(|line| line.starts_with("BYE"))
        .expect("a BYE");
    assert!(bye.contains(&ssrc.to_string()), "{bye}");
    assert_eq!(
        pair.client.dtls_events.last(),
        Some(&dtls_srtp::Event::Closed {
            reason: dtls_srtp::CloseReason::Peer
        })
    );
    assert_eq!(
        pair.events.last(),
        Some(&Event::Closed {
            reason: CloseReason::Local
        })
    );
    assert_eq!(pair.peer.poll_timeout(), None);
}

#[test]
fn nothing_is_told_after_the_end() {
    // A first packet makes a sender report due at once.
    let mut pair = connected(20);
    pair.client.rtcp.clear();
    send(&mut pair, 1, 1, b"x");
    pair.peer.close(pair.now);
    pair.run(ms(50));
    let lines = rtcp_lines(&pair);
    assert!(lines.last().is_some_and(|line| line.starts_with("BYE")), "{lines:?}");

    let mut pair = connected(20);
    pair.client.rtcp.clear();
    send(&mut pair, 1, 1, b"x");
    pair.client.close();
    while let Some(datagram) = pair.client.poll_transmit(pair.now) {
        pair.inject(&datagram);
    }
    assert_eq!(pair.peer.state(), State::Closed);
    pair.run(ms(50));
    assert_eq!(rtcp_lines(&pair), Vec::<String>::new());
}

#[test]
fn a_close_notify_of_the_peer_ends_the_call() {
    let mut pair = connected(21);
    pair.client.close();
    pair.run(ms(50));
    assert_eq!(
        pair.events.last(),
        Some(&Event::Closed {
            reason: CloseReason::Remote
        })
    );
    assert_eq!(
        pair.counters()
            .into_iter()
            .filter(|(name, _)| *name != "after_close")
            .collect::<Vec<_>>(),
        NO_COUNTERS
    );
}

#[test]
fn sections_come_go_and_are_recycled() {
    let mut pair = connected(22);
    let first = pair.peer.sections()[VIDEO_SLOT].clone();
    let ssrc = pair.peer.sender(first.sender().unwrap()).unwrap().ssrc();
    assert_eq!(pair.peer.sender(first.sender().unwrap()).unwrap().pair(), 0);
    // More slots.
    let more = pair.client.add(Kind::Video, Direction::RecvOnly);
    pair.negotiate();
    pair.connect();
    let second = sender(&pair, more);
    assert_eq!(pair.peer.sender(second).unwrap().pair(), 1);
    send(&mut pair, 1, 1, b"x");
    // The first slot and the camera stop.
    pair.client.media[VIDEO_SLOT].stopped = true;
    pair.client.media[CAMERA].stopped = true;
    pair.negotiate();
    assert!(pair.peer.sender(first.sender().unwrap()).is_none());
    let mut out = [0; 1500];
    let written = pair
        .peer
        .write_rtp(pair.now, first.sender().unwrap(), &vp8(2, 1), &[b"x"], &mut out);
    assert_eq!(written, Err(Blocked::NotSending));
    pair.client.send_media(CAMERA, 1, b"straggler");
    pair.run(ms(20));
    assert_eq!(pair.sink.rtp.len(), 0);
    expect_counters(&pair, &[("not_receiving", 1)]);
    // Their places are used again, the other way round.
    pair.client.recycle(VIDEO_SLOT, Kind::Video, Direction::SendOnly);
    pair.client.recycle(CAMERA, Kind::Video, Direction::RecvOnly);
    pair.negotiate();
    let recycled = sender(&pair, CAMERA);
    assert_ne!(recycled, first.sender().unwrap());
    let sender = pair.peer.sender(recycled).unwrap();
    assert_ne!(sender.ssrc(), ssrc, "an SSRC is never used again");
    assert_eq!(sender.pair(), 0, "the pairing has a free place");
    assert_eq!(pair.peer.sections()[CAMERA].mid(), "6");
    pair.client.send_media(VIDEO_SLOT, 1, b"from the recycled section");
    pair.run(ms(20));
    assert_eq!(pair.sink.rtp.last().unwrap().section, VIDEO_SLOT);
    pair.deliver_to_client(|peer, now, out| peer.write_rtp(now, recycled, &vp8(1, 1), &[b"new"], out).unwrap());
    assert_eq!(pair.client.rtp.last().unwrap().packet().payload(), b"new");
}

#[test]
fn a_section_gets_its_sender_when_the_direction_first_wants_one_and_keeps_it() {
    let mut pair = connected(31);
    let (index, _) = (
        pair.client.media.len(),
        pair.client.add(Kind::Video, Direction::SendOnly),
    );
    let mut senders = std::collections::BTreeSet::new();
    // As the client sees it.
    for (direction, sends) in [
        (Direction::SendOnly, false),
        (Direction::SendRecv, true),
        (Direction::SendOnly, false),
        (Direction::RecvOnly, true),
        (Direction::Inactive, false),
        (Direction::SendRecv, true),
    ] {
        pair.client.media[index].direction = direction;
        pair.negotiate();
        let sender = pair.peer.sections()[index].sender();
        assert_eq!(sender.is_some(), sends, "{direction:?}");
        senders.extend(sender);
    }
    assert_eq!(senders.len(), 1);
}

#[test]
fn a_section_on_hold_keeps_what_it_has() {
    let mut pair = connected(23);
    let before = (stream(&pair, CAMERA), sender(&pair, VIDEO_SLOT));
    pair.client.media[CAMERA].direction = Direction::Inactive;
    pair.client.media[VIDEO_SLOT].direction = Direction::Inactive;
    pair.negotiate();
    assert!(pair.peer.sections()[CAMERA].streams().is_empty());
    assert_eq!(pair.peer.sections()[VIDEO_SLOT].sender(), None);
    pair.client.send_media(CAMERA, 1, b"held");
    pair.run(ms(20));
    expect_counters(&pair, &[("not_receiving", 1)]);
    pair.client.media[CAMERA].direction = Direction::SendOnly;
    pair.client.media[VIDEO_SLOT].direction = Direction::RecvOnly;
    pair.negotiate();
    assert_eq!((stream(&pair, CAMERA), sender(&pair, VIDEO_SLOT)), before);
    pair.client.send_media(CAMERA, 1, b"on again");
    pair.run(ms(20));
    assert_eq!(pair.sink.rtp.len(), 1);
}

/// Chromium's simulcast: no a=ssrc, layers that begin with padding on their retransmission SSRC, identifiers that stop.
#[test]
fn simulcast_layers_are_bound_by_their_identifiers() {
    let mut pair = Pair::new(24);
    let camera = pair.client.add_simulcast(&["q", "h", "f"]);
    let answer = pair.negotiate();
    assert!(answer.contains("a=simulcast:recv q;h;f") && answer.contains("a=rid:h recv"));
    pair.connect();
    for layer in 0..3 {
        pair.client.send_layer(camera, layer, true, 0, b"");
    }
    pair.run(ms(20));
    assert!(pair.sink.rtp.is_empty(), "a retransmission of nothing is a probe");
    for layer in 0..3 {
        pair.client.send_layer(camera, layer, false, 1, b"picture");
        pair.client.media[camera].sequence[layer].0 += 1;
        pair.client.send_layer(camera, layer, false, 3, b"picture");
        pair.client.send_layer(camera, layer, true, 2, b"\x03\xe9picture");
    }
    pair.run(ms(20));
    let seen: Vec<_> = pair
        .sink
        .rtp
        .iter()
        .map(|p| (p.layer, p.rid.as_deref().unwrap(), p.repair))
        .collect();
    let expected = [
        (0, "q", false),
        (0, "q", false),
        (0, "q", true),
        (1, "h", false),
        (1, "h", false),
        (1, "h", true),
        (2, "f", false),
        (2, "f", false),
        (2, "f", true),
    ];
    assert_eq!(seen, expected);
    let streams: Vec<StreamId> = pair.peer.sections()[camera]
        .streams()
        .iter()
        .map(|stream| stream.id)
        .collect();
    assert_eq!(streams, [StreamId(0), StreamId(1), StreamId(2)]);
    // From now on without identifiers: the SSRC is latched.
    let ssrc = pair.client.media[camera].ssrcs[1].0;
    let bare = pair.client.seal_rtp(&RtpOut { ssrc, ..vp8(2000, 2) }, b"bare");
    pair.inject(&bare);
    assert_eq!(pair.sink.rtp.last().unwrap().stream, StreamId(1));
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn a_stream_goes_on_under_another_ssrc_and_comes_back() {
    let mut pair = connected(25);
    pair.client.send_media(CAMERA, 1, b"one");
    pair.run(ms(20));
    let first = pair.client.media[CAMERA].ssrcs[0];
    pair.client.media[CAMERA].ssrcs[0] = (Ssrc(0xabcd), Ssrc(0xabce));
    pair.client.send_media(CAMERA, 1, b"two");
    pair.run(ms(20));
    assert_eq!(pair.sink.rtp.len(), 2);
    assert_eq!(pair.sink.rtp[0].stream, pair.sink.rtp[1].stream);
    // The old one is not heard beside the new one.
    let old = pair.client.seal_rtp(
        &RtpOut {
            ssrc: first.0,
            ..vp8(1001, 1)
        },
        b"old",
    );
    pair.inject(&old);
    expect_counters(&pair, &[("superseded_ssrc", 1)]);
    pair.client.media[CAMERA].ssrcs[0] = first;
    pair.client.media[CAMERA].sequence[0].0 = 1002;
    pair.client.send_media(CAMERA, 1, b"too soon");
    pair.run(ms(20));
    expect_counters(&pair, &[("superseded_ssrc", 2)]);
    pair.run(Duration::from_secs(1));
    pair.client.send_media(CAMERA, 1, b"back");
    pair.run(ms(20));
    assert_eq!(pair.sink.rtp.last().unwrap().payload(), b"back");
}

#[test]
fn a_payload_type_binds_when_it_is_unique() {
    let mut pair = room(26);
    for media in &mut pair.client.media {
        media.announced = false;
    }
    pair.connect();
    // 111 is received in one section only.
    let header = RtpOut {
        payload_type: PayloadType(111),
        ssrc: Ssrc(5),
        ..vp8(1, 1)
    };
    let packet = pair.client.seal_rtp(&header, b"opus");
    pair.inject(&packet);
    assert_eq!(pair.sink.rtp[0].section, MIC);
    // With two cameras 96 says nothing.
    pair.client.add(Kind::Video, Direction::SendOnly);
    pair.client.media.last_mut().unwrap().announced = false;
    pair.negotiate();
    let packet = pair.client.seal_rtp(
        &RtpOut {
            ssrc: Ssrc(6),
            ..vp8(1, 1)
        },
        b"vp8",
    );
    pair.inject(&packet);
    assert_eq!(pair.sink.rtp.len(), 1);
    expect_counters(&pair, &[("unbound_ssrc", 1)]);
}

/// The same inputs with polls in between or only at the end lead to the same view.
#[test]
fn the_order_of_polls_does_not_matter() {
    let view = |polite: bool| {
        let mut pair = connected(27);
        let now = pair.now;
        let path = pair.path();
        let mut datagrams = Vec::new();
        for tick in 0..20_u64 {
            let camera = pair.client.media[CAMERA].ssrcs[0].0;
            datagrams.push(pair.client.seal_rtp(
                &RtpOut {
                    ssrc: camera,
                    ..vp8(1000 + tick, 1)
                },
                b"x",
            ));
        }
        let slot = pair.peer.sender(sender(&pair, VIDEO_SLOT)).unwrap().ssrc();
        datagrams.push(pair.client.seal_rtcp(|w| {
            Pli {
                sender: Ssrc(1),
                media: slot,
            }
            .write(w)
        }));
        pair.client.rtcp.clear();
        let drain = |pair: &mut Pair| {
            let mut out = [0; 1500];
            while let Some(transmit) = pair.peer.poll_transmit(now, &mut out) {
                pair.client.handle_datagram(now, &mut out[..transmit.len]);
            }
            while pair.peer.poll_event().is_some() {}
        };
        for (nth, datagram) in datagrams.iter().enumerate() {
            pair.peer
                .handle_datagram(now, &path, &mut datagram.clone(), &mut pair.sink);
            pair.peer.handle_timeout(now);
            if nth == 10 {
                pair.peer.request_key_frame(now, stream(&pair, CAMERA));
                pair.deliver_to_client(|peer, now, out| {
                    let id = peer.sections()[VIDEO_SLOT].sender().unwrap();
                    peer.write_rtp(now, id, &vp8(9, 9), &[b"y"], out).unwrap()
                });
            }
            if polite {
                drain(&mut pair);
            }
        }
        drain(&mut pair);
        let mut lines = rtcp_lines(&pair);
        // How often is a matter of the polls, what is said is not.
        lines.sort();
        lines.dedup();
        let packets: Vec<(StreamId, u64)> = pair
            .sink
            .rtp
            .iter()
            .map(|packet| (packet.stream, packet.sequence))
            .collect();
        (
            packets,
            pair.sink.key_frame_requests.clone(),
            lines,
            pair.counters(),
            pair.peer.poll_timeout().unwrap() - now,
        )
    };
    assert_eq!(view(true), view(false));
}

#[test]
fn a_run_replays_byte_for_byte() {
    let offer = room(28).client.offer();
    let answer = |run| {
        let mut peer = Peer::new(Arc::new(Pair::config()), Seed::from_run(run), std::time::Instant::now());
        peer.accept_offer(std::time::Instant::now(), &offer).unwrap()
    };
    assert_eq!(answer(1), answer(1));
    assert_ne!(answer(1), answer(2));
}

#[test]
fn real_cryptography_works_too() {
    let dtls = || {
        let certificate = dtls_srtp::Certificate::generate().unwrap();
        dtls_srtp::Config::new(Arc::new(dtls_srtp::RingCrypto::default()), certificate)
    };
    let mut pair = Pair::with_config(29, Config::new(Arc::new(dtls())));
    pair.client = Client::with_dtls(29, "198.51.100.7:5000".parse().unwrap(), dtls());
    let mic = pair.client.add(Kind::Audio, Direction::SendRecv);
    pair.connect();
    pair.client.send_media(mic, 1, b"opus");
    pair.run(ms(20));
    assert_eq!(pair.sink.rtp[0].payload(), b"opus");
    let id = sender(&pair, mic);
    pair.deliver_to_client(|peer, now, out| {
        let header = RtpOut {
            payload_type: PayloadType(111),
            ..vp8(1, 1)
        };
        peer.write_rtp(now, id, &header, &[b"opus too"], out).unwrap()
    });
    assert_eq!(pair.client.rtp[0].packet().payload(), b"opus too");
    let _ = FakeCrypto::new();
    assert_eq!(pair.peer.sections()[mic].extensions().get(Extension::Mid), Some(4));
}
