//! Where the choices come from that make up a run.

/// What decides all that happens.
pub trait Choices {
    /// A number below `end`. 0 is always the harmless choice.
    fn below(&mut self, end: u64) -> u64;

    /// Nothing is left to choose: what follows is harmless.
    fn is_over(&self) -> bool;

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == n - 1
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Choices that a number stands for (`SplitMix64`), without an end.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Choices for Random {
    fn below(&mut self, end: u64) -> u64 {
        // Without a division.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// Choices as bytes have them, until they end.
#[derive(Debug)]
pub struct Script<'a>(pub &'a [u8]);

impl Choices for Script<'_> {
    fn below(&mut self, end: u64) -> u64 {
        let len = match end {
            0..=1 => return 0,
            2..=256 => 1,
            257..=65_536 => 2,
            _ => 4,
        };
        let (number, rest) = self.0.split_at(self.0.len().min(len));
        self.0 = rest;
        number.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)) % end
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
