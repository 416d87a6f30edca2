//! Forwarding allocates nothing: counted across everything that carries media, with a real sender's packets, fifty
//! viewers, and every kind of RTCP going both ways.

mod house;

use std::alloc::System;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use house::{CAMERA, House, MICROPHONE};
use peer::testing::Resend;
use peer::{Direction, Kind};
use rtp::{PayloadType, RtpOut, Ssrc};
use sfu::Role;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const VIEWERS: usize = 50;
/// What a Chromium sent: Opus and VP8 at 640x360.
const DUMP: &str = include_str!("../../fixtures/rtp/chromium156-tx-opus-vp8-640x360.rtp.txt");

/// Allocations inside the SFU, and how many there were in all when the SFU was last called.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static BEFORE: AtomicUsize = AtomicUsize::new(0);

fn watch(after: bool) {
    let stats = ALLOCATOR.stats();
    let all = stats.allocations + stats.reallocations;
    if after {
        INSIDE.fetch_add(all - BEFORE.load(Ordering::Relaxed), Ordering::Relaxed);
    } else {
        BEFORE.store(all, Ordering::Relaxed);
    }
}

/// A packet of the dump: milliseconds from the beginning, and its bytes.
fn dump() -> Vec<(u64, Vec<u8>)> {
    let line = |line: &str| {
        let mut columns = line.split(' ');
        let sent = columns.next() == Some("O");
        let ms = columns.next()?.parse().ok()?;
        let hex = columns.next()?;
        let bytes = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        sent.then_some((ms, bytes))
    };
    DUMP.lines().filter_map(line).collect()
}

/// How long the dump is.
const DUMP_MS: u64 = 6_600;

/// The dump's SSRCs of microphone and camera.
fn ssrcs(dump: &[(u64, Vec<u8>)]) -> [Ssrc; 2] {
    [111, 96].map(|wanted| {
        let packets = dump.iter().filter(|(_, bytes)| !rtp::is_rtcp(bytes));
        let mut packets = packets.map(|(_, bytes)| rtp::Packet::parse(&bytes[..]).unwrap());
        packets.find(|packet| packet.payload_type().0 == wanted).unwrap().ssrc()
    })
}

/// Sends the sender reports in a compound packet of the dump as the publisher's own. Returns how many there were.
fn replay_reports(house: &mut House, publisher: usize, ssrcs: [Ssrc; 2], bytes: &[u8], round: u64) -> usize {
    let mut reports = 0;
    for packet in rtp::rtcp::Compound::parse(bytes).unwrap().packets().flatten() {
        let rtp::rtcp::Packet::SenderReport(report) = packet else {
            continue;
        };
        let Some(section) = ssrcs.iter().position(|ssrc| *ssrc == report.info.ssrc) else {
            continue;
        };
        let later = Duration::from_millis(round * DUMP_MS);
        let client = &mut house.guests[publisher].client;
        let info = rtp::rtcp::SenderInfo {
            ssrc: client.media[section].ssrcs[0].0,
            ntp: report.info.ntp.plus(later),
            rtp_timestamp: report.info.rtp_timestamp.wrapping_add(ticks(section, round)),
            ..report.info
        };
        client.send_rtcp(|w| rtp::rtcp::SenderReport::write(w, &info, [], &[]));
        reports += 1;
    }
    reports
}

/// How much later the timestamps of a round are.
const fn ticks(section: usize, round: u64) -> u32 {
    (round * DUMP_MS * if section == MICROPHONE { 48 } else { 90 }) as u32
}

/// Sends one packet of the dump as the publisher's own, with all extensions that it has.
fn replay(house: &mut House, publisher: usize, bytes: &[u8], round: u64) {
    let packet = rtp::Packet::parse(bytes).unwrap();
    let section = match packet.payload_type().0 {
        111 => MICROPHONE,
        96 => CAMERA,
        // Retransmissions and padding on their SSRC.
        _ => return,
    };
    let client = &mut house.guests[publisher].client;
    let number = client.next_transport_number();
    let media = &mut client.media[section];
    let mid = media.mid.clone();
    let mut extensions = vec![(4, mid.as_bytes()), (3, &number[..])];
    extensions.extend(packet.extensions().filter(|(id, _)| !matches!(id, 3 | 4)));
    let header = RtpOut {
        payload_type: PayloadType(if section == MICROPHONE { 111 } else { 96 }),
        marker: packet.marker(),
        sequence_number: media.sequence[0].0,
        timestamp: packet.timestamp().wrapping_add(ticks(section, round)),
        ssrc: media.ssrcs[0].0,
        extensions: &extensions,
        ..RtpOut::default()
    };
    media.sequence[0].0 += 1;
    let sealed = client.seal_rtp(&header, packet.payload());
    client.send(sealed);
}

