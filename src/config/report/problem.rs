//! Problems of a configuration and how they are shown: place, source line, caret, help.
//!
//! A [`Problem`] contains only text that is shown, already masked, so that it can outlive the text
//! of the file.

use std::fmt;
use std::ops::Range;

use super::mask;
use crate::config::model::Secret;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the problem prevents a start.
    pub severity: Severity,
    /// Name of the file, as it was given.
    pub file: String,
    /// Place in the file, if known.
    pub place: Option<Place>,
    /// What is wrong. Never contains a secret.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The appliance does not start.
    Error,
    /// The problem is shown, and the appliance starts.
    Warning,
}

/// A place in the file and its source line, with secrets masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Number of the line, from 1.
    pub line: usize,
    /// Number of the column, from 1, in characters.
    pub column: usize,
    shown: String,
    caret: Range<usize>,
}

impl Problem {
    /// Whether the problem prevents a start.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// What is wrong and what to do, in one line.
    pub fn reason(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message.clone(),
        }
    }

    /// `appliance.toml:LINE:COL`, or only the file.
    pub fn at(&self) -> String {
        match &self.place {
            Some(place) => format!("{}:{}:{}", self.file, place.line, place.column),
            None => self.file.clone(),
        }
    }
}

impl fmt::Display for Problem {
    /// `appliance.toml:LINE:COL: error: …`, then the source line and help on separate lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        // A quoted part of the file must not send control characters to the terminal.
        let printable = |text: &str| text.replace(char::is_control, "\u{fffd}");
        write!(f, "{}: {severity}: {}", self.at(), printable(&self.message))?;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            let gutter = " ".repeat(number.len());
            let indent = " ".repeat(place.caret.start);
            let carets = "^".repeat(place.caret.len().max(1));
            write!(f, "\n {gutter} |\n {number} | {}", place.shown)?;
            write!(f, "\n {gutter} | {indent}{carets}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n   help: {}", printable(help)),
            None => Ok(()),
        }
    }
}

/// The text of a file, used to compute places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'s> {
    pub(crate) name: &'s str,
    pub(crate) text: &'s str,
}

impl Source<'_> {
    /// A problem with the secrets masked.
    pub(crate) fn problem(
        &self,
        severity: Severity,
        span: Option<&Range<usize>>,
        message: &str,
        help: Option<&str>,
        secrets: &[Secret],
    ) -> Problem {
        Problem {
            severity,
            file: self.name.to_owned(),
            place: span.map(|span| self.place(span)),
            message: mask::without(message, secrets),
            help: help.map(|help| mask::without(help, secrets)),
        }
    }

    /// The place of a byte range. A range of several lines ends with its first line.
    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        let start = floor_boundary(self.text, span.start);
        let begin = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let line = self.text[begin..end].trim_end_matches('\r');
        let stop =
            floor_boundary(self.text, span.end).clamp(start, begin + line.len().max(start - begin));
        let (shown, caret) =
            mask::line(line, start - begin..stop - begin, mask::within_string(&self.text[..begin]));
        Place {
            line: self.text[..begin].matches('\n').count() + 1,
            column: self.text[begin..start].chars().count() + 1,
            // One character for one character, so that the caret stays in place.
            shown: shown.replace(char::is_control, " "),
            caret,
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// Splits a text at its last `; ` into what is wrong and what to do.
pub(crate) fn in_two(why: &str) -> (&str, Option<&str>) {
    why.rsplit_once("; ").map_or((why, None), |(what, help)| (what, Some(help)))
}

/// Collects the problems of one file.
#[derive(Debug)]
pub(crate) struct Problems<'s> {
    source: Source<'s>,
    found: Vec<(usize, Problem)>,
    secrets: Vec<Secret>,
}

impl<'s> Problems<'s> {
    pub(crate) fn new(source: Source<'s>) -> Self {
        Self { source, found: Vec::new(), secrets: Vec::new() }
    }

    /// Text of the file.
    pub(crate) fn text(&self) -> &'s str {
        self.source.text
    }

    /// Masks this value from now on.
    pub(crate) fn hide(&mut self, value: &str) {
        self.secrets.push(value.into());
    }

    /// The values that are masked.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Adds an error. The part of the message after its last `; ` becomes the help.
    pub(crate) fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let message = message.into();
        let (what, help) = in_two(&message);
        self.add(span, what, help);
    }

    pub(crate) fn error_with_help(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(span, &message.into(), Some(&help.into()));
    }

    /// Adds an error that has no place in the file, as a wrong environment variable.
    pub(crate) fn error_elsewhere(&mut self, message: impl Into<String>) {
        let message = message.into();
        let (what, help) = in_two(&message);
        let (severity, secrets) = (Severity::Error, &self.secrets);
        self.found.push((0, self.source.problem(severity, None, what, help, secrets)));
    }

    fn add(&mut self, span: &Range<usize>, message: &str, help: Option<&str>) {
        let (severity, secrets) = (Severity::Error, &self.secrets);
        let problem = self.source.problem(severity, Some(span), message, help, secrets);
        if self.found.iter().all(|(_, known)| *known != problem) {
            self.found.push((span.start, problem));
        }
    }

    /// Whether a problem begins within this range.
    pub(crate) fn any_within(&self, span: &Range<usize>) -> bool {
        self.found.iter().any(|(at, _)| span.contains(at))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All problems, in the order of the file.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(at, _)| *at);
        self.found.into_iter().map(|(_, problem)| problem).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_carets_match() {
        let source = Source { name: "appliance.toml", text: "a = 1\nä = \"ö\" # x\n" };
        let place = source.place(&(11..15));
        assert_eq!((place.line, place.column), (2, 5));
        assert_eq!(place.caret, 4..7);
    }

    #[test]
    fn a_range_past_the_end_does_not_panic() {
        let source = Source { name: "f", text: "a = 1" };
        assert_eq!(source.place(&(90..99)).line, 1);
        assert_eq!(Source { name: "f", text: "" }.place(&(0..1)).column, 1);
    }
}
