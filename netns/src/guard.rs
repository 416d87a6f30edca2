use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A shell that waits for the end of this process, and then clears away what it leaves (a browser, a profile, a
/// namespace): a test that is killed (by a time limit, or by hand) drops nothing, and neither does one that ends while
/// something is kept for the next. It knows by its stdin, a pipe whose other end nobody else has.
///
/// The kernel's signal for the death of a parent is none of this: it comes when a thread ends, only to the one process
/// that the thread has started, and asking for it takes `unsafe`.
#[derive(Debug)]
pub struct Guard(Child);

impl Guard {
    /// Will run this script, whose `$1`, `$2`, ... are the arguments.
    ///
    /// # Errors
    /// When no shell can be started.
    pub fn new(script: &str, arguments: &[&OsStr]) -> io::Result<Self> {
        let mut command = Command::new("sh");
        // Nobody ever writes to the pipe.
        command.args(["-c", &format!("read -r _; {script}"), "guard"]);
        command.args(arguments);
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
