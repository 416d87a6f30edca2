use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::{Secret, Tls, TurnOptions};

/// The most participants that a room may be allowed. Everybody is told of everybody, so that costs grow with the
/// square.
const MAX_ROOM_CAPACITY: usize = 1000;
/// The fewest characters of an admin token: 64 bits, if they are hexadecimal. Fifty may be tried per second and
/// address.
const MIN_ADMIN_TOKEN: usize = 16;

/// How a [`Server`](crate::Server) is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the page and signalling are; port 0 picks one.
    pub http: SocketAddr,
    /// Whether anybody who reaches another address than loopback may come in.
    pub open: bool,
    /// The first worker's UDP port; each further worker has the next one. 0 picks one for each.
    pub udp_port: u16,
    /// Whether media is taken over TCP too, on ports of the same numbers, from those whose UDP is blocked.
    pub tcp: bool,
    /// How many threads carry media.
    pub workers: NonZeroUsize,
    /// The addresses that peers are told, instead of those of the machine's interfaces; empty for the latter.
    pub announce: Vec<IpAddr>,
    /// Video codecs that rooms use, the preferred one first.
    pub video_codecs: Vec<VideoCodec>,
    /// Versions of DTLS; the latest that the peer has is spoken.
    pub dtls: Vec<DtlsVersion>,
    /// A file that the secrets of all connections are appended to, so that their traffic can be read; `None` in
    /// production.
    pub key_log: Option<PathBuf>,
    /// TLS for the page and signalling.
    pub tls: Option<Tls>,
    /// After how long without a sign of life a WebSocket connection is given up (the server asks for one in time), how
    /// long it may go without a `join`, how long the body of a request may take, and how long a client may read
    /// nothing.
    pub silence: Duration,
    /// How many connections there may be to the page and signalling, in all.
    pub connections: usize,
    /// How many of them from one address. (Of IPv6, one network of 64 bits.)
    pub connections_per_address: usize,
    /// Origins (`https://example.org`) whose pages may use rooms, beside the page of this server itself.
    pub allowed_origins: Vec<String>,
    /// How many participants a room takes, those included who only watch.
    pub room_capacity: usize,
    /// What a request has to show that asks who is there, or sends somebody away; without one nobody may.
    pub admin_token: Option<Secret>,
    /// The TURN server, which there is when somebody may use it.
    pub turn: TurnOptions,
}

impl Default for Options {
    /// The page on 127.0.0.1:8080 without TLS, one worker per core, ports picked, VP8 and H.264.
    fn default() -> Self {
        Self {
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            open: false,
            udp_port: 0,
            tcp: true,
            workers: available_parallelism().unwrap_or(NonZeroUsize::MIN),
            announce: Vec::new(),
            video_codecs: vec![VideoCodec::Vp8, VideoCodec::H264],
            dtls: vec![DtlsVersion::V13, DtlsVersion::V12],
            key_log: None,
            tls: None,
            silence: Duration::from_secs(35),
            connections: 4096,
            // A whole office may stand behind one address, with some connections for each of its browsers.
            connections_per_address: 256,
            allowed_origins: Vec::new(),
            room_capacity: 100,
            admin_token: None,
            turn: TurnOptions::default(),
        }
    }
}

impl Options {
    /// Whether these options go together.
    ///
    /// # Errors
    /// Which do not, and what to do.
    pub fn check(&self) -> Result<(), OptionsError> {
        if !self.http.ip().is_loopback() && !self.open {
            return Err(OptionsError::Closed(self.http));
        }
        let ports = u32::from(u16::MAX - self.udp_port) + 1;
        if self.udp_port != 0 && self.workers.get() > ports as usize {
            return Err(OptionsError::TooFewPorts(self.udp_port, self.workers));
        }
        if let Some(ip) = self.announce.iter().find(|ip| ip.is_unspecified() || ip.is_multicast()) {
            return Err(OptionsError::NoAddress(*ip));
        }
        if let Some(origin) = self.allowed_origins.iter().find(|origin| !origin.contains("://")) {
            return Err(OptionsError::NoOrigin(origin.clone()));
        }
        if !(1..=MAX_ROOM_CAPACITY).contains(&self.room_capacity) {
            return Err(OptionsError::RoomCapacity(self.room_capacity));
        }
        if let Some(token) = &self.admin_token {
            if token.length() < MIN_ADMIN_TOKEN {
                return Err(OptionsError::ShortAdminToken(token.length()));
            }
            if !token.is_bearer_token() {
                return Err(OptionsError::UnusableAdminToken);
            }
        }
        if self.video_codecs.is_empty() {
            return Err(OptionsError::NoVideoCodec);
        }
        if self.dtls.is_empty() {
            return Err(OptionsError::NoDtlsVersion);
        }
        Ok(())
    }
}

/// A video codec, as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum VideoCodec {
    /// VP8.
    Vp8,
    /// H.264, all profiles, in packetization mode 1.
    H264,
    /// VP9, profile 0.
    Vp9,
    /// AV1, main profile.
    Av1,
}

impl VideoCodec {
    /// The name that the option takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "vp8",
            Self::H264 => "h264",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }
}

/// A version of DTLS, as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DtlsVersion {
    /// DTLS 1.2 (RFC 6347).
    #[value(name = "1.2")]
    V12,
    /// DTLS 1.3 (RFC 9147), with X25519MLKEM768 where the peer has it.
    #[value(name = "1.3")]
    V13,
}

