//! What a packet of 1200 bytes costs to seal, for one receiver and for four, and to open, beside the bare ciphers with
//! copied keys, nonces and nothing else. The bare ciphers are those that the sealer uses: ring's GCM, and counter mode and
//! HMAC-SHA1 of `simd`; beside the latter stand those of RustCrypto and of AWS-LC.

use std::hint::black_box;
use std::time::Duration;

use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher};
use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use ctr::{Ctr128BE, CtrCore};
use dtls_srtp::srtp::{Opener, Outgoing, Sealer, StreamHandle, seal_rtp_each};
use dtls_srtp::{KeyAndSalt, SrtpProfile};
use hmac::{Hmac, Mac};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha1::Sha1;
use simd::{AesCtr, HmacSha1, Message};

use crate::rounds::{Case, compare, thread_time};

const HEADER: usize = 12;
const PACKET: usize = 1200;
const SLOT: usize = PACKET + 16;
/// Packets lie one behind the other, as in a send slab; this many stay in the second-level cache.
const SLOTS: usize = 200;
/// Receivers of one packet, whose packets lie one behind the other.
const RECEIVERS: usize = 4;
const BATCHES: usize = 5;
const ROUNDS: usize = 101;
const SSRC: u32 = 0x1122_3344;

pub(crate) fn run() {
    let payload: Vec<u8> = (0..PACKET - HEADER).map(|i| (i * 7) as u8).collect();
    let payload = &payload[..];
    let mut cases: Vec<Case<'_>> = Vec::new();
    for profile in SrtpProfile::WEBRTC {
        let first = cases.len();
        let mut add = |what: &str, floor: Option<usize>, run: Box<dyn FnMut() -> f64>| {
            cases.push(Case {
                name: format!("{profile}: {what}"),
                floor: floor.map(|floor| first + floor),
                run,
            });
        };
        // The slot's payload is copied from one place, as from the ring that all subscribers are served from.
        let source = payload.to_vec();
        let (mut slab, floor) = (Slab::new(), Floor::new(profile));
        let copy_and_seal = move || slab.each(|_, _| (), |index, slot| floor.copy_and_seal(index, &source, slot));
        add("copy and bare cipher", None, Box::new(copy_and_seal));

        let source = payload.to_vec();
        let (mut slab, mut ours) = (Slab::new(), Ours::new(profile));
        let seal_into = move || slab.each(|_, _| (), |index, slot| ours.seal_into(index, &source, slot));
        add("seal_rtp_into", Some(0), Box::new(seal_into));

        let source = payload.to_vec();
        let (mut slab, floors) = (Slab::new(), [(); RECEIVERS].map(|()| Floor::new(profile)));
        let copy_and_seal =
            move || slab.each_four(|index, slots| Floor::copy_and_seal_each(&floors, index, &source, slots));
        add("copy and bare ciphers, four receivers", None, Box::new(copy_and_seal));

        let source = payload.to_vec();
        let (mut slab, mut ours) = (Slab::new(), [(); RECEIVERS].map(|()| Ours::new(profile)));
        let seal_each = move || slab.each_four(|index, slots| Ours::seal_each(&mut ours, index, &source, slots));
        add("seal_rtp_each, four receivers", Some(2), Box::new(seal_each));

        let source = payload.to_vec();
        let (mut slab, mut ours) = (Slab::new(), [(); RECEIVERS].map(|()| Ours::new(profile)));
        let one_by_one = move || {
            slab.each_four(|index, slots| {
                for (ours, slot) in ours.iter_mut().zip(slots) {
                    ours.seal_into(index, &source, slot);
                }
            })
        };
        add("seal_rtp_into, for each of the four", Some(2), Box::new(one_by_one));

        let (mut slab, floor) = (Slab::new(), Floor::new(profile));
        let seal = move || slab.each(lay_header, |_, slot| floor.seal(slot));
        add("bare cipher in place", None, Box::new(seal));

        let (mut slab, mut ours) = (Slab::new(), Ours::new(profile));
        let seal = move || slab.each(lay_header, |index, slot| ours.seal(index, slot));
        add("seal_rtp", Some(5), Box::new(seal));

        let (mut slab, floor) = (Slab::new(), Floor::new(profile));
        let floor_to_prepare = Floor::new(profile);
        let lay_sealed = move |index: u64, slot: &mut [u8]| {
            lay_header(index, slot);
            floor_to_prepare.seal(slot);
        };
        let open = move || slab.each(&lay_sealed, |_, slot| floor.open(slot));
        add("bare cipher opening in place", None, Box::new(open));

        let (mut slab, mut ours, mut peer) = (Slab::new(), Ours::new(profile), Ours::new(profile));
        let open = move || {
            slab.each(
                |index, slot| {
                    lay_header(index, slot);
                    peer.seal(index, slot);
                },
                |_, slot| ours.open(slot),
            )
        };
        add("open_rtp", Some(7), Box::new(open));

        if profile == SrtpProfile::Aes128CmHmacSha1_80 {
            let source = payload.to_vec();
            let (mut slab, other) = (Slab::new(), RustCrypto::new());
            let seal = move || slab.each(|_, _| (), |index, slot| other.copy_and_seal(index, &source, slot));
            add("RustCrypto's bare cipher", Some(0), Box::new(seal));

            let source = payload.to_vec();
            let (mut slab, other) = (Slab::new(), AwsLc::new());
            let seal = move || slab.each(|_, _| (), |index, slot| other.copy_and_seal(index, &source, slot));
            add("copy and AWS-LC's bare cipher", Some(0), Box::new(seal));
        }
    }
    compare(ROUNDS, &mut cases);
}

