//! sctp-proto, the SCTP of str0m.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sctp::Ppid;
use sctp::dcep::Reliability;
use sctp_proto::{
    Association, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload, PayloadProtocolIdentifier,
    ReliabilityType, ServerConfig, StreamEvent, TransportConfig, generate_snap_token,
};

use super::meeting::{Diary, Foreign, is_unordered};
use super::plan::{Letter, Plan};

pub(crate) struct Proto {
    endpoint: Endpoint,
    association: Option<Association>,
    diary: Diary,
}

fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000))
}

impl Proto {
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
                Event::Stream(StreamEvent::ResetComplete { id }) => self.diary.reset.push(id),
                Event::AssociationLost { reason, .. } => self.diary.lost = Some(reason.to_string()),
                Event::Stream(StreamEvent::Readable { id }) => {
                    let Ok(mut stream) = association.stream(id) else {
                        continue;
                    };
                    while let Ok(Some(chunks)) = stream.read() {
                        let mut payload = vec![0; chunks.len()];
                        chunks.read(&mut payload).unwrap();
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

/// Else it sends no message that is longer than 64 KiB, and takes none without a word.
fn transport() -> TransportConfig {
    let transport = TransportConfig::default().with_max_send_message_size(1 << 20);
    transport.with_max_receive_message_size(1 << 20)
}

impl Proto {
    /// One that got our INIT by signalling, and its own, which we get.
    pub(crate) fn with_snap(our_init: &[u8]) -> (Self, Bytes) {
        let its_init = generate_snap_token(&transport()).unwrap();
        let mut client = ClientConfig::new().with_snap(its_init.clone(), Bytes::copy_from_slice(our_init));
        client.transport = Arc::new(transport());
        (Self::begin(Some(client)), its_init)
    }

    fn begin(client: Option<ClientConfig>) -> Self {
        let mut server = ServerConfig::new();
        server.transport = Arc::new(transport());
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), Some(Arc::new(server)));
        let association = client.map(|client| endpoint.connect(client, address()).unwrap().1);
        Self {
            endpoint,
            association,
            diary: Diary::default(),
        }
    }
}

impl Foreign for Proto {
    const REPEATS_RESETS: bool = true;

    fn new(is_client: bool, _: Instant) -> Self {
        let mut client = ClientConfig::new();
        client.transport = Arc::new(transport());
        Self::begin(is_client.then_some(client))
    }

    fn handle(&mut self, now: Instant, packet: &[u8]) {
        let event = self
            .endpoint
            .handle(now, address(), None, None, Bytes::copy_from_slice(packet));
        match event {
            // As a client it does not know how to take an INIT (and panics where it has no configuration of a server).
            Some((_, DatagramEvent::NewAssociation(association))) => {
                self.association.get_or_insert(association);
            }
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
                let Payload::RawEncode(raw) = transmit.payload else {
                    panic!("a packet")
                };
                packets.extend(raw.iter().map(|packet| packet.to_vec()));
            }
        }
        packets
    }

    fn send(&mut self, _: Instant, plan: &Plan) {
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
        stream.write_sctp(&message.payload, ppid).unwrap();
    }

    fn reset(&mut self, _: Instant, stream: u16) {
        self.association().stream(stream).unwrap().close().unwrap();
    }

    fn shutdown(&mut self) {
        self.association().shutdown().unwrap();
    }

    fn diary(&mut self) -> &mut Diary {
        self.settle();
        &mut self.diary
    }
}
