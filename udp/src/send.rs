use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;

use quinn_udp::{EcnCodepoint, UdpSockRef};
use wire::Transmit;

use crate::Socket;
use crate::icmp::may_be_of_earlier;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::mmsg::Arrays;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use crate::single::Arrays;

/// The most datagrams in one message that every kernel with segmentation takes (`UDP_MAX_SEGMENTS`; newer ones take
/// 128).
pub const MAX_SEGMENTS: usize = 64;

/// The most bytes in one message: what a single IPv4 datagram could carry, even when it leaves in many.
pub const MAX_MESSAGE: usize = 65_507;

/// ICMP errors that may come in a row, one before each try to send the same message. A message that is refused for
/// itself costs as many tries more.
const MAX_EARLIER_ERRORS: usize = 3;

/// Messages on their way into one socket, and the arrays that `sendmmsg` wants, made once.
///
/// The bytes stay in the caller's slab: a message remembers only where they lie, and the caller hands the same slab to
/// [`send`](Self::send). When the socket's buffer is full, the messages from there on stay in the batch for the next
/// call.
pub struct SendBatch {
    messages: Vec<Message>,
    /// The first one that has not left.
    next: usize,
    arrays: Arrays,
}

/// One message: a datagram or a run of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    pub(crate) transmit: Transmit,
    /// Where in the slab its bytes begin.
    pub(crate) offset: usize,
    /// The kernel would not segment it: its datagrams go one by one.
    singly: bool,
}

/// What a call of [`SendBatch::send`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a blocked batch keeps what it could not send"]
pub enum Sent {
    /// All that was in the batch has left or was refused.
    All,
    /// The socket's buffer is full. What is left waits in the batch until mio says that the socket is writable.
    Blocked,
}

/// The batch has no room for another message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the batch is full: send it first")
    }
}

impl std::error::Error for Full {}

impl SendBatch {
    /// A batch for up to `capacity` messages.
    pub fn new(capacity: usize) -> Self {
        Self {
            messages: Vec::with_capacity(capacity),
            next: 0,
            arrays: Arrays::new(capacity),
        }
    }

    /// Messages that have not left.
    pub fn len(&self) -> usize {
        self.messages.len() - self.next
    }

    /// Whether nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is room for one more message of at most [`MAX_SEGMENTS`] datagrams.
    pub fn is_full(&self) -> bool {
        self.messages.len() == self.messages.capacity()
    }

    /// Forgets what has not left, for who rather loses datagrams than waits. Says how many messages that were.
    pub fn clear(&mut self) -> usize {
        let unsent = self.len();
        self.messages.clear();
        self.next = 0;
        unsent
    }

    /// Adds what an engine wrote into the slab at `offset`. A run of more than [`MAX_SEGMENTS`] becomes several
    /// messages.
    ///
    /// # Errors
    /// [`Full`] when there is no room; nothing was added.
    pub fn push(&mut self, transmit: &Transmit, offset: usize) -> Result<(), Full> {
        let parts = transmit.datagrams().div_ceil(MAX_SEGMENTS);
        if self.messages.capacity() - self.messages.len() < parts {
            return Err(Full);
        }
        let part = transmit
            .segment
            .map_or(transmit.len, |size| usize::from(size.get()) * MAX_SEGMENTS);
        for start in (0..transmit.len).step_by(part.max(1)) {
            let len = part.min(transmit.len - start);
            // The kernel takes a run of one for a mistake.
            let segment = transmit.segment.filter(|size| usize::from(size.get()) < len);
            let transmit = Transmit {
                len,
                segment,
                ..*transmit
            };
            self.messages.push(Message {
                transmit,
                offset: offset + start,
                singly: false,
            });
        }
        Ok(())
    }

    /// Sends what is in the batch. `slab` is where the messages lie.
    ///
    /// A message that the kernel refuses is skipped and counted in the socket's [`counters`](Socket::counters).
    pub fn send(&mut self, socket: &mut Socket, slab: &[u8]) -> Sent {
        self.send_by(socket, slab, hand_over)
    }

