//! The authority in its file, and the certificates that it signs.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::constraints;
use super::root::Root;
use crate::config::ownership::own_file;
use crate::config::reserved::CA;
use crate::tls::certificate::{Certificate, CertificateError};

/// How long people need not trust a new authority.
const LIFE: Duration = Duration::from_hours(20 * 365 * 24);
/// How long a certificate is valid that is served.
const LIFE_OF_LEAF: Duration = Duration::from_hours(30 * 24);
/// 2026-01-01, before which no clock is right.
const EARLIEST: Duration = Duration::from_hours(20_454 * 24);
/// Machines whose clock is slow by this much accept a new certificate.
const SLOW_CLOCK: Duration = Duration::from_hours(1);
/// Longest part of a host in the name of an authority, which has at most 64 characters.
const SHOWN: usize = 40;

const DAMAGED: &str = "has no certificate authority; remove the file: the next start makes a new one, \
                       which browsers must be told to trust";

/// The authority: its key signs.
#[derive(Debug)]
pub(in crate::tls) struct OwnCa {
    issuer: Issuer<'static, KeyPair>,
    root: Root,
}

/// What became of the authority when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tls) enum Opened {
    /// It was in `state_dir`.
    Found,
    /// There was none.
    Made,
    /// It was replaced by a new one, for this reason.
    Replaced(String),
}

impl OwnCa {
    /// Reads the authority in `state_dir`; makes a new one if there is none that can sign for these
    /// hosts.
    pub(in crate::tls) fn open(
        state_dir: &Path,
        hosts: &[String],
        now: SystemTime,
    ) -> Result<(Self, Opened), CertificateError> {
        let (file, mut opened) = (state_dir.join(CA), Opened::Made);
        if let Some(found) = Self::read(state_dir)? {
            match found.root.unusable(hosts, now) {
                None => return Ok((found, Opened::Found)),
                Some(why) => opened = Opened::Replaced(why),
            }
        }
        let failed = |why: String| CertificateError::new(&file, why);
        let (made, text) =
            Self::make(hosts, now).map_err(|error| failed(format!("cannot be made: {error}")))?;
        own_file::replace(&file, &text)
            .map_err(|error| failed(format!("cannot be written: {error}")))?;
        Ok((made, opened))
    }

    /// The authority in `state_dir`; `None` if there is none.
    pub(in crate::tls) fn read(state_dir: &Path) -> Result<Option<Self>, CertificateError> {
        let file = state_dir.join(CA);
        let text = match own_file::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(CertificateError::new(&file, format!("cannot be read: {error}")));
            }
            Ok(text) => text,
        };
        // The errors of the parser could show a part of the key.
        let parsed = KeyPair::from_pem(&text).ok().zip(Root::in_text(&text));
        let found = parsed.and_then(|(key, root)| Self::of(key, root).ok());
        found.map(Some).ok_or_else(|| CertificateError::new(&file, DAMAGED))
    }

    fn of(key: KeyPair, root: Root) -> Result<Self, rcgen::Error> {
        let is_its_key = root.parsed().is_some_and(|parsed| {
            parsed.public_key().raw == key.subject_public_key_info().as_slice()
        });
        if !is_its_key {
            return Err(rcgen::Error::CouldNotParseKeyPair);
        }
        Ok(Self { issuer: Issuer::from_ca_cert_der(&root.der, key)?, root })
    }

    /// A new authority, and the text of its file.
    fn make(hosts: &[String], now: SystemTime) -> Result<(Self, String), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "appliance");
        params.distinguished_name.push(DnType::CommonName, name(hosts, &key));
        // Not the clock alone: the first start may come before the machine knows the time.
        let earliest = SystemTime::UNIX_EPOCH + EARLIEST;
        params.not_before = earliest.into();
        params.not_after = (now.max(earliest) + LIFE).into();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(constraints::permitting(hosts));
        let root = params.self_signed(&key)?;
        let root = Root { pem: root.pem(), der: root.der().clone() };
        let text = format!("{}{}", key.serialize_pem(), root.pem);
        Ok((Self::of(key, root)?, text))
    }

    /// Its certificate, for browsers.
    pub(in crate::tls) fn root(&self) -> &Root {
        &self.root
    }

    /// A certificate for these hosts with a key of its own.
    pub(in crate::tls) fn issue(
        &self,
        hosts: &[String],
        now: SystemTime,
        provider: &CryptoProvider,
    ) -> Result<Certificate, CertificateError> {
        let failed =
            |why: &dyn std::fmt::Display| CertificateError::new(Path::new(CA), why.to_string());
        let (leaf, key) = self.sign(hosts, now).map_err(|error| {
            failed(&format_args!("cannot sign a certificate for {}: {error}", hosts.join(", ")))
        })?;
        Certificate::of(vec![leaf], key.into(), provider).map_err(|why| failed(&why))
    }

    fn sign(
        &self,
        hosts: &[String],
        now: SystemTime,
    ) -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(hosts.to_vec())?;
        params.distinguished_name = DistinguishedName::new();
        // Not a host: some programs hold the common name against the constraints as well.
        params.distinguished_name.push(DnType::CommonName, "appliance");
        params.not_before = (now - SLOW_CLOCK).into();
        params.not_after = (now + LIFE_OF_LEAF).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer)?;
        Ok((leaf.der().clone(), key.serialize_der().into()))
    }
}

/// Distinguishes the authority from an earlier one for the same hosts in the lists of browsers.
fn name(hosts: &[String], key: &KeyPair) -> String {
    let host: String =
        hosts.first().map(String::as_str).unwrap_or_default().chars().take(SHOWN).collect();
    let digest = ring::digest::digest(&ring::digest::SHA256, key.public_key_raw());
    let short = digest.as_ref().first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    format!("appliance {host} {short:08x}")
}

#[cfg(test)]
#[path = "../../../tests/unit/tls/own_ca.rs"]
mod tests;
