use std::time::{Duration, Instant};

use dtls_srtp::srtp::{SealError, Sealer, StreamHandle};
use rtp::rtcp::ReportBlock;
use rtp::{HeaderError, PayloadType, RtpOut, Ssrc};

use crate::ssrc_table::SsrcTable;
use crate::{Blocked, Kind, Section, SenderId};

/// A stream that we send: what was announced for it in the answer and never changes.
#[derive(Debug, Clone)]
pub struct Sender {
    pub(crate) id: SenderId,
    pub(crate) section: usize,
    pub(crate) kind: Kind,
    pub(crate) pair: u32,
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx: Option<Ssrc>,
    pub(crate) first_sequence: u64,
}

impl Sender {
    /// Its number.
    pub const fn id(&self) -> SenderId {
        self.id
    }

    /// Index of its section.
    pub const fn section(&self) -> usize {
        self.section
    }

    /// What it carries.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The audio and the video sender of equal number are one `MediaStream` for the peer: they are played in
    /// synchrony.
    pub const fn pair(&self) -> u32 {
        self.pair
    }

    /// Its synchronization source.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The synchronization source of its retransmissions, when agreed to.
    pub const fn rtx_ssrc(&self) -> Option<Ssrc> {
        self.rtx
    }

    /// A random sequence number to begin with, below 2^15: a receiver that misses the first packets cannot take the
    /// rollover counter for another (RFC 3711 §3.3.1).
    pub const fn first_sequence(&self) -> u64 {
        self.first_sequence
    }
}

/// What was sent by one sender, and what the peer says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderStatistics {
    /// Packets sent, without retransmissions.
    pub packets: u64,
    /// Their payload, in bytes, without headers and padding.
    pub payload_bytes: u64,
    /// Retransmissions sent.
    pub retransmitted_packets: u64,
    /// Packets that the peer misses in all, as of its last report (RFC 3550 §6.4.1). Negative when there were
    /// duplicates.
    pub packets_lost: i32,
    /// Loss since the report before, in 1/256.
    pub fraction_lost: u8,
    /// The peer's estimate of the jitter.
    pub jitter: Duration,
    /// The round trip, from its last report.
    pub rtt: Option<Duration>,
}

/// All streams that we send.
#[derive(Debug)]
pub(crate) struct Senders {
    all: Vec<State>,
    by_ssrc: SsrcTable,
    /// The sender of each number in `by_ssrc`, and whether it is for retransmissions.
    of_number: Vec<(SenderId, bool)>,
    /// Those that sent something since the last regular report.
    active: Vec<SenderId>,
    /// Those for which a report is to be sent.
    due: Vec<SenderId>,
    /// When the first report of a sender was made last.
    introduced: Option<Instant>,
    /// The shortest round trip of live senders; asked for with each retransmission, so that it is not searched then.
    rtt: Option<Duration>,
}

#[derive(Debug)]
struct State {
    sender: Sender,
    /// False when the section was stopped: the number and its SSRCs are only kept so that they are not used again.
    live: bool,
    /// Whether the section's direction lets us send now.
    sending: bool,
    allow_mixed: bool,
    clock_rate: u32,
    handle: Option<StreamHandle>,
    rtx_handle: Option<StreamHandle>,
    /// The payload type of the retransmissions of each payload type, [`NONE`] where there is none.
    rtx_types: Box<[u8; 128]>,
    rtx_sequence: u64,
    /// A time and the timestamp at it, as the user set it.
    clock: Option<(Instant, u32)>,
    /// Time and timestamp of the last packet.
    last: Option<(Instant, u32)>,
    highest: u64,
    active: bool,
    due: bool,
    /// Whether a report was made.
    introduced: bool,
    reported: bool,
    /// What the last report said.
    last_report: Option<Reported>,
    /// The report of ours that the last one answered (LSR, RFC 3550 §6.4.1).
    answered: u32,
    /// The last FIR of the peer (RFC 5104 §4.3.1.2).
    fir: Option<u8>,
    statistics: SenderStatistics,
}

const NONE: u8 = 0xff;

/// The place of a datagram and its limits.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    pub(crate) out: &'a mut [u8],
    pub(crate) max_datagram: usize,
}

