use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_or_si128, _mm_set_epi8, _mm_set_epi32, _mm_setzero_si128,
    _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_shuffle_epi8, _mm_slli_epi32,
    _mm_srli_epi32, _mm_xor_si128,
};

use safe_unaligned_simd::x86_64::{_mm_loadu_si128, _mm_storeu_si128};
use zeroize::Zeroize;

use crate::hmac::{MAX_LANES, Message};

type Block = [u8; 64];

/// The hash of FIPS 180-4 §6.1 between two blocks, as the instructions want it: the first word is the highest.
#[derive(Clone, Copy)]
struct Chain {
    abcd: __m128i,
    /// The fifth word; the three below are zero.
    e: __m128i,
}

/// What a key of HMAC begins its two hashes with (RFC 2104 §4).
pub(crate) struct HashStates {
    inner: Chain,
    outer: Chain,
}

impl HashStates {
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = [0; 64];
        if let Some(start) = block.get_mut(..key.len()) {
            start.copy_from_slice(key);
        } else {
            // RFC 2104 §2: a key that is longer than a block is hashed first.
            let mut chains = [Chain::initial()];
            let (blocks, tail) = (key.as_chunks().0, Tail::<0>::new(key, [], 0));
            ragged(&mut chains, &mut [blocks]);
            ragged(&mut chains, &mut [tail.blocks()]);
            block[..20].copy_from_slice(&chains[0].bytes());
        }
        let padded = |pad: u8| {
            let mut chains = [Chain::initial()];
            let mut padded = [block.map(|byte| byte ^ pad)];
            ragged(&mut chains, &mut [&padded]);
            padded.zeroize();
            let [chain] = chains;
            chain
        };
        let this = Self {
            inner: padded(0x36),
            outer: padded(0x5c),
        };
        block.zeroize();
        this
    }

    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(crate) fn mac_each<const N: usize, const S: usize>(
        keys: [&Self; N],
        messages: &[Message<'_, S>; N],
    ) -> [[u8; 20]; N] {
        // Loops and not closures, here and below: a closure that is handed to a function without the features is not
        // inlined, and then all vectors go through memory.
        let mut chains = [keys[0].inner; N];
        let mut blocks: [&[Block]; N] = [&[]; N];
        for lane in 0..N {
            chains[lane] = keys[lane].inner;
            (blocks[lane], _) = messages[lane].bytes.as_chunks();
        }
        ragged(&mut chains, &mut blocks);
        let tails = messages.map(|message| Tail::new(message.bytes, message.suffix, 64));
        for (blocks, tail) in blocks.iter_mut().zip(&tails) {
            *blocks = tail.blocks();
        }
        ragged(&mut chains, &mut blocks);
        let mut words = [[_mm_setzero_si128(); 4]; N];
        for lane in 0..N {
            words[lane] = chains[lane].padded();
            chains[lane] = keys[lane].outer;
        }
        compress(&mut chains, words);
        let mut macs = [[0; 20]; N];
        for (mac, chain) in macs.iter_mut().zip(chains) {
            *mac = chain.bytes();
        }
        macs
    }
}

impl Drop for HashStates {
    fn drop(&mut self) {
        for chain in [&mut self.inner, &mut self.outer] {
            chain.abcd.zeroize();
            chain.e.zeroize();
        }
    }
}

impl Chain {
    /// FIPS 180-4 §5.3.1.
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    #[inline]
    fn initial() -> Self {
        let word = |word: u32| word.cast_signed();
        Self {
            abcd: _mm_set_epi32(
                word(0x6745_2301),
                word(0xefcd_ab89),
                word(0x98ba_dcfe),
                word(0x1032_5476),
            ),
            e: _mm_set_epi32(word(0xc3d2_e1f0), 0, 0, 0),
        }
    }

