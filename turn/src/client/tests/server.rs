use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use stun::{
    AddressFamily, AttributeType, Builder, Class, ErrorCode, IntegrityAlgorithm, Key, Message, Method,
    PasswordAlgorithm, PasswordAlgorithms, PasswordParameters, SecurityFeatures, TransactionId, Value, userhash,
};

use crate::{ChannelData, ChannelNumber};

pub(crate) const REALM: &str = "example.org";
pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "pass";
pub(crate) const MAPPED: &str = "203.0.113.7:4000";
pub(crate) const RELAYED_IPV4: &str = "192.0.2.15:50000";
pub(crate) const RELAYED_IPV6: &str = "[2001:db8::15]:50000";

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What a request said, as far as tests ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) id: TransactionId,
    pub(crate) signed: bool,
    pub(crate) lifetime: Option<u32>,
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) channel: Option<u16>,
    pub(crate) bytes: Vec<u8>,
}

/// Data that the server was given to relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relayed {
    pub(crate) peer: SocketAddr,
    pub(crate) data: Vec<u8>,
    pub(crate) in_channel: bool,
}

/// A server that does as RFC 8656 says unless it is told otherwise.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) auth: bool,
    pub(crate) realm: &'static str,
    /// Offered in PASSWORD-ALGORITHMS; none are offered when empty.
    pub(crate) algorithms: Vec<PasswordAlgorithm>,
    pub(crate) anonymity: bool,
    pub(crate) nonce: u32,
    pub(crate) lifetime: u32,
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
    /// What dual allocations get instead of one of IPv6.
    pub(crate) no_ipv6: Option<ErrorCode>,
    pub(crate) forbidden: HashSet<IpAddr>,
    pub(crate) permissions: HashSet<IpAddr>,
    pub(crate) channels: HashMap<u16, SocketAddr>,
    pub(crate) connection: u32,
    /// Errors to be given for the next requests of a method.
    pub(crate) errors: VecDeque<(Method, ErrorCode)>,
    /// ALTERNATE-SERVER and ALTERNATE-DOMAIN for errors 300.
    pub(crate) alternates: Vec<SocketAddr>,
    pub(crate) domain: Option<&'static str>,
    /// Leaves integrity out of answers.
    pub(crate) no_integrity: bool,
    /// Uses a wrong key.
    pub(crate) wrong_key: bool,
    /// Leaves PASSWORD-ALGORITHMS out of challenges that announce it.
    pub(crate) strip_algorithms: bool,
    /// Leaves out of challenges all that RFC 8489 has brought.
    pub(crate) plain: bool,
    /// Protects answers with SHA-1 whatever was offered.
    pub(crate) sha1_only: bool,
    pub(crate) seen: Vec<Seen>,
    pub(crate) relayed: Vec<Relayed>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            auth: true,
            realm: REALM,
            algorithms: Vec::new(),
            anonymity: false,
            nonce: 1,
            lifetime: 600,
            ipv4: true,
            ipv6: true,
            no_ipv6: None,
            forbidden: HashSet::new(),
            permissions: HashSet::new(),
            channels: HashMap::new(),
            connection: 7,
            errors: VecDeque::new(),
            alternates: Vec::new(),
            domain: None,
            no_integrity: false,
            wrong_key: false,
            strip_algorithms: false,
            plain: false,
            sha1_only: false,
            seen: Vec::new(),
            relayed: Vec::new(),
        }
    }
}

