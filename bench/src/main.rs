//! Comparisons, each run as one subcommand: `cargo run --release -- srtp`.
//!
//! Figures are medians of interleaved rounds and are printed as multiples of the same run's floors and peers: absolute
//! times say more about the machine than about the code.

mod allocations;
mod data;
mod forward;
mod handshake;
mod parse;
#[cfg(target_os = "linux")]
mod relay;
mod rounds;
mod sdp;
mod srtp;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("data") => data::run(),
        Some("forward") => forward::run(),
        Some("handshake") => handshake::run(),
        Some("parse") => parse::run(),
        #[cfg(target_os = "linux")]
        Some("relay") => return relay::run(std::env::args().nth(2).as_deref()),
        Some("sdp") => sdp::run(),
        Some("srtp") => srtp::run(),
        _ => {
            eprintln!("usage: hyaline-bench COMPARISON\n");
            eprintln!(
                "  data       data channels, both ends, beside copying, checksums and sealing alone, rtc and str0m"
            );
            eprintln!("  forward    server CPU per forwarded packet, beside str0m, rtc, and copying and sealing alone");
            eprintln!("  handshake  a whole DTLS handshake, beside its own primitives, dimpl and rtc-dtls");
            eprintln!("  parse      parsing STUN, RTP and RTCP, beside str0m and rtc");
            eprintln!("  relay      CPU of the TURN server per relayed packet, beside coturn (Linux)");
            eprintln!("  sdp        parsing session descriptions, beside rtc-sdp and webrtc-sdp");
            eprintln!("  srtp       sealing SRTP for one receiver and for four, and opening it, beside raw ciphers");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
