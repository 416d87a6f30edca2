//! See [`hyaline_fuzz::deframer`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(deframer);
