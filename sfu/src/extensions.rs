//! Header-extension elements that are forwarded as they are, in the form in which a source's ring keeps them: kind,
//! length, bytes, one after the other. Each subscriber's section has its own identifiers for them.

use peer::{Extension, ExtensionIds};

/// The extensions whose value belongs to the media and not to the transport. Their place here is their code in a ring.
///
/// The dependency descriptor is not among them: it counts frames, and its numbers would jump when a slot changes hands.
const FORWARDED: [Extension; 3] = [
    Extension::AudioLevel,
    Extension::VideoOrientation,
    Extension::PlayoutDelay,
];

/// Whether an extension is forwarded, and therefore of use when it is negotiated.
pub(crate) fn is_forwarded(extension: &Extension) -> bool {
    FORWARDED.contains(extension)
}

/// The identifiers that one section negotiated for what is forwarded, 0 where it did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ids([u8; FORWARDED.len()]);

impl Ids {
    /// Out of all that a section negotiated.
    pub(crate) fn new(all: &ExtensionIds) -> Self {
        Self(FORWARDED.map(|extension| all.get(extension).unwrap_or(0)))
    }

    /// The code of the forwarded extension that has this identifier.
    #[inline]
    pub(crate) fn code(&self, id: u8) -> Option<u8> {
        (id != 0)
            .then(|| self.0.iter().position(|&own| own == id))
            .flatten()
            .map(|code| code as u8)
    }

    fn id(&self, code: u8) -> u8 {
        self.0.get(usize::from(code)).copied().unwrap_or(0)
    }
}

/// The code of the audio level in a ring.
pub(crate) const AUDIO_LEVEL: u8 = 0;

/// Room for the elements of one packet; what does not fit is left out, the oldest kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elements {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl Elements {
    const ROOM: usize = 288;

    /// None yet.
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; Self::ROOM],
            len: 0,
        }
    }

    /// Adds one. Returns whether it fitted.
    pub(crate) fn push(&mut self, code: u8, value: &[u8]) -> bool {
        let Ok(len) = u8::try_from(value.len()) else {
            return false;
        };
        let Some(room) = self.bytes.get_mut(self.len..self.len + 2 + value.len()) else {
            return false;
        };
        room[0] = code;
        room[1] = len;
        room[2..].copy_from_slice(value);
        self.len += 2 + value.len();
        true
    }

    /// What is kept in the ring.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The elements in `stored` that a section with `ids` negotiated, with that section's identifiers.
#[inline]
pub(crate) fn translate<'a>(stored: &'a [u8], ids: &Ids) -> impl Iterator<Item = (u8, &'a [u8])> {
    let mut rest = stored;
    std::iter::from_fn(move || {
        loop {
            let [code, len, tail @ ..] = rest else { return None };
            let (value, tail) = tail.split_at_checked(usize::from(*len))?;
            rest = tail;
            let id = ids.id(*code);
            if id != 0 {
                return Some((id, value));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_gets_its_own_identifiers_and_only_what_it_negotiated() {
        let from = Ids([1, 0, 17]);
        assert_eq!(
            (from.code(1), from.code(17), from.code(2), from.code(0)),
            (Some(AUDIO_LEVEL), Some(2), None, None)
        );
        let mut elements = Elements::new();
        assert!(elements.push(AUDIO_LEVEL, &[0x85]));
        assert!(elements.push(1, &[3]));
        assert!(elements.push(2, &[9; 255]));
        assert!(!elements.push(1, &[1; 255]), "no room");
        let to = Ids([14, 0, 3]);
        let got: Vec<_> = translate(elements.as_bytes(), &to).collect();
        assert_eq!(got, [(14, &[0x85][..]), (3, &[9; 255][..])]);
    }
}
