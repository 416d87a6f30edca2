use core::fmt;

use aes::cipher::{InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128Enc, Aes256Enc};
use ctr::{Ctr128BE, CtrCore};

use crate::path::{AesKind, AesPath};
#[cfg(target_arch = "x86_64")]
use crate::x86::aes::RoundKeys;

/// The key schedule of AES-128 or AES-256, for counter mode: made once, used for any number of packets, erased when
/// dropped.
///
/// The counter block is all of 128 bits, big-endian, and wraps around. Whoever uses one counter block under one key for two
/// plaintexts gives their difference away.
pub struct AesCtr(Schedule);

enum Schedule {
    Portable128(Aes128Enc),
    Portable256(Aes256Enc),
    #[cfg(target_arch = "x86_64")]
    AesNi128(RoundKeys<11>),
    #[cfg(target_arch = "x86_64")]
    AesNi256(RoundKeys<15>),
    #[cfg(target_arch = "x86_64")]
    Vaes128(RoundKeys<11>),
    #[cfg(target_arch = "x86_64")]
    Vaes256(RoundKeys<15>),
}

impl AesCtr {
    /// AES-128.
    pub fn aes_128(key: &[u8; 16]) -> Self {
        Self::aes_128_by(AesPath::best(), key)
    }

    /// AES-256.
    pub fn aes_256(key: &[u8; 32]) -> Self {
        Self::aes_256_by(AesPath::best(), key)
    }

    /// AES-128 in chosen instructions, to compare them.
    pub fn aes_128_by(path: AesPath, key: &[u8; 16]) -> Self {
        Self(match path.kind() {
            AesKind::Portable => Schedule::Portable128(Aes128Enc::new(key.into())),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a path of this kind exists only where `aes` and `sse4.1` were detected.
            AesKind::AesNi => Schedule::AesNi128(unsafe { RoundKeys::expand_128(key) }),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            AesKind::Vaes => Schedule::Vaes128(unsafe { RoundKeys::expand_128(key) }),
        })
    }

    /// AES-256 in chosen instructions, to compare them.
    pub fn aes_256_by(path: AesPath, key: &[u8; 32]) -> Self {
        Self(match path.kind() {
            AesKind::Portable => Schedule::Portable256(Aes256Enc::new(key.into())),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a path of this kind exists only where `aes` and `sse4.1` were detected.
            AesKind::AesNi => Schedule::AesNi256(unsafe { RoundKeys::expand_256(key) }),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            AesKind::Vaes => Schedule::Vaes256(unsafe { RoundKeys::expand_256(key) }),
        })
    }

    /// Enciphers or deciphers `data` in place; `counter` is the first counter block.
    #[inline]
    pub fn apply(&self, counter: u128, data: &mut [u8]) {
        match &self.0 {
            Schedule::Portable128(cipher) => stream(cipher, counter).apply_keystream(data),
            Schedule::Portable256(cipher) => stream(cipher, counter).apply_keystream(data),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a schedule of this kind is made only by a path that exists only where `aes` and `sse4.1` were
            // detected.
            Schedule::AesNi128(keys) => unsafe { keys.apply_aes_ni(counter, data) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Schedule::AesNi256(keys) => unsafe { keys.apply_aes_ni(counter, data) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, with `vaes` and `avx2`.
            Schedule::Vaes128(keys) => unsafe { keys.apply_vaes(counter, data) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, with `vaes` and `avx2`.
            Schedule::Vaes256(keys) => unsafe { keys.apply_vaes(counter, data) },
        }
    }

    /// Enciphers or deciphers what lies in `from` into `to`.
    ///
    /// # Errors
    /// [`LengthMismatch`] when the two are not of the same length; then `to` is unchanged.
    #[inline]
    pub fn apply_into(&self, counter: u128, from: &[u8], to: &mut [u8]) -> Result<(), LengthMismatch> {
        if from.len() != to.len() {
            return Err(LengthMismatch);
        }
        match &self.0 {
            Schedule::Portable128(cipher) => stream(cipher, counter).apply_keystream_b2b(from, to),
            Schedule::Portable256(cipher) => stream(cipher, counter).apply_keystream_b2b(from, to),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a schedule of this kind is made only by a path that exists only where `aes` and `sse4.1` were
            // detected.
            Schedule::AesNi128(keys) => unsafe { keys.apply_into_aes_ni(counter, from, to) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Schedule::AesNi256(keys) => unsafe { keys.apply_into_aes_ni(counter, from, to) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, with `vaes` and `avx2`.
            Schedule::Vaes128(keys) => unsafe { keys.apply_into_vaes(counter, from, to) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, with `vaes` and `avx2`.
            Schedule::Vaes256(keys) => unsafe { keys.apply_into_vaes(counter, from, to) },
        }
        Ok(())
    }
}

fn stream<C>(cipher: &C, counter: u128) -> Ctr128BE<&C>
where
    for<'a> Ctr128BE<&'a C>: StreamCipher,
    C: aes::cipher::BlockCipherEncrypt + aes::cipher::BlockSizeUser<BlockSize = aes::cipher::consts::U16>,
{
    Ctr128BE::from_core(CtrCore::inner_iv_init(cipher, &counter.to_be_bytes().into()))
}

impl fmt::Debug for AesCtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Schedule::Portable128(_) => "AesCtr(AES-128, portable)",
            Schedule::Portable256(_) => "AesCtr(AES-256, portable)",
            #[cfg(target_arch = "x86_64")]
            Schedule::AesNi128(_) => "AesCtr(AES-128, AES-NI)",
            #[cfg(target_arch = "x86_64")]
            Schedule::AesNi256(_) => "AesCtr(AES-256, AES-NI)",
            #[cfg(target_arch = "x86_64")]
            Schedule::Vaes128(_) => "AesCtr(AES-128, VAES)",
            #[cfg(target_arch = "x86_64")]
            Schedule::Vaes256(_) => "AesCtr(AES-256, VAES)",
        })
    }
}

/// The plaintext and the room for the ciphertext have not the same length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthMismatch;

impl fmt::Display for LengthMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counter mode changes no length; give as many bytes of room as there are bytes to encipher")
    }
}

impl core::error::Error for LengthMismatch {}
