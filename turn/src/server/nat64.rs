use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The IPv6 prefix under which a network's NAT64 reaches IPv4 addresses: a Network-Specific Prefix (RFC 6052 §2.2).
///
/// ```
/// let prefix: turn::Nat64Prefix = "2001:db8:64::/96".parse()?;
/// assert_eq!(prefix.ipv4("2001:db8:64::192.0.2.33".parse()?), Some([192, 0, 2, 33].into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nat64Prefix {
    ip: Ipv6Addr,
    /// In bits: one of [`LENGTHS`].
    length: u8,
}

/// RFC 6052 §2.2.
const LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];
/// The prefix for local use (RFC 8215), in which a network chooses one of its own.
const LOCAL_USE: u128 = 0x0064_ff9b_0001;

impl Nat64Prefix {
    /// The IPv4 address in an address that begins with this prefix.
    pub fn ipv4(&self, ip: Ipv6Addr) -> Option<Ipv4Addr> {
        let differs = (ip.to_bits() ^ self.ip.to_bits()) >> (128 - u32::from(self.length)) != 0;
        (!differs).then(|| embedded(ip, self.length))
    }

    /// How long it is, in bits: 32, 40, 48, 56, 64 or 96.
    pub const fn length(&self) -> u8 {
        self.length
    }
}

/// The IPv4 address behind a prefix of one of [`LENGTHS`] (RFC 6052 §2.2): bits 64 to 71 are passed over, and what
/// follows does not count.
const fn embedded(ip: Ipv6Addr, length: u8) -> Ipv4Addr {
    let [_, _, _, _, a, b, c, d, _, e, f, g, h, i, j, k] = ip.octets();
    match length {
        32 => Ipv4Addr::new(a, b, c, d),
        40 => Ipv4Addr::new(b, c, d, e),
        48 => Ipv4Addr::new(c, d, e, f),
        56 => Ipv4Addr::new(d, e, f, g),
        64 => Ipv4Addr::new(e, f, g, h),
        _ => Ipv4Addr::new(h, i, j, k),
    }
}

/// The IPv4 addresses that one under the prefix for local use may lead to (RFC 8215 §4): how long the network's own
/// prefix in it is cannot be seen. 0.0.0.0/8, where nobody is, is what the zeros of another length look like.
pub(super) fn guesses(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    if ip.to_bits() >> 80 != LOCAL_USE {
        return [None; 4];
    }
    let somebody = |ip: &Ipv4Addr| ip.octets()[0] != 0;
    let found = [48, 56, 64, 96].map(|length| Some(embedded(ip, length)).filter(somebody));
    if found == [None; 4] {
        return [Some(embedded(ip, 96)), None, None, None];
    }
    found
}

impl fmt::Display for Nat64Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.length)
    }
}

/// Why a text is no [`Nat64Prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat64PrefixError {
    /// It is not an IPv6 address, a slash and a number.
    Form,
    /// The length is none of RFC 6052 §2.2.
    Length,
    /// There are bits behind the prefix, or among bits 64 to 71, which are zero.
    Bits,
}

impl fmt::Display for Nat64PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "give it as ADDRESS/LENGTH, as in 2001:db8:64::/96",
            Self::Length => "a prefix of NAT64 has a length of 32, 40, 48, 56, 64 or 96",
            Self::Bits => "let all bits behind the prefix be zero, and bits 64 to 71 as well",
        })
    }
}

impl std::error::Error for Nat64PrefixError {}

impl FromStr for Nat64Prefix {
    type Err = Nat64PrefixError;

    fn from_str(text: &str) -> Result<Self, Nat64PrefixError> {
        let (ip, length) = text.split_once('/').ok_or(Nat64PrefixError::Form)?;
        let ip: Ipv6Addr = ip.parse().map_err(|_| Nat64PrefixError::Form)?;
        let length: u8 = length.parse().map_err(|_| Nat64PrefixError::Form)?;
        if !LENGTHS.contains(&length) {
            return Err(Nat64PrefixError::Length);
        }
        if ip.to_bits() << length != 0 || ip.octets()[8] != 0 {
            return Err(Nat64PrefixError::Bits);
        }
        Ok(Self { ip, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> Nat64Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn the_examples_of_rfc_6052_are_read() {
        // RFC 6052 §2.4.
        for (network, ip) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
        ] {
            assert_eq!(
                prefix(network).ipv4(ip.parse().unwrap()),
                Some([192, 0, 2, 33].into()),
                "{network}"
            );
            assert_eq!(prefix(network).to_string(), network);
        }
        // Another network, in the last bit of the prefix.
        assert_eq!(
            prefix("2001:db8:100::/40").ipv4("2001:db8:2c0:2:21::".parse().unwrap()),
            None
        );
        assert_eq!(
            prefix("2001:db8::/96").ipv4("2001:db8::1:192.0.2.33".parse().unwrap()),
            None
        );
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_what_to_do() {
        for (text, error) in [
            ("", Nat64PrefixError::Form),
            ("2001:db8::", Nat64PrefixError::Form),
            ("2001:db8::/", Nat64PrefixError::Form),
            ("2001:db8::/96/96", Nat64PrefixError::Form),
            ("192.0.2.0/24", Nat64PrefixError::Form),
            ("2001:db8::/300", Nat64PrefixError::Form),
            ("2001:db8::/0", Nat64PrefixError::Length),
            ("2001:db8::/72", Nat64PrefixError::Length),
            ("2001:db8::/128", Nat64PrefixError::Length),
            ("2001:db8::1/96", Nat64PrefixError::Bits),
            ("2001:db8:100::/32", Nat64PrefixError::Bits),
            ("2001:db8:0:0:ff00::/96", Nat64PrefixError::Bits),
        ] {
            assert_eq!(text.parse::<Nat64Prefix>(), Err(error), "{text}");
        }
        assert!(Nat64PrefixError::Form.to_string().contains("ADDRESS/LENGTH"));
    }

    #[test]
    fn what_is_for_local_use_is_read_at_every_length() {
        for ip in [
            "64:ff9b:1:a00:0:100::",
            "64:ff9b:1:a:0:1::",
            "64:ff9b:1::a:0:100:0",
            "64:ff9b:1::10.0.0.1",
            "64:ff9b:1:aabb::10.0.0.1",
        ] {
            let found: Vec<_> = guesses(ip.parse().unwrap()).into_iter().flatten().collect();
            assert!(found.contains(&[10, 0, 0, 1].into()), "{ip}: {found:?}");
        }
        let of = |ip: &str| guesses(ip.parse().unwrap()).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(of("64:ff9b:1::8.8.8.8"), [Ipv4Addr::from([8, 8, 8, 8])]);
        assert_eq!(of("64:ff9b:1::"), [Ipv4Addr::UNSPECIFIED]);
        assert!(of("64:ff9b:2::8.8.8.8").is_empty());
    }

    proptest! {
        #[test]
        fn a_prefix_is_printed_as_it_is_read(bits: u128, place in 0..LENGTHS.len()) {
            let length = LENGTHS[place];
            let ip = Ipv6Addr::from_bits(bits >> (128 - length) << (128 - length) & !(0xff << 56));
            let prefix = Nat64Prefix { ip, length };
            prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-f:./]{0,40}") {
            if let Ok(prefix) = text.parse::<Nat64Prefix>() {
                prop_assert!(LENGTHS.contains(&prefix.length()));
                prop_assert!(prefix.ipv4(prefix.ip).is_some());
            }
        }
    }
}
