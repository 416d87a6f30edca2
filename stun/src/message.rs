use crate::attribute::{Attribute, Attributes};
use crate::registry::{AttributeType, Method};
use crate::value::{CrcList, ErrorReason, Value};
use core::fmt;
use core::net::SocketAddr;
use wire::{Error, Reader};

/// The fixed value in bytes 4 to 7 of every message (RFC 8489 §5).
pub const MAGIC_COOKIE: u32 = 0x2112_a442;

/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 20;

/// Whether a datagram is STUN: the first byte is 0 to 3 (RFC 7983 §7) and the magic cookie is in its place.
///
/// A cheap test for demultiplexing; [`Message::parse`] says the rest.
pub fn is_stun(datagram: &[u8]) -> bool {
    let [first, _, _, _, c0, c1, c2, c3, ..] = *datagram else {
        return false;
    };
    first <= 3 && u32::from_be_bytes([c0, c1, c2, c3]) == MAGIC_COOKIE && datagram.len() >= HEADER_LEN
}

/// The class of a message: two bits of its type (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// Says yes to a request.
    SuccessResponse,
    /// Says no to a request.
    ErrorResponse,
}

impl Class {
    /// C1 and C0 in their places in the 14-bit message type.
    const fn bits(self) -> u16 {
        match self {
            Self::Request => 0x0000,
            Self::Indication => 0x0010,
            Self::SuccessResponse => 0x0100,
            Self::ErrorResponse => 0x0110,
        }
    }

    const fn from_type(message_type: u16) -> Self {
        match message_type & 0x0110 {
            0x0000 => Self::Request,
            0x0010 => Self::Indication,
            0x0100 => Self::SuccessResponse,
            _ => Self::ErrorResponse,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Request => "request",
            Self::Indication => "indication",
            Self::SuccessResponse => "success response",
            Self::ErrorResponse => "error response",
        })
    }
}

/// The message type of RFC 8489 §5, figure 3: the class's bits are woven into the method's. Methods have 12 bits.
pub(crate) const fn message_type(class: Class, method: Method) -> u16 {
    let m = method.0;
    class.bits() | (m & 0x000f) | ((m & 0x0070) << 1) | ((m & 0x0f80) << 2)
}

const fn method_of(message_type: u16) -> Method {
    Method((message_type & 0x000f) | ((message_type & 0x00e0) >> 1) | ((message_type & 0x3e00) >> 2))
}

/// What ties a response to its request: 96 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub [u8; 12]);

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A view over one STUN message.
///
/// [`parse`](Self::parse) checks the header and that the attributes fill the message exactly; the values are checked
/// when they are asked for. A getter answers for the first attribute of its type (RFC 8489 §14): `Ok(None)` when there
/// is none, `Err` when its value breaks its rule.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    message_type: u16,
    transaction_id: TransactionId,
    /// Where the first MESSAGE-INTEGRITY begins that counts, in bytes from the start of the message.
    integrity: Option<usize>,
    integrity_sha256: Option<usize>,
    fingerprint: Option<usize>,
}

impl<'a> Message<'a> {
    /// Reads one message that fills `bytes` exactly.
    ///
    /// # Errors
    /// The rule of RFC 8489 §5 or §14 that the bytes break, and where.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let message_type = r.u16()?;
        if message_type & 0xc000 != 0 {
            return Err(Error::Rule {
                offset: 0,
                rule: "the first two bits of a STUN message are 0",
            });
        }
        let length = usize::from(r.u16()?);
        if length & 3 != 0 {
            return Err(Error::Rule {
                offset: 2,
                rule: "the message length is a multiple of 4",
            });
        }
        if r.u32()? != MAGIC_COOKIE {
            return Err(Error::Rule {
                offset: 4,
                rule: "the magic cookie is 0x2112a442",
            });
        }
        let transaction_id = TransactionId(r.take_array()?);
        let body = r.sub(length)?;
        r.finish()?;

