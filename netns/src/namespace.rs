use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Error;
use crate::guard::Guard;

/// A network of its own: with loopback and nothing else at first, deleted when dropped or when this process ends,
/// however it does. Needs root and iproute2.
///
/// A test that runs everything in one sees the same addresses on every machine, and nothing of it leaves the machine.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    _guard: Guard,
}

impl Namespace {
    /// A new namespace with a name that nothing else uses, and loopback.
    ///
    /// # Errors
    /// [`Error::Network`] without root or without `ip`.
    pub fn new() -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hyaline-{}-{number}", std::process::id());
        let guard = Guard::new(r#"ip netns del "$1""#, &[name.as_ref()])?;
        ip(&["netns", "add", &name])?;
        let namespace = Self { name, _guard: guard };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// A new namespace with one interface of this address (and `/24`), whose other end leads nowhere: what browsers
    /// need to gather candidates (Firefox takes no loopback ones) without any network behind it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_address(address: Ipv4Addr) -> Result<Self, Error> {
        let namespace = Self::new()?;
        namespace.ip(&["link", "add", "v0", "type", "veth", "peer", "name", "v1"])?;
        namespace.add_interface("v0", address)?;
        namespace.settle("v1")?;
        namespace.ip(&["link", "set", "v1", "up"])?;
        // Chromium gathers on the interface of the default route.
        namespace.ip(&["route", "add", "default", "dev", "v0"])?;
        namespace.await_running("v0")?;
        Ok(namespace)
    }

