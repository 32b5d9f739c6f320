//! The files and folders that are hidden, and whether they are still where they were at the start.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::libc;
use nix::unistd::geteuid;

use super::Means;
use crate::config::reserved::SESSIONS;

/// Device and inode number.
pub(super) type Identity = (u64, u64);

/// The appliance's secrets on the disk.
#[derive(Debug)]
pub(crate) struct Secrets {
    pub(super) state_dir: Arc<Place>,
    /// The folders of the secrets that are elsewhere.
    folders: Vec<Arc<Place>>,
    /// These folders and all above them, as they were at the start.
    on_the_way: HashMap<PathBuf, Identity>,
    /// Secrets of the appliance in other folders, as the configuration names them.
    files: Vec<Arc<SecretFile>>,
}

/// A folder, as it was at the start.
#[derive(Debug)]
pub(super) struct Place {
    /// Without symbolic links.
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    /// Keeps the inode number from being used again.
    held: File,
}

#[derive(Debug)]
struct SecretFile {
    /// The path in the configuration.
    named: PathBuf,
    /// Where it was at the start: in its folder, and at the end of a link. Both without symbolic links
    /// above.
    at_start: Vec<PathBuf>,
}

/// A secret outside of `state_dir`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Outside {
    File(PathBuf),
    /// A folder that contains such secrets and nothing else. A secret that is replaced there stays
    /// hidden.
    Folder(PathBuf),
}

impl Outside {
    pub(super) fn path(&self) -> &Path {
        let (Self::File(path) | Self::Folder(path)) = self;
        path
    }

    fn contains(&self, other: &Self) -> bool {
        matches!(self, Self::Folder(folder) if self != other && other.path().starts_with(folder))
    }
}

impl Place {
    /// Fails for a path with a symbolic link at its end.
    fn of(path: PathBuf) -> io::Result<Self> {
        let held = open_path(&path)?;
        let identity = identity_of(&held.metadata()?);
        Ok(Self { path, identity, held })
    }

    /// A path to the folder, wherever it was moved to.
    fn now(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.held.as_raw_fd()))
    }

    /// Whether the path still leads to the folder. One that was deleted contains no secret.
    fn is_there(&self) -> bool {
        let here = self.path.symlink_metadata().map(|found| identity_of(&found));
        here.is_ok_and(|found| found == self.identity)
    }

    fn is_deleted(&self) -> bool {
        self.held.metadata().is_ok_and(|held| held.nlink() == 0)
    }
}

impl SecretFile {
    fn of(named: &Path) -> Self {
        let named = std::path::absolute(named).unwrap_or_else(|_| named.to_owned());
        let folder = named.parent().and_then(|folder| folder.canonicalize().ok());
        let in_folder = folder.zip(named.file_name()).map(|(folder, name)| folder.join(name));
        let target = named.canonicalize().ok();
        Self { at_start: in_folder.into_iter().chain(target).collect(), named }
    }

    /// The folders that must stay where they are. A link may lead to another file in a folder below:
    /// Kubernetes replaces secrets in that way.
    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let mut folders: Vec<_> = self.at_start.iter().filter_map(|path| path.parent()).collect();
        if let [in_folder, target] = folders[..]
            && target.starts_with(in_folder)
        {
            folders.pop();
        }
        folders.into_iter().map(Path::to_path_buf).collect::<Vec<_>>().into_iter()
    }

    /// Where it is now, in the folder of the start and as the configuration names it.
    fn now(&self) -> HashSet<PathBuf> {
        let paths = self.at_start.iter().chain([&self.named]);
        paths.filter_map(|path| path.canonicalize().ok()).collect()
    }
}

impl Secrets {
    /// `files` are secrets of the appliance; those in `state_dir` are hidden with it.
    pub(crate) fn of(state_dir: &Path, files: &[PathBuf]) -> io::Result<Self> {
        let state_dir = Place::of(state_dir.canonicalize()?)?;
        let files: Vec<_> = files.iter().map(|file| SecretFile::of(file)).collect();
        let folders: HashSet<_> = files.iter().flat_map(SecretFile::folders).collect();
        let folders = folders.into_iter().map(Place::of).collect::<io::Result<Vec<_>>>()?;
        let places = folders.iter().chain([&state_dir]);
        let on_the_way = places.flat_map(|place| place.path.ancestors());
        let on_the_way = on_the_way
            .map(|folder| Ok((folder.to_path_buf(), identity_of(&folder.symlink_metadata()?))));
        let on_the_way = on_the_way.collect::<io::Result<_>>()?;
        let folders = folders.into_iter().map(Arc::new).collect();
        let files = files.into_iter().map(Arc::new).collect();
        Ok(Self { state_dir: Arc::new(state_dir), folders, on_the_way, files })
    }

