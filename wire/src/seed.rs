use core::fmt;

/// What all randomness of an engine grows from: identifiers, ufrags, cookies, initial sequence numbers.
///
/// In production it comes from the operating system, in simulations from the number of the run. It is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed for tests and simulations, grown from the number of a run. Never for production.
    pub const fn from_run(run: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = run.to_be_bytes();
        Self([
            a, b, c, d, e, f, g, h, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
            23,
        ])
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(32 bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_tell_the_secret() {
        assert_eq!(std::format!("{:?}", Seed::from_run(7)), "Seed(32 bytes)");
        assert_ne!(Seed::from_run(1), Seed::from_run(2));
    }
}
