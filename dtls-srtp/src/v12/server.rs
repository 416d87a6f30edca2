use crate::association::Association;
use crate::connection_id::write_connection_id;
use crate::crypto::{CryptoError, KeyExchange};
use crate::event::CloseReason;
use crate::extension::{Extensions, List16, write_bytes8, write_extension};
use crate::hello::{ClientHello, DOWNGRADE_TO_1_2, RANDOM_LEN, ServerHello};
use crate::negotiation::{
    choose_profile, malformed, own_groups, own_scheme, requires_client_certificate, speaks, take_certificate, verify,
};
use crate::reassembly::Message;
use crate::registry::{
    CipherSuite, ClientCertificateType, ExtensionType, HandshakeType, NamedGroup, SignatureScheme, Version,
};
use crate::session::Session;
use crate::v12::Protection;
use crate::v12::message::{
    CertificateChain, CertificateRequest, CertificateVerify, ClientKeyExchange, ServerKeyExchange,
};
use crate::v12::negotiation::{Hellos, PROTECTED_EPOCH, own_suites};
use crate::v12::schedule::{End, Master};

/// The server's side of a DTLS 1.2 handshake (RFC 5246 §7.3, RFC 6347 §4.2). It sends no
/// `HelloVerifyRequest` itself: that is up to [`CookieExchange`](crate::CookieExchange), and behind ICE the peer's
/// address is proven already (RFC 6347 §4.2.1 wants the cookie against forged addresses).
pub(crate) struct Server {
    step: Step,
}

/// What the server waits for.
enum Step {
    Certificate(Hellos, Exchange),
    ClientKeyExchange(Hellos, Exchange),
    CertificateVerify(Keyed),
    Finished(Keyed),
    /// Nothing any more.
    Done,
}

struct Exchange {
    group: NamedGroup,
    ours: Box<dyn KeyExchange>,
}

/// A handshake whose keys are known; ours are not in use before the client's Finished proved right.
struct Keyed {
    session: Session,
    sealing: Protection,
}

impl Server {
    /// Answers a `ClientHello`: this version was chosen.
    pub(crate) fn begin(association: &mut Association, client_hello: &Message) -> Result<Self, CloseReason> {
        association.hear(client_hello)?;
        let (hellos, exchange) = answer_hello(association, &client_hello.body)?;
        let step = if requires_client_certificate(association) {
            Step::Certificate(hellos, exchange)
        } else {
            Step::ClientKeyExchange(hellos, exchange)
        };
        Ok(Self { step })
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
            (Step::Certificate(hellos, exchange), HandshakeType::CERTIFICATE) => {
                association.hear(message)?;
                let chain = CertificateChain::parse(body).map_err(malformed(message.message_type))?;
                take_certificate(association, chain.iter().next())?;
                Step::ClientKeyExchange(hellos, exchange)
            }
            (Step::ClientKeyExchange(hellos, exchange), HandshakeType::CLIENT_KEY_EXCHANGE) => {
                association.hear(message)?;
                let keyed = take_client_key_exchange(association, hellos, exchange, body)?;
                if requires_client_certificate(association) {
                    Step::CertificateVerify(keyed)
                } else {
                    Step::Finished(keyed)
                }
            }
            (Step::CertificateVerify(keyed), HandshakeType::CERTIFICATE_VERIFY) => {
                let signed = CertificateVerify::parse(body).map_err(malformed(message.message_type))?;
                verify(
                    association,
                    Version::DTLS_1_2,
                    signed.scheme,
                    association.transcript.as_bytes(),
                    signed.signature,
                )?;
                association.hear(message)?;
                Step::Finished(keyed)
            }
            (Step::Finished(keyed), HandshakeType::FINISHED) => {
                let master = keyed.session.secrets.master().ok_or(CloseReason::Internal)?;
                if !master.verifies(End::Client, association.transcript.as_bytes(), body) {
                    return Err(CloseReason::BadFinished);
                }
                association.hear(message)?;
                return finish(association, keyed).map(Some);
            }
            (_, message_type) => return Err(CloseReason::UnexpectedMessage(message_type)),
        };
        Ok(None)
    }
}

