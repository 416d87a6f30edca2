#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use super::*;
use crate::RtpOut;
use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

/// V=2, X, CC=1, PT 96 with marker, and a one-byte extension with elements 3 and 4.
fn packet() -> Vec<u8> {
    let mut bytes = vec![0xb1, 0xe0, 0x12, 0x34, 0, 0, 0x0b, 0xb8, 0x08, 0x20, 0xd6, 0x00];
    bytes.extend([0, 0, 0, 7]);
    bytes.extend([0xbe, 0xde, 0, 2, 0x31, 0xab, 0xcd, 0, 0x40, 0x31, 0, 0]);
    bytes.extend([1, 2, 3, 4, 5, 0, 0, 3]);
    bytes
}

#[test]
fn every_field_is_where_the_figure_has_it() {
    let bytes = packet();
    let packet = Packet::parse(&bytes[..]).unwrap();
    assert!(packet.marker());
    assert_eq!(packet.payload_type(), PayloadType(96));
    assert_eq!(packet.sequence_number(), 0x1234);
    assert_eq!(packet.timestamp(), 3000);
    assert_eq!(packet.ssrc(), Ssrc(0x0820_d600));
    assert_eq!(packet.csrcs().collect::<Vec<_>>(), [Ssrc(7)]);
    assert_eq!(packet.profile(), Some(Profile::ONE_BYTE));
    assert_eq!(
        packet.extensions().collect::<Vec<_>>(),
        [(3, &[0xab, 0xcd][..]), (4, &[0x31])]
    );
    assert_eq!(packet.extension(4), Some(&[0x31][..]));
    assert_eq!(packet.extension(5), None);
    assert_eq!(packet.header_len(), 28);
    assert_eq!(packet.header(), &bytes[..28]);
    assert_eq!(packet.payload(), [1, 2, 3, 4, 5]);
    assert_eq!(packet.padding_len(), 3);
    assert!(!packet.is_padding_only());
    assert_eq!(
        packet.to_string(),
        "RTP pt=96 m seq=4660 ts=3000 ssrc=0820d600 csrc=00000007 ext=[3:2 4:1] payload=5 padding=3"
    );
}

#[test]
fn setters_change_their_field_only() {
    let mut bytes = packet();
    let mut packet = Packet::parse(&mut bytes[..]).unwrap();
    packet.set_marker(false);
    packet.set_payload_type(PayloadType(0xff));
    packet.set_sequence_number(0xfffe);
    packet.set_timestamp(0x0102_0304);
    packet.set_ssrc(Ssrc(0xdead_beef));
    packet.payload_mut()[0] = 9;
    packet.extension_mut(3).unwrap().copy_from_slice(&[7, 8]);
    packet.extension_mut(4).unwrap()[0] = 6;
    assert!(packet.extension_mut(9).is_none());
    assert_eq!((packet.marker(), packet.payload_type()), (false, PayloadType(127)));
    assert_eq!(packet.sequence_number(), 0xfffe);
    assert_eq!(packet.timestamp(), 0x0102_0304);
    assert_eq!(packet.ssrc(), Ssrc(0xdead_beef));
    assert_eq!(packet.extensions().collect::<Vec<_>>(), [(3, &[7, 8][..]), (4, &[6])]);
    assert_eq!(packet.payload(), [9, 2, 3, 4, 5]);
    let mut expected = self::packet();
    expected[1..12].copy_from_slice(&[0x7f, 0xff, 0xfe, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef]);
    (expected[21], expected[22], expected[25], expected[28]) = (7, 8, 6, 9);
    assert_eq!(bytes, expected);
}

