//! The `hyaline` binary as a person starts it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

fn hyaline(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyaline"));
    command
        .args(args)
        .env_remove("RUST_LOG")
        .env_remove("HYALINE_ADMIN_TOKEN")
        .env_remove("HYALINE_TURN_SECRET")
        .stdin(Stdio::null());
    command
}

/// A running server, ended at the latest with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a server and waits for its ready line.
    fn start(args: &[&str]) -> (Self, String) {
        let mut command = hyaline(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        (Self(child), line)
    }

    fn end_by(mut self, signal: &str) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let sent = Command::new("kill")
            .args([signal, &self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        (self.0.wait().unwrap(), start.elapsed())
    }
}

fn output(args: &[&str]) -> Output {
    hyaline(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn it_says_where_it_is_and_ends_on_a_signal() {
    for (args, signal) in [
        (&["--http", "127.0.0.1:0"][..], "-TERM"),
        (&["serve", "--http", "127.0.0.1:0", "--workers", "2"], "-INT"),
    ] {
        let (server, line) = Running::start(args);
        let address = line
            .strip_prefix("hyaline: http://")
            .and_then(|rest| rest.strip_suffix("/\n"));
        let address = address.unwrap_or_else(|| panic!("{line:?}"));
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).unwrap();
        assert_eq!(status, "HTTP/1.1 200 OK\r\n");
        let (status, took) = server.end_by(signal);
        assert!(status.success(), "{status}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

#[test]
fn tls_is_told_in_the_address() {
    let (_server, line) = Running::start(&["--http", "127.0.0.1:0", "--tls-self-signed"]);
    assert!(line.starts_with("hyaline: https://127.0.0.1:"), "{line:?}");
}

#[test]
fn what_stands_in_the_way_is_told_in_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let udp = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = udp.local_addr().unwrap().port().to_string();
    let in_use = format!("Another program uses UDP port {port}: stop it, or choose another --udp-port");
    let turn_in_use = format!("Port {port} cannot be used for TURN");
    for (args, hint) in [
        (&["--http", &address][..], "--http"),
        (&["--http", "0.0.0.0:0"], "--open"),
        (
            &["--http", "127.0.0.1:0", "--udp-port", &port, "--workers", "1"],
            &in_use,
        ),
        (
            &["--http", "127.0.0.1:0", "--udp-port", "65535", "--workers", "2"],
            "--udp-port",
        ),
        (
            &[
                "--http",
                "127.0.0.1:0",
                "--tls-cert",
                "/nothing",
                "--tls-key",
                "/nothing",
            ],
            "--tls-cert",
        ),
        (&["--http", "127.0.0.1:0", "--log", "a=b=c"], "--log"),
        (
            &["--http", "127.0.0.1:0", "--turn-user", "u:p", "--turn-port", &port],
            &turn_in_use,
        ),
        (
            &[
                "--http",
                "127.0.0.1:0",
                "--turn-user",
                "u:p",
                "--turn-port",
                "0",
                "--turn-realm",
                "a realm that has more than thirty-two bytes",
            ],
            "choose a realm of 1 to 32 bytes",
        ),
        (&["--http", "127.0.0.1:0", "--room-capacity", "0"], "--room-capacity"),
        (&["--http", "127.0.0.1:0", "--admin-token", "secret"], "--admin-token"),
    ] {
        let output = output(args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.starts_with("hyaline: ") && text.contains(hint) && text.trim_end().ends_with('.'),
            "{text}"
        );
    }
}

/// It is read from the environment, and never told.
#[test]
fn the_admin_token_is_kept() {
    let mut command = hyaline(&["--http", "127.0.0.1:0"]);
    let output = command
        .env("HYALINE_ADMIN_TOKEN", "se cret of mine alone")
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("admin token does not fit") && !text.contains("cret of"),
        "{text}"
    );
    let output = hyaline(&["--help"])
        .env("HYALINE_ADMIN_TOKEN", "hidden-token")
        .env("HYALINE_TURN_SECRET", "hidden-key")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(
        help.contains("HYALINE_ADMIN_TOKEN") && help.contains("HYALINE_TURN_SECRET") && !help.contains("hidden"),
        "{help}"
    );
}

#[test]
fn help_goes_to_the_standard_output() {
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["sdp", "--help"],
        &["--version"],
    ] {
        let output = output(args);
        assert!(
            output.status.success() && !output.stdout.is_empty() && output.stderr.is_empty(),
            "{args:?}"
        );
    }
    let wrong = output(&["--htttp", "127.0.0.1:0"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("--http"));
}

const DESCRIPTION: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
                           c=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=x-unknown:kept\r\n";

fn file(name: &str, content: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_description_is_printed_back_byte_for_byte() {
    let output = output(&["sdp", "--print", &file("good.sdp", DESCRIPTION)]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), DESCRIPTION);
}

#[test]
fn a_description_is_explained() {
    let output = output(&["sdp", &file("explained.sdp", DESCRIPTION)]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in DESCRIPTION.lines() {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn a_malformed_description_fails_with_line_and_rule() {
    let broken = file("broken.sdp", &DESCRIPTION.replace("opus/48000/2", "opus"));
    for args in [&["sdp", &broken][..], &["sdp", "--print", &broken]] {
        let output = output(args);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
        assert!(stderr(&output).contains("line 8"), "{}", stderr(&output));
    }
    let missing = output(&["sdp", "/nothing.sdp"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("/nothing.sdp"));
}

#[test]
fn a_description_comes_over_the_standard_input_too() {
    let mut command = hyaline(&["sdp", "--print", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(DESCRIPTION.as_bytes()).unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, DESCRIPTION.as_bytes());
}
