use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::{Duration, Instant};

use peer::{Blocked, Codec, Extension, Format, Kind, Peer, Section, SenderId};
use rtp::codec::h264::{self, NalType};
use rtp::{RtpClock, RtpOut};

use crate::Paused;
use crate::choice::Size;
use crate::counters::Counters;
use crate::extensions::{self, Ids};
use crate::history::History;
use crate::layer::Layer;
use crate::payload::{Head, Next, Offsets};
use crate::ring::{Entry, Stored};
use crate::source::{Source, Subscriber};
use crate::timeline::{self, SPACING, Timeline};

mod layers;

/// NACKs of one slot that may wait.
const MAX_NACKS: usize = 256;
/// A lost retransmission is not repeated sooner than this, whatever the round-trip time.
const MIN_RESEND_PAUSE: Duration = Duration::from_millis(10);
/// Datagrams in one GSO message: the kernel takes 64 everywhere.
const MAX_RUN: usize = 64;
/// Packets whose lengths differ by no more than this leave as one run: the shorter ones are padded.
const MAX_PAD: usize = 3;
/// How many packets may overtake the first one of a key frame and still be sent after it: as many as come while that
/// was lost and is asked for again.
const REORDERED: u64 = 512;
/// The packets in front of an IDR picture that hold its parameter sets, at most: one for each kind.
const PARAMETER_SETS: u64 = 2;
/// The largest UDP payload over IPv4.
const MAX_MESSAGE: usize = 65_507;

/// A section in which we send: its numbering, its clock and what it carries now.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Index of its section.
    pub(crate) section: usize,
    pub(crate) mid: String,
    pub(crate) media: Kind,
    pub(crate) sender: SenderId,
    /// The audio and the video slot of equal number are one `MediaStream` for the peer.
    pub(crate) pair: u32,
    /// It waits in the participant's list of slots that have something to send.
    pub(crate) queued: bool,
    /// The source comes in a codec that this slot did not negotiate; `Some(true)` once that was told.
    undecodable: Option<bool>,
    /// The section is negotiated for sending.
    pub(crate) active: bool,
    /// The slot changed hands, and the sender report about that is not asked for yet.
    report_due: bool,
    /// That report was asked for.
    begun: bool,
    /// Whose packets it is for, also while none are sent.
    carried: Option<u32>,
    /// How large its picture is shown.
    pub(crate) shown: Size,
    /// Why nothing is sent on purpose.
    pub(crate) paused: Option<Paused>,
    /// The layer and the reason that its owner was told last.
    pub(crate) told: (Option<String>, Option<Paused>),
    /// That was said of another source, and is to be said of this one too though it be the same.
    pub(crate) told_of_another: bool,
    /// The layer for the size in which its picture is shown.
    target: Option<usize>,
    /// A picture was begun with, perhaps of another layer.
    turned: bool,
    /// Something of what it carries was sent: what came before that is not to follow it.
    known: bool,
    subscription: Option<Subscription>,
    formats: Vec<Format>,
    ids: Ids,
    mid_id: Option<u8>,
    allow_mixed: bool,
    clock: RtpClock,
    /// The instant at which the clock shows `origin`: from there slots count time.
    anchor: Instant,
    origin: u32,
    /// The greatest time that was sent.
    last: Option<i64>,
    /// The next sequence number to be used by a new subscription.
    next_seq: u64,
    /// The numbers that the next VP8 or VP9 picture of a new subscription gets.
    next_picture: Next,
    history: History,
    nacks: VecDeque<u64>,
}

/// What ties a slot to a source: how its numbers differ from the source's.
#[derive(Debug, Clone, Copy)]
struct Subscription {
    source: u32,
    /// The layer that is sent, or begun with.
    layer: usize,
    /// The next packet in its ring.
    next: u64,
    /// Set once the first packet is through.
    line: Option<Line>,
    /// Another layer that takes over with its next key frame, and the next packet in its ring to be looked at.
    pending: Option<(usize, u64)>,
}

