//! Parameters of the keycloak preset: what runs, what of it is reachable, and the client that it knows.

use super::frame::Frame;
use super::layer::{Layer, Parameters, Reach, Value};
use super::realm::Realm;
use super::streamlit::program;
use crate::config::file::{self, At, KeycloakPreset, SecretRef};
use crate::config::model::{AppName, LogFormat, PublicUrl, Shield};
use crate::config::report::problem::Problems;

pub(super) const TEXT: &str = include_str!("data/keycloak.toml");
const SETUP: &str = concat!(
    include_str!("data/shell.sh"),
    include_str!("data/keycloak.sh"),
    include_str!("data/keycloak.setup.sh"),
);
const START: &str =
    concat!(include_str!("data/keycloak.sh"), include_str!("data/keycloak.start.sh"));

pub(super) fn layer(
    at: &At<KeycloakPreset>,
    realm: &Realm,
    name: &AppName,
    frame: &Frame<'_>,
    problems: &mut Problems<'_>,
) -> Layer {
    let text = |text: &str| Value::Text(text.to_owned());
    let home = at.home.as_ref().map(|home| home.value.as_str()).unwrap_or_default();
    if home.is_empty() {
        problems.error(&at.span, "keycloak needs a `home`; say where it is, or shall be put");
    }
    let mut checked = |at: &Option<At<String>>, default: &str, good: fn(&str) -> bool, why| {
        if let Some(at) = at.as_ref().filter(|at| !good(at)) {
            problems.error(&at.span, format!("`{}` {why}", at.value));
        }
        Value::Text(at.as_ref().map_or(default, |at| &at.value).to_owned())
    };
    let version = checked(
        &at.version,
        "26.7.3",
        is_version,
        "is no version of Keycloak; write it as `26.7.3`",
    );
    let heap = checked(&at.heap, "512m", is_heap, "is no heap size; write it as `512m`");
    let realm_file = at.realm.as_ref().map(|file| frame.dir.join(&file.value)).unwrap_or_default();
    let reach = reach(at, realm);
    let java = at.java.as_deref().map(|java| program(frame.dir, java));
    let relative_path = realm.url.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
    let format = match frame.log_format {
        LogFormat::Json => "json",
        LogFormat::Text => "default",
    };
    let (client_id, client_secret) = client(frame.oidc, name, realm);
    Layer {
        key: "keycloak",
        text: TEXT,
        parameters: Parameters::from([
            ("home", text(&frame.dir.join(home).display().to_string())),
            ("version", version),
            ("heap", heap),
            ("java", Value::Text(java.unwrap_or_default())),
            ("db", text(at.db.as_deref().unwrap_or("dev-file"))),
            ("realm", text(&realm.name)),
            ("realm_file", text(&realm_file.display().to_string())),
            ("url", text(&realm.url)),
            ("relative_path", text(relative_path.as_deref().unwrap_or("/"))),
            ("exposed", Value::List(reach.exposed)),
            ("hidden", Value::List(reach.hidden)),
            ("pages", Value::List(reach.shield.pages)),
            ("open", Value::List(reach.shield.open)),
            ("programs", Value::List(reach.shield.programs)),
            ("callback_urls", text(&urls(realm, frame, "/oauth2/callback").join(" "))),
            ("signed_out_urls", text(&urls(realm, frame, "/*").join("##"))),
            ("frame_ancestors", text(if account_console(at) { "'self'" } else { "'none'" })),
            ("account_console_closed", text(if account_console(at) { "false" } else { "true" })),
            ("log_format", text(format)),
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("setup.sh", text(SETUP)),
            ("start.sh", text(START)),
        ]),
    }
}

fn account_console(at: &KeycloakPreset) -> bool {
    at.account_console == Some(true)
}

fn admin_console(at: &KeycloakPreset) -> bool {
    at.admin_console == Some(true)
}

/// What of Keycloak browsers may ask, and how.
fn reach(at: &KeycloakPreset, realm: &Realm) -> Reach {
    let own = format!("/realms/{}", realm.name);
    let account = format!("{own}/account");
    let mut reach = Reach::default();
    if !admin_console(at) {
        reach.exposed = vec![format!("{own}/"), "/resources/".to_owned()];
    }
    if !account_console(at) {
        reach.hidden = vec![account.clone()];
    }
    if realm.shares_origin {
        let consoles = admin_console(at) || account_console(at);
        shield_realm(&mut reach.shield, &own, consoles);
        if account_console(at) {
            reach.shield.open.push(account);
        }
        if admin_console(at) {
            shield_realm(&mut reach.shield, "/realms/master", true);
            reach.shield.pages.push("/admin".to_owned());
            reach.shield.open.push("/admin".to_owned());
        }
    }
    reach
}

/// Where Keycloak shares an origin, scripts of apps can read its answers with the cookies of the
/// visitor: they could take a code that is granted without a question, or fill in a form. So only a
/// navigation gets there. A console is a script itself, which needs its tokens and two frames.
fn shield_realm(shield: &mut Shield, realm: &str, consoles: bool) {
    let protocol = format!("{realm}/protocol/openid-connect");
    shield.pages.push(realm.to_owned());
    shield.open.extend([format!("{realm}/.well-known"), format!("{protocol}/certs")]);
    let tokens = ["token", "userinfo", "revoke"].map(|path| format!("{protocol}/{path}"));
    if consoles {
        let frames = ["3p-cookies", "login-status-iframe.html"];
        shield.open.extend(tokens);
        shield.open.extend(frames.map(|path| format!("{protocol}/{path}")));
    } else {
        shield.programs.extend(tokens);
    }
    shield.programs.extend([format!("{protocol}/ext"), format!("{realm}/clients-registrations")]);
}

/// A path under every origin where people sign in: of `public_url`, and of each app with a host of
/// its own. Under Keycloak's own origin it stays relative, so that it follows `public_url`.
fn urls(realm: &Realm, frame: &Frame<'_>, path: &str) -> Vec<String> {
    let public = frame.public_url;
    let first = if realm.host == public.host { path.to_owned() } else { format!("{public}{path}") };
    let mut hosts: Vec<&str> =
        frame.routed.iter().filter_map(|(_, host)| host.as_deref()).collect();
    hosts.retain(|host| *host != public.host && *host != realm.host);
    hosts.sort_unstable();
    hosts.dedup();
    let others = hosts.into_iter().map(|host| {
        let url = PublicUrl { host: host.to_owned(), ..public.clone() };
        format!("{url}{path}")
    });
    std::iter::once(first).chain(others).collect()
}

/// The client as both sides know it, if this Keycloak is the issuer.
fn client(oidc: Option<&file::Oidc>, name: &AppName, realm: &Realm) -> (Value, Value) {
    let ours = |oidc: &&file::Oidc| {
        let is = |at: &Option<At<String>>, text: &str| at.as_ref().is_some_and(|at| **at == text);
        is(&oidc.served_by, name.as_str()) || is(&oidc.issuer, &realm.issuer)
    };
    let oidc = oidc.filter(ours);
    let id = oidc.and_then(|oidc| oidc.client_id.as_ref()).map(|at| Value::Text(at.value.clone()));
    let secret = oidc
        .and_then(|oidc| oidc.client_secret.as_ref())
        .filter(|at| at.sources() == 1)
        .map(|at| Value::Secret(SecretRef::clone(&at.value)));
    (id.unwrap_or(Value::Nothing), secret.unwrap_or(Value::Nothing))
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
