//! Each chunk against bytes written by hand from the RFC's figure: read, printed, written again.

use super::*;
use crate::cause::Cause;
use crate::list::List;
use crate::registry::{ErrorDetectionMethod, ParameterType, Ppid, ReconfigResult};
use std::string::ToString;
use std::vec::Vec;

fn read(bytes: &[u8]) -> Result<Chunk<'_>, Error> {
    Chunk::of(RawChunk::parse(bytes)?)
}

fn written(chunk: &Chunk<'_>) -> Vec<u8> {
    let mut out = std::vec![0xee; 70_000];
    let mut w = Writer::new(&mut out);
    chunk.write(&mut w).unwrap();
    w.written().to_vec()
}

/// `bytes` have no padding behind them.
#[track_caller]
fn same(bytes: &[u8], chunk: &Chunk<'_>, line: &str) {
    assert_eq!(read(bytes), Ok(*chunk));
    assert_eq!(chunk.chunk_type().0, bytes[0]);
    assert_eq!(chunk.wire_len(), bytes.len());
    assert_eq!(chunk.to_string(), line);
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(4), 0);
    assert_eq!(written(chunk), padded);
    assert_eq!(written(&read(bytes).unwrap()), padded);
    // Whatever room there is, nothing is left of what does not fit.
    let mut out = std::vec![0; padded.len()];
    for len in 0..padded.len() {
        let mut w = Writer::new(&mut out[..len]);
        assert_eq!(chunk.write(&mut w), Err(Full));
        assert_eq!(w.position(), 0);
    }
    // Cut short, it is no chunk, or another one.
    for len in 4..bytes.len() {
        let mut cut = bytes[..len].to_vec();
        cut[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        assert_ne!(read(&cut), Ok(*chunk));
    }
}

#[test]
fn data() {
    let header = DataHeader {
        flags: DataFlags {
            immediate: true,
            ..DataFlags::WHOLE
        },
        tsn: 0x0102_0304,
        stream: 5,
        ssn: 6,
        ppid: Ppid::STRING,
    };
    let bytes = [
        0, 0x0b, 0, 21, 1, 2, 3, 4, 0, 5, 0, 6, 0, 0, 0, 51, b'h', b'e', b'l', b'l', b'o',
    ];
    let chunk = Chunk::Data(Data {
        header,
        payload: b"hello",
    });
    same(
        &bytes,
        &chunk,
        "DATA IBE tsn=16909060 stream=5 ssn=6 ppid=WebRTC String 5 bytes",
    );

    // Reserved flags do not count.
    let mut reserved = bytes;
    reserved[1] = 0xfb;
    assert_eq!(read(&reserved), Ok(chunk));

    let flags = DataFlags {
        unordered: true,
        ..DataFlags::default()
    };
    let empty = Chunk::Data(Data {
        header: DataHeader { flags, ..header },
        payload: &[],
    });
    let bytes = [0, 4, 0, 16, 1, 2, 3, 4, 0, 5, 0, 6, 0, 0, 0, 51];
    same(
        &bytes,
        &empty,
        "DATA U tsn=16909060 stream=5 ssn=6 ppid=WebRTC String 0 bytes",
    );
}

#[test]
fn i_data() {
    let header = IDataHeader {
        flags: DataFlags {
            ending: false,
            ..DataFlags::WHOLE
        },
        tsn: 0x0102_0304,
        stream: 5,
        mid: 0x0607_0809,
        ppid_or_fsn: 53,
    };
    let bytes = [64, 2, 0, 23, 1, 2, 3, 4, 0, 5, 0, 0, 6, 7, 8, 9, 0, 0, 0, 53, 7, 8, 9];
    let chunk = Chunk::IData(IData {
        header,
        payload: &[7, 8, 9],
    });
    same(
        &bytes,
        &chunk,
        "I-DATA B tsn=16909060 stream=5 mid=101124105 ppid=WebRTC Binary 3 bytes",
    );
    assert_eq!((header.ppid(), header.fsn()), (Some(Ppid::BINARY), 0));

    // The reserved field does not count.
    let mut reserved = bytes;
    reserved[10..12].fill(0xff);
    assert_eq!(read(&reserved), Ok(chunk));

    let flags = DataFlags {
        unordered: true,
        ending: true,
        ..DataFlags::default()
    };
    let header = IDataHeader {
        flags,
        ppid_or_fsn: 2,
        ..header
    };
    assert_eq!((header.ppid(), header.fsn()), (None, 2));
    let bytes = [64, 5, 0, 21, 1, 2, 3, 4, 0, 5, 0, 0, 6, 7, 8, 9, 0, 0, 0, 2, 7];
    let chunk = Chunk::IData(IData { header, payload: &[7] });
    same(
        &bytes,
        &chunk,
        "I-DATA UE tsn=16909060 stream=5 mid=101124105 fsn=2 1 bytes",
    );
}

