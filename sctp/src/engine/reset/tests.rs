use super::*;
use crate::chunk::{AddStreams, IncomingSsnReset};
use crate::packet::{CommonHeader, Packet};
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec;

const HEADER: CommonHeader = CommonHeader {
    source_port: 5000,
    destination_port: 5000,
    verification_tag: 1,
};
const RTO: Duration = Duration::from_millis(200);
/// Our first TSN, and the peer's, so that numbers wrap.
const OURS: u32 = 0xffff_ffff;
const PEERS: u32 = 0xffff_fffe;
/// The cumulative TSN that was received.
const CUMULATIVE: u32 = 1000;

struct Fixture {
    reset: Reset,
    now: Instant,
    counters: Counters,
    /// The last TSN that we assigned.
    assigned: u32,
    cumulative: u32,
    /// Streams that have something left to send.
    busy: BTreeSet<u16>,
    events: Vec<String>,
}

impl Fixture {
    fn with(config: &Config) -> Self {
        let mut reset = Reset::new(config);
        reset.start(OURS, PEERS);
        Self {
            reset,
            now: Instant::now(),
            counters: Counters::default(),
            assigned: 77,
            cumulative: CUMULATIVE,
            busy: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    fn new() -> Self {
        Self::with(&Config::default())
    }

    /// What is written into a packet of this length, chunk by chunk.
    fn push_into(&mut self, len: usize) -> Vec<String> {
        let mut out = vec![0; len];
        let mut w = PacketWriter::new(&mut out, len, &HEADER).unwrap();
        let busy = &self.busy;
        let wanted = self.reset.wants_push();
        let pushed = self
            .reset
            .push(self.now, &mut w, self.assigned, RTO, |id| !busy.contains(&id));
        assert!(wanted || !pushed, "wants_push() tells of all that push() writes");
        let packet = w.finish(crate::Checksum::Zero);
        let chunks = Packet::parse(packet).unwrap().chunks();
        let texts = chunks.map(|raw| match Chunk::of(raw.unwrap()).unwrap() {
            Chunk::ReConfig(chunk) => texts(&chunk),
            other => panic!("{other}"),
        });
        let texts: Vec<String> = texts.collect();
        assert_eq!(pushed, !texts.is_empty());
        texts
    }

    fn push(&mut self) -> Vec<String> {
        self.push_into(1160)
    }

    fn handle(&mut self, parameters: &[Parameter<'_>]) -> Result<(), &'static str> {
        let chunk = ReConfig {
            parameters: Parameters::new(parameters),
        };
        self.handle_chunk(&chunk)
    }

    fn handle_chunk(&mut self, chunk: &ReConfig<'_>) -> Result<(), &'static str> {
        let events = &mut self.events;
        let mut note = |event: ResetEvent<'_>| {
            events.push(match event {
                ResetEvent::PeerReset(Streams::All) => "peer reset all".into(),
                ResetEvent::PeerReset(Streams::Listed(list)) => std::format!("peer reset {list}"),
                ResetEvent::Wanted(Streams::All) => "wanted all".into(),
                ResetEvent::Wanted(Streams::Listed(list)) => std::format!("wanted {list}"),
                ResetEvent::Done(streams) => std::format!("done {streams:?}"),
                ResetEvent::Denied(streams) => std::format!("denied {streams:?}"),
            });
        };
        self.reset
            .handle(self.now, chunk, self.cumulative, &mut self.counters, &mut note)
    }

    fn outgoing(&mut self, number: u32, last_tsn: u32, streams: &[u16]) {
        self.handle(&[outgoing(number, last_tsn, streams)]).unwrap();
    }

    fn respond(&mut self, number: u32, result: ReconfigResult) {
        self.handle(&[response(number, result)]).unwrap();
    }

    fn events(&mut self) -> Vec<String> {
        core::mem::take(&mut self.events)
    }

    /// Lets the timer run out; says how long that took and whether it counts as an error.
    fn run_out(&mut self) -> (Duration, bool) {
        let due = self.reset.poll_timeout().unwrap();
        assert!(!self.reset.handle_timeout(due - Duration::from_millis(1)), "too early");
        assert_eq!(self.reset.poll_timeout(), Some(due));
        let waited = due - self.now;
        self.now = due;
        let counts = self.reset.handle_timeout(due);
        assert!(!self.reset.handle_timeout(due), "once");
        (waited, counts)
    }
}

fn texts(chunk: &ReConfig<'_>) -> String {
    let parameters = chunk.parameters.iter().map(|parameter| match parameter.unwrap() {
        Parameter::OutgoingSsnReset(request) => request.to_string(),
        Parameter::ReconfigResponse(response) => response.to_string(),
        other => panic!("{other}"),
    });
    parameters.collect::<Vec<_>>().join(" + ")
}

fn outgoing(number: u32, last_tsn: u32, streams: &[u16]) -> Parameter<'_> {
    Parameter::OutgoingSsnReset(OutgoingSsnReset {
        request: number,
        response: 0,
        last_tsn,
        streams: List::new(streams),
    })
}

fn incoming(number: u32, streams: &[u16]) -> Parameter<'_> {
    Parameter::IncomingSsnReset(IncomingSsnReset {
        request: number,
        streams: List::new(streams),
    })
}

fn response(number: u32, result: ReconfigResult) -> Parameter<'static> {
    Parameter::ReconfigResponse(ReconfigResponse {
        response: number,
        result,
        next_tsns: None,
    })
}

fn answer(number: u32, result: ReconfigResult) -> Vec<String> {
    vec![std::format!("response={number} {result}")]
}

#[test]
fn a_reset_is_requested_and_done() {
    let mut f = Fixture::new();
    assert!(!f.reset.wants_push());
    f.reset.want(5);
    f.reset.want(3);
    f.reset.want(5);
    assert!(f.reset.wants_push());
    assert_eq!(f.reset.poll_timeout(), None);
    // §4.1: numbers begin with the initial TSNs; the response is what was expected next, minus 1.
    assert_eq!(f.push(), ["request=4294967295 response=4294967293 last=77 [3 5]"]);
    assert_eq!(f.reset.poll_timeout(), Some(f.now + RTO));
    assert!(f.push().is_empty() && !f.reset.wants_push());

    f.respond(OURS, ReconfigResult::PERFORMED);
    assert_eq!(f.events(), ["done [3, 5]"]);
    assert_eq!(f.reset.poll_timeout(), None);
    assert!(f.push().is_empty() && !f.reset.wants_push());
    // The same again is an answer to nothing.
    f.respond(OURS, ReconfigResult::PERFORMED);
    assert!(f.events().is_empty());

    f.reset.want(5);
    assert_eq!(f.push(), ["request=0 response=4294967293 last=77 [5]"]);
    // Already at 0, says the peer.
    f.respond(0, ReconfigResult::NOTHING_TO_DO);
    assert_eq!(f.events(), ["done [5]"]);
    assert_eq!(f.counters, Counters::default());
}

#[test]
fn nothing_happens_before_the_association_is_established() {
    let mut f = Fixture::new();
    f.reset = Reset::new(&Config::default());
    f.reset.want(1);
    assert!(!f.reset.wants_push() && f.push().is_empty());
    assert_eq!(f.handle(&[outgoing(0, CUMULATIVE, &[1])]), Ok(()));
    assert!(f.events().is_empty() && f.push().is_empty());
    f.reset.start(10, 20);
    assert_eq!(f.push(), ["request=10 response=19 last=77 [1]"]);
}

#[test]
fn one_request_is_under_way_at_a_time() {
    // §5.1.1.
    let mut f = Fixture::new();
    f.reset.want(1);
    assert_eq!(f.push().len(), 1);
    f.reset.want(2);
    assert!(f.push().is_empty());
    assert!(!f.reset.wants_push());
    f.respond(OURS, ReconfigResult::PERFORMED);
    assert_eq!(f.push(), ["request=0 response=4294967293 last=77 [2]"]);
}

#[test]
fn streams_wait_until_they_have_nothing_to_send() {
    let mut f = Fixture::new();
    f.busy = (0..100).collect();
    (0..100).for_each(|id| f.reset.want(id));
    f.reset.want(65534);
    // Each packet looks at 16 that are not ready, in turn.
    for _ in 0..6 {
        assert!(f.push().is_empty());
    }
    f.busy.remove(&97);
    assert_eq!(f.push(), ["request=4294967295 response=4294967293 last=77 [97 65534]"]);
    f.respond(OURS, ReconfigResult::PERFORMED);
    f.busy.clear();
    let all: Vec<u16> = (0..100).filter(|id| *id != 97).collect();
    let text = std::format!("request=0 response=4294967293 last=77 {}", List::new(&all));
    assert_eq!(f.push(), [text]);
}

#[test]
fn no_packet_costs_more_than_a_few_looks_at_busy_streams() {
    let mut f = Fixture::new();
    (0..=u16::MAX).for_each(|id| f.reset.want(id));
    let mut out = [0; 1160];
    let mut seen = BTreeSet::new();
    for _ in 0..4096 {
        let mut looks = 0;
        let mut w = PacketWriter::new(&mut out, 1160, &HEADER).unwrap();
        f.reset.push(f.now, &mut w, 0, RTO, |id| {
            looks += 1;
            seen.insert(id);
            false
        });
        assert_eq!(looks, 16);
    }
    assert_eq!(seen.len(), 65536, "and all have their turn");
    // Each of the few is looked at once.
    let mut f = Fixture::new();
    f.reset.want(9);
    let mut looks = 0;
    let mut w = PacketWriter::new(&mut out, 1160, &HEADER).unwrap();
    f.reset.push(f.now, &mut w, 0, RTO, |_| {
        looks += 1;
        false
    });
    assert_eq!(looks, 1);
}

#[test]
fn requests_fit_into_the_smallest_packet_when_repeated() {
    let mut f = Fixture::new();
    (0..1000).for_each(|id| f.reset.want(id));
    let first = f.push_into(9000);
    let ids: Vec<u16> = (0..200).collect();
    assert_eq!(
        first,
        [std::format!(
            "request=4294967295 response=4294967293 last=77 {}",
            List::new(&ids)
        )]
    );
    f.run_out();
    assert_eq!(f.push_into(512), first);
}

#[test]
fn as_many_streams_as_there_is_room_for() {
    let mut f = Fixture::new();
    (0..10).for_each(|id| f.reset.want(id));
    for len in 12..34 {
        assert!(f.push_into(len).is_empty(), "{len}");
    }
    assert_eq!(
        f.push_into(38),
        ["request=4294967295 response=4294967293 last=77 [0 1]"]
    );
    f.run_out();
    // What does not fit now waits for the next packet.
    assert!(f.push_into(32).is_empty());
    assert!(f.reset.wants_push());
    assert_eq!(
        f.push_into(36),
        ["request=4294967295 response=4294967293 last=77 [0 1]"]
    );
}

#[test]
fn requests_are_repeated_with_backoff() {
    // §5.1.1.
    let mut f = Fixture::with(&Config {
        max_rto: Duration::from_secs(1),
        ..Config::default()
    });
    f.reset.want(1);
    let first = f.push();
    for expected in [200, 400, 800, 1000, 1000] {
        assert_eq!(f.run_out(), (Duration::from_millis(expected), true));
        assert_eq!(f.reset.poll_timeout(), None);
        f.assigned += 1;
        assert_eq!(f.push(), first, "the same chunk");
    }
    f.respond(OURS, ReconfigResult::PERFORMED);
    f.reset.want(2);
    f.push();
    assert_eq!(f.run_out().0, RTO, "the next one begins anew");
}

#[test]
fn a_request_in_progress_is_repeated_without_error() {
    // §5.2.7, H2.
    let mut f = Fixture::new();
    f.reset.want(1);
    let first = f.push();
    f.run_out();
    f.push();
    f.now += Duration::from_millis(150);
    f.respond(OURS, ReconfigResult::IN_PROGRESS);
    assert!(f.events().is_empty());
    assert_eq!(f.run_out(), (RTO, false));
    assert_eq!(f.push(), first);
    // Without any answer it is one again.
    assert_eq!(f.run_out(), (RTO, true));
    assert_eq!(f.push(), first);
    // The second "In progress" is followed by a new number, with the last TSN of now (§5.1.2, A2, A3).
    f.respond(OURS, ReconfigResult::IN_PROGRESS);
    assert_eq!(f.run_out(), (RTO, false));
    f.assigned = 80;
    let second = f.push();
    assert_eq!(second, ["request=0 response=4294967293 last=80 [1]"]);
    f.respond(OURS, ReconfigResult::PERFORMED);
    assert!(f.events().is_empty(), "that number has been given up");
    f.respond(0, ReconfigResult::IN_PROGRESS);
    assert_eq!(f.run_out(), (RTO, false));
    assert_eq!(f.push(), second, "the count begins anew");
    f.respond(0, ReconfigResult::PERFORMED);
    assert_eq!(f.events(), ["done [1]"]);
}

#[test]
fn the_old_number_counts_until_the_new_one_is_sent() {
    let mut f = Fixture::new();
    f.reset.want(1);
    f.push();
    f.respond(OURS, ReconfigResult::IN_PROGRESS);
    f.run_out();
    f.push();
    f.respond(OURS, ReconfigResult::IN_PROGRESS);
    f.run_out();
    f.respond(OURS, ReconfigResult::PERFORMED);
    assert_eq!(f.events(), ["done [1]"]);
    assert!(f.push().is_empty());
}

#[test]
fn refusals_are_told() {
    let refusals = [
        ReconfigResult::DENIED,
        ReconfigResult::WRONG_SSN,
        ReconfigResult::REQUEST_IN_PROGRESS,
        ReconfigResult::BAD_SEQUENCE_NUMBER,
        ReconfigResult(99),
    ];
    for result in refusals {
        let mut f = Fixture::new();
        f.reset.want(1);
        f.push();
        f.respond(OURS, result);
        assert_eq!(f.events(), ["denied [1]"]);
        assert_eq!(f.counters.sctp_denied_resets, 1);
        assert!(f.push().is_empty());
        assert_eq!(f.reset.poll_timeout(), None);
    }
}

#[test]
fn the_peer_resets_its_streams() {
    // §5.2.2.
    let mut f = Fixture::new();
    f.outgoing(PEERS, CUMULATIVE, &[7, 9]);
    assert_eq!(f.events(), ["peer reset [7 9]"]);
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::PERFORMED));
    assert!(f.push().is_empty());
    assert_eq!(f.reset.poll_timeout(), None, "§5.1.1: answers have no timer");
    // E3: all of them.
    f.outgoing(PEERS + 1, CUMULATIVE.wrapping_sub(5), &[]);
    assert_eq!(f.events(), ["peer reset all"]);
    assert_eq!(f.push(), answer(PEERS + 1, ReconfigResult::PERFORMED));
    // §4.1: the next request of ours tells up to where we have seen the peer's.
    f.reset.want(0);
    assert_eq!(f.push(), ["request=4294967295 response=4294967295 last=77 [0]"]);
}

