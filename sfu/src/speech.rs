//! Who speaks, from audio levels alone (RFC 6464): the method of Volfin and Cohen, "Dominant Speaker Identification for
//! Multipoint Videoconferencing" (2012), with levels in the place of active subbands.
//!
//! Speech shows on three scales: this frame, the last tenth of a second, the last second. On each of them it is counted
//! how much was active, and that count is weighed: how much likelier is it in speech than in silence? A click is loud
//! on the first scale only and a cough on the second, so that neither takes the floor from somebody who speaks.

use std::time::{Duration, Instant};

/// One unit of the first scale.
const FRAME: Duration = Duration::from_millis(20);
/// A level on the first scale: from so many decibels below overload on, in so many steps.
const QUIET: u8 = 75;
const STEPS: u32 = 13;
/// A frame as quiet as this is not active, whatever else was heard.
const FAINT: u8 = 46;
/// One as loud as this is, however long it lasts: only what is quieter is taken for the noise of a room.
const LOUD: u8 = 36;
/// By so much an active frame is louder than the quietest of late.
const OVER_NOISE: u8 = 12;
/// The quietest is looked for over one to two times so many frames: everybody who speaks pauses within two seconds.
const NOISE_WINDOW: i64 = 100;
/// Frames in a block, and how many active ones make it active on the third scale.
const FRAMES: u32 = 5;
const FRAMES_ACTIVE: u32 = 3;
/// Blocks of the third scale.
const BLOCKS: u32 = 10;
/// A packet holds no more frames than this, so that a greater distance from the one before is a pause.
const LONGEST: i64 = 6;
/// After so long without a packet somebody is silent: packets are of up to 60 ms, and some are late.
const LATE: Duration = Duration::from_millis(100);
/// The margins by which somebody takes over, as logarithms of ratios of scores on the three scales.
const MARGINS: [f32; 3] = [3.0, 2.0, 0.0];
/// What a level is taken to be where packets do not tell any.
pub(crate) const UNTOLD: u8 = 30;
/// Frames in a second, for those who count them.
pub(crate) const FRAMES_PER_SECOND: i64 = 50;
/// Silence.
pub(crate) const SILENT: u8 = 127;

/// What somebody's levels were in the last second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpeechActivity {
    /// The newest frame's step, 0 if it is not active.
    step: u32,
    /// Whether each of the last 64 frames was active, the newest in bit 0.
    active: u64,
    /// The newest packet: its place in time in frames, and when it came.
    newest: Option<(i64, Instant)>,
    /// When a packet came last that ended a block of speech.
    spoke: Option<Instant>,
    /// The quietest level of this window and of the one before, and where this one began.
    quietest: [u8; 2],
    window: i64,
}

impl SpeechActivity {
    /// A packet came whose place in time is `frame` and that is so loud: 0 is overload, 127 silence. Returns whether
    /// speech begins with it.
    pub(crate) fn follow(&mut self, now: Instant, frame: i64, level: u8) -> bool {
        let level = level & 0x7f;
        let was = self.is_speaking(now);
        let Some((before, _)) = self.newest else {
            self.newest = Some((frame, now));
            // Before anything quieter was heard only what is loud counts.
            self.quietest = [level, 0];
            self.window = frame;
            return false;
        };
        let passed = frame - before;
        if passed < 0 {
            return false;
        }
        let active = level <= self.limit(frame, level);
        self.active = shift(self.active, passed);
        // A packet is as long as its distance from the one before, unless there was a pause. Two may be of one frame.
        let own = if passed > LONGEST { 1 } else { passed.max(1) };
        if active {
            self.active |= (1 << own) - 1;
        }
        let loud = u32::from(QUIET.saturating_sub(level));
        self.step = if active {
            (loud * STEPS).div_ceil(u32::from(QUIET))
        } else {
            0
        };
        self.newest = Some((frame, now));
        let is = self.block(0) >= FRAMES_ACTIVE;
        if is {
            self.spoke = Some(now);
        }
        is && !was
    }

    /// How quiet an active frame may be, in decibels below overload, after this one was heard.
    fn limit(&mut self, frame: i64, level: u8) -> u8 {
        match (frame - self.window) / NOISE_WINDOW {
            ..=0 => self.quietest[0] = self.quietest[0].max(level),
            1 => self.quietest = [level, self.quietest[0]],
            _ => self.quietest = [level; 2],
        }
        if frame - self.window >= NOISE_WINDOW {
            self.window = frame;
        }
        let noise = self.quietest[0].max(self.quietest[1]);
        noise.saturating_sub(OVER_NOISE).clamp(LOUD, FAINT)
    }

