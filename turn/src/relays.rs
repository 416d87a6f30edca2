#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
mod tests;

use crate::FrameError;
use crate::client::{Client, Event, Received, Room, SendError};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;
use wire::{Path, Transmit};

/// One of the clients in [`Relays`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

/// What came through a relay, lent from the caller's buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct FromRelay<'a> {
    /// The way that it came, as an ICE agent sees it: `local` is the relayed address, `remote` the peer.
    pub path: Path,
    /// The data.
    pub data: &'a mut [u8],
}

/// The TURN clients under one ICE agent: of several servers, transports and families.
///
/// An agent that sends from a relayed address hands its transmit to [`send`](Self::send) (or lays its data into the
/// [`room`](Self::room) and has it [`sealed`](Self::seal)), and gets what to give to the socket. What a server sent is
/// given to [`handle_datagram`](Self::handle_datagram), which says the path that the agent knows. Both are O(1).
#[derive(Debug, Default)]
pub struct Relays {
    /// In the order of their ids.
    slots: Vec<Slot>,
    next_id: u64,
    /// The places of clients by their relayed addresses, and by the way to their servers.
    by_relayed: HashMap<SocketAddr, usize>,
    by_path: HashMap<Path, usize>,
}

#[derive(Debug)]
struct Slot {
    id: ClientId,
    client: Client,
    /// Under what it stands in the tables.
    path: Path,
    relayed: [Option<SocketAddr>; 2],
}

impl Slot {
    fn relayed_now(&self) -> [Option<SocketAddr>; 2] {
        self.client
            .allocation()
            .map_or([None; 2], |allocation| [allocation.ipv4, allocation.ipv6])
    }
}

/// Getters.
impl Relays {
    /// Whether datagrams on this path come from a server and are to be given to
    /// [`handle_datagram`](Self::handle_datagram).
    pub fn relay_on(&self, path: &Path) -> Option<ClientId> {
        Some(self.slots.get(*self.by_path.get(path)?)?.id)
    }

    /// The client that an address was allocated for. Of two servers that claim the same address the first has it.
    ///
    /// A server may claim any address: whoever has sockets of its own looks for them first.
    pub fn relay_of(&self, relayed: &SocketAddr) -> Option<ClientId> {
        Some(self.slots.get(*self.by_relayed.get(relayed)?)?.id)
    }

    /// A client.
    pub fn client(&self, id: ClientId) -> Option<&Client> {
        Some(&self.slots.get(self.place(id)?)?.client)
    }

    /// All clients.
    pub fn iter(&self) -> impl Iterator<Item = (ClientId, &Client)> {
        self.slots.iter().map(|slot| (slot.id, &slot.client))
    }

    /// The room that data on this path needs around it now.
    ///
    /// # Errors
    /// As [`Client::room`]; [`SendError::NotAllocated`] when `path.local` is no relayed address.
    pub fn room(&self, path: &Path) -> Result<Room, SendError> {
        let place = self.by_relayed.get(&path.local).ok_or(SendError::NotAllocated)?;
        let slot = self.slots.get(*place).ok_or(SendError::NotAllocated)?;
        slot.client.room(&path.remote)
    }
}

/// Inputs.
impl Relays {
    /// Takes a datagram that came on `path`. `None` when there is nothing for the caller in it, or when no client is on
    /// this path.
    pub fn handle_datagram<'a>(&mut self, now: Instant, path: &Path, datagram: &'a mut [u8]) -> Option<FromRelay<'a>> {
        let place = *self.by_path.get(path)?;
        let slot = self.slots.get_mut(place)?;
        match slot.client.handle_datagram(now, datagram) {
            Some(received) => unwrapped(slot.relayed, received),
            None => {
                self.index(place);
                None
            }
        }
    }

    /// Takes what came on the stream of a client so far; see [`Client::handle_stream`].
    ///
    /// # Errors
    /// When the stream is not TURN.
    pub fn handle_stream(
        &mut self,
        now: Instant,
        id: ClientId,
        stream: &mut [u8],
        mut sink: impl FnMut(FromRelay<'_>),
    ) -> Result<usize, FrameError> {
        let slot = self
            .place(id)
            .and_then(|place| Some((place, self.slots.get_mut(place)?)));
        let Some((place, slot)) = slot else {
            return Ok(stream.len());
        };
        let relayed = slot.relayed;
        let used = slot.client.handle_stream(now, stream, |received| {
            if let Some(received) = unwrapped(relayed, received) {
                sink(received);
            }
        });
        self.index(place);
        used
    }

    /// Does what is due. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        for place in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(place) else {
                continue;
            };
            if slot.client.poll_timeout().is_some_and(|deadline| deadline <= now) {
                slot.client.handle_timeout(now);
                self.index(place);
            }
        }
    }
}

