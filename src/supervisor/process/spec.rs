//! The specification of a process, resolved before the fork.

use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

use nix::sys::signal::Signal;

use super::account::{self, Account};
use super::environment::{self, Environment};
use super::spawn_error::SpawnError;
use crate::config::{App, Limits, Run, Setup};

/// Everything that a process is started with.
#[derive(Debug)]
pub(crate) struct Spec<'a> {
    pub(crate) command: &'a [String],
    pub(crate) cwd: &'a Path,
    pub(crate) environment: Environment,
    pub(crate) account: Option<Account>,
    pub(crate) umask: Option<u32>,
    pub(crate) limits: Limits,
    pub(crate) no_new_privs: bool,
    /// A descriptor that stays open in the child.
    pub(crate) notify: Option<InheritedFd>,
    /// Signal that the kernel sends the child if the appliance is killed.
    pub(crate) parent_death_signal: Signal,
}

/// A descriptor that the child inherits beside 0–2.
#[derive(Debug)]
pub(crate) struct InheritedFd {
    pub(super) descriptor: OwnedFd,
    /// Number of the descriptor in the child.
    pub(crate) number: RawFd,
}

impl<'a> Spec<'a> {
    /// The specification of an app's process.
    pub(crate) fn of(app: &App, run: &'a Run, state_dir: &Path) -> Result<Self, SpawnError> {
        let account = account::resolve(run.user.as_deref(), run.group.as_deref())?;
        Ok(Self {
            command: &run.command,
            cwd: &run.cwd,
            environment: environment::of_app(app, run, account.as_ref(), state_dir)?,
            account,
            umask: run.umask,
            limits: run.limits,
            no_new_privs: run.no_new_privs,
            notify: None,
            parent_death_signal: app.stop.signal,
        })
    }

    /// The specification of a setup step, which runs as the appliance's user.
    pub(crate) fn of_setup(app: &App, run: &'a Run, step: &'a Setup) -> Result<Self, SpawnError> {
        Ok(Self {
            command: &step.run,
            cwd: &run.cwd,
            environment: environment::of_setup(app, run, &step.env)?,
            account: None,
            umask: None,
            limits: Limits::default(),
            no_new_privs: false,
            notify: None,
            parent_death_signal: Signal::SIGKILL,
        })
    }
}

/// Finds what would make every start of the app fail, before any app is started: its user or group,
/// and its environment with its secrets. Generated secrets are made here if they do not exist.
pub fn verify(app: &App, state_dir: &Path) -> Result<(), SpawnError> {
    app.run.as_ref().map_or(Ok(()), |run| Spec::of(app, run, state_dir).map(drop))
}
