//! Cookies that prove a client's address before there is any state for it (RFC 9147 §5.1, RFC 6347 §4.2.1).
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::unwrap_used)]

mod codec;
mod keys;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::{Error, Full, Reader, Seed, Writer};

use self::codec::{Content, MAX_LEN};
use self::keys::{Keys, Sender};
use self::waiting::{Partial, Waiting};
use crate::alert::Alert;
use crate::config::Config;
use crate::counters::Counters;
use crate::crypto::Digest;
use crate::event::CloseReason;
use crate::handshake::{Fragment, HandshakeHeader};
use crate::hello::{ClientHello, HelloHead};
use crate::negotiation::{choose_version, malformed, speaks};
use crate::reassembly::{Pushed, Reassembler, ReassemblyLimits};
use crate::record::RecordHeader;
use crate::registry::{AlertDescription, ContentType, HandshakeType, Version};
use crate::v12::HelloVerifyRequest;
use crate::v13::{Retried, Retry, UnifiedHeader, check_legacy_cookie};

/// The doorkeeper of a DTLS server that anybody can send datagrams to: it asks each client for a cookie, which proves that the
/// client receives what is sent to its address, and keeps no state for those that have not shown one (RFC 9147 §5.1, RFC
/// 6347 §4.2.1).
///
/// It stands in front of the connections. Datagrams from addresses that have none come here; once it says
/// [`Proven`](Exchanged::Proven), [`Dtls::accept`](crate::Dtls::accept) makes the connection, to which all further ones
/// from there go. It asks with a `HelloRetryRequest` in DTLS 1.3 and with a `HelloVerifyRequest` in DTLS 1.2, each
/// answer in one datagram, of at most three times the bytes that it answers. A
/// hello that comes in several datagrams is put together within a budget ([`CookieLimits`]).
///
/// Behind ICE nobody needs it, since ICE has proven the address. Where connections have ids, those of a datagram are looked up
/// before its address ([`peek_connection_id`](crate::peek_connection_id)).
///
/// ```
/// use std::collections::HashMap;
/// use std::net::SocketAddr;
/// use std::sync::Arc;
/// use std::time::Instant;
///
/// use dtls_srtp::{Certificate, Config, CookieExchange, CookieLimits, Dtls, Exchanged, RingCrypto};
/// use wire::Seed;
///
/// let config = Arc::new(Config::new(Arc::new(RingCrypto::new()), Certificate::generate()?));
/// // The seeds of a program come from the operating system.
/// let mut door = CookieExchange::new(config, CookieLimits::default(), Seed::from_run(1), Instant::now());
/// let mut connections: HashMap<SocketAddr, Dtls> = HashMap::new();
///
/// let mut on_datagram = |now: Instant, from: SocketAddr, datagram: &mut [u8]| {
///     if let Some(connection) = connections.get_mut(&from) {
///         connection.handle_datagram(now, datagram, &mut |message| println!("{message:?}"));
///         return None;
///     }
///     let mut out = [0; CookieExchange::MIN_OUT];
///     match door.handle_datagram(now, from.to_string().as_bytes(), datagram, &mut out) {
///         Exchanged::Answer(len) => return Some((from, out[..len].to_vec())),
///         Exchanged::Proven(hello) => drop(connections.insert(from, Dtls::accept(*hello, Seed::from_run(2), now))),
///         Exchanged::Nothing => {}
///     }
///     None
/// };
/// on_datagram(Instant::now(), "192.0.2.1:5000".parse()?, &mut [22, 0xfe, 0xfd]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CookieExchange {
    config: Arc<Config>,
    keys: Keys,
    waiting: Waiting,
    counters: Counters,
}

/// What a [`CookieExchange`] may keep, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieLimits {
    /// How long a cookie is good, and after how long the key that makes them changes; at most 2^32 - 1 ms.
    pub lifetime: Duration,
    /// How long the parts of a hello wait for its rest.
    pub hello_timeout: Duration,
    /// How many bytes all hellos in parts may take together, with what keeping them costs (about a kilobyte each).
    /// Beyond it those of which the beginning is missing are forgotten, and then those that came first. With 0, hellos that
    /// do not fit into a datagram get no answer, except where DTLS 1.2 alone is spoken.
    pub held_bytes: usize,
}

