//! See [`hyaline_fuzz::peer_offer`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(peer_offer);
