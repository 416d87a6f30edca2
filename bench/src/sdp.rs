//! Session descriptions: ours, which checks every line by its type, beside `rtc-sdp`, which keeps attributes as strings
//! and types none, and `webrtc-sdp`, which types most. The floor is ours: a peer's figure is how many times ours it
//! takes.

use std::hint::black_box;
use std::io::Cursor;

use crate::allocations;
use crate::rounds::{Case, compare, thread_time};

const TEXTS: [(&str, &str); 3] = [
    (
        "Chromium's offer",
        include_str!("../../fixtures/sdp/chromium156-av-dc-offer.sdp"),
    ),
    (
        "Firefox's offer",
        include_str!("../../fixtures/sdp/firefox153-av-dc-offer.sdp"),
    ),
    (
        "Chromium's offer of 8 slots",
        include_str!("../../fixtures/sdp/chromium156-slots4x4-offer.sdp"),
    ),
];

const ROUNDS: usize = 101;
const BATCH: u32 = 16;

/// Name and parser, which tells whether it parsed.
type Parser = (&'static str, fn(&str) -> bool);

const PARSERS: [Parser; 4] = [
    ("ours, every line checked", |text| {
        black_box(sdp::Session::parse(text)).is_ok()
    }),
    ("ours, and every line read as its type", |text| {
        sdp::Session::parse(text).is_ok_and(|session| session.lines().map(black_box).count() > 0)
    }),
    ("rtc-sdp 0.21.1", |text| {
        black_box(rtc_sdp::SessionDescription::unmarshal(&mut Cursor::new(
            text.as_bytes(),
        )))
        .is_ok()
    }),
    ("webrtc-sdp 0.3", |text| {
        black_box(webrtc_sdp::parse_sdp(text, false)).is_ok()
    }),
];

pub(crate) fn run() {
    for (what, text) in TEXTS {
        println!(
            "{what}, {} bytes, {} lines; ns for each parse, beside ours",
            text.len(),
            text.lines().count()
        );
        let mut cases = PARSERS.map(|(name, parse)| {
            assert!(parse(text), "{name} refuses {what}");
            let (count, bytes) = allocations::count(|| parse(text));
            Case {
                name: format!("  {name}; {count} allocations, {bytes} bytes"),
                floor: Some(0),
                run: Box::new(move || batch(text, parse)),
            }
        });
        compare(ROUNDS, &mut cases);
    }
}

fn batch(text: &str, parse: fn(&str) -> bool) -> f64 {
    let start = thread_time();
    for _ in 0..BATCH {
        black_box(parse(black_box(text)));
    }
    (thread_time() - start).as_secs_f64() * 1e9 / f64::from(BATCH)
}
