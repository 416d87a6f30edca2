//! What a packet of 1200 bytes costs to seal and to open, beside the bare ciphers with copied keys, nonces and nothing
//! else.

use std::hint::black_box;
use std::time::Duration;

use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher};
use ctr::{Ctr128BE, CtrCore};
use dtls_srtp::srtp::{Opener, Sealer, StreamHandle};
use dtls_srtp::{KeyAndSalt, SrtpProfile};
use hmac::{Hmac, Mac};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha1::Sha1;

use crate::rounds::{Case, compare, thread_time};

const HEADER: usize = 12;
const PACKET: usize = 1200;
const SLOT: usize = PACKET + 16;
/// Packets lie one behind the other, as in a send slab; this many stay in the second-level cache.
const SLOTS: usize = 200;
const BATCHES: usize = 5;
const ROUNDS: usize = 101;
const SSRC: u32 = 0x1122_3344;

pub(crate) fn run() {
    let payload: Vec<u8> = (0..PACKET - HEADER).map(|i| (i * 7) as u8).collect();
    let payload = &payload[..];
    let mut cases: Vec<Case<'_>> = Vec::new();
    for profile in SrtpProfile::ALL {
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

        let (mut slab, floor) = (Slab::new(), Floor::new(profile));
        let seal = move || slab.each(lay_header, |_, slot| floor.seal(slot));
        add("bare cipher in place", None, Box::new(seal));

        let (mut slab, mut ours) = (Slab::new(), Ours::new(profile));
        let seal = move || slab.each(lay_header, |index, slot| ours.seal(index, slot));
        add("seal_rtp", Some(2), Box::new(seal));

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
        add("open_rtp", Some(4), Box::new(open));
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
    CounterMode(Box<(Aes128Enc, Hmac<Sha1>)>),
}

impl Floor {
    fn new(profile: SrtpProfile) -> Self {
        let gcm = |algorithm, key| Self::Gcm(Box::new(LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap())));
        match profile {
            SrtpProfile::AeadAes128Gcm => gcm(&AES_128_GCM, &[7; 16]),
            SrtpProfile::AeadAes256Gcm => gcm(&AES_256_GCM, &[7; 32]),
            SrtpProfile::Aes128CmHmacSha1_80 => Self::CounterMode(Box::new((
                Aes128Enc::new(&[7; 16].into()),
                Hmac::new_from_slice(&[7; 20]).unwrap(),
            ))),
        }
    }

    fn copy_and_seal(&self, index: u64, payload: &[u8], slot: &mut [u8]) {
        lay_header(index, slot);
        slot[HEADER..PACKET].copy_from_slice(payload);
        self.seal(slot);
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
                key_stream(&keys.0, &mut slot[HEADER..PACKET]);
                let tag = tag(&keys.1, &slot[..PACKET]);
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
                assert_eq!(tag(&keys.1, &slot[..PACKET])[..10], slot[PACKET..PACKET + 10]);
                key_stream(&keys.0, &mut slot[HEADER..PACKET]);
            }
        }
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key(black_box([3; 12]))
}

fn key_stream(cipher: &Aes128Enc, data: &mut [u8]) {
    let iv = black_box([3; 16]);
    Ctr128BE::from_core(CtrCore::inner_iv_init(cipher, &iv.into())).apply_keystream(data);
}

fn tag(mac: &Hmac<Sha1>, data: &[u8]) -> [u8; 20] {
    let mut mac = mac.clone();
    mac.update(data);
    mac.finalize().into_bytes().0
}
