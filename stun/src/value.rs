use crate::attribute::Attribute;
use crate::message::{MAGIC_COOKIE, TransactionId};
use crate::password::{PasswordAlgorithms, PasswordParameters};
use crate::registry::{AddressFamily, AttributeType, ErrorCode};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wire::{Error, Full, Reader, Writer};

/// Longest text in bytes that is accepted (RFC 8489 §14.3, §14.8 to §14.10, §14.14).
const MAX_TEXT_DECODED: usize = 763;
/// Longest text in bytes that is written: "as long as 509 bytes when encoding".
const MAX_TEXT_ENCODED: usize = 509;

/// The decoded value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// RFC 8489 §14.1.
    MappedAddress(SocketAddr),
    /// RFC 8489 §14.2, without the XOR.
    XorMappedAddress(SocketAddr),
    /// RFC 8489 §14.3.
    Username(&'a str),
    /// RFC 8489 §14.4; see [`userhash`](crate::userhash).
    UserHash(&'a [u8; 32]),
    /// RFC 8489 §14.5. Written by [`Builder::integrity`](crate::Builder::integrity).
    MessageIntegrity(&'a [u8; 20]),
    /// RFC 8489 §14.6: 16 to 32 bytes. Written by [`Builder::integrity_sha256`](crate::Builder::integrity_sha256).
    MessageIntegritySha256(&'a [u8]),
    /// RFC 8489 §14.7, as it is on the wire. Written by [`Builder::fingerprint`](crate::Builder::fingerprint).
    Fingerprint(u32),
    /// RFC 8489 §14.8.
    ErrorCode(ErrorReason<'a>),
    /// RFC 8489 §14.9.
    Realm(&'a str),
    /// RFC 8489 §14.10.
    Nonce(&'a str),
    /// RFC 8489 §14.11.
    PasswordAlgorithms(PasswordAlgorithms<'a>),
    /// RFC 8489 §14.12.
    PasswordAlgorithm(PasswordParameters<'a>),
    /// RFC 8489 §14.13.
    UnknownAttributes(TypeList<'a>),
    /// RFC 8489 §14.14.
    Software(&'a str),
    /// RFC 8489 §14.15.
    AlternateServer(SocketAddr),
    /// RFC 8489 §14.16.
    AlternateDomain(&'a str),
    /// RFC 8656 §18.1.
    ChannelNumber(u16),
    /// RFC 8656 §18.2, in seconds.
    Lifetime(u32),
    /// RFC 8656 §18.3.
    XorPeerAddress(SocketAddr),
    /// RFC 8656 §18.4.
    Data(&'a [u8]),
    /// RFC 8656 §18.5.
    XorRelayedAddress(SocketAddr),
    /// RFC 8656 §18.6.
    RequestedAddressFamily(AddressFamily),
    /// RFC 8656 §18.7.
    EvenPort {
        /// Whether the next higher port is to be reserved.
        reserve_next: bool,
    },
    /// RFC 8656 §18.8: an IP protocol number; 17 is UDP, and 6 TCP (RFC 6062).
    RequestedTransport(u8),
    /// RFC 8656 §18.9.
    DontFragment,
    /// RFC 8656 §18.10.
    ReservationToken([u8; 8]),
    /// RFC 8656 §18.11.
    AdditionalAddressFamily(AddressFamily),
    /// RFC 8656 §18.12.
    AddressErrorCode {
        /// The family that could not be had.
        family: AddressFamily,
        /// Why.
        error: ErrorReason<'a>,
    },
    /// RFC 8656 §18.13.
    Icmp {
        /// 7 bits.
        kind: u8,
        /// 9 bits.
        code: u16,
        /// The next hop's MTU where the type says so, else 0.
        data: u32,
    },
    /// RFC 8445 §16.1.
    Priority(u32),
    /// RFC 8445 §16.1.
    UseCandidate,
    /// RFC 8445 §16.1: the tiebreaker.
    IceControlled(u64),
    /// RFC 8445 §16.1: the tiebreaker.
    IceControlling(u64),
    /// draft-thatcher-ice-renomination: of several nominations the one with the highest number counts.
    Nomination(u32),
    /// Chromium's network of the sender.
    GoogNetworkInfo {
        /// Number of the network.
        network_id: u16,
        /// What it costs, 0 to 999.
        cost: u16,
    },
    /// draft-hancke-webrtc-sped, META-DTLS-IN-STUN: a DTLS datagram, or nothing while none waits. Which bytes are DTLS
    /// is not looked at here.
    MetaDtlsInStun(&'a [u8]),
    /// draft-hancke-webrtc-sped, META-DTLS-IN-STUN-ACKNOWLEDGEMENT.
    MetaDtlsInStunAcknowledgement(CrcList<'a>),
    /// Any other attribute, as it is.
    Other(AttributeType, &'a [u8]),
}

/// An error code with its reason phrase (RFC 8489 §14.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorReason<'a> {
    /// 300 to 699.
    pub code: ErrorCode,
    /// For people.
    pub reason: &'a str,
}

impl ErrorReason<'static> {
    /// A code with its registered phrase, or with none.
    pub fn registered(code: ErrorCode) -> Self {
        Self {
            code,
            reason: code.name().unwrap_or_default(),
        }
    }
}

impl<'a> ErrorReason<'a> {
    /// Class and number, after 21 reserved bits of which the caller has read what it uses.
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let class = u16::from(r.u8()? & 0x07);
        r.ensure(matches!(class, 3..=6), "the class of an error code is 3 to 6")?;
        let number = u16::from(r.u8()?);
        r.ensure(number <= 99, "the number of an error code is 0 to 99")?;
        // At most 6 * 100 + 99.
        let code = ErrorCode(class.saturating_mul(100).saturating_add(number));
        Ok(Self { code, reason: text(r)? })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        // The caller has checked the range, so both fit.
        w.u8(u8::try_from(self.code.0 / 100).unwrap_or_default())?;
        w.u8(u8::try_from(self.code.0 % 100).unwrap_or_default())?;
        w.put(self.reason.as_bytes())
    }
}

/// The attribute types in UNKNOWN-ATTRIBUTES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeList<'a>(TypeListForm<'a>);

#[derive(Debug, Clone, Copy)]
enum TypeListForm<'a> {
    Wire(&'a [u8]),
    Types(&'a [AttributeType]),
}

impl PartialEq for TypeListForm<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for TypeListForm<'_> {}

impl<'a> TypeListForm<'a> {
    fn iter(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        let (wire, types): (&[u8], &[AttributeType]) = match self {
            Self::Wire(bytes) => (bytes, &[]),
            Self::Types(types) => (&[], types),
        };
        let (pairs, _) = wire.as_chunks::<2>();
        pairs
            .iter()
            .map(|&pair| AttributeType(u16::from_be_bytes(pair)))
            .chain(types.iter().copied())
    }
}

impl<'a> TypeList<'a> {
    /// A list to be written.
    pub const fn new(types: &'a [AttributeType]) -> Self {
        Self(TypeListForm::Types(types))
    }

    /// The types, in order.
    pub fn iter(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        self.0.iter()
    }
}

/// The CRC-32s in META-DTLS-IN-STUN-ACKNOWLEDGEMENT, one of each datagram whose receipt is acknowledged, in any order: 4
/// at most (draft-hancke-webrtc-sped).
#[derive(Debug, Clone, Copy)]
pub struct CrcList<'a>(CrcListForm<'a>);

#[derive(Debug, Clone, Copy)]
enum CrcListForm<'a> {
    Wire(&'a [[u8; 4]]),
    Crcs(&'a [u32]),
}

impl PartialEq for CrcList<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for CrcList<'_> {}

impl<'a> CrcList<'a> {
    /// Most CRC-32s that one attribute has.
    pub const MAX: usize = 4;

    /// A list to be written.
    pub const fn new(crcs: &'a [u32]) -> Self {
        Self(CrcListForm::Crcs(crcs))
    }

    /// The CRC-32s, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (wire, crcs): (&[[u8; 4]], &[u32]) = match self.0 {
            CrcListForm::Wire(words) => (words, &[]),
            CrcListForm::Crcs(crcs) => (&[], crcs),
        };
        wire.iter()
            .map(|&word| u32::from_be_bytes(word))
            .chain(crcs.iter().copied())
    }

    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        const RULE: &str = "META-DTLS-IN-STUN-ACKNOWLEDGEMENT has at most four words of 4 bytes";
        let at = *r;
        let (words, rest) = r.all().as_chunks::<4>();
        at.ensure(rest.is_empty() && words.len() <= Self::MAX, RULE)?;
        Ok(Self(CrcListForm::Wire(words)))
    }
}

impl<'a> Attribute<'a> {
    /// Decodes the value and checks its rules. Reserved bits are ignored, as the RFCs say.
    ///
    /// # Errors
    /// The rule that the value breaks, and where in the message.
    pub fn decode(&self) -> Result<Value<'a>, Error> {
        let mut r = self.reader();
        let value = self.decode_from(&mut r)?;
        r.finish()?;
        Ok(value)
    }

    fn decode_from(&self, r: &mut Reader<'a>) -> Result<Value<'a>, Error> {
        let mask = Mask::new(self.transaction_id());
        Ok(match self.kind() {
            AttributeType::MAPPED_ADDRESS => Value::MappedAddress(address(r, &Mask::NONE)?),
            AttributeType::XOR_MAPPED_ADDRESS => Value::XorMappedAddress(address(r, &mask)?),
            AttributeType::USERNAME => Value::Username(text(r)?),
            AttributeType::USERHASH => Value::UserHash(exactly(r, "USERHASH has 32 bytes")?),
            AttributeType::MESSAGE_INTEGRITY => Value::MessageIntegrity(exactly(r, "MESSAGE-INTEGRITY has 20 bytes")?),
            AttributeType::MESSAGE_INTEGRITY_SHA256 => {
                let len = r.remaining();
                r.ensure(
                    (16..=32).contains(&len) && len & 3 == 0,
                    "MESSAGE-INTEGRITY-SHA256 has 16 to 32 bytes, a multiple of 4",
                )?;
                Value::MessageIntegritySha256(r.all())
            }
            AttributeType::FINGERPRINT => Value::Fingerprint(r.u32()?),
            AttributeType::ERROR_CODE => {
                r.skip(2)?;
                Value::ErrorCode(ErrorReason::read(r)?)
            }
            AttributeType::REALM => Value::Realm(text(r)?),
            AttributeType::NONCE => Value::Nonce(text(r)?),
            AttributeType::PASSWORD_ALGORITHMS => Value::PasswordAlgorithms(PasswordAlgorithms::read(r)?),
            AttributeType::PASSWORD_ALGORITHM => Value::PasswordAlgorithm(PasswordParameters::read(r)?),
            AttributeType::UNKNOWN_ATTRIBUTES => {
                r.ensure(r.remaining() & 1 == 0, "UNKNOWN-ATTRIBUTES lists types of 2 bytes")?;
                Value::UnknownAttributes(TypeList(TypeListForm::Wire(r.all())))
            }
            AttributeType::SOFTWARE => Value::Software(text(r)?),
            AttributeType::ALTERNATE_SERVER => Value::AlternateServer(address(r, &Mask::NONE)?),
            AttributeType::ALTERNATE_DOMAIN => Value::AlternateDomain(domain(r)?),
            AttributeType::CHANNEL_NUMBER => {
                let number = r.u16()?;
                r.skip(2)?;
                Value::ChannelNumber(number)
            }
            AttributeType::LIFETIME => Value::Lifetime(r.u32()?),
            AttributeType::XOR_PEER_ADDRESS => Value::XorPeerAddress(address(r, &mask)?),
            AttributeType::DATA => Value::Data(r.all()),
            AttributeType::XOR_RELAYED_ADDRESS => Value::XorRelayedAddress(address(r, &mask)?),
            AttributeType::REQUESTED_ADDRESS_FAMILY => Value::RequestedAddressFamily(family(r)?),
            AttributeType::EVEN_PORT => Value::EvenPort {
                reserve_next: r.u8()? & 0x80 != 0,
            },
            AttributeType::REQUESTED_TRANSPORT => {
                let protocol = r.u8()?;
                r.skip(3)?;
                Value::RequestedTransport(protocol)
            }
            AttributeType::DONT_FRAGMENT => Value::DontFragment,
            AttributeType::RESERVATION_TOKEN => Value::ReservationToken(r.take_array()?),
            AttributeType::ADDITIONAL_ADDRESS_FAMILY => Value::AdditionalAddressFamily(family(r)?),
            AttributeType::ADDRESS_ERROR_CODE => {
                let family = AddressFamily(r.u8()?);
                r.skip(1)?;
                Value::AddressErrorCode {
                    family,
                    error: ErrorReason::read(r)?,
                }
            }
            AttributeType::ICMP => {
                r.skip(2)?;
                let [high, low] = r.u16()?.to_be_bytes();
                Value::Icmp {
                    kind: high >> 1,
                    code: u16::from_be_bytes([high & 1, low]),
                    data: r.u32()?,
                }
            }
            AttributeType::PRIORITY => Value::Priority(r.u32()?),
            AttributeType::USE_CANDIDATE => Value::UseCandidate,
            AttributeType::ICE_CONTROLLED => Value::IceControlled(r.u64()?),
            AttributeType::ICE_CONTROLLING => Value::IceControlling(r.u64()?),
            AttributeType::NOMINATION => Value::Nomination(r.u32()?),
            AttributeType::GOOG_NETWORK_INFO => Value::GoogNetworkInfo {
                network_id: r.u16()?,
                cost: r.u16()?,
            },
            AttributeType::META_DTLS_IN_STUN => Value::MetaDtlsInStun(r.all()),
            AttributeType::META_DTLS_IN_STUN_ACKNOWLEDGEMENT => Value::MetaDtlsInStunAcknowledgement(CrcList::read(r)?),
            kind => Value::Other(kind, r.all()),
        })
    }
}

impl Value<'_> {
    /// The attribute's type.
    pub const fn kind(&self) -> AttributeType {
        match self {
            Self::MappedAddress(_) => AttributeType::MAPPED_ADDRESS,
            Self::XorMappedAddress(_) => AttributeType::XOR_MAPPED_ADDRESS,
            Self::Username(_) => AttributeType::USERNAME,
            Self::UserHash(_) => AttributeType::USERHASH,
            Self::MessageIntegrity(_) => AttributeType::MESSAGE_INTEGRITY,
            Self::MessageIntegritySha256(_) => AttributeType::MESSAGE_INTEGRITY_SHA256,
            Self::Fingerprint(_) => AttributeType::FINGERPRINT,
            Self::ErrorCode(_) => AttributeType::ERROR_CODE,
            Self::Realm(_) => AttributeType::REALM,
            Self::Nonce(_) => AttributeType::NONCE,
            Self::PasswordAlgorithms(_) => AttributeType::PASSWORD_ALGORITHMS,
            Self::PasswordAlgorithm(_) => AttributeType::PASSWORD_ALGORITHM,
            Self::UnknownAttributes(_) => AttributeType::UNKNOWN_ATTRIBUTES,
            Self::Software(_) => AttributeType::SOFTWARE,
            Self::AlternateServer(_) => AttributeType::ALTERNATE_SERVER,
            Self::AlternateDomain(_) => AttributeType::ALTERNATE_DOMAIN,
            Self::ChannelNumber(_) => AttributeType::CHANNEL_NUMBER,
            Self::Lifetime(_) => AttributeType::LIFETIME,
            Self::XorPeerAddress(_) => AttributeType::XOR_PEER_ADDRESS,
            Self::Data(_) => AttributeType::DATA,
            Self::XorRelayedAddress(_) => AttributeType::XOR_RELAYED_ADDRESS,
            Self::RequestedAddressFamily(_) => AttributeType::REQUESTED_ADDRESS_FAMILY,
            Self::EvenPort { .. } => AttributeType::EVEN_PORT,
            Self::RequestedTransport(_) => AttributeType::REQUESTED_TRANSPORT,
            Self::DontFragment => AttributeType::DONT_FRAGMENT,
            Self::ReservationToken(_) => AttributeType::RESERVATION_TOKEN,
            Self::AdditionalAddressFamily(_) => AttributeType::ADDITIONAL_ADDRESS_FAMILY,
            Self::AddressErrorCode { .. } => AttributeType::ADDRESS_ERROR_CODE,
            Self::Icmp { .. } => AttributeType::ICMP,
            Self::Priority(_) => AttributeType::PRIORITY,
            Self::UseCandidate => AttributeType::USE_CANDIDATE,
            Self::IceControlled(_) => AttributeType::ICE_CONTROLLED,
            Self::IceControlling(_) => AttributeType::ICE_CONTROLLING,
            Self::Nomination(_) => AttributeType::NOMINATION,
            Self::GoogNetworkInfo { .. } => AttributeType::GOOG_NETWORK_INFO,
            Self::MetaDtlsInStun(_) => AttributeType::META_DTLS_IN_STUN,
            Self::MetaDtlsInStunAcknowledgement(_) => AttributeType::META_DTLS_IN_STUN_ACKNOWLEDGEMENT,
            Self::Other(kind, _) => *kind,
        }
    }

    /// Whether attributes of a type are decoded to something else than [`Value::Other`].
    pub const fn understands(kind: AttributeType) -> bool {
        matches!(
            kind,
            AttributeType::MAPPED_ADDRESS
                | AttributeType::XOR_MAPPED_ADDRESS
                | AttributeType::USERNAME
                | AttributeType::USERHASH
                | AttributeType::MESSAGE_INTEGRITY
                | AttributeType::MESSAGE_INTEGRITY_SHA256
                | AttributeType::FINGERPRINT
                | AttributeType::ERROR_CODE
                | AttributeType::REALM
                | AttributeType::NONCE
                | AttributeType::PASSWORD_ALGORITHMS
                | AttributeType::PASSWORD_ALGORITHM
                | AttributeType::UNKNOWN_ATTRIBUTES
                | AttributeType::SOFTWARE
                | AttributeType::ALTERNATE_SERVER
                | AttributeType::ALTERNATE_DOMAIN
                | AttributeType::CHANNEL_NUMBER
                | AttributeType::LIFETIME
                | AttributeType::XOR_PEER_ADDRESS
                | AttributeType::DATA
                | AttributeType::XOR_RELAYED_ADDRESS
                | AttributeType::REQUESTED_ADDRESS_FAMILY
                | AttributeType::EVEN_PORT
                | AttributeType::REQUESTED_TRANSPORT
                | AttributeType::DONT_FRAGMENT
                | AttributeType::RESERVATION_TOKEN
                | AttributeType::ADDITIONAL_ADDRESS_FAMILY
                | AttributeType::ADDRESS_ERROR_CODE
                | AttributeType::ICMP
                | AttributeType::PRIORITY
                | AttributeType::USE_CANDIDATE
                | AttributeType::ICE_CONTROLLED
                | AttributeType::ICE_CONTROLLING
                | AttributeType::NOMINATION
                | AttributeType::GOOG_NETWORK_INFO
                | AttributeType::META_DTLS_IN_STUN
                | AttributeType::META_DTLS_IN_STUN_ACKNOWLEDGEMENT
        )
    }

    /// The rule that forbids this value to be written, if any.
    pub(crate) fn broken_rule(&self) -> Option<&'static str> {
        let text_rule = |text: &str| {
            (text.len() > MAX_TEXT_ENCODED || text.chars().count() >= 128)
                .then_some("a text has fewer than 128 characters and at most 509 bytes")
        };
        let error_rule = |error: &ErrorReason<'_>| {
            (!(300..=699).contains(&error.code.0))
                .then_some("an error code is 300 to 699")
                .or_else(|| text_rule(error.reason))
        };
        match self {
            Self::Username(name) => (name.len() >= MAX_TEXT_ENCODED).then_some("USERNAME has fewer than 509 bytes"),
            Self::Realm(text) | Self::Nonce(text) | Self::Software(text) => text_rule(text),
            Self::AlternateDomain(name) => {
                (name.len() > 255 || !name.is_ascii()).then_some("ALTERNATE-DOMAIN has at most 255 ASCII characters")
            }
            Self::ErrorCode(error) | Self::AddressErrorCode { error, .. } => error_rule(error),
            Self::Icmp { kind, code, .. } => {
                (*kind > 0x7f || *code > 0x1ff).then_some("an ICMP type has 7 bits and a code 9")
            }
            Self::MetaDtlsInStunAcknowledgement(list) => (list.iter().count() > CrcList::MAX)
                .then_some("META-DTLS-IN-STUN-ACKNOWLEDGEMENT has at most four CRC-32s"),
            Self::MessageIntegrity(_) | Self::MessageIntegritySha256(_) | Self::Fingerprint(_) => {
                Some("integrity and fingerprint are computed, not given")
            }
            _ => None,
        }
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>, transaction_id: TransactionId) -> Result<(), Full> {
        let mask = Mask::new(transaction_id);
        match self {
            Self::MappedAddress(a) | Self::AlternateServer(a) => put_address(w, a, &Mask::NONE),
            Self::XorMappedAddress(a) | Self::XorPeerAddress(a) | Self::XorRelayedAddress(a) => {
                put_address(w, a, &mask)
            }
            Self::Username(text)
            | Self::Realm(text)
            | Self::Nonce(text)
            | Self::Software(text)
            | Self::AlternateDomain(text) => w.put(text.as_bytes()),
            Self::UserHash(hash) => w.put(*hash),
            Self::MessageIntegrity(tag) => w.put(*tag),
            Self::MessageIntegritySha256(bytes)
            | Self::Data(bytes)
            | Self::MetaDtlsInStun(bytes)
            | Self::Other(_, bytes) => w.put(bytes),
            Self::MetaDtlsInStunAcknowledgement(list) => list.iter().try_for_each(|crc| w.u32(crc)),
            Self::Fingerprint(value) | Self::Lifetime(value) | Self::Priority(value) | Self::Nomination(value) => {
                w.u32(*value)
            }
            Self::ErrorCode(error) => {
                w.u16(0)?;
                error.write(w)
            }
            Self::PasswordAlgorithms(list) => list.write(w),
            Self::PasswordAlgorithm(parameters) => parameters.write(w),
            Self::UnknownAttributes(list) => list.iter().try_for_each(|kind| w.u16(kind.0)),
            Self::ChannelNumber(number) => {
                w.u16(*number)?;
                w.u16(0)
            }
            Self::RequestedAddressFamily(family) | Self::AdditionalAddressFamily(family) => {
                w.u8(family.0)?;
                w.zeros(3)
            }
            Self::EvenPort { reserve_next } => w.u8(if *reserve_next { 0x80 } else { 0 }),
            Self::RequestedTransport(protocol) => {
                w.u8(*protocol)?;
                w.zeros(3)
            }
            Self::DontFragment | Self::UseCandidate => Ok(()),
            Self::ReservationToken(token) => w.put(token),
            Self::AddressErrorCode { family, error } => {
                w.u8(family.0)?;
                w.u8(0)?;
                error.write(w)
            }
            Self::Icmp { kind, code, data } => {
                let [high, low] = code.to_be_bytes();
                w.u16(0)?;
                w.put(&[(kind << 1) | (high & 1), low])?;
                w.u32(*data)
            }
            Self::IceControlled(tiebreaker) | Self::IceControlling(tiebreaker) => w.u64(*tiebreaker),
            Self::GoogNetworkInfo { network_id, cost } => {
                w.u16(*network_id)?;
                w.u16(*cost)
            }
        }
    }
}

/// What an address is XORed with: magic cookie and transaction id (RFC 8489 §14.2), or nothing.
struct Mask([u8; 16]);

impl Mask {
    const NONE: Self = Self([0; 16]);

    const fn new(transaction_id: TransactionId) -> Self {
        let [a, b, c, d] = MAGIC_COOKIE.to_be_bytes();
        let [e, f, g, h, i, j, k, l, m, n, o, p] = transaction_id.0;
        Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    fn apply(&self, address: &SocketAddr) -> SocketAddr {
        let [a, b, c, d, ..] = self.0;
        let ip = match address.ip() {
            IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from(u32::from(ip) ^ u32::from_be_bytes([a, b, c, d]))),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) ^ u128::from_be_bytes(self.0))),
        };
        SocketAddr::new(ip, address.port() ^ u16::from_be_bytes([a, b]))
    }
}

fn address(r: &mut Reader<'_>, mask: &Mask) -> Result<SocketAddr, Error> {
    r.skip(1)?;
    let family = AddressFamily(r.u8()?);
    let port = r.u16()?;
    let ip = match family {
        AddressFamily::IPV4 => IpAddr::from(r.take_array::<4>()?),
        AddressFamily::IPV6 => IpAddr::from(r.take_array::<16>()?),
        _ => return Err(r.broken("an address family is 1 (IPv4) or 2 (IPv6)")),
    };
    Ok(mask.apply(&SocketAddr::new(ip, port)))
}

fn put_address(w: &mut Writer<'_>, address: &SocketAddr, mask: &Mask) -> Result<(), Full> {
    let masked = mask.apply(address);
    w.u8(0)?;
    match masked.ip() {
        IpAddr::V4(ip) => {
            w.u8(AddressFamily::IPV4.0)?;
            w.u16(masked.port())?;
            w.put(&ip.octets())
        }
        IpAddr::V6(ip) => {
            w.u8(AddressFamily::IPV6.0)?;
            w.u16(masked.port())?;
            w.put(&ip.octets())
        }
    }
}

fn family(r: &mut Reader<'_>) -> Result<AddressFamily, Error> {
    let family = AddressFamily(r.u8()?);
    r.skip(3)?;
    Ok(family)
}

fn text<'a>(r: &mut Reader<'a>) -> Result<&'a str, Error> {
    r.ensure(r.remaining() <= MAX_TEXT_DECODED, "a text has at most 763 bytes")?;
    let at = *r;
    core::str::from_utf8(r.all()).map_err(|_| at.broken("a text is UTF-8"))
}

fn domain<'a>(r: &mut Reader<'a>) -> Result<&'a str, Error> {
    let at = *r;
    let name = text(r)?;
    at.ensure(
        name.len() <= 255 && name.is_ascii(),
        "ALTERNATE-DOMAIN has at most 255 ASCII characters",
    )?;
    Ok(name)
}

fn exactly<'a, const N: usize>(r: &mut Reader<'a>, rule: &'static str) -> Result<&'a [u8; N], Error> {
    let at = *r;
    r.all().try_into().map_err(|_| at.broken(rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use std::vec::Vec;

    /// A check with one attribute.
    fn message(kind: AttributeType, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        bytes.extend([7; 12]);
        bytes.extend(kind.0.to_be_bytes());
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    #[test]
    fn acknowledgements_are_at_most_four_whole_words() {
        for len in 0..=24 {
            let bytes = message(AttributeType::META_DTLS_IN_STUN_ACKNOWLEDGEMENT, &[0xab; 24][..len]);
            let read = Message::parse(&bytes).unwrap().meta_dtls_in_stun_acknowledgement();
            match read {
                Ok(Some(list)) => {
                    assert!(len % 4 == 0 && len <= 16, "{len}");
                    assert_eq!(list.iter().collect::<Vec<_>>(), [0xabab_abab; 4][..len / 4]);
                }
                other => assert!(other.is_err() && (len % 4 > 0 || len > 16), "{len}"),
            }
        }
    }
}
