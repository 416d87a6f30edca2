use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use peer::{Kind, StreamId};
use wire::Unwrapper;

/// A packet is not taken to be from later than this after its arrival, as far as arrival alone tells.
const LEAD: Duration = Duration::from_millis(50);
/// Nor from earlier than this before the arrival of those packets that were fastest.
const LAG: Duration = Duration::from_millis(200);
/// The same bounds when sender reports and the clock of another source tell: a camera may take that much less time than
/// a microphone from taking to sending, or that much more.
const LEAD_BY_REPORT: Duration = Duration::from_millis(150);
const LAG_BY_REPORT: Duration = Duration::from_secs(2);
/// Sound is moved for a deviation from here on: moving it back costs packets, and 80 ms are what ears forgive.
const AUDIO_STEP: Duration = Duration::from_millis(30);
/// Pictures are moved for a deviation from here on.
const VIDEO_STEP: Duration = Duration::from_millis(10);
/// A publisher whose timestamps fall behind by more than this, or run ahead of arrival by more than that, has begun a
/// new count.
const MAX_BEHIND: Duration = Duration::from_secs(5);
const MAX_AHEAD: Duration = Duration::from_secs(1);
/// In decoding order the timestamps of pictures go back by less than this (those that are predicted from later ones
/// come after these). Those of sound never go back.
const MAX_REORDER: Duration = Duration::from_secs(1);
/// The fastest packet is looked for over one to two of these.
const WINDOW: Duration = Duration::from_secs(1);
/// Distance of the first packet of a new count, or of another source, from what was before.
pub(crate) const SPACING: Duration = Duration::from_millis(20);
/// How many moves are remembered for packets that come late, a second after they were lost perhaps: each picture may be
/// moved.
const REMEMBERED: usize = 64;

/// Ticks of a clock of `rate` Hz from one instant to another, negative when that is earlier.
pub(crate) fn ticks(rate: NonZeroU32, from: Instant, to: Instant) -> i64 {
    match to.checked_duration_since(from) {
        Some(later) => duration_ticks(rate, later),
        None => -duration_ticks(rate, from.saturating_duration_since(to)),
    }
}

/// Ticks of a clock of `rate` Hz in a duration.
pub(crate) fn duration_ticks(rate: NonZeroU32, duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() * u128::from(rate.get()) / 1_000_000_000).unwrap_or(i64::MAX / 4)
}

/// The place of a source's packets in server time: what its timestamps are in ticks after an epoch of its own.
///
/// It is the source's, so that all slots that carry it move together. Packets are placed by arrival at first, later by
/// sender reports, and never far from their arrival whatever those say. In the order in which the publisher sent them
/// places only grow, since a receiver throws sound away that is placed before what it has played, and takes a picture
/// placed before another for an old one: the timeline is moved forward at once, but back only in steps of half a
/// picture; where sound goes back, or in a pause of it, packets are left out until the new place is past the old one.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    media: Kind,
    rate: NonZeroU32,
    epoch: Instant,
    extended: Unwrapper,
    /// `None` until the first packet of the publisher's present count.
    newest: Option<Newest>,
    /// The greatest place given, in all counts.
    last: Option<i64>,
    /// What is added to extended timestamps now, and what should be.
    offset: i64,
    target: i64,
    /// Whether it is moving towards the target in steps.
    moving: bool,
    guide: Guide,
    /// What the fastest packets of this window and of the one before would add.
    fastest: [i64; 2],
    window: i64,
    /// The smallest distance of two packets of sound so far: what one of them lasts.
    packet: i64,
    /// The last moves, newest first: the extended timestamp from which on, and the offset before.
    moves: [Option<(i64, i64)>; REMEMBERED],
}

/// What tells where the packets of a count belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guide {
    /// Their arrival.
    Arrival,
    /// Sender reports, by the source's own place.
    Itself,
    /// Sender reports, by the clock of another source of the same publisher.
    Another,
}

/// The newest packet: its extended timestamp, its place and its arrival in ticks after the epoch.
#[derive(Debug, Clone, Copy)]
struct Newest {
    extended: i64,
    placed: i64,
    arrival: i64,
}

impl Timeline {
    /// One whose ticks count from `epoch`.
    pub(crate) const fn new(media: Kind, rate: NonZeroU32, epoch: Instant) -> Self {
        Self {
            media,
            rate,
            epoch,
            extended: Unwrapper::new(),
            newest: None,
            last: None,
            offset: 0,
            target: 0,
            moving: false,
            guide: Guide::Arrival,
            fastest: [0; 2],
            window: 0,
            packet: i64::MAX,
            moves: [None; REMEMBERED],
        }
    }

    /// The instant from which places count.
    pub(crate) const fn epoch(&self) -> Instant {
        self.epoch
    }

    /// The publisher begins a new count with its next packet.
    pub(crate) const fn begin_anew(&mut self) {
        self.newest = None;
    }

