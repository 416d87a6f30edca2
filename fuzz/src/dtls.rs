use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::message::{
    Ack, Alert, CertificateChain, CertificateChain13, CertificateRequest, CertificateRequest13, CertificateVerify,
    ClientHello, ClientKeyExchange, EncryptedExtensions, Fragment, HelloVerifyRequest, KeyUpdate, NewConnectionId,
    NewSessionTicket, OfferedPsks, RecordHeader, RequestConnectionId, ServerHello, ServerKeyExchange, UnifiedHeader,
    split_record,
};
use dtls_srtp::{
    Authentication, ClientCertificate, CloseReason, Config, ConnectionIds, ContentType, Dtls, Event, ExtensionType,
    HandshakeType, NamedGroup, Role, SavedSession, TicketIssuer, Version, fake, peek_connection_id,
};
use wire::{Full, Reader, Seed, Writer};

/// A datagram as the record layer sees it: every record that is found prints back to the same bytes, also where connection
/// IDs were agreed on.
pub fn dtls_records(data: &[u8]) {
    records(data);
    for id_len in [1, ID_LEN, 20, 255] {
        records_with_ids(data, id_len);
    }
}

/// The length of the connection IDs of engines here.
const ID_LEN: usize = 4;

fn records_with_ids(data: &[u8], id_len: usize) {
    let mut r = Reader::new(data);
    let peeked = peek_connection_id(data, id_len);
    while let Some(first) = r.peek_u8() {
        let start = r.offset();
        let (printed, id, len) = if UnifiedHeader::begins(first) {
            let Ok((header, id)) = UnifiedHeader::read_with_id(&mut r, id_len) else {
                return;
            };
            let len = header.length.map_or_else(|| r.remaining(), usize::from);
            (print(|w| header.write_with_id(w, id)), id, len)
        } else {
            let Ok((header, id)) = RecordHeader::read_with_id(&mut r, id_len) else {
                return;
            };
            (print(|w| header.write_with_id(w, id)), id, usize::from(header.length))
        };
        assert_eq!(data[start..r.offset()], printed);
        assert!(id.is_empty() || id.len() == id_len);
        if start == 0 {
            assert_eq!(peeked.unwrap_or_default(), id);
        }
        if r.skip(len).is_err() {
            return;
        }
    }
}

fn records(data: &[u8]) {
    let mut datagram = data.to_vec();
    let mut rest = &mut datagram[..];
    while !rest.is_empty() {
        let before = rest.to_vec();
        if UnifiedHeader::begins(before[0]) {
            let mut r = Reader::new(&before);
            let Ok(header) = UnifiedHeader::read(&mut r) else {
                return;
            };
            assert!(before.starts_with(&print(|w| header.write(w))));
            if r.skip(header.length.map_or_else(|| r.remaining(), usize::from))
                .is_err()
            {
                return;
            }
            let at = r.offset();
            rest = &mut rest[at..];
            continue;
        }
        let Ok((header, body, tail)) = split_record(rest) else {
            return;
        };
        let printed = print(|w| {
            header.write(w)?;
            w.put(body)
        });
        assert_eq!(printed.len() + tail.len(), before.len());
        assert!(before.starts_with(&printed));
        match header.content_type {
            ContentType::HANDSHAKE => fragments(body),
            ContentType::ALERT => {
                if let Some(alert) = Alert::parse(body) {
                    assert_eq!(alert.to_bytes(), *body);
                }
            }
            ContentType::ACK => {
                if let Ok(ack) = Ack::parse(body) {
                    assert_eq!(print(|w| Ack::write(w, ack.iter())), *body);
                }
            }
            _ => {}
        }
        rest = tail;
    }
}

fn fragments(body: &[u8]) {
    let mut r = Reader::new(body);
    while let Ok(fragment) = Fragment::read(&mut r) {
        let printed = print(|w| {
            fragment.header.write(w)?;
            w.put(fragment.body)
        });
        assert!(body[..r.offset()].ends_with(&printed));
    }
}

