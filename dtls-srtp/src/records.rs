//! The record layer: one set of keys per epoch and direction.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::fmt;

use wire::Writer;

use crate::connection_id::ConnectionId;
use crate::crypto::TAG_LEN;
use crate::overhead::Overhead;
use crate::record::{Parts, RecordHeader, split_inner};
use crate::registry::{ContentType, Version};
use crate::replay::ReplayWindow;
use crate::v12;
use crate::v13::{self, RecordNumber, UnifiedHeader};

/// The longest plaintext of a record, in bytes (RFC 5246 §6.2.1).
const MAX_PLAINTEXT: usize = 1 << 14;

/// How many records with wrong tags the keys of DTLS 1.3 can bear (RFC 9147 §4.5.3).
const MAX_FORGERIES: u64 = 1 << 36;

/// The keys of one direction of an epoch.
pub(crate) enum Protection {
    V12(v12::Protection),
    V13(v13::Protection),
}

impl From<v12::Protection> for Protection {
    fn from(protection: v12::Protection) -> Self {
        Self::V12(protection)
    }
}

impl From<v13::Protection> for Protection {
    fn from(protection: v13::Protection) -> Self {
        Self::V13(protection)
    }
}

/// Seals the records of one epoch.
struct Sealing {
    epoch: u16,
    next_sequence: u64,
    /// `None` in epoch 0.
    protection: Option<Protection>,
}

/// Opens the records of one epoch.
struct Opening {
    epoch: u16,
    window: ReplayWindow,
    forgeries: u64,
    /// Whether the peer was asked for keys that follow these, since many records were forged.
    asked_for_next: bool,
    protection: Protection,
}

/// All epochs of both directions.
pub(crate) struct Records {
    sealing: Vec<Sealing>,
    opening: Vec<Opening>,
    /// What stands in the protected records that we send; empty when they have no connection ID.
    peer_id: ConnectionId,
    /// [`MAX_FORGERIES`], but for tests that cannot send so many.
    max_forgeries: u64,
}

/// A record that was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Its whole length, in bytes.
    pub(crate) len: usize,
    pub(crate) number: RecordNumber,
}

/// Why a record could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsealed {
    /// There are no keys for this epoch.
    NoKeys,
    /// The buffer is too short.
    NoRoom,
    /// The plaintext is longer than 2^14 bytes.
    TooLong,
    /// All sequence numbers are used up, or the keys have sealed as much as they can bear.
    Exhausted,
}

/// What became of a protected record.
#[derive(Debug)]
pub(crate) enum Opened<'a> {
    Content {
        content_type: ContentType,
        epoch: u16,
        number: RecordNumber,
        content: &'a mut [u8],
    },
    /// Authentic, but longer than a plaintext may be.
    TooLong,
    Replayed,
    NotAuthentic,
    /// Not authentic, and one too many of these for the keys of this epoch.
    TooManyForgeries(u16),
    NoKeys,
}

impl Records {
    pub(crate) fn new() -> Self {
        let clear = Sealing {
            epoch: 0,
            next_sequence: 0,
            protection: None,
        };
        Self {
            sealing: vec![clear],
            opening: Vec::new(),
            peer_id: ConnectionId::default(),
            max_forgeries: MAX_FORGERIES,
        }
    }

    /// The next record in the clear has this number: those before were written by others on our behalf.
    pub(crate) fn begin_at(&mut self, sequence: u64) {
        if let Some(clear) = self.sealing.iter_mut().find(|sealing| sealing.epoch == 0) {
            clear.next_sequence = sequence;
        }
    }

    /// The connection ID in the protected records that we send; empty when there is none.
    pub(crate) const fn peer_id(&self) -> &ConnectionId {
        &self.peer_id
    }

    /// Protected records have this connection ID from here on.
    pub(crate) fn address_to(&mut self, id: ConnectionId) {
        self.peer_id = id;
    }

    pub(crate) fn install_sealing(&mut self, epoch: u16, protection: impl Into<Protection>) {
        self.sealing.push(Sealing {
            epoch,
            next_sequence: 0,
            protection: Some(protection.into()),
        });
    }

    pub(crate) fn install_opening(&mut self, epoch: u16, protection: impl Into<Protection>) {
        self.opening.push(Opening {
            epoch,
            window: ReplayWindow::default(),
            forgeries: 0,
            asked_for_next: false,
            protection: protection.into(),
        });
    }

    /// Forgets the keys that seal epochs before this one.
    pub(crate) fn retire_sealing(&mut self, before: u16) {
        self.sealing.retain(|sealing| sealing.epoch >= before);
    }

