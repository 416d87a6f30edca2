use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::message::{Fragment, HandshakeHeader, HelloVerifyRequest, RecordHeader, ServerHello, split_record};
use dtls_srtp::{
    Config, ContentType, CookieExchange, CookieLimits, Dtls, Exchanged, HandshakeType, NamedGroup, Role, Version, fake,
};
use wire::{Reader, Seed, Writer};

const LIMITS: CookieLimits = CookieLimits {
    lifetime: Duration::from_secs(30),
    hello_timeout: Duration::from_secs(5),
    held_bytes: 12_000,
};

/// A door that asks for cookies, under attack while genuine clients come to it, on fake cryptography.
///
/// The input is one byte of settings and then any number of steps: operation, length modulo 64, that many bytes. What the
/// steps leave undone is done at the end, so most inputs reach a connection. Nobody is proven without a cookie that went to
/// its address, no address gets more than three times what came from there, and memory stays within its budget.
pub fn dtls_cookie(data: &[u8]) {
    attack(data);
}

/// Runs a script; whether a genuine client was connected.
fn attack(data: &[u8]) -> bool {
    let mut r = Reader::new(data);
    let mut scene = Scene::new(r.u8().unwrap_or_default());
    while let (Ok(operation), Ok(len)) = (r.u8(), r.u8()) {
        let len = usize::from(len % 64).min(r.remaining());
        let bytes = r.take(len).expect("that many remain");
        scene.step(operation, bytes);
    }
    scene.settle()
}

/// An address and who is there.
struct Place {
    client: Dtls,
    /// What the client has said and what is not delivered.
    said: VecDeque<Vec<u8>>,
    server: Option<Dtls>,
    /// Bytes that came from here, and that went back, before it was proven.
    came: usize,
    went: usize,
    /// The cookies that went here.
    cookies: BTreeSet<Vec<u8>>,
}

struct Scene {
    now: Instant,
    door: CookieExchange,
    places: [Place; 2],
    /// Whose turn it is.
    at: usize,
}

impl Place {
    fn new(settings: u8, number: u64, now: Instant) -> Self {
        let mut config = Config::new(Arc::new(fake::FakeCrypto::new()), fake::certificate(1));
        config.versions = versions(settings);
        config.max_datagram = if settings & 4 == 0 { 1200 } else { 256 };
        let mut client = Dtls::new(Arc::new(config), Role::Client, Seed::from_run(number), now);
        client.set_remote_fingerprints(vec![fake::certificate(2).fingerprint()]);
        Self {
            client,
            said: VecDeque::new(),
            server: None,
            came: 0,
            went: 0,
            cookies: BTreeSet::new(),
        }
    }
}

/// The lower two bits: DTLS 1.2, 1.3, or both.
fn versions(settings: u8) -> Vec<Version> {
    match settings & 3 {
        0 => vec![Version::DTLS_1_2],
        1 => vec![Version::DTLS_1_3],
        _ => vec![Version::DTLS_1_3, Version::DTLS_1_2],
    }
}

impl Scene {
    fn new(settings: u8) -> Self {
        let now = Instant::now();
        let mut config = Config::new(Arc::new(fake::FakeCrypto::new()), fake::certificate(2));
        config.versions = versions(settings >> 3);
        if settings & 32 != 0 {
            config.groups = vec![NamedGroup::SECP256R1];
        }
        Self {
            now,
            door: CookieExchange::new(Arc::new(config), LIMITS, Seed::from_run(9), now),
            places: [Place::new(settings, 1, now), Place::new(settings, 2, now)],
            at: 0,
        }
    }

