#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use wire::{Reader, Writer};
use zeroize::{Zeroize, Zeroizing};

use super::header::{ShortSequence, UnifiedHeader};
use crate::connection_id::ConnectionIds;
use crate::crypto::{Aead, Crypto, CryptoError, NONCE_LEN, RecordKey, RecordNumberKey, SAMPLE_LEN, TAG_LEN};
use crate::overhead::Overhead;
use crate::record::{Parts, id_at, split_inner};
use crate::registry::ContentType;

/// The keys of one direction of one epoch in DTLS 1.3 (RFC 9147 §4, §4.2.3; RFC 8446 §5.2, §5.3).
pub(crate) struct Protection {
    key: Box<dyn RecordKey>,
    numbers: Box<dyn RecordNumberKey>,
    iv: [u8; NONCE_LEN],
    epoch_bits: u8,
    aead: Aead,
}

impl Protection {
    /// `expand` fills keys from their labels.
    pub(super) fn new(
        crypto: &dyn Crypto,
        aead: Aead,
        epoch: u16,
        expand: impl Fn(&[u8], &mut [u8]) -> Result<(), CryptoError>,
    ) -> Result<Self, CryptoError> {
        let mut key = Zeroizing::new([0; 32]);
        let key = key.get_mut(..aead.key_len()).unwrap_or_default();
        expand(b"key", key)?;
        let record_key = crypto.record_key(aead, key)?;
        expand(b"sn", key)?;
        let numbers = crypto.record_number_key(aead, key)?;
        let mut iv = [0; NONCE_LEN];
        expand(b"iv", &mut iv)?;
        let [_, epoch_low] = epoch.to_be_bytes();
        Ok(Self {
            key: record_key,
            numbers,
            iv,
            epoch_bits: epoch_low & 0b11,
            aead,
        })
    }

    /// The sequence number has 16 bits, and the length is always there: then records can share a datagram.
    pub(crate) const fn overhead(id_len: usize) -> Overhead {
        Overhead {
            head: UnifiedHeader::MAX_LEN.saturating_add(id_len),
            // The content type and the tag.
            tail: 1_usize.saturating_add(TAG_LEN),
        }
    }

    pub(crate) const fn epoch_bits(&self) -> u8 {
        self.epoch_bits
    }

    /// How many records these keys may seal (RFC 8446 §5.5): 2^24.5 with AES-GCM; as many as there are numbers with
    /// ChaCha20-Poly1305.
    pub(crate) const fn seal_limit(&self) -> u64 {
        match self.aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => 23_726_566,
            Aead::ChaCha20Poly1305 => 1 << 48,
        }
    }

    /// Seals a whole record in place: head, plaintext, and room for content type and tag. Its connection ID is `id`, or
    /// none when that is empty. `None` when the room is too short.
    pub(crate) fn seal(&self, sequence: u64, id: &[u8], content_type: ContentType, record: &mut [u8]) -> Option<()> {
        let (head, body) = record.split_at_mut_checked(Self::overhead(id.len()).head)?;
        let [.., high, low] = sequence.to_be_bytes();
        let mut header = UnifiedHeader {
            epoch_bits: self.epoch_bits,
            sequence: ShortSequence::Bits16(u16::from_be_bytes([high, low])),
            length: Some(u16::try_from(body.len()).ok()?),
        };
        // The additional data is the header with the number in the clear (RFC 9147 §4.2.3).
        header.write_with_id(&mut Writer::new(head), id).ok()?;
        let (inner, tag) = body.split_last_chunk_mut::<TAG_LEN>()?;
        *inner.last_mut()? = content_type.0;
        *tag = self.key.seal(self.nonce(sequence), head, inner);
        let sample = body.first_chunk::<SAMPLE_LEN>()?;
        header.sequence = header.sequence.masked(self.numbers.mask(*sample));
        header.write_with_id(&mut Writer::new(head), id).ok()
    }

    /// Reveals a record's number; `None` when the ciphertext is too short to be one.
    pub(crate) fn reveal(&self, header: &UnifiedHeader, body: &[u8]) -> Option<ShortSequence> {
        let sample = body.first_chunk::<SAMPLE_LEN>()?;
        Some(header.sequence.masked(self.numbers.mask(*sample)))
    }

    /// Opens the body of a record in place; the header has its number in the clear already. Lends the content and names
    /// its type; `None` when the record is not authentic.
    pub(crate) fn open<'a>(
        &self,
        header: &UnifiedHeader,
        id: &[u8],
        sequence: u64,
        body: &'a mut [u8],
    ) -> Option<(ContentType, &'a mut [u8])> {
        // What we open has an id of ours.
        let mut aad = [0; UnifiedHeader::MAX_LEN + ConnectionIds::MAX_LEN];
        let mut w = Writer::new(&mut aad);
        header.write_with_id(&mut w, id).ok()?;
        let inner = self.key.open(self.nonce(sequence), w.written(), body)?;
        Some(split_inner(inner))
    }

    fn nonce(&self, sequence: u64) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (byte, sequence) in nonce.iter_mut().rev().zip(sequence.to_be_bytes().iter().rev()) {
            *byte ^= sequence;
        }
        nonce
    }
}

/// ring does not erase its keys.
impl Drop for Protection {
    fn drop(&mut self) {
        self.iv.zeroize();
    }
}

/// Takes the first record off `datagram`, in which connection IDs have `id_len` bytes, and returns what follows, too.
pub(crate) fn split_unified(
    datagram: &mut [u8],
    id_len: usize,
) -> Result<(Parts<'_, UnifiedHeader>, &mut [u8]), wire::Error> {
    let mut r = Reader::new(datagram);
    let (header, id) = UnifiedHeader::read_with_id(&mut r, id_len)?;
    let (start, id_len) = (r.offset(), id.len());
    r.skip(header.length.map_or_else(|| r.remaining(), usize::from))?;
    let (record, rest) = datagram.split_at_mut(r.offset());
    let (head, body) = record.split_at_mut(start);
    let id = id_at(head, UnifiedHeader::ID_OFFSET, id_len);
    Ok((Parts { header, id, body }, rest))
}
