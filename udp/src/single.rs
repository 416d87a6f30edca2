use std::io::{self, ErrorKind};

use crate::Socket;
use crate::send::Message;

/// Where the system has no `sendmmsg` there are no arrays for it. A [`Socket`] there has no segmentation either, and
/// its messages never come here.
pub(crate) struct Arrays;

impl Arrays {
    pub(crate) const fn new(_capacity: usize) -> Self {
        Self
    }

    pub(crate) fn send(&mut self, _: &Socket, _: &[Message], _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }
}
