//! Follows the links on a way below a folder, and decides whose links count.
//!
//! Root may read every file, the author of a link may not. A link of another user therefore leads only to
//! what belongs to this user as well, and to no dot file: its author could as well serve a copy.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

use crate::config::ownership::trusted_path::Trusted;

/// Most parts of a path, those of its links included. One with more is a circle.
const MOST_STEPS: usize = 1000;
const AS_IT_IS: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a way has come to.
struct Walk<'w> {
    folder: BorrowedFd<'w>,
    at: OwnedFd,
    /// The path of `at` below the folder, without links.
    names: Vec<OsString>,
    /// The parts that follow, the last one first.
    rest: Vec<OsString>,
    steps: usize,
    /// Owners of links that must also own what their link leads to, which is known when so many parts are
    /// left.
    owed: Vec<(usize, u32)>,
    /// The owner of such a link, if there was one.
    foreign: Option<u32>,
}

/// Opens a relative path as it is (`O_PATH`). `trusted`: whose links lead everywhere below the folder;
/// `None` for everybody's.
///
/// # Errors
///
/// `EXDEV` (`CrossesDevices`): a step leads out of the folder. `PermissionDenied`: a link leads to what its
/// owner may not show.
pub(super) fn walk(
    folder: BorrowedFd<'_>,
    path: &Path,
    trusted: Option<&Trusted>,
) -> io::Result<OwnedFd> {
    let at = folder.try_clone_to_owned()?;
    let (names, owed) = (Vec::new(), Vec::new());
    let mut walk = Walk { folder, at, names, rest: parts(path)?, steps: 0, owed, foreign: None };
    while let Some(part) = walk.rest.pop() {
        if part == ".." {
            walk.go_up()?;
        } else {
            walk.go_to(part, trusted)?;
        }
        walk.check_owners()?;
    }
    let is_dot = |name: &OsString| name.as_bytes().starts_with(b".");
    match walk.foreign.filter(|_| walk.names.iter().any(is_dot)) {
        Some(owner) => Err(refused(owner, "a name that begins with a dot")),
        None => Ok(walk.at),
    }
}

impl Walk<'_> {
    fn go_to(&mut self, name: OsString, trusted: Option<&Trusted>) -> io::Result<()> {
        let next = self.open(&self.at, &name)?;
        self.steps += 1;
        let found = fstat(&next)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            self.at = next;
            self.names.push(name);
            return Ok(());
        }
        if trusted.is_some_and(|trusted| !trusted.owns(found.st_uid)) {
            self.owed.push((self.rest.len(), found.st_uid));
            self.foreign = Some(found.st_uid);
        }
        let target = readlinkat(&next, "", Vec::new())?;
        let target = OsString::from_vec(target.into_bytes());
        self.rest.extend(parts(Path::new(&target))?);
        Ok(())
    }

    /// Goes by the names from the top: the folder above may have been moved out meanwhile.
    fn go_up(&mut self) -> io::Result<()> {
        self.names.pop().ok_or(Errno::XDEV)?;
        let mut at = self.folder.try_clone_to_owned()?;
        for name in &self.names {
            at = self.open(&at, name)?;
        }
        self.steps += 1 + self.names.len();
        self.at = at;
        Ok(())
    }

    fn open(&self, at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        if self.steps >= MOST_STEPS {
            return Err(Errno::LOOP.into());
        }
        Ok(openat(at, name, AS_IT_IS, Mode::empty())?)
    }

    /// Checks the links whose end is reached.
    fn check_owners(&mut self) -> io::Result<()> {
        while let Some((_, owner)) = self.owed.pop_if(|(left, _)| *left == self.rest.len()) {
            if fstat(&self.at)?.st_uid != owner {
                return Err(refused(owner, "what belongs to another user"));
            }
        }
        Ok(())
    }
}

