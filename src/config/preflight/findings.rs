//! What prevents a start on this machine, with its place in the file.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::machine;
use crate::config::model::{App, Config, EnvValue, Restart, Run, Secret, SecretSource, Until};
use crate::config::report::problem::{Problem, Severity, Source, in_two};

impl Config {
    /// Finds what prevents a start on this machine, in the order of the file. Must run before
    /// [`Self::assign_ports`], after which a chosen port looks like a port from the file.
    pub fn preflight(&self) -> Vec<Problem> {
        let text = self.text();
        let name = self.path.display().to_string();
        let mut found = Findings::new(Source { name: &name, text: &text }, self);
        if let Some(oidc) = &self.oidc {
            found.secret(&["oidc", "client_secret"], &oidc.client_secret);
            if let Some(path) = &oidc.ca_file {
                found.readable(&["oidc", "ca_file"], path);
            }
        }
        found.secret(&["session", "keys"], &self.session.keys);
        for app in &self.apps {
            if let Some(run) = &app.run {
                found.app(app, run);
            }
            found.never_finishes(app, &self.apps);
        }
        found.problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.line));
        found.problems
    }

    /// A problem with a setting that shows only when the setting is used. The part of `why` after
    /// its last `; ` becomes the help.
    pub fn problem_with(&self, key: &[&str], why: &str) -> Problem {
        let text = self.text();
        let name = self.path.display().to_string();
        let found = Findings::new(Source { name: &name, text: &text }, self);
        let (message, help) = in_two(why);
        found.problem(Severity::Error, key, message, help)
    }

    /// Text of the file, used only to show places. A pipe cannot be read a second time, and reading
    /// it would block.
    fn text(&self) -> String {
        let read = self.path.is_file().then(|| std::fs::read_to_string(&self.path));
        read.and_then(Result::ok).unwrap_or_default()
    }
}

struct Findings<'f> {
    source: Source<'f>,
    /// The parsed document, used only for places, which the model does not contain.
    document: DeTable<'f>,
    state_dir: &'f Path,
    secrets: &'f [Secret],
    problems: Vec<Problem>,
}

impl<'f> Findings<'f> {
    fn new(source: Source<'f>, config: &'f Config) -> Self {
        let document = DeTable::parse_recoverable(source.text).0.into_inner();
        let (state_dir, secrets) = (&config.server.state_dir, &config.secrets);
        Self { source, document, state_dir, secrets, problems: Vec::new() }
    }

    fn app(&mut self, app: &App, run: &Run) {
        let name = app.name.as_str();
        let at = |key| ["apps", name, key];
        for (variable, value) in &run.env {
            if let EnvValue::Secret(source) = value {
                self.secret(&["apps", name, "env", variable], source);
            }
        }
        if let Some(path) = &run.env_file {
            self.readable(&at("env_file"), path);
        }
        if let Some(user) = &run.user {
            self.error(&at("user"), machine::user(user));
        }
        if let Some(group) = &run.group {
            self.error(&at("group"), machine::group(group));
        }
        if let Some(port) = app.port {
            self.error(&at("port"), machine::port(port).map_err(|why| format!("`{name}`: {why}")));
        }
        if let Err(why) = machine::folder(&run.cwd) {
            self.add(Severity::Warning, &at("cwd"), &format!("`{name}` cannot start: {why}"), None);
        }
        // The setup may still have to create the program.
        if run.setup.iter().all(|setup| setup.creates.exists())
            && let Some(program) = run.command.first()
            && let Err(why) = machine::program(program, run)
        {
            self.add(
                Severity::Warning,
                &at("command"),
                &format!("`{name}` cannot start: {why}"),
                None,
            );
        }
    }

    /// What never finishes is waited for in vain.
    fn never_finishes(&mut self, app: &App, apps: &[App]) {
        for after in app.after.iter().filter(|after| after.until == Until::Finished) {
            let need = apps.iter().find(|need| need.name == after.app);
            let is_endless =
                |need: &App| need.run.is_some() && need.restart == Restart::Always && !need.oneshot;
            if need.is_some_and(is_endless) {
                let (name, need) = (&app.name, &after.app);
                let why = format!(
                    "`{name}` waits until `{need}` has finished, but `{need}` is always restarted; \
                     set `oneshot = true` or `restart = \"on-failure\"` in [apps.{need}]"
                );
                let key = ["apps", name.as_str(), "after"];
                self.add(Severity::Warning, &key, &why, None);
            }
        }
    }

