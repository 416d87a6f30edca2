use super::*;
use crate::{CauseCode, ChunkType, ErrorDetectionMethod, List, RawParameter};

/// The causes of the ABORT in a packet, and its T bit.
fn abort_of(bytes: &[u8]) -> (Vec<CauseCode>, bool) {
    let [Chunk::Abort(abort)] = chunks(bytes)[..] else {
        panic!("{}", show(bytes))
    };
    let codes = abort.causes.iter().map(|cause| cause.unwrap().code()).collect();
    (codes, abort.reflected)
}

fn host_name() -> [Parameter<'static>; 1] {
    [Parameter::HostNameAddress(b"a.example\0")]
}

/// INITs that nobody answers by INIT ACK, with the cause that is told.
fn unusable<'a>(parameters: &'a [Parameter<'static>; 1]) -> [(Init<'a>, CauseCode); 4] {
    let good = plain_init(0x111);
    let invalid = CauseCode::INVALID_MANDATORY_PARAMETER;
    let parameters = Parameters::new(parameters);
    [
        (Init { a_rwnd: 1499, ..good }, invalid),
        (
            Init {
                outbound_streams: 0,
                ..good
            },
            invalid,
        ),
        (
            Init {
                inbound_streams: 0,
                ..good
            },
            invalid,
        ),
        (Init { parameters, ..good }, CauseCode::PROTOCOL_VIOLATION),
    ]
}

#[test]
fn what_no_init_may_say() {
    // RFC 9260 §3.3.2, §3.3.2.1.4: ABORT with the initiate tag, and no change of state.
    let now = Instant::now();
    let mut waiting = End::new(3, now);
    waiting.setup.connect(now);
    waiting.one();
    let (up, _) = pair(now);
    for mut end in [End::new(1, now), waiting, up] {
        let state = end.state();
        for (init, code) in unusable(&host_name()) {
            end.receive(now, &packet(0, &[Chunk::Init(init)]));
            let answer = end.one();
            assert_eq!((tag_of(&answer), abort_of(&answer)), (0x111, (vec![code], false)));
        }
        // A tag of 0 is not answered.
        end.receive(now, &packet(0, &[Chunk::Init(plain_init(0))]));
        assert_eq!(end.transmit(), Vec::<Vec<u8>>::new());
        assert_eq!((end.state(), end.counters.sctp_bad_inits), (state, 5));
        // The least window is enough.
        let init = Init {
            a_rwnd: 1500,
            ..plain_init(0x222)
        };
        end.receive(now, &packet(0, &[Chunk::Init(init)]));
        assert!(matches!(chunks(&end.one())[..], [Chunk::InitAck(_)]));
    }
}

#[test]
fn what_no_init_ack_may_say() {
    // RFC 9260 §3.3.3, §5.1.
    let now = Instant::now();
    let connected = || {
        let mut a = End::new(1, now);
        a.setup.connect(now);
        a.one();
        a
    };
    for (init, code) in unusable(&host_name()) {
        let mut a = connected();
        let step = a.receive(now, &packet(a.tag(), &[Chunk::InitAck(init)]));
        let answer = a.one();
        assert_eq!((tag_of(&answer), abort_of(&answer)), (0x111, (vec![code], false)));
        assert_eq!(a.counters.sctp_bad_inits, 1);
        if init.a_rwnd < 1500 {
            // This one changes nothing.
            assert_eq!((step, a.state()), (Some(Step::Stop), State::CookieWait));
            assert!(a.setup.poll_timeout().is_some());
        } else {
            assert!(matches!(step, Some(Step::Closed(CloseReason::ProtocolViolation(_)))));
            assert_eq!((a.state(), a.setup.poll_timeout()), (State::Ended, None));
        }
    }
    // No cookie.
    let mut a = connected();
    a.receive(now, &packet(a.tag(), &[Chunk::InitAck(plain_init(0x111))]));
    let answer = a.one();
    assert_eq!(tag_of(&answer), 0x111);
    assert_eq!(abort_of(&answer), (vec![CauseCode::MISSING_MANDATORY_PARAMETER], false));
    assert!(matches!(a.reason(), Some(CloseReason::ProtocolViolation(_))));
    assert_eq!((a.state(), a.counters.sctp_bad_inits), (State::Ended, 1));
    // A tag of 0: with the T bit.
    let mut a = connected();
    a.receive(now, &packet(a.tag(), &[Chunk::InitAck(plain_init(0))]));
    let answer = a.one();
    assert_eq!((tag_of(&answer), abort_of(&answer).1), (a.tag(), true));
    assert_eq!(a.state(), State::Ended);
}

