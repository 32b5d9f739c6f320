//! `appliance.toml` → [`Config`].
//!
//! [`file`] mirrors the TOML one to one; [`check`] turns it into the validated model below and
//! collects *every* problem on the way. Nothing here spawns, serves or asks the network: a
//! `Config` is a value, and whoever holds one knows that it is sound.
//!
//! ```text
//! text → decode (document, then structs, every complaint) → interpolate (${X})
//!      → preset (data laid under an app's table) → check → Config
//!      → assign_ports → preflight (what only this machine can tell)
//! ```

mod check;
mod expanded;
mod file;
mod grammar;
mod load;
mod model;
mod preflight;
mod preset;
mod read;
mod report;

pub use file::schema::schema;
pub use load::ConfigError;
pub use model::{
    Access, After, App, AppName, Backoff, Color, Config, Constraints, Dial, EnvValue, Identity,
    Limits, Listen, Log, LogFormat, Notify, Oidc, PATH, PathPattern, Phase, Probe, ProbeKind,
    PublicUrl, Restart, Route, Rule, Run, Secret, SecretError, SecretSource, Server, Session,
    Setup, Shield, StopPlan, Until, Upstream, made_once,
};
pub use report::problem::{Place, Problem, Severity};
