//! Why a process could not be started, and the exit code that stands for it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use nix::errno::Errno;

use super::environment::EnvironmentError;
use crate::config::AccountError;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// `command` is empty.
    #[error("`command` is empty")]
    Empty,
    /// The working directory does not exist or is not a directory.
    #[error("the working directory {path} cannot be used: {error}", path = path.display())]
    Cwd {
        /// Value of `cwd`.
        path: PathBuf,
        /// Why it cannot be used.
        error: io::Error,
    },
    /// The files that a start reads do not answer.
    #[error(
        "its files do not answer: a disk hangs that its `cwd`, its program, `env_file`, secrets or setup are on; repair that disk, then start the app again"
    )]
    NoAnswer,
    /// The user or group cannot be used.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The environment cannot be made.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Another program holds its port.
    #[error("{address} is taken by {holder}: stop that program, or give the app another `port`")]
    PortTaken {
        /// Where the app is meant to listen.
        address: SocketAddr,
        /// The program that listens there.
        holder: String,
    },
    /// A pipe or socket cannot be created.
    #[error("cannot create a pipe for its output: {0}")]
    Descriptors(io::Error),
    /// What hides the appliance's secrets cannot be prepared.
    #[error("cannot hide the secrets in state_dir from it: {0}")]
    StateGuard(io::Error),
    /// A step between fork and exec failed.
    #[error("cannot {step} for the process: {error}")]
    Step {
        /// The step, as a verb phrase.
        step: &'static str,
        /// Why the step failed.
        error: io::Error,
    },
    /// The program does not exist.
    #[error("cannot run {program}: No such file or directory; install it, or correct `command`")]
    NoProgram {
        /// As written in `command`.
        program: String,
    },
    /// The program exists, but its interpreter does not.
    #[error(
        "cannot run {program}: its first line names an interpreter that is not there (a CR at the \
         end of that line is part of the name)"
    )]
    NoInterpreter {
        /// As written in `command`.
        program: String,
    },
    /// The kernel refused to run the program.
    #[error("cannot run {program}: {error}")]
    Exec {
        /// As written in `command`.
        program: String,
        /// Why.
        error: io::Error,
    },
}

impl SpawnError {
    /// The exit code that a shell would give: 127 for a program that does not exist, 126 for a
    /// program that cannot be run; none if the failure came before that.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::NoProgram { .. } | Self::NoInterpreter { .. } => Some(127),
            Self::Exec { error, .. } => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE) => None,
                _ => Some(126),
            },
            _ => None,
        }
    }
}
