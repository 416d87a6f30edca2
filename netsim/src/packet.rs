use std::fmt;
use std::net::{IpAddr, SocketAddr};

use wire::Ecn;

/// What lies under a packet's IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A UDP datagram.
    Udp,
    /// A TCP segment.
    Tcp(TcpHeader),
    /// An ICMP or ICMPv6 error.
    Icmp(Icmp),
}

/// The fields of a TCP header that the model uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpHeader {
    /// Sequence number. It does not wrap; the low 32 bits are what a wire would carry.
    pub seq: u64,
    /// Acknowledgement number, likewise; without meaning unless `flags.ack`.
    pub ack: u64,
    /// The flags.
    pub flags: TcpFlags,
    /// Bytes that the sender of this segment has room for.
    pub window: u32,
    /// The maximum segment size option of a SYN: how many bytes of payload its sender takes at once. Otherwise 0.
    pub mss: u16,
}

impl TcpHeader {
    /// With options, bytes.
    pub(crate) const fn size(&self) -> usize {
        TCP_HEADER + if self.mss > 0 { 4 } else { 0 }
    }
}

/// The flags of a TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags {
    /// SYN.
    pub syn: bool,
    /// ACK.
    pub ack: bool,
    /// FIN.
    pub fin: bool,
    /// RST.
    pub rst: bool,
}

impl TcpFlags {
    pub(crate) const SYN: Self = Self {
        syn: true,
        ack: false,
        fin: false,
        rst: false,
    };
    pub(crate) const ACK: Self = Self {
        syn: false,
        ack: true,
        fin: false,
        rst: false,
    };
    pub(crate) const RST: Self = Self {
        syn: false,
        ack: false,
        fin: false,
        rst: true,
    };
}

/// An ICMP error, and the packet that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Icmp {
    /// What went wrong.
    pub error: IcmpError,
    /// Whether the packet that it is about was TCP; otherwise it was UDP.
    pub about_tcp: bool,
    /// Source of the packet that it is about, as it was where the error arose.
    pub about_source: SocketAddr,
    /// Destination of that packet.
    pub about_destination: SocketAddr,
}

/// The ICMP errors that the model knows (RFC 792, RFC 4443).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IcmpError {
    /// Nobody listens at the port.
    PortUnreachable,
    /// There is no route to the address, or nobody has it.
    HostUnreachable,
    /// A firewall says no.
    Prohibited,
    /// The packet is larger than the next link takes, and may not be fragmented.
    TooBig {
        /// The link's MTU in bytes, IP header included.
        mtu: u16,
    },
    /// It went through too many routers.
    HopLimit,
}

/// A packet as an observer sees it.
#[derive(Debug, Clone, Copy)]
pub struct PacketView<'a> {
    /// Numbers packets in the order of their creation. A duplicate has a number of its own.
    pub id: u64,
    /// Source address; the port is 0 for ICMP.
    pub source: SocketAddr,
    /// Destination address; the port is 0 for ICMP.
    pub destination: SocketAddr,
    /// What lies under the IP header.
    pub transport: Transport,
    /// The ECN field.
    pub ecn: Ecn,
    /// The hop limit or time to live.
    pub hop_limit: u8,
    /// Whether routers may fragment it: DF is not set.
    pub may_fragment: bool,
    /// How many fragments it travels in; usually 1.
    pub fragments: u16,
    /// The payload of UDP or TCP.
    pub payload: &'a [u8],
}

impl PacketView<'_> {
    /// Bytes on a link: payload, transport header and IP headers of all fragments.
    pub fn size(&self) -> usize {
        size(&self.source, &self.transport, self.payload.len(), self.fragments)
    }
}

impl fmt::Display for PacketView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, destination) = (self.source, self.destination);
        match self.transport {
            Transport::Udp => write!(f, "UDP {source} > {destination}")?,
            Transport::Tcp(tcp) => {
                write!(f, "TCP {source} > {destination} [{}]", tcp.flags)?;
                write!(f, " seq {}", tcp.seq)?;
                if tcp.flags.ack {
                    write!(f, " ack {}", tcp.ack)?;
                }
            }
            Transport::Icmp(icmp) => {
                write!(f, "ICMP {} > {} {}", source.ip(), destination.ip(), icmp.error)?;
                write!(f, " about {} > {}", icmp.about_source, icmp.about_destination)?;
            }
        }
        write!(f, " {} bytes #{}", self.payload.len(), self.id)
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (set, letter) in [(self.syn, "S"), (self.fin, "F"), (self.rst, "R"), (self.ack, ".")] {
            if set {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for IcmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortUnreachable => f.write_str("port unreachable"),
            Self::HostUnreachable => f.write_str("host unreachable"),
            Self::Prohibited => f.write_str("prohibited"),
            Self::TooBig { mtu } => write!(f, "too big, MTU {mtu}"),
            Self::HopLimit => f.write_str("hop limit exceeded"),
        }
    }
}

