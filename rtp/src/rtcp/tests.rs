#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use super::*;
use crate::Ssrc;
use crate::ntp::NtpTime;
use proptest::collection::vec;
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec::Vec;
use wire::{Ecn, Full, Writer};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// What `write` appends, given enough room; every shorter buffer has to be refused and left as it was.
fn written(write: impl Fn(&mut Writer<'_>) -> Result<(), Full>) -> Vec<u8> {
    let mut buf = vec_of(0xee, 4000);
    let mut w = Writer::new(&mut buf);
    write(&mut w).unwrap();
    let bytes = w.written().to_vec();
    for short in (0..bytes.len()).rev().step_by(bytes.len() / 64 + 1) {
        let mut w = Writer::new(&mut buf[..short]);
        assert_eq!(write(&mut w), Err(Full), "{short} of {}", bytes.len());
        assert_eq!(w.position(), 0);
    }
    bytes
}

fn vec_of(byte: u8, len: usize) -> Vec<u8> {
    std::vec![byte; len]
}

/// The one packet in `bytes`, which its own builder has to write back.
fn only(bytes: &[u8]) -> Packet<'_> {
    let compound = Compound::parse(bytes).unwrap();
    let mut packets = compound.packets();
    let packet = packets.next().unwrap().unwrap();
    assert!(packets.next().is_none());
    assert_eq!(written(|w| packet.write(w)), bytes, "{packet}");
    packet
}

#[test]
fn a_chromium_compound_of_sr_sdes_and_xr() {
    let bytes = hex(
        "80c800060820d600eead22d755e92923b20806eb0000004d0000d5a881ca00060820d60001106f5939506c784a5769473030486b5679000080cf\
         00050820d600050000030000000122d6b1e60000a3d6",
    );
    let compound = Compound::parse(&bytes).unwrap();
    assert!(!compound.is_reduced_size());
    let packets: Vec<_> = compound.packets().map(Result::unwrap).collect();
    let [Packet::SenderReport(sr), Packet::Sdes(sdes), Packet::Xr(xr)] = &packets[..] else {
        panic!("{compound}");
    };
    assert_eq!(
        sr.info,
        SenderInfo {
            ssrc: Ssrc(0x0820_d600),
            ntp: NtpTime(0xeead_22d7_55e9_2923),
            rtp_timestamp: 0xb208_06eb,
            packet_count: 77,
            octet_count: 0xd5a8,
        }
    );
    assert_eq!(sr.reports().count(), 0);
    assert_eq!(sdes.cname(Ssrc(0x0820_d600)), Some(&b"oY9PlxJWiG00HkVy"[..]));
    assert_eq!(sdes.cname(Ssrc(1)), None);
    let dlrr = Dlrr {
        ssrc: Ssrc(1),
        last_rr: 0x22d6_b1e6,
        delay: 0xa3d6,
    };
    let [XrBlock::Dlrr(block)] = &xr.blocks().collect::<Vec<_>>()[..] else {
        panic!("{xr}");
    };
    assert_eq!(block.clone().collect::<Vec<_>>(), [dlrr]);
    assert_eq!(written(|w| Xr::write_dlrr(w, Ssrc(0x0820_d600), [dlrr])), bytes[56..]);
    assert_eq!(
        written(|w| Sdes::write_cname(w, Ssrc(0x0820_d600), b"oY9PlxJWiG00HkVy")),
        bytes[28..56]
    );
    assert_eq!(
        compound.to_string(),
        "SR 0820d600 ntp=4004324055.335588 ts=2986870507 packets=77 octets=54696 + SDES {0820d600 \
         CNAME=\"oY9PlxJWiG00HkVy\"} + XR 0820d600 {DLRR 00000001 lrr=22d6b1e6 dlrr=41942}"
    );
}

