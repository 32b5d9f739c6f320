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
    /// Groups, from `[oidc] groups_claim` and `groups_prefix`. For decisions; apps learn those of
    /// [`Self::told_groups`].
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
    /// Groups that apps learn, joined with commas; `None` without groups, or with too many.
    pub groups: Option<HeaderValue>,
    /// The groups are too many for a header, so they have none.
    pub(crate) too_many_groups: bool,
    /// `preferred_username`
    pub preferred_username: Option<HeaderValue>,
    /// Full name.
    pub name: Option<HeaderValue>,
}

impl Person {
    /// The groups that apps and pages learn: those of `[oidc] groups_only`.
    pub fn told_groups(&self) -> Vec<&str> {
        self.groups.iter().map(String::as_str).filter(|group| self.paths.tell(group)).collect()
    }

    /// Whether `[oidc] require_verified_email` keeps the person out.
    pub(crate) fn is_refused(&self, require_verified_email: bool) -> bool {
        require_verified_email && !self.email.is_verified()
    }

    /// The client that the person's access token was issued to (OpenID Connect Core §2, RFC 9068 §2.2).
    pub fn client(&self) -> Option<&str> {
        let claim = |name| self.claims.get(name).and_then(Value::as_str);
        claim("azp").or_else(|| claim("client_id"))
    }
}

impl PersonHeaders {
    pub(super) fn of(person: &Person) -> Self {
        let optional = |text: &Option<String>| text.as_deref().and_then(header_value::of_text);
        let groups = header_value::of_list(&person.told_groups());
        let too_many_groups = groups.as_ref().is_some_and(|value| value.len() > header_value::MOST);
        Self {
            user: header_value::of_text(&person.user),
            email: person.email.known().and_then(header_value::of_text),
            groups: groups.filter(|_| !too_many_groups),
            too_many_groups,
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
    fn too_many_groups_have_no_header() {
        for (count, header) in [(200, true), (2000, false)] {
            let groups: Vec<_> = (0..count).map(|n| format!("{n:036}")).collect();
            let person = person(json!({"groups": groups}));
            assert_eq!(person.headers.groups.is_some(), header, "{count}");
            assert_eq!(person.headers.too_many_groups, !header, "{count}");
            assert_eq!(person.groups.len(), count);
        }
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
