//! str0m 0.25 in RTP mode, one `Rtc` for each client, as its `chat` example: every change of an `Rtc` is followed by
//! polling it until it names a timeout. The cryptography is its default, aws-lc-rs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::media::Direction;
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::Sent;

/// When an `Rtc` is polled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Drain {
    /// After each packet written to it, as its documentation demands.
    Write,
    /// After all packets of a batch, which works too and is cheaper.
    Batch,
}

pub(super) struct Server {
    address: SocketAddr,
    drain: Drain,
    /// Whether packets are kept so that NACKs can be answered, as the other servers here do.
    nackable: bool,
    clients: Vec<Client>,
    by_address: HashMap<SocketAddr, usize>,
    /// What the publisher sent and the subscribers have not got yet.
    packets: Vec<RtpPacket>,
}

struct Client {
    rtc: Rtc,
    due: Instant,
    /// The stream in which it receives.
    receives: Option<Ssrc>,
}

impl Server {
    pub(super) fn new(drain: Drain, nackable: bool) -> Self {
        Self {
            address: SocketAddr::from(([192, 0, 2, 1], 3478)),
            drain,
            nackable,
            clients: Vec::new(),
            by_address: HashMap::new(),
            packets: Vec::new(),
        }
    }
}

impl Client {
    /// Polls until nothing is left to do now.
    fn drain(&mut self, now: Instant, sent: &mut Sent, packets: &mut Vec<RtpPacket>) {
        loop {
            match self.rtc.poll_output().expect("an output") {
                Output::Transmit(transmit) => sent.datagram(transmit.destination, &transmit.contents),
                Output::Event(Event::RtpPacket(packet)) => packets.push(packet),
                Output::Event(Event::MediaAdded(media)) if media.direction == Direction::SendOnly => {
                    let mut api = self.rtc.direct_api();
                    self.receives = api.stream_tx_by_mid(media.mid, None).map(|stream| stream.ssrc());
                }
                Output::Event(_) => {}
                Output::Timeout(due) if due <= now => {
                    self.rtc.handle_input(Input::Timeout(now)).expect("a timeout");
                }
                Output::Timeout(due) => {
                    self.due = due;
                    return;
                }
            }
        }
    }
}

impl super::Server for Server {
    fn join(&mut self, now: Instant, from: SocketAddr, _: bool, offer: &str) -> String {
        let mut rtc = Rtc::builder().set_rtp_mode(true).set_ice_lite(true).build(now);
        rtc.add_local_candidate(Candidate::host(self.address, "udp").expect("a candidate"));
        let offer = SdpOffer::from_sdp_string(offer).expect("an offer");
        let answer = rtc.sdp_api().accept_offer(offer).expect("an answer");
        self.by_address.insert(from, self.clients.len());
        self.clients.push(Client {
            rtc,
            due: now,
            receives: None,
        });
        answer.to_sdp_string()
    }

    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, data: &mut [u8], sent: &mut Sent) {
        let client = &mut self.clients[self.by_address[&from]];
        let receive = Receive::new(Protocol::Udp, from, self.address, data).expect("a datagram");
        client.rtc.handle_input(Input::Receive(now, receive)).expect("an input");
        client.drain(now, sent, &mut self.packets);
    }

    fn flush(&mut self, now: Instant, sent: &mut Sent) {
        let packets = std::mem::take(&mut self.packets);
        for client in &mut self.clients {
            if client.due <= now {
                client.rtc.handle_input(Input::Timeout(now)).expect("a timeout");
                client.drain(now, sent, &mut self.packets);
            }
            let Some(ssrc) = client.receives else { continue };
            for packet in &packets {
                let write = RtpWrite::new(
                    packet.header.payload_type,
                    packet.seq_no,
                    packet.header.timestamp,
                    packet.timestamp,
                    packet.payload.clone(),
                )
                .marker(packet.header.marker)
                .nackable(self.nackable);
                let mut api = client.rtc.direct_api();
                api.stream_tx(&ssrc).expect("a stream").write_rtp(write);
                if self.drain == Drain::Write {
                    client.drain(now, sent, &mut self.packets);
                }
            }
            if self.drain == Drain::Batch && !packets.is_empty() {
                client.drain(now, sent, &mut self.packets);
            }
        }
        self.packets.clear();
    }
}
