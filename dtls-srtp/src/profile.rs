use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::mki::Mki;

wire::registry! {
    /// DTLS-SRTP protection profiles as they stand in `use_srtp` (RFC 5764 §4.1.2, RFC 7714 §14.2), known to us or not.
    pub struct ProtectionProfile(u16) {
        /// RFC 5764 §4.1.2.
        SRTP_AES128_CM_HMAC_SHA1_80 = 0x0001 => "SRTP_AES128_CM_HMAC_SHA1_80",
        /// RFC 5764 §4.1.2.
        SRTP_AES128_CM_HMAC_SHA1_32 = 0x0002 => "SRTP_AES128_CM_HMAC_SHA1_32",
        /// RFC 5764 §4.1.2.
        SRTP_NULL_HMAC_SHA1_80 = 0x0005 => "SRTP_NULL_HMAC_SHA1_80",
        /// RFC 5764 §4.1.2.
        SRTP_NULL_HMAC_SHA1_32 = 0x0006 => "SRTP_NULL_HMAC_SHA1_32",
        /// RFC 7714 §14.2.
        SRTP_AEAD_AES_128_GCM = 0x0007 => "SRTP_AEAD_AES_128_GCM",
        /// RFC 7714 §14.2.
        SRTP_AEAD_AES_256_GCM = 0x0008 => "SRTP_AEAD_AES_256_GCM",
    }
}

/// A protection profile that this crate can seal and open: a closed set, so that every match over it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SrtpProfile {
    /// AES-128 in Galois/counter mode with 16-byte tags (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode with 16-byte tags (RFC 7714).
    AeadAes256Gcm,
    /// AES-128 in counter mode with HMAC-SHA1, tags of 10 bytes (RFC 3711).
    Aes128CmHmacSha1_80,
    /// The same with tags of 4 bytes on SRTP, and of 10 on SRTCP (RFC 5764 §4.1.2). Somebody who sends 2^32 forgeries gets
    /// one through, so that it is offered and accepted only where a configuration names it.
    Aes128CmHmacSha1_32,
}

impl SrtpProfile {
    /// The profiles of WebRTC, in the order in which we prefer them: GCM costs less than a third of what AES-CM with
    /// HMAC-SHA1 does. RFC 8827 §6.5 asks for [`Aes128CmHmacSha1_80`](Self::Aes128CmHmacSha1_80).
    pub const WEBRTC: [Self; 3] = [Self::AeadAes128Gcm, Self::AeadAes256Gcm, Self::Aes128CmHmacSha1_80];

    /// Every profile: those of [`WEBRTC`](Self::WEBRTC), and then the one with short tags.
    pub const ALL: [Self; 4] = [
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
        Self::Aes128CmHmacSha1_80,
        Self::Aes128CmHmacSha1_32,
    ];

    /// The registered number.
    pub const fn id(self) -> ProtectionProfile {
        match self {
            Self::AeadAes128Gcm => ProtectionProfile::SRTP_AEAD_AES_128_GCM,
            Self::AeadAes256Gcm => ProtectionProfile::SRTP_AEAD_AES_256_GCM,
            Self::Aes128CmHmacSha1_80 => ProtectionProfile::SRTP_AES128_CM_HMAC_SHA1_80,
            Self::Aes128CmHmacSha1_32 => ProtectionProfile::SRTP_AES128_CM_HMAC_SHA1_32,
        }
    }

    /// The profile with this number, if we have it.
    pub const fn from_id(id: ProtectionProfile) -> Option<Self> {
        match id {
            ProtectionProfile::SRTP_AEAD_AES_128_GCM => Some(Self::AeadAes128Gcm),
            ProtectionProfile::SRTP_AEAD_AES_256_GCM => Some(Self::AeadAes256Gcm),
            ProtectionProfile::SRTP_AES128_CM_HMAC_SHA1_80 => Some(Self::Aes128CmHmacSha1_80),
            ProtectionProfile::SRTP_AES128_CM_HMAC_SHA1_32 => Some(Self::Aes128CmHmacSha1_32),
            _ => None,
        }
    }

    /// Length of the master key, in bytes (RFC 5764 §4.1.2, RFC 7714 §14.2).
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Length of the master salt, in bytes (RFC 5764 §4.1.2, RFC 7714 §14.2).
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 => 14,
        }
    }

    /// Bytes that sealing adds to an RTP packet: the tag.
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::Aes128CmHmacSha1_80 => 10,
            Self::Aes128CmHmacSha1_32 => 4,
        }
    }

    /// Bytes that sealing adds to a compound RTCP packet: the tag, and the word of E bit and index.
    pub const fn rtcp_overhead(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16 + 4,
            // RFC 5764 §4.1.2: the short tag is that of SRTP alone.
            Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 => 10 + 4,
        }
    }

    /// How many bytes the exporter gives for both directions (RFC 5764 §4.2).
    pub const fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }
}

