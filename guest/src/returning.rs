use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use tungstenite::WebSocket;

use crate::signalling::Signalling;

/// The way back into a room whose WebSocket has broken; media goes on meanwhile.
#[derive(Debug)]
pub(crate) struct Returning {
    /// What became of the WebSocket: a clause.
    pub(crate) why: String,
    deadline: Instant,
    next: Instant,
    attempt: Option<Attempt>,
}

/// A WebSocket that is being opened on a thread of its own.
pub(crate) type Attempt = Receiver<Result<WebSocket<Signalling>, String>>;

/// For so long the server keeps the place of somebody whose media flows (`docs/signalling.md`).
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts at least.
const PAUSE: Duration = Duration::from_millis(500);

impl Returning {
    /// Begins at once.
    pub(crate) fn begin(now: Instant, why: String) -> Self {
        Self {
            why,
            deadline: now + PATIENCE,
            next: now,
            attempt: None,
        }
    }

    /// The WebSocket, once there is one; another is opened where the one before could not be.
    ///
    /// # Errors
    /// When it took too long: why the last one could not be opened.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        open: impl FnOnce() -> Attempt,
    ) -> Result<Option<WebSocket<Signalling>>, String> {
        let Some(attempt) = &self.attempt else {
            if now >= self.next {
                self.next = now + PAUSE;
                self.attempt = Some(open());
            }
            return Ok(None);
        };
        let failed = match attempt.try_recv() {
            Ok(Ok(socket)) => return Ok(Some(socket)),
            Err(TryRecvError::Empty) => return Ok(None),
            Ok(Err(reason)) => reason,
            Err(TryRecvError::Disconnected) => "its thread has ended".to_owned(),
        };
        self.attempt = None;
        if now >= self.deadline { Err(failed) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn refused() -> Attempt {
        let (tell, told) = channel();
        tell.send(Err("refused".to_owned())).unwrap();
        told
    }

    #[test]
    fn it_is_tried_again_and_again_until_the_place_is_lost() {
        let start = Instant::now();
        let mut returning = Returning::begin(start, "cut".to_owned());
        let mut opened = 0;
        let mut poll = |milliseconds| {
            let polled = returning.poll(start + Duration::from_millis(milliseconds), || {
                opened += 1;
                refused()
            });
            (polled.map(|socket| socket.is_some()), opened)
        };
        assert_eq!(poll(0), (Ok(false), 1), "at once");
        assert_eq!(poll(1), (Ok(false), 1), "it was refused");
        assert_eq!(poll(499), (Ok(false), 1), "not too often");
        assert_eq!(poll(500), (Ok(false), 2));
        assert_eq!(poll(29_999), (Ok(false), 2));
        assert_eq!(poll(29_999), (Ok(false), 3));
        assert_eq!(poll(30_000), (Err("refused".to_owned()), 3));
    }
}
