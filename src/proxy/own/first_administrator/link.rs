//! What the front door knows of the link: its path, and who makes the account.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::config::Secret;

/// Path of the page.
pub(in crate::proxy::own) const PATH: &str = "/_appliance/first-administrator";

/// Knows the link, and makes the account.
pub(crate) trait FirstAdministrator: fmt::Debug + Send + Sync {
    /// Whether the token of a link is good now. Changes nothing.
    fn is_good(&self, token: &str) -> bool;

    /// Makes the account, and uses the link up if that succeeds. Goes on if it is dropped.
    fn create(&self, token: String, account: NewAccount) -> BoxFuture<'_, Result<(), NotCreated>>;
}

/// What the person has filled in.
#[derive(Debug)]
pub(crate) struct NewAccount {
    pub user: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub password: Secret,
}

/// Why there is no account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotCreated {
    /// The link was used, has ended or was replaced.
    NoLink,
    /// The link is being used by another request.
    Busy,
    /// Keycloak refuses the account, in its words.
    Refused(String),
    /// Something does not work, in words for the person who runs the appliance.
    Failed(String),
}
