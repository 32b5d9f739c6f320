//! The environment variables of a child.
//!
//! The environment starts empty, so that no child sees a secret of another app or of the appliance.
//! In order of rising precedence it gets a short allow-list with what the appliance itself offers,
//! `pass_env`, `env_file` and `env`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use nix::unistd::{Uid, User};
use secrecy::ExposeSecret as _;

use crate::config::Missing;
use crate::config::ownership::account::Account;
use crate::config::ownership::app_file;
use crate::config::{self, App, EnvValue, PATH, Run, SecretError, SecretSource};
use crate::supervisor::guard::refuse_secret;

/// Variables that downloads need on many networks. Only first-time setup gets them.
const DOWNLOAD_VARIABLES: [&str; 6] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "JAVA_HOME",
    "MAVEN_OPTS",
];

/// Where the program of an app gets the current access token of a session.
const TOKEN_URL: &str = "APPLIANCE_TOKEN_URL";

/// The variables of one process.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// Why an environment cannot be made. No message shows a value.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// `env_file` cannot be read.
    #[error("cannot read env_file {path}: {error}", path = path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Why it cannot be read.
        error: io::Error,
    },
    /// A line of `env_file` is not `NAME=value`.
    #[error("{path}:{line}: expected NAME=value", path = path.display())]
    Line {
        /// Path of the file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
    },
    /// A secret cannot be read.
    #[error("env {name}: {error}")]
    Secret {
        /// Name of the variable.
        name: String,
        /// Why it cannot be read.
        error: SecretError,
    },
}

impl EnvironmentError {
    /// The file that is wrong.
    pub(super) fn file<'e>(&'e self, run: &'e Run) -> Option<&'e Path> {
        match self {
            Self::File { path, .. } | Self::Line { path, .. } => Some(path),
            Self::Secret { name, .. } => run.env.iter().find_map(|(known, value)| match value {
                EnvValue::Secret(SecretSource::File(path)) if known == name => Some(path.as_path()),
                _ => None,
            }),
        }
    }
}

/// The environment of an app's process.
pub(crate) fn of_app(
    app: &App,
    run: &Run,
    account: Option<&Account>,
    state_dir: &Path,
    missing: Missing,
) -> Result<Environment, EnvironmentError> {
    let mut vars = allow_list(app, run, account, |name| std::env::var_os(name));
    vars.extend(run.token_url.as_ref().map(|url| (TOKEN_URL.into(), url.into())));
    let mut vars = from_table(app, run, account, vars)?;
    for (name, value) in &run.env {
        if let EnvValue::Secret(source) = value {
            let failed = |error| EnvironmentError::Secret { name: name.clone(), error };
            let secret = source
                .find_for(
                    account,
                    state_dir,
                    Some(&refuse_for(source, account, state_dir)),
                    missing,
                )
                .map_err(failed)?;
            vars.extend(secret.map(|secret| (name.into(), secret.expose_secret().into())));
        }
    }
    Ok(vars)
}

/// The environment of a step of first-time setup: that of the app without its secrets. The secrets
/// need not exist when an image is built, and must not end up in the image.
pub(crate) fn of_setup(
    app: &App,
    run: &Run,
    account: Option<&Account>,
    env: &[(String, String)],
) -> Result<Environment, EnvironmentError> {
    let mut vars = allow_list(app, run, account, |name| std::env::var_os(name));
    // `pip` and `uv` keep their downloads there: apart from those of root and of other apps.
    let downloads = run.folders.downloads.as_ref().filter(|_| account.is_some());
    vars.extend(downloads.map(|folder| ("XDG_CACHE_HOME".into(), folder.into())));
    vars.extend(std::env::vars_os().filter(|(name, _)| is_download_variable(name)));
    let mut vars = from_table(app, run, account, vars)?;
    vars.extend(env.iter().map(|(name, value)| (name.into(), value.into())));
    Ok(vars)
}

/// The time zone of an app's processes: that of its `TZ`, else that of the machine. A name that does
/// not exist means UTC, as it does for the C library.
pub(crate) fn time_zone(app: &App) -> TimeZone {
    let name = app.run.as_ref().and_then(|run| {
        let account = run.account().ok().flatten();
        of_setup(app, run, account.as_ref(), &[]).ok()?.remove(OsStr::new("TZ"))
    });
    let system = || TimeZone::try_system().unwrap_or(TimeZone::UTC);
    name.map_or_else(system, |name| {
        config::time_zone(&name.to_string_lossy()).unwrap_or_else(|why| {
            tracing::warn!(app = %app.name, why, "the schedule follows UTC");
            TimeZone::UTC
        })
    })
}

/// Adds the variables that the app's table gives in plain text.
fn from_table(
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

fn is_download_variable(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        DOWNLOAD_VARIABLES.contains(&name)
            || name.to_ascii_lowercase().ends_with("_proxy")
            || ["PIP_", "UV_"].iter().any(|tool| name.starts_with(tool))
    })
}

