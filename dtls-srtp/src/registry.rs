//! The IANA registries that the handshake speaks in. Values without a name here survive and are printed as numbers.

wire::registry! {
    /// Protocol versions as DTLS writes them: the ones' complement of the version number (RFC 6347 §4.1).
    pub struct Version(u16) {
        /// RFC 4347; only seen as the legacy version of records and of `HelloVerifyRequest`.
        DTLS_1_0 = 0xfeff => "DTLS 1.0",
        /// RFC 6347.
        DTLS_1_2 = 0xfefd => "DTLS 1.2",
        /// RFC 9147.
        DTLS_1_3 = 0xfefc => "DTLS 1.3",
    }
}

impl Version {
    /// Whether the value can be a version of DTLS at all: all of them begin with 254 (RFC 6347 §4.1).
    pub const fn is_dtls(self) -> bool {
        self.0 >> 8 == 0xfe
    }
}

wire::registry! {
    /// What a record carries (RFC 6347 §4.1, RFC 9146 §4, RFC 9147 §4).
    pub struct ContentType(u8) {
        /// RFC 5246 §7.1.
        CHANGE_CIPHER_SPEC = 20 => "change_cipher_spec",
        /// RFC 5246 §7.2.
        ALERT = 21 => "alert",
        /// RFC 5246 §7.4.
        HANDSHAKE = 22 => "handshake",
        /// RFC 5246 §10.
        APPLICATION_DATA = 23 => "application_data",
        /// RFC 9146 §4: protected, with a connection ID in the header and the true type inside.
        TLS12_CID = 25 => "tls12_cid",
        /// RFC 9147 §7.
        ACK = 26 => "ack",
    }
}

wire::registry! {
    /// Handshake messages (RFC 5246 §7.4, RFC 6347 §4.3.2).
    pub struct HandshakeType(u8) {
        /// RFC 5246 §7.4.1.1.
        HELLO_REQUEST = 0 => "hello_request",
        /// RFC 5246 §7.4.1.2.
        CLIENT_HELLO = 1 => "client_hello",
        /// RFC 5246 §7.4.1.3.
        SERVER_HELLO = 2 => "server_hello",
        /// RFC 6347 §4.2.1.
        HELLO_VERIFY_REQUEST = 3 => "hello_verify_request",
        /// RFC 5077 §3.3.
        NEW_SESSION_TICKET = 4 => "new_session_ticket",
        /// RFC 8446 §4.3.1.
        ENCRYPTED_EXTENSIONS = 8 => "encrypted_extensions",
        /// RFC 9147 §9.
        REQUEST_CONNECTION_ID = 9 => "request_connection_id",
        /// RFC 9147 §9.
        NEW_CONNECTION_ID = 10 => "new_connection_id",
        /// RFC 5246 §7.4.2.
        CERTIFICATE = 11 => "certificate",
        /// RFC 5246 §7.4.3.
        SERVER_KEY_EXCHANGE = 12 => "server_key_exchange",
        /// RFC 5246 §7.4.4.
        CERTIFICATE_REQUEST = 13 => "certificate_request",
        /// RFC 5246 §7.4.5.
        SERVER_HELLO_DONE = 14 => "server_hello_done",
        /// RFC 5246 §7.4.8.
        CERTIFICATE_VERIFY = 15 => "certificate_verify",
        /// RFC 5246 §7.4.7.
        CLIENT_KEY_EXCHANGE = 16 => "client_key_exchange",
        /// RFC 5246 §7.4.9.
        FINISHED = 20 => "finished",
        /// RFC 8446 §4.6.3.
        KEY_UPDATE = 24 => "key_update",
        /// RFC 8446 §4.4.1: never sent, it stands for a first `ClientHello` in the transcript.
        MESSAGE_HASH = 254 => "message_hash",
    }
}

