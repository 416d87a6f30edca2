//! See [`hyaline_fuzz::peer_session`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(peer_session);
