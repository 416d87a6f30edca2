use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use peer::{Peer, RepairStatistics, StreamId};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wire::{CounterSet, Ecn, Path, Seed, Transmit};

use crate::counters::Counters;
use crate::deadlines::Deadlines;
use crate::echo;
use crate::ingress::Ingress;
use crate::layer::Layer;
use crate::lines::{self, Said};
use crate::link::Link;
use crate::participant::Participant;
use crate::policy::Policy;
use crate::room::Room;
use crate::router::{Route, Router};
use crate::slab::Slab;
use crate::slot::{Forwarded, Slot};
use crate::source::{Source, Subscriber};
use crate::{Config, Connection, Event, Gone, ParticipantId, ParticipantView, extensions};

/// One worker's part of the server, without I/O: the rooms that live on it, who is in them, and what goes to whom.
///
/// Methods come in four families: getters, inputs (what the network or the clock did), commands, outputs. Any number of
/// datagrams may be given before polling: what they cause leaves subscriber by subscriber, in runs.
#[derive(Debug)]
pub struct Sfu {
    pub(crate) config: Arc<Config>,
    /// What members agree to, and the echo: data channels, too.
    pub(crate) member: Arc<peer::Config>,
    pub(crate) echo: Arc<peer::Config>,
    /// What those agree to who only send, and those who only receive.
    pub(crate) publisher: Arc<peer::Config>,
    pub(crate) viewer: Arc<peer::Config>,
    pub(crate) rng: StdRng,
    /// By participant index. Apart from `participants`, so that one peer can read a datagram while its sink changes
    /// slots.
    pub(crate) peers: Vec<Option<Peer>>,
    pub(crate) participants: Slab<Participant>,
    pub(crate) sources: Slab<Source>,
    pub(crate) rooms: Slab<Room>,
    pub(crate) rooms_by_name: HashMap<Box<str>, u32>,
    pub(crate) policy: Policy,
    pub(crate) router: Router,
    /// By participant index.
    deadlines: Deadlines,
    /// Key-frame requests, by source index.
    pub(crate) request_deadlines: Deadlines,
    /// When it is looked again who speaks, by room index.
    pub(crate) speech_deadlines: Deadlines,
    /// Participants whose peers may have something to send.
    work: VecDeque<u32>,
    /// Sources with packets that their subscribers were not told of.
    touched: Vec<u32>,
    /// Sources of which somebody wants a key frame.
    pub(crate) wanting: Vec<u32>,
    /// Sources in which somebody begins to speak.
    begun: Vec<u32>,
    /// Sources of which other layers can be had now.
    changed: Vec<u32>,
    /// Pictures of which something else may be wanted.
    pub(crate) reviews: Vec<u32>,
    /// When that is looked at again, by source index.
    pub(crate) demand_deadlines: Deadlines,
    /// What members said on data channels, for the others.
    pub(crate) said: VecDeque<Said>,
    events: VecDeque<(ParticipantId, Event)>,
    pub(crate) counters: Counters,
    /// What those who are gone had counted.
    retired: BTreeMap<&'static str, u64>,
    /// What was done about losses of those who are gone.
    repaired: RepairStatistics,
}

impl Sfu {
    /// The least room that [`poll_transmit`](Self::poll_transmit) needs, in bytes. More lets it write longer runs.
    pub const MIN_OUT: usize = Peer::MIN_OUT;

    /// A worker without rooms. Whatever `config.peer` says, extensions are not agreed to that would be forwarded with
    /// numbers that do not fit.
    pub fn new(mut config: Arc<Config>, seed: Seed, now: Instant) -> Self {
        let _ = now;
        let peer = Arc::make_mut(&mut Arc::make_mut(&mut config).peer);
        peer.extensions.retain(extensions::is_forwarded);
        let one_way = |send, receive| {
            Arc::new(peer::Config {
                send,
                receive,
                ..(*config.peer).clone()
            })
        };
        Self {
            member: Arc::new(lines::member_config(&config.peer)),
            echo: Arc::new(echo::echo_config(&config.peer)),
            publisher: one_way(false, true),
            viewer: one_way(true, false),
            config,
            rng: StdRng::from_seed(seed.0),
            peers: Vec::new(),
            participants: Slab::default(),
            sources: Slab::default(),
            rooms: Slab::default(),
            rooms_by_name: HashMap::new(),
            policy: Policy::default(),
            router: Router::default(),
            deadlines: Deadlines::default(),
            request_deadlines: Deadlines::default(),
            speech_deadlines: Deadlines::default(),
            work: VecDeque::new(),
            touched: Vec::new(),
            wanting: Vec::new(),
            begun: Vec::with_capacity(16),
            changed: Vec::with_capacity(16),
            reviews: Vec::new(),
            demand_deadlines: Deadlines::default(),
            said: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            retired: BTreeMap::new(),
            repaired: RepairStatistics::default(),
        }
    }

