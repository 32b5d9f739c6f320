//! Parameters of the keycloak preset, and the issuer that it makes of an app.

use std::path::Path;

use super::super::file::{self, At, KeycloakPreset, SecretRef, Span};
use super::super::{LogFormat, grammar};
use super::streamlit::program;
use super::{Frame, Layer, Parameters, Value, own_path};

pub(super) const TEXT: &str = include_str!("../presets/keycloak.toml");
const SETUP: &str = concat!(
    include_str!("../presets/shell.sh"),
    include_str!("../presets/keycloak.sh"),
    include_str!("../presets/keycloak.setup.sh"),
);
const START: &str =
    concat!(include_str!("../presets/keycloak.sh"), include_str!("../presets/keycloak.start.sh"));

/// What the realm's file and the app's place say.
#[derive(Debug, Clone)]
pub(in crate::config) struct Realm {
    /// Name of the realm.
    pub(in crate::config) name: String,
    /// Keycloak's own address as browsers see it, without a trailing slash.
    pub(in crate::config) url: String,
    /// `<url>/realms/<name>`, as its discovery document will say it.
    pub(in crate::config) issuer: String,
}

/// Reads the realm's name from its file.
pub(in crate::config) fn realm(
    at: &At<KeycloakPreset>,
    app: &file::App,
    frame: &Frame<'_>,
) -> Result<Option<Realm>, (Span, String)> {
    let Some(file) = &at.realm else {
        return Err((
            at.span.clone(),
            "keycloak needs a `realm`: the realm's JSON file".to_owned(),
        ));
    };
    let name = realm_name(&frame.dir.join(&file.value))
        .map_err(|why| (file.span.clone(), format!("the realm `{}` {why}", file.value)))?;
    let origin = match app.host.as_ref().and_then(|at| grammar::host(at).ok()) {
        Some(host) => super::super::PublicUrl { host, ..frame.public_url.clone() },
        None => frame.public_url.clone(),
    };
    let url = format!("{origin}{}", own_path(app));
    Ok(Some(Realm { issuer: format!("{url}/realms/{name}"), name, url }))
}

fn realm_name(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("is no JSON: {error}"))?;
    let name = json.get("realm").and_then(serde_json::Value::as_str).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(
            "must have a `realm` whose name is made of letters, digits, `-`, `_`, `.`".to_owned()
        );
    }
    Ok(name.to_owned())
}

pub(super) fn layer(
    at: &At<KeycloakPreset>,
    realm: &Realm,
    frame: &Frame<'_>,
) -> Result<Layer, (Span, String)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let Some(home) = at.home.as_ref().filter(|home| !home.is_empty()) else {
        return Err((
            at.span.clone(),
            "keycloak needs a `home`: where it is, or shall be put".to_owned(),
        ));
    };
    let realm_file = at.realm.as_ref().map(|file| frame.dir.join(&file.value)).unwrap_or_default();
    let version = checked(at.version.as_ref(), "26.7.3", is_version, "is no version of Keycloak")?;
    let heap = checked(at.heap.as_ref(), "512m", is_heap, "is no heap size; write it as `512m`")?;
    let exposed = if at.admin_console == Some(true) {
        Vec::new()
    } else {
        vec![format!("/realms/{}/", realm.name), "/resources/".to_owned()]
    };
    let java = at.java.as_deref().map(|java| program(frame.dir, java));
    let relative_path = realm.url.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
    let format = match frame.log_format {
        LogFormat::Json => "json",
        LogFormat::Text => "default",
    };
    let client = frame.oidc;
    Ok(Layer {
        key: "keycloak",
        text: TEXT,
        parameters: Parameters::from([
            ("home", text(&frame.dir.join(&home.value).display().to_string())),
            ("version", Value::Text(version)),
            ("heap", Value::Text(heap)),
            ("java", Value::Text(java.unwrap_or_default())),
            ("db", text(at.db.as_deref().unwrap_or("dev-file"))),
            ("realm", text(&realm.name)),
            ("realm_file", text(&realm_file.display().to_string())),
            ("url", text(&realm.url)),
            ("relative_path", text(relative_path.as_deref().unwrap_or("/"))),
            ("exposed", Value::List(exposed)),
            ("log_format", text(format)),
            ("client_id", client_id(client)),
            ("client_secret", client_secret(client)),
            ("setup.sh", text(SETUP)),
            ("start.sh", text(START)),
        ]),
    })
}

fn client_id(oidc: Option<&file::Oidc>) -> Value {
    oidc.and_then(|oidc| oidc.client_id.as_ref())
        .map_or(Value::Nothing, |at| Value::Text(at.value.clone()))
}

fn client_secret(oidc: Option<&file::Oidc>) -> Value {
    oidc.and_then(|oidc| oidc.client_secret.as_ref())
        .map_or(Value::Nothing, |at| Value::Secret(SecretRef::clone(&at.value)))
}

fn checked(
    at: Option<&At<String>>,
    default: &str,
    good: impl Fn(&str) -> bool,
    why: &str,
) -> Result<String, (Span, String)> {
    match at {
        None => Ok(default.to_owned()),
        Some(at) if good(at) => Ok(at.value.clone()),
        Some(at) => Err((at.span.clone(), format!("`{}` {why}", at.value))),
    }
}

/// It becomes part of an address to fetch from.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
}

fn is_heap(text: &str) -> bool {
    text.strip_suffix(['k', 'm', 'g', 'K', 'M', 'G'])
        .is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 0))
}
