//! webrtc-rs' rtc 0.21: two `RTCPeerConnection`s, its default cryptography (ring). A batch is read, then `poll_read` and
//! `poll_write` are called, which is the best that was found.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelInit};
use rtc::peer_connection::configuration::setting_engine::{SctpMaxMessageSize, SettingEngineBuilder};
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCDtlsRole, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use rtc_dtls::cipher_suite::CipherSuiteId;

use super::end::{End, Inbox};

pub(super) struct Rtc {
    connection: RTCPeerConnection,
    transport: TransportContext,
    channel: RTCDataChannelId,
    is_open: bool,
    inbox: Inbox,
}

/// What is left of a datagram of 1200 bytes when DTLS 1.2 has taken its share.
const PACKET: u32 = 1200 - 37;

impl Rtc {
    pub(super) fn pair(receive_window: Option<u32>, now: Instant) -> [Self; 2] {
        let addresses = [1, 2].map(|n| SocketAddr::from(([192, 0, 2, n], 5000)));
        let ends = [(RTCDtlsRole::Server, [0, 1]), (RTCDtlsRole::Client, [1, 0])];
        let mut ends =
            ends.map(|(role, [own, peer])| Self::new(role, addresses[own], addresses[peer], receive_window, now));
        let [left, right] = &mut ends;
        let (left, right) = (&mut left.connection, &mut right.connection);
        let offer = left.create_offer(None).expect("an offer");
        left.set_local_description(now, offer.clone()).expect("it is taken");
        right.set_remote_description(now, offer).expect("it is taken");
        let answer = right.create_answer(None).expect("an answer");
        right.set_local_description(now, answer.clone()).expect("it is taken");
        left.set_remote_description(now, answer).expect("it is taken");
        ends
    }

    fn new(role: RTCDtlsRole, own: SocketAddr, peer: SocketAddr, receive_window: Option<u32>, now: Instant) -> Self {
        let mut settings = SettingEngineBuilder::new()
            .with_answering_dtls_role(role)
            .with_dtls_cipher_suites(vec![CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256])
            .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(256 * 1024))
            .with_sctp_mtu(PACKET);
        if let Some(window) = receive_window {
            settings = settings.with_sctp_max_receive_buffer_size(window);
        }
        let builder = RTCPeerConnectionBuilder::new().with_setting_engine(settings.build());
        let mut connection = builder.build(now).expect("a connection");
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: own.ip().to_string(),
                port: own.port(),
                component: 1,
                ..CandidateConfig::default()
            },
            ..CandidateHostConfig::default()
        };
        let candidate = candidate.new_candidate_host().expect("a candidate");
        let candidate = RTCIceCandidate::from(&candidate).to_json().expect("a candidate");
        connection.add_local_candidate(candidate).expect("it is taken");
        let init = RTCDataChannelInit {
            ordered: true,
            negotiated: Some(1),
            ..RTCDataChannelInit::default()
        };
        let channel = connection
            .create_data_channel("data", Some(init))
            .expect("a channel")
            .id();
        Self {
            connection,
            transport: TransportContext {
                local_addr: own,
                peer_addr: peer,
                ecn: None,
                transport_protocol: TransportProtocol::UDP,
            },
            channel,
            is_open: false,
            inbox: Inbox::default(),
        }
    }
}

impl End for Rtc {
    fn is_open(&self) -> bool {
        self.is_open
    }

    fn held(&mut self) -> usize {
        self.connection
            .data_channel(self.channel)
            .expect("the channel")
            .outstanding_bytes()
    }

    fn send(&mut self, now: Instant, message: Bytes) {
        let mut channel = self.connection.data_channel(self.channel).expect("the channel");
        channel.send(now, BytesMut::from(message)).expect("it is taken");
    }

    fn poll(&mut self, _: Instant, out: &mut [u8]) -> Option<usize> {
        let message = self.connection.poll_write()?.message;
        out[..message.len()].copy_from_slice(&message);
        Some(message.len())
    }

    fn handle(&mut self, now: Instant, datagram: &mut [u8]) {
        let message = TaggedBytesMut {
            now,
            transport: self.transport,
            message: BytesMut::from(&*datagram),
        };
        self.connection.handle_read(message).expect("a good datagram");
    }

    fn settle(&mut self, _: Instant) {
        while let Some(event) = self.connection.poll_event() {
            if let RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(_)) = event {
                self.is_open = true;
            }
        }
        while let Some(TaggedRTCMessage { message, .. }) = self.connection.poll_read() {
            if let RTCMessage::DataChannelMessage(_, message) = message {
                self.inbox.take(&message.data);
            }
        }
    }

    fn due(&mut self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now).expect("a timeout");
    }

    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }
}
