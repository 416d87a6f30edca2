//! What a whole DTLS handshake costs both ends together, beside the sum of its own primitives (two signatures, two
//! verifications, key pairs and agreements) and beside dimpl and rtc-dtls alone. P-256 certificates on both sides, suites with
//! AES-128-GCM, SRTP negotiated, nothing lost; certificates and configurations are made once.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use dtls_srtp::{Certificate, CipherSuite, Config, Crypto, Dtls, NamedGroup, RingCrypto, Role, Version};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use wire::Seed;

use crate::rounds::{Case, compare, thread_time};

const BATCH: u32 = 5;
const ROUNDS: usize = 101;

pub(crate) fn run() {
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut add = |name: &str, floor: Option<usize>, mut once: Box<dyn FnMut()>| {
        cases.push(Case {
            name: name.to_owned(),
            floor,
            run: Box::new(move || {
                let start = thread_time();
                for _ in 0..BATCH {
                    once();
                }
                (thread_time() - start).as_nanos() as f64 / f64::from(BATCH)
            }),
        });
    };

    add("primitives with x25519", None, Box::new(primitives(NamedGroup::X25519)));
    add(
        "ours, DTLS 1.2, x25519",
        Some(0),
        Box::new(ours(Version::DTLS_1_2, NamedGroup::X25519)),
    );
    add(
        "ours, DTLS 1.3, x25519",
        Some(0),
        Box::new(ours(Version::DTLS_1_3, NamedGroup::X25519)),
    );
    add("dimpl, DTLS 1.2", Some(0), Box::new(dimpl(dimpl::Dtls::new_12)));
    add("dimpl, DTLS 1.3", Some(0), Box::new(dimpl(dimpl::Dtls::new_13)));
    add("rtc-dtls, DTLS 1.2", Some(0), Box::new(rtc()));
    add(
        "primitives with X25519MLKEM768",
        None,
        Box::new(primitives(NamedGroup::X25519_MLKEM768)),
    );
    add(
        "ours, DTLS 1.3, X25519MLKEM768",
        Some(6),
        Box::new(ours(Version::DTLS_1_3, NamedGroup::X25519_MLKEM768)),
    );
    compare(ROUNDS, &mut cases);
}

/// Two signatures, two verifications, one key exchange.
fn primitives(group: NamedGroup) -> impl FnMut() {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).expect("a key");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref().to_vec());
    let crypto = RingCrypto::new();
    let seed = Seed::from_run(1);
    // As long as what a CertificateVerify of DTLS 1.3 signs.
    let message = [7; 130];
    move || {
        for _ in 0..2 {
            let signature = key.sign(&random, black_box(&message)).expect("a signature");
            public
                .verify(&message, black_box(signature.as_ref()))
                .expect("the right one");
        }
        let client = crypto.start_key_exchange(group, &seed).expect("a share");
        let (share, theirs) = crypto
            .answer_key_exchange(group, client.share(), &seed)
            .expect("an answer");
        let ours = client.complete(&share).expect("a secret");
        assert_eq!(ours.as_bytes(), theirs.as_bytes());
    }
}