    /// Whether it is time to ask the peer for new keys, since half of the forgeries that the latest ones can bear have come
    /// (RFC 9147 §4.5.3). Says so once for each epoch.
    pub(crate) fn should_ask_for_next(&mut self) -> bool {
        let mark = self.max_forgeries / 2;
        let latest = self.opening.iter_mut().max_by_key(|opening| opening.epoch);
        latest.is_some_and(|latest| {
            let due = matches!(latest.protection, Protection::V13(_)) && latest.forgeries > mark;
            due && !std::mem::replace(&mut latest.asked_for_next, true)
        })
    }

    /// Forgets the keys that open this epoch, if there are later ones.
    pub(crate) fn retire_opening(&mut self, epoch: u16) -> bool {
        let retired = epoch < self.highest_opening_epoch();
        if retired {
            self.opening.retain(|opening| opening.epoch != epoch);
        }
        retired
    }

    pub(crate) fn can_open(&self, epoch: u16) -> bool {
        self.opening.iter().any(|opening| opening.epoch == epoch)
    }

    /// Whether there are keys of DTLS 1.3 for an epoch of which the lower two bits are known.
    pub(crate) fn can_open_bits(&self, bits: u8) -> bool {
        self.opening
            .iter()
            .any(|opening| matches!(&opening.protection, Protection::V13(keys) if keys.epoch_bits() == bits))
    }

    /// The highest epoch that can be opened; 0 as long as nothing is protected.
    pub(crate) fn highest_opening_epoch(&self) -> u16 {
        self.opening.iter().map(|opening| opening.epoch).max().unwrap_or(0)
    }

    pub(crate) fn overhead(&self, epoch: u16) -> Option<Overhead> {
        let sealing = self.sealing.iter().find(|sealing| sealing.epoch == epoch)?;
        Some(sealing.overhead(&self.peer_id))
    }

    /// How many more records the keys of this epoch can seal; 0 without keys.
    pub(crate) fn left(&self, epoch: u16) -> u64 {
        let sealing = self.sealing.iter().find(|sealing| sealing.epoch == epoch);
        sealing.map_or(0, |sealing| sealing.limit().saturating_sub(sealing.next_sequence))
    }

    /// As if keys could bear no more than so many forgeries.
    #[cfg(test)]
    pub(crate) const fn bear_forgeries(&mut self, max: u64) {
        self.max_forgeries = max;
    }

    /// As if the keys of this epoch had sealed all but so many records, and the peer had opened them.
    #[cfg(test)]
    pub(crate) fn wear(&mut self, peer: &mut Self, epoch: u16, left: u64) {
        let sealing = self.sealing.iter_mut().find(|sealing| sealing.epoch == epoch);
        let opening = peer.opening.iter_mut().find(|opening| opening.epoch == epoch);
        if let (Some(sealing), Some(opening)) = (sealing, opening) {
            sealing.next_sequence = sealing.limit().saturating_sub(left);
            opening.window.commit(sealing.next_sequence.saturating_sub(1));
        }
    }

    /// Seals a record in place: the plaintext of `len` bytes lies in `out` behind the head.
    pub(crate) fn seal(
        &mut self,
        epoch: u16,
        content_type: ContentType,
        out: &mut [u8],
        len: usize,
    ) -> Result<Sealed, Unsealed> {
        let sealing = self
            .sealing
            .iter_mut()
            .find(|sealing| sealing.epoch == epoch)
            .ok_or(Unsealed::NoKeys)?;
        let sequence = sealing.next_sequence;
        if sequence >= sealing.limit() {
            return Err(Unsealed::Exhausted);
        }
        if len > sealing.max_content(&self.peer_id) {
            return Err(Unsealed::TooLong);
        }
        let total = sealing.overhead(&self.peer_id).total().saturating_add(len);
        let record = out.get_mut(..total).ok_or(Unsealed::NoRoom)?;
        match &sealing.protection {
            Some(Protection::V13(keys)) => {
                let id = self.peer_id.as_bytes();
                keys.seal(sequence, id, content_type, record).ok_or(Unsealed::NoRoom)?;
            }
            _ => sealing.seal_12(&self.peer_id, content_type, record)?,
        }
        sealing.next_sequence = sequence.saturating_add(1);
        Ok(Sealed {
            len: total,
            number: RecordNumber {
                epoch: u64::from(epoch),
                sequence,
            },
        })
    }

