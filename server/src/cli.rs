use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use turn::Nat64Prefix;

use crate::descriptors;
use crate::{DtlsVersion, Options, Secret, Server, Stopped, Tls, TurnOptions, VideoCodec};

const ABOUT: &str = "Video rooms in one program: the web page, signalling, and the media server.";

// Help is 100 columns wide at most: longer lines would be cut where they should not.
const EXAMPLES: &str = "\
Examples:
  hyaline
      Try it on this machine: open the printed address in two windows.
  hyaline --http 0.0.0.0:8080 --open --tls-self-signed
      For everybody on the local network. Browsers give a page camera and microphone only over https
      (or on localhost); they warn once about the self-made certificate.
  hyaline --http 0.0.0.0:443 --open --tls-cert fullchain.pem --tls-key privkey.pem \\
          --announce 203.0.113.7 --udp-port 50000
      On the internet. Let TCP port 443 and, one per worker, the UDP and TCP ports from 50000 on
      through the firewall.
  HYALINE_TURN_SECRET=... hyaline --http 0.0.0.0:443 --open --tls-cert fullchain.pem \\
          --tls-key privkey.pem --turn-host turn.example.org --turn-relay-ports 51000-51999
      With a TURN server, of which rooms tell everybody who joins. Let UDP and TCP port 3478, TCP
      port 5349, and the UDP and TCP ports from 51000 to 51999 through the firewall as well.

Other ways in, beside the page: WHIP at /whip/ROOM, WHEP at /whep/ROOM, an echo for tests at /echo
and POST /v1/echo; numbers at /metrics.";

#[derive(Debug, Parser)]
#[command(name = "hyaline", version, about = ABOUT, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server; the same as without a subcommand.
    #[command(after_help = EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Explains a session description (SDP) line by line.
    Sdp {
        /// Prints the description back as it was understood, which is byte for byte as it was, instead of explaining
        /// it.
        #[arg(long)]
        print: bool,
        /// The file with the description; - reads it from the standard input.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Where the page and signalling are. Port 0 picks a free one. Another address than loopback needs --open.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    http: SocketAddr,

    /// Lets everybody in who reaches the page. There is no other check yet, so this has to be said.
    #[arg(long)]
    open: bool,

    /// The first worker's UDP port for media; each further worker has the next one. 0 picks a free one for each. TCP
    /// ports have the same numbers.
    #[arg(long, value_name = "BASE", default_value_t = 0)]
    udp_port: u16,

    /// Takes media over UDP alone. Without this each worker also listens on the TCP port of its UDP port's number, for
    /// those whose network lets no UDP through.
    #[arg(long)]
    no_tcp: bool,

    /// Threads that carry media. A room lives on one of them. [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,

    /// Addresses that peers are told to send media to, instead of those of this machine's interfaces: the public one
    /// when this machine is behind a one-to-one NAT. To add to the machine's own, name them all.
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    announce: Vec<IpAddr>,

    /// Video codecs that rooms use, the preferred one first.
    #[arg(long, value_name = "CODEC", value_delimiter = ',', default_value = "vp8,h264")]
    video_codecs: Vec<VideoCodec>,

    /// Versions of DTLS for media: 1.2, 1.3; the latest that the peer has is spoken. With 1.3 keys are also safe from
    /// quantum computers, where the peer can (X25519MLKEM768).
    #[arg(long, value_name = "VERSION", value_delimiter = ',', default_value = "1.3,1.2")]
    dtls: Vec<DtlsVersion>,

    /// Appends the secrets of all connections to this file, in the NSS format that Wireshark reads. Whoever reads it can
    /// see and hear everything.
    #[arg(long, value_name = "FILE", env = "SSLKEYLOGFILE")]
    keylog: Option<PathBuf>,

    /// Lets pages of another origin use rooms, as https://example.org: the real one behind a reverse proxy that does
    /// not pass the Host header on, or a site with a page of its own.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<String>,

    /// How many connections to the page and signalling one address may have (of IPv6, one network of 64 bits): more
    /// behind a reverse proxy, which has the address of everybody.
    #[arg(long, value_name = "N", default_value_t = Options::default().connections_per_address)]
    connections_per_address: usize,

    /// How many participants a room takes, those included who only watch.
    #[arg(long, value_name = "N", default_value_t = Options::default().room_capacity)]
    room_capacity: usize,

    /// Lets whoever shows this token see who is in which room, send people away and close rooms, at /v1/rooms. It has
    /// 16 characters at least. In the environment it is safer: a command line can be read by all users of a machine.
    #[arg(long, value_name = "TOKEN", env = "HYALINE_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<Secret>,

    /// Serves the page over https with a certificate made at the start. Browsers warn once.
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"])]
    tls_self_signed: bool,

    /// Serves the page over https with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// What is logged on the standard error: error, warn, info, debug, trace, or per module as in
    /// hyaline_server=debug,info. [default: $RUST_LOG, else info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,

    #[command(flatten)]
    turn: TurnArgs,
}

