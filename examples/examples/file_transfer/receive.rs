//! The receiving end, which answers.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use peer::{Channel, ChannelId, MessageKind, Sink, State};
use sha2::{Digest, Sha256};

use crate::Failure;
use crate::connection::{Connection, end};
use crate::progress::Progress;
use crate::send::{RECEIVED, hexadecimal};
use crate::signalling::Signalling;

/// How long the sender may take to acknowledge the reply.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fetches the file of a sender. Gives what is said about it then.
pub(crate) fn receive(sender: SocketAddr, folder: &Path) -> Result<String, Failure> {
    if !folder.is_dir() {
        return Err(format!("{} is no folder: make it first, or name another one", folder.display()).into());
    }
    let mut signalling = Signalling::connect(sender)?;
    let mut connection = Connection::new(signalling.local_addr()?.ip())?;
    let answer = connection.peer.accept_offer(Instant::now(), &signalling.read()?)?;
    signalling.write(&answer)?;

    let mut incoming = Incoming {
        folder,
        file: None,
        outcome: None,
    };
    let mut progress = Progress::new();
    while incoming.outcome.is_none() {
        connection.turn(progress.next(), &mut incoming)?;
        while let Some(event) = connection.peer.poll_event() {
            if let Some(reason) = end(&event) {
                progress.leave();
                return Err(format!("the file has not come whole: {reason}").into());
            }
        }
        if let Some(file) = &incoming.file {
            progress.tell(file.came, file.length.unwrap_or(0));
        }
    }
    let Some((channel, outcome)) = incoming.outcome.take() else {
        return Err("nothing has come".into());
    };
    match &outcome {
        Ok(_) => progress.finish(incoming.file.as_ref().map_or(0, |file| file.came)),
        Err(_) => progress.leave(),
    }
    let reply = outcome
        .as_ref()
        .map_or_else(ToString::to_string, |_| RECEIVED.to_owned());
    connection
        .peer
        .send_message(Instant::now(), channel, MessageKind::Text, reply.into())?;
    // The reply is to be there before the connection ends.
    connection.peer.close_gracefully(Instant::now(), PATIENCE);
    while connection.peer.state() != State::Closed {
        connection.turn(Instant::now() + PATIENCE, &mut incoming)?;
    }
    connection.flush();
    outcome.map(|path| format!("received {}", path.display()))
}

/// Takes what comes on the channel.
struct Incoming<'a> {
    folder: &'a Path,
    file: Option<IncomingFile>,
    /// What has become of it, and the channel on which the sender is told.
    outcome: Option<(ChannelId, Result<PathBuf, Failure>)>,
}

impl Sink for Incoming<'_> {
    fn channel_opened(&mut self, channel: &Channel) {
        if self.file.is_some() || self.outcome.is_some() {
            return;
        }
        match IncomingFile::create(self.folder, &channel.init().label) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.outcome = Some((channel.id(), Err(error))),
        }
    }

    fn message(&mut self, channel: &Channel, kind: MessageKind, payload: &[u8]) {
        if self.outcome.is_none()
            && let Some(file) = &mut self.file
            && let Some(outcome) = file.take(kind, payload).transpose()
        {
            self.outcome = Some((channel.id(), outcome));
        }
    }
}

/// A file that comes. It has its name when it is whole, and is removed if that never happens.
struct IncomingFile {
    path: PathBuf,
    part: PathBuf,
    file: File,
    /// What the sender said.
    length: Option<u64>,
    came: u64,
    digest: Sha256,
}

