//! CRC32c by the instruction for it. That takes three cycles, but one can begin in each: three parts of the bytes are gone
//! through side by side, and what comes of them is joined by carry-less multiplication (Gopal et al., "Fast CRC Computation
//! for iSCSI Polynomial Using CRC32 Instruction", Intel 2011), at whatever length.

use core::arch::x86_64::{
    __m128i, _mm_clmulepi64_si128, _mm_crc32_u8, _mm_crc32_u64, _mm_cvtsi64_si128, _mm_cvtsi128_si64,
};

/// The most words of eight bytes in a part.
const MOST: usize = 64;
/// Shorter parts are not worth joining.
const LEAST: usize = 4;

/// What a remainder is multiplied by to go on over as many words of zeros: x^(64 n - 33) modulo the polynomial, bits
/// reversed. The 33 are those of the reduction by the instruction, and the one bit by which reversed products are short.
static SHIFTS: [u32; 2 * MOST + 1] = shifts();

const fn shifts() -> [u32; 2 * MOST + 1] {
    /// 0x1edc6f41 with its bits reversed.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    // x^31, that of one word.
    let (mut power, mut words) = (1_u32, 1);
    let mut shifts = [0; 2 * MOST + 1];
    while words < shifts.len() {
        shifts[words] = power;
        let mut bit = 0;
        while bit < 64 {
            power = (power >> 1) ^ if power & 1 == 0 { 0 } else { POLYNOMIAL };
            bit += 1;
        }
        words += 1;
    }
    shifts
}

#[target_feature(enable = "sse4.2,pclmulqdq")]
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    let mut crc = u64::from(!crc);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut words = words;
    while words.len() >= 3 * LEAST {
        let len = (words.len() / 3).min(MOST);
        let (first, behind) = words.split_at(len);
        let (second, behind) = behind.split_at(len);
        let (third, behind) = behind.split_at(len);
        let (mut a, mut b, mut c) = (crc, 0, 0);
        for ((first, second), third) in first.iter().zip(second).zip(third) {
            a = _mm_crc32_u64(a, u64::from_le_bytes(*first));
            b = _mm_crc32_u64(b, u64::from_le_bytes(*second));
            c = _mm_crc32_u64(c, u64::from_le_bytes(*third));
        }
        crc = over_zeros(a, 2 * len) ^ over_zeros(b, len) ^ c;
        words = behind;
    }
    for word in words {
        crc = _mm_crc32_u64(crc, u64::from_le_bytes(*word));
    }
    let crc = rest.iter().fold(crc as u32, |crc, byte| _mm_crc32_u8(crc, *byte));
    !crc
}

/// The remainder behind so many words of zeros.
#[target_feature(enable = "sse4.2,pclmulqdq")]
fn over_zeros(crc: u64, words: usize) -> u64 {
    let product = _mm_clmulepi64_si128::<0>(low(crc), low(SHIFTS[words].into()));
    _mm_crc32_u64(0, _mm_cvtsi128_si64(product) as u64)
}

#[target_feature(enable = "sse2")]
fn low(value: u64) -> __m128i {
    _mm_cvtsi64_si128(value as i64)
}
