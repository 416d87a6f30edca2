use super::Client;
use super::config::{Families, Transport};
use super::event::{Allocation, CloseReason, ConnectionId, Event, Reconnect, ReconnectCause, State};
use super::login::{ChallengeFault, Login, is_bid_down};
use super::request::Request;
use super::timer::{Timer, after};
use super::transaction::Transaction;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stun::{Attribute, AttributeType, Class, ErrorCode, FingerprintError, Message, Value};

/// How often the same request may be challenged: the first time without credentials, then by nonces that are stale at
/// once, or by another realm.
const MAX_CHALLENGES: u32 = 3;
/// RFC 8656 §7.4: so many local addresses are tried before the server is given up.
const MAX_ADDRESSES: u32 = 3;
/// RFC 6062 §4.3: after 447 one waits for 10 s.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Most failed connects that are remembered.
const MAX_FAILED_CONNECTS: usize = 32;

/// Why a transaction has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server said so.
    Refused(ErrorCode),
    /// It wants credentials and we have none.
    NoCredentials,
    /// It does not take ours.
    WrongCredentials,
    /// Its challenge cannot be answered.
    BadChallenge,
    /// Somebody weakens its challenge.
    BidDown,
    /// No answer had the right integrity.
    IntegrityViolated,
    /// There was no answer.
    TimedOut,
    /// The answer lacks what it must have.
    BadAnswer,
}

impl Failure {
    pub(crate) const fn of_challenge(fault: ChallengeFault) -> Self {
        match fault {
            ChallengeFault::Bad => Self::BadChallenge,
            ChallengeFault::BidDown => Self::BidDown,
        }
    }

    pub(crate) const fn reason(self) -> CloseReason {
        match self {
            Self::Refused(error) => CloseReason::Refused(error),
            Self::NoCredentials => CloseReason::NoCredentials,
            Self::WrongCredentials => CloseReason::WrongCredentials,
            Self::BadChallenge => CloseReason::BadChallenge,
            Self::BidDown => CloseReason::BidDown,
            Self::IntegrityViolated => CloseReason::IntegrityViolated,
            Self::TimedOut => CloseReason::TimedOut,
            Self::BadAnswer => CloseReason::BadAnswer,
        }
    }

    const fn error(self) -> Option<ErrorCode> {
        match self {
            Self::Refused(error) => Some(error),
            Self::NoCredentials | Self::WrongCredentials => Some(ErrorCode::UNAUTHENTICATED),
            _ => None,
        }
    }
}

/// What RFC 8489 §9.2.5 makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts as not received.
    Ignore(Fault),
    /// 401 or 438: the request is to be repeated with what the answer says.
    Challenge(ErrorCode),
    /// It says yes.
    Success,
    /// It says no.
    Error(ErrorCode),
    /// It says nothing that can be used.
    Broken(Fault),
}

/// For the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed,
    UnknownAttribute,
    BidDown,
    Unproven,
    Integrity,
}

/// Judges an answer to a request that was `signed` or not.
pub(crate) fn judge(message: &Message<'_>, login: Option<&Login>, signed: bool) -> Verdict {
    let is_error = message.class() == Class::ErrorResponse;
    let error = message.error_code().ok().flatten().map(|reason| reason.code);
    if let Some(code @ (ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE)) = error
        && is_error
    {
        // Challenges prove nothing and need not: whoever forges one could also swallow the answer.
        return Verdict::Challenge(code);
    }
    if is_bid_down(message) {
        return Verdict::Ignore(Fault::BidDown);
    }
    let proven = signed && login.is_some_and(|login| login.verifies(message));
    if error == Some(ErrorCode::BAD_REQUEST) && is_error && !proven {
        return Verdict::Ignore(Fault::Unproven);
    }
    if signed && !proven {
        return Verdict::Ignore(Fault::Integrity);
    }
    if unknown_required(message) {
        return Verdict::Broken(Fault::UnknownAttribute);
    }
    match (is_error, error) {
        (false, _) => Verdict::Success,
        (true, Some(error)) => Verdict::Error(error),
        (true, None) => Verdict::Broken(Fault::Malformed),
    }
}

/// Whether a message has attributes that have to be understood and are not. CONNECTION-ID is understood here.
pub(crate) fn unknown_required(message: &Message<'_>) -> bool {
    message
        .unknown_required()
        .any(|kind| kind != AttributeType::CONNECTION_ID)
}

/// CONNECTION-ID (RFC 6062 §6.2.1).
pub(crate) fn connection_id(message: &Message<'_>) -> Option<ConnectionId> {
    let attribute: Attribute<'_> = message.attribute(AttributeType::CONNECTION_ID)?;
    let id: [u8; 4] = attribute.value().try_into().ok()?;
    Some(ConnectionId(u32::from_be_bytes(id)))
}

