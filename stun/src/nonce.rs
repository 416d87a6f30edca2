/// What a nonce begins with when the server speaks RFC 8489: "obMatJos2" and four characters of base64 (§9.2).
const COOKIE: &str = "obMatJos2";

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The STUN Security Features that a nonce announces (RFC 8489 §9.2, §18.1), against bid-down attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecurityFeatures {
    /// Bit 0: the server offers PASSWORD-ALGORITHMS.
    pub password_algorithms: bool,
    /// Bit 1: the server takes USERHASH.
    pub username_anonymity: bool,
}

impl SecurityFeatures {
    /// Length of the nonce cookie in bytes.
    pub const COOKIE_LEN: usize = 13;

    /// Reads the nonce cookie; `None` when the nonce has none, as with servers older than RFC 8489.
    pub fn from_nonce(nonce: &str) -> Option<Self> {
        let encoded = nonce.strip_prefix(COOKIE)?.as_bytes().first_chunk::<4>()?;
        let mut bits = 0_u32;
        for &character in encoded {
            let digit = BASE64.iter().position(|&known| known == character)?;
            bits = (bits << 6) | u32::try_from(digit).ok()?;
        }
        Some(Self {
            password_algorithms: bits & 0x80_0000 != 0,
            username_anonymity: bits & 0x40_0000 != 0,
        })
    }

    /// The nonce cookie, to be put before the server's own nonce.
    pub fn to_cookie(self) -> [u8; Self::COOKIE_LEN] {
        let mut cookie = *b"obMatJos2AAAA";
        // Only the two highest of 24 bits are assigned: all of the first base64 digit but its lower four bits.
        let digit = usize::from(self.password_algorithms) << 5 | usize::from(self.username_anonymity) << 4;
        if let (Some(place), Some(&character)) = (cookie.get_mut(COOKIE.len()), BASE64.get(digit)) {
            *place = character;
        }
        cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_and_written() {
        for password_algorithms in [false, true] {
            for username_anonymity in [false, true] {
                let features = SecurityFeatures {
                    password_algorithms,
                    username_anonymity,
                };
                let cookie = features.to_cookie();
                let mut nonce = std::string::String::from_utf8(cookie.to_vec()).unwrap();
                nonce.push_str("anything");
                assert_eq!(SecurityFeatures::from_nonce(&nonce), Some(features));
            }
        }
        // RFC 8489 appendix B.1 has both features unset.
        assert_eq!(
            SecurityFeatures::from_nonce("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"),
            Some(SecurityFeatures::default())
        );
        assert_eq!(SecurityFeatures::from_nonce("f//499k954d6OL34oL9FSTvy64sA"), None);
        assert_eq!(SecurityFeatures::from_nonce("obMatJos2AA"), None);
        assert_eq!(SecurityFeatures::from_nonce("obMatJos2AA=A"), None);
        assert_eq!(SecurityFeatures::from_nonce("obMatJos2\u{e9}\u{e9}"), None);
    }
}
