//! See [`hyaline_fuzz::sfu_session`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(sfu_session);