impl From<DtlsVersion> for dtls_srtp::Version {
    fn from(version: DtlsVersion) -> Self {
        match version {
            DtlsVersion::V12 => Self::DTLS_1_2,
            DtlsVersion::V13 => Self::DTLS_1_3,
        }
    }
}

/// Why [`Options`] do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionsError {
    /// Others could reach the server, and nothing says that they may.
    Closed(SocketAddr),
    /// There are not so many ports above the first.
    TooFewPorts(u16, NonZeroUsize),
    /// Nobody can be reached there.
    NoAddress(IpAddr),
    /// No page has this origin.
    NoOrigin(String),
    /// Nothing could be seen.
    NoVideoCodec,
    /// Nobody could connect.
    NoDtlsVersion,
    /// A room has to take somebody, and cannot take everybody.
    RoomCapacity(usize),
    /// The token has so few bytes that it can be guessed.
    ShortAdminToken(usize),
    /// The token does not fit into a request.
    UnusableAdminToken,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(address) => write!(
                f,
                "At {address} everybody on the network could come in: add --open if that is what you want, or use \
                 --http 127.0.0.1:{} for this machine alone.",
                address.port()
            ),
            Self::TooFewPorts(base, workers) => write!(
                f,
                "{workers} workers need as many UDP ports, and there are only {} from {base} on: choose a lower \
                 --udp-port.",
                u32::from(u16::MAX - base) + 1
            ),
            Self::NoAddress(ip) => write!(
                f,
                "Nobody can be reached at {ip}: --announce wants addresses of single machines."
            ),
            Self::NoOrigin(origin) => write!(
                f,
                "No page has the origin {origin}: --allow-origin wants it with its scheme, as in https://example.org."
            ),
            Self::RoomCapacity(capacity) => write!(
                f,
                "A room cannot take {capacity} participants: --room-capacity wants a number from 1 to {MAX_ROOM_CAPACITY}."
            ),
            Self::ShortAdminToken(length) => write!(
                f,
                "An admin token of {length} characters can be guessed: give --admin-token or HYALINE_ADMIN_TOKEN at least \
                 {MIN_ADMIN_TOKEN}, such as `openssl rand -hex 16` makes."
            ),
            Self::UnusableAdminToken => f.write_str(
                "The admin token does not fit into a request: make it of letters, digits and - . _ ~ + / alone, such as \
                 `openssl rand -hex 16` does.",
            ),
            Self::NoVideoCodec => f.write_str("There is no video codec: --video-codecs wants at least one."),
            Self::NoDtlsVersion => f.write_str("There is no version of DTLS: --dtls wants at least one."),
        }
    }
}

impl std::error::Error for OptionsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_go_together() {
        assert_eq!(Options::default().check(), Ok(()));
    }

    #[test]
    fn another_address_than_loopback_wants_open() {
        for http in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            let mut options = Options {
                http: http.parse().unwrap(),
                ..Options::default()
            };
            let error = options.check().unwrap_err();
            assert_eq!(error, OptionsError::Closed(options.http));
            assert!(error.to_string().contains("--open"));
            options.open = true;
            assert_eq!(options.check(), Ok(()));
        }
        for http in ["127.0.0.1:80", "[::1]:80", "127.7.7.7:80"] {
            let options = Options {
                http: http.parse().unwrap(),
                ..Options::default()
            };
            assert_eq!(options.check(), Ok(()));
        }
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let options = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            options.check()
        };
        let four = NonZeroUsize::new(4).unwrap();
        assert_eq!(
            options(|o| (o.udp_port, o.workers) = (65_533, NonZeroUsize::new(4).unwrap())),
            Err(OptionsError::TooFewPorts(65_533, four))
        );
        assert_eq!(
            options(|o| (o.udp_port, o.workers) = (65_532, NonZeroUsize::new(4).unwrap())),
            Ok(())
        );
        assert!(matches!(
            options(|o| o.announce = vec!["0.0.0.0".parse().unwrap()]),
            Err(OptionsError::NoAddress(_))
        ));
        assert_eq!(
            options(|o| o.allowed_origins = vec!["https://example.org".into(), "example.org".into()]),
            Err(OptionsError::NoOrigin("example.org".into()))
        );
        for capacity in [0, 1001] {
            let mut options = Options {
                room_capacity: capacity,
                ..Options::default()
            };
            let error = options.check().unwrap_err();
            assert_eq!(error, OptionsError::RoomCapacity(capacity));
            assert!(
                error
                    .to_string()
                    .contains("--room-capacity wants a number from 1 to 1000.")
            );
            options.room_capacity = capacity.clamp(1, 1000);
            assert_eq!(options.check(), Ok(()));
        }
        for (token, expected, hint) in [
            ("", OptionsError::ShortAdminToken(0), "at least 16"),
            ("0123456789abcde", OptionsError::ShortAdminToken(15), "of 15 characters"),
            ("0123456789 abcdef", OptionsError::UnusableAdminToken, "letters, digits"),
        ] {
            let options = Options {
                admin_token: Some(token.into()),
                ..Options::default()
            };
            let error = options.check().unwrap_err();
            assert_eq!(error, expected);
            assert!(error.to_string().contains(hint), "{error}");
        }
        assert_eq!(options(|o| o.admin_token = Some("0123456789abcdef".into())), Ok(()));
        assert_eq!(options(|o| o.video_codecs.clear()), Err(OptionsError::NoVideoCodec));
        assert_eq!(options(|o| o.dtls.clear()), Err(OptionsError::NoDtlsVersion));
    }
}
