use std::net::SocketAddr;
use std::num::NonZeroU16;

use turn::Outgoing;
use udp::{MAX_MESSAGE, MAX_SEGMENTS, SendBatch, Sent, Socket};
use wire::{Path, Transmit};

/// Bytes that are written before they are sent.
const BYTES: usize = 1 << 20;
/// Messages of one socket that leave in one system call.
const BATCH: usize = 64;
/// Messages that are written before they are sent.
const MESSAGES: usize = 1024;

/// The sockets, by the numbers that [`SendSlab::push`] was given.
pub(super) trait Sockets {
    /// `None` when it was closed meanwhile.
    fn socket(&mut self, number: usize) -> Option<&mut Socket>;
}

/// Datagrams on their way out of many sockets: runs of equal size to one receiver lie end to end and leave as one
/// message.
pub(super) struct SendSlab {
    bytes: Box<[u8]>,
    used: usize,
    messages: Vec<Message>,
    batch: SendBatch,
    /// Datagrams that a full socket did not take, or whose socket was closed before.
    pub(super) dropped: u64,
}

struct Message {
    /// Which socket it leaves from, by the caller's numbers.
    socket: usize,
    /// Keeps the order of one socket's messages.
    number: usize,
    offset: usize,
    transmit: Transmit,
    /// The last datagram in it is shorter than the others: nothing may follow.
    ended: bool,
}

impl SendSlab {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; BYTES].into_boxed_slice(),
            used: 0,
            messages: Vec::with_capacity(MESSAGES),
            batch: SendBatch::new(BATCH),
            dropped: 0,
        }
    }

    /// Sends everything when there might be no room for one more datagram. Called after each, so that nothing is
    /// dropped here.
    pub(super) fn make_room(&mut self, sockets: &mut impl Sockets) {
        if BYTES - self.used < MAX_MESSAGE || self.messages.len() == MESSAGES {
            self.flush(sockets);
        }
    }

    /// Writes one datagram. What does not fit is dropped and counted.
    pub(super) fn push(&mut self, socket: usize, from: SocketAddr, to: SocketAddr, packet: &Outgoing<'_>) {
        let room = self.bytes.get_mut(self.used..).unwrap_or_default();
        let Some(len) = packet.write(room).filter(|len| *len <= MAX_MESSAGE) else {
            self.dropped += 1;
            return;
        };
        let offset = self.used;
        let transmit = Transmit {
            ecn: packet.ecn,
            ..Transmit::one(Path::udp(from, to), len)
        };
        if self
            .messages
            .last_mut()
            .is_some_and(|last| last.extend(socket, &transmit, offset))
        {
            self.used += len;
        } else if self.messages.len() < MESSAGES {
            self.used += len;
            self.messages.push(Message {
                socket,
                number: self.messages.len(),
                offset,
                transmit,
                ended: false,
            });
        } else {
            self.dropped += 1;
        }
    }

    /// Sends everything. A socket that is full takes no more, and what it did not take is gone, as on any full link.
    pub(super) fn flush(&mut self, sockets: &mut impl Sockets) {
        self.messages
            .sort_unstable_by_key(|message| (message.socket, message.number));
        for run in self.messages.chunk_by(|left, right| left.socket == right.socket) {
            let Some(socket) = run.first().and_then(|first| sockets.socket(first.socket)) else {
                self.dropped += last(run, run.len());
                continue;
            };
            for part in run.chunks(BATCH) {
                for message in part {
                    if self.batch.push(&message.transmit, message.offset).is_err() {
                        self.dropped += message.transmit.datagrams() as u64;
                    }
                }
                if self.batch.send(socket, &self.bytes) == Sent::Blocked {
                    self.dropped += last(part, self.batch.clear());
                }
            }
        }
        self.messages.clear();
        self.used = 0;
    }
}

/// Datagrams in the last messages of a run.
fn last(run: &[Message], messages: usize) -> u64 {
    let datagrams = |message: &Message| message.transmit.datagrams() as u64;
    run.iter().rev().take(messages).map(datagrams).sum()
}

impl Message {
    /// Takes a datagram into the run, if it goes the same way and is as long as the others, or the shorter last one.
    fn extend(&mut self, socket: usize, next: &Transmit, offset: usize) -> bool {
        let run = &mut self.transmit;
        let segment = run.segment.map_or(run.len, |size| usize::from(size.get()));
        let full = run.len + next.len > MAX_MESSAGE || run.datagrams() >= MAX_SEGMENTS;
        if self.ended
            || full
            || socket != self.socket
            || run.path != next.path
            || run.ecn != next.ecn
            || next.len > segment
            || next.len == 0
            || offset != self.offset + run.len
        {
            return false;
        }
        let Some(size) = u16::try_from(segment).ok().and_then(NonZeroU16::new) else {
            return false;
        };
        run.segment = Some(size);
        run.len += next.len;
        self.ended = next.len < segment;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;

    impl Sockets for [Socket; 2] {
        fn socket(&mut self, number: usize) -> Option<&mut Socket> {
            self.get_mut(number)
        }
    }

    fn packet(data: &[u8]) -> Outgoing<'_> {
        Outgoing {
            head: b"head",
            data,
            padding: 0,
            ecn: wire::Ecn::NotEct,
            dont_fragment: false,
        }
    }

