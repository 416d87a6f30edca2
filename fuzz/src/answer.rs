use std::net::SocketAddr;
use std::time::{Duration, Instant};

use peer::testing::{Collected, Pair, check_answer};
use peer::{Config, Connection, Direction, Event, Extension, IceServer, Kind, Mdns, Peer, RelayStreamId, State};
use sdp::Session;
use stun::Message;
use wire::{Path, Seed};

/// Answers to offers of ours, one after the other in one session, with a NUL between them: each is refused with a
/// sentence, and then changes nothing, so that a genuine one is still taken; or it gives nothing that was not offered.
/// From one round to the next sections are added and ICE is restarted. The same bytes are what TURN servers say, over
/// UDP and on a stream: as they are, and as what stands in their answers to our requests; they are what comes of mDNS,
/// too, and on TCP connections to candidates.
pub fn peer_answer(data: &[u8]) {
    let mut call = Call::new(data);
    for (round, answer) in data.split(|byte| *byte == 0).take(MAX_ROUNDS).enumerate() {
        call.round(round, answer);
        // Nobody answers the handshake.
        if call.peer.state() == State::Closed {
            break;
        }
    }
}

/// Later rounds are like those before.
const MAX_ROUNDS: usize = 8;

/// How long a round is.
const TIME: Duration = Duration::from_secs(3);

/// Timers that are waited for in a round, at most.
const WAKES: usize = 40;

/// Answers of TURN servers, at most.
const MAX_SERVED: usize = 64;

const OURS: &str = "198.51.100.7:5000";
const TURN: &str = "192.0.2.50:3478";

struct Call<'a> {
    peer: Peer,
    /// What TURN servers say.
    served: &'a [u8],
    /// How often they may still answer.
    may_serve: usize,
    /// What was wanted of each section.
    wanted: Vec<(Kind, Direction)>,
    /// A genuine other end, until an answer of the input's was taken in place of its.
    server: Option<Peer>,
    /// The last answer of that one.
    genuine: Option<String>,
    now: Instant,
}

