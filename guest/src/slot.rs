use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::pace::Pace;
use crate::pictures::{Head, Pictures};
use crate::report::SlotReport;

/// A section that receives, and what is wrong with what comes in it.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) report: SlotReport,
    /// The highest sequence number, and the timestamp that came with it.
    newest: Option<(u64, u32)>,
    /// Numbers below that did not come yet, and when each was noticed: never later than a higher one.
    open: BTreeMap<u64, Instant>,
    pace: Pace,
    pictures: Pictures,
    /// The slot has changed hands: nothing of the new picture came yet.
    fresh: bool,
    key_frame: Option<KeyFrame>,
    /// When the first key frame was complete that came while the slot was nobody's.
    early: Option<Instant>,
    pub(crate) last_packet: Option<Instant>,
}

/// A key frame of which not everything is here.
#[derive(Debug)]
struct KeyFrame {
    timestamp: u32,
    first: u64,
    last: Option<u64>,
    packets: u64,
}

/// A received packet, as far as it is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) repair: bool,
    /// A key frame begins in it.
    pub(crate) key_frame: bool,
    /// Ticks of its timestamp in a second.
    pub(crate) clock_rate: u32,
    /// What a packet of VP8 says of its picture.
    pub(crate) head: Option<Head>,
}

/// More numbers than these are no loss that could be repaired.
const MAX_OPEN: usize = 4096;
/// So long after it was noticed each missing number may be repaired; then it is a loss.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many pictures that do not follow the one before are told one by one.
const MAX_STRANGE: usize = 8;

impl Slot {
    /// Takes what the server says about who is in it. When the first picture of that participant came, if it came
    /// before the word: that goes another way than media, and on a busy machine takes longer.
    pub(crate) fn assign(&mut self, participant: Option<String>, name: Option<String>) -> Option<Instant> {
        let before = std::mem::replace(&mut self.report.participant, participant);
        self.report.name = name;
        if self.report.participant == before {
            return None;
        }
        // The voices of two people within a moment are not two voices at once.
        self.last_packet = None;
        let early = self.early.take();
        if before.is_none() {
            // What has begun already was looked at then.
            self.fresh = early.is_none() && self.key_frame.is_none();
            return early;
        }
        self.fresh = self.report.participant.is_some();
        self.key_frame = None;
        None
    }

    /// Takes a packet. True when it completes the first key frame of somebody's picture.
    pub(crate) fn take(&mut self, now: Instant, packet: Received) -> bool {
        self.report.packets += 1;
        self.report.repaired += u64::from(packet.repair);
        self.last_packet = Some(now);
        self.give_up(now);
        match self.newest {
            Some((newest, timestamp)) if packet.sequence > newest => {
                self.miss(now, newest, packet.sequence);
                // Serial numbers (RFC 3550 §5.1): half of the circle is behind.
                if packet.timestamp.wrapping_sub(timestamp) > u32::MAX / 2 {
                    self.report.backwards += 1;
                }
                self.follow_pace(now, packet);
            }
            Some(_) => {
                self.open.remove(&packet.sequence);
            }
            None => self.follow_pace(now, packet),
        }
        if let Some(head) = packet.head {
            self.pictures.take(packet.sequence, head);
        }
        self.look();
        if self.report.video {
            self.report.frames += u64::from(packet.marker);
            self.follow_key_frame(now, packet)
        } else {
            self.report.frames += 1;
            false
        }
    }

    /// The numbers between two did not come yet.
    fn miss(&mut self, now: Instant, newest: u64, sequence: u64) {
        let gap = sequence - newest - 1;
        let first = sequence - gap.min(MAX_OPEN as u64);
        self.report.missing += first - newest - 1;
        self.open.extend((first..sequence).map(|number| (number, now)));
        while self.open.len() > MAX_OPEN {
            self.open.pop_first();
            self.report.missing += 1;
        }
    }

    fn follow_pace(&mut self, now: Instant, packet: Received) {
        self.newest = Some((packet.sequence, packet.timestamp));
        let (video, rate) = (self.report.video, packet.clock_rate);
        let leaps = self.pace.runs_ahead(now, packet.timestamp, rate, video);
        self.report.leaps += u64::from(leaps);
    }

