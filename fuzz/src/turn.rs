use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use stun::{AttributeType, Builder, Class, ErrorCode, Key, Message, Method, TransactionId, Value};
use turn::client::{Client, Config, Credentials, Event, Families, MIN_OUT, Relayed, State, Transport};
use turn::{ChannelData, MAX_FRAME};
use wire::{Reader, Seed};

const USER: &str = "user";
const REALM: &str = "realm";
const PASSWORD: &str = "pass";
/// Few, so that budgets are met.
const MAX_PEERS: usize = 5;

/// A TURN client under everything that may happen to it, in any order: right answers, refusals, forgeries, noise, data,
/// losses, the passing of time, commands. A forgery changes nothing, data is only taken from peers that are wanted, no
/// data goes out before its permission was asked for, and everything ends: with a server that answers again every known
/// peer can be sent to or is refused, and a server that is silent is given up.
///
/// The input is a byte that says what is asked for and of what server, and any number of steps: operation, argument,
/// length, that many bytes. Three of four inputs begin with an allocation.
pub fn turn_client(data: &[u8]) {
    run_turn_client(data);
}

/// Runs an input; whether there was an allocation at some time.
pub(crate) fn run_turn_client(data: &[u8]) -> bool {
    let mut r = Reader::new(data);
    let Ok(flags) = r.u8() else { return false };
    let mut session = Session::new(flags);
    if flags & 3 != 3 {
        session.exchange();
    }
    while let (Ok(operation), Ok(argument)) = (r.u8(), r.u8()) {
        let len = usize::from(r.u8().unwrap_or_default()).min(r.remaining());
        let bytes = r.take(len).unwrap_or_default();
        session.step(operation, argument, bytes);
        session.assert_consistent();
    }
    if flags & 1 == 0 {
        session.settle();
    }
    session.end();
    session.allocated
}

struct Session {
    client: Client,
    auth: bool,
    stream: bool,
    now: Instant,
    nonce: u32,
    /// Requests that were sent and not answered yet, the newest last.
    requests: Vec<Vec<u8>>,
    /// Addresses whose permission was asked for, ever.
    asked: HashSet<IpAddr>,
    /// Until when the server lets data through.
    permitted: HashMap<IpAddr, Instant>,
    allocated: bool,
    closed: bool,
}

fn peers_of<'a>(message: &Message<'a>) -> impl Iterator<Item = IpAddr> + use<'a> {
    message.attributes().filter_map(|attribute| match attribute.decode() {
        Ok(Value::XorPeerAddress(peer)) => Some(peer.ip()),
        _ => None,
    })
}

fn peer(n: u8) -> SocketAddr {
    let port = u16::from(n & 0x0c) + 1;
    match n & 1 {
        0 => SocketAddr::from(([203, 0, 113, n >> 4], port)),
        _ => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(n >> 4)], port)),
    }
}

impl Session {
    fn new(flags: u8) -> Self {
        let (auth, stream) = (flags & 4 != 0, flags & 8 != 0);
        let families = [Families::Ipv4, Families::Ipv6, Families::Both, Families::Both];
        let config = Config {
            credentials: Credentials::new(USER, PASSWORD),
            transport: if stream { Transport::Stream } else { Transport::Udp },
            families: families[usize::from(flags >> 4 & 3)],
            relayed: if flags & 0xc8 == 0xc8 {
                Relayed::Tcp
            } else {
                Relayed::Udp
            },
            max_peers: MAX_PEERS,
            max_channels: 4,
            max_transactions: 4,
            max_waiting_bytes: 1000,
            max_events: 8,
            ..Config::default()
        };
        let now = Instant::now();
        let server = SocketAddr::from(([192, 0, 2, 1], 3478));
        let local = SocketAddr::from(([198, 51, 100, 1], 5000));
        Self {
            client: Client::new(config, server, local, Seed::from_run(1), now),
            auth,
            stream,
            now,
            nonce: 0,
            requests: Vec::new(),
            asked: HashSet::new(),
            permitted: HashMap::new(),
            allocated: false,
            closed: false,
        }
    }

    fn step(&mut self, operation: u8, argument: u8, bytes: &[u8]) {
        match operation % 14 {
            0 => self.exchange(),
            1 => self.refuse(argument, bytes),
            2 => self.forge(argument, bytes),
            3 => self.give(bytes.to_vec()),
            4 => self.send(argument, bytes),
            5 => drop(self.client.permit(self.now, peer(argument))),
            6 => drop(self.client.bind(self.now, peer(argument))),
            7 => self.client.forget(self.now, &peer(argument)),
            8 => self.pass(argument, bytes.len() & 1 == 0),
            9 => self.data(argument, bytes),
            10 => self.channel_data(argument, bytes),
            11 => self.poll(),
            12 => self.nonce += 1,
            _ => self.command(argument),
        }
    }

