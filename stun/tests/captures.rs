//! What Chromium 156 and Firefox 153 really sent, with the key that they used.

use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use stun::{AttributeType, Builder, Class, IntegrityAlgorithm, Key, Message, Method, is_stun};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/stun")
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn json(path: &Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The decoder that made the fixtures lists names and values: ours has to see the same.
fn assert_reads_as(message: &Message<'_>, listed: &Json) {
    let ours: Vec<_> = message.all_attributes().collect();
    let listed = listed.as_array().unwrap();
    assert_eq!(ours.len(), listed.len());
    for (attribute, listed) in ours.iter().zip(listed) {
        let name = match listed[0].as_str() {
            // libwebrtc's name for what the draft spells out.
            Some("META-DTLS-IN-STUN-ACK") => Some("META-DTLS-IN-STUN-ACKNOWLEDGEMENT"),
            name => name,
        };
        assert_eq!(attribute.kind().name(), name, "{message}");
        assert!(attribute.decode().is_ok(), "{message}");
        if attribute.kind() == AttributeType::USERNAME {
            assert_eq!(message.username().unwrap(), listed[1].as_str());
        } else if attribute.kind() != AttributeType::XOR_MAPPED_ADDRESS {
            assert_eq!(attribute.value(), unhex(listed[1].as_str().unwrap()));
        }
    }
}

/// Attribute by attribute written anew, a browser's message is the same: browsers pad with zeros.
fn assert_prints_back(message: &Message<'_>) {
    let mut out = vec![0xff; message.as_bytes().len()];
    let mut b = Builder::new(&mut out, message.class(), message.method(), message.transaction_id()).unwrap();
    for attribute in message.all_attributes() {
        b.copy(&attribute).unwrap();
    }
    assert_eq!(b.finish(), message.as_bytes());
}

#[test]
fn requests_verify_and_print_back() {
    let mut seen = 0;
    for path in files(&fixtures(), "json") {
        let fixture = json(&path);
        let key = Key::short_term(fixture["integrity_key_for_requests"].as_str().unwrap());
        for (i, datagram) in fixture["datagrams"].as_array().unwrap().iter().enumerate() {
            let bytes = unhex(datagram["hex"].as_str().unwrap());
            let bin = format!("{}-{i}.bin", path.file_stem().unwrap().to_str().unwrap());
            assert_eq!(std::fs::read(fixtures().join(bin)).unwrap(), bytes);
            assert!(is_stun(&bytes));
            let message = Message::parse(&bytes).unwrap();
            assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
            assert_eq!(message.verify_fingerprint(), Ok(()));
            let proven = message.verify_integrity(&key).unwrap();
            assert_eq!(proven.algorithm(), IntegrityAlgorithm::Sha1);
            assert_eq!(message.unknown_required().count(), 0);
            assert_reads_as(&message, &datagram["attrs"]);
            assert_prints_back(&message);
            seen += 1;
            if let Some(reply) = datagram["reply"].as_str() {
                let reply = unhex(reply);
                let message = Message::parse(&reply).unwrap();
                assert_eq!(message.class(), Class::SuccessResponse);
                assert!(message.verify_integrity(&key).is_ok() && message.verify_fingerprint().is_ok());
                assert!(message.xor_mapped_address().unwrap().is_some());
                assert_prints_back(&message);
            }
        }
    }
    assert_eq!(seen, files(&fixtures(), "bin").len());
}

#[test]
fn timelines_are_told_apart_and_verify() {
    let key = Key::short_term("sfupasswordsfupassword12");
    let (mut checks, mut others) = (0, 0);
    for path in files(&fixtures().join("captures"), "json") {
        for entry in json(&path)["log"].as_array().unwrap() {
            let Some(hex) = entry["hex"].as_str() else { continue };
            let bytes = unhex(hex);
            if !is_stun(&bytes) {
                // The rest is DTLS.
                assert!((20..=63).contains(&bytes[0]), "{}", path.display());
                others += 1;
                continue;
            }
            checks += 1;
            let message = Message::parse(&bytes).unwrap();
            assert!(message.verify_integrity(&key).is_ok() && message.verify_fingerprint().is_ok());
            // The log of frames over TCP does not list attributes.
            assert!(entry["attrs"].is_array() || path.to_str().unwrap().contains("-tcp"));
            if entry["attrs"].is_array() {
                assert_reads_as(&message, &entry["attrs"]);
            }
            assert_prints_back(&message);
        }
    }
    assert!(checks > 500 && others > 100, "{checks} {others}");
}

/// With the field trial for SPED Chromium's first check acknowledges nothing yet, and carries the first datagram of its
/// ClientHello; each later check does so too.
#[test]
fn checks_with_dtls_inside_are_read() {
    let mut with_dtls = 0;
    for name in [
        "chromium156-check-sped-dtls-in-stun-0",
        "chromium156-check-sped-full-ice-0",
    ] {
        let bytes = std::fs::read(fixtures().join(format!("{name}.bin"))).unwrap();
        let message = Message::parse(&bytes).unwrap();
        let acknowledged = message.meta_dtls_in_stun_acknowledgement().unwrap().unwrap();
        assert_eq!(acknowledged.iter().count(), 0);
        let datagram = message.meta_dtls_in_stun().unwrap().unwrap();
        assert_eq!((datagram.len(), &datagram[..3]), (900, &[22, 0xfe, 0xff][..]));
        assert!(message.to_string().contains("META-DTLS-IN-STUN=900 bytes"));
        with_dtls += 1;
    }
    for path in files(&fixtures().join("captures"), "json") {
        for entry in json(&path)["log"].as_array().unwrap() {
            let Some(hex) = entry["hex"].as_str() else { continue };
            let bytes = unhex(hex);
            let Ok(message) = Message::parse(&bytes) else { continue };
            let datagram = message.meta_dtls_in_stun().unwrap();
            with_dtls += usize::from(datagram.is_some_and(|datagram| datagram[0] == 22));
        }
    }
    assert_eq!(with_dtls, 3);
}
