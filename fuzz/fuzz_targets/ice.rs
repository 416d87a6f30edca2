//! See [`hyaline_fuzz::ice`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(ice);
