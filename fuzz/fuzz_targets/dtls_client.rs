//! See [`hyaline_fuzz::dtls_client`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(dtls_client);
