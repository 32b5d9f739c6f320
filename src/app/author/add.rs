//! `appliance add`: adds the table of an app to the configuration file.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use super::check;
use crate::app::commands::print;
use crate::app::refused::{Refused, USAGE};
use crate::config::ownership::operator_file::LARGEST;
use crate::config::ownership::operator_file::read_text;
use crate::config::{NewApp, has_app};

/// Adds the table at the end of the file; comments and order stay as they are.
pub fn add(path: &Path, app: &NewApp, out: &mut impl Write) -> u8 {
    match write(path, app) {
        Ok(told) => print(told.as_bytes(), out),
        Err(refused) => refused.report(),
    }
}

fn write(path: &Path, app: &NewApp) -> Result<String, Refused> {
    let usage = |why: String| Refused { code: USAGE, text: format!("appliance: {why}") };
    let shown = path.display();
    if path.is_dir() {
        return Err(usage(format!(
            "{shown} is a folder without a file: put the script into it, or write a file with `appliance init {shown}`"
        )));
    }
    let before = read_text(path, LARGEST).map_err(|error| {
        usage(format!("{shown} cannot be read: {error}; `appliance init` writes a new file"))
    })?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (name, table) = app.table(dir).map_err(usage)?;
    if has_app(&before, &name) {
        return Err(usage(format!(
            "the app `{name}` exists already; give another name with --name"
        )));
    }
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let added = format!("{gap}{table}");
    check(path, &format!("{before}{added}"))?;
    let opened = OpenOptions::new().append(true).open(path);
    opened.and_then(|mut file| file.write_all(added.as_bytes())).map_err(|error| {
        Refused::configuration(format!("appliance: {shown} cannot be written: {error}"))
    })?;
    Ok(format!(
        "{table}\nThe app {name} is in {shown}; `appliance reload` starts it if the appliance runs.\n"
    ))
}
