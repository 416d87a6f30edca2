use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use wire::{Ecn, Path};

use super::*;
use crate::RecvBatch;

fn bind(address: &str) -> Socket {
    Socket::bind(address.parse().unwrap()).unwrap()
}

fn transmit(from: &Socket, to: SocketAddr, len: usize, segment: Option<u16>) -> Transmit {
    Transmit {
        segment: segment.and_then(NonZeroU16::new),
        ..Transmit::one(Path::udp(from.local_addr(), to), len)
    }
}

/// Everything that arrives until `count` datagrams did: loopback loses nothing, so a shortage ends in a panic.
fn receive(socket: &mut Socket, count: usize) -> Vec<(Path, Ecn, Vec<u8>)> {
    let mut poll = Poll::new().unwrap();
    poll.registry().register(socket, Token(0), Interest::READABLE).unwrap();
    let mut batch = RecvBatch::new();
    let mut got = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    while got.len() < count {
        if socket.receive(&mut batch) {
            got.extend(batch.datagrams().map(|d| (d.path, d.ecn, d.data.to_vec())));
        } else {
            assert!(Instant::now() < deadline, "{} of {count} datagrams came", got.len());
            let _ = poll.poll(&mut Events::with_capacity(4), Some(Duration::from_millis(100)));
        }
    }
    poll.registry().deregister(socket).unwrap();
    got
}

/// A slab in which every datagram of a run can be told from every other.
fn numbered(len: usize, segment: usize) -> Vec<u8> {
    let mut slab = vec![0; len];
    for (number, datagram) in slab.chunks_mut(segment).enumerate() {
        datagram.fill(number as u8);
    }
    slab
}

fn runs_of_differing_sizes(wildcard: &str, loopback: &str, segmentation: bool) {
    let mut sender = bind(loopback);
    sender.segmentation &= segmentation;
    let mut receivers: Vec<Socket> = (0..20).map(|_| bind(wildcard)).collect();
    let ip: SocketAddr = loopback.parse().unwrap();
    let mut slab = Vec::new();
    let mut batch = SendBatch::new(receivers.len());
    let mut sent = BTreeMap::new();
    for (i, receiver) in receivers.iter().enumerate() {
        let segment = 1200 - 37 * i;
        // Every third ends in a short datagram, every fifth is one datagram alone.
        let len = match i {
            _ if i % 5 == 4 => segment,
            _ if i % 3 == 0 => 6 * segment + 11 + i,
            _ => 7 * segment,
        };
        let to = SocketAddr::new(ip.ip(), receiver.local_addr().port());
        batch
            .push(&transmit(&sender, to, len, Some(segment as u16)), slab.len())
            .unwrap();
        slab.extend(numbered(len, segment));
        sent.insert(i, (len, segment));
    }
    assert!(batch.is_full());
    assert_eq!(batch.send(&mut sender, &slab), Sent::All);
    let mut datagrams = 0;
    for (i, receiver) in receivers.iter_mut().enumerate() {
        let (len, segment) = sent[&i];
        let got = receive(receiver, len.div_ceil(segment));
        let local = SocketAddr::new(ip.ip(), receiver.local_addr().port());
        assert!(
            got.iter()
                .all(|(path, ..)| *path == Path::udp(local, sender.local_addr()))
        );
        let expected: Vec<Vec<u8>> = numbered(len, segment).chunks(segment).map(<[u8]>::to_vec).collect();
        assert_eq!(got.into_iter().map(|(.., data)| data).collect::<Vec<_>>(), expected);
        datagrams += expected.len() as u64;
    }
    assert_eq!(sender.counters(), crate::Counters::default());
    assert_eq!(sender.traffic().udp_sent_datagrams, datagrams);
    assert_eq!(sender.traffic().udp_sent_bytes, slab.len() as u64);
    if sender.segmentation {
        assert_eq!(
            (sender.traffic().udp_send_calls, sender.traffic().udp_sent_messages),
            (1, 20)
        );
    }
}