/// The end that offers.
fn calling() -> Config {
    let mut config = Pair::config();
    config.ice = ice::Config::full(ice::Role::Controlling);
    config.extensions.push(Extension::TransportCc);
    let server = |query| {
        let uri = format!("turn:{TURN}{query}");
        IceServer::new(&uri, &[], Some(("ann", "secret"))).expect("a server")
    };
    config.ice_servers = ["", "?transport=tcp"].map(server).to_vec();
    config.mdns = Some(Mdns {
        link: ice::mdns::Config {
            ipv4: Some(SocketAddr::new(address(OURS).ip(), ice::mdns::PORT)),
            subnets: vec![ice::mdns::Subnet {
                address: address(OURS).ip(),
                prefix: 0,
            }],
            ..ice::mdns::Config::default()
        },
        conceal: true,
    });
    config
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

impl<'a> Call<'a> {
    fn new(served: &'a [u8]) -> Self {
        let now = Instant::now();
        let mut peer = Peer::new(calling().into(), Seed::from_run(1), now);
        peer.add_local_candidate(address(OURS));
        peer.add_active_tcp_candidate(address(OURS).ip());
        peer.end_of_local_candidates(now);
        peer.relay_stream_opened(now, RelayStreamId(0), address(OURS));
        let mut server = Peer::new(Pair::config().into(), Seed::from_run(2), now);
        server.add_local_candidate("192.0.2.1:3478".parse().expect("an address"));
        let mut call = Self {
            peer,
            served,
            may_serve: MAX_SERVED,
            wanted: Vec::new(),
            server: Some(server),
            genuine: None,
            now,
        };
        call.add(Kind::Audio, Direction::SendOnly);
        call.add(Kind::Video, Direction::SendRecv);
        call.add(Kind::Video, Direction::RecvOnly);
        call.drain();
        call.tell(&Path::udp(address(OURS), address(TURN)), served);
        call.drain();
        call
    }

    fn add(&mut self, kind: Kind, direction: Direction) {
        assert_eq!(self.peer.add_section(kind, direction), Ok(self.wanted.len()));
        self.wanted.push((kind, direction));
    }

    fn round(&mut self, round: usize, answer: &[u8]) {
        match round % 3 {
            0 => {}
            1 => self.add(Kind::Audio, Direction::RecvOnly),
            _ => {
                self.peer.restart_ice(self.now).expect("it offers");
                self.add(Kind::Video, Direction::SendOnly);
            }
        }
        self.drain();
        let offer = self.peer.offer().expect("there is something to offer");
        let genuine = self.answered(&offer);
        let answer = std::str::from_utf8(answer).unwrap_or_default();
        let before = self.peer.sections().to_vec();
        match self.peer.accept_answer(self.now, answer) {
            Ok(()) => {
                self.server = None;
                self.assert_only_what_was_offered(&offer);
            }
            Err(error) => {
                assert!(error.to_string().len() > 40, "a sentence: {error}");
                assert_eq!(format!("{before:?}"), format!("{:?}", self.peer.sections()));
                if let Some(genuine) = genuine {
                    let taken = self.peer.accept_answer(self.now, &genuine);
                    assert_eq!(taken, Ok(()), "the offer is still open");
                    self.assert_only_what_was_offered(&offer);
                }
            }
        }
        self.pass();
    }

    /// A TURN server says this, both ways.
    fn tell(&mut self, path: &Path, bytes: &[u8]) {
        let mut sink = Collected::default();
        self.peer
            .handle_datagram(self.now, path, &mut bytes.to_vec(), &mut sink);
        let used = self
            .peer
            .handle_relay_stream(self.now, RelayStreamId(0), &mut bytes.to_vec(), &mut sink);
        assert!(used <= bytes.len());
    }

    /// A TURN server answers a request: the first byte of what it says tells whether it agrees, the rest is attributes.
    fn serve(&mut self, path: &Path, request: &[u8]) {
        let Some((first, attributes)) = self.served.split_first() else {
            return;
        };
        let mut answer = request[..stun::HEADER_LEN].to_vec();
        answer[0] |= 1;
        answer[1] |= (first & 1) << 4;
        let len = attributes.len().min(1000) & !3;
        answer[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        answer.extend(&attributes[..len]);
        self.tell(path, &answer);
    }

    /// What the genuine other end says to an offer.
    fn answered(&mut self, offer: &str) -> Option<String> {
        let answer = self.server.as_mut()?.accept_offer(self.now, offer);
        let answer = answer.unwrap_or_else(|error| panic!("{error}\n{offer}"));
        if let Err(rule) = check_answer(offer, &answer, self.genuine.as_deref()) {
            panic!("{rule}\n{offer}\n{answer}");
        }
        self.genuine = Some(answer.clone());
        Some(answer)
    }

    fn assert_only_what_was_offered(&self, offer: &str) {
        let session = Session::parse(offer).expect("an offer of ours");
        let offered: Vec<_> = session.media().collect();
        let sections = self.peer.sections();
        assert_eq!((sections.len(), offered.len()), (self.wanted.len(), self.wanted.len()));
        for ((section, media), (kind, wanted)) in sections.iter().zip(&offered).zip(&self.wanted) {
            let direction = section.direction();
            assert_eq!(section.kind(), *kind);
            assert!(!direction.sends() || wanted.sends());
            assert!(!direction.receives() || wanted.receives());
            assert!(section.rejected().is_none() || direction == Direction::Inactive);
            for format in section.formats() {
                let numbers = [Some(format.payload_type), format.rtx];
                for number in numbers.into_iter().flatten() {
                    assert!(media.line().payload_types().any(|offered| offered == number.0));
                }
            }
            for (extension, id) in section.extensions().iter() {
                assert!(offer.contains(&format!("a=extmap:{id} {}\r\n", extension.uri())));
            }
            assert_eq!(section.sender().is_some(), direction.sends(), "{section:?}");
            if let Some(id) = section.sender() {
                let ssrc = self.peer.sender(id).expect("a sender").ssrc();
                assert!(offer.contains(&format!("a=ssrc:{} ", ssrc.0)));
            }
        }
    }

    /// Waits for the next timers, each of which passes; what is sent is well-formed.
    fn pass(&mut self) {
        self.drain();
        let end = self.now + TIME;
        for _ in 0..WAKES {
            let Some(next) = self.peer.poll_timeout().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.peer.handle_timeout(self.now);
            self.drain();
            let still = self.peer.next_timer().filter(|(_, at)| *at <= self.now);
            assert_eq!(still, None, "it stays in the past");
        }
        self.now = end;
    }

    fn drain(&mut self) {
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        while let Some(transmit) = self.peer.poll_transmit(self.now, &mut out) {
            let framed = self.peer.connection_on(&transmit.path).is_some();
            let sent = &out[if framed { ice::FRAME_HEADER } else { 0 }..transmit.len];
            assert!(
                Message::parse(sent).is_ok() || turn::ChannelData::is(sent),
                "nothing but checks and requests is sent here"
            );
            if transmit.path.remote == address(TURN) && self.may_serve > 0 && transmit.len >= stun::HEADER_LEN {
                self.may_serve -= 1;
                self.serve(&transmit.path, &out[..transmit.len]);
            }
        }
        let mut more = false;
        while let Some(event) = self.peer.poll_event() {
            if let Event::OpenConnection(connection) = event {
                self.connect(connection);
                more = true;
            }
        }
        while let Some(transmit) = self.peer.poll_mdns_transmit(self.now, &mut out) {
            assert_eq!(transmit.path.local.port(), ice::mdns::PORT);
            if self.may_serve > 0 {
                self.may_serve -= 1;
                let path = Path::udp(transmit.path.local, address("192.0.2.9:5353"));
                self.peer.handle_mdns(self.now, &path, self.served);
                more = true;
            }
        }
        if more {
            self.drain();
        }
    }

    /// A connection is opened, or not, and something comes on it.
    fn connect(&mut self, Connection { id, local, .. }: Connection) {
        let number = self.served.first().map_or(0, |first| u32::from(first & 7));
        if number == id.0 % 8 {
            return self.peer.connection_closed(self.now, id);
        }
        let local = SocketAddr::new(local, 40_000 + (id.0 % 1000) as u16);
        self.peer.connection_opened(self.now, id, local);
        let mut sink = Collected::default();
        for piece in self.served.to_vec().chunks_mut(50) {
            self.peer.handle_connection(self.now, id, piece, &mut sink);
        }
        if number == 7 {
            self.peer.connection_closed(self.now, id);
        }
    }
}
