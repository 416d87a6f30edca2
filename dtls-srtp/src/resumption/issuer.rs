#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::unwrap_used)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::{Seed, Writer};
use zeroize::Zeroizing;

use super::MAX_LIFETIME;
use super::codec::{Content, Envelope, SALT_LEN};
use crate::crypto::{Aead, Crypto, Digest, HashAlgorithm, NONCE_LEN, RecordKey, TAG_LEN};
use crate::rotation::RotatingSecrets;
use crate::v13::OfferedPsk;

/// Gives clients of DTLS 1.3 tickets, and takes them back: who shows one resumes the session that it was given in, without
/// certificates and their signatures ([`Config::tickets`](crate::Config::tickets)).
///
/// Nothing is kept for a client: all that there is to know of a session is in its ticket, sealed with AES-256-GCM under a key
/// that no other ticket has. Those keys come from a secret that lives in this value alone, grows from its seed, and is another
/// one after each lifetime. So tickets do not outlive the process, and a second one has no use for them: its clients shake
/// hands in full. One value is shared by all connections of a server, through their [`Config`](crate::Config).
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, Instant};
///
/// use dtls_srtp::{Certificate, Config, RingCrypto, TicketIssuer};
/// use wire::Seed;
///
/// // The seeds of a program come from the operating system.
/// let issuer = TicketIssuer::new(Duration::from_secs(3600), Seed::from_run(1), Instant::now());
/// let server = Config {
///     tickets: Some(Arc::new(issuer)),
///     ..Config::new(Arc::new(RingCrypto::new()), Certificate::generate()?)
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TicketIssuer {
    secrets: Mutex<RotatingSecrets>,
    count: u8,
}

/// A session as a ticket has it.
pub(crate) struct TicketState<'a> {
    pub(crate) hash: HashAlgorithm,
    pub(crate) psk: &'a Digest,
    pub(crate) age_add: u32,
    /// How old the session is.
    pub(crate) age: Duration,
    /// The client's certificate in DER, if it has shown one.
    pub(crate) certificate: Option<&'a [u8]>,
}

/// A session that came back.
pub(crate) struct OpenedTicket {
    pub(crate) hash: HashAlgorithm,
    pub(crate) psk: Digest,
    /// How old the session is now.
    pub(crate) age: Duration,
    pub(crate) certificate: Option<Vec<u8>>,
}

impl TicketIssuer {
    /// The longest lifetime of a session: a week (RFC 8446 §4.6.1).
    pub const MAX_LIFETIME: Duration = MAX_LIFETIME;

    /// The most tickets that a connection gets.
    pub const MAX_COUNT: u8 = 4;

    /// By how much the age that a client tells may be beyond what it was told, for clocks that differ.
    const TOLERANCE: Duration = Duration::from_secs(10);

    /// The cipher of tickets.
    const AEAD: Aead = Aead::Aes256Gcm;

    /// One with secrets of its own, which grow from the seed. `lifetime` is that of sessions, from the handshake in which
    /// certificates were shown on, however often they are resumed; at most [`MAX_LIFETIME`](Self::MAX_LIFETIME), and with
    /// less than a second no tickets are given.
    pub fn new(lifetime: Duration, seed: Seed, now: Instant) -> Self {
        let secrets = RotatingSecrets::new(lifetime.min(Self::MAX_LIFETIME), seed, now);
        Self {
            secrets: Mutex::new(secrets),
            count: 1,
        }
    }

    /// The same with so many tickets for each connection; a client that begins several at once wants several. At most
    /// [`MAX_COUNT`](Self::MAX_COUNT); with 0 those that are there are still taken.
    #[must_use]
    pub fn with_count(mut self, count: u8) -> Self {
        self.count = count.min(Self::MAX_COUNT);
        self
    }

    /// How many tickets a connection gets.
    pub(crate) const fn count(&self) -> u8 {
        self.count
    }