#[test]
fn a_cookie_has_to_fit_into_a_packet() {
    let now = Instant::now();
    for (len, fits) in [(0, true), (1160 - 16, true), (1160 - 15, false)] {
        let mut a = End::new(1, now);
        a.setup.connect(now);
        a.one();
        let bytes = vec![7; len];
        let cookie = [Parameter::StateCookie(&bytes)];
        let init = Init {
            parameters: Parameters::new(&cookie),
            ..plain_init(0x111)
        };
        a.receive(now, &packet(a.tag(), &[Chunk::InitAck(init)]));
        let answer = a.one();
        assert_eq!(tag_of(&answer), 0x111);
        if fits {
            assert_eq!(chunks(&answer), [Chunk::CookieEcho(&bytes)]);
        } else {
            assert_eq!(abort_of(&answer), (vec![CauseCode::OUT_OF_RESOURCE], false));
            assert!(matches!(a.reason(), Some(CloseReason::TooMuch(_))));
        }
    }
}

fn unknown(parameter_type: u16, value: &'static [u8]) -> Parameter<'static> {
    let mut bytes = parameter_type.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(4 + value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    Parameter::of(RawParameter::parse(bytes.leak()).unwrap()).unwrap()
}

#[test]
fn unrecognized_parameters_of_init() {
    // RFC 9260 §3.2.1, §3.2.2: by their upper bits.
    let now = Instant::now();
    for (number, reported, stops) in [
        (0x3000, false, true),
        (0x7000, true, true),
        (0xb000, false, false),
        (0xf000, true, false),
    ] {
        let mut a = End::new(1, now);
        let parameters = [unknown(number, b"abc"), Parameter::ForwardTsnSupported];
        let init = Init {
            parameters: Parameters::new(&parameters),
            ..plain_init(0x111)
        };
        a.receive(now, &packet(0, &[Chunk::Init(init)]));
        let answer = a.one();
        let [Chunk::InitAck(ack)] = chunks(&answer)[..] else {
            panic!("{}", show(&answer))
        };
        let quoted: Vec<_> = ack
            .parameters
            .iter()
            .filter_map(|parameter| match parameter {
                Ok(Parameter::Unrecognized(bytes)) => Some(bytes),
                _ => None,
            })
            .collect();
        let [high, low] = u16::to_be_bytes(number);
        let bytes = [high, low, 0, 7, b'a', b'b', b'c'];
        assert_eq!(quoted, if reported { vec![&bytes[..]] } else { vec![] });
        // In all four cases there is an INIT ACK, and what stands before counts.
        a.receive(now, &packet(a.tag(), &[Chunk::CookieEcho(&cookie_of(&answer))]));
        assert_eq!(a.setup.peer().unwrap().forward_tsn, !stops);
    }
}

#[test]
fn reports_are_bounded() {
    let now = Instant::now();
    let mut a = End::new(1, now);
    let parameters = vec![unknown(0xf000, &[7; 24]); 100];
    let init = Init {
        parameters: Parameters::new(&parameters),
        ..plain_init(0x111)
    };
    a.receive(now, &packet(0, &[Chunk::Init(init)]));
    let answer = a.one();
    let [Chunk::InitAck(ack)] = chunks(&answer)[..] else {
        panic!("{}", show(&answer))
    };
    let quoted = ack
        .parameters
        .iter()
        .filter(|p| matches!(p, Ok(Parameter::Unrecognized(_))));
    assert_eq!(quoted.count(), 256 / 32);
    assert!(answer.len() <= ALONE_LEN);
}

#[test]
fn unrecognized_parameters_of_init_ack() {
    // RFC 9260 §3.2.2: an ERROR behind COOKIE ECHO, once.
    let now = Instant::now();
    let mut a = End::new(1, now);
    a.setup.connect(now);
    a.one();
    let parameters = [
        unknown(0xf000, b"abc"),
        Parameter::StateCookie(&[9; 5]),
        unknown(0xf001, b""),
        unknown(0x7001, b"de"),
        unknown(0xf002, b""),
    ];
    let init = Init {
        parameters: Parameters::new(&parameters),
        ..plain_init(0x111)
    };
    a.receive(now, &packet(a.tag(), &[Chunk::InitAck(init)]));
    let cause = [Cause::UnrecognizedParameters(&[
        0xf0, 0, 0, 7, b'a', b'b', b'c', 0, 0xf0, 1, 0, 4, 0x70, 1, 0, 6, b'd', b'e',
    ])];
    assert_eq!(chunks(&a.one()), [Chunk::CookieEcho(&[9; 5]), error(&cause)]);
    a.timeout(now + 500 * MS);
    assert_eq!(chunks(&a.one()), [Chunk::CookieEcho(&[9; 5])]);

    // What was not reported before another INIT ACK came is forgotten.
    let mut a = End::new(1, now);
    a.setup.connect(now);
    for _ in 0..2 {
        a.receive(now, &packet(a.tag(), &[Chunk::InitAck(init)]));
        assert_eq!(a.setup.report.len(), 18);
        a.receive(now, &packet(a.tag(), &[error(&[Cause::StaleCookie(0)])]));
    }
    // So it is when the association is up before.
    a.receive(now, &packet(a.tag(), &[Chunk::InitAck(init)]));
    a.receive(now, &packet(a.tag(), &[Chunk::CookieAck]));
    assert_eq!((a.state(), a.setup.report.len()), (State::Established, 0));
}

#[test]
fn what_both_know_is_used() {
    let now = Instant::now();
    let extensions = |types: &'static [ChunkType]| Parameter::SupportedExtensions(List::new(types));
    let dtls = Parameter::ZeroChecksumAcceptable(ErrorDetectionMethod::DTLS);
    let other = Parameter::ZeroChecksumAcceptable(ErrorDetectionMethod(2));
    let i_data = &[ChunkType::I_DATA];
    let all = &[ChunkType::I_DATA, ChunkType::I_FORWARD_TSN, ChunkType::RE_CONFIG];
    let plain = Config {
        interleaving: false,
        zero_checksum: false,
        ..Config::default()
    };
    let rich = Config::default();
    // Interleaving, FORWARD TSN of the right kind, RE-CONFIG, zero checksum.
    for (config, parameters, expected) in [
        (&rich, &[][..], [false, false, false, false]),
        (&rich, &[Parameter::ForwardTsnSupported], [false, true, false, false]),
        (
            &rich,
            &[extensions(&[ChunkType::FORWARD_TSN])],
            [false, true, false, false],
        ),
        // RFC 8260 §2.3.1: with I-DATA it is I-FORWARD-TSN that counts, and without it does not.
        (
            &rich,
            &[extensions(i_data), Parameter::ForwardTsnSupported],
            [true, false, false, false],
        ),
        (&rich, &[extensions(all), dtls], [true, true, true, true]),
        (
            &rich,
            &[extensions(&[ChunkType::I_FORWARD_TSN]), other],
            [false, false, false, false],
        ),
        (&plain, &[extensions(all), dtls], [false, false, true, false]),
    ] {
        let mut a = End::with(config, 1, now);
        let init = Init {
            parameters: Parameters::new(parameters),
            ..plain_init(0x111)
        };
        a.receive(now, &packet(0, &[Chunk::Init(init)]));
        let answer = a.one();
        a.receive(now, &packet(a.tag(), &[Chunk::CookieEcho(&cookie_of(&answer))]));
        let peer = a.setup.peer().unwrap();
        assert_eq!(
            [peer.interleaving, peer.forward_tsn, peer.reconfig, peer.zero_checksum],
            expected
        );
    }
}

#[test]
fn streams_are_the_fewer() {
    // RFC 9260 §5.1.1.
    let now = Instant::now();
    let config = Config {
        outbound_streams: 15,
        inbound_streams: 7,
        receive_window: 5000,
        ..Config::default()
    };
    let mut a = End::with(&config, 1, now);
    a.receive(now, &packet(0, &[Chunk::Init(plain_init(0x111))]));
    let answer = a.one();
    let [Chunk::InitAck(ours)] = chunks(&answer)[..] else {
        panic!("{}", show(&answer))
    };
    assert_eq!(
        (ours.a_rwnd, ours.outbound_streams, ours.inbound_streams),
        (5000, 15, 7)
    );
    a.receive(now, &packet(a.tag(), &[Chunk::CookieEcho(&cookie_of(&answer))]));
    let peer = Peer {
        tag: 0x111,
        a_rwnd: 100_000,
        initial_tsn: 1000,
        outbound_streams: 7,
        inbound_streams: 15,
        interleaving: false,
        forward_tsn: false,
        reconfig: false,
        zero_checksum: false,
    };
    assert_eq!(a.setup.peer(), Some(&peer));
}

#[test]
fn what_we_offer() {
    let now = Instant::now();
    let plain = Config {
        interleaving: false,
        zero_checksum: false,
        ..Config::default()
    };
    let types = |config: &Config| {
        let mut out = [0; 100];
        let a = End::with(config, 1, now);
        let len = a.setup.local_init(&mut out).unwrap();
        let init = Init::parse(&out[..len]).unwrap();
        let parameters = init.parameters.iter().map(Result::unwrap);
        parameters.map(|p| p.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        types(&Config::default()),
        [
            "Forward TSN Supported",
            "Supported Extensions [RE-CONFIG FORWARD TSN I-DATA I-FORWARD-TSN]",
            "Zero Checksum Acceptable SCTP over DTLS"
        ]
    );
    assert_eq!(
        types(&plain),
        ["Forward TSN Supported", "Supported Extensions [RE-CONFIG FORWARD TSN]"]
    );
}

#[test]
fn a_flood_of_inits_leaves_nothing() {
    // RFC 9260 §5.1 B.
    let now = Instant::now();
    let mut a = End::new(1, now);
    for tag in 1..5000 {
        a.receive(now, &packet(0, &[Chunk::Init(plain_init(tag))]));
    }
    assert_eq!(
        (a.state(), a.setup.peer(), a.setup.poll_timeout()),
        (State::Closed, None, None)
    );
    assert!(a.setup.reply.capacity() <= ALONE_LEN);
    assert_eq!(a.counters.sctp_replies_dropped, 4998);
    let answer = a.one();
    assert_eq!(tag_of(&answer), 1);
    // The one who was answered is served.
    a.receive(now, &packet(a.tag(), &[Chunk::CookieEcho(&cookie_of(&answer))]));
    assert_eq!((a.state(), a.peer_tag()), (State::Established, 1));
}

#[test]
fn init_stands_alone() {
    // RFC 9260 §5.1, §8.5.1 A.
    let now = Instant::now();
    let init = Chunk::Init(plain_init(0x111));
    let (mut a, _) = pair(now);
    for (tag, chunks) in [
        (0, &[init, data()][..]),
        (0, &[data(), init]),
        (0, &[init, init]),
        (0, &[data()]),
        (0, &[]),
    ] {
        assert_eq!(a.receive(now, &packet(tag, chunks)), None);
    }
    assert_eq!((a.counters.sctp_wrong_tag, a.data), (5, 0));
    a.receive(now, &packet(a.tag(), &[init, data()]));
    assert_eq!((a.counters.sctp_unexpected_chunks, a.data), (1, 0));
    assert_eq!(a.transmit(), Vec::<Vec<u8>>::new());
}
