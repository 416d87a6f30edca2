use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// How the page is served over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// With a certificate made at the start. Browsers warn once and then treat the page as secure, which is what camera
    /// and microphone need.
    SelfSigned,
    /// With a certificate chain and its key from PEM files.
    Files {
        /// The chain, the server's own certificate first.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

impl Tls {
    /// Makes the configuration. A self-signed certificate is for `localhost` and `addresses`.
    pub(crate) fn server_config(&self, addresses: &[IpAddr]) -> Result<Arc<ServerConfig>, TlsError> {
        let (chain, key) = match self {
            Self::SelfSigned => self_signed(addresses)?,
            Self::Files { certificate, key } => (read_chain(certificate)?, read_key(key)?),
        };
        // The provider is given, not looked up: a program that links several would have to choose for the whole
        // process.
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Config)?
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let mut config = config.map_err(TlsError::Config)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn self_signed(addresses: &[IpAddr]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    names.extend(addresses.iter().filter(|ip| !ip.is_loopback()).map(IpAddr::to_string));
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| TlsError::SelfSigned(error.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |reason: String| TlsError::Certificate(path.into(), reason);
    let pem = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| unreadable(error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("there is no BEGIN CERTIFICATE in it".into()));
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unreadable = |reason: String| TlsError::Key(path.into(), reason);
    let pem = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unreadable(error.to_string()))
}

/// Why TLS cannot be served.
#[derive(Debug)]
pub enum TlsError {
    /// The certificate file is no use.
    Certificate(PathBuf, String),
    /// The key file is no use.
    Key(PathBuf, String),
    /// They do not go together, or are of a kind that is not supported.
    Config(rustls::Error),
    /// No certificate could be made.
    SelfSigned(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(path, reason) => write!(
                f,
                "The certificate {} cannot be used ({reason}): --tls-cert wants a PEM file with the certificate chain.",
                path.display()
            ),
            Self::Key(path, reason) => write!(
                f,
                "The key {} cannot be used ({reason}): --tls-key wants a PEM file with the certificate's private key.",
                path.display()
            ),
            Self::Config(error) => write!(
                f,
                "The certificate and the key cannot be used together ({error}): give the pair that was issued together."
            ),
            Self::SelfSigned(reason) => write!(
                f,
                "No certificate could be made ({reason}): use --tls-cert and --tls-key."
            ),
        }
    }
}

impl std::error::Error for TlsError {}
