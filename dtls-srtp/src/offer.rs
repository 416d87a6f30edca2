//! The beginning of a handshake, as long as its version is open: a client's `ClientHello`, which offers all versions at
//! once, until the server has chosen; a server until a `ClientHello` is there.

use std::fmt;

use crate::association::Association;
use crate::connection_id::write_connection_id;
use crate::crypto::KeyExchange;
use crate::event::CloseReason;
use crate::extension::{Extensions, List16, write_bytes8, write_extension, write_list16};
use crate::hello::{ClientHello, DOWNGRADES, HELLO_RETRY_REQUEST, RANDOM_LEN, ServerHello};
use crate::negotiation::{
    check_answers, check_policy, choose_version, malformed, own_groups, own_versions, speaks, write_use_srtp,
};
use crate::reassembly::Message;
use crate::registry::{CipherSuite, ExtensionType, HandshakeType, NamedGroup, Version};
use crate::resumption::SavedSession;
use crate::v12::HelloVerifyRequest;
use crate::v13::{KeyShareEntry, PskOffer, write_psk_modes};
use crate::{v12, v13};

/// A client whose server has not chosen the version.
pub(crate) struct Offer {
    random: [u8; RANDOM_LEN],
    /// Our shares for DTLS 1.3, best first.
    shares: Vec<(NamedGroup, Box<dyn KeyExchange>)>,
    /// How many `HelloVerifyRequest`s came.
    cookies: u8,
    /// What a `HelloRetryRequest` has settled.
    retry: Option<Retry>,
    /// The session that our hello offers to resume.
    session: Option<SavedSession>,
}

/// What a `HelloRetryRequest` has settled.
#[derive(Debug, Clone)]
struct Retry {
    suite: CipherSuite,
    cookie: Vec<u8>,
}

/// How an [`Offer`] goes on.
pub(crate) enum Answer {
    /// The server wanted another `ClientHello`, and it is on its way.
    Again,
    V12(v12::Client),
    V13(Box<v13::Client>),
}

impl Offer {
    /// One cookie is usual; a server that changes its secret in between gives a second one.
    const MAX_COOKIES: u8 = 3;

    /// The longest cookie that is given back in DTLS 1.3, in bytes; known servers make it a few hundred.
    const MAX_COOKIE_LEN: usize = 1024;

    /// Sends the first `ClientHello`, which offers to resume a session, if it fits.
    pub(crate) fn start(association: &mut Association, session: Option<SavedSession>) -> Result<Self, CloseReason> {
        let mut this = Self {
            random: association.hello_random(),
            shares: Vec::new(),
            cookies: 0,
            retry: None,
            session: session.filter(|session| session.fits(association)),
        };
        association.offer_connection_id();
        if own_versions(&association.config).next().is_none() {
            return Err(CloseReason::UnsupportedVersion);
        }
        if speaks(&association.config, Version::DTLS_1_3) {
            this.make_shares(association)?;
        }
        this.send(association, &[])?;
        Ok(this)
    }

    /// Takes the first message of the server's.
    pub(crate) fn handle(&mut self, association: &mut Association, message: &Message) -> Result<Answer, CloseReason> {
        match message.message_type {
            HandshakeType::HELLO_VERIFY_REQUEST if self.may_verify(association) => {
                let request = HelloVerifyRequest::parse(&message.body).map_err(malformed(message.message_type))?;
                self.cookies += 1;
                // RFC 6347 §4.2.1: neither the first ClientHello nor this request enter the transcript.
                association.transcript.clear();
                self.send(association, request.cookie)?;
                Ok(Answer::Again)
            }
            HandshakeType::SERVER_HELLO => self.take_server_hello(association, message),
            message_type => Err(CloseReason::UnexpectedMessage(message_type)),
        }
    }

    /// Whether our hello offers DTLS 1.3.
    pub(crate) const fn offers_13(&self) -> bool {
        !self.shares.is_empty()
    }

    fn may_verify(&self, association: &Association) -> bool {
        self.cookies < Self::MAX_COOKIES && self.retry.is_none() && speaks(&association.config, Version::DTLS_1_2)
    }

