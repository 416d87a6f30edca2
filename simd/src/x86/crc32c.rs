//! CRC32c by the instruction for it. That takes three cycles, but one can begin in each: three parts of the bytes are gone
//! through side by side, and what comes of them is joined by carry-less multiplication (Gopal et al., "Fast CRC Computation
//! for iSCSI Polynomial Using CRC32 Instruction", Intel 2011), at whatever length.
//!
//! Where 64 bytes can be multiplied at a time, they are folded instead: what was read is moved on to where the next bytes
//! stand and added to those (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel
//! 2009), in four blocks side by side.

use core::arch::x86_64::{
    __m128i, __m512i, _mm_clmulepi64_si128, _mm_crc32_u8, _mm_crc32_u32, _mm_crc32_u64, _mm_cvtsi64_si128,
    _mm_cvtsi128_si64, _mm_extract_epi64, _mm_xor_si128, _mm256_castsi256_si128, _mm256_extracti128_si256,
    _mm256_xor_si256, _mm512_castsi512_si256, _mm512_clmulepi64_epi128, _mm512_extracti64x4_epi64,
    _mm512_maskz_mov_epi64, _mm512_setzero_si512, _mm512_ternarylogic_epi64,
};

use safe_unaligned_simd::x86_64::_mm512_loadu_si512;

/// The most words of eight bytes in a part.
const MOST: usize = 64;
/// Shorter parts are not worth joining.
const LEAST: usize = 4;

/// What is folded at a time, in bytes.
const BLOCK: usize = 64;
/// The most blocks that are folded into one remainder.
const MOST_BLOCKS: usize = 32;
/// For fewer bytes it is not worth it.
pub(crate) const LEAST_FOLDED: usize = 512;

/// What a remainder is multiplied by to go on over as many words of zeros: x^(64 n - 33) modulo the polynomial, bits
/// reversed. The 33 are those of the reduction by the instruction, and the one bit by which reversed products are short.
/// Nothing is reduced in folding, but there the 32 bits stand at the end of 64, which makes the same 33.
static SHIFTS: [u32; MOST_BLOCKS * BLOCK / 8 + 1] = shifts();

const fn shifts() -> [u32; MOST_BLOCKS * BLOCK / 8 + 1] {
    /// 0x1edc6f41 with its bits reversed.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    // x^31, that of one word.
    let (mut power, mut words) = (1_u32, 1);
    let mut shifts = [0; MOST_BLOCKS * BLOCK / 8 + 1];
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
    !in_parts(!crc, bytes)
}

/// The same by folding, for [`LEAST_FOLDED`] bytes or more.
#[target_feature(enable = "sse4.2,pclmulqdq,avx512f,vpclmulqdq")]
pub(crate) fn append_folded(crc: u32, bytes: &[u8]) -> u32 {
    let (rest, blocks) = bytes.as_rchunks::<BLOCK>();
    let (words, rest) = rest.as_chunks::<8>();
    let mut crc = one_by_one((!crc).into(), words, rest);
    for blocks in blocks.chunks(MOST_BLOCKS) {
        // Nothing in there waits for what was before.
        crc = folded(blocks) ^ over_zeros(crc.into(), blocks.len() * BLOCK / 8) as u32;
    }
    !crc
}

/// The remainder behind these blocks.
#[target_feature(enable = "sse4.2,avx512f,vpclmulqdq")]
fn folded(blocks: &[[u8; BLOCK]]) -> u32 {
    let (first, groups) = blocks.as_rchunks::<4>();
    let mut sums = [_mm512_setzero_si512(); 4];
    // As if there were zeros before.
    for block in first {
        sums = [sums[1], sums[2], sums[3], _mm512_loadu_si512(block)];
    }
    let by_group = _mm512_loadu_si512(&BY_GROUP);
    for group in groups {
        for (sum, block) in sums.iter_mut().zip(group) {
            *sum = fold(*sum, by_group, _mm512_loadu_si512(block));
        }
    }
    let [first, second, third, fourth] = sums;
    let by_two = _mm512_loadu_si512(&BY_TWO);
    let (third, fourth) = (fold(first, by_two, third), fold(second, by_two, fourth));
    let sum = fold(third, _mm512_loadu_si512(&BY_ONE), fourth);
    let last = _mm512_maskz_mov_epi64(0b1100_0000, sum);
    let sum = fold(sum, _mm512_loadu_si512(&TO_LAST), last);
    let sum = _mm256_xor_si256(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
    let sum = _mm_xor_si128(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let crc = _mm_crc32_u64(0, _mm_cvtsi128_si64(sum) as u64);
    _mm_crc32_u64(crc, _mm_extract_epi64::<1>(sum) as u64) as u32
}

/// What moves four times 16 bytes on by so many bytes each; by none is to leave them out.
const fn by(bytes: [usize; 4]) -> [u64; 8] {
    let mut by = [0; 8];
    let mut at = 0;
    while at < bytes.len() {
        let words = bytes[at] / 8;
        if words > 0 {
            by[2 * at] = SHIFTS[words + 1] as u64;
            by[2 * at + 1] = SHIFTS[words] as u64;
        }
        at += 1;
    }
    by
}

static BY_GROUP: [u64; 8] = by([4 * BLOCK; 4]);
static BY_TWO: [u64; 8] = by([2 * BLOCK; 4]);
static BY_ONE: [u64; 8] = by([BLOCK; 4]);
/// To where the last 16 bytes stand.
static TO_LAST: [u64; 8] = by([48, 32, 16, 0]);

#[target_feature(enable = "avx512f,vpclmulqdq")]
fn fold(sum: __m512i, by: __m512i, next: __m512i) -> __m512i {
    /// The exclusive or of three.
    const XOR: i32 = 0x96;
    let low = _mm512_clmulepi64_epi128::<0x00>(sum, by);
    let high = _mm512_clmulepi64_epi128::<0x11>(sum, by);
    _mm512_ternarylogic_epi64::<XOR>(low, high, next)
}

/// The remainder behind `bytes` by the instruction for it.
#[target_feature(enable = "sse4.2,pclmulqdq")]
fn in_parts(crc: u32, bytes: &[u8]) -> u32 {
    let mut crc = u64::from(crc);
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
    one_by_one(crc, words, rest)
}

#[inline]
#[target_feature(enable = "sse4.2")]
fn one_by_one(mut crc: u64, words: &[[u8; 8]], rest: &[u8]) -> u32 {
    for word in words {
        crc = _mm_crc32_u64(crc, u64::from_le_bytes(*word));
    }
    // Packets often have a multiple of four bytes.
    let (half, rest) = rest.as_chunks::<4>();
    for word in half {
        crc = _mm_crc32_u32(crc as u32, u32::from_le_bytes(*word)).into();
    }
    rest.iter().fold(crc as u32, |crc, byte| _mm_crc32_u8(crc, *byte))
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
