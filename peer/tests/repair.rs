//! Losses on the way to us: what is missing is asked for again, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use peer::testing::{Pair, Resend};
use peer::{Config, Direction, Event, Kind, RepairStatistics, StreamId};
use rtp::PayloadType;
use rtp::rtcp::{Compound, Packet, ReceiverReport, ReportBlock};
use rtp::{RtpOut, Ssrc};

const NO_COUNTERS: [(&str, u64); 0] = [];
const CAMERA: usize = 0;
const SLOT: usize = 1;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pair_with(run: u64, config: Config, resend: Resend) -> Pair {
    let mut pair = Pair::with_config(run, config);
    pair.client.add(Kind::Video, Direction::SendOnly);
    pair.client.add(Kind::Video, Direction::RecvOnly);
    pair.client.resend = resend;
    pair.connect();
    pair
}

fn camera(pair: &Pair) -> StreamId {
    pair.peer.sections()[CAMERA].streams()[0].id
}

fn statistics(pair: &Pair) -> RepairStatistics {
    pair.peer.repair_statistics(camera(pair)).expect("a stream")
}

/// Tells the peer a round trip: its first sender report comes back at once.
fn measure(pair: &mut Pair) {
    let sender = pair.peer.sections()[SLOT].sender().unwrap();
    let ssrc = pair.peer.sender(sender).unwrap().ssrc();
    pair.deliver_to_client(|peer, now, out| {
        let header = RtpOut {
            payload_type: PayloadType(96),
            sequence_number: 7,
            ..RtpOut::default()
        };
        peer.write_rtp(now, sender, &header, &[b"x"], out).unwrap()
    });
    pair.run(pair.delay);
    let report = pair.client.rtcp.iter().find_map(|bytes| {
        let mut packets = Compound::parse(bytes).unwrap().packets().flatten();
        packets.find_map(|packet| match packet {
            Packet::SenderReport(report) => Some(report.info.ntp),
            _ => None,
        })
    });
    let block = ReportBlock {
        ssrc,
        last_sr: report.expect("a sender report").middle(),
        ..ReportBlock::default()
    };
    pair.client
        .send_rtcp(|w| ReceiverReport::write(w, Ssrc(1), [block], &[]));
    pair.run(pair.delay);
    let rtt = pair.peer.rtt().expect("a round trip");
    assert!(rtt.abs_diff(2 * pair.delay) < ms(1), "{rtt:?}");
}

fn payload(n: u32) -> [u8; 8] {
    [n.to_be_bytes(), n.to_be_bytes()].concat().try_into().unwrap()
}

/// Sends pictures of one packet, 5 ms apart.
fn film(pair: &mut Pair, packets: u32) {
    film_from(pair, 0, packets);
}

fn film_from(pair: &mut Pair, from: u32, to: u32) {
    for n in from..to {
        pair.client.send_media(CAMERA, n * 450, &payload(n));
        pair.run(ms(5));
    }
}

/// Everything arrived exactly once, under its own number and timestamp, whichever way it came.
fn expect_all(pair: &Pair, packets: u32) -> usize {
    let mut seen = BTreeMap::new();
    for packet in &pair.sink.rtp {
        let n = u32::from_be_bytes(packet.payload()[..4].try_into().unwrap());
        assert_eq!(packet.sequence, 1000 + u64::from(n));
        let parsed = rtp::Packet::parse(&packet.bytes[..]).unwrap();
        assert_eq!(
            (parsed.sequence_number(), parsed.timestamp()),
            (packet.sequence as u16, n * 450)
        );
        assert_eq!(
            (parsed.payload_type(), parsed.ssrc()),
            (PayloadType(96), pair.client.media[CAMERA].ssrcs[0].0)
        );
        assert_eq!(packet.payload(), payload(n));
        assert_eq!(seen.insert(n, packet.repair), None, "packet {n} was handed over twice");
    }
    assert!(seen.keys().copied().eq(0..packets), "{} of {packets}", seen.len());
    seen.values().filter(|repair| **repair).count()
}

fn lost(pair: &Pair) -> bool {
    pair.events
        .iter()
        .any(|event| matches!(event, Event::PacketsLost { .. }))
}

/// Loses some percent, as if by chance.
fn chance(n: u64, percent: u64) -> bool {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 100 < percent
}