impl Server {
    /// Takes one message; the answer, if there is one.
    pub(crate) fn handle(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if ChannelData::is(bytes) {
            let message = ChannelData::parse(bytes).unwrap();
            if let Some(&peer) = self.channels.get(&message.channel.get()) {
                self.relay(peer, message.data, true);
            }
            return None;
        }
        let message = Message::parse(bytes).unwrap();
        let peers = message.attributes().filter_map(|attribute| match attribute.decode() {
            Ok(Value::XorPeerAddress(peer)) => Some(peer),
            _ => None,
        });
        let peers: Vec<SocketAddr> = peers.collect();
        if message.class() == Class::Indication {
            assert_eq!(message.method(), Method::SEND);
            assert_eq!(message.unknown_required().count(), 0);
            if self.permissions.contains(&peers[0].ip()) {
                self.relay(peers[0], message.data().unwrap().unwrap(), false);
            }
            return None;
        }
        assert_eq!(message.class(), Class::Request);
        let signed = message.nonce().unwrap().is_some();
        self.seen.push(Seen {
            method: message.method(),
            id: message.transaction_id(),
            signed,
            lifetime: message.lifetime().unwrap(),
            peers: peers.clone(),
            channel: message.channel_number().unwrap(),
            bytes: bytes.to_vec(),
        });
        if self.auth && !signed {
            return Some(self.challenge(&message, ErrorCode::UNAUTHENTICATED));
        }
        if self.auth && !self.accepts(&message) {
            return Some(self.challenge(&message, ErrorCode::UNAUTHENTICATED));
        }
        if self.auth && message.nonce().unwrap() != Some(&self.nonce()) {
            return Some(self.challenge(&message, ErrorCode::STALE_NONCE));
        }
        let at = self.errors.iter().position(|(method, _)| *method == message.method());
        if let Some((_, error)) = at.and_then(|at| self.errors.remove(at)) {
            if error == ErrorCode::UNAUTHENTICATED || error == ErrorCode::STALE_NONCE {
                return Some(self.challenge(&message, error));
            }
            return Some(self.error(&message, error));
        }
        Some(self.grant(&message, &peers))
    }

    fn relay(&mut self, peer: SocketAddr, data: &[u8], in_channel: bool) {
        self.relayed.push(Relayed {
            peer,
            data: data.to_vec(),
            in_channel,
        });
    }

    fn grant(&mut self, message: &Message<'_>, peers: &[SocketAddr]) -> Vec<u8> {
        if peers.iter().any(|peer| self.forbidden.contains(&peer.ip())) {
            return self.error(message, ErrorCode::FORBIDDEN);
        }
        match message.method() {
            Method::ALLOCATE => {
                let has = |kind| message.attribute(kind).is_some();
                assert!(has(AttributeType::REQUESTED_TRANSPORT));
                let only_ipv6 = has(AttributeType::REQUESTED_ADDRESS_FAMILY);
                let dual = has(AttributeType::ADDITIONAL_ADDRESS_FAMILY);
                let (ipv4, ipv6) = (self.ipv4 && !only_ipv6, self.ipv6 && (only_ipv6 || dual));
                let no_ipv6 = self.no_ipv6;
                let lifetime = self.lifetime;
                self.success(message, |b| {
                    if ipv4 {
                        b.push(&Value::XorRelayedAddress(address(RELAYED_IPV4))).unwrap();
                    }
                    match no_ipv6 {
                        Some(code) => b
                            .push(&Value::AddressErrorCode {
                                family: AddressFamily::IPV6,
                                error: stun::ErrorReason::registered(code),
                            })
                            .unwrap(),
                        None if ipv6 => b.push(&Value::XorRelayedAddress(address(RELAYED_IPV6))).unwrap(),
                        None => {}
                    }
                    b.push(&Value::Lifetime(lifetime)).unwrap();
                    b.push(&Value::XorMappedAddress(address(MAPPED))).unwrap();
                })
            }
            Method::REFRESH => {
                let lifetime = message.lifetime().unwrap().filter(|&seconds| seconds == 0);
                let lifetime = lifetime.unwrap_or(self.lifetime);
                self.success(message, |b| b.push(&Value::Lifetime(lifetime)).unwrap())
            }
            Method::CREATE_PERMISSION => {
                self.permissions.extend(peers.iter().map(SocketAddr::ip));
                self.success(message, |_| {})
            }
            Method::CHANNEL_BIND => {
                let number = message.channel_number().unwrap().unwrap();
                assert!(ChannelNumber::new(number).is_some());
                let known = self.channels.insert(number, peers[0]);
                assert!(
                    known.is_none_or(|known| known == peers[0]),
                    "{number:#x} is bound otherwise"
                );
                let numbers = self.channels.values().filter(|&&peer| peer == peers[0]).count();
                assert_eq!(numbers, 1, "{} has two channels", peers[0]);
                self.permissions.insert(peers[0].ip());
                self.success(message, |_| {})
            }
            Method::CONNECT | Method::CONNECTION_BIND => {
                let id = self.connection.to_be_bytes();
                self.success(message, |b| {
                    b.push(&Value::Other(AttributeType::CONNECTION_ID, &id)).unwrap();
                })
            }
            method => panic!("{method:?}"),
        }
    }

    pub(crate) fn nonce(&self) -> String {
        let features = SecurityFeatures {
            password_algorithms: !self.algorithms.is_empty(),
            username_anonymity: self.anonymity,
        };
        let cookie = if features == SecurityFeatures::default() {
            String::new()
        } else {
            String::from_utf8(features.to_cookie().to_vec()).unwrap()
        };
        format!("{cookie}nonce{}", self.nonce)
    }

