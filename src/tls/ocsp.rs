//! The OCSP response beside a certificate (RFC 6960 section 4.2). Every client gets all of it, and a wrong
//! one ends handshakes, so that only a response for this certificate is sent.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use x509_parser::asn1_rs::{Any, Class, FromDer as _, GeneralizedTime, Tag};

/// `id-pkix-ocsp-basic`, the only kind of response: 1.3.6.1.5.5.7.48.1.1.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// The status `successful`.
const SUCCESSFUL: &[u8] = &[0];

/// Why a response is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("is no OCSP response; `openssl ocsp … -respout FILE` writes one")]
    Malformed,
    #[error("says that the authority could not answer; ask it again")]
    Unsuccessful,
    #[error("is for another certificate; ask for one for this certificate")]
    OtherCertificate,
    #[error("is over; ask for a new one")]
    Ended,
}

/// A response that is not sent. The same one is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unsent {
    pub(super) why: String,
    content: [u8; 32],
}

impl Unsent {
    pub(super) fn new(why: String, content: &[u8]) -> Self {
        Self { why, content: Sha256::digest(content).into() }
    }
}

/// The file with the OCSP response of a certificate.
pub(super) fn ocsp_file(cert: &Path) -> PathBuf {
    let mut name = cert.as_os_str().to_owned();
    name.push(".ocsp");
    name.into()
}

/// Until when the response for this certificate may be sent; `None` if it does not say. `serial`: the
/// content of the certificate's serial number in DER.
pub(super) fn end(
    response: &[u8],
    serial: &[u8],
    now: SystemTime,
) -> Result<Option<SystemTime>, Fault> {
    let mut responses = responses(response)?;
    while !responses.is_over() {
        let mut single = responses.sequence()?;
        let mut id = single.sequence()?;
        // The algorithm, and the hashes of the issuer's name and key.
        id.sequence()?;
        id.universal(Tag::OctetString)?;
        id.universal(Tag::OctetString)?;
        if id.universal(Tag::Integer)? != serial {
            continue;
        }
        // The status of the certificate, then `thisUpdate`.
        single.any()?;
        single.universal(Tag::GeneralizedTime)?;
        let end = single.explicit(0).map(|mut next| next.time()).transpose()?;
        return match end {
            Some(end) if end <= now => Err(Fault::Ended),
            end => Ok(end),
        };
    }
    Err(Fault::OtherCertificate)
}

/// The single responses of an `OCSPResponse`.
fn responses(response: &[u8]) -> Result<Elements<'_>, Fault> {
    let mut file = Elements(response);
    let mut whole = file.sequence()?;
    if !file.is_over() {
        return Err(Fault::Malformed);
    }
    if whole.universal(Tag::Enumerated)? != SUCCESSFUL {
        return Err(Fault::Unsuccessful);
    }
    let mut bytes = whole.explicit(0).ok_or(Fault::Malformed)?.sequence()?;
    if bytes.universal(Tag::Oid)? != BASIC {
        return Err(Fault::Malformed);
    }
    let mut basic = Elements(bytes.universal(Tag::OctetString)?).sequence()?;
    let mut data = basic.sequence()?;
    // The algorithm of the signature, and the signature.
    basic.sequence()?;
    basic.universal(Tag::BitString)?;
    // The version, the responder, and `producedAt`.
    data.explicit(0);
    data.any()?;
    data.universal(Tag::GeneralizedTime)?;
    data.sequence()
}

/// Elements of DER that follow each other.
struct Elements<'r>(&'r [u8]);

impl<'r> Elements<'r> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn any(&mut self) -> Result<Any<'r>, Fault> {
        let (rest, found) = Any::from_der(self.0).map_err(|_| Fault::Malformed)?;
        self.0 = rest;
        Ok(found)
    }

    /// The content of the next element, which is of this type.
    fn universal(&mut self, tag: Tag) -> Result<&'r [u8], Fault> {
        let found = self.any()?;
        let is_it = found.class() == Class::Universal && found.tag() == tag;
        is_it.then(|| found.as_bytes()).ok_or(Fault::Malformed)
    }

    fn sequence(&mut self) -> Result<Self, Fault> {
        self.universal(Tag::Sequence).map(Self)
    }

    /// What is in the next element, if it has this tag of its own.
    fn explicit(&mut self, tag: u32) -> Option<Self> {
        let (rest, found) = Any::from_der(self.0).ok()?;
        let is_it = found.class() == Class::ContextSpecific && found.tag() == Tag(tag);
        is_it.then(|| {
            self.0 = rest;
            Self(found.as_bytes())
        })
    }

    fn time(&mut self) -> Result<SystemTime, Fault> {
        let text = self.universal(Tag::GeneralizedTime)?;
        let time = GeneralizedTime::from_bytes(text).and_then(|time| time.utc_datetime());
        let seconds = time.map_err(|_| Fault::Malformed)?.unix_timestamp();
        let seconds = u64::try_from(seconds).map_err(|_| Fault::Ended)?;
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }
}

#[cfg(test)]
#[path = "../../tests/unit/tls/ocsp.rs"]
pub(super) mod tests;
