use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::drops::DropReason;
use crate::packet::{PacketView, Transport};

/// Sees each packet at each hop.
///
/// It is called while the network works, so it can note, print and count, but not change anything.
pub trait Observer: Any {
    /// Something happened to a packet.
    fn observe(&mut self, event: &TraceEvent<'_>);
}

impl<F: FnMut(&TraceEvent<'_>) + 'static> Observer for F {
    fn observe(&mut self, event: &TraceEvent<'_>) {
        self(event);
    }
}

/// Something that happened to a packet. Printed, it is one line.
#[derive(Debug, Clone, Copy)]
pub struct TraceEvent<'a> {
    /// Virtual time since the start of the run.
    pub at: Duration,
    /// Where.
    pub place: Place<'a>,
    /// What.
    pub action: Action,
    /// The packet, as it is after that.
    pub packet: PacketView<'a>,
}

/// Where something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// At a host, router, NAT or firewall of that name.
    Node(&'a str),
    /// On one direction of a link, by the names of the nodes at its ends.
    Link {
        /// Number of the link, in the order in which they were made.
        link: usize,
        /// Where the packet comes from.
        from: &'a str,
        /// Where it goes.
        to: &'a str,
    },
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A host, or a router that reports an error, made it.
    Sent,
    /// A link took it.
    Queued,
    /// A queue has marked it with CE.
    Marked,
    /// It has been split, as its `fragments` say.
    Fragmented,
    /// This is a second one, made by the network.
    Duplicated,
    /// It was held back, so that later ones may overtake it.
    Reordered,
    /// A NAT has changed an address; for ICMP, the one that is quoted.
    Translated {
        /// The address before.
        from: SocketAddr,
        /// The address now.
        to: SocketAddr,
    },
    /// It came to a host that has a use for it.
    Delivered,
    /// It is gone.
    Dropped(DropReason),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => f.write_str(name),
            Self::Link { from, to, .. } => write!(f, "{from}>{to}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent => f.write_str("sent"),
            Self::Queued => f.write_str("queued"),
            Self::Marked => f.write_str("marked CE"),
            Self::Fragmented => f.write_str("fragmented"),
            Self::Duplicated => f.write_str("duplicated"),
            Self::Reordered => f.write_str("held back"),
            Self::Translated { from, to } => write!(f, "translated {from} to {to}"),
            Self::Delivered => f.write_str("delivered"),
            Self::Dropped(reason) => write!(f, "dropped ({reason})"),
        }
    }
}

impl fmt::Display for TraceEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_secs();
        let micros = self.at.subsec_micros();
        write!(
            f,
            "{seconds:>3}.{micros:06} {} {}: {}",
            self.place, self.action, self.packet
        )
    }
}

/// An observer that keeps one number for everything that happened, payloads included: runs are equal when it is.
#[derive(Debug, Clone)]
pub struct TraceHash {
    hash: u64,
    events: u64,
}

impl TraceHash {
    /// One that has seen nothing yet.
    pub const fn new() -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            events: 0,
        }
    }

    /// The number.
    pub const fn value(&self) -> u64 {
        self.hash
    }

    /// How many events went into it.
    pub const fn events(&self) -> u64 {
        self.events
    }

    // FNV-1a: neither std's hashers nor the layout of our types promise the same result in the next release.
    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Default for TraceHash {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for TraceHash {
    fn observe(&mut self, event: &TraceEvent<'_>) {
        self.events += 1;
        self.bytes(&(event.at.as_nanos() as u64).to_be_bytes());
        self.bytes(event.to_string().as_bytes());
        if let Transport::Tcp(tcp) = event.packet.transport {
            self.bytes(&tcp.window.to_be_bytes());
            self.bytes(&tcp.mss.to_be_bytes());
        }
        self.bytes(&[event.packet.ecn as u8, event.packet.hop_limit]);
        self.bytes(event.packet.payload);
    }
}
