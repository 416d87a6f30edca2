//! The least that forwarding can be: for each subscriber a copy of the packet, sealed with the subscriber's key.

use std::hint::black_box;

use super::{Contestant, Cost, Meter, PACKETS_A_ROUND, PAYLOAD, SUBSCRIBERS};

const HEADER: usize = 12;
const TAG: usize = 16;

/// Seals with ring, as we do and as rtc does.
pub(super) struct Ring(Floor<ring::aead::LessSafeKey>);

/// Seals with aws-lc-rs, as str0m does.
pub(super) struct AwsLc(Floor<aws_lc_rs::aead::LessSafeKey>);

struct Floor<K> {
    keys: Vec<K>,
    /// The packets of a batch.
    batch: Vec<Vec<u8>>,
    /// Where a batch for one subscriber is written.
    out: Vec<u8>,
}

impl<K> Floor<K> {
    fn new(batch: usize, key: impl Fn([u8; 16]) -> K) -> Self {
        Self {
            keys: (0..SUBSCRIBERS).map(|n| key([n as u8; 16])).collect(),
            batch: (0..batch).map(|n| vec![n as u8; HEADER + PAYLOAD]).collect(),
            out: vec![0; 65_536],
        }
    }

    /// `seal` has the key, header, payload, and the place for the tag.
    fn round(&mut self, seal: impl Fn(&K, &[u8], &mut [u8], &mut [u8])) -> Cost {
        let mut meter = Meter::default();
        for _ in 0..PACKETS_A_ROUND / self.batch.len() {
            black_box(&mut self.batch);
            meter.enter();
            for key in &self.keys {
                for (packet, place) in self.batch.iter().zip(self.out.chunks_exact_mut(HEADER + PAYLOAD + TAG)) {
                    let (plain, tag) = place.split_at_mut(HEADER + PAYLOAD);
                    plain.copy_from_slice(packet);
                    let (header, payload) = plain.split_at_mut(HEADER);
                    seal(key, header, payload, tag);
                }
                black_box(&mut self.out);
            }
            meter.leave();
        }
        meter.cost((PACKETS_A_ROUND * SUBSCRIBERS) as u64)
    }
}

impl Ring {
    pub(super) fn new(batch: usize) -> Self {
        use ring::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
        Self(Floor::new(batch, |key| {
            LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("a key"))
        }))
    }
}

impl Contestant for Ring {
    fn round(&mut self) -> Cost {
        use ring::aead::{Aad, Nonce};
        self.0.round(|key, header, payload, tag| {
            let nonce = Nonce::assume_unique_for_key(black_box([3; 12]));
            let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(header), payload);
            tag.copy_from_slice(sealed.expect("sealed").as_ref());
        })
    }
}

impl AwsLc {
    pub(super) fn new(batch: usize) -> Self {
        use aws_lc_rs::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
        Self(Floor::new(batch, |key| {
            LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("a key"))
        }))
    }
}

impl Contestant for AwsLc {
    fn round(&mut self) -> Cost {
        use aws_lc_rs::aead::{Aad, Nonce};
        self.0.round(|key, header, payload, tag| {
            let nonce = Nonce::assume_unique_for_key(black_box([3; 12]));
            let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(header), payload);
            tag.copy_from_slice(sealed.expect("sealed").as_ref());
        })
    }
}
