use core::fmt;

use crate::{List, Rule, scan};

/// `a=rtcp-xr`: extended reports that the writer asks for (RFC 3611 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtcpXr<'a> {
    formats: List<'a, &'a str>,
}

impl<'a> RtcpXr<'a> {
    /// What Chromium writes: everybody's round trip is measured.
    pub const RECEIVER_RTT_ALL: RtcpXr<'static> = RtcpXr {
        formats: List::text("rcvr-rtt=all"),
    };

    /// Reads the value of `a=rtcp-xr`, which may be empty.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        let formats = List::text(value);
        for word in formats {
            XrFormat::parse(word)?;
        }
        Ok(Self { formats })
    }

    /// The reports in order.
    pub fn formats(&self) -> impl Iterator<Item = XrFormat<'a>> + use<'a> {
        self.formats.iter().filter_map(|word| XrFormat::parse(word).ok())
    }
}

impl fmt::Display for RtcpXr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.formats.fmt(f)
    }
}

/// One kind of extended report, with the size of its block in bytes where it may be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XrFormat<'a> {
    /// `pkt-loss-rle`.
    PacketLossRle(Option<u32>),
    /// `pkt-dup-rle`.
    PacketDuplicateRle(Option<u32>),
    /// `pkt-rcpt-times`.
    PacketReceiptTimes(Option<u32>),
    /// `rcvr-rtt`.
    ReceiverRtt {
        /// Whether all participants report, or only those that send.
        all: bool,
        /// The largest block.
        max_size: Option<u32>,
    },
    /// `stat-summary`, with its flags as they stand: `loss`, `dup`, `jitt`, `TTL`, `HL`.
    StatisticsSummary(Option<&'a str>),
    /// `voip-metrics`.
    VoipMetrics,
    /// Another one, as it stands.
    Other(&'a str),
}

impl<'a> XrFormat<'a> {
    fn parse(word: &'a str) -> Result<Self, Rule> {
        const SIZE: Rule = Rule("the size of an extended report is a number of bytes (RFC 3611 §5.1)");
        let (name, value) = scan::split_once(word, b'=').map_or((word, None), |(name, value)| (name, Some(value)));
        let size = |value: Option<&str>| value.map(|text| scan::decimal_u32(text).ok_or(SIZE)).transpose();
        match name {
            "pkt-loss-rle" => size(value).map(Self::PacketLossRle),
            "pkt-dup-rle" => size(value).map(Self::PacketDuplicateRle),
            "pkt-rcpt-times" => size(value).map(Self::PacketReceiptTimes),
            "rcvr-rtt" => {
                let value = value.unwrap_or("");
                let (mode, limit) =
                    scan::split_once(value, b':').map_or((value, None), |(mode, size)| (mode, Some(size)));
                let all = match mode {
                    "all" => true,
                    "sender" => false,
                    _ => return Err(Rule("rcvr-rtt is =all or =sender, and perhaps :size (RFC 3611 §5.1)")),
                };
                let max_size = size(limit)?;
                Ok(Self::ReceiverRtt { all, max_size })
            }
            "stat-summary" => match value {
                Some(flags)
                    if !flags
                        .split(',')
                        .all(|flag| matches!(flag, "loss" | "dup" | "jitt" | "TTL" | "HL")) =>
                {
                    Err(Rule(
                        "the flags of stat-summary are loss, dup, jitt, TTL and HL (RFC 3611 §5.1)",
                    ))
                }
                flags => Ok(Self::StatisticsSummary(flags)),
            },
            "voip-metrics" => Ok(Self::VoipMetrics),
            _ => Ok(Self::Other(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;

    #[test]
    fn formats() {
        let xr = RtcpXr::parse("rcvr-rtt=all:10 stat-summary=loss,dup voip-metrics pkt-loss-rle=20 new=1").unwrap();
        assert_eq!(
            xr.formats().collect::<Vec<_>>(),
            vec![
                XrFormat::ReceiverRtt {
                    all: true,
                    max_size: Some(10)
                },
                XrFormat::StatisticsSummary(Some("loss,dup")),
                XrFormat::VoipMetrics,
                XrFormat::PacketLossRle(Some(20)),
                XrFormat::Other("new=1"),
            ]
        );
        assert_eq!(RtcpXr::parse("").unwrap().formats().count(), 0);
        for bad in [
            "rcvr-rtt",
            "rcvr-rtt=x",
            "rcvr-rtt=all:x",
            "pkt-dup-rle=x",
            "stat-summary=x",
        ] {
            assert!(RtcpXr::parse(bad).is_err(), "{bad:?}");
        }
    }
}
