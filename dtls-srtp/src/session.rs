use crate::profile::SrtpProfile;
use crate::registry::{CipherSuite, NamedGroup, Version};
use crate::v12;

/// What a completed handshake leaves behind.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) version: Version,
    pub(crate) suite: CipherSuite,
    pub(crate) group: NamedGroup,
    pub(crate) profile: Option<SrtpProfile>,
    pub(crate) master: v12::Master,
    /// The epoch of application data.
    pub(crate) epoch: u16,
}
