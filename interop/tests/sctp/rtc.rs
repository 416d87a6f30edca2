//! rtc-sctp, the SCTP of webrtc-rs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rtc_sctp::{
    Association, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload, PayloadProtocolIdentifier,
    ReliabilityType, ServerConfig, StreamEvent,
};
use rtc_shared::TransportProtocol;
use sctp::Ppid;
use sctp::dcep::Reliability;

use super::meeting::{Diary, Foreign, is_unordered};
use super::plan::{Letter, Plan};

pub(crate) struct Rtc {
    endpoint: Endpoint,
    association: Option<Association>,
    diary: Diary,
}

fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000))
}

impl Rtc {
    fn association(&mut self) -> &mut Association {
        self.association.as_mut().expect("an association")
    }

    fn settle(&mut self) {
        let Some(association) = &mut self.association else {
            return;
        };
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => self.diary.is_up = true,
                Event::HandshakeFailed { reason } => self.diary.lost = Some(reason.to_string()),
                // So it says that a stream was reset.
                Event::AssociationLost { id, .. } if !association.is_closed() => self.diary.reset.push(id),
                Event::AssociationLost { reason, .. } => self.diary.lost = Some(reason.to_string()),
                Event::Stream(StreamEvent::Readable { id }) => {
                    let Ok(mut stream) = association.stream(id) else {
                        continue;
                    };
                    while let Ok(Some(chunks)) = stream.read() {
                        let payload = chunks.to_payload(usize::MAX).unwrap();
                        let ppid = Ppid(chunks.ppi as u32);
                        self.diary
                            .letters
                            .push(Letter::of(id, ppid, is_unordered(id), &payload));
                    }
                }
                _ => {}
            }
        }
        if association.is_closed() && self.diary.lost.is_none() {
            self.diary.lost = Some("closed".to_owned());
        }
        // Its endpoint forgets an association that has only begun to shut down.
        while association.poll_endpoint_event().is_some() {}
    }
}

impl Foreign for Rtc {
    const REPEATS_RESETS: bool = false;

    fn new(is_client: bool, now: Instant) -> Self {
        let server = (!is_client).then(|| Arc::new(ServerConfig::default()));
        let config = Arc::new(EndpointConfig::default());
        let mut endpoint = Endpoint::new(address(), TransportProtocol::UDP, config, server);
        let association = is_client.then(|| endpoint.connect(now, ClientConfig::default(), address()).unwrap().1);
        Self {
            endpoint,
            association,
            diary: Diary::default(),
        }
    }

    fn handle(&mut self, now: Instant, packet: &[u8]) {
        let event = self
            .endpoint
            .handle(now, address(), None, Bytes::copy_from_slice(packet));
        match event {
            Some((_, DatagramEvent::NewAssociation(association))) => self.association = Some(association),
            Some((_, DatagramEvent::AssociationEvent(event))) => self.association().handle_event(event),
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(association) = &mut self.association {
            association.handle_timeout(now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.association.as_ref()?.poll_timeout()
    }

    fn transmits(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        if let Some(association) = &mut self.association {
            while let Some(transmit) = association.poll_transmit(now) {
                let Payload::RawEncode(raw) = transmit.message else {
                    panic!("a packet")
                };
                packets.extend(raw.iter().map(|packet| packet.to_vec()));
            }
        }
        packets
    }

    fn send(&mut self, now: Instant, plan: &Plan) {
        let message = plan.message();
        let ppid = PayloadProtocolIdentifier::from(message.ppid.0);
        let association = self.association();
        if association.stream(plan.stream).is_err() {
            association.open_stream(plan.stream, ppid).unwrap();
        }
        let mut stream = association.stream(plan.stream).unwrap();
        let (kind, limit) = match plan.reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::Retransmissions(most) => (ReliabilityType::Rexmit, most),
            Reliability::Lifetime(ms) => (ReliabilityType::Timed, ms),
        };
        stream.set_reliability_params(plan.unordered, kind, limit).unwrap();
        stream.write_sctp(now, &message.payload, ppid).unwrap();
    }

    fn reset(&mut self, now: Instant, stream: u16) {
        self.association().stream(stream).unwrap().close(now).unwrap();
    }

    fn shutdown(&mut self) {
        self.association().shutdown().unwrap();
    }

    fn diary(&mut self) -> &mut Diary {
        self.settle();
        &mut self.diary
    }
}
