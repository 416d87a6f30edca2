//! Two DTLS handshakes in memory, of 1.3 and of 1.2, printed flight by flight: what each datagram holds, what it is good
//! for, and what both ends know at the end.

use std::sync::Arc;
use std::time::Instant;

use dtls_srtp::message::{
    ClientHello, Fragment, KeyShareEntry, ServerHello, ServerKeyExchange, UnifiedHeader, split_record,
};
use dtls_srtp::{Certificate, Config, ContentType, Dtls, Event, HandshakeType, RingCrypto, Role, Version};
use wire::{Reader, Seed};

const USAGE: &str = "\
Prints a DTLS handshake between two engines, flight by flight.

usage: cargo run -p hyaline-examples --example dtls_handshake [-- VERSION]

  VERSION  1.3 or 1.2; both, one after the other, unless told otherwise";

/// What the flights of DTLS 1.3 say (RFC 9147 §5.7), from the client's first on.
const FLIGHTS_13: [&str; 4] = [
    "The client offers versions, suites, groups and SRTP profiles, and guesses a group or two, of which it sends its shares. \
     That of the hybrid is long (ML-KEM), so the hello takes two datagrams.",
    "The server chooses, and its share settles the keys of the handshake: all else is under them (epoch 2). \
     EncryptedExtensions has the SRTP profile, CertificateRequest asks who the client is, Certificate and CertificateVerify \
     show who the server is, and Finished that both have seen the same handshake.",
    "The client shows who it is in the same way. It may send data in the keys of the connection (epoch 3) from here on: that \
     is one round trip.",
    "Nothing else would tell the client that its last flight came, so the server acknowledges the records.",
];

/// The same for DTLS 1.2 (RFC 6347 §4.2.4).
const FLIGHTS_12: [&str; 4] = [
    "The client offers suites, groups and SRTP profiles. There are no shares yet.",
    "The server chooses all but the group's secret, shows its certificate and signs its share with it. Everything is in the \
     clear, the certificate and the SRTP profile too.",
    "The client shows its certificate, sends its share and signs what was said so far. Behind ChangeCipherSpec its keys are in \
     use (epoch 1), for Finished first.",
    "So are the server's. The client has waited two round trips before it may send data.",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let versions = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => vec![Version::DTLS_1_3, Version::DTLS_1_2],
        ["1.3"] => vec![Version::DTLS_1_3],
        ["1.2"] => vec![Version::DTLS_1_2],
        ref other => {
            println!("{USAGE}");
            std::process::exit(i32::from(!matches!(other, ["-h" | "--help", ..])));
        }
    };
    for version in versions {
        println!("{version}\n");
        shake_hands(version)?;
    }
    Ok(())
}

fn shake_hands(version: Version) -> Result<(), Box<dyn std::error::Error>> {
    let crypto = Arc::new(RingCrypto::new());
    let (ours, theirs) = (Certificate::generate()?, Certificate::generate()?);
    let now = Instant::now();
    // Both versions are the default. A seed of its own for each engine, and in production from the operating system.
    let engine = |certificate: &Certificate, role, seed| {
        let config = Config {
            versions: vec![version],
            ..Config::new(crypto.clone(), certificate.clone())
        };
        Dtls::new(Arc::new(config), role, Seed([seed; 32]), now)
    };
    let mut client = engine(&ours, Role::Client, 1);
    let mut server = engine(&theirs, Role::Server, 2);

    // What a=fingerprint would say.
    client.set_remote_fingerprints(vec![theirs.fingerprint()]);
    server.set_remote_fingerprints(vec![ours.fingerprint()]);

    let flights = if version == Version::DTLS_1_3 {
        FLIGHTS_13
    } else {
        FLIGHTS_12
    };
    let mut flights = flights.iter();
    let mut last_sender = None;
    let mut buffer = [0; 1500];
    loop {
        let (sender, len) = if let Some(len) = client.poll_transmit(now, &mut buffer) {
            (Role::Client, len)
        } else if let Some(len) = server.poll_transmit(now, &mut buffer) {
            (Role::Server, len)
        } else {
            break;
        };
        if last_sender.replace(sender) != Some(sender) {
            println!("{}", flights.next().unwrap_or(&"Something more."));
        }
        let datagram = &mut buffer[..len];
        let (way, receiver) = match sender {
            Role::Client => ("client -> server", &mut server),
            Role::Server => ("server -> client", &mut client),
        };
        println!("  {way}, {len} bytes");
        print_records(&mut datagram.to_vec());
        receiver.handle_datagram(now, datagram, &mut |_| ());
    }
    println!();
    for (name, dtls) in [("client", &mut client), ("server", &mut server)] {
        print_events(name, dtls);
    }
    if let (Some(client), Some(server)) = (client.take_srtp_keys(), server.take_srtp_keys()) {
        println!(
            "the client seals with what the server opens with: {}\n",
            client.local == server.remote
        );
    }
    Ok(())
}

