//! Vectors of RFC 8448 §3 and §5 (handshakes of TLS 1.3, which differs in the prefix of the labels alone), and for the
//! masks of record numbers.

use std::sync::Arc;

use super::hex;
use crate::crypto::{Aead, Crypto, HashAlgorithm, RingCrypto, SharedSecret, SuiteParameters13};
use crate::extension::Extensions;
use crate::hello::{HELLO_RETRY_REQUEST, ServerHello};
use crate::registry::{CipherSuite, HandshakeType, NamedGroup, SignatureScheme, Version};
use crate::transcript::Transcript;
use crate::v12::CertificateVerify;
use crate::v13::message::{CertificateChain13, EncryptedExtensions};
use crate::v13::schedule::{EarlySecret, Exporter, HandshakeSecrets, Hkdf, Traffic};

// The messages, with the headers of TLS.
pub(super) const CLIENT_HELLO: &str = concat!(
    "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece700000613011303130201000091000000",
    "0b0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024001d00",
    "2099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e0403050306030203",
    "08040805080604010501060102010402050206020202002d00020101001c00024001",
);
pub(super) const SERVER_HELLO: &str = concat!(
    "020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020c982",
    "8876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304",
);
pub(super) const ENCRYPTED_EXTENSIONS: &str =
    "080000240022000a00140012001d00170018001901000101010201030104001c0002400100000000";
pub(super) const CERTIFICATE: &str = concat!(
    "0b0001b9000001b50001b0308201ac30820115a003020102020102300d06092a864886f70d01010b0500300e310c300a060355040313",
    "03727361301e170d3136303733303031323335395a170d3236303733303031323335395a300e310c300a060355040313037273613081",
    "9f300d06092a864886f70d010101050003818d0030818902818100b4bb498f8279303d980836399b36c6988c0c68de55e1bdb826d390",
    "1a2461eafd2de49a91d015abbc9a95137ace6c1af19eaa6af98c7ced43120998e187a80ee0ccb0524b1b018c3e0b63264d449a6d38e2",
    "2a5fda430846748030530ef0461c8ca9d9efbfae8ea6d1d03e2bd193eff0ab9a8002c47428a6d35a8d88d79f7f1e3f0203010001a31a",
    "301830090603551d1304023000300b0603551d0f0404030205a0300d06092a864886f70d01010b05000381810085aad2a0e5b9276b90",
    "8c65f73a7267170618a54c5f8a7b337d2df7a594365417f2eae8f8a58c8f8172f9319cf36b7fd6c55b80f21a03015156726096fd335e",
    "5e67f2dbf102702e608ccae6bec1fc63a42a99be5c3eb7107c3c54e9b9eb2bd5203b1c3b84e0a8b2f759409ba3eac9d91d402dcc0cc8",
    "f8961229ac9187b42b4de10000",
);
pub(super) const CERTIFICATE_VERIFY: &str = concat!(
    "0f000084080400805a747c5d88fa9bd2e55ab085a61015b7211f824cd484145ab3ff52f1fda8477b0b7abc90db78e2d33a5c141a0786",
    "53fa6bef780c5ea248eeaaa785c4f394cab6d30bbe8d4859ee511f602957b15411ac027671459e46445c9ea58c181e818e95b8c3fb0b",
    "f3278409d3be152a3da5043e063dda65cdf5aea20d53dfacd42f74f3",
);
pub(super) const SERVER_FINISHED: &str = "140000209b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718";
pub(super) const CLIENT_FINISHED: &str = "14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61";

pub(super) const SUITE: SuiteParameters13 = SuiteParameters13 {
    aead: Aead::Aes128Gcm,
    hash: HashAlgorithm::Sha256,
};

pub(super) fn hkdf() -> Hkdf {
    Hkdf::of_tls(Arc::new(RingCrypto::new()), HashAlgorithm::Sha256)
}

