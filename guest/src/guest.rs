use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dtls_srtp::{Certificate, RingCrypto};
use peer::{Config, Direction, Event, Extension, IceServer, Kind, Peer, SectionError, State};
use rand::TryRng;
use tungstenite::{Message, WebSocket};
use wire::Seed;

use crate::access::Access;
use crate::ice_servers::{Lookup, Resolving, look_up};
use crate::inbox::Inbox;
use crate::interfaces::{Interfaces, Look};
use crate::media::Media;
use crate::messages::{FromServer, OwnSource, ToServer};
use crate::relay_streams::RelayStreams;
use crate::report::Report;
use crate::returning::Returning;
use crate::room::Room;
use crate::signalling::{self, Signalling};
use crate::sockets::Sockets;
use crate::track::{Call, Track};
use crate::trust::Trust;

/// A participant on a thread of its own. Dropping it leaves the room.
#[derive(Debug)]
pub struct Guest {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    speaking: AtomicBool,
    leaving: AtomicBool,
    report: Mutex<Report>,
}

/// Why somebody could not join.
#[derive(Debug)]
pub struct JoinError(String);

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the room cannot be joined: {}", self.0)
    }
}

impl std::error::Error for JoinError {}

fn because(error: impl fmt::Display) -> JoinError {
    JoinError(error.to_string())
}

/// The WebSocket and what is shared with other threads are looked at so often.
const TURN: Duration = Duration::from_millis(5);
/// Time between two reports to whoever asks.
const REPORT: Duration = Duration::from_millis(20);
/// Sections are added in steps (`docs/signalling.md`).
const STEP: usize = 4;
const MICROPHONE: &str = "0";
const CAMERA: &str = "1";
/// How often the addresses of the machine are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The same when the system begins to refuse datagrams, as from an address that is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long one attempt to come back may take.
const RETURN: Duration = Duration::from_secs(5);
/// How long a goodbye may take to get out.
const GOODBYE: Duration = Duration::from_secs(1);
/// Faults that are remembered.
const MAX_FAULTS: usize = 32;

impl Guest {
    /// Joins a room under a name, playing `media`. It is silent until [`speak`](Self::speak).
    ///
    /// # Errors
    /// When the server cannot be reached, or has not answered within 10 s. What goes wrong later is in
    /// [`Report::faults`].
    pub fn join(room: &Room, name: &str, media: Arc<Media>) -> Result<Self, JoinError> {
        Self::join_by(room, name, media, &Access::default())
    }

