//! The state folder: ours alone, and of one appliance at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use super::refused::{Refused, UNAVAILABLE, setting};
use crate::config::Config;

/// A path of a socket has at most 107 bytes (unix(7)).
const LONGEST_SOCKET: usize = 107;

/// Where the control socket is.
pub(super) fn socket_path(config: &Config) -> PathBuf {
    config.server.state_dir.join("control.sock")
}

/// The state folder, ours alone, and the lock that keeps a second appliance out of it.
pub(super) fn prepare(config: &Config) -> Result<Flock<File>, Refused> {
    let folder = &config.server.state_dir;
    let unusable = |source: io::Error| {
        setting(&config.path)(format!(
            "state_dir {} cannot be used: {source}; make it a folder that is ours, or name another",
            folder.display()
        ))
    };
    if socket_path(config).as_os_str().len() > LONGEST_SOCKET {
        return Err(setting(&config.path)(format!(
            "state_dir {} is too long a path for the control socket in it; name one of {} bytes",
            folder.display(),
            LONGEST_SOCKET - "/control.sock".len()
        )));
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
            "another appliance runs with the state_dir {}; stop it, or give this one its own",
            folder.display()
        ),
    })
}
