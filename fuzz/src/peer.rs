use std::time::{Duration, Instant};

use peer::testing::{Pair, check_answer};
use peer::{Direction, Kind, Peer, SenderId, State, StreamId};
use rtp::{PayloadType, RtpOut, Ssrc};
use wire::{Reader, Seed};

/// Offers, one after the other in one session, with a NUL between them: each is refused with a sentence, or gets an
/// answer that a strict offerer takes.
pub fn peer_offer(data: &[u8]) {
    let mut peer = Peer::new(Pair::config().into(), Seed::from_run(1), Instant::now());
    let mut before: Option<String> = None;
    for offer in data.split(|byte| *byte == 0) {
        let Ok(offer) = std::str::from_utf8(offer) else {
            continue;
        };
        match peer.accept_offer(Instant::now(), offer) {
            Ok(answer) => {
                if let Err(rule) = check_answer(offer, &answer, before.as_deref()) {
                    panic!("{rule}\n{offer}\n{answer}");
                }
                before = Some(answer);
            }
            Err(error) => assert!(error.to_string().len() > 40, "a sentence: {error}"),
        }
    }
}

/// A connected peer under everything that may happen to it: noise, authentic packets of any content, feedback, offers
/// of any shape, restarts, the passing of time, and all commands. It never waits for a time that has passed, and what
/// it sends is always authentic and well-formed (the client insists on that).
///
/// The input is any number of steps: operation, argument, length, that many bytes.
pub fn peer_session(data: &[u8]) {
    let mut r = Reader::new(data);
    let mut session = Session::new();
    while let Ok(operation) = r.u8() {
        let (Ok(argument), Ok(len)) = (r.u8(), r.u8()) else {
            break;
        };
        let Ok(bytes) = r.take(usize::from(len).min(r.remaining())) else {
            break;
        };
        session.step(operation, argument, bytes);
        if session.pair.peer.state() == State::Closed {
            break;
        }
    }
    session.pair.run(Duration::from_millis(200));
    session.pair.peer.close(session.pair.now);
    session.pair.run(Duration::from_millis(50));
    assert_eq!(session.pair.peer.poll_timeout(), None);
}

struct Session {
    pair: Pair,
    /// The next sequence number of everything that is sent: no index is used twice.
    sequence: u64,
}

impl Session {
    fn new() -> Self {
        let mut pair = Pair::new(1);
        pair.client.add(Kind::Audio, Direction::SendOnly);
        pair.client.add_simulcast(&["q", "h"]);
        pair.client.add(Kind::Audio, Direction::RecvOnly);
        pair.client.add(Kind::Video, Direction::RecvOnly);
        pair.connect();
        Self { pair, sequence: 5000 }
    }

    fn step(&mut self, operation: u8, argument: u8, bytes: &[u8]) {
        let pair = &mut self.pair;
        self.sequence += 1;
        match operation % 12 {
            0 => pair.inject(bytes),
            1 => self.rtp(argument, bytes),
            2 => self.rtcp(argument, bytes),
            3 => pair.run(Duration::from_millis(u64::from(argument) * 20)),
            4 => self.renegotiate(argument, bytes),
            5 => self.write(argument, bytes),
            6 => {
                pair.peer.request_key_frame(pair.now, StreamId(u32::from(argument)));
                pair.peer.send_report_now(pair.now, SenderId(u32::from(argument) % 4));
                pair.peer
                    .set_sender_clock(SenderId(u32::from(argument) % 4), pair.now, 7);
            }
            7 => {
                let datagram = pair.client.seal_application(bytes);
                pair.inject(&datagram);
            }
            8 => {
                if let Ok(text) = std::str::from_utf8(bytes) {
                    let _ = pair.peer.handle_fragment(pair.now, text);
                }
            }
            9 => {
                if let Ok(text) = std::str::from_utf8(bytes) {
                    let _ = pair.peer.add_remote_candidate(pair.now, None, text);
                }
            }
            10 => pair.client.silent = argument & 1 == 1,
            _ => pair.peer.handle_timeout(pair.now),
        }
        self.pair.exchange();
        let late = self.pair.peer.next_timer().filter(|(_, at)| *at < self.pair.now);
        if let Some((timer, _)) = late {
            // One call does what is due; it is not waited for again.
            self.pair.peer.handle_timeout(self.pair.now);
            self.pair.exchange();
            let still = self.pair.peer.next_timer().filter(|(_, at)| *at <= self.pair.now);
            assert_eq!(still, None, "{timer:?} stays in the past");
        }
    }

