const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes in base64 (RFC 4648 §4), without padding.
pub(super) fn encode(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.chunks(3).flat_map(|chunk| {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digits = [18, 12, 6, 0].map(|shift| digit(bits >> shift));
        digits.into_iter().take(chunk.len() + 1)
    })
}

/// Six bytes out of eight characters.
pub(super) fn decode_6(text: &[u8; 8]) -> Option<[u8; 6]> {
    let mut bits = 0_u64;
    for &character in text {
        let digit = DIGITS.iter().position(|&known| known == character)?;
        bits = (bits << 6) | digit as u64;
    }
    let [_, _, bytes @ ..] = bits.to_be_bytes();
    Some(bytes)
}

fn digit(bits: u32) -> u8 {
    DIGITS.get((bits & 63) as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648_without_padding() {
        let vectors = [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(encode(plain.as_bytes()).collect::<Vec<_>>(), encoded.as_bytes());
        }
        assert_eq!(decode_6(b"Zm9vYmFy"), Some(*b"foobar"));
        assert_eq!(decode_6(b"Zm9vYm=="), None);
    }
}