    /// Takes what the client sends and answers it rightly, until there is nothing more.
    fn exchange(&mut self) {
        for turn in 0.. {
            assert!(turn < 64, "an exchange ends");
            self.poll();
            let Some(request) = self.requests.pop() else { return };
            let answer = self.answer(&request, None);
            self.give(answer);
            self.events();
        }
    }

    fn refuse(&mut self, argument: u8, bytes: &[u8]) {
        self.poll();
        let Some(request) = self.requests.pop() else { return };
        let codes = [300, 400, 401, 403, 437, 438, 440, 446, 447, 486, 500, 508];
        let code = codes[usize::from(argument) % codes.len()];
        let answer = self.answer(&request, Some((ErrorCode(code), bytes)));
        self.give(answer);
    }

    fn key() -> Key {
        Key::long_term_md5(USER, REALM, PASSWORD)
    }

    /// The server's answer.
    fn answer(&mut self, request: &[u8], error: Option<(ErrorCode, &[u8])>) -> Vec<u8> {
        let message = Message::parse(request).expect("a request");
        let signed = message.nonce().expect("legal").is_some();
        let nonce = format!("nonce{}", self.nonce);
        let stale = signed && message.nonce() != Ok(Some(&nonce));
        let challenge = match (self.auth && !signed, stale) {
            (true, _) => Some(ErrorCode::UNAUTHENTICATED),
            (_, true) => Some(ErrorCode::STALE_NONCE),
            _ => None,
        };
        let code = challenge.or_else(|| error.map(|(code, _)| code));
        let class = if code.is_some() {
            Class::ErrorResponse
        } else {
            Class::SuccessResponse
        };
        let mut out = [0; 600];
        let mut b = Builder::new(&mut out, class, message.method(), message.transaction_id()).expect("room");
        if let Some(code) = code {
            b.error_code(code).expect("legal");
            b.push(&Value::Realm(REALM)).expect("room");
            b.push(&Value::Nonce(&nonce)).expect("room");
            let port = error.and_then(|(_, bytes)| bytes.first()).copied().unwrap_or_default();
            let alternate = SocketAddr::from(([192, 0, 2, 1 + (port & 3)], 3478));
            b.push(&Value::AlternateServer(alternate)).expect("room");
        } else {
            self.grant(&message, &mut b);
            if matches!(message.method(), Method::CREATE_PERMISSION | Method::CHANNEL_BIND) {
                let until = self.now + Duration::from_secs(300);
                self.permitted.extend(peers_of(&message).map(|peer| (peer, until)));
            }
        }
        if signed {
            b.integrity(&Self::key()).expect("room");
        }
        b.finish().to_vec()
    }

