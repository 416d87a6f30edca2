use core::fmt;
use core::net::SocketAddr;
use core::num::NonZeroU16;

/// The transport under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP with the framing of RFC 4571.
    Tcp,
}

/// The way that datagrams take: the full 5-tuple, compared whole.
///
/// Addresses are never IPv4-mapped IPv6: whoever reads a socket unmaps them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Our own address and port, as the peer addressed us.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// The transport.
    pub protocol: Protocol,
}

impl Path {
    /// A UDP path.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            local,
            remote,
            protocol: Protocol::Udp,
        }
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} -> {}", self.protocol, self.local, self.remote)
    }
}

/// The ECN field of an IP header (RFC 3168 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct = 0b00,
    /// ECN-capable, L4S (RFC 9331).
    Ect1 = 0b01,
    /// ECN-capable, classic.
    Ect0 = 0b10,
    /// Congestion experienced.
    Ce = 0b11,
}

impl Ecn {
    /// From the low two bits of the traffic class.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            0b11 => Self::Ce,
            _ => Self::NotEct,
        }
    }
}

/// What an engine wrote into the buffer it was given: one datagram, or a run of datagrams of equal size laid end to end
/// (the last may be shorter), which leaves as one GSO message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes, and from which address.
    pub path: Path,
    /// Bytes written, in all.
    pub len: usize,
    /// Size of each datagram in a run; `None` when there is only one.
    pub segment: Option<NonZeroU16>,
    /// The mark it is sent with.
    pub ecn: Ecn,
}

impl Transmit {
    /// One datagram.
    pub const fn one(path: Path, len: usize) -> Self {
        Self {
            path,
            len,
            segment: None,
            ecn: Ecn::NotEct,
        }
    }

    /// How many datagrams it holds.
    pub fn datagrams(&self) -> usize {
        self.segment
            .map_or(1, |size| self.len.div_ceil(usize::from(size.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_count_their_short_tail() {
        let path = Path::udp("1.2.3.4:5".parse().unwrap(), "[::1]:6".parse().unwrap());
        let one = Transmit::one(path, 1200);
        assert_eq!(one.datagrams(), 1);
        let run = Transmit {
            len: 2500,
            segment: NonZeroU16::new(1200),
            ..one
        };
        assert_eq!(run.datagrams(), 3);
    }

    #[test]
    fn ecn_bits_are_those_of_the_ip_header() {
        for bits in 0..4 {
            assert_eq!(Ecn::from_bits(bits | 0xfc) as u8, bits);
        }
    }
}
