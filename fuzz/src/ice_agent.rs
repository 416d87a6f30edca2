use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ice::{Activity, Agent, Candidate, CandidateKind, Config, Event, MIN_OUT, Role, State};
use stun::{Builder, Class, ErrorCode, Key, Message, Method, TransactionId, Value};
use wire::{Path, Protocol, Reader, Seed};

/// Two full agents and a hostile network: datagrams are lost, held back, doubled, altered, repeated from elsewhere and
/// made up, while addresses come and go, candidates are signalled that nobody has, roles and paces are set at will, ICE
/// is restarted, mappings change, consent is taken back, and time passes. A stranger's address is never validated,
/// nobody sends much more than it gets, what is remembered is bounded, and no deadline stays in the past. When the
/// network is good again and both restart, they connect and agree.
///
/// The input is any number of steps: operation, argument, length, that many bytes.
pub fn ice_agent(data: &[u8]) {
    let mut r = Reader::new(data);
    let mut duel = Duel::new();
    for _ in 0..MAX_STEPS {
        let Ok(step) = Step::read(&mut r) else { break };
        duel.step(&step);
        duel.assert_consistent();
    }
    duel.make_peace();
}

/// Later steps are like those before.
const MAX_STEPS: usize = 2000;
/// The STUN server of both.
const SERVER: &str = "198.51.100.1:3478";
/// Where TURN servers relay for each end: what is sent there is lost.
const RELAYED: [&str; 2] = ["203.0.113.50:1", "203.0.113.50:2"];

/// Most pairs of an agent here: few, so that they are evicted.
const MAX_PAIRS: usize = 8;
/// Most responses that wait.
const MAX_RESPONSES: usize = 8;
/// Most datagrams on their way; the oldest is lost when there are more.
const MAX_FLYING: usize = 64;
/// Most that an agent sends at one moment: what is pending, and each transaction that may be sent again.
const MAX_SENT: usize = MAX_RESPONSES + 256 + 64;

/// Of each end.
const ADDRESSES: [[&str; 2]; 2] = [
    ["192.0.2.1:5000", "[2001:db8::1]:5000"],
    ["192.0.2.2:5000", "[2001:db8::2]:5000"],
];
/// What is sent there is lost.
const STRANGERS: [&str; 4] = [
    "198.51.100.66:1",
    "198.51.100.66:2",
    "[2001:db8::66]:1",
    "192.0.2.2:6666",
];

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
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

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    /// The end that it happens to.
    fn end(&self) -> usize {
        usize::from(self.argument & 1)
    }

    /// Any other choice.
    fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[usize::from(self.argument >> 1) % of.len()]
    }
}

struct Duel {
    agents: [Agent; 2],
    now: Instant,
    /// Sent and not yet there: by whom, on which path of its.
    flying: Vec<(usize, Path, Vec<u8>)>,
    /// All paths that the events of each end have called validated.
    validated: [Vec<Path>; 2],
}

impl Duel {
    fn new() -> Self {
        let now = Instant::now();
        let agent = |end: usize| {
            let config = Config {
                max_pairs: MAX_PAIRS,
                max_pending_responses: MAX_RESPONSES,
                max_remote_candidates: 8,
                max_local_candidates: 8,
                stun_servers: vec![address(SERVER)],
                renomination: end == 0,
                ..Config::full(Role::Controlling)
            };
            let mut agent = Agent::new(config, Seed::from_run(end as u64), now);
            agent.set_renomination(true);
            agent
        };
        let mut duel = Self {
            agents: [agent(0), agent(1)],
            now,
            flying: Vec::new(),
            validated: [Vec::new(), Vec::new()],
        };
        duel.bind();
        duel
    }

    fn bind(&mut self) {
        for (end, addresses) in ADDRESSES.into_iter().enumerate() {
            for (nth, local) in addresses.into_iter().enumerate() {
                let candidate = Candidate::host(address(local), Protocol::Udp, 65_535 - nth as u16);
                self.agents[end].add_local_candidate(candidate);
            }
        }
    }

    fn step(&mut self, step: &Step<'_>) {
        match step.operation % 16 {
            0 => self.pass(Duration::from_millis(u64::from(step.argument) * 4), false),
            1 => self.pass(Duration::from_millis(u64::from(step.argument) * 40), true),
            2 => self.fly(step),
            3 => drop(self.take(step)),
            4 => self.alter(step),
            5 => self.repeat_from_elsewhere(step),
            6 => self.make_up(step),
            7 => self.signal(step.end()),
            8 => self.signal_a_stranger(step),
            9 => drop(self.agents[step.end()].restart(self.now)),
            10 => self.change_address(step),
            11 => self.set_role(step),
            12 => self.note(step),
            13 => self.connect(step),
            14 => self.map(step),
            _ => self.forbid(step),
        }
        self.drain();
    }