    fn follow_key_frame(&mut self, now: Instant, packet: Received) -> bool {
        if self.fresh {
            self.fresh = false;
            if !packet.key_frame && !packet.repair {
                self.report.without_key_frame += 1;
            }
        }
        if packet.key_frame {
            self.key_frame = Some(KeyFrame {
                timestamp: packet.timestamp,
                first: packet.sequence,
                last: None,
                packets: 0,
            });
        }
        let Some(frame) = &mut self.key_frame else { return false };
        if frame.timestamp != packet.timestamp || packet.sequence < frame.first {
            return false;
        }
        frame.packets += 1;
        if packet.marker {
            frame.last = Some(packet.sequence);
        }
        let complete = frame.last.is_some_and(|last| frame.packets == last + 1 - frame.first);
        if complete {
            self.key_frame = None;
            if self.report.participant.is_none() {
                self.early.get_or_insert(now);
            }
        }
        complete
    }

    /// Time has passed without a packet.
    pub(crate) fn settle(&mut self, now: Instant) {
        self.give_up(now);
        self.look();
    }

    /// Looks at the numbers that are missing, and at the pictures in front of them.
    fn look(&mut self) {
        self.report.open = self.open.len() as u64;
        let first = self.open.first_key_value();
        let report = &mut self.report;
        self.pictures.settle(first.map(|(number, _)| *number), |strange| {
            report.strange_pictures += 1;
            if report.strange.len() < MAX_STRANGE {
                report.strange.push(strange);
            }
        });
    }

