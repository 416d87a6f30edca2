use crate::attribute::Attribute;
use crate::integrity::{IntegrityAlgorithm, fingerprint, length_to};
use crate::key::Key;
use crate::message::{Class, HEADER_LEN, MAGIC_COOKIE, TransactionId, message_type};
use crate::registry::{AttributeType, ErrorCode, Method};
use crate::value::{ErrorReason, Value};
use core::fmt;
use wire::{Full, Writer};

/// Why an attribute was not written. The message is then as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildError {
    /// The buffer is too short, or the message would exceed 65535 bytes of attributes.
    Full,
    /// The value breaks a rule, or the attribute must not stand there.
    Rule {
        /// The attribute.
        kind: AttributeType,
        /// The rule, as a clause.
        rule: &'static str,
    },
}

impl From<Full> for BuildError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the output buffer is too short for the message"),
            Self::Rule { kind, rule } => write!(f, "{kind} cannot be written: {rule}"),
        }
    }
}

impl core::error::Error for BuildError {}

/// Writes one message into a buffer of the caller's. The header's length is right after every step.
#[derive(Debug)]
pub struct Builder<'a> {
    w: Writer<'a>,
    transaction_id: TransactionId,
    /// The last of the three attributes after which not everything may follow.
    tail: Tail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tail {
    Open,
    Integrity,
    IntegritySha256,
    Fingerprint,
}

impl<'a> Builder<'a> {
    /// Begins a message at the start of `out`.
    ///
    /// # Errors
    /// [`BuildError::Full`] when the header does not fit.
    pub fn new(
        out: &'a mut [u8],
        class: Class,
        method: Method,
        transaction_id: TransactionId,
    ) -> Result<Self, BuildError> {
        let mut w = Writer::new(out);
        w.u16(message_type(class, method))?;
        w.u16(0)?;
        w.u32(MAGIC_COOKIE)?;
        w.put(&transaction_id.0)?;
        Ok(Self {
            w,
            transaction_id,
            tail: Tail::Open,
        })
    }

    /// Appends an attribute.
    ///
    /// # Errors
    /// [`BuildError::Rule`] when the value is not legal, is a computed one, or integrity or fingerprint are already
    /// there.
    pub fn push(&mut self, value: &Value<'_>) -> Result<(), BuildError> {
        if let Some(rule) = value.broken_rule() {
            return Err(BuildError::Rule {
                kind: value.kind(),
                rule,
            });
        }
        self.enter(value.kind(), Tail::Open)?;
        let transaction_id = self.transaction_id;
        self.append(value.kind(), |w| value.write(w, transaction_id))
    }

    /// Appends an attribute if it takes no more than `room` bytes, with its type, its length and its padding: for who
    /// has to keep space for what comes behind it.
    ///
    /// # Errors
    /// As [`push`](Self::push), and [`BuildError::Full`] when it takes more.
    pub fn push_within(&mut self, value: &Value<'_>, room: usize) -> Result<(), BuildError> {
        let (start, tail) = (self.w.position(), self.tail);
        self.push(value)?;
        if self.w.position().saturating_sub(start) > room {
            self.w.truncate(start);
            self.tail = tail;
            self.set_length()?;
            return Err(BuildError::Full);
        }
        Ok(())
    }

    /// How many bytes more the buffer holds.
    pub const fn room(&self) -> usize {
        self.w.remaining()
    }

