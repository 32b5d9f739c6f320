//! `[server] tls`: certificates for https.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::shape::At;

/// Where a certificate of the listener comes from: files, the appliance's own authority, or ACME.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM file with the certificate, followed by the certificates between it and the root: what
    /// other servers call `fullchain.pem`. A file beside it with the same name and `.ocsp` at its
    /// end is sent as the OCSP response of the certificate.
    ///
    /// Type: path. Required unless `internal` or `acme`. Example: `"tls/fullchain.pem"`.
    pub(crate) cert: Option<At<String>>,
    /// PEM file with the private key, not encrypted: PKCS #8, SEC 1 or PKCS #1.
    ///
    /// Type: path. Required unless `internal` or `acme`. Example: `"tls/privkey.pem"`.
    pub(crate) key: Option<At<String>>,
    /// Instead of files: a certificate authority of the appliance's own in `state_dir`, for names of a
    /// local network. It makes and renews the certificate for the host of `public_url` and each `host`
    /// of an app. Browsers must be told once to trust the authority: `appliance ca` prints its
    /// certificate, which is also at `/_appliance/ca.pem`. See [docs/https.md](https.md).
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) internal: Option<At<bool>>,
    /// Instead of files: an authority that checks by ACME that the hosts lead to the appliance, such as
    /// Let's Encrypt. It is asked for one certificate for the host of `public_url` and each `host` of an
    /// app, and again at two thirds of its life. `{}` is Let's Encrypt. See [docs/https.md](https.md).
    ///
    /// Type: table. Default: none. Example: `{ email = "ops@example.org" }`.
    pub(crate) acme: Option<At<Acme>>,
}

/// An authority that is asked by ACME. With this setting you accept the terms of service of the authority.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acme {
    /// Address that the authority may write to, for example about a certificate that was revoked.
    ///
    /// Type: string. Default: none. Example: `"ops@example.org"`.
    pub(crate) email: Option<At<String>>,
    /// URL of the directory of the authority. Try new settings with the staging directory of Let's
    /// Encrypt, `https://acme-staging-v02.api.letsencrypt.org/directory`: it counts failures less
    /// strictly.
    ///
    /// Type: URL. Default: `"https://acme-v02.api.letsencrypt.org/directory"`. Example:
    /// `"https://ca.example.org/acme/directory"`.
    pub(crate) directory: Option<At<String>>,
    /// PEM file with the roots of a private authority, in place of those of the system: for the
    /// connection to the directory.
    ///
    /// Type: path. Default: the roots of the system. Example: `"acme-ca.pem"`.
    pub(crate) ca_file: Option<At<String>>,
}
