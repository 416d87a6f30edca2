use std::collections::VecDeque;
use std::time::Instant;

use wire::{Ecn, Path, Transmit};

use super::{Engine, Handshake, Join, Other, ParticipantId, Reason, Refusal, SourceInfo, View};
use crate::protocol::ServerMessage;

/// An engine that nobody joins: it writes down what comes, uses the paths that it is told to, and sends what it is
/// given.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) frames: Vec<(Path, Vec<u8>)>,
    pub(crate) closed: Vec<Path>,
    pub(crate) open: bool,
    pub(crate) to_send: VecDeque<(Path, Vec<u8>)>,
}

impl Engine for Notes {
    fn is_path_open(&self, _: &Path) -> bool {
        self.open
    }
    fn handle_datagram(&mut self, _: Instant, path: &Path, _: Ecn, data: &mut [u8]) {
        self.frames.push((*path, data.to_vec()));
    }
    fn handle_path_closed(&mut self, _: Instant, path: &Path) {
        self.closed.push(*path);
    }
    fn others(&self, _: ParticipantId) -> Vec<Other> {
        Vec::new()
    }
    fn each_counter(&self, _: &mut dyn FnMut(&'static str, u64)) {}
    fn handshakes(&self) -> Vec<(Handshake, u64)> {
        Vec::new()
    }
    fn participants(&self) -> usize {
        0
    }
    fn speaking(&self) -> usize {
        0
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn join(&mut self, _: Instant, _: &str, _: Join) -> Result<ParticipantId, Refusal> {
        unreachable!("nobody comes")
    }
    fn offer(&mut self, _: Instant, _: ParticipantId, _: &str) -> Result<String, Refusal> {
        unreachable!("nobody offers")
    }
    fn candidate(&mut self, _: Instant, _: ParticipantId, _: Option<&str>, _: &str) -> Result<(), Refusal> {
        Ok(())
    }
    fn fragment(&mut self, _: Instant, _: ParticipantId, _: &str) -> Result<Option<String>, Refusal> {
        Ok(None)
    }
    fn set_sources(&mut self, _: Instant, _: ParticipantId, _: Vec<SourceInfo>) -> Result<(), Refusal> {
        Ok(())
    }
    fn set_muted(&mut self, _: Instant, _: ParticipantId, _: &str, _: bool) -> Result<(), Refusal> {
        Ok(())
    }
    fn set_view(&mut self, _: Instant, _: ParticipantId, _: View) -> Result<(), Refusal> {
        Ok(())
    }
    fn tell_again(&mut self, _: ParticipantId) -> Result<(), Refusal> {
        Ok(())
    }
    fn leave(&mut self, _: Instant, _: ParticipantId, _: Reason) {}
    fn close(&mut self, _: Instant) {}
    fn poll_transmit(&mut self, _: Instant, out: &mut [u8]) -> Option<Transmit> {
        let (path, datagram) = self.to_send.pop_front()?;
        out[..datagram.len()].copy_from_slice(&datagram);
        Some(Transmit::one(path, datagram.len()))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<(ParticipantId, ServerMessage)> {
        None
    }
}
