use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Where systems keep the certificates that they trust: Debian, Fedora, openSUSE, and Alpine with the BSDs.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Which TLS servers are trusted; read when the first one is met.
#[derive(Debug)]
pub(crate) struct Trust {
    ca: Option<PathBuf>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Trust {
    pub(crate) const fn new(ca: Option<PathBuf>) -> Self {
        Self {
            ca,
            config: OnceLock::new(),
        }
    }

    /// # Errors
    /// A clause that says what to do.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.config.get_or_init(|| client_config(self.ca.as_deref())).clone()
    }

    /// Trusts nobody.
    #[cfg(test)]
    pub(crate) fn in_nobody() -> Self {
        Self {
            ca: None,
            config: OnceLock::from(trusting(RootCertStore::empty())),
        }
    }
}

fn client_config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let roots = match ca {
        Some(file) => read_roots(file).map_err(|reason| {
            format!(
                "{}: {reason}; give a PEM file of certificates with --ca",
                file.display()
            )
        })?,
        None => system_roots().ok_or("this system has no certificates to trust; give a PEM file of some with --ca")?,
    };
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    // The provider is given, not looked up: a program that links several would have to choose for the whole process.
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn read_roots(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no BEGIN CERTIFICATE in it".to_owned());
    }
    Ok(roots)
}

/// Those of the system's that can be read: bundles have some that are too old.
fn system_roots() -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificates = SYSTEM
        .iter()
        .find_map(|file| CertificateDer::pem_file_iter(file).ok())?;
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    (!roots.is_empty()).then_some(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_no_certificates_is_refused_with_a_sentence() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        for (file, reason) in [(here, "no BEGIN CERTIFICATE"), ("/nowhere".into(), "/nowhere: ")] {
            let refused = Trust::new(Some(file)).config().unwrap_err();
            assert!(refused.contains(reason) && refused.contains("--ca"), "{refused}");
        }
    }
}