#[test]
fn a_chromium_receiver_report_with_a_key_frame_request() {
    let bytes = hex("80c900010000000181ce000200000001c48d90a580cf00040000000104000002eead22e057c0a06e");
    let packets: Vec<_> = Compound::parse(&bytes).unwrap().packets().map(Result::unwrap).collect();
    let expected = Pli {
        sender: Ssrc(1),
        media: Ssrc(0xc48d_90a5),
    };
    assert_eq!(packets[1], Packet::Pli(expected));
    assert_eq!(written(|w| expected.write(w)), bytes[8..20]);
    let Packet::Xr(xr) = &packets[2] else { panic!() };
    let reference = XrBlock::ReceiverReferenceTime(NtpTime(0xeead_22e0_57c0_a06e));
    assert_eq!(xr.blocks().next(), Some(reference.clone()));
    assert_eq!(written(|w| Xr::write(w, Ssrc(1), [reference.clone()])), bytes[20..]);
}

#[test]
fn framing_is_checked_for_the_whole_datagram() {
    let rr = hex("80c9000100000001");
    assert!(Compound::parse(&[]).is_err());
    assert_eq!(Compound::parse(&hex("40c9000100000001")).unwrap_err().offset(), 0);
    // The second packet is longer than the datagram, has another version, or is cut off.
    for second in ["80c90002 00000001", "00c90001 00000001", "80c9"] {
        let bytes = [&rr[..], &hex(second)].concat();
        assert!(Compound::parse(&bytes).unwrap_err().offset() >= 8, "{second}");
    }
    // Padding: of the last packet only, one to all bytes behind the header.
    for (bytes, legal) in [
        ("a0c90002 00000001 00000004", true),
        ("a0c90002 00000001 00000000", false),
        ("a0c90002 00000001 0000000d", false),
        ("a0c90002 00000001 00000008", true),
        ("a0c90002 00000001 00000004 80c9000100000001", false),
        ("80c9000100000001 a0c90002 00000001 00000004", true),
    ] {
        assert_eq!(Compound::parse(&hex(bytes)).is_ok(), legal, "{bytes}");
    }
}

#[test]
fn a_malformed_packet_does_not_hinder_the_others() {
    // A report that announces one block more than there is, then a PLI.
    let bytes = hex("81c9000100000001 81ce0002 00000001 00000002");
    let packets: Vec<_> = Compound::parse(&bytes).unwrap().packets().collect();
    assert!(packets[0].is_err() && matches!(packets[1], Ok(Packet::Pli(_))));
    assert!(
        Compound::parse(&bytes)
            .unwrap()
            .to_string()
            .starts_with("malformed (input ends")
    );
}

#[test]
fn reduced_size_is_recognized() {
    for (bytes, reduced) in [
        ("81ce0002 00000001 00000002", true),
        ("80c9000100000001", false),
        ("81ca0002 00000001 00000000", true),
    ] {
        assert_eq!(Compound::parse(&hex(bytes)).unwrap().is_reduced_size(), reduced);
    }
}

#[test]
fn unknown_packets_survive_with_their_padding() {
    for bytes in [
        "85cc0003 00000001 6e616d65 01020304",
        "80df0001 00000001",
        "83cd0003 00000001 00000002 11223344",
        "afce0003 00000001 00000002 6f746803",
        "8fce0003 00000001 00000002 6f746802",
        "a0d60001 01020304",
        "80d30000",
    ] {
        let bytes = hex(bytes);
        assert!(matches!(only(&bytes), Packet::Unknown(_)), "{bytes:x?}");
    }
}

#[test]
fn report_extensions_are_kept() {
    let mut bytes = hex("80c90003 00000001 deadbeef 01020304");
    let Packet::ReceiverReport(rr) = only(&bytes) else {
        panic!()
    };
    assert_eq!(rr.extension, [0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4]);
    bytes[0] = 0x81;
    assert!(Compound::parse(&bytes).unwrap().packets().next().unwrap().is_err());
    // Padding by one byte leaves no whole words.
    let odd = hex("a0c90003 00000001 deadbeef 01020301");
    assert!(Compound::parse(&odd).unwrap().packets().next().unwrap().is_err());
}

