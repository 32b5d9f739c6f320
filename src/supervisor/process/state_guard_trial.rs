//! Finds out how the secrets in `state_dir` can be hidden on this machine.

use std::path::Path;
use std::process::Command;

use nix::errno::Errno;

use super::reaper::Reaper;
use super::spawn::try_before_exec;
use super::state_guard::{GUARD, Means, StateGuard};

/// What the trial reports when nothing has failed: no call of it fails with this number.
const WORKS: Errno = Errno::ECANCELED;

/// From now on, processes that run as the appliance's user cannot read the secrets in `state_dir`.
/// Returns how; `None` if the machine offers no way.
pub fn guard_state(reaper: &Reaper, state_dir: &Path) -> Option<Means> {
    let state_dir = state_dir.canonicalize().ok()?;
    let means = [Means::Namespace, Means::Landlock]
        .into_iter()
        .find(|means| works(reaper, *means, &state_dir))?;
    let _ = GUARD.set((means, state_dir));
    Some(means)
}

/// Tries it in a child that runs no program.
pub(super) fn works(reaper: &Reaper, means: Means, state_dir: &Path) -> bool {
    let Ok(mut guard) = StateGuard::by(means, state_dir) else { return false };
    let mut trial = Command::new("/");
    let outcome = try_before_exec(reaper, &mut trial, move || {
        guard.apply()?;
        Err(WORKS)
    });
    outcome == Some(WORKS as i32)
}
