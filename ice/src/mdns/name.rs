use rand::Rng;
use std::fmt;
use std::str::FromStr;

/// A name of the form `<uuid>.local`, with a UUID of version 4: what stands in a candidate for an address that is not
/// to be told (draft-ietf-mmusic-mdns-ice-candidates §3.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalName([u8; 16]);

/// A text that is no [`LocalName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotLocalName;

impl fmt::Display for NotLocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an mDNS name in a candidate is a UUID of version 4 and `.local`")
    }
}

impl std::error::Error for NotLocalName {}

impl LocalName {
    /// Bytes of the UUID as text.
    pub(crate) const LABEL_LEN: usize = 36;

    /// A new one, which nobody else has.
    pub(crate) fn random(rng: &mut impl Rng) -> Self {
        let mut uuid = [0; 16];
        rng.fill_bytes(&mut uuid);
        // RFC 4122 §4.4.
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut uuid;
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
        Self(uuid)
    }

    /// Reads the first label; DNS does not tell upper from lower case.
    pub(crate) fn from_label(label: &[u8]) -> Option<Self> {
        if label.len() != Self::LABEL_LEN {
            return None;
        }
        let mut uuid = 0_u128;
        for (at, &character) in label.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if character != b'-' {
                    return None;
                }
                continue;
            }
            uuid = uuid << 4 | u128::from(char::from(character).to_digit(16)?);
        }
        let uuid = uuid.to_be_bytes();
        let [_, _, _, _, _, _, version, ..] = uuid;
        (version >> 4 == 4).then_some(Self(uuid))
    }

    /// The first label, in lower case.
    pub(crate) fn label(self) -> [u8; Self::LABEL_LEN] {
        let mut label = [b'-'; Self::LABEL_LEN];
        let places = (0..Self::LABEL_LEN).filter(|at| !matches!(at, 8 | 13 | 18 | 23));
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        for (at, digit) in places.zip(digits) {
            let character = char::from_digit(u32::from(digit), 16).unwrap_or('0');
            if let (Some(place), Ok(character)) = (label.get_mut(at), u8::try_from(character)) {
                *place = character;
            }
        }
        label
    }
}

impl FromStr for LocalName {
    type Err = NotLocalName;

    fn from_str(text: &str) -> Result<Self, NotLocalName> {
        let (label, domain) = text.split_once('.').ok_or(NotLocalName)?;
        if !domain.eq_ignore_ascii_case("local") {
            return Err(NotLocalName);
        }
        Self::from_label(label.as_bytes()).ok_or(NotLocalName)
    }
}

impl fmt::Display for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.label() {
            write!(f, "{}", char::from(character))?;
        }
        f.write_str(".local")
    }
}

impl fmt::Debug for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    /// From the draft's examples.
    const NAME: &str = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local";

    #[test]
    fn names_are_read_and_written() {
        let name: LocalName = NAME.parse().unwrap();
        assert_eq!(name.to_string(), NAME);
        assert_eq!(NAME.to_uppercase().parse(), Ok(name));
        assert_eq!(&name.label()[..], NAME.split_once('.').unwrap().0.as_bytes());
    }

    #[test]
    fn only_names_of_candidates_are_taken() {
        for text in [
            "",
            "printer.local",
            "1f4712db-ea17-4bcf-a596-105139dfd8bf",
            "1f4712db-ea17-4bcf-a596-105139dfd8bf.example",
            "1f4712db-ea17-4bcf-a596-105139dfd8bf.local.",
            "1f4712db-ea17-4bcf-a596-105139dfd8bf.x.local",
            "1f4712db-ea17-1bcf-a596-105139dfd8bf.local",
            "1f4712db-ea17-4bcf-a596-105139dfd8b.local",
            "1f4712db-ea17-4bcf-a596-105139dfd8bff.local",
            "1f4712dbxea17-4bcf-a596-105139dfd8bf.local",
            "+f4712db-ea17-4bcf-a596-105139dfd8bf.local",
        ] {
            assert_eq!(text.parse::<LocalName>(), Err(NotLocalName), "{text}");
        }
    }

    #[test]
    fn random_names_are_of_version_4() {
        let mut rng = StdRng::from_seed([7; 32]);
        let (a, b) = (LocalName::random(&mut rng), LocalName::random(&mut rng));
        assert_ne!(a, b);
        for name in [a, b] {
            let text = name.to_string();
            assert_eq!((text.as_bytes()[14], text.parse()), (b'4', Ok(name)));
            assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[0-9a-f-]{30,40}(\\.local)?") {
            if let Ok(name) = text.parse::<LocalName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
