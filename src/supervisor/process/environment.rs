//! What a child's environment holds.
//!
//! It starts empty: no child sees a secret of another's or of ours. In rising order come a short
//! allow-list, `pass_env`, `env_file` and `env`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use secrecy::ExposeSecret as _;

use crate::config::ownership::account::Account;
use crate::config::ownership::app_file;
use crate::config::{App, EnvValue, PATH, Run, SecretError};

/// Names that fetching things needs on many networks; first-time setup sees them, apps do not.
const FETCHING: [&str; 6] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "JAVA_HOME",
    "MAVEN_OPTS",
];

/// The variables of one process.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// An environment that cannot be made. No text of it shows a value.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// `env_file` cannot be read.
    #[error("cannot read env_file {path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line of it is no `NAME=value`.
    #[error("{path}:{line}: expected NAME=value", path = path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A secret cannot be had.
    #[error("env {name}: {error}")]
    Secret {
        /// The variable.
        name: String,
        /// Why.
        error: SecretError,
    },
}

/// The environment of an app's process.
pub(crate) fn of_app(
    app: &App,
    run: &Run,
    account: Option<&Account>,
    state_dir: &Path,
) -> Result<Environment, EnvironmentError> {
    let mut vars = said(app, run, account, allowed(run, account, |name| std::env::var_os(name)))?;
    for (name, value) in &run.env {
        if let EnvValue::Secret(source) = value {
            let failed = |error| EnvironmentError::Secret { name: name.clone(), error };
            let secret = source.resolve_for(account, state_dir).map_err(failed)?;
            vars.insert(name.into(), secret.expose_secret().into());
        }
    }
    Ok(vars)
}

/// The environment of a step of first-time setup: the app's without its secrets, which need not
/// be there when an image is built and must not end up in it.
pub(crate) fn of_setup(
    app: &App,
    run: &Run,
    account: Option<&Account>,
    env: &[(String, String)],
) -> Result<Environment, EnvironmentError> {
    let mut vars = allowed(run, account, |name| std::env::var_os(name));
    // Where `pip` and `uv` keep what they fetched: never ours, nor that of another app.
    let downloads = run.folders.downloads.as_ref().filter(|_| account.is_some());
    vars.extend(downloads.map(|folder| ("XDG_CACHE_HOME".into(), folder.into())));
    vars.extend(std::env::vars_os().filter(|(name, _)| serves_fetching(name)));
    let mut vars = said(app, run, account, vars)?;
    vars.extend(env.iter().map(|(name, value)| (name.into(), value.into())));
    Ok(vars)
}

/// Adds what the app's table says in plain text.
fn said(
    app: &App,
    run: &Run,
    account: Option<&Account>,
    mut vars: Environment,
) -> Result<Environment, EnvironmentError> {
    if let Some(port) = app.port {
        vars.insert("PORT".into(), port.to_string().into());
    }
    for name in &run.pass_env {
        vars.extend(std::env::var_os(name).map(|value| (name.into(), value)));
    }
    if let Some(path) = &run.env_file {
        vars.extend(read_file(path, account)?);
    }
    for (name, value) in &run.env {
        if let EnvValue::Plain(text) = value {
            vars.insert(name.into(), text.into());
        }
    }
    Ok(vars)
}

fn serves_fetching(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        FETCHING.contains(&name)
            || name.to_ascii_lowercase().ends_with("_proxy")
            || ["PIP_", "UV_"].iter().any(|tool| name.starts_with(tool))
    })
}

fn allowed(
    run: &Run,
    account: Option<&Account>,
    ours: impl Fn(&str) -> Option<OsString>,
) -> Environment {
    let (user, home) = match account {
        Some(account) => (account.name.clone().into(), account.home.clone().into()),
        None => ourselves(&ours),
    };
    // Its own folder also where it runs as we do, so that it finds its files in both ways to run.
    let home = run.own_user.as_ref().map_or(home, |own| own.home.clone().into());
    let mut vars = Environment::from([
        ("PATH".into(), ours("PATH").unwrap_or_else(|| PATH.into())),
        ("HOME".into(), home),
        ("USER".into(), user),
        ("LANG".into(), ours("LANG").unwrap_or_else(|| "C.UTF-8".into())),
    ]);
    vars.extend(ours("TZ").map(|zone| ("TZ".into(), zone)));
    vars
}

