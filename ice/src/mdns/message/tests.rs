use super::*;
use proptest::prelude::*;

const NAME: &str = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local";

fn name() -> LocalName {
    NAME.parse().unwrap()
}

fn label() -> Vec<u8> {
    let mut bytes = vec![36];
    bytes.extend(name().label());
    bytes
}

fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend(flags.to_be_bytes());
    bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    bytes
}

type Parts = (Vec<Question>, Vec<(bool, Name, RecordType, u32, Vec<u8>)>);

fn read(bytes: &[u8]) -> Result<Parts, Error> {
    let (mut questions, mut records) = (vec![], vec![]);
    let message = Message::parse(bytes)?.expect("not to be ignored");
    message.read(
        |question| questions.push(question),
        |answer, record| {
            records.push((answer, record.name, record.kind, record.ttl, record.data.to_vec()));
        },
    )?;
    Ok((questions, records))
}

#[test]
fn a_query_has_one_question() {
    let mut out = [0; 100];
    let len = write_query(&mut out, 0, name(), RecordType::AAAA).unwrap();
    let mut expected = header(0, [1, 0, 0, 0]);
    expected.extend(label());
    expected.extend(b"\x05local\0\x00\x1c\x00\x01");
    assert_eq!(out[..len], expected);
    let (questions, _) = read(&out[..len]).unwrap();
    let question = Question {
        name: Name::Local(name()),
        kind: RecordType::AAAA,
        internet: true,
        unicast: false,
    };
    assert_eq!(questions, [question]);
}

#[test]
fn answers_are_those_of_the_rfc() {
    let mut out = [0; 200];
    let mut answer = Answer {
        name: name(),
        address: "192.0.2.7".parse().unwrap(),
        ttl: 120,
        negative: false,
        legacy: None,
    };
    let len = answer.write(&mut out).unwrap();
    let mut expected = header(0x8400, [0, 1, 0, 0]);
    expected.extend(label());
    expected.extend(b"\x05local\0\x00\x01\x80\x01\0\0\0\x78\x00\x04\xc0\x00\x02\x07");
    assert_eq!(out[..len], expected);

    answer.address = "fe80::1".parse().unwrap();
    answer.legacy = Some((0x1234, RecordType::ANY));
    answer.ttl = 10;
    let len = answer.write(&mut out).unwrap();
    // RFC 6762 §6.7: the id and the question again, and no cache-flush bit.
    assert_eq!(out[..12], *b"\x12\x34\x84\0\0\x01\0\x01\0\0\0\0");
    assert_eq!(out[12 + 44..12 + 44 + 8], *b"\x00\xff\x00\x01\xc0\x0c\x00\x1c");
    let (questions, records) = read(&out[..len]).unwrap();
    assert_eq!(questions.len(), 1);
    assert_eq!(records[0].4.len(), 16);

    // RFC 6762 §6.1: nothing but AAAA is there.
    answer.negative = true;
    answer.legacy = None;
    let len = answer.write(&mut out).unwrap();
    let (_, records) = read(&out[..len]).unwrap();
    assert_eq!(
        (records[0].2, &records[0].4[..]),
        (RecordType::NSEC, &b"\xc0\x0c\0\x04\0\0\0\x08"[..])
    );
}

#[test]
fn every_length_is_checked() {
    let mut out = [0; 100];
    let len = write_query(&mut out, 0, name(), RecordType::A).unwrap();
    for cut in 0..len {
        let short = &out[..cut];
        assert!(Message::parse(short).is_err() || read(short).is_err(), "{cut}");
        let mut short_out = vec![0; cut];
        assert_eq!(write_query(&mut short_out, 0, name(), RecordType::A), Err(Full));
    }
}

#[test]
fn what_is_no_plain_query_or_response_is_ignored() {
    for flags in [0x0800, 0x8401, 0x7800] {
        assert!(Message::parse(&header(flags, [0; 4])).unwrap().is_none());
    }
    // TC, RD, RA, AD and CD are ignored themselves (RFC 6762 §18.5 to §18.10).
    assert!(Message::parse(&header(0x07f0, [0; 4])).unwrap().is_some());
}

#[test]
fn pointers_go_back_and_end() {
    let ask = |name: &[u8]| {
        let mut bytes = header(0, [1, 0, 0, 0]);
        bytes.extend(name);
        bytes.extend([0, 1, 0, 1]);
        read(&bytes)
    };
    let rule = Err(Error::Rule {
        offset: 12,
        rule: "a compressed name points back",
    });
    // To itself, forward, into the header.
    assert_eq!(ask(&[0xc0, 12]), rule);
    assert_eq!(ask(&[0xc0, 14]), rule);
    assert_eq!(ask(&[0xc0, 0]), rule);
    // To a label before it that leads to it again.
    assert!(ask(&[1, b'a', 0xc0, 12]).is_err());
    assert!(matches!(ask(&[0x40, 0]), Err(Error::Rule { offset: 12, .. })));
    assert!(matches!(ask(&[0x80, 0]), Err(Error::Rule { offset: 12, .. })));
    // Two that point at each other: the second's is not before its own labels.
    let mut bytes = header(0, [2, 0, 0, 0]);
    bytes.extend([1, b'a', 0, 0, 1, 0, 1, 1, b'b', 0xc0, 12, 0, 1, 0, 1]);
    assert!(read(&bytes).is_ok());
    bytes[22] = 19;
    assert!(read(&bytes).is_err());
}