/// A handshake message: its type and its body. What parses prints back to the same bytes.
pub fn dtls_handshake(data: &[u8]) {
    let Some((&message_type, body)) = data.split_first() else {
        return;
    };
    let printed = match HandshakeType(message_type) {
        HandshakeType::CLIENT_HELLO => ClientHello::parse(body).ok().map(|message| {
            // The typed extensions may be malformed each on its own.
            let _ = message.extensions.supported_groups();
            let _ = message.extensions.signature_algorithms();
            let _ = message.extensions.supported_versions();
            let _ = message
                .extensions
                .use_srtp()
                .map(|srtp| srtp.map(|srtp| srtp.profiles().count()));
            let _ = message.extensions.renegotiation_info();
            let _ = message.extensions.ec_point_formats();
            let _ = message.extensions.connection_id();
            let shares = message.extensions.client_key_shares();
            let _ = shares.map(|shares| shares.map(|shares| shares.iter().count()));
            let _ = message.extensions.cookie();
            let _ = message.extensions.psk_modes();
            if let Ok(Some(offered)) = message.extensions.offered_psks() {
                assert!(offered.iter().count() > 0 && offered.uncovered_len() <= body.len());
                let data = message
                    .extensions
                    .get(ExtensionType::PRE_SHARED_KEY)
                    .expect("it is there");
                assert_eq!(print(|w| OfferedPsks::write(w, offered.iter())), data.peek());
            }
            print(|w| message.write(w))
        }),
        HandshakeType::SERVER_HELLO => ServerHello::parse(body).ok().map(|message| {
            let _ = message.extensions.selected_version();
            let _ = message.extensions.server_key_share();
            let _ = message.extensions.retry_group();
            let _ = message.extensions.selected_psk();
            print(|w| message.write(w))
        }),
        HandshakeType::ENCRYPTED_EXTENSIONS => EncryptedExtensions::parse(body)
            .ok()
            .map(|message| print(|w| message.write(w))),
        HandshakeType::KEY_UPDATE => KeyUpdate::parse(body).ok().map(|message| print(|w| message.write(w))),
        HandshakeType::NEW_SESSION_TICKET => NewSessionTicket::parse(body)
            .ok()
            .map(|message| print(|w| message.write(w))),
        HandshakeType::NEW_CONNECTION_ID => NewConnectionId::parse(body).ok().map(|message| {
            assert!(message.iter().all(|id| id.len() <= 255));
            print(|w| message.write(w))
        }),
        HandshakeType::REQUEST_CONNECTION_ID => RequestConnectionId::parse(body)
            .ok()
            .map(|message| print(|w| message.write(w))),
        HandshakeType::HELLO_VERIFY_REQUEST => HelloVerifyRequest::parse(body)
            .ok()
            .map(|message| print(|w| message.write(w))),
        HandshakeType::CERTIFICATE => CertificateChain::parse(body).ok().map(|message| {
            for der in message.iter() {
                let _ = dtls_srtp::PublicKey::of_certificate(der).map(|key| key.rsa_modulus_bits());
            }
            print(|w| message.write(w))
        }),
        HandshakeType::SERVER_KEY_EXCHANGE => ServerKeyExchange::parse(body)
            .ok()
            .map(|message| print(|w| message.write(w))),
        HandshakeType::CERTIFICATE_REQUEST => CertificateRequest::parse(body)
            .ok()
            .map(|message| print(|w| message.write(w))),
        HandshakeType::CLIENT_KEY_EXCHANGE => ClientKeyExchange::parse(body)
            .ok()
            .map(|message| print(|w| message.write(w))),
        HandshakeType::CERTIFICATE_VERIFY => CertificateVerify::parse(body)
            .ok()
            .map(|message| print(|w| message.write(w))),
        _ => None,
    };
    if let Some(printed) = printed {
        assert_eq!(printed, body);
    }
    // Two messages have another form in DTLS 1.3.
    let printed = match HandshakeType(message_type) {
        HandshakeType::CERTIFICATE => CertificateChain13::parse(body).ok().map(|message| {
            let _ = message.iter().count();
            print(|w| message.write(w))
        }),
        HandshakeType::CERTIFICATE_REQUEST => CertificateRequest13::parse(body)
            .ok()
            .map(|message| print(|w| message.write(w))),
        _ => None,
    };
    if let Some(printed) = printed {
        assert_eq!(printed, body);
    }
}