    fn key(&self, message: &Message<'_>) -> Key {
        let chosen = message
            .attribute(AttributeType::PASSWORD_ALGORITHM)
            .map(|chosen| chosen.decode());
        let password = if self.wrong_key { "other" } else { PASSWORD };
        match chosen {
            Some(Ok(Value::PasswordAlgorithm(chosen))) if chosen.algorithm == PasswordAlgorithm::SHA256 => {
                Key::long_term_sha256(USER, self.realm, password)
            }
            _ => Key::long_term_md5(USER, self.realm, password),
        }
    }

    /// RFC 8489 §9.2.4.
    fn accepts(&self, message: &Message<'_>) -> bool {
        let name = match (message.username().unwrap(), message.userhash().unwrap()) {
            (Some(name), None) => !self.anonymity && name == USER,
            (None, Some(hash)) => self.anonymity && *hash == userhash(USER, self.realm),
            _ => false,
        };
        let has = |kind| message.attribute(kind).is_some();
        let offered = !self.algorithms.is_empty();
        let both = has(AttributeType::PASSWORD_ALGORITHMS) && has(AttributeType::PASSWORD_ALGORITHM);
        let neither = !has(AttributeType::PASSWORD_ALGORITHMS) && !has(AttributeType::PASSWORD_ALGORITHM);
        let right = Self {
            realm: self.realm,
            ..Self::default()
        };
        let proof = message.verify_integrity(&right.key(message));
        name && message.realm().unwrap() == Some(self.realm)
            && if offered { both } else { neither }
            && proof.is_ok_and(|proof| (proof.algorithm() == IntegrityAlgorithm::Sha256) == offered)
    }

    fn challenge(&self, message: &Message<'_>, code: ErrorCode) -> Vec<u8> {
        build(message, Class::ErrorResponse, |b| {
            b.error_code(code).unwrap();
            b.push(&Value::Realm(self.realm)).unwrap();
            let nonce = if self.plain { "plain".to_owned() } else { self.nonce() };
            b.push(&Value::Nonce(&nonce)).unwrap();
            if !self.algorithms.is_empty() && !self.strip_algorithms && !self.plain {
                let list: Vec<_> = self.algorithms.iter().map(|&a| PasswordParameters::plain(a)).collect();
                b.push(&Value::PasswordAlgorithms(PasswordAlgorithms::new(&list)))
                    .unwrap();
            }
        })
    }

    pub(crate) fn error(&self, message: &Message<'_>, code: ErrorCode) -> Vec<u8> {
        build(message, Class::ErrorResponse, |b| {
            b.error_code(code).unwrap();
            for &alternate in &self.alternates {
                b.push(&Value::AlternateServer(alternate)).unwrap();
            }
            if let Some(domain) = self.domain {
                b.push(&Value::AlternateDomain(domain)).unwrap();
            }
            self.protect(message, b);
        })
    }

    fn success(&self, message: &Message<'_>, fill: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
        build(message, Class::SuccessResponse, |b| {
            fill(b);
            self.protect(message, b);
        })
    }

    fn protect(&self, message: &Message<'_>, b: &mut Builder<'_>) {
        if self.no_integrity || message.nonce().unwrap().is_none() {
            return;
        }
        let key = self.key(message);
        if self.algorithms.is_empty() || self.sha1_only {
            b.integrity(&key).unwrap();
        } else {
            b.integrity_sha256(&key, 32).unwrap();
        }
        b.fingerprint().unwrap();
    }

    /// The requests of a method so far.
    pub(crate) fn count(&self, method: Method) -> usize {
        self.seen.iter().filter(|seen| seen.method == method).count()
    }

    pub(crate) fn last(&self) -> &Seen {
        self.seen.last().unwrap()
    }
}

fn build(message: &Message<'_>, class: Class, fill: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
    let mut out = [0; 1500];
    let mut b = Builder::new(&mut out, class, message.method(), message.transaction_id()).unwrap();
    fill(&mut b);
    b.finish().to_vec()
}

/// An indication of the server's.
pub(crate) fn indication(method: Method, values: &[Value<'_>]) -> Vec<u8> {
    let mut out = [0; 1500];
    let mut b = Builder::new(&mut out, Class::Indication, method, TransactionId([9; 12])).unwrap();
    for value in values {
        b.push(value).unwrap();
    }
    b.finish().to_vec()
}