#[test]
fn repeated_requests_get_the_same_answer_and_do_nothing() {
    // §5.2.1.
    let mut f = Fixture::new();
    f.outgoing(PEERS, CUMULATIVE, &[7]);
    f.outgoing(PEERS + 1, CUMULATIVE, &[65535]);
    f.events();
    f.push();
    for _ in 0..3 {
        f.outgoing(PEERS, CUMULATIVE, &[7]);
        assert_eq!(f.push(), answer(PEERS, ReconfigResult::PERFORMED));
        f.outgoing(PEERS + 1, CUMULATIVE, &[1]);
        assert_eq!(f.push(), answer(PEERS + 1, ReconfigResult::WRONG_SSN));
    }
    assert!(f.events().is_empty());
    f.outgoing(PEERS.wrapping_add(2), CUMULATIVE, &[7]);
    assert_eq!(f.push(), answer(0, ReconfigResult::PERFORMED));
    assert_eq!(f.events(), ["peer reset [7]"]);
    // Only two are kept.
    f.outgoing(PEERS, CUMULATIVE, &[7]);
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::BAD_SEQUENCE_NUMBER));
    assert!(f.events().is_empty());
}

#[test]
fn numbers_that_are_not_expected_do_nothing() {
    for number in [PEERS - 1, PEERS - 2, PEERS ^ 0x8000_0000] {
        let mut f = Fixture::new();
        f.outgoing(number, CUMULATIVE, &[7]);
        assert_eq!(f.push(), answer(number, ReconfigResult::BAD_SEQUENCE_NUMBER));
        assert!(f.events().is_empty());
        assert_eq!(f.counters.sctp_refused_reconfigs, 1);
        f.outgoing(PEERS, CUMULATIVE, &[7]);
        assert_eq!(f.events(), ["peer reset [7]"], "the expected number is the same");
    }
}