#[test]
fn forwarding_to_fifty_viewers_allocates_nothing() {
    let mut house = House::new(1);
    let publisher = house.member("r", "ann", 0);
    house.guests[publisher].client.resend = Resend::Rtx;
    let viewers: Vec<usize> = (0..VIEWERS)
        .map(|_| {
            let viewer = house.enter("r", "viewer", Role::Viewer { source: None });
            house.guests[viewer].client.add(Kind::Audio, Direction::RecvOnly);
            house.guests[viewer].client.add(Kind::Video, Direction::RecvOnly);
            house.connect(viewer);
            viewer
        })
        .collect();
    let dump = dump();
    let ssrcs = ssrcs(&dump);
    let mut reports = 0;
    let mut received = vec![0; VIEWERS];
    let (mut steady, mut rtcp, mut resent) = (None, 0, 0);
    house.watch = watch;
    let start = house.now;
    // The dump is 6.5 s long: twice as it is, then twice with losses on the publisher's way, which are repaired.
    for round in 0..4 {
        if round == 2 {
            house.lose = |n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(50);
        }
        for (ms, bytes) in &dump {
            let at = start + Duration::from_millis(ms + round * DUMP_MS);
            if at > house.now {
                house.run(at - house.now);
            }
            if steady.is_none() && house.now - start > Duration::from_secs(1) {
                steady = Some(INSIDE.load(Ordering::Relaxed));
            }
            if rtp::is_rtcp(bytes) {
                reports += replay_reports(&mut house, publisher, ssrcs, bytes, round);
            } else {
                replay(&mut house, publisher, bytes, round);
            }
            house.exchange();
            // Every viewer reports what it got, and now and then misses a packet and wants a key frame.
            for (n, &viewer) in viewers.iter().enumerate() {
                let client = &mut house.guests[viewer].client;
                let before = client.rtp.len();
                if before < received[n] + 20 {
                    continue;
                }
                let Some(last) = client
                    .rtp
                    .iter()
                    .rev()
                    .find(|last| last.packet().payload_type().0 == 96)
                else {
                    continue;
                };
                let (ssrc, seq) = (last.ssrc, last.sequence);
                let block = rtp::rtcp::ReportBlock {
                    ssrc,
                    highest_sequence: seq as u32,
                    ..Default::default()
                };
                client.send_rtcp(|w| {
                    rtp::rtcp::ReceiverReport::write(w, Ssrc(1), [block], &[])?;
                    rtp::rtcp::Nack::write(w, Ssrc(1), ssrc, [seq.saturating_sub(3) as u16])?;
                    if seq % 7 == 0 {
                        rtp::rtcp::Pli {
                            sender: Ssrc(1),
                            media: ssrc,
                        }
                        .write(w)?;
                    }
                    let time = rtp::rtcp::XrBlock::ReceiverReferenceTime(rtp::ntp::NtpTime(seq << 20));
                    rtp::rtcp::Xr::write(w, Ssrc(1), [time])
                });
                received[n] = client.rtp.len();
            }
        }
        for &viewer in &viewers {
            let client = &mut house.guests[viewer].client;
            rtcp += client.rtcp.len();
            resent += client
                .rtp
                .iter()
                .filter(|packet| packet.packet().payload_type().0 == 97)
                .count();
        }
    }
    house.lose = |_| false;
    house.run(Duration::from_millis(500));
    assert!(house.now - start > Duration::from_secs(24));
    let asked = house.guests[publisher].client.asked.len();
    assert!(asked >= 5, "{asked} packets were asked for again");
    for &viewer in &viewers {
        let of_video = house.guests[viewer].client.rtp.iter();
        let of_video = of_video.filter(|packet| packet.packet().payload_type().0 == 96);
        let mut numbers: Vec<u64> = of_video.map(|packet| packet.sequence).collect();
        numbers.sort_unstable();
        assert!(
            numbers.windows(2).all(|w| w[1] == w[0] + 1),
            "every packet came in the end"
        );
    }
    let forwarded: usize = viewers
        .iter()
        .map(|&viewer| house.guests[viewer].client.rtp.len())
        .sum();
    assert!(forwarded > 400 * VIEWERS, "{forwarded} packets were forwarded");
    assert!(reports > 10, "{reports} sender reports of the publisher");
    // All of the dump is of one clock: nothing in it is out of place.
    let counters = house.counters();
    assert_eq!(
        (counters.get("strange_reports"), counters.get("misplaced_packets")),
        (None, None)
    );
    assert!(
        rtcp > 10 * VIEWERS && resent > 5 * VIEWERS,
        "{rtcp} reports, {resent} retransmissions"
    );
    let inside = INSIDE.load(Ordering::Relaxed);
    assert!(inside > 0, "the counter counts: a ring was made with the first packet");
    assert_eq!(inside - steady.unwrap(), 0, "allocations after the first second");
}
