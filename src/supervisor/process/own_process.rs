//! What the appliance sets for its own process before it starts others.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// What every system allows at least.
const LEAST_OPEN_FILES: rlim_t = 256;
/// Soft and hard limit of open files that the appliance was started with.
static OPEN_FILES: OnceLock<(rlim_t, rlim_t)> = OnceLock::new();

/// Whether a process of an app, or of a setup, was started with the appliance's user.
static SHARES_USER: AtomicBool = AtomicBool::new(false);

/// From now on, processes of apps may send signals to the appliance.
pub(super) fn share_user() {
    SHARES_USER.store(true, Ordering::Relaxed);
}

/// Whether processes of apps have had the appliance's user.
pub(crate) fn shares_user() -> bool {
    SHARES_USER.load(Ordering::Relaxed)
}

/// Raises the appliance's limit of open files to the hard limit. Children keep the limit that the
/// appliance was started with: programs that use `select` break above 1024. Returns the limit that
/// is in force.
pub fn raise_open_files() -> rlim_t {
    let limits = || getrlimit(Resource::RLIMIT_NOFILE);
    if let Ok((soft, hard)) = limits()
        && OPEN_FILES.set((soft, hard)).is_ok()
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    limits().map_or(LEAST_OPEN_FILES, |(soft, _)| soft)
}

/// Soft and hard limit of open files that the appliance was started with; `None` before
/// [`raise_open_files`].
pub(super) fn open_files_at_start() -> Option<(rlim_t, rlim_t)> {
    OPEN_FILES.get().copied()
}

/// Protects the appliance's memory and environment, which hold secrets, from children that run as
/// the same user: they can neither trace the appliance nor read its `/proc/PID/environ`. Also
/// disables core dumps.
pub fn keep_memory_private() -> std::io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}