/// Sends the server's first flight: ServerHello, Certificate, ServerKeyExchange, CertificateRequest (if clients show
/// certificates), ServerHelloDone.
fn answer_hello(association: &mut Association, body: &[u8]) -> Result<(Hellos, Exchange), CloseReason> {
    let malformed = malformed(HandshakeType::CLIENT_HELLO);
    let hello = ClientHello::parse(body).map_err(&malformed)?;
    let extensions = hello.extensions;
    if !hello.compression_methods.contains(&0) {
        return Err(CloseReason::IllegalParameter(
            "the client offers no compression (RFC 5246 §7.4.1.2)",
        ));
    }
    let scsv = hello
        .cipher_suites
        .contains(CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV.0);
    let renegotiation = extensions.renegotiation_info().map_err(&malformed)?;
    if renegotiation.is_some_and(|info| !info.is_empty()) {
        return Err(CloseReason::IllegalParameter(
            "renegotiation_info of a first handshake is empty",
        ));
    }
    let point_formats = extensions.ec_point_formats().map_err(&malformed)?;
    if point_formats.is_some_and(|formats| !formats.contains(&0)) {
        return Err(CloseReason::IllegalParameter(
            "the client takes uncompressed points (RFC 8422 §5.1.2)",
        ));
    }
    if !extensions.contains(ExtensionType::EXTENDED_MASTER_SECRET) {
        return Err(CloseReason::NoExtendedMasterSecret);
    }

    let own_kind = association.config.certificate.key().kind();
    let (suite, parameters) = own_suites(&association.config)
        .find(|(suite, parameters)| parameters.authentication == own_kind && hello.cipher_suites.contains(suite.0))
        .ok_or(CloseReason::NoCommonCipherSuite)?;
    let group = match extensions.supported_groups().map_err(&malformed)? {
        Some(groups) => own_groups(&association.config, Version::DTLS_1_2).find(|group| groups.contains(group.0)),
        // RFC 8422 §4: without the extension the server may choose; P-256 is what everybody has.
        None => own_groups(&association.config, Version::DTLS_1_2).find(|&group| group == NamedGroup::SECP256R1),
    };
    let group = group.ok_or(CloseReason::NoCommonGroup)?;
    let schemes = extensions
        .signature_algorithms()
        .map_err(&malformed)?
        .unwrap_or_default();
    let scheme = own_scheme(association, Version::DTLS_1_2, schemes.iter())?;
    let srtp = choose_profile(association, &extensions)?;
    let connection_id = association.answer_connection_id(&extensions)?;

    let hellos = Hellos {
        suite,
        parameters,
        srtp,
        client_random: hello.random,
        server_random: server_random(association),
    };
    let seed = association.seed();
    let ours = association
        .config
        .crypto
        .start_key_exchange(group, &seed)
        .map_err(|_| CloseReason::Internal)?;
    let config = association.config.clone();

    association.begin_flight();
    association.say(HandshakeType::SERVER_HELLO, |w| {
        // An empty session id: the session will not be resumed (RFC 5246 §7.4.1.3).
        let head = ServerHello {
            version: Version::DTLS_1_2,
            random: hellos.server_random,
            session_id: &[],
            cipher_suite: suite,
            compression_method: 0,
            extensions: Extensions::default(),
        };
        head.write_head(w)?;
        let block = w.reserve(2)?;
        write_extension(w, ExtensionType::EXTENDED_MASTER_SECRET, |_| Ok(()))?;
        if scsv || renegotiation.is_some() {
            write_extension(w, ExtensionType::RENEGOTIATION_INFO, |w| write_bytes8(w, &[]))?;
        }
        if point_formats.is_some() {
            write_extension(w, ExtensionType::EC_POINT_FORMATS, |w| write_bytes8(w, &[0]))?;
        }
        if let Some(srtp) = srtp {
            srtp.write(w)?;
        }
        if let Some(id) = &connection_id {
            write_connection_id(w, id)?;
        }
        w.fill_length(block)
    })?;
    association.say(HandshakeType::CERTIFICATE, |w| {
        CertificateChain::write_one(w, config.certificate.der())
    })?;

    let mut parameters = vec![0; 4 + ours.share().len()];
    ServerKeyExchange::write_parameters(&mut wire::Writer::new(&mut parameters), group, ours.share())
        .map_err(|_| CloseReason::Internal)?;
    let signature = config
        .certificate
        .key()
        .sign(scheme, &hellos.signed_parameters(&parameters));
    let signature = signature.map_err(|_| CloseReason::Internal)?;
    association.say(HandshakeType::SERVER_KEY_EXCHANGE, |w| {
        w.put(&parameters)?;
        CertificateVerify {
            scheme,
            signature: &signature,
        }
        .write(w)
    })?;

    if requires_client_certificate(association) {
        ask_for_certificate(association)?;
    }
    association.say(HandshakeType::SERVER_HELLO_DONE, |_| Ok(()))?;
    association.send_flight();
    Ok((hellos, Exchange { group, ours }))
}

