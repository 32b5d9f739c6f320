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

mod access;
mod app;
mod check;
mod decode;
mod expanded;
mod file;
mod grammar;
mod interpolate;
mod mask;
mod placeholder;
mod ports;
mod preflight;
mod preset;
mod problem;
mod secret;
mod server;
mod suggest;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};

pub use access::{Access, Constraints, PathPattern, Rule};
pub use app::{
    After, App, Backoff, EnvValue, Identity, Limits, Notify, Phase, Probe, ProbeKind, Restart,
    Route, Run, Setup, StopPlan, Until, Upstream,
};
pub use problem::{Place, Problem, Severity};
pub use secret::{Secret, SecretError, SecretSource, made_once};
pub use server::{Color, Listen, Log, LogFormat, Oidc, Server, Session};
pub use values::{AppName, Dial, PublicUrl};

/// `PATH` of apps where we have none ourselves.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
    /// What came by `${X}` from a variable that is called like a secret: never to be shown.
    pub secrets: Vec<Secret>,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// As it was given.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// All that is wrong in it, in the order of the file.
    Invalid(Vec<Problem>),
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Invalid(_) => None,
        }
    }
}

impl fmt::Display for ConfigError {
    /// Each problem with its line, a caret and help, a blank line between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = match self {
            Self::Unreadable { path, source } => {
                return write!(
                    f,
                    "cannot read the configuration {}: {source}; name another with --config",
                    path.display()
                );
            }
            Self::Invalid(problems) => problems,
        };
        for (at, problem) in problems.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

/// The JSON schema of `appliance.toml`, for editors.
pub fn schema() -> String {
    format!("{:#}\n", file::schema::<file::File>().as_value())
}

impl Config {
    /// Reads and checks a file. `lookup` gives the variables of our environment.
    pub fn load(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let whole = std::path::absolute(path).map_err(unreadable)?;
        let dir = whole.parent().unwrap_or(Path::new("/"));
        let name = path.display().to_string();
        let text = String::from_utf8_lossy(&bytes);
        let mut problems = problem::Problems::new(problem::Source { name: &name, text: &text });
        if let Err(error) = std::str::from_utf8(&bytes) {
            let at = error.valid_up_to();
            problems.error(&(at..at + 1), "this is no text in UTF-8; save the file as UTF-8");
            return Err(ConfigError::Invalid(problems.into_sorted()));
        }
        let config = check::check(path, dir, &lookup, &mut problems);
        config.ok_or_else(|| ConfigError::Invalid(problems.into_sorted()))
    }

    /// Where an appliance that was started with this file keeps its state, as far as that can be
    /// told from a file that has errors by now.
    pub fn state_dir(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let text = std::fs::read_to_string(path).ok()?;
        let whole = std::path::absolute(path).ok()?;
        let mut problems = problem::Problems::new(problem::Source { name: "", text: &text });
        check::state_dir(whole.parent()?, &lookup, &mut problems)
    }

    /// The app of that name.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.name.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration from its text.
    pub(in crate::config) fn config(text: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("appliance.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"))
    }
}
