//! Fixture for the unit tests of `auth::person`: a person read from claims.

use serde_json::Value;

use super::{ClaimPaths, Person};

/// The person with these claims and the subject `sub-1`, read at the paths that `[oidc]` has by
/// default.
pub(super) fn person(claims: Value) -> Person {
    ClaimPaths::with_groups_at("groups").read("sub-1", claims)
}
