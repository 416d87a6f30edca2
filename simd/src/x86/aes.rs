use core::arch::x86_64::{
    __m128i, _mm_add_epi64, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aeskeygenassist_si128, _mm_set_epi8,
    _mm_set_epi64x, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_slli_si128, _mm_xor_si128, _mm256_add_epi64,
    _mm256_aesenc_epi128, _mm256_aesenclast_epi128, _mm256_broadcastsi128_si256, _mm256_set_epi64x,
    _mm256_shuffle_epi8, _mm256_xor_si256,
};

use safe_unaligned_simd::x86_64::{_mm_loadu_si128, _mm_storeu_si128, _mm256_loadu_si256, _mm256_storeu_si256};
use zeroize::Zeroize;

/// The round keys of FIPS 197 §5.2: 11 of AES-128, 15 of AES-256.
///
/// On a cache line of their own, since a round key that crosses two takes two accesses in every round.
#[repr(align(64))]
pub(crate) struct RoundKeys<const N: usize>([[u8; 16]; N]);

impl RoundKeys<11> {
    #[target_feature(enable = "aes,sse4.1")]
    pub(crate) fn expand_128(key: &[u8; 16]) -> Self {
        let mut keys = Self([[0; 16]; 11]);
        let mut last = _mm_loadu_si128(key);
        // The constant of a round is part of its instruction.
        macro_rules! rounds {
            ($($round:literal: $constant:literal),*) => {$(
                _mm_storeu_si128(&mut keys.0[$round - 1], last);
                let mixed = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(last));
                last = _mm_xor_si128(smear(last), mixed);
            )*};
        }
        rounds!(1: 0x01, 2: 0x02, 3: 0x04, 4: 0x08, 5: 0x10, 6: 0x20, 7: 0x40, 8: 0x80, 9: 0x1b, 10: 0x36);
        _mm_storeu_si128(&mut keys.0[10], last);
        keys
    }
}

impl RoundKeys<15> {
    #[target_feature(enable = "aes,sse4.1")]
    pub(crate) fn expand_256(key: &[u8; 32]) -> Self {
        let mut keys = Self([[0; 16]; 15]);
        let (halves, _) = key.as_chunks::<16>();
        let (mut even, mut odd) = (_mm_loadu_si128(&halves[0]), _mm_loadu_si128(&halves[1]));
        macro_rules! rounds {
            ($($round:literal: $constant:literal),*) => {$(
                _mm_storeu_si128(&mut keys.0[$round - 2], even);
                _mm_storeu_si128(&mut keys.0[$round - 1], odd);
                let mixed = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(odd));
                even = _mm_xor_si128(smear(even), mixed);
                // Between two rotations AES-256 substitutes once more, without a constant.
                let mixed = _mm_shuffle_epi32::<0xaa>(_mm_aeskeygenassist_si128::<0>(even));
                odd = _mm_xor_si128(smear(odd), mixed);
            )*};
        }
        rounds!(2: 0x01, 4: 0x02, 6: 0x04, 8: 0x08, 10: 0x10, 12: 0x20, 14: 0x40);
        // The last odd key is one too many.
        odd.zeroize();
        _mm_storeu_si128(&mut keys.0[14], even);
        keys
    }
}

/// Each word XORed with all words before it.
#[target_feature(enable = "sse4.1")]
#[inline]
fn smear(key: __m128i) -> __m128i {
    let key = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
    _mm_xor_si128(key, _mm_slli_si128::<8>(key))
}

/// How many vectors are ciphered at once: an instruction of AES takes several cycles, and in each another can begin.
const TURN: usize = 8;

/// What is left at the end and fits into half a turn takes half a turn.
const HALF: usize = TURN / 2;

/// The passes of a path, in place and from elsewhere, by a `$turn` that ciphers any number of vectors of `$bytes` bytes.
macro_rules! passes {
    ($features:literal, $bytes:literal, $turn:ident, $apply:ident, $apply_into:ident, $last:ident) => {
        #[target_feature(enable = $features)]
        pub(crate) fn $apply(&self, mut counter: u128, data: &mut [u8]) {
            let (whole, rest) = data.split_at_mut(data.len() - data.len() % (TURN * $bytes));
            for turn in whole.as_chunks_mut::<$bytes>().0.as_chunks_mut::<TURN>().0 {
                let plain = *turn;
                self.$turn(counter, &plain, turn);
                counter = counter.wrapping_add((TURN * $bytes / 16) as u128);
            }
            let mut plain = [[0; $bytes]; TURN];
            plain.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
            self.$last(counter, &plain, rest);
        }

        /// `from` and `to` are of the same length.
        #[target_feature(enable = $features)]
        pub(crate) fn $apply_into(&self, mut counter: u128, from: &[u8], to: &mut [u8]) {
            let (from, rest_from) = from.split_at(from.len() - from.len() % (TURN * $bytes));
            let (to, rest_to) = to.split_at_mut(from.len());
            let from = from.as_chunks::<$bytes>().0.as_chunks::<TURN>().0;
            let to = to.as_chunks_mut::<$bytes>().0.as_chunks_mut::<TURN>().0;
            for (from, to) in from.iter().zip(to) {
                self.$turn(counter, from, to);
                counter = counter.wrapping_add((TURN * $bytes / 16) as u128);
            }
            let mut plain = [[0; $bytes]; TURN];
            plain.as_flattened_mut()[..rest_from.len()].copy_from_slice(rest_from);
            self.$last(counter, &plain, rest_to);
        }

        /// Ciphers the beginning of `plain` that is as long as `to`, which is shorter than a turn.
        #[target_feature(enable = $features)]
        #[inline]
        fn $last(&self, counter: u128, plain: &[[u8; $bytes]; TURN], to: &mut [u8]) {
            let mut cipher = [[0; $bytes]; TURN];
            if to.is_empty() {
                return;
            } else if let (true, Some(plain), Some(cipher)) = (
                to.len() <= HALF * $bytes,
                plain.first_chunk::<HALF>(),
                cipher.first_chunk_mut::<HALF>(),
            ) {
                self.$turn(counter, plain, cipher);
            } else {
                self.$turn(counter, plain, &mut cipher);
            }
            let len = to.len();
            to.copy_from_slice(&cipher.as_flattened()[..len]);
        }
    };
}

