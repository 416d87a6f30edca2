use std::time::Instant;

use crate::association::Association;
use crate::connection_id::write_connection_id;
use crate::crypto::{CryptoError, SuiteParameters13};
use crate::event::CloseReason;
use crate::extension::write_extension;
use crate::negotiation::{AgreedSrtp, choose_profile, requires_client_certificate};
use crate::reassembly::Message;
use crate::registry::{CipherSuite, ExtensionType, HandshakeType, NamedGroup};
use crate::session::Session;
use crate::v13::message::{CLIENT_SIGNATURE, CertificateRequest13, KeyShareEntry, SERVER_SIGNATURE};
use crate::v13::negotiation::{
    FIRST_APPLICATION_EPOCH, HANDSHAKE_EPOCH, Hellos, hkdf, log_application, log_handshake, say_certificate,
    say_finished, scheme, session, take_certificate, verify,
};
use crate::v13::resumption::{owed_tickets, server_resumable, take_psk};
use crate::v13::retry::{Offered, Retried, Retry, write_server_hello};
use crate::v13::schedule::{ApplicationSecrets, EarlySecret, HandshakeSecrets, Traffic};

/// The server's side of a DTLS 1.3 handshake (RFC 8446 §2, RFC 9147 §5.7). It asks for no cookie itself: that is up to
/// [`CookieExchange`](crate::CookieExchange), and behind ICE the peer's address is proven already (RFC 9147 §5.1).
#[derive(Debug)]
pub(crate) struct Server {
    step: Step,
}

/// What the server waits for.
#[derive(Debug)]
enum Step {
    /// A second `ClientHello`.
    ClientHello(Retry),
    Certificate(Flying),
    CertificateVerify(Flying),
    Finished(Flying),
    /// Nothing any more.
    Done,
}

/// A handshake of which our part is said.
#[derive(Debug)]
struct Flying {
    hellos: Hellos,
    srtp: Option<AgreedSrtp>,
    secrets: ApplicationSecrets,
    /// When the session began that goes on.
    resumed_since: Option<Instant>,
    /// How many tickets the client gets.
    owed_tickets: u8,
}

impl Server {
    /// Answers a first `ClientHello`: this version was chosen.
    pub(crate) fn begin(association: &mut Association, client_hello: &Message) -> Result<Self, CloseReason> {
        association.transcript.become_13();
        let step = answer(association, client_hello, None)?;
        Ok(Self { step })
    }

    /// Goes on where a cookie has proven the client's address: its second `ClientHello` comes next, and the first one and
    /// the `HelloRetryRequest` enter the transcript, which nobody has kept (RFC 9147 §5.1).
    pub(crate) fn after_retry(association: &mut Association, retried: &Retried) -> Result<Self, CloseReason> {
        association.transcript.become_13();
        association.transcript.replace_by_hash(&retried.hash);
        association
            .transcript
            .push(HandshakeType::SERVER_HELLO, 0, &retried.request)
            .map_err(|_| CloseReason::HandshakeTooLong)?;
        Ok(Self {
            step: Step::ClientHello(retried.retry),
        })
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
                let Flying {
                    hellos,
                    srtp,
                    secrets,
                    resumed_since,
                    owed_tickets,
                } = flying;
                if !hellos.secrets.client.verifies(association.transcript.as_bytes(), body) {
                    return Err(CloseReason::BadFinished);
                }
                association.hear(message)?;
                let resumable = server_resumable(association, &secrets, resumed_since, owed_tickets);
                // Nothing answers the client's last flight (RFC 9147 §7.1).
                association.received.due = true;
                return Ok(Some(session(
                    &hellos,
                    srtp,
                    (secrets.server, secrets.client, secrets.exporter),
                    resumed_since.is_some(),
                    resumable,
                )));
            }
            (_, message_type) => return Err(CloseReason::UnexpectedMessage(message_type)),
        };
        Ok(None)
    }
}

