use crate::association::Association;
use crate::crypto::{CryptoError, KeyExchange};
use crate::event::CloseReason;
use crate::hello::{RANDOM_LEN, ServerHello};
use crate::negotiation::{AgreedSrtp, check_answers, chosen_profile, malformed, requires_client_certificate};
use crate::reassembly::Message;
use crate::registry::{CipherSuite, ExtensionType, HandshakeType, NamedGroup, SignatureScheme};
use crate::resumption::SavedSession;
use crate::session::Session;
use crate::v13::message::{CLIENT_SIGNATURE, CertificateRequest13, EncryptedExtensions, SERVER_SIGNATURE};
use crate::v13::negotiation::{
    FIRST_APPLICATION_EPOCH, HANDSHAKE_EPOCH, Hellos, hkdf, log_application, log_handshake, offered_suite,
    say_certificate, say_finished, scheme, session, take_certificate, verify,
};
use crate::v13::resumption::{agreed_session, client_resumable};
use crate::v13::schedule::{EarlySecret, HandshakeSecrets};

/// The client's side of a DTLS 1.3 handshake from the `ServerHello` on (RFC 8446 §2, RFC 9147 §5.7).
#[derive(Debug)]
pub(crate) struct Client {
    hellos: Hellos,
    /// The session that goes on.
    resumed: Option<SavedSession>,
    step: Step,
}

/// What the client waits for.
#[derive(Debug)]
enum Step {
    EncryptedExtensions,
    /// Or the server's certificate, where ours is optional.
    CertificateRequest(Option<AgreedSrtp>),
    Certificate(Option<AgreedSrtp>, SignatureScheme),
    /// From here on with the scheme that we sign with, if we were asked for a certificate.
    CertificateVerify(Option<AgreedSrtp>, Option<SignatureScheme>),
    Finished(Option<AgreedSrtp>, Option<SignatureScheme>),
    /// Nothing any more.
    Done,
}

/// Extensions that a server answers in `EncryptedExtensions` (RFC 8446 §4.2).
const ANSWERED: [ExtensionType; 2] = [ExtensionType::SUPPORTED_GROUPS, ExtensionType::USE_SRTP];

impl Client {
    /// Goes on from the hellos: the server has chosen this version. `suite` is that of a `HelloRetryRequest`, if there
    /// was one, and `session` the one that our hello offers.
    pub(crate) fn begin(
        association: &mut Association,
        random: [u8; RANDOM_LEN],
        shares: Vec<(NamedGroup, Box<dyn KeyExchange>)>,
        suite: Option<CipherSuite>,
        session: Option<SavedSession>,
        server_hello: &Message,
    ) -> Result<Self, CloseReason> {
        let malformed = malformed(HandshakeType::SERVER_HELLO);
        let hello = ServerHello::parse(&server_hello.body).map_err(&malformed)?;
        let chosen = offered_suite(association, &hello)?;
        if suite.is_some_and(|suite| suite != chosen.0) {
            return Err(CloseReason::IllegalParameter(
                "the suite stays that of the HelloRetryRequest (RFC 8446 §4.1.4)",
            ));
        }
        let belong = [
            ExtensionType::SUPPORTED_VERSIONS,
            ExtensionType::KEY_SHARE,
            ExtensionType::CONNECTION_ID,
            ExtensionType::PRE_SHARED_KEY,
        ];
        check_answers(association, &hello.extensions, &belong)?;
        let resumed = agreed_session(association, &hello.extensions, session, chosen.1)?;
        association.take_connection_id(&hello.extensions)?;
        let theirs = hello
            .extensions
            .server_key_share()
            .map_err(&malformed)?
            .ok_or(CloseReason::IllegalParameter(
                "a ServerHello has a key share (RFC 8446 §4.2.8)",
            ))?;
        let ours = shares
            .into_iter()
            .find_map(|(group, exchange)| (group == theirs.group).then_some(exchange));
        let ours = ours.ok_or(CloseReason::IllegalParameter(
            "the server's key share answers one of ours (RFC 8446 §4.2.8)",
        ))?;
        let shared = ours.complete(theirs.share).map_err(|error| match error {
            CryptoError::InvalidShare => CloseReason::BadKeyShare,
            _ => CloseReason::Internal,
        })?;

        association.transcript.become_13();
        association.hear(server_hello)?;
        let secrets = HandshakeSecrets::new(
            &EarlySecret::new(
                hkdf(association, chosen.1.hash),
                resumed.as_ref().map(SavedSession::psk),
            ),
            chosen.1,
            &shared,
            association.transcript.as_bytes(),
        );
        let hellos = Hellos {
            suite: chosen.0,
            parameters: chosen.1,
            group: theirs.group,
            client_random: random,
            secrets,
        };
        log_handshake(association, &hellos);
        let protection = |traffic: &crate::v13::schedule::Traffic| {
            traffic.protection(HANDSHAKE_EPOCH).map_err(|_| CloseReason::Internal)
        };
        let (sealing, opening) = (protection(&hellos.secrets.client)?, protection(&hellos.secrets.server)?);
        association.records.install_sealing(HANDSHAKE_EPOCH, sealing);
        association.records.install_opening(HANDSHAKE_EPOCH, opening);
        association.write_epoch = HANDSHAKE_EPOCH;
        // The server has our hello (RFC 9147 §7.1). What is missing of its flight is asked for by acknowledgements.
        association.flight.clear();
        Ok(Self {
            hellos,
            resumed,
            step: Step::EncryptedExtensions,
        })
    }

