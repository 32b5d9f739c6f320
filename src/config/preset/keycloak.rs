//! Parameters of the keycloak preset: what runs, and the OAuth client.

use super::context::PresetContext;
use super::keycloak_build;
use super::keycloak_console;
use super::keycloak_exposure;
use super::layer::{Layer, Parameters, Value};
use super::places::Places;
use super::python::program;
use super::realm::{self, Realm};
use crate::config::file::{self, At, KeycloakPreset, SecretRef};
use crate::config::model::{AppName, LogFormat, Need};
use crate::config::report::problem::Problems;

pub(super) const TEXT: &str = include_str!("data/keycloak.toml");
const SETUP: &str = concat!(
    include_str!("data/shell.sh"),
    include_str!("data/keycloak.sh"),
    include_str!("data/keycloak.setup.sh"),
);
const START: &str = concat!(
    include_str!("data/keycloak.sh"),
    include_str!("data/keycloak.theme.sh"),
    include_str!("data/keycloak.start.sh"),
);

/// The version that the setup downloads unless the file names another, and the SHA-256 of its archive
/// `keycloak-26.7.3.tar.gz`: the same file on GitHub and, as `keycloak-quarkus-dist`, on Maven Central.
const DEFAULT_VERSION: &str = "26.7.3";
const DEFAULT_SHA256: &str = "77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47";

pub(super) fn layer(
    at: &At<KeycloakPreset>,
    (realm, name): (&Realm, &AppName),
    app: &file::App,
    preset_context: &PresetContext<'_>,
    problems: &mut Problems<'_>,
) -> Layer {
    let text = |text: &str| Value::Text(text.to_owned());
    let home = at.home.as_ref().map(|home| home.value.as_str()).unwrap_or_default();
    if home.is_empty() {
        problems.error(&at.span, "keycloak needs a `home`; write the folder where Keycloak is, or where the setup shall install it");
    }
    let mut checked = |at: &Option<At<String>>, default: &str, good: fn(&str) -> bool, why| {
        if let Some(at) = at.as_ref().filter(|at| !good(at)) {
            problems.error(&at.span, format!("`{}` {why}", at.value));
        }
        Value::Text(at.as_ref().map_or(default, |at| &at.value).to_owned())
    };
    let version = checked(
        &at.version,
        DEFAULT_VERSION,
        is_version,
        "is not a Keycloak version; write for example `26.7.3`",
    );
    let heap = checked(&at.heap, "512m", is_heap, "is not a heap size; write for example `512m`");
    let shipped_realm = if at.realm.is_none() { text(realm::SHIPPED) } else { Value::Nothing };
    keycloak_console::check(at, problems);
    let java = at.java.as_deref().map(|java| program(preset_context.dir, java));
    let java_program =
        java.iter().map(|java| Need { key: ["keycloak", "java"], what: "Java", path: java.into() });
    let java_program = java_program.collect();
    let relative_path = realm.url.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
    let (client_id, client_secret) = client(preset_context.oidc, name, realm);
    let mut layer = Layer {
        key: "keycloak",
        texts: vec![TEXT],
        parameters: Parameters::from([
            ("home", text(&preset_context.dir.join(home).display().to_string())),
            ("stamp", text(&stamp(home, name, app, preset_context))),
            ("version", version),
            ("heap", heap),
            ("data", text(&data(name, app, preset_context.places))),
            ("sha256", text(sha256(at))),
            ("java", Value::Text(java.unwrap_or_default())),
            ("db", text(at.db.as_deref().unwrap_or("dev-file"))),
            ("realm", text(&realm.name)),
            ("realm_file", text(&realm.file.display().to_string())),
            ("shipped_realm", shipped_realm),
            ("url", text(&realm.url)),
            ("relative_path", text(relative_path.as_deref().unwrap_or("/"))),
            (
                "test_users",
                text(if preset_context.public_url.is_loopback() { "true" } else { "false" }),
            ),
            ("log_format", text(log_format(preset_context.log_format))),
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("setup.sh", text(SETUP)),
            ("start.sh", text(START)),
        ]),
        guarded: keycloak_console::guarded(at),
        needs: java_program,
    };
    layer.parameters.extend(titles(preset_context.title));
    layer.parameters.extend(keycloak_exposure::parameters(at, realm, preset_context));
    layer
}

/// The name of a realm that is imported, and the name on the pages of every realm.
fn titles(title: Option<&str>) -> [(&'static str, Value); 2] {
    let shown = title.map_or(Value::Nothing, |title| Value::Text(title.to_owned()));
    [("title", Value::Text(in_json(title.unwrap_or("Appliance")))), ("sign_in_title", shown)]
}

/// The checksum of the archive; empty for a version that the appliance does not know.
fn sha256(at: &KeycloakPreset) -> &'static str {
    let is_default = at.version.as_ref().is_none_or(|version| **version == *DEFAULT_VERSION);
    if is_default { DEFAULT_SHA256 } else { "" }
}

fn stamp(
    home: &str,
    name: &AppName,
    app: &file::App,
    preset_context: &PresetContext<'_>,
) -> String {
    let account = preset_context.places.account(name, app).ok().flatten();
    keycloak_build::creates(&preset_context.dir.join(home), account.as_ref())
}

fn data(name: &AppName, app: &file::App, places: &Places<'_>) -> String {
    let owner = places.owner(name, app);
    places.keycloak_data(name, owner.as_deref()).display().to_string()
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Json => "json",
        LogFormat::Text => "default",
    }
}

/// The client of `[oidc]`, if this Keycloak is the issuer.
fn client(oidc: Option<&file::Oidc>, name: &AppName, realm: &Realm) -> (Value, Value) {
    let is_issuer = |oidc: &&file::Oidc| {
        let is = |at: &Option<At<String>>, text: &str| at.as_ref().is_some_and(|at| **at == text);
        is(&oidc.served_by, name.as_str()) || is(&oidc.issuer, &realm.issuer)
    };
    let oidc = oidc.filter(is_issuer);
    let id = oidc.and_then(|oidc| oidc.client_id.as_ref()).map(|at| Value::Text(at.value.clone()));
    let secret = oidc
        .and_then(|oidc| oidc.client_secret.as_ref())
        .filter(|at| at.sources() == 1)
        .map(|at| Value::Secret(SecretRef::clone(&at.value)));
    (id.unwrap_or(Value::Nothing), secret.unwrap_or(Value::Nothing))
}

/// Keycloak puts the text between the quotes of the realm file.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// The version becomes part of a download URL.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
}

fn is_heap(text: &str) -> bool {
    text.strip_suffix(['k', 'm', 'g', 'K', 'M', 'G'])
        .is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 0))
}
