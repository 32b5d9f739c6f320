//! Fixture for the unit tests of `auth::person`: a person read from claims.

use std::sync::Arc;

use serde_json::Value;

use super::{ClaimPaths, Person};

/// The person with these claims and the subject `sub-1`, read at the paths that `[oidc]` has by
/// default.
pub(super) fn person(claims: Value) -> Person {
    let paths = Arc::new(ClaimPaths {
        user: "preferred_username".into(),
        email: "email".into(),
        groups: "groups".into(),
        roles: "realm_access.roles".into(),
    });
    paths.read("sub-1", claims)
}
