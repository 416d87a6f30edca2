//! str0m 0.25, set up without SDP as in its `data-channel-direct` test, with its default cryptography (aws-lc-rs). It is
//! polled after each datagram, as its documentation demands: there is no room for many in its DTLS.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::net::{DatagramSend, Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use super::end::{DATAGRAM, End, Inbox};

pub(super) struct Str0m {
    rtc: Rtc,
    own: SocketAddr,
    peer: SocketAddr,
    channel: ChannelId,
    is_open: bool,
    due: Instant,
    waiting: VecDeque<DatagramSend>,
    inbox: Inbox,
}

impl Str0m {
    /// `buffer` is how much it takes to send, if not as much as it does by default.
    pub(super) fn pair(buffer: Option<usize>, now: Instant) -> [Self; 2] {
        let addresses = [1, 2].map(|n| SocketAddr::from(([192, 0, 2, n], 5000)));
        let hosts = addresses.map(|address| Candidate::host(address, "udp").expect("a candidate"));
        let mut rtcs = [(); 2].map(|()| {
            let mut config = RtcConfig::new().set_mtu(DATAGRAM..=DATAGRAM);
            if let Some(buffer) = buffer {
                config = config.set_sctp_max_buffered_amount(buffer);
            }
            config.build(now)
        });
        let prints = rtcs
            .each_mut()
            .map(|rtc| rtc.direct_api().local_dtls_fingerprint().clone());
        let credentials = rtcs.each_mut().map(|rtc| rtc.direct_api().local_ice_credentials());
        let mut number = 0;
        rtcs.map(|mut rtc| {
            let (own, peer) = (number, 1 - number);
            number += 1;
            rtc.add_local_candidate(hosts[own].clone());
            rtc.add_remote_candidate(hosts[peer].clone());
            let mut api = rtc.direct_api();
            api.set_remote_fingerprint(prints[peer].clone());
            api.set_remote_ice_credentials(credentials[peer].clone());
            api.set_ice_controlling(own == 0);
            api.start_dtls(own == 0).expect("DTLS");
            api.start_sctp(own == 0);
            let channel = api.create_data_channel(ChannelConfig {
                negotiated: Some(1),
                label: "data".to_owned(),
                ..ChannelConfig::default()
            });
            Self {
                rtc,
                own: addresses[own],
                peer: addresses[peer],
                channel,
                is_open: false,
                due: now,
                waiting: VecDeque::new(),
                inbox: Inbox::default(),
            }
        })
    }

    /// Polls until there is nothing more to do now.
    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().expect("an output") {
                Output::Transmit(transmit) => self.waiting.push_back(transmit.contents),
                Output::Event(Event::ChannelData(data)) => self.inbox.take(&data.data),
                Output::Event(Event::ChannelOpen(..)) => self.is_open = true,
                Output::Event(_) => {}
                Output::Timeout(due) => {
                    self.due = due;
                    return;
                }
            }
        }
    }
}

impl End for Str0m {
    fn is_open(&self) -> bool {
        self.is_open
    }

    fn held(&mut self) -> usize {
        self.rtc
            .channel(self.channel)
            .map_or(0, |mut channel| channel.buffered_amount())
    }

    fn send(&mut self, _: Instant, message: Bytes) {
        let mut channel = self.rtc.channel(self.channel).expect("the channel");
        assert!(channel.write(true, &message).expect("a channel"), "there was room");
    }

    fn poll(&mut self, _: Instant, out: &mut [u8]) -> Option<usize> {
        if self.waiting.is_empty() {
            self.drain();
        }
        let datagram = self.waiting.pop_front()?;
        out[..datagram.len()].copy_from_slice(&datagram);
        Some(datagram.len())
    }

    fn handle(&mut self, now: Instant, datagram: &mut [u8]) {
        let receive = Receive::new(Protocol::Udp, self.peer, self.own, datagram).expect("a datagram");
        self.rtc.handle_input(Input::Receive(now, receive)).expect("an input");
        self.drain();
    }

    fn settle(&mut self, _: Instant) {
        self.drain();
    }

    fn due(&mut self) -> Option<Instant> {
        Some(self.due)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.rtc.handle_input(Input::Timeout(now)).expect("a timeout");
    }

    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }
}
