//! What cannot be left out: for each packet one copy, CRC32c, sealing, opening, CRC32c, one copy. No acknowledgements, no
//! timers, nothing is decided. The bytes around the user's are as many as those of SCTP and DTLS 1.2.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::end::{DATAGRAM, End, Inbox};

/// DTLS 1.2: the header of the record and the explicit nonce.
const HEAD: usize = 13 + 8;
const TAG: usize = 16;
/// The common header of SCTP, and that of I-DATA.
const HEADERS: usize = 12 + 20;
/// Where the checksum stands.
const CHECKSUM: usize = 8;
/// Bytes of a message in a packet: SCTP fills up to a multiple of four.
pub(super) const PAYLOAD: usize = (DATAGRAM - HEAD - TAG) / 4 * 4 - HEADERS;

pub(super) struct Floor {
    key: LessSafeKey,
    sequence: u64,
    waiting: VecDeque<Bytes>,
    held: usize,
    /// The message that arrives.
    message: Vec<u8>,
    /// How long those are.
    len: usize,
    inbox: Inbox,
}

impl Floor {
    pub(super) fn pair(len: usize) -> [Self; 2] {
        [(); 2].map(|()| Self {
            key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("a key")),
            sequence: 0,
            waiting: VecDeque::new(),
            held: 0,
            message: Vec::with_capacity(len),
            len,
            inbox: Inbox::default(),
        })
    }

    fn nonce(explicit: &[u8]) -> Nonce {
        let mut nonce = [3; 12];
        nonce[4..].copy_from_slice(explicit);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Puts the checksum where it belongs, and says whether it stood there.
fn checksum(packet: &mut [u8]) -> bool {
    let field = CHECKSUM..CHECKSUM + 4;
    let stood: [u8; 4] = packet[field.clone()].try_into().expect("four bytes");
    packet[field.clone()].fill(0);
    let sum = crc32c::crc32c(packet).to_le_bytes();
    packet[field].copy_from_slice(&sum);
    stood == sum
}

impl End for Floor {
    fn is_open(&self) -> bool {
        true
    }

    fn held(&mut self) -> usize {
        self.held
    }

    fn arrived(&mut self, bytes: usize) {
        self.held -= bytes;
    }

    fn send(&mut self, _: Instant, message: Bytes) {
        self.held += message.len();
        self.waiting.push_back(message);
    }

    fn poll(&mut self, _: Instant, out: &mut [u8]) -> Option<usize> {
        let message = self.waiting.front_mut()?;
        let payload = message.split_to(message.len().min(PAYLOAD));
        let (head, packet) = out.split_at_mut(HEAD);
        let (packet, tag) = packet.split_at_mut(HEADERS + payload.len());
        packet[..HEADERS].fill(1);
        packet[HEADERS..].copy_from_slice(&payload);
        checksum(packet);
        self.sequence += 1;
        head[..13].fill(2);
        head[13..].copy_from_slice(&self.sequence.to_be_bytes());
        let sealed = self
            .key
            .seal_in_place_separate_tag(Self::nonce(&head[13..]), Aad::from(&head[..13]), packet)
            .expect("a tag");
        tag[..TAG].copy_from_slice(sealed.as_ref());
        if message.is_empty() {
            self.waiting.pop_front();
        }
        Some(HEAD + HEADERS + payload.len() + TAG)
    }

    fn handle(&mut self, _: Instant, datagram: &mut [u8]) {
        let (head, body) = datagram.split_at_mut(HEAD);
        let packet = self
            .key
            .open_in_place(Self::nonce(&head[13..]), Aad::from(&head[..13]), body)
            .expect("an authentic one");
        assert!(checksum(packet));
        self.message.extend_from_slice(&packet[HEADERS..]);
        if self.message.len() == self.len {
            self.inbox.take(&self.message);
            self.message.clear();
        }
    }

    fn due(&mut self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }
}
