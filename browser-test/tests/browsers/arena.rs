use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::time::Duration;

use browser_test::{Browser, Kind, Namespace, Options, Page};
use hyaline_server::Server;
use serde_json::Value;

use crate::SOON;

/// The address of the network that most tests live in.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 2);
/// The server's and the other end of the link to a network of its neighbours.
const HERE: Ipv4Addr = Ipv4Addr::new(10, 55, 1, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 55, 1, 2);

/// A server in a network of its own. (Fields are dropped in this order.)
pub(crate) struct Arena {
    pub(crate) server: Server,
    pub(crate) network: Namespace,
}

impl Arena {
    /// The server as `cargo run` starts it: the page on 127.0.0.1, media on the address of the one interface.
    pub(crate) fn new() -> Self {
        Self::with(Namespace::with_address(ADDRESS).unwrap(), |_| {})
    }

    /// A server that is reached from another network too, and that network.
    pub(crate) fn with_neighbour() -> (Self, Namespace) {
        Self::with_neighbour_and(|_| ())
    }

    /// As [`with_neighbour`](Self::with_neighbour), and `change` has the last word on the server's options.
    pub(crate) fn with_neighbour_and(change: impl FnOnce(&mut hyaline_server::Options)) -> (Self, Namespace) {
        let (network, neighbour) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        network.join(HERE, &neighbour, THERE, "j0").unwrap();
        let arena = Self::with(network, |options| {
            options.http = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            options.open = true;
            options.announce = vec![IpAddr::V4(HERE)];
            change(options);
        });
        (arena, neighbour)
    }

    /// As [`with_neighbour`](Self::with_neighbour), with two networks that each have a link of their own to the
    /// server's: `j0` and `j1`, by the same names on both sides.
    pub(crate) fn with_two_neighbours() -> (Self, [Namespace; 2]) {
        let (arena, first) = Self::with_neighbour();
        let second = Namespace::new().unwrap();
        arena
            .network
            .join(Ipv4Addr::new(10, 55, 2, 1), &second, Ipv4Addr::new(10, 55, 2, 2), "j1")
            .unwrap();
        // The server is known by one address, whoever asks.
        second
            .ip(&["route", "add", "10.55.1.0/24", "via", "10.55.2.1"])
            .unwrap();
        (arena, [first, second])
    }

    /// A server in this network, set up by `change`.
    pub(crate) fn with(network: Namespace, change: impl FnOnce(&mut hyaline_server::Options)) -> Self {
        let mut options = hyaline_server::Options {
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            workers: NonZeroUsize::MIN,
            ..hyaline_server::Options::default()
        };
        change(&mut options);
        let server = network
            .run(|| Server::start(&options))
            .unwrap()
            .unwrap_or_else(|error| panic!("{error}"));
        Self { server, network }
    }

    /// The page's URL as a browser in the same network reaches it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.http_addr().port())
    }

    pub(crate) fn launch(&self, kind: Kind) -> Browser {
        Browser::launch(kind, &Options::within(&self.network)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Opens the room's page in a browser of its own, joins, and waits until media flows.
    pub(crate) fn join(&self, kind: Kind, name: &str) -> Guest {
        Guest::join(self.launch(kind), &self.url(""), name, "")
    }

    /// As [`join`](Self::join), from the network of [`with_neighbour`](Self::with_neighbour), with a script that runs
    /// before the page's.
    pub(crate) fn join_from(&self, neighbour: &Namespace, kind: Kind, name: &str, preload: &str) -> Guest {
        let origin = format!("http://{HERE}:{}", self.server.http_addr().port());
        let options = Options {
            secure_origin: Some(origin.clone()),
            ..Options::within(neighbour)
        };
        let browser = Browser::launch(kind, &options).unwrap_or_else(|error| panic!("{error}"));
        Guest::join(browser, &origin, name, preload)
    }

    /// Every counter of `GET /metrics`, summed over the workers.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.http_addr().port()));
        let text = self
            .network
            .run(|| {
                let mut stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                Ok::<_, std::io::Error>(text)
            })
            .unwrap()
            .unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let mut metrics = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("hyaline_")) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = name.split('{').next().unwrap_or_default().to_owned();
            *metrics.entry(name).or_default() += value.parse::<f64>().unwrap();
        }
        metrics
    }

    /// The port of the only worker.
    pub(crate) fn media_port(&self) -> u16 {
        self.server.media_addrs()[0][0].port()
    }

    /// The addresses that peers are told, the preferred one first.
    pub(crate) fn media_ips(&self) -> Vec<IpAddr> {
        self.server.media_addrs()[0].iter().map(SocketAddr::ip).collect()
    }
}

