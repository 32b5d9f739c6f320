//! Whether the code in a folder with apps has changed.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::{Metadata, metadata};
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::config::holds_packages;

/// More files of one folder are not looked at, so that a wrong path keeps no thread busy.
const MOST_FILES: usize = 2000;
/// How deep the folder of an app is looked at.
const DEEPEST: usize = 5;

/// One number for the code of each script and folder, by its name. A number that differs means that the
/// code has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stamps(BTreeMap<String, u64>);

impl Stamps {
    /// Those of this folder.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut stamps = BTreeMap::new();
        for entry in folder.read_dir()?.take(MOST_FILES) {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !is_written(&name) {
                continue;
            }
            let mut hash = DefaultHasher::new();
            if entry.file_type()?.is_dir() {
                let mut left = MOST_FILES;
                add_folder(&entry.path(), &mut hash, DEEPEST, &mut left);
            } else if is_code(&name) {
                add_file(metadata(entry.path()), &mut hash);
            } else {
                continue;
            }
            stamps.insert(name, hash.finish());
        }
        Ok(Self(stamps))
    }

    /// The scripts and folders that are gone or different. No program runs code of new ones yet.
    pub(super) fn changed(&self, after: &Self) -> Vec<String> {
        let other = self.0.iter().filter(|(name, stamp)| after.0.get(*name) != Some(stamp));
        other.map(|(name, _)| name.clone()).collect()
    }
}

/// Whether a file of this name decides what an app does. An app may write other files itself.
fn is_code(name: &str) -> bool {
    let ends = [".py", ".ipynb"];
    name == "index.html"
        || name.starts_with("requirements")
        || ends.iter().any(|end| name.ends_with(end))
}

/// Whether a person may have written what has this name.
fn is_written(name: &str) -> bool {
    !name.starts_with('.') && name != "__pycache__"
}

fn add_folder(folder: &Path, hash: &mut DefaultHasher, depth: usize, left: &mut usize) {
    if holds_packages(folder) {
        return;
    }
    // What cannot be listed has no code that an app could run.
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut files = BTreeMap::new();
    for entry in entries {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_written(&name) {
            files.insert(name, entry);
        }
    }
    for (name, entry) in files {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 {
            name.hash(hash);
            add_folder(&entry.path(), hash, depth - 1, left);
        } else if is_code(&name) {
            name.hash(hash);
            add_file(metadata(entry.path()), hash);
        }
    }
}

/// A link counts as what it leads to: a Kubernetes volume replaces its files behind links.
fn add_file(file: io::Result<Metadata>, hash: &mut DefaultHasher) {
    if let Ok(file) = file {
        (file.mtime(), file.mtime_nsec(), file.len(), file.ino(), file.mode()).hash(hash);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_file, write};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_link_leads_to_counts() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["..one", "..two"] {
            create_dir_all(at(version)).unwrap();
            write(at(version).join("a.py"), version).unwrap();
        }
        symlink("..one", at("..data")).unwrap();
        symlink("..data/a.py", at("a.py")).unwrap();
        let before = Stamps::of(folder.path()).unwrap();
        remove_file(at("..data")).unwrap();
        symlink("..two", at("..data")).unwrap();
        assert_eq!(before.changed(&Stamps::of(folder.path()).unwrap()), ["a.py"]);
    }

    #[test]
    fn code_counts_and_data_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        create_dir_all(at("shop/cart")).unwrap();
        create_dir_all(at("venv")).unwrap();
        write(at("a.py"), "1").unwrap();
        write(at("shop/cart/views.py"), "1").unwrap();
        let mut before = Stamps::of(folder.path()).unwrap();
        for (file, text, changed) in [
            ("a.py", "22", &["a.py"][..]),
            ("data.csv", "1", &[]),
            ("shop/cart/db.sqlite3", "1", &[]),
            ("shop/cart/views.py", "22", &["shop"]),
            ("shop/requirements.txt", "flask", &["shop"]),
            ("requirements-dev.txt", "flask", &[]),
            ("requirements-dev.txt", "dash", &["requirements-dev.txt"]),
            ("b.py", "1", &[]),
            (".hidden.py", "1", &[]),
            ("venv/pyvenv.cfg", "", &[]),
            ("venv/six.py", "1", &[]),
        ] {
            write(at(file), text).unwrap();
            let no_code = ["data", "db", "venv", ".hidden"];
            let is_data = no_code.iter().any(|part| file.contains(part));
            let after = Stamps::of(folder.path()).unwrap();
            assert_eq!(before.changed(&after), changed, "{file}");
            assert_eq!(before == after, is_data, "{file}");
            before = after;
        }
        remove_file(at("b.py")).unwrap();
        assert_eq!(before.changed(&Stamps::of(folder.path()).unwrap()), ["b.py"]);
    }
}
