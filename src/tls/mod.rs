//! TLS of the listeners: the certificates, and which one a client is shown. And TLS to apps: what
//! verifies them.
//!
//! ```text
//! follow → front → acme, own_ca → served → challenges, certificate → ocsp
//! to_apps → certificate
//! ```
//!
//! **Guarantees.** A certificate is served only with the private key that belongs to it, and with an
//! OCSP response only if that is one for it. Files that cannot be used change nothing: the certificates that
//! are served stay.

mod acme;
mod certificate;
mod challenges;
mod follow;
mod front;
mod ocsp;
mod own_ca;
mod served;
mod stamp;
pub mod to_apps;

pub use certificate::CertificateError;
pub(crate) use challenges::ACME_TLS;
pub use follow::follow;
pub use front::Front;
pub(crate) use front::HTTP2;
pub use own_ca::Root;

#[cfg(test)]
#[path = "../../tests/unit/tls/authority.rs"]
mod authority;
