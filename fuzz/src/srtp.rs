use std::collections::BTreeSet;

use dtls_srtp::srtp::{OpenError, Opener, Outgoing, SealError, Sealer, StreamHandle, seal_rtp_each};
use dtls_srtp::{KeyAndSalt, Mki, SrtpProfile};
use wire::Reader;

/// An SRTP session under attack: genuine packets with loss, reordering and wrapping numbers, genuine packets with a
/// changed byte, genuine packets again, and noise. The opener has to open exactly the first kind, each once, to what
/// was sealed.
///
/// The input is one byte for the profile, in its bit 4 for an MKI, in its bit 5 for Cryptex, and then any number of steps: operation, length, that many bytes.
pub fn srtp_open(data: &[u8]) {
    let mut r = Reader::new(data);
    let Ok(profile) = r.u8() else { return };
    let cryptex = profile & 0x20 != 0;
    let mki = Mki::new(&[0x6b; 3]).filter(|_| profile & 0x10 != 0);
    let profile = SrtpProfile::ALL[usize::from(profile) % SrtpProfile::ALL.len()];
    let mut session = Session::new(profile, mki);
    session.sealer.set_cryptex(cryptex);
    session.opener.set_cryptex(cryptex);
    session.cryptex = cryptex;
    while let Ok(step) = Step::read(&mut r) {
        session.step(&step);
    }
}

struct Step<'a> {
    operation: u8,
    bytes: &'a [u8],
}

impl<'a> Step<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, wire::Error> {
        let operation = r.u8()?;
        let len = usize::from(r.u8()?).min(r.remaining());
        Ok(Self {
            operation,
            bytes: r.take(len)?,
        })
    }
}

const SSRCS: [u32; 2] = [0x1122_3344, 0xfedc_ba98];

struct Session {
    sealer: Sealer,
    opener: Opener,
    streams: [Stream; 2],
    /// What the attacker has seen: whether it is RTP, and the packet.
    seen: Vec<(bool, Vec<u8>)>,
    rtcp_opened: u64,
    /// Whether noise had the right tag, which with one of 32 bits happens once in 2^32 times. What comes after it says
    /// nothing.
    guessed: bool,
    cryptex: bool,
}

struct Stream {
    handle: StreamHandle,
    ssrc: u32,
    /// The sender's highest index.
    highest: u64,
    sealed: BTreeSet<u64>,
    opened: BTreeSet<u64>,
}

/// How far back both windows remember for certain.
const WINDOW: u64 = 1984;

impl Session {
    fn new(profile: SrtpProfile, mki: Option<Mki>) -> Self {
        let master = KeyAndSalt::new(profile, &[7; 32][..profile.key_len()], &[9; 14][..profile.salt_len()])
            .expect("the lengths are the profile's")
            .with_mki(mki);
        let opener = Opener::new(&master);
        let mut sealer = Sealer::new(master);
        let streams = SSRCS.map(|ssrc| Stream {
            handle: sealer.add_stream(ssrc).expect("two streams are few"),
            ssrc,
            highest: 0,
            sealed: BTreeSet::new(),
            opened: BTreeSet::new(),
        });
        Self {
            sealer,
            opener,
            streams,
            seen: Vec::new(),
            rtcp_opened: 0,
            guessed: false,
            cryptex: false,
        }
    }

    fn step(&mut self, step: &Step<'_>) {
        if self.guessed {
            return;
        }
        match step.operation % 8 {
            0 => self.noise(true, step.bytes),
            1 => self.noise(false, step.bytes),
            2 | 3 => self.rtp(usize::from(step.operation % 8 - 2), step.bytes),
            4 => self.rtcp(step.bytes),
            5 => self.tamper(step.bytes),
            6 => self.replay(step.bytes),
            _ => self.half_valid(step.bytes),
        }
    }

