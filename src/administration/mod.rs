//! The first administrator of the Keycloak that a preset runs: a link that works once, and the account
//! that is made with it by Keycloak's admin REST API.
//!
//! The front door shows the page, see `proxy/own/first_administrator`; this folder knows the link and
//! Keycloak.
//!
//! ```text
//! first_administrator → link (which token is good), store (its file), access
//! access → admin_api
//! admin_api → call (one request over loopback), words (why Keycloak refuses)
//! ```

mod access;
mod admin_api;
mod call;
mod first_administrator;
mod link;
mod store;
mod words;

pub(crate) use first_administrator::{Administration, AtStart};
