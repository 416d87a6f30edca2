//! What a server of DTLS 1.3 reads out of a `ClientHello`, and how it asks for another one (RFC 8446 §4.1.4).

use wire::{Full, Writer};

use crate::config::Config;
use crate::crypto::{Digest, SuiteParameters13};
use crate::event::CloseReason;
use crate::extension::{Extensions, List16, write_extension};
use crate::hello::{ClientHello, HELLO_RETRY_REQUEST, RANDOM_LEN, ServerHello};
use crate::negotiation::{malformed, own_groups};
use crate::registry::{CipherSuite, ExtensionType, HandshakeType, NamedGroup, Version};
use crate::v13::message::KeyShares;
use crate::v13::negotiation::own_suites;

/// A `ClientHello` with all that the handshake needs.
pub(super) struct Offered<'a> {
    pub(super) hello: ClientHello<'a>,
    pub(super) shares: KeyShares<'a>,
    /// How the client would resume.
    pub(super) psk_modes: &'a [u8],
    schemes: Option<List16<'a>>,
    groups: List16<'a>,
}

impl<'a> Offered<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, CloseReason> {
        let malformed = malformed(HandshakeType::CLIENT_HELLO);
        let hello = ClientHello::parse(body).map_err(&malformed)?;
        let extensions = hello.extensions;
        if hello.compression_methods != [0] {
            return Err(CloseReason::IllegalParameter(
                "a ClientHello of DTLS 1.3 offers no compression and nothing else (RFC 8446 §4.1.2)",
            ));
        }
        check_legacy_cookie(&hello)?;
        let versions = extensions.supported_versions().map_err(&malformed)?;
        if !versions.is_some_and(|versions| versions.contains(Version::DTLS_1_3.0)) {
            return Err(CloseReason::IllegalParameter(
                "the version stays that of the HelloRetryRequest (RFC 8446 §4.1.4)",
            ));
        }
        if !extensions.psks_are_last() {
            return Err(CloseReason::IllegalParameter(
                "the extension pre_shared_key is the last one (RFC 8446 §4.2.11)",
            ));
        }
        let offers_psks = extensions.contains(ExtensionType::PRE_SHARED_KEY);
        let psk_modes = extensions.psk_modes().map_err(&malformed)?;
        let schemes = extensions.signature_algorithms().map_err(&malformed)?;
        // RFC 8446 §9.2: what a ClientHello has with pre-shared keys, and without.
        let missing = || CloseReason::MissingExtension;
        if (offers_psks && psk_modes.is_none()) || (!offers_psks && schemes.is_none()) {
            return Err(missing());
        }
        Ok(Self {
            hello,
            groups: extensions.supported_groups().map_err(&malformed)?.ok_or_else(missing)?,
            shares: extensions
                .client_key_shares()
                .map_err(&malformed)?
                .ok_or_else(missing)?,
            psk_modes: psk_modes.unwrap_or_default(),
            schemes,
        })
    }

    /// The signature schemes that the client knows.
    pub(super) fn schemes(&self) -> Result<List16<'a>, CloseReason> {
        self.schemes.ok_or(CloseReason::MissingExtension)
    }

    /// The suite that we choose.
    pub(super) fn suite(&self, config: &Config) -> Result<(CipherSuite, SuiteParameters13), CloseReason> {
        own_suites(config)
            .find(|(suite, _)| self.hello.cipher_suites.contains(suite.0))
            .ok_or(CloseReason::NoCommonCipherSuite)
    }

    /// The share that the handshake goes on with, or else the group that the client is to be asked for. A group for
    /// which there is a share goes before a better one for which there is none: a round trip is worth more than the
    /// difference.
    pub(super) fn share(&self, config: &Config) -> Result<Result<(NamedGroup, &'a [u8]), NamedGroup>, CloseReason> {
        let common = || own_groups(config, Version::DTLS_1_3).filter(|group| self.groups.contains(group.0));
        match common().find_map(|group| Some((group, self.share_of(group)?))) {
            Some(share) => Ok(Ok(share)),
            None => common().next().map(Err).ok_or(CloseReason::NoCommonGroup),
        }
    }

    /// The share of a second hello, which is the one that was asked for, if one was.
    pub(super) fn second_share(
        &self,
        config: &Config,
        asked: Option<NamedGroup>,
    ) -> Result<(NamedGroup, &'a [u8]), CloseReason> {
        let share = match asked {
            Some(group) if self.shares.iter().count() == 1 => self.share_of(group).map(|share| (group, share)),
            Some(_) => None,
            None => self.share(config)?.ok(),
        };
        share.ok_or(CloseReason::IllegalParameter(
            "a second ClientHello has the share that was asked for (RFC 8446 §4.1.2)",
        ))
    }

    fn share_of(&self, group: NamedGroup) -> Option<&'a [u8]> {
        let mut shares = self.shares.iter();
        shares.find_map(|entry| (entry.group == group).then_some(entry.share))
    }
}