    fn take_server_hello(&mut self, association: &mut Association, message: &Message) -> Result<Answer, CloseReason> {
        let malformed = malformed(HandshakeType::SERVER_HELLO);
        let hello = ServerHello::parse(&message.body).map_err(&malformed)?;
        match hello.extensions.selected_version().map_err(&malformed)? {
            Some(Version::DTLS_1_3) if speaks(&association.config, Version::DTLS_1_3) => {
                if hello.random == HELLO_RETRY_REQUEST {
                    self.retry(association, message, &hello)?;
                    return Ok(Answer::Again);
                }
                let suite = self.retry.as_ref().map(|retry| retry.suite);
                let shares = std::mem::take(&mut self.shares);
                let session = self.session.take();
                let client = v13::Client::begin(association, self.random, shares, suite, session, message)?;
                Ok(Answer::V13(Box::new(client)))
            }
            Some(_) => Err(CloseReason::IllegalParameter(
                "the server picks an offered version (RFC 8446 §4.2.1)",
            )),
            None if self.retry.is_some() => Err(CloseReason::IllegalParameter(
                "the version stays that of the HelloRetryRequest (RFC 8446 §4.1.4)",
            )),
            None if !speaks(&association.config, Version::DTLS_1_2) => Err(CloseReason::UnsupportedVersion),
            None => {
                if speaks(&association.config, Version::DTLS_1_3)
                    && DOWNGRADES.iter().any(|mark| hello.random.ends_with(mark))
                {
                    return Err(CloseReason::Downgraded);
                }
                v12::Client::begin(association, self.random, message).map(Answer::V12)
            }
        }
    }

    /// Shares for our best group and, when that is a hybrid, for the best one that is not: a server that lacks the
    /// hybrid then need not ask for another hello. Both browsers offer the same two.
    fn make_shares(&mut self, association: &mut Association) -> Result<(), CloseReason> {
        let groups: Vec<_> = own_groups(&association.config, Version::DTLS_1_3).collect();
        let first = groups.first().copied().ok_or(CloseReason::NoCommonGroup)?;
        self.add_share(association, first)?;
        let classical = groups.into_iter().find(|&group| group != NamedGroup::X25519_MLKEM768);
        match classical {
            Some(second) if second != first => self.add_share(association, second),
            _ => Ok(()),
        }
    }

    fn add_share(&mut self, association: &mut Association, group: NamedGroup) -> Result<(), CloseReason> {
        let seed = association.seed();
        let exchange = association.config.crypto.start_key_exchange(group, &seed);
        self.shares.push((group, exchange.map_err(|_| CloseReason::Internal)?));
        Ok(())
    }

    /// The server wants another share, or its cookie back (RFC 8446 §4.1.4).
    fn retry(
        &mut self,
        association: &mut Association,
        message: &Message,
        hello: &ServerHello<'_>,
    ) -> Result<(), CloseReason> {
        let malformed = malformed(HandshakeType::SERVER_HELLO);
        if self.retry.is_some() {
            return Err(CloseReason::UnexpectedMessage(HandshakeType::SERVER_HELLO));
        }
        let suite = v13::offered_suite(association, hello)?;
        let belong = [
            ExtensionType::SUPPORTED_VERSIONS,
            ExtensionType::KEY_SHARE,
            ExtensionType::COOKIE,
        ];
        check_answers(association, &hello.extensions, &belong)?;
        let group = hello.extensions.retry_group().map_err(&malformed)?;
        let cookie = hello.extensions.cookie().map_err(&malformed)?.unwrap_or_default();
        if group.is_none() && cookie.is_empty() {
            return Err(CloseReason::IllegalParameter(
                "a HelloRetryRequest changes something (RFC 8446 §4.1.4)",
            ));
        }
        if cookie.len() > Self::MAX_COOKIE_LEN {
            return Err(CloseReason::HandshakeTooLong);
        }
        if let Some(group) = group {
            let offered = own_groups(&association.config, Version::DTLS_1_3).any(|ours| ours == group);
            if !offered || self.shares.iter().any(|(shared, _)| *shared == group) {
                return Err(CloseReason::IllegalParameter(
                    "a HelloRetryRequest asks for an offered group without a share (RFC 8446 §4.2.8)",
                ));
            }
            self.shares.clear();
            self.add_share(association, group)?;
        }
        self.retry = Some(Retry {
            suite: suite.0,
            cookie: cookie.to_vec(),
        });
        // RFC 8446 §4.1.4: no key that is for another hash.
        self.session.take_if(|session| session.hash() != suite.1.hash);
        association.transcript.become_13();
        let hash = association
            .config
            .crypto
            .hash(suite.1.hash, association.transcript.as_bytes());
        association.transcript.replace_by_hash(&hash);
        association.hear(message)?;
        self.send(association, &[])
    }

