use std::time::{Duration, Instant};

use sctp::dcep::Reliability;
use sctp::{
    Abort, Association, Cause, Causes, Checksum, Chunk, CommonHeader, Config, Data, DataFlags, DataHeader, Event,
    ForwardTsn, GapAckBlock, IData, IDataHeader, IForwardTsn, IncomingSsnReset, Init, List, Message, OutgoingSsnReset,
    Packet, PacketWriter, Parameter, Parameters, Ppid, ReConfig, ReconfigResponse, ReconfigResult, Sack, Sink,
    SkippedMessage, SkippedStream, State,
};
use wire::{Reader, Seed};

/// An association, set up or not, whose peer sends whatever it likes: chunks of every type with values near those that would
/// be right, raw bytes in packets of its own, copies of what it got; while messages are sent, streams reset and time
/// passes. What it sends is well-formed, it never spins, what it holds and says is bounded, parts of messages belong
/// together, and when the peer falls silent it ends.
///
/// The input is a byte that says what was agreed upon and how it was set up, then any number of steps.
pub fn sctp_association(data: &[u8]) {
    let mut r = Reader::new(data);
    let Ok(mode) = r.u8() else { return };
    let mut siege = Siege::new(mode);
    for _ in 0..MAX_STEPS {
        let Ok(operation) = r.u8() else { break };
        if siege.step(operation, &mut r).is_err() {
            break;
        }
    }
    siege.fall_silent();
}

/// Later steps are like those before.
const MAX_STEPS: usize = 500;
const WINDOW: u32 = 16_384;
const SEND_BUFFER: usize = 20_000;
/// The longest message that is sent here.
const LONGEST: usize = 5000;
const ROOM: usize = 2048;
/// Packets at one moment: windows of data, and answers.
const MAX_SENT: usize = 1000;
/// Events at one moment.
const MAX_EVENTS: usize = 70_000;

/// Which messages are being handed over in parts.
#[derive(Default)]
struct Parts {
    open: std::collections::BTreeSet<(u16, bool)>,
}

impl Sink for Parts {
    fn message(&mut self, stream: u16, _: Ppid, unordered: bool, payload: &[u8]) {
        assert!(!payload.is_empty());
        assert!(
            unordered || !self.open.contains(&(stream, false)),
            "a message within another one"
        );
    }

    fn part(&mut self, stream: u16, _: Ppid, unordered: bool, payload: &[u8], first: bool, last: bool) {
        assert!(!payload.is_empty());
        let key = (stream, unordered);
        assert_eq!(first, self.open.insert(key), "a message has one beginning");
        if last {
            self.open.remove(&key);
        }
    }

    fn cut(&mut self, stream: u16, unordered: bool) {
        assert!(self.open.remove(&(stream, unordered)), "what is cut had begun");
    }
}

