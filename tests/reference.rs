//! The settings reference follows the code: `appliance.schema.json` and `docs/settings.md` are
//! generated from the doc comments of the structs in `src/config/file/`.
//!
//! The last paragraph of a key's comment has a fixed form: `Type: …. Default: …. Example: ….`, or
//! `Required.` in place of the default. `UPDATE_GOLDEN=1 cargo test --test reference` writes the
//! two files.

#![expect(clippy::unwrap_used, reason = "an unexpected value fails the test")]

use std::fmt::Write;
use std::fs;

use appliance::config::{Config, schema};
use serde_json::Value;
use toml::Table;

const HEAD: &str = "# Which settings are there?\n\n\
    All keys of `appliance.toml`. A key that is not marked *required* can be omitted. An unknown key is an error. \
    A default in words says what happens without the key.\n\n\
    - **Durations** are strings: `\"500ms\"`, `\"10s\"`, `\"5m\"`, `\"1h 30m\"`. **Sizes** are strings: `\"64KiB\"`, `\"200MB\"`, `\"1GiB\"`.\n\
    - **Paths** that are relative start at the folder of the file.\n\
    - **Variables** of the environment can be used in every string: `${X}`, or `${X:-default}`. A literal `${` is written `$${`.\n\
    - **Secrets** are tables that name a source: `{ env = \"X\" }`, `{ file = \"/run/secrets/x\" }` or `{ generate = \"name\" }`.\n\n\
    `appliance check` reports every error in the file at once. `appliance check --expanded` prints the configuration with all defaults.\n";

/// Title of a section, its definition in the schema, and a configuration around its keys: `KEY`
/// stands for the key that is tried.
const SECTIONS: [(&str, &str, &str); 21] = [
    ("`[server]`", "Server", "[server]\nKEY"),
    ("`tls`", "Tls", "[server.tls]\nKEY"),
    ("`acme`", "Acme", "[server.tls.acme]\nKEY"),
    ("`[log]`", "Log", "[log]\nKEY"),
    ("`[oidc]`", "Oidc", "KEY"),
    ("`[session]`", "Session", "[session]\nKEY"),
    ("`[access]`", "AccessDefault", "[access]\nKEY"),
    ("`[alerts]`", "Alerts", "[alerts]\nKEY"),
    ("`[apps.NAME]`", "App", "[apps.app1]\nKEY"),
    ("`access`, `deny`, `operators`", "Constraints", "[apps.app1.access]\nKEY"),
    ("`rules`", "Rule", "[[apps.app1.rules]]\nKEY"),
    ("`ready`, `live`", "Probe", "[apps.app1.ready]\nKEY"),
    ("`after`", "After", "[[apps.app1.after]]\nKEY"),
    ("`backoff`", "Backoff", "[apps.app1.backoff]\nKEY"),
    ("`identity`", "Identity", "[apps.app1.identity]\nKEY"),
    ("`limits`", "Limits", "[apps.app1.limits]\nKEY"),
    ("`setup`", "Setup", "[apps.app1.setup]\nKEY"),
    ("Secrets", "SecretRef", "[apps.app1.env.TOKEN]\nKEY"),
    ("Presets of Python frameworks", "PythonPreset", "[apps.app1.streamlit]\nKEY"),
    ("`keycloak`", "KeycloakPreset", "[apps.app1.keycloak]\nKEY"),
    ("`static`", "StaticPreset", "[apps.app1.static]\nKEY"),
];

/// One key of the reference.
struct Key {
    name: String,
    meaning: String,
    kind: String,
    default: String,
    example: Option<String>,
}

impl Key {
    fn of(name: &str, description: &str) -> Self {
        let (meaning, facts) = description.rsplit_once("\n\n").unwrap_or((description, ""));
        let (meaning, facts) = (meaning.replace('\n', " "), facts.replace('\n', " "));
        let after = |label: &str| {
            let (_, rest) = facts.split_once(label)?;
            let ends = [" Default: ", " Required", " Example: "];
            let end = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
            Some(rest[..end].trim().trim_end_matches('.').to_owned())
        };
        let kind = after("Type: ").unwrap_or_else(|| panic!("{name} has no type: {description}"));
        let default = after(" Default: ");
        let needed = facts.contains(" Required");
        assert!(default.is_some() != needed, "{name} needs a default, or is required: {facts}");
        let required =
            after(" Required").map(|when| format!("*required* {when}").trim().to_owned());
        let (name, default) = (name.to_owned(), default.or(required).unwrap_or_default());
        Self { name, meaning, kind, default, example: after(" Example: ") }
    }

