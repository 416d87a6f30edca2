use super::credentials::Account;
use std::net::SocketAddr;
use stun::{
    AddressFamily, AttributeType, IntegrityAlgorithm, Key, Message, PasswordAlgorithm, PasswordAlgorithms,
    PasswordParameters, TypeList, Value,
};

/// What PASSWORD-ALGORITHMS offers, the better one first (RFC 8489 §14.11).
pub(super) const OFFERED: [PasswordParameters<'static>; 2] = [
    PasswordParameters::plain(PasswordAlgorithm::SHA256),
    PasswordParameters::plain(PasswordAlgorithm::MD5),
];

/// ADDITIONAL-ADDRESS-FAMILY as coturn's clients still send it: under the number of a draft, which nobody has been
/// given since.
const ADDITIONAL_ADDRESS_FAMILY_OF_DRAFT: AttributeType = AttributeType(0x8032);

/// Unknown attributes that are told; a request with more is told of these.
const MAX_UNKNOWN: usize = 8;

/// Who sent a request, proven.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    pub(super) account: Account,
    pub(super) key: Key,
    pub(super) algorithm: PasswordAlgorithm,
    /// How answers are protected (RFC 8489 §9.2.4).
    pub(super) like: IntegrityAlgorithm,
}

/// A request or indication, its attributes read once. The first of a type counts (RFC 8489 §14).
#[derive(Debug, Default)]
pub(super) struct Attributes<'a> {
    pub(super) username: Option<&'a str>,
    pub(super) userhash: Option<&'a [u8; 32]>,
    pub(super) realm: Option<&'a str>,
    pub(super) nonce: Option<&'a str>,
    pub(super) algorithms: Option<PasswordAlgorithms<'a>>,
    pub(super) algorithm: Option<PasswordParameters<'a>>,
    pub(super) integrity: bool,
    pub(super) fingerprint: bool,
    pub(super) lifetime: Option<u32>,
    pub(super) transport: Option<u8>,
    pub(super) family: Option<AddressFamily>,
    pub(super) additional_family: Option<AddressFamily>,
    pub(super) even_port: Option<bool>,
    pub(super) dont_fragment: bool,
    pub(super) token: Option<[u8; 8]>,
    pub(super) channel: Option<u16>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) data: Option<&'a [u8]>,
    pub(super) connection: Option<u32>,
    /// One of them breaks its rule.
    pub(super) broken: bool,
    pub(super) unknown: Unknown,
}

/// The first attributes that have to be understood and are not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unknown {
    kinds: [AttributeType; MAX_UNKNOWN],
    len: usize,
}

impl Default for Unknown {
    fn default() -> Self {
        Self {
            kinds: [AttributeType(0); MAX_UNKNOWN],
            len: 0,
        }
    }
}

impl Unknown {
    pub(super) fn push(&mut self, kind: AttributeType) {
        if let Some(place) = self.kinds.get_mut(self.len) {
            *place = kind;
            self.len = self.len.saturating_add(1);
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn value(&self) -> Value<'_> {
        Value::UnknownAttributes(TypeList::new(self.kinds.get(..self.len).unwrap_or_default()))
    }
}

fn first<T>(place: &mut Option<T>, value: T) {
    place.get_or_insert(value);
}

impl<'a> Attributes<'a> {
    /// Reads them. `dont_fragment` says whether that attribute is understood (RFC 8656 §7.2).
    pub(super) fn read(message: &Message<'a>, dont_fragment: bool) -> Self {
        let mut read = Self::default();
        for attribute in message.attributes() {
            match attribute.decode() {
                Ok(Value::DontFragment) if !dont_fragment => read.unknown.push(attribute.kind()),
                Ok(value) => read.take(value),
                Err(_) => read.broken = true,
            }
        }
        read
    }

    fn take(&mut self, value: Value<'a>) {
        match value {
            Value::Username(name) => first(&mut self.username, name),
            Value::UserHash(hash) => first(&mut self.userhash, hash),
            Value::Realm(realm) => first(&mut self.realm, realm),
            Value::Nonce(nonce) => first(&mut self.nonce, nonce),
            Value::PasswordAlgorithms(list) => first(&mut self.algorithms, list),
            Value::PasswordAlgorithm(algorithm) => first(&mut self.algorithm, algorithm),
            Value::MessageIntegrity(_) | Value::MessageIntegritySha256(_) => self.integrity = true,
            Value::Fingerprint(_) => self.fingerprint = true,
            Value::Lifetime(seconds) => first(&mut self.lifetime, seconds),
            Value::RequestedTransport(protocol) => first(&mut self.transport, protocol),
            Value::RequestedAddressFamily(family) => first(&mut self.family, family),
            Value::AdditionalAddressFamily(family) => first(&mut self.additional_family, family),
            Value::EvenPort { reserve_next } => first(&mut self.even_port, reserve_next),
            Value::DontFragment => self.dont_fragment = true,
            Value::ReservationToken(token) => first(&mut self.token, token),
            Value::ChannelNumber(number) => first(&mut self.channel, number),
            Value::XorPeerAddress(peer) => first(&mut self.peer, peer),
            Value::Data(data) => first(&mut self.data, data),
            Value::Other(AttributeType::CONNECTION_ID, bytes) => match bytes.try_into() {
                Ok(id) => first(&mut self.connection, u32::from_be_bytes(id)),
                Err(_) => self.broken = true,
            },
            Value::Other(ADDITIONAL_ADDRESS_FAMILY_OF_DRAFT, &[family, _, _, _]) => {
                first(&mut self.additional_family, AddressFamily(family));
            }
            Value::Other(kind, _) if kind.is_comprehension_required() => self.unknown.push(kind),
            _ => {}
        }
    }
}

/// Every XOR-PEER-ADDRESS of a CreatePermission request; those that break their rule are told by
/// [`Attributes::broken`].
pub(super) fn peers<'a>(message: &Message<'a>) -> impl Iterator<Item = SocketAddr> + use<'a> {
    message.attributes().filter_map(|attribute| match attribute.decode() {
        Ok(Value::XorPeerAddress(peer)) => Some(peer),
        _ => None,
    })
}
