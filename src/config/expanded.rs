//! `appliance check --expanded`: what will run, as TOML with every default and preset written
//! out, and without a secret in it.

use std::fmt::Write;
use std::time::Duration;

use toml::{Table, Value};

use super::{
    Access, App, Color, Config, Constraints, Dial, EnvValue, Identity, Limits, Listen, LogFormat,
    Notify, Oidc, Probe, ProbeKind, Restart, Route, Rule, Run, Secret, SecretSource, Until,
    Upstream, mask,
};

impl Config {
    /// What will run. Ports that are not chosen yet are shown as `{port}`.
    pub fn expanded(&self) -> String {
        let mut page = Page { text: String::new(), secrets: &self.secrets };
        self.server(&mut page);
        page.table("log");
        page.key(
            "format",
            match self.log.format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            },
        );
        page.key("level", self.log.level.as_str());
        page.key("access", self.log.access);
        page.key(
            "color",
            match self.log.color {
                Color::Auto => "auto",
                Color::Always => "always",
                Color::Never => "never",
            },
        );
        if let Some(oidc) = &self.oidc {
            show_oidc(oidc, &mut page);
        }
        page.table("session");
        page.key("lifetime", duration(self.session.lifetime));
        page.key("idle", duration(self.session.idle.unwrap_or_default()));
        page.key("cookie", self.session.cookie.as_str());
        page.key("keys", secret(&self.session.keys));
        page.key("recheck", duration(self.session.recheck));
        for app in &self.apps {
            show_app(app, &mut page);
        }
        page.text
    }

    fn server(&self, page: &mut Page<'_>) {
        let server = &self.server;
        page.table("server");
        page.key(
            "listen",
            list(&server.listen, |listen| match listen {
                Listen::Tcp(address) => address.to_string(),
                Listen::Unix(path) => format!("unix:{}", path.display()),
            }),
        );
        page.key("public_url", server.public_url.to_string());
        page.key("state_dir", server.state_dir.display().to_string());
        page.key("trusted_proxies", list(&server.trusted_proxies, ToString::to_string));
        page.key("max_header_bytes", format!("{}B", server.max_header_bytes));
        page.key("header_timeout", duration(server.header_timeout));
        page.key("idle_timeout", duration(server.idle_timeout));
        page.key("body_timeout", duration(server.body_timeout));
        page.key("shutdown_timeout", duration(server.shutdown_timeout));
        page.some("operators", server.operators.as_ref().map(access));
        page.some("title", server.title.clone());
        page.some("logo", server.logo.clone());
        page.some("contact", server.contact.clone());
    }
}

/// TOML that grows line by line, each line without secrets.
struct Page<'c> {
    text: String,
    secrets: &'c [Secret],
}

impl Page<'_> {
    fn table(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "[{name}]");
    }

    fn key(&mut self, key: &str, value: impl Into<Value>) {
        let line = format!("{key} = {}", self.without_secrets(value.into()));
        let _ = writeln!(self.text, "{}", mask::text(&line));
    }

    fn without_secrets(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(mask::without(&text, self.secrets)),
            Value::Array(items) => {
                let items = items.into_iter().map(|item| self.without_secrets(item));
                Value::Array(items.collect())
            }
            Value::Table(table) => Value::Table(
                table.into_iter().map(|(key, value)| (key, self.without_secrets(value))).collect(),
            ),
            other => other,
        }
    }

    fn some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.key(key, value);
        }
    }

    /// For what no key of the file says.
    fn note(&mut self, text: &str) {
        let _ = writeln!(self.text, "# {text}");
    }
}

fn show_oidc(oidc: &Oidc, page: &mut Page<'_>) {
    page.table("oidc");
    page.key("issuer", oidc.issuer.as_str());
    page.some("served_by", oidc.served_by.as_ref().map(ToString::to_string));
    page.key("client_id", oidc.client_id.as_str());
    page.key("client_secret", secret(&oidc.client_secret));
    page.key("scopes", oidc.scopes.clone());
    page.key("user_claim", oidc.user_claim.as_str());
    page.key("email_claim", oidc.email_claim.as_str());
    page.key("groups_claim", oidc.groups_claim.as_str());
    page.key("roles_claim", oidc.roles_claim.as_str());
    page.key("require_verified_email", oidc.require_verified_email);
    page.key("clock_skew", duration(oidc.clock_skew));
    page.some("ca_file", oidc.ca_file.as_ref().map(|path| path.display().to_string()));
    if !oidc.login_params.is_empty() {
        let params = oidc.login_params.iter().map(|(name, value)| (name.clone(), value.as_str()));
        page.key("login_params", table(params));
    }
}