// No documentation here: clap would take it for what the whole command is about.
#[derive(Debug, Args)]
#[command(next_help_heading = "TURN and STUN server (off unless --turn-user or --turn-secret is given)")]
struct TurnArgs {
    /// Turns the TURN server on, for this user; may be given several times.
    ///
    /// It is for clients that are set up by hand. Pages need no user: rooms give each participant a username and a
    /// password of their own, which are good for a day.
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = turn_user)]
    turn_user: Vec<(String, Secret)>,

    /// Turns the TURN server on, for whoever has a password that was made with this secret.
    ///
    /// It is for services that hand out credentials, as rooms do: the username is EXPIRY:ID, the expiry in seconds
    /// since 1970, and the password base64(HMAC-SHA1(SECRET, username)), as with the static-auth-secret of coturn.
    /// Rooms use the last secret, or one that the server makes up when there are users alone. There may be two, the old
    /// one and the new one. In the environment it is safer: a command line can be read by all users of a machine.
    #[arg(
        long,
        value_name = "SECRET",
        env = "HYALINE_TURN_SECRET",
        hide_env_values = true,
        value_delimiter = ','
    )]
    turn_secret: Vec<Secret>,

    /// The name in the page's certificate by which clients find this machine.
    ///
    /// With it, and https, rooms tell pages to come over TLS, too (turns:). Without it they tell addresses alone, of
    /// UDP and TCP.
    #[arg(long, value_name = "NAME")]
    turn_host: Option<String>,

    /// The port of TURN and STUN over UDP and TCP; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = TurnOptions::default().port)]
    turn_port: u16,

    /// The port of TURN over TLS, which there is when the page has https; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = TurnOptions::default().tls_port)]
    turn_tls_port: u16,

    /// The realm that usernames belong to, of at most 32 bytes. [default: --turn-host, else hyaline]
    #[arg(long, value_name = "REALM")]
    turn_realm: Option<String>,

    /// The ports that are relayed from, UDP and TCP: let them through the firewall.
    #[arg(long, value_name = "FIRST-LAST", value_parser = port_range, default_value = "49152-65535")]
    turn_relay_ports: std::ops::RangeInclusive<u16>,

    /// Relays to private and loopback addresses, too, not only to public ones and to the rooms.
    ///
    /// Users of the TURN server then reach what only this machine and its network should.
    #[arg(long)]
    turn_allow_private: bool,

    /// A prefix of this network's NAT64, as 2001:db8:64::/96; may be given several times.
    ///
    /// An IPv6 address under it (RFC 6052 §2.2) is relayed to when the IPv4 address in it would be. 64:ff9b::/96 is
    /// known.
    #[arg(long, value_name = "PREFIX")]
    turn_nat64_prefix: Vec<Nat64Prefix>,

    /// How many bytes of data a second an allocation may relay, each way; 131072 at least.
    ///
    /// Half of it may come at once. A client may have several allocations.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = TurnOptions::default().bytes_per_second,
        value_parser = clap::value_parser!(u64).range(TurnOptions::MIN_BYTES_PER_SECOND..)
    )]
    turn_bytes_per_second: u64,
}

