//! What an app runs, and in which surroundings.

use std::path::PathBuf;

use super::secret::SecretSource;

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
    /// Run as this user.
    pub user: Option<String>,
    /// Instead of that user's own group.
    pub group: Option<String>,
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