impl fmt::Display for SrtpProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}

/// The master key and master salt of one direction (RFC 3711 §3.2.1), bound to the profile that they are for, so that
/// SRTP cannot be given the one with the other. There is one of each, since two sealers of one key would use nonces
/// twice. Erased when dropped.
pub struct KeyAndSalt {
    profile: SrtpProfile,
    // Room for the longest; bytes beyond the profile's lengths are zero.
    key: [u8; 32],
    salt: [u8; 14],
    mki: Option<Mki>,
}

impl KeyAndSalt {
    /// A key and a salt for `profile`; `None` when a length is not the profile's.
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Option<Self> {
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return None;
        }
        let mut this = Self {
            profile,
            key: [0; 32],
            salt: [0; 14],
            mki: None,
        };
        this.key.get_mut(..key.len())?.copy_from_slice(key);
        this.salt.get_mut(..salt.len())?.copy_from_slice(salt);
        Some(this)
    }

    /// The same key with an identifier, which then stands in each packet (RFC 3711 §3.1), or without one.
    #[must_use]
    pub fn with_mki(mut self, mki: Option<Mki>) -> Self {
        self.mki = mki;
        self
    }

    /// The identifier that stands in each packet, if one does.
    pub const fn mki(&self) -> Option<Mki> {
        self.mki
    }

    /// The profile that key and salt are for.
    pub const fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// The master key.
    pub fn key(&self) -> &[u8] {
        self.key.get(..self.profile.key_len()).unwrap_or_default()
    }

    /// The master salt.
    pub fn salt(&self) -> &[u8] {
        self.salt.get(..self.profile.salt_len()).unwrap_or_default()
    }
}

impl PartialEq for KeyAndSalt {
    fn eq(&self, other: &Self) -> bool {
        (self.profile, self.mki) == (other.profile, other.mki)
            && bool::from(self.key().ct_eq(other.key()) & self.salt().ct_eq(other.salt()))
    }
}

impl Eq for KeyAndSalt {}

impl Drop for KeyAndSalt {
    fn drop(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
    }
}

impl fmt::Debug for KeyAndSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "KeyAndSalt({} + {} bytes)",
            self.profile.key_len(),
            self.profile.salt_len()
        )
    }
}

/// What RFC 5764 §4.2 takes from the exporter, sorted by who seals with it.
#[derive(Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// The negotiated profile.
    pub profile: SrtpProfile,
    /// What we seal with.
    pub local: KeyAndSalt,
    /// What the peer seals with.
    pub remote: KeyAndSalt,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back() {
        for profile in SrtpProfile::ALL {
            assert_eq!(SrtpProfile::from_id(profile.id()), Some(profile));
        }
        assert_eq!(SrtpProfile::from_id(ProtectionProfile::SRTP_NULL_HMAC_SHA1_80), None);
        assert_eq!(SrtpProfile::AeadAes128Gcm.keying_material_len(), 56);
        assert_eq!(SrtpProfile::AeadAes256Gcm.keying_material_len(), 88);
        assert_eq!(SrtpProfile::Aes128CmHmacSha1_80.keying_material_len(), 60);
        assert_eq!(SrtpProfile::Aes128CmHmacSha1_32.keying_material_len(), 60);
    }

    /// RFC 5764 §4.1.2 and RFC 7714 §12.
    #[test]
    fn overheads_are_those_of_the_profile() {
        let overheads = SrtpProfile::ALL.map(|profile| (profile.rtp_overhead(), profile.rtcp_overhead()));
        assert_eq!(overheads, [(16, 20), (16, 20), (10, 14), (4, 14)]);
    }

    /// RFC 8827 §6.5 names the profile that has to be there, and does not name the one with short tags.
    #[test]
    fn webrtc_has_no_short_tags() {
        assert!(SrtpProfile::WEBRTC.contains(&SrtpProfile::Aes128CmHmacSha1_80));
        assert!(!SrtpProfile::WEBRTC.contains(&SrtpProfile::Aes128CmHmacSha1_32));
        assert!(
            SrtpProfile::WEBRTC
                .iter()
                .all(|profile| SrtpProfile::ALL.contains(profile))
        );
    }

    #[test]
    fn lengths_must_be_the_profiles() {
        assert!(KeyAndSalt::new(SrtpProfile::AeadAes128Gcm, &[1; 16], &[2; 14]).is_none());
        let keys = KeyAndSalt::new(SrtpProfile::AeadAes128Gcm, &[1; 16], &[2; 12]).unwrap();
        assert_eq!((keys.key(), keys.salt()), (&[1; 16][..], &[2; 12][..]));
        assert_eq!(format!("{keys:?}"), "KeyAndSalt(16 + 12 bytes)");
    }
}
