use std::collections::VecDeque;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use dtls_srtp::srtp::{Opener, Sealer, StreamHandle};
use dtls_srtp::{Certificate, Dtls, Fingerprint, Role};
use rtp::{PayloadType, RtpOut, Ssrc};
use stun::{Builder, Class, Key, Message, Method, TransactionId, Value};
use wire::Seed;

use super::media::{Media, ReceivedRtp};
use crate::{Direction, Extension, Kind};

/// The offering side of a call, as Chromium is it: full ICE, controlling, DTLS client, many codecs.
///
/// One UDP path, from [`address`](Self::address) to the first candidate of the answer. Time is virtual.
pub struct Client {
    /// Where its datagrams come from. Tests may change it, as a NAT does.
    pub address: SocketAddr,
    /// What it wants to send and to receive, section by section.
    pub media: Vec<Media>,
    /// The decrypted RTP packets that arrived.
    pub rtp: Vec<ReceivedRtp>,
    /// The decrypted compound RTCP packets that arrived.
    pub rtcp: Vec<Vec<u8>>,
    /// Events of its DTLS engine.
    pub dtls_events: Vec<dtls_srtp::Event>,
    /// While true it sends nothing of its own accord: no checks and no handshake.
    pub silent: bool,
    /// What it calls itself in `a=setup`.
    pub setup: &'static str,
    /// Whether it offers `a=extmap-allow-mixed`, `a=rtcp-rsize` and `a=rtcp-xr`, as Chromium does.
    pub modern: bool,
    /// Whether it offers transport-wide feedback.
    pub transport_cc: bool,
    /// The ids of header extensions in its offers.
    pub extensions: Vec<(Extension, u8)>,
    /// How it answers NACKs.
    pub resend: Resend,
    /// The sequence numbers that it was asked for again, with the media's SSRC and the number of the NACK, in order.
    pub asked: Vec<(usize, Ssrc, u16)>,
    nacks: usize,
    sent: VecDeque<Sent>,
    number: u64,
    dtls_config: Arc<dtls_srtp::Config>,
    fingerprint: Option<String>,
    ice_generation: u64,
    remote: Option<(String, String)>,
    server: Option<SocketAddr>,
    answer: String,
    version: u64,
    mids: u64,
    dtls: Option<Dtls>,
    srtp: Option<(Sealer, Opener)>,
    handles: Vec<(Ssrc, StreamHandle)>,
    transport_sequence: u16,
    checks: u32,
    answered_checks: u32,
    next_check: Option<Instant>,
    queue: VecDeque<Vec<u8>>,
}

/// How a [`Client`] answers a NACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// Not at all.
    Nothing,
    /// By the stream for retransmissions (RFC 4588), with all extensions.
    Rtx,
    /// By the same datagram once more.
    Same,
}

/// A packet of media that was sent.
struct Sent {
    ssrc: Ssrc,
    sequence_number: u16,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

/// How many sent packets it remembers.
const SENT: usize = 2048;

/// The ids of header extensions in the client's offers, as Chromium has them.
const EXTENSIONS: [(Extension, u8); 9] = [
    (Extension::AudioLevel, 1),
    (Extension::AbsSendTime, 2),
    (Extension::TransportCc, 3),
    (Extension::Mid, 4),
    (Extension::PlayoutDelay, 5),
    (Extension::Rid, 10),
    (Extension::RepairedRid, 11),
    (Extension::DependencyDescriptor, 12),
    (Extension::VideoOrientation, 13),
];

const AUDIO_FORMATS: &str = "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n";
/// Payload type, encoding, parameters, payload type of retransmissions.
const VIDEO_FORMATS: [(u8, &str, &str, u8); 5] = [
    (96, "VP8", "", 97),
    (
        102,
        "H264",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        103,
    ),
    (
        108,
        "H264",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        109,
    ),
    (98, "VP9", "profile-id=0", 99),
    (45, "AV1", "level-idx=5;profile=0;tier=0", 46),
];

impl Client {
    /// A client with fake cryptography; `number` makes it different from others.
    pub fn new(number: u64, address: SocketAddr) -> Self {
        let config = dtls_srtp::Config::new(Arc::new(FakeCrypto::new()), fake::certificate(1000 + number));
        Self::with_dtls(number, address, config)
    }

