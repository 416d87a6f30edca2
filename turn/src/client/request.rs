use super::config::{Config, Families, Relayed};
use super::event::ConnectionId;
use super::login::Login;
use std::net::{IpAddr, SocketAddr};
use stun::{AddressFamily, AttributeType, BuildError, Builder, Class, Method, TransactionId, Value};

use crate::ChannelNumber;

/// IP protocol numbers of REQUESTED-TRANSPORT (RFC 8656 §18.8).
const UDP: u8 = 17;
const TCP: u8 = 6;

/// What is asked of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Allocate,
    Refresh,
    /// A Refresh with the lifetime 0.
    Delete,
    CreatePermission(Vec<IpAddr>),
    ChannelBind {
        channel: ChannelNumber,
        peer: SocketAddr,
    },
    Connect {
        peer: SocketAddr,
    },
    ConnectionBind {
        connection: ConnectionId,
    },
}

impl Request {
    pub(crate) const fn method(&self) -> Method {
        match self {
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh | Self::Delete => Method::REFRESH,
            Self::CreatePermission(_) => Method::CREATE_PERMISSION,
            Self::ChannelBind { .. } => Method::CHANNEL_BIND,
            Self::Connect { .. } => Method::CONNECT,
            Self::ConnectionBind { .. } => Method::CONNECTION_BIND,
        }
    }

    /// The addresses whose permission it asks for.
    pub(crate) fn permits(&self) -> Vec<IpAddr> {
        match self {
            Self::CreatePermission(addresses) => addresses.clone(),
            Self::ChannelBind { peer, .. } => vec![peer.ip()],
            _ => Vec::new(),
        }
    }

    /// The message, signed once the server has challenged us.
    pub(crate) fn write<'a>(
        &self,
        out: &'a mut [u8],
        id: TransactionId,
        config: &Config,
        login: Option<&Login>,
    ) -> Result<&'a mut [u8], BuildError> {
        let mut b = Builder::new(out, Class::Request, self.method(), id)?;
        match self {
            Self::Allocate => {
                let protocol = if config.relayed == Relayed::Tcp { TCP } else { UDP };
                b.push(&Value::RequestedTransport(protocol))?;
                match config.families {
                    Families::Ipv4 => {}
                    Families::Ipv6 => b.push(&Value::RequestedAddressFamily(AddressFamily::IPV6))?,
                    Families::Both => b.push(&Value::AdditionalAddressFamily(AddressFamily::IPV6))?,
                }
                lifetime(&mut b, config)?;
                software(&mut b, config)?;
            }
            Self::Refresh => {
                lifetime(&mut b, config)?;
                software(&mut b, config)?;
            }
            Self::Delete => {
                b.push(&Value::Lifetime(0))?;
                software(&mut b, config)?;
            }
            Self::CreatePermission(addresses) => {
                for &address in addresses {
                    // The port does not count (RFC 8656 §10.1).
                    b.push(&Value::XorPeerAddress(SocketAddr::new(address, 0)))?;
                }
            }
            Self::ChannelBind { channel, peer } => {
                b.push(&Value::ChannelNumber(channel.get()))?;
                b.push(&Value::XorPeerAddress(*peer))?;
            }
            Self::Connect { peer } => b.push(&Value::XorPeerAddress(*peer))?,
            Self::ConnectionBind { connection } => {
                let id = connection.0.to_be_bytes();
                b.push(&Value::Other(AttributeType::CONNECTION_ID, &id))?;
            }
        }
        if let Some(login) = login {
            login.sign(&mut b)?;
        }
        Ok(b.finish())
    }
}

fn lifetime(b: &mut Builder<'_>, config: &Config) -> Result<(), BuildError> {
    let Some(lifetime) = config.lifetime else { return Ok(()) };
    // Zero would delete it.
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).max(1);
    b.push(&Value::Lifetime(seconds))
}

fn software(b: &mut Builder<'_>, config: &Config) -> Result<(), BuildError> {
    match &config.software {
        Some(text) if text.len() <= 127 => b.push(&Value::Software(text)),
        _ => Ok(()),
    }
}