    /// Opens a protected record of DTLS 1.2 in place.
    pub(crate) fn open<'a>(&mut self, record: Parts<'a, RecordHeader>) -> Opened<'a> {
        let Parts { header, id, body } = record;
        let of_epoch = |opening: &&mut Opening| opening.epoch == header.epoch;
        let Some(opening) = self.opening.iter_mut().find(of_epoch) else {
            return Opened::NoKeys;
        };
        let Protection::V12(keys) = &opening.protection else {
            return Opened::NoKeys;
        };
        if !opening.window.allows(header.sequence) {
            return Opened::Replayed;
        }
        let Some(plaintext) = keys.open(&header, id, body) else {
            return Opened::NotAuthentic;
        };
        opening.window.commit(header.sequence);
        // RFC 9146 §5: with a connection ID this counts content type and padding, too.
        if plaintext.len() > MAX_PLAINTEXT {
            return Opened::TooLong;
        }
        let (content_type, content) = if id.is_empty() {
            (header.content_type, plaintext)
        } else {
            split_inner(plaintext)
        };
        Opened::Content {
            content_type,
            epoch: header.epoch,
            number: RecordNumber {
                epoch: u64::from(header.epoch),
                sequence: header.sequence,
            },
            content,
        }
    }

    /// Opens a protected record of DTLS 1.3 in place, with the keys of the latest epoch that has these bits (RFC 9147
    /// §4.2.2).
    pub(crate) fn open_unified<'a>(&mut self, record: Parts<'a, UnifiedHeader>) -> Opened<'a> {
        let Parts { header, id, body } = record;
        let of_bits = |opening: &&mut Opening| match &opening.protection {
            Protection::V13(keys) => keys.epoch_bits() == header.epoch_bits,
            Protection::V12(_) => false,
        };
        let candidates = self.opening.iter_mut().filter(of_bits);
        let Some(opening) = candidates.max_by_key(|opening| opening.epoch) else {
            return Opened::NoKeys;
        };
        let Protection::V13(keys) = &opening.protection else {
            return Opened::NoKeys;
        };
        let Some(short) = keys.reveal(&header, body) else {
            return Opened::NotAuthentic;
        };
        let sequence = short.expand(opening.window.next());
        if !opening.window.allows(sequence) {
            return Opened::Replayed;
        }
        let header = UnifiedHeader {
            sequence: short,
            ..header
        };
        let Some((content_type, content)) = keys.open(&header, id, sequence, body) else {
            opening.forgeries = opening.forgeries.saturating_add(1);
            return if opening.forgeries > self.max_forgeries {
                Opened::TooManyForgeries(opening.epoch)
            } else {
                Opened::NotAuthentic
            };
        };
        opening.window.commit(sequence);
        let epoch = opening.epoch;
        // Once keys after a KeyUpdate are in use, those before are kept for what the network delays, and older ones are
        // not (RFC 9147 §8). The first two epochs go with the first update.
        if epoch > v13::FIRST_APPLICATION_EPOCH {
            self.opening.retain(|opening| opening.epoch.saturating_add(1) >= epoch);
        }
        if content.len() > MAX_PLAINTEXT {
            return Opened::TooLong;
        }
        Opened::Content {
            content_type,
            epoch,
            number: RecordNumber {
                epoch: u64::from(epoch),
                sequence,
            },
            content,
        }
    }
}

impl Sealing {
    const fn overhead(&self, id: &ConnectionId) -> Overhead {
        match &self.protection {
            None => Overhead {
                head: RecordHeader::LEN,
                tail: 0,
            },
            Some(Protection::V12(keys)) => keys.overhead(id.len()),
            Some(Protection::V13(_)) => v13::Protection::overhead(id.len()),
        }
    }

    /// Seals a record of DTLS 1.2 in place, or finishes one in the clear, which never has a connection ID (RFC 9146 §3).
    fn seal_12(&self, id: &ConnectionId, content_type: ContentType, record: &mut [u8]) -> Result<(), Unsealed> {
        let id = match &self.protection {
            Some(_) => id.as_bytes(),
            None => &[],
        };
        let head_len = RecordHeader::LEN.saturating_add(id.len());
        let (head, body) = record.split_at_mut_checked(head_len).ok_or(Unsealed::NoRoom)?;
        let outer_type = if id.is_empty() {
            content_type
        } else {
            let (inner, _tag) = body.split_last_chunk_mut::<TAG_LEN>().ok_or(Unsealed::NoRoom)?;
            *inner.last_mut().ok_or(Unsealed::NoRoom)? = content_type.0;
            ContentType::TLS12_CID
        };
        let header = RecordHeader {
            content_type: outer_type,
            version: Version::DTLS_1_2,
            epoch: self.epoch,
            sequence: self.next_sequence,
            length: u16::try_from(body.len()).map_err(|_| Unsealed::TooLong)?,
        };
        if let Some(Protection::V12(keys)) = &self.protection {
            keys.seal(&header, id, body).ok_or(Unsealed::NoRoom)?;
        }
        let mut w = Writer::new(head);
        header.write_with_id(&mut w, id).map_err(|_| Unsealed::NoRoom)
    }