/// Slots for packets, and the index of the next one.
struct Slab {
    bytes: Vec<u8>,
    index: u64,
}

impl Slab {
    fn new() -> Self {
        Self {
            bytes: vec![0; SLOT * SLOTS],
            index: 0,
        }
    }

    /// Prepares all slots, then does the work for each and measures only that. Returns nanoseconds per slot.
    fn each(&mut self, mut prepare: impl FnMut(u64, &mut [u8]), mut work: impl FnMut(u64, &mut [u8])) -> f64 {
        let mut total = Duration::ZERO;
        for _ in 0..BATCHES {
            for (index, slot) in (self.index..).zip(self.bytes.chunks_exact_mut(SLOT)) {
                prepare(index, slot);
            }
            let start = thread_time();
            for (index, slot) in (self.index..).zip(self.bytes.chunks_exact_mut(SLOT)) {
                work(index, slot);
            }
            total += thread_time() - start;
            black_box(&mut self.bytes);
            self.index += SLOTS as u64;
        }
        total.as_nanos() as f64 / (BATCHES * SLOTS) as f64
    }

    /// The same for four slots at once, which have one index. Returns nanoseconds per slot.
    fn each_four(&mut self, mut work: impl FnMut(u64, [&mut [u8]; RECEIVERS])) -> f64 {
        let mut total = Duration::ZERO;
        for _ in 0..BATCHES {
            let start = thread_time();
            for (index, group) in (self.index..).zip(self.bytes.chunks_exact_mut(RECEIVERS * SLOT)) {
                let mut slots = group.chunks_exact_mut(SLOT);
                work(index, [(); RECEIVERS].map(|()| slots.next().unwrap()));
            }
            total += thread_time() - start;
            black_box(&mut self.bytes);
            self.index += SLOTS as u64;
        }
        total.as_nanos() as f64 / (BATCHES * SLOTS) as f64
    }
}

fn header(index: u64) -> [u8; HEADER] {
    let [.., high, low] = index.to_be_bytes();
    let [a, b, c, d] = SSRC.to_be_bytes();
    [0x80, 96, high, low, 1, 2, 3, 4, a, b, c, d]
}

fn lay_header(index: u64, slot: &mut [u8]) {
    slot[..HEADER].copy_from_slice(&header(index));
}

fn master(profile: SrtpProfile) -> KeyAndSalt {
    KeyAndSalt::new(profile, &[7; 32][..profile.key_len()], &[9; 14][..profile.salt_len()]).unwrap()
}