    /// The values in the reference that are literal TOML.
    fn values(&self) -> impl Iterator<Item = toml::Value> {
        let texts = std::iter::once(&self.default).chain(&self.example);
        texts.filter_map(|text| {
            let text = text.strip_prefix('`')?.strip_suffix('`')?;
            let text = format!("value = {text}");
            text.parse::<Table>().ok()?.remove("value")
        })
    }
}

/// The keys of a definition, in alphabetical order.
fn keys(schema: &Value, definition: &str) -> Vec<Key> {
    let properties = schema["definitions"][definition]["properties"].as_object().unwrap();
    let text = |value: &Value| value["description"].as_str().unwrap_or_default().to_owned();
    properties.iter().map(|(name, value)| Key::of(name, &text(value))).collect()
}

fn same(file: &str, wanted: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file, wanted).unwrap();
    }
    let found = fs::read_to_string(file).unwrap_or_default();
    assert!(found == wanted, "{file} is not current: UPDATE_GOLDEN=1 cargo test --test reference");
}

#[test]
fn the_schema_is_current() {
    same("appliance.schema.json", &schema());
}

#[test]
fn the_settings_page_is_current() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let mut page = HEAD.to_owned();
    for (title, definition, _) in SECTIONS {
        let about = schema["definitions"][definition]["description"].as_str().unwrap();
        write!(page, "\n## {title}\n\n{}\n\n", about.replace('\n', " ")).unwrap();
        page += "| key | type | default | meaning |\n|---|---|---|---|\n";
        for key in keys(&schema, definition) {
            let Key { name, meaning, kind, default, example } = key;

            let example = example.map(|example| {
                let value = example.trim_matches('`');
                format!(" Example: `{name} = {value}`")
            });
            let meaning = meaning + &example.unwrap_or_default();
            let row = format!("`{name}` | {kind} | {default} | {meaning}");
            let row = row.replace('|', "\u{0}").replace(" \u{0} ", " | ").replace('\u{0}', "\\|");
            writeln!(page, "| {row} |").unwrap();
        }
    }
    same("docs/settings.md", &page);
}

