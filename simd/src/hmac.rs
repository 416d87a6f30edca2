use core::fmt;

use ::hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::path::{Sha1Kind, Sha1Path};
#[cfg(target_arch = "x86_64")]
use crate::x86::sha1::HashStates;

/// How many messages [`HmacSha1::mac_each`] takes at once. Six were tried and gained nothing over four.
pub const MAX_LANES: usize = 4;

/// A key of HMAC-SHA1 (RFC 2104), as the two hash states that it begins with (§4): made once, used for any number of
/// messages, erased when dropped.
pub struct HmacSha1(States);

enum States {
    Portable(Box<Hmac<Sha1>>),
    #[cfg(target_arch = "x86_64")]
    ShaNi(HashStates),
}

/// A message with the key that it is authenticated by.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a, const S: usize> {
    /// The key.
    pub key: &'a HmacSha1,
    /// The message, of any length.
    pub bytes: &'a [u8],
    /// What is authenticated behind the message though it lies elsewhere, such as a rollover counter (RFC 3711 §4.2). At
    /// most 32 bytes; often none.
    pub suffix: [u8; S],
}

impl HmacSha1 {
    /// A key of any length.
    pub fn new(key: &[u8]) -> Self {
        Self::new_by(Sha1Path::best(), key)
    }

    /// A key of any length, in chosen instructions, to compare them.
    pub fn new_by(path: Sha1Path, key: &[u8]) -> Self {
        Self(match path.kind() {
            Sha1Kind::Portable => States::Portable(Box::new(
                Hmac::new_from_slice(key).expect("HMAC takes a key of any length"),
            )),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a path of this kind exists only where `sha`, `ssse3` and `sse4.1` were detected.
            Sha1Kind::ShaNi => States::ShaNi(unsafe { HashStates::new(key) }),
        })
    }

    /// All 20 bytes for one message. A shorter tag is their beginning (RFC 2104 §5).
    #[inline]
    pub fn mac<const S: usize>(&self, bytes: &[u8], suffix: [u8; S]) -> [u8; 20] {
        let [mac] = Self::mac_each([Message {
            key: self,
            bytes,
            suffix,
        }]);
        mac
    }

    /// All 20 bytes for each of up to [`MAX_LANES`] messages, which are hashed side by side: each of four
    /// of the same length costs from half of what it does alone (Zen 3) to four fifths (Emerald Rapids). They may be of any lengths; where a short one ends, the others go on.
    #[inline]
    pub fn mac_each<const N: usize, const S: usize>(messages: [Message<'_, S>; N]) -> [[u8; 20]; N] {
        const { assert!(N >= 1 && N <= MAX_LANES, "one to four messages") };
        const { assert!(S <= 32, "a suffix is at most 32 bytes long") };
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = hash_states(&messages) {
            // SAFETY: states of this kind are made only by a path that exists only where `sha`, `ssse3` and `sse4.1` were
            // detected.
            return unsafe { HashStates::mac_each(lanes, &messages) };
        }
        messages.map(|message| message.mac())
    }
}

impl<const S: usize> Message<'_, S> {
    /// The message alone, for keys that cannot be worked with side by side.
    fn mac(&self) -> [u8; 20] {
        match &self.key.0 {
            States::Portable(states) => {
                let mut mac = (**states).clone();
                mac.update(self.bytes);
                mac.update(&self.suffix);
                mac.finalize().into_bytes().0
            }
            #[cfg(target_arch = "x86_64")]
            States::ShaNi(states) => {
                // SAFETY: states of this kind are made only by a path that exists only where `sha`, `ssse3` and `sse4.1`
                // were detected.
                let [mac] = unsafe { HashStates::mac_each([states], &[*self]) };
                mac
            }
        }
    }
}

/// The states of all messages, if they are all of the kind that takes several.
#[cfg(target_arch = "x86_64")]
#[inline]
fn hash_states<'a, const N: usize, const S: usize>(messages: &[Message<'a, S>; N]) -> Option<[&'a HashStates; N]> {
    let of = |message: &Message<'a, S>| match &message.key.0 {
        States::ShaNi(states) => Some(states),
        States::Portable(_) => None,
    };
    let mut states = [of(messages.first()?)?; N];
    for (states, message) in states.iter_mut().zip(messages) {
        *states = of(message)?;
    }
    Some(states)
}

impl fmt::Debug for HmacSha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            States::Portable(_) => "HmacSha1(portable)",
            #[cfg(target_arch = "x86_64")]
            States::ShaNi(_) => "HmacSha1(SHA-NI)",
        })
    }
}
