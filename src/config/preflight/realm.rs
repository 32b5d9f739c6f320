//! Groups, roles and the client that `appliance.toml` names and the realm file does not have, and the
//! masks that Keycloak exports instead of secrets.

use std::path::Path;

use super::findings::Findings;
use crate::config::model::{Access, Config, Constraints, EnvValue, Oidc, RealmContent};
use crate::config::report::suggest;

/// Clients that Keycloak itself makes in every realm, with roles that the file need not name.
const MADE_BY_KEYCLOAK: [&str; 6] = [
    "account",
    "account-console",
    "admin-cli",
    "broker",
    "realm-management",
    "security-admin-console",
];

impl Findings<'_> {
    /// `at_start`, a realm that Keycloak has already imported is not compared: groups may have been
    /// added in the admin console.
    pub(super) fn realm(&mut self, config: &Config, at_start: bool) {
        let Some(oidc) = &config.oidc else { return };
        let Some(realm) = &oidc.realm else { return };
        if at_start && is_imported(config, oidc) {
            return;
        }
        self.client(oidc, realm);
        for (key, access) in policies(config) {
            if access.tables().is_empty() {
                continue;
            }
            // An app without a policy has the one of `[access]`.
            let key = if self.is_written(&key) { key } else { vec!["access", "default"] };
            for table in access.tables() {
                self.constraints(&key, table, oidc, realm);
            }
        }
        let denied = config.apps.iter().filter_map(|app| {
            Some((["apps", app.name.as_str(), "deny"], &app.route.as_ref()?.deny))
        });
        for (key, tables) in denied {
            for table in tables {
                self.constraints(&key, table, oidc, realm);
            }
        }
    }

    /// Sign-in fails without the client of `[oidc]`, and with a mask as its secret.
    fn client(&mut self, oidc: &Oidc, realm: &RealmContent) {
        let id = &oidc.client_id;
        if !realm.clients.is_empty() && !realm.clients.contains(id) {
            let message = format!("the realm file has no client `{id}`");
            let help = suggestion(id, &realm.clients)
                .unwrap_or_else(|| "add the client to the realm file".to_owned());
            self.warn_at_text(&["oidc", "client_id"], id, &message, &help);
        }
        let Some(app) = &oidc.served_by else { return };
        let key = ["apps", app.as_str(), "keycloak", "realm"];
        let own = format!("clients[{id}].secret");
        if realm.masked.contains(&own) {
            let message = format!(
                "the client `{id}` has `**********` as its secret in the realm file, so nobody can sign in: Keycloak does not export secrets"
            );
            let help = "write `\"secret\": \"${CLIENT_SECRET}\"` there";
            self.warn_at_text(&key, "", &message, help);
        }
        let others: Vec<_> =
            realm.masked.iter().filter(|at| **at != own).map(String::as_str).collect();
        if !others.is_empty() {
            let places = others.join(", ");
            let message = format!(
                "the realm file has `**********` instead of a secret at {places}: Keycloak does not export secrets"
            );
            self.warn_at_text(&key, "", &message, "write the real secrets, or remove these keys");
        }
    }

    fn constraints(
        &mut self,
        key: &[&str],
        constraints: &Constraints,
        oidc: &Oidc,
        realm: &RealmContent,
    ) {
        if let Some(known) = realm.groups.as_ref().filter(|_| oidc.groups_claim == "groups") {
            let at_issuer = |group: &String| match &oidc.groups_prefix {
                Some(prefix) => format!("{prefix}{}", group.trim_start_matches('/')),
                None => group.clone(),
            };
            let unknown = |group: &&String| !has_group(known, &at_issuer(group));
            for group in constraints.groups.iter().filter(unknown) {
                self.unknown(key, "group", group, known);
            }
        }
        if let Some(known) = realm.roles.as_ref().filter(|_| oidc.roles_claim.ends_with("roles")) {
            for role in constraints.roles.iter().filter(|role| !has_role(known, role)) {
                self.unknown(key, "role", role, known);
            }
        }
    }

    fn unknown(&mut self, key: &[&str], what: &str, name: &str, known: &[String]) {
        let message = format!("the realm file has no {what} `{name}`");
        let help = suggestion(name, known).unwrap_or_else(|| {
            format!("add the {what} to the realm file, or in the admin console (`check` does not see groups and roles that are only there)")
        });
        self.warn_at_text(key, name, &message, &help);
    }
}

/// All policies, each with its key.
pub(super) fn policies(config: &Config) -> Vec<(Vec<&str>, &Access)> {
    let mut found = Vec::new();
    if let Some(operators) = &config.server.operators {
        found.push((vec!["server", "operators"], operators));
    }
    for app in &config.apps {
        let key = |key| vec!["apps", app.name.as_str(), key];
        found.extend(app.operators.as_ref().map(|operators| (key("operators"), operators)));
        let Some(route) = &app.route else { continue };
        found.push((key("access"), &route.access));
        found.extend(route.rules.iter().map(|rule| (key("rules"), &rule.access)));
    }
    found
}

/// Whether the realm was imported: from then on the database says which groups there are.
fn is_imported(config: &Config, oidc: &Oidc) -> bool {
    let app = oidc.served_by.as_ref().and_then(|name| config.app(name.as_str()));
    let env = app.and_then(|app| app.run.as_ref()).map(|run| &run.env);
    env.into_iter().flatten().any(|(name, value)| {
        matches!(value, EnvValue::Plain(data) if name == "KEYCLOAK_DATA"
            && Path::new(data).join("data/import/realm.json").exists())
    })
}

/// A group is named by its path or, as a claim without `full.path` has it, by its last part.
fn has_group(known: &[String], group: &str) -> bool {
    let group = group.strip_prefix('/').unwrap_or(group);
    known.iter().any(|path| path == group || path.rsplit('/').next() == Some(group))
}

fn has_role(known: &[String], role: &str) -> bool {
    let client = role.strip_prefix("client:").and_then(|rest| rest.split(':').next());
    known.iter().any(|name| name == role)
        || client.is_some_and(|client| MADE_BY_KEYCLOAK.contains(&client))
}

fn suggestion(name: &str, known: &[String]) -> Option<String> {
    let near = suggest::nearest(name, known.iter().map(String::as_str))?;
    Some(format!("did you mean `{near}`?"))
}