    /// As it is now: what did not come is silence, since many send nothing while they are silent.
    fn at(mut self, now: Instant) -> Self {
        if let Some((_, came)) = self.newest
            && now.saturating_duration_since(came) > LATE
        {
            let frames = now.saturating_duration_since(came).as_millis() / FRAME.as_millis();
            self.active = shift(self.active, frames as i64);
            self.step = 0;
        }
        self
    }

    /// Whether there is speech in the last tenth of a second.
    pub(crate) fn is_speaking(&self, now: Instant) -> bool {
        self.at(now).block(0) >= FRAMES_ACTIVE
    }

    /// When there was speech last.
    pub(crate) const fn spoke(&self) -> Option<Instant> {
        self.spoke
    }

    /// Active frames in the block so many blocks ago.
    const fn block(&self, back: u32) -> u32 {
        (self.active >> (back * FRAMES) & ((1 << FRAMES) - 1)).count_ones()
    }

    /// How likely speech is on each of the scales.
    fn scores(&self) -> [f32; 3] {
        let blocks = (0..BLOCKS).filter(|&back| self.block(back) >= FRAMES_ACTIVE).count() as u32;
        [
            score(self.step, STEPS, 0.78),
            score(self.block(0), FRAMES, 24.0),
            score(blocks, BLOCKS, 47.0),
        ]
    }

    /// Whether this one takes the floor from `other`, and by how much it leads.
    pub(crate) fn leads(&self, other: &Self, now: Instant) -> Option<f32> {
        let (own, other) = (self.at(now).scores(), other.at(now).scores());
        let lead = |scale: usize| (own[scale] / other[scale]).ln();
        let clear = (0..MARGINS.len()).all(|scale| lead(scale) > MARGINS[scale]);
        clear.then(|| lead(1))
    }
}

/// Moves frames of the past so far back.
fn shift(active: u64, frames: i64) -> u64 {
    u32::try_from(frames)
        .ok()
        .and_then(|frames| active.checked_shl(frames))
        .unwrap_or(0)
}

