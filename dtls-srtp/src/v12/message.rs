//! The messages of DTLS 1.2 other than the hellos.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use crate::extension::{List16, write_bytes8, write_list16};
use crate::registry::{NamedGroup, SignatureScheme, Version};

/// `HelloVerifyRequest` (RFC 6347 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelloVerifyRequest<'a> {
    /// Says nothing about the version of the connection.
    pub version: Version,
    /// What the next `ClientHello` has to repeat.
    pub cookie: &'a [u8],
}

impl<'a> HelloVerifyRequest<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let version = Version(r.u16()?);
        let len = r.u8()?;
        let cookie = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Self { version, cookie })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u16(self.version.0)?;
        write_bytes8(w, self.cookie)
    }
}

/// `Certificate` (RFC 5246 §7.4.2): a chain, the peer's own certificate first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateChain<'a> {
    list: &'a [u8],
}

impl<'a> CertificateChain<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let len = r.u24()?;
        let mut certificates = r.sub(usize::try_from(len).unwrap_or(usize::MAX))?;
        r.finish()?;
        let list = certificates.peek();
        while !certificates.is_empty() {
            let len = certificates.u24()?;
            certificates.ensure(len > 0, "a certificate is not empty")?;
            certificates.skip(usize::try_from(len).unwrap_or(usize::MAX))?;
        }
        Ok(Self { list })
    }

    /// The certificates in DER.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut r = Reader::new(self.list);
        std::iter::from_fn(move || {
            let len = r.u24().ok()?;
            r.take(usize::try_from(len).ok()?).ok()
        })
    }

    /// Writes the message with one certificate.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write_one(w: &mut Writer<'_>, der: &[u8]) -> Result<(), Full> {
        let list = w.reserve(3)?;
        let certificate = w.reserve(3)?;
        w.put(der)?;
        w.fill_length(certificate)?;
        w.fill_length(list)
    }

    /// Writes the message as it was read.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        let list = w.reserve(3)?;
        w.put(self.list)?;
        w.fill_length(list)
    }
}

/// `ServerKeyExchange` for ECDHE with a named curve (RFC 8422 §5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerKeyExchange<'a> {
    /// The group.
    pub group: NamedGroup,
    /// The server's share.
    pub share: &'a [u8],
    /// How it is signed.
    pub scheme: SignatureScheme,
    /// The signature over both randoms and [`parameters`](Self::parameters).
    pub signature: &'a [u8],
    /// `ServerECDHParams`: what is signed, as it stands in the message.
    pub parameters: &'a [u8],
}

/// `ECCurveType.named_curve` (RFC 8422 §5.4).
const NAMED_CURVE: u8 = 3;

impl<'a> ServerKeyExchange<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        r.ensure(
            r.peek_u8() == Some(NAMED_CURVE),
            "the curve is a named one (RFC 8422 §5.4)",
        )?;
        r.skip(1)?;
        let group = NamedGroup(r.u16()?);
        let len = r.u8()?;
        r.ensure(len > 0, "a key share is not empty (RFC 8422 §5.4)")?;
        let share = r.take(usize::from(len))?;
        let parameters = body.get(..r.offset()).unwrap_or_default();
        let scheme = SignatureScheme(r.u16()?);
        let len = r.u16()?;
        let signature = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Self {
            group,
            share,
            scheme,
            signature,
            parameters,
        })
    }

    /// Writes `ServerECDHParams`, the part that is signed.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write_parameters(w: &mut Writer<'_>, group: NamedGroup, share: &[u8]) -> Result<(), Full> {
        w.u8(NAMED_CURVE)?;
        w.u16(group.0)?;
        write_bytes8(w, share)
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        Self::write_parameters(w, self.group, self.share)?;
        CertificateVerify {
            scheme: self.scheme,
            signature: self.signature,
        }
        .write(w)
    }
}

/// `CertificateRequest` (RFC 5246 §7.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateRequest<'a> {
    /// Kinds of certificate, see [`ClientCertificateType`](crate::ClientCertificateType).
    pub certificate_types: &'a [u8],
    /// Signature schemes that the server verifies.
    pub schemes: List16<'a>,
    /// Names of authorities; nobody in WebRTC has any.
    pub authorities: &'a [u8],
}

impl<'a> CertificateRequest<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let len = r.u8()?;
        r.ensure(len > 0, "there is a certificate type (RFC 5246 §7.4.4)")?;
        let certificate_types = r.take(usize::from(len))?;
        let len = r.u16()?;
        let schemes = List16::read(&mut r.sub(usize::from(len))?)?;
        let len = r.u16()?;
        let authorities = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Self {
            certificate_types,
            schemes,
            authorities,
        })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        write_bytes8(w, self.certificate_types)?;
        write_list16(w, self.schemes.iter())?;
        let mark = w.reserve(2)?;
        w.put(self.authorities)?;
        w.fill_length(mark)
    }
}