impl<const N: usize> RoundKeys<N> {
    passes!(
        "aes,sse4.1",
        16,
        turn_aes_ni,
        apply_aes_ni,
        apply_into_aes_ni,
        last_aes_ni
    );
    passes!(
        "vaes,avx2,aes,sse4.1",
        32,
        turn_vaes,
        apply_vaes,
        apply_into_vaes,
        last_vaes
    );

    #[target_feature(enable = "aes,sse4.1")]
    #[inline]
    fn turn_aes_ni<const V: usize>(&self, counter: u128, from: &[[u8; 16]; V], to: &mut [[u8; 16]; V]) {
        let big_endian = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let key = _mm_loadu_si128(&self.0[0]);
        let mut states = [key; V];
        let [high, low] = halves(counter);
        if low.checked_add(V as u64).is_some() {
            let base = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
            for (n, state) in states.iter_mut().enumerate() {
                let block = _mm_add_epi64(base, _mm_set_epi64x(0, n as i64));
                *state = _mm_xor_si128(*state, _mm_shuffle_epi8(block, big_endian));
            }
        } else {
            for (n, state) in states.iter_mut().enumerate() {
                let [high, low] = halves(counter.wrapping_add(n as u128));
                let block = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
                *state = _mm_xor_si128(*state, _mm_shuffle_epi8(block, big_endian));
            }
        }
        for key in &self.0[1..N - 1] {
            let key = _mm_loadu_si128(key);
            for state in &mut states {
                *state = _mm_aesenc_si128(*state, key);
            }
        }
        let key = _mm_loadu_si128(&self.0[N - 1]);
        for ((from, to), state) in from.iter().zip(to).zip(states) {
            let stream = _mm_aesenclast_si128(state, key);
            _mm_storeu_si128(to, _mm_xor_si128(stream, _mm_loadu_si128(from)));
        }
    }

    #[target_feature(enable = "vaes,avx2,aes,sse4.1")]
    #[inline]
    fn turn_vaes<const V: usize>(&self, counter: u128, from: &[[u8; 32]; V], to: &mut [[u8; 32]; V]) {
        let big_endian =
            _mm256_broadcastsi128_si256(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
        let key = _mm256_broadcastsi128_si256(_mm_loadu_si128(&self.0[0]));
        let mut states = [key; V];
        let [high, low] = halves(counter);
        if low.checked_add(2 * V as u64).is_some() {
            let (high, low) = (high.cast_signed(), low.cast_signed());
            let base = _mm256_set_epi64x(high, low, high, low);
            for (n, state) in states.iter_mut().enumerate() {
                let n = 2 * n as i64;
                let block = _mm256_add_epi64(base, _mm256_set_epi64x(0, n + 1, 0, n));
                *state = _mm256_xor_si256(*state, _mm256_shuffle_epi8(block, big_endian));
            }
        } else {
            for (n, state) in states.iter_mut().enumerate() {
                let [high, low] = halves(counter.wrapping_add(2 * n as u128));
                let [next_high, next_low] = halves(counter.wrapping_add(2 * n as u128 + 1));
                let block = _mm256_set_epi64x(
                    next_high.cast_signed(),
                    next_low.cast_signed(),
                    high.cast_signed(),
                    low.cast_signed(),
                );
                *state = _mm256_xor_si256(*state, _mm256_shuffle_epi8(block, big_endian));
            }
        }
        for key in &self.0[1..N - 1] {
            let key = _mm256_broadcastsi128_si256(_mm_loadu_si128(key));
            for state in &mut states {
                *state = _mm256_aesenc_epi128(*state, key);
            }
        }
        let key = _mm256_broadcastsi128_si256(_mm_loadu_si128(&self.0[N - 1]));
        for ((from, to), state) in from.iter().zip(to).zip(states) {
            let stream = _mm256_aesenclast_epi128(state, key);
            _mm256_storeu_si256(to, _mm256_xor_si256(stream, _mm256_loadu_si256(from)));
        }
    }
}

/// The high and the low half.
const fn halves(counter: u128) -> [u64; 2] {
    [(counter >> 64) as u64, counter as u64]
}

impl<const N: usize> Drop for RoundKeys<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
