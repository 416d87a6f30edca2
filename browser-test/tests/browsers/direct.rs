//! A full agent of ours and a browser, with nobody between them: either one offers, and in the middle of the call ICE is
//! restarted.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use browser_test::{Kind, Page};
use peer::{Config, Direction, Event, Peer, Sink, State, StreamInfo};
use rtp::{Packet, RtpOut};
use serde_json::Value;
use wire::{Path, Seed};

use crate::arena::{ADDRESS, Arena};
use crate::{BOTH, SOON};

/// A frame of Opus without a sound, 20 ms.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
const FRAME: Duration = Duration::from_millis(20);

/// How many packets came of each kind.
#[derive(Default)]
struct Ears(BTreeMap<String, u64>);

impl Sink for Ears {
    fn rtp(&mut self, info: &StreamInfo<'_>, _: Packet<&mut [u8]>) {
        *self.0.entry(format!("{:?}", info.kind)).or_default() += 1;
    }
}

/// A peer in full mode on a socket of its own.
struct Caller {
    peer: Peer,
    socket: UdpSocket,
    local: SocketAddr,
    ears: Ears,
    start: Instant,
    sent: u32,
    events: Vec<Event>,
}

impl Caller {
    fn new(arena: &Arena) -> Self {
        let socket = arena.network.run(|| UdpSocket::bind((ADDRESS, 0))).unwrap().unwrap();
        socket.set_nonblocking(true).unwrap();
        let local = socket.local_addr().unwrap();
        let certificate = dtls_srtp::Certificate::generate().unwrap();
        let crypto = Arc::new(dtls_srtp::RingCrypto::new());
        let config = Config::full(Arc::new(dtls_srtp::Config::new(crypto, certificate)));
        let now = Instant::now();
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(1), now);
        peer.add_local_candidate(local);
        peer.end_of_local_candidates(now);
        Self {
            peer,
            socket,
            local,
            ears: Ears::default(),
            start: now,
            sent: 0,
            events: Vec::new(),
        }
    }

    /// Takes what came, speaks, and says what there is to say.
    fn turn(&mut self) {
        let mut data = [0; 2048];
        while let Ok((len, from)) = self.socket.recv_from(&mut data) {
            let path = Path::udp(self.local, from);
            self.peer
                .handle_datagram(Instant::now(), &path, &mut data[..len], &mut self.ears);
        }
        let now = Instant::now();
        self.peer.handle_timeout(now);
        let mut out = [0; Peer::MIN_OUT];
        while let Some(transmit) = self.peer.poll_transmit(now, &mut out) {
            drop(self.socket.send_to(&out[..transmit.len], transmit.path.remote));
        }
        while self.start + FRAME * self.sent <= now {
            self.speak(now);
        }
        self.events.extend(std::iter::from_fn(|| self.peer.poll_event()));
    }

    fn speak(&mut self, now: Instant) {
        let timestamp = self.sent.wrapping_mul(960);
        self.sent += 1;
        let sections = self.peer.sections();
        let audio = sections.iter().find(|section| section.kind() == peer::Kind::Audio);
        let Some((section, sender)) = audio.and_then(|section| Some((section, self.peer.sender(section.sender()?)?)))
        else {
            return;
        };
        let Some(format) = section.formats().first() else {
            return;
        };
        let header = RtpOut {
            payload_type: format.payload_type,
            sequence_number: sender.first_sequence() + u64::from(self.sent),
            timestamp,
            ..RtpOut::default()
        };
        let id = sender.id();
        let mut out = [0; Peer::MIN_OUT];
        let written = self.peer.write_rtp(now, id, &header, &[&SILENCE], &mut out);
        let transmit = written.ok().and_then(|len| self.peer.send_written(now, len, &mut out));
        if let Some(transmit) = transmit {
            drop(self.socket.send_to(&out[..transmit.len], transmit.path.remote));
        }
    }
}

/// A call between ours, which a thread drives, and a page.
struct Call<'a> {
    ours: &'a Mutex<Caller>,
    page: &'a Page,
}