#[test]
fn cumulative_loss_is_signed() {
    let block = |cumulative_lost| ReportBlock {
        cumulative_lost,
        ..ReportBlock::default()
    };
    for (given, kept) in [
        (-1, -1),
        (-0x80_0000, -0x80_0000),
        (i32::MIN, -0x80_0000),
        (i32::MAX, 0x7f_ffff),
    ] {
        let bytes = written(|w| ReceiverReport::write(w, Ssrc(1), [block(given)], &[]));
        let Packet::ReceiverReport(rr) = only(&bytes) else {
            panic!()
        };
        assert_eq!(rr.reports().collect::<Vec<_>>(), [block(kept)]);
    }
}

#[test]
fn more_than_31_blocks_are_refused() {
    let blocks = [ReportBlock::default(); 32];
    let mut buf = [0; 2000];
    let mut w = Writer::new(&mut buf);
    assert_eq!(ReceiverReport::write(&mut w, Ssrc(1), blocks, &[]), Err(Full));
    assert_eq!(
        ReceiverReport::write(&mut w, Ssrc(1), blocks.into_iter().take(31), &[]),
        Ok(())
    );
    assert_eq!(w.position(), 8 + 31 * 24);
}

#[test]
fn descriptions_end_with_null_octets() {
    // Two chunks; the first list ends exactly before a boundary and takes four null octets.
    let bytes = hex("82ca0008 00000001 01026162 00000000 00000002 0c0161 0f0130 0000 00000003 00000000");
    assert!(
        Compound::parse(&bytes).unwrap().packets().next().unwrap().is_err(),
        "a third chunk"
    );
    let mut bytes = bytes[..28].to_vec();
    bytes[3] = 6;
    let Packet::Sdes(sdes) = only(&bytes) else { panic!() };
    let chunks: Vec<_> = sdes
        .chunks()
        .map(|chunk| (chunk.ssrc, chunk.items().collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        chunks,
        [
            (Ssrc(1), std::vec![(SdesItem::CNAME, &b"ab"[..])]),
            (
                Ssrc(2),
                std::vec![(SdesItem::RTP_STREAM_ID, &b"a"[..]), (SdesItem::MID, b"0")]
            ),
        ]
    );
    for bad in [
        "81ca0002 00000001 01026162",
        "81ca0002 00000001 0103616263",
        "81ca0002 00000001 00010000",
    ] {
        let mut bytes = hex(bad);
        bytes.resize(12, 0);
        assert!(
            Compound::parse(&bytes).unwrap().packets().next().unwrap().is_err(),
            "{bad}"
        );
    }
    // No items at all.
    only(&hex("81ca0002 00000001 00000000"));
    only(&hex("80ca0000"));
}

#[test]
fn goodbyes() {
    only(&hex("80cb0000"));
    assert_eq!(
        only(&hex("82cb0002 00000001 00000002")).to_string(),
        "BYE 00000001 00000002"
    );
    let bytes = hex("81cb0003 00000001 0462796521 000000");
    let Packet::Bye(bye) = only(&bytes) else { panic!() };
    assert_eq!(bye.reason, Some(&b"bye!"[..]));
    assert_eq!(bye.sources().collect::<Vec<_>>(), [Ssrc(1)]);
    for bad in [
        "81cb0000",
        "81cb0002 00000001 04627965",
        "81cb0003 00000001 01620000 00000000",
    ] {
        assert!(
            Compound::parse(&hex(bad)).unwrap().packets().next().unwrap().is_err(),
            "{bad}"
        );
    }
}

#[test]
fn nacks() {
    let bytes = hex("81cd0004 00000001 00000002 fffe8005 00300000");
    let Packet::Nack(nack) = only(&bytes) else { panic!() };
    let lost = [0xfffe, 0xffff, 1, 0x0e, 0x30];
    assert_eq!(nack.lost().collect::<Vec<_>>(), lost);
    assert_eq!(written(|w| Nack::write(w, Ssrc(1), Ssrc(2), lost)), bytes);
    assert_eq!(nack.to_string(), "NACK 00000001 -> 00000002 [65534 65535 1 14 48]");
    let mut buf = [0; 4];
    let mut w = Writer::new(&mut buf);
    assert_eq!(Nack::write(&mut w, Ssrc(1), Ssrc(2), []), Ok(()), "nothing was lost");
    assert_eq!(w.position(), 0);
    for bad in ["81cd0002 00000001 00000002", "81cd0001 00000001"] {
        assert!(
            Compound::parse(&hex(bad)).unwrap().packets().next().unwrap().is_err(),
            "{bad}"
        );
    }
}

#[test]
fn full_intra_requests() {
    let bytes = hex("84ce0004 00000001 00000000 00000002 09000000");
    let Packet::Fir(fir) = only(&bytes) else { panic!() };
    let entry = FirEntry {
        ssrc: Ssrc(2),
        sequence_number: 9,
    };
    assert_eq!(fir.entries().collect::<Vec<_>>(), [entry]);
    assert_eq!(fir.to_string(), "FIR 00000001 -> 00000002#9");
    let mut buf = [0; 4];
    let mut w = Writer::new(&mut buf);
    assert_eq!(Fir::write(&mut w, Ssrc(1), Ssrc(0), []), Ok(()), "nobody is asked");
    assert_eq!(w.position(), 0);
    let bad = hex("84ce0003 00000001 00000000 00000002");
    assert!(Compound::parse(&bad).unwrap().packets().next().unwrap().is_err());
}

#[test]
fn estimated_bitrates() {
    // 0x20000 << 5 = 4 194 304 bit/s for two sources.
    let bytes = hex("8fce0006 00000001 00000000 52454d42 02160000 00000002 00000003");
    let Packet::Remb(remb) = only(&bytes) else { panic!() };
    assert_eq!(remb.bitrate, 0x20000 << 5);
    assert_eq!(remb.sources().collect::<Vec<_>>(), [Ssrc(2), Ssrc(3)]);
    // Not the shortest exponent: the same rate, read all the same.
    let loose = hex("8fce0005 00000001 00000000 52454d42 01580001 00000002");
    let Ok(Packet::Remb(remb)) = Compound::parse(&loose).unwrap().packets().next().unwrap() else {
        panic!()
    };
    assert_eq!(remb.bitrate, 1 << 22);
    // 18 bits shifted by 63 do not fit into 64; sources missing; sources too many.
    for bad in ["01fc0002 00000002", "02160000 00000002", "00160000 00000002"] {
        let bytes = hex(&std::format!("8fce0005 00000001 00000000 52454d42 {bad}"));
        assert!(
            Compound::parse(&bytes).unwrap().packets().next().unwrap().is_err(),
            "{bad}"
        );
    }
    for (rate, kept) in [
        (0, 0),
        (1, 1),
        (0x3_ffff, 0x3_ffff),
        (0x7_ffff, 0x7_fffe),
        (u64::MAX, 0xffff_c000 << 32),
    ] {
        let bytes = written(|w| Remb::write(w, Ssrc(1), rate, [Ssrc(2)]));
        let Packet::Remb(remb) = only(&bytes) else { panic!() };
        assert_eq!(remb.bitrate, kept);
    }
}

#[test]
fn unknown_report_blocks_are_kept() {
    // Loss RLE, then a receiver reference time of a length that it cannot have.
    let bytes = hex("80cf0006 00000001 01030002 00000002 00010005 04000001 00000001");
    let Packet::Xr(xr) = only(&bytes) else { panic!() };
    let unknown = |block: XrBlock<'_>| matches!(block, XrBlock::Unknown { .. });
    assert_eq!(xr.blocks().filter(|block| unknown(block.clone())).count(), 2);
    assert!(xr.to_string().contains("{loss RLE 8 bytes}"));
    let bad = hex("80cf0002 00000001 01030001");
    assert!(Compound::parse(&bad).unwrap().packets().next().unwrap().is_err());
}

#[test]
fn reserved_bits_of_report_blocks_are_ignored() {
    let bytes = hex("80cf0008 00000001 04ff0002 eead22e0 57c0a06e 05010003 00000001 22d6b1e6 0000a3d6");
    let Ok(Packet::Xr(xr)) = Compound::parse(&bytes).unwrap().packets().next().unwrap() else {
        panic!()
    };
    let [XrBlock::ReceiverReferenceTime(ntp), XrBlock::Dlrr(answers)] = &xr.blocks().collect::<Vec<_>>()[..] else {
        panic!("{xr}");
    };
    assert_eq!(*ntp, NtpTime(0xeead_22e0_57c0_a06e));
    assert_eq!(
        answers.clone().map(|answer| answer.last_rr).collect::<Vec<_>>(),
        [0x22d6_b1e6]
    );
}

fn last(bytes: &[u8]) -> Packet<'_> {
    Compound::parse(bytes).unwrap().packets().last().unwrap().unwrap()
}

