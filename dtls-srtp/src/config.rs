use std::sync::Arc;
use std::time::Duration;

use crate::certificate::Certificate;
use crate::connection_id::ConnectionIds;
use crate::crypto::Crypto;
use crate::key_log::KeyLog;
use crate::mki::Mki;
use crate::profile::SrtpProfile;
use crate::registry::{CipherSuite, NamedGroup, Version};
use crate::resumption::TicketIssuer;

/// What many connections have in common.
#[derive(Debug, Clone)]
pub struct Config {
    /// The cryptography, [`RingCrypto`](crate::RingCrypto) in production.
    pub crypto: Arc<dyn Crypto>,
    /// Our certificate.
    pub certificate: Certificate,
    /// SRTP profiles, best first; as server this order decides. Empty when the connection carries no media. Those that are
    /// not named here are neither offered nor accepted.
    pub srtp_profiles: Vec<SrtpProfile>,
    /// The identifier of the master keys (RFC 5764 §4.1.3) that is offered as client, and stands in every SRTP packet when
    /// the server agrees. As server any identifier of up to [`Mki::MAX_LEN`] bytes is agreed to when there is one here, and
    /// none otherwise. `None` in WebRTC.
    pub srtp_mki: Option<Mki>,
    /// Versions: DTLS 1.2 ([`Version::DTLS_1_2`]), DTLS 1.3, or both, in any order: the latest that both ends have is
    /// spoken. Others are left out.
    pub versions: Vec<Version>,
    /// Cipher suites, best first; as server this order decides. Those that `crypto` does not have are left out.
    pub cipher_suites: Vec<CipherSuite>,
    /// Groups, best first; as server this order decides. Those that `crypto` does not have are left out.
    pub groups: Vec<NamedGroup>,
    /// The largest datagram that the handshake sends, in bytes, without UDP and IP headers. With
    /// [`connection_ids`](Self::connection_ids) not below 512: those of the peer may have 255 bytes.
    pub max_datagram: usize,
    /// How long a handshake may take, from the first datagram on.
    pub handshake_timeout: Duration,
    /// The longest handshake message taken from the peer, in bytes.
    pub max_message: usize,
    /// How many bytes of incomplete handshake messages, and how many of early records, are kept. Behind
    /// [`cookie`](Self::cookie) 1.1 KiB of them are what a hello in parts costs beside its bytes.
    pub max_pending: usize,
    /// How the peer is authenticated. Anything but fingerprints is for protocols other than WebRTC.
    pub authentication: Authentication,
    /// Whether clients show certificates. They always do in WebRTC
    /// ([`Dtls::require_fingerprint`](crate::Dtls::require_fingerprint)).
    pub client_certificate: ClientCertificate,
    /// As server, whether clients have to prove their address with a cookie (RFC 9147 §5.1, RFC 6347 §4.2.1), which takes
    /// a round trip. Off behind ICE, which has proven it. This is for a [`Dtls`](crate::Dtls) that is there already; a
    /// server that is to keep nothing for strangers has a [`CookieExchange`](crate::CookieExchange) instead.
    pub cookie: bool,
    /// The connection IDs that we want the peer's records to carry (RFC 9146, RFC 9147 §9), which find the connection when
    /// the peer's address has changed. `None`, the default, neither offers nor accepts any: ICE looks after addresses itself.
    /// See [`Dtls::newer_records`](crate::Dtls::newer_records) for what to do about a new address.
    pub connection_ids: Option<ConnectionIds>,
    /// As server of DTLS 1.3, what gives tickets to clients, with which they resume their sessions, and takes them back. `None`,
    /// the default, gives none and knows none. In WebRTC both ends show certificates each time.
    pub tickets: Option<Arc<TicketIssuer>>,
    /// As client of DTLS 1.3, whether tickets are asked for and kept ([`Dtls::take_session`](crate::Dtls::take_session)), and
    /// sessions resumed ([`Dtls::resume`](crate::Dtls::resume)). Off by default.
    pub keep_sessions: bool,
    /// Where secrets are logged; `None` in production.
    pub key_log: Option<Arc<dyn KeyLog>>,
}

impl Config {
    /// The defaults: DTLS 1.3 and 1.2, everything that `crypto` has, the SRTP profiles of [`SrtpProfile::WEBRTC`] without MKI,
    /// datagrams of 1200 bytes, 30 s, messages of 16 KiB with 32 KiB pending, certificates on both sides that match
    /// fingerprints, no cookie, no connection IDs, no resumption, and no key log.
    pub fn new(crypto: Arc<dyn Crypto>, certificate: Certificate) -> Self {
        Self {
            versions: vec![Version::DTLS_1_3, Version::DTLS_1_2],
            cipher_suites: crypto.cipher_suites().to_vec(),
            groups: crypto.groups().to_vec(),
            crypto,
            certificate,
            srtp_profiles: SrtpProfile::WEBRTC.to_vec(),
            srtp_mki: None,
            max_datagram: 1200,
            handshake_timeout: Duration::from_secs(30),
            max_message: 16 << 10,
            max_pending: 32 << 10,
            authentication: Authentication::default(),
            client_certificate: ClientCertificate::default(),
            cookie: false,
            connection_ids: None,
            tickets: None,
            keep_sessions: false,
            key_log: None,
        }
    }
}

/// How a peer is told from somebody in the middle. Fingerprints that were set have to match, whatever this says, and whenever
/// that was: a connection whose peer has shown no certificate ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authentication {
    /// The peer's certificate matches a fingerprint that is known from elsewhere
    /// ([`Dtls::set_remote_fingerprints`](crate::Dtls::set_remote_fingerprints)): from signalling in WebRTC (RFC 8827
    /// §6.5), or because it was pinned. Without one nothing connects.
    #[default]
    Fingerprint,
    /// The embedder decides about the peer's certificate, whose key the peer has shown to have. Nothing connects before
    /// it says so: after [`Event::CertificateToJudge`](crate::Event::CertificateToJudge) it calls
    /// [`Dtls::accept_certificate`](crate::Dtls::accept_certificate) or
    /// [`Dtls::refuse_certificate`](crate::Dtls::refuse_certificate). Peers without a certificate are refused.
    Embedder,
    /// Not at all. Anybody can be at the other end, or **in the middle, where all can be read and changed**. For servers
    /// whose clients are anonymous, or say who they are inside the connection; a client that does not know whom it talks
    /// to is protected from those who merely listen.
    Unauthenticated,
}

/// Whether clients show certificates (RFC 5246 §7.4.4, RFC 8446 §4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificate {
    /// A server asks for one, and ends handshakes without; a client ends the handshake with a server that does not ask
    /// (RFC 5763 §5).
    #[default]
    Required,
    /// A server does not ask, and has nothing to authenticate its clients by, so it needs
    /// [`Authentication::Unauthenticated`]; a client shows its own only when it is asked.
    Optional,
}
