//! Finds out how the secrets in `state_dir` can be hidden on this machine.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;

use super::child::try_before_exec;
use super::child::user_namespace::new_user_namespace;
use super::reaper::Reaper;
use crate::supervisor::guard::{Hidden, Means, Secrets, StateGuard, hide, hide_more};

/// What the trial reports when nothing has failed: no call of it fails with this number.
const WORKS: Errno = Errno::ECANCELED;

/// How the secrets are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// By what.
    pub means: Means,
    /// Files that running apps could read if they were replaced.
    pub shown_if_replaced: Vec<String>,
}

/// From now on, processes that run as the appliance's user cannot read the secrets in `state_dir`,
/// and the other `files` of the appliance. Returns how; `None` if the machine offers no way.
pub fn guard_state(reaper: &Reaper, state_dir: &Path, files: &[PathBuf]) -> Option<Guarded> {
    let secrets = Secrets::of(state_dir, files).ok()?;
    let means = [Means::Namespace, Means::Landlock]
        .into_iter()
        .find(|means| works(reaper, *means, &secrets))?;
    let shown_if_replaced = secrets.shown_if_replaced(means);
    hide(means, secrets);
    Some(Guarded { means, shown_if_replaced })
}

/// Hides further files of a changed configuration. Returns those of all secrets that running apps
/// could read if they were replaced.
///
/// # Errors
/// The folder of a file is not there.
pub fn guard_more(files: &[PathBuf]) -> io::Result<Vec<String>> {
    hide_more(files)
}

/// Tries it in a child that runs no program.
fn works(reaper: &Reaper, means: Means, secrets: &Secrets) -> bool {
    let hidden = Hidden { cwd: Path::new("/"), creates: &[], is_given: &|_| false };
    let Ok(mut guard) = StateGuard::by(means, secrets, &hidden) else { return false };
    let mut trial = Command::new("/");
    let outcome = try_before_exec(reaper, &mut trial, move || {
        guard.begin(new_user_namespace)?;
        guard.apply()?;
        Err(WORKS)
    });
    outcome == Some(WORKS as i32)
}

#[cfg(test)]
#[path = "../../../tests/unit/supervisor/process/state_guard_trial.rs"]
mod tests;
