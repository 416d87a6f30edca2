//! Calls between browsers, captured with their key logs: every SRTP and SRTCP packet opens, and to the same plaintext
//! as others opened it to (counts and SHA-256 of the concatenated plaintexts in the order of capture): libsrtp for the
//! first three calls, a second implementation on Python's `cryptography` for those with DTLS 1.3.

use dtls_srtp::srtp::Opener;
use dtls_srtp::{KeyAndSalt, SrtpProfile};
use ring::{digest, hmac};

struct Expected {
    rtp: (usize, &'static str),
    rtcp: (usize, &'static str),
}

/// DTLS 1.2 with AES-CM.
#[test]
fn chromium_offers_firefox_dtls12() {
    check(
        include_bytes!("../../fixtures/pcap/chromium-offers-firefox-dtls12.pcap"),
        include_str!("../../fixtures/pcap/chromium-offers-firefox-dtls12.keylog"),
        SrtpProfile::Aes128CmHmacSha1_80,
        &Expected {
            rtp: (172, "fa847b3c8a494d5938b3efa302e0e665cd5028fbf2756aec3cfe5aca84c2a8d5"),
            rtcp: (56, "f6b9c889da40ce62009b838f04eb95712c63cb91de7dbbea79983b33a5b8a67c"),
        },
    );
}

/// DTLS 1.3 with AES-GCM.
#[test]
fn firefox_firefox_dtls13() {
    check(
        include_bytes!("../../fixtures/pcap/firefox-firefox-dtls13.pcap"),
        include_str!("../../fixtures/pcap/firefox-firefox-dtls13.keylog"),
        SrtpProfile::AeadAes128Gcm,
        &Expected {
            rtp: (194, "52eb9542278ed87e8e73fc50fa278bbabfd6804ef641747fdbbfae8878cc579d"),
            rtcp: (66, "e1e3f607a5e7d3e593a63a72da0dc532c25d0f938670b8c991926b0d4da6a7e8"),
        },
    );
}

/// DTLS 1.3 with AES-GCM.
#[test]
fn firefox_offers_chromium_dtls13() {
    check(
        include_bytes!("../../fixtures/pcap/firefox-offers-chromium-dtls13.pcap"),
        include_str!("../../fixtures/pcap/firefox-offers-chromium-dtls13.keylog"),
        SrtpProfile::AeadAes128Gcm,
        &Expected {
            rtp: (188, "74bfde4ae64fd424ca54f4c24ba22822d2e8cc4b01c2a46884b7ec909c1bd08a"),
            rtcp: (56, "a849f71e5bab2fc14a6af9fd6e0a283fdec737ca6bf0d6961c720874757893c0"),
        },
    );
}

/// DTLS 1.3 with AES-GCM, and a client that changes its port during the call.
#[test]
fn firefox_offers_chromium_dtls13_nopq() {
    check(
        include_bytes!("../../fixtures/pcap/firefox-offers-chromium-dtls13-nopq.pcap"),
        include_str!("../../fixtures/pcap/firefox-offers-chromium-dtls13-nopq.keylog"),
        SrtpProfile::AeadAes128Gcm,
        &Expected {
            rtp: (185, "fe5f1b4b06b9661d344da8235b5155368bf59a16941e656ac91d8d8170464533"),
            rtcp: (54, "74594d22432a617b6c78ab41661a4166dd17f5f545115e4b9c3f1b3bda2eda9e"),
        },
    );
}

/// DTLS 1.3 with AES-CM.
#[test]
fn close_chromium_pc() {
    check(
        include_bytes!("../../fixtures/pcap/close-chromium-pc.pcap"),
        include_str!("../../fixtures/pcap/close-chromium-pc.keylog"),
        SrtpProfile::Aes128CmHmacSha1_80,
        &Expected {
            rtp: (92, "3d2f92150664e9d7325dfa880c0496e5e72e838f45ce217e834c2c14c9fbeb34"),
            rtcp: (25, "9b96656aa747d6e182628b6ef04126ff6f36380ec2efb26aefb40ead49eafd9d"),
        },
    );
}

/// DTLS 1.3 with AES-CM.
#[test]
fn datachannels_chromium_offers_firefox() {
    check(
        include_bytes!("../../fixtures/pcap/datachannels-chromium-offers-firefox.pcap"),
        include_str!("../../fixtures/pcap/datachannels-chromium-offers-firefox.keylog"),
        SrtpProfile::Aes128CmHmacSha1_80,
        &Expected {
            rtp: (196, "781a861d6cbbdb582ca66e680cd6d06cfb1027e0122daf5986373fa2dec15470"),
            rtcp: (73, "d73ce3168458c81e79917d83c21671c43f18fd2f73f02ee19ec54474eb6a9fe4"),
        },
    );
}

fn check(pcap: &[u8], key_log: &str, profile: SrtpProfile, expected: &Expected) {
    let datagrams = udp_datagrams(pcap);
    let hellos = Hellos::find(&datagrams);
    let material = exported(key_log, &hellos, profile.keying_material_len());

    // RFC 5764 §4.2: client key, server key, client salt, server salt.
    let (keys, salts) = material.split_at(2 * profile.key_len());
    let (client_key, server_key) = keys.split_at(profile.key_len());
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    let mut client = Opener::new(&KeyAndSalt::new(profile, client_key, client_salt).unwrap());
    let mut server = Opener::new(&KeyAndSalt::new(profile, server_key, server_salt).unwrap());

    let mut rtp = (0, digest::Context::new(&digest::SHA256));
    let mut rtcp = (0, digest::Context::new(&digest::SHA256));
    for datagram in datagrams
        .iter()
        .filter(|datagram| matches!(datagram.payload.first(), Some(128..=191)))
    {
        let opener = if hellos.client.contains(&datagram.source) {
            &mut client
        } else {
            &mut server
        };
        let mut data = datagram.payload.to_vec();
        // RFC 5761 §4.
        if (192..=223).contains(&data[1]) {
            rtcp.0 += 1;
            rtcp.1.update(opener.open_rtcp(&mut data).unwrap());
        } else {
            rtp.0 += 1;
            rtp.1.update(opener.open_rtp(&mut data).unwrap().packet);
        }
    }
    assert_eq!(
        (rtp.0, hex(rtp.1.finish().as_ref())),
        (expected.rtp.0, expected.rtp.1.to_owned())
    );
    assert_eq!(
        (rtcp.0, hex(rtcp.1.finish().as_ref())),
        (expected.rtcp.0, expected.rtcp.1.to_owned())
    );
    assert!(
        client
            .counters()
            .iter()
            .chain(server.counters().iter())
            .all(|(_, count)| count == 0)
    );
}

struct Datagram<'a> {
    source: u16,
    destination: u16,
    payload: &'a [u8],
}

/// The UDP datagrams of a pcap file: little-endian, Ethernet or raw IP.
fn udp_datagrams(pcap: &[u8]) -> Vec<Datagram<'_>> {
    let u32_at = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(u32_at(0), 0xa1b2_c3d4);
    let link_header = if u32_at(20) == 1 { 14 } else { 0 };
    let mut datagrams = Vec::new();
    let mut at = 24;
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

struct Hellos {
    /// The port that the ClientHello came from, and the one that the ServerHello went to.
    client: [u16; 2],
    client_random: Vec<u8>,
    server_random: Vec<u8>,
}

impl Hellos {
    /// From the first datagrams that hold the beginning of a ClientHello and of a ServerHello in clear: record header
    /// of 13 bytes, handshake header of 12, version, random.
    fn find(datagrams: &[Datagram<'_>]) -> Self {
        let hello = |message_type: u8| {
            datagrams
                .iter()
                .find(|d| {
                    d.payload.len() > 59
                        && d.payload[0] == 22
                        && d.payload[13] == message_type
                        && d.payload[19..22] == [0; 3]
                })
                .unwrap()
        };
        let (client, server) = (hello(1), hello(2));
        Self {
            client: [client.source, server.destination],
            client_random: client.payload[27..59].to_vec(),
            server_random: server.payload[27..59].to_vec(),
        }
    }
}

const LABEL: &[u8] = b"EXTRACTOR-dtls_srtp";

/// What the DTLS exporter gave both sides, from a key log in NSS's format.
fn exported(key_log: &str, hellos: &Hellos, len: usize) -> Vec<u8> {
    let random = hex(&hellos.client_random);
    for line in key_log.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if fields[1] != random {
            continue;
        }
        let secret: Vec<u8> = (0..fields[2].len() / 2)
            .map(|at| u8::from_str_radix(&fields[2][2 * at..2 * at + 2], 16).unwrap())
            .collect();
        match fields[0] {
            // RFC 5705 §4 with the PRF of RFC 5246 §5; no context.
            "CLIENT_RANDOM" => {
                return prf(
                    &secret,
                    &[LABEL, &hellos.client_random, &hellos.server_random].concat(),
                    len,
                );
            }
            // RFC 8446 §7.5 with the label prefix of RFC 9147 §5.9.
            "EXPORTER_SECRET" => {
                let empty = digest::digest(&digest::SHA256, b"");
                let secret = hkdf_expand_label(&secret, LABEL, empty.as_ref(), 32);
                return hkdf_expand_label(&secret, b"exporter", empty.as_ref(), len);
            }
            _ => {}
        }
    }
    panic!("the key log does not know this call");
}

fn prf(secret: &[u8], seed: &[u8], len: usize) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut a = hmac::sign(&key, seed);
    let mut out = Vec::new();
    while out.len() < len {
        out.extend(hmac::sign(&key, &[a.as_ref(), seed].concat()).as_ref());
        a = hmac::sign(&key, a.as_ref());
    }
    out.truncate(len);
    out
}

fn hkdf_expand_label(secret: &[u8], label: &[u8], context: &[u8], len: usize) -> Vec<u8> {
    let label = [b"dtls13", label].concat();
    let mut info = vec![(len >> 8) as u8, len as u8, label.len() as u8];
    info.extend(label);
    info.push(context.len() as u8);
    info.extend(context);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut out = Vec::new();
    let mut block = Vec::new();
    for counter in 1..=u8::MAX {
        if out.len() >= len {
            break;
        }
        block = hmac::sign(&key, &[&block[..], &info, &[counter]].concat())
            .as_ref()
            .to_vec();
        out.extend(&block);
    }
    out.truncate(len);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