#[test]
fn packets_are_equal_that_say_the_same() {
    let same = [
        // Reserved bytes of FIR entries.
        "84ce0004 00000001 00000000 00000002 09000000",
        "84ce0004 00000001 00000000 00000002 09010203",
        // Reserved bits of report blocks.
        "80cf0004 00000001 04000002 eead22e0 57c0a06e",
        "80cf0004 00000001 04010002 eead22e0 57c0a06e",
        // Padding of an odd number of metrics.
        "8bcd0005 00000001 00000002 168e0001 80000000 235b1528",
        "8bcd0005 00000001 00000002 168e0001 80000001 235b1528",
        // Seven packets not received: a run, and a vector.
        "8fcd0005 00000001 00000002 00010007 00000000 00070000",
        "8fcd0005 00000001 00000002 00010007 00000000 c0000000",
        // Where an unknown packet stands.
        "80df0001 00000001",
        "80c90001 00000001 80df0001 00000001",
    ];
    let same = same.map(hex);
    let packets: Vec<_> = same.iter().map(|bytes| last(bytes)).collect();
    for (at, packet) in packets.iter().enumerate() {
        for (other_at, other) in packets.iter().enumerate() {
            assert_eq!(packet == other, at / 2 == other_at / 2, "{packet} and {other}");
        }
    }
    for (one, other) in [
        (
            "84ce0004 00000001 00000000 00000002 09000000",
            "84ce0004 00000001 00000000 00000002 0a000000",
        ),
        (
            "8bcd0005 00000001 00000002 168e0001 80000000 235b1528",
            "8bcd0005 00000001 00000002 168e0001 80010000 235b1528",
        ),
        (
            "8fcd0005 00000001 00000002 00010007 00000000 00070000",
            "8fcd0005 00000001 00000002 00010007 00000000 60070000",
        ),
        ("80df0001 00000001", "80df0001 00000002"),
    ] {
        let (one, other) = (hex(one), hex(other));
        assert_ne!(last(&one), last(&other));
    }
}

