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
        assert_eq!(attribute.kind().name(), listed[0].as_str(), "{message}");
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
