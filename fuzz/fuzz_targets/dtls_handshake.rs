//! See [`hyaline_fuzz::dtls_handshake`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(dtls_handshake);