    /// Nobody guesses a tag of 80 bits or more.
    fn noise(&mut self, rtp: bool, bytes: &[u8]) {
        let before = self.state();
        let mut data = bytes.to_vec();
        if rtp {
            self.guessed = self.opener.open_rtp(&mut data).is_ok();
            assert!(!self.guessed || self.opener.profile().rtp_overhead() == 4);
            if self.guessed {
                return;
            }
        } else {
            assert!(self.opener.open_rtcp(&mut data).is_err());
        }
        assert_eq!(self.state(), before, "noise changed the state");
    }

    /// A header of a real source before noise.
    fn half_valid(&mut self, bytes: &[u8]) {
        let mut packet = header(SSRCS[0], self.streams[0].highest.wrapping_add(1)).to_vec();
        packet.extend(bytes);
        self.noise(true, &packet);
        packet.drain(4..8);
        self.noise(false, &packet);
    }

    /// A packet of the stream, sealed and delivered. Bytes: how far from the highest index (16 bits, signed), header
    /// bits, payload.
    fn rtp(&mut self, stream: usize, bytes: &[u8]) {
        let mut r = Reader::new(bytes);
        let (Ok(way), Ok(bits)) = (r.u16(), r.u8()) else { return };
        let stream = &mut self.streams[stream];
        let index = stream.highest.saturating_add_signed(i64::from(way.cast_signed()));

        let mut packet = header(stream.ssrc, index).to_vec();
        packet[0] |= bits & 0x1f;
        packet.extend(std::iter::repeat_n(0x5a, 4 * usize::from(bits & 0x0f)));
        if bits & 0x10 != 0 {
            packet.extend([0xbe, 0xde, 0, bits >> 6]);
            packet.extend(std::iter::repeat_n(0, 4 * usize::from(bits >> 6)));
        }
        let header_len = packet.len();
        let payload = r.all();
        let mut sealed = vec![0; header_len + payload.len() + self.sealer.rtp_overhead()];
        let result = self
            .sealer
            .seal_rtp_into(stream.handle, index, &packet, payload, &mut sealed);
        let far_back = stream.sealed.last().is_some_and(|&highest| index + WINDOW < highest);
        let len = match result {
            Ok(len) => {
                assert!(stream.sealed.insert(index), "an index was sealed twice");
                len
            }
            Err(SealError::HeaderInClear) => {
                assert!(self.cryptex && bits & 0x10 == 0 && bits & 0x0f != 0);
                return;
            }
            Err(SealError::IndexReused) => {
                assert!(far_back || stream.sealed.contains(&index));
                return;
            }
            Err(error) => panic!("{error}"),
        };
        stream.highest = stream.highest.max(index);
        sealed.truncate(len);
        self.seen.push((true, sealed.clone()));

        let highest = self.opener.highest_index(stream.ssrc);
        assert_eq!(highest, stream.opened.last().copied());
        packet.extend(payload);
        match self.opener.open_rtp(&mut sealed) {
            Ok(opened) => {
                assert_eq!(
                    (&*opened.packet, opened.header_len, opened.index),
                    (&packet[..], header_len, index)
                );
                assert!(stream.opened.insert(index), "an index was opened twice");
            }
            Err(error @ (OpenError::Stale | OpenError::AuthenticationFailed | OpenError::Replayed)) => {
                // The receiver cannot know the rollover counter of a far jump.
                let far = highest.map_or(index >= 1 << 16, |highest| highest.abs_diff(index) >= 1 << 15);
                let behind = highest.is_some_and(|highest| index + WINDOW < highest);
                assert!(
                    far || (error == OpenError::Stale && behind),
                    "{error}: {index} after {highest:?}"
                );
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn rtcp(&mut self, bytes: &[u8]) {
        let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        packet.extend(bytes);
        let mut sealed = packet.clone();
        sealed.resize(packet.len() + self.sealer.rtcp_overhead(), 0);
        let len = self
            .sealer
            .seal_rtcp(&mut sealed, packet.len())
            .expect("RTCP can be sealed");
        sealed.truncate(len);
        self.seen.push((false, sealed.clone()));
        assert_eq!(self.opener.open_rtcp(&mut sealed).as_deref(), Ok(&packet[..]));
        self.rtcp_opened += 1;
    }

    /// Bytes: which packet, where (16 bits), what to change.
    fn tamper(&mut self, bytes: &[u8]) {
        let &[which, high, low, change, ..] = bytes else { return };
        let Some((rtp, mut packet)) = self.pick(which) else {
            return;
        };
        let at = usize::from(u16::from_be_bytes([high, low])) % packet.len();
        packet[at] ^= change.max(1);
        self.noise(rtp, &packet);
    }

    /// Everything that was delivered once is refused, whatever the window has done since.
    fn replay(&mut self, bytes: &[u8]) {
        let &[which, ..] = bytes else { return };
        let Some((rtp, packet)) = self.pick(which) else { return };
        if rtp {
            let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
            let mut data = packet;
            // A packet that could not be opened for its far jump may open now, when the receiver has caught up.
            if let Ok(opened) = self.opener.open_rtp(&mut data) {
                let stream = self
                    .streams
                    .iter_mut()
                    .find(|stream| stream.ssrc == ssrc)
                    .expect("it was sealed by us");
                assert!(stream.opened.insert(opened.index), "a replay was opened");
            }
        } else {
            let mut data = packet;
            assert!(matches!(
                self.opener.open_rtcp(&mut data),
                Err(OpenError::Replayed | OpenError::Stale)
            ));
        }
    }

    fn pick(&self, which: u8) -> Option<(bool, Vec<u8>)> {
        self.seen.get(usize::from(which) % self.seen.len().max(1)).cloned()
    }

    fn state(&self) -> [Option<u64>; 2] {
        SSRCS.map(|ssrc| self.opener.highest_index(ssrc))
    }
}

fn header(ssrc: u32, index: u64) -> [u8; 12] {
    let [.., high, low] = index.to_be_bytes();
    let [a, b, c, d] = ssrc.to_be_bytes();
    [0x80, 96, high, low, 1, 2, 3, 4, a, b, c, d]
}

/// Batches of packets for several receivers, and the same packets alone: bytes, refusals and what is used up have to be the
/// same.
///
/// The input is any number of batches: the length of the payload (16 bits) and that many bytes, how many receivers, and for
/// each of them its index (16 bits), header bits, and how its packet is given.
pub fn srtp_seal(data: &[u8]) {
    let mut r = Reader::new(data);
    // Most with the profile that is sealed side by side.
    let mut receivers: Vec<Receiver> = (0..9)
        .map(|n| match n {
            3 => Receiver::new(SrtpProfile::AeadAes128Gcm, n),
            6 => Receiver::new(SrtpProfile::AeadAes256Gcm, n),
            1 | 5 => Receiver::new(SrtpProfile::Aes128CmHmacSha1_32, n),
            _ => Receiver::new(SrtpProfile::Aes128CmHmacSha1_80, n),
        })
        .collect();
    while let Ok(batch) = Batch::read(&mut r) {
        batch.seal(&mut receivers);
    }
}

/// Somebody who is sent packets, twice: what is sealed alone and what is sealed with others have a state each.
struct Receiver {
    alone: Sealer,
    together: Sealer,
    stream: StreamHandle,
}

impl Receiver {
    fn new(profile: SrtpProfile, number: u8) -> Self {
        let [(alone, stream), (together, _)] = [(); 2].map(|()| {
            let key = [number; 32];
            let master = KeyAndSalt::new(profile, &key[..profile.key_len()], &key[..profile.salt_len()]);
            let master = master.expect("the lengths are the profile's");
            let mki = Mki::new(&[number]).filter(|_| number == 7);
            let mut sealer = Sealer::new(master.with_mki(mki));
            sealer.set_cryptex(number == 8);
            let stream = sealer.add_stream(SSRCS[0]).expect("one stream is few");
            (sealer, stream)
        });
        Self {
            alone,
            together,
            stream,
        }
    }
}

struct Batch<'a> {
    payload: &'a [u8],
    packets: Vec<PacketOf>,
}

struct PacketOf {
    index: u64,
    header: Vec<u8>,
    in_place: bool,
    room: usize,
}

impl<'a> Batch<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, wire::Error> {
        let len = usize::from(r.u16()?).min(r.remaining());
        let payload = r.take(len)?;
        let count = r.u8()? % 10;
        let packets = (0..count).map(|_| PacketOf::read(r, len)).collect::<Result<_, _>>()?;
        Ok(Self { payload, packets })
    }

