//! What data channels cost, both ends together, beside the floor (see `data/floor.rs`) and beside other stacks: one sends
//! messages as fast as the other takes them, over DTLS with AES-128-GCM, with checksums, in datagrams of 1200 bytes at most.
//! First in memory, datagrams going over in batches; then with much on its way in virtual time; then over UDP sockets of the
//! loopback interface.

mod end;
mod floor;
mod hyaline;
mod line;
mod memory;
mod rtc;
mod str0m;
#[cfg(target_os = "linux")]
mod udp;

use dtls_srtp::Version;

use crate::rounds::{interleave, median};
use end::End;
use floor::Floor;
use hyaline::Hyaline;
use line::Line;
use memory::{MAX_BATCH, Pair};
use rtc::Rtc;
use str0m::Str0m;

const ROUNDS: usize = 31;
/// Bytes that are sent at a time, and how often in a round. They are written before, so that they lie in the cache: what
/// the memory costs is not in question.
const SECTION: usize = 256 << 10;
const SECTIONS: usize = 16;
/// What a sender holds at most, but for str0m, which takes 128 KiB by default, and more only at a price that grows with it.
const ROOM: usize = 1 << 20;
const STR0M_ROOM: usize = 128 << 10;
/// Bytes on their way, in messages of so many.
const FLIGHTS: [usize; 4] = [64 << 10, 1 << 20, 8 << 20, 64 << 20];
const IN_FLIGHT_LEN: usize = 16 << 10;
/// The floor's share of the time over sockets, at least.
#[cfg(target_os = "linux")]
const UDP_GOAL: f64 = 1.0 / 1.6;

pub(crate) fn run() {
    for (len, goal) in [(64 << 10, 0.6), (1 << 10, 0.4)] {
        for batch in [MAX_BATCH, 1] {
            println!("messages of {} KiB, in memory, batches of {batch} at most", len >> 10);
            in_memory(len, batch, (batch > 1).then_some(goal));
        }
    }
    println!(
        "messages of {} KiB, in memory, with so much on its way",
        IN_FLIGHT_LEN >> 10
    );
    in_flight();
    #[cfg(target_os = "linux")]
    for len in [64 << 10, 1 << 10] {
        println!("messages of {} KiB, over UDP sockets", len >> 10);
        if let Err(problem) = over_udp(len) {
            println!("{problem}\n");
        }
    }
}

/// Something that carries so many bytes; CPU time in ns and allocations, per megabyte.
type Transfer = Box<dyn FnMut(usize) -> (f64, f64)>;

struct Contender {
    name: String,
    transfer: Transfer,
    /// The contender that it is compared with, by its place.
    floor: usize,
    /// Its share of that one's speed at least.
    goal: Option<f64>,
}

impl Contender {
    fn new(name: &str, transfer: Transfer) -> Self {
        Self {
            name: name.to_owned(),
            transfer,
            floor: 0,
            goal: None,
        }
    }
}

fn in_memory(len: usize, batch: usize, goal: Option<f64>) {
    fn pair<E: End + 'static>(mut pair: Pair<E>) -> Transfer {
        Box::new(move |bytes| pair.transfer(bytes))
    }
    let ours = |name: &str, version, zero_checksum, goal| {
        let config = sctp::Config {
            zero_checksum,
            ..Hyaline::config()
        };
        let transfer = pair(Pair::connect(
            |now| Hyaline::pair(version, &config, now),
            len,
            batch,
            ROOM,
        ));
        Contender {
            goal,
            ..Contender::new(name, transfer)
        }
    };
    let rtc = Pair::connect(|now| Rtc::pair(None, now), len, batch, ROOM);
    let str0m = Pair::connect(|now| Str0m::pair(None, now), len, batch, STR0M_ROOM);
    compare([
        Contender::new("floor", pair(Pair::connect(|_| Floor::pair(len), len, batch, ROOM))),
        ours("hyaline, DTLS 1.2", Version::DTLS_1_2, false, goal),
        ours("hyaline, DTLS 1.3", Version::DTLS_1_3, false, goal),
        ours("hyaline, DTLS 1.2, no checksums", Version::DTLS_1_2, true, None),
        Contender::new("rtc 0.21", pair(rtc)),
        Contender::new("str0m 0.25", pair(str0m)),
    ]);
}

