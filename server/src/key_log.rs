use std::error::Error;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dtls_srtp::KeyLog;

/// A file that secrets are appended to, one line each, in the NSS key log format.
#[derive(Debug)]
pub(crate) struct FileKeyLog {
    path: PathBuf,
    /// `None` once it could not be written to.
    file: Mutex<Option<File>>,
}

impl FileKeyLog {
    /// Opens a file, or makes one that only its owner can read, and says loudly what that means.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn append(path: &Path) -> Result<Self, KeyLogError> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let fault = |error| KeyLogError(path.to_owned(), error);
        let file = options.open(path).map_err(fault)?;
        let metadata = file.metadata().map_err(fault)?;
        // A pipe that nobody empties would hold up media.
        if !metadata.is_file() {
            return Err(fault(io::Error::other("it is not a regular file")));
        }
        // It may have been there, for everybody to read.
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .map_err(fault)?;
        tracing::warn!(
            "the secrets of all connections are written to {}: whoever reads that file can see and hear everything",
            path.display()
        );
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(Some(file)),
        })
    }
}

impl KeyLog for FileKeyLog {
    fn log(&self, line: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = file.as_mut() else {
            return;
        };
        // One write for the whole line, since several processes may append to one file.
        if let Err(error) = open.write_all(format!("{line}\n").as_bytes()) {
            tracing::error!("no more secrets are written to {}: {error}", self.path.display());
            *file = None;
        }
    }
}

/// The file for secrets cannot be written.
#[derive(Debug)]
pub struct KeyLogError(PathBuf, io::Error);

impl fmt::Display for KeyLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Cannot append to the key log {}: {}. Name another file with --keylog, or unset SSLKEYLOGFILE.",
            self.0.display(),
            self.1
        )
    }
}

impl Error for KeyLogError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_others_cannot_read_them() {
        let directory = std::env::temp_dir().join(format!("hyaline-key-log-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("keys");
        std::fs::write(&path, "").unwrap();
        for line in ["CLIENT_RANDOM 01 02", "EXPORTER_SECRET 03 04"] {
            FileKeyLog::append(&path).unwrap().log(line);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "CLIENT_RANDOM 01 02\nEXPORTER_SECRET 03 04\n");
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        let error = FileKeyLog::append(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(error.contains("regular file"), "{error}");
        let error = FileKeyLog::append(&directory).unwrap_err().to_string();
        assert!(error.contains("--keylog"), "{error}");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
