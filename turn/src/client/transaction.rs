use super::config::{Config, Transport};
use super::request::Request;
use super::rtt::Rtt;
use super::timer::after;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use stun::{Message, TransactionId};

/// A request and what became of it so far.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) id: TransactionId,
    pub(crate) request: Request,
    /// The message: the same at every retransmission (RFC 8489 §6.2.1).
    bytes: Box<[u8]>,
    /// Whether it has credentials, so that its answer must have integrity.
    pub(crate) signed: bool,
    /// How many challenges the same request has met before.
    pub(crate) challenges: u32,
    /// Whether an answer came whose integrity was missing or wrong (RFC 8489 §9.2.5).
    pub(crate) tampered: bool,
    sent: u32,
    first_sent: Option<Instant>,
    rto: Duration,
    /// `None` while it waits to be polled.
    deadline: Option<Instant>,
}

impl Transaction {
    pub(crate) fn new(id: TransactionId, request: Request, bytes: Box<[u8]>, signed: bool, challenges: u32) -> Self {
        Self {
            id,
            request,
            bytes,
            signed,
            challenges,
            tampered: false,
            sent: 0,
            first_sent: None,
            rto: Duration::ZERO,
            deadline: None,
        }
    }

    /// Whether the server has a realm that the request was not written for.
    pub(crate) fn is_of_another_realm(&self, challenge: &Message<'_>) -> bool {
        let own = Message::parse(&self.bytes);
        let own = own.as_ref().ok().and_then(|own| own.realm().ok().flatten());
        challenge.realm().ok().flatten().is_some_and(|realm| own != Some(realm))
    }

    /// When it was first sent: the server may have acted on it as early as that.
    pub(crate) fn first_sent(&self, now: Instant) -> Instant {
        self.first_sent.unwrap_or(now)
    }
}

/// The transactions that are under way with one server, and the order in which they are to be sent.
#[derive(Debug)]
pub(crate) struct Transactions {
    list: Vec<Transaction>,
    queue: VecDeque<TransactionId>,
    rtt: Rtt,
    limit: usize,
    transport: Transport,
    max_requests: u32,
    last_wait: u32,
    stream_timeout: Duration,
}

impl Transactions {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            list: Vec::new(),
            queue: VecDeque::new(),
            rtt: Rtt::new(config.initial_rto, config.min_rto),
            limit: config.max_transactions.max(2),
            transport: config.transport,
            max_requests: config.max_requests.max(1),
            last_wait: config.last_wait,
            stream_timeout: config.stream_timeout,
        }
    }

    /// Whether another one may begin. One place is kept for the refresh of the allocation.
    pub(crate) fn has_room(&self) -> bool {
        self.list.len() < self.limit.saturating_sub(1)
    }

    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }

    /// Begins a transaction: it is sent by [`write_next`](Self::write_next).
    pub(crate) fn begin(&mut self, transaction: Transaction) {
        self.queue.push_back(transaction.id);
        self.list.push(transaction);
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Writes the next message that is to be sent or sent again. `out` has room for any.
    pub(crate) fn write_next(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        loop {
            let &id = self.queue.front()?;
            let (rto, timeout) = (self.rtt.rto(now), self.stream_timeout);
            let Some(transaction) = self.list.iter_mut().find(|transaction| transaction.id == id) else {
                // It has ended meanwhile.
                self.queue.pop_front();
                continue;
            };
            let len = transaction.bytes.len();
            out.get_mut(..len)?.copy_from_slice(&transaction.bytes);
            self.queue.pop_front();
            if transaction.first_sent.is_none() {
                transaction.first_sent = Some(now);
                transaction.rto = rto;
            }
            transaction.sent = transaction.sent.saturating_add(1);
            let wait = match self.transport {
                Transport::Stream => timeout,
                Transport::Udp if transaction.sent >= self.max_requests => {
                    transaction.rto.saturating_mul(self.last_wait)
                }
                Transport::Udp => {
                    let doublings = transaction.sent.saturating_sub(1).min(16);
                    transaction.rto.saturating_mul(1 << doublings)
                }
            };
            transaction.deadline = Some(after(now, wait));
            return Some(len);
        }
    }

    /// The transaction that an answer is for.
    pub(crate) fn find(&mut self, id: TransactionId) -> Option<&mut Transaction> {
        // What was never sent cannot be answered.
        self.list
            .iter_mut()
            .find(|transaction| transaction.id == id && transaction.first_sent.is_some())
    }

    /// Ends a transaction that was answered, and measures how long that took: unless it was sent more than once
    /// (Karn's algorithm), or the answer says nothing of how long others take. A challenge comes before the server has
    /// looked for the password, and Connect waits for the peer.
    pub(crate) fn end(&mut self, now: Instant, id: TransactionId, challenge: bool) -> Option<Transaction> {
        let at = self.list.iter().position(|transaction| transaction.id == id)?;
        let transaction = self.list.swap_remove(at);
        let usual = !challenge && !matches!(transaction.request, Request::Connect { .. });
        if usual && transaction.sent == 1 {
            let rtt = now.saturating_duration_since(transaction.first_sent(now));
            self.rtt.take(now, rtt);
        }
        Some(transaction)
    }

    /// Ends all.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.queue.clear();
    }

    /// Ends all and forgets what was measured: another server follows.
    pub(crate) fn reset(&mut self, config: &Config) {
        self.clear();
        self.rtt = Rtt::new(config.initial_rto, config.min_rto);
    }

    /// Puts what is due into the queue again; gives a transaction that has failed, of which there may be more.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Transaction> {
        let due = |transaction: &Transaction| transaction.deadline.is_some_and(|deadline| deadline <= now);
        while let Some(at) = self.list.iter().position(due) {
            let transaction = self.list.get_mut(at)?;
            if self.transport == Transport::Stream || transaction.sent >= self.max_requests {
                return Some(self.list.swap_remove(at));
            }
            transaction.deadline = None;
            self.queue.push_back(transaction.id);
        }
        None
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.list.iter().filter_map(|transaction| transaction.deadline).min()
    }

    /// Whether a request is under way that `matches`.
    pub(crate) fn any(&self, matches: impl Fn(&Request) -> bool) -> bool {
        self.list.iter().any(|transaction| matches(&transaction.request))
    }
}