#[test]
fn numbers_that_the_peer_skips_are_given_up() {
    for skipped in [1_u32, 2, 3, 1000] {
        let mut f = Fixture::new();
        f.outgoing(PEERS, CUMULATIVE, &[5]);
        f.push();
        f.events();
        let next = PEERS.wrapping_add(1 + skipped);
        for _ in 0..2 {
            f.outgoing(next, CUMULATIVE, &[7]);
            assert_eq!(f.push(), answer(next, ReconfigResult::PERFORMED));
        }
        assert_eq!(f.events(), ["peer reset [7]"], "a repeated one does nothing");
        // A late copy of one before does nothing, whether it was skipped or not.
        for late in [PEERS, next.wrapping_sub(1)] {
            f.outgoing(late, CUMULATIVE, &[7]);
            assert_eq!(f.push(), answer(late, ReconfigResult::BAD_SEQUENCE_NUMBER));
        }
        assert!(f.events().is_empty());
        let next = next.wrapping_add(1);
        f.handle(&[incoming(next, &[3])]).unwrap();
        assert_eq!(f.events(), ["wanted [3]"], "they go up by one again");
        // So with a request of another kind.
        let next = next.wrapping_add(1 + skipped);
        f.handle(&[incoming(next, &[4])]).unwrap();
        assert_eq!(f.events(), ["wanted [4]"]);
    }
}

