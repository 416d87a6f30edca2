use super::answers::{Failure, Verdict, judge};
use super::config::{Config, Transport};
use super::event::{CloseReason, ConnectionId};
use super::login::Login;
use super::request::Request;
use super::transaction::{Transaction, Transactions};
use super::{MIN_OUT, next_id};
use crate::next_frame;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::time::Instant;
use stun::{Class, ErrorCode, Message};
use wire::{Path, Seed, Transmit};

/// How often ConnectionBind may be challenged: servers give each connection a nonce of its own.
const MAX_CHALLENGES: u32 = 3;

/// Where a [`DataConnection`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// The server has not bound it yet.
    Opening,
    /// All further bytes, both ways, are the peer's and the caller's own.
    Open,
    /// It is to be closed.
    Failed(CloseReason),
}

/// A client data connection (RFC 6062 §4.3): what is said on it before it belongs to the peer. Made by
/// [`Client::open`](crate::Client::open); it lives as long as the allocation is refreshed (§4.6).
#[derive(Debug)]
pub struct DataConnection {
    config: Config,
    login: Option<Login>,
    path: Path,
    request: Request,
    transactions: Transactions,
    rng: StdRng,
    state: ConnectionState,
}

impl DataConnection {
    pub(super) fn new(config: &Config, login: Option<Login>, path: Path, connection: ConnectionId, seed: Seed) -> Self {
        let config = Config {
            transport: Transport::Stream,
            ..config.clone()
        };
        let mut this = Self {
            login,
            path,
            request: Request::ConnectionBind { connection },
            transactions: Transactions::new(&config),
            rng: StdRng::from_seed(seed.0),
            state: ConnectionState::Opening,
            config,
        };
        this.ask(0);
        this
    }

    /// The state.
    pub const fn state(&self) -> ConnectionState {
        self.state
    }

    /// The server to connect to, and our own address.
    pub const fn server(&self) -> SocketAddr {
        self.path.remote
    }

    /// Takes what came on the connection while it is opening, and gives the number of bytes that were used. Once it is
    /// open nothing more is used: the rest is the peer's.
    pub fn handle_stream(&mut self, now: Instant, stream: &[u8]) -> usize {
        let mut used = 0_usize;
        while self.state == ConnectionState::Opening {
            let rest = stream.get(used..).unwrap_or_default();
            let Ok(frame) = next_frame(rest) else {
                self.fail(CloseReason::BadFraming);
                break;
            };
            let Some(message) = frame.and_then(|len| rest.get(..len)) else {
                break;
            };
            used = used.saturating_add(message.len());
            self.handle_message(now, message);
        }
        used
    }

    /// Does what is due. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.transactions.expire(now).is_some() {
            self.fail(CloseReason::TimedOut);
        }
    }

    /// Writes the next message to the server. `out` has at least [`MIN_OUT`] bytes.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        debug_assert!(out.len() >= MIN_OUT, "out has at least MIN_OUT bytes");
        let len = self.transactions.write_next(now, out)?;
        Some(Transmit::one(self.path, len))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.transactions.next_deadline()
    }

    fn handle_message(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            return self.fail(CloseReason::BadAnswer);
        };
        let answer = matches!(message.class(), Class::SuccessResponse | Class::ErrorResponse);
        let known = self.transactions.find(message.transaction_id());
        let known = known.filter(|transaction| answer && transaction.request.method() == message.method());
        // Nothing else may come here before the answer.
        let Some(signed) = known.map(|transaction| transaction.signed) else {
            return self.fail(CloseReason::BadAnswer);
        };
        let verdict = judge(&message, self.login.as_ref(), signed);
        let Some(transaction) = self.transactions.end(now, message.transaction_id(), false) else {
            return;
        };
        match verdict {
            Verdict::Success => self.state = ConnectionState::Open,
            Verdict::Challenge(code) => match self.answer_challenge(&transaction, code, &message) {
                Ok(()) => self.ask(transaction.challenges.saturating_add(1)),
                Err(failure) => self.fail(failure.reason()),
            },
            Verdict::Error(error) => self.fail(CloseReason::Refused(error)),
            Verdict::Ignore(_) => self.fail(CloseReason::IntegrityViolated),
            Verdict::Broken(_) => self.fail(CloseReason::BadAnswer),
        }
    }

    fn answer_challenge(
        &mut self,
        transaction: &Transaction,
        code: ErrorCode,
        message: &Message<'_>,
    ) -> Result<(), Failure> {
        let login = self.login.as_mut().ok_or(Failure::NoCredentials)?;
        if code == ErrorCode::UNAUTHENTICATED && transaction.signed && !transaction.is_of_another_realm(message) {
            return Err(Failure::WrongCredentials);
        }
        if transaction.challenges >= MAX_CHALLENGES {
            return Err(Failure::Refused(code));
        }
        login.take(message).map_err(Failure::of_challenge)
    }

    fn ask(&mut self, challenges: u32) {
        let id = next_id(&mut self.rng);
        let mut out = [0; MIN_OUT];
        if let Ok(message) = self.request.write(&mut out, id, &self.config, self.login.as_ref()) {
            let bytes = Box::from(&*message);
            let signed = self.login.as_ref().is_some_and(Login::is_challenged);
            let request = self.request.clone();
            self.transactions
                .begin(Transaction::new(id, request, bytes, signed, challenges));
        }
    }

    fn fail(&mut self, reason: CloseReason) {
        self.state = ConnectionState::Failed(reason);
        self.transactions.clear();
    }
}
