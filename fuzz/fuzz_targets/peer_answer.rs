//! See [`hyaline_fuzz::peer_answer`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(peer_answer);
