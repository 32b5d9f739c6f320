//! The issuer: discovery, tokens and people.

pub(crate) mod http_client;
pub(crate) mod person_reader;
pub(crate) mod provider;
pub(crate) mod token_endpoint;
mod transport;
pub(crate) mod untrusted_text;
pub(crate) mod watch;
