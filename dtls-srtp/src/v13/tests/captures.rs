//! Calls between browsers, captured with their key logs, record by record and message by message.
//!
//! That our plaintexts are the right ones is known from an implementation in Python that shares nothing with ours: per
//! call the number of protected records, and the SHA-256 of all their plaintexts, each with its content type behind it,
//! in the order of capture.

use std::sync::Arc;

use wire::Reader;

use super::hex;
use crate::alert::Alert;
use crate::crypto::{Crypto, HashAlgorithm, RingCrypto, SuiteParameters13};
use crate::fingerprint::{Fingerprint, FingerprintAlgorithm};
use crate::handshake::Fragment;
use crate::hello::{ClientHello, RANDOM_LEN, ServerHello};
use crate::profile::{KeyAndSalt, SrtpProfile};
use crate::reassembly::{Message, Pushed, Reassembler, ReassemblyLimits};
use crate::record::split_record;
use crate::records::{Opened, Records};
use crate::registry::{CipherSuite, ContentType, HandshakeType, NamedGroup, SignatureScheme, Version};
use crate::srtp::Opener;
use crate::transcript::Transcript;
use crate::v12::CertificateVerify;
use crate::v13::message::{
    Ack, CLIENT_SIGNATURE, CertificateChain13, CertificateRequest13, EncryptedExtensions, SERVER_SIGNATURE,
    signed_content,
};
use crate::v13::schedule::{Exporter, Hkdf, Traffic};
use crate::v13::{FIRST_APPLICATION_EPOCH, HANDSHAKE_EPOCH, RecordNumber, split_unified};
use crate::x509::PublicKey;

/// The files of a call.
macro_rules! call {
    ($name:literal) => {
        (
            &include_bytes!(concat!("../../../../fixtures/pcap/", $name, ".pcap"))[..],
            include_str!(concat!("../../../../fixtures/pcap/", $name, ".keylog")),
        )
    };
}

/// What is known of a call. The fingerprints are those of the session descriptions.
struct Expected {
    client: &'static str,
    server: &'static str,
    group: NamedGroup,
    profile: SrtpProfile,
    records: usize,
    sha256: &'static str,
    application_data: usize,
    /// Who says goodbye, in this order.
    goodbyes: &'static [Side],
    /// Messages of the server's that came in more than one fragment.
    fragmented: usize,
    rtp: usize,
    rtcp: usize,
}

#[test]
fn firefox_and_firefox() {
    check(
        call!("firefox-firefox-dtls13"),
        &Expected {
            client: "7D:E1:68:41:0D:7C:4C:B7:B9:A8:BF:6D:A2:FA:D8:D5:F8:3D:D1:A4:C4:A5:1E:01:F7:0E:28:C3:85:BB:A3:63",
            server: "57:9A:1E:8A:33:8E:E1:C5:D6:EA:6E:68:68:9C:96:3F:E7:B7:66:0B:F1:20:7A:CC:6C:A0:55:1B:12:0D:AA:08",
            group: NamedGroup::X25519_MLKEM768,
            profile: SrtpProfile::AeadAes128Gcm,
            records: 28,
            sha256: "cae2dd0aa58272261a3a85746da0263ce05caf6d232e3a6a78f6e022217fdc41",
            application_data: 17,
            goodbyes: &[Side::Server],
            fragmented: 1,
            rtp: 194,
            rtcp: 66,
        },
    );
}

#[test]
fn chromium_as_client_of_firefox() {
    check(
        call!("firefox-offers-chromium-dtls13"),
        &Expected {
            client: "F8:9B:22:53:7A:57:C4:07:80:3D:3B:F0:6B:C2:56:B3:37:46:5E:07:83:B5:EB:92:D0:A1:4D:6A:AD:8F:12:B3",
            server: "E7:F2:00:75:E8:97:F9:32:85:E2:DD:BE:18:8E:D0:F5:DE:CB:BB:76:C6:20:C9:4A:84:84:95:71:35:1F:98:95",
            group: NamedGroup::X25519_MLKEM768,
            profile: SrtpProfile::AeadAes128Gcm,
            records: 29,
            sha256: "25e7246192ba912a716bc47a35bd38606db3f738c153f56423a103293ec38099",
            application_data: 19,
            goodbyes: &[Side::Server, Side::Client],
            fragmented: 1,
            rtp: 188,
            rtcp: 56,
        },
    );
}