fn in_flight() {
    fn line<E: End + 'static>(mut line: Line<E>) -> Transfer {
        Box::new(move |bytes| line.transfer(bytes))
    }
    let mut contenders = Vec::new();
    for flight in FLIGHTS {
        let size = format!("{} KiB", flight >> 10);
        let floor = contenders.len();
        let mut add = |name: &str, transfer| {
            contenders.push(Contender {
                floor,
                ..Contender::new(&format!("{name}, {size}"), transfer)
            });
        };
        add(
            "floor",
            line(Line::connect(|_| Floor::pair(IN_FLIGHT_LEN), IN_FLIGHT_LEN, flight)),
        );
        let config = Hyaline::for_flight(flight);
        let ours = |now| Hyaline::pair(Version::DTLS_1_2, &config, now);
        add("hyaline", line(Line::connect(ours, IN_FLIGHT_LEN, flight)));
    }
    compare(contenders);
}

#[cfg(target_os = "linux")]
fn over_udp(len: usize) -> Result<(), String> {
    use udp::Udp;

    fn udp<E: End + 'static>(udp: Result<Udp<E>, String>) -> Result<Transfer, String> {
        let mut udp = udp?;
        Ok(Box::new(move |bytes| udp.transfer(bytes)))
    }
    let config = Hyaline::config();
    let ours = Udp::connect(|now| Hyaline::pair(Version::DTLS_1_2, &config, now), len, ROOM);
    compare([
        Contender::new("floor", udp(Udp::connect(|_| Floor::pair(len), len, ROOM))?),
        Contender {
            goal: Some(UDP_GOAL),
            ..Contender::new("hyaline, DTLS 1.2", udp(ours)?)
        },
        Contender::new("rtc 0.21", udp(Udp::connect(|now| Rtc::pair(None, now), len, ROOM))?),
        Contender::new(
            "str0m 0.25",
            udp(Udp::connect(|now| Str0m::pair(None, now), len, STR0M_ROOM))?,
        ),
    ]);
    Ok(())
}

/// Measures all in turns.
fn compare(contenders: impl IntoIterator<Item = Contender>) {
    let mut contenders: Vec<_> = contenders.into_iter().collect();
    let mut allocations = vec![0.0; contenders.len()];
    let mut cases: Vec<_> = contenders
        .iter_mut()
        .zip(&mut allocations)
        .map(|(contender, allocations)| {
            move || {
                let mut sum = (0.0, 0.0);
                for _ in 0..SECTIONS {
                    let (time, allocated) = (contender.transfer)(SECTION);
                    sum = (sum.0 + time, sum.1 + allocated);
                }
                *allocations = sum.1 / SECTIONS as f64;
                sum.0 / SECTIONS as f64
            }
        })
        .collect();
    let times = interleave(ROUNDS, &mut cases);
    drop(cases);
    println!(
        "{:36} {:>8} {:>8} {:>9} {:>14}",
        "", "MB/CPU s", "ms/MB", "of floor", "allocations/MB"
    );
    for ((contender, own), allocations) in contenders.iter().zip(&times).zip(allocations) {
        let floor = &times[contender.floor];
        let share = median(floor.iter().zip(own).map(|(floor, own)| floor / own).collect());
        let verdict = contender.goal.map_or(String::new(), |goal| {
            let verdict = if share >= goal { "met" } else { "missed" };
            format!("   goal {goal:.3}: {verdict}")
        });
        let time = median(own.clone());
        println!(
            "{:36} {:>8.0} {:>8.2} {share:>9.3} {allocations:>14.1}{verdict}",
            contender.name,
            1e9 / time,
            time / 1e6,
        );
    }
    println!();
}
