//! Character classes, numbers and words: what the grammar of RFC 8866 §9 is made of.
use crate::Rule;

const ALPHANUMERIC: u8 = 1 << 0;
const TOKEN: u8 = 1 << 1;
const ICE: u8 = 1 << 2;
const VISIBLE: u8 = 1 << 3;
const NAME: u8 = 1 << 4;
const RID: u8 = 1 << 5;
const HEX: u8 = 1 << 6;
const TLS_ID: u8 = 1 << 7;

/// The classes of every byte, so that a check is one load.
static CLASSES: [u8; 256] = classes();

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::arithmetic_side_effects,
    reason = "runs at compile time"
)]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric() {
            class |= ALPHANUMERIC | TOKEN | ICE | NAME | RID | TLS_ID;
        }
        // RFC 8866 §9, token-char: every visible character but " ( ) , / : ; < = > ? @ [ \ ]
        if matches!(b, 0x21 | 0x23..=0x27 | 0x2a..=0x2b | 0x2d..=0x2e | 0x5e..=0x60 | 0x7b..=0x7e) {
            class |= TOKEN;
        }
        if matches!(b, b'+' | b'/') {
            class |= ICE | TLS_ID;
        }
        if matches!(b, b'-' | b'_') {
            class |= RID | TLS_ID;
        }
        // RFC 8866 §9, FQDN; the underscore is in no host name but in many.
        if matches!(b, b'-' | b'.' | b'_') {
            class |= NAME;
        }
        if b.is_ascii_hexdigit() {
            class |= HEX;
        }
        if b > 0x20 && b != 0x7f {
            class |= VISIBLE;
        }
        table[i] = class;
        i += 1;
    }
    table
}

fn all(text: &str, class: u8) -> bool {
    // No early exit: the strings are short and the loop has no branch to mispredict.
    let mut common = class;
    for b in text.bytes() {
        common &= CLASSES.get(usize::from(b)).copied().unwrap_or(0);
    }
    common != 0 && !text.is_empty()
}

/// RFC 8866 §9, token.
pub(crate) fn is_token(text: &str) -> bool {
    all(text, TOKEN)
}

/// RFC 8866 §9, non-ws-string.
pub(crate) fn is_visible(text: &str) -> bool {
    all(text, VISIBLE)
}

/// RFC 8839 §5.1, 1*ice-char.
pub(crate) fn is_ice(text: &str) -> bool {
    all(text, ICE)
}

/// RFC 8866 §9, FQDN.
pub(crate) fn is_name(text: &str) -> bool {
    all(text, NAME)
}

/// RFC 8851 §10, rid-id; also RFC 4585 §4.2, rtcp-fb-id.
pub(crate) fn is_rid(text: &str) -> bool {
    all(text, RID)
}

/// RFC 8842 §4, 1*tls-id-char.
pub(crate) fn is_tls_id(text: &str) -> bool {
    all(text, TLS_ID)
}

/// A hexadecimal digit.
pub(crate) fn is_hex(byte: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|class| class & HEX != 0)
}

/// 1*DIGIT, at most 2^64 - 1.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for b in text.bytes() {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// 1*DIGIT, at most 65535.
pub(crate) fn decimal_u16(text: &str) -> Option<u16> {
    u16::try_from(decimal_u32(text)?).ok()
}

/// 1*DIGIT, at most 2^32 - 1.
pub(crate) fn decimal_u32(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 10 {
        // Ten digits always fit the u64 below; leading zeros beyond that are nobody's.
        return None;
    }
    let mut value: u64 = 0;
    for b in text.bytes() {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    u32::try_from(value).ok()
}

/// An RTP payload type, 0 to 127 (RFC 3550 §5.1).
pub(crate) fn payload_type(text: &str) -> Option<u8> {
    let value = u8::try_from(decimal_u32(text)?).ok()?;
    (value < 128).then_some(value)
}

/// Where the first `byte` stands in `text`.
pub(crate) fn find(text: &[u8], byte: u8) -> Option<usize> {
    text.iter().position(|b| *b == byte)
}

/// Splits at the first `byte`, which belongs to neither half.
pub(crate) fn split_once(text: &str, byte: u8) -> Option<(&str, &str)> {
    let (head, tail) = text.split_at_checked(find(text.as_bytes(), byte)?)?;
    Some((head, tail.get(1..)?))
}

/// A cursor over the fields of one line. Fields are separated by one space; a run of spaces counts as one, as both
/// browsers have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next field, empty when there is none.
    pub(crate) fn word(&mut self) -> &'a str {
        let text = skip_spaces(self.rest);
        let (word, rest) = match find(text.as_bytes(), b' ') {
            Some(at) => text.split_at_checked(at).unwrap_or((text, "")),
            None => (text, ""),
        };
        self.rest = rest;
        word
    }

    /// The next field, which must be there.
    pub(crate) fn need(&mut self, rule: &'static str) -> Result<&'a str, Rule> {
        let word = self.word();
        if word.is_empty() { Err(Rule(rule)) } else { Ok(word) }
    }

    /// Everything that is left, without the space before it.
    pub(crate) fn rest(self) -> &'a str {
        skip_spaces(self.rest)
    }

    /// Like [`rest`](Self::rest), also without the spaces at the end.
    pub(crate) fn last(self) -> &'a str {
        self.rest().trim_end_matches(' ')
    }

    /// Nothing but spaces may be left.
    pub(crate) fn end(self, rule: &'static str) -> Result<(), Rule> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(Rule(rule))
        }
    }
}

fn skip_spaces(text: &str) -> &str {
    let mut text = text;
    while let Some(rest) = text.strip_prefix(' ') {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_what_the_rfc_lists() {
        assert!(is_token("{a-b_c.d}!#$%&'*+^`|~"));
        for bad in [
            "", "a b", "a/b", "a:b", "a;b", "(a)", "\"", "<", "=", ">", "?", "@", "[", "\\", "]", ",", "é", "\u{7f}",
        ] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn numbers_have_no_sign_and_stay_in_range() {
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal("18446744073709551616"), None);
        assert_eq!(decimal("+1"), None);
        assert_eq!(decimal(""), None);
        assert_eq!(decimal_u32("4294967295"), Some(u32::MAX));
        assert_eq!(decimal_u32("4294967296"), None);
        assert_eq!(decimal_u32("00000000001"), None);
        assert_eq!(decimal_u16("65535"), Some(u16::MAX));
        assert_eq!(decimal_u16("65536"), None);
        assert_eq!(payload_type("127"), Some(127));
        assert_eq!(payload_type("128"), None);
    }

    #[test]
    fn a_run_of_spaces_is_one_separator() {
        let mut scanner = Scanner::new(" a  b c ");
        assert_eq!(scanner.word(), "a");
        assert_eq!((scanner.rest(), scanner.last()), ("b c ", "b c"));
        assert_eq!(scanner.word(), "b");
        assert_eq!(scanner.word(), "c");
        assert!(scanner.end("").is_ok());
        assert_eq!(scanner.word(), "");
    }
}
