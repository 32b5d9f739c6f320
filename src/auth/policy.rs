//! Groups, roles and addresses → may or may not.

use super::Person;
use crate::config::{Access, Constraints};

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go ahead.
    Allow,
    /// Nobody is signed in, somebody must be.
    SignIn,
    /// Not this person; what is missing, for people: `the group group2`.
    Deny(String),
}

/// Decides. Fails closed: what is not there is not in the list.
pub fn decide(_access: &Access, _deny: Option<&Constraints>, _person: Option<&Person>) -> Verdict {
    todo!()
}
