//! The sending end, which offers.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Take};
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use peer::{
    Channel, ChannelEvent, ChannelId, ChannelInit, ChannelSendError, Direction, Event, MessageKind, Peer, Sink,
};
use sha2::{Digest, Sha256};

use crate::Failure;
use crate::connection::{Connection, end};
use crate::progress::Progress;
use crate::signalling::Signalling;

/// Bytes of a message: what every end takes that does not say otherwise (RFC 8841 §6.1).
const PIECE: usize = 64 << 10;

/// Waits for a receiver and sends it the file. Gives what is said about it then.
pub(crate) fn send(path: &Path, listener: &TcpListener) -> Result<String, Failure> {
    let (mut outgoing, name) = Outgoing::open(path)?;
    let length = outgoing.length;
    eprintln!("waiting for `file_transfer receive {} FOLDER`", listener.local_addr()?);
    let mut signalling = Signalling::accept(listener)?;
    let mut connection = Connection::new(signalling.local_addr()?.ip())?;
    connection
        .peer
        .add_section(peer::Kind::Application, Direction::SendRecv)?;
    let channel = connection.peer.open_channel(Instant::now(), ChannelInit::new(name))?;
    signalling.write(&connection.peer.offer()?)?;
    let answer = signalling.read()?;
    connection.peer.accept_answer(Instant::now(), &answer)?;

    let mut reply = Reply(None);
    let mut progress = Progress::new();
    loop {
        connection.turn(progress.next(), &mut reply)?;
        while let Some(event) = connection.peer.poll_event() {
            match event {
                Event::DataConnected | Event::Channel(ChannelEvent::Writable) => {
                    outgoing.pump(&mut connection.peer, channel)?;
                }
                _ => {
                    if let Some(reason) = end(&event) {
                        progress.leave();
                        return Err(format!("the file was not sent whole: {reason}").into());
                    }
                }
            }
        }
        if let Some(reply) = reply.0.take() {
            connection.peer.close(Instant::now());
            connection.flush();
            if reply != RECEIVED {
                progress.leave();
                return Err(format!("the receiver has not taken the file: {reply}").into());
            }
            progress.finish(length);
            return Ok(format!("sent {} ({length} bytes)", path.display()));
        }
        let waiting = connection.peer.buffered_amount(channel);
        progress.tell(outgoing.read.saturating_sub(waiting as u64), length);
    }
}

/// What the receiver says when the file is there; else it says what is wrong.
pub(crate) const RECEIVED: &str = "received";

/// What the receiver says.
struct Reply(Option<String>);

impl Sink for Reply {
    fn message(&mut self, _: &Channel, _: MessageKind, payload: &[u8]) {
        self.0 = Some(String::from_utf8_lossy(payload).escape_debug().to_string());
    }
}

/// A file as messages: its length as a text, its pieces, its SHA-256 as a text.
struct Outgoing {
    file: Take<File>,
    length: u64,
    /// Bytes that were read.
    read: u64,
    /// Until it is sent.
    digest: Option<Sha256>,
    /// What there was no room for.
    blocked: Option<(MessageKind, Bytes)>,
}

impl Outgoing {
    /// The file and its name.
    fn open(path: &Path) -> Result<(Self, &str), Failure> {
        let because = |error| {
            format!(
                "cannot read {} ({error}): name a file that you may read",
                path.display()
            )
        };
        let file = File::open(path).map_err(because)?;
        let metadata = file.metadata().map_err(because)?;
        let name = path.file_name().and_then(OsStr::to_str);
        let Some(name) = name.filter(|_| metadata.is_file()) else {
            return Err(format!("{} is no file with a name in UTF-8: name another one", path.display()).into());
        };
        let length = metadata.len();
        let outgoing = Self {
            // What is written to it by and by is not announced.
            file: file.take(length),
            length,
            read: 0,
            digest: Some(Sha256::new()),
            blocked: Some((MessageKind::Text, length.to_string().into())),
        };
        Ok((outgoing, name))
    }

    /// Hands messages over until there is no room for more. [`ChannelEvent::Writable`] tells when there is.
    fn pump(&mut self, peer: &mut Peer, channel: ChannelId) -> Result<(), Failure> {
        while let Some((kind, payload)) = self.next()? {
            // Not a copy of the bytes, but one more handle on them.
            match peer.send_message(Instant::now(), channel, kind, payload.clone()) {
                Ok(()) => {}
                Err(ChannelSendError::Blocked) => {
                    self.blocked = Some((kind, payload));
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<(MessageKind, Bytes)>> {
        if let Some(blocked) = self.blocked.take() {
            return Ok(Some(blocked));
        }
        let mut piece = Vec::with_capacity(PIECE);
        self.file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(self
                .digest
                .take()
                .map(|digest| (MessageKind::Text, hexadecimal(digest).into())));
        }
        if let Some(digest) = &mut self.digest {
            digest.update(&piece);
        }
        self.read += piece.len() as u64;
        Ok(Some((MessageKind::Binary, piece.into())))
    }
}

/// What a digest has come to.
pub(crate) fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