    /// Makes a ticket, which is good for a server with this certificate alone. Returns it with its lifetime in seconds;
    /// `None` when the session is to have none.
    pub(crate) fn seal(
        &self,
        crypto: &dyn Crypto,
        now: Instant,
        server: &[u8],
        state: &TicketState<'_>,
    ) -> Option<(Vec<u8>, u32)> {
        let certificate = state.certificate.unwrap_or_default();
        if certificate.len() > Content::MAX_CERTIFICATE {
            return None;
        }
        let mut secrets = self.secrets();
        let left = secrets.lifetime().checked_sub(state.age)?;
        let lifetime = u32::try_from(left.as_secs()).ok().filter(|&seconds| seconds > 0)?;
        let salt: [u8; SALT_LEN] = secrets.random();
        let secret = secrets.present(now);
        let (generation, issued) = (secret.number(), secret.age_millis(now)?);
        let secret = secret.secret().clone();
        // All connections share the secrets; what is done with this one takes its time.
        drop(secrets);
        let content = Content {
            hash: state.hash,
            age_add: state.age_add,
            issued,
            age: u32::try_from(state.age.as_millis()).ok()?,
            psk: state.psk.as_bytes(),
            certificate,
        };
        let mut plaintext = Zeroizing::new([0; Content::MAX_LEN]);
        let mut w = Writer::new(&mut *plaintext);
        content.write(&mut w).ok()?;
        let body = w.into_written();
        let tag = ticket_key(crypto, &secret, &salt)?.seal(NONCE, &bound_to(crypto, server), body);
        let mut head = [0; Envelope::HEAD_LEN];
        Envelope::write_head(&mut Writer::new(&mut head), generation, &salt).ok()?;
        Some(([&head[..], body, &tag].concat(), lifetime))
    }

    /// What a ticket brings back, when it is ours, was made for this certificate of ours, and is not too old: neither by our
    /// clock, nor by what the client tells.
    pub(crate) fn open(
        &self,
        crypto: &dyn Crypto,
        now: Instant,
        server: &[u8],
        offered: &OfferedPsk<'_>,
    ) -> Option<OpenedTicket> {
        let Envelope {
            generation,
            salt,
            sealed,
        } = Envelope::parse(offered.identity).ok()?;
        if sealed.len() > Content::MAX_LEN.saturating_add(TAG_LEN) {
            return None;
        }
        let mut secrets = self.secrets();
        let lifetime = secrets.lifetime();
        let generation = secrets.get(now, generation)?.clone();
        drop(secrets);
        let key = ticket_key(crypto, generation.secret(), salt)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let body = key.open(NONCE, &bound_to(crypto, server), &mut sealed)?;
        let content = Content::parse(body).ok()?;
        let age_then = Duration::from_millis(content.age.into());
        let age = generation.since(now, content.issued)?.saturating_add(age_then);
        // A client must not show a ticket beyond the lifetime that it was told (RFC 8446 §4.2.11.1).
        let told = Duration::from_millis(offered.obfuscated_age.wrapping_sub(content.age_add).into());
        if age > lifetime || told.saturating_add(age_then) > lifetime.saturating_add(Self::TOLERANCE) {
            return None;
        }
        Some(OpenedTicket {
            hash: content.hash,
            psk: Digest::new(content.psk),
            age,
            certificate: Some(content.certificate.to_vec()).filter(|der| !der.is_empty()),
        })
    }

