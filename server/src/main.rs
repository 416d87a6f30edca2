//! The `hyaline` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyaline_server::run(std::env::args_os())
}
