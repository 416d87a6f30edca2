use std::io::{self, ErrorKind};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;

use wire::{Ecn, Path, Transmit};

use crate::send::Message;
use crate::{MAX_MESSAGE, Socket};

/// The arrays that `sendmmsg` reads, one entry per message of a batch.
///
/// They hold pointers only while [`send`](Self::send) runs: it fills them anew each time, from slices that outlive the
/// call.
pub(crate) struct Arrays {
    headers: Box<[libc::mmsghdr]>,
    bytes: Box<[libc::iovec]>,
    envelopes: Box<[Envelope]>,
}

/// Where a message goes and how: the address and the control messages, in the layouts that the kernel reads.
enum Envelope {
    V4(libc::sockaddr_in, Control<libc::in_pktinfo>),
    V6(libc::sockaddr_in6, Control<libc::in6_pktinfo>),
}

/// The control messages of one message. What says nothing new is left off at either end: the kernel has room for one of
/// them on its stack and has to allocate memory for more.
#[repr(C)]
struct Control<Source> {
    traffic_class: ControlMessage<libc::c_int>,
    source: ControlMessage<Source>,
    segment: ControlMessage<u16>,
}

/// Which control messages a message cannot do without.
struct Needs {
    traffic_class: bool,
    source: bool,
    segment: bool,
}

impl Needs {
    fn of(transmit: &Transmit, socket: &Socket) -> Self {
        Self {
            // What a socket sends with that was told nothing.
            traffic_class: transmit.ecn != Ecn::NotEct,
            source: socket.local_addr().ip().is_unspecified(),
            segment: transmit.segment.is_some(),
        }
    }
}

/// `struct cmsghdr` with its data, laid out as `CMSG_NXTHDR` walks it: each begins at a multiple of a word.
#[repr(C)]
struct ControlMessage<T> {
    header: libc::cmsghdr,
    data: T,
    align: [usize; 0],
}

// SAFETY: `CMSG_SPACE` only computes a length.
const _: () = unsafe {
    assert!(
        size_of::<ControlMessage<libc::in_pktinfo>>() == libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as _) as usize
    );
    assert!(
        size_of::<ControlMessage<libc::in6_pktinfo>>()
            == libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as _) as usize
    );
    assert!(size_of::<ControlMessage<libc::c_int>>() == libc::CMSG_SPACE(size_of::<libc::c_int>() as _) as usize);
    assert!(size_of::<ControlMessage<u16>>() == libc::CMSG_SPACE(size_of::<u16>() as _) as usize);
    assert!(mem::offset_of!(ControlMessage<u16>, data) == libc::CMSG_LEN(0) as usize);
};

impl Arrays {
    pub(crate) fn new(capacity: usize) -> Self {
        const EMPTY: libc::iovec = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        let unspecified = SocketAddr::from(([0; 4], 0));
        let nowhere = Transmit::one(Path::udp(unspecified, unspecified), 0);
        Self {
            // SAFETY: `mmsghdr` is made of integers and raw pointers, for which zero and null are values.
            headers: (0..capacity).map(|_| unsafe { mem::zeroed() }).collect(),
            bytes: (0..capacity).map(|_| EMPTY).collect(),
            envelopes: (0..capacity).map(|_| Envelope::new(&nowhere, None)).collect(),
        }
    }

