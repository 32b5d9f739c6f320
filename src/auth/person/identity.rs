//! [`Person`]: what the issuer says about a signed-in person, with the identity headers for apps
//! ready to send.

use std::sync::Arc;

use http::HeaderValue;
use serde_json::Value;

use super::claim_paths::ClaimPaths;
use super::email::Email;
use super::header_value;

/// What the issuer says about a signed-in person, as of the last login or refresh, read as the
/// configuration in force says.
#[derive(Clone, PartialEq)]
pub struct Person {
    /// `sub`: the issuer's identifier of the person, stable and unique at that issuer.
    pub subject: String,
    /// User name, from `[oidc] user_claim`; the subject if the claim is missing, empty or an
    /// unverified address.
    pub user: String,
    /// E-mail address, from `[oidc] email_claim`.
    pub email: Email,
    /// `preferred_username`
    pub preferred_username: Option<String>,
    /// `name`: the full name.
    pub name: Option<String>,
    /// Groups, from `[oidc] groups_claim`.
    pub groups: Vec<String>,
    /// Realm roles, from `[oidc] roles_claim`, and client roles from `resource_access` as
    /// `client:<id>:<role>`.
    pub roles: Vec<String>,
    /// All claims about the person, for `claims` constraints. A JSON object.
    pub claims: Value,
    /// Where the parts of the person are in the claims.
    pub(super) paths: Arc<ClaimPaths>,
    /// The identity headers, ready to send.
    pub headers: PersonHeaders,
}

/// The values of the identity headers: printable ASCII, everything else percent-encoded. `None`
/// where the issuer says nothing.
#[derive(Clone, Default, PartialEq)]
pub struct PersonHeaders {
    /// User name.
    pub user: Option<HeaderValue>,
    /// E-mail address.
    pub email: Option<HeaderValue>,
    /// Groups joined with commas; `None` without groups.
    pub groups: Option<HeaderValue>,
    /// `preferred_username`
    pub preferred_username: Option<HeaderValue>,
    /// Full name.
    pub name: Option<HeaderValue>,
}

impl Person {
    /// The client that the person's access token was issued to (OpenID Connect Core §2, RFC 9068 §2.2).
    pub fn client(&self) -> Option<&str> {
        let claim = |name| self.claims.get(name).and_then(Value::as_str);
        claim("azp").or_else(|| claim("client_id"))
    }
}

impl PersonHeaders {
    pub(super) fn of(person: &Person) -> Self {
        let optional = |text: &Option<String>| text.as_deref().and_then(header_value::of_text);
        Self {
            user: header_value::of_text(&person.user),
            email: person.email.known().and_then(header_value::of_text),
            groups: header_value::of_list(&person.groups),
            preferred_username: optional(&person.preferred_username),
            name: optional(&person.name),
        }
    }
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

    use crate::auth::person::fixtures::person;

    #[test]
    fn headers_are_percent_encoded_and_groups_are_a_list() {
        let person = person(json!({"preferred_username": "jörg", "groups": ["a,b", "c"]}));
        let user = person.headers.user.unwrap();
        let decoded = percent_decode_str(user.to_str().unwrap()).decode_utf8().unwrap();
        assert_eq!(decoded, "jörg");
        assert_eq!(person.headers.groups.unwrap(), "a%2Cb,c");
    }

    #[test]
    fn missing_claims_have_no_header() {
        assert!(person(json!({"groups": []})).headers.groups.is_none());
        assert!(person(json!({})).headers.email.is_none());
    }

    #[test]
    fn an_unverified_address_has_no_header() {
        for (verified, header) in
            [(json!(false), None), (json!(true), Some("a@x")), (json!(null), Some("a@x"))]
        {
            let person = person(json!({"email": "a@x", "email_verified": verified}));
            let value = person.headers.email.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(value, header);
        }
    }
}
