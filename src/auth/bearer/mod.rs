//! Programs that bring an access token of the issuer in `Authorization: Bearer` (RFC 6750).
//!
//! A token that was verified becomes a [`Session`] of this process that ends with the token, so that
//! policies, WebSockets and event streams hold for programs as for people. It has no cookie, is not
//! kept over a restart, and is found again by the digest of the token.
//!
//! This room knows `issuer`, `person` and `session`; it knows no login.

mod credential;
mod digest;
mod ended;
mod programs;
mod table;

pub use credential::Credential;
pub(crate) use programs::{Programs, Refused};
