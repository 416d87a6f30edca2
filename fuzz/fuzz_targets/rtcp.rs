//! See [`hyaline_fuzz::rtcp`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(rtcp);