impl Default for CookieLimits {
    /// 30 s, 5 s, 4 MiB: some 1800 of the first datagrams that browsers send.
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(30),
            hello_timeout: Duration::from_secs(5),
            held_bytes: 4 << 20,
        }
    }
}

/// What came of a datagram.
#[derive(Debug)]
pub enum Exchanged {
    /// The first bytes of `out` go back to where the datagram came from: a cookie, or an alert.
    Answer(usize),
    /// The client receives what is sent to its address: [`Dtls::accept`](crate::Dtls::accept) goes on.
    Proven(Box<ProvenHello>),
    /// There is nothing to send: the datagram was noise, which is counted, or part of a hello, which is kept.
    Nothing,
}

/// A `ClientHello`, or its beginning, from an address that is proven.
pub struct ProvenHello {
    pub(crate) config: Arc<Config>,
    pub(crate) message_seq: u16,
    pub(crate) record_sequence: u64,
    /// What is there of the hello.
    pub(crate) reassembler: Reassembler,
    /// What came before it in DTLS 1.3; `None` in DTLS 1.2, where that does not count.
    pub(crate) retried: Option<Retried>,
}

impl ProvenHello {
    /// The cookie that the client has shown: one that an [`Answer`](Exchanged::Answer) to its address had.
    pub fn cookie(&self) -> Option<&[u8]> {
        let begun = self.reassembler.beginning()?;
        if self.retried.is_some() {
            let hello = ClientHello::parse(begun.bytes).ok()?;
            return hello.extensions.cookie().ok()?;
        }
        let head = HelloHead::read(&mut Reader::new(begun.bytes)).ok()?;
        Some(head.cookie)
    }
}

/// What is to be done about a hello.
enum Verdict {
    /// It is not there as far as it has to be.
    Wait,
    Ignore,
    Proven(Option<Retried>),
    Say(Say),
}

/// What is said to somebody who is not proven.
enum Say {
    /// A `HelloVerifyRequest`.
    Verify,
    /// A `HelloRetryRequest` that says so, in answer to a hello with this hash.
    Retry(Retry, Digest),
    Alert(AlertDescription),
}

impl CookieExchange {
    /// The shortest `out` that [`handle_datagram`](Self::handle_datagram) takes, in bytes.
    pub const MIN_OUT: usize = 256;

    /// The last number that a hello may have here. The first is 0, and each cookie that is asked for adds one: more than one
    /// only where a client of DTLS 1.2 comes late.
    const MAX_MESSAGE_SEQ: u16 = 7;

    /// How many fragments are taken from one datagram. Real clients have one or two; each may have what is there moved.
    const MAX_FRAGMENTS: usize = 16;

    /// How many times as many bytes as came go back at most (RFC 9147 §5.1).
    const AMPLIFICATION: usize = 3;

    /// The highest number that a record of a hello may have. Ours go on from it, and have to get far.
    const MAX_SEQUENCE: u64 = RecordHeader::MAX_SEQUENCE / 2;

    /// One with keys of its own, which grow from the seed. The configuration is that of the connections.
    pub fn new(config: Arc<Config>, limits: CookieLimits, seed: Seed, now: Instant) -> Self {
        Self {
            config,
            keys: Keys::new(limits.lifetime, seed, now),
            waiting: Waiting::new(limits.held_bytes, limits.hello_timeout),
            counters: Counters::default(),
        }
    }

    // 1. Getters

    /// What was tolerated so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What hellos in parts take, in bytes: at most [`CookieLimits::held_bytes`], whatever comes.
    pub const fn held_bytes(&self) -> usize {
        self.waiting.held_bytes()
    }

    // 2. Inputs

