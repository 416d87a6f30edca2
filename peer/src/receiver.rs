use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use rtp::ntp::NtpTime;
use rtp::rtcp::ReportBlock;
use rtp::{Arrival, MissingPackets, Packet, PayloadType, ReceiverStatistics, RepairStatistics, Ssrc};

use crate::section::Stream;
use crate::ssrc_table::SsrcTable;
use crate::{Counters, Extension, Section, StreamId};

/// All streams that we receive: which SSRC belongs to which of them (RFC 9143 §9.2), and what arrived of each.
///
/// An SSRC is bound once, by what the offer said of it, or by the identifiers in its first packets, or when all else
/// fails by a payload type that only one section has. It stays bound: Chromium stops sending the identifiers as soon as
/// a receiver report names the SSRC.
#[derive(Debug)]
pub(crate) struct Receivers {
    table: SsrcTable,
    /// By the number in `table`.
    sources: Vec<Source>,
    /// By [`StreamId`].
    streams: Vec<StreamState>,
    /// What each header-extension id means on this transport before the section is known; [`NO_EXTENSION`] elsewhere.
    extensions: Box<[u8; 256]>,
    /// The section in which each payload type may be received: [`NOWHERE`], or [`SEVERAL`].
    payload_types: Box<[u16; 128]>,
    /// For each section what its payload types are.
    sections: Vec<PayloadTypes>,
    /// Sources heard since their last report block.
    active: Vec<u32>,
    /// Sources whose report block is to be sent.
    due: Vec<u32>,
    /// Sources of which packets are missing that are still to be asked for.
    lacking: Vec<u32>,
    /// Streams of which packets were given up.
    lost: Vec<StreamId>,
    /// What was done about losses under SSRCs of which nothing is asked for any more.
    repaired: RepairStatistics,
}

/// An SSRC that is bound.
#[derive(Debug)]
struct Source {
    ssrc: Ssrc,
    stream: StreamId,
    repair: bool,
    /// False once the stream went on under another SSRC.
    current: bool,
    active: bool,
    last_packet: Option<Instant>,
    clock_rate: NonZeroU32,
    /// From the first packet on.
    statistics: Option<ReceiverStatistics>,
    /// From the first packet on, when what is missing is asked for again.
    missing: Option<MissingPackets>,
    /// It is in the list of those that lack something.
    lacking: bool,
}

#[derive(Debug)]
struct StreamState {
    /// `None` when the section was stopped or is not received any more.
    section: Option<u16>,
    layer: u8,
    /// The numbers of the SSRCs under which its media and its retransmissions come.
    current: [Option<u32>; 2],
    /// The number of the last FIR that we sent (RFC 5104 §4.3.1.2).
    fir: u8,
}

/// What is known of a section by its number.
#[derive(Debug, Clone)]
struct PayloadTypes {
    /// The formats by payload type: an index into the section's formats, with [`REPAIR`] for their retransmissions.
    formats: Box<[u8; 128]>,
    /// Whether missing packets are asked for again.
    asks_again: bool,
}

const NO_EXTENSION: u8 = 0xff;
const NOWHERE: u16 = u16::MAX;
const SEVERAL: u16 = u16::MAX - 1;
const REPAIR: u8 = 0x80;
const NO_FORMAT: u8 = 0xff;
/// A superseded SSRC takes its stream back when the other was silent for so long.
const RETURN_AFTER: Duration = Duration::from_secs(1);

/// Where a packet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: u32,
    pub(crate) stream: StreamId,
    pub(crate) section: u16,
    pub(crate) layer: u8,
    pub(crate) format: u8,
    pub(crate) repair: bool,
}

/// Why a packet belongs nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stray {
    /// Its SSRC is new: [`Receivers::bind`] may know where it belongs.
    New,
    Unbound,
    UnknownMid,
    UnknownRid,
    UnknownPayloadType,
    Superseded,
    TableFull,
    NotReceiving,
}