    /// Appends ERROR-CODE with its registered phrase (RFC 8489 §14.8).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn error_code(&mut self, code: ErrorCode) -> Result<(), BuildError> {
        self.push(&Value::ErrorCode(ErrorReason::registered(code)))
    }

    /// Appends a received attribute as it was, whatever its type and place; padding is zero. So a message can be
    /// printed back; what was computed over it holds only if everything before it is the same.
    ///
    /// # Errors
    /// [`BuildError::Full`].
    pub fn copy(&mut self, attribute: &Attribute<'_>) -> Result<(), BuildError> {
        let tail = match attribute.kind() {
            AttributeType::MESSAGE_INTEGRITY => Tail::Integrity,
            AttributeType::MESSAGE_INTEGRITY_SHA256 => Tail::IntegritySha256,
            AttributeType::FINGERPRINT => Tail::Fingerprint,
            _ => Tail::Open,
        };
        self.append(attribute.kind(), |w| w.put(attribute.value()))?;
        self.tail = self.tail.max(tail);
        Ok(())
    }

    /// Appends MESSAGE-INTEGRITY over everything before it (RFC 8489 §14.5).
    ///
    /// # Errors
    /// [`BuildError::Full`], or [`BuildError::Rule`] when integrity or fingerprint are already there.
    pub fn integrity(&mut self, key: &Key) -> Result<(), BuildError> {
        let kind = AttributeType::MESSAGE_INTEGRITY;
        self.enter(kind, Tail::Open)?;
        let length = self.length_with(20)?;
        let tag = key.sha1(length, self.w.written());
        self.append(kind, |w| w.put(&tag))?;
        self.tail = Tail::Integrity;
        Ok(())
    }

    /// Appends MESSAGE-INTEGRITY-SHA256 over everything before it (RFC 8489 §14.6), cut to `len` bytes: 32 unless the
    /// usage allows less.
    ///
    /// # Errors
    /// [`BuildError::Full`], or [`BuildError::Rule`] when `len` is not 16, 20, 24, 28 or 32 or the attribute must not
    /// stand here.
    pub fn integrity_sha256(&mut self, key: &Key, len: usize) -> Result<(), BuildError> {
        let kind = AttributeType::MESSAGE_INTEGRITY_SHA256;
        self.enter(kind, Tail::Integrity)?;
        if !(16..=32).contains(&len) || len & 3 != 0 {
            return Err(BuildError::Rule {
                kind,
                rule: "it has 16 to 32 bytes, a multiple of 4",
            });
        }
        let length = self.length_with(len)?;
        let tag = key.sha256(length, self.w.written());
        self.append(kind, |w| w.put(tag.get(..len).unwrap_or_default()))?;
        self.tail = Tail::IntegritySha256;
        Ok(())
    }

    /// Appends the integrity attribute that a received message had, as a response does (RFC 8489 §9.1.3).
    ///
    /// # Errors
    /// As [`integrity`](Self::integrity).
    pub fn integrity_like(&mut self, algorithm: IntegrityAlgorithm, key: &Key) -> Result<(), BuildError> {
        match algorithm {
            IntegrityAlgorithm::Sha1 => self.integrity(key),
            IntegrityAlgorithm::Sha256 => self.integrity_sha256(key, 32),
        }
    }

    /// Appends FINGERPRINT (RFC 8489 §14.7); nothing may follow.
    ///
    /// # Errors
    /// [`BuildError::Full`], or [`BuildError::Rule`] when it is already there.
    pub fn fingerprint(&mut self) -> Result<(), BuildError> {
        let kind = AttributeType::FINGERPRINT;
        self.enter(kind, Tail::IntegritySha256)?;
        let at = self.w.position();
        // The CRC covers the length field, which counts this attribute.
        self.append(kind, |w| w.u32(0))?;
        let value = fingerprint(self.w.written().get(..at).unwrap_or_default());
        let end = self.w.position();
        self.w.truncate(end.saturating_sub(4));
        self.w.u32(value)?;
        self.tail = Tail::Fingerprint;
        Ok(())
    }

    /// Ends the message and gives its bytes.
    pub fn finish(self) -> &'a mut [u8] {
        self.w.into_written()
    }

    /// Checks that an attribute may follow what is there, `latest` being the last state in which it may.
    fn enter(&self, kind: AttributeType, latest: Tail) -> Result<(), BuildError> {
        if self.tail <= latest {
            Ok(())
        } else {
            Err(BuildError::Rule {
                kind,
                rule: "receivers ignore what follows integrity and fingerprint",
            })
        }
    }

    fn append(
        &mut self,
        kind: AttributeType,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<(), BuildError> {
        let start = self.w.position();
        let written = self.append_unguarded(kind, write);
        if written.is_err() {
            self.w.truncate(start);
        }
        written.map_err(BuildError::from)
    }

    fn append_unguarded(
        &mut self,
        kind: AttributeType,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.w.u16(kind.0)?;
        let length = self.w.reserve(2)?;
        write(&mut self.w)?;
        self.w.fill_length(length)?;
        self.w.zeros(self.w.position().wrapping_neg() & 3)?;

        self.set_length()
    }

    /// Has the header tell how much is written.
    fn set_length(&mut self) -> Result<(), Full> {
        let total = u16::try_from(self.w.position().saturating_sub(HEADER_LEN)).map_err(|_| Full)?;
        let field = self.w.written_mut().get_mut(2..4).ok_or(Full)?;
        field.copy_from_slice(&total.to_be_bytes());
        Ok(())
    }

    fn length_with(&self, value_length: usize) -> Result<u16, BuildError> {
        length_to(self.w.position(), value_length).ok_or(BuildError::Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CrcList, FingerprintError, IntegrityError, Message};
    use std::vec::Vec;

    const ID: TransactionId = TransactionId(*b"transaction!");

    fn request(out: &mut [u8]) -> Builder<'_> {
        Builder::new(out, Class::Request, Method::BINDING, ID).unwrap()
    }

    #[test]
    fn order_is_enforced() {
        let key = Key::short_term("password");
        let mut out = [0; 256];
        let mut b = request(&mut out);
        b.push(&Value::Priority(1)).unwrap();
        b.integrity(&key).unwrap();
        assert!(matches!(b.push(&Value::Priority(1)), Err(BuildError::Rule { .. })));
        assert!(matches!(b.integrity(&key), Err(BuildError::Rule { .. })));
        b.integrity_sha256(&key, 32).unwrap();
        assert!(matches!(b.integrity_sha256(&key, 32), Err(BuildError::Rule { .. })));
        b.fingerprint().unwrap();
        assert!(matches!(b.fingerprint(), Err(BuildError::Rule { .. })));
        let bytes = b.finish();
        let message = Message::parse(bytes).unwrap();
        assert_eq!(message.verify_fingerprint(), Ok(()));
        assert_eq!(
            message.verify_integrity(&key).unwrap().algorithm(),
            IntegrityAlgorithm::Sha256
        );
    }

    #[test]
    fn computed_and_illegal_values_are_refused() {
        let mut out = [0; 2048];
        let mut b = request(&mut out);
        let long = "x".repeat(600);
        for value in [
            Value::Fingerprint(1),
            Value::MessageIntegrity(&[0; 20]),
            Value::MessageIntegritySha256(&[0; 32]),
            Value::Username(&long[..509]),
            Value::Software(&long[..128]),
            Value::AlternateDomain(&long[..256]),
            Value::AlternateDomain("\u{e9}"),
            Value::ErrorCode(ErrorReason {
                code: ErrorCode(299),
                reason: "",
            }),
            Value::MetaDtlsInStunAcknowledgement(CrcList::new(&[0; 5])),
            Value::Icmp {
                kind: 0x80,
                code: 0,
                data: 0,
            },
        ] {
            assert!(matches!(b.push(&value), Err(BuildError::Rule { .. })), "{value:?}");
        }
        assert!(b.integrity_sha256(&Key::short_term(""), 17).is_err());
        assert!(b.integrity_sha256(&Key::short_term(""), 12).is_err());
        assert_eq!(b.finish().len(), HEADER_LEN);
    }

    #[test]
    fn what_takes_more_than_its_room_is_taken_back() {
        let mut out = [0xff; 256];
        let mut b = request(&mut out);
        b.push(&Value::Priority(1)).unwrap();
        let room = b.room();
        // Four bytes of header, five of value, three of padding.
        assert_eq!(
            b.push_within(&Value::MetaDtlsInStun(b"12345"), 11),
            Err(BuildError::Full)
        );
        assert_eq!(b.room(), room);
        b.push_within(&Value::MetaDtlsInStun(b"12345"), 12).unwrap();
        assert_eq!(b.room(), room - 12);
        b.push_within(&Value::UseCandidate, 3).unwrap_err();
        b.integrity(&Key::short_term("password")).unwrap();
        b.fingerprint().unwrap();
        let message = Message::parse(b.finish()).unwrap();
        assert_eq!(message.attributes().count(), 4);
        assert_eq!(message.verify_fingerprint(), Ok(()));
    }

    #[test]
    fn a_failed_step_leaves_the_message_whole() {
        let key = Key::short_term("password");
        for room in 0..100 {
            let mut out = [0; 100];
            let Ok(mut b) = Builder::new(&mut out[..room], Class::Request, Method::BINDING, ID) else {
                assert!(room < HEADER_LEN);
                continue;
            };
            let _ = b.push(&Value::Username("five5"));
            let _ = b.push(&Value::Data(b"1"));
            let _ = b.integrity(&key);
            let _ = b.fingerprint();
            let message = Message::parse(b.finish()).unwrap();
            assert_ne!(message.verify_integrity(&key).err(), Some(IntegrityError::Mismatch));
            assert_ne!(message.verify_fingerprint().err(), Some(FingerprintError::Mismatch));
        }
    }

    #[test]
    fn truncated_sha256_is_accepted_only_where_allowed() {
        let key = Key::short_term("password");
        for len in [16, 20, 24, 28, 32] {
            let mut out = [0; 128];
            let mut b = request(&mut out);
            b.integrity_sha256(&key, len).unwrap();
            let bytes = b.finish().to_vec();
            let message = Message::parse(&bytes).unwrap();
            assert_eq!(message.verify_integrity(&key).is_ok(), len == 32);
            for min in [0, 16, 20, 24, 28, 32] {
                let expected = if len >= min.max(16) {
                    None
                } else {
                    Some(IntegrityError::Length)
                };
                assert_eq!(message.verify_integrity_truncated(&key, min).err(), expected);
            }
            let mut wrong = bytes.clone();
            *wrong.last_mut().unwrap() ^= 1;
            let message = Message::parse(&wrong).unwrap();
            assert_eq!(
                message.verify_integrity_truncated(&key, 16).err(),
                Some(IntegrityError::Mismatch)
            );
        }
    }

    #[test]
    fn what_follows_integrity_is_ignored() {
        let key = Key::short_term("password");
        let mut donor_out = [0; 64];
        let mut donor = request(&mut donor_out);
        donor.push(&Value::Priority(7)).unwrap();
        donor.push(&Value::UseCandidate).unwrap();
        donor.push(&Value::Other(AttributeType(0x7000), &[1])).unwrap();
        let donor = Message::parse(donor.finish()).unwrap();

        let mut out = [0; 256];
        let mut b = request(&mut out);
        b.push(&Value::Username("a:b")).unwrap();
        b.integrity(&key).unwrap();
        for attribute in donor.all_attributes() {
            b.copy(&attribute).unwrap();
        }
        b.integrity_sha256(&key, 32).unwrap();
        for attribute in donor.all_attributes() {
            b.copy(&attribute).unwrap();
        }
        b.fingerprint().unwrap();
        let message = Message::parse(b.finish()).unwrap();
        assert_eq!(message.all_attributes().count(), 10);
        let kinds: Vec<_> = message.attributes().map(|attribute| attribute.kind()).collect();
        assert_eq!(
            kinds,
            [
                AttributeType::USERNAME,
                AttributeType::MESSAGE_INTEGRITY,
                AttributeType::MESSAGE_INTEGRITY_SHA256,
                AttributeType::FINGERPRINT,
            ]
        );
        assert_eq!((message.priority(), message.use_candidate()), (Ok(None), false));
        assert_eq!(message.unknown_required().count(), 0);
        assert!(message.verify_integrity(&key).is_ok());
        assert_eq!(message.verify_fingerprint(), Ok(()));
    }

    /// Padding hides a shorter value: type, CRC and place are right, the length is not.
    #[test]
    fn a_fingerprint_has_four_bytes() {
        for len in 1..4 {
            let mut out = [0; 64];
            let mut b = request(&mut out);
            b.fingerprint().unwrap();
            let mut bytes = b.finish().to_vec();
            bytes[23] = len;
            let message = Message::parse(&bytes).unwrap();
            assert_eq!(message.verify_fingerprint(), Err(FingerprintError::Length));
        }
    }

    #[test]
    fn attributes_after_the_fingerprint_break_it() {
        let mut out = [0; 64];
        let mut b = request(&mut out);
        b.fingerprint().unwrap();
        let mut bytes = b.finish().to_vec();
        bytes.extend([0x80, 0x22, 0, 0]);
        bytes[3] += 4;
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.verify_fingerprint(), Err(FingerprintError::NotLast));
        assert_eq!(message.software(), Ok(None));
    }
}
