//! Parsers of what comes in datagrams: ours beside those of str0m and rtc, as far as theirs can be called from outside.
//! Ours is the floor: a figure of theirs is how many times ours they take.

use std::hint::black_box;

use bytes::Bytes;
use rtc::shared::marshal::Unmarshal;
use rtp::Ssrc;
use rtp::ntp::NtpTime;
use rtp::rtcp::{
    Compound, FeedbackHeader, Nack, Packet, Pli, ReportBlock, Sdes, SenderInfo, SenderReport, Status, TransportFeedback,
};

use crate::allocations;
use crate::rounds::{Case, compare, thread_time};

const ROUNDS: usize = 101;
const BATCH: u32 = 500;

/// A connectivity check of Chromium's, and the password that it is keyed with.
const CHECK: &[u8] = include_bytes!("../../fixtures/stun/chromium156-check-use-candidate-0.bin");
const PASSWORD: &str = "sfupasswordsfupassword12";

pub(crate) fn run() {
    stun();
    header();
    rtcp();
}

fn stun() {
    println!("STUN binding request of Chromium's, {} bytes", CHECK.len());
    let key = stun::Key::short_term(PASSWORD);
    compare_parsers(&mut [
        parser("ours", || {
            let message = stun::Message::parse(black_box(CHECK)).expect("a message");
            black_box(message.username().is_ok_and(|name| name.is_some()) && message.priority().is_ok());
        }),
        parser("str0m 0.25", || {
            let message = str0m::ice::StunMessage::parse(black_box(CHECK)).expect("a message");
            black_box(message.username().is_some() && message.prio().is_some());
        }),
        parser("rtc-stun 0.21", || {
            let mut message = rtc::stun::message::Message::new();
            message.unmarshal_binary(black_box(CHECK)).expect("a message");
            black_box(message.contains(rtc::stun::attributes::ATTR_USERNAME));
            black_box(message.contains(rtc::stun::attributes::ATTR_PRIORITY));
        }),
    ]);
    println!("the same, its integrity verified");
    let crypto = rtc::crypto::default_provider().expect("a provider");
    let sha1 = |key: &[u8], pieces: &[&[u8]]| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mut context = aws_lc_rs::hmac::Context::with_key(&key);
        pieces.iter().for_each(|piece| context.update(piece));
        context.sign().as_ref().try_into().expect("20 bytes")
    };
    compare_parsers(&mut [
        parser("ours, keyed once per peer", || {
            let message = stun::Message::parse(black_box(CHECK)).expect("a message");
            black_box(message.verify_integrity(&key).expect("authentic"));
        }),
        parser("str0m 0.25, with aws-lc-rs", || {
            let message = str0m::ice::StunMessage::parse(black_box(CHECK)).expect("a message");
            assert!(message.verify(PASSWORD.as_bytes(), sha1));
        }),
        parser("rtc-stun 0.21, with ring", || {
            let mut message = rtc::stun::message::Message::new();
            message.unmarshal_binary(black_box(CHECK)).expect("a message");
            rtc::stun::integrity::MessageIntegrity::check(&mut message, PASSWORD.as_bytes(), crypto.crypto())
                .expect("authentic");
        }),
    ]);
}

fn header() {
    let header = rtp::RtpOut {
        payload_type: rtp::PayloadType(96),
        sequence_number: 77,
        timestamp: 90_000,
        ssrc: Ssrc(0x1122_3344),
        extensions: &[(2, &[1, 2, 3]), (3, &[0, 77]), (4, b"0")],
        ..rtp::RtpOut::default()
    };
    let mut packet = vec![7; 1200];
    let header_len = header.write(true, &mut packet).expect("a header");
    println!(
        "RTP packet of {} bytes, header with 3 extensions of {header_len} bytes",
        packet.len()
    );
    let bytes = Bytes::from(packet.clone());
    compare_parsers(&mut [
        parser("ours, all extensions read", || {
            let packet = rtp::Packet::parse(black_box(&packet[..])).expect("a packet");
            packet.extensions().for_each(|element| {
                black_box(element);
            });
            black_box(packet.payload());
        }),
        parser("rtc-rtp 0.21", || {
            let packet = rtc::rtp::Packet::unmarshal(&mut black_box(bytes.clone())).expect("a packet");
            black_box(packet);
        }),
    ]);
}

