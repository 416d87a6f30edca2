//! The vectors of RFC 5769. That of RFC 8489 appendix B.1 is in `src/key.rs`: it is no well-formed message.

use std::net::SocketAddr;
use stun::{
    Builder, Class, FingerprintError, IntegrityAlgorithm, IntegrityError, Key, Message, Method, TransactionId, Value,
};

/// RFC 5769 §2.1.
const SAMPLE_REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff\
     80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249\
     c1b571a280280004e57a3bcf";

/// RFC 5769 §2.2.
const SAMPLE_IPV4_RESPONSE: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
     000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";

/// RFC 5769 §2.3.
const SAMPLE_IPV6_RESPONSE: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa\
     a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";

/// RFC 5769 §2.4.
const SAMPLE_LONG_TERM_REQUEST: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c\
     662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f72670000080014\
     f67024656dd64a3e02b8e0712e85c9a28ca89666";

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const ID: TransactionId = TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
const LONG_TERM_ID: TransactionId =
    TransactionId([0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e]);
/// "Matrix" in katakana.
const USERNAME: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
const REALM: &str = "example.org";
const LONG_TERM_PASSWORD: &str = "TheMatrIX";

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// Every other password and every flipped bit must be noticed. Padding and the rest of what no HMAC covers is left to
/// FINGERPRINT.
fn assert_tampering_is_noticed(bytes: &[u8], key: &Key) {
    assert_eq!(
        Message::parse(bytes)
            .unwrap()
            .verify_integrity(&Key::short_term("wrong"))
            .err(),
        Some(IntegrityError::Mismatch)
    );
    let fingerprinted = Message::parse(bytes).unwrap().verify_fingerprint() != Err(FingerprintError::Missing);
    for bit in 0..bytes.len() * 8 {
        let mut wrong = bytes.to_vec();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let Ok(message) = Message::parse(&wrong) else { continue };
        let integrity = message.verify_integrity(key);
        assert!(
            integrity.is_err() || (fingerprinted && message.verify_fingerprint().is_err()),
            "bit {bit}"
        );
    }
}

#[test]
fn sample_request() {
    let bytes = unhex(SAMPLE_REQUEST);
    let key = Key::short_term(PASSWORD);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction_id(), ID);
    assert_eq!(message.software(), Ok(Some("STUN test client")));
    assert_eq!(message.priority(), Ok(Some(0x6e00_01ff)));
    assert_eq!(message.ice_controlled(), Ok(Some(0x932f_f9b1_5126_3b36)));
    assert_eq!(message.ice_controlling(), Ok(None));
    assert_eq!(message.username(), Ok(Some("evtj:h6vY")));
    assert_eq!(message.verify_fingerprint(), Ok(()));
    let proven = message.verify_integrity(&key).unwrap();
    assert_eq!(proven.algorithm(), IntegrityAlgorithm::Sha1);
    assert_tampering_is_noticed(&bytes, &key);
}

#[test]
fn sample_responses() {
    let key = Key::short_term(PASSWORD);
    let v4: SocketAddr = "192.0.2.1:32853".parse().unwrap();
    let v6: SocketAddr = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
    for (hex, address) in [(SAMPLE_IPV4_RESPONSE, v4), (SAMPLE_IPV6_RESPONSE, v6)] {
        let bytes = unhex(hex);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(
            (message.class(), message.method()),
            (Class::SuccessResponse, Method::BINDING)
        );
        assert_eq!(message.software(), Ok(Some("test vector")));
        assert_eq!(message.xor_mapped_address(), Ok(Some(address)));
        assert_eq!(message.verify_fingerprint(), Ok(()));
        assert!(message.verify_integrity(&key).is_ok());
        assert_tampering_is_noticed(&bytes, &key);
    }
}

/// The vector pads with spaces, we with zeros as RFC 8489 §14 says: so integrity and fingerprint differ, the rest not.
#[test]
fn a_response_like_the_sample_is_built() {
    let key = Key::short_term(PASSWORD);
    let mut out = [0; 128];
    let mut b = Builder::new(&mut out, Class::SuccessResponse, Method::BINDING, ID).unwrap();
    b.push(&Value::Software("test vector")).unwrap();
    b.push(&Value::XorMappedAddress("192.0.2.1:32853".parse().unwrap()))
        .unwrap();
    b.integrity(&key).unwrap();
    b.fingerprint().unwrap();
    let built = b.finish();
    let mut sample = unhex(SAMPLE_IPV4_RESPONSE);
    sample[35] = 0;
    assert_eq!(built[..48], sample[..48]);
    assert!(Message::parse(built).unwrap().verify_integrity(&key).is_ok());
}

#[test]
fn sample_request_with_long_term_authentication() {
    let bytes = unhex(SAMPLE_LONG_TERM_REQUEST);
    let key = Key::long_term_md5(USERNAME, REALM, LONG_TERM_PASSWORD);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username(), Ok(Some(USERNAME)));
    assert_eq!(message.nonce(), Ok(Some("f//499k954d6OL34oL9FSTvy64sA")));
    assert_eq!(message.realm(), Ok(Some(REALM)));
    assert_eq!(message.verify_fingerprint(), Err(FingerprintError::Missing));
    assert!(message.verify_integrity(&key).is_ok());
    assert_tampering_is_noticed(&bytes, &key);

    // This one pads with zeros, so we write the very same bytes.
    let mut out = [0; 128];
    let mut b = Builder::new(&mut out, Class::Request, Method::BINDING, LONG_TERM_ID).unwrap();
    b.push(&Value::Username(USERNAME)).unwrap();
    b.push(&Value::Nonce("f//499k954d6OL34oL9FSTvy64sA")).unwrap();
    b.push(&Value::Realm(REALM)).unwrap();
    b.integrity(&key).unwrap();
    assert_eq!(b.finish(), bytes);
}
