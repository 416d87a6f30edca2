//! Plaintext dumps of what browsers sent and received: every packet parses, and is built again byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use rtp::codec::{Codec, av1, is_key_frame, picture_size, vp8};
use rtp::rtcp::{Compound, Packet as Rtcp};
use rtp::{Packet, PayloadType, RtpOut, Ssrc, is_rtcp, is_rtp};
use wire::Writer;

/// A line of a dump.
struct Line {
    sent: bool,
    millis: u64,
    bytes: Vec<u8>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/rtp")
}

fn dump(name: &str) -> Vec<Line> {
    let path = directory().join(name).with_extension("rtp.txt");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut fields = line.split(' ');
            let sent = fields.next().unwrap() == "O";
            let millis = fields.next().unwrap().parse().unwrap();
            let hex = fields.next().unwrap().as_bytes();
            let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
            let bytes = hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
            Line { sent, millis, bytes }
        })
        .collect()
}

fn dumps() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .filter_map(|entry| {
            entry
                .unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .strip_suffix(".rtp.txt")
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    assert_eq!(names.len(), 9);
    names
}

#[test]
fn every_rtp_packet_is_built_again() {
    let (mut total, mut one_byte, mut two_byte, mut padded) = (0, 0, 0, 0);
    for name in dumps() {
        for line in dump(&name).iter().filter(|line| is_rtp(&line.bytes)) {
            let packet =
                Packet::parse(&line.bytes).unwrap_or_else(|error| panic!("{name} at {} ms: {error}", line.millis));
            assert!(!packet.extensions().stopped_early());
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
                padding: packet.padding_len().try_into().unwrap(),
            };
            let mut out = vec![0xee; 2000];
            let header_len = header.write(true, &mut out).unwrap();
            assert_eq!(
                out[..header_len],
                *packet.header(),
                "{name} at {} ms: {packet}",
                line.millis
            );
            let payload_end = header_len + packet.payload().len();
            out[header_len..payload_end].copy_from_slice(packet.payload());
            let len = payload_end + header.put_padding(&mut out[payload_end..]).unwrap();
            assert_eq!(out[..len], line.bytes, "{name} at {} ms: {packet}", line.millis);
            assert!(!rtp::dump::Rtp(&packet.view()).to_string().contains("malformed"));
            total += 1;
            one_byte += usize::from(packet.profile().is_some_and(rtp::Profile::is_one_byte));
            two_byte += usize::from(packet.profile().is_some_and(rtp::Profile::is_two_byte));
            padded += usize::from(packet.padding_len() != 0);
        }
    }
    assert_eq!(total, one_byte + two_byte);
    assert!(
        total > 2500 && two_byte > 300 && padded > 90,
        "{total} {two_byte} {padded}"
    );
}

#[test]
fn every_rtcp_packet_is_built_again() {
    let (mut total, mut reduced, mut kinds) = (0, 0, [0; 8]);
    for name in dumps() {
        for line in dump(&name).iter().filter(|line| is_rtcp(&line.bytes)) {
            let compound =
                Compound::parse(&line.bytes).unwrap_or_else(|error| panic!("{name} at {} ms: {error}", line.millis));
            let mut out = vec![0xee; 2000];
            let mut w = Writer::new(&mut out);
            for packet in compound.packets() {
                let packet = packet.unwrap_or_else(|error| panic!("{name} at {} ms: {error}", line.millis));
                packet.write(&mut w).unwrap();
                kinds[match packet {
                    Rtcp::SenderReport(_) => 0,
                    Rtcp::ReceiverReport(_) => 1,
                    Rtcp::Sdes(_) => 2,
                    Rtcp::Nack(_) => 3,
                    Rtcp::Pli(_) => 4,
                    Rtcp::TransportFeedback(_) => 5,
                    Rtcp::CongestionFeedback(_) => 6,
                    Rtcp::Xr(_) => 7,
                    other => panic!("{name}: {other}"),
                }] += 1;
            }
            assert_eq!(w.written(), line.bytes, "{name} at {} ms: {compound}", line.millis);
            assert!(!rtp::dump::Rtcp(compound).to_string().contains("malformed"));
            total += 1;
            reduced += usize::from(compound.is_reduced_size());
        }
    }
    assert!(kinds.iter().all(|&count| count > 0), "{kinds:?}");
    assert!(total > 500 && reduced > 400, "{total} {reduced}");
}