    /// The same secrets and those of a changed configuration. What is known already stays as it was at
    /// the start.
    pub(crate) fn with(&self, files: &[PathBuf]) -> io::Result<Self> {
        let is_new = |file: &SecretFile| self.files.iter().all(|known| known.named != file.named);
        let new: Vec<_> = files.iter().map(|file| SecretFile::of(file)).filter(is_new).collect();
        let mut all = Self {
            state_dir: self.state_dir.clone(),
            folders: self.folders.clone(),
            on_the_way: self.on_the_way.clone(),
            files: self.files.clone(),
        };
        for folder in new.iter().flat_map(SecretFile::folders) {
            if all.folders.iter().any(|known| known.path == folder) {
                continue;
            }
            for above in folder.ancestors() {
                let identity = identity_of(&above.symlink_metadata()?);
                all.on_the_way.entry(above.to_path_buf()).or_insert(identity);
            }
            all.folders.push(Arc::new(Place::of(folder)?));
        }
        all.files.extend(new.into_iter().map(Arc::new));
        Ok(all)
    }

    /// Fails if a path no longer leads to the folder of the start: its secrets would be hidden
    /// nowhere.
    pub(super) fn check_place(&self) -> io::Result<()> {
        let moved = self.folders.iter().find(|place| !place.is_there() && !place.is_deleted());
        let (path, what) = match moved {
            _ if !self.state_dir.is_there() => (&self.state_dir.path, "the state_dir of the start"),
            Some(folder) => (&folder.path, "the folder of a secret of the appliance"),
            None => return Ok(()),
        };
        let path = path.display();
        let why = format!(
            "another folder is at {path}, or none: {what} was moved away; move it back to {path}"
        );
        Err(io::Error::other(why))
    }

    /// The identity of a folder with secrets, or of one above it, at the start.
    pub(super) fn identity_at_start(&self, folder: &Path) -> Option<Identity> {
        self.on_the_way.get(folder).copied()
    }

    /// Fails if an opened file is one of the secrets, wherever it is now: they are looked up in the
    /// folders of the start. `named`: the path that the configuration gives the app; it may be one of
    /// the secrets, and then the app gets this one.
    pub(super) fn refuse(&self, file: &File, named: &Path) -> io::Result<()> {
        let opened = identity_of(&file.metadata()?);
        let is_opened =
            |path: PathBuf| fs::metadata(path).is_ok_and(|found| identity_of(&found) == opened);
        let state_dir = self.state_dir.now();
        let folders = [state_dir.clone(), state_dir.join(SESSIONS)];
        let entries = folders.iter().flat_map(fs::read_dir).flatten().flatten();
        let is_in_state_dir = entries.map(|entry| entry.path()).any(is_opened);
        let is_elsewhere = self.files.iter().filter(|secret| secret.named != named).any(|secret| {
            let places = self.folders.iter().filter_map(|place| {
                let at = secret.at_start.iter().find(|path| path.parent() == Some(&place.path))?;
                Some(place.now().join(at.file_name()?))
            });
            places.chain([secret.named.clone()]).any(is_opened)
        });
        if is_in_state_dir || is_elsewhere {
            return Err(io::Error::other("it leads to a secret of the appliance"));
        }
        Ok(())
    }

    /// Fails if an opened file or folder may not be served: it is one of the secrets, or a folder that one
    /// of them was below at the start. Without root, also if the secrets are no longer where they were: an
    /// app has moved them, and nobody knows what for.
    pub(super) fn refuse_served(&self, opened: &File) -> io::Result<()> {
        if !geteuid().is_root() {
            self.check_place()?;
        }
        let identity = identity_of(&opened.metadata()?);
        if self.on_the_way.values().any(|known| *known == identity) {
            return Err(io::Error::other("it is a folder with secrets of the appliance"));
        }
        self.refuse(opened, Path::new(""))
    }

