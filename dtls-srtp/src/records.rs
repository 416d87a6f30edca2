//! The record layer: one set of keys per epoch and direction.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::fmt;

use wire::Writer;

use crate::overhead::Overhead;
use crate::record::RecordHeader;
use crate::registry::{ContentType, Version};
use crate::replay::ReplayWindow;
use crate::v12;

/// The longest plaintext of a record, in bytes (RFC 5246 §6.2.1).
const MAX_PLAINTEXT: usize = 1 << 14;

/// How the records of an epoch are protected. DTLS 1.3 will bring another form here.
enum Form {
    /// Epoch 0: not at all.
    Clear,
    V12(v12::Protection),
}

/// Seals the records of one epoch.
struct Sealing {
    epoch: u16,
    next_sequence: u64,
    form: Form,
}

/// Opens the records of one epoch.
struct Opening {
    epoch: u16,
    window: ReplayWindow,
    protection: v12::Protection,
}

/// All epochs of both directions.
pub(crate) struct Records {
    sealing: Vec<Sealing>,
    opening: Vec<Opening>,
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
    /// All 2^48 sequence numbers are used up.
    Exhausted,
}

/// What became of a protected record.
#[derive(Debug)]
pub(crate) enum Opened<'a> {
    Plaintext(&'a mut [u8]),
    /// Authentic, but longer than a plaintext may be.
    TooLong,
    Replayed,
    NotAuthentic,
    NoKeys,
}

impl Records {
    pub(crate) fn new() -> Self {
        let clear = Sealing {
            epoch: 0,
            next_sequence: 0,
            form: Form::Clear,
        };
        Self {
            sealing: vec![clear],
            opening: Vec::new(),
        }
    }

    pub(crate) fn install_sealing(&mut self, epoch: u16, protection: v12::Protection) {
        self.sealing.push(Sealing {
            epoch,
            next_sequence: 0,
            form: Form::V12(protection),
        });
    }

    pub(crate) fn install_opening(&mut self, epoch: u16, protection: v12::Protection) {
        self.opening.push(Opening {
            epoch,
            window: ReplayWindow::default(),
            protection,
        });
    }

    pub(crate) fn can_open(&self, epoch: u16) -> bool {
        self.opening.iter().any(|opening| opening.epoch == epoch)
    }

    /// The highest epoch that can be opened; 0 as long as nothing is protected.
    pub(crate) fn highest_opening_epoch(&self) -> u16 {
        self.opening.iter().map(|opening| opening.epoch).max().unwrap_or(0)
    }

    pub(crate) fn overhead(&self, epoch: u16) -> Option<Overhead> {
        let sealing = self.sealing.iter().find(|sealing| sealing.epoch == epoch)?;
        Some(sealing.form.overhead())
    }

    /// Seals a record in place: the plaintext of `len` bytes lies in `out` behind the head. Returns the whole length.
    pub(crate) fn seal(
        &mut self,
        epoch: u16,
        content_type: ContentType,
        out: &mut [u8],
        len: usize,
    ) -> Result<usize, Unsealed> {
        let sealing = self
            .sealing
            .iter_mut()
            .find(|sealing| sealing.epoch == epoch)
            .ok_or(Unsealed::NoKeys)?;
        if sealing.next_sequence > RecordHeader::MAX_SEQUENCE {
            return Err(Unsealed::Exhausted);
        }
        let overhead = sealing.form.overhead();
        if len > MAX_PLAINTEXT {
            return Err(Unsealed::TooLong);
        }
        let total = overhead.total().saturating_add(len);
        let record = out.get_mut(..total).ok_or(Unsealed::NoRoom)?;
        let (head, body) = record.split_at_mut_checked(RecordHeader::LEN).ok_or(Unsealed::NoRoom)?;
        let header = RecordHeader {
            content_type,
            version: Version::DTLS_1_2,
            epoch,
            sequence: sealing.next_sequence,
            length: u16::try_from(body.len()).map_err(|_| Unsealed::TooLong)?,
        };
        match &sealing.form {
            Form::Clear => {}
            Form::V12(protection) => protection.seal(&header, body).ok_or(Unsealed::NoRoom)?,
        }
        header.write(&mut Writer::new(head)).map_err(|_| Unsealed::NoRoom)?;
        sealing.next_sequence = sealing.next_sequence.saturating_add(1);
        Ok(total)
    }

    /// Opens a protected record in place.
    pub(crate) fn open<'a>(&mut self, header: &RecordHeader, body: &'a mut [u8]) -> Opened<'a> {
        let Some(opening) = self.opening.iter_mut().find(|opening| opening.epoch == header.epoch) else {
            return Opened::NoKeys;
        };
        if !opening.window.allows(header.sequence) {
            return Opened::Replayed;
        }
        let Some(plaintext) = opening.protection.open(header, body) else {
            return Opened::NotAuthentic;
        };
        opening.window.commit(header.sequence);
        if plaintext.len() > MAX_PLAINTEXT {
            return Opened::TooLong;
        }
        Opened::Plaintext(plaintext)
    }
}

impl Form {
    const fn overhead(&self) -> Overhead {
        match self {
            Self::Clear => Overhead {
                head: RecordHeader::LEN,
                tail: 0,
            },
            Self::V12(protection) => protection.overhead(),
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

    #[test]
    fn sequence_numbers_rise_and_end() {
        let mut records = Records::new();
        let mut out = [0; 100];
        for sequence in 0..3 {
            assert_eq!(records.seal(0, ContentType::ALERT, &mut out, 2), Ok(15));
            assert_eq!(out[..13], [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, sequence, 0, 2]);
        }
        records.sealing[0].next_sequence = RecordHeader::MAX_SEQUENCE;
        assert_eq!(records.seal(0, ContentType::ALERT, &mut out, 2), Ok(15));
        assert_eq!(
            records.seal(0, ContentType::ALERT, &mut out, 2),
            Err(Unsealed::Exhausted)
        );
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
}
