/// What the two highest bits of a type ask of those who do not know it (RFC 9260 §3.2, §3.2.1).
///
/// For chunks, stopping means that the packet's further chunks are discarded, too, and reporting an ERROR chunk with the
/// cause "Unrecognized Chunk Type". For parameters, stopping means that further parameters of the chunk are not
/// processed, while the chunk itself is answered; reporting means an Unrecognized Parameter in the INIT ACK, or an ERROR
/// chunk with the cause "Unrecognized Parameters" (RFC 9260 §3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrecognized {
    /// 00: stop.
    Stop,
    /// 01: stop and report.
    StopAndReport,
    /// 10: skip it and go on.
    Skip,
    /// 11: skip it, go on, and report.
    SkipAndReport,
}

impl Unrecognized {
    const fn of(highest_bits: u8) -> Self {
        match highest_bits & 3 {
            0 => Self::Stop,
            1 => Self::StopAndReport,
            2 => Self::Skip,
            _ => Self::SkipAndReport,
        }
    }

    /// Whether what follows is not processed.
    pub const fn stops(self) -> bool {
        matches!(self, Self::Stop | Self::StopAndReport)
    }

    /// Whether the sender is told.
    pub const fn reports(self) -> bool {
        matches!(self, Self::StopAndReport | Self::SkipAndReport)
    }
}

wire::registry! {
    /// Chunk types (IANA, RFC 9260 §3.2).
    pub struct ChunkType(u8) {
        /// RFC 9260 §3.3.1.
        DATA = 0 => "DATA",
        /// RFC 9260 §3.3.2.
        INIT = 1 => "INIT",
        /// RFC 9260 §3.3.3.
        INIT_ACK = 2 => "INIT ACK",
        /// RFC 9260 §3.3.4.
        SACK = 3 => "SACK",
        /// RFC 9260 §3.3.5.
        HEARTBEAT = 4 => "HEARTBEAT",
        /// RFC 9260 §3.3.6.
        HEARTBEAT_ACK = 5 => "HEARTBEAT ACK",
        /// RFC 9260 §3.3.7.
        ABORT = 6 => "ABORT",
        /// RFC 9260 §3.3.8.
        SHUTDOWN = 7 => "SHUTDOWN",
        /// RFC 9260 §3.3.9.
        SHUTDOWN_ACK = 8 => "SHUTDOWN ACK",
        /// RFC 9260 §3.3.10.
        ERROR = 9 => "ERROR",
        /// RFC 9260 §3.3.11.
        COOKIE_ECHO = 10 => "COOKIE ECHO",
        /// RFC 9260 §3.3.12.
        COOKIE_ACK = 11 => "COOKIE ACK",
        /// RFC 4960 appendix A.
        ECNE = 12 => "ECNE",
        /// RFC 4960 appendix A.
        CWR = 13 => "CWR",
        /// RFC 9260 §3.3.13.
        SHUTDOWN_COMPLETE = 14 => "SHUTDOWN COMPLETE",
        /// RFC 4895 §5.1; not understood here.
        AUTH = 15 => "AUTH",
        /// RFC 8260 §2.1.
        I_DATA = 64 => "I-DATA",
        /// RFC 5061 §4.1.2; not understood here.
        ASCONF_ACK = 128 => "ASCONF-ACK",
        /// RFC 6525 §3.1.
        RE_CONFIG = 130 => "RE-CONFIG",
        /// RFC 4820 §3.
        PAD = 132 => "PAD",
        /// RFC 3758 §3.2.
        FORWARD_TSN = 192 => "FORWARD TSN",
        /// RFC 5061 §4.1.1; not understood here.
        ASCONF = 193 => "ASCONF",
        /// RFC 8260 §2.3.1.
        I_FORWARD_TSN = 194 => "I-FORWARD-TSN",
    }
}

impl ChunkType {
    /// What is done by those who do not know the type.
    pub const fn when_unrecognized(self) -> Unrecognized {
        Unrecognized::of(self.0 >> 6)
    }
}