/// Every default and example of the reference is accepted, as a key of a real configuration.
#[test]
fn every_value_of_the_reference_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("realm.json"), r#"{ "realm": "staff" }"#).unwrap();
    fs::write(folder.path().join("logo.svg"), "<svg/>").unwrap();
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let mut tried = 0;
    for (_, definition, around) in SECTIONS {
        for key in keys(&schema, definition) {
            for value in key.values() {
                let config = configuration(definition, around, &key.name, &value);
                let path = folder.path().join("appliance.toml");
                fs::write(&path, &config).unwrap();
                let loaded = Config::load(&path, |_| None);
                assert!(loaded.is_ok(), "{definition}.{}:\n{config}\n{loaded:?}", key.name);
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "only {tried} values were tried");
}

/// A configuration in which this key has this value, and everything that the key needs is there.
fn configuration(definition: &str, around: &str, name: &str, value: &toml::Value) -> String {
    let mut written = around.replace("KEY", &format!("{name} = {value}\n"));
    let others: &[(&str, &str)] = match definition {
        "Alerts" => &[("webhook", "{ env = \"ALERT_WEBHOOK\" }")],
        "Tls" if name == "acme" => &[],
        "Tls" => &[("cert", "\"fullchain.pem\""), ("key", "\"privkey.pem\"")],
        "Rule" => &[("path", "\"/x\"")],
        "After" => &[("app", "\"db\"")],
        "Setup" => &[("run", "[\"true\"]"), ("creates", "\"made\"")],
        "PythonPreset" if name == "folder" => {
            written = written.replace("streamlit", "jupyter");
            &[]
        }
        "PythonPreset" if name == "app" => {
            written = written.replace("streamlit", "flask");
            &[("script", "\"app.py\"")]
        }
        "PythonPreset" => &[("script", "\"app.py\"")],
        "StaticPreset" => &[("folder", "\"site\"")],
        "KeycloakPreset" => &[("home", "\"kc\""), ("realm", "\"realm.json\"")],
        "App" if name == "sticky" => &[("replicas", "2")],
        "App" if ["ca_file", "server_name"].contains(&name) => &[UPSTREAM],
        "App" if ["client_cert", "client_key"].contains(&name) => {
            &[UPSTREAM, ("client_cert", "\"client.pem\""), ("client_key", "\"client.key\"")]
        }
        "App" if name == "embed" => &[("host", "\"app1.localhost\"")],
        "App" if name == "keep_warm" => &[("idle_stop", "\"30m\"")],
        "Probe" if ["status", "interval", "timeout", "deadline"].contains(&name) => {
            &[("http", "\"/health\"")]
        }
        "Probe" if name == "failures" => {
            written = written.replace(".ready]", ".live]");
            &[("tcp", "true")]
        }
        _ => &[],
    };
    for (other, value) in others.iter().filter(|(other, _)| *other != name) {
        writeln!(written, "{other} = {value}").unwrap();
    }
    let mut whole: Table = written.parse().unwrap();
    let own = if definition == "Oidc" { std::mem::take(&mut whole) } else { Table::new() };
    let preset = definition.ends_with("Preset") || PRESETS.contains(&name);
    let mut base: Table = BASE.parse().unwrap();
    if ["Tls", "Acme"].contains(&definition) || ["tls", "redirect_http", "hsts"].contains(&name) {
        let server =
            "public_url = \"https://a.example\"\nlisten = \"0.0.0.0:8443\"".parse::<Table>();
        base.insert("server".to_owned(), server.unwrap().into());
    }
    if preset {
        base["apps"]["app1"].as_table_mut().unwrap().remove("command");
    }
    if name == "proxy_protocol" {
        base.insert(
            "server".to_owned(),
            "trusted_proxies = [\"::1\"]".parse::<Table>().unwrap().into(),
        );
    }
    base["oidc"].as_table_mut().unwrap().extend(own);
    merge(&mut base, whole);
    base.to_string()
}

/// The keys of an app that stand in place of `command`.
const PRESETS: [&str; 16] = [
    "static",
    "keycloak",
    "streamlit",
    "gradio",
    "dash",
    "panel",
    "marimo",
    "jupyter",
    "voila",
    "shiny",
    "fastapi",
    "flask",
    "django",
    "nicegui",
    "mlflow",
    "tensorboard",
];

/// An address that has TLS.
const UPSTREAM: (&str, &str) = ("upstream", "\"https://10.0.0.7\"");

/// What the values of the reference refer to.
const BASE: &str = r#"
    [oidc]
    issuer = "https://login.example.org/realms/staff"
    client_id = "appliance"
    client_secret = { env = "OIDC_SECRET" }
    [apps.app1]
    command = ["app1"]
    path = "/app1"
    access = "public"
    [apps.db]
    command = ["db"]
    [apps.migrate]
    command = ["migrate"]
    oneshot = true
    [apps.keycloak]
    command = ["kc"]
    path = "/auth"
    access = "public"
"#;

fn merge(base: &mut Table, other: Table) {
    for (key, value) in other {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(other)) => merge(base, other),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// `docs/request.md` explains the reason of every refusal and of every decision.
#[test]
fn every_reason_is_in_the_documentation() {
    let page = fs::read_to_string("docs/request.md").unwrap();
    let (_, page) = page.split_once("## Which reasons are there?").unwrap();
    let explained: Vec<_> = page.split('`').skip(1).step_by(2).collect();
    let sources = ["src/proxy/answer/cause.rs", "src/auth/person/reason.rs"];
    let sources = sources.map(|file| fs::read_to_string(file).unwrap()).concat();
    let words: Vec<_> =
        sources.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(words.len() > 40, "{words:?}");
    for word in words {
        assert!(explained.contains(&word), "{word} is not explained");
    }
}

/// `docs/architecture.md` names only folders and files that exist.
#[test]
fn the_architecture_names_existing_files() {
    let text = fs::read_to_string("docs/architecture.md").unwrap();
    let quoted = text.split('`').skip(1).step_by(2);
    let paths: Vec<_> = quoted
        .filter(|word| word.contains('/') && !word.contains(' ') && !word.starts_with('/'))
        .map(|word| word.replace("NAME", "keycloak"))
        .collect();
    assert!(paths.len() > 40, "{paths:?}");
    for path in &paths {
        let path = path.trim_start_matches("src/").trim_end_matches('/');
        let file = std::path::Path::new("src").join(path);
        assert!(file.exists() || file.with_extension("rs").exists(), "src/{path} does not exist");
    }
}
