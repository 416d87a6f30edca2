//! AES in counter mode (SP 800-38A §6.5) and HMAC-SHA1 (RFC 2104) for packets, several at once, and CRC32c.
//!
//! - [`AesCtr`]: a key schedule of AES-128 or AES-256. Its pass over a payload that lies elsewhere is also the copy.
//! - [`HmacSha1`]: the two hash states that a key begins with. [`HmacSha1::mac_each`] authenticates up to four messages side by
//!   side in less time than one after the other: SHA-1 is one long chain of dependent instructions, and a core that follows one chain has room for
//!   others.
//! - [`crc32c`]: the checksum of SCTP (RFC 9260 §6.8).
//! - [`AesPath`], [`Sha1Path`]: which instructions do it. The best that the machine has are found at run time; on other
//!   architectures, and on old machines, it is the portable path, which is RustCrypto's.
//!
//! Only counters and keys are known here: nothing of packets, nonces or tags' lengths. Nobody is kept from using a counter
//! twice; that is for the caller.
//!
//! All secrets are erased when they are dropped; copies that the compiler leaves in registers and on the stack are not.
//! No branch and no address depends on a secret: AES and SHA-1 run in instructions of constant time, or in RustCrypto's
//! bit-sliced code.

mod counter;
mod crc32c;
mod hmac;
mod path;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use counter::{AesCtr, LengthMismatch};
pub use crc32c::crc32c;
pub use hmac::{HmacSha1, MAX_LANES, Message};
pub use path::{AesPath, Sha1Path};
