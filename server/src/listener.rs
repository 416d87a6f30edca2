use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc as std_mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::Request;
use axum::http::request::Parts;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_service::Service;

use crate::app::{App, stopped};
use crate::connections::{Connections, Place};

/// How long a TLS handshake may take, and the head of a request. The latter begins with the connection, or with the end
/// of the response before: so long may a connection be idle.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait when the system has no resources for one more connection.
const EXHAUSTED: Duration = Duration::from_millis(200);
/// The most bytes that a request's head may have, and that wait unread or unsent in one connection.
const BUFFER: usize = 64 << 10;

/// Accepts connections, with TLS or without, and answers their requests until the server stops. Handshakes run beside
/// each other, so that a client that is slow at it, or never finishes, holds nobody up.
///
/// `done` is dropped when the last connection has ended. A connection that has become a WebSocket is another's
/// business.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    app: Arc<App>,
    router: Router,
    done: std_mpsc::Sender<()>,
) {
    let tls = tls.map(TlsAcceptor::from);
    let connections = Connections::new(app.limits);
    let mut closing = app.closing.clone();
    loop {
        let (stream, client) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // A client that is gone again is not worth a word; without file descriptors there is no hurry.
                    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        sleep(EXHAUSTED).await;
                    }
                    continue;
                }
            },
            () = stopped(&mut closing) => return,
        };
        let Some(place) = connections.take(client.ip()) else {
            // To say why would take a connection.
            app.raise(|c| &mut c.connections_refused);
            continue;
        };
        // Signalling is small messages that somebody waits for.
        drop(stream.set_nodelay(true));
        let (tls, app, router, done) = (tls.clone(), app.clone(), router.clone(), done.clone());
        tokio::spawn(async move {
            let mut closing = app.closing.clone();
            let secured = tokio::select! {
                secured = secure(tls, stream, client, PATIENCE.min(app.silence)) => secured,
                () = stopped(&mut closing) => None,
            };
            let Some(transport) = secured else { return };
            let stream = Stream {
                transport,
                patience: app.silence,
                stalled: None,
                _place: place,
            };
            answer(stream, client, &app, router).await;
            drop(done);
        });
    }
}

/// `None` when the client is no good at TLS.
async fn secure(
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    client: SocketAddr,
    patience: Duration,
) -> Option<Transport> {
    let Some(tls) = tls else {
        return Some(Transport::Plain(stream));
    };
    match timeout(patience, tls.accept(stream)).await {
        Ok(Ok(stream)) => return Some(Transport::Tls(Box::new(stream))),
        Ok(Err(error)) => tracing::debug!(%client, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%client, "a TLS handshake took too long"),
    }
    None
}

/// Answers the requests of one connection.
async fn answer(stream: Stream, client: SocketAddr, app: &App, router: Router) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ClientAddr(client));
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE.min(app.silence))
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut closing = app.closing.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "a connection has ended");
    }
}

/// A client's connection.
struct Stream {
    transport: Transport,
    /// How long the client may take none of what is written.
    patience: Duration,
    /// Runs while it takes nothing. Reading has no such limit: how long to wait for what is known where it is read.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn transport(&mut self) -> Pin<&mut (dyn Transported + Unpin)> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream),
            Transport::Tls(stream) => Pin::new(&mut **stream),
        }
    }

    /// The outcome of writing, or that it has been waited for long enough.
    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

trait Transported: AsyncRead + AsyncWrite {}

impl<T: AsyncRead + AsyncWrite> Transported for T {}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().transport().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let outcome = stream.transport().poll_write(cx, buf);
        stream.unless_stalled(cx, outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let outcome = stream.transport().poll_flush(cx);
        stream.unless_stalled(cx, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let outcome = stream.transport().poll_shutdown(cx);
        stream.unless_stalled(cx, outcome)
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddr(pub(crate) SocketAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddr {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let unknown = Self(SocketAddr::from(([0; 4], 0)));
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(unknown))
    }
}
