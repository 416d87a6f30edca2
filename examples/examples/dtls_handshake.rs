//! A DTLS 1.2 handshake in memory, printed flight by flight: what each datagram holds, and what both ends know at the
//! end.

use std::sync::Arc;
use std::time::Instant;

use dtls_srtp::message::{ClientHello, Fragment, ServerHello, ServerKeyExchange, split_record};
use dtls_srtp::{Certificate, Config, ContentType, Dtls, Event, HandshakeType, RingCrypto, Role};
use wire::{Reader, Seed};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let crypto = Arc::new(RingCrypto::new());
    let (ours, theirs) = (Certificate::generate()?, Certificate::generate()?);
    let now = Instant::now();
    // A seed of its own for each engine, and in production from the operating system.
    let mut client = Dtls::new(
        Arc::new(Config::new(crypto.clone(), ours.clone())),
        Role::Client,
        Seed([1; 32]),
        now,
    );
    let mut server = Dtls::new(
        Arc::new(Config::new(crypto, theirs.clone())),
        Role::Server,
        Seed([2; 32]),
        now,
    );

    // What a=fingerprint would say.
    client.set_remote_fingerprints(vec![theirs.fingerprint()]);
    server.set_remote_fingerprints(vec![ours.fingerprint()]);

    let mut buffer = [0; 1500];
    loop {
        let (name, from, to) = if let Some(len) = client.poll_transmit(now, &mut buffer) {
            (format!("client -> server, {len} bytes"), len, &mut server)
        } else if let Some(len) = server.poll_transmit(now, &mut buffer) {
            (format!("server -> client, {len} bytes"), len, &mut client)
        } else {
            break;
        };
        println!("{name}");
        let datagram = &mut buffer[..from];
        print_records(&mut datagram.to_vec());
        to.handle_datagram(now, datagram, &mut |_| ());
    }

    for (name, dtls) in [("client", &mut client), ("server", &mut server)] {
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
                Event::CertificateToJudge => {}
                Event::Closed { reason } => println!("{name}: {reason}"),
            }
        }
    }
    let keys = (client.take_srtp_keys(), server.take_srtp_keys());
    if let (Some(client), Some(server)) = keys {
        println!(
            "the client seals with what the server opens with: {}",
            client.local == server.remote
        );
    }
    Ok(())
}

/// What a datagram holds. After the ChangeCipherSpec only lengths can be seen.
fn print_records(datagram: &mut [u8]) {
    let mut rest = datagram;
    while let Ok((header, body, tail)) = split_record(rest) {
        let place = format!("epoch {} record {}", header.epoch, header.sequence);
        if header.epoch == 0 && header.content_type == ContentType::HANDSHAKE {
            let mut r = Reader::new(body);
            while let Ok(fragment) = Fragment::read(&mut r) {
                let name = fragment.header.message_type;
                println!(
                    "    {place}: {name}, {} bytes{}",
                    fragment.body.len(),
                    details(name, fragment.body)
                );
            }
        } else {
            let protected = if header.epoch > 0 { ", protected" } else { "" };
            println!("    {place}: {}, {} bytes{protected}", header.content_type, body.len());
        }
        rest = tail;
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
            .map(|hello| format!(": {}", hello.cipher_suite))
            .unwrap_or_default(),
        HandshakeType::SERVER_KEY_EXCHANGE => ServerKeyExchange::parse(body)
            .map(|exchange| format!(": {} signed with {}", exchange.group, exchange.scheme))
            .unwrap_or_default(),
        _ => String::new(),
    }
}