impl From<TurnArgs> for TurnOptions {
    fn from(args: TurnArgs) -> Self {
        Self {
            host: args.turn_host,
            port: args.turn_port,
            tls_port: args.turn_tls_port,
            users: args.turn_user,
            secrets: args.turn_secret,
            realm: args.turn_realm,
            relay_ports: args.turn_relay_ports,
            allow_private: args.turn_allow_private,
            bytes_per_second: args.turn_bytes_per_second,
            allow_loopback: args.turn_allow_private,
            nat64_prefixes: args.turn_nat64_prefix,
        }
    }
}

fn turn_user(text: &str) -> Result<(String, Secret), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok((name.to_owned(), password.into())),
        _ => Err("give it as NAME:PASSWORD".to_owned()),
    }
}

fn port_range(text: &str) -> Result<std::ops::RangeInclusive<u16>, String> {
    let range = text.split_once('-');
    let range = range.and_then(|(first, last)| Some(first.trim().parse().ok()?..=last.trim().parse().ok()?));
    range.ok_or_else(|| "give it as FIRST-LAST, as in 50000-50999".to_owned())
}

impl From<ServeArgs> for Options {
    fn from(args: ServeArgs) -> Self {
        let files = args.tls_cert.zip(args.tls_key);
        let tls = files.map(|(certificate, key)| Tls::Files { certificate, key });
        let defaults = Self::default();
        Self {
            http: args.http,
            open: args.open,
            udp_port: args.udp_port,
            tcp: !args.no_tcp,
            workers: args.workers.unwrap_or(defaults.workers),
            announce: args.announce,
            video_codecs: args.video_codecs,
            dtls: args.dtls,
            key_log: args.keylog,
            tls: if args.tls_self_signed {
                Some(Tls::SelfSigned)
            } else {
                tls
            },
            silence: defaults.silence,
            connections: defaults.connections,
            connections_per_address: args.connections_per_address,
            allowed_origins: args.allow_origin,
            room_capacity: args.room_capacity,
            admin_token: args.admin_token,
            turn: args.turn.into(),
        }
    }
}

/// Does what the command line says; its first argument is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to the standard output and are no failure.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match cli.command {
        Some(Command::Sdp { print, file }) => sdp(&file, print),
        Some(Command::Serve(args)) => serve(*args),
        None => serve(cli.serve),
    }
}

fn serve(args: ServeArgs) -> ExitCode {
    let filter = args.log.clone().or_else(|| std::env::var("RUST_LOG").ok());
    match EnvFilter::try_new(filter.as_deref().unwrap_or("info")) {
        Ok(filter) => {
            let log = tracing_subscriber::fmt()
                .with_writer(io::stderr)
                .with_ansi(io::stderr().is_terminal())
                .with_env_filter(filter);
            // A program that embeds us may have set up its own.
            drop(log.try_init());
        }
        Err(error) => return fail(&format!("The log filter is not understood ({error}): try --log debug.")),
    }
    descriptors::raise();
    let server = match Server::start(&args.into()) {
        Ok(server) => server,
        Err(error) => return fail(&error.to_string()),
    };
    // Before the ready line: who reads it may send a signal at once.
    let stop = match server.listen_for_stop() {
        Ok(stop) => stop,
        Err(error) => {
            return fail(&format!(
                "The system does not let the server wait for signals: {error}."
            ));
        }
    };
    // A closed output is no reason not to serve.
    drop(writeln!(io::stdout(), "hyaline: {}", server.url()));
    drop(io::stdout().flush());
    let stopped = stop.wait();
    tracing::info!("stopping");
    server.shutdown();
    match stopped {
        Stopped::Signal => ExitCode::SUCCESS,
        Stopped::Worker => {
            fail("A worker thread has ended, which is a fault of this program: please report what it wrote above.")
        }
    }
}

