use super::*;
use proptest::prelude::*;

#[test]
fn four_packets_set_up() {
    // RFC 9260 §5.1.
    let now = Instant::now();
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    assert_eq!((a.state(), a.setup.poll_timeout()), (State::Closed, None));
    a.setup.connect(now);
    assert_eq!(a.state(), State::CookieWait);
    assert!(!a.setup.wants_push() && !a.setup.is_open() && !a.setup.takes_data());
    let init = a.one();
    assert_eq!(tag_of(&init), 0);
    assert!(matches!(chunks(&init)[..], [Chunk::Init(init)] if init.initiate_tag == a.tag()));

    b.receive(now, &init);
    assert_eq!(
        (b.state(), b.setup.peer(), b.setup.poll_timeout()),
        (State::Closed, None, None)
    );
    let init_ack = b.one();
    assert_eq!(tag_of(&init_ack), a.tag());

    a.receive(now, &init_ack);
    assert_eq!((a.state(), a.setup.checksum()), (State::CookieEchoed, Checksum::Crc32c));
    assert!(!a.setup.is_open() && !a.setup.takes_data());
    let cookie_echo = a.one();
    assert_eq!(tag_of(&cookie_echo), b.tag());
    assert_eq!(chunks(&cookie_echo), [Chunk::CookieEcho(&cookie_of(&init_ack))]);

    assert_eq!(b.receive(now, &cookie_echo), Some(Step::Established));
    assert_eq!((b.state(), b.setup.checksum()), (State::Established, Checksum::Zero));
    let cookie_ack = b.one();
    assert_eq!(tag_of(&cookie_ack), a.tag());
    assert_eq!(show(&cookie_ack), format!("5000>5000 tag={:08x}: COOKIE ACK", a.tag()));

    assert_eq!(a.receive(now, &cookie_ack), Some(Step::Established));
    assert_agree(&a, &b);
    for end in [&mut a, &mut b] {
        assert!(end.setup.is_open() && end.setup.takes_data());
        assert_eq!((end.setup.poll_timeout(), end.transmit()), (None, vec![]));
        assert_eq!(end.counters, Counters::default());
        assert_eq!(end.setup.peer_cookie.capacity(), 0);
        let peer = end.setup.peer().unwrap();
        assert_eq!(peer.a_rwnd, 16 << 20);
        assert_eq!((peer.outbound_streams, peer.inbound_streams), (65535, 65535));
        assert!(peer.interleaving && peer.forward_tsn && peer.reconfig && peer.zero_checksum);
    }
    // Connecting now is nothing new.
    b.setup.connect(now);
    assert_eq!((b.state(), b.transmit()), (State::Established, vec![]));
}

#[test]
fn tags_are_neither_0_nor_old() {
    // RFC 9260 §5.3.1.
    let mut numbers = [0, 7, 0, 9].into_iter();
    assert_eq!(draw(|| numbers.next().unwrap(), 7), 9);
}

#[test]
fn data_may_stand_behind_cookie_echo() {
    // RFC 9260 §5.1 C: COOKIE ECHO is the first chunk.
    let now = Instant::now();
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    a.setup.connect(now);
    b.receive(now, &a.one());
    a.receive(now, &b.one());
    let mut out = [0; 1160];
    let mut w = PacketWriter::new(&mut out, 1160, &a.setup.header().unwrap()).unwrap();
    w.push(&Chunk::CookieAck).unwrap();
    a.setup.push(&mut w, 0);
    assert_eq!(w.position(), 16);
    assert!(a.setup.wants_push());

    let mut w = PacketWriter::new(&mut out, 1160, &a.setup.header().unwrap()).unwrap();
    a.setup.push(&mut w, 0);
    w.push(&data()).unwrap();
    let bytes = w.finish(a.setup.checksum());
    b.receive(now, bytes);
    assert_eq!((b.state(), b.data), (State::Established, 1));

    // COOKIE ACK is the first, too.
    let mut w = PacketWriter::new(&mut out, 1160, &b.setup.header().unwrap()).unwrap();
    w.push(&data()).unwrap();
    b.setup.push(&mut w, 0);
    assert!(b.setup.wants_push());
    a.receive(now, &b.one());
    assert_agree(&a, &b);
}

