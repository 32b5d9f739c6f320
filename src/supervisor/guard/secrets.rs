//! The files and folders that are hidden, and whether they are still where they were at the start.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;

use crate::config::reserved::SESSIONS;

/// Device and inode number.
pub(super) type Identity = (u64, u64);

/// The appliance's secrets on the disk.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// Without symbolic links.
    pub(super) state_dir: PathBuf,
    pub(super) identity: Identity,
    /// Keeps the inode number from being used again.
    _held: File,
    /// The folders above `state_dir`, as they were at the start.
    pub(super) above: HashSet<Identity>,
    /// Secrets of the appliance in other folders, as the configuration names them.
    files: Vec<PathBuf>,
}

/// A secret outside of `state_dir`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Outside {
    File(PathBuf),
    /// A folder that contains such secrets and nothing else. A secret that is replaced there stays
    /// hidden.
    Folder(PathBuf),
}

impl Secrets {
    /// `files` are secrets of the appliance; those in `state_dir` are hidden with it.
    pub(crate) fn of(state_dir: &Path, files: &[PathBuf]) -> io::Result<Self> {
        let state_dir = state_dir.canonicalize()?;
        let held = open_path(&state_dir)?;
        let identity = identity_of(&held.metadata()?);
        let parents = state_dir.ancestors().skip(1);
        let above = parents.map(|folder| Ok(identity_of(&folder.symlink_metadata()?)));
        let above = above.collect::<io::Result<_>>()?;
        Ok(Self { state_dir, identity, _held: held, above, files: files.to_vec() })
    }

    /// Fails if the path of `state_dir` no longer leads to the folder of the start: its secrets
    /// would be hidden nowhere.
    pub(super) fn check_place(&self) -> io::Result<()> {
        let here = self.state_dir.symlink_metadata().map(|found| identity_of(&found));
        if here.is_ok_and(|found| found == self.identity) {
            return Ok(());
        }
        let why = format!(
            "another folder is at {path}, or none: the state_dir of the start was moved away; move \
             it back to {path}",
            path = self.state_dir.display()
        );
        Err(io::Error::other(why))
    }

    /// The secrets outside of `state_dir` that exist and are not given to the process.
    pub(super) fn outside(&self, is_given: &dyn Fn(&Path) -> bool) -> HashSet<Outside> {
        let real: HashSet<PathBuf> =
            self.files.iter().filter_map(|file| file.canonicalize().ok()).collect();
        let mut outside = HashSet::new();
        for file in &self.files {
            let Ok(target) = file.canonicalize() else { continue };
            if is_given(file) || is_given(&target) || target.parent() == Some(&self.state_dir) {
                continue;
            }
            let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
            let alone = folder.filter(|folder| self.holds_only_secrets(folder, &real, is_given));
            outside.insert(alone.map_or(Outside::File(target), Outside::Folder));
        }
        outside
    }

    /// The secrets that are covered by themselves: another file in their place is not covered.
    pub(crate) fn shown_if_replaced(&self) -> Vec<String> {
        let files = self.outside(&|_| false).into_iter().filter_map(|outside| match outside {
            Outside::File(path) => Some(path.display().to_string()),
            Outside::Folder(_) => None,
        });
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    }

    /// Whether everything in the folder is a secret of the appliance. Kubernetes keeps the files of
    /// a volume in folders whose names begin with `..`.
    fn holds_only_secrets(
        &self,
        folder: &Path,
        secrets: &HashSet<PathBuf>,
        is_given: &dyn Fn(&Path) -> bool,
    ) -> bool {
        let Ok(entries) = fs::read_dir(folder) else { return false };
        !self.state_dir.starts_with(folder)
            && entries.flatten().all(|entry| {
                let path = entry.path();
                let is_secret = path.canonicalize().is_ok_and(|real| secrets.contains(&real));
                let is_of_kubernetes = entry.file_name().as_encoded_bytes().starts_with(b"..");
                is_of_kubernetes || (is_secret && !is_given(&path))
            })
    }
}

/// Whether this entry of `state_dir` is hidden: every file, and the folder of sessions.
pub(super) fn is_hidden(path: &Path, kind: fs::FileType) -> bool {
    !kind.is_dir() || path.file_name().is_some_and(|name| name == SESSIONS)
}

pub(super) fn identity_of(found: &Metadata) -> Identity {
    (found.dev(), found.ino())
}

pub(super) fn open_path(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("state")).unwrap();
        for file in files {
            let path = top.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "content").unwrap();
        }
        top
    }

    #[test]
    fn a_state_folder_that_was_moved_or_replaced_is_noticed() {
        type Change = fn(&Path);
        let moved: Change = |top| fs::rename(top.join("state"), top.join("x")).unwrap();
        let linked: Change = |top| symlink("x", top.join("state")).unwrap();
        let new: Change = |top| fs::create_dir(top.join("state")).unwrap();
        let back: Change = |top| fs::rename(top.join("x"), top.join("state")).unwrap();
        let written: Change = |top| fs::write(top.join("state/new"), "").unwrap();
        let cases: [(&[Change], bool); 5] = [
            (&[written], true),
            (&[moved], false),
            (&[moved, linked], false),
            (&[moved, new], false),
            (&[moved, back], true),
        ];
        for (number, (changes, is_there)) in cases.iter().enumerate() {
            let top = folder_with(&[]);
            let secrets = Secrets::of(&top.path().join("state"), &[]).unwrap();
            changes.iter().for_each(|change| change(top.path()));
            assert_eq!(secrets.check_place().is_ok(), *is_there, "{number}");
        }
        let top = folder_with(&["above/state/session-keys"]);
        let (above, moved) = (top.path().join("above"), top.path().join("moved"));
        let secrets = Secrets::of(&above.join("state"), &[]).unwrap();
        fs::rename(&above, &moved).unwrap();
        fs::create_dir_all(above.join("state")).unwrap();
        assert!(secrets.check_place().is_err(), "a folder above was replaced");
    }

    #[test]
    fn secrets_in_other_folders_are_hidden_with_their_folder_if_nothing_else_is_in_it() {
        let top = folder_with(&["alone/keys", "mixed/client", "mixed/page.html", "state/own"]);
        symlink("..data/secret", top.path().join("k8s-key")).unwrap();
        let at = |name: &str| top.path().canonicalize().unwrap().join(name);
        let volume = folder_with(&["volume/..1/key"]);
        let key = volume.path().canonicalize().unwrap().join("volume/key");
        symlink("..1", key.with_file_name("..data")).unwrap();
        symlink("..data/key", &key).unwrap();
        let files =
            [at("alone/keys"), at("mixed/client"), at("state/own"), at("none"), key.clone()];
        let secrets = Secrets::of(&at("state"), &files).unwrap();
        let wanted = [
            Outside::Folder(at("alone")),
            Outside::File(at("mixed/client")),
            Outside::Folder(key.parent().unwrap().to_owned()),
        ];
        assert_eq!(secrets.outside(&|_| false), HashSet::from(wanted.clone()));
        let given = secrets.outside(&|path| path == at("mixed/client"));
        assert_eq!(given, HashSet::from([wanted[0].clone(), wanted[2].clone()]));
    }
}
