//! The foreign program: built, run, told what to do, and read.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::plan::{Letter, Plan};

/// Compiles `peer.c`, once for this process.
fn executable() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let at = folder.join("usrsctp-peer");
        // Another process may do the same.
        let fresh = folder.join(format!("usrsctp-peer-{}", std::process::id()));
        let built = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&fresh)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/usrsctp/peer.c"))
            .args(["-lusrsctp", "-lpthread"])
            .status()
            .expect("the program `cc` is needed: apt-get install gcc");
        assert!(built.success(), "usrsctp is needed: apt-get install libusrsctp-dev");
        std::fs::rename(&fresh, &at).unwrap();
        at
    })
}

/// A running program; ended when dropped.
pub(crate) struct Program {
    child: Child,
    orders: Sender<String>,
    lines: Receiver<String>,
    /// What it printed, without messages.
    pub(crate) seen: Vec<String>,
    pub(crate) letters: Vec<Letter>,
    pub(crate) port: u16,
}

impl Program {
    /// Sends to `ours`, and listens on a port that is free, or on that of one before.
    pub(crate) fn start(ours: &UdpSocket, port: u16) -> Self {
        let to = ours.local_addr().unwrap().port();
        let mut child = Command::new(executable())
            .args([to.to_string(), port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let mut stdin = child.stdin.take().unwrap();
        let (orders, taken) = channel::<String>();
        // Of its own: who waits for room for a message reads no orders, and there is room when our engine has worked.
        std::thread::spawn(move || {
            for line in taken {
                if stdin.write_all(line.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let mut program = Self {
            child,
            orders,
            lines,
            seen: Vec::new(),
            letters: Vec::new(),
            port,
        };
        program.port = program.wait_for("port").parse().unwrap();
        program
    }

    pub(crate) fn tell(&self, line: &str) {
        self.orders.send(format!("{line}\n")).unwrap();
    }

    pub(crate) fn send(&self, plan: &Plan) {
        self.tell(&plan.order());
    }

    /// Ends it, by its process id, without a word to us.
    pub(crate) fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for a line that begins like this, while nobody else has anything to do; what stands behind.
    pub(crate) fn wait_for(&mut self, word: &str) -> String {
        loop {
            if let Some(rest) = self.said(word) {
                return rest;
            }
            let line = self.lines.recv_timeout(Duration::from_secs(10));
            let line = line.unwrap_or_else(|_| panic!("no line {word} in {:#?}", self.seen));
            self.sort(line);
        }
    }

    /// Takes what was printed.
    pub(crate) fn look(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.sort(line);
        }
    }

    fn sort(&mut self, line: String) {
        assert!(!line.starts_with("error"), "{line}: {:#?}", self.seen);
        match line.strip_prefix("message ") {
            Some(message) => self.letters.push(Letter::read(message)),
            None => self.seen.push(line),
        }
    }

    /// What stands behind the word in the first line that begins with it.
    pub(crate) fn said(&self, word: &str) -> Option<String> {
        self.seen.iter().find_map(|line| {
            let rest = line.strip_prefix(word)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim().to_owned())
        })
    }

    /// The numbers behind these words in all lines that begin with them, sorted.
    pub(crate) fn numbers(&self, words: &str) -> Vec<u16> {
        let lines = self.seen.iter().filter_map(|line| line.strip_prefix(words));
        let mut numbers: Vec<u16> = lines
            .flat_map(|line| line.split_whitespace().map(|number| number.parse().unwrap()))
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}