    // Getters.

    /// How many rooms and participants there are.
    pub fn len(&self) -> (usize, usize) {
        (self.rooms.len(), self.participants.len())
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.participants.len() == 0
    }

    /// Who else is in the participant's room, in the order in which they came.
    pub fn others(&self, id: ParticipantId) -> Vec<ParticipantView> {
        let Some(room) = self
            .participant(id)
            .and_then(|own| own.room)
            .and_then(|room| self.rooms.get(room))
        else {
            return Vec::new();
        };
        room.participants
            .iter()
            .filter(|&&other| other != id.index)
            .filter_map(|&other| self.view(other))
            .collect()
    }

    /// Every counter of this engine and of all engines inside, of those too that are gone.
    pub fn each_counter(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        let mut sums = self.retired.clone();
        for peer in self.peers.iter().flatten() {
            peer.each_counter(&mut |name, value| *sums.entry(name).or_default() += value);
        }
        self.counters.each(visit);
        for (name, value) in sums {
            visit(name, value);
        }
    }

    /// What was done about losses on the way here, of those too who are gone.
    pub fn repair_total(&self) -> RepairStatistics {
        let mut total = self.repaired;
        for peer in self.peers.iter().flatten() {
            total.absorb(&peer.repair_total());
        }
        total
    }

    /// How many people speak, in all rooms.
    pub fn speaking(&self) -> usize {
        self.rooms.iter().map(|(_, room)| room.speaking.len()).sum()
    }

    /// How many participants, sources and rooms were looked at so far: for the test that this does not grow with the
    /// room.
    #[cfg(debug_assertions)]
    #[doc(hidden)]
    pub fn visits(&self) -> u64 {
        self.participants.visits() + self.sources.visits() + self.rooms.visits()
    }

    /// Whether ICE has validated the path, and it still leads to somebody. Looks nothing over but this path.
    pub fn is_path_open(&self, path: &Path) -> bool {
        let Route::Peer(index) = self.router.by_path(path) else {
            return false;
        };
        let peer = self.peers.get(index as usize).and_then(Option::as_ref);
        peer.is_some_and(|peer| peer.is_validated(path))
    }

    // Inputs.

    /// The TCP connection under `path` was closed: whoever was at its other end is reached by its other paths, if it
    /// has any.
    pub fn handle_path_closed(&mut self, now: Instant, path: &Path) {
        let Route::Peer(index) = self.router.by_path(path) else {
            return;
        };
        if let Some(peer) = self.peers.get_mut(index as usize).and_then(Option::as_mut) {
            peer.handle_path_closed(now, path);
        }
        if let Some(participant) = self.participants.get_mut(index) {
            participant.paths.retain(|other| other != path);
        }
        self.router.retire_path(now, *path, index);
        self.follow_link(now, index);
        self.touch(index);
    }