impl Senders {
    pub(crate) fn new(max_ssrcs: usize, key: [u8; 12]) -> Self {
        Self {
            all: Vec::new(),
            by_ssrc: SsrcTable::new(max_ssrcs, key),
            of_number: Vec::new(),
            active: Vec::new(),
            due: Vec::new(),
            introduced: None,
            rtt: None,
        }
    }

    /// The number that the next sender gets.
    pub(crate) fn next_id(&self) -> SenderId {
        SenderId(u32::try_from(self.all.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn get(&self, id: SenderId) -> Option<&Sender> {
        self.live(id).map(|state| &state.sender)
    }

    pub(crate) fn statistics(&self, id: SenderId) -> Option<&SenderStatistics> {
        self.live(id).map(|state| &state.statistics)
    }

    pub(crate) fn is_reported(&self, id: SenderId) -> bool {
        self.live(id).is_some_and(|state| state.reported)
    }

    fn live(&self, id: SenderId) -> Option<&State> {
        self.all.get(id.0 as usize).filter(|state| state.live)
    }

    fn live_mut(&mut self, id: SenderId) -> Option<&mut State> {
        self.all.get_mut(id.0 as usize).filter(|state| state.live)
    }

    /// Those that are not stopped.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Sender> {
        self.all.iter().filter(|state| state.live).map(|state| &state.sender)
    }

    /// The sender whose media (false) or retransmissions (true) have this SSRC, stopped ones too.
    pub(crate) fn by_ssrc(&self, ssrc: Ssrc) -> Option<(SenderId, bool)> {
        self.of_number.get(self.by_ssrc.get(ssrc)?).copied()
    }

    /// How many further SSRCs there is room for.
    pub(crate) fn vacancies(&self) -> usize {
        self.by_ssrc.vacancies()
    }

    /// Adds a sender that the answer announces. The caller has looked for [`vacancies`](Self::vacancies) and drawn
    /// SSRCs that nobody uses.
    pub(crate) fn add(&mut self, sender: Sender, clock_rate: u32, rtx_sequence: u64) {
        self.register(sender.id, sender.ssrc, false);
        if let Some(rtx) = sender.rtx {
            self.register(sender.id, rtx, true);
        }
        self.all.push(State {
            sender,
            live: true,
            sending: false,
            allow_mixed: false,
            clock_rate,
            handle: None,
            rtx_handle: None,
            rtx_types: Box::new([NONE; 128]),
            rtx_sequence,
            clock: None,
            last: None,
            highest: 0,
            active: false,
            due: false,
            introduced: false,
            reported: false,
            last_report: None,
            answered: 0,
            fir: None,
            statistics: SenderStatistics::default(),
        });
        // So that nothing is allocated later on.
        self.active.reserve(self.all.len());
        self.due.reserve(self.all.len());
    }

    /// Gives a sender the SSRC of its retransmissions, which a later offer has agreed to. It stays from then on.
    pub(crate) fn add_rtx(&mut self, id: SenderId, ssrc: Ssrc) {
        if let Some(state) = self.live_mut(id) {
            state.sender.rtx = Some(ssrc);
            self.register(id, ssrc, true);
        }
    }

    fn register(&mut self, id: SenderId, ssrc: Ssrc, rtx: bool) {
        if self.by_ssrc.insert(ssrc).is_some() {
            self.of_number.push((id, rtx));
        }
    }

    /// Takes over what was agreed to in its section.
    pub(crate) fn configure(&mut self, id: SenderId, section: &Section) {
        let Some(state) = self.live_mut(id) else { return };
        state.sending = section.direction.sends();
        state.allow_mixed = section.allow_mixed;
        state.rtx_types.fill(NONE);
        for format in &section.formats {
            let place = state.rtx_types.get_mut(usize::from(format.payload_type.0));
            if let (Some(place), Some(rtx)) = (place, format.rtx) {
                *place = rtx.0;
            }
        }
    }

    /// Ends a sender whose section was stopped.
    pub(crate) fn stop(&mut self, id: SenderId) {
        if let Some(state) = self.live_mut(id) {
            state.live = false;
            self.rtt = self.shortest_rtt();
        }
    }

    /// The SSRCs of all live senders that were used.
    pub(crate) fn used_ssrcs(&self) -> impl Iterator<Item = Ssrc> {
        self.all
            .iter()
            .filter(|state| state.live)
            .flat_map(State::used_ssrcs)
            .flatten()
    }

    /// Lets senders seal that cannot yet.
    pub(crate) fn attach(&mut self, sealer: &mut Sealer) {
        // The SSRCs are distinct and their number is bounded by the same configuration as the sealer's.
        let mut add = |ssrc: Ssrc| sealer.add_stream(ssrc.0).ok();
        for state in &mut self.all {
            state.handle = state.handle.or_else(|| add(state.sender.ssrc));
            state.rtx_handle = state.rtx_handle.or_else(|| add(state.sender.rtx?));
        }
    }

    pub(crate) fn set_clock(&mut self, id: SenderId, at: Instant, timestamp: u32) {
        if let Some(state) = self.live_mut(id) {
            state.clock = Some((at, timestamp));
        }
    }

    /// Writes and seals a packet of media. Returns its length.
    #[inline]
    pub(crate) fn write(
        &mut self,
        now: Instant,
        sealer: &mut Sealer,
        id: SenderId,
        header: &RtpOut<'_>,
        payload: &[&[u8]],
        room: Room<'_>,
    ) -> Result<usize, Blocked> {
        let state = self
            .all
            .get_mut(id.0 as usize)
            .filter(|state| state.live && state.sending);
        let state = state.ok_or(Blocked::NotSending)?;
        let handle = state.handle.ok_or(Blocked::NotConnected)?;
        let header = RtpOut {
            ssrc: state.sender.ssrc,
            ..*header
        };
        let (len, payload_len) = seal(sealer, handle, &header, state.allow_mixed, payload, room)?;
        let statistics = &mut state.statistics;
        let first = statistics.packets == 0;
        statistics.packets += 1;
        statistics.payload_bytes += payload_len as u64;
        state.highest = state.highest.max(header.sequence_number);
        state.last = Some((now, header.timestamp));
        if !state.active {
            state.active = true;
            self.active.push(id);
        }
        if first {
            // The receiver can place the stream beside others from the first report on.
            self.send_report(id);
        }
        Ok(len)
    }

    /// Writes and seals a retransmission (RFC 4588 §4). Returns its length.
    pub(crate) fn write_rtx(
        &mut self,
        sealer: &mut Sealer,
        id: SenderId,
        original: &RtpOut<'_>,
        payload: &[&[u8]],
        room: Room<'_>,
    ) -> Result<usize, Blocked> {
        /// A payload in more pieces than this is no payload of ours.
        const PIECES: usize = 8;
        let state = self
            .all
            .get_mut(id.0 as usize)
            .filter(|state| state.live && state.sending);
        let state = state.ok_or(Blocked::NotSending)?;
        let rtx = state.sender.rtx.ok_or(Blocked::NoRetransmission)?;
        let payload_type = state.rtx_types.get(usize::from(original.payload_type.0)).copied();
        let payload_type = payload_type.filter(|pt| *pt != NONE).ok_or(Blocked::NoRetransmission)?;
        let handle = state.rtx_handle.ok_or(Blocked::NotConnected)?;
        let header = RtpOut {
            ssrc: rtx,
            sequence_number: state.rtx_sequence,
            payload_type: PayloadType(payload_type),
            ..*original
        };
        let [.., high, low] = original.sequence_number.to_be_bytes();
        let osn = [high, low];
        let mut pieces: [&[u8]; PIECES + 1] = [&[]; PIECES + 1];
        let (first, rest) = pieces.split_first_mut().ok_or(Blocked::BadHeader)?;
        *first = &osn;
        rest.get_mut(..payload.len())
            .ok_or(Blocked::BadHeader)?
            .copy_from_slice(payload);
        let (len, _) = seal(sealer, handle, &header, state.allow_mixed, &pieces, room)?;
        state.rtx_sequence += 1;
        state.statistics.retransmitted_packets += 1;
        Ok(len)
    }

    /// Makes a report due.
    pub(crate) fn send_report(&mut self, id: SenderId) {
        let Some(state) = self.live_mut(id) else { return };
        // Without a packet there is no timestamp to report, unless the clock says it.
        if !state.due && (state.last.is_some() || state.clock.is_some()) {
            state.due = true;
            self.due.push(id);
        }
    }

    /// Makes the reports of all due that sent something since the last call.
    pub(crate) fn send_reports(&mut self) {
        while let Some(id) = self.active.pop() {
            if let Some(state) = self.live_mut(id) {
                state.active = false;
                self.send_report(id);
            }
        }
    }

    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// When the first report of a sender was made last.
    pub(crate) const fn introduced(&self) -> Option<Instant> {
        self.introduced
    }

    /// The next sender for which a report is due, and what the report says beside the wallclock time.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<DueReport> {
        while let Some(id) = self.due.pop() {
            let Some(state) = self.live_mut(id) else { continue };
            state.due = false;
            let first = !std::mem::replace(&mut state.introduced, true);
            let report = DueReport {
                ssrc: state.sender.ssrc,
                timestamp: state.timestamp(now),
                // The counts on the wire wrap.
                packet_count: state.statistics.packets as u32,
                octet_count: state.statistics.payload_bytes as u32,
            };
            if first {
                self.introduced = Some(now);
            }
            return Some(report);
        }
        None
    }

    /// The peer reported on an SSRC of ours, that of media or that of retransmissions. Gives how many packets of media
    /// it expected since its report before, and how many of those it lost.
    pub(crate) fn reported(
        &mut self,
        id: SenderId,
        block: &ReportBlock,
        rtt: Option<Duration>,
        rtx: bool,
    ) -> Option<(u32, u32)> {
        let state = self.live_mut(id).filter(|_| !rtx)?;
        let since = state.since_report(block);
        state.reported = true;
        state.statistics.packets_lost = block.cumulative_lost;
        state.statistics.fraction_lost = block.fraction_lost;
        state.statistics.jitter = Duration::from_secs_f64(f64::from(block.jitter) / f64::from(state.clock_rate));
        let Some(rtt) = rtt else { return since };
        let before = state.statistics.rtt.replace(rtt);
        self.rtt = match self.rtt {
            // It was the shortest and is longer now: perhaps another one is the shortest.
            Some(shortest) if rtt > shortest && before == Some(shortest) => self.shortest_rtt(),
            Some(shortest) => Some(shortest.min(rtt)),
            None => Some(rtt),
        };
        since
    }

    /// Whether a report on this sender answers another of ours than the one before it did. One that does not proves the
    /// way there of a while ago.
    pub(crate) fn is_new_answer(&mut self, id: SenderId, last_sr: u32) -> bool {
        self.live_mut(id)
            .is_some_and(|state| std::mem::replace(&mut state.answered, last_sr) != last_sr)
    }

    /// The shortest round trip of those that reports of live senders have proven.
    pub(crate) const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    fn shortest_rtt(&self) -> Option<Duration> {
        self.all
            .iter()
            .filter(|state| state.live)
            .filter_map(|state| state.statistics.rtt)
            .min()
    }

    /// Whether an FIR with this number is a new command and not the last one repeated (RFC 5104 §4.3.1.2).
    pub(crate) fn is_new_fir(&mut self, id: SenderId, number: u8) -> bool {
        self.live_mut(id)
            .is_some_and(|state| state.fir.replace(number) != Some(number))
    }

    /// Extends a sequence number of a packet that was sent: the highest such number not above the last one sent.
    pub(crate) fn extend(&self, id: SenderId, sequence: u16) -> Option<u64> {
        let highest = self.live(id)?.highest;
        let back = (highest as u16).wrapping_sub(sequence);
        highest.checked_sub(u64::from(back))
    }
}

/// What the last report on a sender said, and how things were when it came.
#[derive(Debug, Clone, Copy)]
struct Reported {
    highest: u32,
    lost: i32,
    /// How many numbers were left out of those up to the last one that was sent.
    unsent: i64,
    /// How many of those no report has been about yet.
    unreported: i64,
}

/// What a sender report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DueReport {
    pub(crate) ssrc: Ssrc,
    pub(crate) timestamp: u32,
    pub(crate) packet_count: u32,
    pub(crate) octet_count: u32,
}

