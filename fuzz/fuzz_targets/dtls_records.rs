//! See [`hyaline_fuzz::dtls_records`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(dtls_records);
