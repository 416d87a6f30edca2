use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use udp::Socket;
use wire::Seed;

use crate::addresses::{NoAddress, local_addresses};
use crate::app::App;
use crate::descriptors::Shares;
use crate::engine::{Engine, SfuEngine, configuration};
use crate::key_log::{FileKeyLog, KeyLogError};
use crate::listener;
use crate::turn::{self, Invitation, TurnError, TurnHandle};
use crate::worker::{self, Media, WorkerHandle};
use crate::{Options, OptionsError, Secret, TlsError, http, tcp};

/// Threads for signalling. What takes time is done by the workers.
const SIGNALLING_THREADS: usize = 2;
/// How long a stopping server waits for its goodbyes to be read. With the workers' own time this stays below 2 s.
const GOODBYE: Duration = Duration::from_millis(1000);
/// Ports that are tried when one has to be free for IPv4 and IPv6.
const PORT_TRIES: usize = 32;

/// A running server. Dropping it stops it.
pub struct Server {
    http: SocketAddr,
    secure: bool,
    addresses: Vec<IpAddr>,
    media: Vec<Vec<SocketAddr>>,
    app: Arc<App>,
    closing: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    /// Told by every worker that ends.
    worker_ended: watch::Receiver<usize>,
    turn: Option<TurnHandle>,
    /// Ends with the HTTP server.
    served: std_mpsc::Receiver<()>,
    runtime: Option<Runtime>,
}

/// What an engine is made from.
#[derive(Debug, Clone)]
pub struct WorkerSetup {
    /// Which worker it is for, counted from 0.
    pub worker: usize,
    /// Addresses and port at which peers reach it, the preferred one first.
    pub addresses: Vec<SocketAddr>,
    /// Whether peers reach it by TCP too.
    pub tcp: bool,
    /// What its randomness grows from.
    pub seed: Seed,
}

/// Why a server stops by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Somebody wants it to: SIGINT (Ctrl-C) or SIGTERM.
    Signal,
    /// A worker thread, or that of the TURN server, has ended, which is a fault of the program.
    Worker,
}

/// Hears of reasons to stop; made by [`Server::listen_for_stop`].
#[derive(Debug)]
pub struct StopListener(std_mpsc::Receiver<Stopped>);

impl StopListener {
    /// Waits for the first one.
    pub fn wait(self) -> Stopped {
        self.0.recv().unwrap_or(Stopped::Worker)
    }
}

