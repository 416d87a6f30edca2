//! Fuzz target bodies, one function each, so that the normal build compiles and tests them.
//!
//! A body takes any bytes and panics when a promise is broken: not only that nothing panics, but that what was printed
//! parses to the same, that what was forged is refused. Each has a program in `fuzz_targets/`, which cargo-fuzz builds
//! with libFuzzer and the normal build without: then it runs the files that are named on its command line, such as a
//! crash that libFuzzer left behind.

mod answer;
mod cookie;
mod dcep;
mod dtls;
mod framing;
mod guest;
mod ice;
mod ice_agent;
mod lines;
mod mdns;
mod peer;
mod rtcp;
mod rtp;
mod sctp;
mod sctp_association;
mod sctp_pair;
mod sdp;
mod server;
mod sfu;
mod sped;
mod srtp;
mod stun;
mod turn;
mod turn_server;

pub use answer::peer_answer;
pub use cookie::dtls_cookie;
pub use dcep::dcep;
pub use dtls::{dtls_client, dtls_handshake, dtls_records, dtls_server};
pub use framing::deframer;
pub use guest::ivf;
pub use ice::ice;
pub use ice_agent::ice_agent;
pub use lines::sfu_lines;
pub use mdns::mdns;
pub use peer::{peer_offer, peer_session};
pub use rtcp::rtcp;
pub use rtp::{rtp, rtp_receive};
pub use sctp::sctp_packet;
pub use sctp_association::sctp_association;
pub use sctp_pair::sctp_pair;
pub use sdp::sdp;
pub use server::client_message;
pub use sfu::sfu_session;
pub use sped::sped;
pub use srtp::{srtp_open, srtp_seal};
pub use stun::stun;
pub use turn::turn_client;
pub use turn_server::turn_server;

#[doc(hidden)]
#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// One fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its function and of its program.
    pub name: &'static str,
    /// Its body.
    pub run: fn(&[u8]),
    /// Directories of seed inputs, from the root of the repository.
    pub seeds: &'static [&'static str],
}

/// Every target, by name.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    Target { name: "client_message", run: client_message, seeds: &["fuzz/seeds/client_message"] },
    Target { name: "dcep", run: dcep, seeds: &["fuzz/seeds/dcep"] },
    Target { name: "deframer", run: deframer, seeds: &["fuzz/seeds/deframer"] },
    Target { name: "dtls_client", run: dtls_client, seeds: &["fuzz/seeds/dtls_script"] },
    Target { name: "dtls_cookie", run: dtls_cookie, seeds: &["fuzz/seeds/dtls_cookie"] },
    Target { name: "dtls_handshake", run: dtls_handshake, seeds: &["fuzz/seeds/dtls_handshake"] },
    Target { name: "dtls_records", run: dtls_records, seeds: &["fixtures/dtls"] },
    Target { name: "dtls_server", run: dtls_server, seeds: &["fuzz/seeds/dtls_script"] },
    Target { name: "ice", run: ice, seeds: &["fuzz/seeds/ice"] },
    Target { name: "ice_agent", run: ice_agent, seeds: &["fuzz/seeds/ice_agent"] },
    Target { name: "ivf", run: ivf, seeds: &["fuzz/seeds/ivf"] },
    Target { name: "mdns", run: mdns, seeds: &["fuzz/seeds/mdns"] },
    Target { name: "peer_answer", run: peer_answer, seeds: &["fuzz/seeds/peer_answer"] },
    Target { name: "peer_offer", run: peer_offer, seeds: &["fixtures/sdp"] },
    Target { name: "peer_session", run: peer_session, seeds: &["fuzz/seeds/peer_session"] },
    Target { name: "rtcp", run: rtcp, seeds: &["fuzz/seeds/rtcp"] },
    Target { name: "rtp", run: rtp, seeds: &["fuzz/seeds/rtp"] },
    Target { name: "rtp_receive", run: rtp_receive, seeds: &["fuzz/seeds/rtp_receive"] },
    Target { name: "sctp_association", run: sctp_association, seeds: &["fuzz/seeds/sctp_association"] },
    Target { name: "sctp_packet", run: sctp_packet, seeds: &["fuzz/seeds/sctp_packet"] },
    Target { name: "sctp_pair", run: sctp_pair, seeds: &["fuzz/seeds/sctp_pair"] },
    Target { name: "sdp", run: sdp, seeds: &["fixtures/sdp", "fuzz/seeds/sdp"] },
    Target { name: "sfu_lines", run: sfu_lines, seeds: &["fuzz/seeds/sfu_lines"] },
    Target { name: "sfu_session", run: sfu_session, seeds: &["fuzz/seeds/sfu_session"] },
    Target { name: "sped", run: sped, seeds: &["fuzz/seeds/sped"] },
    Target { name: "srtp_open", run: srtp_open, seeds: &["fuzz/seeds/srtp_open"] },
    Target { name: "srtp_seal", run: srtp_seal, seeds: &["fuzz/seeds/srtp_seal"] },
    Target { name: "stun", run: stun, seeds: &["fixtures/stun"] },
    Target { name: "turn_client", run: turn_client, seeds: &["fuzz/seeds/turn_client"] },
    Target { name: "turn_server", run: turn_server, seeds: &["fuzz/seeds/turn_server"] },
];

/// The program of a target.
#[macro_export]
macro_rules! target {
    ($body:ident) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$body(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            $crate::replay($crate::$body)
        }
    };
}

/// Runs `body` on the content of each file on the command line.
///
/// # Errors
/// When a file cannot be read.
pub fn replay(body: fn(&[u8])) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        body(&std::fs::read(path)?);
    }
    Ok(())
}