#[test]
fn runs_of_differing_sizes_leave_in_one_call() {
    runs_of_differing_sizes("0.0.0.0:0", "127.0.0.1:0", true);
}

#[test]
fn runs_of_differing_sizes_leave_in_one_call_over_ipv6() {
    runs_of_differing_sizes("[::]:0", "[::1]:0", true);
}

#[test]
fn without_segmentation_the_same_datagrams_leave_one_by_one() {
    runs_of_differing_sizes("0.0.0.0:0", "127.0.0.1:0", false);
    runs_of_differing_sizes("[::]:0", "[::1]:0", false);
}

#[test]
fn a_wildcard_socket_sends_from_the_address_that_it_is_told() {
    for segmentation in [true, false] {
        let mut sender = bind("0.0.0.0:0");
        sender.segmentation &= segmentation;
        let mut receiver = bind("127.0.0.1:0");
        let mut batch = SendBatch::new(4);
        let sources = [
            Ipv4Addr::new(127, 0, 0, 1),
            Ipv4Addr::new(127, 0, 0, 9),
            Ipv4Addr::new(127, 1, 2, 3),
        ];
        for ip in sources {
            let local = SocketAddr::new(ip.into(), sender.local_addr().port());
            batch
                .push(&Transmit::one(Path::udp(local, receiver.local_addr()), 3), 0)
                .unwrap();
        }
        assert_eq!(batch.send(&mut sender, b"abc"), Sent::All);
        let seen: Vec<IpAddr> = receive(&mut receiver, 3)
            .iter()
            .map(|(path, ..)| path.remote.ip())
            .collect();
        assert_eq!(seen, sources.map(IpAddr::from));
    }
}

#[test]
fn a_datagram_tells_which_local_address_it_came_to() {
    let mut sender = bind("127.0.0.1:0");
    let mut receiver = bind("0.0.0.0:0");
    let port = receiver.local_addr().port();
    let mut batch = SendBatch::new(2);
    let asked = [[127, 0, 0, 5], [127, 0, 0, 6]].map(|ip| SocketAddr::from((ip, port)));
    for to in asked {
        batch.push(&transmit(&sender, to, 1, None), 0).unwrap();
    }
    assert_eq!(batch.send(&mut sender, b"?"), Sent::All);
    let got = receive(&mut receiver, 2);
    assert_eq!(got.iter().map(|(path, ..)| path.local).collect::<Vec<_>>(), asked);
}

#[test]
fn marks_arrive() {
    for (wildcard, loopback) in [("0.0.0.0:0", "127.0.0.1:0"), ("[::]:0", "[::1]:0")] {
        let mut receiver = bind(wildcard);
        let ip = loopback.parse::<SocketAddr>().unwrap().ip();
        let to = SocketAddr::new(ip, receiver.local_addr().port());
        let marks = [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce];
        // With a source to be told or without one, in a run or alone.
        for (sender, len) in [(wildcard, 1), (loopback, 1), (wildcard, 2), (loopback, 2)] {
            let mut sender = bind(sender);
            let local = SocketAddr::new(ip, sender.local_addr().port());
            let mut batch = SendBatch::new(4);
            for ecn in marks {
                let one = Transmit::one(Path::udp(local, to), len);
                let segment = NonZeroU16::new(1).filter(|_| len > 1);
                batch.push(&Transmit { ecn, segment, ..one }, 0).unwrap();
            }
            assert_eq!(batch.send(&mut sender, b"!!"), Sent::All);
            let got = receive(&mut receiver, 4 * len);
            let seen: Vec<_> = got.chunks(len).map(|run| run[len - 1].1).collect();
            assert_eq!(seen, marks);
            assert!(got.iter().all(|(path, ..)| path.remote == local));
        }
    }
}