    fn seal(&self, receivers: &mut [Receiver]) {
        let mut alone: Vec<Vec<u8>> = self.packets.iter().map(|packet| packet.room(self.payload)).collect();
        let mut together = alone.clone();
        let mut expected = Vec::new();
        for ((packet, receiver), out) in self.packets.iter().zip(&mut *receivers).zip(&mut alone) {
            let (sealer, stream) = (&mut receiver.alone, receiver.stream);
            expected.push(Some(if packet.in_place {
                sealer.seal_rtp(stream, packet.index, packet.header.len(), out, self.payload.len())
            } else {
                sealer.seal_rtp_into(stream, packet.index, &packet.header, self.payload, out)
            }));
        }
        let mut batch: Vec<Outgoing<'_>> = Vec::new();
        for ((packet, receiver), out) in self.packets.iter().zip(&mut *receivers).zip(&mut together) {
            let (sealer, stream, header) = (&mut receiver.together, receiver.stream, &packet.header[..]);
            batch.push(if packet.in_place {
                Outgoing::in_place(sealer, stream, packet.index, header.len(), out, self.payload.len())
            } else {
                Outgoing::apart(sealer, stream, packet.index, header, self.payload, out)
            });
        }
        seal_rtp_each(&mut batch);
        let results: Vec<_> = batch.iter().map(Outgoing::sealed).collect();
        assert_eq!(results, expected);
        assert_eq!(together, alone);
        for receiver in receivers {
            assert_eq!(receiver.together.counters(), receiver.alone.counters());
        }
    }
}