#[test]
fn a_reset_waits_for_what_was_sent_before() {
    // §5.2.2, E2: examined again whenever it is repeated.
    let mut f = Fixture::new();
    for _ in 0..3 {
        f.outgoing(PEERS, CUMULATIVE + 1, &[7]);
        assert_eq!(f.push(), answer(PEERS, ReconfigResult::IN_PROGRESS));
        assert!(f.events().is_empty());
    }
    f.cumulative += 1;
    f.outgoing(PEERS, CUMULATIVE + 1, &[7]);
    assert_eq!(f.events(), ["peer reset [7]"]);
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::PERFORMED));
    f.outgoing(PEERS, CUMULATIVE + 1, &[7]);
    assert!(f.events().is_empty());
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::PERFORMED));
    assert_eq!(f.counters, Counters::default());
}

#[test]
fn what_is_in_progress_may_come_again_with_a_new_number() {
    let mut f = Fixture::new();
    f.outgoing(PEERS, CUMULATIVE + 1, &[7]);
    f.outgoing(PEERS, CUMULATIVE + 1, &[7]);
    f.push();
    f.cumulative += 1;
    f.outgoing(PEERS + 1, CUMULATIVE + 1, &[7]);
    assert_eq!(f.events(), ["peer reset [7]"]);
    assert_eq!(f.push(), answer(PEERS + 1, ReconfigResult::PERFORMED));
    // A late copy of the first one does not reset the stream once more.
    f.outgoing(PEERS, CUMULATIVE + 1, &[7]);
    assert!(f.events().is_empty());
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::IN_PROGRESS));
}

