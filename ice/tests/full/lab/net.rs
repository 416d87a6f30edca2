//! The namespaces: an internet, a server on it, and clients behind NATs of every kind.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netns::Namespace;
use rustix::event::{PollFd, PollFlags};
use turn::testing::TurnServer;
use wire::Seed;

use super::host::{Host, Inside, wait};

/// How a client reaches the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// An address of the internet.
    Open,
    /// `masquerade`: keeps the port as long as it is free, and lets in what was asked.
    Cone,
    /// Lets in everything to the one client.
    FullCone,
    /// Another port for each destination.
    Symmetric,
    /// As `Cone`, without UDP.
    UdpBlocked,
}

impl Access {
    pub(crate) const ALL: [Self; 5] = [
        Self::Open,
        Self::Cone,
        Self::FullCone,
        Self::Symmetric,
        Self::UdpBlocked,
    ];
}

/// A client's namespace and, in front of it, that of its NAT.
pub(crate) struct Site {
    pub(crate) access: Access,
    pub(crate) client: Namespace,
    pub(crate) address: Ipv4Addr,
    _nat: Option<Namespace>,
}

/// The internet: a router that joins all networks. It ends with its server.
pub(crate) struct Internet {
    router: Namespace,
    pub(crate) server: SocketAddr,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 100, 2);

impl Internet {
    pub(crate) fn new() -> Self {
        let router = Namespace::new().expect("a lab of NATs needs root");
        let host = Namespace::new().unwrap();
        forward(&router);
        router
            .join(Ipv4Addr::new(203, 0, 100, 1), &host, SERVER, "server")
            .unwrap();
        default_route(&host, Ipv4Addr::new(203, 0, 100, 1));
        let server: SocketAddr = (SERVER, 3478).into();
        let mut turn = Host::new(TurnServer::new(server, Seed::from_run(1), Instant::now()));
        turn.io.bind_udp(&host, server);
        turn.io.listen_tcp(&host, server);
        let (stop, stopped) = UnixStream::pair().unwrap();
        stopped.set_nonblocking(true).unwrap();
        let thread = std::thread::spawn(move || serve(turn, &host, stopped));
        Self {
            router,
            server,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A client with this access, in the network of this number.
    pub(crate) fn site(&self, access: Access, number: u8) -> Site {
        let client = Namespace::new().unwrap();
        if access == Access::Open {
            let address = self.join(&client, number);
            default_route(&client, gateway(number));
            return Site {
                access,
                client,
                address,
                _nat: None,
            };
        }
        let nat = Namespace::new().unwrap();
        forward(&nat);
        self.join(&nat, number);
        default_route(&nat, gateway(number));
        let (inside, address) = (Ipv4Addr::new(10, number, 0, 1), Ipv4Addr::new(10, number, 0, 2));
        nat.join(inside, &client, address, "lan").unwrap();
        default_route(&client, inside);
        translate(&nat, access, &format!("wan{number}"), address);
        Site {
            access,
            client,
            address,
            _nat: Some(nat),
        }
    }

    /// Joins a host to the internet once more, by the interface `wan` and the number; gives its address there.
    pub(crate) fn join(&self, host: &Namespace, number: u8) -> Ipv4Addr {
        let address = Ipv4Addr::new(203, 0, number, 2);
        let interface = format!("wan{number}");
        self.router.join(gateway(number), host, address, &interface).unwrap();
        // What has this address leaves by this interface, whatever the others do.
        let (address_text, table) = (address.to_string(), (100 + u32::from(number)).to_string());
        let via = gateway(number).to_string();
        host.ip(&["rule", "add", "from", &address_text, "table", &table])
            .unwrap();
        host.ip(&["route", "add", "default", "via", &via, "table", &table])
            .unwrap();
        address
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

fn serve(mut turn: Host<TurnServer>, host: &Namespace, stopped: UnixStream) {
    while !matches!((&stopped).read(&mut [0]), Ok(0)) {
        turn.receive();
        turn.endpoint.act(Instant::now(), &mut Inside(&mut turn.io, host));
        turn.send();
        let stop = PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN);
        wait(
            [&turn].into_iter(),
            [stop].into_iter(),
            Instant::now() + Duration::from_secs(60),
        );
    }
}

fn gateway(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, number, 1)
}

fn default_route(host: &Namespace, via: Ipv4Addr) {
    host.ip(&["route", "add", "default", "via", &via.to_string()]).unwrap();
}

fn forward(router: &Namespace) {
    let write = || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1");
    router.run(write).unwrap().unwrap();
}

fn translate(nat: &Namespace, access: Access, wan: &str, client: Ipv4Addr) {
    let masquerade = match access {
        Access::Symmetric => "masquerade fully-random",
        _ => "masquerade",
    };
    let more = match access {
        Access::FullCone => format!(
            "table ip nat {{
                chain pre {{ type nat hook prerouting priority -100; iifname {wan} dnat to {client}; }}
            }}"
        ),
        Access::UdpBlocked => "table ip filter {
                chain forward { type filter hook forward priority 0; iifname lan meta l4proto udp drop; }
            }"
        .to_owned(),
        Access::Open | Access::Cone | Access::Symmetric => String::new(),
    };
    let rules = format!(
        "table ip nat {{
            chain post {{ type nat hook postrouting priority 100; oifname {wan} {masquerade}; }}
        }}
        table ip filter {{
            # As routers do: else what comes too soon is taken for a connection of the router's own, whose port the
            # client's mapping can no longer have.
            chain input {{ type filter hook input priority 0; iifname {wan} ct state new drop; }}
        }}
        {more}"
    );
    nat.nft(&[&rules]).unwrap();
}