/// What `write` puts down.
fn print(write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> Vec<u8> {
    let mut out = vec![0; 1 << 17];
    let mut w = Writer::new(&mut out);
    write(&mut w).expect("what was parsed fits");
    let len = w.position();
    out.truncate(len);
    out
}

/// A client under attack while it talks to a genuine server, on fake cryptography.
///
/// The input is one byte of settings and then any number of steps: operation, length modulo 64, that many bytes. What
/// the steps leave undone is delivered in order at the end, so most inputs reach an established connection. A step begins
/// another connection, from where there are tickets, and the client resumes what it can.
pub fn dtls_client(data: &[u8]) {
    attack(Role::Client, data);
}

/// A server under attack, see [`dtls_client`].
pub fn dtls_server(data: &[u8]) {
    attack(Role::Server, data);
}

/// Runs a script; whether the victim's connection was established at some time.
fn attack(victim: Role, data: &[u8]) -> bool {
    let mut r = Reader::new(data);
    let settings = r.u8().unwrap_or_default();
    let mut scene = Scene::new(victim, settings);
    while let (Ok(operation), Ok(len)) = (r.u8(), r.u8()) {
        // Short steps, so that an input holds many.
        let len = usize::from(len % 64).min(r.remaining());
        let bytes = r.take(len).expect("that many remain");
        scene.step(operation, bytes);
        scene.check();
    }
    scene.settle();
    scene.victim.connected
}

struct End {
    dtls: Dtls,
    connected: bool,
    closed: Option<CloseReason>,
    received: Vec<Vec<u8>>,
}

impl End {
    /// A client resumes the session, if there is one.
    fn new(role: Role, settings: u8, resumption: Resumption, now: Instant) -> Self {
        let crypto = if settings & 1 == 0 {
            fake::FakeCrypto::new()
        } else {
            fake::FakeCrypto::lenient()
        };
        let (ours, theirs) = if role == Role::Client { (1, 2) } else { (2, 1) };
        let mut config = Config::new(Arc::new(crypto), fake::certificate(ours));
        config.max_datagram = if settings & 2 == 0 { 1200 } else { 256 };
        if settings & 4 == 0 {
            config.versions = vec![Version::DTLS_1_2];
        }
        // In DTLS 1.3 the server asks for another hello.
        if settings & 8 != 0 && role == Role::Server {
            config.groups = vec![NamedGroup::SECP256R1];
        }
        config.cookie = settings & 64 != 0 && role == Role::Server;
        // Connection IDs: a server always wants one, a client with short datagrams does not.
        config.connection_ids = match role {
            _ if settings & 128 == 0 => None,
            Role::Client if settings & 2 != 0 => Some(ConnectionIds::none()),
            _ => ConnectionIds::random(b"!", ID_LEN - 1),
        };
        config.keep_sessions = resumption.issuer.is_some();
        config.tickets = resumption.issuer.filter(|_| role == Role::Server);
        config.max_pending = 6000;
        config.max_message = 4000;
        // Clients without certificates.
        let anonymous = settings & 16 != 0;
        if anonymous {
            config.client_certificate = ClientCertificate::Optional;
        }
        let authentication = match role {
            Role::Server if anonymous => Authentication::Unauthenticated,
            _ if settings & 32 != 0 => Authentication::Embedder,
            _ => Authentication::Fingerprint,
        };
        config.authentication = authentication;
        let (config, seed) = (Arc::new(config), Seed::from_run(ours + 2 * resumption.before));
        let mut dtls = match resumption.session {
            Some(session) if role == Role::Client => Dtls::resume(config, session, seed, now),
            _ => Dtls::new(config, role, seed, now),
        };
        if authentication == Authentication::Fingerprint {
            dtls.set_remote_fingerprints(vec![fake::certificate(theirs).fingerprint()]);
        }
        Self {
            dtls,
            connected: false,
            closed: None,
            received: Vec::new(),
        }
    }

    fn handle(&mut self, now: Instant, datagram: &[u8]) {
        self.receive(now, datagram);
        self.drain_events();
        // Who decides about the certificate fetches what came before that.
        self.receive(now, &[]);
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let received = &mut self.received;
        self.dtls
            .handle_datagram(now, &mut datagram.to_vec(), &mut |data| received.push(data.to_vec()));
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.dtls.poll_event() {
            assert!(self.closed.is_none(), "an event after the last one");
            match event {
                Event::Connected { .. } => {
                    assert!(!self.connected, "connected twice");
                    self.connected = true;
                }
                Event::Session => assert!(self.connected),
                Event::ConnectionIds => assert!(self.dtls.connection_ids().all(|id| id.len() == ID_LEN)),
                Event::CertificateToJudge => {
                    assert!(!self.connected && self.dtls.peer_certificate().is_some());
                    self.dtls.accept_certificate();
                }
                Event::Closed { reason } => self.closed = Some(reason),
            }
        }
    }

    fn exported(&self) -> Option<[u8; 32]> {
        let mut out = [0; 32];
        self.dtls.export(b"fuzz", None, &mut out).ok()?;
        Some(out)
    }
}

/// What there is of sessions: at first nothing.
#[derive(Default)]
struct Resumption {
    issuer: Option<Arc<TicketIssuer>>,
    session: Option<SavedSession>,
    /// Connections before this one. Each has a seed of its own, and so keys of its own: records of one are noise to the next.
    before: u64,
}

struct Scene {
    now: Instant,
    start: Instant,
    settings: u8,
    issuer: Option<Arc<TicketIssuer>>,
    victim: End,
    peer: End,
    /// Datagrams on their way, with whether they go to the victim.
    on_the_way: VecDeque<(bool, Vec<u8>)>,
    /// What went to the victim before, to be sent again.
    seen: Vec<Vec<u8>>,
    lenient: bool,
    has_ids: bool,
    /// Those that were begun anew.
    connections: u64,
}

impl Scene {
    fn new(victim: Role, settings: u8) -> Self {
        let now = Instant::now();
        let other = if victim == Role::Client {
            Role::Server
        } else {
            Role::Client
        };
        Self {
            now,
            start: now,
            settings,
            issuer: None,
            victim: End::new(victim, settings, Resumption::default(), now),
            peer: End::new(other, settings, Resumption::default(), now),
            on_the_way: VecDeque::new(),
            seen: Vec::new(),
            lenient: settings & 1 != 0,
            has_ids: settings & 128 != 0,
            connections: 0,
        }
    }

    fn step(&mut self, operation: u8, bytes: &[u8]) {
        self.flush();
        let first = usize::from(bytes.first().copied().unwrap_or_default());
        match operation % 16 {
            0..=5 => self.deliver(),
            6 => drop(self.on_the_way.pop_front()),
            7 => {
                if let Some(datagram) = self.on_the_way.front().cloned() {
                    self.on_the_way.push_back(datagram);
                }
            }
            8 => {
                let len = self.on_the_way.len();
                if len > 1 {
                    self.on_the_way.swap(0, 1 + first % (len - 1));
                }
            }
            9 => drop(self.pass_time()),
            10 if bytes.is_empty() => {
                self.victim.dtls.update_keys();
                self.peer.dtls.update_keys();
            }
            // What there is about connection IDs, at the end that the first byte names.
            10 if self.has_ids && bytes.len() == 2 => {
                let end = if first & 1 == 0 {
                    &mut self.victim
                } else {
                    &mut self.peer
                };
                match bytes[1] % 4 {
                    0 => end.dtls.renew_connection_id(),
                    1 => {
                        end.dtls.change_connection_id();
                    }
                    _ => end.dtls.request_connection_ids(bytes[1] / 4),
                }
            }
            10 if bytes.len() == 1 => self.begin_anew(bytes[0]),
            10 => {
                for to_victim in [true, false] {
                    self.talk(to_victim, bytes);
                }
            }
            // Sent again, as it was.
            11 => {
                if let Some(datagram) = self.seen.get(first % self.seen.len().max(1)).cloned() {
                    self.strike(&datagram);
                }
            }
            12 => self.change_next(bytes),
            13 => self.strike(bytes),
            14 => self.forge_protected(bytes),
            _ => {
                // A genuine one with changed bytes, before the genuine one comes.
                if let Some(mut datagram) = self.seen.last().cloned() {
                    change(&mut datagram, bytes);
                    self.strike(&datagram);
                }
            }
        }
        self.flush();
    }

    /// Two other connections take the place of these, with tickets from here on. The client resumes unless the lowest bit says
    /// otherwise; the server has forgotten its tickets when the next one is set.
    fn begin_anew(&mut self, choice: u8) {
        let client = match self.victim.dtls.role() {
            Role::Client => &mut self.victim,
            Role::Server => &mut self.peer,
        };
        let session = client.dtls.take_session().filter(|_| choice & 1 == 0);
        if choice & 2 != 0 || self.issuer.is_none() {
            let (lifetime, seed) = (Duration::from_secs(60), Seed::from_run(choice.into()));
            self.issuer = Some(Arc::new(TicketIssuer::new(lifetime, seed, self.now)));
        }
        self.connections += 1;
        let before = self.connections;
        let resumption = |session| Resumption {
            issuer: self.issuer.clone(),
            session,
            before,
        };
        let (now, settings) = (self.now, self.settings);
        let [victim, peer] = [&self.victim, &self.peer].map(|end| end.dtls.role());
        let (of_victim, of_peer) = match victim {
            Role::Client => (session, None),
            Role::Server => (None, session),
        };
        let victim = End::new(victim, settings, resumption(of_victim), now);
        let peer = End::new(peer, settings, resumption(of_peer), now);
        (self.victim, self.peer, self.start) = (victim, peer, now);
        self.on_the_way.clear();
    }

    /// Gives the victim a datagram; a strict one that is connected stays so.
    fn strike(&mut self, datagram: &[u8]) {
        let was_connected = self.victim.dtls.is_connected();
        let goodbye = self.peer.dtls.is_closed();
        self.victim.handle(self.now, datagram);
        if was_connected && !self.lenient && !goodbye {
            assert!(
                self.victim.dtls.is_connected(),
                "noise ended a connection: {:?}",
                self.victim.closed
            );
        }
    }

    fn deliver(&mut self) {
        match self.on_the_way.pop_front() {
            Some((true, datagram)) => {
                self.seen.push(datagram.clone());
                self.strike(&datagram);
            }
            Some((false, datagram)) => self.peer.handle(self.now, &datagram),
            None => {}
        }
    }

    /// Changes bytes of the next datagram to the victim and delivers it.
    fn change_next(&mut self, bytes: &[u8]) {
        let Some(at) = self.on_the_way.iter().position(|(to_victim, _)| *to_victim) else {
            return;
        };
        let (_, mut datagram) = self.on_the_way.remove(at).expect("it was found");
        change(&mut datagram, bytes);
        self.strike(&datagram);
    }

    /// A record with any type and plaintext, sealed with the peer's keys. Only a lenient victim takes it.
    fn forge_protected(&mut self, bytes: &[u8]) {
        let Some((&content_type, plaintext)) = bytes.split_first() else {
            return;
        };
        if let Some(mut datagram) = seal(&mut self.peer, plaintext) {
            let content_type = 20 + content_type % 7;
            if UnifiedHeader::begins(datagram[0]) || datagram[0] == ContentType::TLS12_CID.0 {
                // The type is the last of the content, before a tag of 16 bytes, under a mask.
                let at = datagram.len() - 17;
                datagram[at] ^= ContentType::APPLICATION_DATA.0 ^ content_type;
            } else {
                datagram[0] = content_type;
            }
            // In its true form it would be application data, which the strict victim shall get.
            self.strike(&datagram);
        }
    }

    fn talk(&mut self, to_victim: bool, data: &[u8]) {
        let end = if to_victim { &mut self.peer } else { &mut self.victim };
        if let Some(datagram) = seal(end, data) {
            self.on_the_way.push_back((to_victim, datagram));
        }
    }

    fn flush(&mut self) {
        let mut out = [0; 1500];
        for to_victim in [true, false] {
            let end = if to_victim { &mut self.peer } else { &mut self.victim };
            while let Some(len) = end.dtls.poll_transmit(self.now, &mut out) {
                assert!((RecordHeader::LEN..=end.dtls.config().max_datagram).contains(&len));
                // A network drops what is too much.
                if self.on_the_way.len() < 200 {
                    self.on_the_way.push_back((to_victim, out[..len].to_vec()));
                }
            }
        }
    }

    /// To the next timer; `false` when none is armed.
    fn pass_time(&mut self) -> bool {
        let timers = [self.victim.dtls.poll_timeout(), self.peer.dtls.poll_timeout()];
        let Some(next) = timers.into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        for end in [&mut self.victim, &mut self.peer] {
            end.dtls.handle_timeout(self.now);
            end.drain_events();
            assert!(
                end.dtls.poll_timeout().is_none_or(|at| at > self.now),
                "a timer does not move on"
            );
        }
        self.flush();
        true
    }

    /// Delivers everything from here on, and lets time pass, until nothing happens any more.
    fn settle(&mut self) {
        self.flush();
        loop {
            while !self.on_the_way.is_empty() {
                self.deliver();
                self.flush();
                self.check();
            }
            if !self.pass_time() {
                break;
            }
        }
        assert!(
            self.now - self.start <= Duration::from_secs(90),
            "a handshake that never ends"
        );
        if !self.lenient && self.victim.dtls.is_connected() && self.peer.dtls.is_connected() {
            let (before, message) = (self.victim.received.len(), b"still there".to_vec());
            self.talk(true, &message);
            while !self.on_the_way.is_empty() {
                self.deliver();
            }
            assert_eq!(
                self.victim.received.get(before..),
                Some(&[message][..]),
                "a message got lost"
            );
        }
    }

    fn check(&self) {
        for end in [&self.victim, &self.peer] {
            assert!(end.dtls.held_bytes() <= 2 * end.dtls.config().max_pending);
            assert_eq!(end.dtls.is_closed(), end.closed.is_some());
            assert!(end.dtls.connection_ids().count() <= 8 && end.dtls.newer_records() <= end.dtls.authentic_records());
        }
        if let (Some(ours), Some(theirs)) = (self.victim.exported(), self.peer.exported()) {
            assert_eq!(ours, theirs, "the two ends believe in different handshakes");
            assert_eq!(self.victim.dtls.is_resumed(), self.peer.dtls.is_resumed());
        }
    }
}

fn seal(end: &mut End, data: &[u8]) -> Option<Vec<u8>> {
    let overhead = end.dtls.overhead();
    let mut out = vec![0; overhead.total() + data.len()];
    out[overhead.head..][..data.len()].copy_from_slice(data);
    let len = end.dtls.seal(&mut out, data.len()).ok()?;
    out.truncate(len);
    Some(out)
}

/// Bytes: any number of (place in 16 bits, what to XOR).
fn change(datagram: &mut [u8], bytes: &[u8]) {
    for &[high, low, xor] in bytes.as_chunks().0 {
        let at = usize::from(u16::from_be_bytes([high, low])) % datagram.len().max(1);
        if let Some(byte) = datagram.get_mut(at) {
            *byte ^= xor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64.
    fn noise(mut state: u64, len: usize) -> Vec<u8> {
        (0..len)
            .map(|_| {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8
            })
            .collect()
    }

    /// A fuzzer that never gets past the handshake tests nothing behind it.
    #[test]
    fn more_than_30_percent_of_random_scripts_reach_a_connection() {
        for (victim, is_13) in [
            (Role::Client, false),
            (Role::Client, true),
            (Role::Server, false),
            (Role::Server, true),
        ] {
            let runs = 1000;
            let script = |run| {
                let mut script = noise(run, 40 + run as usize % 400);
                script[0] = script[0] & !4 | if is_13 { 4 } else { 0 };
                script
            };
            let connected = (0..runs).filter(|&run| attack(victim, &script(run))).count();
            println!("{victim:?}, DTLS 1.3 {is_13}: {connected} of {runs} scripts reach a connection");
            assert!(connected > 300, "{victim:?}: {connected} of {runs}");
            assert!(connected < 990, "{victim:?}: no attack ever succeeds in anything");
        }
    }

    #[test]
    fn a_script_resumes() {
        // Anew with tickets, all delivered, anew with the session.
        let deliver = [0_u8, 0].repeat(30);
        for settings in 0..=255_u8 {
            let script = [&[settings, 10, 1, 0][..], &deliver, &[10, 1, 0], &deliver].concat();
            for victim in [Role::Client, Role::Server] {
                assert!(attack(victim, &script));
                let mut scene = Scene::new(victim, settings);
                scene.begin_anew(0);
                scene.settle();
                scene.begin_anew(0);
                scene.settle();
                let resumed = scene.victim.dtls.is_resumed();
                assert_eq!(resumed, settings & 4 != 0, "{settings}");
                scene.begin_anew(2);
                scene.settle();
                assert!(!scene.victim.dtls.is_resumed() && scene.victim.connected);
            }
        }
    }

    #[test]
    fn an_empty_script_connects() {
        for settings in 0..=255 {
            assert!(attack(Role::Client, &[settings]) && attack(Role::Server, &[settings]));
        }
    }
}
