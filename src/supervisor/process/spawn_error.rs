//! Why a process could not be started, and the exit code that stands for it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use nix::errno::Errno;

use super::account::AccountError;
use super::environment::EnvironmentError;
/// A process that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// `command` is empty.
    #[error("its command is empty")]
    Empty,
    /// Not there, or no folder.
    #[error("its working directory {path} cannot be used: {error}", path = path.display())]
    Cwd {
        /// `cwd`
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Its user or group.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Its environment.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Another program holds its port.
    #[error("{address} is taken by {holder}: stop that program, or give the app another `port`")]
    PortTaken {
        /// Where the app is meant to listen.
        address: SocketAddr,
        /// Who does.
        holder: String,
    },
    /// A pipe or socket of it.
    #[error("no descriptor for its output: {0}")]
    Descriptors(io::Error),
    /// A step between fork and exec.
    #[error("cannot {step} for it: {error}")]
    Step {
        /// What was to be done.
        step: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// Nowhere, or not under that name.
    #[error("cannot run {program}: No such file or directory; install it, or correct `command`")]
    NoProgram {
        /// As written in `command`.
        program: String,
    },
    /// It is there, but what it is to be run by is not.
    #[error(
        "cannot run {program}: its first line names an interpreter that is not there (a CR at the \
         end of that line counts)"
    )]
    NoInterpreter {
        /// As written in `command`.
        program: String,
    },
    /// The program itself.
    #[error("cannot run {program}: {error}")]
    Exec {
        /// As written in `command`.
        program: String,
        /// Why.
        error: io::Error,
    },
}

impl SpawnError {
    /// The code that a shell gives: 127 for a program that is not there, 126 for one that cannot
    /// be run; none when it never came so far.
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