#[test]
fn streams_that_do_not_exist_are_refused_together() {
    let mut f = Fixture::with(&Config {
        inbound_streams: 10,
        outbound_streams: 20,
        ..Config::default()
    });
    f.outgoing(PEERS, CUMULATIVE, &[9, 10]);
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::WRONG_SSN));
    f.handle(&[incoming(PEERS + 1, &[19, 20])]).unwrap();
    assert_eq!(f.push(), answer(PEERS + 1, ReconfigResult::WRONG_SSN));
    assert!(f.events().is_empty());
    assert_eq!(f.counters.sctp_refused_reconfigs, 2);
    f.outgoing(0, CUMULATIVE, &[9]);
    f.handle(&[incoming(1, &[19])]).unwrap();
    assert_eq!(f.events(), ["peer reset [9]", "wanted [19]"]);
}

#[test]
fn the_peer_asks_for_resets() {
    // §5.2.3.
    let mut f = Fixture::new();
    f.handle(&[incoming(PEERS, &[1, 2])]).unwrap();
    assert_eq!(f.events(), ["wanted [1 2]"]);
    f.reset.want(1);
    f.reset.want(2);
    // §5.1.2, A4: the request bears the number of the one that it answers.
    let pushed = f.push();
    assert_eq!(
        pushed,
        [
            "response=4294967294 In progress",
            "request=4294967295 response=4294967294 last=77 [1 2]"
        ]
    );
    f.handle(&[incoming(PEERS, &[1, 2])]).unwrap();
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::IN_PROGRESS));
    f.respond(OURS, ReconfigResult::PERFORMED);
    assert_eq!(f.events(), ["done [1, 2]"]);
    f.handle(&[incoming(PEERS, &[1, 2])]).unwrap();
    assert!(f.events().is_empty());
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::NOTHING_TO_DO));
}

