//! As much of a sequence parameter set (ITU-T H.264 §7.3.2.1.1) as tells how large its pictures are.

/// Width and height in pixels that a sequence parameter set tells, without the header of its NAL unit. `None` when it
/// is cut off, has scaling lists, which no browser sends, or sizes that make no sense.
pub(super) fn picture_size(sps: &[u8]) -> Option<(u16, u16)> {
    /// Profiles whose parameter sets tell of the colours.
    const HIGH: [u32; 13] = [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244];
    let mut bits = Bits::new(sps);
    let profile = bits.take(8)?;
    // Constraints, the level, seq_parameter_set_id.
    bits.take(16)?;
    bits.ue()?;
    let mut chroma = 1;
    if HIGH.contains(&profile) {
        chroma = bits.ue()?;
        if chroma == 3 {
            bits.take(1)?;
        }
        // Bit depths of luma and chroma, qpprime_y_zero_transform_bypass_flag.
        bits.ue()?;
        bits.ue()?;
        bits.take(1)?;
        let has_scaling_lists = bits.take(1)? == 1;
        if has_scaling_lists {
            return None;
        }
    }
    // log2_max_frame_num_minus4, then pic_order_cnt_type and what comes with it.
    bits.ue()?;
    match bits.ue()? {
        0 => drop(bits.ue()?),
        1 => {
            bits.take(1)?;
            // Signed ones are as long as unsigned ones.
            bits.ue()?;
            bits.ue()?;
            // 255 are allowed.
            for _ in 0..bits.ue()?.min(256) {
                bits.ue()?;
            }
        }
        _ => {}
    }
    // max_num_ref_frames, gaps_in_frame_num_value_allowed_flag.
    bits.ue()?;
    bits.take(1)?;
    let width = bits.ue()?.checked_add(1)?.checked_mul(16)?;
    let units = bits.ue()?.checked_add(1)?;
    let frames_only = bits.take(1)? == 1;
    if !frames_only {
        bits.take(1)?;
    }
    // A map unit of pictures that may be fields is two macroblocks high.
    let fields = if frames_only { 1 } else { 2 };
    let height = units.checked_mul(16)?.checked_mul(fields)?;
    bits.take(1)?;
    let (mut crop_width, mut crop_height) = (0_u32, 0_u32);
    if bits.take(1)? == 1 {
        let [left, right, top, bottom] = [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?];
        // In samples of chroma (§7.4.2.1.1, table 6-1).
        let (across, down) = match chroma {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        crop_width = left.checked_add(right)?.checked_mul(across)?;
        crop_height = top.checked_add(bottom)?.checked_mul(down)?.checked_mul(fields)?;
    }
    let width = u16::try_from(width.checked_sub(crop_width)?).ok()?;
    let height = u16::try_from(height.checked_sub(crop_height)?).ok()?;
    (width > 0 && height > 0).then_some((width, height))
}

/// The bits of a NAL unit, without the bytes that keep it from looking like a start code (§7.4.1: the 3 of 0 0 3).
struct Bits<'a> {
    bytes: core::slice::Iter<'a, u8>,
    zeros: u8,
    current: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self {
            bytes: data.iter(),
            zeros: 0,
            current: 0,
            left: 0,
        }
    }

    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            let mut byte = *self.bytes.next()?;
            if self.zeros >= 2 && byte == 3 {
                self.zeros = 0;
                byte = *self.bytes.next()?;
            }
            self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
            (self.current, self.left) = (byte, 8);
        }
        self.left = self.left.saturating_sub(1);
        Some(u32::from(self.current >> self.left & 1))
    }

    /// So many bits, 32 at most.
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | self.bit()?;
        }
        Some(value)
    }

    /// An Exp-Golomb number, ue(v) (§9.1).
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0_u32;
        while self.bit()? == 0 {
            zeros = zeros.checked_add(1).filter(|zeros| *zeros < 32)?;
        }
        let rest = self.take(zeros)?;
        (1_u32 << zeros).checked_sub(1)?.checked_add(rest)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameter_sets_tell_their_size() {
        // x264's, of high profile, with bytes against start codes: 1280x720.
        let high = [
            0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00,
            0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
        ];
        for profile in [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244] {
            let mut high = high;
            high[0] = profile;
            assert_eq!(picture_size(&high), Some((1280, 720)), "{profile}");
        }
        // Constrained baseline: 640x368, of which 360 lines are shown.
        let baseline = [0x42, 0xc0, 0x1f, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0x40];
        assert_eq!(picture_size(&baseline), Some((640, 360)));
        for len in 0..8 {
            assert_eq!(picture_size(&baseline[..len]), None, "{len}");
        }
        // Interlaced: 1920x1088, of which 1080 lines are shown.
        let fields = [0x42, 0xc0, 0x1f, 0xda, 0x01, 0xe0, 0x11, 0x1f, 0x68];
        assert_eq!(picture_size(&fields), Some((1920, 1080)));
    }

    #[test]
    fn bytes_against_start_codes_are_left_out() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(bits.take(24), Some(1));
        assert_eq!(bits.take(16), Some(0));
        assert_eq!(bits.take(1), None);
    }

    proptest! {
        #[test]
        fn any_bytes(sps in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some((width, height)) = picture_size(&sps) {
                prop_assert!(width > 0 && height > 0);
            }
        }
    }
}
