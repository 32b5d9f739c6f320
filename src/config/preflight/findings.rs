//! What prevents a start, or an app from working, with its place in the file.

use std::net::SocketAddr;
use std::path::Path;

use toml::de::DeTable;

use super::machine;
use super::place::{is_written, span_of, span_of_item, span_of_text};
use super::ports::given_ports;
use super::site;
use crate::config::model::{
    App, AppName, Config, EnvValue, Listen, Restart, Run, Secret, SecretError, SecretSource,
    StaticFiles, Until,
};
use crate::config::ownership::account::Account;
use crate::config::ownership::app_file;
use crate::config::ownership::operator_file;
use crate::config::report::problem::{Problem, Severity, Source, in_two};

impl Config {
    /// Finds what prevents a start on this machine, in the order of the file. Must run before
    /// [`Self::assign_ports`], after which a chosen port looks like a port from the file.
    pub fn preflight(&self) -> Vec<Problem> {
        // A start says itself that an address is taken when it binds the addresses.
        self.problems(&Scope { ports: &|_, _| true, listen: false, at_start: true, begun: &[] })
    }

    /// Finds what prevents that this configuration follows `running`, in the order of the file. What
    /// would make the start of an app of `begun` fail is an error: no process is stopped for a
    /// successor that cannot start. Must run before [`Self::assign_ports_after`].
    /// An app of `ending` waits for its own earlier process to leave the port.
    pub fn preflight_after(
        &self,
        running: &Self,
        begun: &[AppName],
        ending: &[AppName],
    ) -> Vec<Problem> {
        let is_held = |app: &App, port: u16| {
            ending.iter().any(|name| name.app() == app.name.as_str())
                || running.processes().any(|other| other.port == Some(port))
        };
        let ports = |app: &App, port: u16| begun.contains(&app.name) && !is_held(app, port);
        self.problems(&Scope { ports: &ports, listen: false, at_start: true, begun })
    }

    /// The same as warnings, for `appliance check`. A port that is taken is not one while the
    /// appliance `is_running`, because its apps take the ports.
    pub fn warnings(&self, is_running: bool) -> Vec<Problem> {
        let free = !is_running;
        let scope = Scope { ports: &|_, _| free, listen: free, at_start: false, begun: &[] };
        let problems = self.problems(&scope).into_iter();
        problems.map(|problem| Problem { severity: Severity::Warning, ..problem }).collect()
    }

    fn problems(&self, scope: &Scope<'_>) -> Vec<Problem> {
        let text = self.text();
        let name = self.path.display().to_string();
        let mut found = Findings::new(Source { name: &name, text: &text }, self);
        if let Some(oidc) = &self.oidc {
            found.secret(&["oidc", "client_secret"], &oidc.client_secret);
            if let Some(path) = &oidc.ca_file {
                found.readable(&["oidc", "ca_file"], path, operator_file::read(path));
            }
        }
        found.secret(&["session", "keys"], &self.session.keys);
        if let Some(alerts) = &self.alerts {
            found.secret(&["alerts", "webhook"], &alerts.webhook);
        }
        found.exposed(self);
        found.files_of_apps(self);
        for app in &self.apps {
            let before = found.problems.len();
            if let Some(run) = &app.run {
                found.app(app, run);
            }
            if let Some(files) = app.route.as_ref().and_then(|route| route.files.as_ref()) {
                found.site(app, files, &self.dir);
            }
            for port in given_ports(app).filter(|port| (scope.ports)(app, *port)) {
                let name = app.name.as_str();
                found.no_start(&["apps", name, "port"], name, machine::port(port));
            }
            if scope.begun.contains(&app.name) {
                let own = found.problems.iter_mut().skip(before);
                own.for_each(|problem| problem.severity = Severity::Error);
            }
            found.never_finishes(app, &self.apps);
        }
        if scope.listen {
            found.listen("listen", self.server.listen.iter().filter_map(Listen::tcp));
            found.listen("redirect_http", self.server.redirect_http);
        }
        found.realm(self, scope.at_start);
        found.github(self);
        found.problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.line));
        found.problems
    }

    /// A problem with a setting that shows only when the setting is used. The part of `why` after
    /// its last `; ` becomes the help.
    pub fn problem_with(&self, key: &[&str], why: &str) -> Problem {
        self.problem_at(Severity::Error, key, why)
    }

    /// The same as a warning.
    pub fn warning_about(&self, key: &[&str], why: &str) -> Problem {
        self.problem_at(Severity::Warning, key, why)
    }

    fn problem_at(&self, severity: Severity, key: &[&str], why: &str) -> Problem {
        let text = self.text();
        let name = self.path.display().to_string();
        let found = Findings::new(Source { name: &name, text: &text }, self);
        let (message, help) = in_two(why);
        found.problem(severity, key, message, help)
    }

    /// The line of the value of a key that is written in the file. A number in the key counts the items
    /// of a list from 0.
    pub fn line_of(&self, key: &[&str]) -> Option<usize> {
        let text = self.text();
        let document = DeTable::parse_recoverable(&text).0.into_inner();
        let span = span_of_item(&document, key)?;
        Some(Source { name: "", text: &text }.place(&span).line)
    }

    /// Text of the file, used only to show places. A pipe cannot be read a second time, and reading
    /// it would block.
    fn text(&self) -> String {
        if let Some(folder) = &self.apps_folder {
            return folder.text();
        }
        let read = self.path.is_file().then(|| operator_file::read(&self.path));
        let text = read.and_then(Result::ok).map(String::from_utf8);
        text.and_then(Result::ok).unwrap_or_default()
    }
}