#[test]
fn a_refused_message_is_skipped_and_counted() {
    for segmentation in [true, false] {
        let mut sender = bind("127.0.0.1:0");
        sender.segmentation &= segmentation;
        let mut receiver = bind("127.0.0.1:0");
        let good = transmit(&sender, receiver.local_addr(), 1, None);
        // No socket may send to port 0, and this one not to a broadcast address.
        let bad = transmit(&sender, "127.0.0.1:0".parse().unwrap(), 1, None);
        let worse = transmit(&sender, "255.255.255.255:9".parse().unwrap(), 300, Some(100));
        let mut batch = SendBatch::new(8);
        for (offset, transmit) in [good, bad, good, worse, bad, good].iter().enumerate() {
            batch.push(transmit, offset).unwrap();
        }
        assert_eq!(batch.send(&mut sender, &numbered(400, 1)), Sent::All);
        assert!(batch.is_empty());
        assert_eq!(
            receive(&mut receiver, 3)
                .into_iter()
                .map(|(.., data)| data)
                .collect::<Vec<_>>(),
            [[0], [2], [5]]
        );
        let expected = crate::Counters {
            udp_send_refused: 3,
            ..Default::default()
        };
        assert_eq!(sender.counters(), expected);
        assert_eq!(sender.traffic().udp_sent_datagrams, 3);
    }
}

#[test]
fn a_message_that_is_too_long_is_skipped_and_counted() {
    let mut sender = bind("127.0.0.1:0");
    let mut receiver = bind("127.0.0.1:0");
    let slab = vec![7; MAX_MESSAGE + 1];
    let mut batch = SendBatch::new(2);
    batch
        .push(&transmit(&sender, receiver.local_addr(), MAX_MESSAGE + 1, None), 0)
        .unwrap();
    batch
        .push(&transmit(&sender, receiver.local_addr(), MAX_MESSAGE, None), 0)
        .unwrap();
    assert_eq!(batch.send(&mut sender, &slab), Sent::All);
    assert_eq!(receive(&mut receiver, 1)[0].2.len(), MAX_MESSAGE);
    assert_eq!(
        sender.counters(),
        crate::Counters {
            udp_send_too_long: 1,
            ..Default::default()
        }
    );
}

#[test]
fn a_run_longer_than_the_kernel_takes_becomes_several() {
    let mut sender = bind("127.0.0.1:0");
    let mut receiver = bind("127.0.0.1:0");
    let slab = numbered(150 * 100 + 1, 100);
    let mut batch = SendBatch::new(2);
    let run = transmit(&sender, receiver.local_addr(), slab.len(), Some(100));
    assert_eq!(batch.push(&run, 0), Err(Full));
    assert!(batch.is_empty());
    let mut batch = SendBatch::new(3);
    batch.push(&run, 0).unwrap();
    assert_eq!(batch.send(&mut sender, &slab), Sent::All);
    let got: Vec<u8> = receive(&mut receiver, 151)
        .into_iter()
        .flat_map(|(.., data)| data)
        .collect();
    assert_eq!(got, slab);
}

/// A socket whose way out the kernel will not segment for: with checksums off it answers EIO.
#[cfg(target_os = "linux")]
#[test]
fn a_refusal_to_segment_leads_to_single_datagrams() {
    let mut sender = bind("127.0.0.1:0");
    if !sender.segmentation {
        return;
    }
    let mut receiver = bind("127.0.0.1:0");
    let slab = numbered(500, 100);
    let mut message = Message {
        transmit: transmit(&sender, receiver.local_addr(), 500, Some(100)),
        offset: 0,
        singly: false,
    };
    // As the kernel answers for a device that cannot compute checksums; loopback can.
    assert!(may_pass_singly(
        &mut sender,
        &mut message,
        &io::Error::from_raw_os_error(libc::EIO)
    ));
    assert!(!sender.segmentation);
    let mut batch = SendBatch::new(1);
    batch.messages.push(message);
    assert_eq!(batch.send(&mut sender, &slab), Sent::All);
    assert_eq!(receive(&mut receiver, 5).len(), 5);
    let expected = crate::Counters {
        udp_segmentation_refused: 1,
        ..Default::default()
    };
    assert_eq!(sender.counters(), expected);
    // A segment larger than the way out takes is refused for every message anew, and the socket goes on segmenting.
    sender.segmentation = true;
    let mut batch = SendBatch::new(2);
    batch
        .push(&transmit(&sender, receiver.local_addr(), 500, Some(100)), 0)
        .unwrap();
    assert!(may_pass_singly(
        &mut sender,
        &mut batch.messages[0],
        &io::Error::from_raw_os_error(libc::EINVAL)
    ));
    assert!(sender.segmentation);
    assert_eq!(batch.send(&mut sender, &slab), Sent::All);
    assert_eq!(receive(&mut receiver, 5).len(), 5);
    assert_eq!(sender.counters().udp_segmentation_refused, 2);
}

