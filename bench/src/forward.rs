//! What it costs a server to forward media: one publisher, fifty subscribers, all in memory.
//!
//! Every server gets the same load from the same clients (our own, with real cryptography): a video of 500 packets a
//! second, transport-wide numbers on the publisher's packets, a sender report a second from the publisher, a receiver
//! report a second from each subscriber, and connectivity checks. The packets are encrypted with AEAD_AES_128_GCM. Time
//! is virtual, so that all timers run as often as they would in a call.
//!
//! Counted is the CPU time of the thread inside the server: from the arrival of a datagram to the last encrypted
//! datagram that follows from it, timers included. It is divided by the number of media packets that left.

mod floor;
mod hyaline;
mod rtc;
mod str0m;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{Certificate, RingCrypto, SrtpProfile, Version};
use peer::testing::Client;
use peer::{Direction, Kind};
use rtp::ntp::NtpTime;
use rtp::rtcp::{ReceiverReport, ReportBlock, SenderInfo, SenderReport};
use rtp::{PayloadType, RtpOut, Ssrc};
use stun::{Builder, Class, Key, Message, Method, Value};

use crate::allocations;
use crate::rounds::{median, thread_time};

const SUBSCRIBERS: usize = 50;
/// What the payload is of a packet that leaves as a datagram of 1200 bytes at most, whatever a server adds to its
/// header.
const PAYLOAD: usize = 1160;
/// Packets of one picture, and the largest batch.
const PICTURE: usize = 8;
/// From one packet to the next, on average.
const SPACING: Duration = Duration::from_millis(2);
/// Half a second of media a round.
const PACKETS_A_ROUND: usize = 256;
const ROUNDS: usize = 41;

/// A server without a network.
trait Server {
    /// Somebody comes in. Returns the answer.
    fn join(&mut self, now: Instant, from: SocketAddr, publishes: bool, offer: &str) -> String;

    /// A datagram arrived.
    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, data: &mut [u8], sent: &mut Sent);

    /// All that arrived together was given: what is to be sent is sent, and what is due is done.
    fn flush(&mut self, now: Instant, sent: &mut Sent);
}

/// What left a server.
#[derive(Default)]
struct Sent {
    media: u64,
    /// Whether media and reports are kept too, and not only what keeps connections up.
    keep_all: bool,
    kept: Vec<(SocketAddr, Vec<u8>)>,
}

impl Sent {
    /// Where a socket would be.
    #[inline]
    fn datagram(&mut self, to: SocketAddr, data: &[u8]) {
        let media = matches!(data, [128..=191, second, ..] if !(192..=223).contains(second));
        self.media += u64::from(media);
        if self.keep_all || matches!(data.first(), Some(0..=63)) {
            self.kept.push((to, data.to_vec()));
        }
    }
}

/// What one round cost.
#[derive(Clone, Copy)]
struct Cost {
    /// Nanoseconds per forwarded packet.
    time: f64,
    /// Allocations per forwarded packet.
    allocations: f64,
}

/// Something that forwards.
trait Contestant {
    fn round(&mut self) -> Cost;
}

/// Counts what is spent between `enter` and `leave`.
#[derive(Default)]
struct Meter {
    time: Duration,
    allocations: u64,
    entered: (Duration, u64),
}

impl Meter {
    fn enter(&mut self) {
        self.entered = (thread_time(), allocations::so_far());
    }

    fn leave(&mut self) {
        let (time, allocations) = self.entered;
        self.allocations += allocations::so_far() - allocations;
        self.time += thread_time() - time;
    }

    fn cost(&self, packets: u64) -> Cost {
        Cost {
            time: self.time.as_nanos() as f64 / packets as f64,
            allocations: self.allocations as f64 / packets as f64,
        }
    }
}

