//! See [`hyaline_fuzz::client_message`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(client_message);
