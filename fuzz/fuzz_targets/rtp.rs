//! See [`hyaline_fuzz::rtp`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(rtp);
