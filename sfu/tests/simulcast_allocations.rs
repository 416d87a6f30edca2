//! Forwarding of simulcast allocates nothing: three layers, viewers of each, reports both ways, and a layer that is
//! switched to before it is counted.

mod house;

use std::alloc::System;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use house::House;
use peer::{Direction, Kind};
use rtp::Ssrc;
use sfu::{Picture, Role, SourceKind, View};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SIZES: [(u16, u16); 3] = [(320, 180), (640, 360), (1280, 720)];
const VIEWERS: usize = 15;
/// Frames of 40 ms.
const FRAMES: u32 = 500;
/// What is allocated in the first two seconds is for everybody's beginning.
const STEADY: u32 = 50;

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

fn frame(layer: usize, picture: u32, key: bool) -> Vec<u8> {
    let mut payload = vec![7; 600 + 200 * layer];
    let [high, low] = (picture as u16 & 0x7fff).to_be_bytes();
    let (width, height) = SIZES[layer];
    payload[..5].copy_from_slice(&[0x90, 0xc0, 0x80 | high, low, low]);
    payload[5] = u8::from(!key);
    payload[8..11].copy_from_slice(&[0x9d, 0x01, 0x2a]);
    payload[11..13].copy_from_slice(&width.to_le_bytes());
    payload[13..15].copy_from_slice(&height.to_le_bytes());
    payload[20] = layer as u8;
    payload
}

#[test]
fn forwarding_simulcast_allocates_nothing() {
    let mut house = House::new(1);
    let ann = house.enter("r", "ann", Role::Member);
    let section = house.guests[ann].client.add_simulcast(&["q", "h", "f"]);
    house.connect(ann);
    let id = house.guests[ann].id;
    for viewer in 0..VIEWERS {
        let guest = house.enter("r", "viewer", Role::Member);
        let client = &mut house.guests[guest].client;
        client.add(Kind::Audio, Direction::RecvOnly);
        client.add(Kind::Video, Direction::RecvOnly);
        let (width, height) = SIZES[viewer % 3];
        let view = View {
            pictures: vec![Picture {
                participant: id,
                kind: SourceKind::Camera,
                width,
                height,
            }],
            ..View::default()
        };
        house.sfu.set_view(house.now, house.guests[guest].id, view).unwrap();
        house.connect(guest);
    }
    house.watch = watch;
    let mut steady = 0;
    for n in 0..FRAMES {
        if n == STEADY {
            steady = INSIDE.load(Ordering::Relaxed);
        }
        for layer in (0..3).rev() {
            let payload = frame(layer, n, n.is_multiple_of(25));
            house.guests[ann]
                .client
                .send_layer(section, layer, false, n * 3600, &payload);
            if n % 25 == 5 {
                let client = &mut house.guests[ann].client;
                let info = rtp::rtcp::SenderInfo {
                    ssrc: client.media[section].ssrcs[layer].0,
                    ntp: rtp::ntp::NtpTime::from_unix(Duration::from_millis(1_000_000 + 40 * u64::from(n))),
                    rtp_timestamp: n * 3600,
                    packet_count: n,
                    octet_count: 900 * n,
                };
                client.send_rtcp(|w| rtp::rtcp::SenderReport::write(w, &info, [], &[]));
            }
        }
        house.exchange();
        house.run(Duration::from_millis(40));
        for viewer in (1..=VIEWERS).filter(|viewer| (n as usize + viewer).is_multiple_of(25)) {
            let client = &mut house.guests[viewer].client;
            let Some(last) = client.rtp.last() else { continue };
            let block = rtp::rtcp::ReportBlock {
                ssrc: last.ssrc,
                highest_sequence: last.sequence as u32,
                ..Default::default()
            };
            client.send_rtcp(|w| rtp::rtcp::ReceiverReport::write(w, Ssrc(1), [block], &[]));
        }
    }
    for viewer in 0..VIEWERS {
        let video = house.video(viewer + 1);
        assert!(video.len() as u32 > FRAMES - 10, "{}", video.len());
        assert_eq!(usize::from(video.last().unwrap().3[20]), viewer % 3);
    }
    let inside = INSIDE.load(Ordering::Relaxed);
    assert!(steady > 0, "the counter counts");
    assert_eq!(inside - steady, 0, "allocations after two seconds");
}
