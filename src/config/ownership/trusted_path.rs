//! Paths that no other user can redirect: each folder and each link on the way belongs to a
//! trusted user, and no other user can write to it (the rule of sshd's `StrictModes`). A folder
//! with the sticky bit, as `/tmp`, may be writable for all: only the owner of a file can remove the
//! file from it, and the owner of the file is checked.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{Uid, getegid, geteuid, getgroups};

use super::owner::{Shown, unmapped_uid};

/// The limit of the kernel; a path with more links is a circle.
pub(super) const MOST_LINKS: usize = 40;
const WRITABLE: u32 = 0o022;
const GROUP_WRITABLE: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// The users whose folders and links are followed.
#[derive(Debug, Clone)]
pub(crate) struct Trusted {
    owners: Vec<u32>,
    /// Groups that may write: those of the appliance, if it does not run as root.
    groups: Vec<u32>,
}

impl Trusted {
    /// Root, and the user of the appliance.
    pub(crate) fn ourselves() -> Self {
        let us = geteuid();
        let mut groups = Vec::new();
        if !us.is_root() {
            groups.push(getegid().as_raw());
            groups.extend(getgroups().unwrap_or_default().iter().map(|group| group.as_raw()));
        }
        let owners = [Some(0), Some(us.as_raw()), unmapped_uid()].into_iter().flatten().collect();
        Self { owners, groups }
    }

    /// Adds the owner of this folder. The owner of the configuration's folder decides which programs
    /// root starts, so that this owner gains nothing by a changed path.
    pub(crate) fn and_owner_of(mut self, folder: &Path) -> Self {
        self.owners.extend(folder.metadata().map(|found| found.uid()));
        self
    }

    /// Adds this user.
    pub(crate) fn and(mut self, user: Uid) -> Self {
        self.owners.push(user.as_raw());
        self
    }

    /// Whether a file or a folder that was reached on a trusted way is trusted itself.
    pub(crate) fn check(&self, path: &Path, found: &Metadata) -> Result<(), Untrusted> {
        self.check_owner(path, found)?;
        let open = self.writable_by_others(found);
        if !open || found.is_dir() && found.mode() & STICKY != 0 {
            return Ok(());
        }
        let (path, mode) = (path.to_owned(), found.mode() & 0o7777);
        Err(if found.is_dir() {
            Untrusted::WritableFolder { path, mode }
        } else {
            Untrusted::Writable { path, mode }
        })
    }

    /// Whether this is one of the users.
    pub(crate) fn owns(&self, owner: u32) -> bool {
        self.owners.contains(&owner)
    }

    fn check_owner(&self, path: &Path, found: &Metadata) -> Result<(), Untrusted> {
        if self.owns(found.uid()) {
            return Ok(());
        }
        let owner = Shown(Uid::from_raw(found.uid()));
        Err(Untrusted::Owner { path: path.to_owned(), owner, wanted: Shown(geteuid()) })
    }

    fn writable_by_others(&self, found: &Metadata) -> bool {
        let open = found.mode() & WRITABLE;
        open != 0 && (open != GROUP_WRITABLE || !self.groups.contains(&found.gid()))
    }
}

/// A part of a path that another user can change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untrusted {
    #[error("{path} belongs to {owner}, not to {wanted}; run `chown {uid} {path}`", path = path.display(), uid = wanted.0)]
    Owner { path: PathBuf, owner: Shown, wanted: Shown },
    #[error("other users can write to {path} (mode {mode:04o}); run `chmod go-w {path}`", path = path.display())]
    Writable { path: PathBuf, mode: u32 },
    #[error("other users can write to {path} (mode {mode:04o}); run `chmod go-w {path}`, or `chmod +t {path}` if other users need the folder", path = path.display())]
    WritableFolder { path: PathBuf, mode: u32 },
    #[error("{path} is a second name of a file, in a folder that every user can write to; move it to a folder of its own", path = path.display())]
    SecondName { path: PathBuf },
    #[error("{path} leads to more than {MOST_LINKS} links; name the file itself", path = path.display())]
    Links { path: PathBuf },
    #[error("{path}: {error}", path = path.display())]
    Unreadable { path: PathBuf, error: io::Error },
}

/// The end of a trusted path. What the end is has not been checked.
#[derive(Debug)]
pub(crate) struct Place {
    /// The path without links.
    pub(crate) path: PathBuf,
    /// `None` when nothing is there yet.
    pub(crate) found: Option<Metadata>,
}

/// Judges each part of a path before the walk goes on.
pub(super) trait Watch {
    /// A folder that the walk looks into.
    fn enter(&mut self, folder: &Path, found: &Metadata) -> Result<(), Untrusted>;

    /// What a folder has under the next name of the path; `None` if there is nothing.
    fn pass(
        &mut self,
        folder: &Metadata,
        path: &Path,
        found: Option<&Metadata>,
    ) -> Result<(), Untrusted>;
}

impl Watch for &Trusted {
    fn enter(&mut self, folder: &Path, found: &Metadata) -> Result<(), Untrusted> {
        self.check(folder, found)
    }

