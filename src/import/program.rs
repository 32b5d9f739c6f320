//! A program that a source starts, before it is joined with the routes that lead to it.

use super::command::{Kind, base};
use super::draft::Table;
use super::value::PORT;

/// One process of a source.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// File and section.
    pub(super) place: String,
    /// A valid name of an app.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The words of its command, before secrets are taken out.
    pub(super) argv: Vec<String>,
    /// Its variables, before secrets are taken out.
    pub(super) env: Vec<(String, String)>,
    /// All settings except the command, `env` and the route.
    pub(super) table: Table,
    /// A smaller number starts earlier.
    pub(super) priority: i64,
    /// `false`: it starts by a command only.
    pub(super) autostart: bool,
    /// It waited this long before it began.
    pub(super) slept: Option<String>,
}

impl Program {
    /// Whether its command or variables name this port.
    pub(super) fn names_port(&self, port: u16) -> bool {
        let words = self.argv.iter().chain(self.env.iter().map(|(_, value)| value));
        let port = port.to_string();
        words.into_iter().any(|word| has_number(word, &port))
    }

    /// Its command and variables with `{port}` in place of this port.
    pub(super) fn with_port_placeholder(&self, port: u16) -> (Vec<String>, Vec<(String, String)>) {
        let digits = port.to_string();
        let replaced = |text: &String| {
            if has_number(text, &digits) {
                text.replace(&digits, &PORT.to_string())
            } else {
                text.clone()
            }
        };
        let argv = self.argv.iter().map(replaced).collect();
        let env = self.env.iter().map(|(name, value)| (name.clone(), replaced(value))).collect();
        (argv, env)
    }

    /// The port that the program listens on: as its command says, or the one of its kind.
    pub(super) fn port(&self) -> Option<u16> {
        let flags = ["--http-port", "--server.port", "--port", "--bind", "-p", "-b"];
        let mut words = self.argv.iter();
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (word.as_str(), words.as_slice().first().map(String::as_str)),
            };
            let value = value.filter(|_| flags.contains(&flag));
            let value = value.map(|value| value.rsplit(':').next().unwrap_or(value));
            if let Some(port) = value.and_then(|value| value.parse().ok()) {
                return Some(port);
            }
        }
        let names = ["KC_HTTP_PORT", "STREAMLIT_SERVER_PORT", "PORT"];
        let set = self.env.iter().find(|(name, _)| names.contains(&name.as_str()));
        set.and_then(|(_, value)| value.parse().ok()).or_else(|| self.default_port())
    }

    fn default_port(&self) -> Option<u16> {
        let program = self.argv.first().map(|word| base(word))?;
        match (&self.kind, program) {
            (Kind::Keycloak, _) => Some(8080),
            (Kind::Streamlit(_), _) | (_, "streamlit") => Some(8501),
            (_, "uvicorn" | "gunicorn" | "hypercorn" | "daphne") => Some(8000),
            (_, "flask") => Some(5000),
            _ => None,
        }
    }
}

/// Whether the digits stand in the text, and are no part of a longer number.
fn has_number(text: &str, digits: &str) -> bool {
    text.match_indices(digits).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + digits.len()..].chars().next();
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || c == '.');
        !is_part(before) && !is_part(after)
    })
}

/// Names of apps that are taken.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// A valid name that no other app has, as close to the wanted one as possible.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let valid = valid(wanted);
        let more = (2..).map(|number| format!("{valid}-{number}"));
        let is_free = |name: &String| !self.0.contains(name);
        let name = std::iter::once(valid.clone()).chain(more).find(is_free).unwrap_or(valid);
        self.0.push(name.clone());
        name
    }
}

/// `[a-z][a-z0-9-]*`, and no name of the appliance's own.
fn valid(wanted: &str) -> String {
    let small = wanted.to_ascii_lowercase();
    let parts = small.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let name = parts.collect::<Vec<_>>().join("-");
    let is_bad = !name.starts_with(|c: char| c.is_ascii_lowercase())
        || crate::config::reserved::why_no_app(&name).is_some();
    if is_bad { format!("app-{name}").trim_end_matches('-').to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_valid_and_stay_different() {
        let mut names = Names::default();
        for (wanted, name) in [
            ("web", "web"),
            ("Web", "web-2"),
            ("Keycloak_Server", "keycloak-server"),
            ("8ball", "app-8ball"),
            ("root", "app-root"),
            ("__", "app"),
            ("münchen", "m-nchen"),
        ] {
            assert_eq!(names.take(wanted), name);
        }
    }

    #[test]
    fn a_port_is_a_whole_number() {
        for (text, found) in [
            ("--port=8501", true),
            ("0.0.0.0:8501", true),
            ("18501", false),
            ("85010", false),
            ("8501.5", false),
        ] {
            assert_eq!(has_number(text, "8501"), found, "{text}");
        }
    }
}