    /// As [`join`](Self::join), by ways of the caller's choice.
    ///
    /// # Errors
    /// As [`join`](Self::join), with the limit that is [`Access::join_timeout`], and when the file of certificates is
    /// needed and is none.
    pub fn join_by(room: &Room, name: &str, media: Arc<Media>, access: &Access) -> Result<Self, JoinError> {
        let trust = Arc::new(Trust::new(access.ca.clone()));
        let socket = signalling::open(room, &trust, access.join_timeout).map_err(because)?;
        let shared = Arc::new(Shared::default());
        let mut visit = Visit::new(socket, (room, trust), name, media, Arc::clone(&shared), access.clone())?;
        let thread = std::thread::Builder::new().name(format!("guest {name}"));
        let thread = thread.spawn(move || visit.run()).map_err(because)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Whether it says something from now on.
    pub fn speak(&self, speaking: bool) {
        self.shared.speaking.store(speaking, Ordering::Relaxed);
    }

    /// What it has received so far, at most 20 ms ago.
    pub fn report(&self) -> Report {
        self.shared
            .report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Leaves the room and tells what it has received.
    pub fn leave(mut self) -> Report {
        self.end();
        self.report()
    }

    fn end(&mut self) {
        self.shared.leaving.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end();
    }
}

/// A peer that has offered nothing yet, with a sound and a picture to send, at sockets with these addresses and
/// preferences.
pub(crate) fn offering_peer(
    now: Instant,
    locals: impl IntoIterator<Item = (SocketAddr, u8)>,
    servers: Vec<IceServer>,
    access: &Access,
) -> Result<Peer, JoinError> {
    let certificate = Certificate::generate().map_err(because)?;
    let crypto = Arc::new(RingCrypto::new());
    let mut config = Config::full(Arc::new(dtls_srtp::Config::new(crypto, certificate)));
    config.ice_servers = servers;
    config.ice_transport_policy = access.policy();
    // The file's.
    config.video_codecs = vec![peer::Codec::Vp8];
    config.extensions = vec![Extension::AudioLevel, Extension::TransportCc];
    let mut seed = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed).map_err(because)?;
    let mut peer = Peer::new(Arc::new(config), Seed(seed), now);
    for (address, preference) in locals {
        add_address(&mut peer, address, preference, access);
    }
    peer.end_of_local_candidates(now);
    for kind in [Kind::Audio, Kind::Video] {
        peer.add_section(kind, Direction::SendOnly).map_err(because)?;
    }
    Ok(peer)
}

/// Adds an address of the machine at which there is a socket.
fn add_address(peer: &mut Peer, address: SocketAddr, preference: u8, access: &Access) {
    if !access.no_udp {
        peer.add_interface_candidate(address, preference);
    }
    // Where nothing better works.
    peer.add_active_tcp_candidate(address.ip());
}

/// Adds sections that receive, so many of each kind.
fn add_slots(peer: &mut Peer, count: usize) -> Result<(), SectionError> {
    for kind in [Kind::Audio, Kind::Video].repeat(count) {
        peer.add_section(kind, Direction::RecvOnly)?;
    }
    Ok(())
}

/// The guest's own thread.
struct Visit {
    socket: WebSocket<Signalling>,
    room: Room,
    trust: Arc<Trust>,
    /// By which the place in the room is taken again.
    session: Option<String>,
    /// While the WebSocket is broken, and until the place in the room is taken again over another one.
    returning: Option<Returning>,
    sockets: Sockets,
    interfaces: Interfaces,
    /// When the machine's addresses were looked at last.
    looked_at: Instant,
    /// The system refuses datagrams, though the addresses are still the same: there is no hurry to look again.
    in_vain: bool,
    access: Access,
    peer: Peer,
    /// The room's servers, until all names are known: nothing is offered before.
    resolving: Option<Resolving>,
    /// Whether there is a candidate.
    gathered: bool,
    /// Why servers do not relay: at most two sentences for each. With other ways to the room nobody misses them.
    missed: Vec<String>,
    media: Arc<Media>,
    shared: Arc<Shared>,
    inbox: Inbox,
    sound: Option<Track>,
    picture: Option<Track>,
    transport_sequence: u16,
    joined_at: Instant,
    /// Whose pictures were there at that time.
    expected: Vec<String>,
    /// Sections that receive, of each kind.
    slots: usize,
    offers: u64,
    /// An offer waits for its answer.
    open: bool,
    /// Something is to be offered.
    wanted: bool,
    report: Report,
    over: bool,
}

impl Visit {
    fn new(
        socket: WebSocket<Signalling>,
        (room, trust): (&Room, Arc<Trust>),
        name: &str,
        media: Arc<Media>,
        shared: Arc<Shared>,
        access: Access,
    ) -> Result<Self, JoinError> {
        let now = Instant::now();
        let route = socket.get_ref().socket().local_addr().map_err(because)?;
        let mut interfaces = Interfaces::new(access.interfaces.clone(), route.ip());
        let mut sockets = Sockets::new(RelayStreams::new(Arc::clone(&trust)));
        let look = interfaces
            .look()
            .map_err(|error| JoinError(format!("the network interfaces cannot be listed: {error}")))?;
        let opened = sockets.follow(&look.usable);
        if opened.come.is_empty() {
            return Err(JoinError(access.without_address(opened.refusal.as_deref())));
        }
        let peer = offering_peer(now, opened.come, Vec::new(), &access)?;
        let mut visit = Self {
            socket,
            room: room.clone(),
            trust,
            session: None,
            returning: None,
            sockets,
            interfaces,
            looked_at: now,
            in_vain: false,
            access,
            peer,
            resolving: None,
            gathered: false,
            missed: Vec::new(),
            media,
            shared,
            inbox: Inbox::default(),
            sound: None,
            picture: None,
            transport_sequence: 0,
            joined_at: now,
            expected: Vec::new(),
            slots: 0,
            offers: 0,
            open: false,
            wanted: false,
            report: Report {
                name: name.to_owned(),
                ..Report::default()
            },
            over: false,
        };
        visit.say(&ToServer::Join { name: name.to_owned() });
        visit.joined_at = Instant::now();
        Ok(visit)
    }