    fn pass(
        &mut self,
        folder: &Metadata,
        path: &Path,
        found: Option<&Metadata>,
    ) -> Result<(), Untrusted> {
        match found {
            Some(link) if link.is_symlink() => self.check_owner(path, link),
            Some(file) if file.is_file() && file.nlink() > 1 && self.writable_by_others(folder) => {
                Err(Untrusted::SecondName { path: path.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// Follows an absolute path. A missing end can be created safely, because no other user can create
/// it first.
pub(crate) fn follow(path: &Path, trusted: &Trusted) -> Result<Place, Untrusted> {
    let mut trusted = trusted;
    walk(path, &mut trusted)
}

/// Follows an absolute path as the kernel does, folder by folder and link by link.
pub(super) fn walk(path: &Path, watch: &mut dyn Watch) -> Result<Place, Untrusted> {
    let mut rest = parts(path);
    let mut at = Place { path: PathBuf::from("/"), found: Some(look(Path::new("/"))?) };
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if let Some(found) = &at.found {
            watch.enter(&at.path, found)?;
        }
        if part == ".." {
            at.path.pop();
            at.found = at.found.map(|_| look(&at.path)).transpose()?;
            continue;
        }
        let next = at.path.join(&part);
        let found = if at.found.is_some() { look_for(&next)? } else { None };
        if let Some(folder) = &at.found {
            watch.pass(folder, &next, found.as_ref())?;
        }
        if found.as_ref().is_none_or(|found| !found.is_symlink()) {
            at = Place { path: next, found };
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Untrusted::Links { path: path.to_owned() });
        }
        let error = |error| Untrusted::Unreadable { path: next.clone(), error };
        let target = std::fs::read_link(&next).map_err(error)?;
        if target.is_absolute() {
            at = Place { path: PathBuf::from("/"), found: Some(look(Path::new("/"))?) };
        }
        rest.extend(parts(&target));
    }
    Ok(at)
}

/// The parts of a path, the last one first.
pub(super) fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect()
}

fn look(path: &Path) -> Result<Metadata, Untrusted> {
    path.symlink_metadata().map_err(|error| Untrusted::Unreadable { path: path.into(), error })
}

fn look_for(path: &Path) -> Result<Option<Metadata>, Untrusted> {
    match look(path) {
        Err(Untrusted::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    /// The real path, or what is wrong.
    fn checked(path: &Path) -> Result<String, String> {
        let trusted = Trusted::ourselves();
        let place = follow(path, &trusted).map_err(|error| error.to_string())?;
        if let Some(found) = &place.found {
            trusted.check(&place.path, found).map_err(|error| error.to_string())?;
        }
        Ok(place.path.display().to_string())
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folders_that_others_can_write_to_are_refused_unless_they_are_sticky() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let file = top.join("a/file");
        fs::create_dir(top.join("a")).unwrap();
        fs::write(&file, "").unwrap();
        for (bits, good) in
            [(0o700, true), (0o755, true), (0o777, false), (0o757, false), (0o1777, true)]
        {
            mode(&top.join("a"), bits);
            assert_eq!(checked(&file).is_ok(), good, "{bits:o}");
            // Other users could create a missing path.
            assert_eq!(checked(&top.join("a/b/c")).is_ok(), good, "{bits:o}");
        }
        mode(&top.join("a"), 0o755);
        mode(&file, 0o666);
        let error = checked(&file).unwrap_err();
        assert!(error.contains("(mode 0666); run `chmod go-w /"), "{error}");
    }

    #[test]
    fn a_second_name_in_a_folder_of_all_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir(top.join("shared")).unwrap();
        fs::write(top.join("file"), "").unwrap();
        fs::hard_link(top.join("file"), top.join("shared/name")).unwrap();
        assert!(checked(&top.join("shared/name")).is_ok());
        mode(&top.join("shared"), 0o1777);
        assert!(checked(&top.join("shared/name")).unwrap_err().contains("second name"));
    }

    #[test]
    fn own_links_are_followed_and_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/file"), "").unwrap();
        let real = top.join("a/b/file").display().to_string();
        for (name, target) in [("one", "a/b"), ("two", "a/../one"), ("a/three", "../two")] {
            symlink(target, top.join(name)).unwrap();
            assert_eq!(checked(&top.join(name).join("file")), Ok(real.clone()), "{name}");
        }
        symlink(top.join("a"), top.join("whole")).unwrap();
        assert_eq!(checked(&top.join("whole/b/../b/./file")), Ok(real));
        symlink("round", top.join("round")).unwrap();
        assert!(checked(&top.join("round")).unwrap_err().contains("more than 40 links"));
    }

    #[test]
    fn what_belongs_to_another_user_is_refused_with_the_command_that_mends_it() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("file"), "").unwrap();
        symlink("../file", top.join("a/link")).unwrap();
        assert!(checked(&top.join("a/link")).is_ok());
        std::os::unix::fs::lchown(top.join("a/link"), Some(65_534), None).unwrap();
        assert!(checked(&top.join("a/link")).is_err());
        chown(top.join("a"), Some(41_234), None).unwrap();
        let error = checked(&top.join("a/b")).unwrap_err();
        let path = top.join("a").display().to_string();
        let wanted =
            format!("{path} belongs to uid 41234, not to uid 0 (root); run `chown 0 {path}`");
        assert_eq!(error, wanted);
        let trusted = Trusted::ourselves().and_owner_of(&top.join("a"));
        assert!(follow(&top.join("a/b"), &trusted).is_ok());
    }
}