/// Firefox without its hybrid group. Chromium sends its hello twice, and changes its address during the call.
#[test]
fn chromium_as_client_of_firefox_with_x25519() {
    check(
        call!("firefox-offers-chromium-dtls13-nopq"),
        &Expected {
            client: "80:6F:4A:18:3F:0F:5F:91:7B:7D:EE:36:09:B8:FD:8B:8A:54:21:D5:E5:A6:EF:8D:A8:CA:C5:74:23:52:5C:04",
            server: "2B:2E:3E:67:F8:8A:C6:EB:30:A5:4D:AA:90:63:4F:CE:31:90:A9:5F:8E:8C:38:D0:F9:AF:2E:E1:08:82:45:46",
            group: NamedGroup::X25519,
            profile: SrtpProfile::AeadAes128Gcm,
            records: 28,
            sha256: "705a3c9779563015abec0761629249fc2ea80d60b99a2ecca1e58d017e8d1724",
            application_data: 19,
            goodbyes: &[Side::Server, Side::Client],
            fragmented: 0,
            rtp: 185,
            rtcp: 54,
        },
    );
}

/// Chromium has its whole flight behind the `ServerHello` in one record.
#[test]
fn firefox_as_client_of_chromium() {
    check(
        call!("close-chromium-pc"),
        &Expected {
            client: "DA:C5:0A:A5:C7:34:15:AF:6A:8C:DA:C9:35:9D:A4:52:EC:65:B6:5E:FC:B1:5F:FE:DB:50:2A:EF:E4:24:7B:47",
            server: "3D:96:3E:8F:38:2A:8B:1B:D8:4A:23:E4:3A:B4:0B:1F:AE:64:BB:8C:E9:A5:A2:99:1B:B5:9A:63:5E:D7:EE:83",
            group: NamedGroup::X25519_MLKEM768,
            profile: SrtpProfile::Aes128CmHmacSha1_80,
            records: 22,
            sha256: "d4a74bb0631d3bc0d9dec1878e960b103872e3994fa0cdf23dcbbd2e7b52ced6",
            application_data: 16,
            goodbyes: &[Side::Server],
            fragmented: 0,
            rtp: 92,
            rtcp: 25,
        },
    );
}

/// More records than the replay window is wide.
#[test]
fn many_records() {
    check(
        call!("datachannels-chromium-offers-firefox"),
        &Expected {
            client: "67:6D:F5:7E:B9:DB:7A:C6:25:BE:6F:AA:79:C8:80:96:02:48:2D:F5:D5:2E:53:35:2B:4B:51:B6:64:A8:5F:A2",
            server: "77:21:96:CD:FF:7E:80:EE:78:40:6B:82:D5:DF:AD:41:D9:64:E9:39:63:48:EE:A1:94:4A:A3:4E:96:37:A6:3B",
            group: NamedGroup::X25519_MLKEM768,
            profile: SrtpProfile::Aes128CmHmacSha1_80,
            records: 362,
            sha256: "ffdcf7b3aa6ce685341254f806eb433b1507ee3f349c75a71e94c0b84f647adf",
            application_data: 357,
            goodbyes: &[],
            fragmented: 0,
            rtp: 196,
            rtcp: 73,
        },
    );
}

