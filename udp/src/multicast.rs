use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};

use socket2::{Domain, Socket, Type};

/// The most there is: who is on the link can tell by it that nobody is in between (RFC 6762 §11).
const HOPS: u32 = 255;

/// Opens a socket that has joined a multicast group on one link and shares its port with other programs, as mDNS (RFC
/// 6762) needs it. `local` is an address of ours on that link with the port; of IPv6 a link-local one with its scope.
///
/// It does not block; [`mio::net::UdpSocket::from_std`] takes it. What it sends to groups leaves on that link, with a
/// TTL of 255 as all that it sends, and is heard on this machine too, by itself as well.
///
/// On Linux it hears what is sent to the group on that link, and nothing else: what comes to the port by unicast is
/// left to others. Elsewhere it may get that in place of others who share the port, and hear the group on other links where
/// somebody has joined it.
///
/// # Errors
/// What the operating system says: most of all that the port is taken by somebody who does not share it, or that no
/// link has this address. [`ErrorKind::InvalidInput`] if the group and the address are of two families.
pub fn join_multicast(group: IpAddr, local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    // Outside of Linux nothing else shares a port. On Linux it would be wrong: of those who share a port so one gets
    // what comes to a group, by a hash, and it is lost if that one has joined on another link.
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "solaris", target_os = "illumos"))))]
    socket.set_reuse_port(true)?;
    // Bound to an address of ours it would not hear the group. Only Linux is known to tell groups of one port apart.
    let by_group = cfg!(target_os = "linux");
    match (group, local) {
        (IpAddr::V4(group), SocketAddr::V4(local)) => {
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v4(false)?;
            socket.set_multicast_if_v4(local.ip())?;
            socket.set_multicast_loop_v4(true)?;
            socket.set_multicast_ttl_v4(HOPS)?;
            socket.set_ttl_v4(HOPS)?;
            let bound = if by_group { group } else { Ipv4Addr::UNSPECIFIED };
            socket.bind(&SocketAddrV4::new(bound, local.port()).into())?;
            socket.join_multicast_v4(&group, local.ip())?;
        }
        (IpAddr::V6(group), SocketAddr::V6(local)) => {
            let link = local.scope_id();
            socket.set_only_v6(true)?;
            socket.set_multicast_if_v6(link)?;
            socket.set_multicast_loop_v6(true)?;
            socket.set_multicast_hops_v6(HOPS)?;
            socket.set_unicast_hops_v6(HOPS)?;
            // Who has joined on one link hears the group on all; the scope of its own ties a socket to that.
            let (bound, scope) = if by_group {
                (group, link)
            } else {
                (Ipv6Addr::UNSPECIFIED, 0)
            };
            socket.bind(&SocketAddrV6::new(bound, local.port(), 0, scope).into())?;
            socket.join_multicast_v6(&group, link)?;
        }
        _ => return Err(ErrorKind::InvalidInput.into()),
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_and_address_are_of_one_family() {
        let error = join_multicast("ff02::fb".parse().unwrap(), "127.0.0.1:0".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
