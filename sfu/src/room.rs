use std::time::{Duration, Instant};

use crate::speech::SpeechActivity;

/// How often it is looked who speaks, while somebody does.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Who has paused for no longer than this still speaks.
const PAUSE: Duration = Duration::from_millis(300);
/// Members are told who speaks no more often than this.
const TELL_INTERVAL: Duration = Duration::from_millis(200);

/// People who see each other.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: Box<str>,
    /// In the order in which they came.
    pub(crate) participants: Vec<u32>,
    /// Who holds the floor: the one who speaks, or did last.
    pub(crate) dominant: Option<u32>,
    /// Who speaks, in the order in which they began.
    pub(crate) speaking: Vec<u32>,
    /// What the members were told of these, and when.
    told: (Option<u32>, Vec<u32>),
    told_at: Option<Instant>,
}

impl Room {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            participants: Vec::new(),
            dominant: None,
            speaking: Vec::new(),
            told: (None, Vec::new()),
            told_at: None,
        }
    }

    /// Somebody has come. What is needed when they all speak is there from now on.
    pub(crate) fn add(&mut self, participant: u32) {
        self.participants.push(participant);
        self.speaking.reserve(self.participants.len());
        self.told.1.reserve(self.participants.len());
    }

    /// Somebody begins to speak.
    pub(crate) fn begin(&mut self, participant: u32) {
        if !self.speaking.contains(&participant) {
            self.speaking.push(participant);
        }
    }

    /// Somebody has left.
    pub(crate) fn remove(&mut self, participant: u32) {
        self.participants.retain(|&other| other != participant);
        self.speaking.retain(|&other| other != participant);
        self.dominant = self.dominant.filter(|&dominant| dominant != participant);
    }

    /// Looks who speaks; `voice` gives what is heard of a participant, unless it is muted. Returns whether the floor went to
    /// somebody else.
    pub(crate) fn follow(&mut self, now: Instant, voice: impl Fn(u32) -> Option<SpeechActivity>) -> bool {
        self.speaking.retain(|&participant| speaks(now, voice(participant)));
        let Some(dominant) = self.dominant else {
            self.dominant = self.speaking.first().copied();
            return self.dominant.is_some();
        };
        let present = voice(dominant).unwrap_or_default();
        let rivals = self.speaking.iter().filter(|&&rival| rival != dominant);
        let leads = rivals.filter_map(|&rival| Some((rival, voice(rival)?.leads(&present, now)?)));
        let Some((rival, _)) = leads.max_by(|a, b| a.1.total_cmp(&b.1)) else {
            return false;
        };
        self.dominant = Some(rival);
        true
    }

    /// Whether the members are to be told who speaks; it is taken as told.
    pub(crate) fn has_news(&mut self, now: Instant) -> bool {
        let due = self
            .told_at
            .is_none_or(|at| now.saturating_duration_since(at) >= TELL_INTERVAL);
        let news = due && !self.is_told();
        if news {
            self.told.0 = self.dominant;
            self.told.1.clone_from(&self.speaking);
            self.told_at = Some(now);
        }
        news
    }

    /// When it is to be looked again who speaks.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        (!self.speaking.is_empty() || !self.is_told()).then(|| now + TICK)
    }

    fn is_told(&self) -> bool {
        self.told.0 == self.dominant && self.told.1 == self.speaking
    }
}

/// Whether somebody speaks, or has paused for a moment only.
fn speaks(now: Instant, voice: Option<SpeechActivity>) -> bool {
    voice
        .and_then(|voice| voice.spoke())
        .is_some_and(|at| now.saturating_duration_since(at) < PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// People who each speak for some time, in frames of 20 ms.
    struct Talk {
        room: Room,
        voices: HashMap<u32, SpeechActivity>,
        start: Instant,
        frame: u32,
    }

    impl Talk {
        fn new(people: u32) -> Self {
            Self {
                room: Room::new("r"),
                voices: (0..people).map(|one| (one, SpeechActivity::default())).collect(),
                start: Instant::now(),
                frame: 0,
            }
        }

        fn now(&self) -> Instant {
            self.start + Duration::from_millis(20) * self.frame
        }

        /// For so many frames these speak and all others are silent. Gives how often the floor changed hands.
        fn run(&mut self, frames: u32, speakers: &[u32]) -> usize {
            let mut changes = 0;
            for _ in 0..frames {
                let now = self.now();
                let mut look = self.frame.is_multiple_of(5);
                for (&one, voice) in &mut self.voices {
                    let level = if speakers.contains(&one) { 25 } else { 90 };
                    if voice.follow(now, i64::from(self.frame), level) {
                        self.room.begin(one);
                        look = true;
                    }
                }
                if look {
                    changes += usize::from(self.room.follow(now, |one| self.voices.get(&one).copied()));
                }
                self.frame += 1;
            }
            changes
        }
    }

    #[test]
    fn the_floor_goes_to_who_speaks_and_stays_in_the_silence_after() {
        let mut talk = Talk::new(3);
        assert_eq!((talk.run(50, &[]), talk.room.dominant), (0, None));
        assert_eq!((talk.run(50, &[1]), talk.room.dominant), (1, Some(1)));
        assert_eq!((talk.run(50, &[2]), talk.room.dominant), (1, Some(2)));
        assert_eq!(talk.run(100, &[]), 0);
        assert_eq!(talk.room.dominant, Some(2));
        assert_eq!(talk.room.speaking, []);
        talk.room.remove(2);
        assert_eq!(talk.room.dominant, None);
    }

    #[test]
    fn who_speaks_at_the_same_time_does_not_take_the_floor() {
        let mut talk = Talk::new(3);
        talk.run(50, &[1]);
        assert_eq!(talk.run(200, &[1, 2]), 0);
        assert_eq!(talk.room.speaking, [1, 2]);
    }

    #[test]
    fn members_are_told_what_changed_and_not_too_often() {
        let mut room = Room::new("r");
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!room.has_news(at(0)));
        room.begin(1);
        assert!(room.has_news(at(0)));
        assert!(!room.has_news(at(500)));
        room.begin(2);
        assert!(room.has_news(at(500)));
        room.remove(1);
        room.remove(2);
        assert!(!room.has_news(at(600)));
        assert_eq!(room.due(at(600)), Some(at(700)), "it is not forgotten");
        assert!(room.has_news(at(700)));
        assert_eq!(room.due(at(700)), None);
    }
}