    fn grant(&self, message: &Message<'_>, b: &mut Builder<'_>) {
        let has = |kind| message.attribute(kind).is_some();
        match message.method() {
            Method::ALLOCATE => {
                let only_ipv6 = has(AttributeType::REQUESTED_ADDRESS_FAMILY);
                if !only_ipv6 {
                    let relayed = SocketAddr::from(([192, 0, 2, 15], 50_000));
                    b.push(&Value::XorRelayedAddress(relayed)).expect("room");
                }
                if only_ipv6 || has(AttributeType::ADDITIONAL_ADDRESS_FAMILY) {
                    let relayed = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 15], 50_000));
                    b.push(&Value::XorRelayedAddress(relayed)).expect("room");
                }
                b.push(&Value::Lifetime(600)).expect("room");
            }
            Method::REFRESH => {
                let asked = message.lifetime().expect("legal").unwrap_or(600);
                b.push(&Value::Lifetime(asked)).expect("room");
            }
            Method::CONNECT => {
                b.push(&Value::Other(AttributeType::CONNECTION_ID, &[0, 0, 0, 7]))
                    .expect("room");
            }
            _ => {}
        }
    }

    /// An answer to a signed request whose integrity is missing, wrong, or was right before a byte was changed.
    fn forge(&mut self, argument: u8, bytes: &[u8]) {
        self.poll();
        let Some(request) = self.requests.last().cloned() else {
            return;
        };
        let message = Message::parse(&request).expect("a request");
        if message.nonce().expect("legal").is_none() {
            return;
        }
        let mut out = [0; 600];
        let id = message.transaction_id();
        let mut b = Builder::new(&mut out, Class::SuccessResponse, message.method(), id).expect("room");
        self.grant(&message, &mut b);
        match argument & 3 {
            0 => {}
            1 => b.integrity(&Key::short_term("wrong")).expect("room"),
            _ => b.integrity(&Self::key()).expect("room"),
        }
        let mut answer = b.finish().to_vec();
        if argument & 2 != 0 {
            // Not of the header's length or cookie, which would make it no message, nor of the id, which would make it
            // nobody's.
            let change = bytes.first().copied().unwrap_or_default() | 1;
            let at = 20 + usize::from(argument >> 2) % (answer.len() - 20);
            answer[at] ^= change;
            // A wrong error code or nonce may come about, but no proof.
            if Message::parse(&answer).is_ok_and(|message| message.verify_integrity(&Self::key()).is_ok()) {
                return;
            }
        }
        let before = (
            self.client.state(),
            self.client.expires(),
            self.client.peers().collect::<Vec<_>>(),
        );
        let bound: Vec<_> = self.client.peers().map(|peer| self.client.is_bound(&peer)).collect();
        self.give(answer);
        if self.stream {
            return;
        }
        let after = (
            self.client.state(),
            self.client.expires(),
            self.client.peers().collect::<Vec<_>>(),
        );
        assert_eq!(before, after);
        let still: Vec<_> = self.client.peers().map(|peer| self.client.is_bound(&peer)).collect();
        assert_eq!(bound, still);
    }

    /// Gives the client a message, on a stream in two pieces.
    fn give(&mut self, mut message: Vec<u8>) {
        if !self.stream {
            if let Some(received) = self.client.handle_datagram(self.now, &mut message) {
                let (from, len) = (received.peer, received.data.len());
                self.took(from, len);
            }
            return;
        }
        let padding = if ChannelData::is(&message) {
            message.len().wrapping_neg() & 3
        } else {
            0
        };
        message.resize(message.len() + padding, 0);
        let cut = message.len() / 2;
        let mut received = Vec::new();
        let mut sink = |data: turn::client::Received<'_>| received.push((data.peer, data.data.len()));
        let Ok(used) = self.client.handle_stream(self.now, &mut message[..cut], &mut sink) else {
            assert_eq!(self.client.state(), State::Closed);
            return;
        };
        assert!(used <= cut);
        if let Ok(more) = self.client.handle_stream(self.now, &mut message[used..], &mut sink) {
            assert!(used + more <= MAX_FRAME);
        }
        for (from, len) in received {
            self.took(from, len);
        }
    }

    fn took(&self, from: SocketAddr, len: usize) {
        assert!(len <= 255);
        assert!(
            self.client.peers().any(|known| known.ip() == from.ip()),
            "{from} is not wanted"
        );
        assert_eq!(self.client.state(), State::Allocated);
    }

    fn send(&mut self, argument: u8, bytes: &[u8]) {
        let peer = peer(argument);
        let mut out = [0; 2048];
        let sent = match argument & 2 {
            0 => self.client.send(self.now, peer, bytes, &mut out),
            _ => {
                let segment = NonZeroU16::new(1 + u16::from(argument >> 4)).expect("not zero");
                let bytes = &bytes[..bytes.len().min(24)];
                self.client.send_run(self.now, peer, bytes, segment, &mut out)
            }
        };
        if let Ok(Some(transmit)) = sent {
            let size = transmit
                .segment
                .map_or(transmit.len, |segment| usize::from(segment.get()));
            if !self.stream {
                for message in out[..transmit.len].chunks(size.max(1)) {
                    self.sent(message);
                }
            }
        }
    }

    /// Looks at a message of the client's.
    fn sent(&mut self, bytes: &[u8]) {
        if ChannelData::is(bytes) {
            ChannelData::parse(bytes).expect("we write what parses");
            return;
        }
        let message = Message::parse(bytes).expect("we write what parses");
        let mut peers = peers_of(&message);
        if message.class() == Class::Indication {
            assert!(
                peers.all(|peer| self.asked.contains(&peer)),
                "data overtook its permission"
            );
            return;
        }
        self.asked.extend(peers);
        let proof = message.verify_integrity(&Self::key());
        assert!(message.nonce().expect("legal").is_none() || proof.is_ok());
        self.requests.retain(|request| request != bytes);
        self.requests.push(bytes.to_vec());
        if self.requests.len() > 8 {
            self.requests.remove(0);
        }
    }

    fn poll(&mut self) {
        let mut out = [0; MIN_OUT];
        for turn in 0.. {
            assert!(turn < 200, "what is pending is bounded");
            let Some(transmit) = self.client.poll_transmit(self.now, &mut out) else {
                return;
            };
            assert_eq!(transmit.path, self.client.path());
            self.sent(&out[..transmit.len]);
        }
    }

    /// Up to 255 s, with timers fired in time, or late.
    fn pass(&mut self, argument: u8, in_time: bool) {
        let end = self.now + Duration::from_secs(u64::from(argument));
        while let Some(deadline) = self
            .client
            .poll_timeout()
            .filter(|deadline| in_time && *deadline <= end)
        {
            assert!(self.client.next_timer().is_some());
            self.now = self.now.max(deadline);
            self.client.handle_timeout(self.now);
            self.client.handle_timeout(self.now);
            self.poll();
            let next = self.client.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timer does not end");
        }
        self.now = end;
        self.client.handle_timeout(end);
    }

    fn data(&mut self, argument: u8, bytes: &[u8]) {
        let mut out = [0; 600];
        let kind = if argument & 2 == 0 {
            AttributeType::DATA
        } else {
            AttributeType::ICMP
        };
        let method = if bytes.len() == 4 {
            Method::CONNECTION_ATTEMPT
        } else {
            Method::DATA
        };
        let mut b = Builder::new(&mut out, Class::Indication, method, TransactionId([9; 12])).expect("room");
        b.push(&Value::XorPeerAddress(peer(argument))).expect("room");
        b.push(&Value::Other(kind, bytes)).expect("room");
        if bytes.len() == 4 {
            b.push(&Value::Other(AttributeType::CONNECTION_ID, bytes))
                .expect("room");
        }
        let message = b.finish().to_vec();
        self.give(message);
    }

    fn channel_data(&mut self, argument: u8, bytes: &[u8]) {
        let mut message = vec![0x40, argument & 7, 0, bytes.len().try_into().unwrap_or_default()];
        message.extend(bytes);
        self.give(message);
    }

    fn command(&mut self, argument: u8) {
        match argument % 8 {
            0 => self.client.close(),
            1 => self.client.handle_disconnect(),
            2 | 3 => self
                .client
                .reconnected(SocketAddr::from(([198, 51, 100, 1], u16::from(argument) + 1))),
            4 | 5 => drop(self.client.connect(self.now, peer(argument))),
            _ => self.events(),
        }
    }

    fn events(&mut self) {
        for turn in 0.. {
            assert!(turn < 10, "events are bounded");
            let Some(event) = self.client.poll_event() else { return };
            assert!(!self.closed, "nothing follows the last event");
            self.closed = matches!(event, Event::Closed(_));
            assert!(!self.closed || self.client.state() == State::Closed);
        }
    }

    fn assert_consistent(&mut self) {
        self.allocated |= self.client.allocation().is_some();
        assert!(self.client.peers().count() <= MAX_PEERS);
        if self.client.state() == State::Closed {
            assert_eq!((self.client.poll_timeout(), self.client.peers().count()), (None, 0));
            assert!(self.client.poll_transmit(self.now, &mut [0; MIN_OUT]).is_none());
        }
    }

    /// Whatever came before: once the server answers everything, nothing is waited for in vain.
    fn settle(&mut self) {
        self.exchange();
        let end = self.now + Duration::from_secs(400);
        while let Some(deadline) = self.client.poll_timeout().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.client.handle_timeout(self.now);
            self.exchange();
        }
        self.now = end;
        // Where nothing is signed, noise may have granted what the server did not.
        if !self.auth || self.client.state() != State::Allocated {
            return;
        }
        let peers: Vec<_> = self.client.peers().collect();
        for peer in peers {
            let mut out = [0; 64];
            // One that could have no channel was not asked for at all.
            if self.client.send(self.now, peer, b"?", &mut out) == Ok(None) {
                self.exchange();
            }
            match self.client.send(self.now, peer, b"?", &mut out) {
                Ok(Some(_)) => {
                    let until = self.permitted.get(&peer.ip());
                    assert!(until.is_some_and(|until| *until > self.now), "{peer} is not reached");
                }
                Ok(None) => panic!("{peer} is waited for in vain"),
                Err(_) => {}
            }
        }
    }

    /// Whatever came before: a server that is silent from now on is given up.
    fn end(&mut self) {
        self.allocated |= self.client.allocation().is_some();
        for _ in 0..16 {
            self.poll();
            self.pass(255, true);
        }
        self.events();
        assert_eq!(self.client.state(), State::Closed);
        assert!(self.closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn more_than_a_third_of_random_inputs_have_an_allocation() {
        let (mut state, mut allocated) = (1, 0);
        for _ in 0..300 {
            let input: Vec<u8> = (0..120).map(|_| random(&mut state).to_le_bytes()[0]).collect();
            allocated += u32::from(run_turn_client(&input));
        }
        assert!(allocated > 150, "{allocated} of 300");
    }
}
