//! The specification of a process, resolved before the fork.

use std::ffi::OsStr;
use std::iter;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use super::environment::{self, Environment};
use super::kin::{Mark, Role};
use super::spawn_error::SpawnError;
use super::tag::Tag;
use crate::config::ownership::account::Account;
use crate::config::{App, EnvValue, Limits, Missing, Run, Setup};

/// Everything that a process is started with.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) command: Vec<String>,
    pub(crate) cwd: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) account: Option<Account>,
    pub(crate) umask: Option<u32>,
    pub(crate) limits: Limits,
    pub(crate) no_new_privs: bool,
    /// What a step of a first-time setup creates; empty for other processes.
    pub(crate) creates: Vec<PathBuf>,
    /// A descriptor that stays open in the child.
    pub(crate) notify: Option<InheritedFd>,
    /// Signal that the kernel sends the child if the appliance is killed.
    pub(crate) parent_death_signal: Signal,
    /// What the configuration itself gives the process beside its command: values of its table. What a
    /// file of variables says does not count, because the app may have written it.
    pub(crate) given: Vec<String>,
    /// Identifies the daemons that the process leaves behind.
    pub(crate) mark: Mark,
}

/// A descriptor that the child inherits beside 0–2.
#[derive(Debug)]
pub(crate) struct InheritedFd {
    pub(super) descriptor: OwnedFd,
    /// Number of the descriptor in the child.
    pub(crate) number: RawFd,
}

impl Spec {
    /// The specification of an app's process.
    pub(crate) fn of(app: &App, run: &Run, state_dir: &Path) -> Result<Self, SpawnError> {
        let account = run.account()?;
        let environment =
            environment::of_app(app, run, account.as_ref(), state_dir, Missing::Make)?;
        let mark = mark(app, run, account.as_ref(), Role::Main);
        Ok(Self {
            command: run.command.clone(),
            cwd: run.cwd.clone(),
            environment,
            account,
            umask: run.umask,
            limits: run.limits,
            no_new_privs: run.no_new_privs,
            creates: Vec::new(),
            given: plain_values(run),
            notify: None,
            parent_death_signal: app.stop.signal,
            mark,
        })
    }

    /// The specification of a setup step: the user, the limits and the umask of its app.
    pub(crate) fn of_setup(app: &App, run: &Run, step: &Setup) -> Result<Self, SpawnError> {
        let account = run.account()?;
        let environment = environment::of_setup(app, run, account.as_ref(), &step.env)?;
        let mark = mark(app, run, account.as_ref(), Role::Step);
        let home = environment.get(OsStr::new("HOME")).map(PathBuf::from);
        // `pip` and `uv` keep their downloads in the latter.
        let creates = iter::once(step.creates.clone());
        let creates = creates.chain(home.map(|home| home.join(".cache/downloads"))).collect();
        Ok(Self {
            command: step.run.clone(),
            cwd: run.cwd.clone(),
            environment,
            account,
            umask: run.umask,
            limits: run.limits,
            no_new_privs: run.no_new_privs,
            creates,
            given: step
                .env
                .iter()
                .map(|(_, value)| value.clone())
                .chain(plain_values(run))
                .collect(),
            notify: None,
            parent_death_signal: Signal::SIGKILL,
            mark,
        })
    }
}

fn mark(app: &App, run: &Run, account: Option<&Account>, role: Role) -> Mark {
    let uid = account.map_or(geteuid(), |account| account.uid).as_raw();
    let own = run.own_user.as_ref().filter(|_| run.user.is_none());
    let has_own_user = own.is_some_and(|own| own.number == uid);
    Mark { app: app.name.clone(), role, uid, has_own_user, tag: Tag::next() }
}

/// The values that the app's table gives in plain text.
fn plain_values(run: &Run) -> Vec<String> {
    let plain = run.env.iter().filter_map(|(_, value)| match value {
        EnvValue::Plain(text) => Some(text.clone()),
        EnvValue::Secret(_) => None,
    });
    plain.collect()
}

impl Spec {
    /// Whether the command or a variable of the configuration names this file.
    pub(super) fn names(&self, path: &Path) -> bool {
        let path = path.as_os_str().as_bytes();
        let mut words = self.command.iter().map(String::as_bytes);
        let mut values = self.given.iter().map(String::as_bytes);
        let names = |text: &[u8]| names_whole(text, path);
        !path.is_empty() && (words.any(names) || values.any(names))
    }
}

/// Whether a text contains a path as a whole: not as the beginning or the end of a longer one.
fn names_whole(text: &[u8], path: &[u8]) -> bool {
    let continues = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"/._-~+@%".contains(byte))
    };
    let starts = memchr::memmem::find_iter(text, path);
    starts.into_iter().any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        !continues(before) && !continues(text.get(at + path.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_as_a_whole() {
        let named = |text: &str| names_whole(text.as_bytes(), b"/run/oidc");
        for text in ["/run/oidc", "--key=/run/oidc", "a:/run/oidc:b", "cat '/run/oidc'"] {
            assert!(named(text), "{text}");
        }
        for text in ["/run/oidc-app", "/run/oidc.pem", "/run/oidc/x", "/var/run/oidc", "oidc"] {
            assert!(!named(text), "{text}");
        }
    }
}