#[test]
fn what_does_not_fit_waits() {
    let now = Instant::now();
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    a.setup.connect(now);
    let mut out = [0; 1160];
    assert_eq!(a.setup.poll_alone(&mut out[..50]), None);
    let len = a.setup.poll_alone(&mut out).unwrap();
    b.receive(now, &out[..len]);
    assert_eq!(b.setup.poll_alone(&mut out[..50]), None);
    let len = b.setup.poll_alone(&mut out).unwrap();
    a.receive(now, &out[..len]);
    let mut w = PacketWriter::new(&mut out, 50, &a.setup.header().unwrap()).unwrap();
    a.setup.push(&mut w, 0);
    assert!(w.is_empty() && a.setup.wants_push());
    b.receive(now, &a.one());
    let mut w = PacketWriter::new(&mut out, 12, &b.setup.header().unwrap()).unwrap();
    b.setup.push(&mut w, 0);
    assert!(w.is_empty() && b.setup.wants_push());
}

#[test]
fn any_packets_may_be_lost() {
    // RFC 9260 §4 notes 2 and 3, §5.2.4 D.
    let now = Instant::now();
    for lost in 0..1_u32 << 9 {
        let (mut a, mut b) = (End::new(1, now), End::new(2, now));
        a.setup.connect(now);
        run(
            &mut a,
            &mut b,
            now,
            |number| number < 9 && lost >> number & 1 == 1,
            both_up,
        );
        assert_agree(&a, &b);
        assert_eq!((a.times_up(), b.times_up(), a.steps.len(), b.steps.len()), (1, 1, 1, 1));
        // A lossless one has four packets.
        assert_eq!(lost & 0xf == 0, a.counters.sctp_setup_repeats == 0);
    }
}

#[test]
fn simultaneous_open_with_loss() {
    let now = Instant::now();
    for lost in 0..1_u32 << 9 {
        let (mut a, mut b) = (End::new(1, now), End::new(2, now));
        a.setup.connect(now);
        b.setup.connect(now);
        run(
            &mut a,
            &mut b,
            now,
            |number| number < 9 && lost >> number & 1 == 1,
            both_up,
        );
        assert_agree(&a, &b);
        assert_eq!((a.times_up(), b.times_up(), a.steps.len(), b.steps.len()), (1, 1, 1, 1));
    }
}

/// Both connect; what happens next is chosen by `choices`, where they end by the first possibility. Gives how many
/// possibilities there were at each step.
fn interleaved(choices: &[usize]) -> Vec<usize> {
    let now = Instant::now();
    let mut ends = [End::new(1, now), End::new(2, now)];
    let mut connected = [false; 2];
    let mut queues: [Vec<Vec<u8>>; 2] = Default::default();
    let mut widths = Vec::new();
    loop {
        for (end, queue) in ends.iter_mut().zip(&mut queues) {
            queue.extend(end.transmit());
        }
        // Either side connects, or one of its packets arrives, in any order.
        let mut possible = Vec::new();
        for from in 0..2 {
            if !connected[from] {
                possible.push((from, None));
            }
            possible.extend((0..queues[from].len()).map(|index| (from, Some(index))));
        }
        if possible.is_empty() {
            break;
        }
        let choice = choices.get(widths.len()).copied().unwrap_or_default();
        widths.push(possible.len());
        match possible[choice] {
            (from, None) => {
                ends[from].setup.connect(now);
                connected[from] = true;
            }
            (from, Some(index)) => {
                let bytes = queues[from].remove(index);
                ends[1 - from].receive(now, &bytes);
            }
        }
    }
    let [a, b] = &ends;
    assert!(both_up(a, b), "{choices:?}");
    assert_agree(a, b);
    for end in &ends {
        // What crosses is no fault.
        assert_eq!(end.counters, Counters::default(), "{choices:?}");
    }
    // Nobody begins anew, whatever the order (RFC 9260 §5.2.1).
    assert_eq!(
        (&a.steps[..], &b.steps[..]),
        (&[Step::Established][..], &[Step::Established][..])
    );
    widths
}

#[test]
fn simultaneous_open_in_every_order() {
    let mut choices = Vec::new();
    let mut runs = 0;
    loop {
        let widths = interleaved(&choices);
        runs += 1;
        // The next one in the order of a counter whose digits have these widths.
        choices.resize(widths.len(), 0);
        while let Some(last) = choices.pop() {
            if last + 1 < widths[choices.len()] {
                choices.push(last + 1);
                break;
            }
        }
        if choices.is_empty() {
            break;
        }
    }
    assert!(runs > 100, "{runs}");
}