    /// The place of a packet, in ticks after the epoch. `newer` tells that it comes after all before in the publisher's
    /// order. `None` when it has no place of its own (any more): it is to be left out.
    pub(crate) fn place(&mut self, arrival: Instant, timestamp: u32, marker: bool, newer: bool) -> Option<i64> {
        let arrival = ticks(self.rate, self.epoch, arrival);
        let Some(newest) = self.newest else {
            return self.begin(arrival, timestamp);
        };
        let extended = self.extended.peek(timestamp).cast_signed();
        if !newer {
            let placed = (extended + self.offset_at(extended)).min(newest.placed);
            // Further back it is of the count before.
            return (placed >= newest.placed - self.ticks(MAX_BEHIND)).then_some(placed);
        }
        let step = extended - newest.extended;
        let ahead = extended + self.offset - arrival;
        let back = match self.media {
            Kind::Audio => 0,
            _ => self.ticks(MAX_REORDER),
        };
        if ahead > self.ticks(MAX_AHEAD) || ahead < -self.ticks(MAX_BEHIND) || step < -back {
            return self.begin(arrival, timestamp);
        }
        self.extended.unwrap(timestamp);
        self.follow_arrival(arrival, extended);
        let placed = match (self.media, step > 0) {
            (Kind::Audio, true) => self.place_sound(&newest, extended, marker)?,
            (Kind::Audio, false) => return None,
            (_, true) => self.place_picture(extended, step),
            // Of the same picture, or of one that is shown before those that it was sent after.
            (_, false) => return Some((extended + self.offset_at(extended)).min(newest.placed)),
        };
        self.newest = Some(Newest {
            extended,
            placed,
            arrival,
        });
        self.last = self.last.max(Some(placed));
        Some(placed)
    }

    /// The extended timestamp of a sender report, if it goes with those of the packets.
    pub(crate) fn reported(&self, now: Instant, timestamp: u32) -> Option<i64> {
        let newest = self.newest?;
        let extended = self.extended.peek(timestamp).cast_signed();
        let expected = newest.extended + ticks(self.rate, self.epoch, now) - newest.arrival;
        ((extended - expected).abs() <= self.ticks(MAX_BEHIND)).then_some(extended)
    }

    /// Whether anything can be reported yet.
    pub(crate) const fn has_begun(&self) -> bool {
        self.newest.is_some()
    }

    /// The server time of an extended timestamp as places are now. From now on others are placed by this source.
    fn lead(&mut self, extended: i64) -> Option<Instant> {
        self.guide = Guide::Itself;
        self.instant(extended + self.offset)
    }

    /// A report and the publisher's clock tell that an extended timestamp is at the server time `at`. Returns the time
    /// that it is taken for: `at`, unless that is too far from when packets arrive. `leads` when the clock is this
    /// source's.
    fn follow_report(&mut self, extended: i64, at: Instant, leads: bool) -> Option<Instant> {
        self.guide = if leads { Guide::Itself } else { Guide::Another };
        let told = ticks(self.rate, self.epoch, at) - extended;
        self.target = self.bounded(told);
        if self.target == told {
            Some(at)
        } else {
            self.instant(extended + self.target)
        }
    }

    /// The first packet of a count: its arrival is its place, if that is past all places before. `None` while these are
    /// so far ahead that it has to wait: who begins anew with every packet would run ahead of time without end, and who
    /// comes into the slots after them would not be heard until then.
    fn begin(&mut self, arrival: i64, timestamp: u32) -> Option<i64> {
        let after = self.last.map(|last| last + self.ticks(SPACING));
        let placed = after.map_or(arrival, |after| after.max(arrival));
        if placed > arrival + self.ticks(MAX_AHEAD) {
            return None;
        }
        self.extended = Unwrapper::new();
        let extended = self.extended.unwrap(timestamp).cast_signed();
        self.offset = placed - extended;
        self.target = arrival - extended;
        self.moving = placed != arrival;
        self.guide = Guide::Arrival;
        self.fastest = [self.target; 2];
        self.window = arrival;
        self.packet = i64::MAX;
        self.moves = [None; REMEMBERED];
        self.newest = Some(Newest {
            extended,
            placed,
            arrival,
        });
        self.last = Some(placed);
        Some(placed)
    }

    /// Keeps the target within what the fastest packets of late allow.
    fn follow_arrival(&mut self, arrival: i64, extended: i64) {
        let own = arrival - extended;
        let windows = (arrival - self.window) / self.ticks(WINDOW);
        match windows {
            ..=0 => self.fastest[0] = self.fastest[0].min(own),
            1 => self.fastest = [own, self.fastest[0]],
            _ => self.fastest = [own; 2],
        }
        if windows > 0 {
            self.window = arrival;
        }
        self.target = self.bounded(self.target);
    }