impl Client {
    /// Takes a success or error response.
    pub(super) fn handle_answer(&mut self, now: Instant, message: &Message<'_>) {
        let id = message.transaction_id();
        let Some(transaction) = self.transactions.find(id) else {
            return self.count_unexpected();
        };
        // FINGERPRINT is not needed (RFC 8656 §5), but where it is it has to be right.
        let altered = matches!(
            message.verify_fingerprint(),
            Err(FingerprintError::NotLast | FingerprintError::Length | FingerprintError::Mismatch)
        );
        if transaction.request.method() != message.method() || altered {
            return self.count(Fault::Malformed);
        }
        let signed = transaction.signed;
        let verdict = judge(message, self.login.as_ref(), signed);
        if let Verdict::Ignore(fault) = verdict {
            self.count(fault);
            if fault == Fault::Integrity {
                self.note_tampering(now, id);
            }
            return;
        }
        let challenge = matches!(verdict, Verdict::Challenge(_));
        let Some(transaction) = self.transactions.end(now, id, challenge) else {
            return;
        };
        match verdict {
            Verdict::Ignore(_) => {}
            Verdict::Challenge(code) => self.handle_challenge(now, transaction, code, message),
            Verdict::Success => self.handle_success(now, transaction, message),
            Verdict::Error(ErrorCode::TRY_ALTERNATE) if transaction.request == Request::Allocate => {
                self.handle_redirection(now, message);
            }
            Verdict::Error(code) => {
                self.counters.turn_refused_requests = self.counters.turn_refused_requests.saturating_add(1);
                self.fail(now, transaction, Failure::Refused(code));
            }
            Verdict::Broken(fault) => {
                self.count(fault);
                self.fail(now, transaction, Failure::BadAnswer);
            }
        }
        self.arm();
    }

    /// RFC 8489 §9.2.5: over UDP the right answer may still come, over a stream none will.
    fn note_tampering(&mut self, now: Instant, id: stun::TransactionId) {
        if self.config.transport == Transport::Udp {
            if let Some(transaction) = self.transactions.find(id) {
                transaction.tampered = true;
            }
        } else if let Some(transaction) = self.transactions.end(now, id, false) {
            self.fail(now, transaction, Failure::IntegrityViolated);
            self.arm();
        }
    }

    /// Repeats a request with credentials, or with the new nonce.
    fn handle_challenge(&mut self, now: Instant, transaction: Transaction, code: ErrorCode, message: &Message<'_>) {
        let Some(login) = &mut self.login else {
            return self.fail(now, transaction, Failure::NoCredentials);
        };
        // RFC 8489 §9.2.5: not again with the same username, password and realm.
        if code == ErrorCode::UNAUTHENTICATED && transaction.signed && !transaction.is_of_another_realm(message) {
            return self.fail(now, transaction, Failure::WrongCredentials);
        }
        if transaction.challenges >= MAX_CHALLENGES {
            return self.fail(now, transaction, Failure::Refused(code));
        }
        if let Err(fault) = login.take(message) {
            if fault == ChallengeFault::BidDown {
                self.count(Fault::BidDown);
            }
            return self.fail(now, transaction, Failure::of_challenge(fault));
        }
        if self.state == State::Closing && transaction.request == Request::Allocate {
            // Refused, so that there is nothing to delete.
            return self.finish(CloseReason::Deleted);
        }
        // The server dropped what came behind the request. What went behind a CreatePermission as well is that one's
        // still.
        match &transaction.request {
            Request::ChannelBind { peer, .. } if self.is_permission_asked(&peer.ip()) => {}
            request => self.waiting.repeat(&request.permits()),
        }
        let challenges = transaction.challenges.saturating_add(1);
        self.request(transaction.request, challenges);
    }

    fn handle_success(&mut self, now: Instant, transaction: Transaction, message: &Message<'_>) {
        let sent = transaction.first_sent(now);
        self.waiting.settle(&transaction.request.permits());
        match &transaction.request {
            Request::Allocate => self.take_allocation(sent, message),
            Request::Delete => self.finish(CloseReason::Deleted),
            Request::Refresh => match message.lifetime() {
                Ok(Some(0)) => self.finish(CloseReason::Lost),
                Ok(Some(seconds)) => {
                    self.refresh_error = None;
                    self.set_lifetime(sent, Duration::from_secs(u64::from(seconds)));
                    if std::mem::take(&mut self.tells_refresh) {
                        self.tell_surely(Event::Refreshed);
                    }
                }
                Ok(None) | Err(_) => {
                    self.count(Fault::Malformed);
                    self.fail_refresh(now);
                }
            },
            Request::CreatePermission(addresses) => {
                for address in addresses {
                    let jitter = self.jitter();
                    if self.peers.granted(sent, address, false, jitter) {
                        self.tell(Event::Permitted(*address));
                    }
                }
            }
            Request::ChannelBind { channel, peer } => {
                let jitter = self.jitter();
                let (wanted, news) = self.peers.channels.granted(sent, *channel, jitter);
                // Other peers at the address may want the permission even if nobody wants the channel any more.
                if self.peers.granted(sent, &peer.ip(), true, jitter) {
                    self.tell(Event::Permitted(peer.ip()));
                }
                if !wanted {
                    return;
                }
                self.peers.set_channel(peer, Some(*channel));
                if news {
                    self.tell(Event::ChannelBound(*peer));
                }
            }
            Request::Connect { peer } => match connection_id(message) {
                Some(connection) => self.tell(Event::Connected {
                    peer: *peer,
                    connection,
                }),
                None => {
                    self.count(Fault::Malformed);
                    self.fail(now, transaction, Failure::BadAnswer);
                }
            },
            Request::ConnectionBind { .. } => {}
        }
    }

