use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use tungstenite::WebSocket;

use crate::signalling::Signalling;

/// The way back into a room whose WebSocket has broken, until the place there is taken again; media goes on meanwhile.
#[derive(Debug)]
pub(crate) struct Returning {
    /// What became of the WebSocket: a clause.
    pub(crate) why: String,
    deadline: Instant,
    next: Instant,
    stage: Stage,
    /// Why it has not come about yet: a clause.
    reason: String,
}

#[derive(Debug)]
enum Stage {
    /// It is tried when there is time for it.
    Pause,
    Opening(Attempt),
    /// There is a WebSocket, and the server has not let anybody in over it yet.
    Resuming,
}

/// A WebSocket that is being opened on a thread of its own.
pub(crate) type Attempt = Receiver<Result<WebSocket<Signalling>, String>>;

/// For so long the server keeps the place of somebody whose media flows (`docs/signalling.md`). However often it is
/// tried, and however far one attempt has come: it ends then.
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
            stage: Stage::Pause,
            reason: format!("the server has not answered within {} s", PATIENCE.as_secs()),
        }
    }

    /// The WebSocket, once there is one; another is opened where the one before could not be, or was of no use.
    ///
    /// # Errors
    /// When it took too long: why the last attempt has failed.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        open: impl FnOnce() -> Attempt,
    ) -> Result<Option<WebSocket<Signalling>>, String> {
        if now >= self.deadline {
            return Err(std::mem::take(&mut self.reason));
        }
        match &self.stage {
            Stage::Pause if now >= self.next => {
                self.next = now + PAUSE;
                self.stage = Stage::Opening(open());
            }
            Stage::Pause | Stage::Resuming => {}
            Stage::Opening(attempt) => match attempt.try_recv() {
                Ok(Ok(socket)) => {
                    self.stage = Stage::Resuming;
                    return Ok(Some(socket));
                }
                Ok(Err(reason)) => self.fail(reason),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.fail("its thread has ended".to_owned()),
            },
        }
        Ok(None)
    }

    /// Whether the WebSocket of an attempt is there, and is to be listened to.
    pub(crate) const fn is_resuming(&self) -> bool {
        matches!(self.stage, Stage::Resuming)
    }

    /// An attempt has failed, by a WebSocket that could not be opened or was of no use. The next one has no more time
    /// for it, so that a server which takes connections and closes them is not dialled for ever.
    pub(crate) fn fail(&mut self, reason: String) {
        self.stage = Stage::Pause;
        self.reason = reason;
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::room::Room;
    use crate::signalling;
    use crate::trust::Trust;

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

    #[test]
    fn it_ends_in_time_though_nothing_has_failed() {
        let start = Instant::now();
        let mut returning = Returning::begin(start, "cut".to_owned());
        let (_tell, told) = channel();
        assert!(returning.poll(start, || told).unwrap().is_none());
        let late = start + PATIENCE;
        let mut poll = |now| returning.poll(now, || unreachable!());
        assert!(poll(late - Duration::from_millis(1)).unwrap().is_none());
        assert!(poll(late).unwrap_err().contains("within 30 s"));
    }

    #[test]
    fn a_websocket_that_is_of_no_use_wins_no_time_and_no_attempts() {
        let start = Instant::now();
        let mut returning = Returning::begin(start, "cut".to_owned());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let room: Room = format!("http://{}/r/tea", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let server = std::thread::spawn(move || tungstenite::accept(listener.accept().unwrap().0).unwrap());
        let socket = signalling::open(&room, &Trust::in_nobody(), Duration::from_secs(20)).unwrap();
        drop(server.join().unwrap());
        let (tell, told) = channel();
        tell.send(Ok(socket)).unwrap();
        assert!(returning.poll(start, || told).unwrap().is_none());
        assert!(returning.poll(start, || unreachable!()).unwrap().is_some());
        assert!(returning.is_resuming());
        returning.fail("closed".to_owned());
        assert!(!returning.is_resuming());
        let early = start + PAUSE - Duration::from_millis(1);
        assert!(returning.poll(early, || unreachable!()).unwrap().is_none());
        assert!(returning.poll(start + PAUSE, refused).unwrap().is_none());
        assert_eq!(
            returning.poll(start + PATIENCE, || unreachable!()).unwrap_err(),
            "closed"
        );
    }
}
