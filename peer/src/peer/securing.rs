use std::time::Instant;

use dtls_srtp::Dtls;
use dtls_srtp::srtp::{Opener, Sealer};
use wire::Path;

use super::Peer;
use super::riding::Plain;
use crate::{Blocked, CloseReason, Event, Secured, Sink, State, Timer};

/// The two directions of SRTP.
#[derive(Debug)]
pub(super) struct Srtp {
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
}

/// The keys: the handshake that gives them, and what waits for them.
impl Peer {
    pub(super) fn handle_dtls(&mut self, now: Instant, path: &Path, data: &mut [u8], sink: &mut impl Sink) {
        let Some(dtls) = &mut self.dtls else {
            self.counters.before_offer += 1;
            return;
        };
        if !self.ice.may_receive(now, path) {
            self.counters.unvalidated_path += 1;
            return;
        }
        let was_connected = dtls.is_connected();
        let plain = self.sped.as_mut().map(|sped| Plain::look_at(data, sped, dtls));
        if matches!(plain, Some(None)) {
            // A check had brought it. That it comes here chooses the path all the same.
            if !was_connected {
                self.ice.note_activity(now, path, ice::Activity::Handshake);
            }
            return self.update(now);
        }
        let authentic_before = dtls.authentic_records();
        dtls.handle_datagram(now, data, &mut |packet| {
            if !Self::receive_data(self.data.as_deref_mut(), now, packet, sink) {
                self.counters.unexpected_application_data += 1;
            }
        });
        if let (Some(sped), Some(plain)) = (&mut self.sped, plain.flatten()) {
            plain.settle(sped, dtls);
        }
        let authentic = dtls.authentic_records() > authentic_before;
        // Anybody can send a record that looks like a handshake: it chooses the path, but is no sign of life.
        if authentic {
            self.ice.note_activity(now, path, ice::Activity::Dtls);
        } else if !was_connected {
            self.ice.note_activity(now, path, ice::Activity::Handshake);
        }
        self.handle_dtls_events(now);
        self.begin_media_if_secure(now, sink);
        self.update(now);
    }

    pub(super) fn begin_media_if_secure(&mut self, now: Instant, sink: &mut impl Sink) {
        if self.state != State::Closed && self.srtp.is_some() && self.timers.get(Timer::Report).is_none() {
            self.begin_media(now, sink);
        }
    }

    /// The keys are there: takes up what waited for them.
    fn begin_media(&mut self, now: Instant, sink: &mut impl Sink) {
        self.arm_report(now);
        while let Some(mut packet) = self.early.pop() {
            self.handle_media(now, packet.arrival, &packet.known, &mut packet.data, sink);
        }
        self.timers.set(Timer::EarlyMedia, self.early_deadline());
    }

    pub(super) fn handle_dtls_events(&mut self, now: Instant) {
        while let Some(event) = self.dtls.as_mut().and_then(Dtls::poll_event) {
            match event {
                dtls_srtp::Event::Connected {
                    version,
                    suite,
                    group,
                    profile,
                } => {
                    self.secure();
                    self.complete_riding(now, version);
                    self.connect_data(now);
                    self.push_event(Event::Secured(Secured {
                        version: version.name().unwrap_or("unknown"),
                        suite: suite.name().unwrap_or("unknown"),
                        group: group.name().unwrap_or("unknown"),
                        srtp_profile: profile.and_then(|profile| profile.id().name()).unwrap_or("none"),
                    }));
                }
                // Fingerprints decide, ICE knows where the peer is, and each call has its certificates.
                dtls_srtp::Event::CertificateToJudge | dtls_srtp::Event::ConnectionIds | dtls_srtp::Event::Session => {}
                dtls_srtp::Event::Closed { reason } => {
                    if let Some(sped) = self.sped.as_mut().filter(|_| reason != dtls_srtp::CloseReason::Local) {
                        sped.end();
                    }
                    let reason = match reason {
                        dtls_srtp::CloseReason::Local => CloseReason::Local,
                        dtls_srtp::CloseReason::Peer => CloseReason::Remote,
                        other => CloseReason::Dtls(other.to_string()),
                    };
                    self.end(reason);
                }
            }
        }
    }

    /// Takes the keys for SRTP out of the handshake (RFC 5764 §4.2).
    fn secure(&mut self) {
        let Some(keys) = self.dtls.as_mut().and_then(Dtls::take_srtp_keys) else {
            return;
        };
        let mut sealer = Sealer::new(keys.local);
        let mut opener = Opener::new(&keys.remote);
        sealer.set_max_streams(self.config.max_ssrcs);
        opener.set_max_sources(self.config.max_ssrcs);
        self.senders.attach(&mut sealer);
        self.srtp = Some(Srtp { sealer, opener });
    }
}

/// Those who may seal now.
#[inline]
pub(super) fn sealer(state: State, srtp: &mut Option<Srtp>) -> Result<&mut Sealer, Blocked> {
    match (state, srtp) {
        (State::Connected | State::Disconnected, Some(srtp)) => Ok(&mut srtp.sealer),
        _ => Err(Blocked::NotConnected),
    }
}