    fn secrets(&self) -> MutexGuard<'_, RotatingSecrets> {
        // Nothing is left half done where it is held.
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each key seals one ticket.
const NONCE: [u8; NONCE_LEN] = [0; NONCE_LEN];

fn ticket_key(crypto: &dyn Crypto, secret: &[u8; 32], salt: &[u8]) -> Option<Box<dyn RecordKey>> {
    let key = crypto.hmac(HashAlgorithm::Sha256, secret, &[b"ticket", salt]);
    let key = key.as_bytes().get(..TicketIssuer::AEAD.key_len())?;
    crypto.record_key(TicketIssuer::AEAD, key).ok()
}

/// Who has shown another certificate since then was not authenticated by it.
fn bound_to(crypto: &dyn Crypto, server: &[u8]) -> [u8; 32] {
    let hash = crypto.hash(HashAlgorithm::Sha256, server);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::crypto::RingCrypto;

    const LIFETIME: Duration = Duration::from_secs(3600);
    const AGE_ADD: u32 = 0xffff_ff00;

    struct Scene {
        issuer: TicketIssuer,
        crypto: RingCrypto,
        start: Instant,
    }

    impl Scene {
        fn new(run: u64) -> Self {
            let start = Instant::now();
            Self {
                issuer: TicketIssuer::new(LIFETIME, Seed::from_run(run), start),
                crypto: RingCrypto::new(),
                start,
            }
        }

        fn make(&self, at: u64, age: u64, certificate: Option<&[u8]>) -> Option<(Vec<u8>, u32)> {
            let now = self.start + Duration::from_secs(at);
            let state = TicketState {
                hash: HashAlgorithm::Sha384,
                psk: &Digest::new(&[5; 48]),
                age_add: AGE_ADD,
                age: Duration::from_secs(age),
                certificate,
            };
            self.issuer.seal(&self.crypto, now, b"server", &state)
        }

        /// Shown by a client whose ticket is so many seconds old by its own clock.
        fn open(&self, at: u64, server: &[u8], ticket: &[u8], told: u32) -> Option<OpenedTicket> {
            let now = self.start + Duration::from_secs(at);
            let offered = OfferedPsk {
                identity: ticket,
                obfuscated_age: AGE_ADD.wrapping_add(told * 1000),
                binder: &[],
            };
            self.issuer.open(&self.crypto, now, server, &offered)
        }
    }

    #[test]
    fn a_ticket_brings_back_what_it_was_given() {
        let scene = Scene::new(1);
        for certificate in [None, Some(&b"certificate"[..])] {
            let (ticket, lifetime) = scene.make(10, 600, certificate).unwrap();
            assert_eq!(lifetime, 3000);
            let opened = scene.open(40, b"server", &ticket, 30).unwrap();
            assert_eq!(opened.hash, HashAlgorithm::Sha384);
            assert_eq!(opened.psk.as_bytes(), [5; 48]);
            assert_eq!(opened.age, Duration::from_secs(630));
            assert_eq!(opened.certificate.as_deref(), certificate);
        }
    }

    #[test]
    fn a_session_is_good_for_its_lifetime_whenever_the_secret_changes() {
        for made in [0, 1, 1800, 3599, 3600, 7000] {
            for (age, left) in [(0, 3600), (600, 3000), (3599, 1)] {
                let scene = Scene::new(1);
                let (ticket, lifetime) = scene.make(made, age, None).unwrap();
                assert_eq!(u64::from(lifetime), left);
                assert!(scene.open(made + left, b"server", &ticket, 0).is_some(), "{made} {age}");
                assert!(
                    scene.open(made + left + 1, b"server", &ticket, 0).is_none(),
                    "{made} {age}"
                );
                assert!(
                    scene.open(made + 100_000, b"server", &ticket, 0).is_none(),
                    "{made} {age}"
                );
            }
            let scene = Scene::new(1);
            assert!(scene.make(made, 3600, None).is_none() && scene.make(made, 5000, None).is_none());
        }
    }

    #[test]
    fn who_says_that_a_ticket_is_too_old_is_believed() {
        let scene = Scene::new(1);
        let (ticket, _) = scene.make(0, 600, None).unwrap();
        for (told, taken) in [(0, true), (3000, true), (3010, true), (3011, false), (4_000_000, false)] {
            assert_eq!(scene.open(5, b"server", &ticket, told).is_some(), taken, "{told}");
        }
    }

    #[test]
    fn a_ticket_is_good_for_what_it_was_made_for_alone() {
        let scene = Scene::new(1);
        let (ticket, _) = scene.make(0, 0, Some(b"certificate")).unwrap();
        assert!(scene.open(0, b"server", &ticket, 0).is_some());
        assert!(scene.open(0, b"another", &ticket, 0).is_none());
        assert!(Scene::new(2).open(0, b"server", &ticket, 0).is_none());
        for at in 0..ticket.len() {
            for bit in 0..8 {
                let mut changed = ticket.clone();
                changed[at] ^= 1 << bit;
                assert!(scene.open(0, b"server", &changed, 0).is_none(), "byte {at}");
            }
            assert!(scene.open(0, b"server", &ticket[..at], 0).is_none());
        }
        assert!(scene.open(0, b"server", &[&ticket[..], &[0]].concat(), 0).is_none());
        assert!(scene.open(0, b"server", &vec![0; 60_000], 0).is_none());
    }

    #[test]
    fn no_two_tickets_are_alike() {
        let scene = Scene::new(1);
        let tickets: Vec<_> = (0..4).map(|_| scene.make(0, 0, None).unwrap().0).collect();
        for (n, ticket) in tickets.iter().enumerate() {
            let differ = |other: &Vec<u8>| other[1..17] != ticket[1..17] && other[17..33] != ticket[17..33];
            assert!(tickets[..n].iter().all(differ));
        }
    }

    #[test]
    fn bounds_hold() {
        let scene = Scene::new(1);
        assert!(scene.make(0, 0, Some(&[7; Content::MAX_CERTIFICATE])).is_some());
        assert!(scene.make(0, 0, Some(&[7; Content::MAX_CERTIFICATE + 1])).is_none());
        let issuer = |lifetime| TicketIssuer::new(lifetime, Seed::from_run(1), scene.start);
        assert_eq!(issuer(LIFETIME).count(), 1);
        assert_eq!(issuer(LIFETIME).with_count(9).count(), TicketIssuer::MAX_COUNT);
        let long = Scene {
            issuer: issuer(Duration::MAX),
            ..Scene::new(1)
        };
        assert_eq!(long.make(0, 0, None).unwrap().1, 604_800);
        let short = Scene {
            issuer: issuer(Duration::from_millis(999)),
            ..Scene::new(1)
        };
        assert!(short.make(0, 0, None).is_none());
        let none = Scene {
            issuer: issuer(Duration::ZERO),
            ..Scene::new(1)
        };
        assert!(none.make(0, 0, None).is_none());
    }
}
