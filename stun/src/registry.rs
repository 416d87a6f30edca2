wire::registry! {
    /// STUN methods (RFC 8489 §18.2): 12 bits.
    pub struct Method(u16) {
        /// RFC 8489 §3.
        BINDING = 0x001 => "Binding",
        /// RFC 8656 §7.
        ALLOCATE = 0x003 => "Allocate",
        /// RFC 8656 §8.
        REFRESH = 0x004 => "Refresh",
        /// RFC 8656 §11, indication only.
        SEND = 0x006 => "Send",
        /// RFC 8656 §11, indication only.
        DATA = 0x007 => "Data",
        /// RFC 8656 §10.
        CREATE_PERMISSION = 0x008 => "CreatePermission",
        /// RFC 8656 §12.
        CHANNEL_BIND = 0x009 => "ChannelBind",
        /// RFC 6062 §4.3.
        CONNECT = 0x00a => "Connect",
        /// RFC 6062 §4.3.
        CONNECTION_BIND = 0x00b => "ConnectionBind",
        /// RFC 6062 §4.4, indication only.
        CONNECTION_ATTEMPT = 0x00c => "ConnectionAttempt",
        /// Google's short consent check.
        GOOG_PING = 0x080 => "GOOG-PING",
    }
}

wire::registry! {
    /// STUN attribute types (RFC 8489 §18.3). Below 0x8000 the receiver has to understand them.
    pub struct AttributeType(u16) {
        /// RFC 8489 §14.1.
        MAPPED_ADDRESS = 0x0001 => "MAPPED-ADDRESS",
        /// RFC 5780 §7.2.
        CHANGE_REQUEST = 0x0003 => "CHANGE-REQUEST",
        /// RFC 8489 §14.3.
        USERNAME = 0x0006 => "USERNAME",
        /// RFC 8489 §14.5.
        MESSAGE_INTEGRITY = 0x0008 => "MESSAGE-INTEGRITY",
        /// RFC 8489 §14.8.
        ERROR_CODE = 0x0009 => "ERROR-CODE",
        /// RFC 8489 §14.13.
        UNKNOWN_ATTRIBUTES = 0x000a => "UNKNOWN-ATTRIBUTES",
        /// RFC 8656 §18.1.
        CHANNEL_NUMBER = 0x000c => "CHANNEL-NUMBER",
        /// RFC 8656 §18.2.
        LIFETIME = 0x000d => "LIFETIME",
        /// RFC 8656 §18.3.
        XOR_PEER_ADDRESS = 0x0012 => "XOR-PEER-ADDRESS",
        /// RFC 8656 §18.4.
        DATA = 0x0013 => "DATA",
        /// RFC 8489 §14.9.
        REALM = 0x0014 => "REALM",
        /// RFC 8489 §14.10.
        NONCE = 0x0015 => "NONCE",
        /// RFC 8656 §18.5.
        XOR_RELAYED_ADDRESS = 0x0016 => "XOR-RELAYED-ADDRESS",
        /// RFC 8656 §18.6.
        REQUESTED_ADDRESS_FAMILY = 0x0017 => "REQUESTED-ADDRESS-FAMILY",
        /// RFC 8656 §18.7.
        EVEN_PORT = 0x0018 => "EVEN-PORT",
        /// RFC 8656 §18.8.
        REQUESTED_TRANSPORT = 0x0019 => "REQUESTED-TRANSPORT",
        /// RFC 8656 §18.9.
        DONT_FRAGMENT = 0x001a => "DONT-FRAGMENT",
        /// RFC 7635 §6.2.
        ACCESS_TOKEN = 0x001b => "ACCESS-TOKEN",
        /// RFC 8489 §14.6.
        MESSAGE_INTEGRITY_SHA256 = 0x001c => "MESSAGE-INTEGRITY-SHA256",
        /// RFC 8489 §14.12.
        PASSWORD_ALGORITHM = 0x001d => "PASSWORD-ALGORITHM",
        /// RFC 8489 §14.4.
        USERHASH = 0x001e => "USERHASH",
        /// RFC 8489 §14.2.
        XOR_MAPPED_ADDRESS = 0x0020 => "XOR-MAPPED-ADDRESS",
        /// RFC 8656 §18.10.
        RESERVATION_TOKEN = 0x0022 => "RESERVATION-TOKEN",
        /// RFC 8445 §16.1.
        PRIORITY = 0x0024 => "PRIORITY",
        /// RFC 8445 §16.1.
        USE_CANDIDATE = 0x0025 => "USE-CANDIDATE",
        /// RFC 5780 §7.6.
        PADDING = 0x0026 => "PADDING",
        /// RFC 5780 §7.5.
        RESPONSE_PORT = 0x0027 => "RESPONSE-PORT",
        /// RFC 6062 §6.2.1.
        CONNECTION_ID = 0x002a => "CONNECTION-ID",
        /// RFC 8656 §18.11.
        ADDITIONAL_ADDRESS_FAMILY = 0x8000 => "ADDITIONAL-ADDRESS-FAMILY",
        /// RFC 8656 §18.12.
        ADDRESS_ERROR_CODE = 0x8001 => "ADDRESS-ERROR-CODE",
        /// RFC 8489 §14.11.
        PASSWORD_ALGORITHMS = 0x8002 => "PASSWORD-ALGORITHMS",
        /// RFC 8489 §14.16.
        ALTERNATE_DOMAIN = 0x8003 => "ALTERNATE-DOMAIN",
        /// RFC 8656 §18.13.
        ICMP = 0x8004 => "ICMP",
        /// RFC 8489 §14.14.
        SOFTWARE = 0x8022 => "SOFTWARE",
        /// RFC 8489 §14.15.
        ALTERNATE_SERVER = 0x8023 => "ALTERNATE-SERVER",
        /// RFC 7982 §3.1.
        TRANSACTION_TRANSMIT_COUNTER = 0x8025 => "TRANSACTION-TRANSMIT-COUNTER",
        /// RFC 5780 §7.7.
        CACHE_TIMEOUT = 0x8027 => "CACHE-TIMEOUT",
        /// RFC 8489 §14.7.
        FINGERPRINT = 0x8028 => "FINGERPRINT",
        /// RFC 8445 §16.1.
        ICE_CONTROLLED = 0x8029 => "ICE-CONTROLLED",
        /// RFC 8445 §16.1.
        ICE_CONTROLLING = 0x802a => "ICE-CONTROLLING",
        /// RFC 5780 §7.3.
        RESPONSE_ORIGIN = 0x802b => "RESPONSE-ORIGIN",
        /// RFC 5780 §7.4.
        OTHER_ADDRESS = 0x802c => "OTHER-ADDRESS",
        /// RFC 6679 §7.3.
        ECN_CHECK = 0x802d => "ECN-CHECK",
        /// RFC 7635 §6.1.
        THIRD_PARTY_AUTHORIZATION = 0x802e => "THIRD-PARTY-AUTHORIZATION",
        /// RFC 8016 §3.3.
        MOBILITY_TICKET = 0x8030 => "MOBILITY-TICKET",
        /// draft-thatcher-ice-renomination, where libwebrtc has it. IANA gave the number to ENF-FLOW-DESCRIPTION.
        NOMINATION = 0xc001 => "NOMINATION",
        /// Chromium: id and cost of the sender's network, in every check.
        GOOG_NETWORK_INFO = 0xc057 => "GOOG-NETWORK-INFO",
        /// Chromium: acknowledgement of the last ICE check.
        GOOG_LAST_ICE_CHECK_RECEIVED = 0xc058 => "GOOG-LAST-ICE-CHECK-RECEIVED",
        /// Chromium: extensions of the two below.
        GOOG_MISC_INFO = 0xc059 => "GOOG-MISC-INFO",
        /// Chromium, obsolete.
        GOOG_OBSOLETE_1 = 0xc05a => "GOOG-OBSOLETE-1",
        /// Chromium: connection identifier.
        GOOG_CONNECTION_ID = 0xc05b => "GOOG-CONNECTION-ID",
        /// Chromium: change of the connection.
        GOOG_DELTA = 0xc05c => "GOOG-DELTA",
        /// Chromium: acknowledgement of a change.
        GOOG_DELTA_ACK = 0xc05d => "GOOG-DELTA-ACK",
        /// Chromium: request for a delta acknowledgement.
        GOOG_DELTA_SYNC_REQ = 0xc05e => "GOOG-DELTA-SYNC-REQ",
        /// Chromium: truncated HMAC-SHA1 of GOOG-PING.
        GOOG_MESSAGE_INTEGRITY_32 = 0xc060 => "GOOG-MESSAGE-INTEGRITY-32",
        /// draft-hancke-webrtc-sped, STUN Extensions: a DTLS datagram carried in a check or its answer.
        META_DTLS_IN_STUN = 0xc070 => "META-DTLS-IN-STUN",
        /// draft-hancke-webrtc-sped, STUN Extensions: which such datagrams have come.
        META_DTLS_IN_STUN_ACKNOWLEDGEMENT = 0xc071 => "META-DTLS-IN-STUN-ACKNOWLEDGEMENT",
    }
}