    /// RFC 8656 §7.3.
    fn take_allocation(&mut self, sent: Instant, message: &Message<'_>) {
        let lifetime = message.lifetime().ok().flatten().unwrap_or_default();
        let lifetime = Duration::from_secs(u64::from(lifetime));
        let mut allocation = Allocation {
            ipv4: None,
            ipv6: None,
            mapped: message.xor_mapped_address().ok().flatten(),
            lifetime,
        };
        let mut foreign = false;
        for attribute in message.attributes() {
            match attribute.decode() {
                Ok(Value::XorRelayedAddress(address)) => foreign |= !self.take_relayed(&mut allocation, address),
                Ok(Value::AddressErrorCode { family, error }) => self.tell(Event::FamilyRefused {
                    family,
                    error: error.code,
                }),
                _ => {}
            }
        }
        if foreign || lifetime.is_zero() || allocation.relayed().next().is_none() {
            self.count(Fault::Malformed);
            if lifetime.is_zero() {
                return self.finish(CloseReason::BadAnswer);
            }
            // RFC 8656 §7.3: what we cannot use is deleted.
            self.state = State::Closing;
            self.unusable = Some(CloseReason::BadAnswer);
            return self.request(Request::Delete, 0);
        }
        if self.delete {
            return self.request(Request::Delete, 0);
        }
        self.state = State::Allocated;
        self.allocation = Some(allocation);
        self.set_lifetime(sent, lifetime);
        self.tell_surely(Event::Allocated(allocation));
    }

    /// Whether the address is one that was asked for.
    fn take_relayed(&self, allocation: &mut Allocation, address: SocketAddr) -> bool {
        let (asked, place) = if address.is_ipv4() {
            (self.config.families != Families::Ipv6, &mut allocation.ipv4)
        } else {
            (self.config.families != Families::Ipv4, &mut allocation.ipv6)
        };
        if asked {
            place.get_or_insert(address);
        }
        asked && address.port() != 0 && !address.ip().is_unspecified()
    }

    /// 300 (RFC 8489 §10).
    fn handle_redirection(&mut self, now: Instant, message: &Message<'_>) {
        if self.delete {
            return self.finish(CloseReason::Deleted);
        }
        // None has us try the ports of our own machine.
        let is_own = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
        let same_family = |address: &SocketAddr| {
            address.is_ipv4() == self.server.is_ipv4()
                && address.port() != 0
                && !address.ip().to_canonical().is_unspecified()
                && is_own(address) == is_own(&self.server)
        };
        let mut alternates = message.attributes().filter_map(|attribute| match attribute.decode() {
            Ok(Value::AlternateServer(address)) => Some(address),
            _ => None,
        });
        let server = alternates.find(same_family);
        let domain = message.attribute(AttributeType::ALTERNATE_DOMAIN);
        let domain = domain.and_then(|domain| match domain.decode() {
            Ok(Value::AlternateDomain(name)) => Some(name.into()),
            _ => None,
        });
        let Some(server) = server else {
            self.counters.turn_no_alternates = self.counters.turn_no_alternates.saturating_add(1);
            return self.finish(CloseReason::NoAlternate);
        };
        if self.redirects.take(now, server) {
            self.reconnect(now, ReconnectCause::TryAlternate, server, domain);
        } else {
            self.counters.turn_redirection_loops = self.counters.turn_redirection_loops.saturating_add(1);
            self.finish(CloseReason::RedirectionLoop);
        }
    }

    fn reconnect(&mut self, now: Instant, cause: ReconnectCause, server: SocketAddr, domain: Option<Box<str>>) {
        self.transactions.clear();
        self.state = State::Reconnecting;
        self.next_server = server;
        let deadline = after(now, self.config.reconnect_timeout);
        self.timers.set(Timer::Reconnect, Some(deadline));
        self.tell_surely(Event::Reconnect(Reconnect { cause, server, domain }));
    }

