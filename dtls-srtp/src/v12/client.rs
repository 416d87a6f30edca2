use crate::association::Association;
use crate::crypto::CryptoError;
use crate::event::CloseReason;
use crate::hello::{RANDOM_LEN, ServerHello};
use crate::negotiation::{
    check_answers, chosen_profile, malformed, own_groups, own_scheme, requires_client_certificate, take_certificate,
    verify,
};
use crate::reassembly::Message;
use crate::registry::{ExtensionType, HandshakeType, NamedGroup, SignatureScheme, Version};
use crate::session::Session;
use crate::v12::message::{
    CertificateChain, CertificateRequest, CertificateVerify, ClientKeyExchange, ServerKeyExchange,
};
use crate::v12::negotiation::{Hellos, PROTECTED_EPOCH, own_suites};
use crate::v12::schedule::{End, Master};

/// The client's side of a DTLS 1.2 handshake (RFC 5246 §7.3, RFC 6347 §4.2).
#[derive(Debug)]
pub(crate) struct Client {
    step: Step,
}

/// What the client waits for.
#[derive(Debug)]
enum Step {
    Certificate(Hellos),
    ServerKeyExchange(Hellos),
    /// Or the ServerHelloDone, where our certificate is optional.
    CertificateRequest(Hellos, ServerShare),
    ServerHelloDone(Hellos, ServerShare, SignatureScheme),
    Finished(Session),
    /// Nothing any more.
    Done,
}

#[derive(Debug)]
struct ServerShare {
    group: NamedGroup,
    share: Vec<u8>,
}

/// Extensions that a server of DTLS 1.2 may answer.
const ANSWERED: [ExtensionType; 7] = [
    ExtensionType::EXTENDED_MASTER_SECRET,
    ExtensionType::RENEGOTIATION_INFO,
    ExtensionType::SUPPORTED_GROUPS,
    ExtensionType::EC_POINT_FORMATS,
    ExtensionType::SIGNATURE_ALGORITHMS,
    ExtensionType::USE_SRTP,
    ExtensionType::CONNECTION_ID,
];

