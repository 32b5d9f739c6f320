//! Values of the model as TOML values.

use std::time::Duration;

use toml::{Table, Value};

use crate::config::model::{
    Access, CertificateFiles, Constraints, Dial, Identity, Limits, Notify, Probe, ProbeKind,
    RateLimit, Rule, SecretSource, StaticFiles, Tls, Upstream,
};

/// A long script is shortened, so that the other settings stay visible.
pub(super) fn shortened(argument: &str) -> String {
    match argument.lines().next() {
        Some(first) if argument.lines().count() > 8 => format!("{first} … (shortened)"),
        _ => argument.to_owned(),
    }
}

pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn table(entries: impl IntoIterator<Item = (String, impl Into<Value>)>) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key, value.into())).collect())
}

pub(super) fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> Vec<String> {
    items.iter().map(text).collect()
}

pub(super) fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

pub(super) fn secret(source: &SecretSource) -> Value {
    let (key, value) = match source {
        SecretSource::Env(name) => ("env", name.clone()),
        SecretSource::File(path) => ("file", path.display().to_string()),
        SecretSource::Generate(name) => ("generate", name.clone()),
    };
    table([(key.to_owned(), value)])
}

pub(super) fn tls(tls: &Tls) -> Value {
    match tls {
        Tls::Internal => table([("internal".to_owned(), true)]),
        Tls::Acme(acme) => {
            let ca_file = acme.ca_file.as_ref().map(|path| path.display().to_string());
            let optional = [("email", acme.email.clone()), ("ca_file", ca_file)];
            let optional = optional.into_iter().filter_map(|(key, value)| Some((key, value?)));
            let all = optional.chain([("directory", acme.directory.clone())]);
            let all = table(all.map(|(key, value)| (key.to_owned(), value)));
            table([("acme".to_owned(), all)])
        }
        Tls::Files(files) => {
            let path = |path: &std::path::Path| path.display().to_string();
            let one = |one: &CertificateFiles| {
                table([("cert".to_owned(), path(&one.cert)), ("key".to_owned(), path(&one.key))])
            };
            Value::Array(files.iter().map(one).collect())
        }
    }
}

pub(super) fn rate_limit(limit: RateLimit) -> Value {
    let unit = match limit.period.as_secs() {
        1 => "s",
        60 => "m",
        _ => "h",
    };
    let rate = Value::String(format!("{}/{unit}", limit.count));
    let burst = Value::Integer(limit.burst.get().into());
    table([("rate".to_owned(), rate), ("burst".to_owned(), burst)])
}

pub(super) fn upstream(upstream: &Upstream) -> String {
    let scheme = if upstream.tls.is_some() { "https" } else { "http" };
    match &upstream.dial {
        Dial::Unix(socket) => format!("unix:{}", socket.path().display()),
        Dial::Loopback(own) if own.port() == 0 => format!("{scheme}://127.0.0.1:{{port}}"),
        Dial::Loopback(own) => format!("{scheme}://127.0.0.1:{}", own.port()),
        Dial::Tcp(host, 0) => format!("{scheme}://{host}:{{port}}"),
        Dial::Tcp(host, port) if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
        Dial::Tcp(host, port) => format!("{scheme}://{host}:{port}"),
    }
}

pub(super) fn static_files(files: &StaticFiles) -> Value {
    let mut shown = Table::new();
    shown.insert("folder".to_owned(), files.folder.display().to_string().into());
    shown.insert("index".to_owned(), files.index.as_str().into());
    shown.insert("spa".to_owned(), files.spa.into());
    Value::Table(shown)
}

pub(super) fn access(access: &Access) -> Value {
    match access {
        Access::Public => "public".into(),
        Access::SignedIn => "signed-in".into(),
        Access::Only(_) | Access::AnyOf(_) => tables(access.tables()),
    }
}

/// One table as a table, several as a list.
pub(super) fn tables(tables: &[Constraints]) -> Value {
    match tables {
        [only] => constraints(only),
        several => Value::Array(several.iter().map(constraints).collect()),
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

pub(super) fn rule(rule: &Rule) -> Value {
    let mut shown = Table::new();
    shown.insert("path".to_owned(), rule.path.text().into());
    if !rule.methods.is_empty() {
        shown.insert("methods".to_owned(), rule.methods.clone().into());
    }
    shown.insert("access".to_owned(), access(&rule.access));
    shown.insert("api".to_owned(), rule.api.into());
    Value::Table(shown)
}

pub(super) fn identity(identity: &Identity) -> Value {
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

pub(super) fn probe(probe: &Probe, failures: Option<u32>) -> Value {
    let (key, value): (&str, Value) = match &probe.kind {
        ProbeKind::Http { question, .. } => ("http", question.path.as_str().into()),
        ProbeKind::Tcp(_) | ProbeKind::Accepts(_) => ("tcp", true.into()),
        ProbeKind::Exec(argv) => ("exec", argv.clone().into()),
        ProbeKind::Log(expression) => ("log", expression.as_str().into()),
        ProbeKind::Notify(Notify::Fd) => ("notify", "fd".into()),
        ProbeKind::Notify(Notify::Systemd) => ("notify", "systemd".into()),
    };
    let mut shown = Table::new();
    shown.insert(key.to_owned(), value);
    if let ProbeKind::Http { question, .. } = &probe.kind {
        let status = match question.status.as_slice() {
            [only] => i64::from(*only).into(),
            several => several.iter().map(|status| i64::from(*status)).collect::<Vec<_>>().into(),
        };
        shown.insert("status".to_owned(), status);
    }
    shown.insert("interval".to_owned(), duration(probe.interval).into());
    shown.insert("timeout".to_owned(), duration(probe.timeout).into());
    shown.insert("deadline".to_owned(), duration(probe.deadline).into());
    if let Some(failures) = failures {
        shown.insert("failures".to_owned(), i64::from(failures).into());
    }
    Value::Table(shown)
}

pub(super) fn limits(limits: &Limits) -> Option<Value> {
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
            // A limit that a TOML integer cannot hold means `unlimited`.
            let value = i64::try_from(limit).map_or_else(|_| "unlimited".into(), Value::Integer);
            Some((key.to_owned(), value))
        })
        .collect();
    (!shown.is_empty()).then_some(Value::Table(shown))
}
