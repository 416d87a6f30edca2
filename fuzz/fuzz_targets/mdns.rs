//! See [`hyaline_fuzz::mdns`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(mdns);