#[test]
fn room_for_data_is_lent() {
    let header = DataHeader {
        flags: DataFlags::WHOLE,
        tsn: 1,
        stream: 2,
        ssn: 3,
        ppid: Ppid::BINARY,
    };
    let i_header = IDataHeader {
        flags: DataFlags::WHOLE,
        tsn: 1,
        stream: 2,
        mid: 3,
        ppid_or_fsn: 53,
    };
    for len in 0..9 {
        let payload = &[1, 2, 3, 4, 5, 6, 7, 8][..len.min(8)];
        let (mut out, mut i_out) = ([0xee; 40], [0xee; 40]);
        let mut w = Writer::new(&mut out);
        header.write(&mut w, payload.len()).unwrap().copy_from_slice(payload);
        assert_eq!(w.written(), written(&Chunk::Data(Data { header, payload })));
        let mut w = Writer::new(&mut i_out);
        i_header.write(&mut w, payload.len()).unwrap().copy_from_slice(payload);
        assert_eq!(
            w.written(),
            written(&Chunk::IData(IData {
                header: i_header,
                payload
            }))
        );
    }
    let mut out = std::vec![0; 70_000];
    let mut w = Writer::new(&mut out[..39]);
    assert_eq!(header.write(&mut w, 21), Err(Full));
    assert_eq!(i_header.write(&mut w, 17), Err(Full));
    assert_eq!(w.position(), 0);
    let mut w = Writer::new(&mut out);
    assert_eq!(header.write(&mut w, 0x1_0000 - 16), Err(Full));
    assert_eq!(header.write(&mut w, usize::MAX), Err(Full));
    assert_eq!(w.position(), 0);
    assert_eq!(header.write(&mut w, 0xffff - 16).unwrap().len(), 0xffff - 16);
}

/// The example of draft-hancke-tsvwg-snap-00, `AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA`.
const SNAP: [u8; 30] = [
    1, 0, 0, 30, 0x89, 0x6c, 0xdd, 0x1d, 0, 0x50, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xe0, 0x79, 0x65, 0x1d, 0xc0, 0, 0, 4,
    0x80, 8, 0, 6, 0x82, 0xc0,
];

const SNAP_INIT: Init<'static> = Init {
    initiate_tag: 0x896c_dd1d,
    a_rwnd: 0x0050_0000,
    outbound_streams: 0xffff,
    inbound_streams: 0xffff,
    initial_tsn: 0xe079_651d,
    parameters: Parameters::new(&[
        Parameter::ForwardTsnSupported,
        Parameter::SupportedExtensions(List::new(&[ChunkType::RE_CONFIG, ChunkType::FORWARD_TSN])),
    ]),
};

#[test]
fn init() {
    let line = "INIT tag=896cdd1d a_rwnd=5242880 outbound=65535 inbound=65535 tsn=3766052125 {Forward TSN Supported} \
                {Supported Extensions [RE-CONFIG FORWARD TSN]}";
    same(&SNAP, &Chunk::Init(SNAP_INIT), line);
    // A length that counts the padding behind the last parameter is taken, too (RFC 9260 §3.2).
    let mut counted = [&SNAP[..], &[0, 0]].concat();
    counted[3] = 32;
    assert_eq!(read(&counted), Ok(Chunk::Init(SNAP_INIT)));
    let mut ack = SNAP;
    ack[0] = 2;
    assert_eq!(read(&ack), Ok(Chunk::InitAck(SNAP_INIT)));
}

