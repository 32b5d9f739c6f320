//! Where in the claims the parts of a person are, and how [`Person`] is read from there.

use serde_json::Value;

use super::claims;
use super::identity::{Person, PersonHeaders};
use crate::config::Oidc;

/// The dotted claim paths of `[oidc]`.
#[derive(Debug)]
pub(crate) struct ClaimPaths {
    pub(super) user: String,
    pub(super) email: String,
    pub(super) groups: String,
    pub(super) roles: String,
}

impl ClaimPaths {
    pub(crate) fn new(oidc: &Oidc) -> Self {
        Self {
            user: oidc.user_claim.clone(),
            email: oidc.email_claim.clone(),
            groups: oidc.groups_claim.clone(),
            roles: oidc.roles_claim.clone(),
        }
    }

    /// Whether the claims hold what policies usually need: the address and the groups.
    pub(crate) fn complete_in(&self, claims: &Value) -> bool {
        claims::at(claims, &self.email).is_some() && claims::at(claims, &self.groups).is_some()
    }

    /// Reads the person from `claims`, a JSON object.
    pub(crate) fn read(&self, subject: &str, claims: Value) -> Person {
        let mut person = Person {
            subject: subject.to_owned(),
            user: claims::text(&claims, &self.user).unwrap_or_else(|| subject.to_owned()),
            email: claims::text(&claims, &self.email),
            email_verified: !is_false(claims.get("email_verified")),
            preferred_username: claims::text(&claims, "preferred_username"),
            name: claims::text(&claims, "name"),
            groups: claims::list(&claims, &self.groups),
            roles: roles(&claims, &self.roles),
            claims,
            headers: PersonHeaders::default(),
        };
        person.headers = PersonHeaders::of(&person);
        person
    }
}

/// Whether a claim is `false`. Some issuers send truth values as text.
fn is_false(claim: Option<&Value>) -> bool {
    match claim {
        Some(Value::Bool(value)) => !value,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("false"),
        _ => false,
    }
}

/// Realm roles, then client roles. A realm role whose name looks like a client role is left out:
/// an administrator who may create realm roles must not be able to forge client roles.
fn roles(claims: &Value, path: &str) -> Vec<String> {
    let mut roles = claims::list(claims, path);
    roles.retain(|role| !role.starts_with("client:"));
    let clients = claims.get("resource_access").and_then(Value::as_object);
    for (client, access) in clients.into_iter().flatten() {
        let names = claims::list(access, "roles");
        roles.extend(names.iter().map(|role| format!("client:{client}:{role}")));
    }
    roles
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::auth::person::fixtures::person;

    #[test]
    fn without_a_user_name_the_subject_is_the_user() {
        assert_eq!(person(json!({})).user, "sub-1");
        assert_eq!(person(json!({"preferred_username": ""})).user, "sub-1");
        assert_eq!(person(json!({"preferred_username": "alice"})).user, "alice");
    }

    #[test]
    fn a_realm_role_cannot_pose_as_a_client_role() {
        let person = person(json!({
            "realm_access": {"roles": ["admin", "client:reports:export"]},
            "resource_access": {"reports": {"roles": ["read"]}, "odd": 7},
        }));
        assert_eq!(person.roles, ["admin", "client:reports:read"]);
    }

    #[test]
    fn an_address_counts_unless_the_issuer_says_it_is_not_verified() {
        for (claim, want) in [
            (json!(true), true),
            (json!(null), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!("False"), false),
        ] {
            assert_eq!(person(json!({"email_verified": claim})).email_verified, want);
        }
    }
}