pub(crate) fn run() {
    println!(
        "Server CPU per forwarded packet: 1 publisher, {SUBSCRIBERS} subscribers, {PAYLOAD} bytes of payload, AEAD_AES_128_GCM\n"
    );
    for batch in [1, PICTURE] {
        let str0m = |drain, nackable| House::new(str0m::Server::new(drain, nackable), batch);
        let rtc = |all_interceptors| House::new(rtc::Server::new(all_interceptors), batch);
        let mut contestants: Vec<(&str, Box<dyn Contestant>)> = vec![
            ("floor: copy and seal, ring", Box::new(floor::Ring::new(batch))),
            ("the same with aws-lc-rs", Box::new(floor::AwsLc::new(batch))),
            ("hyaline", Box::new(House::new(hyaline::Server::new(), batch))),
            ("str0m 0.25", Box::new(str0m(str0m::Drain::Batch, true))),
            (
                "str0m 0.25, no retransmission",
                Box::new(str0m(str0m::Drain::Batch, false)),
            ),
        ];
        if batch > 1 {
            let by_the_book = str0m(str0m::Drain::Write, true);
            contestants.push(("str0m 0.25, drained after each write", Box::new(by_the_book)));
        }
        contestants.push(("rtc 0.21", Box::new(rtc(true))));
        contestants.push(("rtc 0.21, no retransmission", Box::new(rtc(false))));
        compare(batch, &mut contestants);
    }
}

fn compare(batch: usize, contestants: &mut [(&str, Box<dyn Contestant>)]) {
    let mut costs = vec![Vec::with_capacity(ROUNDS); contestants.len()];
    for round in 0..ROUNDS + 2 {
        for ((_, contestant), costs) in contestants.iter_mut().zip(&mut costs) {
            let cost = contestant.round();
            // The first rounds warm up caches and branch predictors.
            if round >= 2 {
                costs.push(cost);
            }
        }
    }
    println!(
        "{:40} {:>8} {:>10} {:>12}",
        format!("batches of {batch}"),
        "ns",
        "of floor",
        "allocations"
    );
    for ((name, _), own) in contestants.iter().zip(&costs) {
        let time = median(own.iter().map(|cost| cost.time).collect());
        let ratio = median(
            own.iter()
                .zip(&costs[0])
                .map(|(own, floor)| own.time / floor.time)
                .collect(),
        );
        let allocations = median(own.iter().map(|cost| cost.allocations).collect());
        println!("{name:40} {time:8.0} {ratio:10.2} {allocations:12.2}");
    }
    println!();
}

/// A server, and its clients.
struct House<S> {
    server: S,
    /// The first one publishes.
    clients: Vec<Client>,
    now: Instant,
    /// Batches sent.
    steps: usize,
    /// Packets in a batch.
    batch: usize,
    /// The SSRC under which each subscriber receives.
    ssrcs: Vec<Ssrc>,
    sent: Sent,
}

impl<S: Server> House<S> {
    fn new(server: S, batch: usize) -> Self {
        let mut house = Self {
            server,
            clients: Vec::new(),
            now: Instant::now() + Duration::from_secs(3600),
            steps: 0,
            batch,
            ssrcs: Vec::new(),
            sent: Sent {
                keep_all: true,
                ..Sent::default()
            },
        };
        for number in 0..=SUBSCRIBERS as u16 {
            house.enter(number);
        }
        house.check();
        house.sent.keep_all = false;
        house
    }