        let mut message = Self {
            bytes,
            message_type,
            transaction_id,
            integrity: None,
            integrity_sha256: None,
            fingerprint: None,
        };
        let mut attributes = Attributes::new(body, transaction_id);
        while let Some(attribute) = attributes.try_next()? {
            let place = match attribute.kind() {
                AttributeType::MESSAGE_INTEGRITY => &mut message.integrity,
                AttributeType::MESSAGE_INTEGRITY_SHA256 => &mut message.integrity_sha256,
                AttributeType::FINGERPRINT => &mut message.fingerprint,
                _ => continue,
            };
            if !attribute.is_ignored() && place.is_none() {
                *place = Some(attribute.offset());
            }
        }
        Ok(message)
    }

    /// The whole message.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Request, indication, success or error.
    pub const fn class(&self) -> Class {
        Class::from_type(self.message_type)
    }

    /// The method.
    pub const fn method(&self) -> Method {
        method_of(self.message_type)
    }

    /// The transaction id.
    pub const fn transaction_id(&self) -> TransactionId {
        self.transaction_id
    }

    /// The attributes that count, in order, unknown ones too. Those that follow MESSAGE-INTEGRITY are left out as
    /// RFC 8489 §9 says: MESSAGE-INTEGRITY-SHA256 and FINGERPRINT excepted.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.all_attributes().filter(|attribute| !attribute.is_ignored())
    }

    /// All attributes in order, also those that a receiver ignores.
    pub fn all_attributes(&self) -> Attributes<'a> {
        let body = self.bytes.get(HEADER_LEN..).unwrap_or_default();
        Attributes::new(Reader::at(body, HEADER_LEN), self.transaction_id)
    }

    /// The first attribute of a type.
    pub fn attribute(&self, kind: AttributeType) -> Option<Attribute<'a>> {
        self.attributes().find(|attribute| attribute.kind() == kind)
    }

    /// The types of the attributes that have to be understood and are not, in order: what a 420 response lists in
    /// UNKNOWN-ATTRIBUTES (RFC 8489 §6.3.1). Understood is what [`Attribute::decode`] decodes.
    pub fn unknown_required(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        self.attributes()
            .map(|attribute| attribute.kind())
            .filter(|&kind| kind.is_comprehension_required() && !Value::understands(kind))
    }

    pub(crate) const fn integrity(&self) -> Option<usize> {
        self.integrity
    }

    pub(crate) const fn integrity_sha256(&self) -> Option<usize> {
        self.integrity_sha256
    }

    pub(crate) const fn fingerprint(&self) -> Option<usize> {
        self.fingerprint
    }

    fn value(&self, kind: AttributeType) -> Result<Option<Value<'a>>, Error> {
        self.attribute(kind).map(|attribute| attribute.decode()).transpose()
    }
}

