//! Fuzz target bodies, one function each, so that the normal build compiles and tests them