impl Server {
    /// Starts a server. It is ready when this returns.
    ///
    /// # Errors
    /// What stands against it, and what to do.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let key_log = options.key_log.as_deref().map(FileKeyLog::append);
        let key_log = key_log.transpose().map_err(StartError::KeyLog)?;
        let key_log = key_log.map(|log| Arc::new(log) as Arc<dyn dtls_srtp::KeyLog>);
        let peer = configuration(&options.video_codecs, &options.dtls, key_log)
            .map_err(|error| StartError::System(io::Error::other(error.to_string())))?;
        let room_capacity = options.room_capacity;
        Self::start_with(options, move |setup, now| {
            let config = sfu::Config {
                room_capacity,
                tcp: setup.tcp,
                ..sfu::Config::new(peer.clone(), setup.addresses)
            };
            SfuEngine::new(sfu::Sfu::new(Arc::new(config), setup.seed, now))
        })
    }

    /// Starts a server with engines of the caller's. It is ready when this returns.
    ///
    /// # Errors
    /// What stands against it, and what to do.
    pub fn start_with<E, F>(options: &Options, make_engine: F) -> Result<Self, StartError>
    where
        E: Engine,
        F: Fn(WorkerSetup, Instant) -> E + Clone + Send + 'static,
    {
        options.check().map_err(StartError::Options)?;
        let addresses = if options.announce.is_empty() {
            local_addresses(options.http.ip()).map_err(StartError::NoAddress)?
        } else {
            options.announce.clone()
        };
        let tls = options.tls.as_ref().map(|tls| tls.server_config(&addresses));
        let tls = tls.transpose().map_err(StartError::Tls)?;
        let listener = bind_http(options.http)?;
        let http = listener
            .local_addr()
            .map_err(|error| StartError::Http(options.http, error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SIGNALLING_THREADS)
            .thread_name("signalling")
            .enable_all()
            .build()
            .map_err(StartError::System)?;

        // Everything is taken before a thread is started, so that a failure leaves nothing behind.
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(StartError::System)?
        };
        let shares = Shares::new(options);
        let mut setups = Vec::new();
        let mut media = Vec::new();
        for worker in 0..options.workers.get() {
            let sockets = bind_media(options, worker, shares.media / options.workers)?;
            if let Some(ip) = options
                .announce
                .iter()
                .find(|ip| candidate(**ip, &sockets.udp).is_none())
            {
                return Err(StartError::NoFamily(*ip));
            }
            let setup = WorkerSetup {
                worker,
                addresses: candidates(&addresses, &sockets.udp),
                tcp: !sockets.tcp.is_empty(),
                seed: system_seed()?,
            };
            if setup.addresses.is_empty() {
                return Err(StartError::NoAddress(NoAddress::None));
            }
            tracing::debug!(worker, addresses = ?setup.addresses, "worker");
            media.push(setup.addresses.clone());
            setups.push((setup, sockets));
        }
        let (ended, worker_ended) = watch::channel(0);
        let turn = start_turn(options, &shares, &addresses, &media, tls.clone(), &ended)?;
        let (handles, threads) = start_workers(setups, &make_engine, &ended).map_err(StartError::System)?;

        let (closing, closed) = watch::channel(false);
        let mut app = App::new(handles, closed, options, shares.http);
        let (turn, invitation) = turn.unzip();
        app.turn = turn.as_ref().map(TurnHandle::counts);
        app.invitation = invitation;
        let app = Arc::new(app);
        let (done, served) = std_mpsc::channel();
        let router = http::router(app.clone());
        runtime.spawn(listener::serve(listener, tls, app.clone(), router, done));
        Ok(Self {
            http,
            secure: options.tls.is_some(),
            addresses,
            media,
            app,
            closing,
            threads,
            worker_ended,
            turn,
            served,
            runtime: Some(runtime),
        })
    }

    /// Where the page and signalling are, with the real port.
    pub const fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// The page's URL. For a server on all addresses it names one at which others reach it.
    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let mut address = self.http;
        if address.ip().is_unspecified() {
            let reachable = self.addresses.iter().find(|ip| ip.is_ipv4() == address.is_ipv4());
            address.set_ip(reachable.copied().unwrap_or_else(|| Ipv4Addr::LOCALHOST.into()));
        }
        format!("{scheme}://{address}/")
    }

    /// The addresses at which each worker is announced.
    pub fn media_addrs(&self) -> &[Vec<SocketAddr>] {
        &self.media
    }

    /// Where the TURN server is over UDP and TCP; empty without one.
    pub fn turn_addrs(&self) -> &[SocketAddr] {
        self.turn.as_ref().map_or(&[], TurnHandle::udp_addrs)
    }

    /// Where the TURN server is over TLS; empty without one, or without a certificate.
    pub fn turn_tls_addrs(&self) -> &[SocketAddr] {
        self.turn.as_ref().map_or(&[], TurnHandle::tls_addrs)
    }

    /// What signalling has refused so far.
    pub fn counters(&self) -> crate::Counters {
        self.app.counters.get()
    }

    /// Listens for reasons to stop: from now on SIGINT and SIGTERM do not end the process any more.
    ///
    /// # Errors
    /// The system does not let us hear signals.
    pub fn listen_for_stop(&self) -> io::Result<StopListener> {
        let (stop, stopped) = std_mpsc::channel();
        if let Some(runtime) = &self.runtime {
            let _inside = runtime.enter();
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let mut worker_ended = self.worker_ended.clone();
            runtime.spawn(async move {
                let reason = tokio::select! {
                    _ = interrupt.recv() => Stopped::Signal,
                    _ = terminate.recv() => Stopped::Signal,
                    _ = worker_ended.wait_for(|count| *count > 0) => Stopped::Worker,
                };
                let _ = stop.send(reason);
            });
        }
        Ok(StopListener(stopped))
    }

    /// Says goodbye to everybody and stops. Takes below 2 s.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        self.closing.send_replace(true);
        self.app.workers.iter().for_each(WorkerHandle::close);
        for thread in self.threads.drain(..) {
            // A worker that has panicked has said so.
            drop(thread.join());
        }
        if let Some(turn) = &mut self.turn {
            turn.stop();
        }
        let deadline = Instant::now() + GOODBYE;
        let (stop, stopped) = std_mpsc::channel();
        let mut connections = self.app.connections.subscribe();
        runtime.spawn(async move {
            drop(connections.wait_for(|open| *open == 0).await);
            let _ = stop.send(());
        });
        let _ = stopped.recv_timeout(GOODBYE);
        let _ = self
            .served
            .recv_timeout(deadline.saturating_duration_since(Instant::now()));
        // Does not wait, and so may be called from anywhere.
        runtime.shutdown_background();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("http", &self.http)
            .field("media", &self.media)
            .finish_non_exhaustive()
    }
}

