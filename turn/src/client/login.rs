use super::config::Credentials;
use std::fmt;
use stun::{
    Attribute, AttributeType, BuildError, Builder, IntegrityAlgorithm, Key, Message, PasswordAlgorithm,
    PasswordParameters, SecurityFeatures, Value, userhash,
};

/// Longest realm and nonce in bytes that are echoed: what RFC 8489 §14.9 and §14.10 let a server write.
const MAX_TEXT: usize = 509;
/// Longest PASSWORD-ALGORITHMS in bytes that is echoed: twice as many as are registered, with some parameters.
const MAX_ALGORITHMS: usize = 64;

/// The long-term credential mechanism (RFC 8489 §9.2) towards one server.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    credentials: Credentials,
    challenge: Option<Challenge>,
}

/// What the server asked for last, and what follows from it.
#[derive(Clone)]
struct Challenge {
    realm: Box<str>,
    nonce: Box<str>,
    /// The value of PASSWORD-ALGORITHMS, echoed as it came. With one, SHA-256 protects all that follows.
    algorithms: Option<Box<[u8]>>,
    algorithm: PasswordAlgorithm,
    userhash: Option<[u8; 32]>,
    key: Key,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Challenge({:?}, {:?}, ..)", self.realm, self.algorithm)
    }
}

/// Why a challenge cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChallengeFault {
    /// Realm, nonce or a known algorithm is missing.
    Bad,
    /// The nonce announces PASSWORD-ALGORITHMS and there is none; or there was one before.
    BidDown,
}

impl Login {
    pub(crate) const fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            challenge: None,
        }
    }

    /// Forgets what the server asked for: another one will ask otherwise (RFC 8489 §10: the credentials stay the same).
    pub(crate) fn reset(&mut self) {
        self.challenge = None;
    }

    /// Whether requests can be signed.
    pub(crate) const fn is_challenged(&self) -> bool {
        self.challenge.is_some()
    }

    /// Takes realm, nonce and algorithms from an error 401 or 438 (RFC 8489 §9.2.5).
    pub(crate) fn take(&mut self, message: &Message<'_>) -> Result<(), ChallengeFault> {
        let before = self.challenge.as_ref();
        let nonce = message.nonce().ok().flatten().ok_or(ChallengeFault::Bad)?;
        // 438 must have a realm too, but servers older than RFC 8489 may leave it out.
        let realm = match message.realm() {
            Ok(Some(realm)) => realm,
            Ok(None) => before.map(|before| &*before.realm).ok_or(ChallengeFault::Bad)?,
            Err(_) => return Err(ChallengeFault::Bad),
        };
        if nonce.len() > MAX_TEXT || realm.len() > MAX_TEXT {
            return Err(ChallengeFault::Bad);
        }
        let features = SecurityFeatures::from_nonce(nonce).unwrap_or_default();
        let offered = message.attribute(AttributeType::PASSWORD_ALGORITHMS);
        let guarded = features.password_algorithms || before.is_some_and(|before| before.algorithms.is_some());
        if guarded && offered.is_none() {
            return Err(ChallengeFault::BidDown);
        }
        let algorithm = offered.map_or(Ok(PasswordAlgorithm::MD5), |offered| choose(&offered))?;
        let key = match before {
            Some(before) if *before.realm == *realm && before.algorithm == algorithm => before.key.clone(),
            _ => self.key(realm, algorithm),
        };
        let username = self.credentials.username();
        self.challenge = Some(Challenge {
            realm: realm.into(),
            nonce: nonce.into(),
            algorithms: offered.map(|offered| offered.value().into()),
            algorithm,
            userhash: features.username_anonymity.then(|| userhash(username, unquoted(realm))),
            key,
        });
        Ok(())
    }

    fn key(&self, realm: &str, algorithm: PasswordAlgorithm) -> Key {
        let (username, password) = (self.credentials.username(), self.credentials.password());
        let realm = unquoted(realm);
        if algorithm == PasswordAlgorithm::SHA256 {
            Key::long_term_sha256(username, realm, password)
        } else {
            Key::long_term_md5(username, realm, password)
        }
    }

    /// Appends what proves who we are, and integrity; nothing before the server's first challenge (RFC 8489 §9.2.3).
    pub(crate) fn sign(&self, builder: &mut Builder<'_>) -> Result<(), BuildError> {
        let Some(challenge) = &self.challenge else {
            return Ok(());
        };
        match &challenge.userhash {
            Some(hash) => builder.push(&Value::UserHash(hash))?,
            None => builder.push(&Value::Username(self.credentials.username()))?,
        }
        // Echoed as they came, even if the server wrote more characters than it may.
        builder.push(&Value::Other(AttributeType::REALM, challenge.realm.as_bytes()))?;
        builder.push(&Value::Other(AttributeType::NONCE, challenge.nonce.as_bytes()))?;
        let Some(algorithms) = &challenge.algorithms else {
            return builder.integrity(&challenge.key);
        };
        builder.push(&Value::Other(AttributeType::PASSWORD_ALGORITHMS, algorithms))?;
        builder.push(&Value::PasswordAlgorithm(PasswordParameters::plain(
            challenge.algorithm,
        )))?;
        builder.integrity_sha256(&challenge.key, 32)
    }

    /// Whether the server that knows our password has sent this answer. Where it has to use SHA-256, SHA-1 is not
    /// enough.
    pub(crate) fn verifies(&self, message: &Message<'_>) -> bool {
        self.challenge.as_ref().is_some_and(|challenge| {
            message
                .verify_integrity(&challenge.key)
                .is_ok_and(|proof| challenge.algorithms.is_none() || proof.algorithm() == IntegrityAlgorithm::Sha256)
        })
    }
}

/// Whether the nonce announces a PASSWORD-ALGORITHMS that somebody has taken out (RFC 8489 §9.2.5).
pub(crate) fn is_bid_down(message: &Message<'_>) -> bool {
    let announced = |nonce| SecurityFeatures::from_nonce(nonce).is_some_and(|features| features.password_algorithms);
    message.nonce().ok().flatten().is_some_and(announced)
        && message.attribute(AttributeType::PASSWORD_ALGORITHMS).is_none()
}

/// The first that we know.
fn choose(offered: &Attribute<'_>) -> Result<PasswordAlgorithm, ChallengeFault> {
    let Ok(Value::PasswordAlgorithms(list)) = offered.decode() else {
        return Err(ChallengeFault::Bad);
    };
    if offered.value().len() > MAX_ALGORITHMS {
        return Err(ChallengeFault::Bad);
    }
    let known =
        |algorithm: &PasswordAlgorithm| matches!(*algorithm, PasswordAlgorithm::MD5 | PasswordAlgorithm::SHA256);
    let mut algorithms = list.iter().map(|entry| entry.algorithm);
    algorithms.find(known).ok_or(ChallengeFault::Bad)
}

/// RFC 8489 §9.2.2: quotes and trailing nulls do not go into the key.
fn unquoted(realm: &str) -> &str {
    let realm = realm.trim_end_matches('\0');
    realm
        .strip_prefix('"')
        .and_then(|realm| realm.strip_suffix('"'))
        .unwrap_or(realm)
}
