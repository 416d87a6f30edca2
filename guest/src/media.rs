use std::io::Cursor;
use std::path::Path;
use std::time::Duration;
use std::{fmt, fs, io};

use crate::ivf::{IvfError, read_ivf};

/// What a guest plays, in a loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// VP8 frames, the first one a key frame. It should have one each second or so: on a request for a key frame the
    /// guest jumps to the next one.
    pub(crate) frames: Vec<Vec<u8>>,
    /// How many of them are shown in a second.
    pub(crate) frame_rate: f64,
    /// Opus packets of 20 ms.
    pub(crate) sound: Vec<Vec<u8>>,
}

/// Why there is nothing to play.
#[derive(Debug)]
pub enum MediaError {
    /// A file cannot be read.
    Io(io::Error),
    /// The picture.
    Ivf(IvfError),
    /// The sound is no Ogg file.
    Ogg(ogg::OggReadError),
    /// The Ogg file has no Opus packets.
    NoOpus,
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the file cannot be read: {error}"),
            Self::Ivf(error) => write!(f, "the IVF file cannot be played: {error}"),
            Self::Ogg(error) => write!(f, "the Ogg file cannot be played: {error}"),
            Self::NoOpus => f.write_str("the Ogg file has no Opus packets"),
        }
    }
}

impl std::error::Error for MediaError {}

impl From<io::Error> for MediaError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Media {
    /// How long a packet of sound lasts.
    pub(crate) const SOUND: Duration = Duration::from_millis(20);

    /// From the bytes of an IVF file (VP8) and of an Ogg file (Opus, RFC 7845, packets of 20 ms).
    ///
    /// # Errors
    /// [`MediaError`].
    pub fn new(ivf: &[u8], ogg: &[u8]) -> Result<Self, MediaError> {
        let (frames, frame_rate) = read_ivf(ivf).map_err(MediaError::Ivf)?;
        let mut reader = ogg::PacketReader::new(Cursor::new(ogg));
        let mut sound = Vec::new();
        while let Some(packet) = reader.read_packet().map_err(MediaError::Ogg)? {
            sound.push(packet.data);
        }
        // RFC 7845 §3: first the header, then the comments.
        let is_opus = sound.first().is_some_and(|head| head.starts_with(b"OpusHead"));
        if !is_opus || sound.len() < 3 {
            return Err(MediaError::NoOpus);
        }
        sound.drain(..2);
        Ok(Self {
            frames,
            frame_rate,
            sound,
        })
    }

    /// From files.
    ///
    /// # Errors
    /// [`MediaError`].
    pub fn open(ivf: &Path, ogg: &Path) -> Result<Self, MediaError> {
        Self::new(&fs::read(ivf)?, &fs::read(ogg)?)
    }

    /// The ten seconds that come with it.
    ///
    /// # Panics
    /// Never: a test plays them.
    pub fn built_in() -> Self {
        let (ivf, ogg) = (
            include_bytes!("../../fixtures/media/camera.ivf"),
            include_bytes!("../../fixtures/media/voice.ogg"),
        );
        Self::new(ivf, ogg).expect("the fixtures can be played")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_last_ten_seconds() {
        let media = Media::built_in();
        assert_eq!(media.frames.len(), 150);
        assert!((500..=502).contains(&media.sound.len()), "{}", media.sound.len());
        // Mono, 20 ms (RFC 6716 §3.1), in each packet one frame.
        assert!(media.sound.iter().all(|packet| packet[0] & 3 == 0));
    }

    #[test]
    fn other_files_are_refused() {
        let camera = include_bytes!("../../fixtures/media/camera.ivf");
        assert!(matches!(Media::new(b"", b""), Err(MediaError::Ivf(IvfError::Header))));
        assert!(matches!(Media::new(camera, camera), Err(MediaError::Ogg(_))));
        assert!(Media::new(camera, b"").is_err());
    }
}