type Workers = (Vec<WorkerHandle>, Vec<JoinHandle<()>>);

/// Starts the threads. When one of them cannot be, those before it are stopped again.
fn start_workers<E, F>(
    setups: Vec<(WorkerSetup, Media)>,
    make_engine: &F,
    ended: &watch::Sender<usize>,
) -> io::Result<Workers>
where
    E: Engine,
    F: Fn(WorkerSetup, Instant) -> E + Clone + Send + 'static,
{
    let (mut handles, mut threads) = Workers::default();
    for (setup, sockets) in setups {
        let (make_engine, ended) = (make_engine.clone(), ended.clone());
        let started = worker::start(
            format!("worker-{}", setup.worker),
            sockets,
            move |now| make_engine(setup, now),
            move || ended.send_modify(|count| *count += 1),
        );
        match started {
            Ok((handle, thread)) => {
                handles.push(handle);
                threads.push(thread);
            }
            Err(error) => {
                handles.iter().for_each(WorkerHandle::close);
                threads.into_iter().for_each(|thread| drop(thread.join()));
                return Err(error);
            }
        }
    }
    Ok((handles, threads))
}

/// The TURN server, if somebody may use it, and what pages are told of it.
fn start_turn(
    options: &Options,
    shares: &Shares,
    addresses: &[IpAddr],
    media: &[Vec<SocketAddr>],
    tls: Option<Arc<rustls::ServerConfig>>,
    ended: &watch::Sender<usize>,
) -> Result<Option<(TurnHandle, Invitation)>, StartError> {
    let turn = &options.turn;
    if !turn.is_wanted() {
        return Ok(None);
    }
    let tls_port = tls.is_some().then_some(turn.tls_port);
    let bound = on_free_port(turn.port, || {
        let udp = bind_udp(turn.port).map_err(|error| StartError::Turn(turn.port, error))?;
        turn::bind(udp, tls_port, shares.streams).map_err(|(port, error)| StartError::Turn(port, error))
    })?;
    let mut config = turn.config(addresses, &bound.ports(), &media.concat());
    let limits = &mut config.limits;
    limits.sockets = limits.sockets.min(shares.relays);
    // With few files nobody takes more than half of them, either.
    limits.sockets_per_user = limits.sockets_per_user.min(limits.sockets / 2);
    limits.sockets_per_name = limits.sockets_per_name.min(limits.sockets / 2);
    // Pages have credentials with a time in any case; of two secrets the last is the new one.
    let secret = turn.secrets.last().cloned().unwrap_or_else(Secret::random);
    if turn.secrets.is_empty() {
        config.secrets.push(secret.expose().to_owned());
    }
    let ended = ended.clone();
    let stopped = move || ended.send_modify(|count| *count += 1);
    match TurnHandle::start(bound, config, tls, system_seed()?, stopped) {
        Ok(handle) => {
            let port = |listeners: &[SocketAddr]| listeners.first().map(SocketAddr::port);
            let (plain, tls) = (port(handle.udp_addrs()), port(handle.tls_addrs()));
            let invitation = Invitation::new(turn, secret, addresses, plain, tls);
            Ok(Some((handle, invitation)))
        }
        Err(TurnError::Config(error)) => Err(StartError::TurnConfig(error.to_string())),
        Err(TurnError::System(error)) => Err(StartError::System(error)),
    }
}