fn ours(version: Version, group: NamedGroup) -> impl FnMut() {
    let crypto = Arc::new(RingCrypto::new());
    let suites = vec![
        CipherSuite::TLS_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    let certificates = [(); 2].map(|()| Certificate::generate().expect("a certificate"));
    let fingerprints = certificates.each_ref().map(Certificate::fingerprint);
    let configs = certificates.map(|certificate| {
        Arc::new(Config {
            versions: vec![version],
            groups: vec![group],
            cipher_suites: suites.clone(),
            ..Config::new(crypto.clone(), certificate)
        })
    });
    let mut run = 0;
    move || {
        let now = Instant::now();
        run += 2;
        let mut client = Dtls::new(configs[0].clone(), Role::Client, Seed::from_run(run), now);
        let mut server = Dtls::new(configs[1].clone(), Role::Server, Seed::from_run(run + 1), now);
        client.set_remote_fingerprints(vec![fingerprints[1].clone()]);
        server.set_remote_fingerprints(vec![fingerprints[0].clone()]);
        let mut out = [0; 1500];
        loop {
            let mut quiet = true;
            while let Some(len) = client.poll_transmit(now, &mut out) {
                server.handle_datagram(now, &mut out[..len], &mut |_| ());
                quiet = false;
            }
            while let Some(len) = server.poll_transmit(now, &mut out) {
                client.handle_datagram(now, &mut out[..len], &mut |_| ());
                quiet = false;
            }
            if quiet {
                break;
            }
        }
        let keys = (client.take_srtp_keys(), server.take_srtp_keys());
        assert!(keys.0.is_some() && keys.1.is_some(), "{client:?} {server:?}");
    }
}

type NewDimpl = fn(Arc<dimpl::Config>, dimpl::DtlsCertificate, Instant) -> dimpl::Dtls;

fn dimpl(new: NewDimpl) -> impl FnMut() {
    let config = Arc::new(dimpl::Config::default());
    let certificates = [(); 2].map(|()| dimpl::certificate::generate_self_signed_certificate().expect("a certificate"));
    move || {
        let now = Instant::now();
        let mut ends = certificates
            .clone()
            .map(|certificate| new(config.clone(), certificate, now));
        ends[0].set_active(true);
        ends[1].set_active(false);
        for end in &mut ends {
            end.handle_timeout(now).expect("the time");
        }
        let mut keys = [false; 2];
        let mut buffer = [0; 2048];
        let mut quiet = 0;
        // Both in turn, until neither has anything to say.
        for turn in (0..2).cycle() {
            let mut datagrams = Vec::new();
            loop {
                match ends[turn].poll_output(&mut buffer) {
                    dimpl::Output::Packet(datagram) => datagrams.push(datagram.to_vec()),
                    dimpl::Output::Timeout(_) => break,
                    dimpl::Output::KeyingMaterial(..) => keys[turn] = true,
                    _ => {}
                }
            }
            quiet = if datagrams.is_empty() { quiet + 1 } else { 0 };
            if quiet == 2 {
                break;
            }
            for datagram in datagrams {
                ends[1 - turn].handle_packet(&datagram).expect("a good datagram");
            }
        }
        assert_eq!(keys, [true; 2]);
    }
}

fn rtc() -> impl FnMut() {
    let [client_address, server_address] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let [client, server] =
        [(true, server_address), (false, client_address)].map(|(is_client, peer)| rtc_config(is_client, peer));
    move || {
        let now = Instant::now();
        let mut ends = [
            Endpoint::new(client_address, rtc_shared::TransportProtocol::UDP, None),
            Endpoint::new(server_address, rtc_shared::TransportProtocol::UDP, Some(server.clone())),
        ];
        ends[0]
            .connect(now, server_address, client.clone(), None)
            .expect("a hello");
        let mut complete = [false; 2];
        let mut quiet = 0;
        for turn in (0..2).cycle() {
            let from = [client_address, server_address][turn];
            let datagrams: Vec<BytesMut> = std::iter::from_fn(|| ends[turn].poll_transmit())
                .map(|transmit| transmit.message)
                .collect();
            quiet = if datagrams.is_empty() { quiet + 1 } else { 0 };
            if quiet == 2 {
                break;
            }
            for datagram in datagrams {
                let events = ends[1 - turn].read(now, from, None, datagram).expect("a good datagram");
                let done = |event: &EndpointEvent| matches!(event, EndpointEvent::HandshakeComplete);
                complete[1 - turn] |= events.iter().any(done);
            }
        }
        assert_eq!(complete, [true; 2]);
    }
}

/// As a WebRTC stack sets it up: both ends show certificates, which are looked at but lead to no authority.
fn rtc_config(is_client: bool, peer: SocketAddr) -> Arc<HandshakeConfig> {
    let provider = rtc_dtls::crypto_provider::default_provider().expect("cryptography");
    let certificate = rtc_dtls::crypto::Certificate::generate_self_signed(vec!["bench".to_owned()], provider.crypto());
    let builder = ConfigBuilder::default()
        .with_crypto_provider(provider.clone())
        .with_certificates(vec![certificate.expect("a certificate")])
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        .with_extended_master_secret(ExtendedMasterSecretType::Require)
        .with_insecure_skip_verify(true);
    Arc::new(builder.build(is_client, Some(peer)).expect("a configuration"))
}