fn print_events(name: &str, dtls: &mut Dtls) {
    while let Some(event) = dtls.poll_event() {
        match event {
            Event::Connected {
                version,
                suite,
                group,
                profile,
            } => {
                let profile = profile.map_or_else(|| "no SRTP".to_owned(), |profile| profile.to_string());
                println!("{name}: {version}, {suite}, {group}, {profile}");
            }
            // Where fingerprints do not decide.
            Event::CertificateToJudge => {}
            // Where connection IDs are switched on.
            Event::ConnectionIds => {}
            // Where sessions are kept.
            Event::Session => {}
            Event::Closed { reason } => println!("{name}: {reason}"),
        }
    }
}

/// What a datagram holds. Of what is protected only lengths can be seen, and in DTLS 1.3 the lower bits of the epoch.
fn print_records(datagram: &mut [u8]) {
    let mut rest = datagram;
    while !rest.is_empty() {
        if UnifiedHeader::begins(rest[0]) {
            let mut r = Reader::new(rest);
            let Ok(header) = UnifiedHeader::read(&mut r) else {
                return;
            };
            let len = header.length.map_or_else(|| r.remaining(), usize::from);
            println!("    epoch ..{:02b}: {len} bytes, protected", header.epoch_bits);
            let end = r.offset() + len;
            rest = rest.get_mut(end..).unwrap_or_default();
            continue;
        }
        let Ok((header, body, tail)) = split_record(rest) else {
            return;
        };
        let place = format!("epoch {} record {}", header.epoch, header.sequence);
        if header.epoch == 0 && header.content_type == ContentType::HANDSHAKE {
            print_fragments(&place, body);
        } else {
            let protected = if header.epoch > 0 { ", protected" } else { "" };
            println!("    {place}: {}, {} bytes{protected}", header.content_type, body.len());
        }
        rest = tail;
    }
}

fn print_fragments(place: &str, body: &[u8]) {
    let mut r = Reader::new(body);
    while let Ok(fragment) = Fragment::read(&mut r) {
        let (name, len, whole) = (
            fragment.header.message_type,
            fragment.body.len(),
            fragment.header.length,
        );
        let details = if fragment.header.fragment_length == whole {
            details(name, fragment.body)
        } else {
            format!(" from {} on, of {whole}", fragment.header.fragment_offset)
        };
        println!("    {place}: {name}, {len} bytes{details}");
    }
}

fn details(message_type: HandshakeType, body: &[u8]) -> String {
    match message_type {
        HandshakeType::CLIENT_HELLO => ClientHello::parse(body)
            .map(|hello| {
                format!(
                    ": {} suites, {} extensions",
                    hello.cipher_suites.iter().count(),
                    hello.extensions.iter().count()
                )
            })
            .unwrap_or_default(),
        HandshakeType::SERVER_HELLO => ServerHello::parse(body)
            .map(|hello| {
                let group = |share: KeyShareEntry<'_>| format!(", {}", share.group);
                let share = hello.extensions.server_key_share().ok().flatten();
                format!(": {}{}", hello.cipher_suite, share.map(group).unwrap_or_default())
            })
            .unwrap_or_default(),
        HandshakeType::SERVER_KEY_EXCHANGE => ServerKeyExchange::parse(body)
            .map(|exchange| format!(": {} signed with {}", exchange.group, exchange.scheme))
            .unwrap_or_default(),
        _ => String::new(),
    }
}
