use std::time::{Duration, Instant};

use wire::{Seed, Writer};

use super::codec::{Content, Cookie, MAX_LEN, Stamp, TAG_LEN};
use crate::crypto::{Crypto, HashAlgorithm, equal_in_constant_time};
use crate::hello::RANDOM_LEN;
use crate::rotation::{Generation, RotatingSecrets};

/// The secrets that cookies are made with: the present one, and the one before, whose last cookies are still good (RFC
/// 9147 §5.1).
#[derive(Debug)]
pub(super) struct Keys(RotatingSecrets);

/// Who shows a hello: what a cookie is bound to beside its own content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) source: &'a [u8],
    pub(super) random: &'a [u8; RANDOM_LEN],
    pub(super) session_id: &'a [u8],
}

impl Keys {
    pub(super) fn new(lifetime: Duration, seed: Seed, now: Instant) -> Self {
        Self(RotatingSecrets::new(lifetime, seed, now))
    }

    /// Makes a cookie, in the beginning of `out`.
    pub(super) fn make<'o>(
        &mut self,
        crypto: &dyn Crypto,
        now: Instant,
        sender: Sender<'_>,
        content: Content<'_>,
        out: &'o mut [u8; MAX_LEN],
    ) -> Option<&'o [u8]> {
        let key = self.0.present(now);
        let stamp = Stamp {
            generation: key.number(),
            issued: key.age_millis(now)?,
        };
        let tag = &tag(key, crypto, sender, stamp, content)?;
        let mut w = Writer::new(out);
        Cookie { stamp, content, tag }.write(&mut w).ok()?;
        Some(w.into_written())
    }

    /// What a cookie brings back, when it is ours, was made for this sender, and is not too old.
    pub(super) fn verify<'a>(
        &mut self,
        crypto: &dyn Crypto,
        now: Instant,
        sender: Sender<'_>,
        bytes: &'a [u8],
    ) -> Option<Content<'a>> {
        let lifetime = self.0.lifetime();
        let cookie = Cookie::parse(bytes).ok()?;
        let key = self.0.get(now, cookie.stamp.generation)?;
        let tag = tag(key, crypto, sender, cookie.stamp, cookie.content)?;
        if !equal_in_constant_time(&tag, cookie.tag) {
            return None;
        }
        (key.since(now, cookie.stamp.issued)? <= lifetime).then_some(cookie.content)
    }
}

/// The beginning of an HMAC-SHA-256 over the sender, the random and the session id, each behind its length, and the cookie's own bytes.
fn tag(
    key: &Generation,
    crypto: &dyn Crypto,
    sender: Sender<'_>,
    stamp: Stamp,
    content: Content<'_>,
) -> Option<[u8; TAG_LEN]> {
    let mut head = [0; MAX_LEN - TAG_LEN];
    let mut w = Writer::new(&mut head);
    stamp.write(&mut w).ok()?;
    content.write(&mut w).ok()?;
    let source_len = u64::try_from(sender.source.len()).ok()?.to_be_bytes();
    let session_id_len = [u8::try_from(sender.session_id.len()).ok()?];
    let message = [
        &source_len,
        sender.source,
        &session_id_len,
        sender.session_id,
        sender.random,
        w.written(),
    ];
    let whole = crypto.hmac(HashAlgorithm::Sha256, key.secret().as_slice(), &message);
    whole.as_bytes().first_chunk().copied()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::crypto::RingCrypto;
    use crate::registry::{CipherSuite, NamedGroup};
    use crate::v13::Retry;

    const LIFETIME: Duration = Duration::from_secs(30);

    const SENDER: Sender<'_> = Sender {
        source: b"192.0.2.1:5000",
        random: &[7; RANDOM_LEN],
        session_id: &[],
    };

    struct Scene {
        keys: Keys,
        crypto: RingCrypto,
        start: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                keys: Keys::new(LIFETIME, Seed::from_run(1), start),
                crypto: RingCrypto::new(),
                start,
            }
        }

        fn make(&mut self, seconds: f64, content: Content<'_>) -> Vec<u8> {
            let now = self.start + Duration::from_secs_f64(seconds);
            let mut out = [0; MAX_LEN];
            let made = self.keys.make(&self.crypto, now, SENDER, content, &mut out);
            made.unwrap().to_vec()
        }

        fn is_good(&mut self, seconds: f64, sender: Sender<'_>, cookie: &[u8]) -> bool {
            let now = self.start + Duration::from_secs_f64(seconds);
            self.keys.verify(&self.crypto, now, sender, cookie).is_some()
        }
    }

    #[test]
    fn a_cookie_is_good_for_its_lifetime_whenever_the_key_changes() {
        for made in [0.0, 1.0, 15.0, 29.9, 30.0, 59.0] {
            for keeps_busy in [false, true] {
                let mut scene = Scene::new();
                let cookie = scene.make(made, Content::Verify);
                if keeps_busy {
                    for later in 1..30 {
                        assert!(
                            scene.is_good(made + f64::from(later), SENDER, &cookie),
                            "{made} {later}"
                        );
                    }
                }
                assert!(scene.is_good(made + 29.99, SENDER, &cookie), "{made}");
                assert!(!scene.is_good(made + 30.01, SENDER, &cookie), "{made}");
                assert!(!scene.is_good(made + 1000.0, SENDER, &cookie), "{made}");
            }
        }
    }

    #[test]
    fn old_keys_are_forgotten_and_their_numbers_come_again() {
        let mut scene = Scene::new();
        let cookie = scene.make(0.0, Content::Verify);
        let mut made = Vec::new();
        for generation in 0..600 {
            made.push(scene.make(f64::from(generation) * 30.0, Content::Verify));
        }
        assert_eq!(made[0], cookie);
        assert_eq!(made[256][..5], cookie[..5]);
        assert_ne!(made[256], cookie);
        assert!(!scene.is_good(256.0 * 30.0, SENDER, &cookie));
    }

    #[test]
    fn a_cookie_is_good_for_what_it_was_made_for_alone() {
        let retry = Retry {
            suite: CipherSuite::TLS_AES_128_GCM_SHA256,
            group: Some(NamedGroup::X25519),
        };
        for content in [Content::Verify, Content::Retry(retry, &[9; 32])] {
            let mut scene = Scene::new();
            let cookie = scene.make(0.0, content);
            assert!(scene.is_good(0.0, SENDER, &cookie));
            for sender in [
                Sender {
                    source: b"192.0.2.1:5001",
                    ..SENDER
                },
                Sender {
                    random: &[8; RANDOM_LEN],
                    ..SENDER
                },
                Sender {
                    session_id: &[0],
                    ..SENDER
                },
            ] {
                assert!(!scene.is_good(0.0, sender, &cookie), "{sender:?}");
            }
            for at in 0..cookie.len() {
                for bit in 0..8 {
                    let mut changed = cookie.clone();
                    changed[at] ^= 1 << bit;
                    assert!(!scene.is_good(0.0, SENDER, &changed), "byte {at}");
                }
            }
            // Another server's.
            let mut other = Scene::new();
            other.keys = Keys::new(LIFETIME, Seed::from_run(2), other.start);
            assert!(!other.is_good(0.0, SENDER, &cookie));
        }
    }
}
