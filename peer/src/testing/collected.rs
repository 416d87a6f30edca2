use std::time::{Duration, Instant};

use rtp::Packet;

use crate::{Channel, ChannelId, Codec, Kind, MessageKind, SenderId, Sink, StreamId, StreamInfo};

/// A sink that keeps what it is given.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// RTP packets.
    pub rtp: Vec<CollectedRtp>,
    /// Requests for key frames.
    pub key_frame_requests: Vec<SenderId>,
    /// Missed sequence numbers.
    pub nacks: Vec<(SenderId, Vec<u64>)>,
    /// Receiver reports: packets expected and lost.
    pub receiver_reports: Vec<(SenderId, u32, u32)>,
    /// The round trips that they prove.
    pub round_trips: Vec<(SenderId, Duration)>,
    /// Sender reports: NTP time and timestamp.
    pub sender_reports: Vec<(StreamId, u64, u32)>,
    /// Streams that ended.
    pub byes: Vec<StreamId>,
    /// Data channels that the peer opened, by their labels.
    pub channels: Vec<(ChannelId, String)>,
    /// Messages on data channels.
    pub messages: Vec<(ChannelId, MessageKind, Vec<u8>)>,
    /// Parts of long ones, and whether they are the first and the last one.
    pub parts: Vec<(ChannelId, Vec<u8>, bool, bool)>,
    /// Channels with a message in parts that was cut.
    pub cuts: Vec<ChannelId>,
}

/// An RTP packet with what was known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedRtp {
    /// [`StreamInfo::stream`].
    pub stream: StreamId,
    /// [`StreamInfo::section`].
    pub section: usize,
    /// [`StreamInfo::mid`].
    pub mid: String,
    /// [`StreamInfo::kind`].
    pub kind: Kind,
    /// [`StreamInfo::codec`].
    pub codec: Codec,
    /// [`StreamInfo::rid`].
    pub rid: Option<String>,
    /// [`StreamInfo::layer`].
    pub layer: u8,
    /// [`StreamInfo::repair`].
    pub repair: bool,
    /// [`StreamInfo::sequence`].
    pub sequence: u64,
    /// [`StreamInfo::arrival`].
    pub arrival: Instant,
    /// The whole packet.
    pub bytes: Vec<u8>,
}

impl CollectedRtp {
    /// The payload, without padding.
    ///
    /// # Panics
    /// Never: it was parsed before.
    pub fn payload(&self) -> Vec<u8> {
        Packet::parse(&self.bytes[..])
            .expect("it was parsed before")
            .payload()
            .to_vec()
    }
}

impl Sink for Collected {
    fn rtp(&mut self, info: &StreamInfo<'_>, packet: Packet<&mut [u8]>) {
        self.rtp.push(CollectedRtp {
            stream: info.stream,
            section: info.section,
            mid: info.mid.to_owned(),
            kind: info.kind,
            codec: info.codec,
            rid: info.rid.map(str::to_owned),
            layer: info.layer,
            repair: info.repair,
            sequence: info.sequence,
            arrival: info.arrival,
            bytes: packet.as_bytes().to_vec(),
        });
    }

    fn key_frame_request(&mut self, sender: SenderId) {
        self.key_frame_requests.push(sender);
    }

    fn nack(&mut self, sender: SenderId, sequences: &mut dyn Iterator<Item = u64>) {
        self.nacks.push((sender, sequences.collect()));
    }

    fn receiver_report(&mut self, sender: SenderId, expected: u32, lost: u32) {
        self.receiver_reports.push((sender, expected, lost));
    }

    fn round_trip(&mut self, sender: SenderId, round_trip: Duration) {
        self.round_trips.push((sender, round_trip));
    }

    fn sender_report(&mut self, stream: StreamId, ntp: u64, timestamp: u32) {
        self.sender_reports.push((stream, ntp, timestamp));
    }

    fn bye(&mut self, stream: StreamId) {
        self.byes.push(stream);
    }

    fn channel_opened(&mut self, channel: &Channel) {
        self.channels.push((channel.id(), channel.init().label.clone()));
    }

    fn message(&mut self, channel: &Channel, kind: MessageKind, payload: &[u8]) {
        self.messages.push((channel.id(), kind, payload.to_vec()));
    }

    fn message_part(&mut self, channel: &Channel, _: MessageKind, _: bool, payload: &[u8], first: bool, last: bool) {
        self.parts.push((channel.id(), payload.to_vec(), first, last));
    }

    fn message_cut(&mut self, channel: &Channel, _: bool) {
        self.cuts.push(channel.id());
    }
}