#[test]
fn what_reaches_beyond_the_end_is_refused() {
    let bytes = packet();
    for len in 0..28 {
        assert!(Packet::parse(&bytes[..len]).is_err(), "{len}");
    }
    let version = [&[0x40][..], &bytes[1..]].concat();
    assert_eq!(Packet::parse(version).unwrap_err().offset(), 0);
    for (count, legal) in [(0, false), (1, true), (8, true), (9, false), (255, false)] {
        let mut bytes = bytes.clone();
        *bytes.last_mut().unwrap() = count;
        assert_eq!(Packet::parse(&bytes).is_ok(), legal, "padding {count}");
    }
    // P bit, but nothing behind the header.
    assert!(Packet::parse([0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).is_err());
}

#[test]
fn padding_only() {
    let bytes = [0xa0, 97, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 3];
    let packet = Packet::parse(&bytes).unwrap();
    assert!(packet.is_padding_only() && packet.payload().is_empty());
    let empty = Packet::parse(&bytes[..12]);
    assert!(empty.is_err(), "the P bit without padding");
    let empty = Packet::parse([0x80, 97, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    assert!(!empty.is_padding_only() && empty.payload().is_empty());
}

fn elements(profile: u16, data: &[u8]) -> (Vec<(u8, Vec<u8>)>, bool) {
    let mut extensions = Extensions::new(Profile(profile), data);
    let list = extensions.by_ref().map(|(id, data)| (id, data.to_vec())).collect();
    (list, extensions.stopped_early())
}

#[test]
fn one_byte_form_of_rfc_8285_4_2() {
    // The RFC's figure: L=0, L=1, two bytes of padding, L=3.
    let data = [0x10, 1, 0x21, 2, 2, 0, 0, 0x33, 3, 3, 3, 3];
    let expected = vec![(1, vec![1]), (2, vec![2, 2]), (3, vec![3; 4])];
    assert_eq!(elements(0xbede, &data), (expected, false));
    // 16 bytes are the most.
    let longest = [&[0x1f][..], &[5; 16]].concat();
    assert_eq!(elements(0xbede, &longest), (vec![(1, vec![5; 16])], false));
    // Id 15 ends the list, whatever its length; so does id 0 with a length; so does an element that is cut off.
    for end in [&[0xf0, 9, 0x20, 9][..], &[0x01, 9, 9, 0x20], &[0x23, 1, 2]] {
        let data = [&[0x10, 1][..], end].concat();
        assert_eq!(elements(0xbede, &data), (vec![(1, vec![1])], true), "{end:?}");
    }
}

#[test]
fn two_byte_form_of_rfc_8285_4_3() {
    // The RFC's figure: L=0, L=1, padding, L=4; appbits are ignored.
    let data = [1, 0, 2, 1, 7, 0, 255, 4, 1, 2, 3, 4];
    let expected = vec![(1, vec![]), (2, vec![7]), (255, vec![1, 2, 3, 4])];
    assert_eq!(elements(0x1000, &data), (expected.clone(), false));
    assert_eq!(elements(0x100f, &data), (expected, false));
    for end in [&[9][..], &[15, 3, 1, 2]] {
        let data = [&[15, 1, 1][..], end].concat();
        assert_eq!(elements(0x1000, &data), (vec![(15, vec![1])], true), "{end:?}");
    }
}

#[test]
fn another_profile_is_kept_as_bytes() {
    let mut bytes = packet();
    bytes[16..18].copy_from_slice(&[0x12, 0x34]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.extensions().count(), 0);
    assert_eq!(packet.profile(), Some(Profile(0x1234)));
    assert_eq!(packet.extension_data(), &bytes[20..28]);
    assert!(packet.to_string().contains("ext=1234:8"));
}

proptest! {
    #[test]
    fn any_bytes_give_a_packet_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            let parts = [packet.header(), packet.payload(), &bytes[packet.payload_range().end..]].concat();
            prop_assert_eq!(parts, bytes.clone());
            for (id, data) in packet.extensions() {
                prop_assert!(id != 0 && data.len() <= 255);
            }
            let _ = packet.to_string();
        }
    }

    #[test]
    fn what_is_written_is_read(
        marker: bool, payload_type in 0u8..128, sequence_number: u16, timestamp: u32, ssrc: u32,
        csrcs in proptest::collection::vec(any::<u32>(), 0..16),
        extensions in proptest::collection::vec((1u8.., proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
        payload: Vec<u8>, padding: u8,
    ) {
        let csrcs: Vec<Ssrc> = csrcs.into_iter().map(Ssrc).collect();
        let borrowed: Vec<(u8, &[u8])> = extensions.iter().map(|(id, data)| (*id, &data[..])).collect();
        let out = RtpOut {
            payload_type: PayloadType(payload_type),
            marker,
            sequence_number: u64::from(sequence_number) | 7 << 16,
            timestamp,
            ssrc: Ssrc(ssrc),
            csrcs: &csrcs,
            extensions: &borrowed,
            padding,
        };
        let mut bytes = vec![0xaa; 2000];
        let mut len = out.write(true, &mut bytes).unwrap();
        let header_len = len;
        bytes[len..len + payload.len()].copy_from_slice(&payload);
        len += payload.len();
        len += out.put_padding(&mut bytes[len..]).unwrap();
        let packet = Packet::parse(&bytes[..len]).unwrap();
        prop_assert_eq!(packet.marker(), marker);
        prop_assert_eq!(packet.payload_type().0, payload_type);
        prop_assert_eq!(packet.sequence_number(), sequence_number);
        prop_assert_eq!(packet.timestamp(), timestamp);
        prop_assert_eq!(packet.ssrc().0, ssrc);
        prop_assert_eq!(packet.csrcs().collect::<Vec<_>>(), csrcs.clone());
        prop_assert_eq!(packet.extensions().collect::<Vec<_>>(), borrowed.clone());
        prop_assert!(!packet.extensions().stopped_early());
        prop_assert_eq!(packet.payload(), &payload[..]);
        prop_assert_eq!(packet.padding_len(), usize::from(padding));
        prop_assert_eq!(packet.header_len(), header_len);
        let small = |(id, data): &(u8, &[u8])| *id <= 14 && (1..=16).contains(&data.len());
        let profile = (!borrowed.is_empty())
            .then_some(if borrowed.iter().all(small) { Profile::ONE_BYTE } else { Profile::TWO_BYTE });
        prop_assert_eq!(packet.profile(), profile);
        // Every shorter buffer is refused.
        for short in 0..header_len {
            prop_assert_eq!(out.write(true, &mut vec![0; short]), Err(crate::HeaderError::Full));
        }
    }
}