    /// The longest content. RFC 9146 §5 counts the content type, too.
    const fn max_content(&self, id: &ConnectionId) -> usize {
        match &self.protection {
            Some(Protection::V12(_)) if !id.is_empty() => MAX_PLAINTEXT.saturating_sub(1),
            _ => MAX_PLAINTEXT,
        }
    }

    /// How many records there can be.
    const fn limit(&self) -> u64 {
        match &self.protection {
            Some(Protection::V13(keys)) => keys.seal_limit(),
            _ => RecordHeader::MAX_SEQUENCE.saturating_add(1),
        }
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sealing = self
            .sealing
            .iter()
            .map(|sealing| (sealing.epoch, sealing.next_sequence));
        f.debug_struct("Records")
            .field("sealing", &sealing.collect::<Vec<_>>())
            .field(
                "opening",
                &self.opening.iter().map(|opening| opening.epoch).collect::<Vec<_>>(),
            )
            .finish()
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
mod tests {
    use super::*;
    use crate::v13::ShortSequence;

    fn seal(records: &mut Records, out: &mut [u8]) -> Result<usize, Unsealed> {
        records.seal(0, ContentType::ALERT, out, 2).map(|sealed| sealed.len)
    }

    #[test]
    fn sequence_numbers_rise_and_end() {
        let mut records = Records::new();
        let mut out = [0; 100];
        for sequence in 0..3 {
            assert_eq!(seal(&mut records, &mut out), Ok(15));
            assert_eq!(out[..13], [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, sequence, 0, 2]);
        }
        records.sealing[0].next_sequence = RecordHeader::MAX_SEQUENCE;
        assert_eq!(seal(&mut records, &mut out), Ok(15));
        assert_eq!(seal(&mut records, &mut out), Err(Unsealed::Exhausted));
    }

    #[test]
    fn refusals_spend_no_sequence_number() {
        let mut records = Records::new();
        let mut out = vec![0; 20_000];
        assert_eq!(records.seal(1, ContentType::ALERT, &mut out, 2), Err(Unsealed::NoKeys));
        assert_eq!(
            records.seal(0, ContentType::ALERT, &mut out[..14], 2),
            Err(Unsealed::NoRoom)
        );
        assert_eq!(
            records.seal(0, ContentType::ALERT, &mut out, 16_385),
            Err(Unsealed::TooLong)
        );
        assert_eq!(records.sealing[0].next_sequence, 0);
    }

    /// RFC 9147 §4.5.3.
    #[test]
    fn keys_of_13_wear_out() {
        for suite in v13::tests::SUITES {
            let keys = v13::tests::protection(suite, 3);
            let limit = keys.seal_limit();
            let mut records = Records::new();
            records.install_sealing(3, keys);
            let mut out = [0; 100];
            assert_eq!(records.left(3), limit);
            records.sealing[1].next_sequence = limit - 2;
            for sequence in [limit - 2, limit - 1] {
                let sealed = records.seal(3, ContentType::ALERT, &mut out, 2).unwrap();
                assert_eq!(sealed.number, RecordNumber { epoch: 3, sequence });
            }
            assert_eq!(
                records.seal(3, ContentType::ALERT, &mut out, 2),
                Err(Unsealed::Exhausted)
            );
            assert_eq!(records.left(3), 0);
            // New keys begin anew.
            records.install_sealing(4, v13::tests::protection(suite, 4));
            let sealed = records.seal(4, ContentType::ALERT, &mut out, 2).unwrap();
            assert_eq!(sealed.number, RecordNumber { epoch: 4, sequence: 0 });
            records.retire_sealing(4);
            assert_eq!(records.seal(3, ContentType::ALERT, &mut out, 2), Err(Unsealed::NoKeys));
        }
    }

    /// RFC 9147 §4.5.3.
    #[test]
    fn too_many_forgeries_are_noticed() {
        let suite = v13::tests::SUITES[0];
        let mut records = Records::new();
        records.install_opening(3, v13::tests::protection(suite, 3));
        let header = UnifiedHeader {
            epoch_bits: 3,
            sequence: ShortSequence::Bits16(0),
            length: None,
        };
        let forged = |records: &mut Records, len: usize| {
            let body = &mut vec![0; len][..];
            let opened = records.open_unified(Parts { header, id: &[], body });
            match opened {
                Opened::NotAuthentic => None,
                Opened::TooManyForgeries(epoch) => Some(epoch),
                opened => panic!("{opened:?}"),
            }
        };
        // What is too short to be a record is no attempt at one.
        assert_eq!(forged(&mut records, 15), None);
        assert_eq!(records.opening[0].forgeries, 0);
        records.opening[0].forgeries = MAX_FORGERIES - 1;
        assert_eq!(forged(&mut records, 20), None);
        assert_eq!(forged(&mut records, 20), Some(3));
    }
}
