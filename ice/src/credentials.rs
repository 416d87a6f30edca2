#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use rand::Rng;
use rand::rngs::StdRng;
use std::fmt;
use stun::{Class, Key, Message, Method};
use zeroize::{Zeroize, Zeroizing};

/// The characters of ufrags and passwords: `ice-char` of RFC 8839 §5.1. 64 of them, so six random bits choose one.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// 48 bits: enough that the peers of one server do not meet.
pub(crate) const UFRAG_LEN: usize = 8;
/// 144 bits; RFC 8839 §5.4 wants at least 128.
const PWD_LEN: usize = 24;

/// Username fragment and password of one side (RFC 8839 §5.4). The password is erased when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// 4 to 256 characters.
    pub ufrag: String,
    /// 22 to 256 characters. A secret.
    pub pwd: String,
}

/// Why credentials are not acceptable (RFC 8839 §5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsError {
    /// A ufrag has 4 to 256 characters.
    UfragLength,
    /// A password has 22 to 256 characters.
    PwdLength,
    /// Both consist of letters, digits, `+` and `/`.
    Character,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UfragLength => "an ice-ufrag has 4 to 256 characters",
            Self::PwdLength => "an ice-pwd has 22 to 256 characters",
            Self::Character => "ice-ufrag and ice-pwd consist of letters, digits, '+' and '/'",
        })
    }
}

impl std::error::Error for CredentialsError {}

impl Credentials {
    /// Most characters of a ufrag or a password (RFC 8839 §5.4).
    pub const MAX_LEN: usize = 256;

    /// Checks and takes credentials that came from elsewhere.
    ///
    /// # Errors
    /// The rule of RFC 8839 §5.4 that they break.
    pub fn new(ufrag: &str, pwd: &str) -> Result<Self, CredentialsError> {
        if !(4..=Self::MAX_LEN).contains(&ufrag.len()) {
            return Err(CredentialsError::UfragLength);
        }
        if !(22..=Self::MAX_LEN).contains(&pwd.len()) {
            return Err(CredentialsError::PwdLength);
        }
        if !ufrag.bytes().chain(pwd.bytes()).all(|byte| ICE_CHARS.contains(&byte)) {
            return Err(CredentialsError::Character);
        }
        Ok(Self {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
        })
    }

    /// Whether `later` of the same side means an ICE restart: ufrag or password changed (RFC 8839 §4.4.1.1.1).
    pub fn is_restarted_by(&self, later: &Self) -> bool {
        self != later
    }

    fn random(rng: &mut StdRng) -> Self {
        Self {
            ufrag: ice_chars(rng, UFRAG_LEN),
            pwd: ice_chars(rng, PWD_LEN),
        }
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        self.pwd.zeroize();
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("ufrag", &self.ufrag)
            .field("pwd", &format_args!("{} characters", self.pwd.len()))
            .finish()
    }
}

#[allow(clippy::indexing_slicing, reason = "six bits are always below 64")]
fn ice_chars(rng: &mut StdRng, len: usize) -> String {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    let bytes = bytes.get_mut(..len).unwrap_or_default();
    rng.fill_bytes(bytes);
    bytes
        .iter()
        .map(|byte| char::from(ICE_CHARS[usize::from(byte & 0x3f)]))
        .collect()
}

/// Our ufrag that a Binding request is addressed to: what stands before the colon in USERNAME (RFC 8445 §7.2.2).
/// `None` when the datagram is anything else. Nothing is authenticated: this is for routing.
pub fn addressed_ufrag(datagram: &[u8]) -> Option<&str> {
    let message = Message::parse(datagram).ok()?;
    if (message.class(), message.method()) != (Class::Request, Method::BINDING) {
        return None;
    }
    Some(message.username().ok()??.split_once(':')?.0)
}

/// Local credentials with the key that they make: those of one ICE session, from one restart to the next.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) number: u32,
    pub(crate) credentials: Credentials,
    pub(crate) key: Key,
}

impl Generation {
    fn random(rng: &mut StdRng, number: u32) -> Self {
        let credentials = Credentials::random(rng);
        let key = Key::short_term(&credentials.pwd);
        Self {
            number,
            credentials,
            key,
        }
    }
}

