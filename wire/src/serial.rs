/// An unsigned number that wraps and is compared by RFC 1982: `a` comes before `b` when the way forward from `a` to
/// `b` is shorter than the way back.
///
/// The two numbers exactly half the range apart have no order in the RFC; here each then *precedes* neither, that is
/// [`precedes`](Self::precedes) is false both ways.
pub trait Serial: Copy + Eq {
    /// Whether `self` comes before `other`.
    fn precedes(self, other: Self) -> bool;

    /// How far `other` lies ahead of `self`, negative when behind.
    fn distance_to(self, other: Self) -> i64;

    /// The value as an unsigned 64-bit number.
    fn widen(self) -> u64;

    /// How many values there are.
    const MODULUS: u64;
}

macro_rules! serial {
    ($unsigned:ty, $signed:ty) => {
        impl Serial for $unsigned {
            fn precedes(self, other: Self) -> bool {
                self.distance_to(other) > 0
            }

            fn distance_to(self, other: Self) -> i64 {
                i64::from(other.wrapping_sub(self).cast_signed())
            }

            fn widen(self) -> u64 {
                u64::from(self)
            }

            const MODULUS: u64 = 1 << Self::BITS;
        }
    };
}

serial!(u16, i16);
serial!(u32, i32);

/// Extends a wrapping number to 64 bits by taking, for each new value, the candidate nearest to the highest one seen.
///
/// The first value starts one modulus above zero, so that values just before it stay positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unwrapper {
    highest: Option<u64>,
}

impl Unwrapper {
    /// One that has seen nothing yet.
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// The highest extended value so far.
    pub const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// What `value` would be extended to, without learning from it.
    pub fn peek<S: Serial>(&self, value: S) -> u64 {
        let Some(highest) = self.highest else {
            return S::MODULUS.saturating_add(value.widen());
        };
        // `highest` modulo a power of two, and then the signed way from there to the value.
        let low = highest & S::MODULUS.wrapping_sub(1);
        let half = S::MODULUS >> 1;
        let ahead = value.widen().wrapping_sub(low) & S::MODULUS.wrapping_sub(1);
        if ahead < half {
            highest.saturating_add(ahead)
        } else {
            highest.saturating_sub(S::MODULUS.wrapping_sub(ahead))
        }
    }

    /// Extends `value` and remembers it when it is the highest.
    pub fn unwrap<S: Serial>(&mut self, value: S) -> u64 {
        let extended = self.peek(value);
        self.highest = Some(self.highest.map_or(extended, |highest| highest.max(extended)));
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_wraps() {
        assert!(0xffff_u16.precedes(0));
        assert!(!0_u16.precedes(0xffff));
        assert!(!5_u16.precedes(5));
        assert!(!0_u16.precedes(0x8000) && !0x8000_u16.precedes(0));
        assert_eq!(0xfffe_u16.distance_to(3), 5);
        assert_eq!(3_u32.distance_to(0xffff_fffe), -5);
    }

    #[test]
    fn values_before_the_first_stay_positive() {
        let mut u = Unwrapper::new();
        assert_eq!(u.unwrap(2_u16), 0x1_0002);
        assert_eq!(u.unwrap(0xffff_u16), 0xffff);
        assert_eq!(u.unwrap(3_u16), 0x1_0003);
    }

    proptest! {
        #[test]
        fn follows_a_walk(start: u16, steps in proptest::collection::vec(-30_000i64..30_000, 1..200)) {
            let mut u = Unwrapper::new();
            let mut truth = 0x1_0000 + i64::from(start);
            prop_assert_eq!(u.unwrap(start), truth as u64);
            let mut highest = truth;
            for step in steps {
                truth = (highest + step).max(0);
                prop_assert_eq!(u.unwrap((truth & 0xffff) as u16), truth as u64);
                highest = highest.max(truth);
            }
        }

        #[test]
        fn same_for_32_bits(start: u32, ahead in 0u32..1 << 31) {
            let mut u = Unwrapper::new();
            let first = u.unwrap(start);
            prop_assert_eq!(u.unwrap(start.wrapping_add(ahead)), first + u64::from(ahead));
        }
    }
}
