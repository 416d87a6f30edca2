use std::time::{Duration, Instant};

/// At most one request in this time, whoever asks.
const WINDOW: Duration = Duration::from_millis(500);

/// Merges the key-frame requests of all subscribers of one source: the first goes out at once, those inside the window
/// together at its end, and again after each window until a key frame came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyFrameRequests {
    wanted: bool,
    last: Option<Instant>,
}

impl KeyFrameRequests {
    /// Somebody needs a key frame.
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    /// A key frame came, or nobody needs one any more.
    pub(crate) const fn satisfied(&mut self) {
        self.wanted = false;
    }

    /// When the next request has to go out; a time that has passed means at once.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        self.wanted.then(|| self.last.map_or(now, |last| last + WINDOW))
    }

    /// Whether a request goes out now; it is then taken as sent.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        let due = self.due(now).is_some_and(|due| due <= now);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_within_the_window_and_repeated_until_a_key_frame_came() {
        let t0 = Instant::now();
        let ms = |ms| t0 + Duration::from_millis(ms);
        let mut r = KeyFrameRequests::default();
        assert!(!r.poll(t0));
        r.want();
        assert!(r.poll(t0));
        // Inside the window: held, and sent at its end.
        r.want();
        assert!(!r.poll(ms(499)));
        assert_eq!(r.due(ms(499)), Some(ms(500)));
        assert!(r.poll(ms(500)));
        // No key frame came: again.
        assert!(!r.poll(ms(999)));
        assert!(r.poll(ms(1000)));
        r.satisfied();
        assert_eq!(r.due(ms(1500)), None);
        // A new wish after the key frame still keeps the distance to the last request.
        r.want();
        assert_eq!(r.due(ms(1200)), Some(ms(1500)));
        assert!(r.poll(ms(1600)));
    }
}
