//! See [`hyaline_fuzz::sfu_lines`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(sfu_lines);
