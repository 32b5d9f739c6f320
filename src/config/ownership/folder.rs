//! Folders that the appliance creates for an app's user before the app is set up or started, so that
//! no other user can create them first. The appliance never takes over a folder of another user.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};

use super::owner::{Owner, Shown};
use super::trusted_path::{Place, Trusted, Untrusted, follow};

/// A folder that cannot be given to an app.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// Another user can change the path.
    #[error("{0}")]
    Path(String),
    /// The folder belongs to another user.
    #[error("{path} belongs to {owner}, but the app runs as {wanted}; run `{command}`, or keep the data and use another folder or volume", path = path.display())]
    Owner {
        /// Which.
        path: PathBuf,
        /// The user that it belongs to.
        owner: String,
        /// The user that it should belong to.
        wanted: String,
        /// Gives it to that user.
        command: String,
    },
    /// Another user owns, or can change, what the setup makes again if it is missing.
    #[error("{path} {why}, but the app runs as {wanted}; remove it, so that the setup of the app makes it again", path = path.display())]
    Installed {
        /// Which.
        path: PathBuf,
        /// Who can change it.
        why: String,
        /// The user that alone may change it.
        wanted: String,
    },
    /// An app with another name has the same number.
    #[error("{path}, which another app wrote, belongs to the user {uid} of this app; set `user` for the app, so that the app cannot read those files", path = path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// The number of both apps.
        uid: u32,
    },
    /// The folder cannot be created, or the path is not a folder.
    #[error("the folder {path} cannot be created: {error}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl FolderError {
    /// For a folder that the setup makes again: its content must not be given to the app.
    pub(crate) fn of_installed(self) -> Self {
        match self {
            Self::Owner { path, owner, wanted, .. } => {
                Self::Installed { path, why: format!("belongs to {owner}"), wanted }
            }
            other => other,
        }
    }
}

impl From<Untrusted> for FolderError {
    fn from(untrusted: Untrusted) -> Self {
        Self::Path(untrusted.to_string())
    }
}

/// Whether [`make`] would succeed, as far as that can be told without a change.
pub(crate) fn check(path: &Path, owner: Owner, trusted: &Trusted) -> Result<(), FolderError> {
    let Some((place, found)) = look(path, trusted)? else { return Ok(()) };
    if found.uid() != owner.uid.as_raw() && !is_new(&place.path, &found) {
        return Err(of_another(&place.path, &found, owner));
    }
    Ok(())
}

/// Fails if another user than this owner and the trusted ones can change what a setup has installed: the
/// folder `of_owner` or the one `inside` it. A folder that does not exist is right.
pub(crate) fn check_installed(
    of_owner: &Path,
    inside: &Path,
    owner: Owner,
    trusted: &Trusted,
) -> Result<(), FolderError> {
    let ours = trusted.clone().and(owner.uid);
    for (path, on_the_way) in [(of_owner, trusted), (inside, &ours)] {
        let Some((place, found)) = look(path, on_the_way)? else { return Ok(()) };
        let others = if found.gid() == owner.gid.as_raw() { 0o002 } else { 0o022 };
        let why = if !ours.owns(found.uid()) {
            format!("belongs to {}", Shown(Uid::from_raw(found.uid())))
        } else if found.mode() & others != 0 {
            format!("can be changed by other users (mode {:04o})", found.mode() & 0o7777)
        } else {
            continue;
        };
        let wanted = Shown(owner.uid).to_string();
        return Err(FolderError::Installed { path: place.path, why, wanted });
    }
    Ok(())
}

