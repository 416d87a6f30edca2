//! Prints RTP and RTCP packets, one line each or field by field.
//!
//! ```text
//! cargo run -p hyaline-examples --example rtp_dump -- fixtures/rtp/chromium156-tx-opus-red.rtp.txt
//! cargo run -p hyaline-examples --example rtp_dump -- --fields fixtures/rtp/chromium156-tx-opus-red.rtp.txt
//! ```
//!
//! A line of the input is `direction milliseconds hexadecimal`; what begins with `#` is skipped.

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use rtp::rtcp::Compound;
use rtp::{Packet, dump, is_rtcp, is_rtp};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let fields = arguments.first().is_some_and(|first| first == "--fields");
    if fields {
        arguments.remove(0);
    }
    let [path] = &arguments[..] else {
        eprintln!("usage: rtp_dump [--fields] FILE");
        return Ok(ExitCode::FAILURE);
    };
    let text = fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [direction, millis, hex] = words[..] else {
            return Err(format!("line {}: direction, milliseconds and hexadecimal are wanted", index + 1).into());
        };
        let bytes = bytes(hex).ok_or_else(|| format!("line {}: that is not hexadecimal", index + 1))?;
        println!("{direction} {millis:>6} ms  {}", describe(&bytes, fields));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(bytes: &[u8], fields: bool) -> String {
    if is_rtcp(bytes) {
        match Compound::parse(bytes) {
            Ok(compound) if fields => format!("RTCP, {} bytes\n{}", bytes.len(), dump::Rtcp(compound)),
            Ok(compound) => compound.to_string(),
            Err(error) => format!("malformed RTCP: {error}"),
        }
    } else if is_rtp(bytes) {
        match Packet::parse(bytes) {
            Ok(packet) if fields => format!("RTP, {} bytes\n{}", bytes.len(), dump::Rtp(&packet)),
            Ok(packet) => packet.to_string(),
            Err(error) => format!("malformed RTP: {error}"),
        }
    } else {
        format!("neither RTP nor RTCP, {} bytes", bytes.len())
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}