fn check((pcap, key_log): (&[u8], &str), expected: &Expected) {
    let datagrams = datagrams(pcap);
    let mut call = Call::new(Addresses::find(&datagrams), key_log);
    for datagram in datagrams.iter().filter(|datagram| crate::is_dtls(datagram.payload)) {
        call.handle(datagram);
    }

    assert!(call.client.finished && call.server.finished);
    for (end, fingerprint) in [(&call.client, expected.client), (&call.server, expected.server)] {
        assert_eq!(
            Fingerprint::of_certificate(FingerprintAlgorithm::Sha256, &end.certificate).to_string(),
            format!("sha-256 {fingerprint}")
        );
    }
    let hellos = call.hellos.as_ref().unwrap();
    assert_eq!((hellos.group, call.profile), (expected.group, Some(expected.profile)));
    assert_eq!(
        (
            call.records,
            call.plaintexts_sha256().as_slice(),
            call.application_data,
            &call.goodbyes[..],
            call.fragmented
        ),
        (
            expected.records,
            &hex(expected.sha256)[..],
            expected.application_data,
            expected.goodbyes,
            expected.fragmented
        )
    );
    // The server acknowledges each record of the client's last flight, once.
    assert_eq!(call.acknowledged, call.client.flight);

    let exporter = call.exporter();
    let counts = open_srtp(&exporter, expected.profile, &call.addresses, &datagrams);
    assert_eq!(counts, (expected.rtp, expected.rtcp));
}

/// Opens every packet of SRTP and SRTCP with keys from our exporter (RFC 5764 §4.2) and counts them.
fn open_srtp(
    exporter: &Exporter,
    profile: SrtpProfile,
    addresses: &Addresses,
    datagrams: &[Datagram<'_>],
) -> (usize, usize) {
    let mut material = vec![0; profile.keying_material_len()];
    exporter.export(b"EXTRACTOR-dtls_srtp", None, &mut material).unwrap();
    let (keys, salts) = material.split_at(2 * profile.key_len());
    let (client_key, server_key) = keys.split_at(profile.key_len());
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    let opener = |key, salt| Opener::new(&KeyAndSalt::new(profile, key, salt).unwrap());
    let (mut client, mut server) = (opener(client_key, client_salt), opener(server_key, server_salt));
    let (mut rtp, mut rtcp) = (0, 0);
    for datagram in datagrams {
        if !matches!(datagram.payload.first(), Some(128..=191)) {
            continue;
        }
        let opener = match addresses.sender(datagram) {
            Side::Client => &mut client,
            Side::Server => &mut server,
        };
        let mut data = datagram.payload.to_vec();
        // RFC 5761 §4.
        if (192..=223).contains(&data[1]) {
            opener.open_rtcp(&mut data).unwrap();
            rtcp += 1;
        } else {
            opener.open_rtp(&mut data).unwrap();
            rtp += 1;
        }
    }
    (rtp, rtcp)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

struct Datagram<'a> {
    source: u16,
    destination: u16,
    payload: &'a [u8],
}

/// The UDP datagrams of a pcap file: little-endian, Ethernet or raw IP.
fn datagrams(pcap: &[u8]) -> Vec<Datagram<'_>> {
    let u32_at = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap()) as usize;
    let link_header = if u32_at(20) == 1 { 14 } else { 0 };
    let (mut at, mut datagrams) = (24, Vec::new());
    while at < pcap.len() {
        let len = u32_at(at + 8);
        let ip = &pcap[at + 16 + link_header..at + 16 + len];
        let udp = if ip[0] >> 4 == 4 {
            &ip[4 * usize::from(ip[0] & 0x0f)..]
        } else {
            &ip[40..]
        };
        datagrams.push(Datagram {
            source: u16::from_be_bytes([udp[0], udp[1]]),
            destination: u16::from_be_bytes([udp[2], udp[3]]),
            payload: &udp[8..],
        });
        at += 16 + len;
    }
    datagrams
}

/// The client's ports. It may have several: a hello can go another way than its answer.
struct Addresses {
    client: Vec<u16>,
}