/// `ClientKeyExchange` for ECDHE (RFC 8422 §5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientKeyExchange<'a> {
    /// The client's share.
    pub share: &'a [u8],
}

impl<'a> ClientKeyExchange<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let len = r.u8()?;
        r.ensure(len > 0, "a key share is not empty (RFC 8422 §5.7)")?;
        let share = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Self { share })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        write_bytes8(w, self.share)
    }
}

/// `CertificateVerify` (RFC 5246 §7.4.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateVerify<'a> {
    /// How it is signed.
    pub scheme: SignatureScheme,
    /// The signature over all handshake messages before this one.
    pub signature: &'a [u8],
}

impl<'a> CertificateVerify<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let scheme = SignatureScheme(r.u16()?);
        let len = r.u16()?;
        let signature = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Self { scheme, signature })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u16(self.scheme.0)?;
        let mark = w.reserve(2)?;
        w.put(self.signature)?;
        w.fill_length(mark)
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

    /// What `write` puts down.
    fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> Vec<u8> {
        let mut out = vec![0; 5000];
        let mut w = Writer::new(&mut out);
        write(&mut w).unwrap();
        let len = w.position();
        out.truncate(len);
        out
    }

    #[test]
    fn empty_things_are_refused_where_the_rfc_says_so() {
        assert!(ClientKeyExchange::parse(&[0]).is_err());
        assert!(ServerKeyExchange::parse(&[3, 0, 29, 0, 4, 3, 0, 0]).is_err());
        assert!(ServerKeyExchange::parse(&[1, 0, 29, 1, 7, 4, 3, 0, 0]).is_err());
        assert!(CertificateRequest::parse(&[0, 0, 2, 4, 3, 0, 0]).is_err());
        assert!(CertificateChain::parse(&[0, 0, 3, 0, 0, 0]).is_err());
        assert_eq!(CertificateChain::parse(&[0, 0, 0]).unwrap().iter().count(), 0);
    }

    proptest! {
        #[test]
        fn messages_go_there_and_back(
            cookie in vec(any::<u8>(), 0..=255), ders in vec(vec(any::<u8>(), 1..300), 0..4), group: u16,
            share in vec(any::<u8>(), 1..=255), scheme: u16, signature in vec(any::<u8>(), 0..600),
            types in vec(any::<u8>(), 1..5), schemes in vec(any::<u16>(), 1..20), authorities in vec(any::<u8>(), 0..50),
        ) {
            let (group, scheme) = (NamedGroup(group), SignatureScheme(scheme));
            let hvr = HelloVerifyRequest { version: Version::DTLS_1_0, cookie: &cookie };
            let bytes = written(|w| hvr.write(w));
            prop_assert_eq!(HelloVerifyRequest::parse(&bytes), Ok(hvr));

            let list: Vec<u8> = ders.iter().flat_map(|der| [&(der.len() as u32).to_be_bytes()[1..], der].concat()).collect();
            let chain = CertificateChain { list: &list };
            let bytes = written(|w| chain.write(w));
            prop_assert_eq!(CertificateChain::parse(&bytes), Ok(chain));
            prop_assert!(chain.iter().eq(ders.iter().map(Vec::as_slice)));

            let parameters = written(|w| ServerKeyExchange::write_parameters(w, group, &share));
            let ske = ServerKeyExchange { group, share: &share, scheme, signature: &signature, parameters: &parameters };
            let bytes = written(|w| ske.write(w));
            prop_assert_eq!(ServerKeyExchange::parse(&bytes), Ok(ske));

            let schemes: Vec<u8> = schemes.iter().flat_map(|scheme| scheme.to_be_bytes()).collect();
            let schemes = List16::read(&mut Reader::new(&schemes)).unwrap();
            let request = CertificateRequest { certificate_types: &types, schemes, authorities: &authorities };
            let bytes = written(|w| request.write(w));
            prop_assert_eq!(CertificateRequest::parse(&bytes), Ok(request));

            let cke = ClientKeyExchange { share: &share };
            let bytes = written(|w| cke.write(w));
            prop_assert_eq!(ClientKeyExchange::parse(&bytes), Ok(cke));

            let verify = CertificateVerify { scheme, signature: &signature };
            let bytes = written(|w| verify.write(w));
            prop_assert_eq!(CertificateVerify::parse(&bytes), Ok(verify));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..100)) {
            let _ = HelloVerifyRequest::parse(&bytes);
            let _ = CertificateChain::parse(&bytes).map(|chain| chain.iter().count());
            let _ = ServerKeyExchange::parse(&bytes);
            let _ = CertificateRequest::parse(&bytes);
            let _ = ClientKeyExchange::parse(&bytes);
            let _ = CertificateVerify::parse(&bytes);
        }
    }
}
