//! The Data Channel Establishment Protocol (RFC 8832): messages with the payload protocol identifier 50.

use core::fmt;
use core::str;
use wire::{Error, Full, Reader, Writer};

wire::registry! {
    /// Message types (RFC 8832 §8.2.1).
    pub struct MessageType(u8) {
        /// RFC 8832 §5.2.
        ACK = 2 => "DATA_CHANNEL_ACK",
        /// RFC 8832 §5.1.
        OPEN = 3 => "DATA_CHANNEL_OPEN",
    }
}

wire::registry! {
    /// Channel types (RFC 8832 §8.2.2).
    pub struct ChannelType(u8) {
        /// Ordered, nothing is given up.
        RELIABLE = 0x00 => "DATA_CHANNEL_RELIABLE",
        /// Ordered, with a limit of retransmissions.
        PARTIAL_RELIABLE_REXMIT = 0x01 => "DATA_CHANNEL_PARTIAL_RELIABLE_REXMIT",
        /// Ordered, with a limit of time.
        PARTIAL_RELIABLE_TIMED = 0x02 => "DATA_CHANNEL_PARTIAL_RELIABLE_TIMED",
        /// Unordered, nothing is given up.
        RELIABLE_UNORDERED = 0x80 => "DATA_CHANNEL_RELIABLE_UNORDERED",
        /// Unordered, with a limit of retransmissions.
        PARTIAL_RELIABLE_REXMIT_UNORDERED = 0x81 => "DATA_CHANNEL_PARTIAL_RELIABLE_REXMIT_UNORDERED",
        /// Unordered, with a limit of time.
        PARTIAL_RELIABLE_TIMED_UNORDERED = 0x82 => "DATA_CHANNEL_PARTIAL_RELIABLE_TIMED_UNORDERED",
    }
}

wire::registry! {
    /// Priorities (RFC 8831 §6.4); others are legal.
    pub struct Priority(u16) {
        /// Below normal.
        BELOW_NORMAL = 128 => "below normal",
        /// Normal.
        NORMAL = 256 => "normal",
        /// High.
        HIGH = 512 => "high",
        /// Extra high.
        EXTRA_HIGH = 1024 => "extra high",
    }
}

/// What is done about messages that get lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliability {
    /// They are sent again until they arrive.
    Reliable,
    /// They are sent again this many times at most.
    Retransmissions(u32),
    /// They are sent for this many milliseconds at most.
    Lifetime(u32),
}

/// A message by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Opens a channel.
    Open(Open<'a>),
    /// Confirms that it is open.
    Ack,
    /// Another type, with what follows it.
    Unknown(MessageType, &'a [u8]),
}

impl<'a> Message<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// One that is cut short, has bytes left over, or text that is not UTF-8.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let message = match MessageType(r.u8()?) {
            MessageType::OPEN => Self::Open(Open::read(&mut r)?),
            MessageType::ACK => Self::Ack,
            message_type => Self::Unknown(message_type, r.all()),
        };
        r.finish()?;
        Ok(message)
    }

    /// The type.
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::Open(_) => MessageType::OPEN,
            Self::Ack => MessageType::ACK,
            Self::Unknown(message_type, _) => *message_type,
        }
    }

    /// Length in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Open(open) => open.wire_len(),
            Self::Ack => 1,
            Self::Unknown(_, bytes) => bytes.len().saturating_add(1),
        }
    }

    /// Appends the message. After an error the writer stands where it stood.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or label or protocol is longer than 65535 bytes.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        let start = w.position();
        let result = w.u8(self.message_type().0).and_then(|()| match self {
            Self::Open(open) => open.put(w),
            Self::Ack => Ok(()),
            Self::Unknown(_, bytes) => w.put(bytes),
        });
        if result.is_err() {
            w.truncate(start);
        }
        result
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message_type().fmt(f)?;
        match self {
            Self::Open(open) => write!(f, " {open}"),
            Self::Ack => Ok(()),
            Self::Unknown(_, bytes) => write!(f, " {} bytes", bytes.len()),
        }
    }
}

