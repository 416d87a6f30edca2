use std::process::Command;

use crate::report::Outcome;
use crate::stage::{Settings, check};

/// A program that the tests run, or a file that they build one with, and the Debian package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("firefox-esr", "firefox-esr"),
    // The foreign DTLS peers.
    ("openssl", "openssl"),
    ("gnutls-serv", "gnutls-bin"),
    // The foreign TURN server, and the foreign TURN clients.
    ("turnserver", "coturn"),
    ("turnutils_uclient", "coturn"),
    // The foreign SCTP peer.
    ("/usr/include/usrsctp.h", "libusrsctp-dev"),
    // Network namespaces, and packet loss in them.
    ("ip", "iproute2"),
    ("nft", "nftables"),
    // The signals that end a server.
    ("kill", "procps"),
    // ring is C and assembler, libFuzzer is C++.
    ("cc", "gcc"),
    ("c++", "g++"),
];

/// The same for the stage `interop`: BoringSSL is built from its source, and bindgen reads its headers.
const LONG_PROGRAMS: &[(&str, &str)] = &[("cmake", "cmake"), ("clang", "clang"), ("clang", "libclang-dev")];

/// Installs what is missing, and nothing on a machine that has everything.
pub(crate) fn run(settings: &Settings) -> Outcome {
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .chain(LONG_PROGRAMS.iter().filter(|_| settings.long))
        .filter(|(program, _)| !present(program))
        .map(|(_, package)| *package)
        .collect();
    packages.dedup();
    let mut outcome = Outcome::passed(1);
    if packages.is_empty() {
        println!("all programs are here");
    } else {
        println!("missing: {}", packages.join(" "));
        outcome = outcome.and(apt_get(&["update"]));
        outcome = outcome.and(apt_get(
            &[&["install", "--yes", "--no-install-recommends"], packages.as_slice()].concat(),
        ));
    }
    if !present("cargo-fuzz") {
        outcome = outcome.and(check(&mut settings.cargo(&["install", "--locked", "cargo-fuzz"])));
    }
    for component in ["fmt", "clippy"] {
        let mut version = settings.cargo(&[component, "--version"]);
        if !version.output().is_ok_and(|output| output.status.success()) {
            outcome = outcome.and(Outcome::failed(format!(
                "cargo {component} is missing: run `rustup component add {}`",
                if component == "fmt" { "rustfmt" } else { component }
            )));
        }
    }
    outcome
}

fn apt_get(arguments: &[&str]) -> Outcome {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "apt-get"]);
        sudo
    };
    check(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Whether `PATH`, or one of the folders where Debian and cargo put programs that `PATH` may lack, has it; or whether there is
/// such a file, if the path is absolute.
fn present(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cargo_home = std::env::var_os("CARGO_HOME").map(std::path::PathBuf::from);
    let cargo_home = cargo_home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let mut folders = std::env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_there_and_one_that_is_not() {
        assert!(present("sh"));
        assert!(!present("no-program-has-this-name"));
        assert!(present(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
        assert!(!present("/usr/include/no-file-has-this-name"));
    }
}
