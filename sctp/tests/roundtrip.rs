//! Property tests: what is written parses to the same, alone and bundled, and arbitrary bytes never panic.

use proptest::collection::vec;
use proptest::prelude::*;
use sctp::{
    Abort, AddStreams, Cause, Causes, Checksum, Chunk, ChunkType, CommonHeader, Data, DataFlags, DataHeader,
    ErrorDetectionMethod, ForwardTsn, GapAckBlock, IData, IDataHeader, IForwardTsn, IncomingSsnReset, Init, List,
    NextTsns, OutgoingSsnReset, Packet, PacketWriter, Parameter, ParameterType, Parameters, Ppid, RawCause, RawChunk,
    RawParameter, ReConfig, ReconfigResponse, ReconfigResult, Sack, SkippedMessage, SkippedStream, dcep, padded_len,
};
use wire::{Full, Writer};

/// What one parameter or cause is made of; `choice` tells which.
#[derive(Debug, Clone)]
struct Nested {
    choice: u8,
    numbers: [u32; 3],
    bytes: Vec<u8>,
    halves: Vec<u16>,
    types: Vec<ParameterType>,
    extensions: Vec<ChunkType>,
    /// With a type that nobody knows.
    unknown: Vec<u8>,
}

fn nested() -> impl Strategy<Value = Nested> {
    (
        any::<u8>(),
        any::<[u32; 3]>(),
        vec(any::<u8>(), 0..40),
        vec(any::<u16>(), 0..10),
    )
        .prop_map(|(choice, numbers, bytes, halves)| {
            let len = u16::try_from(bytes.len() + 4).unwrap();
            Nested {
                choice,
                numbers,
                types: halves.iter().map(|&half| ParameterType(half)).collect(),
                extensions: bytes.iter().map(|&byte| ChunkType(byte)).collect(),
                unknown: [&[0x7f, choice][..], &len.to_be_bytes(), &bytes].concat(),
                bytes,
                halves,
            }
        })
}

impl Nested {
    fn parameter(&self) -> Parameter<'_> {
        let [first, second, third] = self.numbers;
        let streams = List::new(&self.halves);
        match self.choice % 21 {
            0 => Parameter::HeartbeatInfo(&self.bytes),
            1 => Parameter::Ipv4Address(first.into()),
            2 => Parameter::Ipv6Address((u128::from(first) << 64 | u128::from(second)).into()),
            3 => Parameter::StateCookie(&self.bytes),
            4 => Parameter::Unrecognized(&self.bytes),
            5 => Parameter::CookiePreservative(first),
            6 => Parameter::HostNameAddress(&self.bytes),
            7 => Parameter::SupportedAddressTypes(List::new(&self.types)),
            8 => Parameter::OutgoingSsnReset(OutgoingSsnReset {
                request: first,
                response: second,
                last_tsn: third,
                streams,
            }),
            9 => Parameter::IncomingSsnReset(IncomingSsnReset {
                request: first,
                streams,
            }),
            10 => Parameter::SsnTsnReset(first),
            11 => Parameter::ReconfigResponse(ReconfigResponse {
                response: first,
                result: ReconfigResult(second),
                next_tsns: (first & 1 == 0).then_some(NextTsns {
                    sender: second,
                    receiver: third,
                }),
            }),
            12 => Parameter::AddOutgoingStreams(AddStreams {
                request: first,
                streams: second as u16,
            }),
            13 => Parameter::AddIncomingStreams(AddStreams {
                request: first,
                streams: second as u16,
            }),
            14 => Parameter::EcnCapable,
            15 => Parameter::ZeroChecksumAcceptable(ErrorDetectionMethod(first)),
            16 => Parameter::Padding(self.bytes.len()),
            17 => Parameter::SupportedExtensions(List::new(&self.extensions)),
            18 => Parameter::ForwardTsnSupported,
            19 => Parameter::AdaptationLayerIndication(first),
            _ => Parameter::of(RawParameter::parse(&self.unknown).unwrap()).unwrap(),
        }
    }

    fn cause(&self) -> Cause<'_> {
        let [number, ..] = self.numbers;
        match self.choice % 19 {
            0 => Cause::InvalidStreamIdentifier(number as u16),
            1 => Cause::MissingMandatoryParameter(List::new(&self.types)),
            2 => Cause::StaleCookie(number),
            3 => Cause::OutOfResource,
            4 => Cause::UnresolvableAddress(&self.bytes),
            5 => Cause::UnrecognizedChunkType(&self.bytes),
            6 => Cause::InvalidMandatoryParameter,
            7 => Cause::UnrecognizedParameters(&self.bytes),
            8 => Cause::NoUserData(number),
            9 => Cause::CookieWhileShuttingDown,
            10 => Cause::RestartWithNewAddresses(&self.bytes),
            11 => Cause::UserInitiatedAbort(&self.bytes),
            12 => Cause::ProtocolViolation(&self.bytes),
            13 => Cause::DeleteLastAddress(&self.bytes),
            14 => Cause::ResourceShortage(&self.bytes),
            15 => Cause::DeleteSourceAddress(&self.bytes),
            16 => Cause::IllegalAsconfAck,
            17 => Cause::NoAuthorization(&self.bytes),
            _ => Cause::of(RawCause::parse(&self.unknown).unwrap()).unwrap(),
        }
    }
}

