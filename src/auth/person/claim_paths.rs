//! Where in the claims the parts of a person are, and how [`Person`] is read from there.

use serde_json::Value;

use super::claims;
use super::email::Email;
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
        let email = Email::read(&claims, &self.email);
        let mut person = Person {
            subject: subject.to_owned(),
            user: self.user(&claims, &email).unwrap_or_else(|| subject.to_owned()),
            email,
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

    /// The user name. An unverified address is not a user name, even where `user_claim` names the
    /// claim of the address.
    fn user(&self, claims: &Value, email: &Email) -> Option<String> {
        let is_address = self.user == self.email || self.user == "email";
        claims::text(claims, &self.user).filter(|_| !(is_address && email.is_unverified()))
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

    use super::*;
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
    fn an_unverified_address_is_not_a_user_name() {
        let claims = json!({"email": "boss@corp.example", "email_verified": false, "nick": "x"});
        let paths = |user: &str, email: &str| ClaimPaths {
            user: user.into(),
            email: email.into(),
            groups: "groups".into(),
            roles: "roles".into(),
        };
        for (user, email, want) in
            [("email", "email", "sub-1"), ("email", "mail", "sub-1"), ("nick", "email", "x")]
        {
            let paths = paths(user, email);
            let claims = if email == "mail" {
                json!({"email": "a@x", "mail": "a@x", "email_verified": false})
            } else {
                claims.clone()
            };
            assert_eq!(paths.read("sub-1", claims).user, want, "{user} {email}");
        }
        let verified = json!({"email": "boss@corp.example", "email_verified": true});
        assert_eq!(paths("email", "email").read("sub-1", verified).user, "boss@corp.example");
    }
}