#[test]
fn losses_are_repaired_by_retransmissions() {
    for (run, lose) in [(1, (|n| chance(n, 5)) as fn(u64) -> bool), (2, |n| chance(n, 20))] {
        let mut pair = pair_with(run, Pair::config(), Resend::Rtx);
        measure(&mut pair);
        film(&mut pair, 2);
        pair.lose = lose;
        film_from(&mut pair, 2, 1000);
        pair.lose = |_| false;
        film_from(&mut pair, 1000, 1002);
        pair.run(ms(500));
        let repaired = expect_all(&pair, 1002);
        let statistics = statistics(&pair);
        assert!(repaired > 30 && statistics.packets_repaired == repaired as u64);
        assert_eq!((statistics.packets_given_up, lost(&pair)), (0, false));
        assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
        // Lost is what was lost on the way, though all of it came in the end.
        let received = pair.peer.stream_statistics(camera(&pair), false).unwrap();
        assert_eq!(received.lost(), repaired as i64);
    }
}

#[test]
fn losses_are_repaired_without_a_stream_for_retransmissions() {
    let config = Config {
        rtx: false,
        ..Pair::config()
    };
    let mut pair = pair_with(3, config, Resend::Same);
    // So slow that answers are far behind: that does not look like a new beginning to the statistics.
    pair.delay = ms(300);
    measure(&mut pair);
    film(&mut pair, 2);
    pair.lose = |n| chance(n, 10);
    film_from(&mut pair, 2, 1000);
    pair.lose = |_| false;
    film_from(&mut pair, 1000, 1002);
    pair.run(ms(2000));
    assert_eq!(expect_all(&pair, 1002), 0);
    let repaired = statistics(&pair).packets_repaired;
    assert!(repaired > 50, "{repaired}");
    assert_eq!((statistics(&pair).packets_given_up, lost(&pair)), (0, false));
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
    let received = pair.peer.stream_statistics(camera(&pair), false).unwrap();
    assert_eq!(received.lost(), repaired as i64);
}

