//! BoringSSL as an engine without I/O: datagrams go in and come out, and it is told the time.
#![warn(unsafe_op_in_unsafe_fn)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boring::error::ErrorStack;
use boring::pkey::PKey;
use boring::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslSession, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use boring::x509::X509;
use boring_sys as ffi;
use foreign_types::ForeignTypeRef;

/// What BoringSSL is to speak.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its lowest and highest version.
    pub versions: (SslVersion, SslVersion),
    /// Certificate and private key in DER.
    pub certificate: (Vec<u8>, Vec<u8>),
    /// Groups, best first, as BoringSSL names them.
    pub groups: &'static str,
    /// Suites of DTLS 1.3 by their numbers, best first; empty for BoringSSL's own choice.
    pub suites_13: Vec<u16>,
    /// Suites of DTLS 1.2, as BoringSSL names them.
    pub suites_12: &'static str,
    /// Profiles of SRTP, best first, as BoringSSL names them.
    pub profiles: &'static str,
    /// The largest datagram.
    pub mtu: u32,
}

/// What the connections of a client or of a server have in common: a server's keys for tickets, and the sessions that a
/// client was given.
pub struct Context {
    context: SslContext,
    sessions: Sessions,
    mtu: u32,
    is_client: bool,
    epoch: Instant,
}

/// The sessions that a client has not offered yet, in the order of their tickets.
type Sessions = Arc<Mutex<VecDeque<SslSession>>>;

/// A connection.
#[derive(Debug)]
pub struct Boring {
    stream: SslStream<Wire>,
    is_client: bool,
    epoch: Instant,
    connected: bool,
    heard: Option<Vec<u8>>,
    left: bool,
    failure: Option<String>,
}

/// What BoringSSL takes for a socket.
#[derive(Debug, Default)]
struct Wire {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer
            .get_mut(..datagram.len())
            .ok_or(io::ErrorKind::InvalidInput)?
            .copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

thread_local! {
    /// What BoringSSL is told when it asks for the time: it asks during calls, in the thread of the caller.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// When clocks begin, in seconds after 1970: a time at which certificates are valid.
const BEGINNING: u64 = 1_800_000_000;

unsafe extern "C" fn tell_time(_: *const ffi::SSL, out: *mut ffi::timeval) {
    let now = NOW.get();
    // SAFETY: BoringSSL lends a place of its own to be filled.
    unsafe {
        (*out).tv_sec = (BEGINNING + now.as_secs()) as _;
        (*out).tv_usec = now.subsec_micros() as _;
    }
}

impl Context {
    /// One of a client or of a server, which asks for the peer's certificate and takes any. `now` is when its clock begins.
    ///
    /// # Errors
    /// When BoringSSL does not like the configuration.
    pub fn new(config: &Config, is_client: bool, now: Instant) -> Result<Self, ErrorStack> {
        let mut context = SslContextBuilder::new(SslMethod::dtls())?;
        let certificate = X509::from_der(&config.certificate.0)?;
        let key = PKey::private_key_from_der(&config.certificate.1)?;
        context.set_certificate(&certificate)?;
        context.set_private_key(&key)?;
        context.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| true);
        context.set_min_proto_version(Some(config.versions.0))?;
        context.set_max_proto_version(Some(config.versions.1))?;
        context.set_curves_list(config.groups)?;
        context.set_cipher_list(config.suites_12)?;
        context.set_tlsext_use_srtp(config.profiles)?;
        let sessions = Sessions::default();
        let kept = sessions.clone();
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        context.set_new_session_callback(move |_, session| kept.lock().unwrap().push_back(session));
        // SAFETY: the context is alive; the list is copied; the function lives for ever.
        unsafe {
            let raw = context.as_ptr();
            let (list, len) = (config.suites_13.as_ptr(), config.suites_13.len());
            assert_eq!(ffi::SSL_CTX_set1_tls13_ciphers(raw, list, std::ptr::null(), len), 1);
            ffi::SSL_CTX_set_current_time_cb(raw, Some(tell_time));
        }
        Ok(Self {
            context: context.build(),
            sessions,
            mtu: config.mtu,
            is_client,
            epoch: now,
        })
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// When BoringSSL cannot make one.
    pub fn connection(&self, now: Instant) -> Result<Boring, ErrorStack> {
        self.begin(None, now)
    }

    /// A connection that offers the oldest session that was not offered yet, if there is one.
    ///
    /// # Errors
    /// When BoringSSL cannot make one.
    pub fn resuming(&self, now: Instant) -> Result<Boring, ErrorStack> {
        let session = self.sessions.lock().unwrap().pop_front();
        self.begin(session, now)
    }

    /// How many sessions there are to offer.
    pub fn sessions(&self) -> usize {
        self.sessions.lock().unwrap().len()
    }

    fn begin(&self, session: Option<SslSession>, now: Instant) -> Result<Boring, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_mtu(self.mtu)?;
        if let Some(session) = session {
            // SAFETY: the session is of this context.
            unsafe { ssl.set_session(&session)? };
        }
        let mut connection = Boring {
            stream: SslStream::new(ssl, Wire::default())?,
            is_client: self.is_client,
            epoch: self.epoch,
            connected: false,
            heard: None,
            left: false,
            failure: None,
        };
        connection.turn(now);
        Ok(connection)
    }
}

impl Boring {
    fn raw(&self) -> *mut ffi::SSL {
        self.stream.ssl().as_ptr()
    }

