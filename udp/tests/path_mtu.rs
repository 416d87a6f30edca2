//! What a socket is told of a way that takes less than the first link of it. Needs root and iproute2.
#![cfg(target_os = "linux")]

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use netns::Namespace;
use udp::{IcmpError, RecvBatch, SendBatch, Sent, Socket};
use wire::{Path, Transmit};

const MTU: u32 = 1300;

/// Two who are joined by a router, of whose links the second is the narrow one.
struct Way {
    sender: Namespace,
    _router: Namespace,
    receiver: Namespace,
}

impl Way {
    fn new() -> Self {
        let [sender, router, receiver] = [(); 3].map(|()| Namespace::new().unwrap());
        let address = |text: &str| text.parse().unwrap();
        sender
            .join(address("10.0.1.1"), &router, address("10.0.1.2"), "left")
            .unwrap();
        router
            .join(address("10.0.2.2"), &receiver, address("10.0.2.1"), "right")
            .unwrap();
        let ip = |at: &Namespace, line: &str| at.ip(&line.split(' ').collect::<Vec<_>>()).unwrap();
        // Without a wait for others that might have the address.
        ip(&sender, "address add fd00:1::1/64 dev left nodad");
        ip(&router, "address add fd00:1::2/64 dev left nodad");
        ip(&router, "address add fd00:2::2/64 dev right nodad");
        ip(&receiver, "address add fd00:2::1/64 dev right nodad");
        // A router asks for neighbours from such an address.
        ip(&router, "address add fe80::2/64 dev right nodad");
        for (at, others) in [
            (&sender, ["10.0.1.2", "fd00:1::2"]),
            (&receiver, ["10.0.2.2", "fd00:2::2"]),
        ] {
            for via in others {
                ip(at, &format!("route add default via {via}"));
            }
        }
        ip(&router, &format!("link set right mtu {MTU}"));
        let forward = || {
            for file in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                std::fs::write(format!("/proc/sys/net/{file}"), "1").unwrap();
            }
        };
        router.run(forward).unwrap();
        Self {
            sender,
            _router: router,
            receiver,
        }
    }
}

/// Waits until something is there.
fn wait<T>(socket: &mut Socket, mut take: impl FnMut(&mut Socket) -> Option<T>) -> T {
    let mut poll = Poll::new().unwrap();
    poll.registry().register(socket, Token(0), Interest::READABLE).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(taken) = take(socket) {
            poll.registry().deregister(socket).unwrap();
            return taken;
        }
        assert!(Instant::now() < deadline, "nothing came");
        poll.poll(&mut Events::with_capacity(4), Some(Duration::from_millis(100)))
            .unwrap();
    }
}

fn send(socket: &mut Socket, to: SocketAddr, len: usize) {
    let mut batch = SendBatch::new(1);
    let path = Path::udp(socket.local_addr(), to);
    batch.push(&Transmit::one(path, len), 0).unwrap();
    assert_eq!(batch.send(socket, &[7; 1500]), Sent::All);
}

#[test]
fn what_is_too_long_for_the_way_is_told_with_the_length_that_fits() {
    let way = Way::new();
    let bind = |at: &Namespace, ip: IpAddr| at.run(|| Socket::bind(SocketAddr::new(ip, 0)).unwrap()).unwrap();
    for (from, to, headers, (kind, code)) in [
        ("10.0.1.1", "10.0.2.1", 28, (3, 4)),
        ("fd00:1::1", "fd00:2::1", 48, (2, 0)),
    ] {
        let mut sender = bind(&way.sender, from.parse().unwrap());
        let mut receiver = bind(&way.receiver, to.parse().unwrap());
        sender.report_icmp().unwrap();
        let there = receiver.local_addr();
        let fits = MTU as usize - headers;
        // Each time: what the kernel has learned of the way splits nothing and refuses nothing.
        for _ in 0..2 {
            send(&mut sender, there, fits + 1);
            let told = wait(&mut sender, Socket::receive_icmp);
            let too_long = IcmpError {
                destination: there,
                kind,
                code,
                info: MTU,
            };
            assert_eq!(told, too_long);
            send(&mut sender, there, fits);
            let mut batch = RecvBatch::new();
            wait(&mut receiver, |receiver| receiver.receive(&mut batch).then_some(()));
            let lengths: Vec<_> = batch.datagrams().map(|datagram| datagram.data.len()).collect();
            assert_eq!(lengths, [fits]);
        }
    }
}