/// Opens a channel on the stream that it comes on (RFC 8832 §5.1).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |  Message Type |  Channel Type |            Priority           |
/// |                    Reliability Parameter                      |
/// |         Label Length          |       Protocol Length         |
/// \                             Label                             \
/// \                            Protocol                           \
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open<'a> {
    /// Order, and what the parameter means.
    pub channel_type: ChannelType,
    /// Against other channels.
    pub priority: Priority,
    /// Retransmissions or milliseconds; 0 where the channel is reliable, and ignored there.
    pub reliability_parameter: u32,
    /// The channel's name, which may be empty; 65535 bytes at most.
    pub label: &'a str,
    /// A subprotocol as of WebSocket, or nothing; 65535 bytes at most.
    pub protocol: &'a str,
}

impl<'a> Open<'a> {
    /// Length without label and protocol, in bytes.
    pub const FIXED_LEN: usize = 12;

    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let channel_type = ChannelType(r.u8()?);
        let priority = Priority(r.u16()?);
        let reliability_parameter = r.u32()?;
        let label_len = usize::from(r.u16()?);
        let protocol_len = usize::from(r.u16()?);
        Ok(Self {
            channel_type,
            priority,
            reliability_parameter,
            label: text(r, label_len, "the label is UTF-8")?,
            protocol: text(r, protocol_len, "the protocol is UTF-8")?,
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u8(self.channel_type.0)?;
        w.u16(self.priority.0)?;
        w.u32(self.reliability_parameter)?;
        w.u16(u16::try_from(self.label.len()).map_err(|_| Full)?)?;
        w.u16(u16::try_from(self.protocol.len()).map_err(|_| Full)?)?;
        w.put(self.label.as_bytes())?;
        w.put(self.protocol.as_bytes())
    }

    fn wire_len(&self) -> usize {
        let texts = self.label.len().saturating_add(self.protocol.len());
        texts.saturating_add(Self::FIXED_LEN)
    }

    /// Whether messages may overtake each other; `None` for channel types that nobody knows.
    pub fn is_unordered(&self) -> Option<bool> {
        self.reliability().map(|_| self.channel_type.0 & 0x80 != 0)
    }

    /// What is done about messages that get lost; `None` for channel types that nobody knows, whose channel is closed
    /// (RFC 8832 §6).
    pub fn reliability(&self) -> Option<Reliability> {
        match self.channel_type {
            ChannelType::RELIABLE | ChannelType::RELIABLE_UNORDERED => Some(Reliability::Reliable),
            ChannelType::PARTIAL_RELIABLE_REXMIT | ChannelType::PARTIAL_RELIABLE_REXMIT_UNORDERED => {
                Some(Reliability::Retransmissions(self.reliability_parameter))
            }
            ChannelType::PARTIAL_RELIABLE_TIMED | ChannelType::PARTIAL_RELIABLE_TIMED_UNORDERED => {
                Some(Reliability::Lifetime(self.reliability_parameter))
            }
            _ => None,
        }
    }
}

fn text<'a>(r: &mut Reader<'a>, len: usize, rule: &'static str) -> Result<&'a str, Error> {
    let start = *r;
    str::from_utf8(r.take(len)?).map_err(|_| start.broken(rule))
}

impl fmt::Display for Open<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} priority={} label={:?} protocol={:?}",
            self.channel_type, self.reliability_parameter, self.priority, self.label, self.protocol
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    const OPEN: Open<'static> = Open {
        channel_type: ChannelType::PARTIAL_RELIABLE_TIMED_UNORDERED,
        priority: Priority::HIGH,
        reliability_parameter: 3000,
        label: "käse",
        protocol: "x",
    };

    const OPEN_BYTES: [u8; 18] = [
        3, 0x82, 2, 0, 0, 0, 0x0b, 0xb8, 0, 5, 0, 1, b'k', 0xc3, 0xa4, b's', b'e', b'x',
    ];

    fn written(message: &Message<'_>) -> Vec<u8> {
        let mut out = std::vec![0xee; 140_000];
        let mut w = Writer::new(&mut out);
        message.write(&mut w).unwrap();
        w.written().to_vec()
    }

    #[test]
    fn open() {
        let message = Message::Open(OPEN);
        assert_eq!(Message::parse(&OPEN_BYTES), Ok(message));
        assert_eq!(written(&message), OPEN_BYTES);
        assert_eq!(message.wire_len(), OPEN_BYTES.len());
        assert_eq!(
            message.to_string(),
            "DATA_CHANNEL_OPEN DATA_CHANNEL_PARTIAL_RELIABLE_TIMED_UNORDERED 3000 priority=high label=\"käse\" protocol=\"x\""
        );
    }

    #[test]
    fn acknowledgements_and_unknown_messages() {
        assert_eq!(Message::parse(&[2]), Ok(Message::Ack));
        assert_eq!(written(&Message::Ack), [2]);
        assert_eq!(Message::parse(&[2, 0]), Err(Error::Trailing { offset: 1 }));
        let unknown = Message::Unknown(MessageType(9), &[1, 2]);
        assert_eq!(Message::parse(&[9, 1, 2]), Ok(unknown));
        assert_eq!((written(&unknown), unknown.wire_len()), (std::vec![9, 1, 2], 3));
        assert_eq!(unknown.to_string(), "0x9 2 bytes");
        assert_eq!(Message::parse(&[]), Err(Error::Short { offset: 0, needed: 1 }));
    }

    #[test]
    fn lengths_and_texts_are_checked() {
        for len in 1..OPEN_BYTES.len() {
            assert!(matches!(Message::parse(&OPEN_BYTES[..len]), Err(Error::Short { .. })));
        }
        let longer = [&OPEN_BYTES[..], &[0]].concat();
        assert_eq!(Message::parse(&longer), Err(Error::Trailing { offset: 18 }));
        let mut bytes = OPEN_BYTES;
        bytes[13] = 0xff;
        let rule = "the label is UTF-8";
        assert_eq!(Message::parse(&bytes), Err(Error::Rule { offset: 12, rule }));
        let mut bytes = OPEN_BYTES;
        bytes[17] = 0xff;
        let rule = "the protocol is UTF-8";
        assert_eq!(Message::parse(&bytes), Err(Error::Rule { offset: 17, rule }));
    }

    #[test]
    fn texts_have_65535_bytes_at_most() {
        let longest = "x".repeat(0xffff);
        let too_long = longest.clone() + "x";
        let open = |label, protocol| {
            Message::Open(Open {
                label,
                protocol,
                ..OPEN
            })
        };
        let message = open(&longest, &longest);
        let bytes = written(&message);
        assert_eq!((bytes.len(), message.wire_len()), (12 + 2 * 0xffff, 12 + 2 * 0xffff));
        assert_eq!(Message::parse(&bytes), Ok(message));
        let mut out = std::vec![0; 140_000];
        let mut w = Writer::new(&mut out);
        let empty = String::new();
        assert_eq!(open(&too_long, &empty).write(&mut w), Err(Full));
        assert_eq!(open(&empty, &too_long).write(&mut w), Err(Full));
        assert_eq!(w.position(), 0);
    }

    #[test]
    fn what_channel_types_mean() {
        let all = [
            (0x00, Some(false), Some(Reliability::Reliable)),
            (0x01, Some(false), Some(Reliability::Retransmissions(3000))),
            (0x02, Some(false), Some(Reliability::Lifetime(3000))),
            (0x80, Some(true), Some(Reliability::Reliable)),
            (0x81, Some(true), Some(Reliability::Retransmissions(3000))),
            (0x82, Some(true), Some(Reliability::Lifetime(3000))),
            (0x03, None, None),
            (0x83, None, None),
        ];
        for (number, unordered, reliability) in all {
            let open = Open {
                channel_type: ChannelType(number),
                ..OPEN
            };
            assert_eq!((open.is_unordered(), open.reliability()), (unordered, reliability));
        }
    }
}
