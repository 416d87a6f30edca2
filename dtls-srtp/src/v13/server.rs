use crate::association::Association;
use crate::crypto::{CryptoError, SuiteParameters13};
use crate::event::CloseReason;
use crate::extension::{Extensions, write_extension};
use crate::hello::{ClientHello, HELLO_RETRY_REQUEST, RANDOM_LEN, ServerHello};
use crate::negotiation::{AgreedSrtp, choose_profile, malformed, own_groups, requires_client_certificate};
use crate::reassembly::Message;
use crate::registry::{CipherSuite, ExtensionType, HandshakeType, NamedGroup, Version};
use crate::session::Session;
use crate::v13::message::{CLIENT_SIGNATURE, CertificateRequest13, KeyShareEntry, KeyShares, SERVER_SIGNATURE};
use crate::v13::negotiation::{
    FIRST_APPLICATION_EPOCH, HANDSHAKE_EPOCH, Hellos, hkdf, log_application, log_handshake, own_suites,
    say_certificate, say_finished, scheme, session, take_certificate, verify,
};
use crate::v13::schedule::{ApplicationSecrets, HandshakeSecrets, Traffic};

/// The server's side of a DTLS 1.3 handshake (RFC 8446 §2, RFC 9147 §5.7). Behind ICE the peer's address is proven
/// already, so no cookie is asked for (RFC 9147 §5.1).
#[derive(Debug)]
pub(crate) struct Server {
    step: Step,
}

/// What the server waits for.
#[derive(Debug)]
enum Step {
    /// A second `ClientHello`, with a share of this group.
    ClientHello(Retry),
    Certificate(Flying),
    CertificateVerify(Flying),
    Finished(Flying),
    /// Nothing any more.
    Done,
}

/// What a `HelloRetryRequest` has settled.
#[derive(Debug, Clone, Copy)]
struct Retry {
    suite: CipherSuite,
    group: NamedGroup,
}

/// A handshake of which our part is said.
#[derive(Debug)]
struct Flying {
    hellos: Hellos,
    srtp: Option<AgreedSrtp>,
    secrets: ApplicationSecrets,
}

impl Server {
    /// Answers a first `ClientHello`: this version was chosen.
    pub(crate) fn begin(association: &mut Association, client_hello: &Message) -> Result<Self, CloseReason> {
        association.transcript.become_13();
        let step = answer(association, client_hello, None)?;
        Ok(Self { step })
    }

    /// Whether the client's next message is still in the clear.
    pub(crate) const fn awaits_hello(&self) -> bool {
        matches!(self.step, Step::ClientHello(_))
    }

    /// Takes the next message of the client's. `Some` when the handshake is complete.
    pub(crate) fn handle(
        &mut self,
        association: &mut Association,
        message: &Message,
    ) -> Result<Option<Session>, CloseReason> {
        let step = std::mem::replace(&mut self.step, Step::Done);
        let body = &message.body[..];
        self.step = match (step, message.message_type) {
            (Step::ClientHello(retry), HandshakeType::CLIENT_HELLO) => answer(association, message, Some(retry))?,
            (Step::Certificate(flying), HandshakeType::CERTIFICATE) => {
                association.hear(message)?;
                // The client has our flight (RFC 9147 §7.1).
                association.flight.clear();
                take_certificate(association, body)?;
                Step::CertificateVerify(flying)
            }
            (Step::CertificateVerify(flying), HandshakeType::CERTIFICATE_VERIFY) => {
                verify(association, &flying.hellos, CLIENT_SIGNATURE, body)?;
                association.hear(message)?;
                Step::Finished(flying)
            }
            (Step::Finished(flying), HandshakeType::FINISHED) => {
                // As above, when no certificate was asked for.
                association.flight.clear();
                let Flying { hellos, srtp, secrets } = flying;
                if !hellos.secrets.client.verifies(association.transcript.as_bytes(), body) {
                    return Err(CloseReason::BadFinished);
                }
                // Nothing answers the client's last flight (RFC 9147 §7.1).
                association.received.due = true;
                return Ok(Some(session(
                    &hellos,
                    srtp,
                    secrets.server,
                    secrets.client,
                    secrets.exporter,
                )));
            }
            (_, message_type) => return Err(CloseReason::UnexpectedMessage(message_type)),
        };
        Ok(None)
    }
}

