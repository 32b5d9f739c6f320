//! Opens a file for root, which the links of other users do not lead astray.
//!
//! Root may read every file, the author of a link may not. A link of another user therefore leads only to
//! what belongs to this user as well, as the links that certbot makes. So does a second name (`link(2)`) in
//! a folder of another user.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, openat, readlinkat};
use rustix::io::Errno;

use crate::config::ownership::trusted_path::{MOST_LINKS, Trusted, parts};

const TO_LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Where a way has come to.
struct Walk<'w> {
    at: File,
    /// The parts that follow, the last one first.
    rest: Vec<OsString>,
    links: usize,
    trusted: &'w Trusted,
    /// Owners of links that must also own what their link leads to, which is known when so many parts are
    /// left.
    owed: Vec<(usize, u32)>,
}

/// Opens a path. `trusted`: whose links lead everywhere.
///
/// # Errors
///
/// The file cannot be opened. `PermissionDenied`: a link leads to what its owner may not show.
pub(super) fn open(path: &Path, trusted: &Trusted, flags: OFlags) -> io::Result<File> {
    let rest = parts(&std::path::absolute(path)?);
    let mut walk = Walk { at: top()?, rest, links: 0, trusted, owed: Vec::new() };
    while let Some(part) = walk.rest.pop() {
        walk.go_to(&part)?;
        walk.check_owners()?;
    }
    // By the descriptor: another file may have taken the path since its owners were checked.
    let opened = PathBuf::from(format!("/proc/self/fd/{}", walk.at.as_raw_fd()));
    Ok(openat(CWD, &opened, flags | OFlags::CLOEXEC, Mode::empty())?.into())
}

impl Walk<'_> {
    fn go_to(&mut self, name: &OsStr) -> io::Result<()> {
        let next = look(&self.at, name, TO_LOOK | OFlags::NOFOLLOW)?;
        let found = next.metadata()?;
        if !found.is_symlink() {
            let folder = self.at.metadata()?.uid();
            let is_second = found.is_file() && found.nlink() > 1;
            if is_second && folder != found.uid() && !self.trusted.owns(folder) {
                return Err(refused("a second name in a folder", folder));
            }
            self.at = next;
            return Ok(());
        }
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        if !self.trusted.owns(found.uid()) {
            self.owed.push((self.rest.len(), found.uid()));
        }
        // The links of open files have no path that could be read.
        if fstatfs(&next)?.f_type == PROC_SUPER_MAGIC {
            self.at = look(&self.at, name, TO_LOOK)?;
            return Ok(());
        }
        let target = readlinkat(&next, "", Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            self.at = top()?;
        }
        self.rest.extend(parts(&target));
        Ok(())
    }

    /// Checks the links whose end is reached.
    fn check_owners(&mut self) -> io::Result<()> {
        while let Some((_, owner)) = self.owed.pop_if(|(left, _)| *left == self.rest.len()) {
            if self.at.metadata()?.uid() != owner {
                return Err(refused("a link", owner));
            }
        }
        Ok(())
    }
}

fn top() -> io::Result<File> {
    Ok(openat(CWD, "/", TO_LOOK, Mode::empty())?.into())
}

fn look(at: impl AsFd, name: &OsStr, flags: OFlags) -> io::Result<File> {
    Ok(openat(at, name, flags, Mode::empty())?.into())
}

fn refused(what: &str, owner: u32) -> io::Error {
    let why = format!(
        "{what} of uid {owner} leads to what belongs to another user; let root own the link, or name the \
         file itself"
    );
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{chown, lchown, symlink};

    use super::*;

    const NOBODY: u32 = 65_534;

    fn content(path: &Path, trusted: &Trusted) -> Result<String, String> {
        let file = open(path, trusted, OFlags::RDONLY).map_err(|error| error.to_string())?;
        io::read_to_string(file).map_err(|error| error.to_string())
    }

    #[test]
    fn a_link_of_another_user_leads_to_files_of_this_user_only() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for folder in ["secret", "archive", "live", "volume/..1"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for name in ["secret/key", "archive/cert1", "volume/..1/key"] {
            fs::write(at(name), name).unwrap();
        }
        for (target, name) in [
            ("../archive/cert1", "live/cert"),
            ("../archive", "live/folder"),
            ("../secret/key", "live/foreign"),
            ("../secret", "live/foreign-folder"),
            ("foreign", "live/twice"),
            ("circle", "live/circle"),
        ] {
            symlink(target, at(name)).unwrap();
            lchown(at(name), Some(NOBODY), None).unwrap();
        }
        fs::hard_link(at("secret/key"), at("live/second")).unwrap();
        for name in ["archive", "archive/cert1", "live"] {
            chown(at(name), Some(NOBODY), None).unwrap();
        }
        for (target, name) in [
            ("..1", "volume/..data"),
            ("..data/key", "volume/key"),
            ("secret/key", "own"),
            ("live/foreign", "over"),
        ] {
            symlink(target, at(name)).unwrap();
        }
        symlink(at("secret"), at("absolute")).unwrap();
        let ours = Trusted::ourselves();
        for (path, wanted) in [
            ("secret/key", "secret/key"),
            ("live/../secret/key", "secret/key"),
            // As certbot links, and as Kubernetes mounts.
            ("live/cert", "archive/cert1"),
            ("live/folder/cert1", "archive/cert1"),
            ("volume/key", "volume/..1/key"),
            ("own", "secret/key"),
            ("absolute/key", "secret/key"),
        ] {
            assert_eq!(content(&at(path), &ours).as_deref(), Ok(wanted), "{path}");
        }
        for (path, why) in [
            ("live/foreign", "a link of uid 65534 leads"),
            ("live/foreign-folder/key", "a link of uid 65534 leads"),
            ("live/twice", "a link of uid 65534 leads"),
            ("over", "a link of uid 65534 leads"),
            ("live/second", "a second name in a folder of uid 65534 leads"),
            ("live/circle", "levels of symbolic links"),
            ("live/none", "No such file"),
        ] {
            let error = content(&at(path), &ours).unwrap_err();
            assert!(error.contains(why), "{path}: {error}");
        }
        let with_owner = Trusted::ourselves().and_owner_of(&at("live"));
        for path in ["live/foreign", "live/twice", "over", "live/second"] {
            assert_eq!(content(&at(path), &with_owner).as_deref(), Ok("secret/key"), "{path}");
        }
    }

    #[test]
    fn an_open_file_is_found_by_its_descriptor() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "text").unwrap();
        fs::remove_file(file.path()).unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let found = content(Path::new(&path), &Trusted::ourselves());
        assert_eq!(found.as_deref(), Ok("text"));
    }
}
