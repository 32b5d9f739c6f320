//! A signed-in person, and what they may.

pub(crate) mod assertion;
pub(crate) mod claims;
pub(crate) mod email;
pub(crate) mod identity;
pub mod policy;

#[cfg(test)]
#[path = "../../../tests/unit/auth/person/fixtures.rs"]
pub(crate) mod fixtures;
