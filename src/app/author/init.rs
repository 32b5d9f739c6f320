//! `appliance init`: writes a new configuration file.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::check;
use super::questions::ask;
use crate::app::commands::{load, print};
use crate::app::refused::{Refused, USAGE};
use crate::config::{NewApp, NewFile};

const KEYCLOAK: &str = "keycloak";

/// What the command line says; the rest is asked.
#[derive(Debug, Default)]
pub struct InitOptions {
    /// The folder whose scripts become apps, and which gets the file.
    pub folder: Option<PathBuf>,
    /// Title of the portal.
    pub title: Option<String>,
    /// The address that people type.
    pub address: Option<String>,
    /// `keycloak`, or the address of an issuer.
    pub sign_in: Option<String>,
    /// The first app: a script, a folder or an address.
    pub app: Option<String>,
}

/// Writes the file, and says what to do next.
pub fn init(path: &Path, options: InitOptions, out: &mut impl Write) -> u8 {
    match write(path, options) {
        Ok(told) => print(told.as_bytes(), out),
        Err(refused) => refused.report(),
    }
}

fn write(path: &Path, options: InitOptions) -> Result<String, Refused> {
    let named = path.is_dir().then(|| path.to_owned());
    let options = InitOptions { folder: options.folder.or(named), ..options };
    let path = match &options.folder {
        Some(folder) => folder.join("appliance.toml"),
        None => path.to_owned(),
    };
    if path.exists() {
        let text = format!(
            "appliance: {} exists already; add an app to it with `appliance add FILE`",
            path.display()
        );
        return Err(Refused { code: USAGE, text });
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let answer =
        |given: Option<String>, question, default| given.unwrap_or_else(|| ask(question, default));
    let title = answer(options.title, "Title of the portal", "Apps");
    let address = answer(options.address, "Address that people type", "http://localhost:8080");
    let sign_in = answer(
        options.sign_in,
        "Who signs people in: keycloak, or the address of an issuer",
        KEYCLOAK,
    );
    let issuer = (sign_in != KEYCLOAK).then_some(sign_in);
    let mut text = NewFile { title, address, issuer }.text();
    text.push_str(&apps(dir, options.folder.as_deref(), options.app)?);
    check(&path, &text)?;
    let created = OpenOptions::new().write(true).create_new(true).open(&path);
    created.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        Refused::configuration(format!("appliance: {} cannot be written: {error}", path.display()))
    })?;
    Ok(next(&path))
}

/// The tables of the apps of the folder, or of the first app.
fn apps(dir: &Path, folder: Option<&Path>, first: Option<String>) -> Result<String, Refused> {
    if folder.is_some() {
        let config = load(dir)?;
        return Ok(config.apps_folder.map(|folder| folder.tables.clone()).unwrap_or_default());
    }
    let question = "First app: a script, a folder, or the address of a server; empty for none";
    let target = first.unwrap_or_else(|| ask(question, ""));
    if target.is_empty() {
        return Ok(String::new());
    }
    let table = NewApp { target, ..NewApp::default() }.table(dir);
    table
        .map(|(_, table)| table)
        .map_err(|why| Refused { code: USAGE, text: format!("appliance: {why}") })
}

fn next(path: &Path) -> String {
    let named = if path == Path::new("appliance.toml") {
        String::new()
    } else {
        format!(" --config {}", path.display())
    };
    format!(
        "{} is written.\n  appliance{named} check      explains every error in it\n  \
         appliance{named} add FILE   adds an app\n  appliance{named}            starts everything\n",
        path.display()
    )
}
