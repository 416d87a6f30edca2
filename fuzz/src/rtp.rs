use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use rtp::codec::{self, Codec, h264, vp8};
use rtp::rtcp::{Compound, Packet as Rtcp};
use rtp::twcc::{MAX_INTERVAL, MIN_OUT, Recorder};
use rtp::{MissingPackets, Packet, PayloadType, ReceiverStatistics, RtpOut, Ssrc, extension, rtx};
use wire::{Reader, Unwrapper};

/// One RTP packet. What was read is written again: the same header when it was canonical, else one that says the same.
/// What looks into extensions and payloads is run on it too.
pub fn rtp(data: &[u8]) {
    let Ok(packet) = Packet::parse(data) else { return };
    let _ = (packet.to_string(), rtp::dump::Rtp(&packet).to_string());
    assert_eq!(
        packet.header_len() + packet.payload().len() + packet.padding_len(),
        data.len()
    );
    if packet
        .profile()
        .is_none_or(|profile| profile.is_one_byte() || profile.is_two_byte())
    {
        rebuild(&packet);
    }
    set_in_place(data);
    for (_, data) in packet.extensions() {
        look_into_extension(data);
    }
    look_into_payload(packet.payload());
    unwrap_retransmission(data);
}

fn rebuild(packet: &Packet<&[u8]>) {
    let csrcs: Vec<Ssrc> = packet.csrcs().collect();
    let extensions: Vec<(u8, &[u8])> = packet.extensions().collect();
    let header = RtpOut {
        payload_type: packet.payload_type(),
        marker: packet.marker(),
        sequence_number: packet.sequence_number().into(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        csrcs: &csrcs,
        extensions: &extensions,
        padding: packet.padding_len().try_into().expect("padding is at most 255 bytes"),
    };
    // No form takes more than two bytes per element more than the one that was read.
    let mut out = vec![0xee; packet.header_len() + extensions.len() * 2 + 16];
    let len = header.write(true, &mut out).expect("there is room");
    let tail = packet.as_bytes()[packet.header_len()..].iter();
    let again = out[..len].iter().chain(tail).copied().collect::<Vec<u8>>();
    let again = Packet::parse(again).expect("what was written parses");
    assert!(again.extensions().eq(packet.extensions()) && again.csrcs().eq(packet.csrcs()));
    assert_eq!(again.payload(), packet.payload());
    assert_eq!(again.as_bytes()[..1][0] & 0xef, packet.as_bytes()[0] & 0xef);
    assert_eq!(again.as_bytes()[1..12], packet.as_bytes()[1..12]);
    // Written once more, it is the same.
    let mut twice = vec![0x11; out.len()];
    assert_eq!(header.write(true, &mut twice), Ok(len));
    assert_eq!(twice[..len], out[..len]);
}

fn set_in_place(data: &[u8]) {
    let mut bytes = data.to_vec();
    let Ok(mut packet) = Packet::parse(&mut bytes[..]) else {
        return;
    };
    packet.set_marker(!packet.marker());
    packet.set_payload_type(PayloadType(!packet.payload_type().0));
    packet.set_sequence_number(!packet.sequence_number());
    packet.set_timestamp(!packet.timestamp());
    packet.set_ssrc(Ssrc(!packet.ssrc().0));
    assert_eq!(bytes[0], data[0]);
    assert!(
        bytes[1..12]
            .iter()
            .zip(&data[1..12])
            .all(|(after, before)| *after == !before)
    );
    assert_eq!(bytes[12..], data[12..]);
}

fn look_into_extension(data: &[u8]) {
    let _ = (extension::mid(data), extension::rid(data));
    let parsed = [
        extension::AudioLevel::parse(data).map(|value| value.to_bytes().to_vec()),
        extension::VideoOrientation::parse(data).map(|value| value.to_bytes().to_vec()),
        extension::TransportSequence::parse(data).map(|value| value.to_bytes().to_vec()),
        extension::AbsoluteSendTime::parse(data).map(|value| value.to_bytes().to_vec()),
        extension::TransmissionOffset::parse(data).map(|value| value.to_bytes().to_vec()),
        extension::PlayoutDelay::parse(data).map(|value| value.to_bytes().to_vec()),
    ];
    assert!(parsed.iter().flatten().all(|bytes| bytes == data));
}

fn look_into_payload(payload: &[u8]) {
    for each in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
        let size = codec::picture_size(each, payload);
        assert!(
            size.is_none() || codec::is_key_frame(each, payload),
            "only key frames tell their size"
        );
    }
    let _ = h264::starts_frame(payload);
    let mut changed = payload.to_vec();
    if let Ok(before) = vp8::Descriptor::parse(payload) {
        let mut descriptor = before;
        descriptor.set_picture_id(&mut changed, 0x5555);
        descriptor.set_tl0_picture_index(&mut changed, 0x55);
        assert_eq!(vp8::Descriptor::parse(&changed), Ok(descriptor));
        assert_eq!(changed[descriptor.len..], payload[before.len..]);
    }
}