    /// A client with this DTLS configuration.
    pub fn with_dtls(number: u64, address: SocketAddr, config: dtls_srtp::Config) -> Self {
        Self {
            address,
            media: Vec::new(),
            rtp: Vec::new(),
            rtcp: Vec::new(),
            dtls_events: Vec::new(),
            silent: false,
            setup: "actpass",
            modern: true,
            transport_cc: true,
            extensions: EXTENSIONS.to_vec(),
            resend: Resend::Nothing,
            asked: Vec::new(),
            nacks: 0,
            sent: VecDeque::new(),
            number,
            dtls_config: Arc::new(config),
            fingerprint: None,
            ice_generation: 0,
            remote: None,
            server: None,
            answer: String::new(),
            version: 0,
            mids: 0,
            dtls: None,
            srtp: None,
            handles: Vec::new(),
            transport_sequence: 0,
            checks: 0,
            answered_checks: 0,
            next_check: None,
            queue: VecDeque::new(),
        }
    }

    /// Adds a section and gives its index.
    pub fn add(&mut self, kind: Kind, direction: Direction) -> usize {
        let media = self.new_media(kind, direction, 1);
        self.media.push(media);
        self.media.len() - 1
    }

    /// Adds a video section that sends simulcast and gives its index.
    pub fn add_simulcast(&mut self, rids: &[&str]) -> usize {
        let mut media = self.new_media(Kind::Video, Direction::SendOnly, rids.len());
        media.rids = rids.iter().map(|rid| (*rid).to_owned()).collect();
        media.announced = false;
        self.media.push(media);
        self.media.len() - 1
    }

    /// Uses the place of a stopped section for a new one.
    pub fn recycle(&mut self, index: usize, kind: Kind, direction: Direction) {
        self.media[index] = self.new_media(kind, direction, 1);
    }

    fn new_media(&mut self, kind: Kind, direction: Direction, layers: usize) -> Media {
        let mid = self.mids.to_string();
        self.mids += 1;
        let base = (self.number as u32 + 1) * 100_000 + self.mids as u32 * 100;
        let ssrcs = (0..layers as u32)
            .map(|layer| (Ssrc(base + 2 * layer), Ssrc(base + 2 * layer + 1)))
            .collect();
        Media {
            kind,
            direction,
            mid,
            rids: Vec::new(),
            ssrcs,
            announced: true,
            stopped: false,
            sequence: vec![(1000, 500); layers],
        }
    }

    /// From the next offer on with other ICE credentials (RFC 8445 §9).
    pub fn restart_ice(&mut self) {
        self.ice_generation += 1;
    }

    /// Lies about its certificate in the next offer.
    pub fn forge_fingerprint(&mut self, certificate: &Certificate) {
        self.fingerprint = Some(certificate.fingerprint().to_string());
    }

    /// Its own credentials.
    pub fn credentials(&self) -> (String, String) {
        let (number, generation) = (self.number, self.ice_generation);
        (
            format!("c{number:03}g{generation}"),
            format!("passwordOfClient{number:06}x{generation}"),
        )
    }

    /// The answer that it took last.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// Its DTLS engine, once there was an answer.
    pub fn dtls(&self) -> Option<&Dtls> {
        self.dtls.as_ref()
    }

    /// Whether it has keys for media.
    pub const fn is_secured(&self) -> bool {
        self.srtp.is_some()
    }

    /// How many of its checks were answered.
    pub const fn answered_checks(&self) -> u32 {
        self.answered_checks
    }

