use std::sync::Arc;
use std::time::Duration;

use rtp::ntp::NtpClock;

use crate::{ChannelLimits, Codec, Extension, IceServer, IceTransportPolicy, Mdns, SctpConfig};

/// What a [`Peer`](crate::Peer) agrees to. One is shared by many peers.
#[derive(Debug, Clone)]
pub struct Config {
    /// The certificate and what DTLS agrees to.
    pub dtls: Arc<dtls_srtp::Config>,
    /// The ICE agent: its mode, STUN servers that it asks, when it gives up, its budgets. For full mode take
    /// [`Config::full`], or [`ice::Config::full`]: with the mode alone changed it fails as a server does, after 14 s of
    /// silence.
    pub ice: ice::Config,
    /// STUN and TURN servers that are asked for candidates in full mode, beside `ice.stun_servers`: any number
    /// of STUN servers, and at most [`IceServer::MAX`] addresses of TURN servers for relays. TURN servers over UDP are
    /// asked what STUN servers are, too.
    pub ice_servers: Vec<IceServer>,
    /// Which candidates are used, in full mode.
    pub ice_transport_policy: IceTransportPolicy,
    /// Names in place of addresses, in full mode. `None` leaves candidates with names aside, and tells our addresses.
    pub mdns: Option<Mdns>,
    /// Whether DTLS flights are laid into connectivity checks (SPED, draft-hancke-webrtc-sped), where the other end
    /// signals that it does so, too. That saves a round trip. Off by default: the draft is not finished, and browsers
    /// have it behind a switch.
    pub sped: bool,
    /// Most TCP connections that are opened at one time to candidates of the peer's, in full mode, from the addresses
    /// that [`Peer::add_active_tcp_candidate`](crate::Peer::add_active_tcp_candidate) tells. With 0 none is opened.
    pub max_connections: usize,
    /// The wallclock of sender reports. Peers that share one can be synchronized with each other. `None` counts from
    /// the construction of the peer, as RFC 3550 §6.4.1 allows.
    pub wall_clock: Option<NtpClock>,
    /// Audio codecs, the preferred one first. Each is answered at most once.
    pub audio_codecs: Vec<Codec>,
    /// Video codecs, the preferred one first.
    pub video_codecs: Vec<Codec>,
    /// Header extensions on which the user of the peer acts, or which it forwards. Those on which the peer itself acts
    /// (mid, rid, transport-wide numbers) are negotiated whether they stand here or not.
    pub extensions: Vec<Extension>,
    /// Whether sections offered as `sendonly` or `sendrecv` are received.
    pub receive: bool,
    /// Whether sections offered as `recvonly` or `sendrecv` are sent.
    pub send: bool,
    /// Whether retransmission formats (RFC 4588) are agreed to.
    pub rtx: bool,
    /// Whether missing packets of what is received are asked for again (generic NACK, RFC 4585 §6.2.1), where the peer
    /// offers that. They come by `rtx`, else as they were. Without it retransmissions are not looked at.
    pub nack: bool,
    /// Whether simulcast is agreed to: every offered layer is received then. Without, the peer sends one.
    pub simulcast: bool,
    /// Whether a data section is agreed to: data channels.
    pub application: bool,
    /// What carries data channels. Its packets must leave room for DTLS in [`max_datagram`](Self::max_datagram): its
    /// `max_receive_message` is what the peer is told to send at most in one message, unless long ones are taken in parts
    /// (`receive_parts`): then they may have any length. Who lets it try larger packets
    /// (`largest_packet`) gives [`poll_transmit`](crate::Peer::poll_transmit) room for these, and for DTLS.
    pub sctp: SctpConfig,
    /// What channels the peer may open.
    pub channel_limits: ChannelLimits,
    /// Whether SCTP is set up by signalling (SNAP, draft-hancke-tsvwg-snap), where the peer does it, too. That saves two
    /// round trips until the first message. Off by default: the draft is not finished, and browsers have it behind a switch.
    pub snap: bool,
    /// The largest datagram that is sent, in bytes, without what a TURN server needs around it
    /// ([`Peer::RELAY_ROOM`](crate::Peer::RELAY_ROOM)).
    pub max_datagram: usize,
    /// Mean time between two regular RTCP reports; each is drawn from half to one and a half of it (RFC 3550 §6.2).
    /// It is taken to be 100 ms at least and a day at most.
    pub report_interval: Duration,
    /// The most sections that an offer may have.
    pub max_sections: usize,
    /// The most SSRCs that are sent and the most that are received, each over the whole life of the peer.
    pub max_ssrcs: usize,
    /// For peers without transport-wide feedback: the bit rate that is allowed first and the most that is allowed, in
    /// bits per second.
    pub remb_bits_per_second: (u64, u64),
}

impl Config {
    /// The defaults: Opus; VP8 and H.264; everything received and sent, no data sections.
    pub fn new(dtls: Arc<dtls_srtp::Config>) -> Self {
        Self {
            dtls,
            ice: ice::Config::default(),
            ice_servers: Vec::new(),
            ice_transport_policy: IceTransportPolicy::All,
            mdns: None,
            sped: false,
            max_connections: 8,
            wall_clock: None,
            audio_codecs: vec![Codec::Opus],
            video_codecs: [Codec::Vp8].into_iter().chain(Codec::H264).collect(),
            extensions: vec![
                Extension::AudioLevel,
                Extension::VideoOrientation,
                Extension::PlayoutDelay,
                Extension::DependencyDescriptor,
            ],
            receive: true,
            send: true,
            rtx: true,
            nack: true,
            simulcast: true,
            application: false,
            sctp: SctpConfig::default(),
            channel_limits: ChannelLimits::default(),
            snap: false,
            max_datagram: 1200,
            report_interval: Duration::from_secs(1),
            max_sections: 256,
            max_ssrcs: 1024,
            remb_bits_per_second: (1_000_000, 10_000_000),
        }
    }

    /// The same for a peer in full mode, which offers or answers as a browser does: it fails when consent has ended (30
    /// s, RFC 7675 §5.1) and checks 100 pairs (RFC 8445 §6.1.2.5).
    pub fn full(dtls: Arc<dtls_srtp::Config>) -> Self {
        Self {
            ice: ice::Config::full(ice::Role::Controlling),
            ..Self::new(dtls)
        }
    }
}
