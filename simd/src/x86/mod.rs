//! What x86-64 has instructions for. Everything here is safe code; calling it is not, since the machine has to have the
//! features that a function names.

pub(crate) mod aes;
pub(crate) mod crc32c;
pub(crate) mod sha1;
