//! A full agent of ours and a browser, with nobody between them: either one offers, and in the middle of the call ICE is
//! restarted. Or one of them knows of the other no more than a name of mDNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use browser_test::{Browser, Devices, Kind, Options, Page};
use dtls_srtp::Role;
use ice::mdns::{self, Subnet};
use peer::{Channel, ChannelId, Config, Direction, Event, Mdns, MessageKind, Peer, Secured, Sink, State, StreamInfo};
use rtp::{Packet, RtpOut};
use serde_json::{Value, json};
use wire::{Path, Seed};

use crate::arena::{ADDRESS, Arena};
use crate::way::Way;
use crate::{BOTH, SOON};

/// A frame of Opus without a sound, 20 ms.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
const FRAME: Duration = Duration::from_millis(20);
/// Between two looks at what the thread that drives ours has come to: it needs what is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// How many packets came of each kind, and what was said on data channels.
#[derive(Default)]
struct Ears {
    packets: BTreeMap<String, u64>,
    messages: Vec<(ChannelId, MessageKind, Vec<u8>)>,
}

impl Sink for Ears {
    fn rtp(&mut self, info: &StreamInfo<'_>, _: Packet<&mut [u8]>) {
        *self.packets.entry(format!("{:?}", info.kind)).or_default() += 1;
    }

    fn message(&mut self, channel: &Channel, kind: MessageKind, payload: &[u8]) {
        self.messages.push((channel.id(), kind, payload.to_vec()));
    }
}

/// A peer in full mode on a socket of its own.
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    way: Way,
    local: SocketAddr,
    link: Option<Link>,
    ears: Ears,
    /// Whether it says again what it hears on data channels.
    returns_messages: bool,
    start: Instant,
    sent: u32,
    events: Vec<Event>,
    /// It does nothing until the browser knows its description.
    held: bool,
    first_media: Option<FirstMedia>,
}

/// When the first packet of ours left, since our first check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FirstMedia {
    pub(crate) round_trips: u32,
    pub(crate) time: Duration,
}

/// mDNS on the arena's link.
pub(crate) struct Link {
    socket: UdpSocket,
    /// How many responses have come.
    responses: usize,
}

impl Link {
    const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(mdns::GROUP_IPV4), mdns::PORT);

    fn open(arena: &Arena) -> (Self, mdns::Config) {
        let local = SocketAddr::from((ADDRESS, mdns::PORT));
        let join = || udp::join_multicast(Self::GROUP.ip(), local);
        let socket = arena.network.run(join).unwrap().unwrap();
        let config = mdns::Config {
            ipv4: Some(local),
            subnets: vec![Subnet {
                address: local.ip(),
                prefix: 24,
            }],
            ..mdns::Config::default()
        };
        (Self { socket, responses: 0 }, config)
    }

    /// Takes what came, and says what there is to say.
    fn turn(&mut self, peer: &mut Peer) {
        let mut data = [0; 2048];
        while let Ok((len, from)) = self.socket.recv_from(&mut data) {
            // QR (RFC 1035 §4.1.1).
            self.responses += usize::from(len > 2 && data[2] & 0x80 != 0);
            peer.handle_mdns(Instant::now(), &Path::udp(Self::GROUP, from), &data[..len]);
        }
        let mut out = [0; mdns::MIN_OUT];
        while let Some(transmit) = peer.poll_mdns_transmit(Instant::now(), &mut out) {
            drop(self.socket.send_to(&out[..transmit.len], transmit.path.remote));
        }
    }
}

impl Caller {
    fn new(arena: &Arena) -> Self {
        Self::with(arena, |_| None)
    }

    /// One that resolves names, and has one in place of its own address where it is to `conceal` that.
    fn with_names(arena: &Arena, conceal: bool) -> Self {
        Self::with(arena, |config| {
            let (link, of_link) = Link::open(arena);
            config.mdns = Some(Mdns { link: of_link, conceal });
            Some(link)
        })
    }