fn unwrap_retransmission(data: &[u8]) {
    let mut bytes = data.to_vec();
    let Ok(packet) = Packet::parse(&mut bytes[..]) else {
        return;
    };
    let before = packet.view().to_string();
    let original = rtx::original(&packet).map(|(number, payload)| (number, payload.to_vec()));
    match (original, rtx::decapsulate(packet, Ssrc(7), PayloadType(7))) {
        (Some((number, payload)), Ok(packet)) => {
            assert_eq!((packet.sequence_number(), packet.payload()), (number, &payload[..]));
            assert_eq!((packet.ssrc(), packet.payload_type()), (Ssrc(7), PayloadType(7)));
            assert_eq!(
                Packet::parse(packet.as_bytes()).expect("it parses").to_string(),
                packet.to_string()
            );
        }
        (None, Err(packet)) => assert_eq!(packet.to_string(), before),
        (original, result) => panic!("{original:?} but {result:?}"),
    }
}

/// The receiving side of a transport: packets with any transport-wide and sequence numbers at any time, feedback and
/// reports taken now and then. Each packet is told of at most once and with its time, and nothing remains untold. What
/// is missing is asked for, in the end ten times at most, and not waited for any more then.
///
/// The input is the room for feedback and then steps of eight bytes: time, transport-wide number, sequence number,
/// timestamp.
pub fn rtp_receive(data: &[u8]) {
    let mut r = Reader::new(data);
    let Ok(room) = r.u8() else { return };
    let room = MIN_OUT + usize::from(room) * 4;
    let start = Instant::now();
    let mut now = start;
    let mut recorder = Recorder::new(start);
    let mut statistics = ReceiverStatistics::new(Ssrc(1), NonZeroU32::MIN.saturating_add(89_999), start);
    let (mut recorded, mut told) = (0_u64, 0_u64);
    let mut missing = MissingPackets::new(start);
    let mut extended = Unwrapper::new();
    while let (Ok(time), Ok(transport), Ok(number), Ok(timestamp)) = (r.u16(), r.u16(), r.u16(), r.u16()) {
        // Mostly fractions of a second, sometimes minutes.
        let scale = if time & 0xf000 == 0xf000 { 100_000 } else { 10 };
        now += Duration::from_micros(u64::from(time & 0xfff) * scale);
        recorder.record(now, transport);
        recorded += 1;
        statistics.record(now, number, u32::from(timestamp) << 8);
        if timestamp & 3 == 3 {
            let repaired = missing.repaired(now, number);
            assert!(
                repaired.is_none_or(|(sequence, _)| sequence as u16 == number && Some(sequence) < extended.highest())
            );
        } else {
            missing.arrived(now, extended.unwrap(number));
        }
        ask(&mut missing, now);
        if time & 0x0100 != 0 {
            told += take_feedback(&mut recorder, start, now, room);
            let report = statistics.report(now);
            assert!(report.is_none_or(|report| report.ssrc == Ssrc(1)));
        }
    }
    for _ in 0..30 {
        now = missing.due().map_or(now, |due| due.max(now));
        ask(&mut missing, now);
        now += MAX_PAUSE;
    }
    assert_eq!((missing.len(), missing.due()), (0, None));
    told += take_feedback(&mut recorder, start, now + MAX_INTERVAL, room);
    assert_eq!(recorder.poll_timeout(), None);
    let counters = recorder.counters();
    let untold = counters.twcc_duplicates + counters.twcc_late + counters.twcc_overruns;
    assert_eq!(told + untold, recorded);
}

/// Longer than it takes until a missing packet is asked for once more.
const MAX_PAUSE: Duration = Duration::from_millis(200);

fn ask(missing: &mut MissingPackets, now: Instant) {
    let mut numbers = [0; 8];
    let mut seen = BTreeSet::new();
    loop {
        let count = missing.take_due(now, Some(Duration::from_millis(100)), &mut numbers);
        if count == 0 {
            break;
        }
        for number in &numbers[..count] {
            assert!(seen.insert(*number), "{number} is asked for twice");
        }
    }
    assert!(seen.len() <= missing.len() && missing.len() <= 256);
    assert!(missing.due().is_none_or(|due| due > now), "what is due was taken");
    assert_eq!(missing.due().is_none(), missing.is_empty());
}

fn take_feedback(recorder: &mut Recorder, start: Instant, now: Instant, room: usize) -> u64 {
    let mut out = vec![0; room];
    let mut told = 0;
    let mut seen = BTreeSet::new();
    while let Some(len) = recorder.poll_feedback(now, Ssrc(1), Ssrc(2), &mut out) {
        let compound = Compound::parse(&out[..len]).expect("our own feedback parses");
        let Some(Ok(Rtcp::TransportFeedback(feedback))) = compound.packets().next() else {
            panic!("{compound} is no feedback");
        };
        for (number, _, time) in feedback.arrivals() {
            let Some(time) = time else { continue };
            assert!(time <= i64::try_from((now - start).as_micros() / 250).expect("not so long"));
            assert!(seen.insert(number), "{number} is told of twice");
            told += 1;
        }
    }
    told
}
