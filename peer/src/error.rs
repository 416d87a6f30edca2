use core::fmt;

/// Why [`write_rtp`](crate::Peer::write_rtp) wrote nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// There are no keys yet, no path, or the peer is silent for too long.
    NotConnected,
    /// There is no such sender, or it is not negotiated for sending now.
    NotSending,
    /// Retransmission was not agreed to for this sender, or for this payload type.
    NoRetransmission,
    /// `out` is too short.
    NoRoom {
        /// Bytes that it must have.
        needed: usize,
    },
    /// The packet would be larger than [`Config::max_datagram`](crate::Config::max_datagram).
    TooLarge {
        /// The bytes that it would have.
        size: usize,
    },
    /// The sequence number was used before: sealing again would give the authentication key away (RFC 7714 §8.4).
    IndexReused,
    /// The sequence number is above 2^48 - 1, or an extension element is malformed.
    BadHeader,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("the peer is not connected"),
            Self::NotSending => f.write_str("this sender is not negotiated for sending"),
            Self::NoRetransmission => f.write_str("retransmission was not negotiated for this sender and payload type"),
            Self::NoRoom { needed } => write!(f, "the output buffer is too short: {needed} bytes are needed"),
            Self::TooLarge { size } => write!(f, "a datagram of {size} bytes is larger than the path takes"),
            Self::IndexReused => f.write_str("this sequence number was already sent; a retransmission needs RTX"),
            Self::BadHeader => f.write_str("the RTP header is malformed"),
        }
    }
}

impl core::error::Error for Blocked {}

/// Why an offer was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferError {
    line: Option<usize>,
    rule: String,
}

impl OfferError {
    pub(crate) fn new(line: Option<usize>, rule: impl Into<String>) -> Self {
        Self {
            line,
            rule: rule.into(),
        }
    }

    /// The line of the offer, counted from 1, when the fault is in one.
    pub const fn line(&self) -> Option<usize> {
        self.line
    }

    /// The rule that was broken, as a clause.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    fn fmt_as(&self, what: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {what} cannot be accepted: ")?;
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.rule)
    }
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("offer", f)
    }
}

impl core::error::Error for OfferError {}

/// Why an answer was not accepted. What both descriptions need is looked at by the same rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerError(OfferError);

impl AnswerError {
    pub(crate) fn new(line: Option<usize>, rule: impl Into<String>) -> Self {
        Self(OfferError::new(line, rule))
    }

    /// The line of the answer, counted from 1, when the fault is in one.
    pub const fn line(&self) -> Option<usize> {
        self.0.line
    }

    /// The rule that was broken, as a clause.
    pub fn rule(&self) -> &str {
        self.0.rule()
    }
}

impl From<OfferError> for AnswerError {
    fn from(error: OfferError) -> Self {
        Self(error)
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as("answer", f)
    }
}

impl core::error::Error for AnswerError {}

/// Why there is no section, or no offer, of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionError {
    /// The peer has the answering role: its ICE agent is lite, or it has taken an offer.
    Answering,
    /// The peer is closed.
    Closed,
    /// Sound and pictures are offered in a direction, and data channels once and where they are configured.
    Unusable,
    /// There are as many sections, or SSRCs, as the configuration allows.
    Full,
    /// There is no codec for it in the configuration.
    NoCodec,
    /// There is nothing to offer yet.
    Empty,
}

impl fmt::Display for SectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answering => "the peer answers and does not offer",
            Self::Closed => "the peer is closed",
            Self::Unusable => {
                "audio and video are offered in a direction, and data channels once and where they are configured"
            }
            Self::Full => "there are as many sections as are allowed",
            Self::NoCodec => "no codec is configured for it",
            Self::Empty => "there is no section to offer",
        })
    }
}

impl core::error::Error for SectionError {}

/// Why a candidate or a fragment was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FragmentError {
    line: Option<usize>,
    rule: String,
}

impl FragmentError {
    pub(crate) fn new(line: Option<usize>, rule: impl Into<String>) -> Self {
        Self {
            line,
            rule: rule.into(),
        }
    }

    /// The line of the fragment, counted from 1, when the fault is in one.
    pub const fn line(&self) -> Option<usize> {
        self.line
    }

    /// The rule that was broken, as a clause.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl fmt::Display for FragmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "the candidates cannot be taken: line {line}: {}", self.rule),
            None => write!(f, "the candidates cannot be taken: {}", self.rule),
        }
    }
}

impl core::error::Error for FragmentError {}