    fn step(&mut self, operation: u8, bytes: &[u8]) {
        self.flush();
        let place = &mut self.places[self.at];
        match operation % 16 {
            0..=5 => self.deliver(),
            6 => self.at = 1 - self.at,
            7 => drop(place.said.pop_front()),
            8 => {
                if let Some(datagram) = place.said.front().cloned() {
                    place.said.push_back(datagram);
                }
            }
            9 => {
                if place.said.len() > 1 {
                    place.said.swap(0, 1);
                }
            }
            10 => {
                let seconds = bytes.first().copied().unwrap_or_default() % 64;
                self.pass_time(Duration::from_secs(seconds.into()));
            }
            // What one says, from where the other is.
            11 => {
                if let Some(datagram) = place.said.front().cloned() {
                    self.knock(1 - self.at, &datagram);
                }
            }
            12 => {
                if let Some(mut datagram) = place.said.front().cloned() {
                    for &[high, low, xor] in bytes.as_chunks().0 {
                        let at = usize::from(u16::from_be_bytes([high, low])) % datagram.len();
                        datagram[at] ^= xor;
                    }
                    self.knock(self.at, &datagram);
                }
            }
            13 => self.knock(self.at, bytes),
            14 => self.knock(self.at, &fragment(bytes)),
            _ => {
                let source = [bytes, b"elsewhere"].concat();
                let mut out = [0; CookieExchange::MIN_OUT];
                let datagram = fragment(bytes);
                let exchanged = self.door.handle_datagram(self.now, &source, &datagram, &mut out);
                assert!(!matches!(exchanged, Exchanged::Proven(_)));
            }
        }
        assert!(self.door.held_bytes() <= LIMITS.held_bytes);
    }

    /// The next datagram of whose turn it is.
    fn deliver(&mut self) {
        if let Some(datagram) = self.places[self.at].said.pop_front() {
            self.knock(self.at, &datagram);
        }
    }

    fn knock(&mut self, from: usize, datagram: &[u8]) {
        let place = &mut self.places[from];
        if let Some(server) = &mut place.server {
            server.handle_datagram(self.now, &mut datagram.to_vec(), &mut |_| ());
            return;
        }
        place.came += datagram.len();
        let mut out = [0; CookieExchange::MIN_OUT];
        match self.door.handle_datagram(self.now, &[from as u8], datagram, &mut out) {
            Exchanged::Answer(len) => {
                place.went += len;
                place.cookies.extend(cookie_in(&out[..len]));
                assert!(place.went <= 3 * place.came, "{} for {}", place.went, place.came);
                place.client.handle_datagram(self.now, &mut out[..len], &mut |_| ());
            }
            Exchanged::Proven(hello) => {
                let cookie = hello.cookie().expect("a proven hello has a cookie");
                assert!(
                    place.cookies.contains(cookie),
                    "a cookie that did not go to its address"
                );
                let mut server = Dtls::accept(*hello, Seed::from_run(3), self.now);
                server.set_remote_fingerprints(vec![fake::certificate(1).fingerprint()]);
                place.server = Some(server);
            }
            Exchanged::Nothing => {}
        }
    }

    fn flush(&mut self) {
        let mut out = [0; 1500];
        for place in &mut self.places {
            if let Some(server) = &mut place.server {
                while let Some(len) = server.poll_transmit(self.now, &mut out) {
                    place.client.handle_datagram(self.now, &mut out[..len], &mut |_| ());
                }
            }
            while let Some(len) = place.client.poll_transmit(self.now, &mut out) {
                if place.said.len() < 200 {
                    place.said.push_back(out[..len].to_vec());
                }
            }
        }
    }

    fn pass_time(&mut self, time: Duration) {
        self.now += time;
        self.door.handle_timeout(self.now);
        assert!(self.door.poll_timeout().is_none_or(|at| at > self.now));
        for place in &mut self.places {
            place.client.handle_timeout(self.now);
            if let Some(server) = &mut place.server {
                server.handle_timeout(self.now);
            }
        }
    }

    /// Everything from here on arrives, and time passes, until both handshakes are over.
    fn settle(&mut self) -> bool {
        for _ in 0..100 {
            for at in [0, 1] {
                self.at = at;
                self.flush();
                while !self.places[at].said.is_empty() {
                    self.deliver();
                    self.flush();
                }
            }
            self.pass_time(Duration::from_secs(1));
        }
        assert_eq!((self.door.held_bytes(), self.door.poll_timeout()), (0, None));
        self.places.iter().any(|place| {
            let mut exported = [[0; 32]; 2];
            let [ours, theirs] = &mut exported;
            let connected = place.client.export(b"fuzz", None, ours).is_ok()
                && place
                    .server
                    .as_ref()
                    .is_some_and(|server| server.export(b"fuzz", None, theirs).is_ok());
            if connected {
                assert_eq!(exported[0], exported[1], "the two ends believe in different handshakes");
            }
            connected
        })
    }
}

