//! The AV1 aggregation header (AV1 RTP specification §4.4).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

/// What the first byte of an AV1 payload says.
///
/// ```text
///  0 1 2 3 4 5 6 7
/// |Z|Y| W |N|-|-|-|
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregationHeader {
    /// Whether the first OBU element goes on from the packet before (Z).
    pub continues: bool,
    /// Whether the last OBU element goes on in the next packet (Y).
    pub is_continued: bool,
    /// How many OBU elements there are, 1 to 3; 0 when each has a length (W).
    pub count: u8,
    /// Whether a coded video sequence begins here (N).
    pub starts_sequence: bool,
}

impl AggregationHeader {
    /// Reads the first byte of a payload. `None` when there is none, or it says that a sequence begins with what has
    /// begun before (N and Z).
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &first = payload.first()?;
        let header = Self {
            continues: first & 0x80 != 0,
            is_continued: first & 0x40 != 0,
            count: first >> 4 & 0x03,
            starts_sequence: first & 0x08 != 0,
        };
        (!(header.starts_sequence && header.continues)).then_some(header)
    }
}

/// Whether a coded video sequence begins in this payload, and with it a key frame.
pub fn is_key_frame(payload: &[u8]) -> bool {
    AggregationHeader::parse(payload).is_some_and(|header| header.starts_sequence) && payload.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_figure_has_them() {
        let expected = AggregationHeader {
            continues: false,
            is_continued: true,
            count: 2,
            starts_sequence: true,
        };
        assert_eq!(AggregationHeader::parse(&[0x68, 0x0a]), Some(expected));
        assert!(is_key_frame(&[0x68, 0x0a]));
        assert!(!is_key_frame(&[0x68]) && !is_key_frame(&[0x60, 0x0a]) && !is_key_frame(&[]));
        assert_eq!(AggregationHeader::parse(&[0x88, 0x0a]), None);
    }
}
