//! `appliance.toml` as it is written: one struct per table, one field per key.
//!
//! The doc comments of the fields are the settings reference: they become the JSON schema, which
//! editors show, and `docs/settings.md`. The last paragraph of a comment has the form `Type: ….
//! Default: …. Example: ….`, or `Required.` in place of the default.
//!
//! The structs check only types and names of keys. Nearly all keys are optional, so that the check
//! can report every missing key in one sentence.

mod access;
mod alerts;
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

pub(crate) use access::{Access, AccessDefault, Constraints, Rule, Tables};
pub(crate) use alerts::{AlertEvent, AlertFormat, Alerts};
pub(crate) use app::App;
pub(crate) use document::File;
pub(crate) use identity::Identity;
pub(crate) use life::{After, Backoff, Restart, StopTarget, Until};
pub(crate) use oidc::{GroupsOverage, Oidc, Session};
pub(crate) use preset::{KeycloakPreset, PythonPreset, StaticPreset};
pub(crate) use probe::{Notify, Probe};
pub(crate) use run::{Limits, Setup};
pub(crate) use secret::{EnvValue, SecretRef};
pub(crate) use server::{Acme, Color, Log, LogFormat, RateLimit, Server, Tls, Users};
pub(crate) use shape::{
    At, FlagOr, FlagOrText, NameOrNumber, OneOrMany, OneOrManyNumbers, OneOrManyTables, Size, Span,
    TABLES, TableOrTables, TextOr, TextOrTables,
};