/// What is asked.
struct Scope<'s> {
    /// The ports of an app that must be free.
    ports: &'s dyn Fn(&App, u16) -> bool,
    /// The addresses of `listen` must be free.
    listen: bool,
    at_start: bool,
    /// Apps for which every problem is an error.
    begun: &'s [AppName],
}

pub(super) struct Findings<'f> {
    source: Source<'f>,
    /// The parsed document, used only for places, which the model does not contain.
    document: DeTable<'f>,
    state_dir: &'f Path,
    secrets: &'f [Secret],
    /// The secret that a keycloak preset passes on to its Keycloak.
    client_secret: Option<&'f SecretSource>,
    problems: Vec<Problem>,
}

impl<'f> Findings<'f> {
    fn new(source: Source<'f>, config: &'f Config) -> Self {
        let document = DeTable::parse_recoverable(source.text).0.into_inner();
        let (state_dir, secrets) = (&config.server.state_dir, &config.secrets);
        let client_secret = config.oidc.as_ref().map(|oidc| &oidc.client_secret);
        Self { source, document, state_dir, secrets, client_secret, problems: Vec::new() }
    }

    fn app(&mut self, app: &App, run: &Run) {
        let name = app.name.as_str();
        let at = |key| ["apps", name, key];
        // An unknown user is reported below.
        let account = run.account().ok().flatten();
        let account = account.as_ref();
        for (variable, value) in &run.env {
            let EnvValue::Secret(source) = value else { continue };
            let key = ["apps", name, "env", variable];
            if self.is_written(&key) {
                self.secret_for(account, &key, source);
            } else {
                self.passed_on(account, source);
            }
        }
        if let Some(path) = &run.env_file {
            let read = app_file::read(path, account, None);
            if app_file::belongs_to_app(path, account) {
                let why = |error| format!("{} cannot be read: {error}", path.display());
                self.no_start(&at("env_file"), name, read.map(drop).map_err(why));
            } else {
                self.readable(&at("env_file"), path, read);
            }
        }
        self.error(&["apps", name], machine::own_user(run));
        if let Some(user) = &run.user {
            self.error(&at("user"), machine::user(user));
        }
        if let Some(group) = &run.group {
            self.error(&at("group"), machine::group(group));
        }
        let folder = machine::folder(&run.cwd, account);
        // A file in a folder that the user cannot reach would be the same warning again.
        let reader = account.filter(|_| folder.is_ok());
        self.no_start(&at("cwd"), name, folder);
        for need in &run.needs {
            let [preset, key] = need.key;
            let key = ["apps", name, preset, key];
            self.no_start(&key, name, machine::needed(need, run, reader));
        }
        for setup in run.setup.iter().filter(|setup| setup.creates.exists()) {
            self.no_start(&at("user"), name, machine::reachable(&setup.creates, account));
        }
        // The setup may still have to create the program.
        if run.setup.iter().all(|setup| setup.creates.exists())
            && let Some(program) = run.command.first()
        {
            self.no_start(&at("command"), name, machine::program(program, run));
        }
    }

