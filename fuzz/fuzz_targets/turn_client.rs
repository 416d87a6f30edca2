//! See [`hyaline_fuzz::turn_client`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(turn_client);
