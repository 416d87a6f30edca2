use std::time::{Duration, Instant};

/// How often it is looked who speaks.
const SPEAKER_INTERVAL: Duration = Duration::from_millis(300);

/// People who see each other.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: Box<str>,
    /// In the order in which they came.
    pub(crate) participants: Vec<u32>,
    /// Who speaks, as far as those watch who named nobody.
    pub(crate) speaker: Option<u32>,
    speaker_looked: Option<Instant>,
}

impl Room {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            participants: Vec::new(),
            speaker: None,
            speaker_looked: None,
        }
    }

    /// Whether it is time to look who speaks.
    pub(crate) fn speaker_due(&mut self, now: Instant) -> bool {
        let due = self
            .speaker_looked
            .is_none_or(|at| now.saturating_duration_since(at) >= SPEAKER_INTERVAL);
        if due {
            self.speaker_looked = Some(now);
        }
        due
    }

    /// Takes note of how loud each is. A new speaker must be clearly louder (6 dB) than the present one. Returns whether
    /// the speaker changed.
    pub(crate) fn follow_speaker(&mut self, loudness: impl Iterator<Item = (u32, u16)>) -> bool {
        const MARGIN: u16 = 6 * 256;
        let mut loudest = None;
        let mut present = 0;
        for (participant, loud) in loudness {
            if self.speaker == Some(participant) {
                present = loud;
            }
            if loudest.is_none_or(|(_, most)| loud > most) {
                loudest = Some((participant, loud));
            }
        }
        match loudest {
            Some((participant, loud)) if self.speaker != Some(participant) && loud > present + MARGIN => {
                self.speaker = Some(participant);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speaker_changes_only_for_somebody_clearly_louder() {
        let mut room = Room::new("r");
        assert!(room.follow_speaker([(1, 100 * 256), (2, 20 * 256)].into_iter()));
        assert_eq!(room.speaker, Some(1));
        assert!(!room.follow_speaker([(1, 100 * 256), (2, 105 * 256)].into_iter()));
        assert!(room.follow_speaker([(1, 60 * 256), (2, 105 * 256)].into_iter()));
        assert_eq!(room.speaker, Some(2));
        assert!(!room.follow_speaker([(1, 0), (2, 0)].into_iter()));
    }
}
