//! NOMINATION (draft-thatcher-ice-renomination), in both roles.

use super::*;
use stun::AttributeType;

/// What of a check of the peer's nominates.
#[derive(Debug, Clone, Copy)]
enum Told {
    Nothing,
    UseCandidate,
    Number(u32),
    Both(u32),
    /// Another usage has the type of NOMINATION: with a value of so many bytes.
    Flow(usize),
}

impl Told {
    fn write(self, builder: &mut Builder<'_>) {
        if matches!(self, Self::UseCandidate | Self::Both(_) | Self::Flow(_)) {
            builder.push(&Value::UseCandidate).unwrap();
        }
        match self {
            Self::Nothing | Self::UseCandidate => {}
            Self::Number(number) | Self::Both(number) => builder.push(&Value::Nomination(number)).unwrap(),
            Self::Flow(len) => builder
                .push(&Value::Other(AttributeType::NOMINATION, &[0xff; 8][..len]))
                .unwrap(),
        }
    }
}

/// A controlled agent, and a controlling peer with two addresses, the better one first, both of which answer.
struct Led {
    call: Call,
    checks: u8,
}

impl Led {
    fn new(renomination: bool) -> Self {
        Self::with(renomination, Some(Duration::from_secs(10)))
    }

    fn with(renomination: bool, warm_interval: Option<Duration>) -> Self {
        let config = Config {
            warm_interval,
            ..Config::full(Role::Controlled)
        };
        let mut call = Call::with(config);
        call.ours.set_renomination(renomination);
        call.exchange_credentials();
        let mut led = Self { call, checks: 0 };
        led.run(Duration::from_millis(200));
        assert!(
            [0, 1]
                .iter()
                .all(|server| led.call.ours.is_validated(&led.call.path(*server)))
        );
        assert!(!led.call.ours.pairs().any(|pair| pair.nominated));
        led
    }

    /// The peer answers all that comes.
    fn run(&mut self, time: Duration) {
        let end = self.call.now + time;
        loop {
            self.answer_all(&[0, 1]);
            let Some(next) = self.call.ours.poll_timeout().filter(|next| *next <= end) else {
                break;
            };
            self.call.now = next;
            self.call.ours.handle_timeout(next);
        }
        self.call.now = end;
    }

    /// What is sent now is answered from these addresses. Gives whom we asked.
    fn answer_all(&mut self, servers: &[usize]) -> Vec<usize> {
        let mut out = [0; MIN_OUT];
        let pwd = self.call.lite.local_credentials().pwd.clone();
        let mut asked = Vec::new();
        while let Some(transmit) = self.call.ours.poll_transmit(self.call.now, &mut out) {
            if Message::parse(&out[..transmit.len]).unwrap().class() != Class::Request {
                continue;
            }
            let server = [0, 1]
                .into_iter()
                .find(|nth| self.call.path(*nth) == transmit.path)
                .unwrap();
            asked.push(server);
            if servers.contains(&server) {
                let answer = self.call.answer(&out[..transmit.len], &pwd, None);
                self.call.ours.handle_datagram(self.call.now, &transmit.path, &answer);
            }
        }
        asked
    }

    /// A check of the peer's from one of its addresses.
    fn check(&mut self, server: usize, told: Told) {
        self.checks += 1;
        let credentials = self.call.ours.local_credentials().clone();
        let mut out = [0; MIN_OUT];
        let id = TransactionId([self.checks; 12]);
        let mut builder = Builder::new(&mut out, Class::Request, Method::BINDING, id).unwrap();
        let username = format!("{}:them", credentials.ufrag);
        builder.push(&Value::Username(&username)).unwrap();
        builder.push(&Value::IceControlling(1)).unwrap();
        told.write(&mut builder);
        builder.push(&Value::Priority(1000)).unwrap();
        builder.integrity(&Key::short_term(&credentials.pwd)).unwrap();
        builder.fingerprint().unwrap();
        let check = builder.finish().to_vec();
        let path = self.call.path(server);
        self.call.ours.handle_datagram(self.call.now, &path, &check);
    }