impl Addresses {
    fn find(datagrams: &[Datagram<'_>]) -> Self {
        let client = datagrams.iter().filter_map(|datagram| {
            let mut payload = datagram.payload.to_vec();
            let (header, body, _) = split_record(&mut payload).ok()?;
            if header.content_type != ContentType::HANDSHAKE || header.epoch > 0 {
                return None;
            }
            match Fragment::read(&mut Reader::new(body)).unwrap().header.message_type {
                HandshakeType::CLIENT_HELLO => Some(datagram.source),
                HandshakeType::SERVER_HELLO => Some(datagram.destination),
                message_type => panic!("{message_type} in the clear"),
            }
        });
        Self {
            client: client.collect(),
        }
    }

    fn sender(&self, datagram: &Datagram<'_>) -> Side {
        let is_client = self.client.contains(&datagram.source);
        assert_ne!(is_client, self.client.contains(&datagram.destination));
        if is_client { Side::Client } else { Side::Server }
    }
}

/// What one side has sent.
struct End {
    reassembler: Reassembler,
    records: Records,
    certificate: Vec<u8>,
    verified: bool,
    finished: bool,
    /// The numbers of its protected records of the handshake.
    flight: Vec<RecordNumber>,
}

impl End {
    fn new() -> Self {
        Self {
            reassembler: Reassembler::new(ReassemblyLimits {
                message: 4000,
                total: 8000,
            }),
            records: Records::new(),
            certificate: Vec::new(),
            verified: false,
            finished: false,
            flight: Vec::new(),
        }
    }
}

/// What the hellos say.
struct Hellos {
    group: NamedGroup,
    suite: SuiteParameters13,
    client: Traffic,
    server: Traffic,
}

struct Call<'a> {
    crypto: Arc<RingCrypto>,
    key_log: &'a str,
    addresses: Addresses,
    client: End,
    server: End,
    transcript: Transcript,
    client_random: [u8; RANDOM_LEN],
    hellos: Option<Hellos>,
    profile: Option<SrtpProfile>,
    records: usize,
    plaintexts: Vec<u8>,
    application_data: usize,
    goodbyes: Vec<Side>,
    acknowledged: Vec<RecordNumber>,
    fragmented: usize,
}