struct Siege {
    association: Association,
    now: Instant,
    sink: Parts,
    is_closed: bool,
    /// The tags of packets to the association and from it.
    tags: [u32; 2],
    /// The first TSN of each side, the peer's being the second.
    tsns: [u32; 2],
    /// The last TSN that the association has sent, and the last one in sequence that it has received.
    sent: u32,
    received: u32,
    interleaving: bool,
    zero_checksum: bool,
    /// The last cookie that it gave, and the last packet that it sent.
    cookie: Vec<u8>,
    last: Vec<u8>,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Siege {
    fn new(mode: u8) -> Self {
        let now = Instant::now();
        let config = Config {
            interleaving: mode & 1 != 0,
            zero_checksum: mode & 2 != 0,
            receive_parts: (mode & 4 != 0).then_some(1000),
            largest_packet: if mode & 8 != 0 { 1400 } else { 0 },
            base_packet: 600,
            receive_window: WINDOW,
            max_receive_message: 8192,
            max_receive_streams: 16,
            send_buffer: SEND_BUFFER,
            ..Config::default()
        };
        let association = Association::new(&config, Seed::from_run(1), now);
        let mut siege = Self {
            association,
            now,
            sink: Parts::default(),
            is_closed: false,
            tags: [0; 2],
            tsns: [0; 2],
            sent: 0,
            received: 0,
            interleaving: config.interleaving,
            zero_checksum: config.zero_checksum,
            cookie: Vec::new(),
            last: Vec::new(),
        };
        // One that plays by the rules until it is set up.
        let mut peer = Association::new(&config, Seed::from_run(2), now);
        let mut inits = [[0; 64]; 2];
        let ours = siege.association.local_init(&mut inits[0]).expect("room");
        let theirs = peer.local_init(&mut inits[1]).expect("room");
        let known = [&inits[0][..ours], &inits[1][..theirs]].map(|init| Init::parse(init).expect("an INIT"));
        siege.tags = known.map(|init| init.initiate_tag);
        siege.tsns = known.map(|init| init.initial_tsn);
        siege.sent = siege.tsns[0].wrapping_sub(1);
        siege.received = siege.tsns[1].wrapping_sub(1);
        match mode >> 4 & 3 {
            0 => siege
                .association
                .connect_with(now, &inits[1][..theirs])
                .expect("an INIT of ours is usable"),
            1 => {
                siege.association.connect(now);
                siege.shake_hands(&mut peer);
            }
            2 => {
                peer.connect(now);
                siege.shake_hands(&mut peer);
            }
            // Not set up: begun or not.
            _ if mode & 0x40 != 0 => siege.association.connect(now),
            _ => {}
        }
        siege.drain();
        siege
    }

    fn shake_hands(&mut self, peer: &mut Association) {
        let mut out = [0; ROOM];
        let mut theirs = Parts::default();
        for _ in 0..4 {
            while let Some(len) = self.association.poll_transmit(self.now, &mut out) {
                self.see(&out[..len]);
                peer.handle_packet(self.now, &out[..len], &mut theirs);
            }
            while let Some(len) = peer.poll_transmit(self.now, &mut out) {
                self.association.handle_packet(self.now, &out[..len], &mut self.sink);
            }
        }
        assert_eq!(self.association.state(), State::Established);
    }

    fn step(&mut self, operation: u8, r: &mut Reader<'_>) -> Result<(), wire::Error> {
        match operation % 16 {
            0..=6 => self.receive_chunks(operation >> 4, r)?,
            7 => self.receive_raw(r)?,
            8 => {
                let packet = self.last.clone();
                self.association.handle_packet(self.now, &packet, &mut self.sink);
            }
            9 => self.pass(ms(u64::from(r.u8()?) * 4)),
            10 => {
                if let Some(at) = self.association.poll_timeout() {
                    self.now = self.now.max(at);
                    self.serve();
                }
            }
            11 | 12 => self.send(r)?,
            13 => self.association.reset(u16::from(r.u8()? % 8)),
            14 => {
                let retained = [0, 5000, 16_383, 16_384, usize::MAX];
                self.association
                    .set_retained(retained[usize::from(r.u8()?) % retained.len()]);
            }
            _ => match r.u8()? {
                0..=63 => self.association.handle_timeout(self.now),
                64..=95 => self.association.shutdown(self.now),
                96 => self.association.abort(),
                97..=127 => self.association.connect(self.now),
                priority => self.association.set_priority(u16::from(priority % 8), priority.into()),
            },
        }
        self.drain();
        Ok(())
    }

    fn send(&mut self, r: &mut Reader<'_>) -> Result<(), wire::Error> {
        let (flags, stream, len) = (r.u8()?, u16::from(r.u8()? % 8), usize::from(r.u16()?) % LONGEST);
        let payload = vec![flags; len];
        if flags & 0x20 != 0 {
            let _ = self
                .association
                .send_part(self.now, stream, payload.into(), flags & 0x40 != 0);
            return Ok(());
        }
        let message = Message {
            stream,
            ppid: Ppid::BINARY,
            unordered: flags & 1 != 0,
            reliability: match flags >> 1 & 3 {
                0 | 1 => Reliability::Reliable,
                2 => Reliability::Retransmissions(u32::from(flags >> 3 & 3)),
                _ => Reliability::Lifetime(u32::from(flags >> 3 & 3) * 300),
            },
            payload: payload.into(),
        };
        let _ = if flags & 0x40 == 0 {
            self.association.send(self.now, message)
        } else {
            self.association.send_first_part(self.now, message)
        };
        Ok(())
    }

    // The peer

    fn header(&self, kind: u8) -> CommonHeader {
        CommonHeader {
            source_port: 5000,
            destination_port: 5000,
            verification_tag: match kind {
                0..=12 => self.tags[0],
                13 => self.tags[1],
                14 => 0,
                _ => 0x0bad_0bad,
            },
        }
    }

    /// A packet of some chunks: how many, and each.
    fn receive_chunks(&mut self, kind: u8, r: &mut Reader<'_>) -> Result<(), wire::Error> {
        let count = 1 + r.u8()? % 4;
        let mut out = [0; ROOM];
        let mut w = PacketWriter::new(&mut out, ROOM, &self.header(kind)).expect("room");
        for _ in 0..count {
            if self.push_chunk(&mut w, r).is_err() {
                break;
            }
        }
        let checksum = if self.zero_checksum && count == 2 {
            Checksum::Zero
        } else {
            Checksum::Crc32c
        };
        let packet = w.finish(checksum);
        self.association.handle_packet(self.now, packet, &mut self.sink);
        Ok(())
    }

    /// Raw bytes as the chunks of a packet, or as all of it.
    fn receive_raw(&mut self, r: &mut Reader<'_>) -> Result<(), wire::Error> {
        let len = usize::from(r.u8()?).min(r.remaining());
        let bytes = r.take(len)?;
        let mut out = [0; ROOM];
        let mut w = PacketWriter::new(&mut out, ROOM, &self.header(0)).expect("room");
        w.push(&Chunk::CookieAck).expect("room");
        let len = w.finish(Checksum::Crc32c).len();
        out[len..len + bytes.len()].copy_from_slice(bytes);
        let end = len + bytes.len();
        // The checksum is that of an empty packet with these bytes behind it.
        let checksum = crc32c(&mut out[..end]);
        out[8..12].copy_from_slice(&checksum);
        self.association.handle_packet(self.now, &out[..end], &mut self.sink);
        self.association.handle_packet(self.now, bytes, &mut self.sink);
        Ok(())
    }

    /// A TSN of the peer's near the one that is due.
    fn theirs(&self, r: &mut Reader<'_>) -> Result<u32, wire::Error> {
        Ok(near(self.received.wrapping_add(1), r.u8()?))
    }

    /// A TSN of the association's, seldom one that it has not sent.
    fn ours(&self, r: &mut Reader<'_>) -> Result<u32, wire::Error> {
        Ok(match r.u8()? {
            by @ 0..=0xef => self.sent.wrapping_sub(u32::from(by & 0x1f)),
            by => near(self.sent, by),
        })
    }

    fn push_chunk(&self, w: &mut PacketWriter<'_>, r: &mut Reader<'_>) -> Result<(), wire::Error> {
        let kind = r.u8()?;
        let _ = match kind % 32 {
            0..=7 => {
                let (flags, tsn, stream, number) = (r.u8()?, self.theirs(r)?, stream(r.u8()?), r.u8()?);
                let payload = vec![kind; usize::from(r.u8()?) << (kind >> 6)];
                // Mostly a whole message.
                let is_whole = flags & 0xc0 != 0;
                let flags = DataFlags {
                    immediate: flags & 8 != 0,
                    unordered: flags & 4 != 0,
                    beginning: flags & 2 != 0 || is_whole,
                    ending: flags & 1 != 0 || is_whole,
                };
                // The other kind than what was agreed upon seldom.
                if self.interleaving == (kind % 32 != 7) {
                    w.push(&Chunk::IData(IData {
                        header: IDataHeader {
                            flags,
                            tsn,
                            stream,
                            mid: u32::from(number & 15),
                            ppid_or_fsn: u32::from(number >> 4),
                        },
                        payload: &payload,
                    }))
                } else {
                    w.push(&Chunk::Data(Data {
                        header: DataHeader {
                            flags,
                            tsn,
                            stream,
                            ssn: u16::from(number),
                            ppid: Ppid::BINARY,
                        },
                        payload: &payload,
                    }))
                }
            }
            8..=12 => {
                let (cumulative_tsn_ack, window, count) = (self.ours(r)?, r.u8()?, r.u8()? % 8);
                let (mut blocks, mut duplicates) = (Vec::new(), Vec::new());
                for _ in 0..count {
                    let (start, len) = (r.u8()?, r.u8()?);
                    let start = blocks.last().map_or(1, |block: &GapAckBlock| block.end) + u16::from(start & 7);
                    let end = start + u16::from(len & 3);
                    blocks.push(GapAckBlock { start, end });
                    duplicates.push(self.ours(r)?);
                }
                duplicates.truncate(usize::from(kind >> 6));
                w.push(&Chunk::Sack(Sack {
                    cumulative_tsn_ack,
                    a_rwnd: [0, 1, 700, 1 << 20][usize::from(window) % 4],
                    gap_ack_blocks: List::new(&blocks),
                    duplicate_tsns: List::new(&duplicates),
                }))
            }
            13 | 14 => {
                let (new_cumulative_tsn, count) = (self.theirs(r)?, r.u8()? % 8);
                let mut skipped = Vec::new();
                for _ in 0..count {
                    let (stream, mid) = (r.u8()?, u32::from(r.u8()?));
                    skipped.push(SkippedMessage {
                        stream: self::stream(stream & 0x7f),
                        unordered: stream & 0x80 != 0,
                        mid,
                    });
                }
                let plain: Vec<_> = skipped
                    .iter()
                    .map(|entry| SkippedStream {
                        stream: entry.stream,
                        ssn: entry.mid as u16,
                    })
                    .collect();
                if self.interleaving == (kind < 240) {
                    w.push(&Chunk::IForwardTsn(IForwardTsn {
                        new_cumulative_tsn,
                        streams: List::new(&skipped),
                    }))
                } else {
                    w.push(&Chunk::ForwardTsn(ForwardTsn {
                        new_cumulative_tsn,
                        streams: List::new(&plain),
                    }))
                }
            }
            15..=17 => {
                let (request, response, count) = (r.u8()?, r.u8()?, r.u8()? % 4);
                let last_tsn = self.theirs(r)?.wrapping_sub(1);
                let mut streams = Vec::new();
                for _ in 0..count {
                    streams.push(stream(r.u8()?));
                }
                let reset = Parameter::OutgoingSsnReset(OutgoingSsnReset {
                    request: near(self.tsns[1], request),
                    response: near(self.tsns[0], response),
                    last_tsn,
                    streams: List::new(&streams),
                });
                let asked = Parameter::IncomingSsnReset(IncomingSsnReset {
                    request: near(self.tsns[1], request),
                    streams: List::new(&streams),
                });
                let answer = Parameter::ReconfigResponse(ReconfigResponse {
                    response: near(self.tsns[0], response),
                    result: ReconfigResult(u32::from(request % 8)),
                    next_tsns: None,
                });
                let parameters = match kind >> 5 {
                    0..=2 => vec![reset],
                    3 => vec![asked],
                    4 | 5 => vec![answer],
                    6 => vec![answer, reset],
                    _ => vec![Parameter::SsnTsnReset(near(self.tsns[1], request))],
                };
                let parameters = Parameters::new(&parameters);
                w.push(&Chunk::ReConfig(ReConfig { parameters }))
            }
            18 | 19 => {
                let info = r.take(usize::from(r.peek().first().copied().unwrap_or_default()).min(r.remaining()))?;
                w.push(&if kind & 1 == 0 {
                    Chunk::Heartbeat(info)
                } else {
                    Chunk::HeartbeatAck(info)
                })
            }
            20 => w.push(&Chunk::Shutdown {
                cumulative_tsn_ack: self.ours(r)?,
            }),
            21 => w.push(&Chunk::ShutdownAck),
            22 => w.push(&Chunk::ShutdownComplete {
                reflected: kind & 0x80 != 0,
            }),
            23 => {
                let causes = [Cause::StaleCookie(1), Cause::OutOfResource];
                let causes = Causes::new(&causes[..usize::from(kind >> 6).min(2)]);
                w.push(&if kind & 0x20 == 0 {
                    Chunk::Error(causes)
                } else {
                    Chunk::Abort(Abort {
                        reflected: kind & 0x80 != 0,
                        causes,
                    })
                })
            }
            24 | 25 => w.push(&Chunk::CookieEcho(&self.cookie)),
            26 => w.push(&Chunk::CookieAck),
            27 | 28 => {
                let parameters = [
                    Parameter::ForwardTsnSupported,
                    Parameter::StateCookie(&[kind; 40]),
                    Parameter::Unrecognized(&[0xc0, 9, 0, 5, 1]),
                ];
                let init = Init {
                    initiate_tag: if kind & 0x80 == 0 {
                        self.tags[1]
                    } else {
                        u32::from(kind) - 128
                    },
                    a_rwnd: if kind & 0x40 == 0 { 100_000 } else { 1499 },
                    outbound_streams: u16::from(kind & 0x20 == 0),
                    inbound_streams: 9,
                    initial_tsn: self.theirs(r)?,
                    parameters: Parameters::new(&parameters),
                };
                w.push(&if kind % 32 == 27 {
                    Chunk::Init(init)
                } else {
                    Chunk::InitAck(init)
                })
            }
            29 => w.push(&Chunk::Pad(usize::from(r.u8()?))),
            30 => w.push(&Chunk::Ecne {
                lowest_tsn: self.ours(r)?,
            }),
            _ => {
                let len = usize::from(r.u8()?).min(r.remaining());
                let bytes = r.take(len)?;
                let raw = sctp::RawChunk::parse(bytes);
                raw.map_or(Ok(()), |raw| w.push(&Chunk::Unknown(raw)))
            }
        };
        Ok(())
    }

    // The association

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut count = 0;
        while let Some(at) = self.association.poll_timeout().filter(|at| *at <= until) {
            count += 1;
            assert!(count < 10_000, "timers without an end");
            self.now = self.now.max(at);
            self.serve();
        }
        self.now = until;
    }

