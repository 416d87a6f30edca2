//! Records of DTLS 1.3 that we sealed, that somebody else sealed in every form that RFC 9147 §4 allows, and that nobody
//! sealed.

use std::sync::Arc;

use proptest::prelude::*;

use super::{SUITES, protection, secret};
use crate::crypto::{Aead, Crypto, RecordKey, RecordNumberKey, RingCrypto, SAMPLE_LEN, TAG_LEN};
use crate::record::Parts;
use crate::records::{Opened, Records};
use crate::registry::{CipherSuite, ContentType};
use crate::v13::schedule::Hkdf;
use crate::v13::{Protection, ShortSequence, UnifiedHeader, split_unified};

const SUITE: CipherSuite = CipherSuite::TLS_AES_128_GCM_SHA256;
const HEAD: usize = UnifiedHeader::MAX_LEN;

/// What became of a record, in a form that can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Content type, epoch, sequence number, content.
    Content(ContentType, u16, u64, Vec<u8>),
    Malformed,
    TooLong,
    Replayed,
    NotAuthentic,
    NoKeys,
}

/// Opens the only record of a datagram.
fn open(records: &mut Records, datagram: &[u8]) -> Outcome {
    open_with_id(records, 0, datagram)
}

/// The same where connection IDs have so many bytes.
fn open_with_id(records: &mut Records, id_len: usize, datagram: &[u8]) -> Outcome {
    let mut datagram = datagram.to_vec();
    let Ok((record, _)) = split_unified(&mut datagram, id_len) else {
        return Outcome::Malformed;
    };
    match records.open_unified(record) {
        Opened::Content {
            content_type,
            epoch,
            number,
            content,
        } => {
            assert_eq!(number.epoch, u64::from(epoch));
            Outcome::Content(content_type, epoch, number.sequence, content.to_vec())
        }
        Opened::TooLong => Outcome::TooLong,
        Opened::Replayed => Outcome::Replayed,
        Opened::NotAuthentic => Outcome::NotAuthentic,
        Opened::NoKeys => Outcome::NoKeys,
        Opened::TooManyForgeries(_) => unreachable!("there were not 2^36 of them"),
    }
}

/// A record with this content.
fn sealed(keys: &Protection, sequence: u64, content_type: ContentType, content: &[u8]) -> Vec<u8> {
    sealed_with_id(keys, &[], sequence, content_type, content)
}

/// The same with a connection ID.
fn sealed_with_id(keys: &Protection, id: &[u8], sequence: u64, content_type: ContentType, content: &[u8]) -> Vec<u8> {
    let overhead = Protection::overhead(id.len());
    let mut record = vec![0; overhead.total() + content.len()];
    record[overhead.head..][..content.len()].copy_from_slice(content);
    keys.seal(sequence, id, content_type, &mut record).unwrap();
    record
}

fn opener(suite: CipherSuite, epochs: &[u16]) -> Records {
    let mut records = Records::new();
    for &epoch in epochs {
        records.install_opening(epoch, protection(suite, epoch));
    }
    records
}

/// Another implementation of RFC 9147 §4.2, which writes every form of the header.
struct Peer {
    key: Box<dyn RecordKey>,
    numbers: Box<dyn RecordNumberKey>,
    iv: [u8; 12],
}

impl Peer {
    fn new(suite: CipherSuite, epoch: u16) -> Self {
        let crypto = Arc::new(RingCrypto::new());
        let parameters = suite.parameters_13().unwrap();
        let hkdf = Hkdf::new(crypto.clone(), parameters.hash);
        let expand = |label: &[u8], len: usize| {
            let mut out = vec![0; len];
            hkdf.expand(&secret(suite, epoch), label, &[], &mut out).unwrap();
            out
        };
        let key_len = parameters.aead.key_len();
        Self {
            key: crypto.record_key(parameters.aead, &expand(b"key", key_len)).unwrap(),
            numbers: crypto
                .record_number_key(parameters.aead, &expand(b"sn", key_len))
                .unwrap(),
            iv: expand(b"iv", 12).try_into().unwrap(),
        }
    }

    /// `inner` is a `DTLSInnerPlaintext`: content, type, padding.
    fn record(&self, first: u8, sequence: u64, inner: &[u8]) -> Vec<u8> {
        self.record_with_id(first, &[], sequence, inner)
    }

