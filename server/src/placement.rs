use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::RoomName;

/// Says on which worker a room lives: from its first participant to its last on the same one.
#[derive(Debug)]
pub(crate) struct Placement(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    rooms: HashMap<RoomName, Room>,
    /// Participants of each worker.
    load: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Room {
    worker: usize,
    participants: usize,
}

/// A participant's place on a worker, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    table: Arc<Mutex<Table>>,
    room: Option<RoomName>,
    worker: usize,
}

impl Placement {
    pub(crate) fn new(workers: usize) -> Self {
        Self(Arc::new(Mutex::new(Table {
            rooms: HashMap::new(),
            load: vec![0; workers],
        })))
    }

    /// A place in a room; a new room goes to the worker with the fewest participants.
    pub(crate) fn in_room(&self, name: &RoomName) -> Seat {
        let mut table = lock(&self.0);
        let least = table.least_loaded();
        let room = table.rooms.entry(name.clone()).or_insert(Room {
            worker: least,
            participants: 0,
        });
        room.participants += 1;
        let worker = room.worker;
        self.seat(table, Some(name.clone()), worker)
    }

    /// A place of one's own, outside of all rooms.
    pub(crate) fn alone(&self) -> Seat {
        let table = lock(&self.0);
        let worker = table.least_loaded();
        self.seat(table, None, worker)
    }

    /// The worker of a room, if somebody is in it.
    pub(crate) fn find(&self, name: &RoomName) -> Option<usize> {
        lock(&self.0).rooms.get(name).map(|room| room.worker)
    }

    /// Rooms with somebody in them.
    pub(crate) fn rooms(&self) -> usize {
        lock(&self.0).rooms.len()
    }

    fn seat(&self, mut table: MutexGuard<'_, Table>, room: Option<RoomName>, worker: usize) -> Seat {
        if let Some(load) = table.load.get_mut(worker) {
            *load += 1;
        }
        Seat {
            table: self.0.clone(),
            room,
            worker,
        }
    }
}

impl Table {
    fn least_loaded(&self) -> usize {
        let workers = self.load.iter().enumerate();
        workers.min_by_key(|(_, load)| **load).map_or(0, |(worker, _)| worker)
    }
}

impl Seat {
    pub(crate) const fn worker(&self) -> usize {
        self.worker
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        if let Some(load) = table.load.get_mut(self.worker) {
            *load -= 1;
        }
        if let Some(name) = &self.room
            && let Some(room) = table.rooms.get_mut(name)
        {
            room.participants -= 1;
            if room.participants == 0 {
                table.rooms.remove(name);
            }
        }
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomName {
        RoomName::new(name).unwrap()
    }

    #[test]
    fn a_room_stays_where_it_began() {
        let placement = Placement::new(3);
        let first = placement.in_room(&room("a"));
        let others: Vec<Seat> = (0..5).map(|_| placement.in_room(&room("a"))).collect();
        assert!(others.iter().all(|seat| seat.worker() == first.worker()));
        assert_eq!(placement.find(&room("a")), Some(first.worker()));
        assert_eq!(placement.find(&room("b")), None);
        drop(first);
        assert_eq!(placement.in_room(&room("a")).worker(), others[0].worker());
        assert_eq!(placement.rooms(), 1);
    }

    #[test]
    fn a_new_room_goes_where_there_are_fewest() {
        let placement = Placement::new(2);
        let crowd: Vec<Seat> = (0..5).map(|_| placement.in_room(&room("crowd"))).collect();
        let quiet = placement.in_room(&room("quiet"));
        assert_ne!(quiet.worker(), crowd[0].worker());
        let echo = placement.alone();
        assert_eq!(echo.worker(), quiet.worker());
    }

    #[test]
    fn empty_rooms_are_forgotten() {
        let placement = Placement::new(2);
        let crowd: Vec<Seat> = (0..5).map(|_| placement.in_room(&room("a"))).collect();
        let worker = crowd[0].worker();
        drop(crowd);
        assert_eq!(placement.rooms(), 0);
        let other = placement.in_room(&room("b"));
        assert_eq!(other.worker(), worker);
        // Now the other worker is free, and the room is a new one.
        assert_ne!(placement.in_room(&room("a")).worker(), worker);
    }
}
