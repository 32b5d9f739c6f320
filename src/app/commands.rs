//! Commands that start no process: `check`, and the commands that ask a running appliance.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::announce;
use super::first_administrator;
use super::refused::{INTERNAL, Refused, USAGE, print_error};
use super::state_dir::socket_path;
use super::users;
use crate::config::{Color, Config, Problem};
use crate::control::client::{self, Style};
use crate::control::protocol::Request;
use crate::control::whereabouts;
use crate::telemetry::Viewer;
use crate::tls::{Front, to_apps};

pub(super) fn load(path: &Path) -> Result<Config, Refused> {
    Config::load(path, |name| std::env::var(name).ok()).map_err(Refused::configuration)
}

pub(super) fn load_for_setup(path: &Path) -> Result<Config, Refused> {
    Config::load_for_setup(path, |name| std::env::var(name).ok()).map_err(Refused::configuration)
}

/// `appliance check`
pub fn check(path: &Path, expanded: bool, out: &mut impl Write) -> u8 {
    match load(path) {
        Ok(config) => {
            let warnings = warnings(&config);
            if !warnings.is_empty() {
                let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
                print_error(&texts.join("\n\n"));
            }
            let text = if expanded {
                config.expanded()
            } else {
                let warned = match warnings.len() {
                    0 => String::new(),
                    number => format!(", {}", counted(number, "warning")),
                };
                let apps = counted(config.apps.len(), "app");
                format!("{}: {apps}, no errors{warned}\n", path.display())
            };
            print(text.as_bytes(), out)
        }
        Err(refused) => refused.report(),
    }
}

/// What `run` would warn of, or refuse, on this machine.
pub(super) fn warnings(config: &Config) -> Vec<Problem> {
    let is_running = client::is_running(&socket_path(&config.server.state_dir));
    let mut found = config.warnings(is_running);
    found.extend(users::warnings(config));
    found.extend(announce::warning_of_known_passwords(config));
    found.extend(first_administrator::warning_of_insecure_console(config));
    if let Err(error) = Front::check(config) {
        found.push(config.warning_about(&["server", "tls"], &error.to_string()));
    }
    found.extend(to_apps::problems(config).iter().map(|error| {
        config.warning_about(&["apps", error.app.as_str(), error.key], &error.to_string())
    }));
    found.sort_by_key(|warning| warning.place.as_ref().map(|place| place.line));
    found
}

/// `appliance import`
pub fn import(paths: &[PathBuf], out: &mut impl Write) -> u8 {
    match crate::import::import(paths, &|name| std::env::var(name).ok()) {
        Ok(imported) => {
            for line in &imported.missing {
                print_error(&format!("appliance: not carried: {line}"));
            }
            print(imported.text.as_bytes(), out)
        }
        Err(why) => {
            print_error(&format!("appliance: {why}"));
            USAGE
        }
    }
}

pub(super) fn counted(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// Prints a result. A reader that closes the pipe early, such as `head`, is no error.
pub fn print(text: &[u8], out: &mut impl Write) -> u8 {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            print_error(&format!("appliance: cannot print: {error}"));
            INTERNAL
        }
        _ => 0,
    }
}

/// Runs a client command: finds the control socket through the configuration and sends the request.
pub fn ask(path: &Path, request: &Request, style: Style, out: &mut impl Write) -> u8 {
    match find(path, request) {
        Ok((socket, color)) => {
            let view = client::View { style, only: None, viewer: viewer(color) };
            client::ask(&socket, request, view, out)
        }
        Err(code) => code,
    }
}

/// `appliance status`. `again`: waits before the next table, and says whether it was the last one.
pub fn status(
    path: &Path,
    style: Style,
    only: Option<&str>,
    again: Option<fn(Duration) -> bool>,
    out: &mut impl Write,
) -> u8 {
    match find(path, &Request::Status) {
        Ok((socket, color)) => {
            let view = client::View { style, only, viewer: viewer(color) };
            match again {
                Some(again) => client::watch(&socket, view, again, out),
                None => client::ask(&socket, &Request::Status, view, out),
            }
        }
        Err(code) => code,
    }
}

/// How this output shows colours. `NO_COLOR` and a terminal without colours turn `auto` off; see
/// <https://no-color.org>.
fn viewer(color: Color) -> Viewer {
    let terminal = std::io::stdout().is_terminal();
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let colorless =
        is_set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let color = if color == Color::Auto && colorless { Color::Never } else { color };
    Viewer::new(color, terminal)
}

/// Finds the socket of the running appliance, and `[log] color`. An error is the exit code; its text
/// was printed.
fn find(path: &Path, request: &Request) -> Result<(PathBuf, Color), u8> {
    let loaded = Config::load_for_command(path, |name| std::env::var(name).ok());
    let refused = match loaded.map_err(Refused::configuration) {
        Ok(config) => {
            let socket = socket_path(&config.server.state_dir);
            let socket = running(path, Some(&socket)).unwrap_or(socket);
            return Ok((socket, config.log.color));
        }
        Err(refused) => refused,
    };
    // The file is being edited: the command still reaches the appliance that was started with it.
    let state_dir = Config::state_dir(path, |name| std::env::var(name).ok());
    let socket = state_dir.map(|dir| socket_path(&dir));
    let Some(socket) = running(path, socket.as_deref()) else {
        return Err(refused.report());
    };
    // A reload answers with the errors.
    if !matches!(request, Request::Health | Request::Reload { .. }) {
        let path = path.display();
        print_error(&format!(
            "appliance: {path} has errors now, see `appliance check`; the running appliance was started before"
        ));
    }
    Ok((socket, Color::Auto))
}

/// The socket of the running appliance. The file may name another `state_dir` now.
fn running(path: &Path, by_file: Option<&Path>) -> Option<PathBuf> {
    let found = by_file.map(Path::to_owned).filter(|socket| client::is_running(socket));
    found.or_else(|| whereabouts::noted(path).filter(|socket| client::is_running(socket)))
}
