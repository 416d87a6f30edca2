//! The framing of datagrams on a TCP connection (RFC 4571 §2), as ICE-TCP uses it (RFC 6544 §3).
#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use std::fmt;

/// The length before each frame, in bytes.
pub const FRAME_HEADER: usize = 2;

/// A frame is longer than the reader takes: the connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameTooLong {
    /// What the frame announced, in bytes.
    pub len: usize,
    /// What is taken at most.
    pub limit: usize,
}

impl fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a frame of {} bytes is longer than the {} that are taken: close the connection",
            self.len, self.limit
        )
    }
}

impl std::error::Error for FrameTooLong {}

/// Bytes that stay allocated between frames: a datagram of media.
const KEPT: usize = 2 << 10;

/// Takes the frames of one connection apart, however they were cut into segments.
///
/// It holds at most one frame, and allocates only what has come, not what is announced.
#[derive(Debug)]
pub struct Deframer {
    buffer: Vec<u8>,
    limit: usize,
    /// The frame in the buffer was handed out.
    taken: bool,
}

impl Deframer {
    /// One that takes frames of up to `limit` bytes, header not counted.
    pub const fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            limit,
            taken: false,
        }
    }

    /// Takes frames of up to `limit` bytes from now on.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes the next piece of the stream, and hands each frame that it completes to `each`, to be worked on in place:
    /// only one that is cut by the end of a piece is copied. Empty frames are legal (RFC 4571 §2) and handed on too.
    ///
    /// # Errors
    /// When a frame is longer than the limit; from then on always. The frames before it were handed on.
    pub fn push(&mut self, piece: &mut [u8], mut each: impl FnMut(&mut [u8])) -> Result<(), FrameTooLong> {
        let mut rest = piece;
        loop {
            if self.pending() == 0 {
                while let Some((frame, after)) = self.split(&mut rest) {
                    each(frame);
                    rest = after;
                }
            }
            let mut bytes = &*rest;
            let Some(frame) = self.next(&mut bytes)? else {
                return Ok(());
            };
            each(frame);
            self.give_back();
            let taken = rest.len().saturating_sub(bytes.len());
            rest = rest.get_mut(taken..).unwrap_or_default();
        }
    }

    /// Takes bytes from the front of `bytes` until a frame is whole, and gives a copy of it. `None` when all were taken
    /// and none is. Call it until it gives `None`.
    ///
    /// # Errors
    /// When a frame is longer than the limit; from then on always.
    pub fn next<'a>(&'a mut self, bytes: &mut &[u8]) -> Result<Option<&'a mut [u8]>, FrameTooLong> {
        self.give_back();
        self.fill(FRAME_HEADER, bytes);
        let Some(len) = announced(&self.buffer) else {
            return Ok(None);
        };
        if len > self.limit {
            return Err(FrameTooLong { len, limit: self.limit });
        }
        let whole = FRAME_HEADER.saturating_add(len);
        self.fill(whole, bytes);
        if self.buffer.len() < whole {
            return Ok(None);
        }
        self.taken = true;
        Ok(self.buffer.get_mut(FRAME_HEADER..))
    }

    /// How many bytes of a frame that is not whole yet it holds.
    pub fn pending(&self) -> usize {
        if self.taken { 0 } else { self.buffer.len() }
    }

    /// Cuts the first frame off, if it is whole and not too long.
    fn split<'a>(&self, bytes: &mut &'a mut [u8]) -> Option<(&'a mut [u8], &'a mut [u8])> {
        let len = announced(bytes).filter(|len| *len <= self.limit)?;
        let whole = FRAME_HEADER.saturating_add(len);
        if bytes.len() < whole {
            return None;
        }
        let (frame, after) = std::mem::take(bytes).split_at_mut_checked(whole)?;
        Some((frame.get_mut(FRAME_HEADER..)?, after))
    }

    /// Ends the use of the frame that was handed out. What a long one took is not kept for ever.
    fn give_back(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.buffer.clear();
            self.buffer.shrink_to(KEPT);
        }
    }

    /// Takes bytes until the buffer holds so many.
    fn fill(&mut self, len: usize, bytes: &mut &[u8]) {
        let missing = len.saturating_sub(self.buffer.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.buffer.extend_from_slice(taken);
        *bytes = rest;
    }
}

/// The length that a frame announces; `None` while its header is not whole.
fn announced(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<FRAME_HEADER>()?;
    Some(usize::from(u16::from_be_bytes(*header)))
}

/// The header of a frame with a datagram of `len` bytes; `None` when it does not fit into 16 bits.
pub fn frame_header(len: usize) -> Option<[u8; FRAME_HEADER]> {
    u16::try_from(len).ok().map(u16::to_be_bytes)
}

