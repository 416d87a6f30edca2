//! See [`hyaline_fuzz::dtls_server`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(dtls_server);