impl Stray {
    pub(crate) const fn counter(self, counters: &mut Counters) -> &mut u64 {
        match self {
            Self::New | Self::Unbound => &mut counters.unbound_ssrc,
            Self::UnknownMid => &mut counters.unknown_mid,
            Self::UnknownRid => &mut counters.unknown_rid,
            Self::UnknownPayloadType => &mut counters.unknown_payload_type,
            Self::Superseded => &mut counters.superseded_ssrc,
            Self::TableFull => &mut counters.ssrc_table_full,
            Self::NotReceiving => &mut counters.not_receiving,
        }
    }
}

/// What the header extensions of a packet say about where it belongs, and its transport-wide number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Identifiers<'a> {
    pub(crate) mid: Option<&'a [u8]>,
    pub(crate) rid: Option<&'a [u8]>,
    pub(crate) repaired_rid: Option<&'a [u8]>,
    pub(crate) transport_sequence: Option<u16>,
}

impl Receivers {
    pub(crate) fn new(max_ssrcs: usize, key: [u8; 12]) -> Self {
        Self {
            table: SsrcTable::new(max_ssrcs, key),
            sources: Vec::new(),
            streams: Vec::new(),
            extensions: Box::new([NO_EXTENSION; 256]),
            payload_types: Box::new([NOWHERE; 128]),
            sections: Vec::new(),
            active: Vec::new(),
            due: Vec::new(),
            lacking: Vec::new(),
            lost: Vec::new(),
            repaired: RepairStatistics::default(),
        }
    }

    /// How many further streams there is room for.
    pub(crate) fn vacancies(&self, max_ssrcs: usize) -> usize {
        max_ssrcs.saturating_sub(self.streams.len())
    }

    /// Adds a stream.
    pub(crate) fn add_stream(&mut self) -> StreamId {
        let id = StreamId(u32::try_from(self.streams.len()).unwrap_or(u32::MAX));
        self.streams.push(StreamState {
            section: None,
            layer: 0,
            current: [None; 2],
            fir: 0,
        });
        // So that nothing is allocated later on.
        self.lost.reserve(self.streams.len());
        id
    }

    /// Takes over what was agreed to: which streams live in which section, what the payload types and extension ids
    /// mean.
    pub(crate) fn configure(&mut self, sections: &[Section]) {
        for stream in &mut self.streams {
            stream.section = None;
        }
        self.extensions.fill(NO_EXTENSION);
        self.payload_types.fill(NOWHERE);
        self.sections.clear();
        for (index, section) in sections.iter().enumerate() {
            let mut types = PayloadTypes {
                formats: Box::new([NO_FORMAT; 128]),
                asks_again: section.asks_again && section.direction.receives(),
            };
            let index = index as u16;
            if section.direction.receives() {
                for (layer, stream) in section.streams.iter().enumerate() {
                    if let Some(state) = self.streams.get_mut(stream.id.0 as usize) {
                        (state.section, state.layer) = (Some(index), layer as u8);
                    }
                }
                for (nth, format) in section.formats.iter().enumerate() {
                    let nth = nth as u8;
                    for (payload_type, value) in [(Some(format.payload_type), nth), (format.rtx, nth | REPAIR)] {
                        let Some(PayloadType(payload_type @ 0..=127)) = payload_type else {
                            continue;
                        };
                        types.formats[usize::from(payload_type)] = value;
                        let section = &mut self.payload_types[usize::from(payload_type)];
                        *section = if *section == NOWHERE { index } else { SEVERAL };
                    }
                }
                for extension in IDENTIFYING {
                    if let Some(id) = section.extensions.get(extension) {
                        self.extensions[usize::from(id)] = extension as u8;
                    }
                }
            }
            self.sections.push(types);
        }
        for source in &mut self.sources {
            let section = self.streams[source.stream.0 as usize].section;
            if !section.is_some_and(|section| self.sections[usize::from(section)].asks_again) {
                forget_missing(source, &mut self.repaired);
            }
        }
    }

    /// Binds an SSRC that the offer names. An SSRC that was bound to a section that is gone is bound anew.
    pub(crate) fn announce(&mut self, ssrc: Ssrc, stream: StreamId, repair: bool, clock_rate: u32) {
        match self.table.get(ssrc).map(|number| number as u32) {
            Some(number) => {
                let source = &mut self.sources[number as usize];
                let gone = self.streams[source.stream.0 as usize].section.is_none();
                if gone {
                    (source.stream, source.repair, source.current) = (stream, repair, true);
                    self.streams[stream.0 as usize].current[usize::from(repair)] = Some(number);
                }
            }
            None => {
                self.insert(ssrc, stream, repair, clock_rate);
            }
        }
    }

