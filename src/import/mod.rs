//! Makes an `appliance.toml` from the files of programs that the appliance replaces: supervisord,
//! oauth2-proxy, nginx, docker compose.
//!
//! ```text
//! gather → files of a known kind → supervisor/ …: what each file says → join → draft → write
//! ```
//!
//! What has no equivalent is a remark of the draft: a comment in the file and a line for stderr.
//! Secrets of the sources are never written; the file names a variable instead.

mod command;
mod compose;
mod draft;
mod gather;
mod identity;
mod join;
mod nginx;
mod oauth2_proxy;
mod program;
mod route;
mod secret;
mod supervisor;
mod text;
mod value;
mod variables;
mod write;
mod yaml;

use std::path::PathBuf;

use secret::Secrets;

/// The result of an import.
#[derive(Debug)]
pub struct Imported {
    /// The text of an `appliance.toml`.
    pub text: String,
    /// What the file does not have, one line each.
    pub missing: Vec<String>,
}

/// Reads the files, and those in the folders. `lookup` returns variables of the environment.
///
/// # Errors
/// A path cannot be read, a file is broken, or none of the files is of a known kind.
pub fn import(
    paths: &[PathBuf],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Imported, String> {
    let sources = gather::gather(paths)?;
    let mut secrets = Secrets::new(lookup);
    let names = sources.files.clone();
    let mut draft = join::join(sources, &mut secrets);
    secrets.taken_out(&mut draft);
    Ok(Imported { text: write::text(&draft, &names), missing: write::missing(&draft) })
}

#[cfg(test)]
#[path = "../../tests/unit/import/golden.rs"]
mod golden;
#[cfg(test)]
#[path = "../../tests/unit/import/policies.rs"]
mod policies;
#[cfg(test)]
#[path = "../../tests/unit/import/secrets.rs"]
mod secrets;
#[cfg(test)]
#[path = "../../tests/unit/import/sources.rs"]
mod sources;