/// The cookie in an answer, unless that is an alert.
fn cookie_in(answer: &[u8]) -> Option<Vec<u8>> {
    let mut answer = answer.to_vec();
    let (header, body, _) = split_record(&mut answer).expect("an answer is a record");
    if header.content_type != ContentType::HANDSHAKE {
        return None;
    }
    let fragment = Fragment::read(&mut Reader::new(body)).expect("a whole message");
    let cookie = if fragment.header.message_type == HandshakeType::HELLO_VERIFY_REQUEST {
        HelloVerifyRequest::parse(fragment.body).expect("a request").cookie
    } else {
        let request = ServerHello::parse(fragment.body).expect("a request");
        let cookie = request.extensions.cookie().expect("its extensions can be read");
        cookie.expect("a cookie is asked for")
    };
    Some(cookie.to_vec())
}

/// A fragment of a hello: two bytes say which and how long it is, two where the fragment stands in it; the rest is its body.
fn fragment(bytes: &[u8]) -> Vec<u8> {
    let (head, body) = bytes.split_at(bytes.len().min(4));
    let byte = |at: usize| head.get(at).copied().unwrap_or_default();
    let fragment_offset = u32::from(byte(2)) << (byte(3) % 8);
    let header = HandshakeHeader {
        message_type: HandshakeType::CLIENT_HELLO,
        length: fragment_offset + body.len() as u32 + u32::from(byte(0)),
        message_seq: u16::from(byte(1) % 4),
        fragment_offset,
        fragment_length: body.len() as u32,
    };
    let record = RecordHeader {
        content_type: ContentType::HANDSHAKE,
        version: Version::DTLS_1_2,
        epoch: 0,
        sequence: u64::from(byte(3)),
        length: (HandshakeHeader::LEN + body.len()) as u16,
    };
    let mut out = [0; 128];
    let mut w = Writer::new(&mut out);
    let written = record
        .write(&mut w)
        .and_then(|()| header.write(&mut w))
        .and_then(|()| w.put(body));
    written.expect("it fits");
    w.into_written().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fuzzer that never gets past the door tests nothing behind it.
    #[test]
    fn more_than_30_percent_of_random_scripts_reach_a_connection() {
        let runs = 1000_u64;
        let script = |run: u64| -> Vec<u8> {
            let mut state = run;
            let mut next = || {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8
            };
            (0..40 + run % 400).map(|_| next()).collect()
        };
        let connected = (0..runs).filter(|&run| attack(&script(run))).count();
        println!("{connected} of {runs} scripts reach a connection");
        assert!(connected > 300, "{connected} of {runs}");
        assert!(connected < 990, "no attack ever succeeds in anything");
    }

    /// What is asserted about cookies can fail.
    #[test]
    fn cookies_that_went_elsewhere_are_noticed() {
        for settings in [0, 0o11, 0o22] {
            let mut scene = Scene::new(settings);
            while scene.places[0].went == 0 {
                scene.flush();
                scene.deliver();
            }
            let [ours, theirs] = &mut scene.places;
            assert_eq!(ours.cookies.len(), 1);
            theirs.cookies.append(&mut ours.cookies);
            let settle = std::panic::AssertUnwindSafe(|| scene.settle());
            assert!(std::panic::catch_unwind(settle).is_err(), "{settings}");
        }
    }

    #[test]
    fn an_empty_script_connects_where_versions_agree() {
        for settings in 0..64 {
            let (client, server) = (versions(settings), versions(settings >> 3));
            let agree = client.iter().any(|version| server.contains(version));
            assert_eq!(attack(&[settings]), agree, "{settings}");
        }
    }
}
