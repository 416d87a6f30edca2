use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ice::{Activity, Agent, Candidate, Config, Credentials, Event, MIN_OUT, State, host_candidates};
use stun::{Builder, Class, Key, Message, Method, TransactionId, Value};
use wire::{Path, Protocol, Reader, Seed};

/// Most pairs that the agent may remember here: few, so that they are evicted.
const MAX_PAIRS: usize = 6;

/// An ICE agent under everything that may happen to it, in any order: genuine checks on any path with the newest or
/// older credentials, altered ones, noise, media, the passing of time, restarts, late polls. What is genuine is
/// answered so that its sender can verify it, what is not is never answered; what the events tell adds up to what the
/// getters say.
///
/// The input is any number of steps: operation, argument, length, that many bytes.
pub fn ice(data: &[u8]) {
    let mut r = Reader::new(data);
    let mut session = Session::new();
    while let Ok(step) = Step::read(&mut r) {
        session.step(&step);
        session.assert_consistent();
    }
    session.poll();
    session.assert_events_add_up();
}

struct Step<'a> {
    operation: u8,
    argument: u8,
    bytes: &'a [u8],
}

impl<'a> Step<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, wire::Error> {
        let (operation, argument) = (r.u8()?, r.u8()?);
        let len = usize::from(r.u8()?).min(r.remaining());
        Ok(Self {
            operation,
            argument,
            bytes: r.take(len)?,
        })
    }

    fn path(&self) -> Path {
        let servers: [&str; 2] = ["192.0.2.1:4000", "[2001:db8::1]:4000"];
        let local: SocketAddr = servers[usize::from(self.argument & 1)].parse().expect("an address");
        let mut remote: SocketAddr = if local.is_ipv4() {
            "198.51.100.9:0"
        } else {
            "[2001:db8::9]:0"
        }
        .parse()
        .expect("an address");
        remote.set_port(u16::from(self.argument >> 1 & 0x0f));
        let protocol = if self.argument & 0x20 == 0 {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        Path {
            local,
            remote,
            protocol,
        }
    }
}

struct Session {
    agent: Agent,
    now: Instant,
    /// All local credentials so far.
    credentials: Vec<Credentials>,
    transactions: u32,
    /// The last check that was accepted, with its path and the ufrag that it was for.
    accepted: Option<(Vec<u8>, Path, String)>,
    /// What the events have told.
    validated: Vec<Path>,
    selected: Option<Path>,
    state: State,
}

impl Session {
    fn new() -> Self {
        let now = Instant::now();
        let config = Config {
            max_pairs: MAX_PAIRS,
            max_pending_responses: 8,
            ..Config::default()
        };
        let mut agent = Agent::new(config, Seed::from_run(1), now);
        let local = [("192.0.2.1:4000", Protocol::Udp), ("[2001:db8::1]:4000", Protocol::Tcp)];
        for candidate in
            host_candidates(local.map(|(address, protocol)| (address.parse().expect("an address"), protocol)))
        {
            agent.add_local_candidate(candidate);
        }
        Self {
            credentials: vec![agent.local_credentials().clone()],
            agent,
            now,
            transactions: 0,
            accepted: None,
            validated: Vec::new(),
            selected: None,
            state: State::New,
        }
    }

    fn step(&mut self, step: &Step<'_>) {
        match step.operation % 10 {
            0 | 1 => self.check(step),
            2 => self.forgery(step),
            3 => {
                // Noise of any length, or noise behind a genuine header.
                self.silently(step, step.bytes.to_vec());
            }
            4 => {
                let activity = [Activity::Handshake, Activity::Dtls, Activity::Srtp, Activity::Srtcp];
                let activity = activity[usize::from(step.argument >> 6)];
                self.agent.note_activity(self.now, &step.path(), activity);
            }
            5 => self.pass(step),
            6 => self.poll(),
            7 => {
                self.agent.restart(self.now);
                self.credentials.push(self.agent.local_credentials().clone());
            }
            8 => self.repeat(step),
            _ => {
                let remote = Credentials::new("peer", "a password of 24 letters".replace(' ', "+").as_str());
                self.agent
                    .set_remote_credentials(self.now, remote.expect("legal credentials"));
                let candidate = Candidate::host(step.path().remote, step.path().protocol, u16::from(step.argument));
                self.agent.add_remote_candidate(candidate);
            }
        }
    }

    fn transaction_id(&self) -> TransactionId {
        let mut id = [0; 12];
        id[8..].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId(id)
    }

