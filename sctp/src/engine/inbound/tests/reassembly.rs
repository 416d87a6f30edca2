use std::vec::Vec;

use super::{Given, Log, data, i_data};
use crate::chunk::{DataHeader, ForwardTsn, IDataHeader, IForwardTsn, SkippedMessage, SkippedStream};
use crate::close::CloseReason;
use crate::config::Config;
use crate::engine::inbound::{Reassembly, Taken};
use crate::list::List;

const WINDOW: u32 = 16 << 20;

/// A receiver with its sink.
struct Receiver {
    reassembly: Reassembly,
    log: Log,
}

impl Receiver {
    fn new(interleaving: bool, config: &Config) -> Self {
        Self {
            reassembly: Reassembly::new(config, 100, interleaving),
            log: Log::default(),
        }
    }

    fn try_data(&mut self, header: DataHeader, payload: &[u8]) -> Result<Taken, CloseReason> {
        self.reassembly.data(&header, payload, &mut self.log)
    }

    fn try_i_data(&mut self, header: IDataHeader, payload: &[u8]) -> Result<Taken, CloseReason> {
        self.reassembly.i_data(&header, payload, &mut self.log)
    }

    /// What the sink is given for a DATA chunk.
    #[track_caller]
    fn data(&mut self, letters: &str, tsn: u32, stream: u16, ssn: u16, payload: &[u8]) -> Vec<Given> {
        assert_eq!(self.try_data(data(letters, tsn, stream, ssn), payload), Ok(Taken::Yes));
        self.log.take()
    }

    /// What the sink is given for an I-DATA chunk.
    #[track_caller]
    fn i_data(&mut self, letters: &str, stream: u16, mid: u32, last: u32, payload: &[u8]) -> Vec<Given> {
        let header = i_data(letters, 0, stream, mid, last);
        assert_eq!(self.try_i_data(header, payload), Ok(Taken::Yes));
        self.log.take()
    }

    fn skip(&mut self, to: u32, streams: &[(u16, u16)]) -> Vec<Given> {
        let list: Vec<_> = streams
            .iter()
            .map(|&(stream, ssn)| SkippedStream { stream, ssn })
            .collect();
        let forward = ForwardTsn {
            new_cumulative_tsn: to,
            streams: List::new(&list),
        };
        self.reassembly.skip(&forward, &mut self.log).unwrap();
        self.log.take()
    }

    fn i_skip(&mut self, streams: &[(u16, bool, u32)]) -> Vec<Given> {
        let list = streams.iter();
        let list: Vec<_> = list
            .map(|&(stream, unordered, mid)| SkippedMessage { stream, unordered, mid })
            .collect();
        let forward = IForwardTsn {
            new_cumulative_tsn: 0,
            streams: List::new(&list),
        };
        self.reassembly.i_skip(&forward, &mut self.log).unwrap();
        self.log.take()
    }

    fn reset(&mut self, stream: u16) -> Vec<Given> {
        self.reassembly.reset(stream, &mut self.log);
        self.log.take()
    }

    fn held(&self) -> u32 {
        WINDOW - self.reassembly.free()
    }
}

fn with_data() -> Receiver {
    Receiver::new(false, &Config::default())
}

fn with_i_data() -> Receiver {
    Receiver::new(true, &Config::default())
}

fn in_parts(interleaving: bool, limit: usize) -> Receiver {
    let config = Config {
        receive_parts: Some(limit),
        ..Config::default()
    };
    Receiver::new(interleaving, &config)
}

fn ordered(stream: u16, payload: &[u8]) -> Given {
    Given::Message(stream, 53, false, payload.to_vec())
}

fn unordered(stream: u16, payload: &[u8]) -> Given {
    Given::Message(stream, 53, true, payload.to_vec())
}

fn part(stream: u16, unordered: bool, payload: &[u8], first: bool, last: bool) -> Given {
    Given::Part(stream, 53, unordered, payload.to_vec(), first, last)
}

#[track_caller]
fn assert_violation(result: Result<Taken, CloseReason>, rule: &str) {
    assert!(
        matches!(result, Err(CloseReason::ProtocolViolation(text)) if text == rule),
        "{result:?}"
    );
}

// RFC 9260 §6.5, §6.6, §6.9