impl State {
    fn used_ssrcs(&self) -> [Option<Ssrc>; 2] {
        let statistics = &self.statistics;
        let rtx = self.sender.rtx.filter(|_| statistics.retransmitted_packets > 0);
        [Some(self.sender.ssrc).filter(|_| statistics.packets > 0), rtx]
    }

    /// How many packets a report says that were expected since the one before, and how many of them were lost. Nothing
    /// for one that was overtaken by a later one; duplicates make no loss, nor do numbers that were never sent:
    /// somebody who forwards leaves those free that it lacks itself.
    fn since_report(&mut self, block: &ReportBlock) -> Option<(u32, u32)> {
        let numbers = self.highest.wrapping_sub(self.sender.first_sequence).cast_signed();
        let unsent = numbers.wrapping_sub(self.statistics.packets.cast_signed());
        let mut now = Reported {
            highest: block.highest_sequence,
            lost: block.cumulative_lost,
            unsent,
            unreported: 0,
        };
        let Some(before) = self.last_report else {
            self.last_report = Some(now);
            return None;
        };
        let expected = u32::try_from(now.highest.wrapping_sub(before.highest).cast_signed()).ok()?;
        let missed = i64::from(now.lost) - i64::from(before.lost);
        let unsent = unsent.wrapping_sub(before.unsent);
        let lost = missed.saturating_sub(unsent).saturating_sub(before.unreported);
        // What was never sent since, but lies behind what this report is about, is missed in the next one. Duplicates,
        // which a receiver takes for the contrary of a loss, are not carried over.
        let in_flight = (self.highest as u16).wrapping_sub(block.highest_sequence as u16);
        let most = before
            .unreported
            .saturating_add(unsent.max(0))
            .min(i64::from(in_flight));
        now.unreported = lost.min(0).saturating_neg().min(most);
        self.last_report = Some(now);
        let lost = u32::try_from(lost.max(0)).unwrap_or(u32::MAX);
        (expected > 0).then_some((expected, lost.min(expected)))
    }