    pub(crate) fn with(arena: &Arena, change: impl FnOnce(&mut Config) -> Option<Link>) -> Self {
        Self::far(arena, Duration::ZERO, change)
    }

    /// One that is so far away, in each direction. It begins when the browser has its description: how long that takes is
    /// not for it to say.
    pub(crate) fn far(arena: &Arena, delay: Duration, change: impl FnOnce(&mut Config) -> Option<Link>) -> Self {
        let socket = arena.network.run(|| UdpSocket::bind((ADDRESS, 0))).unwrap().unwrap();
        socket.set_nonblocking(true).unwrap();
        let local = socket.local_addr().unwrap();
        let certificate = dtls_srtp::Certificate::generate().unwrap();
        let crypto = Arc::new(dtls_srtp::RingCrypto::new());
        let mut config = Config::full(Arc::new(dtls_srtp::Config::new(crypto, certificate)));
        let link = change(&mut config);
        let now = Instant::now();
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(1), now);
        peer.add_local_candidate(local);
        peer.end_of_local_candidates(now);
        Self {
            peer,
            way: Way::new(socket, delay),
            local,
            link,
            ears: Ears::default(),
            returns_messages: false,
            start: now,
            sent: 0,
            events: Vec::new(),
            held: false,
            first_media: None,
        }
    }

    /// From now on it says again, on each data channel, what it hears there.
    pub(crate) const fn returns_messages(&mut self) {
        self.returns_messages = true;
    }

    /// What it was told by its peer, in order.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// What the handshake has settled.
    pub(crate) fn secured(&self) -> Option<&Secured> {
        self.events.iter().find_map(|event| match event {
            Event::Secured(secured) => Some(secured),
            _ => None,
        })
    }

    /// When its first packet left.
    pub(crate) const fn first_media(&self) -> Option<FirstMedia> {
        self.first_media
    }

    /// Takes what came, speaks, and says what there is to say.
    fn turn(&mut self) {
        if self.held {
            return;
        }
        while let Some((from, mut data)) = self.way.receive(Instant::now()) {
            let path = Path::udp(self.local, from);
            self.peer
                .handle_datagram(Instant::now(), &path, &mut data, &mut self.ears);
        }
        let now = Instant::now();
        for (channel, kind, payload) in self.ears.messages.drain(..).filter(|_| self.returns_messages) {
            self.peer.send_message(now, channel, kind, payload.into()).unwrap();
        }
        self.peer.handle_timeout(now);
        if let Some(link) = &mut self.link {
            link.turn(&mut self.peer);
        }
        let mut out = [0; Peer::MIN_OUT];
        while let Some(transmit) = self.peer.poll_transmit(now, &mut out) {
            self.way.send(now, transmit.path.remote, &out[..transmit.len]);
        }
        self.way.flush(now);
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
            self.way.send(now, transmit.path.remote, &out[..transmit.len]);
            let first_check = self.way.first_check().unwrap_or(now);
            self.first_media.get_or_insert_with(|| FirstMedia {
                round_trips: self.way.round(),
                time: now - first_check,
            });
        }
    }
}

/// Who is told of the other's candidates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Both,
    Ours,
    Page,
}

/// A call between ours, which a thread drives, and a page.
pub(crate) struct Call<'a> {
    ours: &'a Mutex<Caller>,
    page: &'a Page,
    kind: Kind,
    told: Told,
    /// The DTLS role that ours has; by itself it is server, whoever offers.
    role: Role,
}