wire::registry! {
    /// Parameter types (IANA, RFC 9260 §3.2.1), unique across all chunks.
    pub struct ParameterType(u16) {
        /// RFC 9260 §3.3.5.
        HEARTBEAT_INFO = 1 => "Heartbeat Info",
        /// RFC 9260 §3.3.2.1.1.
        IPV4_ADDRESS = 5 => "IPv4 Address",
        /// RFC 9260 §3.3.2.1.2.
        IPV6_ADDRESS = 6 => "IPv6 Address",
        /// RFC 9260 §3.3.3.1.1.
        STATE_COOKIE = 7 => "State Cookie",
        /// RFC 9260 §3.3.3.1.2.
        UNRECOGNIZED_PARAMETER = 8 => "Unrecognized Parameter",
        /// RFC 9260 §3.3.2.1.3.
        COOKIE_PRESERVATIVE = 9 => "Cookie Preservative",
        /// RFC 9260 §3.3.2.1.4.
        HOST_NAME_ADDRESS = 11 => "Host Name Address",
        /// RFC 9260 §3.3.2.1.5.
        SUPPORTED_ADDRESS_TYPES = 12 => "Supported Address Types",
        /// RFC 6525 §4.1.
        OUTGOING_SSN_RESET_REQUEST = 13 => "Outgoing SSN Reset Request",
        /// RFC 6525 §4.2.
        INCOMING_SSN_RESET_REQUEST = 14 => "Incoming SSN Reset Request",
        /// RFC 6525 §4.3.
        SSN_TSN_RESET_REQUEST = 15 => "SSN/TSN Reset Request",
        /// RFC 6525 §4.4.
        RECONFIGURATION_RESPONSE = 16 => "Re-configuration Response",
        /// RFC 6525 §4.5.
        ADD_OUTGOING_STREAMS_REQUEST = 17 => "Add Outgoing Streams Request",
        /// RFC 6525 §4.6.
        ADD_INCOMING_STREAMS_REQUEST = 18 => "Add Incoming Streams Request",
        /// RFC 4960 appendix A.
        ECN_CAPABLE = 0x8000 => "ECN Capable",
        /// RFC 9653 §4.
        ZERO_CHECKSUM_ACCEPTABLE = 0x8001 => "Zero Checksum Acceptable",
        /// RFC 4895 §3.1; not understood here.
        RANDOM = 0x8002 => "Random",
        /// RFC 4895 §3.2; not understood here.
        CHUNK_LIST = 0x8003 => "Chunk List",
        /// RFC 4895 §3.3; not understood here.
        REQUESTED_HMAC_ALGORITHM = 0x8004 => "Requested HMAC Algorithm",
        /// RFC 4820 §4.
        PADDING = 0x8005 => "Padding",
        /// RFC 5061 §4.2.7.
        SUPPORTED_EXTENSIONS = 0x8008 => "Supported Extensions",
        /// RFC 3758 §3.1.
        FORWARD_TSN_SUPPORTED = 0xc000 => "Forward TSN Supported",
        /// RFC 5061 §4.2.1; not understood here.
        ADD_IP_ADDRESS = 0xc001 => "Add IP Address",
        /// RFC 5061 §4.2.2; not understood here.
        DELETE_IP_ADDRESS = 0xc002 => "Delete IP Address",
        /// RFC 5061 §4.2.3; not understood here.
        ERROR_CAUSE_INDICATION = 0xc003 => "Error Cause Indication",
        /// RFC 5061 §4.2.4; not understood here.
        SET_PRIMARY_ADDRESS = 0xc004 => "Set Primary Address",
        /// RFC 5061 §4.2.5; not understood here.
        SUCCESS_INDICATION = 0xc005 => "Success Indication",
        /// RFC 5061 §4.2.6.
        ADAPTATION_LAYER_INDICATION = 0xc006 => "Adaptation Layer Indication",
    }
}

impl ParameterType {
    /// What is done by those who do not know the type.
    pub const fn when_unrecognized(self) -> Unrecognized {
        let [high, _] = self.0.to_be_bytes();
        Unrecognized::of(high >> 6)
    }
}

