//! See [`hyaline_fuzz::ice_agent`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(ice_agent);