    /// A check as the peer sends it. The first byte says what it holds, the second which credentials.
    fn request(&mut self, step: &Step<'_>) -> (Vec<u8>, Credentials) {
        let byte = |at: usize| step.bytes.get(at).copied().unwrap_or_default();
        let (flags, age) = (byte(0), usize::from(byte(1) & 3));
        let index = self.credentials.len().saturating_sub(1 + age);
        let credentials = self.credentials[index].clone();
        self.transactions = self.transactions.wrapping_add(1);
        let mut out = [0; 512];
        let id = self.transaction_id();
        let mut b = Builder::new(&mut out, Class::Request, Method::BINDING, id).expect("room");
        b.push(&Value::Username(&format!("{}:peer", credentials.ufrag)))
            .expect("room");
        if flags & 1 != 0 {
            b.push(&Value::UseCandidate).expect("room");
        }
        if flags & 2 != 0 {
            b.push(&Value::Priority(u32::from(byte(2)))).expect("room");
        }
        let role = if flags & 0x0c == 0x0c {
            Value::IceControlled(5)
        } else {
            Value::IceControlling(5)
        };
        b.push(&role).expect("room");
        if flags & 0x30 == 0x30 {
            let kind = stun::AttributeType(u16::from(byte(3)) << 8 | u16::from(byte(4)));
            if !Value::understands(kind) {
                b.push(&Value::Other(kind, step.bytes)).expect("room");
            }
        }
        let key = Key::short_term(&credentials.pwd);
        if flags & 0x40 == 0 {
            b.integrity(&key).expect("room");
        }
        if flags & 0x80 != 0 || flags & 0x40 != 0 {
            b.integrity_sha256(&key, 32).expect("room");
        }
        b.fingerprint().expect("room");
        (b.finish().to_vec(), credentials)
    }

    fn check(&mut self, step: &Step<'_>) {
        let (request, credentials) = self.request(step);
        self.drain();
        let answered = self.agent.state() != State::Failed && self.agent.matches_ufrag(&credentials.ufrag);
        let path = step.path();
        self.agent.handle_datagram(self.now, &path, &request);
        // Whether this one was accepted, only its answer tells.
        self.accepted = None;
        if step.bytes.get(5).is_some_and(|late| late & 1 == 1) {
            return;
        }
        let mut out = [0; MIN_OUT];
        let Some(transmit) = self.agent.poll_transmit(self.now, &mut out) else {
            assert!(!answered);
            return;
        };
        assert!(answered);
        assert_eq!(transmit.path, path);
        let response = Message::parse(&out[..transmit.len]).expect("we write what parses");
        assert_eq!(response.transaction_id(), self.transaction_id());
        assert_eq!(response.verify_fingerprint(), Ok(()));
        assert!(response.verify_integrity(&Key::short_term(&credentials.pwd)).is_ok());
        match response.class() {
            Class::SuccessResponse => {
                assert_eq!(response.xor_mapped_address(), Ok(Some(path.remote)));
                assert!(self.agent.is_validated(&path) && self.agent.may_receive(self.now, &path));
                self.accepted = Some((request, path, credentials.ufrag.clone()));
            }
            Class::ErrorResponse => {
                let error = response
                    .error_code()
                    .expect("legal")
                    .expect("an error response has one");
                assert!(matches!(error.code.0, 420 | 487), "{}", error.code);
            }
            other => panic!("{other}"),
        }
    }

    /// A genuine check with one byte changed; when a bit of the sixth byte says so, with a FINGERPRINT that fits again,
    /// so that nothing but the integrity can tell.
    fn forgery(&mut self, step: &Step<'_>) {
        let (mut request, _) = self.request(step);
        let byte = |at: usize| step.bytes.get(at).copied().unwrap_or_default();
        let change = step.bytes.last().copied().unwrap_or_default() | 1;
        if byte(5) & 2 == 0 {
            let at = usize::from(step.argument) % request.len();
            request[at] ^= change;
        } else {
            // With both integrities, the second one can be made unknown and the first one counts (RFC 8489 §9.1.3).
            let both = byte(0) & 0xc0 == 0x80;
            let covered = request.len() - 8 - if both { 36 } else { 0 };
            let at = usize::from(step.argument) % covered;
            request[at] ^= change;
            let end = request.len() - 4;
            let fingerprint = crc32fast::hash(&request[..end - 4]) ^ 0x5354_554e;
            request[end..].copy_from_slice(&fingerprint.to_be_bytes());
        }
        self.silently(step, request);
    }