    fn secret(&mut self, key: &[&str], source: &SecretSource) {
        // A generated secret is created when it is needed.
        let help = match source {
            SecretSource::Env(_) => "set the variable in the environment of the appliance",
            SecretSource::File(_) => {
                "create the file with the secret, readable for the appliance's user"
            }
            SecretSource::Generate(_) => return,
        };
        if let Err(why) = source.resolve(self.state_dir) {
            let what = key.join(".");
            self.add(Severity::Error, key, &format!("{what}: {why}"), Some(help));
        }
    }

    fn readable(&mut self, key: &[&str], path: &Path) {
        let read = std::fs::read(path).map(drop);
        self.error(
            key,
            read.map_err(|error| {
                format!(
                    "{} cannot be read: {error}; write the path of a readable file",
                    path.display()
                )
            }),
        );
    }

    fn error(&mut self, key: &[&str], result: Result<(), String>) {
        if let Err(why) = result {
            let (message, help) = in_two(&why);
            self.add(Severity::Error, key, message, help);
        }
    }

    fn add(&mut self, severity: Severity, key: &[&str], message: &str, help: Option<&str>) {
        let problem = self.problem(severity, key, message, help);
        self.problems.push(problem);
    }

    fn problem(
        &self,
        severity: Severity,
        key: &[&str],
        message: &str,
        help: Option<&str>,
    ) -> Problem {
        let span = span_of(&self.document, key);
        self.source.problem(severity, span.as_ref(), message, help, self.secrets)
    }
}

/// The place of a key's value, or of the nearest table around it that is in the file.
fn span_of(document: &DeTable<'_>, key: &[&str]) -> Option<std::ops::Range<usize>> {
    let (first, rest) = key.split_first()?;
    let (name, value) = document.get_key_value(*first)?;
    match value.get_ref() {
        DeValue::Table(table) if !rest.is_empty() => {
            span_of(table, rest).or_else(|| Some(name.span()))
        }
        _ => Some(value.span()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preflight(text: &str) -> Vec<Problem> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("appliance.toml");
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"));
        config.preflight()
    }

    #[test]
    fn missing_things_are_found_with_their_place() {
        let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = busy.local_addr().unwrap().port();
        let found = preflight(&format!(
            r#"[oidc]
issuer = "https://id.example.org"
client_id = "a"
client_secret = {{ env = "NOT_SET_AT_ALL" }}
[apps.a]
command = ["/no/such/program"]
cwd = "/no/such/folder"
port = {port}
env = {{ KEY = {{ file = "/no/such/secret" }} }}
user = "nobody-of-that-name"
[apps.b]
command = ["sh"]
"#
        ));
        let seen: Vec<(usize, bool, &str)> = found
            .iter()
            .map(|problem| {
                (problem.place.as_ref().unwrap().line, problem.is_error(), &*problem.message)
            })
            .collect();
        let expected = [
            (4, true, "NOT_SET_AT_ALL"),
            (6, false, "/no/such/program"),
            (7, false, "/no/such/folder"),
            (8, true, "already"),
            (9, true, "/no/such/secret"),
            (10, true, "nobody-of-that-name"),
        ];
        assert_eq!(seen.len(), expected.len(), "{seen:?}");
        for ((line, is_error, message), (at, error, word)) in seen.iter().zip(expected) {
            assert_eq!((*line, *is_error), (at, error), "{message}");
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn a_user_may_be_a_number() {
        let found =
            preflight("[apps.a]\ncommand = [\"sh\"]\nuser = \"424242\"\ngroup = \"424242\"\n");
        let not_root = "only root can run an app";
        let is_root = nix::unistd::geteuid().is_root();
        assert!(found.iter().all(|problem| problem.message.starts_with(not_root)), "{found:?}");
        assert_eq!(found.is_empty(), is_root);
    }

    #[test]
    fn waiting_for_an_app_that_never_finishes_is_found() {
        let after = |more: &str| {
            let after = "after = [{ app = \"a\", until = \"finished\" }]";
            preflight(&format!(
                "[apps.a]\ncommand = [\"sh\"]\n{more}\n[apps.b]\ncommand = [\"sh\"]\n{after}\n"
            ))
        };
        assert_eq!((after("oneshot = true").len(), after("restart = \"never\"").len()), (0, 0));
        let found = after("");
        assert!(matches!(&found[..], [one] if !one.is_error()), "{found:?}");
        assert!(found[0].message.starts_with("`b` waits until `a` has finished"), "{found:?}");
        assert_eq!(found[0].place.as_ref().unwrap().line, 6);
    }

    #[test]
    fn a_program_that_the_setup_creates_is_not_missing() {
        let found = preflight(
            "[apps.a]\ncommand = [\"/no/such\"]\nsetup = { run = [\"x\"], creates = \"/no/such\" }\n",
        );
        assert!(found.is_empty(), "{found:?}");
    }
}