/// Offsets between the source's numbers and the slot's, fixed while a subscription lasts.
#[derive(Debug, Clone, Copy)]
struct Line {
    generation: u32,
    /// The source's number of the packet that it was drawn for, with which a decoder can begin.
    begun: u64,
    /// The least number that is on it: what comes late with a lower one is not for this slot. Before `begun` only
    /// packets of the same picture are on it.
    first: u64,
    seq: u64,
    /// Where the source's time begins on the slot's clock.
    start: i64,
    /// The source's time of the first picture, and how much later it is placed than it was taken: the slot had sent
    /// something later already. Each picture gets half of its distance from the first nearer to where it belongs.
    from: i64,
    ahead: i64,
    pictures: Offsets,
    format: Format,
}

impl Line {
    /// The time on the slot's clock for one of the source. A function of nothing else, so that all packets of a picture
    /// have one, and those that are sent again the same.
    #[inline]
    fn time(&self, source: i64) -> i64 {
        let since = (source - self.from).max(0);
        self.start + source + (self.ahead - since / 2).max(0)
    }

    /// Whether a packet is on it.
    #[inline]
    const fn takes(&self, entry: &Entry) -> bool {
        entry.seq >= self.begun || entry.seq >= self.first && entry.time == self.from
    }
}

/// What became of a [`forward`](Slot::forward).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// A run was written, for the path that the peer has selected.
    Run {
        /// Bytes in all.
        len: usize,
        /// Size of each datagram, when there are several.
        segment: Option<NonZeroU16>,
    },
    /// Nothing is left to send.
    Idle,
    /// The buffer is too short for the next packet.
    NoRoom,
}