wire::registry! {
    /// Alert descriptions (RFC 5246 §7.2, RFC 8446 §6).
    pub struct AlertDescription(u8) {
        /// RFC 5246 §7.2.1.
        CLOSE_NOTIFY = 0 => "close_notify",
        /// RFC 5246 §7.2.2.
        UNEXPECTED_MESSAGE = 10 => "unexpected_message",
        /// RFC 5246 §7.2.2.
        BAD_RECORD_MAC = 20 => "bad_record_mac",
        /// RFC 5246 §7.2.2.
        RECORD_OVERFLOW = 22 => "record_overflow",
        /// RFC 5246 §7.2.2.
        HANDSHAKE_FAILURE = 40 => "handshake_failure",
        /// RFC 5246 §7.2.2.
        BAD_CERTIFICATE = 42 => "bad_certificate",
        /// RFC 5246 §7.2.2.
        UNSUPPORTED_CERTIFICATE = 43 => "unsupported_certificate",
        /// RFC 5246 §7.2.2.
        CERTIFICATE_REVOKED = 44 => "certificate_revoked",
        /// RFC 5246 §7.2.2.
        CERTIFICATE_EXPIRED = 45 => "certificate_expired",
        /// RFC 5246 §7.2.2.
        CERTIFICATE_UNKNOWN = 46 => "certificate_unknown",
        /// RFC 5246 §7.2.2.
        ILLEGAL_PARAMETER = 47 => "illegal_parameter",
        /// RFC 5246 §7.2.2.
        UNKNOWN_CA = 48 => "unknown_ca",
        /// RFC 5246 §7.2.2.
        ACCESS_DENIED = 49 => "access_denied",
        /// RFC 5246 §7.2.2.
        DECODE_ERROR = 50 => "decode_error",
        /// RFC 5246 §7.2.2.
        DECRYPT_ERROR = 51 => "decrypt_error",
        /// RFC 9147 §9.
        TOO_MANY_CIDS_REQUESTED = 52 => "too_many_cids_requested",
        /// RFC 5246 §7.2.2.
        PROTOCOL_VERSION = 70 => "protocol_version",
        /// RFC 5246 §7.2.2.
        INSUFFICIENT_SECURITY = 71 => "insufficient_security",
        /// RFC 5246 §7.2.2.
        INTERNAL_ERROR = 80 => "internal_error",
        /// RFC 5246 §7.2.2.
        USER_CANCELED = 90 => "user_canceled",
        /// RFC 5246 §7.2.2.
        NO_RENEGOTIATION = 100 => "no_renegotiation",
        /// RFC 8446 §6.2.
        MISSING_EXTENSION = 109 => "missing_extension",
        /// RFC 5246 §7.2.2.
        UNSUPPORTED_EXTENSION = 110 => "unsupported_extension",
        /// RFC 8446 §6.2.
        CERTIFICATE_REQUIRED = 116 => "certificate_required",
        /// RFC 7301 §3.2.
        NO_APPLICATION_PROTOCOL = 120 => "no_application_protocol",
    }
}

wire::registry! {
    /// Cipher suites (RFC 5289, RFC 7905, RFC 8446 §B.4).
    pub struct CipherSuite(u16) {
        /// RFC 8446 §B.4.
        TLS_AES_128_GCM_SHA256 = 0x1301 => "TLS_AES_128_GCM_SHA256",
        /// RFC 8446 §B.4.
        TLS_AES_256_GCM_SHA384 = 0x1302 => "TLS_AES_256_GCM_SHA384",
        /// RFC 8446 §B.4.
        TLS_CHACHA20_POLY1305_SHA256 = 0x1303 => "TLS_CHACHA20_POLY1305_SHA256",
        /// RFC 5746 §3.3: not a suite but a signal.
        TLS_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00ff => "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
        /// RFC 5289 §3.2.
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xc02b => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        /// RFC 5289 §3.2.
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xc02c => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        /// RFC 5289 §3.2.
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xc02f => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        /// RFC 5289 §3.2.
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xc030 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        /// RFC 7905 §3.
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca8 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        /// RFC 7905 §3.
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca9 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    }
}

wire::registry! {
    /// Groups for the key exchange (RFC 8422 §5.1.1, RFC 8446 §4.2.7).
    pub struct NamedGroup(u16) {
        /// RFC 8422 §5.1.1.
        SECP256R1 = 0x0017 => "secp256r1",
        /// RFC 8422 §5.1.1.
        SECP384R1 = 0x0018 => "secp384r1",
        /// RFC 8422 §5.1.1.
        SECP521R1 = 0x0019 => "secp521r1",
        /// RFC 8422 §5.1.1.
        X25519 = 0x001d => "x25519",
        /// RFC 8422 §5.1.1.
        X448 = 0x001e => "x448",
        /// The hybrid that both browsers offer first.
        X25519_MLKEM768 = 0x11ec => "X25519MLKEM768",
    }
}