    fn bounded(&self, offset: i64) -> i64 {
        let fastest = self.fastest[0].min(self.fastest[1]);
        let (lag, lead) = match (self.guide, self.media) {
            (Guide::Another, _) => (LAG_BY_REPORT, LEAD_BY_REPORT),
            (Guide::Itself, _) | (Guide::Arrival, Kind::Audio) => (LAG, LEAD),
            // The first picture, a large one that an encoder had to get ready for, is some 50 ms later than others.
            (Guide::Arrival, _) => (LAG, Duration::ZERO),
        };
        offset.clamp(fastest - self.ticks(lag), fastest + self.ticks(lead))
    }

    /// A new picture, `step` after the newest one.
    fn place_picture(&mut self, extended: i64, step: i64) -> i64 {
        let wanted = self.target - self.offset;
        if self.moving || wanted.abs() >= self.ticks(VIDEO_STEP) {
            let by = wanted.max(-(step / 2));
            self.moving = by != wanted;
            self.move_by(extended, by);
        }
        extended + self.offset
    }

    /// A packet of sound after the newest one. `None` while the timeline has gone back behind that.
    fn place_sound(&mut self, newest: &Newest, extended: i64, marker: bool) -> Option<i64> {
        let step = extended - newest.extended;
        let free = newest.placed + step.min(self.packet);
        self.packet = self.packet.min(step);
        let wanted = self.target - self.offset;
        if wanted.abs() >= self.ticks(AUDIO_STEP) {
            self.move_by(extended, wanted);
        } else if marker {
            // After a pause (RFC 3551 §4.1) nobody hears it: as far as the pause is long.
            let room = (free - extended - self.offset).min(0);
            self.move_by(extended, wanted.max(room));
        }
        let placed = extended + self.offset;
        (placed >= free).then_some(placed)
    }

    /// Adds to the offset, for timestamps from `from` on.
    fn move_by(&mut self, from: i64, by: i64) {
        if by != 0 {
            self.moves.copy_within(..REMEMBERED - 1, 1);
            self.moves[0] = Some((from, self.offset));
            self.offset += by;
        }
    }

    /// The offset with which others of this timestamp were placed.
    fn offset_at(&self, extended: i64) -> i64 {
        let later = self.moves.iter().flatten().take_while(|(from, _)| *from > extended);
        later.last().map_or(self.offset, |(_, before)| *before)
    }

    fn instant(&self, place: i64) -> Option<Instant> {
        let nanos = (u128::from(place.unsigned_abs()) * 1_000_000_000).div_ceil(u128::from(self.rate.get()));
        let distance = Duration::from_nanos(u64::try_from(nanos).ok()?);
        if place >= 0 {
            self.epoch.checked_add(distance)
        } else {
            self.epoch.checked_sub(distance)
        }
    }

    fn ticks(&self, duration: Duration) -> i64 {
        duration_ticks(self.rate, duration)
    }
}

/// A publisher's wall clock in server time, by which all its sources are placed, so that sound and picture go together.
///
/// It is set by one source, sound if there is any: where that is when its first sender report comes it stays, and the
/// others move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WallClock {
    /// The stream that leads.
    pub(crate) leader: StreamId,
    ntp: u64,
    at: Instant,
}

impl WallClock {
    /// The clock that shows `ntp` (32.32 bit seconds) at the server time `at`.
    const fn new(leader: StreamId, ntp: u64, at: Instant) -> Self {
        Self { leader, ntp, at }
    }

    /// A sender report says that the publisher's clock shows `ntp` at an extended timestamp of this stream: the source
    /// is placed by `clock`, and the clock by the source that leads. Without a clock this source begins to lead.
    /// Returns the clock as it is from now on.
    pub(crate) fn follow_report(
        clock: Option<Self>,
        stream: StreamId,
        timeline: &mut Timeline,
        extended: i64,
        ntp: u64,
    ) -> Option<Self> {
        let Some(clock) = clock else {
            return timeline.lead(extended).map(|at| Self::new(stream, ntp, at));
        };
        let leads = clock.leader == stream;
        let at = clock.instant(ntp)?;
        let taken = timeline.follow_report(extended, at, leads)?;
        // Where the leader cannot be where its clock says, the clock is wrong: clocks drift.
        Some(if leads && taken != at {
            Self::new(stream, ntp, taken)
        } else {
            clock
        })
    }

    /// The server time at which it shows `ntp`.
    fn instant(&self, ntp: u64) -> Option<Instant> {
        let ahead = ntp.wrapping_sub(self.ntp).cast_signed();
        let nanos = (u128::from(ahead.unsigned_abs()) * 1_000_000_000) >> 32;
        let distance = Duration::from_nanos(u64::try_from(nanos).ok()?);
        if ahead >= 0 {
            self.at.checked_add(distance)
        } else {
            self.at.checked_sub(distance)
        }
    }
}

#[cfg(test)]
mod tests;
