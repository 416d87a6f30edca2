//! RFC 4571: datagrams in a stream, each behind its length in two bytes.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::arithmetic_side_effects)
)]

use std::fmt;

/// Bytes that stay allocated between frames: a datagram of media.
const KEPT: usize = 2 << 10;

/// Bytes before each frame: its length without them (RFC 4571 §2).
pub(crate) const HEADER: usize = 2;

/// Takes the frames out of a stream, whatever the pieces in which it comes.
///
/// Only what has come of an unfinished frame is kept, never what its length merely announces.
#[derive(Debug)]
pub struct Deframer {
    kept: Vec<u8>,
    longest: usize,
}

/// One that takes every frame.
impl Default for Deframer {
    fn default() -> Self {
        Self::new(Self::MAX_FRAME)
    }
}

/// A frame is longer than is taken. Nothing after it in the stream can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame is longer than is taken")
    }
}

impl std::error::Error for TooLong {}

impl Deframer {
    /// The longest frame, in bytes: what a UDP datagram can carry.
    pub const MAX_FRAME: usize = udp::MAX_MESSAGE;

    /// One that takes frames of so many bytes, at most [`MAX_FRAME`](Self::MAX_FRAME).
    pub fn new(longest: usize) -> Self {
        Self {
            kept: Vec::new(),
            longest: longest.min(Self::MAX_FRAME),
        }
    }

    /// Takes frames of so many bytes from now on.
    pub fn set_longest(&mut self, longest: usize) {
        self.longest = longest.min(Self::MAX_FRAME);
    }

    /// Takes the next piece of the stream, and hands each frame that it completes to `each`, to be worked on in place.
    /// Those that are empty are legal (RFC 4571 §2) and handed on too.
    ///
    /// # Errors
    /// [`TooLong`]; the frames before it were handed on, and the stream is of no use any more.
    pub fn push(&mut self, piece: &mut [u8], mut each: impl FnMut(&mut [u8])) -> Result<(), TooLong> {
        let mut rest = piece;
        while !self.kept.is_empty() {
            // Either the header or the frame is not complete.
            let wanted = match self.frame_len(&self.kept)? {
                None => HEADER,
                Some(len) => HEADER.saturating_add(len),
            };
            let missing = wanted.saturating_sub(self.kept.len()).min(rest.len());
            let (part, after) = std::mem::take(&mut rest).split_at_mut(missing);
            self.kept.extend_from_slice(part);
            rest = after;
            match self.frame_len(&self.kept)? {
                Some(len) if self.kept.len() == HEADER.saturating_add(len) => {
                    each(self.kept.get_mut(HEADER..).unwrap_or_default());
                    self.kept.clear();
                    // What one long frame took is not kept for ever.
                    self.kept.shrink_to(KEPT);
                }
                _ if rest.is_empty() => return Ok(()),
                _ => {}
            }
        }
        while let Some(len) = self.frame_len(rest)? {
            if rest.len() < HEADER.saturating_add(len) {
                break;
            }
            let (frame, after) = std::mem::take(&mut rest).split_at_mut(HEADER.saturating_add(len));
            each(frame.get_mut(HEADER..).unwrap_or_default());
            rest = after;
        }
        self.kept.extend_from_slice(rest);
        Ok(())
    }

    /// The length that a frame announces; `None` while its header is not complete.
    fn frame_len(&self, data: &[u8]) -> Result<Option<usize>, TooLong> {
        let Some((header, _)) = data.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes(*header));
        if len > self.longest {
            return Err(TooLong);
        }
        Ok(Some(len))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
        let framed = frames.iter().flat_map(|frame| {
            let len = u16::try_from(frame.len()).unwrap().to_be_bytes();
            len.into_iter().chain(frame.iter().copied())
        });
        framed.collect()
    }

    fn deframe(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), TooLong>) {
        let (mut deframer, mut frames) = (Deframer::default(), Vec::new());
        for piece in pieces {
            let pushed = deframer.push(&mut piece.to_vec(), |frame| frames.push(frame.to_vec()));
            if pushed.is_err() {
                return (frames, pushed);
            }
        }
        (frames, Ok(()))
    }

    #[test]
    fn a_frame_is_what_its_length_says() {
        let bytes = [0, 3, 1, 2, 3, 0, 0, 0, 1, 9, 0, 2, 7];
        let (frames, result) = deframe(&[&bytes]);
        assert_eq!((frames, result), (vec![vec![1, 2, 3], vec![], vec![9]], Ok(())));
    }

    #[test]
    fn what_is_longer_than_a_datagram_ends_the_stream() {
        let longest = u16::try_from(Deframer::MAX_FRAME).unwrap();
        let mut fits = longest.to_be_bytes().to_vec();
        fits.resize(HEADER + Deframer::MAX_FRAME, 5);
        let (frames, result) = deframe(&[&fits]);
        assert_eq!((frames[0].len(), result), (Deframer::MAX_FRAME, Ok(())));
        let [high, low] = (longest + 1).to_be_bytes();
        for pieces in [&[&[0, 1, 9, high, low][..]][..], &[&[0, 1, 9, high], &[low]]] {
            assert_eq!(deframe(pieces), (vec![vec![9]], Err(TooLong)));
        }
    }

    #[test]
    fn how_long_frames_are_may_change() {
        let (mut deframer, mut lengths) = (Deframer::new(3), Vec::new());
        let mut four = [0, 4, 1, 2, 3, 4];
        deframer
            .push(&mut [0, 3, 1, 2, 3], |frame| lengths.push(frame.len()))
            .unwrap();
        assert_eq!(deframer.push(&mut four, |_| unreachable!()), Err(TooLong));
        let mut deframer = Deframer::new(3);
        deframer.set_longest(usize::MAX);
        deframer.push(&mut four, |frame| lengths.push(frame.len())).unwrap();
        assert_eq!(lengths, [3, 4]);
    }

    #[test]
    fn only_what_has_come_is_kept() {
        let mut deframer = Deframer::default();
        deframer.push(&mut [0xf0, 0, 1, 2, 3], |_| unreachable!()).unwrap();
        assert!(deframer.kept.len() == 5 && deframer.kept.capacity() < 64);
    }

    proptest! {
        /// Whatever the pieces, the frames are the same.
        #[test]
        fn pieces_make_no_difference(
            frames in vec(vec(any::<u8>(), 0..40), 0..12),
            cuts in vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let bytes = stream(&frames);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(deframe(&pieces), (frames, Ok(())));
        }
    }
}