impl Client {
    /// Goes on from the hellos: the server has chosen this version.
    pub(crate) fn begin(
        association: &mut Association,
        random: [u8; RANDOM_LEN],
        server_hello: &Message,
    ) -> Result<Self, CloseReason> {
        association.hear(server_hello)?;
        let hellos = take_server_hello(association, random, &server_hello.body)?;
        Ok(Self {
            step: Step::Certificate(hellos),
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
            (Step::Certificate(hellos), HandshakeType::CERTIFICATE) => {
                association.hear(message)?;
                let chain = CertificateChain::parse(body).map_err(malformed(message.message_type))?;
                take_certificate(association, chain.iter().next())?;
                Step::ServerKeyExchange(hellos)
            }
            (Step::ServerKeyExchange(hellos), HandshakeType::SERVER_KEY_EXCHANGE) => {
                association.hear(message)?;
                let share = take_server_key_exchange(association, &hellos, body)?;
                Step::CertificateRequest(hellos, share)
            }
            (Step::CertificateRequest(hellos, share), HandshakeType::CERTIFICATE_REQUEST) => {
                association.hear(message)?;
                let request = CertificateRequest::parse(body).map_err(malformed(message.message_type))?;
                Step::ServerHelloDone(
                    hellos,
                    share,
                    own_scheme(association, Version::DTLS_1_2, request.schemes.iter())?,
                )
            }
            (Step::CertificateRequest(..), HandshakeType::SERVER_HELLO_DONE)
                if requires_client_certificate(association) =>
            {
                return Err(CloseReason::NoCertificateRequest);
            }
            (Step::CertificateRequest(hellos, share), HandshakeType::SERVER_HELLO_DONE) => {
                take_server_hello_done(association, message)?;
                Step::Finished(answer(association, hellos, share, None)?)
            }
            (Step::ServerHelloDone(hellos, share, scheme), HandshakeType::SERVER_HELLO_DONE) => {
                take_server_hello_done(association, message)?;
                Step::Finished(answer(association, hellos, share, Some(scheme))?)
            }
            (Step::Finished(session), HandshakeType::FINISHED) => {
                let master = session.secrets.master().ok_or(CloseReason::Internal)?;
                if !master.verifies(End::Server, association.transcript.as_bytes(), body) {
                    return Err(CloseReason::BadFinished);
                }
                return Ok(Some(session));
            }
            (_, message_type) => return Err(CloseReason::UnexpectedMessage(message_type)),
        };
        Ok(None)
    }
}

fn take_server_hello(
    association: &mut Association,
    random: [u8; RANDOM_LEN],
    body: &[u8],
) -> Result<Hellos, CloseReason> {
    let malformed = malformed(HandshakeType::SERVER_HELLO);
    let hello = ServerHello::parse(body).map_err(&malformed)?;
    if hello.version != Version::DTLS_1_2 {
        return Err(CloseReason::UnsupportedVersion);
    }
    let chosen = own_suites(&association.config).find(|(suite, _)| *suite == hello.cipher_suite);
    let (suite, parameters) = chosen.ok_or(CloseReason::IllegalParameter("the server picks an offered suite"))?;
    if hello.compression_method != 0 {
        return Err(CloseReason::IllegalParameter(
            "the server picks an offered compression method",
        ));
    }
    let extensions = hello.extensions;
    check_answers(association, &extensions, &ANSWERED)?;
    if !extensions.contains(ExtensionType::EXTENDED_MASTER_SECRET) {
        return Err(CloseReason::NoExtendedMasterSecret);
    }
    if extensions
        .renegotiation_info()
        .map_err(&malformed)?
        .is_some_and(|info| !info.is_empty())
    {
        return Err(CloseReason::IllegalParameter(
            "renegotiation_info of a first handshake is empty",
        ));
    }
    let srtp = chosen_profile(association, &extensions, HandshakeType::SERVER_HELLO)?;
    association.take_connection_id(&extensions)?;
    Ok(Hellos {
        suite,
        parameters,
        srtp,
        client_random: random,
        server_random: hello.random,
    })
}

fn take_server_key_exchange(
    association: &Association,
    hellos: &Hellos,
    body: &[u8],
) -> Result<ServerShare, CloseReason> {
    let exchange = ServerKeyExchange::parse(body).map_err(malformed(HandshakeType::SERVER_KEY_EXCHANGE))?;
    if !own_groups(&association.config, Version::DTLS_1_2).any(|group| group == exchange.group) {
        return Err(CloseReason::IllegalParameter("the server picks an offered group"));
    }
    if exchange.scheme.key_kind() != Some(hellos.parameters.authentication) {
        return Err(CloseReason::IllegalParameter(
            "the server signs with the kind of key that the suite names",
        ));
    }
    verify(
        association,
        Version::DTLS_1_2,
        exchange.scheme,
        &hellos.signed_parameters(exchange.parameters),
        exchange.signature,
    )?;
    Ok(ServerShare {
        group: exchange.group,
        share: exchange.share.to_vec(),
    })
}

fn take_server_hello_done(association: &mut Association, message: &Message) -> Result<(), CloseReason> {
    association.hear(message)?;
    wire::Reader::new(&message.body)
        .finish()
        .map_err(malformed(message.message_type))
}

/// Sends the client's second flight: Certificate, ClientKeyExchange, CertificateVerify, ChangeCipherSpec, Finished. Where
/// no certificate was asked for there is no scheme either, and the flight has neither Certificate nor CertificateVerify.
fn answer(
    association: &mut Association,
    hellos: Hellos,
    server: ServerShare,
    scheme: Option<SignatureScheme>,
) -> Result<Session, CloseReason> {
    let seed = association.seed();
    let exchange = association
        .config
        .crypto
        .start_key_exchange(server.group, &seed)
        .map_err(|_| CloseReason::Internal)?;
    let config = association.config.clone();
    association.begin_flight();
    if scheme.is_some() {
        association.say(HandshakeType::CERTIFICATE, |w| {
            CertificateChain::write_one(w, config.certificate.der())
        })?;
    }
    association.say(HandshakeType::CLIENT_KEY_EXCHANGE, |w| {
        ClientKeyExchange {
            share: exchange.share(),
        }
        .write(w)
    })?;

    let shared = exchange.complete(&server.share).map_err(|error| match error {
        CryptoError::InvalidShare => CloseReason::BadKeyShare,
        _ => CloseReason::Internal,
    })?;
    let master = Master::extended(
        config.crypto.clone(),
        hellos.parameters.hash,
        &shared,
        association.transcript.as_bytes(),
        hellos.client_random,
        hellos.server_random,
    );
    association.log_secret("CLIENT_RANDOM", master.client_random(), master.secret());

    if let Some(scheme) = scheme {
        let signature = config.certificate.key().sign(scheme, association.transcript.as_bytes());
        let signature = signature.map_err(|_| CloseReason::Internal)?;
        association.say(HandshakeType::CERTIFICATE_VERIFY, |w| {
            CertificateVerify {
                scheme,
                signature: &signature,
            }
            .write(w)
        })?;
    }

    let keys = master
        .record_keys(&hellos.parameters)
        .map_err(|_| CloseReason::Internal)?;
    association.flight.push_change_cipher_spec(association.write_epoch);
    association.records.install_sealing(PROTECTED_EPOCH, keys.client);
    association.records.install_opening(PROTECTED_EPOCH, keys.server);
    association.write_epoch = PROTECTED_EPOCH;
    let verify_data = master.verify_data(End::Client, association.transcript.as_bytes());
    association.say(HandshakeType::FINISHED, |w| w.put(&verify_data))?;
    association.send_flight();
    Ok(hellos.into_session(server.group, master))
}