/// The newest credentials, and after a restart also those before, until a pair of the newest is nominated.
#[derive(Debug)]
pub(crate) struct Generations {
    rng: StdRng,
    newest: Generation,
    previous: Option<Generation>,
}

impl Generations {
    pub(crate) fn new(mut rng: StdRng) -> Self {
        let newest = Generation::random(&mut rng, 0);
        Self {
            rng,
            newest,
            previous: None,
        }
    }

    pub(crate) const fn newest(&self) -> &Generation {
        &self.newest
    }

    pub(crate) const fn previous(&self) -> Option<&Generation> {
        self.previous.as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.newest).chain(&self.previous)
    }

    pub(crate) fn by_ufrag(&self, ufrag: &str) -> Option<&Generation> {
        self.iter().find(|generation| generation.credentials.ufrag == ufrag)
    }

    pub(crate) fn by_number(&self, number: u32) -> Option<&Generation> {
        self.iter().find(|generation| generation.number == number)
    }

    /// Makes new credentials. The newest ones so far become the previous ones, unless `keep_previous` says that those
    /// before them still carry the call.
    pub(crate) fn restart(&mut self, keep_previous: bool) {
        let next = Generation::random(&mut self.rng, self.newest.number.wrapping_add(1));
        let replaced = std::mem::replace(&mut self.newest, next);
        if !(keep_previous && self.previous.is_some()) {
            self.previous = Some(replaced);
        }
    }

    pub(crate) fn forget_previous(&mut self) {
        self.previous = None;
    }

    /// The credentials of the captured calls, in place of random ones.
    #[cfg(test)]
    pub(crate) fn set_newest(&mut self, credentials: Credentials) {
        self.newest.key = Key::short_term(&credentials.pwd);
        self.newest.credentials = credentials;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn random_credentials_are_legal_and_differ() {
        let mut generations = Generations::new(StdRng::from_seed([7; 32]));
        let first = generations.newest().credentials.clone();
        assert_eq!(Credentials::new(&first.ufrag, &first.pwd), Ok(first.clone()));
        assert_eq!((first.ufrag.len(), first.pwd.len()), (UFRAG_LEN, PWD_LEN));
        generations.restart(false);
        let second = generations.newest().credentials.clone();
        assert!(first.is_restarted_by(&second) && !first.is_restarted_by(&first.clone()));
        assert_eq!(generations.previous().unwrap().credentials, first);
        generations.restart(true);
        assert_eq!(generations.previous().unwrap().credentials, first);
        assert!(generations.by_ufrag(&second.ufrag).is_none());
        generations.forget_previous();
        assert_eq!(generations.iter().count(), 1);
    }

    #[test]
    fn all_characters_occur() {
        let mut rng = StdRng::from_seed([1; 32]);
        let seen: std::collections::BTreeSet<char> = (0..200)
            .flat_map(|_| ice_chars(&mut rng, 24).chars().collect::<Vec<_>>())
            .collect();
        assert_eq!(seen.len(), 64);
    }

    #[test]
    fn foreign_credentials_are_checked() {
        let pwd = "x".repeat(22);
        assert!(Credentials::new("Sfu1", &pwd).is_ok());
        assert_eq!(Credentials::new("Sfu", &pwd), Err(CredentialsError::UfragLength));
        assert_eq!(
            Credentials::new(&"u".repeat(257), &pwd),
            Err(CredentialsError::UfragLength)
        );
        assert_eq!(Credentials::new("Sfu1", &pwd[1..]), Err(CredentialsError::PwdLength));
        assert_eq!(
            Credentials::new("Sfu1", &"p".repeat(257)),
            Err(CredentialsError::PwdLength)
        );
        assert_eq!(Credentials::new("Sf:1", &pwd), Err(CredentialsError::Character));
    }

    #[test]
    fn debug_does_not_tell_the_password() {
        let credentials = Credentials::new("Sfu1", &"secret".repeat(4)).unwrap();
        assert_eq!(
            format!("{credentials:?}"),
            "Credentials { ufrag: \"Sfu1\", pwd: 24 characters }"
        );
    }
}
