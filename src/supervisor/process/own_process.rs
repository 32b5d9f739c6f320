//! What the appliance sets for its own process before it starts others.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// Soft and hard limit of open files that the appliance was started with.
static OPEN_FILES: OnceLock<(rlim_t, rlim_t)> = OnceLock::new();

/// Raises the appliance's limit of open files to the hard limit. Children keep the limit that the
/// appliance was started with: programs that use `select` break above 1024.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && OPEN_FILES.set((soft, hard)).is_ok()
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
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
