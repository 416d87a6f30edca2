//! What Chromium and Firefox sent inside DTLS: every packet parses, its checksum is right, and it is written again byte
//! for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sctp::{
    Checksum, Chunk, ChunkType, DataFlags, Init, List, Packet, PacketWriter, Parameter, Parameters, Ppid, dcep,
};
use wire::Writer;

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// The packets of all captures.
fn packets() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for entry in fs::read_dir(fixtures("sctp")).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_str().unwrap().ends_with(".sctp.txt") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let hex = line.split(' ').nth(2).unwrap().as_bytes();
            let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
            packets.push(hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect());
        }
    }
    assert_eq!(packets.len(), 286);
    packets
}

#[test]
fn every_packet_is_written_again() {
    let mut types = BTreeMap::<u8, usize>::new();
    let mut bundles = 0;
    for bytes in packets() {
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.checksum_holds(Checksum::Crc32c), "{packet}");
        assert_eq!(
            (packet.header().source_port, packet.header().destination_port),
            (5000, 5000)
        );
        let mut out = vec![0xee; bytes.len()];
        let mut written = PacketWriter::new(&mut out, usize::MAX, packet.header()).unwrap();
        for raw in packet.chunks() {
            let raw = raw.unwrap();
            *types.entry(raw.chunk_type().0).or_default() += 1;
            let chunk = Chunk::of(raw).unwrap();
            assert!(!matches!(chunk, Chunk::Unknown(_)));
            assert_eq!(chunk.wire_len(), raw.bytes().len());
            written.push(&chunk).unwrap();
        }
        assert_eq!(written.finish(Checksum::Crc32c), bytes, "{packet}");
        bundles += usize::from(packet.chunks().count() > 1);
    }
    let expected = [
        (0, 100),
        (1, 12),
        (2, 12),
        (3, 136),
        (6, 4),
        (10, 12),
        (11, 12),
        (64, 4),
        (130, 9),
    ];
    assert_eq!(Vec::from_iter(types), expected);
    assert_eq!(bundles, 7);
}

#[test]
fn every_message_has_a_known_identifier() {
    let (mut identifiers, mut opens) = (BTreeMap::<u32, usize>::new(), Vec::new());
    for bytes in packets() {
        for raw in Packet::parse(&bytes).unwrap().chunks() {
            let (flags, ppid, payload) = match Chunk::of(raw.unwrap()).unwrap() {
                Chunk::Data(data) => (data.header.flags, data.header.ppid, data.payload),
                Chunk::IData(data) => (data.header.flags, data.header.ppid().unwrap(), data.payload),
                _ => continue,
            };
            assert!(ppid.name().is_some());
            *identifiers.entry(ppid.0).or_default() += 1;
            if ppid != Ppid::DCEP {
                continue;
            }
            assert_eq!(flags, DataFlags::WHOLE);
            let message = dcep::Message::parse(payload).unwrap();
            let mut out = vec![0; message.wire_len()];
            let mut w = Writer::new(&mut out);
            message.write(&mut w).unwrap();
            assert_eq!(w.written(), payload);
            if let dcep::Message::Open(open) = message {
                assert!(open.reliability().is_some());
                opens.push(open.label.to_owned());
            }
        }
    }
    assert_eq!(
        Vec::from_iter(identifiers),
        [(50, 20), (51, 22), (53, 58), (56, 2), (57, 2)]
    );
    assert_eq!(opens.len(), 10);
}

/// With parameters that are written one by one.
#[test]
fn every_init_is_built_again() {
    let (mut cookies, mut interleaving) = (0, 0);
    for bytes in packets() {
        for raw in Packet::parse(&bytes).unwrap().chunks() {
            let raw = raw.unwrap();
            let (Chunk::Init(init) | Chunk::InitAck(init)) = Chunk::of(raw).unwrap() else {
                continue;
            };
            let parameters: Vec<_> = init.parameters.iter().map(Result::unwrap).collect();
            cookies += usize::from(matches!(parameters[0], Parameter::StateCookie(_)));
            interleaving += parameters
                .iter()
                .filter(|parameter| match parameter {
                    Parameter::SupportedExtensions(types) => types.iter().any(|kind| kind == ChunkType::I_DATA),
                    _ => false,
                })
                .count();
            let built = Init {
                parameters: Parameters::new(&parameters),
                ..init
            };
            let built = if raw.chunk_type() == ChunkType::INIT {
                Chunk::Init(built)
            } else {
                Chunk::InitAck(built)
            };
            let mut out = vec![0; bytes.len()];
            let mut w = Writer::new(&mut out);
            built.write(&mut w).unwrap();
            assert_eq!(&w.written()[..raw.bytes().len()], raw.bytes());
        }
    }
    assert_eq!(cookies, 12);
    assert!(interleaving > 0);
}

/// `a=sctp-init` of Chromium (draft-hancke-tsvwg-snap-00).
#[test]
fn an_init_alone_is_read_from_signalling() {
    for name in ["offer", "answer"] {
        let path = fixtures(&format!("pcap/chromium-chromium-sped-snap-{name}.sdp"));
        let sdp = fs::read_to_string(path).unwrap();
        let value = sdp.lines().find_map(|line| line.strip_prefix("a=sctp-init:")).unwrap();
        let mut bytes = [0; 64];
        let len = STANDARD_NO_PAD.decode_slice(value, &mut bytes).unwrap();
        let init = Init::parse(&bytes[..len]).unwrap();
        let extensions = [ChunkType::RE_CONFIG, ChunkType::FORWARD_TSN];
        let parameters = [
            Parameter::ForwardTsnSupported,
            Parameter::SupportedExtensions(List::new(&extensions)),
        ];
        assert_eq!(init.parameters, Parameters::new(&parameters));
        assert_eq!((init.a_rwnd, init.outbound_streams), (5 << 20, 0xffff));
        let mut out = [0; 64];
        let mut w = Writer::new(&mut out);
        Init {
            parameters: Parameters::new(&parameters),
            ..init
        }
        .write(&mut w)
        .unwrap();
        assert_eq!(w.written(), &bytes[..len]);
    }
}