#[test]
fn a_name_has_16_pointers_at_most() {
    let chain = |pointers: u8| {
        // A name in the data of a record, then one pointer behind the other.
        let mut bytes = header(0x8400, [0, 2, 0, 0]);
        bytes.extend([0, 0, 1, 0, 1, 0, 0, 0, 1]);
        let len = 3 + 2 * (pointers - 1);
        bytes.extend([0, len, 1, b'a', 0]);
        let mut last = 23;
        for _ in 1..pointers {
            let here = u8::try_from(bytes.len()).unwrap();
            bytes.extend([0xc0, last]);
            last = here;
        }
        bytes.extend([0xc0, last, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0]);
        read(&bytes)
    };
    assert!(chain(16).is_ok());
    assert!(matches!(
        chain(17),
        Err(Error::Rule {
            rule: "a name has at most 16 pointers",
            ..
        })
    ));
}

#[test]
fn a_name_has_255_bytes_at_most() {
    let name = |labels: usize, last: usize| {
        let mut bytes = header(0, [1, 0, 0, 0]);
        for len in std::iter::repeat_n(63, labels).chain([last]) {
            bytes.push(u8::try_from(len).unwrap());
            bytes.extend(vec![b'a'; len]);
        }
        bytes.extend([0, 0, 1, 0, 1]);
        bytes
    };
    // 3 * 64 + 62 + 1 = 255.
    assert!(read(&name(3, 61)).is_ok());
    assert!(matches!(
        read(&name(3, 62)),
        Err(Error::Rule {
            rule: "a name has at most 255 bytes",
            ..
        })
    ));
}

#[test]
fn names_are_the_same_in_any_case_and_with_any_compression() {
    let mut bytes = header(0x8400, [0, 2, 0, 0]);
    // Another record first, whose name ends in "LOCAL".
    bytes.extend(b"\x07printer\x05LOCAL\0\0\x01\0\x01\0\0\0\x78\0\x04\x01\x02\x03\x04");
    bytes.push(36);
    bytes.extend(name().label().to_ascii_uppercase());
    bytes.extend(b"\xc0\x14\0\x01\x80\x01\0\0\0\x78\0\x04\xc0\0\x02\x01");
    let (_, records) = read(&bytes).unwrap();
    assert_eq!(records[0].1, Name::Other);
    assert_eq!(
        (records[1].1, records[1].3, &records[1].4[..]),
        (Name::Local(name()), 120, &[192, 0, 2, 1][..])
    );
}

#[test]
fn addresses_have_their_length() {
    let record = |kind, data| Record {
        name: Name::Other,
        kind,
        internet: true,
        ttl: 1,
        data,
    };
    assert_eq!(
        record(RecordType::A, &[192, 0, 2, 1]).address(),
        Some("192.0.2.1".parse().unwrap())
    );
    assert_eq!(record(RecordType::A, &[0; 16]).address(), None);
    assert_eq!(record(RecordType::AAAA, &[0; 4]).address(), None);
    assert_eq!(record(RecordType::NSEC, &[0; 4]).address(), None);
}

proptest! {
    #[test]
    fn what_is_written_reads_back(uuid: u128, v4: bool, octets: u128, ttl: u32, legacy: Option<u16>) {
        let mut label = *b"00000000-0000-4000-8000-000000000000";
        let digits: Vec<u8> = format!("{uuid:032x}").into_bytes();
        for (place, digit) in (24..36).zip(digits) {
            label[place] = digit;
        }
        let name = LocalName::from_label(&label).unwrap();
        let address = if v4 {
            IpAddr::from(octets.to_be_bytes().first_chunk::<4>().copied().unwrap())
        } else {
            IpAddr::from(octets.to_be_bytes())
        };
        let legacy = legacy.map(|id| (id, RecordType::ANY));
        let answer = Answer { name, address, ttl, negative: false, legacy };
        let mut out = [0; 200];
        let len = answer.write(&mut out).unwrap();
        let message = Message::parse(&out[..len]).unwrap().unwrap();
        prop_assert!(message.response);
        let mut seen = None;
        message.read(|_| {}, |_, record| seen = Some((record.name, record.ttl, record.address()))).unwrap();
        prop_assert_eq!(seen, Some((Name::Local(name), ttl, Some(address))));
    }

    #[test]
    fn no_bytes_break_it(mut bytes in prop::collection::vec(any::<u8>(), 0..120), tidy: bool) {
        if tidy && bytes.len() > 12 {
            bytes[2..12].copy_from_slice(&[0x84, 0, 0, 1, 0, 2, 0, 0, 0, 1]);
        }
        if let Ok(Some(message)) = Message::parse(&bytes) {
            message.read(|_| {}, |_, _| {}).ok();
        }
    }
}