/// Writes `datagram` as a frame to the end of `stream`. `false` when it is longer than 65535 bytes: nothing is written.
pub fn write_frame(datagram: &[u8], stream: &mut Vec<u8>) -> bool {
    let Some(header) = frame_header(datagram.len()) else {
        return false;
    };
    stream.extend_from_slice(&header);
    stream.extend_from_slice(datagram);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(deframer: &mut Deframer, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameTooLong> {
        let mut frames = Vec::new();
        while let Some(frame) = deframer.next(&mut bytes)? {
            frames.push(frame.to_vec());
        }
        assert!(bytes.is_empty());
        Ok(frames)
    }

    /// What comes of pieces, with `push`.
    fn pushed(deframer: &mut Deframer, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), FrameTooLong>) {
        let mut frames = Vec::new();
        let mut push = |piece: &&[u8]| deframer.push(&mut piece.to_vec(), |frame| frames.push(frame.to_vec()));
        let result = pieces.iter().try_for_each(&mut push);
        (frames, result)
    }

    #[test]
    fn a_frame_is_its_length_and_its_bytes() {
        let mut stream = Vec::new();
        assert!(
            write_frame(b"stun", &mut stream) && write_frame(b"", &mut stream) && write_frame(b"dtls", &mut stream)
        );
        // RFC 4571 §2: a 16-bit unsigned length, then the packet.
        assert_eq!(stream, b"\x00\x04stun\x00\x00\x00\x04dtls");
        let mut deframer = Deframer::new(4);
        let expected: [&[u8]; 3] = [b"stun", b"", b"dtls"];
        assert_eq!(frames(&mut deframer, &stream).unwrap(), expected);
        let (pushed, result) = pushed(&mut Deframer::new(4), &[&stream]);
        assert_eq!((pushed.as_slice(), result), (&expected.map(<[u8]>::to_vec)[..], Ok(())));
        assert_eq!(frames(&mut deframer, b"\x00").unwrap().len(), 0);
        assert_eq!(frames(&mut deframer, b"\x04abc").unwrap().len(), 0);
        assert_eq!(deframer.pending(), 5);
        assert_eq!(frames(&mut deframer, b"d").unwrap(), [b"abcd"]);
        assert!(!write_frame(&[0; 65536], &mut stream));
    }

    #[test]
    fn a_frame_beyond_the_limit_ends_it_and_allocates_nothing() {
        let error = Err(FrameTooLong {
            len: 65535,
            limit: 1500,
        });
        let mut deframer = Deframer::new(1500);
        for _ in 0..2 {
            assert_eq!(deframer.next(&mut &[0xff; 100][..]).map(|_| ()), error);
        }
        assert!(deframer.buffer.capacity() < 100);
        // Frames before it are handed on.
        for pieces in [&[&[0, 1, 9, 0xff, 0xff, 7][..]][..], &[&[0, 1, 9, 0xff], &[0xff]]] {
            let mut deframer = Deframer::new(1500);
            assert_eq!(pushed(&mut deframer, pieces), (vec![vec![9]], error));
            assert_eq!(pushed(&mut deframer, &[&[0, 1, 9]]), (vec![], error));
        }
    }

    #[test]
    fn the_limit_may_change() {
        let mut deframer = Deframer::new(3);
        assert_eq!(pushed(&mut deframer, &[&[0, 3, 1, 2, 3]]).1, Ok(()));
        deframer.set_limit(4);
        assert_eq!(pushed(&mut deframer, &[&[0, 4, 1, 2, 3, 4]]).1, Ok(()));
        deframer.set_limit(3);
        let error = FrameTooLong { len: 4, limit: 3 };
        assert_eq!(pushed(&mut deframer, &[&[0, 4, 1, 2, 3, 4]]).1, Err(error));
    }

    #[test]
    fn frames_lie_where_they_were_read() {
        let mut piece = [0, 1, 8, 0, 2, 9, 9, 0, 1];
        let within = piece.as_ptr_range();
        let mut deframer = Deframer::new(9);
        let mut frames = 0;
        let each = |frame: &mut [u8]| {
            frames += 1;
            assert!(within.contains(&frame.as_ptr()));
        };
        deframer.push(&mut piece, each).unwrap();
        assert_eq!((frames, deframer.buffer.as_slice()), (2, &[0, 1][..]));
    }

    #[test]
    fn only_what_has_come_is_kept_and_no_long_frame_for_ever() {
        let mut deframer = Deframer::new(60_000);
        assert_eq!(pushed(&mut deframer, &[&[0xea, 0x60, 1, 2, 3]]), (vec![], Ok(())));
        assert!(deframer.pending() == 5 && deframer.buffer.capacity() < 64);
        assert_eq!(pushed(&mut deframer, &[&[7; 59_997]]).0.len(), 1);
        assert!(deframer.buffer.capacity() <= KEPT && deframer.pending() == 0);
    }

    proptest! {
        /// Whatever the pieces, and whoever takes them.
        #[test]
        fn what_was_written_is_read_however_it_is_cut(
            datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            cuts in proptest::collection::vec(1_usize..50, 1..40),
        ) {
            let mut stream = Vec::new();
            datagrams.iter().for_each(|datagram| assert!(write_frame(datagram, &mut stream)));
            let (mut copying, mut in_place) = (Deframer::new(300), Deframer::new(300));
            let (mut copied, mut lent) = (Vec::new(), Vec::new());
            let (mut rest, mut cuts) = (stream.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (segment, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                copied.extend(frames(&mut copying, segment).unwrap());
                lent.extend(pushed(&mut in_place, &[segment]).0);
                prop_assert_eq!(copying.pending(), in_place.pending());
                rest = later;
            }
            prop_assert_eq!((&copied, &lent), (&datagrams, &datagrams));
            prop_assert_eq!(in_place.pending(), 0);
        }

        #[test]
        fn noise_never_holds_more_than_a_frame(noise in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut deframer = Deframer::new(64);
            let mut rest = noise.as_slice();
            while let Ok(Some(frame)) = deframer.next(&mut rest) {
                prop_assert!(frame.len() <= 64);
            }
            prop_assert!(deframer.buffer.len() <= 66);
        }
    }
}