impl Slot {
    pub(crate) fn new(
        now: Instant,
        section: usize,
        agreed: &Section,
        sender: &peer::Sender,
        history: usize,
        random: u64,
    ) -> Self {
        let rate = agreed
            .formats()
            .first()
            .map_or(90_000, |format| format.codec.clock_rate());
        Self {
            section,
            mid: agreed.mid().to_owned(),
            media: agreed.kind(),
            sender: sender.id(),
            pair: sender.pair(),
            queued: false,
            undecodable: None,
            active: true,
            report_due: false,
            begun: false,
            carried: None,
            shown: Size::DEFAULT,
            paused: None,
            told: (None, None),
            told_of_another: false,
            target: None,
            turned: false,
            known: false,
            subscription: None,
            formats: agreed.formats().to_vec(),
            ids: Ids::new(agreed.extensions()),
            mid_id: agreed.extensions().get(Extension::Mid),
            allow_mixed: agreed.allow_mixed(),
            clock: RtpClock::new(NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN), now, random as u32),
            anchor: now,
            origin: random as u32,
            last: None,
            next_seq: sender.first_sequence(),
            next_picture: Next {
                picture: (random >> 32) as u16 & 0x7fff,
                tl0: (random >> 48) as u8,
            },
            history: History::new(
                if agreed.kind() == Kind::Video {
                    history
                } else {
                    history / 8
                },
                now,
            ),
            nacks: VecDeque::new(),
        }
    }

    /// Takes over what a new offer and answer changed.
    pub(crate) fn renegotiate(&mut self, agreed: &Section) {
        self.active = true;
        let codecs = |formats: &[Format]| formats.iter().map(|format| format.codec).collect::<Vec<_>>();
        if codecs(&self.formats) != codecs(agreed.formats()) {
            // What could not be decoded perhaps can now.
            self.undecodable = None;
        }
        self.formats.clear();
        self.formats.extend_from_slice(agreed.formats());
        self.ids = Ids::new(agreed.extensions());
        self.mid_id = agreed.extensions().get(Extension::Mid);
        self.allow_mixed = agreed.allow_mixed();
        // The payload types may be others now.
        if let Some(subscription) = &mut self.subscription {
            subscription.line = subscription.line.and_then(|line| {
                let format = *agreed.format_of(line.format.codec)?;
                Some(Line { format, ..line })
            });
        }
    }

    /// The clock of everything that this slot ever sends: RTP timestamp at a time.
    pub(crate) const fn clock(&self) -> &RtpClock {
        &self.clock
    }

    /// The source whose packets it sends, and the layer of it.
    pub(crate) fn source(&self) -> Option<(u32, usize)> {
        let subscription = self.subscription.as_ref()?;
        Some((subscription.source, subscription.layer))
    }

    /// The source that it carries, also while nothing of it is sent.
    pub(crate) const fn carried(&self) -> Option<u32> {
        self.carried
    }

    /// Carries another source, or none, of which nothing is sent yet.
    pub(crate) fn carry(&mut self, source: Option<u32>) {
        self.pause();
        if self.carried != source {
            self.carried = source;
            self.undecodable = None;
            self.target = None;
            self.known = false;
            self.told_of_another |= self.told != (None, None);
        }
    }

    /// Sends what it carries, which is `source`, from its next packet on; video begins with the next key frame. Numbers
    /// and time go on whether the source is another one or only paused.
    pub(crate) fn subscribe(&mut self, now: Instant, index: u32, source: &mut Source, own: Subscriber) {
        let areas = source.areas();
        let target = areas.target(self.shown, self.target);
        let first = areas.first(source.usable(), areas.best(source.usable(), target));
        let Some(layer) = source.layers.get_mut(first) else {
            return;
        };
        self.subscription = Some(Subscription {
            source: index,
            layer: first,
            next: layer.subscribe(now, own, !self.known),
            line: None,
            pending: None,
        });
        // What was sent before stands in another ring.
        self.history.clear();
        self.nacks.clear();
        // Here and not with the slot: of slots a client may ask for hundreds, but only so many sources are there.
        self.history.prepare();
        self.nacks.reserve(MAX_NACKS);
        self.steer(now, source, own);
    }

    /// Sends nothing more of what it carries.
    pub(crate) fn pause(&mut self) {
        self.subscription = None;
        self.history.clear();
        self.nacks.clear();
    }

    /// The connection is (again) there: what came meanwhile is passed over.
    pub(crate) fn restart(&mut self, source: &Source) {
        if let Some(subscription) = &mut self.subscription {
            let end = |layer: usize| source.layers.get(layer).map_or(0, |layer| layer.ring.next_index());
            subscription.next = end(subscription.layer);
            if let Some((layer, next)) = &mut subscription.pending {
                *next = end(*layer);
            }
            self.nacks.clear();
            // Without a line nothing is sent again.
            subscription.line = None;
        }
    }

    /// Whether it turned out that the source cannot be decoded; once.
    pub(crate) fn is_newly_undecodable(&mut self) -> bool {
        let newly = self.undecodable == Some(false);
        if newly {
            self.undecodable = Some(true);
        }
        newly
    }

    /// Whether its owner was told that it cannot decode the source.
    pub(crate) fn is_told_undecodable(&self) -> bool {
        self.undecodable == Some(true)
    }

    /// Whether a source was begun with, so that a sender report is to follow; once.
    pub(crate) const fn has_begun(&mut self) -> bool {
        std::mem::replace(&mut self.begun, false)
    }

    /// Whether a picture was begun with, perhaps of another layer; once.
    pub(crate) const fn has_turned(&mut self) -> bool {
        std::mem::replace(&mut self.turned, false)
    }

    /// Whether it has nothing more to send of what is there.
    pub(crate) fn is_done(&self, source: &Source) -> bool {
        let Some(subscription) = &self.subscription else {
            return self.nacks.is_empty();
        };
        let places = [Some((subscription.layer, subscription.next)), subscription.pending];
        let mut left = places.into_iter().flatten().filter(|(layer, next)| {
            let layer = source.layers.get(*layer);
            layer.is_some_and(|layer| *next < layer.ring.next_index())
        });
        self.nacks.is_empty() && left.next().is_none()
    }

    /// The subscriber misses a packet. Returns whether there is room to remember that.
    pub(crate) fn nack(&mut self, seq: u64) -> bool {
        let room = self.nacks.len() < MAX_NACKS;
        if room {
            self.nacks.push_back(seq);
        }
        room
    }

    /// Writes the next run of packets: retransmissions first, then what the source's ring holds.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        peer: &mut Peer,
        source: &mut Source,
        own: Subscriber,
        out: &mut [u8],
        counters: &mut Counters,
    ) -> Forwarded {
        if peer.selected_path().is_none() {
            // Nobody to send to: the ring keeps nothing back for it.
            self.restart(source);
            return Forwarded::Idle;
        }
        self.follow_pending(source, own);
        let layer = self.subscription.map(|subscription| subscription.layer);
        let Some(layer) = layer.and_then(|layer| source.layers.get_mut(layer)) else {
            return Forwarded::Idle;
        };
        let mid = self.wanted_mid(peer);
        while let Some(seq) = self.nacks.pop_front() {
            match self.retransmit(now, peer, layer, seq, out) {
                Ok(len) => return Forwarded::Run { len, segment: None },
                Err(Unsent::NoRoom) => {
                    self.nacks.push_front(seq);
                    return Forwarded::NoRoom;
                }
                // It comes by itself when we have it.
                Err(Unsent::Awaited) => {}
                Err(Unsent::Unknown) => counters.nack_unanswered += 1,
                Err(Unsent::NoRetransmission) => counters.nack_without_rtx += 1,
                Err(Unsent::Refused) => counters.refused_packets += 1,
            }
        }
        let (mut written, mut packets) = (0, 0);
        let mut segment = Segment::default();
        while packets < MAX_RUN {
            let Some((index, line)) = self.next_packet(layer, counters) else {
                break;
            };
            let layer = &*layer;
            let Some(stored) = layer.ring.get(index) else { break };
            let (elements, count) = self.elements(&stored, mid);
            let plain = header_len(&elements[..count], self.allow_mixed) + stored.payload.len();
            if packets == 0 {
                segment.plain = longest_alike(layer, index, plain, peer.max_rtp());
            } else if plain > segment.plain || written + segment.sealed > MAX_MESSAGE {
                break;
            }
            // A packet a little shorter than the others is padded to their size, so that the run goes on.
            let padding = segment.plain - plain;
            let padding = if padding <= MAX_PAD { padding as u8 } else { 0 };
            let head = rewrite_head(&stored, &line);
            let head = head.as_bytes();
            let header = RtpOut {
                payload_type: line.format.payload_type,
                marker: stored.entry.marker,
                sequence_number: stored.entry.seq.wrapping_add(line.seq),
                timestamp: self.timestamp(&line, &stored.entry),
                extensions: &elements[..count],
                padding,
                ..RtpOut::default()
            };
            let pieces = [head, stored.payload.get(head.len()..).unwrap_or_default()];
            let room = out.get_mut(written..).unwrap_or_default();
            match peer.write_rtp(now, self.sender, &header, &pieces, room) {
                Ok(len) => {
                    let seq = header.sequence_number;
                    self.sent(now, index, &stored, seq, &line);
                    if std::mem::take(&mut self.report_due) {
                        peer.send_report_now(now, self.sender);
                        self.begun = true;
                    }
                    written += len;
                    packets += 1;
                    if packets == 1 {
                        segment.sealed = len;
                    } else if len < segment.sealed {
                        break;
                    }
                }
                Err(Blocked::NoRoom { .. }) if packets > 0 => break,
                Err(Blocked::NoRoom { .. }) => return Forwarded::NoRoom,
                Err(blocked) => {
                    match blocked {
                        Blocked::TooLarge { .. } => counters.too_large_packets += 1,
                        _ => counters.refused_packets += 1,
                    }
                    self.pass(index);
                }
            }
        }
        if packets == 0 {
            return Forwarded::Idle;
        }
        let size = u16::try_from(segment.sealed)
            .ok()
            .and_then(NonZeroU16::new)
            .filter(|_| packets > 1);
        Forwarded::Run {
            len: written,
            segment: size,
        }
    }

    /// The next packet that this slot sends; passes over those that it does not.
    fn next_packet(&mut self, layer: &mut Layer, counters: &mut Counters) -> Option<(u64, Line)> {
        let end = layer.ring.next_index();
        let mut wants_key_frame = false;
        loop {
            let subscription = self.subscription.as_mut()?;
            let index = subscription.next;
            if index >= end {
                if wants_key_frame {
                    layer.requests.want();
                }
                return None;
            }
            let Some(entry) = layer.ring.entry(index).copied() else {
                counters.overwritten_packets += 1;
                subscription.next = index + 1;
                continue;
            };
            let line = subscription.line.filter(|line| line.generation == entry.generation);
            let line = match line {
                // From before the slot changed hands, or of another codec than the line was drawn for.
                Some(line) if entry.seq < line.first => None,
                Some(line) if entry.codec == line.format.codec => Some(line).filter(|line| line.takes(&entry)),
                _ if !self.formats.iter().any(|format| format.codec == entry.codec) => {
                    // No key frame would help, so none is asked for.
                    counters.undecodable_packets += 1;
                    self.undecodable.get_or_insert(false);
                    None
                }
                _ if entry.starts_key_frame && self.media == Kind::Audio && self.is_past(layer, &entry) => {
                    // Of the one who spoke before there is sound of a later time already. Nothing is on the line yet,
                    // so that no gap is left either.
                    counters.misplaced_packets += 1;
                    None
                }
                _ if entry.starts_key_frame => {
                    self.begin(layer, index);
                    wants_key_frame = false;
                    continue;
                }
                _ => {
                    // In the middle of a picture that this subscriber never saw the beginning of.
                    wants_key_frame = true;
                    None
                }
            };
            let Some(line) = line else {
                self.pass(index);
                continue;
            };
            return Some((index, line));
        }
    }

    /// Draws the line for the packet at `index`, with which a decoder can begin, and goes on with the first packet on
    /// it: that one, or one of the same picture that has overtaken it.
    fn begin(&mut self, layer: &Layer, index: u64) {
        let line = self.line_for(layer, index);
        let Some(subscription) = &mut self.subscription else {
            return;
        };
        let Some(line) = line else {
            subscription.next = index + 1;
            return;
        };
        let same = |&at: &u64| {
            let entry = layer.ring.entry(at);
            entry.is_some_and(|entry| entry.generation == line.generation && entry.codec == line.format.codec)
        };
        let before = (index.saturating_sub(REORDERED)..index).rev().take_while(same);
        let overtook = |&at: &u64| layer.ring.entry(at).is_some_and(|entry| line.takes(entry));
        subscription.next = before.filter(overtook).last().unwrap_or(index);
        subscription.line = Some(line);
        self.history.clear();
        self.report_due = true;
        self.turned = true;
        self.known = true;
    }

    fn line_for(&self, layer: &Layer, index: u64) -> Option<Line> {
        let stored = layer.ring.get(index)?;
        let entry = &stored.entry;
        let format = *self.formats.iter().find(|format| format.codec == entry.codec)?;
        let start = self.start_of(layer);
        let first = entry.seq - room_in_front(layer, index, &stored);
        Some(Line {
            generation: entry.generation,
            begun: entry.seq,
            first,
            seq: self.next_seq.wrapping_sub(first),
            start,
            from: entry.time,
            ahead: self.free().map_or(0, |free| (free - start - entry.time).max(0)),
            pictures: Offsets::new(entry.counted.as_ref(), self.next_picture),
            format,
        })
    }

    /// Where the source's time begins on the slot's clock.
    fn start_of(&self, layer: &Layer) -> i64 {
        let epoch = layer.timeline.as_ref().map_or(self.anchor, Timeline::epoch);
        timeline::ticks(self.clock.rate(), self.anchor, epoch)
    }

    /// The first time that is after all that was sent.
    fn free(&self) -> Option<i64> {
        let spacing = timeline::duration_ticks(self.clock.rate(), SPACING);
        self.last.map(|last| last + spacing)
    }

    /// Whether a packet's time is not after all that was sent.
    fn is_past(&self, layer: &Layer, entry: &Entry) -> bool {
        self.free().is_some_and(|free| self.start_of(layer) + entry.time < free)
    }

    #[inline]
    fn timestamp(&self, line: &Line, entry: &Entry) -> u32 {
        self.origin.wrapping_add(line.time(entry.time) as u32)
    }

    fn sent(&mut self, now: Instant, index: u64, stored: &Stored<'_>, seq: u64, line: &Line) {
        self.history.record(now, index, seq);
        let is_newest = seq >= self.next_seq;
        self.next_seq = self.next_seq.max(seq + 1);
        self.last = self.last.max(Some(line.time(stored.entry.time)));
        if let Some(counted) = stored.entry.counted.as_ref().filter(|_| is_newest) {
            line.pictures.follow(counted, &mut self.next_picture);
        }
        self.pass(index);
    }

    fn pass(&mut self, index: u64) {
        if let Some(subscription) = &mut self.subscription {
            subscription.next = index + 1;
        }
    }

    /// The identifier with which MID is sent, until the peer knows the SSRC.
    fn wanted_mid(&self, peer: &Peer) -> Option<u8> {
        self.mid_id.filter(|_| !peer.is_reported(self.sender))
    }

    /// The extension elements for a packet: MID if it is wanted, then what is forwarded as it is.
    #[inline]
    fn elements<'a>(&'a self, stored: &Stored<'a>, mid: Option<u8>) -> ([(u8, &'a [u8]); 6], usize) {
        let mut elements: [(u8, &[u8]); 6] = [(0, &[]); 6];
        let mut count = 0;
        if let Some(id) = mid {
            elements[0] = (id, self.mid.as_bytes());
            count = 1;
        }
        for element in extensions::translate(stored.extensions, &self.ids) {
            if let Some(place) = elements.get_mut(count) {
                *place = element;
                count += 1;
            }
        }
        (elements, count)
    }

    fn retransmit(
        &mut self,
        now: Instant,
        peer: &mut Peer,
        layer: &Layer,
        seq: u64,
        out: &mut [u8],
    ) -> Result<usize, Unsent> {
        let line = self
            .subscription
            .and_then(|subscription| subscription.line)
            .ok_or(Unsent::Unknown)?;
        if seq >= line.first.wrapping_add(line.seq) && self.history.lacks(seq) {
            return Err(Unsent::Awaited);
        }
        if line.format.rtx.is_none() {
            return Err(Unsent::NoRetransmission);
        }
        let pause = peer.rtt().unwrap_or_default().max(MIN_RESEND_PAUSE);
        if out.len() < Peer::MIN_OUT {
            return Err(Unsent::NoRoom);
        }
        let sent = self.history.resend(now, seq, pause).ok_or(Unsent::Unknown)?;
        let stored = layer.ring.get(sent.index).ok_or(Unsent::Unknown)?;
        let head = rewrite_head(&stored, &line);
        let head = head.as_bytes();
        let pieces = [head, stored.payload.get(head.len()..).unwrap_or_default()];
        // RFC 9143 §9.2: the SSRC of retransmissions has to be tied to its section too, and nothing tells us that it
        // is. Firefox takes nothing but what it has seen with the MID, whatever the SDP says of SSRCs. Where there is
        // no room for it the packet goes without: who has one knows the SSRC.
        let mut blocked = Blocked::NoRetransmission;
        for mid in [self.mid_id, None] {
            let (elements, count) = self.elements(&stored, mid);
            let original = RtpOut {
                payload_type: line.format.payload_type,
                marker: stored.entry.marker,
                sequence_number: seq,
                timestamp: self.timestamp(&line, &stored.entry),
                extensions: &elements[..count],
                ..RtpOut::default()
            };
            match peer.write_rtx(now, self.sender, &original, &pieces, out) {
                Ok(len) => return Ok(len),
                Err(why) => blocked = why,
            }
            if mid.is_none() || !matches!(blocked, Blocked::TooLarge { .. }) {
                break;
            }
        }
        Err(match blocked {
            Blocked::NoRetransmission => Unsent::NoRetransmission,
            _ => Unsent::Refused,
        })
    }
}

