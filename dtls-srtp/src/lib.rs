//! DTLS 1.3 (RFC 9147), DTLS 1.2 (RFC 6347) and SRTP (RFC 3711, RFC 7714) with their meeting point RFC 5764, without I/O.
//!
//! - [`Dtls`]: a connection. Datagrams go in, datagrams, events and keys come out.
//! - [`CookieExchange`]: what stands in front of connections when anybody can send datagrams: it has clients prove their
//!   addresses.
//! - [`ConnectionIds`]: what finds a connection whose peer's address has changed, where that is switched on.
//! - [`TicketIssuer`], [`SavedSession`]: what lets clients come back without certificates, where that is switched on.
//! - [`Certificate`], [`Fingerprint`]: who we are, and who signalling says the peer is.
//! - [`SrtpProfile`], [`KeyAndSalt`], [`SrtpKeys`]: what the handshake hands to SRTP.
//! - [`srtp`]: sealing and opening of media packets.
//! - [`message`]: the wire formats of records and handshake messages, for the inspector and for fuzzing.
//! - [`Crypto`]: the seam to the cryptographic library; [`RingCrypto`] in production, [`fake`] for tests and fuzzing.
//!
//! Inside, what is the same in all versions of DTLS (records, reassembly, flights, timers, alerts) stands apart from
//! what is particular to DTLS 1.2 (module `v12`) and to DTLS 1.3 (module `v13`).

mod alert;
mod association;
mod carried;
mod certificate;
mod config;
mod connection_id;
mod cookie;
mod counters;
mod crypto;
mod door;
mod dtls;
mod early;
mod event;
mod extension;
pub mod fake;
mod fingerprint;
mod flight;
mod handshake;
mod hello;
mod identity;
mod key_log;
mod mki;
mod negotiation;
mod offer;
mod overhead;
mod post_handshake;
mod profile;
mod reassembly;
mod receive;
mod record;
mod records;
mod registry;
mod replay;
mod resumption;
mod rotation;
mod session;
pub mod srtp;
mod timer;
mod transcript;
mod v12;
mod v13;
mod x509;

pub use certificate::Certificate;
pub use config::{Authentication, ClientCertificate, Config};
pub use connection_id::{ConnectionId, ConnectionIds, peek_connection_id};
pub use cookie::{CookieExchange, CookieLimits, Exchanged, ProvenHello};
pub use counters::Counters;
pub use crypto::{
    Aead, Crypto, CryptoError, Digest, HashAlgorithm, KeyExchange, KeyKind, NONCE_LEN, RecordKey, RecordNumberKey,
    RingCrypto, SAMPLE_LEN, SharedSecret, SigningKey, TAG_LEN, VerifyError,
};
pub use dtls::{Dtls, ExportError, Role, SealError};
pub use event::{CloseReason, Event};
pub use fingerprint::{Fingerprint, FingerprintAlgorithm, FingerprintError};
pub use key_log::KeyLog;
pub use mki::Mki;
pub use overhead::Overhead;
pub use profile::{KeyAndSalt, ProtectionProfile, SrtpKeys, SrtpProfile};
pub use registry::{
    AlertDescription, CipherSuite, ClientCertificateType, ContentType, ExtensionType, HandshakeType, NamedGroup,
    SignatureScheme, Version,
};
pub use resumption::{SavedSession, TicketIssuer};
pub use x509::PublicKey;

/// The wire formats of records and handshake messages.
pub mod message {
    pub use crate::alert::{Alert, AlertLevel};
    pub use crate::extension::{Extensions, List16, UseSrtp};
    pub use crate::handshake::{Fragment, HandshakeHeader};
    pub use crate::hello::{ClientHello, HELLO_RETRY_REQUEST, RANDOM_LEN, ServerHello};
    pub use crate::record::{RecordHeader, split_record};
    pub use crate::v12::{
        CertificateChain, CertificateRequest, CertificateVerify, ClientKeyExchange, HelloVerifyRequest,
        ServerKeyExchange,
    };
    pub use crate::v13::{
        Ack, CertificateChain13, CertificateRequest13, EncryptedExtensions, KeyShareEntry, KeyShares, KeyUpdate,
        NewConnectionId, NewSessionTicket, OfferedPsk, OfferedPsks, RecordNumber, RequestConnectionId, ShortSequence,
        UnifiedHeader,
    };
}

/// Whether a datagram that shares its port with STUN, SRTP and others is DTLS (RFC 7983 §7: first byte 20 to 63).
pub const fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram, [20..=63, ..])
}
