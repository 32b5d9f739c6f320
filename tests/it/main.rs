//! Tests from outside.

mod auth;
mod issuer;
