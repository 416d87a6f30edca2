//! Key derivation (RFC 3711 §4.3, RFC 7714 §11) with a key derivation rate of 0: session keys are made once.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use simd::AesCtr;
use zeroize::Zeroizing;

use crate::{KeyAndSalt, SrtpProfile};

/// What a session key is for (RFC 3711 §4.3.1 and §4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Label {
    RtpEncryption = 0x00,
    RtpAuthentication = 0x01,
    RtpSalt = 0x02,
    RtcpEncryption = 0x03,
    RtcpAuthentication = 0x04,
    RtcpSalt = 0x05,
}

/// The labels of the three session keys of SRTP or of SRTCP.
#[derive(Debug, Clone, Copy)]
pub(super) struct Labels {
    pub(super) encryption: Label,
    pub(super) authentication: Label,
    pub(super) salt: Label,
}

impl Labels {
    pub(super) const RTP: Self = Self {
        encryption: Label::RtpEncryption,
        authentication: Label::RtpAuthentication,
        salt: Label::RtpSalt,
    };
    pub(super) const RTCP: Self = Self {
        encryption: Label::RtcpEncryption,
        authentication: Label::RtcpAuthentication,
        salt: Label::RtcpSalt,
    };
}

/// The first bytes of the pseudo-random function for `label`, as many as `out` is long: AES_CM_PRF (RFC 3711 §4.3.3),
/// with a 256-bit key AES_256_CM_PRF (RFC 6188 §3).
pub(super) fn derive(master: &KeyAndSalt, label: Label, out: &mut [u8]) {
    // The 96-bit salts of GCM take the high bytes of the 112 bits that the function wants.
    let mut salt = Zeroizing::new([0; 14]);
    for (to, from) in salt.iter_mut().zip(master.salt()) {
        *to = *from;
    }
    let cipher = match master.profile() {
        SrtpProfile::AeadAes128Gcm | SrtpProfile::Aes128CmHmacSha1_80 | SrtpProfile::Aes128CmHmacSha1_32 => {
            master.key().try_into().map(AesCtr::aes_128)
        }
        SrtpProfile::AeadAes256Gcm => master.key().try_into().map(AesCtr::aes_256),
    };
    let cipher = cipher.expect("KeyAndSalt holds a key of its profile's length");
    prf(&cipher, &salt, label, out);
}

fn prf(cipher: &AesCtr, salt: &[u8; 14], label: Label, out: &mut [u8]) {
    // x = label * 2^48 XOR master_salt; the counter block is x * 2^16.
    let salt = salt.iter().fold(0, |value, &byte| value << 8 | u128::from(byte));
    let x = u128::from(label as u8) << 48 ^ salt;
    out.fill(0);
    cipher.apply(x << 16, out);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;

    /// RFC 3711 §B.3.
    #[test]
    fn rfc_3711_vectors() {
        let master = KeyAndSalt::new(
            SrtpProfile::Aes128CmHmacSha1_80,
            &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            &hex("0EC675AD498AFEEBB6960B3AABE6"),
        )
        .unwrap();
        let mut key = [0; 16];
        derive(&master, Label::RtpEncryption, &mut key);
        assert_eq!(key[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        let mut salt = [0; 14];
        derive(&master, Label::RtpSalt, &mut salt);
        assert_eq!(salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        let mut auth = [0xee; 94];
        derive(&master, Label::RtpAuthentication, &mut auth);
        assert_eq!(
            auth[..],
            hex(
                "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
                 6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2"
            )
        );
    }

    /// RFC 6188 §7.2.
    #[test]
    fn rfc_6188_vectors() {
        let key = hex("f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6");
        let cipher = AesCtr::aes_256(&key.try_into().unwrap());
        let salt: [u8; 14] = hex("3b04803de51ee7c96423ab5b78d2").try_into().unwrap();
        let derive = |label, len| {
            let mut out = vec![0xee; len];
            prf(&cipher, &salt, label, &mut out);
            out
        };
        assert_eq!(
            derive(Label::RtpEncryption, 32),
            hex("5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4")
        );
        assert_eq!(derive(Label::RtpSalt, 14), hex("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(
            derive(Label::RtpAuthentication, 20),
            hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
        );
    }

    #[test]
    fn labels_are_apart_for_every_profile() {
        for profile in SrtpProfile::ALL {
            let master =
                KeyAndSalt::new(profile, &[7; 32][..profile.key_len()], &[9; 14][..profile.salt_len()]).unwrap();
            let labels = [
                Label::RtpEncryption,
                Label::RtpAuthentication,
                Label::RtpSalt,
                Label::RtcpEncryption,
                Label::RtcpAuthentication,
                Label::RtcpSalt,
            ];
            let mut seen = std::collections::BTreeSet::new();
            for label in labels {
                let mut out = [0; 32];
                derive(&master, label, &mut out);
                assert!(seen.insert(out), "{profile} {label:?}");
            }
        }
    }
}
