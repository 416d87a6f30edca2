use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::ClockId;
use nix::unistd::Pid;

pub(super) const USER: &str = "u";
pub(super) const PASSWORD: &str = "p";

/// A TURN server that can be started.
pub(super) enum Program {
    Hyaline(PathBuf),
    Coturn { version: String },
}

impl Program {
    /// Builds the server of this repository, with its own lock file and release profile.
    pub(super) fn hyaline() -> Result<Self, String> {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--release", "--locked", "--package", "hyaline-server"])
            .args([
                "--message-format",
                "json-render-diagnostics",
                "--manifest-path",
                manifest,
            ])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo, which builds our server, does not start: {error}."))?;
        let said = String::from_utf8_lossy(&built.stdout);
        let path = said.rsplit(r#""executable":""#).next();
        let path = path.and_then(|rest| rest.split('"').next()).map(PathBuf::from);
        match path.filter(|path| built.status.success() && path.is_file()) {
            Some(path) => Ok(Self::Hyaline(path)),
            None => Err("Our server was not built: see what cargo says above.".to_owned()),
        }
    }

    pub(super) fn coturn() -> Result<Self, String> {
        let output = Command::new("turnserver").arg("--version").output().map_err(|error| {
            format!(
                "The program `turnserver` does not start ({error}): install coturn, as with `apt-get install coturn`."
            )
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        let version = said.lines().rev().find(|line| !line.trim().is_empty());
        Ok(Self::Coturn {
            version: version.unwrap_or("").trim().to_owned(),
        })
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Hyaline(_) => "hyaline".to_owned(),
            Self::Coturn { version } => format!("coturn {version}"),
        }
    }

    /// Starts it on the server's CPU, with one thread that relays.
    pub(super) fn start(&self) -> Result<Process, String> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("hyaline-bench-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder)
            .map_err(|error| format!("No folder can be made at {}: {error}.", folder.display()))?;
        let address = free_port()?;
        let mut command = match self {
            Self::Hyaline(path) => {
                let mut command = Command::new(path);
                command
                    .args(["--http", "127.0.0.1:0", "--announce", "127.0.0.1", "--workers", "1"])
                    .args(["--log", "error", "--turn-allow-private"])
                    // coturn has no limit either.
                    .arg("--turn-bytes-per-second=1000000000")
                    .arg(format!("--turn-user={USER}:{PASSWORD}"))
                    .arg(format!("--turn-port={}", address.port()));
                command
            }
            Self::Coturn { .. } => {
                let mut command = Command::new("turnserver");
                command
                    .args([
                        "-n",
                        "-c",
                        "/dev/null",
                        "--no-cli",
                        "--no-tls",
                        "--no-dtls",
                        "--no-tcp-relay",
                    ])
                    .args([
                        "--log-file=/dev/null",
                        "--no-stdout-log",
                        "--simple-log",
                        "--relay-threads=1",
                    ])
                    .args(["--lt-cred-mech", "--realm=bench", "--allow-loopback-peers"])
                    .args(["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1"])
                    .arg(format!("--user={USER}:{PASSWORD}"))
                    .arg(format!("--listening-port={}", address.port()))
                    .arg(format!("--pidfile={}", folder.join("pid").display()))
                    .arg(format!("--userdb={}", folder.join("db").display()));
                command
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // What is started inherits where it may run.
        place(SERVER_CPU);
        let child = command.spawn();
        place(LOAD_CPU);
        let child = child.map_err(|error| format!("{} does not start: {error}.", self.name()))?;
        Ok(Process { child, address, folder })
    }
}

/// A running server; ended when dropped.
pub(super) struct Process {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Process {
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time of all its threads so far, what the kernel did for them included.
    pub(super) fn used(&self) -> Result<Duration, String> {
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw).ok();
        let clock = pid.and_then(|pid| ClockId::pid_cpu_clock_id(pid).ok());
        let time = clock.and_then(|clock| clock.now().ok());
        time.map(Duration::from).ok_or_else(|| "A server has ended.".to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The first and the second of the CPUs that we may use.
const SERVER_CPU: usize = 0;
const LOAD_CPU: usize = 1;

/// Whether server and load can have a CPU each; from here on the load has its own.
pub(super) fn cpus_apart() -> bool {
    place(LOAD_CPU)
}

/// Moves this thread, unless there is one CPU only.
fn place(which: usize) -> bool {
    static ALLOWED: std::sync::OnceLock<Vec<usize>> = std::sync::OnceLock::new();
    let allowed = ALLOWED.get_or_init(|| {
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_else(|_| CpuSet::new());
        (0..CpuSet::count())
            .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
            .collect()
    });
    let mut set = CpuSet::new();
    allowed.get(LOAD_CPU).is_some()
        && allowed.get(which).is_some_and(|cpu| set.set(*cpu).is_ok())
        && sched_setaffinity(Pid::from_raw(0), &set).is_ok()
}

/// A port of the loopback interface that is free now.
fn free_port() -> Result<SocketAddr, String> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let address = socket.and_then(|socket| socket.local_addr());
    address.map_err(|error| format!("No UDP port of the loopback interface is free: {error}."))
}
