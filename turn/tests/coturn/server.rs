use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

pub(crate) const USER: &str = "u";
pub(crate) const PASSWORD: &str = "p";

/// The name in the server's certificate.
pub(crate) const NAME: &str = "turn.test";

/// A running coturn; ended when dropped.
pub(crate) struct Coturn {
    child: Child,
    folder: PathBuf,
    /// UDP and TCP.
    pub(crate) plain: SocketAddr,
    /// TLS.
    pub(crate) tls: SocketAddr,
    /// Trusts its certificate and no other.
    pub(crate) trust: Arc<rustls::ClientConfig>,
}

impl Coturn {
    pub(crate) fn start(more: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("hyaline-coturn-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let trust = write_certificate(&folder);
        let (plain, tls) = (free_port(), free_port());
        let at = |name: &str| folder.join(name).display().to_string();
        let mut child = Command::new("turnserver")
            .args([
                "-n",
                "-c",
                "/dev/null",
                "--no-cli",
                "--log-file=stdout",
                "--simple-log",
                "--no-dtls",
            ])
            .args([
                "--lt-cred-mech",
                "--realm=test.local",
                "--allow-loopback-peers",
                "--no-software-attribute",
            ])
            .args(["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--relay-ip=::1"])
            .arg(format!("--user={USER}:{PASSWORD}"))
            .arg(format!("--listening-port={}", plain.port()))
            .arg(format!("--tls-listening-port={}", tls.port()))
            .arg(format!("--cert={}", at("cert.pem")))
            .arg(format!("--pkey={}", at("key.pem")))
            .arg(format!("--pidfile={}", at("pid")))
            .arg(format!("--userdb={}", at("db")))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program `turnserver` is needed: apt-get install coturn");
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            // Read to the end, so that the server is never held up by a full pipe.
            for line in stdout.split(b'\n').map_while(Result::ok) {
                sender.send(String::from_utf8_lossy(&line).into_owned()).ok();
            }
        });
        let server = Self {
            child,
            folder,
            plain,
            tls,
            trust,
        };
        let (deadline, mut seen) = (Instant::now() + Duration::from_secs(60), String::new());
        // The last thing that coturn does before it serves.
        while !seen.contains("DB connection success") {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("coturn did not begin to serve; it said:\n{seen}"));
            seen.push_str(&line);
            seen.push('\n');
        }
        server
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// A port that is free for UDP and TCP.
fn free_port() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

fn write_certificate(folder: &std::path::Path) -> Arc<rustls::ClientConfig> {
    let key = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), key.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.signing_key.serialize_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
