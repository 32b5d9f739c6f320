//! Groups, roles, clients and masked secrets of a realm file.

use serde_json::Value;

use crate::config::model::RealmContent;

/// What Keycloak writes in an export instead of a secret.
const MASK: &str = "**********";

/// Reads the file. `client_id` replaces `${CLIENT_ID}`, as it does when Keycloak imports the realm.
pub(super) fn of(json: &Value, client_id: &str) -> RealmContent {
    let filled = |text: &str| text.replace("${CLIENT_ID}", client_id);
    let clients = list(json, "clients").filter_map(|client| text(client, "clientId"));
    let clients: Vec<String> = clients.map(filled).collect();
    let mut masked = Vec::new();
    find_masked(json, &filled, String::new(), &mut masked);
    let comes_from = |mapper: &str| !is_mapped_otherwise(json, mapper);
    let is_federated = list(json, "userFederationProviders").next().is_some()
        || json.pointer("/components/org.keycloak.storage.UserStorageProvider").is_some();
    let groups = (!is_federated && comes_from("groups")).then(|| groups(json));
    let roles = (!is_federated && comes_from("roles")).then(|| roles(json, &filled));
    RealmContent { groups, roles, clients, masked }
}

fn list<'j>(json: &'j Value, key: &str) -> impl Iterator<Item = &'j Value> + use<'j> {
    json.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'j>(json: &'j Value, key: &str) -> Option<&'j str> {
    json.get(key).and_then(Value::as_str)
}

/// Whether a mapper that is not Keycloak's own one fills a claim whose name ends with this word.
fn is_mapped_otherwise(json: &Value, word: &str) -> bool {
    let owners = list(json, "clients").chain(list(json, "clientScopes"));
    owners.flat_map(|owner| list(owner, "protocolMappers")).any(|mapper| {
        let claim = mapper.pointer("/config/claim.name").and_then(Value::as_str);
        let own = match word {
            "groups" => &["oidc-group-membership-mapper"][..],
            _ => &["oidc-usermodel-realm-role-mapper", "oidc-usermodel-client-role-mapper"],
        };
        claim.is_some_and(|claim| claim.ends_with(word))
            && text(mapper, "protocolMapper").is_none_or(|kind| !own.contains(&kind))
    })
}

/// The paths of all groups, without the leading `/`.
fn groups(json: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<(String, &Value)> =
        list(json, "groups").map(|group| (String::new(), group)).collect();
    while let Some((above, group)) = open.pop() {
        let Some(name) = text(group, "name") else { continue };
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        open.extend(list(group, "subGroups").map(|group| (path.clone(), group)));
        found.push(path);
    }
    found.sort();
    found
}

fn roles(json: &Value, filled: &dyn Fn(&str) -> String) -> Vec<String> {
    let realm = text(json, "realm").unwrap_or_default();
    let made_by_keycloak =
        [format!("default-roles-{realm}"), "offline_access".into(), "uma_authorization".into()];
    let roles = json.get("roles");
    let own = roles.into_iter().flat_map(|roles| list(roles, "realm"));
    let mut found: Vec<String> =
        own.filter_map(|role| text(role, "name")).map(str::to_owned).collect();
    found.extend(made_by_keycloak);
    let clients = roles.and_then(|roles| roles.get("client")).and_then(Value::as_object);
    for (client, roles) in clients.into_iter().flatten() {
        let names = roles.as_array().into_iter().flatten().filter_map(|role| text(role, "name"));
        found.extend(names.map(|name| format!("client:{}:{name}", filled(client))));
    }
    found
}

/// The places of the masks, as `client "x"` or as the keys that lead to them.
fn find_masked(
    json: &Value,
    filled: &dyn Fn(&str) -> String,
    place: String,
    found: &mut Vec<String>,
) {
    let below =
        |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    match json {
        Value::String(value) if value == MASK => found.push(place),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let name = ["clientId", "alias"].iter().find_map(|key| text(item, key));
                let name = name.map_or_else(|| at.to_string(), filled);
                find_masked(item, filled, format!("{place}[{name}]"), found);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                find_masked(value, filled, below(key), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_roles_clients_and_masks_are_found() {
        let json = serde_json::json!({
            "realm": "demo",
            "groups": [{ "name": "a", "subGroups": [{ "name": "b" }] }],
            "roles": { "realm": [{ "name": "r" }], "client": { "${CLIENT_ID}": [{ "name": "c" }] } },
            "clients": [{ "clientId": "${CLIENT_ID}", "secret": MASK }],
            "identityProviders": [{ "alias": "corp", "config": { "clientSecret": MASK } }],
            "smtpServer": { "password": MASK },
        });
        let content = of(&json, "app");
        assert_eq!(content.groups.unwrap(), ["a", "a/b"]);
        let roles = content.roles.unwrap();
        assert!(roles.contains(&"r".into()) && roles.contains(&"client:app:c".into()), "{roles:?}");
        assert!(roles.contains(&"default-roles-demo".into()));
        assert_eq!(content.clients, ["app"]);
        let masked = [
            "clients[app].secret",
            "identityProviders[corp].config.clientSecret",
            "smtpServer.password",
        ];
        assert_eq!(content.masked, masked);
    }

    #[test]
    fn groups_from_elsewhere_are_unknown() {
        let mapper = |claim: &str| {
            let config = serde_json::json!({ "claim.name": claim });
            let mapper = serde_json::json!({ "protocolMapper": "x", "config": config });
            of(&serde_json::json!({ "clients": [{ "protocolMappers": [mapper] }] }), "")
        };
        assert!(mapper("groups").groups.is_none() && mapper("groups").roles.is_some());
        assert!(mapper("realm_access.roles").roles.is_none());
        assert!(mapper("other").groups.is_some());
        let ldap = serde_json::json!({ "org.keycloak.storage.UserStorageProvider": [{}] });
        assert!(of(&serde_json::json!({ "components": ldap }), "").groups.is_none());
    }
}
