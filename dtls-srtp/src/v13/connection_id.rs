//! The messages about connection IDs (RFC 9147 §9).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use crate::extension::write_bytes8;

/// `NewConnectionId` (RFC 9147 §9): ids that the other side may send with from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewConnectionId<'a> {
    list: &'a [u8],
    /// Whether one of them has to be used at once (`cid_immediate`), or when it is wanted (`cid_spare`).
    pub immediate: bool,
}

impl<'a> NewConnectionId<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let len = r.u16()?;
        let mut ids = r.sub(usize::from(len))?;
        let list = ids.peek();
        while !ids.is_empty() {
            let len = ids.u8()?;
            ids.skip(usize::from(len))?;
        }
        let usage = r.u8()?;
        r.ensure(usage <= 1, "new ids are immediate or spare (RFC 9147 §9)")?;
        r.finish()?;
        Ok(Self {
            list,
            immediate: usage == 0,
        })
    }

    /// The ids in their order, of up to 255 bytes each.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut r = Reader::new(self.list);
        std::iter::from_fn(move || {
            let len = r.u8().ok()?;
            r.take(usize::from(len)).ok()
        })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        Self::write_ids(w, self.iter(), self.immediate)
    }

    /// Writes a message with these ids.
    ///
    /// # Errors
    /// When it does not fit, or when an id is longer than 255 bytes.
    pub fn write_ids<'i>(
        w: &mut Writer<'_>,
        ids: impl IntoIterator<Item = &'i [u8]>,
        immediate: bool,
    ) -> Result<(), Full> {
        let list = w.reserve(2)?;
        for id in ids {
            write_bytes8(w, id)?;
        }
        w.fill_length(list)?;
        w.u8(u8::from(!immediate))
    }
}

/// `RequestConnectionId` (RFC 9147 §9): so many ids are wanted to send with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestConnectionId {
    /// How many; fewer may come, or none.
    pub count: u8,
}

impl RequestConnectionId {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let count = r.u8()?;
        r.finish()?;
        Ok(Self { count })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u8(self.count)
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> Vec<u8> {
        let mut out = vec![0; 5000];
        let mut w = Writer::new(&mut out);
        write(&mut w).unwrap();
        w.into_written().to_vec()
    }

    #[test]
    fn faults_are_refused() {
        for good in [&[0, 0, 0][..], &[0, 0, 1], &[0, 1, 0, 1], &[0, 5, 2, 7, 7, 1, 8, 0]] {
            assert_eq!(written(|w| NewConnectionId::parse(good).unwrap().write(w)), good);
        }
        for bad in [
            &[][..],
            &[0, 0],
            &[0, 0, 2],
            &[0, 0, 0, 0],
            &[0, 1, 0],
            &[0, 1, 1, 0],
            &[0, 2, 2, 7, 0],
            &[1, 0, 0],
        ] {
            assert!(NewConnectionId::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(RequestConnectionId::parse(&[3]), Ok(RequestConnectionId { count: 3 }));
        assert!(RequestConnectionId::parse(&[]).is_err() && RequestConnectionId::parse(&[1, 2]).is_err());
        assert!(NewConnectionId::write_ids(&mut Writer::new(&mut [0; 400]), [&[0; 256][..]], true).is_err());
    }

    proptest! {
        #[test]
        fn messages_go_there_and_back(ids in vec(vec(any::<u8>(), 0..256), 0..12), immediate: bool, count: u8) {
            let bytes = written(|w| NewConnectionId::write_ids(w, ids.iter().map(Vec::as_slice), immediate));
            let message = NewConnectionId::parse(&bytes).unwrap();
            prop_assert!(message.iter().eq(ids.iter().map(Vec::as_slice)));
            prop_assert_eq!(message.immediate, immediate);
            prop_assert_eq!(written(|w| message.write(w)), bytes);
            let request = RequestConnectionId { count };
            prop_assert_eq!(RequestConnectionId::parse(&written(|w| request.write(w))), Ok(request));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..60)) {
            if let Ok(message) = NewConnectionId::parse(&bytes) {
                prop_assert_eq!(written(|w| message.write(w)), bytes);
            }
        }
    }
}
