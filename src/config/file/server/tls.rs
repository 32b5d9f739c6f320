//! `[server] tls`: certificates for https.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::shape::At;

/// Where a certificate of the listener comes from: files, or the appliance's own authority.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM file with the certificate, followed by the certificates between it and the root: what
    /// other servers call `fullchain.pem`. A file beside it with the same name and `.ocsp` at its
    /// end is sent as the OCSP response of the certificate.
    ///
    /// Type: path. Required unless `internal`. Example: `"tls/fullchain.pem"`.
    pub(crate) cert: Option<At<String>>,
    /// PEM file with the private key, not encrypted: PKCS #8, SEC 1 or PKCS #1.
    ///
    /// Type: path. Required unless `internal`. Example: `"tls/privkey.pem"`.
    pub(crate) key: Option<At<String>>,
    /// Instead of files: a certificate authority of the appliance's own in `state_dir`, for names of a
    /// local network. It makes and renews the certificate for the host of `public_url` and each `host`
    /// of an app. Browsers must be told once to trust the authority: `appliance ca` prints its
    /// certificate, which is also at `/_appliance/ca.pem`. See [docs/https.md](https.md).
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) internal: Option<At<bool>>,
}