struct Ours {
    sealer: Sealer,
    stream: StreamHandle,
    opener: Opener,
}

impl Ours {
    fn new(profile: SrtpProfile) -> Self {
        let mut sealer = Sealer::new(master(profile));
        Self {
            stream: sealer.add_stream(SSRC).unwrap(),
            sealer,
            opener: Opener::new(&master(profile)),
        }
    }

    fn seal_into(&mut self, index: u64, payload: &[u8], slot: &mut [u8]) {
        let len = self
            .sealer
            .seal_rtp_into(self.stream, index, &header(index), payload, slot);
        black_box(len.unwrap());
    }

    fn seal_each(all: &mut [Self; RECEIVERS], index: u64, payload: &[u8], slots: [&mut [u8]; RECEIVERS]) {
        let header = header(index);
        let mut slots = slots.into_iter();
        let mut packets = all.each_mut().map(|ours| {
            let slot = slots.next().unwrap();
            Outgoing::apart(&mut ours.sealer, ours.stream, index, &header, payload, slot)
        });
        seal_rtp_each(&mut packets);
        for packet in &packets {
            black_box(packet.sealed().unwrap().unwrap());
        }
    }

    fn seal(&mut self, index: u64, slot: &mut [u8]) {
        let len = self.sealer.seal_rtp(self.stream, index, HEADER, slot, PACKET - HEADER);
        black_box(len.unwrap());
    }

    fn open(&mut self, slot: &mut [u8]) {
        let sealed = &mut slot[..PACKET + self.opener.profile().rtp_overhead()];
        black_box(self.opener.open_rtp(sealed).unwrap().index);
    }
}

/// The ciphers alone: one nonce, no index, no window, no checks.
enum Floor {
    Gcm(Box<LessSafeKey>),
    CounterMode(Box<(AesCtr, HmacSha1)>),
}

impl Floor {
    fn new(profile: SrtpProfile) -> Self {
        let gcm = |algorithm, key| Self::Gcm(Box::new(LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap())));
        match profile {
            SrtpProfile::AeadAes128Gcm => gcm(&AES_128_GCM, &[7; 16]),
            SrtpProfile::AeadAes256Gcm => gcm(&AES_256_GCM, &[7; 32]),
            SrtpProfile::Aes128CmHmacSha1_80 | SrtpProfile::Aes128CmHmacSha1_32 => {
                Self::CounterMode(Box::new((AesCtr::aes_128(&[7; 16]), HmacSha1::new(&[7; 20]))))
            }
        }
    }

    /// Counter mode needs no copy: its pass over the payload is one.
    fn copy_and_seal(&self, index: u64, payload: &[u8], slot: &mut [u8]) {
        lay_header(index, slot);
        match self {
            Self::Gcm(_) => {
                slot[HEADER..PACKET].copy_from_slice(payload);
                self.seal(slot);
            }
            Self::CounterMode(keys) => {
                keys.0
                    .apply_into(counter(), payload, &mut slot[HEADER..PACKET])
                    .unwrap();
                let tag = keys.1.mac(&slot[..PACKET], roc());
                slot[PACKET..PACKET + 10].copy_from_slice(&tag[..10]);
            }
        }
    }

    fn copy_and_seal_each(all: &[Self; RECEIVERS], index: u64, payload: &[u8], mut slots: [&mut [u8]; RECEIVERS]) {
        let [
            Self::CounterMode(a),
            Self::CounterMode(b),
            Self::CounterMode(c),
            Self::CounterMode(d),
        ] = all
        else {
            for (floor, slot) in all.iter().zip(slots) {
                floor.copy_and_seal(index, payload, slot);
            }
            return;
        };
        let keys = [a, b, c, d];
        for (keys, slot) in keys.iter().zip(&mut slots) {
            lay_header(index, slot);
            keys.0
                .apply_into(counter(), payload, &mut slot[HEADER..PACKET])
                .unwrap();
        }
        let message = |n: usize| Message {
            key: &keys[n].1,
            bytes: &slots[n][..PACKET],
            suffix: roc(),
        };
        let tags = HmacSha1::mac_each([0, 1, 2, 3].map(message));
        for (slot, tag) in slots.into_iter().zip(tags) {
            slot[PACKET..PACKET + 10].copy_from_slice(&tag[..10]);
        }
    }

    fn seal(&self, slot: &mut [u8]) {
        match self {
            Self::Gcm(key) => {
                let (head, rest) = slot.split_at_mut(HEADER);
                let (body, tail) = rest.split_at_mut(PACKET - HEADER);
                let tag = key
                    .seal_in_place_separate_tag(nonce(), Aad::from(&*head), body)
                    .unwrap();
                tail[..16].copy_from_slice(tag.as_ref());
            }
            Self::CounterMode(keys) => {
                keys.0.apply(counter(), &mut slot[HEADER..PACKET]);
                let tag = keys.1.mac(&slot[..PACKET], roc());
                slot[PACKET..PACKET + 10].copy_from_slice(&tag[..10]);
            }
        }
    }

    fn open(&self, slot: &mut [u8]) {
        match self {
            Self::Gcm(key) => {
                let (head, rest) = slot.split_at_mut(HEADER);
                let body = &mut rest[..PACKET - HEADER + 16];
                black_box(key.open_in_place(nonce(), Aad::from(&*head), body).unwrap().len());
            }
            Self::CounterMode(keys) => {
                assert_eq!(keys.1.mac(&slot[..PACKET], roc())[..10], slot[PACKET..PACKET + 10]);
                keys.0.apply(counter(), &mut slot[HEADER..PACKET]);
            }
        }
    }
}