fn refused(owner: u32, what: &str) -> io::Error {
    let why = format!("a link of uid {owner} leads to {what}");
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> io::Result<Vec<OsString>> {
    let part = |part| match part {
        Component::Normal(name) => Some(Ok(name.to_owned())),
        Component::ParentDir => Some(Ok("..".into())),
        Component::CurDir => None,
        Component::RootDir | Component::Prefix(_) => Some(Err(Errno::XDEV.into())),
    };
    path.components().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::{MetadataExt as _, lchown, symlink};

    use super::*;

    const NOBODY: u32 = 65_534;

    /// A site with a folder of nobody's.
    fn site() -> tempfile::TempDir {
        let site = tempfile::tempdir().unwrap();
        let at = |name: &str| site.path().join(name);
        for folder in ["up/own", "up/.dot", "private", "..2026"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for name in ["private/x", "up/own/x", "up/.dot/x", "..2026/x", "up/.hidden"] {
            fs::write(at(name), name).unwrap();
        }
        for (target, name) in [
            ("../private/x", "up/file"),
            ("../private", "up/folder"),
            ("../up/own/x", "up/mine"),
            ("own", "up/mine-too"),
            (".hidden", "up/hidden"),
            (".dot/x", "up/dot"),
            ("file", "up/twice"),
            ("mine", "up/twice-mine"),
            ("..", "up/top"),
            (".", "up/here"),
            ("../../out", "up/out"),
            ("/etc/passwd", "up/absolute"),
            ("circle", "up/circle"),
        ] {
            symlink(target, at(name)).unwrap();
        }
        for name in fs::read_dir(at("up")).unwrap() {
            lchown(name.unwrap().path(), Some(NOBODY), None).unwrap();
        }
        for name in ["up", "up/own/x", "up/.dot/x"] {
            lchown(at(name), Some(NOBODY), None).unwrap();
        }
        for (target, name) in [
            ("private/x", "good"),
            ("up/own/x", "good-too"),
            ("..data/x", "mounted"),
            ("..2026", "..data"),
            ("up/file", "over"),
            ("up/twice-mine", "over-mine"),
        ] {
            symlink(target, at(name)).unwrap();
        }
        site
    }

    fn followed(site: &Path, path: &str, trusted: Option<&Trusted>) -> Result<u64, String> {
        let folder = fs::File::open(site).unwrap();
        let found = walk(folder.as_fd(), Path::new(path), trusted);
        let found = found.map_err(|error| error.to_string())?;
        Ok(fs::File::from(found).metadata().unwrap().ino())
    }

    #[test]
    fn a_link_leads_to_what_its_owner_may_show() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let site = site();
        let trusted = Trusted::ourselves();
        let inode = |name: &str| fs::symlink_metadata(site.path().join(name)).unwrap().ino();
        for (path, wanted) in [
            ("private/x", "private/x"),
            ("up/own/x", "up/own/x"),
            ("good", "private/x"),
            ("good-too", "up/own/x"),
            // As Kubernetes mounts a ConfigMap.
            ("mounted", "..2026/x"),
            ("up/mine", "up/own/x"),
            ("up/mine-too/x", "up/own/x"),
            ("up/twice-mine", "up/own/x"),
            ("over-mine", "up/own/x"),
            ("up/here/own/x", "up/own/x"),
        ] {
            let found = followed(site.path(), path, Some(&trusted));
            assert_eq!(found, Ok(inode(wanted)), "{path}");
        }
        for (path, why) in [
            ("up/file", "another user"),
            ("up/folder/x", "another user"),
            ("up/twice", "another user"),
            ("over", "another user"),
            ("up/top/private/x", "another user"),
            ("up/hidden", "begins with a dot"),
            ("up/dot", "begins with a dot"),
            ("up/out", "cross-device"),
            ("up/absolute", "cross-device"),
            ("up/circle", "levels of symbolic links"),
        ] {
            let error = followed(site.path(), path, Some(&trusted)).unwrap_err();
            assert!(error.to_lowercase().contains(why), "{path}: {error}");
        }
        // Without rights beyond those of others, everybody's links count.
        for path in ["up/file", "up/folder/x", "up/twice", "over", "up/top/private/x"] {
            assert_eq!(followed(site.path(), path, None), Ok(inode("private/x")), "{path}");
        }
    }
}
