use core::fmt;

/// The buffer that a [`Writer`] was given has no room for what was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output buffer is too short")
    }
}

impl core::error::Error for Full {}

/// A place in the output that is filled in later, such as a length field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a reserved field has to be filled"]
pub struct Mark {
    at: usize,
    width: usize,
}

impl Mark {
    /// The first byte after the reserved field: where a length usually begins to count.
    pub const fn end(&self) -> usize {
        self.at.saturating_add(self.width)
    }
}

/// A cursor that writes in network order into a buffer of the caller's. A failed write leaves the position as it was.
pub struct Writer<'a> {
    out: &'a mut [u8],
    position: usize,
}

impl<'a> Writer<'a> {
    /// A cursor at the start of `out`.
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { out, position: 0 }
    }

    /// Bytes written so far.
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Room that is left, in bytes.
    pub const fn remaining(&self) -> usize {
        self.out.len().saturating_sub(self.position)
    }

    /// What was written so far.
    pub fn written(&self) -> &[u8] {
        self.out.get(..self.position).unwrap_or_default()
    }

    /// What was written so far, to be changed in place.
    pub fn written_mut(&mut self) -> &mut [u8] {
        self.out.get_mut(..self.position).unwrap_or_default()
    }

    /// Ends writing and gives back what was written.
    pub fn into_written(self) -> &'a mut [u8] {
        self.out.get_mut(..self.position).unwrap_or_default()
    }

    /// Takes everything after `position` back; a later position than the present one changes nothing.
    pub fn truncate(&mut self, position: usize) {
        self.position = self.position.min(position);
    }

    /// Writes `bytes`.
    ///
    /// # Errors
    /// [`Full`] when they do not fit.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.space(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Leaves `len` bytes to be filled by the caller now; they hold what the buffer held before.
    ///
    /// # Errors
    /// [`Full`] when they do not fit.
    pub fn space(&mut self, len: usize) -> Result<&mut [u8], Full> {
        let end = self.position.checked_add(len).ok_or(Full)?;
        let space = self.out.get_mut(self.position..end).ok_or(Full)?;
        self.position = end;
        Ok(space)
    }

    /// Writes `len` zero bytes.
    ///
    /// # Errors
    /// [`Full`] when they do not fit.
    pub fn zeros(&mut self, len: usize) -> Result<(), Full> {
        self.space(len)?.fill(0);
        Ok(())
    }

    /// Writes one byte.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub fn u8(&mut self, value: u8) -> Result<(), Full> {
        self.put(&[value])
    }

    /// Writes two bytes.
    ///
    /// # Errors
    /// [`Full`] when they do not fit.
    pub fn u16(&mut self, value: u16) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }

    /// Writes the low three bytes of `value`.
    ///
    /// # Errors
    /// [`Full`] when they do not fit, or when `value` is above 2^24 - 1.
    pub fn u24(&mut self, value: u32) -> Result<(), Full> {
        let [0, low @ ..] = value.to_be_bytes() else {
            return Err(Full);
        };
        self.put(&low)
    }

    /// Writes four bytes.
    ///
    /// # Errors
    /// [`Full`] when they do not fit.
    pub fn u32(&mut self, value: u32) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }

    /// Writes the low six bytes of `value`.
    ///
    /// # Errors
    /// [`Full`] when they do not fit, or when `value` is above 2^48 - 1.
    pub fn u48(&mut self, value: u64) -> Result<(), Full> {
        let [0, 0, low @ ..] = value.to_be_bytes() else {
            return Err(Full);
        };
        self.put(&low)
    }

    /// Writes eight bytes.
    ///
    /// # Errors
    /// [`Full`] when they do not fit.
    pub fn u64(&mut self, value: u64) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }

    /// Reserves a field of `width` bytes (1, 2 or 3), zero until [`fill`](Self::fill) or
    /// [`fill_length`](Self::fill_length).
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub fn reserve(&mut self, width: usize) -> Result<Mark, Full> {
        let at = self.position;
        self.zeros(width)?;
        Ok(Mark { at, width })
    }

    /// Fills a reserved field.
    ///
    /// # Errors
    /// [`Full`] when `value` needs more bytes than were reserved.
    pub fn fill(&mut self, mark: Mark, value: usize) -> Result<(), Full> {
        let bytes = u64::try_from(value).map_err(|_| Full)?.to_be_bytes();
        let (high, low) = bytes
            .split_at_checked(bytes.len().saturating_sub(mark.width))
            .ok_or(Full)?;
        if high.iter().any(|&byte| byte != 0) {
            return Err(Full);
        }
        self.out.get_mut(mark.at..mark.end()).ok_or(Full)?.copy_from_slice(low);
        Ok(())
    }

    /// Fills a reserved field with the number of bytes written since.
    ///
    /// # Errors
    /// [`Full`] when the length needs more bytes than were reserved.
    pub fn fill_length(&mut self, mark: Mark) -> Result<(), Full> {
        self.fill(mark, self.position.saturating_sub(mark.end()))
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("position", &self.position)
            .field("remaining", &self.remaining())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;
    use proptest::prelude::*;

    #[test]
    fn a_length_field_is_filled_afterwards() {
        let mut buf = [0xff; 16];
        let mut w = Writer::new(&mut buf);
        w.u8(1).unwrap();
        let mark = w.reserve(2).unwrap();
        w.put(b"abc").unwrap();
        w.fill_length(mark).unwrap();
        assert_eq!(w.written(), &[1, 0, 3, b'a', b'b', b'c']);
    }

    #[test]
    fn too_large_values_are_refused() {
        let mut buf = [0; 300];
        let mut w = Writer::new(&mut buf);
        assert_eq!(w.u24(1 << 24), Err(Full));
        assert_eq!(w.u48(1 << 48), Err(Full));
        let mark = w.reserve(1).unwrap();
        w.zeros(256).unwrap();
        assert_eq!(w.fill_length(mark), Err(Full));
    }

    #[test]
    fn a_failed_write_leaves_the_position() {
        let mut buf = [0; 3];
        let mut w = Writer::new(&mut buf);
        w.u16(7).unwrap();
        assert_eq!(w.u16(8), Err(Full));
        assert_eq!(w.position(), 2);
        w.u8(9).unwrap();
        assert_eq!(w.into_written(), &[0, 7, 9]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(a: u8, b: u16, c in 0u32..1 << 24, d: u32, e in 0u64..1 << 48, f: u64) {
            let mut buf = [0; 24];
            let mut w = Writer::new(&mut buf);
            w.u8(a).unwrap();
            w.u16(b).unwrap();
            w.u24(c).unwrap();
            w.u32(d).unwrap();
            w.u48(e).unwrap();
            w.u64(f).unwrap();
            let mut r = Reader::new(w.into_written());
            prop_assert_eq!((r.u8(), r.u16(), r.u24()), (Ok(a), Ok(b), Ok(c)));
            prop_assert_eq!((r.u32(), r.u48(), r.u64()), (Ok(d), Ok(e), Ok(f)));
            prop_assert!(r.is_empty());
        }
    }
}
