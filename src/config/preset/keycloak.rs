//! The keycloak preset: its parameters, and the issuer that it makes of an app.

use super::context::{PresetContext, own_path};
use super::layer::{Layer, Parameters, Value};
use super::places::Places;
use super::streamlit::program;
use crate::config::file::{self, At, KeycloakPreset, SecretRef};
use crate::config::grammar;
use crate::config::model::{AppName, LogFormat, PublicUrl};
use crate::config::report::problem::Problems;

pub(super) const TEXT: &str = include_str!("data/keycloak.toml");
const SETUP: &str = concat!(
    include_str!("data/shell.sh"),
    include_str!("data/keycloak.sh"),
    include_str!("data/keycloak.setup.sh"),
);
const START: &str =
    concat!(include_str!("data/keycloak.sh"), include_str!("data/keycloak.start.sh"));

/// The version that the setup downloads unless the file names another, and the SHA-256 of its archive
/// `keycloak-26.7.3.tar.gz`: the same file on GitHub and, as `keycloak-quarkus-dist`, on Maven Central.
const DEFAULT_VERSION: &str = "26.7.3";
const DEFAULT_SHA256: &str = "77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47";

/// What follows from the realm file and from the app's address.
#[derive(Debug, Clone)]
pub(crate) struct Realm {
    /// Name of the realm.
    pub(crate) name: String,
    /// Keycloak's address as browsers see it, without a trailing slash.
    pub(crate) url: String,
    /// `<url>/realms/<name>`, as in the discovery document.
    pub(crate) issuer: String,
    /// Users whose password is in the realm file.
    pub(crate) users: Vec<String>,
}

/// Reads the name of the realm from the realm file, and computes the issuer.
pub(crate) fn realm(
    at: &At<KeycloakPreset>,
    (name, app): (&AppName, &file::App),
    preset_context: &PresetContext<'_>,
    problems: &mut Problems<'_>,
) -> Realm {
    let origin = match app.host.as_ref().and_then(|at| grammar::host(at).ok()) {
        Some(host) => PublicUrl { host, ..preset_context.public_url.clone() },
        None => preset_context.public_url.clone(),
    };
    let url = format!("{origin}{}", own_path(app));
    let Some(file) = &at.realm else {
        problems
            .error(&at.span, "keycloak needs a `realm`; write the path of the realm's JSON file");
        return Realm { name: String::new(), issuer: String::new(), url, users: Vec::new() };
    };
    let text = preset_context.places.read(&preset_context.dir.join(&file.value), name, app);
    let text = text.map_err(|error| format!("cannot be read: {error}"));
    match text.and_then(|text| realm_of(&text)) {
        Ok((name, users)) => Realm { issuer: format!("{url}/realms/{name}"), name, url, users },
        Err(why) => {
            problems.error(
                &file.span,
                format!(
                    "the realm file `{}` {why}; use a realm that Keycloak has exported",
                    file.value
                ),
            );
            Realm { name: String::new(), issuer: String::new(), url, users: Vec::new() }
        }
    }
}

/// The name of the realm, and its users with a password in the file.
fn realm_of(text: &str) -> Result<(String, Vec<String>), String> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let name = json.get("realm").and_then(serde_json::Value::as_str).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err("must have a `realm` whose name consists of letters, digits, `-`, `_` and `.`"
            .to_owned());
    }
    let users = json.get("users").and_then(serde_json::Value::as_array).into_iter().flatten();
    let users = users.filter(|user| user.pointer("/credentials/0/value").is_some());
    let users = users.filter_map(|user| Some(user.get("username")?.as_str()?.to_owned()));
    Ok((name.to_owned(), users.collect()))
}

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
    let realm_file =
        at.realm.as_ref().map(|file| preset_context.dir.join(&file.value)).unwrap_or_default();
    let exposed = if at.admin_console == Some(true) {
        Vec::new()
    } else {
        vec![format!("/realms/{}/", realm.name), "/resources/".to_owned()]
    };
    let java = at.java.as_deref().map(|java| program(preset_context.dir, java));
    let relative_path = realm.url.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
    let (client_id, client_secret) = client(preset_context.oidc, name, realm);
    Layer {
        key: "keycloak",
        text: TEXT,
        parameters: Parameters::from([
            ("home", text(&preset_context.dir.join(home).display().to_string())),
            ("version", version),
            ("heap", heap),
            ("data", text(&data(name, app, preset_context.places))),
            ("sha256", text(sha256(at))),
            ("java", Value::Text(java.unwrap_or_default())),
            ("db", text(at.db.as_deref().unwrap_or("dev-file"))),
            ("realm", text(&realm.name)),
            ("realm_file", text(&realm_file.display().to_string())),
            ("url", text(&realm.url)),
            ("relative_path", text(relative_path.as_deref().unwrap_or("/"))),
            ("exposed", Value::List(exposed)),
            ("log_format", text(log_format(preset_context.log_format))),
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("setup.sh", text(SETUP)),
            ("start.sh", text(START)),
        ]),
    }
}

/// The checksum of the archive; empty for a version that the appliance does not know.
fn sha256(at: &KeycloakPreset) -> &'static str {
    let is_default = at.version.as_ref().is_none_or(|version| **version == *DEFAULT_VERSION);
    if is_default { DEFAULT_SHA256 } else { "" }
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

/// The version becomes part of a download URL.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
}

fn is_heap(text: &str) -> bool {
    text.strip_suffix(['k', 'm', 'g', 'K', 'M', 'G'])
        .is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 0))
}
