/// Goes on with a CRC32c (Castagnoli; RFC 9260 appendix A), which begins with 0.
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sse4.2") && is_x86_feature_detected!("pclmulqdq") {
        if bytes.len() >= crate::x86::crc32c::LEAST_FOLDED
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("vpclmulqdq")
        {
            // SAFETY: all were detected.
            return unsafe { crate::x86::crc32c::append_folded(crc, bytes) };
        }
        // SAFETY: both were detected.
        return unsafe { crate::x86::crc32c::append(crc, bytes) };
    }
    ::crc32c::crc32c_append(crc, bytes)
}