/// The cookie of DTLS 1.2 is not for this version, which has an extension for its own (RFC 9147 §5.3).
pub(crate) const fn check_legacy_cookie(hello: &ClientHello<'_>) -> Result<(), CloseReason> {
    if hello.cookie.is_empty() {
        return Ok(());
    }
    Err(CloseReason::IllegalParameter(
        "the legacy cookie of a ClientHello of DTLS 1.3 is empty (RFC 9147 §5.3)",
    ))
}

/// What a `HelloRetryRequest` settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) suite: CipherSuite,
    /// The group of the share that is asked for; `None` when the client's shares will do and a cookie alone is wanted.
    pub(crate) group: Option<NamedGroup>,
}

impl Retry {
    /// What a `HelloRetryRequest` in answer to this first `ClientHello` has to say, and the hash of the hello that goes
    /// into the transcript in its place (RFC 8446 §4.4.1).
    pub(crate) fn for_hello(config: &Config, body: &[u8]) -> Result<(Self, Digest), CloseReason> {
        let offered = Offered::parse(body)?;
        let (suite, parameters) = offered.suite(config)?;
        let group = offered.share(config)?.err();
        let length = u32::try_from(body.len()).map_err(|_| CloseReason::HandshakeTooLong)?;
        let [_, l0, l1, l2] = length.to_be_bytes();
        let message = [&[HandshakeType::CLIENT_HELLO.0, l0, l1, l2], body].concat();
        let hash = config.crypto.hash(parameters.hash, &message);
        Ok((Self { suite, group }, hash))
    }

    /// Writes the `HelloRetryRequest`; without a cookie when that is empty.
    pub(crate) fn write(&self, w: &mut Writer<'_>, cookie: &[u8]) -> Result<(), Full> {
        write_server_hello(w, HELLO_RETRY_REQUEST, self.suite, |w| {
            if let Some(group) = self.group {
                write_extension(w, ExtensionType::KEY_SHARE, |w| w.u16(group.0))?;
            }
            if !cookie.is_empty() {
                write_extension(w, ExtensionType::COOKIE, |w| {
                    let mark = w.reserve(2)?;
                    w.put(cookie)?;
                    w.fill_length(mark)
                })?;
            }
            Ok(())
        })
    }
}

/// A first `ClientHello` and its `HelloRetryRequest`, which nobody has kept: what a cookie has brought back of them.
#[derive(Debug)]
pub(crate) struct Retried {
    pub(crate) retry: Retry,
    /// The hash of the first `ClientHello`.
    pub(crate) hash: Digest,
    /// The body of the `HelloRetryRequest`.
    pub(crate) request: Vec<u8>,
}

/// Writes a `ServerHello` with the chosen version and more extensions.
pub(super) fn write_server_hello(
    w: &mut Writer<'_>,
    random: [u8; RANDOM_LEN],
    suite: CipherSuite,
    extensions: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<(), Full> {
    let head = ServerHello {
        version: Version::DTLS_1_2,
        random,
        session_id: &[],
        cipher_suite: suite,
        compression_method: 0,
        extensions: Extensions::default(),
    };
    head.write_head(w)?;
    let block = w.reserve(2)?;
    write_extension(w, ExtensionType::SUPPORTED_VERSIONS, |w| w.u16(Version::DTLS_1_3.0))?;
    extensions(w)?;
    w.fill_length(block)
}
