use crate::registry::PasswordAlgorithm;
use wire::{Error, Full, Reader, Writer};

/// A password algorithm with its parameters (RFC 8489 §14.12); MD5 and SHA-256 have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordParameters<'a> {
    /// The algorithm.
    pub algorithm: PasswordAlgorithm,
    /// Its parameters, without padding.
    pub parameters: &'a [u8],
}

impl<'a> PasswordParameters<'a> {
    /// An algorithm without parameters.
    pub const fn plain(algorithm: PasswordAlgorithm) -> Self {
        Self {
            algorithm,
            parameters: &[],
        }
    }

    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let algorithm = PasswordAlgorithm(r.u16()?);
        let length = usize::from(r.u16()?);
        let parameters = r.take(length)?;
        // The last entry's padding may be taken for the attribute's own padding, so its absence is no fault.
        r.skip((length.wrapping_neg() & 3).min(r.remaining()))?;
        Ok(Self { algorithm, parameters })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u16(self.algorithm.0)?;
        w.u16(u16::try_from(self.parameters.len()).map_err(|_| Full)?)?;
        w.put(self.parameters)?;
        w.zeros(self.parameters.len().wrapping_neg() & 3)
    }
}

/// The list in PASSWORD-ALGORITHMS, in order of preference (RFC 8489 §14.11).
#[derive(Debug, Clone, Copy)]
pub struct PasswordAlgorithms<'a>(Form<'a>);

#[derive(Debug, Clone, Copy)]
enum Form<'a> {
    Wire(Reader<'a>),
    List(&'a [PasswordParameters<'a>]),
}

impl<'a> PasswordAlgorithms<'a> {
    /// A list to be written.
    pub const fn new(list: &'a [PasswordParameters<'a>]) -> Self {
        Self(Form::List(list))
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = PasswordParameters<'a>> + use<'a> {
        let (mut reader, list): (Reader<'a>, &[PasswordParameters<'a>]) = match self.0 {
            Form::Wire(reader) => (reader, &[]),
            Form::List(list) => (Reader::new(&[]), list),
        };
        core::iter::from_fn(move || {
            (!reader.is_empty())
                .then(|| PasswordParameters::read(&mut reader).ok())
                .flatten()
        })
        .chain(list.iter().copied())
    }

    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let whole = *r;
        while !r.is_empty() {
            PasswordParameters::read(r)?;
        }
        Ok(Self(Form::Wire(whole)))
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.iter().try_for_each(|entry| entry.write(w))
    }
}

impl PartialEq for PasswordAlgorithms<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for PasswordAlgorithms<'_> {}
