//! [`file`](super::file) → the validated model, collecting every problem on the way.
//!
//! Each check reports what is wrong and goes on with a default, so that the next one has
//! something to look at; the result is only used when nothing was reported.

mod access;
mod app;
mod life;
mod oidc;
mod order;
mod probe;
mod route;
mod run;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::decode::{self, Lost};
use super::file::{self, At, Span};
use super::grammar::{self, Parsed};
use super::interpolate::{self, Lookup};
use super::preset::{Frame, Realm};
use super::problem::Problems;
use super::{App, AppName, Config};

/// Checks a whole file.
pub(super) fn check(
    path: &Path,
    dir: &Path,
    lookup: Lookup<'_>,
    problems: &mut Problems<'_>,
) -> Option<Config> {
    let mut document = decode::parse(problems)?;
    interpolate::expand_table(&mut document, lookup, problems);
    let mut lost = Lost::default();
    let file: file::File = decode::decode(&mut document, problems, &mut lost)?;
    let mut check = Check { problems, lost, dir };

    let operators = file.server.as_ref().and_then(|server| server.operators.as_ref());
    let operators = operators.map(|at| at.span.clone());
    let server = check.server(file.server.unwrap_or_default(), lookup);
    let log = check.log(&file.log.unwrap_or_default());
    let session = check.session(&file.session.unwrap_or_default());
    let default_access = check.default_access(&file.access.unwrap_or_default());
    let tables = file.apps.map(|apps| apps.0).unwrap_or_default();
    let cache_dir = check.given_dir("CACHE_DIRECTORY", lookup);
    let frame = Frame {
        dir,
        state_dir: &server.state_dir,
        cache_dir: cache_dir.as_deref().unwrap_or(&server.state_dir),
        public_url: &server.public_url,
        log_format: log.format,
        oidc: file.oidc.as_deref(),
    };
    let outlines = check.outlines(&tables, &frame);
    let oidc = file.oidc.as_ref().map(|oidc| check.oidc(oidc, &outlines));
    let around = app::Around { default_access: &default_access, frame: &frame };
    let mut apps: Vec<App> = outlines
        .iter()
        .filter_map(|outline| check.app(outline, written(&document, &outline.name), &around))
        .collect();
    check.routes(&apps, &outlines, &server.public_url);
    check.ports(&outlines, &server.listen);
    check.order(&outlines);
    check.issuer_is_open(&apps, &outlines, oidc.as_ref());
    if file.oidc.is_none() && !check.lost.has("oidc") {
        check.nobody_must_sign_in(&apps, &outlines, operators);
    }
    if !check.problems.is_empty() {
        return None;
    }
    apps.retain(|app| outlines.iter().any(|outline| outline.enabled && outline.name == app.name));
    let secrets = problems.secrets().to_vec();
    let (path, dir) = (path.to_owned(), dir.to_owned());
    Some(Config { path, dir, server, log, oidc, session, apps, secrets })
}

/// Only where the state is kept, whatever else is wrong.
pub(super) fn state_dir(
    dir: &Path,
    lookup: Lookup<'_>,
    problems: &mut Problems<'_>,
) -> Option<PathBuf> {
    let mut document = DeTable::parse_recoverable(problems.text()).0.into_inner();
    interpolate::expand_table(&mut document, lookup, problems);
    let mut lost = Lost::default();
    let file: file::File = decode::decode(&mut document, problems, &mut lost)?;
    let written = file.server.and_then(|server| server.state_dir);
    Some(Check { problems, lost, dir }.state_dir(written.as_ref(), lookup))
}

/// The document's own table of an app, for presets to be laid under it.
fn written<'d, 's>(document: &'d DeTable<'s>, name: &AppName) -> Option<&'d DeTable<'s>> {
    let DeValue::Table(apps) = document.get("apps")?.get_ref() else { return None };
    let DeValue::Table(app) = apps.get(name.as_str())?.get_ref() else { return None };
    Some(app)
}

