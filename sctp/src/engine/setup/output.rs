//! What is sent for set-up and shutdown: packets that stand alone, and chunks that others may follow.

use super::{Setup, State, admission, init};
use crate::Counters;
use crate::cause::{Cause, Causes};
use crate::checksum::Checksum;
use crate::chunk::{Abort, Chunk};
use crate::packet::CommonHeader;
use crate::writer::PacketWriter;

/// Longest packet that stands alone, in bytes: an INIT ACK with its report has less than 400.
pub(super) const ALONE_LEN: usize = 512;

impl Setup {
    /// Writes the next packet that stands alone, if one waits and `out` has room for it: 512 bytes are enough. Comes before
    /// all other packets.
    pub(crate) fn poll_alone(&mut self, out: &mut [u8]) -> Option<usize> {
        if !self.reply.is_empty() {
            let len = self.reply.len();
            out.get_mut(..len)?.copy_from_slice(&self.reply);
            self.reply.clear();
            return Some(len);
        }
        if self.state != State::CookieWait || !self.due {
            return None;
        }
        let len = init::with_ours(&self.config, self.local, &[], |init| {
            self.packet(out, 0, &Chunk::Init(init))
        })?;
        self.due = false;
        Some(len)
    }

    /// Whether [`push`](Self::push) has something to write.
    pub(crate) const fn wants_push(&self) -> bool {
        self.cookie_ack_due || (self.due && !matches!(self.state, State::CookieWait))
    }

    /// Writes control chunks into a packet that has no chunks yet, has the room of `Config::base_packet` at least, and begins
    /// with [`header`](Self::header). DATA may follow COOKIE ECHO and COOKIE ACK. `cumulative_tsn` is the last TSN received
    /// in sequence.
    pub(crate) fn push(&mut self, w: &mut PacketWriter<'_>, cumulative_tsn: u32) {
        if self.cookie_ack_due {
            // First in the packet (RFC 9260 §5.1 D).
            if !w.is_empty() || w.push(&Chunk::CookieAck).is_err() {
                return;
            }
            self.cookie_ack_due = false;
        }
        if !self.due {
            return;
        }
        let written = match self.state {
            // First in the packet (RFC 9260 §5.1 C).
            State::CookieEchoed => w.is_empty() && w.push(&Chunk::CookieEcho(&self.peer_cookie)).is_ok(),
            State::ShutdownSent => w
                .push(&Chunk::Shutdown {
                    cumulative_tsn_ack: cumulative_tsn,
                })
                .is_ok(),
            State::ShutdownAckSent => w.push(&Chunk::ShutdownAck).is_ok(),
            _ => return,
        };
        if !written {
            return;
        }
        self.due = false;
        // Errors are told if there is room, and once.
        if !self.report.is_empty() {
            let _ = w.push(&error(&[Cause::UnrecognizedParameters(&self.report)]));
            self.report.clear();
        }
        if self.refusal_due {
            let _ = w.push(&error(&[Cause::CookieWhileShuttingDown]));
            self.refusal_due = false;
        }
    }

    /// Queues an answer, unless another one waits: whoever misses it asks again.
    pub(super) fn answer(&mut self, tag: u32, chunk: &Chunk<'_>, counters: &mut Counters) {
        if self.reply.is_empty() {
            self.set_reply(tag, chunk);
        } else {
            admission::count(&mut counters.sctp_replies_dropped);
        }
    }

    pub(super) fn abort_with(&mut self, tag: u32, reflected: bool, cause: Cause<'_>) {
        let causes = [cause];
        let mut abort = Abort {
            reflected,
            causes: Causes::new(&causes),
        };
        if !fits_alone(&Chunk::Abort(abort)) {
            abort.causes = Causes::default();
        }
        self.set_reply(tag, &Chunk::Abort(abort));
    }

    pub(super) fn set_reply(&mut self, tag: u32, chunk: &Chunk<'_>) {
        let mut out = [0; ALONE_LEN];
        let len = self.packet(&mut out, tag, chunk).unwrap_or_default();
        self.reply.clear();
        self.reply.extend_from_slice(out.get(..len).unwrap_or_default());
    }

    /// Writes a packet with one chunk. Its checksum is always right: it may be for one who does not know us.
    fn packet(&self, out: &mut [u8], tag: u32, chunk: &Chunk<'_>) -> Option<usize> {
        let mut w = PacketWriter::new(out, self.config.base_packet, &self.header_with(tag)).ok()?;
        w.push(chunk).ok()?;
        Some(w.finish(Checksum::Crc32c).len())
    }
}

fn fits_alone(chunk: &Chunk<'_>) -> bool {
    chunk.wire_len() <= ALONE_LEN.saturating_sub(CommonHeader::LEN)
}

pub(super) fn error<'a>(causes: &'a [Cause<'a>]) -> Chunk<'a> {
    Chunk::Error(Causes::new(causes))
}
