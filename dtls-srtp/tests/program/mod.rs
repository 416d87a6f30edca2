//! Programs of other stacks, and our engine on a socket that talks with them.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test binary uses a part"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use dtls_srtp::{Config, Dtls, Event, NamedGroup, Role, SrtpProfile, Version};
use wire::Seed;

/// A running program; ended when dropped.
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    pub seen: Vec<String>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} is needed: {error}"));
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            lines,
            seen: Vec::new(),
        }
    }

    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for a line that begins like this; what stands behind.
    pub fn wait_for(&mut self, prefix: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(10));
            let line = line.unwrap_or_else(|_| panic!("no line {prefix} in {:#?}", self.seen));
            let found = line.strip_prefix(prefix).map(|rest| rest.trim().to_owned());
            self.seen.push(line);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// What stands behind `prefix` in the first line that has it, as far as it has been printed.
    pub fn printed(&mut self, prefix: &str) -> Option<String> {
        self.seen.extend(self.lines.try_iter());
        self.seen
            .iter()
            .find_map(|line| Some(line.split_once(prefix)?.1.trim().to_owned()))
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Bytes that were printed in hex behind `prefix`.
    pub fn printed_hex(&mut self, prefix: &str) -> Option<Vec<u8>> {
        let hex = self.printed(prefix)?;
        Some(
            (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect(),
        )
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // By its process id, and only this one.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our engine on a socket.
pub struct Ours {
    pub dtls: Dtls,
    pub socket: UdpSocket,
    pub peer: Option<SocketAddr>,
    pub events: Vec<Event>,
    pub received: Vec<u8>,
}

impl Ours {
    pub fn new(config: Config, role: Role, peer: Option<SocketAddr>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let dtls = Dtls::new(Arc::new(config), role, Seed::from_run(1), Instant::now());
        Self {
            dtls,
            socket,
            peer,
            events: Vec::new(),
            received: Vec::new(),
        }
    }

    pub fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.peer.unwrap()).unwrap();
    }

    pub fn seal_and_send(&mut self, data: &[u8]) {
        let overhead = self.dtls.overhead();
        let mut out = vec![0; overhead.total() + data.len()];
        out[overhead.head..][..data.len()].copy_from_slice(data);
        let len = self.dtls.seal(&mut out, data.len()).unwrap();
        self.send(&out[..len]);
    }

    /// One turn of an event loop; waits for a datagram at most 10 ms.
    pub fn turn(&mut self) {
        let mut buffer = [0; 2048];
        while let Some(len) = self.dtls.poll_transmit(Instant::now(), &mut buffer) {
            self.send(&buffer[..len]);
        }
        let until = self
            .dtls
            .poll_timeout()
            .map(|at| at.saturating_duration_since(Instant::now()));
        let wait = until
            .unwrap_or(Duration::MAX)
            .clamp(Duration::from_micros(100), Duration::from_millis(10));
        self.socket.set_read_timeout(Some(wait)).unwrap();
        if let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            self.peer = Some(from);
            let received = &mut self.received;
            self.dtls
                .handle_datagram(Instant::now(), &mut buffer[..len], &mut |data| {
                    received.extend_from_slice(data);
                });
        }
        self.dtls.handle_timeout(Instant::now());
        self.events.extend(std::iter::from_fn(|| self.dtls.poll_event()));
    }

    /// Turns until `done`; fails after ten seconds.
    pub fn turn_until(&mut self, what: &str, peer: &mut Program, mut done: impl FnMut(&Self, &mut Program) -> bool) {
        let start = Instant::now();
        while !done(self, peer) {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{what}: {:?} {:#?}",
                self.dtls,
                peer.seen
            );
            self.turn();
        }
    }

    /// What the handshake has settled: version, suite, group and profile.
    pub fn connected(&self) -> (Version, String, NamedGroup, Option<SrtpProfile>) {
        match self.events[0] {
            Event::Connected {
                version,
                suite,
                group,
                profile,
            } => (version, suite.to_string(), group, profile),
            ref other => panic!("{other:?}"),
        }
    }
}