    fn take(&mut self, step: &Step<'_>) -> Option<(usize, Path, Vec<u8>)> {
        let index = usize::from(step.argument).checked_rem(self.flying.len())?;
        Some(self.flying.remove(index))
    }

    /// One arrives, perhaps twice.
    fn fly(&mut self, step: &Step<'_>) {
        let Some((from, path, bytes)) = self.take(step) else {
            return;
        };
        for _ in 0..=(step.byte(0) & 1) {
            self.deliver(from, path, &bytes);
        }
    }

    fn deliver(&mut self, from: usize, path: Path, bytes: &[u8]) {
        let to = 1 - from;
        let bound = ADDRESSES[to].into_iter().any(|local| address(local) == path.remote);
        if bound && path.protocol == Protocol::Udp {
            let back = Path::udp(path.remote, path.local);
            self.agents[to].handle_datagram(self.now, &back, bytes);
        }
    }

    fn alter(&mut self, step: &Step<'_>) {
        let Some((from, path, mut bytes)) = self.take(step) else {
            return;
        };
        let at = usize::from(step.byte(0)) % bytes.len();
        bytes[at] ^= step.byte(1) | 1;
        let before = self.agents[1 - from].selected();
        self.deliver(from, path, &bytes);
        assert_eq!(self.agents[1 - from].selected(), before);
    }

    /// A datagram comes to whom it was for, from an address of a stranger's.
    fn repeat_from_elsewhere(&mut self, step: &Step<'_>) {
        let Some((from, mut path, bytes)) = self.take(step) else {
            return;
        };
        path.local = address(STRANGERS[usize::from(step.byte(0)) % STRANGERS.len()]);
        self.deliver(from, path, &bytes);
    }

    /// Without a key: noise, a request, or an answer to what was seen on its way.
    fn make_up(&mut self, step: &Step<'_>) {
        let to = step.end();
        let from = if step.byte(0) & 1 == 0 {
            step.pick(&STRANGERS)
        } else {
            step.pick(&ADDRESSES[1 - to])
        };
        let local = ADDRESSES[to][usize::from(!address(from).is_ipv4())];
        let path = Path::udp(address(local), address(from));
        let seen = |agent: &Agent| (agent.selected(), agent.state(), agent.may_receive(self.now, &path));
        let before = seen(&self.agents[to]);
        let mut out = [0; 600];
        let class = [
            Class::Request,
            Class::SuccessResponse,
            Class::ErrorResponse,
            Class::Indication,
        ];
        let class = class[usize::from(step.byte(1) & 3)];
        let seen = self.flying.iter().rev().find(|(_, _, bytes)| bytes.len() >= 20);
        let id = seen.and_then(|(_, _, bytes)| Some(Message::parse(bytes).ok()?.transaction_id()));
        let mut builder =
            Builder::new(&mut out, class, Method::BINDING, id.unwrap_or(TransactionId([7; 12]))).expect("room");
        let username = format!("{}:x", self.agents[to].local_credentials().ufrag);
        builder.push(&Value::Username(&username)).expect("room");
        builder
            .push(&Value::XorMappedAddress(address(STRANGERS[0])))
            .expect("room");
        builder.push(&Value::UseCandidate).expect("room");
        builder.push(&Value::IceControlling(u64::MAX)).expect("room");
        builder.fingerprint().expect("room");
        let bytes = if step.byte(2) == 0 {
            builder.finish().to_vec()
        } else {
            step.bytes.to_vec()
        };
        self.agents[to].handle_datagram(self.now, &path, &bytes);
        let seen = |agent: &Agent| (agent.selected(), agent.state(), agent.may_receive(self.now, &path));
        assert_eq!(seen(&self.agents[to]), before);
    }

    /// The STUN server answers, with this mapping or that.
    fn map(&mut self, step: &Step<'_>) {
        let Some((from, path, request)) = self.take(step) else {
            return;
        };
        if path.remote != address(SERVER) {
            return;
        }
        let mut out = [0; 100];
        let id = Message::parse(&request).expect("it is ours").transaction_id();
        let mut builder = Builder::new(&mut out, Class::SuccessResponse, Method::BINDING, id).expect("room");
        let mapped = SocketAddr::from(([203, 0, 113, 9], 1 + u16::from(step.byte(0) & 3)));
        builder.push(&Value::XorMappedAddress(mapped)).expect("room");
        builder.fingerprint().expect("room");
        let answer = builder.finish().to_vec();
        self.agents[from].handle_datagram(self.now, &path, &answer);
    }

