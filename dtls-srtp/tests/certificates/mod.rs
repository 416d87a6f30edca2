//! The certificates in `fixtures/certificates`.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test binary uses a part")]

use dtls_srtp::{Certificate, Fingerprint, FingerprintAlgorithm};

/// A certificate with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    pub name: &'static str,
}

impl Files {
    pub const P256: Self = Self { name: "v1_p256" };
    pub const P384: Self = Self { name: "p384" };
    pub const RSA: Self = Self { name: "rsa2048" };

    pub fn path(self, ending: &str) -> String {
        // The harness in `interop/` uses this file too.
        format!(
            "{}/../dtls-srtp/tests/fixtures/certificates/{}.{ending}",
            env!("CARGO_MANIFEST_DIR"),
            self.name
        )
    }

    pub fn read(self, ending: &str) -> Vec<u8> {
        std::fs::read(self.path(ending)).unwrap()
    }

    pub fn ours(self) -> Certificate {
        Certificate::from_der(self.read("der"), &self.read("key")).unwrap()
    }

    pub fn fingerprint(self) -> Fingerprint {
        Fingerprint::of_certificate(FingerprintAlgorithm::Sha256, &self.read("der"))
    }
}
