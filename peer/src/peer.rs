use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtp::RtpOut;
use wire::{Path, Seed, Transmit};

use crate::{
    Blocked, Config, Counters, Event, FragmentError, OfferError, Section, Sender, SenderId, Sink, State, StreamId,
    Timer,
};

/// A PeerConnection in the answering role, without I/O.
#[derive(Debug)]
pub struct Peer {
    config: Arc<Config>,
    sections: Vec<Section>,
    counters: Counters,
}

impl Peer {
    /// The least room that [`poll_transmit`](Self::poll_transmit) needs, in bytes.
    pub const MIN_OUT: usize = 1500;

    /// A peer that waits for its first offer.
    pub fn new(config: Arc<Config>, seed: Seed, now: Instant) -> Self {
        let _ = (seed, now);
        Self {
            config,
            sections: Vec::new(),
            counters: Counters::default(),
        }
    }

    // Getters.

    /// How far it has come.
    pub fn state(&self) -> State {
        State::New
    }

    /// What was agreed to, one section for each m-line of the last offer.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// What was announced for a sender. A sender whose section was stopped is forgotten.
    pub fn sender(&self, id: SenderId) -> Option<&Sender> {
        let _ = id;
        None
    }

    /// The username fragments by which the peer may address us now: two while an ICE restart is under way.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        core::iter::empty()
    }

    /// Where media goes now; `None` when it cannot go anywhere.
    pub fn selected_path(&self) -> Option<Path> {
        None
    }

    /// Whether an authenticated connectivity check has opened this path: the SFU then routes what comes by it here.
    pub fn is_validated(&self, path: &Path) -> bool {
        let _ = path;
        false
    }

    /// What SRTP adds to a packet of ours, in bytes; 0 before there are keys.
    pub fn srtp_overhead(&self) -> usize {
        0
    }

    /// Whether the peer has reported on this sender (RFC 3550 §6.4): it knows the SSRC, MID need not be sent any more.
    pub fn is_reported(&self, id: SenderId) -> bool {
        let _ = id;
        false
    }

    /// The round-trip time: from receiver reports, else from connectivity checks.
    pub fn rtt(&self) -> Option<Duration> {
        None
    }

    /// What was dropped here.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Every counter of the peer and of the engines inside.
    pub fn each_counter(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        wire::CounterSet::each(&self.counters, visit);
    }

    // Inputs.

    /// A datagram arrived. `data` is decrypted in place and lent to `sink`.
    pub fn handle_datagram(&mut self, now: Instant, path: &Path, data: &mut [u8], sink: &mut impl Sink) {
        let _ = (now, path, data, sink);
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) told has come. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    // Commands.

    /// Adds an address under which the peer reaches us, before the first offer.
    pub fn add_local_candidate(&mut self, address: SocketAddr) {
        let _ = address;
    }

    /// Takes an offer and gives the answer.
    ///
    /// # Errors
    /// [`OfferError`], a sentence with line and rule. Nothing has changed then.
    pub fn accept_offer(&mut self, now: Instant, offer: &str) -> Result<String, OfferError> {
        let _ = (now, offer);
        Err(OfferError::new(None, "offers are not understood yet"))
    }

    /// Takes a trickled candidate of the section with the given mid: the text of `RTCIceCandidate.candidate`, empty at
    /// the end of candidates. What is of no use (another component, a host name) is counted.
    ///
    /// # Errors
    /// When the text is no candidate.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        mid: Option<&str>,
        candidate: &str,
    ) -> Result<(), FragmentError> {
        let _ = (now, mid, candidate);
        Ok(())
    }

    /// Takes an SDP fragment (RFC 8840 §9) as a WHIP client sends it: candidates give `None`, new credentials are an
    /// ICE restart and give the fragment to answer with.
    ///
    /// # Errors
    /// When the fragment is malformed, or before the first offer.
    pub fn handle_fragment(&mut self, now: Instant, fragment: &str) -> Result<Option<String>, FragmentError> {
        let _ = (now, fragment);
        Ok(None)
    }

    /// Sets the sender's clock: `timestamp` is its RTP timestamp at `at`, and it advances linearly for ever. Sender reports
    /// are made from it; without one they are made from the last packet's timestamp and time.
    pub fn set_sender_clock(&mut self, sender: SenderId, at: Instant, timestamp: u32) {
        let _ = (sender, at, timestamp);
    }

    /// Writes a packet of ours, sealed, into `out` and returns its length. The payload comes in pieces, laid one after the
    /// other (a rewritten payload descriptor, then the rest), so that the caller need not copy it. It leaves by
    /// [`selected_path`](Self::selected_path). `header.ssrc` is not looked at: a sender has its own.
    ///
    /// # Errors
    /// [`Blocked`]; nothing has changed then.
    pub fn write_rtp(
        &mut self,
        now: Instant,
        sender: SenderId,
        header: &RtpOut<'_>,
        payload: &[&[u8]],
        out: &mut [u8],
    ) -> Result<usize, Blocked> {
        let _ = (now, sender, header, payload, out);
        Err(Blocked::NotConnected)
    }

    /// Writes a retransmission (RFC 4588): as [`write_rtp`](Self::write_rtp), with the header of the original packet.
    /// Its number, payload type and SSRC are replaced.
    ///
    /// # Errors
    /// [`Blocked`]; nothing has changed then.
    pub fn write_rtx(
        &mut self,
        now: Instant,
        sender: SenderId,
        original: &RtpOut<'_>,
        payload: &[&[u8]],
        out: &mut [u8],
    ) -> Result<usize, Blocked> {
        let _ = (now, sender, original, payload, out);
        Err(Blocked::NotConnected)
    }

    /// Asks the peer for a key frame of a stream that it sends (PLI, or FIR when only that was agreed to).
    pub fn request_key_frame(&mut self, now: Instant, stream: StreamId) {
        let _ = (now, stream);
    }

    /// Lets a sender report follow at once, as after a switch of sources.
    pub fn send_report_now(&mut self, now: Instant, sender: SenderId) {
        let _ = (now, sender);
    }

    /// Says goodbye: BYE for everything that was sent, then close_notify. They are still to be polled.
    pub fn close(&mut self, now: Instant) {
        let _ = now;
    }

    // Outputs.

    /// The next datagram to send that is not media. Call until it gives `None`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let _ = (now, out);
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` when nothing is armed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Which timer that is.
    pub fn next_timer(&self) -> Option<(Timer, Instant)> {
        None
    }

    /// What happened; call until it gives `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
}