/// Answers a `ClientHello`: with everything up to our Finished, or by asking for another one.
fn answer(association: &mut Association, message: &Message, retry: Option<Retry>) -> Result<Step, CloseReason> {
    let malformed = malformed(HandshakeType::CLIENT_HELLO);
    let hello = ClientHello::parse(&message.body).map_err(&malformed)?;
    let extensions = hello.extensions;
    if hello.compression_methods != [0] {
        return Err(CloseReason::IllegalParameter(
            "a ClientHello of DTLS 1.3 offers no compression and nothing else (RFC 8446 §4.1.2)",
        ));
    }
    if !hello.cookie.is_empty() {
        return Err(CloseReason::IllegalParameter(
            "the legacy cookie of a ClientHello of DTLS 1.3 is empty (RFC 9147 §5.3)",
        ));
    }
    let versions = extensions.supported_versions().map_err(&malformed)?;
    if !versions.is_some_and(|versions| versions.contains(Version::DTLS_1_3.0)) {
        return Err(CloseReason::IllegalParameter(
            "the version stays that of the HelloRetryRequest (RFC 8446 §4.1.4)",
        ));
    }
    // RFC 8446 §9.2: what a ClientHello without pre-shared keys has.
    let missing = || CloseReason::MissingExtension;
    let groups = extensions.supported_groups().map_err(&malformed)?.ok_or_else(missing)?;
    let shares = extensions
        .client_key_shares()
        .map_err(&malformed)?
        .ok_or_else(missing)?;
    let schemes = extensions
        .signature_algorithms()
        .map_err(&malformed)?
        .ok_or_else(missing)?;

    let (suite, parameters) = own_suites(&association.config)
        .find(|(suite, _)| hello.cipher_suites.contains(suite.0))
        .ok_or(CloseReason::NoCommonCipherSuite)?;
    let scheme = scheme(association, schemes.iter())?;
    let srtp = choose_profile(association, &extensions)?;
    let common = own_groups(&association.config, Version::DTLS_1_3).filter(|group| groups.contains(group.0));
    let common: Vec<_> = common.collect();

    let Some((group, share)) = chosen_share(&common, &shares, retry)? else {
        let group = common.first().copied().ok_or(CloseReason::NoCommonGroup)?;
        association.hear(message)?;
        return ask_again(association, suite, parameters, group);
    };
    if retry.is_some_and(|retry| retry.suite != suite) {
        return Err(CloseReason::IllegalParameter(
            "a second ClientHello offers what the first did (RFC 8446 §4.1.2)",
        ));
    }
    association.hear(message)?;

    let seed = association.seed();
    let config = association.config.clone();
    let (ours, shared) = config
        .crypto
        .answer_key_exchange(group, share, &seed)
        .map_err(|error| match error {
            CryptoError::InvalidShare => CloseReason::BadKeyShare,
            _ => CloseReason::Internal,
        })?;
    let random = association.hello_random();
    association.begin_flight();
    say_server_hello(association, random, suite, |w| {
        KeyShareEntry { group, share: &ours }.write(w)
    })?;

    let secrets = HandshakeSecrets::new(
        hkdf(association, parameters),
        parameters,
        &shared,
        association.transcript.as_bytes(),
    );
    let hellos = Hellos {
        suite,
        parameters,
        group,
        client_random: hello.random,
        secrets,
    };
    log_handshake(association, &hellos);
    install(
        association,
        HANDSHAKE_EPOCH,
        &hellos.secrets.server,
        &hellos.secrets.client,
    )?;
    association.say(HandshakeType::ENCRYPTED_EXTENSIONS, |w| {
        let block = w.reserve(2)?;
        if let Some(srtp) = srtp {
            srtp.write(w)?;
        }
        w.fill_length(block)
    })?;
    let asks = requires_client_certificate(association);
    if asks {
        let wanted = config.crypto.verification_schemes().iter().map(|scheme| scheme.0);
        association.say(HandshakeType::CERTIFICATE_REQUEST, |w| {
            CertificateRequest13::write_schemes(w, wanted)
        })?;
    }
    say_certificate(association, &hellos, scheme, SERVER_SIGNATURE)?;
    say_finished(association, &hellos.secrets.server)?;
    let secrets = hellos.secrets.application(association.transcript.as_bytes());
    log_application(association, &hellos, &secrets);
    install(association, FIRST_APPLICATION_EPOCH, &secrets.server, &secrets.client)?;
    association.send_flight();
    let flying = Flying { hellos, srtp, secrets };
    Ok(if asks {
        Step::Certificate(flying)
    } else {
        Step::Finished(flying)
    })
}

/// The share that the handshake goes on with; `None` when the client has to be asked for one. A group for which there is
/// a share goes before a better one for which there is none: a round trip is worth more than the difference.
fn chosen_share<'a>(
    common: &[NamedGroup],
    shares: &KeyShares<'a>,
    retry: Option<Retry>,
) -> Result<Option<(NamedGroup, &'a [u8])>, CloseReason> {
    let share_of = |group: NamedGroup| {
        shares
            .iter()
            .find(|entry| entry.group == group)
            .map(|entry| entry.share)
    };
    match retry {
        None => Ok(common.iter().find_map(|&group| Some((group, share_of(group)?)))),
        Some(Retry { group, .. }) => {
            let share = share_of(group).filter(|_| shares.iter().count() == 1);
            let share = share.ok_or(CloseReason::IllegalParameter(
                "a second ClientHello has the share that was asked for (RFC 8446 §4.1.2)",
            ))?;
            Ok(Some((group, share)))
        }
    }
}

/// Sends a `HelloRetryRequest` (RFC 8446 §4.1.4).
fn ask_again(
    association: &mut Association,
    suite: CipherSuite,
    parameters: SuiteParameters13,
    group: NamedGroup,
) -> Result<Step, CloseReason> {
    let hash = association
        .config
        .crypto
        .hash(parameters.hash, association.transcript.as_bytes());
    association.transcript.replace_by_hash(&hash);
    association.begin_flight();
    say_server_hello(association, HELLO_RETRY_REQUEST, suite, |w| w.u16(group.0))?;
    association.send_flight();
    Ok(Step::ClientHello(Retry { suite, group }))
}

fn say_server_hello(
    association: &mut Association,
    random: [u8; RANDOM_LEN],
    suite: CipherSuite,
    key_share: impl FnOnce(&mut wire::Writer<'_>) -> Result<(), wire::Full>,
) -> Result<(), CloseReason> {
    association.say(HandshakeType::SERVER_HELLO, |w| {
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
        write_extension(w, ExtensionType::KEY_SHARE, key_share)?;
        w.fill_length(block)
    })
}

/// Puts the keys of an epoch in use; what is said from here on goes out in it.
fn install(association: &mut Association, epoch: u16, ours: &Traffic, theirs: &Traffic) -> Result<(), CloseReason> {
    let keys = |traffic: &Traffic| traffic.protection(epoch).map_err(|_| CloseReason::Internal);
    let (sealing, opening) = (keys(ours)?, keys(theirs)?);
    association.records.install_sealing(epoch, sealing);
    association.records.install_opening(epoch, opening);
    association.write_epoch = epoch;
    Ok(())
}
