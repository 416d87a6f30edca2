/// Declares a newtype for an IANA registry: named consts, lossless for unknown values, `Debug` and `Display` give the
/// registered name (or the number in hexadecimal).
///
/// ```
/// wire::registry! {
///     /// STUN attribute types (RFC 8489 §18.3).
///     pub struct AttributeType(u16) {
///         /// RFC 8489 §14.3.
///         USERNAME = 0x0006 => "USERNAME",
///     }
/// }
/// assert_eq!(format!("{:?}", AttributeType::USERNAME), "USERNAME");
/// assert_eq!(format!("{:?}", AttributeType(0x7abc)), "AttributeType(0x7abc)");
/// assert_eq!(AttributeType(6).name(), Some("USERNAME"));
/// ```
#[macro_export]
macro_rules! registry {
    ($(#[$meta:meta])* $vis:vis struct $name:ident($repr:ty) {
        $($(#[$vmeta:meta])* $konst:ident = $value:expr => $label:expr),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(unreachable_pub, reason = "the caller chooses the visibility")]
        $vis struct $name(pub $repr);

        #[allow(unreachable_pub, reason = "the caller chooses the visibility")]
        impl $name {
            $($(#[$vmeta])* pub const $konst: Self = Self($value);)*

            /// The registered name, if this value has one here.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$konst => Some($label),)*
                    _ => None,
                }
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!(stringify!($name), "({:#x})"), self.0),
                }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{:#x}", self.0),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::format;

    registry! {
        /// For the test.
        pub struct Colour(u8) {
            /// First.
            RED = 1 => "red",
            /// Second.
            GREEN = 2 => "green",
        }
    }

    #[test]
    fn unknown_values_survive_and_are_printed_as_numbers() {
        assert_eq!(Colour(2), Colour::GREEN);
        assert_eq!(
            format!("{} {} {:?}", Colour::RED, Colour(9), Colour(9)),
            "red 0x9 Colour(0x9)"
        );
        assert_eq!(Colour(9).name(), None);
        assert_eq!(Colour(9).0, 9);
    }
}