/// What the portable path of `simd` is made of.
struct RustCrypto {
    cipher: Aes128Enc,
    mac: Hmac<Sha1>,
}

impl RustCrypto {
    fn new() -> Self {
        Self {
            cipher: Aes128Enc::new(&[7; 16].into()),
            mac: Hmac::new_from_slice(&[7; 20]).unwrap(),
        }
    }

    fn copy_and_seal(&self, index: u64, payload: &[u8], slot: &mut [u8]) {
        lay_header(index, slot);
        let iv = counter().to_be_bytes().into();
        Ctr128BE::from_core(CtrCore::inner_iv_init(&self.cipher, &iv))
            .apply_keystream_b2b(payload, &mut slot[HEADER..PACKET]);
        let mut mac = self.mac.clone();
        mac.update(&slot[..PACKET]);
        mac.update(&roc());
        slot[PACKET..PACKET + 10].copy_from_slice(&mac.finalize().into_bytes()[..10]);
    }
}

/// What C and assembly give.
struct AwsLc {
    cipher: EncryptingKey,
    mac: aws_lc_rs::hmac::Context,
}

impl AwsLc {
    fn new() -> Self {
        let key = UnboundCipherKey::new(&aws_lc_rs::cipher::AES_128, &[7; 16]).unwrap();
        let algorithm = aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
        Self {
            cipher: EncryptingKey::ctr(key).unwrap(),
            mac: aws_lc_rs::hmac::Context::with_key(&aws_lc_rs::hmac::Key::new(algorithm, &[7; 20])),
        }
    }

    fn copy_and_seal(&self, index: u64, payload: &[u8], slot: &mut [u8]) {
        lay_header(index, slot);
        slot[HEADER..PACKET].copy_from_slice(payload);
        let iv = EncryptionContext::Iv128(FixedLength::from(counter().to_be_bytes()));
        let used = self.cipher.less_safe_encrypt(&mut slot[HEADER..PACKET], iv);
        black_box(used.is_ok());
        let mut mac = self.mac.clone();
        mac.update(&slot[..PACKET]);
        mac.update(&roc());
        slot[PACKET..PACKET + 10].copy_from_slice(&mac.sign().as_ref()[..10]);
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key(black_box([3; 12]))
}

fn counter() -> u128 {
    black_box(3 << 16)
}

fn roc() -> [u8; 4] {
    black_box([3; 4])
}