impl From<u16> for ParameterType {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl From<ParameterType> for u16 {
    fn from(parameter_type: ParameterType) -> Self {
        parameter_type.0
    }
}

wire::registry! {
    /// Cause codes of ERROR and ABORT (IANA, RFC 9260 §3.3.10).
    pub struct CauseCode(u16) {
        /// RFC 9260 §3.3.10.1.
        INVALID_STREAM_IDENTIFIER = 1 => "Invalid Stream Identifier",
        /// RFC 9260 §3.3.10.2.
        MISSING_MANDATORY_PARAMETER = 2 => "Missing Mandatory Parameter",
        /// RFC 9260 §3.3.10.3.
        STALE_COOKIE = 3 => "Stale Cookie",
        /// RFC 9260 §3.3.10.4.
        OUT_OF_RESOURCE = 4 => "Out of Resource",
        /// RFC 9260 §3.3.10.5.
        UNRESOLVABLE_ADDRESS = 5 => "Unresolvable Address",
        /// RFC 9260 §3.3.10.6.
        UNRECOGNIZED_CHUNK_TYPE = 6 => "Unrecognized Chunk Type",
        /// RFC 9260 §3.3.10.7.
        INVALID_MANDATORY_PARAMETER = 7 => "Invalid Mandatory Parameter",
        /// RFC 9260 §3.3.10.8.
        UNRECOGNIZED_PARAMETERS = 8 => "Unrecognized Parameters",
        /// RFC 9260 §3.3.10.9.
        NO_USER_DATA = 9 => "No User Data",
        /// RFC 9260 §3.3.10.10.
        COOKIE_WHILE_SHUTTING_DOWN = 10 => "Cookie Received While Shutting Down",
        /// RFC 9260 §3.3.10.11.
        RESTART_WITH_NEW_ADDRESSES = 11 => "Restart of an Association with New Addresses",
        /// RFC 9260 §3.3.10.12.
        USER_INITIATED_ABORT = 12 => "User-Initiated Abort",
        /// RFC 9260 §3.3.10.13.
        PROTOCOL_VIOLATION = 13 => "Protocol Violation",
        /// RFC 5061 §4.3.1.
        DELETE_LAST_ADDRESS = 0xa0 => "Request to Delete Last Remaining IP Address",
        /// RFC 5061 §4.3.2.
        RESOURCE_SHORTAGE = 0xa1 => "Operation Refused Due to Resource Shortage",
        /// RFC 5061 §4.3.3.
        DELETE_SOURCE_ADDRESS = 0xa2 => "Request to Delete Source IP Address",
        /// RFC 5061 §4.3.4.
        ILLEGAL_ASCONF_ACK = 0xa3 => "Association Aborted Due to Illegal ASCONF-ACK",
        /// RFC 5061 §4.3.5.
        NO_AUTHORIZATION = 0xa4 => "Request Refused - No Authorization",
        /// RFC 4895 §4.1; not understood here.
        UNSUPPORTED_HMAC = 0x105 => "Unsupported HMAC Identifier",
    }
}

impl From<u16> for CauseCode {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl From<CauseCode> for u16 {
    fn from(code: CauseCode) -> Self {
        code.0
    }
}

wire::registry! {
    /// Payload protocol identifiers of WebRTC (IANA, RFC 8831 §8, RFC 8832 §8.1).
    pub struct Ppid(u32) {
        /// Messages of [`dcep`](crate::dcep).
        DCEP = 50 => "WebRTC DCEP",
        /// A text in UTF-8.
        STRING = 51 => "WebRTC String",
        /// Deprecated: a part of a message of bytes, not the last one.
        BINARY_PARTIAL = 52 => "WebRTC Binary Partial",
        /// Bytes.
        BINARY = 53 => "WebRTC Binary",
        /// Deprecated: a part of a text, not the last one.
        STRING_PARTIAL = 54 => "WebRTC String Partial",
        /// An empty text: sent as one byte, which is ignored (RFC 8831 §6.6).
        STRING_EMPTY = 56 => "WebRTC String Empty",
        /// No bytes: sent as one byte, which is ignored (RFC 8831 §6.6).
        BINARY_EMPTY = 57 => "WebRTC Binary Empty",
    }
}

wire::registry! {
    /// What protects packets whose checksum is zero (RFC 9653 §4).
    pub struct ErrorDetectionMethod(u32) {
        /// SCTP over DTLS (RFC 8261).
        DTLS = 1 => "SCTP over DTLS",
    }
}

wire::registry! {
    /// What became of a request to re-configure (RFC 6525 §4.4).
    pub struct ReconfigResult(u32) {
        /// Success: there was nothing to do.
        NOTHING_TO_DO = 0 => "Success - Nothing to do",
        /// Success.
        PERFORMED = 1 => "Success - Performed",
        /// Refused.
        DENIED = 2 => "Denied",
        /// An error: a stream that does not exist.
        WRONG_SSN = 3 => "Error - Wrong SSN",
        /// An error: another request is being worked on.
        REQUEST_IN_PROGRESS = 4 => "Error - Request already in progress",
        /// An error: not the expected number.
        BAD_SEQUENCE_NUMBER = 5 => "Error - Bad Sequence Number",
        /// Not yet; the request is to be sent again.
        IN_PROGRESS = 6 => "In progress",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_two_bits_say_what_to_do() {
        let of = |number| ChunkType(number).when_unrecognized();
        assert_eq!(of(0x3f), Unrecognized::Stop);
        assert_eq!(of(0x40), Unrecognized::StopAndReport);
        assert_eq!(of(0xbf), Unrecognized::Skip);
        assert_eq!(of(0xc0), Unrecognized::SkipAndReport);
        let of = |number| ParameterType(number).when_unrecognized();
        assert_eq!(of(0x3fff), Unrecognized::Stop);
        assert_eq!(of(0x4000), Unrecognized::StopAndReport);
        assert_eq!(of(0x80ff), Unrecognized::Skip);
        assert_eq!(of(0xc000), Unrecognized::SkipAndReport);

        let all = [
            (Unrecognized::Stop, true, false),
            (Unrecognized::StopAndReport, true, true),
            (Unrecognized::Skip, false, false),
            (Unrecognized::SkipAndReport, false, true),
        ];
        for (action, stops, reports) in all {
            assert_eq!((action.stops(), action.reports()), (stops, reports));
        }
    }
}
