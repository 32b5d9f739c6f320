//! What the user of an app can do with a file that root reads: read it, or choose its content, because
//! the file, a link or a folder on the way to it belongs to this user or can be written by it. The rule
//! is about the rights, not about what the user has done so far. Access control lists are not read.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::account::Account;
use super::trusted_path::{Untrusted, Watch, walk};

const READ: u32 = 4;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;
const STICKY: u32 = 0o1000;

/// The way to a file, as it is now.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// Each folder that is looked into.
    folders: Vec<Part>,
    /// The name that each folder was asked for, and what it has there.
    names: Vec<Name>,
    /// The file.
    end: Option<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    path: PathBuf,
    uid: u32,
    gid: u32,
    mode: u32,
}

#[derive(Debug)]
struct Name {
    folder: Part,
    /// The owner of the entry; `None` if there is none.
    owner: Option<u32>,
    link: Option<PathBuf>,
}

/// What an app's user can change on a way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changeable {
    path: PathBuf,
    how: How,
}

#[derive(Debug, PartialEq, Eq)]
enum How {
    Owned,
    OwnedLink,
    Written(u32),
}

impl Changeable {
    /// The command that takes the right away.
    pub(crate) fn command(&self) -> String {
        let path = self.path.display();
        match self.how {
            How::Owned => format!("chown 0:0 {path}"),
            How::OwnedLink => format!("chown -h 0:0 {path}"),
            How::Written(_) => format!("chmod go-w {path}"),
        }
    }
}

impl fmt::Display for Changeable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.how {
            How::Owned | How::OwnedLink => write!(f, "{path} belongs to this user"),
            How::Written(mode) => write!(f, "this user can write to {path} (mode {mode:04o})"),
        }
    }
}

impl Way {
    /// Follows the path. What cannot be followed has no end; reading it fails as well.
    pub(crate) fn to(path: &Path) -> Self {
        let mut way = Self::default();
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let end = walk(&path, &mut way).ok();
        way.end = end.and_then(|place| Some(Part::of(&place.path, place.found.as_ref()?)));
        way
    }

    /// What this user can change, so that the path leads to other content.
    pub(crate) fn changeable_by(&self, account: &Account) -> Option<Changeable> {
        let names = self.names.iter().find_map(|name| self.changeable_name(name, account));
        let changed = names.or_else(|| self.changeable_part(self.end.as_ref()?, account))?;
        (!is_read_only(&changed.path)).then_some(changed)
    }

    fn changeable_name(&self, name: &Name, account: &Account) -> Option<Changeable> {
        // Of a folder with the sticky bit, only the owner of an entry can replace the entry.
        let is_kept = name.folder.mode & STICKY != 0
            && name.owner.is_some_and(|owner| owner != account.uid.as_raw());
        let owns = name.folder.uid == account.uid.as_raw();
        let changed =
            if is_kept && !owns { None } else { self.changeable_part(&name.folder, account) };
        changed.or_else(|| {
            let link = name.link.as_ref()?;
            (name.owner == Some(account.uid.as_raw()))
                .then(|| Changeable { path: link.clone(), how: How::OwnedLink })
        })
    }

    fn changeable_part(&self, part: &Part, account: &Account) -> Option<Changeable> {
        let path = part.path.clone();
        if part.uid == account.uid.as_raw() {
            return Some(Changeable { path, how: How::Owned });
        }
        (part.allows(account, WRITE) && self.is_reached(part, account))
            .then_some(Changeable { path, how: How::Written(part.mode) })
    }

    /// The mode of the file, if this user may read it.
    pub(crate) fn readable_by(&self, account: &Account) -> Option<u32> {
        let end = self.end.as_ref()?;
        (end.allows(account, READ) && self.is_reached(end, account)).then_some(end.mode)
    }

    /// The path without links; `None` if nothing is there.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.end.as_ref().map(|end| end.path.as_path())
    }

    /// Whether the user can come to this part: to every folder above it.
    fn is_reached(&self, part: &Part, account: &Account) -> bool {
        let mut above = self
            .folders
            .iter()
            .filter(|folder| part.path != folder.path && part.path.starts_with(&folder.path));
        above.all(|folder| folder.allows(account, SEARCH))
    }
}

impl Watch for Way {
    fn enter(&mut self, folder: &Path, found: &Metadata) -> Result<(), Untrusted> {
        self.folders.push(Part::of(folder, found));
        Ok(())
    }

    fn pass(
        &mut self,
        _: &Metadata,
        path: &Path,
        found: Option<&Metadata>,
    ) -> Result<(), Untrusted> {
        let Some(folder) = self.folders.last().cloned() else { return Ok(()) };
        let link = found.filter(|found| found.is_symlink()).map(|_| path.to_owned());
        self.names.push(Name { folder, owner: found.map(Metadata::uid), link });
        Ok(())
    }
}

impl Part {
    fn of(path: &Path, found: &Metadata) -> Self {
        let (uid, gid, mode) = (found.uid(), found.gid(), found.mode() & 0o7777);
        Self { path: path.to_owned(), uid, gid, mode }
    }

