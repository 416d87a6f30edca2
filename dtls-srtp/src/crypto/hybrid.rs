//! X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): X25519 beside ML-KEM-768 (FIPS 203), so that traffic recorded today
//! stays closed to the quantum computers of tomorrow. The only place that knows `libcrux-ml-kem`.
//!
//! ML-KEM comes first in shares and in the secret. A client's share is an encapsulation key of 1184 bytes and 32 of
//! X25519, a server's a ciphertext of 1088 and 32; the secret is 32 and 32.

use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768KeyPair, MlKem768PublicKey};
use zeroize::Zeroizing;

use super::{CryptoError, KeyExchange, SharedSecret};

/// How much randomness [`HybridKeyExchange::start`] takes, in bytes; [`answer`] uses half of it.
pub(super) const RANDOM_LEN: usize = 64;

const X25519_LEN: usize = 32;
const ENCAPSULATION_KEY_LEN: usize = 1184;
const CIPHERTEXT_LEN: usize = 1088;

/// The client's side: two ephemeral keys.
pub(super) struct HybridKeyExchange {
    classical: Box<dyn KeyExchange>,
    /// On the heap: it has 3584 bytes.
    ml_kem: Box<MlKem768KeyPair>,
    share: Vec<u8>,
}

impl HybridKeyExchange {
    /// A fresh key of ML-KEM beside one of X25519.
    pub(super) fn start(classical: Box<dyn KeyExchange>, random: &[u8; RANDOM_LEN]) -> Result<Self, CryptoError> {
        let ml_kem = Box::new(mlkem768::generate_key_pair(*random));
        let share = [&ml_kem.pk()[..], classical.share()].concat();
        if share.len() != ENCAPSULATION_KEY_LEN + X25519_LEN {
            return Err(CryptoError::Failed);
        }
        Ok(Self {
            classical,
            ml_kem,
            share,
        })
    }
}

impl KeyExchange for HybridKeyExchange {
    fn share(&self) -> &[u8] {
        &self.share
    }

    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, CryptoError> {
        let (ciphertext, classical) = peer_share
            .split_first_chunk::<CIPHERTEXT_LEN>()
            .ok_or(CryptoError::InvalidShare)?;
        let classical = self.classical.complete(classical)?;
        // FIPS 203 §6.3: a ciphertext that was not made for this key gives a secret that the peer does not have.
        let ciphertext = MlKem768Ciphertext::from(ciphertext);
        let quantum = Zeroizing::new(mlkem768::decapsulate(self.ml_kem.private_key(), &ciphertext));
        Ok(joined(&quantum, &classical))
    }
}

/// The server's side: encapsulates to the client's key, and makes its own of X25519.
pub(super) fn answer(
    ours: Box<dyn KeyExchange>,
    peer_share: &[u8],
    random: &[u8; RANDOM_LEN],
) -> Result<(Vec<u8>, SharedSecret), CryptoError> {
    let (encapsulation_key, classical) = peer_share
        .split_first_chunk::<ENCAPSULATION_KEY_LEN>()
        .ok_or(CryptoError::InvalidShare)?;
    let encapsulation_key = MlKem768PublicKey::from(encapsulation_key);
    // FIPS 203 §7.2: the check of the key's encoding is ours to make.
    if !mlkem768::validate_public_key(&encapsulation_key) {
        return Err(CryptoError::InvalidShare);
    }
    let (random, _) = random.split_first_chunk().ok_or(CryptoError::Failed)?;
    let (ciphertext, quantum) = mlkem768::encapsulate(&encapsulation_key, *random);
    let quantum = Zeroizing::new(quantum);
    let share = [&ciphertext.as_slice()[..], ours.share()].concat();
    let classical = ours.complete(classical)?;
    Ok((share, joined(&quantum, &classical)))
}

fn joined(quantum: &[u8; 32], classical: &SharedSecret) -> SharedSecret {
    SharedSecret::new([&quantum[..], classical.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use ml_kem::kem::{Decapsulate, Encapsulate, Kem, KeyExport};
    use ml_kem::{EncapsulationKey, MlKem768};
    use wire::Seed;

    use super::*;
    use crate::crypto::{Crypto, RingCrypto};
    use crate::registry::NamedGroup;

    const SEED: Seed = Seed([7; 32]);

    fn x25519() -> Box<dyn KeyExchange> {
        RingCrypto::new().start_key_exchange(NamedGroup::X25519, &SEED).unwrap()
    }

    #[test]
    fn another_implementation_answers_our_share() {
        let ours = Box::new(HybridKeyExchange::start(x25519(), &[9; RANDOM_LEN]).unwrap());
        let (key, classical) = ours.share.split_first_chunk::<ENCAPSULATION_KEY_LEN>().unwrap();
        let key = EncapsulationKey::<MlKem768>::new(key.into()).unwrap();
        let (ciphertext, quantum) = key.encapsulate();
        let theirs = x25519();
        let share = [&ciphertext[..], theirs.share()].concat();
        let expected = [&quantum[..], theirs.complete(classical).unwrap().as_bytes()].concat();
        assert_eq!(ours.complete(&share).unwrap().as_bytes(), expected);
    }

    #[test]
    fn we_answer_the_share_of_another_implementation() {
        let (decapsulation, encapsulation) = MlKem768::generate_keypair();
        let theirs = x25519();
        let share = [&encapsulation.to_bytes()[..], theirs.share()].concat();
        let (answer, secret) = answer(x25519(), &share, &[3; RANDOM_LEN]).unwrap();
        let (ciphertext, classical) = answer.split_first_chunk::<CIPHERTEXT_LEN>().unwrap();
        let quantum = decapsulation.decapsulate(ciphertext.into());
        let expected = [&quantum[..], theirs.complete(classical).unwrap().as_bytes()].concat();
        assert_eq!((answer.len(), secret.as_bytes()), (1120, &expected[..]));
    }

    #[test]
    fn a_key_that_is_not_canonical_is_refused() {
        let mut share = HybridKeyExchange::start(x25519(), &[9; RANDOM_LEN]).unwrap().share;
        // Coefficients are numbers below 3329, of twelve bits each (FIPS 203 §7.2).
        share[..3].fill(0xff);
        let refused = answer(x25519(), &share, &[3; RANDOM_LEN]).map(|(share, _)| share);
        assert_eq!(refused, Err(CryptoError::InvalidShare));
    }
}
