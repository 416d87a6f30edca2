use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The key of a credential, as HMAC states that have already taken the key in: made once per peer, used per message,
/// erased when dropped.
///
/// The texts that go in must have been processed with the OpaqueString profile (RFC 8265); for ASCII without control
/// characters, as ICE's credentials are, that changes nothing.
#[derive(Clone)]
pub struct Key {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
}

impl Key {
    /// The key of a short-term credential (RFC 8489 §9.1.1).
    pub fn short_term(password: &str) -> Self {
        Self::from_bytes(password.as_bytes())
    }

    /// The key of a long-term credential with MD5, the default (RFC 8489 §9.2.2).
    pub fn long_term_md5(username: &str, realm: &str, password: &str) -> Self {
        let hash = Md5::new()
            .chain_update(username)
            .chain_update(":")
            .chain_update(realm)
            .chain_update(":")
            .chain_update(password);
        Self::from_bytes(&hash.finalize())
    }

    /// The key of a long-term credential with SHA-256 (RFC 8489 §18.5.1.2).
    pub fn long_term_sha256(username: &str, realm: &str, password: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(username)
            .chain_update(":")
            .chain_update(realm)
            .chain_update(":")
            .chain_update(password);
        Self::from_bytes(&hash.finalize())
    }

    /// A key as a password database keeps it: 16 bytes for MD5, "H(A1)", or 32 for SHA-256.
    pub fn from_bytes(key: &[u8]) -> Self {
        Self {
            sha1: keyed(key),
            sha256: keyed(key),
        }
    }

    pub(crate) fn sha1(&self, message_length: u16, message: &[u8]) -> [u8; 20] {
        mac(self.sha1.clone(), message_length, message).into()
    }

    pub(crate) fn sha256(&self, message_length: u16, message: &[u8]) -> [u8; 32] {
        mac(self.sha256.clone(), message_length, message).into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    // HMAC takes keys of any length (RFC 2104 §2), so this never fails.
    M::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// HMAC of a message's beginning, with the header's length field replaced (RFC 8489 §14.5).
fn mac<M: Mac>(mut mac: M, message_length: u16, message: &[u8]) -> hmac::digest::Output<M> {
    let [l0, l1] = message_length.to_be_bytes();
    // The first block is patched in a copy, so that the hash takes whole blocks and buffers nothing.
    if let Some((first, rest)) = message.split_first_chunk::<64>() {
        let mut block = *first;
        let [_, _, b2, b3, ..] = &mut block;
        (*b2, *b3) = (l0, l1);
        mac.update(&block);
        mac.update(rest);
    } else if let Some((&[t0, t1, _, _], rest)) = message.split_first_chunk::<4>() {
        mac.update(&[t0, t1, l0, l1]);
        mac.update(rest);
    }
    mac.finalize().into_bytes()
}

/// What USERHASH carries in place of a username (RFC 8489 §14.4).
pub fn userhash(username: &str, realm: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(username)
        .chain_update(":")
        .chain_update(realm)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_term_key_is_that_of_the_rfc() {
        // RFC 8489 §9.2.2: user, realm, pass.
        let key = Key::long_term_md5("user", "realm", "pass");
        let known = Key::from_bytes(&0x8493_fbc5_3ba5_82fb_4c04_4c45_6bdc_40eb_u128.to_be_bytes());
        assert_eq!(key.sha1(0, &[0; 20]), known.sha1(0, &[0; 20]));
        assert_ne!(key.sha1(0, &[0; 20]), Key::short_term("pass").sha1(0, &[0; 20]));
    }

    #[test]
    fn short_and_long_messages_take_the_same_way() {
        // The patched first block must give what byte-wise hashing gives, on both sides of 64 bytes.
        let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
        for len in [20, 60, 64, 68, 128, 200] {
            let message: std::vec::Vec<u8> = (0..len).collect();
            let mut patched = message.clone();
            patched[2..4].copy_from_slice(&0xabcd_u16.to_be_bytes());
            let mut plain = key.sha1.clone();
            plain.update(&patched);
            assert_eq!(key.sha1(0xabcd, &message)[..], plain.finalize().into_bytes()[..]);
            let mut plain = key.sha256.clone();
            plain.update(&patched);
            assert_eq!(key.sha256(0xabcd, &message)[..], plain.finalize().into_bytes()[..]);
        }
    }

    /// RFC 8489 appendix B.1. Its length field says 0x9c, the length of the whole message, where 0x88 would be right
    /// (without the header), and its HMAC was computed with that. So it does not parse, but the key and the HMAC can be
    /// compared.
    const SAMPLE_SHA256_REQUEST: &str = "0001009c2112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415\
         569e60b205c46e41407f1704001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33\
         346f4c394653547679363473410000000014000b6578616d706c652e6f726700001c0020e4686c8f0edeb590\
         13e07090010a93efccbccc544c0a45d9f830aa6d6f735a01";

    #[test]
    fn the_sample_with_sha256_and_userhash() {
        let bytes: std::vec::Vec<u8> = (0..SAMPLE_SHA256_REQUEST.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&SAMPLE_SHA256_REQUEST[at..at + 2], 16).unwrap())
            .collect();
        let (covered, attribute) = bytes.split_at(bytes.len() - 36);
        let (username, realm) = ("\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}", "example.org");
        let key = Key::long_term_sha256(username, realm, "TheMatrIX");
        assert_eq!(key.sha256(0x9c, covered)[..], attribute[4..]);

        let mut corrected = bytes.clone();
        corrected[3] = 0x88;
        assert!(crate::Message::parse(&bytes).is_err());
        let message = crate::Message::parse(&corrected).unwrap();
        assert_eq!(message.userhash(), Ok(Some(&userhash(username, realm))));
        assert_eq!(message.realm(), Ok(Some(realm)));
        assert_eq!(message.nonce(), Ok(Some("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")));
        assert_eq!(
            message.verify_integrity(&key).err(),
            Some(crate::IntegrityError::Mismatch)
        );
    }

    #[test]
    fn debug_does_not_tell_the_key() {
        assert_eq!(std::format!("{:?}", Key::short_term("secret")), "Key(..)");
    }
}
