//! Two ends of an SCTP association and a data channel between them, in virtual time: `sctp_pair`. Prints each packet,
//! chunk by chunk, and what comes of it. One of the packets is lost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::{
    Channel, ChannelEvent, ChannelInit, ChannelLimits, ChannelSink, Config, Kind, Packet, Role, Transport,
    TransportEvent,
};
use wire::Seed;

/// How long a packet is under way.
const DELAY: Duration = Duration::from_millis(20);
/// This packet is lost, counted from the first.
const LOST: usize = 9;

/// Says what arrives on channels.
struct Told<'a>(&'a str);

impl ChannelSink for Told<'_> {
    fn opened(&mut self, channel: &Channel) {
        println!(
            "{:14}the channel {:?} is opened to {}",
            "",
            channel.init().label,
            self.0
        );
    }

    fn message(&mut self, channel: &Channel, kind: Kind, payload: &[u8]) {
        let label = &channel.init().label;
        match (kind, std::str::from_utf8(payload)) {
            (Kind::Text, Ok(text)) => println!("{:14}{} hears on {label:?}: {text:?}", "", self.0),
            _ => println!("{:14}{} hears on {label:?}: {} bytes", "", self.0, payload.len()),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let mut now = start;
    // Checksums are left to DTLS, where there is DTLS.
    let config = Config {
        zero_checksum: false,
        ..Config::default()
    };
    // A program takes its seeds from the system.
    let end = |run| Transport::new(&config, ChannelLimits::default(), Seed::from_run(run), start);
    let names = ["left", "right"];
    let mut ends = [end(1), end(2)];
    ends[0].set_role(now, Role::Client);
    ends[1].set_role(now, Role::Server);
    ends[0].connect(now);
    let chat = ends[0].open(now, ChannelInit::new("chat"))?;
    // It waits for the association, and goes with the COOKIE ECHO.
    ends[0].send(now, chat, Kind::Text, Bytes::from_static(b"hello"))?;

    let mut under_way: VecDeque<(Instant, usize, Vec<u8>)> = VecDeque::new();
    let (mut sent, mut is_closing) = (0, false);
    loop {
        for (from, end) in ends.iter_mut().enumerate() {
            let mut out = [0; 1200];
            while let Some(len) = end.poll_transmit(now, &mut out) {
                sent += 1;
                let is_lost = sent == LOST;
                println!(
                    "{:8.1} ms  {:5} sends{} {}",
                    (now - start).as_secs_f64() * 1000.0,
                    names[from],
                    if is_lost { ", and it is lost," } else { "" },
                    Packet::parse(&out[..len])?
                );
                if !is_lost {
                    under_way.push_back((now + DELAY, 1 - from, out[..len].to_vec()));
                }
            }
            while let Some(event) = end.poll_event() {
                println!("{:14}{}: {event:?}", "", names[from]);
                match event {
                    TransportEvent::Channel(ChannelEvent::Open(_)) => {
                        end.send(now, chat, Kind::Binary, vec![7; 5000].into())?;
                    }
                    TransportEvent::Closed(_) => return Ok(()),
                    _ => {}
                }
            }
        }
        let timers = ends.iter().filter_map(Transport::poll_timeout);
        let arrival = under_way.front().map(|(at, ..)| *at);
        let Some(next) = timers.chain(arrival).min() else {
            return Ok(());
        };
        now = now.max(next);
        if under_way.is_empty() && !is_closing && now > start + Duration::from_millis(300) {
            is_closing = true;
            ends[0].shutdown(now);
        }
        while under_way.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, to, packet)) = under_way.pop_front() else {
                break;
            };
            ends[to].handle_packet(now, &packet, &mut Told(names[to]));
        }
        for end in &mut ends {
            end.handle_timeout(now);
        }
    }
}