    /// The secrets outside of `state_dir` that exist and are not given to the process.
    pub(super) fn outside(&self, is_given: &dyn Fn(&Path) -> bool) -> HashSet<Outside> {
        let real: HashSet<PathBuf> = self.files.iter().flat_map(|file| file.now()).collect();
        let mut outside = HashSet::new();
        for file in &self.files {
            let targets = file.now();
            if is_given(&file.named) || targets.iter().any(|target| is_given(target)) {
                continue;
            }
            let named_in = file.named.parent().and_then(|folder| folder.canonicalize().ok());
            let folders: HashSet<_> = file.folders().chain(named_in).collect();
            let alone = |folder: &PathBuf| self.holds_only_secrets(folder, &real, is_given);
            outside.extend(folders.into_iter().filter(alone).map(Outside::Folder));
            let in_state_dir = |target: &PathBuf| target.parent() == Some(&self.state_dir.path);
            let files = targets.into_iter().filter(|target| !in_state_dir(target));
            outside.extend(files.map(Outside::File));
        }
        let all: Vec<_> = outside.iter().cloned().collect();
        outside.retain(|one| !all.iter().any(|other| other.contains(one)));
        outside
    }

    /// The secrets that are covered by themselves: another file in their place is not covered.
    pub(crate) fn shown_if_replaced(&self, means: Means) -> Vec<String> {
        if means == Means::Landlock {
            // A new file is not on the list of what is allowed.
            return Vec::new();
        }
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
        !self.state_dir.path.starts_with(folder)
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
    fn a_folder_of_a_secret_that_was_moved_or_replaced_is_noticed() {
        type Change = fn(&Path);
        let volume: Change = |top| {
            fs::create_dir(top.join("volume/..2")).unwrap();
            fs::write(top.join("volume/..2/key"), "new").unwrap();
            symlink("..2", top.join("volume/..new")).unwrap();
            fs::rename(top.join("volume/..new"), top.join("volume/..data")).unwrap();
            fs::remove_dir_all(top.join("volume/..1")).unwrap();
        };
        let cases: [(Change, bool); 10] = [
            (|_| {}, true),
            (|top| fs::rename(top.join("conf"), top.join("x")).unwrap(), false),
            (|top| fs::rename(top.join("conf/secrets"), top.join("conf/x")).unwrap(), false),
            (|top| fs::rename(top.join("real"), top.join("x")).unwrap(), false),
            (
                |top| {
                    fs::rename(top.join("conf"), top.join("x")).unwrap();
                    symlink("x", top.join("conf")).unwrap();
                    fs::rename(top.join("x/secrets"), top.join("x/y")).unwrap();
                    fs::create_dir(top.join("conf/secrets")).unwrap();
                },
                false,
            ),
            (|top| fs::rename(top.join("volume"), top.join("x")).unwrap(), false),
            (volume, true),
            (|top| fs::rename(top.join("z"), top.join("conf/secrets/client")).unwrap(), true),
            (|top| fs::remove_file(top.join("conf/secrets/client")).unwrap(), true),
            (|top| fs::remove_dir_all(top.join("real")).unwrap(), true),
        ];
        for (number, (change, is_there)) in cases.iter().enumerate() {
            let top = folder_with(&["conf/secrets/client", "real/key", "volume/..1/key", "z"]);
            symlink("..1", top.path().join("volume/..data")).unwrap();
            symlink("..data/key", top.path().join("volume/key")).unwrap();
            symlink("../real/key", top.path().join("conf/linked")).unwrap();
            let files = ["conf/secrets/client", "conf/linked", "volume/key"];
            let files = files.map(|name| top.path().join(name));
            let secrets = Secrets::of(&top.path().join("state"), &files).unwrap();
            change(top.path());
            assert_eq!(secrets.check_place().is_ok(), *is_there, "{number}");
        }
    }

    #[test]
    fn a_secret_behind_a_link_is_hidden_where_it_was_and_where_it_is() {
        let top = folder_with(&["mixed/page.html", "real/a", "real/other", "release/b", "decoy"]);
        let at = |name: &str| top.path().canonicalize().unwrap().join(name);
        symlink("../real/a", at("mixed/a")).unwrap();
        symlink("release", at("current")).unwrap();
        let files = [at("mixed/a"), at("current/b")];
        let secrets = Secrets::of(&at("state"), &files).unwrap();
        let hidden = || secrets.outside(&|_| false);
        let release = Outside::Folder(at("release"));
        assert_eq!(hidden(), HashSet::from([Outside::File(at("real/a")), release.clone()]));
        fs::remove_file(at("mixed/a")).unwrap();
        symlink("../decoy", at("mixed/a")).unwrap();
        fs::create_dir(at("newer")).unwrap();
        fs::write(at("newer/b"), "content").unwrap();
        fs::remove_file(at("current")).unwrap();
        symlink("newer", at("current")).unwrap();
        let [decoy, old] = ["decoy", "real/a"].map(|name| Outside::File(at(name)));
        let newer = Outside::Folder(at("newer"));
        assert_eq!(hidden(), HashSet::from([decoy, old, release, newer]));
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

    #[test]
    fn no_secret_is_served_wherever_it_was_moved() {
        let top =
            folder_with(&["conf/state/own", "conf/state/data/app/x", "run/keys", "site/page"]);
        let at = |name: &str| top.path().canonicalize().unwrap().join(name);
        let secrets = Secrets::of(&at("conf/state"), &[at("run/keys")]).unwrap();
        let is_refused =
            |name: &str| secrets.refuse_served(&File::open(at(name)).unwrap()).is_err();
        for (name, refused) in [
            ("site", false),
            ("site/page", false),
            ("conf", true),
            ("conf/state", true),
            ("conf/state/own", true),
            ("conf/state/data/app/x", false),
            ("run", true),
            ("run/keys", true),
        ] {
            assert_eq!(is_refused(name), refused, "{name}");
        }
        fs::rename(at("conf"), at("site/away")).unwrap();
        for name in ["site/away", "site/away/state", "site/away/state/own", "run/keys"] {
            assert!(is_refused(name), "{name}");
        }
        assert_eq!(is_refused("site/page"), !geteuid().is_root());
        fs::rename(at("site/away"), at("conf")).unwrap();
        assert!(!is_refused("site/page"));
    }

    /// Folders are moved to and fro while the file is looked at.
    #[test]
    fn no_link_of_an_app_leads_to_a_secret_wherever_it_was_moved() {
        let top = folder_with(&["run/keys", "run/client", "state/own", "state/data/app", "app/x"]);
        fs::create_dir(top.path().join("state/sessions")).unwrap();
        fs::write(top.path().join("state/sessions/ended"), "").unwrap();
        let at = |name: &str| top.path().canonicalize().unwrap().join(name);
        let secrets = Secrets::of(&at("state"), &[at("run/keys"), at("run/client")]).unwrap();
        let (link, hard) = (at("app/link"), at("app/hard"));
        let refused = |target: &Path, named: &Path| {
            symlink(target, &link).unwrap();
            fs::hard_link(target, &hard).unwrap();
            let refused = [&link, &hard]
                .map(|path| secrets.refuse(&File::open(path).unwrap(), named).is_err());
            fs::remove_file(&link).unwrap();
            fs::remove_file(&hard).unwrap();
            refused
        };
        let own = at("app/link");
        for (target, is_secret) in [
            ("run/keys", true),
            ("state/own", true),
            ("state/sessions/ended", true),
            ("state/data/app", false),
            ("app/x", false),
        ] {
            assert_eq!(refused(&at(target), &own), [is_secret; 2], "{target}");
        }
        assert_eq!(refused(&at("run/keys"), &at("run/keys")), [false; 2], "it is given");
        assert_eq!(refused(&at("run/client"), &at("run/keys")), [true; 2], "another one");
        for folder in ["run", "state"] {
            fs::rename(at(folder), at("away")).unwrap();
            fs::create_dir(at(folder)).unwrap();
            let moved = if folder == "run" { "away/keys" } else { "away/own" };
            assert_eq!(refused(&at(moved), &own), [true; 2], "{folder} was moved");
            fs::remove_dir(at(folder)).unwrap();
            fs::rename(at("away"), at(folder)).unwrap();
        }
    }
}
