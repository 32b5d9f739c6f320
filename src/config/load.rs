//! From a file to a [`Config`], or to all that is wrong in it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::check::whole as check;
use super::model::Config;
use super::report::problem::{Problem, Problems, Source};

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// As it was given.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// All that is wrong in it, in the order of the file.
    Invalid(Vec<Problem>),
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Invalid(_) => None,
        }
    }
}

impl fmt::Display for ConfigError {
    /// Each problem with its line, a caret and help, a blank line between them.
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
        };
        for (at, problem) in problems.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads and checks a file. `lookup` gives the variables of our environment.
    pub fn load(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let whole = std::path::absolute(path).map_err(unreadable)?;
        let dir = whole.parent().unwrap_or(Path::new("/"));
        let name = path.display().to_string();
        let text = String::from_utf8_lossy(&bytes);
        let mut problems = Problems::new(Source { name: &name, text: &text });
        if let Err(error) = std::str::from_utf8(&bytes) {
            let at = error.valid_up_to();
            problems.error(&(at..at + 1), "this is no text in UTF-8; save the file as UTF-8");
            return Err(ConfigError::Invalid(problems.into_sorted()));
        }
        let config = check::check(path, dir, &lookup, &mut problems);
        config.ok_or_else(|| ConfigError::Invalid(problems.into_sorted()))
    }

    /// Where an appliance that was started with this file keeps its state, as far as that can be
    /// told from a file that has errors by now.
    pub fn state_dir(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let text = std::fs::read_to_string(path).ok()?;
        let whole = std::path::absolute(path).ok()?;
        let mut problems = Problems::new(Source { name: "", text: &text });
        check::state_dir(whole.parent()?, &lookup, &mut problems)
    }
}