/// Creates the folder with this owner and mode, or checks an existing folder.
pub(crate) fn make(
    path: &Path,
    owner: Owner,
    mode: u32,
    trusted: &Trusted,
) -> Result<(), FolderError> {
    let failed = |error| FolderError::Io { path: path.to_owned(), error };
    let Some((place, found)) = look(path, trusted)? else {
        return create(&follow(path, trusted)?, owner, mode).map_err(failed);
    };
    if found.uid() != owner.uid.as_raw() {
        if !is_new(&place.path, &found) {
            return Err(of_another(&place.path, &found, owner));
        }
        return give(&place.path, owner, mode).map_err(failed);
    }
    if found.mode() & 0o7777 & !mode != 0 {
        fs::set_permissions(&place.path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(())
}

/// The folder that the path leads to; `None` if it does not exist.
fn look(path: &Path, trusted: &Trusted) -> Result<Option<(Place, Metadata)>, FolderError> {
    let place = follow(path, trusted)?;
    let Some(found) = place.found.clone() else { return Ok(None) };
    if !found.is_dir() {
        let error = io::ErrorKind::NotADirectory.into();
        return Err(FolderError::Io { path: path.to_owned(), error });
    }
    Ok(Some((place, found)))
}

/// Fails if something beside this folder belongs to its user: an app with another name but the same
/// number wrote it.
pub(crate) fn alone_in_its_parent(path: &Path, owner: Owner) -> Result<(), FolderError> {
    let neighbours = path.parent().and_then(|parent| fs::read_dir(parent).ok());
    for neighbour in neighbours.into_iter().flatten().flatten() {
        let same = |found: Metadata| found.uid() == owner.uid.as_raw();
        let foreign = neighbour.file_name() != path.file_name().unwrap_or_default();
        if foreign && neighbour.metadata().is_ok_and(same) {
            return Err(FolderError::Foreign { path: neighbour.path(), uid: owner.uid.as_raw() });
        }
    }
    Ok(())
}

fn create(place: &Place, owner: Owner, mode: u32) -> io::Result<()> {
    if let Some(parent) = place.path.parent() {
        // Another user must be able to enter the parent.
        DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    DirBuilder::new().mode(0o700).create(&place.path)?;
    give(&place.path, owner, mode)
}

fn give(path: &Path, owner: Owner, mode: u32) -> io::Result<()> {
    if geteuid().is_root() {
        chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// An empty folder of root, as a new volume is, is given to the app; any other folder is refused.
fn is_new(path: &Path, found: &Metadata) -> bool {
    found.uid() == 0
        && geteuid().is_root()
        && fs::read_dir(path).is_ok_and(|mut files| files.next().is_none())
}

fn of_another(path: &Path, found: &Metadata, owner: Owner) -> FolderError {
    FolderError::Owner {
        path: path.to_owned(),
        owner: Shown(Uid::from_raw(found.uid())).to_string(),
        wanted: Shown(owner.uid).to_string(),
        command: owner.command(path),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::unistd::Gid;

    use super::*;

    const APP: Owner = Owner { uid: Uid::from_raw(41_234), gid: Gid::from_raw(41_234) };

    fn told(path: &Path) -> Result<(), String> {
        make(path, APP, 0o700, &Trusted::ourselves()).map_err(|error| error.to_string())
    }

    fn seen(path: &Path) -> (u32, u32, u32) {
        let found = path.metadata().unwrap();
        (found.uid(), found.gid(), found.mode() & 0o7777)
    }

    #[test]
    fn a_folder_is_created_for_its_user_or_found() {
        if !geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("volume/app");
        told(&path).unwrap();
        assert_eq!(seen(&path), (41_234, 41_234, 0o700));
        assert_eq!(seen(&top.path().join("volume")), (0, 0, 0o755));
        fs::write(path.join("data"), "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        told(&path).unwrap();
        assert_eq!(seen(&path), (41_234, 41_234, 0o700));
        // An empty folder of root, by a link of root.
        let new = top.path().join("new");
        fs::create_dir(&new).unwrap();
        symlink("new", top.path().join("link")).unwrap();
        told(&top.path().join("link")).unwrap();
        assert_eq!(seen(&new), (41_234, 41_234, 0o700));
    }

    #[test]
    fn a_folder_of_another_user_is_refused_with_the_command_that_mends_it() {
        if !geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("app");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("data"), "").unwrap();
        for (uid, shown) in [(0, "uid 0 (root)"), (41_999, "uid 41999")] {
            chown(&path, Some(uid), None).unwrap();
            let error = told(&path).unwrap_err();
            let path = path.display();
            let wanted = format!(
                "{path} belongs to {shown}, but the app runs as uid 41234; run `chown -R 41234:41234 {path}`"
            );
            assert!(error.starts_with(&wanted), "{error}");
        }
        // An empty folder of another user is refused as well: its owner could take it back.
        fs::remove_file(path.join("data")).unwrap();
        assert!(told(&path).is_err());
        assert_eq!(seen(&path).0, 41_999);
        // So is a file, and a folder below one that other users can write to.
        fs::write(top.path().join("file"), "").unwrap();
        assert!(told(&top.path().join("file")).is_err());
        fs::create_dir(top.path().join("open")).unwrap();
        fs::set_permissions(top.path().join("open"), Permissions::from_mode(0o777)).unwrap();
        assert!(told(&top.path().join("open/app")).unwrap_err().contains("other users can write"));
    }

    #[test]
    fn a_check_says_the_same_and_changes_nothing() {
        if !geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let check = |name: &str| check(&top.path().join(name), APP, &Trusted::ourselves());
        for name in ["volume/app", "new"] {
            check(name).unwrap();
            assert!(!top.path().join("volume").exists() && !top.path().join("new").exists());
        }
        fs::create_dir(top.path().join("empty")).unwrap();
        check("empty").unwrap();
        assert_eq!(seen(&top.path().join("empty")).0, 0);
        fs::write(top.path().join("empty/data"), "").unwrap();
        for name in ["empty", "empty/data", "empty/data/app"] {
            let error = check(name).unwrap_err().to_string();
            assert_eq!(error, told(&top.path().join(name)).unwrap_err(), "{name}");
        }
    }

    #[test]
    fn nobody_else_can_change_what_a_setup_has_installed() {
        if !geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let (folder, inside) = (top.path().join("app"), top.path().join("app/environment"));
        let said = || {
            let found = check_installed(&folder, &inside, APP, &Trusted::ourselves());
            found.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(said(), "");
        fs::create_dir_all(&inside).unwrap();
        let set = |path: &Path, uid: u32, gid: u32, mode: u32| {
            chown(path, Some(uid), Some(gid)).unwrap();
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        for (uid, gid, mode, why) in [
            (0, 0, 0o755, ""),
            (41_234, 41_234, 0o755, ""),
            (41_234, 100, 0o775, "can be changed by other users (mode 0775)"),
            (41_234, 41_234, 0o777, "can be changed by other users (mode 0777)"),
            (0, 0, 0o777, "can be changed by other users (mode 0777)"),
            (41_999, 41_234, 0o755, "belongs to uid 41999"),
        ] {
            for changed in [&inside, &folder] {
                for path in [&folder, &inside] {
                    set(path, 41_234, 41_234, 0o755);
                }
                set(changed, uid, gid, mode);
                let said = said();
                assert_eq!(said.is_empty(), why.is_empty(), "{uid} {mode:o} {said}");
                assert!(
                    said.starts_with(&format!(
                        "{}{why}",
                        if why.is_empty() {
                            String::new()
                        } else {
                            format!("{} ", changed.display())
                        }
                    )),
                    "{said}"
                );
            }
        }
        // An app may have a umask for its own group.
        set(&folder, 41_234, 41_234, 0o755);
        set(&inside, 41_234, 41_234, 0o775);
        assert_eq!(said(), "");
    }

    #[test]
    fn files_of_an_app_with_the_same_number_are_found() {
        if !geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let (one, two) = (top.path().join("one"), top.path().join("two"));
        told(&one).unwrap();
        alone_in_its_parent(&one, APP).unwrap();
        assert!(alone_in_its_parent(&two, APP).unwrap_err().to_string().contains("set `user`"));
    }
}
