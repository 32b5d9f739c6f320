//! `appliance.toml` → [`Config`].
//!
//! [`file`] mirrors the TOML one to one; [`check`] turns it into the validated model below and
//! collects *every* problem on the way. Nothing here spawns, binds or asks the network: a
//! `Config` is a value, and whoever holds one knows that it is sound.

mod access;
mod app;
mod ports;
mod secret;
mod server;
mod values;

use std::path::PathBuf;

pub use access::{Access, Constraints, PathPattern, Rule};
pub use app::{
    After, App, Backoff, EnvValue, Identity, Limits, Notify, Phase, Probe, ProbeKind, Restart,
    Route, Run, Setup, StopPlan, Until, Upstream,
};
pub use secret::{Secret, SecretError, SecretSource};
pub use server::{Color, Listen, Log, LogFormat, Oidc, Server, Session};
pub use values::{AppName, Dial, PublicUrl};

/// A whole, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Folder of that file, absolute: where relative paths start.
    pub dir: PathBuf,
    /// The front door.
    pub server: Server,
    /// What is logged, and how.
    pub log: Log,
    /// Who signs people in; `None` when every routed app is public.
    pub oidc: Option<Oidc>,
    /// How long a login lasts.
    pub session: Session,
    /// The enabled apps in the order of the file.
    pub apps: Vec<App>,
}

impl Config {
    /// The app of that name.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.name.as_str() == name)
    }
}
