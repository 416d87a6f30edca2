//! See [`hyaline_fuzz::dtls_cookie`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(dtls_cookie);
