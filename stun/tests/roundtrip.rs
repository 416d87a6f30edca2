//! What is built is read back the same; what is read never panics.

use proptest::collection::vec;
use proptest::prelude::*;
use std::net::SocketAddr;
use stun::{
    AddressFamily, AttributeType, Builder, Class, CrcList, ErrorCode, ErrorReason, IntegrityAlgorithm, Key, Message,
    Method, PasswordAlgorithm, PasswordAlgorithms, PasswordParameters, TransactionId, TypeList, Value,
};

/// An owned twin of `Value`, since strategies cannot lend.
#[derive(Debug, Clone)]
enum Owned {
    Address(u8, SocketAddr),
    Text(u8, String),
    Number(u8, u64),
    Bytes(u8, Vec<u8>),
    Error(bool, u16, String, u8),
    Types(Vec<u16>),
    Crcs(Vec<u32>),
    Passwords(bool, Vec<(u16, Vec<u8>)>),
    Other(u16, Vec<u8>),
}

fn owned() -> impl Strategy<Value = Owned> {
    prop_oneof![
        (0u8..5, any::<SocketAddr>()).prop_map(|(n, a)| Owned::Address(n, SocketAddr::new(a.ip(), a.port()))),
        (0u8..5, "\\PC{0,100}").prop_map(|(n, t)| Owned::Text(n, t)),
        (0u8..15, any::<u64>()).prop_map(|(n, v)| Owned::Number(n, v)),
        (0u8..4, vec(any::<u8>(), 32..100)).prop_map(|(n, b)| Owned::Bytes(n, b)),
        (any::<bool>(), 300u16..700, "\\PC{0,100}", any::<u8>()).prop_map(|(a, c, r, f)| Owned::Error(a, c, r, f)),
        vec(any::<u16>(), 0..10).prop_map(Owned::Types),
        vec(any::<u32>(), 0..=CrcList::MAX).prop_map(Owned::Crcs),
        (any::<bool>(), vec((any::<u16>(), vec(any::<u8>(), 0..9)), 1..4)).prop_map(|(l, e)| Owned::Passwords(l, e)),
        (any::<u16>(), vec(any::<u8>(), 0..20)).prop_map(|(k, b)| Owned::Other(k, b)),
    ]
}

/// Calls `with` with the value that an owned one stands for.
fn lend<R>(owned: &Owned, with: impl FnOnce(&Value<'_>) -> R) -> R {
    match owned {
        Owned::Address(n, a) => with(&match n {
            0 => Value::MappedAddress(*a),
            1 => Value::XorMappedAddress(*a),
            2 => Value::AlternateServer(*a),
            3 => Value::XorPeerAddress(*a),
            _ => Value::XorRelayedAddress(*a),
        }),
        Owned::Text(n, text) => with(&match n {
            0 => Value::Username(text),
            1 => Value::Realm(text),
            2 => Value::Nonce(text),
            3 => Value::Software(text),
            _ => Value::AlternateDomain("turn.example.org"),
        }),
        Owned::Number(n, v) => {
            let (low, mid, byte) = (*v as u32, *v as u16, *v as u8);
            with(&match n {
                0 => Value::ChannelNumber(mid),
                1 => Value::Lifetime(low),
                2 => Value::RequestedAddressFamily(AddressFamily(byte)),
                3 => Value::EvenPort {
                    reserve_next: v & 1 == 1,
                },
                4 => Value::RequestedTransport(byte),
                5 => Value::DontFragment,
                6 => Value::ReservationToken(v.to_be_bytes()),
                7 => Value::AdditionalAddressFamily(AddressFamily(byte)),
                8 => Value::Icmp {
                    kind: byte & 0x7f,
                    code: mid & 0x1ff,
                    data: low,
                },
                9 => Value::Priority(low),
                10 => Value::UseCandidate,
                11 => Value::IceControlled(*v),
                12 => Value::IceControlling(*v),
                13 => Value::Nomination(low),
                _ => Value::GoogNetworkInfo {
                    network_id: mid,
                    cost: (v >> 16) as u16,
                },
            })
        }
        Owned::Bytes(n, bytes) => with(&match n {
            0 => Value::UserHash(bytes.first_chunk().unwrap()),
            1 => Value::MetaDtlsInStun(bytes),
            _ => Value::Data(bytes),
        }),
        Owned::Error(in_address, code, reason, family) => {
            let error = ErrorReason {
                code: ErrorCode(*code),
                reason,
            };
            with(&if *in_address {
                Value::AddressErrorCode {
                    family: AddressFamily(*family),
                    error,
                }
            } else {
                Value::ErrorCode(error)
            })
        }
        Owned::Types(types) => {
            let types: Vec<_> = types.iter().copied().map(AttributeType).collect();
            with(&Value::UnknownAttributes(TypeList::new(&types)))
        }
        Owned::Crcs(crcs) => with(&Value::MetaDtlsInStunAcknowledgement(CrcList::new(crcs))),
        Owned::Passwords(list, entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(algorithm, parameters)| PasswordParameters {
                    algorithm: PasswordAlgorithm(*algorithm),
                    parameters,
                })
                .collect();
            with(&if *list {
                Value::PasswordAlgorithms(PasswordAlgorithms::new(&entries))
            } else {
                Value::PasswordAlgorithm(entries[0])
            })
        }
        Owned::Other(kind, bytes) => {
            // Not the ones that have a form of their own, nor those that are computed.
            let kind = AttributeType(*kind);
            let kind = if Value::understands(kind) {
                AttributeType(0x7abc)
            } else {
                kind
            };
            with(&Value::Other(kind, bytes))
        }
    }
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![
        Just(Class::Request),
        Just(Class::Indication),
        Just(Class::SuccessResponse),
        Just(Class::ErrorResponse)
    ]
}

