use std::io;
use std::net::SocketAddr;

/// What the network has answered to a datagram that a socket had sent (RFC 792, RFC 4443).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// Where the datagram was to go.
    pub destination: SocketAddr,
    /// The type. What it means depends on the family of the destination.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// What else it tells (`ee_info`): the next hop's MTU where the type and code say that the datagram was too long.
    pub info: u32,
}

/// Whether a call may have failed for what an earlier datagram met: the codes that Linux makes of ICMP messages
/// (`icmp_err_convert`, `icmpv6_err_convert`). Nothing was sent or received then, and the code is gone.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn may_be_of_earlier(error: &io::Error) -> bool {
    const CODES: [libc::c_int; 10] = [
        libc::ENETUNREACH,
        libc::EHOSTUNREACH,
        libc::ENOPROTOOPT,
        libc::ECONNREFUSED,
        libc::EMSGSIZE,
        libc::EOPNOTSUPP,
        libc::EHOSTDOWN,
        libc::ENONET,
        libc::EACCES,
        libc::EPROTO,
    ];
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn may_be_of_earlier(_: &io::Error) -> bool {
    false
}
