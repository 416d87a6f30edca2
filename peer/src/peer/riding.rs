use std::time::{Duration, Instant};

use dtls_srtp::{Dtls, Role, Version};
use ice::{Attachments, Rider};
use stun::{Authenticated, Class};
use wire::{Path, Transmit};

use super::Peer;
use crate::{Sink, Sped, SpedArrival};

/// What a check has beside a DTLS datagram and the two ufrags, in bytes: header 20, USERNAME 4 with a colon and padding
/// 4, role 12, USE-CANDIDATE 4, NOMINATION 8, PRIORITY 8, the acknowledgement 20, the datagram's header and padding 8,
/// MESSAGE-INTEGRITY-SHA256 36, FINGERPRINT 8.
const CHECK: usize = 132;

/// The round trip that DTLS is told when a pair works, but of its checks none was answered that was sent only once: DTLS
/// begins with 100 ms then, as it does without.
const UNMEASURED: Duration = Duration::from_millis(67);

/// The round trip that DTLS is told as long as no pair works: its flight is in the checks, and these are sent again
/// after `rto`. Sent again sooner it would have other record numbers, and what the peer acknowledges would be that of
/// before. DTLS waits for 1.5 round trips, and no longer than a second.
fn without_path(rto: Duration) -> Duration {
    rto.saturating_mul(2).saturating_add(Duration::from_nanos(2)) / 3
}

/// DTLS in checks ([`Config::sped`](crate::Config::sped)).
impl Peer {
    /// Takes a datagram of STUN, and what DTLS is in it.
    pub(super) fn handle_stun(&mut self, now: Instant, path: &Path, data: &[u8], sink: &mut impl Sink) {
        let Some(sped) = &mut self.sped else {
            return self.ice.handle_datagram(now, path, data);
        };
        self.ice.handle_datagram_with(now, path, data, &mut **sped);
        let mut unexpected = 0;
        let mut channels = self.data.take();
        self.take_ridden(now, &mut |packet| {
            if !Self::receive_data(channels.as_deref_mut(), now, packet, sink) {
                unexpected += 1;
            }
        });
        self.data = channels;
        self.connect_data(now);
        self.counters.unexpected_application_data += unexpected;
        self.begin_media_if_secure(now, sink);
    }

    /// Hands to DTLS what came in checks, as soon as it is there.
    ///
    /// It says nothing about paths: the check that it came in has said all that there is to say.
    pub(super) fn take_ridden(&mut self, now: Instant, application: &mut dyn FnMut(&mut [u8])) {
        let (Some(sped), Some(dtls)) = (&mut self.sped, &mut self.dtls) else {
            return;
        };
        while let Some(mut datagram) = sped.poll_received() {
            dtls.handle_datagram(now, &mut datagram, application);
        }
        self.handle_dtls_events(now);
    }

    /// The next datagram of ICE's, with what rides in it.
    pub(super) fn poll_ice(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let selected = self.ice.selected().is_some();
        self.prepare_flight(selected);
        let Some(sped) = &mut self.sped else {
            return self.ice.poll_transmit(now, out);
        };
        sped.note_path(selected);
        let mut ride = Ride {
            now,
            sped: &mut *sped,
            dtls: self.dtls.as_mut(),
        };
        if selected {
            // It leaves by itself, too.
            ride.load();
        }
        let room = self.config.max_datagram.max(ice::MIN_OUT).min(out.len());
        let transmit = self.ice.poll_transmit_with(now, &mut out[..room], &mut ride);
        // One check has one datagram. A ClientHello with post-quantum shares has two, and the answer to the first is a
        // round trip away.
        if transmit.is_some() && !selected && sped.has_more() {
            self.ice.check_again(now);
        }
        transmit
    }

    /// Tells DTLS what is to be known before a flight leaves: how long its datagrams may be, and the round trip, for its
    /// timer starts then.
    fn prepare_flight(&mut self, selected: bool) {
        let ufrag = |credentials: &ice::Credentials| credentials.ufrag.len();
        let ufrags = ufrag(self.ice.local_credentials()) + self.ice.remote_credentials().map_or(0, ufrag);
        let (Some(sped), Some(dtls)) = (&self.sped, &mut self.dtls) else {
            return;
        };
        let whole = self.config.dtls.max_datagram;
        if !sped.is_active() {
            return dtls.set_max_datagram(whole);
        }
        let room = self.config.max_datagram.saturating_sub(CHECK + ufrags);
        dtls.set_max_datagram(room.min(Sped::MAX_DATAGRAM).min(whole));
        let measured = self.ice.rtt();
        let waits = self.ice.rto().filter(|_| !selected).map(without_path);
        dtls.set_rtt(waits.or(measured).unwrap_or(UNMEASURED));
    }

    /// The handshake is complete.
    pub(super) fn complete_riding(&mut self, now: Instant, version: Version) {
        self.prepare_flight(self.ice.selected().is_some());
        let (Some(sped), Some(dtls)) = (&mut self.sped, &mut self.dtls) else {
            return;
        };
        // The last flight is the server's in DTLS 1.2 and the client's in DTLS 1.3, but for acknowledgements.
        let last = if version == Version::DTLS_1_2 {
            Role::Server
        } else {
            Role::Client
        };
        let answered = dtls.role() != last;
        if !answered {
            // Where nothing rides it is over as soon as the peer has nothing more to say: our last flight comes first.
            let mut ride = Ride {
                now,
                sped: &mut *sped,
                dtls: Some(dtls),
            };
            ride.load();
        }
        sped.complete(answered);
    }
}

/// A datagram that came by itself, and how many DTLS had taken before it.
pub(super) struct Plain {
    arrival: SpedArrival,
    taken: u64,
}

impl Plain {
    /// `None` when DTLS has had it.
    pub(super) fn look_at(datagram: &[u8], sped: &mut Sped, dtls: &Dtls) -> Option<Self> {
        let arrival = sped.note_plain(datagram)?;
        let taken = dtls.taken_datagrams();
        Some(Self { arrival, taken })
    }

    /// DTLS has looked at it.
    pub(super) fn settle(self, sped: &mut Sped, dtls: &Dtls) {
        if dtls.taken_datagrams() > self.taken {
            sped.note_taken(self.arrival);
        }
    }
}

/// What rides, and where it comes from.
struct Ride<'a> {
    now: Instant,
    sped: &'a mut Sped,
    dtls: Option<&'a mut Dtls>,
}

impl Ride<'_> {
    /// Takes over the flight that DTLS has to send.
    fn load(&mut self) {
        let Some(dtls) = &mut self.dtls else { return };
        let mut out = [0; Sped::MAX_DATAGRAM];
        let mut begun = false;
        let repeats = dtls.repeats_flight();
        while self.sped.is_active()
            && let Some(len) = dtls.poll_transmit(self.now, &mut out)
        {
            if !std::mem::replace(&mut begun, true) {
                if repeats {
                    self.sped.repeat_flight();
                } else {
                    self.sped.begin_flight();
                }
            }
            self.sped.push(&out[..len]);
        }
    }
}

impl Rider for Ride<'_> {
    fn attach(&mut self, class: Class, attachments: &mut Attachments<'_, '_>) {
        // Not before there is a check: DTLS's clock for the flight starts when it is taken.
        self.load();
        self.sped.attach(class, attachments);
    }

    fn deliver(&mut self, message: &Authenticated<'_>) {
        self.sped.deliver(message);
    }
}
