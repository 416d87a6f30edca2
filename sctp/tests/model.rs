//! Two associations against a simple model, over bad networks: see [`duel`]. `HYALINE_SEED=7` plays one run and prints what
//! happens; `HYALINE_LONG=1` plays many.

mod duel;

use std::time::{Duration, Instant};

use duel::{Random, Summary, play, play_many};
use sctp::{Association, Config, Init};
use wire::Seed;

fn runs() -> u64 {
    if std::env::var_os("HYALINE_LONG").is_some() {
        100_000
    } else {
        5000
    }
}

fn run(number: u64, is_loud: bool) -> Summary {
    let mut choices = Random::new(number);
    let seeds = if number.is_multiple_of(16) {
        let late = |index| LATE[(index as usize) % LATE.len()];
        [late(number / 16), late(number / 16 + 1)]
    } else {
        [2 * number, 2 * number + 1]
    };
    let seeds = seeds.map(Seed::from_run);
    play(&mut choices, seeds, is_loud)
}

#[test]
fn messages_come_as_they_were_sent() {
    if let Ok(seed) = std::env::var("HYALINE_SEED") {
        let number = seed.parse().expect("a number");
        println!("{:?}", run(number, true));
        return;
    }
    let begin = Instant::now();
    let (mut all, mut slowest) = (Summary::default(), (Duration::ZERO, 0));
    let mut failing = Vec::new();
    for number in 0..runs() {
        let Ok(summary) = std::panic::catch_unwind(|| run(number, false)) else {
            println!("run {number} fails: HYALINE_SEED={number} prints what happens in it");
            failing.push(number);
            if failing.len() == 20 {
                break;
            }
            continue;
        };
        all.messages += summary.messages;
        all.packets += summary.packets;
        all.resets += summary.resets;
        all.given_up += summary.given_up;
        all.retransmissions += summary.retransmissions;
        slowest = slowest.max((summary.settling, number));
        if (number + 1).is_multiple_of(10_000) {
            println!("{} runs in {:?}", number + 1, begin.elapsed());
        }
    }
    assert_eq!(failing, [0; 0]);
    let (settling, number) = slowest;
    println!(
        "{all:?} in {:?}; run {number} took {settling:?} to come to rest",
        begin.elapsed()
    );
    // The runs reach what they are for.
    assert!(all.resets > runs() && all.given_up > runs() && all.retransmissions > runs());
}

/// SSNs have 16 bits.
#[test]
fn sequence_numbers_of_streams_wrap() {
    for number in 0..3 {
        let mut choices = Random::new(number);
        let seeds = [2 * number, 2 * number + 1].map(Seed::from_run);
        let summary = play_many(&mut choices, seeds, 70_000);
        assert!(summary.messages >= 70_000);
    }
}

/// Seeds of associations whose first TSN is among the last ones, so that TSNs wrap soon. Where first TSNs are drawn in another
/// way others are found by trying all in turn, which takes a minute.
const LATE: [u64; 5] = [3_329_163, 17_464_002, 25_086_050, 28_672_291, 36_378_551];

/// So many come before they wrap at most.
const TSNS_LEFT: u32 = 400;

fn first_tsn(run: u64) -> u32 {
    let association = Association::new(&Config::default(), Seed::from_run(run), Instant::now());
    let mut out = [0; 64];
    let len = association.local_init(&mut out).expect("room");
    Init::parse(&out[..len]).expect("an INIT").initial_tsn
}

#[test]
fn the_first_tsns_of_some_runs_are_among_the_last() {
    for run in LATE {
        assert!(first_tsn(run) > u32::MAX - TSNS_LEFT, "{run}: find other seeds");
    }
}