fn show_app(app: &App, page: &mut Page<'_>) {
    page.table(&format!("apps.{}", app.name));
    if let Some(run) = &app.run {
        show_run(run, app, page);
    }
    if let Some(route) = &app.route {
        show_route(route, page);
    }
    if !app.after.is_empty() {
        let after = app.after.iter().map(|after| {
            let until = match after.until {
                Until::Started => "started",
                Until::Ready => "ready",
                Until::Finished => "finished",
            };
            table([
                ("app".to_owned(), after.app.to_string()),
                ("until".to_owned(), until.to_owned()),
            ])
        });
        page.key("after", after.collect::<Vec<_>>());
    }
    page.some("ready", app.ready.as_ref().map(|ready| probe(ready, None)));
    page.some("live", app.live.as_ref().map(|live| probe(live, Some(app.live_failures))));
    page.key("critical", app.critical);
    page.some("title", app.title.clone());
    page.some("icon", app.icon.clone());
    page.some("description", app.description.clone());
    page.key("hidden", app.hidden);
}

fn show_run(run: &Run, app: &App, page: &mut Page<'_>) {
    page.key("command", list(&run.command, |part| shortened(part)));
    match app.port {
        Some(port) => page.key("port", i64::from(port)),
        None => page.note("port: a free one is chosen at the start"),
    }
    page.key("cwd", run.cwd.display().to_string());
    page.some("user", run.user.clone());
    page.some("group", run.group.clone());
    page.some("umask", run.umask.map(|mask| format!("{mask:03o}")));
    for (name, value) in &run.env {
        let shown = match value {
            EnvValue::Plain(text) => Value::from(text.as_str()),
            EnvValue::Secret(source) => secret(source),
        };
        page.key(&format!("env.{name}"), shown);
    }
    page.some("env_file", run.env_file.as_ref().map(|path| path.display().to_string()));
    if !run.pass_env.is_empty() {
        page.key("pass_env", run.pass_env.clone());
    }
    page.some("limits", limits(&run.limits));
    page.key("no_new_privs", run.no_new_privs);
    page.key("log", run.log);
    for setup in &run.setup {
        page.key("setup.run", list(&setup.run, |part| shortened(part)));
        page.key("setup.creates", setup.creates.display().to_string());
        for (name, value) in &setup.env {
            page.key(&format!("setup.env.{name}"), value.as_str());
        }
    }
    page.key(
        "restart",
        match app.restart {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::Never => "never",
        },
    );
    let pauses = [("min", app.backoff.min), ("max", app.backoff.max)];
    page.key("backoff", table(pauses.map(|(key, pause)| (key.to_owned(), duration(pause)))));
    page.key("max_restarts", i64::from(app.max_restarts));
    page.key("window", duration(app.window));
    let codes = app.success_exit_codes.iter().map(|code| Value::from(i64::from(*code)));
    page.key("success_exit_codes", codes.collect::<Vec<_>>());
    page.key("oneshot", app.oneshot);
    page.key("stop_signal", app.stop.signal.as_str().trim_start_matches("SIG"));
    page.key("stop_timeout", duration(app.stop.timeout));
}

fn show_route(route: &Route, page: &mut Page<'_>) {
    page.key("path", route.path.as_str());
    page.some("host", route.host.clone());
    page.key("strip_prefix", route.strip_prefix);
    page.key("upstream", list(&route.upstreams, upstream));
    page.key("access", access(&route.access));
    page.some("deny", route.deny.as_ref().map(constraints));
    if !route.rules.is_empty() {
        page.key("rules", route.rules.iter().map(rule).collect::<Vec<_>>());
    }
    page.key("api", route.api);
    page.key("identity", route.identity.as_ref().map_or(Value::Boolean(false), identity));
    page.some("max_body", route.max_body.map(|bytes| format!("{bytes}B")));
    page.key("timeout", duration(route.timeout));
    if !route.origins.is_empty() {
        page.key("origins", route.origins.clone());
    }
    if !route.exposed.is_empty() {
        page.note(&format!("reachable from outside, below its path: {}", route.exposed.join(" ")));
    }
    if !route.hidden_paths.is_empty() {
        page.note(&format!("never reachable from outside: {}", route.hidden_paths.join(" ")));
    }
}