impl Call<'_> {
    fn ours(&self) -> MutexGuard<'_, Caller> {
        self.ours.lock().unwrap()
    }

    fn run(&self, script: &str) -> Value {
        self.page.evaluate(script).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One offer and one answer, complete ones, by either end.
    fn negotiate(&self, ours_offers: bool) {
        if ours_offers {
            let offer = self.ours().peer.offer().unwrap();
            let answer = self.run(&format!("direct.answer({offer:?})"));
            let now = Instant::now();
            self.ours().peer.accept_answer(now, answer.as_str().unwrap()).unwrap();
        } else {
            let offer = self.run("direct.offer()");
            let answer = self
                .ours()
                .peer
                .accept_offer(Instant::now(), offer.as_str().unwrap())
                .unwrap();
            self.run(&format!(
                "direct.pc.setRemoteDescription({{ type: 'answer', sdp: {answer:?} }})"
            ));
        }
    }

    /// Both hear each other, and go on to.
    fn assert_both_hear(&self) {
        let wait = |condition: &str| {
            self.page
                .wait_for(condition, SOON)
                .unwrap_or_else(|error| panic!("{error}; ours: {:?}", self.ours().events))
        };
        wait("direct.pc.connectionState === 'connected'");
        let before = wait("(count => count > 0 && { count })(await direct.received())")["count"].clone();
        wait(&format!("await direct.received() > {before} + 20"));
        let heard = self.ours().ears.0.clone();
        let start = Instant::now();
        let goes_on = |kind: &str| self.ours().ears.0.get(kind) > heard.get(kind);
        while !["Audio", "Video"].into_iter().all(goes_on) {
            assert!(start.elapsed() < SOON, "{:?}", self.ours().ears.0);
            std::thread::yield_now();
        }
        assert_eq!(self.ours().peer.state(), State::Connected);
    }
}

const DIRECT: &str = "globalThis.direct = {
    pc: new RTCPeerConnection(),
    async complete() {
        const { pc } = this;
        while (pc.iceGatheringState !== 'complete') {
            await new Promise(done => pc.addEventListener('icegatheringstatechange', done, { once: true }));
        }
        return pc.localDescription.sdp;
    },
    async attach() {
        if (this.stream) return;
        this.stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
        for (const track of this.stream.getTracks()) this.pc.addTrack(track, this.stream);
    },
    async offer(options) {
        await this.attach();
        await this.pc.setLocalDescription(await this.pc.createOffer(options));
        return this.complete();
    },
    async answer(sdp) {
        await this.pc.setRemoteDescription({ type: 'offer', sdp });
        await this.attach();
        await this.pc.setLocalDescription();
        return this.complete();
    },
    async received() {
        const stats = [...(await this.pc.getStats()).values()];
        return stats.find(entry => entry.type === 'inbound-rtp' && entry.kind === 'audio')?.packetsReceived ?? 0;
    },
};";

fn call(kind: Kind, ours_offers: bool) {
    let arena = Arena::new();
    let browser = arena.launch(kind);
    let page = browser.open_with(&arena.url("/healthz"), DIRECT).unwrap();
    let caller = Mutex::new(Caller::new(&arena));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                caller.lock().unwrap().turn();
                // The lock is for others, too.
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let call = Call {
            ours: &caller,
            page: &page,
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if ours_offers {
                for kind in [peer::Kind::Audio, peer::Kind::Video] {
                    call.ours().peer.add_section(kind, Direction::SendRecv).unwrap();
                }
            }
            call.negotiate(ours_offers);
            call.assert_both_hear();
            let first = call.ours().peer.selected_path();
            // Whoever offers restarts ICE.
            if ours_offers {
                call.ours().peer.restart_ice(Instant::now()).unwrap();
            } else {
                call.run("void direct.pc.restartIce()");
            }
            call.negotiate(ours_offers);
            call.assert_both_hear();
            assert!(first.is_some() && call.ours().peer.selected_path().is_some());
            let lost = |event: &Event| matches!(event, Event::Failed | Event::Closed { .. } | Event::NeedsRestart);
            assert!(!call.ours().events.iter().any(lost), "{:?}", call.ours().events);
        }));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn a_full_agent_calls_browsers() {
    for kind in BOTH {
        call(kind, true);
    }
}

#[test]
fn browsers_call_a_full_agent() {
    for kind in BOTH {
        call(kind, false);
    }
}