fn bind_http(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let listener = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| StartError::Http(address, error))
}

/// The sockets of one worker: IPv4 and IPv6 on the same port, on all interfaces. Each datagram leaves from the address
/// that it is an answer of, so that one socket per family serves every interface, also those that come later.
///
/// A listener is beside each socket, on the port of the same number, unless that is one of ours for something else.
fn bind_media(options: &Options, worker: usize, connections: usize) -> Result<Media, StartError> {
    if options.udp_port != 0 {
        let port = options
            .udp_port
            .saturating_add(u16::try_from(worker).unwrap_or(u16::MAX));
        let turn = &options.turn;
        let is_ours = port == options.http.port() || turn.is_wanted() && [turn.port, turn.tls_port].contains(&port);
        if options.tcp && is_ours {
            tracing::warn!(
                port,
                "no media over TCP on this port: it is one of this server's for something else"
            );
        }
        return bind_port(port, options.tcp && !is_ours, connections);
    }
    on_free_port(0, || bind_port(0, options.tcp, connections))
}

/// Binds what belongs to one port. 0 is a free one, and is tried again where that is taken for the other family, or for
/// TCP.
pub(crate) fn on_free_port<T>(port: u16, bind: impl Fn() -> Result<T, StartError>) -> Result<T, StartError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match bind() {
            Err(StartError::Media(_, error) | StartError::MediaTcp(_, error) | StartError::Turn(_, error))
                if port == 0 && error.kind() == ErrorKind::AddrInUse && tries < PORT_TRIES => {}
            result => return result,
        }
    }
}

fn bind_port(port: u16, tcp: bool, connections: usize) -> Result<Media, StartError> {
    let udp = bind_udp(port).map_err(|error| StartError::Media(port, error))?;
    let mut listeners = Vec::new();
    for socket in udp.iter().filter(|_| tcp) {
        let address = socket.local_addr();
        let listener = tcp::listen(address).map_err(|error| StartError::MediaTcp(address.port(), error))?;
        listeners.push(listener);
    }
    Ok(Media {
        udp,
        tcp: listeners,
        connections,
    })
}