fn ourselves(ours: &impl Fn(&str) -> Option<OsString>) -> (OsString, OsString) {
    let (user, home) = (ours("USER"), ours("HOME"));
    if let (Some(user), Some(home)) = (&user, &home) {
        return (user.clone(), home.clone());
    }
    let uid = Uid::effective();
    let entry = User::from_uid(uid).ok().flatten();
    let (name, dir) = entry.map_or_else(
        || (uid.to_string().into(), "/".into()),
        |entry| (entry.name.into(), entry.dir.into()),
    );
    (user.unwrap_or(name), home.unwrap_or(dir))
}

fn read_file(
    path: &Path,
    account: Option<&Account>,
) -> Result<Vec<(OsString, OsString)>, EnvironmentError> {
    let text = app_file::read(path, account)
        .map_err(|error| EnvironmentError::File { path: path.to_owned(), error })?;
    parse(&text).map_err(|line| EnvironmentError::Line { path: path.to_owned(), line })
}

/// `NAME=value` lines; the number of the first line that is none.
fn parse(text: &str) -> Result<Vec<(OsString, OsString)>, usize> {
    // Some editors begin with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let meant = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    meant
        .map(|(at, line)| {
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (name, value) = line.split_once('=').ok_or(at)?;
            let name = name.trim_end();
            let named = !name.is_empty() && !name.contains(char::is_whitespace);
            let good = named && !line.contains('\0');
            good.then(|| (name.into(), unquoted(value.trim_start()).into())).ok_or(at)
        })
        .collect()
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::sample_apps as samples;

    fn text(vars: &Environment, name: &str) -> Option<String> {
        vars.get(OsStr::new(name)).map(|value| value.to_string_lossy().into_owned())
    }

    #[test]
    fn a_file_has_names_values_comments_and_quotes() {
        let parsed =
            parse("\u{feff}A=1\n# no\n\n B = \"x y\" \nexport C='#z'\nD=a=b\nE=\nF=\"").unwrap();
        let expected =
            [("A", "1"), ("B", "x y"), ("C", "#z"), ("D", "a=b"), ("E", ""), ("F", "\"")]
                .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        assert_eq!(parsed, expected);
        assert_eq!(parse("A=1\nB\n"), Err(2));
        assert_eq!(parse("=1"), Err(1));
        assert_eq!(parse("A=1\nB=\0"), Err(2));
    }

    #[test]
    fn only_the_allow_list_is_taken() {
        let ours = |name: &str| match name {
            "TZ" => Some("Europe/Berlin".into()),
            "HOME" => Some("/h".into()),
            _ => None,
        };
        let run = samples::app("a", &["true"]).run.unwrap();
        let vars = allowed(&run, None, ours);
        assert_eq!(text(&vars, "HOME").unwrap(), "/h");
        assert_eq!(text(&vars, "LANG").unwrap(), "C.UTF-8");
        assert_eq!(text(&vars, "PATH").unwrap(), PATH);
        assert_eq!(vars.len(), 5, "{vars:?}");
    }

    #[test]
    fn the_table_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vars");
        std::fs::write(&file, "ONE=file\nTWO=file\n").unwrap();
        let mut app = samples::app("a", &["true"]);
        app.port = Some(8501);
        let run = app.run.as_mut().unwrap();
        run.env_file = Some(file);
        run.env = vec![("TWO".into(), EnvValue::Plain("table".into()))];
        let vars = of_app(&app, app.run.as_ref().unwrap(), None, dir.path()).unwrap();
        assert_eq!(text(&vars, "ONE").unwrap(), "file");
        assert_eq!(text(&vars, "TWO").unwrap(), "table");
        assert_eq!(text(&vars, "PORT").unwrap(), "8501");
    }

    #[test]
    fn setup_may_fetch() {
        for (name, serves) in
            [("https_proxy", true), ("PIP_INDEX_URL", true), ("HOME", false), ("TOKEN", false)]
        {
            assert_eq!(serves_fetching(OsStr::new(name)), serves, "{name}");
        }
    }
}
