use std::fmt::{self, Write};

/// Where secrets go for those who want to look into their own traffic, in the NSS key log format that Wireshark reads.
pub trait KeyLog: fmt::Debug + Send + Sync {
    /// One line, without the line feed: `CLIENT_RANDOM <client random> <secret>`. It opens the connection's records to
    /// whoever reads it.
    fn log(&self, line: &str);
}

/// Formats a line of the NSS key log.
pub(crate) fn line(label: &str, client_random: &[u8; 32], secret: &[u8]) -> String {
    let mut line = String::with_capacity(label.len() + 66 + 2 * secret.len());
    line.push_str(label);
    for bytes in [&client_random[..], secret] {
        line.push(' ');
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(line, "{byte:02x}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_are_hexadecimal() {
        let line = super::line("CLIENT_RANDOM", &[0xab; 32], &[1, 0xff]);
        assert_eq!(line, format!("CLIENT_RANDOM {} 01ff", "ab".repeat(32)));
    }
}