fn bind_udp(port: u16) -> io::Result<Vec<Socket>> {
    let v4 = Socket::bind((Ipv4Addr::UNSPECIFIED, port).into());
    let port = v4.as_ref().map_or(port, |socket| socket.local_addr().port());
    let v6 = Socket::bind((Ipv6Addr::UNSPECIFIED, port).into());
    match (v4, v6) {
        (Ok(v4), Ok(v6)) => Ok(vec![v4, v6]),
        // A machine may do without one of the two.
        (Ok(one), Err(error)) | (Err(error), Ok(one)) if is_family_missing(&error) => Ok(vec![one]),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

fn is_family_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        // EAFNOSUPPORT has no kind of its own.
        || error.to_string().contains("Address family not supported")
}

fn candidates(addresses: &[IpAddr], sockets: &[Socket]) -> Vec<SocketAddr> {
    addresses.iter().filter_map(|ip| candidate(*ip, sockets)).collect()
}

/// Where one of the sockets is reached at `ip`; `None` without one of that family.
fn candidate(ip: IpAddr, sockets: &[Socket]) -> Option<SocketAddr> {
    let socket = sockets
        .iter()
        .find(|socket| socket.local_addr().is_ipv4() == ip.is_ipv4());
    socket.map(|socket| SocketAddr::new(ip, socket.local_addr().port()))
}

fn system_seed() -> Result<Seed, StartError> {
    let mut seed = Seed([0; 32]);
    SysRng
        .try_fill_bytes(&mut seed.0)
        .map_err(|error| StartError::System(io::Error::other(error.to_string())))?;
    Ok(seed)
}

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// The options do not go together.
    Options(OptionsError),
    /// There is no address at which peers could reach it.
    NoAddress(NoAddress),
    /// An address that is to be announced is of a family that this machine does not have.
    NoFamily(IpAddr),
    /// The file for secrets cannot be written.
    KeyLog(KeyLogError),
    /// TLS cannot be served.
    Tls(TlsError),
    /// The page's address cannot be listened on.
    Http(SocketAddr, io::Error),
    /// A worker's UDP port cannot be bound.
    Media(u16, io::Error),
    /// A port of the TURN server cannot be bound.
    Turn(u16, io::Error),
    /// The TURN server cannot be what it is to be.
    TurnConfig(String),
    /// The TCP port of the same number cannot be listened on.
    MediaTcp(u16, io::Error),
    /// The system does not give what every program needs.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(error) => error.fmt(f),
            Self::NoAddress(error) => error.fmt(f),
            Self::NoFamily(ip) => write!(
                f,
                "Nothing sent to {ip} would come in, as this machine has no {}: leave it out of --announce.",
                if ip.is_ipv4() { "IPv4" } else { "IPv6" }
            ),
            Self::KeyLog(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Http(address, error) => match error.kind() {
                ErrorKind::AddrInUse => write!(
                    f,
                    "Another program listens at {address}: stop it, or choose another port with --http {}.",
                    SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(0))
                ),
                ErrorKind::PermissionDenied => write!(
                    f,
                    "Port {} is reserved for the system: choose one from 1024 on, as in --http {}.",
                    address.port(),
                    SocketAddr::new(address.ip(), 8080)
                ),
                ErrorKind::AddrNotAvailable => write!(
                    f,
                    "This machine has no address {}: give --http one of its own, or 0.0.0.0 for all of them.",
                    address.ip()
                ),
                _ => write!(
                    f,
                    "The page cannot be served at {address} ({error}): choose another --http address."
                ),
            },
            Self::Media(port, error) => match error.kind() {
                ErrorKind::AddrInUse => write!(
                    f,
                    "Another program uses UDP port {port}: stop it, or choose another --udp-port (0 picks free ones)."
                ),
                ErrorKind::PermissionDenied => write!(
                    f,
                    "UDP port {port} is reserved for the system: choose a --udp-port from 1024 on (0 picks free ones)."
                ),
                _ => write!(
                    f,
                    "UDP port {port} cannot be used ({error}): choose another --udp-port."
                ),
            },
            Self::Turn(port, error) => write!(
                f,
                "Port {port} cannot be used for TURN ({error}): choose another --turn-port or --turn-tls-port (0 picks free \
                 ones)."
            ),
            Self::TurnConfig(reason) => write!(
                f,
                "The TURN server cannot be started: {reason} (see --turn-user, --turn-secret, --turn-realm and \
                 --turn-relay-ports)."
            ),
            Self::MediaTcp(port, error) => match error.kind() {
                ErrorKind::AddrInUse => write!(
                    f,
                    "Another program listens on TCP port {port}: stop it, choose another --udp-port (0 picks free ones), or \
                     take media over UDP alone with --no-tcp."
                ),
                _ => write!(
                    f,
                    "TCP port {port} cannot be listened on ({error}): choose another --udp-port, or take media over UDP alone \
                     with --no-tcp."
                ),
            },
            Self::System(error) => write!(f, "The system does not give what the server needs: {error}."),
        }
    }
}

impl std::error::Error for StartError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_socket_of_its_family() {
        let sockets = [Socket::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()];
        let port = sockets[0].local_addr().port();
        let v4 = IpAddr::from([203, 0, 113, 7]);
        let v6 = "2001:db8::7".parse().unwrap();
        assert_eq!(candidate(v4, &sockets), Some(SocketAddr::new(v4, port)));
        assert_eq!(candidate(v6, &sockets), None);
        assert_eq!(candidates(&[v6, v4], &sockets), [SocketAddr::new(v4, port)]);
        let sentence = StartError::NoFamily(v6).to_string();
        assert!(sentence.contains("2001:db8::7") && sentence.contains("no IPv6") && sentence.contains("--announce"));
    }
}
