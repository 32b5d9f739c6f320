//! Hides the appliance's secrets from processes that run as the appliance's own user.
//!
//! File modes cannot do that, because a process may read the files of its user. There are two means:
//! a **mount namespace** (`covers.rs`) and **Landlock** (`landlock.rs`). The secrets are what the
//! appliance itself keeps in `state_dir`, that is all files and the folder of sessions, and the files
//! outside of `state_dir` that the configuration names as secrets of the appliance. Other folders in
//! `state_dir` belong to apps (virtual environments, Keycloak, data). The control socket is not
//! hidden, because it refuses apps with an answer.
//!
//! **Guarantee.** A process whose secrets cannot be hidden does not start: `state_dir` is known by
//! its inode, so a folder that an app has moved away or replaced is noticed.

mod covers;
mod landlock;
mod own_folder;
mod secrets;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ::landlock::RulesetCreated;
use nix::errno::Errno;

use covers::Covers;
use own_folder::OwnFolder;
pub(crate) use secrets::Secrets;

/// How the secrets are hidden; `None` in processes that hide nothing.
static GUARD: RwLock<Option<Arc<(Means, Secrets)>>> = RwLock::new(None);

/// How secrets can be hidden on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By a mount namespace.
    Namespace,
    /// By Landlock.
    Landlock,
}

/// The process that the secrets are hidden from.
pub(crate) struct Hidden<'a> {
    pub(crate) cwd: &'a Path,
    /// What a step of a setup creates, first the path of the configuration; empty for other processes.
    pub(crate) creates: &'a [PathBuf],
    /// Whether the process is given this file: its command or its environment names the path.
    pub(crate) is_given: &'a dyn Fn(&Path) -> bool,
}

impl Hidden<'_> {
    fn own_folders(&self, means: Means, secrets: &Secrets) -> Vec<OwnFolder> {
        // The covered folders are read from the disk, and most processes create nothing.
        if self.creates.is_empty() {
            return Vec::new();
        }
        let covered = match means {
            Means::Namespace => [secrets.state_dir.path.clone()].into(),
            Means::Landlock => landlock::covered(secrets, self),
        };
        let own = |path: &PathBuf| OwnFolder::of(path, |folder| covered.contains(folder));
        self.creates.iter().map(own).collect()
    }

    /// Whether it is a step of a setup that creates its path directly beside secrets.
    fn is_bare(&self, means: Means, secrets: &Secrets) -> bool {
        self.own_folders(means, secrets).first() == Some(&OwnFolder::Bare)
    }
}

/// What a child does between fork and exec, prepared before the fork.
#[derive(Debug)]
pub(crate) enum StateGuard {
    /// In a mount namespace.
    Namespace(Covers),
    /// Taken when it is enforced.
    Landlock(Option<RulesetCreated>),
}

/// From now on, [`StateGuard::prepare`] hides these secrets.
pub(crate) fn hide(means: Means, secrets: Secrets) {
    *GUARD.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new((means, secrets)));
}

/// From now on, these files are hidden as well. Returns those of all secrets that running apps could
/// read if they were replaced.
pub(crate) fn hide_more(files: &[PathBuf]) -> io::Result<Vec<String>> {
    let Some(guard) = guard() else { return Ok(Vec::new()) };
    let (means, secrets) = (guard.0, guard.1.with(files)?);
    let shown = secrets.shown_if_replaced(means);
    hide(means, secrets);
    Ok(shown)
}

/// Fails if a file that was opened for an app is a secret of the appliance which the configuration does
/// not give the app. `named`: the path in the configuration.
pub(crate) fn refuse_secret(file: &File, named: &Path) -> io::Result<()> {
    guard().map_or(Ok(()), |guard| guard.1.refuse(file, named))
}

/// Fails if an opened file or folder of a site is a secret of the appliance, or may contain one.
pub fn refuse_served(opened: &File) -> io::Result<()> {
    guard().map_or(Ok(()), |guard| guard.1.refuse_served(opened))
}

/// Fails if the secrets are no longer where they were at the start: what is read there now may be the work
/// of an app.
///
/// # Errors
/// Another folder, or none, is in the place of one with secrets.
pub fn check_secrets_place() -> io::Result<()> {
    guard().map_or(Ok(()), |guard| guard.1.check_place())
}

fn guard() -> Option<Arc<(Means, Secrets)>> {
    GUARD.read().unwrap_or_else(PoisonError::into_inner).clone()
}

impl StateGuard {
    /// For a process that runs as the appliance's user; `None` if nothing is hidden from it.
    pub(crate) fn prepare(hidden: &Hidden<'_>) -> io::Result<Option<Self>> {
        match guard().as_deref() {
            Some((Means::Landlock, secrets)) if hidden.is_bare(Means::Landlock, secrets) => {
                Ok(None)
            }
            Some((means, secrets)) => Self::by(*means, secrets, hidden).map(Some),
            None => Ok(None),
        }
    }

    /// How secrets are hidden where they cannot be hidden completely from this step of a setup.
    pub(crate) fn is_incomplete(hidden: &Hidden<'_>) -> Option<Means> {
        let guard = guard()?;
        hidden.is_bare(guard.0, &guard.1).then_some(guard.0)
    }

    pub(crate) fn by(means: Means, secrets: &Secrets, hidden: &Hidden<'_>) -> io::Result<Self> {
        secrets.check_place()?;
        hidden.own_folders(means, secrets).iter().for_each(OwnFolder::make);
        match means {
            Means::Namespace => Covers::of(secrets, hidden).map(Self::Namespace),
            Means::Landlock => {
                let ruleset = landlock::ruleset(secrets, hidden)?;
                // Again, because another app may have moved the folder meanwhile.
                secrets.check_place()?;
                Ok(Self::Landlock(Some(ruleset)))
            }
        }
    }

    /// Before [`Self::apply`], also between fork and exec: takes a user namespace where a mount namespace
    /// needs one. `new_user_namespace` makes it without a moment in which the memory of this process, a
    /// copy of the appliance's, can be read.
    pub(crate) fn begin(
        &mut self,
        new_user_namespace: impl FnOnce() -> nix::Result<OwnedFd>,
    ) -> nix::Result<()> {
        match self {
            Self::Namespace(covers) => covers.begin(new_user_namespace),
            Self::Landlock(_) => Ok(()),
        }
    }

    /// Only system calls on prepared values: nothing is allocated.
    pub(crate) fn apply(&mut self) -> nix::Result<()> {
        match self {
            Self::Namespace(covers) => covers.apply(),
            Self::Landlock(ruleset) => {
                let enforced = ruleset.take().map(RulesetCreated::restrict_self);
                enforced.map_or(Ok(()), |done| done.map(drop).map_err(|_| Errno::last()))
            }
        }
    }
}
