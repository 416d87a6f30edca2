//! webrtc-rs' rtc 0.21, one `RTCPeerConnection` for each client as its `broadcast` example:
//! what `poll_read` of the publisher gives is written with `write_rtp` to each subscriber. All packets of a batch are
//! written before `poll_write` is called. The cryptography is its default, ring.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::{
    configure_rtcp_reports, register_default_interceptors,
};
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_VP8, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCDtlsRole, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::Sent;

pub(super) struct Server {
    address: SocketAddr,
    /// Whether the default interceptors are there, and not only those for reports: what was sent is kept so that NACKs
    /// can be answered, losses are noticed, transport-wide feedback is given.
    all_interceptors: bool,
    clients: Vec<Client>,
    by_address: HashMap<SocketAddr, usize>,
    /// What the publisher sent and the subscribers have not got yet.
    packets: Vec<rtc::rtp::Packet>,
}

struct Client {
    connection: RTCPeerConnection,
    due: Option<Instant>,
    /// The sender and the SSRC with which it receives.
    receives: Option<(RTCRtpSenderId, u32)>,
}

impl Server {
    pub(super) fn new(all_interceptors: bool) -> Self {
        Self {
            address: SocketAddr::from(([192, 0, 2, 1], 3478)),
            all_interceptors,
            clients: Vec::new(),
            by_address: HashMap::new(),
            packets: Vec::new(),
        }
    }
}

impl Client {
    /// Polls until nothing is left to do now.
    fn drain(&mut self, now: Instant, sent: &mut Sent, packets: &mut Vec<rtc::rtp::Packet>) {
        loop {
            while let Some(message) = self.connection.poll_write() {
                sent.datagram(message.transport.peer_addr, &message.message);
            }
            while self.connection.poll_event().is_some() {}
            while let Some(TaggedRTCMessage { message, .. }) = self.connection.poll_read() {
                if let RTCMessage::RtpPacket(_, packet) = message {
                    packets.push(packet);
                }
            }
            self.due = self.connection.poll_timeout();
            if self.due.is_none_or(|due| due > now) {
                return;
            }
            self.connection.handle_timeout(now).expect("a timeout");
        }
    }
}

impl super::Server for Server {
    fn join(&mut self, now: Instant, from: SocketAddr, publishes: bool, offer: &str) -> String {
        let setting_engine = SettingEngineBuilder::new()
            .with_answering_dtls_role(RTCDtlsRole::Server)
            .with_lite(true)
            .build();
        let mut media_engine = MediaEngine::default();
        media_engine.register_default_codecs().expect("codecs");
        let registry = if self.all_interceptors {
            register_default_interceptors(Registry::new(), &mut media_engine).expect("interceptors")
        } else {
            configure_rtcp_reports(Registry::new())
        };
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_setting_engine(setting_engine)
            .with_media_engine(media_engine)
            .with_interceptor_registry(registry)
            .build(now)
            .expect("a connection");
        let receives = (!publishes).then(|| {
            let ssrc = 0x1000_0000 + u32::from(from.port());
            let codec = RTCRtpCodec {
                mime_type: MIME_TYPE_VP8.to_owned(),
                clock_rate: 90_000,
                ..RTCRtpCodec::default()
            };
            let encoding = RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    ssrc: Some(ssrc),
                    ..RTCRtpCodingParameters::default()
                },
                codec,
                ..RTCRtpEncodingParameters::default()
            };
            let names = ["stream", "track", "video"].map(str::to_owned);
            let [stream, track, label] = names;
            let track = MediaStreamTrack::new(stream, track, label, RtpCodecKind::Video, vec![encoding]);
            (connection.add_track(track).expect("a sender"), ssrc)
        });
        if publishes {
            connection
                .add_transceiver_from_kind(RtpCodecKind::Video, None)
                .expect("a transceiver");
        }
        let offer = RTCSessionDescription::offer(offer.to_owned()).expect("an offer");
        connection
            .set_remote_description(now, offer)
            .expect("the offer is taken");
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: self.address.ip().to_string(),
                port: self.address.port(),
                component: 1,
                ..CandidateConfig::default()
            },
            ..CandidateHostConfig::default()
        };
        let candidate = candidate.new_candidate_host().expect("a candidate");
        let candidate = RTCIceCandidate::from(&candidate).to_json().expect("a candidate");
        connection
            .add_local_candidate(candidate)
            .expect("the candidate is taken");
        let answer = connection.create_answer(None).expect("an answer");
        connection
            .set_local_description(now, answer)
            .expect("the answer is taken");
        let answer = connection.local_description().expect("an answer").sdp;
        self.by_address.insert(from, self.clients.len());
        self.clients.push(Client {
            connection,
            due: Some(now),
            receives,
        });
        answer
    }

    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, data: &mut [u8], sent: &mut Sent) {
        let client = &mut self.clients[self.by_address[&from]];
        let message = TaggedBytesMut {
            now,
            transport: TransportContext {
                local_addr: self.address,
                peer_addr: from,
                ecn: None,
                transport_protocol: TransportProtocol::UDP,
            },
            message: BytesMut::from(&*data),
        };
        client.connection.handle_read(message).expect("an input");
        client.drain(now, sent, &mut self.packets);
    }

    fn flush(&mut self, now: Instant, sent: &mut Sent) {
        let packets = std::mem::take(&mut self.packets);
        for client in &mut self.clients {
            if client.due.is_some_and(|due| due <= now) {
                client.connection.handle_timeout(now).expect("a timeout");
                client.drain(now, sent, &mut self.packets);
            }
            let Some((sender, ssrc)) = client.receives.filter(|_| !packets.is_empty()) else {
                continue;
            };
            let mut sender = client.connection.rtp_sender(sender).expect("a sender");
            for packet in &packets {
                let mut packet = packet.clone();
                packet.header.ssrc = ssrc;
                // Those of the publisher's connection, which this one has not negotiated.
                packet.header.extension = false;
                packet.header.extensions.clear();
                sender.write_rtp(now, packet).expect("a write");
            }
            client.drain(now, sent, &mut self.packets);
        }
        self.packets.clear();
    }
}
