//! A folder with apps in place of a configuration file: which apps are in it, and the file that stands
//! for it.
//!
//! Each script, and each folder, is an app if its kind can be guessed: `python` reads what a script
//! imports, `kind` decides, `entries` lists the folder, `write` writes the file. Nothing in the folder is
//! run.

mod entries;
mod kind;
mod packages;
mod python;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::config::model::{AppsFolder, FoundApp, LeftOut, reserved};
use crate::config::ownership::operator_file;
use crate::config::read::interpolate::Lookup;
pub use entries::holds_packages;
use entries::{Entry, entries};
use kind::{Guess, of_folder, of_script};
pub(super) use write::{KEYCLOAK, quoted};

/// A folder with more apps is read up to this number.
const MOST_APPS: usize = 64;
/// The longest script that is read, bytes.
const LARGEST_SCRIPT: u64 = 1 << 20;

/// An app of the folder, and what its table says.
#[derive(Debug)]
struct Candidate {
    app: FoundApp,
    details: Details,
}

/// What the table of an app has besides its kind and its path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Details {
    /// What the preset names: the script or the folder, relative to the folder.
    target: String,
    /// The name of the object that a server of Python programs serves, if it is not the usual one.
    object: Option<String>,
    /// Packages that the script needs and no requirements file names.
    packages: Vec<String>,
    /// The folder that the program runs in.
    cwd: Option<String>,
}

/// Reads a folder. `refused`: files that are no valid apps, with the reason. `lookup`: variables of the
/// appliance's environment.
///
/// # Errors
///
/// The folder cannot be listed.
pub(super) fn read(
    folder: &Path,
    refused: &BTreeMap<String, String>,
    lookup: Lookup<'_>,
) -> io::Result<AppsFolder> {
    let mut names = Names::default();
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for entry in entries(folder)? {
        let file = entry.file().to_owned();
        let guess = match &entry {
            _ if refused.contains_key(&file) => Err(refused.get(&file).cloned()),
            Entry::Script(file) => of_script(folder, file),
            Entry::Folder(file) => of_folder(folder, file),
        };
        let guess = match guess {
            Ok(_) if found.len() == MOST_APPS => {
                Err(Some(format!("the folder has more than {MOST_APPS} apps; write a file")))
            }
            other => other,
        };
        match guess {
            Ok(Guess { kind, why, details }) => match names.of(&file, lookup) {
                Ok(name) => {
                    found.push(Candidate { app: FoundApp { name, file, kind, why }, details });
                }
                Err(why) => left_out.push(LeftOut { file, why }),
            },
            Err(Some(why)) => left_out.push(LeftOut { file, why }),
            Err(None) => {}
        }
    }
    found.sort_by(|one, other| one.app.name.cmp(&other.app.name));
    let path = |one: &Candidate| format!("/{}", one.app.name);
    let tables = found.iter().map(|one| write::table(one, &path(one))).collect();
    let found = found.into_iter().map(|one| one.app).collect();
    Ok(AppsFolder { head: write::head(lookup), tables, found, left_out })
}

/// The usual name of an app for a script, a notebook or a folder.
pub(super) fn usual_name(target: &str) -> String {
    name_of(target.rsplit('/').next().unwrap_or(target), &|_| None)
}

/// The table of an app with this name and path: `target` is a script, a notebook or a folder, relative to
/// the folder of the file that gets the table.
///
/// # Errors
///
/// The target cannot be read, or is of no kind that is known; the text says what to do.
pub(super) fn table_of(
    folder: &Path,
    target: &str,
    name: &str,
    path: &str,
) -> Result<String, String> {
    let is_folder = folder.join(target).is_dir();
    let guess = if is_folder { of_folder(folder, target) } else { of_script(folder, target) };
    let Guess { kind, why, details } = guess.map_err(Option::unwrap_or_default)?;
    let app = FoundApp { name: name.to_owned(), file: target.to_owned(), kind, why };
    Ok(write::table(&Candidate { app, details }, path))
}

/// The app whose table has this line of the file that stands for the folder.
pub(super) fn app_at(folder: &AppsFolder, line: usize) -> Option<&FoundApp> {
    let text = folder.text();
    let lines = text.lines().take(line);
    let header = lines.filter(|line| line.starts_with('[')).last()?;
    let name = header.strip_prefix("[apps.")?.strip_suffix(']')?;
    folder.found.iter().find(|app| app.name == name)
}

fn script(folder: &Path, file: &str) -> io::Result<String> {
    operator_file::read_text(&folder.join(file), LARGEST_SCRIPT)
}

/// The names that are taken, with the file that has each.
#[derive(Debug, Default)]
struct Names(Vec<(String, String)>);

impl Names {
    /// The name of the app of this file.
    fn of(&mut self, file: &str, lookup: Lookup<'_>) -> Result<String, String> {
        let name = name_of(file, lookup);
        if let Some((_, other)) = self.0.iter().find(|(taken, _)| *taken == name) {
            return Err(format!(
                "its app would be `{name}` like that of {other}; rename one of them"
            ));
        }
        self.0.push((name.clone(), file.to_owned()));
        Ok(name)
    }
}

/// `Sales report.py` → `sales-report`
fn name_of(file: &str, lookup: Lookup<'_>) -> String {
    let stem = file.strip_suffix(".py").or_else(|| file.strip_suffix(".ipynb")).unwrap_or(file);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let plain: String = stem.chars().map(plain).collect();
    let words: Vec<_> = plain.split('-').filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return format!("app-{name}").trim_end_matches('-').to_owned();
    }
    let is_issuers = !write::has_issuer(lookup) && [write::ISSUER, "auth"].contains(&name.as_str());
    if is_issuers || reserved::why_no_app(&name).is_some() || name == "oauth2" {
        return format!("{name}-app");
    }
    name
}

#[cfg(test)]
#[path = "../../../tests/unit/config/apps_folder.rs"]
mod tests;