    fn media(&mut self, server: usize) {
        let path = self.call.path(server);
        self.call.ours.note_activity(self.call.now, &path, Activity::Srtp);
    }

    /// The address of the peer's that we send to.
    fn selected(&self) -> Option<usize> {
        let selected = self.call.ours.selected()?;
        [0, 1].into_iter().find(|server| self.call.path(*server) == selected)
    }

    /// Which addresses of the peer's are nominated.
    fn nominated(&self) -> Vec<usize> {
        let nominated = |server: &usize| {
            let path = self.call.path(*server);
            self.call.ours.pairs().any(|pair| pair.path == path && pair.nominated)
        };
        [0, 1].into_iter().filter(nominated).collect()
    }
}

#[test]
fn the_highest_number_is_followed_at_once_whatever_the_priority_and_the_media() {
    let mut led = Led::new(true);
    led.check(0, Told::Both(1));
    assert_eq!(led.selected(), Some(0));
    led.media(0);
    led.check(1, Told::Both(2));
    assert_eq!(led.selected(), Some(1), "a worse one");
    // What is still in flight on the other one, and what comes late, does not move it back.
    led.media(0);
    led.check(0, Told::Both(1));
    led.check(0, Told::UseCandidate);
    led.check(0, Told::Nothing);
    assert_eq!(led.selected(), Some(1));
    led.check(0, Told::Both(u32::MAX));
    assert_eq!(led.selected(), Some(0));
    // It counts for ever: no nomination is taken back (as libwebrtc has it).
    led.check(0, Told::Both(3));
    led.check(1, Told::Both(4));
    assert_eq!(led.selected(), Some(0));
    assert!(led.call.counters().is_empty(), "{:?}", led.call.counters());
}

#[test]
fn a_number_nominates_without_use_candidate() {
    // libwebrtc sends one or the other.
    let mut led = Led::new(true);
    led.check(1, Told::Number(7));
    assert_eq!((led.selected(), led.nominated()), (Some(1), vec![1]));
    // RFC 8445 §7.3.1.5: a pair that does not work yet is nominated once it does.
    let mut led = Led::new(true);
    led.check(0, Told::Number(1));
    led.call.ours.restart(led.call.now);
    led.call.lite.restart(led.call.now);
    led.call.exchange_credentials();
    led.check(1, Told::Number(3));
    led.check(1, Told::UseCandidate);
    led.check(0, Told::Number(2));
    assert_eq!(led.nominated(), [0], "only in the session before");
    led.run(Duration::from_millis(200));
    assert_eq!((led.selected(), led.nominated()), (Some(1), vec![0, 1]));
}

#[test]
fn without_the_option_a_number_says_nothing() {
    let mut led = Led::new(false);
    led.check(1, Told::Number(7));
    assert_eq!((led.selected(), led.nominated()), (Some(0), vec![]));
    led.check(0, Told::Both(1));
    led.check(1, Told::Both(2));
    assert_eq!((led.selected(), led.nominated()), (Some(0), vec![0, 1]));
}

#[test]
fn a_number_that_is_none_counts_as_absent() {
    let mut led = Led::new(true);
    led.check(1, Told::Number(0));
    assert!(led.nominated().is_empty());
    for (told, nominated) in [(Told::Both(0), 1), (Told::Flow(8), 0)] {
        led.check(nominated, told);
        assert!(led.nominated().contains(&nominated));
    }
    assert_eq!(led.selected(), Some(0), "of two without a number the better one");
    for len in [0, 3, 5] {
        led.check(1, Told::Flow(len));
        assert_eq!(led.selected(), Some(0));
    }
    assert!(led.call.counters().is_empty(), "{:?}", led.call.counters());
}

