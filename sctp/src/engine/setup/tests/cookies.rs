use super::*;
use crate::engine::setup::cookie::{Cookie, Ties};
use proptest::prelude::*;

const LIFE: Duration = Duration::from_secs(60);

/// One that was asked by a peer with that tag, and the cookie that it gave.
fn asked(now: Instant, peer_tag: u32) -> (End, Vec<u8>) {
    let mut a = End::new(1, now);
    a.receive(now, &packet(0, &[Chunk::Init(plain_init(peer_tag))]));
    let cookie = cookie_of(&a.one());
    (a, cookie)
}

proptest! {
    #[test]
    fn cookies_say_what_was_said(
        created: u64, numbers: [u32; 5], streams: [u16; 2], flags: [bool; 4], ties: [u32; 2],
    ) {
        let cookies = Cookies::new(&[7; 32], Instant::now());
        let cookie = Cookie {
            created,
            local: Local { tag: numbers[0], initial_tsn: numbers[1] },
            peer: Peer {
                tag: numbers[2],
                a_rwnd: numbers[3],
                initial_tsn: numbers[4],
                outbound_streams: streams[0],
                inbound_streams: streams[1],
                interleaving: flags[0],
                forward_tsn: flags[1],
                reconfig: flags[2],
                zero_checksum: flags[3],
            },
            ties: Ties { local: ties[0], peer: ties[1] },
        };
        prop_assert_eq!(cookies.open(&cookies.make(&cookie)), Some(cookie));
    }

    #[test]
    fn any_bytes_are_no_cookie(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(Cookies::new(&[7; 32], Instant::now()).open(&bytes), None);
    }
}

#[test]
fn forged_cookies_are_dropped() {
    // RFC 9260 §5.1.5 steps 1 to 3: silently.
    let now = Instant::now();
    let (mut a, cookie) = asked(now, 0x111);
    assert_eq!(cookie.len(), 57);
    let tag = a.tag();
    let mut forged = 0;
    let mut refuse = |a: &mut End, tag: u32, cookie: &[u8]| {
        forged += 1;
        assert_eq!(
            a.receive(now, &packet(tag, &[Chunk::CookieEcho(cookie), data()])),
            Some(Step::Stop)
        );
        assert_eq!((a.state(), a.data, a.transmit()), (State::Closed, 0, vec![]));
        assert_eq!(a.counters.sctp_forged_cookies, forged);
    };
    for bit in 0..cookie.len() * 8 {
        let mut other = cookie.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        refuse(&mut a, tag, &other);
    }
    refuse(&mut a, tag, &cookie[..56]);
    refuse(&mut a, tag, &[&cookie[..], &[0]].concat());
    refuse(&mut a, tag, &[]);
    // In a packet with another tag.
    refuse(&mut a, tag ^ 1, &cookie);
    // One of somebody else.
    let mut other = End::new(2, now);
    other.receive(now, &packet(0, &[Chunk::Init(plain_init(0x111))]));
    refuse(&mut a, tag, &cookie_of(&other.one()));
    // The right one.
    a.receive(now, &packet(tag, &[Chunk::CookieEcho(&cookie), data()]));
    assert_eq!((a.state(), a.data), (State::Established, 1));
}

#[test]
fn stale_cookies_are_told() {
    // RFC 9260 §5.1.5 step 4, §3.3.10.3.
    let now = Instant::now();
    let (mut a, cookie) = asked(now, 0x111);
    let echo = packet(a.tag(), &[Chunk::CookieEcho(&cookie), data()]);
    let late = now + LIFE + Duration::from_micros(5);
    assert_eq!(a.receive(late, &echo), Some(Step::Stop));
    let answer = a.one();
    assert_eq!((tag_of(&answer), a.counters.sctp_stale_cookies, a.data), (0x111, 1, 0));
    assert_eq!(chunks(&answer), [error(&[Cause::StaleCookie(5)])]);
    a.receive(now + LIFE * 1000, &echo);
    let causes = [Cause::StaleCookie(u32::MAX)];
    assert_eq!(chunks(&a.one()), [error(&causes)]);
    assert_eq!(a.state(), State::Closed);
    // At the last moment.
    a.receive(now + LIFE, &echo);
    assert_eq!(a.state(), State::Established);
    a.one();
    // RFC 9260 §5.2.4 step 3: both tags are those of the association.
    assert_eq!(a.receive(late, &echo), Some(Step::Continue));
    assert_eq!(chunks(&a.one()), [Chunk::CookieAck]);
    assert_eq!((a.times_up(), a.steps.len()), (1, 1));
}

#[test]
fn a_stale_cookie_is_asked_for_again() {
    // RFC 9260 §5.2.6, the first way.
    let now = Instant::now();
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    a.setup.connect(now);
    let init = a.one();
    b.receive(now, &init);
    a.receive(now, &b.one());
    let late = now + LIFE * 2;
    b.receive(late, &a.one());
    a.receive(late, &b.one());
    assert_eq!((a.state(), a.setup.peer()), (State::CookieWait, None));
    assert_eq!(a.setup.poll_timeout(), Some(late + 500 * MS));
    assert_eq!(a.one(), init);
    b.receive(late, &init);
    a.receive(late, &b.one());
    settle(&mut a, &mut b, late);
    assert!(both_up(&a, &b));
    assert_agree(&a, &b);
    // It means nothing now.
    let causes = [Cause::StaleCookie(5)];
    a.receive(late, &packet(a.tag(), &[error(&causes)]));
    assert_eq!((a.state(), a.transmit()), (State::Established, vec![]));
}

#[test]
fn a_peer_whose_cookies_are_always_stale() {
    let now = Instant::now();
    let mut a = End::new(1, now);
    a.setup.connect(now);
    let cookie = [Parameter::StateCookie(&[9; 8])];
    let init_ack = Init {
        parameters: Parameters::new(&cookie),
        ..plain_init(0x111)
    };
    let stale = [Cause::OutOfResource, Cause::StaleCookie(0)];
    let mut rounds = 0;
    while a.state() == State::CookieWait {
        rounds += 1;
        a.one();
        a.receive(now, &packet(a.tag(), &[Chunk::InitAck(init_ack)]));
        a.one();
        // Other errors are nobody's business here.
        a.receive(now, &packet(a.tag(), &[error(&stale[..1])]));
        assert_eq!(a.state(), State::CookieEchoed);
        a.receive(now, &packet(a.tag(), &[error(&stale)]));
    }
    assert_eq!((rounds, a.reason()), (11, Some(&CloseReason::NoAnswer)));
    assert_eq!((a.state(), a.setup.poll_timeout()), (State::Ended, None));
}