impl PacketOf {
    fn read(r: &mut Reader<'_>, payload: usize) -> Result<Self, wire::Error> {
        let (index, bits, how) = (u64::from(r.u16()?), r.u8()?, r.u8()?);
        // As if the sequence number had wrapped now and then.
        let index = index | u64::from(bits >> 4) << 16;
        let mut header = header(SSRCS[usize::from(how & 2 != 0)], index).to_vec();
        header[0] |= bits & 0x0f;
        header.resize(12 + 4 * usize::from(bits & 0x0f), 0x5a);
        // Now and then a little too short.
        let room = match how >> 4 {
            0 => header.len() + payload + usize::from(how >> 2 & 3),
            more => header.len() + payload + 3 + usize::from(more),
        };
        Ok(Self {
            index,
            header,
            in_place: how & 1 != 0,
            room,
        })
    }

    fn room(&self, payload: &[u8]) -> Vec<u8> {
        let mut room = vec![0xaa; self.room];
        if self.in_place {
            let plain = self.header.iter().chain(payload);
            room.iter_mut().zip(plain).for_each(|(room, plain)| *room = *plain);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One step of each kind after a packet of each kind.
    #[test]
    fn the_script_reaches_every_step() {
        let mut session = Session::new(SrtpProfile::AeadAes128Gcm, None);
        for (operation, bytes) in [
            (2, &[0, 5, 0, 1, 2, 3][..]),
            (3, &[0x70, 0, 0x53, 1]),
            (3, &[0x70, 0, 0x53, 1]),
            (3, &[0x70, 0, 0, 1]),
            (4, &[1, 2, 3, 4]),
            (5, &[0, 0, 13, 0x80]),
            (6, &[0]),
            (7, &[1; 40]),
            (0, &[0x80; 40]),
            (1, &[0x80; 40]),
        ] {
            session.step(&Step { operation, bytes });
        }
        assert_eq!(session.streams[0].opened.len(), 1);
        assert_eq!(session.streams[1].opened.len(), 3);
        assert_eq!(session.state(), [Some(5), Some(3 * 0x7000)]);
        assert_eq!((session.seen.len(), session.rtcp_opened), (5, 1));
    }
}
