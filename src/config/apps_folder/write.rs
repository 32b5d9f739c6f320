//! Writes the configuration file that stands for a folder.

use std::fmt::Write as _;

use url::Url;

use super::Candidate;
use crate::config::model::{FoundApp, is_loopback_host};
use crate::config::read::interpolate::Lookup;

/// The name of the app that signs people in.
pub(super) const ISSUER: &str = "keycloak";

const HEAD: &str = r#"# This file stands for the folder. Save it there as appliance.toml to change it; then the folder is no
# longer watched, and this file decides.
[server]
listen = "${APPLIANCE_LISTEN:-127.0.0.1:8080}"
public_url = "${PUBLIC_URL:-http://localhost:8080}"
"#;

/// On a machine of its own, the person who writes the apps looks at their logs.
const OPERATORS_HERE: &str = "operators = \"signed-in\"\n";
const OPERATORS: &str = "operators = { groups = [\"administrators\"] }\n";

pub(in crate::config) const KEYCLOAK: &str = r#"
# Keycloak signs people in. Set OIDC_ISSUER for another issuer.
[oidc]
served_by = "keycloak"
client_id = "appliance"
client_secret = { generate = "oidc-client" }

[apps.keycloak]
keycloak = { home = "${KEYCLOAK_HOME:-.appliance/keycloak}" }
path = "/auth"
"#;

const OTHER_ISSUER: &str = r#"
[oidc]
issuer = "${OIDC_ISSUER}"
client_id = "${OIDC_CLIENT_ID:-appliance}"
client_secret = { env = "OIDC_CLIENT_SECRET" }
"#;

/// Whether the environment names an issuer.
pub(super) fn has_issuer(lookup: Lookup<'_>) -> bool {
    lookup("OIDC_ISSUER").is_some_and(|issuer| !issuer.is_empty())
}

/// Whether only programs of this machine reach the appliance. An address to type that is a loopback name is
/// not enough: a published port of a container takes requests for any name.
fn is_local(lookup: Lookup<'_>) -> bool {
    let given = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let url = given("PUBLIC_URL").map(|url| Url::parse(&url).ok());
    let host = url.as_ref().map(|url| url.as_ref().and_then(Url::host_str));
    let listens = given("APPLIANCE_LISTEN");
    let port = listens.as_deref().map(|listens| listens.rsplit_once(':').map(|(host, _)| host));
    let are_loopback = [host, port].into_iter().flatten();
    are_loopback.into_iter().all(|host| host.is_some_and(is_loopback_host))
}

/// The file without the tables of its apps.
pub(super) fn head(lookup: Lookup<'_>) -> String {
    let issuer = if has_issuer(lookup) { OTHER_ISSUER } else { KEYCLOAK };
    let operators = if is_local(lookup) { OPERATORS_HERE } else { OPERATORS };
    format!("{HEAD}{operators}{issuer}")
}

/// The table of an app, with an empty line before it.
pub(super) fn table(one: &Candidate, path: &str) -> String {
    let mut out = String::new();
    // Writing to a text does not fail.
    let _ = write_table(&mut out, one, path);
    out
}

fn write_table(out: &mut String, one: &Candidate, path: &str) -> std::fmt::Result {
    let Candidate { app, details } = one;
    let FoundApp { name, kind, why, .. } = app;
    let target = quoted(&details.target);
    write!(out, "\n# {why}\n[apps.{name}]\n")?;
    let key = if *kind == "django" { "folder" } else { "script" };
    let mut more = Vec::new();
    if let Some(object) = &details.object {
        more.push(format!("app = {}", quoted(object)));
    }
    if !details.packages.is_empty() {
        let packages: Vec<_> = details.packages.iter().map(|one| quoted(one)).collect();
        more.push(format!("packages = [{}]", packages.join(", ")));
    }
    if more.is_empty() {
        writeln!(out, "{kind} = {target}")?;
    } else {
        writeln!(out, "{kind} = {{ {key} = {target}, {} }}", more.join(", "))?;
    }
    writeln!(out, "path = {}\ntitle = {}", quoted(path), quoted(&title(name)))?;
    if let Some(cwd) = &details.cwd {
        writeln!(out, "cwd = {}", quoted(cwd))?;
    }
    Ok(())
}

/// `sales-report` → `Sales report`
fn title(name: &str) -> String {
    let spaced = name.replace('-', " ");
    let mut letters = spaced.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A string of TOML in which no variable is replaced.
pub(in crate::config) fn quoted(text: &str) -> String {
    toml::Value::from(text.replace("${", "$${")).to_string()
}