#[test]
fn without_numbers_the_best_pair_that_was_nominated_stays_until_media_takes_another() {
    // RFC 8445 §8.1.1; Firefox nominates each pair with its first check, in any order.
    let mut led = Led::new(false);
    led.check(1, Told::UseCandidate);
    assert_eq!(led.selected(), Some(1));
    led.check(0, Told::UseCandidate);
    assert_eq!(led.selected(), Some(0));
    led.check(1, Told::UseCandidate);
    assert_eq!(led.selected(), Some(0));
    led.media(0);
    led.check(1, Told::UseCandidate);
    assert_eq!(led.selected(), Some(0), "no media came there");
    led.media(1);
    assert_eq!(led.selected(), Some(1));
    led.check(0, Told::UseCandidate);
    assert_eq!(led.selected(), Some(1));
    // Media of before does not count against a better pair.
    let mut led = Led::new(false);
    led.check(1, Told::UseCandidate);
    led.media(1);
    led.check(0, Told::UseCandidate);
    assert_eq!(led.selected(), Some(0));
    led.media(1);
    assert_eq!(led.selected(), Some(1));
}

#[test]
fn only_the_pair_in_use_is_nominated_to_the_checks() {
    for numbers in [true, false] {
        // Pairs that work and are neither in use nor nominated are left alone.
        let mut led = Led::with(numbers, None);
        led.check(1, Told::Both(2));
        led.check(0, Told::Both(1));
        led.media(1);
        led.run(Duration::from_millis(1));
        assert_eq!(led.selected(), Some(1));
        let mut asked = Vec::new();
        for _ in 0..200 {
            led.call.now += Duration::from_millis(100);
            led.call.ours.handle_timeout(led.call.now);
            asked.extend(led.answer_all(&[0, 1]));
        }
        // It is asked for consent every 4 to 6 s, and the other one not at all.
        assert!(
            (3..=5).contains(&asked.len()) && asked.iter().all(|server| *server == 1),
            "{asked:?}"
        );
    }
}

#[test]
fn a_nomination_of_another_pair_has_the_one_in_use_asked() {
    let mut led = Led::new(false);
    led.check(0, Told::UseCandidate);
    led.run(Duration::from_millis(500));
    led.check(1, Told::UseCandidate);
    // The peer has left it, and nothing passes there: four requests, every 200 ms.
    let mut asked = Vec::new();
    for _ in 0..7 {
        assert_eq!(led.selected(), Some(0), "{asked:?}");
        asked.extend(led.answer_all(&[1]));
        led.call.now += Duration::from_millis(100);
        led.call.ours.handle_timeout(led.call.now);
    }
    asked.extend(led.answer_all(&[1]));
    assert_eq!(asked.iter().filter(|server| **server == 0).count(), 4);
    assert_eq!(led.selected(), Some(1));
}

#[test]
fn nominations_are_numbered_where_both_sides_signalled_it() {
    for (signalled, allowed) in [(true, false), (false, true), (false, false)] {
        let mut call = Call::with(Config {
            renomination: allowed,
            ..Config::default()
        });
        call.ours.set_renomination(signalled);
        call.exchange_credentials();
        let pwd = call.lite.local_credentials().pwd.clone();
        let mut numbers = Vec::new();
        for server in [0, 1] {
            let (path, probe) = call.next_check();
            assert_eq!(path, call.path(server));
            let message = Message::parse(&probe).unwrap();
            assert!(!message.use_candidate() && message.nomination() == Ok(None));
            let answer = call.answer(&probe, &pwd, None);
            call.ours.handle_datagram(call.now, &path, &answer);
            let (to, nomination) = call.next_check();
            assert_eq!(to, path);
            let message = Message::parse(&nomination).unwrap();
            assert!(message.use_candidate());
            numbers.push(message.nomination().unwrap());
            // RFC 8489 §6.2.1: it is sent again as it was.
            call.now += Duration::from_millis(500);
            call.ours.handle_timeout(call.now);
            let again = std::iter::from_fn(|| Some(call.next_check())).find(|(to, _)| *to == path);
            assert_eq!(again.unwrap().1, nomination);
            let refused = call.answer(&nomination, &pwd, Some(ErrorCode::BAD_REQUEST));
            call.ours.handle_datagram(call.now, &path, &refused);
        }
        let expected = if signalled { [Some(1), Some(2)] } else { [None; 2] };
        assert_eq!(numbers, expected);
    }
}
