//! What all checks share: the problems found so far, and reading a value with a grammar.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::file::{self, At, Span};
use crate::config::grammar::{self, Parsed};
use crate::config::model::AppName;
use crate::config::preset::realm::Realm;
use crate::config::read::decode::CutOut;
use crate::config::report::problem::Problems;

/// What all checks share.
pub(super) struct Check<'c, 's> {
    pub(super) problems: &'c mut Problems<'s>,
    pub(super) cut_out: CutOut,
    pub(super) dir: &'c Path,
}

/// What other apps and sections need to know about an app before the app itself is checked.
#[derive(Debug)]
pub(super) struct Outline<'f> {
    pub(super) name: AppName,
    /// Place of the app's name in the file.
    pub(super) span: Span,
    pub(super) table: &'f file::App,
    pub(super) enabled: bool,
    /// Place of the key that makes the app reachable: `path` or `host`.
    pub(super) route: Option<Span>,
    /// The issuer that the keycloak preset makes of the app.
    pub(super) keycloak: Option<Realm>,
}

impl Check<'_, '_> {
    /// The value of a key with a grammar, or its default.
    pub(super) fn parse<T>(
        &mut self,
        at: Option<&At<String>>,
        default: T,
        grammar: impl FnOnce(&str) -> Parsed<T>,
    ) -> T {
        self.parse_some(at, grammar).unwrap_or(default)
    }

    /// The value of a key with a grammar; `None` if the key is absent or wrong.
    pub(super) fn parse_some<T>(
        &mut self,
        at: Option<&At<String>>,
        grammar: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        let at = at?;
        match grammar(at) {
            Ok(value) => Some(value),
            Err(why) => {
                // The text of an unset variable has already been reported.
                if !self.problems.any_within(&at.span) {
                    self.problems.error(&at.span, why);
                }
                None
            }
        }
    }

    pub(super) fn duration(&mut self, at: Option<&At<String>>, default: Duration) -> Duration {
        self.parse(at, default, grammar::duration)
    }

    /// A duration that must not be zero.
    pub(super) fn positive(&mut self, at: Option<&At<String>>, default: Duration) -> Duration {
        self.parse(at, default, |text| {
            let duration = grammar::duration(text)?;
            if duration.is_zero() {
                Err("the duration must be longer than zero; write for example `500ms`, `10s` or `5m`".to_owned())
            } else {
                Ok(duration)
            }
        })
    }

    /// A number within bounds.
    pub(super) fn number<T: TryFrom<i64>>(
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
                format!("{what} cannot be {}; write a number of at least {min}", at.value)
            } else {
                format!("{what} cannot be {}; write a number from {min} to {max}", at.value)
            };
            self.problems.error(&at.span, message);
        }
        value
    }

    /// A path; a relative one starts at the folder of the file.
    pub(super) fn path(&mut self, at: &At<String>) -> PathBuf {
        if at.is_empty() && !self.problems.any_within(&at.span) {
            self.problems
                .error(&at.span, "a path must not be empty; write `.` for the folder of this file");
        }
        absolute(self.dir, at)
    }

    /// An argument vector that `execve` accepts: not empty, without NUL bytes.
    pub(super) fn argv(&mut self, at: &At<Vec<String>>, what: &str) -> Vec<String> {
        if at.first().is_none_or(String::is_empty) {
            self.problems
                .error(&at.span, format!("{what} is empty; write a program and its arguments"));
        }
        if at.iter().any(|argument| argument.contains('\0')) {
            self.problems.error(&at.span, format!("{what} must not contain a NUL byte; remove it"));
        }
        at.value.clone()
    }

    /// Makes the program absolute: a relative path starts at the file's folder, not at `cwd`. A
    /// bare name stays, it is looked up in PATH.
    pub(super) fn rooted(&self, mut argv: Vec<String>) -> Vec<String> {
        if let Some(program) = argv.first_mut().filter(|program| program.contains('/')) {
            *program = absolute(self.dir, program).to_string_lossy().into_owned();
        }
        argv
    }
}

/// Joins two paths and drops `.` segments.
pub(super) fn absolute(dir: &Path, path: &str) -> PathBuf {
    dir.join(path).components().collect()
}
