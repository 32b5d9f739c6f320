//! Hides the secrets by Landlock, which takes a list of what is allowed: everything but the secrets
//! and the folders above them may be read and changed. A right for a folder includes everything below
//! it. Therefore nothing can be created, renamed or removed directly in a folder above a secret, and a
//! file that the appliance or a person creates there later cannot be opened before the next start of
//! the app.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _,
};

use super::Hidden;
use super::secrets::{Identity, Outside, Secrets, identity_of, is_hidden, open_path};

/// Allows to read and to change everything but the secrets. Other rights are not restricted.
pub(super) fn ruleset(secrets: &Secrets, hidden: &Hidden<'_>) -> io::Result<RulesetCreated> {
    let outside = outside(secrets, hidden);
    let on_the_way = on_the_way(&secrets.state_dir.path, &outside);
    let mut list = List {
        ruleset: empty().map_err(io::Error::other)?,
        secrets,
        kept: on_the_way.iter().filter_map(|path| secrets.identity_at_start(path)).collect(),
        on_the_way,
        outside,
    };
    list.allow_entries(Path::new("/"))?;
    Ok(list.ruleset)
}

fn empty() -> Result<RulesetCreated, landlock::RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::ReadFile)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(changes())?
        .create()
}

/// Every way to change a file or a folder that a kernel can restrict. A file can be moved from one
/// folder to another only where `Refer` is allowed in both.
fn changes() -> BitFlags<AccessFs> {
    AccessFs::from_write(ABI::V3)
}

/// The folders whose entries are allowed one by one.
pub(super) fn covered(secrets: &Secrets, hidden: &Hidden<'_>) -> HashSet<PathBuf> {
    on_the_way(&secrets.state_dir.path, &outside(secrets, hidden))
}

fn outside(secrets: &Secrets, hidden: &Hidden<'_>) -> HashSet<PathBuf> {
    let outside = secrets.outside(hidden.is_given).into_iter();
    outside.map(|(Outside::File(path) | Outside::Folder(path))| path).collect()
}

/// The folders that cannot be allowed as a whole, because a secret is somewhere in them.
fn on_the_way(state_dir: &Path, outside: &HashSet<PathBuf>) -> HashSet<PathBuf> {
    let parents = outside.iter().flat_map(|path| path.ancestors().skip(1));
    state_dir.ancestors().chain(parents).map(Path::to_path_buf).collect()
}

struct List<'s> {
    ruleset: RulesetCreated,
    secrets: &'s Secrets,
    on_the_way: HashSet<PathBuf>,
    /// The folders on the way, as they were at the start.
    kept: HashSet<Identity>,
    outside: HashSet<PathBuf>,
}

impl List<'_> {
    /// Allows all entries of a folder on the way except the secrets.
    fn allow_entries(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            let is_secret = self.outside.contains(&path)
                || (folder == self.secrets.state_dir.path && is_hidden(&path, kind));
            // Access through a link is checked at its target.
            if is_secret || kind.is_symlink() {
                continue;
            }
            if self.on_the_way.contains(&path) {
                self.allow_entries(&path)?;
            } else {
                self.allow(&path)?;
            }
        }
        Ok(())
    }

    fn allow(&mut self, path: &Path) -> io::Result<()> {
        let Ok(opened) = open_path(path) else { return Ok(()) };
        let found = opened.metadata()?;
        // Another app has moved the folder meanwhile.
        if self.kept.contains(&identity_of(&found)) {
            return Ok(());
        }
        let all = changes() | AccessFs::ReadFile;
        let access = if found.is_dir() { all } else { all & AccessFs::from_file(ABI::V3) };
        (&mut self.ruleset).add_rule(PathBeneath::new(opened, access)).map_err(io::Error::other)?;
        Ok(())
    }
}