    fn run(&mut self) {
        let mut next_report = self.joined_at;
        while !self.over && !self.shared.leaving.load(Ordering::Relaxed) {
            self.listen();
            self.follow_resolving();
            if self.wanted && !self.open && self.resolving.is_none() && self.returning.is_none() {
                self.offer();
            }
            let now = self.receive();
            self.look(now);
            self.peer.handle_timeout(now);
            self.play(now);
            self.answer(now);
            self.flush(now);
            self.inbox.settle(now);
            if now >= next_report {
                next_report = now + REPORT;
                self.tell(now);
            }
        }
        let now = Instant::now();
        // As it was until now.
        self.tell(now);
        // The goodbye is waited for, though not for ever.
        let _ = self.socket.get_ref().socket().set_nonblocking(false);
        let _ = self.socket.get_ref().socket().set_write_timeout(Some(GOODBYE));
        if self.is_reached() {
            // Nobody is there any more who would want to know of a failure.
            let _ = self.send(&ToServer::Leave {});
        }
        self.peer.close(now);
        self.flush(now);
        self.sockets.streams.end(now);
        self.sockets.connections.end(now);
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }

    fn fault(&mut self, fault: impl fmt::Display) {
        if self.report.faults.len() < MAX_FAULTS {
            self.report.faults.push(format!("{}: {fault}", self.report.name));
        }
    }

    /// Whether there is a WebSocket.
    fn is_reached(&self) -> bool {
        self.returning.as_ref().is_none_or(Returning::is_resuming)
    }

    fn say(&mut self, message: &ToServer) {
        if self.returning.is_some() {
            // Who has no place in the room can say nothing there. All that matters is said in the offer afterwards.
            return;
        }
        self.insist(message);
    }

    /// As [`say`](Self::say), also without a place in the room.
    fn insist(&mut self, message: &ToServer) {
        if let Err(error) = self.send(message) {
            // The server may have told why it has hung up.
            self.hear_all();
            self.lose(error);
        }
    }

    fn send(&mut self, message: &ToServer) -> tungstenite::Result<()> {
        let text = serde_json::to_string(message).unwrap_or_default();
        match self.socket.send(Message::text(text)) {
            // It is kept, and leaves when the socket is listened to.
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            sent => sent,
        }
    }

    fn listen(&mut self) {
        self.follow_returning();
        if self.is_reached() {
            // What did not fit into the kernel's buffer waits in the WebSocket's; reading sends nothing of it.
            // Why it fails is told by reading, after what came before the end.
            let _ = self.socket.flush();
            self.hear_all();
        }
    }

    fn hear_all(&mut self) {
        // What is heard may be that this WebSocket is of no use any more.
        while self.is_reached() {
            match self.socket.read() {
                Ok(Message::Text(text)) => match serde_json::from_str(&text) {
                    Ok(message) => self.hear(message),
                    Err(error) => self.fault(format!("a message cannot be read: {error}")),
                },
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.lose(error),
            }
        }
    }

    /// The WebSocket is of no use any more. Who has a place in the room comes back over another one.
    fn lose(&mut self, why: impl fmt::Display) {
        if self.over || !self.is_reached() {
            return;
        }
        let why = why.to_string();
        match &mut self.returning {
            Some(returning) => returning.fail(why),
            None if self.session.is_some() => self.returning = Some(Returning::begin(Instant::now(), why)),
            None => {
                self.fault(format!("the WebSocket is closed: {why}"));
                self.over = true;
            }
        }
    }

    fn follow_returning(&mut self) {
        let Some(returning) = &mut self.returning else { return };
        let open = || signalling::begin(&self.room, &self.trust, RETURN);
        match returning.poll(Instant::now(), open) {
            Ok(None) => {}
            Ok(Some(socket)) => {
                if let Ok(local) = socket.get_ref().socket().local_addr() {
                    self.interfaces.leave_from(local.ip());
                }
                self.socket = socket;
                let session = self.session.clone().unwrap_or_default();
                self.insist(&ToServer::Resume { session });
            }
            Err(reason) => {
                let why = returning.why.clone();
                self.fault(format!(
                    "the WebSocket is closed: {why}; the place in the room cannot be taken again: {reason}"
                ));
                self.over = true;
            }
        }
    }

