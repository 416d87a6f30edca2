#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::credentials::Generations;
use crate::response::Unknown;
use crate::role::Role;
use stun::{AttributeType, Authenticated, Class, IntegrityAlgorithm, Message, Method, TransactionId, Value};

/// A Binding request that the peer sent, for its integrity matches a password of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check {
    pub(crate) transaction_id: TransactionId,
    /// Number of the credentials that it came with.
    pub(crate) generation: u32,
    pub(crate) algorithm: IntegrityAlgorithm,
    pub(crate) priority: Option<u32>,
    pub(crate) use_candidate: bool,
    /// NOMINATION, if it is a number: another usage has the type too (ENF-FLOW-DESCRIPTION), and nobody has to
    /// understand it.
    pub(crate) nomination: Option<u32>,
    /// The role that the peer claims, with its tiebreaker (ICE-CONTROLLING, ICE-CONTROLLED).
    pub(crate) claimed: Option<(Role, u64)>,
    /// What has to be understood and is not.
    pub(crate) unknown: Option<Unknown>,
}

/// Why a datagram is no such check. None of these is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed,
    BadFingerprint,
    UnexpectedResponse,
    Indication,
    UnexpectedMethod,
    MissingCredentials,
    WrongUfrag,
    WrongIntegrity,
}

impl From<wire::Error> for Fault {
    fn from(_: wire::Error) -> Self {
        Self::Malformed
    }
}

impl Check {
    /// Reads and authenticates a check, in the order of RFC 8489 §6.3 and §9.1.3.
    ///
    /// The error responses that those sections want for what is not authenticated, 400 and 401, are not sent: they
    /// could carry no integrity, and without it the client has to drop them (§9.1.4), so they would only make us answer
    /// to anybody; and a 400 that gets through makes Chromium give the pair up.
    pub(crate) fn authenticate<'a>(
        datagram: &'a [u8],
        generations: &Generations,
    ) -> Result<(Self, Authenticated<'a>), Fault> {
        let message = Message::parse(datagram)?;
        match (message.class(), message.method()) {
            (Class::Request, Method::BINDING) => {}
            (Class::Request, _) => return Err(Fault::UnexpectedMethod),
            (Class::Indication, _) => return Err(Fault::Indication),
            (Class::SuccessResponse | Class::ErrorResponse, _) => return Err(Fault::UnexpectedResponse),
        }
        message.verify_fingerprint().map_err(|_| Fault::BadFingerprint)?;

        let username = message.username()?.ok_or(Fault::MissingCredentials)?;
        // Only our half counts: checks may come before we know the peer's (RFC 8445 §7.3).
        let generation = username
            .split_once(':')
            .and_then(|(ufrag, _)| generations.by_ufrag(ufrag))
            .ok_or(Fault::WrongUfrag)?;
        let proven = message.verify_integrity(&generation.key).map_err(|error| match error {
            stun::IntegrityError::Missing => Fault::MissingCredentials,
            stun::IntegrityError::Length | stun::IntegrityError::Mismatch => Fault::WrongIntegrity,
        })?;

        let mut check = Self {
            transaction_id: message.transaction_id(),
            generation: generation.number,
            algorithm: proven.algorithm(),
            priority: None,
            use_candidate: false,
            nomination: None,
            claimed: None,
            unknown: Unknown::collect(message.unknown_required()),
        };
        check.nomination = proven.message().nomination().ok().flatten();
        for attribute in proven.message().attributes() {
            match attribute.kind() {
                AttributeType::PRIORITY
                | AttributeType::USE_CANDIDATE
                | AttributeType::ICE_CONTROLLED
                | AttributeType::ICE_CONTROLLING => {}
                _ => continue,
            }
            match attribute.decode()? {
                Value::Priority(priority) => check.priority = check.priority.or(Some(priority)),
                Value::UseCandidate => check.use_candidate = true,
                Value::IceControlled(tiebreaker) => check.claimed = Some((Role::Controlled, tiebreaker)),
                Value::IceControlling(tiebreaker) => {
                    check.claimed = check.claimed.or(Some((Role::Controlling, tiebreaker)));
                }
                _ => {}
            }
        }
        Ok((check, proven))
    }
}
