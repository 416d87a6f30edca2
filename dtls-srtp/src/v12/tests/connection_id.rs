//! Records of DTLS 1.2 with connection IDs (RFC 9146), as we seal them and as another implementation does.

use proptest::prelude::*;

use crate::connection_id::ConnectionId;
use crate::crypto::{Aead, Crypto, RingCrypto, TAG_LEN};
use crate::record::{RecordHeader, split_record_with_id};
use crate::records::{Opened, Records, Unsealed};
use crate::registry::ContentType;
use crate::v12::Protection;

const AEADS: [Aead; 3] = [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305];

fn key(aead: Aead) -> Vec<u8> {
    vec![3; aead.key_len()]
}

fn iv(aead: Aead) -> Vec<u8> {
    (0..Protection::iv_len(aead)).map(|at| at as u8).collect()
}

fn protection(aead: Aead) -> Protection {
    Protection::new(&RingCrypto::new(), aead, &key(aead), &iv(aead)).unwrap()
}

fn sealer(aead: Aead, id: &[u8]) -> Records {
    let mut records = Records::new();
    records.install_sealing(1, protection(aead));
    records.address_to(ConnectionId::new(id).unwrap());
    records
}

fn opener(aead: Aead) -> Records {
    let mut records = Records::new();
    records.install_opening(1, protection(aead));
    records
}

fn seal(records: &mut Records, content_type: ContentType, content: &[u8]) -> Result<Vec<u8>, Unsealed> {
    let overhead = records.overhead(1).unwrap();
    let mut out = vec![0; overhead.total() + content.len()];
    out[overhead.head..][..content.len()].copy_from_slice(content);
    let sealed = records.seal(1, content_type, &mut out, content.len())?;
    assert_eq!(sealed.len, out.len());
    Ok(out)
}

/// What became of the only record of a datagram.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Content(ContentType, u64, Vec<u8>),
    TooLong,
    Replayed,
    NotAuthentic,
    Other,
}

fn open(records: &mut Records, id_len: usize, datagram: &[u8]) -> Outcome {
    let mut datagram = datagram.to_vec();
    let Ok((parts, _)) = split_record_with_id(&mut datagram, id_len) else {
        return Outcome::Other;
    };
    match records.open(parts) {
        Opened::Content {
            content_type,
            number,
            content,
            ..
        } => Outcome::Content(content_type, number.sequence, content.to_vec()),
        Opened::TooLong => Outcome::TooLong,
        Opened::Replayed => Outcome::Replayed,
        Opened::NotAuthentic => Outcome::NotAuthentic,
        _ => Outcome::Other,
    }
}

/// RFC 9146 §4 and §5.3 once more, word by word. `inner` is a `DTLSInnerPlaintext`.
fn record(aead: Aead, id: &[u8], sequence: u64, inner: &[u8]) -> Vec<u8> {
    let number = (1 << 48 | sequence).to_be_bytes();
    let aad = [
        &[0xff; 8][..],
        &[25],
        &[id.len() as u8],
        &[25],
        &[254, 253],
        &number,
        id,
        &(inner.len() as u16).to_be_bytes(),
    ]
    .concat();
    let (nonce, explicit) = if aead == Aead::ChaCha20Poly1305 {
        let padded = [&[0; 4][..], &number].concat();
        let nonce = iv(aead).iter().zip(padded).map(|(iv, number)| iv ^ number).collect();
        (nonce, vec![])
    } else {
        ([&iv(aead)[..], &number].concat(), number.to_vec())
    };
    let mut body = inner.to_vec();
    let record_key = RingCrypto::new().record_key(aead, &key(aead)).unwrap();
    let tag = record_key.seal(nonce.try_into().unwrap(), &aad, &mut body);
    let len = (explicit.len() + body.len() + TAG_LEN) as u16;
    [
        &[25, 254, 253][..],
        &number,
        id,
        &len.to_be_bytes(),
        &explicit,
        &body,
        &tag,
    ]
    .concat()
}

#[test]
fn records_are_those_of_others_and_open_again() {
    for aead in AEADS {
        for id in [&b"x"[..], b"an id", &[0; 20]] {
            let (mut ours, mut theirs) = (sealer(aead, id), opener(aead));
            for (sequence, content) in (0..).zip([&b""[..], b"content", &[7; 1200], b"content\0\0"]) {
                let sealed = seal(&mut ours, ContentType::HANDSHAKE, content).unwrap();
                let inner = [content, &[ContentType::HANDSHAKE.0]].concat();
                assert_eq!(sealed, record(aead, id, sequence, &inner));
                let expected = Outcome::Content(ContentType::HANDSHAKE, sequence, content.to_vec());
                assert_eq!(open(&mut theirs, id.len(), &sealed), expected);
                assert_eq!(open(&mut theirs, id.len(), &sealed), Outcome::Replayed);
            }
        }
    }
}

/// The peer's id may have any length (RFC 9146 §3).
#[test]
fn the_longest_id_fits() {
    for aead in AEADS {
        let id = [9; 255];
        let sealed = seal(&mut sealer(aead, &id), ContentType::ALERT, b"content").unwrap();
        assert_eq!(sealed, record(aead, &id, 0, b"content\x15"));
    }
}

/// Without an id records have their old form (RFC 9146 §3), and so have those in the clear in any case.
#[test]
fn without_an_id_nothing_changes() {
    for aead in AEADS {
        let mut records = sealer(aead, &[]);
        let sealed = seal(&mut records, ContentType::ALERT, b"content").unwrap();
        assert_eq!(sealed[0], ContentType::ALERT.0);
        assert_eq!(sealed.len(), protection(aead).overhead(0).total() + 7);
        let expected = Outcome::Content(ContentType::ALERT, 0, b"content".to_vec());
        assert_eq!(open(&mut opener(aead), 5, &sealed), expected);
    }
    let mut records = sealer(AEADS[0], b"an id");
    let mut out = [0; 20];
    let sealed = records.seal(0, ContentType::ALERT, &mut out, 2).unwrap();
    assert_eq!((sealed.len, out[0]), (15, ContentType::ALERT.0));
}

