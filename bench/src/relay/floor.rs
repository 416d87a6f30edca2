//! What no server is spared: the calls alone that bring a packet in and out again, one way, with nobody to be woken and
//! nothing to be looked up.

use std::io::{self, IoSlice};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt};

use super::flow::{MAX_BURST, PAYLOAD};
use crate::rounds::{median, thread_time};

const ROUNDS: usize = 15;
/// Messages that wait in a socket before they are relayed: fewer than any socket holds.
const WAITING: usize = 8;
const REPEATS: usize = 200;

/// Nanoseconds per packet in messages of `burst` packets.
pub(super) fn measure(burst: usize) -> io::Result<f64> {
    let socket = || UdpSocket::bind("127.0.0.1:0");
    let [sender, relay, receiver] = [socket()?, socket()?, socket()?];
    setsockopt(&relay, sockopt::UdpGroSegment, &true)?;
    receiver.set_nonblocking(true)?;
    let (from, to) = (
        SockaddrStorage::from(relay.local_addr()?),
        SockaddrStorage::from(receiver.local_addr()?),
    );
    let mut bytes = [0x80; PAYLOAD * MAX_BURST];
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let mut used = 0.0;
        for _ in 0..REPEATS {
            for _ in 0..WAITING {
                send(&sender, &from, &bytes[..PAYLOAD * burst])?;
            }
            let before = thread_time();
            for _ in 0..WAITING {
                let (len, _) = relay.recv_from(&mut bytes)?;
                send(&relay, &to, &bytes[..len])?;
            }
            used += (thread_time() - before).as_nanos() as f64;
            let came = std::iter::repeat_with(|| receiver.recv(&mut bytes)).take_while(Result::is_ok);
            if came.count() != WAITING * burst {
                return Err(io::Error::other("the loopback interface loses packets"));
            }
        }
        times.push(used / (REPEATS * WAITING * burst) as f64);
    }
    Ok(median(times))
}

fn send(socket: &UdpSocket, to: &SockaddrStorage, message: &[u8]) -> io::Result<()> {
    let (parts, segment) = ([IoSlice::new(message)], PAYLOAD as u16);
    let run = [ControlMessage::UdpGsoSegments(&segment)];
    let control = if message.len() > PAYLOAD { &run[..] } else { &[] };
    sendmsg(socket.as_raw_fd(), &parts, control, MsgFlags::empty(), Some(to))?;
    Ok(())
}