    #[test]
    fn runs_leave_as_one_message_and_in_order() {
        let receivers = [(); 2].map(|()| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket
        });
        let to = receivers.each_ref().map(|socket| socket.local_addr().unwrap());
        let mut sockets = [(); 2].map(|()| Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let from = sockets.each_ref().map(Socket::local_addr);
        let mut slab = SendSlab::new();
        // Five to the first receiver, the last one shorter; then one that must not join them; two from another socket
        // between.
        for data in [&b"aaaa"[..], b"bbbb", b"cccc", b"dd", b"eeee"] {
            slab.push(1, from[1], to[0], &packet(data));
        }
        slab.push(0, from[0], to[1], &packet(b"xx"));
        slab.push(1, from[1], to[0], &packet(b"ffff"));
        slab.push(0, from[0], to[1], &packet(b"yy"));
        assert_eq!(slab.messages.len(), 5);
        slab.flush(&mut sockets);
        assert!(slab.messages.is_empty() && slab.dropped == 0);
        let mut out = [0; 64];
        let mut came = |n: usize| {
            let len = receivers[n].recv(&mut out).unwrap();
            String::from_utf8(out[4..len].to_vec()).unwrap()
        };
        let first: Vec<_> = (0..6).map(|_| came(0)).collect();
        assert_eq!(first, ["aaaa", "bbbb", "cccc", "dd", "eeee", "ffff"]);
        assert_eq!([came(1), came(1)], ["xx", "yy"]);
        assert_eq!(sockets[1].traffic().udp_sent_messages, 3);
    }

    #[test]
    fn each_leaves_from_its_own_socket() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let to = receiver.local_addr().unwrap();
        let mut sockets = [(); 2].map(|()| Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let from = sockets.each_ref().map(Socket::local_addr);
        let any = "0.0.0.0:0".parse().unwrap();
        let mut slab = SendSlab::new();
        for n in [0, 1, 0] {
            slab.push(n, any, to, &packet(b"same"));
        }
        slab.flush(&mut sockets);
        let came = [(); 3].map(|()| receiver.recv_from(&mut [0; 64]).unwrap().1);
        assert_eq!(came, [from[0], from[0], from[1]]);
    }

    #[test]
    fn datagrams_are_counted_and_not_messages() {
        let mut sockets = [(); 2].map(|()| Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let from = sockets[0].local_addr();
        let mut slab = SendSlab::new();
        for (port, count) in [(1, 3), (2, 5), (3, 1)] {
            for _ in 0..count {
                slab.push(7, from, ([127, 0, 0, 1], port).into(), &packet(b"same"));
            }
        }
        assert_eq!(slab.messages.len(), 3);
        assert_eq!(
            [0, 1, 2, 3].map(|messages| last(&slab.messages, messages)),
            [0, 1, 6, 9]
        );
        // There is no such socket any more.
        slab.flush(&mut sockets);
        assert_eq!(slab.dropped, 9);
    }

    #[test]
    fn room_is_made_for_every_batch() {
        let receivers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let to = receivers.each_ref().map(|socket| socket.local_addr().unwrap());
        let mut sockets = [(); 2].map(|()| Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let from = sockets[0].local_addr();
        let mut slab = SendSlab::new();
        // More than the slab has, in bytes and in messages: a batch brings up to 2 MiB, or thousands of short ones.
        for (count, len) in [(40_u64, 60_000), (5000, 1)] {
            let sent = sockets[0].traffic().udp_sent_datagrams;
            for n in 0..count {
                // Each goes another way than the one before.
                slab.push(0, from, to[n as usize & 1], &packet(&vec![0; len]));
                slab.make_room(&mut sockets);
            }
            slab.flush(&mut sockets);
            let refused = sockets[0].counters().udp_send_refused;
            let gone = sockets[0].traffic().udp_sent_datagrams - sent;
            assert_eq!((gone + refused, slab.dropped), (count, 0));
        }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let address = "127.0.0.1:9".parse().unwrap();
        let mut slab = SendSlab::new();
        for _ in 0..100 {
            slab.push(0, address, address, &packet(&[0; 60_000]));
        }
        assert!(slab.dropped > 80);
        let sent = slab.messages.len() as u64;
        assert_eq!(sent + slab.dropped, 100);
        slab.flush(&mut [(); 2].map(|()| Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap()));
        assert!(slab.messages.is_empty());
    }
}
