//! See [`hyaline_fuzz::sctp_association`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(sctp_association);
