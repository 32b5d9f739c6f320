//! The whole, checked configuration.

use std::path::PathBuf;

use super::app::App;
use super::oidc::{Oidc, Session};
use super::secret::Secret;
use super::server::{Log, Server};

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

impl Config {
    /// The app of that name.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.name.as_str() == name)
    }
}