    /// A datagram arrived.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, data: &mut [u8]) {
        // ECN feedback (RFC 8888) is not given yet.
        let _ = ecn;
        let Some(index) = self.route(&path, data) else { return };
        let is_stun = stun::is_stun(data);
        let Some(peer) = self.peers.get_mut(index as usize).and_then(Option::as_mut) else {
            return;
        };
        let mut sink = Ingress {
            now,
            index,
            config: &self.config,
            participants: &mut self.participants,
            sources: &mut self.sources,
            touched: &mut self.touched,
            wanting: &mut self.wanting,
            begun: &mut self.begun,
            changed: &mut self.changed,
            said: &mut self.said,
            counters: &mut self.counters,
        };
        peer.handle_datagram(now, &path, data, &mut sink);
        if let Some(participant) = self.participants.get_mut(index) {
            participant.echo.flush(now, peer);
        }
        if is_stun && self.router.by_path(&path) != Route::Peer(index) && peer.is_validated(&path) {
            self.add_path(now, path, index);
        }
        self.touch(index);
        if !self.said.is_empty() {
            self.pass_on(now);
        }
        while let Some(source) = self.begun.pop() {
            self.speech_begins(now, source);
        }
        while let Some(source) = self.changed.pop() {
            self.steer_all(now, source);
        }
        self.follow_link(now, index);
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) told has come. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(index) = self.deadlines.pop_due(now) {
            if let Some(peer) = self.peers.get_mut(index as usize).and_then(Option::as_mut) {
                peer.handle_timeout(now);
            }
            let given_up = self
                .participants
                .get(index)
                .is_some_and(|own| own.give_up.is_some_and(|at| at <= now));
            if given_up {
                let has_path = self.participants.get(index).is_some_and(|own| !own.paths.is_empty());
                let why = if has_path {
                    "the DTLS handshake was not completed in time"
                } else {
                    "no connectivity check arrived; the server's UDP and TCP ports may be blocked on the way"
                };
                self.dismiss(now, index, Gone::Failed(why.into()));
            }
            self.follow_link(now, index);
            self.touch(index);
        }
        while let Some(source) = self.request_deadlines.pop_due(now) {
            self.wanting.push(source);
        }
        while let Some(room) = self.speech_deadlines.pop_due(now) {
            self.follow_speech(now, room);
        }
        while let Some(source) = self.demand_deadlines.pop_due(now) {
            self.review(source);
        }
        self.tell_publishers(now);
        self.send_requests(now);
    }

    // Outputs.

    /// Writes the next run of datagrams, all for one peer, into `out`. `None` when there is nothing to send, or when
    /// `out` is shorter than [`MIN_OUT`](Self::MIN_OUT).
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        if out.len() < Self::MIN_OUT {
            return None;
        }
        self.tell_subscribers();
        self.tell_publishers(now);
        self.send_requests(now);
        while let Some(&index) = self.work.front() {
            let transmit = self.poll_participant(now, index, out);
            if transmit.is_some() {
                return transmit;
            }
            self.work.pop_front();
            self.finish(now, index);
            self.tell_publishers(now);
            self.send_requests(now);
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. Valid once [`poll_transmit`](Self::poll_transmit)
    /// gave `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let all = [
            &self.deadlines,
            &self.request_deadlines,
            &self.speech_deadlines,
            &self.demand_deadlines,
        ];
        all.into_iter().filter_map(Deadlines::earliest).min()
    }

    /// What a participant has to be told; call until it gives `None`.
    pub fn poll_event(&mut self) -> Option<(ParticipantId, Event)> {
        self.events.pop_front()
    }

    // What the commands need.

    pub(crate) fn participant(&self, id: ParticipantId) -> Option<&Participant> {
        self.participants.get(id.index).filter(|own| own.id == id)
    }

    pub(crate) fn view(&self, index: u32) -> Option<ParticipantView> {
        let participant = self
            .participants
            .get(index)
            .filter(|own| own.role.is_seen() && own.leaving.is_none())?;
        let source = |&source: &u32| self.sources.get(source);
        let sources = participant.sources.iter().filter_map(source);
        Some(ParticipantView {
            id: participant.id,
            name: participant.name.clone(),
            sources: sources
                .map(|source| crate::SourceView {
                    kind: source.kind,
                    muted: source.muted,
                })
                .collect(),
        })
    }

    pub(crate) fn event(&mut self, to: ParticipantId, event: Event) {
        if self.events.len() >= self.config.max_events {
            self.events.pop_front();
            self.counters.events_dropped += 1;
        }
        self.events.push_back((to, event));
    }

    /// Tells everybody in the room of `about`, apart from `about` itself.
    pub(crate) fn tell_others(&mut self, about: u32, event: &Event) {
        let Some(room) = self.participants.get(about).and_then(|own| own.room) else {
            return;
        };
        for place in 0.. {
            let Some(&other) = self.rooms.get(room).and_then(|room| room.participants.get(place)) else {
                break;
            };
            if other == about {
                continue;
            }
            if let Some(id) = self.participants.get(other).map(|other| other.id) {
                self.event(id, event.clone());
            }
        }
    }

    /// Something was given to a peer, so that it may have something to send or to tell.
    pub(crate) fn touch(&mut self, index: u32) {
        if let Some(participant) = self.participants.get_mut(index) {
            participant.stirred = true;
            if !participant.queued {
                participant.queued = true;
                self.work.push_back(index);
            }
        }
    }

    /// Says goodbye to a peer and takes its participant out of the room; it is forgotten once that has left.
    pub(crate) fn dismiss(&mut self, now: Instant, index: u32, why: Gone) {
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        if participant.leaving.is_some() {
            return;
        }
        participant.leaving = Some(why.clone());
        participant.give_up = None;
        let (id, seen) = (participant.id, participant.role.is_seen());
        if let Some(peer) = self.peers.get_mut(index as usize).and_then(Option::as_mut) {
            peer.close(now);
        }
        if seen {
            self.tell_others(index, &Event::ParticipantLeft { id, why: why.clone() });
        }
        self.leave_room(now, index);
        self.event(id, Event::Gone(why));
        self.touch(index);
    }

    // Private.

    /// Whose datagram this is: STUN requests by the ufrag in USERNAME, everything else by the path.
    fn route(&mut self, path: &Path, data: &[u8]) -> Option<u32> {
        match data.first() {
            Some(0..=3) => match stun::Message::parse(data) {
                Ok(message) if message.class() == stun::Class::Request => {
                    // RFC 8445 §7.2.2: USERNAME is the receiver's ufrag, a colon, and the sender's.
                    let ufrag = message
                        .username()
                        .ok()
                        .flatten()
                        .and_then(|name| name.split_once(':'))
                        .map(|(own, _)| own);
                    match ufrag.map_or(Route::Unknown, |ufrag| self.router.by_ufrag(ufrag)) {
                        Route::Peer(index) => Some(index),
                        Route::Gone => None,
                        Route::Unknown => {
                            self.counters.unknown_ufrag += 1;
                            None
                        }
                    }
                }
                Ok(_) => self.route_by_path(path),
                Err(_) => {
                    self.counters.malformed_stun += 1;
                    None
                }
            },
            Some(20..=63 | 128..=191) => self.route_by_path(path),
            _ => {
                self.counters.unroutable_protocol += 1;
                None
            }
        }
    }

    fn route_by_path(&mut self, path: &Path) -> Option<u32> {
        match self.router.by_path(path) {
            Route::Peer(index) => Some(index),
            Route::Gone => None,
            Route::Unknown => {
                self.counters.unknown_path += 1;
                None
            }
        }
    }

    /// A check has opened a path; those that ICE has given up are forgotten here too.
    fn add_path(&mut self, now: Instant, path: Path, index: u32) {
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        let Some(peer) = self.peers.get(index as usize).and_then(Option::as_ref) else {
            return;
        };
        participant.paths.retain(|old| {
            let keep = peer.is_validated(old) && *old != path;
            if !keep {
                self.router.retire_path(now, *old, index);
            }
            keep
        });
        participant.paths.push(path);
        self.router.set_path(path, index);
    }

    /// Lets the subscribers of what came in since know of it, once per batch.
    fn tell_subscribers(&mut self) {
        while let Some(index) = self.touched.pop() {
            let Some(source) = self.sources.get_mut(index) else {
                continue;
            };
            source.touched = false;
            let fresh = source.layers.iter_mut().filter_map(|layer| {
                let fresh = std::mem::take(&mut layer.fresh);
                fresh.then_some(&layer.subscribers)
            });
            for subscriber in fresh.flatten() {
                let Some(participant) = self.participants.get_mut(subscriber.participant) else {
                    continue;
                };
                if !participant.connected {
                    continue;
                }
                participant.mark(subscriber.slot);
                if !participant.queued {
                    participant.queued = true;
                    self.work.push_back(subscriber.participant);
                }
            }
        }
    }

    /// Sends the key-frame requests whose time has come.
    pub(crate) fn send_requests(&mut self, now: Instant) {
        while let Some(index) = self.wanting.pop() {
            let Some(source) = self.sources.get_mut(index) else {
                self.request_deadlines.set(index, None);
                continue;
            };
            let publisher = source.publisher;
            let mut asked = false;
            for layer in &mut source.layers {
                if layer.requests.poll(now)
                    && let Some(peer) = self.peers.get_mut(publisher as usize).and_then(Option::as_mut)
                {
                    peer.request_key_frame(now, layer.stream);
                    asked = true;
                }
            }
            let due = source.layers.iter().filter_map(|layer| layer.requests.due(now)).min();
            self.request_deadlines.set(index, due);
            if asked {
                self.touch(publisher);
            }
        }
    }

    fn poll_participant(&mut self, now: Instant, index: u32, out: &mut [u8]) -> Option<Transmit> {
        let peer = self.peers.get_mut(index as usize).and_then(Option::as_mut)?;
        let participant = self.participants.get_mut(index)?;
        // Data channels come last: what fills the link is not to delay voices.
        if participant.stirred
            && let Some(transmit) = peer.poll_control(now, out)
        {
            return Some(transmit);
        }
        while let Some(&place) = participant.dirty.last() {
            let slot = participant.slots.get_mut(place as usize)?;
            let own = Subscriber {
                participant: index,
                slot: place,
            };
            let source = slot
                .source()
                .and_then(|(index, _)| Some((index, self.sources.get_mut(index)?)));
            let Some((source_index, source)) = source else {
                slot.queued = false;
                participant.dirty.pop();
                continue;
            };
            let forwarded = slot.forward(now, peer, source, own, out, &mut self.counters);
            let transmit = match forwarded {
                Forwarded::Run { len, segment } => peer.selected_path().map(|path| Transmit {
                    segment,
                    ..Transmit::one(path, len)
                }),
                Forwarded::Idle | Forwarded::NoRoom => None,
            };
            if source.layers.iter().any(|layer| layer.requests.due(now).is_some()) {
                self.wanting.push(source_index);
            }
            if transmit.is_none() || slot.is_done(source) {
                slot.queued = false;
                participant.dirty.pop();
            }
            // With the first packet of a source a sender report became due.
            participant.stirred |= slot.has_begun();
            let (undecodable, turned) = (slot.is_newly_undecodable(), slot.has_turned());
            if undecodable || turned {
                let (kind, publisher) = (source.kind, source.publisher);
                let to = participant.id;
                if undecodable && let Some(id) = self.participants.get(publisher).map(|publisher| publisher.id) {
                    self.event(to, Event::Undecodable { id, kind });
                }
                self.tell_layer(index, place as usize);
                // The layer from which it turned may not be wanted any more; and nobody else was told of this yet.
                self.review(source_index);
                return transmit.or_else(|| self.poll_participant(now, index, out));
            }
            if transmit.is_some() {
                return transmit;
            }
        }
        if participant.stirred {
            peer.poll_transmit(now, out)
        } else {
            None
        }
    }

    /// Everything of a participant is sent: its events, its next deadline, and its end if that has come.
    fn finish(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get_mut(index) else {
            self.deadlines.set(index, None);
            return;
        };
        participant.queued = false;
        if !std::mem::take(&mut participant.stirred) {
            // Media alone moves no deadline and tells nothing.
            return;
        }
        while let Some(event) = self
            .peers
            .get_mut(index as usize)
            .and_then(Option::as_mut)
            .and_then(Peer::poll_event)
        {
            self.handle_peer_event(now, index, event);
        }
        let Some(participant) = self.participants.get(index) else {
            return;
        };
        if participant.leaving.is_some() && !participant.queued {
            self.forget(now, index);
            return;
        }
        let timeout = self
            .peers
            .get(index as usize)
            .and_then(Option::as_ref)
            .and_then(Peer::poll_timeout);
        let all = [timeout, participant.give_up, participant.link.due()];
        self.deadlines.set(index, all.into_iter().flatten().min());
    }

    fn handle_peer_event(&mut self, now: Instant, index: u32, event: peer::Event) {
        let Some(id) = self.participants.get(index).map(|own| own.id) else {
            return;
        };
        match event {
            // Lite peers connect to nobody, and without servers of their own tell nothing of the last seven.
            peer::Event::Negotiated
            | peer::Event::Candidate(_)
            | peer::Event::GatheringComplete
            | peer::Event::NeedsRestart
            | peer::Event::OpenRelayStream(_)
            | peer::Event::CloseRelayStream(_)
            | peer::Event::OpenConnection(_)
            | peer::Event::CloseConnection(_)
            | peer::Event::RelayFailed { .. } => {}
            peer::Event::Channel(peer::ChannelEvent::Writable) => {
                if let Some(peer) = self.peers.get_mut(index as usize).and_then(Option::as_mut)
                    && let Some(participant) = self.participants.get_mut(index)
                {
                    participant.echo.flush(now, peer);
                    self.touch(index);
                }
            }
            peer::Event::Channel(peer::ChannelEvent::Closing(channel) | peer::ChannelEvent::Closed(channel)) => {
                if let Some(participant) = self.participants.get_mut(index) {
                    participant.lines.remove(channel);
                }
            }
            peer::Event::DataConnected | peer::Event::Channel(_) | peer::Event::DataClosed(_) => {}
            peer::Event::Secured(secured) => self.event(id, Event::Secured(secured)),
            peer::Event::Connected => self.connected(now, index, id),
            peer::Event::Disconnected => self.tell_connection(index, id, Connection::Disconnected),
            peer::Event::PacketsLost { stream } => self.lost(index, stream),
            peer::Event::Failed => self.dismiss(now, index, Gone::Silent),
            peer::Event::Closed { reason } => match reason {
                peer::CloseReason::Local => {}
                peer::CloseReason::Remote => self.dismiss(now, index, Gone::Closed),
                peer::CloseReason::Dtls(why) => self.dismiss(now, index, Gone::Failed(why)),
            },
        }
    }

    /// Packets of a source will not come any more: who watches it needs a key frame.
    fn lost(&mut self, index: u32, stream: StreamId) {
        let Some(participant) = self.participants.get(index) else {
            return;
        };
        for &source_index in &participant.sources {
            let Some(source) = self.sources.get_mut(source_index) else {
                continue;
            };
            let layer = source.layers.iter_mut().find(|layer| layer.stream == stream);
            let is = |layer: &&mut Layer| layer.media == peer::Kind::Video && !layer.subscribers.is_empty();
            if let Some(layer) = layer.filter(is) {
                layer.requests.want();
                self.wanting.push(source_index);
            }
        }
    }

    fn connected(&mut self, now: Instant, index: u32, id: ParticipantId) {
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        participant.connected = true;
        participant.give_up = None;
        for place in 0..participant.slots.len() as u32 {
            let own = Subscriber {
                participant: index,
                slot: place,
            };
            let Some(participant) = self.participants.get_mut(index) else {
                return;
            };
            let slot = &mut participant.slots[place as usize];
            let Some(source) = slot.source().and_then(|(source, _)| self.sources.get_mut(source)) else {
                continue;
            };
            slot.restart(source);
            slot.steer(now, source, own);
            self.begin_layers(own);
            self.tell_layer(index, place as usize);
        }
        self.tell_connection(index, id, Connection::Connected);
        self.send_requests(now);
    }

    /// Sends a participant only sound when the link to it loses too much or is too late, and pictures again after a
    /// while.
    fn follow_link(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        if participant.leaving.is_some() {
            // It was told so, and hears nothing more.
            return;
        }
        let is_picture = |slot: &Slot| slot.media == peer::Kind::Video && slot.source().is_some();
        let link = &mut participant.link;
        let trouble = link.judge(now).filter(|_| participant.slots.iter().any(is_picture));
        if let Some(trouble) = trouble {
            link.give_up(now, trouble);
        } else if !link.try_again(now) {
            return;
        }
        let (id, event) = (participant.id, link_event(link));
        self.event(id, event);
        self.fill_again(now, index);
        self.touch(index);
    }

    fn tell_connection(&mut self, index: u32, id: ParticipantId, connection: Connection) {
        let event = Event::Connection { id, connection };
        if self.participants.get(index).is_some_and(|own| own.role.is_seen()) {
            self.tell_others(index, &event);
        }
        self.event(id, event);
    }

    /// The end of a participant, once its last datagram has left.
    fn forget(&mut self, now: Instant, index: u32) {
        if let Some(peer) = self.peers.get_mut(index as usize).and_then(Option::take) {
            let retired = &mut self.retired;
            peer.each_counter(&mut |name, value| *retired.entry(name).or_default() += value);
            self.repaired.absorb(&peer.repair_total());
        }
        if let Some(participant) = self.participants.remove(index) {
            for path in participant.paths {
                self.router.retire_path(now, path, index);
            }
            for ufrag in &participant.ufrags {
                self.router.retire_ufrag(now, ufrag, index);
            }
        }
        self.deadlines.set(index, None);
    }
}

/// What a participant is told of the link to it.
pub(crate) fn link_event(link: &Link) -> Event {
    Event::Link {
        trouble: link.trouble(),
        lost_per_mille: link.lost_per_mille(),
    }
}