/// Getters of single attributes: each answers for the first attribute of its type, with the error of
/// [`Attribute::decode`].
macro_rules! getters {
    ($($(#[$meta:meta])* $name:ident: $kind:ident => $variant:ident($type:ty);)*) => {
        #[allow(clippy::missing_errors_doc, reason = "said on the type")]
        impl<'a> Message<'a> {
            $($(#[$meta])*
            pub fn $name(&self) -> Result<Option<$type>, Error> {
                Ok(match self.value(AttributeType::$kind)? {
                    Some(Value::$variant(value)) => Some(value),
                    _ => None,
                })
            })*
        }
    };
}

getters! {
    /// USERNAME (RFC 8489 §14.3).
    username: USERNAME => Username(&'a str);
    /// USERHASH (RFC 8489 §14.4).
    userhash: USERHASH => UserHash(&'a [u8; 32]);
    /// REALM (RFC 8489 §14.9).
    realm: REALM => Realm(&'a str);
    /// NONCE (RFC 8489 §14.10).
    nonce: NONCE => Nonce(&'a str);
    /// SOFTWARE (RFC 8489 §14.14).
    software: SOFTWARE => Software(&'a str);
    /// ERROR-CODE (RFC 8489 §14.8).
    error_code: ERROR_CODE => ErrorCode(ErrorReason<'a>);
    /// XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
    xor_mapped_address: XOR_MAPPED_ADDRESS => XorMappedAddress(SocketAddr);
    /// MAPPED-ADDRESS (RFC 8489 §14.1).
    mapped_address: MAPPED_ADDRESS => MappedAddress(SocketAddr);
    /// XOR-PEER-ADDRESS (RFC 8656 §18.3), the first one.
    xor_peer_address: XOR_PEER_ADDRESS => XorPeerAddress(SocketAddr);
    /// XOR-RELAYED-ADDRESS (RFC 8656 §18.5).
    xor_relayed_address: XOR_RELAYED_ADDRESS => XorRelayedAddress(SocketAddr);
    /// DATA (RFC 8656 §18.4).
    data: DATA => Data(&'a [u8]);
    /// CHANNEL-NUMBER (RFC 8656 §18.1).
    channel_number: CHANNEL_NUMBER => ChannelNumber(u16);
    /// LIFETIME (RFC 8656 §18.2), in seconds.
    lifetime: LIFETIME => Lifetime(u32);
    /// PRIORITY (RFC 8445 §16.1).
    priority: PRIORITY => Priority(u32);
    /// ICE-CONTROLLED with its tiebreaker (RFC 8445 §16.1).
    ice_controlled: ICE_CONTROLLED => IceControlled(u64);
    /// ICE-CONTROLLING with its tiebreaker (RFC 8445 §16.1).
    ice_controlling: ICE_CONTROLLING => IceControlling(u64);
    /// NOMINATION (draft-thatcher-ice-renomination).
    nomination: NOMINATION => Nomination(u32);
    /// META-DTLS-IN-STUN (draft-hancke-webrtc-sped): a DTLS datagram, or nothing.
    meta_dtls_in_stun: META_DTLS_IN_STUN => MetaDtlsInStun(&'a [u8]);
    /// META-DTLS-IN-STUN-ACKNOWLEDGEMENT (draft-hancke-webrtc-sped).
    meta_dtls_in_stun_acknowledgement: META_DTLS_IN_STUN_ACKNOWLEDGEMENT => MetaDtlsInStunAcknowledgement(CrcList<'a>);
}

impl Message<'_> {
    /// Whether USE-CANDIDATE is there (RFC 8445 §16.1).
    pub fn use_candidate(&self) -> bool {
        self.attribute(AttributeType::USE_CANDIDATE).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn header(message_type: u16, length: u16) -> Vec<u8> {
        let mut bytes = vec![];
        bytes.extend(message_type.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(MAGIC_COOKIE.to_be_bytes());
        bytes.extend([9; 12]);
        bytes
    }

    #[test]
    fn types_weave_class_and_method() {
        // RFC 8489 §5 gives 0x0001 and 0x0101; RFC 8656 §17 the indications.
        assert_eq!(message_type(Class::Request, Method::BINDING), 0x0001);
        assert_eq!(message_type(Class::SuccessResponse, Method::BINDING), 0x0101);
        assert_eq!(message_type(Class::Indication, Method::SEND), 0x0016);
        assert_eq!(message_type(Class::ErrorResponse, Method::ALLOCATE), 0x0113);
        for class in [
            Class::Request,
            Class::Indication,
            Class::SuccessResponse,
            Class::ErrorResponse,
        ] {
            for method in 0..0x1000 {
                let woven = message_type(class, Method(method));
                assert_eq!(
                    (woven & 0xc000, Class::from_type(woven), method_of(woven).0),
                    (0, class, method)
                );
            }
        }
    }

    #[test]
    fn the_header_is_checked() {
        let rule = |bytes: &[u8]| match Message::parse(bytes).unwrap_err() {
            Error::Rule { offset, .. } => offset,
            other => panic!("{other}"),
        };
        assert!(Message::parse(&header(1, 0)).is_ok());
        assert_eq!(rule(&header(0x4001, 0)), 0);
        assert_eq!(rule(&header(1, 2)), 2);
        let mut wrong_cookie = header(1, 0);
        wrong_cookie[7] ^= 1;
        assert_eq!(rule(&wrong_cookie), 4);
        assert_eq!(
            Message::parse(&header(1, 4)).unwrap_err(),
            Error::Short { offset: 20, needed: 4 }
        );
        let mut longer = header(1, 0);
        longer.push(0);
        assert_eq!(Message::parse(&longer).unwrap_err(), Error::Trailing { offset: 20 });
        for len in 0..20 {
            assert!(matches!(Message::parse(&header(1, 0)[..len]), Err(Error::Short { .. })));
        }
    }

    #[test]
    fn attributes_fill_the_message() {
        let mut bytes = header(1, 8);
        bytes.extend([0x80, 0x22, 0, 5, 1, 2, 3, 4]);
        assert_eq!(
            Message::parse(&bytes).unwrap_err(),
            Error::Short { offset: 24, needed: 5 }
        );
        // A value that fits, but not with its padding, cannot occur in a body of whole words.
        let mut bytes = header(1, 4);
        bytes.extend([0x80, 0x22, 0, 0]);
        assert_eq!(Message::parse(&bytes).unwrap().all_attributes().count(), 1);
    }

    #[test]
    fn nomination_is_a_number_of_32_bits_that_nobody_has_to_understand() {
        let with = |value: &[u8]| {
            let mut bytes = header(1, 4 + value.len().next_multiple_of(4) as u16);
            bytes.extend([0xc0, 0x01, 0, value.len() as u8]);
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let bytes = with(&[0x80, 0, 1, 2]);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.nomination(), Ok(Some(0x8000_0102)));
        assert!(std::string::ToString::to_string(&message).ends_with(" NOMINATION=2147483906"));
        for len in [0, 3, 5, 8] {
            let bytes = with(&[1; 8][..len]);
            let message = Message::parse(&bytes).unwrap();
            assert!(message.nomination().is_err(), "{len} bytes");
            assert_eq!(message.unknown_required().count(), 0);
        }
        assert_eq!(Message::parse(&header(1, 0)).unwrap().nomination(), Ok(None));
    }

    #[test]
    fn stun_is_told_from_its_neighbours() {
        assert!(is_stun(&header(1, 0)));
        assert!(is_stun(&header(0x0113, 0)));
        assert!(!is_stun(&header(1, 0)[..19]));
        let mut bytes = header(1, 0);
        bytes[0] = 4;
        assert!(!is_stun(&bytes));
        assert!(!is_stun(&[22; 60]));
    }
}