#[test]
fn whole_messages_come_at_once() {
    let mut receiver = with_data();
    assert_eq!(receiver.data("BE", 10, 0, 0, b"a"), [ordered(0, b"a")]);
    assert_eq!(receiver.data("BE", 11, 0, 1, b"b"), [ordered(0, b"b")]);
    assert_eq!(receiver.data("BE", 12, 7, 0, b"c"), [ordered(7, b"c")]);
    // The SSN of an unordered one has no significance.
    assert_eq!(receiver.data("UBE", 13, 0, 9, b"d"), [unordered(0, b"d")]);
    assert_eq!(receiver.data("BE", 14, 0, 2, b"e"), [ordered(0, b"e")]);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn ordered_messages_wait_for_those_before() {
    let mut receiver = with_data();
    assert_eq!(receiver.data("BE", 12, 0, 2, b"cc"), []);
    assert_eq!(receiver.data("BE", 11, 0, 1, b"b"), []);
    assert_eq!(receiver.data("BE", 14, 1, 1, b"y"), []);
    assert_eq!(receiver.held(), 3 * 64 + 4);
    assert_eq!(receiver.data("UBE", 13, 0, 0, b"u"), [unordered(0, b"u")]);
    assert_eq!(
        receiver.data("BE", 10, 0, 0, b"a"),
        [ordered(0, b"a"), ordered(0, b"b"), ordered(0, b"cc")]
    );
    assert_eq!(receiver.held(), 65);
    assert_eq!(
        receiver.data("BE", 15, 1, 0, b"x"),
        [ordered(1, b"x"), ordered(1, b"y")]
    );
    assert_eq!(receiver.held(), 0);
}

#[test]
fn pieces_are_joined() {
    let mut receiver = with_data();
    assert_eq!(receiver.data("B", u32::MAX, 3, 0, b"one "), []);
    assert_eq!(receiver.held(), 64 + 4);
    assert_eq!(receiver.data("", 0, 3, 0, b"two "), []);
    assert_eq!(receiver.data("E", 1, 3, 0, b"three"), [ordered(3, b"one two three")]);
    assert_eq!(receiver.held(), 0);
    for (letters, tsn) in [("UE", 4), ("U", 3)] {
        assert_eq!(receiver.data(letters, tsn, 3, 0, b"x"), []);
    }
    assert_eq!(receiver.held(), 2 * 65);
    assert_eq!(receiver.data("UB", 2, 3, 0, b"x"), [unordered(3, b"xxx")]);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn messages_in_pieces_wait_for_their_turn() {
    let mut receiver = with_data();
    assert_eq!(receiver.data("B", 3, 0, 1, b"c"), []);
    assert_eq!(receiver.data("E", 4, 0, 1, b"d"), []);
    assert_eq!(receiver.held(), 64 + 2);
    assert_eq!(receiver.data("B", 1, 0, 0, b"a"), []);
    assert_eq!(
        receiver.data("E", 2, 0, 0, b"b"),
        [ordered(0, b"ab"), ordered(0, b"cd")]
    );
}

#[test]
fn what_is_as_late_as_before_the_next_is_dropped() {
    let mut receiver = with_data();
    receiver.data("BE", 1, 0, 0, b"a");
    assert_eq!(receiver.try_data(data("BE", 2, 0, 0), b"b"), Ok(Taken::Late));
    assert_eq!(receiver.try_data(data("B", 3, 0, 0xffff), b"b"), Ok(Taken::Late));
    // RFC 1982: half the numbers are ahead.
    assert_eq!(receiver.try_data(data("BE", 4, 0, 0x8001), b"b"), Ok(Taken::Late));
    assert_eq!(receiver.log.take(), []);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn streams_that_do_not_exist_are_told() {
    let mut receiver = with_data();
    assert_eq!(receiver.try_data(data("BE", 1, 100, 0), b"a"), Ok(Taken::NoSuchStream));
    assert_eq!(receiver.data("BE", 1, 99, 0, b"a"), [ordered(99, b"a")]);
    let mut receiver = with_i_data();
    assert_eq!(
        receiver.try_i_data(i_data("BE", 1, 100, 0, 53), b"a"),
        Ok(Taken::NoSuchStream)
    );
    assert_eq!(receiver.i_data("BE", 99, 0, 53, b"a"), [ordered(99, b"a")]);
}

#[test]
fn messages_do_not_begin_within_others() {
    const BEGINS: &str = "a message begins before the last one has ended";
    let begun = || {
        let mut receiver = with_data();
        receiver.data("B", 1, 5, 0, b"a");
        receiver
    };
    for header in [
        data("B", 2, 5, 1),
        data("BE", 2, 5, 1),
        data("BE", 2, 6, 0),
        data("UBE", 2, 5, 0),
        // Another stream, message or kind.
        data("", 2, 6, 0),
        data("E", 2, 5, 1),
        data("U", 2, 5, 0),
    ] {
        assert_violation(begun().try_data(header, b"b"), BEGINS);
        // One that comes too early has no neighbour yet.
        assert_eq!(begun().try_data(DataHeader { tsn: 3, ..header }, b"b"), Ok(Taken::Yes));
    }
    let mut receiver = begun();
    receiver.data("B", 3, 5, 1, b"c");
    assert_violation(receiver.try_data(data("", 2, 5, 0), b"b"), BEGINS);
    for header in [data("E", 3, 6, 0), data("E", 3, 5, 1), data("UE", 3, 5, 0)] {
        let mut receiver = begun();
        assert_eq!(receiver.try_data(header, b"b"), Ok(Taken::Yes));
        assert_violation(
            receiver.try_data(data("", 2, 5, 0), b"b"),
            "a message goes on as another one",
        );
    }
}

#[test]
fn messages_do_not_go_on_behind_their_ends() {
    const GOES_ON: &str = "a message goes on behind its end";
    let mut receiver = with_data();
    receiver.data("BE", 1, 0, 0, b"a");
    assert_violation(receiver.try_data(data("", 2, 0, 1), b"b"), GOES_ON);
    let mut receiver = with_data();
    receiver.data("B", 1, 0, 0, b"a");
    receiver.data("E", 2, 0, 0, b"a");
    assert_violation(receiver.try_data(data("E", 3, 0, 1), b"b"), GOES_ON);
    let mut receiver = with_data();
    receiver.data("", 3, 0, 1, b"c");
    assert_eq!(receiver.data("BE", 1, 0, 0, b"a"), [ordered(0, b"a")]);
    assert_violation(receiver.try_data(data("BE", 2, 0, 1), b"b"), GOES_ON);
    let mut receiver = with_data();
    receiver.data("", 3, 0, 1, b"c");
    receiver.data("B", 1, 0, 0, b"a");
    assert_violation(receiver.try_data(data("E", 2, 0, 0), b"b"), GOES_ON);
}

#[test]
fn a_number_is_of_one_message() {
    let mut receiver = with_data();
    receiver.data("BE", 3, 0, 1, b"c");
    assert_violation(receiver.try_data(data("BE", 5, 0, 1), b"c"), "a message comes twice");
}

// RFC 8260 §2.1, §2.2

#[test]
fn data_and_i_data_are_not_mixed() {
    assert_violation(
        with_i_data().try_data(data("BE", 1, 0, 0), b"a"),
        "DATA where I-DATA was agreed on",
    );
    assert_violation(
        with_data().try_i_data(i_data("BE", 1, 0, 0, 53), b"a"),
        "I-DATA where it was not agreed on",
    );
    let mut receiver = with_i_data();
    assert!(
        receiver
            .reassembly
            .skip(&ForwardTsn::default(), &mut receiver.log)
            .is_err()
    );
    let mut receiver = with_data();
    assert!(
        receiver
            .reassembly
            .i_skip(&IForwardTsn::default(), &mut receiver.log)
            .is_err()
    );
}

#[test]
fn interleaved_messages_are_kept_apart() {
    let mut receiver = with_i_data();
    assert_eq!(receiver.i_data("B", 1, 0, 53, b"a1"), []);
    assert_eq!(receiver.i_data("B", 2, 0, 53, b"b1"), []);
    assert_eq!(receiver.i_data("UB", 1, 0, 53, b"u1"), []);
    assert_eq!(receiver.i_data("", 1, 0, 1, b"a2"), []);
    assert_eq!(receiver.i_data("BE", 3, 0, 53, b"c"), [ordered(3, b"c")]);
    assert_eq!(receiver.i_data("E", 2, 0, 1, b"b2"), [ordered(2, b"b1b2")]);
    assert_eq!(receiver.i_data("UE", 1, 0, 1, b"u2"), [unordered(1, b"u1u2")]);
    assert_eq!(receiver.i_data("E", 1, 0, 2, b"a3"), [ordered(1, b"a1a2a3")]);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn fragments_are_joined_by_their_numbers() {
    let mut receiver = with_i_data();
    assert_eq!(receiver.i_data("E", 1, 0, 2, b"c"), []);
    assert_eq!(receiver.i_data("", 1, 0, 1, b"b"), []);
    assert_eq!(receiver.i_data("BE", 1, 1, 53, b"next"), []);
    assert_eq!(
        receiver.i_data("B", 1, 0, 53, b"a"),
        [ordered(1, b"abc"), ordered(1, b"next")]
    );
    assert_eq!(receiver.held(), 0);
}

#[test]
fn fragments_do_not_come_twice() {
    const TWICE: &str = "a fragment comes twice";
    let begun = || {
        let mut receiver = with_i_data();
        receiver.i_data("B", 1, 0, 53, b"a");
        receiver.i_data("", 1, 0, 1, b"b");
        receiver.i_data("", 1, 0, 4, b"e");
        receiver
    };
    for header in [
        i_data("B", 9, 1, 0, 53),
        i_data("BE", 9, 1, 0, 53),
        i_data("", 9, 1, 0, 1),
        i_data("E", 9, 1, 0, 4),
    ] {
        assert_violation(begun().try_i_data(header, b"x"), TWICE);
    }
    assert_violation(
        begun().try_i_data(i_data("", 9, 1, 0, 0), b"x"),
        "a fragment that is not the first has the number of the first",
    );
    let mut receiver = begun();
    receiver.i_data("", 1, 0, 2, b"c");
    const GOES_ON: &str = "a message goes on behind its end";
    assert_violation(receiver.try_i_data(i_data("E", 9, 1, 0, 3), b"d"), GOES_ON);
    let mut receiver = with_i_data();
    receiver.i_data("", 1, 0, 7, b"x");
    assert_violation(receiver.try_i_data(i_data("BE", 9, 1, 0, 53), b"d"), GOES_ON);
    let mut receiver = with_i_data();
    receiver.i_data("BE", 1, 1, 53, b"x");
    assert_violation(
        receiver.try_i_data(i_data("BE", 9, 1, 1, 53), b"d"),
        "a message comes twice",
    );
}

#[test]
fn late_messages_are_dropped() {
    let mut receiver = with_i_data();
    receiver.i_data("BE", 1, 0, 53, b"a");
    assert_eq!(receiver.try_i_data(i_data("BE", 9, 1, 0, 53), b"x"), Ok(Taken::Late));
    assert_eq!(
        receiver.try_i_data(i_data("", 9, 1, u32::MAX, 3), b"x"),
        Ok(Taken::Late)
    );
    assert_eq!(receiver.log.take(), []);
    assert_eq!(receiver.held(), 0);
}

/// RFC 8260 §2.1: serial number arithmetic, also where a stream has had billions of unordered messages.
#[test]
fn unordered_numbers_wrap() {
    let mut receiver = with_i_data();
    for mid in (0..20_u32).map(|step| step.wrapping_mul(0x3000_0000)) {
        assert_eq!(receiver.i_data("UB", 1, mid, 53, b"a"), []);
        assert_eq!(receiver.i_data("UE", 1, mid, 1, b"b"), [unordered(1, b"ab")]);
    }
}

// RFC 3758 §3.6

#[test]
fn a_skip_drops_what_lacks_a_piece() {
    let mut receiver = with_data();
    // 1 is missing, 2-3 are of the same message.
    receiver.data("", 2, 0, 0, b"x");
    receiver.data("E", 3, 0, 0, b"x");
    // 5 is missing.
    receiver.data("UB", 4, 0, 0, b"x");
    receiver.data("UE", 6, 0, 0, b"x");
    // 8 is missing.
    receiver.data("UB", 7, 0, 0, b"x");
    // It ends behind; 10 is missing yet.
    receiver.data("UB", 9, 0, 0, b"y");
    assert_eq!(receiver.data("BE", 12, 0, 1, b"next"), []);
    assert_eq!(receiver.skip(9, &[(0, 0)]), [ordered(0, b"next")]);
    assert_eq!(receiver.held(), 65);
    assert_eq!(receiver.data("UE", 10, 0, 0, b"z"), [unordered(0, b"yz")]);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn what_continues_a_skipped_message_is_dropped() {
    let mut receiver = with_data();
    // 1 is missing; 6 is of another message, of which 5 is missing.
    for (letters, tsn) in [("U", 2), ("U", 3), ("UE", 4), ("UE", 6)] {
        receiver.data(letters, tsn, 0, 0, b"x");
    }
    receiver.skip(2, &[]);
    assert_eq!(receiver.held(), 65);
    assert_eq!(receiver.data("UB", 5, 0, 0, b"y"), [unordered(0, b"yx")]);
    // The end of one message and the middle of the next: it is no violation that its beginning was skipped.
    let mut receiver = with_data();
    for (letters, tsn) in [("UE", 2), ("U", 4)] {
        receiver.data(letters, tsn, 0, 0, b"x");
    }
    receiver.skip(1, &[]);
    assert_eq!(receiver.held(), 65);
}

#[test]
fn a_skip_hands_over_what_has_waited() {
    let mut receiver = with_data();
    receiver.data("BE", 2, 0, 1, b"1");
    receiver.data("BE", 4, 0, 3, b"3");
    receiver.data("BE", 5, 0, 4, b"4");
    receiver.data("BE", 7, 0, 6, b"6");
    receiver.data("BE", 8, 1, 1, b"else");
    // 0 and 2 are skipped.
    assert_eq!(
        receiver.skip(3, &[(0, 2)]),
        [ordered(0, b"1"), ordered(0, b"3"), ordered(0, b"4")]
    );
    assert_eq!(receiver.data("BE", 6, 0, 5, b"5"), [ordered(0, b"5"), ordered(0, b"6")]);
    // An old number changes nothing.
    assert_eq!(receiver.skip(9, &[(0, 3), (1, 0)]), [ordered(1, b"else")]);
    assert_eq!(receiver.data("BE", 10, 0, 7, b"7"), [ordered(0, b"7")]);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn a_listed_message_is_dropped_even_where_it_goes_on() {
    let mut receiver = with_data();
    receiver.data("B", 1, 0, 0, b"x");
    receiver.data("", 2, 0, 0, b"x");
    // Another number, another stream: it stays.
    assert_eq!(receiver.skip(1, &[(1, 0), (0, 0xffff)]), []);
    assert_eq!(receiver.held(), 66);
    assert_eq!(receiver.skip(1, &[(0, 0)]), []);
    assert_eq!(receiver.held(), 0);
    assert_eq!(receiver.try_data(data("E", 3, 0, 0), b"x"), Ok(Taken::Late));
    assert_eq!(receiver.data("BE", 4, 0, 1, b"y"), [ordered(0, b"y")]);
    // Where the numbers are about to wrap.
    receiver.skip(4, &[(0, 0x7fff), (0, 0xfffe)]);
    receiver.data("B", 5, 0, 0xffff, b"x");
    assert_eq!(receiver.skip(5, &[(0, 0xffff)]), []);
    assert_eq!(receiver.held(), 0);
    assert_eq!(receiver.data("BE", 7, 0, 0, b"z"), [ordered(0, b"z")]);
}

#[test]
fn skipped_streams_that_do_not_exist_are_ignored() {
    let mut receiver = with_data();
    assert_eq!(receiver.skip(9, &[(100, 5), (0, 0)]), []);
    assert_eq!(receiver.data("BE", 10, 0, 1, b"y"), [ordered(0, b"y")]);
    let config = Config {
        max_receive_streams: 1,
        ..Config::default()
    };
    let mut receiver = Receiver::new(true, &config);
    receiver.i_skip(&[(100, true, 5), (100, false, 5), (0, true, 0), (0, false, 0)]);
    assert_eq!(receiver.i_data("BE", 0, 1, 53, b"y"), [ordered(0, b"y")]);
}

// RFC 8260 §2.3.1

#[test]
fn a_skip_of_identifiers_drops_both_kinds_apart() {
    let mut receiver = with_i_data();
    receiver.i_data("B", 1, 0, 53, b"x");
    receiver.i_data("", 1, 0, 2, b"x");
    receiver.i_data("", 1, 1, 1, b"x");
    receiver.i_data("UB", 1, 0, 53, b"u");
    receiver.i_data("U", 1, 1, 1, b"u");
    receiver.i_data("B", 2, 0, 53, b"s");
    receiver.i_data("BE", 1, 2, 53, b"2");
    receiver.i_data("BE", 1, 3, 53, b"3");
    assert_eq!(receiver.held(), 8 * 65);
    assert_eq!(receiver.i_skip(&[(1, false, 1)]), [ordered(1, b"2"), ordered(1, b"3")]);
    assert_eq!(receiver.held(), 3 * 65);
    assert_eq!(receiver.i_skip(&[(1, true, 0)]), []);
    assert_eq!(receiver.held(), 2 * 65);
    assert_eq!(receiver.try_i_data(i_data("UE", 9, 1, 0, 1), b"u"), Ok(Taken::Late));
    assert_eq!(receiver.try_i_data(i_data("UBE", 9, 1, 0, 53), b"u"), Ok(Taken::Late));
    assert_eq!(receiver.i_data("UE", 1, 1, 2, b"u"), []);
    assert_eq!(receiver.i_data("UB", 1, 1, 53, b"v"), [unordered(1, b"vuu")]);
    assert_eq!(receiver.i_data("E", 2, 0, 1, b"t"), [ordered(2, b"st")]);
    // One that is older changes nothing.
    assert_eq!(receiver.i_skip(&[(1, false, 0), (1, true, u32::MAX)]), []);
    assert_eq!(receiver.i_data("BE", 1, 4, 53, b"4"), [ordered(1, b"4")]);
    assert_eq!(receiver.i_data("UBE", 1, 2, 53, b"w"), [unordered(1, b"w")]);
}

// RFC 6525 §5.2.2, RFC 8260 §2.3.2

#[test]
fn after_a_reset_numbers_begin_anew() {
    let mut receiver = with_data();
    for stream in [0, 1] {
        receiver.data("BE", 1 + u32::from(stream), stream, 0, b"a");
        receiver.data("BE", 5 + u32::from(stream), stream, 2, b"c");
    }
    assert_eq!(receiver.held(), 2 * 65);
    assert_eq!(receiver.reset(0), []);
    assert_eq!(receiver.held(), 65);
    assert_eq!(receiver.data("BE", 9, 0, 0, b"A"), [ordered(0, b"A")]);
    assert_eq!(
        receiver.data("BE", 10, 1, 1, b"b"),
        [ordered(1, b"b"), ordered(1, b"c")]
    );
    receiver.data("B", 11, 1, 3, b"x");
    receiver.data("BE", 14, 1, 9, b"x");
    receiver.reassembly.reset_all(&mut receiver.log);
    assert_eq!(receiver.held(), 0);
    for stream in [0, 1] {
        assert_eq!(
            receiver.data("BE", 20 + u32::from(stream), stream, 0, b"z"),
            [ordered(stream, b"z")]
        );
    }
}

#[test]
fn after_a_reset_identifiers_of_both_kinds_begin_anew() {
    let mut receiver = with_i_data();
    for stream in [0, 1] {
        receiver.i_skip(&[(stream, true, 5), (stream, false, 5)]);
        receiver.i_data("UB", stream, 6, 53, b"u");
        receiver.i_data("U", stream, 7, 1, b"u");
        receiver.i_data("B", stream, 6, 53, b"u");
        receiver.i_data("", stream, 6, 2, b"u");
        receiver.i_data("BE", stream, 7, 53, b"u");
    }
    assert_eq!(receiver.held(), 10 * 65);
    assert_eq!(receiver.reset(0), []);
    assert_eq!(receiver.held(), 5 * 65);
    assert_eq!(receiver.i_data("BE", 0, 0, 53, b"a"), [ordered(0, b"a")]);
    assert_eq!(receiver.i_data("UBE", 0, 0, 53, b"b"), [unordered(0, b"b")]);
    assert_eq!(receiver.try_i_data(i_data("UBE", 9, 1, 0, 53), b"b"), Ok(Taken::Late));
    receiver.reassembly.reset_all(&mut receiver.log);
    assert_eq!(receiver.held(), 0);
    assert_eq!(receiver.i_data("UBE", 1, 0, 53, b"b"), [unordered(1, b"b")]);
}

// Messages in parts

#[test]
fn long_messages_come_in_parts() {
    for interleaving in [false, true] {
        for unordered in [false, true] {
            let mut receiver = in_parts(interleaving, 3);
            let u = if unordered { "U" } else { "" };
            let mut piece = |letters: &str, index: u32, payload: &[u8]| {
                let letters = std::format!("{u}{letters}");
                let given = if interleaving {
                    let last = if index == 0 { 53 } else { index };
                    receiver.i_data(&letters, 1, 0, last, payload)
                } else {
                    receiver.data(&letters, 10 + index, 1, 0, payload)
                };
                (given, receiver.held())
            };
            assert_eq!(piece("B", 0, b"abc"), ([].to_vec(), 67));
            assert_eq!(
                piece("", 1, b"d"),
                ([part(1, unordered, b"abcd", true, false)].to_vec(), 64)
            );
            assert_eq!(
                piece("", 2, b"e"),
                ([part(1, unordered, b"e", false, false)].to_vec(), 64)
            );
            assert_eq!(piece("E", 4, b"g"), ([].to_vec(), 64 + 65));
            assert_eq!(
                piece("", 3, b"f"),
                (
                    [
                        part(1, unordered, b"f", false, false),
                        part(1, unordered, b"g", false, true)
                    ]
                    .to_vec(),
                    0
                )
            );
        }
    }
}

#[test]
fn what_is_complete_when_it_is_long_comes_whole() {
    let mut receiver = in_parts(false, 3);
    assert_eq!(receiver.data("BE", 1, 0, 0, b"abcdef"), [ordered(0, b"abcdef")]);
    receiver.data("B", 2, 0, 1, b"abc");
    assert_eq!(receiver.data("E", 3, 0, 1, b"def"), [ordered(0, b"abcdef")]);
}

#[test]
fn only_the_message_whose_turn_it_is_comes_in_parts() {
    let mut receiver = in_parts(false, 1);
    receiver.data("B", 3, 0, 1, b"ab");
    assert_eq!(receiver.data("", 4, 0, 1, b"cd"), []);
    assert_eq!(receiver.held(), 64 + 4);
    assert_eq!(receiver.data("BE", 2, 0, 0, b"first"), [ordered(0, b"first")]);
    assert_eq!(receiver.data("BE", 8, 0, 2, b"last"), []);
    assert_eq!(
        receiver.data("", 5, 0, 1, b"ef"),
        [part(0, false, b"abcdef", true, false)]
    );
    // One of another kind does not mind.
    assert_eq!(receiver.data("UBE", 7, 0, 0, b"u"), [unordered(0, b"u")]);
    assert_eq!(
        receiver.data("E", 6, 0, 1, b"gh"),
        [part(0, false, b"gh", false, true), ordered(0, b"last")]
    );
    assert_eq!(receiver.held(), 0);
}

#[test]
fn one_unordered_message_of_a_stream_comes_in_parts_at_a_time() {
    let mut receiver = in_parts(true, 1);
    let first = |stream, payload: &[u8]| [part(stream, true, payload, true, false)];
    assert_eq!(receiver.i_data("UB", 0, 0, 53, b"aa"), first(0, b"aa"));
    assert_eq!(receiver.i_data("UB", 0, 1, 53, b"bb"), []);
    assert_eq!(receiver.i_data("UB", 0, 2, 53, b"cc"), []);
    assert_eq!(receiver.i_data("UB", 1, 0, 53, b"dd"), first(1, b"dd"));
    assert_eq!(
        receiver.i_data("B", 0, 0, 53, b"ee"),
        [part(0, false, b"ee", true, false)]
    );
    assert_eq!(receiver.i_data("UE", 0, 1, 1, b"bb"), [unordered(0, b"bbbb")]);
    assert_eq!(receiver.i_data("UE", 0, 0, 1, b"a"), [part(0, true, b"a", false, true)]);
    assert_eq!(receiver.i_data("U", 0, 2, 1, b"c"), first(0, b"ccc"));
}

/// RFC 3758 §3.6: "a notification SHOULD also be generated".
#[test]
fn a_message_in_parts_can_be_cut() {
    // By a skip.
    let mut receiver = in_parts(false, 1);
    receiver.data("B", 1, 0, 0, b"aa");
    receiver.data("UB", 3, 0, 0, b"bb");
    receiver.data("BE", 6, 0, 1, b"next");
    assert_eq!(
        receiver.skip(4, &[(0, 0)]),
        [Given::Cut(0, false), Given::Cut(0, true), ordered(0, b"next")]
    );
    assert_eq!(receiver.data("UB", 7, 0, 0, b"cc"), [part(0, true, b"cc", true, false)]);
    let mut receiver = in_parts(true, 1);
    receiver.i_data("B", 0, 0, 53, b"aa");
    receiver.i_data("UB", 0, 0, 53, b"bb");
    receiver.i_data("B", 1, 0, 53, b"cc");
    assert_eq!(
        receiver.i_skip(&[(0, true, 0), (0, false, 0)]),
        [Given::Cut(0, true), Given::Cut(0, false)]
    );
    // By a reset, which is told once.
    assert_eq!(receiver.reset(1), [Given::Cut(1, false)]);
    receiver.i_data("B", 2, 0, 53, b"aa");
    receiver.i_data("UB", 3, 0, 53, b"aa");
    receiver.reassembly.reset_all(&mut receiver.log);
    assert_eq!(receiver.log.take(), [Given::Cut(2, false), Given::Cut(3, true)]);
    let mut with_data = in_parts(false, 1);
    with_data.data("UB", 1, 0, 0, b"aa");
    assert_eq!(with_data.reset(0), [Given::Cut(0, true)]);
    assert_eq!(receiver.held(), 0);
}

/// A peer that goes on with what it has reset or skipped confuses nobody but itself.
#[test]
fn what_was_cut_is_not_continued() {
    let mut receiver = in_parts(false, 1);
    receiver.data("B", 1, 0, 0, b"aa");
    assert_eq!(receiver.reset(0), [Given::Cut(0, false)]);
    assert_eq!(receiver.data("", 2, 0, 0, b"bb"), []);
    assert_eq!(receiver.data("E", 3, 0, 0, b"bb"), []);
    assert_eq!(receiver.held(), 0);
    assert_eq!(receiver.data("BE", 4, 0, 0, b"new"), [ordered(0, b"new")]);
    let mut receiver = in_parts(false, 1);
    receiver.data("B", 5, 0, 0, b"aa");
    assert_eq!(receiver.skip(2, &[(0, 0)]), [Given::Cut(0, false)]);
    assert_eq!(receiver.try_data(data("", 6, 0, 0), b"bb"), Ok(Taken::Late));
}

// Budgets

#[test]
fn messages_have_a_greatest_length() {
    const LONG: Result<Taken, CloseReason> = Err(CloseReason::TooMuch("the length of a message"));
    let config = Config {
        max_receive_message: 4,
        ..Config::default()
    };
    let mut receiver = Receiver::new(false, &config);
    assert_eq!(receiver.data("BE", 1, 0, 0, b"abcd"), [ordered(0, b"abcd")]);
    assert_eq!(receiver.try_data(data("BE", 2, 0, 1), b"abcde"), LONG);
    let mut receiver = Receiver::new(false, &config);
    receiver.data("B", 1, 0, 0, b"ab");
    assert_eq!(receiver.data("E", 2, 0, 0, b"cd"), [ordered(0, b"abcd")]);
    receiver.data("B", 3, 0, 1, b"ab");
    receiver.data("", 4, 0, 1, b"cd");
    assert_eq!(receiver.try_data(data("E", 5, 0, 1), b"e"), LONG);
    // In parts there is none.
    let config = Config {
        receive_parts: Some(2),
        ..config
    };
    let mut receiver = Receiver::new(false, &config);
    assert_eq!(receiver.data("BE", 1, 0, 0, b"abcde"), [ordered(0, b"abcde")]);
    receiver.data("B", 2, 0, 1, b"abcde");
    assert_eq!(receiver.data("E", 3, 0, 1, b"fg"), [part(0, false, b"fg", false, true)]);
}

/// RFC 9260 §6.2: what waits is not advertised.
#[test]
fn the_window_closes_and_opens() {
    let config = Config {
        receive_window: 4096,
        base_packet: 1160,
        ..Config::default()
    };
    let mut receiver = Receiver::new(false, &config);
    assert_eq!(receiver.reassembly.free(), 4096);
    assert!(receiver.reassembly.has_room(4096 - 64) && !receiver.reassembly.has_room(4096 - 63));
    assert!(!receiver.reassembly.has_room(usize::MAX));
    receiver.data("E", 4, 0, 0, &[0; 1000]);
    assert_eq!(receiver.reassembly.free(), 4096 - 1064);
    receiver.data("", 3, 0, 0, &[0; 1808]);
    assert_eq!(receiver.reassembly.free(), 1160);
    receiver.data("BE", 6, 0, 1, b"");
    // Silly window syndrome.
    assert_eq!(receiver.reassembly.free(), 0);
    assert!(receiver.reassembly.has_room(1160 - 128) && !receiver.reassembly.has_room(1160 - 127));
    receiver.data("", 2, 0, 0, &[0; 1200]);
    assert_eq!(receiver.reassembly.free(), 0);
    assert_eq!(receiver.data("B", 1, 0, 0, b"").len(), 2);
    assert_eq!(receiver.reassembly.free(), 4096);
}

/// What comes next in sequence is taken without room, but not for ever.
#[test]
fn messages_that_lack_their_ends_have_a_budget() {
    let config = Config {
        receive_window: 1 << 16,
        max_receive_message: 1 << 15,
        ..Config::default()
    };
    const MUCH: CloseReason = CloseReason::TooMuch("messages that are not whole");
    // Messages in order that go on and on.
    let mut receiver = Receiver::new(true, &config);
    let mut attack = (0_u32..).map(|tsn| {
        let (stream, fsn) = ((tsn % 50) as u16, tsn / 50);
        let header = if fsn == 0 {
            i_data("B", tsn, stream, 0, 53)
        } else {
            i_data("", tsn, stream, 0, fsn)
        };
        receiver.try_i_data(header, &[0; 100])
    });
    let end = attack.position(|taken| taken != Ok(Taken::Yes)).unwrap() as u32;
    assert_eq!(attack.next(), Some(Err(MUCH)));
    assert_eq!(end, ((2 << 16) - 50 * 64) / 100);
    // Beginnings alone, ends alone, messages whose turn never comes: tiny ones.
    for interleaving in [false, true] {
        for letters in ["UB", "B", "UE", "E", "BE"] {
            let mut receiver = Receiver::new(interleaving, &config);
            let mut attack = (1_u32..).map(|number| {
                if interleaving {
                    receiver.try_i_data(i_data(letters, number, 0, number, 53), b"x")
                } else {
                    receiver.try_data(data(letters, 2 * number, 0, number as u16), b"x")
                }
            });
            let end = attack.position(|taken| taken != Ok(Taken::Yes)).unwrap();
            assert_eq!(attack.next(), Some(Err(MUCH)));
            assert_eq!(end, (2 << 16) / 65, "{letters}");
        }
    }
}

/// Even where the window is less.
#[test]
fn a_message_may_have_its_greatest_length() {
    let config = Config {
        receive_window: 4096,
        max_receive_message: 100_000,
        ..Config::default()
    };
    let mut receiver = Receiver::new(false, &config);
    receiver.data("B", 1, 0, 0, &[1; 1000]);
    for tsn in 2..100 {
        assert_eq!(receiver.data("", tsn, 0, 0, &[1; 1000]), []);
    }
    assert_eq!(receiver.data("E", 100, 0, 0, &[1; 1000]), [ordered(0, &[1; 100_000])]);
}

#[test]
fn streams_have_a_budget() {
    let config = Config {
        max_receive_streams: 2,
        ..Config::default()
    };
    let mut receiver = Receiver::new(false, &config);
    receiver.data("BE", 1, 10, 0, b"a");
    receiver.data("BE", 2, 20, 0, b"a");
    receiver.data("BE", 3, 10, 1, b"a");
    // Nothing is remembered of these.
    receiver.data("UBE", 4, 30, 0, b"a");
    assert_eq!(
        receiver.try_data(data("BE", 5, 30, 0), b"a"),
        Err(CloseReason::TooMuch("streams with messages"))
    );
    // After a reset there is nothing to be remembered.
    receiver.reset(10);
    assert_eq!(receiver.data("BE", 6, 30, 0, b"a").len(), 1);
}

#[test]
fn the_buffers_of_messages_are_used_again() {
    let mut receiver = with_data();
    let mut tsn = 0;
    let mut message = |receiver: &mut Receiver, ssn: u16, len: usize| {
        receiver.data("B", tsn, 0, ssn, &std::vec![7; len]);
        assert_eq!(receiver.data("E", tsn + 1, 0, ssn, b"8").len(), 1);
        tsn += 2;
    };
    assert_eq!(receiver.reassembly.pooled(), 0);
    message(&mut receiver, 0, 10);
    assert_eq!(receiver.reassembly.pooled(), 0, "tiny ones are not worth it");
    message(&mut receiver, 1, 20_000);
    let pooled = receiver.reassembly.pooled();
    assert!((20_000..=50_000).contains(&pooled));
    message(&mut receiver, 2, 10_000);
    assert_eq!(receiver.reassembly.pooled(), pooled, "it is the same one");
    message(&mut receiver, 3, 300_000);
    assert_eq!(receiver.reassembly.pooled(), 0, "long ones are given back");
    message(&mut receiver, 4, 20_000);
    receiver.reassembly.trim();
    assert_eq!(receiver.reassembly.pooled(), 0);
    // Of messages that had to wait, that were skipped, and that came in parts.
    receiver.data("B", 101, 0, 6, &[7; 10_000]);
    receiver.data("E", 102, 0, 6, b"8");
    receiver.data("BE", 100, 0, 5, b"8");
    assert!(receiver.reassembly.pooled() >= 10_000);
    receiver.data("UB", 103, 0, 0, &[7; 10_000]);
    assert_eq!(receiver.reassembly.pooled(), 0);
    receiver.skip(104, &[]);
    assert!(receiver.reassembly.pooled() >= 10_000);
    let mut receiver = in_parts(false, 100);
    receiver.data("B", 0, 0, 0, &[7; 10_000]);
    assert!(receiver.reassembly.pooled() >= 10_000);
    // And not more than four.
    for end in [false, true] {
        for message in 0..10 {
            let tsn = 10 + 2 * message + u32::from(end);
            receiver.data(if end { "UE" } else { "UB" }, tsn, message as u16, 0, &[7; 10_000]);
        }
    }
    assert!((40_000..=80_000).contains(&receiver.reassembly.pooled()));
}

/// A large buffer does not stay with a tiny message.
#[test]
fn waiting_messages_keep_no_large_buffers() {
    let mut receiver = with_data();
    for round in 0_u16..100 {
        let tsn = u32::from(round) * 10;
        receiver.data("UB", tsn, 0, 0, &[7; 100_000]);
        receiver.data("UE", tsn + 1, 0, 0, b"8");
        assert!(receiver.reassembly.pooled() >= 100_000);
        // It takes the buffer, and waits for ever.
        receiver.data("B", tsn + 2, 0, 1 + round, b"8");
        receiver.data("E", tsn + 3, 0, 1 + round, b"8");
    }
    assert!(receiver.reassembly.memory() < 10_000);
    // The same with messages that lack their ends.
    for round in 0_u16..100 {
        let tsn = 2000 + u32::from(round) * 10;
        receiver.data("UB", tsn, 0, 0, &[7; 100_000]);
        receiver.data("UE", tsn + 1, 0, 0, b"8");
        receiver.data("UB", tsn + 2, 0, 0, b"8");
    }
    assert!(receiver.reassembly.memory() < 4 * 300_000);
}
