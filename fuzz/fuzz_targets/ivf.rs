//! See [`hyaline_fuzz::ivf`].
#![cfg_attr(fuzzing, no_main)]

hyaline_fuzz::target!(ivf);
