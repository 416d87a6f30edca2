//! Sockets of a multicast group, on two links. Needs root and iproute2.
#![cfg(target_os = "linux")]

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::time::Duration;

use netns::Namespace;
use socket2::SockRef;
use udp::join_multicast;

const PORT: u16 = 5353;

/// The index of the interface that has this address of IPv6, as `/proc/net/if_inet6` tells it.
fn scope_of(at: &Namespace, address: &str) -> u32 {
    let digits = u128::from(address.parse::<Ipv6Addr>().unwrap());
    let digits = format!("{digits:032x}");
    let read = || std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
    let table = at.run(read).unwrap();
    let line = table.lines().find(|line| line.starts_with(&digits)).unwrap();
    u32::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
}

/// What comes next, and from where; the socket waits for it.
fn hear(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut data = [0; 16];
    let (len, from) = socket.recv_from(&mut data).unwrap();
    (data[..len].to_vec(), from)
}

#[test]
fn a_group_is_joined_on_one_link_and_its_port_shared() {
    let [home, left, right] = [(); 3].map(|()| Namespace::new().unwrap());
    let ipv4 = |text: &str| text.parse().unwrap();
    home.join(ipv4("10.0.1.1"), &left, ipv4("10.0.1.2"), "left").unwrap();
    home.join(ipv4("10.0.2.1"), &right, ipv4("10.0.2.2"), "right").unwrap();
    // Interfaces carry nothing before the kernel has noticed that both ends are up. TCP asks until then.
    for (at, there) in [(&left, "10.0.1.1:9"), (&right, "10.0.2.1:9")] {
        let there = there.parse().unwrap();
        let connect = || TcpStream::connect_timeout(&there, Duration::from_secs(10));
        let refused = at.run(connect).unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    for (at, address, interface) in [
        (&home, "fe80::1/64", "left"),
        (&left, "fe80::2/64", "left"),
        (&home, "fe80::3/64", "right"),
        (&right, "fe80::4/64", "right"),
    ] {
        // Without a wait for others that might have the address.
        at.ip(&["address", "add", address, "dev", interface, "nodad"]).unwrap();
    }
    let families = [
        ("224.0.0.251", ["10.0.1.1", "10.0.1.2", "10.0.2.1", "10.0.2.2"]),
        ("ff02::fb", ["fe80::1", "fe80::2", "fe80::3", "fe80::4"]),
    ];
    for (group, addresses) in families {
        let group: IpAddr = group.parse().unwrap();
        let to = SocketAddr::new(group, PORT);
        let local = |at: &Namespace, address: &str| match address.parse().unwrap() {
            IpAddr::V4(ip) => SocketAddr::from((ip, PORT)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, PORT, 0, scope_of(at, address))),
        };
        let open = |at: &Namespace, address: &str| {
            let local = local(at, address);
            let socket = at.run(|| join_multicast(group, local)).unwrap().unwrap();
            assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            socket.set_nonblocking(false).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            (socket, local)
        };
        let [one, two] = [(); 2].map(|()| open(&home, addresses[0]).0);
        let (neighbour, _) = open(&left, addresses[1]);
        let (other_link, _) = open(&home, addresses[2]);
        let (stranger, _) = open(&right, addresses[3]);
        let is_from =
            |from: SocketAddr, address: &str| from.ip() == address.parse::<IpAddr>().unwrap() && from.port() == PORT;

        neighbour.send_to(b"left", to).unwrap();
        // The neighbour hears itself.
        for socket in [&one, &two, &neighbour] {
            let (said, from) = hear(socket);
            assert!(said == b"left" && is_from(from, addresses[1]), "{from}");
        }
        // What comes first here is not what was said before on the other link.
        stranger.send_to(b"right", to).unwrap();
        let (said, from) = hear(&other_link);
        assert!(said == b"right" && is_from(from, addresses[3]), "{from}");
        // Out on its own link, although the way to both is as good.
        for (socket, address, there) in [(&one, addresses[0], &neighbour), (&other_link, addresses[2], &stranger)] {
            if address == addresses[2] {
                // What it said itself.
                assert_eq!(hear(&stranger).0, b"right");
            }
            socket.send_to(b"home", to).unwrap();
            let (said, from) = hear(there);
            assert!(said == b"home" && is_from(from, address), "{from}");
        }
        let socket = SockRef::from(&one);
        let hops = match group {
            IpAddr::V4(_) => [socket.multicast_ttl_v4(), socket.ttl_v4()],
            IpAddr::V6(_) => [socket.multicast_hops_v6(), socket.unicast_hops_v6()],
        };
        assert_eq!(hops.map(Result::unwrap), [255; 2]);
    }
}
