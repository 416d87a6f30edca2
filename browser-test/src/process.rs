use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, setpriority_process};

use crate::{Error, Kind, Namespace, Options};
use netns::Guard;

/// How many of the browser's last lines on stderr are kept for an error's text.
const KEPT_LINES: usize = 30;
/// A browser says where it listens after 0.3 s (Chromium) to 4 s (Firefox); a machine under load takes longer.
const START: Duration = Duration::from_secs(60);

/// Ends a browser's group (`$1`) and removes its profile (`$2`).
const CLEAR_AWAY: &str = r#"kill -s KILL -- "-$1"; rm -rf -- "$2""#;

/// A running browser with its profile's folder. Dropping it kills the browser with all its children and removes the
/// folder, and so does the end of this process, however it ends.
#[derive(Debug)]
pub(crate) struct Process {
    kind: Kind,
    child: Child,
    profile: PathBuf,
    stderr: Arc<Mutex<VecDeque<String>>>,
    /// Taken when the browser has ended.
    guard: Option<Guard>,
}

impl Process {
    /// Starts the browser and waits until it says where it listens: the process, and the WebSocket's address.
    pub(crate) fn start(kind: Kind, options: &Options<'_>) -> Result<(Self, String), Error> {
        let program = kind.program().ok_or(Error::Missing(kind))?;
        let profile = new_folder()?;
        let mut command = Command::new(program);
        match kind {
            Kind::Chromium => {
                command
                    .args(options.chromium_flags())
                    .arg(format!("--user-data-dir={}", profile.display()));
            }
            Kind::Firefox => {
                std::fs::write(profile.join("user.js"), options.firefox_user_js())?;
                command.args([
                    "--headless",
                    "--no-remote",
                    "--new-instance",
                    "--remote-debugging-port=0",
                    "--profile",
                ]);
                command.arg(&profile);
                // Firefox as root refuses a home that belongs to somebody else.
                command.env("HOME", &profile).env("MOZ_CRASHREPORTER_DISABLE", "1");
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // A group of its own: the browser's many children die with it, whatever state it is in.
        command.process_group(0);
        // A child lives in the network of the thread that started it.
        let mut child = match options.namespace {
            Some(namespace) => namespace.run(|| command.spawn())??,
            None => command.spawn()?,
        };
        if let Some(nice) = options.nice {
            // Its children are made later, and inherit it.
            setpriority_process(Some(Pid::from_child(&child)), nice.into()).map_err(|errno| Error::Io(errno.into()))?;
        }
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let said = follow(child.stderr.take(), Arc::clone(&stderr));
        let mut process = Self {
            kind,
            child,
            profile,
            stderr,
            guard: None,
        };
        let group = process.id().to_string();
        process.guard = Some(Guard::new(CLEAR_AWAY, &[group.as_ref(), process.profile.as_os_str()])?);
        let address = process.await_address(&said)?;
        Ok((process, address))
    }

    /// The browser's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last lines on stderr.
    pub(crate) fn last_words(&self) -> String {
        let lines = self.stderr.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lines.iter().map(|line| format!("  {line}\n")).collect()
    }

    /// Ends it at once, without a word to anybody.
    pub(crate) fn kill(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        self.guard = None;
    }

    /// Waits for it to end by itself, else kills it.
    pub(crate) fn end(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    fn await_address(&self, said: &Receiver<String>) -> Result<String, Error> {
        let marker = match self.kind {
            Kind::Chromium => "DevTools listening on ",
            Kind::Firefox => "WebDriver BiDi listening on ",
        };
        let deadline = Instant::now() + START;
        loop {
            match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some((_, address)) = line.split_once(marker) {
                        return Ok(address.trim().to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(Error::Silent {
                        kind: self.kind,
                        stderr: self.last_words(),
                    });
                }
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // A child that is still dying may write once more: then the folder stays for the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Reads stderr to its end on a thread, so that the browser never blocks on a full pipe; keeps the last lines, and
/// hands each over while somebody listens.
fn follow(stderr: Option<ChildStderr>, kept: Arc<Mutex<VecDeque<String>>>) -> Receiver<String> {
    let (say, said) = sync_channel(1024);
    if let Some(stderr) = stderr {
        std::thread::spawn(move || {
            for line in lines(stderr) {
                let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if kept.len() == KEPT_LINES {
                    kept.pop_front();
                }
                kept.push_back(line.clone());
                drop(kept);
                let _ = say.try_send(line);
            }
        });
    }
    said
}

fn lines(stderr: impl Read) -> impl Iterator<Item = String> {
    let mut reader = BufReader::new(stderr);
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
        }
    })
}

fn new_folder() -> Result<PathBuf, Error> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("hyaline-browser-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Connects to a WebSocket's host and port, from inside the namespace if there is one.
pub(crate) fn connect(address: &str, namespace: Option<&Namespace>) -> Result<std::net::TcpStream, Error> {
    let authority = address
        .strip_prefix("ws://")
        .and_then(|rest| rest.split('/').next())
        .ok_or_else(|| Error::Address(address.to_owned()))?;
    let stream = match namespace {
        Some(namespace) => namespace.run(|| std::net::TcpStream::connect(authority))??,
        None => std::net::TcpStream::connect(authority)?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}
