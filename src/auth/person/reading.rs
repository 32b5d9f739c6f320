//! How a [`Person`] is read from the claims.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::claim_paths::ClaimPaths;
use super::claims;
use super::email::{self, Email};
use super::identity::{Person, PersonHeaders};
use crate::config::Oidc;

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
            groups: self.groups(&claims),
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

    /// The person as read at these paths. Cheap where a person was.
    pub(crate) fn read_again(self: &Arc<Self>, person: Arc<Person>) -> Arc<Person> {
        if self.have_read(&person) {
            return person;
        }
        Arc::new(self.read(&person.subject, person.claims.clone()))
    }
}

impl Person {
    /// The person as the configuration reads claims that has read `self`.
    pub(crate) fn read_like(&self, person: &Arc<Self>) -> Arc<Self> {
        self.paths.read_again(Arc::clone(person))
    }

    /// The person of an ID token with these claims.
    pub(crate) fn of_claims(oidc: &Oidc, claims: Map<String, Value>) -> Self {
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        let claims = Value::Object(claims::about_the_person(claims));
        Arc::new(ClaimPaths::new(oidc)).read(&subject, claims)
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
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::auth::any;
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
        let [user, email] = [user, email].map(str::to_owned);
        let paths = ClaimPaths::with_rules(None, &[]);
        Arc::new(ClaimPaths { user, email, ..Arc::into_inner(paths).unwrap() })
    }

    #[test]
    fn only_groups_with_the_prefix_count_and_they_lose_it() {
        let theirs = json!(["app-reports", "/app-ops", "reports", "app-", "my-app-x", "App-y"]);
        let claims = json!({"groups": theirs});
        let read =
            |prefix| ClaimPaths::with_rules(prefix, &[]).read("sub-1", claims.clone()).groups;
        assert_eq!(read(Some("app-")), ["reports", "ops"]);
        assert_eq!(read(Some("/app-")), ["ops"]);
        assert_eq!(read(None).len(), 6);
        let nested = ClaimPaths::with_rules(Some("/apps/"), &[]);
        let nested =
            nested.read("sub-1", json!({"groups": ["/apps/a", "/apps/a/b", "/apps", "/x"]}));
        assert_eq!(nested.groups, ["a", "a/b"]);
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
    fn apps_learn_the_groups_of_the_patterns_alone() {
        let claims = json!({"groups": ["app-a", "/app-b", "staff", "/staff/app-c", "other"]});
        let told = |only: &[&str]| {
            let person = ClaimPaths::with_rules(None, only).read("sub-1", claims.clone());
            assert_eq!(person.groups.len(), 5, "policies see all groups");
            (person.told_groups().join(" "), person.headers.groups)
        };
        let (groups, header) = told(&["app-*", "staff"]);
        assert_eq!(groups, "app-a /app-b staff");
        assert_eq!(header.unwrap(), "app-a,/app-b,staff");
        assert_eq!(told(&["/app-*", "/staff/*"]).0, "app-a /app-b /staff/app-c");
        assert_eq!(told(&["none-*"]), (String::new(), None));
        assert_eq!(told(&[]).0.split(' ').count(), 5);
        let prefixed = ClaimPaths::with_rules(Some("app-"), &["a*"]).read("sub-1", claims);
        assert_eq!((prefixed.groups.len(), prefixed.told_groups()), (2, vec!["a"]));
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

    proptest! {
        #[test]
        fn whatever_the_claims_are_apps_learn_no_unverified_address_and_each_group_as_it_is(
            mut claims in any::claims(vec![
                ("preferred_username", json!("boss@corp.example")),
                ("email", json!("boss@corp.example")),
                ("email_verified", json!(false)),
                ("name", json!("The Boss")),
                ("groups", json!(["a", "b,c", "ü", " d ", ""])),
                ("realm_access", json!({"roles": ["client:x:y", "z"]})),
                ("resource_access", json!({"x": {"roles": ["y"]}})),
            ]),
            groups in prop::collection::vec(any::text(), 0..4),
            are_listed in any::<bool>(),
        ) {
            if are_listed {
                claims.insert("groups".to_owned(), json!(groups));
            }
            let granted: Vec<String> = claims
                .get("resource_access")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .flat_map(|(client, access)| {
                    let names = access.get("roles").and_then(Value::as_array).cloned();
                    let names = names.unwrap_or_default().into_iter();
                    let names: Vec<_> = names.filter_map(|one| one.as_str().map(str::to_owned)).collect();
                    names.into_iter().map(move |name| format!("client:{client}:{name}"))
                })
                .collect();
            let person = person(Value::Object(claims.clone()));
            let posing = person.roles.iter().find(|role| {
                role.starts_with("client:") && !granted.contains(role)
            });
            prop_assert_eq!(posing, None);

            let is_unverified = claims.get("email_verified") == Some(&json!(false));
            if let (true, Some(address)) = (is_unverified, claims.get("email").and_then(Value::as_str)) {
                let address = address.trim().to_lowercase();
                let headers = &person.headers;
                for header in [&headers.user, &headers.email, &headers.preferred_username, &headers.name] {
                    let told = header.as_ref().map(|value| value.to_str().unwrap());
                    let told = told.map(|told| percent_decode_str(told).decode_utf8().unwrap());
                    prop_assert!(
                        address.is_empty() || told.is_none_or(|told| told.trim().to_lowercase() != address)
                    );
                }
            }
            if are_listed {
                let header = person.headers.groups.as_ref().map(|value| value.to_str().unwrap());
                let told: Vec<_> = header
                    .into_iter()
                    .flat_map(|list| list.split(','))
                    .map(|one| percent_decode_str(one).decode_utf8().unwrap().into_owned())
                    .collect();
                prop_assert_eq!(told, groups);
            }
        }
    }
}