    fn serve(&mut self) {
        self.association.handle_timeout(self.now);
        self.drain();
        let next = self.association.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "a timer spins");
    }

    fn drain(&mut self) {
        let mut out = [0; ROOM];
        let mut sent = 0;
        while let Some(len) = self.association.poll_transmit(self.now, &mut out) {
            sent += 1;
            assert!(sent <= MAX_SENT, "packets without an end");
            self.see(&out[..len]);
        }
        let mut events = 0;
        while let Some(event) = self.association.poll_event() {
            events += 1;
            assert!(events <= MAX_EVENTS, "events without an end");
            assert!(!self.is_closed, "nothing follows the end: {event:?}");
            self.is_closed = matches!(event, Event::Closed(_));
        }
        assert_eq!(self.is_closed, self.association.state() == State::Ended);
        assert!(!self.is_closed || self.association.poll_timeout().is_none());
        let held = self.association.stats().held;
        assert!(held <= SEND_BUFFER * 5 / 4 + 10 * LONGEST, "{held} bytes are held");
    }

    /// What it sends is well-formed, and says what would be plausible.
    fn see(&mut self, bytes: &[u8]) {
        assert!(
            bytes.len() <= 1400 && bytes.len().is_multiple_of(4),
            "{} bytes",
            bytes.len()
        );
        let packet = Packet::parse(bytes).expect("a packet");
        assert!(packet.checksum_holds(Checksum::Zero));
        let mut count = 0;
        for raw in packet.chunks() {
            count += 1;
            match Chunk::of(raw.expect("framed")).expect("well-formed") {
                Chunk::Data(data) => self.sent = self.later(data.header.tsn),
                Chunk::IData(data) => self.sent = self.later(data.header.tsn),
                Chunk::Sack(sack) => {
                    assert!(sack.a_rwnd <= WINDOW);
                    self.received = sack.cumulative_tsn_ack;
                }
                Chunk::InitAck(init) => {
                    for parameter in init.parameters.iter().flatten() {
                        if let Parameter::StateCookie(cookie) = parameter {
                            self.cookie = cookie.to_vec();
                        }
                    }
                }
                _ => {}
            }
        }
        assert!(count > 0, "an empty packet");
        self.last = bytes.to_vec();
    }

    fn later(&self, tsn: u32) -> u32 {
        if tsn.wrapping_sub(self.sent) < 1 << 31 {
            tsn
        } else {
            self.sent
        }
    }

    /// Nobody answers any more: it ends, if it had begun.
    fn fall_silent(&mut self) {
        let is_idle = self.association.state() == State::Closed;
        for _ in 0..2000 {
            let Some(at) = self.association.poll_timeout() else {
                break;
            };
            self.now = self.now.max(at);
            self.serve();
        }
        assert!(
            self.is_closed || is_idle,
            "it waits for ever: {:?}, {:?}, next {:?}",
            self.association.state(),
            self.association.stats(),
            self.association.poll_timeout().map(|at| at - self.now)
        );
    }
}

/// A number that is mostly close to another one.
fn near(number: u32, by: u8) -> u32 {
    match by {
        0..=0x9f => number.wrapping_add(u32::from(by >> 4)),
        0xa0..=0xcf => number.wrapping_sub(u32::from(by & 0x1f)),
        0xfe => number.wrapping_add(65_536),
        0xff => number.wrapping_add(1 << 31),
        _ => number.wrapping_add(u32::from(by & 0x3f)),
    }
}

/// One of few streams, seldom of more than are taken.
fn stream(byte: u8) -> u16 {
    u16::from(byte % if byte < 0xf8 { 8 } else { 32 })
}

/// The checksum of a packet, as it stands in it.
fn crc32c(packet: &mut [u8]) -> [u8; 4] {
    packet[8..12].fill(0);
    let mut crc = !0_u32;
    for byte in packet {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    (!crc).to_le_bytes()
}