    /// The peer takes back its consent, in answer to a check.
    fn forbid(&mut self, step: &Step<'_>) {
        let Some((from, path, request)) = self.take(step) else {
            return;
        };
        let message = Message::parse(&request).expect("it is ours");
        if message.class() != Class::Request {
            return;
        }
        let mut out = [0; 200];
        let id = message.transaction_id();
        let mut builder = Builder::new(&mut out, Class::ErrorResponse, Method::BINDING, id).expect("room");
        builder.error_code(ErrorCode::FORBIDDEN).expect("room");
        let key = Key::short_term(&self.agents[1 - from].local_credentials().pwd);
        builder.integrity(&key).expect("room");
        builder.fingerprint().expect("room");
        let answer = builder.finish().to_vec();
        self.agents[from].handle_datagram(self.now, &path, &answer);
    }

    /// One end's credentials and candidates reach the other.
    fn signal(&mut self, end: usize) {
        let credentials = self.agents[end].local_credentials().clone();
        let candidates = self.agents[end].local_candidates().to_vec();
        let other = &mut self.agents[1 - end];
        if other
            .remote_credentials()
            .is_some_and(|known| known.is_restarted_by(&credentials))
            && other.state() != State::Failed
        {
            // What the signalling of the caller does.
            other.restart(self.now);
        }
        other.set_remote_credentials(self.now, credentials);
        candidates
            .into_iter()
            .for_each(|candidate| other.add_remote_candidate(candidate));
        other.end_of_remote_candidates();
    }

    fn signal_a_stranger(&mut self, step: &Step<'_>) {
        let mut candidate = Candidate::host(address(step.pick(&STRANGERS)), Protocol::Udp, u16::from(step.byte(0)));
        candidate.priority = u32::from_be_bytes([step.byte(1), step.byte(2), step.byte(3), 1]);
        if step.byte(4) & 1 == 1 {
            candidate = Candidate::host(candidate.address, Protocol::Tcp, 1);
        }
        candidate.foundation = (step.byte(5) & 3).to_string();
        self.agents[step.end()].add_remote_candidate(candidate);
    }

    fn change_address(&mut self, step: &Step<'_>) {
        let agent = &mut self.agents[step.end()];
        let local = address(step.pick(&ADDRESSES[step.end()]));
        match step.byte(0) % 5 {
            0 => agent.remove_local_candidate(self.now, local, Protocol::Udp),
            4 => {
                let relayed = Candidate::relayed(address(step.pick(&RELAYED)), local, u16::from(step.byte(1)));
                let protocol = step.pick(&[Protocol::Udp, Protocol::Tcp]);
                agent.add_relayed_candidate(relayed, address(SERVER), protocol);
            }
            1 => agent.add_local_candidate(Candidate::tcp_active(local.ip(), 1)),
            2 => agent.add_local_candidate(Candidate::host(local, Protocol::Udp, u16::from(step.byte(1)))),
            _ => agent.end_of_local_candidates(),
        }
    }

    fn set_role(&mut self, step: &Step<'_>) {
        let agent = &mut self.agents[step.end()];
        match step.byte(0) & 3 {
            0 => agent.set_role(Role::Controlling),
            1 => agent.set_role(Role::Controlled),
            _ if step.byte(0) & 8 != 0 => {
                let pace = |pace: &u8| Duration::from_millis(u64::from(*pace) << 4);
                agent.set_peer_pacing(step.bytes.get(1).map(pace));
            }
            _ => agent.set_renomination(step.byte(0) & 4 == 0),
        }
    }

    fn note(&mut self, step: &Step<'_>) {
        let agent = &mut self.agents[step.end()];
        let activity = step.pick(&[Activity::Handshake, Activity::Dtls, Activity::Srtp, Activity::Srtcp]);
        let path = agent
            .selected()
            .unwrap_or_else(|| Path::udp(address(ADDRESSES[0][0]), address(STRANGERS[0])));
        agent.note_activity(self.now, &path, activity);
        if step.byte(1) & 1 == 1 {
            agent.check_again(self.now);
        }
    }

    fn connect(&mut self, step: &Step<'_>) {
        let end = step.end();
        let path = Path {
            local: SocketAddr::new(address(ADDRESSES[end][0]).ip(), u16::from(step.byte(1))),
            remote: address(step.pick(&STRANGERS)),
            protocol: Protocol::Tcp,
        };
        match step.byte(0) & 1 {
            0 => self.agents[end].handle_connected(self.now, &path),
            _ => self.agents[end].handle_closed(self.now, &path),
        }
    }

