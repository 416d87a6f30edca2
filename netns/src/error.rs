use std::fmt;

/// Why a network was not made, entered or changed.
#[derive(Debug)]
pub enum Error {
    /// A command failed or could not be run, or the namespace could not be entered: a sentence that tells which.
    Network(String),
    /// The guard could not be started.
    Io(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(message) => write!(
                f,
                "{message} (network namespaces need root, `ip` of iproute2 and `nft` of nftables)"
            ),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