    fn hear(&mut self, message: FromServer) {
        match message {
            FromServer::Joined {
                participant,
                session,
                participants,
                ice_servers,
            } => {
                self.session = Some(session);
                let look_up: Arc<Lookup> = Arc::new(look_up);
                self.resolving = Some(Resolving::begin(Instant::now(), &ice_servers, &look_up));
                self.report.participant = participant;
                let seen = participants.into_iter().filter(|other| {
                    let mut sources = other.sources.iter();
                    sources.any(|source| source.kind == "camera" && !source.muted)
                });
                self.expected = seen.map(|other| other.participant).collect();
                self.wanted = true;
            }
            FromServer::Resumed { session } => {
                self.session = Some(session);
                if self.returning.take().is_some() {
                    self.report.returns += 1;
                }
                // An offer or an answer may be lost; the next one has all that there is.
                self.open = false;
                self.wanted = true;
            }
            FromServer::Need { audio, video } => {
                let needed = audio.max(video).next_multiple_of(STEP);
                while self.slots < needed {
                    self.slots += 1;
                    self.wanted = true;
                    if let Err(error) = add_slots(&mut self.peer, 1) {
                        return self.fault(error);
                    }
                }
            }
            FromServer::Slots { slots } => self.inbox.assign(slots),
            FromServer::Speakers { speaking } => self.report.speaking = speaking,
            // One to an offer that was made before the return closes none that was made after it.
            FromServer::Answer { id, .. } if id != self.offers => {}
            FromServer::Answer { sdp, .. } => {
                self.open = false;
                let now = Instant::now();
                if let Err(error) = self.peer.accept_answer(now, &sdp) {
                    self.fault(error);
                }
            }
            // It may let us in later, over another WebSocket.
            FromServer::Error { code, message, re } if re.as_deref() == Some("resume") && code != "unknown-session" => {
                self.lose(format!("{code}: {message}"));
            }
            FromServer::Error { code, message, .. } => {
                // The place in the room is lost.
                self.over |= code == "unknown-session";
                self.fault(format!("{code}: {message}"));
            }
            FromServer::Bye { reason } => {
                self.over = true;
                self.fault(format!("the server says goodbye: {reason}"));
            }
            FromServer::Unknown => {}
        }
    }

    /// Begins with the servers that the room has; nothing was offered before.
    fn follow_resolving(&mut self) {
        let now = Instant::now();
        let Some((mut servers, faults)) = self.resolving.as_mut().and_then(|resolving| resolving.poll(now)) else {
            return;
        };
        self.resolving = None;
        faults.into_iter().for_each(|fault| self.fault(fault));
        servers.retain(|server| self.access.takes(server));
        if let Some(over) = self.access.relay.filter(|_| servers.is_empty()) {
            let over = over.words();
            self.fault(format!(
                "the room has no TURN server{over}; give the server one, or come without --relay"
            ));
        }
        if servers.is_empty() {
            return;
        }
        let locals = self.sockets.udp.iter().map(|udp| (udp.address, udp.preference));
        let peer = offering_peer(now, locals, servers, &self.access);
        let peer = peer.and_then(|mut peer| {
            // Those that were needed meanwhile.
            add_slots(&mut peer, self.slots).map_err(because)?;
            Ok(peer)
        });
        match peer {
            Ok(peer) => self.peer = peer,
            Err(error) => self.fault(error),
        }
    }

    fn offer(&mut self) {
        self.wanted = false;
        let sources = [(MICROPHONE, "microphone"), (CAMERA, "camera")];
        let sources = sources.map(|(mid, kind)| OwnSource {
            mid: mid.to_owned(),
            kind,
            muted: false,
        });
        // With each offer: what was said before the WebSocket broke may be lost.
        self.say(&ToServer::Sources {
            sources: sources.to_vec(),
        });
        match self.peer.offer() {
            Ok(sdp) => {
                self.open = true;
                self.offers += 1;
                let id = self.offers;
                self.say(&ToServer::Offer { id, sdp });
            }
            Err(error) => self.fault(error),
        }
    }

