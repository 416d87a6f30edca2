//! The wire formats of resumption: tickets (RFC 8446 §4.6.1), and the extensions that bring them back (§4.2.9, §4.2.11).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use crate::extension::{Extensions, write_bytes8, write_extension};
use crate::registry::ExtensionType;

/// The mode of a pre-shared key that comes with a key exchange (RFC 8446 §4.2.9). The one without is not spoken here.
pub(crate) const PSK_DHE_KE: u8 = 1;

/// `NewSessionTicket` (RFC 8446 §4.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSessionTicket<'a> {
    /// How long the ticket is good, in seconds.
    pub lifetime: u32,
    /// What hides the ticket's age from those who see it come back.
    pub age_add: u32,
    /// What tells the ticket's key from those of the connection's other tickets.
    pub nonce: &'a [u8],
    /// The ticket.
    pub ticket: &'a [u8],
    /// The extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> NewSessionTicket<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let lifetime = r.u32()?;
        let age_add = r.u32()?;
        let len = r.u8()?;
        let nonce = r.take(usize::from(len))?;
        let len = r.u16()?;
        r.ensure(len > 0, "a ticket is not empty (RFC 8446 §4.6.1)")?;
        let ticket = r.take(usize::from(len))?;
        r.ensure(!r.is_empty(), "there is a block of extensions (RFC 8446 §4.6.1)")?;
        let extensions = Extensions::read(&mut r)?;
        Ok(Self {
            lifetime,
            age_add,
            nonce,
            ticket,
            extensions,
        })
    }

    /// Writes the message; without a block of extensions of its own, an empty one.
    ///
    /// # Errors
    /// When it does not fit, or the nonce has more than 255 bytes.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.lifetime)?;
        w.u32(self.age_add)?;
        write_bytes8(w, self.nonce)?;
        write_bytes16(w, self.ticket)?;
        if self.extensions == Extensions::default() {
            return w.u16(0);
        }
        self.extensions.write(w)
    }
}

/// A pre-shared key that a client offers (RFC 8446 §4.2.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedPsk<'a> {
    /// Which key: a ticket.
    pub identity: &'a [u8],
    /// The ticket's age, in milliseconds, with what hides it added.
    pub obfuscated_age: u32,
    /// The proof that the client has the key.
    pub binder: &'a [u8],
}

/// `pre_shared_key` of a `ClientHello` (RFC 8446 §4.2.11); checked to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedPsks<'a> {
    identities: &'a [u8],
    binders: &'a [u8],
}

impl<'a> OfferedPsks<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let len = r.u16()?;
        let mut list = r.sub(usize::from(len))?;
        let identities = list.peek();
        let mut count = 0_usize;
        while !list.is_empty() {
            read_identity(&mut list)?;
            count = count.saturating_add(1);
        }
        r.ensure(count > 0, "there is a key that is offered (RFC 8446 §4.2.11)")?;
        let len = r.u16()?;
        let mut list = r.sub(usize::from(len))?;
        let binders = list.peek();
        while !list.is_empty() {
            read_binder(&mut list)?;
            count = count
                .checked_sub(1)
                .ok_or_else(|| list.broken("each key has one binder (RFC 8446 §4.2.11)"))?;
        }
        r.ensure(count == 0, "each key has a binder (RFC 8446 §4.2.11)")?;
        r.finish()?;
        Ok(Self { identities, binders })
    }

    /// The keys in the client's order.
    pub fn iter(&self) -> impl Iterator<Item = OfferedPsk<'a>> + Clone + use<'a> {
        let (mut identities, mut binders) = (Reader::new(self.identities), Reader::new(self.binders));
        std::iter::from_fn(move || {
            let (identity, obfuscated_age) = read_identity(&mut identities).ok()?;
            Some(OfferedPsk {
                identity,
                obfuscated_age,
                binder: read_binder(&mut binders).ok()?,
            })
        })
    }

    /// How many bytes at the end of the hello the binders do not cover: their own list with its length (RFC 8446
    /// §4.2.11.2).
    pub const fn uncovered_len(&self) -> usize {
        self.binders.len().saturating_add(2)
    }

    /// Writes the data of the extension with these keys.
    ///
    /// # Errors
    /// When it does not fit, or a binder has more than 255 bytes.
    pub fn write<'k>(
        w: &mut Writer<'_>,
        keys: impl IntoIterator<Item = OfferedPsk<'k>, IntoIter: Clone>,
    ) -> Result<(), Full> {
        let keys = keys.into_iter();
        let list = w.reserve(2)?;
        for key in keys.clone() {
            write_bytes16(w, key.identity)?;
            w.u32(key.obfuscated_age)?;
        }
        w.fill_length(list)?;
        let list = w.reserve(2)?;
        for key in keys {
            write_bytes8(w, key.binder)?;
        }
        w.fill_length(list)
    }
}