    /// Takes a datagram from an address that has no connection. `source` is that address with its port, in any form that is
    /// always the same; `out` has at least [`MIN_OUT`](Self::MIN_OUT) bytes.
    pub fn handle_datagram(&mut self, now: Instant, source: &[u8], datagram: &[u8], out: &mut [u8]) -> Exchanged {
        self.handle_timeout(now);
        let Some(partial) = self.take_fragments(source, datagram) else {
            return Exchanged::Nothing;
        };
        match self.judge(now, source, &partial) {
            Verdict::Wait => {
                self.counters.abandoned_hellos += self.waiting.keep(now, source, partial);
                Exchanged::Nothing
            }
            Verdict::Ignore => Exchanged::Nothing,
            Verdict::Proven(retried) => Exchanged::Proven(Box::new(ProvenHello {
                config: self.config.clone(),
                message_seq: partial.message_seq,
                record_sequence: partial.record_sequence,
                reassembler: partial.reassembler,
                retried,
            })),
            Verdict::Say(say) => {
                debug_assert!(
                    out.len() >= Self::MIN_OUT,
                    "handle_datagram needs {} bytes",
                    Self::MIN_OUT
                );
                // No more than that, whatever we would say.
                let limit = partial
                    .received_bytes
                    .saturating_mul(Self::AMPLIFICATION)
                    .min(out.len());
                let mut w = Writer::new(out.get_mut(..limit).unwrap_or_default());
                match self.write(now, source, &partial, &say, &mut w) {
                    Some(()) => Exchanged::Answer(w.position()),
                    None => Exchanged::Nothing,
                }
            }
        }
    }