    fn set_now(&self, now: Instant) {
        NOW.set(now - self.epoch);
    }

    /// Lets it do what it can.
    fn turn(&mut self, now: Instant) {
        self.set_now(now);
        if !self.connected {
            let result = if self.is_client {
                self.stream.connect()
            } else {
                self.stream.accept()
            };
            match result {
                Ok(()) => self.connected = true,
                Err(error) if error.code() == ErrorCode::WANT_READ => return,
                Err(error) => {
                    self.failure = Some(error.to_string());
                    return;
                }
            }
        }
        let mut buffer = [0; 2048];
        loop {
            match self.stream.ssl_read(&mut buffer) {
                Ok(len) => self.heard = Some(buffer[..len].to_vec()),
                Err(error) if error.code() == ErrorCode::WANT_READ => return,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    self.left = true;
                    return;
                }
                Err(error) => {
                    self.failure = Some(error.to_string());
                    return;
                }
            }
        }
    }

    /// Takes a datagram.
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) {
        self.stream.get_mut().incoming.push_back(datagram.to_vec());
        self.turn(now);
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Instant) {
        self.set_now(now);
        // SAFETY: the connection is alive.
        let result = unsafe { ffi::DTLSv1_handle_timeout(self.raw()) };
        if result < 0 {
            self.failure = Some("the handshake did not end in time".to_owned());
        }
        self.turn(now);
    }

    /// All datagrams that wait.
    pub fn transmits(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.stream.get_mut().outgoing)
    }

    /// When [`timeout`](Self::timeout) wants to be called.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.set_now(now);
        let mut left = ffi::timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: the connection is alive, and so is the place for the answer.
        let is_armed = unsafe { ffi::DTLSv1_get_timeout(self.raw(), &mut left) } == 1;
        let left = Duration::new(left.tv_sec as u64, left.tv_usec as u32 * 1000);
        is_armed.then(|| now + left)
    }

    /// Whether the handshake is complete.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether it resumes a session.
    pub fn is_resumed(&self) -> bool {
        self.stream.ssl().session_reused()
    }

    /// The peer's certificate in DER.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.stream.ssl().peer_certificate()?.to_der().ok()
    }

    /// The negotiated profile by BoringSSL's name.
    pub fn srtp_profile(&self) -> Option<&str> {
        Some(self.stream.ssl().selected_srtp_profile()?.name())
    }

    /// Keying material (RFC 5705, RFC 8446 §7.5).
    ///
    /// # Errors
    /// Before the handshake is complete.
    pub fn export(&self, label: &str, context: Option<&[u8]>, out: &mut [u8]) -> Result<(), ErrorStack> {
        self.stream.ssl().export_keying_material(out, label, context)
    }

    /// Sends a message.
    ///
    /// # Panics
    /// When BoringSSL refuses it.
    pub fn say(&mut self, data: &[u8]) {
        assert_eq!(self.stream.ssl_write(data).unwrap(), data.len());
    }

    /// The last message that came.
    pub fn heard(&self) -> Option<&[u8]> {
        self.heard.as_deref()
    }

    /// Changes its keys with the next message, and asks for new ones of the peer's (RFC 9147 §8).
    ///
    /// # Panics
    /// In DTLS 1.2.
    pub fn update_keys(&mut self) {
        // SAFETY: the connection is alive.
        let result = unsafe { ffi::SSL_key_update(self.raw(), ffi::SSL_KEY_UPDATE_REQUESTED as _) };
        assert_eq!(result, 1);
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        let _ = self.stream.shutdown();
    }

    /// Whether the peer said goodbye.
    pub fn was_left(&self) -> bool {
        self.left
    }

    /// What went wrong.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}
