use std::fmt;

use serde::Serialize;

/// The most characters of a room's or a participant's name.
pub const MAX_NAME: usize = 64;

/// The name of a room: 1 to 64 of the characters `A-Z a-z 0-9 - . _`, but not dots alone. Upper and lower case differ.
///
/// These are characters that stand in a URL as they are, so that the name can be read in the address bar and passed on;
/// dots alone are what browsers take for steps in a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RoomName(String);

impl RoomName {
    /// Takes a name if it is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if name.is_empty() {
            Err(NameError::RoomEmpty)
        } else if name.chars().count() > MAX_NAME {
            Err(NameError::RoomTooLong)
        } else if let Some(c) = name.chars().find(|c| !allowed(*c)) {
            Err(NameError::RoomCharacter(c))
        } else if name.chars().all(|c| c == '.') {
            Err(NameError::RoomDots)
        } else {
            Ok(Self(name.into()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name that a participant goes by: 1 to 64 characters of any script, at least one of them visible, without control
/// and text-direction characters.
///
/// Space around it is taken off. Two participants may go by the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct DisplayName(String);

impl DisplayName {
    /// Takes a name if it is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let name = name.trim();
        if name.chars().all(|c| is_invisible(c) || c.is_whitespace()) {
            Err(NameError::ParticipantEmpty)
        } else if name.chars().count() > MAX_NAME {
            Err(NameError::ParticipantTooLong)
        } else if name.chars().any(is_forbidden) {
            Err(NameError::ParticipantCharacter)
        } else {
            Ok(Self(name.into()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Controls, ends of lines, and what turns around the text beside the name: Unicode's Bidi_Control.
fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What takes no ink: Unicode's Default_Ignorable_Code_Point, and the empty Braille pattern. Names may contain it
/// (emoji are joined by it, Persian words parted), but not be made of it.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Why something is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// The room has no name.
    RoomEmpty,
    /// The room's name is too long.
    RoomTooLong,
    /// The room's name has a character that it may not have.
    RoomCharacter(char),
    /// The room's name is made of dots alone.
    RoomDots,
    /// The participant has no name.
    ParticipantEmpty,
    /// The participant's name is too long.
    ParticipantTooLong,
    /// The participant's name has a character that it may not have.
    ParticipantCharacter,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoomEmpty => f.write_str("The room has no name: choose one of 1 to 64 characters."),
            Self::RoomTooLong => write!(
                f,
                "The room's name is too long: it may have at most {MAX_NAME} characters."
            ),
            Self::RoomCharacter(c) => write!(
                f,
                "The room's name may not contain {c:?}: use letters a to z, digits, and the signs - . _ only."
            ),
            Self::RoomDots => f.write_str("The room's name may not be made of dots alone: add a letter or a digit."),
            Self::ParticipantEmpty => {
                f.write_str("You have no name that can be seen: choose one of 1 to 64 characters.")
            }
            Self::ParticipantTooLong => {
                write!(f, "Your name is too long: it may have at most {MAX_NAME} characters.")
            }
            Self::ParticipantCharacter => {
                f.write_str("Your name contains an invisible control character: please type it anew.")
            }
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names() {
        for good in ["a", "Team-7_b.x", "..a", &"x".repeat(MAX_NAME)] {
            assert_eq!(RoomName::new(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", NameError::RoomEmpty),
            (&"x".repeat(MAX_NAME + 1), NameError::RoomTooLong),
            (&"x".repeat(10_000), NameError::RoomTooLong),
            ("a b", NameError::RoomCharacter(' ')),
            ("a/b", NameError::RoomCharacter('/')),
            ("küche", NameError::RoomCharacter('ü')),
            ("a\u{0}", NameError::RoomCharacter('\u{0}')),
            ("..", NameError::RoomDots),
        ] {
            assert_eq!(RoomName::new(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn participants_names() {
        assert_eq!(DisplayName::new("  Zoë 李 🙂 ").unwrap().as_str(), "Zoë 李 🙂");
        // Joined emoji, and Persian with a joiner that parts.
        for good in ["👩\u{200d}🔬", "می\u{200c}خواهم", &"李".repeat(MAX_NAME)] {
            assert_eq!(DisplayName::new(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            (" \t ", NameError::ParticipantEmpty),
            (&"x".repeat(MAX_NAME + 1), NameError::ParticipantTooLong),
            ("a\u{7}b", NameError::ParticipantCharacter),
            ("a\u{202e}b", NameError::ParticipantCharacter),
            ("a\u{61c}b", NameError::ParticipantCharacter),
            ("", NameError::ParticipantEmpty),
            ("\u{200b}", NameError::ParticipantEmpty),
            ("\u{2060}\u{feff}", NameError::ParticipantEmpty),
            ("\u{3164}", NameError::ParticipantEmpty),
            ("\u{2800}\u{3000}\u{2800}", NameError::ParticipantEmpty),
            ("\u{e0041}\u{fe0f}", NameError::ParticipantEmpty),
        ] {
            assert_eq!(DisplayName::new(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn every_reason_is_a_sentence() {
        for error in [
            NameError::RoomEmpty,
            NameError::RoomTooLong,
            NameError::RoomCharacter('é'),
            NameError::RoomDots,
            NameError::ParticipantEmpty,
            NameError::ParticipantTooLong,
            NameError::ParticipantCharacter,
        ] {
            let text = error.to_string();
            assert!(text.ends_with('.') && text.starts_with(char::is_uppercase), "{text}");
        }
    }
}