    fn send(&self, association: &mut Association, verify_cookie: &[u8]) -> Result<(), CloseReason> {
        let versions: Vec<_> = own_versions(&association.config).collect();
        let (v12, v13) = (
            versions.contains(&Version::DTLS_1_2),
            versions.contains(&Version::DTLS_1_3),
        );
        let of_12 = v12::own_suites(&association.config)
            .map(|(suite, _)| suite)
            .filter(|_| v12);
        let of_13 = v13::own_suites(&association.config)
            .map(|(suite, _)| suite)
            .filter(|_| v13);
        let suites: Vec<u8> = of_13.chain(of_12).flat_map(|suite| suite.0.to_be_bytes()).collect();
        let cipher_suites =
            List16::read(&mut wire::Reader::new(&suites)).map_err(|_| CloseReason::NoCommonCipherSuite)?;
        let best = if v13 { Version::DTLS_1_3 } else { Version::DTLS_1_2 };
        let groups: Vec<_> = own_groups(&association.config, best).map(|group| group.0).collect();
        let schemes: Vec<_> = association
            .config
            .crypto
            .verification_schemes()
            .iter()
            .map(|scheme| scheme.0)
            .collect();
        let mki = association.config.srtp_mki;
        let connection_id = association.offered_connection_id();
        let profiles: Vec<_> = association
            .config
            .srtp_profiles
            .iter()
            .map(|profile| profile.id().0)
            .collect();
        let head = ClientHello {
            version: Version::DTLS_1_2,
            random: self.random,
            session_id: &[],
            cookie: verify_cookie,
            cipher_suites,
            compression_methods: &[0],
            extensions: Extensions::default(),
        };
        let psk = self.session.as_ref().map(|session| PskOffer::new(association, session));
        association.offers_psk = psk.is_some();
        let asks_for_tickets = association.config.keep_sessions;
        association.begin_flight();
        association.say(HandshakeType::CLIENT_HELLO, |w| {
            head.write_head(w)?;
            let block = w.reserve(2)?;
            if v12 {
                write_extension(w, ExtensionType::EXTENDED_MASTER_SECRET, |_| Ok(()))?;
                write_extension(w, ExtensionType::RENEGOTIATION_INFO, |w| write_bytes8(w, &[]))?;
            }
            write_extension(w, ExtensionType::SUPPORTED_GROUPS, |w| write_list16(w, groups))?;
            if v12 {
                write_extension(w, ExtensionType::EC_POINT_FORMATS, |w| write_bytes8(w, &[0]))?;
            }
            write_extension(w, ExtensionType::SIGNATURE_ALGORITHMS, |w| write_list16(w, schemes))?;
            if !profiles.is_empty() {
                write_use_srtp(w, profiles, mki)?;
            }
            if let Some(id) = &connection_id {
                write_connection_id(w, id)?;
            }
            if v13 {
                write_extension(w, ExtensionType::SUPPORTED_VERSIONS, |w| {
                    let list = w.reserve(1)?;
                    for version in versions {
                        w.u16(version.0)?;
                    }
                    w.fill_length(list)
                })?;
                if let Some(retry) = self.retry.as_ref().filter(|retry| !retry.cookie.is_empty()) {
                    write_extension(w, ExtensionType::COOKIE, |w| {
                        let mark = w.reserve(2)?;
                        w.put(&retry.cookie)?;
                        w.fill_length(mark)
                    })?;
                }
                write_extension(w, ExtensionType::KEY_SHARE, |w| {
                    let list = w.reserve(2)?;
                    for (group, exchange) in &self.shares {
                        KeyShareEntry {
                            group: *group,
                            share: exchange.share(),
                        }
                        .write(w)?;
                    }
                    w.fill_length(list)
                })?;
                if asks_for_tickets {
                    write_psk_modes(w)?;
                }
            }
            let Some(psk) = &psk else {
                return w.fill_length(block);
            };
            psk.write(w)?;
            w.fill_length(block)?;
            psk.bind(w)
        })?;
        association.send_flight();
        Ok(())
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("cookies", &self.cookies)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// How a server goes on from a `ClientHello`.
pub(crate) enum Accepted {
    V12(v12::Server),
    V13(Box<v13::Server>),
}

/// Chooses the version for a first `ClientHello`, and answers it.
pub(crate) fn accept(association: &mut Association, message: &Message) -> Result<Accepted, CloseReason> {
    if message.message_type != HandshakeType::CLIENT_HELLO {
        return Err(CloseReason::UnexpectedMessage(message.message_type));
    }
    check_policy(association)?;
    let malformed = malformed(HandshakeType::CLIENT_HELLO);
    let hello = ClientHello::parse(&message.body).map_err(&malformed)?;
    match choose_version(&association.config, &hello)? {
        Version::DTLS_1_3 => {
            let server = v13::Server::begin(association, message)?;
            Ok(Accepted::V13(Box::new(server)))
        }
        _ => v12::Server::begin(association, message).map(Accepted::V12),
    }
}