    /// Takes the next message of the server's. `Some` when the handshake is complete.
    pub(crate) fn handle(
        &mut self,
        association: &mut Association,
        message: &Message,
    ) -> Result<Option<Session>, CloseReason> {
        let step = std::mem::replace(&mut self.step, Step::Done);
        let body = &message.body[..];
        self.step = match (step, message.message_type) {
            (Step::EncryptedExtensions, HandshakeType::ENCRYPTED_EXTENSIONS) => {
                association.hear(message)?;
                let srtp = take_encrypted_extensions(association, body)?;
                match &self.resumed {
                    // The server has the session's key. Nobody shows a certificate (RFC 8446 §2.2).
                    Some(session) => {
                        association.identity.set_certificate(session.peer_certificate())?;
                        Step::Finished(srtp, None)
                    }
                    None => Step::CertificateRequest(srtp),
                }
            }
            (Step::CertificateRequest(srtp), HandshakeType::CERTIFICATE_REQUEST) => {
                association.hear(message)?;
                Step::Certificate(srtp, take_certificate_request(association, body)?)
            }
            (Step::CertificateRequest(_), HandshakeType::CERTIFICATE | HandshakeType::FINISHED)
                if requires_client_certificate(association) =>
            {
                return Err(CloseReason::NoCertificateRequest);
            }
            (Step::CertificateRequest(srtp), HandshakeType::CERTIFICATE) => {
                association.hear(message)?;
                take_certificate(association, body)?;
                Step::CertificateVerify(srtp, None)
            }
            (Step::Certificate(srtp, scheme), HandshakeType::CERTIFICATE) => {
                association.hear(message)?;
                take_certificate(association, body)?;
                Step::CertificateVerify(srtp, Some(scheme))
            }
            (Step::CertificateVerify(srtp, scheme), HandshakeType::CERTIFICATE_VERIFY) => {
                verify(association, &self.hellos, SERVER_SIGNATURE, body)?;
                association.hear(message)?;
                Step::Finished(srtp, scheme)
            }
            (Step::Finished(srtp, scheme), HandshakeType::FINISHED) => {
                let transcript = association.transcript.as_bytes();
                if !self.hellos.secrets.server.verifies(transcript, body) {
                    return Err(CloseReason::BadFinished);
                }
                association.hear(message)?;
                return self.answer(association, srtp, scheme).map(Some);
            }
            (_, message_type) => return Err(CloseReason::UnexpectedMessage(message_type)),
        };
        Ok(None)
    }

    /// Sends the client's last flight: Certificate and CertificateVerify, if they were asked for, and Finished.
    fn answer(
        &self,
        association: &mut Association,
        srtp: Option<AgreedSrtp>,
        scheme: Option<SignatureScheme>,
    ) -> Result<Session, CloseReason> {
        let secrets = self.hellos.secrets.application(association.transcript.as_bytes());
        log_application(association, &self.hellos, &secrets);
        association.begin_flight();
        if let Some(scheme) = scheme {
            say_certificate(association, &self.hellos, scheme, CLIENT_SIGNATURE)?;
        }
        say_finished(association, &self.hellos.secrets.client)?;
        association.send_flight();
        let keys = |traffic: &crate::v13::schedule::Traffic| {
            traffic
                .protection(FIRST_APPLICATION_EPOCH)
                .map_err(|_| CloseReason::Internal)
        };
        let (sealing, opening) = (keys(&secrets.client)?, keys(&secrets.server)?);
        association.records.install_sealing(FIRST_APPLICATION_EPOCH, sealing);
        association.records.install_opening(FIRST_APPLICATION_EPOCH, opening);
        association.write_epoch = FIRST_APPLICATION_EPOCH;
        let resumed = self.resumed.as_ref();
        let resumable = client_resumable(association, &secrets, resumed, scheme.is_some());
        Ok(session(
            &self.hellos,
            srtp,
            (secrets.client, secrets.server, secrets.exporter),
            resumed.is_some(),
            resumable,
        ))
    }
}

fn take_encrypted_extensions(association: &Association, body: &[u8]) -> Result<Option<AgreedSrtp>, CloseReason> {
    let message = EncryptedExtensions::parse(body).map_err(malformed(HandshakeType::ENCRYPTED_EXTENSIONS))?;
    check_answers(association, &message.extensions, &ANSWERED)?;
    chosen_profile(association, &message.extensions, HandshakeType::ENCRYPTED_EXTENSIONS)
}

fn take_certificate_request(association: &Association, body: &[u8]) -> Result<SignatureScheme, CloseReason> {
    let malformed = malformed(HandshakeType::CERTIFICATE_REQUEST);
    let request = CertificateRequest13::parse(body).map_err(&malformed)?;
    if !request.context.is_empty() {
        return Err(CloseReason::IllegalParameter(
            "a certificate request of the handshake has no context (RFC 8446 §4.3.2)",
        ));
    }
    let schemes =
        request
            .extensions
            .signature_algorithms()
            .map_err(&malformed)?
            .ok_or(CloseReason::IllegalParameter(
                "a certificate request names signature schemes (RFC 8446 §4.3.2)",
            ))?;
    scheme(association, schemes.iter())
}
