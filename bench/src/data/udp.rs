use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt, sockopt,
};

use super::end::{DATAGRAM, End, Outbox, cost};

/// The most datagrams in one message: 65507 bytes.
const RUN: usize = 54;
const BUFFER: usize = 4 << 20;
/// Until both ends are connected, and until what is under way has come.
const PATIENCE: Duration = Duration::from_secs(30);
const NAP: Duration = Duration::from_micros(100);

/// Two ends in one thread, each with a socket of the loopback interface. Runs of datagrams of equal length are one message
/// (`UDP_SEGMENT`), and are read as one (`UDP_GRO`).
pub(super) struct Udp<E> {
    ends: [E; 2],
    sockets: [UdpSocket; 2],
    slab: Vec<u8>,
    outbox: Outbox,
    room: usize,
}

impl<E: End> Udp<E> {
    pub(super) fn connect(new: impl FnOnce(Instant) -> [E; 2], len: usize, room: usize) -> Result<Self, String> {
        let problem = |error| format!("The loopback interface cannot be used: {error}.");
        let socket = || UdpSocket::bind("127.0.0.1:0").map_err(problem);
        let sockets = [socket()?, socket()?];
        for (own, peer) in [(0, 1), (1, 0)] {
            let address = sockets[peer].local_addr().map_err(problem)?;
            sockets[own].connect(address).map_err(problem)?;
            sockets[own].set_nonblocking(true).map_err(problem)?;
            // Less is enough, since what was sent is read at once.
            let _ = setsockopt(&sockets[own], sockopt::RcvBuf, &BUFFER);
            setsockopt(&sockets[own], sockopt::UdpGroSegment, &true).map_err(|error| problem(error.into()))?;
        }
        let now = Instant::now();
        let mut this = Self {
            ends: new(now),
            sockets,
            slab: vec![0; 1 << 16],
            outbox: Outbox::new(len),
            room,
        };
        while !this.ends.iter().all(E::is_open) {
            this.step().map_err(problem)?;
            assert!(now.elapsed() < PATIENCE, "they must connect");
        }
        Ok(this)
    }

    /// Sends so many bytes in messages. CPU time, with the kernel's, and allocations for each megabyte.
    pub(super) fn transfer(&mut self, bytes: usize) -> (f64, f64) {
        let bytes = self.outbox.fill(bytes);
        let goal = self.ends[1].inbox().bytes + bytes;
        let start = Instant::now();
        cost(bytes, || {
            while self.ends[1].inbox().bytes < goal {
                self.step().expect("the loopback interface");
                assert!(start.elapsed() < PATIENCE, "what was sent must come");
            }
        })
    }

    fn step(&mut self) -> Result<(), std::io::Error> {
        let now = Instant::now();
        let [left, right] = &mut self.ends;
        let [left_socket, right_socket] = &self.sockets;
        if left.is_open() {
            self.outbox.give(now, left, self.room);
        }
        let before = right.inbox().bytes;
        let slab = &mut self.slab;
        let there = carry(now, (left, left_socket), (right, right_socket), slab)?;
        let back = carry(now, (right, right_socket), (left, left_socket), slab)?;
        left.arrived((right.inbox().bytes - before) as usize);
        let mut due = None;
        for end in &mut self.ends {
            if end.due().is_some_and(|due| due <= now) {
                end.handle_timeout(now);
                end.settle(now);
            }
            due = due.into_iter().chain(end.due()).min();
        }
        if !there && !back && due.is_none_or(|due| due > now) {
            std::thread::sleep(NAP);
        }
        Ok(())
    }
}

/// Sends what there is to be sent, up to a run, and reads it on the other side. Whether there was anything.
fn carry<E: End>(
    now: Instant,
    (from, from_socket): (&mut E, &UdpSocket),
    (to, to_socket): (&mut E, &UdpSocket),
    slab: &mut [u8],
) -> Result<bool, std::io::Error> {
    let mut lens = [0; RUN];
    let (mut count, mut end) = (0, 0);
    while count < RUN
        && let Some(len) = from.poll(now, &mut slab[end..end + DATAGRAM])
    {
        lens[count] = len;
        count += 1;
        end += len;
    }
    let (mut rest, mut start) = (&lens[..count], 0);
    while let Some(&segment) = rest.first() {
        // The last one of a message may be shorter.
        let equal = rest.iter().take_while(|len| **len == segment).count();
        let shorter = rest.get(equal).is_some_and(|len| *len < segment);
        let (run, behind) = rest.split_at(equal + usize::from(shorter));
        let bytes: usize = run.iter().sum();
        send(from_socket, &slab[start..start + bytes], segment)?;
        start += bytes;
        rest = behind;
    }
    let mut missing = count;
    while missing > 0 {
        let Some((len, segment)) = receive(to_socket, slab)? else {
            break;
        };
        for datagram in slab[..len].chunks_mut(segment) {
            to.handle(now, datagram);
            missing = missing.saturating_sub(1);
        }
    }
    if count > 0 {
        to.settle(now);
    }
    Ok(count > 0)
}

fn send(socket: &UdpSocket, message: &[u8], segment: usize) -> Result<(), std::io::Error> {
    if message.len() == segment {
        return socket.send(message).map(drop);
    }
    let segment = segment as u16;
    let (parts, control) = ([IoSlice::new(message)], [ControlMessage::UdpGsoSegments(&segment)]);
    sendmsg::<SockaddrIn>(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), None)?;
    Ok(())
}

/// A message, and how long each datagram of it is but the last.
fn receive(socket: &UdpSocket, out: &mut [u8]) -> Result<Option<(usize, usize)>, std::io::Error> {
    let mut parts = [IoSliceMut::new(out)];
    let mut control = cmsg_space!(i32);
    let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty());
    let message = match message.map_err(std::io::Error::from) {
        Ok(message) => message,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error),
    };
    let segment = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::UdpGroSegments(segment) => usize::try_from(segment).ok(),
        _ => None,
    });
    Ok(Some((message.bytes, segment.unwrap_or(message.bytes).max(1))))
}
