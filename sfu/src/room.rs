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
    /// Whom one hears where not everybody is heard at once: the first so many (`top_k`) are heard by everybody, and one
    /// more by these, who do not hear themselves.
    pub(crate) on_air: Vec<u32>,
    /// Who speaks, in the order in which they began.
    pub(crate) speaking: Vec<u32>,
    /// What the members were told of these, and when.
    told: (Option<u32>, Vec<u32>),
    told_at: Option<Instant>,
}

/// What [`Room::follow`] changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Somebody else is on the air.
    pub(crate) on_air: bool,
    /// Somebody else has the floor.
    pub(crate) floor: bool,
}

impl Room {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            participants: Vec::new(),
            dominant: None,
            on_air: Vec::new(),
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
        self.on_air.reserve(self.participants.len());
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
        self.on_air.retain(|&other| other != participant);
        self.speaking.retain(|&other| other != participant);
        self.dominant = self.dominant.filter(|&dominant| dominant != participant);
    }

    /// Looks who speaks; `voice` gives what is heard of a participant, unless it is muted.
    pub(crate) fn follow(
        &mut self,
        now: Instant,
        top_k: usize,
        voice: impl Fn(u32) -> Option<SpeechActivity>,
    ) -> Changes {
        self.speaking.retain(|&participant| speaks(now, voice(participant)));
        let mut changes = Changes::default();
        for at in 0..self.speaking.len() {
            changes.on_air |= self.admit(now, top_k, self.speaking[at], &voice);
        }
        changes.floor = self.follow_floor(now, voice);
        changes
    }

    /// Puts somebody who speaks on the air if there is room, or in the place of whoever has been silent longest. When
    /// all of them speak too it must lead one of them clearly. Returns whether anything changed.
    fn admit(
        &mut self,
        now: Instant,
        top_k: usize,
        speaker: u32,
        voice: &impl Fn(u32) -> Option<SpeechActivity>,
    ) -> bool {
        let present = self.on_air.iter().position(|&other| other == speaker);
        if present.is_some_and(|place| place < top_k) || top_k == 0 {
            return false;
        }
        if self.on_air.len() < top_k {
            self.on_air.push(speaker);
            return true;
        }
        let own = voice(speaker).unwrap_or_default();
        let yields = |other: u32| {
            let other = voice(other);
            if speaks(now, other) {
                own.leads(&other.unwrap_or_default(), now)
                    .map(|lead| (true, None, -lead))
            } else {
                Some((false, other.and_then(|other| other.spoke()), 0.0))
            }
        };
        let first = self.on_air[..top_k].iter().enumerate();
        let weakest = first
            .filter_map(|(place, &other)| Some((yields(other)?, place)))
            .min_by(|(a, _), (b, _)| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        match (weakest, present) {
            (Some((_, place)), Some(present)) => self.on_air.swap(place, present),
            (Some((_, place)), None) => {
                let other = std::mem::replace(&mut self.on_air[place], speaker);
                self.on_air.truncate(top_k);
                self.on_air.push(other);
            }
            (None, Some(_)) => return false,
            (None, None) => {
                if self.on_air.get(top_k).is_some_and(|&other| yields(other).is_none()) {
                    return false;
                }
                self.on_air.truncate(top_k);
                self.on_air.push(speaker);
            }
        }
        true
    }

    /// Looks who has the floor. Returns whether that is somebody else now.
    fn follow_floor(&mut self, now: Instant, voice: impl Fn(u32) -> Option<SpeechActivity>) -> bool {
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
                    let changed = self.room.follow(now, 3, |one| self.voices.get(&one).copied());
                    changes += usize::from(changed.floor);
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
    fn three_are_on_the_air_and_one_more_for_these() {
        let mut talk = Talk::new(6);
        assert_eq!(talk.room.on_air, []);
        // One after the other, without a pause.
        for (speaker, on_air) in [
            (0, &[0][..]),
            (1, &[0, 1]),
            (2, &[0, 1, 2]),
            (3, &[3, 1, 2, 0]),
            (4, &[3, 4, 2, 1]),
            (2, &[3, 4, 2, 1]),
            (1, &[1, 4, 2, 3]),
        ] {
            talk.run(30, &[speaker]);
            assert_eq!(talk.room.on_air, on_air, "{speaker} spoke");
        }
        talk.run(500, &[]);
        assert_eq!(
            talk.room.on_air,
            [1, 4, 2, 3],
            "who is silent stays until somebody speaks"
        );
        talk.room.remove(4);
        assert_eq!(talk.room.on_air, [1, 2, 3]);
    }

    #[test]
    fn when_three_speak_another_one_must_lead() {
        let mut talk = Talk::new(6);
        talk.run(50, &[0, 1, 2]);
        let on_air = talk.room.on_air.clone();
        talk.run(200, &[0, 1, 2, 3]);
        assert_eq!(talk.room.on_air[..3], on_air, "four speak at once");
        assert_eq!(talk.room.on_air[3..], [3], "and the three hear the fourth");
        talk.run(200, &[0, 1, 2, 3, 4]);
        assert_eq!(talk.room.on_air[3..], [3]);
        // Two of them only cough from now on, a tenth of a second in each half.
        for _ in 0..10 {
            talk.run(5, &[0, 1, 2, 3]);
            talk.run(15, &[2, 3]);
        }
        assert_eq!(talk.room.on_air.iter().filter(|one| [2, 3].contains(one)).count(), 2);
        assert!(talk.room.on_air[..3].contains(&3));
    }

    #[test]
    fn speech_is_on_the_air_within_a_tenth_of_a_second() {
        let mut talk = Talk::new(12);
        talk.run(10, &[]);
        for speaker in 0..12 {
            talk.run(3, &[speaker]);
            assert!(
                talk.room.on_air[..3.min(talk.room.on_air.len())].contains(&speaker),
                "{speaker}"
            );
            talk.run(40, &[speaker]);
        }
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