    /// A client comes in and connects.
    fn enter(&mut self, number: u16) {
        let certificate = Certificate::generate().expect("a certificate");
        let mut config = dtls_srtp::Config::new(Arc::new(RingCrypto::new()), certificate);
        config.srtp_profiles = vec![SrtpProfile::AeadAes128Gcm];
        // What all of the servers have. How the keys came about makes no difference to what media costs.
        config.versions = vec![Version::DTLS_1_2];
        let address = SocketAddr::from(([198, 51, 100, 7], 5000 + number));
        let mut client = Client::with_dtls(u64::from(number) + 1, address, config);
        let publishes = number == 0;
        let direction = if publishes {
            Direction::SendOnly
        } else {
            Direction::RecvOnly
        };
        client.add(Kind::Video, direction);
        let mut offer = client.offer();
        if !publishes {
            // No server estimates the bandwidth here, so nobody has to number what it sends.
            let of_transport = ["transport-wide-cc", "abs-send-time", "transport-cc"];
            let lines = offer
                .lines()
                .filter(|line| !of_transport.iter().any(|what| line.contains(what)));
            offer = lines.map(|line| format!("{line}\r\n")).collect();
        }
        let answer = self.server.join(self.now, address, publishes, &offer);
        client.accept(self.now, &answer);
        self.clients.push(client);
        for _ in 0..200 {
            self.advance(Duration::from_millis(5));
            if self.clients[usize::from(number)].is_secured() {
                // Its last flight has arrived by now.
                self.advance(Duration::from_millis(5));
                return;
            }
        }
        let client = &self.clients[usize::from(number)];
        panic!(
            "client {number} is not connected after a second; {} of its checks were answered; {:?}\n{answer}",
            client.answered_checks(),
            client.dtls_events
        );
    }

    /// Lets time pass without media.
    fn advance(&mut self, time: Duration) {
        self.now += time;
        for client in &mut self.clients {
            client.handle_timeout(self.now);
            while let Some(mut datagram) = client.poll_transmit(self.now) {
                let from = client.address;
                self.server
                    .handle_datagram(self.now, from, &mut datagram, &mut self.sent);
            }
        }
        self.server.flush(self.now, &mut self.sent);
        self.deliver();
    }

    /// What the server sent arrives.
    fn deliver(&mut self) {
        for (to, mut datagram) in std::mem::take(&mut self.sent.kept) {
            let client = &mut self.clients[usize::from(to.port() - 5000)];
            if datagram.first_chunk() == Some(&[0, 1]) {
                // rtc checks the path from its side too, even as a lite agent.
                let answer = answer(client, &datagram);
                client.send(answer);
            } else {
                client.handle_datagram(self.now, &mut datagram);
            }
        }
    }

    /// Sends two pictures and holds the server to it: everybody gets everything, decrypts it, and finds the same
    /// payload.
    fn check(&mut self) {
        let mut payloads = Vec::new();
        for _ in 0..2 * PICTURE / self.batch {
            let batch = self.media();
            let first = payloads.len();
            payloads.extend((first..first + self.batch).map(payload));
            let mut meter = Meter::default();
            self.step(batch, &mut meter);
            self.deliver();
        }
        for (number, client) in self.clients.iter().enumerate().skip(1) {
            let received = &client.rtp;
            assert_eq!(received.len(), payloads.len(), "packets that subscriber {number} got");
            for (received, sent) in received.iter().zip(&payloads) {
                let packet = received.packet();
                assert_eq!(packet.payload()[6..], sent[6..], "the payload behind the descriptor");
                assert!(received.bytes.len() + 16 <= 1200, "{} bytes", received.bytes.len());
            }
            self.ssrcs.push(received[0].ssrc);
        }
    }

    /// The next batch of the publisher's packets, sealed.
    fn media(&mut self) -> Vec<Vec<u8>> {
        let publisher = &mut self.clients[0];
        let first = self.steps * self.batch;
        let packet = |number: usize| {
            let media = &mut publisher.media[0];
            let sequence = media.sequence[0].0;
            media.sequence[0].0 += 1;
            let (mid, ssrc) = (media.mid.clone(), media.ssrcs[0].0);
            let header = RtpOut {
                payload_type: PayloadType(96),
                marker: number % PICTURE == PICTURE - 1,
                sequence_number: sequence,
                timestamp: (number / PICTURE * PICTURE) as u32 * 180,
                ssrc,
                extensions: &[(4, mid.as_bytes()), (3, &(number as u16).to_be_bytes())],
                ..RtpOut::default()
            };
            publisher.seal_rtp(&header, &payload(number))
        };
        (first..first + self.batch).map(packet).collect()
    }