    fn send_by(
        &mut self,
        socket: &mut Socket,
        slab: &[u8],
        mut hand_over: impl FnMut(&mut Arrays, &mut Socket, &mut [Message], &[u8]) -> io::Result<usize>,
    ) -> Sent {
        while let Some(rest) = self.messages.get_mut(self.next..).filter(|rest| !rest.is_empty()) {
            match hand_over(&mut self.arrays, socket, rest, slab) {
                Ok(taken) => self.next += taken.max(1),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    socket.counters.udp_send_blocked += 1;
                    return Sent::Blocked;
                }
                // `sendmmsg` tells what is wrong with a message only when that message comes first.
                Err(error) => {
                    if let Some(first) = self.messages.get_mut(self.next)
                        && !may_pass_singly(socket, first, &error)
                    {
                        self.next += 1;
                    }
                }
            }
        }
        self.messages.clear();
        self.next = 0;
        Sent::All
    }
}

impl fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch")
            .field("unsent", &self.len())
            .field("capacity", &self.messages.capacity())
            .finish_non_exhaustive()
    }
}

/// Gives the kernel as many of `messages` (there is at least one) as it takes at once, and says how many that were. An
/// error is about the first of them.
fn hand_over(arrays: &mut Arrays, socket: &mut Socket, messages: &mut [Message], slab: &[u8]) -> io::Result<usize> {
    match messages {
        [first, ..] if first.singly || !socket.segmentation => send_singly(socket, first, slab),
        _ => past_earlier_errors(socket.icmp, || arrays.send(socket, messages, slab))
            .inspect(|&taken| count(socket, messages, taken)),
    }
}

/// Makes a call again that failed for what an earlier datagram met: a socket that is told of ICMP errors answers the
/// next call with the last of them, once, and sends nothing. What is refused for itself is refused again.
fn past_earlier_errors<T>(icmp: bool, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut tries = if icmp { MAX_EARLIER_ERRORS } else { 0 };
    loop {
        match call() {
            Err(error) if tries > 0 && may_be_of_earlier(&error) => tries -= 1,
            done => return done,
        }
    }
}

/// The way without `sendmmsg` and without segmentation: one system call per datagram of the message. What has left is
/// taken off the message, so that after a full buffer it goes on where it stopped.
fn send_singly(socket: &mut Socket, message: &mut Message, slab: &[u8]) -> io::Result<usize> {
    let mut transmit = message.transmit;
    while message.transmit.len > 0 {
        let segment = transmit
            .segment
            .map_or(message.transmit.len, |size| usize::from(size.get()));
        transmit.len = segment.min(message.transmit.len);
        let single = Message { transmit, ..*message };
        let datagram = quinn_udp::Transmit {
            destination: transmit.path.remote,
            ecn: EcnCodepoint::from_bits(transmit.ecn as u8),
            contents: slab.get(single.range()).ok_or(ErrorKind::InvalidInput)?,
            segment_size: None,
            src_ip: socket.source(transmit.path.local),
        };
        past_earlier_errors(socket.icmp, || {
            socket.state.try_send(UdpSockRef::from(&socket.io), &datagram)
        })?;
        count(socket, &[single], 1);
        if std::mem::take(&mut message.singly) {
            socket.counters.udp_segmentation_refused += 1;
        }
        message.offset += transmit.len;
        message.transmit.len -= transmit.len;
    }
    Ok(1)
}

/// What to do with a message that the kernel refused: true when it is worth trying its datagrams one by one, else it
/// has been counted and is to be skipped.
fn may_pass_singly(socket: &mut Socket, message: &mut Message, error: &io::Error) -> bool {
    if message.transmit.len > MAX_MESSAGE {
        socket.counters.udp_send_too_long += 1;
        return false;
    }
    // EIO: the way out cannot segment. EINVAL: the same, or a segment is larger than the way out takes, or the address
    // is wrong; the first datagram alone will tell.
    if message.transmit.segment.is_some()
        && socket.segmentation
        && !message.singly
        && let Some(code @ (libc::EIO | libc::EINVAL)) = error.raw_os_error()
    {
        message.singly = true;
        socket.segmentation = code != libc::EIO;
        return true;
    }
    socket.counters.udp_send_refused += 1;
    false
}

fn count(socket: &mut Socket, messages: &[Message], taken: usize) {
    let traffic = &mut socket.traffic;
    traffic.udp_send_calls += 1;
    for Message { transmit, .. } in messages.iter().take(taken) {
        traffic.udp_sent_messages += 1;
        traffic.udp_sent_datagrams += transmit.datagrams() as u64;
        traffic.udp_sent_bytes += transmit.len as u64;
    }
}

impl Message {
    pub(crate) fn range(&self) -> Range<usize> {
        self.offset..self.offset.saturating_add(self.transmit.len)
    }
}

#[cfg(test)]
mod tests;