    /// Gives up what is missing for too long.
    fn give_up(&mut self, now: Instant) {
        while let Some(number) = self.open.first_entry()
            && now >= *number.get() + PATIENCE
        {
            number.remove();
            self.report.missing += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;

    fn packet(sequence: u64, timestamp: u32) -> Received {
        Received {
            sequence,
            timestamp,
            marker: false,
            repair: false,
            key_frame: false,
            clock_rate: 90_000,
            head: None,
        }
    }

    fn slot() -> Slot {
        let mut slot = Slot::default();
        slot.report.video = true;
        slot
    }

    #[test]
    fn a_gap_is_counted_unless_it_is_repaired_in_time() {
        let now = Instant::now();
        let mut slot = slot();
        for sequence in [1, 2, 5] {
            slot.take(now, packet(sequence, 0));
        }
        slot.take(
            now,
            Received {
                repair: true,
                ..packet(3, 0)
            },
        );
        slot.settle(now + Duration::from_secs(1));
        assert_eq!((slot.report.missing, slot.report.open, slot.report.repaired), (0, 1, 1));
        slot.settle(now + Duration::from_secs(2));
        assert_eq!((slot.report.missing, slot.report.open), (1, 0));
        slot.settle(now + Duration::from_secs(9));
        assert_eq!(slot.report.missing, 1);
    }

    #[test]
    fn each_missing_number_has_a_time_of_its_own() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut slot = slot();
        slot.take(start, packet(1, 0));
        // Four gaps one after the other: the later ones do not go with the first, nor does that wait for them.
        for n in 1..5 {
            slot.take(at(100 * n), packet(1 + 2 * n, 0));
        }
        slot.settle(at(2099));
        assert_eq!((slot.report.missing, slot.report.open), (0, 4));
        slot.settle(at(2100));
        assert_eq!((slot.report.missing, slot.report.open), (1, 3));
        // The second is filled in the last moment, the third a moment too late.
        slot.take(at(2199), packet(4, 0));
        slot.take(at(2300), packet(6, 0));
        assert_eq!((slot.report.missing, slot.report.open), (2, 1));
        // Who leaves now does not know of the last one.
        slot.settle(at(2399));
        assert_eq!((slot.report.missing, slot.report.open), (2, 1));
        slot.settle(at(2400));
        assert_eq!((slot.report.missing, slot.report.open), (3, 0));
    }

    #[test]
    fn time_does_not_leap_ahead() {
        let start = Instant::now();
        let mut slot = slot();
        for (n, ms) in [(1, 0), (2, 4000), (3, 9200), (4, 13_200)] {
            slot.take(start + Duration::from_secs(4 * n), packet(n, ms * 90));
        }
        assert_eq!((slot.report.leaps, slot.report.backwards), (1, 0));
        // The same in another clock.
        let mut slot = Slot::default();
        for (n, ms) in [(1, 0), (2, 4000), (3, 9100), (4, 13_100)] {
            let sound = Received {
                clock_rate: 48_000,
                ..packet(n, ms * 48)
            };
            slot.take(start + Duration::from_secs(4 * n), sound);
        }
        assert_eq!(slot.report.leaps, 1);
    }

    #[test]
    fn picture_ids_go_on_when_a_slot_changes_hands() {
        let now = Instant::now();
        let vp8 = |sequence, timestamp, picture: u8| Received {
            head: Some(Head::new(timestamp, &[0x90, 0x80, picture, 0])),
            ..packet(sequence, timestamp)
        };
        let mut slot = slot();
        slot.assign(Some("a".into()), None);
        for n in 1..5 {
            slot.take(now, vp8(u64::from(n), u32::from(n), n));
        }
        slot.assign(Some("b".into()), None);
        slot.take(now, vp8(5, 5, 5));
        assert_eq!(slot.report.strange_pictures, 0);
        // Those of another source as they are.
        slot.assign(Some("c".into()), None);
        slot.take(now, vp8(6, 6, 99));
        assert_eq!(slot.report.strange_pictures, 1);
        // Behind a gap nothing is said until that is filled, or given up.
        slot.take(now, vp8(8, 8, 107));
        slot.settle(now + Duration::from_secs(1));
        assert_eq!(slot.report.strange_pictures, 1);
        slot.settle(now + Duration::from_secs(2));
        assert_eq!(slot.report.strange_pictures, 2);
        // Each is told, as long as they are few.
        assert_eq!(slot.report.strange.len(), 2);
        for n in 9..30 {
            slot.take(now, vp8(n, 2 * n as u32, 0));
        }
        assert_eq!(slot.report.strange_pictures, 23);
        assert_eq!(slot.report.strange.len(), MAX_STRANGE);
        let report = Report {
            slots: vec![slot.report],
            ..Report::default()
        };
        let told = report
            .complaints()
            .into_iter()
            .filter(|text| text.contains("then packet"));
        assert_eq!(told.count(), MAX_STRANGE);
    }

    #[test]
    fn a_leap_is_bounded() {
        let now = Instant::now();
        let mut slot = slot();
        slot.take(now, packet(1, 0));
        slot.take(now, packet(1 << 40, 0));
        let missing = (1 << 40) - 2 - MAX_OPEN as u64;
        assert_eq!((slot.open.len(), slot.report.missing), (MAX_OPEN, missing));
        slot.take(now, packet((1 << 40) + 100, 0));
        assert_eq!((slot.open.len(), slot.report.missing), (MAX_OPEN, missing + 99));
    }

    #[test]
    fn time_does_not_go_back() {
        let now = Instant::now();
        let mut slot = slot();
        slot.take(now, packet(1, u32::MAX));
        slot.take(now, packet(2, 5));
        assert_eq!(slot.report.backwards, 0);
        slot.take(now, packet(3, 4));
        assert_eq!(slot.report.backwards, 1);
        // What is late may be older.
        slot.take(now, packet(5, 9));
        slot.take(now, packet(4, 6));
        assert_eq!(slot.report.backwards, 1);
    }

    #[test]
    fn somebodys_picture_begins_with_a_whole_key_frame() {
        let now = Instant::now();
        let mut slot = slot();
        slot.assign(Some("a".into()), None);
        let key = Received {
            key_frame: true,
            ..packet(10, 7)
        };
        assert!(!slot.take(now, key));
        let end = Received {
            marker: true,
            ..packet(12, 7)
        };
        assert!(!slot.take(now, end));
        assert!(slot.take(
            now,
            Received {
                repair: true,
                ..packet(11, 7)
            }
        ));
        assert_eq!(slot.report.without_key_frame, 0);
        slot.assign(Some("b".into()), None);
        assert!(!slot.take(now, packet(13, 8)));
        assert_eq!(slot.report.without_key_frame, 1);
    }

    #[test]
    fn a_picture_may_come_before_the_word_of_whose_it_is() {
        let now = Instant::now();
        let later = now + Duration::from_millis(100);
        let key = |sequence| Received {
            key_frame: true,
            marker: true,
            ..packet(sequence, 7)
        };
        let mut slot = slot();
        assert!(slot.take(now, key(10)));
        assert!(!slot.take(later, packet(11, 8)));
        assert_eq!(slot.assign(Some("a".into()), None), Some(now));
        slot.take(later, packet(12, 9));
        assert_eq!(slot.report.without_key_frame, 0);

        // The last packets of somebody who has left begin nothing, and the next one has to.
        slot.assign(None, None);
        slot.take(later, packet(13, 10));
        assert_eq!(slot.assign(Some("b".into()), None), None);
        assert_eq!(slot.report.without_key_frame, 0);
        slot.take(later, packet(14, 11));
        assert_eq!(slot.report.without_key_frame, 1);

        // Half of a key frame has come.
        slot.assign(None, None);
        slot.take(
            later,
            Received {
                marker: false,
                ..key(15)
            },
        );
        slot.assign(Some("c".into()), None);
        assert!(slot.take(
            later,
            Received {
                marker: true,
                ..packet(16, 7)
            }
        ));
        assert_eq!(slot.report.without_key_frame, 1);
    }
}
