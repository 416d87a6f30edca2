use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::pictures::Strange;

/// What a guest has received so far.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// Who it is in the room; empty before it is in.
    pub participant: String,
    /// Whether media flows.
    pub connected: bool,
    /// Whether it goes by a TURN server.
    pub relayed: bool,
    /// Whether it goes over a TCP connection to the server.
    pub over_tcp: bool,
    /// From where it leaves: an address of the machine, or of the TURN server.
    pub local: Option<SocketAddr>,
    /// How often it has taken its place in the room again, over another WebSocket after one had broken.
    pub returns: u32,
    /// Its sections that receive.
    pub slots: Vec<SlotReport>,
    /// Whose pictures it waited for when it came, and how long from `join` to the first complete key frame of each that
    /// is here.
    pub pictures: Vec<(String, Option<Duration>)>,
    /// Whose sound came in the last 200 ms.
    pub heard: Vec<String>,
    /// Who speaks, as the server says, by participant.
    pub speaking: Vec<String>,
    /// The most sections that had a voice for most of the same second.
    pub most_heard: usize,
    /// What went wrong, as sentences.
    pub faults: Vec<String>,
    /// Counters of its own engines that are not 0.
    pub counters: Vec<(&'static str, u64)>,
}

/// What came in one section.
#[derive(Debug, Clone, Default)]
pub struct SlotReport {
    /// The section.
    pub mid: String,
    /// Whether it is a picture's.
    pub video: bool,
    /// Whom it carries now.
    pub participant: Option<String>,
    /// Under which name.
    pub name: Option<String>,
    /// Packets that came, each counted once.
    pub packets: u64,
    /// Of them, those that had to be asked for again.
    pub repaired: u64,
    /// Complete frames: markers of pictures, packets of sound.
    pub frames: u64,
    /// Numbers that are missing for good: neither came nor were repaired.
    pub missing: u64,
    /// Numbers that did not come, for less than the 2 s in which they may be repaired: at the end it is not known
    /// whether they would have come. They are neither received nor missing.
    pub open: u64,
    /// Times at which the timestamp went back with the numbers going forward.
    pub backwards: u64,
    /// Times at which the timestamp went forward by more than the time that passed and a second.
    pub leaps: u64,
    /// Pictures of VP8 whose picture id or TL0PICIDX does not follow that of the picture before (RFC 7741 §4.2).
    pub strange_pictures: u64,
    /// The first of them.
    pub strange: Vec<Strange>,
    /// Times at which somebody's picture did not begin with a key frame.
    pub without_key_frame: u64,
}

impl Report {
    /// Everything that a strict receiver would complain about.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.faults.clone();
        for slot in &self.slots {
            for (count, what) in [
                (slot.missing, "packets are missing"),
                (slot.backwards, "timestamps went back"),
                (slot.leaps, "timestamps ran ahead of the time that passed"),
                (
                    slot.strange_pictures,
                    "picture ids or TL0PICIDX did not follow those before",
                ),
                (slot.without_key_frame, "pictures did not begin with a key frame"),
            ] {
                if count > 0 {
                    complaints.push(format!("{}: section {}: {count} {what}", self.name, slot.mid));
                }
            }
            for strange in &slot.strange {
                complaints.push(format!("{}: section {}: {strange}", self.name, slot.mid));
            }
        }
        complaints
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} ({}): {}, at most {} voices at once",
            self.name,
            self.participant,
            match (self.connected, self.relayed, self.over_tcp) {
                (false, ..) => "not connected",
                (true, true, _) => "connected by a relay",
                (true, false, true) => "connected over TCP",
                (true, false, false) => "connected",
            },
            self.most_heard
        )?;
        writeln!(
            f,
            "  section  kind   packets   frames  repaired  missing  open  back  leaps  ids  no key  carries"
        )?;
        for slot in self.slots.iter().filter(|slot| slot.packets > 0 || slot.name.is_some()) {
            writeln!(
                f,
                "  {:>7}  {:<5}  {:>7}  {:>7}  {:>8}  {:>7}  {:>4}  {:>4}  {:>5}  {:>3}  {:>6}  {}",
                slot.mid,
                if slot.video { "video" } else { "audio" },
                slot.packets,
                slot.frames,
                slot.repaired,
                slot.missing,
                slot.open,
                slot.backwards,
                slot.leaps,
                slot.strange_pictures,
                slot.without_key_frame,
                slot.name.as_deref().unwrap_or("nobody")
            )?;
        }
        for (participant, time) in &self.pictures {
            match time {
                Some(time) => writeln!(f, "  first picture of {participant} after {} ms", time.as_millis())?,
                None => writeln!(f, "  no picture of {participant}")?,
            }
        }
        for complaint in self.complaints() {
            writeln!(f, "  ! {complaint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_a_complaint_and_what_is_open_is_none() {
        let faults: [fn(&mut SlotReport) -> &mut u64; 5] = [
            |slot| &mut slot.missing,
            |slot| &mut slot.backwards,
            |slot| &mut slot.leaps,
            |slot| &mut slot.strange_pictures,
            |slot| &mut slot.without_key_frame,
        ];
        for fault in faults {
            let mut slot = SlotReport::default();
            *fault(&mut slot) = 7;
            let report = Report {
                slots: vec![slot],
                ..Report::default()
            };
            let complaints = report.complaints();
            assert!(
                complaints.len() == 1 && complaints[0].contains(": 7 "),
                "{complaints:?}"
            );
        }
        let slot = SlotReport {
            open: 7,
            packets: 1,
            ..SlotReport::default()
        };
        let report = Report {
            slots: vec![slot],
            ..Report::default()
        };
        assert_eq!(report.complaints(), Vec::<String>::new());
        assert!(report.to_string().contains(" 7 "));
    }
}
