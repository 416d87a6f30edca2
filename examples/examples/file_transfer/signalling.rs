//! Texts over a TCP connection, each behind its length in four bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::Failure;

/// The longest description that is read.
const MAX_TEXT: u32 = 64 << 10;

/// The other end's answer takes no person's time.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection over which offer and answer go.
pub(crate) struct Signalling(TcpStream);

impl Signalling {
    pub(crate) fn accept(listener: &TcpListener) -> Result<Self, Failure> {
        let (stream, _) = listener.accept()?;
        Ok(Self::new(stream)?)
    }

    pub(crate) fn connect(sender: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect_timeout(&sender, PATIENCE).map_err(|error| {
            format!("cannot reach a sender at {sender} ({error}): start `file_transfer send` first")
        })?;
        Ok(Self::new(stream)?)
    }

    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// Our address as the other end sees it, which is good for UDP, too.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(crate) fn write(&mut self, text: &str) -> Result<(), Failure> {
        let length = u32::try_from(text.len())?.to_be_bytes();
        self.0.write_all(&[&length, text.as_bytes()].concat())?;
        Ok(())
    }

    pub(crate) fn read(&mut self) -> Result<String, Failure> {
        self.read_text().map_err(|error| {
            format!("the other end does not speak as file_transfer does ({error}): check the address").into()
        })
    }

    fn read_text(&mut self) -> Result<String, Failure> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > MAX_TEXT {
            return Err(format!("a text of {length} bytes").into());
        }
        let mut text = String::new();
        Read::take(&mut self.0, length.into()).read_to_string(&mut text)?;
        Ok(text)
    }
}