/// Why a retransmission was not sent.
enum Unsent {
    NoRoom,
    /// We lack it too.
    Awaited,
    Unknown,
    NoRetransmission,
    Refused,
}

/// Sizes in a run, before and after sealing.
#[derive(Debug, Clone, Copy, Default)]
struct Segment {
    plain: usize,
    sealed: usize,
}

/// How many numbers to keep free for packets that belong in front of the one at `index`, with which a decoder can
/// begin: the parameter sets of an H.264 picture stand in packets of their own and may have been overtaken. If they
/// never come the subscriber misses them like anything else that was lost.
fn room_in_front(layer: &Layer, index: u64, stored: &Stored<'_>) -> u64 {
    let entry = &stored.entry;
    let has_sets = || h264::nal_units(stored.payload).any(|(kind, _)| kind == NalType::SPS);
    if !matches!(entry.codec, Codec::H264 { .. }) || has_sets() {
        return 0;
    }
    let mut room = 0;
    for back in 1..=PARAMETER_SETS.min(entry.seq) {
        let mut near = (index.saturating_sub(REORDERED)..layer.ring.next_index()).filter_map(|at| layer.ring.entry(at));
        let other = near.find(|other| other.generation == entry.generation && other.seq == entry.seq - back);
        if other.is_some_and(|other| other.time != entry.time) {
            break;
        }
        room = back;
    }
    room
}

