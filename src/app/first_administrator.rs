//! The link for the first administrator at the first start, and the warning about test users that a
//! database from before has.

use std::sync::Arc;

use tracing::warn;

use crate::administration::{Administration, AtStart};
use crate::config::{Config, Problem};
use crate::telemetry::LogHandle;

/// Looks who is in the realm, when people can sign in. On a loopback name nobody else can reach the login,
/// and the test users are there.
pub(super) async fn look(config: &Config, administration: &Administration, log: &LogHandle) {
    administration.admit_console().await;
    let url = &config.server.public_url;
    if url.is_loopback() {
        return;
    }
    let AtStart { link, test_users } = administration.look_at_start().await;
    if !test_users.is_empty() {
        warn!(
            users = test_users.join(", "),
            %url,
            "the test users of the realm file are in Keycloak's database, and public_url is not a loopback name: \
             everybody knows their passwords, so delete these users"
        );
    }
    if let Some(link) = link {
        log.print_once(&format!(
            "create the first administrator within 30 minutes: {link} (works once; `appliance admin-link` makes another one)"
        ));
    }
}

/// For `appliance check`: the script of Keycloak's console uses Web Crypto, which browsers have over https and
/// on loopback names only.
pub(super) fn warning_of_insecure_console(config: &Config) -> Option<Problem> {
    let oidc = config.oidc.as_ref()?;
    oidc.own_realm.as_ref()?.console.as_ref()?;
    let url = &config.server.public_url;
    if url.secure || url.is_loopback() {
        return None;
    }
    let key = ["apps", oidc.served_by.as_ref()?.as_str(), "keycloak", "admin_console"];
    let why = format!(
        "the admin console of Keycloak works over https only, and public_url is {url}; \
         use https, or remove `admin_console`"
    );
    Some(config.warning_about(&key, &why))
}

/// What announces the start asks the administration by this.
#[derive(Debug, Clone)]
pub(super) struct Looking {
    pub(super) administration: Arc<Administration>,
    pub(super) log: LogHandle,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_that_browsers_cannot_run_is_told() {
        let groups = ", admin_console = { groups = [\"administrators\"] }";
        for (url, console, warned) in [
            ("http://apps.example.org", groups, true),
            ("https://apps.example.org", groups, false),
            ("http://localhost:8080", groups, false),
            ("http://apps.example.org", "", false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("realm.json"), "{ \"realm\": \"demo\" }").unwrap();
            let text = format!(
                "[server]\npublic_url = \"{url}\"\n[oidc]\nserved_by = \"kc\"\nclient_id = \"a\"\n\
                 client_secret = {{ generate = \"oidc-client\" }}\n[apps.kc]\npath = \"/auth\"\n\
                 keycloak = {{ home = \"kc\", realm = \"realm.json\"{console} }}\n"
            );
            let path = folder.path().join("appliance.toml");
            std::fs::write(&path, text).unwrap();
            let config = Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(warning_of_insecure_console(&config).is_some(), warned, "{url} {console}");
        }
    }
}
