use core::fmt;

/// A master key identifier (RFC 3711 §3.1): 1 to 16 bytes that stand in each SRTP and SRTCP packet and tell under which
/// master key it was sealed. It is no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mki {
    len: u8,
    // Bytes beyond the length are zero.
    bytes: [u8; Self::MAX_LEN],
}

impl Mki {
    /// The longest that is taken, in bytes. RFC 5764 §4.1.1 has room for 255, which would stand in every packet.
    pub const MAX_LEN: usize = 16;

    /// An identifier of these bytes; `None` when there are none, or more than [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(value: &[u8]) -> Option<Self> {
        let len = u8::try_from(value.len()).ok().filter(|&len| len > 0)?;
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self { len, bytes })
    }

    /// The bytes, as they stand in a packet.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }

    /// How many bytes it adds to each packet.
    #[allow(clippy::len_without_is_empty, reason = "there is no empty one")]
    pub const fn len(&self) -> usize {
        self.len as usize
    }
}

impl fmt::Debug for Mki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mki(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_empty_and_never_long() {
        assert_eq!(Mki::new(&[]), None);
        for len in 1..=Mki::MAX_LEN {
            let bytes = vec![0xa5; len];
            assert_eq!(
                Mki::new(&bytes).map(|mki| (mki.as_bytes().to_vec(), mki.len())),
                Some((bytes, len))
            );
        }
        for len in [17, 255, 256, 257, 512] {
            assert_eq!(Mki::new(&vec![1; len]), None, "{len}");
        }
        assert_eq!(format!("{:?}", Mki::new(&[1, 0xab])), "Some(Mki(01ab))");
    }
}