proptest! {
    #[test]
    fn what_is_built_is_read(
        class in class(),
        method in 0u16..0x1000,
        id: [u8; 12],
        values in vec(owned(), 0..8),
        password in "[a-zA-Z0-9+/]{22,80}",
        sha256: bool,
    ) {
        let key = Key::short_term(&password);
        let mut out = [0xff; 4096];
        let mut b = Builder::new(&mut out, class, Method(method), TransactionId(id)).unwrap();
        for value in &values {
            lend(value, |value| b.push(value)).unwrap();
        }
        let algorithm = if sha256 { IntegrityAlgorithm::Sha256 } else { IntegrityAlgorithm::Sha1 };
        b.integrity_like(algorithm, &key).unwrap();
        b.fingerprint().unwrap();
        let bytes = b.finish().to_vec();

        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!((message.class(), message.method()), (class, Method(method)));
        prop_assert_eq!(message.transaction_id(), TransactionId(id));
        prop_assert_eq!(message.verify_fingerprint(), Ok(()));
        prop_assert_eq!(message.verify_integrity(&key).unwrap().algorithm(), algorithm);
        prop_assert_eq!(message.attributes().count(), values.len() + 2);
        for (attribute, value) in message.attributes().zip(&values) {
            let decoded = attribute.decode().unwrap();
            prop_assert!(lend(value, |value| *value == decoded), "{:?} {:?}", value, decoded);
            prop_assert_eq!(decoded.kind(), attribute.kind());
        }
        prop_assert!(!message.to_string().contains('\n'));
        prop_assert_eq!(message.dump().to_string().lines().count(), 4 + values.len() + 2);
    }

    #[test]
    fn anything_may_be_parsed(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::parse(&bytes) {
            let _ = message.to_string();
        }
    }

    /// A legal header and frame around anything.
    #[test]
    fn any_attributes_may_be_decoded(attributes in vec((0usize..60, vec(any::<u8>(), 0..40)), 0..8)) {
        let kinds: Vec<_> = (0..=u16::MAX).map(AttributeType).filter(|kind| kind.name().is_some()).collect();
        let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([7; 12]);
        for (kind, value) in &attributes {
            bytes.extend(kinds.get(*kind).map_or(0x7abc, |kind| kind.0).to_be_bytes());
            bytes.extend((value.len() as u16).to_be_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.all_attributes().count(), attributes.len());
        for attribute in message.all_attributes() {
            let understood = attribute.decode().map(|value| !matches!(value, Value::Other(..)));
            prop_assert!(understood.is_err() || understood == Ok(Value::understands(attribute.kind())));
        }
        let key = Key::short_term("password");
        prop_assert!(message.verify_integrity_truncated(&key, 0).is_err());
        let _ = (message.verify_fingerprint(), message.dump().to_string(), message.to_string());
    }
}
