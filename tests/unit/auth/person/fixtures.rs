//! People for tests.

use serde_json::Value;

use crate::auth::Person;
use crate::auth::person::identity::ClaimNames;

pub(crate) fn names() -> ClaimNames {
    ClaimNames {
        user: "preferred_username".into(),
        email: "email".into(),
        groups: "groups".into(),
        roles: "realm_access.roles".into(),
    }
}

pub(crate) fn person(claims: Value) -> Person {
    names().read("sub-1", claims)
}
