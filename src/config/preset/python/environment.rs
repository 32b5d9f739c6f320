//! The Python environment of an app: what is installed, and where.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::kind::Kind;
use crate::config::file::{self, PythonPreset};
use crate::config::model::AppName;
use crate::config::preset::context::PresetContext;

/// What an environment is made from.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) folder: PathBuf,
    /// `false`: the environment exists already, and the setup leaves it alone.
    pub(super) is_made: bool,
    pub(super) requirements: Option<PathBuf>,
    /// What is installed besides the requirements.
    pub(super) packages: Vec<String>,
    /// The program that makes it; empty for the first suitable one.
    pub(super) python: String,
}

impl Environment {
    /// The environment of `table`, for the script or folder at `target`.
    pub(super) fn of(
        kind: &Kind,
        table: &PythonPreset,
        target: &Path,
        (name, app): (&AppName, &file::App),
        context: &PresetContext<'_>,
    ) -> Self {
        let python = table.python.as_deref().map(|python| program(context.dir, python));
        let python = python.unwrap_or_default();
        if let Some(venv) = &table.venv {
            let folder = context.dir.join(&venv.value);
            return Self { folder, is_made: false, requirements: None, packages: vec![], python };
        }
        let requirements = requirements(table, target, context.dir);
        let text = requirements
            .as_ref()
            .map(|path| context.places.read(path, name, app).unwrap_or_default());
        let given = table.packages.iter().flatten().map(|package| package.value.as_str());
        let packages = packages(kind.packages, text.as_deref(), given);
        let owner = context.places.owner(name, app);
        let fingerprint = fingerprint(requirements.as_deref().zip(text), &packages, &python);
        let folder = context.places.environment(owner.as_deref(), &fingerprint);
        Self { folder, is_made: true, requirements, packages, python }
    }
}

/// A bare name is looked up in PATH; a path starts at the folder of the file.
pub(in crate::config::preset) fn program(dir: &Path, text: &str) -> String {
    if text.contains('/') { dir.join(text).display().to_string() } else { text.to_owned() }
}

/// The file that `requirements` names, otherwise `requirements.txt` beside the script, or in the
/// folder, if it exists.
fn requirements(table: &PythonPreset, target: &Path, dir: &Path) -> Option<PathBuf> {
    if let Some(at) = &table.requirements {
        return Some(dir.join(&at.value));
    }
    let is_folder = table.folder.is_some() || target.extension().is_none();
    let folder = if is_folder { Some(target) } else { target.parent() };
    folder.map(|folder| folder.join("requirements.txt")).filter(|path| path.exists())
}

/// The packages besides the requirements: those that the app's table names, and those of the framework
/// that nobody names. Beside requirements they have no version, so that pip finds a suitable one.
fn packages<'p>(
    own: &[&str],
    requirements: Option<&str>,
    given: impl Iterator<Item = &'p str>,
) -> Vec<String> {
    let given: Vec<&str> = given.collect();
    let named = |name: &str| given.iter().any(|package| distribution(package) == name);
    let missing = own.iter().filter(|package| !named(&distribution(package)));
    let missing: Vec<String> = match requirements {
        None => missing.map(|package| (*package).to_owned()).collect(),
        Some(text) if cannot_be_extended(text) => Vec::new(),
        Some(text) => missing
            .filter(|package| !text.lines().any(|line| distribution(line) == distribution(package)))
            .map(|package| package.split("==").next().unwrap_or(package).to_owned())
            .collect(),
    };
    missing.into_iter().chain(given.into_iter().map(str::to_owned)).collect()
}

/// Requirements with hashes allow no other package. Those that refer to other files may name the
/// framework there.
fn cannot_be_extended(requirements: &str) -> bool {
    requirements.contains("--hash=")
        || requirements.lines().map(str::trim_start).any(|line| {
            ["-r", "-e", "--requirement", "--editable", ".", "/"]
                .iter()
                .any(|start| line.starts_with(start))
        })
}

/// Name of the package that a requirement names, as PyPI compares names (PEP 503).
fn distribution(requirement: &str) -> String {
    let end = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    let name = requirement.trim_start().split(end).next().unwrap_or_default();
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// Apps of one user with the same requirements share one environment; changed requirements get a new
/// one.
fn fingerprint(requirements: Option<(&Path, String)>, packages: &[String], python: &str) -> String {
    let mut hash = Sha256::new();
    if let Some((path, text)) = requirements {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(text);
    }
    hash.update([0]);
    hash.update(python);
    for package in packages {
        hash.update([0]);
        hash.update(package);
    }
    let mut name = format!("{:x}", hash.finalize());
    name.truncate(12);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const DASH: [&str; 2] = ["dash==4.4.1", "gunicorn==27.0.1"];

    #[test]
    fn packages_that_nobody_names_are_added() {
        let cases: [(Option<&str>, &[&str], &[&str]); 8] = [
            (None, &[], &["dash==4.4.1", "gunicorn==27.0.1"]),
            (None, &["pandas"], &["dash==4.4.1", "gunicorn==27.0.1", "pandas"]),
            (None, &["Dash>=3", "pandas"], &["gunicorn==27.0.1", "Dash>=3", "pandas"]),
            (Some("dash==4.0.0\npandas\n"), &[], &["gunicorn"]),
            (Some("dash[testing] >= 4 # a comment\nGUNICORN\n"), &["x"], &["x"]),
            (Some("pandas\n"), &[], &["dash", "gunicorn"]),
            (Some("-r base.txt\n"), &[], &[]),
            (Some("pandas==2 --hash=sha256:00\n"), &[], &[]),
        ];
        for (requirements, given, wanted) in cases {
            let found = packages(&DASH, requirements, given.iter().copied());
            assert_eq!(found, wanted, "{requirements:?} {given:?}");
        }
    }

    #[test]
    fn names_are_compared_as_pypi_does() {
        for (text, name) in [
            ("Flask_Login==1", "flask-login"),
            ("  zope.interface", "zope-interface"),
            ("uvicorn[standard]==0.54.0", "uvicorn"),
            ("# a comment", ""),
        ] {
            assert_eq!(distribution(text), name);
        }
    }

    #[test]
    fn each_input_changes_the_fingerprint() {
        let file = || Some((Path::new("/a/requirements.txt"), "pandas".to_owned()));
        let package = ["dash".to_owned()];
        let all = [
            fingerprint(None, &[], ""),
            fingerprint(file(), &[], ""),
            fingerprint(file(), &package, ""),
            fingerprint(file(), &[], "python3.13"),
            fingerprint(None, &package, ""),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
    }
}