impl<'a> Call<'a> {
    fn new(addresses: Addresses, key_log: &'a str) -> Self {
        Self {
            crypto: Arc::new(RingCrypto::new()),
            key_log,
            addresses,
            client: End::new(),
            server: End::new(),
            transcript: Transcript::default(),
            client_random: [0; RANDOM_LEN],
            hellos: None,
            profile: None,
            records: 0,
            plaintexts: Vec::new(),
            application_data: 0,
            goodbyes: Vec::new(),
            acknowledged: Vec::new(),
            fragmented: 0,
        }
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn plaintexts_sha256(&self) -> Vec<u8> {
        self.crypto
            .hash(HashAlgorithm::Sha256, &self.plaintexts)
            .as_bytes()
            .to_vec()
    }

    fn handle(&mut self, datagram: &Datagram<'_>) {
        let side = self.addresses.sender(datagram);
        let mut payload = datagram.payload.to_vec();
        let mut rest = &mut payload[..];
        while !rest.is_empty() {
            if crate::v13::UnifiedHeader::begins(rest[0]) {
                let (record, tail) = split_unified(rest, 0).unwrap();
                let header = record.header;
                // No browser leaves the length out, even at the end of a datagram.
                assert!(header.length.is_some());
                let Opened::Content {
                    content_type,
                    number,
                    content,
                    ..
                } = self.end(side).records.open_unified(record)
                else {
                    panic!("{header:?} of the {side:?} does not open");
                };
                let content = content.to_vec();
                self.handle_protected(side, content_type, number, &content);
                rest = tail;
            } else {
                let (header, body, tail) = split_record(rest).unwrap();
                assert_eq!((header.content_type, header.epoch), (ContentType::HANDSHAKE, 0));
                self.handle_fragments(side, body);
                rest = tail;
            }
        }
    }

    fn handle_protected(&mut self, side: Side, content_type: ContentType, number: RecordNumber, content: &[u8]) {
        self.records += 1;
        self.plaintexts.extend_from_slice(content);
        self.plaintexts.push(content_type.0);
        let epoch = if content_type == ContentType::HANDSHAKE {
            self.end(side).flight.push(number);
            self.handle_fragments(side, content);
            HANDSHAKE_EPOCH
        } else {
            FIRST_APPLICATION_EPOCH
        };
        assert_eq!(number.epoch, u64::from(epoch), "{content_type}");
        match content_type {
            ContentType::HANDSHAKE => {}
            ContentType::APPLICATION_DATA => self.application_data += 1,
            ContentType::ACK => {
                assert_eq!(side, Side::Server);
                self.acknowledged.extend(Ack::parse(content).unwrap().iter());
            }
            ContentType::ALERT => {
                assert_eq!(Alert::parse(content), Some(Alert::CLOSE_NOTIFY));
                self.goodbyes.push(side);
            }
            content_type => panic!("{content_type}"),
        }
    }

    fn handle_fragments(&mut self, side: Side, body: &[u8]) {
        let mut r = Reader::new(body);
        while !r.is_empty() {
            let fragment = Fragment::read(&mut r).unwrap();
            let end = self.end(side);
            let pushed = end.reassembler.push(&fragment);
            // Chromium's hello may come again before there is an answer.
            let repeated = fragment.header.message_type == HandshakeType::CLIENT_HELLO;
            assert!(
                pushed == Pushed::Kept || (pushed == Pushed::Stale && repeated),
                "{pushed:?}"
            );
            let messages: Vec<_> = std::iter::from_fn(|| end.reassembler.take()).collect();
            if side == Side::Server && fragment.header.fragment_offset == 0 && !fragment.header.is_last() {
                self.fragmented += 1;
            }
            for message in messages {
                self.handle_message(side, &message);
            }
        }
    }

    fn handle_message(&mut self, side: Side, message: &Message) {
        let body = &message.body[..];
        match (side, message.message_type) {
            (Side::Client, HandshakeType::CLIENT_HELLO) => {
                let hello = ClientHello::parse(body).unwrap();
                let versions = hello.extensions.supported_versions().unwrap().unwrap();
                assert!(versions.contains(Version::DTLS_1_3.0));
                self.client_random = hello.random;
                self.push(message);
            }
            (Side::Server, HandshakeType::SERVER_HELLO) => {
                self.transcript.become_13();
                self.push(message);
                self.take_server_hello(&ServerHello::parse(body).unwrap());
            }
            (Side::Server, HandshakeType::ENCRYPTED_EXTENSIONS) => {
                let extensions = EncryptedExtensions::parse(body).unwrap().extensions;
                let srtp = extensions.use_srtp().unwrap().unwrap();
                let profiles: Vec<_> = srtp.profiles().collect();
                let [profile] = profiles[..] else {
                    panic!("{profiles:?}");
                };
                self.profile = SrtpProfile::from_id(profile);
                self.push(message);
            }
            (Side::Server, HandshakeType::CERTIFICATE_REQUEST) => {
                let request = CertificateRequest13::parse(body).unwrap();
                assert!(request.context.is_empty());
                let schemes = request.extensions.signature_algorithms().unwrap().unwrap();
                assert!(schemes.contains(SignatureScheme::ECDSA_SECP256R1_SHA256.0));
                self.push(message);
            }
            (_, HandshakeType::CERTIFICATE) => {
                let chain = CertificateChain13::parse(body).unwrap();
                assert!(chain.context.is_empty());
                let certificates: Vec<_> = chain.iter().collect();
                assert_eq!(certificates.len(), 1);
                self.end(side).certificate = certificates[0].to_vec();
                self.push(message);
            }
            (_, HandshakeType::CERTIFICATE_VERIFY) => {
                self.take_certificate_verify(side, &CertificateVerify::parse(body).unwrap());
                self.push(message);
            }
            (_, HandshakeType::FINISHED) => {
                assert!(self.end(side).verified);
                let hellos = self.hellos.as_ref().unwrap();
                let (own, other) = match side {
                    Side::Client => (&hellos.client, &hellos.server),
                    Side::Server => (&hellos.server, &hellos.client),
                };
                let transcript = self.transcript.as_bytes();
                assert!(own.verifies(transcript, body) && !other.verifies(transcript, body));
                assert!(!own.verifies(&transcript[1..], body));
                self.end(side).finished = true;
                self.push(message);
            }
            (side, message_type) => panic!("{message_type} of the {side:?}"),
        }
    }

    fn push(&mut self, message: &Message) {
        self.transcript
            .push(message.message_type, message.message_seq, &message.body)
            .unwrap();
    }

    fn take_server_hello(&mut self, hello: &ServerHello<'_>) {
        assert_eq!(
            (hello.version, hello.session_id, hello.cipher_suite),
            (Version::DTLS_1_2, &[][..], CipherSuite::TLS_AES_128_GCM_SHA256)
        );
        assert_eq!(hello.extensions.selected_version(), Ok(Some(Version::DTLS_1_3)));
        let suite = hello.cipher_suite.parameters_13().unwrap();
        let traffic = |label: &str| {
            let hkdf = Hkdf::new(self.crypto.clone(), suite.hash);
            Traffic::from_secret(hkdf, suite, &self.logged(label))
        };
        let (client, server) = (
            traffic("CLIENT_HANDSHAKE_TRAFFIC_SECRET"),
            traffic("SERVER_HANDSHAKE_TRAFFIC_SECRET"),
        );
        let (later_client, later_server) = (traffic("CLIENT_TRAFFIC_SECRET_0"), traffic("SERVER_TRAFFIC_SECRET_0"));
        for (end, handshake, later) in [
            (&mut self.client, &client, later_client),
            (&mut self.server, &server, later_server),
        ] {
            for (epoch, traffic) in [(HANDSHAKE_EPOCH, handshake), (FIRST_APPLICATION_EPOCH, &later)] {
                end.records.install_opening(epoch, traffic.protection(epoch).unwrap());
            }
        }
        self.hellos = Some(Hellos {
            group: hello.extensions.server_key_share().unwrap().unwrap().group,
            suite,
            client,
            server,
        });
    }

    fn take_certificate_verify(&mut self, side: Side, verify: &CertificateVerify<'_>) {
        assert_eq!(verify.scheme, SignatureScheme::ECDSA_SECP256R1_SHA256);
        let hash = self.hellos.as_ref().unwrap().suite.hash;
        let digest = self.crypto.hash(hash, self.transcript.as_bytes());
        let (own, other) = match side {
            Side::Client => (CLIENT_SIGNATURE, SERVER_SIGNATURE),
            Side::Server => (SERVER_SIGNATURE, CLIENT_SIGNATURE),
        };
        let crypto = self.crypto.clone();
        let end = self.end(side);
        let key = PublicKey::of_certificate(&end.certificate).unwrap();
        let verifies = |context| {
            let content = signed_content(context, digest.as_bytes());
            crypto.verify(&key, verify.scheme, &content, verify.signature).is_ok()
        };
        assert!(verifies(own) && !verifies(other));
        end.verified = true;
    }

    /// A secret of this call's.
    fn logged(&self, label: &str) -> Vec<u8> {
        let secret = self.key_log.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let (this, random) = (fields.next()?, fields.next()?);
            (this == label && hex(random) == self.client_random).then(|| hex(fields.next().unwrap()))
        });
        secret.unwrap()
    }

    fn exporter(&self) -> Exporter {
        let suite = self.hellos.as_ref().unwrap().suite;
        let hkdf = Hkdf::new(self.crypto.clone(), suite.hash);
        Exporter::from_secret(hkdf, &self.logged("EXPORTER_SECRET"))
    }
}