    /// Reads the identifiers of a packet. One pass over its extensions, which are few.
    #[inline]
    pub(crate) fn identify<'p, B: AsRef<[u8]>>(&self, packet: &'p Packet<B>) -> Identifiers<'p> {
        const MID: u8 = Extension::Mid as u8;
        const RID: u8 = Extension::Rid as u8;
        const REPAIRED_RID: u8 = Extension::RepairedRid as u8;
        const TRANSPORT_CC: u8 = Extension::TransportCc as u8;
        let mut identifiers = Identifiers::default();
        for (id, data) in packet.extensions() {
            match self.extensions[usize::from(id)] {
                TRANSPORT_CC => {
                    identifiers.transport_sequence = data.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                }
                MID => identifiers.mid = Some(data),
                RID => identifiers.rid = Some(data),
                REPAIRED_RID => identifiers.repaired_rid = Some(data),
                _ => {}
            }
        }
        identifiers
    }

    /// Finds where a packet belongs whose SSRC is bound.
    #[inline]
    pub(crate) fn place(
        &mut self,
        now: Instant,
        sections: &[Section],
        ssrc: Ssrc,
        payload_type: PayloadType,
        identifiers: &Identifiers<'_>,
    ) -> Result<Place, Stray> {
        let number = self.table.get(ssrc).ok_or(Stray::New)?;
        let source = &self.sources[number];
        let stream = &self.streams[source.stream.0 as usize];
        let moved = |mid: &[u8]| {
            stream
                .section
                .is_none_or(|section| sections[usize::from(section)].mid.as_bytes() != mid)
        };
        if !source.current || stream.section.is_none() || identifiers.mid.is_some_and(moved) {
            return self.rebind(now, sections, number, payload_type, identifiers);
        }
        self.placed(number, payload_type)
    }

    /// The place of a packet whose SSRC is bound.
    #[inline]
    fn placed(&self, number: usize, payload_type: PayloadType) -> Result<Place, Stray> {
        let source = &self.sources[number];
        let stream = &self.streams[source.stream.0 as usize];
        let section = stream.section.ok_or(Stray::NotReceiving)?;
        let format = self.format(section, payload_type).ok_or(Stray::UnknownPayloadType)?;
        if source.repair != (format & REPAIR != 0) {
            return Err(Stray::UnknownPayloadType);
        }
        Ok(Place {
            source: number as u32,
            stream: source.stream,
            section,
            layer: stream.layer,
            format: format & !REPAIR,
            repair: source.repair,
        })
    }

    #[inline]
    fn format(&self, section: u16, payload_type: PayloadType) -> Option<u8> {
        let format = *self
            .sections
            .get(usize::from(section))?
            .formats
            .get(usize::from(payload_type.0))?;
        (format != NO_FORMAT).then_some(format)
    }

    /// Binds a new SSRC by its first packet.
    #[cold]
    pub(crate) fn bind(
        &mut self,
        sections: &[Section],
        ssrc: Ssrc,
        payload_type: PayloadType,
        identifiers: &Identifiers<'_>,
    ) -> Result<Place, Stray> {
        let (stream, repair) = self.find(sections, payload_type, identifiers)?;
        let section = self.streams[stream.0 as usize].section.ok_or(Stray::NotReceiving)?;
        let clock_rate = sections[usize::from(section)]
            .formats
            .first()
            .map_or(90_000, |f| f.codec.clock_rate());
        let number = self.insert(ssrc, stream, repair, clock_rate).ok_or(Stray::TableFull)?;
        self.placed(number, payload_type)
    }

    /// A packet of an SSRC that is bound to something else, or to nothing any more.
    #[cold]
    fn rebind(
        &mut self,
        now: Instant,
        sections: &[Section],
        number: usize,
        payload_type: PayloadType,
        identifiers: &Identifiers<'_>,
    ) -> Result<Place, Stray> {
        let source = &self.sources[number];
        let receiving = self.streams[source.stream.0 as usize].section.is_some();
        // Only what the packet itself says can move an SSRC (RFC 9143 §9.2: not a payload type).
        if identifiers.mid.is_none() {
            return Err(if receiving {
                Stray::Superseded
            } else {
                Stray::NotReceiving
            });
        }
        let found = self.find(sections, payload_type, identifiers);
        let (stream, repair) = found.map_err(|stray| match stray {
            // A straggler of a section that was stopped.
            Stray::UnknownMid if !receiving => Stray::NotReceiving,
            stray => stray,
        })?;
        let other = self.streams[stream.0 as usize].current[usize::from(repair)];
        let other = other.and_then(|other| self.sources[other as usize].last_packet);
        if !source.current && stream == source.stream && other.is_some_and(|last| now < last + RETURN_AFTER) {
            return Err(Stray::Superseded);
        }
        self.latch(number, stream, repair);
        self.placed(number, payload_type)
    }

    /// The stream that the identifiers of a packet name, and whether it is a retransmission.
    fn find(
        &self,
        sections: &[Section],
        payload_type: PayloadType,
        identifiers: &Identifiers<'_>,
    ) -> Result<(StreamId, bool), Stray> {
        let section = match identifiers.mid {
            Some(mid) => {
                let index = sections
                    .iter()
                    .position(|section| section.mid.as_bytes() == mid && section.rejected.is_none());
                let index = index.ok_or(Stray::UnknownMid)?;
                if !sections[index].direction.receives() {
                    return Err(Stray::NotReceiving);
                }
                index
            }
            None => match self.payload_types.get(usize::from(payload_type.0)) {
                None | Some(&NOWHERE | &SEVERAL) => return Err(Stray::Unbound),
                Some(&section) => usize::from(section),
            },
        };
        let format = self
            .format(section as u16, payload_type)
            .ok_or(Stray::UnknownPayloadType)?;
        let repair = format & REPAIR != 0;
        let streams = &sections[section].streams;
        let rid = if repair {
            identifiers.repaired_rid.or(identifiers.rid)
        } else {
            identifiers.rid
        };
        let named = |stream: &&Stream| stream.rid.as_deref().map(str::as_bytes) == rid;
        let stream = match streams.as_slice() {
            // Without simulcast a rid means nothing.
            [only] if only.rid.is_none() => only,
            streams => match rid {
                Some(_) => streams.iter().find(named).ok_or(Stray::UnknownRid)?,
                None => return Err(Stray::Unbound),
            },
        };
        Ok((stream.id, repair))
    }

    /// Counts a packet that [`place`](Self::place) has placed.
    #[inline]
    pub(crate) fn record(&mut self, now: Instant, place: &Place, sequence_number: u16, timestamp: u32) {
        let Some(source) = self.sources.get_mut(place.source as usize) else {
            return;
        };
        let (ssrc, clock_rate) = (source.ssrc, source.clock_rate);
        let statistics = source
            .statistics
            .get_or_insert_with(|| ReceiverStatistics::new(ssrc, clock_rate, now));
        statistics.record(now, sequence_number, timestamp);
        source.last_packet = Some(now);
        if !source.active {
            source.active = true;
            self.active.push(place.source);
        }
    }

    /// Takes note of a packet of media that [`place`](Self::place) has placed, for what is asked for again. `None` when
    /// nothing is in its section.
    #[inline]
    pub(crate) fn follow(&mut self, now: Instant, place: &Place, sequence: u64) -> Option<Arrival> {
        if !self.sections.get(usize::from(place.section))?.asks_again {
            return None;
        }
        let source = self.sources.get_mut(place.source as usize)?;
        source.last_packet = Some(now);
        let missing = source.missing.get_or_insert_with(|| MissingPackets::new(now));
        let arrival = missing.arrived(now, sequence);
        if !missing.is_empty() && !source.lacking {
            source.lacking = true;
            self.lacking.push(place.source);
        }
        if missing.take_given_up() {
            self.lose(place.stream);
        }
        Some(arrival)
    }

    /// Takes note of a retransmission of the packet with this sequence number. Gives the SSRC and the extended sequence
    /// number of that, if it is still missing.
    pub(crate) fn follow_repair(&mut self, now: Instant, place: &Place, sequence_number: u16) -> Option<(Ssrc, u64)> {
        let media = self.streams.get(place.stream.0 as usize)?.current[0]?;
        let source = self.sources.get_mut(media as usize)?;
        let (sequence, _) = source.missing.as_mut()?.repaired(now, sequence_number)?;
        Some((source.ssrc, sequence))
    }

    /// When packets are to be asked for again.
    #[inline]
    pub(crate) fn nack_due(&self) -> Option<Instant> {
        let missing = |number: &u32| self.sources.get(*number as usize)?.missing.as_ref()?.due();
        self.lacking.iter().filter_map(missing).min()
    }

    /// Puts the next sequence numbers that are to be asked for now into `ask`, all of one SSRC. Gives that and how many
    /// they are.
    pub(crate) fn take_nack(
        &mut self,
        now: Instant,
        round_trip: Option<Duration>,
        ask: &mut [u16],
    ) -> Option<(Ssrc, usize)> {
        let mut place = 0;
        while let Some(&number) = self.lacking.get(place) {
            let source = &mut self.sources[number as usize];
            let (mut count, mut given_up) = (0, false);
            if let Some(missing) = &mut source.missing {
                count = missing.take_due(now, round_trip, ask);
                given_up = missing.take_given_up();
            }
            let (ssrc, stream) = (source.ssrc, source.stream);
            if source.missing.as_ref().is_none_or(MissingPackets::is_empty) {
                source.lacking = false;
                self.lacking.swap_remove(place);
            } else {
                place += 1;
            }
            if given_up {
                self.lose(stream);
            }
            if count > 0 {
                return Some((ssrc, count));
            }
        }
        None
    }

    /// What was asked for again of a stream under its present SSRC.
    pub(crate) fn repair_statistics(&self, stream: StreamId) -> Option<RepairStatistics> {
        let state = self.streams.get(stream.0 as usize)?;
        let missing = self.sources.get(state.current[0]? as usize)?.missing.as_ref()?;
        Some(missing.statistics())
    }

    /// What was asked for again of all streams so far.
    pub(crate) fn repair_total(&self) -> RepairStatistics {
        let mut total = self.repaired;
        for missing in self.sources.iter().filter_map(|source| source.missing.as_ref()) {
            total.absorb(&missing.statistics());
        }
        total
    }

    fn lose(&mut self, stream: StreamId) {
        if !self.lost.contains(&stream) {
            self.lost.push(stream);
        }
    }

    /// A stream of which packets were given up, once.
    #[inline]
    pub(crate) fn take_lost(&mut self) -> Option<StreamId> {
        self.lost.pop()
    }

    /// A sender report came. Gives its stream, when it is the present source of one's media.
    pub(crate) fn record_sender_report(&mut self, now: Instant, ssrc: Ssrc, ntp: NtpTime) -> Option<StreamId> {
        let source = self.sources.get_mut(self.table.get(ssrc)?)?;
        if let Some(statistics) = &mut source.statistics {
            statistics.record_sender_report(now, ntp);
        }
        (source.current && !source.repair).then_some(source.stream)
    }

    /// The SDES of an SSRC named its section (RFC 9143 §15.1): binds it when it is new and the section has one stream.
    pub(crate) fn describe(&mut self, sections: &[Section], ssrc: Ssrc, mid: &[u8]) {
        let section = sections.iter().find(|section| section.mid.as_bytes() == mid);
        // Which layer it is, or whether it repairs one, the packet has to say.
        if let Some(section) = section
            && let [Stream { id, rid: None }] = section.streams()
            && section.formats.iter().all(|format| format.rtx.is_none())
            && let Some(format) = section.formats.first()
        {
            self.announce(ssrc, *id, false, format.codec.clock_rate());
        }
    }

    /// The stream whose media or retransmissions come under an SSRC now, and which of the two.
    pub(crate) fn by_ssrc(&self, ssrc: Ssrc) -> Option<(StreamId, bool)> {
        let source = self.sources.get(self.table.get(ssrc)?)?;
        source.current.then_some((source.stream, source.repair))
    }

    /// The SSRC under which a stream's media comes now, and its section.
    pub(crate) fn source(&self, stream: StreamId) -> Option<(Ssrc, usize)> {
        let state = self.streams.get(stream.0 as usize)?;
        let source = self.sources.get(state.current[0]? as usize)?;
        Some((source.ssrc, usize::from(state.section?)))
    }

    /// The number of the next FIR for a stream.
    pub(crate) fn next_fir(&mut self, stream: StreamId) -> u8 {
        self.streams.get_mut(stream.0 as usize).map_or(0, |state| {
            state.fir = state.fir.wrapping_add(1);
            state.fir
        })
    }

    /// Statistics of a stream's media or retransmissions.
    pub(crate) fn statistics(&self, stream: StreamId, repair: bool) -> Option<&ReceiverStatistics> {
        let state = self.streams.get(stream.0 as usize)?;
        self.sources
            .get(state.current[usize::from(repair)]? as usize)?
            .statistics
            .as_ref()
    }

    /// The SSRCs of all media that comes, without retransmissions.
    pub(crate) fn heard(&self) -> impl Iterator<Item = Ssrc> + Clone {
        let heard = |source: &&Source| source.current && !source.repair && source.statistics.is_some();
        self.sources.iter().filter(heard).map(|source| source.ssrc)
    }

    /// Statistics of all sources.
    pub(crate) fn all_statistics(&self) -> impl Iterator<Item = &ReceiverStatistics> {
        self.sources.iter().filter_map(|source| source.statistics.as_ref())
    }

    /// Makes report blocks due about all that were heard since the last call.
    pub(crate) fn make_reports_due(&mut self) {
        for &number in &self.active {
            self.sources[number as usize].active = false;
        }
        // Both have room for all sources. What is still due from before is in both, and reported once more: harmless.
        self.due.clear();
        core::mem::swap(&mut self.active, &mut self.due);
    }

    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The next report block that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<ReportBlock> {
        while let Some(number) = self.due.pop() {
            let source = &mut self.sources[number as usize];
            let block = source
                .statistics
                .as_mut()
                .filter(|_| source.current)
                .and_then(|statistics| statistics.report(now));
            if block.is_some() {
                return block;
            }
        }
        None
    }

    fn insert(&mut self, ssrc: Ssrc, stream: StreamId, repair: bool, clock_rate: u32) -> Option<usize> {
        let number = self.table.insert(ssrc)?;
        self.sources.push(Source {
            ssrc,
            stream,
            repair,
            current: true,
            active: false,
            last_packet: None,
            clock_rate: NonZeroU32::new(clock_rate).unwrap_or(NonZeroU32::MIN),
            statistics: None,
            missing: None,
            lacking: false,
        });
        // So that nothing is allocated later on.
        self.active.reserve(self.sources.len());
        self.due.reserve(self.sources.len());
        self.lacking.reserve(self.sources.len());
        self.latch(number, stream, repair);
        Some(number)
    }

    /// Makes an SSRC the present one of a stream.
    fn latch(&mut self, number: usize, stream: StreamId, repair: bool) {
        let before = self.streams[stream.0 as usize].current[usize::from(repair)].replace(number as u32);
        if let Some(before) = before.filter(|before| *before as usize != number) {
            let before = &mut self.sources[before as usize];
            before.current = false;
            forget_missing(before, &mut self.repaired);
        }
        let source = &mut self.sources[number];
        (source.stream, source.repair, source.current) = (stream, repair, true);
    }
}

/// Asks for nothing of a source any more, but remembers what was done.
fn forget_missing(source: &mut Source, repaired: &mut RepairStatistics) {
    if let Some(missing) = source.missing.take() {
        repaired.absorb(&missing.statistics());
    }
}

/// The extensions that are read before the section is known.
const IDENTIFYING: [Extension; 4] = [
    Extension::Mid,
    Extension::Rid,
    Extension::RepairedRid,
    Extension::TransportCc,
];