    /// The last accepted check again: answered where it came from before, nowhere else, and nothing follows from it.
    fn repeat(&mut self, step: &Step<'_>) {
        let Some((request, path, ufrag)) = self.accepted.clone() else {
            return;
        };
        let known = self.agent.state() != State::Failed && self.agent.matches_ufrag(&ufrag);
        if step.path() != path {
            let replayed = self.agent.counters().ice_replayed_checks;
            self.silently(step, request);
            assert_eq!(self.agent.counters().ice_replayed_checks, replayed + u64::from(known));
            return;
        }
        self.drain();
        let before = (self.agent.selected(), self.agent.state(), self.agent.poll_timeout());
        self.agent.handle_datagram(self.now, &path, &request);
        let answer = self.agent.poll_transmit(self.now, &mut [0; MIN_OUT]);
        assert_eq!(answer.map(|transmit| transmit.path), known.then_some(path));
        let after = (self.agent.selected(), self.agent.state(), self.agent.poll_timeout());
        assert_eq!(before, after);
    }

    fn silently(&mut self, step: &Step<'_>, datagram: Vec<u8>) {
        self.drain();
        let before = (
            self.agent.may_receive(self.now, &step.path()),
            self.agent.selected(),
            self.agent.state(),
        );
        self.agent.handle_datagram(self.now, &step.path(), &datagram);
        assert_eq!(self.agent.poll_transmit(self.now, &mut [0; MIN_OUT]), None);
        let after = (
            self.agent.may_receive(self.now, &step.path()),
            self.agent.selected(),
            self.agent.state(),
        );
        assert_eq!(before, after);
    }

    /// Up to 25 s, with timers fired in time, late or far too often.
    fn pass(&mut self, step: &Step<'_>) {
        let end = self.now + Duration::from_millis(u64::from(step.argument) * 100);
        if step.bytes.len() & 1 == 0 {
            while let Some(deadline) = self.agent.poll_timeout().filter(|deadline| *deadline <= end) {
                assert!(self.agent.next_timer().is_some());
                self.now = self.now.max(deadline);
                self.agent.handle_timeout(self.now);
                self.agent.handle_timeout(self.now);
                assert!(
                    self.agent.poll_timeout().is_none_or(|next| next > self.now),
                    "a timer does not end"
                );
            }
        }
        self.now = end;
        self.agent.handle_timeout(end);
    }

    fn drain(&mut self) {
        let mut out = [0; MIN_OUT];
        let mut sent = 0;
        while self.agent.poll_transmit(self.now, &mut out).is_some() {
            sent += 1;
        }
        assert!(sent <= 8);
    }

    fn poll(&mut self) {
        self.drain();
        let mut events = 0;
        while let Some(event) = self.agent.poll_event() {
            events += 1;
            assert!(events <= 2 * MAX_PAIRS + 2, "events are bounded");
            match event {
                Event::PathRemoved(path) => {
                    assert!(self.validated.contains(&path));
                    self.validated.retain(|known| *known != path);
                }
                Event::PathValidated(path) => {
                    assert!(!self.validated.contains(&path));
                    self.validated.push(path);
                }
                Event::SelectedPath(path) => self.selected = Some(path),
                Event::StateChanged(state) => {
                    assert_ne!(self.state, state);
                    self.state = state;
                }
                other => panic!("only a full agent tells {other:?}"),
            }
        }
    }

    fn assert_consistent(&self) {
        let selected = self.agent.selected();
        let on_the_way = matches!(self.agent.state(), State::Connected | State::Disconnected);
        assert_eq!(selected.is_some(), on_the_way);
        assert!(selected.is_none_or(|path| self.agent.is_validated(&path)));
        assert!(self.agent.pairs().count() <= MAX_PAIRS);
        assert_eq!(
            self.agent.pairs().filter(|pair| pair.selected).count(),
            usize::from(on_the_way)
        );
        assert!((1..=2).contains(&self.agent.local_ufrags().count()));
        assert_eq!(self.agent.poll_timeout().is_some(), self.agent.next_timer().is_some());
    }

    fn assert_events_add_up(&mut self) {
        self.validated.sort();
        let mut paths: Vec<_> = self.agent.pairs().map(|pair| pair.path).collect();
        paths.sort();
        assert_eq!(self.validated, paths);
        assert_eq!(self.state, self.agent.state());
        if let Some(selected) = self.agent.selected() {
            assert_eq!(self.selected, Some(selected));
        }
    }
}
