//! `hyaline-guest`: headless participants of a room.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use guest::{Access, Guest, Media, RelayOver, Report, Room};

/// Headless participants of a room: they play a picture and a sound in a loop, and check what they receive.
#[derive(Debug, Parser)]
#[command(name = "hyaline-guest", version)]
struct Arguments {
    /// How many.
    #[arg(long, default_value_t = 1)]
    guests: usize,
    /// How long they stay.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// A VP8 picture in IVF, with a key frame each second or so.
    #[arg(long, requires = "voice")]
    camera: Option<PathBuf>,
    /// An Opus sound in Ogg, in packets of 20 ms.
    #[arg(long, requires = "camera")]
    voice: Option<PathBuf>,
    /// The guests speak one after the other, each so many seconds. Without it they are silent.
    #[arg(long, value_name = "SECONDS")]
    speak: Option<u64>,
    /// All media goes by the room's TURN servers: by whichever there is, or only by those that are reached over this.
    #[arg(long, value_name = "OVER", num_args = 0..=1, require_equals = true, default_missing_value = "any")]
    relay: Option<RelayOver>,
    /// Nothing goes over UDP: media goes to the server, or to its TURN servers, over TCP.
    #[arg(long)]
    no_udp: bool,
    /// Media leaves from the addresses of this interface alone; may be given more than once.
    #[arg(long = "interface", value_name = "NAME")]
    interfaces: Vec<String>,
    /// A PEM file with the certificates that TLS servers are trusted by, in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The room's address, as http://127.0.0.1:8080/r/tea.
    url: Room,
    /// The name under which they go; with several, a number is added.
    name: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(reports) => {
            let mut complaints = 0;
            for report in &reports {
                println!("{report}");
                complaints += report.complaints().len();
            }
            ExitCode::from(u8::from(complaints > 0))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Vec<Report>, Box<dyn std::error::Error>> {
    let media = match (&arguments.camera, &arguments.voice) {
        (Some(camera), Some(voice)) => Media::open(camera, voice)?,
        _ => Media::built_in(),
    };
    let media = Arc::new(media);
    let access = Access {
        relay: arguments.relay,
        ca: arguments.ca.clone(),
        no_udp: arguments.no_udp,
        interfaces: arguments.interfaces.clone(),
        ..Access::default()
    };
    let mut guests = Vec::new();
    for number in 1..=arguments.guests {
        let name = match arguments.guests {
            1 => arguments.name.clone(),
            _ => format!("{} {number}", arguments.name),
        };
        guests.push(Guest::join_by(&arguments.url, &name, Arc::clone(&media), &access)?);
    }
    let start = Instant::now();
    let end = start + Duration::from_secs(arguments.seconds);
    while Instant::now() < end {
        if let Some(turn) = arguments.speak {
            let speaker = start.elapsed().as_secs() / turn.max(1);
            for (number, guest) in guests.iter().enumerate() {
                guest.speak(number as u64 == speaker % guests.len().max(1) as u64);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(guests.into_iter().map(Guest::leave).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_what_the_relay_is_reached_may_be_left_out() {
        let relay = |options: &[&str]| {
            let all = [&["hyaline-guest"], options, &["http://127.0.0.1/r/tea", "Ada"]].concat();
            Arguments::try_parse_from(all).map(|arguments| arguments.relay).ok()
        };
        assert_eq!(relay(&[]), Some(None));
        assert_eq!(relay(&["--relay"]), Some(Some(RelayOver::Any)));
        assert_eq!(relay(&["--relay=tls"]), Some(Some(RelayOver::Tls)));
        assert_eq!(relay(&["--relay=smoke"]), None);
    }

    #[test]
    fn interfaces_are_named_one_by_one() {
        let all = [
            "hyaline-guest",
            "--interface",
            "eth0",
            "--interface",
            "wlan0",
            "http://127.0.0.1/r/tea",
            "Ada",
        ];
        let arguments = Arguments::try_parse_from(all).unwrap();
        assert_eq!(arguments.interfaces, ["eth0", "wlan0"]);
    }
}