    /// The hash as the only block, padded, of a message that follows a block (HMAC's outer hash).
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    #[inline]
    fn padded(self) -> [__m128i; 4] {
        let end = _mm_set_epi32(0, i32::MIN, 0, 0);
        let bits = _mm_set_epi32(0, 0, 0, (64 + 20) * 8);
        [self.abcd, _mm_or_si128(self.e, end), _mm_setzero_si128(), bits]
    }

    #[target_feature(enable = "sha,ssse3,sse4.1")]
    #[inline]
    fn bytes(self) -> [u8; 20] {
        let (mut start, mut end) = ([0; 16], [0; 16]);
        _mm_storeu_si128(&mut start, _mm_shuffle_epi8(self.abcd, big_endian()));
        _mm_storeu_si128(&mut end, _mm_shuffle_epi8(self.e, big_endian()));
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(&start);
        bytes[16..].copy_from_slice(&end[..4]);
        bytes
    }
}

/// The last one or two blocks of a message: what does not fill a block, the suffix, and the padding of FIPS 180-4 §5.1.1.
struct Tail<const S: usize> {
    bytes: [Block; 2],
    two: bool,
}

impl<const S: usize> Tail<S> {
    /// `before`: bytes that were hashed before the message.
    #[inline]
    fn new(message: &[u8], suffix: [u8; S], before: usize) -> Self {
        // At most 63 bytes are left, and a suffix has at most 32.
        let (_, rest) = message.as_chunks::<64>();
        let end = rest.len() + S;
        let mut this = Self {
            bytes: [[0; 64]; 2],
            two: end + 1 + 8 > 64,
        };
        let bytes = this.bytes.as_flattened_mut();
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()..end].copy_from_slice(&suffix);
        bytes[end] = 0x80;
        let bits = (before as u64 + message.len() as u64 + S as u64) * 8;
        let last = if this.two { 120 } else { 56 };
        bytes[last..last + 8].copy_from_slice(&bits.to_be_bytes());
        this
    }

    #[inline]
    fn blocks(&self) -> &[Block] {
        if self.two { &self.bytes } else { &self.bytes[..1] }
    }
}

/// Hashes all blocks of all lanes: side by side what they have in common, and then what some have more.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn ragged<const N: usize>(chains: &mut [Chain; N], blocks: &mut [&[Block]; N]) {
    side_by_side(chains, blocks);
    if N == 1 {
        return;
    }
    loop {
        let mut longer = [0; MAX_LANES];
        let mut count = 0;
        for (lane, blocks) in blocks.iter().enumerate() {
            if !blocks.is_empty() {
                longer[count] = lane;
                count += 1;
            }
        }
        match longer {
            _ if count == 0 => return,
            [a, ..] if count == 1 => chosen(chains, blocks, [a]),
            [a, b, ..] if count == 2 => chosen(chains, blocks, [a, b]),
            [a, b, c, _] => chosen(chains, blocks, [a, b, c]),
        }
    }
}

/// [`side_by_side`] for some of the lanes. Not part of its caller, which is often done without it.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline(never)]
fn chosen<const N: usize>(chains: &mut [Chain], blocks: &mut [&[Block]], lanes: [usize; N]) {
    let mut own_chains = lanes.map(|lane| chains[lane]);
    let mut own_blocks = lanes.map(|lane| blocks[lane]);
    side_by_side(&mut own_chains, &mut own_blocks);
    for (n, lane) in lanes.into_iter().enumerate() {
        chains[lane] = own_chains[n];
        blocks[lane] = own_blocks[n];
    }
}

