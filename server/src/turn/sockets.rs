use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, SockAddr, Type};
use udp::Socket;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 256;

/// What the TURN server listens on.
pub(crate) struct Bound {
    pub(crate) udp: Vec<Socket>,
    /// Listeners, and whether they speak TLS.
    pub(crate) tcp: Vec<(TcpListener, bool)>,
    /// How many connections there may be, of clients and of peers.
    pub(crate) connections: usize,
}

impl Bound {
    pub(crate) fn tls_addrs(&self) -> Vec<SocketAddr> {
        let tls = self.tcp.iter().filter(|(_, tls)| *tls);
        tls.filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }

    /// The ports of all of them.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let tcp = self.tcp.iter().filter_map(|(listener, _)| listener.local_addr().ok());
        let mut ports: Vec<u16> = self
            .udp
            .iter()
            .map(Socket::local_addr)
            .chain(tcp)
            .map(|a| a.port())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// Adds TCP, and TLS if it is wanted, to what was bound for UDP, on the addresses of the same families; for so many
/// connections.
///
/// # Errors
/// Which port cannot be had, and why.
pub(crate) fn bind(udp: Vec<Socket>, tls_port: Option<u16>, connections: usize) -> Result<Bound, (u16, io::Error)> {
    let mut tcp = Vec::new();
    let mut tls_port = tls_port;
    for socket in &udp {
        let address = socket.local_addr();
        let listener = listen(address, false).map_err(|error| (address.port(), error))?;
        tcp.push((TcpListener::from_std(listener), false));
        if let Some(port) = tls_port {
            let address = SocketAddr::new(address.ip(), port);
            let listener = listen(address, false).map_err(|error| (port, error))?;
            // The one that was picked for the first family is to be that of the second one too.
            tls_port = listener.local_addr().ok().map(|picked| picked.port());
            tcp.push((TcpListener::from_std(listener), true));
        }
    }
    Ok(Bound { udp, tcp, connections })
}

/// Binds UDP to a free port of an address, and the rest.
#[cfg(test)]
pub(super) fn bind_free(address: &str, tls_port: Option<u16>) -> Bound {
    use crate::StartError;

    let bound = crate::server::on_free_port(0, || {
        let udp = Socket::bind(address.parse().unwrap()).map_err(|error| StartError::Turn(0, error))?;
        bind(vec![udp], tls_port, usize::MAX).map_err(|(port, error)| StartError::Turn(port, error))
    });
    bound.unwrap()
}

/// A listener of one family. `shared` ones leave their address to connections that are opened from it (RFC 6062 §5.2).
pub(super) fn listen(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    if shared {
        // Another program's listener may be shared too: beside it we would get a part of its connections.
        let probe = tcp_socket(address)?;
        probe.set_reuse_address(true)?;
        probe.bind(&SockAddr::from(address))?;
    }
    let socket = tcp_socket(address)?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Begins to open a connection from an address at which a shared listener is.
pub(super) fn connect(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = tcp_socket(from)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SockAddr::from(from))?;
    match socket.connect(&SockAddr::from(to)) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(IN_PROGRESS) || error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// EINPROGRESS, which has no kind of its own that is stable.
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

fn tcp_socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_is_where_udp_is() {
        let bound = bind_free("0.0.0.0:0", Some(0));
        let port = bound.udp[0].local_addr().port();
        assert_eq!(bound.tcp.len(), 2);
        assert_eq!(bound.tcp[0].0.local_addr().unwrap().port(), port);
        assert_eq!(bound.tls_addrs().len(), 1);
        assert_eq!(bound.ports().len(), 2);
        let (taken, error) = bind(bound.udp, Some(bound.tcp[1].0.local_addr().unwrap().port()), 1)
            .map(|_| ())
            .unwrap_err();
        assert_eq!((taken, error.kind()), (port, io::ErrorKind::AddrInUse));
    }

    #[test]
    fn a_port_that_somebody_else_shares_is_taken() {
        let theirs = tcp_socket("127.0.0.1:0".parse().unwrap()).unwrap();
        theirs.set_reuse_address(true).unwrap();
        theirs.set_reuse_port(true).unwrap();
        theirs
            .bind(&SockAddr::from("127.0.0.1:0".parse::<SocketAddr>().unwrap()))
            .unwrap();
        theirs.listen(1).unwrap();
        let address = theirs.local_addr().unwrap().as_socket().unwrap();
        let error = listen(address, true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_connection_leaves_from_where_a_listener_is() {
        let shared = listen("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let from = shared.local_addr().unwrap();
        let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _stream = connect(from, peer.local_addr().unwrap()).unwrap();
        assert_eq!(peer.accept().unwrap().1, from);
    }
}
