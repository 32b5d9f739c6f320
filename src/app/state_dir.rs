//! The state folder: it belongs to the appliance's user, no other user can redirect its path, and one
//! appliance uses it at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::refused::{Refused, UNAVAILABLE, setting};
use super::users::trusted;
use crate::config::Config;
use crate::config::ownership::own_file::belongs_to_us;
use crate::config::ownership::trusted_path::follow;
use crate::config::reserved::{CA, CONTROL_SOCKET, LOCK};

/// Longest path of a socket in bytes (unix(7)).
const LONGEST_SOCKET: usize = 107;
const STATE_DIR: [&str; 2] = ["server", "state_dir"];

/// Path of the control socket.
pub(super) fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join(CONTROL_SOCKET)
}

/// Path of the appliance's own certificate authority.
pub(super) fn ca_path(state_dir: &Path) -> PathBuf {
    state_dir.join(CA)
}

/// Makes the state folder private and takes the lock that keeps a second appliance out.
pub(super) fn prepare(config: &Config) -> Result<Flock<File>, Refused> {
    let folder = &config.server.state_dir;
    let unusable = |source: io::Error| {
        let why = format!(
            "state_dir {} cannot be used: {source}; make it a folder owned by uid {}, or name another",
            folder.display(),
            nix::unistd::geteuid()
        );
        setting(config, &STATE_DIR, &why)
    };
    if socket_path(folder).as_os_str().len() > LONGEST_SOCKET {
        let why = format!(
            "state_dir {} is too long a path for the control socket in it; name a path of at most {} bytes",
            folder.display(),
            LONGEST_SOCKET - "/control.sock".len()
        );
        return Err(setting(config, &STATE_DIR, &why));
    }
    follow(folder, &trusted(config)).map_err(|untrusted| {
        let why = format!("state_dir {} is not safe: {untrusted}", folder.display());
        setting(config, &STATE_DIR, &why)
    })?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    let found = fs::metadata(folder).map_err(unusable)?;
    belongs_to_us(folder, &found).map_err(|error| {
        let why = format!("state_dir {}: {error}, or name another folder", folder.display());
        setting(config, &STATE_DIR, &why)
    })?;
    if is_private(folder).map_err(unusable)? {
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(unusable)?;
    } else if fs::metadata(folder).map_err(unusable)?.permissions().mode() & 0o022 != 0 {
        let why = format!(
            "other users can write to the state_dir {}, which contains other files; name a folder for the appliance alone",
            folder.display()
        );
        return Err(setting(config, &STATE_DIR, &why));
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join(LOCK))
        .map_err(unusable)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| Refused {
        code: UNAVAILABLE,
        text: format!(
            "appliance: another appliance runs with the state_dir {}; stop it, or set another state_dir for this one",
            folder.display()
        ),
    })
}

/// Whether the folder is new or was used by an appliance before. Any other folder, such as `/tmp`
/// or the folder of the configuration, is shared with others and keeps its mode.
fn is_private(folder: &Path) -> io::Result<bool> {
    if folder.join(LOCK).exists() {
        return Ok(true);
    }
    for entry in fs::read_dir(folder)? {
        // Every new ext4 volume contains this folder.
        if entry?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path) -> Config {
        let path = folder.join("appliance.toml");
        fs::write(&path, "[server]\nstate_dir = \"state\"\n").unwrap();
        Config::load(&path, |_| None).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn only_a_private_folder_changes_its_mode() {
        for (holds, before, after) in [
            (None, 0o755, Some(0o700)),
            (Some("lost+found"), 0o2775, Some(0o700)),
            (Some(LOCK), 0o777, Some(0o700)),
            (Some("other"), 0o755, Some(0o755)),
            (Some("other"), 0o1777, None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let state = folder.path().join("state");
            fs::create_dir(&state).unwrap();
            if let Some(name) = holds {
                fs::write(state.join(name), "").unwrap();
            }
            fs::set_permissions(&state, Permissions::from_mode(before)).unwrap();
            let prepared = prepare(&config(folder.path()));
            assert_eq!(prepared.is_ok(), after.is_some(), "{holds:?} {prepared:?}");
            assert_eq!(mode(&state), after.unwrap_or(before), "{holds:?}");
        }
    }

    #[test]
    fn a_second_appliance_is_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let first = prepare(&config).unwrap();
        assert_eq!(prepare(&config).unwrap_err().code, UNAVAILABLE);
        drop(first);
        assert!(prepare(&config).is_ok());
        assert_eq!(mode(&config.server.state_dir), 0o700);
    }
}