/// What one chunk is made of; `choice` tells which.
#[derive(Debug, Clone)]
struct Recipe {
    choice: u8,
    flags: [bool; 4],
    numbers: [u32; 3],
    halves: [u16; 2],
    bytes: Vec<u8>,
    nested: Vec<Nested>,
    entries: Vec<(u16, u16, u32)>,
}

const KINDS: u8 = 21;

fn recipe() -> impl Strategy<Value = Recipe> {
    let numbers = (any::<[bool; 4]>(), any::<[u32; 3]>(), any::<[u16; 2]>());
    let lists = (
        vec(any::<u8>(), 0..200),
        vec(nested(), 1..5),
        vec(any::<(u16, u16, u32)>(), 0..10),
    );
    (0..KINDS, numbers, lists).prop_map(|(choice, (flags, numbers, halves), (bytes, nested, entries))| Recipe {
        choice,
        flags,
        numbers,
        halves,
        bytes,
        nested,
        entries,
    })
}

impl Recipe {
    /// Lends the chunk to `f`.
    fn with<R>(&self, f: impl FnOnce(&Chunk<'_>) -> R) -> R {
        let [first, second, third] = self.numbers;
        let [stream, ssn] = self.halves;
        let [immediate, unordered, beginning, ending] = self.flags;
        let flags = DataFlags {
            immediate,
            unordered,
            beginning,
            ending,
        };
        let payload = &self.bytes[..];
        let mut parameters: Vec<_> = self.nested.iter().map(Nested::parameter).collect();
        let causes: Vec<_> = self.nested.iter().map(Nested::cause).collect();
        let causes = Causes::new(&causes);
        let blocks: Vec<_> = self
            .entries
            .iter()
            .map(|&(start, end, _)| GapAckBlock { start, end })
            .collect();
        let duplicates: Vec<_> = self.entries.iter().map(|&(_, _, tsn)| tsn).collect();
        let streams: Vec<_> = self
            .entries
            .iter()
            .map(|&(stream, ssn, _)| SkippedStream { stream, ssn })
            .collect();
        let skipped = |&(stream, odd, mid): &(u16, u16, u32)| SkippedMessage {
            stream,
            unordered: odd & 1 != 0,
            mid,
        };
        let messages: Vec<_> = self.entries.iter().map(skipped).collect();
        let unknown = [
            &[0x3f, first as u8][..],
            &(payload.len() as u16 + 4).to_be_bytes(),
            payload,
        ]
        .concat();
        if self.choice == 16 {
            parameters.truncate(2);
        }
        let init = Init {
            initiate_tag: first,
            a_rwnd: second,
            outbound_streams: stream,
            inbound_streams: ssn,
            initial_tsn: third,
            parameters: Parameters::new(&parameters),
        };
        let data = DataHeader {
            flags,
            tsn: first,
            stream,
            ssn,
            ppid: Ppid(second),
        };
        let i_data = IDataHeader {
            flags,
            tsn: first,
            stream,
            mid: second,
            ppid_or_fsn: third,
        };
        f(&match self.choice {
            0 => Chunk::Data(Data { header: data, payload }),
            1 => Chunk::IData(IData {
                header: i_data,
                payload,
            }),
            2 => Chunk::Init(init),
            3 => Chunk::InitAck(init),
            4 => Chunk::Sack(Sack {
                cumulative_tsn_ack: first,
                a_rwnd: second,
                gap_ack_blocks: List::new(&blocks),
                duplicate_tsns: List::new(&duplicates),
            }),
            5 => Chunk::Heartbeat(payload),
            6 => Chunk::HeartbeatAck(payload),
            7 => Chunk::Abort(Abort {
                reflected: immediate,
                causes,
            }),
            8 => Chunk::Error(causes),
            9 => Chunk::Shutdown {
                cumulative_tsn_ack: first,
            },
            10 => Chunk::ShutdownAck,
            11 => Chunk::CookieEcho(payload),
            12 => Chunk::CookieAck,
            13 => Chunk::Ecne { lowest_tsn: first },
            14 => Chunk::Cwr { lowest_tsn: first },
            15 => Chunk::ShutdownComplete { reflected: immediate },
            16 => Chunk::ReConfig(ReConfig {
                parameters: Parameters::new(&parameters),
            }),
            17 => Chunk::Pad(payload.len()),
            18 => Chunk::ForwardTsn(ForwardTsn {
                new_cumulative_tsn: first,
                streams: List::new(&streams),
            }),
            19 => Chunk::IForwardTsn(IForwardTsn {
                new_cumulative_tsn: first,
                streams: List::new(&messages),
            }),
            _ => Chunk::Unknown(RawChunk::parse(&unknown).unwrap()),
        })
    }
}

fn written(chunk: &Chunk<'_>) -> Vec<u8> {
    let mut out = vec![0xee; padded_len(chunk.wire_len())];
    let mut w = Writer::new(&mut out);
    chunk.write(&mut w).unwrap();
    assert_eq!(w.remaining(), 0);
    out
}

/// A chunk type that is known, mostly, and any content.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let types = [
        0_u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 64, 130, 132, 192, 194, 255,
    ];
    // Small numbers are lengths and types that mean something.
    let byte = prop_oneof![any::<u8>(), 0_u8..20];
    let chunk = (
        prop::sample::select(types.to_vec()),
        any::<u8>(),
        vec(byte, 0..60),
        0_u16..3,
    );
    vec(chunk, 1..4).prop_map(|chunks| {
        let mut bytes = vec![0; CommonHeader::LEN];
        for (chunk_type, flags, value, off) in chunks {
            // Mostly the right length.
            let len = u16::try_from(value.len() + 4).unwrap() + off / 2;
            bytes.extend([chunk_type, flags]);
            bytes.extend(len.to_be_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    })
}

/// Whatever can be read of a packet is written again and says the same.
fn read_all(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else {
        assert!(bytes.len() < CommonHeader::LEN);
        return;
    };
    assert_eq!(packet.to_string().lines().count(), 1);
    for raw in packet.chunks().flatten() {
        let Ok(chunk) = Chunk::of(raw) else { continue };
        let again = written(&chunk);
        assert_eq!(Chunk::of(RawChunk::parse(&again).unwrap()), Ok(chunk));
    }
}

proptest! {
    #[test]
    fn every_chunk_is_read_as_it_was_written(recipe in recipe()) {
        recipe.with(|chunk| {
            let bytes = written(chunk);
            let raw = RawChunk::parse(&bytes).unwrap();
            assert_eq!(raw.bytes().len(), chunk.wire_len());
            let read = Chunk::of(raw).unwrap();
            assert_eq!(&read, chunk);
            assert_eq!(read.to_string(), chunk.to_string());
            assert_eq!(written(&read), bytes);
        });
    }

    #[test]
    fn bundles_hold_what_fits(recipes in vec(recipe(), 0..12), max_len in 12_usize..1500, zero: bool, tag: u32) {
        let header = CommonHeader { source_port: 5000, destination_port: 5001, verification_tag: tag };
        let mut out = vec![0xee; 1500];
        let mut packet = PacketWriter::new(&mut out, max_len, &header).unwrap();
        let mut kept = Vec::new();
        for recipe in &recipes {
            recipe.with(|chunk| {
                let (fits, before) = (packet.fits(chunk.wire_len()), packet.position());
                assert_eq!(packet.push(chunk), if fits { Ok(()) } else { Err(Full) });
                let grown = if fits { padded_len(chunk.wire_len()) } else { 0 };
                assert_eq!(packet.position(), before + grown);
                if fits {
                    kept.push(recipe);
                }
            });
        }
        let checksum = if zero { Checksum::Zero } else { Checksum::Crc32c };
        let bytes = packet.finish(checksum);
        prop_assert!(bytes.len() <= max_len);
        let packet = Packet::parse(bytes).unwrap();
        prop_assert_eq!(packet.header(), &header);
        prop_assert!(packet.checksum_holds(checksum));
        prop_assert_eq!(packet.chunks().count(), kept.len());
        for (raw, recipe) in packet.chunks().zip(kept) {
            recipe.with(|chunk| assert_eq!(&Chunk::of(raw.unwrap()).unwrap(), chunk));
        }
    }

    #[test]
    fn a_changed_bit_breaks_the_checksum(recipe in recipe(), bit: prop::sample::Index) {
        let header = CommonHeader { source_port: 1, destination_port: 2, verification_tag: 3 };
        let mut out = vec![0; 1500];
        let mut packet = PacketWriter::new(&mut out, 1500, &header).unwrap();
        recipe.with(|chunk| packet.push(chunk)).unwrap();
        let bytes = packet.finish(Checksum::Crc32c);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!Packet::parse(bytes).unwrap().checksum_holds(Checksum::Crc32c));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        read_all(&bytes);
        let _ = Init::parse(&bytes);
        let _ = dcep::Message::parse(&bytes);
    }

    #[test]
    fn what_noise_says_is_written_again(bytes in noise()) {
        read_all(&bytes);
    }

    #[test]
    fn every_open_is_read_as_it_was_written(
        channel_type: u8, priority: u16, reliability_parameter: u32, label: String, protocol: String,
    ) {
        let message = dcep::Message::Open(dcep::Open {
            channel_type: dcep::ChannelType(channel_type),
            priority: dcep::Priority(priority),
            reliability_parameter,
            label: &label,
            protocol: &protocol,
        });
        let mut out = vec![0; message.wire_len()];
        let mut w = Writer::new(&mut out);
        message.write(&mut w).unwrap();
        prop_assert_eq!(w.remaining(), 0);
        prop_assert_eq!(dcep::Message::parse(&out), Ok(message));
    }
}
