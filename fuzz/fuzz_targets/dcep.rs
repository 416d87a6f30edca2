//! See [`hyaline_fuzz::dcep`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(dcep);
