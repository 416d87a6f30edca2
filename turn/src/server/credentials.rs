use super::prefix::prefix;
use super::quota::Quota;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use stun::{Key, PasswordAlgorithm, userhash};
use zeroize::Zeroizing;

/// Who has shown a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// The username, whole.
    pub(super) name: Arc<str>,
    pub(super) quota: Quota,
}

/// Users with passwords, and secrets that make passwords for usernames with a time in them.
pub(super) struct Credentials {
    realm: Box<str>,
    users: HashMap<Arc<str>, User>,
    by_hash: HashMap<[u8; 32], Arc<str>>,
    /// What unknown users are checked with: to refuse them sooner would tell which names there are.
    nobody: User,
    secrets: Vec<Hmac<Sha1>>,
}

struct User {
    md5: Key,
    sha256: Key,
}

impl User {
    fn new(name: &str, realm: &str, password: &str) -> Self {
        Self {
            md5: Key::long_term_md5(name, realm, password),
            sha256: Key::long_term_sha256(name, realm, password),
        }
    }

    fn key(&self, algorithm: PasswordAlgorithm) -> &Key {
        if algorithm == PasswordAlgorithm::SHA256 {
            &self.sha256
        } else {
            &self.md5
        }
    }
}

/// The keys that a username may have: one for a user, one for each secret otherwise.
pub(super) type Keys = [Option<Key>; 2];