/// The greatest length among the packets that follow at once and differ by little, so that they can be padded to it;
/// not one of more than `most_plain`, which cannot be sent.
fn longest_alike(layer: &Layer, index: u64, plain: usize, most_plain: usize) -> usize {
    let Some((extensions, payload)) = layer.ring.lengths(index) else {
        return plain;
    };
    let fixed = plain - payload;
    let (mut least, mut most) = (payload, payload);
    let end = layer.ring.next_index().min(index + MAX_RUN as u64);
    for next in index + 1..end {
        let Some((other_extensions, other)) = layer.ring.lengths(next) else {
            break;
        };
        let (low, high) = (least.min(other), most.max(other));
        if other_extensions != extensions || high - low > MAX_PAD || fixed + high > most_plain {
            break;
        }
        (least, most) = (low, high);
    }
    fixed + most
}

/// The beginning of the payload as this subscriber gets it, when it differs.
#[inline]
fn rewrite_head(stored: &Stored<'_>, line: &Line) -> Head {
    match &stored.entry.counted {
        Some(counted) => line.pictures.apply(counted, stored.payload),
        None => Head::default(),
    }
}

/// How long the header of a packet with these elements is, in bytes (RFC 8285 §4.2, §4.3).
#[inline]
fn header_len(elements: &[(u8, &[u8])], allow_mixed: bool) -> usize {
    if elements.is_empty() {
        return 12;
    }
    let wide = |(id, value): &(u8, &[u8])| *id > 14 || value.is_empty() || value.len() > 16;
    let len: usize = if !elements.iter().any(wide) {
        elements.iter().map(|(_, value)| 1 + value.len()).sum()
    } else if allow_mixed {
        elements.iter().map(|(_, value)| 2 + value.len()).sum()
    } else {
        elements
            .iter()
            .filter(|element| !wide(element))
            .map(|(_, value)| 1 + value.len())
            .sum()
    };
    if len == 0 { 12 } else { 16 + len.next_multiple_of(4) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The length by which runs are planned is the one that is written.
        #[test]
        fn header_lengths_are_foreseen(elements in proptest::collection::vec((1u8..=255, proptest::collection::vec(any::<u8>(), 0..40)), 0..6), allow_mixed: bool) {
            let elements: Vec<(u8, &[u8])> = elements.iter().map(|(id, value)| (*id, &value[..])).collect();
            let header = RtpOut { extensions: &elements, ..RtpOut::default() };
            let mut out = [0; 400];
            let written = header.write(allow_mixed, &mut out).unwrap();
            prop_assert_eq!(header_len(&elements, allow_mixed), written);
        }
    }
}