/// UDP header, bytes.
pub(crate) const UDP_HEADER: usize = 8;
/// TCP header without options, bytes.
pub(crate) const TCP_HEADER: usize = 20;

/// IP header without options, bytes.
pub(crate) const fn ip_header(address: &IpAddr) -> usize {
    if address.is_ipv4() { 20 } else { 40 }
}

fn size(source: &SocketAddr, transport: &Transport, payload: usize, fragments: u16) -> usize {
    let ip = ip_header(&source.ip());
    let above = match transport {
        Transport::Udp => UDP_HEADER + payload,
        Transport::Tcp(tcp) => tcp.size() + payload,
        // The error and what it quotes: an IP header and eight bytes.
        Transport::Icmp(_) => 8 + ip + 8,
    };
    // A fragment of IPv6 has the fragment header.
    let each = if fragments > 1 && ip == 40 { 48 } else { ip };
    above + usize::from(fragments) * each
}

/// A packet under way.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) id: u64,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) ecn: Ecn,
    pub(crate) hop_limit: u8,
    pub(crate) may_fragment: bool,
    pub(crate) fragments: u16,
    /// When it came into the queue that it is in.
    pub(crate) queued_at: u64,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    pub(crate) fn view(&self) -> PacketView<'_> {
        PacketView {
            id: self.id,
            source: self.source,
            destination: self.destination,
            transport: self.transport,
            ecn: self.ecn,
            hop_limit: self.hop_limit,
            may_fragment: self.may_fragment,
            fragments: self.fragments,
            payload: &self.payload,
        }
    }

    pub(crate) fn size(&self) -> usize {
        size(&self.source, &self.transport, self.payload.len(), self.fragments)
    }

    pub(crate) fn is_ipv4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// In how many pieces it fits through `mtu`: `None` when it would need more than 8 KiB of them.
    pub(crate) fn pieces(&self, mtu: u16) -> Option<u16> {
        let ip = ip_header(&self.source.ip());
        let above = size(&self.source, &self.transport, self.payload.len(), 1) - ip;
        let header = if self.is_ipv4() { ip } else { ip + 8 };
        // Offsets count in units of eight bytes.
        let room = usize::from(mtu).checked_sub(header)? / 8 * 8;
        let pieces = above.checked_div(room)? + usize::from(!above.is_multiple_of(room));
        u16::try_from(pieces).ok()
    }
}

/// All packets under way. A slot keeps its buffer when its packet is gone, so that nothing is allocated in the long
/// run.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    slots: Vec<Packet>,
    free: Vec<u32>,
    created: u64,
}

impl Packets {
    /// A new packet with an empty payload.
    pub(crate) fn create(&mut self, source: SocketAddr, destination: SocketAddr, transport: Transport) -> u32 {
        self.created += 1;
        let id = self.created;
        if let Some(slot) = self.free.pop() {
            let packet = self.get_mut(slot);
            packet.id = id;
            packet.source = source;
            packet.destination = destination;
            packet.transport = transport;
            packet.ecn = Ecn::NotEct;
            packet.hop_limit = 64;
            packet.may_fragment = false;
            packet.fragments = 1;
            packet.payload.clear();
            return slot;
        }
        self.slots.push(Packet {
            id,
            source,
            destination,
            transport,
            ecn: Ecn::NotEct,
            hop_limit: 64,
            may_fragment: false,
            fragments: 1,
            queued_at: 0,
            payload: Vec::new(),
        });
        (self.slots.len() - 1) as u32
    }

    /// Another packet like this one.
    pub(crate) fn duplicate(&mut self, original: u32) -> u32 {
        let Packet {
            source,
            destination,
            transport,
            ..
        } = *self.get(original);
        let slot = self.create(source, destination, transport);
        let mut payload = std::mem::take(&mut self.get_mut(slot).payload);
        let from = self.get(original);
        payload.extend_from_slice(&from.payload);
        let (ecn, hop_limit, may_fragment, fragments) = (from.ecn, from.hop_limit, from.may_fragment, from.fragments);
        let copy = self.get_mut(slot);
        copy.payload = payload;
        copy.ecn = ecn;
        copy.hop_limit = hop_limit;
        copy.may_fragment = may_fragment;
        copy.fragments = fragments;
        slot
    }

    pub(crate) fn release(&mut self, slot: u32) {
        self.free.push(slot);
    }

    pub(crate) fn get(&self, slot: u32) -> &Packet {
        &self.slots[slot as usize]
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut Packet {
        &mut self.slots[slot as usize]
    }

    /// Packets that are under way.
    pub(crate) fn alive(&self) -> u64 {
        (self.slots.len() - self.free.len()) as u64
    }
}
