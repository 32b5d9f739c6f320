//! What a realm's file and its app's place make of Keycloak: the issuer, and with whom it shares an
//! origin.

use std::path::PathBuf;

use super::context::{PresetContext, own_path};
use super::{keycloak_console, realm_content};
use crate::config::file::{self, At, KeycloakPreset};
use crate::config::grammar;
use crate::config::model::{AppName, PublicUrl, RealmContent};
use crate::config::report::problem::Problems;

/// The realm of an appliance whose file names none: `apps/keycloak/realm.json`.
pub(super) const SHIPPED: &str = include_str!("../../../apps/keycloak/realm.json");

/// What the realm's file and the app's place say.
#[derive(Debug, Clone)]
pub(crate) struct Realm {
    /// Name of the realm.
    pub(crate) name: String,
    /// The realm's file.
    pub(crate) file: PathBuf,
    /// Keycloak's own address as browsers see it, without a trailing slash.
    pub(crate) url: String,
    /// `<url>/realms/<name>`, as its discovery document will say it.
    pub(crate) issuer: String,
    /// Keycloak's host.
    pub(super) host: String,
    /// The portal or another app has the same origin, so scripts there can read what Keycloak
    /// answers.
    pub(crate) shares_origin: bool,
    /// People whose password stands in the realm's file: anybody who reads the file can sign in as
    /// them. Without test users that are not imported.
    pub(crate) users: Vec<String>,
    /// Users that are imported only if `public_url` is a loopback name.
    pub(crate) test_users: Vec<String>,
    /// Who reaches the console of the realm, without opening it to everybody.
    pub(crate) admin_groups: Vec<String>,
    /// Groups, roles and clients of the realm's file.
    pub(crate) content: RealmContent,
}

/// Reads the realm's name from its file; without one there is no issuer.
pub(crate) fn realm(
    at: &At<KeycloakPreset>,
    name: &AppName,
    app: &file::App,
    preset_context: &PresetContext<'_>,
    problems: &mut Problems<'_>,
) -> Realm {
    let public = preset_context.public_url;
    let host = app.host.as_ref().and_then(|at| grammar::host(at).ok());
    let host = host.unwrap_or_else(|| public.host.clone());
    let neighbour = |(other, there): &(&str, Option<String>)| {
        *other != name.as_str() && there.as_deref() == Some(&*host)
    };
    let url = format!("{}{}", PublicUrl { host: host.clone(), ..public.clone() }, own_path(app));
    let mut realm = Realm {
        name: String::new(),
        file: PathBuf::new(),
        issuer: String::new(),
        url,
        shares_origin: host == public.host || preset_context.routed.iter().any(neighbour),
        host,
        users: Vec::new(),
        test_users: Vec::new(),
        admin_groups: keycloak_console::admin_groups(at).to_vec(),
        content: RealmContent::default(),
    };
    let text = match &at.realm {
        Some(file) => {
            realm.file = preset_context.dir.join(&file.value);
            let text = preset_context.places.read_realm(&realm.file, name, app);
            text.map_err(|error| format!("cannot be read: {error}"))
        }
        None => Ok(SHIPPED.to_owned()),
    };
    match text.and_then(|text| realm_of(&text)) {
        Ok((name, json)) => {
            realm.issuer = format!("{}/realms/{name}", realm.url);
            realm.name = name;
            realm.users = users_with_password(&json, !public.is_loopback());
            realm.test_users = test_users(&json);
            let client_id = preset_context.oidc.and_then(|oidc| oidc.client_id.as_ref());
            let client_id = client_id.map_or("", |at| at.value.as_str());
            realm.content = realm_content::of(&json, client_id);
        }
        Err(why) => {
            let (file, span) = match &at.realm {
                Some(file) => (file.value.as_str(), &file.span),
                None => ("", &at.span),
            };
            let what =
                format!("the realm file `{file}` {why}; use a realm that Keycloak has exported");
            problems.error(span, what);
        }
    }
    realm
}

/// The realm's name, and the whole file.
fn realm_of(text: &str) -> Result<(String, serde_json::Value), String> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let name = json.get("realm").and_then(serde_json::Value::as_str).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err("must have a `realm` whose name consists of letters, digits, `-`, `_` and `.`"
            .to_owned());
    }
    Ok((name.to_owned(), json))
}

/// `leave_out`: the test users are not imported.
fn users_with_password(json: &serde_json::Value, leave_out: bool) -> Vec<String> {
    names(json, |user| has_password(user) && !(leave_out && is_test_user(user)))
}

fn test_users(json: &serde_json::Value) -> Vec<String> {
    names(json, is_test_user)
}

fn names(json: &serde_json::Value, is_meant: impl Fn(&serde_json::Value) -> bool) -> Vec<String> {
    let users = json.get("users").and_then(serde_json::Value::as_array).into_iter().flatten();
    let users = users.filter(|user| is_meant(user));
    users.filter_map(|user| Some(user.get("username")?.as_str()?.to_owned())).collect()
}

/// Whether the start of Keycloak decides if this user is imported: see `keycloak.start.sh`.
fn is_test_user(user: &serde_json::Value) -> bool {
    user.get("enabled").and_then(serde_json::Value::as_str) == Some("${TEST_USERS}")
}

/// Whether the file itself says the password: neither a hash nor a variable without a default.
fn has_password(user: &serde_json::Value) -> bool {
    let credentials = user.get("credentials").and_then(serde_json::Value::as_array);
    let values = credentials.into_iter().flatten().filter_map(|one| one.get("value")?.as_str());
    values
        .filter(|value| !value.is_empty())
        .any(|value| !value.starts_with("${") || value.contains(':'))
}