    /// Joins two namespaces by a pair of interfaces of this name and these addresses (each `/24`), which run when it
    /// returns.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn join(&self, address: Ipv4Addr, other: &Self, other_address: Ipv4Addr, interface: &str) -> Result<(), Error> {
        self.ip(&[
            "link",
            "add",
            interface,
            "type",
            "veth",
            "peer",
            "name",
            interface,
            "netns",
            &other.name,
        ])?;
        self.add_interface(interface, address)?;
        other.add_interface(interface, other_address)?;
        self.await_running(interface)?;
        other.await_running(interface)
    }

    /// Its name, for `ip netns`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip -n NAME ARGS`.
    ///
    /// # Errors
    /// [`Error::Network`] with what `ip` wrote.
    pub fn ip(&self, arguments: &[&str]) -> Result<(), Error> {
        ip(&[&["-n", self.name.as_str()], arguments].concat())
    }

    /// Runs `nft ARGS` inside.
    ///
    /// # Errors
    /// [`Error::Network`] with what `nft` wrote.
    pub fn nft(&self, arguments: &[&str]) -> Result<(), Error> {
        self.run(|| run("nft", arguments))?
    }

    /// Swallows every UDP datagram that would leave or enter; TCP goes on.
    ///
    /// # Errors
    /// As [`nft`](Self::nft).
    pub fn swallow_udp(&self) -> Result<(), Error> {
        self.swallow("input", "meta l4proto udp")?;
        self.swallow("output", "meta l4proto udp")
    }

    /// Swallows what would leave to or enter from a TCP port of somebody else; all other TCP goes on.
    ///
    /// # Errors
    /// As [`nft`](Self::nft).
    pub fn swallow_tcp(&self, port: u16) -> Result<(), Error> {
        self.swallow("input", &format!("tcp sport {port}"))?;
        self.swallow("output", &format!("tcp dport {port}"))
    }

    /// Swallows every UDP datagram that comes from another namespace. Its sender notices nothing, whereas Linux refuses
    /// to send what the sender's own firewall drops; a path without traffic in either direction is swallowed at both
    /// ends.
    ///
    /// # Errors
    /// As [`nft`](Self::nft).
    pub fn swallow_arriving_udp(&self) -> Result<(), Error> {
        self.swallow("input", "meta iifname != lo meta l4proto udp")
    }

    /// Nothing leaves or enters any more, and nobody is told: as with a machine that has lost its power. Loopback goes
    /// on.
    ///
    /// # Errors
    /// As [`nft`](Self::nft).
    pub fn vanish(&self) -> Result<(), Error> {
        self.swallow("input", "meta iifname != lo")?;
        self.swallow("output", "meta oifname != lo")
    }

    /// Loses so many of a hundred UDP datagrams that come in by this interface, chosen at random, in place of what was
    /// lost by it before; 0 loses none, and 99 is the most.
    ///
    /// # Errors
    /// As [`nft`](Self::nft).
    pub fn lose_arriving_udp(&self, interface: &str, percent: u8) -> Result<(), Error> {
        let lost = format!("numgen random mod 100 < {percent}");
        self.drop_arriving_udp("lossy", interface, Some(lost).filter(|_| percent > 0))
    }

    /// Lets no more UDP in by this interface than so many kilobytes a second, in place of the limit before it; 0 is no
    /// limit.
    ///
    /// # Errors
    /// As [`nft`](Self::nft).
    pub fn limit_arriving_udp(&self, interface: &str, kilobytes: u32) -> Result<(), Error> {
        let over = format!("limit rate over {kilobytes} kbytes/second");
        self.drop_arriving_udp("narrow", interface, Some(over).filter(|_| kilobytes > 0))
    }

    /// Drops what comes in by this interface and matches, in place of what was dropped before for the same reason.
    fn drop_arriving_udp(&self, reason: &str, interface: &str, matches: Option<String>) -> Result<(), Error> {
        let table = format!("{reason}-{interface}");
        // What is there already is added without harm, so that it can be deleted in any case.
        self.nft(&["add", "table", "inet", &table])?;
        self.nft(&["delete", "table", "inet", &table])?;
        let Some(matches) = matches else {
            return Ok(());
        };
        self.nft(&["add", "table", "inet", &table])?;
        let chain = "{ type filter hook prerouting priority 0 ; }";
        self.nft(&["add", "chain", "inet", &table, "arriving", chain])?;
        let rule = format!("meta iifname {interface} meta l4proto udp {matches}");
        self.nft(&["add", "rule", "inet", &table, "arriving", &rule, "drop"])
    }

    /// Breaks every TCP connection that somebody inside accepted on this port; the other end is told by a reset. New
    /// ones can be made, and UDP goes on.
    ///
    /// # Errors
    /// [`Error::Network`] with what `ss` wrote.
    pub fn break_tcp(&self, port: u16) -> Result<(), Error> {
        let port = format!("sport = :{port}");
        self.run(|| run("ss", &["--kill", "--tcp", "state", "established", &port]))?
    }

    /// Swallows nothing any more.
    ///
    /// # Errors
    /// As [`nft`](Self::nft).
    pub fn let_through(&self) -> Result<(), Error> {
        self.nft(&["delete", "table", "inet", "swallow"])
    }

    fn swallow(&self, hook: &str, what: &str) -> Result<(), Error> {
        self.nft(&["add", "table", "inet", "swallow"])?;
        let chain = format!("{{ type filter hook {hook} priority 0 ; }}");
        self.nft(&["add", "chain", "inet", "swallow", hook, &chain])?;
        self.nft(&["add", "rule", "inet", "swallow", hook, what, "drop"])
    }

    /// Runs a closure on a thread that lives inside. The sockets it opens, and the threads and processes it starts,
    /// stay inside and work when used from outside.
    ///
    /// # Errors
    /// [`Error::Network`] if it cannot be entered.
    pub fn run<T: Send>(&self, body: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let path = format!("/run/netns/{}", self.name);
        let file =
            std::fs::File::open(&path).map_err(|error| Error::Network(format!("cannot open {path}: {error}")))?;
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                    .map_err(|error| Error::Network(format!("cannot enter the namespace {}: {error}", self.name)))?;
                Ok(body())
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// No link-local IPv6 address: one would appear a second or two after the interface, and a browser that sees its
    /// network change breaks off the requests that are under way.
    fn settle(&self, interface: &str) -> Result<(), Error> {
        self.ip(&["link", "set", interface, "addrgenmode", "none"])
    }

    fn add_interface(&self, interface: &str, address: Ipv4Addr) -> Result<(), Error> {
        self.settle(interface)?;
        self.ip(&["addr", "add", &format!("{address}/24"), "dev", interface])?;
        self.ip(&["link", "set", interface, "up"])
    }

    /// The kernel says that an interface runs a moment after its other end is up. Whoever looks at the addresses of the
    /// machine before finds it down.
    fn await_running(&self, interface: &str) -> Result<(), Error> {
        let start = Instant::now();
        while !output("ip", &["-n", &self.name, "-o", "link", "show", "dev", interface])?.contains("state UP") {
            if start.elapsed() > Duration::from_secs(20) {
                return Err(Error::Network(format!("{interface} does not run within 20 s")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A Drop cannot report; what is left over is visible in `ip netns`.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), Error> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), Error> {
    output(program, arguments).map(drop)
}

/// What a command writes.
fn output(program: &str, arguments: &[&str]) -> Result<String, Error> {
    let line = || format!("`{program} {}`", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| Error::Network(format!("cannot run {}: {error}", line())))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Network(format!(
        "{} failed: {}",
        line(),
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_namespace_has_its_own_ports_and_goes_away() {
        let namespace = Namespace::with_address(Ipv4Addr::new(10, 99, 0, 2)).expect("needs root");
        let path = format!("/run/netns/{}", namespace.name());
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = outside.local_addr().unwrap();
        let inside = namespace.run(|| TcpListener::bind(port)).unwrap();
        assert!(inside.is_ok(), "the same port is free inside");
        assert!(namespace.run(|| UdpSocket::bind("10.99.0.2:0")).unwrap().is_ok());
        assert!(std::path::Path::new(&path).exists());
        drop(namespace);
        assert!(!std::path::Path::new(&path).exists());
    }

    #[test]
    fn swallowed_udp_does_not_arrive_and_tcp_does() {
        let left = Namespace::new().expect("needs root");
        let right = Namespace::new().expect("needs root");
        left.join(Ipv4Addr::new(10, 98, 0, 1), &right, Ipv4Addr::new(10, 98, 0, 2), "j0")
            .unwrap();
        let receiver = right.run(|| UdpSocket::bind("10.98.0.2:9000")).unwrap().unwrap();
        let listener = right.run(|| TcpListener::bind("10.98.0.2:9000")).unwrap().unwrap();
        let sender = left.run(|| UdpSocket::bind("10.98.0.1:0")).unwrap().unwrap();
        let mut buffer = [0; 8];

        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        sender.send_to(b"before", "10.98.0.2:9000").unwrap();
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 6);

        right.swallow_udp().unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        sender.send_to(b"after", "10.98.0.2:9000").unwrap();
        assert!(receiver.recv(&mut buffer).is_err());
        let stream = left.run(|| std::net::TcpStream::connect("10.98.0.2:9000")).unwrap();
        assert!(stream.is_ok());
        assert!(listener.accept().is_ok());

        right.let_through().unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        sender.send_to(b"again", "10.98.0.2:9000").unwrap();
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 5);

        right.swallow_arriving_udp().unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        sender.send_to(b"after", "10.98.0.2:9000").unwrap();
        assert!(receiver.recv(&mut buffer).is_err());
        // The other direction, and what stays inside, goes on.
        receiver.send_to(b"back", sender.local_addr().unwrap()).unwrap();
        sender.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(sender.recv(&mut buffer).unwrap(), 4);
        let inside = right.run(|| UdpSocket::bind("127.0.0.1:0")).unwrap().unwrap();
        inside.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let itself = inside.local_addr().unwrap();
        inside.send_to(b"self", itself).unwrap();
        assert_eq!(inside.recv(&mut buffer).unwrap(), 4);
    }

    #[test]
    fn so_many_of_a_hundred_are_lost_or_all_that_is_too_much() {
        let left = Namespace::new().expect("needs root");
        let right = Namespace::new().expect("needs root");
        left.join(Ipv4Addr::new(10, 96, 0, 1), &right, Ipv4Addr::new(10, 96, 0, 2), "j0")
            .unwrap();
        let receiver = right.run(|| UdpSocket::bind("10.96.0.2:9000")).unwrap().unwrap();
        let sender = left.run(|| UdpSocket::bind("10.96.0.1:0")).unwrap().unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let arrived = || {
            // A receive buffer holds some hundred datagrams, so that it is read in between.
            let mut arrived = 0;
            for number in 0..1000_u16 {
                sender.send_to(&number.to_be_bytes(), "10.96.0.2:9000").unwrap();
                receiver.set_nonblocking(true).unwrap();
                while receiver.recv(&mut [0; 8]).is_ok() {
                    arrived += 1;
                }
                receiver.set_nonblocking(false).unwrap();
            }
            // The last ones may still be under way.
            while receiver.recv(&mut [0; 8]).is_ok() {
                arrived += 1;
            }
            arrived
        };
        assert_eq!(arrived(), 1000);
        right.lose_arriving_udp("j0", 20).unwrap();
        let some = arrived();
        assert!((700..900).contains(&some), "{some} of 1000 arrived where 20 % are lost");
        right.lose_arriving_udp("j0", 99).unwrap();
        let few = arrived();
        assert!((1..50).contains(&few), "{few} of 1000 arrived where 99 % are lost");
        right.lose_arriving_udp("j0", 0).unwrap();
        assert_eq!(arrived(), 1000);
        right.limit_arriving_udp("j0", 1).unwrap();
        let few = arrived();
        assert!(
            (1..500).contains(&few),
            "{few} of 1000 arrived, which are 30 kB, of 1 kB a second"
        );
        right.limit_arriving_udp("j0", 0).unwrap();
        assert_eq!(arrived(), 1000);
    }

    #[test]
    fn broken_tcp_is_noticed_and_can_be_made_again() {
        use std::io::Read;
        let namespace = Namespace::new().expect("needs root");
        let listener = namespace.run(|| TcpListener::bind("127.0.0.1:0")).unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || {
            namespace
                .run(|| std::net::TcpStream::connect(address))
                .unwrap()
                .unwrap()
        };
        let mut stream = connect();
        let (mut other, _) = listener.accept().unwrap();
        namespace.break_tcp(address.port()).unwrap();
        for end in [&mut stream, &mut other] {
            end.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let error = end.read(&mut [0]).unwrap_err();
            let broken = [
                std::io::ErrorKind::ConnectionAborted,
                std::io::ErrorKind::ConnectionReset,
            ];
            assert!(broken.contains(&error.kind()), "{error}");
        }
        drop(connect());
    }

    #[test]
    fn who_has_vanished_is_not_even_refused() {
        let left = Namespace::new().expect("needs root");
        let right = Namespace::new().expect("needs root");
        left.join(Ipv4Addr::new(10, 97, 0, 1), &right, Ipv4Addr::new(10, 97, 0, 2), "j0")
            .unwrap();
        let address = "10.97.0.2:9".parse().unwrap();
        let connect = |patience| {
            left.run(|| std::net::TcpStream::connect_timeout(&address, patience))
                .unwrap()
        };
        let refused = connect(Duration::from_secs(5)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        right.vanish().unwrap();
        let silent = connect(Duration::from_millis(300)).unwrap_err();
        assert_eq!(silent.kind(), std::io::ErrorKind::TimedOut);
    }
}
