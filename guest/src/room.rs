use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Where a room is, as its page's address tells: `http://HOST:PORT/r/ROOM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    authority: String,
    name: String,
}

/// Why an address is no room's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomError {
    /// Only plain HTTP is spoken.
    Scheme,
    /// The path is not `/r/ROOM`.
    Path,
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the address begins with http:// (TLS is not spoken)",
            Self::Path => "the address ends with /r/ROOM",
        })
    }
}

impl std::error::Error for RoomError {}

impl std::str::FromStr for Room {
    type Err = RoomError;

    fn from_str(url: &str) -> Result<Self, RoomError> {
        let rest = url.strip_prefix("http://").ok_or(RoomError::Scheme)?;
        let (authority, path) = rest.split_once('/').ok_or(RoomError::Path)?;
        let name = path.strip_prefix("r/").ok_or(RoomError::Path)?;
        if authority.is_empty() || name.is_empty() || name.contains('/') {
            return Err(RoomError::Path);
        }
        Ok(Self {
            authority: authority.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl Room {
    /// Where its WebSocket is.
    pub(crate) fn websocket(&self) -> String {
        format!("ws://{}/v1/rooms/{}/ws", self.authority, self.name)
    }

    /// The server's address.
    pub(crate) fn resolve(&self) -> io::Result<SocketAddr> {
        let with_port = self.authority.parse::<SocketAddr>().is_ok() || self.authority.rsplit_once(':').is_some();
        let authority = if with_port {
            self.authority.clone()
        } else {
            format!("{}:80", self.authority)
        };
        let mut found = authority.to_socket_addrs()?;
        found.next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_known_by_their_page() {
        let room: Room = "http://127.0.0.1:8080/r/tea".parse().unwrap();
        assert_eq!(room.websocket(), "ws://127.0.0.1:8080/v1/rooms/tea/ws");
        assert_eq!(room.resolve().unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!("https://a/r/b".parse::<Room>(), Err(RoomError::Scheme));
        for url in ["http://a", "http://a/", "http://a/r/", "http://a/r/b/c", "http:///r/b"] {
            assert_eq!(url.parse::<Room>(), Err(RoomError::Path), "{url}");
        }
    }
}
