//! See [`hyaline_fuzz::srtp_seal`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(srtp_seal);
