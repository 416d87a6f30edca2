use std::net::IpAddr;

use crate::packet::{IcmpError, PacketView, Transport};
use crate::trace::{Action, Observer, Place, TraceEvent};

/// An observer that keeps a pcapng file (draft-ietf-opsawg-pcapng) of the run.
///
/// Each host is an interface, with what it sent and what came to it; each direction of a link that dropped something is
/// one, too, and has the dropped packets with the reason as a comment. Routers, NATs and firewalls have an interface
/// for what they dropped. Packets that travelled in fragments are written whole. Times count from the start of the run,
/// in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct PcapNg {
    interfaces: Vec<String>,
    blocks: Vec<u8>,
    secrets: Vec<u8>,
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;
/// NSS key log, as SSLKEYLOGFILE has it.
const TLS_KEY_LOG: u32 = 0x544c_534b;
/// Packets begin with an IP header.
const LINKTYPE_RAW: u16 = 101;
const OPTION_COMMENT: u16 = 1;
const OPTION_NAME: u16 = 2;
const OPTION_FLAGS: u16 = 2;
const OPTION_PACKET_ID: u16 = 5;
const OPTION_TIME_RESOLUTION: u16 = 9;

impl PcapNg {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds lines of an NSS key log, with which a reader decrypts the TLS and DTLS in the file. They are written in
    /// front of all packets, whenever they come.
    pub fn add_key_log(&mut self, lines: &str) {
        self.secrets.extend_from_slice(lines.as_bytes());
        if !lines.is_empty() && !lines.ends_with('\n') {
            self.secrets.push(b'\n');
        }
    }

    /// The file as it is now.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut body = Vec::new();
        body.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        body.extend_from_slice(&1_u16.to_le_bytes());
        body.extend_from_slice(&0_u16.to_le_bytes());
        // The length of the section is not said.
        body.extend_from_slice(&u64::MAX.to_le_bytes());
        block(&mut file, SECTION_HEADER, &body);
        if !self.secrets.is_empty() {
            let mut body = Vec::new();
            body.extend_from_slice(&TLS_KEY_LOG.to_le_bytes());
            body.extend_from_slice(&(self.secrets.len() as u32).to_le_bytes());
            body.extend_from_slice(&self.secrets);
            pad(&mut body);
            block(&mut file, DECRYPTION_SECRETS, &body);
        }
        file.extend_from_slice(&self.blocks);
        file
    }

    fn interface(&mut self, place: &Place<'_>) -> u32 {
        let name = place.to_string();
        if let Some(index) = self.interfaces.iter().position(|other| *other == name) {
            return index as u32;
        }
        let mut body = Vec::new();
        body.extend_from_slice(&LINKTYPE_RAW.to_le_bytes());
        body.extend_from_slice(&[0; 6]);
        option(&mut body, OPTION_NAME, name.as_bytes());
        option(&mut body, OPTION_TIME_RESOLUTION, &[9]);
        option(&mut body, 0, &[]);
        block(&mut self.blocks, INTERFACE_DESCRIPTION, &body);
        self.interfaces.push(name);
        (self.interfaces.len() - 1) as u32
    }

    fn packet(&mut self, event: &TraceEvent<'_>, direction: u32, comment: Option<String>) {
        let interface = self.interface(&event.place);
        let bytes = encode(&event.packet);
        let nanos = event.at.as_nanos() as u64;
        let len = bytes.len() as u32;
        let mut body = Vec::new();
        for word in [interface, (nanos >> 32) as u32, nanos as u32, len, len] {
            body.extend_from_slice(&word.to_le_bytes());
        }
        body.extend_from_slice(&bytes);
        pad(&mut body);
        option(&mut body, OPTION_FLAGS, &direction.to_le_bytes());
        option(&mut body, OPTION_PACKET_ID, &event.packet.id.to_le_bytes());
        if let Some(comment) = comment {
            option(&mut body, OPTION_COMMENT, comment.as_bytes());
        }
        option(&mut body, 0, &[]);
        block(&mut self.blocks, ENHANCED_PACKET, &body);
    }
}

impl Observer for PcapNg {
    fn observe(&mut self, event: &TraceEvent<'_>) {
        match event.action {
            Action::Sent => self.packet(event, 2, None),
            Action::Delivered => self.packet(event, 1, None),
            Action::Dropped(reason) => self.packet(event, 0, Some(format!("dropped: {reason}"))),
            _ => {}
        }
    }
}

fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let len = (body.len() as u32 + 12).to_le_bytes();
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&len);
    file.extend_from_slice(body);
    file.extend_from_slice(&len);
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend_from_slice(&code.to_le_bytes());
    body.extend_from_slice(&(value.len() as u16).to_le_bytes());
    body.extend_from_slice(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The packet as a wire would carry it, checksums included.
fn encode(packet: &PacketView<'_>) -> Vec<u8> {
    let (protocol, mut above) = match packet.transport {
        Transport::Udp => (17, udp(packet.source.port(), packet.destination.port(), packet.payload)),
        Transport::Tcp(_) => (6, tcp(packet)),
        Transport::Icmp(_) if packet.source.is_ipv4() => (1, icmp(packet)),
        Transport::Icmp(_) => (58, icmp(packet)),
    };
    let at = match protocol {
        17 => 6,
        6 => 16,
        _ => 2,
    };
    let pseudo = if protocol == 1 {
        Vec::new()
    } else {
        pseudo_header(&packet.source.ip(), &packet.destination.ip(), protocol, above.len())
    };
    let sum = match checksum(&[&pseudo, &above]) {
        // To UDP, 0 is no checksum (RFC 768).
        0 if protocol == 17 => 0xffff,
        sum => sum,
    };
    above[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    let mut bytes = ip(packet, protocol, above.len());
    bytes.extend_from_slice(&above);
    bytes
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [source, destination, (payload.len() + 8) as u16, 0] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn tcp(packet: &PacketView<'_>) -> Vec<u8> {
    let Transport::Tcp(header) = packet.transport else {
        return Vec::new();
    };
    let flags = header.flags;
    let bits = u8::from(flags.fin)
        | u8::from(flags.syn) << 1
        | u8::from(flags.rst) << 2
        | u8::from(!packet.payload.is_empty()) << 3
        | u8::from(flags.ack) << 4;
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&packet.source.port().to_be_bytes());
    bytes.extend_from_slice(&packet.destination.port().to_be_bytes());
    bytes.extend_from_slice(&(header.seq as u32).to_be_bytes());
    bytes.extend_from_slice(&(header.ack as u32).to_be_bytes());
    bytes.extend_from_slice(&[(header.size() as u8 / 4) << 4, bits]);
    // There is no option for window scaling, so that more cannot be said.
    bytes.extend_from_slice(&(header.window.min(0xffff) as u16).to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    if header.mss > 0 {
        bytes.extend_from_slice(&[2, 4]);
        bytes.extend_from_slice(&header.mss.to_be_bytes());
    }
    bytes.extend_from_slice(packet.payload);
    bytes
}

fn icmp(packet: &PacketView<'_>) -> Vec<u8> {
    let Transport::Icmp(icmp) = packet.transport else {
        return Vec::new();
    };
    let v4 = packet.source.is_ipv4();
    let (kind, code, word) = match (icmp.error, v4) {
        (IcmpError::HostUnreachable, true) => (3, 1, 0),
        (IcmpError::PortUnreachable, true) => (3, 3, 0),
        (IcmpError::TooBig { mtu }, true) => (3, 4, u32::from(mtu)),
        (IcmpError::Prohibited, true) => (3, 13, 0),
        (IcmpError::HopLimit, true) => (11, 0, 0),
        (IcmpError::HostUnreachable, false) => (1, 0, 0),
        (IcmpError::Prohibited, false) => (1, 1, 0),
        (IcmpError::PortUnreachable, false) => (1, 4, 0),
        (IcmpError::TooBig { mtu }, false) => (2, 0, u32::from(mtu)),
        (IcmpError::HopLimit, false) => (3, 0, 0),
    };
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend_from_slice(&word.to_be_bytes());
    // What is quoted: an IP header and eight bytes, of which the model knows the ports.
    let about = PacketView {
        source: icmp.about_source,
        destination: icmp.about_destination,
        payload: &[],
        fragments: 1,
        ..*packet
    };
    bytes.extend_from_slice(&ip(&about, if icmp.about_tcp { 6 } else { 17 }, 8));
    bytes.extend_from_slice(&udp(icmp.about_source.port(), icmp.about_destination.port(), &[]));
    bytes
}

fn ip(packet: &PacketView<'_>, protocol: u8, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (packet.source.ip(), packet.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            bytes.extend_from_slice(&[0x45, packet.ecn as u8]);
            bytes.extend_from_slice(&((len + 20) as u16).to_be_bytes());
            bytes.extend_from_slice(&(packet.id as u16).to_be_bytes());
            bytes.extend_from_slice(&[if packet.may_fragment { 0 } else { 0x40 }, 0]);
            bytes.extend_from_slice(&[packet.hop_limit, protocol, 0, 0]);
            bytes.extend_from_slice(&source.octets());
            bytes.extend_from_slice(&destination.octets());
            let sum = checksum(&[&bytes]);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (source, destination) => {
            bytes.extend_from_slice(&[0x60, (packet.ecn as u8) << 4, 0, 0]);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
            bytes.extend_from_slice(&[protocol, packet.hop_limit]);
            bytes.extend_from_slice(&octets(&source));
            bytes.extend_from_slice(&octets(&destination));
        }
    }
    bytes
}

fn pseudo_header(source: &IpAddr, destination: &IpAddr, protocol: u8, len: usize) -> Vec<u8> {
    let mut bytes = octets(source);
    bytes.extend(octets(destination));
    bytes.extend_from_slice(&(len as u32).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, protocol]);
    bytes
}

fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// RFC 1071. All parts but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