/// The logarithm of the likelihood ratio of `count` active ones of `of`: binomial in speech, exponential in silence.
fn score(count: u32, of: u32, decay: f32) -> f32 {
    /// The least, so that ratios are finite.
    const LEAST: f32 = 1e-10;
    const HALF: f32 = 0.5;
    let choose: f32 = (1..=count).map(|i| (of + 1 - i) as f32 / i as f32).product();
    let speech = choose.ln() + of as f32 * HALF.ln();
    let silence = decay.ln() - decay * count as f32;
    (speech - silence).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPEECH: u8 = 25;
    const SILENCE: u8 = 90;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Frames of 20 ms on a line that begins at `start`.
    struct Voice {
        activity: SpeechActivity,
        start: Instant,
        frame: u32,
    }

    impl Voice {
        fn new(start: Instant) -> Self {
            Self {
                activity: SpeechActivity::default(),
                start,
                frame: 0,
            }
        }

        fn now(&self) -> Instant {
            self.start + FRAME * self.frame
        }

        /// Gives after how long it began to speak.
        fn hear(&mut self, levels: &[u8]) -> Option<Duration> {
            let mut began = None;
            for (n, &level) in levels.iter().enumerate() {
                if self.activity.follow(self.now(), i64::from(self.frame), level) {
                    began.get_or_insert(FRAME * (n as u32 + 1));
                }
                self.frame += 1;
            }
            began
        }
    }

    #[test]
    fn speech_shows_after_three_frames_and_a_click_does_not() {
        let start = Instant::now();
        let mut speaker = Voice::new(start);
        speaker.hear(&[SILENCE; 50]);
        assert_eq!(speaker.hear(&[SPEECH; 50]), Some(ms(60)));
        assert_eq!(speaker.activity.spoke(), Some(start + ms(1980)));
        let mut click = Voice::new(start);
        click.hear(&[SILENCE; 50]);
        assert_eq!(
            click.hear(&[0, 0, SILENCE, SILENCE, SILENCE, 0, SILENCE, SILENCE]),
            None
        );
    }

    #[test]
    fn packets_of_other_lengths_are_so_many_frames() {
        let start = Instant::now();
        for (packet, until) in [(10, 50), (20, 60), (40, 80), (60, 60)] {
            let mut speaker = SpeechActivity::default();
            let mut hear = |n: u64, level: u8| {
                let at = packet * n;
                speaker.follow(start + ms(at), (at / 20) as i64, level)
            };
            assert!(!(0..20).any(|n| hear(n, SILENCE)));
            let began = (20..40).find(|&n| hear(n, SPEECH)).map(|n| packet * (n - 19));
            assert_eq!(began, Some(until), "packets of {packet} ms");
        }
    }

    #[test]
    fn packets_that_were_held_up_are_of_their_own_times() {
        let start = Instant::now();
        let mut click = Voice::new(start);
        click.hear(&[SILENCE; 50]);
        // Six at once, only one of them loud.
        let at = click.now() + ms(120);
        for level in [SPEECH, SILENCE, SILENCE, SILENCE, SILENCE, SILENCE] {
            assert!(!click.activity.follow(at, i64::from(click.frame), level));
            click.frame += 1;
        }
        // And one that comes after what was sent later changes nothing.
        assert!(!click.activity.follow(at, 20, SPEECH));
        assert!(!click.activity.is_speaking(at));
    }

    #[test]
    fn who_sends_nothing_is_silent() {
        let mut speaker = Voice::new(Instant::now());
        speaker.hear(&[SPEECH; 50]);
        assert!(speaker.activity.is_speaking(speaker.now()));
        assert!(!speaker.activity.is_speaking(speaker.now() + ms(200)));
        // Discontinuous transmission: the next packet comes after 400 ms, and one is not yet speech.
        speaker.frame += 20;
        assert_eq!(speaker.hear(&[SPEECH; 2]), None);
        assert_eq!(speaker.hear(&[SPEECH]), Some(ms(20)));
    }

    #[test]
    fn the_noise_of_a_room_is_no_speech_and_a_voice_above_it_is() {
        let mut fan = Voice::new(Instant::now());
        assert_eq!(fan.hear(&[45, 48, 44, 46].repeat(100)), None);
        // It begins while somebody is there: for a moment it could be a voice.
        let mut later = Voice::new(Instant::now());
        later.hear(&[90; 100]);
        assert_eq!(later.hear(&[45, 48, 44, 46].repeat(60)), Some(ms(80)));
        assert_eq!(later.hear(&[45, 48, 44, 46].repeat(60)), None);
        assert!(!later.activity.is_speaking(later.now()));
        assert_eq!(fan.hear(&[SPEECH; 5]), Some(ms(60)));
        // A quiet voice in a quiet room.
        let mut quiet = Voice::new(Instant::now());
        quiet.hear(&[70; 100]);
        assert_eq!(quiet.hear(&[44; 5]), Some(ms(60)));
    }

    #[test]
    fn the_floor_changes_hands_when_one_ends_and_another_speaks() {
        let start = Instant::now();
        let (mut ann, mut bob) = (Voice::new(start), Voice::new(start));
        ann.hear(&[SPEECH; 100]);
        bob.hear(&[SILENCE; 100]);
        assert_eq!(bob.activity.leads(&ann.activity, bob.now()), None);
        assert!(ann.activity.leads(&bob.activity, bob.now()).is_some());
        // Ann ends and Bob begins. He leads once the last second is more his than hers.
        let took = (1..100).find(|_| {
            ann.hear(&[SILENCE]);
            bob.hear(&[SPEECH]);
            bob.activity.leads(&ann.activity, bob.now()).is_some()
        });
        let took = FRAME * took.unwrap();
        assert!((ms(300)..=ms(700)).contains(&took), "{took:?}");
    }

    #[test]
    fn a_cough_does_not_take_the_floor_from_a_speaker_who_pauses() {
        let start = Instant::now();
        let (mut ann, mut bob) = (Voice::new(start), Voice::new(start));
        ann.hear(&[SPEECH; 100]);
        bob.hear(&[SILENCE; 100]);
        for frame in 0..20 {
            ann.hear(&[SILENCE]);
            bob.hear(&[if frame < 9 { 10 } else { SILENCE }]);
            assert_eq!(bob.activity.leads(&ann.activity, bob.now()), None, "frame {frame}");
        }
    }

    #[test]
    fn nobody_leads_among_the_silent() {
        let now = Instant::now();
        let silent = SpeechActivity::default();
        assert_eq!(silent.leads(&silent, now), None);
    }

    proptest! {
        /// Whatever comes and whenever: there is an answer, nobody leads himself, and of two only one leads.
        #[test]
        fn at_most_one_of_two_leads(heard in proptest::collection::vec((any::<bool>(), -3i64..2000, 0u64..500, any::<u8>()), 0..200)) {
            let mut now = Instant::now();
            let mut voices = [SpeechActivity::default(); 2];
            let mut frames = [0; 2];
            for (second, passed, time, level) in heard {
                now += ms(time);
                let voice = usize::from(second);
                frames[voice] += passed;
                let began = voices[voice].follow(now, frames[voice], level);
                prop_assert!(!began || voices[voice].is_speaking(now));
                let [a, b] = &voices;
                prop_assert!(a.leads(a, now).is_none());
                prop_assert!(a.leads(b, now).is_none() || b.leads(a, now).is_none());
            }
        }
    }
}
