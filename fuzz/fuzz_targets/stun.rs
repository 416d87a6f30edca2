//! See [`hyaline_fuzz::stun`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(stun);