    /// The RTP timestamp at `now`, by the clock that was set, else by the last packet.
    fn timestamp(&self, now: Instant) -> u32 {
        let Some((at, timestamp)) = self.clock.or(self.last) else {
            return 0;
        };
        let ticks = |time: Duration| (time.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000) as u32;
        match now.checked_duration_since(at) {
            Some(since) => timestamp.wrapping_add(ticks(since)),
            None => timestamp.wrapping_sub(ticks(at.saturating_duration_since(now))),
        }
    }
}

/// Lays header, payload and padding into the room and seals them there. Returns the length of the packet and of its
/// payload.
#[inline]
fn seal(
    sealer: &mut Sealer,
    handle: StreamHandle,
    header: &RtpOut<'_>,
    allow_mixed: bool,
    payload: &[&[u8]],
    Room { out, max_datagram }: Room<'_>,
) -> Result<(usize, usize), Blocked> {
    let header_len = header.write(allow_mixed, out).map_err(|error| match error {
        HeaderError::Full if out.len() >= max_datagram => Blocked::TooLarge { size: out.len() + 1 },
        HeaderError::Full => Blocked::NoRoom { needed: max_datagram },
        _ => Blocked::BadHeader,
    })?;
    let payload_len = payload.iter().map(|piece| piece.len()).sum::<usize>();
    let plain = header_len + payload_len + usize::from(header.padding);
    let size = plain + sealer.rtp_overhead();
    // In this order: what is too large stays so, whatever room is given the next time.
    if size > max_datagram {
        return Err(Blocked::TooLarge { size });
    }
    let no_room = Blocked::NoRoom { needed: size };
    if size > out.len() {
        return Err(no_room);
    }
    let mut end = header_len;
    for piece in payload {
        let place = out.get_mut(end..end + piece.len()).ok_or(no_room)?;
        place.copy_from_slice(piece);
        end += piece.len();
    }
    if header.padding != 0 {
        let rest = out.get_mut(end..).unwrap_or_default();
        end += header.put_padding(rest).map_err(|_| no_room)?;
    }
    let sealed = sealer.seal_rtp(handle, header.sequence_number, header_len, out, end - header_len);
    match sealed {
        Ok(len) => Ok((len, payload_len)),
        Err(SealError::IndexReused) => Err(Blocked::IndexReused),
        Err(SealError::NoRoom) => Err(no_room),
        Err(_) => Err(Blocked::BadHeader),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn senders(count: u32) -> Senders {
        let mut senders = Senders::new(100, [7; 12]);
        for n in 0..count {
            let sender = Sender {
                id: senders.next_id(),
                section: 0,
                kind: Kind::Video,
                pair: n,
                ssrc: Ssrc(n + 1),
                rtx: None,
                first_sequence: 0,
            };
            senders.add(sender, 90_000, 0);
        }
        senders
    }

    #[test]
    fn reports_tell_what_was_lost_since_the_one_before() {
        let mut senders = senders(1);
        let mut report = |highest_sequence: u32, cumulative_lost: i32, rtx: bool| {
            let block = ReportBlock {
                ssrc: Ssrc(1),
                fraction_lost: 0,
                cumulative_lost,
                highest_sequence,
                jitter: 0,
                last_sr: 0,
                delay_since_last_sr: 0,
            };
            senders.reported(SenderId(0), &block, None, rtx)
        };
        assert_eq!(
            report(0xffff_ff00, 7, false),
            None,
            "there is nothing to compare it with"
        );
        assert_eq!(report(0xffff_ff64, 27, false), Some((100, 20)));
        assert_eq!(report(0xffff_ff40, 8, false), None, "overtaken");
        assert_eq!(report(0xffff_ff64, 27, false), None, "nothing was sent");
        assert_eq!(report(5, 0, true), None, "of retransmissions");
        assert_eq!(report(0, 20, false), Some((156, 0)), "duplicates came");
        assert_eq!(report(10, i32::MAX, false), Some((10, 10)));
    }

    #[test]
    fn numbers_that_were_never_sent_are_not_lost() {
        let mut senders = senders(1);
        let mut report = |highest: u64, packets: u64, cumulative_lost: i32| {
            // Numbers are extended as SRTP extends them; the report's are the receiver's own.
            let state = &mut senders.all[0];
            (state.highest, state.statistics.packets) = (highest, packets);
            let block = ReportBlock {
                ssrc: Ssrc(1),
                fraction_lost: 0,
                cumulative_lost,
                highest_sequence: highest as u32,
                jitter: 0,
                last_sr: 0,
                delay_since_last_sr: 0,
            };
            senders.reported(SenderId(0), &block, None, false)
        };
        assert_eq!(report(99, 100, 0), None);
        assert_eq!(
            report(199, 170, 40),
            Some((100, 10)),
            "thirty were not there to be sent"
        );
        assert_eq!(report(299, 300, 10), Some((100, 0)), "and came late, all of them");
    }

    #[test]
    fn numbers_that_were_never_sent_are_not_lost_on_a_long_way_either() {
        let mut senders = senders(1);
        // A hundred packets a second, of which every fifth of some seconds is lost before it comes to us; and one that
        // is lost on the way to the receiver, whose reports come 200 ms late.
        let sent = |n: u64| !n.is_multiple_of(5) || (n / 300).is_multiple_of(2);
        let arrives = |n: u64| sent(n) && n != 1234;
        let mut told = Vec::new();
        for second in 1..30 {
            let (highest, seen) = (second * 100, second * 100 - 21);
            let count = |end, is: &dyn Fn(u64) -> bool| (0..=end).filter(|&n| is(n)).count() as u64;
            let state = &mut senders.all[0];
            (state.highest, state.statistics.packets) = (highest, count(highest, &sent));
            let last = (0..=seen).rev().find(|&n| arrives(n)).unwrap();
            let block = ReportBlock {
                ssrc: Ssrc(1),
                fraction_lost: 0,
                cumulative_lost: (last + 1 - count(last, &arrives)) as i32,
                highest_sequence: last as u32,
                jitter: 0,
                last_sr: 0,
                delay_since_last_sr: 0,
            };
            told.extend(senders.reported(SenderId(0), &block, None, false));
        }
        let lost: Vec<u32> = told.iter().map(|(_, lost)| *lost).collect();
        assert_eq!(lost.iter().sum::<u32>(), 1, "{lost:?}");
        assert_eq!(lost.len(), 28);
    }

    proptest! {
        #[test]
        fn the_shortest_round_trip_of_those_that_live_is_known(
            steps in proptest::collection::vec((0u32..4, proptest::option::of(1u64..5), 0u8..10), 0..40),
        ) {
            let mut senders = senders(4);
            for (id, rtt, dice) in steps {
                let id = SenderId(id);
                if dice == 0 {
                    senders.stop(id);
                } else {
                    let block = ReportBlock {
                        ssrc: Ssrc(id.0 + 1),
                        fraction_lost: 0,
                        cumulative_lost: 0,
                        highest_sequence: 0,
                        jitter: 0,
                        last_sr: 0,
                        delay_since_last_sr: 0,
                    };
                    senders.reported(id, &block, rtt.map(Duration::from_millis), false);
                }
                prop_assert_eq!(senders.rtt(), senders.shortest_rtt());
            }
        }
    }
}
