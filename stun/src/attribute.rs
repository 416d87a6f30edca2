use crate::message::TransactionId;
use crate::registry::AttributeType;
use core::fmt;
use wire::{Error, Reader};

/// One attribute as it stands in the message: type and value, without padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    kind: AttributeType,
    value: &'a [u8],
    offset: usize,
    transaction_id: TransactionId,
    ignored: bool,
}

impl<'a> Attribute<'a> {
    /// The type.
    pub const fn kind(&self) -> AttributeType {
        self.kind
    }

    /// The value, without padding.
    pub const fn value(&self) -> &'a [u8] {
        self.value
    }

    /// Where the attribute's type stands, in bytes from the start of the message.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether receivers ignore it since it follows an integrity attribute that does not cover it, or FINGERPRINT
    /// (RFC 8489 §9, §14.7).
    pub const fn is_ignored(&self) -> bool {
        self.ignored
    }

    pub(crate) const fn transaction_id(&self) -> TransactionId {
        self.transaction_id
    }

    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader::at(self.value, self.offset.saturating_add(4))
    }
}

impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{}]", self.kind, self.value.len())
    }
}

/// How far into the message's tail the iterator is: what still counts there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Everything,
    /// After MESSAGE-INTEGRITY.
    Sha256AndFingerprint,
    /// After MESSAGE-INTEGRITY-SHA256.
    Fingerprint,
    /// After FINGERPRINT.
    Nothing,
}

/// All attributes of a message in order. Ends at the first that is cut short (none is in a parsed message).
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    reader: Reader<'a>,
    transaction_id: TransactionId,
    counts: Counts,
}

impl<'a> Attributes<'a> {
    pub(crate) const fn new(reader: Reader<'a>, transaction_id: TransactionId) -> Self {
        Self {
            reader,
            transaction_id,
            counts: Counts::Everything,
        }
    }

    pub(crate) fn try_next(&mut self) -> Result<Option<Attribute<'a>>, Error> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let offset = self.reader.offset();
        let kind = AttributeType(self.reader.u16()?);
        let length = usize::from(self.reader.u16()?);
        let value = self.reader.take(length)?;
        // To the next multiple of 4; the padding bits are ignored (RFC 8489 §14).
        self.reader.skip(length.wrapping_neg() & 3)?;

        let ignored = match (self.counts, kind) {
            (Counts::Everything, _)
            | (Counts::Sha256AndFingerprint, AttributeType::MESSAGE_INTEGRITY_SHA256)
            | (Counts::Sha256AndFingerprint | Counts::Fingerprint, AttributeType::FINGERPRINT) => false,
            (Counts::Sha256AndFingerprint | Counts::Fingerprint | Counts::Nothing, _) => true,
        };
        if !ignored {
            self.counts = match kind {
                AttributeType::MESSAGE_INTEGRITY => Counts::Sha256AndFingerprint,
                AttributeType::MESSAGE_INTEGRITY_SHA256 => Counts::Fingerprint,
                AttributeType::FINGERPRINT => Counts::Nothing,
                _ => self.counts,
            };
        }
        Ok(Some(Attribute {
            kind,
            value,
            offset,
            transaction_id: self.transaction_id,
            ignored,
        }))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().ok().flatten()
    }
}
