use std::fmt;

use crate::negotiation::AgreedSrtp;
use crate::registry::{CipherSuite, NamedGroup, Version};
use crate::resumption::Resumable;
use crate::{v12, v13};

/// What a completed handshake leaves behind.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) version: Version,
    pub(crate) suite: CipherSuite,
    pub(crate) group: NamedGroup,
    pub(crate) srtp: Option<AgreedSrtp>,
    pub(crate) secrets: Secrets,
    /// Whether it goes on from an earlier one.
    pub(crate) resumed: bool,
    /// The epoch of application data that we send.
    pub(crate) epoch: u16,
}

/// What keying material is exported from, and keys are updated with.
pub(crate) enum Secrets {
    V12(v12::Master),
    V13(Box<v13::Secrets>),
}

impl Session {
    /// Keying material for others; `None` when label, context or length are beyond what the version can do.
    pub(crate) fn export(&self, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) -> Option<()> {
        match &self.secrets {
            Secrets::V12(master) => master.export(label, context, out).ok(),
            Secrets::V13(secrets) => secrets.exporter.export(label, context, out).ok(),
        }
    }
}

impl Secrets {
    /// What the connection can be resumed with.
    pub(crate) const fn resumable(&self) -> Option<&Resumable> {
        match self {
            Self::V12(_) => None,
            Self::V13(secrets) => secrets.resumable.as_ref(),
        }
    }

    pub(crate) const fn master(&self) -> Option<&v12::Master> {
        match self {
            Self::V12(master) => Some(master),
            Self::V13(_) => None,
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V12(_) => "of DTLS 1.2",
            Self::V13(_) => "of DTLS 1.3",
        })
    }
}
