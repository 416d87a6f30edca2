//! Data channels over associations, end to end.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::{
    Channel, ChannelEvent, ChannelId, ChannelInit, ChannelLimits, ChannelSink, CloseReason, Config, Kind, OpenError,
    Role, Transport, TransportEvent,
};
use wire::Seed;

/// What came, by label.
#[derive(Default)]
struct Heard(Vec<String>);

impl ChannelSink for Heard {
    fn opened(&mut self, channel: &Channel) {
        self.0.push(format!("{} opened", channel.init().label));
    }

    fn message(&mut self, channel: &Channel, _: Kind, payload: &[u8]) {
        self.0
            .push(format!("{}: {}", channel.init().label, payload.escape_ascii()));
    }
}

fn end(run: u64, role: Role, now: Instant) -> Transport {
    let mut end = Transport::new(&Config::default(), ChannelLimits::default(), Seed::from_run(run), now);
    end.set_role(now, role);
    end
}

/// Everything goes over at once.
fn settle(now: Instant, ends: [&mut Transport; 2]) -> [Vec<String>; 2] {
    let mut heard = [Heard::default(), Heard::default()];
    let mut out = [0; 1200];
    let mut later = now;
    for _ in 0..20 {
        for from in 0..2 {
            while let Some(len) = ends[from].poll_transmit(later, &mut out) {
                ends[1 - from].handle_packet(later, &out[..len], &mut heard[1 - from]);
            }
        }
        // A SACK may wait.
        later += Duration::from_millis(10);
    }
    heard.map(|heard| heard.0)
}

fn events(end: &mut Transport) -> Vec<TransportEvent> {
    std::iter::from_fn(|| end.poll_event()).collect()
}

fn open(end: &mut Transport, now: Instant, label: &str, text: &'static str) -> ChannelId {
    let id = end.open(now, ChannelInit::new(label)).unwrap();
    end.send(now, id, Kind::Text, Bytes::from_static(text.as_bytes()))
        .unwrap();
    id
}

#[test]
fn channels_that_come_with_a_restart_are_not_those_that_end_with_it() {
    let now = Instant::now();
    let (mut a, mut b) = (end(1, Role::Client, now), end(2, Role::Server, now));
    a.connect(now);
    open(&mut a, now, "old", "x");
    assert_eq!(settle(now, [&mut a, &mut b])[1], ["old opened", "old: x"]);
    events(&mut b);
    // The other end has lost its memory. What it opens goes with its COOKIE ECHO.
    let now = now + Duration::from_secs(1);
    let mut a = end(3, Role::Client, now);
    a.connect(now);
    let ours = open(&mut a, now, "new", "y");
    assert_eq!(settle(now, [&mut a, &mut b])[1], ["new opened", "new: y"]);
    assert!(events(&mut a).contains(&TransportEvent::Channel(ChannelEvent::Open(ours))));
    let told = events(&mut b);
    assert!(
        matches!(
            told[..],
            [
                TransportEvent::Established,
                TransportEvent::Channel(ChannelEvent::Closed(_))
            ]
        ),
        "{told:?}"
    );
}

#[test]
fn nothing_is_opened_on_what_has_ended() {
    let now = Instant::now();
    let mut a = end(1, Role::Client, now);
    a.abort(now);
    assert_eq!(events(&mut a), [TransportEvent::Closed(CloseReason::Aborted)]);
    assert_eq!(a.open(now, ChannelInit::new("x")), Err(OpenError::NoTransport));
    assert_eq!(events(&mut a), []);
}