impl Call<'_> {
    pub(crate) fn ours(&self) -> MutexGuard<'_, Caller> {
        self.ours.lock().unwrap()
    }

    pub(crate) fn run(&self, script: &str) -> Value {
        self.page.evaluate(script).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One offer and one answer, complete ones, by either end.
    fn negotiate(&self, ours_offers: bool) {
        let mut ours = self.ours();
        ours.held = ours.way.is_long();
        drop(ours);
        if ours_offers {
            let offer = self.ours().peer.offer().unwrap();
            let offer = self.told_to_page(offer);
            let answer = self.run(&format!("direct.answer({offer:?})"));
            let answer = self.told_to_ours(answer.as_str().unwrap());
            self.ours().peer.accept_answer(Instant::now(), &answer).unwrap();
        } else {
            let offer = self.run("direct.offer()");
            let offer = self.told_to_ours(offer.as_str().unwrap());
            let answer = self.ours().peer.accept_offer(Instant::now(), &offer).unwrap();
            let answer = self.told_to_page(answer);
            self.run(&format!(
                "direct.pc.setRemoteDescription({{ type: 'answer', sdp: {answer:?} }})"
            ));
        }
        self.ours().held = false;
    }

    /// Our description as the page is told it.
    fn told_to_page(&self, ours: String) -> String {
        if self.told == Told::Page {
            assert_hides_addresses(&ours);
        }
        let ours = with_setup(&ours, if self.role == Role::Client { "active" } else { "actpass" });
        if self.told == Told::Ours {
            without_candidates(&ours)
        } else {
            ours
        }
    }

    /// The page's description as ours is told it.
    fn told_to_ours(&self, theirs: &str) -> String {
        if self.told != Told::Both {
            assert_hides_addresses(theirs);
        }
        if self.told == Told::Ours && self.kind == Kind::Chromium {
            // Chromium announces a name twice, a second apart. Who waits until that is over hears what it answers.
            let start = Instant::now();
            while self.ours().link.as_ref().is_some_and(|link| link.responses < 2) {
                assert!(start.elapsed() < SOON, "the name was not announced");
                std::thread::sleep(PAUSE);
            }
        }
        let theirs = with_setup(
            theirs,
            if self.role == Role::Client {
                "passive"
            } else {
                "actpass"
            },
        );
        if self.told == Told::Page {
            without_candidates(&theirs)
        } else {
            theirs
        }
    }

    /// What the page's selected pair says of where it found us.
    fn our_candidate(&self) -> Value {
        self.run("direct.remote()")
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
        let heard = self.ours().ears.packets.clone();
        let start = Instant::now();
        let goes_on = |kind: &str| self.ours().ears.packets.get(kind) > heard.get(kind);
        while !["Audio", "Video"].into_iter().all(goes_on) {
            assert!(start.elapsed() < SOON, "{:?}", self.ours().ears.packets);
            std::thread::sleep(PAUSE);
        }
        assert_eq!(self.ours().peer.state(), State::Connected);
    }
}

pub(crate) const DIRECT: &str = "globalThis.direct = {
    pc: new RTCPeerConnection(),
    media: () => navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } }),
    async complete() {
        const { pc } = this;
        while (pc.iceGatheringState !== 'complete') {
            await new Promise(done => pc.addEventListener('icegatheringstatechange', done, { once: true }));
        }
        return pc.localDescription.sdp;
    },
    async attach() {
        if (this.stream) return;
        this.stream = await this.media();
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
    async remote() {
        const stats = await this.pc.getStats();
        const pairs = [...stats.values()].filter(entry => entry.type === 'candidate-pair');
        const selected = pairs.filter(pair => pair.nominated && pair.state === 'succeeded');
        return selected.map(pair => stats.get(pair.remoteCandidateId).candidateType);
    },
};";

/// A picture and a tone that are nobody's camera and microphone.
const DRAWN: &str = "direct.media = async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
    const pen = canvas.getContext('2d');
    setInterval(() => {
        pen.fillStyle = `hsl(${performance.now() % 360} 50% 50%)`;
        pen.fillRect(0, 0, canvas.width, canvas.height);
    }, 50);
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const sound = audio.createMediaStreamDestination();
    tone.connect(sound);
    tone.start();
    return new MediaStream([...canvas.captureStream().getTracks(), ...sound.stream.getTracks()]);
};";

/// A name is told and no address.
fn assert_hides_addresses(description: &str) {
    let address = ADDRESS.to_string();
    assert!(
        description.contains(".local ") && !description.contains(&address),
        "{description}"
    );
}

