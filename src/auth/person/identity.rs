//! A signed-in person, with the header values that say so ready to send.

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use serde_json::Value;

use crate::auth::person::claims;
use crate::auth::person::email::Email;
use crate::config::Oidc;

/// What the issuer says about somebody. Header values are printable ASCII, all else
/// percent-encoded.
#[derive(Clone)]
pub struct Person {
    /// `sub`
    pub subject: String,
    /// By `user_claim`, else the subject.
    pub user: String,
    /// By `email_claim`.
    pub email: Email,
    /// `preferred_username`
    pub preferred_username: Option<String>,
    /// `name`
    pub name: Option<String>,
    /// By `groups_claim`.
    pub groups: Vec<String>,
    /// By `roles_claim`, and `client:<id>:<role>` from `resource_access`.
    pub roles: Vec<String>,
    /// All claims, for `claims` constraints.
    pub claims: Value,
    /// Header values ready to send.
    pub headers: PersonHeaders,
}

/// See [`Person::headers`].
#[derive(Clone, Default)]
pub struct PersonHeaders {
    /// User name.
    pub user: Option<HeaderValue>,
    /// E-mail address.
    pub email: Option<HeaderValue>,
    /// Comma-joined groups; `None` without groups.
    pub groups: Option<HeaderValue>,
    /// `preferred_username`
    pub preferred_username: Option<HeaderValue>,
    /// Full name.
    pub name: Option<HeaderValue>,
}

/// Where in the claims the parts of a person are: dotted paths of `[oidc]`.
#[derive(Debug)]
pub(crate) struct ClaimNames {
    pub(crate) user: String,
    pub(crate) email: String,
    pub(crate) groups: String,
    pub(crate) roles: String,
}

impl ClaimNames {
    pub(crate) fn new(oidc: &Oidc) -> Self {
        Self {
            user: oidc.user_claim.clone(),
            email: oidc.email_claim.clone(),
            groups: oidc.groups_claim.clone(),
            roles: oidc.roles_claim.clone(),
        }
    }

    /// Whether what policies ask for is in these claims.
    pub(crate) fn complete_in(&self, claims: &Value) -> bool {
        claims::at(claims, &self.email).is_some() && claims::at(claims, &self.groups).is_some()
    }

    /// The person that these claims speak of.
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

    /// The user name. An unverified address is none, also where `user_claim` names the address.
    fn user(&self, claims: &Value, email: &Email) -> Option<String> {
        let is_address = self.user == self.email || self.user == "email";
        claims::text(claims, &self.user).filter(|_| !(is_address && email.is_disowned()))
    }
}

/// Realm roles, then client roles. A realm role that is *called* like a client role is left out:
/// whoever may name realm roles must not hand out those of clients.
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

/// What has to be encoded in a header value, so that whoever decodes it gets the text back.
const VALUE: &AsciiSet = &CONTROLS.add(b'%');
/// The same inside a comma-joined list.
const ELEMENT: &AsciiSet = &VALUE.add(b',');

impl PersonHeaders {
    fn of(person: &Person) -> Self {
        let one = |text: &str| header(&encode(text, VALUE));
        let groups: Vec<_> = person.groups.iter().map(|group| encode(group, ELEMENT)).collect();
        Self {
            user: one(&person.user),
            email: person.email.known().and_then(one),
            groups: if groups.is_empty() { None } else { header(&groups.join(",")) },
            preferred_username: person.preferred_username.as_deref().and_then(one),
            name: person.name.as_deref().and_then(one),
        }
    }
}

/// Blanks at the ends are encoded, too: HTTP takes them away (RFC 9110 §5.5).
fn encode(text: &str, set: &'static AsciiSet) -> String {
    let inner = text.trim_matches(' ');
    let (before, rest) = text.split_at(text.len() - text.trim_start_matches(' ').len());
    let after = rest.len() - inner.len();
    let mut out = "%20".repeat(before.len());
    out.extend(percent_encode(inner.as_bytes(), set));
    out.push_str(&"%20".repeat(if inner.is_empty() { 0 } else { after }));
    out
}

fn header(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("user", &self.user).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for PersonHeaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonHeaders").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use serde_json::json;

    use super::*;
    use crate::auth::person::fixtures::{names, person};

    #[test]
    fn the_subject_stands_in_for_a_missing_name() {
        assert_eq!(person(json!({})).user, "sub-1");
        assert_eq!(person(json!({"preferred_username": ""})).user, "sub-1");
        assert_eq!(person(json!({"preferred_username": "alice"})).user, "alice");
    }

    #[test]
    fn header_values_are_printable_and_can_be_decoded() {
        let groups = ["a,b", "c", "/Übung/日本", "x y", "100%", "q'", " lead", "trail ", " "];
        for name in ["jörg", "eve\r\nX-Injected: 1", "nul\0x", "tab\tx", "日本", "50%41"] {
            let person = person(json!({"preferred_username": name, "groups": groups}));
            let value = person.headers.user.unwrap();
            let text = value.to_str().unwrap();
            assert_eq!(percent_decode_str(text).decode_utf8().unwrap(), name);
            let value = person.headers.groups.unwrap();
            let decoded: Vec<_> = (value.to_str().unwrap().split(','))
                .map(|group| percent_decode_str(group).decode_utf8().unwrap().into_owned())
                .collect();
            assert_eq!(decoded, groups);
        }
    }

    #[test]
    fn without_groups_there_is_no_header() {
        assert!(person(json!({"groups": []})).headers.groups.is_none());
        assert!(person(json!({})).headers.email.is_none());
    }

    #[test]
    fn client_roles_have_their_client_and_cannot_be_imitated() {
        let person = person(json!({
            "realm_access": {"roles": ["admin", "client:reports:export"]},
            "resource_access": {"reports": {"roles": ["read"]}, "odd": 7},
        }));
        assert_eq!(person.roles, ["admin", "client:reports:read"]);
    }

    #[test]
    fn an_unverified_address_is_no_identity() {
        let unverified =
            json!({"email": "boss@corp.example", "email_verified": false, "mail": "x"});
        assert!(person(unverified.clone()).headers.email.is_none());
        for (claim, want) in [("email", "sub-1"), ("mail", "x")] {
            let names = ClaimNames { user: claim.into(), ..names() };
            let person = names.read("sub-1", unverified.clone());
            assert_eq!(person.user, want);
            assert_eq!(person.headers.user.unwrap(), want);
        }
        let names = ClaimNames { user: "mail".into(), email: "mail".into(), ..names() };
        assert_eq!(names.read("sub-1", unverified).user, "sub-1");
        let verified = person(json!({"email": "boss@corp.example", "email_verified": true}));
        assert_eq!(verified.headers.email.unwrap(), "boss@corp.example");
    }
}
