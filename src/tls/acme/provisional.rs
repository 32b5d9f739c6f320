//! The certificate that is served while the first one is on its way: browsers warn of it, and then show
//! the page that says what the appliance waits for.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::tls::certificate::{Certificate, Fault};

/// A certificate for these hosts that nobody trusts.
pub(super) fn certificate(
    hosts: &[String],
    provider: &CryptoProvider,
) -> Result<Certificate, Fault> {
    let (cert, key) = make(hosts).map_err(|_| Fault::Certificate)?;
    Certificate::of(vec![cert], key.into(), provider)
}

fn make(
    hosts: &[String],
) -> Result<(rustls::pki_types::CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), rcgen::Error>
{
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "waiting for a certificate");
    let cert = params.self_signed(&key)?;
    Ok((cert.der().clone(), key.serialize_der().into()))
}