    /// An offer of all its sections.
    pub fn offer(&mut self) -> String {
        self.version += 1;
        let mut sdp = format!(
            "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
            self.number, self.version
        );
        let live = self.media.iter().filter(|media| !media.stopped);
        let mids: Vec<&str> = live.map(|media| media.mid.as_str()).collect();
        if !mids.is_empty() {
            let _ = write!(sdp, "a=group:BUNDLE {}\r\n", mids.join(" "));
        }
        if self.modern {
            sdp.push_str("a=extmap-allow-mixed\r\n");
        }
        for media in &self.media {
            self.offer_section(&mut sdp, media);
        }
        sdp
    }

    fn offer_section(&self, sdp: &mut String, media: &Media) {
        let (port, ports) = if media.stopped {
            (0, "inactive")
        } else {
            (9, media.direction.as_str())
        };
        let formats = match media.kind {
            Kind::Audio => "UDP/TLS/RTP/SAVPF 111 63".to_owned(),
            Kind::Video => {
                let types: Vec<String> = VIDEO_FORMATS
                    .iter()
                    .map(|format| format!("{} {}", format.0, format.3))
                    .collect();
                format!("UDP/TLS/RTP/SAVPF {}", types.join(" "))
            }
            Kind::Application => "UDP/DTLS/SCTP webrtc-datachannel".to_owned(),
        };
        let _ = write!(
            sdp,
            "m={} {port} {formats}\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\n",
            media.kind, media.mid
        );
        let (ufrag, pwd) = self.credentials();
        let _ = write!(
            sdp,
            "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=setup:{}\r\n",
            self.setup
        );
        let own = self.dtls_config.certificate.fingerprint().to_string();
        let _ = write!(sdp, "a=fingerprint:{}\r\n", self.fingerprint.as_ref().unwrap_or(&own));
        if media.kind == Kind::Application {
            sdp.push_str("a=sctp-port:5000\r\na=max-message-size:262144\r\n");
            return;
        }
        let _ = write!(sdp, "a={ports}\r\na=rtcp-mux\r\n");
        if self.modern {
            sdp.push_str("a=rtcp-rsize\r\na=rtcp-xr:rcvr-rtt=all\r\n");
        }
        for &(extension, id) in &self.extensions {
            let audio = matches!(extension, Extension::AudioLevel);
            let both = matches!(
                extension,
                Extension::Mid | Extension::TransportCc | Extension::AbsSendTime
            );
            if both || audio == (media.kind == Kind::Audio) {
                let _ = write!(sdp, "a=extmap:{id} {}\r\n", extension.uri());
            }
        }
        if media.kind == Kind::Audio {
            sdp.push_str(AUDIO_FORMATS);
            if self.transport_cc {
                sdp.push_str("a=rtcp-fb:111 transport-cc\r\n");
            }
        } else {
            for (pt, encoding, fmtp, rtx) in VIDEO_FORMATS {
                let _ = write!(sdp, "a=rtpmap:{pt} {encoding}/90000\r\n");
                let feedback = ["goog-remb", "ccm fir", "nack", "nack pli", "transport-cc"];
                for kind in feedback
                    .iter()
                    .filter(|kind| **kind != "transport-cc" || self.transport_cc)
                {
                    let _ = write!(sdp, "a=rtcp-fb:{pt} {kind}\r\n");
                }
                if !fmtp.is_empty() {
                    let _ = write!(sdp, "a=fmtp:{pt} {fmtp}\r\n");
                }
                let _ = write!(sdp, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={pt}\r\n");
            }
        }
        for rid in &media.rids {
            let _ = write!(sdp, "a=rid:{rid} send\r\n");
        }
        if !media.rids.is_empty() {
            let _ = write!(sdp, "a=simulcast:send {}\r\n", media.rids.join(";"));
        }
        if media.announced && media.direction.sends() {
            for (ssrc, rtx) in &media.ssrcs {
                if media.kind == Kind::Video {
                    let _ = write!(
                        sdp,
                        "a=ssrc-group:FID {} {}\r\na=ssrc:{} cname:c\r\n",
                        ssrc.0, rtx.0, rtx.0
                    );
                }
                let _ = write!(sdp, "a=ssrc:{} cname:c\r\n", ssrc.0);
            }
        }
    }

    /// Takes the answer to its last offer. Sections that it rejects count as stopped.
    ///
    /// # Panics
    /// When the answer is none.
    pub fn accept(&mut self, now: Instant, answer: &str) {
        let session = sdp::Session::parse(answer).expect("the answer parses");
        let rejected: Vec<bool> = session.media().map(|media| media.port() == 0).collect();
        for (media, rejected) in self.media.iter_mut().zip(rejected) {
            media.stopped |= rejected;
        }
        let Some(live) = session.media().find(|media| media.port() != 0) else {
            return;
        };
        let remote = (
            live.ice_ufrag().expect("a ufrag").to_owned(),
            live.ice_pwd().expect("a password").to_owned(),
        );
        if let Some(candidate) = session.media().flat_map(|media| media.candidates()).next() {
            let address = candidate.socket_addr().expect("an address");
            // Tests are IPv4 or IPv6 throughout: the first candidate of our own family.
            let mut all = session
                .media()
                .flat_map(|media| media.candidates())
                .filter_map(|c| c.socket_addr());
            let same = all.find(|other| other.is_ipv4() == self.address.is_ipv4());
            self.server = Some(same.unwrap_or(address));
        }
        self.answer = answer.to_owned();
        self.take_credentials(now, remote);
        if self.dtls.is_none() {
            let role = if live.setup() == Some(sdp::Setup::Active) {
                Role::Server
            } else {
                Role::Client
            };
            let mut dtls = Dtls::new(
                self.dtls_config.clone(),
                role,
                Seed::from_run(900_000 + self.number),
                now,
            );
            let fingerprints = live
                .fingerprints()
                .map(|f| f.to_string().parse::<Fingerprint>().expect("a fingerprint"));
            dtls.set_remote_fingerprints(fingerprints.collect());
            self.dtls = Some(dtls);
        }
    }

    /// Takes new credentials of the server's, from an answer or a fragment.
    pub fn take_credentials(&mut self, now: Instant, remote: (String, String)) {
        if self.remote.as_ref() != Some(&remote) {
            self.remote = Some(remote);
            self.checks = 0;
            self.answered_checks = 0;
            self.next_check = Some(now);
        }
    }

    /// Sends an RTP packet of one of its sections, layer 0, with the identifiers and a transport-wide number.
    pub fn send_media(&mut self, section: usize, timestamp: u32, payload: &[u8]) {
        self.send_layer(section, 0, false, timestamp, payload);
    }

    /// Sends an RTP packet of a layer, or a retransmission packet with this payload, with the identifiers that Chromium
    /// would send.
    ///
    /// # Panics
    /// Before there are keys.
    pub fn send_layer(&mut self, section: usize, layer: usize, repair: bool, timestamp: u32, payload: &[u8]) {
        let [mid_id, number_id, rid_id, repaired_id] = [
            Extension::Mid,
            Extension::TransportCc,
            Extension::Rid,
            Extension::RepairedRid,
        ]
        .map(|extension| self.extension_id(extension));
        let media = &mut self.media[section];
        let number = transport_number(&mut self.transport_sequence);
        let (mid, rid) = (media.mid.clone(), media.rids.get(layer).cloned());
        let mut extensions: Vec<(u8, &[u8])> = vec![(mid_id, mid.as_bytes()), (number_id, &number)];
        if let Some(rid) = &rid {
            extensions.push((if repair { repaired_id } else { rid_id }, rid.as_bytes()));
        }
        let (ssrcs, sequences) = (media.ssrcs[layer], &mut media.sequence[layer]);
        let (ssrc, sequence) = if repair {
            (ssrcs.1, &mut sequences.1)
        } else {
            (ssrcs.0, &mut sequences.0)
        };
        let payload_type = match (media.kind, repair) {
            (Kind::Audio, _) => 111,
            (_, false) => 96,
            (_, true) => 97,
        };
        let header = RtpOut {
            payload_type: PayloadType(payload_type),
            sequence_number: *sequence,
            timestamp,
            ssrc,
            extensions: &extensions,
            ..RtpOut::default()
        };
        *sequence += 1;
        let packet = self.seal_rtp(&header, payload);
        self.queue.push_back(packet);
    }

    /// The next transport-wide sequence number, as it stands in a packet.
    pub fn next_transport_number(&mut self) -> [u8; 2] {
        transport_number(&mut self.transport_sequence)
    }

    /// The id that its offers give to an extension.
    ///
    /// # Panics
    /// When it offers none of this kind.
    pub fn extension_id(&self, extension: Extension) -> u8 {
        let found = self.extensions.iter().find(|(known, _)| *known == extension);
        found.expect("an extension that is offered").1
    }

    /// Seals an RTP packet as it is asked for, and gives the datagram.
    ///
    /// # Panics
    /// Before there are keys, and when the packet cannot be sealed.
    pub fn seal_rtp(&mut self, header: &RtpOut<'_>, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 2048];
        let head = header.write(true, &mut packet).expect("a header");
        packet[head..head + payload.len()].copy_from_slice(payload);
        let end = head + payload.len();
        let padding = header.put_padding(&mut packet[end..]).expect("room for padding");
        packet.truncate(end + padding);
        self.seal_packet(header.ssrc, header.sequence_number, head, packet)
    }

    /// Seals bytes as an RTP packet, whatever they are behind the SSRC, and gives the datagram.
    ///
    /// # Panics
    /// Before there are keys, and when the packet cannot be sealed.
    pub fn seal_packet(&mut self, ssrc: Ssrc, index: u64, header_len: usize, mut packet: Vec<u8>) -> Vec<u8> {
        let (sealer, _) = self.srtp.as_mut().expect("keys");
        let handle = match self.handles.iter().find(|(known, _)| *known == ssrc) {
            Some((_, handle)) => *handle,
            None => {
                let handle = sealer.add_stream(ssrc.0).expect("room for a stream");
                self.handles.push((ssrc, handle));
                handle
            }
        };
        let plain = packet.clone();
        let payload_len = packet.len() - header_len;
        packet.resize(packet.len() + sealer.rtp_overhead(), 0);
        let len = sealer
            .seal_rtp(handle, index, header_len, &mut packet, payload_len)
            .expect("sealed");
        packet.truncate(len);
        if self.resend != Resend::Nothing && self.layer_of(ssrc).is_some() {
            self.sent.truncate(SENT - 1);
            self.sent.push_front(Sent {
                ssrc,
                sequence_number: index as u16,
                plain,
                sealed: packet.clone(),
            });
        }
        packet
    }

    /// The section and the layer whose media has this SSRC.
    fn layer_of(&self, ssrc: Ssrc) -> Option<(usize, usize)> {
        self.media.iter().enumerate().find_map(|(section, media)| {
            let layer = media.ssrcs.iter().position(|ssrcs| ssrcs.0 == ssrc)?;
            Some((section, layer))
        })
    }

    fn answer_nack(&mut self, media: Ssrc, lost: impl Iterator<Item = u16>) {
        self.nacks += 1;
        for number in lost {
            self.asked.push((self.nacks, media, number));
            let is = |sent: &&Sent| sent.ssrc == media && sent.sequence_number == number;
            let Some(sent) = self.sent.iter().find(is) else {
                continue;
            };
            match self.resend {
                Resend::Nothing => {}
                Resend::Same => self.queue.push_back(sent.sealed.clone()),
                Resend::Rtx => {
                    let plain = sent.plain.clone();
                    let datagram = self.retransmit(media, &plain);
                    self.queue.push_back(datagram);
                }
            }
        }
    }

    /// A packet of media as a retransmission, sealed.
    ///
    /// # Panics
    /// When it is of none of its streams, or before there are keys.
    pub fn retransmit(&mut self, ssrc: Ssrc, plain: &[u8]) -> Vec<u8> {
        let (section, layer) = self.layer_of(ssrc).expect("a stream of its own");
        let packet = rtp::Packet::parse(plain).expect("a packet");
        let number = transport_number(&mut self.transport_sequence);
        let id = |wanted| {
            let mut known = self.extensions.iter();
            known.find(|(extension, _)| *extension == wanted).map(|found| found.1)
        };
        let [transport_cc, rid, repaired_rid] =
            [Extension::TransportCc, Extension::Rid, Extension::RepairedRid].map(id);
        let extensions: Vec<(u8, &[u8])> = packet
            .extensions()
            .map(|(id, value)| match Some(id) {
                known if known == transport_cc => (id, &number[..]),
                known if known == rid => (repaired_rid.unwrap_or(id), value),
                _ => (id, value),
            })
            .collect();
        let payload_type = VIDEO_FORMATS.iter().find(|format| format.0 == packet.payload_type().0);
        let media = &mut self.media[section];
        let header = RtpOut {
            payload_type: PayloadType(payload_type.expect("a format with retransmissions").3),
            marker: packet.marker(),
            sequence_number: media.sequence[layer].1,
            timestamp: packet.timestamp(),
            ssrc: media.ssrcs[layer].1,
            extensions: &extensions,
            ..RtpOut::default()
        };
        media.sequence[layer].1 += 1;
        let payload = [&packet.sequence_number().to_be_bytes()[..], packet.payload()].concat();
        self.seal_rtp(&header, &payload)
    }

    /// Seals application data, and gives the datagram.
    ///
    /// # Panics
    /// Before DTLS is connected.
    pub fn seal_application(&mut self, data: &[u8]) -> Vec<u8> {
        let dtls = self.dtls.as_mut().expect("an answer");
        let overhead = dtls.overhead();
        let mut out = vec![0; overhead.head + data.len() + overhead.tail];
        out[overhead.head..overhead.head + data.len()].copy_from_slice(data);
        let len = dtls.seal(&mut out, data.len()).expect("connected");
        out.truncate(len);
        out
    }

    /// Seals a compound RTCP packet, and gives the datagram.
    ///
    /// # Panics
    /// Before there are keys.
    pub fn seal_rtcp(&mut self, write: impl FnOnce(&mut wire::Writer<'_>) -> Result<(), wire::Full>) -> Vec<u8> {
        let mut out = vec![0; 2048];
        let mut writer = wire::Writer::new(&mut out);
        write(&mut writer).expect("room for RTCP");
        let len = writer.position();
        let (sealer, _) = self.srtp.as_mut().expect("keys");
        let len = sealer.seal_rtcp(&mut out, len).expect("sealed");
        out.truncate(len);
        out
    }

    /// Sends a compound RTCP packet.
    pub fn send_rtcp(&mut self, write: impl FnOnce(&mut wire::Writer<'_>) -> Result<(), wire::Full>) {
        let datagram = self.seal_rtcp(write);
        self.queue.push_back(datagram);
    }

    /// Sends a datagram as it is.
    pub fn send(&mut self, datagram: Vec<u8>) {
        self.queue.push_back(datagram);
    }

    /// Says goodbye in DTLS.
    pub fn close(&mut self) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close();
        }
    }

    /// A datagram from the server arrived.
    pub fn handle_datagram(&mut self, now: Instant, data: &mut [u8]) {
        match data.first() {
            Some(0..=3) => self.handle_stun(now, data),
            Some(20..=63) => {
                if let Some(dtls) = &mut self.dtls {
                    dtls.handle_datagram(now, data, &mut |_| {});
                }
                self.follow_dtls();
            }
            Some(128..=191) => self.handle_media(data),
            _ => panic!("the server sent something unknown: {data:02x?}"),
        }
    }

    fn handle_stun(&mut self, now: Instant, data: &[u8]) {
        let message = Message::parse(data).expect("a STUN message");
        let (_, pwd) = self.remote.as_ref().expect("an answer");
        assert_eq!(message.class(), Class::SuccessResponse, "a check was refused");
        // Answers to checks of before a restart have another key.
        if message.verify_integrity(&Key::short_term(pwd)).is_ok() {
            self.answered_checks += 1;
            if self.answered_checks == 1 && self.checks > 1 {
                self.next_check = Some(now);
            }
        }
    }

    fn follow_dtls(&mut self) {
        while let Some(event) = self.dtls.as_mut().and_then(Dtls::poll_event) {
            self.dtls_events.push(event);
            if let Some(keys) = self.dtls.as_mut().and_then(Dtls::take_srtp_keys) {
                self.srtp = Some((Sealer::new(keys.local), Opener::new(&keys.remote)));
            }
        }
    }

    fn handle_media(&mut self, data: &mut [u8]) {
        let Some((_, opener)) = &mut self.srtp else { return };
        if rtp::is_rtcp(data) {
            let plain = opener.open_rtcp(data).expect("authentic SRTCP").to_vec();
            let compound = rtp::rtcp::Compound::parse(&plain).expect("valid RTCP");
            for packet in compound.packets() {
                if let Ok(rtp::rtcp::Packet::Nack(nack)) = packet {
                    self.answer_nack(nack.media, nack.lost());
                }
            }
            self.rtcp.push(plain);
        } else {
            let opened = opener.open_rtp(data).expect("authentic SRTP");
            let packet = rtp::Packet::parse(&*opened.packet).expect("valid RTP");
            self.rtp.push(ReceivedRtp {
                ssrc: packet.ssrc(),
                sequence: opened.index,
                bytes: packet.as_bytes().to_vec(),
            });
        }
    }

    /// The next datagram to the server, if any is to be sent at `now`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.server?;
        if !self.silent
            && let Some(check) = self.poll_check(now)
        {
            return Some(check);
        }
        // The hello goes out together with the first check.
        if !self.silent
            && self.checks > 0
            && let Some(dtls) = &mut self.dtls
        {
            let mut out = vec![0; 1500];
            if let Some(len) = dtls.poll_transmit(now, &mut out) {
                out.truncate(len);
                return Some(out);
            }
        }
        self.queue.pop_front()
    }