    /// Time passes for both. Datagrams arrive at once, or stay where they are.
    fn pass(&mut self, time: Duration, faithfully: bool) {
        let end = self.now + time;
        loop {
            self.drain();
            while faithfully && !self.flying.is_empty() {
                let (from, path, bytes) = self.flying.remove(0);
                self.deliver(from, path, &bytes);
                self.drain();
            }
            let next = self.agents.iter().filter_map(Agent::poll_timeout).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for agent in &mut self.agents {
                agent.handle_timeout(self.now);
            }
            self.drain();
            let late = |agent: &Agent| agent.poll_timeout().is_some_and(|next| next <= self.now);
            assert!(!self.agents.iter().any(late), "a deadline stays in the past");
        }
        self.now = end;
        for agent in &mut self.agents {
            agent.handle_timeout(end);
        }
    }

    fn drain(&mut self) {
        let mut out = [0; MIN_OUT];
        for (end, agent) in self.agents.iter_mut().enumerate() {
            let mut sent = 0;
            while let Some(transmit) = agent.poll_transmit(self.now, &mut out) {
                sent += 1;
                assert!(sent <= MAX_SENT, "an agent never stops sending");
                if self.flying.len() == MAX_FLYING {
                    self.flying.remove(0);
                }
                self.flying.push((end, transmit.path, out[..transmit.len].to_vec()));
            }
            while let Some(event) = agent.poll_event() {
                sent += 1;
                assert!(sent <= 2 * MAX_SENT, "an agent never stops telling");
                match event {
                    Event::PathValidated(path) => self.validated[end].push(path),
                    Event::PathRemoved(path) => self.validated[end].retain(|known| *known != path),
                    _ => {}
                }
            }
        }
    }

    fn assert_consistent(&self) {
        for (end, agent) in self.agents.iter().enumerate() {
            let selected = agent.selected();
            assert!(selected.is_none_or(|path| agent.is_validated(&path)));
            match agent.state() {
                State::New | State::Checking | State::Failed => assert_eq!(selected, None),
                State::Connected => assert!(selected.is_some()),
                State::Disconnected => {}
            }
            let mut paths: Vec<Path> = agent.pairs().map(|pair| pair.path).collect();
            paths.sort();
            let mut told = self.validated[end].clone();
            told.sort();
            assert_eq!(told, paths);
            assert!(paths.len() <= MAX_PAIRS);
            let strange = |path: &Path| STRANGERS.into_iter().any(|stranger| address(stranger) == path.remote);
            assert!(!paths.iter().any(strange), "nobody has answered there");
            assert!(agent.local_candidates().len() <= 8 && agent.remote_candidates().len() <= 8);
            let reflexive = |candidate: &&Candidate| candidate.kind == CandidateKind::ServerReflexive;
            let mapped = agent.local_candidates().iter().filter(reflexive).count();
            assert!(mapped <= 1, "one server, one base of its family, one mapping");
            assert_eq!(agent.poll_timeout().is_some(), agent.next_timer().is_some());
        }
    }

    /// From here on the network is good.
    fn make_peace(&mut self) {
        // One that is on its way from a session to the next may have been silent in the one before for as long.
        let waits = |agent: &Agent| agent.state() == State::Disconnected || agent.local_ufrags().count() > 1;
        if self.agents.iter().any(waits) {
            // A restart does not extend the patience with who is silent: one that is about to fail would a moment after
            // it.
            self.pass(Duration::from_secs(45), false);
        }
        self.flying.clear();
        self.bind();
        for agent in &mut self.agents {
            agent.restart(self.now);
            agent.set_peer_pacing(None);
        }
        // The restart of the one is the answer to that of the other.
        for end in [0, 1] {
            let credentials = self.agents[end].local_credentials().clone();
            let candidates = self.agents[end].local_candidates().to_vec();
            self.agents[1 - end].set_remote_credentials(self.now, credentials);
            for candidate in candidates {
                self.agents[1 - end].add_remote_candidate(candidate);
            }
        }
        self.pass(Duration::from_secs(10), true);
        self.assert_consistent();
        let [a, b] = &self.agents;
        assert_eq!((a.state(), b.state()), (State::Connected, State::Connected));
        assert_eq!(a.role(), b.role().other());
        let back = |path: Path| Path::udp(path.remote, path.local);
        assert_eq!(a.selected().map(back), b.selected());
        for agent in [a, b] {
            assert!(agent.pairs().any(|pair| pair.selected && pair.nominated));
            assert_eq!(agent.local_ufrags().count(), 1, "the session before is forgotten");
        }
    }
}