#[test]
fn transport_feedback_of_chromium() {
    let bytes = hex("8fcd0006fa17fa1720debf8e0026000600aae105200628262b5b3410");
    let Packet::TransportFeedback(feedback) = only(&bytes) else {
        panic!()
    };
    let times: Vec<_> = feedback
        .arrivals()
        .map(|(seq, _, time)| (seq, time.unwrap() - 0xaae1 * 256))
        .collect();
    assert_eq!(
        times,
        [(38, 0x28), (39, 0x4e), (40, 0x79), (41, 0xd4), (42, 0x108), (43, 0x118)]
    );
    assert_eq!(
        feedback.to_string(),
        "TWCC fa17fa17 -> 20debf8e #5 base=38 t=43745*64ms received=[38-43] of 6"
    );
    // Padded by three bytes, with vectors and large deltas.
    only(&hex(
        "afcd0008fa17fa1724e100f50001000c00aadc00200c79270d230239000000100b000002",
    ));
}

fn chunk_statuses(chunks: &[u16], count: u16) -> Result<Vec<Status>, wire::Error> {
    let mut bytes = hex("8fcd0000 00000001 00000002 0001");
    bytes.extend(count.to_be_bytes());
    bytes.extend([0, 0, 0, 0]);
    for chunk in chunks {
        bytes.extend(chunk.to_be_bytes());
    }
    bytes.extend(vec_of(7, usize::from(count)));
    bytes.truncate(bytes.len() & !3);
    bytes[3] = (bytes.len() / 4 - 1) as u8;
    let mut r = Compound::parse(&bytes)?.packets();
    match r.next().unwrap()? {
        Packet::TransportFeedback(feedback) => Ok(feedback.statuses().collect()),
        other => panic!("{other}"),
    }
}