    /// One batch arrives, and whatever else the clients have to say by now.
    fn step(&mut self, batch: Vec<Vec<u8>>, meter: &mut Meter) {
        self.now += SPACING * self.batch as u32;
        self.report();
        let mut others = Vec::new();
        for client in &mut self.clients {
            while let Some(datagram) = client.poll_transmit(self.now) {
                others.push((client.address, datagram));
            }
        }
        let publisher = self.clients[0].address;
        let mut batch = batch;
        meter.enter();
        for (from, datagram) in &mut others {
            self.server.handle_datagram(self.now, *from, datagram, &mut self.sent);
        }
        for datagram in &mut batch {
            self.server
                .handle_datagram(self.now, publisher, datagram, &mut self.sent);
        }
        self.server.flush(self.now, &mut self.sent);
        meter.leave();
        self.steps += 1;
    }

    /// Each client's report once a second, one after the other.
    fn report(&mut self) {
        let (from, to) = (self.steps * self.batch, (self.steps + 1) * self.batch);
        for packets in from..to {
            let place = packets % 500;
            if !place.is_multiple_of(9) || place / 9 > SUBSCRIBERS {
                continue;
            }
            let client = &mut self.clients[place / 9];
            if place == 0 {
                let info = SenderInfo {
                    ssrc: client.media[0].ssrcs[0].0,
                    ntp: NtpTime::from_unix(SPACING * packets as u32),
                    rtp_timestamp: packets as u32 * 180,
                    packet_count: packets as u32,
                    octet_count: (packets * PAYLOAD) as u32,
                };
                client.send_rtcp(|w| SenderReport::write(w, &info, [], &[]));
            } else if let Some(&ssrc) = self.ssrcs.get(place / 9 - 1) {
                let block = ReportBlock {
                    ssrc,
                    highest_sequence: packets as u32,
                    ..ReportBlock::default()
                };
                client.send_rtcp(|w| ReceiverReport::write(w, Ssrc(1), [block], &[]));
            }
        }
    }
}

impl<S: Server> Contestant for House<S> {
    fn round(&mut self) -> Cost {
        let mut meter = Meter::default();
        let before = self.sent.media;
        for _ in 0..PACKETS_A_ROUND / self.batch {
            let batch = self.media();
            self.step(batch, &mut meter);
            self.deliver();
        }
        let forwarded = self.sent.media - before;
        assert_eq!(forwarded, (PACKETS_A_ROUND * SUBSCRIBERS) as u64, "nothing is lost");
        meter.cost(forwarded)
    }
}

/// The answer to a connectivity check of the server's.
fn answer(client: &Client, check: &[u8]) -> Vec<u8> {
    let check = Message::parse(check).expect("a STUN message");
    let mut out = [0; 128];
    let id = check.transaction_id();
    let server = client.server().expect("it has answered");
    let written = Builder::new(&mut out, Class::SuccessResponse, Method::BINDING, id).and_then(|mut builder| {
        builder.push(&Value::XorMappedAddress(server))?;
        builder.integrity(&Key::short_term(&client.credentials().1))?;
        builder.fingerprint()?;
        Ok(builder.finish().to_vec())
    });
    written.expect("room")
}

/// The payload of the packet with this number: VP8, a key frame first.
fn payload(number: usize) -> Vec<u8> {
    let mut payload = vec![number as u8; PAYLOAD];
    let picture = number / PICTURE;
    let [.., high, low] = picture.to_be_bytes();
    let start = if number.is_multiple_of(PICTURE) { 0x10 } else { 0 };
    payload[..5].copy_from_slice(&[0x80 | start, 0xc0, 0x80 | high, low, picture as u8]);
    payload[5] = u8::from(picture != 0);
    payload
}
