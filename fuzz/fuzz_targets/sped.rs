//! See [`hyaline_fuzz::sped`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(sped);