#[test]
fn the_chunks_of_the_drafts_examples() {
    use Status::{NotReceived, WithoutTime};
    let small = Status::Small(7);
    // §3.1.3: a run of 221 packets not received, and one of 24 received without a time (the reserved symbol).
    let mut bytes = hex("8fcd0005 00000001 00000002 0001 00f5 000000 00 00dd 6018");
    bytes[3] = 5;
    let Packet::TransportFeedback(feedback) = only(&bytes) else {
        panic!()
    };
    let statuses: Vec<_> = feedback.statuses().collect();
    assert!(statuses[..221].iter().all(|&status| status == NotReceived));
    assert!(statuses[221..].iter().all(|&status| status == WithoutTime) && statuses.len() == 245);
    // §3.1.4, example 1: a vector of one-bit symbols; the count cuts it after the ninth.
    let expected = [
        [NotReceived; 1].to_vec(),
        [small; 5].to_vec(),
        [NotReceived; 3].to_vec(),
    ]
    .concat();
    assert_eq!(chunk_statuses(&[0x9f1c], 9).unwrap(), expected);
    // §3.1.4, example 2: a vector of two-bit symbols.
    let expected = [NotReceived, WithoutTime, small, small, small, NotReceived, NotReceived];
    assert_eq!(chunk_statuses(&[0xcd50], 7).unwrap()[..], expected);
    // Too few chunks for the count, and no packet at all.
    assert!(chunk_statuses(&[0x2001], 0).is_err());
    assert!(
        Compound::parse(&hex("8fcd0005 00000001 00000002 0001 00f5 000000 00 00dd 0000"))
            .unwrap()
            .packets()
            .next()
            .unwrap()
            .is_err()
    );
}

#[test]
fn congestion_feedback_of_chromium() {
    let bytes = hex("8bcd0005fa17fa17c63cce38168e000180000000235b1528");
    let Packet::CongestionFeedback(feedback) = only(&bytes) else {
        panic!()
    };
    let streams: Vec<_> = feedback.streams().collect();
    assert_eq!(
        (streams[0].ssrc, streams[0].begin_sequence),
        (Ssrc(0xc63c_ce38), 0x168e)
    );
    let metric = Metric {
        received: true,
        ecn: Ecn::NotEct,
        arrival_offset: 0,
    };
    assert_eq!(streams[0].metrics().collect::<Vec<_>>(), [metric]);
    for bad in ["8bcd0001 00000001", "8bcd0004 00000001 00000002 00014001 00000003"] {
        assert!(
            Compound::parse(&hex(bad)).unwrap().packets().next().unwrap().is_err(),
            "{bad}"
        );
    }
}

fn ssrc() -> impl Strategy<Value = Ssrc> {
    any::<u32>().prop_map(Ssrc)
}

prop_compose! {
    fn report_block()(
        ssrc in ssrc(), fraction_lost: u8, cumulative_lost in -0x80_0000..=0x7f_ffff_i32, highest_sequence: u32,
        jitter: u32, last_sr: u32, delay_since_last_sr: u32,
    ) -> ReportBlock {
        ReportBlock { ssrc, fraction_lost, cumulative_lost, highest_sequence, jitter, last_sr, delay_since_last_sr }
    }
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        6 => Just(Status::NotReceived),
        6 => any::<u8>().prop_map(Status::Small),
        2 => any::<i16>().prop_map(Status::Large),
        1 => Just(Status::WithoutTime),
    ]
}