    /// Takes all datagrams that are here, or waits for one, but not longer than until something else is to be done.
    fn receive(&mut self) -> Instant {
        let mut now = Instant::now();
        let deadlines = [
            self.peer.poll_timeout(),
            self.sound.as_ref().map(|track| track.due(Media::SOUND)),
            self.picture.as_ref().map(|track| track.due(self.frame_interval())),
        ];
        let next = deadlines
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now + TURN)
            .min(now + TURN);
        let wait = next.saturating_duration_since(now).max(Duration::from_micros(100));
        let (peer, inbox) = (&mut self.peer, &mut self.inbox);
        let main = peer.selected_path().map(|path| path.local);
        self.sockets.receive(main, wait, |path, data| {
            now = Instant::now();
            inbox.now = Some(now);
            peer.handle_datagram(now, path, data, inbox);
        });
        now = Instant::now().max(now);
        self.sockets.streams.receive(now, &mut self.peer, &mut self.inbox);
        self.sockets.connections.receive(now, &mut self.peer, &mut self.inbox);
        now
    }

    /// Follows the addresses of the machine: they come and go.
    fn look(&mut self, now: Instant) {
        let hurries = self.sockets.refused && !self.in_vain;
        let patience = if hurries { LOOK_AGAIN } else { LOOK };
        if self.interfaces.is_settled() || now < self.looked_at + patience {
            return;
        }
        self.looked_at = now;
        let refused = std::mem::take(&mut self.sockets.refused);
        // Where it is not told what there is, what was there stays.
        let changed = self.interfaces.look().is_ok_and(|look| self.follow(now, &look));
        self.in_vain = refused && !changed;
    }

    /// Whether anything has changed.
    fn follow(&mut self, now: Instant, look: &Look) -> bool {
        let changes = self.sockets.follow(&look.usable);
        let changed = !changes.come.is_empty() || !changes.gone.is_empty();
        // The new ones first: so those that are lost may have somewhere to go.
        for (address, preference) in changes.come {
            add_address(&mut self.peer, address, preference, &self.access);
        }
        for address in changes.gone {
            self.peer.remove_local_candidate(now, address);
            self.peer.remove_active_tcp_candidate(now, address.ip());
        }
        if look.cut {
            self.lose("its address is gone");
        }
        changed
    }