#[test]
fn zeros_pad() {
    for aead in AEADS {
        let mut records = opener(aead);
        for (sequence, (content, padding)) in (0..).zip([
            (&b"content"[..], 1),
            (b"content", 1000),
            (b"", 1),
            (&[0; 5], 5),
            (b"content\0", 2),
        ]) {
            let inner = [content, &[ContentType::APPLICATION_DATA.0], &vec![0; padding]].concat();
            assert_eq!(
                open(&mut records, 2, &record(aead, b"id", sequence, &inner)),
                Outcome::Content(ContentType::APPLICATION_DATA, sequence, content.to_vec())
            );
        }
        // Nothing but padding has no type that is known.
        for (sequence, len) in (10..).zip([0, 1, 300]) {
            assert_eq!(
                open(&mut records, 2, &record(aead, b"id", sequence, &vec![0; len])),
                Outcome::Content(ContentType(0), sequence, Vec::new())
            );
        }
    }
}

/// RFC 9146 §5: content, type and padding have 2^14 bytes at most.
#[test]
fn the_longest_record() {
    let aead = AEADS[0];
    let mut records = opener(aead);
    let longest = seal(&mut sealer(aead, b"id"), ContentType::ALERT, &[7; (1 << 14) - 1]).unwrap();
    assert!(matches!(open(&mut records, 2, &longest), Outcome::Content(..)));
    let more = [7; 1 << 14];
    assert_eq!(
        seal(&mut sealer(aead, b"id"), ContentType::ALERT, &more),
        Err(Unsealed::TooLong)
    );
    assert!(seal(&mut sealer(aead, b""), ContentType::ALERT, &more).is_ok());
    let inner = [&more[..], &[ContentType::ALERT.0]].concat();
    assert_eq!(open(&mut records, 2, &record(aead, b"id", 1, &inner)), Outcome::TooLong);
    let padded = [&[7, ContentType::ALERT.0][..], &[0; 1 << 14]].concat();
    assert_eq!(
        open(&mut records, 2, &record(aead, b"id", 2, &padded)),
        Outcome::TooLong
    );
}

#[test]
fn no_altered_byte_is_accepted() {
    for aead in AEADS {
        let id = b"an id";
        let good = seal(&mut sealer(aead, id), ContentType::APPLICATION_DATA, b"content").unwrap();
        let mut records = opener(aead);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut altered = good.clone();
                altered[at] ^= 1 << bit;
                let outcome = open(&mut records, id.len(), &altered);
                assert!(
                    matches!(outcome, Outcome::NotAuthentic | Outcome::Other),
                    "{aead:?}: bit {bit} of byte {at}: {outcome:?}"
                );
            }
        }
        // Neither is one with the id taken out, nor one of the old form with an id put in.
        let mut without = [&good[..11], &good[16..]].concat();
        without[0] = ContentType::APPLICATION_DATA.0;
        assert_eq!(open(&mut records, id.len(), &without), Outcome::NotAuthentic);
        let plain = seal(&mut sealer(aead, b""), ContentType::APPLICATION_DATA, b"content").unwrap();
        let mut with = [&plain[..11], id, &plain[11..]].concat();
        with[0] = ContentType::TLS12_CID.0;
        assert_eq!(open(&mut records, id.len(), &with), Outcome::NotAuthentic);
        assert!(matches!(open(&mut records, id.len(), &good), Outcome::Content(..)));
    }
}

#[test]
fn buffers_that_are_too_short_are_refused() {
    for aead in AEADS {
        let mut records = sealer(aead, b"an id");
        let overhead = records.overhead(1).unwrap();
        let explicit = if aead == Aead::ChaCha20Poly1305 { 0 } else { 8 };
        assert_eq!(
            (overhead.head, overhead.tail),
            (RecordHeader::LEN + 5 + explicit, TAG_LEN + 1)
        );
        for len in 0..overhead.total() + 3 {
            let result = records.seal(1, ContentType::ALERT, &mut vec![0; len], 3);
            assert_eq!(result, Err(Unsealed::NoRoom), "{len}");
        }
        let sealed = records
            .seal(1, ContentType::ALERT, &mut vec![0; overhead.total() + 3], 3)
            .unwrap();
        assert_eq!(sealed.number.sequence, 0);
    }
}

proptest! {
    #[test]
    fn contents_go_there_and_back(
        content in proptest::collection::vec(any::<u8>(), 0..300), content_type in 1u8.., padding in 0usize..40,
        id in proptest::collection::vec(any::<u8>(), 1..256), sequence in 0u64..1 << 48, aead in 0usize..3,
    ) {
        let inner = [&content[..], &[content_type], &vec![0; padding]].concat();
        let record = record(AEADS[aead], &id, sequence, &inner);
        prop_assert_eq!(
            open(&mut opener(AEADS[aead]), id.len(), &record),
            Outcome::Content(ContentType(content_type), sequence, content)
        );
    }

    #[test]
    fn what_nobody_sealed_does_not_open(bytes in proptest::collection::vec(any::<u8>(), 0..80), id_len in 0usize..21) {
        let datagram = [&[25, 254, 253, 0, 1][..], &bytes].concat();
        let outcome = open(&mut opener(AEADS[0]), id_len, &datagram);
        prop_assert!(matches!(outcome, Outcome::NotAuthentic | Outcome::Other), "{outcome:?}");
    }
}
