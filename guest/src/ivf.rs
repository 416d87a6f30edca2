use std::fmt;

/// Why bytes are no IVF file of VP8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IvfError {
    /// It does not begin with the 32 bytes of a file header.
    Header,
    /// It holds another codec than VP8.
    Codec,
    /// A frame is cut short.
    Truncated,
    /// It has no frame, the first one is no key frame, or there is no rate.
    Unplayable,
}

impl fmt::Display for IvfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "it has no IVF header",
            Self::Codec => "it holds another codec than VP8",
            Self::Truncated => "its last frame is cut short",
            Self::Unplayable => "it does not begin with a key frame, or has no frame rate",
        })
    }
}

impl std::error::Error for IvfError {}

/// Reads an IVF file of VP8: a header of 32 bytes, then frames, each behind its length (4 bytes) and time (8 bytes),
/// all little-endian. Gives the frames and how many there are per second.
///
/// # Errors
/// [`IvfError`].
pub fn read_ivf(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, f64), IvfError> {
    let header = bytes.first_chunk::<32>().ok_or(IvfError::Header)?;
    let [b'D', b'K', b'I', b'F', _, _, low, high, codec @ ..] = header else {
        return Err(IvfError::Header);
    };
    if !codec.starts_with(b"VP80") {
        return Err(IvfError::Codec);
    }
    let number = |at: usize| -> u32 {
        let field = header.get(at..).and_then(|rest| rest.first_chunk::<4>());
        field.map_or(0, |field| u32::from_le_bytes(*field))
    };
    let rate = f64::from(number(16)) / f64::from(number(20).max(1));
    let begin = usize::from(u16::from_le_bytes([*low, *high]));
    let mut rest = bytes
        .get(begin..)
        .filter(|_| begin >= header.len())
        .ok_or(IvfError::Header)?;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or(IvfError::Truncated)?;
        let (_, behind) = behind.split_first_chunk::<8>().ok_or(IvfError::Truncated)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| IvfError::Truncated)?;
        let (frame, behind) = behind.split_at_checked(length).ok_or(IvfError::Truncated)?;
        frames.push(frame.to_vec());
        rest = behind;
    }
    let playable = frames.first().is_some_and(|frame| is_key_frame(frame)) && (1.0..=1000.0).contains(&rate);
    playable.then_some((frames, rate)).ok_or(IvfError::Unplayable)
}

/// RFC 6386 §9.1: the lowest bit of the frame tag.
pub(crate) fn is_key_frame(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 1 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: &[u8] = include_bytes!("../../fixtures/media/camera.ivf");

    #[test]
    fn the_fixture_has_a_key_frame_each_second() {
        let (frames, rate) = read_ivf(CAMERA).unwrap();
        assert_eq!((frames.len(), rate), (150, 15.0));
        let keys: Vec<usize> = (0..150).filter(|n| is_key_frame(&frames[*n])).collect();
        assert_eq!(keys, (0..10).map(|second| second * 15).collect::<Vec<_>>());
    }

    #[test]
    fn no_prefix_and_no_flipped_byte_breaks_it() {
        for len in 0..2000 {
            let _ = read_ivf(&CAMERA[..len]);
        }
        assert_eq!(read_ivf(&CAMERA[..31]), Err(IvfError::Header));
        assert_eq!(read_ivf(&CAMERA[..32]), Err(IvfError::Unplayable));
        assert_eq!(read_ivf(&CAMERA[..50]), Err(IvfError::Truncated));
        for begin in [0, 31] {
            let mut other = CAMERA.to_vec();
            other[6] = begin;
            assert_eq!(read_ivf(&other), Err(IvfError::Header));
        }
        let mut other = CAMERA.to_vec();
        other[11] = b'9';
        assert_eq!(read_ivf(&other), Err(IvfError::Codec));
        for at in 0..100 {
            let mut other = CAMERA.to_vec();
            other[at] ^= 0xff;
            let _ = read_ivf(&other);
        }
    }
}