fn read_identity<'a>(r: &mut Reader<'a>) -> Result<(&'a [u8], u32), Error> {
    let len = r.u16()?;
    r.ensure(len > 0, "the identity of a key is not empty (RFC 8446 §4.2.11)")?;
    let identity = r.take(usize::from(len))?;
    Ok((identity, r.u32()?))
}

fn read_binder<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let len = r.u8()?;
    r.ensure(len >= 32, "a binder has at least 32 bytes (RFC 8446 §4.2.11)")?;
    r.take(usize::from(len))
}

/// Writes bytes behind their length of two bytes.
fn write_bytes16(w: &mut Writer<'_>, bytes: &[u8]) -> Result<(), Full> {
    let mark = w.reserve(2)?;
    w.put(bytes)?;
    w.fill_length(mark)
}

/// Writes the extension `psk_key_exchange_modes` with the mode that we have.
pub(crate) fn write_psk_modes(w: &mut Writer<'_>) -> Result<(), Full> {
    write_extension(w, ExtensionType::PSK_KEY_EXCHANGE_MODES, |w| {
        write_bytes8(w, &[PSK_DHE_KE])
    })
}

impl<'a> Extensions<'a> {
    /// `psk_key_exchange_modes` (RFC 8446 §4.2.9).
    ///
    /// # Errors
    /// When the extension is there but malformed or empty.
    pub fn psk_modes(&self) -> Result<Option<&'a [u8]>, Error> {
        let Some(mut r) = self.get(ExtensionType::PSK_KEY_EXCHANGE_MODES) else {
            return Ok(None);
        };
        let len = r.u8()?;
        r.ensure(len > 0, "there is a mode (RFC 8446 §4.2.9)")?;
        let modes = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Some(modes))
    }

    /// `pre_shared_key` of a `ClientHello` (RFC 8446 §4.2.11).
    ///
    /// # Errors
    /// When the extension is there but malformed, empty, or without a binder for each key.
    pub fn offered_psks(&self) -> Result<Option<OfferedPsks<'a>>, Error> {
        self.get(ExtensionType::PRE_SHARED_KEY)
            .map(|mut r| OfferedPsks::read(&mut r))
            .transpose()
    }

    /// `pre_shared_key` of a `ServerHello` (RFC 8446 §4.2.11): which of the offered keys was taken, from 0 on.
    ///
    /// # Errors
    /// When the extension is there but malformed.
    pub fn selected_psk(&self) -> Result<Option<u16>, Error> {
        let Some(mut r) = self.get(ExtensionType::PRE_SHARED_KEY) else {
            return Ok(None);
        };
        let selected = r.u16()?;
        r.finish()?;
        Ok(Some(selected))
    }

    /// Whether `pre_shared_key`, if it is there, is the last extension (RFC 8446 §4.2.11).
    pub(crate) fn psks_are_last(&self) -> bool {
        let mut names = self.iter().map(|(name, _)| name);
        names
            .find(|name| *name == ExtensionType::PRE_SHARED_KEY)
            .is_none_or(|_| names.next().is_none())
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> Vec<u8> {
        let mut out = vec![0; 9000];
        let mut w = Writer::new(&mut out);
        write(&mut w).unwrap();
        w.into_written().to_vec()
    }

    fn block(names: &[(ExtensionType, &[u8])]) -> Vec<u8> {
        written(|w| {
            let mark = w.reserve(2)?;
            for (name, data) in names {
                write_extension(w, *name, |w| w.put(data))?;
            }
            w.fill_length(mark)
        })
    }

    fn psks(data: &[u8]) -> Result<usize, Error> {
        let block = block(&[(ExtensionType::PRE_SHARED_KEY, data)]);
        let extensions = Extensions::read(&mut Reader::new(&block)).unwrap();
        extensions.offered_psks().map(|psks| psks.unwrap().iter().count())
    }

    #[test]
    fn faults_of_offers_are_refused() {
        let identity = [0, 1, 9, 0, 0, 0, 7];
        let binder = [&[32][..], &[5; 32]].concat();
        let offer = |identities: &[u8], binders: &[u8]| {
            let len = |bytes: &[u8]| (bytes.len() as u16).to_be_bytes();
            [&len(identities)[..], identities, &len(binders), binders].concat()
        };
        assert_eq!(psks(&offer(&identity, &binder)), Ok(1));
        assert_eq!(psks(&offer(&identity.repeat(3), &binder.repeat(3))), Ok(3));
        for bad in [
            offer(&[], &[]),
            offer(&identity, &[]),
            offer(&identity, &binder.repeat(2)),
            offer(&identity.repeat(2), &binder),
            offer(&[0, 0, 0, 0, 0, 7], &binder),
            offer(&identity, &[&[31][..], &[5; 31]].concat()),
            offer(&identity[..6], &binder),
            [&offer(&identity, &binder)[..], &[0]].concat(),
            Vec::new(),
        ] {
            assert!(psks(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_offer_is_last_or_not() {
        let (psk, other) = (ExtensionType::PRE_SHARED_KEY, ExtensionType::COOKIE);
        for (names, last) in [
            (&[(other, &[][..]), (psk, &[])][..], true),
            (&[(psk, &[])], true),
            (&[(other, &[])], true),
            (&[], true),
            (&[(psk, &[]), (other, &[])], false),
        ] {
            let block = block(names);
            let extensions = Extensions::read(&mut Reader::new(&block)).unwrap();
            assert_eq!(extensions.psks_are_last(), last, "{names:?}");
        }
    }

    #[test]
    fn modes_and_selection() {
        let modes = |data| {
            let block = block(&[(ExtensionType::PSK_KEY_EXCHANGE_MODES, data)]);
            let extensions = Extensions::read(&mut Reader::new(&block)).unwrap();
            extensions.psk_modes().ok().map(|modes| modes.unwrap().to_vec())
        };
        assert_eq!(modes(&[2, 0, 1]), Some(vec![0, 1]));
        assert!(
            [&[][..], &[0], &[2, 1], &[1, 1, 1]]
                .into_iter()
                .all(|bad| modes(bad).is_none())
        );
        let ours = written(|w| {
            let mark = w.reserve(2)?;
            write_psk_modes(w)?;
            w.fill_length(mark)
        });
        let extensions = Extensions::read(&mut Reader::new(&ours)).unwrap();
        assert_eq!(extensions.psk_modes(), Ok(Some(&[PSK_DHE_KE][..])));
        let selected = |data| {
            let block = block(&[(ExtensionType::PRE_SHARED_KEY, data)]);
            Extensions::read(&mut Reader::new(&block)).unwrap().selected_psk()
        };
        assert_eq!(selected(&[1, 2]), Ok(Some(0x102)));
        assert!(selected(&[1]).is_err() && selected(&[0, 0, 0]).is_err());
        assert_eq!(Extensions::default().selected_psk(), Ok(None));
    }

    #[test]
    fn faults_of_tickets_are_refused() {
        let good = [0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 1, 7, 0, 0];
        let ticket = NewSessionTicket::parse(&good).unwrap();
        assert_eq!((ticket.lifetime, ticket.age_add), (1, 2));
        assert_eq!(written(|w| ticket.write(w)), good);
        for len in 0..good.len() {
            assert!(NewSessionTicket::parse(&good[..len]).is_err(), "{len}");
        }
        assert!(NewSessionTicket::parse(&[0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn tickets_go_there_and_back(
            lifetime: u32, age_add: u32, nonce in vec(any::<u8>(), 0..256), ticket in vec(any::<u8>(), 1..2000),
            data in vec(any::<u8>(), 0..20),
        ) {
            let block = block(&[(ExtensionType(42), &data)]);
            for extensions in [Extensions::default(), Extensions::read(&mut Reader::new(&block)).unwrap()] {
                let message = NewSessionTicket { lifetime, age_add, nonce: &nonce, ticket: &ticket, extensions };
                let bytes = written(|w| message.write(w));
                let again = NewSessionTicket::parse(&bytes).unwrap();
                prop_assert_eq!((again.lifetime, again.age_add), (lifetime, age_add));
                prop_assert_eq!((again.nonce, again.ticket), (&nonce[..], &ticket[..]));
                prop_assert!(again.extensions.iter().map(|(name, _)| name).eq(extensions.iter().map(|(name, _)| name)));
                prop_assert_eq!(written(|w| again.write(w)), bytes);
            }
        }

        #[test]
        fn offers_go_there_and_back(
            keys in vec((vec(any::<u8>(), 1..300), any::<u32>(), vec(any::<u8>(), 32..100)), 1..6),
        ) {
            let keys: Vec<_> = keys
                .iter()
                .map(|(identity, age, binder)| OfferedPsk { identity, obfuscated_age: *age, binder })
                .collect();
            let data = written(|w| OfferedPsks::write(w, keys.iter().copied()));
            let block = block(&[(ExtensionType::PRE_SHARED_KEY, &data)]);
            let extensions = Extensions::read(&mut Reader::new(&block)).unwrap();
            let offered = extensions.offered_psks().unwrap().unwrap();
            prop_assert_eq!(offered.iter().collect::<Vec<_>>(), &keys[..]);
            let binders: usize = keys.iter().map(|key| 1 + key.binder.len()).sum();
            prop_assert_eq!(offered.uncovered_len(), 2 + binders);
            prop_assert_eq!(written(|w| OfferedPsks::write(w, offered.iter())), data);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..120)) {
            if let Ok(message) = NewSessionTicket::parse(&bytes) {
                prop_assert_eq!(written(|w| message.write(w)), &bytes[..]);
            }
            let block = block(&[(ExtensionType::PRE_SHARED_KEY, &bytes)]);
            let extensions = Extensions::read(&mut Reader::new(&block)).unwrap();
            if let Ok(Some(offered)) = extensions.offered_psks() {
                prop_assert_eq!(written(|w| OfferedPsks::write(w, offered.iter())), bytes);
            }
        }
    }
}
