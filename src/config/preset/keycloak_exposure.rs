//! Which paths of Keycloak are reachable, by which kind of request, where Keycloak sends people back to,
//! and where it reports the end of their sessions.

use super::context::PresetContext;
use super::keycloak_console::{admin_groups, paths};
use super::keycloak_logout;
use super::layer::{Exposure, Value};
use super::realm::Realm;
use crate::config::file::{FlagOr, KeycloakPreset};
use crate::config::model::{PublicUrl, Shield};

/// The parameters of the preset that follow from the consoles and from the hosts of all apps.
pub(super) fn parameters(
    at: &KeycloakPreset,
    realm: &Realm,
    preset_context: &PresetContext<'_>,
) -> [(&'static str, Value); 10] {
    let text = |text: &str| Value::Text(text.to_owned());
    let Exposure { exposed, hidden, shield } = exposure(at, realm);
    let console = account_console(at) || !admin_groups(at).is_empty();
    let PresetContext { listen, speaks_tls, public_url, .. } = preset_context;
    let logout = keycloak_logout::url(listen, *speaks_tls, public_url);
    [
        ("exposed", Value::List(exposed)),
        ("hidden", Value::List(hidden)),
        ("pages", Value::List(shield.pages)),
        ("open", Value::List(shield.open)),
        ("programs", Value::List(shield.programs)),
        ("callback_urls", text(&urls(realm, preset_context, "/oauth2/callback").join(" "))),
        ("signed_out_urls", text(&urls(realm, preset_context, "/*").join("##"))),
        ("backchannel_logout_url", Value::Text(logout)),
        ("frame_ancestors", text(if console { "'self'" } else { "'none'" })),
        ("account_console_closed", text(if console { "false" } else { "true" })),
    ]
}

fn account_console(at: &KeycloakPreset) -> bool {
    at.account_console == Some(true)
}

fn admin_console(at: &KeycloakPreset) -> bool {
    at.admin_console.as_ref().is_some_and(|at| matches!(at.value, FlagOr::Flag(true)))
}

/// Which paths of Keycloak are reachable from outside, and how.
fn exposure(at: &KeycloakPreset, realm: &Realm) -> Exposure {
    let own = format!("/realms/{}", realm.name);
    let account = format!("{own}/account");
    let mut exposure = Exposure::default();
    let of_groups = !admin_groups(at).is_empty();
    if !admin_console(at) {
        exposure.exposed = vec![format!("{own}/"), "/resources/".to_owned()];
    }
    if of_groups {
        exposure.exposed.extend(paths(&realm.name));
    }
    if !account_console(at) {
        exposure.hidden = vec![account.clone()];
    }
    if realm.shares_origin {
        let consoles = admin_console(at) || account_console(at) || of_groups;
        shield_realm(&mut exposure.shield, &own, consoles);
        if account_console(at) {
            exposure.shield.open.push(account);
        }
        if admin_console(at) {
            shield_realm(&mut exposure.shield, "/realms/master", true);
        }
        if admin_console(at) || of_groups {
            exposure.shield.pages.push("/admin".to_owned());
            exposure.shield.open.push("/admin".to_owned());
        }
    }
    exposure
}

/// Where Keycloak shares an origin, a script of an app can send requests with the cookies of the
/// visitor and read the responses: it could take a code that Keycloak grants without a question, or
/// fill in a form. So only a navigation gets a response. A console is a script itself and needs
/// tokens and two frames.
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

/// A path under every origin where people sign in: of `public_url`, and of each app with its own
/// host. Under Keycloak's own origin the path stays relative, so that it follows `public_url`.
fn urls(realm: &Realm, preset_context: &PresetContext<'_>, path: &str) -> Vec<String> {
    let public = preset_context.public_url;
    let first = if realm.host == public.host { path.to_owned() } else { format!("{public}{path}") };
    let mut hosts: Vec<&str> =
        preset_context.routed.iter().filter_map(|(_, host)| host.as_deref()).collect();
    // A console that needs a session has a login under Keycloak's own host.
    let has_login = !realm.admin_groups.is_empty();
    hosts.retain(|host| *host != public.host && (has_login || *host != realm.host));
    hosts.sort_unstable();
    hosts.dedup();
    let others = hosts.into_iter().map(|host| {
        let url = PublicUrl { host: host.to_owned(), ..public.clone() };
        format!("{url}{path}")
    });
    std::iter::once(first).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Route};

    /// The route of Keycloak, and its variables, in a file with these lines.
    fn keycloak(preset: &str, place: &str, other: &str) -> (Route, Vec<(String, String)>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("realm.json"), r#"{ "realm": "demo" }"#).unwrap();
        let text = format!(
            "[server]\npublic_url = \"https://apps.example.org\"\n\
             [oidc]\nserved_by = \"kc\"\nclient_id = \"a\"\nclient_secret = {{ generate = \"s\" }}\n\
             [apps.kc]\nkeycloak = {{ home = \"kc\", realm = \"realm.json\"{preset} }}\n{place}\n\
             [apps.app]\nupstream = \"http://127.0.0.1:1\"\n{other}\n"
        );
        let path = dir.path().join("appliance.toml");
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"));
        let app = config.apps.into_iter().find(|app| app.name.as_str() == "kc").unwrap();
        let env = app.run.unwrap().env.into_iter().filter_map(|(name, value)| match value {
            crate::config::EnvValue::Plain(text) => Some((name, text)),
            crate::config::EnvValue::Secret(_) => None,
        });
        (app.route.unwrap(), env.collect())
    }

    fn variable<'e>(env: &'e [(String, String)], name: &str) -> &'e str {
        &env.iter().find(|(known, _)| known == name).unwrap().1
    }

    #[test]
    fn a_keycloak_that_shares_its_origin_is_shielded() {
        let own = "/realms/demo".to_owned();
        for place in [
            "path = \"/auth\"",
            "path = \"/auth\"\nhost = \"apps.example.org\"",
            "path = \"/auth\"\nhost = \"app.example.org\"",
        ] {
            let (route, _) = keycloak("", place, "host = \"app.example.org\"");
            assert_eq!(route.shield.pages, [own.as_str()], "{place}");
            assert!(route.shield.programs.iter().any(|path| path.ends_with("/token")), "{place}");
        }
        let (route, _) = keycloak("", "host = \"auth.example.org\"", "host = \"app.example.org\"");
        assert_eq!(route.shield, crate::config::Shield::default());
    }

    #[test]
    fn consoles_are_closed_and_open_one_by_one() {
        let account = "/realms/demo/account".to_owned();
        let (route, env) = keycloak("", "path = \"/auth\"", "");
        assert_eq!(route.exposed, ["/realms/demo/", "/resources/"]);
        assert_eq!(route.hidden_paths, [account.as_str()]);
        assert_eq!(variable(&env, "ACCOUNT_CONSOLE_CLOSED"), "true");
        assert_eq!(variable(&env, "FRAME_ANCESTORS"), "'none'");

        let (route, env) = keycloak(", account_console = true", "path = \"/auth\"", "");
        assert!(route.hidden_paths.is_empty() && route.shield.open.contains(&account));
        assert_eq!(route.shield.pages, ["/realms/demo"]);
        assert_eq!(variable(&env, "ACCOUNT_CONSOLE_CLOSED"), "false");
        assert_eq!(variable(&env, "FRAME_ANCESTORS"), "'self'");

        let groups = ", admin_console = { groups = [\"administrators\"] }";
        let (route, env) = keycloak(groups, "path = \"/auth\"\nrules = [{ path = \"/**\" }]", "");
        assert_eq!(route.exposed[2..], ["/admin/demo/", "/admin/realms/demo", "/admin/serverinfo"]);
        assert_eq!(route.shield.pages, ["/realms/demo", "/admin"]);
        let policy = |rule: &crate::config::Rule| matches!(&rule.access, crate::config::Access::Only(only) if only.groups == ["administrators"]);
        assert_eq!(route.rules.iter().map(policy).collect::<Vec<_>>(), [true, false]);
        assert_eq!(route.access, crate::config::Access::Public);
        assert_eq!(variable(&env, "ACCOUNT_CONSOLE_CLOSED"), "false");

        let (route, _) = keycloak(", admin_console = true", "path = \"/auth\"", "");
        assert!(route.rules.is_empty());
        assert!(route.exposed.is_empty());
        assert_eq!(route.hidden_paths, [account.as_str()]);
        assert_eq!(route.shield.pages, ["/realms/demo", "/realms/master", "/admin"]);
    }

    #[test]
    fn every_host_has_its_callback() {
        let urls = |place: &str, other: &str| {
            let (_, env) = keycloak("", place, other);
            let [back, out] = ["CALLBACK_URLS", "SIGNED_OUT_URLS"].map(|name| variable(&env, name));
            (back.to_owned(), out.to_owned())
        };
        let of = |back: &str, out: &str| (back.to_owned(), out.to_owned());
        assert_eq!(urls("path = \"/auth\"", "path = \"/app\""), of("/oauth2/callback", "/*"));
        assert_eq!(
            urls("path = \"/auth\"", "host = \"App.example.org\""),
            of(
                "/oauth2/callback https://app.example.org/oauth2/callback",
                "/*##https://app.example.org/*"
            )
        );
        assert_eq!(
            urls("host = \"auth.example.org\"", "path = \"/app\""),
            of("https://apps.example.org/oauth2/callback", "https://apps.example.org/*")
        );
    }
}