/// X25519 of the two ephemeral keys.
pub(super) fn shared() -> SharedSecret {
    SharedSecret::new(hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"))
}

/// The messages with these digits, their headers in the form of DTLS until the version is known.
pub(super) fn transcript(messages: &[&str]) -> Transcript {
    let mut transcript = Transcript::default();
    for (seq, message) in (0..).zip(messages) {
        let message = hex(message);
        transcript.push(HandshakeType(message[0]), seq, &message[4..]).unwrap();
    }
    transcript.become_13();
    transcript
}

#[test]
fn the_transcript_is_that_of_tls() {
    let messages = [CLIENT_HELLO, SERVER_HELLO, ENCRYPTED_EXTENSIONS];
    assert_eq!(transcript(&messages).as_bytes(), hex(&messages.concat()));
}

/// Extract and Derive-Secret, one by one.
#[test]
fn early_handshake_and_master_secret() {
    let hkdf = hkdf();
    let nothing = hkdf.hash(&[]);
    let early = hkdf.extract(&[], &[0; 32]);
    assert_eq!(
        early.as_bytes(),
        hex("33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a")
    );
    let derived = hkdf.derive(&early, b"derived", &nothing);
    assert_eq!(
        derived.as_bytes(),
        hex("6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba")
    );
    let handshake = hkdf.extract(derived.as_bytes(), shared().as_bytes());
    assert_eq!(
        handshake.as_bytes(),
        hex("1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac")
    );
    let derived = hkdf.derive(&handshake, b"derived", &nothing);
    assert_eq!(
        derived.as_bytes(),
        hex("43de77e0c77713859a944db9db2590b53190a65b3ee2e4f12dd7a0bb7ce254b4")
    );
    let master = hkdf.extract(derived.as_bytes(), &[0; 32]);
    assert_eq!(
        master.as_bytes(),
        hex("18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919")
    );
}

/// The same schedule as a handshake walks through it.
#[test]
fn traffic_secrets_keys_and_finished() {
    let hkdf = hkdf();
    let hellos = transcript(&[CLIENT_HELLO, SERVER_HELLO]);
    assert_eq!(
        hkdf.hash(hellos.as_bytes()).as_bytes(),
        hex("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8")
    );
    let secrets = HandshakeSecrets::new(
        &EarlySecret::new(hkdf.clone(), None),
        SUITE,
        &shared(),
        hellos.as_bytes(),
    );
    expect(
        &hkdf,
        &secrets.client,
        "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
        "dbfaa693d1762c5b666af5d950258d01",
        "5bd3c71b836e0b76bb73265f",
    );
    expect(
        &hkdf,
        &secrets.server,
        "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
        "3fce516009c21727d0f2e4e86ee403bc",
        "5d313eb2671276ee13000b30",
    );

    let mut messages = vec![
        CLIENT_HELLO,
        SERVER_HELLO,
        ENCRYPTED_EXTENSIONS,
        CERTIFICATE,
        CERTIFICATE_VERIFY,
    ];
    let signed = transcript(&messages);
    let finished = hex(SERVER_FINISHED);
    assert_eq!(secrets.server.verify_data(signed.as_bytes()).as_bytes(), &finished[4..]);
    assert!(secrets.server.verifies(signed.as_bytes(), &finished[4..]));
    assert!(!secrets.client.verifies(signed.as_bytes(), &finished[4..]));
    assert!(!secrets.server.verifies(signed.as_bytes(), &finished[4..35]));
    assert!(!secrets.server.verifies(hellos.as_bytes(), &finished[4..]));

    messages.push(SERVER_FINISHED);
    let served = transcript(&messages);
    assert_eq!(
        hkdf.hash(served.as_bytes()).as_bytes(),
        hex("9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13")
    );
    let application = secrets.application(served.as_bytes());
    expect(
        &hkdf,
        &application.client,
        "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
        "17422dda596ed5d9acd890e3c63f5051",
        "5b78923dee08579033e523d9",
    );
    expect(
        &hkdf,
        &application.server,
        "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
        "9f02283b6c9c07efc26bb9f2ac92e356",
        "cf782b88dd83549aadf1e984",
    );
    assert_eq!(
        application.exporter.secret(),
        hex("fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50")
    );

    // The client stays anonymous, so its Finished follows at once.
    assert!(secrets.client.verifies(served.as_bytes(), &hex(CLIENT_FINISHED)[4..]));
}

/// Compares a traffic secret and what comes of it (RFC 8446 §7.3).
pub(super) fn expect(hkdf: &Hkdf, traffic: &Traffic, secret: &str, key: &str, iv: &str) {
    assert_eq!(traffic.secret(), hex(secret));
    let mut out = [0; 16];
    hkdf.expand(traffic.secret(), b"key", &[], &mut out).unwrap();
    assert_eq!(out.to_vec(), hex(key));
    let mut out = [0; 12];
    hkdf.expand(traffic.secret(), b"iv", &[], &mut out).unwrap();
    assert_eq!(out.to_vec(), hex(iv));
}

#[test]
fn keys_of_finished() {
    let hkdf = hkdf();
    for (secret, key) in [
        (
            "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
            "008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8",
        ),
        (
            "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
            "b80ad01015fb2f0bd65ff7d4da5d6bf83f84821d1f87fdc7d3c75b5a7b42d9c4",
        ),
    ] {
        let mut out = [0; 32];
        hkdf.expand(&hex(secret), b"finished", &[], &mut out).unwrap();
        assert_eq!(out.to_vec(), hex(key));
    }
}

/// The first record of each of the client's epochs: its number is 0, so the nonce is the iv.
#[test]
fn records() {
    let crypto = RingCrypto::new();
    for (key, iv, record, content) in [
        (
            "dbfaa693d1762c5b666af5d950258d01",
            "5bd3c71b836e0b76bb73265f",
            concat!(
                "170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1caeac",
                "ab6867d726c40546"
            ),
            [&hex(CLIENT_FINISHED)[..], &[22]].concat(),
        ),
        (
            "17422dda596ed5d9acd890e3c63f5051",
            "5b78923dee08579033e523d9",
            concat!(
                "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b6297",
                "4e1f5a6292a2977014bd1e3deae63aeebb21694915e4"
            ),
            (0..50).chain([23]).collect(),
        ),
    ] {
        let key = crypto.record_key(Aead::Aes128Gcm, &hex(key)).unwrap();
        let mut record = hex(record);
        let (head, body) = record.split_at_mut(5);
        let opened = key.open(hex(iv).try_into().unwrap(), head, body).unwrap();
        assert_eq!(opened, content);
    }
}

#[test]
fn messages_are_read() {
    let body = |message: &str| hex(message)[4..].to_vec();
    let hello = body(SERVER_HELLO);
    let hello = ServerHello::parse(&hello).unwrap();
    assert_eq!(hello.cipher_suite, CipherSuite::TLS_AES_128_GCM_SHA256);
    assert_eq!(hello.extensions.selected_version(), Ok(Some(Version(0x0304))));
    let share = hello.extensions.server_key_share().unwrap().unwrap();
    assert_eq!((share.group, share.share.len()), (NamedGroup::X25519, 32));
    let extensions = body(ENCRYPTED_EXTENSIONS);
    let extensions = EncryptedExtensions::parse(&extensions).unwrap().extensions;
    assert!(extensions.supported_groups().unwrap().unwrap().contains(0x001d));
    let certificate = body(CERTIFICATE);
    let chain = CertificateChain13::parse(&certificate).unwrap();
    assert_eq!(chain.iter().map(<[u8]>::len).collect::<Vec<_>>(), [432]);
    let verify = body(CERTIFICATE_VERIFY);
    let verify = CertificateVerify::parse(&verify).unwrap();
    assert_eq!(
        (verify.scheme, verify.signature.len()),
        (SignatureScheme::RSA_PSS_RSAE_SHA256, 128)
    );
}

/// What an exporter gives is bound to label and context, and a missing context is an empty one (RFC 8446 §7.5).
#[test]
fn exports() {
    let exporter = Exporter::from_secret(
        hkdf(),
        &hex("fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50"),
    );
    let export = |label: &[u8], context: Option<&[u8]>, len: usize| {
        let mut out = vec![0; len];
        exporter.export(label, context, &mut out).map(|()| out)
    };
    assert_eq!(export(b"a", None, 60), export(b"a", Some(b""), 60));
    assert_ne!(export(b"a", None, 60), export(b"a", Some(b"x"), 60));
    assert_ne!(export(b"a", None, 60), export(b"b", None, 60));
    // The length is part of what is expanded.
    assert_ne!(export(b"a", None, 60).unwrap()[..32], export(b"a", None, 32).unwrap());
    assert!(export(&[b'a'; 249], None, 255 * 32).is_ok());
    assert!(export(&[b'a'; 250], None, 32).is_err());
    assert!(export(b"a", None, 255 * 32 + 1).is_err());
}

/// RFC 9147 §4.2.3 has AES encrypt the sample, and ChaCha20 count and nonce from it, as RFC 9001 §5.4 does.
#[test]
fn masks_of_record_numbers() {
    let crypto = RingCrypto::new();
    for (aead, key, sample, mask) in [
        // RFC 9001 §A.2 and §A.5.
        (
            Aead::Aes128Gcm,
            "9f50449e04a0e810283a1e9933adedd2",
            "d1b1c98dd7689fb8ec11d242b123dc9b",
            [0x43, 0x7b],
        ),
        (
            Aead::ChaCha20Poly1305,
            "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4",
            "5e5cd55c41f69080575d7999c25a5bfb",
            [0xae, 0xfe],
        ),
        // FIPS 197 §C.1 and §C.3.
        (
            Aead::Aes128Gcm,
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            [0x69, 0xc4],
        ),
        (
            Aead::Aes256Gcm,
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "00112233445566778899aabbccddeeff",
            [0x8e, 0xa2],
        ),
    ] {
        let key = crypto.record_number_key(aead, &hex(key)).unwrap();
        assert_eq!(key.mask(hex(sample).try_into().unwrap()), mask, "{aead:?}");
    }
}

// The messages of RFC 8448 §5.
const FIRST_HELLO: &str = concat!(
    "010000b00303b0b1c5a5aa37c5919f2ed1d5c6fff7fcb7849716945a2b8cee9258a346677b6f00000613011303130201000081000000",
    "0b0009000006736572766572ff01000100000a00080006001d00170018003300260024001d0020e8e8e3f3b93a25ed97a14a7dcacb8a",
    "272c6288e585c6484d05262fcad062ad1f002b0003020304000d0020001e040305030603020308040805080604010501060102010402",
    "050206020202002d00020101001c00024001",
);
const RETRY_REQUEST: &str = concat!(
    "020000ac0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c001301000084003300020017002c0074",
    "007271dcd04bb88bc3189119398a00000000eefafc76c146b823b096f8aacad365dd0030953f4edf625636e5f21bb2e23fcc654b1b5b",
    "40318d10d137abcbb87574e36e8a1f025f7dfa5d6e50781b5eda4aa15b0c8be778257d16aa3030e9e7841dd9e4c0342267e8ca0caf57",
    "1fb2b7cff0f934b0002b00020304",
);
const SECOND_HELLO: &str = concat!(
    "010001fc0303b0b1c5a5aa37c5919f2ed1d5c6fff7fcb7849716945a2b8cee9258a346677b6f000006130113031302010001cd000000",
    "0b0009000006736572766572ff01000100000a00080006001d001700180033004700450017004104a6da7392ec591e17abfd535964b9",
    "9894d13befb221b3def2ebe3830eac8f0151812677c4d6d2237e85cf01d6910cfb83954e76ba7352830534159897e8065780002b0003",
    "020304000d0020001e040305030603020308040805080604010501060102010402050206020202002c0074007271dcd04bb88bc31891",
    "19398a00000000eefafc76c146b823b096f8aacad365dd0030953f4edf625636e5f21bb2e23fcc654b1b5b40318d10d137abcbb87574",
    "e36e8a1f025f7dfa5d6e50781b5eda4aa15b0c8be778257d16aa3030e9e7841dd9e4c0342267e8ca0caf571fb2b7cff0f934b0002d00",
    "020101001c00024001001500af0000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000",
);
const RETRIED_SERVER_HELLO: &str = concat!(
    "020000770303bb341d847fd789c47c387172dc0c9bf147fccacb5043d86ca4c598d3ff571b9800130100004f00330045001700410458",
    "3e054b7a66672ae020ad9d2686fcc85b5ad41a134a0f03ee72b893052bd85b4c8de6776f5b04ac07d83540eab3e3d9c547bc6528c431",
    "7d294686093a6cad7d002b00020304",
);

/// RFC 8446 §4.4.1: after a `HelloRetryRequest` the hash of the first `ClientHello` stands in its place.
#[test]
fn another_hello() {
    let hkdf = hkdf();
    let mut transcript = transcript(&[FIRST_HELLO]);
    transcript.replace_by_hash(&hkdf.hash(transcript.as_bytes()));
    for (seq, message) in (1..).zip([RETRY_REQUEST, SECOND_HELLO, RETRIED_SERVER_HELLO]) {
        let message = hex(message);
        transcript.push(HandshakeType(message[0]), seq, &message[4..]).unwrap();
    }
    assert_eq!(
        hkdf.hash(transcript.as_bytes()).as_bytes(),
        hex("8aa8e828ec2f8a884fec95a3139de01c15a3daa7ff5bfc3f4bfcc21b438d7bf8")
    );
    let shared = SharedSecret::new(hex("c142ce13ca11b5c2233652e63ad3d97844f1621fbfb9de69d547dc8fedeabeb4"));
    let secrets = HandshakeSecrets::new(&EarlySecret::new(hkdf, None), SUITE, &shared, transcript.as_bytes());
    assert_eq!(
        secrets.client.secret(),
        hex("158aa7ab8855073582b41d674b4055cabcc534728f659314861b4e08e2011566")
    );
    assert_eq!(
        secrets.server.secret(),
        hex("3403e781e2af7b6508da28574f6e95a1abf162de83a97927c37672a4a0cef8a1")
    );

    let request = hex(RETRY_REQUEST);
    let request = ServerHello::parse(&request[4..]).unwrap();
    assert_eq!(request.random, HELLO_RETRY_REQUEST);
    assert_eq!(request.extensions.retry_group(), Ok(Some(NamedGroup::SECP256R1)));
    let cookie = request.extensions.cookie().unwrap().unwrap();
    let hello = hex(SECOND_HELLO);
    let mut r = wire::Reader::new(&hello[4..]);
    // A `ClientHello` of TLS has no legacy cookie.
    r.skip(2 + 32 + 1).unwrap();
    let suites = r.u16().unwrap();
    r.skip(usize::from(suites) + 2).unwrap();
    let extensions = Extensions::read(&mut r).unwrap();
    assert_eq!(extensions.cookie(), Ok(Some(cookie)));
    let shares = extensions.client_key_shares().unwrap().unwrap();
    assert!(shares.iter().map(|entry| entry.group).eq([NamedGroup::SECP256R1]));
}
