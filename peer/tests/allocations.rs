//! Once a call is warm, receiving, sending and reporting allocate nothing.

use std::alloc::System;
use std::time::Duration;

use peer::testing::{Pair, Resend};
use peer::{Direction, Kind, Peer, SenderId, Sink, StreamInfo};
use rtp::rtcp::{Nack, Pli, ReceiverReport};
use rtp::{Packet, PayloadType, RtpOut, Ssrc};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts and keeps nothing.
#[derive(Default)]
struct Count {
    packets: u64,
    nacked: u64,
    key_frames: u64,
}

impl Sink for Count {
    fn rtp(&mut self, _: &StreamInfo<'_>, packet: Packet<&mut [u8]>) {
        self.packets += u64::from(!packet.payload().is_empty());
    }

    fn nack(&mut self, _: SenderId, sequences: &mut dyn Iterator<Item = u64>) {
        self.nacked += sequences.count() as u64;
    }

    fn key_frame_request(&mut self, _: SenderId) {
        self.key_frames += 1;
    }
}

#[test]
fn ten_seconds_of_a_warm_call_allocate_nothing() {
    let mut pair = Pair::new(1);
    let mic = pair.client.add(Kind::Audio, Direction::SendOnly);
    let camera = pair.client.add_simulcast(&["q", "h", "f"]);
    let slot = pair.client.add(Kind::Video, Direction::RecvOnly);
    pair.client.resend = Resend::Rtx;
    pair.connect();
    let sender = pair.peer.sections()[slot].sender().unwrap();
    let ssrc = pair.peer.sender(sender).unwrap().ssrc();
    let stream = pair.peer.sections()[camera].streams()[2].id;
    let path = pair.path();
    let mut sink = Count::default();
    let mut allocated = 0;
    let (mut out, mut media) = ([0; Peer::MIN_OUT], [0; 1500]);
    let mut now = pair.now;
    let mut sent = 0;
    for tick in 0..1100_u32 {
        // What the client sends is made outside of what is counted.
        pair.client.send_media(mic, tick * 480, b"opus");
        for layer in 0..3 {
            pair.client.send_layer(camera, layer, false, tick * 900, &[0; 900]);
            // A probe for bandwidth.
            pair.client.send_layer(camera, layer, true, tick * 900, &[1; 500]);
        }
        if tick % 10 == 0 && tick > 0 {
            pair.client.send_rtcp(|w| {
                ReceiverReport::write(w, Ssrc(1), [], &[])?;
                Nack::write(w, Ssrc(1), ssrc, [(tick - 1) as u16, (tick - 3) as u16])?;
                Pli {
                    sender: Ssrc(1),
                    media: ssrc,
                }
                .write(w)
            });
        }
        let mut datagrams = Vec::new();
        while let Some(datagram) = pair.client.poll_transmit(now) {
            sent += 1;
            // One in fifty is lost on the way.
            if sent % 50 != 7 {
                datagrams.push(datagram);
            }
        }
        now += Duration::from_millis(10);
        let region = Region::new(ALLOCATOR);
        for datagram in &mut datagrams {
            pair.peer.handle_datagram(now, &path, datagram, &mut sink);
        }
        let header = RtpOut {
            payload_type: PayloadType(96),
            sequence_number: u64::from(tick),
            timestamp: tick * 900,
            extensions: &[(4, b"2")],
            ..RtpOut::default()
        };
        pair.peer
            .write_rtp(now, sender, &header, &[b"descriptor", &[7; 1000]], &mut media)
            .unwrap();
        pair.peer
            .write_rtx(now, sender, &header, &[&[7; 1000]], &mut media)
            .unwrap();
        if tick % 100 == 0 {
            pair.peer.request_key_frame(now, stream);
            pair.peer.send_report_now(now, sender);
        }
        pair.peer.handle_timeout(now);
        let change = region.change();
        let mut allocations = change.allocations + change.reallocations;
        loop {
            let region = Region::new(ALLOCATOR);
            let transmit = pair.peer.poll_transmit(now, &mut out);
            let change = region.change();
            allocations += change.allocations + change.reallocations;
            let Some(transmit) = transmit else { break };
            pair.client.handle_datagram(now, &mut out[..transmit.len]);
        }
        while pair.peer.poll_event().is_some() {}
        // The first second warms up.
        if tick >= 100 {
            allocated += allocations;
        }
    }
    assert_eq!(allocated, 0);
    // Probes are not handed on, and of sound nothing is sent again.
    assert!((4300..4400).contains(&sink.packets), "{} packets", sink.packets);
    assert!(sink.nacked > 2 * 100 && sink.key_frames > 100);
    let streams = pair.peer.sections()[camera].streams();
    let repaired = |stream: &peer::Stream| pair.peer.repair_statistics(stream.id).unwrap().packets_repaired;
    let repaired: u64 = streams.iter().map(repaired).sum();
    assert!(repaired > 40, "{repaired} packets were repaired");
    assert!(pair.counters().is_empty(), "{:?}", pair.counters());
}