#[test]
fn an_init_alone() {
    assert_eq!(Init::parse(&SNAP), Ok(SNAP_INIT));
    assert_eq!(Init::parse(&[&SNAP[..], &[0, 0]].concat()), Ok(SNAP_INIT));
    assert_eq!(
        Init::parse(&[&SNAP[..], &[0, 0, 0]].concat()),
        Err(Error::Trailing { offset: 32 })
    );
    assert_eq!(Init::parse(&SNAP[..29]), Err(Error::Short { offset: 4, needed: 26 }));
    let mut ack = SNAP;
    ack[0] = 2;
    let rule = "the chunk is an INIT";
    assert_eq!(Init::parse(&ack), Err(Error::Rule { offset: 0, rule }));

    let mut out = [0; 32];
    let mut w = Writer::new(&mut out[..30]);
    SNAP_INIT.write(&mut w).unwrap();
    assert_eq!(w.into_written(), SNAP);
    let mut w = Writer::new(&mut out[..29]);
    assert_eq!(SNAP_INIT.write(&mut w), Err(Full));
    assert_eq!(w.position(), 0);
}

#[test]
fn every_parameter_of_init_ack() {
    let list = [ParameterType::IPV4_ADDRESS, ParameterType::IPV6_ADDRESS];
    let unknown = [0x80, 0xff, 0, 5, 9];
    let parameters = [
        Parameter::StateCookie(&[1, 2, 3, 4, 5]),
        Parameter::Unrecognized(&unknown),
        Parameter::Ipv4Address([192, 0, 2, 1].into()),
        Parameter::Ipv6Address([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()),
        Parameter::CookiePreservative(1000),
        Parameter::HostNameAddress(b"a.example\0"),
        Parameter::SupportedAddressTypes(List::new(&list)),
        Parameter::EcnCapable,
        Parameter::ZeroChecksumAcceptable(ErrorDetectionMethod::DTLS),
        Parameter::Padding(1),
        Parameter::AdaptationLayerIndication(7),
        Parameter::of(crate::RawParameter::parse(&unknown).unwrap()).unwrap(),
    ];
    let bytes = [
        &[2, 0, 0, 137][..],
        &[0, 0, 0, 1, 0, 0, 5, 0xdc, 0, 3, 0, 4, 0, 0, 0, 2],
        &[0, 7, 0, 9, 1, 2, 3, 4, 5, 0, 0, 0],
        &[0, 8, 0, 9, 0x80, 0xff, 0, 5, 9, 0, 0, 0],
        &[0, 5, 0, 8, 192, 0, 2, 1],
        &[0, 6, 0, 20, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 9, 0, 8, 0, 0, 3, 0xe8],
        &[
            0, 11, 0, 14, b'a', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0, 0, 0,
        ],
        &[0, 12, 0, 8, 0, 5, 0, 6],
        &[0x80, 0, 0, 4],
        &[0x80, 1, 0, 8, 0, 0, 0, 1],
        &[0x80, 5, 0, 5, 0, 0, 0, 0],
        &[0xc0, 6, 0, 8, 0, 0, 0, 7],
        &unknown,
    ]
    .concat();
    let init = Init {
        initiate_tag: 1,
        a_rwnd: 1500,
        outbound_streams: 3,
        inbound_streams: 4,
        initial_tsn: 2,
        parameters: Parameters::new(&parameters),
    };
    let line = "INIT ACK tag=00000001 a_rwnd=1500 outbound=3 inbound=4 tsn=2 {State Cookie 5 bytes} \
                {Unrecognized Parameter 5 bytes} {IPv4 Address 192.0.2.1} {IPv6 Address 2001:db8::1} \
                {Cookie Preservative 1000 ms} {Host Name Address 10 bytes} {Supported Address Types [IPv4 Address \
                IPv6 Address]} {ECN Capable} {Zero Checksum Acceptable SCTP over DTLS} {Padding 1 bytes} \
                {Adaptation Layer Indication 00000007} {0x80ff 1 bytes}";
    same(&bytes, &Chunk::InitAck(init), line);
}

#[test]
fn parameters_that_break_their_rules() {
    // One whose value is wrong does not hinder the others.
    let bytes = [0, 5, 0, 7, 1, 2, 3, 0, 0xc0, 0, 0, 5, 0, 0, 0, 0, 0x80, 0, 0, 4];
    let found: Vec<_> = Parameters::received(&bytes).iter().collect();
    assert_eq!(
        found,
        [
            Err(Error::Short { offset: 4, needed: 4 }),
            Err(Error::Trailing { offset: 12 }),
            Ok(Parameter::EcnCapable)
        ]
    );
    // Where types and lengths do not add up an INIT is malformed.
    let rule = "a length counts the type and itself";
    let init = |parameters: &[u8]| {
        let len = u8::try_from(20 + parameters.len()).unwrap();
        let bytes = [&[1, 0, 0, len], &SNAP[4..20], parameters].concat();
        read(&bytes)
            .map(|chunk| chunk.to_string())
            .map_err(|error| (error.offset(), error))
    };
    assert!(init(&[0x80, 0, 0, 4]).is_ok());
    assert_eq!(init(&[0x80, 0, 0, 3]), Err((20, Error::Rule { offset: 20, rule })));
    assert_eq!(
        init(&[0x80, 0, 0, 5]),
        Err((24, Error::Short { offset: 24, needed: 1 }))
    );
    assert_eq!(
        init(&[0x80, 0, 0, 4, 0]),
        Err((24, Error::Short { offset: 24, needed: 2 }))
    );
    let rest: Vec<_> = Parameters::received(&[0x80, 0, 0, 4, 0, 0, 0, 0]).iter().collect();
    assert_eq!(rest, [Ok(Parameter::EcnCapable), Err(Error::Rule { offset: 4, rule })]);
}

#[test]
fn sack() {
    let blocks = [GapAckBlock { start: 2, end: 3 }, GapAckBlock { start: 5, end: 0xffff }];
    let sack = Sack {
        cumulative_tsn_ack: 0xffff_fffe,
        a_rwnd: 0x0050_0000,
        gap_ack_blocks: List::new(&blocks),
        duplicate_tsns: List::new(&[9]),
    };
    let bytes = [
        3, 0, 0, 28, 0xff, 0xff, 0xff, 0xfe, 0, 0x50, 0, 0, 0, 2, 0, 1, 0, 2, 0, 3, 0, 5, 0xff, 0xff, 0, 0, 0, 9,
    ];
    let line = "SACK cumulative=4294967294 a_rwnd=5242880 gaps=[2-3 5-65535] duplicates=[9]";
    same(&bytes, &Chunk::Sack(sack), line);
    assert_eq!(blocks[0].tsns(sack.cumulative_tsn_ack), (0, 1));

    // What is announced and not there is malformed, and so is what is there and not announced.
    let announced = |blocks, duplicates| {
        let mut bytes = bytes;
        bytes[13] = blocks;
        bytes[15] = duplicates;
        read(&bytes).map(|chunk| chunk.wire_len())
    };
    assert_eq!(announced(3, 0), Ok(28));
    assert_eq!(announced(0, 3), Ok(28));
    assert_eq!(announced(4, 0), Err(Error::Short { offset: 16, needed: 16 }));
    assert_eq!(announced(2, 2), Err(Error::Short { offset: 24, needed: 8 }));
    assert_eq!(announced(2, 0), Err(Error::Trailing { offset: 24 }));
}

#[test]
fn heartbeats() {
    let bytes = [4, 0, 0, 11, 0, 1, 0, 7, 1, 2, 3];
    same(&bytes, &Chunk::Heartbeat(&[1, 2, 3]), "HEARTBEAT 3 bytes");
    let bytes = [5, 0, 0, 8, 0, 1, 0, 4];
    same(&bytes, &Chunk::HeartbeatAck(&[]), "HEARTBEAT ACK 0 bytes");
    // Other parameters are skipped, before it only where their type allows that.
    let info = [0, 1, 0, 5, 1, 0, 0, 0];
    let with = |others: &[u8], after: &[u8]| {
        let len = u8::try_from(4 + others.len() + info.len() + after.len()).unwrap();
        let bytes = [&[4, 0, 0, len], others, &info, after].concat();
        read(&bytes).map(|chunk| chunk == Chunk::Heartbeat(&[1]))
    };
    let rule = "a HEARTBEAT has a Heartbeat Info";
    let none = Error::Rule { offset: 4, rule };
    assert_eq!(with(&[], &[0x80, 9, 0, 4]), Ok(true));
    assert_eq!(with(&[], &[0, 9, 0, 4]), Ok(true));
    assert_eq!(with(&[0x80, 9, 0, 4, 0xc0, 9, 0, 4], &[]), Ok(true));
    assert_eq!(with(&[0x40, 9, 0, 4], &[]), Err(none));
    assert_eq!(with(&[0x3f, 9, 0, 4], &[]), Err(none));
    assert_eq!(
        with(&[0x80, 9, 0, 4], &[0x80, 9, 0, 5]),
        Err(Error::Short { offset: 20, needed: 1 })
    );
    // Of two the first one counts.
    assert_eq!(with(&[], &[0, 1, 0, 4]), Ok(true));
    assert_eq!(read(&[4, 0, 0, 8, 0x80, 9, 0, 4]), Err(none));
    assert_eq!(read(&[4, 0, 0, 4]), Err(none));
}

#[test]
fn every_cause() {
    let types = [ParameterType::STATE_COOKIE, ParameterType(0x1234)];
    let raw = [0x0f, 0xff, 0, 6, 1, 2];
    let causes = [
        Cause::InvalidStreamIdentifier(0x0102),
        Cause::MissingMandatoryParameter(List::new(&types)),
        Cause::StaleCookie(1_000_000),
        Cause::OutOfResource,
        Cause::UnresolvableAddress(&[0, 11, 0, 5, 0]),
        Cause::UnrecognizedChunkType(&[0xfe, 0, 0, 5, 9]),
        Cause::InvalidMandatoryParameter,
        Cause::UnrecognizedParameters(&[0xc0, 9, 0, 4]),
        Cause::NoUserData(7),
        Cause::CookieWhileShuttingDown,
        Cause::RestartWithNewAddresses(&[0, 5, 0, 8, 192, 0, 2, 1]),
        Cause::UserInitiatedAbort(b"bye"),
        Cause::ProtocolViolation(b"why\n"),
        Cause::DeleteLastAddress(&[0xc0, 2, 0, 4]),
        Cause::ResourceShortage(&[0xc0, 1, 0, 4]),
        Cause::DeleteSourceAddress(&[0xc0, 2, 0, 4]),
        Cause::IllegalAsconfAck,
        Cause::NoAuthorization(&[0xc0, 1, 0, 4]),
        Cause::of(crate::RawCause::parse(&raw).unwrap()).unwrap(),
    ];
    let bytes = [
        &[9, 0, 0, 154][..],
        &[0, 1, 0, 8, 1, 2, 0, 0],
        &[0, 2, 0, 12, 0, 0, 0, 2, 0, 7, 0x12, 0x34],
        &[0, 3, 0, 8, 0, 0x0f, 0x42, 0x40],
        &[0, 4, 0, 4],
        &[0, 5, 0, 9, 0, 11, 0, 5, 0, 0, 0, 0],
        &[0, 6, 0, 9, 0xfe, 0, 0, 5, 9, 0, 0, 0],
        &[0, 7, 0, 4],
        &[0, 8, 0, 8, 0xc0, 9, 0, 4],
        &[0, 9, 0, 8, 0, 0, 0, 7],
        &[0, 10, 0, 4],
        &[0, 11, 0, 12, 0, 5, 0, 8, 192, 0, 2, 1],
        &[0, 12, 0, 7, b'b', b'y', b'e', 0],
        &[0, 13, 0, 8, b'w', b'h', b'y', b'\n'],
        &[0, 0xa0, 0, 8, 0xc0, 2, 0, 4],
        &[0, 0xa1, 0, 8, 0xc0, 1, 0, 4],
        &[0, 0xa2, 0, 8, 0xc0, 2, 0, 4],
        &[0, 0xa3, 0, 4],
        &[0, 0xa4, 0, 8, 0xc0, 1, 0, 4],
        &raw,
    ]
    .concat();
    let line = "ERROR {Invalid Stream Identifier stream=258} {Missing Mandatory Parameter [State Cookie 0x1234]} \
                {Stale Cookie 1000000 us} {Out of Resource} {Unresolvable Address 5 bytes} {Unrecognized Chunk Type 5 \
                bytes} {Invalid Mandatory Parameter} {Unrecognized Parameters 4 bytes} {No User Data tsn=7} {Cookie \
                Received While Shutting Down} {Restart of an Association with New Addresses 8 bytes} {User-Initiated \
                Abort \"bye\"} {Protocol Violation \"why\\n\"} {Request to Delete Last Remaining IP Address 4 bytes} \
                {Operation Refused Due to Resource Shortage 4 bytes} {Request to Delete Source IP Address 4 bytes} \
                {Association Aborted Due to Illegal ASCONF-ACK} {Request Refused - No Authorization 4 bytes} {0xfff 2 \
                bytes}";
    same(&bytes, &Chunk::Error(Causes::new(&causes)), line);

    let of = |bytes| Cause::of(crate::RawCause::parse(bytes).unwrap());
    assert_eq!(
        of(&[0, 2, 0, 10, 0, 0, 0, 2, 0, 7]),
        Err(Error::Short { offset: 8, needed: 4 })
    );
    assert_eq!(of(&[0, 2, 0, 10, 0, 0, 0, 0, 0, 7]), Err(Error::Trailing { offset: 8 }));
    assert!(of(&[0, 2, 0, 10, 0xff, 0xff, 0xff, 0xff, 0, 7]).is_err());
    assert_eq!(of(&[0, 4, 0, 5, 0]), Err(Error::Trailing { offset: 4 }));
}

#[test]
fn abort() {
    let causes = [Cause::UserInitiatedAbort(b"Close called")];
    let abort = |reflected, causes| {
        Chunk::Abort(Abort {
            reflected,
            causes: Causes::new(causes),
        })
    };
    let bytes = [&[6, 0, 0, 20, 0, 12, 0, 16][..], b"Close called"].concat();
    same(
        &bytes,
        &abort(false, &causes),
        "ABORT {User-Initiated Abort \"Close called\"}",
    );
    same(&[6, 1, 0, 4], &abort(true, &[]), "ABORT T");
    // One with a format error is none (RFC 9260 §3.3.7), in an ERROR it does not hinder the causes before.
    let rule = "a length counts the type and itself";
    let short = [6, 0, 0, 12, 0, 10, 0, 4, 0, 4, 0, 3];
    assert_eq!(read(&short), Err(Error::Rule { offset: 8, rule }));
    let long = [6, 1, 0, 12, 0, 10, 0, 4, 0, 4, 0, 9];
    assert_eq!(read(&long), Err(Error::Short { offset: 12, needed: 5 }));
    let mut error = long;
    error[0] = 9;
    assert_eq!(
        read(&error).unwrap().to_string(),
        "ERROR {Cookie Received While Shutting Down} {malformed (input ends: 5 bytes wanted at offset 12)}"
    );
    // A cause whose value is wrong is not a fault of the chunk.
    assert_eq!(
        read(&[6, 0, 0, 9, 0, 4, 0, 5, 1]).unwrap().to_string(),
        "ABORT {malformed (bytes left over at offset 8)}"
    );
}

#[test]
fn chunks_of_a_number_or_nothing() {
    let chunk = Chunk::Shutdown {
        cumulative_tsn_ack: 0x0102_0304,
    };
    same(&[7, 0, 0, 8, 1, 2, 3, 4], &chunk, "SHUTDOWN cumulative=16909060");
    same(&[8, 0, 0, 4], &Chunk::ShutdownAck, "SHUTDOWN ACK");
    same(
        &[10, 0, 0, 7, 1, 2, 3],
        &Chunk::CookieEcho(&[1, 2, 3]),
        "COOKIE ECHO 3 bytes",
    );
    same(&[11, 0, 0, 4], &Chunk::CookieAck, "COOKIE ACK");
    same(
        &[12, 0, 0, 8, 0, 0, 0, 5],
        &Chunk::Ecne { lowest_tsn: 5 },
        "ECNE lowest=5",
    );
    same(
        &[13, 0, 0, 8, 0, 0, 0, 5],
        &Chunk::Cwr { lowest_tsn: 5 },
        "CWR lowest=5",
    );
    same(
        &[14, 0, 0, 4],
        &Chunk::ShutdownComplete { reflected: false },
        "SHUTDOWN COMPLETE",
    );
    same(
        &[14, 1, 0, 4],
        &Chunk::ShutdownComplete { reflected: true },
        "SHUTDOWN COMPLETE T",
    );
    same(&[132, 0, 0, 9, 0, 0, 0, 0, 0], &Chunk::Pad(5), "PAD 5 bytes");
    let raw = RawChunk::parse(&[0xc1, 5, 0, 6, 1, 2]).unwrap();
    same(
        &[0xc1, 5, 0, 6, 1, 2],
        &Chunk::Unknown(raw),
        "ASCONF flags=0x05 2 bytes",
    );
    for bytes in [
        &[8, 0, 0, 5, 0][..],
        &[11, 0, 0, 5, 0],
        &[14, 0, 0, 5, 0],
        &[7, 0, 0, 9, 1, 2, 3, 4, 5],
    ] {
        assert!(matches!(read(bytes), Err(Error::Trailing { .. })));
    }
    // Padding says nothing.
    assert_eq!(read(&[132, 0, 0, 6, 1, 2]), Ok(Chunk::Pad(2)));
}

#[test]
fn forward_tsn() {
    let streams = [
        SkippedStream { stream: 1, ssn: 2 },
        SkippedStream { stream: 3, ssn: 0xffff },
    ];
    let chunk = Chunk::ForwardTsn(ForwardTsn {
        new_cumulative_tsn: 7,
        streams: List::new(&streams),
    });
    let bytes = [192, 0, 0, 16, 0, 0, 0, 7, 0, 1, 0, 2, 0, 3, 0xff, 0xff];
    same(&bytes, &chunk, "FORWARD TSN cumulative=7 [1:2 3:65535]");
    assert!(read(&[192, 0, 0, 10, 0, 0, 0, 7, 0, 1]).is_err());
}

#[test]
fn i_forward_tsn() {
    let streams = [
        SkippedMessage {
            stream: 1,
            unordered: true,
            mid: 2,
        },
        SkippedMessage {
            stream: 1,
            unordered: false,
            mid: 0xffff_ffff,
        },
    ];
    let chunk = Chunk::IForwardTsn(IForwardTsn {
        new_cumulative_tsn: 7,
        streams: List::new(&streams),
    });
    let bytes = [
        194, 0, 0, 24, 0, 0, 0, 7, 0, 1, 0, 1, 0, 0, 0, 2, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff,
    ];
    same(&bytes, &chunk, "I-FORWARD-TSN cumulative=7 [1U:2 1:4294967295]");
    assert!(read(&[194, 0, 0, 12, 0, 0, 0, 7, 0, 1, 0, 1]).is_err());
    // Reserved bits do not count.
    let mut reserved = bytes;
    reserved[10..12].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(read(&reserved), Ok(chunk));
}

#[test]
fn re_config() {
    let both = [
        Parameter::OutgoingSsnReset(OutgoingSsnReset {
            request: 1,
            response: 2,
            last_tsn: 3,
            streams: List::new(&[4]),
        }),
        Parameter::IncomingSsnReset(IncomingSsnReset {
            request: 5,
            streams: List::new(&[6, 7]),
        }),
    ];
    let chunk = |parameters| {
        Chunk::ReConfig(ReConfig {
            parameters: Parameters::new(parameters),
        })
    };
    let bytes = [
        &[130, 0, 0, 36][..],
        &[0, 13, 0, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 0, 0],
        &[0, 14, 0, 12, 0, 0, 0, 5, 0, 6, 0, 7],
    ]
    .concat();
    let line = "RE-CONFIG {Outgoing SSN Reset Request request=1 response=2 last=3 [4]} {Incoming SSN Reset Request \
                request=5 [6 7]}";
    same(&bytes, &chunk(&both), line);

    let reset = [Parameter::SsnTsnReset(1)];
    let bytes = [130, 0, 0, 12, 0, 15, 0, 8, 0, 0, 0, 1];
    same(&bytes, &chunk(&reset), "RE-CONFIG {SSN/TSN Reset Request request=1}");

    let next_tsns = Some(NextTsns { sender: 8, receiver: 9 });
    let responses = [
        Parameter::ReconfigResponse(ReconfigResponse {
            response: 1,
            result: ReconfigResult::PERFORMED,
            next_tsns,
        }),
        Parameter::ReconfigResponse(ReconfigResponse {
            response: 2,
            result: ReconfigResult(77),
            next_tsns: None,
        }),
    ];
    let bytes = [
        &[130, 0, 0, 36][..],
        &[0, 16, 0, 20, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 9],
        &[0, 16, 0, 12, 0, 0, 0, 2, 0, 0, 0, 77],
    ]
    .concat();
    let line = "RE-CONFIG {Re-configuration Response response=1 Success - Performed sender=8 receiver=9} \
                {Re-configuration Response response=2 0x4d}";
    same(&bytes, &chunk(&responses), line);

    let streams = [
        Parameter::AddOutgoingStreams(AddStreams { request: 1, streams: 2 }),
        Parameter::AddIncomingStreams(AddStreams { request: 3, streams: 4 }),
    ];
    let bytes = [
        &[130, 0, 0, 28][..],
        &[0, 17, 0, 12, 0, 0, 0, 1, 0, 2, 0, 0],
        &[0, 18, 0, 12, 0, 0, 0, 3, 0, 4, 0, 0],
    ]
    .concat();
    let line = "RE-CONFIG {Add Outgoing Streams Request request=1 streams=2} {Add Incoming Streams Request request=3 \
                streams=4}";
    same(&bytes, &chunk(&streams), line);
}

#[test]
fn re_config_has_one_or_two_parameters() {
    let rule = "a RE-CONFIG has one or two parameters";
    assert_eq!(read(&[130, 0, 0, 4]), Err(Error::Rule { offset: 4, rule }));
    let reset = [0, 15, 0, 8, 0, 0, 0, 1];
    let bytes = [&[130, 0, 0, 28][..], &reset, &reset, &reset].concat();
    assert_eq!(read(&bytes), Err(Error::Rule { offset: 4, rule }));
    // Half of the optional fields of a response.
    let bytes = [130, 0, 0, 20, 0, 16, 0, 16, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8];
    let Ok(Chunk::ReConfig(reconfig)) = read(&bytes) else {
        panic!()
    };
    let found: Vec<_> = reconfig.parameters.iter().collect();
    assert_eq!(found, [Err(Error::Short { offset: 20, needed: 4 })]);
    // Half a stream.
    let bytes = [130, 0, 0, 13, 0, 14, 0, 9, 0, 0, 0, 1, 0];
    let Ok(Chunk::ReConfig(reconfig)) = read(&bytes) else {
        panic!()
    };
    assert!(reconfig.parameters.iter().all(|parameter| parameter.is_err()));
}

#[test]
fn chunks_are_65535_bytes_long_at_most() {
    let cookie = std::vec![0; 0x1_0000];
    let mut out = std::vec![0; 70_000];
    let mut w = Writer::new(&mut out);
    assert_eq!(Chunk::CookieEcho(&cookie[..0xfffc]).write(&mut w), Err(Full));
    assert_eq!(w.position(), 0);
    Chunk::CookieEcho(&cookie[..0xfffb]).write(&mut w).unwrap();
    assert_eq!(w.position(), 0x1_0000);
}
