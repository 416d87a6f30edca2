use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Where a room is, as its page's address tells: `http://HOST:PORT/r/ROOM`, or the same with `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    secure: bool,
    authority: String,
    name: String,
}

/// Why an address is no room's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomError {
    /// Only HTTP is spoken, with or without TLS.
    Scheme,
    /// The path is not `/r/ROOM`.
    Path,
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the address begins with http:// or https://",
            Self::Path => "the address ends with /r/ROOM",
        })
    }
}

impl std::error::Error for RoomError {}

impl std::str::FromStr for Room {
    type Err = RoomError;

    fn from_str(url: &str) -> Result<Self, RoomError> {
        let (scheme, rest) = url.split_once("://").ok_or(RoomError::Scheme)?;
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(RoomError::Scheme),
        };
        let (authority, path) = rest.split_once('/').ok_or(RoomError::Path)?;
        let name = path.strip_prefix("r/").ok_or(RoomError::Path)?;
        if authority.is_empty() || name.is_empty() || name.contains('/') {
            return Err(RoomError::Path);
        }
        Ok(Self {
            secure,
            authority: authority.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl Room {
    /// Where its WebSocket is.
    pub(crate) fn websocket(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        format!("{scheme}://{}/v1/rooms/{}/ws", self.authority, self.name)
    }

    /// The name, or the address, that the server's certificate must be for; `None` without TLS.
    pub(crate) fn tls_name(&self) -> Option<&str> {
        let host = match self.authority.strip_prefix('[') {
            Some(address) => address.split(']').next(),
            None => self.authority.split(':').next(),
        };
        host.filter(|_| self.secure)
    }

    /// The server's name or address, with the port where it is not that of the scheme.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The server's addresses: one at least. May block.
    pub(crate) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let port = if self.secure { 443 } else { 80 };
        let behind = self.authority.rsplit(']').next().unwrap_or_default();
        let authority = if behind.contains(':') {
            self.authority.clone()
        } else {
            format!("{}:{port}", self.authority)
        };
        let found: Vec<_> = authority.to_socket_addrs()?.collect();
        if found.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_known_by_their_page() {
        let room: Room = "http://127.0.0.1:8080/r/tea".parse().unwrap();
        assert_eq!(room.websocket(), "ws://127.0.0.1:8080/v1/rooms/tea/ws");
        assert_eq!(room.resolve().unwrap(), ["127.0.0.1:8080".parse().unwrap()]);
        assert_eq!(room.tls_name(), None);
        for (url, socket, name, address) in [
            ("https://[::1]/r/b", "wss://[::1]/v1/rooms/b/ws", "::1", "[::1]:443"),
            (
                "https://127.0.0.1:8443/r/b",
                "wss://127.0.0.1:8443/v1/rooms/b/ws",
                "127.0.0.1",
                "127.0.0.1:8443",
            ),
        ] {
            let room: Room = url.parse().unwrap();
            assert_eq!((room.websocket().as_str(), room.tls_name()), (socket, Some(name)));
            assert_eq!(room.resolve().unwrap(), [address.parse().unwrap()]);
        }
        for url in ["ftp://a/r/b", "a/r/b"] {
            assert_eq!(url.parse::<Room>(), Err(RoomError::Scheme));
        }
        for url in ["http://a", "http://a/", "http://a/r/", "http://a/r/b/c", "http:///r/b"] {
            assert_eq!(url.parse::<Room>(), Err(RoomError::Path), "{url}");
        }
    }
}
