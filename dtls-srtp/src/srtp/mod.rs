//! SRTP and SRTCP (RFC 3711) with AES-GCM (RFC 7714) or AES-CM and HMAC-SHA1: a filter without timers.
//!
//! - [`Sealer`]: protects what we send. Streams are added once and then named by a dense [`StreamHandle`]; the caller
//!   keeps each stream's 48-bit packet index. Sealing the same index twice is refused: a nonce is used once.
//! - [`seal_rtp_each`]: seals a packet for each of several receivers, side by side where that is cheaper.
//! - [`Opener`]: authenticates and decrypts what we receive, in place; it keeps each source's rollover counter and
//!   replay windows.
//! - Cryptex (RFC 9335), which encrypts CSRCs and header extensions too, is a switch of both
//!   ([`Sealer::set_cryptex`], [`Opener::set_cryptex`]).
//! - [`Counters`]: what was refused, and why.
//!
//! One `Sealer` and one `Opener` serve all sources of one DTLS association; which addresses the packets use is not
//! known here.

mod batch;
mod counter_mode;
mod cryptex;
mod gcm;
mod header;
mod identifier;
mod kdf;
mod opener;
mod sealer;
mod source;
mod transform;
mod window;

pub use batch::{Outgoing, seal_rtp_each};
pub use opener::{OpenError, Opened, Opener};
pub use sealer::{SealError, Sealer, StreamError, StreamHandle};

wire::counters! {
    /// What a [`Sealer`] or an [`Opener`] refused. A clean call leaves all of them at 0.
    pub struct Counters {
        /// Packets not sealed because their index was sealed before, or lies so far back that this cannot be told.
        pub srtp_index_reuse,
        /// SRTP packets without a whole RTP header and tag.
        pub malformed_srtp,
        /// SRTCP packets without a whole RTCP header, tag and index.
        pub malformed_srtcp,
        /// SRTP packets without the identifier of our master key.
        pub srtp_unknown_mki,
        /// SRTCP packets without the identifier of our master key.
        pub srtcp_unknown_mki,
        /// SRTP packets whose tag is wrong.
        pub srtp_auth_failed,
        /// SRTCP packets whose tag is wrong.
        pub srtcp_auth_failed,
        /// SRTP packets that were received before.
        pub replayed_srtp,
        /// SRTCP packets that were received before.
        pub replayed_srtcp,
        /// SRTP packets older than the replay window.
        pub stale_srtp,
        /// SRTCP packets older than the replay window.
        pub stale_srtcp,
        /// SRTP packets of a new source when the table of sources was full.
        pub srtp_sources_full,
        /// SRTCP packets of a new source when the table of sources was full.
        pub srtcp_sources_full,
    }
}

#[cfg(test)]
mod tests;
