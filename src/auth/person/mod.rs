//! A signed-in person: what the issuer says about them, what they may open, and the signed
//! assertion that tells an app who they are. This room knows no issuer and no session.

mod assertion;
mod claim_paths;
pub(crate) mod claims;
mod email;
mod exclusion;
pub mod finding;
mod header_value;
mod identity;
pub mod policy;
mod reading;
mod reason;
mod signer;

#[cfg(test)]
#[path = "../../../tests/unit/auth/person/fixtures.rs"]
mod fixtures;

pub(crate) use assertion::Assertions;
pub(crate) use claim_paths::ClaimPaths;
pub use email::Email;
pub use identity::{Person, PersonHeaders};
pub(crate) use signer::Signer;
