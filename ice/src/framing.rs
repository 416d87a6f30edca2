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

    /// Takes bytes from the front of `bytes` until a frame is whole, and gives it. `None` when all were taken and none is. Call it
    /// until it gives `None`. Empty frames are passed over.
    ///
    /// # Errors
    /// When a frame is longer than the limit; from then on always.
    pub fn next<'a>(&'a mut self, bytes: &mut &[u8]) -> Result<Option<&'a mut [u8]>, FrameTooLong> {
        if self.taken {
            self.buffer.clear();
            self.taken = false;
        }
        loop {
            self.fill(FRAME_HEADER, bytes);
            let Some(len) = self.announced() else { return Ok(None) };
            if len > self.limit {
                return Err(FrameTooLong { len, limit: self.limit });
            }
            let whole = FRAME_HEADER.saturating_add(len);
            self.fill(whole, bytes);
            if self.buffer.len() < whole {
                return Ok(None);
            }
            if len > 0 {
                self.taken = true;
                return Ok(self.buffer.get_mut(FRAME_HEADER..));
            }
            self.buffer.clear();
        }
    }

    /// How many bytes of a frame that is not whole yet it holds.
    pub fn pending(&self) -> usize {
        if self.taken { 0 } else { self.buffer.len() }
    }

    fn announced(&self) -> Option<usize> {
        match *self.buffer.as_slice() {
            [high, low, ..] => Some(usize::from(u16::from_be_bytes([high, low]))),
            _ => None,
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

    #[test]
    fn a_frame_is_its_length_and_its_bytes() {
        let mut stream = Vec::new();
        assert!(
            write_frame(b"stun", &mut stream) && write_frame(b"", &mut stream) && write_frame(b"dtls", &mut stream)
        );
        // RFC 4571 §2: a 16-bit unsigned length, then the packet.
        assert_eq!(stream, b"\x00\x04stun\x00\x00\x00\x04dtls");
        let mut deframer = Deframer::new(4);
        assert_eq!(frames(&mut deframer, &stream).unwrap(), [b"stun", b"dtls"]);
        assert_eq!(frames(&mut deframer, b"\x00").unwrap().len(), 0);
        assert_eq!(frames(&mut deframer, b"\x04abc").unwrap().len(), 0);
        assert_eq!(deframer.pending(), 5);
        assert_eq!(frames(&mut deframer, b"d").unwrap(), [b"abcd"]);
        assert!(!write_frame(&[0; 65536], &mut stream));
    }

    #[test]
    fn a_frame_beyond_the_limit_ends_it_and_allocates_nothing() {
        let mut deframer = Deframer::new(1500);
        let error = FrameTooLong {
            len: 65535,
            limit: 1500,
        };
        for _ in 0..2 {
            assert_eq!(deframer.next(&mut &[0xff; 100][..]), Err(error));
        }
        assert!(deframer.buffer.capacity() < 100);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_however_it_is_cut(
            datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..8),
            cuts in proptest::collection::vec(1_usize..50, 1..40),
        ) {
            let mut stream = Vec::new();
            datagrams.iter().for_each(|datagram| assert!(write_frame(datagram, &mut stream)));
            let mut deframer = Deframer::new(300);
            let (mut read, mut rest, mut cuts) = (Vec::new(), stream.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (segment, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                read.extend(frames(&mut deframer, segment).unwrap());
                rest = later;
            }
            prop_assert_eq!(read, datagrams);
            prop_assert_eq!(deframer.pending(), 0);
        }

        #[test]
        fn noise_never_holds_more_than_a_frame(noise in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut deframer = Deframer::new(64);
            let mut rest = noise.as_slice();
            while let Ok(Some(frame)) = deframer.next(&mut rest) {
                prop_assert!(!frame.is_empty() && frame.len() <= 64);
            }
            prop_assert!(deframer.buffer.len() <= 66);
        }
    }
}