#[test]
fn a_clean_call_asks_for_nothing() {
    let mut pair = pair_with(4, Pair::config(), Resend::Rtx);
    film(&mut pair, 500);
    // Reordering by a few milliseconds is none of our business either.
    pair.detour = |datagram| ms(u64::from(datagram[3] % 3) * 4);
    film_from(&mut pair, 500, 1000);
    pair.run(ms(100));
    assert_eq!(expect_all(&pair, 1000), 0);
    assert_eq!(statistics(&pair), RepairStatistics::default());
    assert!(pair.client.asked.is_empty());
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn a_packet_is_asked_for_once_per_round_trip_and_given_up_after_ten_times() {
    let mut pair = pair_with(5, Pair::config(), Resend::Nothing);
    pair.delay = ms(40);
    measure(&mut pair);
    film(&mut pair, 2);
    let first = pair.now;
    pair.client.media[CAMERA].sequence[0].0 += 3;
    let mut asked = Vec::new();
    for n in 0..300_u32 {
        pair.client.send_media(CAMERA, 2000 + n, b"later");
        pair.run(ms(5));
        if pair.client.asked.len() > asked.last().map_or(0, |(len, _)| *len) {
            asked.push((pair.client.asked.len(), pair.now - first));
        }
        if lost(&pair) {
            break;
        }
    }
    let numbers: Vec<(usize, u16)> = pair
        .client
        .asked
        .iter()
        .map(|(nack, _, number)| (*nack, *number))
        .collect();
    let expected: Vec<_> = (1..=10)
        .flat_map(|nack| [1002, 1003, 1004].map(|number| (nack, number)))
        .collect();
    assert_eq!(numbers, expected);
    // 40 ms on the way here, 10 ms of patience, 40 ms on the way back; then a round trip and 10 ms each.
    for (nth, (_, at)) in asked.iter().enumerate() {
        let expected = ms(90 + 90 * nth as u64);
        assert!(at.abs_diff(expected) <= ms(6), "request {nth} after {at:?}");
    }
    assert_eq!(statistics(&pair).packets_given_up, 3);
    let told: Vec<_> = pair
        .events
        .iter()
        .filter(|event| matches!(event, Event::PacketsLost { .. }))
        .collect();
    assert_eq!(told, [&Event::PacketsLost { stream: camera(&pair) }]);
    assert_eq!(
        pair.peer.next_timer().map(|(timer, _)| timer == peer::Timer::Nack),
        Some(false)
    );
}

#[test]
fn a_nack_begins_with_a_report_unless_reduced_size_was_agreed_to() {
    for modern in [true, false] {
        let mut pair = Pair::new(15);
        pair.client.modern = modern;
        for _ in 0..2 {
            pair.client.add(Kind::Video, Direction::SendOnly);
        }
        pair.connect();
        // One packet of each camera is lost, at once: they are asked for together.
        for n in 0..3 {
            for camera in 0..2 {
                if n == 1 {
                    pair.client.media[camera].sequence[0].0 += 1;
                } else {
                    pair.client.send_media(camera, n * 450, b"picture");
                }
            }
        }
        pair.run(ms(50));
        let nacks = |bytes: &Vec<u8>| {
            let compound = Compound::parse(bytes).unwrap();
            let is_nack = |packet: &Packet<'_>| matches!(packet, Packet::Nack(_));
            let count = compound.packets().flatten().filter(is_nack).count();
            (count > 0).then_some((count, compound.is_reduced_size()))
        };
        let told: Vec<_> = pair.client.rtcp.iter().filter_map(nacks).collect();
        assert_eq!(told, [(2, modern)]);
    }
}

#[test]
fn an_outage_is_told_at_once() {
    let mut pair = pair_with(6, Pair::config(), Resend::Rtx);
    film(&mut pair, 2);
    pair.client.media[CAMERA].sequence[0].0 += 500;
    pair.client.send_media(CAMERA, 2000, b"later");
    pair.run(ms(300));
    assert!(lost(&pair) && pair.client.asked.is_empty());
    assert_eq!(statistics(&pair).packets_given_up, 500);
}

#[test]
fn losses_that_nobody_has_looked_at_are_told_once() {
    let mut pair = pair_with(13, Pair::config(), Resend::Rtx);
    film(&mut pair, 2);
    pair.run(pair.delay);
    let ssrc = pair.client.media[CAMERA].ssrcs[0].0;
    for outage in 1..=100_u64 {
        let header = RtpOut {
            payload_type: PayloadType(96),
            sequence_number: 1001 + 500 * outage,
            ssrc,
            ..RtpOut::default()
        };
        let datagram = pair.client.seal_rtp(&header, b"later");
        pair.inject(&datagram);
    }
    pair.exchange();
    let told = |event: &&Event| matches!(event, Event::PacketsLost { .. });
    assert_eq!(pair.events.iter().filter(told).count(), 1);
    assert_eq!(statistics(&pair).packets_given_up, 100 * 499);
    assert_eq!(pair.peer.counters().lost_events, 0);
}

#[test]
fn a_stream_that_goes_on_under_another_ssrc_is_not_asked_for_its_old_packets() {
    let mut pair = pair_with(14, Pair::config(), Resend::Nothing);
    film(&mut pair, 2);
    pair.client.media[CAMERA].sequence[0].0 += 2;
    pair.client.send_media(CAMERA, 1800, b"the last of the old");
    pair.run(pair.delay);
    let (old, new) = (pair.client.media[CAMERA].ssrcs[0].0, Ssrc(0xabcd));
    pair.client.media[CAMERA].ssrcs[0].0 = new;
    pair.client.send_media(CAMERA, 0, b"the first of the new");
    pair.run(pair.delay);
    // A straggler on the old SSRC for retransmissions, of a number that the new one has not reached or is behind.
    for number in [1002_u16, 1006] {
        let payload = [&number.to_be_bytes()[..], b"straggler"].concat();
        pair.client.send_layer(CAMERA, 0, true, 900, &payload);
    }
    pair.client.media[CAMERA].sequence[0].0 += 1;
    pair.client.send_media(CAMERA, 900, b"another of the new");
    pair.run(ms(500));
    assert!(pair.client.asked.iter().any(|asked| asked.1 == new));
    assert!(!pair.client.asked.iter().any(|asked| asked.1 == old));
    assert_eq!(pair.sink.rtp.len(), 5);
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn probes_are_neither_handed_over_nor_counted() {
    let mut pair = pair_with(7, Pair::config(), Resend::Rtx);
    pair.client.send_layer(CAMERA, 0, true, 0, b"");
    pair.client.send_layer(CAMERA, 0, true, 0, b"\x03\xe8picture");
    film(&mut pair, 10);
    // Padding on the media's SSRC takes a number and is not missing.
    pair.client.send_media(CAMERA, 4500, b"");
    for number in [1003_u16, 1009, 1010, 1011, 900, 30_000] {
        let payload = [&number.to_be_bytes()[..], b"picture"].concat();
        pair.client.send_layer(CAMERA, 0, true, 0, &payload);
    }
    pair.run(ms(50));
    assert_eq!(pair.sink.rtp.pop().expect("padding").payload(), b"");
    assert_eq!(expect_all(&pair, 10), 0);
    assert!(pair.client.asked.is_empty());
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn a_packet_that_comes_both_ways_is_handed_over_once() {
    let mut pair = pair_with(8, Pair::config(), Resend::Rtx);
    film(&mut pair, 5);
    let media = &mut pair.client.media[CAMERA];
    let (number, ssrc) = (media.sequence[0].0, media.ssrcs[0].0);
    media.sequence[0].0 += 1;
    // It takes 100 ms instead of 10; meanwhile it was asked for and has come.
    let header = RtpOut {
        payload_type: PayloadType(96),
        sequence_number: number,
        timestamp: 5 * 450,
        ssrc,
        ..RtpOut::default()
    };
    let late = pair.client.seal_rtp(&header, &payload(5));
    film_from(&mut pair, 6, 26);
    pair.run(pair.delay);
    assert_eq!(expect_all(&pair, 26), 1);
    pair.inject(&late);
    assert_eq!(expect_all(&pair, 26), 1);
    assert_eq!(statistics(&pair).packets_duplicated, 1);
    // It did arrive.
    let received = pair.peer.stream_statistics(camera(&pair), false).unwrap();
    assert_eq!(received.lost(), 0);
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn nothing_is_asked_for_where_that_was_not_agreed_to() {
    let config = Config {
        nack: false,
        ..Pair::config()
    };
    let mut pair = pair_with(9, config, Resend::Rtx);
    pair.lose = |n| n % 10 == 3;
    film(&mut pair, 100);
    pair.run(ms(300));
    assert!(pair.client.asked.is_empty() && pair.peer.repair_statistics(camera(&pair)).is_none());
    assert_eq!(pair.sink.rtp.len(), 90);
    // Nor after a re-offer that takes it back.
    let mut pair = pair_with(10, Pair::config(), Resend::Rtx);
    film(&mut pair, 10);
    assert!(pair.peer.repair_statistics(camera(&pair)).is_some());
    let offer = pair.client.offer().replace(" nack\r\n", " nack sli\r\n");
    let answer = pair.peer.accept_offer(pair.now, &offer).unwrap();
    pair.client.accept(pair.now, &answer);
    pair.lose = |n| n % 10 == 3;
    film_from(&mut pair, 10, 100);
    pair.run(ms(300));
    assert!(pair.client.asked.is_empty() && pair.peer.repair_statistics(camera(&pair)).is_none());
}

/// What a stream has done is not forgotten with it.
#[test]
fn totals_outlive_streams() {
    let mut pair = pair_with(12, Pair::config(), Resend::Rtx);
    pair.lose = |n| n % 10 == 3;
    film(&mut pair, 100);
    pair.lose = |_| false;
    film_from(&mut pair, 100, 110);
    pair.run(ms(500));
    let before = statistics(&pair);
    assert!(before.packets_repaired > 5, "{before:?}");
    assert_eq!(pair.peer.repair_total(), before);
    let offer = pair.client.offer().replace(" nack\r\n", " nack sli\r\n");
    let answer = pair.peer.accept_offer(pair.now, &offer).unwrap();
    pair.client.accept(pair.now, &answer);
    assert_eq!(pair.peer.repair_statistics(camera(&pair)), None);
    assert_eq!(pair.peer.repair_total(), before);
}

#[test]
fn sound_is_asked_for_only_where_we_send_none() {
    let nacked = |direction, feedback: bool| {
        let mut pair = Pair::new(11);
        pair.client.add(Kind::Audio, direction);
        let offer = pair.client.offer();
        let offer = if feedback {
            offer.replace(
                "a=rtcp-fb:111 transport-cc",
                "a=rtcp-fb:111 nack\r\na=rtcp-fb:111 transport-cc",
            )
        } else {
            offer
        };
        let answer = pair.peer.accept_offer(pair.now, &offer).unwrap();
        answer.contains("a=rtcp-fb:111 nack\r\n")
    };
    assert!(nacked(Direction::SendOnly, true));
    assert!(!nacked(Direction::SendRecv, true) && !nacked(Direction::RecvOnly, true));
    assert!(!nacked(Direction::SendOnly, false));
}

#[test]
fn simulcast_layers_are_repaired_each_for_itself() {
    let mut pair = Pair::new(12);
    let camera = pair.client.add_simulcast(&["q", "h", "f"]);
    pair.client.resend = Resend::Rtx;
    pair.connect();
    pair.lose = |n| n > 6 && chance(n, 10);
    for n in 0..300_u32 {
        for layer in 0..3 {
            pair.client.send_layer(camera, layer, false, n * 450, &payload(n));
        }
        pair.run(ms(5));
    }
    pair.lose = |_| false;
    for layer in 0..3 {
        pair.client.send_layer(camera, layer, false, 300 * 450, &payload(300));
    }
    pair.run(ms(1000));
    for layer in 0..3_u8 {
        let of_layer = pair.sink.rtp.iter().filter(|packet| packet.layer == layer);
        let mut numbers: Vec<u64> = of_layer.map(|packet| packet.sequence).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(1000..1301), "layer {layer}");
    }
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}
