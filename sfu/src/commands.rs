use std::fmt;
use std::time::Instant;

use peer::{FragmentError, OfferError, Peer};
use rand::Rng;
use wire::Seed;

use crate::participant::Participant;
use crate::room::Room;
use crate::sfu::link_event;
use crate::{Event, Gone, ParticipantId, Role, Sfu, SourceLabel, View};

/// Why somebody could not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinError {
    /// The room has as many participants as it may have.
    RoomFull {
        /// How many that is.
        capacity: usize,
    },
    /// There are as many rooms as there may be.
    TooManyRooms,
    /// There are as many participants as there may be.
    TooManyParticipants,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoomFull { capacity } => {
                write!(
                    f,
                    "the room is full: it takes {capacity}; try again when somebody has left"
                )
            }
            Self::TooManyRooms => f.write_str("the server has as many rooms as it takes; try again later"),
            Self::TooManyParticipants => {
                f.write_str("the server has as many participants as it takes; try again later")
            }
        }
    }
}

impl std::error::Error for JoinError {}

/// Why a command about a participant failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// The participant is not here (any more).
    Gone,
    /// The offer cannot be accepted.
    Offer(OfferError),
    /// The offer is well-formed, but nothing, or not all of it, could be used in the participant's role: why, as a
    /// clause for people. It is of no use to go on with this participant.
    Unusable(String),
    /// The candidate or fragment cannot be taken.
    Fragment(FragmentError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("this participant is not here any more; join again"),
            Self::Offer(error) => error.fmt(f),
            Self::Unusable(why) => f.write_str(why),
            Self::Fragment(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CommandError {}

/// Commands: what signalling wants.
impl Sfu {
    /// Lets somebody into a room, which is made if need be. `name` is shown to the others. For [`Role::Echo`] the
    /// room's name means nothing.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn join(&mut self, now: Instant, room: &str, name: &str, role: Role) -> Result<ParticipantId, JoinError> {
        if self.participants.len() >= self.config.max_participants {
            return Err(JoinError::TooManyParticipants);
        }
        let room = if role == Role::Echo {
            None
        } else {
            Some(self.enter(room)?)
        };
        let mut seed = Seed([0; 32]);
        self.rng.fill_bytes(&mut seed.0);
        let config = match role {
            Role::Member => &self.member,
            Role::Echo => &self.echo,
            Role::Publisher => &self.publisher,
            Role::Viewer { .. } => &self.viewer,
        };
        let mut peer = Peer::new(config.clone(), seed, now);
        for &address in &self.config.addresses {
            peer.add_local_candidate(address);
        }
        if self.config.tcp {
            for &address in &self.config.addresses {
                peer.add_tcp_candidate(address);
            }
        }
        let placeholder = ParticipantId {
            index: 0,
            generation: 0,
        };
        let (index, generation) = self
            .participants
            .insert(Participant::new(placeholder, name.into(), role, room));
        let id = ParticipantId { index, generation };
        if let Some(participant) = self.participants.get_mut(index) {
            participant.id = id;
        }
        if self.peers.len() <= index as usize {
            self.peers.resize_with(index as usize + 1, || None);
        }
        self.peers[index as usize] = Some(peer);
        if let Some(room) = room {
            if let Some(room) = self.rooms.get_mut(room) {
                room.add(index);
            }
            if let Some(view) = self.news(index) {
                self.tell_others(index, &Event::ParticipantJoined(view));
            }
            // It sends nothing yet, so that nobody else is concerned.
            self.assign_one(now, index);
            self.tell_newcomer_of_speakers(index);
        }
        Ok(id)
    }

    /// Takes a participant's offer and gives the answer.
    ///
    /// # Errors
    /// [`CommandError::Offer`] with line and rule; nothing has changed then. [`CommandError::Unusable`] for the first
    /// offer of a publisher or a viewer, who then has to [`leave`](Self::leave). [`CommandError::Gone`].
    pub fn offer(&mut self, now: Instant, id: ParticipantId, offer: &str) -> Result<String, CommandError> {
        let connect_timeout = self.config.connect_timeout;
        let role = self.participant(id).ok_or(CommandError::Gone)?.role.clone();
        let peer = self.peer_mut(id)?;
        let answer = peer.accept_offer(now, offer).map_err(CommandError::Offer)?;
        let useless = match role {
            Role::Member | Role::Echo => None,
            Role::Publisher => useless_to_publish(peer),
            Role::Viewer { .. } => useless_to_view(peer),
        };
        if let Some(why) = useless {
            return Err(CommandError::Unusable(why));
        }
        self.renew_ufrags(now, id.index);
        if let Some(participant) = self.participants.get_mut(id.index)
            && !participant.connected
            && participant.give_up.is_none()
        {
            participant.give_up = Some(now + connect_timeout);
        }
        self.follow_sections(now, id.index);
        self.touch(id.index);
        Ok(answer)
    }

    /// Takes a trickled candidate of the section with the given mid; an empty one ends the candidates.
    ///
    /// # Errors
    /// [`CommandError::Fragment`] when the text is no candidate. [`CommandError::Gone`].
    pub fn candidate(
        &mut self,
        now: Instant,
        id: ParticipantId,
        mid: Option<&str>,
        candidate: &str,
    ) -> Result<(), CommandError> {
        self.peer_mut(id)?
            .add_remote_candidate(now, mid, candidate)
            .map_err(CommandError::Fragment)?;
        self.touch(id.index);
        Ok(())
    }

    /// Takes an SDP fragment of a WHIP or WHEP client: candidates give `None`, an ICE restart the fragment to answer
    /// with.
    ///
    /// # Errors
    /// [`CommandError::Fragment`] when it is malformed. [`CommandError::Gone`].
    pub fn fragment(
        &mut self,
        now: Instant,
        id: ParticipantId,
        fragment: &str,
    ) -> Result<Option<String>, CommandError> {
        let answer = self
            .peer_mut(id)?
            .handle_fragment(now, fragment)
            .map_err(CommandError::Fragment)?;
        self.renew_ufrags(now, id.index);
        self.touch(id.index);
        Ok(answer)
    }

    /// The others were told when it changed, which may be long ago.
    fn tell_newcomer_of_speakers(&mut self, index: u32) {
        let Some(participant) = self.participants.get(index).filter(|own| own.role == Role::Member) else {
            return;
        };
        let id = participant.id;
        let room = participant.room.and_then(|room| self.rooms.get(room));
        let room = room.filter(|room| room.dominant.is_some() || !room.speaking.is_empty());
        if let Some(speakers) = room.map(|room| self.speakers(room)) {
            self.event(id, speakers);
        }
    }

    /// What a participant says of all the sections in which it sends.
    ///
    /// # Errors
    /// [`CommandError::Gone`].
    pub fn set_sources(
        &mut self,
        now: Instant,
        id: ParticipantId,
        mut labels: Vec<SourceLabel>,
    ) -> Result<(), CommandError> {
        self.peer_mut(id)?;
        labels.truncate(self.config.max_sources);
        if let Some(participant) = self.participants.get_mut(id.index) {
            participant.labels = labels;
        }
        self.follow_labels(now, id.index, false);
        Ok(())
    }

    /// A participant muted one of its sources, or does so no longer.
    ///
    /// # Errors
    /// [`CommandError::Gone`].
    pub fn set_muted(&mut self, now: Instant, id: ParticipantId, mid: &str, muted: bool) -> Result<(), CommandError> {
        self.peer_mut(id)?;
        if let Some(participant) = self.participants.get_mut(id.index)
            && let Some(label) = participant.labels.iter_mut().find(|label| label.mid == mid)
        {
            label.muted = muted;
        }
        self.follow_labels(now, id.index, false);
        Ok(())
    }

    /// What a member wants to see from now on.
    ///
    /// # Errors
    /// [`CommandError::Gone`].
    pub fn set_view(&mut self, now: Instant, id: ParticipantId, mut view: View) -> Result<(), CommandError> {
        self.peer_mut(id)?;
        // So that with everybody who is heard there are no more tiles than allowed.
        view.pinned
            .truncate(self.config.max_tiles.saturating_sub(self.config.top_k));
        // A camera and a screen of everybody.
        view.pictures.truncate(2 * self.config.room_capacity);
        view.pictures.sort_by_key(|picture| (picture.participant, picture.kind));
        if let Some(participant) = self.participants.get_mut(id.index) {
            participant.wish = view;
        }
        self.assign_one(now, id.index);
        Ok(())
    }

    /// Tells a participant once more how everything about itself is: what slots it needs and what they carry, who
    /// speaks, what is wanted of its pictures, what its link carries. For somebody whose way to signalling was cut, so
    /// that it does not know what it missed: that something has ended is told too.
    ///
    /// # Errors
    /// [`CommandError::Gone`].
    pub fn tell_again(&mut self, id: ParticipantId) -> Result<(), CommandError> {
        self.peer_mut(id)?;
        let Some(participant) = self.participants.get_mut(id.index) else {
            return Ok(());
        };
        let (need, slots, room) = (
            participant.asked_pairs,
            participant.slots_told.clone(),
            participant.room,
        );
        let is_member = participant.role == Role::Member;
        if need > 0 {
            self.event(
                id,
                Event::Need {
                    audio: need,
                    video: need,
                },
            );
        }
        self.event(id, Event::Slots(slots));
        if let Some(room) = room.filter(|_| is_member).and_then(|room| self.rooms.get(room)) {
            let speakers = self.speakers(room);
            self.event(id, speakers);
        }
        self.tell_layers_again(id.index);
        self.tell_undecodable_again(id.index);
        if let Some(link) = self.participant(id).map(|own| own.link) {
            self.event(id, link_event(&link));
        }
        Ok(())
    }

    fn tell_undecodable_again(&mut self, index: u32) {
        let Some(participant) = self.participants.get(index) else {
            return;
        };
        let to = participant.id;
        let slots = participant.slots.iter().filter(|slot| slot.is_told_undecodable());
        let sources = slots.filter_map(|slot| self.sources.get(slot.source()?.0));
        let undecodable: Vec<_> = sources
            .filter_map(|source| Some((self.participants.get(source.publisher)?.id, source.kind)))
            .collect();
        for (id, kind) in undecodable {
            self.event(to, Event::Undecodable { id, kind });
        }
    }

    /// Somebody goes. The others are told; BYE and close_notify are still to be polled.
    pub fn leave(&mut self, now: Instant, id: ParticipantId, why: Gone) {
        if self.participant(id).is_some() {
            self.dismiss(now, id.index, why);
        }
    }

    /// Says goodbye to everybody.
    pub fn close(&mut self, now: Instant) {
        let everybody: Vec<u32> = self.participants.iter().map(|(index, _)| index).collect();
        for index in everybody {
            self.dismiss(now, index, Gone::Shutdown);
        }
    }

    fn peer_mut(&mut self, id: ParticipantId) -> Result<&mut Peer, CommandError> {
        let here = self.participant(id).is_some_and(|own| own.leaving.is_none());
        let peer = self.peers.get_mut(id.index as usize).and_then(Option::as_mut);
        peer.filter(|_| here).ok_or(CommandError::Gone)
    }

    /// The room of this name with a place in it.
    fn enter(&mut self, name: &str) -> Result<u32, JoinError> {
        if let Some(&index) = self.rooms_by_name.get(name) {
            let capacity = self.config.room_capacity;
            let full = self
                .rooms
                .get(index)
                .is_some_and(|room| room.participants.len() >= capacity);
            return if full {
                Err(JoinError::RoomFull { capacity })
            } else {
                Ok(index)
            };
        }
        if self.rooms.len() >= self.config.max_rooms {
            return Err(JoinError::TooManyRooms);
        }
        let (index, _) = self.rooms.insert(Room::new(name));
        self.rooms_by_name.insert(name.into(), index);
        Ok(index)
    }

    /// The router knows exactly the ufrags under which the peer is reached now.
    fn renew_ufrags(&mut self, now: Instant, index: u32) {
        let Some(peer) = self.peers.get(index as usize).and_then(Option::as_ref) else {
            return;
        };
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        for old in std::mem::take(&mut participant.ufrags) {
            if !peer.local_ufrags().any(|ufrag| ufrag == old) {
                self.router.retire_ufrag(now, &old, index);
            }
        }
        for ufrag in peer.local_ufrags() {
            self.router.add_ufrag(ufrag, index);
            participant.ufrags.push(ufrag.to_owned());
        }
    }
}

/// Why a publisher cannot use what was agreed on. Part of it would be a session that seems to work, so RFC 9725 §4.4.3
/// wants all of it refused; and one track of a kind is what its §4.4.2 allows, and what a viewer's slots show.
fn useless_to_publish(peer: &Peer) -> Option<String> {
    let sections = peer.sections();
    let fault = sections.iter().enumerate().find_map(|(index, section)| {
        let why = section.rejected().or_else(|| {
            let twice = sections[..index].iter().any(|other| other.kind() == section.kind());
            if !section.direction().receives() {
                Some("who publishes offers it sendonly or sendrecv")
            } else if twice {
                Some("there is one of its kind already")
            } else {
                None
            }
        })?;
        Some(format!("section {} cannot be published: {why}", index + 1))
    });
    fault.or_else(|| {
        sections
            .is_empty()
            .then(|| "the offer has no section to publish".into())
    })
}

/// Why a viewer would see and hear nothing.
fn useless_to_view(peer: &Peer) -> Option<String> {
    let sections = peer.sections();
    if sections.iter().any(|section| section.sender().is_some()) {
        return None;
    }
    let Some(first) = sections.first() else {
        return Some("the offer has no section to view".into());
    };
    let why = first.rejected().unwrap_or("who views offers it recvonly or sendrecv");
    Some(format!("no section can be viewed, the first for this reason: {why}"))
}