    fn poll_check(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.next_check.filter(|at| *at <= now)?;
        let (ufrag, pwd) = self.remote.as_ref()?;
        let mut out = [0; 512];
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.number.to_be_bytes());
        id[8..].copy_from_slice(&(self.ice_generation as u32 * 10_000 + self.checks).to_be_bytes());
        let mut builder = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId(id)).expect("room");
        let username = format!("{ufrag}:{}", self.credentials().0);
        builder.push(&Value::Username(&username)).expect("room");
        builder.push(&Value::IceControlling(self.number)).expect("room");
        // Chromium nominates with its second check when the other end is ICE-lite.
        if self.checks > 0 {
            builder.push(&Value::UseCandidate).expect("room");
        }
        builder.push(&Value::Priority(0x6e7e_1eff)).expect("room");
        builder.integrity(&Key::short_term(pwd)).expect("room");
        builder.fingerprint().expect("room");
        let check = builder.finish().to_vec();
        self.checks += 1;
        let interval = if self.answered_checks > 1 {
            Duration::from_millis(2500)
        } else {
            Duration::from_millis(50)
        };
        self.next_check = Some(now + interval);
        Some(check)
    }

    /// The server that the answer named.
    pub const fn server(&self) -> Option<SocketAddr> {
        self.server
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.silent || self.server.is_none() {
            return None;
        }
        let dtls = self.dtls.as_ref().and_then(Dtls::poll_timeout);
        self.next_check.into_iter().chain(dtls).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
            self.follow_dtls();
        }
    }
}

fn transport_number(counter: &mut u16) -> [u8; 2] {
    *counter = counter.wrapping_add(1);
    counter.to_be_bytes()
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("number", &self.number)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