impl IncomingFile {
    fn create(folder: &Path, name: &str) -> Result<Self, Failure> {
        // The sender chooses the name, and nothing but a name: no folder, no control character.
        let is_name = Path::new(name).file_name() == Some(name.as_ref()) && !name.contains(char::is_control);
        if !is_name {
            return Err(format!("{name:?} cannot be the name of a file: send it under another one").into());
        }
        let (path, part) = (folder.join(name), folder.join(format!("{name}.part")));
        if path.exists() {
            return Err(format!("the file {name} is there already: move it away, or take another folder").into());
        }
        let file = File::create_new(&part).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                format!("{name}.part is there from another transfer: remove it when that is over")
            }
            _ => format!("cannot write to the folder ({error}): take another one"),
        })?;
        Ok(Self {
            path,
            part,
            file,
            length: None,
            came: 0,
            digest: Sha256::new(),
        })
    }

    /// Takes a message; the last one gives the path of the file.
    fn take(&mut self, kind: MessageKind, payload: &[u8]) -> Result<Option<PathBuf>, Failure> {
        match (kind, self.length) {
            (MessageKind::Text, None) => self.length = Some(str::from_utf8(payload)?.parse()?),
            (MessageKind::Binary, Some(length)) => {
                self.came += payload.len() as u64;
                if self.came > length {
                    return Err("more came than was announced".into());
                }
                self.digest.update(payload);
                self.file
                    .write_all(payload)
                    .map_err(|error| format!("cannot write the file ({error}): make room, or take another folder"))?;
            }
            (MessageKind::Text, Some(length)) => return self.finish(length, payload).map(Some),
            (MessageKind::Binary, None) => return Err("the length of the file has not come".into()),
        }
        Ok(None)
    }

    fn finish(&mut self, length: u64, digest: &[u8]) -> Result<PathBuf, Failure> {
        if self.came < length {
            return Err(format!(
                "{} bytes came of {length}: was the file cut while it was sent?",
                self.came
            )
            .into());
        }
        if hexadecimal(std::mem::take(&mut self.digest)).as_bytes() != digest {
            return Err("the SHA-256 is wrong: send it again".into());
        }
        self.file.sync_all()?;
        std::fs::rename(&self.part, &self.path)?;
        Ok(self.path.clone())
    }
}

impl Drop for IncomingFile {
    fn drop(&mut self) {
        // It is not there any more when the file has its name.
        drop(std::fs::remove_file(&self.part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_file_that_was_announced_is_kept() {
        let folder = std::env::temp_dir().join(format!("hyaline-{}-announced", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let digest = |content: &[u8]| hexadecimal(Sha256::new_with_prefix(content)).into_bytes();
        let messages = |length: &str, content: &[u8], digest: Vec<u8>| {
            [
                (MessageKind::Text, length.as_bytes().to_vec()),
                (MessageKind::Binary, content.to_vec()),
                (MessageKind::Text, digest),
            ]
        };
        let cases = [
            (messages("3", b"abc", digest(b"abc")), None),
            (messages("2", b"abc", digest(b"abc")), Some("more came")),
            (messages("4", b"abc", digest(b"abc")), Some("3 bytes came of 4")),
            (messages("3", b"abd", digest(b"abc")), Some("SHA-256 is wrong")),
            (messages("all", b"abc", digest(b"abc")), Some("invalid digit")),
        ];
        for (messages, refused) in cases {
            let mut file = IncomingFile::create(&folder, "name").unwrap();
            let mut results = messages.iter().map(|(kind, payload)| file.take(*kind, payload));
            let last = results.find(|result| !matches!(result, Ok(None)));
            match (last, refused) {
                (Some(Ok(Some(path))), None) => {
                    assert_eq!(std::fs::read(&path).unwrap(), b"abc");
                    std::fs::remove_file(path).unwrap();
                }
                (Some(Err(error)), Some(refused)) => assert!(error.to_string().contains(refused), "{error}"),
                (other, _) => panic!("{other:?}, {refused:?}"),
            }
            drop(file);
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        }
        let mut file = IncomingFile::create(&folder, "name").unwrap();
        assert!(file.take(MessageKind::Binary, b"abc").is_err(), "no length");
        drop(file);
        for name in ["", ".", "..", "/etc/passwd", "../name", "a/b", "a/", "a\x1b[2J", "a\0"] {
            assert!(IncomingFile::create(&folder, name).is_err(), "{name:?}");
        }
        std::fs::remove_dir(folder).unwrap();
    }
}
