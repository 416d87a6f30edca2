//! Vectors of RFC 8448 §4, which resumes the handshake of §3, for what resumption adds to the schedule.

use super::hex;
use super::vectors::{
    CERTIFICATE, CERTIFICATE_VERIFY, CLIENT_FINISHED, CLIENT_HELLO, ENCRYPTED_EXTENSIONS, SERVER_FINISHED,
    SERVER_HELLO, SUITE, expect, hkdf, shared, transcript,
};
use crate::crypto::{Digest, SharedSecret};
use crate::extension::Extensions;
use crate::v13::NewSessionTicket;
use crate::v13::schedule::{EarlySecret, HandshakeSecrets};

// The messages, with the headers of TLS.
const RESUMING_HELLO: &str = concat!(
    "010001fc03031bc3ceb6bbe39cff938355b5a50adb6db21b7a6af649d7b4bc419d7876487d95000006130113031302010001cd000000",
    "0b0009000006736572766572ff01000100000a00140012001d00170018001901000101010201030104003300260024001d0020e4ffb6",
    "8ac05f8d96c99da26698346c6be16482badddafe051a66b4f18d668f0b002a0000002b0003020304000d0020001e0403050306030203",
    "08040805080604010501060102010402050206020202002d00020101001c000240010015005700000000000000000000000000000000",
    "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000002900dd00b800b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa",
    "90bf1b0070ad3c498883c9367c09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827db279cce",
    "145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2677fa5906c5b3f7d8f92f228bda40dda721470f9fbf2",
    "97b5aea617646fac5c03272e970727c621a79141ef5f7de6505e5bfbc388e93343694093934ae4d357fad6aacb0021203add4fb2d8fd",
    "f822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d",
);
const RESUMED_SERVER_HELLO: &str = concat!(
    "0200005c03033ccfd2dec890222763472ae8136777c9d7358777bb66e91ea5122495f559ea2d00130100003400290002000000330024",
    "001d0020121761ee42c333e1b9e77b60dd57c2053cd94512ab47f115e86eff50942cea31002b00020304",
);
const RESUMED_EXTENSIONS: &str =
    "080000280026000a00140012001d00170018001901000101010201030104001c0002400100000000002a0000";
const RESUMED_FINISHED: &str = "1400002048d3e0e1b3d907c6acff145e16090388c77b05c050b634ab1a88bbd0dd1a34b2";
const TICKET: &str = concat!(
    "040000c90000001efad6aac502000000b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90bf1b0070ad3c49",
    "8883c9367c09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827db279cce145077d454a3664d",
    "4e6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2677fa5906c5b3f7d8f92f228bda40dda721470f9fbf297b5aea617646fac",
    "5c03272e970727c621a79141ef5f7de6505e5bfbc388e93343694093934ae4d3570008002a000400000400",
);
const END_OF_EARLY_DATA: &str = "05000000";
const CLIENT_FINISHED_AGAIN: &str = "140000207230a9c952c25cd6138fc5e6628308c41c5335dd81b9f96bcea50fd32bda416d";

const PSK: &str = "4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3";

/// The key of the ticket comes out of the handshake that gave it.
#[test]
fn the_key_of_a_ticket() {
    let early = EarlySecret::new(hkdf(), None);
    let hellos = transcript(&[CLIENT_HELLO, SERVER_HELLO]);
    let secrets = HandshakeSecrets::new(&early, SUITE, &shared(), hellos.as_bytes());
    let mut messages = vec![
        CLIENT_HELLO,
        SERVER_HELLO,
        ENCRYPTED_EXTENSIONS,
        CERTIFICATE,
        CERTIFICATE_VERIFY,
        SERVER_FINISHED,
    ];
    let application = secrets.application(transcript(&messages).as_bytes());
    messages.push(CLIENT_FINISHED);
    let resumption = application.resumption(transcript(&messages).as_bytes());
    let message = hex(TICKET);
    let ticket = NewSessionTicket::parse(&message[4..]).unwrap();
    assert_eq!(
        (ticket.lifetime, ticket.age_add, ticket.nonce),
        (30, 0xfad6_aac5, &[0, 0][..])
    );
    assert_eq!(resumption.psk(ticket.nonce).as_bytes(), hex(PSK));
    assert_ne!(resumption.psk(&[0, 1]).as_bytes(), hex(PSK));

    // The next handshake shows it, 6 ms old.
    let hello = hex(RESUMING_HELLO);
    let extensions = extensions(&hello);
    assert!(extensions.psks_are_last());
    assert_eq!(extensions.psk_modes(), Ok(Some(&[1][..])));
    let offered = extensions.offered_psks().unwrap().unwrap();
    let [key] = offered.iter().collect::<Vec<_>>()[..] else {
        panic!("{offered:?}");
    };
    assert_eq!(key.identity, ticket.ticket);
    assert_eq!(key.obfuscated_age.wrapping_sub(ticket.age_add), 6);
}