    fn record_with_id(&self, first: u8, id: &[u8], sequence: u64, inner: &[u8]) -> Vec<u8> {
        let mut record = [&[first], id].concat();
        let numbers_begin = record.len();
        let numbers_at = if first & 0b1000 == 0 { 7..8 } else { 6..8 };
        record.extend(&sequence.to_be_bytes()[numbers_at]);
        let numbers_end = record.len();
        if first & 0b100 != 0 {
            record.extend(((inner.len() + TAG_LEN) as u16).to_be_bytes());
        }
        let nonce = std::array::from_fn(|n| {
            let padded = [&[0; 4][..], &sequence.to_be_bytes()].concat();
            self.iv[n] ^ padded[n]
        });
        let mut body = inner.to_vec();
        let tag = self.key.seal(nonce, &record, &mut body);
        body.extend(tag);
        let mask = self.numbers.mask(*body.first_chunk::<SAMPLE_LEN>().unwrap());
        for (byte, mask) in record[numbers_begin..numbers_end].iter_mut().zip(mask) {
            *byte ^= mask;
        }
        record.extend(body);
        record
    }
}

#[test]
fn what_is_sealed_is_what_others_seal_and_opens_again() {
    for suite in SUITES {
        for (epoch, first) in [(2, 0x2e), (3, 0x2f), (4, 0x2c), (0x105, 0x2d)] {
            let keys = protection(suite, epoch);
            let peer = Peer::new(suite, epoch);
            let mut records = opener(suite, &[epoch]);
            for (sequence, content) in [(0, &b""[..]), (1, b"a"), (300, b"content"), (301, &[7; 1200])] {
                let record = sealed(&keys, sequence, ContentType::HANDSHAKE, content);
                let inner = [content, &[ContentType::HANDSHAKE.0]].concat();
                assert_eq!(
                    record,
                    peer.record(first, sequence, &inner),
                    "{suite} {epoch} {sequence}"
                );
                assert_eq!(
                    open(&mut records, &record),
                    Outcome::Content(ContentType::HANDSHAKE, epoch, sequence, content.to_vec())
                );
            }
        }
    }
}

/// RFC 9147 §4: eight or sixteen bits of the number, with a length or without.
#[test]
fn every_form_of_the_header_opens() {
    for suite in SUITES {
        let peer = Peer::new(suite, 3);
        let mut records = opener(suite, &[3]);
        for (sequence, first) in (0..).zip([0x23, 0x27, 0x2b, 0x2f]) {
            let record = peer.record(first, sequence, b"content\x17");
            assert_eq!(
                open(&mut records, &record),
                Outcome::Content(ContentType::APPLICATION_DATA, 3, sequence, b"content".to_vec())
            );
        }
        // A connection ID was not agreed on.
        assert_eq!(open(&mut records, &peer.record(0x3f, 4, b"x\x17")), Outcome::Malformed);
    }
}

/// RFC 9147 §4: the connection ID stands in the header, which is authentic as a whole.
#[test]
fn records_with_ids_are_those_of_others_and_open_again() {
    for suite in SUITES {
        let keys = protection(suite, 3);
        let peer = Peer::new(suite, 3);
        for id in [&b"x"[..], b"an id", &[0; 20]] {
            let mut records = opener(suite, &[3]);
            for (sequence, content) in [(0, &b""[..]), (1, b"content"), (300, &[7; 1200])] {
                let record = sealed_with_id(&keys, id, sequence, ContentType::APPLICATION_DATA, content);
                let inner = [content, &[ContentType::APPLICATION_DATA.0]].concat();
                assert_eq!(record, peer.record_with_id(0x3f, id, sequence, &inner));
                let expected = Outcome::Content(ContentType::APPLICATION_DATA, 3, sequence, content.to_vec());
                assert_eq!(open_with_id(&mut records, id.len(), &record), expected);
            }
            // In the other forms of the header, and with padding.
            for (sequence, first) in (301..).zip([0x33, 0x37, 0x3b, 0x3f]) {
                let record = peer.record_with_id(first, id, sequence, b"content\x17\0\0\0");
                let expected = Outcome::Content(ContentType::APPLICATION_DATA, 3, sequence, b"content".to_vec());
                assert_eq!(open_with_id(&mut records, id.len(), &record), expected);
            }
            // A changed id, and one that was taken out or put in, is not authentic.
            let good = sealed_with_id(&keys, id, 400, ContentType::APPLICATION_DATA, b"content");
            for at in 1..=id.len() {
                let mut altered = good.clone();
                altered[at] ^= 1;
                assert_eq!(open_with_id(&mut records, id.len(), &altered), Outcome::NotAuthentic);
            }
            let without = [&[good[0] & !0x10], &good[1 + id.len()..]].concat();
            assert_eq!(open_with_id(&mut records, id.len(), &without), Outcome::NotAuthentic);
            let plain = sealed(&keys, 400, ContentType::APPLICATION_DATA, b"content");
            let with = [&[plain[0] | 0x10], id, &plain[1..]].concat();
            assert_eq!(open_with_id(&mut records, id.len(), &with), Outcome::NotAuthentic);
            assert!(matches!(
                open_with_id(&mut records, id.len(), &good),
                Outcome::Content(..)
            ));
        }
    }
}

