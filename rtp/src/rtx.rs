//! Retransmission in a stream of its own (RFC 4588).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use crate::{HeaderError, Packet, PayloadType, RtpOut, Ssrc};

/// Length of the original sequence number that precedes the original payload (RFC 4588 §4), in bytes.
pub const HEADER_LEN: usize = 2;

/// The original sequence number and the original payload in an RTX packet. `None` for one that carries neither:
/// browsers probe for bandwidth with padding alone.
pub fn original<B: AsRef<[u8]>>(packet: &Packet<B>) -> Option<(u16, &[u8])> {
    let (number, payload) = packet.payload().split_first_chunk()?;
    Some((u16::from_be_bytes(*number), payload))
}

/// Makes the original packet out of an RTX packet, in place: its sequence number comes from the payload, SSRC and
/// payload type from the caller, all else stays. The header moves by two bytes; the payload does not.
///
/// # Errors
/// The packet as it was, when it holds no original.
pub fn decapsulate(
    packet: Packet<&mut [u8]>,
    ssrc: Ssrc,
    payload_type: PayloadType,
) -> Result<Packet<&mut [u8]>, Packet<&mut [u8]>> {
    let Some((number, _)) = original(&packet) else {
        return Err(packet);
    };
    let mut packet = packet.move_header(HEADER_LEN);
    packet.set_sequence_number(number);
    packet.set_ssrc(ssrc);
    packet.set_payload_type(payload_type);
    Ok(packet)
}

/// Writes an RTX packet: `header` with the RTX stream's SSRC, payload type and sequence number, the original sequence
/// number, the original payload. Returns the lengths of the header and of the whole, without padding.
///
/// # Errors
/// Those of [`RtpOut::write`].
pub fn encapsulate(
    header: &RtpOut<'_>,
    original_sequence_number: u16,
    payload: &[u8],
    allow_mixed: bool,
    out: &mut [u8],
) -> Result<(usize, usize), HeaderError> {
    let header_len = header.write(allow_mixed, out)?;
    let rest = out
        .get_mut(header_len..)
        .and_then(|rest| rest.split_first_chunk_mut::<HEADER_LEN>());
    let (number, rest) = rest.ok_or(HeaderError::Full)?;
    let body = rest.get_mut(..payload.len()).ok_or(HeaderError::Full)?;
    *number = original_sequence_number.to_be_bytes();
    body.copy_from_slice(payload);
    let len = header_len.saturating_add(HEADER_LEN).saturating_add(payload.len());
    Ok((header_len, len))
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn padding_alone_holds_no_original() {
        let mut probe = vec![0xa0, 97, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4];
        let packet = Packet::parse(&mut probe[..]).unwrap();
        assert_eq!(original(&packet), None);
        assert!(decapsulate(packet, Ssrc(1), PayloadType(96)).is_err());
    }

    proptest! {
        #[test]
        fn what_was_encapsulated_comes_out(
            number: u16, payload: Vec<u8>, extension in proptest::collection::vec(any::<u8>(), 1..16), csrc in 0usize..3, padding in 0u8..9,
        ) {
            let csrcs = [Ssrc(7); 3];
            let extensions: [(u8, &[u8]); 1] = [(3, &extension)];
            let original_out = RtpOut {
                payload_type: PayloadType(96),
                marker: true,
                sequence_number: u64::from(number),
                timestamp: 77,
                ssrc: Ssrc(1),
                csrcs: &csrcs[..csrc],
                extensions: &extensions,
                padding,
            };
            let rtx = RtpOut { payload_type: PayloadType(97), sequence_number: 9, ssrc: Ssrc(2), ..original_out };
            let mut expected = vec![0; 1500];
            let header_len = original_out.write(false, &mut expected).unwrap();
            expected[header_len..header_len + payload.len()].copy_from_slice(&payload);
            let mut len = header_len + payload.len();
            len += original_out.put_padding(&mut expected[len..]).unwrap();
            expected.truncate(len);

            let mut bytes = vec![0; 1500];
            let (header_len, mut len) = encapsulate(&rtx, number, &payload, false, &mut bytes).unwrap();
            for short in [header_len - 1, header_len, header_len + 1, len - 1] {
                prop_assert_eq!(encapsulate(&rtx, number, &payload, false, &mut vec![0; short]), Err(HeaderError::Full));
            }
            len += rtx.put_padding(&mut bytes[len..]).unwrap();
            let packet = Packet::parse(&mut bytes[..len]).unwrap();
            prop_assert_eq!(original(&packet), Some((number, &payload[..])));
            let packet = decapsulate(packet, Ssrc(1), PayloadType(96)).unwrap();
            prop_assert_eq!(packet.as_bytes(), &expected[..]);
            prop_assert_eq!(Packet::parse(&expected).unwrap(), packet);
        }
    }
}
