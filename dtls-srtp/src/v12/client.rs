use crate::association::Association;
use crate::crypto::CryptoError;
use crate::event::CloseReason;
use crate::extension::{Extensions, List16, write_bytes8, write_extension, write_list16};
use crate::hello::{ClientHello, RANDOM_LEN, ServerHello};
use crate::profile::SrtpProfile;
use crate::reassembly::Message;
use crate::registry::{ExtensionType, HandshakeType, NamedGroup, SignatureScheme, Version};
use crate::session::Session;
use crate::v12::message::{
    CertificateChain, CertificateRequest, CertificateVerify, ClientKeyExchange, HelloVerifyRequest, ServerKeyExchange,
};
use crate::v12::negotiation::{
    Hellos, PROTECTED_EPOCH, malformed, own_groups, own_scheme, own_suites, take_certificate, verify,
};
use crate::v12::schedule::{End, Master};

/// The client's side of a DTLS 1.2 handshake (RFC 5246 §7.3, RFC 6347 §4.2).
#[derive(Debug)]
pub(crate) struct Client {
    random: [u8; RANDOM_LEN],
    step: Step,
}

/// What the client waits for.
#[derive(Debug)]
enum Step {
    /// A `ServerHello`, or another `HelloVerifyRequest` after so many.
    ServerHello {
        cookies: u8,
    },
    Certificate(Hellos),
    ServerKeyExchange(Hellos),
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

/// Extensions that our `ClientHello` carries; a server must not answer any other (RFC 5246 §7.4.1.4).
const OFFERED: [ExtensionType; 6] = [
    ExtensionType::EXTENDED_MASTER_SECRET,
    ExtensionType::RENEGOTIATION_INFO,
    ExtensionType::SUPPORTED_GROUPS,
    ExtensionType::EC_POINT_FORMATS,
    ExtensionType::SIGNATURE_ALGORITHMS,
    ExtensionType::USE_SRTP,
];

impl Client {
    /// One cookie is usual; a server that changes its secret in between gives a second one.
    const MAX_COOKIES: u8 = 3;

    /// Sends the first `ClientHello`.
    pub(crate) fn start(association: &mut Association) -> Result<Self, CloseReason> {
        let this = Self {
            random: association.hello_random(),
            step: Step::ServerHello { cookies: 0 },
        };
        this.send_hello(association, &[])?;
        Ok(this)
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
            (Step::ServerHello { cookies }, HandshakeType::HELLO_VERIFY_REQUEST) if cookies < Self::MAX_COOKIES => {
                let request = HelloVerifyRequest::parse(body).map_err(malformed(message.message_type))?;
                // RFC 6347 §4.2.1: neither the first ClientHello nor this request enter the transcript.
                association.transcript.clear();
                self.send_hello(association, request.cookie)?;
                Step::ServerHello { cookies: cookies + 1 }
            }
            (Step::ServerHello { .. }, HandshakeType::SERVER_HELLO) => {
                association.hear(message)?;
                Step::Certificate(self.take_server_hello(association, body)?)
            }
            (Step::Certificate(hellos), HandshakeType::CERTIFICATE) => {
                association.hear(message)?;
                take_certificate(association, body)?;
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
                Step::ServerHelloDone(hellos, share, own_scheme(association, request.schemes.iter())?)
            }
            (Step::CertificateRequest(..), HandshakeType::SERVER_HELLO_DONE) => {
                return Err(CloseReason::NoCertificateRequest);
            }
            (Step::ServerHelloDone(hellos, share, scheme), HandshakeType::SERVER_HELLO_DONE) => {
                association.hear(message)?;
                wire::Reader::new(body)
                    .finish()
                    .map_err(malformed(message.message_type))?;
                Step::Finished(answer(association, hellos, share, scheme)?)
            }
            (Step::Finished(session), HandshakeType::FINISHED) => {
                if !session
                    .master
                    .verifies(End::Server, association.transcript.as_bytes(), body)
                {
                    return Err(CloseReason::BadFinished);
                }
                return Ok(Some(session));
            }
            (_, message_type) => return Err(CloseReason::UnexpectedMessage(message_type)),
        };
        Ok(None)
    }