#[test]
fn a_request_for_resets_is_in_progress_until_all_are_done() {
    let mut f = Fixture::new();
    f.busy = [2, 3].into();
    f.handle(&[incoming(PEERS, &[])]).unwrap();
    assert_eq!(f.events(), ["wanted all"]);
    f.reset.want(2);
    f.handle(&[incoming(PEERS, &[])]).unwrap();
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::IN_PROGRESS), "wanted");
    f.busy.clear();
    f.handle(&[incoming(PEERS, &[])]).unwrap();
    assert_eq!(f.push().len(), 2);
    f.handle(&[incoming(PEERS, &[])]).unwrap();
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::IN_PROGRESS), "under way");
    f.respond(OURS, ReconfigResult::PERFORMED);
    f.handle(&[incoming(PEERS, &[])]).unwrap();
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::NOTHING_TO_DO));

    // One that is wanted and not under way.
    f.busy.insert(8);
    f.handle(&[incoming(PEERS + 1, &[8])]).unwrap();
    f.reset.want(8);
    f.handle(&[incoming(PEERS + 1, &[8])]).unwrap();
    assert_eq!(f.push(), answer(PEERS + 1, ReconfigResult::IN_PROGRESS));
}

#[test]
fn what_is_asked_for_may_be_under_way_already() {
    // §5.2.3: the collision.
    let mut f = Fixture::new();
    f.reset.want(1);
    f.reset.want(2);
    f.push();
    f.handle(&[incoming(PEERS, &[2])]).unwrap();
    assert!(f.events().is_empty());
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::NOTHING_TO_DO));
    // A partial overlap is a request as any other.
    f.handle(&[incoming(PEERS + 1, &[2, 3])]).unwrap();
    assert_eq!(f.events(), ["wanted [2 3]"]);
    assert_eq!(f.push(), answer(PEERS + 1, ReconfigResult::IN_PROGRESS));
    f.handle(&[incoming(0, &[])]).unwrap();
    assert_eq!(f.events(), ["wanted all"]);
}

#[test]
fn a_late_reset_with_a_request_beside_it() {
    // §3.1, 3: both in one chunk, in both orders, repeated together.
    for swap in [false, true] {
        let mut f = Fixture::new();
        let (a, b) = if swap { (PEERS + 1, PEERS) } else { (PEERS, PEERS + 1) };
        let mut chunk = [outgoing(a, CUMULATIVE + 1, &[4]), incoming(b, &[5])];
        if swap {
            chunk.swap(0, 1);
        }
        f.handle(&chunk).unwrap();
        f.reset.want(5);
        assert_eq!(f.events(), ["wanted [5]"]);
        assert_eq!(
            f.push(),
            [
                "response=4294967294 In progress + response=4294967295 In progress",
                "request=4294967295 response=4294967295 last=77 [5]"
            ]
        );
        f.cumulative += 1;
        f.handle(&chunk).unwrap();
        assert_eq!(f.events(), ["peer reset [4]"]);
        f.respond(OURS, ReconfigResult::PERFORMED);
        assert_eq!(f.events(), ["done [5]"]);
        f.handle(&chunk).unwrap();
        assert!(f.events().is_empty());
        let (first, second) = ("Success - Performed", "Success - Nothing to do");
        let (first, second) = if swap { (second, first) } else { (first, second) };
        assert_eq!(
            f.push(),
            [std::format!(
                "response=4294967294 {first} + response=4294967295 {second}"
            )]
        );
    }
}

