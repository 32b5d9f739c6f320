//! The process of an app and its environment.

use std::path::PathBuf;

use super::secret::SecretSource;

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
    /// User of the process.
    pub user: Option<String>,
    /// Group of the process instead of the user's own group.
    pub group: Option<String>,
    /// Mode bits that new files do not get.
    pub umask: Option<u32>,
    /// Resource limits.
    pub limits: Limits,
    /// Sets `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// First-time setup steps, in order.
    pub setup: Vec<Setup>,
    /// `false` discards the output.
    pub log: bool,
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
