//! Whole calls in virtual time.

use std::time::Duration;

use peer::testing::Pair;
use peer::{Direction, Event, Kind, State};

const NO_COUNTERS: [(&str, u64); 0] = [];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_clean_call_raises_no_counter() {
    let mut pair = Pair::new(1);
    let mic = pair.client.add(Kind::Audio, Direction::SendOnly);
    let camera = pair.client.add(Kind::Video, Direction::SendOnly);
    pair.client.add(Kind::Audio, Direction::RecvOnly);
    pair.client.add(Kind::Video, Direction::RecvOnly);
    pair.connect();
    assert!(pair.elapsed() < ms(200), "{:?}", pair.elapsed());
    for tick in 0..500 {
        pair.client.send_media(mic, tick * 960, b"opus");
        pair.client.send_media(camera, tick * 1800, b"a picture");
        pair.run(ms(20));
    }
    assert_eq!(pair.sink.rtp.len(), 1000);
    assert_eq!(pair.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
    let names: Vec<_> = pair
        .events
        .iter()
        .map(|event| matches!(event, Event::Failed | Event::Disconnected))
        .collect();
    assert!(!names.contains(&true));
    assert_eq!(pair.peer.state(), State::Connected);
}
