//! What a packet costs: work for those whom it is about, however many others there are. Counted, as times tell nothing.
#![cfg(debug_assertions)]

mod house;

use std::time::Duration;

use house::{CAMERA, House};
use peer::{Direction, Kind};
use sfu::Role;
use wire::{Ecn, Path};

const FRAME: Duration = Duration::from_millis(40);
/// Packets that are counted; in what is compared all are of one frame, in the middle of a call.
const PACKETS: u64 = 20;

/// Somebody who sends a picture and receives nothing.
fn publisher(house: &mut House, name: &str) -> usize {
    let guest = house.enter("r", name, Role::Publisher);
    house.guests[guest].client.add(Kind::Audio, Direction::SendOnly);
    house.guests[guest].client.add(Kind::Video, Direction::SendOnly);
    house.connect(guest);
    guest
}

/// Somebody who sees one publisher.
fn viewer(house: &mut House, source: &str) -> usize {
    let role = Role::Viewer {
        source: Some(source.into()),
    };
    let guest = house.enter("r", "viewer", role);
    house.guests[guest].client.add(Kind::Audio, Direction::RecvOnly);
    house.guests[guest].client.add(Kind::Video, Direction::RecvOnly);
    house.connect(guest);
    guest
}

fn film(house: &mut House, guest: usize, frames: u16) {
    for frame in 0..frames {
        house.send_frame(guest, CAMERA, u32::from(frame) * 3600, frame, frame == 0, 2);
        house.run(FRAME);
    }
}

/// Gives the SFU the rest of a frame, packet by packet, and polls it until it has nothing to say. How often it looked
/// at participants, sources and rooms meanwhile, and how many datagrams others were sent.
fn cost(house: &mut House, guest: usize) -> (u64, u64) {
    let now = house.now;
    let mut out = vec![0; house.room];
    house.drain();
    let server = house.guests[guest].client.server().unwrap();
    let path = Path::udp(server, house.guests[guest].client.address);
    let (before, mut sent) = (house.sfu.visits(), 0);
    for _ in 0..PACKETS {
        house.send_video(guest, 96, 100 * 3600, &[0; 900]);
        let mut datagram = house.guests[guest].client.poll_transmit(now).unwrap();
        house.sfu.handle_datagram(now, path, Ecn::NotEct, &mut datagram);
        while let Some(transmit) = house.sfu.poll_transmit(now, &mut out) {
            // Feedback about what came goes back.
            if transmit.path != path {
                sent += transmit.datagrams() as u64;
            }
        }
    }
    (house.sfu.visits() - before, sent)
}

#[test]
fn those_who_have_nothing_to_do_with_a_packet_cost_nothing() {
    let cost_beside = |others: usize| {
        let mut house = House::new(1);
        let ann = publisher(&mut house, "ann");
        viewer(&mut house, "ann");
        for n in 0..others {
            let name = format!("other {n}");
            let other = publisher(&mut house, &name);
            viewer(&mut house, &name);
            film(&mut house, other, 2);
        }
        film(&mut house, ann, 5);
        cost(&mut house, ann)
    };
    let (alone, sent) = cost_beside(0);
    assert_eq!(sent, PACKETS);
    assert!(alone >= PACKETS, "the counter counts: {alone}");
    assert_eq!(cost_beside(5), (alone, sent));
    assert_eq!(cost_beside(20), (alone, sent));
}

#[test]
fn each_more_who_gets_a_packet_costs_as_much_as_the_one_before() {
    let cost_of = |people: usize| {
        let mut house = House::new(2);
        let ann = house.member("r", "ann", people);
        for n in 1..people {
            house.member("r", &format!("member {n}"), people);
        }
        film(&mut house, ann, 5);
        cost(&mut house, ann)
    };
    let [(four, sent_four), (eight, sent_eight), (sixteen, sent_sixteen)] = [4, 8, 16].map(cost_of);
    assert_eq!(
        [sent_four, sent_eight, sent_sixteen],
        [3, 7, 15].map(|viewers| viewers * PACKETS)
    );
    assert_eq!(sixteen - eight, 2 * (eight - four));
}
