//! How a [`Person`] is read from the claims.

use std::sync::Arc;

use serde_json::Value;

use super::claim_paths::ClaimPaths;
use super::claims;
use super::email::{self, Email};
use super::identity::{Person, PersonHeaders};

impl ClaimPaths {
    /// Reads the person from `claims`, a JSON object.
    pub(crate) fn read(self: &Arc<Self>, subject: &str, claims: Value) -> Person {
        let name = |path: &str| name(&claims, path, &self.email);
        let mut person = Person {
            subject: subject.to_owned(),
            user: name(&self.user).unwrap_or_else(|| subject.to_owned()),
            email: Email::read(&claims, &self.email),
            preferred_username: name("preferred_username"),
            name: name("name"),
            groups: claims::list(&claims, &self.groups),
            roles: roles(&claims, &self.roles),
            paths: self.clone(),
            claims,
            headers: PersonHeaders::default(),
        };
        person.headers = PersonHeaders::of(&person);
        person
    }

    /// Whether the person was read at these paths.
    pub(crate) fn have_read(self: &Arc<Self>, person: &Person) -> bool {
        Arc::ptr_eq(self, &person.paths)
    }
}

/// A name of the person that apps may learn. An address that the issuer marks as unverified is not a
/// name, whatever claim holds it: people could enter the address of somebody else.
fn name(claims: &Value, path: &str, email_path: &str) -> Option<String> {
    claims::text(claims, path).filter(|text| !email::is_unverified(claims, email_path, text))
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

    fn paths(user: &str, email: &str) -> Arc<ClaimPaths> {
        Arc::new(ClaimPaths {
            user: user.into(),
            email: email.into(),
            groups: "groups".into(),
            roles: "roles".into(),
        })
    }

    #[test]
    fn an_unverified_address_is_not_a_user_name_in_any_claim() {
        let claims = |verified: Value| {
            json!({
                "email": "boss@corp.example", "mail": "Boss@Corp.example",
                "preferred_username": "boss@corp.example", "upn": " BOSS@corp.example",
                "nick": "boss", "login": "boss@intern.example", "email_verified": verified,
            })
        };
        for (user, email, want) in [
            ("email", "email", "sub-1"),
            ("email", "mail", "sub-1"),
            ("email", "missing", "sub-1"),
            ("mail", "mail", "sub-1"),
            ("preferred_username", "email", "sub-1"),
            ("upn", "email", "sub-1"),
            ("nick", "email", "boss"),
            ("login", "email", "boss@intern.example"),
        ] {
            for unverified in [json!(false), json!("false"), json!(0)] {
                let person = paths(user, email).read("sub-1", claims(unverified));
                assert_eq!(person.user, want, "{user} {email}");
            }
            for fine in [json!(true), json!(null)] {
                let person = paths(user, email).read("sub-1", claims(fine));
                assert_ne!(person.user, "sub-1", "{user} {email}");
            }
        }
    }

    #[test]
    fn apps_learn_an_unverified_address_by_no_name() {
        let claims = |verified: bool| {
            let address = "boss@corp.example";
            json!({
                "email": address, "preferred_username": address, "name": "Boss@corp.example",
                "email_verified": verified,
            })
        };
        let PersonHeaders { user, email, preferred_username, name, .. } =
            person(claims(false)).headers;
        assert_eq!(user.unwrap(), "sub-1");
        assert!(email.is_none() && preferred_username.is_none() && name.is_none());
        let verified = person(claims(true)).headers;
        assert_eq!(verified.preferred_username.unwrap(), "boss@corp.example");
        assert!(verified.user.is_some() && verified.email.is_some() && verified.name.is_some());
    }
}
