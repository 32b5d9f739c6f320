//! What an app runs, and in which surroundings.

use std::path::PathBuf;

use super::secret::SecretSource;
use crate::config::ownership::account::{Account, AccountError, OwnUser, resolve};

/// `PATH` of apps where we have none ourselves.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A child process and its surroundings. Placeholders (`{port}` …) are replaced by
/// [`super::Config::assign_ports`].
#[derive(Debug, Clone)]
pub struct Run {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// What its table says, over `env_file` and the allow-list; in this order.
    pub env: Vec<(String, EnvValue)>,
    /// Names taken from our own environment beside the allow-list.
    pub pass_env: Vec<String>,
    /// `NAME=value` lines, read at spawn.
    pub env_file: Option<PathBuf>,
    /// Name or number of the user that it runs as.
    pub user: Option<String>,
    /// Group of the process, in place of that user's groups.
    pub group: Option<String>,
    /// The user that it has to itself where `user` names none and we are root.
    pub own_user: Option<OwnUser>,
    /// What the appliance makes for its user before its setup and its start.
    pub folders: Folders,
    /// Mode bits that new files do not get.
    pub umask: Option<u32>,
    /// Resource limits.
    pub limits: Limits,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// First-time setup, in order.
    pub setup: Vec<Setup>,
    /// `false`: its output is thrown away.
    pub log: bool,
}

impl Run {
    /// The user that it runs as; `None` for the appliance's own.
    pub(crate) fn account(&self) -> Result<Option<Account>, AccountError> {
        resolve(self.user.as_deref(), self.group.as_deref(), self.own_user.as_ref())
    }
}

/// Folders that belong to an app's user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    /// What it keeps; for its user alone.
    pub data: Option<PathBuf>,
    /// What its setup installs, as Python environments; others may read it.
    pub installed: Option<PathBuf>,
    /// What its setup downloads and may need again; for its user alone.
    pub downloads: Option<PathBuf>,
}

/// A value of `env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// As written.
    Plain(String),
    /// Read at spawn, never shown.
    Secret(SecretSource),
}

/// `limits`: soft and hard alike; `None` leaves them.
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

/// First-time setup: runs unless `creates` exists.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Program and arguments.
    pub run: Vec<String>,
    /// What is there afterwards.
    pub creates: PathBuf,
    /// Beside the app's own environment.
    pub env: Vec<(String, String)>,
}
