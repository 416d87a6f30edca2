//! See [`hyaline_fuzz::srtp_open`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(srtp_open);
