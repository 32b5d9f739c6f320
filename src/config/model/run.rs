//! The process of an app and its environment.

use std::path::PathBuf;

use super::secret::SecretSource;
use crate::config::ownership::account::{Account, AccountError, OwnUser, resolve};

/// `PATH` of apps if the appliance has none.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A child process with its environment and process limits. [`super::Config::assign_ports`]
/// replaces the placeholders (`{port}` …).
#[derive(Debug, Clone)]
pub struct Run {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Variables of the app's table, in this order; they win over `env_file` and the allow-list.
    pub env: Vec<(String, EnvValue)>,
    /// Names of variables that the app inherits from the appliance in addition to the allow-list.
    pub pass_env: Vec<String>,
    /// File of `NAME=value` lines, read at spawn.
    pub env_file: Option<PathBuf>,
    /// User of the process: a name or a number.
    pub user: Option<String>,
    /// Group of the process instead of the user's own groups.
    pub group: Option<String>,
    /// The user that only this app has, by `users = "per-app"`; used by root only.
    pub own_user: Option<OwnUser>,
    /// Folders that the appliance creates for the app's user before its setup and its start.
    pub folders: Folders,
    /// `HOME`, if the home of the user cannot be used.
    pub home: Option<PathBuf>,
    /// `APPLIANCE_TOKEN_URL`, where the program gets the current access token of a session.
    pub token_url: Option<String>,
    /// Mode bits that new files do not get.
    pub umask: Option<u32>,
    /// Resource limits.
    pub limits: Limits,
    /// Sets `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// First-time setup steps, in order.
    pub setup: Vec<Setup>,
    /// Files that a preset hands to its program, each with its keys in the app's table.
    pub needs: Vec<Need>,
    /// `false` discards the output.
    pub log: bool,
}

/// A file without which the program of a preset cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The keys in the table of the app that name the file.
    pub key: [&'static str; 2],
    /// What the file is, for people: `script`.
    pub what: &'static str,
    /// The file; a name without `/` is a program that is looked up in `PATH`.
    pub path: PathBuf,
}

impl Run {
    /// The account that the app runs as; `None` for the appliance's own.
    pub(crate) fn account(&self) -> Result<Option<Account>, AccountError> {
        resolve(self.user.as_deref(), self.group.as_deref(), self.own_user.as_ref())
    }
}

/// Folders that belong to an app's user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    /// Data that the app keeps; private.
    pub data: Option<PathBuf>,
    /// What its setup installs, as Python environments; readable for other users.
    pub installed: Option<PathBuf>,
    /// The Python environment that it runs in, if its setup makes one or the image has it.
    pub environment: Option<PathBuf>,
    /// What its setup downloads and may need again; private.
    pub downloads: Option<PathBuf>,
    /// For [`Run::home`], if it is needed; private.
    pub spare_home: Option<PathBuf>,
}

/// A value of `env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// The text as written.
    Plain(String),
    /// A secret: read at spawn, never shown.
    Secret(SecretSource),
}

/// `limits`: soft and hard limit alike; `None` leaves the limit unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// `RLIMIT_NOFILE`
    pub nofile: Option<u64>,
    /// `RLIMIT_CORE`, bytes
    pub core: Option<u64>,
    /// `RLIMIT_NPROC`
    pub nproc: Option<u64>,
    /// `RLIMIT_AS`, bytes
    pub address_space: Option<u64>,
    /// `RLIMIT_FSIZE`, bytes
    pub file_size: Option<u64>,
}

/// A first-time setup step, which runs unless `creates` exists.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Program and arguments.
    pub run: Vec<String>,
    /// The path that the step creates.
    pub creates: PathBuf,
    /// Variables in addition to the app's environment.
    pub env: Vec<(String, String)>,
}