/// Answers a `ClientHello`: with everything up to our Finished, or by asking for another one.
fn answer(association: &mut Association, message: &Message, retry: Option<Retry>) -> Result<Step, CloseReason> {
    let offered = Offered::parse(&message.body)?;
    let config = association.config.clone();
    let (suite, parameters) = offered.suite(&config)?;
    let srtp = choose_profile(association, &offered.hello.extensions)?;
    let (group, share) = match retry {
        Some(retry) => offered.second_share(&config, retry.group)?,
        None => match offered.share(&config)? {
            Ok(share) => share,
            Err(group) => {
                association.hear(message)?;
                return ask_again(association, suite, parameters, group);
            }
        },
    };
    if retry.is_some_and(|retry| retry.suite != suite) {
        return Err(CloseReason::IllegalParameter(
            "a second ClientHello offers what the first did (RFC 8446 §4.1.2)",
        ));
    }
    let resumed = take_psk(association, &offered, parameters, &message.body)?;
    let owed_tickets = owed_tickets(association, &offered);
    let scheme = match &resumed {
        Some(_) => None,
        None => Some(scheme(association, offered.schemes()?.iter())?),
    };
    association.hear(message)?;

    let seed = association.seed();
    let (ours, shared) = config
        .crypto
        .answer_key_exchange(group, share, &seed)
        .map_err(|error| match error {
            CryptoError::InvalidShare => CloseReason::BadKeyShare,
            _ => CloseReason::Internal,
        })?;
    let random = association.hello_random();
    let connection_id = association.answer_connection_id(&offered.hello.extensions)?;
    association.begin_flight();
    association.say(HandshakeType::SERVER_HELLO, |w| {
        write_server_hello(w, random, suite, |w| {
            write_extension(w, ExtensionType::KEY_SHARE, |w| {
                KeyShareEntry { group, share: &ours }.write(w)
            })?;
            if let Some(id) = &connection_id {
                write_connection_id(w, id)?;
            }
            resumed.as_ref().map_or(Ok(()), |taken| {
                write_extension(w, ExtensionType::PRE_SHARED_KEY, |w| w.u16(taken.selected))
            })
        })
    })?;

    let secrets = HandshakeSecrets::new(
        &EarlySecret::new(
            hkdf(association, parameters.hash),
            resumed.as_ref().map(|taken| &taken.psk),
        ),
        parameters,
        &shared,
        association.transcript.as_bytes(),
    );
    let hellos = Hellos {
        suite,
        parameters,
        group,
        client_random: offered.hello.random,
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
    // In a resumed session nobody shows a certificate (RFC 8446 §2.2, §4.3.2).
    let asks = resumed.is_none() && requires_client_certificate(association);
    if asks {
        let wanted = config.crypto.verification_schemes().iter().map(|scheme| scheme.0);
        association.say(HandshakeType::CERTIFICATE_REQUEST, |w| {
            CertificateRequest13::write_schemes(w, wanted)
        })?;
    }
    if let Some(scheme) = scheme {
        say_certificate(association, &hellos, scheme, SERVER_SIGNATURE)?;
    }
    say_finished(association, &hellos.secrets.server)?;
    let secrets = hellos.secrets.application(association.transcript.as_bytes());
    log_application(association, &hellos, &secrets);
    install(association, FIRST_APPLICATION_EPOCH, &secrets.server, &secrets.client)?;
    association.send_flight();
    let flying = Flying {
        hellos,
        srtp,
        secrets,
        resumed_since: resumed.map(|taken| taken.since),
        owed_tickets,
    };
    Ok(if asks {
        Step::Certificate(flying)
    } else {
        Step::Finished(flying)
    })
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
    let retry = Retry {
        suite,
        group: Some(group),
    };
    association.say(HandshakeType::SERVER_HELLO, |w| retry.write(w, &[]))?;
    association.send_flight();
    Ok(Step::ClientHello(retry))
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
