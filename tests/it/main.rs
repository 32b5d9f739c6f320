//! Tests from outside.

#![expect(clippy::unwrap_used, reason = "what is unexpected ends the test")]

mod auth;
mod issuer;