#[test]
fn an_empty_datagram_is_counted_and_not_handed_out() {
    let mut receiver = bind("127.0.0.1:0");
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(&[], receiver.local_addr()).unwrap();
    sender.send_to(b"x", receiver.local_addr()).unwrap();
    assert_eq!(receive(&mut receiver, 1)[0].2, b"x");
    assert_eq!(
        receiver.counters(),
        crate::Counters {
            udp_empty_datagrams: 1,
            ..Default::default()
        }
    );
}

#[test]
fn a_batch_that_is_given_up_sends_nothing_of_it_later() {
    let mut sender = bind("127.0.0.1:0");
    let mut receiver = bind("127.0.0.1:0");
    let slab = numbered(4000, 500);
    let mut batch = SendBatch::new(4);
    for i in 0..3 {
        let run = transmit(&sender, receiver.local_addr(), 1000, Some(500));
        batch.push(&run, i * 1000).unwrap();
    }
    let blocked = batch.send_by(&mut sender, &slab, |_, _, _, _| Err(ErrorKind::WouldBlock.into()));
    assert_eq!((blocked, batch.clear(), batch.len()), (Sent::Blocked, 3, 0));
    let last = transmit(&sender, receiver.local_addr(), 1000, Some(500));
    batch.push(&last, 3000).unwrap();
    assert_eq!(batch.send(&mut sender, &slab), Sent::All);
    let got: Vec<u8> = receive(&mut receiver, 2)
        .into_iter()
        .flat_map(|(.., data)| data)
        .collect();
    assert_eq!(got, slab[3000..]);
}

/// Loopback gives the send buffer back within the call, so the full buffer is played: room for three messages at a
/// time.
#[test]
fn a_full_buffer_keeps_what_is_left() {
    for segmentation in [true, false] {
        let mut sender = bind("127.0.0.1:0");
        sender.segmentation &= segmentation;
        let mut receiver = bind("127.0.0.1:0");
        let slab = numbered(10 * 1000, 500);
        let mut batch = SendBatch::new(10);
        for i in 0..10 {
            let run = transmit(&sender, receiver.local_addr(), 1000, Some(500));
            batch.push(&run, i * 1000).unwrap();
        }
        for left in [7, 4, 1] {
            let mut room = 3;
            let sent = batch.send_by(&mut sender, &slab, |arrays, socket, messages, slab| {
                if room == 0 {
                    return Err(ErrorKind::WouldBlock.into());
                }
                let fitting = messages.len().min(room);
                let taken = hand_over(arrays, socket, &mut messages[..fitting], slab)?;
                room -= taken;
                Ok(taken)
            });
            assert_eq!((sent, batch.len()), (Sent::Blocked, left));
        }
        assert_eq!(batch.send(&mut sender, &slab), Sent::All);
        assert_eq!(batch.len(), 0);
        // In order, none lost, none twice.
        let got: Vec<u8> = receive(&mut receiver, 20)
            .into_iter()
            .flat_map(|(.., data)| data)
            .collect();
        assert_eq!(got, slab);
        assert_eq!(
            sender.counters(),
            crate::Counters {
                udp_send_blocked: 3,
                ..Default::default()
            }
        );
    }
}

