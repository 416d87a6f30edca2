//! What those want to know who carry datagrams in something else, and again until they have come.

use crate::counters::Counters;
use crate::dtls::Dtls;

/// What a datagram is judged by.
#[derive(Clone, Copy)]
pub(crate) struct Watch {
    refused: Counters,
    taken: u64,
}

impl Dtls {
    /// How many datagrams were taken so far, before the connection was established: no part of them was refused, and some of it
    /// is used or kept, be it a record that is authentic or a piece of the handshake in the clear. When a datagram
    /// makes it rise it need not come again. One that tells nothing (a ChangeCipherSpec), or that waits for its keys and may
    /// be forged, does not.
    pub const fn taken_datagrams(&self) -> u64 {
        self.taken_datagrams
    }

    /// Whether what [`poll_transmit`](Self::poll_transmit) writes next belongs to a flight that had left before.
    pub const fn repeats_flight(&self) -> bool {
        self.association.flight.is_pending() && self.association.flight.has_left()
    }

    /// Before a datagram is looked at.
    pub(crate) fn watch(&self) -> Option<Watch> {
        (!self.is_connected()).then(|| Watch {
            refused: self.refused(),
            taken: self.taken(),
        })
    }

    /// All of it was looked at, and nothing else since.
    pub(crate) fn judge(&mut self, before: Option<Watch>) {
        let is_taken = before.is_some_and(|before| self.refused() == before.refused && self.taken() > before.taken);
        self.taken_datagrams += u64::from(is_taken);
    }

    fn taken(&self) -> u64 {
        self.authentic_records.saturating_add(self.taken_fragments)
    }

    /// What was refused so far: what is here already is not.
    fn refused(&self) -> Counters {
        Counters {
            repeated_fragments: 0,
            replayed_records: 0,
            retransmitted_flights: 0,
            ..self.counters
        }
    }
}