/// Somebody in the room. (Fields are dropped in this order.)
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) page: Page,
    pub(crate) browser: Browser,
}

impl Guest {
    /// Opens the page of a room, joins, and waits until media flows.
    pub(crate) fn join(browser: Browser, origin: &str, name: &str, preload: &str) -> Self {
        let page = browser
            .open_with(&format!("{origin}/r/tea?name={name}&join=1"), preload)
            .unwrap_or_else(|error| panic!("{error}"));
        let guest = Self {
            name: name.to_owned(),
            page,
            browser,
        };
        guest.wait("document.body.dataset.path === 'connected'", SOON);
        guest
    }

    pub(crate) fn wait(&self, condition: &str, patience: Duration) -> Value {
        self.page
            .wait_for(condition, patience)
            .unwrap_or_else(|error| panic!("{} ({}): {error}", self.name, self.browser.kind()))
    }

    pub(crate) fn get(&self, expression: &str) -> Value {
        self.page
            .evaluate(expression)
            .unwrap_or_else(|error| panic!("{} ({}): {error}", self.name, self.browser.kind()))
    }

    /// Waits until this guest sees `other` move and hears them: frames are decoded and sound has energy, both growing.
    pub(crate) fn wait_to_see_and_hear(&self, other: &str) {
        self.wait_for_growth(&format!("(await ({}))?.framesDecoded", received(other, "video")), 20.0);
        self.wait_to_hear(other);
    }

    /// Waits until this guest hears `other`.
    pub(crate) fn wait_to_hear(&self, other: &str) {
        self.wait_for_growth(
            &format!("(await ({}))?.totalAudioEnergy", received(other, "audio")),
            0.0001,
        );
    }

    /// Waits until a figure is more than `by` above what it is when it is first there.
    fn wait_for_growth(&self, figure: &str, by: f64) {
        let first = self.wait(&format!("(figure => figure > 0 && {{ figure }})({figure})"), SOON)["figure"]
            .as_f64()
            .unwrap();
        self.wait(&format!("({figure}) > {}", first + by), SOON);
    }

    /// The ports that its media may come from.
    pub(crate) fn media_ports(&self) -> Vec<u16> {
        let ports = self.get(
            "[...(await hyaline.room.getStats()).values()].filter(entry => entry.type === 'local-candidate').map(entry => entry.port)",
        );
        let ports = ports.as_array().unwrap().iter().filter_map(Value::as_u64);
        ports.filter_map(|port| u16::try_from(port).ok()).collect()
    }

    /// The participants that the page shows, by name.
    pub(crate) fn others(&self) -> Value {
        self.get(OTHERS)
    }

    /// Nothing on the console that a person would call an error.
    pub(crate) fn assert_quiet(&self) {
        let console = self.page.take_console().unwrap();
        let loud: Vec<_> = console
            .iter()
            .filter(|line| matches!(line.level.as_str(), "error" | "exception"))
            .collect();
        assert!(loud.is_empty(), "{} ({}): {loud:?}", self.name, self.browser.kind());
    }
}

/// The names on the tiles.
pub(crate) const OTHERS: &str =
    "[...document.querySelectorAll('video[data-participant]')].map(video => video.dataset.participant)";

/// What a page receives of a participant: the `inbound-rtp` figures of the track in that participant's video element.
/// (An expression that gives a promise.)
pub(crate) fn received(name: &str, kind: &str) -> String {
    format!(
        "(async () => {{
            const video = document.querySelector('video[data-participant={name:?}]');
            const track = video?.srcObject?.getTracks().find(track => track.kind === {kind:?});
            const stats = [...(await hyaline.room.getStats()).values()];
            return track && stats.find(entry => entry.type === 'inbound-rtp' && entry.trackIdentifier === track.id);
        }})()"
    )
}
