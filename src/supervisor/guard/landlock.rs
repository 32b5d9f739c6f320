//! Hides the secrets by Landlock, which takes a list of what is allowed: everything but the secrets
//! may be read. Files that do not exist yet cannot be on the list. A file that is created later,
//! directly in a folder above a secret, is therefore not readable before the next start of the app.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _,
};

use super::Hidden;
use super::secrets::{Outside, Secrets, identity_of, is_hidden, open_path};

/// Allows to read everything but the secrets. Other rights are not restricted.
pub(super) fn ruleset(secrets: &Secrets, hidden: &Hidden<'_>) -> io::Result<RulesetCreated> {
    let outside = secrets.outside(hidden.is_given).into_iter();
    let outside: HashSet<PathBuf> =
        outside.map(|(Outside::File(path) | Outside::Folder(path))| path).collect();
    let mut list = List {
        ruleset: empty().map_err(io::Error::other)?,
        secrets,
        on_the_way: on_the_way(&secrets.state_dir, &outside),
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
        // Else no file could be moved from one folder to another.
        .handle_access(AccessFs::Refer)?
        .create()
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
    outside: HashSet<PathBuf>,
}

impl List<'_> {
    /// Allows all entries of a folder on the way except the secrets.
    fn allow_entries(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            let is_secret = self.outside.contains(&path)
                || (folder == self.secrets.state_dir && is_hidden(&path, kind));
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
        let identity = identity_of(&found);
        // Another app has moved the folder meanwhile.
        if identity == self.secrets.identity || self.secrets.above.contains(&identity) {
            return Ok(());
        }
        let access: BitFlags<AccessFs> = if found.is_dir() {
            AccessFs::ReadFile | AccessFs::Refer
        } else {
            AccessFs::ReadFile.into()
        };
        (&mut self.ruleset).add_rule(PathBeneath::new(opened, access)).map_err(io::Error::other)?;
        Ok(())
    }
}