#[test]
fn other_requests_are_denied() {
    // §5.2.1, §5.2.5, §5.2.6.
    let mut f = Fixture::new();
    let add = |request| AddStreams { request, streams: 1 };
    f.handle(&[Parameter::SsnTsnReset(PEERS)]).unwrap();
    // §5.1.7, D3 and D4, as they are when the answer is written: that of ours behind 77, and that of the peer's.
    let next = "response=4294967294 Denied sender=78 receiver=1001";
    assert_eq!(f.push(), [next]);
    f.handle(&[Parameter::SsnTsnReset(PEERS)]).unwrap();
    assert_eq!(f.push(), [next]);
    f.handle(&[
        Parameter::AddOutgoingStreams(add(PEERS + 1)),
        Parameter::AddIncomingStreams(add(0)),
    ])
    .unwrap();
    assert_eq!(f.push(), ["response=4294967295 Denied + response=0 Denied"]);
    f.handle(&[Parameter::AddIncomingStreams(add(0))]).unwrap();
    assert_eq!(f.push(), answer(0, ReconfigResult::DENIED));
    assert_eq!(f.counters.sctp_refused_reconfigs, 5);
}

#[test]
fn what_may_stand_together() {
    // §3.1.
    let all = [
        outgoing(1, 1, &[]),
        incoming(1, &[]),
        Parameter::SsnTsnReset(1),
        Parameter::AddOutgoingStreams(AddStreams { request: 1, streams: 1 }),
        Parameter::AddIncomingStreams(AddStreams { request: 1, streams: 1 }),
        response(1, ReconfigResult::PERFORMED),
        Parameter::EcnCapable,
    ];
    let mut allowed = vec![];
    for (i, first) in all.iter().enumerate() {
        assert_eq!(may_stand_together(first, None), i != 6);
        for (j, second) in all.iter().enumerate() {
            if may_stand_together(first, Some(second)) {
                allowed.push((i, j));
            }
        }
    }
    assert_eq!(allowed, [(0, 1), (0, 5), (1, 0), (3, 4), (4, 3), (5, 0), (5, 5)]);

    let mut f = Fixture::new();
    f.handle(&[outgoing(PEERS, CUMULATIVE, &[1]), Parameter::SsnTsnReset(PEERS + 1)])
        .unwrap_err();
    // The second parameter has half a stream number.
    let bytes = [
        0, 16, 0, 12, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, //
        0, 13, 0, 17, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 0,
    ];
    f.reset.want(1);
    f.push();
    let parameters = Parameters::received(&bytes);
    f.handle_chunk(&ReConfig { parameters }).unwrap_err();
    assert!(f.events().is_empty() && f.push().is_empty(), "nothing was done");
}

#[test]
fn a_response_and_a_request_in_one_chunk() {
    // §3.1, 9: how a peer closes in turn.
    let mut f = Fixture::new();
    f.reset.want(1);
    f.push();
    f.handle(&[
        response(OURS, ReconfigResult::PERFORMED),
        outgoing(PEERS, CUMULATIVE, &[1]),
    ])
    .unwrap();
    assert_eq!(f.events(), ["done [1]", "peer reset [1]"]);
    assert_eq!(f.push(), answer(PEERS, ReconfigResult::PERFORMED));
}

#[test]
fn a_number_that_the_peer_has_merely_received_is_not_done() {
    let mut f = Fixture::new();
    f.reset.want(1);
    f.push();
    let crossing = OutgoingSsnReset {
        request: PEERS,
        response: OURS,
        last_tsn: CUMULATIVE,
        streams: List::new(&[1]),
    };
    f.handle(&[Parameter::OutgoingSsnReset(crossing)]).unwrap();
    assert_eq!(f.events(), ["peer reset [1]"]);
    assert_eq!(f.run_out(), (RTO, true));
}

