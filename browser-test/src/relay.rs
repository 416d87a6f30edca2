use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Error, Namespace};

/// Sockets return from a read this often to see whether they are still wanted.
const LOOK_UP: Duration = Duration::from_millis(100);

/// A UDP path with a delay: what arrives at its address goes on to a target from a socket of its own per sender, and
/// what comes back there returns to that sender, as through a NAT with one address outside. It keeps the order and
/// loses nothing.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens on `address` inside `namespace` (port 0 picks one) and forwards to `target`, each way after `delay`.
    ///
    /// # Errors
    /// [`Error::Io`] if the address cannot be bound, [`Error::Network`] if the namespace cannot be entered.
    pub fn start(
        namespace: &Namespace,
        address: SocketAddr,
        target: SocketAddr,
        delay: Duration,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            delay,
            stopped: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            senders: Mutex::new(BTreeSet::new()),
        });
        let (socket, listener) = namespace.run(|| {
            let socket = Arc::new(UdpSocket::bind(address)?);
            socket.set_read_timeout(Some(LOOK_UP))?;
            let (inner, shared) = (Arc::clone(&socket), Arc::clone(&shared));
            // The thread stays in the namespace of the one that starts it, and so do the sockets it opens.
            let listener = std::thread::spawn(move || listen(&inner, target, &shared));
            Ok::<_, std::io::Error>((socket, listener))
        })??;
        Ok(Self {
            address: socket.local_addr()?,
            shared,
            listener: Some(listener),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Datagrams taken up so far, both ways.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Everybody whose datagrams it has taken up.
    #[must_use]
    pub fn senders(&self) -> BTreeSet<SocketAddr> {
        let senders = self.shared.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

#[derive(Debug)]
struct Shared {
    delay: Duration,
    stopped: AtomicBool,
    taken: AtomicU64,
    senders: Mutex<BTreeSet<SocketAddr>>,
}

/// Receives from the senders until stopped; each new sender gets a socket towards the target and a line in each
/// direction.
fn listen(socket: &Arc<UdpSocket>, target: SocketAddr, shared: &Arc<Shared>) {
    let mut lines = BTreeMap::<SocketAddr, Line>::new();
    let mut readers = Vec::new();
    let mut buffer = [0; 65_536];
    while !shared.stopped.load(Ordering::Relaxed) {
        let Ok((length, sender)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let line = match lines.entry(sender) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let Ok((line, reader)) = open(socket, sender, target, shared) else {
                    continue;
                };
                readers.push(reader);
                shared
                    .senders
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(sender);
                entry.insert(line)
            }
        };
        shared.taken.fetch_add(1, Ordering::Relaxed);
        line.push(Instant::now() + shared.delay, &buffer[..length]);
    }
    // Lines end their threads when dropped; readers see `stopped` at their next look.
    drop(lines);
    for reader in readers {
        let _ = reader.join();
    }
}

/// The way to the target for one sender, and the thread that reads what comes back.
fn open(
    outside: &Arc<UdpSocket>,
    sender: SocketAddr,
    target: SocketAddr,
    shared: &Arc<Shared>,
) -> Result<(Line, JoinHandle<()>), std::io::Error> {
    let any: SocketAddr = if target.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let inside = Arc::new(UdpSocket::bind(any)?);
    inside.connect(target)?;
    inside.set_read_timeout(Some(LOOK_UP))?;
    let forward = Line::start(Arc::clone(&inside), target);
    let back = Line::start(Arc::clone(outside), sender);
    let shared = Arc::clone(shared);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while !shared.stopped.load(Ordering::Relaxed) {
            if let Ok(length) = inside.recv(&mut buffer) {
                shared.taken.fetch_add(1, Ordering::Relaxed);
                back.push(Instant::now() + shared.delay, &buffer[..length]);
            }
        }
    });
    Ok((forward, reader))
}

/// Datagrams on their way, and the thread that sends each at its time.
struct Line {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// When to send it, and its bytes.
type Due = (Instant, Vec<u8>);

#[derive(Default)]
struct Queue {
    /// Due times rise, since the delay is always the same. `None`: no more will come.
    waiting: Mutex<Option<VecDeque<Due>>>,
    arrived: Condvar,
}

impl Line {
    fn start(socket: Arc<UdpSocket>, to: SocketAddr) -> Self {
        let queue = Arc::new(Queue {
            waiting: Mutex::new(Some(VecDeque::new())),
            arrived: Condvar::new(),
        });
        let inner = Arc::clone(&queue);
        let thread = std::thread::spawn(move || {
            while let Some((due, datagram)) = inner.next() {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                // The socket towards the target is connected, which Linux lets `send_to` name again.
                let _ = socket.send_to(&datagram, to);
            }
        });
        Self {
            queue,
            thread: Some(thread),
        }
    }

    fn push(&self, due: Instant, datagram: &[u8]) {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = waiting.as_mut() {
            waiting.push_back((due, datagram.to_vec()));
        }
        self.queue.arrived.notify_one();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        *self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.queue.arrived.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Queue {
    /// Waits for the next datagram; `None` when no more will come.
    fn next(&self) -> Option<Due> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(next) = waiting.as_mut()?.pop_front() {
                return Some(next);
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_take_the_delay_and_keep_the_order() {
        let namespace = Namespace::new().expect("needs root");
        let server = namespace.run(|| UdpSocket::bind("127.0.0.1:0")).unwrap().unwrap();
        let client = namespace.run(|| UdpSocket::bind("127.0.0.1:0")).unwrap().unwrap();
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        }
        let delay = Duration::from_millis(30);
        let target = server.local_addr().unwrap();
        let relay = Relay::start(&namespace, "127.0.0.1:0".parse().unwrap(), target, delay).unwrap();

        let begin = Instant::now();
        for number in 0..10 {
            client.send_to(&[number], relay.address()).unwrap();
        }
        let mut buffer = [0; 8];
        for number in 0..10 {
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(buffer[..length], [number]);
            server.send_to(&buffer[..length], from).unwrap();
        }
        for number in 0..10 {
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (&[number][..], relay.address()));
        }
        assert!(begin.elapsed() >= 2 * delay);
        assert_eq!(relay.taken(), 20);
        assert_eq!(relay.senders(), [client.local_addr().unwrap()].into());
    }
}