fn allow_list(
    app: &App,
    run: &Run,
    account: Option<&Account>,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Environment {
    let (user, home) = match account {
        Some(account) => (account.name.clone().into(), account.home.clone().into()),
        None => own_user_and_home(&lookup),
    };
    // The app's data folder with and without root, so that the app finds its files in both cases.
    let home = run.own_user.as_ref().map_or(home, |own| own.home.clone().into());
    let home = run.home.as_ref().map_or(home, |spare| spare.clone().into());
    // Programs take a number for a user id, and some need a name.
    let is_number = user.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let user = if is_number { app.name.as_str().into() } else { user };
    let mut vars = Environment::from([
        ("PATH".into(), lookup("PATH").unwrap_or_else(|| PATH.into())),
        ("HOME".into(), home),
        ("USER".into(), user),
        // Python holds back what it prints to a pipe, and loses it in a crash.
        ("PYTHONUNBUFFERED".into(), "1".into()),
        ("LANG".into(), lookup("LANG").unwrap_or_else(|| "C.UTF-8".into())),
    ]);
    vars.extend(lookup("TZ").map(|zone| ("TZ".into(), zone)));
    vars
}

/// `HOME` of apps that run as the appliance's user.
pub fn own_home() -> PathBuf {
    own_user_and_home(&|name| std::env::var_os(name)).1.into()
}

fn own_user_and_home(lookup: &impl Fn(&str) -> Option<OsString>) -> (OsString, OsString) {
    let (user, home) = (lookup("USER"), lookup("HOME"));
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

/// Refuses a secret of the appliance, unless the configuration names this very secret for the app. A
/// secret of the app directly in `state_dir` was judged by its name; an app with another user cannot
/// replace it there.
fn refuse_for<'s>(
    source: &'s SecretSource,
    account: Option<&Account>,
    state_dir: &'s Path,
) -> impl Fn(&File) -> io::Result<()> + 's {
    let is_apart = account.is_some_and(|account| account.uid != Uid::effective());
    move |file| match source {
        SecretSource::File(path) if is_apart && path.parent() == Some(state_dir) => Ok(()),
        SecretSource::File(path) => refuse_secret(file, path),
        SecretSource::Env(_) | SecretSource::Generate(_) => Ok(()),
    }
}

fn read_file(
    path: &Path,
    account: Option<&Account>,
) -> Result<Vec<(OsString, OsString)>, EnvironmentError> {
    let text = app_file::read(path, account, Some(&|file| refuse_secret(file, path)))
        .map_err(|error| EnvironmentError::File { path: path.to_owned(), error })?;
    parse(&text).map_err(|line| EnvironmentError::Line { path: path.to_owned(), line })
}

/// Parses `NAME=value` lines. The error is the number of the first wrong line.
fn parse(text: &str) -> Result<Vec<(OsString, OsString)>, usize> {
    // Some editors begin a file with a byte order mark.
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
    fn only_the_allow_list_is_inherited() {
        let lookup = |name: &str| match name {
            "TZ" => Some("Europe/Berlin".into()),
            "HOME" => Some("/h".into()),
            _ => None,
        };
        let app = samples::app("a", &["true"]);
        let vars = allow_list(&app, app.run.as_ref().unwrap(), None, lookup);
        assert_eq!(text(&vars, "HOME").unwrap(), "/h");
        assert_eq!(text(&vars, "LANG").unwrap(), "C.UTF-8");
        assert_eq!(text(&vars, "PATH").unwrap(), PATH);
        assert_eq!(text(&vars, "PYTHONUNBUFFERED").unwrap(), "1");
        assert_eq!(vars.len(), 6, "{vars:?}");
    }

    #[test]
    fn env_wins_over_env_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vars");
        std::fs::write(&file, "ONE=file\nTWO=file\nPYTHONUNBUFFERED=\n").unwrap();
        let mut app = samples::app("a", &["true"]);
        app.port = Some(8501);
        let run = app.run.as_mut().unwrap();
        run.env_file = Some(file);
        run.env = vec![("TWO".into(), EnvValue::Plain("table".into()))];
        let state_dir = dir.path().join("state");
        let vars =
            of_app(&app, app.run.as_ref().unwrap(), None, &state_dir, Missing::Make).unwrap();
        assert_eq!(text(&vars, "ONE").unwrap(), "file");
        assert_eq!(text(&vars, "TWO").unwrap(), "table");
        assert_eq!(text(&vars, "PYTHONUNBUFFERED").unwrap(), "");
        assert_eq!(text(&vars, "PORT").unwrap(), "8501");
    }

    #[test]
    fn the_address_for_tokens_is_for_the_program_and_the_table_wins() {
        let mut app = samples::app("a", &["true"]);
        app.run.as_mut().unwrap().token_url = Some("http://127.0.0.1:1/token/a".into());
        let read = |app: &App| {
            let run = app.run.as_ref().unwrap();
            let state_dir = Path::new("/nonexistent");
            let vars = of_app(app, run, None, state_dir, Missing::LeaveOut).unwrap();
            let setup = of_setup(app, run, None, &[]).unwrap();
            (text(&vars, TOKEN_URL), text(&setup, TOKEN_URL))
        };
        assert_eq!(read(&app), (Some("http://127.0.0.1:1/token/a".into()), None));
        let own = (TOKEN_URL.to_owned(), EnvValue::Plain("own".into()));
        app.run.as_mut().unwrap().env.push(own);
        assert_eq!(read(&app), (Some("own".into()), Some("own".into())));
    }

    #[test]
    fn setup_gets_the_variables_that_downloads_need() {
        for (name, serves) in
            [("https_proxy", true), ("PIP_INDEX_URL", true), ("HOME", false), ("TOKEN", false)]
        {
            assert_eq!(is_download_variable(OsStr::new(name)), serves, "{name}");
        }
    }
}
