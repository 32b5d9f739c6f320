//! The state folder: ours alone, and of one appliance at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::refused::{Refused, UNAVAILABLE, setting};
use crate::config::Config;

/// A path of a socket has at most 107 bytes (unix(7)).
const LONGEST_SOCKET: usize = 107;
const STATE_DIR: [&str; 2] = ["server", "state_dir"];

/// Where the control socket is.
pub(super) fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// The state folder, ours alone, and the lock that keeps a second appliance out of it.
pub(super) fn prepare(config: &Config) -> Result<Flock<File>, Refused> {
    let folder = &config.server.state_dir;
    let unusable = |source: io::Error| {
        let why = format!(
            "state_dir {} cannot be used: {source}; make it a folder that is ours, or name another",
            folder.display()
        );
        setting(config, &STATE_DIR, &why)
    };
    if socket_path(folder).as_os_str().len() > LONGEST_SOCKET {
        let why = format!(
            "state_dir {} is too long a path for the control socket in it; name one of {} bytes",
            folder.display(),
            LONGEST_SOCKET - "/control.sock".len()
        );
        return Err(setting(config, &STATE_DIR, &why));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(unusable)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join("lock"))
        .map_err(unusable)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| Refused {
        code: UNAVAILABLE,
        text: format!(
            "appliance: another appliance runs with the state_dir {}; stop it, or give this one its own",
            folder.display()
        ),
    })
}