proptest! {
    #[test]
    fn any_network_that_delivers_at_last(events in proptest::collection::vec((0_u8..8, 0_usize..4, any::<bool>(), 0_u8..4), 0..60)) {
        // Packets are lost, doubled and late in any order; both may connect at any time.
        let start = Instant::now();
        let mut now = start;
        let mut ends = [End::new(1, now), End::new(2, now)];
        let mut queues: [Vec<Vec<u8>>; 2] = Default::default();
        for (event, index, second, polled) in events {
            let from = usize::from(second);
            match event {
                0 => ends[from].setup.connect(now),
                1 => {
                    now += 700 * MS;
                    ends[0].timeout(now);
                    ends[1].timeout(now);
                }
                2 if !queues[from].is_empty() => {
                    let index = index % queues[from].len();
                    queues[from].remove(index);
                }
                3 if !queues[from].is_empty() => {
                    let again = queues[from][index % queues[from].len()].clone();
                    ends[1 - from].receive(now, &again);
                }
                _ if !queues[from].is_empty() => {
                    let index = index % queues[from].len();
                    let bytes = queues[from].remove(index);
                    ends[1 - from].receive(now, &bytes);
                }
                _ => {}
            }
            // Packets are not always asked for at once.
            for ((side, end), queue) in (0..).zip(&mut ends).zip(&mut queues) {
                if polled >> side & 1 == 1 {
                    queue.extend(end.transmit());
                }
            }
        }
        let [a, b] = &mut ends;
        a.setup.connect(now);
        run(a, b, now, |_| false, both_up);
        prop_assert_eq!((a.times_up(), b.times_up()), (1, 1));
        prop_assert_eq!((a.steps.len(), b.steps.len()), (1, 1));
        assert_agree(a, b);
    }
}

#[test]
fn t1_init_backs_off_and_gives_up() {
    // RFC 9260 §4 note 2, §6.3.3 E2, §5.1.6: the same INIT.
    let start = Instant::now();
    let mut a = End::new(1, start);
    a.setup.connect(start);
    let init = a.one();
    let mut waits = Vec::new();
    let mut now = start;
    while a.state() == State::CookieWait {
        let at = a.setup.poll_timeout().unwrap();
        waits.push((at - now).as_millis());
        a.timeout(at - MS);
        assert_eq!(a.transmit(), Vec::<Vec<u8>>::new());
        now = at;
        a.timeout(now);
        a.timeout(now);
        if a.state() == State::CookieWait {
            assert_eq!(a.one(), init);
        }
    }
    assert_eq!(
        waits,
        [500, 1000, 2000, 4000, 8000, 10000, 10000, 10000, 10000, 10000, 10000]
    );
    assert_eq!(a.reason(), Some(&CloseReason::NoAnswer));
    assert_eq!(a.counters.sctp_setup_repeats, 10);
    assert_eq!((a.state(), a.setup.poll_timeout()), (State::Ended, None));
    assert_eq!(a.transmit(), Vec::<Vec<u8>>::new());
    // Once is enough.
    a.timeout(now + 1000 * MS);
    assert_eq!(a.steps.len(), 1);
}

#[test]
fn t1_cookie_backs_off_and_gives_up() {
    // RFC 9260 §4 note 3, §5.1.4.
    let mut now = Instant::now();
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    a.setup.connect(now);
    b.receive(now, &a.one());
    now += 400 * MS;
    a.receive(now, &b.one());
    let cookie_echo = a.one();
    // Begins afresh.
    assert_eq!(a.setup.poll_timeout(), Some(now + 500 * MS));
    for _ in 0..10 {
        now = a.setup.poll_timeout().unwrap();
        a.timeout(now);
        assert_eq!(a.one(), cookie_echo);
    }
    a.timeout(a.setup.poll_timeout().unwrap());
    assert_eq!(a.reason(), Some(&CloseReason::NoAnswer));
}

#[test]
fn the_longest_rto_is_the_first_one_too() {
    let now = Instant::now();
    let config = Config {
        initial_rto: 500 * MS,
        max_rto: 200 * MS,
        ..Config::default()
    };
    let mut a = End::with(&config, 1, now);
    a.setup.connect(now);
    assert_eq!(a.setup.poll_timeout(), Some(now + 200 * MS));
}