    /// Warns of a folder that cannot be served, or has no first page.
    fn site(&mut self, app: &App, files: &StaticFiles, dir: &Path) {
        let name = app.name.as_str();
        if let Err(why) = site::check(files, dir) {
            let (what, help) = in_two(&why);
            let message = format!("`{name}` has no files to serve: {what}");
            let key = ["apps", name, "static", "folder"];
            self.add(Severity::Warning, &key, &message, help);
        }
    }

    fn listen(&mut self, key: &str, addresses: impl IntoIterator<Item = SocketAddr>) {
        for address in addresses {
            if let Err(why) = machine::listen(address) {
                let (what, help) = in_two(&why);
                self.add(Severity::Warning, &["server", key], what, help);
            }
        }
    }

    /// Warns that the app cannot start. The part of the reason after its last `; ` becomes the help.
    fn no_start(&mut self, key: &[&str], name: &str, result: Result<(), String>) {
        if let Err(why) = result {
            let (what, help) = in_two(&why);
            let message = format!("`{name}` cannot start: {what}");
            self.add(Severity::Warning, key, &message, help);
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
        self.secret_read(None, key, source, |state_dir| source.resolve(state_dir));
    }

    /// A secret that a preset passes on: reported where the user has written the secret. A source
    /// that is missing for the appliance itself has already been reported there.
    fn passed_on(&mut self, account: Option<&Account>, source: &SecretSource) {
        if matches!(source, SecretSource::Generate(_)) || self.client_secret != Some(source) {
            return;
        }
        if source.resolve(self.state_dir).is_ok() {
            self.secret_for(account, &["oidc", "client_secret"], source);
        }
    }

    fn secret_for(&mut self, account: Option<&Account>, key: &[&str], source: &SecretSource) {
        self.secret_read(account, key, source, |state_dir| {
            source.resolve_for(account, state_dir, None)
        });
    }

    fn secret_read(
        &mut self,
        account: Option<&Account>,
        key: &[&str],
        source: &SecretSource,
        read: impl FnOnce(&Path) -> Result<Secret, SecretError>,
    ) {
        // A generated secret is created when it is needed.
        let help = match source {
            SecretSource::Env(_) => "set the variable in the environment of the appliance",
            SecretSource::File(_) => {
                "create the file with the secret, readable for the appliance's user"
            }
            SecretSource::Generate(_) => return,
        };
        if let Err(why) = read(self.state_dir) {
            let why = format!("{}: {why}", key.join("."));
            // Some errors contain their own help.
            let (what, own_help) = in_two(&why);
            let is_of_app = |path| app_file::belongs_to_app(path, account);
            let severity = match source {
                SecretSource::File(path) if is_of_app(path) => Severity::Warning,
                _ => Severity::Error,
            };
            self.add(severity, key, what, own_help.or(Some(help)));
        }
    }

    fn readable<T>(&mut self, key: &[&str], path: &Path, read: std::io::Result<T>) {
        if let Err(error) = read {
            let why = format!("{} cannot be read: {error}", path.display());
            let (what, own_help) = in_two(&why);
            let help = own_help.unwrap_or("write the path of a readable file");
            self.add(Severity::Error, key, what, Some(help));
        }
    }

    fn error(&mut self, key: &[&str], result: Result<(), String>) {
        if let Err(why) = result {
            let (message, help) = in_two(&why);
            self.add(Severity::Error, key, message, help);
        }
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        key: &[&str],
        message: &str,
        help: Option<&str>,
    ) {
        let problem = self.problem(severity, key, message, help);
        self.push(problem);
    }

    /// Adds a warning at a text below a key, if the text is written there; otherwise at the key.
    pub(super) fn warn_at_text(&mut self, key: &[&str], text: &str, message: &str, help: &str) {
        let span = span_of_text(&self.document, key, text);
        let (severity, secrets) = (Severity::Warning, self.secrets);
        self.push(self.source.problem(severity, span.as_ref(), message, Some(help), secrets));
    }

    pub(super) fn is_written(&self, key: &[&str]) -> bool {
        is_written(&self.document, key)
    }

    fn push(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
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

#[cfg(test)]
#[path = "../../../tests/unit/config/preflight/findings.rs"]
mod tests;