    /// Takes that a request was never answered.
    pub(super) fn give_up(&mut self, now: Instant, transaction: Transaction) {
        self.counters.turn_timeouts = self.counters.turn_timeouts.saturating_add(1);
        let failure = if transaction.tampered {
            Failure::IntegrityViolated
        } else {
            Failure::TimedOut
        };
        self.fail(now, transaction, failure);
    }

    fn fail(&mut self, now: Instant, transaction: Transaction, failure: Failure) {
        // RFC 8656 §5, §8.3: whatever was asked, there is no allocation (any more).
        let mismatch = failure == Failure::Refused(ErrorCode::ALLOCATION_MISMATCH);
        let lost = matches!(failure, Failure::TimedOut | Failure::IntegrityViolated);
        match &transaction.request {
            // Each is asked for alone, with what went behind.
            Request::CreatePermission(addresses) if addresses.len() > 1 && !lost => self.waiting.repeat(addresses),
            // What went behind a CreatePermission as well is that one's still.
            Request::ChannelBind { peer, .. } if self.is_permission_asked(&peer.ip()) => {}
            // The permission is asked for without a channel.
            Request::ChannelBind { peer, .. } if !lost => self.waiting.repeat(&[peer.ip()]),
            // What was sent so long ago is of no use to anybody.
            request => self.waiting.settle(&request.permits()),
        }
        match transaction.request {
            Request::Allocate if self.delete => self.finish(CloseReason::Deleted),
            Request::Allocate if mismatch => self.try_another_address(now),
            Request::Allocate => self.finish(failure.reason()),
            Request::Delete => self.finish(CloseReason::Deleted),
            _ if mismatch => self.finish(CloseReason::Lost),
            Request::Refresh => {
                self.refresh_error = failure.error();
                self.fail_refresh(now);
            }
            Request::CreatePermission(addresses) if lost => {
                for address in &addresses {
                    self.peers.ask_again(address);
                }
            }
            Request::CreatePermission(addresses) => {
                let error = failure.error().unwrap_or(ErrorCode::SERVER_ERROR);
                for peer in self.peers.refused(now, &addresses, error) {
                    self.tell(Event::PeerRefused { peer, error });
                }
            }
            Request::ChannelBind { channel, peer } if lost => {
                if !self.peers.channels.ask_again(channel) {
                    self.peers.lost_by_channel(&peer.ip());
                }
            }
            Request::ChannelBind { channel, peer } => {
                let error = failure.error().unwrap_or(ErrorCode::SERVER_ERROR);
                self.peers.channels.refused(channel);
                self.peers.set_channel(&peer, None);
                self.peers.lost_by_channel(&peer.ip());
                self.tell(Event::ChannelRefused { peer, error });
            }
            Request::Connect { peer } => {
                if self.failed_connects.len() >= MAX_FAILED_CONNECTS {
                    self.failed_connects.pop_front();
                }
                self.failed_connects.push_back((peer, after(now, CONNECT_WAIT)));
                self.tell(Event::ConnectFailed {
                    peer,
                    error: failure.error(),
                });
            }
            Request::ConnectionBind { .. } => {}
        }
    }

    fn fail_refresh(&mut self, now: Instant) {
        if self.tells_refresh {
            self.tell_surely(Event::NotRefreshed);
        }
        self.refresh_later(now);
    }

    /// Whether a CreatePermission for an address is under way.
    fn is_permission_asked(&self, address: &IpAddr) -> bool {
        self.transactions
            .any(|request| matches!(request, Request::CreatePermission(addresses) if addresses.contains(address)))
    }

    /// 437 on the first request (RFC 8656 §7.4).
    fn try_another_address(&mut self, now: Instant) {
        self.addresses = self.addresses.saturating_add(1);
        if self.addresses >= MAX_ADDRESSES || !self.redirects.take_attempt() {
            return self.finish(CloseReason::Refused(ErrorCode::ALLOCATION_MISMATCH));
        }
        self.reconnect(now, ReconnectCause::AllocationMismatch, self.server, None);
    }

    fn count_unexpected(&mut self) {
        self.counters.turn_unexpected_answers = self.counters.turn_unexpected_answers.saturating_add(1);
    }

    pub(super) fn count(&mut self, fault: Fault) {
        let counter = match fault {
            Fault::Malformed => &mut self.counters.turn_malformed,
            Fault::UnknownAttribute => &mut self.counters.turn_unknown_attributes,
            Fault::BidDown => &mut self.counters.turn_bid_down,
            Fault::Unproven => &mut self.counters.turn_unproven_errors,
            Fault::Integrity => &mut self.counters.turn_wrong_integrity,
        };
        *counter = counter.saturating_add(1);
    }
}
