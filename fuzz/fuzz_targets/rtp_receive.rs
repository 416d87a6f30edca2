//! See [`hyaline_fuzz::rtp_receive`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(rtp_receive);