/// The scripts of presets would hide everything else.
fn shortened(argument: &str) -> String {
    match argument.lines().next() {
        Some(first) if argument.lines().count() > 8 => format!("{first} … (shortened)"),
        _ => argument.to_owned(),
    }
}

fn table(entries: impl IntoIterator<Item = (String, impl Into<Value>)>) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key, value.into())).collect())
}

fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> Vec<String> {
    items.iter().map(text).collect()
}

fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn secret(source: &SecretSource) -> Value {
    let (key, value) = match source {
        SecretSource::Env(name) => ("env", name.clone()),
        SecretSource::File(path) => ("file", path.display().to_string()),
        SecretSource::Generate(name) => ("generate", name.clone()),
    };
    table([(key.to_owned(), value)])
}

fn upstream(upstream: &Upstream) -> String {
    let scheme = if upstream.tls { "https" } else { "http" };
    match &upstream.dial {
        Dial::Unix(path) => format!("unix:{}", path.display()),
        Dial::Tcp(host, 0) => format!("{scheme}://{host}:{{port}}"),
        Dial::Tcp(host, port) if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
        Dial::Tcp(host, port) => format!("{scheme}://{host}:{port}"),
    }
}

fn access(access: &Access) -> Value {
    match access {
        Access::Public => "public".into(),
        Access::SignedIn => "signed-in".into(),
        Access::Only(only) => constraints(only),
    }
}

fn constraints(only: &Constraints) -> Value {
    let lists = [
        ("groups", &only.groups),
        ("roles", &only.roles),
        ("emails", &only.emails),
        ("email_domains", &only.email_domains),
    ];
    let mut shown: Table = lists
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(key, values)| (key.to_owned(), values.clone().into()))
        .collect();
    if !only.claims.is_empty() {
        shown.insert("claims".to_owned(), table(only.claims.clone()));
    }
    Value::Table(shown)
}

fn rule(rule: &Rule) -> Value {
    let mut shown = Table::new();
    shown.insert("path".to_owned(), rule.path.text.clone().into());
    if !rule.methods.is_empty() {
        shown.insert("methods".to_owned(), rule.methods.clone().into());
    }
    shown.insert("access".to_owned(), access(&rule.access));
    shown.insert("api".to_owned(), rule.api.into());
    Value::Table(shown)
}

fn identity(identity: &Identity) -> Value {
    let headers = [
        ("user", &identity.user),
        ("email", &identity.email),
        ("groups", &identity.groups),
        ("preferred_username", &identity.preferred_username),
        ("name", &identity.name),
        ("access_token", &identity.access_token),
        ("assertion", &identity.assertion),
    ];
    table(headers.into_iter().filter_map(|(key, name)| Some((key.to_owned(), name.clone()?))))
}

fn probe(probe: &Probe, failures: Option<u32>) -> Value {
    let (key, value): (&str, Value) = match &probe.kind {
        ProbeKind::Http { path, .. } => ("http", path.as_str().into()),
        ProbeKind::Tcp(_) => ("tcp", true.into()),
        ProbeKind::Exec(argv) => ("exec", argv.clone().into()),
        ProbeKind::Log(expression) => ("log", expression.as_str().into()),
        ProbeKind::Notify(Notify::Fd) => ("notify", "fd".into()),
        ProbeKind::Notify(Notify::Systemd) => ("notify", "systemd".into()),
    };
    let mut shown = Table::new();
    shown.insert(key.to_owned(), value);
    if let ProbeKind::Http { status, .. } = &probe.kind {
        shown.insert("status".to_owned(), i64::from(*status).into());
    }
    shown.insert("interval".to_owned(), duration(probe.interval).into());
    shown.insert("timeout".to_owned(), duration(probe.timeout).into());
    shown.insert("deadline".to_owned(), duration(probe.deadline).into());
    if let Some(failures) = failures {
        shown.insert("failures".to_owned(), i64::from(failures).into());
    }
    Value::Table(shown)
}

fn limits(limits: &Limits) -> Option<Value> {
    let all = [
        ("nofile", limits.nofile),
        ("core", limits.core),
        ("nproc", limits.nproc),
        ("as", limits.address_space),
        ("fsize", limits.file_size),
    ];
    let shown: Table = all
        .into_iter()
        .filter_map(|(key, limit)| {
            let limit = limit?;
            // What TOML's numbers cannot hold is no limit.
            let value = i64::try_from(limit).map_or_else(|_| "unlimited".into(), Value::Integer);
            Some((key.to_owned(), value))
        })
        .collect();
    (!shown.is_empty()).then_some(Value::Table(shown))
}
