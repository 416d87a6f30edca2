/// A set of named counters, as [`counters!`](crate::counters) declares it.
pub trait CounterSet {
    /// Each counter's name and value, in the order of declaration.
    fn each(&self, visit: &mut dyn FnMut(&'static str, u64));
}

/// Declares a struct of `u64` counters. Each counter's name is its field's name, which is also the name in the metrics.
///
/// ```
/// wire::counters! {
///     /// What a parser noticed.
///     pub struct Counters {
///         /// Datagrams that were too short.
///         pub short_datagrams,
///     }
/// }
/// let mut counters = Counters::default();
/// counters.short_datagrams += 1;
/// assert_eq!(counters.iter().collect::<Vec<_>>(), [("short_datagrams", 1)]);
/// ```
#[macro_export]
macro_rules! counters {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$fmeta:meta])* pub $field:ident),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[allow(unreachable_pub, reason = "the caller chooses the visibility")]
        $vis struct $name { $($(#[$fmeta])* pub $field: u64),* }

        #[allow(unreachable_pub, reason = "the caller chooses the visibility")]
        impl $name {
            /// Each counter's name and value, in the order of declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($field), self.$field)),*].into_iter()
            }

            /// Adds another set, counter by counter.
            pub fn absorb(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)*
            }
        }

        impl $crate::CounterSet for $name {
            fn each(&self, visit: &mut dyn FnMut(&'static str, u64)) {
                $(visit(stringify!($field), self.$field);)*
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    counters! {
        /// For the test.
        pub struct Two {
            /// One.
            pub one,
            /// Two.
            pub two,
        }
    }

    #[test]
    fn counters_are_listed_and_added() {
        let mut total = Two { one: 1, two: u64::MAX };
        total.absorb(&Two { one: 2, two: 5 });
        assert_eq!(total.iter().collect::<Vec<_>>(), [("one", 3), ("two", u64::MAX)]);
        let mut seen = Vec::new();
        crate::CounterSet::each(&total, &mut |name, value| seen.push((name, value)));
        assert_eq!(seen, [("one", 3), ("two", u64::MAX)]);
    }
}