/// What the checks share.
struct Check<'c, 's> {
    problems: &'c mut Problems<'s>,
    lost: Lost,
    dir: &'c Path,
}

/// What other apps and sections need to know of an app before it is checked itself.
#[derive(Debug)]
struct Outline<'f> {
    name: AppName,
    /// Of its name in the file.
    span: Span,
    table: &'f file::App,
    enabled: bool,
    /// Of what makes it reachable: `path` or `host`.
    route: Option<Span>,
    /// What the keycloak preset makes of it.
    keycloak: Option<Realm>,
}

impl Check<'_, '_> {
    /// The value of a key with a grammar, or its default.
    fn parse<T>(
        &mut self,
        at: Option<&At<String>>,
        default: T,
        grammar: impl FnOnce(&str) -> Parsed<T>,
    ) -> T {
        self.parse_some(at, grammar).unwrap_or(default)
    }

    /// The value of a key with a grammar, if it is there and right.
    fn parse_some<T>(
        &mut self,
        at: Option<&At<String>>,
        grammar: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        let at = at?;
        match grammar(at) {
            Ok(value) => Some(value),
            Err(why) => {
                // What stands for a variable that is not there is no value: that was told.
                if !self.problems.any_within(&at.span) {
                    self.problems.error(&at.span, why);
                }
                None
            }
        }
    }

    fn duration(&mut self, at: Option<&At<String>>, default: Duration) -> Duration {
        self.parse(at, default, grammar::duration)
    }

    /// A duration that makes no sense as zero.
    fn positive(&mut self, at: Option<&At<String>>, default: Duration) -> Duration {
        self.parse(at, default, |text| {
            let duration = grammar::duration(text)?;
            if duration.is_zero() {
                Err("this must be longer than zero; write it as `500ms`, `10s` or `5m`".to_owned())
            } else {
                Ok(duration)
            }
        })
    }

    /// A number within bounds.
    fn number<T: TryFrom<i64>>(
        &mut self,
        at: Option<&At<i64>>,
        bounds: std::ops::RangeInclusive<i64>,
        what: &str,
    ) -> Option<T> {
        let at = at?;
        let (min, max) = (*bounds.start(), *bounds.end());
        let value = T::try_from(at.value).ok().filter(|_| bounds.contains(&at.value));
        if value.is_none() {
            let message = if max == i64::MAX {
                format!("{what} cannot be {}; it is {min} or more", at.value)
            } else {
                format!("{what} cannot be {}; it is from {min} to {max}", at.value)
            };
            self.problems.error(&at.span, message);
        }
        value
    }

    /// A path, from the folder of the file.
    fn path(&mut self, at: &At<String>) -> PathBuf {
        if at.is_empty() && !self.problems.any_within(&at.span) {
            self.problems
                .error(&at.span, "a path must not be empty; write `.` for the folder of this file");
        }
        absolute(self.dir, at)
    }

    /// An argument vector: not empty, and nothing that `execve` cannot take.
    fn argv(&mut self, at: &At<Vec<String>>, what: &str) -> Vec<String> {
        if at.first().is_none_or(String::is_empty) {
            self.problems.error(&at.span, format!("{what} is empty; name a program"));
        }
        if at.iter().any(|argument| argument.contains('\0')) {
            self.problems.error(
                &at.span,
                format!("{what} must not hold a NUL; no program could be started with it"),
            );
        }
        at.value.clone()
    }

    /// A bare name is looked up in PATH; a relative path starts at our folder, not at `cwd`.
    fn rooted(&self, mut argv: Vec<String>) -> Vec<String> {
        if let Some(program) = argv.first_mut().filter(|program| program.contains('/')) {
            *program = absolute(self.dir, program).to_string_lossy().into_owned();
        }
        argv
    }
}

/// Joins without `.` segments, which only make a path longer.
fn absolute(dir: &Path, path: &str) -> PathBuf {
    dir.join(path).components().collect()
}