/// Hashes as many blocks of each lane as the shortest has, and leaves the others.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn side_by_side<const N: usize>(chains: &mut [Chain; N], blocks: &mut [&[Block]; N]) {
    let common = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or_default();
    let mut heads = *blocks;
    for lane in 0..N {
        (heads[lane], blocks[lane]) = blocks[lane].split_at(common);
    }
    let mut own = *chains;
    #[expect(clippy::needless_range_loop, reason = "the block is the same in every lane")]
    for block in 0..common {
        let mut words = [[_mm_setzero_si128(); 4]; N];
        for lane in 0..N {
            let (quarters, _) = heads[lane][block].as_chunks::<16>();
            for n in 0..4 {
                words[lane][n] = _mm_shuffle_epi8(_mm_loadu_si128(&quarters[n]), big_endian());
            }
        }
        compress(&mut own, words);
    }
    *chains = own;
}

/// Bytes in the reverse order, which is at once the order of words that the instructions want.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn big_endian() -> __m128i {
    _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
}

/// One block of each lane (FIPS 180-4 §6.1.2), given as its words. An instruction does four steps and is long in coming; the
/// same four of the other lanes are done meanwhile.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn compress<const N: usize>(chains: &mut [Chain; N], given: [[__m128i; 4]; N]) {
    // The message schedule, four words each.
    let mut w = [[_mm_setzero_si128(); 20]; N];
    let mut abcd = [_mm_setzero_si128(); N];
    // As it was before the last four steps: the fifth word is made of its first one.
    let mut before = abcd;
    for lane in 0..N {
        w[lane][..4].copy_from_slice(&given[lane]);
        abcd[lane] = chains[lane].abcd;
        before[lane] = abcd[lane];
        let e = _mm_add_epi32(chains[lane].e, w[lane][0]);
        abcd[lane] = _mm_sha1rnds4_epu32::<0>(abcd[lane], e);
    }
    macro_rules! steps {
        ($function:literal: $($at:literal by $schedule:ident),*) => {$(
            for lane in 0..N {
                let w = &mut w[lane];
                w[$at] = $schedule(w, $at);
                let e = _mm_sha1nexte_epu32(before[lane], w[$at]);
                before[lane] = abcd[lane];
                abcd[lane] = _mm_sha1rnds4_epu32::<$function>(abcd[lane], e);
            }
        )*};
    }
    steps!(0: 1 by given_words, 2 by given_words, 3 by given_words, 4 by near_words);
    steps!(1: 5 by near_words, 6 by near_words, 7 by near_words, 8 by far_words, 9 by far_words);
    steps!(2: 10 by far_words, 11 by far_words, 12 by far_words, 13 by far_words, 14 by far_words);
    steps!(3: 15 by far_words, 16 by far_words, 17 by far_words, 18 by far_words, 19 by far_words);
    for lane in 0..N {
        chains[lane].e = _mm_sha1nexte_epu32(before[lane], chains[lane].e);
        chains[lane].abcd = _mm_add_epi32(abcd[lane], chains[lane].abcd);
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn given_words(w: &[__m128i; 20], at: usize) -> __m128i {
    w[at]
}

/// W(t) = ROTL(1, W(t-3) ^ W(t-8) ^ W(t-14) ^ W(t-16)): the last of four words needs the first.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn near_words(w: &[__m128i; 20], at: usize) -> __m128i {
    let word = _mm_xor_si128(_mm_sha1msg1_epu32(w[at - 4], w[at - 3]), w[at - 2]);
    _mm_sha1msg2_epu32(word, w[at - 1])
}

/// The recurrence put into itself: W(t) = ROTL(2, W(t-6) ^ W(t-16) ^ W(t-28) ^ W(t-32)), in which none of four words needs
/// another. On Intel's Emerald Rapids the instructions of SHA get into each other's way, these into nobody's: a quarter less for
/// four lanes, a tenth for one.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn far_words(w: &[__m128i; 20], at: usize) -> __m128i {
    let far = _mm_xor_si128(_mm_xor_si128(w[at - 8], w[at - 7]), w[at - 4]);
    let word = _mm_xor_si128(far, _mm_alignr_epi8::<8>(w[at - 2], w[at - 1]));
    _mm_or_si128(_mm_slli_epi32::<2>(word), _mm_srli_epi32::<30>(word))
}