/// An offer that leaves the DTLS role no longer open (RFC 8842 §5.2).
fn with_setup(description: &str, setup: &str) -> String {
    description.replace("a=setup:actpass", &format!("a=setup:{setup}"))
}

fn without_candidates(description: &str) -> String {
    let is_of_candidates = |line: &&str| line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates");
    let lines = description.lines().filter(|line| !is_of_candidates(line));
    lines.map(|line| format!("{line}\r\n")).collect()
}

/// Whoever offers restarts ICE.
fn call(kind: Kind, ours_offers: bool) {
    let arena = Arena::new();
    let browser = arena.launch(kind);
    let page = browser.open_with(&arena.url("/healthz"), DIRECT).unwrap();
    meet(Caller::new(&arena), &page, kind, Told::Both, ours_offers, |call| {
        let first = call.ours().peer.selected_path();
        if ours_offers {
            call.ours().peer.restart_ice(Instant::now()).unwrap();
        } else {
            call.run("void direct.pc.restartIce()");
        }
        call.negotiate(ours_offers);
        call.assert_both_hear();
        assert!(first.is_some() && call.ours().peer.selected_path().is_some());
    });
}

/// A browser that hides its addresses and one of ours, of which one knows nothing of the other, and the other a name
/// alone: nothing is sent before that is resolved.
fn call_by_name(kind: Kind, told: Told, ours_offers: bool) {
    let arena = Arena::new();
    let options = Options {
        hide_addresses: true,
        devices: Devices::Denied,
        ..Options::within(&arena.network)
    };
    let browser = Browser::launch(kind, &options).unwrap_or_else(|error| panic!("{error}"));
    let preload = [DIRECT, DRAWN].concat();
    let page = browser.open_with(&arena.url("/healthz"), &preload).unwrap();
    let caller = Caller::with_names(&arena, told == Told::Page);
    meet(caller, &page, kind, told, ours_offers, |call| {
        // Who was told nothing found the other by the check that came from there.
        let found = call.our_candidate();
        let expected = if told == Told::Page { "host" } else { "prflx" };
        assert_eq!(found, json!([expected]), "{kind}");
        let ours = call.ours();
        assert_eq!(ours.peer.selected_path().unwrap().remote.ip(), ADDRESS);
        let mut counters = BTreeMap::new();
        ours.peer.each_counter(&mut |name, value| {
            if value > 0 && (name.starts_with("mdns_") || name.contains("names")) {
                counters.insert(name, value);
            }
        });
        assert_eq!(counters, BTreeMap::new(), "{kind}");
    });
}

/// Calls, and does something in the call.
fn meet(caller: Caller, page: &Page, kind: Kind, told: Told, ours_offers: bool, then: impl Fn(&Call<'_>)) {
    meet_as(Role::Server, caller, page, kind, told, ours_offers, then);
}

/// The same with ours in this DTLS role.
pub(crate) fn meet_as(
    role: Role,
    caller: Caller,
    page: &Page,
    kind: Kind,
    told: Told,
    ours_offers: bool,
    then: impl Fn(&Call<'_>),
) {
    let caller = Mutex::new(caller);
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
            page,
            kind,
            told,
            role,
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if ours_offers {
                for kind in [peer::Kind::Audio, peer::Kind::Video] {
                    call.ours().peer.add_section(kind, Direction::SendRecv).unwrap();
                }
            }
            call.negotiate(ours_offers);
            call.assert_both_hear();
            then(&call);
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

#[test]
fn names_of_browsers_are_resolved() {
    for kind in BOTH {
        for ours_offers in [true, false] {
            call_by_name(kind, Told::Ours, ours_offers);
        }
    }
}

#[test]
fn browsers_resolve_our_names() {
    for kind in BOTH {
        for ours_offers in [true, false] {
            call_by_name(kind, Told::Page, ours_offers);
        }
    }
}
