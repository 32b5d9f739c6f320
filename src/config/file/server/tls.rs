//! `[server] tls`: certificates for https.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::shape::At;

/// A certificate of the listener and its private key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM file with the certificate, followed by the certificates between it and the root: what
    /// other servers call `fullchain.pem`. A file beside it with the same name and `.ocsp` at its
    /// end is sent as the OCSP response of the certificate.
    ///
    /// Type: path. Required. Example: `"tls/fullchain.pem"`.
    pub(crate) cert: Option<At<String>>,
    /// PEM file with the private key, not encrypted: PKCS #8, SEC 1 or PKCS #1.
    ///
    /// Type: path. Required. Example: `"tls/privkey.pem"`.
    pub(crate) key: Option<At<String>>,
}