impl Credentials {
    /// `nobody` is random, so that nobody knows the password of those whom there are not.
    pub(super) fn new(realm: &str, users: &[(String, String)], secrets: &[String], nobody: &[u8; 32]) -> Self {
        let mut credentials = Self {
            realm: realm.into(),
            users: HashMap::new(),
            by_hash: HashMap::new(),
            nobody: User::new("", realm, &STANDARD.encode(nobody)),
            // HMAC takes keys of any length (RFC 2104 §2), so this never fails.
            secrets: secrets
                .iter()
                .map(|secret| Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length"))
                .collect(),
        };
        for (name, password) in users {
            let name: Arc<str> = name.as_str().into();
            let user = User::new(&name, realm, password);
            credentials.by_hash.insert(userhash(&name, realm), name.clone());
            credentials.users.insert(name, user);
        }
        credentials
    }

    /// Whose USERHASH it is (RFC 8489 §14.4). Usernames with a time in them are not known before they are used.
    pub(super) fn name_of(&self, hash: &[u8; 32]) -> Option<Arc<str>> {
        self.by_hash.get(hash).cloned()
    }

    /// What a username is checked with: a key that nobody has when there is no such user, or when its time is over.
    pub(super) fn keys(&self, name: &str, algorithm: PasswordAlgorithm, unix: Duration) -> Keys {
        if let Some(user) = self.users.get(name) {
            return [Some(user.key(algorithm).clone()), None];
        }
        let over = expiry(name).is_none_or(|expiry| u64::from(expiry) <= unix.as_secs());
        if over || self.secrets.is_empty() {
            return [Some(self.nobody.key(algorithm).clone()), None];
        }
        let mut secrets = self.secrets.iter();
        [(); 2].map(|()| secrets.next().map(|secret| self.key_of(secret, name, algorithm)))
    }

    /// Whose a username is, and whose quota counts when it comes from `client`.
    pub(super) fn account(&self, name: &str, client: IpAddr) -> Account {
        if let Some((name, _)) = self.users.get_key_value(name) {
            return Account {
                name: name.clone(),
                quota: Quota::User(name.clone(), prefix(client)),
            };
        }
        let name: Arc<str> = name.into();
        let id = name.split_once(':').map_or_else(|| name.clone(), |(_, id)| id.into());
        Account {
            name,
            quota: Quota::Id(id),
        }
    }

    fn key_of(&self, secret: &Hmac<Sha1>, name: &str, algorithm: PasswordAlgorithm) -> Key {
        let password = password(secret.clone(), name);
        if algorithm == PasswordAlgorithm::SHA256 {
            Key::long_term_sha256(name, &self.realm, &password)
        } else {
            Key::long_term_md5(name, &self.realm, &password)
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("realm", &self.realm)
            .field("users", &self.users.len())
            .field("secrets", &self.secrets.len())
            .finish_non_exhaustive()
    }
}

/// The password that a secret gives to a username with a time in it: what whoever hands out credentials computes, and
/// the server computes again (draft-uberti-behave-turn-rest-00 §2.2).
///
/// ```
/// // 1767225600 is the first second of 2026 in UTC.
/// let password = turn::timed_password("secret of the server", "1767225600:alice");
/// assert_eq!(password.len(), 28);
/// ```
pub fn timed_password(secret: &str, username: &str) -> String {
    // HMAC takes keys of any length (RFC 2104 §2), so this never fails.
    let secret = Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    password(secret, username).to_string()
}

fn password(mut secret: Hmac<Sha1>, name: &str) -> Zeroizing<String> {
    secret.update(name.as_bytes());
    // 20 bytes are 28 characters.
    let mut text = Zeroizing::new([0; 28]);
    let len = STANDARD.encode_slice(secret.finalize().into_bytes(), text.as_mut_slice());
    let text = text.get(..len.unwrap_or_default()).unwrap_or_default();
    Zeroizing::new(String::from_utf8_lossy(text).into_owned())
}

/// When a username of the form `expiry[:id]` ends, in seconds of Unix time.
fn expiry(name: &str) -> Option<u32> {
    let digits = name.split_once(':').map_or(name, |(digits, _)| digits);
    digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stun::{Builder, Class, Message, Method, TransactionId};

    const NOBODY: [u8; 32] = [9; 32];

    fn same(left: &Key, right: &Key) -> bool {
        let mut out = [0; 64];
        let mut b = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId([1; 12])).unwrap();
        b.integrity(left).unwrap();
        Message::parse(b.finish()).unwrap().verify_integrity(right).is_ok()
    }

    #[test]
    fn the_password_is_base64_of_hmac_sha1() {
        // RFC 2202 §3, test case 2: the HMAC is effcdf6ae5eb2fa2d27416d5f184df9c259a7c79.
        assert_eq!(
            timed_password("Jefe", "what do ya want for nothing?"),
            "7/zfauXrL6LSdBbV8YTfnCWafHk="
        );
    }

    #[test]
    fn users_and_secrets_give_keys() {
        let credentials = Credentials::new(
            "realm",
            &[("user".into(), "pass".into())],
            &["old".into(), "new".into()],
            &NOBODY,
        );
        let unix = Duration::from_secs(1000);
        let [Some(md5), None] = credentials.keys("user", PasswordAlgorithm::MD5, unix) else {
            panic!()
        };
        assert!(same(&md5, &Key::long_term_md5("user", "realm", "pass")));
        let [Some(sha256), None] = credentials.keys("user", PasswordAlgorithm::SHA256, unix) else {
            panic!()
        };
        assert!(same(&sha256, &Key::long_term_sha256("user", "realm", "pass")));
        let [Some(first), Some(second)] = credentials.keys("1001:ann", PasswordAlgorithm::MD5, unix) else {
            panic!()
        };
        let expected = |secret| Key::long_term_md5("1001:ann", "realm", &timed_password(secret, "1001:ann"));
        assert!(same(&first, &expected("old")) && same(&second, &expected("new")));
        let none = [
            "nobody",
            "1000:ann",
            "999",
            "",
            ":ann",
            "1001x:ann",
            "+1001:ann",
            "99999999999:ann",
        ];
        // They cost as much as others, and nobody has their key.
        let nobody = STANDARD.encode(NOBODY);
        for name in none {
            let [Some(md5), None] = credentials.keys(name, PasswordAlgorithm::MD5, unix) else {
                panic!("{name}")
            };
            assert!(same(&md5, &Key::long_term_md5("", "realm", &nobody)), "{name}");
            let [Some(sha256), None] = credentials.keys(name, PasswordAlgorithm::SHA256, unix) else {
                panic!("{name}")
            };
            assert!(same(&sha256, &Key::long_term_sha256("", "realm", &nobody)), "{name}");
        }
        // Without secrets no time makes a user.
        let without = Credentials::new("realm", &[], &[], &NOBODY);
        assert!(matches!(
            without.keys("1001:ann", PasswordAlgorithm::MD5, unix),
            [Some(_), None]
        ));
        assert!(matches!(
            credentials.keys("1001", PasswordAlgorithm::MD5, unix),
            [Some(_), Some(_)]
        ));
    }

    #[test]
    fn quotas_are_those_of_the_id() {
        let users = [("a:b".into(), "pass".into())];
        let credentials = Credentials::new("realm", &users, &["secret".into()], &NOBODY);
        let quota = |name: &str, from: &str| credentials.account(name, from.parse().unwrap()).quota;
        let of_user = |name: &str, from: &str| Quota::User(name.into(), prefix(from.parse().unwrap()));
        assert_eq!(quota("1001:ann", "192.0.2.1"), Quota::Id("ann".into()));
        assert_eq!(quota("1001", "192.0.2.1"), Quota::Id("1001".into()));
        // A name with a password may be that of many.
        assert_eq!(quota("a:b", "192.0.2.1"), of_user("a:b", "192.0.2.9"));
        assert_ne!(quota("a:b", "192.0.2.1"), quota("a:b", "192.0.3.1"));
        assert_eq!(quota("a:b", "192.0.2.1").name(), quota("a:b", "192.0.3.1").name());
        assert_eq!(credentials.name_of(&userhash("a:b", "realm")).as_deref(), Some("a:b"));
        assert_eq!(credentials.name_of(&userhash("a:b", "other")), None);
    }

    #[test]
    fn debug_does_not_tell_the_secrets() {
        let users = [("user".into(), "pass".into())];
        let credentials = Credentials::new("realm", &users, &["secret".into()], &NOBODY);
        assert_eq!(
            format!("{credentials:?}"),
            "Credentials { realm: \"realm\", users: 1, secrets: 1, .. }"
        );
    }
}