#[test]
fn a_socket_with_one_address_sends_from_it() {
    let mut receiver = bind("127.0.0.1:0");
    // Its message names the address, or a wildcard, or another one: it has only this.
    for (number, local) in ["127.0.0.9:0", "0.0.0.0:0", "127.0.0.1:0"].into_iter().enumerate() {
        for segmentation in [true, false] {
            let mut sender = bind("127.0.0.9:0");
            sender.segmentation &= segmentation;
            let path = Path::udp(local.parse().unwrap(), receiver.local_addr());
            let mut batch = SendBatch::new(1);
            batch.push(&Transmit::one(path, 3), 0).unwrap();
            assert_eq!(batch.send(&mut sender, b"one"), Sent::All);
            let got = receive(&mut receiver, 1);
            assert_eq!(got[0].0.remote, sender.local_addr(), "{number} {segmentation}");
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn what_the_kernel_drops_is_counted() {
    let receiver = bind("127.0.0.1:0");
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(receiver.counters(), crate::Counters::default());
    // Nobody reads, so the buffer is full at some time: it has some megabytes at the most.
    let full = (0..100_000).find(|_| {
        sender.send_to(&[0; 1200], receiver.local_addr()).unwrap();
        receiver.counters().udp_kernel_dropped > 0
    });
    assert!(full.is_some());
    assert_eq!(receiver.counters().udp_kernel_dropped, 1);
}

/// The loopback addresses, each with one at which nobody is: no port of a test is below 1024.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOSED: [(&str, &str); 2] = [("127.0.0.1:0", "127.0.0.1:1"), ("[::1]:0", "[::1]:1")];

/// A socket that is told of ICMP errors, and who waits for them.
#[cfg(any(target_os = "linux", target_os = "android"))]
struct Told {
    socket: Socket,
    poll: Poll,
    batch: SendBatch,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Told {
    fn new(address: &str, segmentation: bool) -> Self {
        let mut socket = bind(address);
        socket.segmentation &= segmentation;
        socket.report_icmp().unwrap();
        let poll = Poll::new().unwrap();
        poll.registry()
            .register(&mut socket, Token(0), Interest::READABLE)
            .unwrap();
        Self {
            socket,
            poll,
            batch: SendBatch::new(64),
        }
    }

    /// Sends these in one batch: bytes from `range` of the slab, in runs of equal size.
    fn send(&mut self, slab: &[u8], messages: &[(SocketAddr, Range<usize>, Option<u16>)]) {
        for (to, range, segment) in messages {
            let transmit = transmit(&self.socket, *to, range.len(), *segment);
            self.batch.push(&transmit, range.start).unwrap();
        }
        assert_eq!(self.batch.send(&mut self.socket, slab), Sent::All);
    }

    /// Waits until an error is there, and leaves it.
    fn wait(&mut self) {
        let mut events = Events::with_capacity(4);
        let deadline = Instant::now() + Duration::from_secs(5);
        while !events.iter().any(mio::event::Event::is_error) {
            assert!(Instant::now() < deadline, "no ICMP error came");
            let _ = self.poll.poll(&mut events, Some(Duration::from_millis(100)));
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn what_became_of_a_datagram_is_told() {
    for ((address, nobody), (kind, code)) in CLOSED.into_iter().zip([(3, 3), (1, 4)]) {
        let nobody = nobody.parse().unwrap();
        let mut told = Told::new(address, true);
        assert_eq!(told.socket.receive_icmp(), None);
        told.send(b"?", &[(nobody, 0..1, None)]);
        told.wait();
        let unreachable = crate::IcmpError {
            destination: nobody,
            kind,
            code,
            info: 0,
        };
        assert_eq!(told.socket.receive_icmp(), Some(unreachable));
        assert_eq!(told.socket.receive_icmp(), None);
        let expected = crate::Counters {
            udp_icmp_errors: 1,
            ..Default::default()
        };
        assert_eq!(told.socket.counters(), expected);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn who_does_not_ask_is_told_nothing() {
    for (address, nobody) in CLOSED {
        let nobody = nobody.parse().unwrap();
        let (mut silent, mut told) = (bind(address), Told::new(address, true));
        let mut batch = SendBatch::new(1);
        batch.push(&transmit(&silent, nobody, 1, None), 0).unwrap();
        assert_eq!(batch.send(&mut silent, b"?"), Sent::All);
        // By then the other one's is there, too.
        told.send(b"?", &[(nobody, 0..1, None)]);
        told.wait();
        assert_eq!(silent.receive_icmp(), None);
        assert_eq!(silent.counters(), crate::Counters::default());
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn what_follows_a_datagram_to_nobody_arrives() {
    for segmentation in [true, false] {
        for (address, nobody) in CLOSED {
            let nobody = nobody.parse().unwrap();
            let mut told = Told::new(address, segmentation);
            let mut receiver = bind(address);
            let there = receiver.local_addr();
            let slab = numbered(100, 1);
            // One by one, each behind an error that nobody has read.
            for number in 0..20 {
                told.send(&slab, &[(nobody, 0..1, None)]);
                told.wait();
                told.send(&slab, &[(there, number..number + 1, None)]);
            }
            // In one call, by turns.
            let mixed = (20..40).flat_map(|number| [(nobody, 0..1, None), (there, number..number + 1, None)]);
            told.send(&slab, &mixed.collect::<Vec<_>>());
            // In runs.
            let runs = (40..100).step_by(10);
            let runs = runs.flat_map(|start| [nobody, there].map(|to| (to, start..start + 10, Some(1))));
            told.send(&slab, &runs.collect::<Vec<_>>());
            let got: Vec<u8> = receive(&mut receiver, 100)
                .into_iter()
                .flat_map(|(.., data)| data)
                .collect();
            assert_eq!(got, slab, "{address} {segmentation}");
            // Of a run there may be one error, or one for each datagram.
            loop {
                while told.socket.receive_icmp().is_some() {}
                if told.socket.counters().udp_icmp_errors >= 20 + 20 + 6 {
                    break;
                }
                told.wait();
            }
            let counters = told.socket.counters();
            let errors = crate::Counters {
                udp_icmp_errors: counters.udp_icmp_errors,
                ..Default::default()
            };
            assert_eq!(counters, errors);
            assert_eq!(told.socket.traffic().udp_sent_datagrams, 20 + 20 + 60 + 100);
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn what_is_refused_for_itself_is_skipped_with_icmp_errors_too() {
    let mut told = Told::new("127.0.0.1:0", true);
    let mut receiver = bind("127.0.0.1:0");
    let there = receiver.local_addr();
    // EACCES, which an ICMP message may lead to as well.
    let broadcast = "255.255.255.255:9".parse().unwrap();
    told.send(
        b"ab",
        &[(there, 0..1, None), (broadcast, 0..1, None), (there, 1..2, None)],
    );
    let got: Vec<_> = receive(&mut receiver, 2).into_iter().map(|(.., data)| data).collect();
    assert_eq!(got, [b"a", b"b"]);
    assert_eq!(told.socket.counters().udp_send_refused, 1);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn an_error_keeps_nothing_that_came_and_is_no_failure() {
    for (address, nobody) in CLOSED {
        let mut told = Told::new(address, true);
        let sender = std::net::UdpSocket::bind(address).unwrap();
        sender.send_to(b"x", told.socket.local_addr()).unwrap();
        told.send(b"?", &[(nobody.parse().unwrap(), 0..1, None)]);
        told.wait();
        let mut batch = RecvBatch::new();
        assert!(told.socket.receive(&mut batch) && batch.len() == 1);
        assert!(!told.socket.receive(&mut batch));
        assert!(told.socket.receive_icmp().is_some());
        assert_eq!(told.socket.counters().udp_receive_failed, 0);
    }
}