#[test]
fn no_altered_byte_is_accepted() {
    for suite in SUITES {
        for content in [&b""[..], b"content"] {
            let mut records = opener(suite, &[2, 3]);
            let record = sealed(&protection(suite, 3), 5, ContentType::APPLICATION_DATA, content);
            for at in 0..record.len() {
                for bit in 0..8 {
                    let mut altered = record.clone();
                    altered[at] ^= 1 << bit;
                    let outcome = open(&mut records, &altered);
                    assert!(
                        matches!(outcome, Outcome::NotAuthentic | Outcome::NoKeys | Outcome::Malformed),
                        "{suite}: bit {bit} of byte {at}: {outcome:?}"
                    );
                }
            }
            for len in 0..record.len() {
                assert_eq!(open(&mut records, &record[..len]), Outcome::Malformed, "{len}");
            }
            // And none of them keeps the true one out.
            let expected = Outcome::Content(ContentType::APPLICATION_DATA, 3, 5, content.to_vec());
            assert_eq!(open(&mut records, &record), expected);
        }
    }
}

/// RFC 8446 §5.4: zeros behind the content type are padding, zeros in front of it are content.
#[test]
fn zeros_pad() {
    let peer = Peer::new(SUITE, 3);
    let mut records = opener(SUITE, &[3]);
    for (sequence, (content, padding)) in (0..).zip([
        (&b"content"[..], 1),
        (b"content", 1000),
        (b"", 1),
        (b"", 300),
        (&[0; 5], 5),
        (b"content\0\0", 2),
    ]) {
        let inner = [content, &[ContentType::ALERT.0], &vec![0; padding]].concat();
        assert_eq!(
            open(&mut records, &peer.record(0x2f, sequence, &inner)),
            Outcome::Content(ContentType::ALERT, 3, sequence, content.to_vec())
        );
    }
}

/// A record of zeros has no content type, and neither has one of nothing.
#[test]
fn a_record_without_a_content_type_is_of_an_unknown_one() {
    let peer = Peer::new(SUITE, 3);
    let mut records = opener(SUITE, &[3]);
    for (sequence, len) in (0..).zip([0, 1, 2, 17, 1000]) {
        assert_eq!(
            open(&mut records, &peer.record(0x2f, sequence, &vec![0; len])),
            Outcome::Content(ContentType(0), 3, sequence, Vec::new())
        );
    }
}

/// RFC 9147 §4.2.3: a ciphertext of less than 16 bytes gives no mask.
#[test]
fn the_shortest_record() {
    let shortest = sealed(&protection(SUITE, 3), 0, ContentType::APPLICATION_DATA, b"");
    assert_eq!(shortest.len(), HEAD + 17);
    let mut records = opener(SUITE, &[3]);
    for len in 0..=SAMPLE_LEN {
        for mut record in [vec![0x2b, 0, 0], vec![0x2f, 0, 0, 0, len as u8]] {
            record.extend(vec![0; len]);
            assert_eq!(open(&mut records, &record), Outcome::NotAuthentic);
        }
    }
    assert!(matches!(open(&mut records, &shortest), Outcome::Content(..)));
}

#[test]
fn the_longest_record() {
    let keys = protection(SUITE, 3);
    let mut records = opener(SUITE, &[3]);
    let content = vec![7; 1 << 14];
    assert_eq!(
        open(&mut records, &sealed(&keys, 0, ContentType::APPLICATION_DATA, &content)),
        Outcome::Content(ContentType::APPLICATION_DATA, 3, 0, content)
    );
    let content = vec![7; (1 << 14) + 1];
    let record = sealed(&keys, 1, ContentType::APPLICATION_DATA, &content);
    assert_eq!(open(&mut records, &record), Outcome::TooLong);
    // It was authentic.
    assert_eq!(open(&mut records, &record), Outcome::Replayed);
    let content = vec![7; usize::from(UnifiedHeader::MAX_BODY)];
    let record = sealed(&keys, 2, ContentType::APPLICATION_DATA, &content);
    assert_eq!(open(&mut records, &record), Outcome::Malformed);
}