#[test]
fn a_peer_that_answers_with_another_tag_than_its_init_has() {
    // RFC 9260 §5.2.4 B: the peer was closed when it answered our INIT with a tag, and has connected since with another.
    let now = Instant::now();
    let mut a = End::new(1, now);
    a.setup.connect(now);
    a.one();
    let cookie = [Parameter::StateCookie(&[9; 30])];
    let init_ack = Init {
        parameters: Parameters::new(&cookie),
        ..plain_init(0x111)
    };
    a.receive(now, &packet(a.tag(), &[Chunk::InitAck(init_ack)]));
    assert_eq!((a.state(), a.peer_tag()), (State::CookieEchoed, 0x111));
    a.one();
    a.receive(now, &packet(0, &[Chunk::Init(plain_init(0x222))]));
    // Our tag is the same.
    let answer = a.one();
    assert!(matches!(chunks(&answer)[..], [Chunk::InitAck(init)] if init.initiate_tag == a.tag()));
    assert_eq!(
        (a.state(), a.peer_tag(), tag_of(&answer)),
        (State::CookieEchoed, 0x111, 0x222)
    );
    a.receive(now, &packet(a.tag(), &[Chunk::CookieEcho(&cookie_of(&answer))]));
    assert_eq!((a.state(), a.peer_tag(), a.times_up()), (State::Established, 0x222, 1));
    assert_eq!(a.setup.poll_timeout(), None);
    assert_eq!(tag_of(&a.one()), 0x222);
}

#[test]
fn init_ack_and_cookie_ack_out_of_turn_are_ignored() {
    // RFC 9260 §5.2.3, §5.2.5.
    let now = Instant::now();
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    a.setup.connect(now);
    b.receive(now, &a.one());
    let init_ack = b.one();
    a.receive(now, &packet(a.tag(), &[Chunk::CookieAck]));
    assert_eq!(a.state(), State::CookieWait);
    a.receive(now, &init_ack);
    let cookie_echo = a.one();
    assert_eq!(a.receive(now, &init_ack), Some(Step::Stop));
    assert_eq!((a.state(), a.transmit()), (State::CookieEchoed, vec![]));
    b.receive(now, &cookie_echo);
    let cookie_ack = b.one();
    a.receive(now, &cookie_ack);
    a.receive(now, &cookie_ack);
    assert_eq!(a.receive(now, &init_ack), Some(Step::Stop));
    assert_eq!((a.state(), a.times_up()), (State::Established, 1));
    assert_eq!(a.counters.sctp_out_of_turn, 4);
}

#[test]
fn snap() {
    // draft-hancke-tsvwg-snap-00: both are up without a packet.
    let now = Instant::now();
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    let mut init = [0; 64];
    let len = a.setup.local_init(&mut init).unwrap();
    assert_eq!(a.setup.local_init(&mut [0; 100][..len - 1]), None);
    b.setup.connect_with(&init[..len]).unwrap();
    assert_eq!(a.state(), State::Closed);
    let len = b.setup.local_init(&mut init).unwrap();
    a.setup.connect_with(&init[..len]).unwrap();
    assert!(both_up(&a, &b));
    assert_agree(&a, &b);
    assert_eq!((a.transmit(), b.transmit()), (vec![], vec![]));
    assert_eq!(a.setup.poll_timeout(), None);
    b.receive(now, &packet(b.tag(), &[data()]));
    assert_eq!(b.data, 1);
    assert_eq!(a.setup.connect_with(&init[..len]), Err(UnusableInit::TooLate));
    // It is what an INIT packet would carry.
    let mut c = End::new(3, now);
    let len = c.setup.local_init(&mut init).unwrap();
    c.setup.connect(now);
    assert_eq!(chunks(&c.one()), [Chunk::Init(Init::parse(&init[..len]).unwrap())]);
}

#[test]
fn the_init_of_the_draft() {
    use base64::Engine;
    let now = Instant::now();
    let mut a = End::new(1, now);
    let text = "AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA";
    let mut init = [0; 30];
    let len = base64::engine::general_purpose::STANDARD.decode_slice(text, &mut init);
    assert_eq!(len, Ok(30));
    let mut init_ack = init;
    init_ack[0] = 2;
    for broken in [&init[..29], &init_ack, &[]] {
        let tag = a.tag();
        let error = a.setup.connect_with(broken).unwrap_err();
        assert!(matches!(error, UnusableInit::Malformed(_)));
        // The peer may have taken what it was told for an association that is up.
        assert_ne!(a.tag(), tag);
    }
    let mut no_tag = init;
    no_tag[4..8].fill(0);
    let error = a.setup.connect_with(&no_tag).unwrap_err();
    assert_eq!(error.to_string(), "an unusable INIT: an initiate tag is not 0");
    assert_eq!(a.state(), State::Closed);
    a.setup.connect_with(&init).unwrap();
    let peer = Peer {
        tag: 0x896c_dd1d,
        a_rwnd: 0x50_0000,
        initial_tsn: 0xe079_651d,
        outbound_streams: 65535,
        inbound_streams: 65535,
        interleaving: false,
        forward_tsn: true,
        reconfig: true,
        zero_checksum: false,
    };
    assert_eq!(a.setup.peer(), Some(&peer));
    assert_eq!(a.setup.checksum(), Checksum::Crc32c);
}
