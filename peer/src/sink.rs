use std::time::Duration;

use rtp::Packet;

use crate::{Channel, MessageKind, SenderId, StreamId, StreamInfo};

/// Receives what a datagram contained: packets lent from the caller's buffer, decrypted in place, and what RTCP says.
pub trait Sink {
    /// A packet, with empty payload when it is only padding. A retransmission is handed over as the packet that was
    /// missing ([`StreamInfo::repair`]); where that is here already, or nothing is asked for again, it is not handed
    /// over. Of a stream of which packets are asked for again each comes once.
    fn rtp(&mut self, info: &StreamInfo<'_>, packet: Packet<&mut [u8]>) {
        let _ = (info, packet);
    }

    /// The peer wants a key frame of what we send (PLI, RFC 4585 §6.3.1; FIR, RFC 5104 §4.3.1, each only once).
    fn key_frame_request(&mut self, sender: SenderId) {
        let _ = sender;
    }

    /// The peer misses packets (generic NACK, RFC 4585 §6.2.1). The sequence numbers are extended as those given to
    /// [`write_rtp`](crate::Peer::write_rtp).
    fn nack(&mut self, sender: SenderId, sequences: &mut dyn Iterator<Item = u64>) {
        let _ = (sender, sequences);
    }

    /// The peer reported on what we send (RFC 3550 §6.4.1): since its report before, so many packets should have come,
    /// and so many of them were lost on the way there. Retransmissions do not count, nor do numbers that were never
    /// sent.
    fn receiver_report(&mut self, sender: SenderId, expected: u32, lost: u32) {
        let _ = (sender, expected, lost);
    }

    /// The peer's report proves this round trip (RFC 3550 §6.4.1): with what it waits for at the peer until it is
    /// processed. Told once for each sender report of ours: one that answers the same again says nothing of the way
    /// there since.
    fn round_trip(&mut self, sender: SenderId, round_trip: Duration) {
        let _ = (sender, round_trip);
    }

    /// The peer told which wall-clock time (NTP, 64 bits) an RTP timestamp of its stream stands for (SR, RFC 3550
    /// §6.4.1).
    fn sender_report(&mut self, stream: StreamId, ntp: u64, timestamp: u32) {
        let _ = (stream, ntp, timestamp);
    }

    /// The peer ended a stream (BYE, RFC 3550 §6.6). It may begin anew.
    fn bye(&mut self, stream: StreamId) {
        let _ = stream;
    }

    /// The peer has opened a data channel, which is open at once.
    fn channel_opened(&mut self, channel: &Channel) {
        let _ = channel;
    }

    /// A message has come on a data channel; it is lent.
    fn message(&mut self, channel: &Channel, kind: MessageKind, payload: &[u8]) {
        let _ = (channel, kind, payload);
    }

    /// A part of a message that is longer than `receive_parts` of [`SctpConfig`](crate::SctpConfig). Behind the first part come others, until one
    /// is the last, or [`message_cut`](Self::message_cut) comes, or the channel closes. `unordered` tells two messages apart that
    /// come in parts at the same time: [`sctp::ChannelSink::part`] says when there are such.
    fn message_part(
        &mut self,
        channel: &Channel,
        kind: MessageKind,
        unordered: bool,
        payload: &[u8],
        first: bool,
        last: bool,
    ) {
        let _ = (channel, kind, unordered, payload, first, last);
    }

    /// No more comes of the message of which parts have come, ordered or not: the peer has given it up, or closes the channel
    /// in the middle of it, or has begun anew.
    fn message_cut(&mut self, channel: &Channel, unordered: bool) {
        let _ = (channel, unordered);
    }
}