wire::registry! {
    /// Signature schemes (RFC 8446 §4.2.3), in TLS 1.2 a pair of hash and signature algorithm (RFC 5246 §7.4.1.4.1).
    pub struct SignatureScheme(u16) {
        /// RFC 8446 §4.2.3.
        RSA_PKCS1_SHA1 = 0x0201 => "rsa_pkcs1_sha1",
        /// RFC 8446 §4.2.3.
        ECDSA_SHA1 = 0x0203 => "ecdsa_sha1",
        /// RFC 8446 §4.2.3.
        RSA_PKCS1_SHA256 = 0x0401 => "rsa_pkcs1_sha256",
        /// RFC 8446 §4.2.3.
        RSA_PKCS1_SHA384 = 0x0501 => "rsa_pkcs1_sha384",
        /// RFC 8446 §4.2.3.
        RSA_PKCS1_SHA512 = 0x0601 => "rsa_pkcs1_sha512",
        /// RFC 8446 §4.2.3. In TLS 1.2 the scheme does not bind the curve.
        ECDSA_SECP256R1_SHA256 = 0x0403 => "ecdsa_secp256r1_sha256",
        /// RFC 8446 §4.2.3. In TLS 1.2 the scheme does not bind the curve.
        ECDSA_SECP384R1_SHA384 = 0x0503 => "ecdsa_secp384r1_sha384",
        /// RFC 8446 §4.2.3. In TLS 1.2 the scheme does not bind the curve.
        ECDSA_SECP521R1_SHA512 = 0x0603 => "ecdsa_secp521r1_sha512",
        /// RFC 8446 §4.2.3.
        RSA_PSS_RSAE_SHA256 = 0x0804 => "rsa_pss_rsae_sha256",
        /// RFC 8446 §4.2.3.
        RSA_PSS_RSAE_SHA384 = 0x0805 => "rsa_pss_rsae_sha384",
        /// RFC 8446 §4.2.3.
        RSA_PSS_RSAE_SHA512 = 0x0806 => "rsa_pss_rsae_sha512",
        /// RFC 8422 §5.1.3.
        ED25519 = 0x0807 => "ed25519",
    }
}

wire::registry! {
    /// Extensions of hello messages.
    pub struct ExtensionType(u16) {
        /// RFC 8422 §5.1.1.
        SUPPORTED_GROUPS = 10 => "supported_groups",
        /// RFC 8422 §5.1.2.
        EC_POINT_FORMATS = 11 => "ec_point_formats",
        /// RFC 5246 §7.4.1.4.1.
        SIGNATURE_ALGORITHMS = 13 => "signature_algorithms",
        /// RFC 5764 §4.1.1.
        USE_SRTP = 14 => "use_srtp",
        /// RFC 7301 §3.1.
        APPLICATION_LAYER_PROTOCOL_NEGOTIATION = 16 => "application_layer_protocol_negotiation",
        /// RFC 7627 §5.1.
        EXTENDED_MASTER_SECRET = 23 => "extended_master_secret",
        /// RFC 8449 §4.
        RECORD_SIZE_LIMIT = 28 => "record_size_limit",
        /// RFC 5077 §3.2.
        SESSION_TICKET = 35 => "session_ticket",
        /// RFC 8446 §4.2.11.
        PRE_SHARED_KEY = 41 => "pre_shared_key",
        /// RFC 8446 §4.2.1.
        SUPPORTED_VERSIONS = 43 => "supported_versions",
        /// RFC 8446 §4.2.2.
        COOKIE = 44 => "cookie",
        /// RFC 8446 §4.2.9.
        PSK_KEY_EXCHANGE_MODES = 45 => "psk_key_exchange_modes",
        /// RFC 8446 §4.2.8.
        KEY_SHARE = 51 => "key_share",
        /// RFC 9146 §3.
        CONNECTION_ID = 54 => "connection_id",
        /// RFC 5746 §3.2.
        RENEGOTIATION_INFO = 0xff01 => "renegotiation_info",
    }
}

wire::registry! {
    /// What a `CertificateRequest` of DTLS 1.2 asks for (RFC 5246 §7.4.4, RFC 8422 §5.5).
    pub struct ClientCertificateType(u8) {
        /// RFC 5246 §7.4.4.
        RSA_SIGN = 1 => "rsa_sign",
        /// RFC 8422 §5.5.
        ECDSA_SIGN = 64 => "ecdsa_sign",
    }
}