/// Runs of equal kinds, so that all chunk types and lengths occur.
fn statuses() -> impl Strategy<Value = Vec<Status>> {
    vec(
        (
            status(),
            prop_oneof![3 => 1usize..4, 2 => 1usize..40, 1 => 8000usize..9000],
        ),
        1..30,
    )
    .prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(status, len)| core::iter::repeat_n(status, len))
            .take(20_000)
            .collect()
    })
}

/// Any word, one that counts few things, or one that counts few after any other field.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0u32..4,
        (any::<u16>(), 0u32..4).prop_map(|(field, count)| u32::from(field) << 16 | count),
    ]
}

prop_compose! {
    fn any_packet()(
        // The formats of feedback that are known here come often.
        count in prop_oneof![0u8..32, prop::sample::select(&[1, 4, 11, 15][..])],
        packet_type in prop_oneof![200u8..=208, 205u8..=206],
        body in prop_oneof![vec(word(), 0..24), vec(word(), 3..7)],
    ) -> Vec<u8> {
        let mut bytes = std::vec![0x80 | count, packet_type, 0, body.len() as u8];
        bytes.extend(body.into_iter().flat_map(u32::to_be_bytes));
        bytes
    }
}

proptest! {
    #[test]
    fn reports_survive(
        ssrc in ssrc(), ntp: u64, rtp_timestamp: u32, packet_count: u32, octet_count: u32,
        blocks in vec(report_block(), 0..=31), extension in vec(any::<u32>(), 0..4),
    ) {
        let info = SenderInfo { ssrc, ntp: NtpTime(ntp), rtp_timestamp, packet_count, octet_count };
        let extension: Vec<u8> = extension.into_iter().flat_map(u32::to_be_bytes).collect();
        let bytes = written(|w| SenderReport::write(w, &info, blocks.iter().copied(), &extension));
        let Packet::SenderReport(sr) = only(&bytes) else { panic!() };
        prop_assert_eq!((sr.info, sr.extension), (info, &extension[..]));
        prop_assert_eq!(sr.reports().collect::<Vec<_>>(), &blocks[..]);
        let bytes = written(|w| ReceiverReport::write(w, ssrc, blocks.iter().copied(), &extension));
        let Packet::ReceiverReport(rr) = only(&bytes) else { panic!() };
        prop_assert_eq!((rr.ssrc, rr.extension), (ssrc, &extension[..]));
        prop_assert_eq!(rr.reports().collect::<Vec<_>>(), blocks);
    }

    #[test]
    fn descriptions_survive(chunks in vec((ssrc(), vec((1u8.., vec(any::<u8>(), 0..20)), 0..4)), 0..5)) {
        let items = |items: &[(u8, Vec<u8>)]| -> Vec<(SdesItem, Vec<u8>)> {
            items.iter().map(|(item, text)| (SdesItem(*item), text.clone())).collect()
        };
        let bytes = written(|w| {
            Sdes::write(w, chunks.iter().map(|(ssrc, items)| (*ssrc, items.iter().map(|(item, text)| (SdesItem(*item), &text[..])))))
        });
        let Packet::Sdes(sdes) = only(&bytes) else { panic!() };
        let read: Vec<_> = sdes.chunks()
            .map(|chunk| (chunk.ssrc, chunk.items().map(|(item, text)| (item, text.to_vec())).collect::<Vec<_>>()))
            .collect();
        let expected: Vec<_> = chunks.iter().map(|(ssrc, list)| (*ssrc, items(list))).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn goodbyes_survive(sources in vec(ssrc(), 0..=31), reason in proptest::option::of(vec(any::<u8>(), 0..=255))) {
        let bytes = written(|w| Bye::write(w, sources.iter().copied(), reason.as_deref()));
        let Packet::Bye(bye) = only(&bytes) else { panic!() };
        prop_assert_eq!(bye.sources().collect::<Vec<_>>(), sources);
        prop_assert_eq!(bye.reason, reason.as_deref());
    }

    #[test]
    fn nacks_survive(first: u16, steps in vec(prop_oneof![1u16..4, 1u16..40], 0..200)) {
        let mut lost = std::vec![first];
        let mut ahead = 0u16;
        for step in steps {
            let Some(next) = ahead.checked_add(step) else { break };
            ahead = next;
            lost.push(first.wrapping_add(ahead));
        }
        let bytes = written(|w| Nack::write(w, Ssrc(1), Ssrc(2), lost.iter().copied()));
        let Packet::Nack(nack) = only(&bytes) else { panic!() };
        prop_assert_eq!(nack.lost().collect::<Vec<_>>(), lost);
        let starts: Vec<u16> = nack.pairs().map(|pair| pair.pid).collect();
        prop_assert!(starts.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) > 16), "as few entries as possible");
    }

    #[test]
    fn estimates_survive(sender in ssrc(), rate: u64, sources in vec(ssrc(), 0..=255)) {
        let bytes = written(|w| Remb::write(w, sender, rate, sources.iter().copied()));
        let Packet::Remb(remb) = only(&bytes) else { panic!() };
        prop_assert!(remb.bitrate <= rate && rate - remb.bitrate <= rate >> 17);
        prop_assert_eq!((remb.sender, remb.sources().collect::<Vec<_>>()), (sender, sources));
    }

    #[test]
    fn transport_feedback_survives(
        base_sequence: u16, reference_time in -0x80_0000..=0x7f_ffff_i32, feedback_count: u8, statuses in statuses(),
    ) {
        let header = FeedbackHeader { sender: Ssrc(1), media: Ssrc(2), base_sequence, reference_time, feedback_count };
        let mut buf = vec_of(0xee, 50_000);
        let mut w = Writer::new(&mut buf);
        TransportFeedback::write(&mut w, &header, statuses.iter().copied()).unwrap();
        let bytes = w.written().to_vec();
        let mut measure = Measure::default();
        statuses.iter().for_each(|&status| measure.push(status));
        prop_assert_eq!(measure.len(), bytes.len());
        let packet = Compound::parse(&bytes).unwrap().packets().next().unwrap().unwrap();
        let Packet::TransportFeedback(feedback) = &packet else { panic!() };
        prop_assert_eq!(feedback.header, header);
        prop_assert_eq!(feedback.statuses().collect::<Vec<_>>(), statuses);
        let mut again = vec_of(0, bytes.len());
        let mut w = Writer::new(&mut again);
        packet.write(&mut w).unwrap();
        prop_assert_eq!(w.written(), &bytes[..]);
        let _ = packet.to_string();
    }

    #[test]
    fn congestion_feedback_survives(
        streams in vec((ssrc(), any::<u16>(), vec((any::<bool>(), 0u8..4, 0u16..0x2000), 0..20)), 0..5),
        report_timestamp: u32,
    ) {
        let metric = |&(received, ecn, arrival_offset): &(bool, u8, u16)| Metric { received, ecn: Ecn::from_bits(ecn), arrival_offset };
        let bytes = written(|w| {
            let streams = streams.iter().map(|(ssrc, begin, metrics)| (*ssrc, *begin, metrics.iter().map(metric)));
            CongestionFeedback::write(w, Ssrc(1), report_timestamp, streams)
        });
        let Packet::CongestionFeedback(feedback) = only(&bytes) else { panic!() };
        prop_assert_eq!(feedback.report_timestamp, report_timestamp);
        let read: Vec<_> = feedback.streams().map(|s| (s.ssrc, s.begin_sequence, s.metrics().collect::<Vec<_>>())).collect();
        let expected: Vec<_> = streams.iter().map(|(ssrc, begin, m)| (*ssrc, *begin, m.iter().map(metric).collect::<Vec<_>>())).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_bytes_are_read_and_what_was_read_is_written(packets in vec(any_packet(), 16)) {
        for bytes in packets {
            let Ok(compound) = Compound::parse(&bytes) else { continue };
            for packet in compound.packets().flatten() {
                let _: String = packet.to_string();
                let mut buf = vec_of(0, 50_000);
                let mut w = Writer::new(&mut buf);
                packet.write(&mut w).unwrap();
                let again = Compound::parse(w.written()).unwrap().packets().next().unwrap().unwrap();
                prop_assert_eq!(again, packet);
            }
        }
    }
}
