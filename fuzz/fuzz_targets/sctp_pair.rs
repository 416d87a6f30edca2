//! See [`hyaline_fuzz::sctp_pair`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(sctp_pair);