/// Commands.
impl Relays {
    /// Adds a client.
    pub fn insert(&mut self, client: Client) -> ClientId {
        let id = ClientId(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        let place = self.slots.len();
        let path = client.path();
        self.slots.push(Slot {
            id,
            client,
            path,
            relayed: [None; 2],
        });
        self.by_path.entry(path).or_insert(place);
        self.index(place);
        id
    }

    /// Takes a client out: mostly one that has closed.
    pub fn remove(&mut self, id: ClientId) -> Option<Client> {
        let place = self.place(id)?;
        let slot = self.slots.remove(place);
        // Places behind it have moved.
        self.by_path.clear();
        self.by_relayed.clear();
        for place in 0..self.slots.len() {
            if let Some(slot) = self.slots.get_mut(place) {
                slot.relayed = [None; 2];
                self.by_path.entry(slot.path).or_insert(place);
            }
            self.index(place);
        }
        Some(slot.client)
    }

    /// Gives a client commands: to close, or that it is connected again.
    pub fn command<T>(&mut self, id: ClientId, command: impl FnOnce(&mut Client) -> T) -> Option<T> {
        let place = self.place(id)?;
        let outcome = command(&mut self.slots.get_mut(place)?.client);
        self.index(place);
        Some(outcome)
    }

    /// Has a channel bound for this path: for the one that was selected.
    ///
    /// # Errors
    /// As [`Client::bind`]; [`SendError::NotAllocated`] when `path.local` is no relayed address.
    pub fn bind(&mut self, now: Instant, path: &Path) -> Result<(), SendError> {
        self.for_path(path)?.bind(now, path.remote)
    }

    /// Has the peer of this path permitted without data to it.
    ///
    /// # Errors
    /// As [`Client::permit`]; [`SendError::NotAllocated`] when `path.local` is no relayed address.
    pub fn permit(&mut self, now: Instant, path: &Path) -> Result<(), SendError> {
        self.for_path(path)?.permit(now, path.remote)
    }

    /// Forgets the peer of this path.
    pub fn forget(&mut self, now: Instant, path: &Path) {
        if let Ok(client) = self.for_path(path) {
            client.forget(now, &path.remote);
        }
    }

    /// Wraps what an agent wrote: `transmit.path.local` is a relayed address, `data` has `transmit.len` bytes. Runs
    /// stay runs.
    ///
    /// # Errors
    /// As [`Client::send`]; [`SendError::NotAllocated`] when `path.local` is no relayed address.
    pub fn send(
        &mut self,
        now: Instant,
        transmit: &Transmit,
        data: &[u8],
        out: &mut [u8],
    ) -> Result<Option<Transmit>, SendError> {
        let client = self.for_path(&transmit.path)?;
        let peer = transmit.path.remote;
        let sent = match transmit.segment {
            Some(segment) => client.send_run(now, peer, data, segment, out),
            None => client.send(now, peer, data, out),
        };
        Ok(sent?.map(|sent| Transmit {
            ecn: transmit.ecn,
            ..sent
        }))
    }

    /// Wraps what the caller has laid into `out` behind the head of the [`room`](Self::room); see [`Client::seal`].
    ///
    /// # Errors
    /// As [`Client::seal`]; [`SendError::NotAllocated`] when `path.local` is no relayed address.
    pub fn seal(
        &mut self,
        now: Instant,
        path: &Path,
        room: Room,
        len: usize,
        out: &mut [u8],
    ) -> Result<Option<Transmit>, SendError> {
        self.for_path(path)?.seal(now, path.remote, room, len, out)
    }
}

/// Outputs.
impl Relays {
    /// Writes the next message to a server. The path tells the socket, or the connection.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<(ClientId, Transmit)> {
        self.slots
            .iter_mut()
            .find_map(|slot| Some((slot.id, slot.client.poll_transmit(now, out)?)))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. Valid once `poll_transmit` gave `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| slot.client.poll_timeout()).min()
    }

    /// What happened since.
    pub fn poll_event(&mut self) -> Option<(ClientId, Event)> {
        self.slots
            .iter_mut()
            .find_map(|slot| Some((slot.id, slot.client.poll_event()?)))
    }
}

impl Relays {
    fn place(&self, id: ClientId) -> Option<usize> {
        self.slots.binary_search_by_key(&id, |slot| slot.id).ok()
    }

    fn for_path(&mut self, path: &Path) -> Result<&mut Client, SendError> {
        let place = self.by_relayed.get(&path.local).ok_or(SendError::NotAllocated)?;
        let slot = self.slots.get_mut(*place).ok_or(SendError::NotAllocated)?;
        Ok(&mut slot.client)
    }

    /// Has the tables say what a client says.
    fn index(&mut self, place: usize) {
        self.index_path(place);
        let Some(slot) = self.slots.get_mut(place) else { return };
        let relayed = slot.relayed_now();
        if relayed == slot.relayed {
            return;
        }
        let before = std::mem::replace(&mut slot.relayed, relayed);
        for address in before.into_iter().flatten() {
            if self.by_relayed.get(&address) == Some(&place) {
                self.by_relayed.remove(&address);
                self.hand_on(address);
            }
        }
        for address in relayed.into_iter().flatten() {
            self.by_relayed.entry(address).or_insert(place);
        }
    }

    fn index_path(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        let path = slot.client.path();
        if path == slot.path {
            return;
        }
        let before = std::mem::replace(&mut slot.path, path);
        if self.by_path.get(&before) == Some(&place) {
            self.by_path.remove(&before);
            if let Some(next) = self.slots.iter().position(|slot| slot.path == before) {
                self.by_path.insert(before, next);
            }
        }
        self.by_path.entry(path).or_insert(place);
    }

    /// Gives an address to the next client that has it.
    fn hand_on(&mut self, address: SocketAddr) {
        if let Some(place) = self.slots.iter().position(|slot| slot.relayed.contains(&Some(address))) {
            self.by_relayed.insert(address, place);
        }
    }
}

fn unwrapped(relayed: [Option<SocketAddr>; 2], received: Received<'_>) -> Option<FromRelay<'_>> {
    let [ipv4, ipv6] = relayed;
    let local = if received.peer.is_ipv4() { ipv4 } else { ipv6 };
    Some(FromRelay {
        path: Path::udp(local?, received.peer),
        data: received.data,
    })
}
