//! See [`hyaline_fuzz::sctp_packet`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(sctp_packet);