impl AttributeType {
    /// Whether a receiver that does not understand it must not process the message (RFC 8489 §14).
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

wire::registry! {
    /// STUN error codes (RFC 8489 §18.4), 300 to 699; the names are the recommended reason phrases.
    pub struct ErrorCode(u16) {
        /// RFC 8489 §14.8.
        TRY_ALTERNATE = 300 => "Try Alternate",
        /// RFC 8489 §14.8.
        BAD_REQUEST = 400 => "Bad Request",
        /// RFC 8489 §14.8.
        UNAUTHENTICATED = 401 => "Unauthenticated",
        /// RFC 8656 §19.
        FORBIDDEN = 403 => "Forbidden",
        /// RFC 8016 §5.
        MOBILITY_FORBIDDEN = 405 => "Mobility Forbidden",
        /// RFC 8489 §14.8.
        UNKNOWN_ATTRIBUTE = 420 => "Unknown Attribute",
        /// RFC 8656 §19.
        ALLOCATION_MISMATCH = 437 => "Allocation Mismatch",
        /// RFC 8489 §14.8.
        STALE_NONCE = 438 => "Stale Nonce",
        /// RFC 8656 §19.
        ADDRESS_FAMILY_NOT_SUPPORTED = 440 => "Address Family not Supported",
        /// RFC 8656 §19.
        WRONG_CREDENTIALS = 441 => "Wrong Credentials",
        /// RFC 8656 §19.
        UNSUPPORTED_TRANSPORT_PROTOCOL = 442 => "Unsupported Transport Protocol",
        /// RFC 8656 §19.
        PEER_ADDRESS_FAMILY_MISMATCH = 443 => "Peer Address Family Mismatch",
        /// RFC 6062 §6.3.
        CONNECTION_ALREADY_EXISTS = 446 => "Connection Already Exists",
        /// RFC 6062 §6.3.
        CONNECTION_TIMEOUT_OR_FAILURE = 447 => "Connection Timeout or Failure",
        /// RFC 8656 §19.
        ALLOCATION_QUOTA_REACHED = 486 => "Allocation Quota Reached",
        /// RFC 8445 §16.2.
        ROLE_CONFLICT = 487 => "Role Conflict",
        /// RFC 8489 §14.8.
        SERVER_ERROR = 500 => "Server Error",
        /// RFC 8656 §19.
        INSUFFICIENT_CAPACITY = 508 => "Insufficient Capacity",
    }
}

wire::registry! {
    /// STUN password algorithms (RFC 8489 §18.5).
    pub struct PasswordAlgorithm(u16) {
        /// RFC 8489 §18.5.1.1.
        MD5 = 0x0001 => "MD5",
        /// RFC 8489 §18.5.1.2.
        SHA256 = 0x0002 => "SHA-256",
    }
}

wire::registry! {
    /// Address families (RFC 8489 §14.1).
    pub struct AddressFamily(u8) {
        /// 32 bits.
        IPV4 = 0x01 => "IPv4",
        /// 128 bits.
        IPV6 = 0x02 => "IPv6",
    }
}