    /// Forgets hellos whose rest has not come in time. Spurious and repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.counters.abandoned_hellos += self.waiting.expire(now);
    }

    // 4. Outputs

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.deadline()
    }

    // Hellos

    /// Takes the parts of a hello out of a datagram, and what was kept of it.
    fn take_fragments(&mut self, source: &[u8], datagram: &[u8]) -> Option<Partial> {
        let mut partial = None;
        let mut room = Self::MAX_FRAGMENTS;
        let mut r = Reader::new(datagram);
        while let Some(first) = r.peek_u8() {
            if UnifiedHeader::begins(first) || first == ContentType::TLS12_CID.0 {
                // Nothing behind it can be found without its keys' header.
                self.counters.stale_epoch_records += 1;
                break;
            }
            let Ok((header, body)) = read_record(&mut r) else {
                self.counters.malformed_records += 1;
                break;
            };
            match header.content_type {
                _ if header.epoch > 0 => self.counters.stale_epoch_records += 1,
                ContentType::HANDSHAKE if header.sequence > Self::MAX_SEQUENCE => {
                    self.counters.unexpected_messages += 1;
                }
                ContentType::HANDSHAKE => self.take_record(source, &mut partial, &mut room, header.sequence, body),
                // RFC 8446 §4.2.2: servers without state ignore these.
                ContentType::CHANGE_CIPHER_SPEC => {}
                ContentType::ALERT => self.counters.unprotected_alerts += 1,
                ContentType::ACK => self.counters.unprotected_acks += 1,
                ContentType::APPLICATION_DATA => self.counters.unprotected_application_data += 1,
                _ => self.counters.unknown_content_types += 1,
            }
        }
        if let Some(partial) = &mut partial {
            partial.received_bytes = partial.received_bytes.saturating_add(datagram.len());
        }
        partial
    }

    fn take_record(
        &mut self,
        source: &[u8],
        partial: &mut Option<Partial>,
        room: &mut usize,
        sequence: u64,
        body: &[u8],
    ) {
        let mut r = Reader::new(body);
        loop {
            let Ok(fragment) = Fragment::read(&mut r) else {
                self.counters.malformed_fragments += 1;
                return;
            };
            let message_seq = fragment.header.message_seq;
            let is_hello = fragment.header.message_type == HandshakeType::CLIENT_HELLO;
            let is_other = |partial: &Partial| partial.message_seq != message_seq;
            if !is_hello || message_seq > Self::MAX_MESSAGE_SEQ || partial.as_ref().is_some_and(is_other) {
                self.counters.unexpected_messages += 1;
            } else if let Some(left) = room.checked_sub(1) {
                *room = left;
                let kept = partial.take().or_else(|| self.waiting.take(source, message_seq));
                *partial = Some(self.add(kept, sequence, &fragment));
            } else {
                self.counters.fragments_beyond_budget += 1;
            }
            if r.is_empty() {
                return;
            }
        }
    }

    fn add(&mut self, kept: Option<Partial>, sequence: u64, fragment: &Fragment<'_>) -> Partial {
        let message_seq = fragment.header.message_seq;
        let limits = ReassemblyLimits::of(&self.config);
        let fresh = || Partial::new(message_seq, Reassembler::starting_at(message_seq, limits));
        let mut partial = kept.unwrap_or_else(fresh);
        let mut pushed = partial.reassembler.push(fragment);
        if pushed == Pushed::Inconsistent {
            // Another client has the address now, or the same has begun anew.
            self.counters.inconsistent_fragments += 1;
            partial = fresh();
            pushed = partial.reassembler.push(fragment);
        }
        match pushed {
            // What adds nothing has no say in how our records are numbered, either.
            Pushed::Kept | Pushed::KeptInstead => partial.record_sequence = partial.record_sequence.max(sequence),
            Pushed::Repeated | Pushed::Stale => self.counters.repeated_fragments += 1,
            Pushed::TooLong => self.counters.oversized_messages += 1,
            Pushed::NoRoom => self.counters.fragments_beyond_budget += 1,
            Pushed::Inconsistent => {}
        }
        partial
    }

    fn judge(&mut self, now: Instant, source: &[u8], partial: &Partial) -> Verdict {
        let speaks_12 = speaks(&self.config, Version::DTLS_1_2);
        let speaks_13 = speaks(&self.config, Version::DTLS_1_3);
        let Some(begun) = partial.reassembler.beginning() else {
            // The rest of a first hello is of use to those alone who need all of it.
            let is_of_use = speaks_13 || partial.message_seq > 0;
            return if is_of_use && !partial.reassembler.is_empty() {
                Verdict::Wait
            } else {
                Verdict::Ignore
            };
        };
        let malformed = malformed(HandshakeType::CLIENT_HELLO);
        let head = match HelloHead::read(&mut Reader::new(begun.bytes)) {
            Ok(head) => head,
            Err(Error::Short { .. }) if !begun.is_whole => return Verdict::Wait,
            Err(error) => return self.refuse(malformed(error)),
        };
        // Those who speak DTLS 1.2 alone need not know more: all that their cookies are bound to is in the first part.
        if speaks_12 && !speaks_13 {
            return self.judge_12(now, source, &head);
        }
        if !begun.is_whole {
            return Verdict::Wait;
        }
        let hello = match ClientHello::parse(begun.bytes) {
            Ok(hello) => hello,
            Err(error) => return self.refuse(malformed(error)),
        };
        match choose_version(&self.config, &hello) {
            Ok(Version::DTLS_1_3) => self.judge_13(now, source, partial.message_seq, begun.bytes, &hello),
            Ok(_) => self.judge_12(now, source, &head),
            Err(reason) => self.refuse(reason),
        }
    }

    fn judge_12(&mut self, now: Instant, source: &[u8], head: &HelloHead<'_>) -> Verdict {
        let sender = Sender::of(source, head);
        if head.cookie.is_empty() {
            return Verdict::Say(Say::Verify);
        }
        match self.keys.verify(&*self.config.crypto, now, sender, head.cookie) {
            Some(Content::Verify) => Verdict::Proven(None),
            // RFC 6347 §4.2.1: as if there were none.
            _ => {
                self.counters.invalid_cookies += 1;
                Verdict::Say(Say::Verify)
            }
        }
    }

    fn judge_13(
        &mut self,
        now: Instant,
        source: &[u8],
        message_seq: u16,
        body: &[u8],
        hello: &ClientHello<'_>,
    ) -> Verdict {
        if let Err(reason) = check_legacy_cookie(hello) {
            return self.refuse(reason);
        }
        let cookie = match hello.extensions.cookie() {
            Ok(Some(cookie)) => cookie,
            Ok(None) if message_seq == 0 => {
                return match Retry::for_hello(&self.config, body) {
                    Ok((retry, hash)) => Verdict::Say(Say::Retry(retry, hash)),
                    Err(reason) => self.refuse(reason),
                };
            }
            // Nobody may be asked twice (RFC 8446 §4.1.4).
            Ok(None) => {
                self.counters.unexpected_messages += 1;
                return Verdict::Ignore;
            }
            Err(error) => return self.refuse(malformed(HandshakeType::CLIENT_HELLO)(error)),
        };
        let sender = Sender {
            source,
            random: &hello.random,
            session_id: hello.session_id,
        };
        let content = self.keys.verify(&*self.config.crypto, now, sender, cookie);
        match content.and_then(|content| retried(&content, cookie)) {
            Some(retried) => Verdict::Proven(Some(retried)),
            // RFC 9147 §5.1: so the client can begin anew.
            None => {
                self.counters.invalid_cookies += 1;
                Verdict::Say(Say::Alert(AlertDescription::ILLEGAL_PARAMETER))
            }
        }
    }

    /// Tells why we cannot do what a hello asks for.
    fn refuse(&mut self, reason: CloseReason) -> Verdict {
        self.counters.refused_hellos += 1;
        reason
            .alert()
            .map_or(Verdict::Ignore, |alert| Verdict::Say(Say::Alert(alert)))
    }

    // Answers

    /// Writes the datagram that says so.
    fn write(&mut self, now: Instant, source: &[u8], partial: &Partial, say: &Say, w: &mut Writer<'_>) -> Option<()> {
        let mut body = [0; Self::MIN_OUT];
        let mut body = Writer::new(&mut body);
        let content_type = match say {
            Say::Alert(description) => {
                body.put(&Alert::fatal(*description).to_bytes()).ok()?;
                ContentType::ALERT
            }
            Say::Verify => {
                let mut room = [0; MAX_LEN];
                let cookie = self.cookie(now, source, partial, Content::Verify, &mut room)?;
                // RFC 6347 §4.2.1: the version says nothing.
                let version = Version::DTLS_1_0;
                write_message(
                    &mut body,
                    HandshakeType::HELLO_VERIFY_REQUEST,
                    partial.message_seq,
                    |w| HelloVerifyRequest { version, cookie }.write(w),
                )
                .ok()?;
                ContentType::HANDSHAKE
            }
            Say::Retry(retry, hash) => {
                let mut room = [0; MAX_LEN];
                let content = Content::Retry(*retry, hash.as_bytes());
                let cookie = self.cookie(now, source, partial, content, &mut room)?;
                write_message(&mut body, HandshakeType::SERVER_HELLO, partial.message_seq, |w| {
                    retry.write(w, cookie)
                })
                .ok()?;
                ContentType::HANDSHAKE
            }
        };
        let header = RecordHeader {
            content_type,
            version: Version::DTLS_1_2,
            epoch: 0,
            // RFC 6347 §4.2.1: that of the hello, since we cannot count.
            sequence: partial.record_sequence,
            length: u16::try_from(body.position()).ok()?,
        };
        header.write(w).ok()?;
        w.put(body.written()).ok()
    }

    fn cookie<'o>(
        &mut self,
        now: Instant,
        source: &[u8],
        partial: &Partial,
        content: Content<'_>,
        room: &'o mut [u8; MAX_LEN],
    ) -> Option<&'o [u8]> {
        let begun = partial.reassembler.beginning()?;
        let head = HelloHead::read(&mut Reader::new(begun.bytes)).ok()?;
        let sender = Sender::of(source, &head);
        self.keys.make(&*self.config.crypto, now, sender, content, room)
    }
}