fn sdp(path: &Path, print: bool) -> ExitCode {
    let name = path.display();
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) => return fail(&format!("{name} cannot be read: {error}.")),
    };
    let session = match sdp::Session::parse(&text) {
        Ok(session) => session,
        Err(error) => return fail(&format!("{name}: {error}")),
    };
    let written = if print {
        write!(io::stdout(), "{session}")
    } else {
        write!(io::stdout(), "{}", sdp::explain(&session))
    };
    match written.and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // As in `hyaline sdp FILE | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&format!("The output cannot be written: {error}.")),
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        Ok(text)
    } else {
        fs::read_to_string(path)
    }
}

fn fail(message: &str) -> ExitCode {
    drop(writeln!(io::stderr(), "hyaline: {message}"));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn options(args: &[&str]) -> Result<Options, clap::Error> {
        let args = ["hyaline"].iter().chain(args);
        Cli::try_parse_from(args).map(|cli| match cli.command {
            Some(Command::Serve(args)) => (*args).into(),
            Some(Command::Sdp { .. }) => panic!("not serve"),
            None => cli.serve.into(),
        })
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn examples_are_understood_and_not_cut() {
        assert!(EXAMPLES.lines().all(|line| line.len() <= 100));
        let whole = EXAMPLES.replace("\\\n", "");
        let commands = whole
            .lines()
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let parsed = commands.map(|line| {
            let (_, args) = line.split_once("hyaline").unwrap();
            options(&args.split_whitespace().collect::<Vec<_>>()).unwrap()
        });
        assert_eq!(parsed.count(), 4);
    }

    #[test]
    fn the_summary_of_turn_has_a_line_for_each_option() {
        let command = Cli::command();
        let turn = command
            .get_arguments()
            .filter(|argument| argument.get_id().as_str().starts_with("turn_"));
        let long = turn.filter(|argument| argument.get_help().unwrap().to_string().len() > 100);
        assert_eq!(long.count(), 0);
        // Who gets credentials from whom is told.
        let told = |id| {
            let argument = command.get_arguments().find(|argument| argument.get_id() == id);
            argument.unwrap().get_long_help().unwrap().to_string()
        };
        assert!(told("turn_user").contains("rooms give each participant"));
        assert!(told("turn_secret").contains("base64(HMAC-SHA1(SECRET, username))"));
    }

    #[test]
    fn without_a_subcommand_it_serves() {
        let defaults = options(&[]).unwrap();
        assert_eq!(defaults.http, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(defaults.video_codecs, [VideoCodec::Vp8, VideoCodec::H264]);
        assert_eq!((defaults.udp_port, defaults.open, defaults.tls), (0, false, None));
        assert_eq!(defaults.dtls, [DtlsVersion::V13, DtlsVersion::V12]);
        assert_eq!(defaults.key_log, None);
        assert_eq!(options(&["serve"]).unwrap().http, defaults.http);
        assert_eq!(
            options(&["--http", "[::1]:0"]).unwrap().http,
            "[::1]:0".parse().unwrap()
        );
        assert_eq!(
            options(&["serve", "--http", "[::1]:0"]).unwrap().http,
            "[::1]:0".parse().unwrap()
        );
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let options = options(&[
            "--announce",
            "203.0.113.7,2001:db8::7",
            "--video-codecs",
            "h264,av1",
            "--dtls",
            "1.3,1.2",
            "--workers",
            "3",
        ]);
        let options = options.unwrap();
        assert_eq!(
            options.announce,
            ["203.0.113.7", "2001:db8::7"].map(|ip| ip.parse::<IpAddr>().unwrap())
        );
        assert_eq!(options.video_codecs, [VideoCodec::H264, VideoCodec::Av1]);
        assert_eq!(options.dtls, [DtlsVersion::V13, DtlsVersion::V12]);
        assert_eq!(options.workers.get(), 3);
    }

    #[test]
    fn tls_is_self_made_or_from_two_files() {
        assert_eq!(options(&["--tls-self-signed"]).unwrap().tls, Some(Tls::SelfSigned));
        let files = Tls::Files {
            certificate: "c".into(),
            key: "k".into(),
        };
        assert_eq!(
            options(&["--tls-cert", "c", "--tls-key", "k"]).unwrap().tls,
            Some(files)
        );
        assert!(options(&["--tls-cert", "c"]).is_err());
        assert!(options(&["--tls-key", "k"]).is_err());
        assert!(options(&["--tls-self-signed", "--tls-cert", "c", "--tls-key", "k"]).is_err());
    }

    #[test]
    fn rooms_and_who_runs_them_are_told() {
        let defaults = options(&[]).unwrap();
        assert_eq!((defaults.room_capacity, defaults.admin_token), (100, None));
        let told = options(&["--room-capacity", "12", "--admin-token", "0123456789abcdef"]).unwrap();
        assert_eq!(
            (told.room_capacity, told.admin_token),
            (12, Some("0123456789abcdef".into()))
        );
    }

    #[test]
    fn turn_is_for_whom_it_is_given() {
        let turn = |args: &[&str]| options(args).unwrap().turn;
        assert!(!turn(&[]).is_wanted() && !turn(&["--turn-port", "1"]).is_wanted());
        let told = turn(&[
            "--turn-user",
            "ann:a:b",
            "--turn-user",
            "bob:c",
            "--turn-secret",
            "old,new",
            "--turn-relay-ports",
            "50000-50999",
            "--turn-host",
            "turn.example.org",
            "--turn-allow-private",
            "--turn-nat64-prefix",
            "2001:db8:64::/96",
            "--turn-nat64-prefix",
            "fd00:64::/48",
            "--turn-bytes-per-second",
            "131072",
        ]);
        assert!(told.is_wanted() && told.allow_private && told.allow_loopback);
        assert_eq!(told.bytes_per_second, 131_072);
        let prefixes: Vec<_> = told.nat64_prefixes.iter().map(ToString::to_string).collect();
        assert_eq!(prefixes, ["2001:db8:64::/96", "fd00:64::/48"]);
        assert_eq!(told.users, [("ann".into(), "a:b".into()), ("bob".into(), "c".into())]);
        assert_eq!(told.secrets, ["old".into(), "new".into()]);
        assert_eq!(
            (told.relay_ports, told.port, told.tls_port),
            (50_000..=50_999, 3478, 5349)
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            ["--turn-user", "ann"],
            ["--turn-user", ":secret"],
            ["--turn-relay-ports", "50000"],
            ["--turn-bytes-per-second", "131071"],
            ["--turn-nat64-prefix", "2001:db8:64::/80"],
            ["--http", "8080"],
            ["--udp-port", "70000"],
            ["--workers", "0"],
            ["--announce", "example.org"],
            ["--video-codecs", "mpeg1"],
        ] {
            assert!(options(&bad).is_err(), "{bad:?}");
        }
        assert!(options(&["--nonsense"]).is_err());
    }

    #[test]
    fn help_names_every_option() {
        let help = Cli::command().render_long_help().to_string();
        for option in [
            "--http",
            "--open",
            "--udp-port",
            "--workers",
            "--announce",
            "--video-codecs",
            "--allow-origin",
            "--room-capacity",
            "--admin-token",
            "HYALINE_ADMIN_TOKEN",
            "--tls-self-signed",
            "--tls-cert",
            "--tls-key",
            "--log",
            "serve",
            "sdp",
            "Examples",
        ] {
            assert!(help.contains(option), "{option}");
        }
    }
}
