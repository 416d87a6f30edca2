//! Every byte that libsrtp seals, for headers of all forms and across roll-overs: opened, and sealed to the same bytes.

use std::collections::BTreeMap;

use dtls_srtp::srtp::{Opener, Sealer};
use dtls_srtp::{KeyAndSalt, SrtpProfile};

const VECTORS: &str = include_str!("fixtures/libsrtp.txt");

struct Contexts {
    sealer: Sealer,
    opener: Opener,
    streams: BTreeMap<u32, dtls_srtp::srtp::StreamHandle>,
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn contexts(name: &str, key: &str, salt: &str) -> Contexts {
    let name = format!("SRTP_{name}");
    let profile = SrtpProfile::ALL
        .into_iter()
        .find(|profile| profile.to_string() == name)
        .unwrap();
    let master = KeyAndSalt::new(profile, &hex(key), &hex(salt)).unwrap();
    Contexts {
        opener: Opener::new(&master),
        sealer: Sealer::new(master),
        streams: BTreeMap::new(),
    }
}

fn header_len(packet: &[u8]) -> usize {
    let csrcs = 12 + 4 * usize::from(packet[0] & 0x0f);
    if packet[0] & 0x10 == 0 {
        return csrcs;
    }
    csrcs + 4 + 4 * usize::from(u16::from_be_bytes([packet[csrcs + 2], packet[csrcs + 3]]))
}

#[test]
fn same_bytes_as_libsrtp() {
    let mut contexts_of_profile = None;
    let (mut profiles, mut rtp, mut rtcp) = (0, 0, 0);
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let [kind, index, plain, sealed] = fields[..] else {
            panic!("{line}");
        };
        if kind == "profile" {
            contexts_of_profile = Some(contexts(index, plain, sealed));
            profiles += 1;
            continue;
        }
        let Contexts {
            sealer,
            opener,
            streams,
        } = contexts_of_profile.as_mut().unwrap();
        let (index, plain, sealed) = (index.parse::<u64>().unwrap(), hex(plain), hex(sealed));
        let mut received = sealed.clone();
        let mut out = plain.clone();
        out.resize(plain.len() + 20, 0xaa);
        if kind == "rtp" {
            rtp += 1;
            let opened = opener.open_rtp(&mut received).unwrap();
            assert_eq!(
                (&*opened.packet, opened.index, opened.header_len),
                (&*plain, index, header_len(&plain))
            );

            let ssrc = u32::from_be_bytes(plain[8..12].try_into().unwrap());
            let stream = *streams.entry(ssrc).or_insert_with(|| sealer.add_stream(ssrc).unwrap());
            let header = header_len(&plain);
            let len = sealer
                .seal_rtp(stream, index, header, &mut out, plain.len() - header)
                .unwrap();
            assert_eq!(out[..len], sealed);
        } else {
            rtcp += 1;
            assert_eq!(*opener.open_rtcp(&mut received).unwrap(), plain);

            // libsrtp begins at index 1, we at 0 as RFC 3711 §3.2.1 has it.
            if index == 1 {
                sealer.seal_rtcp(&mut out.clone(), plain.len()).unwrap();
            }
            let len = sealer.seal_rtcp(&mut out, plain.len()).unwrap();
            assert_eq!(out[..len], sealed);
        }
        assert!(
            opener
                .counters()
                .iter()
                .chain(sealer.counters().iter())
                .all(|(_, count)| count == 0)
        );
    }
    assert_eq!((profiles, rtp, rtcp), (4, 140, 24));
}
