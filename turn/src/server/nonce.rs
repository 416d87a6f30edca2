use super::prefix::prefix;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use stun::SecurityFeatures;
use subtle::ConstantTimeEq;

/// Bytes of a nonce: the nonce cookie, and 14 bytes in base64.
pub(super) const NONCE_LEN: usize = SecurityFeatures::COOKIE_LEN + 19;
/// Bytes of the time in it.
const STAMP_LEN: usize = 6;
/// Bytes of the MAC in it. Who guesses one in 2^64 has shown no address, and still needs a password.
const TAG_LEN: usize = 8;

/// Nonces that need not be remembered: a time, and a MAC over cookie, time and the sender's prefix.
///
/// No two are the same (RFC 8489 §9.2.4), and a nonce whose security features somebody has changed on the way is none
/// of ours, so that nobody can bid algorithms down (RFC 8489 §9.2.1).
pub(super) struct Nonces {
    key: Hmac<Sha256>,
    cookie: [u8; SecurityFeatures::COOKIE_LEN],
    epoch: Instant,
    lifetime: Duration,
    /// The stamp of the last one: microseconds since `epoch`, and more when several are made in one. Nobody makes a
    /// million a second, so that it does not run ahead of time; 48 bits last for 8 years.
    last: u64,
}

impl Nonces {
    pub(super) fn new(key: &[u8; 32], features: SecurityFeatures, lifetime: Duration, now: Instant) -> Self {
        Self {
            // HMAC takes keys of any length (RFC 2104 §2), so this never fails.
            key: Hmac::new_from_slice(key).expect("HMAC takes keys of any length"),
            cookie: features.to_cookie(),
            epoch: now,
            lifetime,
            last: 0,
        }
    }

    /// A new one for a client.
    pub(super) fn make(&mut self, now: Instant, client: IpAddr) -> [u8; NONCE_LEN] {
        self.last = self.micros(now).max(self.last + 1);
        self.nonce(self.last, client)
    }

    /// Whether it was made for that client by us, within its lifetime.
    pub(super) fn is_valid(&self, now: Instant, client: IpAddr, nonce: &str) -> bool {
        let encoded = nonce.as_bytes().get(SecurityFeatures::COOKIE_LEN..);
        // Eight characters are six bytes.
        let mut stamp = [0; STAMP_LEN];
        let decoded = encoded
            .and_then(|encoded| encoded.first_chunk::<8>())
            .and_then(|encoded| STANDARD_NO_PAD.decode_slice(encoded, &mut stamp).ok());
        if decoded != Some(STAMP_LEN) {
            return false;
        }
        let [b0, b1, b2, b3, b4, b5] = stamp;
        let stamp = u64::from_be_bytes([0, 0, b0, b1, b2, b3, b4, b5]);
        let fresh = stamp <= self.last && self.micros(now).saturating_sub(stamp) <= micros(self.lifetime);
        fresh && bool::from(self.nonce(stamp, client).ct_eq(nonce.as_bytes()))
    }

    fn nonce(&self, stamp: u64, client: IpAddr) -> [u8; NONCE_LEN] {
        let [_, _, stamp @ ..] = stamp.to_be_bytes();
        let mut mac = self.key.clone();
        mac.update(&self.cookie);
        mac.update(&stamp);
        mac.update(&prefix(client).to_be_bytes());
        let tag = mac.finalize().into_bytes();
        let mut content = [0; STAMP_LEN + TAG_LEN];
        for (place, byte) in content.iter_mut().zip(stamp.iter().chain(tag.iter())) {
            *place = *byte;
        }
        let mut nonce = [0; NONCE_LEN];
        if let Some((cookie, rest)) = nonce.split_first_chunk_mut() {
            *cookie = self.cookie;
            // 14 bytes are 19 characters, which is the room there is.
            STANDARD_NO_PAD.encode_slice(content, rest).ok();
        }
        nonce
    }

    fn micros(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.epoch))
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: SecurityFeatures = SecurityFeatures {
        password_algorithms: true,
        username_anonymity: false,
    };

    fn text(nonce: &[u8]) -> &str {
        std::str::from_utf8(nonce).unwrap()
    }

    #[test]
    fn a_nonce_is_good_for_its_prefix_and_its_time() {
        let now = Instant::now();
        let mut nonces = Nonces::new(&[7; 32], FEATURES, Duration::from_secs(600), now);
        let client: IpAddr = "198.51.100.9".parse().unwrap();
        let nonce = nonces.make(now, client);
        assert_eq!(SecurityFeatures::from_nonce(text(&nonce)), Some(FEATURES));
        assert!(nonces.is_valid(now, client, text(&nonce)));
        assert!(nonces.is_valid(now, "198.51.100.77".parse().unwrap(), text(&nonce)));
        assert!(!nonces.is_valid(now, "198.51.101.9".parse().unwrap(), text(&nonce)));
        assert!(!nonces.is_valid(now, "::ffff:198.51.101.9".parse().unwrap(), text(&nonce)));
        assert!(nonces.is_valid(now + Duration::from_secs(600), client, text(&nonce)));
        assert!(!nonces.is_valid(now + Duration::from_secs(601), client, text(&nonce)));
        let mut other = Nonces::new(&[8; 32], FEATURES, Duration::from_secs(600), now);
        other.make(now + Duration::from_secs(1), client);
        assert!(!other.is_valid(now, client, text(&nonce)));
    }

    #[test]
    fn no_two_are_the_same() {
        let now = Instant::now();
        let mut nonces = Nonces::new(&[7; 32], FEATURES, Duration::from_secs(600), now);
        let made: std::collections::BTreeSet<_> = (0..1000)
            .map(|n| nonces.make(now, IpAddr::from([10, 0, 0, n as u8])))
            .collect();
        assert_eq!(made.len(), 1000);
    }

    #[test]
    fn nonces_that_a_flood_makes_do_not_last_longer() {
        let start = Instant::now();
        let mut nonces = Nonces::new(&[7; 32], FEATURES, Duration::from_secs(1), start);
        let client: IpAddr = "198.51.100.9".parse().unwrap();
        // Hundred thousand a second for a second.
        let mut now = start;
        for n in 0..100_000_u32 {
            now = start + Duration::from_micros(10) * n;
            nonces.make(now, client);
        }
        let nonce = nonces.make(now, client);
        assert!(nonces.is_valid(now + Duration::from_secs(1), client, text(&nonce)));
        assert!(!nonces.is_valid(now + Duration::from_millis(1001), client, text(&nonce)));
    }

    #[test]
    fn a_changed_nonce_is_none() {
        let now = Instant::now();
        let mut nonces = Nonces::new(&[7; 32], FEATURES, Duration::from_secs(600), now);
        let client: IpAddr = "2001:db8::9".parse().unwrap();
        let nonce = nonces.make(now, client);
        for at in 0..nonce.len() {
            let mut changed = nonce;
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            if changed != nonce {
                assert!(!nonces.is_valid(now, client, text(&changed)), "byte {at}");
            }
            assert!(!nonces.is_valid(now, client, text(&nonce[..at])));
        }
        // The cookie is covered too: features cannot be taken away, nor the cookie (RFC 8489 §9.2.1).
        assert!(!nonces.is_valid(now, client, &text(&nonce)[13..]));
    }
}
