//! The TURN server: a thread of its own that drives `turn::Server` with sockets.

mod invitation;
mod options;
mod pace;
mod places;
mod slab;
mod sockets;
mod stream;
mod streams;
mod thread;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mio::{Poll, Waker};
use rustls::ServerConfig;
use turn::ServerConfigError;
use wire::Seed;

use crate::worker::OnDrop;

pub(crate) use invitation::Invitation;
pub use options::TurnOptions;
pub(crate) use sockets::{Bound, bind};
pub(crate) use streams::MAX_STREAMS;

wire::counters! {
    /// What the driver of the TURN server dropped.
    pub(crate) struct DriverCounters {
        /// Datagrams that a full socket did not take, or that found no room before it was sent.
        pub turn_send_dropped,
        /// Data to clients and peers over TCP that read too slowly.
        pub turn_stream_dropped,
        /// Bytes that came on connections after the other end of the splice had ended, and went nowhere.
        pub turn_ending_bytes,
        /// Connections of clients that were closed: too many, no TURN, silent, or reading nothing.
        pub turn_streams_closed,
        /// Datagrams that the kernel dropped before they were read. Those of relay sockets are told after a minute, or
        /// when the socket is closed; so are the three below.
        pub turn_udp_kernel_dropped,
        /// Receive calls on UDP sockets that failed for another reason than that nothing was there.
        pub turn_udp_receive_failed,
        /// Messages over UDP that the kernel refused for another reason than a full socket.
        pub turn_udp_send_refused,
        /// Times that a UDP socket was full: what was left is in `turn_send_dropped`.
        pub turn_udp_send_blocked,
    }
}

/// Counters by name.
pub(crate) type Counts = Vec<(&'static str, u64)>;

/// The thread, as the rest of the server sees it.
#[derive(Debug)]
pub(crate) struct TurnHandle {
    waker: Arc<Waker>,
    closing: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
    thread: Option<JoinHandle<()>>,
    udp: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
}

impl TurnHandle {
    /// Starts the thread on what was bound for it. `stopped` is called when it ends, for whatever reason.
    pub(crate) fn start(
        bound: Bound,
        config: turn::ServerConfig,
        tls: Option<Arc<ServerConfig>>,
        seed: Seed,
        stopped: impl FnOnce() + Send + 'static,
    ) -> Result<Self, TurnError> {
        let now = Instant::now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let engine = turn::Server::new(config, seed, now, unix).map_err(TurnError::Config)?;
        let poll = Poll::new().map_err(TurnError::System)?;
        let waker = Waker::new(poll.registry(), thread::WAKER).map_err(TurnError::System)?;
        let mut handle = Self {
            waker: Arc::new(waker),
            closing: Arc::default(),
            counts: Arc::default(),
            thread: None,
            udp: bound.udp.iter().map(udp::Socket::local_addr).collect(),
            tls: bound.tls_addrs(),
        };
        let (closing, counts) = (handle.closing.clone(), handle.counts.clone());
        // Without ALPN: clients may offer "stun.turn" (RFC 7443) or nothing, and the page's protocols would not fit.
        let tls = tls.map(|tls| {
            let mut tls = ServerConfig::clone(&tls);
            tls.alpn_protocols.clear();
            Arc::new(tls)
        });
        let named = std::thread::Builder::new().name("turn".to_owned());
        let spawned = named.spawn(move || {
            let _stopped = OnDrop(Some(stopped));
            match thread::Thread::new(poll, bound, engine, tls, closing, counts) {
                Ok(mut thread) => thread.run(),
                Err(error) => tracing::error!(%error, "the TURN server cannot wait for its sockets"),
            }
        });
        handle.thread = Some(spawned.map_err(TurnError::System)?);
        Ok(handle)
    }

    /// Where clients come over UDP and TCP.
    pub(crate) fn udp_addrs(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// Where clients come over TLS.
    pub(crate) fn tls_addrs(&self) -> &[SocketAddr] {
        &self.tls
    }

    /// What was counted, at most a second ago.
    pub(crate) fn counts(&self) -> Arc<Mutex<Counts>> {
        self.counts.clone()
    }

    /// Ends the thread.
    pub(crate) fn stop(&mut self) {
        self.closing.store(true, Ordering::Release);
        drop(self.waker.wake());
        if let Some(thread) = self.thread.take() {
            // One that has panicked has said so.
            drop(thread.join());
        }
    }
}

impl Drop for TurnHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What was counted when it was told last.
pub(crate) fn told(counts: &Mutex<Counts>) -> Counts {
    counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Why there is no TURN server.
#[derive(Debug)]
pub(crate) enum TurnError {
    /// The engine cannot be made.
    Config(ServerConfigError),
    /// The system does not give what is needed.
    System(io::Error),
}
