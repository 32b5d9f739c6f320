//! A signed-in person, with the header values that say so ready to send.

use http::HeaderValue;

/// What the issuer says about somebody. Header values are printable ASCII, all else
/// percent-encoded.
#[derive(Clone)]
pub struct Person {
    /// `sub`
    pub subject: String,
    /// By `user_claim`, else the subject.
    pub user: String,
    /// By `email_claim`.
    pub email: Option<String>,
    /// `email_verified` is not false.
    pub email_verified: bool,
    /// `preferred_username`
    pub preferred_username: Option<String>,
    /// `name`
    pub name: Option<String>,
    /// By `groups_claim`.
    pub groups: Vec<String>,
    /// By `roles_claim`, and `client:<id>:<role>` from `resource_access`.
    pub roles: Vec<String>,
    /// All claims, for `claims` constraints.
    pub claims: serde_json::Value,
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
