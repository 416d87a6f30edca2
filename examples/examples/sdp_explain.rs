//! Reads a session description and says what each of its lines means.
//!
//! ```text
//! cargo run -p hyaline-examples --example sdp_explain fixtures/sdp/firefox153-dc-offer.sdp
//! ```

use std::process::ExitCode;

use sdp::{Limits, Session};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: sdp_explain FILE");
        return ExitCode::from(2);
    };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("cannot read {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    };
    match Session::parse_bytes(&bytes, &Limits::default()) {
        Ok(session) => {
            print!("{}", sdp::explain(&session));
            ExitCode::SUCCESS
        }
        Err(error) => {
            // The line and the rule that it breaks.
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