    fn send_hello(&self, association: &mut Association, cookie: &[u8]) -> Result<(), CloseReason> {
        let suites: Vec<u8> = own_suites(association)
            .flat_map(|(suite, _)| suite.0.to_be_bytes())
            .collect();
        let cipher_suites =
            List16::read(&mut wire::Reader::new(&suites)).map_err(|_| CloseReason::NoCommonCipherSuite)?;
        let groups: Vec<_> = own_groups(association).map(|group| group.0).collect();
        let schemes: Vec<_> = association
            .config
            .crypto
            .verification_schemes()
            .iter()
            .map(|scheme| scheme.0)
            .collect();
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
            cookie,
            cipher_suites,
            compression_methods: &[0],
            extensions: Extensions::default(),
        };
        association.begin_flight();
        association.say(HandshakeType::CLIENT_HELLO, |w| {
            head.write_head(w)?;
            let block = w.reserve(2)?;
            write_extension(w, ExtensionType::EXTENDED_MASTER_SECRET, |_| Ok(()))?;
            write_extension(w, ExtensionType::RENEGOTIATION_INFO, |w| write_bytes8(w, &[]))?;
            write_extension(w, ExtensionType::SUPPORTED_GROUPS, |w| write_list16(w, groups))?;
            write_extension(w, ExtensionType::EC_POINT_FORMATS, |w| write_bytes8(w, &[0]))?;
            write_extension(w, ExtensionType::SIGNATURE_ALGORITHMS, |w| write_list16(w, schemes))?;
            if !profiles.is_empty() {
                write_extension(w, ExtensionType::USE_SRTP, |w| {
                    write_list16(w, profiles)?;
                    write_bytes8(w, &[])
                })?;
            }
            w.fill_length(block)
        })?;
        association.send_flight();
        Ok(())
    }

    fn take_server_hello(&self, association: &Association, body: &[u8]) -> Result<Hellos, CloseReason> {
        let malformed = malformed(HandshakeType::SERVER_HELLO);
        let hello = ServerHello::parse(body).map_err(&malformed)?;
        if hello.version != Version::DTLS_1_2 {
            return Err(CloseReason::UnsupportedVersion);
        }
        let chosen = own_suites(association).find(|(suite, _)| *suite == hello.cipher_suite);
        let (suite, parameters) = chosen.ok_or(CloseReason::IllegalParameter("the server picks an offered suite"))?;
        if hello.compression_method != 0 {
            return Err(CloseReason::IllegalParameter(
                "the server picks an offered compression method",
            ));
        }
        let extensions = hello.extensions;
        if extensions
            .iter()
            .any(|(extension_type, _)| !OFFERED.contains(&extension_type))
        {
            return Err(CloseReason::IllegalParameter(
                "the server answers offered extensions only",
            ));
        }
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
        let profile = match extensions.use_srtp().map_err(&malformed)? {
            None if association.requires_srtp => return Err(CloseReason::NoCommonSrtpProfile),
            None => None,
            Some(srtp) => {
                let mut profiles = srtp.profiles();
                let profile = profiles.next().and_then(SrtpProfile::from_id);
                let profile = profile.filter(|profile| association.config.srtp_profiles.contains(profile));
                // RFC 5764 §4.1.1: exactly one of the offered; §4.1.3: the MKI of the offer, which was empty, or none.
                if profiles.next().is_some() || profile.is_none() || !srtp.mki.is_empty() {
                    return Err(CloseReason::IllegalParameter(
                        "the server picks one offered SRTP profile without MKI",
                    ));
                }
                profile
            }
        };
        Ok(Hellos {
            suite,
            parameters,
            profile,
            client_random: self.random,
            server_random: hello.random,
        })
    }
}

fn take_server_key_exchange(
    association: &Association,
    hellos: &Hellos,
    body: &[u8],
) -> Result<ServerShare, CloseReason> {
    let exchange = ServerKeyExchange::parse(body).map_err(malformed(HandshakeType::SERVER_KEY_EXCHANGE))?;
    if !own_groups(association).any(|group| group == exchange.group) {
        return Err(CloseReason::IllegalParameter("the server picks an offered group"));
    }
    if exchange.scheme.key_kind() != Some(hellos.parameters.authentication) {
        return Err(CloseReason::IllegalParameter(
            "the server signs with the kind of key that the suite names",
        ));
    }
    verify(
        association,
        exchange.scheme,
        &hellos.signed_parameters(exchange.parameters),
        exchange.signature,
    )?;
    Ok(ServerShare {
        group: exchange.group,
        share: exchange.share.to_vec(),
    })
}

/// Sends the client's second flight: Certificate, ClientKeyExchange, CertificateVerify, ChangeCipherSpec, Finished.
fn answer(
    association: &mut Association,
    hellos: Hellos,
    server: ServerShare,
    scheme: SignatureScheme,
) -> Result<Session, CloseReason> {
    let seed = association.seed();
    let exchange = association
        .config
        .crypto
        .start_key_exchange(server.group, &seed)
        .map_err(|_| CloseReason::Internal)?;
    let config = association.config.clone();
    association.begin_flight();
    association.say(HandshakeType::CERTIFICATE, |w| {
        CertificateChain::write_one(w, config.certificate.der())
    })?;
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

    let signature = config.certificate.key().sign(scheme, association.transcript.as_bytes());
    let signature = signature.map_err(|_| CloseReason::Internal)?;
    association.say(HandshakeType::CERTIFICATE_VERIFY, |w| {
        CertificateVerify {
            scheme,
            signature: &signature,
        }
        .write(w)
    })?;

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
