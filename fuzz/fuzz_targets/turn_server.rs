//! See [`hyaline_fuzz::turn_server`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(turn_server);
