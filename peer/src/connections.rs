use std::mem;
use std::net::SocketAddr;

use ice::Deframer;
use wire::Path;

use crate::{Connection, ConnectionId, Event};

/// The longest frame that is taken as long as no check of the peer's has come: all that comes then are checks.
const MAX_STRANGE_FRAME: usize = 2 << 10;
/// The longest frame that there can be (RFC 4571 §2).
const MAX_FRAME: usize = u16::MAX as usize;

/// The TCP connections that a peer has asked for (RFC 6544 §7.1); the sockets are the caller's.
#[derive(Debug)]
pub(crate) struct Connections {
    all: Vec<Held>,
    most: usize,
    next: u32,
    /// Those that were too many: one of each pair at most.
    refused: Vec<Path>,
}

#[derive(Debug)]
struct Held {
    id: ConnectionId,
    /// Its local port is 0 until it is open.
    path: Path,
    progress: Progress,
    deframer: Deframer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The caller is to be asked for it.
    Wanted,
    Opening,
    Open,
    /// The caller is to be told that it is of no use any more.
    Over,
}

impl Connections {
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            all: Vec::new(),
            most,
            next: 0,
            refused: Vec::new(),
        }
    }

    /// Whether any may be opened.
    pub(crate) const fn are_possible(&self) -> bool {
        self.most > 0
    }

    /// ICE asks for one.
    pub(crate) fn want(&mut self, path: Path) {
        if self.all.len() >= self.most {
            return self.refused.push(path);
        }
        self.all.push(Held {
            id: ConnectionId(self.next),
            path,
            progress: Progress::Wanted,
            deframer: Deframer::new(MAX_STRANGE_FRAME),
        });
        self.next = self.next.wrapping_add(1);
    }

    /// The next one that there is no room for.
    pub(crate) fn refused(&mut self) -> Option<Path> {
        self.refused.pop()
    }

    fn get(&mut self, id: ConnectionId, progress: Progress) -> Option<&mut Held> {
        self.all
            .iter_mut()
            .find(|held| held.id == id && held.progress == progress)
    }

    /// It is open; gives its path, unless nobody waits for it any more.
    pub(crate) fn opened(&mut self, id: ConnectionId, local: SocketAddr) -> Option<Path> {
        let held = self.get(id, Progress::Opening)?;
        held.progress = Progress::Open;
        held.path.local = local;
        Some(held.path)
    }

    /// It was closed, or could not be opened; gives the path that ended.
    pub(crate) fn closed(&mut self, id: ConnectionId) -> Option<Path> {
        let at = self.all.iter().position(|held| held.id == id)?;
        let held = self.all.remove(at);
        (held.progress != Progress::Over).then_some(held.path)
    }

    /// It is of no use any more.
    pub(crate) fn give_up(&mut self, id: ConnectionId) {
        if let Some(held) = self.get(id, Progress::Open) {
            held.progress = Progress::Over;
        }
    }

    /// Gives up those of no use.
    pub(crate) fn keep(&mut self, used: impl Fn(&Path) -> bool) {
        self.all.retain_mut(|held| match held.progress {
            Progress::Over => true,
            _ if used(&held.path) => true,
            Progress::Wanted => false,
            Progress::Opening | Progress::Open => {
                held.progress = Progress::Over;
                true
            }
        });
    }

    /// The open one under a path.
    #[inline]
    pub(crate) fn on(&self, path: &Path) -> Option<ConnectionId> {
        let mut open = self.all.iter().filter(|held| held.progress == Progress::Open);
        open.find(|held| held.path == *path).map(|held| held.id)
    }

    /// Lends what takes the frames of an open one apart.
    pub(crate) fn lend(&mut self, id: ConnectionId) -> Option<(Path, Deframer)> {
        let held = self.get(id, Progress::Open)?;
        Some((held.path, mem::replace(&mut held.deframer, Deframer::new(0))))
    }

    /// Takes it back; longer frames are taken once ICE has validated the path.
    pub(crate) fn give_back(&mut self, id: ConnectionId, mut deframer: Deframer, validated: bool) {
        if let Some(held) = self.get(id, Progress::Open) {
            if validated {
                deframer.set_limit(MAX_FRAME);
            }
            held.deframer = deframer;
        }
    }

    /// What the caller is to do.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        let due = |held: &Held| matches!(held.progress, Progress::Wanted | Progress::Over);
        let at = self.all.iter().position(due)?;
        let held = self.all.get_mut(at)?;
        let id = held.id;
        if held.progress == Progress::Over {
            self.all.remove(at);
            return Some(Event::CloseConnection(id));
        }
        held.progress = Progress::Opening;
        Some(Event::OpenConnection(Connection {
            id,
            local: held.path.local.ip(),
            remote: held.path.remote,
        }))
    }
}