#[test]
fn buffers_that_are_too_short_are_refused() {
    let keys = protection(SUITE, 3);
    for id in [&[][..], &[7; 9], &[7; 255]] {
        let shortest = Protection::overhead(id.len()).total();
        assert_eq!(shortest, HEAD + id.len() + 17);
        for len in 0..shortest {
            assert_eq!(keys.seal(0, id, ContentType::ALERT, &mut vec![0; len]), None);
        }
        assert!(keys.seal(0, id, ContentType::ALERT, &mut vec![0; shortest]).is_some());
    }
}

/// RFC 9147 §4.2.2: the number that is closest to the expected one.
#[test]
fn numbers_are_rebuilt_up_to_half_their_span_away() {
    let peer = Peer::new(SUITE, 3);
    let mut records = opener(SUITE, &[3]);
    let mut expect = |first: u8, sequence: u64, opens: bool| {
        let outcome = open(&mut records, &peer.record(first, sequence, b"x\x17"));
        if opens {
            let expected = Outcome::Content(ContentType::APPLICATION_DATA, 3, sequence, b"x".to_vec());
            assert_eq!(outcome, expected);
        } else {
            // Taken for another number, which may be too old.
            assert!(
                matches!(outcome, Outcome::NotAuthentic | Outcome::Replayed),
                "{sequence}"
            );
        }
    };
    // Nothing lies before 0, so at the beginning all 16 bits lie ahead.
    expect(0x2f, 0x1_0000, false);
    expect(0x2f, 0xffff, true);
    // Over the end of the 16 bits, and back.
    expect(0x2f, 0x1_0002, true);
    expect(0x2f, 0xfffe, true);
    expect(0x2f, 0x1_0001, true);
    // 0x1_0003 is expected.
    expect(0x2f, 0x1_8004, false);
    expect(0x2f, 0x1_8003, true);
    // With 8 bits, 0x1_8004 is expected.
    expect(0x27, 0x1_8085, false);
    expect(0x27, 0x1_8084, true);
    expect(0x27, 0x1_8050, true);
    expect(0x23, 0x1_8100, true);
}

#[test]
fn the_highest_number() {
    let keys = protection(CipherSuite::TLS_CHACHA20_POLY1305_SHA256, 3);
    let last = keys.seal_limit() - 1;
    assert_eq!(last, (1 << 48) - 1);
    let mut record = sealed(&keys, last, ContentType::APPLICATION_DATA, b"content");
    let (Parts { header, body, .. }, _) = split_unified(&mut record, 0).unwrap();
    let sequence = keys.reveal(&header, body).unwrap();
    assert_eq!(sequence, ShortSequence::Bits16(0xffff));
    for expected in [last - 0x7fff, last, last + 1] {
        assert_eq!(sequence.expand(expected), last);
    }
    let header = UnifiedHeader { sequence, ..header };
    let (content_type, content) = keys.open(&header, &[], last, body).unwrap();
    assert_eq!(
        (content_type, &*content),
        (ContentType::APPLICATION_DATA, &b"content"[..])
    );
    // No number makes the arithmetic overflow.
    for expected in [u64::MAX, u64::MAX - 0x7fff, u64::MAX - 0x8001] {
        for short in [ShortSequence::Bits8(0), ShortSequence::Bits16(0)] {
            assert!(short.expand(expected) > u64::MAX - 0x1_0000);
        }
    }
}

#[test]
fn limits_of_keys() {
    for suite in SUITES {
        // RFC 9147 §4.5.3, RFC 8446 §5.5.
        let expected = match suite.parameters_13().unwrap().aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => 2_f64.powf(24.5) as u64,
            Aead::ChaCha20Poly1305 => 1 << 48,
        };
        assert_eq!(protection(suite, 3).seal_limit(), expected, "{suite}");
    }
}