    fn frame_interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.media.frame_rate)
    }

    /// Sends the sound and the pictures that are due.
    fn play(&mut self, now: Instant) {
        if self.peer.state() != State::Connected {
            return;
        }
        let interval = self.frame_interval();
        let speaking = self.shared.speaking.load(Ordering::Relaxed);
        let track = |peer: &Peer, place: usize| {
            let section = peer.sections().get(place)?;
            Track::new(peer, section, now)
        };
        if self.sound.is_none() {
            (self.sound, self.picture) = (track(&self.peer, 0), track(&self.peer, 1));
            // Both count from now on. By the last packets reports would say how late this thread was.
            for track in [&self.sound, &self.picture].into_iter().flatten() {
                self.peer.set_sender_clock(track.sender(), now, 0);
            }
        }
        let mut call = Call {
            now,
            peer: &mut self.peer,
            transport_sequence: &mut self.transport_sequence,
            sockets: &mut self.sockets,
        };
        if let Some(track) = &mut self.sound {
            while track.due(Media::SOUND) <= now {
                track.send_sound(&self.media, speaking, &mut call);
            }
        }
        if let Some(track) = &mut self.picture {
            while track.due(interval) <= now {
                track.send_frame(&self.media, &mut call);
            }
        }
    }

    /// Does what the other end has asked for.
    fn answer(&mut self, now: Instant) {
        let mut call = Call {
            now,
            peer: &mut self.peer,
            transport_sequence: &mut self.transport_sequence,
            sockets: &mut self.sockets,
        };
        for (sender, sequences) in self.inbox.nacks.drain(..) {
            let track = [&self.sound, &self.picture].into_iter().flatten();
            for track in track.filter(|track| track.sender() == sender) {
                track.send_again(&sequences, &mut call);
            }
        }
        for sender in self.inbox.key_frames.drain(..) {
            if let Some(track) = self.picture.as_mut().filter(|track| track.sender() == sender) {
                track.jump_to_key_frame(&self.media);
            }
        }
    }

    /// Sends what the engine has to say, and looks at what happened.
    fn flush(&mut self, now: Instant) {
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        while let Some(transmit) = self.peer.poll_transmit(now, &mut out) {
            let datagram = out.get(..transmit.len).unwrap_or_default();
            self.sockets.send(&transmit.path, datagram);
        }
        self.sockets.streams.flush(now, &mut self.peer);
        self.sockets.connections.flush(now, &mut self.peer);
        self.missed.append(&mut self.sockets.streams.faults);
        while let Some(event) = self.peer.poll_event() {
            match event {
                Event::PacketsLost { stream } => self.peer.request_key_frame(now, stream),
                Event::OpenRelayStream(stream) => self.sockets.streams.begin(now, stream),
                Event::OpenConnection(connection) => self.sockets.connections.begin(connection),
                Event::CloseConnection(id) => self.sockets.connections.close(now, id),
                Event::CloseRelayStream(id) => self.sockets.streams.close(now, id),
                Event::RelayFailed { server, reason } => {
                    self.missed.push(format!("{server} does not relay: {reason}"));
                }
                Event::Candidate(candidate) => {
                    self.gathered = true;
                    self.trickle(candidate);
                }
                Event::NeedsRestart => match self.peer.restart_ice(now) {
                    Ok(()) => self.wanted = true,
                    Err(error) => self.fault(error),
                },
                Event::GatheringComplete if !self.gathered => self.tell_missed(),
                Event::Failed => {
                    self.tell_missed();
                    self.fault("the media connection has failed");
                }
                Event::Closed { reason } if !self.shared.leaving.load(Ordering::Relaxed) => self.fault(reason),
                _ => {}
            }
        }
    }

    /// Tells the server of a candidate that no offer has, and none that is about to be made will have.
    fn trickle(&mut self, candidate: String) {
        if self.offers > 0 && !self.wanted {
            let sdp_mid = MICROPHONE.to_owned();
            self.say(&ToServer::Candidate { candidate, sdp_mid });
        }
    }

    /// Tells which relays there are not, when they are missed.
    fn tell_missed(&mut self) {
        let missed = std::mem::take(&mut self.missed);
        missed.into_iter().for_each(|fault| self.fault(fault));
    }

    fn tell(&mut self, now: Instant) {
        self.report.connected = self.peer.state() == State::Connected;
        let path = self.peer.selected_path();
        self.report.over_tcp = path.is_some_and(|path| self.peer.connection_on(&path).is_some());
        self.report.relayed = path.is_some_and(|path| !self.sockets.has(path.local)) && !self.report.over_tcp;
        self.report.local = path.map(|path| path.local);
        self.report.slots = self.inbox.reports();
        self.report.heard = self.inbox.heard(now);
        self.report.most_heard = self.inbox.voices.most;
        let waited = |participant: &String| {
            let came = self.inbox.pictures.get(participant);
            came.map(|came| came.saturating_duration_since(self.joined_at))
        };
        let pictures = self
            .expected
            .iter()
            .map(|participant| (participant.clone(), waited(participant)));
        self.report.pictures = pictures.collect();
        let mut counters = Vec::new();
        self.peer.each_counter(&mut |name, value| {
            if value > 0 {
                counters.push((name, value));
            }
        });
        self.report.counters = counters;
        let mut shared = self.shared.report.lock().unwrap_or_else(PoisonError::into_inner);
        shared.clone_from(&self.report);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::interfaces::Local;

    #[test]
    fn an_offer_has_the_addresses_of_now() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let room: Room = format!("http://{}/r/tea", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let server = std::thread::spawn(move || tungstenite::accept(listener.accept().unwrap().0).unwrap());
        let trust = Arc::new(Trust::in_nobody());
        let socket = signalling::open(&room, &trust, Duration::from_secs(20)).unwrap();
        let media = Arc::new(Media::built_in());
        let mut visit = Visit::new(socket, (&room, trust), "Ada", media, Arc::default(), Access::default()).unwrap();
        let mut offered = |last: u8| {
            let usable = vec![Local {
                ip: [127, 0, 0, last].into(),
                preference: 14,
            }];
            visit.follow(Instant::now(), &Look { usable, cut: false });
            let offer = visit.peer.offer().unwrap();
            let candidates = offer.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
            // UDP and TCP.
            let addresses = candidates.filter_map(|candidate| candidate.split(' ').nth(4).map(str::to_owned));
            addresses.collect::<Vec<String>>()
        };
        assert_eq!(offered(1), ["127.0.0.1"; 2]);
        assert_eq!(offered(2), ["127.0.0.2"; 2]);
        assert_eq!(offered(1), ["127.0.0.1"; 2]);
        drop(server.join().unwrap());
    }

    #[test]
    fn what_the_kernel_has_no_room_for_leaves_later() {
        const MESSAGES: usize = 4;
        const LENGTH: usize = 4 << 20;
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (go, wait) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || {
            let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
            wait.recv().unwrap();
            // The first one says who comes.
            (0..=MESSAGES).map(|_| socket.read().unwrap().len()).sum::<usize>()
        });
        let room = format!("http://{address}/r/tea").parse().unwrap();
        let socket = signalling::open(&room, &Trust::new(None), Duration::from_secs(20)).unwrap();
        let media = Arc::new(Media::built_in());
        let trust = Arc::new(Trust::new(None));
        let mut visit = Visit::new(socket, (&room, trust), "Ada", media, Arc::default(), Access::default()).unwrap();
        let name = "x".repeat(LENGTH);
        for _ in 0..MESSAGES {
            visit.say(&ToServer::Join { name: name.clone() });
        }
        // From here on it only listens.
        go.send(()).unwrap();
        let start = Instant::now();
        while !server.is_finished() {
            assert!(start.elapsed() < Duration::from_secs(20), "not all came");
            visit.listen();
            std::thread::yield_now();
        }
        assert!(server.join().unwrap() > MESSAGES * LENGTH);
    }

    type Server = WebSocket<std::net::TcpStream>;

    /// The next message; candidates may come in between.
    fn hear(server: &mut Server) -> serde_json::Value {
        loop {
            let message = server.read().unwrap();
            let Ok(text) = message.to_text() else { continue };
            let said: serde_json::Value = serde_json::from_str(text).unwrap();
            if said["type"] != "candidate" {
                return said;
            }
        }
    }

    fn tell(server: &mut Server, text: &str) {
        server.send(Message::text(text)).unwrap();
    }

    #[test]
    fn nobody_is_back_before_the_server_has_said_so() {
        const WHO: &str = r#""participant":"7","participants":[],"iceServers":[]"#;
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let room: Room = format!("http://{}/r/tea", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let server = std::thread::spawn(move || {
            let accept = || tungstenite::accept(listener.accept().unwrap().0).unwrap();
            let mut server = accept();
            assert_eq!(hear(&mut server)["type"], "join");
            tell(&mut server, &format!(r#"{{"type":"joined","session":"one",{WHO}}}"#));
            assert_eq!(hear(&mut server)["type"], "sources");
            assert_eq!(hear(&mut server)["id"], 1);
            drop(server);
            // It takes the connection, and hangs up.
            let mut server = accept();
            assert_eq!(hear(&mut server)["session"], "one");
            drop(server);
            // It lets nobody in just now, and keeps the connection.
            let mut busy = accept();
            assert_eq!(hear(&mut busy)["session"], "one");
            let refusal = r#"{"type":"error","code":"busy","message":"Try again.","re":"resume","id":null}"#;
            tell(&mut busy, refusal);
            let mut server = accept();
            assert_eq!(hear(&mut server)["session"], "one");
            // Nothing is wanted before `resumed`, whatever comes.
            tell(&mut server, r#"{"type":"need","audio":4,"video":4}"#);
            server
                .get_ref()
                .set_read_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            assert!(server.read().is_err(), "it says something");
            server.get_ref().set_read_timeout(None).unwrap();
            tell(&mut server, &format!(r#"{{"type":"resumed","session":"two",{WHO}}}"#));
            assert_eq!(hear(&mut server)["type"], "sources");
            assert_eq!(hear(&mut server)["id"], 2);
            // The answer to the offer before is none to this one, and is not looked at.
            tell(&mut server, r#"{"type":"answer","id":1,"sdp":"?"}"#);
            tell(&mut server, r#"{"type":"need","audio":8,"video":8}"#);
            tell(&mut server, r#"{"type":"speakers","dominant":null,"speaking":["9"]}"#);
            // Neither is the next offer made before this one has its answer.
            assert_eq!(hear(&mut server)["type"], "leave");
        });
        let guest = Guest::join(&room, "Ada", Arc::new(Media::built_in())).unwrap();
        let start = Instant::now();
        while guest.report().speaking.is_empty() && !server.is_finished() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "not within 20 s: {}",
                guest.report()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let report = guest.leave();
        server.join().unwrap();
        assert_eq!((report.returns, report.faults), (1, Vec::new()));
    }
}