#[test]
fn a_flood_of_requests_is_answered_with_two_answers() {
    let mut f = Fixture::new();
    for number in 0..1000 {
        f.outgoing(PEERS.wrapping_add(number), CUMULATIVE, &[1]);
        f.outgoing(PEERS.wrapping_sub(number + 50), CUMULATIVE, &[1]);
    }
    assert_eq!(f.reset.answers.len(), 2);
    assert_eq!(
        f.push(),
        ["response=997 Success - Performed + response=4294966245 Error - Bad Sequence Number"]
    );
    // Room for none, then for both.
    f.outgoing(998, CUMULATIVE, &[1]);
    assert!(f.push_into(24).is_empty());
    assert!(f.reset.wants_push());
    assert_eq!(f.push_into(28), answer(998, ReconfigResult::PERFORMED));
}

proptest! {
    /// Two of them over a path that loses and repeats: every stream that is wanted is reset exactly once, and both agree.
    #[test]
    fn everything_wanted_is_reset_once(
        wants in proptest::collection::vec((any::<bool>(), 0_u16..300), 1..80),
        fates in proptest::collection::vec(0_u8..8, 1..200),
    ) {
        let config = Config::default();
        let mut now = Instant::now();
        let mut ends = [Reset::new(&config), Reset::new(&config)];
        ends[0].start(OURS, PEERS);
        ends[1].start(PEERS, OURS);
        let mut expected = [BTreeSet::new(), BTreeSet::new()];
        let mut done = [vec![], vec![]];
        let mut reset = [vec![], vec![]];
        let mut wants = wants.into_iter();
        let mut fates = fates.into_iter().chain(core::iter::repeat(7));
        let mut cumulative = 5_u32;
        for _ in 0..2000 {
            if let Some((end, stream)) = wants.next() {
                // Once each: a second time would be another reset.
                if expected[usize::from(end)].insert(stream) {
                    ends[usize::from(end)].want(stream);
                }
            }
            for from in [0, 1] {
                let to = 1 - from;
                let mut out = [0; 600];
                let mut w = PacketWriter::new(&mut out, 600, &HEADER).unwrap();
                ends[from].push(now, &mut w, 6, RTO, |_| true);
                let packet = w.finish(crate::Checksum::Zero);
                let copies = match fates.next().unwrap() { 0..=2 => 0, 3 => 2, _ => 1 };
                for raw in (0..copies).flat_map(|_| Packet::parse(packet).unwrap().chunks()) {
                    let Chunk::ReConfig(chunk) = Chunk::of(raw.unwrap()).unwrap() else { panic!() };
                    let (done, reset) = (&mut done[to], &mut reset[to]);
                    ends[to].handle(now, &chunk, cumulative, &mut Counters::default(), &mut |event| match event {
                        ResetEvent::PeerReset(Streams::Listed(list)) => reset.extend(list),
                        ResetEvent::Done(streams) => done.extend_from_slice(streams),
                        other => panic!("{other:?}"),
                    }).unwrap();
                }
            }
            cumulative = cumulative.max(5 + u32::from(fates.next().unwrap() > 3));
            now += Duration::from_millis(50);
            for end in &mut ends {
                end.handle_timeout(now);
            }
        }
        for (end, other) in [(0, 1), (1, 0)] {
            done[end].sort_unstable();
            reset[other].sort_unstable();
            let expected: Vec<u16> = expected[end].iter().copied().collect();
            prop_assert_eq!(&done[end], &expected);
            prop_assert_eq!(&reset[other], &expected);
        }
    }

    #[test]
    fn noise_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60), kind in 13_u8..19) {
        let mut f = Fixture::new();
        f.reset.want(1);
        f.push();
        let len = (bytes.len() + 4) as u8;
        let bytes = [&[0, kind, 0, len], &bytes[..]].concat();
        let parameters = Parameters::received(&bytes);
        let _ = f.handle_chunk(&ReConfig { parameters });
        prop_assert!(f.reset.answers.len() <= 2);
        f.push();
    }
}