/// The packets that carry a codec, in the order of sending.
fn sent_payloads(name: &str, payload_type: u8) -> Vec<(Ssrc, u32, bool, Vec<u8>)> {
    let lines = dump(name);
    let packets = lines
        .iter()
        .filter(|line| line.sent && is_rtp(&line.bytes))
        .map(|line| Packet::parse(&line.bytes[..]).unwrap());
    packets
        .filter(|packet| packet.payload_type() == PayloadType(payload_type) && !packet.payload().is_empty())
        .map(|packet| {
            (
                packet.ssrc(),
                packet.timestamp(),
                packet.marker(),
                packet.payload().to_vec(),
            )
        })
        .collect()
}

#[test]
fn picture_ids_of_vp8_count_frames() {
    let packets = sent_payloads("chromium156-tx-opus-vp8-640x360", 96);
    assert!(packets.len() > 150);
    let mut previous: Option<(u32, u16)> = None;
    for (index, (_, timestamp, _, payload)) in packets.iter().enumerate() {
        let descriptor = vp8::Descriptor::parse(payload).unwrap();
        let vp8::PictureId::Long(id) = descriptor.picture_id.unwrap() else {
            panic!("seven bits")
        };
        let new_frame = previous.is_none_or(|(before, _)| before != *timestamp);
        if let Some((_, before)) = previous {
            assert_eq!(id, before.wrapping_add(u16::from(new_frame)) & 0x7fff, "packet {index}");
        }
        assert_eq!(descriptor.starts_frame(), new_frame);
        assert!(!is_key_frame(Codec::Vp8, payload) || new_frame);
        previous = Some((*timestamp, id));
    }
    assert!(is_key_frame(Codec::Vp8, &packets[0].3));
}

#[test]
fn layers_of_vp8_simulcast_begin_with_key_frames() {
    let packets = sent_payloads("chromium156-tx-opus-vp8-simulcast3-1280x720", 96);
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    for (ssrc, _, _, payload) in &packets {
        if !seen.contains(ssrc) {
            seen.push(*ssrc);
            assert!(is_key_frame(Codec::Vp8, payload), "{ssrc}");
            sizes.extend(picture_size(Codec::Vp8, payload));
        }
        // With a dependency descriptor Chromium leaves everything out that it says: the shortest descriptor of VP8
        // remains.
        let descriptor = vp8::Descriptor::parse(payload).unwrap();
        assert!(descriptor.len == 1 && descriptor.temporal.is_none() && descriptor.picture_id.is_none());
    }
    assert_eq!(sizes, [(320, 180), (640, 360), (1280, 720)]);
}

#[test]
fn av1_begins_with_a_new_sequence() {
    let offer = fs::read_to_string(directory().join("chromium156-tx-av1-L3T3-1280x720-offer.sdp")).unwrap();
    let rtpmap = offer.lines().find(|line| line.ends_with(" AV1/90000")).unwrap();
    let payload_type = rtpmap["a=rtpmap:".len()..].split(' ').next().unwrap().parse().unwrap();
    let packets = sent_payloads("chromium156-tx-av1-L3T3-1280x720", payload_type);
    let keys: Vec<usize> = (0..packets.len())
        .filter(|&index| is_key_frame(Codec::Av1, &packets[index].3))
        .collect();
    assert_eq!(keys.first(), Some(&0));
    for key in keys {
        let starts = key == 0 || packets[key - 1].1 != packets[key].1;
        assert!(starts, "packet {key} begins a sequence inside a picture");
    }
    for (_, _, _, payload) in &packets {
        assert!(av1::AggregationHeader::parse(payload).is_some());
    }
}