fn extensions(hello: &[u8]) -> Extensions<'_> {
    // A `ClientHello` of TLS has no legacy cookie.
    let mut r = wire::Reader::new(&hello[4..]);
    r.skip(2 + 32 + 1).unwrap();
    let suites = r.u16().unwrap();
    r.skip(usize::from(suites) + 2).unwrap();
    Extensions::read(&mut r).unwrap()
}

#[test]
fn a_binder_covers_the_hello_but_itself() {
    let early = EarlySecret::new(hkdf(), Some(&Digest::new(&hex(PSK))));
    let hello = hex(RESUMING_HELLO);
    let offered = extensions(&hello).offered_psks().unwrap().unwrap();
    let (covered, _) = hello.split_at(hello.len() - offered.uncovered_len());
    assert_eq!(covered.len(), 477);
    let binder = offered.iter().next().unwrap().binder;
    assert_eq!(
        binder,
        hex("3add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d")
    );
    assert_eq!(early.binder(covered).as_bytes(), binder);
    assert!(early.verifies(covered, binder));
    assert!(!early.verifies(&hello, binder) && !early.verifies(covered, &binder[..31]));
    assert!(!EarlySecret::new(hkdf(), None).verifies(covered, binder));
}

/// The schedule as a resumed handshake walks through it.
#[test]
fn traffic_secrets_keys_and_finished() {
    let early = EarlySecret::new(hkdf(), Some(&Digest::new(&hex(PSK))));
    let shared = SharedSecret::new(hex("f44194756ff9ec9d25180635d66ea6824c6ab3bf179977be37f723570e7ccb2e"));
    let mut messages = vec![RESUMING_HELLO, RESUMED_SERVER_HELLO];
    let secrets = HandshakeSecrets::new(&early, SUITE, &shared, transcript(&messages).as_bytes());
    expect(
        &hkdf(),
        &secrets.client,
        "2faac08f851d35fea3604fcb4de82dc62c9b164a70974d0462e27f1ab278700f",
        "b1530806f4adfeac83f1413032bbfa82",
        "eb50c16be7654abf99dd06d9",
    );
    expect(
        &hkdf(),
        &secrets.server,
        "fe927ae271312e8bf0275b581c54eef020450dc4ecffaa05a1a35d27518e7803",
        "27c6bdc0a3dcea39a47326d79bc9e4ee",
        "9569ecdd4d0536705e9ef725",
    );
    messages.push(RESUMED_EXTENSIONS);
    let verify_data = hex(RESUMED_FINISHED)[4..].to_vec();
    assert!(secrets.server.verifies(transcript(&messages).as_bytes(), &verify_data));
    messages.push(RESUMED_FINISHED);
    let application = secrets.application(transcript(&messages).as_bytes());
    assert_eq!(
        application.client.secret(),
        hex("2abbf2b8e381d23dbebe1dd2a7d16a8bf484cb4950d23fb7fb7fa8547062d9a1")
    );
    assert_eq!(
        application.server.secret(),
        hex("cc21f1bf8feb7dd5fa505bd9c4b468a9984d554a993dc49e6d285598fb672691")
    );
    assert_eq!(
        application.exporter.secret(),
        hex("3fd93d4ffddc98e64b14dd107aedf8ee4add23f4510f58a4592d0b201bee56b4")
    );
    // There was early data, which we do not do: its end is in the transcript.
    messages.push(END_OF_EARLY_DATA);
    let verify_data = hex(CLIENT_FINISHED_AGAIN)[4..].to_vec();
    assert!(secrets.client.verifies(transcript(&messages).as_bytes(), &verify_data));
}

#[test]
fn every_ticket_of_a_connection_has_its_own_key() {
    let early = EarlySecret::new(hkdf(), None);
    let hellos = transcript(&[CLIENT_HELLO, SERVER_HELLO]);
    let secrets = HandshakeSecrets::new(&early, SUITE, &shared(), hellos.as_bytes());
    let application = secrets.application(hellos.as_bytes());
    let resumption = application.resumption(hellos.as_bytes());
    let keys: Vec<_> = (0..4)
        .map(|nonce| resumption.psk(&[nonce]).as_bytes().to_vec())
        .collect();
    for (n, key) in keys.iter().enumerate() {
        assert!(keys[..n].iter().all(|other| other != key));
    }
}
