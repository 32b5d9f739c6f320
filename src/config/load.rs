//! Loads a configuration file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::apps_folder;
use super::change::held::Held;
use super::check::configuration as check;
use super::model::Config;
use super::ownership::operator_file::{read, read_once, trust_owner_of};
use super::read::interpolate::Lookup;
use super::report::problem::{Problem, Problems, Source};

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// All problems in the file, in the order of the file.
    Invalid(Vec<Problem>),
    /// A running appliance cannot change to this file, because of these settings.
    NeedsNewStart(Vec<String>),
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Invalid(_) | Self::NeedsNewStart(_) => None,
        }
    }
}

impl fmt::Display for ConfigError {
    /// Each problem with its source line, a caret and help, separated by blank lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = match self {
            Self::Unreadable { path, source } => {
                return write!(
                    f,
                    "cannot read the configuration {}: {source}; name another with --config",
                    path.display()
                );
            }
            Self::Invalid(problems) => problems,
            Self::NeedsNewStart(keys) => {
                return write!(f, "needs a new start: {}", keys.join(", "));
            }
        };
        for (at, problem) in problems.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads and checks a file, or the file that stands for a folder with apps. `lookup` returns variables of the appliance's environment.
    pub fn load(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::load_for(path, read_once, lookup, false, None)
    }

    /// The same for a command to the running appliance, which must not wait for a pipe.
    pub fn load_for_command(
        path: &Path,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Self::load_for(path, read, lookup, false, None)
    }

    /// The same for `appliance setup`, which installs what an image shall contain into
    /// `CACHE_DIRECTORY`.
    pub fn load_for_setup(
        path: &Path,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Self::load_for(path, read_once, lookup, true, None)
    }

    /// Reads and checks a file whose configuration shall follow `running`. What cannot change while
    /// the appliance runs keeps its value; the second part of the result names these settings.
    pub fn load_after(
        path: &Path,
        lookup: impl Fn(&str) -> Option<String>,
        running: &Self,
    ) -> Result<(Self, Vec<String>), ConfigError> {
        let new = Self::load_for(path, read, &lookup, false, None)?;
        let Some((held, keys)) = Held::between(running, &new) else { return Ok((new, Vec::new())) };
        // The variable would win over the folder that is held.
        let lookup = |name: &str| lookup(name).filter(|_| name != "STATE_DIRECTORY");
        let new = Self::load_for(path, read, lookup, false, Some(&held))?;
        match Held::between(running, &new) {
            None => Ok((new, keys)),
            Some((_, keys)) => Err(ConfigError::NeedsNewStart(keys)),
        }
    }

    /// Since when the file on the disk is another one than the one that was read; `None` if it is the
    /// same, or cannot be read again because it is no regular file, or because another program has a
    /// lease on it.
    pub fn differs_since(&self) -> Option<SystemTime> {
        let changed = self.path.metadata().ok().filter(Metadata::is_file)?.modified().ok()?;
        let digest: [u8; 32] = Sha256::digest(read(&self.path).ok()?).into();
        (digest != self.digest).then_some(changed)
    }

    fn load_for(
        path: &Path,
        read: fn(&Path) -> io::Result<Vec<u8>>,
        lookup: impl Fn(&str) -> Option<String>,
        builds_image: bool,
        held: Option<&Held<'_>>,
    ) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let whole = std::path::absolute(path).map_err(unreadable)?;
        if whole.is_dir() {
            return Self::load_folder(path, &whole, &lookup, builds_image, held);
        }
        let dir = whole.parent().unwrap_or(Path::new("/"));
        trust_owner_of(dir);
        let bytes = read(path).map_err(unreadable)?;
        let read = check_bytes((path, dir), &bytes, &lookup, builds_image, held);
        read.map_err(ConfigError::Invalid)
    }

    /// An app that is no valid one is left out, so that it keeps no other from its start.
    fn load_folder(
        path: &Path,
        dir: &Path,
        lookup: Lookup<'_>,
        builds_image: bool,
        held: Option<&Held<'_>>,
    ) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        trust_owner_of(dir);
        let mut refused = BTreeMap::new();
        loop {
            let apps = apps_folder::read(dir, &refused, lookup).map_err(unreadable)?;
            let text = apps.text();
            let problems =
                match check_bytes((path, dir), text.as_bytes(), lookup, builds_image, held) {
                    Ok(config) => return Ok(Self { apps_folder: Some(Arc::new(apps)), ..config }),
                    Err(problems) => problems,
                };
            let known = refused.len();
            for problem in &problems {
                let line = problem.place.as_ref().map(|place| place.line);
                if let Some(app) = line.and_then(|line| apps_folder::app_at(&apps, line)) {
                    refused.insert(app.file.clone(), problem.reason());
                }
            }
            if refused.len() == known {
                return Err(ConfigError::Invalid(problems));
            }
        }
    }

    /// The state directory of an appliance that was started with this file, even if the file has
    /// errors now. `None` if the file does not tell.
    pub fn state_dir(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let whole = std::path::absolute(path).ok()?;
        let is_folder = whole.is_dir();
        let dir = if is_folder { &whole } else { whole.parent()? };
        trust_owner_of(dir);
        // The file that stands for a folder has the default.
        let text = if is_folder { Vec::new() } else { read(path).ok()? };
        let text = String::from_utf8(text).ok()?;
        let mut problems = Problems::new(Source { name: "", text: &text });
        check::state_dir(dir, &lookup, &mut problems)
    }
}

/// Checks the text of a file, whose relative paths start at `dir`.
pub(super) fn check_bytes(
    (path, dir): (&Path, &Path),
    bytes: &[u8],
    lookup: Lookup<'_>,
    builds_image: bool,
    held: Option<&Held<'_>>,
) -> Result<Config, Vec<Problem>> {
    let name = path.display().to_string();
    let text = String::from_utf8_lossy(bytes);
    let mut problems = Problems::new(Source { name: &name, text: &text });
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        problems.error(&(at..at + 1), "the file is not UTF-8 text; save it as UTF-8");
        return Err(problems.into_sorted());
    }
    let config = check::check(path, dir, lookup, builds_image, held, &mut problems);
    let digest = Sha256::digest(bytes).into();
    config.map(|config| Config { digest, ..config }).ok_or_else(|| problems.into_sorted())
}