    /// An authentic packet: SSRC, payload type and extensions as the input has them.
    fn rtp(&mut self, argument: u8, bytes: &[u8]) {
        let (extension, payload) = bytes.split_at(bytes.len().min(usize::from(argument >> 4)));
        let ids = [3, 4, 10, 11];
        let extensions = [(ids[usize::from(argument & 3)], extension), (4, &b"1"[..])];
        let count = usize::from(!extension.is_empty()) + usize::from(argument & 8 != 0);
        let header = RtpOut {
            payload_type: PayloadType(bytes.first().copied().unwrap_or(96) & 0x7f),
            sequence_number: self.sequence,
            timestamp: u32::from(argument),
            ssrc: Ssrc(u32::from(argument & 7) + 1),
            extensions: &extensions[..count],
            padding: argument & 4,
            ..RtpOut::default()
        };
        let datagram = self.pair.client.seal_rtp(&header, payload);
        self.pair.inject(&datagram);
    }

    /// An authentic compound packet of any content behind its first header.
    fn rtcp(&mut self, argument: u8, bytes: &[u8]) {
        let words = bytes.len() / 4;
        let body = &bytes[..words * 4];
        let ours: Vec<Ssrc> = (0..4)
            .filter_map(|id| self.pair.peer.sender(SenderId(id)))
            .map(peer::Sender::ssrc)
            .collect();
        let about = ours.get(usize::from(argument & 3)).copied().unwrap_or(Ssrc(9));
        let types = [200, 201, 202, 203, 204, 205, 206, 207];
        let datagram = self.pair.client.seal_rtcp(|w| {
            w.u8(0x80 | argument >> 3)?;
            w.u8(types[usize::from(argument & 7)])?;
            w.u16(2 + words as u16)?;
            w.u32(7)?;
            w.u32(about.0)?;
            w.put(body)
        });
        self.pair.inject(&datagram);
    }

    fn renegotiate(&mut self, argument: u8, bytes: &[u8]) {
        let directions = [
            Direction::SendRecv,
            Direction::SendOnly,
            Direction::RecvOnly,
            Direction::Inactive,
        ];
        let client = &mut self.pair.client;
        for byte in bytes.iter().take(4) {
            let index = usize::from(byte >> 4) % client.media.len();
            let kind = if byte & 4 == 0 { Kind::Audio } else { Kind::Video };
            let direction = directions[usize::from(byte & 3)];
            match (byte & 8 != 0, client.media[index].stopped) {
                (true, false) => client.media[index].stopped = true,
                (true, true) => client.recycle(index, kind, direction),
                (false, false) => client.media[index].direction = direction,
                (false, true) if client.media.len() < 12 => drop(client.add(kind, direction)),
                (false, true) => {}
            }
        }
        if argument & 1 == 1 {
            client.restart_ice();
        }
        self.pair.negotiate();
    }

    /// A packet of ours reaches the client when it is not blocked.
    fn write(&mut self, argument: u8, bytes: &[u8]) {
        let sender = SenderId(u32::from(argument & 3));
        let now = self.pair.now;
        let mut out = [0; Peer::MIN_OUT];
        let header = RtpOut {
            payload_type: PayloadType(if argument & 4 == 0 { 96 } else { 111 }),
            sequence_number: self.sequence,
            extensions: &[(4, b"3")],
            padding: argument >> 4,
            ..RtpOut::default()
        };
        let peer = &mut self.pair.peer;
        let written = if argument & 8 == 0 {
            peer.write_rtp(now, sender, &header, &[bytes, b"tail"], &mut out)
        } else {
            peer.write_rtx(now, sender, &header, &[bytes], &mut out)
        };
        if let Ok(len) = written {
            let before = self.pair.client.rtp.len();
            self.pair.client.handle_datagram(now, &mut out[..len]);
            assert_eq!(self.pair.client.rtp.len(), before + 1);
        }
    }
}