    /// Hands as many of `messages` to the kernel as it takes in one call, and says how many that were.
    ///
    /// An error is about the first of them. With an error in a later one the kernel returns the number before it.
    pub(crate) fn send(&mut self, socket: &Socket, messages: &[Message], slab: &[u8]) -> io::Result<usize> {
        let mut filled = 0;
        let entries = self.headers.iter_mut().zip(&mut self.bytes).zip(&mut self.envelopes);
        for (message, ((header, bytes), envelope)) in messages.iter().zip(entries) {
            let Some(content) = slab.get(message.range()).filter(|content| content.len() <= MAX_MESSAGE) else {
                break;
            };
            bytes.iov_base = content.as_ptr().cast_mut().cast();
            bytes.iov_len = content.len();
            *envelope = Envelope::new(&message.transmit, socket.source(message.transmit.path.local));
            let header = &mut header.msg_hdr;
            header.msg_iov = bytes;
            header.msg_iovlen = 1;
            envelope.attach(header, &Needs::of(&message.transmit, socket));
            filled += 1;
        }
        if filled == 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
        // SAFETY: the first `filled` headers point at an address, an iovec and control messages that were filled above
        // and lie in boxes of `self`, borrowed until the end of this function; each iovec points into `slab`, borrowed
        // as long. The kernel writes to nothing of it but `msg_len`. Headers beyond `filled` are not read.
        let taken = unsafe {
            libc::sendmmsg(
                socket.io.as_raw_fd(),
                self.headers.as_mut_ptr(),
                filled as libc::c_uint,
                0,
            )
        };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}

/// Lets the kernel tell no more about what comes than is wanted: each control message costs some percent of a receive
/// call. quinn-udp asks for the time of each datagram, which nobody reads; and what comes to a socket that is bound to
/// one address has come to that address.
pub(crate) fn tell_less(io: &mio::net::UdpSocket, local: SocketAddr) {
    let pktinfo = match local {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let bound = !local.ip().is_unspecified();
    let unwanted = [(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)]
        .into_iter()
        .chain(bound.then_some(pktinfo));
    for (level, name) in unwanted {
        let off: libc::c_int = 0;
        // A kernel that goes on telling is slower, and right: the answer is not looked at.
        // SAFETY: the kernel reads `size_of_val(&off)` bytes at `off`, which lives as long as the call.
        let _ = unsafe {
            libc::setsockopt(
                io.as_raw_fd(),
                level,
                name,
                (&raw const off).cast(),
                size_of_val(&off) as libc::socklen_t,
            )
        };
    }
}

/// How many datagrams the kernel has dropped instead of giving them to this socket (`SO_MEMINFO`, sock_diag(7)).
pub(crate) fn kernel_drops(socket: &Socket) -> u64 {
    // `SK_MEMINFO_DROPS` is the last of `SK_MEMINFO_VARS` numbers, in <linux/sock_diag.h>.
    let mut numbers = [0_u32; 9];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `numbers`, which has that many and takes any bit pattern.
    let failed = unsafe {
        libc::getsockopt(
            socket.io.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if failed == 0 { u64::from(numbers[8]) } else { 0 }
}

impl Envelope {
    fn new(transmit: &Transmit, source: Option<IpAddr>) -> Self {
        match transmit.path.remote {
            SocketAddr::V4(remote) => {
                let name = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: remote.port().to_be(),
                    sin_addr: in_addr(*remote.ip()),
                    sin_zero: [0; 8],
                };
                Self::V4(name, Control::new(transmit, source))
            }
            SocketAddr::V6(remote) => {
                let name = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: remote.port().to_be(),
                    sin6_flowinfo: remote.flowinfo(),
                    sin6_addr: in6_addr(*remote.ip()),
                    sin6_scope_id: remote.scope_id(),
                };
                Self::V6(name, Control::new(transmit, source))
            }
        }
    }

    /// Points a message header at this envelope. The pointers are good as long as the envelope stays where it is.
    fn attach(&mut self, header: &mut libc::msghdr, needs: &Needs) {
        match self {
            Self::V4(name, control) => attach(header, name, control, needs),
            Self::V6(name, control) => attach(header, name, control, needs),
        }
    }
}

fn attach<Name, Source>(header: &mut libc::msghdr, name: &mut Name, control: &mut Control<Source>, needs: &Needs) {
    header.msg_name = ptr::from_mut(name).cast();
    header.msg_namelen = size_of::<Name>() as libc::socklen_t;
    let range = control_range::<Source>(needs);
    let start = ptr::from_mut(control).cast::<u8>().wrapping_add(range.start);
    header.msg_control = start.cast();
    header.msg_controllen = range.len() as _;
}

/// The bytes from the first control message that is needed to the end of the last one.
fn control_range<Source>(needs: &Needs) -> Range<usize> {
    let source = mem::offset_of!(Control<Source>, source);
    let segment = mem::offset_of!(Control<Source>, segment);
    let present = [
        (needs.traffic_class, 0..source),
        (needs.source, source..segment),
        (needs.segment, segment..size_of::<Control<Source>>()),
    ];
    let mut needed = present
        .into_iter()
        .filter(|(needed, _)| *needed)
        .map(|(_, range)| range);
    let first = needed.next().unwrap_or_default();
    first.start..needed.next_back().map_or(first.end, |last| last.end)
}

/// The source address in the form that an address family wants it.
trait SourceInfo {
    const SOURCE: (libc::c_int, libc::c_int);
    const TRAFFIC_CLASS: (libc::c_int, libc::c_int);
    /// With `None`, or an address of the other family, the kernel chooses.
    fn from_address(address: Option<IpAddr>) -> Self;
}

impl SourceInfo for libc::in_pktinfo {
    const SOURCE: (libc::c_int, libc::c_int) = (libc::IPPROTO_IP, libc::IP_PKTINFO);
    const TRAFFIC_CLASS: (libc::c_int, libc::c_int) = (libc::IPPROTO_IP, libc::IP_TOS);

    fn from_address(address: Option<IpAddr>) -> Self {
        let Some(IpAddr::V4(address)) = address else {
            return Self::from_address(Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        };
        Self {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr(address),
            ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
        }
    }
}

impl SourceInfo for libc::in6_pktinfo {
    const SOURCE: (libc::c_int, libc::c_int) = (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
    const TRAFFIC_CLASS: (libc::c_int, libc::c_int) = (libc::IPPROTO_IPV6, libc::IPV6_TCLASS);

    fn from_address(address: Option<IpAddr>) -> Self {
        let Some(IpAddr::V6(address)) = address else {
            return Self::from_address(Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        };
        Self {
            ipi6_addr: in6_addr(address),
            ipi6_ifindex: 0,
        }
    }
}

impl<Source: SourceInfo> Control<Source> {
    fn new(transmit: &Transmit, source: Option<IpAddr>) -> Self {
        Self {
            traffic_class: ControlMessage::new(Source::TRAFFIC_CLASS, transmit.ecn as libc::c_int),
            source: ControlMessage::new(Source::SOURCE, Source::from_address(source)),
            segment: ControlMessage::new(
                (libc::SOL_UDP, libc::UDP_SEGMENT),
                transmit.segment.map_or(0, NonZeroU16::get),
            ),
        }
    }
}

impl<T> ControlMessage<T> {
    fn new((level, kind): (libc::c_int, libc::c_int), data: T) -> Self {
        // SAFETY: `cmsghdr` is made of integers alone, for which zero is a value.
        let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
        header.cmsg_len = (mem::offset_of!(Self, data) + size_of::<T>()) as _;
        header.cmsg_level = level;
        header.cmsg_type = kind;
        Self {
            header,
            data,
            align: [],
        }
    }
}

const fn in_addr(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr {
        s_addr: u32::from_ne_bytes(address.octets()),
    }
}

const fn in6_addr(address: Ipv6Addr) -> libc::in6_addr {
    libc::in6_addr {
        s6_addr: address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_is_told() {
        let spaces = [
            size_of::<ControlMessage<libc::c_int>>(),
            size_of::<ControlMessage<libc::in_pktinfo>>(),
            size_of::<ControlMessage<u16>>(),
        ];
        // `ctl` in `____sys_sendmsg`.
        let on_the_stack = size_of::<libc::cmsghdr>() + 20;
        for number in 0..8_usize {
            let [traffic_class, source, segment] = [1, 2, 4].map(|bit| number & bit != 0);
            let needs = Needs {
                traffic_class,
                source,
                segment,
            };
            let range = control_range::<libc::in_pktinfo>(&needs);
            let mut at = 0;
            for (needed, space) in [traffic_class, source, segment].into_iter().zip(spaces) {
                let there = range.start <= at && at + space <= range.end;
                // The one in the middle may be there without need.
                assert!(there || !needed, "{number}");
                at += space;
            }
            assert!(number.count_ones() > 1 || range.len() <= on_the_stack, "{number}");
            assert_eq!(range.is_empty(), number == 0);
        }
    }
}
