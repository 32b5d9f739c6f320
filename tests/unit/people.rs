//! People for tests.

use serde_json::Value;

use super::Person;
use super::person::ClaimNames;

pub(super) fn names() -> ClaimNames {
    ClaimNames {
        user: "preferred_username".into(),
        email: "email".into(),
        groups: "groups".into(),
        roles: "realm_access.roles".into(),
    }
}

pub(super) fn person(claims: Value) -> Person {
    names().read("sub-1", claims)
}
