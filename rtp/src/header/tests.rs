#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use super::*;
use crate::Packet;
use std::vec::Vec;

fn header<'a>(extensions: &'a [(u8, &'a [u8])]) -> RtpOut<'a> {
    RtpOut {
        payload_type: PayloadType(96),
        sequence_number: 0x0001_0203,
        timestamp: 5,
        ssrc: Ssrc(6),
        extensions,
        ..RtpOut::default()
    }
}

fn written(header: &RtpOut<'_>, allow_mixed: bool) -> Vec<u8> {
    let mut out = [0xee; 600];
    let len = header.write(allow_mixed, &mut out).unwrap();
    out[12..len].to_vec()
}

#[test]
fn the_one_byte_form_is_preferred() {
    let header = header(&[(3, &[1, 2]), (4, b"0")]);
    assert_eq!(
        written(&header, true),
        [0xbe, 0xde, 0, 2, 0x31, 1, 2, 0x40, b'0', 0, 0, 0]
    );
    assert_eq!(written(&header, true), written(&header, false));
}

#[test]
fn one_large_element_widens_those_before_and_after() {
    let large = [7; 17];
    let extensions: [(u8, &[u8]); 4] = [(3, &[1, 2]), (4, b"0"), (8, &large), (14, &[5; 16])];
    let wide = written(&header(&extensions), true);
    let expected = [
        &[0x10, 0x00, 0, 11, 3, 2, 1, 2, 4, 1, b'0', 8, 17][..],
        &large,
        &[14, 16],
        &[5; 16],
    ]
    .concat();
    assert_eq!(wide[..expected.len()], expected);
    assert_eq!(wide.len(), 4 + 11 * 4);
    assert!(wide[expected.len()..].iter().all(|&byte| byte == 0));
}

#[test]
fn without_allow_mixed_large_elements_are_left_out() {
    let large = [7; 17];
    let extensions: [(u8, &[u8]); 5] = [(3, &[1, 2]), (8, &large), (15, b"1"), (9, b""), (4, b"0")];
    let header = header(&extensions);
    let mut out = [0; 100];
    let writer = header.begin(false, &mut out).unwrap();
    assert_eq!(writer.left_out(), 3);
    assert_eq!(writer.finish(), Ok(24));
    assert_eq!(out[12..24], [0xbe, 0xde, 0, 2, 0x31, 1, 2, 0x40, b'0', 0, 0, 0]);
}

#[test]
fn elements_can_be_added_after_the_list() {
    let header = header(&[(1, &[9])]);
    let mut out = [0xee; 100];
    let mut writer = header.begin(true, &mut out).unwrap();
    writer.extension(2, &[8]).unwrap();
    assert_eq!(writer.extension(0, &[8]), Err(HeaderError::Id));
    assert_eq!(writer.extension(1, &[0; 256]), Err(HeaderError::TooLong));
    writer.extension(200, &[]).unwrap();
    let len = writer.finish().unwrap();
    let packet = Packet::parse(&out[..len]).unwrap();
    let expected: [(u8, &[u8]); 3] = [(1, &[9]), (2, &[8]), (200, &[])];
    assert_eq!(packet.extensions().collect::<Vec<_>>(), expected);
}

#[test]
fn a_refused_element_leaves_the_header_as_it_was() {
    let header = header(&[(1, &[9]), (2, &[8])]);
    // Room for the header with exactly these two.
    let mut out = [0xee; 20];
    let mut writer = header.begin(true, &mut out).unwrap();
    assert_eq!(writer.extension(3, &[1]), Err(HeaderError::Full));
    assert_eq!(
        writer.extension(30, &[]),
        Err(HeaderError::Full),
        "widening does not fit"
    );
    assert_eq!(writer.finish(), Ok(20));
    assert_eq!(out[12..], [0xbe, 0xde, 0, 1, 0x10, 9, 0x20, 8]);
}

#[test]
fn contributing_sources_are_limited() {
    let csrcs = [Ssrc(1); 16];
    let mut out = [0; 200];
    let mut header = header(&[]);
    header.csrcs = &csrcs[..15];
    assert_eq!(header.write(false, &mut out), Ok(12 + 60));
    assert_eq!(out[0], 0x8f);
    header.csrcs = &csrcs;
    assert_eq!(header.write(false, &mut out), Err(HeaderError::TooManyCsrcs));
    assert!(std::string::ToString::to_string(&HeaderError::TooManyCsrcs).contains("at most 15"));
}

#[test]
fn padding_is_announced_and_written() {
    let mut header = header(&[]);
    header.padding = 3;
    let mut out = [0xee; 20];
    assert_eq!(header.write(false, &mut out), Ok(12));
    assert_eq!(out[0], 0xa0);
    assert_eq!(header.put_padding(&mut out[12..]), Ok(3));
    assert_eq!(out[12..16], [0, 0, 3, 0xee]);
    assert_eq!(header.put_padding(&mut out[..2]), Err(HeaderError::Full));
}
