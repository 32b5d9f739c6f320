//! What of a folder may be an app.

use std::io;
use std::path::Path;

/// More entries of a folder are not looked at.
pub(super) const MOST_ENTRIES: usize = 1000;

/// Folders that tools and frameworks make beside scripts.
const OF_TOOLS: [&str; 9] =
    ["venv", "env", "pages", "assets", "static", "templates", "data", "tests", "keycloak"];

/// A file or a folder that may be an app, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Script(String),
    Folder(String),
}

impl Entry {
    pub(super) fn file(&self) -> &str {
        match self {
            Self::Script(file) | Self::Folder(file) => file,
        }
    }
}

/// The scripts, notebooks and folders, by name; neither hidden ones nor those that tools make.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in folder.read_dir()?.take(MOST_ENTRIES) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // A folder behind a link may be one of another user.
        let kind = entry.file_type()?;
        if !is_plain(&name) {
            continue;
        }
        if kind.is_dir() {
            if !OF_TOOLS.contains(&name.as_str()) && !holds_packages(&entry.path()) {
                entries.push(Entry::Folder(name));
            }
        } else if has_end(&name, &["py", "ipynb"]) {
            entries.push(Entry::Script(name));
        }
    }
    entries.sort_by(|one, other| one.file().cmp(other.file()));
    Ok(entries)
}

/// Whether a folder has installed packages, which no person writes: an environment of Python, or those of
/// Node.
pub fn holds_packages(folder: &Path) -> bool {
    folder.ends_with("node_modules") || folder.join("pyvenv.cfg").exists()
}

/// Whether a file of this name may be an app: it is not hidden, and its name has no signs that a
/// configuration file reads as something else.
pub(super) fn is_plain(name: &str) -> bool {
    !name.starts_with(['.', '_']) && !name.contains(|c: char| c.is_control() || "{}".contains(c))
}

/// Whether the name has one of these extensions.
pub(super) fn has_end(name: &str, ends: &[&str]) -> bool {
    let end = Path::new(name).extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ends.contains(&end))
}
