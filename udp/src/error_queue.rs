use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use crate::IcmpError;

/// Room for control messages, in words: for `sock_extended_err` with the address of who has sent the ICMP message, and
/// for what the socket is told about datagrams.
const CONTROL: usize = 32;

/// Takes the first entry off a socket's error queue (`IP_RECVERR`, ip(7)). `None` for one that is no ICMP message: the
/// kernel queues what it refuses itself, too.
///
/// # Errors
/// `WouldBlock` when there is none.
pub(crate) fn take(io: &mio::net::UdpSocket) -> io::Result<Option<IcmpError>> {
    let mut destination = SockAddrStorage::zeroed();
    let mut control = [0_usize; CONTROL];
    // SAFETY: `msghdr` is made of integers and raw pointers, for which zero and null are values.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = (&raw mut destination).cast();
    header.msg_namelen = destination.size_of();
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    loop {
        // SAFETY: the kernel writes at most `msg_namelen` bytes to `destination` and `msg_controllen` bytes to
        // `control`, which have as many, take any bit pattern and live until the end of this function. There is no room
        // for the datagram, and none is wanted.
        let got = unsafe { libc::recvmsg(io.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
        if got >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let Some(error) = extended(&header) else {
        return Ok(None);
    };
    // SAFETY: the kernel has written an address of `msg_namelen` bytes, and zeroes are behind it.
    let destination = unsafe { SockAddr::new(destination, header.msg_namelen) };
    let of_icmp = [libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6].contains(&error.ee_origin);
    let destination = destination.as_socket().filter(|_| of_icmp);
    Ok(destination.map(|destination| IcmpError {
        destination,
        kind: error.ee_type,
        code: error.ee_code,
        info: error.ee_info,
    }))
}

/// The control message that tells what went wrong.
fn extended(header: &libc::msghdr) -> Option<libc::sock_extended_err> {
    let wanted = [
        (libc::IPPROTO_IP, libc::IP_RECVERR),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    ];
    // SAFETY: `CMSG_LEN` only computes a length.
    let long_enough = unsafe { libc::CMSG_LEN(size_of::<libc::sock_extended_err>() as _) };
    // SAFETY: `msg_control` points at `msg_controllen` bytes that the kernel has filled with control messages, and
    // `CMSG_FIRSTHDR` gives one that begins in them, or null.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: a message that is not null begins in those bytes, which are aligned to words as they all are.
    while let Some(message) = unsafe { next.as_ref() } {
        if wanted.contains(&(message.cmsg_level, message.cmsg_type)) && message.cmsg_len >= long_enough as _ {
            // SAFETY: the data of the message has the length of a `sock_extended_err` at least, which takes any bit
            // pattern; wherever it begins, it is read as bytes.
            return Some(unsafe { ptr::read_unaligned(libc::CMSG_DATA(message).cast()) });
        }
        // SAFETY: `message` is one of `header`'s, and what follows it in the same bytes is given, or null.
        next = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}
