//! `appliance.toml` as it is written: one struct per table, one field per key.
//!
//! The comments on the fields are the reference: `appliance schema` shows them, and editors show
//! the schema. Nothing is checked here beyond types and names of keys; every key is optional, so
//! that the check can say in one sentence what is missing.

mod access;
mod app;
mod document;
mod identity;
mod life;
mod oidc;
mod preset;
mod probe;
mod run;
pub(crate) mod schema;
mod secret;
mod server;
mod shape;

pub(crate) use access::{Access, AccessDefault, Constraints, Rule};
pub(crate) use app::App;
pub(crate) use document::File;
pub(crate) use identity::Identity;
pub(crate) use life::{After, Backoff, Restart, Until};
pub(crate) use oidc::{Oidc, Session};
pub(crate) use preset::{KeycloakPreset, StreamlitPreset};
pub(crate) use probe::{Notify, Probe};
pub(crate) use run::{Limits, Setup};
pub(crate) use secret::{EnvValue, SecretRef};
pub(crate) use server::{Color, Log, LogFormat, Server, Users};
pub(crate) use shape::{At, FlagOr, NameOrNumber, OneOrMany, Size, Span, TABLES, TextOr};