#[test]
fn nothing_opens_twice() {
    let keys = protection(SUITE, 3);
    let mut records = opener(SUITE, &[2, 3]);
    let record = |sequence| sealed(&keys, sequence, ContentType::APPLICATION_DATA, b"x");
    for sequence in [0, 2, 1, 100] {
        assert!(matches!(open(&mut records, &record(sequence)), Outcome::Content(..)));
        assert_eq!(open(&mut records, &record(sequence)), Outcome::Replayed);
    }
    // Whether a record behind the window came before is not known any more.
    assert_eq!(open(&mut records, &record(36)), Outcome::Replayed);
    assert!(matches!(open(&mut records, &record(37)), Outcome::Content(..)));
    // Another epoch counts for itself.
    let other = sealed(&protection(SUITE, 2), 0, ContentType::APPLICATION_DATA, b"x");
    assert!(matches!(open(&mut records, &other), Outcome::Content(..)));
    assert_eq!(open(&mut records, &other), Outcome::Replayed);
}

/// RFC 9147 §4.2.2: the two bits mean the latest epoch that ends in them.
#[test]
fn two_bits_tell_the_epochs_apart() {
    let record = |epoch, sequence| sealed(&protection(SUITE, epoch), sequence, ContentType::APPLICATION_DATA, b"x");
    let content = |epoch, sequence| Outcome::Content(ContentType::APPLICATION_DATA, epoch, sequence, b"x".to_vec());
    let mut records = opener(SUITE, &[2, 3]);
    assert_eq!(
        [0, 1, 2, 3].map(|bits| records.can_open_bits(bits)),
        [false, false, true, true]
    );
    assert_eq!(open(&mut records, &record(4, 0)), Outcome::NoKeys);
    assert_eq!(open(&mut records, &record(3, 0)), content(3, 0));
    assert_eq!(open(&mut records, &record(2, 0)), content(2, 0));

    records.install_opening(4, protection(SUITE, 4));
    assert_eq!(records.highest_opening_epoch(), 4);
    // As long as the new keys are not in use, all old ones stay.
    assert_eq!(open(&mut records, &record(2, 1)), content(2, 1));
    assert_eq!(open(&mut records, &record(4, 0)), content(4, 0));
    // Then those of the epoch before stay, for what the network delays.
    assert_eq!(open(&mut records, &record(2, 2)), Outcome::NoKeys);
    assert_eq!(open(&mut records, &record(3, 1)), content(3, 1));

    let mut same_bits = opener(SUITE, &[2, 6]);
    assert_eq!(open(&mut same_bits, &record(2, 0)), Outcome::NotAuthentic);
    assert_eq!(open(&mut same_bits, &record(6, 0)), content(6, 0));

    for epoch in 5..=12 {
        records.install_opening(epoch, protection(SUITE, epoch));
        assert_eq!(open(&mut records, &record(epoch - 1, 7)), content(epoch - 1, 7));
        assert_eq!(open(&mut records, &record(epoch, 0)), content(epoch, 0));
        assert_eq!(open(&mut records, &record(epoch - 1, 8)), content(epoch - 1, 8));
        assert_eq!(open(&mut records, &record(epoch - 2, 9)), Outcome::NoKeys);
        // Four epochs earlier the bits were the same: the keys are not.
        assert_eq!(open(&mut records, &record(epoch - 4, 9)), Outcome::NotAuthentic);
        assert!(records.can_open(epoch) && records.can_open(epoch - 1) && !records.can_open(epoch - 2));
    }
}

proptest! {
    #[test]
    fn contents_go_there_and_back(
        content in proptest::collection::vec(any::<u8>(), 0..300), content_type in 1u8.., padding in 0usize..40,
        sequence in 0u64..1 << 16, suite in 0usize..3, form in 0u8..4,
    ) {
        let inner = [&content[..], &[content_type], &vec![0; padding]].concat();
        // With 8 bits only what is near the beginning can be meant.
        let sequence = if form & 0b10 == 0 { sequence & 0xff } else { sequence };
        let record = Peer::new(SUITES[suite], 3).record(0x23 | (form << 2), sequence, &inner);
        prop_assert_eq!(
            open(&mut opener(SUITES[suite], &[3]), &record),
            Outcome::Content(ContentType(content_type), 3, sequence, content)
        );
    }

    #[test]
    fn what_nobody_sealed_does_not_open(bytes in proptest::collection::vec(any::<u8>(), 0..80), first in 0x20u8..0x40) {
        let datagram = [&[first][..], &bytes].concat();
        let outcome = open(&mut opener(SUITE, &[2, 3]), &datagram);
        prop_assert!(!matches!(outcome, Outcome::Content(..)), "{outcome:?}");
    }
}