fn rtcp() {
    let mut out = [0; 600];
    let mut w = wire::Writer::new(&mut out);
    let info = SenderInfo {
        ssrc: Ssrc(1),
        ntp: NtpTime(1 << 60),
        rtp_timestamp: 3,
        packet_count: 4,
        octet_count: 5,
    };
    let block = ReportBlock {
        ssrc: Ssrc(2),
        highest_sequence: 77,
        ..ReportBlock::default()
    };
    let feedback = FeedbackHeader {
        sender: Ssrc(1),
        media: Ssrc(2),
        base_sequence: 10,
        reference_time: 9,
        feedback_count: 8,
    };
    let statuses = (0..50).map(|n: u8| {
        if n % 9 == 5 {
            Status::NotReceived
        } else {
            Status::Small(n)
        }
    });
    let pli = Pli {
        sender: Ssrc(1),
        media: Ssrc(2),
    };
    SenderReport::write(&mut w, &info, [block], &[])
        .and_then(|()| Sdes::write_cname(&mut w, Ssrc(1), b"0123456789abcdef"))
        .and_then(|()| TransportFeedback::write(&mut w, &feedback, statuses))
        .and_then(|()| Nack::write(&mut w, Ssrc(1), Ssrc(2), [5, 6, 9, 40]))
        .and_then(|()| pli.write(&mut w))
        .expect("room");
    let len = w.position();
    let compound = out[..len].to_vec();
    println!("RTCP compound of {len} bytes: SR, SDES, transport-wide feedback on 50 packets, NACK, PLI");
    let bytes = Bytes::from(compound.clone());
    compare_parsers(&mut [
        parser("ours, every item read", || {
            let compound = Compound::parse(black_box(&compound)).expect("a compound");
            for packet in compound.packets() {
                match packet.expect("a packet") {
                    Packet::TransportFeedback(feedback) => {
                        black_box(feedback.arrivals().map(black_box).count());
                    }
                    Packet::Nack(nack) => {
                        black_box(nack.lost().map(black_box).count());
                    }
                    Packet::SenderReport(report) => {
                        black_box(report.reports().map(black_box).count());
                    }
                    packet => {
                        black_box(packet);
                    }
                }
            }
        }),
        parser("rtc-rtcp 0.21", || {
            black_box(rtc::rtcp::packet::unmarshal(&mut black_box(bytes.clone())).expect("a compound"));
        }),
    ]);
}

/// What is compared: its name, and how it parses.
type Parser<'a> = (String, Box<dyn Fn() + 'a>);

/// One way to parse something, with its allocations in its name.
fn parser<'a>(name: &str, parse: impl Fn() + 'a) -> Parser<'a> {
    let (count, bytes) = allocations::count(&parse);
    let allocations = match count {
        0 => "no allocation".to_owned(),
        _ => format!("{count} allocations, {bytes} bytes"),
    };
    (format!("  {name}; {allocations}"), Box::new(parse))
}

fn compare_parsers(parsers: &mut [Parser<'_>]) {
    let mut cases: Vec<Case<'_>> = parsers
        .iter()
        .map(|(name, parse)| Case {
            name: name.clone(),
            floor: Some(0),
            run: Box::new(move || {
                let start = thread_time();
                for _ in 0..BATCH {
                    parse();
                }
                (thread_time() - start).as_secs_f64() * 1e9 / f64::from(BATCH)
            }),
        })
        .collect();
    compare(ROUNDS, &mut cases);
}