impl<'a> Sender<'a> {
    const fn of(source: &'a [u8], head: &'a HelloHead<'_>) -> Self {
        Self {
            source,
            random: &head.random,
            session_id: head.session_id,
        }
    }
}

fn read_record<'a>(r: &mut Reader<'a>) -> Result<(RecordHeader, &'a [u8]), Error> {
    let header = RecordHeader::read(r)?;
    let body = r.take(usize::from(header.length))?;
    Ok((header, body))
}

/// Writes a whole handshake message.
fn write_message(
    w: &mut Writer<'_>,
    message_type: HandshakeType,
    message_seq: u16,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<(), Full> {
    let mut body = [0; CookieExchange::MIN_OUT];
    let mut body = Writer::new(&mut body);
    write(&mut body)?;
    let length = u32::try_from(body.position()).map_err(|_| Full)?;
    HandshakeHeader::whole(message_type, message_seq, length).write(w)?;
    w.put(body.written())
}

/// What a cookie of a `HelloRetryRequest` brings back; that message was the one that it stood in.
fn retried(content: &Content<'_>, cookie: &[u8]) -> Option<Retried> {
    let Content::Retry(retry, hash) = content else {
        return None;
    };
    let mut request = [0; CookieExchange::MIN_OUT];
    let mut w = Writer::new(&mut request);
    retry.write(&mut w, cookie).ok()?;
    Some(Retried {
        retry: *retry,
        hash: Digest::new(hash),
        request: w.into_written().to_vec(),
    })
}

impl fmt::Debug for ProvenHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenHello")
            .field("message_seq", &self.message_seq)
            .field("reassembler", &self.reassembler)
            .field("retried", &self.retried)
            .finish_non_exhaustive()
    }
}
