//! See [`hyaline_fuzz::sdp`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(sdp);