fn ask_for_certificate(association: &mut Association) -> Result<(), CloseReason> {
    let config = association.config.clone();
    let schemes: Vec<u8> = config
        .crypto
        .verification_schemes()
        .iter()
        .flat_map(|scheme: &SignatureScheme| scheme.0.to_be_bytes())
        .collect();
    let schemes = List16::read(&mut wire::Reader::new(&schemes)).map_err(|_| CloseReason::Internal)?;
    let certificate_types = [ClientCertificateType::ECDSA_SIGN.0, ClientCertificateType::RSA_SIGN.0];
    association.say(HandshakeType::CERTIFICATE_REQUEST, |w| {
        CertificateRequest {
            certificate_types: &certificate_types,
            schemes,
            authorities: &[],
        }
        .write(w)
    })
}

/// A server that could have spoken 1.3 says so in its random (RFC 8446 §4.1.3): a client that could have too then knows
/// that somebody has taken the version out of its hello.
fn server_random(association: &mut Association) -> [u8; RANDOM_LEN] {
    let mut random = association.hello_random();
    if speaks(&association.config, Version::DTLS_1_3)
        && let Some(tail) = random.last_chunk_mut()
    {
        *tail = DOWNGRADE_TO_1_2;
    }
    random
}

/// Derives all keys; records of the client can be opened from here on.
fn take_client_key_exchange(
    association: &mut Association,
    hellos: Hellos,
    exchange: Exchange,
    body: &[u8],
) -> Result<Keyed, CloseReason> {
    let theirs = ClientKeyExchange::parse(body).map_err(malformed(HandshakeType::CLIENT_KEY_EXCHANGE))?;
    let shared = exchange.ours.complete(theirs.share).map_err(|error| match error {
        CryptoError::InvalidShare => CloseReason::BadKeyShare,
        _ => CloseReason::Internal,
    })?;
    let master = Master::extended(
        association.config.crypto.clone(),
        hellos.parameters.hash,
        &shared,
        association.transcript.as_bytes(),
        hellos.client_random,
        hellos.server_random,
    );
    association.log_secret("CLIENT_RANDOM", master.client_random(), master.secret());
    let keys = master
        .record_keys(&hellos.parameters)
        .map_err(|_| CloseReason::Internal)?;
    association.records.install_opening(PROTECTED_EPOCH, keys.client);
    Ok(Keyed {
        session: hellos.into_session(exchange.group, master),
        sealing: keys.server,
    })
}

/// Sends the server's last flight: ChangeCipherSpec, Finished.
fn finish(association: &mut Association, keyed: Keyed) -> Result<Session, CloseReason> {
    let Keyed { session, sealing } = keyed;
    association.begin_flight();
    association.flight.push_change_cipher_spec(association.write_epoch);
    association.records.install_sealing(PROTECTED_EPOCH, sealing);
    association.write_epoch = PROTECTED_EPOCH;
    let master = session.secrets.master().ok_or(CloseReason::Internal)?;
    let verify_data = master.verify_data(End::Server, association.transcript.as_bytes());
    association.say(HandshakeType::FINISHED, |w| w.put(&verify_data))?;
    association.send_flight();
    Ok(session)
}