    /// Whether the mode gives the user this right: as its owner, else as one of its group, else as any
    /// other user.
    fn allows(&self, account: &Account, right: u32) -> bool {
        let is_in_group = || {
            account.gid.as_raw() == self.gid
                || account.groups.iter().any(|group| group.as_raw() == self.gid)
        };
        let shift = if self.uid == account.uid.as_raw() {
            6
        } else if is_in_group() {
            3
        } else {
            0
        };
        self.mode >> shift & right != 0
    }
}

/// A volume that is mounted read-only, as those of Kubernetes with secrets.
fn is_read_only(path: &Path) -> bool {
    let of_link = path.parent().filter(|_| path.is_symlink()).unwrap_or(path);
    statvfs(of_link).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};

    use nix::unistd::{Gid, Uid, geteuid};

    use super::*;

    const APP: u32 = 41_234;

    fn app() -> Account {
        let gid = Gid::from_raw(APP);
        let uid = Uid::from_raw(APP);
        Account { uid, gid, groups: vec![gid], name: "app".to_owned(), home: "/".into() }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// `a/b/file` below a folder that everybody may enter.
    fn tree() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        mode(folder.path(), 0o755);
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/file"), "text").unwrap();
        for (name, bits) in [("a", 0o755), ("a/b", 0o755), ("a/b/file", 0o600)] {
            mode(&top.join(name), bits);
        }
        (folder, top)
    }

    #[test]
    fn rights_of_owner_group_and_others_decide() {
        if !geteuid().is_root() {
            return;
        }
        // Path, mode, group; who can change what, and who can read.
        for (name, bits, group, command, reads) in [
            ("a/b/file", 0o600, 0, None, false),
            ("a/b/file", 0o644, 0, None, true),
            ("a/b/file", 0o640, 0, None, false),
            ("a/b/file", 0o640, APP, None, true),
            ("a/b/file", 0o666, 0, Some("chmod go-w"), true),
            ("a/b/file", 0o620, APP, Some("chmod go-w"), false),
            ("a/b", 0o777, 0, Some("chmod go-w"), false),
            ("a/b", 0o775, APP, Some("chmod go-w"), false),
            ("a/b", 0o775, 0, None, false),
            ("a/b", 0o1777, 0, None, false),
            ("a", 0o777, 0, Some("chmod go-w"), false),
            ("a", 0o1777, 0, None, false),
        ] {
            let (_folder, top) = tree();
            mode(&top.join(name), bits);
            chown(top.join(name), None, Some(group)).unwrap();
            let way = Way::to(&top.join("a/b/file"));
            let found = way.changeable_by(&app()).map(|changed| changed.command());
            let wanted = command.map(|command| format!("{command} {}", top.join(name).display()));
            assert_eq!(found, wanted, "{name} {bits:o}");
            assert_eq!(way.readable_by(&app()).is_some(), reads, "{name} {bits:o}");
        }
    }

    #[test]
    fn what_belongs_to_the_user_is_changed_and_what_is_behind_a_shut_folder_is_not() {
        if !geteuid().is_root() {
            return;
        }
        for name in ["a", "a/b", "a/b/file"] {
            let (_folder, top) = tree();
            chown(top.join(name), Some(APP), None).unwrap();
            let changed = Way::to(&top.join("a/b/file")).changeable_by(&app()).unwrap();
            let path = top.join(name).display().to_string();
            assert_eq!(changed.command(), format!("chown 0:0 {path}"));
            assert_eq!(changed.to_string(), format!("{path} belongs to this user"));
        }
        let (_folder, top) = tree();
        mode(&top.join("a"), 0o700);
        mode(&top.join("a/b"), 0o777);
        mode(&top.join("a/b/file"), 0o666);
        let way = Way::to(&top.join("a/b/file"));
        assert!(way.changeable_by(&app()).is_none() && way.readable_by(&app()).is_none());
    }

    #[test]
    fn links_are_followed_and_judged() {
        if !geteuid().is_root() {
            return;
        }
        let (_folder, top) = tree();
        fs::create_dir(top.join("volume")).unwrap();
        for (target, name) in [("../a/b", "volume/..data"), ("..data/file", "volume/key")] {
            symlink(target, top.join(name)).unwrap();
        }
        let changed = || Way::to(&top.join("volume/key")).changeable_by(&app());
        assert_eq!(changed(), None, "as Kubernetes mounts");
        mode(&top.join("a"), 0o777);
        assert_eq!(changed().map(|changed| changed.path), Some(top.join("a")));
        mode(&top.join("a"), 0o755);
        lchown(top.join("volume/..data"), Some(APP), None).unwrap();
        let command = format!("chown -h 0:0 {}", top.join("volume/..data").display());
        assert_eq!(changed().map(|changed| changed.command()), Some(command));
        assert!(Way::to(&top.join("none")).changeable_by(&app()).is_none());
        // The user could make what does not exist.
        mode(&top, 0o1777);
        assert!(Way::to(&top.join("none")).changeable_by(&app()).is_some());
    }
}
