use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A shell that waits for the end of this process, and then ends a browser and removes its profile: a test that is killed (by a
/// time limit, or by hand) drops nothing. It knows by its stdin, a pipe whose other end nobody else has.
///
/// The kernel's signal for the death of a parent is none of this: it comes when a thread ends, only to the one process that the
/// thread has started, and asking for it takes `unsafe`.
#[derive(Debug)]
pub(crate) struct Guard(Child);

/// `$1` is the group, `$2` the profile's folder. Nobody ever writes to the pipe.
const SCRIPT: &str = r#"read -r _; kill -s KILL -- "-$1"; rm -rf -- "$2""#;

impl Guard {
    /// Watches over a process group.
    pub(crate) fn new(group: u32, profile: &Path) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "guard", &group.to_string()]).arg(profile);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A group of its own: Ctrl-C and a time limit go to that of the test.
        command.process_group(0).spawn().map(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Before its stdin is closed: the number of a group that has ended may be given to another one.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
